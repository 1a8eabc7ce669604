/*
 * model.c - tiny-qwen3 for x86_64-avx2, plan mixed.
 *
 * 2 layers, width 16, 4 heads of 4 (2 KV), vocabulary 12, context 16.
 * Blob 12032 bytes, arena 4672 bytes.
 *
 * Integers only: activations are int32 in Q formats that calibration chose, inputs of matrices int8 with one scale a
 * token. The arithmetic is specified in docs/arithmetic.md of embed-model. This file is the model's own: its shapes,
 * constants and order of ops; everything else is shared by all models.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_model.h"

#include "em_attention.h"
#include "em_dispatch.h"
#include "em_elementwise.h"
#include "em_memory.h"
#include "em_norm.h"

#define EM_LAYERS 2u

/* ---- Constants ------------------------------------------------------------------------------------------------- */

/* Constants of one layer. Offsets are bytes from the start of the blob. */
struct em_layer {
    struct em_norm_op attn_norm;
    struct em_linear_op q;
    struct em_linear_op k;
    struct em_linear_op v;
    struct em_norm_op q_norm;
    struct em_norm_op k_norm;
    struct em_attention_op attn;
    struct em_linear_op o;
    struct em_norm_op mlp_norm;
    struct em_linear_op gate;
    struct em_linear_op up;
    struct em_swiglu_op act;
    struct em_linear_op down;
};

static const struct em_layer em_layers[EM_LAYERS] = {
    { /* layer 0 */
        .attn_norm = { .gains = 11328u, .epsilon = 755578637259143296, .floor_bits = 12, .out_shift = 33 }, /* -> Q24 */
        .q = { .weights = 3072u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
               .least_shift = 36 }, /* w16, Q24 -> Q24 */
        .k = { .weights = 3648u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
               .least_shift = 36 }, /* w16, Q24 -> Q24 */
        .v = { .weights = 3968u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
               .least_shift = 36 }, /* w16, Q24 -> Q24 */
        .q_norm = { .gains = 11392u, .epsilon = 755578637259143296, .floor_bits = 11, .out_shift = 41 }, /* -> Q24 */
        .k_norm = { .gains = 11456u, .epsilon = 755578637259143296, .floor_bits = 11, .out_shift = 34 }, /* -> Q24 */
        .attn = { .score_shift = 32 }, /* -> Q24 */
        .o = { .weights = 4288u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
               .least_shift = 36 }, /* w16, Q24 -> Q24 */
        .mlp_norm = { .gains = 11520u, .epsilon = 755578637259143296, .floor_bits = 12, .out_shift = 33 }, /* -> Q24 */
        .gate = { .weights = 4864u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
                  .least_shift = 36 }, /* w16, Q24 -> Q24 */
        .up = { .weights = 5568u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
                .least_shift = 36 }, /* w16, Q24 -> Q24 */
        .act = { .gate_frac = 24, .out_shift = 24 }, /* gate Q24 -> Q24 */
        .down = { .weights = 6272u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
                  .least_shift = 36 }, /* w16, Q24 -> Q24 */
    },
    { /* layer 1 */
        .attn_norm = { .gains = 11584u, .epsilon = 755578637259143296, .floor_bits = 12, .out_shift = 33 }, /* -> Q24 */
        .q = { .weights = 6976u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
               .least_shift = 37 }, /* w16, Q24 -> Q24 */
        .k = { .weights = 7552u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
               .least_shift = 37 }, /* w16, Q24 -> Q24 */
        .v = { .weights = 7872u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
               .least_shift = 36 }, /* w16, Q24 -> Q24 */
        .q_norm = { .gains = 11648u, .epsilon = 755578637259143296, .floor_bits = 11, .out_shift = 41 }, /* -> Q24 */
        .k_norm = { .gains = 11712u, .epsilon = 755578637259143296, .floor_bits = 11, .out_shift = 34 }, /* -> Q24 */
        .attn = { .score_shift = 32 }, /* -> Q24 */
        .o = { .weights = 8192u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
               .least_shift = 36 }, /* w16, Q24 -> Q24 */
        .mlp_norm = { .gains = 11776u, .epsilon = 755578637259143296, .floor_bits = 12, .out_shift = 33 }, /* -> Q24 */
        .gate = { .weights = 8768u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
                  .least_shift = 36 }, /* w16, Q24 -> Q24 */
        .up = { .weights = 9472u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
                .least_shift = 36 }, /* w16, Q24 -> Q24 */
        .act = { .gate_frac = 24, .out_shift = 24 }, /* gate Q24 -> Q24 */
        .down = { .weights = 10176u, .bias = EM_NO_BIAS, .format = EM_W16, .accumulator_shift = 0,
                  .least_shift = 36 }, /* w16, Q24 -> Q24 */
    },
};

