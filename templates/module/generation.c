/*
 * generation.c - the loop around the library.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include "generation.h"

#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>

/* Pieces that an op is cut into at most, for others to run in between. */
#define EM_PIECES 64u

/* An em_parallel_fn for one thread that does not keep its processor to itself. */
static void em_run_politely(void *pool, em_task_fn task, void *arg, em_u32 count)
{
    struct em_generation *generation = pool;
    em_u32 i;

    for (i = 0; i < count; i++) {
        task(arg, i);
        em_sections_pause(&generation->sections);
        if (!generation->sections.inside) {
            cond_resched();
        }
    }
    if (fatal_signal_pending(current)) {
        em_cancel(generation->model);
    }
}

int em_generation_open(struct em_generation *generation, const struct em_weights *weights)
{
    struct em_config config = {.parallel = em_run_politely, .pool = generation, .threads = EM_PIECES};

    generation->arena = __vmalloc(EM_ARENA_BYTES, GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
    if (!generation->arena) {
        return -ENOMEM;
    }
    if (em_init(&generation->model, generation->arena, EM_ARENA_BYTES, weights->data, weights->size, &config) != EM_OK) {
        em_generation_close(generation);
        return -EBADMSG;
    }
    return 0;
}

void em_generation_close(struct em_generation *generation)
{
    vfree(generation->arena);
    generation->arena = NULL;
    generation->model = NULL;
}

void em_generation_reset(struct em_generation *generation, u64 seed, bool digesting)
{
    em_rewind(generation->model, 0);
    generation->sections.wanted = em_sections_usable();
    em_seed(&generation->sampler, seed);
    generation->digesting = digesting;
    generation->digest = EM_DIGEST_INIT;
    generation->positions = 0;
    generation->tokens = 0;
}

/* An em_logits_fn. */
static void em_fold_logits(void *user, em_u32 position, const em_i32 *logits)
{
    struct em_generation *generation = user;

    generation->digest = em_digest(generation->digest, logits, EM_VOCAB);
    generation->positions++;
    cond_resched();
}

em_status em_generation_prompt(struct em_generation *generation, const em_i32 *ids, u32 count)
{
    return em_prefill(generation->model, ids, count, generation->digesting ? em_fold_logits : NULL, generation);
}

em_status em_generation_next(struct em_generation *generation)
{
    em_status status;

    if (generation->tokens != 0) {
        status = em_decode(generation->model, generation->id);
        if (status != EM_OK) {
            return status;
        }
        if (generation->digesting) {
            em_fold_logits(generation, em_position(generation->model), em_logits(generation->model));
        }
    }
    status = em_sample(generation->model, &generation->sampler, &generation->id);
    if (status == EM_OK) {
        generation->tokens++;
    }
    return status;
}
