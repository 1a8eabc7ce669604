/*
 * em_cache_types.h - the KV cache of attention and the work memory of a head: what the em_cache.h of every kernel set
 * has in common.
 *
 * A kernel set's em_cache.h says how int8 vectors lie in the cache and computes with them:
 *
 *   EM_CACHE_BLOCK    the cache has memory for a multiple of so many positions (KernelSet.cacheBlock)
 *   EM_KEY_BLOCK_BYTES (head_dim)    bytes of EM_CACHE_BLOCK keys, where an element has not one; EM_SCORE_INTS: int32
 *                     of work memory in em_attention_scratch.scores for a position, where it is not one. Both stand
 *                     before the set includes this header (KernelSet.keyBlockBytes, scoreInts)
 *   em_store_key, em_store_value    (head, head_dim, position, vector): puts a vector in its place
 *   em_scores         (head, span, query, head_dim, score_shift, scratch): Q16 scores of the span; returns the largest
 *   em_weights        (head, span, top, scratch): turns these scores into 15-bit weights; returns their sums
 *   em_value_sums     (head, span, scratch, weights, head_dim, from, width, sums): sums of weight * value for elements
 *                     [from, from + width) of a head, in int64; width is at most EM_VALUE_STRIP
 *
 * What stands in the work memory between these calls is the set's own affair. em_cache_rows.h is all of this for a
 * cache of plain rows, made from two functions of the set's em_row_sums.h: em_dots and em_sum_strip.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_TYPES_H
#define EM_CACHE_TYPES_H

#include "em_vectors.h"

/* Elements that a head has at most: dot products of narrowed queries with int8 keys stay below 8 * 2^20. */
#define EM_HEAD_DIM_MAX 256u

/* Elements of a query that are bounded together, in runs from the first on. */
#define EM_QUERY_RUN 32u

#ifndef EM_KEY_BLOCK_BYTES
#define EM_KEY_BLOCK_BYTES(head_dim) (EM_CACHE_BLOCK * (head_dim))
#define EM_SCORE_INTS 1u
#endif

/* Elements of a head whose weighted values are summed at a time: bounds the stack. */
#define EM_VALUE_STRIP 64u

/* Positions whose products of 15-bit weights and int8 values are summed in int32: 512 * 2^15 * 127 < 2^31. */
#define EM_VALUE_BLOCK 512u

/*
 * KV cache of one layer, or of one of its heads. Heads lie one after the other: [kv_heads][positions], positions a
 * multiple of EM_CACHE_BLOCK.
 */
struct em_kv_cache {
    em_i8 *keys;       /* EM_KEY_BLOCK_BYTES a block: elements in [-127, 127], however the kernel set writes them */
    em_i8 *values;     /* head_dim bytes a position, likewise */
    em_i32 *key_max;   /* [kv_heads][positions]: largest magnitude of the vector, in its Q format */
    em_i32 *value_max; /* likewise */
};

/* Positions that a token sees: [first, end). */
struct em_span {
    em_u32 first;
    em_u32 end;
};

/* Work memory of one head, for as many positions as the cache has. Aligned to 32 bytes where EM_CACHE_BLOCK is 8. */
struct em_attention_scratch {
    em_i32 *scores; /* EM_SCORE_INTS a position */
    em_i32 *weights;
};

/* What em_weights returns. */
struct em_weight_sums {
    em_u64 exponentials; /* sum of the exponentials, Q30 */
    em_u64 weights;      /* sum of the weights, or 0 where it is below 2^31 / 127 */
    em_i32 drop;         /* bits dropped from exponential * value_max so that the largest fills 15 bits */
};

/*
 * Right shift that narrows a query: its elements are then at most 2^11 in magnitude, and those of a run of EM_QUERY_RUN
 * add up to less than 2^13, before they are rounded.
 */
EM_INLINE em_i32 em_query_shift(const em_i32 *query, em_u32 head_dim)
{
    em_i32 shift = (em_i32)em_bits32((em_u32)em_max_magnitude(query, head_dim)) - 11;
    for (em_u32 from = 0; from < head_dim; from += EM_QUERY_RUN) {
        em_u32 end = head_dim - from < EM_QUERY_RUN ? head_dim : from + EM_QUERY_RUN;
        em_u64 sum = 0;
        for (em_u32 i = from; i < end; i++) {
            sum += (em_u64)em_abs(query[i]);
        }
        em_i32 by_sum = (em_i32)em_bits64(sum) - 13;
        shift = by_sum > shift ? by_sum : shift;
    }
    return shift;
}

#endif /* EM_CACHE_TYPES_H */
