/*
 * em_sha256.c - SHA-256 with the variable names of FIPS 180-4. One round in a loop: small code before speed.
 * SPDX-License-Identifier: MIT-0
 */
#include "em_sha256.h"

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const em_u32 em_sha256_k[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
};

EM_INLINE em_u32 em_rotr(em_u32 x, em_u32 n)
{
    return (x >> n) | (x << (32u - n));
}

EM_INLINE em_u32 em_load_be32(const em_u8 *p)
{
    return ((em_u32)p[0] << 24) | ((em_u32)p[1] << 16) | ((em_u32)p[2] << 8) | (em_u32)p[3];
}

EM_INLINE void em_store_be32(em_u8 *p, em_u32 x)
{
    p[0] = (em_u8)(x >> 24);
    p[1] = (em_u8)(x >> 16);
    p[2] = (em_u8)(x >> 8);
    p[3] = (em_u8)x;
}

/* Word t of the message schedule (6.2.2, step 1) in a ring of 16 words. t >= 16. */
EM_INLINE em_u32 em_sha256_schedule(em_u32 w[16], em_u32 t)
{
    em_u32 w15 = w[(t - 15) & 15], w2 = w[(t - 2) & 15];
    em_u32 sigma0 = em_rotr(w15, 7) ^ em_rotr(w15, 18) ^ (w15 >> 3);
    em_u32 sigma1 = em_rotr(w2, 17) ^ em_rotr(w2, 19) ^ (w2 >> 10);

    return w[t & 15] += sigma0 + w[(t - 7) & 15] + sigma1;
}

/* Folds one block of 64 bytes into the state: 6.2.2. */
static void em_sha256_block(em_u32 state[8], const em_u8 *block)
{
    em_u32 a = state[0], b = state[1], c = state[2], d = state[3];
    em_u32 e = state[4], f = state[5], g = state[6], h = state[7];
    em_u32 w[16];

    for (em_u32 t = 0; t < 64; t++) {
        em_u32 wt = t < 16 ? (w[t] = em_load_be32(block + 4 * t)) : em_sha256_schedule(w, t);
        em_u32 ch = (e & f) ^ (~e & g);
        em_u32 maj = (a & b) ^ (a & c) ^ (b & c);
        em_u32 t1 = h + (em_rotr(e, 6) ^ em_rotr(e, 11) ^ em_rotr(e, 25)) + ch + em_sha256_k[t] + wt;
        em_u32 t2 = (em_rotr(a, 2) ^ em_rotr(a, 13) ^ em_rotr(a, 22)) + maj;

        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void em_sha256_init(struct em_sha256 *hash)
{
    /* 5.3.3 */
    hash->state[0] = 0x6a09e667u;
    hash->state[1] = 0xbb67ae85u;
    hash->state[2] = 0x3c6ef372u;
    hash->state[3] = 0xa54ff53au;
    hash->state[4] = 0x510e527fu;
    hash->state[5] = 0x9b05688cu;
    hash->state[6] = 0x1f83d9abu;
    hash->state[7] = 0x5be0cd19u;
    hash->bytes = 0;
}

void em_sha256_update(struct em_sha256 *hash, const void *data, em_u64 bytes)
{
    const em_u8 *byte = (const em_u8 *)data;
    em_u32 used = (em_u32)(hash->bytes & 63u);

    hash->bytes += bytes;
    while (bytes != 0) {
        if (used == 0 && bytes >= 64) { /* whole blocks are hashed where they are */
            em_sha256_block(hash->state, byte);
            byte += 64;
            bytes -= 64;
            continue;
        }
        hash->block[used++] = *byte++;
        bytes--;
        if (used == 64) {
            em_sha256_block(hash->state, hash->block);
            used = 0;
        }
    }
}

void em_sha256_final(struct em_sha256 *hash, em_u8 digest[EM_SHA256_BYTES])
{
    em_u64 bits = hash->bytes << 3;
    em_u32 used = (em_u32)(hash->bytes & 63u);

    /* 5.1.1: one bit, zeros, then the message length in bits as 64-bit big-endian, to a whole block. */
    hash->block[used++] = 0x80;
    if (used > 56) {
        while (used < 64) {
            hash->block[used++] = 0;
        }
        em_sha256_block(hash->state, hash->block);
        used = 0;
    }
    while (used < 56) {
        hash->block[used++] = 0;
    }
    em_store_be32(hash->block + 56, (em_u32)(bits >> 32));
    em_store_be32(hash->block + 60, (em_u32)bits);
    em_sha256_block(hash->state, hash->block);
    for (em_u32 i = 0; i < 8; i++) {
        em_store_be32(digest + 4 * i, hash->state[i]);
    }
}
