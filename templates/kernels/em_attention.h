/*
 * em_attention.h - grouped-query attention over an int8 KV cache. docs/arithmetic.md, section 6.
 *
 * Queries arrive multiplied by log2(e) / (127 sqrt(head_dim)), so scores are exponents of two.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_ATTENTION_H
#define EM_ATTENTION_H

#include "em_activation.h"
#include "em_cache_words.h"

/* Whether sums over the cache run in general registers: the compiler may use no vectors to do better. */
#if defined(__SSE2__) || defined(__ARM_NEON)
#define EM_CACHE_IN_WORDS(head_dim) 0
#else
#define EM_CACHE_IN_WORDS(head_dim) ((head_dim) % 8u == 0)
#endif

/* Constants of one attention op. */
struct em_attention_op {
    em_i32 score_shift; /* right shift of dot product * key magnitude to Q16, before the query's own shift */
};

/* Shape of the attention of a model. */
struct em_attention_shape {
    em_u32 heads;
    em_u32 kv_heads;
    em_u32 head_dim; /* at most 256 */
    em_u32 context;  /* positions of the cache */
    em_u32 window;   /* positions a token sees, itself included; context if all */
};

/* KV cache of one layer. Vectors of one head lie one after the other: [kv_heads][context]. */
struct em_kv_cache {
    em_i8 *keys;       /* [kv_heads][context][head_dim], in [-127, 127] */
    em_i8 *values;     /* likewise */
    em_i32 *key_max;   /* [kv_heads][context]: largest magnitude of the vector, in its Q format */
    em_i32 *value_max; /* likewise */
};

/* Work memory of one head: a score and a weight for each position. */
struct em_attention_scratch {
    em_i32 *scores;  /* [context]: Q16 scores, then Q30 exponentials */
    em_i32 *weights; /* [context]: 15-bit weights */
};

/* Positions whose products of 15-bit weights and int8 values are summed in int32: 512 * 2^15 * 127 < 2^31. */
#define EM_VALUE_BLOCK 512u

/* Elements of a head that are summed at a time: bounds the stack. */
#define EM_VALUE_STRIP 64u

/* Quantizes one head of keys or values of `tokens` tokens into the cache, from position on. */
EM_INLINE void em_store_head(const em_i32 *in, em_u32 stride, em_u32 head_dim, em_u32 tokens, em_i8 *out, em_i32 *max)
{
    for (em_u32 t = 0; t < tokens; t++) {
        const em_i32 *vector = in + (em_u64)t * stride;
        (void)em_quantize_vector(vector, head_dim, out + (em_u64)t * head_dim);
        max[t] = em_max_magnitude(vector, head_dim);
    }
}

/* Dot products of a query with `count` keys. A query is shifted right by `shift` to 14 bits and sign. */
EM_INLINE void em_dots(const em_i32 *query, em_i32 shift, const em_i8 *keys, em_u32 head_dim, em_u32 count,
                       em_i32 *dots)
{
    em_i16 q[256];
    for (em_u32 i = 0; i < head_dim; i++) {
        q[i] = (em_i16)em_round_shift(query[i], shift);
    }
    for (em_u32 j = 0; j < count; j++) {
        const em_i8 *key = keys + (em_u64)j * head_dim;
        em_i32 dot = 0; /* below 2^30 */
        for (em_u32 i = 0; i < head_dim; i++) {
            dot += q[i] * (em_i16)key[i];
        }
        dots[j] = dot;
    }
}

/* The same in general registers, four keys at a time. */
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

/* Q16 scores of one query against `count` keys; returns the largest. */
EM_INLINE em_i32 em_scores(const em_i32 *query, const em_i8 *keys, const em_i32 *key_max, em_u32 head_dim, em_u32 count,
                           em_i32 score_shift, em_i32 *scores)
{
    em_i32 shift = (em_i32)em_bits32((em_u32)em_max_magnitude(query, head_dim)) - 14;
    if (EM_CACHE_IN_WORDS(head_dim)) {
        em_dots_in_words(query, shift, keys, head_dim, count, scores);
    } else {
        em_dots(query, shift, keys, head_dim, count, scores);
    }
    em_i32 top = -EM_I32_MAX;
    for (em_u32 j = 0; j < count; j++) {
        scores[j] = em_scale(scores[j], key_max[j], score_shift - shift);
        top = scores[j] > top ? scores[j] : top;
    }
    return top;
}

/*
 * Turns scores into weights: exponentials in Q30, each times the magnitude of its value vector, then all shifted right by
 * *drop so that the largest fills 15 bits. Returns the sum of the exponentials, and in *weight_sum that of the weights.
 */
