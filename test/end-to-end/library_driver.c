/*
 * library_driver.c - what must hold of a compiled model whatever it is given. Runs under AddressSanitizer and UBSan; every
 * buffer has exactly the documented size, so that one byte too far is an error.
 *
 *     library_driver damage BLOB           every bit of header and table, every byte of the payload, every truncation
 *     library_driver interface BLOB OTHER  arguments out of range, context, rewind, cancel, text; OTHER: another build
 *     library_driver context BLOB          the whole context in chunks and token by token, sampling at all extremes, hooks
 *     library_driver digest BLOB IDS TOKENS TEMPERATURE_Q16 TOP_K TOP_P_Q16 SEED
 *                                          digest and ids of a run, as em-run --records computes them; IDS: 1,2,3
 *
 * Prints "ok NAME" or "not ok NAME" for each check.
 * SPDX-License-Identifier: MIT-0
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "em_blob.h"
#include "em_memory.h"
#include "model.h"

static const char text[] = "the heron is in the water \xf0\x9f\x98\x80 \xff<s>";

static void check(int holds, const char *name)
{
    printf("%s %s\n", holds ? "ok" : "not ok", name);
}

/* Memory of exactly so many bytes, aligned as arena and blob must be. */
static void *aligned(em_u64 bytes)
{
    void *memory = NULL;

    if (posix_memalign(&memory, EM_ALIGNMENT, bytes) != 0) {
        fputs("out of memory\n", stderr);
        exit(3);
    }
    return memory;
}

struct blob {
    em_u8 *data;
    em_u64 bytes;
};

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

static em_model *open_model(const struct blob *blob, const struct em_config *config)
{
    em_model *model = NULL;
    em_status status = em_init(&model, aligned(EM_ARENA_BYTES), EM_ARENA_BYTES, blob->data, blob->bytes, config);

    if (status != EM_OK) {
        fprintf(stderr, "em_init: %s\n", em_status_name(status));
        exit(3);
    }
    return model;
}

/* The model lies at the start of its arena. */
static void close_model(em_model *model)
{
    free(model);
}

/* ---- Damage ------------------------------------------------------------------------------------------------------ */

