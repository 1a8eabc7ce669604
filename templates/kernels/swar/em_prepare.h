/*
 * em_prepare.h - what words start with, from the activations that they will meet.
 *
 * Weights are stored with the offset 2^(bits-1), so that they are never negative. The offset times the sum of the
 * activations is subtracted beforehand: words start at EM_LANE_CENTRE minus it in every lane. It depends on no weight
 * and is computed once a row.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_PREPARE_H
#define EM_PREPARE_H

#include "em_activation.h"
#include "em_lanes.h"
#include "em_linear_op.h"

/*
 * Starts of grouped formats for 32 columns: a word takes 8 columns of w6, 16 of w5, 32 of w4 before its lanes are
 * emptied.
 */
struct em_group_starts {
    em_u64 w6[4];
    em_u64 w5[2];
    em_u64 w4;
    em_u64 unused;
};

/* Starts of w8 in a group: a word takes a pair of columns. */
#define EM_GROUP_PAIRS (EM_GROUP / 2u)

/* The prepared form of a row: starts of w8 for every pair of columns, then those of grouped formats for every group. */
struct em_starts {
    em_u64 *pairs;
    struct em_group_starts *groups;
};

#define EM_PREPARED_GROUP_BYTES (EM_GROUP_PAIRS * sizeof(em_u64) + sizeof(struct em_group_starts))
#define EM_PREPARED_BYTES(columns) (EM_GROUPS(columns) * (em_u64)EM_PREPARED_GROUP_BYTES)

_Static_assert(EM_PREPARED_GROUP_BYTES == 192, "the memory plan counts 192 bytes a group");

/* The parts of a prepared row. */
EM_INLINE struct em_starts em_starts_at(em_u8 *prepared, em_u32 columns)
{
    struct em_starts starts;
    starts.pairs = (em_u64 *)(void *)prepared;
    starts.groups = (struct em_group_starts *)(void *)(starts.pairs + (em_u64)EM_GROUPS(columns) * EM_GROUP_PAIRS);
    return starts;
}

EM_INLINE em_u64 em_start(em_i32 offset, em_i32 sum)
{
    return EM_FOUR_LANES((em_i64)EM_LANE_CENTRE - offset * sum);
}

/* Starts for the 32 activations of a group, of the formats that the model uses. */
EM_INLINE void em_prepare_group(const em_i8 *a, em_u64 *pairs, struct em_group_starts *out)
{
    em_i32 eights[4];
    for (em_u32 eight = 0; eight < 4u; eight++) {
        eights[eight] = 0;
        for (em_u32 pair = 4u * eight; pair < 4u * eight + 4u; pair++) {
            em_i32 sum = a[2u * pair] + a[2u * pair + 1u];
            if (EM_USES(EM_W8) || EM_USES(EM_W8T)) {
                pairs[pair] = em_start(128, sum);
            }
            eights[eight] += sum;
        }
        out->w6[eight] = em_start(32, eights[eight]);
    }
    out->w5[0] = em_start(16, eights[0] + eights[1]);
    out->w5[1] = em_start(16, eights[2] + eights[3]);
    out->w4 = em_start(8, eights[0] + eights[1] + eights[2] + eights[3]);
}

/* Makes the prepared form of a row, which is padded with zeros to whole groups. */
EM_INLINE void em_prepare(const em_i8 *row, em_u32 columns, em_u8 *prepared)
{
    struct em_starts starts = em_starts_at(prepared, columns);
    for (em_u32 g = 0; g < EM_GROUPS(columns); g++) {
        em_prepare_group(row + g * EM_GROUP, starts.pairs + g * EM_GROUP_PAIRS, starts.groups + g);
    }
}

#endif /* EM_PREPARE_H */
