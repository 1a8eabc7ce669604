/*
 * machine.c - RISC-V in machine mode: the cycle counter, the way out. Physical memory is cached as it is.
 * SPDX-License-Identifier: MIT-0
 */
#include "machine.h"

#include "board.h"

em_u64 em_now(void)
{
    em_u64 cycles;

    __asm__ volatile("csrr %0, mcycle" : "=r"(cycles) : : "memory");
    return cycles;
}

void em_end(em_u32 failed)
{
    (void)failed;
#ifdef EM_FINISHER
    *(volatile em_u32 *)EM_FINISHER = 0x5555u; /* FINISHER_PASS of the SiFive test device, which QEMU has */
#endif
    for (;;) {
        __asm__ volatile("wfi");
    }
}
