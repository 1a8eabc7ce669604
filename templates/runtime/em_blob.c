/*
 * em_blob.c - refuses every blob that is not, byte for byte, the one this code was compiled for.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_blob.h"
#include "em_crc32c.h"
#include "em_sha256.h"

#define EM_CRC_OFFSET ((em_u64)__builtin_offsetof(struct em_blob_header, header_crc32c))
#define EM_CRC_BYTES ((em_u64)sizeof(((struct em_blob_header *)0)->header_crc32c))

EM_INLINE em_u64 em_align_up(em_u64 value)
{
    return (value + (EM_ALIGNMENT - 1u)) & ~(em_u64)(EM_ALIGNMENT - 1u);
}

EM_NOINLINE static em_u32 em_bytes_equal(const em_u8 *a, const em_u8 *b, em_u32 count)
{
    for (em_u32 i = 0; i < count; i++) {
        if (a[i] != b[i]) {
            return 0;
        }
    }
    return 1;
}

EM_NOINLINE static em_u32 em_bytes_zero(const em_u8 *bytes, em_u32 count)
{
    for (em_u32 i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return 0;
        }
    }
    return 1;
}

/* CRC32C of header, table and padding, the checksum's own field taken as zero. */
static em_u32 em_blob_header_crc(const struct em_blob_header *header)
{
    static const em_u8 zero[EM_CRC_BYTES];
    const em_u8 *blob = (const em_u8 *)header;
    em_u64 rest = EM_CRC_OFFSET + EM_CRC_BYTES;
    em_u32 crc = em_crc32c(0, blob, EM_CRC_OFFSET);

    crc = em_crc32c(crc, zero, EM_CRC_BYTES);
    return em_crc32c(crc, blob + rest, header->payload_offset - rest);
}

/* Header fields that must hold before anything beyond the header may be read. */
static em_status em_blob_check_header(const struct em_blob_header *header, em_u64 blob_bytes)
{
    em_u64 table_end = sizeof(*header) + (em_u64)header->entries * sizeof(struct em_blob_entry);

    if (!em_bytes_equal((const em_u8 *)header->magic, (const em_u8 *)EM_BLOB_MAGIC, sizeof(header->magic)) ||
        header->abi_version != EM_ABI_VERSION || header->header_bytes != sizeof(*header) ||
        header->entry_bytes != sizeof(struct em_blob_entry)) {
        return EM_E_BLOB_MAGIC;
    }
    if (header->payload_offset != em_align_up(table_end)) {
        return EM_E_BLOB_TABLE;
    }
    if (header->payload_offset > blob_bytes) {
        return EM_E_BLOB_TRUNCATED;
    }
    if (header->header_crc32c != em_blob_header_crc(header)) {
        return EM_E_BLOB_CHECKSUM;
    }
    if (header->blob_bytes > blob_bytes) {
        return EM_E_BLOB_TRUNCATED;
    }
    if (!em_bytes_zero(header->reserved, sizeof(header->reserved)) ||
        header->blob_bytes != em_align_up(header->blob_bytes)) {
        return EM_E_BLOB_TABLE;
    }
    return EM_OK;
}

/* Every section starts where the one before ends, rounded up; the last one ends with the blob. */
static em_status em_blob_check_entries(const struct em_blob_header *header)
{
    const struct em_blob_entry *entry = em_blob_entries(header);
    em_u64 end = header->payload_offset;

    for (em_u32 i = 0; i < header->entries; i++, entry++) {
        if (entry->name[0] == 0 || entry->name[EM_BLOB_NAME_BYTES - 1u] != 0 || entry->least_exponent > 255u ||
            !em_bytes_zero(entry->padding, sizeof(entry->padding))) {
            return EM_E_BLOB_TABLE;
        }
        if (entry->offset != end || entry->bytes == 0 || entry->bytes > header->blob_bytes - end) {
            return EM_E_BLOB_TABLE;
        }
        end = em_align_up(end + entry->bytes); /* at most blob_bytes, a multiple of the alignment itself */
    }
    return end == header->blob_bytes ? EM_OK : EM_E_BLOB_TABLE;
}

em_status em_blob_check(const void *blob, em_u64 blob_bytes, em_u64 expected_bytes, em_u32 expected_entries,
                        em_u32 expected_table_crc, const em_u8 build_id[32])
{
    const struct em_blob_header *header = (const struct em_blob_header *)blob;
    em_u64 table_bytes = (em_u64)expected_entries * sizeof(struct em_blob_entry);
    em_status status;

    if (blob == EM_NULL || build_id == EM_NULL) {
        return EM_E_ARGUMENT;
    }
    if (((em_uptr)blob & (EM_ALIGNMENT - 1u)) != 0) {
        return EM_E_BLOB_ALIGNMENT;
    }
    if (blob_bytes < sizeof(*header)) {
        return EM_E_BLOB_TRUNCATED;
    }
    status = em_blob_check_header(header, blob_bytes);
    if (status != EM_OK) {
        return status;
    }
    if (!em_bytes_equal(header->build_id, build_id, sizeof(header->build_id))) {
        return EM_E_BLOB_BUILD;
    }
    if (header->blob_bytes != expected_bytes || header->entries != expected_entries ||
        em_crc32c(0, em_blob_entries(blob), table_bytes) != expected_table_crc) {
        return EM_E_BLOB_TABLE;
    }
    return em_blob_check_entries(header);
}

em_status em_blob_verify(const void *blob)
{
    const struct em_blob_header *header = (const struct em_blob_header *)blob;
    struct em_sha256 hash;
    em_u8 digest[EM_SHA256_BYTES];

    em_sha256_init(&hash);
    em_sha256_update(&hash, (const em_u8 *)blob + header->payload_offset, header->blob_bytes - header->payload_offset);
    em_sha256_final(&hash, digest);
    return em_bytes_equal(digest, header->payload_sha256, EM_SHA256_BYTES) ? EM_OK : EM_E_PAYLOAD;
}
