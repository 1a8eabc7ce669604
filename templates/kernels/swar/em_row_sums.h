/*
 * em_row_sums.h - kernel set "swar": attention's sums in general registers, where a head is made of whole words.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_ROW_SUMS_H
#define EM_ROW_SUMS_H

#include "em_cache_plain.h"
#include "em_cache_words.h"

/* Dot products of query * 2^-shift with `count` keys. */
EM_INLINE void em_dots(const em_i32 *query, em_i32 shift, const em_i8 *keys, em_u32 head_dim, em_u32 count,
                       em_i32 *dots)
{
    if (head_dim % 8u == 0) {
        em_dots_in_words(query, shift, keys, head_dim, count, dots);
    } else {
        em_dots_plain(query, shift, keys, head_dim, count, dots);
    }
}

/* Sums of weight * value over `count` values for `width` elements; weights sum to `total`. */
EM_INLINE void em_sum_strip(const em_i32 *weights, em_u64 total, const em_i8 *values, em_u32 head_dim, em_u32 width,
                            em_u32 count, em_i64 *sums)
{
    if (head_dim % 8u == 0) {
        em_sum_strip_in_words(weights, total, values, head_dim, width, count, sums);
    } else {
        em_sum_strip_plain(weights, values, head_dim, width, count, sums);
    }
}

#endif /* EM_ROW_SUMS_H */
