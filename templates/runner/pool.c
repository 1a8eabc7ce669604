/*
 * pool.c - workers take indices from one atomic word, spin briefly for the next job and then sleep.
 *
 * The word `ticket` holds the number of the job in its upper half and how many of its indices nobody took yet in its
 * lower half. Taking one is a compare-and-swap of that word, so a worker that was late for a job cannot take an index
 * of it after it ended, and a worker that took one reads a task, argument and count that stay as they are until `done`
 * says otherwise.
 * SPDX-License-Identifier: MIT-0
 */
#define _POSIX_C_SOURCE 200809L
#include "pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Looks at the word before going to sleep: ten to a hundred microseconds by the CPU, more than lies between two ops. */
#define SPINS 2000u

struct pool {
    /* The job. Written by the caller alone, while no index of it can be taken. */
    em_task_fn task;
    void *arg;
    em_u32 count;
    em_u32 job;

    em_u32 spins;
    em_u32 workers; /* threads beside the caller */
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t work; /* a new job, or the end */
    pthread_cond_t idle; /* the last index of the job is done */

    _Alignas(64) _Atomic em_u64 ticket;
    _Alignas(64) _Atomic em_u32 done; /* indices of the job that were run */
    _Atomic em_u32 sleepers;          /* workers asleep, or about to be */
    _Atomic em_u32 waiting;           /* 1 while the caller sleeps, or is about to */
    _Atomic em_u32 stop;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#elif defined(__riscv)
    __asm__ volatile(".4byte 0x0100000f"); /* pause: a hint that every RISC-V accepts */
#endif
}

static em_u32 untaken(const struct pool *pool)
{
    return (em_u32)atomic_load(&pool->ticket);
}

/* Runs indices of the current job until all are taken. */
static void work_off(struct pool *pool)
{
    em_u64 ticket = atomic_load(&pool->ticket);

    while ((em_u32)ticket != 0) {
        em_u32 count;

        if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket - 1)) {
            continue;
        }
        count = pool->count;
        pool->task(pool->arg, count - (em_u32)ticket);
        if (atomic_fetch_add(&pool->done, 1) + 1 == count && atomic_load(&pool->waiting)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->idle);
            pthread_mutex_unlock(&pool->lock);
        }
        ticket = atomic_load(&pool->ticket);
    }
}

/*
 * Waits for a signal, but not for ever: emulators of weakly ordered machines have lost the order of a store and the load behind
 * it, and with it a wake-up. The caller looks at its condition again.
 */
static void doze(pthread_cond_t *condition, pthread_mutex_t *lock)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until); /* which nobody sets */
    until.tv_nsec += 5000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(condition, lock, &until);
}

/* Spins, then sleeps, until there is work. Returns 0 at the end. */
static int await_work(struct pool *pool)
{
    for (em_u32 spin = 0; spin < pool->spins; spin++) {
        if (untaken(pool) != 0) {
            return 1;
        }
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    /* Announced before looking again, while pool_run publishes before it looks here: one of the two sees the other. */
    atomic_fetch_add(&pool->sleepers, 1);
    while (untaken(pool) == 0 && !atomic_load(&pool->stop)) {
        doze(&pool->work, &pool->lock);
    }
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
    return !atomic_load(&pool->stop);
}

static void *worker(void *arg)
{
    struct pool *pool = arg;

    while (await_work(pool)) {
        work_off(pool);
    }
    return NULL;
}

static void wake_workers(struct pool *pool)
{
    if (atomic_load(&pool->sleepers) != 0) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* Waits until every index of the job was run, those other threads took included. */
static void await_done(struct pool *pool)
{
    for (em_u32 spin = 0; spin < pool->spins; spin++) {
        if (atomic_load(&pool->done) == pool->count) {
            return;
        }
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->waiting, 1);
    while (atomic_load(&pool->done) != pool->count) {
        doze(&pool->idle, &pool->lock);
    }
    atomic_store(&pool->waiting, 0);
    pthread_mutex_unlock(&pool->lock);
}

void pool_run(void *arg_pool, em_task_fn task, void *arg, em_u32 count)
{
    struct pool *pool = arg_pool;

    if (pool->workers == 0 || count < 2) {
        for (em_u32 index = 0; index < count; index++) {
            task(arg, index);
        }
        return;
    }
    pool->task = task;
    pool->arg = arg;
    pool->count = count;
    atomic_store(&pool->done, 0);
    atomic_store(&pool->ticket, ((em_u64)++pool->job << 32) | count);
    wake_workers(pool);
    work_off(pool);
    await_done(pool);
}

/* Starts the workers with every signal blocked, so that Ctrl-C reaches the main thread. */
static int start_workers(struct pool *pool, em_u32 workers)
{
    sigset_t all, before;
    int error = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (error == 0 && pool->workers < workers) {
        error = pthread_create(&pool->threads[pool->workers], NULL, worker, pool);
        pool->workers += error == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int pool_open(struct pool **opened, em_u32 threads, struct failure *failure)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct pool *pool = aligned_alloc(_Alignof(struct pool), sizeof(*pool));
    pthread_t *handles = calloc(threads, sizeof(*handles));
    pthread_condattr_t clock;
    int error;

    if (pool == NULL || handles == NULL) {
        free(pool);
        free(handles);
        return fail_system(failure, 0, "no memory for %u threads", threads);
    }
    *pool = (struct pool){.threads = handles};
    /* With fewer processors than threads, spinning takes the processor from whoever has the work. */
    pool->spins = processors < 1 || threads > (em_u32)processors ? 0 : SPINS;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->work, &clock);
    pthread_cond_init(&pool->idle, &clock);
    pthread_condattr_destroy(&clock);
    error = start_workers(pool, threads - 1);
    if (error != 0) {
        pool_close(pool);
        return fail_system(failure, error, "cannot start %u threads", threads);
    }
    *opened = pool;
    return 0;
}

void pool_close(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stop, 1);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (em_u32 i = 0; i < pool->workers; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->idle);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
}