/* head_norm: -> Q24 */
static const struct em_norm_op em_head_norm_op = { .gains = 11840u, .epsilon = 755578637259143296, .floor_bits = 12,
                                                   .out_shift = 33 };
/* head: w16, Q24 -> Q24 */
static const struct em_linear_op em_head_op = { .weights = 10880u, .bias = EM_NO_BIAS, .format = EM_W16,
                                                .accumulator_shift = 0, .least_shift = 36 };

_Static_assert(EM_CACHE_POSITIONS % EM_CACHE_BLOCK == 0, "the arena has the whole of the last block");
_Static_assert(EM_CACHE_POSITIONS / EM_CACHE_BLOCK * EM_KEY_BLOCK_BYTES(4u) == 64u &&
               EM_SCORE_INTS == 1u, "keys and scores have the room in the arena that the kernels take");

static const struct em_attention_shape em_shape = {
    .heads = 4, .kv_heads = 2, .head_dim = 4, .positions = EM_CACHE_POSITIONS,
    .window = 5,
};

/* ---- Arena ----------------------------------------------------------------------------------------------------- */

static em_i32 *em_int32_at(struct em_model *m, em_u64 offset)
{
    return (em_i32 *)(void *)(m->arena + offset);
}

/* KV cache of a layer. */
static struct em_kv_cache em_cache_of(struct em_model *m, em_u32 layer)
{
    em_u64 slots = (em_u64)layer * 2u * EM_CACHE_POSITIONS;
    struct em_kv_cache cache;
    cache.keys = (em_i8 *)(void *)(m->arena + EM_AT_KEYS) + slots / EM_CACHE_BLOCK * EM_KEY_BLOCK_BYTES(4u);
    cache.values = (em_i8 *)(void *)(m->arena + EM_AT_VALUES) + slots * 4u;
    cache.key_max = em_int32_at(m, EM_AT_KEY_MAX) + slots;
    cache.value_max = em_int32_at(m, EM_AT_VALUE_MAX) + slots;
    return cache;
}

/* ---- Layers ---------------------------------------------------------------------------------------------------- */

