/*
 * em_row_sums.h - kernel set "avx2": attention's sums as loops.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_ROW_SUMS_H
#define EM_ROW_SUMS_H

#include "em_cache_plain.h"

/* Dot products of query * 2^-shift with `count` keys. */
EM_INLINE void em_dots(const em_i32 *query, em_i32 shift, const em_i8 *keys, em_u32 head_dim, em_u32 count,
                       em_i32 *dots)
{
    em_dots_plain(query, shift, keys, head_dim, count, dots);
}

/* Sums of weight * value over `count` values for `width` elements; `total` is not needed. */
EM_INLINE void em_sum_strip(const em_i32 *weights, em_u64 total, const em_i8 *values, em_u32 head_dim, em_u32 width,
                            em_u32 count, em_i64 *sums)
{
    (void)total;
    em_sum_strip_plain(weights, values, head_dim, width, count, sums);
}

#endif /* EM_ROW_SUMS_H */
