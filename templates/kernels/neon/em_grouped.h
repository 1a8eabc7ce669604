/*
 * em_grouped.h - w4, w5, w6: sums of a tile of 32 rows.
 *
 * Layout. A tile is one run of bytes; for each group of 32 columns it holds
 *
 *   sub-scales   int8[32], row by row
 *   columns      32 of them: weights of 32 rows, unsigned with the offset 2^(bits-1), as two vectors of sixteen rows; byte r of the
 *                first is row r, of the second row 16 + r. Four columns, eight vectors, are stored as `bits` vectors x0, x1, ...:
 *
 *     w4   x0 .. x3 of 4 + 4 bits: the low ones are vectors 0, 2, 4, 6, the high ones 1, 3, 5, 7
 *     w5   x0 .. x4, their low 5 bits vectors 0 .. 4; high bits: vector 5 = x0:x3, 6 = x1:x4, 7 = x2:x3:x4, where xi:xj are the
 *          upper 3 bits of xi, then 2 of xj (bits 7 and 6), and x2:x3:x4 ends with bit 5 of x3 and bit 5 of x4
 *     w6   x0 .. x2, their low 6 bits vectors 0 .. 2; vector 3 = x0:x1:x2, the upper 2 bits of each; the same for x3 .. x5
 *
 * So nothing is shuffled, and nothing subtracted: an activation in all lanes is multiplied by the unsigned weights of a column
 * (smlal, smlal2), and the offset is in what lanes start with.
 *
 * Bound. int16 lanes wrap on the way; what they end with is a sum of n products of integers of the format: n * 2^(bits-1) * 127 <=
 * 32512 for n = 32 (w4), 16 (w5) or 8 (w6), after which a lane is multiplied by its sub-scale into int32. A group adds at most
 * 127 * 32 * 2^(bits-1) * 127 there, so EM_GROUPS_IN_INT32 groups stay below 2^31; beyond them the caller goes on in int64.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_GROUPED_H
#define EM_GROUPED_H

#include "em_matrix.h"
#include "em_prepare.h"
#include "em_tile.h"

/* Groups whose sums fit int32 for all weights: 512, 256, 128. */
#define EM_GROUPS_IN_INT32(format) (1024u >> (format))

/* Columns that an int16 lane holds: 32, 16, 8. */
#define EM_LANE_COLUMNS(format) (64u >> (format))

/* Weights of a column: rows 0..15 and 16..31. */
struct em_column {
    em_i8x16 low, high;
};

/* One int16 sum a row: rows 0..7, 8..15, 16..23, 24..31. */
struct em_lanes {
    em_i16x8 a, b, c, d;
};

/* Activations of a token for the kernels of w4, w5 and w6. */
struct em_token {
    const em_i8x16 *values;
    const em_i16x8 *starts; /* struct em_starts[groups] */
};

/* A token on its way through a tile. */
struct em_pass {
    struct em_token x; /* from the group at hand on */
    struct em_lanes lanes;
    em_i32x4 a, b, c, d, e, f, g, h; /* sums of rows 0..3, 4..7, ... */
};

/* The column whose vector is x. */
EM_INLINE struct em_column em_unpack_w4(em_u8x16 x)
{
    return (struct em_column){(em_i8x16)(x & 15), (em_i8x16)(x >> 4)};
}

/* Column c of the four whose vectors are at x. */
EM_INLINE struct em_column em_unpack_w5(const em_u8x16 *x, em_u32 c)
{
    if (c < 2u) {
        return (struct em_column){(em_i8x16)(x[2u * c] & 31), (em_i8x16)(x[2u * c + 1u] & 31)};
    }
    if (c == 2u) {
        em_u8x16 fifth = x[0] >> 3;
        EM_SHIFT_INTO(fifth, x[3], 6);
        return (struct em_column){(em_i8x16)(x[4] & 31), (em_i8x16)fifth};
    }
    em_u8x16 sixth = x[1] >> 3;
    em_u8x16 seventh = x[2] >> 3;
    em_u8x16 last = x[3] << 2; /* bit 5 of x3 on top, below it that of x4 */
    EM_SHIFT_INTO(sixth, x[4], 6);
    EM_SHIFT_INTO(last, x[4] << 2, 1);
    EM_SHIFT_INTO(seventh, last, 6);
    return (struct em_column){(em_i8x16)sixth, (em_i8x16)seventh};
}

