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
EM_NOINLINE EM_UNUSED static void em_sum_spans(const struct em_matrix *m, const em_u8 *tile, struct em_token x, em_i32 shift,
                                               struct em_sums *sums)
{
    const em_u32 span = EM_GROUPS_IN_INT32(m->format);
    const em_u32 groups = EM_GROUPS(m->columns);
    struct em_wide_sums wide = {{0}};
    for (em_u32 done = 0; done < groups; done += span) {
        em_u32 count = groups - done < span ? groups - done : span;
        em_i32 part[EM_ROW_TILE];
        em_sum_grouped(m->format, tile, 1, count, &x, EM_NULL, sums);
        __builtin_memcpy(part, sums, sizeof(part));
        for (em_u32 i = 0; i < EM_ROW_TILE; i++) {
            wide.rows[i] += part[i];
        }
        tile += (em_u64)span * EM_GROUP_BYTES(m->format);
        x.values += 2u * span;
        x.starts += span;
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

/* Tiles that are summed before results are made of the sums, where that does not make a batch read their weights twice from afar. */
#define EM_TILES 4u

/*
 * Sums, below 2^31, of `tiles` tiles from `row` on for token t, one a tile. With a next token there, and where the return value is 2,
 * for both, two a tile.
 */
EM_INLINE em_u32 em_sum_tiles(const struct em_rows *r, em_u32 row, em_u32 tiles, em_u32 t, struct em_sums *sums)
{
    const struct em_matrix *m = r->matrix;
    const em_u8 *tile = m->weights + row / EM_ROW_TILE * m->tile_bytes;
    const em_u64 stride = EM_Q8_STRIDE(m->columns);
    const em_i8 *values = r->x->values + t * stride;
    em_i32 shift = r->op->accumulator_shift;
    em_u32 two = r->tokens - t > 1u;
    if (EM_USES(EM_W16) && m->format == EM_W16) {
        for (em_u32 i = 0; i < tiles; i++) {
            em_sum_w16(m, row + i * EM_ROW_TILE, values, shift, sums + i);
        }
        return 1u;
    }
    if ((EM_USES(EM_W8) || EM_USES(EM_W8T)) && m->format > EM_W6) {
        em_sum_w8(tile, tiles, EM_W8_BLOCKS(m->columns), values, two ? values + stride : EM_NULL, sums);
        return 1u + two;
    }
    const struct em_token x = em_token_at(m, r->x, t);
    if (shift > 0) {
        for (em_u32 i = 0; i < tiles; i++) {
            em_sum_spans(m, tile + i * m->tile_bytes, x, shift, sums + i);
        }
        return 1u;
    }
    const struct em_token y = em_token_at(m, r->x, t + two);
    em_sum_grouped(m->format, tile, tiles, EM_GROUPS(m->columns), &x, two ? &y : EM_NULL, sums);
    return 1u + two;
}

/* Results of the tiles from `row` on for token t, of whose sums every `step`th is this token's. */
EM_NOINLINE EM_UNUSED static void em_store_tiles(const struct em_rows *r, const struct em_sums *sums, em_u32 step, em_u32 row,
                                                 em_u32 tiles, em_u32 t)
{
    const struct em_matrix *m = r->matrix;
    const struct em_token_shift token = em_token_shift_of(r->x->scale[t], r->op->shift_base);
    em_i32 *out = r->out + (em_u64)t * m->rows;
    for (em_u32 left = tiles; left > 0; left--, sums += step, row += EM_ROW_TILE) {
        em_i32 whole[EM_ROW_TILE];
        em_u32 count = r->end - row < EM_ROW_TILE ? r->end - row : EM_ROW_TILE;
        em_i32 *to = count < EM_ROW_TILE ? whole : out + row;
        em_requantize_tile(sums, m->mantissas + row, m->exponents + row, &token, to);
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
    const em_u32 most = tokens > 2u ? 1u : EM_TILES;
    for (em_u32 row = first; row < end; row += most * EM_ROW_TILE) {
        em_u32 left = (end - row + EM_ROW_TILE - 1u) / EM_ROW_TILE;
        em_u32 tiles = left < most ? left : most;
        for (em_u32 t = 0; t < tokens;) {
            struct em_sums sums[2u * EM_TILES];
            em_u32 count = em_sum_tiles(&rows, row, tiles, t, sums);
            for (em_u32 i = 0; i < count; i++, t++) {
                em_store_tiles(&rows, sums + i, count, row, tiles, t);
            }
        }
    }
}

#endif /* EM_LINEAR_H */
