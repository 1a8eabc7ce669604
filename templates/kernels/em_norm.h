/*
 * em_norm.h - root mean square norm and layer norm. docs/arithmetic.md, section 5.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_NORM_H
#define EM_NORM_H

#include "em_vectors.h"

/* Constants of one norm. */
struct em_norm_op {
    em_u64 gains;      /* blob offset of int32[width]: gain * sqrt(width), Q format folded into out_shift */
    em_i64 epsilon;    /* width * epsilon in units of the squares of a vector normalised at floor_bits; below 2^60 */
    em_i32 floor_bits; /* vectors are not normalised further up than this bit length */
    em_i32 out_shift;  /* right shift from Q30 times gain to the output's format */
};

/* Offset of a vector that an op does not have. */
#define EM_NO_VECTOR (~(em_u64)0)

/* Constants of one layer norm. */
struct em_layernorm_op {
    em_u64 gains;      /* as in em_norm_op */
    em_u64 bias;       /* blob offset of int32[width] in the output's format, or EM_NO_VECTOR */
    em_i64 epsilon;    /* as in em_norm_op */
    em_i32 floor_bits; /* as in em_norm_op */
    em_i32 out_shift;  /* as in em_norm_op */
};

/* Bits of the largest magnitude after normalisation: squares take 48, and 8192 of them stay below 2^62. */
#define EM_NORM_BITS 24

/* out = in / sqrt(mean(in^2) + epsilon) * gain for `vectors` vectors of `width` <= 8192 values. May run in place. */
EM_UNUSED EM_NOINLINE static void em_rmsnorm(const struct em_norm_op *op, const em_u8 *blob, const em_i32 *in,
                                             em_i32 *out, em_u32 width, em_u32 vectors)
{
    const em_i32 *gains = (const em_i32 *)(const void *)(blob + op->gains);
    for (em_u32 v = 0; v < vectors; v++, in += width, out += width) {
        em_i32 bits = (em_i32)em_bits32((em_u32)em_max_magnitude(in, width));
        bits = bits > op->floor_bits ? bits : op->floor_bits;
        em_i32 shift = bits - EM_NORM_BITS;
        em_u64 total = em_sum_squares(in, shift, width);
        em_i32 fade = 2 * (bits - op->floor_bits);
        total += (em_u64)op->epsilon >> fade;
        em_i32 k = 0;
        em_i32 mantissa = em_reciprocal_sqrt(total > 0 ? total : 1, &k);
        const struct em_norm_scales scales = {shift, mantissa, 31 - k, op->out_shift};
        em_norm_each(in, &scales, gains, out, width);
    }
}

/* The mean of count values, rounded half up. */
EM_INLINE em_i32 em_mean(const em_i32 *in, em_u32 count)
{
    em_i64 sum = 0; /* below 2^44 */
    for (em_u32 i = 0; i < count; i++) {
        sum += in[i];
    }
    em_i64 divisor = 2 * (em_i64)count;
    em_i64 dividend = 2 * sum + (em_i64)count;
    em_i64 quotient = dividend / divisor; /* towards 0 */
    return (em_i32)(quotient - (dividend % divisor < 0));
}

/* out = (in - mean(in)) / sqrt(variance(in) + epsilon) * gain + bias for `vectors` vectors of `width` <= 8192 values. */
EM_UNUSED EM_NOINLINE static void em_layernorm(const struct em_layernorm_op *op, const em_u8 *blob, const em_i32 *in,
                                               em_i32 *out, em_u32 width, em_u32 vectors)
{
    const struct em_norm_op norm = {op->gains, op->epsilon, op->floor_bits, op->out_shift};
    const em_i32 *bias = op->bias == EM_NO_VECTOR ? EM_NULL : (const em_i32 *)(const void *)(blob + op->bias);
    for (em_u32 v = 0; v < vectors; v++, in += width, out += width) {
        em_i32 mean = em_mean(in, width);
        for (em_u32 i = 0; i < width; i++) {
            out[i] = em_saturate((em_i64)in[i] - mean);
        }
        em_rmsnorm(&norm, blob, out, out, width, 1);
        for (em_u32 i = 0; bias != EM_NULL && i < width; i++) {
            out[i] = em_saturate((em_i64)out[i] + bias[i]);
        }
    }
}

#endif /* EM_NORM_H */
