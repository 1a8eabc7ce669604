/*
 * Linear algebra of calibration and GPTQ at the speed of the machine. Every function gives the bits that its counterpart in
 * TypeScript or WebAssembly gives, for any number of threads. All matrices are row-major; shapes are checked by the caller
 * (codegen/calibrate/native).
 */
#ifndef LINEAR_ALGEBRA_H
#define LINEAR_ALGEBRA_H

#include <stddef.h>
#include <stdint.h>

/*
 * y[t * y_stride + r] = sum over k of x[t * columns + k] * w[r * columns + k], for float32 x[tokens][columns] and
 * w[rows][columns].
 */
void la_matmul(float *y, const float *x, const float *w, size_t tokens, size_t rows, size_t columns, size_t y_stride,
               size_t threads);

/*
 * Adds x^T x of float32 x[tokens][columns] to float64 sums[columns][columns], from the first column of every block of 128 rows
 * on. 0 where memory is short; sums are as before then.
 */
int la_add_gram(double *sums, const float *x, size_t tokens, size_t columns, size_t threads);

/*
 * The upper triangular u[n][n] (all zeros before) with u^T u = a^-1, for a symmetric positive definite a[n][n], whose upper
 * triangle is overwritten. 0 where a is not positive definite, -1 where memory is short.
 */
int la_inverse_factor(double *a, double *u, size_t n, size_t threads);

/* The rows that a grid is chosen for. */
struct la_grid {
    /* float32[rows][columns] */
    const float *weights;
    /* Scale of a sub-scale of 1, a row. */
    const double *units;
    /* What an error in a column costs; NULL: 1. */
    const double *importance;
    size_t rows;
    size_t columns;
    size_t group;
    /* Ends of the grid: integers from min to max, min < 0. */
    double min;
    double max;
};

/* The sub-scale in [-127, 127] of every group of columns, into scales[rows][ceil(columns / group)]. */
void la_fit_groups(int8_t *scales, const struct la_grid *grid, size_t threads);

/* A block of columns [begin, begin + width) of a sweep of GPTQ. */
struct la_sweep {
    /* float32[rows][columns]: weights still to be stored, in the order of the sweep */
    float *left;
    /* int8[rows][columns]: integers, in the order of the matrix */
    int8_t *integers;
    /* float32[rows][width]: errors over the pivot */
    float *errors;
    /* Column of the matrix at each place, columns of them. */
    const int32_t *order;
    /* float64[columns][columns], upper triangular */
    const double *factor;
    /* Scale of a sub-scale of 1, a row. */
    const double *units;
    /* int8[rows][ceil(columns / 32)], or NULL: 1 everywhere */
    const int8_t *scales;
    size_t rows;
    size_t columns;
    size_t begin;
    size_t width;
    double min;
    double max;
};

/* Rounds the columns of the block; errors go to the columns of the block after them and into `errors`. */
void la_sweep_block(const struct la_sweep *sweep, size_t threads);

/* Takes the errors of a block, times its rows of the factor, from all columns after it. 0 where memory is short. */
int la_spread(const struct la_sweep *sweep, size_t threads);

#endif
