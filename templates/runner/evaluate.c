/*
 * evaluate.c - one window in memory at a time; logits are written as they come.
 * SPDX-License-Identifier: MIT-0
 */
#define _POSIX_C_SOURCE 200809L
#include "evaluate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "interrupt.h"
#include "model.h"

/* An id as files have it: two bytes, or four where a vocabulary needs them. */
#if EM_VOCAB > 65536
typedef em_u32 stored_id;
#else
typedef em_u16 stored_id;
#endif

struct evaluation {
    em_model *model;
    const struct options *options;
    struct failure *failure;
    FILE *in;
    FILE *out;
    stored_id *stored; /* ids of a window as the file has them */
    em_i32 *ids;       /* and as the model takes them */
    int write_error;   /* errno of the first failed write, or 0 */
};

/* An em_logits_fn. */
static void write_logits(void *user, em_u32 position, const em_i32 *logits)
{
    struct evaluation *run = user;

    (void)position;
    if (run->write_error == 0) {
        errno = 0;
        if (fwrite(logits, sizeof(*logits), EM_VOCAB, run->out) != EM_VOCAB) {
            run->write_error = errno != 0 ? errno : EIO;
        }
    }
}

/* How many windows the options select. */
static int count_windows(struct evaluation *run, em_u64 *windows)
{
    const struct options *options = run->options;
    em_u64 available, ids;
    off_t bytes;

    if (fseeko(run->in, 0, SEEK_END) != 0 || (bytes = ftello(run->in)) < 0) {
        return fail_input(run->failure, "cannot read %s: %s", options->ids_file, strerror(errno));
    }
    if ((em_u64)bytes % sizeof(stored_id) != 0) {
        return fail_input(run->failure, "%s: its size is no multiple of %d bytes, those of an id", options->ids_file,
                          (int)sizeof(stored_id));
    }
    ids = (em_u64)bytes / sizeof(stored_id);
    available = ids / options->window;
    if (options->first_window + (em_u64)(options->windows != 0 ? options->windows : 1) > available) {
        return fail_input(run->failure, "%s has %llu ids: %llu windows of %u", options->ids_file,
                          (unsigned long long)ids, (unsigned long long)available, options->window);
    }
    *windows = options->windows != 0 ? options->windows : available - options->first_window;
    return 0;
}

static int read_window(struct evaluation *run)
{
    em_u32 window = run->options->window;

    if (fread(run->stored, sizeof(*run->stored), window, run->in) != window) {
        return fail_input(run->failure, "cannot read %s to its end", run->options->ids_file);
    }
    for (em_u32 i = 0; i < window; i++) {
        em_u32 id = run->stored[i];

        if (id >= (em_u32)EM_VOCAB) {
            return fail_input(run->failure, "%s: token id %u is outside the vocabulary of %d", run->options->ids_file,
                              id, EM_VOCAB);
        }
        run->ids[i] = (em_i32)id;
    }
    return 0;
}

static int run_window(struct evaluation *run)
{
    em_u32 window = run->options->window, chunk = run->options->chunk != 0 ? run->options->chunk : window;
    em_status status = em_rewind(run->model, 0);

    for (em_u32 first = 0; first < window && status == EM_OK && run->write_error == 0; first += chunk) {
        em_u32 left = window - first, count = left < chunk ? left : chunk;

        status = interrupted() ? EM_E_CANCELLED : em_prefill(run->model, run->ids + first, count, write_logits, run);
    }
    if (status != EM_OK) {
        return fail_status(run->failure, status, "evaluation");
    }
    if (run->write_error == 0 && fflush(run->out) != 0) {
        run->write_error = errno;
    }
    if (run->write_error != 0) {
        return fail_system(run->failure, run->write_error, "cannot write logits to %s", run->options->logits);
    }
    return 0;
}

static int run_windows(struct evaluation *run)
{
    const struct options *options = run->options;
    off_t start = (off_t)options->first_window * (off_t)options->window * (off_t)sizeof(stored_id);
    em_u64 windows = 0;
    int failed = count_windows(run, &windows);

    if (!failed && fseeko(run->in, start, SEEK_SET) != 0) {
        failed = fail_input(run->failure, "cannot read %s: %s", options->ids_file, strerror(errno));
    }
    for (; windows != 0 && !failed; windows--) {
        failed = read_window(run);
        if (!failed) {
            failed = run_window(run);
        }
    }
    return failed;
}

static int open_files(struct evaluation *run)
{
    const struct options *options = run->options;

    if (options->window > EM_CONTEXT) {
        return fail_usage(run->failure, "--window %u is more than the context of %u", options->window, EM_CONTEXT);
    }
    run->in = fopen(options->ids_file, "rb");
    if (run->in == NULL) {
        return fail_input(run->failure, "cannot open %s: %s", options->ids_file, strerror(errno));
    }
    run->out = strcmp(options->logits, "-") == 0 ? stdout : fopen(options->logits, "wb");
    if (run->out == NULL) {
        return fail_system(run->failure, errno, "cannot create %s", options->logits);
    }
    run->stored = calloc(options->window, sizeof(*run->stored));
    run->ids = calloc(options->window, sizeof(*run->ids));
    if (run->stored == NULL || run->ids == NULL) {
        return fail_system(run->failure, 0, "no memory for windows of %u", options->window);
    }
    return 0;
}

static int close_files(struct evaluation *run, int failed)
{
    if (run->in != NULL) {
        fclose(run->in);
    }
    if (run->out != NULL && run->out != stdout && fclose(run->out) != 0 && !failed) {
        failed = fail_system(run->failure, errno, "cannot write logits to %s", run->options->logits);
    }
    free(run->stored);
    free(run->ids);
    return failed;
}

int evaluate(em_model *model, const struct options *options, struct failure *failure)
{
    struct evaluation run = {model, options, failure, NULL, NULL, NULL, NULL, 0};
    int failed = open_files(&run);

    return close_files(&run, failed ? failed : run_windows(&run));
}
