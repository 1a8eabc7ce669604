/*
 * em_cache.h - kernel set "neon": attention over the KV cache. docs/arithmetic.md, section 6.
 *
 * Layout. Keys and values are rows: int8[kv_heads][positions][head_dim], positions a multiple of eight. Whole blocks of eight
 * positions are worked off, from the one that the span starts in; what lies outside the span gets weight 0. In the work memory of a
 * head stand the scores, later the exponentials, of these blocks, and as int16 their weights.
 *
 * Bounds. Dot products: EM_HEAD_DIM_MAX. Values: EM_VALUE_BLOCK.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_H
#define EM_CACHE_H

#include "em_cache_types.h"
#include "em_neon.h"

#define EM_CACHE_BLOCK 8u

EM_INLINE void em_store_key(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i8 *key)
{
    __builtin_memcpy(head->keys + (em_u64)position * head_dim, key, head_dim);
}

EM_INLINE void em_store_value(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i8 *value)
{
    __builtin_memcpy(head->values + (em_u64)position * head_dim, value, head_dim);
}

/* ---- Blocks ------------------------------------------------------------------------------------------------------- */

/* The first position of the first block of a span. */
EM_INLINE em_u32 em_first_of_block(struct em_span span)
{
    return span.first & ~(EM_CACHE_BLOCK - 1u);
}

/* Positions of all its blocks. */
EM_INLINE em_u32 em_block_positions(struct em_span span)
{
    return (span.end - em_first_of_block(span) + EM_CACHE_BLOCK - 1u) & ~(EM_CACHE_BLOCK - 1u);
}

/* Gives scores of a span's blocks that are outside of the span a value. */
EM_INLINE void em_fill_outside(em_i32 *scores, struct em_span span, em_i32 value)
{
    em_u32 first = span.first - em_first_of_block(span);
    em_u32 positions = em_block_positions(span);
    for (em_u32 i = 0; i < first; i++) {
        scores[i] = value;
    }
    for (em_u32 i = span.end - em_first_of_block(span); i < positions; i++) {
        scores[i] = value;
    }
}

/* ---- Scores ------------------------------------------------------------------------------------------------------- */

/* query * 2^-shift, up to a multiple of eight elements; no more than head_dim are read or used. */
EM_INLINE void em_narrow_query(const em_i32 *query, em_u32 head_dim, em_i32 shift, em_i16 *out)
{
    em_u32 i = 0;
    for (; i + 8u <= head_dim; i += 8u) {
        const em_i32x4_anywhere *in = (const em_i32x4_anywhere *)(const void *)(query + i);
        em_i32x4 low = em_round_shift_lanes32(in[0], em_splat32(-shift));
        em_i32x4 high = em_round_shift_lanes32(in[1], em_splat32(-shift));
        *(em_i16x8 *)(void *)(out + i) = em_narrow32(low, high);
    }
    for (; i < head_dim; i++) {
        out[i] = (em_i16)em_round_shift(query[i], shift);
    }
}

/* sums + eight elements of a query times those of a key; the products alone where these are the first. */
EM_INLINE em_i32x4 em_add_products(em_i32x4 sums, em_u32 at, em_i16x8 key, const em_i16x8 *query)
{
    em_i16x8 q = query[at / 8u];
    return em_smlal16_high(at == 0 ? em_smull16(key, q) : em_smlal16(sums, key, q), key, q);
}

EM_INLINE em_i32x4 em_add_sixteen(em_i32x4 sums, em_u32 at, em_i8x16 key, const em_i16x8 *query)
{
    sums = em_add_products(sums, at, em_widen8(key), query);
    return em_add_products(sums, at + 8u, em_widen8_high(key), query);
}

/* Dot product of a query with a key, as four sums. */
EM_INLINE em_i32x4 em_dot_key(const em_i16x8 *query, const em_i8 *key, em_u32 head_dim)
{
    em_i32x4 sums = em_splat32(0);
    em_u32 whole = head_dim & ~31u;
#ifdef __clang__ /* in models a head has a constant length */
    _Pragma("clang loop unroll_count(4)")
#else
    _Pragma("GCC unroll 4")
#endif
    for (em_u32 at = 0; at < whole; at += 32u) {
        em_i8x16 first = *(const em_i8x16_anywhere *)(const void *)(key + at);
        em_i8x16 second = *(const em_i8x16_anywhere *)(const void *)(key + at + 16);
        sums = em_add_sixteen(sums, at, first, query);
        sums = em_add_sixteen(sums, at + 16u, second, query);
    }
    if ((head_dim & 16u) != 0) {
        sums = em_add_sixteen(sums, whole, *(const em_i8x16_anywhere *)(const void *)(key + whole), query);
        whole += 16u;
    }
    if ((head_dim & 8u) != 0) {
        sums = em_add_products(sums, whole, em_widen8((em_i8x16)em_load_half(key + whole)), query);
    }
    return sums;
}

