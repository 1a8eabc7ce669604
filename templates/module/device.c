/*
 * device.c - system calls on /dev/embed_model, and what sysfs says of it.
 * SPDX-License-Identifier: GPL-2.0 OR MIT
 */
#include "device.h"

#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/math64.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>

#include "names.h"
#include "opener.h"
#include "sections.h"
#include "selftest.h"

/* The one device there is. */
static struct em_device {
    struct device *root; /* what weights are loaded for, and what messages are about */
    struct em_weights weights;
    struct workqueue_struct *queue;
    struct em_totals totals;
    atomic_t sessions; /* open files */
    int limit;         /* of them */
} em_device;

/* ---- Files ----------------------------------------------------------------------------------------------------- */

struct em_opener *em_device_open(void)
{
    struct em_opener *opener;

    if (atomic_inc_return(&em_device.sessions) > em_device.limit) {
        atomic_dec(&em_device.sessions);
        return ERR_PTR(-EBUSY);
    }
    opener = em_opener_create(&em_device.weights, em_device.queue, &em_device.totals);
    if (IS_ERR(opener)) {
        atomic_dec(&em_device.sessions);
    }
    return opener;
}

void em_device_close(struct em_opener *opener)
{
    em_opener_destroy(opener);
    atomic_dec(&em_device.sessions);
}

static int em_open(struct inode *inode, struct file *file)
{
    struct em_opener *opener = em_device_open();

    if (IS_ERR(opener)) {
        return PTR_ERR(opener);
    }
    file->private_data = opener;
    return stream_open(inode, file);
}

static int em_close(struct inode *inode, struct file *file)
{
    em_device_close(file->private_data);
    return 0;
}

static ssize_t em_write(struct file *file, const char __user *from, size_t bytes, loff_t *at)
{
    struct em_opener *opener = file->private_data;
    void *prompt;
    int failed;

    if (bytes > EMBED_MODEL_PROMPT_BYTES) {
        return -EMSGSIZE;
    }
    if (bytes == 0) {
        return -EINVAL;
    }
    prompt = vmemdup_user(from, bytes);
    if (IS_ERR(prompt)) {
        return PTR_ERR(prompt);
    }
    failed = mutex_lock_interruptible(&opener->lock);
    if (!failed) {
        failed = em_opener_ask(opener, prompt, bytes);
        mutex_unlock(&opener->lock);
    }
    kvfree(prompt);
    return failed ? failed : (ssize_t)bytes;
}

/* What there is: bytes, 0 at the end, or -EAGAIN. */
static ssize_t em_read_now(struct em_opener *opener, char __user *to, size_t bytes)
{
    bool running = smp_load_acquire(&opener->running); /* before the look into the pipe: nothing comes after it */
    unsigned int copied = 0;
    int failed;

    if (!kfifo_is_empty(&opener->pipe)) {
        failed = kfifo_to_user(&opener->pipe, to, min_t(size_t, bytes, INT_MAX), &copied);
        wake_up_all(&opener->wait);
        return failed ? failed : (ssize_t)copied;
    }
    return em_opener_end(opener, running);
}

static ssize_t em_read(struct file *file, char __user *to, size_t bytes, loff_t *at)
{
    struct em_opener *opener = file->private_data;
    ssize_t result;

    if (bytes == 0) {
        return 0;
    }
    for (;;) {
        if (mutex_lock_interruptible(&opener->lock)) {
            return -ERESTARTSYS;
        }
        result = em_read_now(opener, to, bytes);
        mutex_unlock(&opener->lock);
        if (result != -EAGAIN || (file->f_flags & O_NONBLOCK)) {
            return result;
        }
        if (wait_event_interruptible(opener->wait, em_opener_readable(opener))) {
            return -ERESTARTSYS;
        }
    }
}

static __poll_t em_poll(struct file *file, poll_table *table)
{
    struct em_opener *opener = file->private_data;
    __poll_t events = 0;

    poll_wait(file, &opener->wait, table);
    if (em_opener_readable(opener)) {
        events |= EPOLLIN | EPOLLRDNORM;
    }
    if (!smp_load_acquire(&opener->running) && kfifo_is_empty(&opener->pipe)) {
        events |= EPOLLOUT | EPOLLWRNORM;
    }
    return events;
}

/* ---- ioctl ----------------------------------------------------------------------------------------------------- */

static int em_set_settings(struct em_opener *opener, const struct embed_model_settings __user *from)
{
    struct embed_model_settings settings;

    return copy_from_user(&settings, from, sizeof(settings)) ? -EFAULT : em_opener_set(opener, &settings);
}

static int em_get_statistics(struct em_opener *opener, struct embed_model_statistics __user *to)
{
    struct embed_model_statistics statistics;

    em_opener_statistics(opener, &statistics);
    return copy_to_user(to, &statistics, sizeof(statistics)) ? -EFAULT : 0;
}

static long em_control_locked(struct em_opener *opener, unsigned int request, void __user *argument)
{
    switch (request) {
    case EMBED_MODEL_GET_SETTINGS:
        return copy_to_user(argument, &opener->settings, sizeof(opener->settings)) ? -EFAULT : 0;
    case EMBED_MODEL_SET_SETTINGS:
        return em_set_settings(opener, argument);
    case EMBED_MODEL_GET_STATISTICS:
        return em_get_statistics(opener, argument);
    case EMBED_MODEL_STOP:
        em_opener_stop(opener);
        return 0;
    default:
        return -ENOTTY;
    }
}

