/*
 * selftest.h - the golden runs, in the kernel.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#ifndef EM_SELFTEST_H
#define EM_SELFTEST_H

#include "weights.h"

/* Runs em_goldens and compares tokens and digests. -EIO where they differ, -EINTR where the process was killed. */
int em_selftest(const struct em_weights *weights, struct device *device);

#endif /* EM_SELFTEST_H */
