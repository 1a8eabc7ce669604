/*
 * uart.c - Arm PrimeCell UART PL011 (Arm DDI 0183), with the line settings that it has.
 * SPDX-License-Identifier: MIT-0
 */
#include "board.h"
#include "machine.h"

#define EM_DATA (*(volatile em_u32 *)(EM_UART + 0x00u))
#define EM_FLAGS (*(volatile em_u32 *)(EM_UART + 0x18u))
#define EM_CONTROL (*(volatile em_u32 *)(EM_UART + 0x30u))
#define EM_FLAGS_FULL (1u << 5)
#define EM_CONTROL_ON (1u | (1u << 8) | (1u << 9)) /* UART, transmitter, receiver */

void em_uart_open(void)
{
    EM_CONTROL = EM_CONTROL_ON;
}

void em_uart_put(char c)
{
    while ((EM_FLAGS & EM_FLAGS_FULL) != 0) {
    }
    EM_DATA = (em_u8)c;
}
