/*
 * em_batch.h - w4, w5, w6: sums of a tile of 32 rows for several tokens.
 *
 * The weights of eight quads, 32 rows and as many columns, are unpacked to bytes once for all tokens; two tokens at a
 * time then take each of them from memory: two multiplications and two additions a load, whatever the format.
 *
 * Bound. As em_grouped.h has it: lanes are multiplied by their sub-scales after eight quads, in w6 after four.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_BATCH_H
#define EM_BATCH_H

#include "em_grouped.h"

/* Tokens that share an unpacking. */
#define EM_BATCH_TOKENS 8u

/* Eight quads, unpacked. */
struct em_unpacked {
    struct em_quad quads[8];
};

EM_INLINE void em_unpack_quads(em_u32 format, const em_u8x32 *x, struct em_unpacked *out)
{
    for (em_u32 quad = 0; quad < 8u; quad += 2u, x += 3u + format) {
        out->quads[quad] = em_unpack(format, x, 0);
        out->quads[quad + 1u] = em_unpack(format, x, 1);
    }
}

/* Eight rows of a quad, loaded once, times the activations of two tokens. */
EM_INLINE void em_add_rows_twice(em_u8x32 w, em_u8x32 a, em_u8x32 b, em_u16x16 *one, em_u16x16 *two)
{
    __asm__("" : "+x"(w));
    EM_ADD(*one, em_multiply_bytes(w, a));
    EM_ADD(*two, em_multiply_bytes(w, b));
}

EM_INLINE void em_add_quad_twice(const struct em_quad *w, em_word activations_a, em_word activations_b,
                                 struct em_lanes *one, struct em_lanes *two)
{
    em_u8x32 a = (em_u8x32)em_broadcast(activations_a);
    em_u8x32 b = (em_u8x32)em_broadcast(activations_b);
    em_add_rows_twice(w->a, a, b, &one->a, &two->a);
    em_add_rows_twice(w->b, a, b, &one->b, &two->b);
    em_add_rows_twice(w->c, a, b, &one->c, &two->c);
    em_add_rows_twice(w->d, a, b, &one->d, &two->d);
}

/* sums += lanes times sub-scales, for two tokens. */
EM_INLINE void em_add_lanes_twice(struct em_sums *sums, const struct em_lanes *one, const struct em_lanes *two,
                                  const em_i8x16 *sub_scales)
{
    em_u16x16 a = em_widen(sub_scales);
    em_u16x16 b = em_widen(sub_scales + 1);
    em_u16x16 c = em_widen(sub_scales + 2);
    em_u16x16 d = em_widen(sub_scales + 3);
    sums[0].a += em_multiply_words(one->a, a);
    sums[0].b += em_multiply_words(one->b, b);
    sums[0].c += em_multiply_words(one->c, c);
    sums[0].d += em_multiply_words(one->d, d);
    sums[1].a += em_multiply_words(two->a, a);
    sums[1].b += em_multiply_words(two->b, b);
    sums[1].c += em_multiply_words(two->c, c);
    sums[1].d += em_multiply_words(two->d, d);
}

/*
 * Adds `run` quads times their activations, for two tokens whose lanes start at start_a and start_b, shifted right by
 * `halved`. run is a constant: 8, or 4 in w6.
 */
EM_INLINE void em_add_run(em_u32 run, const struct em_quad *w, const em_i8x16 *sub_scales, const em_word *a,
                          const em_word *b, em_u32 start_a, em_u32 start_b, em_u16 halved, struct em_sums *sums)
{
    struct em_lanes one = em_start_shifted(start_a, halved);
    struct em_lanes two = em_start_shifted(start_b, halved);
    EM_UNROLL
    for (em_u32 i = 0; i < run; i++) {
        em_add_quad_twice(w + i, a[i], b[i], &one, &two);
    }
    em_add_lanes_twice(sums, &one, &two, sub_scales);
}

/* Adds the unpacked weights times the activations in half `half` of the groups at x and y. */
EM_INLINE void em_add_half(em_u32 format, em_u32 half, const struct em_unpacked *w, const em_i8x16 *sub_scales,
                           const struct em_prepared *x, const struct em_prepared *y, struct em_sums *sums)
{
    EM_FORGET(w);
    const em_word *a = (const em_word *)(const void *)x->quads + 8u * half;
    const em_word *b = (const em_word *)(const void *)y->quads + 8u * half;
    if (EM_USES(EM_W6) && format == EM_W6) {
        for (em_u32 run = 0; run < 2u; run++) {
            em_add_run(4, w->quads + 4u * run, sub_scales, a + 4u * run, b + 4u * run, x->start_w6[2u * half + run],
                       y->start_w6[2u * half + run], 0, sums);
        }
    } else if (EM_USES(EM_W4) || EM_USES(EM_W5)) {
        /* The offset of w4 is half of that of w5. */
        em_add_run(8, w->quads, sub_scales, a, b, x->start_w5[half], y->start_w5[half], format == EM_W4, sums);
    }
}

/*
 * Sums of a tile over `groups` groups for `tokens` <= EM_BATCH_TOKENS tokens, whose activations lie `stride` bytes
 * apart. sums has room for an even number of tokens.
 */
EM_NOINLINE EM_UNUSED static void em_sum_batch(em_u32 format, const em_u8 *tile, em_u32 groups,
                                               const struct em_prepared *x, em_u64 stride, em_u32 tokens,
                                               struct em_sums *sums)
{
    const em_u8 *w = tile + EM_SUB_SCALE_BYTES;
    __builtin_memset(sums, 0, (tokens + 1u) / 2u * 2u * sizeof(*sums));
    for (em_u32 group = 0; group < groups; group++) {
        struct em_unpacked unpacked;
        const em_u8x32 *packed = (const em_u8x32 *)(const void *)w;
        if (EM_USES(EM_W4) && format == EM_W4) {
            em_unpack_quads(EM_W4, packed, &unpacked);
        } else if (EM_USES(EM_W5) && format == EM_W5) {
            em_unpack_quads(EM_W5, packed, &unpacked);
        } else if (EM_USES(EM_W6) && format == EM_W6) {
            em_unpack_quads(EM_W6, packed, &unpacked);
        }
        for (em_u32 t = 0; t < tokens; t += 2u) {
            const em_u8 *one = (const em_u8 *)x + t * stride;
            const struct em_prepared *a = (const struct em_prepared *)(const void *)one;
            const struct em_prepared *b = (const struct em_prepared *)(const void *)(one + stride);
            b = t + 1u < tokens ? b : a;
            em_add_half(format, group % 2u, &unpacked, (const em_i8x16 *)(const void *)tile, a, b, sums + t);
        }
        w += EM_GROUP_BYTES(format);
        if (group % 2u == 1u) {
            tile = w;
            w += EM_SUB_SCALE_BYTES;
            x++;
        }
    }
}

#endif /* EM_BATCH_H */
