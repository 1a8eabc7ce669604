/*
 * blob_source.h - where the weights come from: the program itself, a mapped file, or a copy in memory where mapping is
 * not possible.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_BLOB_SOURCE_H
#define RUNNER_BLOB_SOURCE_H

#include "em.h"
#include "failure.h"

struct blob_source {
    const char *name; /* what messages call it */
    const void *data; /* aligned to EM_ALIGNMENT */
    em_u64 bytes;     /* that can be read */
    void *mapping;    /* what blob_close unmaps, or NULL */
    void *copy;       /* what blob_close frees, or NULL */
};

/* Whether embedded_blob.S was linked into this program. */
int blob_is_embedded(void);

/*
 * Opens the blob at `path`, or the embedded one where `path` is NULL. Says nothing about its contents. At most
 * `bytes_needed` bytes are copied where it is not mapped.
 */
int blob_open(struct blob_source *blob, const char *path, em_u64 bytes_needed, struct failure *failure);

void blob_close(struct blob_source *blob);

#endif /* RUNNER_BLOB_SOURCE_H */
