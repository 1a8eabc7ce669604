/*
 * vector.c - model.c in vector registers.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include "engines.h"

#define em_forward em_forward_vector
#define em_head em_head_vector
#define em_run_tasks em_run_tasks_vector
#include "model.c"
#undef em_run_tasks

void em_run_tasks(struct em_model *m, em_task_fn task, void *arg, em_u32 count);

/* The section may end and begin anew within: vector registers that a caller has in use are kept on the stack. */
void em_run_tasks_vector(struct em_model *m, em_task_fn task, void *arg, em_u32 count)
{
#ifdef __aarch64__
    /* Of v8 to v15 the lower halves are a callee's to keep; on x86 there are no such registers. */
    __asm__ volatile("" ::: "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15");
#endif
    em_run_tasks(m, task, arg, count);
#ifdef __aarch64__
    __asm__ volatile("" ::: "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15");
#endif
}
