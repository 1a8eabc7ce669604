/*
 * em_tokenizer_decode.c - token ids to text, one by one.
 *
 * A byte sequence that can never become UTF-8 comes out as U+FFFD, one for each maximal part of a sequence, as the
 * Encoding standard (UTF-8 decoder) and Unicode, section 3.9, have it.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_tokenizer.h"

/* Where decoded text goes. */
struct em_text_out {
    em_u8 *text;
    em_u32 capacity;
    em_u32 bytes; /* written; more than capacity once it did not fit */
    em_u32 strip; /* a space as the very first character is dropped */
};

/* Writes a whole sequence, and drops a space at the very beginning. */
static EM_NOINLINE void em_put_text(struct em_text_out *out, struct em_text_state *state, const em_u8 *sequence,
                                    em_u32 bytes) {
    em_u32 dropped = out->strip && !state->started && sequence[0] == ' ';

    state->started = 1;
    if (dropped || out->bytes > out->capacity) {
        return;
    }
    if (bytes > out->capacity - out->bytes) {
        out->bytes = out->capacity + 1;
        return;
    }
    for (em_u32 i = 0; i < bytes; i++) {
        out->text[out->bytes++] = sequence[i];
    }
}

static EM_NOINLINE void em_put_replacement(struct em_text_out *out, struct em_text_state *state) {
    static const em_u8 replacement[3] = {0xef, 0xbf, 0xbd};

    state->pending_count = 0;
    em_put_text(out, state, replacement, 3);
}

/* Whether a byte can follow the pending ones: a continuation byte, narrower behind E0, ED, F0 and F4. */
static em_u32 em_continues(const struct em_text_state *state, em_u32 byte) {
    em_u32 lead = state->pending[0];
    em_u32 low = 0x80, high = 0xbf;

    if (state->pending_count == 1) {
        low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : low;
        high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : high;
    }
    return byte >= low && byte <= high;
}

static void em_put_byte(struct em_text_out *out, struct em_text_state *state, em_u8 byte) {
    if (state->pending_count != 0) {
        if (em_continues(state, byte)) {
            em_u32 lead = state->pending[0];
            em_u32 length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

            state->pending[state->pending_count++] = byte;
            if (state->pending_count == length) {
                state->pending_count = 0;
                em_put_text(out, state, state->pending, length);
            }
            return;
        }
        em_put_replacement(out, state);
    }
    if (byte < 0x80) {
        em_put_text(out, state, &byte, 1);
    } else if (byte < 0xc2 || byte > 0xf4) {
        em_put_replacement(out, state);
    } else {
        state->pending[0] = byte;
        state->pending_count = 1;
    }
}

/* Hands over what was written, or nothing and leaves the caller's state alone if it did not fit. */
static em_status em_finish(const struct em_text_out *out, struct em_text_state *state, const struct em_text_state *next,
                           em_u32 *text_bytes) {
    if (out->bytes > out->capacity) {
        return EM_E_CAPACITY;
    }
    *state = *next;
    *text_bytes = out->bytes;
    return EM_OK;
}

/* Not a state that this code left behind. */
static em_u32 em_is_bad_state(const struct em_text_state *state) {
    em_u32 lead = state->pending[0];

    return state->pending_count > 3 || (state->pending_count != 0 && (lead < 0xc2 || lead > 0xf4)) ||
           (state->pending_count == 2 && lead < 0xe0) || (state->pending_count == 3 && lead < 0xf0);
}

em_status em_tokenizer_decode(const struct em_tokenizer *t, struct em_text_state *state, em_i32 id, char *text,
                              em_u32 capacity, em_u32 *text_bytes) {
    struct em_text_out out = {(em_u8 *)text, capacity, 0, 0};
    struct em_text_state next;

    if (t == EM_NULL || state == EM_NULL || text_bytes == EM_NULL || (text == EM_NULL && capacity != 0)) {
        return EM_E_ARGUMENT;
    }
    *text_bytes = 0;
    if (em_is_bad_state(state)) {
        return EM_E_ARGUMENT;
    }
    if (id < 0 || (em_u32)id >= t->vocabulary) {
        return EM_E_TOKEN;
    }
    if ((t->silent[id / 8] >> (id & 7) & 1) != 0) {
        return EM_OK;
    }
    out.strip = t->flags & EM_TOKENIZER_STRIPS;
    next = *state;
    for (em_u32 at = t->text_ends[id]; at < t->text_ends[id + 1]; at++) {
        em_put_byte(&out, &next, t->text[at]);
    }
    return em_finish(&out, state, &next, text_bytes);
}

em_status em_tokenizer_decode_end(struct em_text_state *state, char *text, em_u32 capacity, em_u32 *text_bytes) {
    static const struct em_text_state fresh;
    struct em_text_out out = {(em_u8 *)text, capacity, 0, 0};

    if (state == EM_NULL || text_bytes == EM_NULL || (text == EM_NULL && capacity != 0)) {
        return EM_E_ARGUMENT;
    }
    *text_bytes = 0;
    if (state->pending_count != 0) {
        struct em_text_state next = *state;

        em_put_replacement(&out, &next);
    }
    return em_finish(&out, state, &fresh, text_bytes);
}
