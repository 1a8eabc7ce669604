/*
 * em_session.c - the life of a model: init, verify, prefill, decode, rewind, cancel.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_blob.h"
#include "em_memory.h"
#include "em_model.h"

/* ---- Memory and blob ------------------------------------------------------------------------------------------- */

void em_query(struct em_sizes *sizes)
{
    sizes->arena = EM_ARENA_BYTES;
    sizes->state = EM_STATE_BYTES;
    sizes->kv_cache = EM_KV_CACHE_BYTES;
    sizes->activations = EM_ARENA_BYTES - EM_STATE_BYTES - EM_KV_CACHE_BYTES;
    sizes->blob = EM_BLOB_BYTES;
}

em_status em_init(em_model **model, void *arena, em_u64 arena_bytes, const void *blob, em_u64 blob_bytes,
                  const struct em_config *config)
{
    if (model == EM_NULL || arena == EM_NULL || blob == EM_NULL) {
        return EM_E_ARGUMENT;
    }
    if (arena_bytes < EM_ARENA_BYTES || (em_uptr)arena % EM_ALIGNMENT != 0) {
        return EM_E_ARENA;
    }
    em_status status = em_blob_check(blob, blob_bytes, EM_BLOB_BYTES, EM_BLOB_ENTRIES, EM_BLOB_TABLE_CRC, em_build_id);
    if (status != EM_OK) {
        return status;
    }
    struct em_model *m = arena;
    *m = (struct em_model){.blob = blob, .arena = arena, .threads = 1};
    if (config != EM_NULL) {
        m->parallel = config->parallel;
        m->pool = config->pool;
        m->threads = config->parallel != EM_NULL && config->threads > 1u ? config->threads : 1u;
        m->trace = config->trace;
        m->trace_user = config->trace_user;
    }
#if EM_HAS_TOKENIZER
    /* A damaged tokenizer does not keep token ids from working: em_tokenize reports it. */
    m->tokenizer_status = em_tokenizer_open(&m->tokenizer, m->blob + EM_TOKENIZER_OFFSET, EM_TOKENIZER_BYTES);
#endif
    *model = m;
    return EM_OK;
}

em_status em_verify(const em_model *model)
{
    return model == EM_NULL ? EM_E_ARGUMENT : em_blob_verify(model->blob);
}

/* ---- Tokens ---------------------------------------------------------------------------------------------------- */

static em_status em_check_ids(const struct em_model *m, const em_i32 *ids, em_u32 count)
{
    if (count > EM_CONTEXT - m->position) {
        return EM_E_CONTEXT;
    }
    for (em_u32 i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= EM_VOCAB) {
            return EM_E_TOKEN;
        }
    }
    return EM_OK;
}

/* Logits of the tokens of a batch that the caller wants: all of them for a sink, else only the last of the prefill. */
static EM_NOINLINE void em_batch_logits(struct em_model *m, em_u32 tokens, em_u32 last, em_logits_fn sink, void *user)
{
    if (sink == EM_NULL) {
        if (last) {
            em_head(m, tokens - 1u);
        }
        return;
    }
    for (em_u32 t = 0; t < tokens && !em_is_cancelled(m); t++) {
        em_head(m, t);
        sink(user, m->position + t, em_logits(m));
    }
}

em_status em_prefill(em_model *model, const em_i32 *ids, em_u32 count, em_logits_fn sink, void *user)
{
    if (model == EM_NULL || ids == EM_NULL || count == 0) {
        return EM_E_ARGUMENT;
    }
    struct em_model *m = model;
    em_status status = em_check_ids(m, ids, count);
    if (status != EM_OK) {
        return status;
    }
    em_u32 start = m->position;
    for (em_u32 done = 0; done < count;) {
        em_u32 tokens = count - done < EM_BATCH ? count - done : EM_BATCH;
        em_forward(m, ids + done, tokens);
        if (!em_is_cancelled(m)) {
            em_batch_logits(m, tokens, done + tokens == count, sink, user);
        }
        if (em_is_cancelled(m)) { /* by a hook, by the sink, or from another thread */
            m->position = start;
            return EM_E_CANCELLED;
        }
        m->position += tokens;
        done += tokens;
    }
    return EM_OK;
}

em_status em_decode(em_model *model, em_i32 id)
{
    return em_prefill(model, &id, 1, EM_NULL, EM_NULL);
}

const em_i32 *em_logits(const em_model *model)
{
    return (const em_i32 *)(const void *)(model->arena + EM_AT_LOGITS);
}

em_u32 em_position(const em_model *model)
{
    return model->position;
}

em_status em_rewind(em_model *model, em_u32 position)
{
    if (model == EM_NULL || position > model->position) {
        return EM_E_ARGUMENT;
    }
    model->position = position;
    __atomic_store_n(&model->cancelled, 0, __ATOMIC_RELAXED);
    return EM_OK;
}

