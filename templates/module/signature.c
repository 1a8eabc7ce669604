/*
 * signature.c - a keyring with one key, the certificate that was built in, and PKCS#7 as the kernel checks it.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include "signature.h"

#include <linux/cred.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/key.h>
#include <linux/verification.h>

#include "names.h"

extern const u8 em_signer[], em_signer_end[]; /* signer.S */

/* A keyring that nobody else sees, or ERR_PTR. */
static struct key *em_signer_keyring(void)
{
    const key_perm_t view = (KEY_POS_ALL & ~KEY_POS_SETATTR) | KEY_USR_VIEW;
    struct key *keyring = keyring_alloc(".embed_model", GLOBAL_ROOT_UID, GLOBAL_ROOT_GID, current_cred(), view,
                                        KEY_ALLOC_NOT_IN_QUOTA, NULL, NULL);
    key_ref_t key;

    if (IS_ERR(keyring)) {
        return keyring;
    }
    key = key_create_or_update(make_key_ref(keyring, true), "asymmetric", NULL, em_signer,
                               (size_t)(em_signer_end - em_signer), view, KEY_ALLOC_NOT_IN_QUOTA);
    if (IS_ERR(key)) {
        key_put(keyring);
        return ERR_CAST(key);
    }
    key_ref_put(key);
    return keyring;
}

int em_signature_check(const struct em_weights *weights, struct device *device)
{
    const struct firmware *signature;
    struct key *keyring;
    int failed = request_firmware(&signature, EM_SIGNATURE_NAME, device);

    if (failed) {
        dev_err(device, "weights are not signed: no /lib/firmware/%s (error %d)\n", EM_SIGNATURE_NAME, failed);
        return failed;
    }
    keyring = em_signer_keyring();
    failed = PTR_ERR_OR_ZERO(keyring);
    if (!failed) {
        failed = verify_pkcs7_signature(weights->data, weights->size, signature->data, signature->size, keyring,
                                        VERIFYING_UNSPECIFIED_SIGNATURE, NULL, NULL);
        key_put(keyring);
    }
    release_firmware(signature);
    if (failed) {
        dev_err(device, "signature of the weights is refused (error %d)\n", failed);
    } else {
        dev_info(device, "signature of the weights is good\n");
    }
    return failed;
}
