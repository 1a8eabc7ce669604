/*
 * golden.h - what the integer reference made of some prompts when this code was generated.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_GOLDEN_H
#define EM_GOLDEN_H

#include "em.h"

#define EM_GOLDENS 2u

struct em_golden {
    const em_i32 *prompt;
    em_u32 prompt_count;
    const em_i32 *ids; /* the tokens that follow */
    em_u32 count;
    struct em_sampler sampler; /* without its state */
    em_u64 seed;
    em_u64 digest; /* of the logits of all positions but the last token's */
};

extern const struct em_golden em_goldens[EM_GOLDENS];

#endif /* EM_GOLDEN_H */
