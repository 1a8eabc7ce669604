/*
 * machine.h - what main.c wants of a machine without an operating system.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_MACHINE_H
#define EM_MACHINE_H

#include "em_port.h"

/* Makes memory cacheable and starts the cycle counter, where that has to be done. Called by start.S. */
void em_memory_on(void);

/* The processor's cycle counter; under U-Boot the time in nanoseconds. */
em_u64 em_now(void);

/* Switches the machine off where that is possible, else waits for ever; under U-Boot returns to it with `failed`. */
void em_end(em_u32 failed) __attribute__((__noreturn__));

/* The UART: uart.c of the board. The first call must be em_uart_open. */
void em_uart_open(void);
void em_uart_put(char c);

/* Called by start.S with what the processor says of an exception: its cause, where it happened, an address. */
void em_fault(em_u64 cause, em_u64 at, em_u64 address);

/* Called by start.S. */
void em_main(void);

#endif /* EM_MACHINE_H */
