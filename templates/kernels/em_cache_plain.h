/*
 * em_cache_plain.h - attention's sums over rows of an int8 KV cache, as loops that compilers vectorise.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_PLAIN_H
#define EM_CACHE_PLAIN_H

#include "em_cache_types.h"

/* Dot products of a query with `count` keys. A query is narrowed by `shift` of em_query_shift. */
EM_INLINE void em_dots_plain(const em_i32 *query, em_i32 shift, const em_i8 *keys, em_u32 head_dim, em_u32 count,
                             em_i32 *dots)
{
    em_i16 q[EM_HEAD_DIM_MAX];
    for (em_u32 i = 0; i < head_dim; i++) {
        q[i] = (em_i16)em_round_shift(query[i], shift);
    }
    for (em_u32 j = 0; j < count; j++) {
        const em_i8 *key = keys + (em_u64)j * head_dim;
        em_i32 dot = 0;
        for (em_u32 i = 0; i < head_dim; i++) {
            dot += q[i] * (em_i16)key[i];
        }
        dots[j] = dot;
    }
}

/* Sums of weight * value for `width` <= EM_VALUE_STRIP elements of a head. */
EM_INLINE void em_sum_strip_plain(const em_i32 *weights, const em_i8 *values, em_u32 head_dim, em_u32 width,
                                  em_u32 count, em_i64 *sums)
{
    for (em_u32 i = 0; i < width; i++) {
        sums[i] = 0;
    }
    for (em_u32 first = 0; first < count; first += EM_VALUE_BLOCK) {
        em_u32 end = count - first < EM_VALUE_BLOCK ? count : first + EM_VALUE_BLOCK;
        em_i32 part[EM_VALUE_STRIP] = {0};
        for (em_u32 j = first; j < end; j++) {
            const em_i8 *value = values + (em_u64)j * head_dim;
            em_i32 weight = weights[j];
            for (em_u32 i = 0; i < width; i++) {
                part[i] += weight * value[i];
            }
        }
        for (em_u32 i = 0; i < width; i++) {
            sums[i] += part[i];
        }
    }
}

#endif /* EM_CACHE_PLAIN_H */
