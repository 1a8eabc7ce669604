/*
 * failure.h - what went wrong, for the person at the terminal and for the record stream.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_FAILURE_H
#define RUNNER_FAILURE_H

#include "em.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_INPUT = 2,        /* bad input or usage */
    EXIT_SURROUNDINGS = 3, /* memory, threads, output, clock */
    EXIT_INTERRUPTED = 130 /* 128 + SIGINT, as shells say it */
};

struct failure {
    int exit_code;
    const char *status; /* an em_status by its name, or "usage", "input", "system" */
    char message[400];
};

/* Lets the compiler check arguments against the format, which is parameter number `at`. */
#define PRINTF_LIKE(at) __attribute__((format(printf, at, at + 1)))

/* Each fills *failure and returns its exit code, so that a caller can return fail_...(...). */
int fail_usage(struct failure *failure, const char *format, ...) PRINTF_LIKE(2);
int fail_input(struct failure *failure, const char *format, ...) PRINTF_LIKE(2);

/* Adds what the operating system says of `error` (an errno value; 0: nothing). */
int fail_system(struct failure *failure, int error, const char *format, ...) PRINTF_LIKE(3);

/* A status of the library about `where`, such as the blob's path. EM_E_CANCELLED counts as an interruption. */
int fail_status(struct failure *failure, em_status status, const char *where);

#endif /* RUNNER_FAILURE_H */
