/*
 * runner_driver.c - the parts of the runner that need no model, each behind a command.
 *
 *     options ARGUMENT...        the parsed command line, a field a line; or what is wrong with it
 *     q16 HIGH TEXT...           each decimal in Q16, or "no"
 *     records FILE               a token record for each text of FILE (u32 length, bytes), then extreme values
 *     durations NS...            total min p50 p90 p99 max
 *     pool THREADS JOBS          runs jobs of 0 to 40 tasks; fails where one did not run exactly once
 *     meet THREADS JOBS          runs jobs whose tasks end only when as many as there are threads run at once
 *     blob PATH CAPACITY         bytes, CRC32C and whether it was mapped; or what is wrong
 *     peak BYTES                 peak resident set after BYTES were touched
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "blob_source.h"
#include "clock.h"
#include "em_crc32c.h"
#include "options.h"
#include "peak_memory.h"
#include "pool.h"
#include "records.h"

/* The library's, which this program does without. */
const char *em_status_name(em_status status)
{
    return status == EM_E_BLOB_BUILD ? "EM_E_BLOB_BUILD" : "?";
}

static int complain(const struct failure *failure)
{
    printf("%s: %s\n", failure->status, failure->message);
    return failure->exit_code;
}

static int run_options(int argc, char **argv)
{
    struct options o;
    struct failure failure;

    if (parse_options(&o, argc, argv, &failure) != 0) {
        return complain(&failure);
    }
    printf("blob=%s\nprompt=%s\nids=%s\n", o.blob ? o.blob : "-", o.prompt ? o.prompt : "-", o.ids ? o.ids : "-");
    printf("tokens=%u\nthreads=%u\nchunk=%u\n", o.tokens, o.threads, o.chunk);
    printf("temperature=%u\ntop_k=%u\ntop_p=%u\nseed=%" PRIu64 "\n", o.temperature_q16, o.top_k, o.top_p_q16, o.seed);
    printf("records=%u\ndigest=%u\nno_verify=%u\n", o.records, o.digest, o.no_verify);
    printf("help=%u\nversion=%u\n", o.help, o.version);
    printf("trace=%s\nlogits=%s\n", o.trace ? o.trace : "-", o.logits ? o.logits : "-");
    printf("ids_file=%s\n", o.ids_file ? o.ids_file : "-");
    printf("window=%u\nfirst_window=%u\nwindows=%u\n", o.window, o.first_window, o.windows);
    return 0;
}

static int run_q16(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        em_u32 q16;

        if (parse_q16(argv[i], (em_u32)strtoul(argv[1], NULL, 10), &q16)) {
            printf("%u\n", q16);
        } else {
            printf("no\n");
        }
    }
    return 0;
}

static int run_records(const char *path)
{
    static const em_i32 ids[3] = {0, 7, 2147483647};
    static const em_u8 bytes[4] = {0x00, 0x9f, 0xf0, 0xff};
    static char text[RECORD_BYTES];
    struct records records;
    FILE *file = fopen(path, "rb");
    em_u32 length, index = 0;

    records_open(&records, stdout);
    while (file != NULL && fread(&length, sizeof(length), 1, file) == 1 && length <= sizeof(text) &&
           fread(text, 1, length, file) == length) {
        record_begin(&records, "token");
        record_integer(&records, "index", index++);
        record_integer(&records, "id", 5);
        record_integer(&records, "ns", 9007199254740991u);
        record_text(&records, "text", text, length);
        if (record_end(&records) != 0) {
            return 3;
        }
    }
    record_begin(&records, "prompt");
    record_integer(&records, "first", 0);
    record_ids(&records, "ids", ids, 3);
    (void)record_end(&records);
    record_begin(&records, "digest");
    record_integer(&records, "positions", 1);
    record_digest(&records, "value", 0x0123456789abcdefu);
    (void)record_end(&records);
    record_begin(&records, "other");
    record_integer(&records, "most", ~(em_u64)0);
    record_hex(&records, "hex", bytes, sizeof(bytes));
    (void)record_end(&records);
    /* A record that does not fit is an error, never a record cut short. */
    memset(text, '*', sizeof(text));
    record_begin(&records, "token");
    record_text(&records, "text", text, sizeof(text));
    length = record_end(&records) != 0;
    fclose(file);
    return length ? 0 : 4;
}

static int run_durations(int argc, char **argv)
{
    em_u64 ns[64];
    em_u32 count = 0;
    struct durations d;

    for (int i = 1; i < argc && count < 64; i++) {
        ns[count++] = strtoull(argv[i], NULL, 10);
    }
    d = describe_durations(ns, count);
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " ", d.total, d.min, d.p50);
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", d.p90, d.p99, d.max);
    return now_ns() == 0;
}

