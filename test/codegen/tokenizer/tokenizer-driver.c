/*
 * tokenizer-driver.c - runs the tokenizer of the runtime for the tests; a hosted program.
 *
 *   tokenizer-driver TABLE              records on stdin, results on stdout
 *   tokenizer-driver TABLE mutate SEED ROUNDS
 *                                       opens damaged copies of the table and uses those that pass
 *   tokenizer-driver TABLE interface    what the functions do with arguments they must refuse
 *
 * A record: u32 kind, u32 bytes, that many bytes. Kind 0, 1, 2, 3: a text to encode with these EM_TOKENIZE_* flags; the
 * ids are decoded again. Kind 4: i32 ids to decode. The result: i32 status, u32 count, ids, u32 bytes of text, text.
 * Little-endian throughout. Every buffer is allocated at exactly the size the interface promises to be enough.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "em_tokenizer.h"

#define DECODE_RECORD 4u

struct result {
    em_status status;
    em_i32 *ids;
    em_u32 count;
    char *text;
    em_u32 text_bytes;
};

static void *allocate(size_t bytes) {
    void *memory = malloc(bytes == 0 ? 1 : bytes);

    if (memory == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return memory;
}

static void encode(const struct em_tokenizer *t, const char *text, em_u32 bytes, em_u32 flags, struct result *r) {
    em_u64 scratch_bytes = em_tokenizer_scratch(t, bytes);
    void *scratch = allocate(scratch_bytes);
    em_u32 capacity = t->growth * bytes + 2; /* a token for each byte of normalized text, a prefix and a first token */

    r->ids = allocate(sizeof(em_i32) * capacity);
    r->status = em_tokenizer_encode(t, text, bytes, flags, r->ids, capacity, &r->count, scratch, scratch_bytes);
    free(scratch);
}

static void decode(const struct em_tokenizer *t, struct result *r) {
    struct em_text_state state = {{0}, 0, 0};
    em_u32 step = 3 * (t->longest + 1), bytes;

    r->text_bytes = 0;
    r->text = allocate(((size_t)r->count + 1) * step);
    for (em_u32 i = 0; i < r->count && r->status == EM_OK; i++) {
        char *exact = allocate(step);

        r->status = em_tokenizer_decode(t, &state, r->ids[i], exact, step, &bytes);
        memcpy(r->text + r->text_bytes, exact, bytes);
        r->text_bytes += bytes;
        free(exact);
    }
    if (r->status == EM_OK) {
        r->status = em_tokenizer_decode_end(&state, r->text + r->text_bytes, step, &bytes);
        r->text_bytes += bytes;
    }
}

static void release(struct result *r) {
    free(r->ids);
    free(r->text);
}

static int read_all(void *into, size_t bytes) {
    return fread(into, 1, bytes, stdin) == bytes;
}

static int serve(const struct em_tokenizer *t) {
    em_u32 head[2];

    while (read_all(head, sizeof(head))) {
        struct result r = {EM_OK, NULL, 0, NULL, 0};
        char *payload = allocate(head[1]);

        if (!read_all(payload, head[1])) {
            return 2;
        }
        if (head[0] == DECODE_RECORD) {
            r.count = head[1] / 4;
            r.ids = allocate(head[1]);
            memcpy(r.ids, payload, head[1]);
        } else {
            encode(t, payload, head[1], head[0], &r);
        }
        if (r.status == EM_OK) {
            decode(t, &r);
        }
        fwrite(&r.status, 4, 1, stdout);
        fwrite(&r.count, 4, 1, stdout);
        fwrite(r.ids, 4, r.count, stdout);
        fwrite(&r.text_bytes, 4, 1, stdout);
        if (r.text_bytes != 0) {
            fwrite(r.text, 1, r.text_bytes, stdout);
        }
        free(payload);
        release(&r);
    }
    return 0;
}

/* xorshift64* */
static em_u64 random_state;
static em_u64 random_below(em_u64 limit) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (random_state * 2685821657736338717u >> 16) % limit;
}

/* A word of header and directory, of one of the 18 parts, however small, or of the whole table. */
static em_u64 random_word(const em_u8 *original, em_u64 bytes) {
    em_u32 offset;
    em_u64 length;

    switch (random_below(4)) {
    case 0:
        return random_below(51);
    case 1:
        return random_below(bytes / 4);
    default:
        memcpy(&offset, original + 60 + 8 * random_below(18), 4);
        length = (bytes - offset) / 4;
        return length == 0 ? bytes / 4 - 1 : offset / 4 + random_below(length < 64 ? length : 64);
    }
}

