/*
 * generate.c - only the model's work is timed: digest, text and output are not.
 * SPDX-License-Identifier: MIT-0
 */
#include "generate.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "interrupt.h"
#include "model.h"
#include "text.h"

struct digest {
    em_u64 value;
    em_u64 ns; /* spent on it */
    em_u32 positions;
};

struct generation {
    em_model *model;
    const struct options *options;
    struct report *report;
    struct failure *failure;
    struct token_list prompt;
    struct digest digest;
    struct text_stream text;
    struct timing timing;
    em_u64 *decode_ns; /* of each decode step */
    em_i32 *ids;       /* the prompt and what was chosen and decoded */
    em_u32 id_count;
};

/* An em_logits_fn. */
static void add_to_digest(void *user, em_u32 position, const em_i32 *logits)
{
    struct digest *digest = user;
    em_u64 start = now_ns();

    (void)position;
    digest->value = em_digest(digest->value, logits, EM_VOCAB);
    digest->positions++;
    digest->ns += now_ns() - start;
}

static int run_prompt(struct generation *run)
{
    const struct token_list *prompt = &run->prompt;
    em_u32 chunk = run->options->chunk != 0 ? run->options->chunk : prompt->count;
    em_logits_fn sink = run->options->digest ? add_to_digest : NULL;

    for (em_u32 first = 0; first < prompt->count; first += chunk) {
        em_u32 left = prompt->count - first;
        em_u64 start = now_ns();
        em_status status = em_prefill(run->model, prompt->ids + first, left < chunk ? left : chunk, sink, &run->digest);

        run->timing.prompt_ns += now_ns() - start;
        if (status != EM_OK) {
            return fail_status(run->failure, status, "prompt");
        }
    }
    run->timing.prompt_ns -= run->digest.ns; /* the sink ran inside em_prefill */
    run->timing.prompt_tokens = prompt->count;
    run->timing.all_logits = run->options->digest;
    return 0;
}

/* The logits behind one more token: by itself, or in a window that slid on by one. */
static em_status add_token(struct generation *run, em_i32 id)
{
    em_status status;

    run->ids[run->id_count++] = id;
    if (em_position(run->model) < EM_CONTEXT) {
        return em_decode(run->model, id);
    }
    status = em_rewind(run->model, 0);
    return status != EM_OK
               ? status
               : em_prefill(run->model, run->ids + run->id_count - EM_CONTEXT, EM_CONTEXT, NULL, NULL);
}

/* One token: the decode of the one before (there is none before the first), and the choice of the next. */
static int choose_token(struct generation *run, em_u32 index, struct em_sampler *sampler, em_i32 *id)
{
    em_u64 start = now_ns(), ns = 0;
    em_status status;

    if (index != 0) {
        status = add_token(run, *id);
        ns = now_ns() - start;
        if (status != EM_OK) {
            return fail_status(run->failure, status, "decode");
        }
        if (run->options->digest) {
            add_to_digest(&run->digest, 0, em_logits(run->model));
        }
        start = now_ns();
    }
    status = em_sample(run->model, sampler, id);
    ns += now_ns() - start;
    if (status != EM_OK) {
        return fail_status(run->failure, status, "sampling");
    }
    if (index != 0) {
        run->decode_ns[run->timing.decoded++] = ns;
    }
    if (text_next(run->model, &run->text, *id, run->failure) != 0) {
        return run->failure->exit_code;
    }
    return report_token(run->report, *id, ns, &run->text, run->failure);
}

static int run_tokens(struct generation *run, const char **reason)
{
    const struct options *options = run->options;
    struct em_sampler sampler = {options->temperature_q16, options->top_k, options->top_p_q16, 0};
    em_i32 id = 0;

    em_seed(&sampler, options->seed);
    for (em_u32 index = 0; index < options->tokens; index++) {
        int failed = interrupted() ? fail_status(run->failure, EM_E_CANCELLED, "generation")
                                   : choose_token(run, index, &sampler, &id);

        if (failed) {
            return failed;
        }
        if (em_is_end(id) && !options->ignore_end) {
            *reason = "end";
            return 0;
        }
    }
    *reason = "length";
    return 0;
}

/* The text continues the prompt's: a word that follows it keeps its space, a character it began is completed. */
static int read_prompt_text(struct generation *run)
{
    int failed = 0;

    for (em_u32 i = 0; i < run->prompt.count && !failed; i++) {
        failed = text_next(run->model, &run->text, run->prompt.ids[i], run->failure);
    }
    return failed;
}

static int check_fit(const struct generation *run)
{
    em_u64 positions = (em_u64)run->prompt.count + run->options->tokens;

    if (positions <= EM_CONTEXT || (run->options->slide && run->prompt.count <= EM_CONTEXT)) {
        return 0;
    }
    return fail_input(run->failure, "%u prompt tokens and --tokens %u do not fit the context of %u; see --slide", run->prompt.count,
                      run->options->tokens, EM_CONTEXT);
}

static int report_end(struct generation *run, const char *reason)
{
    struct em_sizes sizes;
    int failed = 0;

    em_query(&sizes);
    run->timing.decode = describe_durations(run->decode_ns, run->timing.decoded);
    failed = text_end(&run->text, run->failure);
    if (!failed && !run->report->as_records) { /* a person reads the end of the text before the figures */
        failed = report_done(run->report, reason, &run->text, run->failure);
    }
    if (!failed && run->options->digest) {
        failed = report_digest(run->report, run->digest.value, run->digest.positions, run->failure);
    }
    if (!failed) {
        failed = report_timing(run->report, &run->timing, run->failure);
    }
    if (!failed) {
        failed = report_memory(run->report, &sizes, run->failure);
    }
    if (!failed && run->report->as_records) { /* a program reads it last: nothing is missing */
        failed = report_done(run->report, reason, &run->text, run->failure);
    }
    return failed;
}

static int run_all(struct generation *run)
{
    const char *reason = NULL;
    int failed = prompt_tokens(run->model, run->options, &run->prompt, run->failure);

    if (!failed) {
        failed = check_fit(run);
    }
    if (!failed) {
        run->decode_ns = calloc((size_t)run->options->tokens + 1, sizeof(*run->decode_ns));
        run->ids = calloc((size_t)run->prompt.count + run->options->tokens, sizeof(*run->ids));
        if (run->decode_ns == NULL || run->ids == NULL) {
            failed = fail_system(run->failure, 0, "no memory for %u times", run->options->tokens);
        }
    }
    if (!failed) {
        memcpy(run->ids, run->prompt.ids, run->prompt.count * sizeof(*run->ids));
        run->id_count = run->prompt.count;
    }
    if (!failed) {
        failed = report_prompt(run->report, &run->prompt, run->failure);
    }
    if (!failed) {
        failed = read_prompt_text(run);
    }
    if (!failed) {
        failed = run_prompt(run);
    }
    if (!failed) {
        failed = run_tokens(run, &reason);
    }
    return failed ? failed : report_end(run, reason);
}

int generate(em_model *model, const struct options *options, struct report *report, struct failure *failure)
{
    struct generation run;
    int failed;

    memset(&run, 0, sizeof(run));
    run.model = model;
    run.options = options;
    run.report = report;
    run.failure = failure;
    run.digest.value = EM_DIGEST_INIT;
    run.timing.threads = options->threads;
    failed = run_all(&run);
    free(run.prompt.ids);
    free(run.decode_ns);
    free(run.ids);
    return failed;
}
