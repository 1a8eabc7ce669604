/*
 * em_lanes.h - several integers in one general register.
 *
 * A word holds the weights of four rows in four lanes of 16 bits, in each lane the bits of several columns. A field
 * masked out of a word, times a signed activation, is one product a lane. Negative products borrow from the lane
 * above, and that is harmless: sums of words are exact modulo 2^64, so lanes are right as soon as their true sums are
 * in [0, 2^16) again. Words therefore start at EM_LANE_CENTRE in every lane, and give the sums of at most 2^15 - 1 in
 * magnitude that are left on top of it.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_LANES_H
#define EM_LANES_H

#include "em_registers.h"

/* A 16-bit value in every lane. */
#define EM_FOUR_LANES(value) ((em_u64)(value) * 0x0001000100010001u)

/* Half of the range of a lane of 16 bits. */
#define EM_LANE_CENTRE 32768u

/* Lanes 0 and 2, as two lanes of 32 bits. */
#define EM_WIDE_LANES 0x0000ffff0000ffffu

/*
 * Half of the range of a lane of 32 bits, in both; the exclusive or with it turns a sum on top of it into a signed
 * one.
 */
#define EM_WIDE_CENTRE 0x8000000080000000u

#define EM_NARROW_CENTRE EM_FOUR_LANES(EM_LANE_CENTRE)

/*
 * em_multiply_by(x, bit, em_factor(a, bit)) is x >> bit times a for every lane, where only bits from `bit` on are set
 * in the lanes of x; bit in [8, 24], a of at most `bit` bits. RISC-V's mulhsu makes the shift superfluous; elsewhere an
 * upper half costs more than a shift.
 */
EM_INLINE em_i64 em_factor(em_i64 a, em_u32 bit)
{
#ifdef __riscv
    return (em_i64)((em_u64)a << (64u - bit));
#else
    (void)bit;
    return a;
#endif
}

EM_INLINE em_u64 em_multiply_by(em_u64 x, em_u32 bit, em_i64 factor)
{
#ifdef __riscv
    (void)bit;
    return em_multiply_high(factor, x);
#else
    return (x >> bit) * (em_u64)factor;
#endif
}

EM_INLINE em_u64 em_multiply_field(em_u64 x, em_u32 bit, em_i64 a)
{
    return em_multiply_by(x, bit, em_factor(a, bit));
}

/* Sums of words beyond 16 bits: of whole words modulo 2^64, and of their odd lanes as two lanes of 32 bits. */
struct em_wide_sum {
    em_u64 all;
    em_u64 odd;
};

/* Adds a word whose lanes are in [0, 2^16). */
EM_INLINE void em_add_wide(struct em_wide_sum *sum, em_u64 word)
{
    sum->all += word;
    sum->odd += (word >> 16) & EM_WIDE_LANES;
}

/* Sums of lanes 0 and 2. */
EM_INLINE em_u64 em_even_lanes(const struct em_wide_sum *sum)
{
    return sum->all - (sum->odd << 16);
}

#endif /* EM_LANES_H */
