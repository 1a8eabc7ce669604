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
    em_i64 half = shift >= 1 && shift <= 62 ? (em_i64)1 << (shift - 1) : 0;
    for (em_u32 j = 0; j < count; j++) {
        em_i64 score = ((em_i64)scores[j] * key_max[j] + half) >> (shift & 63);
        /* Saturation and other shifts are rare: one test for both. */
        if (__builtin_expect((em_u64)(score + EM_I32_MAX) > 2u * (em_u64)EM_I32_MAX || half == 0, 0)) {
            score = em_scale(scores[j], key_max[j], shift);
        }
        scores[j] = (em_i32)score;
        top = score > top ? (em_i32)score : top;
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
    em_i64 largest = 0;
    for (em_u32 j = 0; j < count; j++) {
        em_i32 e = (em_i32)em_exp2_negative((em_u32)top - (em_u32)scratch->scores[j]);
        em_i64 product = (em_i64)e * value_max[j];
        sums.exponentials += (em_u64)e;
        largest = product > largest ? product : largest;
        scratch->scores[j] = e;
    }
    em_i32 shift = (em_i32)em_bits64((em_u64)largest) - 15;
    shift = shift > 0 ? shift : 0;
    em_i64 half = shift > 0 ? (em_i64)1 << (shift - 1) : 0;
    for (em_u32 j = 0; j < count; j++) {
        em_i64 weight = ((em_i64)scratch->scores[j] * value_max[j] + half) >> shift;
        weight = weight < 32767 ? weight : 32767;
        scratch->weights[j] = (em_i32)weight;
        sums.weights += (em_u64)weight;
    }
    sums.drop = shift;
    return sums;
}

#endif /* EM_SOFTMAX_H */
