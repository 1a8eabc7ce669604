/*
 * em_quantize.h - quantizes a batch of activations and prepares them for the kernels of the target.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_QUANTIZE_H
#define EM_QUANTIZE_H

#include "em_activation.h"
#include "em_linear.h"

/* out = int8(in), row by row: int32[tokens][columns] to rows padded with zeros, their scales and prepared forms. */
EM_UNUSED EM_NOINLINE static void em_quantize(const em_i32 *in, const struct em_q8 *out, em_u32 columns, em_u32 tokens)
{
    for (em_u32 t = 0; t < tokens; t++) {
        em_i8 *row = out->values + (em_u64)t * EM_Q8_STRIDE(columns);
        out->scale[t] = em_quantize_vector(in + (em_u64)t * columns, columns, row);
        for (em_u32 c = columns; c < EM_Q8_STRIDE(columns); c++) {
            row[c] = 0;
        }
        em_prepare(row, columns, out->prepared + (em_u64)t * EM_PREPARED_BYTES(columns));
    }
}

#endif /* EM_QUANTIZE_H */
