/*
 * em_tokenizer.h - text to token ids and back, from the tokenizer table of a blob.
 *
 * The table is one section of the blob, written by codegen/tokenizer/compile-tokenizer.ts, whose head comment defines
 * it field by field; the structs below are its elements. It is used in place and not trusted: em_tokenizer_open checks
 * every offset, count, index and id once, and nothing outside it is read afterwards, whatever it holds.
 *
 * Method: added tokens such as <|endoftext|> are cut out first; text between them is normalized, cut into pieces by the
 * pre-tokenizer, and each piece goes from bytes or characters to tokens by byte pair encoding (Sennrich et al. 2016):
 * of all neighbours that can merge the pair of lowest rank, of equals the leftmost, until none is left. O(n log n).
 * A Unigram vocabulary (Kudo 2018) has scores instead: a piece becomes the tokens with the highest sum.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_TOKENIZER_H
#define EM_TOKENIZER_H

#include "em.h"

/* Longest text, in bytes, that is encoded at a time. */
#define EM_TEXT_BYTES_MAX (1u << 28)

/* A character of the vocabulary. */
struct em_token_character {
    em_u32 code; /* code point */
    em_i32 id;
};

/* A merge; its left token is the row it stands in. */
struct em_token_merge {
    em_u32 right;
    em_u32 rank;   /* the lowest goes first */
    em_u32 merged; /* what the pair becomes */
};

/* A token that is found in the text before anything else is done with it. */
struct em_added_token {
    em_u32 start; /* its content is text[start, start + bytes) */
    em_u32 bytes;
    em_i32 id;
    em_u32 flags; /* EM_ADDED_* */
};

#define EM_ADDED_SPECIAL 1u     /* found only with EM_TOKENIZE_SPECIAL */
#define EM_ADDED_STRIP_LEFT 2u  /* white space before it belongs to it */
#define EM_ADDED_STRIP_RIGHT 4u /* white space behind it belongs to it */
#define EM_ADDED_NORMALIZED 8u  /* looked for after normalization */

/* The full canonical decomposition of a code point: parts & 7 code points, from em_tokenizer.parts[parts >> 3] on. */
struct em_decomposition {
    em_u32 code;
    em_u32 parts;
};

/* Two code points that compose to one. */
struct em_composition {
    em_u32 first;
    em_u32 second;
    em_u32 composite;
};

/* An opened table. Every pointer points into it. */
struct em_tokenizer {
    em_u32 flags;            /* EM_TOKENIZER_* */
    em_u32 pattern;          /* EM_PATTERN_* */
    em_u32 digits_per_piece; /* of EM_PATTERN_CL100K */
    em_u32 digits;           /* EM_DIGITS_*: cut before the pattern */
    em_u32 prefix;           /* EM_PREFIX_* */
    em_u32 vocabulary;       /* ids are below it, also of tokens that merging passes through */
    em_u32 rows;             /* ids that come out are below it */
    em_i32 unknown;          /* token of characters that have none, or -1 */
    em_i32 bos;              /* token put before a text, or -1 */
    em_i32 unknown_score;    /* of a character that is no token, in a Unigram vocabulary */
    em_u32 growth;           /* bytes that a byte of text may become by normalization, at most EM_GROWTH_MAX */
    em_u32 longest;          /* bytes of the longest text of a token: decoding one writes at most 3 * (longest + 1) */

    const em_u32 *text_ends; /* [vocabulary + 1]: text of token i is text[text_ends[i], text_ends[i + 1]) */
    const em_u8 *text;
    const em_u8 *silent;     /* one bit a token: decoding leaves it out */
    const em_i32 *byte_ids;  /* [256], -1 for none */
    const struct em_token_character *characters; /* ascending by code */
    em_u32 character_count;
    const em_u32 *merge_rows; /* [vocabulary + 1]: those of left token i are merges[merge_rows[i], merge_rows[i + 1]) */
    const struct em_token_merge *merges;
    const em_u32 *words; /* ids ascending by text: pieces that are not merged further; the tokens of a Unigram vocabulary */
    em_u32 word_count;
    const struct em_added_token *added; /* longest first */
    em_u32 added_count;
    const em_u8 *class_index; /* page of each 256 code points */
    em_u32 class_index_count;
    const em_u8 *class_pages; /* 64 bytes a page, two bits a code point: EM_CLASS_* */
    const em_u32 *combining;  /* code point x 256 + canonical combining class, ascending */
    em_u32 combining_count;
    const struct em_decomposition *decompositions; /* ascending by code */
    em_u32 decomposition_count;
    const em_u32 *parts;
    const struct em_composition *compositions; /* ascending by first, then second */
    em_u32 composition_count;
    const em_i32 *scores;    /* [vocabulary], magnitudes up to EM_SCORE_MAX; of a Unigram vocabulary */
    const em_u32 *map_units; /* double array of the strings that are replaced (em_tokenizer_map.c) */
    em_u32 map_unit_count;   /* 0 for no map */
    const em_u8 *map_texts;  /* what they become, each with a zero behind it */
    em_u32 map_text_bytes;
};

