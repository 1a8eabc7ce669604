/*
 * main.c - the golden runs on a machine without an operating system: tokens as they come, cycles, digests.
 * SPDX-License-Identifier: MIT-0
 */
#include "board.h"
#include "golden.h"
#include "machine.h"
#include "model.h"

extern const em_u8 em_weights[], em_weights_end[];

static em_u8 em_arena[EM_ARENA_BYTES] __attribute__((aligned(EM_ALIGNMENT)));

/* ---- Output ---------------------------------------------------------------------------------------------------- */

static void em_print_bytes(const char *text, em_u32 bytes)
{
    for (em_u32 i = 0; i < bytes; i++) {
        if (text[i] == '\n') {
            em_uart_put('\r');
        }
        em_uart_put(text[i]);
    }
}

static void em_print(const char *text)
{
    em_u32 bytes = 0;

    while (text[bytes] != 0) {
        bytes++;
    }
    em_print_bytes(text, bytes);
}

static void em_print_decimal(em_u64 value)
{
    char digits[20];
    em_u32 at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    em_print_bytes(digits + at, (em_u32)sizeof(digits) - at);
}

static void em_print_hex(em_u64 value)
{
    for (em_i32 shift = 60; shift >= 0; shift -= 4) {
        em_uart_put("0123456789abcdef"[(value >> shift) & 15u]);
    }
}

/* Prints what a failure was and ends. */
static void em_fail(const char *what, em_status status)
{
    em_print("failed: ");
    em_print(what);
    em_print(": ");
    em_print(em_status_name(status));
    em_print("\n");
    em_power_off();
}

void em_fault(em_u64 cause, em_u64 at, em_u64 address)
{
    em_print("\nfailed: exception ");
    em_print_hex(cause);
    em_print(" at ");
    em_print_hex(at);
    em_print(", address ");
    em_print_hex(address);
    em_print("\n");
    em_power_off();
}

/* ---- A golden run ---------------------------------------------------------------------------------------------- */

struct em_run {
    em_model *model;
    em_u64 digest;
    em_u64 cycles; /* of decodes and choices of tokens */
#if EM_HAS_TOKENIZER
    struct em_text_state text;
#endif
};

/* An em_logits_fn. */
static void em_fold(void *user, em_u32 position, const em_i32 *logits)
{
    struct em_run *run = user;

    (void)position;
    run->digest = em_digest(run->digest, logits, EM_VOCAB);
}

/* The text of a token, or its id where the model has no tokenizer. */
static void em_show(struct em_run *run, em_i32 id)
{
#if EM_HAS_TOKENIZER
    char piece[512];
    em_u32 bytes = 0;
    em_status status = em_detokenize(run->model, &run->text, id, piece, sizeof(piece), &bytes);

    if (status != EM_OK) {
        em_fail("text", status);
    }
    em_print_bytes(piece, bytes);
#else
    (void)run;
    em_print_decimal((em_u64)id);
    em_print(" ");
#endif
}

/* The next token, shown. */
static em_i32 em_next(struct em_run *run, struct em_sampler *sampler, em_u32 index, em_i32 before)
{
    em_u64 start = em_cycles();
    em_i32 id = 0;
    em_status status = index == 0 ? EM_OK : em_decode(run->model, before);

    run->cycles += em_cycles() - start;
    if (status == EM_OK && index != 0) {
        em_fold(run, 0, em_logits(run->model));
    }
    start = em_cycles();
    if (status == EM_OK) {
        status = em_sample(run->model, sampler, &id);
    }
    run->cycles += em_cycles() - start;
    if (status != EM_OK) {
        em_fail("token", status);
    }
    em_show(run, id);
    return id;
}

/* Whether tokens and logits are golden. */
static em_u32 em_run_golden(em_model *model, const struct em_golden *golden)
{
    struct em_run run = {.model = model, .digest = EM_DIGEST_INIT};
    struct em_sampler sampler = golden->sampler;
    em_u32 equal = 1;
    em_i32 id = 0;
    em_status status;

    em_rewind(model, 0);
    em_seed(&sampler, golden->seed);
    status = em_prefill(model, golden->prompt, golden->prompt_count, em_fold, &run);
    if (status != EM_OK) {
        em_fail("prompt", status);
    }
    for (em_u32 i = 0; i < golden->prompt_count; i++) {
        em_show(&run, golden->prompt[i]);
    }
    em_print(" |");
    for (em_u32 i = 0; i < golden->count; i++) {
        id = em_next(&run, &sampler, i, id);
        equal &= id == golden->ids[i];
    }
    equal &= run.digest == golden->digest;
    em_print("\ndigest ");
    em_print_hex(run.digest);
    em_print(equal ? ", as golden; " : ", NOT as golden; ");
    em_print_decimal(golden->count);
    em_print(" tokens, ");
    em_print_decimal(run.cycles / golden->count);
    em_print(" cycles a token\n");
    return equal;
}

void em_main(void)
{
    em_model *model = EM_NULL;
    em_u32 equal = 1;
    em_status status;

    em_uart_open();
    em_print(EM_MODEL_NAME ", " EM_TARGET_NAME ", on " EM_BOARD_NAME "\n");
    status = em_init(&model, em_arena, sizeof(em_arena), em_weights, (em_u64)(em_weights_end - em_weights), EM_NULL);
    if (status == EM_OK) {
        status = em_verify(model);
    }
    if (status != EM_OK) {
        em_fail("weights", status);
    }
    for (em_u32 i = 0; i < EM_GOLDENS; i++) {
        equal &= em_run_golden(model, &em_goldens[i]);
    }
    em_print(equal ? "passed\n" : "failed: logits\n");
    em_power_off();
}
