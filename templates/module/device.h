/*
 * device.h - /dev/embed_model and its folder in sysfs.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#ifndef EM_DEVICE_H
#define EM_DEVICE_H

#include "weights.h"

struct em_opener;

/*
 * Loads the weights, runs the self-test where asked, and registers the device. sessions: how many files may be open at a
 * time. 0 or -errno.
 */
int em_device_register(unsigned int sessions, bool selftest);

/* One more conversation. ERR_PTR(-EBUSY) where there are as many as may be, ERR_PTR(-ENOMEM). */
struct em_opener *em_device_open(void);
void em_device_close(struct em_opener *opener);

/* No file is open: the module cannot be unloaded before. */
void em_device_unregister(void);

#endif /* EM_DEVICE_H */
