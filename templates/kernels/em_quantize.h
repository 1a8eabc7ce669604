/*
 * em_quantize.h - quantizes a batch of activations and prepares them for the kernels of the target.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_QUANTIZE_H
#define EM_QUANTIZE_H

#include "em_activation.h"
#include "em_linear.h"

/* Constants of a quantization whose scale was fixed when the model was built. */
struct em_quantize_op {
    em_i32 largest; /* what 127 stands for, in the Q format of the input: 1 to 2^31 - 1 */
};

/* Pads the int8 row of a token with zeros and prepares it. */
EM_INLINE void em_finish_row(const struct em_q8 *out, em_u32 columns, em_u32 token)
{
    em_i8 *row = out->values + (em_u64)token * EM_Q8_STRIDE(columns);
    for (em_u32 c = columns; c < EM_Q8_STRIDE(columns); c++) {
        row[c] = 0;
    }
    em_prepare(row, columns, out->prepared + (em_u64)token * EM_PREPARED_BYTES(columns));
}

/* out = int8(in), row by row: int32[tokens][columns] to rows padded with zeros, their scales and prepared forms. */
EM_UNUSED EM_NOINLINE static void em_quantize(const em_i32 *in, const struct em_q8 *out, em_u32 columns, em_u32 tokens)
{
    for (em_u32 t = 0; t < tokens; t++) {
        em_i8 *row = out->values + (em_u64)t * EM_Q8_STRIDE(columns);
        out->scale[t] = em_quantize_vector(in + (em_u64)t * columns, columns, row);
        em_finish_row(out, columns, t);
    }
}

/* The same with one scale for all tokens. */
EM_UNUSED EM_NOINLINE static void em_quantize_fixed(const struct em_quantize_op *op, const em_i32 *in,
                                                    const struct em_q8 *out, em_u32 columns, em_u32 tokens)
{
    for (em_u32 t = 0; t < tokens; t++) {
        em_i8 *row = out->values + (em_u64)t * EM_Q8_STRIDE(columns);
        out->scale[t] = em_quantize_clamped(in + (em_u64)t * columns, op->largest, columns, row);
        em_finish_row(out, columns, t);
    }
}

/* out = in - what its int8 form stands for, row by row: int32[tokens][columns]. */
EM_UNUSED EM_NOINLINE static void em_residue(const em_i32 *in, const struct em_q8 *q8, em_u32 columns, em_u32 tokens, em_i32 *out)
{
    for (em_u32 t = 0; t < tokens; t++, in += columns, out += columns) {
        const em_i8 *row = q8->values + (em_u64)t * EM_Q8_STRIDE(columns);
        em_i32 unit = (em_i32)(((em_i64)q8->scale[t].mantissa * 128 + 63) / 127);
        em_i32 shift = 22 - q8->scale[t].shift;
        for (em_u32 c = 0; c < columns; c++) {
            out[c] = em_saturate((em_i64)in[c] - em_scale(row[c], unit, shift));
        }
    }
}

#endif /* EM_QUANTIZE_H */
