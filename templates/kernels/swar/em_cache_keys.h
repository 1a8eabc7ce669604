/*
 * em_cache_keys.h - kernel set "swar": products of a query with cached keys.
 *
 * Lanes. A word has an element of six positions, three of them in lanes of EM_KEY_LANE_BITS from bit 0 on, three from
 * bit EM_KEY_SECOND_BIT on. It is multiplied by an element of the query as it is, and once more when the first three
 * are masked out; what the second three have added to the first product is subtracted at the end. One load, one mask,
 * two multiplications and two additions make six products.
 *
 * Bound. em_query_shift bounds the magnitudes of a run of EM_QUERY_RUN elements: below 2^13 + 16 together once they are
 * rounded, and 2^11 each, which em_factor shifts to bit 51. So a run's sum is below 127 (2^13 + 16) < 2^20 in
 * magnitude, and in [0, 2^21) with EM_KEY_CENTRE, with which it starts, less 128 times the sum of the run.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_KEYS_H
#define EM_CACHE_KEYS_H

#define EM_CACHE_BLOCK 24u
#define EM_KEY_BLOCK_BYTES(head_dim) (EM_CACHE_BLOCK / 6u * 8u * (head_dim))
#define EM_SCORE_INTS 2u /* a product: em_wide_score */

#include "em_in_order.h"
#include "em_weights.h"

#define EM_KEY_LANE_BITS 21u
#define EM_KEY_SECOND_BIT 13u

/* A value in three lanes. */
#define EM_KEY_LANES(value) ((em_u64)(value) * 0x0000040000200001u)

#define EM_KEY_SECOND (EM_KEY_LANES(0xff) << EM_KEY_SECOND_BIT)
#define EM_KEY_CENTRE ((em_i64)1 << (EM_KEY_LANE_BITS - 1u))

/* Words of an element of a block of keys. */
#define EM_KEY_WORDS (EM_CACHE_BLOCK / 6u)

_Static_assert(EM_KEY_LANES(1) == ((em_u64)1 << 2u * EM_KEY_LANE_BITS) + ((em_u64)1 << EM_KEY_LANE_BITS) + 1u,
               "three lanes lie next to each other");
_Static_assert(127u * ((1u << 13) + EM_QUERY_RUN / 2u) < 1u << (EM_KEY_LANE_BITS - 1u),
               "a lane holds the sum of a run");

/* A word of the cache. */
typedef em_u64 em_cache_word __attribute__((may_alias));

/* ---- Query ------------------------------------------------------------------------------------------------------- */

/* A query of 12 bits, and what its sums with keys start with. */
struct em_narrow_query {
    em_i16 elements[EM_HEAD_DIM_MAX];
    em_i64 starts[EM_HEAD_DIM_MAX / EM_QUERY_RUN]; /* EM_KEY_CENTRE minus 128 times the sum of a run */
};

/* Narrows a query; returns by how much. */
EM_INLINE em_i32 em_narrow(const em_i32 *query, em_u32 head_dim, struct em_narrow_query *out)
{
    const em_i32 shift = em_query_shift(query, head_dim);
    em_i64 start = 0;
    for (em_u32 i = 0; i < head_dim; i++) {
        em_i32 element = em_round_shift(query[i], shift);
        out->elements[i] = (em_i16)element;
        start = (i % EM_QUERY_RUN == 0 ? EM_KEY_CENTRE : start) - 128 * element;
        out->starts[i / EM_QUERY_RUN] = start;
    }
    return shift;
}

/* ---- Sums of a run ----------------------------------------------------------------------------------------------- */

/* Sums of whole words times elements, and of their second lanes. */
struct em_key_sums {
    em_u64 all;
    em_u64 second;
};

/*
 * Adds `count` words, a constant, that lie one after the other, times an element. Two by two, the lines are what the
 * U74 does in a cycle; products are added a word later, when they are three cycles old.
 */
