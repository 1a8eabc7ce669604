/*
 * em_tile_fields.h - one weight of the tiles that kernel sets with vectors have (avx2, neon), in general registers.
 *
 * Weights of w4, w5 and w6 are unpacked from vectors x0, x1, ... into eight vectors; how the fields of the x make these,
 * em_grouped.h of the set says. It is the same for vectors of 16 and of 32 bytes.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_TILE_FIELDS_H
#define EM_TILE_FIELDS_H

#include "em_linear_op.h"

/* Rows of a tile; rows that a task is made of are multiples of it. */
#define EM_ROW_TILE 32u

/* A byte of x0 at `first`, those of x1, x2, ... `apart` bytes further on each. */
struct em_field_bytes {
    const em_u8 *first;
    em_u32 apart;
};

/* Bits `low` and up, `count` of them, of the byte of x_i. */
EM_INLINE em_u32 em_field(struct em_field_bytes x, em_u32 i, em_u32 low, em_u32 count)
{
    return ((em_u32)x.first[x.apart * i] >> low) & ((1u << count) - 1u);
}

/* One byte of vector `index` (0..7) of those that are unpacked together. */
EM_INLINE em_u32 em_unpack_byte(em_u32 format, struct em_field_bytes x, em_u32 index)
{
    if (format == EM_W4) {
        return em_field(x, index / 2u, index % 2u * 4u, 4);
    }
    if (format == EM_W6) {
        const em_u32 x0 = index / 4u * 3u;
        if (index % 4u < 3u) {
            return em_field(x, x0 + index % 4u, 0, 6);
        }
        return em_field(x, x0, 6, 2) << 4 | em_field(x, x0 + 1u, 6, 2) << 2 | em_field(x, x0 + 2u, 6, 2);
    }
    if (index < 5u) {
        return em_field(x, index, 0, 5);
    }
    if (index < 7u) {
        return em_field(x, index - 5u, 5, 3) << 2 | em_field(x, index - 2u, 6, 2);
    }
    return em_field(x, 2, 5, 3) << 2 | em_field(x, 3, 5, 1) << 1 | em_field(x, 4, 5, 1);
}

#endif /* EM_TILE_FIELDS_H */
