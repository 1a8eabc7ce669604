/*
 * portable/em_linear.h - kernel set "portable": matrix times int8 activations in plain C, for every 64-bit target.
 *
 * Layout "rows" (code 1). A matrix is one section of the blob, its parts 64-byte aligned:
 *
 *   weights      row after row. w8: int8[columns]; w16: int16[columns]; w4, w5, w6: EM_GROUPS(columns) groups of 32 columns,
 *                the last one padded with zero weights. A group is 16 bytes of low nibbles (byte i: column i low, column
 *                16 + i high), then for w5 4 bytes of fifth bits (bit i: column i), for w6 two such planes of 4 bytes.
 *                Grouped integers are stored with the offset 2^(bits-1), so they are never negative.
 *   sub-scales   int8[rows][EM_GROUPS(columns)], for w4, w5, w6
 *   mantissas    int32[rows]: row scale / 127 = mantissa * 2^-exponent
 *   exponents    uint8[rows]
 *
 * Bounds: a group sums to at most 32 * 2^(bits-1) * 127 < 2^18; rows are summed in int64 and brought to int32 by
 * accumulator_shift, which the packer proves from the weights. w8 rows stay below 2^31 for columns <= 133144.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_LINEAR_H
#define EM_LINEAR_H

#include "em_activation.h"

enum em_format { EM_W4 = 1, EM_W5 = 2, EM_W6 = 3, EM_W8 = 4, EM_W8T = 5, EM_W16 = 6 };

/* Which formats a model uses, as a set of 1 << code; model.h says it. Alone, this header compiles them all. */
#ifndef EM_FORMATS
#define EM_FORMATS 0x7e
#endif
#define EM_USES(format) ((EM_FORMATS >> (format)) & 1)

/* Rows that a task is made of are multiples of this. */
#define EM_ROW_TILE 8u

#define EM_NO_BIAS (~(em_u64)0)

/* Constants of one linear op. */
struct em_linear_op {
    em_u64 weights;           /* blob offset of the matrix section */
    em_u64 bias;              /* blob offset of int32[rows] in the output's format, or EM_NO_BIAS */
    em_u32 format;            /* enum em_format */
    em_i32 accumulator_shift; /* bits dropped so that every accumulator fits int32 */
    em_i32 shift_base;        /* right shift of the requantization without the row's exponent and the token's shift */
};

/* A matrix section, opened. */
struct em_matrix {
    const em_u8 *weights;
    const em_i8 *sub_scales;
    const em_i32 *mantissas;
    const em_u8 *exponents;
    em_u32 rows;
    em_u32 columns;
    em_u32 format;
    em_u64 row_bytes;
};

EM_INLINE em_u64 em_align64(em_u64 bytes)
{
    return (bytes + 63u) & ~(em_u64)63u;
}

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
    m.mantissas = (const em_i32 *)(const void *)section;
    section += em_align64((em_u64)rows * 4u);
    m.exponents = section;
    m.rows = rows;
    m.columns = columns;
    m.format = format;
    return m;
}

/* ---- Groups of 32 columns ------------------------------------------------------------------------------------ */

/* Bytes of one group of a grouped format, and the offset its integers are stored with. */
#define EM_GROUP_BYTES(format) (12u + 4u * (format))
#define EM_GROUP_OFFSET(format) (4 << (format))

/* Stored integers of one group, 0..63, as bytes in column order. */
EM_INLINE void em_unpack_group(const em_u8 *group, em_u32 format, em_u8 *out)
{
    for (em_u32 i = 0; i < 16u; i++) {
        out[i] = (em_u8)(group[i] & 15u);
        out[16u + i] = (em_u8)(group[i] >> 4);
    }
    for (em_u32 plane = 0; plane + 1u < format; plane++) {
        const em_u8 *bits = group + 16u + 4u * plane;
        for (em_u32 i = 0; i < EM_GROUP; i++) {
            out[i] = (em_u8)(out[i] | (((bits[i >> 3] >> (i & 7u)) & 1u) << (4u + plane)));
        }
    }
}

