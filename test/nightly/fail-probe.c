/*
 * fail-probe.c - system calls on /dev/embed_model in which the Nth allocation or copy fails, for each N that there is.
 *
 *     fail-probe open|settings|statistics|text|ids|read|close
 *     fail-probe load MODULE.ko FIRST
 *
 * Needs a kernel with fault injection (Documentation/fault-injection, "fail-nth"). Prints how many there were and what the calls
 * said of them; exit code 1 where a call failed with an error that is not about memory. Loading passes on what the kernel's own
 * parts make of a failure; what it must not leave is a part of the module. It takes long: FIRST is the N that it begins with, and
 * PORTION how many are tried at most.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../templates/module/embed_model.h"

/* More than any of the calls has. */
#define MOST 20000
#define PORTION 40

static int fail_nth;

static void arm(int nth)
{
    char text[16];
    int bytes = snprintf(text, sizeof(text), "%d", nth);

    /* A failure that is still to come may hit this very write; it is the last then, and the next write is none. */
    if (pwrite(fail_nth, text, (size_t)bytes, 0) != bytes &&
        (errno != EFAULT || pwrite(fail_nth, text, (size_t)bytes, 0) != bytes)) {
        perror("fail-nth");
        exit(3);
    }
}

/* Whether a call failed inside since arm(). */
static int struck(void)
{
    char text[16] = "";
    ssize_t bytes = pread(fail_nth, text, sizeof(text) - 1, 0);
    int left = bytes > 0 ? atoi(text) : 1; /* the failure hit this very read: none was left for the call */

    arm(0);
    return left == 0;
}

static int asking(unsigned int flags)
{
    const struct embed_model_settings settings = {.flags = flags | EMBED_MODEL_IGNORE_END, .tokens = 2};
    int device = open("/dev/embed_model", O_RDWR);

    if (device < 0 || ioctl(device, EMBED_MODEL_SET_SETTINGS, &settings) != 0) {
        perror("/dev/embed_model");
        exit(3);
    }
    return device;
}

/* One call with the Nth failing: its result, negative errno where it failed; *hit: whether there were as many. */
static int call(const char *what, const char *path, int nth, int *hit)
{
    static const __s32 ids[] = {1, 2, 3};
    struct embed_model_settings settings = {.tokens = 1};
    struct embed_model_statistics statistics;
    char answer[64];
    int device = -1, file = -1;
    long result;

    if (strcmp(what, "load") == 0) {
        file = open(path, O_RDONLY);
    } else if (strcmp(what, "open") != 0) {
        device = asking(strcmp(what, "text") == 0 ? 0 : EMBED_MODEL_IDS);
    }
    if (strcmp(what, "read") == 0 && write(device, ids, sizeof(ids)) < 0) {
        return -errno;
    }
    arm(nth);
    if (strcmp(what, "open") == 0) {
        result = device = open("/dev/embed_model", O_RDWR);
    } else if (strcmp(what, "settings") == 0) {
        result = ioctl(device, EMBED_MODEL_SET_SETTINGS, &settings);
    } else if (strcmp(what, "statistics") == 0) {
        result = ioctl(device, EMBED_MODEL_GET_STATISTICS, &statistics);
    } else if (strcmp(what, "text") == 0) {
        result = write(device, "PCI device", 10);
    } else if (strcmp(what, "ids") == 0) {
        result = write(device, ids, sizeof(ids));
    } else if (strcmp(what, "read") == 0) {
        result = read(device, answer, sizeof(answer));
    } else if (strcmp(what, "close") == 0) {
        result = close(device);
        device = -1;
    } else {
        result = syscall(SYS_finit_module, file, "", 0);
    }
    result = result < 0 ? -errno : 0;
    *hit = struck();
    if (device >= 0) {
        close(device);
    }
    if (file >= 0) {
        close(file);
        if (result == 0 && syscall(SYS_delete_module, "embed_model", O_NONBLOCK) != 0) {
            perror("rmmod");
            exit(3);
        }
    }
    return (int)result;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "", *path = argc > 2 ? argv[2] : "";
    int first = argc > 3 ? atoi(argv[3]) : 1, end = argc > 3 ? first + PORTION : MOST;
    int nth, hit = 1, refused = 0, survived = 0;

    fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
    if (fail_nth < 0) {
        perror("fail-nth");
        return 3;
    }
    for (nth = first; nth < end; nth++) {
        int result = call(what, path, nth, &hit);

        if (!hit) {
            break;
        }
        if (result == 0) {
            survived++;
        } else if (result == -ENOMEM || result == -EFAULT ||
                   (strcmp(what, "load") == 0 && result != -EEXIST && result != -EBUSY)) {
            refused++;
        } else {
            printf("%s, %d: %s\n", what, nth, strerror(-result));
            return 1;
        }
    }
    printf("%s: %d failures, %d refused, %d survived\n", what, nth - first, refused, survived);
    return 0;
}