EM_INLINE void em_add_keys(struct em_key_sums *sums, const em_cache_word *words, em_u32 count, em_i64 element)
{
    em_u64 word = em_load_word(words);
    const em_i64 shifted = em_factor_here(element, EM_KEY_SECOND_BIT);
    em_u64 last_all = 0;
    em_u64 last_second = 0;
    EM_UNROLL
    for (em_u32 i = 0; i < count; i++) {
        em_u64 all = em_multiply(word, element);
        em_u64 next = i + 1u < count ? em_load_word(words + i + 1u) : 0;
        em_u64 second = em_and(word, EM_KEY_SECOND);
        if (i > 0) {
            em_add_to(&sums[i - 1u].all, last_all);
        }
        second = em_multiply_by_here(second, EM_KEY_SECOND_BIT, shifted);
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

/* Sums of `words` words of a block, a constant, over the elements [from, end) of a query; keys: those of element 0. */
EM_INLINE void em_sum_run(const struct em_narrow_query *query, em_u32 from, em_u32 end, const em_i8 *keys, em_u32 words,
                          struct em_key_sums *sums)
{
    const em_u64 start = EM_KEY_LANES(query->starts[from / EM_QUERY_RUN]);
    EM_UNROLL
    for (em_u32 i = 0; i < words; i++) {
        sums[i].second = start;
        sums[i].all = start + (start << EM_KEY_SECOND_BIT);
    }
    const em_cache_word *word = (const em_cache_word *)(const void *)keys + (em_u64)from * EM_KEY_WORDS;
    const em_i16 *element = query->elements + from;
    const em_i16 *whole = element + (end - from) / 4u * 4u;
    for (; element != whole; element += 4, word += 4u * EM_KEY_WORDS) {
        EM_UNROLL
        for (em_u32 i = 0; i < 4u; i++) {
            em_add_keys(sums, word + i * EM_KEY_WORDS, words, element[i]);
        }
    }
    for (; element != query->elements + end; element++, word += EM_KEY_WORDS) {
        em_add_keys(sums, word, words, *element);
    }
}

/* The sums of six positions, each plus EM_KEY_CENTRE. */
EM_INLINE void em_key_lanes(const struct em_key_sums *sums, em_i64 *lanes)
{
    const em_u64 lane = ((em_u64)1 << EM_KEY_LANE_BITS) - 1u;
    const em_u64 first = sums->all - (sums->second << EM_KEY_SECOND_BIT);
    lanes[0] = (em_i64)(first & lane);
    lanes[1] = (em_i64)(first >> EM_KEY_LANE_BITS & lane);
    lanes[2] = (em_i64)(first >> 2u * EM_KEY_LANE_BITS);
    lanes[3] = (em_i64)(sums->second & lane);
    lanes[4] = (em_i64)(sums->second >> EM_KEY_LANE_BITS & lane);
    lanes[5] = (em_i64)(sums->second >> 2u * EM_KEY_LANE_BITS);
}

/* Writes the lanes of `words` words, a constant, to `before`, or adds them to what is there if `more`, a constant. */
EM_INLINE void em_keep_lanes(const struct em_key_sums *sums, em_u32 words, em_u32 more, em_i32 *before)
{
    EM_UNROLL
    for (em_u32 i = 0; i < words; i++, before += 6) {
        em_i64 lanes[6];
        em_key_lanes(&sums[i], lanes);
        EM_UNROLL
        for (em_u32 f = 0; f < 6u; f++) {
            before[f] = (em_i32)lanes[f] + (more ? before[f] : 0);
        }
    }
}

/*
 * Sums over the last run of a query, or all of it; those of the runs before it are added up in `before`, which is not
 * touched if there are none. Returns what stands for 0 in lanes and `before` together.
 */
EM_INLINE em_i64 em_sum_runs(const struct em_narrow_query *query, em_u32 head_dim, const em_i8 *keys, em_u32 words,
                             struct em_key_sums *sums, em_i32 *before)
{
    em_u32 from = 0;
    if (head_dim > EM_QUERY_RUN) {
        em_sum_run(query, 0, EM_QUERY_RUN, keys, words, sums);
        em_keep_lanes(sums, words, 0, before);
        from = EM_QUERY_RUN;
    }
    for (; head_dim - from > EM_QUERY_RUN; from += EM_QUERY_RUN) {
        em_sum_run(query, from, from + EM_QUERY_RUN, keys, words, sums);
        em_keep_lanes(sums, words, 1, before);
    }
    em_sum_run(query, from, head_dim, keys, words, sums);
    return EM_KEY_CENTRE * (em_i64)(from / EM_QUERY_RUN + 1u);
}

/* ---- Products ---------------------------------------------------------------------------------------------------- */

/* Where em_products is in a span. */
struct em_key_place {
    const em_i8 *keys;
    const em_i32 *key_max;
    em_wide_score *products;
    em_i64 top; /* the largest product so far */
};

/* Functions of their own for the sake of registers, which sums and what is multiplied nearly fill. */

/* Products of a whole block of positions. */
EM_NOINLINE EM_UNUSED static void em_block_products(const struct em_narrow_query *query, em_u32 head_dim,
                                                    struct em_key_place *place)
{
    struct em_key_sums sums[EM_KEY_WORDS];
    em_i32 before[EM_CACHE_BLOCK];
    const em_i64 zero = em_sum_runs(query, head_dim, place->keys, EM_KEY_WORDS, sums, before);
    const em_i32 *key_max = place->key_max;
    em_wide_score *products = place->products;
    em_i64 top = place->top;
    EM_UNROLL
    for (em_u32 i = 0; i < EM_KEY_WORDS; i++) {
        em_i64 lanes[6];
        em_key_lanes(&sums[i], lanes);
        EM_UNROLL
        for (em_u32 f = 0; f < 6u; f++) {
            em_i64 dot = (head_dim > EM_QUERY_RUN ? lanes[f] + before[6u * i + f] : lanes[f]) - zero;
            em_i64 product = dot * key_max[6u * i + f];
            products[6u * i + f] = product;
            top = product > top ? product : top;
        }
        __asm__ volatile("" : "+r"(top) : : "memory"); /* word by word: products of all would fill the stack */
    }
    place->top = top;
}

/* Products of the positions [first, end) of a word, end being 6 at most. */
EM_NOINLINE EM_UNUSED static void em_word_products(const struct em_narrow_query *query, em_u32 head_dim, em_u32 first,
                                                   em_u32 end, struct em_key_place *place)
{
    struct em_key_sums sums;
    em_i32 before[6];
    em_i64 lanes[6];
    const em_i64 zero = em_sum_runs(query, head_dim, place->keys, 1, &sums, before);
    em_key_lanes(&sums, lanes);
    for (em_u32 i = first; i < end; i++) {
        em_i64 dot = (head_dim > EM_QUERY_RUN ? lanes[i] + before[i] : lanes[i]) - zero;
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
    struct em_key_place place = {EM_NULL, EM_NULL, EM_NULL, -((em_i64)1 << 62)};
    for (em_u32 p = span.first / 6u * 6u; p < span.end;) {
        const em_u32 at = p % EM_CACHE_BLOCK;
        place.keys = head->keys + (em_u64)(p / EM_CACHE_BLOCK) * EM_KEY_BLOCK_BYTES(head_dim) + at / 6u * 8u;
        place.key_max = head->key_max + p;
        place.products = products + p;
        if (at == 0 && p >= span.first && span.end - p >= EM_CACHE_BLOCK) {
            em_block_products(query, head_dim, &place);
            p += EM_CACHE_BLOCK;
        } else {
            em_u32 end = span.end - p < 6u ? span.end - p : 6u;
            em_word_products(query, head_dim, span.first > p ? span.first - p : 0, end, &place);
            p += 6u;
        }
    }
    return place.top;
}

#endif /* EM_CACHE_KEYS_H */
