/*
 * em_cache.h - kernel set "neon": attention over the KV cache. docs/arithmetic.md, section 6.
 *
 * Layout. Keys and values are rows: int8[kv_heads][positions][head_dim], positions a multiple of eight. Whole blocks of eight
 * positions are worked off, from the one that the span starts in; what lies outside the span gets weight 0. In the work memory of a
 * head the scores (later the exponentials) and, as int16, the weights stand at their position minus that of the first block.
 *
 * Bounds. A query of 14 bits and sign times keys: 256 2^14 127 < 2^30. Values: EM_VALUE_BLOCK.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_H
#define EM_CACHE_H

#include "em_cache_types.h"
#include "em_neon.h"

#define EM_CACHE_BLOCK 8u

/* Unrolls the loop over a head, whose length is a constant in models, up to 64 elements. */
#ifdef __clang__
#define EM_UNROLL_HEAD _Pragma("clang loop unroll_count(4)")
#else
#define EM_UNROLL_HEAD _Pragma("GCC unroll 4")
#endif

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

/* Lanes of a block: all ones for positions within the span, 0 outside. */
struct em_lane_mask {
    em_u32x4 low, high;
};

EM_INLINE struct em_lane_mask em_mask_of_block(struct em_span span, em_u32 position)
{
    const em_u32x4 lanes = {0, 1, 2, 3};
    em_u32x4 first = (em_u32x4)em_splat32((em_i32)span.first);
    em_u32x4 count = (em_u32x4)em_splat32((em_i32)(span.end - span.first));
    em_u32x4 low = lanes + (em_u32x4)em_splat32((em_i32)position) - first; /* beyond the end or, wrapped, before the first: not below */
    return (struct em_lane_mask){(em_u32x4)(low < count), (em_u32x4)(low + 4u < count)};
}

/* ---- Scores ------------------------------------------------------------------------------------------------------- */

/* query * 2^-shift, 14 bits and sign, up to a multiple of eight elements; no more than head_dim are read or used. */
EM_INLINE void em_narrow_query(const em_i32 *query, em_u32 head_dim, em_i32 shift, em_i16 *out)
{
    em_u32 i = 0;
    for (; i + 8u <= head_dim; i += 8u) {
        const em_i32x4_anywhere *in = (const em_i32x4_anywhere *)(const void *)(query + i);
        em_i32x4 low = em_round_shift_each32(in[0], em_splat32(-shift));
        em_i32x4 high = em_round_shift_each32(in[1], em_splat32(-shift));
        *(em_i16x8 *)(void *)(out + i) = em_narrow32(low, high);
    }
    for (; i < head_dim; i++) {
        out[i] = (em_i16)em_round_shift(query[i], shift);
    }
}

/* Dot products of a query with four keys. */
EM_INLINE em_i32x4 em_dot_keys(const em_i16 *query, const em_i8 *keys, em_u32 head_dim)
{
    const em_i16x8 *q = (const em_i16x8 *)(const void *)query;
    em_i32x4 sums[4] = {{0}};
    em_u32 i = 0;
    EM_UNROLL_HEAD
    for (; i + 16u <= head_dim; i += 16u, q += 2) {
        EM_UNROLL
        for (em_u32 j = 0; j < 4u; j++) {
            em_i8x16 key = *(const em_i8x16_anywhere *)(const void *)(keys + (em_u64)j * head_dim + i);
            em_i16x8 low = em_widen8(key);
            em_i16x8 high = em_widen8_high(key);
            sums[j] = em_smlal16_high(em_smlal16(sums[j], low, q[0]), low, q[0]);
            sums[j] = em_smlal16_high(em_smlal16(sums[j], high, q[1]), high, q[1]);
        }
    }
    if (head_dim % 16u >= 8u) {
        EM_UNROLL
        for (em_u32 j = 0; j < 4u; j++) {
            em_i16x8 low = em_widen8((em_i8x16)em_load_half(keys + (em_u64)j * head_dim + i));
            sums[j] = em_smlal16_high(em_smlal16(sums[j], low, q[0]), low, q[0]);
        }
        i += 8u;
    }
    em_i32x4 dots = em_pair_sums32(em_pair_sums32(sums[0], sums[1]), em_pair_sums32(sums[2], sums[3]));
    for (; i < head_dim; i++) {
        const em_i8 *key = keys + i;
        em_i32x4 elements = {key[0], key[head_dim], key[2u * head_dim], key[3u * head_dim]};
        dots += elements * query[i];
    }
    return dots;
}

