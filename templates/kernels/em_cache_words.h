/*
 * em_cache_words.h - attention's sums over an int8 KV cache in general registers, for cores without vectors and
 * kernel mode.
 *
 * Eight elements of a key or value are one word. Exclusive or with 0x80 makes its bytes 128 + element, in [1, 255];
 * masks take out of it pairs of bytes 32 bits apart, byte f in lane 0 and byte f + 4 in lane 1.
 *
 *   keys    (k0 + 2^32 k1) (q1 + 2^32 q0) has k0 q0 + k1 q1 at 2^32: two products a multiplication. k0 q1 below it and
 *           k1 q0 above it are of no use. Sums of 256 elements stay below 2^31.
 *   values  a pair times a weight is two products. 512 weights of 15 bits times 255 stay below 2^32.
 *
 * Both come with 128 times the sum of the other side, which is known and subtracted at the end.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CACHE_WORDS_H
#define EM_CACHE_WORDS_H

#include "em_cache_types.h"
#include "em_registers.h"

/* Eight elements. */
typedef em_u64 em_cache_word __attribute__((may_alias));

#define EM_CACHE_SIGNS 0x8080808080808080u

/* Bytes 0 and 4. */
#define EM_BYTE_PAIR 0x000000ff000000ffu

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

/* A query of up to 256 elements, ready for em_dot_keys. */
struct em_paired_query {
    em_i64 pairs[128];  /* word after word, for its byte pairs 0 to 3 */
    em_u32 correction;  /* what the sums lack */
};

/*
 * One pair of a query; that of byte pair 2 or 3 stands to the left, so that the upper half of the product needs no
 * shift.
 */
EM_INLINE em_i64 em_query_pair(em_i32 first, em_i32 second, em_u32 pair)
{
    em_u64 both = ((em_u64)first << 32) + (em_u64)second;
    return (em_i64)(pair == 2u ? both << 16 : pair == 3u ? both << 8 : both);
}

/* Packs query[i] * 2^-shift, 12 bits and sign. */
EM_INLINE void em_pair_query(const em_i32 *query, em_u32 head_dim, em_i32 shift, struct em_paired_query *out)
{
    out->correction = 0;
    for (em_u32 i = 0; i < head_dim / 2u; i++) {
        em_u32 pair = i % 4u;
        em_i32 first = em_round_shift(query[2u * (i - pair) + pair], shift);
        em_i32 second = em_round_shift(query[2u * (i - pair) + pair + 4u], shift);
        out->pairs[i] = em_query_pair(first, second, pair);
        out->correction -= 128u * (em_u32)(first + second);
        /* The upper half is rounded down: one less if what is below is negative, as its sign is that of `second`. */
        out->correction += pair >= 2u && second < 0;
    }
}

/* Dot products with `count` keys, a constant of at most 4. */
EM_INLINE void em_dot_keys(const struct em_paired_query *query, const em_i8 *keys, em_u32 head_dim, em_u32 count,
                           em_i32 *dots)
{
    em_u64 lower[4] = {0};
    em_u64 upper[4] = {0};
    const em_i64 *pairs = query->pairs;
    for (const em_i8 *end = keys + head_dim; keys != end; keys += 8, pairs += 4) {
        const em_i64 pair[4] = {pairs[0], pairs[1], pairs[2], pairs[3]};
        EM_UNROLL
        for (em_u32 j = 0; j < count; j++) {
            em_u64 x = *(const em_cache_word *)(const void *)(keys + (em_u64)j * head_dim) ^ EM_CACHE_SIGNS;
            lower[j] += (x & EM_BYTE_PAIR) * (em_u64)pair[0];
            lower[j] += ((x >> 8) & EM_BYTE_PAIR) * (em_u64)pair[1];
            upper[j] += em_multiply_high(pair[2], x & EM_BYTE_PAIR << 16);
            upper[j] += em_multiply_high(pair[3], x & EM_BYTE_PAIR << 24);
            if (j % 2u == 1u) {
                em_schedule_barrier();
            }
        }
    }
    EM_UNROLL
    for (em_u32 j = 0; j < count; j++) {
        em_u32 sum = (em_u32)((lower[j] + ((em_u64)1 << 31)) >> 32) + (em_u32)upper[j];
        dots[j] = (em_i32)(sum + query->correction);
    }
}

