/*
 * interface.c - every function with arguments at the edge of what it takes, and beyond.
 * SPDX-License-Identifier: MIT-0
 */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

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

/* em_tokenize with buffers of exactly these sizes. */
static em_status tokenize(const em_model *model, em_u32 capacity, em_u64 scratch_bytes, em_u32 *count)
{
    em_i32 *ids = capacity == 0 ? NULL : aligned(capacity * sizeof(em_i32));
    void *scratch = aligned(scratch_bytes);
    em_status status = em_tokenize(model, driver_text, driver_text_bytes, EM_TOKENIZE_BOS, ids, capacity, count, scratch, scratch_bytes);

    free(ids);
    free(scratch);
    return status;
}

static void tokenize_too_small(const em_model *model)
{
    em_u64 enough = em_tokenize_scratch(model, driver_text_bytes);
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
    check(em_tokenize(model, driver_text, 4, 0, NULL, 4, &count, scratch, enough) == EM_E_ARGUMENT &&
              em_tokenize(model, NULL, 4, 0, NULL, 0, &count, scratch, enough) == EM_E_ARGUMENT &&
              em_tokenize(NULL, driver_text, 4, 0, NULL, 0, &count, scratch, enough) == EM_E_ARGUMENT &&
              em_tokenize(model, driver_text, 4, 0, NULL, 0, &count, (char *)scratch + 1, enough) == EM_E_ARGUMENT &&
              em_tokenize(model, driver_text, ~(em_u64)0, 0, NULL, 0, &count, scratch, enough) == EM_E_ARGUMENT,
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

void check_interface(const struct blob *blob, const struct blob *other)
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
