/*
 * em_prepare.h - activations in the order in which the kernels of w4, w5 and w6 take them. w8 and w16 read the int8 row itself.
 *
 * Groups of 32 columns go in pairs, so that the two int16 lanes of a 32-bit lane belong to one group each and one vpmaddwd
 * applies both sub-scales. A last group without a partner is spread over both lanes.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_PREPARE_H
#define EM_PREPARE_H

#include "em_activation.h"
#include "em_avx2.h"
#include "em_linear_op.h"

/* Pairs of groups of a row, a single last group included. */
#define EM_PAIRS(columns) ((EM_GROUPS(columns) + 1u) / 2u)

/*
 * Activations of a pair of groups, and what the int16 lanes start with: minus the offset of the stored integers times the sum of
 * the activations that the lane will meet, low lane and high lane in one word. em_grouped.h has the bounds.
 */
struct em_prepared {
    em_i8 quads[64];    /* quad q: columns 2q, 2q+1 of the first group, then of the second; of a single group: columns 4q .. 4q+3 */
    em_u32 start_w4;    /* of all quads */
    em_u32 start_w5[2]; /* of quads 0..7 and 8..15 */
    em_u32 start_w6[4]; /* of quads 0..3, 4..7, ... */
    em_u32 unused;
};

_Static_assert(sizeof(struct em_prepared) == 96, "the memory plan counts 96 bytes a pair");

/* Bytes of the prepared form of a row, a multiple of 64. */
#define EM_PREPARED_BYTES(columns) em_align64(EM_PAIRS(columns) * (em_u64)sizeof(struct em_prepared))

/* -offset times the sums of low and high lane. |offset * sum| is at most 32512. */
EM_INLINE em_u32 em_lane_start(em_i32 offset, em_i32 low, em_i32 high)
{
    return (em_u32)(-offset * low) % 65536u | (em_u32)(-offset * high) << 16;
}

/* Columns of a pair of groups in the order of quads; of a single group, whose partner is all zeros, as they are. */
EM_INLINE void em_order_quads(const em_i8 *columns, em_u32 single, em_u32x8 *quads)
{
    const em_u16x8 *halves = (const em_u16x8 *)(const void *)columns;
    const em_u32x8 *whole = (const em_u32x8 *)(const void *)columns;
    if (single) {
        quads[0] = whole[0];
        quads[1] = whole[1];
    } else {
        quads[0] = em_widen_words(halves) | em_widen_words(halves + 2) << 16;
        quads[1] = em_widen_words(halves + 1) | em_widen_words(halves + 3) << 16;
    }
}

EM_INLINE void em_prepare_pair(const em_i8 *columns, em_u32 single, struct em_prepared *out)
{
    const em_u8x32 ones = (em_u8x32)em_broadcast(0x01010101u);
    em_u32x8 quads[2];
    em_i16 pairs[32]; /* of each quad: the sum of its first two columns, then of the other two */
    em_i32 low[4];
    em_i32 high[4];
    em_order_quads(columns, single, quads);
    for (em_u32 i = 0; i < 2u; i++) {
        em_u16x16 sums = em_multiply_bytes(ones, (em_u8x32)quads[i]);
        __builtin_memcpy(out->quads + 32u * i, &quads[i], sizeof(quads[i]));
        __builtin_memcpy(pairs + 16u * i, &sums, sizeof(sums));
    }
    for (em_u32 run = 0; run < 4u; run++) {
        const em_i16 *quad = pairs + 8u * run;
        low[run] = quad[0] + quad[2] + quad[4] + quad[6];
        high[run] = quad[1] + quad[3] + quad[5] + quad[7];
        out->start_w6[run] = em_lane_start(32, low[run], high[run]);
    }
    out->start_w5[0] = em_lane_start(16, low[0] + low[1], high[0] + high[1]);
    out->start_w5[1] = em_lane_start(16, low[2] + low[3], high[2] + high[3]);
    out->start_w4 = em_lane_start(8, low[0] + low[1] + low[2] + low[3], high[0] + high[1] + high[2] + high[3]);
    out->unused = 0;
}

/* Makes the prepared form of a row: struct em_prepared[EM_PAIRS(columns)]. */
EM_INLINE void em_prepare(const em_i8 *row, em_u32 columns, em_u8 *prepared)
{
    struct em_prepared *out = (struct em_prepared *)(void *)prepared;
    em_u32 whole = EM_GROUPS(columns) / 2u;
    if (!EM_USES(EM_W4) && !EM_USES(EM_W5) && !EM_USES(EM_W6)) {
        return;
    }
    for (em_u32 pair = 0; pair < EM_PAIRS(columns); pair++) {
        em_prepare_pair(row + (em_u64)pair * 64u, pair >= whole, out + pair);
    }
}

#endif /* EM_PREPARE_H */
