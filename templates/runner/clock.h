/*
 * clock.h - time that only goes forward.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_CLOCK_H
#define RUNNER_CLOCK_H

#include "em.h"

/* CLOCK_MONOTONIC in nanoseconds. */
em_u64 now_ns(void);

/* How long each of a number of steps took, in nanoseconds. Percentiles are nearest-rank. */
struct durations {
    em_u64 total;
    em_u64 min;
    em_u64 p50;
    em_u64 p90;
    em_u64 p99;
    em_u64 max;
};

/* Sorts ns[0, count) and describes it; all zero where count is 0. */
struct durations describe_durations(em_u64 *ns, em_u32 count);

/* Steps a second times 1000, rounded down; 0 where no time passed. steps: fewer than 2^24, as positions are. */
em_u64 milli_per_second(em_u64 steps, em_u64 ns);

#endif /* RUNNER_CLOCK_H */
