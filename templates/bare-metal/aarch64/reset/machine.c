/*
 * machine.c - 64-bit Arm: memory that may be cached, the cycle counter, the way out.
 *
 * Without translation all memory is device memory: no caches, and a misaligned access stops the program. The first
 * 4 GiB are mapped to themselves in blocks of 2 MiB: RAM as normal memory, everything else as device memory, from where
 * no processor may fetch instructions ahead (Arm DDI 0487, D8). Reset left the caches empty, and what was written since
 * went past them: nothing has to be cleaned.
 * SPDX-License-Identifier: MIT-0
 */
#include "machine.h"

#include "board.h"

#define EM_BLOCK_BITS 21u
#define EM_GIGABYTES 4u
#define EM_TABLE_ENTRIES 512u

#define EM_TABLE 3u                               /* descriptor of a table */
#define EM_BLOCK (1u | (1u << 10))                /* descriptor of a block, accessed before */
#define EM_NORMAL ((3u << 8) | (1u << 2))         /* inner shareable, attributes 1 of EM_MAIR */
#define EM_DEVICE (((em_u64)1 << 53) | ((em_u64)1 << 54)) /* never executed, attributes 0 */

#define EM_MAIR 0xff00u /* 0: device nGnRnE; 1: normal, write-back */
/* 39 bits of addresses, tables of 4 KiB walked through caches, nothing above, 32 bits of physical addresses. */
#define EM_TCR ((1u << 23) | (3u << 12) | (1u << 10) | (1u << 8) | 25u)
#define EM_SCTLR_ON ((1u << 0) | (1u << 2) | (1u << 12)) /* translation, data cache, instruction cache */

static em_u64 em_top[EM_TABLE_ENTRIES] __attribute__((aligned(4096)));
static em_u64 em_blocks[EM_GIGABYTES][EM_TABLE_ENTRIES] __attribute__((aligned(4096)));

void em_memory_on(void)
{
    em_u64 sctlr;

    for (em_u64 at = 0; at < (em_u64)EM_GIGABYTES * EM_TABLE_ENTRIES; at++) {
        em_u64 address = at << EM_BLOCK_BITS;
        em_u64 is_ram = address - EM_RAM_START < EM_RAM_BYTES;
        em_u64 kind = is_ram ? EM_NORMAL : EM_DEVICE;

        em_blocks[at / EM_TABLE_ENTRIES][at % EM_TABLE_ENTRIES] = address | EM_BLOCK | kind;
    }
    for (em_u32 i = 0; i < EM_GIGABYTES; i++) {
        em_top[i] = (em_u64)(em_uptr)em_blocks[i] | EM_TABLE;
    }
    __asm__ volatile("msr mair_el1, %0\n msr tcr_el1, %1\n msr ttbr0_el1, %2\n tlbi vmalle1\n ic iallu\n dsb sy\n isb"
                     :
                     : "r"((em_u64)EM_MAIR), "r"((em_u64)EM_TCR), "r"(em_top)
                     : "memory");
    __asm__ volatile("mrs %0, sctlr_el1" : "=r"(sctlr));
    sctlr = (sctlr | EM_SCTLR_ON) & ~(em_u64)2u; /* without checks of alignment */
    __asm__ volatile("msr sctlr_el1, %0\n isb" : : "r"(sctlr) : "memory");
    /* PMCR_EL0: enable, reset the cycle counter, let it have 64 bits; then switch it on. */
    __asm__ volatile("msr pmcr_el0, %0\n msr pmccfiltr_el0, xzr\n msr pmcntenset_el0, %1\n isb"
                     :
                     : "r"((em_u64)0x45u), "r"((em_u64)1u << 31));
}

em_u64 em_now(void)
{
    em_u64 cycles;

    __asm__ volatile("isb\n mrs %0, pmccntr_el0" : "=r"(cycles) : : "memory");
    return cycles;
}

void em_end(em_u32 failed)
{
    (void)failed;
#if EM_POWER_OFF_PSCI
    /* SYSTEM_OFF (Arm DEN 0022) */
    __asm__ volatile("mov x0, %0\n hvc #0" : : "r"((em_u64)0x84000008u) : "x0", "x1", "x2", "x3", "memory");
#endif
    for (;;) {
        __asm__ volatile("wfe");
    }
}
