/*
 * em_avx2.h - vectors of 32 bytes and the AVX2 instructions that have no operator in C.
 *
 * Vector extensions and builtins that gcc and clang share; immintrin.h cannot be had in kernel mode. Operators on vectors wrap.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_AVX2_H
#define EM_AVX2_H

#include "em_port.h"

/* Views of 32 bytes. Memory is read through them whatever it was written as. */
typedef em_u8 em_u8x32 __attribute__((vector_size(32), may_alias));
typedef em_i8 em_i8x16 __attribute__((vector_size(16), may_alias));
typedef em_u16 em_u16x8 __attribute__((vector_size(16), may_alias));
typedef em_i16 em_i16x16 __attribute__((vector_size(32), may_alias));
typedef em_u16 em_u16x16 __attribute__((vector_size(32), may_alias));
typedef em_u16 em_u16x16_anywhere __attribute__((vector_size(32), aligned(1), may_alias));
typedef em_i32 em_i32x8 __attribute__((vector_size(32), may_alias));
typedef em_u32 em_u32x8 __attribute__((vector_size(32), may_alias));
typedef em_u64 em_u64x2 __attribute__((vector_size(16), may_alias));
typedef em_u64 em_u64x4 __attribute__((vector_size(32), may_alias));

/* Eight int32 anywhere in memory. */
typedef em_i32 em_i32x8_anywhere __attribute__((vector_size(32), aligned(4), may_alias));

/* Bytes anywhere in memory. */
typedef em_i8 em_i8x8_anywhere __attribute__((vector_size(8), aligned(1), may_alias));
typedef em_i8 em_i8x16_anywhere __attribute__((vector_size(16), aligned(1), may_alias));

/* Four bytes of activations as one word, two scores as another. */
typedef em_u32 em_word __attribute__((may_alias));
typedef em_u64 em_word64 __attribute__((may_alias));

/* The types that the builtins are declared with. */
typedef char em_bytes __attribute__((vector_size(32)));
typedef char em_bytes16 __attribute__((vector_size(16)));
typedef short em_shorts8 __attribute__((vector_size(16)));
typedef short em_shorts __attribute__((vector_size(32)));
typedef int em_ints __attribute__((vector_size(32)));
typedef long long em_longs __attribute__((vector_size(32)));

/* Unrolls a loop of a constant number of turns completely. */
#ifdef __clang__
#define EM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define EM_UNROLL _Pragma("GCC unroll 16")
#endif

/*
 * sum += term, here and now: compilers would collect the additions of an unrolled loop at its end, where the terms no longer fit
 * the registers.
 */
#define EM_ADD(sum, term) \
    do { \
        (sum) += (term); \
        __asm__("" : "+x"(sum)); \
    } while (0)

/*
 * Makes the compiler forget where a pointer points: it would read what lies there before a loop, into more vectors than
 * there are registers.
 */
#define EM_FORGET(pointer) __asm__("" : "+r"(pointer))

/* The word in every lane. */
EM_INLINE em_u32x8 em_broadcast(em_u32 word)
{
    return (em_u32x8){word, word, word, word, word, word, word, word};
}

EM_INLINE em_u64x4 em_broadcast64(em_u64 word)
{
    return (em_u64x4){word, word, word, word};
}

/* vpmaddubsw: sums of two neighbouring products of unsigned a and signed b; saturates, which callers rule out. */
EM_INLINE em_u16x16 em_multiply_bytes(em_u8x32 a, em_u8x32 b)
{
    return (em_u16x16)__builtin_ia32_pmaddubsw256((em_bytes)a, (em_bytes)b);
}

/* vpmaddwd: sums of two neighbouring products of signed 16-bit lanes. */
EM_INLINE em_u32x8 em_multiply_words(em_u16x16 a, em_u16x16 b)
{
    return (em_u32x8)__builtin_ia32_pmaddwd256((em_shorts)a, (em_shorts)b);
}

/* vpsignb: bytes of a with the signs of those of b, 0 where b is 0. a is never -128. */
EM_INLINE em_u8x32 em_sign_bytes(em_u8x32 a, em_u8x32 b)
{
    return (em_u8x32)__builtin_ia32_psignb256((em_bytes)a, (em_bytes)b);
}

/* vpmuldq: signed 64-bit products of the low halves of 64-bit lanes. */
EM_INLINE em_u64x4 em_multiply_low(em_u64x4 a, em_u64x4 b)
{
    return (em_u64x4)__builtin_ia32_pmuldq256((em_ints)a, (em_ints)b);
}

/* vpmuludq: unsigned 64-bit products of the low halves of 64-bit lanes. */
EM_INLINE em_u64x4 em_multiply_unsigned(em_u64x4 a, em_u64x4 b)
{
    return (em_u64x4)__builtin_ia32_pmuludq256((em_ints)a, (em_ints)b);
}

