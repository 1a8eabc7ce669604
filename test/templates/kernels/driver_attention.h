/*
 * driver_attention.h - the operation of kernel_driver.c on a KV cache.
 */
#ifndef DRIVER_ATTENTION_H
#define DRIVER_ATTENTION_H

#include "driver_words.h"
#include "em_attention.h"

/*
 * score_shift, heads, kv_heads, head_dim, window, positions, keys[positions][kv_heads][head_dim], values, number of
 * queries, and for each its head, its position and itself.
 */
static void attend(void)
{
    struct em_attention_op op = {word()};
    em_u32 heads = count_word();
    em_u32 kv_heads = count_word();
    em_u32 head_dim = count_word();
    em_u32 window = count_word();
    em_u32 positions = count_word();
    em_u32 room = (positions + EM_CACHE_BLOCK - 1u) / EM_CACHE_BLOCK * EM_CACHE_BLOCK;
    struct em_attention_shape shape = {heads, kv_heads, head_dim, room, window};
    em_u32 width = kv_heads * head_dim;
    em_u64 slots = (em_u64)kv_heads * room;
    struct em_kv_cache cache;
    cache.keys = allocate(slots / EM_CACHE_BLOCK * EM_KEY_BLOCK_BYTES(head_dim));
    cache.values = allocate(slots * head_dim);
    cache.key_max = allocate(slots * sizeof(em_i32));
    cache.value_max = allocate(slots * sizeof(em_i32));
    const em_i32 *keys = words(positions * width);
    const em_i32 *values = words(positions * width);
    memset(cache.keys, UNTOUCHED & 0xff, slots / EM_CACHE_BLOCK * EM_KEY_BLOCK_BYTES(head_dim));
    memset(cache.values, UNTOUCHED & 0xff, slots * head_dim);
    memset(cache.key_max, UNTOUCHED & 0xff, slots * sizeof(em_i32));
    memset(cache.value_max, UNTOUCHED & 0xff, slots * sizeof(em_i32));
    for (em_u32 h = 0; h < kv_heads; h++) {
        struct em_kv_cache head = em_head_cache(&cache, &shape, h);
        em_u32 at = h * head_dim;
        em_store_head(&head, head_dim, 0, keys + at, values + at, width, positions);
    }
    struct em_attention_scratch scratch;
    scratch.scores = allocate((em_u64)room * EM_SCORE_INTS * sizeof(em_i32));
    scratch.weights = allocate(room * sizeof(em_i32));
    em_i32 *out = allocate_untouched(head_dim);
    for (em_u32 left = count_word(); left > 0; left--) {
        em_u32 head = count_word();
        em_u32 position = count_word();
        struct em_kv_cache cache_of_head = em_head_cache(&cache, &shape, head / (heads / kv_heads));
        em_attend(&op, &shape, &cache_of_head, &scratch, words(head_dim), position, out);
        put(out, head_dim);
    }
    free(cache.keys);
    free(cache.values);
    free(cache.key_max);
    free(cache.value_max);
    free(scratch.scores);
    free(scratch.weights);
    free(out);
}

#endif /* DRIVER_ATTENTION_H */
