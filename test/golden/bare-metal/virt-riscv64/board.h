/*
 * board.h - virt-riscv64: QEMU's virt machine for RISC-V.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_BOARD_H
#define EM_BOARD_H

#define EM_BOARD_NAME "virt-riscv64"
#define EM_UART 0x10000000ul
#define EM_RAM_START 0x80000000ul /* memory */
#define EM_RAM_BYTES 0x20000000ul /* of it that may be used */
#define EM_POWER_OFF_PSCI 0 /* whether PSCI is there */
#define EM_HART 0 /* that runs the model */
#define EM_FINISHER 0x100000ul /* ends the emulation */

#endif /* EM_BOARD_H */
