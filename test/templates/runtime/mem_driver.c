/*
 * mem_driver.c - compares em_mem.c, compiled under other names, with the functions of the C library: every length to
 * 70 and every alignment, overlaps in both directions. Prints how many comparisons were made, or the first that
 * differs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *em_test_memcpy(void *to, const void *from, size_t bytes);
void *em_test_memmove(void *to, const void *from, size_t bytes);
void *em_test_memset(void *to, int value, size_t bytes);
int em_test_memcmp(const void *a, const void *b, size_t bytes);

#define ROOM 192

static unsigned char expected[ROOM], actual[ROOM], source[ROOM];
static unsigned long compared;

static void start(size_t seed)
{
    for (size_t i = 0; i < ROOM; i++) {
        expected[i] = actual[i] = (unsigned char)(i * 7 + seed);
        source[i] = (unsigned char)(i * 13 + seed + 1);
    }
}

static void expect_equal(const char *what, const void *returned, const void *first, size_t to, size_t from,
                         size_t bytes)
{
    if (returned != first || memcmp(expected, actual, ROOM) != 0) {
        printf("%s to %zu from %zu, %zu bytes\n", what, to, from, bytes);
        exit(1);
    }
    compared++;
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static void try_lengths(size_t to, size_t from, size_t bytes)
{
    void *returned;

    start(bytes);
    memcpy(expected + to, source + from, bytes);
    returned = em_test_memcpy(actual + to, source + from, bytes);
    expect_equal("memcpy", returned, actual + to, to, from, bytes);

    start(bytes);
    memmove(expected + to, expected + from, bytes);
    returned = em_test_memmove(actual + to, actual + from, bytes);
    expect_equal("memmove", returned, actual + to, to, from, bytes);

    start(bytes);
    memset(expected + to, (int)(from * 0x111 + 0x80), bytes);
    returned = em_test_memset(actual + to, (int)(from * 0x111 + 0x80), bytes);
    expect_equal("memset", returned, actual + to, to, from, bytes);

    start(bytes);
    memcpy(actual + to, source + from, bytes);
    for (size_t i = 0; i <= bytes; i++) { /* a difference at each byte, and none */
        actual[to + i] ^= i < bytes ? 0x80 : 0;
        int found = em_test_memcmp(actual + to, source + from, bytes);

        if (sign(found) != sign(memcmp(actual + to, source + from, bytes))) {
            printf("memcmp at %zu of %zu bytes\n", i, bytes);
            exit(1);
        }
        actual[to + i] ^= i < bytes ? 0x80 : 0;
        compared++;
    }
}

int main(void)
{
    for (size_t to = 0; to < 18; to++) {
        for (size_t from = 0; from < 18; from++) {
            for (size_t bytes = 0; bytes <= 70; bytes++) {
                try_lengths(to, from, bytes);
            }
        }
    }
    printf("%lu\n", compared);
    return 0;
}
