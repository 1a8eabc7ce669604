/*
 * em_memory.h - map of the arena and of the blob, in bytes from their starts.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_MEMORY_H
#define EM_MEMORY_H

/*
 * Arena: 4288 bytes. Activation buffers share memory where their lives do not meet; "ops" are counted through
 * prologue (0..0), layer (..19) and head (..22).
 */
#define EM_AT_KEYS      1024u /* int8[2][2][10][4] */
#define EM_AT_VALUES    1216u /* int8[2][2][10][4] */
#define EM_AT_KEY_MAX   1408u /* int32[2][2][10] */
#define EM_AT_VALUE_MAX 1600u /* int32[2][2][10] */
#define EM_AT_SCORES    1792u /* int32[4][10], work memory of attention */
#define EM_AT_WEIGHTS   1984u /* int32[4][10], work memory of attention */
#define EM_AT_ORDER     2176u /* int32[12], work memory of sampling */
#define EM_AT_N8        2240u /* int8[tokens][16], scales, ops 2..22 */
#define EM_AT_Q         2560u /* int32[tokens][16], ops 3..8 */
#define EM_AT_ATT8      2560u /* int8[tokens][16], scales, ops 9..10 */
#define EM_AT_GATE      2560u /* int32[tokens][20], ops 14..16 */
#define EM_AT_H8        2560u /* int8[tokens][20], scales, ops 17..18 */
#define EM_AT_LOGITS    2560u /* int32[12], ops 22..22 */
#define EM_AT_ATT       2880u /* int32[tokens][16], ops 8..9 */
#define EM_AT_UP        2880u /* int32[tokens][20], ops 15..16 */
#define EM_AT_K         3136u /* int32[tokens][8], ops 4..8 */
#define EM_AT_H         3200u /* int32[tokens][20], ops 16..17 */
#define EM_AT_V         3264u /* int32[tokens][8], ops 5..8 */
#define EM_AT_X         3520u /* int32[tokens][16], ops 0..22 */
#define EM_AT_N         3776u /* int32[tokens][16], ops 1..22 */
#define EM_AT_Y         4032u /* int32[tokens][16], ops 10..19 */

/* Positions that the KV cache has memory for: the context in whole blocks of the kernel set. */
#define EM_CACHE_POSITIONS 10u

/* Blob: tables that are not part of one op's constants. */
#define EM_ROPE_OFFSET 8128u /* int16[10][4], Q14 */
#define EM_TOKENIZER_OFFSET 8256u
#define EM_TOKENIZER_BYTES 300u

#endif /* EM_MEMORY_H */
