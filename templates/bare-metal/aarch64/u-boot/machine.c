/*
 * machine.c - 64-bit Arm under U-Boot: the time, and the way back.
 * SPDX-License-Identifier: MIT-0
 */
#include "machine.h"

void em_return(em_u64 value) __attribute__((__noreturn__)); /* start.S */

void em_memory_on(void)
{
}

em_u64 em_now(void)
{
    em_u64 ticks, hertz;

    __asm__ volatile("isb\n mrs %0, cntpct_el0\n mrs %1, cntfrq_el0" : "=r"(ticks), "=r"(hertz) : : "memory");
    return ticks / hertz * 1000000000u + ticks % hertz * 1000000000u / hertz;
}

void em_end(em_u32 failed)
{
    em_return(failed);
}
