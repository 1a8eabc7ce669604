/*
 * opener.c - prompts in, answers out.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include "opener.h"

#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

/* Of the pipe: a power of two, and more than any token's text. */
#define EM_PIPE_BYTES 8192u
/* Of the text of a token with what was pending before it. */
#define EM_PIECE_BYTES 1024u

/* ---- The work item --------------------------------------------------------------------------------------------- */

/* -ECANCELED where nobody wants the answer any more. */
static int em_send(struct em_opener *opener, const void *bytes, u32 count)
{
    /* Idle, not uninterruptible: a reader may take days. */
    wait_event_idle(opener->wait, kfifo_avail(&opener->pipe) >= count || READ_ONCE(opener->stopping));
    if (READ_ONCE(opener->stopping)) {
        return -ECANCELED;
    }
    kfifo_in(&opener->pipe, bytes, count);
    wake_up_all(&opener->wait);
    return 0;
}

static int em_errno(em_status status)
{
    switch (status) {
    case EM_OK:
        return 0;
    case EM_E_CANCELLED:
        return -ECANCELED;
    case EM_E_CONTEXT:
    case EM_E_CAPACITY:
        return -E2BIG;
    case EM_E_TEXT:
        return -EILSEQ;
    case EM_E_TOKEN:
    case EM_E_ARGUMENT:
        return -EINVAL;
    case EM_E_TOKENIZER:
        return -EOPNOTSUPP;
    default:
        return -EIO;
    }
}

/* The text that the prompt ends with is read, not sent: the answer's first character may have begun in it. */
static em_status em_read_prompt_text(struct em_opener *opener, char *piece)
{
    em_status status = EM_OK;
    u32 bytes, i;

    memset(&opener->text, 0, sizeof(opener->text));
    for (i = 0; status == EM_OK && i < opener->count; i++) {
        status = em_detokenize(opener->generation.model, &opener->text, opener->ids[i], piece, EM_PIECE_BYTES, &bytes);
    }
    return status;
}

static int em_send_token(struct em_opener *opener, char *piece)
{
    const struct em_generation *generation = &opener->generation;
    em_status status;
    u32 bytes;

    if (opener->settings.flags & EMBED_MODEL_IDS) {
        return em_send(opener, &generation->id, sizeof(generation->id));
    }
    if (em_is_end(generation->id)) {
        return 0;
    }
    status = em_detokenize(generation->model, &opener->text, generation->id, piece, EM_PIECE_BYTES, &bytes);
    return status == EM_OK ? em_send(opener, piece, bytes) : em_errno(status);
}

static int em_make_tokens(struct em_opener *opener, char *piece)
{
    struct em_generation *generation = &opener->generation;
    u32 flags = opener->settings.flags, tokens = min(opener->settings.tokens, EM_CONTEXT - opener->count);
    int failed = 0;

    while (!failed && generation->tokens < tokens && !READ_ONCE(opener->stopping)) {
        u64 start = ktime_get_ns(), ns;

        failed = em_errno(em_generation_next(generation));
        ns = ktime_get_ns() - start;
        if (failed) {
            break;
        }
        opener->statistics.tokens_ns += ns;
        opener->statistics.tokens = generation->tokens;
        atomic64_add((s64)ns, &opener->totals->tokens_ns);
        atomic64_inc(&opener->totals->tokens);
        failed = em_send_token(opener, piece);
        if (em_is_end(generation->id) && !(flags & EMBED_MODEL_IGNORE_END)) {
            break;
        }
    }
    return failed;
}

static int em_answer(struct em_opener *opener, char *piece)
{
    struct em_generation *generation = &opener->generation;
    bool as_text = !(opener->settings.flags & EMBED_MODEL_IDS);
    u64 start = ktime_get_ns();
    int failed = em_errno(em_generation_prompt(generation, opener->ids, opener->count));
    u32 bytes;

    opener->statistics.prompt_ns = ktime_get_ns() - start;
    if (!failed) {
        atomic64_add(opener->count, &opener->totals->prompt_tokens);
    }
    if (!failed && as_text) {
        failed = em_errno(em_read_prompt_text(opener, piece));
    }
    if (!failed) {
        failed = em_make_tokens(opener, piece);
    }
    if (!failed && as_text) {
        failed = em_errno(em_detokenize_end(&opener->text, piece, EM_PIECE_BYTES, &bytes));
        if (!failed && bytes != 0) {
            failed = em_send(opener, piece, bytes);
        }
    }
    return failed;
}

static void em_work(struct work_struct *work)
{
    struct em_opener *opener = container_of(work, struct em_opener, work);
    char *piece = kmalloc(EM_PIECE_BYTES, GFP_KERNEL);
    int failed = piece ? em_answer(opener, piece) : -ENOMEM;

    kfree(piece);
    opener->statistics.digest = opener->generation.digest;
    opener->statistics.positions = opener->generation.positions;
    opener->error = failed == -ECANCELED ? 0 : failed; /* who stopped it knows */
    smp_store_release(&opener->running, 0);
    wake_up_all(&opener->wait);
}

/* ---- System calls ---------------------------------------------------------------------------------------------- */

