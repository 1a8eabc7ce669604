/*
 * block_counts.c - a QEMU TCG plugin: how often every translated block of a program ran.
 *
 *     qemu-riscv64 -plugin block_counts.so,out=FILE program ...
 *
 * writes a line a block to FILE when the program ends, three hexadecimal and one decimal number:
 *
 *     start end instructions runs          the code at [start, end), addresses of the guest
 *
 * For programs of one thread: the counters are not atomic. Plugin interface 1, which QEMU has from 4.2 to 8.2; distributions
 * rarely ship its header, so what is used of it is declared here (https://www.qemu.org/docs/master/devel/tcg-plugins.html).
 * SPDX-License-Identifier: MIT-0
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*qemu_plugin_udata_cb_t)(qemu_plugin_id_t id, void *userdata);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_tb_trans_cb_t callback);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, enum qemu_plugin_op op, void *word,
                                              uint64_t operand);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_udata_cb_t callback, void *userdata);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

int qemu_plugin_version = 1;
int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

#define BUCKETS 65536u

/* Stays where it is once it was made: translated code adds to `runs`. */
struct block {
    uint64_t start;
    uint64_t end;
    uint64_t instructions;
    uint64_t runs;
    struct block *next;
};

static struct block *buckets[BUCKETS];
static FILE *out;

/* The record of a block, which is an old one where QEMU threw its translation away and makes it again. */
static struct block *find_block(uint64_t start, uint64_t end, uint64_t instructions)
{
    struct block **bucket = &buckets[(start >> 1) % BUCKETS];
    struct block *block = *bucket;

    while (block != NULL && (block->start != start || block->end != end)) {
        block = block->next;
    }
    if (block == NULL) {
        block = malloc(sizeof(*block));
        if (block == NULL) {
            fputs("block_counts: out of memory\n", stderr);
            exit(1);
        }
        *block = (struct block){start, end, instructions, 0, *bucket};
        *bucket = block;
    }
    return block;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t count = qemu_plugin_tb_n_insns(tb);
    const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, count - 1);
    uint64_t end = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last);
    struct block *block = find_block(qemu_plugin_tb_vaddr(tb), end, count);

    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->runs, 1);
}

static void on_exit_of_guest(qemu_plugin_id_t id, void *userdata)
{
    (void)id;
    (void)userdata;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (const struct block *block = buckets[i]; block != NULL; block = block->next) {
            fprintf(out, "%" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIu64 "\n", block->start, block->end,
                    block->instructions, block->runs);
        }
    }
    if (fclose(out) != 0) {
        perror("block_counts: cannot write");
    }
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) {
        fputs("block_counts: give out=FILE\n", stderr);
        return -1;
    }
    out = fopen(argv[0] + 4, "w");
    if (out == NULL) {
        perror("block_counts: cannot create the file of out=");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_guest, NULL);
    return 0;
}
