/*
 * em_plain_strips.h - strips of values scaled, or sent through a gate, by loops that are left to the compiler: what a kernel set's
 * em_strips.h is where it brings nothing of its own.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_PLAIN_STRIPS_H
#define EM_PLAIN_STRIPS_H

#include "em_fixed.h"

/* out[i] = em_gate(table, step_bits, values[i], frac). */
EM_INLINE void em_gates(const em_i32 *table, em_u32 step_bits, const em_i32 *values, em_i32 frac, em_i32 *out,
                        em_u32 count)
{
    for (em_u32 i = 0; i < count; i++) {
        out[i] = em_gate(table, step_bits, values[i], frac);
    }
}

/*
 * out[i] = em_scale(a[i], b[i], shift) for a strip of values. The cases of the shift are told apart once, and what is left is a loop
 * that compilers vectorise where out overlaps neither input.
 */
EM_INLINE void em_scale_each(const em_i32 *a, const em_i32 *b, em_i32 shift, em_i32 *out, em_u32 count)
{
    if (shift < 1 || shift > 62) {
        for (em_u32 i = 0; i < count; i++) {
            out[i] = em_scale(a[i], b[i], shift);
        }
        return;
    }
    em_i64 half = (em_i64)1 << (shift - 1);
    for (em_u32 i = 0; i < count; i++) {
        out[i] = em_saturate(((em_i64)a[i] * b[i] + half) >> shift);
    }
}

/* em_scale_each with the same multiplier for up to EM_STRIP values. */
EM_INLINE void em_scale_all(const em_i32 *a, em_i32 m, em_i32 shift, em_i32 *out, em_u32 count)
{
    if (shift < 1 || shift > 62) {
        for (em_u32 i = 0; i < count; i++) {
            out[i] = em_scale(a[i], m, shift);
        }
        return;
    }
    em_i64 half = (em_i64)1 << (shift - 1);
    for (em_u32 i = 0; i < count; i++) {
        out[i] = em_saturate(((em_i64)a[i] * m + half) >> shift);
    }
}

#endif /* EM_PLAIN_STRIPS_H */
