/*
 * weights.c - a blob that is, byte for byte, the one this module was compiled for.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include "weights.h"

#include <linux/device.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "em_blob.h"
#include "em_sha256.h"
#include "names.h"
#include "signature.h"

/* Bytes that are hashed before others may run. */
#define EM_HASH_PIECE (256u << 10)

/* em_blob_verify in pieces: 100 MB take most of a second. */
static int em_weights_hash(const u8 *blob, u8 digest[EM_SHA256_BYTES])
{
    const struct em_blob_header *header = (const struct em_blob_header *)blob;
    struct em_sha256 hash;
    u64 at = header->payload_offset;

    em_sha256_init(&hash);
    while (at < header->blob_bytes) {
        u64 bytes = min_t(u64, EM_HASH_PIECE, header->blob_bytes - at);

        em_sha256_update(&hash, blob + at, bytes);
        at += bytes;
        cond_resched();
        if (fatal_signal_pending(current)) {
            return -EINTR;
        }
    }
    em_sha256_final(&hash, digest);
    return 0;
}

static int em_weights_check(const struct em_weights *weights, struct device *device)
{
    const struct em_blob_header *header = (const struct em_blob_header *)weights->data;
    u8 digest[EM_SHA256_BYTES];
    em_status status = em_blob_check(weights->data, weights->size, EM_BLOB_BYTES, EM_BLOB_ENTRIES, EM_BLOB_TABLE_CRC,
                                     em_build_id);
    int failed;

    if (status == EM_OK && weights->size != EM_BLOB_BYTES) {
        status = EM_E_BLOB_TABLE; /* bytes after its end, which no checksum covers */
    }
    if (status == EM_OK) {
        failed = em_weights_hash(weights->data, digest);
        if (failed) {
            return failed;
        }
        if (memcmp(digest, header->payload_sha256, sizeof(digest)) != 0) {
            status = EM_E_PAYLOAD;
        }
    }
    if (status != EM_OK) {
        dev_err(device, "%s: %s\n", EM_FIRMWARE_NAME, em_status_name(status));
        return -EBADMSG;
    }
    return 0;
}

#if EM_WEIGHTS_LINKED

extern const u8 em_linked_weights[], em_linked_weights_end[]; /* linked_weights.S */

static int em_weights_find(struct em_weights *weights, struct device *device)
{
    weights->data = em_linked_weights;
    weights->size = (size_t)(em_linked_weights_end - em_linked_weights);
    return 0;
}

#else

static int em_weights_find(struct em_weights *weights, struct device *device)
{
    int failed = request_firmware(&weights->firmware, EM_FIRMWARE_NAME, device);

    if (failed) {
        dev_err(device, "no weights: install model.blob as /lib/firmware/%s (error %d)\n", EM_FIRMWARE_NAME, failed);
        return failed;
    }
    weights->data = weights->firmware->data;
    weights->size = weights->firmware->size;
    return 0;
}

#endif

int em_weights_load(struct em_weights *weights, struct device *device)
{
    int failed = em_weights_find(weights, device);

    if (failed) {
        return failed;
    }
    failed = em_weights_check(weights, device);
    if (!failed) {
        failed = em_signature_check(weights, device);
    }
    if (failed) {
        em_weights_release(weights);
    }
    return failed;
}

void em_weights_release(struct em_weights *weights)
{
    release_firmware(weights->firmware);
    *weights = (struct em_weights){};
}
