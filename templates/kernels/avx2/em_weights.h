/*
 * em_weights.h - from dot products to weights, eight positions at a time. docs/arithmetic.md, section 6.
 *
 * Work memory of a block of eight positions, 32 bytes each in scores and weights:
 *
 *   after em_dots            dot products in scores
 *   after em_scale_blocks    Q16 scores in weights
 *   em_weights               exponential * value_max in 64 bits: of even positions in scores, of odd ones in weights;
 *                            then in scores a 64-bit word for each pair of positions: its two weights, 16 bits each
 *
 * Positions outside of the span have a score so low that their weight is 0. Magnitudes of keys that were never stored
 * are 0.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_WEIGHTS_H
#define EM_WEIGHTS_H

#include "em_avx2.h"
#include "em_cache_types.h"
#include "em_strips.h"

#define EM_CACHE_BLOCK 8u

/* Blocks of a span: [em_first_block, em_end_block). */
EM_INLINE em_u32 em_first_block(struct em_span span)
{
    return span.first / EM_CACHE_BLOCK;
}

EM_INLINE em_u32 em_end_block(struct em_span span)
{
    return (span.end + EM_CACHE_BLOCK - 1u) / EM_CACHE_BLOCK;
}

/* ---- Scores ------------------------------------------------------------------------------------------------------ */

/* Scores by definition, where they may saturate or the shift is an odd one; the largest in *largest. */
EM_NOINLINE EM_UNUSED static void em_scale_positions(const em_i32 *key_max, struct em_span span, em_i32 shift,
                                                     const struct em_attention_scratch *scratch, em_i32 *largest)
{
    em_i32 top = -EM_I32_MAX;
    for (em_u32 j = span.first; j < span.end; j++) {
        em_i32 score = em_scale(scratch->scores[j], key_max[j], shift);
        scratch->weights[j] = score;
        top = score > top ? score : top;
    }
    em_i32 hidden = (em_i32)((em_u32)top - (64u << 16));
    for (em_u32 j = em_first_block(span) * EM_CACHE_BLOCK; j < em_end_block(span) * EM_CACHE_BLOCK; j++) {
        if (j < span.first || j >= span.end) {
            scratch->weights[j] = hidden;
        }
    }
    *largest = top;
}

/* Largest of eight signed lanes. */
EM_INLINE em_i32 em_largest(em_u32x8 values)
{
    em_i32 lanes[8];
    em_i32 top = -EM_I32_MAX - 1;
    __builtin_memcpy(lanes, &values, sizeof(lanes));
    for (em_u32 i = 0; i < 8u; i++) {
        top = lanes[i] > top ? lanes[i] : top;
    }
    return top;
}

/* Scores of block `b` and the largest of them and `top`. hidden: in lanes outside of the span a score of -2^31. */
EM_INLINE em_u32x8 em_scale_block(const struct em_attention_scratch *scratch, const em_i32 *key_max, em_u64 b,
                                  em_i32 shift, em_u32x8 hidden, em_u32x8 top)
{
    em_u32x8 dots = ((const em_u32x8 *)(const void *)scratch->scores)[b];
    em_u32x8 scores = em_scale_lanes(dots, ((const em_u32x8 *)(const void *)key_max)[b], shift) | hidden;
    ((em_u32x8 *)(void *)scratch->weights)[b] = scores;
    return em_max_each(top, scores);
}

/* The same for a block with positions outside of the span. */
EM_NOINLINE EM_UNUSED static em_u32x8 em_scale_edge(const struct em_attention_scratch *scratch, const em_i32 *key_max,
                                                    em_u32 b, em_i32 shift, struct em_span span, em_u32x8 top)
{
    const em_i32x8 positions = (em_i32x8){0, 1, 2, 3, 4, 5, 6, 7} + (em_i32)(b * EM_CACHE_BLOCK);
    em_i32x8 outside = (positions < (em_i32)span.first) | (positions >= (em_i32)span.end);
    em_u32x8 hidden = (em_u32x8)outside << 31;
    em_u32x8 *dots = (em_u32x8 *)(void *)scratch->scores + b;
    *dots &= ~(em_u32x8)outside;
    return em_scale_block(scratch, key_max, b, shift, hidden, top);
}

/*
 * Scores of the blocks of a span from its dot products, which are below 2^dot_bits; returns the largest of the span.
 */
