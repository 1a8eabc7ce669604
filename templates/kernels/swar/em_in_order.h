/*
 * em_in_order.h - operations that stay where the source has them.
 *
 * The U74 executes two instructions a cycle, in order: one pipe loads, the other multiplies, both do the rest. What is
 * multiplied should be three cycles old, of which compilers know nothing. Loops in which that matters are therefore
 * written with these operations, in the order in which they shall be executed; registers are the compiler's affair. For
 * other architectures, whose cores find an order by themselves, they are what they stand for.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_IN_ORDER_H
#define EM_IN_ORDER_H

#include "em_lanes.h"

/* Sums in words, read as what they are. */
typedef em_i16 em_narrow_sum __attribute__((may_alias));
typedef em_i32 em_wide_lane __attribute__((may_alias));

#ifdef __riscv
#define EM_IN_ORDER(instruction, result, ...) __asm__ volatile(instruction : "=r"(result) : __VA_ARGS__)
#endif

EM_INLINE em_u64 em_load_word(const em_u64 *at)
{
#ifdef __riscv
    em_u64 word;
    EM_IN_ORDER("ld %0, %1", word, "m"(*at));
    return word;
#else
    return *at;
#endif
}

/*
 * An address that is to occupy no register until it is needed. Compilers know nothing of it: of one that they know they
 * would compute all sums with offsets before a loop, and spill them.
 */
EM_INLINE const em_i8 *em_load_address(const em_i8 *const *at)
{
#ifdef __riscv
    const em_i8 *address;
    EM_IN_ORDER("ld %0, %1", address, "m"(*at));
#else
    const em_i8 *address = *at;
    __asm__ volatile("" : "+r"(address));
#endif
    return address;
}

EM_INLINE em_i64 em_load_byte(const em_i8 *at)
{
#ifdef __riscv
    em_i64 value;
    EM_IN_ORDER("lb %0, %1", value, "m"(*at));
    return value;
#else
    return *at;
#endif
}

/* An int16 and an int32 that lie in words. */
EM_INLINE em_i64 em_load_short(const em_i8 *at)
{
    const em_narrow_sum *sum = (const em_narrow_sum *)(const void *)at;
#ifdef __riscv
    em_i64 value;
    EM_IN_ORDER("lh %0, %1", value, "m"(*sum));
    return value;
#else
    return *sum;
#endif
}

EM_INLINE em_i64 em_load_int(const em_i8 *at)
{
    const em_wide_lane *sum = (const em_wide_lane *)(const void *)at;
#ifdef __riscv
    em_i64 value;
    EM_IN_ORDER("lw %0, %1", value, "m"(*sum));
    return value;
#else
    return *sum;
#endif
}

/* at + bytes, less than 2^11. What is added late is no address for three cycles. */
EM_INLINE const em_i8 *em_advance(const em_i8 *at, em_u32 bytes)
{
#ifdef __riscv
    const em_i8 *result;
    EM_IN_ORDER("addi %0, %1, %2", result, "r"(at), "i"(bytes));
    return result;
#else
    return at + bytes;
#endif
}

EM_INLINE em_u64 em_and(em_u64 a, em_u64 b)
{
#ifdef __riscv
    em_u64 result;
    EM_IN_ORDER("and %0, %1, %2", result, "r"(a), "r"(b));
    return result;
#else
    return a & b;
#endif
}

EM_INLINE em_u64 em_add_word(em_u64 a, em_u64 b)
{
#ifdef __riscv
    em_u64 result;
    EM_IN_ORDER("add %0, %1, %2", result, "r"(a), "r"(b));
    return result;
#else
    return a + b;
#endif
}

/* Adds to a sum, which stays in its register. */
EM_INLINE void em_add_to(em_u64 *sum, em_u64 a)
{
#ifdef __riscv
    __asm__ volatile("add %0, %0, %1" : "+r"(*sum) : "r"(a));
#else
    *sum += a;
    __asm__ volatile("" : "+rm"(*sum)); /* or sums of many products would be formed at the end */
#endif
}

EM_INLINE em_u64 em_shift_right(em_u64 a, em_u32 bits)
{
#ifdef __riscv
    em_u64 result;
    EM_IN_ORDER("srl%i2 %0, %1, %2", result, "r"(a), "ri"(bits));
    return result;
#else
    return a >> bits;
#endif
}

/* The lower half of a product. */
EM_INLINE em_u64 em_multiply(em_u64 a, em_i64 b)
{
#ifdef __riscv
    em_u64 result;
    EM_IN_ORDER("mul %0, %1, %2", result, "r"(a), "r"(b));
    return result;
#else
    return a * (em_u64)b;
#endif
}

/* em_factor and em_multiply_by of em_lanes.h. */
EM_INLINE em_i64 em_factor_here(em_i64 a, em_u32 bit)
{
#ifdef __riscv
    em_i64 result;
    EM_IN_ORDER("sll%i2 %0, %1, %2", result, "r"(a), "ri"(64u - bit));
    return result;
#else
    return em_factor(a, bit);
#endif
}

EM_INLINE em_u64 em_multiply_by_here(em_u64 x, em_u32 bit, em_i64 factor)
{
#ifdef __riscv
    em_u64 result;
    (void)bit;
    EM_IN_ORDER("mulhsu %0, %1, %2", result, "r"(factor), "r"(x));
    return result;
#else
    return em_multiply_by(x, bit, factor);
#endif
}

#endif /* EM_IN_ORDER_H */
