/*
 * em_memory.h - map of the arena and of the blob, in bytes from their starts.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_MEMORY_H
#define EM_MEMORY_H

/*
 * Arena: 4672 bytes. Activation buffers share memory where their lives do not meet; "ops" are counted through
 * prologue (0..0), layer (..21) and head (..24).
 */
#define EM_AT_KEYS      1024u /* int8[2][2][16][4] */
#define EM_AT_VALUES    1280u /* int8[2][2][16][4] */
#define EM_AT_KEY_MAX   1536u /* int32[2][2][16] */
#define EM_AT_VALUE_MAX 1792u /* int32[2][2][16] */
#define EM_AT_SCORES    2048u /* int32[4][16], work memory of attention */
#define EM_AT_WEIGHTS   2304u /* int32[4][16], work memory of attention */
#define EM_AT_ORDER     2560u /* int32[12], work memory of sampling */
#define EM_AT_N8        2624u /* int8[tokens][16], scales, ops 2..24 */
#define EM_AT_Q         2944u /* int32[tokens][16], ops 3..10 */
#define EM_AT_ATT8      2944u /* int8[tokens][16], scales, ops 11..12 */
#define EM_AT_GATE      2944u /* int32[tokens][20], ops 16..18 */
#define EM_AT_H8        2944u /* int8[tokens][20], scales, ops 19..20 */
#define EM_AT_LOGITS    2944u /* int32[12], ops 24..24 */
#define EM_AT_ATT       3264u /* int32[tokens][16], ops 10..11 */
#define EM_AT_UP        3264u /* int32[tokens][20], ops 17..18 */
#define EM_AT_K         3520u /* int32[tokens][8], ops 4..10 */
#define EM_AT_H         3584u /* int32[tokens][20], ops 18..19 */
#define EM_AT_V         3648u /* int32[tokens][8], ops 5..10 */
#define EM_AT_X         3904u /* int32[tokens][16], ops 0..24 */
#define EM_AT_N         4160u /* int32[tokens][16], ops 1..24 */
#define EM_AT_Y         4416u /* int32[tokens][16], ops 12..21 */

/* Positions that the KV cache has memory for: the context in whole blocks of the kernel set. */
#define EM_CACHE_POSITIONS 16u

/* Blob: tables that are not part of one op's constants. */
#define EM_ROPE_OFFSET 11904u /* int16[16][4], Q14 */

#endif /* EM_MEMORY_H */
