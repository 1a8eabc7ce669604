/*
 * driver_matrices.h - operations of kernel_driver.c on a packed matrix.
 */
#ifndef DRIVER_MATRICES_H
#define DRIVER_MATRICES_H

#include "driver_words.h"
#include "em_linear.h"
#include "em_quantize.h"

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

/* Matrix, accumulator_shift, least_shift, first, end, tokens, whether bias, bias[rows], values: out[tokens][rows]. */
static void linear_rows(void)
{
    em_u8 *section;
    struct em_matrix m = matrix(&section);
    struct em_linear_op op = {.format = m.format};
    op.accumulator_shift = word();
    op.least_shift = word();
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

/* Matrix, row, least_shift. */
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

#endif /* DRIVER_MATRICES_H */
