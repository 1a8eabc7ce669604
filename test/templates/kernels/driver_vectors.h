/*
 * driver_vectors.h - operations of kernel_driver.c on single values and on vectors.
 */
#ifndef DRIVER_VECTORS_H
#define DRIVER_VECTORS_H

#include "driver_words.h"
#include "em_elementwise.h"
#include "em_neurons.h"
#include "em_norm.h"
#include "em_quantize.h"

static void scale(void)
{
    const em_i32 *in = words(3);
    put_word(em_scale(in[0], in[1], in[2]));
}

static void reciprocal_sqrt(void)
{
    em_i32 k = 0;
    put_word(em_reciprocal_sqrt(word64(), &k));
    put_word(k);
}

static void exp2_negative(void)
{
    put_word((em_i32)em_exp2_negative(count_word()));
}

static void sigmoid(void)
{
    const em_i32 *in = words(2);
    put_word(em_gate(em_sigmoid_table, EM_SIGMOID_STEP_BITS, in[0], in[1]));
}

/* Whether exact, value, frac. */
static void gelu_gate(void)
{
    const em_i32 *in = words(3);
    put_word(em_gate(in[0] ? em_gelu_erf_table : em_gelu_tanh_table, EM_GELU_STEP_BITS, in[1], in[2]));
}

/* largest (0: that of each token), columns, tokens, values: per token its scale and its padded row. */
static void quantize(void)
{
    struct em_quantize_op op;
    op.largest = word();
    em_u32 columns = count_word();
    em_u32 tokens = count_word();
    em_u32 stride = EM_Q8_STRIDE(columns);
    struct em_q8 q8;
    q8.values = allocate((em_u64)tokens * stride);
    q8.prepared = allocate((em_u64)tokens * EM_PREPARED_BYTES(columns) + 1);
    q8.scale = allocate(tokens * sizeof(*q8.scale));
    if (op.largest == 0) {
        em_quantize(words(columns * tokens), &q8, columns, tokens);
    } else {
        em_quantize_fixed(&op, words(columns * tokens), &q8, columns, tokens);
    }
    for (em_u32 t = 0; t < tokens; t++) {
        put_word(q8.scale[t].mantissa);
        put_word(q8.scale[t].shift);
        for (em_u32 c = 0; c < stride; c++) {
            put_word(q8.values[t * stride + c]);
        }
    }
    free(q8.values);
    free(q8.prepared);
    free(q8.scale);
}

/* columns, tokens, values: what int8 leaves of them. */
static void residue(void)
{
    em_u32 columns = count_word();
    em_u32 tokens = count_word();
    struct em_q8 q8;
    q8.values = allocate((em_u64)tokens * EM_Q8_STRIDE(columns));
    q8.prepared = allocate((em_u64)tokens * EM_PREPARED_BYTES(columns) + 1);
    q8.scale = allocate(tokens * sizeof(*q8.scale));
    const em_i32 *in = words(columns * tokens);
    em_i32 *out = allocate_untouched((em_u64)columns * tokens);
    em_quantize(in, &q8, columns, tokens);
    em_residue(in, &q8, columns, tokens, out);
    put(out, (em_u64)columns * tokens);
    free(q8.values);
    free(q8.prepared);
    free(q8.scale);
    free(out);
}

/* in_frac, dots_frac, epsilon_score, width, count, tokens, constants[3][count], values, dots. */
static void neurons(void)
{
    struct em_neurons_op op = {.constants = 0};
    op.in_frac = word();
    op.dots_frac = word();
    op.epsilon_score = word();
    em_u32 width = count_word();
    em_u32 count = count_word();
    em_u32 tokens = count_word();
    const em_u8 *blob = (const em_u8 *)words(3u * count);
    const em_i32 *x = words(width * tokens);
    const em_i32 *dots = words(count * tokens);
    em_i32 *out = allocate_untouched((em_u64)count * tokens);
    em_neurons(&op, blob, x, dots, width, count, tokens, out);
    put(out, (em_u64)count * tokens);
    free(out);
}

