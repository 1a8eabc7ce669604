/*
 * em_w8.h - w8: sums of a tile of 32 rows.
 *
 * Layout. A tile holds quad after quad, columns padded with zeros to a multiple of 32: four vectors for rows 0..7, 8..15, 16..23,
 * 24..31; byte 4r + i is row r, column i of the quad, a signed integer.
 *
 * vpmaddubsw wants one side unsigned: that is |a|, and the weights take the signs of the activations. Neither is -128.
 *
 * Bound. A pair of products is at most 2 * 127 * 127 < 2^15; pairs are added in int32, whose final value the packer proves.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_W8_H
#define EM_W8_H

#include "em_matrix.h"
#include "em_tile.h"

/* Weights of eight rows times a quad of activations, whose magnitudes are given as well. */
EM_INLINE em_u32x8 em_multiply_w8(em_u8x32 w, em_u8x32 a, em_u8x32 magnitudes)
{
    const em_u16x16 ones = (em_u16x16)em_broadcast(0x00010001u);
    return em_multiply_words(em_multiply_bytes(magnitudes, em_sign_bytes(w, a)), ones);
}

/* sums += quad times four activations. */
EM_INLINE void em_add_quad_w8(struct em_sums *sums, const em_u8x32 *w, em_word activations)
{
    em_u8x32 a = (em_u8x32)em_broadcast(activations);
    em_u8x32 magnitudes = em_sign_bytes(a, a);
    EM_ADD(sums->a, em_multiply_w8(w[0], a, magnitudes));
    EM_ADD(sums->b, em_multiply_w8(w[1], a, magnitudes));
    EM_ADD(sums->c, em_multiply_w8(w[2], a, magnitudes));
    EM_ADD(sums->d, em_multiply_w8(w[3], a, magnitudes));
}

/* Sums of a tile for one token, or for two whose sums and activations are given as well. */
EM_INLINE void em_sum_tile_w8(em_u32 tokens, const em_u8x32 *w, em_u32 quads, const em_word *x, const em_word *y,
                              struct em_sums *sums)
{
    struct em_sums one = {0};
    struct em_sums two = {0};
    for (; quads != 0; quads -= EM_W8_STEP, w += 4u * EM_W8_STEP, x += EM_W8_STEP) {
        EM_UNROLL
        for (em_u32 i = 0; i < EM_W8_STEP; i++) {
            em_add_quad_w8(&one, w + 4u * i, x[i]);
            if (tokens > 1u) {
                em_add_quad_w8(&two, w + 4u * i, y[i]);
            }
        }
        if (tokens > 1u) {
            y += EM_W8_STEP;
        }
    }
    sums[0] = one;
    if (tokens > 1u) {
        sums[1] = two;
    }
}

/*
 * Sums of `tiles` tiles for the token at x, one a tile; or two a tile, with those of a second token at y unless that is EM_NULL.
 */
EM_NOINLINE EM_UNUSED static void em_sum_w8(const em_u8 *tile, em_u32 tiles, em_u32 quads, const em_i8 *x, const em_i8 *y,
                                            struct em_sums *sums)
{
    const em_word *quads_x = (const em_word *)(const void *)x;
    const em_word *quads_y = (const em_word *)(const void *)y;
    for (em_u32 i = 0; i < tiles; i++, tile += (em_u64)quads * 4u * EM_ROW_TILE) {
        const em_u8x32 *w = (const em_u8x32 *)(const void *)tile;
        if (y == EM_NULL) {
            em_sum_tile_w8(1, w, quads, quads_x, EM_NULL, sums + i);
        } else {
            em_sum_tile_w8(2, w, quads, quads_x, quads_y, sums + 2u * i);
        }
    }
}

#endif /* EM_W8_H */
