/*
 * board.h - virt-aarch64-uboot: U-Boot on QEMU's virt machine for 64-bit Arm.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_BOARD_H
#define EM_BOARD_H

#define EM_BOARD_NAME "virt-aarch64-uboot"
#define EM_UART 0x9000000ul
#define EM_RAM_START 0x40000000ul /* memory */
#define EM_RAM_BYTES 0x1c000000ul /* of it that may be used */
#define EM_POWER_OFF_PSCI 0 /* whether PSCI is there */

#endif /* EM_BOARD_H */
