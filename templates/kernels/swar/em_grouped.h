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

#include "em_in_order.h"
#include "em_prepare.h"

/* Rows of a tile; a multiple of 8. */
#define EM_GROUPED_ROWS(format) ((format) == EM_W6 ? 16u : 32u)

/* Words of one group of a tile: 128, 160 or 192 bits for every row. */
#define EM_TILE_GROUP_WORDS(format) (EM_GROUPED_ROWS(format) * (3u + (format)) / 2u)

/* Words of the sums of a group: int16[32] of w4, int16[2][32] of the halves of a group of w5, int32[16] of w6. */
#define EM_SUM_WORDS(format) ((format) == EM_W5 ? 16u : 8u)

/* Words that are kept before sub-scales are applied: bounds the stack. */
#define EM_KEPT_WORDS 192u

/* ---- Sums of one group ------------------------------------------------------------------------------------------- */

#define EM_NIBBLES EM_FOUR_LANES(0x000f)
#define EM_FIVE_BITS EM_FOUR_LANES(0x001f)
#define EM_TOP_BITS EM_FOUR_LANES(0x8000)

/* The four fields of a lane of w4, or of w5: first and second shifted down, third and fourth where they stand. */
#define EM_FIRST_FIELD(format) ((format) == EM_W4 ? EM_NIBBLES : EM_FIVE_BITS)
#define EM_SECOND_BIT(format) ((format) == EM_W4 ? 4u : 5u)
#define EM_THIRD_BIT(format) ((format) == EM_W4 ? 8u : 10u)
#define EM_THIRD_FIELD(format) ((format) == EM_W4 ? EM_NIBBLES << 8 : EM_FIVE_BITS << 10)
#define EM_FOURTH_BIT(format) ((format) == EM_W4 ? 12u : 15u)
#define EM_FOURTH_FIELD(format) ((format) == EM_W4 ? EM_NIBBLES << 12 : EM_TOP_BITS)

/* The fields of a word, and the word after it. */
struct em_fields {
    em_u64 first;
    em_u64 second;
    em_u64 third;
    em_u64 fourth;
    em_u64 next;
};

/* Activations of the columns of a word: third and fourth as em_factor makes them. */
struct em_factors {
    em_i64 first;
    em_i64 second;
    em_i64 third;
    em_i64 fourth;
};

EM_INLINE struct em_fields em_first_fields(em_u32 format, const em_u64 *w, em_u64 next)
{
    struct em_fields fields;
    fields.first = *w & EM_FIRST_FIELD(format);
    fields.second = (*w >> EM_SECOND_BIT(format)) & EM_FIRST_FIELD(format);
    fields.third = *w & EM_THIRD_FIELD(format);
    fields.fourth = *w & EM_FOURTH_FIELD(format);
    fields.next = next;
    return fields;
}

/*
 * Adds the products of a word's fields to sum and takes the next word to pieces meanwhile; `after` is the word after
 * that. Two by two, the lines are what the U74 does in a cycle.
 */
EM_INLINE void em_add_fields(em_u32 format, struct em_fields *fields, const struct em_factors *a, const em_u64 *after,
                             em_u64 *sum)
{
    const em_u64 x = fields->next;
    struct em_fields next;
    em_u64 first = em_multiply(fields->first, a->first);
    next.next = em_load_word(after);
    em_u64 second = em_multiply(fields->second, a->second);
    next.second = em_shift_right(x, EM_SECOND_BIT(format));
    em_u64 third = em_multiply_by_here(fields->third, EM_THIRD_BIT(format), a->third);
    next.first = em_and(x, EM_FIRST_FIELD(format));
    em_u64 fourth = em_multiply_by_here(fields->fourth, EM_FOURTH_BIT(format), a->fourth);
    next.second = em_and(next.second, EM_FIRST_FIELD(format));
    *sum = em_add_word(*sum, first);
    next.third = em_and(x, EM_THIRD_FIELD(format));
    *sum = em_add_word(*sum, second);
    next.fourth = em_and(x, EM_FOURTH_FIELD(format));
    *sum = em_add_word(*sum, third);
    *sum = em_add_word(*sum, fourth);
    *fields = next;
}

