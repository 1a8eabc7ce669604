/*
 * portable/em_linear.h - kernel set "portable": matrix times int8 activations in plain C, for every 64-bit target.
 *
 * Layout "rows" (code 5). A matrix is one section of the blob, its parts 64-byte aligned:
 *
 *   weights      row after row. w8: int8[columns]; w16: int16[columns]; w4, w5, w6: EM_GROUPS(columns) groups of 32
 *                columns, the last one padded with zero weights. A group is 16 bytes of low nibbles (byte i: column i
 *                low, column 16 + i high), then for w5 4 bytes of fifth bits (bit i: column i), for w6 two such
 *                planes of 4 bytes. Grouped integers are stored with the offset 2^(bits-1), so they are never negative.
 *   sub-scales   int8[rows][EM_GROUPS(columns)], for w4, w5, w6
 *   scales       uint16[rows]: row multipliers (em_linear_op.h)
 *
 * Groups are unpacked in general registers, eight columns at a time, once for a tile of tokens.
 *
 * Bounds: a group sums to at most 32 * 2^(bits-1) * 127 < 2^18; rows are summed in int64 and brought to int32 by
 * accumulator_shift, which the packer proves from the weights. w8 rows stay below 2^31 for columns <= 133144.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_LINEAR_H
#define EM_LINEAR_H

#include "em_activation.h"
#include "em_linear_op.h"

/* Rows that a task is made of are multiples of this. */
#define EM_ROW_TILE 8u

/* Bytes of the prepared form of a row of activations, a multiple of 64: these kernels read the int8 row itself. */
#define EM_PREPARED_BYTES(columns) ((columns) * (em_u64)0)

/* Makes the prepared form of a row. */
EM_INLINE void em_prepare(const em_i8 *row, em_u32 columns, em_u8 *prepared)
{
    (void)row;
    (void)columns;
    (void)prepared;
}

/* A matrix section, opened. */
struct em_matrix {
    const em_u8 *weights;
    const em_i8 *sub_scales;
    const em_u16 *scales;
    em_u32 rows;
    em_u32 columns;
    em_u32 format;
    em_u64 row_bytes;
};

/* Bytes of one row of weights. */
EM_INLINE em_u64 em_row_bytes(em_u32 format, em_u32 columns)
{
    switch (format) {
    case EM_W4:
        return (em_u64)EM_GROUPS(columns) * 16u;
    case EM_W5:
        return (em_u64)EM_GROUPS(columns) * 20u;
    case EM_W6:
        return (em_u64)EM_GROUPS(columns) * 24u;
    case EM_W16:
        return (em_u64)columns * 2u;
    default:
        return columns;
    }
}

EM_INLINE struct em_matrix em_matrix_open(const em_u8 *section, em_u32 format, em_u32 rows, em_u32 columns)
{
    struct em_matrix m;
    em_u64 sub_scale_bytes = format <= EM_W6 ? (em_u64)rows * EM_GROUPS(columns) : 0;
    m.row_bytes = em_row_bytes(format, columns);
    m.weights = section;
    section += em_align64(rows * m.row_bytes);
    m.sub_scales = (const em_i8 *)(const void *)section;
    section += em_align64(sub_scale_bytes);
    m.scales = (const em_u16 *)(const void *)section;
    m.rows = rows;
    m.columns = columns;
    m.format = format;
    return m;
}

/* ---- Groups of 32 columns ------------------------------------------------------------------------------------ */

/* Bytes of one group of a grouped format, and the offset its integers are stored with. */
#define EM_GROUP_BYTES(format) (12u + 4u * (format))
#define EM_GROUP_OFFSET(format) (4u << (format))

#define EM_EVERY_BYTE 0x0101010101010101u

/* The integers of one group. */
union em_group {
    em_u64 words[4];
    em_i8 values[EM_GROUP];
};

/* Eight bytes from a place aligned to four. */
EM_INLINE em_u64 em_load64(const em_u8 *at)
{
    const em_u32 *words = (const em_u32 *)(const void *)at;
    return (em_u64)words[0] | (em_u64)words[1] << 32;
}

