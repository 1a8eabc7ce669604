/*
 * em_tiled_rows.h - matrix times int8 activations, tile of 32 rows after tile: what kernel sets with vectors have in common.
 *
 * The set's em_tile_sums.h provides
 *
 *   EM_SPAN_GROUPS(format)                               w4, w5, w6: groups whose sums fit int32 for all weights
 *   EM_TILES_FOR(tokens)                                 tiles that are summed at a time for so many tokens
 *   EM_SUMS_AT_ONCE                                      sums of tiles that one em_sum_tokens makes at most
 *   em_sum_span(m, tile, x, t, first, groups, sums)      w4, w5, w6: sums of one tile over groups from `first` on, token t
 *   em_sum_tokens(m, tile, tiles, x, t, tokens, sums)    sums of tiles for token t and as many of the next as the set
 *                                                        takes at a time, `tokens` being left. Returns how many, n; those
 *                                                        of token t + i of tile j at sums[n * j + i]. Not for w16
 *   struct em_sums, em_token_shift_of, em_requantize_tile    (em_tile.h) int32 sums of a tile and their way to results
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_TILED_ROWS_H
#define EM_TILED_ROWS_H

#include "em_tile_sums.h"

/* ---- Sums beyond int32 ---------------------------------------------------------------------------------------- */

/* int64 sums of a tile, brought to int32. */
struct em_wide_sums {
    em_i64 rows[EM_ROW_TILE];
};

EM_INLINE void em_narrow(const struct em_wide_sums *wide, em_i32 shift, struct em_sums *sums)
{
    em_i32 narrow[EM_ROW_TILE];
    for (em_u32 i = 0; i < EM_ROW_TILE; i++) {
        narrow[i] = (em_i32)(shift > 0 ? em_round_shift64(wide->rows[i], shift) : wide->rows[i]);
    }
    __builtin_memcpy(sums, narrow, sizeof(*sums));
}

/* Sums of a tile of w4, w5 or w6 that int32 does not hold, in spans that it does. */
EM_NOINLINE EM_UNUSED static void em_sum_spans(const struct em_matrix *m, const em_u8 *tile, const struct em_q8 *x, em_u32 t,
                                               em_i32 shift, struct em_sums *sums)
{
    const em_u32 span = EM_SPAN_GROUPS(m->format);
    const em_u32 groups = EM_GROUPS(m->columns);
    struct em_wide_sums wide = {{0}};
    for (em_u32 first = 0; first < groups; first += span) {
        em_i32 part[EM_ROW_TILE];
        em_sum_span(m, tile, x, t, first, groups - first < span ? groups - first : span, sums);
        __builtin_memcpy(part, sums, sizeof(part));
        for (em_u32 i = 0; i < EM_ROW_TILE; i++) {
            wide.rows[i] += part[i];
        }
    }
    em_narrow(&wide, shift, sums);
}

/* Sums of up to 32 rows of w16 from `row` on. */
EM_NOINLINE EM_UNUSED static void em_sum_w16(const struct em_matrix *m, em_u32 row, const em_i8 *x, em_i32 shift,
                                             struct em_sums *sums)
{
    const em_i16 *weights = (const em_i16 *)(const void *)m->weights + (em_u64)row * m->columns;
    struct em_wide_sums wide = {{0}};
    for (em_u32 i = 0; i < EM_ROW_TILE && row + i < m->rows; i++, weights += m->columns) {
        wide.rows[i] = em_dot_w16(weights, x, m->columns);
    }
    em_narrow(&wide, shift, sums);
}

/* ---- Rows ----------------------------------------------------------------------------------------------------- */

/* What em_linear_rows is asked for. */
struct em_rows {
    const struct em_linear_op *op;
    const struct em_matrix *matrix;
    const em_i32 *bias; /* or EM_NULL */
    const struct em_q8 *x;
    em_u32 tokens;
    em_u32 end; /* first row that is not asked for */
    em_i32 *out;
};

/* Sums, below 2^31, of `tiles` tiles from `row` on: em_sum_tokens for all formats and weights. */
EM_INLINE em_u32 em_sum_tiles(const struct em_rows *r, em_u32 row, em_u32 tiles, em_u32 t, struct em_sums *sums)
{
    const struct em_matrix *m = r->matrix;
    const em_u8 *tile = m->weights + row / EM_ROW_TILE * m->tile_bytes;
    em_i32 shift = r->op->accumulator_shift;
    if (EM_USES(EM_W16) && m->format == EM_W16) {
        for (em_u32 i = 0; i < tiles; i++) {
            em_sum_w16(m, row + i * EM_ROW_TILE, r->x->values + t * (em_u64)EM_Q8_STRIDE(m->columns), shift, sums + i);
        }
        return 1u;
    }
    if (m->format <= EM_W6 && shift > 0) {
        for (em_u32 i = 0; i < tiles; i++) {
            em_sum_spans(m, tile + i * m->tile_bytes, r->x, t, shift, sums + i);
        }
        return 1u;
    }
    return em_sum_tokens(m, tile, tiles, r->x, t, r->tokens - t, sums);
}

/* Results of the tiles from `row` on for token t, of whose sums every `step`th is this token's. */
EM_NOINLINE EM_UNUSED static void em_store_tiles(const struct em_rows *r, const struct em_sums *sums, em_u32 step, em_u32 row,
                                                 em_u32 tiles, em_u32 t)
{
    const struct em_matrix *m = r->matrix;
    const struct em_token_shift token = em_token_shift_of(r->x->scale[t], r->op->least_shift);
    em_i32 *out = r->out + (em_u64)t * m->rows;
    for (em_u32 left = tiles; left > 0; left--, sums += step, row += EM_ROW_TILE) {
        em_i32 whole[EM_ROW_TILE];
        em_u32 count = r->end - row < EM_ROW_TILE ? r->end - row : EM_ROW_TILE;
        em_i32 *to = count < EM_ROW_TILE ? whole : out + row;
        em_requantize_tile(sums, m->scales + row, &token, to);
        for (em_u32 i = 0; to == whole && i < count; i++) {
            out[row + i] = whole[i];
        }
        for (em_u32 i = 0; r->bias != EM_NULL && i < count; i++) {
            out[row + i] = em_saturate((em_i64)out[row + i] + r->bias[row + i]);
        }
    }
}

/* Rows [first, end) of W times the activations of each token: out[token][row], requantized, bias added. first: a multiple of 32. */
EM_NOINLINE EM_UNUSED static void em_linear_rows(const struct em_linear_op *op, const struct em_matrix *m, const em_i32 *bias,
                                                 const struct em_q8 *x, em_u32 tokens, em_u32 first, em_u32 end, em_i32 *out)
{
    const struct em_rows rows = {op, m, bias, x, tokens, end, out};
    const em_u32 most = EM_TILES_FOR(tokens);
    for (em_u32 row = first; row < end; row += most * EM_ROW_TILE) {
        em_u32 left = (end - row + EM_ROW_TILE - 1u) / EM_ROW_TILE;
        em_u32 tiles = left < most ? left : most;
        for (em_u32 t = 0; t < tokens;) {
            struct em_sums sums[EM_SUMS_AT_ONCE];
            em_u32 count = em_sum_tiles(&rows, row, tiles, t, sums);
            for (em_u32 i = 0; i < count; i++, t++) {
                em_store_tiles(&rows, sums + i, count, row, tiles, t);
            }
        }
    }
}

#endif /* EM_TILED_ROWS_H */
