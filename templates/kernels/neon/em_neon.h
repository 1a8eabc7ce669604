/*
 * em_neon.h - vectors of 16 bytes and the NEON instructions that have no operator in C.
 *
 * Vector extensions that gcc and clang share; arm_neon.h cannot be had in kernel mode, and its builtins have other names in
 * every compiler, so each instruction is one line of assembly. Operators on vectors of unsigned integers wrap.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_NEON_H
#define EM_NEON_H

#include "em_port.h"

/* Views of 16 bytes. Memory is read through them whatever it was written as. */
typedef em_u8 em_u8x16 __attribute__((vector_size(16), may_alias));
typedef em_i8 em_i8x16 __attribute__((vector_size(16), may_alias));
typedef em_i16 em_i16x8 __attribute__((vector_size(16), may_alias));
typedef em_u16 em_u16x8 __attribute__((vector_size(16), may_alias));
typedef em_i32 em_i32x4 __attribute__((vector_size(16), may_alias));
typedef em_u32 em_u32x4 __attribute__((vector_size(16), may_alias));
typedef em_u64 em_u64x2 __attribute__((vector_size(16), may_alias));
typedef em_i64 em_i64x2 __attribute__((vector_size(16), may_alias));

/* Four int32 anywhere in memory. */
typedef em_i32 em_i32x4_anywhere __attribute__((vector_size(16), aligned(4), may_alias));

/* Sixteen or eight int8, and four or one int16, anywhere in memory. */
typedef em_i8 em_i8x16_anywhere __attribute__((vector_size(16), aligned(1), may_alias));
typedef em_u64 em_8_bytes __attribute__((aligned(1), may_alias));
typedef em_i16 em_i16_view __attribute__((may_alias));

/* Unrolls a loop of a constant number of turns completely. */
#ifdef __clang__
#define EM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define EM_UNROLL _Pragma("GCC unroll 16")
#endif

/* ---- Lanes everywhere the same: dup ------------------------------------------------------------------------------- */

EM_INLINE em_i8x16 em_splat8(em_i8 v)
{
    return (em_i8x16){v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v};
}

EM_INLINE em_i16x8 em_splat16(em_i16 v)
{
    return (em_i16x8){v, v, v, v, v, v, v, v};
}

EM_INLINE em_i32x4 em_splat32(em_i32 v)
{
    return (em_i32x4){v, v, v, v};
}

/* Eight bytes, the upper half zero. */
EM_INLINE em_u64x2 em_load_half(const void *at)
{
    return (em_u64x2){*(const em_8_bytes *)at, 0};
}

/* ---- int8 to int16 ------------------------------------------------------------------------------------------------ */

/* smull, smlal, smlal2: products of eight int8, of the lower or the upper halves of a and b; added to sums modulo 2^16. */
EM_INLINE em_i16x8 em_smull8(em_i8x16 a, em_i8x16 b)
{
    em_i16x8 products;
    __asm__("smull %0.8h, %1.8b, %2.8b" : "=w"(products) : "w"(a), "w"(b));
    return products;
}

EM_INLINE em_i16x8 em_smlal8(em_i16x8 sums, em_i8x16 a, em_i8x16 b)
{
    __asm__("smlal %0.8h, %1.8b, %2.8b" : "+w"(sums) : "w"(a), "w"(b));
    return sums;
}

EM_INLINE em_i16x8 em_smlal8_high(em_i16x8 sums, em_i8x16 a, em_i8x16 b)
{
    __asm__("smlal2 %0.8h, %1.16b, %2.16b" : "+w"(sums) : "w"(a), "w"(b));
    return sums;
}

/* saddlp: sums of neighbouring lanes. */
EM_INLINE em_i16x8 em_pair_sums8(em_i8x16 bytes)
{
    em_i16x8 sums;
    __asm__("saddlp %0.8h, %1.16b" : "=w"(sums) : "w"(bytes));
    return sums;
}

/* sxtl, sxtl2: eight int8 as int16. */
EM_INLINE em_i16x8 em_widen8(em_i8x16 bytes)
{
    em_i16x8 wide;
    __asm__("sxtl %0.8h, %1.8b" : "=w"(wide) : "w"(bytes));
    return wide;
}

EM_INLINE em_i16x8 em_widen8_high(em_i8x16 bytes)
{
    em_i16x8 wide;
    __asm__("sxtl2 %0.8h, %1.16b" : "=w"(wide) : "w"(bytes));
    return wide;
}

/* sri: shifts the bytes of `from` right by a literal count into those of `to`, whose upper bits remain. */
#define EM_SHIFT_INTO(to, from, count) __asm__("sri %0.16b, %1.16b, " #count : "+w"(to) : "w"(from))

/* ---- int16 to int32 ----------------------------------------------------------------------------------------------- */

