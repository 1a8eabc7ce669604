/*
 * em_linear.h - kernel set "avx2": matrix times int8 activations for x86-64 with AVX2, without VNNI and AVX-512.
 *
 * Layout "tiles32" (code 2). A matrix is one section of the blob, its parts 64-byte aligned, rows padded with zeros to whole tiles
 * of 32:
 *
 *   weights      w4, w5, w6: tiles as em_grouped.h has them, sub-scales among the weights; w8: tiles as em_w8.h has them;
 *                w16: int16[rows][columns], not padded
 *   mantissas    int32[tiles * 32]: row scale / 127 = mantissa * 2^-exponent
 *   exponents    uint8[tiles * 32], padded with that of the last row
 *
 * Everything is read once and in the order in which it lies. Several tokens take a tile while it is near (em_batch.h;
 * w8: two at a time).
 * Bounds: em_grouped.h, em_w8.h; sums beyond int32 are brought back by accumulator_shift, which the packer proves.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_LINEAR_H
#define EM_LINEAR_H

#include "em_batch.h"
#include "em_grouped.h"
#include "em_matrix.h"
#include "em_prepare.h"
#include "em_tile.h"
#include "em_w8.h"

/* ---- Sums of a tile ------------------------------------------------------------------------------------------- */

/* Activations of token t as the kernels of w4, w5 and w6 read them. */
EM_INLINE const struct em_prepared *em_prepared_of(const struct em_matrix *m, const struct em_q8 *x, em_u32 t)
{
    return (const struct em_prepared *)(const void *)(x->prepared + t * EM_PREPARED_BYTES(m->columns));
}

#define EM_SPAN_GROUPS(format) (2u * EM_PAIRS_IN_INT32(format))

EM_INLINE void em_sum_span(const struct em_matrix *m, const em_u8 *tile, const struct em_q8 *x, em_u32 t, em_u32 first,
                           em_u32 groups, struct em_sums *sums)
{
    tile += (em_u64)(first / 2u) * EM_PAIR_BYTES(m->format);
    em_sum_grouped(m->format, tile, 1, groups, em_prepared_of(m, x, t) + first / 2u, sums);
}

/* Tiles that are summed at a time for one token; for several it is one, whose weights stay in the nearest cache. */
#define EM_TILES 4u
#define EM_TILES_FOR(tokens) ((tokens) > 1u ? 1u : EM_TILES)
#define EM_SUMS_AT_ONCE EM_BATCH_TOKENS

EM_INLINE em_u32 em_sum_tokens(const struct em_matrix *m, const em_u8 *tile, em_u32 tiles, const struct em_q8 *x,
                               em_u32 t, em_u32 tokens, struct em_sums *sums)
{
    if ((EM_USES(EM_W8) || EM_USES(EM_W8T)) && m->format > EM_W6) {
        const em_u64 stride = EM_Q8_STRIDE(m->columns);
        const em_i8 *values = x->values + t * stride;
        em_sum_w8(tile, tiles, EM_W8_QUADS(m->columns), values, tokens > 1u ? values + stride : EM_NULL, sums);
        return tokens > 1u ? 2u : 1u;
    }
    const struct em_prepared *prepared = em_prepared_of(m, x, t);
    const em_u32 groups = EM_GROUPS(m->columns);
    if (tokens > 1u) {
        tokens = tokens < EM_BATCH_TOKENS ? tokens : EM_BATCH_TOKENS;
        em_sum_batch(m->format, tile, groups, prepared, EM_PREPARED_BYTES(m->columns), tokens, sums);
        return tokens;
    }
    em_sum_grouped(m->format, tile, tiles, groups, prepared, sums);
    return 1u;
}

#include "em_tiled_rows.h"

#endif /* EM_LINEAR_H */
