/*
 * em_cache.h - kernel set "avx2": attention over an int8 KV cache.
 *
 * Layout. Positions go in blocks of eight. Of each head
 *
 *   keys     a block is 16 bytes a pair of elements: those two of the first position, of the second, ...; a last element
 *            without a partner has 8 bytes, one a position
 *   values   two positions are 2 bytes an element: that of the even position, then that of the odd one
 *
 * so that one vpmovsxbw and one vpmaddwd make 16 products, whose pair sums belong to eight positions (keys) or eight
 * elements (values), and no sum is taken across lanes. Blocks at the ends of a span are computed whole; what stands in
 * them outside the span gets no weight (em_weights.h).
 *
 * Bounds. Dot products stay below 2^23 (EM_HEAD_DIM_MAX). EM_VALUE_BLOCK positions fit int32.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_H
#define EM_CACHE_H

#include "em_avx2.h"
#include "em_cache_types.h"
#include "em_weights.h"

/* ---- Stores ------------------------------------------------------------------------------------------------------ */

EM_INLINE void em_store_key(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i8 *key)
{
    em_u32 lane = position % EM_CACHE_BLOCK;
    em_i8 *block = head->keys + (em_u64)(position - lane) * head_dim;
    if (lane == 0) {
        __builtin_memset(head->key_max + position, 0, EM_CACHE_BLOCK * sizeof(em_i32));
    }
    for (em_u32 i = 0; i < head_dim / 2u; i++) {
        __builtin_memcpy(block + 2u * (EM_CACHE_BLOCK * i + lane), key + 2u * i, 2);
    }
    if (head_dim % 2u != 0) {
        block[EM_CACHE_BLOCK * (head_dim - 1u) + lane] = key[head_dim - 1u];
    }
}

