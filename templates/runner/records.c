/*
 * records.c - a record is put together in memory, so that its checksum covers exactly what is written.
 * SPDX-License-Identifier: MIT-0
 */
#include "records.h"

#include <errno.h>
#include <string.h>

#include "em_crc32c.h"

static void append(struct records *records, const char *text, size_t bytes)
{
    if (records->used <= RECORD_BYTES && bytes <= RECORD_BYTES - records->used) {
        memcpy(records->line + records->used, text, bytes);
        records->used += bytes;
    } else {
        records->used = RECORD_BYTES + 1;
    }
}

static void append_decimal(struct records *records, em_u64 value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    append(records, digits + at, sizeof(digits) - at);
}

static void append_key(struct records *records, const char *key)
{
    append(records, " ", 1);
    append(records, key, strlen(key));
    append(records, "=", 1);
}

void records_open(struct records *records, FILE *out)
{
    records->out = out;
    records->sequence = 0;
    records->used = 0;
}

void record_begin(struct records *records, const char *kind)
{
    records->used = 0;
    append(records, "em1 ", 4);
    append_decimal(records, records->sequence);
    append(records, " ", 1);
    append(records, kind, strlen(kind));
}

void record_integer(struct records *records, const char *key, em_u64 value)
{
    append_key(records, key);
    append_decimal(records, value);
}

void record_hex(struct records *records, const char *key, const em_u8 *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";

    append_key(records, key);
    for (size_t i = 0; i < count; i++) {
        append(records, &digits[bytes[i] >> 4], 1);
        append(records, &digits[bytes[i] & 15], 1);
    }
}

void record_digest(struct records *records, const char *key, em_u64 value)
{
    em_u8 bytes[8];

    for (int i = 0; i < 8; i++) {
        bytes[i] = (em_u8)(value >> (56 - 8 * i));
    }
    record_hex(records, key, bytes, sizeof(bytes));
}

void record_ids(struct records *records, const char *key, const em_i32 *ids, size_t count)
{
    append_key(records, key);
    for (size_t i = 0; i < count; i++) {
        if (i != 0) {
            append(records, ",", 1);
        }
        append_decimal(records, (em_u64)ids[i]);
    }
}

void record_text(struct records *records, const char *key, const char *text, size_t bytes)
{
    static const char digits[] = "0123456789ABCDEF";

    append_key(records, key);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        char escaped[3] = {'%', digits[byte >> 4], digits[byte & 15]};
        int plain = byte > ' ' && byte < 0x7f && byte != '%' && byte != '=' && byte != '*';

        append(records, plain ? &text[i] : escaped, plain ? 1 : 3);
    }
}

int record_end(struct records *records)
{
    em_u32 crc;
    char tail[10];

    append(records, " ", 1);
    if (records->used + sizeof(tail) > RECORD_BYTES) {
        return EOVERFLOW;
    }
    crc = em_crc32c(0, records->line, records->used);
    tail[0] = '*';
    for (int i = 0; i < 8; i++) {
        tail[1 + i] = "0123456789abcdef"[(crc >> (28 - 4 * i)) & 15];
    }
    tail[9] = '\n';
    append(records, tail, sizeof(tail));
    records->sequence++;
    errno = 0;
    if (fwrite(records->line, 1, records->used, records->out) != records->used || fflush(records->out) != 0) {
        return errno != 0 ? errno : EIO;
    }
    return 0;
}
