/*
 * em_tokenizer_text.c - UTF-8 (RFC 3629), white space, and binary search, for the other files of the tokenizer.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_tokenizer_parts.h"

em_u32 em_utf8_get(const em_u8 *text, em_u32 at, em_u32 end, em_u32 *next) {
    em_u32 lead = text[at];
    em_u32 bytes = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    em_u32 code;

    *next = at + 1;
    if (bytes == 1) {
        return lead;
    }
    if (lead < 0xc2 || lead > 0xf4 || bytes > end - at) {
        return EM_DAMAGED_BYTE + lead;
    }
    code = lead & (0xffu >> (bytes + 1));
    for (em_u32 i = 1; i < bytes; i++) {
        if ((text[at + i] & 0xc0u) != 0x80) {
            return EM_DAMAGED_BYTE + lead;
        }
        code = code << 6 | (text[at + i] & 0x3fu);
    }
    /* Too long a form, a surrogate, or beyond Unicode. */
    if ((bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000) || (code & 0xfffff800u) == 0xd800 ||
        code > 0x10ffff) {
        return EM_DAMAGED_BYTE + lead;
    }
    *next = at + bytes;
    return code;
}

em_u32 em_utf8_put(em_u8 *text, em_u32 code) {
    em_u32 bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    if (code < 0x80 || code >= EM_DAMAGED_BYTE) {
        text[0] = (em_u8)code; /* EM_DAMAGED_BYTE + b ends in b */
        return 1;
    }
    for (em_u32 i = bytes - 1; i > 0; i--) {
        text[i] = (em_u8)(0x80u | (code & 0x3fu));
        code >>= 6;
    }
    text[0] = (em_u8)(0xf00u >> bytes | code);
    return bytes;
}

em_u32 em_is_white_space(em_u32 code) {
    if (code < 0x80) {
        return code == 0x20 || (code >= 0x09 && code <= 0x0d);
    }
    if (code < 0x1680) {
        return code == 0x85 || code == 0xa0;
    }
    return (code >= 0x2000 && code <= 0x200a) || code == 0x1680 || code == 0x2028 || code == 0x2029 || code == 0x202f ||
           code == 0x205f || code == 0x3000;
}

em_u32 em_lower_bound(const void *records, em_u32 stride, em_u32 low, em_u32 high, em_u32 key) {
    const em_u32 *words = (const em_u32 *)records;

    while (low < high) {
        em_u32 middle = low + (high - low) / 2;

        if (words[(em_u64)middle * stride] < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
