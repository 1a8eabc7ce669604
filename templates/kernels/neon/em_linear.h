/*
 * em_linear.h - kernel set "neon": matrix times int8 activations for Armv8-A without dot product instructions (Cortex-A72).
 *
 * The instruction that counts is smlal: eight products of int8, added to int16 lanes, one a cycle.
 *
 * Layout "columns32" (code 4). A matrix is one section of the blob, its parts 64-byte aligned, rows padded with zeros to whole tiles
 * of 32:
 *
 *   weights      w4, w5, w6: tiles as em_grouped.h has them, sub-scales among the weights; w8: tiles as em_w8.h has them;
 *                w16: int16[rows][columns], not padded
 *   mantissas    int32[tiles * 32]: row scale / 127 = mantissa * 2^-exponent
 *   exponents    uint8[tiles * 32], in the order of em_exponent_at
 *
 * Everything is read once and in the order in which it lies. Tokens of a batch go through a tile two at a time.
 * Bounds: em_grouped.h, em_w8.h; sums beyond int32 are brought back by accumulator_shift, which the packer proves.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_LINEAR_H
#define EM_LINEAR_H

#include "em_grouped.h"
#include "em_matrix.h"
#include "em_prepare.h"
#include "em_tile.h"
#include "em_w8.h"

/* ---- Sums of a tile ------------------------------------------------------------------------------------------- */

/* Activations of token t as the kernels of w4, w5 and w6 read them. */
EM_INLINE struct em_token em_token_at(const struct em_matrix *m, const struct em_q8 *x, em_u32 t)
{
    struct em_token token;
    token.values = (const em_i8x16 *)(const void *)(x->values + (em_u64)t * EM_Q8_STRIDE(m->columns));
    token.starts = (const em_i16x8 *)(const void *)(x->prepared + t * EM_PREPARED_BYTES(m->columns));
    return token;
}

#define EM_SPAN_GROUPS(format) EM_GROUPS_IN_INT32(format)

EM_INLINE void em_sum_span(const struct em_matrix *m, const em_u8 *tile, const struct em_q8 *x, em_u32 t, em_u32 first,
                           em_u32 groups, struct em_sums *sums)
{
    struct em_token token = em_token_at(m, x, t);
    token.values += 2u * first;
    token.starts += first;
    tile += (em_u64)first * EM_GROUP_BYTES(m->format);
    em_sum_grouped(m->format, tile, 1, groups, &token, EM_NULL, sums);
}

/* Tiles that are summed before results are made of the sums, where that does not make a batch read their weights twice from afar. */
#define EM_TILES 4u
#define EM_TILES_FOR(tokens) ((tokens) > 2u ? 1u : EM_TILES)
#define EM_SUMS_AT_ONCE (2u * EM_TILES)

EM_INLINE em_u32 em_sum_tokens(const struct em_matrix *m, const em_u8 *tile, em_u32 tiles, const struct em_q8 *x,
                               em_u32 t, em_u32 tokens, struct em_sums *sums)
{
    em_u32 two = tokens > 1u;
    if ((EM_USES(EM_W8) || EM_USES(EM_W8T)) && m->format > EM_W6) {
        const em_u64 stride = EM_Q8_STRIDE(m->columns);
        const em_i8 *values = x->values + t * stride;
        em_sum_w8(tile, tiles, EM_W8_BLOCKS(m->columns), values, two ? values + stride : EM_NULL, sums);
        return 1u + two;
    }
    const struct em_token first = em_token_at(m, x, t);
    const struct em_token second = em_token_at(m, x, t + two);
    em_sum_grouped(m->format, tile, tiles, EM_GROUPS(m->columns), &first, two ? &second : EM_NULL, sums);
    return 1u + two;
}

#include "em_tiled_rows.h"

#endif /* EM_LINEAR_H */
