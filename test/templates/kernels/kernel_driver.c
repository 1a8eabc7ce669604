/*
 * kernel_driver.c - runs the kernels on vectors from standard input, for comparison with the TypeScript reference.
 *
 * Input: little-endian 32-bit words, cases one after the other, each an operation and its arguments as the function of that
 * name below reads them. Output: the result words of all cases. Links with a libc; the kernels themselves need none.
 */
#define _POSIX_C_SOURCE 200112L /* posix_memalign */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "em_attention.h"
#include "em_elementwise.h"
#include "em_linear.h"
#include "em_neurons.h"
#include "em_norm.h"
#include "em_quantize.h"

enum operation {
    SCALE = 1, RECIPROCAL_SQRT, EXP2_NEGATIVE, SIGMOID, QUANTIZE, RMSNORM, ROPE, SWIGLU, ADD, LINEAR_ROWS, GATHER_ROW, ATTEND,
    GELU_GATE, GELU, LAYERNORM, RESIDUE, NEURONS, HADAMARD
};

/* What out holds where a kernel must not write. */
#define UNTOUCHED 0x5a5a5a5a

static void die(const char *what)
{
    fprintf(stderr, "kernel_driver: %s\n", what);
    exit(1);
}

/* ---- Words in and out ------------------------------------------------------------------------------------------- */

static em_i32 *input;
static size_t input_words;
static size_t input_at;

static void read_input(void)
{
    size_t capacity = 1u << 20;
    input = malloc(capacity * sizeof(*input));
    while (input != NULL) {
        input_words += fread(input + input_words, sizeof(*input), capacity - input_words, stdin);
        if (input_words < capacity) {
            return;
        }
        capacity *= 2u;
        input = realloc(input, capacity * sizeof(*input));
    }
    die("out of memory");
}

/* The next count words, in place. */
static const em_i32 *words(em_u32 count)
{
    const em_i32 *at = input + input_at;
    if (count > input_words - input_at) {
        die("input ends within a case");
    }
    input_at += count;
    return at;
}

static em_i32 word(void)
{
    return *words(1);
}

static em_u32 count_word(void)
{
    return (em_u32)word();
}

static em_u64 word64(void)
{
    em_u64 low = count_word();
    return low | (em_u64)count_word() << 32;
}

static void put(const em_i32 *values, em_u64 count)
{
    if (fwrite(values, sizeof(*values), count, stdout) != count) {
        die("cannot write");
    }
}

static void put_word(em_i32 value)
{
    put(&value, 1);
}

/* Memory of a case, aligned as the blob and the arena are. Exactly as large as asked, so that a sanitizer sees the end. */
static void *allocate(em_u64 bytes)
{
    void *memory = NULL;
    if (posix_memalign(&memory, 64, bytes + (bytes == 0)) != 0) {
        die("out of memory");
    }
    return memory;
}

static em_i32 *allocate_untouched(em_u64 count)
{
    em_i32 *out = allocate(count * sizeof(*out));
    for (em_u64 i = 0; i < count; i++) {
        out[i] = UNTOUCHED;
    }
    return out;
}

static void *copy(const void *from, em_u64 bytes)
{
    void *memory = allocate(bytes);
    memcpy(memory, from, bytes);
    return memory;
}


/* ---- Operations --------------------------------------------------------------------------------------------------- */

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

