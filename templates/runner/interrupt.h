/*
 * interrupt.h - Ctrl-C.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_INTERRUPT_H
#define RUNNER_INTERRUPT_H

#include "em.h"

/* From here on SIGINT cancels the model's work; a second one ends the program at once. */
void interrupt_install(em_model *model);

/* Whether SIGINT arrived. */
int interrupted(void);

#endif /* RUNNER_INTERRUPT_H */
