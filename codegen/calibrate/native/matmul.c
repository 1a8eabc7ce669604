/*
 * y = x w^T in float32: the sums of codegen/calibrate/wasm/matmul.ts, in wider vectors and by several threads.
 *
 * Lane l of a group of four takes the products with k = l (mod 4); after COLUMN_BLOCK columns the four lanes are added up and go
 * to y. A tile has 4 rows and 2 vectors of tokens; its operands are packed before, in the order in which the tile reads them,
 * columns filled up with zeros to a multiple of four.
 */
#include "linear_algebra.h"

#include <stdlib.h>

#include "parallel.h"
#include "vectors.h"

enum {
    QUAD = 4,
    TILE_ROWS = 4,
    TILE_VECS = 2,
    TILE_TOKENS = TILE_VECS * VEC_QUADS,
    /* Columns of a sum in four lanes, the same as in linear-algebra-wasm.ts. */
    COLUMN_BLOCK = 512,
    /* Tokens whose packed activations stay in L2 while the rows pass by. */
    TOKEN_BLOCK = 128,
    /* Fewer multiplications than this are not worth a thread: starting one takes some 20 us. */
    THREAD_WORK = 4 << 20
};

struct product {
    float *y;
    const float *x;
    const float *w;
    size_t tokens;
    size_t rows;
    size_t columns;
    /* Distance of two tokens in y. */
    size_t y_stride;
    /* Whether threads share the rows, or the tokens. */
    int by_rows;
};

/* What a thread packs its operands into. */
struct scratch {
    float rows[TILE_ROWS * COLUMN_BLOCK];
    float tokens[(TOKEN_BLOCK + TILE_TOKENS) * COLUMN_BLOCK];
};

