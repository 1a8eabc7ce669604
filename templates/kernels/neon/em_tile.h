/*
 * em_tile.h - a tile of 32 rows: its sums, and their way to int32 results.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_TILE_H
#define EM_TILE_H

#include "em_activation.h"
#include "em_tile_fields.h"
#include "em_strips.h"

/* One int32 a row: rows 0..3, 4..7, ... */
struct em_sums {
    em_i32x4 rows[EM_ROW_TILE / 4u];
};

/* What turns the sums of a token into results. */
struct em_token_shift {
    em_i32x4 mantissa; /* twice that of the token: 2^30 becomes -2^31, whose products are negative */
    em_u8x16 more;     /* added to the exponents */
    em_u8x16 less;     /* subtracted from them; one of the two is zero */
};

/* A shift beyond 255 or below -255 does to any exponent what these do. */
EM_INLINE struct em_token_shift em_token_shift_of(struct em_token_scale token, em_i32 shift_base)
{
    em_i32 shift = shift_base - token.shift;
    em_i32 most = shift > 255 ? 255 : shift < -255 ? -255 : shift;
    struct em_token_shift out;
    out.mantissa = em_splat32((em_i32)((em_u32)token.mantissa * 2u));
    out.more = (em_u8x16)em_splat8((em_i8)(most > 0 ? most : 0));
    out.less = (em_u8x16)em_splat8((em_i8)(most < 0 ? -most : 0));
    return out;
}

/* Shift counts of 16 rows, clamped to [-63, 0]: byte j of lane 0 is that of row 2j, byte j of lane 1 that of row 2j + 1. */
EM_INLINE em_u64x2 em_shift_counts(const em_u8 *exponents, const struct em_token_shift *token)
{
    em_u8x16 shifts = em_add_saturating8(*(const em_u8x16 *)(const void *)exponents, token->more);
    shifts = em_min8(em_subtract_saturating8(shifts, token->less), (em_u8x16)em_splat8(63));
    return (em_u64x2)-(em_i8x16)shifts;
}

/*
 * Four sums to the output's format: sum times row scale times token scale, as em_scale(sum, em_scale(mantissa, token, 30), shift).
 * The inner product, of a mantissa below 2^31 and a token's of at most 2^30, is that of sqrdmulh with the token's doubled.
 */
EM_INLINE em_i32x4 em_requantize(em_i32x4 sums, em_i32x4 mantissas, em_i32x4 token, em_u64x2 counts, em_u64x2 next_counts)
{
    em_i32x4 multipliers = em_abs32(em_multiply_q31(mantissas, token));
    return em_scale_lanes(sums, multipliers, counts, next_counts);
}

/* Requantizes the sums of a tile for one token. mantissas and exponents: of the tile's rows. */
EM_INLINE void em_requantize_tile(const struct em_sums *sums, const em_i32 *mantissas, const em_u8 *exponents,
                                  const struct em_token_shift *token, em_i32 *out)
{
    em_i32x4_anywhere *results = (em_i32x4_anywhere *)(void *)out;
    const em_i32x4 *rows = sums->rows;
    const em_i32x4 *m = (const em_i32x4 *)(const void *)mantissas;
    for (const em_u8 *end = exponents + EM_ROW_TILE; exponents != end; exponents += 16, rows += 4, m += 4, results += 4) {
        em_u64x2 counts = em_shift_counts(exponents, token);
        results[0] = em_requantize(rows[0], m[0], token->mantissa, counts, counts >> 8);
        results[1] = em_requantize(rows[1], m[1], token->mantissa, counts >> 16, counts >> 24);
        results[2] = em_requantize(rows[2], m[2], token->mantissa, counts >> 32, counts >> 40);
        results[3] = em_requantize(rows[3], m[3], token->mantissa, counts >> 48, counts >> 56);
    }
}

#endif /* EM_TILE_H */
