/*
 * em_grouped_pair.h - w4, w5: sums of a tile of rows for two tokens, whose words are taken to pieces once.
 *
 * Layout and bound are those of em_grouped.h. Sixteen rows at a time, so that the eight words of sums and the eight
 * activations of four columns stay in registers; the columns of a block are unrolled, which needs neither an end nor
 * moving addresses.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_GROUPED_PAIR_H
#define EM_GROUPED_PAIR_H

#include "em_grouped.h"

/* Words of rows that are summed at a time. */
#define EM_PAIR_WORDS 4u

/* Words of one token that are kept before sub-scales are applied: bounds the stack. */
#define EM_PAIR_KEPT_WORDS 96u

/* A word and its first two fields. */
struct em_opened_word {
    em_u64 all;
    em_u64 first;
    em_u64 second;
};

/* Words of sums, one for each of two tokens. */
struct em_sum_pair {
    em_u64 a;
    em_u64 b;
};

EM_INLINE struct em_opened_word em_open_word(em_u32 format, em_u64 word)
{
    struct em_opened_word opened = {word, em_and(word, EM_FIRST_FIELD(format)), 0};
    em_u64 shifted = em_shift_right(word, EM_SECOND_BIT(format));
    opened.second = em_and(shifted, EM_FIRST_FIELD(format));
    return opened;
}

/*
 * Adds the products of a word's fields with the activations of both tokens and opens the word at `after`, if there is
 * one. Two by two, the lines are what the U74 does in a cycle.
 */
EM_INLINE void em_add_fields_pair(em_u32 format, struct em_opened_word *word, const struct em_factors *a,
                                  const struct em_factors *b, const em_u64 *after, struct em_sum_pair *sum)
{
    struct em_opened_word next = {0, 0, 0};
    em_u64 for_a = em_multiply(word->first, a->first);
    em_u64 third = em_and(word->all, EM_THIRD_FIELD(format));
    em_u64 for_b = em_multiply(word->first, b->first);
    em_u64 fourth = em_and(word->all, EM_FOURTH_FIELD(format));
    em_add_to(&sum->a, for_a);
    if (after != EM_NULL) {
        next.all = em_load_word(after);
    }
    for_a = em_multiply(word->second, a->second);
    em_add_to(&sum->b, for_b);
    for_b = em_multiply(word->second, b->second);
    em_add_to(&sum->a, for_a);
    for_a = em_multiply_by_here(third, EM_THIRD_BIT(format), a->third);
    em_add_to(&sum->b, for_b);
    for_b = em_multiply_by_here(third, EM_THIRD_BIT(format), b->third);
    em_add_to(&sum->a, for_a);
    for_a = em_multiply_by_here(fourth, EM_FOURTH_BIT(format), a->fourth);
    em_add_to(&sum->b, for_b);
    for_b = em_multiply_by_here(fourth, EM_FOURTH_BIT(format), b->fourth);
    if (after != EM_NULL) {
        next = em_open_word(format, next.all);
    }
    em_add_to(&sum->a, for_a);
    em_add_to(&sum->b, for_b);
    *word = next;
}

/* Activations of the columns of a word; `last` is the fourth one of w5. */
EM_INLINE struct em_factors em_load_factors(em_u32 format, const em_i8 *a, em_i64 last)
{
    struct em_factors factors;
    factors.first = em_load_byte(a);
    factors.second = em_load_byte(a + 1);
    factors.third = em_load_byte(a + 2);
    factors.fourth = format == EM_W4 ? em_load_byte(a + 3) : last;
    factors.third = em_factor_here(factors.third, EM_THIRD_BIT(format));
    if (format == EM_W4) {
        factors.fourth = em_factor_here(factors.fourth, EM_FOURTH_BIT(EM_W4));
    }
    return factors;
}

/* Activations of a block and what lanes start with, for both tokens. */
struct em_block_pair {
    const em_i8 *a;
    const em_i8 *b;
    struct em_sum_pair start;
};

