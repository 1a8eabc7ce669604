/*
 * em_crc32c.c - CRC32C by nibbles: a table of 64 bytes, because the headers it covers are small and code size counts.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_crc32c.h"

/* em_nibble_crc[n]: remainder of n * x^28 in the reflected representation, polynomial 0x82f63b78. */
static const em_u32 em_nibble_crc[16] = {
    0x00000000u, 0x105ec76fu, 0x20bd8edeu, 0x30e349b1u, 0x417b1dbcu, 0x5125dad3u, 0x61c69362u, 0x7198540du,
    0x82f63b78u, 0x92a8fc17u, 0xa24bb5a6u, 0xb21572c9u, 0xc38d26c4u, 0xd3d3e1abu, 0xe330a81au, 0xf36e6f75u,
};

em_u32 em_crc32c(em_u32 crc, const void *data, em_u64 bytes)
{
    const em_u8 *byte = (const em_u8 *)data;
    const em_u8 *end = byte + bytes;

    crc = ~crc;
    for (; byte != end; byte++) {
        crc ^= *byte;
        crc = (crc >> 4) ^ em_nibble_crc[crc & 15u];
        crc = (crc >> 4) ^ em_nibble_crc[crc & 15u];
    }
    return ~crc;
}
