/*
 * em_tokenizer_split.c - pre-tokenizers: the expressions of GPT-2 and its successors as scanners, linear in the text.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_tokenizer_parts.h"

#define EM_CLASS_OTHER 0u
#define EM_CLASS_LETTER 1u /* \p{L} */
#define EM_CLASS_NUMBER 2u /* \p{N} */
#define EM_CLASS_SPACE 3u  /* \s, the property White_Space */
#define EM_CLASS_END 4u    /* behind the end of the text */

#define EM_RUN_ANY 0xffffffffu

struct em_character {
    em_u32 code;
    em_u32 kind; /* EM_CLASS_* */
    em_u32 end;  /* where the next one starts */
};

static em_u32 em_class_of(const struct em_tokenizer *t, em_u32 code) {
    em_u32 page = code >> 8;
    em_u32 bits;

    if (em_is_white_space(code)) {
        return EM_CLASS_SPACE;
    }
    if (page >= t->class_index_count) {
        return EM_CLASS_OTHER;
    }
    bits = t->class_pages[t->class_index[page] * 64u + (code & 0xffu) / 4];
    return bits >> (code & 3u) * 2 & 3u;
}

static EM_NOINLINE struct em_character em_character_at(const struct em_tokenizer *t, const em_u8 *text, em_u32 at,
                                                       em_u32 end) {
    struct em_character c = {EM_DAMAGED_BYTE, EM_CLASS_END, end};

    if (at < end) {
        c.code = em_utf8_get(text, at, end, &c.end);
        c.kind = em_class_of(t, c.code);
    }
    return c;
}

static em_u32 em_is_newline(em_u32 code) {
    return code == '\n' || code == '\r';
}

/* Where a run of at most `most` characters of one class ends that starts at `at`. */
static EM_NOINLINE em_u32 em_run_end(const struct em_tokenizer *t, const em_u8 *text, em_u32 at, em_u32 end,
                                     em_u32 kind, em_u32 most) {
    for (; most != 0; most--) {
        struct em_character c = em_character_at(t, text, at, end);

        if (c.kind != kind) {
            break;
        }
        at = c.end;
    }
    return at;
}

em_u32 em_part_end(const struct em_tokenizer *t, const em_u8 *text, em_u32 at, em_u32 end) {
    struct em_character c;

    if (t->digits == EM_DIGITS_NONE) {
        return end;
    }
    c = em_character_at(t, text, at, end);
    if (c.kind == EM_CLASS_NUMBER) {
        return em_run_end(t, text, at, end, EM_CLASS_NUMBER, t->digits == EM_DIGITS_EACH ? 1 : EM_RUN_ANY);
    }
    while (c.kind != EM_CLASS_NUMBER && c.kind != EM_CLASS_END) {
        at = c.end;
        c = em_character_at(t, text, at, end);
    }
    return at;
}

/* ASCII letters fold to lower case where the expression says (?i:...). */
static em_u32 em_fold(em_u32 byte, em_u32 any_case) {
    return any_case && byte >= 'A' && byte <= 'Z' ? byte + 32 : byte;
}

/* Where one of 's 't 're 've 'm 'll 'd ends that starts at `at`, or `at`. */
static em_u32 em_contraction_end(const em_u8 *text, em_u32 at, em_u32 end, em_u32 any_case) {
    em_u32 a, b;

    if (text[at] != '\'' || end - at < 2) {
        return at;
    }
    a = em_fold(text[at + 1], any_case);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') {
        return at + 2;
    }
    b = end - at < 3 ? 0 : em_fold(text[at + 2], any_case);
    if ((b == 'e' && (a == 'r' || a == 'v')) || (a == 'l' && b == 'l')) {
        return at + 3;
    }
    /* The long s, U+017F, is an s to an expression that ignores case. */
    return any_case && a == 0xc5 && b == 0xbf ? at + 3 : at;
}

/*
 * \s+(?!\S)|\s+: white space leaves its last character to the word that follows, unless it has only that one.
 * With `lines` \s*[\r\n]+ goes before: up to the last newline of the run, if there is one.
 */
static em_u32 em_white_space_end(const struct em_tokenizer *t, const em_u8 *text, em_u32 at, em_u32 end, em_u32 lines) {
    struct em_character c = em_character_at(t, text, at, end);
    em_u32 stop = at, last_start = at, line_end = at;

    while (c.kind == EM_CLASS_SPACE) {
        last_start = stop;
        stop = c.end;
        if (em_is_newline(c.code)) {
            line_end = stop;
        }
        c = em_character_at(t, text, stop, end);
    }
    if (lines && line_end != at) {
        return line_end;
    }
    return stop < end && last_start > at ? last_start : stop;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static em_u32 em_gpt2_end(const struct em_tokenizer *t, const em_u8 *text, em_u32 at, em_u32 end) {
    struct em_character first = em_character_at(t, text, at, end);
    struct em_character second = em_character_at(t, text, first.end, end);
    struct em_character body = first.code == ' ' && second.kind != EM_CLASS_END ? second : first;

    if (body.kind == EM_CLASS_SPACE) {
        return em_white_space_end(t, text, at, end, 0);
    }
    return em_run_end(t, text, body.end, end, body.kind, EM_RUN_ANY);
}

/*
 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * with n = digits_per_piece
 */
static em_u32 em_cl100k_end(const struct em_tokenizer *t, const em_u8 *text, em_u32 at, em_u32 end) {
    struct em_character first = em_character_at(t, text, at, end);
    struct em_character second = em_character_at(t, text, first.end, end);

    if (first.kind == EM_CLASS_LETTER) {
        return em_run_end(t, text, first.end, end, EM_CLASS_LETTER, EM_RUN_ANY);
    }
    if (first.kind == EM_CLASS_NUMBER) {
        return em_run_end(t, text, at, end, EM_CLASS_NUMBER, t->digits_per_piece);
    }
    if (!em_is_newline(first.code) && second.kind == EM_CLASS_LETTER) {
        return em_run_end(t, text, second.end, end, EM_CLASS_LETTER, EM_RUN_ANY);
    }
    if (first.kind == EM_CLASS_OTHER || (first.code == ' ' && second.kind == EM_CLASS_OTHER)) {
        em_u32 stop = em_run_end(t, text, first.end, end, EM_CLASS_OTHER, EM_RUN_ANY);

        while (stop < end && em_is_newline(text[stop])) {
            stop++;
        }
        return stop;
    }
    return em_white_space_end(t, text, at, end, 1);
}

/* Before the next space or mark of one. */
static em_u32 em_word_end(const em_u8 *text, em_u32 at, em_u32 end) {
    em_u32 stop, next, code;

    em_utf8_get(text, at, end, &stop);
    while (stop < end) {
        code = em_utf8_get(text, stop, end, &next);
        if (code == ' ' || code == EM_SPACE_MARK) {
            break;
        }
        stop = next;
    }
    return stop;
}

em_u32 em_piece_end(const struct em_tokenizer *t, const em_u8 *text, em_u32 at, em_u32 end) {
    em_u32 contraction;

    if (t->pattern == EM_PATTERN_NONE) {
        return end;
    }
    if (t->pattern == EM_PATTERN_WORDS) {
        return em_word_end(text, at, end);
    }
    contraction = em_contraction_end(text, at, end, t->pattern == EM_PATTERN_CL100K);
    if (contraction > at) {
        return contraction;
    }
    return t->pattern == EM_PATTERN_GPT2 ? em_gpt2_end(t, text, at, end) : em_cl100k_end(t, text, at, end);
}
