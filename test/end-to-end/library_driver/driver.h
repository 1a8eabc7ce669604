/*
 * driver.h - what must hold of a compiled model whatever it is given. Runs under AddressSanitizer and UBSan; every buffer has
 * exactly the documented size, so that one byte too far is an error.
 *
 *     driver damage BLOB           every bit of header and table, every byte of the payload, every truncation
 *     driver interface BLOB OTHER  arguments out of range, context, rewind, cancel, text; OTHER: another build
 *     driver context BLOB          the whole context in chunks and token by token, sampling at all extremes, hooks
 *     driver digest BLOB IDS TOKENS TEMPERATURE_Q16 TOP_K TOP_P_Q16 SEED
 *                                  digest and ids of a run, as em-run --records computes them; IDS: 1,2,3
 *
 * Prints "ok NAME" or "not ok NAME" for each check.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef DRIVER_H
#define DRIVER_H

#include "model.h"

struct blob {
    em_u8 *data;
    em_u64 bytes;
};

/* What sum_logits collects. */
struct sums {
    em_u64 digest;
    em_u32 calls;
    em_model *cancel; /* or null */
    em_u32 cancel_at; /* call at which to cancel */
};

void check(int holds, const char *name);

/* Memory of exactly so many bytes, aligned as arena and blob must be. */
void *aligned(em_u64 bytes);

/* A model in an arena of its own, which lies at its start: close_model frees it. config may be null. */
em_model *open_model(const struct blob *blob, const struct em_config *config);
void close_model(em_model *model);

/* Ids spread over the vocabulary, the same in every run. */
void fill_ids(em_i32 *ids, em_u32 count);

/* An em_logits_fn; user: struct sums. */
void sum_logits(void *user, em_u32 position, const em_i32 *logits);

/* Digest of the logits of all positions of the whole context; 0 if that did not work. */
em_u64 whole_context(em_model *model);

/* A text with a character of four bytes, a byte that is no UTF-8, and a special token. */
extern const char driver_text[];
extern const em_u64 driver_text_bytes;

void check_damage(const struct blob *blob);
void check_interface(const struct blob *blob, const struct blob *other);
void check_context(const struct blob *blob);
void print_digest(const struct blob *blob, char **argv);

#endif /* DRIVER_H */
