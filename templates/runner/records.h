/*
 * records.h - machine records, one a line, fit for a serial line that drops, adds or garbles characters.
 *
 *     em1 <sequence> <kind> key=value key=value *<crc32c>
 *
 * sequence: decimal, from 0, one more each record: a gap shows that a record was lost.
 * crc32c: 8 lower-case hex digits, over every byte from the 'e' of em1 to the space before the '*'.
 * Values hold no space, '=' or '*': in text these, '%' and all bytes outside printable ASCII are %XX, upper-case hex.
 * deploy/records.ts is the reader.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_RECORDS_H
#define RUNNER_RECORDS_H

#include <stddef.h>
#include <stdio.h>

#include "em.h"

/* Longest record with its newline. Text of RECORD_TEXT_BYTES fits in the worst case, where every byte becomes three. */
#define RECORD_TEXT_BYTES 1024u
#define RECORD_BYTES 4096u

struct records {
    FILE *out;
    em_u32 sequence; /* of the record being written */
    size_t used;     /* bytes of `line` so far; beyond RECORD_BYTES: it did not fit */
    char line[RECORD_BYTES];
};

void records_open(struct records *records, FILE *out);

/* A record is begun, gets its values, and is ended. */
void record_begin(struct records *records, const char *kind);
void record_integer(struct records *records, const char *key, em_u64 value);
void record_digest(struct records *records, const char *key, em_u64 value);                  /* 16 hex digits */
void record_hex(struct records *records, const char *key, const em_u8 *bytes, size_t count); /* 2 digits a byte */
void record_ids(struct records *records, const char *key, const em_i32 *ids, size_t count);  /* commas between */
void record_text(struct records *records, const char *key, const char *text, size_t bytes);

/* Writes the record and flushes it. Returns 0, or an errno value. */
int record_end(struct records *records);

#endif /* RUNNER_RECORDS_H */
