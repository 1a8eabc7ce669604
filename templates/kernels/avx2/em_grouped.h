/*
 * em_grouped.h - w4, w5, w6: sums of a tile of 32 rows.
 *
 * Layout. A tile is one run of bytes; for each pair of groups (em_prepare.h) it holds
 *
 *   sub-scales   int8[32][2]: row by row the sub-scale of the first group and of the second, twice the same for a single group
 *   quads        16 of them, 8 for a single group: weights of 32 rows and 4 columns, unsigned with the offset 2^(bits-1), as four
 *                vectors of eight rows; byte 4r + i is row r, column i of the quad. Two quads, eight vectors, are stored as
 *                `bits` vectors x0, x1, ...; the columns of a quad stand in em_prepare.h:
 *
 *     w4   x0 .. x3 of 4 + 4 bits: the low ones are vectors 0, 2, 4, 6, the high ones 1, 3, 5, 7
 *     w5   x0 .. x4, their low 5 bits vectors 0 .. 4; high bits: vector 5 = x0:x3, 6 = x1:x4, 7 = x2:x3:x4, where xi:xj are the
 *          upper 3 bits of xi, then 2 of xj (bits 7 and 6), and x2:x3:x4 ends with bit 5 of x3 and bit 5 of x4
 *     w6   x0 .. x2, their low 6 bits vectors 0 .. 2; vector 3 = x0:x1:x2, the upper 2 bits of each; the same for x3 .. x5
 *
 * So nothing is shuffled, and nothing subtracted: vpmaddubsw takes the unsigned weights, and the offset is in what lanes start
 * with. Its pair sums are at most 2 * 63 * 127 < 2^15.
 *
 * Bound. int16 lanes wrap on the way; what they end with is a sum of n products of integers of the format: n * 2^(bits-1) * 127 <=
 * 32512 for n = 32 (w4), 16 (w5) or 8 (w6), after which a lane is multiplied by its sub-scale into int32. Two groups add at most
 * 2 * 127 * 32 * 2^(bits-1) * 127 there, so EM_PAIRS_IN_INT32 pairs stay below 2^31; beyond them the caller goes on in int64.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_GROUPED_H
#define EM_GROUPED_H

#include "em_prepare.h"
#include "em_tile.h"

/* Pairs of groups whose sums fit int32 for all weights: 256, 128, 64. */
#define EM_PAIRS_IN_INT32(format) (512u >> (format))

/* Weights of 32 rows and 4 columns: rows 0..7, 8..15, 16..23, 24..31. */
struct em_quad {
    em_u8x32 a, b, c, d;
};

/* Two int16 sums a row. */
struct em_lanes {
    em_u16x16 a, b, c, d;
};

/* x >> count in every byte, the bits of mask. */
EM_INLINE em_u8x32 em_bits(em_u8x32 x, em_u32 count, em_u8 mask)
{
    return (em_u8x32)((em_u16x16)x >> (em_u16)count) & mask;
}

/* Quad `odd` (0 or 1) of two quads at x. */
EM_INLINE struct em_quad em_unpack(em_u32 format, const em_u8x32 *x, em_u32 odd)
{
    struct em_quad w;
    if (format == EM_W4) {
        x += 2u * odd;
        w.a = x[0] & 15;
        w.b = em_bits(x[0], 4, 15);
        w.c = x[1] & 15;
        w.d = em_bits(x[1], 4, 15);
    } else if (format == EM_W6) {
        x += 3u * odd;
        w.a = x[0] & 63;
        w.b = x[1] & 63;
        w.c = x[2] & 63;
        w.d = em_bits(x[0], 2, 0x30) | em_bits(x[1], 4, 0x0c) | em_bits(x[2], 6, 0x03);
    } else if (odd == 0) {
        w.a = x[0] & 31;
        w.b = x[1] & 31;
        w.c = x[2] & 31;
        w.d = x[3] & 31;
    } else {
        w.a = x[4] & 31;
        w.b = em_bits(x[0], 3, 0x1c) | em_bits(x[3], 6, 0x03);
        w.c = em_bits(x[1], 3, 0x1c) | em_bits(x[4], 6, 0x03);
        w.d = em_bits(x[2], 3, 0x1c) | em_bits(x[3], 4, 0x02) | em_bits(x[4], 5, 0x01);
    }
    return w;
}

EM_INLINE struct em_lanes em_start(em_u32 word)
{
    em_u16x16 lanes = (em_u16x16)em_broadcast(word);
    return (struct em_lanes){lanes, lanes, lanes, lanes};
}

/* The same with each int16 half of the word shifted right, by at most the zeros that it ends with. */
EM_INLINE struct em_lanes em_start_shifted(em_u32 word, em_u16 count)
{
    em_u16x16 lanes = (em_u16x16)((em_i16x16)em_broadcast(word) >> (em_i16)count);
    return (struct em_lanes){lanes, lanes, lanes, lanes};
}

/* lanes += quad times four activations. */
EM_INLINE void em_add_quad(struct em_lanes *lanes, struct em_quad w, em_word activations)
{
    em_u8x32 x = (em_u8x32)em_broadcast(activations);
    EM_ADD(lanes->a, em_multiply_bytes(w.a, x));
    EM_ADD(lanes->b, em_multiply_bytes(w.b, x));
    EM_ADD(lanes->c, em_multiply_bytes(w.c, x));
    EM_ADD(lanes->d, em_multiply_bytes(w.d, x));
}

