/*
 * driver_words.h - what the operations of kernel_driver.c read and write: words of cases, memory of their own.
 */
#ifndef DRIVER_WORDS_H
#define DRIVER_WORDS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "em_port.h"

/* What out holds where a kernel must not write. */
#define UNTOUCHED 0x5a5a5a5a

static void die(const char *what)
{
    fprintf(stderr, "kernel_driver: %s\n", what);
    exit(1);
}

static em_i32 *input;
static size_t input_words;
static size_t input_at;

static void read_input(void)
{
    size_t capacity = 1u << 20;
    input = malloc(capacity * sizeof(*input));
    while (input != NULL) {
        input_words += fread(input + input_words, sizeof(*input), capacity - input_words, stdin);
        if (input_words < capacity) {
            return;
        }
        capacity *= 2u;
        input = realloc(input, capacity * sizeof(*input));
    }
    die("out of memory");
}

/* The next count words, in place. */
static const em_i32 *words(em_u32 count)
{
    const em_i32 *at = input + input_at;
    if (count > input_words - input_at) {
        die("input ends within a case");
    }
    input_at += count;
    return at;
}

static em_i32 word(void)
{
    return *words(1);
}

static em_u32 count_word(void)
{
    return (em_u32)word();
}

static em_u64 word64(void)
{
    em_u64 low = count_word();
    return low | (em_u64)count_word() << 32;
}

static void put(const em_i32 *values, em_u64 count)
{
    if (fwrite(values, sizeof(*values), count, stdout) != count) {
        die("cannot write");
    }
}

static void put_word(em_i32 value)
{
    put(&value, 1);
}

/* Memory of a case, aligned as the blob and the arena are. Exactly as large as asked, so that a sanitizer sees the end. */
static void *allocate(em_u64 bytes)
{
    void *memory = NULL;
    if (posix_memalign(&memory, 64, bytes + (bytes == 0)) != 0) {
        die("out of memory");
    }
    return memory;
}

static em_i32 *allocate_untouched(em_u64 count)
{
    em_i32 *out = allocate(count * sizeof(*out));
    for (em_u64 i = 0; i < count; i++) {
        out[i] = UNTOUCHED;
    }
    return out;
}

static void *copy(const void *from, em_u64 bytes)
{
    void *memory = allocate(bytes);
    memcpy(memory, from, bytes);
    return memory;
}

#endif /* DRIVER_WORDS_H */
