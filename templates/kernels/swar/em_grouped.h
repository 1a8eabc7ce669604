/*
 * em_grouped.h - w4, w5, w6: sums of a tile of rows, group of 32 columns after group.
 *
 * Layout. A tile is 32 rows of w4 or w5, 16 rows of w6; it holds its groups one after the other, a group its blocks
 * of columns, a block word after word of columns, and each of those once for every four rows. Stored integers have
 * the offset 2^(bits-1). Bits of a lane, where a column stands for its stored integer, lowest bit first:
 *
 *   w4   block of 4 columns, 1 word:     0 1 2 3, four bits each
 *   w5   block of 16 columns, 5 words t: 3t, 3t+1, 3t+2, five bits each, then bit t of column 15
 *   w6   block of 8 columns, 3 words:    0, low four bits of 6, 1
 *                                        2, low four bits of 7, 3
 *                                        4, high two bits of 6, high two of 7, 5
 *
 * Lanes 0, 1, 2, 3 of a word are rows 0, 1, 2, 3 of its four in w4 and w5; 0, 2, 1, 3 in w6, so that even and odd
 * lanes become rows in their order.
 *
 * Bound. A lane takes n products, n * 2^(bits-1) * 127 <= 32512 in magnitude: n = 32 (w4), 16 (w5), 8 (w6). Then it
 * is emptied: in w4 and w5 as 16-bit sums of a group or half of it, in w6 into lanes of 32 bits. Groups times
 * sub-scales are summed in int64.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_GROUPED_H
#define EM_GROUPED_H

#include "em_prepare.h"

/* Rows of a tile; a multiple of 8. */
#define EM_GROUPED_ROWS(format) ((format) == EM_W6 ? 16u : 32u)

/* Words of one group of a tile: 128, 160 or 192 bits for every row. */
#define EM_TILE_GROUP_WORDS(format) (EM_GROUPED_ROWS(format) * (3u + (format)) / 2u)

/* Words of the sums of a group: int16[32] of w4, int16[2][32] of the halves of a group of w5, int32[16] of w6. */
#define EM_SUM_WORDS(format) ((format) == EM_W5 ? 16u : 8u)

/* Words that are kept before sub-scales are applied: bounds the stack. */
#define EM_KEPT_WORDS 128u

/* Sums in such words, read as what they are. */
typedef em_i16 em_narrow_sum __attribute__((may_alias));
typedef em_i32 em_wide_lane __attribute__((may_alias));

/* ---- Sums of one group ------------------------------------------------------------------------------------------- */

#define EM_NIBBLES EM_FOUR_LANES(0x000f)

EM_INLINE void em_sum_group_w4(const em_u64 *w, const em_i8 *a, const struct em_group_starts *starts, em_u64 *out)
{
    em_u64 sum[8];
    EM_UNROLL
    for (em_u32 i = 0; i < 8u; i++) {
        sum[i] = starts->w4;
    }
    for (const em_i8 *end = a + EM_GROUP; a != end; a += 4, w += 8) {
        const em_i64 a0 = a[0];
        const em_i64 a1 = a[1];
        const em_i64 a2 = a[2];
        const em_i64 a3 = a[3];
        EM_UNROLL
        for (em_u32 i = 0; i < 8u; i++) {
            sum[i] += (w[i] & EM_NIBBLES) * (em_u64)a0;
            sum[i] += ((w[i] >> 4) & EM_NIBBLES) * (em_u64)a1;
            sum[i] += em_multiply_field(w[i] & EM_NIBBLES << 8, 8, a2);
            sum[i] += em_multiply_field(w[i] & EM_NIBBLES << 12, 12, a3);
            if (i % 4u == 3u) {
                em_schedule_barrier();
            }
        }
    }
    EM_UNROLL
    for (em_u32 i = 0; i < 8u; i++) {
        out[i] = sum[i] ^ EM_NARROW_CENTRE;
    }
}

/* Lanes of 32 bits that start at the centre once `centres` centres of 16-bit lanes have been added. */
EM_INLINE struct em_wide_sum em_wide_start(em_u32 centres)
{
    const em_u64 lanes = EM_WIDE_CENTRE - centres * EM_LANE_CENTRE * (em_u64)0x0000000100000001u;
    return (struct em_wide_sum){lanes + (lanes << 16), lanes};
}

