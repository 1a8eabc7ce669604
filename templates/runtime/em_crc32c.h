/*
 * em_crc32c.h - CRC32C (Castagnoli), the checksum of blob headers and of the runner's records.
 *
 * Polynomial 0x1EDC6F41 reflected, initial value and final xor 0xffffffff: RFC 3720, appendix B.4.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_CRC32C_H
#define EM_CRC32C_H

#include "em_port.h"

/* CRC32C of `bytes` bytes at `data`, continuing `crc`: 0 to start, the previous result to go on. */
em_u32 em_crc32c(em_u32 crc, const void *data, em_u64 bytes);

#endif /* EM_CRC32C_H */
