/*
 * em_softmax.h - from dot products to weights, one position after the other. docs/arithmetic.md, section 6.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_SOFTMAX_H
#define EM_SOFTMAX_H

#include "em_cache_types.h"

/* Turns `count` dot products into Q16 scores; returns the largest. */
EM_INLINE em_i32 em_scale_scores(em_i32 *scores, const em_i32 *key_max, em_u32 count, em_i32 shift)
{
    em_i32 top = -EM_I32_MAX;
    for (em_u32 j = 0; j < count; j++) {
        scores[j] = em_scale(scores[j], key_max[j], shift);
        top = scores[j] > top ? scores[j] : top;
    }
    return top;
}

/*
 * Turns `count` scores, the largest of which is `top`, into weights: exponentials in Q30, each times the magnitude of
 * its value vector, then all shifted right so that the largest fills 15 bits.
 */
EM_INLINE struct em_weight_sums em_softmax(const struct em_attention_scratch *scratch, const em_i32 *value_max,
                                           em_u32 count, em_i32 top)
{
    struct em_weight_sums sums = {0};
    em_u64 largest = 0;
    for (em_u32 j = 0; j < count; j++) {
        em_u32 e = em_exp2_negative((em_u32)top - (em_u32)scratch->scores[j]);
        em_u64 product = (em_u64)e * (em_u32)value_max[j];
        sums.exponentials += e;
        largest = product > largest ? product : largest;
        scratch->scores[j] = (em_i32)e;
    }
    em_i32 shift = (em_i32)em_bits64(largest) - 15;
    shift = shift > 0 ? shift : 0;
    em_u64 half = shift > 0 ? (em_u64)1 << (shift - 1) : 0;
    for (em_u32 j = 0; j < count; j++) {
        em_u64 product = (em_u64)(em_u32)scratch->scores[j] * (em_u32)value_max[j];
        em_u64 weight = (product + half) >> shift;
        weight = weight < 32767u ? weight : 32767u;
        scratch->weights[j] = (em_i32)weight;
        sums.weights += weight;
    }
    sums.drop = shift;
    return sums;
}

#endif /* EM_SOFTMAX_H */