EM_INLINE void em_store_group_sums(const struct em_wide_sum *sum, em_u64 *out)
{
    out[0] = em_even_lanes(sum) ^ EM_WIDE_CENTRE;
    out[1] = sum->odd ^ EM_WIDE_CENTRE;
}

#define EM_FIVE_BITS EM_FOUR_LANES(0x001f)
#define EM_TOP_BITS EM_FOUR_LANES(0x8000)

/* Sums of a block of 16 columns. */
EM_INLINE void em_sum_block_w5(const em_u64 *w, const em_i8 *a, em_u64 start, em_u64 *out)
{
    em_u64 sum[8];
    em_i64 last = a[15]; /* for bit t of column 15: times 2^t */
    EM_UNROLL
    for (em_u32 i = 0; i < 8u; i++) {
        sum[i] = start;
    }
    for (const em_i8 *end = a + 15; a != end; a += 3, w += 8, last *= 2) {
        const em_i64 a0 = a[0];
        const em_i64 a1 = a[1];
        const em_i64 a2 = a[2];
        EM_UNROLL
        for (em_u32 i = 0; i < 8u; i++) {
            sum[i] += (w[i] & EM_FIVE_BITS) * (em_u64)a0;
            sum[i] += ((w[i] >> 5) & EM_FIVE_BITS) * (em_u64)a1;
            sum[i] += em_multiply_field(w[i] & EM_FIVE_BITS << 10, 10, a2);
            sum[i] += em_multiply_field(w[i] & EM_TOP_BITS, 15, last);
            if (i % 4u == 3u) {
                em_schedule_barrier();
            }
        }
    }
    EM_UNROLL
    for (em_u32 i = 0; i < 8u; i++) {
        out[i] = sum[i] ^ EM_NARROW_CENTRE;
    }
}

EM_INLINE void em_sum_group_w5(const em_u64 *w, const em_i8 *a, const struct em_group_starts *starts, em_u64 *out)
{
    for (em_u32 block = 0; block < 2u; block++) {
        em_sum_block_w5(w + 40u * block, a + 16u * block, starts->w5[block], out + 8u * block);
    }
}

#define EM_SIX_BITS EM_FOUR_LANES(0x003f)
#define EM_HIGH_BITS EM_FOUR_LANES(0x0030)

/* Products of the lanes of a block, three words of four rows, with eight activations. */
EM_INLINE em_u64 em_multiply_w6(em_u64 x, em_u64 y, em_u64 z, const em_i64 *a)
{
    em_u64 sum = (x & EM_SIX_BITS) * (em_u64)a[0] + em_multiply_field(x & EM_SIX_BITS << 10, 10, a[1]);
    sum += (y & EM_SIX_BITS) * (em_u64)a[2] + em_multiply_field(y & EM_SIX_BITS << 10, 10, a[3]);
    sum += (z & EM_SIX_BITS) * (em_u64)a[4] + em_multiply_field(z & EM_SIX_BITS << 10, 10, a[5]);
    sum += (((x >> 6) & EM_NIBBLES) | ((z >> 2) & EM_HIGH_BITS)) * (em_u64)a[6];
    return sum + (((y >> 6) & EM_NIBBLES) | ((z >> 4) & EM_HIGH_BITS)) * (em_u64)a[7];
}

EM_INLINE void em_sum_group_w6(const em_u64 *w, const em_i8 *a, const struct em_group_starts *starts, em_u64 *out)
{
    struct em_wide_sum wide[4];
    EM_UNROLL
    for (em_u32 i = 0; i < 4u; i++) {
        wide[i] = em_wide_start(4);
    }
    for (em_u32 block = 0; block < 4u; block++, a += 8, w += 12) {
        const em_i64 eight[8] = {a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]};
        const em_u64 start = starts->w6[block];
        EM_UNROLL
        for (em_u32 i = 0; i < 4u; i++) {
            em_add_wide(&wide[i], start + em_multiply_w6(w[i], w[4u + i], w[8u + i], eight));
            em_schedule_barrier();
        }
    }
    EM_UNROLL
    for (em_u32 i = 0; i < 4u; i++) {
        em_store_group_sums(&wide[i], out + 2u * i);
    }
}

