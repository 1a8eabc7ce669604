/*
 * planted-bugs.c - mistakes that a debug kernel must report: what it says nothing of elsewhere is then worth something.
 *
 *     insmod planted-bugs.ko bug=leak|locks|sleep|bounds
 *
 * Loading always fails, with ECANCELED.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *bug = "";
module_param(bug, charp, 0444);

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);
static volatile char sink;

static void take(struct mutex *outer, struct mutex *inner)
{
    mutex_lock(outer);
    mutex_lock(inner);
    mutex_unlock(inner);
    mutex_unlock(outer);
}

static int __init plant(void)
{
    volatile char *bytes = kmalloc(100, GFP_KERNEL);

    if (!bytes) {
        return -ENOMEM;
    }
    if (strcmp(bug, "leak") == 0) {
        bytes = NULL;
    } else if (strcmp(bug, "bounds") == 0) {
        sink = bytes[100];
    } else if (strcmp(bug, "sleep") == 0) {
        spin_lock(&spin);
        might_sleep();
        spin_unlock(&spin);
    } else if (strcmp(bug, "locks") == 0) {
        take(&first, &second);
        take(&second, &first);
    }
    kfree((void *)bytes);
    return -ECANCELED;
}

module_init(plant);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("mistakes on purpose");
