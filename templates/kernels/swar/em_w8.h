/*
 * em_w8.h - w8: sums of a tile of 16 rows.
 *
 * Layout. A tile holds pair of columns after pair of columns, columns padded with zero weights to a multiple of 4:
 * four words for rows 0..3, 4..7, 8..11, 12..15. Lanes 0, 1, 2, 3 of a word are its rows 0, 2, 1, 3, so that even and
 * odd lanes become rows in their order; the low byte of a lane is the first column of the pair, the high byte the
 * second. The offset is 128.
 *
 * Bound. A lane takes two products, 2 * 127 * 127 = 32258 in magnitude, and is emptied into lanes of 32 bits, where a
 * pair adds less than 2^16: EM_W8_COLUMNS of them fit.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_W8_H
#define EM_W8_H

#include "em_prepare.h"

#define EM_W8_ROWS 16u

/* Most columns of a matrix, and how many are worked off at a time. */
#define EM_W8_COLUMNS 131072u
#define EM_W8_STEP 4u

#define EM_W8_PADDED(columns) (((columns) + EM_W8_STEP - 1u) / EM_W8_STEP * EM_W8_STEP)

/* Words of a tile. */
#define EM_W8_TILE_WORDS(columns) (EM_W8_PADDED(columns) * (em_u64)(EM_W8_ROWS / 8u))

#define EM_FIRST_BYTES 0x00ff00ff00ff00ffu
#define EM_SECOND_BYTES 0xff00ff00ff00ff00u

/* Adds the products of one word with a pair of activations. */
EM_INLINE void em_add_pair(struct em_wide_sum *sum, em_u64 word, em_u64 start, em_i64 first, em_i64 second)
{
    em_u64 lanes = start + (word & EM_FIRST_BYTES) * (em_u64)first;
    em_add_wide(sum, lanes + em_multiply_field(word & EM_SECOND_BYTES, 8, second));
}

/* Sum of each row of a tile, from 32-bit lanes that started at 0 and took as many centres as there were pairs. */
EM_INLINE void em_store_wide_sums(const struct em_wide_sum *sum, em_u32 centres, em_i64 *out)
{
    em_u64 even = em_even_lanes(sum);
    out[0] = (em_i32)((em_u32)even - centres);
    out[1] = (em_i32)((em_u32)(even >> 32) - centres);
    out[2] = (em_i32)((em_u32)sum->odd - centres);
    out[3] = (em_i32)((em_u32)(sum->odd >> 32) - centres);
}

/* Sums of the rows of a tile; activations are padded with zeros, starts are those of their pairs (em_prepare.h). */
EM_NOINLINE EM_UNUSED static void em_sum_w8(const em_u64 *tile, em_u32 columns, const em_i8 *a, const em_u64 *starts,
                                            em_i64 *sums)
{
    struct em_wide_sum sum[4] = {{0, 0}};
    const em_i8 *end = a + EM_W8_PADDED(columns);
    for (; a != end; a += EM_W8_STEP) {
        EM_UNROLL
        for (em_u32 pair = 0; pair < EM_W8_STEP / 2u; pair++) {
            EM_UNROLL
            for (em_u32 i = 0; i < 4u; i++) {
                em_add_pair(&sum[i], tile[4u * pair + i], starts[pair], a[2u * pair], a[2u * pair + 1u]);
            }
            em_schedule_barrier();
        }
        tile += 2u * EM_W8_STEP;
        starts += EM_W8_STEP / 2u;
    }
    EM_UNROLL
    for (em_u32 i = 0; i < 4u; i++) {
        em_store_wide_sums(&sum[i], EM_W8_PADDED(columns) / 2u * EM_LANE_CENTRE, sums + 4u * i);
    }
}

#endif /* EM_W8_H */
