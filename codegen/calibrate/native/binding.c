/*
 * The functions of linear_algebra.h for JavaScript. Every argument is a number or a typed array; an argument that is missing, of
 * another type or too short is a RangeError, and nothing was done.
 */
#include <string.h>

#include "linear_algebra.h"
#include "node_api_subset.h"

/* napi_typedarray_type */
enum array_type { INT8 = 0, INT32 = 5, FLOAT32 = 7, FLOAT64 = 8 };

enum { MOST_ARGUMENTS = 16, INTEGER_GROUP = 32 };

/* The arguments of a call, taken one after another; `failed` once one was wrong. */
struct arguments {
    napi_env env;
    napi_value values[MOST_ARGUMENTS];
    size_t count;
    size_t next;
    bool failed;
};

static struct arguments arguments_of(napi_env env, napi_callback_info info)
{
    struct arguments a;
    memset(&a, 0, sizeof a);
    a.env = env;
    a.count = MOST_ARGUMENTS;
    a.failed = napi_get_cb_info(env, info, &a.count, a.values, NULL, NULL) != 0 || a.count > MOST_ARGUMENTS;
    return a;
}

static double number(struct arguments *a)
{
    double value = 0;
    if (a->failed || a->next >= a->count || napi_get_value_double(a->env, a->values[a->next++], &value) != 0)
        a->failed = true;
    return value;
}

static size_t size(struct arguments *a)
{
    const double value = number(a);
    if (!(value >= 0 && value < 9007199254740992.0)) {
        a->failed = true;
        return 0;
    }
    return (size_t)value;
}

/* A typed array of at least `length` elements; NULL where it is `null` and may be. */
static void *array(struct arguments *a, enum array_type type, double length, bool nullable)
{
    bool is_array = false;
    if (a->failed || a->next >= a->count || napi_is_typedarray(a->env, a->values[a->next], &is_array) != 0) {
        a->failed = true;
        return NULL;
    }
    const napi_value value = a->values[a->next++];
    if (!is_array) {
        a->failed = !nullable;
        return NULL;
    }
    napi_typedarray_type found = -1;
    size_t held = 0;
    void *data = NULL;
    if (napi_get_typedarray_info(a->env, value, &found, &held, &data, NULL, NULL) != 0 || found != (int)type ||
        (double)held < length)
        a->failed = true;
    return a->failed ? NULL : data;
}

static napi_value result(struct arguments *a, double value)
{
    napi_value out = NULL;
    if (a->failed)
        napi_throw_range_error(a->env, NULL, "arguments of the native library do not fit");
    else
        napi_create_double(a->env, value, &out);
    return out;
}

/* matmul(tokens, rows, columns, threads, y, x, w) */
static napi_value call_matmul(napi_env env, napi_callback_info info)
{
    struct arguments a = arguments_of(env, info);
    const size_t tokens = size(&a);
    const size_t rows = size(&a);
    const size_t columns = size(&a);
    const size_t threads = size(&a);
    float *y = array(&a, FLOAT32, (double)tokens * (double)rows, false);
    const float *x = array(&a, FLOAT32, (double)tokens * (double)columns, false);
    const float *w = array(&a, FLOAT32, (double)rows * (double)columns, false);
    if (!a.failed)
        la_matmul(y, x, w, tokens, rows, columns, rows, threads);
    return result(&a, 1);
}

/* addGram(tokens, columns, threads, sums, x): 0 where memory is short */
static napi_value call_add_gram(napi_env env, napi_callback_info info)
{
    struct arguments a = arguments_of(env, info);
    const size_t tokens = size(&a);
    const size_t columns = size(&a);
    const size_t threads = size(&a);
    double *sums = array(&a, FLOAT64, (double)columns * (double)columns, false);
    const float *x = array(&a, FLOAT32, (double)tokens * (double)columns, false);
    return result(&a, a.failed ? 0 : la_add_gram(sums, x, tokens, columns, threads));
}