/* Four dot products as Q16 scores: em_scale by the magnitudes of the keys. counts: minus the shift, in [-63, 0]. */
EM_INLINE em_i32x4 em_scale_dots(em_i32x4 dots, em_i32x4 key_max, em_u64x2 counts)
{
    em_i64x2 low = em_round_shift_each(em_smull32(dots, key_max), counts);
    em_i64x2 high = em_round_shift_each(em_smull32_high(dots, key_max), counts);
    return em_max32(em_narrow64(low, high), em_splat32(-EM_I32_MAX));
}

/* The largest of two scores in lanes that are in the span. */
EM_INLINE em_i32x4 em_top_of(em_i32x4 top, em_i32x4 scores, em_u32x4 mask)
{
    return em_max32(top, (em_i32x4)(((em_u32x4)scores & mask) | ((em_u32x4)em_splat32(-EM_I32_MAX) & ~mask)));
}

EM_INLINE em_i32 em_scores(const struct em_kv_cache *head, struct em_span span, const em_i32 *query, em_u32 head_dim,
                           em_i32 score_shift, const struct em_attention_scratch *scratch)
{
    const em_u32 base = em_first_of_block(span);
    em_i32 query_shift = (em_i32)em_bits32((em_u32)em_max_magnitude(query, head_dim)) - 14;
    em_i32 shift = score_shift - query_shift;
    shift = shift < 0 ? 0 : shift > 63 ? 63 : shift;
    const em_u64x2 counts = (em_u64x2){(em_u64)-shift, (em_u64)-shift};
    em_i16 q[EM_HEAD_DIM_MAX] __attribute__((aligned(16)));
    em_i32x4 top = em_splat32(-EM_I32_MAX);
    em_narrow_query(query, head_dim, query_shift, q);
    for (em_u32 at = 0; at < em_block_positions(span); at += EM_CACHE_BLOCK) {
        const em_i8 *keys = head->keys + (em_u64)(base + at) * head_dim;
        const em_i32x4 *key_max = (const em_i32x4 *)(const void *)(head->key_max + base + at);
        em_i32x4 *scores = (em_i32x4 *)(void *)(scratch->scores + at);
        struct em_lane_mask mask = em_mask_of_block(span, base + at);
        em_i32x4 low = em_scale_dots(em_dot_keys(q, keys, head_dim), key_max[0], counts);
        em_i32x4 high = em_scale_dots(em_dot_keys(q, keys + 4u * (em_u64)head_dim, head_dim), key_max[1], counts);
        top = em_top_of(em_top_of(top, low, mask.low), high, mask.high);
        scores[0] = low;
        scores[1] = high;
    }
    em_i32 first = top[0] > top[1] ? top[0] : top[1];
    em_i32 second = top[2] > top[3] ? top[2] : top[3];
    return first > second ? first : second;
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

/* Products of four exponentials with the magnitudes of their values. */
struct em_products {
    em_u64x2 low, high;
};

EM_INLINE struct em_products em_multiply_values(em_u32x4 exponentials, em_u32x4 value_max)
{
    return (struct em_products){em_umull32(exponentials, value_max), em_umull32_high(exponentials, value_max)};
}

/* Products shifted to weights, rounded; below 2^31. */
EM_INLINE em_i32x4 em_shift_products(struct em_products products, em_u64x2 counts)
{
    em_i32x4 low = (em_i32x4)em_round_shift_each((em_i64x2)products.low, counts);
    em_i32x4 high = (em_i32x4)em_round_shift_each((em_i64x2)products.high, counts);
    return __builtin_shufflevector(low, high, 0, 2, 4, 6);
}

EM_INLINE struct em_weight_sums em_weights(const struct em_kv_cache *head, struct em_span span, em_i32 top,
                                           const struct em_attention_scratch *scratch)
{
    const em_u32 base = em_first_of_block(span);
    const em_u32 positions = em_block_positions(span);
    em_u64x2 total = {0};
    em_u64x2 bits = {0}; /* of all products: as many as the largest has */
    for (em_u32 at = 0; at < positions; at += EM_CACHE_BLOCK) {
        const em_u32x4 *value_max = (const em_u32x4 *)(const void *)(head->value_max + base + at);
        em_u32x4 *scores = (em_u32x4 *)(void *)(scratch->scores + at);
        struct em_lane_mask mask = em_mask_of_block(span, base + at);
        em_u32x4 tops = (em_u32x4)em_splat32(top);
        struct em_eight e = em_exp2_negative_each((struct em_eight){tops - scores[0], tops - scores[1]});
        e.low &= mask.low;
        e.high &= mask.high;
        struct em_products low = em_multiply_values(e.low, value_max[0]);
        struct em_products high = em_multiply_values(e.high, value_max[1]);
        total = em_add_pairs32(em_add_pairs32(total, e.low), e.high);
        bits |= low.low | low.high | high.low | high.high;
        scores[0] = e.low;
        scores[1] = e.high;
    }
    em_i32 drop = (em_i32)em_bits64(bits[0] | bits[1]) - 15;
    drop = drop > 0 ? drop : 0;
    const em_u64x2 counts = {(em_u64)-drop, (em_u64)-drop};
    em_u64x2 sum = {0};
    for (em_u32 at = 0; at < positions; at += EM_CACHE_BLOCK) {
        const em_u32x4 *value_max = (const em_u32x4 *)(const void *)(head->value_max + base + at);
        const em_u32x4 *e = (const em_u32x4 *)(const void *)(scratch->scores + at);
        em_i32x4 low = em_shift_products(em_multiply_values(e[0], value_max[0]), counts);
        em_i32x4 high = em_shift_products(em_multiply_values(e[1], value_max[1]), counts);
        em_i16x8 weights = em_narrow32(low, high);
        sum = em_add_pairs32(sum, (em_u32x4)em_add_pairs16(em_splat32(0), weights));
        ((em_i16x8 *)(void *)scratch->weights)[at / EM_CACHE_BLOCK] = weights;
    }
    return (struct em_weight_sums){total[0] + total[1], sum[0] + sum[1], drop};
}

/* ---- Values ------------------------------------------------------------------------------------------------------- */

/* sums += a times the weight in a lane: sixteen elements of the value of a position. */
#define EM_ADD_VALUE(sums, value, weights, lane) \
    do { \
        em_i16x8 low = em_widen8(value); \
        em_i16x8 high = em_widen8_high(value); \
        EM_SMLAL16_LANE((sums)[0], low, weights, lane); \
        EM_SMLAL16_HIGH_LANE((sums)[1], low, weights, lane); \
        EM_SMLAL16_LANE((sums)[2], high, weights, lane); \
        EM_SMLAL16_HIGH_LANE((sums)[3], high, weights, lane); \
    } while (0)

/* The same for 16 * `vectors` elements at `row`. */
#define EM_ADD_ROW(row, lane) \
    do { \
        const em_i8x16_anywhere *elements = (const em_i8x16_anywhere *)(const void *)(row); \
        EM_UNROLL \
        for (em_u32 k = 0; k < vectors; k++) { \
            em_i8x16 value = elements[k]; \
            EM_ADD_VALUE(part + 4u * k, value, w, lane); \
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
