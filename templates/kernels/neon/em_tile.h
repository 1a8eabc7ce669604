/*
 * em_tile.h - a tile of 32 rows: its sums, and their way to int32 results.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_TILE_H
#define EM_TILE_H

#include "em_activation.h"
#include "em_linear_op.h"
#include "em_tile_fields.h"
#include "em_strips.h"

/* One int32 a row: rows 0..3, 4..7, ... */
struct em_sums {
    em_i32x4 rows[EM_ROW_TILE / 4u];
};

/* What turns the sums of a token into results. */
struct em_token_shift {
    em_i32x4 mantissa; /* twice that of the token: 2^30 becomes -2^31, whose products are negative */
    em_i8x16 count;    /* minus the shift of a row whose em_row_shift is 0, which is at most 31 */
};

/* least_shift: of a row whose em_row_shift is 0, before the token's. Beyond what `count` holds all rows are shifted by 0 or by 63. */
EM_INLINE struct em_token_shift em_token_shift_of(struct em_token_scale token, em_i32 least_shift)
{
    em_i32 shift = least_shift - token.shift;
    em_i32 most = shift > 63 ? 63 : shift < -31 ? -31 : shift;
    struct em_token_shift out;
    out.mantissa = em_splat32((em_i32)((em_u32)token.mantissa * 2u));
    out.count = em_splat8((em_i8)-most);
    return out;
}

/* Shift counts of 16 rows, clamped to [-63, 0]: byte j of lane 0 is that of row 2j, byte j of lane 1 that of row 2j + 1. */
EM_INLINE em_u64x2 em_shift_counts(em_u16x8 low, em_u16x8 high, const struct em_token_shift *token)
{
    em_i8x16 shifts = (em_i8x16)(em_high_bytes(low, high) >> (EM_ROW_MANTISSA_BITS - 8));
    return em_even_odd8(em_clamp8(token->count - shifts, em_splat8(-63), em_splat8(0)));
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

/* The upper halves of em_row_mantissa of eight rows. */
EM_INLINE em_u16x8 em_half_mantissas(em_u16x8 scales)
{
    return (scales << (16 - EM_ROW_MANTISSA_BITS)) >> 1;
}

/* Requantizes the sums of a tile for one token. scales: row multipliers of the tile. */
EM_INLINE void em_requantize_tile(const struct em_sums *sums, const em_u16 *scales, const struct em_token_shift *token,
                                  em_i32 *out)
{
    em_i32x4_anywhere *results = (em_i32x4_anywhere *)(void *)out;
    const em_i32x4 *rows = sums->rows;
    const em_u16x8 *words = (const em_u16x8 *)(const void *)scales;
    for (const em_u16x8 *end = words + EM_ROW_TILE / 8u; words != end; words += 2, rows += 4, results += 4) {
        em_u64x2 counts = em_shift_counts(words[0], words[1], token);
        em_u16x8 low = em_half_mantissas(words[0]);
        em_u16x8 high = em_half_mantissas(words[1]);
        results[0] = em_requantize(rows[0], em_widen_to_top16(low), token->mantissa, counts, counts >> 8);
        results[1] = em_requantize(rows[1], em_widen_to_top16_high(low), token->mantissa, counts >> 16, counts >> 24);
        results[2] = em_requantize(rows[2], em_widen_to_top16(high), token->mantissa, counts >> 32, counts >> 40);
        results[3] = em_requantize(rows[3], em_widen_to_top16_high(high), token->mantissa, counts >> 48, counts >> 56);
    }
}

#endif /* EM_TILE_H */
