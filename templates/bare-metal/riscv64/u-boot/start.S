/*
 * start.S - called by U-Boot on RISC-V, and returning to it: a stack of our own, zeroed memory.
 *
 * U-Boot runs on one hart in supervisor or machine mode, addresses are physical. Its trap handler stays, which shows
 * registers. It keeps its global data in gp, which we do not use; tp and gp are saved all the same.
 * SPDX-License-Identifier: MIT-0
 */
    .section .text.start, "ax"
    .globl em_start, em_return
em_start:
    addi    sp, sp, -128
    sd      ra, 0(sp)
    sd      gp, 8(sp)
    sd      tp, 16(sp)
    sd      s0, 24(sp)
    sd      s1, 32(sp)
    sd      s2, 40(sp)
    sd      s3, 48(sp)
    sd      s4, 56(sp)
    sd      s5, 64(sp)
    sd      s6, 72(sp)
    sd      s7, 80(sp)
    sd      s8, 88(sp)
    sd      s9, 96(sp)
    sd      s10, 104(sp)
    sd      s11, 112(sp)
    lla     a0, em_bss_start            /* the linker script rounds both ends to 16 bytes */
    lla     a1, em_bss_end
1:  bgeu    a0, a1, 2f
    sd      zero, 0(a0)
    addi    a0, a0, 8
    j       1b
2:  lla     a0, em_saved_stack
    sd      sp, 0(a0)
    lla     sp, em_stack_top
    call    em_main

/* Ends the call of em_start with the value in a0, from any depth. */
em_return:
    lla     a1, em_saved_stack
    ld      sp, 0(a1)
    ld      ra, 0(sp)
    ld      gp, 8(sp)
    ld      tp, 16(sp)
    ld      s0, 24(sp)
    ld      s1, 32(sp)
    ld      s2, 40(sp)
    ld      s3, 48(sp)
    ld      s4, 56(sp)
    ld      s5, 64(sp)
    ld      s6, 72(sp)
    ld      s7, 80(sp)
    ld      s8, 88(sp)
    ld      s9, 96(sp)
    ld      s10, 104(sp)
    ld      s11, 112(sp)
    addi    sp, sp, 128
    ret

    .section .bss.em_saved_stack, "aw", %nobits
    .balign 8
em_saved_stack:
    .skip   8
