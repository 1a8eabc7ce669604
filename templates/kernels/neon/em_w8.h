/*
 * em_w8.h - w8: sums of a tile of 32 rows.
 *
 * Layout. A tile is four strips of eight rows; a strip holds block after block of 32 columns, the last one padded with zeros, and a
 * block row after row: 32 signed bytes of row 0, of row 1, ...
 *
 * Sixteen columns of a row take smull, smlal2 and sadalp.
 *
 * Bound. An int16 lane holds two products, at most 2 * 127 * 127 < 2^15; pairs of lanes are added in int32, whose final value the
 * packer proves.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_W8_H
#define EM_W8_H

#include "em_matrix.h"
#include "em_tile.h"

/* Sums of eight rows, each spread over four lanes. */
struct em_strip_sums {
    em_i32x4 a, b, c, d, e, f, g, h;
};

/* sum + row of a block times 32 activations, or this product alone for the first block. */
EM_INLINE em_i32x4 em_add_block_row(em_u32 first, em_i32x4 sum, em_i8x16 w0, em_i8x16 w1, em_i8x16 x0, em_i8x16 x1)
{
    em_i16x8 low = em_smlal8_high(em_smull8(w0, x0), w0, x0);
    em_i16x8 high = em_smlal8_high(em_smull8(w1, x1), w1, x1);
    return em_add_pairs16(first ? em_pair_sums16(low) : em_add_pairs16(sum, low), high);
}

/* One row of a block for one token or two. */
#define EM_ADD_BLOCK_ROW(field, row) \
    do { \
        em_i8x16 w0 = w[2 * (row)]; \
        em_i8x16 w1 = w[2 * (row) + 1]; \
        one->field = em_add_block_row(first, one->field, w0, w1, x0, x1); \
        if (tokens > 1u) { \
            two->field = em_add_block_row(first, two->field, w0, w1, y0, y1); \
        } \
    } while (0)

/* The block at w times the activations at x, and those at y where there are two tokens. */
EM_INLINE void em_add_block(em_u32 first, em_u32 tokens, const em_i8x16 *w, const em_i8x16 *x, const em_i8x16 *y,
                            struct em_strip_sums *one, struct em_strip_sums *two)
{
    em_i8x16 x0 = x[0];
    em_i8x16 x1 = x[1];
    em_i8x16 y0 = y[0];
    em_i8x16 y1 = y[1];
    EM_ADD_BLOCK_ROW(a, 0);
    EM_ADD_BLOCK_ROW(b, 1);
    EM_ADD_BLOCK_ROW(c, 2);
    EM_ADD_BLOCK_ROW(d, 3);
    EM_ADD_BLOCK_ROW(e, 4);
    EM_ADD_BLOCK_ROW(f, 5);
    EM_ADD_BLOCK_ROW(g, 6);
    EM_ADD_BLOCK_ROW(h, 7);
}

/* Eight sums of four lanes each as two vectors. */
EM_INLINE void em_gather_strip(const struct em_strip_sums *sums, em_i32x4 *rows)
{
    rows[0] = em_pair_sums32(em_pair_sums32(sums->a, sums->b), em_pair_sums32(sums->c, sums->d));
    rows[1] = em_pair_sums32(em_pair_sums32(sums->e, sums->f), em_pair_sums32(sums->g, sums->h));
}

/* Sums of a strip for the token at x, and for that at y where there are two. */
EM_INLINE void em_sum_strip_w8(em_u32 tokens, const em_i8x16 *w, em_u32 blocks, const em_i8x16 *x, const em_i8x16 *y,
                               em_i32x4 *rows_x, em_i32x4 *rows_y)
{
    struct em_strip_sums one = {0};
    struct em_strip_sums two = {0};
    if (tokens == 1u) { /* with two, gcc runs out of registers around the loop */
        em_add_block(1, tokens, w, x, y, &one, &two);
        w += 2u * EM_STRIP_ROWS;
        x += 2;
        blocks--;
    }
    for (; blocks != 0; blocks--, w += 2u * EM_STRIP_ROWS, x += 2, y += 2) {
        em_add_block(0, tokens, w, x, y, &one, &two);
    }
    em_gather_strip(&one, rows_x);
    if (tokens > 1u) {
        em_gather_strip(&two, rows_y);
    }
}

/*
 * Sums of `tiles` tiles for the token at x, one a tile; or two a tile, with those of a second token at y unless that is EM_NULL.
 */
EM_NOINLINE EM_UNUSED static void em_sum_w8(const em_u8 *tile, em_u32 tiles, em_u32 blocks, const em_i8 *x, const em_i8 *y,
                                            struct em_sums *sums)
{
    const em_i8x16 *w = (const em_i8x16 *)(const void *)tile;
    const em_i8x16 *vectors_x = (const em_i8x16 *)(const void *)x;
    const em_i8x16 *vectors_y = (const em_i8x16 *)(const void *)y;
    for (em_u32 strip = 0; strip < tiles * (EM_ROW_TILE / EM_STRIP_ROWS); strip++, w += (em_u64)blocks * 2u * EM_STRIP_ROWS) {
        em_u32 i = strip / 4u;
        em_u32 at = strip % 4u * 2u;
        if (y == EM_NULL) {
            em_sum_strip_w8(1, w, blocks, vectors_x, vectors_x, sums[i].rows + at, EM_NULL);
        } else {
            em_sum_strip_w8(2, w, blocks, vectors_x, vectors_y, sums[2u * i].rows + at, sums[2u * i + 1u].rows + at);
        }
    }
}

#endif /* EM_W8_H */
