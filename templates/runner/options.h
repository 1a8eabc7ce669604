/*
 * options.h - the command line of em-run.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef RUNNER_OPTIONS_H
#define RUNNER_OPTIONS_H

#include "em.h"
#include "failure.h"

struct options {
    const char *blob;        /* path of the blob; NULL: the one in this program */
    const char *prompt;      /* text, or NULL */
    const char *ids;         /* decimal token ids with commas between, or NULL */
    const char *ids_file;    /* --logits: raw little-endian ids, see evaluate.h */
    const char *logits;      /* --logits: where int32 logits go, "-" for standard output, or NULL */
    const char *trace;       /* file for a dump of every op, or NULL */
    em_u32 tokens;           /* how many to generate at most */
    em_u32 threads;          /* 0: one a processor */
    em_u32 chunk;            /* tokens given to em_prefill at a time; 0: all */
    em_u32 temperature_q16;  /* Q16; 0: greedy */
    em_u32 top_k;            /* 0: no limit */
    em_u32 top_p_q16;        /* Q16 in [1, 65536] */
    em_u64 seed;
    em_u32 window;           /* --logits: ids in a window */
    em_u32 first_window;     /* --logits: windows to leave out before the first */
    em_u32 windows;          /* --logits: windows to evaluate; 0: all there are */
    em_u32 records;          /* flags: 0 or 1 */
    em_u32 digest;
    em_u32 no_digest;
    em_u32 no_verify;
    em_u32 ignore_end;
    em_u32 slide;            /* go on beyond the context, see generate.h */
    em_u32 help;
    em_u32 version;
};

/* Reads the command line. What concerns the model (ids, context) is checked where the model is known. */
int parse_options(struct options *options, int argc, char **argv, struct failure *failure);

/*
 * A decimal such as 0.8 as the nearest multiple of 2^-16, half up, without floating point. At most 14 digits after the
 * point; the value must lie in [0, high]. Returns 0 where the text is no such decimal.
 */
int parse_q16(const char *text, em_u32 high, em_u32 *q16);

/* A decimal integer of digits only, in [low, high]. Returns 0 where the text is none. */
int parse_integer(const char *text, em_u64 low, em_u64 high, em_u64 *value);

#endif /* RUNNER_OPTIONS_H */
