/*
 * em_cache.h - kernel set "swar": attention over an int8 KV cache in general registers.
 *
 * Layout. The loops take three instructions for two products: what they load is multiplied as it is, and once more
 * after a mask. Elements are therefore stored with room between them, in two bytes each, as 128 + element in [1, 255].
 * All of a word takes the same factor, an element of the query or a weight, and has two pairs of lanes: the second pair
 * is masked out of it, the first is what the word itself has summed besides.
 *
 *   keys     blocks of EM_CACHE_BLOCK positions, in a block element after element; of each EM_KEY_WORDS words of four
 *            positions in bits 0, 28, 8 and 36: lanes of 28 bits, the second pair from bit 8 on
 *   values   rows of words of four elements in bits 0, 16, 32 and 48: lanes of 32 bits, the second pair from bit 16 on,
 *            for which only the upper half of a product has room
 *
 * Bounds. A sum of 64 products of keys with 15 bits, 2^14 at most, is below 2^27 in magnitude: longer heads are summed
 * in parts. Sums of 128 + element come with 128 times the sum of the query, with which accumulators start, and 2^27
 * besides in the lower lane, so that it borrows nothing from the upper. A sum of EM_VALUE_BLOCK products of 128 + value
 * and weights below 2^15 is below 2^32; of it 128 times the sum of the weights is subtracted at the end.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_H
#define EM_CACHE_H

#define EM_CACHE_BLOCK 32u
#define EM_KEY_BYTES(head_dim) (2u * (head_dim))
#define EM_VALUE_BYTES(head_dim) (((head_dim) + 3u) / 4u * 8u)
#define EM_SCORE_INTS 2u

#include "em_in_order.h"
#include "em_weights.h"

/* Words of an element of a block of keys. */
#define EM_KEY_WORDS (EM_CACHE_BLOCK / 4u)

/* Elements of a key that are summed in lanes. */
#define EM_KEY_PART 64u

/* A word of the cache. */
typedef em_u64 em_cache_word __attribute__((may_alias));

/* A value in both lanes of the first pair; the second pair lies 8 bits above. */
#define EM_LANE_BITS 28u
#define EM_LANE_PAIR(value) ((em_u64)(value) * (((em_u64)1 << EM_LANE_BITS) + 1u))
#define EM_KEY_SECOND (EM_LANE_PAIR(0xff) << 8)

/* The second pair of a word of values. */
#define EM_VALUE_SECOND 0x00ff000000ff0000u

/* What the lower lane of keys starts with besides, so that it is never negative. */
#define EM_KEY_CENTRE ((em_i64)1 << (EM_LANE_BITS - 1u))

/* ---- Storing ----------------------------------------------------------------------------------------------------- */

/* The first position of a block gives its value to the whole of it: nothing is read that was never written. */
EM_INLINE void em_store_key(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i8 *key)
{
    const em_u32 at = position % EM_CACHE_BLOCK;
    const em_u32 bit = at % 2u * EM_LANE_BITS + at / 2u % 2u * 8u;
    em_cache_word *words = (em_cache_word *)(void *)(head->keys + (em_u64)(position - at) * EM_KEY_BYTES(head_dim));
    for (em_u32 i = 0; i < head_dim; i++, words += EM_KEY_WORDS) {
        em_u64 byte = (em_u64)(128 + key[i]);
        for (em_u32 j = 0; at == 0 && j < EM_KEY_WORDS; j++) {
            words[j] = EM_LANE_PAIR(byte) * 257u;
        }
        words[at / 4u] = (words[at / 4u] & ~((em_u64)0xff << bit)) | byte << bit;
    }
}

