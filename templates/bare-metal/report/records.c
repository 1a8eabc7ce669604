/*
 * report.c - for a program: records as the runner writes them (runner/records.h), each with a checksum.
 *
 *     em1 <sequence> <kind> key=value key=value *<crc32c>
 *
 * A golden run begins with "ready" and the sequence 0, and ends with "done".
 * SPDX-License-Identifier: MIT-0
 */
#include "report.h"

#include "em_crc32c.h"
#include "model.h"
#include "print.h"

static em_u32 em_sequence; /* of the record that is being written */
static em_u32 em_crc;      /* of it so far */
static em_u32 em_tokens;   /* reported of this run */

static void em_put(const char *text, em_u32 bytes)
{
    em_crc = em_crc32c(em_crc, text, bytes);
    em_print_bytes(text, bytes);
}

static void em_put_string(const char *text)
{
    em_u32 bytes = 0;

    while (text[bytes] != 0) {
        bytes++;
    }
    em_put(text, bytes);
}

static void em_put_decimal(em_u64 value)
{
    char digits[EM_DECIMAL_DIGITS];
    em_u32 at = em_decimal(value, digits);

    em_put(digits + at, EM_DECIMAL_DIGITS - at);
}

static void em_put_hex(em_u64 value, em_u32 digits)
{
    while (digits-- != 0) {
        em_put(&"0123456789abcdef"[(value >> (4u * digits)) & 15u], 1);
    }
}

static void em_key(const char *key)
{
    em_put(" ", 1);
    em_put_string(key);
    em_put("=", 1);
}

static void em_integer(const char *key, em_u64 value)
{
    em_key(key);
    em_put_decimal(value);
}

/* Space, '%', '=', '*' and everything outside printable ASCII as %XX. */
static void em_text(const char *key, const char *text, em_u32 bytes)
{
    em_key(key);
    for (em_u32 i = 0; i < bytes; i++) {
        em_u32 byte = (em_u8)text[i];
        char escaped[3] = {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15u]};
        em_u32 plain = byte > ' ' && byte < 0x7f && byte != '%' && byte != '=' && byte != '*';

        em_put(plain ? &text[i] : escaped, plain ? 1 : 3);
    }
}

static void em_string(const char *key, const char *text)
{
    em_u32 bytes = 0;

    while (text[bytes] != 0) {
        bytes++;
    }
    em_text(key, text, bytes);
}

static void em_begin(const char *kind)
{
    em_crc = 0;
    em_put("em1 ", 4);
    em_put_decimal(em_sequence);
    em_put(" ", 1);
    em_put_string(kind);
}

static void em_finish(void)
{
    em_u32 crc;

    em_put(" ", 1);
    crc = em_crc;
    em_put("*", 1);
    em_put_hex(crc, 8);
    em_print("\n");
    em_sequence++;
}

void em_report_model(void)
{
    em_sequence = 0;
}

void em_report_prompt(const struct em_golden *golden)
{
    em_sequence = 0;
    em_tokens = 0;
    em_begin("ready");
    em_key("build");
    for (em_u32 i = 0; i < 32; i++) {
        em_put_hex(em_build_id[i], 2);
    }
    em_string("model", EM_MODEL_NAME);
    em_string("target", EM_TARGET_NAME);
    em_integer("abi", EM_ABI_VERSION);
    em_integer("vocab", EM_VOCAB);
    em_integer("context", EM_CONTEXT);
    em_integer("logits_frac", EM_LOGITS_FRAC);
    em_finish();
    for (em_u32 i = 0; i < golden->prompt_count; i++) {
        em_begin("prompt");
        em_integer("first", i);
        em_integer("ids", (em_u64)golden->prompt[i]);
        em_finish();
    }
}

void em_report_prompt_text(em_i32 id, const char *text, em_u32 bytes)
{
    (void)id;
    (void)text;
    (void)bytes;
}

void em_report_token(em_u32 index, em_i32 id, em_u64 time, const char *text, em_u32 bytes)
{
    em_tokens++;
    em_begin("token");
    em_integer("index", index);
    em_integer("id", (em_u64)id);
    em_integer("ns", time);
    em_text("text", text, bytes);
    em_finish();
}

void em_report_run(const struct em_golden *golden, const struct em_run_result *result)
{
    (void)golden;
    em_begin("digest");
    em_integer("positions", result->positions);
    em_key("value");
    em_put_hex(result->digest, 16);
    em_finish();
    em_begin("done");
    em_string("reason", "length");
    em_integer("tokens", em_tokens);
    em_text("text", "", 0);
    em_finish();
}

void em_report_end(em_u32 equal)
{
    em_print(equal ? "passed\n" : "failed: logits\n");
}

void em_report_failure(const char *what, const char *why)
{
    em_begin("error");
    em_string("status", why);
    em_integer("exit", 1);
    em_string("message", what);
    em_finish();
}

/* U-Boot has its own handlers, which show registers and reset. */
void em_report_fault(em_u64 cause, em_u64 at, em_u64 address)
{
    (void)cause;
    (void)at;
    (void)address;
}
