/*
 * em_registers.h - what code for general registers is written with.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_REGISTERS_H
#define EM_REGISTERS_H

#include "em_port.h"

/* Unrolls a loop of a constant number of turns completely. */
#ifdef __clang__
#define EM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define EM_UNROLL _Pragma("GCC unroll 16")
#endif

/*
 * Ends a stretch of code that the compiler may reorder. A loop body is unrolled into stretches that the registers
 * suffice for; scheduled as a whole, its loads would be moved up until accumulators are spilled.
 */
EM_INLINE void em_schedule_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

/* Upper half of a signed times an unsigned number: mulhsu. */
EM_INLINE em_u64 em_multiply_high(em_i64 a, em_u64 b)
{
    return (em_u64)(((__int128)a * (__int128)b) >> 64);
}

#endif /* EM_REGISTERS_H */