/* One decoder layer for a batch. The residual stream x is read and written; all other buffers are its own. */
static void em_run_layer(struct em_model *m, const struct em_layer *l, em_u32 layer, em_u32 tokens)
{
    const em_i16 *const rope = (const em_i16 *)(const void *)(m->blob + EM_ROPE_OFFSET);
    const struct em_kv_cache cache = em_cache_of(m, layer);
    const struct em_attention_scratch scratch = {em_int32_at(m, EM_AT_SCORES), em_int32_at(m, EM_AT_WEIGHTS)};
    em_i32 *const x = em_int32_at(m, EM_AT_X);
    em_i32 *const n = em_int32_at(m, EM_AT_N);
    const struct em_q8 n8 = em_q8_at(m->arena + EM_AT_N8, 16);
    em_i32 *const q = em_int32_at(m, EM_AT_Q);
    em_i32 *const k = em_int32_at(m, EM_AT_K);
    em_i32 *const v = em_int32_at(m, EM_AT_V);
    em_i32 *const att = em_int32_at(m, EM_AT_ATT);
    const struct em_q8 att8 = em_q8_at(m->arena + EM_AT_ATT8, 16);
    em_i32 *const y = em_int32_at(m, EM_AT_Y);
    em_i32 *const gate = em_int32_at(m, EM_AT_GATE);
    em_i32 *const up = em_int32_at(m, EM_AT_UP);
    em_i32 *const h = em_int32_at(m, EM_AT_H);
    const struct em_q8 h8 = em_q8_at(m->arena + EM_AT_H8, 20);

    /* n[16] = rmsnorm(x) */
    em_rmsnorm(&l->attn_norm, m->blob, x, n, 16, tokens);
    em_trace(m, (em_i32)layer, 0, n, 16, 0, tokens);
    /* n8[16] = int8(n) */
    em_quantize(n, &n8, 16, tokens);
    /* q[16] = W[16][16] n8 */
    em_linear(m, &l->q, 16, 16, &n8, tokens, q);
    em_trace(m, (em_i32)layer, 2, q, 16, 0, tokens);
    /* k[8] = W[8][16] n8 */
    em_linear(m, &l->k, 8, 16, &n8, tokens, k);
    em_trace(m, (em_i32)layer, 3, k, 8, 0, tokens);
    /* v[8] = W[8][16] n8 */
    em_linear(m, &l->v, 8, 16, &n8, tokens, v);
    em_trace(m, (em_i32)layer, 4, v, 8, 0, tokens);
    /* q[16] = rmsnorm(q), each head on its own */
    em_rmsnorm(&l->q_norm, m->blob, q, q, 4, tokens * 4u);
    em_trace(m, (em_i32)layer, 5, q, 16, 0, tokens);
    /* k[8] = rmsnorm(k), each head on its own */
    em_rmsnorm(&l->k_norm, m->blob, k, k, 4, tokens * 2u);
    em_trace(m, (em_i32)layer, 6, k, 8, 0, tokens);
    /* rotate the pairs of q[4][4] by position */
    em_rope(rope, m->position, q, 4, 4, tokens);
    em_trace(m, (em_i32)layer, 7, q, 16, 0, tokens);
    /* rotate the pairs of k[2][4] by position */
    em_rope(rope, m->position, k, 2, 4, tokens);
    em_trace(m, (em_i32)layer, 8, k, 8, 0, tokens);
    /* att[4][4] = softmax(q . keys) values, over the last 5 positions */
    em_attention(m, &l->attn, &em_shape, cache, scratch, q, k, v, tokens, att);
    em_trace(m, (em_i32)layer, 9, att, 16, 0, tokens);
    /* att8[16] = int8(att) */
    em_quantize(att, &att8, 16, tokens);
    /* y[16] = W[16][16] att8 */
    em_linear(m, &l->o, 16, 16, &att8, tokens, y);
    em_trace(m, (em_i32)layer, 11, y, 16, 0, tokens);
    /* x[16] += y */
    em_add(y, x, (em_u64)tokens * 16u);
    em_trace(m, (em_i32)layer, 12, x, 16, 0, tokens);
    /* n[16] = rmsnorm(x) */
    em_rmsnorm(&l->mlp_norm, m->blob, x, n, 16, tokens);
    em_trace(m, (em_i32)layer, 13, n, 16, 0, tokens);
    /* n8[16] = int8(n) */
    em_quantize(n, &n8, 16, tokens);
    /* gate[20] = W[20][16] n8 */
    em_linear(m, &l->gate, 20, 16, &n8, tokens, gate);
    em_trace(m, (em_i32)layer, 15, gate, 20, 0, tokens);
    /* up[20] = W[20][16] n8 */
    em_linear(m, &l->up, 20, 16, &n8, tokens, up);
    em_trace(m, (em_i32)layer, 16, up, 20, 0, tokens);
    /* h[20] = silu(gate) * up */
    em_swiglu(&l->act, gate, up, h, (em_u64)tokens * 20u);
    em_trace(m, (em_i32)layer, 17, h, 20, 0, tokens);
    /* h8[20] = int8(h) */
    em_quantize(h, &h8, 20, tokens);
    /* y[16] = W[16][20] h8 */
    em_linear(m, &l->down, 16, 20, &h8, tokens, y);
    em_trace(m, (em_i32)layer, 19, y, 16, 0, tokens);
    /* x[16] += y */
    em_add(y, x, (em_u64)tokens * 16u);
    em_trace(m, (em_i32)layer, 20, x, 16, 0, tokens);
}

void em_forward(struct em_model *m, const em_i32 *ids, em_u32 tokens)
{
    em_i32 *const x = em_int32_at(m, EM_AT_X);

    /* x[16] = row of the token id, embed[12][16] w16, Q24 */
    const struct em_matrix embedding = em_matrix_open(m->blob + 2624u, EM_W16, 12, 16);
    for (em_u32 t = 0; t < tokens; t++) {
        em_gather_row(&embedding, (em_u32)ids[t], 27, x + t * 16u);
    }
    em_trace(m, -1, 0, x, 16, 0, tokens);
    for (em_u32 layer = 0; layer < EM_LAYERS && !em_is_cancelled(m); layer++) {
        em_run_layer(m, &em_layers[layer], layer, tokens);
    }
}

/* ---- Head ------------------------------------------------------------------------------------------------------ */

void em_head(struct em_model *m, em_u32 token)
{
    const em_u32 tokens = 1;
    em_i32 *const x = em_int32_at(m, EM_AT_X) + token * 16u;
    em_i32 *const n = em_int32_at(m, EM_AT_N);
    const struct em_q8 n8 = em_q8_at(m->arena + EM_AT_N8, 16);
    em_i32 *const logits = em_int32_at(m, EM_AT_LOGITS);

    /* n[16] = rmsnorm(x) */
    em_rmsnorm(&em_head_norm_op, m->blob, x, n, 16, tokens);
    em_trace(m, -1, 1, n, 16, token, tokens);
    /* n8[16] = int8(n) */
    em_quantize(n, &n8, 16, tokens);
    /* logits[12] = W[12][16] n8 */
    em_linear(m, &em_head_op, 12, 16, &n8, tokens, logits);
    em_trace(m, -1, 3, logits, 12, token, tokens);
}
