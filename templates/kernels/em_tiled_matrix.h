/*
 * em_tiled_matrix.h - a matrix in tiles of 32 rows: its section opened, and its rows one by one.
 *
 * What kernel sets with vectors have in common. The set's em_matrix.h provides
 *
 *   em_tile_bytes(format, columns)                             bytes of the weights of a tile
 *   em_weight_grouped(format, columns, tile, row, column)      w4, w5, w6: weight times sub-scale; row: in the tile
 *   em_weight_w8(columns, tile, row, column)                   w8: likewise
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_TILED_MATRIX_H
#define EM_TILED_MATRIX_H

#include "em_matrix.h"

/* A matrix section, opened. */
struct em_matrix {
    const em_u8 *weights;
    const em_u16 *scales; /* em_row_mantissa, em_row_shift */
    em_u64 tile_bytes;
    em_u32 rows;
    em_u32 columns;
    em_u32 format;
};

EM_INLINE struct em_matrix em_matrix_open(const em_u8 *section, em_u32 format, em_u32 rows, em_u32 columns)
{
    struct em_matrix m;
    em_u64 tiles = (rows + EM_ROW_TILE - 1u) / EM_ROW_TILE;
    em_u64 weight_bytes = format == EM_W16 ? (em_u64)rows * columns * 2u : tiles * em_tile_bytes(format, columns);
    m.weights = section;
    section += em_align64(weight_bytes);
    m.scales = (const em_u16 *)(const void *)section;
    m.tile_bytes = em_tile_bytes(format, columns);
    m.rows = rows;
    m.columns = columns;
    m.format = format;
    return m;
}

/* Weight of one row and column, times the sub-scale of its group where it has one. */
EM_INLINE em_i32 em_weight_at(const struct em_matrix *m, em_u32 row, em_u32 column)
{
    const em_u8 *tile = m->weights + row / EM_ROW_TILE * m->tile_bytes;
    if (m->format <= EM_W6) {
        return em_weight_grouped(m->format, m->columns, tile, row % EM_ROW_TILE, column);
    }
    if (m->format == EM_W16) {
        return ((const em_i16 *)(const void *)m->weights)[(em_u64)row * m->columns + column];
    }
    return em_weight_w8(m->columns, tile, row % EM_ROW_TILE, column);
}

/*
 * One row as real values in the output's format: the embedding of a token. 127 undoes the division in the row multiplier;
 * least_shift: of a row whose em_row_shift is 0.
 */
EM_NOINLINE EM_UNUSED static void em_gather_row(const struct em_matrix *m, em_u32 row, em_i32 least_shift, em_i32 *out)
{
    em_i32 mantissa = em_row_mantissa(m->scales[row]);
    em_i32 shift = em_row_shift(m->scales[row]) + least_shift;
    for (em_u32 c = 0; c < m->columns; c++) {
        out[c] = em_scale(127 * em_weight_at(m, row, c), mantissa, shift);
    }
}

#endif /* EM_TILED_MATRIX_H */
