/*
 * text.h - token ids of the prompt, and text of the tokens that follow.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_TEXT_H
#define RUNNER_TEXT_H

#include "em.h"
#include "failure.h"
#include "options.h"
#include "records.h"

struct token_list {
    em_i32 *ids; /* free() it */
    em_u32 count;
};

/*
 * Ids of --ids as they are, or of --prompt with the beginning-of-text token where the tokenizer adds one. Without
 * either, or with an empty prompt, the beginning-of-text token alone. All ids are within the vocabulary; there is at
 * least one.
 */
int prompt_tokens(const em_model *model, const struct options *options, struct token_list *prompt,
                  struct failure *failure);

/* Text comes out token by token, as whole UTF-8 sequences. Zero it before the first token. */
struct text_stream {
    struct em_text_state state;
    em_u32 bytes;
    char text[RECORD_TEXT_BYTES]; /* what the last token added: bytes of it count */
};

/* A model without tokenizer adds no text. */
int text_next(const em_model *model, struct text_stream *stream, em_i32 id, struct failure *failure);

/* What was still waiting for the rest of a UTF-8 sequence. */
int text_end(struct text_stream *stream, struct failure *failure);

#endif /* RUNNER_TEXT_H */