/* ---- Sums of a tile ---------------------------------------------------------------------------------------------- */

/*
 * Adds group sums times sub-scales for 8 rows of a tile, `first` on: to zero, or continued to what is in `sums`.
 * groups: the sums of one group after another; sub_scales: those of all rows of the tile, group after group.
 */
EM_INLINE void em_scale_groups(em_u32 format, const em_u64 *groups, em_u32 count, const em_i8 *sub_scales, em_u32 first,
                               em_u32 continued, em_i64 *sums)
{
    const em_narrow_sum *narrow = (const em_narrow_sum *)(const void *)groups + first;
    const em_wide_lane *wide = (const em_wide_lane *)(const void *)groups + first;
    const em_i8 *end = sub_scales + count * EM_GROUPED_ROWS(format) + first;
    em_i64 sum[8] = {0};
    if (continued) {
        EM_UNROLL
        for (em_u32 i = 0; i < 8u; i++) {
            sum[i] = sums[first + i];
        }
    }
    for (sub_scales += first; sub_scales != end; sub_scales += EM_GROUPED_ROWS(format)) {
        EM_UNROLL
        for (em_u32 i = 0; i < 8u; i++) {
            em_i64 value = format == EM_W6 ? wide[i] : narrow[i];
            if (format == EM_W5) {
                value += narrow[EM_GROUPED_ROWS(EM_W5) + i];
            }
            sum[i] += value * sub_scales[i];
        }
        narrow += EM_SUM_WORDS(format) * 4u;
        wide += EM_SUM_WORDS(format) * 2u;
    }
    EM_UNROLL
    for (em_u32 i = 0; i < 8u; i++) {
        sums[first + i] = sum[i];
    }
}

/* Sums of the rows of a tile. `format` is a constant where inlined. */
EM_INLINE void em_sum_grouped(em_u32 format, const em_u64 *tile, const em_i8 *sub_scales, em_u32 groups, const em_i8 *a,
                              const struct em_group_starts *starts, em_i64 *sums)
{
    const em_u32 at_once = EM_KEPT_WORDS / EM_SUM_WORDS(format);
    for (em_u32 done = 0; done < groups; done += at_once) {
        em_u64 kept[EM_KEPT_WORDS];
        em_u64 *out = kept;
        em_u32 count = groups - done < at_once ? groups - done : at_once;
        for (em_u32 g = 0; g < count; g++, a += EM_GROUP, starts++) {
            if (format == EM_W4) {
                em_sum_group_w4(tile, a, starts, out);
            } else if (format == EM_W5) {
                em_sum_group_w5(tile, a, starts, out);
            } else {
                em_sum_group_w6(tile, a, starts, out);
            }
            tile += EM_TILE_GROUP_WORDS(format);
            out += EM_SUM_WORDS(format);
        }
        for (em_u32 first = 0; first < EM_GROUPED_ROWS(format); first += 8u) {
            em_scale_groups(format, kept, count, sub_scales, first, done > 0, sums);
        }
        sub_scales += count * EM_GROUPED_ROWS(format);
    }
}

/* The same for each format: functions of their own, so that they have all registers. */
EM_NOINLINE EM_UNUSED static void em_sum_w4(const em_u64 *tile, const em_i8 *sub_scales, em_u32 groups, const em_i8 *a,
                                            const struct em_group_starts *starts, em_i64 *sums)
{
    em_sum_grouped(EM_W4, tile, sub_scales, groups, a, starts, sums);
}

EM_NOINLINE EM_UNUSED static void em_sum_w5(const em_u64 *tile, const em_i8 *sub_scales, em_u32 groups, const em_i8 *a,
                                            const struct em_group_starts *starts, em_i64 *sums)
{
    em_sum_grouped(EM_W5, tile, sub_scales, groups, a, starts, sums);
}

EM_NOINLINE EM_UNUSED static void em_sum_w6(const em_u64 *tile, const em_i8 *sub_scales, em_u32 groups, const em_i8 *a,
                                            const struct em_group_starts *starts, em_i64 *sums)
{
    em_sum_grouped(EM_W6, tile, sub_scales, groups, a, starts, sums);
}

#endif /* EM_GROUPED_H */