/* columns, tokens, values: per token its scale and its padded row. */
static void quantize(void)
{
    em_u32 columns = count_word();
    em_u32 tokens = count_word();
    em_u32 stride = EM_Q8_STRIDE(columns);
    struct em_q8 q8;
    q8.values = allocate((em_u64)tokens * stride);
    q8.prepared = allocate((em_u64)tokens * EM_PREPARED_BYTES(columns) + 1);
    q8.scale = allocate(tokens * sizeof(*q8.scale));
    em_quantize(words(columns * tokens), &q8, columns, tokens);
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

/* format, rows, columns, bytes, section. */
static struct em_matrix matrix(em_u8 **section)
{
    em_u32 format = count_word();
    em_u32 rows = count_word();
    em_u32 columns = count_word();
    em_u32 bytes = count_word();
    *section = copy(words((bytes + 3u) / 4u), bytes);
    return em_matrix_open(*section, format, rows, columns);
}

/* Matrix, accumulator_shift, shift_base, first, end, tokens, whether bias, bias[rows], values: out[tokens][rows]. */
static void linear_rows(void)
{
    em_u8 *section;
    struct em_matrix m = matrix(&section);
    struct em_linear_op op = {.format = m.format};
    op.accumulator_shift = word();
    op.shift_base = word();
    em_u32 first = count_word();
    em_u32 end = count_word();
    em_u32 tokens = count_word();
    const em_i32 *bias = word() ? words(m.rows) : EM_NULL;
    struct em_q8 q8;
    q8.values = allocate((em_u64)tokens * EM_Q8_STRIDE(m.columns));
    q8.prepared = allocate((em_u64)tokens * EM_PREPARED_BYTES(m.columns) + 1);
    q8.scale = allocate(tokens * sizeof(*q8.scale));
    em_quantize(words(tokens * m.columns), &q8, m.columns, tokens);
    em_i32 *out = allocate_untouched((em_u64)tokens * m.rows);
    em_linear_rows(&op, &m, bias, &q8, tokens, first, end, out);
    put(out, (em_u64)tokens * m.rows);
    free(section);
    free(q8.values);
    free(q8.prepared);
    free(q8.scale);
    free(out);
}

/* Matrix, row, frac. */
static void gather_row(void)
{
    em_u8 *section;
    struct em_matrix m = matrix(&section);
    em_u32 row = count_word();
    em_i32 *out = allocate_untouched(m.columns);
    em_gather_row(&m, row, word(), out);
    put(out, m.columns);
    free(section);
    free(out);
}

/*
 * score_shift, heads, kv_heads, head_dim, window, positions, keys[positions][kv_heads][head_dim], values, number of
 * queries, and for each its head, its position and itself.
 */
static void attend(void)
{
    struct em_attention_op op = {word()};
    em_u32 heads = count_word();
    em_u32 kv_heads = count_word();
    em_u32 head_dim = count_word();
    em_u32 window = count_word();
    em_u32 positions = count_word();
    em_u32 room = (positions + EM_CACHE_BLOCK - 1u) / EM_CACHE_BLOCK * EM_CACHE_BLOCK;
    struct em_attention_shape shape = {heads, kv_heads, head_dim, room, window};
    em_u32 width = kv_heads * head_dim;
    em_u64 slots = (em_u64)kv_heads * room;
    struct em_kv_cache cache;
    cache.keys = allocate(slots * head_dim);
    cache.values = allocate(slots * head_dim);
    cache.key_max = allocate(slots * sizeof(em_i32));
    cache.value_max = allocate(slots * sizeof(em_i32));
    const em_i32 *keys = words(positions * width);
    const em_i32 *values = words(positions * width);
    memset(cache.keys, UNTOUCHED & 0xff, slots * head_dim);
    memset(cache.values, UNTOUCHED & 0xff, slots * head_dim);
    memset(cache.key_max, UNTOUCHED & 0xff, slots * sizeof(em_i32));
    memset(cache.value_max, UNTOUCHED & 0xff, slots * sizeof(em_i32));
    for (em_u32 h = 0; h < kv_heads; h++) {
        struct em_kv_cache head = em_head_cache(&cache, &shape, h);
        em_u32 at = h * head_dim;
        em_store_head(&head, head_dim, 0, keys + at, values + at, width, positions);
    }
    struct em_attention_scratch scratch = {allocate(room * sizeof(em_i32)), allocate(room * sizeof(em_i32))};
    em_i32 *out = allocate_untouched(head_dim);
    for (em_u32 left = count_word(); left > 0; left--) {
        em_u32 head = count_word();
        em_u32 position = count_word();
        struct em_kv_cache cache_of_head = em_head_cache(&cache, &shape, head / (heads / kv_heads));
        em_attend(&op, &shape, &cache_of_head, &scratch, words(head_dim), position, out);
        put(out, head_dim);
    }
    free(cache.keys);
    free(cache.values);
    free(cache.key_max);
    free(cache.value_max);
    free(scratch.scores);
    free(scratch.weights);
    free(out);
}

static void run_case(enum operation operation)
{
    switch (operation) {
    case SCALE:
        scale();
        return;
    case RECIPROCAL_SQRT:
        reciprocal_sqrt();
        return;
    case EXP2_NEGATIVE:
        exp2_negative();
        return;
    case SIGMOID:
        sigmoid();
        return;
    case QUANTIZE:
        quantize();
        return;
    case RMSNORM:
        rmsnorm();
        return;
    case ROPE:
        rope();
        return;
    case SWIGLU:
        swiglu();
        return;
    case ADD:
        add();
        return;
    case LINEAR_ROWS:
        linear_rows();
        return;
    case GATHER_ROW:
        gather_row();
        return;
    case ATTEND:
        attend();
        return;
    case GELU_GATE:
        gelu_gate();
        return;
    case GELU:
        gelu();
        return;
    case LAYERNORM:
        layernorm();
        return;
    case RESIDUE:
        residue();
        return;
    case HADAMARD:
        hadamard();
        return;
    case NEURONS:
        neurons();
        return;
    }
    die("unknown operation");
}

int main(void)
{
    read_input();
    while (input_at < input_words) {
        run_case((enum operation)word());
    }
    free(input);
    return 0;
}
