/*
 * uart.c - 16550 with registers a byte apart, with the line settings that it has.
 * SPDX-License-Identifier: MIT-0
 */
#include "board.h"
#include "machine.h"

#define EM_DATA (*(volatile em_u8 *)(EM_UART + 0u))
#define EM_STATUS (*(volatile em_u8 *)(EM_UART + 5u))
#define EM_STATUS_EMPTY (1u << 5)

void em_uart_open(void)
{
}

void em_uart_put(char c)
{
    while ((EM_STATUS & EM_STATUS_EMPTY) == 0) {
    }
    EM_DATA = (em_u8)c;
}
