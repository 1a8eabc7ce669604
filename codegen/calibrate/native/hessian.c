/* x^T x, and the factor of its inverse that GPTQ sweeps with: codegen/quantize/gptq/{hessian,inverse-factor}.ts in vectors. */
#include "linear_algebra.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parallel.h"

enum {
    /* Tokens of a product in float32, and rows of the Hessian that are computed at a time: as in hessian.ts. */
    CHUNK = 512,
    BLOCK = 128,
    /* Rows, or columns, of a triangle that stay in L2 while the others pass by. */
    TRIANGLE_TILE = 32,
    LANES = 4
};

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

static size_t minimum(size_t a, size_t b)
{
    return a < b ? a : b;
}

struct gram {
    double *sums;
    /* float32[columns][tokens] */
    const float *transposed;
    /* float32[BLOCK][columns], one a thread */
    float *products;
    size_t tokens;
    size_t columns;
};

static void gram_blocks(void *context, size_t part, size_t parts)
{
    const struct gram *g = context;
    float *product = g->products + part * BLOCK * g->columns;
    for (size_t top = part * BLOCK; top < g->columns; top += parts * BLOCK) {
        const size_t rows = minimum(BLOCK, g->columns - top);
        const size_t width = g->columns - top;
        const float *from = g->transposed + top * g->tokens;
        la_matmul(product, from, from, rows, width, g->tokens, width, 1);
        for (size_t r = 0; r < rows; r++) {
            double *to = g->sums + (top + r) * g->columns + top;
            for (size_t c = 0; c < width; c++)
                to[c] += (double)product[r * width + c];
        }
    }
}

int la_add_gram(double *sums, const float *x, size_t tokens, size_t columns, size_t threads)
{
    const size_t parts = minimum(minimum(threads, MOST_THREADS), (columns + BLOCK - 1) / BLOCK);
    float *transposed = malloc(sizeof(float) * columns * minimum(tokens, CHUNK));
    float *products = malloc(sizeof(float) * columns * BLOCK * parts);
    const int enough = transposed != NULL && products != NULL;
    for (size_t first = 0; enough && first < tokens; first += CHUNK) {
        const size_t count = minimum(CHUNK, tokens - first);
        for (size_t t = 0; t < count; t++)
            for (size_t c = 0; c < columns; c++)
                transposed[c * count + t] = x[(first + t) * columns + c];
        struct gram g = {sums, transposed, products, count, columns};
        parallel(gram_blocks, &g, parts);
    }
    free(products);
    free(transposed);
    return enough;
}

/* Sum over first <= k < end of p[k] q[k], in four sums. */
static double dot(const double *p, const double *q, size_t first, size_t end)
{
    lanes sum = {0};
    size_t k = first;
    for (; k + LANES <= end; k += LANES) {
        lanes a;
        lanes b;
        memcpy(&a, p + k, sizeof a);
        memcpy(&b, q + k, sizeof b);
        sum += a * b;
    }
    for (; k < end; k++)
        sum[0] += p[k] * q[k];
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}

struct triangle {
    double *a;
    double *u;
    size_t n;
    /* Columns [begin, end) that are factored. */
    size_t begin;
    size_t end;
    int short_of_memory[MOST_THREADS];
};

/* Columns [begin, end) of row i, from the last; the rows of these columns are done to the right of the column. */
static void factor_row(const struct triangle *t, size_t i)
{
    double *row = t->a + i * t->n;
    for (size_t j = t->end; j-- > t->begin;) {
        const double *pivots = t->a + j * t->n;
        row[j] = (row[j] - dot(row, pivots, j + 1, t->n)) / pivots[j];
    }
}

static void factor_rows(void *context, size_t part, size_t parts)
{
    const struct triangle *t = context;
    for (size_t i = t->begin * part / parts; i < t->begin * (part + 1) / parts; i++)
        factor_row(t, i);
}

/* Rows [begin, end) of columns [begin, end); 0 where a pivot is not positive. */
static int factor_corner(const struct triangle *t)
{
    for (size_t j = t->end; j-- > t->begin;) {
        double *row = t->a + j * t->n;
        const double pivot = row[j] - dot(row, row, j + 1, t->n);
        if (!(pivot > 0) || !isfinite(pivot))
            return 0;
        row[j] = sqrt(pivot);
        for (size_t i = t->begin; i < j; i++) {
            double *above = t->a + i * t->n;
            above[j] = (above[j] - dot(above, row, j + 1, t->n)) / row[j];
        }
    }
    return 1;
}

/* Columns [first, first + width) of the inverse of the upper triangle of a, in tile[n][TRIANGLE_TILE]. */
static void invert_columns(const struct triangle *t, double *tile, size_t first, size_t width)
{
    for (size_t i = first + width; i-- > 0;) {
        const double *row = t->a + i * t->n;
        double sum[TRIANGLE_TILE] = {0};
        for (size_t k = i + 1; k < first + width; k++) {
            const double factor = row[k];
            const double *from = tile + k * TRIANGLE_TILE;
            if (factor == 0)
                continue;
            for (size_t c = 0; c < TRIANGLE_TILE; c++)
                sum[c] -= factor * from[c];
        }
        const double inverse = 1 / row[i];
        for (size_t c = 0; c < TRIANGLE_TILE; c++)
            sum[c] *= inverse;
        if (i >= first)
            sum[i - first] = inverse;
        memcpy(tile + i * TRIANGLE_TILE, sum, sizeof sum);
    }
}

static void invert_tiles(void *context, size_t part, size_t parts)
{
    struct triangle *t = context;
    double *tile = malloc(sizeof(double) * t->n * TRIANGLE_TILE);
    t->short_of_memory[part] = tile == NULL;
    if (tile == NULL)
        return;
    for (size_t first = part * TRIANGLE_TILE; first < t->n; first += parts * TRIANGLE_TILE) {
        const size_t width = minimum(TRIANGLE_TILE, t->n - first);
        invert_columns(t, tile, first, width);
        for (size_t i = 0; i < first + width; i++) {
            const size_t from = i > first ? i - first : 0;
            memcpy(t->u + i * t->n + first + from, tile + i * TRIANGLE_TILE + from, sizeof(double) * (width - from));
        }
    }
    free(tile);
}

int la_inverse_factor(double *a, double *u, size_t n, size_t threads)
{
    struct triangle t = {a, u, n, 0, n, {0}};
    for (t.end = n; t.end > 0; t.end = t.begin) {
        t.begin = t.end > TRIANGLE_TILE ? t.end - TRIANGLE_TILE : 0;
        if (!factor_corner(&t))
            return 0;
        parallel(factor_rows, &t, minimum(threads, 1 + t.begin / BLOCK));
    }
    const size_t parts = minimum(minimum(threads, MOST_THREADS), 1 + n / BLOCK);
    parallel(invert_tiles, &t, parts);
    for (size_t part = 0; part < parts; part++)
        if (t.short_of_memory[part])
            return -1;
    return 1;
}
