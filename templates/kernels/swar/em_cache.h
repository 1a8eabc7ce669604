/*
 * em_cache.h - kernel set "swar": attention over an int8 KV cache in general registers.
 *
 * Layout. Bytes hold 128 + element, in [1, 255].
 *
 *   keys     blocks of EM_CACHE_BLOCK positions, in a block element after element, of each the bytes of all positions:
 *            a word has one element of eight positions
 *   values   rows: a word has eight elements of one position
 *
 * So all bytes of a word take the same factor, an element of the query or a weight. Bytes f and f + 4 are lanes of 32
 * bits once the others are masked out, two products a multiplication. Bytes 0 and 4 need no mask: words are summed as
 * they are, and what the other pairs have added is subtracted at the end (em_lane_pairs).
 *
 * Bound. A lane of keys sums up to 256 products of 255 with 15 bits, 2^14 at most: in magnitude below 2^31 - 2^22. A
 * lane of values sums up to EM_VALUE_BLOCK products of 255 and weights below 2^15: below 2^32. Both come with 128 times
 * the sum of the factors, which is subtracted.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_H
#define EM_CACHE_H

#include "em_in_order.h"
#include "em_softmax.h"

#define EM_CACHE_BLOCK 32u

/* Words of an element of a block of keys. */
#define EM_KEY_WORDS (EM_CACHE_BLOCK / 8u)

/* Eight bytes of the cache. */
typedef em_u64 em_cache_word __attribute__((may_alias));

/* Bytes 0 and 4. */
#define EM_BYTE_PAIR 0x000000ff000000ffu

/* A value in both lanes of 32 bits. */
#define EM_TWO_LANES(value) ((em_u64)(value) * 0x0000000100000001u)

/* ---- Storing ----------------------------------------------------------------------------------------------------- */

/* The first position of a block gives its value to the whole of it: nothing is read that was never written. */
EM_INLINE void em_store_key(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i8 *key)
{
    em_u32 at = position % EM_CACHE_BLOCK;
    em_i8 *out = head->keys + (em_u64)(position - at) * head_dim;
    for (em_u32 i = 0; i < head_dim; i++, out += EM_CACHE_BLOCK) {
        em_i8 byte = (em_i8)(key[i] ^ -128);
        out[at] = byte;
        for (em_u32 j = 0; at == 0 && j < EM_CACHE_BLOCK; j++) {
            out[j] = byte;
        }
    }
}

EM_INLINE void em_store_value(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i8 *value)
{
    em_i8 *out = head->values + (em_u64)position * head_dim;
    for (em_u32 i = 0; i < head_dim; i++) {
        out[i] = (em_i8)(value[i] ^ -128);
    }
}

/* ---- Lanes ------------------------------------------------------------------------------------------------------- */

/* Sums of the bytes of words times factors: of whole words, and of the byte pairs 1, 2, 3 in two lanes each. */
struct em_byte_sums {
    em_u64 all;
    em_u64 pairs[3];
};

/*
 * Adds a word times a factor and fetches the word at `after`, if there is one; factor_16 is what em_factor makes of the
 * factor for bit 16. Two by two, the lines are what the U74 does in a cycle.
 */
EM_INLINE em_u64 em_add_bytes(struct em_byte_sums *sums, em_u64 word, em_i64 factor, em_i64 factor_16,
                              const em_cache_word *after)
{
    em_u64 second = em_and(word, EM_BYTE_PAIR << 16);
    em_u64 shifted = em_shift_right(word, 8);
    em_u64 first = em_and(shifted, EM_BYTE_PAIR);
    em_u64 all = em_multiply(word, factor);
    em_u64 third = em_and(shifted, EM_BYTE_PAIR << 16);
    second = em_multiply_by_here(second, 16, factor_16);
    first = em_multiply(first, factor);
    em_add_to(&sums->all, all);
    em_u64 next = after == EM_NULL ? 0 : em_load_word(after);
    third = em_multiply_by_here(third, 16, factor_16);
    em_add_to(&sums->pairs[1], second);
    em_add_to(&sums->pairs[0], first);
    em_add_to(&sums->pairs[2], third);
    return next;
}