#define EM_TOKENIZER_FROM_BYTES 1u    /* merging starts from bytes, not from characters */
#define EM_TOKENIZER_NORMALIZES 2u    /* text is brought to Normalization Form C first */
#define EM_TOKENIZER_FUSES_UNKNOWN 4u /* unknown characters in a row are one token */
#define EM_TOKENIZER_STRIPS 8u        /* decoding drops a space at the very beginning */
#define EM_TOKENIZER_UNIGRAM 16u      /* text becomes the words with the highest sum of scores */
#define EM_TOKENIZER_TRIMS_LEFT 32u   /* spaces at the beginning of a text between added tokens are dropped */
#define EM_TOKENIZER_TRIMS_RIGHT 64u  /* and at its end */
#define EM_TOKENIZER_TRIMS_WHITE 128u /* all white space is trimmed, not spaces alone */
#define EM_TOKENIZER_COLLAPSES_SPACES 256u /* several spaces become one */
#define EM_TOKENIZER_COLLAPSES_WHITE 512u  /* any white space, one or more, becomes a space */
#define EM_TOKENIZER_READS_MARK 1024u      /* U+2581 is read as a space */

#define EM_GROWTH_MAX 15u
#define EM_SCORE_MAX (1 << 30)

#define EM_PATTERN_NONE 0u
#define EM_PATTERN_GPT2 1u
#define EM_PATTERN_CL100K 2u /* GPT-4, Llama 3, Qwen 2 */
#define EM_PATTERN_WORDS 3u  /* every space begins a piece */

#define EM_DIGITS_NONE 0u
#define EM_DIGITS_EACH 1u /* every digit is a piece */
#define EM_DIGITS_RUNS 2u /* runs of digits are pieces */

#define EM_PREFIX_NEVER 0u
#define EM_PREFIX_ALWAYS 1u
#define EM_PREFIX_UNLESS_THERE 2u       /* unless the text starts with a space */
#define EM_PREFIX_FIRST_UNLESS_THERE 3u /* the same, but only at the very beginning, not after an added token */

/*
 * Checks a table (aligned to 8), reading it once, and fills in *t. EM_E_TOKENIZER: damaged, or of another version; *t is
 * as before then.
 */
em_status em_tokenizer_open(struct em_tokenizer *t, const void *table, em_u64 bytes);

/* Bytes of scratch memory, aligned to 8, that em_tokenizer_encode needs for a text of that many bytes. */
em_u64 em_tokenizer_scratch(const struct em_tokenizer *t, em_u64 text_bytes);

/*
 * em_tokenize of an opened table. Bytes that are no UTF-8 are encoded as bytes. *count: how many ids were written, also
 * after an error. EM_E_CAPACITY: ids or scratch too small. EM_E_ARGUMENT: a null pointer, scratch not aligned, or more
 * than EM_TEXT_BYTES_MAX. EM_E_TEXT: no token for a character.
 */
em_status em_tokenizer_encode(const struct em_tokenizer *t, const char *text, em_u64 text_bytes, em_u32 flags,
                              em_i32 *ids, em_u32 capacity, em_u32 *count, void *scratch, em_u64 scratch_bytes);

/* em_detokenize of an opened table. After an error *state is as before and *text_bytes is 0. */
em_status em_tokenizer_decode(const struct em_tokenizer *t, struct em_text_state *state, em_i32 id, char *text,
                              em_u32 capacity, em_u32 *text_bytes);

/* em_detokenize_end: U+FFFD if a sequence is unfinished. Zeroes *state. */
em_status em_tokenizer_decode_end(struct em_text_state *state, char *text, em_u32 capacity, em_u32 *text_bytes);

#endif /* EM_TOKENIZER_H */
