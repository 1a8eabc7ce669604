/*
 * em_linear.h - kernel set "neon": matrix times int8 activations for Armv8-A without dot product instructions (Cortex-A72).
 *
 * The instruction that counts is smlal: eight products of int8, added to int16 lanes, one a cycle.
 *
 * Layout "columns32" (code 8). A matrix is one section of the blob, its parts 64-byte aligned, rows padded with zeros to whole tiles
 * of 32:
 *
 *   weights      w4, w5, w6: tiles as em_grouped.h has them, sub-scales among the weights; w8: tiles as em_w8.h has them;
 *                w16: int16[rows][columns], not padded
 *   scales       uint16[tiles * 32]: row multipliers (em_linear_op.h)
 *
 * Everything is read once and in the order in which it lies. Tokens of a batch go through a tile two at a time.
 * Bounds: em_grouped.h, em_w8.h; sums beyond int32 are brought back by accumulator_shift, which the packer proves.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_LINEAR_H
#define EM_LINEAR_H

#include "em_tiled_rows.h"

#endif /* EM_LINEAR_H */
