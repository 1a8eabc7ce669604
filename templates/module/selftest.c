/*
 * selftest.c - equal digests mean that every logit of every position is equal.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include "selftest.h"

#include <linux/device.h>
#include <linux/errno.h>

#include "generation.h"
#include "golden.h"

/* -EIO at the first token that differs. */
static int em_run_golden(struct em_generation *generation, const struct em_golden *golden, struct device *device)
{
    em_status status;
    u32 i;

    generation->sampler = golden->sampler;
    em_generation_reset(generation, golden->seed, true);
    status = em_generation_prompt(generation, golden->prompt, golden->prompt_count);
    for (i = 0; status == EM_OK && i < golden->count; i++) {
        status = em_generation_next(generation);
        if (status == EM_OK && generation->id != golden->ids[i]) {
            dev_err(device, "self-test: token %u is %d, not %d\n", i, generation->id, golden->ids[i]);
            return -EIO;
        }
    }
    if (status == EM_E_CANCELLED) {
        return -EINTR;
    }
    if (status != EM_OK) {
        dev_err(device, "self-test: %s\n", em_status_name(status));
        return -EIO;
    }
    return 0;
}

int em_selftest(const struct em_weights *weights, struct device *device)
{
    struct em_generation generation = {};
    int failed = em_generation_open(&generation, weights);
    u32 i;

    for (i = 0; !failed && i < EM_GOLDENS; i++) {
        const struct em_golden *golden = &em_goldens[i];

        failed = em_run_golden(&generation, golden, device);
        if (!failed && generation.digest != golden->digest) {
            dev_err(device, "self-test: logits %016llx, not %016llx\n", (u64)generation.digest, (u64)golden->digest);
            failed = -EIO;
        }
        if (!failed) {
            dev_info(device, "self-test: logits %016llx of %u positions, as golden\n", generation.digest,
                     generation.positions);
        }
    }
    em_generation_close(&generation);
    return failed;
}
