/*
 * em-ask.c - asks /dev/embed_model: a program in user space, and an example of one.
 *
 *     cc -O2 -o em-ask em-ask.c
 *     em-ask [-n TOKENS] [-t TEMPERATURE_Q16] [-k TOP_K] [-p TOP_P_Q16] [-s SEED] [-d] PROMPT
 *     em-ask [...] -i 1,2,3
 *
 * -i gives token ids and prints token ids. -d prints the digest of all logits, for comparison with other machines.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "embed_model.h"

#define DEVICE "/dev/embed_model"

static int fail(const char *what)
{
    fprintf(stderr, "em-ask: %s: %s\n", what, strerror(errno));
    return 3;
}

/* "1,2,3" to ids; how many there were. */
static size_t parse_ids(char *text, __s32 *ids, size_t capacity)
{
    size_t count = 0;

    for (char *word = strtok(text, ","); word != NULL && count < capacity; word = strtok(NULL, ",")) {
        ids[count++] = (__s32)strtol(word, NULL, 10);
    }
    return count;
}

/* Prints the answer as it comes. */
static int print_answer(int device, int as_ids)
{
    char text[4096];
    __s32 ids[1024];
    struct pollfd waiting = {.fd = device, .events = POLLIN};

    for (;;) {
        ssize_t bytes;

        if (poll(&waiting, 1, -1) < 0) {
            return fail("poll");
        }
        bytes = as_ids ? read(device, ids, sizeof(ids)) : read(device, text, sizeof(text));
        if (bytes < 0) {
            return fail("read");
        }
        if (bytes == 0) {
            putchar('\n');
            return 0;
        }
        for (size_t i = 0; as_ids && i < (size_t)bytes / sizeof(*ids); i++) {
            printf("%d ", ids[i]);
        }
        if (!as_ids) {
            fwrite(text, 1, (size_t)bytes, stdout);
        }
        fflush(stdout);
    }
}

static int ask(int device, const struct embed_model_settings *settings, char *prompt)
{
    int as_ids = (settings->flags & EMBED_MODEL_IDS) != 0;
    struct embed_model_statistics statistics;
    __s32 ids[4096];
    size_t bytes = as_ids ? sizeof(*ids) * parse_ids(prompt, ids, sizeof(ids) / sizeof(*ids)) : strlen(prompt);
    int failed;

    if (ioctl(device, EMBED_MODEL_SET_SETTINGS, settings) != 0) {
        return fail("settings");
    }
    if (write(device, as_ids ? (const void *)ids : prompt, bytes) < 0) {
        return fail("prompt");
    }
    failed = print_answer(device, as_ids);
    if (failed) {
        return failed;
    }
    if (ioctl(device, EMBED_MODEL_GET_STATISTICS, &statistics) != 0) {
        return fail("statistics");
    }
    printf("[%u prompt tokens, %u tokens, %llu us a token, %llu bytes of memory]\n", statistics.prompt_tokens,
           statistics.tokens,
           (unsigned long long)(statistics.tokens == 0 ? 0 : statistics.tokens_ns / statistics.tokens / 1000),
           (unsigned long long)statistics.memory_bytes);
    if (settings->flags & EMBED_MODEL_DIGEST) {
        printf("digest %016llx of %u positions\n", (unsigned long long)statistics.digest, statistics.positions);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct embed_model_settings settings = {.tokens = 64};
    int option, device, failed;

    while ((option = getopt(argc, argv, "n:t:k:p:s:di")) != -1) {
        switch (option) {
        case 'n': settings.tokens = (__u32)strtoul(optarg, NULL, 0); break;
        case 't': settings.temperature_q16 = (__u32)strtoul(optarg, NULL, 0); break;
        case 'k': settings.top_k = (__u32)strtoul(optarg, NULL, 0); break;
        case 'p': settings.top_p_q16 = (__u32)strtoul(optarg, NULL, 0); break;
        case 's': settings.seed = strtoull(optarg, NULL, 0); break;
        case 'd': settings.flags |= EMBED_MODEL_DIGEST; break;
        case 'i': settings.flags |= EMBED_MODEL_IDS; break;
        default: return 2;
        }
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "em-ask [-n TOKENS] [-t TEMPERATURE_Q16] [-k TOP_K] [-p TOP_P_Q16] [-s SEED] [-d] PROMPT|-i IDS\n");
        return 2;
    }
    device = open(DEVICE, O_RDWR);
    if (device < 0) {
        return fail(DEVICE);
    }
    failed = ask(device, &settings, argv[optind]);
    close(device);
    return failed;
}