static size_t minimum(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Quads of `count` rows, at most `tile` of them, quad by quad; what is missing is zero. Returns the quads of a row. */
static size_t pack(float *out, const float *rows, size_t stride, size_t count, size_t tile, size_t width)
{
    const size_t quads = (width + QUAD - 1) / QUAD;
    for (size_t r = 0; r < tile; r++) {
        float *to = out + r * QUAD;
        if (r >= count) {
            for (size_t k = 0; k < quads; k++)
                memset(to + k * tile * QUAD, 0, QUAD * sizeof(float));
            continue;
        }
        const float *from = rows + r * stride;
        size_t k = 0;
        for (; k < width / QUAD; k++)
            memcpy(to + k * tile * QUAD, from + k * QUAD, QUAD * sizeof(float));
        if (k < quads) {
            memset(to + k * tile * QUAD, 0, QUAD * sizeof(float));
            memcpy(to + k * tile * QUAD, from + k * QUAD, (width - k * QUAD) * sizeof(float));
        }
    }
    return quads;
}

/* TILE_ROWS packed rows by TILE_TOKENS packed tokens, into sums[TILE_TOKENS][TILE_ROWS]. */
static void tile(float *sums, const float *w, const float *x, size_t quads)
{
    vec acc[TILE_ROWS][TILE_VECS];
    for (int r = 0; r < TILE_ROWS; r++)
        for (int v = 0; v < TILE_VECS; v++)
            acc[r][v] = (vec){0};
    for (size_t k = 0; k < quads; k++) {
        vec x0 = vec_load(x);
        vec x1 = vec_load(x + VEC_QUADS * QUAD);
        VEC_HELD(x0);
        VEC_HELD(x1);
        for (int r = 0; r < TILE_ROWS; r++) {
            const vec weights = vec_repeat(w + r * QUAD);
            acc[r][0] += weights * x0;
            acc[r][1] += weights * x1;
        }
        w += TILE_ROWS * QUAD;
        x += TILE_TOKENS * QUAD;
    }
    for (int v = 0; v < TILE_VECS; v++) {
        const vec sum = vec_sum_lanes(acc[0][v], acc[1][v], acc[2][v], acc[3][v]);
        memcpy(sums + v * VEC_QUADS * TILE_ROWS, &sum, sizeof sum);
    }
}

static void store(const struct product *p, size_t token, size_t tokens, size_t row, size_t rows, const float *sums,
                  int first)
{
    for (size_t t = 0; t < tokens; t++) {
        float *y = p->y + (token + t) * p->y_stride + row;
        for (size_t r = 0; r < rows; r++)
            y[r] = first ? sums[t * TILE_ROWS + r] : y[r] + sums[t * TILE_ROWS + r];
    }
}

/* A block of columns for tokens [token, token + count), at most TOKEN_BLOCK, and rows [row, row_end). */
static void block(const struct product *p, struct scratch *s, size_t token, size_t count, size_t row, size_t row_end,
                  size_t k)
{
    const size_t width = minimum(COLUMN_BLOCK, p->columns - k);
    const size_t panel = TILE_TOKENS * ((width + QUAD - 1) / QUAD) * QUAD;
    for (size_t t = 0; t < count; t += TILE_TOKENS) {
        const float *from = p->x + (token + t) * p->columns + k;
        pack(s->tokens + t / TILE_TOKENS * panel, from, p->columns, minimum(TILE_TOKENS, count - t), TILE_TOKENS, width);
    }
    for (size_t r = row; r < row_end; r += TILE_ROWS) {
        const size_t height = minimum(TILE_ROWS, row_end - r);
        const size_t quads = pack(s->rows, p->w + r * p->columns + k, p->columns, height, TILE_ROWS, width);
        for (size_t t = 0; t < count; t += TILE_TOKENS) {
            float sums[TILE_TOKENS * TILE_ROWS];
            tile(sums, s->rows, s->tokens + t / TILE_TOKENS * panel, quads);
            store(p, token + t, minimum(TILE_TOKENS, count - t), r, height, sums, k == 0);
        }
    }
}

/* One token: nothing is packed, since every weight is used once. */
static void one_token(const struct product *p, size_t token, size_t row, size_t row_end)
{
    const float *x = p->x + token * p->columns;
    float *y = p->y + token * p->y_stride;
    for (size_t r = row; r < row_end; r++) {
        const float *w = p->w + r * p->columns;
        for (size_t k = 0; k < p->columns; k += COLUMN_BLOCK) {
            const size_t end = minimum(p->columns, k + COLUMN_BLOCK);
            quad sum = {0};
            size_t c = k;
            for (; c + QUAD <= end; c += QUAD)
                sum += quad_load(w + c) * quad_load(x + c);
            for (size_t lane = 0; c + lane < end; lane++)
                sum[lane] += w[c + lane] * x[c + lane];
            y[r] = k == 0 ? quad_sum(sum) : y[r] + quad_sum(sum);
        }
    }
}

static void share(void *context, size_t part, size_t parts)
{
    const struct product *p = context;
    const size_t all = p->by_rows ? p->rows : p->tokens;
    const size_t begin = all * part / parts;
    const size_t end = all * (part + 1) / parts;
    const size_t row = p->by_rows ? begin : 0;
    const size_t row_end = p->by_rows ? end : p->rows;
    const size_t token = p->by_rows ? 0 : begin;
    const size_t token_end = p->by_rows ? p->tokens : end;
    struct scratch *s = token_end - token > 1 ? malloc(sizeof *s) : NULL;
    if (s == NULL) {
        for (size_t t = token; t < token_end; t++)
            one_token(p, t, row, row_end);
        return;
    }
    for (size_t t = token; t < token_end; t += TOKEN_BLOCK)
        for (size_t k = 0; k < p->columns; k += COLUMN_BLOCK)
            block(p, s, t, minimum(TOKEN_BLOCK, token_end - t), row, row_end, k);
    free(s);
}

void la_matmul(float *y, const float *x, const float *w, size_t tokens, size_t rows, size_t columns, size_t y_stride,
               size_t threads)
{
    const struct product p = {y, x, w, tokens, rows, columns, y_stride, rows >= tokens};
    const double work = (double)tokens * (double)rows * (double)columns;
    const size_t worth = 1 + (size_t)(work / THREAD_WORK);
    parallel(share, (void *)&p, minimum(threads, minimum(worth, p.by_rows ? rows : tokens)));
}