/* Dot products of a query with four keys. */
EM_INLINE em_i32x4 em_dot_keys(const em_i16 *query, const em_i8 *keys, em_u32 head_dim)
{
    const em_i16x8 *q = (const em_i16x8 *)(const void *)query;
    const em_i8 *second = keys + head_dim;
    const em_i8 *third = second + head_dim;
    const em_i8 *fourth = third + head_dim;
    em_i32x4 sums = em_pair_sums32(em_dot_key(q, keys, head_dim), em_dot_key(q, second, head_dim));
    em_i32x4 more = em_pair_sums32(em_dot_key(q, third, head_dim), em_dot_key(q, fourth, head_dim));
    em_i32x4 dots = em_pair_sums32(sums, more);
    for (em_u32 i = head_dim / 8u * 8u; i < head_dim; i++) {
        dots += (em_i32x4){keys[i], second[i], third[i], fourth[i]} * query[i];
    }
    return dots;
}

/* Four dot products as Q16 scores: em_scale by the magnitudes of the keys. counts: minus the shift, in [-63, 0]. */
EM_INLINE em_i32x4 em_scale_dots(em_i32x4 dots, em_i32x4 key_max, em_u64x2 counts)
{
    em_i64x2 low = em_round_shift_lanes64(em_smull32(dots, key_max), counts);
    em_i64x2 high = em_round_shift_lanes64(em_smull32_high(dots, key_max), counts);
    return em_max32(em_narrow64(low, high), em_splat32(-EM_I32_MAX));
}

/* The largest of the scores of a span, those outside of it set aside. */
EM_INLINE em_i32 em_top_score(em_i32 *scores, struct em_span span)
{
    em_fill_outside(scores, span, scores[span.first - em_first_of_block(span)]);
    const em_i32x4 *all = (const em_i32x4 *)(const void *)scores;
    em_i32x4 top = em_splat32(-EM_I32_MAX);
    for (const em_i32x4 *end = all + em_block_positions(span) / 4u; all != end; all += 2) {
        top = em_max32(em_max32(top, all[0]), all[1]);
    }
    em_i32 first = top[0] > top[1] ? top[0] : top[1];
    em_i32 second = top[2] > top[3] ? top[2] : top[3];
    return first > second ? first : second;
}

EM_INLINE em_i32 em_scores(const struct em_kv_cache *head, struct em_span span, const em_i32 *query, em_u32 head_dim,
                           em_i32 score_shift, const struct em_attention_scratch *scratch)
{
    em_i32 query_shift = em_query_shift(query, head_dim);
    em_i32 shift = score_shift - query_shift;
    shift = shift < 0 ? 0 : shift > 63 ? 63 : shift;
    const em_u64x2 counts = (em_u64x2){(em_u64)-shift, (em_u64)-shift};
    em_i16 q[EM_HEAD_DIM_MAX] __attribute__((aligned(16)));
    em_narrow_query(query, head_dim, query_shift, q);
    const em_u32 base = em_first_of_block(span);
    const em_i8 *keys = head->keys + (em_u64)base * head_dim;
    const em_i32x4 *key_max = (const em_i32x4 *)(const void *)(head->key_max + base);
    const em_i32x4 *end = key_max + em_block_positions(span) / 4u;
    em_i32x4 *scores = (em_i32x4 *)(void *)scratch->scores;
    for (; key_max != end; key_max++, scores++, keys += 4u * (em_u64)head_dim) {
        *scores = em_scale_dots(em_dot_keys(q, keys, head_dim), *key_max, counts);
    }
    return em_top_score(scratch->scores, span);
}

/* ---- Weights ------------------------------------------------------------------------------------------------------ */

/* Eight uint32. */
struct em_eight {
    em_u32x4 low, high;
};