/* Bit i of a byte as byte i of a word, 0 or 1. */
EM_INLINE em_u64 em_spread_bits(em_u8 bits)
{
    em_u64 picked = (bits * EM_EVERY_BYTE) & 0x8040201008040201u;
    return ((picked + 0x7f * EM_EVERY_BYTE) >> 7) & EM_EVERY_BYTE;
}

/* Unpacks a group, eight columns at a time in a general register. */
EM_INLINE union em_group em_unpack_group(const em_u8 *group, em_u32 format)
{
    const em_u64 nibbles = 0x0f * EM_EVERY_BYTE;
    em_u64 first = em_load64(group);
    em_u64 second = em_load64(group + 8);
    union em_group out = {{first & nibbles, second & nibbles, (first >> 4) & nibbles, (second >> 4) & nibbles}};
    for (em_u32 word = 0; word < 4u; word++) {
        for (em_u32 plane = 0; plane + 1u < format; plane++) {
            out.words[word] |= em_spread_bits(group[16u + 4u * plane + word]) << (4u + plane);
        }
        /* Bytes are below 64: adding 128 - offset and flipping the top bit subtracts the offset without a borrow. */
        out.words[word] += (0x80u - EM_GROUP_OFFSET(format)) * EM_EVERY_BYTE;
        out.words[word] ^= 0x80 * EM_EVERY_BYTE;
    }
    return out;
}

/* ---- Rows ---------------------------------------------------------------------------------------------------- */

EM_INLINE em_i64 em_dot_w8(const em_i8 *row, const em_i8 *a, em_u32 columns)
{
    em_i32 sum = 0;
    for (em_u32 i = 0; i < columns; i++) {
        sum += (em_i16)row[i] * (em_i16)a[i];
    }
    return sum;
}

/* Tokens whose accumulators of a row are kept at the same time. */
#define EM_TOKEN_TILE 8u

/* Accumulators of one grouped row for up to EM_TOKEN_TILE tokens: each group is unpacked once. */
EM_INLINE void em_dot_grouped(const struct em_matrix *m, em_u32 format, em_u32 row, const em_i8 *a, em_u32 tokens,
                              em_i64 *totals)
{
    const em_u8 *group = m->weights + row * m->row_bytes;
    em_u32 groups = EM_GROUPS(m->columns);
    const em_i8 *sub_scales = m->sub_scales + (em_u64)row * groups;
    for (em_u32 g = 0; g < groups; g++, group += EM_GROUP_BYTES(format)) {
        const union em_group w = em_unpack_group(group, format);
        for (em_u32 t = 0; t < tokens; t++) {
            const em_i8 *x = a + (em_u64)t * EM_Q8_STRIDE(m->columns) + g * EM_GROUP;
            em_i32 sum = 0;
            for (em_u32 i = 0; i < EM_GROUP; i++) {
                sum += (em_i16)w.values[i] * (em_i16)x[i];
            }
            totals[t] += (em_i64)sub_scales[g] * sum;
        }
    }
}

/* Accumulators of one row for up to EM_TOKEN_TILE tokens, before accumulator_shift. `format` is a constant. */
EM_INLINE void em_dot_row(const struct em_matrix *m, em_u32 format, em_u32 row, const em_i8 *a, em_u32 tokens,
                          em_i64 *totals)
{
    const em_u8 *weights = m->weights + row * m->row_bytes;
    if (format <= EM_W6) {
        em_dot_grouped(m, format, row, a, tokens, totals);
        return;
    }
    for (em_u32 t = 0; t < tokens; t++, a += EM_Q8_STRIDE(m->columns)) {
        if (format == EM_W16) {
            totals[t] = em_dot_w16((const em_i16 *)(const void *)weights, a, m->columns);
        } else {
            totals[t] = em_dot_w8((const em_i8 *)(const void *)weights, a, m->columns);
        }
    }
}