/* The same for `count` words that lie one after the other, a constant. */
EM_INLINE void em_add_words(struct em_byte_sums *sums, const em_cache_word *words, em_u32 count, em_i64 factor)
{
    em_u64 word = em_load_word(words);
    const em_i64 factor_16 = em_factor_here(factor, 16);
    EM_UNROLL
    for (em_u32 i = 0; i < count; i++) {
        word = em_add_bytes(&sums[i], word, factor, factor_16, i + 1u < count ? words + i + 1u : EM_NULL);
    }
}

/* Lanes of all four pairs, bytes f and f + 4, each plus `start`. */
EM_INLINE void em_lane_pairs(const struct em_byte_sums *sums, em_u64 start, em_u64 *lanes)
{
    lanes[0] = sums->all - (sums->pairs[0] << 8) - (sums->pairs[1] << 16) - (sums->pairs[2] << 24) + start;
    EM_UNROLL
    for (em_u32 f = 1; f < 4u; f++) {
        lanes[f] = sums->pairs[f - 1u] + start;
    }
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

/*
 * Dot products of a query with 8 * words positions of a block, keys being at the first of them; `words` is a constant.
 * start: minus 128 times the sum of the query, in both lanes.
 */
EM_INLINE void em_dot_words(const em_i16 *query, em_u32 head_dim, em_u64 start, const em_i8 *keys, em_u32 words,
                            em_i32 *dots)
{
    struct em_byte_sums sums[EM_KEY_WORDS] = {{0, {0}}};
    const em_cache_word *word = (const em_cache_word *)(const void *)keys;
    for (const em_i16 *end = query + head_dim / 2u * 2u; query != end; query += 2, word += 2u * EM_KEY_WORDS) {
        em_add_words(sums, word, words, query[0]);
        em_add_words(sums, word + EM_KEY_WORDS, words, query[1]);
    }
    if (head_dim % 2u != 0) {
        em_add_words(sums, word, words, *query);
    }
    EM_UNROLL
    for (em_u32 i = 0; i < words; i++) {
        em_u64 lanes[4];
        em_lane_pairs(&sums[i], start, lanes);
        EM_UNROLL
        for (em_u32 f = 0; f < 4u; f++) {
            dots[8u * i + f] = (em_i32)lanes[f];
            dots[8u * i + f + 4u] = (em_i32)((lanes[f] + ((em_u64)1 << 31)) >> 32);
        }
    }
}

/* Dot products with the positions of the words that the span touches; that of position p at dots[p]. */
EM_NOINLINE EM_UNUSED static void em_dots(const em_i16 *query, em_u32 head_dim, const em_i8 *keys, struct em_span span, em_i32 *dots)
{
    em_i64 sum = 0;
    for (em_u32 i = 0; i < head_dim; i++) {
        sum += query[i];
    }
    const em_u64 start = EM_TWO_LANES(-128 * sum);
    for (em_u32 p = span.first / 8u * 8u; p < span.end;) {
        em_u32 at = p % EM_CACHE_BLOCK;
        const em_i8 *key = keys + (em_u64)(p - at) * head_dim + at;
        if (at == 0 && span.end - p > EM_CACHE_BLOCK - 8u) {
            em_dot_words(query, head_dim, start, key, EM_KEY_WORDS, dots + p);
            p += EM_CACHE_BLOCK;
        } else {
            em_dot_words(query, head_dim, start, key, 1, dots + p);
            p += 8u;
        }
    }
}

/* Q16 scores of the span, that of position p at scores[p]; returns the largest. */
EM_INLINE em_i32 em_scores(const struct em_kv_cache *head, struct em_span span, const em_i32 *query, em_u32 head_dim,
                           em_i32 score_shift, const struct em_attention_scratch *scratch)
{
    em_i16 q[EM_HEAD_DIM_MAX];
    em_i32 shift = (em_i32)em_bits32((em_u32)em_max_magnitude(query, head_dim)) - 14;
    for (em_u32 i = 0; i < head_dim; i++) {
        q[i] = (em_i16)em_round_shift(query[i], shift);
    }
    em_dots(q, head_dim, head->keys, span, scratch->scores);
    em_u32 count = span.end - span.first;
    return em_scale_scores(scratch->scores + span.first, head->key_max + span.first, count, score_shift - shift);
}

EM_INLINE struct em_weight_sums em_weights(const struct em_kv_cache *head, struct em_span span, em_i32 top,
                                           const struct em_attention_scratch *scratch)
{
    em_u32 count = span.end - span.first;
    return em_softmax(scratch->scores + span.first, scratch->weights + span.first, head->value_max + span.first, count,
                      top);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

/* Adds weight * (128 + value) over `count` <= EM_VALUE_BLOCK rows to 8 * words sums; `words` is a constant. */
EM_INLINE void em_sum_words(const em_i32 *weights, const em_i8 *values, em_u32 head_dim, em_u32 words, em_u32 count,
                            em_i64 *out)
{
    struct em_byte_sums sums[4] = {{0, {0}}};
    const em_i32 *end = weights + count / 2u * 2u;
    for (; weights != end; weights += 2, values += 2u * head_dim) {
        em_add_words(sums, (const em_cache_word *)(const void *)values, words, weights[0]);
        em_add_words(sums, (const em_cache_word *)(const void *)(values + head_dim), words, weights[1]);
    }
    if (count % 2u != 0) {
        em_add_words(sums, (const em_cache_word *)(const void *)values, words, *weights);
    }
    EM_UNROLL
    for (em_u32 i = 0; i < words; i++) {
        em_u64 lanes[4];
        em_lane_pairs(&sums[i], 0, lanes);
        for (em_u32 f = 0; f < 4u; f++) {
            out[8u * i + f] += (em_u32)lanes[f];
            out[8u * i + f + 4u] += (em_u32)(lanes[f] >> 32);
        }
    }
}

/* The same for a width that is not made of whole words. */
EM_INLINE void em_sum_bytes(const em_i32 *weights, const em_i8 *values, em_u32 head_dim, em_u32 width, em_u32 count,
                            em_i64 *out)
{
    for (em_u32 j = 0; j < count; j++, values += head_dim) {
        for (em_u32 i = 0; i < width; i++) {
            out[i] += (em_i64)weights[j] * (em_u8)values[i];
        }
    }
}

EM_NOINLINE EM_UNUSED static void em_value_sums(const struct em_kv_cache *head, struct em_span span,
                             const struct em_attention_scratch *scratch, const struct em_weight_sums *weights,
                             em_u32 head_dim, em_u32 from, em_u32 width, em_i64 *sums)
{
    for (em_u32 i = 0; i < width; i++) {
        sums[i] = -(em_i64)(128u * weights->weights);
    }
    for (em_u32 p = span.first; p < span.end; p += EM_VALUE_BLOCK) {
        em_u32 count = span.end - p < EM_VALUE_BLOCK ? span.end - p : EM_VALUE_BLOCK;
        const em_i8 *values = head->values + (em_u64)p * head_dim + from;
        const em_i32 *factors = scratch->weights + p;
        em_u32 i = 0;
        if (head_dim % 8u != 0) {
            em_sum_bytes(factors, values, head_dim, width, count, sums);
            continue;
        }
        for (; width - i >= 32u; i += 32u) {
            em_sum_words(factors, values + i, head_dim, 4, count, sums + i);
        }
        for (; width - i >= 16u; i += 16u) {
            em_sum_words(factors, values + i, head_dim, 2, count, sums + i);
        }
        for (; i < width; i += 8u) {
            em_sum_words(factors, values + i, head_dim, 1, count, sums + i);
        }
    }
}

#endif /* EM_CACHE_H */
