/*
** bytes.h - slices, and numbers as big-endian bytes.
*/
#ifndef LODE_BYTES_H
#define LODE_BYTES_H

#include <string.h>

#include "../lode.h"

static inline lode_slice slice_of (const void *data, size_t size) {
  lode_slice s = { (const unsigned char *)data, size };
  return s;
}

static inline lode_slice slice_of_buffer (const lode_buffer *b) {
  return slice_of(b->data, b->size);
}

/* Byte order; a prefix sorts before what it begins. <0, 0, >0. */
static inline int slice_compare (lode_slice a, lode_slice b) {
  size_t n = a.size < b.size ? a.size : b.size;
  int c = n == 0 ? 0 : memcmp(a.data, b.data, n);
  return c != 0 ? c : (a.size > b.size) - (a.size < b.size);
}

static inline bool slice_equal (lode_slice a, lode_slice b) {
  return a.size == b.size && (a.size == 0 ||
                              memcmp(a.data, b.data, a.size) == 0);
}

static inline bool slice_begins (lode_slice s, lode_slice prefix) {
  return prefix.size <= s.size && (prefix.size == 0 ||
                    memcmp(s.data, prefix.data, prefix.size) == 0);
}

static inline void put_u16 (unsigned char *p, uint16_t v) {
  p[0] = (unsigned char)(v >> 8);
  p[1] = (unsigned char)v;
}

static inline void put_u32 (unsigned char *p, uint32_t v) {
  put_u16(p, (uint16_t)(v >> 16));
  put_u16(p + 2, (uint16_t)v);
}

static inline void put_u64 (unsigned char *p, uint64_t v) {
  put_u32(p, (uint32_t)(v >> 32));
  put_u32(p + 4, (uint32_t)v);
}

static inline uint16_t get_u16 (const unsigned char *p) {
  return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t get_u32 (const unsigned char *p) {
  return (uint32_t)get_u16(p) << 16 | get_u16(p + 2);
}

static inline uint64_t get_u64 (const unsigned char *p) {
  return (uint64_t)get_u32(p) << 32 | get_u32(p + 4);
}

/* Replaces what `b` holds by bytes of others. NO_MEMORY leaves it. */
lode_status buffer_set (lode_buffer *b, const void *data, size_t size);

#endif
