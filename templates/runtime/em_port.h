/*
 * em_port.h - the only header a port may have to touch.
 *
 * Integer types from compiler builtins (no stdint.h), and the few builtins the code leans on. gcc and clang, 64-bit targets.
 * SPDX-License-Identifier: MIT-0
 */
#ifndef EM_PORT_H
#define EM_PORT_H

typedef __INT8_TYPE__ em_i8;
typedef __INT16_TYPE__ em_i16;
typedef __INT32_TYPE__ em_i32;
typedef __INT64_TYPE__ em_i64;
typedef __UINT8_TYPE__ em_u8;
typedef __UINT16_TYPE__ em_u16;
typedef __UINT32_TYPE__ em_u32;
typedef __UINT64_TYPE__ em_u64;
typedef __UINTPTR_TYPE__ em_uptr;

_Static_assert(sizeof(void *) == 8, "embed-model emits code for 64-bit targets");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "blobs are little-endian and used in place");
_Static_assert((-5 >> 1) == -3, "right shift of a negative number must be arithmetic");

#define EM_NULL ((void *)0)
#define EM_I32_MAX 0x7fffffff
#define EM_INLINE static inline __attribute__((__always_inline__))
/* One copy in the code, however often it is called: ops that every layer calls. */
#define EM_NOINLINE __attribute__((__noinline__))
#define EM_UNUSED __attribute__((__unused__))

#endif /* EM_PORT_H */
