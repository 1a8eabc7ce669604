/*
 * em_tokenizer.c - opening a tokenizer table: every check that makes using it safe.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_tokenizer.h"

#define EM_TABLE_MAGIC 0x4b544d45u /* "EMTK" */
#define EM_TABLE_VERSION 2u

/* The parts of the directory, in their order. */
enum {
    EM_PART_TEXT_ENDS,
    EM_PART_TEXT,
    EM_PART_SILENT,
    EM_PART_BYTE_IDS,
    EM_PART_CHARACTERS,
    EM_PART_MERGE_ROWS,
    EM_PART_MERGES,
    EM_PART_WORDS,
    EM_PART_ADDED,
    EM_PART_CLASS_INDEX,
    EM_PART_CLASS_PAGES,
    EM_PART_COMBINING,
    EM_PART_DECOMPOSITIONS,
    EM_PART_PARTS,
    EM_PART_COMPOSITIONS,
    EM_PART_SCORES,
    EM_PART_MAP_UNITS,
    EM_PART_MAP_TEXTS,
    EM_PART_COUNT
};

struct em_table_header {
    em_u32 magic;
    em_u32 version;
    em_u32 bytes; /* of the whole table */
    em_u32 flags;
    em_u32 pattern;
    em_u32 digits_per_piece;
    em_u32 digits;
    em_u32 prefix;
    em_u32 vocabulary;
    em_i32 unknown;
    em_i32 bos;
    em_u32 longest;
    em_i32 unknown_score;
    em_u32 growth;
    em_u32 rows;
    struct {
        em_u32 offset; /* in bytes, from the start of the table */
        em_u32 count;  /* of elements */
    } parts[EM_PART_COUNT];
};

/* Bytes of an element of each part. */
static const em_u8 em_element_bytes[EM_PART_COUNT] = {4, 1, 1, 4, 8, 4, 12, 4, 16, 1, 1, 4, 8, 4, 12, 4, 4, 1};

static em_u32 em_is_id(em_i64 id, em_u32 vocabulary) {
    return id >= 0 && id < (em_i64)vocabulary;
}

static em_u32 em_is_id_or_none(em_i64 id, em_u32 vocabulary) {
    return id >= -1 && id < (em_i64)vocabulary;
}

static em_u32 em_is_score(em_i32 score) {
    return score >= -EM_SCORE_MAX && score <= EM_SCORE_MAX;
}

/* Offsets that divide `total` elements into rows: ascending, none beyond the end. */
static em_u32 em_are_rows(const em_u32 *rows, em_u32 count, em_u32 total) {
    em_u32 previous = 0;

    for (em_u32 i = 0; i < count; i++) {
        if (rows[i] < previous || rows[i] > total) {
            return 0;
        }
        previous = rows[i];
    }
    return 1;
}

/* Header and directory: every part lies within the table and has the size that others count on. */
static em_u32 em_header_fits(const struct em_table_header *h, em_u64 bytes) {
    em_u32 vocabulary = h->vocabulary;

    if (h->magic != EM_TABLE_MAGIC || h->version != EM_TABLE_VERSION || h->bytes > bytes || h->bytes < sizeof(*h)) {
        return 0;
    }
    for (em_u32 i = 0; i < EM_PART_COUNT; i++) {
        em_u64 end = (em_u64)h->parts[i].offset + (em_u64)h->parts[i].count * em_element_bytes[i];

        if ((h->parts[i].offset & 7u) != 0 || h->parts[i].offset < sizeof(*h) || end > h->bytes) {
            return 0;
        }
    }
    return vocabulary != 0 && h->rows != 0 && h->rows <= vocabulary &&
           h->parts[EM_PART_TEXT_ENDS].count == (em_u64)vocabulary + 1 &&
           h->parts[EM_PART_MERGE_ROWS].count == (em_u64)vocabulary + 1 &&
           h->parts[EM_PART_SILENT].count == ((em_u64)vocabulary + 7) / 8 && h->parts[EM_PART_BYTE_IDS].count == 256 &&
           h->pattern <= EM_PATTERN_WORDS && (h->pattern != EM_PATTERN_CL100K || h->digits_per_piece != 0) &&
           h->digits <= EM_DIGITS_RUNS && h->prefix <= EM_PREFIX_FIRST_UNLESS_THERE &&
           em_is_id_or_none(h->unknown, vocabulary) && em_is_id_or_none(h->bos, vocabulary) && h->growth != 0 &&
           h->growth <= EM_GROWTH_MAX && em_is_score(h->unknown_score) &&
           h->parts[EM_PART_SCORES].count == ((h->flags & EM_TOKENIZER_UNIGRAM) != 0 ? vocabulary : 0);
}

static const void *em_part(const struct em_table_header *h, em_u32 part) {
    return (const em_u8 *)h + h->parts[part].offset;
}

