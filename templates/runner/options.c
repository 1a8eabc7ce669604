/*
 * options.c - one table of options, and numbers parsed without floating point.
 * SPDX-License-Identifier: MIT-0
 */
#include "options.h"

#include "blob_source.h"

#include <stddef.h>
#include <string.h>

#define Q16_ONE 65536u
#define TEMPERATURE_HIGH 1000u
#define FRACTION_DIGITS 14u /* 10^14 x 2^17 is below 2^64 */
#define TOKENS_DEFAULT 64u
#define THREADS_HIGH 1024u

enum option_kind { FLAG, TEXT, U32, U64, Q16 };

struct option {
    const char *name;
    enum option_kind kind;
    size_t field; /* offset in struct options */
    em_u32 low;   /* U32 */
    em_u32 high;  /* U32; Q16: in whole units */
};

#define FIELD(name) offsetof(struct options, name)

static const struct option table[] = {
    {"--prompt", TEXT, FIELD(prompt), 0, 0},
    {"--ids", TEXT, FIELD(ids), 0, 0},
    {"--tokens", U32, FIELD(tokens), 0, 0x7fffffff},
    {"--threads", U32, FIELD(threads), 0, THREADS_HIGH},
    {"--temperature", Q16, FIELD(temperature_q16), 0, TEMPERATURE_HIGH},
    {"--top-k", U32, FIELD(top_k), 0, 0x7fffffff},
    {"--top-p", Q16, FIELD(top_p_q16), 0, 1},
    {"--seed", U64, FIELD(seed), 0, 0},
    {"--chunk", U32, FIELD(chunk), 1, 0x7fffffff},
    {"--records", FLAG, FIELD(records), 0, 0},
    {"--digest", FLAG, FIELD(digest), 0, 0},
    {"--no-digest", FLAG, FIELD(no_digest), 0, 0},
    {"--no-verify", FLAG, FIELD(no_verify), 0, 0},
    {"--ignore-end", FLAG, FIELD(ignore_end), 0, 0},
    {"--slide", FLAG, FIELD(slide), 0, 0},
    {"--trace", TEXT, FIELD(trace), 0, 0},
    {"--logits", TEXT, FIELD(logits), 0, 0},
    {"--ids-file", TEXT, FIELD(ids_file), 0, 0},
    {"--window", U32, FIELD(window), 1, 0x7fffffff},
    {"--first-window", U32, FIELD(first_window), 0, 0x7fffffff},
    {"--windows", U32, FIELD(windows), 1, 0x7fffffff},
    {"--help", FLAG, FIELD(help), 0, 0},
    {"--version", FLAG, FIELD(version), 0, 0},
};

