/*
 * opener.h - a file that has /dev/embed_model open: a conversation with memory of its own.
 *
 * The answer is made by a work item and read through a pipe of bytes between the two. The work item is the only one that
 * touches the generation while `running` is 1, and system calls the only ones while it is 0.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#ifndef EM_OPENER_H
#define EM_OPENER_H

#include <linux/atomic.h>
#include <linux/kfifo.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "embed_model.h"
#include "generation.h"

/* What all openers did since the module was loaded. */
struct em_totals {
    atomic64_t prompt_tokens;
    atomic64_t tokens;
    atomic64_t tokens_ns;
};

struct em_opener {
    struct mutex lock; /* one system call at a time */
    struct em_generation generation;
    struct embed_model_settings settings;
    struct embed_model_statistics statistics;
    struct workqueue_struct *queue;
    struct em_totals *totals;
    struct work_struct work;
    struct kfifo pipe;       /* bytes of the answer: written by the work item, read under the lock */
    wait_queue_head_t wait;  /* for bytes, for room, for the end */
    em_i32 *ids;             /* of the prompt: EM_CONTEXT of them */
    u32 count;
    struct em_text_state text;
    int running;             /* the work item has not ended; written with release, read with acquire */
    int stopping;            /* it shall end soon */
    int error;               /* why it ended early, 0 or -errno; reported once */
};

/* A new opener, whose memory is charged to the caller. Or ERR_PTR(-ENOMEM). */
struct em_opener *em_opener_create(const struct em_weights *weights, struct workqueue_struct *queue,
                                   struct em_totals *totals);

/* Ends its answer, and waits for that: as long as a layer of the model takes. */
void em_opener_destroy(struct em_opener *opener);

/* How the next answers are made. -EINVAL for values out of range, -EBUSY while an answer is made. */
int em_opener_set(struct em_opener *opener, const struct embed_model_settings *settings);

/* Figures of the answer that is being made, or was. */
void em_opener_statistics(struct em_opener *opener, struct embed_model_statistics *statistics);

/*
 * Of an empty pipe: -EAGAIN while the answer is `running`; after that why it ended early, once; else 0. `running` was read before the
 * pipe was found empty.
 */
int em_opener_end(struct em_opener *opener, bool running);

/* Takes a prompt, and starts the answer. */
int em_opener_ask(struct em_opener *opener, const void *prompt, size_t bytes);

/* Ends the answer soon. */
void em_opener_stop(struct em_opener *opener);

/* Whether read() would not wait. */
static inline bool em_opener_readable(struct em_opener *opener)
{
    return !smp_load_acquire(&opener->running) || !kfifo_is_empty(&opener->pipe);
}

#endif /* EM_OPENER_H */