/* One to four changes. */
static void damage(em_u8 *table, const em_u8 *original, em_u64 bytes) {
    static const em_u32 values[] = {0, 1, 7, 255, 256, 0x10ffff, 0x7fffffff, 0x80000000u, 0xfffffff8u, 0xffffffffu};

    for (em_u64 changes = 1 + random_below(4); changes != 0; changes--) {
        em_u64 word = random_word(original, bytes);
        em_u32 old, new;

        memcpy(&old, table + 4 * word, 4);
        switch (random_below(4)) {
        case 0: new = values[random_below(sizeof(values) / sizeof(values[0]))]; break;
        case 1: new = old ^ 1u << random_below(32); break;
        case 2: new = old + (em_u32)random_below(17) - 8; break;
        default: memcpy(&new, table + 4 * random_below(bytes / 4), 4); break;
        }
        memcpy(table + 4 * word, &new, 4);
    }
}

static int mutate(const em_u8 *original, em_u64 bytes, em_u64 rounds) {
    static const char text[] = "It's  12 \xe6\x97\xa5\xe6\x9c\xac, q\xcc\x87\xcc\xa3 \xed\x95\x9c\xea\xb5\xad "
                               "<|endoftext|>\r\n <|left|> <|right|> caf\xc3\xa9 \xff\xf0\x9f\x98\x80 "
                               "the model's answer a";
    em_u64 opened = 0;

    for (em_u64 round = 0; round < rounds; round++) {
        em_u64 kept = random_below(16) == 0 ? random_below(bytes / 8 + 1) * 8 : bytes;
        em_u8 *table = allocate(kept);
        struct em_tokenizer t;
        struct result r = {EM_OK, NULL, 0, NULL, 0};

        memcpy(table, original, kept);
        if (kept == bytes) {
            damage(table, original, bytes);
        }
        if (em_tokenizer_open(&t, table, kept) == EM_OK) {
            opened++;
            /* A damaged `longest` may ask for buffers beyond any reason; too small a one must be refused. */
            t.longest = t.longest > (1u << 20) ? 1u << 20 : t.longest;
            encode(&t, text, sizeof(text) - 1, EM_TOKENIZE_BOS | EM_TOKENIZE_SPECIAL, &r);
            for (em_u32 i = 0; i < r.count; i++) {
                if (r.ids[i] < 0 || (em_u32)r.ids[i] >= t.vocabulary) {
                    fprintf(stderr, "round %llu gives id %d\n", (unsigned long long)round, (int)r.ids[i]);
                    return 1;
                }
            }
            r.status = EM_OK;
            decode(&t, &r);
            if (r.status != EM_OK) {
                fprintf(stderr, "round %llu: decoding gives status %d\n", (unsigned long long)round, (int)r.status);
                return 1;
            }
        }
        release(&r);
        free(table);
    }
    printf("%llu\n", (unsigned long long)opened);
    return 0;
}

