/*
 * sections.h - vector registers in kernel mode: short stretches in which they belong to the model and not to user space.
 *
 * Where the module has kernels for vector registers (EM_VECTORS), the library's model.c is there twice: compiled for them, and for
 * general registers. Both read the same weights and have the same logits, bit for bit.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#ifndef EM_SECTIONS_H
#define EM_SECTIONS_H

#include <linux/types.h>

#include "names.h"

/* Of one model at a time. Zero it first. */
struct em_sections {
    bool wanted; /* run the next batch in sections */
    bool inside; /* in one now: no sleeping, no faults */
    u64 start_ns;
};

#if EM_VECTORS

/* `allowed`: the parameter simd. Vector registers are used if the processor has those that the module was compiled for. */
void em_sections_allow(bool allowed);

/* Whether sections may begin in this context. */
bool em_sections_usable(void);

/* Ends the section that is running, lets others run, and begins the next. Nothing where none is running. */
void em_sections_pause(struct em_sections *sections);

/* Of all sections since the module was loaded: how long the longest took. */
u64 em_sections_longest_ns(void);

#else

static inline void em_sections_allow(bool allowed)
{
}

static inline bool em_sections_usable(void)
{
    return false;
}

static inline void em_sections_pause(struct em_sections *sections)
{
}

static inline u64 em_sections_longest_ns(void)
{
    return 0;
}

#endif

#endif /* EM_SECTIONS_H */
