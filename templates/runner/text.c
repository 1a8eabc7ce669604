/*
 * text.c - the tokenizer of the model's library, with memory around it.
 * SPDX-License-Identifier: MIT-0
 */
#include "text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static int allocate(struct token_list *prompt, em_u32 capacity, struct failure *failure)
{
    prompt->count = 0;
    prompt->ids = calloc(capacity, sizeof(*prompt->ids));
    return prompt->ids != NULL ? 0 : fail_system(failure, 0, "no memory for %u token ids", capacity);
}

/* "1,2,3" */
static int parse_ids(const char *text, struct token_list *prompt, struct failure *failure)
{
    em_u64 id = 0;

    for (;;) {
        size_t length = strcspn(text, ",");
        char number[16] = {0};

        if (length < sizeof(number)) {
            memcpy(number, text, length);
        }
        if (!parse_integer(number, 0, INT_MAX, &id)) {
            return fail_usage(failure, "--ids takes integers with commas between, not '%s'", text);
        }
        if (id >= EM_VOCAB) {
            return fail_input(failure, "token id %llu is outside the vocabulary of %d", (unsigned long long)id,
                              EM_VOCAB);
        }
        if (prompt->count > EM_CONTEXT) {
            return fail_input(failure, "--ids has more ids than the context of %u", EM_CONTEXT);
        }
        prompt->ids[prompt->count++] = (em_i32)id;
        if (text[length] == 0) {
            return 0;
        }
        text += length + 1;
    }
}

static int tokenize(const em_model *model, const char *text, struct token_list *prompt, struct failure *failure)
{
    em_u64 bytes = strlen(text), scratch_bytes = em_tokenize_scratch(model, bytes);
    void *scratch = malloc(scratch_bytes == 0 ? 1 : scratch_bytes);
    em_status status;

    if (scratch == NULL) {
        return fail_system(failure, 0, "no memory to tokenize %llu bytes", (unsigned long long)bytes);
    }
    status = em_tokenize(model, text, bytes, EM_TOKENIZE_BOS | EM_TOKENIZE_SPECIAL, prompt->ids, EM_CONTEXT + 1,
                         &prompt->count, scratch, scratch_bytes);
    free(scratch);
    return status == EM_OK ? 0 : fail_status(failure, status, "--prompt");
}

int prompt_tokens(const em_model *model, const struct options *options, struct token_list *prompt,
                  struct failure *failure)
{
    int failed = allocate(prompt, EM_CONTEXT + 1, failure);

    if (failed) {
        return failed;
    }
    if (options->ids != NULL) {
        return parse_ids(options->ids, prompt, failure);
    }
    if (options->prompt != NULL || EM_HAS_TOKENIZER) {
        failed = tokenize(model, options->prompt != NULL ? options->prompt : "", prompt, failure);
    }
    if (!failed && prompt->count == 0) {
        if (EM_BOS_ID < 0) {
            return fail_usage(failure, "nothing to start from: give --prompt or --ids");
        }
        prompt->ids[prompt->count++] = EM_BOS_ID;
    }
    return failed;
}

int text_next(const em_model *model, struct text_stream *stream, em_i32 id, struct failure *failure)
{
    em_status status;

    stream->bytes = 0;
    if (!EM_HAS_TOKENIZER) {
        return 0;
    }
    status = em_detokenize(model, &stream->state, id, stream->text, sizeof(stream->text), &stream->bytes);
    return status == EM_OK ? 0 : fail_status(failure, status, "text of a token");
}

int text_end(struct text_stream *stream, struct failure *failure)
{
    em_status status;

    stream->bytes = 0;
    if (!EM_HAS_TOKENIZER) {
        return 0;
    }
    status = em_detokenize_end(&stream->state, stream->text, sizeof(stream->text), &stream->bytes);
    return status == EM_OK ? 0 : fail_status(failure, status, "end of the text");
}
