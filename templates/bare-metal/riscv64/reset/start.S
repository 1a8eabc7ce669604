/*
 * start.S - from reset to em_main on RISC-V: one hart, machine mode, a stack, zeroed memory.
 *
 * The boot ROM begins here in machine mode, where addresses are physical and memory is cached as its attributes say:
 * nothing has to be switched on. Floating-point registers stay off (mstatus.FS): the model has no use for them.
 * SPDX-License-Identifier: MIT-0
 */
#include "board.h"

    .section .text.start, "ax"
    .globl em_start
em_start:
    csrw    mie, zero                   /* no interrupts */
    csrr    a0, mhartid
    li      a1, EM_HART
    bne     a0, a1, em_park             /* harts other than the one that was chosen: there is one stack */
    lla     a0, em_trap
    csrw    mtvec, a0                   /* direct mode: every trap begins there */
    lla     sp, em_stack_top
    lla     a0, em_bss_start            /* the linker script rounds both ends to 16 bytes */
    lla     a1, em_bss_end
1:  bgeu    a0, a1, 2f
    sd      zero, 0(a0)
    addi    a0, a0, 8
    j       1b
2:  call    em_main
em_park:
    wfi
    j       em_park

/* No trap is expected: say which it was, and stop. */
    .balign 4
em_trap:
    csrr    a0, mcause
    csrr    a1, mepc
    csrr    a2, mtval
    j       em_fault
