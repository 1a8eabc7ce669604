/*
 * em_tokenizer_parts.h - what the files of the tokenizer share with each other and with nothing else.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_TOKENIZER_PARTS_H
#define EM_TOKENIZER_PARTS_H

#include "em_tokenizer.h"

/* em_tokenizer_text.c */

/* Byte b that belongs to no UTF-8 sequence counts as the code point EM_DAMAGED_BYTE + b. */
#define EM_DAMAGED_BYTE 0x110000u

/*
 * The code point at text[at], at < end, and where it ends. Only whole sequences in shortest form within [at, end)
 * count; any other byte is a damaged one.
 */
em_u32 em_utf8_get(const em_u8 *text, em_u32 at, em_u32 end, em_u32 *next);

/* Writes the UTF-8 form of a code point, or the byte of a damaged one: 1 to 4 bytes. Returns how many. */
em_u32 em_utf8_put(em_u8 *text, em_u32 code);

/* The Unicode property White_Space. */
em_u32 em_is_white_space(em_u32 code);

/*
 * Index of the first record in [low, high) whose first word is not below key; high if there is none. Records have
 * `stride` words and ascend by the first.
 */
em_u32 em_lower_bound(const void *records, em_u32 stride, em_u32 low, em_u32 high, em_u32 key);

/* em_tokenizer_split.c */

/* Where the part of text[at, end), at < end, ends that is to be cut further by em_piece_end: at digits, or at `end`. */
em_u32 em_part_end(const struct em_tokenizer *t, const em_u8 *text, em_u32 at, em_u32 end);

/* Where the first piece of the part text[at, end), at < end, ends. */
em_u32 em_piece_end(const struct em_tokenizer *t, const em_u8 *text, em_u32 at, em_u32 end);

/* em_tokenizer_merge.c */

/* A binary min-heap of keys. The caller has made sure that there is room, and that a heap is not empty when it pops. */
void em_heap_push(em_u64 *heap, em_u32 *count, em_u64 key);
em_u64 em_heap_pop(em_u64 *heap, em_u32 *count);

/* Memory for the symbols of a piece. */
struct em_symbols {
    em_u64 *heap;     /* [2 * limit] */
    em_u32 *next;     /* [limit] */
    em_u32 *previous; /* [limit] */
    em_i32 *ids;      /* [limit], valid ids */
    em_u32 count;     /* used */
};

/* Byte pair encoding: overwrites ids by the result and sets count. */
void em_merge_symbols(const struct em_tokenizer *t, struct em_symbols *symbols);

/* em_tokenizer_nfc.c */

/*
 * Normalization Form C of text[0, bytes) into out. codes: room for code_room code points; heap: for as many keys.
 * *out_bytes: how many were written. EM_E_TOKENIZER: not enough room, which means that the table is no Unicode data.
 */
em_status em_normalize_nfc(const struct em_tokenizer *t, const em_u8 *text, em_u32 bytes, em_u32 *codes,
                           em_u32 code_room, em_u64 *heap, em_u8 *out, em_u32 out_room, em_u32 *out_bytes);

/* em_tokenizer_map.c */

/* What SentencePiece writes for a space. */
#define EM_SPACE_MARK 0x2581u

/*
 * Replaces the strings of the map: text[0, bytes) into out. EM_E_TOKENIZER: not enough room, which means that the table
 * says too little of its growth.
 */
em_status em_map_strings(const struct em_tokenizer *t, const em_u8 *text, em_u32 bytes, em_u8 *out, em_u32 out_room,
                         em_u32 *out_bytes);

/* Trims, collapses and reads white space as the flags of the table have it, in place. Returns how many bytes stay. */
em_u32 em_settle_spaces(const struct em_tokenizer *t, em_u8 *text, em_u32 bytes);

/* em_tokenizer_unigram.c */

/*
 * The words with the highest sum of scores that together are the text (Viterbi 1967, as SentencePiece searches), of equal
 * sums the ones whose last is longest, and so on to the front: count of them from symbols->next[first] on, where each
 * ends. The token that ends at `end` is ids[end - 1], -1 for a character that no token has. Returns first; count is
 * bytes - first. bytes: at most the limit of the symbols.
 */
em_u32 em_best_path(const struct em_tokenizer *t, struct em_symbols *symbols, const em_u8 *text, em_u32 bytes);

#endif /* EM_TOKENIZER_PARTS_H */
