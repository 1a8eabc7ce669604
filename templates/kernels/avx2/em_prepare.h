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
#include "em_matrix.h"

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

/* Added to the sum of a quad's columns in a lane, at least -254: never negative, and sums of 16 quads do not reach 2^16. */
#define EM_QUAD_BIAS 256u

/*
 * -offset times the sums of both lanes. They come plus EM_QUAD_BIAS for each of 32768 / (offset * EM_QUAD_BIAS) quads, so that
 * offset * sum is 32768 too large, and in [256, 2^16): no lane carries into the other.
 */
EM_INLINE em_u32 em_lane_starts(em_u32 offset, em_u32 sums)
{
    return (~(offset * sums) + 0x00010001u) ^ 0x80008000u;
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
    em_u32 runs[4]; /* sums of four quads each */
    em_order_quads(columns, single, quads);
    for (em_u32 i = 0; i < 2u; i++) {
        em_u32x8 sums = (em_u32x8)(em_multiply_bytes(ones, (em_u8x32)quads[i]) + (em_u16)EM_QUAD_BIAS);
        __builtin_memcpy(out->quads + 32u * i, &quads[i], sizeof(quads[i]));
        runs[2u * i] = sums[0] + sums[1] + sums[2] + sums[3];
        runs[2u * i + 1u] = sums[4] + sums[5] + sums[6] + sums[7];
    }
    for (em_u32 run = 0; run < 4u; run++) {
        out->start_w6[run] = em_lane_starts(32, runs[run]);
    }
    out->start_w5[0] = em_lane_starts(16, runs[0] + runs[1]);
    out->start_w5[1] = em_lane_starts(16, runs[2] + runs[3]);
    out->start_w4 = em_lane_starts(8, runs[0] + runs[1] + runs[2] + runs[3]);
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
