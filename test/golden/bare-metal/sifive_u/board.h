/*
 * board.h - sifive_u: SiFive HiFive Unleashed.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_BOARD_H
#define EM_BOARD_H

#define EM_BOARD_NAME "sifive_u"
#define EM_UART 0x10010000ul
#define EM_RAM_START 0x80000000ul /* memory */
#define EM_RAM_BYTES 0x20000000ul /* of it that may be used */
#define EM_POWER_OFF_PSCI 0 /* whether PSCI is there */
#define EM_HART 1 /* that runs the model */

#endif /* EM_BOARD_H */
