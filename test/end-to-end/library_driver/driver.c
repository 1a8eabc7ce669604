/*
 * driver.c - the command line of driver.h, and what its parts share.
 * SPDX-License-Identifier: MIT-0
 */
#define _POSIX_C_SOURCE 200809L
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char driver_text[] = "the heron is in the water \xf0\x9f\x98\x80 \xff<s>";
const em_u64 driver_text_bytes = sizeof(driver_text) - 1;

void check(int holds, const char *name)
{
    printf("%s %s\n", holds ? "ok" : "not ok", name);
}

void *aligned(em_u64 bytes)
{
    void *memory = NULL;

    if (posix_memalign(&memory, EM_ALIGNMENT, bytes) != 0) {
        fputs("out of memory\n", stderr);
        exit(3);
    }
    return memory;
}

static struct blob load(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct blob blob;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(3);
    }
    blob.bytes = (em_u64)ftell(file);
    rewind(file);
    blob.data = aligned(blob.bytes);
    if (fread(blob.data, 1, blob.bytes, file) != blob.bytes) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(3);
    }
    fclose(file);
    return blob;
}

em_model *open_model(const struct blob *blob, const struct em_config *config)
{
    em_model *model = NULL;
    em_status status = em_init(&model, aligned(EM_ARENA_BYTES), EM_ARENA_BYTES, blob->data, blob->bytes, config);

    if (status != EM_OK) {
        fprintf(stderr, "em_init: %s\n", em_status_name(status));
        exit(3);
    }
    return model;
}

void close_model(em_model *model)
{
    free(model);
}

void fill_ids(em_i32 *ids, em_u32 count)
{
    em_u32 state = 12345;

    for (em_u32 i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        ids[i] = (em_i32)((state >> 8) % (em_u32)EM_VOCAB);
    }
}

void sum_logits(void *user, em_u32 position, const em_i32 *logits)
{
    struct sums *sums = user;

    (void)position;
    sums->digest = em_digest(sums->digest, logits, EM_VOCAB);
    if (++sums->calls == sums->cancel_at && sums->cancel != NULL) {
        em_cancel(sums->cancel);
    }
}

em_u64 whole_context(em_model *model)
{
    struct sums sums = {EM_DIGEST_INIT, 0, NULL, 0};
    em_i32 ids[EM_CONTEXT];

    fill_ids(ids, EM_CONTEXT);
    if (em_rewind(model, 0) != EM_OK || em_prefill(model, ids, EM_CONTEXT, sum_logits, &sums) != EM_OK) {
        return 0;
    }
    return sums.digest;
}

int main(int argc, char **argv)
{
    struct blob blob, other;

    if (argc < 3) {
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* what was checked before the sanitizers stop the program */
    blob = load(argv[2]);
    if (strcmp(argv[1], "damage") == 0) {
        check_damage(&blob);
    } else if (strcmp(argv[1], "interface") == 0 && argc == 4) {
        other = load(argv[3]);
        check_interface(&blob, &other);
        free(other.data);
    } else if (strcmp(argv[1], "context") == 0) {
        check_context(&blob);
    } else if (strcmp(argv[1], "digest") == 0 && argc == 9) {
        print_digest(&blob, argv + 3);
    } else {
        return 2;
    }
    free(blob.data);
    return 0;
}
