/*
 * clock.c - durations in integers.
 * SPDX-License-Identifier: MIT-0
 */
#define _POSIX_C_SOURCE 200809L
#include "clock.h"

#include <stdlib.h>
#include <time.h>

em_u64 now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (em_u64)now.tv_sec * 1000000000u + (em_u64)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    em_u64 x = *(const em_u64 *)a, y = *(const em_u64 *)b;

    return (x > y) - (x < y);
}

/* The smallest value that at least `percent` of 100 values do not exceed. */
static em_u64 percentile(const em_u64 *sorted, em_u32 count, em_u32 percent)
{
    return sorted[((em_u64)count * percent + 99) / 100 - 1];
}

struct durations describe_durations(em_u64 *ns, em_u32 count)
{
    struct durations durations = {0, 0, 0, 0, 0, 0};

    if (count == 0) {
        return durations;
    }
    qsort(ns, count, sizeof(*ns), compare);
    for (em_u32 i = 0; i < count; i++) {
        durations.total += ns[i];
    }
    durations.min = ns[0];
    durations.p50 = percentile(ns, count, 50);
    durations.p90 = percentile(ns, count, 90);
    durations.p99 = percentile(ns, count, 99);
    durations.max = ns[count - 1];
    return durations;
}

em_u64 milli_per_second(em_u64 steps, em_u64 ns)
{
    return ns == 0 ? 0 : steps * 1000000000000u / ns;
}
