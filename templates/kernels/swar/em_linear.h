/*
 * em_linear.h - kernel set "swar": matrix times int8 activations in general registers, for every 64-bit core.
 *
 * SIMD within a register: four rows at a time in lanes of 16 bits (em_lanes.h), a 64-bit multiplication for four
 * products. No vector unit and no floating point, so it also serves kernel mode. Made for SiFive's U74, with mulhsu
 * where it saves a shift.
 *
 * Layout "lanes" (code 7). A matrix is one section of the blob, its parts 64-byte aligned:
 *
 *   weights      w4, w5, w6: tiles as em_grouped.h has them; w8: tiles as em_w8.h has them, both with zero weights for
 *                rows and columns that fill up the last; w16: int16[rows][columns]
 *   sub-scales   w4, w5, w6: int8, for each tile and each group of 32 columns those of the tile's rows
 *   scales       uint16, for every row of the tiles: row multipliers (em_linear_op.h)
 *
 * Weights and sub-scales are read in the order in which they lie; tokens of a batch take turns with a tile, which
 * stays in cache. Bounds: em_grouped.h, em_w8.h; sums beyond int32 are brought back by accumulator_shift, which the
 * packer proves.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_LINEAR_H
#define EM_LINEAR_H

#include "em_grouped_pair.h"
#include "em_linear_op.h"
#include "em_requantize.h"
#include "em_w8.h"

/* A matrix section, opened. */
struct em_matrix {
    const em_u8 *weights;
    const em_i8 *sub_scales;
    const em_u16 *scales;
    em_u32 rows;
    em_u32 columns;
    em_u32 format;
};

/* Rows of a tile. */
EM_INLINE em_u32 em_tile_rows(em_u32 format)
{
    if (format <= EM_W6) {
        return EM_GROUPED_ROWS(format);
    }
    return format == EM_W16 ? 1u : EM_W8_ROWS;
}

/* Bytes of the weights of a tile. */
EM_INLINE em_u64 em_tile_bytes(em_u32 format, em_u32 columns)
{
    if (format <= EM_W6) {
        return (em_u64)EM_GROUPS(columns) * EM_TILE_GROUP_WORDS(format) * 8u;
    }
    return format == EM_W16 ? (em_u64)columns * 2u : EM_W8_TILE_WORDS(columns) * 8u;
}

EM_INLINE struct em_matrix em_matrix_open(const em_u8 *section, em_u32 format, em_u32 rows, em_u32 columns)
{
    struct em_matrix m;
    em_u64 tiles = (rows + em_tile_rows(format) - 1u) / em_tile_rows(format);
    em_u64 tile_rows = tiles * em_tile_rows(format);
    em_u64 sub_scale_bytes = format <= EM_W6 ? tile_rows * EM_GROUPS(columns) : 0;
    m.weights = section;
    section += em_align64(tiles * em_tile_bytes(format, columns));
    m.sub_scales = (const em_i8 *)(const void *)section;
    section += em_align64(sub_scale_bytes);
    m.scales = (const em_u16 *)(const void *)section;
    m.rows = rows;
    m.columns = columns;
    m.format = format;
    return m;
}

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

/* Tokens whose sums are taken at a time. */
EM_INLINE em_u32 em_tokens_at_once(em_u32 format, em_u32 tokens)
{
    return tokens >= 2u && (format == EM_W4 || format == EM_W5) ? 2u : 1u;
}

/*
 * Sums of the rows of the tile that starts with `row`, for as many tokens from t on as em_tokens_at_once says; those of
 * a token EM_ROW_TILE after those of the one before. `format` is a constant where inlined.
 */
