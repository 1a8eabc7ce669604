/*
 * em_tile_sums.h - kernel set "avx2": sums of tiles of any format but w16, for one token or several.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_TILE_SUMS_H
#define EM_TILE_SUMS_H

#include "em_batch.h"
#include "em_grouped.h"
#include "em_prepare.h"
#include "em_tile.h"
#include "em_tiled_matrix.h"
#include "em_w8.h"

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

#endif /* EM_TILE_SUMS_H */
