/*
 * em_tokenizer_encode.c - text to token ids: added tokens, normalization, pieces, and the symbols they are made of.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_tokenizer_parts.h"

/* One call of em_tokenizer_encode. */
struct em_encoder {
    const struct em_tokenizer *t;
    em_u32 flags; /* EM_TOKENIZE_* */
    em_i32 *ids;
    em_u32 capacity;
    em_u32 count;              /* ids written */
    em_u32 limit;              /* bytes of `work`, and symbols at most */
    struct em_symbols symbols; /* its next, previous and ids follow each other in memory */
    em_u8 *work;               /* the text between two added tokens, normalized, behind a place for a prefix space */
    em_u32 first_bytes[2][8];  /* bitmaps of the bytes that added tokens start with: before, after normalization */
};

/* An added token in the text: [start, stop) with the white space that belongs to it. */
struct em_match {
    em_i32 id;
    em_u32 start;
    em_u32 stop;
};

static EM_NOINLINE em_status em_push_id(struct em_encoder *e, em_i32 id) {
    if ((em_u32)id >= e->t->rows) {
        return EM_E_TEXT; /* merging stopped at a token that the model has no row for */
    }
    if (e->count == e->capacity) {
        return EM_E_CAPACITY;
    }
    e->ids[e->count++] = id;
    return EM_OK;
}

static em_u32 em_is_sought(const struct em_encoder *e, const struct em_added_token *a, em_u32 round) {
    return ((a->flags & EM_ADDED_NORMALIZED) != 0) == round &&
           ((e->flags & EM_TOKENIZE_SPECIAL) != 0 || (a->flags & EM_ADDED_SPECIAL) == 0);
}

static void em_note_first_bytes(struct em_encoder *e) {
    for (em_u32 round = 0; round < 2; round++) {
        for (em_u32 i = 0; i < 8; i++) {
            e->first_bytes[round][i] = 0;
        }
        for (em_u32 i = 0; i < e->t->added_count; i++) {
            em_u32 byte = e->t->text[e->t->added[i].start];

            if (em_is_sought(e, &e->t->added[i], round)) {
                e->first_bytes[round][byte / 32] |= 1u << byte % 32;
            }
        }
    }
}

/* The longest added token at text[at], or null. */
static const struct em_added_token *em_added_at(const struct em_encoder *e, em_u32 round, const em_u8 *text, em_u32 at,
                                                em_u32 end) {
    if ((e->first_bytes[round][text[at] / 32] >> text[at] % 32 & 1u) == 0) {
        return EM_NULL;
    }
    for (em_u32 i = 0; i < e->t->added_count; i++) {
        const struct em_added_token *a = &e->t->added[i];
        const em_u8 *content = e->t->text + a->start;
        em_u32 same = 0;

        if (a->bytes > end - at || !em_is_sought(e, a, round)) {
            continue;
        }
        while (same < a->bytes && text[at + same] == content[same]) {
            same++;
        }
        if (same == a->bytes) {
            return a;
        }
    }
    return EM_NULL;
}

/* The first added token in text[from, end). Returns 0 if there is none. */
static EM_NOINLINE em_u32 em_find_added(const struct em_encoder *e, em_u32 round, const em_u8 *text, em_u32 from,
                                        em_u32 end, struct em_match *match) {
    em_u32 space_start = from; /* where the white space before `at` begins */

    for (em_u32 at = from, next; at < end; at = next) {
        const struct em_added_token *a = em_added_at(e, round, text, at, end);

        if (a != EM_NULL) {
            match->id = a->id;
            match->start = (a->flags & EM_ADDED_STRIP_LEFT) != 0 ? space_start : at;
            match->stop = at + a->bytes;
            while ((a->flags & EM_ADDED_STRIP_RIGHT) != 0 && match->stop < end) {
                if (!em_is_white_space(em_utf8_get(text, match->stop, end, &next))) {
                    break;
                }
                match->stop = next;
            }
            return 1;
        }
        if (!em_is_white_space(em_utf8_get(text, at, end, &next))) {
            space_start = next;
        }
    }
    return 0;
}