/* em_exp2_negative of eight differences. */
EM_INLINE struct em_eight em_exp2_negative_each(struct em_eight x)
{
    em_u16x8 low = (em_u16x8)x.low;
    em_u16x8 high = (em_u16x8)x.high;
    em_u16x8 whole = __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15);
    em_i16x8 g = (em_i16x8)(__builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14) >> 1);
    em_i16x8 p = em_splat16(EM_EXP2_C2) - em_multiply_q15_each(g, em_splat16(EM_EXP2_C3));
    p = em_splat16(EM_EXP2_C1) - em_multiply_q15_each(g, p);
    p = em_splat16(EM_EXP2_C0) - em_multiply_q15_each(g, p);
    /* p below 2^15, shifted left by 15 and right by the whole part. */
    em_i16x8 counts = em_splat16(15) - (em_i16x8)em_min16(whole, (em_u16x8)em_splat16(63));
    x.low = em_shift_each32((em_u32x4)em_widen16(p), em_widen16(counts));
    x.high = em_shift_each32((em_u32x4)em_widen16_high(p), em_widen16_high(counts));
    return x;
}

/*
 * Turns the scores of a span's blocks into exponentials: their sum, and in *bits the bits of all products with the magnitudes of the
 * values, which are as many as those of the largest.
 */
EM_INLINE em_u64 em_exponentials(em_u32x4 *scores, const em_u32x4 *value_max, em_u32 positions, em_i32 top, em_u64 *bits)
{
    const em_u32x4 tops = (em_u32x4)em_splat32(top);
    em_u64x2 total = {0};
    em_u64x2 all = {0};
    for (const em_u32x4 *end = scores + positions / 4u; scores != end; scores += 2, value_max += 2) {
        em_u32x4 max_low = value_max[0];
        em_u32x4 max_high = value_max[1];
        struct em_eight e = em_exp2_negative_each((struct em_eight){tops - scores[0], tops - scores[1]});
        total = em_add_pairs32(em_add_pairs32(total, e.low), e.high);
        all |= em_umull32(e.low, max_low) | em_umull32_high(e.low, max_low);
        all |= em_umull32(e.high, max_high) | em_umull32_high(e.high, max_high);
        scores[0] = e.low;
        scores[1] = e.high;
    }
    *bits = all[0] | all[1];
    return total[0] + total[1];
}

/* Four exponentials times the magnitudes of their values, shifted to weights, rounded; below 2^31. */
EM_INLINE em_i32x4 em_wide_weights(em_u32x4 exponentials, em_u32x4 value_max, em_u64x2 counts)
{
    em_u64x2 low = em_umull32(exponentials, value_max);
    em_u64x2 high = em_umull32_high(exponentials, value_max);
    return __builtin_shufflevector((em_i32x4)em_round_shift_lanes64((em_i64x2)low, counts),
                                   (em_i32x4)em_round_shift_lanes64((em_i64x2)high, counts), 0, 2, 4, 6);
}

EM_INLINE struct em_weight_sums em_weights(const struct em_kv_cache *head, struct em_span span, em_i32 top,
                                           const struct em_attention_scratch *scratch)
{
    const em_u32 positions = em_block_positions(span);
    const em_u32x4 *value_max = (const em_u32x4 *)(const void *)(head->value_max + em_first_of_block(span));
    em_u32x4 *e = (em_u32x4 *)(void *)scratch->scores;
    em_i16x8 *weights = (em_i16x8 *)(void *)scratch->weights;
    em_u64 bits = 0;
    em_fill_outside(scratch->scores, span, (em_i32)((em_u32)top - EM_I32_MAX)); /* so far below that the exponential is 0 */
    em_u64 total = em_exponentials(e, value_max, positions, top, &bits);
    em_i32 drop = (em_i32)em_bits64(bits) - 15;
    drop = drop > 0 ? drop : 0;
    const em_u64x2 counts = {(em_u64)-drop, (em_u64)-drop};
    em_u64x2 sum = {0};
    for (const em_u32x4 *end = e + positions / 4u; e != end; e += 2, value_max += 2, weights++) {
        em_u32x4 e_low = e[0];
        em_u32x4 e_high = e[1];
        em_u32x4 max_low = value_max[0];
        em_u32x4 max_high = value_max[1];
        em_i32x4 low = em_wide_weights(e_low, max_low, counts);
        em_i16x8 narrow = em_narrow32(low, em_wide_weights(e_high, max_high, counts));
        sum = em_add_pairs32(sum, (em_u32x4)em_pair_sums16(narrow));
        *weights = narrow;
    }
    return (struct em_weight_sums){total, sum[0] + sum[1], drop};
}

/* ---- Values ------------------------------------------------------------------------------------------------------- */