#define EXPECT(condition)                                          \
    if (!(condition)) {                                            \
        fprintf(stderr, "line %d: " #condition "\n", __LINE__);    \
        failures++;                                                \
    }

/* The table must be one of bytes, so that "ab" has one or two tokens and byte ids give any sequence. */
static int check_interface(const em_u8 *table, em_u64 bytes) {
    struct em_tokenizer t;
    struct em_text_state state = {{0}, 0, 0};
    em_u64 scratch_bytes, scratch[256];
    em_i32 ids[8];
    em_u32 count, text_bytes;
    char text[16];
    int failures = 0;

    EXPECT(em_tokenizer_open(EM_NULL, table, bytes) == EM_E_ARGUMENT);
    EXPECT(em_tokenizer_open(&t, EM_NULL, bytes) == EM_E_ARGUMENT);
    EXPECT(em_tokenizer_open(&t, table + 4, bytes - 4) == EM_E_TOKENIZER);
    EXPECT(em_tokenizer_open(&t, table, bytes - 1) == EM_E_TOKENIZER);
    EXPECT(em_tokenizer_open(&t, table, 0) == EM_E_TOKENIZER);
    EXPECT(em_tokenizer_open(&t, table, bytes) == EM_OK);

    scratch_bytes = em_tokenizer_scratch(&t, 2);
    EXPECT(scratch_bytes <= sizeof(scratch));
    EXPECT(em_tokenizer_encode(EM_NULL, "ab", 2, 0, ids, 8, &count, scratch, scratch_bytes) == EM_E_ARGUMENT);
    EXPECT(em_tokenizer_encode(&t, EM_NULL, 2, 0, ids, 8, &count, scratch, scratch_bytes) == EM_E_ARGUMENT);
    EXPECT(em_tokenizer_encode(&t, "ab", 2, 0, EM_NULL, 8, &count, scratch, scratch_bytes) == EM_E_ARGUMENT);
    EXPECT(em_tokenizer_encode(&t, "ab", 2, 0, ids, 8, EM_NULL, scratch, scratch_bytes) == EM_E_ARGUMENT);
    EXPECT(em_tokenizer_encode(&t, "ab", 2, 0, ids, 8, &count, EM_NULL, scratch_bytes) == EM_E_ARGUMENT);
    EXPECT(em_tokenizer_encode(&t, "ab", 2, 0, ids, 8, &count, (char *)scratch + 4, scratch_bytes) == EM_E_ARGUMENT);
    EXPECT(em_tokenizer_encode(&t, "ab", EM_TEXT_BYTES_MAX + 1ull, 0, ids, 8, &count, scratch, ~0ull) == EM_E_ARGUMENT);
    EXPECT(em_tokenizer_encode(&t, "ab", 2, 0, ids, 8, &count, scratch, scratch_bytes - 1) == EM_E_CAPACITY);
    EXPECT(em_tokenizer_encode(&t, "ab", 2, 0, ids, 0, &count, scratch, scratch_bytes) == EM_E_CAPACITY && count == 0);
    EXPECT(em_tokenizer_encode(&t, EM_NULL, 0, 0, EM_NULL, 0, &count, scratch, scratch_bytes) == EM_OK && count == 0);
    EXPECT(em_tokenizer_encode(&t, "ab", 2, 0, ids, 8, &count, scratch, scratch_bytes) == EM_OK && count >= 1);

    EXPECT(em_tokenizer_decode(&t, &state, -1, text, 16, &text_bytes) == EM_E_TOKEN);
    EXPECT(em_tokenizer_decode(&t, &state, (em_i32)t.vocabulary, text, 16, &text_bytes) == EM_E_TOKEN);
    EXPECT(em_tokenizer_decode(&t, EM_NULL, ids[0], text, 16, &text_bytes) == EM_E_ARGUMENT);
    EXPECT(em_tokenizer_decode(&t, &state, ids[0], EM_NULL, 16, &text_bytes) == EM_E_ARGUMENT);
    EXPECT(em_tokenizer_decode(&t, &state, ids[0], text, 16, EM_NULL) == EM_E_ARGUMENT);
    EXPECT(em_tokenizer_decode(&t, &state, t.byte_ids['a'], text, 0, &text_bytes) == EM_E_CAPACITY && text_bytes == 0);
    EXPECT(state.started == 0);
    EXPECT(em_tokenizer_decode(&t, &state, t.byte_ids['a'], text, 1, &text_bytes) == EM_OK && text_bytes == 1);
    EXPECT(text[0] == 'a' && state.started == 1);

    /* An unfinished sequence waits, survives a call that fails, and ends in U+FFFD. */
    EXPECT(em_tokenizer_decode(&t, &state, t.byte_ids[0xe2], text, 0, &text_bytes) == EM_OK && text_bytes == 0);
    EXPECT(em_tokenizer_decode(&t, &state, t.byte_ids['a'], text, 3, &text_bytes) == EM_E_CAPACITY);
    EXPECT(state.pending_count == 1 && state.pending[0] == 0xe2);
    EXPECT(em_tokenizer_decode_end(&state, text, 2, &text_bytes) == EM_E_CAPACITY && state.pending_count == 1);
    EXPECT(em_tokenizer_decode_end(&state, text, 3, &text_bytes) == EM_OK && text_bytes == 3);
    EXPECT(memcmp(text, "\xef\xbf\xbd", 3) == 0 && state.pending_count == 0 && state.started == 0);
    EXPECT(em_tokenizer_decode_end(&state, EM_NULL, 0, &text_bytes) == EM_OK && text_bytes == 0);
    EXPECT(em_tokenizer_decode_end(EM_NULL, text, 3, &text_bytes) == EM_E_ARGUMENT);

    /* States that decoding never leaves behind. */
    state.pending_count = 4;
    EXPECT(em_tokenizer_decode(&t, &state, ids[0], text, 16, &text_bytes) == EM_E_ARGUMENT);
    state.pending_count = 1;
    state.pending[0] = 0x80;
    EXPECT(em_tokenizer_decode(&t, &state, ids[0], text, 16, &text_bytes) == EM_E_ARGUMENT);
    state.pending_count = 3;
    state.pending[0] = 0xe2;
    EXPECT(em_tokenizer_decode(&t, &state, ids[0], text, 16, &text_bytes) == EM_E_ARGUMENT);
    return failures == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    struct em_tokenizer t;
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    em_u8 *table;
    long bytes;
    em_status status;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (bytes = ftell(file)) < 8) {
        fprintf(stderr, "usage: tokenizer-driver TABLE [mutate SEED ROUNDS]\n");
        return 2;
    }
    rewind(file);
    table = allocate((size_t)bytes);
    if (fread(table, 1, (size_t)bytes, file) != (size_t)bytes) {
        return 2;
    }
    fclose(file);
    if (argc == 5 && strcmp(argv[2], "mutate") == 0) {
        random_state = strtoull(argv[3], NULL, 10) * 2 + 1;
        status = (em_status)mutate(table, (em_u64)bytes, strtoull(argv[4], NULL, 10));
    } else if (argc == 3 && strcmp(argv[2], "interface") == 0) {
        status = (em_status)check_interface(table, (em_u64)bytes);
    } else {
        status = em_tokenizer_open(&t, table, (em_u64)bytes);
        if (status != EM_OK) {
            fprintf(stderr, "em_tokenizer_open: %d\n", (int)status);
            return 3;
        }
        status = (em_status)serve(&t);
    }
    free(table);
    return (int)status;
}
