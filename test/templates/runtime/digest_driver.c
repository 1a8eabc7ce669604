/*
 * digest_driver.c - prints CRC32C and SHA-256 of messages, each computed whole and in pieces.
 *
 *     digest_driver FILE     FILE: messages one after another, each a little-endian u64 length and its bytes
 */
#include <stdio.h>
#include <stdlib.h>

#include "em_crc32c.h"
#include "em_sha256.h"

/* Pieces of these lengths, over and over: shorter and longer than a block, and at its edges. */
static const em_u64 pieces[] = {1, 63, 64, 65, 0, 3, 128, 55, 56, 200};

static void print_digests(const em_u8 *message, em_u64 bytes, em_u64 first_piece)
{
    struct em_sha256 hash;
    em_u8 digest[EM_SHA256_BYTES];
    em_u32 crc = 0;

    em_sha256_init(&hash);
    for (em_u64 at = 0, index = first_piece; at < bytes; index++) {
        em_u64 piece = index < 10 ? pieces[index] : index == 10 ? bytes : pieces[index % 10];

        piece = piece < bytes - at ? piece : bytes - at;
        crc = em_crc32c(crc, message + at, piece);
        em_sha256_update(&hash, message + at, piece);
        at += piece;
    }
    em_sha256_final(&hash, digest);
    printf("%08x ", crc);
    for (em_u32 i = 0; i < EM_SHA256_BYTES; i++) {
        printf("%02x", digest[i]);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    em_u64 bytes;

    if (file == NULL) {
        return 2;
    }
    while (fread(&bytes, sizeof(bytes), 1, file) == 1) {
        em_u8 *message = malloc(bytes == 0 ? 1 : bytes);

        if (message == NULL || fread(message, 1, bytes, file) != bytes) {
            return 3;
        }
        print_digests(message, bytes, 10); /* whole */
        print_digests(message, bytes, 0);
        free(message);
    }
    fclose(file);
    return 0;
}
