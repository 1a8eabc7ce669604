/*
 * em_fixed.h - fixed-point primitives: docs/arithmetic.md, sections 1 and 2.
 *
 * Values are int32 in a Q format: Q(f) means the integer v stands for v * 2^-f. Saturation is symmetric, to
 * +-(2^31 - 1). Rounding is half up: add half, shift arithmetically.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_FIXED_H
#define EM_FIXED_H

#include "em_port.h"
#include "em_tables.h"

/* ---- Bits ---------------------------------------------------------------------------------------------------- */

/* Bits needed to write a value: 0 for 0, 32 for 2^32 - 1. */
EM_INLINE em_u32 em_bits32(em_u32 value)
{
#if defined(__riscv) && !defined(__riscv_zbb)
    /* The base ISA has no count-leading-zeros, and the compiler would call libgcc for it. */
    em_u32 bits = 0;
    for (em_u32 step = 16; step != 0; step >>= 1) {
        if (value >> step != 0) {
            value >>= step;
            bits += step;
        }
    }
    return bits + value;
#else
    return value == 0 ? 0 : 32u - (em_u32)__builtin_clz(value);
#endif
}

EM_INLINE em_u32 em_bits64(em_u64 value)
{
    em_u32 high = (em_u32)(value >> 32);
    return high != 0 ? 32u + em_bits32(high) : em_bits32((em_u32)value);
}

/* ---- Saturation, rounding, scaling --------------------------------------------------------------------------- */

EM_INLINE em_i32 em_saturate(em_i64 value)
{
    if (value > EM_I32_MAX) {
        return EM_I32_MAX;
    }
    return value < -EM_I32_MAX ? -EM_I32_MAX : (em_i32)value;
}

EM_INLINE em_i32 em_abs(em_i32 value)
{
    return value < 0 ? -value : value;
}

/* (value + 2^(shift-1)) >> shift for shift in [1, 62], |value| < 2^62. */
EM_INLINE em_i64 em_round_shift64(em_i64 value, em_i32 shift)
{
    return (value + ((em_i64)1 << (shift - 1))) >> shift;
}

/* value * 2^-shift, rounded half up; the result must fit, as it does where a maximum is brought to n bits. */
EM_INLINE em_i32 em_round_shift(em_i32 value, em_i32 shift)
{
    if (shift > 0) {
        return (em_i32)em_round_shift64(value, shift);
    }
    return (em_i32)((em_u32)value << -shift);
}

/* A rounding right shift: what does not depend on the value. */
struct em_rounding {
    em_i64 half;  /* 2^(shift-1), 0 for a shift of 0 */
    em_i32 shift; /* [0, 63] */
};

EM_INLINE struct em_rounding em_rounding_by(em_i32 shift)
{
    struct em_rounding by = {0, 0};
    if (shift > 0) {
        by.shift = shift < 63 ? shift : 63;
        by.half = (em_i64)1 << (by.shift - 1);
    }
    return by;
}

/* round(value * 2^-shift), |value| < 2^62: without a branch, for loops over values that are shifted by the same. */
EM_INLINE em_i64 em_round(em_i64 value, struct em_rounding by)
{
    return (value + by.half) >> by.shift;
}

/* saturate(round(product * 2^-shift)); shift is clamped to [0, 63], |product| < 2^62. */
EM_INLINE em_i32 em_scale_product(em_i64 product, em_i32 shift)
{
    if (shift <= 0) {
        return em_saturate(product);
    }
    if (shift > 62) {
        return 0; /* |product| < 2^62 */
    }
    return em_saturate(em_round_shift64(product, shift));
}

/* saturate(round(a * m * 2^-shift)), the product in 64 bits; shift is clamped to [0, 63]. a, m in +-(2^31 - 1). */
EM_INLINE em_i32 em_scale(em_i32 a, em_i32 m, em_i32 shift)
{
    return em_scale_product((em_i64)a * m, shift);
}

/* ---- Gates --------------------------------------------------------------------------------------------------- */

/* Bits of a step between the entries of a gate's table, for values in Q15: 1/32 and 1/64. */
#define EM_SIGMOID_STEP_BITS 10u
#define EM_GELU_STEP_BITS 9u

/*
 * The sigmoid, or the gate of GELU, at value in Q(frac), 0 <= frac <= 30, as Q24 in [0, 2^24]. The table, one of em_tables.h, has 512
 * steps of 2^step_bits in Q15 for the magnitude of the value, and is linear between entries.
 */
EM_INLINE em_i32 em_gate(const em_i32 *table, em_u32 step_bits, em_i32 value, em_i32 frac)
{
    const em_i32 limit = (em_i32)(512u << step_bits) - 1;
    em_i32 right = frac > 15 ? frac - 15 : 0; /* to Q15 */
    em_i32 left = frac < 15 ? 15 - frac : 0;
    em_i32 wide = em_abs(value) >> right;
    em_i32 x = wide <= limit >> left ? wide << left : limit;
    em_i32 entry = table[x >> step_bits];
    em_i32 step = entry - table[(x >> step_bits) + 1];
    em_i32 part = x & (em_i32)((1u << step_bits) - 1u);
    em_i32 tail = entry - ((step * part + (em_i32)(1u << step_bits) / 2) >> step_bits);
    return value < 0 ? tail : (1 << 24) - tail;
}

/* ---- Functions ----------------------------------------------------------------------------------------------- */

/*
 * 1 / sqrt(total) for total in [1, 2^62): mantissa * 2^-(61 - k), mantissa Q30 in [2^30, 2^31). Seed table on the
 * leading bits of total * 4^k in [2^60, 2^62), then two Newton steps y (3 - m y^2) / 2.
 */
EM_INLINE em_i32 em_reciprocal_sqrt(em_u64 total, em_i32 *k)
{
    em_u32 pairs = (62u - em_bits64(total)) / 2u;
    em_u64 normal = total << (2u * pairs);
    em_u64 m = normal >> 31;                                       /* Q31 of [1/4, 1) */
    em_u64 y = (em_u64)em_rsqrt_seeds[(normal >> 55) - 32u] << 15; /* Q30 */
    for (em_u32 step = 0; step < 2u; step++) {
        em_u64 square = (y * y) >> 31;       /* Q29 */
        em_u64 product = (m * square) >> 31; /* Q29, about 1 */
        y = (y * (((em_u64)3 << 29) - product)) >> 30;
    }
    *k = (em_i32)pairs;
    return y > EM_I32_MAX ? EM_I32_MAX : (em_i32)y;
}

/* c minus the product of two Q15 numbers rounded half up: c - ((a b + 2^14) >> 15), as a single shift. */
EM_INLINE em_i64 em_subtract_q15(em_i64 c, em_i64 a, em_i64 b)
{
    return (c * 32768 + 16383 - a * b) >> 15;
}

/*
 * 2^-(x / 65536) in Q30 for x < 2^32 in Q16: a cubic on the fraction, a shift for the whole part; 0 from 31 on. In 64
 * bits, so that general registers need no extensions.
 */
EM_INLINE em_u32 em_exp2_negative(em_u64 x)
{
    const em_u64 limit = (em_u64)31 << 16;
    em_u64 y = x < limit ? x : limit;
    em_i64 g = (em_i64)((y << 48) >> 49); /* Q15 */
    em_i64 p = em_subtract_q15(EM_EXP2_C2, g, EM_EXP2_C3);
    p = em_subtract_q15(EM_EXP2_C1, g, p);
    p = em_subtract_q15(EM_EXP2_C0, g, p);
    return (em_u32)(((em_u64)p << 15) >> (y >> 16));
}

#endif /* EM_FIXED_H */