/* inverseFactor(n, threads, a, u): 0 not positive definite, -1 short of memory */
static napi_value call_inverse_factor(napi_env env, napi_callback_info info)
{
    struct arguments a = arguments_of(env, info);
    const size_t n = size(&a);
    const size_t threads = size(&a);
    double *matrix = array(&a, FLOAT64, (double)n * (double)n, false);
    double *factor = array(&a, FLOAT64, (double)n * (double)n, false);
    return result(&a, a.failed ? 0 : la_inverse_factor(matrix, factor, n, threads));
}

/* fitGroups(rows, columns, group, min, max, threads, scales, weights, units, importance | null) */
static napi_value call_fit_groups(napi_env env, napi_callback_info info)
{
    struct arguments a = arguments_of(env, info);
    struct la_grid grid;
    memset(&grid, 0, sizeof grid);
    grid.rows = size(&a);
    grid.columns = size(&a);
    grid.group = size(&a);
    grid.min = number(&a);
    grid.max = number(&a);
    const size_t threads = size(&a);
    if (grid.group == 0) {
        a.failed = true;
        return result(&a, 0);
    }
    const double rows = (double)grid.rows;
    const double columns = (double)grid.columns;
    const double groups = (double)((grid.columns + grid.group - 1) / grid.group);
    int8_t *scales = array(&a, INT8, rows * groups, false);
    grid.weights = array(&a, FLOAT32, rows * columns, false);
    grid.units = array(&a, FLOAT64, rows, false);
    grid.importance = array(&a, FLOAT64, columns, true);
    if (!a.failed)
        la_fit_groups(scales, &grid, threads);
    return result(&a, 1);
}

/*
 * sweep(rows, columns, begin, width, min, max, threads, left, integers, errors, order, factor, units, scales | null): a block of
 * columns, and what it does to those after it; 0 where memory is short for the latter
 */
static napi_value call_sweep(napi_env env, napi_callback_info info)
{
    struct arguments a = arguments_of(env, info);
    struct la_sweep s;
    memset(&s, 0, sizeof s);
    s.rows = size(&a);
    s.columns = size(&a);
    s.begin = size(&a);
    s.width = size(&a);
    s.min = number(&a);
    s.max = number(&a);
    const size_t threads = size(&a);
    const double rows = (double)s.rows;
    const double columns = (double)s.columns;
    const double groups = (double)((s.columns + INTEGER_GROUP - 1) / INTEGER_GROUP);
    s.left = array(&a, FLOAT32, rows * columns, false);
    s.integers = array(&a, INT8, rows * columns, false);
    s.errors = array(&a, FLOAT32, rows * (double)s.width, false);
    s.order = array(&a, INT32, columns, false);
    s.factor = array(&a, FLOAT64, columns * columns, false);
    s.units = array(&a, FLOAT64, rows, false);
    s.scales = array(&a, INT8, rows * groups, true);
    if (s.begin + s.width > s.columns)
        a.failed = true;
    for (size_t i = 0; !a.failed && i < s.width; i++) {
        const int32_t column = s.order[s.begin + i];
        a.failed = column < 0 || (size_t)column >= s.columns;
    }
    if (!a.failed)
        la_sweep_block(&s, threads);
    return result(&a, a.failed ? 0 : la_spread(&s, threads));
}

/* What Node.js calls when it loads the library. */
napi_value napi_register_module_v1(napi_env env, napi_value exports);

napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
    static const struct {
        const char *name;
        napi_callback call;
    } functions[] = {
        {"matmul", call_matmul},          {"addGram", call_add_gram}, {"inverseFactor", call_inverse_factor},
        {"fitGroups", call_fit_groups},   {"sweep", call_sweep},
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        napi_value function = NULL;
        if (napi_create_function(env, functions[i].name, strlen(functions[i].name), functions[i].call, NULL, &function) !=
                0 ||
            napi_set_named_property(env, exports, functions[i].name, function) != 0)
            return NULL;
    }
    return exports;
}
