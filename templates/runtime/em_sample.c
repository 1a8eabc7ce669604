/*
 * em_sample.c - logits digest and sampling: docs/arithmetic.md, sections 7 and 8.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_fixed.h"
#include "em_memory.h"
#include "em_model.h"

/* ---- Digest ---------------------------------------------------------------------------------------------------- */

em_u64 em_digest(em_u64 digest, const em_i32 *logits, em_u32 count)
{
    for (em_u32 i = 0; i < count; i++) {
        digest = (digest ^ (em_u32)logits[i]) * 0x100000001b3u; /* FNV-1a over 32-bit words */
    }
    return digest;
}

/* ---- PCG32 (O'Neill 2014, XSH-RR 64/32), stream 54 --------------------------------------------------------------- */

#define EM_PCG_MULTIPLIER 6364136223846793005u
#define EM_PCG_INCREMENT ((54u << 1) | 1u)

static em_u32 em_pcg32(em_u64 *state)
{
    em_u64 old = *state;
    *state = old * EM_PCG_MULTIPLIER + EM_PCG_INCREMENT;
    em_u32 shifted = (em_u32)(((old >> 18) ^ old) >> 27);
    em_u32 rotation = (em_u32)(old >> 59);
    return (shifted >> rotation) | (shifted << ((32u - rotation) & 31u));
}

void em_seed(struct em_sampler *sampler, em_u64 seed)
{
    sampler->state = 0;
    (void)em_pcg32(&sampler->state);
    sampler->state += seed;
    (void)em_pcg32(&sampler->state);
}

/* ---- Heap of token ids: the largest logit at the root, the lower id among equals ------------------------------------ */

static em_u32 em_before(const em_i32 *logits, em_i32 a, em_i32 b)
{
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
}

static void em_sift_down(const em_i32 *logits, em_i32 *heap, em_u32 count, em_u32 at)
{
    em_i32 moving = heap[at];
    for (em_u32 child = 2u * at + 1u; child < count; child = 2u * at + 1u) {
        if (child + 1u < count && em_before(logits, heap[child + 1u], heap[child])) {
            child++;
        }
        if (!em_before(logits, heap[child], moving)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

static void em_build_heap(const em_i32 *logits, em_i32 *heap, em_u32 count)
{
    for (em_u32 i = 0; i < count; i++) {
        heap[i] = (em_i32)i;
    }
    for (em_u32 i = count / 2u; i > 0; i--) {
        em_sift_down(logits, heap, count, i - 1u);
    }
}

/* Takes the root out; it moves to heap[count - 1], so that a heap taken apart lies in descending order from the end. */
static em_i32 em_pop(const em_i32 *logits, em_i32 *heap, em_u32 count)
{
    em_i32 top = heap[0];
    heap[0] = heap[count - 1u];
    heap[count - 1u] = top;
    em_sift_down(logits, heap, count - 1u, 0);
    return top;
}

/* ---- Sampling ------------------------------------------------------------------------------------------------------ */

/* Logits whose maximum is found at a time, a loop that compilers vectorise. */
#define EM_GREEDY_BLOCK 256

/* The first of the largest logits. */
static em_i32 em_greedy(const em_i32 *logits)
{
    em_i32 top = logits[0];
    em_i32 best = 0; /* at first the block that it is in */
    for (em_i32 first = 0; first < EM_VOCAB; first += EM_GREEDY_BLOCK) {
        em_i32 end = EM_VOCAB - first < EM_GREEDY_BLOCK ? EM_VOCAB : first + EM_GREEDY_BLOCK;
        em_i32 max = logits[first];
        for (const em_i32 *at = logits + first; at != logits + end; at++) {
            max = *at > max ? *at : max;
        }
        if (max > top) {
            top = max;
            best = first;
        }
    }
    while (logits[best] != top) {
        best++;
    }
    return best;
}

/* 1 / temperature as an exponent of two: distance below the top, Q(EM_LOGITS_FRAC), to Q16 is em_scale by this. */
struct em_cooling {
    em_i32 mantissa;
    em_i32 shift;
};

static struct em_cooling em_cool(em_u32 temperature_q16)
{
    /* log2(e) in Q30, times 2^32, over the temperature; then 31 bits of it. */
    em_u64 wide = ((em_u64)1549082005u << 32) / temperature_q16; /* Q(30 + 32 - 16) */
    em_i32 drop = (em_i32)em_bits64(wide) - 31;
    struct em_cooling cooling;
    cooling.mantissa = (em_i32)(drop > 0 ? wide >> drop : wide << -drop);
    cooling.shift = EM_LOGITS_FRAC + 46 - drop - 16;
    return cooling;
}

/* Probability, Q30 and not normalised, of a token so far below the top. */
static em_u32 em_weight(em_i32 top, em_i32 logit, struct em_cooling cooling)
{
    em_i64 below = (em_i64)top - logit;
    em_i32 distance = below > EM_I32_MAX ? EM_I32_MAX : (em_i32)below;
    return em_exp2_negative((em_u32)em_scale(distance, cooling.mantissa, cooling.shift));
}

/* floor(value * fraction / 2^32) for a value below 2^63. */
static em_u64 em_share(em_u64 value, em_u32 fraction)
{
    return (value >> 32) * fraction + (((value & 0xffffffffu) * fraction) >> 32);
}

em_status em_sample(em_model *model, struct em_sampler *sampler, em_i32 *id)
{
    if (model == EM_NULL || sampler == EM_NULL || id == EM_NULL || sampler->top_p_q16 > 65536u) {
        return EM_E_ARGUMENT;
    }
    const em_i32 *logits = em_logits(model);
    if (sampler->temperature_q16 == 0) {
        *id = em_greedy(logits);
        return EM_OK;
    }
    em_i32 *order = (em_i32 *)(void *)(model->arena + EM_AT_ORDER);
    struct em_cooling cooling = em_cool(sampler->temperature_q16);
    em_i32 top = logits[em_greedy(logits)];
    em_u32 limit = sampler->top_k > 0 && sampler->top_k < EM_VOCAB ? sampler->top_k : EM_VOCAB;
    em_u64 whole = 0; /* of the tokens that top-k leaves */
    em_u64 kept = 0;  /* of those that top-p leaves as well */
    em_build_heap(logits, order, EM_VOCAB);
    for (em_u32 i = 0; i < limit; i++) {
        whole += em_weight(top, logits[em_pop(logits, order, EM_VOCAB - i)], cooling);
    }
    em_u32 top_p = sampler->top_p_q16 == 0 ? 65536u : sampler->top_p_q16;
    em_u64 wanted = top_p == 65536u ? whole : em_share(whole, top_p << 16);
    em_u32 choices = 0;
    while (choices < limit && (kept < wanted || choices == 0)) {
        kept += em_weight(top, logits[order[EM_VOCAB - 1u - choices]], cooling);
        choices++;
    }
    em_u64 draw = em_share(kept, em_pcg32(&sampler->state));
    em_u64 passed = 0;
    for (em_u32 i = 0; i < choices; i++) {
        *id = order[EM_VOCAB - 1u - i];
        passed += em_weight(top, logits[*id], cooling);
        if (passed > draw) {
            break;
        }
    }
    return EM_OK;
}
