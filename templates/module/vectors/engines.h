/*
 * engines.h - model.c compiled twice. The two keep the KV cache in orders of their own: a prompt and its answer are the work of one.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#ifndef EM_ENGINES_H
#define EM_ENGINES_H

#include "em_port.h"

struct em_model;

/* em_forward and em_head in vector registers: within a section only. */
void em_forward_vector(struct em_model *m, const em_i32 *ids, em_u32 tokens);
void em_head_vector(struct em_model *m, em_u32 token);

/* The same in general registers. */
void em_forward_plain(struct em_model *m, const em_i32 *ids, em_u32 tokens);
void em_head_plain(struct em_model *m, em_u32 token);

#endif /* EM_ENGINES_H */
