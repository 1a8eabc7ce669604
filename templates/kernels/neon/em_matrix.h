/*
 * em_matrix.h - kernel set "neon": where the weights of a matrix stand, and one of them read in general registers.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_MATRIX_H
#define EM_MATRIX_H

#include "em_activation.h"
#include "em_linear_op.h"

/* Rows of a tile; rows that a task is made of are multiples of it. */
#define EM_ROW_TILE 32u

/* Bytes of a group: sub-scales and weights of 32 rows. */
#define EM_SUB_SCALE_BYTES EM_ROW_TILE
#define EM_GROUP_BYTES(format) (EM_SUB_SCALE_BYTES + 128u * (3u + (format)))

/* Bytes of four columns. */
#define EM_QUAD_BYTES(format) (16u * (3u + (format)))

/* Rows of a strip, columns and bytes of a block. */
#define EM_STRIP_ROWS 8u
#define EM_BLOCK_COLUMNS 32u
#define EM_BLOCK_BYTES (EM_STRIP_ROWS * EM_BLOCK_COLUMNS)

#define EM_W8_BLOCKS(columns) (((columns) + EM_BLOCK_COLUMNS - 1u) / EM_BLOCK_COLUMNS)

/* Place of a row's exponent. Those of 16 rows lie together: even rows, then odd rows. */
EM_INLINE em_u32 em_exponent_at(em_u32 row)
{
    return (row & ~15u) | (row & 1u) << 3 | (row & 15u) >> 1;
}

/* ---- Sections ------------------------------------------------------------------------------------------------- */

/* A matrix section, opened. */
struct em_matrix {
    const em_u8 *weights;
    const em_i32 *mantissas;
    const em_u8 *exponents;
    em_u64 tile_bytes;
    em_u32 rows;
    em_u32 columns;
    em_u32 format;
};

/* Bytes of the weights of 32 rows. */
EM_INLINE em_u64 em_tile_bytes(em_u32 format, em_u32 columns)
{
    if (format <= EM_W6) {
        return (em_u64)EM_GROUPS(columns) * EM_GROUP_BYTES(format);
    }
    return EM_ROW_TILE * (format == EM_W16 ? (em_u64)columns * 2u : (em_u64)EM_W8_BLOCKS(columns) * EM_BLOCK_COLUMNS);
}

EM_INLINE struct em_matrix em_matrix_open(const em_u8 *section, em_u32 format, em_u32 rows, em_u32 columns)
{
    struct em_matrix m;
    em_u64 tiles = (rows + EM_ROW_TILE - 1u) / EM_ROW_TILE;
    em_u64 weight_bytes = format == EM_W16 ? (em_u64)rows * columns * 2u : tiles * em_tile_bytes(format, columns);
    m.weights = section;
    section += em_align64(weight_bytes);
    m.mantissas = (const em_i32 *)(const void *)section;
    m.exponents = section + tiles * EM_ROW_TILE * 4u;
    m.tile_bytes = em_tile_bytes(format, columns);
    m.rows = rows;
    m.columns = columns;
    m.format = format;
    return m;
}

/* ---- Weights, one by one -------------------------------------------------------------------------------------- */

/* Bits `low` and up, `count` of them, of the byte of x_i at x. */
EM_INLINE em_u32 em_field(const em_u8 *x, em_u32 i, em_u32 low, em_u32 count)
{
    return ((em_u32)x[16u * i] >> low) & ((1u << count) - 1u);
}

/* One byte of vector `index` (0..7) of four columns, the bytes of x0, x1, ... given: what the above make, one at a time. */
EM_INLINE em_u32 em_unpack_byte(em_u32 format, const em_u8 *x, em_u32 index)
{
    if (format == EM_W4) {
        return em_field(x, index / 2u, index % 2u * 4u, 4);
    }
    if (format == EM_W6) {
        x += index / 4u * 48u;
        if (index % 4u < 3u) {
            return em_field(x, index % 4u, 0, 6);
        }
        return em_field(x, 0, 6, 2) << 4 | em_field(x, 1, 6, 2) << 2 | em_field(x, 2, 6, 2);
    }
    if (index < 5u) {
        return em_field(x, index, 0, 5);
    }
    if (index < 7u) {
        return em_field(x, index - 5u, 5, 3) << 2 | em_field(x, index - 2u, 6, 2);
    }
    return em_field(x, 2, 5, 3) << 2 | em_field(x, 3, 5, 1) << 1 | em_field(x, 4, 5, 1);
}

/* Weight times sub-scale of one row and column of w4, w5, w6. */
EM_INLINE em_i32 em_weight_grouped(const struct em_matrix *m, em_u32 row, em_u32 column)
{
    const em_u8 *group = m->weights + row / EM_ROW_TILE * m->tile_bytes;
    group += (em_u64)(column / EM_GROUP) * EM_GROUP_BYTES(m->format);
    const em_u8 *quad = group + EM_SUB_SCALE_BYTES + column % EM_GROUP / 4u * EM_QUAD_BYTES(m->format);
    em_i32 sub_scale = (em_i8)group[row % EM_ROW_TILE];
    em_u32 stored = em_unpack_byte(m->format, quad + row % 16u, column % 4u * 2u + row % EM_ROW_TILE / 16u);
    return sub_scale * ((em_i32)stored - (4 << m->format));
}

/* Weight of one row and column of w8. */
EM_INLINE em_i32 em_weight_w8(const struct em_matrix *m, em_u32 row, em_u32 column)
{
    em_u64 block = (em_u64)(row / EM_STRIP_ROWS) * EM_W8_BLOCKS(m->columns) + column / EM_BLOCK_COLUMNS;
    em_u32 at = row % EM_STRIP_ROWS * EM_BLOCK_COLUMNS + column % EM_BLOCK_COLUMNS;
    return (em_i8)m->weights[block * EM_BLOCK_BYTES + at];
}

/* Weight of one row and column, times the sub-scale of its group where it has one. */
EM_INLINE em_i32 em_weight_at(const struct em_matrix *m, em_u32 row, em_u32 column)
{
    if (m->format <= EM_W6) {
        return em_weight_grouped(m, row, column);
    }
    if (m->format == EM_W16) {
        return ((const em_i16 *)(const void *)m->weights)[(em_u64)row * m->columns + column];
    }
    return em_weight_w8(m, row, column);
}

EM_INLINE em_i32 em_exponent_of(const struct em_matrix *m, em_u32 row)
{
    return m->exponents[em_exponent_at(row)];
}

/* One row as real values in Q(frac): the embedding of a token. 127 undoes the division in the row multiplier. */
EM_NOINLINE EM_UNUSED static void em_gather_row(const struct em_matrix *m, em_u32 row, em_i32 frac, em_i32 *out)
{
    em_i32 shift = em_exponent_of(m, row) - frac;
    for (em_u32 c = 0; c < m->columns; c++) {
        out[c] = em_scale(127 * em_weight_at(m, row, c), m->mantissas[row], shift);
    }
}

#endif /* EM_MATRIX_H */
