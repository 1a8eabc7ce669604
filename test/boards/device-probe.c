/*
 * device-probe.c - asks /dev/embed_model in ways that programs seldom do.
 *
 *     device-probe readers N    three processes read the answer of one open file
 *     device-probe signals N    a timer interrupts the reads of an answer
 *
 * Both compare the N token ids with those that one undisturbed reader gets.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../templates/module/embed_model.h"

#define READERS 3
#define MOST 512

static int failed(const char *what)
{
    perror(what);
    return 1;
}

/* A file whose answer has begun; -1. */
static int ask(unsigned int tokens)
{
    const struct embed_model_settings settings = {
        .flags = EMBED_MODEL_IDS | EMBED_MODEL_IGNORE_END, .tokens = tokens};
    const __s32 prompt[] = {1, 2, 3};
    int device = open("/dev/embed_model", O_RDWR);

    if (device >= 0 && ioctl(device, EMBED_MODEL_SET_SETTINGS, &settings) == 0 &&
        write(device, prompt, sizeof(prompt)) == sizeof(prompt)) {
        return device;
    }
    return -1;
}

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

/* All ids of an answer; how many reads a signal interrupted in *interrupted. */
static int read_ids(int device, __s32 *ids, int *interrupted)
{
    int count = 0;

    for (;;) {
        ssize_t bytes = read(device, ids + count, sizeof(*ids));

        if (bytes == (ssize_t)sizeof(*ids) && count < MOST - 1) {
            count++;
        } else if (bytes < 0 && errno == EINTR) {
            ++*interrupted;
        } else {
            return bytes == 0 ? count : -1;
        }
    }
}

static int compare_ids(const void *a, const void *b)
{
    return *(const __s32 *)a - *(const __s32 *)b;
}

/* Each reader sends what it got through a pipe; together they must have every id once. */
static int readers(int device, const __s32 *expected, int count)
{
    __s32 sorted[MOST], ids[MOST];
    int pipes[2], all = 0, none = 0, status, i;

    if (pipe(pipes) != 0) {
        return failed("pipe");
    }
    for (i = 0; i < READERS; i++) {
        if (fork() == 0) {
            int mine = read_ids(device, ids, &none);
            size_t bytes = mine < 0 ? 0 : (size_t)mine * sizeof(*ids);
            _exit(mine < 0 || write(pipes[1], ids, bytes) != (ssize_t)bytes);
        }
    }
    for (i = 0; i < READERS; i++) {
        if (wait(&status) < 0 || status != 0) {
            return failed("reader");
        }
    }
    close(pipes[1]);
    all = (int)(read(pipes[0], ids, sizeof(ids)) / (ssize_t)sizeof(*ids));
    memcpy(sorted, expected, (size_t)count * sizeof(*sorted));
    qsort(sorted, (size_t)count, sizeof(*sorted), compare_ids);
    qsort(ids, (size_t)all, sizeof(*ids), compare_ids);
    printf("%d ids by %d readers, %s one\n", all, READERS,
           all == count && memcmp(ids, sorted, (size_t)count * sizeof(*ids)) == 0 ? "as by" : "not as by");
    return 0;
}

static int signals(int device, const __s32 *expected, int count)
{
    const struct itimerval often = {.it_interval = {.tv_usec = 3000}, .it_value = {.tv_usec = 3000}}, never = {0};
    struct sigaction action = {.sa_handler = on_alarm};
    __s32 ids[MOST];
    int interrupted = 0, got;

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    got = read_ids(device, ids, &interrupted);
    setitimer(ITIMER_REAL, &never, NULL);
    printf("%d ids, interrupted %d times, %s without\n", got, interrupted,
           got == count && memcmp(ids, expected, (size_t)count * sizeof(*ids)) == 0 ? "as" : "not as");
    return 0;
}

int main(int argc, char **argv)
{
    __s32 expected[MOST];
    int count, none = 0, device = ask((unsigned int)(argc == 3 ? atoi(argv[2]) : 0));

    if (device < 0) {
        return failed("/dev/embed_model");
    }
    count = read_ids(device, expected, &none);
    close(device);
    device = ask((unsigned int)atoi(argv[2]));
    if (count < 0 || device < 0) {
        return failed("answer");
    }
    return strcmp(argv[1], "readers") == 0 ? readers(device, expected, count) : signals(device, expected, count);
}
