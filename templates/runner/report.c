/*
 * report.c - one function an event, with both views of it together.
 * SPDX-License-Identifier: MIT-0
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "model.h"
#include "peak_memory.h"

/* Ids in one prompt record: short enough for the line buffers on the way. */
#define PROMPT_IDS 64u

static int written(int error, struct failure *failure)
{
    return error == 0 ? 0 : fail_system(failure, error, "cannot write to standard output");
}

/* Text as it comes, seen at once. */
static int write_text(const char *text, size_t bytes, struct failure *failure)
{
    errno = 0;
    if (fwrite(text, 1, bytes, stdout) != bytes || fflush(stdout) != 0) {
        return written(errno != 0 ? errno : EIO, failure);
    }
    return 0;
}

void report_open(struct report *report, em_u32 as_records)
{
    report->as_records = as_records;
    report->tokens = 0;
    records_open(&report->records, stdout);
}

int report_ready(struct report *report, struct failure *failure)
{
    struct records *records = &report->records;

    if (!report->as_records) {
        return 0;
    }
    record_begin(records, "ready");
    record_hex(records, "build", em_build_id, 32);
    record_text(records, "model", EM_MODEL_NAME, strlen(EM_MODEL_NAME));
    record_text(records, "target", EM_TARGET_NAME, strlen(EM_TARGET_NAME));
    record_integer(records, "abi", EM_ABI_VERSION);
    record_integer(records, "vocab", EM_VOCAB);
    record_integer(records, "context", EM_CONTEXT);
    record_integer(records, "logits_frac", EM_LOGITS_FRAC);
    return written(record_end(records), failure);
}

int report_prompt(struct report *report, const struct token_list *prompt, struct failure *failure)
{
    struct records *records = &report->records;
    int failed = 0;

    for (em_u32 first = 0; report->as_records && first < prompt->count && !failed; first += PROMPT_IDS) {
        em_u32 left = prompt->count - first;

        record_begin(records, "prompt");
        record_integer(records, "first", first);
        record_ids(records, "ids", prompt->ids + first, left < PROMPT_IDS ? left : PROMPT_IDS);
        failed = written(record_end(records), failure);
    }
    return failed;
}

int report_token(struct report *report, em_i32 id, em_u64 ns, const struct text_stream *text, struct failure *failure)
{
    struct records *records = &report->records;
    em_u32 index = report->tokens++;
    char number[16];

    if (report->as_records) {
        record_begin(records, "token");
        record_integer(records, "index", index);
        record_integer(records, "id", (em_u64)id);
        record_integer(records, "ns", ns);
        record_text(records, "text", text->text, text->bytes);
        return written(record_end(records), failure);
    }
    if (EM_HAS_TOKENIZER) {
        return write_text(text->text, text->bytes, failure);
    }
    snprintf(number, sizeof(number), index == 0 ? "%d" : " %d", id);
    return write_text(number, strlen(number), failure);
}

int report_digest(struct report *report, em_u64 digest, em_u32 positions, struct failure *failure)
{
    struct records *records = &report->records;

    if (!report->as_records) {
        fprintf(stderr, "logits digest %016" PRIx64 " over %u positions\n", digest, positions);
        return 0;
    }
    record_begin(records, "digest");
    record_integer(records, "positions", positions);
    record_digest(records, "value", digest);
    return written(record_end(records), failure);
}

static void print_rate(const char *what, em_u32 steps, em_u64 ns)
{
    em_u64 rate = milli_per_second(steps, ns);

    fprintf(stderr, "%s %u tokens, %" PRIu64 ".%03" PRIu64 " tokens/s", what, steps, rate / 1000, rate % 1000);
}

int report_timing(struct report *report, const struct timing *timing, struct failure *failure)
{
    struct records *records = &report->records;

    if (!report->as_records) {
        print_rate("prompt", timing->prompt_tokens, timing->prompt_ns);
        print_rate("; decode", timing->decoded, timing->decode.total);
        fprintf(stderr, "; %u %s\n", timing->threads, timing->threads == 1 ? "thread" : "threads");
        return 0;
    }
    record_begin(records, "timing");
    record_integer(records, "threads", timing->threads);
    record_integer(records, "prompt_tokens", timing->prompt_tokens);
    record_integer(records, "prompt_ns", timing->prompt_ns);
    record_integer(records, "all_logits", timing->all_logits);
    record_integer(records, "decoded", timing->decoded);
    record_integer(records, "decode_ns", timing->decode.total);
    record_integer(records, "min", timing->decode.min);
    record_integer(records, "p50", timing->decode.p50);
    record_integer(records, "p90", timing->decode.p90);
    record_integer(records, "p99", timing->decode.p99);
    record_integer(records, "max", timing->decode.max);
    record_integer(records, "milli_tokens_per_s", milli_per_second(timing->decoded, timing->decode.total));
    return written(record_end(records), failure);
}

int report_memory(struct report *report, const struct em_sizes *sizes, struct failure *failure)
{
    struct records *records = &report->records;
    em_u64 peak = peak_rss_bytes();

    if (!report->as_records) {
        return 0;
    }
    record_begin(records, "memory");
    record_integer(records, "arena", sizes->arena);
    record_integer(records, "state", sizes->state);
    record_integer(records, "kv", sizes->kv_cache);
    record_integer(records, "activations", sizes->activations);
    record_integer(records, "blob", sizes->blob);
    if (peak != 0) {
        record_integer(records, "peak_rss", peak);
    }
    return written(record_end(records), failure);
}

int report_done(struct report *report, const char *reason, const struct text_stream *text, struct failure *failure)
{
    struct records *records = &report->records;
    int failed;

    if (!report->as_records) {
        failed = write_text(text->text, text->bytes, failure);
        return failed ? failed : write_text("\n", 1, failure);
    }
    record_begin(records, "done");
    record_text(records, "reason", reason, strlen(reason));
    record_integer(records, "tokens", report->tokens);
    record_text(records, "text", text->text, text->bytes);
    return written(record_end(records), failure);
}

void report_failure(struct report *report, const struct failure *failure)
{
    struct records *records = &report->records;

    if (!report->as_records) {
        if (report->tokens != 0) { /* the text so far stands on a line without an end */
            fputc('\n', stdout);
            fflush(stdout);
        }
        fprintf(stderr, "em-run: %s: %s\n", failure->status, failure->message);
        return;
    }
    record_begin(records, "error");
    record_text(records, "status", failure->status, strlen(failure->status));
    record_integer(records, "exit", (em_u64)failure->exit_code);
    record_text(records, "message", failure->message, strlen(failure->message));
    (void)record_end(records);
}
