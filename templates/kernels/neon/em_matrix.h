/*
 * em_matrix.h - kernel set "neon": where the weights of a matrix stand, and one of them read in general registers.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_MATRIX_H
#define EM_MATRIX_H

#include "em_activation.h"
#include "em_tile_fields.h"

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

/* Bytes of the weights of 32 rows. */
EM_INLINE em_u64 em_tile_bytes(em_u32 format, em_u32 columns)
{
    if (format <= EM_W6) {
        return (em_u64)EM_GROUPS(columns) * EM_GROUP_BYTES(format);
    }
    return EM_ROW_TILE * (format == EM_W16 ? (em_u64)columns * 2u : (em_u64)EM_W8_BLOCKS(columns) * EM_BLOCK_COLUMNS);
}

/* Weight times sub-scale of one row of a tile and column of w4, w5, w6. */
EM_INLINE em_i32 em_weight_grouped(em_u32 format, em_u32 columns, const em_u8 *tile, em_u32 row, em_u32 column)
{
    const em_u8 *group = tile + (em_u64)(column / EM_GROUP) * EM_GROUP_BYTES(format);
    const em_u8 *quad = group + EM_SUB_SCALE_BYTES + column % EM_GROUP / 4u * EM_QUAD_BYTES(format);
    const struct em_field_bytes x = {quad + row % 16u, 16};
    em_i32 sub_scale = (em_i8)group[row];
    (void)columns;
    return sub_scale * ((em_i32)em_unpack_byte(format, x, column % 4u * 2u + row / 16u) - (4 << format));
}

/* Weight of one row of a tile and column of w8. */
EM_INLINE em_i32 em_weight_w8(em_u32 columns, const em_u8 *tile, em_u32 row, em_u32 column)
{
    em_u64 block = (em_u64)(row / EM_STRIP_ROWS) * EM_W8_BLOCKS(columns) + column / EM_BLOCK_COLUMNS;
    em_u32 at = row % EM_STRIP_ROWS * EM_BLOCK_COLUMNS + column % EM_BLOCK_COLUMNS;
    return (em_i8)tile[block * EM_BLOCK_BYTES + at];
}

#endif /* EM_MATRIX_H */
