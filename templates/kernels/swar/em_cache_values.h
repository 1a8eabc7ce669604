/*
 * em_cache_values.h - kernel set "swar": sums of weighted cached values.
 *
 * Lanes. A word has eight elements of one position. Bytes f and f + 4 are lanes of 32 bits once the others are masked
 * out, two products a multiplication. Bytes 0 and 4 need no mask: words are summed as they are, and what the other
 * pairs have added is subtracted at the end (em_add_lanes).
 *
 * Bound. A lane sums up to EM_VALUE_BLOCK products of 255 and weights below 2^15: below 2^32. They come with 128 times
 * the sum of the weights, which is subtracted.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_VALUES_H
#define EM_CACHE_VALUES_H

#include "em_cache_keys.h"

/* Bytes 0 and 4. */
#define EM_BYTE_PAIR 0x000000ff000000ffu

/* ---- Lanes ------------------------------------------------------------------------------------------------------- */

/* Sums of the bytes of words times weights: of whole words, and of the byte pairs 1, 2, 3 in two lanes each. */
struct em_byte_sums {
    em_u64 all;
    em_u64 pairs[3];
};

/*
 * Adds a word times a weight and fetches the word at `after`, if there is one; weight_16 is what em_factor makes of the
 * weight for bit 16. Two by two, the lines are what the U74 does in a cycle.
 */
EM_INLINE em_u64 em_add_bytes(struct em_byte_sums *sums, em_u64 word, em_i64 weight, em_i64 weight_16,
                              const em_cache_word *after)
{
    em_u64 second = em_and(word, EM_BYTE_PAIR << 16);
    em_u64 shifted = em_shift_right(word, 8);
    em_u64 first = em_and(shifted, EM_BYTE_PAIR);
    em_u64 all = em_multiply(word, weight);
    em_u64 third = em_and(shifted, EM_BYTE_PAIR << 16);
    second = em_multiply_by_here(second, 16, weight_16);
    first = em_multiply(first, weight);
    em_add_to(&sums->all, all);
    em_u64 next = after == EM_NULL ? 0 : em_load_word(after);
    third = em_multiply_by_here(third, 16, weight_16);
    em_add_to(&sums->pairs[1], second);
    em_add_to(&sums->pairs[0], first);
    em_add_to(&sums->pairs[2], third);
    return next;
}

/* The same for `count` words of a row, a constant. */
EM_INLINE void em_add_row(struct em_byte_sums *sums, const em_i8 *row, em_u32 count, em_i64 weight)
{
    const em_cache_word *words = (const em_cache_word *)(const void *)row;
    em_u64 word = em_load_word(words);
    const em_i64 weight_16 = em_factor_here(weight, 16);
    EM_UNROLL
    for (em_u32 i = 0; i < count; i++) {
        word = em_add_bytes(&sums[i], word, weight, weight_16, i + 1u < count ? words + i + 1u : EM_NULL);
    }
}

/* Adds the sums of `words` words, a constant, to those of their elements. */
EM_INLINE void em_add_lanes(const struct em_byte_sums *sums, em_u32 words, em_i64 *out)
{
    EM_UNROLL
    for (em_u32 i = 0; i < words; i++, out += 8) {
        const em_u64 *pairs = sums[i].pairs;
        const em_u64 first = sums[i].all - (pairs[0] << 8) - (pairs[1] << 16) - (pairs[2] << 24);
        const em_u64 lanes[4] = {first, pairs[0], pairs[1], pairs[2]};
        EM_UNROLL
        for (em_u32 f = 0; f < 4u; f++) {
            out[f] += (em_u32)lanes[f];
            out[f + 4u] += (em_u32)(lanes[f] >> 32);
        }
    }
}

/* ---- Sums of some words a row ------------------------------------------------------------------------------------ */

/* Sums of weighted values: `count` <= EM_VALUE_BLOCK positions, some words of each row. */
struct em_value_run {
    const em_wide_score *products; /* what weights are rounded from */
    em_i32 *weights;
    struct em_rounding by;
    em_u32 count;
    em_u32 row_bytes;
    const em_i8 *values;
    em_i64 *out; /* what is added to */
};

/* Sums of `words` words a row, a constant; rounds and stores the weights, and returns their sum. */
EM_INLINE em_i64 em_sum_first(const struct em_value_run *run, em_u32 words, em_u32 row_bytes)
{
    struct em_byte_sums sums[2] = {{0, {0}}};
    const em_wide_score *products = run->products;
    const em_i8 *values = run->values;
    const struct em_rounding by = run->by;
    em_i32 *weights = run->weights;
    em_i64 total = 0;
    for (const em_i32 *whole = weights + run->count / 4u * 4u; weights != whole; weights += 4) {
        EM_UNROLL
        for (em_u32 i = 0; i < 4u; i++) {
            em_i64 weight = em_round(products[i], by);
            weights[i] = (em_i32)weight;
            total += weight;
            em_add_row(sums, values + i * row_bytes, words, weight);
        }
        products += 4;
        values += 4u * row_bytes;
    }
    for (const em_i32 *end = run->weights + run->count; weights != end; weights++, products++, values += row_bytes) {
        em_i64 weight = em_round(*products, by);
        *weights = (em_i32)weight;
        total += weight;
        em_add_row(sums, values, words, weight);
    }
    em_add_lanes(sums, words, run->out);
    return total;
}

