/*
 * blob_source.c - linked in, mmap, or read.
 * SPDX-License-Identifier: MIT-0
 */
#define _POSIX_C_SOURCE 200809L
#include "blob_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of embedded_blob.S. Without it both are null. */
extern const unsigned char em_embedded_blob[] __attribute__((weak));
extern const unsigned char em_embedded_blob_end[] __attribute__((weak));

int blob_is_embedded(void)
{
    return em_embedded_blob != NULL;
}

/* Maps a regular file. Returns 0 where that is not possible. */
static int map_file(struct blob_source *blob, int file)
{
    struct stat stat;
    void *mapping;

    if (fstat(file, &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_size <= 0) {
        return 0;
    }
    mapping = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapping == MAP_FAILED) {
        return 0;
    }
    blob->mapping = mapping;
    blob->data = mapping;
    blob->bytes = (em_u64)stat.st_size;
    return 1;
}

/* Copies up to `capacity` bytes: from a pipe, a device, or a file system without mmap. Returns 0 or an errno value. */
static int read_file(struct blob_source *blob, int file, em_u64 capacity)
{
    int error = posix_memalign(&blob->copy, EM_ALIGNMENT, capacity);

    if (error != 0) {
        blob->copy = NULL;
        return error;
    }
    blob->data = blob->copy;
    while (blob->bytes < capacity) {
        ssize_t got = read(file, (char *)blob->copy + blob->bytes, capacity - blob->bytes);

        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            return errno;
        }
        blob->bytes += got > 0 ? (em_u64)got : 0;
    }
    return 0;
}

int blob_open(struct blob_source *blob, const char *path, em_u64 bytes_needed, struct failure *failure)
{
    int file, error = 0;

    memset(blob, 0, sizeof(*blob));
    if (path == NULL) {
        blob->name = "the weights in this program";
        blob->data = em_embedded_blob;
        blob->bytes = (em_u64)(em_embedded_blob_end - em_embedded_blob);
        return 0;
    }
    blob->name = path;
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return fail_input(failure, "cannot open the blob %s: %s", path, strerror(errno));
    }
    if (!map_file(blob, file)) {
        error = read_file(blob, file, bytes_needed);
    }
    close(file);
    if (error == ENOMEM) {
        return fail_system(failure, error, "cannot hold the blob %s", path);
    }
    return error == 0 ? 0 : fail_input(failure, "cannot read the blob %s: %s", path, strerror(error));
}

void blob_close(struct blob_source *blob)
{
    if (blob->mapping != NULL) {
        munmap(blob->mapping, blob->bytes);
    }
    free(blob->copy);
    memset(blob, 0, sizeof(*blob));
}