/*
 * The same for the first word of some columns, whose activations are fetched first: *at is where they lie, and is moved
 * on; `last` is the fourth one of w5.
 */
EM_INLINE struct em_factors em_open_fields(em_u32 format, struct em_fields *fields, const em_i8 **at, em_i64 last,
                                           const em_u64 *after, em_u64 *sum)
{
    const em_i8 *a = *at;
    const em_u64 x = fields->next;
    struct em_fields next;
    struct em_factors factors;
    em_i64 a2 = em_load_byte(a + 2);
    next.second = em_shift_right(x, EM_SECOND_BIT(format));
    em_i64 a3 = 0;
    if (format == EM_W4) {
        a3 = em_load_byte(a + 3);
    } else {
        *at = em_advance(a, 3);
    }
    next.first = em_and(x, EM_FIRST_FIELD(format));
    factors.first = em_load_byte(a);
    next.second = em_and(next.second, EM_FIRST_FIELD(format));
    factors.second = em_load_byte(a + 1);
    factors.third = em_factor_here(a2, EM_THIRD_BIT(format));
    next.next = em_load_word(after);
    factors.fourth = format == EM_W4 ? em_factor_here(a3, EM_FOURTH_BIT(EM_W4)) : last;
    em_u64 first = em_multiply(fields->first, factors.first);
    next.third = em_and(x, EM_THIRD_FIELD(format));
    em_u64 second = em_multiply(fields->second, factors.second);
    next.fourth = em_and(x, EM_FOURTH_FIELD(format));
    em_u64 third = em_multiply_by_here(fields->third, EM_THIRD_BIT(format), factors.third);
    *sum = em_add_word(*sum, first);
    em_u64 fourth = em_multiply_by_here(fields->fourth, EM_FOURTH_BIT(format), factors.fourth);
    *sum = em_add_word(*sum, second);
    *sum = em_add_word(*sum, third);
    if (format == EM_W4) {
        *at = em_advance(a, 4);
    }
    *sum = em_add_word(*sum, fourth);
    *fields = next;
    return factors;
}

/* Adds the products of the words of some columns; *at is where their activations lie, and is moved on. */
EM_INLINE void em_add_columns(em_u32 format, struct em_fields *fields, const em_u64 *w, const em_i8 **at, em_i64 last,
                              em_u64 *sum)
{
    const struct em_factors factors = em_open_fields(format, fields, at, last, w + 2, &sum[0]);
    EM_UNROLL
    for (em_u32 i = 1; i < 8u; i++) {
        em_add_fields(format, fields, &factors, w + i + 2u, &sum[i]);
    }
}

/*
 * Sums of the 32 columns of a group of w4, or of the 16 of a block of w5, whose first word is in *fields; leaves there
 * what comes next. So two words more are read; after the last tile these are sub-scales, of which a tile has at least
 * four words.
 */
EM_INLINE void em_sum_fields(em_u32 format, struct em_fields *fields, const em_u64 *w, const em_i8 *a, em_u64 start,
                             em_u64 *out)
{
    const em_i8 *end = a + (format == EM_W4 ? EM_GROUP : 15u);
    em_i64 last = em_factor(a[15], EM_FOURTH_BIT(EM_W5)); /* for bit t of column 15: times 2^t */
    em_u64 sum[8] = {start, start, start, start, start, start, start, start};
    em_add_columns(format, fields, w, &a, last, sum); /* apart: what is added to `start` needs no copy of it */
    last = (em_i64)((em_u64)last * 2u);
    for (w += 8; a != end; w += 8, last = (em_i64)((em_u64)last * 2u)) {
        em_add_columns(format, fields, w, &a, last, sum);
    }
    EM_UNROLL
    for (em_u32 i = 0; i < 8u; i++) {
        out[i] = sum[i] ^ EM_NARROW_CENTRE;
    }
}

EM_INLINE void em_sum_group_w4(struct em_fields *fields, const em_u64 *w, const em_i8 *a,
                               const struct em_group_starts *starts, em_u64 *out)
{
    em_sum_fields(EM_W4, fields, w, a, starts->w4, out);
}

