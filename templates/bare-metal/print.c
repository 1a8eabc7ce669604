/*
 * print.c - text on the UART.
 * SPDX-License-Identifier: MIT-0
 */
#include "print.h"

#include "machine.h"

void em_print_bytes(const char *text, em_u32 bytes)
{
    for (em_u32 i = 0; i < bytes; i++) {
        if (text[i] == '\n') {
            em_uart_put('\r');
        }
        em_uart_put(text[i]);
    }
}

void em_print(const char *text)
{
    em_u32 bytes = 0;

    while (text[bytes] != 0) {
        bytes++;
    }
    em_print_bytes(text, bytes);
}

em_u32 em_decimal(em_u64 value, char digits[EM_DECIMAL_DIGITS])
{
    em_u32 at = EM_DECIMAL_DIGITS;

    do {
        digits[--at] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    return at;
}

void em_print_decimal(em_u64 value)
{
    char digits[EM_DECIMAL_DIGITS];
    em_u32 at = em_decimal(value, digits);

    em_print_bytes(digits + at, EM_DECIMAL_DIGITS - at);
}

void em_print_hex(em_u64 value)
{
    for (em_i32 shift = 60; shift >= 0; shift -= 4) {
        em_uart_put("0123456789abcdef"[(value >> shift) & 15u]);
    }
}