EM_INLINE struct em_column em_unpack_w6(const em_u8x16 *x, em_u32 c)
{
    x += c / 2u * 3u;
    if (c % 2u == 0) {
        return (struct em_column){(em_i8x16)(x[0] & 63), (em_i8x16)(x[1] & 63)};
    }
    em_u8x16 third = x[0] >> 2;
    EM_SHIFT_INTO(third, x[1], 4);
    EM_SHIFT_INTO(third, x[2], 6);
    return (struct em_column){(em_i8x16)(x[2] & 63), (em_i8x16)third};
}

/* lanes += column times an activation. */
EM_INLINE void em_add_column(struct em_lanes *lanes, struct em_column w, em_i8x16 activation)
{
    lanes->a = em_smlal8(lanes->a, w.low, activation);
    lanes->b = em_smlal8_high(lanes->b, w.low, activation);
    lanes->c = em_smlal8(lanes->c, w.high, activation);
    lanes->d = em_smlal8_high(lanes->d, w.high, activation);
}

/* sums += lanes times sub-scales. */
EM_INLINE void em_add_lanes(struct em_pass *pass, const struct em_lanes *sub_scales)
{
    pass->a = em_smlal16(pass->a, pass->lanes.a, sub_scales->a);
    pass->b = em_smlal16_high(pass->b, pass->lanes.a, sub_scales->a);
    pass->c = em_smlal16(pass->c, pass->lanes.b, sub_scales->b);
    pass->d = em_smlal16_high(pass->d, pass->lanes.b, sub_scales->b);
    pass->e = em_smlal16(pass->e, pass->lanes.c, sub_scales->c);
    pass->f = em_smlal16_high(pass->f, pass->lanes.c, sub_scales->c);
    pass->g = em_smlal16(pass->g, pass->lanes.d, sub_scales->d);
    pass->h = em_smlal16_high(pass->h, pass->lanes.d, sub_scales->d);
}

/*
 * One column of the group at hand. Before the first and after the last one that a lane can hold, lanes are started and multiplied by
 * their sub-scales.
 */
EM_INLINE void em_pass_column(struct em_pass *pass, em_u32 format, em_u32 column, struct em_column w, em_i8x16 x,
                              em_i16x8 starts, const struct em_lanes *sub_scales)
{
    const em_u32 run = EM_LANE_COLUMNS(format);
    if (column % run == 0) {
        em_i16x8 start = em_splat16(starts[32u / run - 1u + column / run]); /* the order of struct em_starts */
        pass->lanes = (struct em_lanes){start, start, start, start};
    }
    em_add_column(&pass->lanes, w, em_splat8(x[column % 16u]));
    if (column % run == run - 1u) {
        em_add_lanes(pass, sub_scales);
    }
}

/* The sub-scales of 32 rows as int16. */
EM_INLINE struct em_lanes em_widen_sub_scales(const em_i8x16 *sub_scales)
{
    em_i8x16 low = sub_scales[0];
    em_i8x16 high = sub_scales[1];
    return (struct em_lanes){em_widen8(low), em_widen8_high(low), em_widen8(high), em_widen8_high(high)};
}

