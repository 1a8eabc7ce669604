/*
 * uart.c - SiFive UART (FU540-C000 manual, chapter 13), with the divisor that it has.
 * SPDX-License-Identifier: MIT-0
 */
#include "board.h"
#include "machine.h"

#define EM_DATA (*(volatile em_u32 *)(EM_UART + 0x00u))
#define EM_TRANSMIT (*(volatile em_u32 *)(EM_UART + 0x08u))
#define EM_DATA_FULL (1u << 31)

void em_uart_open(void)
{
    EM_TRANSMIT = 1u;
}

void em_uart_put(char c)
{
    while ((EM_DATA & EM_DATA_FULL) != 0) {
    }
    EM_DATA = (em_u8)c;
}
