/* Work in equal parts by several threads, which end with it: nothing is left between calls. */
#ifndef PARALLEL_H
#define PARALLEL_H

#include <stddef.h>

typedef void part_of_work(void *context, size_t part, size_t parts);

/* Calls run(context, part, parts) for every part; `parts` is at most MOST_THREADS. A thread that cannot be had is done without. */
void parallel(part_of_work *run, void *context, size_t parts);

enum { MOST_THREADS = 64 };

#endif
