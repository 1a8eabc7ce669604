/*
 * start.S - called by U-Boot on 64-bit Arm, and returning to it: a stack of our own, zeroed memory.
 *
 * U-Boot runs at exception level 1 or 2 with memory mapped to itself and caches on, vector registers switched on, one
 * core. All of that stays as it is, and so do its exception vectors, which show registers. It keeps its global data in
 * x18, which the procedure call standard lets us change: it is saved with the others.
 * SPDX-License-Identifier: MIT-0
 */
    .section .text.start, "ax"
    .globl em_start, em_return
em_start:
    stp     x29, x30, [sp, #-112]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    str     x18, [sp, #96]
    adrp    x0, em_bss_start            /* the linker script rounds both ends to 16 bytes */
    add     x0, x0, :lo12:em_bss_start
    adrp    x1, em_bss_end
    add     x1, x1, :lo12:em_bss_end
1:  cmp     x0, x1
    b.hs    2f
    stp     xzr, xzr, [x0], #16
    b       1b
2:  adrp    x0, em_saved_stack
    mov     x1, sp
    str     x1, [x0, :lo12:em_saved_stack]
    adrp    x0, em_stack_top
    add     sp, x0, :lo12:em_stack_top
    bl      em_main

/* Ends the call of em_start with the value in x0, from any depth. */
em_return:
    adrp    x1, em_saved_stack
    ldr     x1, [x1, :lo12:em_saved_stack]
    mov     sp, x1
    ldr     x18, [sp, #96]
    ldp     x27, x28, [sp, #80]
    ldp     x25, x26, [sp, #64]
    ldp     x23, x24, [sp, #48]
    ldp     x21, x22, [sp, #32]
    ldp     x19, x20, [sp, #16]
    ldp     x29, x30, [sp], #112
    ret

    .section .bss.em_saved_stack, "aw", %nobits
    .balign 8
em_saved_stack:
    .skip   8
