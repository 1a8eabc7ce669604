/*
 * em_tokenizer_nfc.c - Unicode Normalization Form C (UAX #15): decompose, put marks in canonical order, compose.
 *
 * Data come from the table, except for Hangul syllables, which follow from arithmetic (Unicode, section 3.12). While a
 * text is worked on, the combining class of a code point stands in the top eight bits of its word.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_tokenizer_parts.h"

#define EM_CLASS_SHIFT 24
#define EM_CODE_MASK 0x1fffffu

#define EM_HANGUL_S 0xac00u
#define EM_HANGUL_L 0x1100u
#define EM_HANGUL_V 0x1161u
#define EM_HANGUL_T 0x11a7u
#define EM_HANGUL_L_COUNT 19u
#define EM_HANGUL_V_COUNT 21u
#define EM_HANGUL_T_COUNT 28u
#define EM_HANGUL_S_COUNT (EM_HANGUL_L_COUNT * EM_HANGUL_V_COUNT * EM_HANGUL_T_COUNT)

/* The code points of a text while it is normalized. */
struct em_codes {
    em_u32 *codes;
    em_u32 count;
    em_u32 room;
};

/* The canonical combining class: 0 for characters that start a sequence. */
static em_u32 em_combining_class(const struct em_tokenizer *t, em_u32 code) {
    em_u32 found = em_lower_bound(t->combining, 1, 0, t->combining_count, code << 8);

    return found < t->combining_count && t->combining[found] >> 8 == code ? t->combining[found] & 0xffu : 0;
}

/* Appends a code point with its class. Returns whether there was room. */
static EM_NOINLINE em_u32 em_append(const struct em_tokenizer *t, struct em_codes *c, em_u32 code) {
    if (c->count == c->room) {
        return 0;
    }
    c->codes[c->count++] = (code & EM_CODE_MASK) | em_combining_class(t, code) << EM_CLASS_SHIFT;
    return 1;
}

/* Appends the full canonical decomposition of a code point. */
static em_u32 em_decompose(const struct em_tokenizer *t, struct em_codes *c, em_u32 code) {
    em_u32 syllable = code - EM_HANGUL_S;
    em_u32 found;

    if (syllable < EM_HANGUL_S_COUNT) {
        em_u32 lv = syllable / EM_HANGUL_T_COUNT, tail = syllable % EM_HANGUL_T_COUNT;

        return em_append(t, c, EM_HANGUL_L + lv / EM_HANGUL_V_COUNT) &&
               em_append(t, c, EM_HANGUL_V + lv % EM_HANGUL_V_COUNT) &&
               (tail == 0 || em_append(t, c, EM_HANGUL_T + tail));
    }
    found = em_lower_bound(t->decompositions, 2, 0, t->decomposition_count, code);
    if (found < t->decomposition_count && t->decompositions[found].code == code) {
        const em_u32 *part = t->parts + (t->decompositions[found].parts >> 3);

        for (em_u32 i = 0; i < (t->decompositions[found].parts & 7u); i++) {
            if (!em_append(t, c, part[i])) {
                return 0;
            }
        }
        return 1;
    }
    return em_append(t, c, code);
}

/* Sorts each run of marks by class; marks of one class keep their order. heap: room for c->count keys. */
static void em_reorder(struct em_codes *c, em_u64 *heap) {
    for (em_u32 start = 0; start < c->count;) {
        em_u32 end = start;
        em_u32 in_order = 1;
        em_u32 keys = 0;

        for (; end < c->count && c->codes[end] >> EM_CLASS_SHIFT != 0; end++) {
            in_order &= end == start || c->codes[end - 1] >> EM_CLASS_SHIFT <= c->codes[end] >> EM_CLASS_SHIFT;
        }
        for (em_u32 i = start; !in_order && i < end; i++) { /* class, position, code point */
            em_u64 key = (em_u64)(c->codes[i] >> EM_CLASS_SHIFT) << 53 | (em_u64)i << 21;

            em_heap_push(heap, &keys, key | (c->codes[i] & EM_CODE_MASK));
        }
        for (em_u32 i = start; keys != 0; i++) {
            em_u64 key = em_heap_pop(heap, &keys);

            c->codes[i] = (em_u32)(key & EM_CODE_MASK) | (em_u32)(key >> 53) << EM_CLASS_SHIFT;
        }
        start = end + 1;
    }
}

/* What two code points compose to, or 0. */
static em_u32 em_compose_pair(const struct em_tokenizer *t, em_u32 first, em_u32 second) {
    em_u32 found, end;
    em_u32 l = first - EM_HANGUL_L, v = second - EM_HANGUL_V;
    em_u32 syllable = first - EM_HANGUL_S, tail = second - EM_HANGUL_T;

    if (l < EM_HANGUL_L_COUNT && v < EM_HANGUL_V_COUNT) {
        return EM_HANGUL_S + (l * EM_HANGUL_V_COUNT + v) * EM_HANGUL_T_COUNT;
    }
    if (syllable < EM_HANGUL_S_COUNT && syllable % EM_HANGUL_T_COUNT == 0 && tail != 0 && tail < EM_HANGUL_T_COUNT) {
        return first + tail;
    }
    end = em_lower_bound(t->compositions, 3, 0, t->composition_count, first + 1);
    found = em_lower_bound(t->compositions, 3, 0, end, first);
    while (found < end && t->compositions[found].second != second) {
        found++;
    }
    return found < end ? t->compositions[found].composite & EM_CODE_MASK : 0;
}

/* Composes each character with the last starter before it, unless a mark of its class or a starter stands between. */
static void em_compose(const struct em_tokenizer *t, struct em_codes *c) {
    em_u32 starter = 0, kept = 0;
    em_u32 has_starter = 0;

    for (em_u32 i = 0; i < c->count; i++) {
        em_u32 kind = c->codes[i] >> EM_CLASS_SHIFT;
        em_u32 last_kind = kept == 0 ? 0 : c->codes[kept - 1] >> EM_CLASS_SHIFT;

        if (has_starter && (kept - 1 == starter || (last_kind != 0 && last_kind < kind))) {
            em_u32 composite = em_compose_pair(t, c->codes[starter], c->codes[i] & EM_CODE_MASK);

            if (composite != 0) {
                c->codes[starter] = composite;
                continue;
            }
        }
        if (kind == 0) {
            starter = kept;
            has_starter = 1;
        }
        c->codes[kept++] = c->codes[i];
    }
    c->count = kept;
}

em_status em_normalize_nfc(const struct em_tokenizer *t, const em_u8 *text, em_u32 bytes, em_u32 *codes,
                           em_u32 code_room, em_u64 *heap, em_u8 *out, em_u32 out_room, em_u32 *out_bytes) {
    struct em_codes c = {codes, 0, code_room};
    em_u32 used = 0;

    for (em_u32 at = 0; at < bytes;) {
        if (!em_decompose(t, &c, em_utf8_get(text, at, bytes, &at))) {
            return EM_E_TOKENIZER;
        }
    }
    em_reorder(&c, heap);
    em_compose(t, &c);
    for (em_u32 i = 0; i < c.count; i++) {
        em_u8 form[4];
        em_u32 length = em_utf8_put(form, c.codes[i] & EM_CODE_MASK);

        if (length > out_room - used) {
            return EM_E_TOKENIZER;
        }
        for (em_u32 k = 0; k < length; k++) {
            out[used++] = form[k];
        }
    }
    *out_bytes = used;
    return EM_OK;
}