/* smull, smlal, smlal2: products of four int16, as above. */
EM_INLINE em_i32x4 em_smull16(em_i16x8 a, em_i16x8 b)
{
    em_i32x4 products;
    __asm__("smull %0.4s, %1.4h, %2.4h" : "=w"(products) : "w"(a), "w"(b));
    return products;
}

EM_INLINE em_i32x4 em_smlal16(em_i32x4 sums, em_i16x8 a, em_i16x8 b)
{
    __asm__("smlal %0.4s, %1.4h, %2.4h" : "+w"(sums) : "w"(a), "w"(b));
    return sums;
}

EM_INLINE em_i32x4 em_smlal16_high(em_i32x4 sums, em_i16x8 a, em_i16x8 b)
{
    __asm__("smlal2 %0.4s, %1.8h, %2.8h" : "+w"(sums) : "w"(a), "w"(b));
    return sums;
}

/* smlal, smlal2 of four int16 with one lane of b, a literal. */
#define EM_SMLAL16_LANE(sums, a, b, lane) \
    __asm__("smlal %0.4s, %1.4h, %2.h[" #lane "]" : "+w"(sums) : "w"(a), "x"(b))
#define EM_SMLAL16_HIGH_LANE(sums, a, b, lane) \
    __asm__("smlal2 %0.4s, %1.8h, %2.h[" #lane "]" : "+w"(sums) : "w"(a), "x"(b))

/* sqrdmulh: (2 a b + 2^15) >> 16. */
EM_INLINE em_i16x8 em_multiply_q15_each(em_i16x8 a, em_i16x8 b)
{
    em_i16x8 products;
    __asm__("sqrdmulh %0.8h, %1.8h, %2.8h" : "=w"(products) : "w"(a), "w"(b));
    return products;
}

EM_INLINE em_u16x8 em_min16(em_u16x8 a, em_u16x8 b)
{
    em_u16x8 smaller;
    __asm__("umin %0.8h, %1.8h, %2.8h" : "=w"(smaller) : "w"(a), "w"(b));
    return smaller;
}

/* sxtl, sxtl2: four int16 as int32. */
EM_INLINE em_i32x4 em_widen16(em_i16x8 lanes)
{
    em_i32x4 wide;
    __asm__("sxtl %0.4s, %1.4h" : "=w"(wide) : "w"(lanes));
    return wide;
}

EM_INLINE em_i32x4 em_widen16_high(em_i16x8 lanes)
{
    em_i32x4 wide;
    __asm__("sxtl2 %0.4s, %1.8h" : "=w"(wide) : "w"(lanes));
    return wide;
}

/* sqxtn, sqxtn2: eight int32 saturated to int16. */
EM_INLINE em_i16x8 em_narrow32(em_i32x4 low, em_i32x4 high)
{
    em_i16x8 narrow;
    __asm__("sqxtn %0.4h, %1.4s\n\tsqxtn2 %0.8h, %2.4s" : "=&w"(narrow) : "w"(low), "w"(high));
    return narrow;
}

/* saddlp, sadalp: sums of neighbouring lanes, and their addition. */
EM_INLINE em_i32x4 em_pair_sums16(em_i16x8 lanes)
{
    em_i32x4 sums;
    __asm__("saddlp %0.4s, %1.8h" : "=w"(sums) : "w"(lanes));
    return sums;
}

EM_INLINE em_i32x4 em_add_pairs16(em_i32x4 sums, em_i16x8 pairs)
{
    __asm__("sadalp %0.4s, %1.8h" : "+w"(sums) : "w"(pairs));
    return sums;
}

/* ---- int32 and int64 ---------------------------------------------------------------------------------------------- */

/* addp: sums of neighbouring lanes, those of a before those of b. */
EM_INLINE em_i32x4 em_pair_sums32(em_i32x4 a, em_i32x4 b)
{
    em_i32x4 sums;
    __asm__("addp %0.4s, %1.4s, %2.4s" : "=w"(sums) : "w"(a), "w"(b));
    return sums;
}

/* sqrdmulh: (2 a b + 2^31) >> 32. */
EM_INLINE em_i32x4 em_multiply_q31(em_i32x4 a, em_i32x4 b)
{
    em_i32x4 products;
    __asm__("sqrdmulh %0.4s, %1.4s, %2.4s" : "=w"(products) : "w"(a), "w"(b));
    return products;
}

EM_INLINE em_i32x4 em_abs32(em_i32x4 a)
{
    em_i32x4 magnitudes;
    __asm__("abs %0.4s, %1.4s" : "=w"(magnitudes) : "w"(a));
    return magnitudes;
}

EM_INLINE em_i32x4 em_max32(em_i32x4 a, em_i32x4 b)
{
    em_i32x4 larger;
    __asm__("smax %0.4s, %1.4s, %2.4s" : "=w"(larger) : "w"(a), "w"(b));
    return larger;
}

/* smull, smull2: 64-bit products of lanes 0 and 1, of lanes 2 and 3. */
EM_INLINE em_i64x2 em_smull32(em_i32x4 a, em_i32x4 b)
{
    em_i64x2 products;
    __asm__("smull %0.2d, %1.2s, %2.2s" : "=w"(products) : "w"(a), "w"(b));
    return products;
}

EM_INLINE em_i64x2 em_smull32_high(em_i32x4 a, em_i32x4 b)
{
    em_i64x2 products;
    __asm__("smull2 %0.2d, %1.4s, %2.4s" : "=w"(products) : "w"(a), "w"(b));
    return products;
}

/* umull, umull2. */
EM_INLINE em_u64x2 em_umull32(em_u32x4 a, em_u32x4 b)
{
    em_u64x2 products;
    __asm__("umull %0.2d, %1.2s, %2.2s" : "=w"(products) : "w"(a), "w"(b));
    return products;
}

EM_INLINE em_u64x2 em_umull32_high(em_u32x4 a, em_u32x4 b)
{
    em_u64x2 products;
    __asm__("umull2 %0.2d, %1.4s, %2.4s" : "=w"(products) : "w"(a), "w"(b));
    return products;
}

/* uadalp: adds pairs of neighbouring lanes. */
EM_INLINE em_u64x2 em_add_pairs32(em_u64x2 sums, em_u32x4 pairs)
{
    __asm__("uadalp %0.2d, %1.4s" : "+w"(sums) : "w"(pairs));
    return sums;
}

/* srshl, ushl on int32: as em_round_shift_lanes64, and the same without rounding on uint32. */
EM_INLINE em_i32x4 em_round_shift_lanes32(em_i32x4 values, em_i32x4 counts)
{
    __asm__("srshl %0.4s, %0.4s, %1.4s" : "+w"(values) : "w"(counts));
    return values;
}

EM_INLINE em_u32x4 em_shift_each32(em_u32x4 values, em_i32x4 counts)
{
    __asm__("ushl %0.4s, %0.4s, %1.4s" : "+w"(values) : "w"(counts));
    return values;
}

/* srshl: shifts each lane left by the int8 in the lowest byte of its count; right, rounding half up, where that is negative. */
EM_INLINE em_i64x2 em_round_shift_lanes64(em_i64x2 values, em_u64x2 counts)
{
    __asm__("srshl %0.2d, %0.2d, %1.2d" : "+w"(values) : "w"(counts));
    return values;
}

/* sqxtn, sqxtn2: four int64 saturated to int32. */
EM_INLINE em_i32x4 em_narrow64(em_i64x2 low, em_i64x2 high)
{
    em_i32x4 narrow;
    __asm__("sqxtn %0.2s, %1.2d\n\tsqxtn2 %0.4s, %2.2d" : "=&w"(narrow) : "w"(low), "w"(high));
    return narrow;
}

/* ---- Rows of a tile ----------------------------------------------------------------------------------------------- */

/* smax, smin. */
EM_INLINE em_i8x16 em_clamp8(em_i8x16 v, em_i8x16 low, em_i8x16 high)
{
    __asm__("smax %0.16b, %0.16b, %1.16b\n\tsmin %0.16b, %0.16b, %2.16b" : "+&w"(v) : "w"(low), "w"(high));
    return v;
}

/* uzp2: the upper bytes of all lanes, those of a before those of b. */
EM_INLINE em_u8x16 em_high_bytes(em_u16x8 a, em_u16x8 b)
{
    em_u8x16 bytes;
    __asm__("uzp2 %0.16b, %1.16b, %2.16b" : "=w"(bytes) : "w"(a), "w"(b));
    return bytes;
}

/* xtn, shrn2: bytes 0, 2, 4, ... in lane 0, bytes 1, 3, 5, ... in lane 1. */
EM_INLINE em_u64x2 em_even_odd8(em_i8x16 bytes)
{
    em_u64x2 apart;
    __asm__("xtn %0.8b, %1.8h\n\tshrn2 %0.16b, %1.8h, #8" : "=&w"(apart) : "w"(bytes));
    return apart;
}

/* shll, shll2: four lanes in the upper halves of four others. */
EM_INLINE em_i32x4 em_widen_to_top16(em_u16x8 lanes)
{
    em_i32x4 wide;
    __asm__("shll %0.4s, %1.4h, #16" : "=w"(wide) : "w"(lanes));
    return wide;
}

EM_INLINE em_i32x4 em_widen_to_top16_high(em_u16x8 lanes)
{
    em_i32x4 wide;
    __asm__("shll2 %0.4s, %1.8h, #16" : "=w"(wide) : "w"(lanes));
    return wide;
}

#endif /* EM_NEON_H */