/* vpmulhrsw: rounding products of Q15 lanes. */
EM_INLINE em_u16x16 em_multiply_q15_each(em_u16x16 a, em_u16x16 b)
{
    return (em_u16x16)__builtin_ia32_pmulhrsw256((em_shorts)a, (em_shorts)b);
}

/* vpmaxsd: the larger of signed 32-bit lanes. clang has no builtin for this and the next two, but knows them. */
EM_INLINE em_u32x8 em_max_each(em_u32x8 a, em_u32x8 b)
{
#ifdef __clang__
    em_u32x8 larger = (em_u32x8)((em_i32x8)a > (em_i32x8)b);
    return (a & larger) | (b & ~larger);
#else
    return (em_u32x8)__builtin_ia32_pmaxsd256((em_ints)a, (em_ints)b);
#endif
}

/* vpabsd: magnitudes of signed 32-bit lanes. */
EM_INLINE em_u32x8 em_abs_each(em_u32x8 a)
{
#ifdef __clang__
    em_u32x8 sign = (em_u32x8)((em_i32x8)a >> 31);
    return (a ^ sign) - sign;
#else
    return (em_u32x8)__builtin_ia32_pabsd256((em_ints)a);
#endif
}

/* vpminuw: the smaller of unsigned 16-bit lanes. */
EM_INLINE em_u16x16 em_min_each(em_u16x16 a, em_u16x16 b)
{
#ifdef __clang__
    em_u16x16 smaller = (em_u16x16)(a < b);
    return (a & smaller) | (b & ~smaller);
#else
    return (em_u16x16)__builtin_ia32_pminuw256((em_shorts)a, (em_shorts)b);
#endif
}

/*
 * vpgatherdd: table[index] for eight indices. The forms with 64-bit indices are not used: they take longer, and QEMU 7.2 executes
 * them wrongly.
 */
EM_INLINE em_u32x8 em_gather(const em_i32 *table, em_u32x8 indices)
{
#ifdef __clang__
    return (em_u32x8)__builtin_ia32_gatherd_d256((em_ints){0}, table, (em_ints)indices, ~(em_ints){0}, 4);
#else
    return (em_u32x8)__builtin_ia32_gathersiv8si((em_ints){0}, table, (em_ints)indices, ~(em_ints){0}, 4);
#endif
}

/* vpsrlvd: lanes shifted by their own counts; 0 for counts from 32 on. */
EM_INLINE em_u32x8 em_shift_right_words(em_u32x8 a, em_u32x8 counts)
{
    return (em_u32x8)__builtin_ia32_psrlv8si((em_ints)a, (em_ints)counts);
}

/* vpsrlvq: lanes shifted by their own counts; 0 for counts from 64 on. */
EM_INLINE em_u64x4 em_shift_right_each(em_u64x4 a, em_u64x4 counts)
{
    return (em_u64x4)__builtin_ia32_psrlv4di((em_longs)a, (em_longs)counts);
}

/* vpblendd: even 32-bit lanes of a, odd lanes of b. */
EM_INLINE em_u32x8 em_interleave(em_u64x4 even, em_u64x4 odd)
{
    return (em_u32x8)__builtin_ia32_pblendd256((em_ints)even, (em_ints)odd, 0xaa);
}

/* vptest: whether any bit is set. */
EM_INLINE em_u32 em_any(em_u32x8 a)
{
    return __builtin_ia32_ptestz256((em_longs)a, (em_longs)a) == 0;
}

/* vpmovsxbw: 16 int8 as int16. gcc makes three instructions of a conversion, and clang has no builtin for it. */
EM_INLINE em_u16x16 em_widen_anywhere(const em_i8x16_anywhere *bytes)
{
#ifdef __clang__
    return (em_u16x16)__builtin_convertvector(*bytes, em_i16x16);
#else
    return (em_u16x16)__builtin_ia32_pmovsxbw256((em_bytes16)*bytes);
#endif
}

EM_INLINE em_u16x16 em_widen(const em_i8x16 *bytes)
{
    return em_widen_anywhere((const em_i8x16_anywhere *)bytes);
}

/* vpmovsxbd: 8 int8 as int32. */
EM_INLINE em_u32x8 em_widen_to_words(const em_i8x8_anywhere *bytes)
{
#ifdef __clang__
    return (em_u32x8)__builtin_convertvector(*bytes, em_i32x8);
#else
    em_u64 all;
    __builtin_memcpy(&all, bytes, sizeof(all));
    return (em_u32x8)__builtin_ia32_pmovsxbd256((em_bytes16)(em_u64x2){all, 0});
#endif
}

/* vpmovzxwd: 8 uint16 as uint32. */
EM_INLINE em_u32x8 em_widen_words(const em_u16x8 *words)
{
#ifdef __clang__
    return __builtin_convertvector(*words, em_u32x8);
#else
    return (em_u32x8)__builtin_ia32_pmovzxwd256((em_shorts8)*words);
#endif
}

#endif /* EM_AVX2_H */
