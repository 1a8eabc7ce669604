/*
 * em_strips.h - kernel set "neon": products of two vectors, brought to another Q format. A rounding shift and a saturating
 * narrowing are an instruction each. Gates, whose tables are looked up, are plain loops.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_STRIPS_H
#define EM_STRIPS_H

#include "em_neon.h"
#include "em_plain_gates.h"

/* em_scale of four values. counts: minus the shift, in [-63, 0], for lanes 0 and 1; next_counts: for lanes 2 and 3. */
EM_INLINE em_i32x4 em_scale_lanes(em_i32x4 a, em_i32x4 b, em_u64x2 counts, em_u64x2 next_counts)
{
    em_i64x2 low = em_round_shift_lanes64(em_smull32(a, b), counts);
    em_i64x2 high = em_round_shift_lanes64(em_smull32_high(a, b), next_counts);
    return em_max32(em_narrow64(low, high), em_splat32(-EM_I32_MAX));
}

/* The counts of em_scale_lanes for one shift. */
EM_INLINE em_u64x2 em_scale_counts(em_i32 shift)
{
    em_u64 count = (em_u64) - (em_i64)(shift < 0 ? 0 : shift > 63 ? 63 : shift);
    return (em_u64x2){count, count};
}

EM_INLINE void em_scale_each(const em_i32 *a, const em_i32 *b, em_i32 shift, em_i32 *out, em_u32 count)
{
    const em_u64x2 counts = em_scale_counts(shift);
    em_u32 i = 0;
    for (; count - i >= 4u; i += 4u) {
        em_i32x4 x = (em_i32x4)*(const em_i32x4_anywhere *)(const void *)(a + i);
        em_i32x4 y = (em_i32x4)*(const em_i32x4_anywhere *)(const void *)(b + i);
        *(em_i32x4_anywhere *)(void *)(out + i) = em_scale_lanes(x, y, counts, counts);
    }
    for (; i < count; i++) {
        out[i] = em_scale(a[i], b[i], shift);
    }
}

EM_INLINE void em_scale_all(const em_i32 *a, em_i32 m, em_i32 shift, em_i32 *out, em_u32 count)
{
    const em_u64x2 counts = em_scale_counts(shift);
    em_u32 i = 0;
    for (; count - i >= 4u; i += 4u) {
        em_i32x4 x = (em_i32x4)*(const em_i32x4_anywhere *)(const void *)(a + i);
        *(em_i32x4_anywhere *)(void *)(out + i) = em_scale_lanes(x, em_splat32(m), counts, counts);
    }
    for (; i < count; i++) {
        out[i] = em_scale(a[i], m, shift);
    }
}

#endif /* EM_STRIPS_H */
