/* Grids and sweeps of GPTQ: codegen/quantize/fit-grid.ts and codegen/quantize/gptq/quantize-gptq.ts in vectors. */
#include "linear_algebra.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parallel.h"

enum {
    /* Columns that share a stored sub-scale (codegen/quantize/format.ts). */
    GROUP = 32,
    /* Shrinks of a group's scale that are tried, for each sign of the scale. */
    SHRINKS = 13,
    CANDIDATES = 2 * SHRINKS,
    /* Candidates whose errors are summed at once. */
    LANES = 8,
    MOST_SUB_SCALE = 127,
    /* Rows that a thread is worth. */
    THREAD_ROWS = 32
};

static size_t minimum(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Math.round of ECMAScript: halves go up. */
static inline double round_half_up(double value)
{
    const double down = floor(value);
    return value - down >= 0.5 ? down + 1 : down;
}

static inline double clamp(double value, double min, double max)
{
    const double low = value < min ? min : value;
    return low > max ? max : low;
}

/* The sub-scales to try for a group whose largest value is `extreme`, without repetitions. Returns how many. */
static size_t candidates(double *out, double extreme, double unit, double min)
{
    size_t count = 0;
    double last = 0;
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (int i = 0; i < SHRINKS; i++) {
            const double shrink = 1 - 0.025 * i;
            const double wanted = round_half_up(sign * extreme * shrink / (min * unit));
            if (isnan(wanted))
                continue;
            const double k = wanted == 0 ? (sign * extreme < 0 ? 1 : -1) : clamp(wanted, -MOST_SUB_SCALE, MOST_SUB_SCALE);
            if (k == last)
                continue;
            last = k;
            out[count++] = k;
        }
    }
    return count;
}

/* Sums of weighted squared errors over `count` columns, for LANES scales at once. */
static void rounding_errors(double *sums, const double *scales, const float *weights, const double *importance,
                            size_t count, double min, double max)
{
    double sum[LANES] = {0};
    for (size_t c = 0; c < count; c++) {
        const double w = (double)weights[c];
        const double cost = importance == NULL ? 1 : importance[c];
        for (int l = 0; l < LANES; l++) {
            const double error = w - scales[l] * clamp(round_half_up(w / scales[l]), min, max);
            sum[l] += cost * error * error;
        }
    }
    memcpy(sums, sum, sizeof sum);
}

static int8_t fit_group(const struct la_grid *g, const float *weights, const double *importance, size_t count,
                        double unit)
{
    double extreme = 0;
    for (size_t c = 0; c < count; c++)
        if (fabs((double)weights[c]) > fabs(extreme))
            extreme = (double)weights[c];
    if (extreme == 0)
        return 0;
    double tried[CANDIDATES];
    const size_t all = candidates(tried, extreme, unit, g->min);
    double best = 0;
    double least = INFINITY;
    for (size_t first = 0; first < all; first += LANES) {
        double scales[LANES];
        double errors[LANES];
        for (size_t l = 0; l < LANES; l++)
            scales[l] = tried[minimum(first + l, all - 1)] * unit;
        rounding_errors(errors, scales, weights, importance, count, g->min, g->max);
        for (size_t l = 0; l < minimum(LANES, all - first); l++) {
            if (errors[l] < least) {
                least = errors[l];
                best = tried[first + l];
            }
        }
    }
    return (int8_t)best;
}

struct fitting {
    const struct la_grid *grid;
    int8_t *scales;
};

static void fit_rows(void *context, size_t part, size_t parts)
{
    const struct fitting *f = context;
    const struct la_grid *g = f->grid;
    const size_t groups = (g->columns + g->group - 1) / g->group;
    for (size_t r = g->rows * part / parts; r < g->rows * (part + 1) / parts; r++) {
        for (size_t i = 0; i < groups; i++) {
            const size_t first = i * g->group;
            const size_t count = minimum(g->group, g->columns - first);
            const double *importance = g->importance == NULL ? NULL : g->importance + first;
            f->scales[r * groups + i] =
                fit_group(g, g->weights + r * g->columns + first, importance, count, g->units[r]);
        }
    }
}

void la_fit_groups(int8_t *scales, const struct la_grid *grid, size_t threads)
{
    struct fitting f = {grid, scales};
    parallel(fit_rows, &f, minimum(threads, 1 + grid->rows / THREAD_ROWS));
}

static void sweep_row(const struct la_sweep *s, size_t r)
{
    float *own = s->left + r * s->columns + s->begin;
    const int8_t *scales = s->scales == NULL ? NULL : s->scales + r * ((s->columns + GROUP - 1) / GROUP);
    for (size_t i = 0; i < s->width; i++) {
        const size_t column = (size_t)s->order[s->begin + i];
        const double scale = scales == NULL ? s->units[r] : s->units[r] * (double)scales[column / GROUP];
        const double w = (double)own[i];
        const double q = scale == 0 ? 0 : clamp(round_half_up(w / scale), s->min, s->max);
        s->integers[r * s->columns + column] = isnan(q) ? 0 : (int8_t)q;
        const double *factor = s->factor + (s->begin + i) * s->columns + s->begin;
        const double error = (w - q * scale) / factor[i];
        s->errors[r * s->width + i] = (float)error;
        for (size_t j = i + 1; j < s->width; j++)
            own[j] = (float)((double)own[j] - error * factor[j]);
    }
}

static void sweep_rows(void *context, size_t part, size_t parts)
{
    const struct la_sweep *s = context;
    for (size_t r = s->rows * part / parts; r < s->rows * (part + 1) / parts; r++)
        sweep_row(s, r);
}

void la_sweep_block(const struct la_sweep *sweep, size_t threads)
{
    parallel(sweep_rows, (void *)sweep, minimum(threads, 1 + sweep->rows / THREAD_ROWS));
}

int la_spread(const struct la_sweep *s, size_t threads)
{
    const size_t after = s->begin + s->width;
    const size_t rest = s->columns - after;
    if (rest == 0)
        return 1;
    float *factor = malloc(sizeof(float) * rest * s->width); /* transposed */
    float *corrections = malloc(sizeof(float) * rest * s->rows);
    const int enough = factor != NULL && corrections != NULL;
    if (enough) {
        for (size_t i = 0; i < s->width; i++)
            for (size_t c = 0; c < rest; c++)
                factor[c * s->width + i] = (float)s->factor[(s->begin + i) * s->columns + after + c];
        la_matmul(corrections, s->errors, factor, s->rows, rest, s->width, rest, threads);
        for (size_t r = 0; r < s->rows; r++) {
            float *left = s->left + r * s->columns + after;
            for (size_t c = 0; c < rest; c++)
                left[c] -= corrections[r * rest + c];
        }
    }
    free(corrections);
    free(factor);
    return enough;
}
