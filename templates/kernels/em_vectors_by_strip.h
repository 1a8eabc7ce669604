/*
 * em_vectors_by_strip.h - quantization, norm and gated activation of a vector for kernel sets with a vector unit: strip by strip,
 * every step a loop of its own that compilers vectorise, or a function of the set's em_strips.h.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_VECTORS_BY_STRIP_H
#define EM_VECTORS_BY_STRIP_H

#include "em_strips.h"

/* Values of the strip that begins `left` values before the end. */
EM_INLINE em_u32 em_strip_width(em_u64 left)
{
    return left < EM_STRIP ? (em_u32)left : EM_STRIP;
}

/* out[i] = em_round_shift(in[i], shift) in 32 bits; results of shifts that are not positive must fit as well. */
EM_INLINE void em_round_shift_each(const em_i32 *in, em_i32 shift, em_i32 *out,
                              em_u64 count)
{
    if (shift > 0) {
        for (em_u32 i = 0; i < count; i++) {
            /* Half of 2^shift is added as 1 after all but one shift: it cannot overflow. */
            out[i] = (em_i32)((em_u32)(in[i] >> (shift - 1)) + 1u) >> 1;
        }
        return;
    }
    for (em_u32 i = 0; i < count; i++) {
        out[i] = (em_i32)((em_u32)in[i] << -shift);
    }
}

EM_INLINE em_i32 em_max_magnitude(const em_i32 *values, em_u32 count)
{
    em_i32 max = 0;
    for (em_u32 i = 0; i < count; i++) {
        em_i32 magnitude = em_abs(values[i]);
        max = magnitude > max ? magnitude : max;
    }
    return max;
}

EM_INLINE void em_quantize_each(const em_i32 *values, em_i32 shift, em_i32 reciprocal, em_i8 *out, em_u32 count)
{
    for (em_u32 i = 0; i < count; i += EM_STRIP) {
        em_i32 narrow[EM_STRIP];
        em_u32 width = em_strip_width(count - i);
        em_round_shift_each(values + i, shift, narrow, width);
        for (em_u32 j = 0; j < width; j++) {
            out[i + j] = (em_i8)((narrow[j] * reciprocal + (1 << 22)) >> 23);
        }
    }
}

EM_INLINE em_u64 em_sum_squares(const em_i32 *values, em_i32 shift, em_u32 count)
{
    em_u64 total = 0;
    for (em_u32 i = 0; i < count; i += EM_STRIP) {
        em_i32 normal[EM_STRIP];
        em_u32 width = em_strip_width(count - i);
        em_round_shift_each(values + i, shift, normal, width);
        for (em_u32 j = 0; j < width; j++) {
            total += (em_u64)((em_i64)normal[j] * normal[j]);
        }
    }
    return total;
}

EM_INLINE void em_norm_each(const em_i32 *values, const struct em_norm_scales *scales, const em_i32 *gains, em_i32 *out,
                            em_u32 count)
{
    for (em_u32 i = 0; i < count; i += EM_STRIP) {
        em_i32 normal[EM_STRIP];
        em_i32 units[EM_STRIP]; /* Q30, magnitude at most 1 */
        em_i32 products[EM_STRIP];
        em_u32 width = em_strip_width(count - i);
        em_round_shift_each(values + i, scales->shift, normal, width);
        em_scale_all(normal, scales->mantissa, scales->unit_shift, units, width);
        em_scale_each(units, gains + i, scales->out_shift, products, width);
        for (em_u32 j = 0; j < width; j++) {
            out[i + j] = products[j];
        }
    }
}

EM_INLINE void em_swiglu_each(const em_i32 *gate, em_i32 frac, const em_i32 *up, em_i32 shift, em_i32 *out,
                              em_u64 count)
{
    for (em_u64 i = 0; i < count; i += EM_STRIP) {
        em_i32 sigmoids[EM_STRIP];
        em_i32 silu[EM_STRIP];
        em_i32 products[EM_STRIP];
        em_u32 width = em_strip_width(count - i);
        em_gates(em_sigmoid_table, EM_SIGMOID_STEP_BITS, gate + i, frac, sigmoids, width);
        em_scale_each(gate + i, sigmoids, 24, silu, width); /* no larger than the gate */
        em_scale_each(silu, up + i, shift, products, width);
        for (em_u32 j = 0; j < width; j++) {
            out[i + j] = products[j];
        }
    }
}

#endif /* EM_VECTORS_BY_STRIP_H */