/* Rows [first, end) of W times the activations of each token: out[token][row], requantized, bias added. */
EM_INLINE void em_linear_rows_as(em_u32 format, const struct em_linear_op *op, const struct em_matrix *m,
                                 const em_i32 *bias, const struct em_q8 *x, em_u32 tokens, em_u32 first, em_u32 end,
                                 em_i32 *out)
{
    for (em_u32 row = first; row < end; row++) {
        for (em_u32 done = 0; done < tokens; done += EM_TOKEN_TILE) {
            em_u32 count = tokens - done < EM_TOKEN_TILE ? tokens - done : EM_TOKEN_TILE;
            em_i64 totals[EM_TOKEN_TILE] = {0};
            em_dot_row(m, format, row, x->values + (em_u64)done * EM_Q8_STRIDE(m->columns), count, totals);
            for (em_u32 i = 0; i < count; i++) {
                em_u32 t = done + i;
                em_i64 sum = totals[i];
                if (op->accumulator_shift > 0) {
                    sum = em_round_shift64(sum, op->accumulator_shift);
                }
                em_i32 multiplier = em_scale(em_row_mantissa(m->scales[row]), x->scale[t].mantissa, 30);
                em_i32 shift = em_row_shift(m->scales[row]) + op->least_shift - x->scale[t].shift;
                em_i32 value = em_scale((em_i32)sum, multiplier, shift);
                out[(em_u64)t * m->rows + row] = bias == EM_NULL ? value : em_saturate((em_i64)value + bias[row]);
            }
        }
    }
}

/* The same for the matrix's own format; formats that the model does not use are not compiled in. */
EM_UNUSED EM_NOINLINE static void em_linear_rows(const struct em_linear_op *op, const struct em_matrix *m,
                                                 const em_i32 *bias, const struct em_q8 *x, em_u32 tokens,
                                                 em_u32 first, em_u32 end, em_i32 *out)
{
    if (EM_USES(EM_W4) && m->format == EM_W4) {
        em_linear_rows_as(EM_W4, op, m, bias, x, tokens, first, end, out);
    } else if (EM_USES(EM_W5) && m->format == EM_W5) {
        em_linear_rows_as(EM_W5, op, m, bias, x, tokens, first, end, out);
    } else if (EM_USES(EM_W6) && m->format == EM_W6) {
        em_linear_rows_as(EM_W6, op, m, bias, x, tokens, first, end, out);
    } else if (EM_USES(EM_W16) && m->format == EM_W16) {
        em_linear_rows_as(EM_W16, op, m, bias, x, tokens, first, end, out);
    } else if (EM_USES(EM_W8) || EM_USES(EM_W8T)) {
        em_linear_rows_as(EM_W8, op, m, bias, x, tokens, first, end, out);
    }
}

/* ---- Row gather ---------------------------------------------------------------------------------------------- */

/*
 * One row as real values in the output's format: the embedding of a token. 127 undoes the division in the row multiplier;
 * least_shift: of a row whose em_row_shift is 0.
 */
EM_UNUSED EM_NOINLINE static void em_gather_row(const struct em_matrix *m, em_u32 row, em_i32 least_shift, em_i32 *out)
{
    const em_u8 *weights = m->weights + row * m->row_bytes;
    em_i32 mantissa = em_row_mantissa(m->scales[row]);
    em_i32 shift = em_row_shift(m->scales[row]) + least_shift;
    for (em_u32 first = 0; first < m->columns; first += EM_GROUP) {
        em_u32 width = m->columns - first < EM_GROUP ? m->columns - first : EM_GROUP;
        union em_group group = {{0}};
        em_i32 sub_scale = 127;
        if (m->format <= EM_W6) {
            em_u32 g = first / EM_GROUP;
            group = em_unpack_group(weights + (em_u64)g * EM_GROUP_BYTES(m->format), m->format);
            sub_scale *= m->sub_scales[(em_u64)row * EM_GROUPS(m->columns) + g];
        }
        for (em_u32 i = 0; i < width; i++) {
            em_i32 q = group.values[i];
            if (m->format == EM_W16) {
                q = ((const em_i16 *)(const void *)weights)[first + i];
            } else if (m->format > EM_W6) {
                q = ((const em_i8 *)(const void *)weights)[first + i];
            }
            out[first + i] = em_scale(sub_scale * q, mantissa, shift);
        }
    }
}

#endif /* EM_LINEAR_H */
