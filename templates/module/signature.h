/*
 * signature.h - weights by somebody who is trusted, where a certificate is built into the module: signer.x509 in its folder.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#ifndef EM_SIGNATURE_H
#define EM_SIGNATURE_H

#include "weights.h"

#ifdef EM_SIGNED

#define EM_SIGNATURE_NAME EM_FIRMWARE_NAME ".p7s"

/*
 * Checks the detached PKCS#7 signature EM_SIGNATURE_NAME of the weights against the built-in certificate. -ENOENT where there is
 * none, -EKEYREJECTED where it is not over these weights, -ENOKEY where somebody else made it, -EBADMSG where it is none.
 */
int em_signature_check(const struct em_weights *weights, struct device *device);

#else

static inline int em_signature_check(const struct em_weights *weights, struct device *device)
{
    return 0;
}

#endif

#endif /* EM_SIGNATURE_H */
