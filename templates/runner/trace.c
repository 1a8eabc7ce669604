/*
 * trace.c - see trace.h for the format.
 * SPDX-License-Identifier: MIT-0
 */
#include "trace.h"

#include <errno.h>

int trace_open(struct trace *trace, const char *path, struct failure *failure)
{
    trace->path = path;
    trace->error = 0;
    trace->file = fopen(path, "wb");
    return trace->file != NULL ? 0 : fail_system(failure, errno, "cannot create %s", path);
}

void trace_write(void *user, em_i32 layer, em_u32 op, em_u32 position, const em_i32 *values, em_u32 count)
{
    struct trace *trace = user;
    em_u32 head[4] = {(em_u32)layer, op, position, count};

    if (trace->error != 0) {
        return;
    }
    errno = 0;
    if (fwrite(head, sizeof(head), 1, trace->file) != 1 ||
        fwrite(values, sizeof(*values), count, trace->file) != count) {
        trace->error = errno != 0 ? errno : EIO;
    }
}

int trace_close(struct trace *trace, struct failure *failure)
{
    if (trace->file == NULL) {
        return 0;
    }
    errno = 0;
    if (fclose(trace->file) != 0 && trace->error == 0) {
        trace->error = errno != 0 ? errno : EIO;
    }
    trace->file = NULL;
    return trace->error == 0 ? 0 : fail_system(failure, trace->error, "cannot write %s", trace->path);
}
