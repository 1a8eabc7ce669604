/*
 * report.h - what a run tells: text on standard output and a summary on standard error for a person, records for a
 * program.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_REPORT_H
#define RUNNER_REPORT_H

#include "clock.h"
#include "em.h"
#include "failure.h"
#include "records.h"
#include "text.h"

struct report {
    em_u32 as_records;
    em_u32 tokens; /* reported so far */
    struct records records;
};

struct timing {
    em_u32 threads;
    em_u32 prompt_tokens;
    em_u32 all_logits; /* whether the prompt's time includes the logits of every position, as a digest needs them */
    em_u64 prompt_ns;
    em_u32 decoded; /* decode steps: the first token comes from the prompt's logits and is not one */
    struct durations decode;
};

void report_open(struct report *report, em_u32 as_records);

/* Each returns 0, or the exit code of a failure to write. */
int report_ready(struct report *report, struct failure *failure);
int report_prompt(struct report *report, const struct token_list *prompt, struct failure *failure);
/* ns: the decode of the token before, where there was one, and sampling. */
int report_token(struct report *report, em_i32 id, em_u64 ns, const struct text_stream *text, struct failure *failure);
int report_digest(struct report *report, em_u64 digest, em_u32 positions, struct failure *failure);
int report_timing(struct report *report, const struct timing *timing, struct failure *failure);
int report_memory(struct report *report, const struct em_sizes *sizes, struct failure *failure);
/* reason: "length" or "end" (an id that ends generation). text: what was still pending. */
int report_done(struct report *report, const char *reason, const struct text_stream *text, struct failure *failure);

/* The last thing a run says where it failed. Never fails itself. */
void report_failure(struct report *report, const struct failure *failure);

#endif /* RUNNER_REPORT_H */
