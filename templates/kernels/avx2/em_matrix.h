/*
 * em_matrix.h - kernel set "avx2": where the weights of a matrix stand, and one of them read in general registers.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_MATRIX_H
#define EM_MATRIX_H

#include "em_activation.h"
#include "em_linear_op.h"

/* Rows of a tile; rows that a task is made of are multiples of it. */
#define EM_ROW_TILE 32u

/* Pairs of groups of a row, a single last group included. */
#define EM_PAIRS(columns) ((EM_GROUPS(columns) + 1u) / 2u)

/* Bytes of the sub-scales, of the eight quads of a group (32 rows, 32 columns of 4, 5 or 6 bits), and of a pair of groups. */
#define EM_SUB_SCALE_BYTES (2u * EM_ROW_TILE)
#define EM_GROUP_BYTES(format) (128u * (3u + (format)))
#define EM_PAIR_BYTES(format) (EM_SUB_SCALE_BYTES + 2u * EM_GROUP_BYTES(format))

/* Quads of a row, and how many are worked off at a time. */
#define EM_W8_STEP 8u
#define EM_W8_QUADS(columns) (((columns) + 31u) / 32u * EM_W8_STEP)

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
        return (em_u64)EM_PAIRS(columns) * EM_SUB_SCALE_BYTES + (em_u64)EM_GROUPS(columns) * EM_GROUP_BYTES(format);
    }
    return format == EM_W16 ? (em_u64)columns * 2u * EM_ROW_TILE : (em_u64)EM_W8_QUADS(columns) * 4u * EM_ROW_TILE;
}

EM_INLINE struct em_matrix em_matrix_open(const em_u8 *section, em_u32 format, em_u32 rows, em_u32 columns)
{
    struct em_matrix m;
    em_u64 tiles = (rows + EM_ROW_TILE - 1u) / EM_ROW_TILE;
    em_u64 weight_bytes = format == EM_W16 ? em_align64((em_u64)rows * columns * 2u) : tiles * em_tile_bytes(format, columns);
    m.weights = section;
    m.mantissas = (const em_i32 *)(const void *)(section + weight_bytes);
    m.exponents = section + weight_bytes + em_align64(tiles * EM_ROW_TILE * 4u);
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
    return ((em_u32)x[32u * i] >> low) & ((1u << count) - 1u);
}

/* One byte of vector `index` (0..7) of two quads, the bytes of x0, x1, ... given: what em_unpack makes, one at a time. */
EM_INLINE em_u32 em_unpack_byte(em_u32 format, const em_u8 *x, em_u32 index)
{
    if (format == EM_W4) {
        return em_field(x, index / 2u, index % 2u * 4u, 4);
    }
    if (format == EM_W6) {
        x += index / 4u * 96u;
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
    em_u32 pair = column / (2u * EM_GROUP);
    em_u32 single = pair >= EM_GROUPS(m->columns) / 2u;
    em_u32 group = column / EM_GROUP % 2u;
    em_u32 c = column % EM_GROUP;
    em_u32 quad = single ? c / 4u : c / 2u;
    em_u32 lane = row % 8u * 4u + (single ? c % 4u : group * 2u + c % 2u);
    const em_u8 *at = m->weights + row / EM_ROW_TILE * m->tile_bytes;
    at += (em_u64)pair * EM_PAIR_BYTES(m->format);
    const em_i8 *sub_scales = (const em_i8 *)at + row % EM_ROW_TILE * 2u;
    at += EM_SUB_SCALE_BYTES + quad / 2u * (EM_GROUP_BYTES(m->format) / 4u) + lane;
    em_u32 stored = em_unpack_byte(m->format, at, quad % 2u * 4u + row % EM_ROW_TILE / 8u);
    return sub_scales[group] * ((em_i32)stored - (4 << m->format));
}

/* Weight of one row and column, times the sub-scale of its group where it has one. */
EM_INLINE em_i32 em_weight_at(const struct em_matrix *m, em_u32 row, em_u32 column)
{
    const em_u8 *tile = m->weights + row / EM_ROW_TILE * m->tile_bytes;
    if (m->format <= EM_W6) {
        return em_weight_grouped(m, row, column);
    }
    if (m->format == EM_W16) {
        return ((const em_i16 *)(const void *)m->weights)[(em_u64)row * m->columns + column];
    }
    return (em_i8)tile[((em_u64)(column / 4u) * EM_ROW_TILE + row % EM_ROW_TILE) * 4u + column % 4u];
}

EM_INLINE em_i32 em_exponent_of(const struct em_matrix *m, em_u32 row)
{
    return m->exponents[row];
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