/* sums += lanes times sub-scales. */
EM_INLINE void em_add_lanes(struct em_sums *sums, struct em_lanes lanes, const em_i8x16 *sub_scales)
{
    EM_ADD(sums->a, em_multiply_words(lanes.a, em_widen(sub_scales)));
    EM_ADD(sums->b, em_multiply_words(lanes.b, em_widen(sub_scales + 1)));
    EM_ADD(sums->c, em_multiply_words(lanes.c, em_widen(sub_scales + 2)));
    EM_ADD(sums->d, em_multiply_words(lanes.d, em_widen(sub_scales + 3)));
}

/* A token on its way through a tile. */
struct em_pass {
    const struct em_prepared *x; /* its activations, from the pair of groups at hand on */
    struct em_lanes lanes;
    struct em_sums sums;
};

/*
 * Half `half` of the groups at hand, eight quads. A lane of w5 and w6 holds 8 and 4 quads: it is started before the first
 * of them and multiplied by its sub-scale after the last. One of w4 holds both halves.
 */
EM_INLINE void em_pass_half(struct em_pass *pass, em_u32 format, em_u32 half, const em_u8x32 *w,
                            const em_i8x16 *sub_scales)
{
    const em_u32 run = format == EM_W6 ? 4u : 8u;
    const em_word *activations = (const em_word *)(const void *)pass->x->quads + 8u * half;
    EM_UNROLL
    for (em_u32 quad = 0; quad < 8u; quad++) {
        if (format == EM_W5 && quad == 0) {
            pass->lanes = em_start(pass->x->start_w5[half]);
        } else if (format == EM_W6 && quad % run == 0) {
            pass->lanes = em_start(pass->x->start_w6[2u * half + quad / run]);
        }
        em_add_quad(&pass->lanes, em_unpack(format, w + quad / 2u * (3u + format), quad % 2u), activations[quad]);
        if (format != EM_W4 && quad % run == run - 1u) {
            em_add_lanes(&pass->sums, pass->lanes, sub_scales);
        }
    }
}

/* A pair of groups, 2 halves, or a single one, 1 half. Returns where the next pair starts. */
EM_INLINE const em_u8 *em_pass_groups(struct em_pass *pass, em_u32 format, em_u32 halves, const em_u8 *groups)
{
    const em_i8x16 *sub_scales = (const em_i8x16 *)(const void *)groups;
    const em_u8 *w = groups + EM_SUB_SCALE_BYTES;
    if (format == EM_W4) {
        pass->lanes = em_start(pass->x->start_w4);
        em_pass_half(pass, format, 0, (const em_u8x32 *)(const void *)w, sub_scales);
        if (halves > 1u) {
            em_pass_half(pass, format, 1, (const em_u8x32 *)(const void *)(w + EM_GROUP_BYTES(format)), sub_scales);
        }
        em_add_lanes(&pass->sums, pass->lanes, sub_scales);
    } else {
        for (em_u32 half = 0; half < halves; half++) {
            em_pass_half(pass, format, half, (const em_u8x32 *)(const void *)(w + half * EM_GROUP_BYTES(format)),
                         sub_scales);
        }
    }
    pass->x++;
    return w + halves * EM_GROUP_BYTES(format);
}

/* Sums of a tile over `groups` groups for one token. Returns where the tile ends. */
EM_INLINE const em_u8 *em_sum_tile_grouped(em_u32 format, const em_u8 *tile, em_u32 groups,
                                           const struct em_prepared *x, struct em_sums *sums)
{
    struct em_pass pass = {.x = x};
    if (format == EM_W4) {
        /* The kernel that most models spend their time in has two bodies, without a choice in the loop. */
        for (; groups > 1u; groups -= 2u) {
            tile = em_pass_groups(&pass, format, 2, tile);
        }
        if (groups != 0) {
            tile = em_pass_groups(&pass, format, 1, tile);
        }
    } else {
        for (em_u32 done = 0; done < groups; done += 2u) {
            tile = em_pass_groups(&pass, format, groups - done > 1u ? 2u : 1u, tile);
        }
    }
    *sums = pass.sums;
    return tile;
}

/* em_sum_grouped for one format: one copy in the code for each that the model uses. */
#define EM_SUM_GROUPED(name, format) \
    EM_NOINLINE EM_UNUSED static void name(const em_u8 *tile, em_u32 tiles, em_u32 groups, \
                                           const struct em_prepared *x, struct em_sums *sums) \
    { \
        for (em_u32 i = 0; i < tiles; i++) { \
            tile = em_sum_tile_grouped(format, tile, groups, x, sums + i); \
        } \
    }

EM_SUM_GROUPED(em_sum_w4, EM_W4)
EM_SUM_GROUPED(em_sum_w5, EM_W5)
EM_SUM_GROUPED(em_sum_w6, EM_W6)

/* Sums of `tiles` tiles over `groups` groups for one token, from the pair of groups at x on. */
EM_INLINE void em_sum_grouped(em_u32 format, const em_u8 *tile, em_u32 tiles, em_u32 groups,
                              const struct em_prepared *x, struct em_sums *sums)
{
    if (EM_USES(EM_W4) && format == EM_W4) {
        em_sum_w4(tile, tiles, groups, x, sums);
    } else if (EM_USES(EM_W5) && format == EM_W5) {
        em_sum_w5(tile, tiles, groups, x, sums);
    } else if (EM_USES(EM_W6) && format == EM_W6) {
        em_sum_w6(tile, tiles, groups, x, sums);
    }
}

#endif /* EM_GROUPED_H */
