/*
 * em_activation.h - int8 activations with one scale a token, the input of linear ops. docs/arithmetic.md, section 3.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_ACTIVATION_H
#define EM_ACTIVATION_H

#include "em_vectors.h"

/* Columns that share a sub-scale in w4, w5 and w6. Rows of activations are padded with zeros to a multiple of it. */
#define EM_GROUP 32u

#define EM_GROUPS(columns) (((columns) + EM_GROUP - 1u) / EM_GROUP)

/* Bytes between the int8 rows of two tokens. */
#define EM_Q8_STRIDE(columns) ((((columns) + 63u) / 64u) * 64u)

/* Scale of one token: real = q * mantissa * 2^(shift - 15) / 127 in the Q format of the vector that was quantized. */
struct em_token_scale {
    em_i32 mantissa; /* largest magnitude rounded to 15 bits, times 2^15: in [2^29, 2^30] */
    em_i32 shift;    /* bit length of the largest magnitude, minus 15 */
};

/* Quantized activations of up to EM_BATCH tokens. */
struct em_q8 {
    em_i8 *values;                /* [tokens][EM_Q8_STRIDE(columns)], in [-127, 127], zero padded */
    em_u8 *prepared;              /* [tokens][EM_PREPARED_BYTES(columns)]: what the kernel set makes of a row */
    struct em_token_scale *scale; /* [tokens] */
};

/* The scale of a vector whose values are at most max, which is not 0, and what 15 bits of them are multiplied by, Q23. */
EM_INLINE struct em_token_scale em_scale_of(em_i32 max, em_i32 *reciprocal)
{
    struct em_token_scale scale;
    scale.shift = (em_i32)em_bits32((em_u32)max) - 15;
    em_i32 max15 = em_round_shift(max, scale.shift); /* [2^14, 2^15] */
    scale.mantissa = max15 * 32768;
    *reciprocal = (127 << 23) / max15;               /* at most 127 * 2^9 */
    return scale;
}

/* q[i] = round(127 v[i] / max|v|); a zero vector gives zeros. Returns the scale. */
EM_UNUSED EM_NOINLINE static struct em_token_scale em_quantize_vector(const em_i32 *values, em_u32 count, em_i8 *out)
{
    struct em_token_scale scale = {1 << 29, 0};
    em_i32 reciprocal;
    em_i32 max = em_max_magnitude(values, count);
    if (max == 0) {
        for (em_u32 i = 0; i < count; i++) {
            out[i] = 0;
        }
        return scale;
    }
    scale = em_scale_of(max, &reciprocal);
    em_quantize_each(values, scale.shift, reciprocal, out, count);
    return scale;
}

/* Values that are limited at a time before they are quantized. */
#define EM_CLAMPED 64u

/* q[i] = round(127 v[i] / largest), values beyond largest, in [1, 2^31 - 1], counting as it. Returns the scale. */
EM_UNUSED EM_NOINLINE static struct em_token_scale em_quantize_clamped(const em_i32 *values, em_i32 largest,
                                                                       em_u32 count, em_i8 *out)
{
    em_i32 reciprocal;
    struct em_token_scale scale = em_scale_of(largest, &reciprocal);
    for (em_u32 first = 0; first < count; first += EM_CLAMPED) {
        em_i32 clamped[EM_CLAMPED];
        em_u32 some = count - first < EM_CLAMPED ? count - first : EM_CLAMPED;
        for (em_u32 i = 0; i < some; i++) {
            em_i32 value = values[first + i];
            clamped[i] = value > largest ? largest : value < -largest ? -largest : value;
        }
        em_quantize_each(clamped, scale.shift, reciprocal, out + first, some);
    }
    return scale;
}

#endif /* EM_ACTIVATION_H */
