/*
 * em_attention.h - grouped-query attention over an int8 KV cache. docs/arithmetic.md, section 6.
 *
 * Queries arrive multiplied by log2(e) / (127 sqrt(head_dim)), so scores are exponents of two. What is done once a head
 * stands here; what is done for every cached position is the kernel set's (em_cache_types.h).
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_ATTENTION_H
#define EM_ATTENTION_H

#include "em_activation.h"
#include "em_cache.h"
#include "em_strips.h"

/* Constants of one attention op. */
struct em_attention_op {
    em_i32 score_shift; /* right shift of dot product * key magnitude to Q16, before the query's own shift */
};

/* Shape of the attention of a model. */
struct em_attention_shape {
    em_u32 heads;
    em_u32 kv_heads;
    em_u32 head_dim;  /* at most EM_HEAD_DIM_MAX */
    em_u32 positions; /* that the cache has memory for, a multiple of EM_CACHE_BLOCK */
    em_u32 window;    /* positions a token sees, itself included; as many as the context if all */
};

/* The model's head_dim where model.h says it, so that loops over a head have a constant length. */
EM_INLINE em_u32 em_head_dim(const struct em_attention_shape *shape)
{
#ifdef EM_HEAD_DIM
    (void)shape;
    return EM_HEAD_DIM;
#else
    return shape->head_dim;
#endif
}

/* The part of one head in the cache of a layer. */
EM_INLINE struct em_kv_cache em_head_cache(const struct em_kv_cache *layer, const struct em_attention_shape *shape,
                                           em_u32 kv_head)
{
    em_u64 slot = (em_u64)kv_head * shape->positions;
    struct em_kv_cache head;
    head.keys = layer->keys + slot / EM_CACHE_BLOCK * EM_KEY_BLOCK_BYTES(em_head_dim(shape));
    head.values = layer->values + slot * em_head_dim(shape);
    head.key_max = layer->key_max + slot;
    head.value_max = layer->value_max + slot;
    return head;
}

/*
 * Quantizes keys and values of `tokens` tokens into the cache of a head, from `position` on. stride: values between
 * those of two tokens.
 */
EM_INLINE void em_store_head(const struct em_kv_cache *head, em_u32 head_dim, em_u32 position, const em_i32 *key,
                             const em_i32 *value, em_u32 stride, em_u32 tokens)
{
    for (em_u32 end = position + tokens; position < end; position++, key += stride, value += stride) {
        em_i8 vector[EM_HEAD_DIM_MAX];
        (void)em_quantize_vector(key, head_dim, vector);
        em_store_key(head, head_dim, position, vector);
        head->key_max[position] = em_max_magnitude(key, head_dim);
        (void)em_quantize_vector(value, head_dim, vector);
        em_store_value(head, head_dim, position, vector);
        head->value_max[position] = em_max_magnitude(value, head_dim);
    }
}

/*
 * out = sum of weight * value over the span, divided by 127 times the sum of the exponentials, in the Q format of the
 * values. Sums are at most 127 times that of the weights.
 */
EM_INLINE void em_weighted_sum(const struct em_kv_cache *head, struct em_span span,
                               const struct em_attention_scratch *scratch, const struct em_weight_sums *weights,
                               em_u32 head_dim, em_i32 *out)
{
    em_i32 narrow = (em_i32)em_bits64(weights->weights * 127u) - 31;
    narrow = narrow > 0 ? narrow : 0;
    em_u64 divisor = weights->exponentials * 127u;
    em_i32 bits = (em_i32)em_bits64(divisor);
    em_u64 normal = bits > 31 ? divisor >> (bits - 31) : divisor << (31 - bits);
    em_u64 reciprocal = ((em_u64)1 << 61) / normal; /* (2^30, 2^31] */
    em_i32 mantissa = reciprocal > EM_I32_MAX ? EM_I32_MAX : (em_i32)reciprocal;
    for (em_u32 from = 0; from < head_dim; from += EM_VALUE_STRIP) {
        em_u32 width = head_dim - from < EM_VALUE_STRIP ? head_dim - from : EM_VALUE_STRIP;
        em_i64 sums[EM_VALUE_STRIP];
        em_i32 narrowed[EM_VALUE_STRIP];
        em_value_sums(head, span, scratch, weights, head_dim, from, width, sums);
        for (em_u32 i = 0; narrow > 0 && i < width; i++) {
            sums[i] = em_saturate(em_round_shift64(sums[i], narrow)); /* at its bound it may round up to 2^31 */
        }
        for (em_u32 i = 0; i < width; i++) {
            narrowed[i] = (em_i32)sums[i];
        }
        em_scale_all(narrowed, mantissa, bits + 30 - weights->drop - narrow, out + from, width);
    }
}

/* Attention of one query head at `position`, whose keys and values are in the cache of its KV head already. */
EM_INLINE void em_attend(const struct em_attention_op *op, const struct em_attention_shape *shape,
                         const struct em_kv_cache *head, const struct em_attention_scratch *scratch,
                         const em_i32 *query, em_u32 position, em_i32 *out)
{
    em_u32 end = position + 1u;
    struct em_span span = {end < shape->window ? 0 : end - shape->window, end};
    em_u32 head_dim = em_head_dim(shape);
    em_i32 top = em_scores(head, span, query, head_dim, op->score_shift, scratch);
    struct em_weight_sums weights = em_weights(head, span, top, scratch);
    em_weighted_sum(head, span, scratch, &weights, head_dim, out);
}

#endif /* EM_ATTENTION_H */
