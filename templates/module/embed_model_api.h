/*
 * embed_model_api.h - the model for other modules. Their licence must be compatible with the GPL.
 *
 * A conversation is what an open file of /dev/embed_model is in user space, and counts among `sessions`. Every function may sleep: call
 * them from process context without locks that spin. One conversation is one caller's at a time.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#ifndef EMBED_MODEL_API_H
#define EMBED_MODEL_API_H

#include <linux/types.h>

#include "embed_model.h"

struct embed_model_conversation;

/* ERR_PTR(-EBUSY) where there are as many conversations as may be, ERR_PTR(-ENOMEM). */
struct embed_model_conversation *embed_model_open(void);

/* Ends the answer that is being made, too. */
void embed_model_close(struct embed_model_conversation *conversation);

/*
 * Gives a prompt and starts the answer. settings: NULL leaves them as they are. 0, -EBUSY before the last answer is read to its end,
 * -EINVAL, -E2BIG, -EMSGSIZE, -EILSEQ or -ENOMEM as write() has them.
 */
int embed_model_ask(struct embed_model_conversation *conversation, const struct embed_model_settings *settings,
                    const void *prompt, size_t bytes);

/* Bytes of the answer, as many as there are; waits for the first. 0 at the end; -ERESTARTSYS where a signal came before. */
ssize_t embed_model_answer(struct embed_model_conversation *conversation, void *to, size_t bytes);

void embed_model_statistics(struct embed_model_conversation *conversation, struct embed_model_statistics *statistics);

#endif /* EMBED_MODEL_API_H */
