/*
 * em_tokenizer_merge.c - byte pair encoding of one piece, O(n log n).
 * SPDX-License-Identifier: MIT-0
 */
#include "em_tokenizer_parts.h"

#define EM_NO_SYMBOL 0xffffffffu

void em_heap_push(em_u64 *heap, em_u32 *count, em_u64 key) {
    em_u32 at = (*count)++;

    while (at > 0 && heap[(at - 1) / 2] > key) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = key;
}

em_u64 em_heap_pop(em_u64 *heap, em_u32 *count) {
    em_u64 top = heap[0];
    em_u32 last = --*count;
    em_u64 key = heap[last];
    em_u32 at = 0;

    for (em_u32 child = 1; child < last; child = 2 * at + 1) {
        if (child + 1 < last && heap[child + 1] < heap[child]) {
            child++;
        }
        if (heap[child] >= key) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = key;
    return top;
}

/* The merge of two tokens, or null. */
static EM_NOINLINE const struct em_token_merge *em_find_merge(const struct em_tokenizer *t, em_i32 left, em_i32 right) {
    em_u32 end = t->merge_rows[left + 1];
    em_u32 found = em_lower_bound(t->merges, 3, t->merge_rows[left], end, (em_u32)right);

    return found < end && t->merges[found].right == (em_u32)right ? &t->merges[found] : EM_NULL;
}

/* Puts the pair that starts at symbol `at` into the heap, if it can merge. The key: rank, then position. */
static EM_NOINLINE void em_offer_pair(const struct em_tokenizer *t, const struct em_symbols *s, em_u32 *heap_count,
                                      em_u32 at) {
    const struct em_token_merge *merge;

    if (at == EM_NO_SYMBOL || s->next[at] == EM_NO_SYMBOL) {
        return;
    }
    merge = em_find_merge(t, s->ids[at], s->ids[s->next[at]]);
    if (merge != EM_NULL) {
        em_heap_push(s->heap, heap_count, (em_u64)merge->rank << 32 | at);
    }
}

void em_merge_symbols(const struct em_tokenizer *t, struct em_symbols *s) {
    em_u32 heap_count = 0;
    em_u32 kept = 0;

    for (em_u32 i = 0; i < s->count; i++) {
        s->previous[i] = i - 1; /* EM_NO_SYMBOL before the first */
        s->next[i] = i + 1 < s->count ? i + 1 : EM_NO_SYMBOL;
    }
    for (em_u32 i = 0; i < s->count; i++) {
        em_offer_pair(t, s, &heap_count, i);
    }
    /* Every merge takes one key out, puts at most two in and leaves a symbol less: 2 * count keys are enough room. */
    while (heap_count != 0) {
        em_u64 key = em_heap_pop(s->heap, &heap_count);
        em_u32 at = (em_u32)key;
        em_u32 right = s->next[at];
        const struct em_token_merge *merge;

        if (s->ids[at] < 0 || right == EM_NO_SYMBOL) {
            continue; /* merged away, or last by now */
        }
        merge = em_find_merge(t, s->ids[at], s->ids[right]);
        if (merge == EM_NULL || merge->rank != key >> 32) {
            continue; /* another pair by now */
        }
        s->ids[at] = (em_i32)merge->merged;
        s->ids[right] = -1;
        s->next[at] = s->next[right];
        if (s->next[at] != EM_NO_SYMBOL) {
            s->previous[s->next[at]] = at;
        }
        em_offer_pair(t, s, &heap_count, s->previous[at]);
        em_offer_pair(t, s, &heap_count, at);
    }
    for (em_u32 i = 0; i < s->count; i++) {
        if (s->ids[i] >= 0) {
            s->ids[kept++] = s->ids[i];
        }
    }
    s->count = kept;
}
