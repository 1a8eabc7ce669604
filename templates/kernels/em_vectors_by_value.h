/*
 * em_vectors_by_value.h - quantization, norm and gated activation of a vector for kernel sets without a vector unit: value by value,
 * nothing but the result leaves the registers.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_VECTORS_BY_VALUE_H
#define EM_VECTORS_BY_VALUE_H

#include "em_vector_types.h"

/* A rounding shift by any number of bits, to the left where it is negative: what does not depend on the value. */
struct em_normalization {
    em_i32 left;
    struct em_rounding right;
};

EM_INLINE struct em_normalization em_normalization_by(em_i32 shift)
{
    return (struct em_normalization){shift < 0 ? -shift : 0, em_rounding_by(shift)};
}

EM_INLINE em_i64 em_normalize(em_i32 value, struct em_normalization by)
{
    return em_round((em_i64)((em_u64)(em_i64)value << by.left), by.right);
}

EM_INLINE em_i32 em_max_magnitude(const em_i32 *values, em_u32 count)
{
    em_i64 least = 0;
    em_i64 most = 0;
    for (em_u32 i = 0; i < count; i++) {
        least = values[i] < least ? values[i] : least;
        most = values[i] > most ? values[i] : most;
    }
    return (em_i32)(most > -least ? most : -least);
}

EM_INLINE void em_quantize_each(const em_i32 *values, em_i32 shift, em_i32 reciprocal, em_i8 *out, em_u32 count)
{
    const struct em_normalization by = em_normalization_by(shift);
    for (em_u32 i = 0; i < count; i++) {
        out[i] = (em_i8)((em_normalize(values[i], by) * reciprocal + (1 << 22)) >> 23);
    }
}

EM_INLINE em_u64 em_sum_squares(const em_i32 *values, em_i32 shift, em_u32 count)
{
    const struct em_normalization by = em_normalization_by(shift);
    em_u64 total = 0;
    for (em_u32 i = 0; i < count; i++) {
        em_i64 normal = em_normalize(values[i], by);
        total += (em_u64)(normal * normal);
    }
    return total;
}

EM_INLINE void em_norm_each(const em_i32 *values, const struct em_norm_scales *scales, const em_i32 *gains, em_i32 *out,
                            em_u32 count)
{
    const struct em_normalization by = em_normalization_by(scales->shift);
    const struct em_rounding to_unit = em_rounding_by(scales->unit_shift);
    const struct em_rounding to_out = em_rounding_by(scales->out_shift);
    const em_i64 mantissa = scales->mantissa;
    for (em_u32 i = 0; i < count; i++) {
        em_i64 unit = em_round(em_normalize(values[i], by) * mantissa, to_unit); /* Q30, magnitude at most 1 */
        out[i] = em_saturate(em_round(unit * gains[i], to_out));
    }
}

EM_INLINE void em_swiglu_each(const em_i32 *gate, em_i32 frac, const em_i32 *up, em_i32 shift, em_i32 *out,
                              em_u64 count)
{
    const struct em_rounding to_out = em_rounding_by(shift);
    for (em_u64 i = 0; i < count; i++) {
        em_i64 sigmoid = em_gate(em_sigmoid_table, EM_SIGMOID_STEP_BITS, gate[i], frac);
        em_i64 silu = em_round_shift64(gate[i] * sigmoid, 24);
        out[i] = em_saturate(em_round(silu * up[i], to_out));
    }
}

#endif /* EM_VECTORS_BY_VALUE_H */
