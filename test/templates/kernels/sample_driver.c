/*
 * sample_driver.c - runs em_sample and em_digest on vectors from standard input: little-endian 32-bit words.
 *
 * A case: temperature_q16, top_k, top_p_q16, seed (64 bits), draws, logits[EM_VOCAB]. Its results: the digest of the logits
 * (64 bits), an id for each draw, the state of the generator (64 bits).
 */
#include <stdio.h>
#include <stdlib.h>

#include "em_memory.h"
#include "em_model.h"

static _Alignas(64) em_u8 arena[EM_AT_ORDER + 4u * EM_VOCAB];

const em_i32 *em_logits(const em_model *model)
{
    return (const em_i32 *)(const void *)(model->arena + EM_AT_LOGITS);
}

static size_t read_words(void *to, size_t count)
{
    return fread(to, 4, count, stdin);
}

static void write_words(const void *from, size_t count)
{
    if (fwrite(from, 4, count, stdout) != count) {
        exit(1);
    }
}

int main(void)
{
    struct em_model model = {.arena = arena};
    em_u32 head[6];
    while (read_words(head, 6) == 6) {
        struct em_sampler sampler = {.temperature_q16 = head[0], .top_k = head[1], .top_p_q16 = head[2]};
        if (read_words(arena + EM_AT_LOGITS, EM_VOCAB) != EM_VOCAB) {
            return 1;
        }
        em_seed(&sampler, head[3] | (em_u64)head[4] << 32);
        em_u64 digest = em_digest(EM_DIGEST_INIT, em_logits(&model), EM_VOCAB);
        write_words(&digest, 2);
        for (em_u32 i = 0; i < head[5]; i++) {
            em_i32 id = -1;
            if (em_sample(&model, &sampler, &id) != EM_OK) {
                return 1;
            }
            write_words(&id, 1);
        }
        write_words(&sampler.state, 2);
    }
    return 0;
}