EM_INLINE em_i32 em_scale_blocks(const em_i32 *key_max, struct em_span span, em_u32 dot_bits, em_i32 shift,
                                 const struct em_attention_scratch *scratch)
{
    const em_u32x8 *max = (const em_u32x8 *)(const void *)key_max;
    em_u32x8 bits = max[em_first_block(span)] | max[em_end_block(span) - 1u];
    em_u32x8 top = em_broadcast(0x80000000u);
    em_i32 largest;
    em_u64 first = (span.first + EM_CACHE_BLOCK - 1u) / EM_CACHE_BLOCK; /* of the blocks within the span */
    em_u64 end = span.end / EM_CACHE_BLOCK;
    if (shift < 1 || shift > 62) {
        em_scale_positions(key_max, span, shift, scratch, &largest);
        return largest;
    }
    for (em_u64 b = first; b < end; b++) {
        bits |= max[b];
        top = em_scale_block(scratch, key_max, b, shift, em_broadcast(0), top);
    }
    if (span.first % EM_CACHE_BLOCK != 0) {
        top = em_scale_edge(scratch, key_max, em_first_block(span), shift, span, top);
    }
    if (span.end % EM_CACHE_BLOCK != 0 && end >= first) {
        top = em_scale_edge(scratch, key_max, (em_u32)end, shift, span, top);
    }
    /* Magnitudes up to 2^30, so that a score of -2^31 is 2^14 units below the largest. */
    if (dot_bits + em_bits32(em_merge_words(bits)) > 30u + (em_u32)shift) {
        em_scale_positions(key_max, span, shift, scratch, &largest);
        return largest;
    }
    return em_largest(top);
}

/* ---- Weights ----------------------------------------------------------------------------------------------------- */

/* em_exp2_negative of eight values. */
EM_INLINE em_u32x8 em_exp2_each(em_u32x8 x)
{
    em_u16x16 g = (em_u16x16)(x >> 1 & 0x7fffu); /* Q15 */
    em_u32x8 p = EM_EXP2_C2 - (em_u32x8)em_multiply_q15_each(g, (em_u16x16)em_broadcast(EM_EXP2_C3));
    p = EM_EXP2_C1 - (em_u32x8)em_multiply_q15_each(g, (em_u16x16)p);
    p = EM_EXP2_C0 - (em_u32x8)em_multiply_q15_each(g, (em_u16x16)p);
    return em_shift_right_words(p << 15, x >> 16);
}

EM_INLINE em_u64 em_sum_lanes(em_u64x4 values)
{
    return values[0] + values[1] + values[2] + values[3];
}

/* Turns the scores of a span into 15-bit weights. */
EM_INLINE struct em_weight_sums em_weights(const struct em_kv_cache *head, struct em_span span, em_i32 top,
                                           const struct em_attention_scratch *scratch)
{
    em_u64x4 *even_products = (em_u64x4 *)(void *)scratch->scores;
    em_u64x4 *odd_products = (em_u64x4 *)(void *)scratch->weights; /* before: scores */
    em_u64x4 exponentials = em_broadcast64(0);
    em_u64x4 weights = em_broadcast64(0);
    em_u64x4 bits = em_broadcast64(0);
    for (em_u64 b = em_first_block(span); b < em_end_block(span); b++) {
        em_u64x4 max = ((const em_u64x4 *)(const void *)head->value_max)[b];
        em_u64x4 even = (em_u64x4)em_exp2_each(em_broadcast((em_u32)top) - (em_u32x8)odd_products[b]);
        em_u64x4 odd = even >> 32;
        exponentials += (even & 0xffffffffu) + odd;
        even = em_multiply_unsigned(even, max);
        odd = em_multiply_unsigned(odd, max >> 32);
        bits |= even | odd;
        even_products[b] = even;
        odd_products[b] = odd;
    }
    struct em_weight_sums sums;
    sums.drop = (em_i32)em_bits64(em_merge(bits)) - 15;
    sums.drop = sums.drop > 0 ? sums.drop : 0;
    em_u64x4 half = em_broadcast64(sums.drop > 0 ? (em_u64)1 << (sums.drop - 1) : 0);
    for (em_u64 b = em_first_block(span); b < em_end_block(span); b++) {
        em_u64x4 even = (even_products[b] + half) >> (em_u64)sums.drop;
        em_u64x4 odd = (odd_products[b] + half) >> (em_u64)sums.drop;
        em_u16x16 both = em_min_each((em_u16x16)(even | odd << 16), (em_u16x16)em_broadcast(0x7fff7fffu));
        even_products[b] = (em_u64x4)both;
        weights += (em_u64x4)em_multiply_words(both, (em_u16x16)em_broadcast(0x00010001u));
    }
    sums.exponentials = em_sum_lanes(exponentials);
    sums.weights = em_sum_lanes(weights);
    return sums;
}

#endif /* EM_WEIGHTS_H */
