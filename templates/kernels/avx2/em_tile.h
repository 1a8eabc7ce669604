/*
 * em_tile.h - a tile of 32 rows: its sums, and their way to int32 results.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_TILE_H
#define EM_TILE_H

#include "em_activation.h"
#include "em_avx2.h"

/* Rows of a tile; rows that a task is made of are multiples of it. */
#define EM_ROW_TILE 32u

/* One int32 a row: rows 0..7, 8..15, 16..23, 24..31 of a tile. */
struct em_sums {
    em_u32x8 a, b, c, d;
};

/* round(product * 2^-shift) for |product| < 2^62; shift at most 63, or larger for 0. Half of 2^64 makes the shift a signed one. */
EM_INLINE em_u64x4 em_round_shift_each(em_u64x4 product, em_u64x4 shift)
{
    const em_u64x4 top = em_broadcast64((em_u64)1 << 63);
    em_u64x4 half = em_shift_left_each(em_broadcast64(1), shift) >> 1;
    return em_shift_right_each(product + half + top, shift) - em_shift_right_each(top, shift);
}

/* em_saturate of eight int64: even lanes and odd lanes. */
EM_INLINE em_i32x8 em_saturate_each(em_u64x4 even, em_u64x4 odd)
{
    em_i32x8 low = em_interleave(even, odd << 32);
    em_i32x8 high = em_interleave(even >> 32, odd);
    em_i32x8 limit = (high >> 31) ^ EM_I32_MAX;
    em_i32x8 value = em_select(limit, low, high == (low >> 31));
    return value - (value == -EM_I32_MAX - 1); /* a comparison gives -1 */
}

/*
 * Eight sums to the output's format: sum times row scale times token scale, as em_scale(sum, em_scale(mantissa, token, 30),
 * exponent + shift). Products are below 2^62.
 */
EM_INLINE em_i32x8 em_requantize(em_u32x8 sums, em_i32x8 mantissas, em_i32x8 exponents, em_i32 token, em_i32 shift)
{
    const em_u64x4 half = em_broadcast64((em_u64)1 << 29);
    const em_u64x4 scale = em_broadcast64((em_u64)token);
    em_u64x4 even = (em_multiply_low((em_u64x4)mantissas, scale) + half) >> 30;
    em_u64x4 odd = (em_multiply_low((em_u64x4)mantissas >> 32, scale) + half) >> 30;
    em_i32x8 shifts = exponents + shift;
    shifts &= ~(shifts >> 31); /* at least 0 */
    even = em_round_shift_each(em_multiply_low((em_u64x4)sums, even), (em_u64x4)shifts & 0xffffffffu);
    odd = em_round_shift_each(em_multiply_low((em_u64x4)sums >> 32, odd), (em_u64x4)shifts >> 32);
    return em_saturate_each(even, odd);
}

/* Requantizes the sums of a tile for one token, whose scale is x. mantissas and exponents: of the tile's rows. */
EM_INLINE void em_requantize_tile(const struct em_sums *sums, const em_i32 *mantissas, const em_u8 *exponents,
                                  struct em_token_scale x, em_i32 shift_base, em_i32 *out)
{
    em_i32x8_anywhere *results = (em_i32x8_anywhere *)(void *)out;
    const em_i32x8 *m = (const em_i32x8 *)(const void *)mantissas;
    const em_u8x8 *e = (const em_u8x8 *)(const void *)exponents;
    em_i32 shift = shift_base - x.shift;
    results[0] = em_requantize(sums->a, m[0], em_widen_unsigned(e), x.mantissa, shift);
    results[1] = em_requantize(sums->b, m[1], em_widen_unsigned(e + 1), x.mantissa, shift);
    results[2] = em_requantize(sums->c, m[2], em_widen_unsigned(e + 2), x.mantissa, shift);
    results[3] = em_requantize(sums->d, m[3], em_widen_unsigned(e + 3), x.mantissa, shift);
}

#endif /* EM_TILE_H */
