/*
 * read_bandwidth.c - how fast one thread reads memory that it reads again and again: the roof of decoding, where every weight
 * is read once a token.
 *
 *     read_bandwidth BYTES...          for each working set, a line: BYTES and bytes a second of the fastest pass
 *
 * Sums 64-bit words, many at a time, as one stream and as four that lie apart: what is faster counts.
 * SPDX-License-Identifier: MIT-0
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STREAMS 4u
#define UNROLL 4u
#define PASS_SECONDS 0.02 /* a pass is so long at least, and reads the working set as often as that takes */
#define PASSES 12

typedef uint64_t words __attribute__((vector_size(32)));

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* count: words of each stream, a multiple of UNROLL. Stream s begins at s * count. */
static words sum_streams(const words *data, size_t count, size_t streams)
{
    words sums[STREAMS][UNROLL];
    words total = {0};

    memset(sums, 0, sizeof(sums));
    if (streams == 1) {
        for (size_t i = 0; i < count; i += STREAMS * UNROLL) {
            for (size_t k = 0; k < STREAMS * UNROLL; k++) {
                sums[k / UNROLL][k % UNROLL] += data[i + k];
            }
        }
    } else {
        for (size_t i = 0; i < count; i += UNROLL) {
            for (size_t k = 0; k < STREAMS * UNROLL; k++) {
                sums[k / UNROLL][k % UNROLL] += data[k / UNROLL * count + i + k % UNROLL];
            }
        }
    }
    for (size_t k = 0; k < STREAMS * UNROLL; k++) {
        total += sums[k / UNROLL][k % UNROLL];
    }
    return total;
}

/* Bytes a second of one pass. */
static double run_pass(const words *data, size_t count, size_t streams, volatile uint64_t *sink)
{
    double start = now(), seconds;
    size_t repeats = 0;

    do {
        *sink += sum_streams(data, count / streams, streams)[0];
        repeats++;
        seconds = now() - start;
    } while (seconds < PASS_SECONDS);
    return (double)repeats * (double)count * sizeof(words) / seconds;
}

static int measure(size_t bytes)
{
    const size_t step = sizeof(words) * STREAMS * STREAMS * UNROLL;
    size_t used = bytes < step ? step : bytes / step * step, count = used / sizeof(words);
    words *data = aligned_alloc(64, used);
    volatile uint64_t sink = 0;
    double best = 0;

    if (data == NULL) {
        fprintf(stderr, "read_bandwidth: no memory for %zu bytes\n", used);
        return 3;
    }
    memset(data, 1, used); /* pages that were never written are all one page of zeros */
    for (int pass = 0; pass < PASSES; pass++) {
        double rate = run_pass(data, count, pass % 2 == 0 ? 1 : STREAMS, &sink);

        best = rate > best ? rate : best;
    }
    free(data);
    printf("%zu %.0f\n", bytes, best);
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int failed = measure(strtoull(argv[i], NULL, 10));

        if (failed) {
            return failed;
        }
    }
    return 0;
}
