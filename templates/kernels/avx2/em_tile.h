/*
 * em_tile.h - a tile of 32 rows: its sums, and their way to int32 results.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_TILE_H
#define EM_TILE_H

#include "em_activation.h"
#include "em_avx2.h"
#include "em_linear_op.h"
#include "em_tile_fields.h"

/* One int32 a row: rows 0..7, 8..15, 16..23, 24..31 of a tile. */
struct em_sums {
    em_u32x8 a, b, c, d;
};

/* Row multipliers of eight rows: shifts of a sum times the row's scale to the output's format, less 1. */
EM_INLINE em_u32x8 em_shifts(em_u32x8 scales, em_i32 shift)
{
    return (scales >> EM_ROW_MANTISSA_BITS) + (em_u32)(shift - 1);
}

/* Not 0 in lanes whose result em_requantize cannot give: outside of int32, or a shift outside of [1, 64]. */
EM_INLINE em_u32x8 em_misfits(em_u32x8 sums, em_u32x8 shifts)
{
    em_u32x8 magnitudes = sums ^ (em_u32x8)((em_i32x8)sums >> 31);
    return em_shift_right_words(magnitudes, shifts) | (shifts & ~63u);
}

/*
 * Eight sums to the output's format: em_scale(sum, em_scale(mantissa, token, 30), shift) with shifts less 1.
 *
 * Even and odd lanes apart. Products are below 2^62: with 2^62 added before, a logical shift is an arithmetic one whose
 * result is 2^(62 - shift) too large. Of that only what is below 2^32 matters, for where nothing misfits
 * |sum| <= 2^shift, multipliers are below 2^31, and twice the result fits int32. Of the mantissas only the stored bits are
 * multiplied: all lower ones are 0.
 */
EM_INLINE em_i32x8 em_requantize(em_u32x8 sums, em_u32x8 scales, em_u32x8 shifts, em_i32 token)
{
    const em_u64x4 half = em_broadcast64((em_u64)1 << (EM_ROW_MANTISSA_BITS - 2));
    const em_u64x4 bias = em_broadcast64((em_u64)1 << 62);
    const em_u64x4 scale = em_broadcast64((em_u64)token);
    em_u64x4 stored = (em_u64x4)(scales & ((1u << EM_ROW_MANTISSA_BITS) - 1u));
    em_u64x4 even = (em_multiply_low(stored, scale) + half) >> (EM_ROW_MANTISSA_BITS - 1);
    em_u64x4 odd = (em_multiply_low(stored >> 32, scale) + half) >> (EM_ROW_MANTISSA_BITS - 1);
    even = em_multiply_low((em_u64x4)sums, even) + bias;
    odd = em_multiply_low((em_u64x4)sums >> 32, odd) + bias;
    even = em_shift_right_each(even, (em_u64x4)shifts & 0xffffffffu);
    odd = em_shift_right_each(odd, (em_u64x4)shifts >> 32);
    em_u32x8 excess = em_shift_right_words(em_broadcast(0x80000000u), shifts - 31u);
    em_i32x8 twice = (em_i32x8)(em_interleave(even, odd << 32) - excess);
    return (twice + 1) >> 1;
}

/* What turns the sums of a token into results. */
struct em_token_shift {
    em_i32 mantissa;
    em_i32 shift; /* added to the em_row_shift of rows */
};

/* least_shift: of a row whose em_row_shift is 0, before the token's. */
EM_INLINE struct em_token_shift em_token_shift_of(struct em_token_scale token, em_i32 least_shift)
{
    return (struct em_token_shift){token.mantissa, least_shift - token.shift};
}

/* The same for a whole tile by definition. */
EM_NOINLINE EM_UNUSED static void em_requantize_rows(const struct em_sums *sums, const em_u16 *scales,
                                                     const struct em_token_shift *token, em_i32 *out)
{
    em_i32 rows[EM_ROW_TILE];
    __builtin_memcpy(rows, sums, sizeof(rows));
    for (em_u32 i = 0; i < EM_ROW_TILE; i++) {
        em_i32 multiplier = em_scale(em_row_mantissa(scales[i]), token->mantissa, 30);
        out[i] = em_scale(rows[i], multiplier, em_row_shift(scales[i]) + token->shift);
    }
}

/* Requantizes the sums of a tile for one token. scales: row multipliers of the tile. */
EM_INLINE void em_requantize_tile(const struct em_sums *sums, const em_u16 *scales, const struct em_token_shift *token,
                                  em_i32 *out)
{
    const em_u16x8 *words = (const em_u16x8 *)(const void *)scales;
    const em_u32x8 wide[] = {em_widen_words(words), em_widen_words(words + 1), em_widen_words(words + 2),
                             em_widen_words(words + 3)};
    em_i32x8_anywhere *results = (em_i32x8_anywhere *)(void *)out;
    const em_i32 shift = token->shift;
    em_u32x8 a = em_shifts(wide[0], shift);
    em_u32x8 b = em_shifts(wide[1], shift);
    em_u32x8 c = em_shifts(wide[2], shift);
    em_u32x8 d = em_shifts(wide[3], shift);
    em_u32x8 misfits = em_misfits(sums->a, a) | em_misfits(sums->b, b);
    misfits |= em_misfits(sums->c, c) | em_misfits(sums->d, d);
    if (em_any(misfits)) {
        em_requantize_rows(sums, scales, token, out);
        return;
    }
    results[0] = em_requantize(sums->a, wide[0], a, token->mantissa);
    results[1] = em_requantize(sums->b, wide[1], b, token->mantissa);
    results[2] = em_requantize(sums->c, wide[2], c, token->mantissa);
    results[3] = em_requantize(sums->d, wide[3], d, token->mantissa);
}

#endif /* EM_TILE_H */