void em_cancel(em_model *model)
{
    __atomic_store_n(&model->cancelled, 1, __ATOMIC_RELAXED);
}

em_u32 em_is_end(em_i32 id)
{
    static const em_i32 ends[] = EM_END_IDS;
    for (em_u32 i = 0; i < EM_END_COUNT; i++) {
        if (ends[i] == id) {
            return 1;
        }
    }
    return 0;
}

/* ---- Hooks ----------------------------------------------------------------------------------------------------- */

void em_run_tasks(struct em_model *m, em_task_fn task, void *arg, em_u32 count)
{
    if (m->parallel != EM_NULL && count > 1u) {
        m->parallel(m->pool, task, arg, count);
        return;
    }
    for (em_u32 i = 0; i < count; i++) {
        task(arg, i);
    }
}

void em_trace(struct em_model *m, em_i32 layer, em_u32 op, const em_i32 *values, em_u32 count, em_u32 first, em_u32 tokens)
{
    if (m->trace == EM_NULL) {
        return;
    }
    for (em_u32 t = 0; t < tokens; t++) {
        m->trace(m->trace_user, layer, op, m->position + first + t, values + (em_u64)t * count, count);
    }
}

/* ---- Text ------------------------------------------------------------------------------------------------------ */

em_u64 em_tokenize_scratch(const em_model *model, em_u64 text_bytes)
{
#if EM_HAS_TOKENIZER
    return em_tokenizer_scratch(&model->tokenizer, text_bytes);
#else
    (void)model;
    (void)text_bytes;
    return 0;
#endif
}

em_status em_tokenize(const em_model *model, const char *text, em_u64 text_bytes, em_u32 flags, em_i32 *ids, em_u32 capacity,
                      em_u32 *count, void *scratch, em_u64 scratch_bytes)
{
#if EM_HAS_TOKENIZER
    if (model == EM_NULL) {
        return EM_E_ARGUMENT;
    }
    if (model->tokenizer_status != EM_OK) {
        return model->tokenizer_status;
    }
    return em_tokenizer_encode(&model->tokenizer, text, text_bytes, flags, ids, capacity, count, scratch, scratch_bytes);
#else
    (void)model, (void)text, (void)text_bytes, (void)flags, (void)ids, (void)capacity, (void)count, (void)scratch;
    (void)scratch_bytes;
    return EM_E_TOKENIZER;
#endif
}

em_status em_detokenize(const em_model *model, struct em_text_state *state, em_i32 id, char *text, em_u32 capacity,
                        em_u32 *text_bytes)
{
#if EM_HAS_TOKENIZER
    if (model == EM_NULL) {
        return EM_E_ARGUMENT;
    }
    if (model->tokenizer_status != EM_OK) {
        return model->tokenizer_status;
    }
    return em_tokenizer_decode(&model->tokenizer, state, id, text, capacity, text_bytes);
#else
    (void)model, (void)state, (void)id, (void)text, (void)capacity, (void)text_bytes;
    return EM_E_TOKENIZER;
#endif
}

em_status em_detokenize_end(struct em_text_state *state, char *text, em_u32 capacity, em_u32 *text_bytes)
{
#if EM_HAS_TOKENIZER
    return em_tokenizer_decode_end(state, text, capacity, text_bytes);
#else
    (void)state, (void)text, (void)capacity, (void)text_bytes;
    return EM_E_TOKENIZER;
#endif
}

const char *em_status_name(em_status status)
{
    switch (status) {
    case EM_OK:
        return "ok";
    case EM_E_ARGUMENT:
        return "argument out of range";
    case EM_E_ARENA:
        return "arena too small or misaligned";
    case EM_E_BLOB_ALIGNMENT:
        return "blob misaligned";
    case EM_E_BLOB_TRUNCATED:
        return "blob truncated";
    case EM_E_BLOB_MAGIC:
        return "not a blob of this version";
    case EM_E_BLOB_CHECKSUM:
        return "blob header or table damaged";
    case EM_E_BLOB_BUILD:
        return "blob and code are of different builds";
    case EM_E_BLOB_TABLE:
        return "blob table does not fit the code";
    case EM_E_PAYLOAD:
        return "blob payload damaged";
    case EM_E_TOKEN:
        return "token id outside the vocabulary";
    case EM_E_CONTEXT:
        return "context full";
    case EM_E_CANCELLED:
        return "cancelled";
    case EM_E_CAPACITY:
        return "buffer too small";
    case EM_E_TOKENIZER:
        return "no tokenizer, or a damaged one";
    case EM_E_TEXT:
        return "text without token ids";
    }
    return "unknown status";
}
