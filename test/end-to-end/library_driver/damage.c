/*
 * damage.c - blobs that are not what they were.
 * SPDX-License-Identifier: MIT-0
 */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "em_blob.h"
#include "em_memory.h"

/* Token ids and text through a tokenizer that may be damaged: no matter what comes out. */
static void use_tokenizer(const em_model *model)
{
    em_u64 scratch_bytes = em_tokenize_scratch(model, driver_text_bytes);
    void *scratch = aligned(scratch_bytes);
    struct em_text_state state = {0};
    em_i32 ids[64];
    em_u32 count = 0, bytes;
    char out[64];

    em_tokenize(model, driver_text, driver_text_bytes, EM_TOKENIZE_BOS | EM_TOKENIZE_SPECIAL, ids, 64, &count, scratch, scratch_bytes);
    for (em_u32 i = 0; i < count; i++) {
        em_detokenize(model, &state, ids[i], out, sizeof(out), &bytes);
    }
    em_detokenize(model, &state, EM_VOCAB - 1, out, sizeof(out), &bytes);
    em_detokenize_end(&state, out, sizeof(out), &bytes);
    free(scratch);
}

static void damage_head(const struct blob *blob, void *arena)
{
    em_u64 head = ((const struct em_blob_header *)(const void *)blob->data)->payload_offset;
    em_u64 accepted = 0;
    char name[100];

    for (em_u64 bit = 0; bit < 8 * head; bit++) {
        em_model *model = NULL;

        blob->data[bit / 8] ^= (em_u8)(1u << bit % 8);
        accepted += em_init(&model, arena, EM_ARENA_BYTES, blob->data, blob->bytes, NULL) == EM_OK || model != NULL;
        blob->data[bit / 8] ^= (em_u8)(1u << bit % 8);
    }
    snprintf(name, sizeof(name), "em_init refuses each of %llu flipped bits of header and table", 8ull * head);
    check(accepted == 0 && head >= 128, name);
}

static void damage_payload(const struct blob *blob, void *arena)
{
    em_u64 head = ((const struct em_blob_header *)(const void *)blob->data)->payload_offset;
    em_u64 opened = 0, refused = 0;
    char name[100];

    for (em_u64 at = head; at < blob->bytes; at++) {
        em_model *model = NULL;

        blob->data[at] ^= (em_u8)(1u << at % 8);
        opened += em_init(&model, arena, EM_ARENA_BYTES, blob->data, blob->bytes, NULL) == EM_OK;
        refused += model != NULL && em_verify(model) == EM_E_PAYLOAD;
        if (model != NULL && at >= EM_TOKENIZER_OFFSET && at < EM_TOKENIZER_OFFSET + EM_TOKENIZER_BYTES) {
            use_tokenizer(model); /* its table is checked when it is opened: not even an unverified one is dangerous */
        }
        blob->data[at] ^= (em_u8)(1u << at % 8);
    }
    snprintf(name, sizeof(name), "em_verify refuses a flipped bit in each of %llu bytes of the payload",
             (unsigned long long)(blob->bytes - head));
    check(refused == blob->bytes - head && refused > 0, name);
    check(opened == blob->bytes - head, "em_init reads nothing of the payload but the tokenizer");
}

static em_status init_copy(const struct blob *blob, em_u64 bytes, void *arena)
{
    em_u64 known = bytes < blob->bytes ? bytes : blob->bytes;
    em_u8 *copy = aligned(bytes);
    em_model *model = NULL;
    em_status status;

    memcpy(copy, blob->data, known);
    memset(copy + known, 0, bytes - known);
    status = em_init(&model, arena, EM_ARENA_BYTES, copy, bytes, NULL);
    free(copy);
    return status;
}

static void truncate_blob(const struct blob *blob, void *arena)
{
    em_u64 accepted = 0;

    for (em_u64 bytes = 0; bytes < blob->bytes; bytes += bytes < 256 ? 1 : 64) {
        accepted += init_copy(blob, bytes, arena) != EM_E_BLOB_TRUNCATED;
    }
    accepted += init_copy(blob, blob->bytes - 1, arena) != EM_E_BLOB_TRUNCATED;
    check(accepted == 0, "em_init refuses a blob cut at any multiple of 64, and in any byte of its header");
    check(init_copy(blob, blob->bytes + 64, arena) == EM_OK, "em_init takes a blob with bytes after its end");
}

static void misalign(const struct blob *blob, void *arena)
{
    em_u8 *wide = aligned(blob->bytes + EM_ALIGNMENT), *wide_arena = aligned(EM_ARENA_BYTES + EM_ALIGNMENT);
    em_model *model = NULL;
    em_u32 accepted = 0;

    for (em_u32 shift = 1; shift < EM_ALIGNMENT; shift++) {
        memcpy(wide + shift, blob->data, blob->bytes);
        accepted += em_init(&model, arena, EM_ARENA_BYTES, wide + shift, blob->bytes, NULL) != EM_E_BLOB_ALIGNMENT;
        accepted += em_init(&model, wide_arena + shift, EM_ARENA_BYTES, blob->data, blob->bytes, NULL) != EM_E_ARENA;
    }
    check(accepted == 0 && model == NULL, "em_init refuses blobs and arenas that are not aligned");
    free(wide);
    free(wide_arena);
}

void check_damage(const struct blob *blob)
{
    void *arena = aligned(EM_ARENA_BYTES);
    em_model *model = NULL;

    check(em_init(&model, arena, EM_ARENA_BYTES, blob->data, blob->bytes, NULL) == EM_OK && em_verify(model) == EM_OK,
          "the blob as it is passes");
    damage_head(blob, arena);
    damage_payload(blob, arena);
    truncate_blob(blob, arena);
    misalign(blob, arena);
    free(arena);
}
