/*
 * interrupt.c - the handler only raises flags: its own, and the model's.
 * SPDX-License-Identifier: MIT-0
 */
#define _POSIX_C_SOURCE 200809L
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

static em_model *volatile model_at_work;
static volatile sig_atomic_t arrived;

static void handle(int signal)
{
    (void)signal;
    arrived = 1;
    em_cancel(model_at_work);
}

void interrupt_install(em_model *model)
{
    struct sigaction action;

    model_at_work = model;
    memset(&action, 0, sizeof(action));
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART | (int)SA_RESETHAND;
    sigaction(SIGINT, &action, NULL);
}

int interrupted(void)
{
    return arrived != 0;
}
