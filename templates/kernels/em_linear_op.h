/*
 * em_linear_op.h - weight formats and the constants of a linear op: what every kernel set has in common.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_LINEAR_OP_H
#define EM_LINEAR_OP_H

#include "em_port.h"

enum em_format { EM_W4 = 1, EM_W5 = 2, EM_W6 = 3, EM_W8 = 4, EM_W8T = 5, EM_W16 = 6 };

/* Which formats a model uses, as a set of 1 << code; model.h says it. Alone, the kernels compile for all of them. */
#ifndef EM_FORMATS
#define EM_FORMATS 0x7e
#endif
#define EM_USES(format) ((EM_FORMATS >> (format)) & 1)

#define EM_NO_BIAS (~(em_u64)0)

/* Constants of one linear op. */
struct em_linear_op {
    em_u64 weights;           /* blob offset of the matrix section */
    em_u64 bias;              /* blob offset of int32[rows] in the output's format, or EM_NO_BIAS */
    em_u32 format;            /* enum em_format */
    em_i32 accumulator_shift; /* bits dropped so that every accumulator fits int32 */
    em_i32 least_shift;       /* right shift of the requantization where em_row_shift is 0, without the token's shift */
};

/* Parts of a section start on multiples of 64 bytes. */
EM_INLINE em_u64 em_align64(em_u64 bytes)
{
    return (bytes + 63u) & ~(em_u64)63u;
}

/*
 * A row multiplier, the row's scale / 127, as sections have it: em_row_mantissa * 2^-(least_exponent + em_row_shift). The least
 * exponent of a matrix is in the blob's table, and in the shifts that model.c gives to kernels.
 */
#define EM_ROW_MANTISSA_BITS 11

/* In [2^30, 2^31), or 0 for a row of zeros. */
EM_INLINE em_i32 em_row_mantissa(em_u16 word)
{
    return (word & ((1 << EM_ROW_MANTISSA_BITS) - 1)) << (31 - EM_ROW_MANTISSA_BITS);
}

EM_INLINE em_i32 em_row_shift(em_u16 word)
{
    return word >> EM_ROW_MANTISSA_BITS;
}

/* One row of w16 times int8 activations. Products are below 2^22: 256 of them fit int32. */
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

#endif /* EM_LINEAR_OP_H */
