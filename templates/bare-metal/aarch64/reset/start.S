/*
 * start.S - from reset to em_main on 64-bit Arm: one core, exception level 1, a stack, vector registers, zeroed memory.
 *
 * Firmware or QEMU begins here with translation and data cache off, at exception level 2 (Raspberry Pi) or 1 (QEMU's
 * virt). All of them can have level 1, so the program runs there. Level 3 is not expected: firmware keeps it.
 * Registers: Arm DDI 0487, D17.
 * SPDX-License-Identifier: MIT-0
 */
    .section .text.start, "ax"
    .globl em_start
em_start:
    mrs     x0, mpidr_el1
    and     x0, x0, #0xff
    cbnz    x0, em_park                 /* cores other than the first: there is one stack */
    mrs     x0, CurrentEL
    cmp     x0, #(2 << 2)
    b.ne    1f
    mov     x0, #(1 << 31)              /* HCR_EL2.RW: exception level 1 is 64 bits wide; nothing is trapped */
    msr     hcr_el2, x0
    mov     x0, #0x33ff                 /* CPTR_EL2: RES1 bits, and vector registers are not trapped */
    msr     cptr_el2, x0
    mrs     x0, mdcr_el2
    and     x0, x0, #0x1f               /* the cycle counter is not trapped; HPMN, how many counters there are, stays */
    msr     mdcr_el2, x0
    mov     x0, #0x3c5                  /* SPSR_EL2: to level 1 with its own stack pointer, interrupts masked */
    msr     spsr_el2, x0
    adr     x0, 1f
    msr     elr_el2, x0
    eret
1:  ldr     w0, =0x30d00800             /* SCTLR_EL1: RES1 bits only, for its reset value is unknown: */
    msr     sctlr_el1, x0               /* no translation, no caches, little-endian */
    isb
    adrp    x0, em_stack_top
    add     sp, x0, :lo12:em_stack_top
    mov     x0, #(3 << 20)              /* CPACR_EL1.FPEN: compilers copy memory through vector registers */
    msr     cpacr_el1, x0
    adrp    x0, em_vectors
    add     x0, x0, :lo12:em_vectors
    msr     vbar_el1, x0
    isb
    adrp    x0, em_bss_start            /* the linker script rounds both ends to 16 bytes */
    add     x0, x0, :lo12:em_bss_start
    adrp    x1, em_bss_end
    add     x1, x1, :lo12:em_bss_end
2:  cmp     x0, x1
    b.hs    3f
    stp     xzr, xzr, [x0], #16
    b       2b
3:  bl      em_memory_on                /* before C that may access memory misaligned */
    bl      em_main
em_park:
    wfe
    b       em_park

/* No exception is expected: say which it was, and stop. 16 entries of 128 bytes (D1.10). */
    .balign 2048
em_vectors:
    .rept 16
    .balign 128
    mrs     x0, esr_el1
    mrs     x1, elr_el1
    mrs     x2, far_el1
    b       em_fault
    .endr
