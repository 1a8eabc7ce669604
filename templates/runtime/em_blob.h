/*
 * em_blob.h - the blob: weights and tables of a model in one read-only file, used in place.
 *
 * All numbers are little-endian. Everything is covered by a check: header, table and the padding after it by CRC32C,
 * the payload with its paddings by SHA-256.
 *
 *     0                 struct em_blob_header, 128 bytes
 *     128               struct em_blob_entry[entries], 96 bytes each
 *                       zeros up to a multiple of 64
 *     payload_offset    section 0, zeros up to a multiple of 64, section 1, ... and zeros up to a multiple of 64
 *     blob_bytes        the end
 *
 * Sections follow one another in the order of the table without a gap other than that padding: the offset of a section
 * follows from the sizes before it, and em_blob_check accepts no other.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_BLOB_H
#define EM_BLOB_H

#include "em.h"

#define EM_BLOB_MAGIC "EMBLOB1" /* 8 bytes with its NUL */
#define EM_BLOB_NAME_BYTES 56u

struct em_blob_header {
    char magic[8];            /*   0: EM_BLOB_MAGIC; the digit is the version of this layout */
    em_u32 abi_version;       /*   8: EM_ABI_VERSION of the code this blob belongs to */
    em_u32 header_bytes;      /*  12: 128 */
    em_u32 entries;           /*  16: sections, and entries of the table */
    em_u32 entry_bytes;       /*  20: 96 */
    em_u64 blob_bytes;        /*  24: bytes of the whole blob, a multiple of 64 */
    em_u64 payload_offset;    /*  32: first byte after the table, rounded up to a multiple of 64 */
    em_u8 build_id[32];       /*  40: SHA-256 that names the build; compiled into the code as well */
    em_u8 payload_sha256[32]; /*  72: SHA-256 of the bytes [payload_offset, blob_bytes) */
    em_u32 header_crc32c;     /* 104: CRC32C of the bytes [0, payload_offset) with this field taken as zero */
    em_u8 reserved[20];       /* 108: zero */
};

struct em_blob_entry {
    char name[EM_BLOB_NAME_BYTES]; /*  0: ASCII, NUL-padded, at least one NUL: the tensor's name, or "rope" ... */
    em_u16 format;                 /* 56: how an element is stored (formats of docs/arithmetic.md); 0: no tensor */
    em_u16 layout;                 /* 58: in which order, as the kernels of the target want it; 0: no tensor */
    em_u32 rows;                   /* 60: rows of the tensor (outputs), or what the table's owner says */
    em_u32 cols;                   /* 64: columns of the tensor (inputs), or what the table's owner says */
    em_u32 least_exponent;         /* 68: of the row multipliers of a matrix, at most 255; else zero */
    em_u64 offset;                 /* 72: first byte of the section, from the start of the blob; a multiple of 64 */
    em_u64 bytes;                  /* 80: bytes of the section without the padding after it; not zero */
    em_u8 padding[8];              /* 88: zero */
};

_Static_assert(sizeof(struct em_blob_header) == 128, "the header is 128 bytes without compiler padding");
_Static_assert(sizeof(struct em_blob_entry) == 96, "an entry is 96 bytes without compiler padding");

/* The table of a blob that em_blob_check accepted. */
EM_INLINE const struct em_blob_entry *em_blob_entries(const void *blob)
{
    return (const struct em_blob_entry *)(const void *)((const em_u8 *)blob + sizeof(struct em_blob_header));
}

/*
 * Checks header and table: alignment of the address, size, magic, versions, CRC32C, build id, and that every section
 * lies where it must. Reads no byte of the payload.
 *
 * blob_bytes: bytes that can be read at blob; they may be more than the blob has.
 * expected_bytes, expected_entries, build_id: what the code was compiled for.
 * expected_table_crc: CRC32C of the table's entries alone, so that code and blob agree on every field of every entry.
 *
 * EM_OK, EM_E_ARGUMENT, EM_E_BLOB_ALIGNMENT, EM_E_BLOB_TRUNCATED, EM_E_BLOB_MAGIC, EM_E_BLOB_CHECKSUM, EM_E_BLOB_BUILD
 * or EM_E_BLOB_TABLE.
 */
em_status em_blob_check(const void *blob, em_u64 blob_bytes, em_u64 expected_bytes, em_u32 expected_entries,
                        em_u32 expected_table_crc, const em_u8 build_id[32]);

/* SHA-256 over the payload of a blob that em_blob_check accepted. EM_E_PAYLOAD where it differs from the header's. */
em_status em_blob_verify(const void *blob);

#endif /* EM_BLOB_H */
