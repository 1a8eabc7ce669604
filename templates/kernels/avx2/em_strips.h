/*
 * em_strips.h - kernel set "avx2": products of two vectors, brought to another Q format; gates of activations.
 *
 * The instruction set has neither an arithmetic shift of 64-bit lanes nor a saturating way from them to 32 bits. Where
 * the magnitudes at hand rule out saturation, a bias makes a logical shift do.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_STRIPS_H
#define EM_STRIPS_H

#include "em_avx2.h"
#include "em_vector_types.h"

/*
 * em_scale of eight values for a shift in [1, 62] and results that fit. Products are below 2^62: with 2^62 added before,
 * a logical shift is an arithmetic one whose result is 2^(62 - shift) too large.
 */
EM_INLINE em_u32x8 em_scale_lanes(em_u32x8 a, em_u32x8 b, em_i32 shift)
{
    const em_u64x4 bias = em_broadcast64(((em_u64)1 << 62) + ((em_u64)1 << (shift - 1)));
    const em_u32x8 excess = em_broadcast((em_u32)((em_u64)1 << (62 - shift)));
    em_u64x4 even = (em_multiply_low((em_u64x4)a, (em_u64x4)b) + bias) >> (em_u64)shift;
    em_u64x4 odd = (em_multiply_low((em_u64x4)a >> 32, (em_u64x4)b >> 32) + bias) >> (em_u64)shift;
    return em_interleave(even, odd << 32) - excess;
}

/* All bits of 64-bit lanes, of 32-bit lanes. */
EM_INLINE em_u64 em_merge(em_u64x4 values)
{
    return values[0] | values[1] | values[2] | values[3];
}

EM_INLINE em_u32 em_merge_words(em_u32x8 values)
{
    em_u64 both = em_merge((em_u64x4)values);
    return (em_u32)both | (em_u32)(both >> 32);
}

/* out[i] = em_scale(a[i], b[i], shift). out overlaps neither input, or is one of them. */
EM_NOINLINE EM_UNUSED static void em_scale_each(const em_i32 *a, const em_i32 *b, em_i32 shift, em_i32 *out,
                                                em_u32 count)
{
    em_u32x8 bits_a = em_broadcast(0);
    em_u32x8 bits_b = em_broadcast(0);
    em_u32 i = 0;
    for (; count - i >= 8u; i += 8u) {
        bits_a |= em_abs_each((em_u32x8)*(const em_i32x8_anywhere *)(const void *)(a + i));
        bits_b |= em_abs_each((em_u32x8)*(const em_i32x8_anywhere *)(const void *)(b + i));
    }
    em_u32 bits = em_bits32(em_merge_words(bits_a)) + em_bits32(em_merge_words(bits_b));
    i = 0;
    if (shift >= 1 && shift <= 62 && bits <= 30u + (em_u32)shift) {
        for (; count - i >= 8u; i += 8u) {
            em_u32x8 x = (em_u32x8)*(const em_i32x8_anywhere *)(const void *)(a + i);
            em_u32x8 y = (em_u32x8)*(const em_i32x8_anywhere *)(const void *)(b + i);
            *(em_i32x8_anywhere *)(void *)(out + i) = (em_i32x8)em_scale_lanes(x, y, shift);
        }
    }
    for (; i < count; i++) {
        out[i] = em_scale(a[i], b[i], shift);
    }
}

/* The same with one multiplier for up to EM_STRIP values. */
EM_INLINE void em_scale_all(const em_i32 *a, em_i32 m, em_i32 shift, em_i32 *out, em_u32 count)
{
    em_i32 multipliers[EM_STRIP];
    for (em_u32 i = 0; i < EM_STRIP; i++) {
        multipliers[i] = m;
    }
    em_scale_each(a, multipliers, shift, out, count);
}

/* em_gate of eight values. */
EM_INLINE em_u32x8 em_gate_lanes(const em_i32 *table, em_u32 step_bits, em_u32x8 values, em_i32 frac)
{
    const em_u32 limit = (512u << step_bits) - 1u;
    const em_u32 right = frac > 15 ? (em_u32)frac - 15u : 0; /* to Q15 */
    const em_u32 left = frac < 15 ? 15u - (em_u32)frac : 0;
    em_u32x8 wide = em_abs_each(values) >> right;
    em_u32x8 fits = (em_u32x8)(wide <= em_broadcast(limit >> left));
    em_u32x8 x = ((wide << left) & fits) | (em_broadcast(limit) & ~fits);
    em_u32x8 entry = em_gather(table, x >> step_bits);
    em_u32x8 step = entry - em_gather(table + 1, x >> step_bits);
    em_u32x8 part = x & ((1u << step_bits) - 1u);
    em_u32x8 tail = entry - (em_u32x8)((em_i32x8)(step * part + (1u << step_bits) / 2u) >> (em_i32)step_bits);
    em_u32x8 sign = (em_u32x8)((em_i32x8)values >> 31);
    return (tail & sign) | (((1u << 24) - tail) & ~sign);
}

/* out[i] = em_gate(table, step_bits, values[i], frac). Look-ups are explicit: compilers would gather with 64-bit indices. */
EM_NOINLINE EM_UNUSED static void em_gates(const em_i32 *table, em_u32 step_bits, const em_i32 *values, em_i32 frac,
                                           em_i32 *out, em_u32 count)
{
    em_u32 i = 0;
    for (; count - i >= 8u; i += 8u) {
        em_u32x8 eight = (em_u32x8)*(const em_i32x8_anywhere *)(const void *)(values + i);
        *(em_i32x8_anywhere *)(void *)(out + i) = (em_i32x8)em_gate_lanes(table, step_bits, eight, frac);
    }
    if (i < count) {
        em_i32 last[8] = {0};
        for (em_u32 k = 0; k < count - i; k++) {
            last[k] = values[i + k];
        }
        em_u32x8 gates = em_gate_lanes(table, step_bits, (em_u32x8)*(const em_i32x8_anywhere *)(const void *)last, frac);
        for (em_u32 k = 0; k < count - i; k++) {
            out[i + k] = (em_i32)gates[k];
        }
    }
}

#endif /* EM_STRIPS_H */