struct job {
    em_u32 number;
    em_u32 ran[40]; /* plain memory: a race on it is for ThreadSanitizer to find */
};

static void run_task(void *arg, em_u32 index)
{
    struct job *job = arg;

    job->ran[index]++;
    for (em_u32 spin = 0; spin < (job->number * 7 + index) % 50; spin++) { /* tasks of different lengths */
        atomic_signal_fence(memory_order_seq_cst);
    }
}

static int run_pool(const char *threads, const char *jobs)
{
    struct pool *pool = NULL;
    struct failure failure;
    em_u64 total = 0;
    em_u32 last = (em_u32)strtoul(jobs, NULL, 10);

    if (pool_open(&pool, (em_u32)strtoul(threads, NULL, 10), &failure) != 0) {
        return complain(&failure);
    }
    for (em_u32 number = 0; number < last; number++) {
        struct job job = {number, {0}};
        em_u32 count = number * 13 % 41;

        pool_run(pool, run_task, &job, count);
        for (em_u32 i = 0; i < 40; i++) {
            if (job.ran[i] != (i < count)) {
                printf("job %u: task %u of %u ran %u times\n", number, i, count, job.ran[i]);
                return 1;
            }
            total += job.ran[i];
        }
    }
    pool_close(pool);
    printf("%" PRIu64 "\n", total);
    return 0;
}

struct meeting {
    em_u32 members;
    _Atomic em_u32 present;
};

static void meet(void *arg, em_u32 index)
{
    struct meeting *meeting = arg;

    (void)index;
    atomic_fetch_add(&meeting->present, 1);
    while (atomic_load(&meeting->present) < meeting->members) {
        sched_yield();
    }
}

/* Every other job comes after a pause in which the threads fall asleep. */
static int run_meetings(const char *threads, const char *jobs)
{
    const struct timespec pause = {0, 5000000};
    struct pool *pool = NULL;
    struct failure failure;
    em_u32 members = (em_u32)strtoul(threads, NULL, 10), last = (em_u32)strtoul(jobs, NULL, 10);

    if (pool_open(&pool, members, &failure) != 0) {
        return complain(&failure);
    }
    for (em_u32 number = 0; number < last; number++) {
        struct meeting meeting = {members, 0};

        if (number % 2 == 0) {
            nanosleep(&pause, NULL);
        }
        pool_run(pool, meet, &meeting, members);
    }
    pool_close(pool);
    printf("met\n");
    return 0;
}

static int run_blob(const char *path, const char *capacity)
{
    struct blob_source blob;
    struct failure failure;
    int failed = blob_open(&blob, path, strtoull(capacity, NULL, 10), &failure);

    if (failed) {
        blob_close(&blob);
        return complain(&failure);
    }
    printf("%" PRIu64 " %08x ", blob.bytes, em_crc32c(0, blob.data, blob.bytes));
    printf("%s\n", blob.mapping != NULL ? "mapped" : "copied");
    failed = ((em_uptr)blob.data & (EM_ALIGNMENT - 1u)) != 0;
    blob_close(&blob);
    return failed;
}

static int run_peak(const char *bytes)
{
    size_t count = strtoul(bytes, NULL, 10);
    volatile char *memory = malloc(count);

    for (size_t i = 0; memory != NULL && i < count; i += 512) {
        memory[i] = 1;
    }
    printf("%" PRIu64 "\n", peak_rss_bytes());
    free((void *)memory);
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (strcmp(command, "options") == 0) {
        return run_options(argc - 1, argv + 1);
    }
    if (strcmp(command, "q16") == 0 && argc > 2) {
        return run_q16(argc - 1, argv + 1);
    }
    if (strcmp(command, "records") == 0 && argc == 3) {
        return run_records(argv[2]);
    }
    if (strcmp(command, "durations") == 0) {
        return run_durations(argc - 1, argv + 1);
    }
    if (strcmp(command, "pool") == 0 && argc == 4) {
        return run_pool(argv[2], argv[3]);
    }
    if (strcmp(command, "meet") == 0 && argc == 4) {
        return run_meetings(argv[2], argv[3]);
    }
    if (strcmp(command, "blob") == 0 && argc == 4) {
        return run_blob(argv[2], argv[3]);
    }
    if (strcmp(command, "peak") == 0 && argc == 3) {
        return run_peak(argv[2]);
    }
    return 2;
}
