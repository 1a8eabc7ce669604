/*
 * failure.c - messages and exit codes.
 * SPDX-License-Identifier: MIT-0
 */
#define _POSIX_C_SOURCE 200809L
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void set(struct failure *failure, int exit_code, const char *status, const char *format, va_list arguments)
{
    failure->exit_code = exit_code;
    failure->status = status;
    vsnprintf(failure->message, sizeof(failure->message), format, arguments);
}

int fail_usage(struct failure *failure, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    set(failure, EXIT_INPUT, "usage", format, arguments);
    va_end(arguments);
    return EXIT_INPUT;
}

int fail_input(struct failure *failure, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    set(failure, EXIT_INPUT, "input", format, arguments);
    va_end(arguments);
    return EXIT_INPUT;
}

int fail_system(struct failure *failure, int error, const char *format, ...)
{
    va_list arguments;
    size_t used;

    va_start(arguments, format);
    set(failure, EXIT_SURROUNDINGS, "system", format, arguments);
    va_end(arguments);
    used = strlen(failure->message);
    if (error != 0) {
        snprintf(failure->message + used, sizeof(failure->message) - used, ": %s", strerror(error));
    }
    return EXIT_SURROUNDINGS;
}

/* What the reader can do about a status; the name says what happened. */
static const char *advice(em_status status)
{
    switch (status) {
    case EM_E_BLOB_TRUNCATED:
        return "the blob is cut short: copy it again";
    case EM_E_BLOB_MAGIC:
        return "this is not a blob that this program can read: give the model.blob it was built with";
    case EM_E_BLOB_CHECKSUM:
    case EM_E_BLOB_TABLE:
        return "header or table of the blob is damaged: copy it again";
    case EM_E_BLOB_BUILD:
        return "blob and program come from different builds: give the model.blob this program was built with";
    case EM_E_PAYLOAD:
        return "the weights in the blob are damaged: copy it again";
    case EM_E_TOKENIZER:
        return "this model has no tokenizer, or its table is damaged: give token ids with --ids";
    case EM_E_TEXT:
        return "the tokenizer has no ids for this text";
    case EM_E_CONTEXT:
    case EM_E_CAPACITY:
        return "prompt and tokens do not fit the context";
    case EM_E_CANCELLED:
        return "interrupted";
    default:
        return "the model library refused; this should not happen";
    }
}

static int is_input_status(em_status status)
{
    switch (status) {
    case EM_E_BLOB_TRUNCATED:
    case EM_E_BLOB_MAGIC:
    case EM_E_BLOB_CHECKSUM:
    case EM_E_BLOB_BUILD:
    case EM_E_BLOB_TABLE:
    case EM_E_PAYLOAD:
    case EM_E_TOKEN:
    case EM_E_CONTEXT:
    case EM_E_CAPACITY:
    case EM_E_TOKENIZER:
    case EM_E_TEXT:
        return 1;
    default:
        return 0;
    }
}

int fail_status(struct failure *failure, em_status status, const char *where)
{
    failure->exit_code = status == EM_E_CANCELLED ? EXIT_INTERRUPTED
                         : is_input_status(status) ? EXIT_INPUT
                                                   : EXIT_SURROUNDINGS;
    failure->status = em_status_name(status);
    snprintf(failure->message, sizeof(failure->message), "%s: %s", where, advice(status));
    return failure->exit_code;
}
