/*
 * em_tokenizer_map.c - the normalization of SentencePiece: strings that are replaced, and white space.
 *
 * The strings are a double array (Aoe 1989; the layout of darts-clone): the step from node n by byte c goes to n ^ c, where
 * the low byte of the unit must be c; then the offset of the unit is xored in. A unit with bit 8 has a value there.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_tokenizer_parts.h"

#define EM_UNIT_HAS_VALUE 0x100u
#define EM_UNIT_LABEL 0x800000ffu
#define EM_UNIT_VALUE 0x7fffffffu

static em_u32 em_unit_offset(em_u32 unit) {
    return unit >> 10 << ((unit & 0x200u) >> 6);
}

/* Where the longest string of the map ends that starts at text[at], and what it becomes in *value; `at` if there is none. */
static em_u32 em_longest_string(const struct em_tokenizer *t, const em_u8 *text, em_u32 at, em_u32 end, em_u32 *value) {
    em_u32 node = em_unit_offset(t->map_units[0]);
    em_u32 found = at;

    for (; at < end && text[at] != 0; at++) {
        em_u32 unit;

        node ^= text[at];
        if (node >= t->map_unit_count || (t->map_units[node] & EM_UNIT_LABEL) != text[at]) {
            break;
        }
        unit = t->map_units[node];
        node ^= em_unit_offset(unit);
        if ((unit & EM_UNIT_HAS_VALUE) != 0 && node < t->map_unit_count) {
            *value = t->map_units[node] & EM_UNIT_VALUE;
            found = at + 1;
        }
    }
    return found;
}

em_status em_map_strings(const struct em_tokenizer *t, const em_u8 *text, em_u32 bytes, em_u8 *out, em_u32 out_room,
                         em_u32 *out_bytes) {
    em_u32 used = 0;

    for (em_u32 at = 0, next; at < bytes; at = next) {
        em_u32 value = 0;
        em_u32 end = em_longest_string(t, text, at, bytes, &value);
        const em_u8 *from = t->map_texts + (value < t->map_text_bytes ? value : 0);
        em_u32 room = out_room - used;
        em_u32 count = 0;

        next = end;
        if (end == at) { /* the character as it is */
            em_utf8_get(text, at, bytes, &next);
            from = text + at;
            count = next - at;
        } else {
            while (value + count < t->map_text_bytes && from[count] != 0) {
                count++;
            }
        }
        if (count > room) {
            return EM_E_TOKENIZER;
        }
        for (em_u32 i = 0; i < count; i++) {
            out[used++] = from[i];
        }
    }
    *out_bytes = used;
    return EM_OK;
}

em_u32 em_settle_spaces(const struct em_tokenizer *t, em_u8 *text, em_u32 bytes) {
    em_u32 kept = 0;
    em_u32 end = 0; /* behind the last character that is not trimmed */
    em_u32 in_run = 0;

    for (em_u32 at = 0, next; at < bytes; at = next) {
        em_u32 code = em_utf8_get(text, at, bytes, &next);
        em_u32 white = em_is_white_space(code);
        em_u32 trimmed = (t->flags & EM_TOKENIZER_TRIMS_WHITE) != 0 ? white : code == ' ';
        em_u32 collapsed = (white && (t->flags & EM_TOKENIZER_COLLAPSES_WHITE) != 0) ||
                           (code == ' ' && (t->flags & EM_TOKENIZER_COLLAPSES_SPACES) != 0);

        if (trimmed && end == 0 && (t->flags & EM_TOKENIZER_TRIMS_LEFT) != 0) {
            continue;
        }
        if (collapsed) {
            if (!in_run) {
                text[kept++] = ' ';
            }
        } else if (code == EM_SPACE_MARK && (t->flags & EM_TOKENIZER_READS_MARK) != 0) {
            /* A run of white space only parts words: before a mark the mark alone is the space. */
            if (in_run && (t->flags & EM_TOKENIZER_COLLAPSES_WHITE) != 0) {
                kept--;
            }
            text[kept++] = ' ';
        } else {
            for (em_u32 i = at; i < next; i++) {
                text[kept++] = text[i];
            }
        }
        in_run = collapsed;
        if (!trimmed) {
            end = kept;
        }
    }
    return (t->flags & EM_TOKENIZER_TRIMS_RIGHT) != 0 ? end : kept;
}