int parse_integer(const char *text, em_u64 low, em_u64 high, em_u64 *value)
{
    em_u64 sum = 0;

    if (*text == 0) {
        return 0;
    }
    for (; *text != 0; text++) {
        em_u64 digit = (em_u64)(unsigned char)*text - '0';

        if (digit > 9 || sum > (~(em_u64)0 - digit) / 10) {
            return 0;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return sum >= low && sum <= high;
}

int parse_q16(const char *text, em_u32 high, em_u32 *q16)
{
    em_u64 whole = 0, fraction = 0, unit = 1; /* the value is whole + fraction / unit */
    em_u32 digits = 0, decimals = 0;
    em_u64 result;

    for (; *text >= '0' && *text <= '9'; text++, digits++) {
        whole = whole * 10 + (em_u64)(*text - '0');
        if (whole > high) {
            return 0;
        }
    }
    if (*text == '.') {
        for (text++; *text >= '0' && *text <= '9'; text++, decimals++) {
            if (decimals == FRACTION_DIGITS) {
                return 0;
            }
            fraction = fraction * 10 + (em_u64)(*text - '0');
            unit *= 10;
        }
    }
    if (*text != 0 || digits + decimals == 0) {
        return 0;
    }
    result = whole * Q16_ONE + (fraction * Q16_ONE * 2 + unit) / (unit * 2);
    if (whole * unit + fraction > high * unit) {
        return 0;
    }
    *q16 = (em_u32)result;
    return 1;
}

/* Stores the value of an option. */
static int set_value(struct options *options, const struct option *option, const char *value, struct failure *failure)
{
    void *field = (char *)options + option->field;
    em_u64 number;

    switch (option->kind) {
    case FLAG:
        *(em_u32 *)field = 1;
        return 0;
    case TEXT:
        *(const char **)field = value;
        return 0;
    case U32:
        if (!parse_integer(value, option->low, option->high, &number)) {
            return fail_usage(failure, "%s takes an integer from %u to %u, not '%s'", option->name, option->low,
                              option->high, value);
        }
        *(em_u32 *)field = (em_u32)number;
        return 0;
    case U64:
        if (!parse_integer(value, 0, ~(em_u64)0, (em_u64 *)field)) {
            return fail_usage(failure, "%s takes an integer from 0 to 2^64 - 1, not '%s'", option->name, value);
        }
        return 0;
    case Q16:
        if (!parse_q16(value, option->high, (em_u32 *)field)) {
            return fail_usage(failure, "%s takes a decimal from 0 to %u, at most %u digits after the point, not '%s'",
                              option->name, option->high, FRACTION_DIGITS, value);
        }
        return 0;
    }
    return 0;
}

static const struct option *find_option(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strlen(table[i].name) == length && strncmp(table[i].name, name, length) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* What must hold between options. */
static int check_together(struct options *options, struct failure *failure)
{
    if (options->help || options->version) {
        return 0;
    }
    if (options->blob == NULL && !blob_is_embedded()) {
        return fail_usage(failure, "no blob: em-run model.blob [options], or em-run --help");
    }
    if (options->blob != NULL && blob_is_embedded()) {
        return fail_usage(failure, "'%s' cannot be used: this program holds its weights", options->blob);
    }
    if (options->logits != NULL) {
        if (options->ids_file == NULL || options->window == 0) {
            return fail_usage(failure, "--logits needs --ids-file and --window");
        }
        if (options->prompt != NULL || options->ids != NULL || options->records || options->digest) {
            return fail_usage(failure, "--logits goes without --prompt, --ids, --records and --digest");
        }
    } else if (options->ids_file != NULL || options->window != 0 || options->first_window != 0 ||
               options->windows != 0) {
        return fail_usage(failure, "--ids-file, --window, --first-window and --windows need --logits");
    }
    if (options->prompt != NULL && options->ids != NULL) {
        return fail_usage(failure, "--prompt and --ids exclude each other");
    }
    if (options->digest && options->no_digest) {
        return fail_usage(failure, "--digest and --no-digest exclude each other");
    }
    if (options->top_p_q16 == 0) {
        return fail_usage(failure, "--top-p must be at least 0.00001");
    }
    options->digest |= options->records & !options->no_digest;
    return 0;
}

int parse_options(struct options *options, int argc, char **argv, struct failure *failure)
{
    memset(options, 0, sizeof(*options));
    options->tokens = TOKENS_DEFAULT;
    options->threads = 1;
    options->top_p_q16 = Q16_ONE;
    for (int i = 1; i < argc; i++) { /* first, so that an error on the command line can be a record */
        options->records |= strcmp(argv[i], "--records") == 0;
    }
    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        const char *value = equals != NULL ? equals + 1 : NULL;
        const struct option *option;
        int failed;

        if (argv[i][0] != '-') {
            if (options->blob != NULL) {
                return fail_usage(failure, "two blobs: '%s' and '%s'", options->blob, argv[i]);
            }
            options->blob = argv[i];
            continue;
        }
        option = find_option(argv[i], equals != NULL ? (size_t)(equals - argv[i]) : strlen(argv[i]));
        if (option == NULL) {
            return fail_usage(failure, "unknown option '%s': see em-run --help", argv[i]);
        }
        if (option->kind == FLAG && value != NULL) {
            return fail_usage(failure, "%s takes no value", option->name);
        }
        if (option->kind != FLAG && value == NULL) {
            if (++i == argc) {
                return fail_usage(failure, "%s needs a value", option->name);
            }
            value = argv[i];
        }
        failed = set_value(options, option, value, failure);
        if (failed) {
            return failed;
        }
    }
    return check_together(options, failure);
}