EM_INLINE void em_sum_group_w5(struct em_fields *fields, const em_u64 *w, const em_i8 *a,
                               const struct em_group_starts *starts, em_u64 *out)
{
    for (em_u32 block = 0; block < 2u; block++) {
        em_sum_fields(EM_W5, fields, w + 40u * block, a + 16u * block, starts->w5[block], out + 8u * block);
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
 * Adds the sums of one group times sub-scales, for 8 rows, and moves on to the next. In each turn a row is loaded, an
 * earlier one multiplied, one before that added.
 */
EM_INLINE void em_scale_group(em_u32 format, const em_i8 **groups, const em_i8 **sub_scales, em_u64 *sum)
{
    const em_i8 *group = *groups;
    const em_i8 *scales = *sub_scales;
    const em_u32 multiplied = format == EM_W5 ? 3u : 2u;
    em_u64 value[8];
    em_u64 half[8];
    em_i64 scale[8];
    em_u64 product[8];
    EM_UNROLL
    for (em_u32 i = 0; i < 9u + multiplied; i++) {
        if (i < 8u) {
            value[i] = (em_u64)(format == EM_W6 ? em_load_int(group + 4u * i) : em_load_short(group + 2u * i));
        }
        if (i >= multiplied && i < 8u + multiplied) {
            product[i - multiplied] = em_multiply(value[i - multiplied], scale[i - multiplied]);
        }
        if (format == EM_W5 && i < 8u) {
            half[i] = (em_u64)em_load_short(group + 2u * (EM_GROUPED_ROWS(EM_W5) + i));
        }
        if (format == EM_W5 && i >= 1u && i < 9u) {
            value[i - 1u] = em_add_word(value[i - 1u], half[i - 1u]);
        }
        if (i < 8u) {
            scale[i] = em_load_byte(scales + i);
        }
        if (i == 7u) {
            *groups = em_advance(group, EM_SUM_WORDS(format) * 8u);
            *sub_scales = em_advance(scales, EM_GROUPED_ROWS(format));
        }
        if (i > multiplied) {
            sum[i - multiplied - 1u] = em_add_word(sum[i - multiplied - 1u], product[i - multiplied - 1u]);
        }
    }
}

/*
 * Adds group sums times sub-scales for 8 rows of a tile, `first` on: to zero, or continued to what is in `sums`.
 * groups: the sums of one group after another; sub_scales: those of all rows of the tile, group after group.
 */
EM_INLINE void em_scale_groups(em_u32 format, const em_u64 *groups, em_u32 count, const em_i8 *sub_scales, em_u32 first,
                               em_u32 continued, em_i64 *sums)
{
    const em_i8 *group = (const em_i8 *)(const void *)groups + (format == EM_W6 ? 4u : 2u) * first;
    const em_i8 *end = sub_scales + count * EM_GROUPED_ROWS(format) + first;
    em_u64 sum[8] = {0};
    if (continued) {
        EM_UNROLL
        for (em_u32 i = 0; i < 8u; i++) {
            sum[i] = (em_u64)sums[first + i];
        }
    }
    sub_scales += first;
    do {
        em_scale_group(format, &group, &sub_scales, sum);
    } while (sub_scales != end);
    EM_UNROLL
    for (em_u32 i = 0; i < 8u; i++) {
        sums[first + i] = (em_i64)sum[i];
    }
}

/* Sums of the rows of a tile. `format` is a constant where inlined. */
EM_INLINE void em_sum_grouped(em_u32 format, const em_u64 *tile, const em_i8 *sub_scales, em_u32 groups, const em_i8 *a,
                              const struct em_group_starts *starts, em_i64 *sums)
{
    const em_u32 at_once = EM_KEPT_WORDS / EM_SUM_WORDS(format);
    struct em_fields fields = em_first_fields(format, tile, tile[1]);
    for (em_u32 done = 0; done < groups; done += at_once) {
        em_u64 kept[EM_KEPT_WORDS];
        em_u64 *out = kept;
        em_u32 count = groups - done < at_once ? groups - done : at_once;
        for (em_u32 g = 0; g < count; g++, a += EM_GROUP, starts++) {
            if (format == EM_W4) {
                em_sum_group_w4(&fields, tile, a, starts, out);
            } else if (format == EM_W5) {
                em_sum_group_w5(&fields, tile, a, starts, out);
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
