/*
 * consumer.c - a program that uses a compiled model as a library.
 *
 *     cd BUNDLE/src
 *     cc -O2 -I . /path/to/consumer.c *.c -o consumer
 *     ./consumer ../model.blob "The Linux kernel" 32
 *
 * The library allocates nothing and calls no libc: memory, the blob and a place for the text come from here. Without a file
 * system the blob can be an array or an address in flash, and the arena a static array of EM_ARENA_BYTES, both aligned to
 * EM_ALIGNMENT. src/em.h describes every function, src/model.h the constants of this model.
 * SPDX-License-Identifier: MIT-0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static void check(em_status status)
{
    if (status != EM_OK) {
        fprintf(stderr, "consumer: %s\n", em_status_name(status));
        exit(1);
    }
}

/* Prints what a token adds to the text: whole UTF-8 sequences, or nothing yet. */
static void print_token(const em_model *model, struct em_text_state *state, em_i32 id)
{
    char text[1024];
    em_u32 bytes;

    check(em_detokenize(model, state, id, text, sizeof(text), &bytes));
    fwrite(text, 1, bytes, stdout);
}

int main(int argc, char **argv)
{
    static em_i32 ids[EM_CONTEXT];
    struct em_sampler sampler = {.temperature_q16 = 52429, .top_k = 40, .top_p_q16 = 62259}; /* 0.8, 40, 0.95 */
    struct em_text_state state = {0};
    struct em_sizes need;
    em_model *model;
    em_u32 count;
    em_i32 id;

    em_query(&need);
    void *arena = aligned_alloc(EM_ALIGNMENT, need.arena);
    void *blob = aligned_alloc(EM_ALIGNMENT, need.blob);
    FILE *file = argc == 4 ? fopen(argv[1], "rb") : NULL;
    if (arena == NULL || blob == NULL || file == NULL) {
        fprintf(stderr, "usage: consumer BLOB PROMPT TOKENS\n");
        return 2;
    }
    check(em_init(&model, arena, need.arena, blob, fread(blob, 1, need.blob, file), NULL));
    check(em_verify(model)); /* not needed for a blob that is known to be whole */

    em_u64 bytes = strlen(argv[2]), scratch_bytes = em_tokenize_scratch(model, bytes);
    void *scratch = malloc(scratch_bytes);
    check(em_tokenize(model, argv[2], bytes, EM_TOKENIZE_BOS, ids, EM_CONTEXT, &count, scratch, scratch_bytes));
    for (em_u32 i = 0; i < count; i++) {
        print_token(model, &state, ids[i]);
    }

    check(em_prefill(model, ids, count, NULL, NULL)); /* now em_logits() holds the logits of the token that comes next */
    em_seed(&sampler, 1);
    for (int left = atoi(argv[3]); left > 0; left--) {
        check(em_sample(model, &sampler, &id));
        print_token(model, &state, id);
        if (em_is_end(id) || em_position(model) == EM_CONTEXT) {
            break;
        }
        check(em_decode(model, id));
    }
    putchar('\n');
    return 0; /* arena and blob may be freed at any time: the model holds nothing else */
}
