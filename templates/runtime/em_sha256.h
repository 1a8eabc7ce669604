/*
 * em_sha256.h - SHA-256 (FIPS 180-4), the witness of a blob's payload.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_SHA256_H
#define EM_SHA256_H

#include "em_port.h"

#define EM_SHA256_BYTES 32u

struct em_sha256 {
    em_u32 state[8];  /* the intermediate hash value H */
    em_u64 bytes;     /* message bytes taken so far */
    em_u8 block[64];  /* the unfinished block: its first bytes % 64 bytes count */
};

void em_sha256_init(struct em_sha256 *hash);
void em_sha256_update(struct em_sha256 *hash, const void *data, em_u64 bytes);

/* Pads the message and writes its digest. The state is used up: em_sha256_init starts the next message. */
void em_sha256_final(struct em_sha256 *hash, em_u8 digest[EM_SHA256_BYTES]);

#endif /* EM_SHA256_H */
