/*
 * float32 vectors of VEC_QUADS groups of four lanes. A group holds a sum of WebAssembly's f32x4, so that results equal those of
 * codegen/calibrate/wasm to the last bit, however wide vectors are. Compiled with -ffp-contract=off: a fused multiplication and
 * addition would round once instead of twice. Vectors of 512 bits were no faster than of 256 (Zen 4).
 */
#ifndef VECTORS_H
#define VECTORS_H

#include <string.h>

#if defined(__AVX__)
#include <immintrin.h>
#endif

typedef float quad __attribute__((vector_size(16)));

#if defined(__AVX__)
#define VEC_QUADS 2
typedef float vec __attribute__((vector_size(32)));
/* The same four numbers in every group. */
static inline vec vec_repeat(const float *p)
{
    return (vec)_mm256_broadcast_ps((const __m128 *)p);
}
/* Lanes 0 and 2 of every group of a, then those of b; vec_odd: lanes 1 and 3. */
static inline vec vec_even(vec a, vec b)
{
    return (vec)_mm256_shuffle_ps((__m256)a, (__m256)b, 0x88);
}
static inline vec vec_odd(vec a, vec b)
{
    return (vec)_mm256_shuffle_ps((__m256)a, (__m256)b, 0xdd);
}
/* Keeps a vector in a register where gcc would rather load it again for every use. */
#define VEC_HELD(v) __asm__("" : "+x"(v))
#else
#define VEC_QUADS 1
typedef quad vec;
static inline vec vec_repeat(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline vec vec_even(vec a, vec b)
{
    return (vec){a[0], a[2], b[0], b[2]};
}
static inline vec vec_odd(vec a, vec b)
{
    return (vec){a[1], a[3], b[1], b[3]};
}
#define VEC_HELD(v) (void)(v)
#endif

/* Each group of the result: the four numbers (v[0] + v[1]) + (v[2] + v[3]) of that group of a, b, c and d. */
static inline vec vec_sum_lanes(vec a, vec b, vec c, vec d)
{
    const vec ab = vec_even(a, b) + vec_odd(a, b);
    const vec cd = vec_even(c, d) + vec_odd(c, d);
    return vec_even(ab, cd) + vec_odd(ab, cd);
}

static inline vec vec_load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline quad quad_load(const float *p)
{
    quad v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The lanes of a group added up as sumLanes of wasm/matmul.ts does. */
static inline float quad_sum(quad v)
{
    return (v[0] + v[1]) + (v[2] + v[3]);
}

#endif
