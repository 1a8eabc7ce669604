/*
 * api.c - what other modules call: openers without a file.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include "embed_model_api.h"

#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/minmax.h>

#include "device.h"
#include "opener.h"

static struct em_opener *em_opener_of(struct embed_model_conversation *conversation)
{
    return (struct em_opener *)conversation;
}

struct embed_model_conversation *embed_model_open(void)
{
    might_sleep();
    return (struct embed_model_conversation *)em_device_open();
}
EXPORT_SYMBOL_GPL(embed_model_open);

void embed_model_close(struct embed_model_conversation *conversation)
{
    might_sleep();
    em_device_close(em_opener_of(conversation));
}
EXPORT_SYMBOL_GPL(embed_model_close);

int embed_model_ask(struct embed_model_conversation *conversation, const struct embed_model_settings *settings,
                    const void *prompt, size_t bytes)
{
    struct em_opener *opener = em_opener_of(conversation);
    int failed;

    if (bytes > EMBED_MODEL_PROMPT_BYTES) {
        return -EMSGSIZE;
    }
    if (bytes == 0) {
        return -EINVAL;
    }
    mutex_lock(&opener->lock);
    failed = settings ? em_opener_set(opener, settings) : 0;
    if (!failed) {
        failed = em_opener_ask(opener, prompt, bytes);
    }
    mutex_unlock(&opener->lock);
    return failed;
}
EXPORT_SYMBOL_GPL(embed_model_ask);

static ssize_t em_answer_now(struct em_opener *opener, void *to, size_t bytes)
{
    bool running = smp_load_acquire(&opener->running); /* before the look into the pipe: nothing comes after it */
    unsigned int taken = kfifo_out(&opener->pipe, to, min_t(size_t, bytes, INT_MAX));

    if (taken == 0) {
        return em_opener_end(opener, running);
    }
    wake_up_all(&opener->wait);
    return taken;
}

ssize_t embed_model_answer(struct embed_model_conversation *conversation, void *to, size_t bytes)
{
    struct em_opener *opener = em_opener_of(conversation);
    ssize_t result;

    for (;;) {
        mutex_lock(&opener->lock);
        result = em_answer_now(opener, to, bytes);
        mutex_unlock(&opener->lock);
        if (result != -EAGAIN) {
            return result;
        }
        if (wait_event_interruptible(opener->wait, em_opener_readable(opener))) {
            return -ERESTARTSYS;
        }
    }
}
EXPORT_SYMBOL_GPL(embed_model_answer);

void embed_model_statistics(struct embed_model_conversation *conversation, struct embed_model_statistics *statistics)
{
    struct em_opener *opener = em_opener_of(conversation);

    mutex_lock(&opener->lock);
    em_opener_statistics(opener, statistics);
    mutex_unlock(&opener->lock);
}
EXPORT_SYMBOL_GPL(embed_model_statistics);