static int em_take_ids(struct em_opener *opener, const em_i32 *ids, size_t bytes)
{
    size_t count = bytes / sizeof(*ids), i;

    if (bytes % sizeof(*ids) != 0) {
        return -EINVAL;
    }
    if (count >= EM_CONTEXT) {
        return -E2BIG;
    }
    for (i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= EM_VOCAB) {
            return -EINVAL;
        }
        opener->ids[i] = ids[i];
    }
    opener->count = (u32)count;
    return 0;
}

static int em_take_text(struct em_opener *opener, const char *text, size_t bytes)
{
    const em_model *model = opener->generation.model;
    u64 scratch_bytes = em_tokenize_scratch(model, bytes);
    void *scratch = kvmalloc(max_t(u64, scratch_bytes, 1), GFP_KERNEL_ACCOUNT);
    em_status status;

    if (!scratch) {
        return -ENOMEM;
    }
    status = em_tokenize(model, text, bytes, EM_TOKENIZE_BOS | EM_TOKENIZE_SPECIAL, opener->ids, EM_CONTEXT,
                         &opener->count, scratch, scratch_bytes);
    kvfree(scratch);
    if (status == EM_OK && opener->count >= EM_CONTEXT) {
        return -E2BIG;
    }
    return em_errno(status);
}

int em_opener_ask(struct em_opener *opener, const void *prompt, size_t bytes)
{
    const struct embed_model_settings *settings = &opener->settings;
    int failed;

    if (smp_load_acquire(&opener->running) || !kfifo_is_empty(&opener->pipe)) {
        return -EBUSY;
    }
    failed = settings->flags & EMBED_MODEL_IDS ? em_take_ids(opener, prompt, bytes)
                                               : em_take_text(opener, prompt, bytes);
    if (failed) {
        return failed;
    }
    if (opener->count == 0) {
        return -EINVAL;
    }
    opener->generation.sampler.temperature_q16 = settings->temperature_q16;
    opener->generation.sampler.top_k = settings->top_k;
    opener->generation.sampler.top_p_q16 = settings->top_p_q16;
    em_generation_reset(&opener->generation, settings->seed, settings->flags & EMBED_MODEL_DIGEST);
    opener->statistics = (struct embed_model_statistics){.prompt_tokens = opener->count};
    opener->error = 0;
    opener->stopping = 0;
    smp_store_release(&opener->running, 1);
    queue_work(opener->queue, &opener->work);
    return 0;
}

int em_opener_set(struct em_opener *opener, const struct embed_model_settings *settings)
{
    const u32 known = EMBED_MODEL_IDS | EMBED_MODEL_DIGEST | EMBED_MODEL_IGNORE_END;

    if ((settings->flags & ~known) != 0 || settings->reserved != 0 || settings->tokens == 0 ||
        settings->top_p_q16 > 65536u) {
        return -EINVAL;
    }
    if (smp_load_acquire(&opener->running)) {
        return -EBUSY;
    }
    opener->settings = *settings;
    return 0;
}

void em_opener_statistics(struct em_opener *opener, struct embed_model_statistics *statistics)
{
    u32 running = (u32)smp_load_acquire(&opener->running);

    *statistics = opener->statistics;
    statistics->running = running;
    statistics->memory_bytes = PAGE_ALIGN(EM_ARENA_BYTES) + kfifo_size(&opener->pipe) +
                               EM_CONTEXT * sizeof(*opener->ids) + sizeof(*opener);
}

int em_opener_end(struct em_opener *opener, bool running)
{
    int failed = opener->error;

    if (running) {
        return -EAGAIN;
    }
    opener->error = 0;
    return failed;
}

void em_opener_stop(struct em_opener *opener)
{
    WRITE_ONCE(opener->stopping, 1);
    em_cancel(opener->generation.model);
    wake_up_all(&opener->wait);
}

struct em_opener *em_opener_create(const struct em_weights *weights, struct workqueue_struct *queue,
                                   struct em_totals *totals)
{
    struct em_opener *opener = kzalloc(sizeof(*opener), GFP_KERNEL_ACCOUNT);
    int failed;

    if (!opener) {
        return ERR_PTR(-ENOMEM);
    }
    mutex_init(&opener->lock);
    init_waitqueue_head(&opener->wait);
    INIT_WORK(&opener->work, em_work);
    opener->queue = queue;
    opener->totals = totals;
    opener->settings.tokens = 64;
    failed = kfifo_alloc(&opener->pipe, EM_PIPE_BYTES, GFP_KERNEL_ACCOUNT);
    if (!failed) {
        failed = em_generation_open(&opener->generation, weights);
    }
    opener->ids = kvmalloc_array(EM_CONTEXT, sizeof(*opener->ids), GFP_KERNEL_ACCOUNT);
    if (!failed && !opener->ids) {
        failed = -ENOMEM;
    }
    if (failed) {
        em_opener_destroy(opener);
        return ERR_PTR(failed);
    }
    return opener;
}

void em_opener_destroy(struct em_opener *opener)
{
    if (opener->generation.model) {
        em_opener_stop(opener);
        cancel_work_sync(&opener->work);
        em_generation_close(&opener->generation);
    }
    kvfree(opener->ids);
    kfifo_free(&opener->pipe);
    kfree(opener);
}