static long em_control(struct file *file, unsigned int request, unsigned long argument)
{
    struct em_opener *opener = file->private_data;
    long result;

    if (mutex_lock_interruptible(&opener->lock)) {
        return -ERESTARTSYS;
    }
    result = em_control_locked(opener, request, (void __user *)argument);
    mutex_unlock(&opener->lock);
    return result;
}

/* ---- sysfs ----------------------------------------------------------------------------------------------------- */

#define EM_SHOW(name, format, value)                                                                        \
    static ssize_t name##_show(struct device *device, struct device_attribute *attribute, char *page)       \
    {                                                                                                       \
        return sysfs_emit(page, format "\n", value);                                                        \
    }                                                                                                       \
    static DEVICE_ATTR_RO(name)

/* Tokens a thousand seconds: integers with three digits after the point to come. */
static u64 em_tokens_per_1000_s(void)
{
    u64 ns = (u64)atomic64_read(&em_device.totals.tokens_ns), us = div_u64(ns, 1000);

    return us == 0 ? 0 : div64_u64((u64)atomic64_read(&em_device.totals.tokens) * 1000000000u, us);
}

static ssize_t tokens_per_second_show(struct device *device, struct device_attribute *attribute, char *page)
{
    u32 thousandths;
    u64 whole = div_u64_rem(em_tokens_per_1000_s(), 1000, &thousandths);

    return sysfs_emit(page, "%llu.%03u\n", whole, thousandths);
}
static DEVICE_ATTR_RO(tokens_per_second);

EM_SHOW(model, "%s", EM_MODEL_NAME);
EM_SHOW(target, "%s", EM_TARGET_NAME);
EM_SHOW(plan, "%s", EM_PLAN_NAME);
EM_SHOW(build_id, "%s", EM_BUILD_NAME);
EM_SHOW(context, "%u", EM_CONTEXT);
EM_SHOW(blob_bytes, "%u", EM_BLOB_BYTES);
EM_SHOW(arena_bytes, "%u", EM_ARENA_BYTES);
EM_SHOW(simd, "%d", em_sections_usable());
EM_SHOW(longest_section_ns, "%llu", em_sections_longest_ns());
EM_SHOW(sessions, "%d", atomic_read(&em_device.sessions));
EM_SHOW(session_limit, "%d", em_device.limit);
EM_SHOW(prompt_tokens, "%lld", atomic64_read(&em_device.totals.prompt_tokens));
EM_SHOW(tokens, "%lld", atomic64_read(&em_device.totals.tokens));

static struct attribute *em_attrs[] = {
    &dev_attr_model.attr,
    &dev_attr_target.attr,
    &dev_attr_plan.attr,
    &dev_attr_build_id.attr,
    &dev_attr_context.attr,
    &dev_attr_blob_bytes.attr,
    &dev_attr_arena_bytes.attr,
    &dev_attr_simd.attr,
    &dev_attr_longest_section_ns.attr,
    &dev_attr_sessions.attr,
    &dev_attr_session_limit.attr,
    &dev_attr_prompt_tokens.attr,
    &dev_attr_tokens.attr,
    &dev_attr_tokens_per_second.attr,
    NULL,
};
ATTRIBUTE_GROUPS(em);

/* ---- Device ---------------------------------------------------------------------------------------------------- */

static const struct file_operations em_operations = {
    .owner = THIS_MODULE,
    .open = em_open,
    .release = em_close,
    .write = em_write,
    .read = em_read,
    .poll = em_poll,
    .unlocked_ioctl = em_control,
    .compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice em_misc = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "embed_model",
    .fops = &em_operations,
    .mode = 0600,
    .groups = em_groups,
};

/* The device appears when its weights are checked: nothing can be opened before. */
static int em_device_prepare(bool selftest)
{
    int failed = em_weights_load(&em_device.weights, em_device.root);

    if (failed) {
        return failed;
    }
    if (selftest) {
        failed = em_selftest(&em_device.weights, em_device.root);
    }
    if (!failed) {
        em_misc.parent = em_device.root;
        failed = misc_register(&em_misc);
    }
    if (failed) {
        em_weights_release(&em_device.weights);
    }
    return failed;
}

int em_device_register(unsigned int sessions, bool selftest)
{
    int failed;

    em_device.limit = (int)sessions;
    em_device.root = root_device_register("embed_model");
    if (IS_ERR(em_device.root)) {
        return PTR_ERR(em_device.root);
    }
    em_device.queue = alloc_workqueue("embed_model", WQ_UNBOUND | WQ_CPU_INTENSIVE, (int)sessions);
    failed = em_device.queue ? em_device_prepare(selftest) : -ENOMEM;
    if (failed) {
        if (em_device.queue) {
            destroy_workqueue(em_device.queue);
        }
        root_device_unregister(em_device.root);
        return failed;
    }
    dev_info(em_device.root, "%s, %s, build %s: %u bytes of weights, %u a session\n", EM_MODEL_NAME, EM_TARGET_NAME,
             EM_BUILD_NAME, EM_BLOB_BYTES, EM_ARENA_BYTES);
    return 0;
}

void em_device_unregister(void)
{
    misc_deregister(&em_misc);
    destroy_workqueue(em_device.queue);
    em_weights_release(&em_device.weights);
    root_device_unregister(em_device.root);
}
