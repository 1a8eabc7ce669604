/*
 * main.c - the golden runs on a machine without an operating system: tokens as they come, cycles, digests.
 * SPDX-License-Identifier: MIT-0
 */
#include "golden.h"
#include "machine.h"
#include "model.h"
#include "report.h"

extern const em_u8 em_weights[], em_weights_end[];

static em_u8 em_arena[EM_ARENA_BYTES] __attribute__((aligned(EM_ALIGNMENT)));

static void em_fail(const char *what, em_status status)
{
    em_report_failure(what, em_status_name(status));
    em_end(1);
}

void em_fault(em_u64 cause, em_u64 at, em_u64 address)
{
    em_report_fault(cause, at, address);
    em_end(1);
}

struct em_run {
    em_model *model;
    struct em_run_result result;
#if EM_HAS_TOKENIZER
    struct em_text_state text;
#endif
};

/* An em_logits_fn. */
static void em_fold(void *user, em_u32 position, const em_i32 *logits)
{
    struct em_run *run = user;

    (void)position;
    run->result.digest = em_digest(run->result.digest, logits, EM_VOCAB);
    run->result.positions++;
}

/* Text of a token; none where the model has no tokenizer. Returns its bytes. */
static em_u32 em_text_of(struct em_run *run, em_i32 id, char *text, em_u32 capacity)
{
    em_u32 bytes = 0;
#if EM_HAS_TOKENIZER
    em_status status = em_detokenize(run->model, &run->text, id, text, capacity, &bytes);

    if (status != EM_OK) {
        em_fail("text", status);
    }
#else
    (void)run;
    (void)id;
    (void)text;
    (void)capacity;
#endif
    return bytes;
}

/* The next token, reported. */
static em_i32 em_next(struct em_run *run, struct em_sampler *sampler, em_u32 index, em_i32 before)
{
    char text[512];
    em_u64 start = em_now(), time;
    em_i32 id = 0;
    em_status status = index == 0 ? EM_OK : em_decode(run->model, before);

    time = em_now() - start;
    if (status == EM_OK && index != 0) {
        em_fold(run, 0, em_logits(run->model));
    }
    start = em_now();
    if (status == EM_OK) {
        status = em_sample(run->model, sampler, &id);
    }
    time += em_now() - start;
    run->result.time += time;
    if (status != EM_OK) {
        em_fail("token", status);
    }
    em_report_token(index, id, time, text, em_text_of(run, id, text, sizeof(text)));
    return id;
}

/* Whether tokens and logits are golden. */
static em_u32 em_run_golden(em_model *model, const struct em_golden *golden)
{
    struct em_run run = {.model = model, .result = {.digest = EM_DIGEST_INIT}};
    struct em_sampler sampler = golden->sampler;
    char text[512];
    em_u32 equal = 1;
    em_i32 id = 0;
    em_status status;

    em_rewind(model, 0);
    em_seed(&sampler, golden->seed);
    em_report_prompt(golden);
    status = em_prefill(model, golden->prompt, golden->prompt_count, em_fold, &run);
    if (status != EM_OK) {
        em_fail("prompt", status);
    }
    for (em_u32 i = 0; i < golden->prompt_count; i++) { /* a word that follows the prompt keeps its space */
        id = golden->prompt[i];
        em_report_prompt_text(id, text, em_text_of(&run, id, text, sizeof(text)));
    }
    for (em_u32 i = 0; i < golden->count; i++) {
        id = em_next(&run, &sampler, i, id);
        equal &= id == golden->ids[i];
    }
    run.result.equal = equal & (run.result.digest == golden->digest);
    em_report_run(golden, &run.result);
    return run.result.equal;
}

void em_main(void)
{
    em_model *model = EM_NULL;
    em_u32 equal = 1;
    em_status status;

    em_uart_open();
    em_report_model();
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
    em_report_end(equal);
    em_end(!equal);
}
