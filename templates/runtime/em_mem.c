/*
 * em_mem.c - the four functions that gcc and clang may call even in freestanding code.
 *
 * Weak, so that a libc or a kernel that has its own wins. Copies words where both pointers allow it.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_port.h"

typedef __SIZE_TYPE__ em_size;

/* A 64-bit word that may lie over objects of any type. */
typedef em_u64 __attribute__((may_alias)) em_word;

#define EM_WEAK __attribute__((weak))

/*
 * Compilers recognise loops that copy or fill and replace them by calls of these very functions, which would call
 * themselves for ever. An opaque statement in the body of each loop keeps it a loop, whatever the compiler and its
 * flags.
 */
#define EM_KEEP_LOOP() __asm__ volatile("" : : : "memory")

void *memcpy(void *restrict to, const void *restrict from, em_size bytes);
void *memmove(void *to, const void *from, em_size bytes);
void *memset(void *to, int value, em_size bytes);
int memcmp(const void *a, const void *b, em_size bytes);

/*
 * Copies from the first byte to the last: right for blocks that do not overlap, and for moves towards lower addresses.
 */
EM_INLINE void em_copy_forward(em_u8 *to, const em_u8 *from, em_size bytes)
{
    if ((((em_uptr)to | (em_uptr)from) & 7u) == 0) {
        for (; bytes >= 8; bytes -= 8, to += 8, from += 8) {
            *(em_word *)(void *)to = *(const em_word *)(const void *)from;
            EM_KEEP_LOOP();
        }
    }
    for (; bytes != 0; bytes--) {
        *to++ = *from++;
        EM_KEEP_LOOP();
    }
}

EM_WEAK void *memcpy(void *restrict to, const void *restrict from, em_size bytes)
{
    em_copy_forward((em_u8 *)to, (const em_u8 *)from, bytes);
    return to;
}

EM_WEAK void *memmove(void *to, const void *from, em_size bytes)
{
    em_u8 *t = (em_u8 *)to + bytes;
    const em_u8 *f = (const em_u8 *)from + bytes;

    if ((em_uptr)to <= (em_uptr)from) {
        em_copy_forward((em_u8 *)to, (const em_u8 *)from, bytes);
        return to;
    }
    for (; bytes != 0; bytes--) {
        *--t = *--f;
        EM_KEEP_LOOP();
    }
    return to;
}

EM_WEAK void *memset(void *to, int value, em_size bytes)
{
    em_u8 *t = (em_u8 *)to;
    em_u8 byte = (em_u8)value;
    em_u64 word = 0x0101010101010101u * (em_u64)byte;

    if (((em_uptr)t & 7u) == 0) {
        for (; bytes >= 8; bytes -= 8, t += 8) {
            *(em_word *)(void *)t = word;
            EM_KEEP_LOOP();
        }
    }
    for (; bytes != 0; bytes--) {
        *t++ = byte;
        EM_KEEP_LOOP();
    }
    return to;
}

EM_WEAK int memcmp(const void *a, const void *b, em_size bytes)
{
    const em_u8 *x = (const em_u8 *)a, *y = (const em_u8 *)b;

    for (; bytes != 0; bytes--, x++, y++) {
        if (*x != *y) {
            return (int)*x - (int)*y;
        }
        EM_KEEP_LOOP();
    }
    return 0;
}
