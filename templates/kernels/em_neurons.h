/*
 * em_neurons.h - weights of a geometric neuron field: softmax of distances. docs/arithmetic.md, section 6.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_NEURONS_H
#define EM_NEURONS_H

#include "em_vectors.h"

/* Constants of one field. */
struct em_neurons_op {
    em_u64 constants;     /* blob offset of int32[3][count]: halves of the squared norms of the positions in the format of the
                             dots, then mantissas and exponents of log2(e) / (|temperature| + floor) */
    em_i32 in_frac;       /* Q format of the activation */
    em_i32 dots_frac;     /* Q format of its dot products with the positions */
    em_i32 epsilon_score; /* Q16: what is added to the sum of weights, as the score of a neuron without a value */
};

/* Bits that the largest magnitude of an activation keeps before it is squared. */
#define EM_SQUARE_BITS 24

/* |x|^2 / 2 of an activation of `width` <= 8192 values, in the format of the dots. */
EM_INLINE em_i32 em_half_square(const struct em_neurons_op *op, const em_i32 *x, em_u32 width)
{
    em_i32 drop = (em_i32)em_bits32((em_u32)em_max_magnitude(x, width)) - EM_SQUARE_BITS;
    drop = drop > 0 ? drop : 0;
    em_i64 sum = 0; /* below 2^61 */
    for (em_u32 i = 0; i < width; i++) {
        em_i64 v = em_round_shift(x[i], drop);
        sum += v * v;
    }
    em_i32 shift = 2 * (op->in_frac - drop) + 1 - op->dots_frac;
    shift = shift < 62 ? shift : 62;
    return em_saturate(shift > 0 ? em_round_shift64(sum, shift) : sum);
}

/* Square root of total in [1, 2^62) as root * 2^-k, root in [2^30, 2^31). */
EM_INLINE em_i32 em_square_root(em_u64 total, em_i32 *k)
{
    em_u64 mantissa = (em_u64)em_reciprocal_sqrt(total, k);
    em_u64 root = (((total << (2 * *k)) >> 30) * mantissa) >> 31;
    return root < EM_I32_MAX ? (em_i32)root : EM_I32_MAX;
}

/* Scores in Q16 to base 2 of one activation, into out; returns the least of them and of epsilon's. */
EM_INLINE em_i32 em_neuron_scores(const struct em_neurons_op *op, const em_i32 *constants, const em_i32 *x,
                                  const em_i32 *dots, em_u32 width, em_u32 count, em_i32 *out)
{
    em_i32 odd = op->dots_frac & 1;
    em_i32 shift = (op->dots_frac + odd) / 2 - 16;
    em_i64 half = em_half_square(op, x, width);
    em_i32 least = op->epsilon_score;
    for (em_u32 n = 0; n < count; n++) {
        em_i64 half_distance = half + constants[n] - dots[n]; /* below 2^33 */
        em_i32 score = 0;
        if (half_distance > 0) {
            em_i32 k = 0;
            em_i32 root = em_square_root((em_u64)half_distance << (1 + odd), &k);
            score = em_scale(root, constants[count + n], constants[2u * count + n] + k + shift);
        }
        out[n] = score;
        least = score < least ? score : least;
    }
    return least;
}

/* out[tokens][count] = weights in Q30 of the neurons, from activations x[tokens][width] and their dots[tokens][count]. */
EM_UNUSED EM_NOINLINE static void em_neurons(const struct em_neurons_op *op, const em_u8 *blob, const em_i32 *x,
                                             const em_i32 *dots, em_u32 width, em_u32 count, em_u32 tokens, em_i32 *out)
{
    const em_i32 *constants = (const em_i32 *)(const void *)(blob + op->constants);
    for (em_u32 t = 0; t < tokens; t++, x += width, dots += count, out += count) {
        em_i32 least = em_neuron_scores(op, constants, x, dots, width, count, out);
        em_u64 total = em_exp2_negative((em_u32)op->epsilon_score - (em_u32)least);
        for (em_u32 n = 0; n < count; n++) {
            out[n] = (em_i32)em_exp2_negative((em_u32)out[n] - (em_u32)least);
            total += (em_u32)out[n];
        }
        em_i32 bits = (em_i32)em_bits64(total); /* at least 30 */
        em_u64 normal = bits > 31 ? total >> (bits - 31) : total << (31 - bits);
        em_u64 reciprocal = ((em_u64)1 << 61) / normal; /* (2^30, 2^31] */
        em_i32 mantissa = reciprocal < EM_I32_MAX ? (em_i32)reciprocal : EM_I32_MAX;
        for (em_u32 n = 0; n < count; n++) {
            out[n] = em_scale(out[n], mantissa, bits);
        }
    }
}

#endif /* EM_NEURONS_H */
