/*
 * machine.c - RISC-V under U-Boot: the time, and the way back.
 * SPDX-License-Identifier: MIT-0
 */
#include "machine.h"

#include "board.h"

void em_return(em_u64 value) __attribute__((__noreturn__)); /* start.S */

void em_memory_on(void)
{
}

em_u64 em_now(void)
{
    em_u64 ticks;

    __asm__ volatile("rdtime %0" : "=r"(ticks) : : "memory");
    return ticks / EM_TIMER_HZ * 1000000000u + ticks % EM_TIMER_HZ * 1000000000u / EM_TIMER_HZ;
}

void em_end(em_u32 failed)
{
    em_return(failed);
}