EM_INLINE em_u64 em_weights(const struct em_attention_scratch *scratch, const em_i32 *value_max, em_u32 count, em_i32 top,
                            em_i32 *drop, em_u64 *weight_sum)
{
    em_u64 total = 0;
    em_u64 largest = 0;
    for (em_u32 j = 0; j < count; j++) {
        em_u32 e = em_exp2_negative((em_u32)top - (em_u32)scratch->scores[j]);
        em_u64 product = (em_u64)e * (em_u32)value_max[j];
        total += e;
        largest = product > largest ? product : largest;
        scratch->scores[j] = (em_i32)e;
    }
    em_i32 shift = (em_i32)em_bits64(largest) - 15;
    shift = shift > 0 ? shift : 0;
    em_u64 half = shift > 0 ? (em_u64)1 << (shift - 1) : 0;
    em_u64 sum = 0;
    for (em_u32 j = 0; j < count; j++) {
        em_u64 product = (em_u64)(em_u32)scratch->scores[j] * (em_u32)value_max[j];
        em_u64 weight = (product + half) >> shift;
        weight = weight < 32767u ? weight : 32767u;
        scratch->weights[j] = (em_i32)weight;
        sum += weight;
    }
    *drop = shift;
    *weight_sum = sum;
    return total;
}

/* Sums of weight * value for `width` <= EM_VALUE_STRIP elements of a head. */
EM_INLINE void em_sum_strip(const em_i32 *weights, const em_i8 *values, em_u32 head_dim, em_u32 width, em_u32 count,
                            em_i64 *sums)
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

/* The same in general registers, width a multiple of 8: weights sum to `total`. */
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

/*
 * out = sum of weight * value over the positions, divided by 127 * total, in the Q format of the values. weight_sum: of
 * the weights, so that sums are at most 127 times as large.
 */
EM_INLINE void em_weighted_sum(const em_i32 *weights, em_u64 weight_sum, const em_i8 *values, em_u32 head_dim,
                               em_u32 count, em_u64 total, em_i32 drop, em_i32 *out)
{
    em_i32 narrow = (em_i32)em_bits64(weight_sum * 127u) - 31;
    narrow = narrow > 0 ? narrow : 0;
    em_u64 divisor = total * 127u;
    em_i32 bits = (em_i32)em_bits64(divisor);
    em_u64 normal = bits > 31 ? divisor >> (bits - 31) : divisor << (31 - bits);
    em_u64 reciprocal = ((em_u64)1 << 61) / normal; /* (2^30, 2^31] */
    em_i32 mantissa = reciprocal > EM_I32_MAX ? EM_I32_MAX : (em_i32)reciprocal;
    for (em_u32 strip = 0; strip < head_dim; strip += EM_VALUE_STRIP) {
        em_u32 width = head_dim - strip < EM_VALUE_STRIP ? head_dim - strip : EM_VALUE_STRIP;
        em_i64 sums[EM_VALUE_STRIP];
        if (EM_CACHE_IN_WORDS(head_dim)) {
            em_sum_strip_in_words(weights, weight_sum, values + strip, head_dim, width, count, sums);
        } else {
            em_sum_strip(weights, values + strip, head_dim, width, count, sums);
        }
        for (em_u32 i = 0; i < width; i++) {
            /* A sum at its bound may round up to 2^31. */
            em_i32 sum = em_saturate(narrow > 0 ? em_round_shift64(sums[i], narrow) : sums[i]);
            out[strip + i] = em_scale(sum, mantissa, bits + 30 - drop - narrow);
        }
    }
}

/* Attention of one query head at `position`, whose keys and values are in the cache already. */
EM_INLINE void em_attend(const struct em_attention_op *op, const struct em_attention_shape *shape,
                         const struct em_kv_cache *cache, const struct em_attention_scratch *scratch,
                         const em_i32 *query, em_u32 kv_head, em_u32 position, em_i32 *out)
{
    em_u32 count = position + 1u < shape->window ? position + 1u : shape->window;
    em_u64 slot = (em_u64)kv_head * shape->context + (position + 1u - count);
    const em_i8 *keys = cache->keys + slot * shape->head_dim;
    const em_i8 *values = cache->values + slot * shape->head_dim;
    em_i32 drop = 0;
    em_u64 weight_sum = 0;
    em_i32 top =
        em_scores(query, keys, cache->key_max + slot, shape->head_dim, count, op->score_shift, scratch->scores);
    em_u64 total = em_weights(scratch, cache->value_max + slot, count, top, &drop, &weight_sum);
    em_weighted_sum(scratch->weights, weight_sum, values, shape->head_dim, count, total, drop, out);
}

#endif /* EM_ATTENTION_H */
