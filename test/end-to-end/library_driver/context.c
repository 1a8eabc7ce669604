/*
 * context.c - the whole forward pass: chunks, single tokens, sampling, threads, traces.
 * SPDX-License-Identifier: MIT-0
 */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>

struct hooks {
    em_model *cancel; /* or null */
    em_u32 calls;
    em_u32 cancel_at;
    em_u32 most_tasks;
    em_u64 traced; /* values */
};

/* An em_parallel_fn that runs its tasks from the last to the first. */
static void run_backwards(void *pool, em_task_fn task, void *arg, em_u32 count)
{
    struct hooks *hooks = pool;

    hooks->most_tasks = count > hooks->most_tasks ? count : hooks->most_tasks;
    if (++hooks->calls == hooks->cancel_at && hooks->cancel != NULL) {
        em_cancel(hooks->cancel);
    }
    for (em_u32 i = count; i > 0; i--) {
        task(arg, i - 1);
    }
}

/* An em_trace_fn. */
static void count_values(void *user, em_i32 layer, em_u32 op, em_u32 position, const em_i32 *values, em_u32 count)
{
    struct hooks *hooks = user;

    (void)layer, (void)op, (void)position;
    hooks->traced += em_digest(0, values, count) == 0 ? 0 : count; /* reads all of them */
}

static void use_hooks(const struct blob *blob, em_u64 undisturbed)
{
    static const em_u32 threads[] = {2, 3, 64, 0xffffffffu};
    em_u32 wrong = 0;

    for (em_u32 i = 0; i < 4; i++) {
        struct hooks hooks = {NULL, 0, 0, 0, 0};
        struct em_config config = {run_backwards, &hooks, threads[i], count_values, &hooks};
        em_model *model = open_model(blob, &config);

        wrong += whole_context(model) != undisturbed || hooks.most_tasks < 2 || hooks.traced < EM_CONTEXT;
        hooks = (struct hooks){model, 0, 4, 0, 0};
        wrong += whole_context(model) != 0; /* cancelled from within a layer */
        hooks.cancel = NULL;
        wrong += whole_context(model) != undisturbed;
        close_model(model);
    }
    check(wrong == 0, "tasks may run in any order, with any number of threads; a hook can cancel; a trace changes nothing");
}

void check_context(const struct blob *blob)
{
    static const em_u32 temperatures[] = {0, 1, 100, 65536, 1u << 24, 0xffffffffu}, tops[] = {0, 1, 2, 40, EM_VOCAB, 0xffffffffu},
                        shares[] = {0, 1, 32768, 65535, 65536};
    em_model *model = open_model(blob, NULL);
    struct sums chunks = {EM_DIGEST_INIT, 0, NULL, 0};
    em_u64 whole = whole_context(model), tokens = EM_DIGEST_INIT;
    em_i32 ids[EM_CONTEXT];
    em_u32 wrong = 0;

    fill_ids(ids, EM_CONTEXT);
    em_rewind(model, 0);
    for (em_u32 at = 0, chunk = 1; at < EM_CONTEXT; at += chunk, chunk = chunk % 37 + 4) { /* 1, 5, 9 ... around the batch */
        chunk = chunk < EM_CONTEXT - at ? chunk : EM_CONTEXT - at;
        wrong += em_prefill(model, ids + at, chunk, sum_logits, &chunks) != EM_OK;
    }
    check(wrong == 0 && chunks.digest == whole, "chunks of many sizes give the same logits");
    em_rewind(model, 0);
    for (em_u32 at = 0; at < EM_CONTEXT; at++) {
        wrong += em_decode(model, ids[at]) != EM_OK;
        tokens = em_digest(tokens, em_logits(model), EM_VOCAB);
        for (em_u32 i = 0; i < 6u * 6u * 5u; i++) {
            struct em_sampler sampler = {temperatures[i / 30], tops[i / 5 % 6], shares[i % 5], 0};
            em_i32 id = -1;

            em_seed(&sampler, (em_u64)at << 40 | i);
            wrong += em_sample(model, &sampler, &id) != EM_OK || id < 0 || id >= EM_VOCAB;
        }
    }
    check(tokens == whole, "token by token to the end of the context gives the same logits");
    check(wrong == 0, "sampling at all extremes gives ids of the vocabulary");
    use_hooks(blob, whole);
    close_model(model);
}

void print_digest(const struct blob *blob, char **argv)
{
    em_model *model = open_model(blob, NULL);
    struct sums sums = {EM_DIGEST_INIT, 0, NULL, 0};
    em_u32 tokens = (em_u32)strtoul(argv[1], NULL, 10);
    struct em_sampler sampler = {(em_u32)strtoul(argv[2], NULL, 10), (em_u32)strtoul(argv[3], NULL, 10),
                                 (em_u32)strtoul(argv[4], NULL, 10), 0};
    em_i32 id = 0;

    em_seed(&sampler, strtoull(argv[5], NULL, 10));
    for (char *at = argv[0]; *at != 0; at += *at == ',') {
        id = (em_i32)strtol(at, &at, 10);
        if (em_prefill(model, &id, 1, sum_logits, &sums) != EM_OK) {
            exit(3);
        }
    }
    printf("ids");
    for (em_u32 i = 0; i < tokens && (i == 0 || !em_is_end(id)); i++) {
        if (i != 0 && em_prefill(model, &id, 1, sum_logits, &sums) != EM_OK) {
            exit(3);
        }
        em_sample(model, &sampler, &id);
        printf("%c%d", i == 0 ? ' ' : ',', id);
    }
    printf("\ndigest %016llx\n", (unsigned long long)sums.digest);
    close_model(model);
}