/* part += 16 * `vectors` elements at `row` times the weight in a lane of w. */
#define EM_ADD_ROW(row, lane) \
    do { \
        const em_i8x16_anywhere *elements = (const em_i8x16_anywhere *)(const void *)(row); \
        em_i8x16 value[4]; \
        EM_UNROLL \
        for (em_u32 k = 0; k < vectors; k++) { \
            value[k] = elements[k]; \
        } \
        EM_UNROLL \
        for (em_u32 k = 0; k < vectors; k++) { \
            em_i16x8 low = em_widen8(value[k]); \
            em_i16x8 high = em_widen8_high(value[k]); \
            EM_SMLAL16_LANE(part[4u * k], low, w, lane); \
            EM_SMLAL16_HIGH_LANE(part[4u * k + 1u], low, w, lane); \
            EM_SMLAL16_LANE(part[4u * k + 2u], high, w, lane); \
            EM_SMLAL16_HIGH_LANE(part[4u * k + 3u], high, w, lane); \
        } \
    } while (0)

/* Sums of weight * value over `count` <= EM_VALUE_BLOCK positions, of 16 * `vectors` elements: a constant of at most 4. */
EM_INLINE void em_sum_vectors(em_u32 vectors, const em_i16 *weights, const em_i8 *values, em_u32 head_dim, em_u32 count,
                              em_i32 *out)
{
    em_i32x4 part[16];
    EM_UNROLL
    for (em_u32 k = 0; k < 4u * vectors; k++) {
        part[k] = em_splat32(0);
    }
    for (const em_i16 *end = weights + count; weights != end; weights += 4) {
        const em_i16x8 w = (em_i16x8)em_load_half(weights);
        EM_ADD_ROW(values, 0);
        EM_ADD_ROW(values + head_dim, 1);
        EM_ADD_ROW(values + 2u * (em_u64)head_dim, 2);
        EM_ADD_ROW(values + 3u * (em_u64)head_dim, 3);
        values += 4u * (em_u64)head_dim;
    }
    EM_UNROLL
    for (em_u32 k = 0; k < 4u * vectors; k++) {
        ((em_i32x4_anywhere *)(void *)out)[k] = part[k];
    }
}

/* The same for fewer than sixteen elements. */
EM_INLINE void em_sum_rest(const em_i16_view *weights, const em_i8 *values, em_u32 head_dim, em_u32 width, em_u32 count,
                           em_i32 *out)
{
    for (em_u32 i = 0; i < width; i++) {
        out[i] = 0;
    }
    for (em_u32 j = 0; j < count; j++, values += head_dim) {
        em_i32 weight = weights[j];
        for (em_u32 i = 0; i < width; i++) {
            out[i] += weight * values[i];
        }
    }
}

EM_INLINE void em_sum_values(const em_i16 *weights, const em_i8 *values, em_u32 head_dim, em_u32 width, em_u32 count,
                             em_i32 *out)
{
    em_u32 whole = width & ~15u;
    if (whole == 64u) {
        em_sum_vectors(4, weights, values, head_dim, count, out);
    } else if (whole == 48u) {
        em_sum_vectors(3, weights, values, head_dim, count, out);
    } else if (whole == 32u) {
        em_sum_vectors(2, weights, values, head_dim, count, out);
    } else if (whole == 16u) {
        em_sum_vectors(1, weights, values, head_dim, count, out);
    }
    if (whole != width) {
        em_sum_rest(weights, values + whole, head_dim, width - whole, count, out + whole);
    }
}

EM_INLINE void em_value_sums(const struct em_kv_cache *head, struct em_span span,
                             const struct em_attention_scratch *scratch, const struct em_weight_sums *weights,
                             em_u32 head_dim, em_u32 from, em_u32 width, em_i64 *sums)
{
    const em_i8 *values = head->values + (em_u64)em_first_of_block(span) * head_dim + from;
    const em_i16 *w = (const em_i16 *)(const void *)scratch->weights;
    em_u32 left = em_block_positions(span);
    (void)weights;
    for (em_u32 i = 0; i < width; i++) {
        sums[i] = 0;
    }
    for (em_u32 count; left > 0; left -= count, w += count, values += (em_u64)count * head_dim) {
        em_i32 part[EM_VALUE_STRIP];
        count = left < EM_VALUE_BLOCK ? left : EM_VALUE_BLOCK;
        em_sum_values(w, values, head_dim, width, count, part);
        for (em_u32 i = 0; i < width; i++) {
            sums[i] += part[i];
        }
    }
}

#endif /* EM_CACHE_H */
