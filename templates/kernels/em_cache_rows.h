/*
 * em_cache_rows.h - a KV cache whose vectors are rows of int8: int8[kv_heads][positions][head_dim].
 *
 * The kernel set's em_row_sums.h provides
 *
 *   em_dots(query, shift, keys, head_dim, count, dots)                   dot products of query * 2^-shift with rows
 *   em_sum_strip(weights, total, values, head_dim, width, count, sums)   sums of weight * value over rows; total: of the
 *                                                                        weights
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_ROWS_H
#define EM_CACHE_ROWS_H

#include "em_row_sums.h"
#include "em_softmax.h"

#define EM_CACHE_BLOCK 1u

EM_INLINE void em_store_key(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i8 *key)
{
    __builtin_memcpy(head->keys + (em_u64)position * head_dim, key, head_dim);
}

EM_INLINE void em_store_value(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i8 *value)
{
    __builtin_memcpy(head->values + (em_u64)position * head_dim, value, head_dim);
}

/* Q16 scores of one query, the first of the span at scores[0]; returns the largest. */
EM_INLINE em_i32 em_scores(const struct em_kv_cache *head, struct em_span span, const em_i32 *query, em_u32 head_dim,
                           em_i32 score_shift, const struct em_attention_scratch *scratch)
{
    em_i32 shift = em_query_shift(query, head_dim);
    em_u32 count = span.end - span.first;
    em_dots(query, shift, head->keys + (em_u64)span.first * head_dim, head_dim, count, scratch->scores);
    return em_scale_scores(scratch->scores, head->key_max + span.first, count, score_shift - shift);
}

/* The first weight of the span stands at weights[0]. */
EM_INLINE struct em_weight_sums em_weights(const struct em_kv_cache *head, struct em_span span, em_i32 top,
                                           const struct em_attention_scratch *scratch)
{
    const em_i32 *value_max = head->value_max + span.first;
    return em_softmax(scratch->scores, scratch->weights, value_max, span.end - span.first, top);
}

EM_INLINE void em_value_sums(const struct em_kv_cache *head, struct em_span span,
                             const struct em_attention_scratch *scratch, const struct em_weight_sums *weights,
                             em_u32 head_dim, em_u32 from, em_u32 width, em_i64 *sums)
{
    const em_i8 *values = head->values + (em_u64)span.first * head_dim + from;
    em_sum_strip(scratch->weights, weights->weights, values, head_dim, width, span.end - span.first, sums);
}

#endif /* EM_CACHE_ROWS_H */
