/*
 * em_dispatch.h - ops that are worth spreading over threads: linear ops by tiles of rows, attention by heads.
 *
 * Tasks write disjoint memory and every sum is a sum of integers, so results do not depend on their number or order.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_DISPATCH_H
#define EM_DISPATCH_H

#include "em_model.h"

#include "em_attention.h"
#include "em_linear.h"
#include "em_quantize.h"

/* The parts of an int8 buffer of the arena, for EM_BATCH tokens. */
EM_INLINE struct em_q8 em_q8_at(em_u8 *memory, em_u32 columns)
{
    struct em_q8 q8;
    q8.values = (em_i8 *)(void *)memory;
    memory += (em_u64)EM_BATCH * EM_Q8_STRIDE(columns);
    q8.prepared = memory;
    memory += (em_u64)EM_BATCH * EM_PREPARED_BYTES(columns);
    q8.scale = (struct em_token_scale *)(void *)memory;
    return q8;
}

/* ---- Linear ---------------------------------------------------------------------------------------------------- */

struct em_linear_job {
    const struct em_linear_op *op;
    struct em_matrix matrix;
    const em_i32 *bias;
    const struct em_q8 *x;
    em_i32 *out;
    em_u32 tokens;
    em_u32 rows_per_task;
};

static void em_linear_task(void *arg, em_u32 index)
{
    const struct em_linear_job *job = arg;
    em_u32 first = index * job->rows_per_task;
    em_u32 left = job->matrix.rows - first;
    em_u32 end = first + (left < job->rows_per_task ? left : job->rows_per_task);
    em_linear_rows(job->op, &job->matrix, job->bias, job->x, job->tokens, first, end, job->out);
}

/* Multiplications below which another thread costs more than it brings. */
#define EM_TASK_MACS 16384u

/* out[tokens][rows] = requantize(W x) + bias. */
EM_UNUSED EM_NOINLINE static void em_linear(struct em_model *m, const struct em_linear_op *op, em_u32 rows,
                                            em_u32 columns, const struct em_q8 *x, em_u32 tokens, em_i32 *out)
{
    struct em_linear_job job;
    em_u64 macs = (em_u64)rows * columns * tokens;
    em_u32 tiles = (rows + EM_ROW_TILE - 1u) / EM_ROW_TILE;
    em_u32 tasks = macs / EM_TASK_MACS < m->threads ? (em_u32)(macs / EM_TASK_MACS) : m->threads;
    tasks = tasks == 0 ? 1u : tasks;
    job.op = op;
    job.matrix = em_matrix_open(m->blob + op->weights, op->format, rows, columns);
    job.bias = op->bias == EM_NO_BIAS ? EM_NULL : (const em_i32 *)(const void *)(m->blob + op->bias);
    job.x = x;
    job.out = out;
    job.tokens = tokens;
    job.rows_per_task = (tiles + tasks - 1u) / tasks * EM_ROW_TILE;
    em_run_tasks(m, em_linear_task, &job, (rows + job.rows_per_task - 1u) / job.rows_per_task);
}

/* ---- Attention ------------------------------------------------------------------------------------------------- */

struct em_attention_job {
    const struct em_attention_op *op;
    const struct em_attention_shape *shape;
    struct em_kv_cache cache;
    struct em_attention_scratch scratch; /* of head 0 */
    const em_i32 *query;
    em_i32 *out;
    em_u32 position;
    em_u32 tokens;
};

/* One query head for all tokens of the batch. */
static void em_attention_task(void *arg, em_u32 head)
{
    const struct em_attention_job *job = arg;
    const struct em_attention_shape *shape = job->shape;
    em_u32 kv_head = head / (shape->heads / shape->kv_heads);
    struct em_kv_cache cache = em_head_cache(&job->cache, shape, kv_head);
    em_u64 row = (em_u64)shape->heads * em_head_dim(shape);
    em_u64 at = (em_u64)head * em_head_dim(shape);
    struct em_attention_scratch scratch = job->scratch;
    scratch.scores += (em_u64)head * shape->positions * EM_SCORE_INTS;
    scratch.weights += (em_u64)head * shape->positions;
    for (em_u32 t = 0; t < job->tokens; t++, at += row) {
        em_attend(job->op, shape, &cache, &scratch, job->query + at, job->position + t, job->out + at);
    }
}

/* Stores keys and values of the batch into the cache of a layer, then attends: out[tokens][heads * head_dim]. */
EM_UNUSED EM_NOINLINE static void em_attention(struct em_model *m, const struct em_attention_op *op,
                                               const struct em_attention_shape *shape, struct em_kv_cache cache,
                                               struct em_attention_scratch scratch, const em_i32 *query,
                                               const em_i32 *key, const em_i32 *value, em_u32 tokens, em_i32 *out)
{
    em_u32 head_dim = em_head_dim(shape);
    for (em_u32 h = 0; h < shape->kv_heads; h++) {
        struct em_kv_cache head = em_head_cache(&cache, shape, h);
        em_u32 at = h * head_dim;
        em_store_head(&head, head_dim, m->position, key + at, value + at, shape->kv_heads * head_dim, tokens);
    }
    struct em_attention_job job = {op, shape, cache, scratch, query, out, m->position, tokens};
    em_run_tasks(m, em_attention_task, &job, shape->heads);
}

#endif /* EM_DISPATCH_H */
