/*
 * golden.c - prompts, and the tokens and logits that must follow.
 * SPDX-License-Identifier: MIT-0
 */
#include "golden.h"

static const em_i32 em_prompt_0[] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
    12,
};
static const em_i32 em_ids_0[] = {
    3, 1, 2,
};

static const em_i32 em_prompt_1[] = {
    5,
};
static const em_i32 em_ids_1[] = {
    7,
};

const struct em_golden em_goldens[EM_GOLDENS] = {
    { /* greedy */
        .prompt = em_prompt_0, .prompt_count = 13u,
        .ids = em_ids_0, .count = 3u,
        .sampler = {.temperature_q16 = 0u, .top_k = 0u, .top_p_q16 = 65536u},
        .seed = 0u, .digest = 0xfedcba9876543210u,
    },
    { /* sampled */
        .prompt = em_prompt_1, .prompt_count = 1u,
        .ids = em_ids_1, .count = 1u,
        .sampler = {.temperature_q16 = 52429u, .top_k = 40u, .top_p_q16 = 62259u},
        .seed = 18446744073709551615u, .digest = 0x0123456789abcdefu,
    },
};
