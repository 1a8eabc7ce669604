/*
 * em_tokenizer_unigram.c - the best path through a Unigram vocabulary, in exact integers.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_tokenizer_parts.h"

#define EM_NO_START 0xffffffffu

/* The first of words[low, high) whose byte at `depth` is not below `byte`; a word that ends there has none, which is less. */
static EM_NOINLINE em_u32 em_first_word(const struct em_tokenizer *t, em_u32 low, em_u32 high, em_u32 depth,
                                        em_u32 byte) {
    while (low < high) {
        em_u32 middle = low + (high - low) / 2;
        em_u32 start = t->text_ends[t->words[middle]];
        em_u32 bytes = t->text_ends[t->words[middle] + 1] - start;

        if (depth >= bytes || t->text[start + depth] < byte) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Takes the token of text[start, end) into the best path to `end`, if that makes it better. */
static void em_offer_token(struct em_symbols *s, em_u32 start, em_u32 end, em_i32 id, em_i32 score) {
    em_i64 *sums = (em_i64 *)s->heap;
    em_i64 sum = sums[start] + score;

    if (s->previous[end - 1] == EM_NO_START || sum > sums[end]) {
        sums[end] = sum;
        s->previous[end - 1] = start;
        s->ids[end - 1] = id;
    }
}

/* Offers the tokens that text[at, bytes) begins with, and an unknown character if its first character is none of them. */
static void em_offer_tokens(const struct em_tokenizer *t, struct em_symbols *s, const em_u8 *text, em_u32 at,
                            em_u32 bytes) {
    em_u32 low = 0, high = t->word_count;
    em_u32 is_token = 0;
    em_u32 next;

    em_utf8_get(text, at, bytes, &next);
    for (em_u32 depth = 0; at + depth < bytes && low < high; depth++) {
        em_u32 byte = text[at + depth];
        em_u32 id;

        low = em_first_word(t, low, high, depth, byte);
        high = em_first_word(t, low, high, depth, byte + 1);
        if (low == high) {
            break;
        }
        id = t->words[low];
        if (t->text_ends[id + 1] - t->text_ends[id] == depth + 1) {
            em_offer_token(s, at, at + depth + 1, (em_i32)id, t->scores[id]);
            is_token |= at + depth + 1 == next;
        }
    }
    if (!is_token) {
        em_offer_token(s, at, next, -1, t->unknown_score);
    }
}

em_u32 em_best_path(const struct em_tokenizer *t, struct em_symbols *s, const em_u8 *text, em_u32 bytes) {
    em_u32 first = bytes;

    /* A sum has at most 2^32 scores of 2^30. */
    s->heap[0] = 0;
    for (em_u32 i = 0; i < bytes; i++) {
        s->previous[i] = EM_NO_START;
    }
    for (em_u32 at = 0; at < bytes; at++) {
        if (at == 0 || s->previous[at - 1] != EM_NO_START) {
            em_offer_tokens(t, s, text, at, bytes);
        }
    }
    for (em_u32 end = bytes; end > 0; end = s->previous[end - 1]) {
        s->next[--first] = end;
    }
    return first;
}
