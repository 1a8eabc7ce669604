/*
 * em_weights.h - kernel set "swar": from dot products to weights, one position after the other in general registers.
 * docs/arithmetic.md, section 6.
 *
 * A position has a word in the work memory. After one another it holds
 *
 *   em_products        dot product * key_max, a score with `shift` bits more than Q16
 *   em_exponentials    exponential * value_max
 *
 * and only weights are rounded from that, where values are summed. Bits beyond Q16 stay where they are: of a score they
 * are masked out or shifted out together with what has to be taken out of it anyway.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_WEIGHTS_H
#define EM_WEIGHTS_H

#include "em_cache_types.h"
#include "em_registers.h"

/* What em_wide_score and em_i32 have in memory. */
typedef em_i64 em_wide_score __attribute__((may_alias));

/* Products of more bits are made scores first: the constants of em_exponentials fill 31 + shift bits. */
#define EM_PRODUCT_SHIFT_MAX 31

/* Positions whose weights cannot add up to 2^31 / 127. */
#define EM_UNCOUNTED_WEIGHTS 512u

/*
 * Decides how products become scores, `top` being the largest of them: returns that one's score, and stores at `shift`
 * by how much em_exponentials has to shift the others. A score below the range of 32 bits need not be saturated, as its
 * exponential is 0 either way, unless the largest lies close to that end.
 */
EM_NOINLINE EM_UNUSED static em_i32 em_scale_products(em_wide_score *products, em_u32 count, em_i64 top,
                                                      em_i32 score_shift, em_i32 *shift)
{
    if (score_shift >= 1 && score_shift <= EM_PRODUCT_SHIFT_MAX) {
        em_i64 score = em_round_shift64(top, score_shift);
        if (score <= EM_I32_MAX && score >= -EM_I32_MAX + (32 << 16)) {
            *shift = score_shift;
            return (em_i32)score;
        }
    }
    for (em_u32 i = 0; i < count; i++) {
        products[i] = em_scale_product(products[i], score_shift);
    }
    *shift = 0;
    return em_scale_product(top, score_shift);
}

/* Bits dropped from the largest product of an exponential so that 15 are left, none of which may round up to 2^15. */
EM_INLINE void em_limit_products(em_wide_score *products, em_u32 count, em_i64 largest, struct em_rounding by)
{
    const em_i64 limit = ((em_i64)32768 << by.shift) - by.half - 1;
    for (em_u32 i = 0; largest > limit && i < count; i++) {
        products[i] = products[i] < limit ? products[i] : limit;
    }
}

/* Sum of the weights, 0 for few positions: see em_weight_sums. */
EM_INLINE em_u64 em_sum_weights(const em_wide_score *products, em_u32 count, struct em_rounding by)
{
    em_u64 sum = 0;
    for (em_u32 i = 0; count > EM_UNCOUNTED_WEIGHTS && i < count; i++) {
        sum += (em_u64)em_round(products[i], by);
    }
    return sum;
}

/* What em_exponential multiplies and adds: the polynomial of em_exp2_negative times 2^shift. */
struct em_exponential_form {
    em_i64 nearest;  /* distance of a product from the largest: nearest - product */
    em_i64 limit;    /* from this distance on the exponential is 0 */
    em_i64 fraction; /* bits of a distance that the polynomial takes */
    em_i64 kept;     /* bits of its value */
    em_i64 c0;
    em_i64 c1;
    em_i64 c2;
    em_i32 point; /* where the whole part of a distance begins */
};

/*
 * A distance is whole * 2^point + fraction, point being 16 + shift, where bits below 2^(shift + 1) do not count. To
 * whole 1 + shift are added, so that it is by how much the polynomial's value has to be shifted right: at most 63.
 */
EM_INLINE struct em_exponential_form em_form_exponentials(em_i32 top, em_i32 shift)
{
    const em_i64 half = shift > 0 ? (em_i64)1 << (shift - 1) : 1;
    struct em_exponential_form form;
    form.point = 16 + shift;
    const em_i64 whole = (em_i64)(1 + shift) << form.point;
    form.nearest = top * ((em_i64)1 << shift) + half - 1 + whole; /* (that - whole - product) >> shift: top - score */
    form.limit = whole + ((em_i64)31 << form.point);
    form.fraction = (em_i64)0xfffe << shift;
    form.kept = -((em_i64)1 << form.point);
    form.c0 = (EM_EXP2_C0 * (em_i64)65536 + 32766) << shift;
    form.c1 = (EM_EXP2_C1 * (em_i64)65536 + 32766) << shift;
    form.c2 = (EM_EXP2_C2 * (em_i64)65536 + 32766) << shift;
    return form;
}

EM_INLINE em_u64 em_exponential(em_i64 product, const struct em_exponential_form *form)
{
    em_i64 distance = form->nearest - product;
    if (__builtin_expect(distance > form->limit, 0)) {
        distance = form->limit;
    }
    em_i64 g = distance & form->fraction;
    em_i64 p = (form->c2 - g * EM_EXP2_C3) >> form->point;
    p = (form->c1 - g * p) >> form->point;
    p = (form->c0 - g * p) & form->kept;
    return (em_u64)p >> (distance >> form->point);
}

/* Sums over positions, as their products become products of exponentials. */
struct em_exponential_sums {
    em_u64 exponentials;
    em_i64 largest;
};

EM_INLINE void em_take_exponential(em_wide_score *product, em_i32 value_max, const struct em_exponential_form *form,
                                   struct em_exponential_sums *sums)
{
    em_u64 e = em_exponential(*product, form);
    em_i64 z = (em_i64)e * value_max;
    sums->exponentials += e;
    sums->largest = z > sums->largest ? z : sums->largest;
    *product = z;
}

/*
 * Turns `count` products, the largest of which has the score `top`, into exponentials times the magnitude of their
 * value vectors; at most 32767 of these are left when they are shifted right by `drop` bits, rounded.
 */
EM_NOINLINE EM_UNUSED static struct em_weight_sums em_exponentials(em_wide_score *products, const em_i32 *value_max,
                                                                   em_u32 count, em_i32 top, em_i32 shift)
{
    const struct em_exponential_form form = em_form_exponentials(top, shift);
    struct em_exponential_sums sums = {0, 0};
    em_wide_score *product = products;
    const em_i32 *end = value_max + count;
    for (const em_i32 *whole = value_max + count / 8u * 8u; value_max != whole; value_max += 8, product += 8) {
        EM_UNROLL
        for (em_u32 i = 0; i < 8u; i++) {
            em_take_exponential(&product[i], value_max[i], &form, &sums);
        }
    }
    for (; value_max != end; value_max++, product++) {
        em_take_exponential(product, *value_max, &form, &sums);
    }
    const struct em_rounding by = em_rounding_by((em_i32)em_bits64((em_u64)sums.largest) - 15);
    em_limit_products(products, count, sums.largest, by);
    struct em_weight_sums found = {sums.exponentials, em_sum_weights(products, count, by), by.shift};
    return found;
}

#endif /* EM_WEIGHTS_H */
