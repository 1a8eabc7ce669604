/*
 * plain.c - model.c in general registers, for weights that are packed for vector registers.
 *
 * Of the kernel set only em_tiled_matrix.h is used, the layout. Everything else is that of the kernel set "portable".
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include "engines.h"

#define em_forward em_forward_plain
#define em_head em_head_plain
#include "em_model.h"

/* Instead of the kernel set's. */
#define EM_CACHE_H
#define EM_LINEAR_H
#define EM_STRIPS_H
#define EM_VECTORS_H
#include "em_plain_strips.h"
#include "em_vectors_by_value.h"

#include "em_cache_rows.h"
#include "em_tiled_matrix.h"

/* The int8 row itself is read: a prepared form has no bytes. */
#define EM_PREPARED_BYTES(columns) ((columns) * (em_u64)0)

EM_INLINE void em_prepare(const em_i8 *row, em_u32 columns, em_u8 *prepared)
{
}

/* Tokens that a weight is read for at a time. */
#define EM_PLAIN_TOKENS 8u

/* Sums of a row for up to EM_PLAIN_TOKENS tokens, before accumulator_shift. */
EM_INLINE void em_sum_row(const struct em_matrix *m, em_u32 row, const em_i8 *x, em_u32 tokens, em_i64 *sums)
{
    const em_u64 stride = EM_Q8_STRIDE(m->columns);

    for (em_u32 c = 0; c < m->columns; c++, x++) {
        em_i64 weight = em_weight_at(m, row, c);
        for (em_u32 t = 0; t < tokens; t++) {
            sums[t] += weight * x[t * stride];
        }
    }
}

/* Rows [first, end) of W times the activations of each token: out[token][row], requantized, bias added. */
EM_UNUSED EM_NOINLINE static void em_linear_rows(const struct em_linear_op *op, const struct em_matrix *m,
                                                 const em_i32 *bias, const struct em_q8 *x, em_u32 tokens,
                                                 em_u32 first, em_u32 end, em_i32 *out)
{
    for (em_u32 row = first; row < end; row++) {
        for (em_u32 done = 0; done < tokens; done += EM_PLAIN_TOKENS) {
            em_u32 count = tokens - done < EM_PLAIN_TOKENS ? tokens - done : EM_PLAIN_TOKENS;
            em_i64 sums[EM_PLAIN_TOKENS] = {0};
            em_sum_row(m, row, x->values + (em_u64)done * EM_Q8_STRIDE(m->columns), count, sums);
            for (em_u32 i = 0; i < count; i++) {
                const struct em_token_scale scale = x->scale[done + i];
                em_i64 sum = op->accumulator_shift > 0 ? em_round_shift64(sums[i], op->accumulator_shift) : sums[i];
                em_i32 multiplier = em_scale(em_row_mantissa(m->scales[row]), scale.mantissa, 30);
                em_i32 shift = em_row_shift(m->scales[row]) + op->least_shift - scale.shift;
                em_i32 value = em_scale((em_i32)sum, multiplier, shift);
                out[(em_u64)(done + i) * m->rows + row] =
                    bias == EM_NULL ? value : em_saturate((em_i64)value + bias[row]);
            }
        }
    }
}

#include "model.c"