/* Token ids and text through a tokenizer that may be damaged: no matter what comes out. */
static void use_tokenizer(const em_model *model)
{
    em_u64 scratch_bytes = em_tokenize_scratch(model, sizeof(text) - 1);
    void *scratch = aligned(scratch_bytes);
    struct em_text_state state = {0};
    em_i32 ids[64];
    em_u32 count = 0, bytes;
    char out[64];

    em_tokenize(model, text, sizeof(text) - 1, EM_TOKENIZE_BOS | EM_TOKENIZE_SPECIAL, ids, 64, &count, scratch, scratch_bytes);
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

static void damage(const struct blob *blob)
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

/* ---- Interface ---------------------------------------------------------------------------------------------------- */

/* Ids spread over the vocabulary, the same in every run. */
static void fill_ids(em_i32 *ids, em_u32 count)
{
    em_u32 state = 12345;

    for (em_u32 i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        ids[i] = (em_i32)((state >> 8) % (em_u32)EM_VOCAB);
    }
}

struct sums {
    em_u64 digest;
    em_u32 calls;
    em_model *cancel; /* or null */
    em_u32 cancel_at; /* call at which to cancel */
};

/* An em_logits_fn. */
static void sum_logits(void *user, em_u32 position, const em_i32 *logits)
{
    struct sums *sums = user;

    (void)position;
    sums->digest = em_digest(sums->digest, logits, EM_VOCAB);
    if (++sums->calls == sums->cancel_at && sums->cancel != NULL) {
        em_cancel(sums->cancel);
    }
}

/* Digest of the logits of all positions of the whole context, from wherever the model stands. */
static em_u64 whole_context(em_model *model)
{
    struct sums sums = {EM_DIGEST_INIT, 0, NULL, 0};
    em_i32 ids[EM_CONTEXT];

    fill_ids(ids, EM_CONTEXT);
    if (em_rewind(model, 0) != EM_OK || em_prefill(model, ids, EM_CONTEXT, sum_logits, &sums) != EM_OK) {
        return 0;
    }
    return sums.digest;
}

static void refuse_arguments(const struct blob *blob, const struct blob *other)
{
    em_u8 *arena = aligned(EM_ARENA_BYTES);
    em_model *model = NULL;
    struct em_sampler sampler = {65536, 0, 65537, 0};
    em_i32 id = 0;

    check(em_init(NULL, arena, EM_ARENA_BYTES, blob->data, blob->bytes, NULL) == EM_E_ARGUMENT &&
              em_init(&model, NULL, EM_ARENA_BYTES, blob->data, blob->bytes, NULL) == EM_E_ARGUMENT &&
              em_init(&model, arena, EM_ARENA_BYTES, NULL, blob->bytes, NULL) == EM_E_ARGUMENT,
          "em_init refuses null pointers");
    check(em_init(&model, arena, EM_ARENA_BYTES - 1, blob->data, blob->bytes, NULL) == EM_E_ARENA &&
              em_init(&model, arena, 0, blob->data, blob->bytes, NULL) == EM_E_ARENA,
          "em_init refuses an arena that is too small");
    check(em_init(&model, arena, EM_ARENA_BYTES, other->data, other->bytes, NULL) == EM_E_BLOB_BUILD,
          "em_init refuses a blob of another build with the same shapes");
    check(em_verify(NULL) == EM_E_ARGUMENT && em_prefill(NULL, &id, 1, NULL, NULL) == EM_E_ARGUMENT &&
              em_decode(NULL, 0) == EM_E_ARGUMENT && em_rewind(NULL, 0) == EM_E_ARGUMENT &&
              em_sample(NULL, &sampler, &id) == EM_E_ARGUMENT,
          "no model, no work");
    free(arena);
    model = open_model(blob, NULL);
    check(em_prefill(model, NULL, 1, NULL, NULL) == EM_E_ARGUMENT && em_prefill(model, &id, 0, NULL, NULL) == EM_E_ARGUMENT,
          "em_prefill refuses no ids");
    check(em_decode(model, 0) == EM_OK && em_sample(model, NULL, &id) == EM_E_ARGUMENT &&
              em_sample(model, &sampler, NULL) == EM_E_ARGUMENT && em_sample(model, &sampler, &id) == EM_E_ARGUMENT,
          "em_sample refuses null pointers and a top-p above one");
    close_model(model);
}

static void refuse_ids(em_model *model)
{
    static const em_i32 wrong[] = {-1, EM_VOCAB, EM_I32_MAX, -EM_I32_MAX - 1};
    em_i32 ids[EM_CONTEXT];
    em_u32 accepted = 0;

    fill_ids(ids, EM_CONTEXT);
    em_rewind(model, 0);
    em_prefill(model, ids, 3, NULL, NULL);
    for (em_u32 i = 0; i < 4; i++) {
        accepted += em_decode(model, wrong[i]) != EM_E_TOKEN;
        ids[40] = wrong[i]; /* in the second batch: nothing of the first may have been done */
        accepted += em_prefill(model, ids, 41, NULL, NULL) != EM_E_TOKEN;
    }
    check(accepted == 0 && em_position(model) == 3, "ids outside the vocabulary are refused, and the position stays");
}

static void fill_context(em_model *model)
{
    em_i32 ids[EM_CONTEXT + 1];
    em_u64 before;

    fill_ids(ids, EM_CONTEXT + 1);
    em_rewind(model, 0);
    check(em_prefill(model, ids, EM_CONTEXT + 1, NULL, NULL) == EM_E_CONTEXT &&
              em_prefill(model, ids, 0xffffffffu, NULL, NULL) == EM_E_CONTEXT && em_position(model) == 0,
          "more ids than the context holds are refused before one is read");
    check(em_prefill(model, ids, EM_CONTEXT, NULL, NULL) == EM_OK && em_position(model) == EM_CONTEXT,
          "the context can be filled");
    before = em_digest(EM_DIGEST_INIT, em_logits(model), EM_VOCAB);
    check(em_decode(model, ids[0]) == EM_E_CONTEXT && em_position(model) == EM_CONTEXT &&
              em_digest(EM_DIGEST_INIT, em_logits(model), EM_VOCAB) == before,
          "a full context takes no token, and the logits stay");
    check(em_rewind(model, EM_CONTEXT + 1) == EM_E_ARGUMENT && em_rewind(model, EM_CONTEXT / 2) == EM_OK &&
              em_rewind(model, EM_CONTEXT / 2 + 1) == EM_E_ARGUMENT && em_position(model) == EM_CONTEXT / 2,
          "em_rewind goes back only");
    check(em_prefill(model, ids + EM_CONTEXT / 2, EM_CONTEXT - EM_CONTEXT / 2, NULL, NULL) == EM_OK &&
              em_digest(EM_DIGEST_INIT, em_logits(model), EM_VOCAB) == before,
          "the same ids after a rewind give the same logits");
}

static void cancel_prefill(em_model *model, em_u64 undisturbed)
{
    em_u32 points[] = {1, EM_BATCH, EM_BATCH + 3, EM_CONTEXT}, wrong = 0;
    em_i32 ids[EM_CONTEXT];

    fill_ids(ids, EM_CONTEXT);
    for (em_u32 i = 0; i < 4; i++) {
        struct sums sums = {EM_DIGEST_INIT, 0, model, points[i]};

        em_rewind(model, 0);
        wrong += em_prefill(model, ids, EM_CONTEXT, sum_logits, &sums) != EM_E_CANCELLED || em_position(model) != 0;
        wrong += sums.calls != points[i]; /* nothing is computed that nobody wants */
        wrong += em_decode(model, ids[0]) != EM_E_CANCELLED;
        wrong += whole_context(model) != undisturbed;
    }
    check(wrong == 0, "a sink can cancel; the position stays, and a rewind makes the model usable again");
}

/* ---- Hooks ---------------------------------------------------------------------------------------------------------- */

struct hooks {
    em_model *cancel; /* or null */
    em_u32 calls;
    em_u32 cancel_at;
    em_u32 most_tasks;
    em_u64 traced; /* values */
};

/* An em_parallel_fn that runs its tasks from the last to the first. */
static void run_backwards(void *pool, em_task_fn task, void *arg, em_u32 count)
{
    struct hooks *hooks = pool;

    hooks->most_tasks = count > hooks->most_tasks ? count : hooks->most_tasks;
    if (++hooks->calls == hooks->cancel_at && hooks->cancel != NULL) {
        em_cancel(hooks->cancel);
    }
    for (em_u32 i = count; i > 0; i--) {
        task(arg, i - 1);
    }
}

/* An em_trace_fn. */
static void count_values(void *user, em_i32 layer, em_u32 op, em_u32 position, const em_i32 *values, em_u32 count)
{
    struct hooks *hooks = user;

    (void)layer, (void)op, (void)position;
    hooks->traced += em_digest(0, values, count) == 0 ? 0 : count; /* reads all of them */
}

static void use_hooks(const struct blob *blob, em_u64 undisturbed)
{
    static const em_u32 threads[] = {2, 3, 64, 0xffffffffu};
    em_u32 wrong = 0;

    for (em_u32 i = 0; i < 4; i++) {
        struct hooks hooks = {NULL, 0, 0, 0, 0};
        struct em_config config = {run_backwards, &hooks, threads[i], count_values, &hooks};
        em_model *model = open_model(blob, &config);

        wrong += whole_context(model) != undisturbed || hooks.most_tasks < 2 || hooks.traced < EM_CONTEXT;
        hooks = (struct hooks){model, 0, 4, 0, 0};
        wrong += whole_context(model) != 0; /* cancelled from within a layer */
        hooks.cancel = NULL;
        wrong += whole_context(model) != undisturbed;
        close_model(model);
    }
    check(wrong == 0, "tasks may run in any order, with any number of threads; a hook can cancel; a trace changes nothing");
}

static void interleave(const struct blob *blob)
{
    em_model *a = open_model(blob, NULL), *b = open_model(blob, NULL);
    em_u64 first = EM_DIGEST_INIT, second = EM_DIGEST_INIT;
    em_i32 ids[24];

    fill_ids(ids, 24);
    for (em_u32 i = 0; i < 12; i++) {
        em_decode(a, ids[i]);
        em_decode(b, ids[12 + i]);
        first = em_digest(first, em_logits(a), EM_VOCAB);
    }
    em_rewind(b, 0);
    for (em_u32 i = 0; i < 12; i++) {
        em_decode(b, ids[i]);
        second = em_digest(second, em_logits(b), EM_VOCAB);
    }
    check(first == second, "two models of one blob do not disturb each other");
    close_model(a);
    close_model(b);
}

/* ---- Text ------------------------------------------------------------------------------------------------------------ */

/* em_tokenize with buffers of exactly these sizes. */
static em_status tokenize(const em_model *model, em_u32 capacity, em_u64 scratch_bytes, em_u32 *count)
{
    em_i32 *ids = capacity == 0 ? NULL : aligned(capacity * sizeof(em_i32));
    void *scratch = aligned(scratch_bytes);
    em_status status = em_tokenize(model, text, sizeof(text) - 1, EM_TOKENIZE_BOS, ids, capacity, count, scratch, scratch_bytes);

    free(ids);
    free(scratch);
    return status;
}

static void tokenize_too_small(const em_model *model)
{
    em_u64 enough = em_tokenize_scratch(model, sizeof(text) - 1);
    em_u32 needed = 0, count, accepted = 0;
    em_u64 *scratch = aligned(enough + 8);

    check(tokenize(model, 64, enough, &needed) == EM_OK && needed > 8, "a text has ids");
    check(tokenize(model, needed, enough, &count) == EM_OK && count == needed, "room for exactly these ids is enough");
    for (em_u32 capacity = 0; capacity < needed; capacity++) {
        accepted += tokenize(model, capacity, enough, &count) != EM_E_CAPACITY || count > capacity;
    }
    check(accepted == 0, "em_tokenize refuses any smaller capacity");
    check(tokenize(model, needed, enough - 1, &count) == EM_E_CAPACITY && tokenize(model, needed, 1, &count) == EM_E_CAPACITY,
          "em_tokenize refuses less scratch memory");
    check(em_tokenize(model, text, 4, 0, NULL, 4, &count, scratch, enough) == EM_E_ARGUMENT &&
              em_tokenize(model, NULL, 4, 0, NULL, 0, &count, scratch, enough) == EM_E_ARGUMENT &&
              em_tokenize(NULL, text, 4, 0, NULL, 0, &count, scratch, enough) == EM_E_ARGUMENT &&
              em_tokenize(model, text, 4, 0, NULL, 0, &count, (char *)scratch + 1, enough) == EM_E_ARGUMENT &&
              em_tokenize(model, text, ~(em_u64)0, 0, NULL, 0, &count, scratch, enough) == EM_E_ARGUMENT,
          "em_tokenize refuses null pointers, misaligned scratch memory and endless texts");
    free(scratch);
}

static void detokenize_too_small(const em_model *model)
{
    em_u32 wrong = 0, bytes = 0;
    char out[16];

    for (em_i32 id = 0; id < EM_VOCAB; id++) {
        struct em_text_state state = {0}, small = {0};
        em_status status = em_detokenize(model, &state, id, out, sizeof(out), &bytes);
        char *exact = aligned(bytes);

        wrong += status != EM_OK;
        if (bytes > 0) {
            em_u32 written;

            wrong += em_detokenize(model, &small, id, exact, bytes - 1, &written) != EM_E_CAPACITY;
            wrong += memcmp(&small, &(struct em_text_state){0}, sizeof(small)) != 0;
            wrong += em_detokenize(model, &small, id, exact, bytes, &written) != EM_OK || memcmp(exact, out, bytes) != 0;
        }
        free(exact);
    }
    check(wrong == 0, "em_detokenize refuses too little room, leaves its state, and then works with enough");
    struct em_text_state state = {0}, damaged = {{0xff, 0xff, 0xff, 0xff}, 200, 200};
    check(em_detokenize(model, &state, -1, out, sizeof(out), &bytes) == EM_E_TOKEN &&
              em_detokenize(model, &state, EM_VOCAB, out, sizeof(out), &bytes) == EM_E_TOKEN &&
              em_detokenize(model, NULL, 5, out, sizeof(out), &bytes) == EM_E_ARGUMENT &&
              em_detokenize(NULL, &state, 5, out, sizeof(out), &bytes) == EM_E_ARGUMENT &&
              em_detokenize(model, &damaged, 5, out, sizeof(out), &bytes) == EM_E_ARGUMENT,
          "em_detokenize refuses ids outside the vocabulary, null pointers and a damaged state");
}

static void interface(const struct blob *blob, const struct blob *other)
{
    em_model *model = open_model(blob, NULL);
    em_u64 undisturbed = whole_context(model);

    check(undisturbed != 0 && whole_context(model) == undisturbed, "the same ids give the same logits");
    refuse_arguments(blob, other);
    refuse_ids(model);
    fill_context(model);
    cancel_prefill(model, undisturbed);
    interleave(blob);
    tokenize_too_small(model);
    detokenize_too_small(model);
    close_model(model);
}

/* ---- The whole forward pass -------------------------------------------------------------------------------------------- */

static void context(const struct blob *blob)
{
    static const em_u32 temperatures[] = {0, 1, 100, 65536, 1u << 24, 0xffffffffu}, tops[] = {0, 1, 2, 40, EM_VOCAB, 0xffffffffu},
                        shares[] = {0, 1, 32768, 65535, 65536};
    em_model *model = open_model(blob, NULL);
    struct sums chunks = {EM_DIGEST_INIT, 0, NULL, 0};
    em_u64 whole = whole_context(model), tokens = EM_DIGEST_INIT;
    em_i32 ids[EM_CONTEXT];
    em_u32 wrong = 0;

    fill_ids(ids, EM_CONTEXT);
    em_rewind(model, 0);
    for (em_u32 at = 0, chunk = 1; at < EM_CONTEXT; at += chunk, chunk = chunk % 37 + 4) { /* 1, 5, 9 ... around the batch */
        chunk = chunk < EM_CONTEXT - at ? chunk : EM_CONTEXT - at;
        wrong += em_prefill(model, ids + at, chunk, sum_logits, &chunks) != EM_OK;
    }
    check(wrong == 0 && chunks.digest == whole, "chunks of many sizes give the same logits");
    em_rewind(model, 0);
    for (em_u32 at = 0; at < EM_CONTEXT; at++) {
        wrong += em_decode(model, ids[at]) != EM_OK;
        tokens = em_digest(tokens, em_logits(model), EM_VOCAB);
        for (em_u32 i = 0; i < 6u * 6u * 5u; i++) {
            struct em_sampler sampler = {temperatures[i / 30], tops[i / 5 % 6], shares[i % 5], 0};
            em_i32 id = -1;

            em_seed(&sampler, (em_u64)at << 40 | i);
            wrong += em_sample(model, &sampler, &id) != EM_OK || id < 0 || id >= EM_VOCAB;
        }
    }
    check(tokens == whole, "token by token to the end of the context gives the same logits");
    check(wrong == 0, "sampling at all extremes gives ids of the vocabulary");
    use_hooks(blob, whole);
    close_model(model);
}

static void digest(const struct blob *blob, char **argv)
{
    em_model *model = open_model(blob, NULL);
    struct sums sums = {EM_DIGEST_INIT, 0, NULL, 0};
    em_u32 tokens = (em_u32)strtoul(argv[1], NULL, 10);
    struct em_sampler sampler = {(em_u32)strtoul(argv[2], NULL, 10), (em_u32)strtoul(argv[3], NULL, 10),
                                 (em_u32)strtoul(argv[4], NULL, 10), 0};
    em_i32 id = 0;

    em_seed(&sampler, strtoull(argv[5], NULL, 10));
    for (char *at = argv[0]; *at != 0; at += *at == ',') {
        id = (em_i32)strtol(at, &at, 10);
        if (em_prefill(model, &id, 1, sum_logits, &sums) != EM_OK) {
            exit(3);
        }
    }
    printf("ids");
    for (em_u32 i = 0; i < tokens && (i == 0 || !em_is_end(id)); i++) {
        if (i != 0 && em_prefill(model, &id, 1, sum_logits, &sums) != EM_OK) {
            exit(3);
        }
        em_sample(model, &sampler, &id);
        printf("%c%d", i == 0 ? ' ' : ',', id);
    }
    printf("\ndigest %016llx\n", (unsigned long long)sums.digest);
    close_model(model);
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
        damage(&blob);
    } else if (strcmp(argv[1], "interface") == 0 && argc == 4) {
        other = load(argv[3]);
        interface(&blob, &other);
        free(other.data);
    } else if (strcmp(argv[1], "context") == 0) {
        context(&blob);
    } else if (strcmp(argv[1], "digest") == 0 && argc == 9) {
        digest(&blob, argv + 3);
    } else {
        return 2;
    }
    free(blob.data);
    return 0;
}
