/*
 * em_softmax.h - from dot products to weights, one position after the other. docs/arithmetic.md, section 6.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_SOFTMAX_H
#define EM_SOFTMAX_H

#include "em_cache_types.h"

/* Four positions a turn. */
#ifdef __clang__
#define EM_UNROLL_FOUR _Pragma("clang loop unroll_count(4)")
#else
#define EM_UNROLL_FOUR _Pragma("GCC unroll 4")
#endif

/* Turns `count` dot products into Q16 scores; returns the largest. */
EM_NOINLINE EM_UNUSED static em_i32 em_scale_scores(em_i32 *scores, const em_i32 *key_max, em_u32 count, em_i32 shift)
{
    em_i64 top = -EM_I32_MAX;
    const em_i64 half = shift >= 1 && shift <= 62 ? (em_i64)1 << (shift - 1) : 0;
    for (em_u32 j = 0; half == 0 && j < count; j++) {
        scores[j] = em_scale(scores[j], key_max[j], shift);
        top = scores[j] > top ? scores[j] : top;
    }
    EM_UNROLL_FOUR
    for (const em_i32 *end = half == 0 ? scores : scores + count; scores != end; scores++, key_max++) {
        em_i64 score = ((em_i64)*scores * *key_max + half) >> shift;
        if (__builtin_expect((em_u64)(score + EM_I32_MAX) > 2u * (em_u64)EM_I32_MAX, 0)) {
            score = em_saturate(score);
        }
        *scores = (em_i32)score;
        top = score > top ? score : top;
    }
    return (em_i32)top;
}

/*
 * Turns `count` scores, the largest of which is `top`, into weights: exponentials in Q30, each times the magnitude of
 * its value vector, then all shifted right so that the largest fills 15 bits.
 */
EM_NOINLINE EM_UNUSED static struct em_weight_sums em_softmax(em_i32 *scores, em_i32 *weights, const em_i32 *value_max,
                                                              em_u32 count, em_i32 top)
{
    struct em_weight_sums sums = {0};
    em_i64 largest = 0;
    const em_i32 *max = value_max;
    EM_UNROLL_FOUR
    for (em_i32 *score = scores; score != scores + count; score++, max++) {
        em_u64 e = em_exp2_negative((em_u64)((em_i64)top - *score));
        em_i64 product = (em_i64)e * *max;
        sums.exponentials += e;
        largest = product > largest ? product : largest;
        *score = (em_i32)e;
    }
    em_i32 shift = (em_i32)em_bits64((em_u64)largest) - 15;
    const struct em_rounding by = em_rounding_by(shift);
    sums.drop = by.shift;
    EM_UNROLL_FOUR
    for (const em_i32 *end = scores + count; scores != end; scores++, value_max++, weights++) {
        em_i64 weight = em_round((em_i64)*scores * *value_max, by);
        weight = weight < 32767 ? weight : 32767;
        *weights = (em_i32)weight;
        sums.weights += (em_u64)weight;
    }
    return sums;
}

#endif /* EM_SOFTMAX_H */
