/*
 * em_tile_sums.h - kernel set "neon": sums of tiles of any format but w16, for one token or several.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_TILE_SUMS_H
#define EM_TILE_SUMS_H

#include "em_grouped.h"
#include "em_prepare.h"
#include "em_tile.h"
#include "em_tiled_matrix.h"
#include "em_w8.h"

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

#endif /* EM_TILE_SUMS_H */