/* Sums of 16 rows for a block, the 32 columns of a group of w4 or 16 columns of w5, as em_sum_fields leaves them. */
EM_INLINE void em_sum_fields_pair(em_u32 format, const em_u64 *w, const struct em_block_pair *x, em_u64 *out_a,
                                  em_u64 *out_b)
{
    const em_u32 steps = format == EM_W4 ? 8u : 5u;
    const em_u32 columns = format == EM_W4 ? 4u : 3u;
    em_i64 last_a = em_factor(x->a[15], EM_FOURTH_BIT(EM_W5)); /* for bit t of column 15: times 2^t */
    em_i64 last_b = em_factor(x->b[15], EM_FOURTH_BIT(EM_W5));
    struct em_sum_pair sum[EM_PAIR_WORDS] = {x->start, x->start, x->start, x->start};
    struct em_opened_word word = em_open_word(format, em_load_word(w));
    EM_UNROLL
    for (em_u32 step = 0; step < steps; step++, w += 8) {
        const struct em_factors a = em_load_factors(format, em_load_address(&x->a) + columns * step, last_a);
        const struct em_factors b = em_load_factors(format, em_load_address(&x->b) + columns * step, last_b);
        EM_UNROLL
        for (em_u32 i = 0; i < EM_PAIR_WORDS; i++) {
            const em_u64 *after = i + 1u < EM_PAIR_WORDS ? w + i + 1u : step + 1u < steps ? w + 8 : EM_NULL;
            em_add_fields_pair(format, &word, &a, &b, after, &sum[i]);
        }
        last_a = (em_i64)((em_u64)last_a * 2u);
        last_b = (em_i64)((em_u64)last_b * 2u);
        em_schedule_barrier();
    }
    EM_UNROLL
    for (em_u32 i = 0; i < EM_PAIR_WORDS; i++) {
        out_a[i] = sum[i].a ^ EM_NARROW_CENTRE;
        out_b[i] = sum[i].b ^ EM_NARROW_CENTRE;
    }
}

/* Activations of a token with their starts (em_prepare.h), and the sums of a tile's rows that they give. */
struct em_token_sums {
    const em_i8 *a;
    const struct em_group_starts *starts;
    em_i64 *sums;
};

/* em_sum_grouped for two tokens. */
EM_INLINE void em_sum_grouped_pair(em_u32 format, const em_u64 *tile, const em_i8 *sub_scales, em_u32 groups,
                                   const struct em_token_sums *tokens)
{
    const em_u32 at_once = EM_PAIR_KEPT_WORDS / EM_SUM_WORDS(format);
    const em_u32 blocks = format == EM_W4 ? 1u : 2u; /* of a group */
    struct em_block_pair x = {tokens[0].a, tokens[1].a, {0, 0}};
    for (em_u32 done = 0; done < groups; done += at_once) {
        em_u64 kept[2][EM_PAIR_KEPT_WORDS];
        const em_u32 count = groups - done < at_once ? groups - done : at_once;
        for (em_u32 block = 0; block < count * blocks; block++) {
            const struct em_group_starts *of_a = tokens[0].starts + done + block / blocks;
            const struct em_group_starts *of_b = tokens[1].starts + done + block / blocks;
            x.start.a = format == EM_W4 ? of_a->w4 : of_a->w5[block % 2u];
            x.start.b = format == EM_W4 ? of_b->w4 : of_b->w5[block % 2u];
            for (em_u32 i = 0; i < 8u; i += EM_PAIR_WORDS) {
                em_sum_fields_pair(format, tile + i, &x, kept[0] + 8u * block + i, kept[1] + 8u * block + i);
            }
            tile += EM_TILE_GROUP_WORDS(format) / blocks;
            x.a += EM_GROUP / blocks;
            x.b += EM_GROUP / blocks;
        }
        for (em_u32 t = 0; t < 2u; t++) {
            for (em_u32 first = 0; first < EM_GROUPED_ROWS(format); first += 8u) {
                em_scale_groups(format, kept[t], count, sub_scales, first, done > 0, tokens[t].sums);
            }
        }
        sub_scales += count * EM_GROUPED_ROWS(format);
    }
}

EM_NOINLINE EM_UNUSED static void em_sum_w4_pair(const em_u64 *tile, const em_i8 *sub_scales, em_u32 groups,
                                                 const struct em_token_sums *tokens)
{
    em_sum_grouped_pair(EM_W4, tile, sub_scales, groups, tokens);
}

EM_NOINLINE EM_UNUSED static void em_sum_w5_pair(const em_u64 *tile, const em_i8 *sub_scales, em_u32 groups,
                                                 const struct em_token_sums *tokens)
{
    em_sum_grouped_pair(EM_W5, tile, sub_scales, groups, tokens);
}

#endif /* EM_GROUPED_PAIR_H */
