/*
 * trace.h - every op's output into a file, for comparison layer by layer.
 *
 * The file is a sequence of calls of em_config.trace, little-endian: i32 layer, u32 op, u32 position, u32 count, and
 * then int32 values[count].
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_TRACE_H
#define RUNNER_TRACE_H

#include <stdio.h>

#include "em.h"
#include "failure.h"

struct trace {
    FILE *file; /* or NULL */
    const char *path;
    int error; /* errno of the first failed write, or 0 */
};

int trace_open(struct trace *trace, const char *path, struct failure *failure);

/* An em_trace_fn; `user` is a struct trace. */
void trace_write(void *user, em_i32 layer, em_u32 op, em_u32 position, const em_i32 *values, em_u32 count);

/* Closes the file, and says whether all of it was written. Does nothing where none was opened. */
int trace_close(struct trace *trace, struct failure *failure);

#endif /* RUNNER_TRACE_H */
