/*
 * em_plain_gates.h - gates of activations by a loop that is left to the compiler: their tables are looked up, for which few vector
 * units have an instruction.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_PLAIN_GATES_H
#define EM_PLAIN_GATES_H

#include "em_vector_types.h"

EM_INLINE void em_gates(const em_i32 *table, em_u32 step_bits, const em_i32 *values, em_i32 frac, em_i32 *out,
                        em_u32 count)
{
    for (em_u32 i = 0; i < count; i++) {
        out[i] = em_gate(table, step_bits, values[i], frac);
    }
}

#endif /* EM_PLAIN_GATES_H */
