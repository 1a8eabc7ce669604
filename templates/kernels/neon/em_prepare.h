/*
 * em_prepare.h - what the kernels of w4, w5 and w6 want of a row of activations besides its integers.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_PREPARE_H
#define EM_PREPARE_H

#include "em_activation.h"
#include "em_linear_op.h"
#include "em_neon.h"

/*
 * What the int16 lanes start with in a group of 32 columns: minus the offset of the stored integers times the sum of the activations
 * that a lane will meet. em_grouped.h has the bounds.
 */
struct em_starts {
    em_i16 w4;    /* of all columns */
    em_i16 w5[2]; /* of columns 0..15 and 16..31 */
    em_i16 w6[4]; /* of columns 0..7, 8..15, ... */
    em_i16 unused;
};

_Static_assert(sizeof(struct em_starts) == 16, "read as one vector; the memory plan counts 16 bytes a group");

/* Bytes of the prepared form of a row, a multiple of 64. */
#define EM_PREPARED_BYTES(columns) em_align64(EM_GROUPS(columns) * (em_u64)sizeof(struct em_starts))

/* Makes the prepared form of a row: struct em_starts[EM_GROUPS(columns)]. */
EM_INLINE void em_prepare(const em_i8 *row, em_u32 columns, em_u8 *prepared)
{
    struct em_starts *out = (struct em_starts *)(void *)prepared;
    if (!EM_USES(EM_W4) && !EM_USES(EM_W5) && !EM_USES(EM_W6)) {
        return;
    }
    for (em_u32 group = 0; group < EM_GROUPS(columns); group++, row += EM_GROUP, out++) {
        const em_i8x16 *a = (const em_i8x16 *)(const void *)row;
        em_i32x4 first = em_pair_sums16(em_pair_sums8(a[0]));
        em_i32x4 second = em_pair_sums16(em_pair_sums8(a[1]));
        em_i32x4 eights = em_pair_sums32(first, second); /* sums of eight columns */
        em_i32 low = eights[0] + eights[1];
        em_i32 high = eights[2] + eights[3];
        out->w4 = (em_i16)(-8 * (low + high));
        out->w5[0] = (em_i16)(-16 * low);
        out->w5[1] = (em_i16)(-16 * high);
        for (em_u32 i = 0; i < 4u; i++) {
            out->w6[i] = (em_i16)(-32 * eights[i]);
        }
        out->unused = 0;
    }
}

#endif /* EM_PREPARE_H */