/* em_dots_plain of em_cache_plain.h, four keys at a time; head_dim is a multiple of 8. */
EM_INLINE void em_dots_in_words(const em_i32 *query, em_i32 shift, const em_i8 *keys, em_u32 head_dim, em_u32 count,
                                em_i32 *dots)
{
    struct em_paired_query paired;
    em_u32 j = 0;
    em_pair_query(query, head_dim, shift, &paired);
    for (; count - j >= 4u; j += 4u) {
        em_dot_keys(&paired, keys + (em_u64)j * head_dim, head_dim, 4, dots + j);
    }
    for (; j < count; j++) {
        em_dot_keys(&paired, keys + (em_u64)j * head_dim, head_dim, 1, dots + j);
    }
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

/* Adds weight * (128 + value) over `count` <= 512 positions to 8 * words sums; `words` is a constant of at most 3. */
EM_INLINE void em_sum_words(const em_i32 *weights, const em_i8 *values, em_u32 head_dim, em_u32 words, em_u32 count,
                            em_i64 *sums)
{
    em_u64 all[3] = {0}; /* of whole words, modulo 2^64 */
    em_u64 pairs[3][3] = {{0}};
    for (const em_i32 *end = weights + count; weights != end; weights++, values += head_dim) {
        const em_i64 weight = *weights;
        EM_UNROLL
        for (em_u32 i = 0; i < words; i++) {
            em_u64 x = *(const em_cache_word *)(const void *)(values + 8u * i) ^ EM_CACHE_SIGNS;
            all[i] += x * (em_u64)weight;
            pairs[i][0] += ((x >> 8) & EM_BYTE_PAIR) * (em_u64)weight;
            pairs[i][1] += em_multiply_high(weight << 48, x & EM_BYTE_PAIR << 16);
            pairs[i][2] += em_multiply_high(weight << 40, x & EM_BYTE_PAIR << 24);
        }
    }
    EM_UNROLL
    for (em_u32 i = 0; i < words; i++) {
        em_u64 first = all[i] - (pairs[i][0] << 8) - (pairs[i][1] << 16) - (pairs[i][2] << 24);
        for (em_u32 pair = 0; pair < 4u; pair++) {
            em_u64 lanes = pair == 0 ? first : pairs[i][pair - 1u];
            sums[8u * i + pair] += (em_u32)lanes;
            sums[8u * i + 4u + pair] += (em_u32)(lanes >> 32);
        }
    }
}

/* em_sum_strip_plain of em_cache_plain.h for a width that is a multiple of 8; weights sum to `total`. */
EM_INLINE void em_sum_strip_in_words(const em_i32 *weights, em_u64 total, const em_i8 *values, em_u32 head_dim,
                                     em_u32 width, em_u32 count, em_i64 *sums)
{
    for (em_u32 i = 0; i < width; i++) {
        sums[i] = -(em_i64)(128u * total);
    }
    for (em_u32 first = 0; first < count; first += EM_VALUE_BLOCK) {
        em_u32 block = count - first < EM_VALUE_BLOCK ? count - first : EM_VALUE_BLOCK;
        const em_i8 *value = values + (em_u64)first * head_dim;
        em_u32 i = 0;
        for (; width - i >= 24u; i += 24u) {
            em_sum_words(weights + first, value + i, head_dim, 3, block, sums + i);
        }
        for (; i < width; i += 8u) {
            em_sum_words(weights + first, value + i, head_dim, 1, block, sums + i);
        }
    }
}

#endif /* EM_CACHE_WORDS_H */
