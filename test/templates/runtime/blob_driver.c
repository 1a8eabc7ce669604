/*
 * blob_driver.c - runs em_blob_check and em_blob_verify over blobs that a test wrote.
 *
 *     blob_driver cases FILE     a line a case: status of the check, and of the verification after EM_OK
 *     blob_driver flips FILE     flips every bit of header and table and a bit of every byte of the payload, cuts the
 *                                blob at every length, shifts it to every address: how many were tried and accepted
 *
 * FILE: cases one after another, each struct case_head and then the bytes of the blob.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "em_blob.h"

struct case_head {
    em_u64 blob_bytes;     /* of the blob that follows */
    em_u64 expected_bytes; /* arguments of em_blob_check from here on */
    em_u32 expected_entries;
    em_u32 expected_table_crc;
    em_u8 build_id[32];
};

/* A blob in an allocation of exactly its size, so that a sanitizer sees a read beyond it. */
static em_u8 *load(FILE *file, struct case_head *head)
{
    void *blob = NULL;

    if (fread(head, sizeof(*head), 1, file) != 1) {
        return NULL;
    }
    if (posix_memalign(&blob, EM_ALIGNMENT, head->blob_bytes == 0 ? 1 : head->blob_bytes) != 0) {
        exit(3);
    }
    if (head->blob_bytes != 0 && fread(blob, head->blob_bytes, 1, file) != 1) {
        exit(3);
    }
    return blob;
}

static em_status check(const struct case_head *head, const void *blob, em_u64 bytes)
{
    return em_blob_check(blob, bytes, head->expected_bytes, head->expected_entries, head->expected_table_crc,
                         head->build_id);
}

static void run_case(const struct case_head *head, const em_u8 *blob)
{
    em_status status = check(head, blob, head->blob_bytes);

    printf("%d %d\n", (int)status, status == EM_OK ? (int)em_blob_verify(blob) : -1);
}

static void run_flips(const struct case_head *head, em_u8 *blob)
{
    em_u64 payload = ((struct em_blob_header *)(void *)blob)->payload_offset, tried = 0, accepted = 0;

    for (em_u64 bit = 0; bit < 8 * payload; bit++, tried++) {
        blob[bit / 8] = (em_u8)(blob[bit / 8] ^ (1u << (bit % 8)));
        accepted += check(head, blob, head->blob_bytes) == EM_OK;
        blob[bit / 8] = (em_u8)(blob[bit / 8] ^ (1u << (bit % 8)));
    }
    for (em_u64 byte = payload; byte < head->blob_bytes; byte++, tried++) {
        blob[byte] = (em_u8)(blob[byte] ^ (1u << (byte % 8)));
        accepted += check(head, blob, head->blob_bytes) != EM_OK || em_blob_verify(blob) != EM_E_PAYLOAD;
        blob[byte] = (em_u8)(blob[byte] ^ (1u << (byte % 8)));
    }
    for (em_u64 bytes = 0; bytes < head->blob_bytes; bytes++, tried++) {
        void *cut = NULL;

        if (posix_memalign(&cut, EM_ALIGNMENT, bytes == 0 ? 1 : bytes) != 0) {
            exit(3);
        }
        memcpy(cut, blob, bytes);
        accepted += check(head, cut, bytes) == EM_OK;
        free(cut);
    }
    for (em_u64 shift = 1; shift < EM_ALIGNMENT; shift++, tried++) {
        accepted += check(head, blob + shift, head->blob_bytes - shift) != EM_E_BLOB_ALIGNMENT;
    }
    accepted += check(head, NULL, head->blob_bytes) != EM_E_ARGUMENT;
    printf("%llu %llu %d %d\n", (unsigned long long)tried, (unsigned long long)accepted,
           (int)check(head, blob, head->blob_bytes), (int)em_blob_verify(blob));
}

int main(int argc, char **argv)
{
    FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
    struct case_head head;
    em_u8 *blob;

    if (file == NULL) {
        return 2;
    }
    while ((blob = load(file, &head)) != NULL) {
        if (strcmp(argv[1], "flips") == 0) {
            run_flips(&head, blob);
        } else {
            run_case(&head, blob);
        }
        free(blob);
    }
    fclose(file);
    return 0;
}
