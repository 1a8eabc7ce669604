/*
 * em_requantize.h - sums of the rows of a tile to int32 results in the output's format.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_REQUANTIZE_H
#define EM_REQUANTIZE_H

#include "em_activation.h"
#include "em_linear_op.h"

/* Rows of the largest tile. */
#define EM_ROW_TILE 32u

/* em_scale_product by a shift of drop + 1. Shifts outside [1, 62] and saturation are rare: one test for each. */
EM_INLINE em_i32 em_scale_row(em_i64 product, em_u32 drop)
{
    if (__builtin_expect(drop <= 61u, 1)) {
        em_i64 value = ((product >> drop) + 1) >> 1;
        if (__builtin_expect((em_u64)(value + EM_I32_MAX) <= 2u * (em_u64)EM_I32_MAX, 1)) {
            return (em_i32)value;
        }
    }
    return em_scale_product(product, (em_i32)(drop + 1u));
}

/*
 * out[i] = sums[i] times row scale times token scale for the rows of a tile: em_scale(sum, em_scale(mantissa, token,
 * 30), ...), where the inner product needs no saturation, and of a mantissa only the stored bits: all lower ones are 0.
 * Sums fit int32. least_shift: of a row whose em_row_shift is 0, before the token's.
 */
EM_NOINLINE EM_UNUSED static void em_requantize_rows(const em_i64 *sums, em_u32 rows, const em_u16 *scales,
                                                     struct em_token_scale token, em_i32 least_shift, em_i32 *out)
{
    const em_u32 drop = (em_u32)(least_shift - token.shift) - 1u;
    const em_u16 stored = (1u << EM_ROW_MANTISSA_BITS) - 1u;
#ifdef __clang__
    _Pragma("clang loop unroll_count(4)")
#else
    _Pragma("GCC unroll 4")
#endif
    for (em_u32 i = 0; i < rows; i++) {
        em_i64 multiplier = em_round_shift64((em_i64)(scales[i] & stored) * token.mantissa, EM_ROW_MANTISSA_BITS - 1);
        out[i] = em_scale_row(sums[i] * multiplier, (em_u32)em_row_shift(scales[i]) + drop);
    }
}

/* Sums beyond int32 brought to it. */
EM_INLINE void em_shift_sums(em_i64 *sums, em_u32 rows, em_i32 accumulator_shift)
{
    for (em_u32 i = 0; i < rows; i++) {
        sums[i] = em_round_shift64(sums[i], accumulator_shift);
    }
}

/* Results of the first `rows` rows of a tile, plus bias unless it is EM_NULL. */
EM_INLINE void em_store_rows(const em_i32 *results, em_u32 rows, const em_i32 *bias, em_i32 *out)
{
    for (em_u32 i = 0; i < rows; i++) {
        out[i] = bias == EM_NULL ? results[i] : em_saturate((em_i64)results[i] + bias[i]);
    }
}

#endif /* EM_REQUANTIZE_H */
