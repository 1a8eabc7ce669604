/*
 * em-run - runs a compiled model on a hosted system: the only part that uses libc, and no floating point either.
 *
 *     em-run model.blob [--prompt TEXT | --ids 1,2,3] [options]        em-run --help
 *
 * Exit codes: 0 done, 2 bad input or usage, 3 the surroundings failed, 130 interrupted.
 * SPDX-License-Identifier: MIT-0
 */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blob_source.h"
#include "evaluate.h"
#include "failure.h"
#include "generate.h"
#include "interrupt.h"
#include "model.h"
#include "options.h"
#include "pool.h"
#include "report.h"
#include "trace.h"

static const char help[] =
    "em-run model.blob [--prompt TEXT | --ids 1,2,3] [options]\n"
    "\n"
    "  model.blob         the weights; left out where the program was built with --single-file and holds them\n"
    "  --tokens N         generate at most N tokens (64)\n"
    "  --threads N        run on N threads; 0: one a processor (1)\n"
    "  --temperature T    sample at this temperature (0: greedy, the most likely token)\n"
    "  --top-k K          sample among the K most likely tokens\n"
    "  --top-p P          sample among the most likely tokens that make up P of the probability\n"
    "  --seed S           start of the random numbers (0)\n"
    "  --records          write machine records instead of text\n"
    "  --digest           digest of all logits, for comparison with other machines; --records includes it\n"
    "  --no-digest        not with --records either: the prompt's time is then without the logits in between\n"
    "  --chunk N          give the model N prompt tokens at a time (all of them)\n"
    "  --trace FILE       dump the output of every op\n"
    "  --slide            beyond the context, compute the last positions again from 0 for every token\n"
    "  --ignore-end       go on after a token that ends the text, for measurements of as many tokens as were asked for\n"
    "  --no-verify        do not compare the SHA-256 of the weights first\n"
    "  --logits FILE --ids-file FILE --window N [--first-window A] [--windows B]\n"
    "                     write the logits of every position of windows of raw uint16 ids; FILE may be - for stdout\n"
    "  --help, --version\n";

struct session {
    struct options options;
    struct report report;
    struct failure failure;
    struct blob_source blob;
    struct trace trace;
    struct pool *pool;
    void *arena;
    em_model *model;
};

static void print_version(void)
{
    printf("em-run %s for %s, interface %u, build ", EM_MODEL_NAME, EM_TARGET_NAME, EM_ABI_VERSION);
    for (int i = 0; i < 32; i++) {
        printf("%02x", em_build_id[i]);
    }
    printf("\n");
}

static int open_threads(struct session *session)
{
    if (session->options.threads == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);

        session->options.threads = processors < 1 ? 1 : (em_u32)processors;
    }
    if (session->options.threads == 1) {
        return 0;
    }
    return pool_open(&session->pool, session->options.threads, &session->failure);
}

static int open_model(struct session *session)
{
    const struct options *options = &session->options;
    struct em_config config = {0};
    struct em_sizes sizes;
    em_status status;

    em_query(&sizes);
    if (posix_memalign(&session->arena, EM_ALIGNMENT, sizes.arena) != 0) {
        session->arena = NULL;
        return fail_system(&session->failure, 0, "no memory for an arena of %llu bytes",
                           (unsigned long long)sizes.arena);
    }
    config.threads = options->threads;
    if (session->pool != NULL) {
        config.parallel = pool_run;
        config.pool = session->pool;
    }
    if (session->trace.file != NULL) {
        config.trace = trace_write;
        config.trace_user = &session->trace;
    }
    status = em_init(&session->model, session->arena, sizes.arena, session->blob.data, session->blob.bytes, &config);
    if (status == EM_OK && !options->no_verify) {
        status = em_verify(session->model);
    }
    return status == EM_OK ? 0 : fail_status(&session->failure, status, session->blob.name);
}

static int run_session(struct session *session)
{
    struct options *options = &session->options;
    struct failure *failure = &session->failure;
    int failed;

    failed = blob_open(&session->blob, options->blob, EM_BLOB_BYTES, failure);
    if (!failed) {
        failed = open_threads(session);
    }
    if (!failed && options->trace != NULL) {
        failed = trace_open(&session->trace, options->trace, failure);
    }
    if (!failed) {
        failed = open_model(session);
    }
    if (failed) {
        return failed;
    }
    interrupt_install(session->model);
    if (options->logits != NULL) {
        return evaluate(session->model, options, failure);
    }
    failed = report_ready(&session->report, failure);
    return failed ? failed : generate(session->model, options, &session->report, failure);
}

/* Returns the exit code: that of the run, or of closing what it wrote. */
static int close_session(struct session *session, int failed)
{
    struct failure failure;
    int trace_failed = trace_close(&session->trace, &failure);

    pool_close(session->pool);
    free(session->arena);
    blob_close(&session->blob);
    if (!failed && trace_failed) {
        session->failure = failure;
        return trace_failed;
    }
    return failed;
}

int main(int argc, char **argv)
{
    static struct session session;
    int failed = parse_options(&session.options, argc, argv, &session.failure);

    signal(SIGPIPE, SIG_IGN); /* a reader that went away is a failed write, with its message and exit code */
    report_open(&session.report, session.options.records);
    if (!failed && session.options.help) {
        fputs(help, stdout);
    } else if (!failed && session.options.version) {
        print_version();
    } else if (!failed) {
        failed = close_session(&session, run_session(&session));
    }
    if (failed) {
        report_failure(&session.report, &session.failure);
    }
    return failed;
}