/* The token whose text is the piece, where pieces are looked up before they are merged; -1: none. */
static em_i32 em_find_word(const struct em_tokenizer *t, const em_u8 *piece, em_u32 bytes) {
    em_u32 low = 0, high = t->word_count;

    while (low < high) {
        em_u32 middle = low + (high - low) / 2;
        em_u32 id = t->words[middle];
        const em_u8 *word = t->text + t->text_ends[id];
        em_u32 word_bytes = t->text_ends[id + 1] - t->text_ends[id];
        em_u32 i = 0;

        while (i < word_bytes && i < bytes && word[i] == piece[i]) {
            i++;
        }
        if (i == word_bytes && i == bytes) {
            return (em_i32)id;
        }
        if (i < bytes && (i == word_bytes || word[i] < piece[i])) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return -1;
}

/* The token of a character, or -1. */
static em_i32 em_find_character(const struct em_tokenizer *t, em_u32 code) {
    em_u32 found = em_lower_bound(t->characters, 2, 0, t->character_count, code);

    return found < t->character_count && t->characters[found].code == code ? t->characters[found].id : -1;
}

/* Adds a token for work[at, end): `id`, or where that is -1 the tokens of its bytes, or the unknown token. */
static EM_NOINLINE em_status em_add_symbol(struct em_encoder *e, em_i32 id, em_u32 at, em_u32 end,
                                           em_u32 *after_unknown) {
    const struct em_tokenizer *t = e->t;
    struct em_symbols *s = &e->symbols;
    em_u32 unknown = 0;

    for (em_u32 i = at; id < 0 && i < end; i++) {
        unknown |= t->byte_ids[e->work[i]] < 0;
    }
    if (id >= 0) {
        s->ids[s->count++] = id;
    } else if (!unknown) {
        for (em_u32 i = at; i < end; i++) {
            s->ids[s->count++] = t->byte_ids[e->work[i]];
        }
    } else if (t->unknown < 0) {
        return EM_E_TEXT;
    } else if (!*after_unknown || (t->flags & EM_TOKENIZER_FUSES_UNKNOWN) == 0) {
        s->ids[s->count++] = t->unknown;
    }
    *after_unknown = unknown;
    return EM_OK;
}

/* Sets e->symbols to what merging of work[start, end) starts from: characters where they have a token, else bytes. */
static em_status em_start_symbols(struct em_encoder *e, em_u32 start, em_u32 end) {
    em_u32 by_bytes = e->t->flags & EM_TOKENIZER_FROM_BYTES;
    em_u32 after_unknown = 0;
    em_status status = EM_OK;

    e->symbols.count = 0;
    for (em_u32 at = start, next; at < end && status == EM_OK; at = next) {
        em_u32 code = em_utf8_get(e->work, at, end, &next);
        em_i32 id = by_bytes ? -1 : em_find_character(e->t, code);

        next = by_bytes ? at + 1 : next;
        status = em_add_symbol(e, id, at, next, &after_unknown);
    }
    return status;
}

/* Sets e->symbols to the tokens of work[start, end) with the highest sum of scores. */
static em_status em_best_symbols(struct em_encoder *e, em_u32 start, em_u32 end) {
    em_u32 bytes = end - start, at = start;
    em_u32 first = em_best_path(e->t, &e->symbols, e->work + start, bytes);
    em_u32 after_unknown = 0;
    em_status status = EM_OK;

    e->symbols.count = 0;
    for (; first < bytes && status == EM_OK; first++) { /* ids are read at the end of a token before they are written */
        em_u32 next = e->symbols.next[first];

        status = em_add_symbol(e, e->symbols.ids[next - 1], at, start + next, &after_unknown);
        at = start + next;
    }
    return status;
}

/* Token ids of the piece work[start, end). */
static em_status em_encode_piece(struct em_encoder *e, em_u32 start, em_u32 end) {
    em_status status;

    if ((e->t->flags & EM_TOKENIZER_UNIGRAM) != 0) {
        status = em_best_symbols(e, start, end);
    } else {
        em_i32 word = em_find_word(e->t, e->work + start, end - start);

        if (word >= 0) {
            return em_push_id(e, word);
        }
        status = em_start_symbols(e, start, end);
        if (status == EM_OK) {
            em_merge_symbols(e->t, &e->symbols);
        }
    }
    for (em_u32 i = 0; i < e->symbols.count && status == EM_OK; i++) {
        status = em_push_id(e, e->symbols.ids[i]);
    }
    return status;
}

static em_u32 em_wants_prefix(const struct em_encoder *e, em_u32 start, em_u32 end, em_u32 is_first) {
    em_u32 next, code;

    if (e->t->prefix <= EM_PREFIX_ALWAYS) {
        return e->t->prefix;
    }
    if (e->t->prefix == EM_PREFIX_FIRST_UNLESS_THERE && !is_first) {
        return 0;
    }
    code = em_utf8_get(e->work, start, end, &next);
    return code != ' ' && (code != EM_SPACE_MARK || (e->t->flags & EM_TOKENIZER_FROM_BYTES) != 0);
}

/* Token ids of work[start, end), which holds no added token. work[start - 1] is free for a prefix space. */
static em_status em_encode_section(struct em_encoder *e, em_u32 start, em_u32 end, em_u32 is_first) {
    em_status status = EM_OK;

    if (em_wants_prefix(e, start, end, is_first)) {
        e->work[--start] = ' ';
    }
    while (start < end && status == EM_OK) {
        em_u32 part_end = em_part_end(e->t, e->work, start, end);

        while (start < part_end && status == EM_OK) {
            em_u32 piece_end = em_piece_end(e->t, e->work, start, part_end);

            status = em_encode_piece(e, start, piece_end);
            start = piece_end;
        }
    }
    return status;
}

/* Normalizes the text between two added tokens into `work`, and cuts out the added tokens that are normalized too. */
static em_status em_encode_between(struct em_encoder *e, const em_u8 *text, em_u32 bytes, em_u32 is_first) {
    em_status status = EM_OK;
    em_u32 used = bytes;
    em_u32 at = 1;

    if ((e->t->flags & EM_TOKENIZER_NORMALIZES) != 0) {
        status = em_normalize_nfc(e->t, text, bytes, e->symbols.next, 2 * e->limit, e->symbols.heap, e->work + 1,
                                  e->limit - 1, &used);
    } else if (e->t->map_unit_count != 0) {
        status = em_map_strings(e->t, text, bytes, e->work + 1, e->limit - 1, &used);
    } else {
        for (em_u32 i = 0; i < bytes; i++) {
            e->work[1 + i] = text[i];
        }
    }
    used = status == EM_OK ? em_settle_spaces(e->t, e->work + 1, used) : 0;
    while (at < used + 1 && status == EM_OK) {
        struct em_match match = {0, used + 1, used + 1};
        em_u32 found = em_find_added(e, 1, e->work, at, used + 1, &match);

        if (match.start > at) {
            status = em_encode_section(e, at, match.start, is_first && at == 1);
        }
        if (found && status == EM_OK) {
            status = em_push_id(e, match.id);
        }
        at = match.stop;
    }
    return status;
}

/* Symbols and bytes of work memory that a text can need. */
static em_u64 em_work_limit(const struct em_tokenizer *t, em_u64 text_bytes) {
    return text_bytes * t->growth + 1;
}

em_u64 em_tokenizer_scratch(const struct em_tokenizer *t, em_u64 text_bytes) {
    em_u64 limit = em_work_limit(t, text_bytes < EM_TEXT_BYTES_MAX ? text_bytes : EM_TEXT_BYTES_MAX);

    return (limit * (2 * sizeof(em_u64) + 3 * sizeof(em_u32) + 1) + 7) & ~(em_u64)7;
}

em_status em_tokenizer_encode(const struct em_tokenizer *t, const char *text, em_u64 text_bytes, em_u32 flags,
                              em_i32 *ids, em_u32 capacity, em_u32 *count, void *scratch, em_u64 scratch_bytes) {
    const em_u8 *bytes = (const em_u8 *)text;
    em_u32 end = (em_u32)text_bytes;
    em_status status = EM_OK;
    struct em_encoder e;

    if (t == EM_NULL || count == EM_NULL || scratch == EM_NULL || (ids == EM_NULL && capacity != 0) ||
        (text == EM_NULL && text_bytes != 0) || text_bytes > EM_TEXT_BYTES_MAX || ((em_uptr)scratch & 7u) != 0) {
        return EM_E_ARGUMENT;
    }
    *count = 0;
    if (scratch_bytes < em_tokenizer_scratch(t, text_bytes)) {
        return EM_E_CAPACITY;
    }
    e.t = t;
    e.flags = flags;
    e.ids = ids;
    e.capacity = capacity;
    e.count = 0;
    e.limit = (em_u32)em_work_limit(t, text_bytes);
    e.symbols.heap = (em_u64 *)scratch;
    e.symbols.next = (em_u32 *)(e.symbols.heap + 2 * (em_u64)e.limit);
    e.symbols.previous = e.symbols.next + e.limit;
    e.symbols.ids = (em_i32 *)(e.symbols.previous + e.limit);
    e.symbols.count = 0;
    e.work = (em_u8 *)(e.symbols.ids + e.limit);
    em_note_first_bytes(&e);
    if ((flags & EM_TOKENIZE_BOS) != 0 && t->bos >= 0) {
        status = em_push_id(&e, t->bos);
    }
    for (em_u32 at = 0; at < end && status == EM_OK;) {
        struct em_match match = {0, end, end};
        em_u32 found = em_find_added(&e, 0, bytes, at, end, &match);

        if (match.start > at) {
            status = em_encode_between(&e, bytes + at, match.start - at, at == 0);
        }
        if (found && status == EM_OK) {
            status = em_push_id(&e, match.id);
        }
        at = match.stop;
    }
    *count = e.count;
    return status;
}