/* The same with weights that have been stored. */
EM_INLINE void em_sum_next(const struct em_value_run *run, em_u32 words, em_u32 row_bytes)
{
    struct em_byte_sums sums[4] = {{0, {0}}};
    const em_i8 *values = run->values;
    const em_i32 *weights = run->weights;
    for (const em_i32 *whole = weights + run->count / 4u * 4u; weights != whole; weights += 4) {
        EM_UNROLL
        for (em_u32 i = 0; i < 4u; i++) {
            em_add_row(sums, values + i * row_bytes, words, weights[i]);
        }
        values += 4u * row_bytes;
    }
    for (const em_i32 *end = run->weights + run->count; weights != end; weights++, values += row_bytes) {
        em_add_row(sums, values, words, *weights);
    }
    em_add_lanes(sums, words, run->out);
}

/* Bytes of a row, a constant where model.h says the head's size: functions that are not inlined do not learn it. */
EM_INLINE em_u32 em_row_bytes(const struct em_value_run *run)
{
#ifdef EM_HEAD_DIM
    (void)run;
    return EM_HEAD_DIM;
#else
    return run->row_bytes;
#endif
}

/* Functions of their own for the sake of registers, which sums and what is multiplied nearly fill. */
EM_NOINLINE EM_UNUSED static em_i64 em_sum_first_2(const struct em_value_run *run)
{
    return em_sum_first(run, 2, em_row_bytes(run));
}

EM_NOINLINE EM_UNUSED static em_i64 em_sum_first_1(const struct em_value_run *run)
{
    return em_sum_first(run, 1, em_row_bytes(run));
}

EM_NOINLINE EM_UNUSED static void em_sum_next_4(const struct em_value_run *run)
{
    em_sum_next(run, 4, em_row_bytes(run));
}

EM_NOINLINE EM_UNUSED static void em_sum_next_2(const struct em_value_run *run)
{
    em_sum_next(run, 2, em_row_bytes(run));
}

EM_NOINLINE EM_UNUSED static void em_sum_next_1(const struct em_value_run *run)
{
    em_sum_next(run, 1, em_row_bytes(run));
}

/* ---- Sums of a strip --------------------------------------------------------------------------------------------- */

/* Rounds and stores the weights; returns their sum. */
EM_INLINE em_i64 em_round_weights(const struct em_value_run *run)
{
    em_i64 total = 0;
    for (em_u32 j = 0; j < run->count; j++) {
        em_i64 weight = em_round(run->products[j], run->by);
        run->weights[j] = (em_i32)weight;
        total += weight;
    }
    return total;
}

/* Adds the sums of `width` elements a row to those in `out`, byte by byte. */
EM_INLINE void em_sum_bytes(const struct em_value_run *run, em_u32 width)
{
    const em_i8 *values = run->values;
    for (em_u32 j = 0; j < run->count; j++, values += run->row_bytes) {
        for (em_u32 i = 0; i < width; i++) {
            run->out[i] += (em_i64)run->weights[j] * (em_u8)values[i];
        }
    }
}

/* Adds the sums of `width` elements a row, whole words if rows are; returns the sum of the weights. */
EM_INLINE em_i64 em_sum_rows(struct em_value_run *run, em_u32 width)
{
    if (run->row_bytes % 8u != 0) {
        em_i64 total = em_round_weights(run);
        em_sum_bytes(run, width);
        return total;
    }
    em_u32 words = width < 16u ? 1u : 2u;
    em_i64 total = words == 2u ? em_sum_first_2(run) : em_sum_first_1(run);
    for (em_u32 left = width / 8u - words; left > 0; left -= words) {
        run->values += 8u * words;
        run->out += 8u * words;
        if (left >= 4u) {
            em_sum_next_4(run);
            words = 4;
        } else if (left >= 2u) {
            em_sum_next_2(run);
            words = 2;
        } else {
            em_sum_next_1(run);
            words = 1;
        }
    }
    return total;
}

EM_NOINLINE EM_UNUSED static void em_value_sums(const struct em_kv_cache *head, struct em_span span,
                                                const struct em_attention_scratch *scratch,
                                                const struct em_weight_sums *weights, em_u32 head_dim, em_u32 from,
                                                em_u32 width, em_i64 *sums)
{
    const em_wide_score *products = (const em_wide_score *)(const void *)scratch->scores;
    em_i64 total = 0;
    for (em_u32 i = 0; i < width; i++) {
        sums[i] = 0;
    }
    for (em_u32 p = span.first; p < span.end; p += EM_VALUE_BLOCK) {
        const em_u32 count = span.end - p < EM_VALUE_BLOCK ? span.end - p : EM_VALUE_BLOCK;
        struct em_value_run run = {.products = products + p, .weights = scratch->weights + p, .count = count,
                                   .by = em_rounding_by(weights->drop), .row_bytes = head_dim, .out = sums,
                                   .values = head->values + (em_u64)p * head_dim + from};
        total += em_sum_rows(&run, width);
    }
    for (em_u32 i = 0; i < width; i++) {
        sums[i] -= 128 * total;
    }
}

#endif /* EM_CACHE_VALUES_H */
