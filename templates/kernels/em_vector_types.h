/*
 * em_vector_types.h - what a kernel set does to vectors between matrices.
 *
 * Its em_strips.h provides,
 *
 *   em_scale_each(a, b, shift, out, count)                     out[i] = em_scale(a[i], b[i], shift)
 *   em_scale_all(a, m, shift, out, count)                      out[i] = em_scale(a[i], m, shift); count at most EM_STRIP
 *   em_gates(table, step_bits, values, frac, out, count)       out[i] = em_gate(table, step_bits, values[i], frac)
 *
 * and its em_vectors.h, with a vector unit from em_vectors_by_strip.h, without one from em_vectors_by_value.h,
 *
 *   em_max_magnitude(values, count)                            largest magnitude: an int32, since saturation is symmetric
 *   em_quantize_each(values, shift, reciprocal, out, count)    out[i] = int8: round(round(values[i] 2^-shift) reciprocal 2^-23)
 *   em_sum_squares(values, shift, count)                       sum of round(values[i] 2^-shift)^2
 *   em_norm_each(values, scales, gains, out, count)            values times scales and gains; out may be values
 *   em_swiglu_each(gate, frac, up, shift, out, count)          out[i] = em_scale(silu(gate[i]), up[i], shift); out may be gate
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_VECTOR_TYPES_H
#define EM_VECTOR_TYPES_H

#include "em_fixed.h"

/* Values that are taken at a time where intermediate results lie on the stack. */
#define EM_STRIP 64u

/* What a norm does to all values alike: round(value 2^-shift) mantissa 2^-unit_shift is in Q30; that times gain, 2^-out_shift. */
struct em_norm_scales {
    em_i32 shift;      /* to at most 24 bits; negative: left */
    em_i32 mantissa;   /* below 2^31 */
    em_i32 unit_shift; /* [1, 31] */
    em_i32 out_shift;  /* any */
};

#endif /* EM_VECTOR_TYPES_H */
