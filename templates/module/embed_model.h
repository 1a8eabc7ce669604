/*
 * embed_model.h - the interface of /dev/embed_model beside write and read, for programs.
 *
 * A file that is open is a conversation of its own, with its own memory. write() gives a prompt and starts the answer;
 * read() gives what there is of it and waits where there is nothing yet; it returns 0 at the end of the answer. poll()
 * says when it will not wait. A write() before the answer is read to its end fails with EBUSY.
 *
 * Errors of write(): E2BIG (more tokens than the context holds), EMSGSIZE (more than EMBED_MODEL_PROMPT_BYTES), EILSEQ
 * (text without token ids), EINVAL (not a whole number of ids, or an id outside the vocabulary), ENOMEM.
 * SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT
 */
#ifndef EMBED_MODEL_H
#define EMBED_MODEL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define EMBED_MODEL_PROMPT_BYTES 65536

/* write() takes and read() gives int32 token ids of this machine's byte order instead of text. */
#define EMBED_MODEL_IDS 1u
/* Compute the logits of all positions of the prompt, too, and fold all logits into embed_model_statistics.digest. */
#define EMBED_MODEL_DIGEST 2u
/* Go on after a token that ends the text. */
#define EMBED_MODEL_IGNORE_END 4u

/* How the answers of this open file are made. They hold from the next write() on. */
struct embed_model_settings {
    __u32 flags;           /* EMBED_MODEL_*; 0 */
    __u32 tokens;          /* most tokens of an answer; 64. Fewer where the context is full */
    __u32 temperature_q16; /* Q16; 0: always the most likely token. 0 */
    __u32 top_k;           /* choose among so many of the most likely tokens; 0: among all. 0 */
    __u32 top_p_q16;       /* and among the most likely ones that make up this probability, Q16; 0 */
    __u32 reserved;        /* 0 */
    __u64 seed;            /* of the random numbers; 0 */
};

/* Of this open file, since its last write(). */
struct embed_model_statistics {
    __u32 prompt_tokens;
    __u32 tokens;         /* generated so far */
    __u64 prompt_ns;      /* spent on the prompt */
    __u64 tokens_ns;      /* and on the tokens after it, digest included */
    __u64 digest;         /* of the logits, where EMBED_MODEL_DIGEST is set */
    __u32 positions;      /* whose logits are in it */
    __u32 running;        /* 1 until the answer is complete */
    __u64 memory_bytes;   /* memory of this open file: KV cache, activations, buffers */
};

#define EMBED_MODEL_GET_SETTINGS _IOR(0xE3, 1, struct embed_model_settings)
/* EINVAL for values out of range, EBUSY while an answer is made. */
#define EMBED_MODEL_SET_SETTINGS _IOW(0xE3, 2, struct embed_model_settings)
#define EMBED_MODEL_GET_STATISTICS _IOR(0xE3, 3, struct embed_model_statistics)
/* Ends the answer that is being made. What is not read of it yet can still be read. */
#define EMBED_MODEL_STOP _IO(0xE3, 4)

#endif /* EMBED_MODEL_H */