/* Every id and index in the parts that encoding and decoding walk. */
static em_u32 em_ids_fit(const struct em_tokenizer *t, const struct em_table_header *h) {
    em_u32 text_bytes = h->parts[EM_PART_TEXT].count;
    em_u32 merge_count = h->parts[EM_PART_MERGES].count;

    if (!em_are_rows(t->text_ends, t->vocabulary + 1, text_bytes) ||
        !em_are_rows(t->merge_rows, t->vocabulary + 1, merge_count)) {
        return 0;
    }
    for (em_u32 i = 0; i < t->vocabulary; i++) {
        if (t->text_ends[i + 1] - t->text_ends[i] > t->longest) {
            return 0;
        }
    }
    for (em_u32 i = 0; i < 256; i++) {
        if (!em_is_id_or_none(t->byte_ids[i], t->vocabulary)) {
            return 0;
        }
    }
    for (em_u32 i = 0; i < t->character_count; i++) {
        if (!em_is_id(t->characters[i].id, t->vocabulary)) {
            return 0;
        }
    }
    for (em_u32 i = 0; i < merge_count; i++) {
        if (t->merges[i].merged >= t->vocabulary) {
            return 0;
        }
    }
    for (em_u32 i = 0; i < t->word_count; i++) {
        if (t->words[i] >= t->vocabulary) {
            return 0;
        }
    }
    for (em_u32 i = 0; i < h->parts[EM_PART_SCORES].count; i++) {
        if (!em_is_score(t->scores[i])) {
            return 0;
        }
    }
    for (em_u32 i = 0; i < t->added_count; i++) {
        const struct em_added_token *a = &t->added[i];

        if (!em_is_id(a->id, t->vocabulary) || a->bytes == 0 || (em_u64)a->start + a->bytes > text_bytes) {
            return 0;
        }
    }
    return 1;
}

/* Indexes within the Unicode data. */
static em_u32 em_unicode_fits(const struct em_tokenizer *t, const struct em_table_header *h) {
    em_u32 page_count = h->parts[EM_PART_CLASS_PAGES].count / 64;

    for (em_u32 i = 0; i < t->class_index_count; i++) {
        if (t->class_index[i] >= page_count) {
            return 0;
        }
    }
    for (em_u32 i = 0; i < t->decomposition_count; i++) {
        em_u32 parts = t->decompositions[i].parts;

        if ((em_u64)(parts >> 3) + (parts & 7u) > h->parts[EM_PART_PARTS].count) {
            return 0;
        }
    }
    return 1;
}

em_status em_tokenizer_open(struct em_tokenizer *t, const void *table, em_u64 bytes) {
    const struct em_table_header *h = (const struct em_table_header *)table;
    struct em_tokenizer opened;

    if (t == EM_NULL || table == EM_NULL) {
        return EM_E_ARGUMENT;
    }
    if (((em_uptr)table & 7u) != 0 || bytes < sizeof(*h) || !em_header_fits(h, bytes)) {
        return EM_E_TOKENIZER;
    }
    opened.flags = h->flags;
    opened.pattern = h->pattern;
    opened.digits_per_piece = h->digits_per_piece;
    opened.digits = h->digits;
    opened.prefix = h->prefix;
    opened.vocabulary = h->vocabulary;
    opened.rows = h->rows;
    opened.unknown = h->unknown;
    opened.bos = h->bos;
    opened.longest = h->longest;
    opened.unknown_score = h->unknown_score;
    opened.growth = h->growth;
    opened.text_ends = em_part(h, EM_PART_TEXT_ENDS);
    opened.text = em_part(h, EM_PART_TEXT);
    opened.silent = em_part(h, EM_PART_SILENT);
    opened.byte_ids = em_part(h, EM_PART_BYTE_IDS);
    opened.characters = em_part(h, EM_PART_CHARACTERS);
    opened.character_count = h->parts[EM_PART_CHARACTERS].count;
    opened.merge_rows = em_part(h, EM_PART_MERGE_ROWS);
    opened.merges = em_part(h, EM_PART_MERGES);
    opened.words = em_part(h, EM_PART_WORDS);
    opened.word_count = h->parts[EM_PART_WORDS].count;
    opened.added = em_part(h, EM_PART_ADDED);
    opened.added_count = h->parts[EM_PART_ADDED].count;
    opened.class_index = em_part(h, EM_PART_CLASS_INDEX);
    opened.class_index_count = h->parts[EM_PART_CLASS_INDEX].count;
    opened.class_pages = em_part(h, EM_PART_CLASS_PAGES);
    opened.combining = em_part(h, EM_PART_COMBINING);
    opened.combining_count = h->parts[EM_PART_COMBINING].count;
    opened.decompositions = em_part(h, EM_PART_DECOMPOSITIONS);
    opened.decomposition_count = h->parts[EM_PART_DECOMPOSITIONS].count;
    opened.parts = em_part(h, EM_PART_PARTS);
    opened.compositions = em_part(h, EM_PART_COMPOSITIONS);
    opened.composition_count = h->parts[EM_PART_COMPOSITIONS].count;
    opened.scores = em_part(h, EM_PART_SCORES);
    opened.map_units = em_part(h, EM_PART_MAP_UNITS);
    opened.map_unit_count = h->parts[EM_PART_MAP_UNITS].count;
    opened.map_texts = em_part(h, EM_PART_MAP_TEXTS);
    opened.map_text_bytes = h->parts[EM_PART_MAP_TEXTS].count;
    if (!em_ids_fit(&opened, h) || !em_unicode_fits(&opened, h)) {
        return EM_E_TOKENIZER;
    }
    *t = opened;
    return EM_OK;
}
