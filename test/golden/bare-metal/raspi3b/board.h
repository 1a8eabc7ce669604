/*
 * board.h - raspi3b: Raspberry Pi 3B.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_BOARD_H
#define EM_BOARD_H

#define EM_BOARD_NAME "raspi3b"
#define EM_UART 0x3f201000ul
#define EM_RAM_START 0x0ul /* memory */
#define EM_RAM_BYTES 0x38000000ul /* of it that may be used */
#define EM_POWER_OFF_PSCI 0 /* whether PSCI is there */

#endif /* EM_BOARD_H */
