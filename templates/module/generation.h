/*
 * generation.h - a model with an arena of its own, which answers one prompt at a time.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#ifndef EM_GENERATION_H
#define EM_GENERATION_H

#include <linux/types.h>

#include "sections.h"
#include "weights.h"

struct em_generation {
    void *arena;
    em_model *model;
    struct em_sections sections;
    struct em_sampler sampler;
    bool digesting;
    u64 digest;    /* of the logits so far, where digesting */
    u32 positions; /* whose logits are in it */
    u32 tokens;    /* chosen so far */
    em_i32 id;     /* the last of them */
};

/* The arena is charged to the memory cgroup of the caller. -ENOMEM; -EBADMSG where the library refuses the weights. */
int em_generation_open(struct em_generation *generation, const struct em_weights *weights);
void em_generation_close(struct em_generation *generation);

/* Forgets all, and a cancellation as well. The sampler's settings are the caller's to set. */
void em_generation_reset(struct em_generation *generation, u64 seed, bool digesting);

/* Reads the prompt: count ids, at least one. */
em_status em_generation_prompt(struct em_generation *generation, const em_i32 *ids, u32 count);

/* Chooses the next token. EM_E_CONTEXT where the context is full. */
em_status em_generation_next(struct em_generation *generation);

#endif /* EM_GENERATION_H */
