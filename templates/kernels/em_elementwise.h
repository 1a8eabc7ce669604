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

/* One stage: sums and differences of values that are `apart` from each other, in blocks of twice that. */
EM_INLINE void em_mix_pairs(em_i32 *values, em_u32 columns, em_u32 apart)
{
    for (em_i32 *a = values; a < values + columns; a += 2u * apart) {
        em_i32 *b = a + apart;
        for (em_u32 i = 0; i < apart; i++) {
            em_i32 sum = a[i] + b[i];
            b[i] = a[i] - b[i];
            a[i] = sum;
        }
    }
}

/* Two stages at once, of values that are 2 * apart and then `apart` from each other. */
EM_INLINE void em_mix_fours(em_i32 *values, em_u32 columns, em_u32 apart)
{
    for (em_i32 *a = values; a < values + columns; a += 4u * apart) {
        em_i32 *b = a + apart;
        em_i32 *c = b + apart;
        em_i32 *d = c + apart;
        for (em_u32 i = 0; i < apart; i++) {
            em_i32 sum = a[i] + c[i];
            em_i32 difference = a[i] - c[i];
            em_i32 next_sum = b[i] + d[i];
            em_i32 next_difference = b[i] - d[i];
            a[i] = sum + next_sum;
            b[i] = sum - next_sum;
            c[i] = difference + next_difference;
            d[i] = difference - next_difference;
        }
    }
}

/*
 * Transforms every row by H (x) I in place, H the Hadamard matrix of 2^stages rows: values that are columns / 2^stages
 * apart are mixed. stages is at most 5, so that sums of values without their lowest stages + 1 bits fit 31.
 */
EM_UNUSED EM_NOINLINE static void em_hadamard(em_i32 *values, em_u32 columns, em_u32 stages, em_u32 tokens)
{
    for (em_u32 t = 0; t < tokens; t++, values += columns) {
        em_u32 apart = columns;
        for (em_u32 i = 0; i < columns; i++) {
            /* Half of the last bit that is lost is added as 1 after all but one shift: it cannot overflow. */
            values[i] = ((values[i] >> stages) + 1) >> 1;
        }
        if (stages % 2u != 0) {
            apart /= 2u;
            em_mix_pairs(values, columns, apart);
        }
        for (em_u32 twice = 0; twice < stages / 2u; twice++) {
            apart /= 4u;
            em_mix_fours(values, columns, apart);
        }
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
