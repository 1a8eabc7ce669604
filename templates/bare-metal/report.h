/*
 * report.h - what the program tells: text for a person (report/text.c), or records for a program (report/records.c).
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_REPORT_H
#define EM_REPORT_H

#include "golden.h"

/* What a golden run came to. */
struct em_run_result {
    em_u64 digest;
    em_u32 positions; /* in the digest */
    em_u32 equal;     /* 1: tokens and logits are golden */
    em_u64 time;      /* of em_now: decodes and choices of tokens */
};

void em_report_model(void);
/* Before the prompt is computed, and then for each of its tokens. */
void em_report_prompt(const struct em_golden *golden);
void em_report_prompt_text(em_i32 id, const char *text, em_u32 bytes);
/* time: of em_now, for the decode of the token before, where there was one, and its choice. */
void em_report_token(em_u32 index, em_i32 id, em_u64 time, const char *text, em_u32 bytes);
void em_report_run(const struct em_golden *golden, const struct em_run_result *result);
void em_report_end(em_u32 equal);
/* what: where it happened. */
void em_report_failure(const char *what, const char *why);
void em_report_fault(em_u64 cause, em_u64 at, em_u64 address);

#endif /* EM_REPORT_H */
