/*
 * print.h - text on the UART.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_PRINT_H
#define EM_PRINT_H

#include "em_port.h"

#define EM_DECIMAL_DIGITS 20u /* of the largest 64-bit value */

/* Writes a number to the end of digits. Returns where it begins. */
em_u32 em_decimal(em_u64 value, char digits[EM_DECIMAL_DIGITS]);

/* A line feed goes out as carriage return and line feed. */
void em_print_bytes(const char *text, em_u32 bytes);
void em_print(const char *text);
void em_print_decimal(em_u64 value);
void em_print_hex(em_u64 value); /* 16 digits */

#endif /* EM_PRINT_H */
