/*
 * sections.c - em_forward and em_head of the library: in sections by vector.c, or outside of them by plain.c.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include "sections.h"

#include <asm/simd.h>
#include <linux/atomic.h>
#include <linux/ktime.h>
#include <linux/sched.h>

#include "em_model.h"
#include "engines.h"
#include "generation.h"

#ifdef CONFIG_X86
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#define em_vectors_begin kernel_fpu_begin
#define em_vectors_end kernel_fpu_end
#else
#include <asm/cpufeature.h>
#include <asm/hwcap.h>
#include <asm/neon.h>
#define em_vectors_begin kernel_neon_begin
#define em_vectors_end kernel_neon_end
#endif

static bool em_vectors_allowed;
static atomic64_t em_longest_ns = ATOMIC64_INIT(0);

static bool em_processor_fits(void)
{
#ifdef CONFIG_X86
    return boot_cpu_has(X86_FEATURE_AVX2) && cpu_has_xfeatures(XFEATURE_MASK_SSE | XFEATURE_MASK_YMM, NULL);
#else
    return cpu_have_named_feature(ASIMD);
#endif
}

void em_sections_allow(bool allowed)
{
    em_vectors_allowed = allowed && em_processor_fits();
}

bool em_sections_usable(void)
{
    return em_vectors_allowed && may_use_simd();
}

u64 em_sections_longest_ns(void)
{
    return (u64)atomic64_read(&em_longest_ns);
}

static void em_section_begin(struct em_sections *sections)
{
    em_vectors_begin();
    sections->inside = true;
    sections->start_ns = ktime_get_ns();
}

static void em_section_end(struct em_sections *sections)
{
    s64 ns = (s64)(ktime_get_ns() - sections->start_ns);
    s64 longest = atomic64_read(&em_longest_ns);

    sections->inside = false;
    em_vectors_end();
    while (ns > longest && !atomic64_try_cmpxchg(&em_longest_ns, &longest, ns)) {
    }
}

void em_sections_pause(struct em_sections *sections)
{
    if (sections->inside) {
        em_section_end(sections);
        cond_resched();
        em_section_begin(sections);
    }
}

void em_forward(struct em_model *m, const em_i32 *ids, em_u32 tokens)
{
    struct em_generation *generation = m->pool;

    if (!generation->sections.wanted) {
        em_forward_plain(m, ids, tokens);
        return;
    }
    em_section_begin(&generation->sections);
    em_forward_vector(m, ids, tokens);
    em_section_end(&generation->sections);
}

void em_head(struct em_model *m, em_u32 token)
{
    struct em_generation *generation = m->pool;

    if (!generation->sections.wanted) {
        em_head_plain(m, token);
        return;
    }
    em_section_begin(&generation->sections);
    em_head_vector(m, token);
    em_section_end(&generation->sections);
}
