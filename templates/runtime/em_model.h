/*
 * em_model.h - the state of a model and what the parts of the library call from each other. Not part of the interface.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_MODEL_H
#define EM_MODEL_H

#include "model.h"
#if EM_HAS_TOKENIZER
#include "em_tokenizer.h"
#endif

/* Lies at the start of the arena. */
struct em_model {
    const em_u8 *blob;
    em_u8 *arena;
    em_parallel_fn parallel; /* or null */
    void *pool;
    em_trace_fn trace; /* or null */
    void *trace_user;
    em_u32 threads;   /* at least 1 */
    em_u32 position;  /* tokens in the KV cache */
    em_u32 cancelled; /* set by em_cancel, perhaps from another thread: read and written atomically */
#if EM_HAS_TOKENIZER
    struct em_tokenizer tokenizer;
    em_status tokenizer_status; /* of opening the table in the blob */
#endif
};

_Static_assert(sizeof(struct em_model) <= EM_STATE_BYTES, "the arena reserves enough for the state");

/* Runs a batch of tokens from m->position on through embedding and layers (model.c). Does not move the position. */
void em_forward(struct em_model *m, const em_i32 *ids, em_u32 tokens);

/* Logits of one token of the batch that em_forward ran (model.c). */
void em_head(struct em_model *m, em_u32 token);

/* Runs tasks through the hook, or one after the other. */
void em_run_tasks(struct em_model *m, em_task_fn task, void *arg, em_u32 count);

/* Reports a buffer of a batch to the trace, one call a token. layer: -1 outside the layers. */
void em_trace(struct em_model *m, em_i32 layer, em_u32 op, const em_i32 *values, em_u32 count, em_u32 first, em_u32 tokens);

/* Whether em_cancel was called. */
EM_INLINE em_u32 em_is_cancelled(const struct em_model *m)
{
    return __atomic_load_n(&m->cancelled, __ATOMIC_RELAXED);
}

#endif /* EM_MODEL_H */
