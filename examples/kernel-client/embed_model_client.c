/*
 * embed_model_client.c - an example: asks the model when it is loaded, and has the answer in the kernel's log.
 *
 *     insmod embed_model_client.ko prompt='"PCI device 8086:10d3 is"' tokens=24
 *
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "embed_model_api.h"

#define ANSWER_BYTES 4096

static char *prompt = "Hello";
module_param(prompt, charp, 0444);
MODULE_PARM_DESC(prompt, "what to ask");

static unsigned int tokens = 24;
module_param(tokens, uint, 0444);
MODULE_PARM_DESC(tokens, "most tokens of the answer (24)");

/* The whole answer as a string, or what of it fits. */
static int read_answer(struct embed_model_conversation *conversation, char *answer)
{
    size_t length = 0;
    ssize_t bytes = 1;

    while (bytes > 0 && length < ANSWER_BYTES - 1) {
        bytes = embed_model_answer(conversation, answer + length, ANSWER_BYTES - 1 - length);
        length += bytes > 0 ? (size_t)bytes : 0;
    }
    answer[length] = '\0';
    return bytes < 0 ? (int)bytes : 0;
}

static int ask(struct embed_model_conversation *conversation, char *answer)
{
    struct embed_model_settings settings = {.flags = EMBED_MODEL_DIGEST, .tokens = tokens};
    struct embed_model_statistics statistics;
    int failed = embed_model_ask(conversation, &settings, prompt, strlen(prompt));

    if (!failed) {
        failed = read_answer(conversation, answer);
    }
    if (!failed) {
        embed_model_statistics(conversation, &statistics);
        pr_info("embed_model_client: %u tokens, digest %016llx of %u positions:%s\n", statistics.tokens,
                (unsigned long long)statistics.digest, statistics.positions, answer);
    }
    return failed;
}

static int __init client_init(void)
{
    struct embed_model_conversation *conversation = embed_model_open();
    char *answer;
    int failed;

    if (IS_ERR(conversation)) {
        return PTR_ERR(conversation);
    }
    answer = kmalloc(ANSWER_BYTES, GFP_KERNEL);
    failed = answer ? ask(conversation, answer) : -ENOMEM;
    kfree(answer);
    embed_model_close(conversation);
    return failed;
}

static void __exit client_exit(void)
{
}

module_init(client_init);
module_exit(client_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("example of a module that asks embed_model");
