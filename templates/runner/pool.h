/*
 * pool.h - threads behind the parallel-for hook of em.h.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_POOL_H
#define RUNNER_POOL_H

#include "em.h"
#include "failure.h"

struct pool;

/* A pool that runs tasks on `threads` threads, the caller of pool_run being one of them. threads: at least 1. */
int pool_open(struct pool **pool, em_u32 threads, struct failure *failure);

/* An em_parallel_fn; `pool` is a struct pool. One call at a time, from the thread that opened it. */
void pool_run(void *pool, em_task_fn task, void *arg, em_u32 count);

/* Joins the threads. Accepts NULL. */
void pool_close(struct pool *pool);

#endif /* RUNNER_POOL_H */