EM_INLINE void em_store_value(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i8 *value)
{
    em_u32 second = position % 2u;
    em_i8 *pairs = head->values + (em_u64)(position - second) * head_dim;
    em_u32 i = 0;
    for (; head_dim - i >= 16u; i += 16u) {
        em_u16x16_anywhere *at = (em_u16x16_anywhere *)(void *)(pairs + 2u * i);
        em_u16x16 wide = em_widen_anywhere((const em_i8x16_anywhere *)(const void *)(value + i));
        if (second) {
            wide = wide << 8 | ((em_u16x16)*at & 0x00ff);
        } else {
            wide &= 0x00ff;
        }
        *at = (em_u16x16_anywhere)wide;
    }
    for (; i < head_dim; i++) {
        pairs[2u * i + second] = value[i];
    }
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

/* Pairs of elements that a query is spread over vectors for at a time: bounds the stack. */
#define EM_QUERY_PAIRS 32u

/* Each pair of int16 elements in all lanes. */
struct em_spread_query {
    em_u32x8 pairs[EM_QUERY_PAIRS];
};

EM_INLINE void em_spread(const em_i16 *query, em_u32 pairs, struct em_spread_query *out)
{
    for (em_u32 i = 0; i < pairs; i++) {
        em_u32 pair;
        __builtin_memcpy(&pair, query + 2u * i, sizeof(pair));
        out->pairs[i] = em_broadcast(pair);
    }
}

/* out = query * 2^-shift; returns the sum of magnitudes. */
EM_INLINE em_u32 em_narrow_query(const em_i32 *query, em_i32 shift, em_u32 head_dim, em_i16 *out)
{
    em_u32 sum = 0;
    if (shift > 0) {
        for (em_u32 i = 0; i < head_dim; i++) {
            out[i] = (em_i16)(((query[i] >> (shift - 1)) + 1) >> 1); /* rounds half up */
        }
    } else {
        for (em_u32 i = 0; i < head_dim; i++) {
            out[i] = (em_i16)(query[i] * (1 << -shift));
        }
    }
    for (em_u32 i = 0; i < head_dim; i++) {
        sum += (em_u32)em_abs(out[i]);
    }
    return sum;
}

/* sum + dot products of `pairs` pairs of elements, a constant, with those of eight keys. */
EM_INLINE em_u32x8 em_dot_pairs(em_u32x8 sum, const struct em_spread_query *query, const em_i8x16_anywhere *keys,
                                em_u32 first, em_u32 pairs)
{
    EM_UNROLL
    for (em_u32 i = first; i < first + pairs; i++) {
        EM_ADD(sum, em_multiply_words(em_widen_anywhere(keys + i), (em_u16x16)query->pairs[i]));
    }
    return sum;
}

/* Adds the dot products of `pairs` pairs of elements to those of the blocks from `keys` on, or begins these. */
EM_INLINE void em_dot_strip(const struct em_spread_query *query, em_u32 pairs, em_u32 begins, const em_i8 *keys,
                            em_u64 block_bytes, em_u32 blocks, em_u32x8 *dots)
{
    EM_FORGET(query);
    for (const em_u32x8 *end = dots + blocks; dots != end; dots++, keys += block_bytes) {
        const em_i8x16_anywhere *k = (const em_i8x16_anywhere *)(const void *)keys;
        em_u32x8 sum = begins ? em_broadcast(0) : *dots;
        em_u32 i = 0;
        EM_UNROLL
        for (em_u32 eight = 0; eight < EM_QUERY_PAIRS / 8u; eight++) {
            if (pairs - i >= 8u) {
                sum = em_dot_pairs(sum, query, k, i, 8);
                i += 8u;
            }
        }
        for (; i < pairs; i++) {
            sum = em_dot_pairs(sum, query, k, i, 1);
        }
        *dots = sum;
    }
}

/* Adds the products of an element without a partner, which stands at `keys` in the first block. */
EM_INLINE void em_dot_single(em_i32 element, const em_i8 *keys, em_u64 block_bytes, em_u32 blocks, em_u32x8 *dots)
{
    for (em_u32 b = 0; b < blocks; b++, keys += block_bytes) {
        const em_i8x8_anywhere *k = (const em_i8x8_anywhere *)(const void *)keys;
        dots[b] += em_multiply_words((em_u16x16)em_widen_to_words(k), (em_u16x16)em_broadcast((em_u32)element & 0xffffu));
    }
}

/* Dot products over the blocks of a span with a narrowed query. */
EM_INLINE void em_dot_blocks(const em_i16 *query, const em_i8 *keys, em_u32 head_dim, struct em_span span,
                             em_u32x8 *dots)
{
    const em_u32 rest = head_dim / 2u % EM_QUERY_PAIRS;
    const em_u32 blocks = em_end_block(span) - em_first_block(span);
    const em_u64 block_bytes = (em_u64)EM_CACHE_BLOCK * head_dim;
    struct em_spread_query spread;
    em_u32 pair = 0;
    keys += em_first_block(span) * block_bytes;
    dots += em_first_block(span);
    for (; head_dim / 2u - pair >= EM_QUERY_PAIRS; pair += EM_QUERY_PAIRS) {
        em_spread(query + 2u * pair, EM_QUERY_PAIRS, &spread);
        em_dot_strip(&spread, EM_QUERY_PAIRS, pair == 0, keys + 16u * pair, block_bytes, blocks, dots);
    }
    if (rest != 0 || head_dim == 1u) {
        em_spread(query + 2u * pair, rest, &spread);
        em_dot_strip(&spread, rest, pair == 0, keys + 16u * pair, block_bytes, blocks, dots);
    }
    if (head_dim % 2u != 0) {
        em_dot_single(query[head_dim - 1u], keys + block_bytes - EM_CACHE_BLOCK, block_bytes, blocks, dots);
    }
}

/* Q16 scores of one query over the blocks of a span; returns the largest of the span. */
EM_NOINLINE EM_UNUSED static em_i32 em_scores(const struct em_kv_cache *head, struct em_span span, const em_i32 *query,
                                              em_u32 head_dim, em_i32 score_shift,
                                              const struct em_attention_scratch *scratch)
{
    em_i16 narrow[EM_HEAD_DIM_MAX];
    em_i32 shift = em_query_shift(query, head_dim);
    em_u32 largest = 127u * em_narrow_query(query, shift, head_dim, narrow);
    em_dot_blocks(narrow, head->keys, head_dim, span, (em_u32x8 *)(void *)scratch->scores);
    return em_scale_blocks(head->key_max, span, em_bits32(largest), score_shift - shift, scratch);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

/*
 * sums += weights * values for `chunks` times eight elements, a constant, from `values` on, over blocks of positions. A
 * weight is a 64-bit word for two of them.
 */
EM_INLINE void em_sum_chunks(em_u32 chunks, const em_u64 *weights, const em_i8 *values, em_u32 head_dim, em_u32 blocks,
                             em_i64 *sums)
{
    while (blocks != 0) {
        em_u32 some = blocks < EM_VALUE_BLOCK / EM_CACHE_BLOCK ? blocks : EM_VALUE_BLOCK / EM_CACHE_BLOCK;
        em_u32x8 part[EM_VALUE_STRIP / 8u] = {{0}};
        for (const em_u64 *end = weights + 4u * some; weights != end; weights += 4) {
            EM_UNROLL
            for (em_u32 pair = 0; pair < 4u; pair++, values += 2u * head_dim) {
                em_u16x16 weight = (em_u16x16)em_broadcast((em_u32)weights[pair]);
                EM_UNROLL
                for (em_u32 i = 0; i < chunks; i++) {
                    const em_i8x16_anywhere *value = (const em_i8x16_anywhere *)(const void *)(values + 16u * i);
                    EM_ADD(part[i], em_multiply_words(em_widen_anywhere(value), weight));
                }
            }
        }
        blocks -= some;
        EM_UNROLL
        for (em_u32 i = 0; i < chunks; i++) {
            em_i32 lanes[8];
            __builtin_memcpy(lanes, &part[i], sizeof(lanes));
            for (em_u32 lane = 0; lane < 8u; lane++) {
                sums[8u * i + lane] += lanes[lane];
            }
        }
    }
}

/* The same for `width` elements, of a head that has fewer than eight. */
EM_INLINE void em_sum_few(const em_u64 *weights, const em_i8 *values, em_u32 width, em_u32 pairs, em_i64 *sums)
{
    for (em_u32 p = 0; p < pairs; p++, values += 2u * width) {
        em_i64 even = (em_i64)(weights[p] & 0xffffu);
        em_i64 odd = (em_i64)(weights[p] >> 16);
        for (em_u32 i = 0; i < width; i++) {
            sums[i] += even * values[2u * i] + odd * values[2u * i + 1u];
        }
    }
}

/* Sums of up to EM_VALUE_STRIP elements; eight at a time, the last eight perhaps some of them once more. */
EM_INLINE void em_value_sums(const struct em_kv_cache *head, struct em_span span,
                             const struct em_attention_scratch *scratch, const struct em_weight_sums *weights,
                             em_u32 head_dim, em_u32 from, em_u32 width, em_i64 *sums)
{
    const em_u32 rest = head_dim % EM_VALUE_STRIP;
    em_u64 base = em_first_block(span) * EM_CACHE_BLOCK;
    em_u32 blocks = em_end_block(span) - em_first_block(span);
    const em_u64 *w = (const em_word64 *)(const void *)(scratch->scores + base);
    const em_i8 *values = head->values + base * head_dim + 2u * from;
    (void)weights;
    for (em_u32 i = 0; i < width; i++) {
        sums[i] = 0;
    }
    if (head_dim < 8u) {
        em_sum_few(w, values, head_dim, 4u * blocks, sums);
        return;
    }
    switch (width == EM_VALUE_STRIP ? 8u : rest / 8u) {
    case 8:
        em_sum_chunks(8, w, values, head_dim, blocks, sums);
        break;
    case 7:
        em_sum_chunks(7, w, values, head_dim, blocks, sums);
        break;
    case 6:
        em_sum_chunks(6, w, values, head_dim, blocks, sums);
        break;
    case 5:
        em_sum_chunks(5, w, values, head_dim, blocks, sums);
        break;
    case 4:
        em_sum_chunks(4, w, values, head_dim, blocks, sums);
        break;
    case 3:
        em_sum_chunks(3, w, values, head_dim, blocks, sums);
        break;
    case 2:
        em_sum_chunks(2, w, values, head_dim, blocks, sums);
        break;
    case 1:
        em_sum_chunks(1, w, values, head_dim, blocks, sums);
        break;
    default:
        break;
    }
    if (rest % 8u != 0 && width == rest) {
        em_i64 last[8] = {0};
        em_sum_chunks(1, w, head->values + base * head_dim + 2u * (head_dim - 8u), head_dim, blocks, last);
        for (em_u32 i = rest / 8u * 8u; i < rest; i++) {
            sums[i] = last[8u - rest + i];
        }
    }
}

#endif /* EM_CACHE_H */