/* epsilon (64 bits), floor_bits, out_shift, width, vectors, gains[width], values: the results, once more in place. */
static void rmsnorm(void)
{
    struct em_norm_op op;
    op.gains = 0;
    op.epsilon = (em_i64)word64();
    op.floor_bits = word();
    op.out_shift = word();
    em_u32 width = count_word();
    em_u32 vectors = count_word();
    const em_u8 *blob = (const em_u8 *)words(width);
    const em_i32 *in = words(width * vectors);
    em_i32 *out = copy(in, (em_u64)width * vectors * sizeof(*out));
    em_rmsnorm(&op, blob, in, out, width, vectors);
    put(out, (em_u64)width * vectors);
    memcpy(out, in, (size_t)width * vectors * sizeof(*out));
    em_rmsnorm(&op, blob, out, out, width, vectors);
    put(out, (em_u64)width * vectors);
    free(out);
}

/* epsilon (64 bits), floor_bits, out_shift, whether bias, width, vectors, gains[width], bias[width], values. */
static void layernorm(void)
{
    struct em_layernorm_op op;
    op.gains = 0;
    op.epsilon = (em_i64)word64();
    op.floor_bits = word();
    op.out_shift = word();
    em_i32 biased = word();
    em_u32 width = count_word();
    em_u32 vectors = count_word();
    const em_u8 *blob = (const em_u8 *)words(2u * width);
    op.bias = biased ? (em_u64)width * sizeof(em_i32) : EM_NO_VECTOR;
    const em_i32 *in = words(width * vectors);
    em_i32 *out = allocate_untouched((em_u64)width * vectors);
    em_layernorm(&op, blob, in, out, width, vectors);
    put(out, (em_u64)width * vectors);
    free(out);
}

/* position, heads, head_dim, tokens, table[position + tokens][head_dim], values. */
static void rope(void)
{
    em_u32 position = count_word();
    em_u32 heads = count_word();
    em_u32 head_dim = count_word();
    em_u32 tokens = count_word();
    em_u32 entries = (position + tokens) * head_dim;
    const em_i32 *wide = words(entries);
    em_i16 *table = allocate(entries * sizeof(*table));
    for (em_u32 i = 0; i < entries; i++) {
        table[i] = (em_i16)wide[i];
    }
    em_u32 count = tokens * heads * head_dim;
    em_i32 *values = copy(words(count), count * sizeof(*values));
    em_rope(table, position, values, heads, head_dim, tokens);
    put(values, count);
    free(table);
    free(values);
}

/* gate_frac, out_shift, count, gate, up. */
static void swiglu(void)
{
    struct em_swiglu_op op;
    op.gate_frac = word();
    op.out_shift = word();
    em_u32 count = count_word();
    const em_i32 *gate = words(count);
    const em_i32 *up = words(count);
    em_i32 *out = allocate_untouched(count);
    em_swiglu(&op, gate, up, out, count);
    put(out, count);
    free(out);
}

/* Whether exact, in_frac, out_shift, count, input. */
static void gelu(void)
{
    const em_i32 *table = word() ? em_gelu_erf_table : em_gelu_tanh_table;
    struct em_gelu_op op;
    op.in_frac = word();
    op.out_shift = word();
    em_u32 count = count_word();
    em_i32 *out = allocate_untouched(count);
    em_gelu(&op, table, words(count), out, count);
    put(out, count);
    free(out);
}

/* columns, stages, tokens, values. */
static void hadamard(void)
{
    em_u32 columns = count_word();
    em_u32 stages = count_word();
    em_u32 tokens = count_word();
    em_u64 count = (em_u64)columns * tokens;
    em_i32 *values = copy(words((em_u32)count), count * sizeof(*values));
    em_hadamard(values, columns, stages, tokens);
    put(values, count);
    free(values);
}

/* count, input, output. */
static void add(void)
{
    em_u32 count = count_word();
    const em_i32 *in = words(count);
    em_i32 *out = copy(words(count), count * sizeof(*out));
    em_add(in, out, count);
    put(out, count);
    free(out);
}

#endif /* DRIVER_VECTORS_H */
