/*
 * em_plain_strips.h - strips of values scaled by loops that are left to the compiler: for kernel sets that bring none of their own.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_PLAIN_STRIPS_H
#define EM_PLAIN_STRIPS_H

#include "em_plain_gates.h"

/* Compilers vectorise this where out overlaps neither input. */
EM_INLINE void em_scale_each(const em_i32 *a, const em_i32 *b, em_i32 shift, em_i32 *out, em_u32 count)
{
    const struct em_rounding by = em_rounding_by(shift);
    for (em_u32 i = 0; i < count; i++) {
        out[i] = em_saturate(em_round((em_i64)a[i] * b[i], by));
    }
}

EM_INLINE void em_scale_all(const em_i32 *a, em_i32 m, em_i32 shift, em_i32 *out, em_u32 count)
{
    const struct em_rounding by = em_rounding_by(shift);
    for (em_u32 i = 0; i < count; i++) {
        out[i] = em_saturate(em_round((em_i64)a[i] * m, by));
    }
}

#endif /* EM_PLAIN_STRIPS_H */
