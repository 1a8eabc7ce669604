/*
 * em_matrix.h - kernel set "avx2": where the weights of a matrix stand, and one of them read in general registers.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_MATRIX_H
#define EM_MATRIX_H

#include "em_activation.h"
#include "em_tile_fields.h"

/* Pairs of groups of a row, a single last group included. */
#define EM_PAIRS(columns) ((EM_GROUPS(columns) + 1u) / 2u)

/* Bytes of the sub-scales, of the eight quads of a group (32 rows, 32 columns of 4, 5 or 6 bits), and of a pair of groups. */
#define EM_SUB_SCALE_BYTES (2u * EM_ROW_TILE)
#define EM_GROUP_BYTES(format) (128u * (3u + (format)))
#define EM_PAIR_BYTES(format) (EM_SUB_SCALE_BYTES + 2u * EM_GROUP_BYTES(format))

/* Quads of a row, and how many are worked off at a time. */
#define EM_W8_STEP 8u
#define EM_W8_QUADS(columns) (((columns) + 31u) / 32u * EM_W8_STEP)

/* Bytes of the weights of 32 rows. */
EM_INLINE em_u64 em_tile_bytes(em_u32 format, em_u32 columns)
{
    if (format <= EM_W6) {
        return (em_u64)EM_PAIRS(columns) * EM_SUB_SCALE_BYTES + (em_u64)EM_GROUPS(columns) * EM_GROUP_BYTES(format);
    }
    return EM_ROW_TILE * (format == EM_W16 ? (em_u64)columns * 2u : (em_u64)EM_W8_QUADS(columns) * 4u);
}

/* Weight times sub-scale of one row of a tile and column of w4, w5, w6. */
EM_INLINE em_i32 em_weight_grouped(em_u32 format, em_u32 columns, const em_u8 *tile, em_u32 row, em_u32 column)
{
    em_u32 pair = column / (2u * EM_GROUP);
    em_u32 single = pair >= EM_GROUPS(columns) / 2u;
    em_u32 group = column / EM_GROUP % 2u;
    em_u32 c = column % EM_GROUP;
    em_u32 quad = single ? c / 4u : c / 2u;
    em_u32 lane = row % 8u * 4u + (single ? c % 4u : group * 2u + c % 2u);
    const em_u8 *at = tile + (em_u64)pair * EM_PAIR_BYTES(format);
    const em_i8 *sub_scales = (const em_i8 *)at + row * 2u;
    const struct em_field_bytes x = {at + EM_SUB_SCALE_BYTES + quad / 2u * (EM_GROUP_BYTES(format) / 4u) + lane, 32};
    em_u32 stored = em_unpack_byte(format, x, quad % 2u * 4u + row / 8u);
    return sub_scales[group] * ((em_i32)stored - (4 << format));
}

/* Weight of one row of a tile and column of w8. */
EM_INLINE em_i32 em_weight_w8(em_u32 columns, const em_u8 *tile, em_u32 row, em_u32 column)
{
    (void)columns;
    return (em_i8)tile[((em_u64)(column / 4u) * EM_ROW_TILE + row) * 4u + column % 4u];
}

#endif /* EM_MATRIX_H */
