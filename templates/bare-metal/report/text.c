/*
 * report.c - for a person: the prompt, what follows it as it comes, and whether it is golden.
 * SPDX-License-Identifier: MIT-0
 */
#include "report.h"

#include "board.h"
#include "model.h"
#include "print.h"

void em_report_model(void)
{
    em_print(EM_MODEL_NAME ", " EM_TARGET_NAME ", on " EM_BOARD_NAME "\n");
}

/* Text, or the id where the model has no tokenizer. */
static void em_show(em_i32 id, const char *text, em_u32 bytes)
{
    if (EM_HAS_TOKENIZER) {
        em_print_bytes(text, bytes);
    } else {
        em_print_decimal((em_u64)id);
        em_print(" ");
    }
}

void em_report_prompt(const struct em_golden *golden)
{
    (void)golden;
}

void em_report_prompt_text(em_i32 id, const char *text, em_u32 bytes)
{
    em_show(id, text, bytes);
}

void em_report_token(em_u32 index, em_i32 id, em_u64 time, const char *text, em_u32 bytes)
{
    (void)time;
    if (index == 0) {
        em_print(" |");
    }
    em_show(id, text, bytes);
}

void em_report_run(const struct em_golden *golden, const struct em_run_result *result)
{
    em_print("\ndigest ");
    em_print_hex(result->digest);
    em_print(result->equal ? ", as golden; " : ", NOT as golden; ");
    em_print_decimal(golden->count);
    em_print(" tokens, ");
    em_print_decimal(result->time / golden->count);
    em_print(" cycles a token\n");
}

void em_report_end(em_u32 equal)
{
    em_print(equal ? "passed\n" : "failed: logits\n");
}

void em_report_failure(const char *what, const char *why)
{
    em_print("failed: ");
    em_print(what);
    em_print(": ");
    em_print(why);
    em_print("\n");
}

void em_report_fault(em_u64 cause, em_u64 at, em_u64 address)
{
    em_print("\nfailed: exception ");
    em_print_hex(cause);
    em_print(" at ");
    em_print_hex(at);
    em_print(", address ");
    em_print_hex(address);
    em_print("\n");
}