EM_INLINE void em_sum_tile(const struct em_matrix *m, em_u32 format, em_u32 row, const struct em_q8 *x, em_u32 t,
                           em_u32 tokens, em_i64 *sums)
{
    em_u64 tile = row / em_tile_rows(format);
    const em_u8 *weights = m->weights + tile * em_tile_bytes(format, m->columns);
    const em_u64 *words = (const em_u64 *)(const void *)weights;
    const em_i8 *a = x->values + (em_u64)t * EM_Q8_STRIDE(m->columns);
    em_u8 *prepared = x->prepared + (em_u64)t * EM_PREPARED_BYTES(m->columns);
    struct em_starts starts = em_starts_at(prepared, m->columns);
    em_u32 groups = EM_GROUPS(m->columns);
    const em_i8 *sub_scales = m->sub_scales + tile * groups * em_tile_rows(format);
    if (format == EM_W16) {
        sums[0] = em_dot_w16((const em_i16 *)(const void *)weights, a, m->columns);
    } else if (format == EM_W8) {
        em_sum_w8(words, m->columns, a, starts.pairs, sums);
    } else if (em_tokens_at_once(format, tokens) == 2u) {
        struct em_starts next = em_starts_at(prepared + EM_PREPARED_BYTES(m->columns), m->columns);
        const struct em_token_sums two[2] = {{a, starts.groups, sums},
                                             {a + EM_Q8_STRIDE(m->columns), next.groups, sums + EM_ROW_TILE}};
        if (format == EM_W4) {
            em_sum_w4_pair(words, sub_scales, groups, two);
        } else {
            em_sum_w5_pair(words, sub_scales, groups, two);
        }
    } else if (format == EM_W4) {
        em_sum_w4(words, sub_scales, groups, a, starts.groups, sums);
    } else if (format == EM_W5) {
        em_sum_w5(words, sub_scales, groups, a, starts.groups, sums);
    } else {
        em_sum_w6(words, sub_scales, groups, a, starts.groups, sums);
    }
}

/* Results of the tile that starts with `row`, of which rows up to `end` count, for a token's sums; bias added. */
EM_INLINE void em_finish_tile(em_u32 format, const struct em_linear_op *op, const struct em_matrix *m,
                              const em_i32 *bias, struct em_token_scale scale, em_u32 row, em_u32 end, em_i64 *sums,
                              em_i32 *out)
{
    const em_u32 tile_rows = em_tile_rows(format);
    em_i32 results[EM_ROW_TILE];
    em_u32 rows = end - row < tile_rows ? end - row : tile_rows;
    em_u32 whole = rows == tile_rows && bias == EM_NULL;
    if (op->accumulator_shift > 0) {
        em_shift_sums(sums, tile_rows, op->accumulator_shift);
    }
    em_requantize_rows(sums, tile_rows, m->scales + row, scale, op->least_shift, whole ? out : results);
    if (!whole) {
        em_store_rows(results, rows, bias == EM_NULL ? EM_NULL : bias + row, out);
    }
}

/* Rows [first, end) of W times the activations of each token: out[token][row], requantized, bias added. */
EM_INLINE void em_linear_rows_as(em_u32 format, const struct em_linear_op *op, const struct em_matrix *m,
                                 const em_i32 *bias, const struct em_q8 *x, em_u32 tokens, em_u32 first, em_u32 end,
                                 em_i32 *out)
{
    for (em_u32 row = first; row < end; row += em_tile_rows(format)) {
        em_i64 sums[2][EM_ROW_TILE];
        em_u32 t = 0;
        for (; em_tokens_at_once(format, tokens - t) == 2u; t += 2) {
            em_sum_tile(m, format, row, x, t, 2, sums[0]);
            em_finish_tile(format, op, m, bias, x->scale[t], row, end, sums[0], out + (em_u64)t * m->rows + row);
            em_finish_tile(format, op, m, bias, x->scale[t + 1u], row, end, sums[1], out + (em_u64)(t + 1u) * m->rows + row);
        }
        for (; t < tokens; t++) {
            em_sum_tile(m, format, row, x, t, 1, sums[0]);
            em_finish_tile(format, op, m, bias, x->scale[t], row, end, sums[0], out + (em_u64)t * m->rows + row);
        }
    }
}

/* The same for the matrix's own format; formats that the model does not use are not compiled in. */
EM_NOINLINE EM_UNUSED static void em_linear_rows(const struct em_linear_op *op, const struct em_matrix *m,
                                                 const em_i32 *bias, const struct em_q8 *x, em_u32 tokens,
                                                 em_u32 first, em_u32 end, em_i32 *out)
{
    if (EM_USES(EM_W4) && m->format == EM_W4) {
        em_linear_rows_as(EM_W4, op, m, bias, x, tokens, first, end, out);
    } else if (EM_USES(EM_W5) && m->format == EM_W5) {
        em_linear_rows_as(EM_W5, op, m, bias, x, tokens, first, end, out);
    } else if (EM_USES(EM_W6) && m->format == EM_W6) {
        em_linear_rows_as(EM_W6, op, m, bias, x, tokens, first, end, out);
    } else if (EM_USES(EM_W16) && m->format == EM_W16) {
        em_linear_rows_as(EM_W16, op, m, bias, x, tokens, first, end, out);
    } else if (EM_USES(EM_W8) || EM_USES(EM_W8T)) {
        em_linear_rows_as(EM_W8, op, m, bias, x, tokens, first, end, out);
    }
}

