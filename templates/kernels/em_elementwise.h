/*
 * em_elementwise.h - residual addition, activations, rotary embedding. docs/arithmetic.md, section 5.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_ELEMENTWISE_H
#define EM_ELEMENTWISE_H

#include "em_strips.h"
#include "em_vectors.h"

/* Constants of one gated activation. */
struct em_swiglu_op {
    em_i32 gate_frac; /* Q format of the gate */
    em_i32 out_shift; /* right shift of silu(gate) * up to the output's format */
};

/* Constants of one GELU. */
struct em_gelu_op {
    em_i32 in_frac;   /* Q format of the input, 0 to 30 */
    em_i32 out_shift; /* right shift of input * gate, Q24, to the output's format */
};

/* out += in, saturating. */
EM_UNUSED EM_NOINLINE static void em_add(const em_i32 *in, em_i32 *out, em_u64 count)
{
    for (em_u64 i = 0; i < count; i++) {
        out[i] = em_saturate((em_i64)out[i] + in[i]);
    }
}

/* out = silu(gate) * up. */
EM_UNUSED EM_NOINLINE static void em_swiglu(const struct em_swiglu_op *op, const em_i32 *gate, const em_i32 *up,
                                            em_i32 *out, em_u64 count)
{
    em_swiglu_each(gate, op->gate_frac, up, op->out_shift, out, count);
}

/* out = in * gate(in), the gate from a table of em_tables.h. Not in place. */
EM_UNUSED EM_NOINLINE static void em_gelu(const struct em_gelu_op *op, const em_i32 *table, const em_i32 *in,
                                          em_i32 *out, em_u64 count)
{
    for (em_u64 i = 0; i < count; i += EM_STRIP) {
        em_u32 width = count - i < EM_STRIP ? (em_u32)(count - i) : EM_STRIP;
        em_i32 gates[EM_STRIP];
        em_gates(table, EM_GELU_STEP_BITS, in + i, op->in_frac, gates, width);
        em_scale_each(in + i, gates, op->out_shift, out + i, width);
    }
}

/*
 * Rotates the pairs (i, i + head_dim/2) of every head in place. table: int16[context][head_dim], for each position the
 * cosines of the pairs and then their sines, Q14.
 */
EM_UNUSED EM_NOINLINE static void em_rope(const em_i16 *table, em_u32 position, em_i32 *values, em_u32 heads,
                                          em_u32 head_dim, em_u32 tokens)
{
    em_u32 half = head_dim / 2u;
    for (em_u32 t = 0; t < tokens; t++) {
        const em_i16 *cosines = table + (em_u64)(position + t) * head_dim;
        const em_i16 *sines = cosines + half;
        for (em_u32 h = 0; h < heads; h++, values += head_dim) {
            for (em_u32 i = 0; i < half; i++) {
                em_i64 a = values[i];
                em_i64 b = values[half + i];
                values[i] = em_saturate(em_round_shift64(a * cosines[i] - b * sines[i], 14));
                values[half + i] = em_saturate(em_round_shift64(a * sines[i] + b * cosines[i], 14));
            }
        }
    }
}

#endif /* EM_ELEMENTWISE_H */
