/*
 * em_cache.h - kernel set "swar": attention over an int8 KV cache in general registers.
 *
 * Layout. Elements are stored as 128 + element, in [1, 255], in words all of which takes the same factor: an element of
 * the query, or the weight of a position.
 *
 *   keys     blocks of EM_CACHE_BLOCK positions, in a block element after element; of each EM_KEY_WORDS words of six
 *            positions, in bits 0, 21, 42 and 13, 34, 55: two lots of three lanes (em_cache_keys.h)
 *   values   rows of bytes, eight elements a word: four lots of two lanes (em_cache_values.h)
 *
 * A key so takes a third more room than its bytes, and a product of it one instruction, where bytes take thirteen for
 * eight products.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_H
#define EM_CACHE_H

#include "em_cache_keys.h"
#include "em_cache_values.h"

/* ---- Storing ----------------------------------------------------------------------------------------------------- */

/* The first position of a block gives its value to the whole of it: nothing is read that was never written. */
EM_INLINE void em_store_key(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i8 *key)
{
    const em_u32 block = position / EM_CACHE_BLOCK;
    const em_u32 at = position % EM_CACHE_BLOCK;
    const em_u32 bit = at % 3u * EM_KEY_LANE_BITS + at / 3u % 2u * EM_KEY_SECOND_BIT;
    em_cache_word *words = (em_cache_word *)(void *)(head->keys + (em_u64)block * EM_KEY_BLOCK_BYTES(head_dim));
    for (em_u32 i = 0; i < head_dim; i++, words += EM_KEY_WORDS) {
        em_u64 byte = (em_u64)(128 + key[i]);
        words[at / 6u] = (words[at / 6u] & ~((em_u64)0xff << bit)) | byte << bit;
        for (em_u32 j = 0; at == 0 && j < EM_KEY_WORDS; j++) {
            words[j] = EM_KEY_LANES(byte) | EM_KEY_LANES(byte) << EM_KEY_SECOND_BIT;
        }
    }
}

EM_INLINE void em_store_value(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i8 *value)
{
    em_i8 *out = head->values + (em_u64)position * head_dim;
    for (em_u32 i = 0; i < head_dim; i++) {
        out[i] = (em_i8)(value[i] ^ -128);
    }
}

/* ---- Scores and weights ------------------------------------------------------------------------------------------ */

/* The scores of the span, as em_weights takes them; returns the largest in Q16. */
EM_INLINE em_i32 em_scores(const struct em_kv_cache *head, struct em_span span, const em_i32 *query, em_u32 head_dim,
                           em_i32 score_shift, const struct em_attention_scratch *scratch)
{
    struct em_narrow_query narrow;
    em_wide_score *products = (em_wide_score *)(void *)scratch->scores;
    em_i32 shift = em_narrow(query, head_dim, &narrow);
    em_i64 top = em_products(&narrow, head_dim, head, span, products);
    return em_scale_products(products + span.first, span.end - span.first, top, score_shift - shift,
                             scratch->weights + span.first);
}

EM_INLINE struct em_weight_sums em_weights(const struct em_kv_cache *head, struct em_span span, em_i32 top,
                                           const struct em_attention_scratch *scratch)
{
    em_wide_score *products = (em_wide_score *)(void *)scratch->scores;
    return em_exponentials(products + span.first, head->value_max + span.first, span.end - span.first, top,
                           scratch->weights[span.first]);
}

#endif /* EM_CACHE_H */
