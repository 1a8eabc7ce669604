/*
 * weights.h - the blob of the model, held where the firmware loader or the module loader put it.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#ifndef EM_WEIGHTS_H
#define EM_WEIGHTS_H

#include <linux/firmware.h>

#include "model.h"

struct em_weights {
    const u8 *data; /* of EM_BLOB_BYTES */
    size_t size;
    const struct firmware *firmware; /* whose data that is; NULL where the weights are linked into the module */
};

/*
 * Loads EM_FIRMWARE_NAME and checks header, table and SHA-256. Nothing is copied. -ENOENT where there is no such file,
 * -EBADMSG where it is not the blob of this module or damaged, -EINTR where the process was killed. Where a certificate is built in,
 * what em_signature_check returns.
 */
int em_weights_load(struct em_weights *weights, struct device *device);
void em_weights_release(struct em_weights *weights);

#endif /* EM_WEIGHTS_H */
