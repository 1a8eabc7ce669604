/*
 * board.h - virt-riscv64-uboot: U-Boot on QEMU's virt machine for RISC-V.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_BOARD_H
#define EM_BOARD_H

#define EM_BOARD_NAME "virt-riscv64-uboot"
#define EM_UART 0x10000000ul
#define EM_RAM_START 0x80000000ul /* memory */
#define EM_RAM_BYTES 0x1c000000ul /* of it that may be used */
#define EM_POWER_OFF_PSCI 0 /* whether PSCI is there */
#define EM_TIMER_HZ 10000000u /* ticks a second */

#endif /* EM_BOARD_H */