/* The columns of a group for one token or two. */
EM_INLINE void em_pass_group(em_u32 format, em_u32 tokens, const em_u8 *group, struct em_pass *one, struct em_pass *two)
{
    const struct em_lanes sub_scales = em_widen_sub_scales((const em_i8x16 *)(const void *)group);
    const em_i16x8 starts_x = *one->x.starts;
    const em_i16x8 starts_y = tokens > 1u ? *two->x.starts : starts_x;
    const em_u8x16 *x = (const em_u8x16 *)(const void *)(group + EM_SUB_SCALE_BYTES);
    em_u8x16 even = *x;
    em_u8x16 odd = even;
#ifdef __clang__ /* completely */
    _Pragma("clang loop unroll(full)")
#else
    _Pragma("GCC unroll 32")
#endif
    for (em_u32 column = 0; column < EM_GROUP; column++) {
        struct em_column w;
        if (format != EM_W4) {
            const em_u8x16 *quad = x + column / 4u * (EM_QUAD_BYTES(format) / 16u);
            w = format == EM_W5 ? em_unpack_w5(quad, column % 4u) : em_unpack_w6(quad, column % 4u);
        } else if (column % 2u == 0) {
            even = x[column]; /* two at a time: ldp */
            odd = x[column + 1u];
            w = em_unpack_w4(even);
        } else {
            w = em_unpack_w4(odd);
        }
        em_pass_column(one, format, column, w, one->x.values[column / 16u], starts_x, &sub_scales);
        if (tokens > 1u) {
            em_pass_column(two, format, column, w, two->x.values[column / 16u], starts_y, &sub_scales);
        }
    }
}

EM_INLINE void em_next_group(struct em_token *x)
{
    x->values += 2;
    x->starts++;
}

EM_INLINE void em_store_sums(const struct em_pass *pass, struct em_sums *sums)
{
    *sums = (struct em_sums){{pass->a, pass->b, pass->c, pass->d, pass->e, pass->f, pass->g, pass->h}};
}

/* Sums of a tile over `groups` groups for one token, or for two. Returns where the tile ends. */
EM_INLINE const em_u8 *em_sum_tile_grouped(em_u32 format, em_u32 tokens, const em_u8 *tile, em_u32 groups, struct em_token x,
                                           struct em_token y, struct em_sums *sums)
{
    struct em_pass one = {.x = x};
    struct em_pass two = {.x = y};
    for (; groups != 0; groups--, tile += EM_GROUP_BYTES(format)) {
        em_pass_group(format, tokens, tile, &one, &two);
        em_next_group(&one.x);
        if (tokens > 1u) {
            em_next_group(&two.x);
        }
    }
    em_store_sums(&one, sums);
    if (tokens > 1u) {
        em_store_sums(&two, sums + 1);
    }
    return tile;
}

/* em_sum_grouped for one format: one copy in the code for each that the model uses. */
#define EM_SUM_GROUPED(name, format) \
    EM_NOINLINE EM_UNUSED static void name(const em_u8 *tile, em_u32 tiles, em_u32 groups, const struct em_token *x, \
                                           const struct em_token *y, struct em_sums *sums) \
    { \
        for (em_u32 i = 0; i < tiles; i++) { \
            if (y == EM_NULL) { \
                tile = em_sum_tile_grouped(format, 1, tile, groups, *x, *x, sums + i); \
            } else { \
                tile = em_sum_tile_grouped(format, 2, tile, groups, *x, *y, sums + 2u * i); \
            } \
        } \
    }

EM_SUM_GROUPED(em_sum_w4, EM_W4)
EM_SUM_GROUPED(em_sum_w5, EM_W5)
EM_SUM_GROUPED(em_sum_w6, EM_W6)

/*
 * Sums of `tiles` tiles over `groups` groups for the token x, one a tile. With another token y two a tile, and weights are unpacked
 * once for both; y is EM_NULL where there is none.
 */
EM_INLINE void em_sum_grouped(em_u32 format, const em_u8 *tile, em_u32 tiles, em_u32 groups, const struct em_token *x,
                              const struct em_token *y, struct em_sums *sums)
{
    if (EM_USES(EM_W4) && format == EM_W4) {
        em_sum_w4(tile, tiles, groups, x, y, sums);
    } else if (EM_USES(EM_W5) && format == EM_W5) {
        em_sum_w5(tile, tiles, groups, x, y, sums);
    } else if (EM_USES(EM_W6) && format == EM_W6) {
        em_sum_w6(tile, tiles, groups, x, y, sums);
    }
}

#endif /* EM_GROUPED_H */