EM_INLINE void em_store_value(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i8 *value)
{
    em_cache_word *words = (em_cache_word *)(void *)(head->values + (em_u64)position * EM_VALUE_BYTES(head_dim));
    for (em_u32 i = 0; i < head_dim; i++) {
        em_u64 byte = (em_u64)(128 + value[i]) << i % 4u * 16u;
        words[i / 4u] = i % 4u == 0 ? byte : words[i / 4u] | byte;
    }
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

/* Sums of whole words times factors, and of their second pairs. */
struct em_lane_sums {
    em_u64 all;
    em_u64 second;
};

/*
 * Adds `count` words, a constant, that lie one after the other, times a factor; factor_16 is null for keys, for values
 * what em_factor makes of the factor for bit 16. Two by two, the lines are what the U74 does in a cycle; products are
 * added a word later, when they are three cycles old.
 */
EM_INLINE void em_add_words(struct em_lane_sums *sums, const em_cache_word *words, em_u32 count, em_i64 factor,
                            const em_i64 *factor_16)
{
    em_u64 word = em_load_word(words);
    em_u64 last_all = 0;
    em_u64 last_second = 0;
    EM_UNROLL
    for (em_u32 i = 0; i < count; i++) {
        em_u64 all = em_multiply(word, factor);
        em_u64 next = i + 1u < count ? em_load_word(words + i + 1u) : 0;
        em_u64 second = em_and(word, factor_16 == EM_NULL ? EM_KEY_SECOND : EM_VALUE_SECOND);
        if (i > 0) {
            em_add_to(&sums[i - 1u].all, last_all);
        }
        second = factor_16 == EM_NULL ? em_multiply(second, factor) : em_multiply_by_here(second, 16, *factor_16);
        if (i > 0) {
            em_add_to(&sums[i - 1u].second, last_second);
        }
        word = next;
        last_all = all;
        last_second = second;
    }
    em_add_to(&sums[count - 1u].all, last_all);
    em_add_to(&sums[count - 1u].second, last_second);
}

/* A query of 15 bits, and what its sums with keys start with. */
struct em_narrow_query {
    em_i16 elements[EM_HEAD_DIM_MAX];
    em_i64 start[EM_HEAD_DIM_MAX / EM_KEY_PART]; /* minus 128 times the sum of a part */
};

/*
 * Sums of `words` words of a block, a constant, over the elements [from, end) of a query, a part of it; keys: those of
 * element 0.
 */
EM_INLINE void em_sum_keys(const struct em_narrow_query *query, em_u32 from, em_u32 end, const em_i8 *keys,
                           em_u32 words, struct em_lane_sums *sums)
{
    const em_u64 first = EM_LANE_PAIR(query->start[from / EM_KEY_PART]) + (em_u64)EM_KEY_CENTRE;
    EM_UNROLL
    for (em_u32 i = 0; i < words; i++) {
        sums[i].second = first << 8;
        sums[i].all = first + (first << 8);
    }
    const em_cache_word *word = (const em_cache_word *)(const void *)keys + (em_u64)from * EM_KEY_WORDS;
    const em_i16 *element = query->elements + from;
    const em_i16 *whole = element + (end - from) / 8u * 8u;
    for (; element != whole; element += 8, word += 8u * EM_KEY_WORDS) {
        EM_UNROLL
        for (em_u32 i = 0; i < 8u; i++) {
            em_add_words(sums, word + i * EM_KEY_WORDS, words, element[i], EM_NULL);
        }
    }
    for (; element != query->elements + end; element++, word += EM_KEY_WORDS) {
        em_add_words(sums, word, words, *element, EM_NULL);
    }
}

/* The dot products of four positions. */
EM_INLINE void em_key_lanes(const struct em_lane_sums *sums, em_i64 *dots)
{
    const em_u64 lane = ((em_u64)1 << EM_LANE_BITS) - 1u;
    em_u64 first = sums->all - sums->second;
    dots[0] = (em_i64)(first & lane) - EM_KEY_CENTRE;
    dots[1] = (em_i64)first >> EM_LANE_BITS;
    dots[2] = (em_i64)(sums->second >> 8 & lane) - EM_KEY_CENTRE;
    dots[3] = (em_i64)sums->second >> (EM_LANE_BITS + 8u);
}

/*
 * Sums over the last part of a query, or all of it; those of the parts before it are added up in `before`, which is not
 * touched if there are none.
 */
EM_INLINE void em_sum_parts(const struct em_narrow_query *query, em_u32 head_dim, const em_i8 *keys, em_u32 words,
                            struct em_lane_sums *sums, em_i64 *before)
{
    em_u32 from = 0;
    for (; head_dim - from > EM_KEY_PART; from += EM_KEY_PART) {
        em_sum_keys(query, from, from + EM_KEY_PART, keys, words, sums);
        for (em_u32 i = 0; i < 4u * words; i += 4) {
            em_i64 dots[4];
            em_key_lanes(&sums[i / 4u], dots);
            for (em_u32 f = 0; f < 4u; f++) {
                before[i + f] = dots[f] + (from > 0 ? before[i + f] : 0);
            }
        }
    }
    em_sum_keys(query, from, head_dim, keys, words, sums);
}

/* Where em_products is in a span. */
struct em_key_place {
    const em_i8 *keys;
    const em_i32 *key_max;
    em_wide_score *products;
    em_i64 top; /* the largest product so far */
    em_u32 position;
};

/* Products of a whole block of positions; a function of its own, for its sums leave few registers to others. */
EM_NOINLINE EM_UNUSED static void em_block_products(const struct em_narrow_query *query, em_u32 head_dim,
                                                    struct em_key_place *place)
{
    struct em_lane_sums sums[EM_KEY_WORDS];
    em_i64 before[EM_CACHE_BLOCK];
    em_sum_parts(query, head_dim, place->keys, EM_KEY_WORDS, sums, before);
    const em_i32 *key_max = place->key_max;
    em_wide_score *products = place->products;
    em_i64 top = place->top;
    EM_UNROLL
    for (em_u32 i = 0; i < EM_KEY_WORDS; i++) {
        em_i64 dots[4];
        em_key_lanes(&sums[i], dots);
        EM_UNROLL
        for (em_u32 f = 0; f < 4u; f++) {
            em_i64 dot = head_dim > EM_KEY_PART ? dots[f] + before[4u * i + f] : dots[f];
            em_i64 product = dot * key_max[4u * i + f];
            products[4u * i + f] = product;
            top = product > top ? product : top;
        }
        __asm__ volatile("" : "+r"(top) : : "memory"); /* word by word: products of all would fill the stack */
    }
    place->top = top;
}

/* Products of the positions of a span that lie within the eight from the place on. */
EM_INLINE void em_edge_products(const struct em_narrow_query *query, em_u32 head_dim, struct em_span span,
                                struct em_key_place *place)
{
    struct em_lane_sums sums[2];
    em_i64 before[8];
    em_i64 dots[8];
    em_sum_parts(query, head_dim, place->keys, 2, sums, before);
    em_key_lanes(&sums[0], dots);
    em_key_lanes(&sums[1], dots + 4);
    em_u32 end = span.end - place->position < 8u ? span.end - place->position : 8u;
    for (em_u32 i = span.first > place->position ? span.first - place->position : 0; i < end; i++) {
        em_i64 dot = head_dim > EM_KEY_PART ? dots[i] + before[i] : dots[i];
        em_i64 product = dot * place->key_max[i];
        place->products[i] = product;
        place->top = product > place->top ? product : place->top;
    }
}

/* dot product * key_max of the positions of the span, that of position p at products[p]; returns the largest. */
EM_NOINLINE EM_UNUSED static em_i64 em_products(const struct em_narrow_query *query, em_u32 head_dim,
                                                const struct em_kv_cache *head, struct em_span span,
                                                em_wide_score *products)
{
    struct em_key_place place = {EM_NULL, EM_NULL, EM_NULL, -((em_i64)1 << 62), span.first / 8u * 8u};
    while (place.position < span.end) {
        const em_u32 p = place.position;
        const em_u32 at = p % EM_CACHE_BLOCK;
        place.keys = head->keys + (em_u64)(p - at) * EM_KEY_BYTES(head_dim) + 2u * at;
        place.key_max = head->key_max + p;
        place.products = products + p;
        if (at == 0 && p >= span.first && span.end - p >= EM_CACHE_BLOCK) {
            em_block_products(query, head_dim, &place);
            place.position += EM_CACHE_BLOCK;
        } else {
            em_edge_products(query, head_dim, span, &place);
            place.position += 8u;
        }
    }
    return place.top;
}

/* The scores of the span, as em_weights takes them; returns the largest in Q16. */
EM_INLINE em_i32 em_scores(const struct em_kv_cache *head, struct em_span span, const em_i32 *query, em_u32 head_dim,
                           em_i32 score_shift, const struct em_attention_scratch *scratch)
{
    struct em_narrow_query narrow;
    em_wide_score *products = (em_wide_score *)(void *)scratch->scores;
    em_i32 shift = (em_i32)em_bits32((em_u32)em_max_magnitude(query, head_dim)) - 14;
    em_i64 start = 0;
    for (em_u32 i = 0; i < head_dim; i++) {
        em_i32 element = em_round_shift(query[i], shift);
        narrow.elements[i] = (em_i16)element;
        start = (i % EM_KEY_PART == 0 ? 0 : start) - 128 * element;
        narrow.start[i / EM_KEY_PART] = start;
    }
    em_i64 top = em_products(&narrow, head_dim, head, span, products);
    return em_scale_products(products + span.first, span.end - span.first, top, score_shift - shift,
                             scratch->weights + span.first);
}

EM_INLINE struct em_weight_sums em_weights(const struct em_kv_cache *head, struct em_span span, em_i32 top,
                                           const struct em_attention_scratch *scratch)
{
    em_wide_score *products = (em_wide_score *)(void *)scratch->scores;
    return em_exponentials(products + span.first, head->value_max + span.first, span.end - span.first, top,
                           scratch->weights[span.first]);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

/* Sums of weighted values: `count` <= EM_VALUE_BLOCK positions, some words of each row. */
struct em_value_run {
    const em_wide_score *products; /* what weights are rounded from */
    em_i32 *weights;
    struct em_rounding by;
    em_u32 count;
    em_i64 total; /* of the weights */
    const em_i8 *values;
    em_i64 *out; /* what is added to */
};

/* Bytes of a row, a constant where model.h says the head's size: functions that are not inlined do not learn it. */
EM_INLINE em_u32 em_row_bytes(em_u32 head_dim)
{
#ifdef EM_HEAD_DIM
    (void)head_dim;
    return EM_VALUE_BYTES(EM_HEAD_DIM);
#else
    return EM_VALUE_BYTES(head_dim);
#endif
}

/* Adds a row's `words` words, a constant, times a weight. */
EM_INLINE void em_add_row(struct em_lane_sums *sums, const em_i8 *row, em_u32 words, em_i64 weight)
{
    const em_i64 weight_16 = em_factor_here(weight, 16);
    em_add_words(sums, (const em_cache_word *)(const void *)row, words, weight, &weight_16);
}

/* Adds the sums of `words` words, a constant, to those of their elements. */
EM_INLINE void em_add_lanes(const struct em_lane_sums *sums, em_u32 words, em_i64 *out)
{
    EM_UNROLL
    for (em_u32 i = 0; i < words; i++, out += 4) {
        em_u64 first = sums[i].all - (sums[i].second << 16);
        out[0] += (em_u32)first;
        out[1] += (em_u32)sums[i].second;
        out[2] += (em_i64)(first >> 32);
        out[3] += (em_i64)(sums[i].second >> 32);
        em_schedule_barrier();
    }
}

/* Sums of `words` words a row, a constant; rounds and stores the weights, and adds them up. */
EM_INLINE void em_sum_first(struct em_value_run *run, em_u32 words, em_u32 row_bytes)
{
    struct em_lane_sums sums[4] = {{0, 0}};
    const em_wide_score *products = run->products;
    const em_i8 *values = run->values;
    const struct em_rounding by = run->by;
    em_i64 total = 0;
    em_i32 *weights = run->weights;
    const em_i32 *whole = weights + run->count / 8u * 8u;
    for (; weights != whole; products += 8, weights += 8, values += 8u * row_bytes) {
        EM_UNROLL
        for (em_u32 i = 0; i < 8u; i++) {
            em_i64 weight = em_round(products[i], by);
            weights[i] = (em_i32)weight;
            total += weight;
            em_add_row(sums, values + i * row_bytes, words, weight);
        }
    }
    for (const em_i32 *end = run->weights + run->count; weights != end; products++, weights++, values += row_bytes) {
        em_i64 weight = em_round(*products, by);
        *weights = (em_i32)weight;
        total += weight;
        em_add_row(sums, values, words, weight);
    }
    run->total += total;
    em_add_lanes(sums, words, run->out);
}

/* The same with weights that have been stored; at most 8 words. */
EM_INLINE void em_sum_next(const struct em_value_run *run, em_u32 words, em_u32 row_bytes)
{
    struct em_lane_sums sums[8] = {{0, 0}};
    const em_i8 *values = run->values;
    const em_i32 *weights = run->weights;
    const em_i32 *whole = weights + run->count / 8u * 8u;
    for (; weights != whole; weights += 8, values += 8u * row_bytes) {
        EM_UNROLL
        for (em_u32 i = 0; i < 8u; i++) {
            em_add_row(sums, values + i * row_bytes, words, weights[i]);
        }
    }
    for (const em_i32 *end = run->weights + run->count; weights != end; weights++, values += row_bytes) {
        em_add_row(sums, values, words, *weights);
    }
    em_add_lanes(sums, words, run->out);
}

/* Functions of their own for the sake of registers, which sums and what is multiplied nearly fill. */
EM_NOINLINE EM_UNUSED static void em_sum_first_4(struct em_value_run *run, em_u32 head_dim)
{
    em_sum_first(run, 4, em_row_bytes(head_dim));
}

EM_NOINLINE EM_UNUSED static void em_sum_first_1(struct em_value_run *run, em_u32 head_dim)
{
    em_sum_first(run, 1, em_row_bytes(head_dim));
}

EM_NOINLINE EM_UNUSED static void em_sum_next_8(const struct em_value_run *run, em_u32 head_dim)
{
    em_sum_next(run, 8, em_row_bytes(head_dim));
}

EM_NOINLINE EM_UNUSED static void em_sum_next_4(const struct em_value_run *run, em_u32 head_dim)
{
    em_sum_next(run, 4, em_row_bytes(head_dim));
}

EM_NOINLINE EM_UNUSED static void em_sum_next_1(const struct em_value_run *run, em_u32 head_dim)
{
    em_sum_next(run, 1, em_row_bytes(head_dim));
}

/* Sums of some of the `left` words of a row; returns of how many. */
EM_INLINE em_u32 em_sum_some(struct em_value_run *run, em_u32 rounded, em_u32 left, em_u32 head_dim)
{
    if (!rounded && left >= 4u) {
        em_sum_first_4(run, head_dim);
        return 4;
    }
    if (!rounded) {
        em_sum_first_1(run, head_dim);
        return 1;
    }
    if (left >= 8u) {
        em_sum_next_8(run, head_dim);
        return 8;
    }
    if (left >= 4u) {
        em_sum_next_4(run, head_dim);
        return 4;
    }
    em_sum_next_1(run, head_dim);
    return 1;
}

/* The sums of elements from 0 on, which are asked for first, store the weights. */
EM_NOINLINE EM_UNUSED static void em_value_sums(const struct em_kv_cache *head, struct em_span span,
                                                const struct em_attention_scratch *scratch,
                                                const struct em_weight_sums *weights, em_u32 head_dim, em_u32 from,
                                                em_u32 width, em_i64 *sums)
{
    const em_wide_score *products = (const em_wide_score *)(const void *)scratch->scores;
    const em_u32 row_bytes = em_row_bytes(head_dim);
    const em_u32 row_words = (width + 3u) / 4u;
    em_i64 total = 0;
    for (em_u32 i = 0; i < 4u * row_words; i++) {
        sums[i] = 0;
    }
    for (em_u32 p = span.first; p < span.end; p += EM_VALUE_BLOCK) {
        const em_u32 count = span.end - p < EM_VALUE_BLOCK ? span.end - p : EM_VALUE_BLOCK;
        const em_i8 *values = head->values + (em_u64)p * row_bytes + 2u * from;
        struct em_value_run run = {products + p, scratch->weights + p, em_rounding_by(weights->drop), count, 0, values,
                                   sums};
        for (em_u32 i = 0; from > 0 && i < count; i++) {
            run.total += run.weights[i];
        }
        for (em_u32 left = row_words, words; left > 0; left -= words) {
            words = em_sum_some(&run, from > 0 || left != row_words, left, head_dim);
            run.values += 8u * words;
            run.out += 4u * words;
        }
        total += run.total;
    }
    for (em_u32 i = 0; i < width; i++) {
        sums[i] -= 128 * total;
    }
}

#endif /* EM_CACHE_H */