/* sum over groups of sub-scale * (sum of stored * a - offset * sum of a). */
EM_INLINE em_i64 em_dot_grouped(const em_u8 *row, const em_i8 *sub_scales, em_u32 format, em_u32 groups, const em_i8 *a,
                                const em_i32 *sums)
{
    em_i64 total = 0;
    for (em_u32 g = 0; g < groups; g++, row += EM_GROUP_BYTES(format), a += EM_GROUP) {
        em_i32 sum = 0;
        if (format == EM_W4) {
            for (em_u32 i = 0; i < 16u; i++) {
                sum += (em_i16)(row[i] & 15) * (em_i16)a[i] + (em_i16)(row[i] >> 4) * (em_i16)a[16u + i];
            }
        } else {
            em_u8 stored[EM_GROUP];
            em_unpack_group(row, format, stored);
            for (em_u32 i = 0; i < EM_GROUP; i++) {
                sum += (em_i16)stored[i] * (em_i16)a[i];
            }
        }
        total += (em_i64)sub_scales[g] * (sum - EM_GROUP_OFFSET(format) * sums[g]);
    }
    return total;
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

/* Products are below 2^22: 256 of them fit int32. */
EM_INLINE em_i64 em_dot_w16(const em_i16 *row, const em_i8 *a, em_u32 columns)
{
    em_i64 total = 0;
    for (em_u32 first = 0; first < columns; first += 256u) {
        em_u32 end = columns - first < 256u ? columns : first + 256u;
        em_i32 sum = 0;
        for (em_u32 i = first; i < end; i++) {
            sum += row[i] * (em_i16)a[i];
        }
        total += sum;
    }
    return total;
}

/* Accumulator of one row and one token, before accumulator_shift. `format` is a constant where this is inlined. */
EM_INLINE em_i64 em_dot_row(const struct em_matrix *m, em_u32 format, em_u32 row, const em_i8 *a, const em_i32 *sums)
{
    const em_u8 *weights = m->weights + row * m->row_bytes;
    em_u32 groups = EM_GROUPS(m->columns);
    if (format <= EM_W6) {
        return em_dot_grouped(weights, m->sub_scales + (em_u64)row * groups, format, groups, a, sums);
    }
    if (format == EM_W16) {
        return em_dot_w16((const em_i16 *)(const void *)weights, a, m->columns);
    }
    return em_dot_w8((const em_i8 *)(const void *)weights, a, m->columns);
}

/* Rows [first, end) of W times the activations of each token: out[token][row], requantized, bias added. */
EM_INLINE void em_linear_rows_as(em_u32 format, const struct em_linear_op *op, const struct em_matrix *m, const em_i32 *bias,
                                 const struct em_q8 *x, em_u32 tokens, em_u32 first, em_u32 end, em_i32 *out)
{
    for (em_u32 row = first; row < end; row++) {
        for (em_u32 t = 0; t < tokens; t++) {
            em_i64 sum = em_dot_row(m, format, row, x->values + (em_u64)t * EM_Q8_STRIDE(m->columns),
                                    x->sums + (em_u64)t * EM_GROUPS(m->columns));
            if (op->accumulator_shift > 0) {
                sum = em_round_shift64(sum, op->accumulator_shift);
            }
            em_i32 multiplier = em_scale(m->mantissas[row], x->scale[t].mantissa, 30);
            em_i32 value = em_scale((em_i32)sum, multiplier, m->exponents[row] + op->shift_base - x->scale[t].shift);
            out[(em_u64)t * m->rows + row] = bias == EM_NULL ? value : em_saturate((em_i64)value + bias[row]);
        }
    }
}

/* The same for the matrix's own format; formats that the model does not use are not compiled in. */
EM_NOINLINE EM_UNUSED static void em_linear_rows(const struct em_linear_op *op, const struct em_matrix *m, const em_i32 *bias,
                                     const struct em_q8 *x, em_u32 tokens, em_u32 first, em_u32 end, em_i32 *out)
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

/* One row as real values in Q(frac): the embedding of a token. 127 undoes the division in the row multiplier. */
EM_NOINLINE EM_UNUSED static void em_gather_row(const struct em_matrix *m, em_u32 row, em_i32 frac, em_i32 *out)
{
    const em_u8 *weights = m->weights + row * m->row_bytes;
    em_i32 mantissa = m->mantissas[row];
    em_i32 shift = m->exponents[row] - frac;
    for (em_u32 first = 0; first < m->columns; first += EM_GROUP) {
        em_u32 width = m->columns - first < EM_GROUP ? m->columns - first : EM_GROUP;
        em_u8 stored[EM_GROUP];
        em_i32 sub_scale = 127;
        if (m->format <= EM_W6) {
            em_u32 group = first / EM_GROUP;
            em_unpack_group(weights + (em_u64)group * EM_GROUP_BYTES(m->format), m->format, stored);
            sub_scale *= m->sub_scales[(em_u64)row * EM_GROUPS(m->columns) + group];
        }
        for (em_u32 i = 0; i < width; i++) {
            em_i32 q = 0;
            if (m->format <= EM_W6) {
                q = stored[i] - EM_GROUP_OFFSET(m->format);
            } else if (m->format == EM_W16) {
                q = ((const em_i16 *)(const void *)weights)[first + i];
            } else {
                q = ((const em_i8 *)(const void *)weights)[first + i];
            }
            out[first + i] = em_scale(sub_scale * q, mantissa, shift);
        }
    }
}

#endif /* EM_LINEAR_H */
