/*
** hash.h - SipHash-2-4 with 128 bits of result, and CRC32C.
*/
#ifndef LODE_HASH_H
#define LODE_HASH_H

#include "../lode.h"

#define HASH_SIZE 16

/* SipHash-2-4-128 of `data` under a 16-byte key, as its authors define it. */
void hash_sip (const unsigned char key[HASH_SIZE], lode_slice data,
               unsigned char out[HASH_SIZE]);

/*
** CRC32C (Castagnoli) of `data`, continued from `crc` (0 at first). With
** the processor's own instruction where there is one, else by table.
*/
uint32_t hash_crc32c (uint32_t crc, const void *data, size_t size);

/* The same over the bytes of `a` and then of `b`, in one call. */
uint32_t hash_crc32c_both (uint32_t crc, lode_slice a, lode_slice b);

/* hash_crc32c, always by table. */
uint32_t hash_crc32c_table (uint32_t crc, const void *data, size_t size);

/* Fills `out` with random bytes of the operating system. False: failed. */
bool hash_random (void *out, size_t size);

#endif