/* ---- Row gather -------------------------------------------------------------------------------------------------- */

/* The lane of one of four rows, of the word at `word`. */
EM_INLINE em_u32 em_lane_at(const em_u64 *word, em_u32 lane)
{
    return (em_u32)(*word >> (16u * lane)) & 0xffffu;
}

/* Stored integer of a column of a block, of w5 and of w6. */
EM_INLINE em_u32 em_stored_w5(const em_u64 *block, em_u32 lane, em_u32 column)
{
    if (column < 15u) {
        return (em_lane_at(block + 8u * (column / 3u), lane) >> (5u * (column % 3u))) & 31u;
    }
    em_u32 stored = 0;
    for (em_u32 t = 0; t < 5u; t++) {
        stored |= em_lane_at(block + 8u * t, lane) >> 15 << t;
    }
    return stored;
}

EM_INLINE em_u32 em_stored_w6(const em_u64 *block, em_u32 lane, em_u32 column)
{
    if (column < 6u) {
        return (em_lane_at(block + 4u * (column / 2u), lane) >> (10u * (column % 2u))) & 63u;
    }
    em_u32 low = (em_lane_at(block + 4u * (column - 6u), lane) >> 6) & 15u;
    em_u32 high = (em_lane_at(block + 8u, lane) >> (6u + 2u * (column - 6u))) & 3u;
    return low | high << 4;
}

/* The integer of row r of a tile, column c. */
EM_INLINE em_i32 em_weight_at(em_u32 format, const em_u8 *tile, em_u32 r, em_u32 c)
{
    static const em_u8 swapped[4] = {0, 2, 1, 3};
    const em_u64 *words = (const em_u64 *)(const void *)tile + r / 4u;
    em_u32 lane = swapped[r % 4u];
    switch (format) {
    case EM_W4:
        return (em_i32)((em_lane_at(words + (em_u64)(c / 4u) * 8u, r % 4u) >> (4u * (c % 4u))) & 15u) - 8;
    case EM_W5:
        return (em_i32)em_stored_w5(words + (em_u64)(c / 16u) * 40u, r % 4u, c % 16u) - 16;
    case EM_W6:
        return (em_i32)em_stored_w6(words + (em_u64)(c / 8u) * 12u, lane, c % 8u) - 32;
    case EM_W16:
        return ((const em_i16 *)(const void *)tile)[c];
    default:
        return (em_i32)((em_lane_at(words + (em_u64)(c / 2u) * 4u, lane) >> (8u * (c % 2u))) & 255u) - 128;
    }
}

/*
 * One row as real values in the output's format: the embedding of a token. 127 undoes the division in the row multiplier;
 * least_shift: of a row whose em_row_shift is 0.
 */
EM_NOINLINE EM_UNUSED static void em_gather_row(const struct em_matrix *m, em_u32 row, em_i32 least_shift, em_i32 *out)
{
    em_u32 tile_rows = em_tile_rows(m->format);
    em_u64 tile = row / tile_rows;
    em_u32 r = row % tile_rows;
    const em_u8 *weights = m->weights + tile * em_tile_bytes(m->format, m->columns);
    const em_i8 *sub_scales = m->sub_scales + tile * EM_GROUPS(m->columns) * tile_rows + r;
    em_i32 shift = em_row_shift(m->scales[row]) + least_shift;
    for (em_u32 c = 0; c < m->columns; c++) {
        em_i32 sub_scale = m->format <= EM_W6 ? sub_scales[(em_u64)(c / EM_GROUP) * tile_rows] : 1;
        em_i32 value = 127 * sub_scale * em_weight_at(m->format, weights, r, c);
        out[c] = em_scale(value, em_row_mantissa(m->scales[row]), shift);
    }
}

#endif /* EM_LINEAR_H */
