/*
** entries.h - the entries that both sides of the benchmark use: raw.c
** includes this, and Lua sees the same through floor_lua.c, so both read
** and write the same keys in the same order.
**
** Entry i has the key of 16 hex digits of a mixed i (no order in i), or of
** 16 decimal digits where keys must ascend, and one of 256 values.
*/
#ifndef ENTRIES_H
#define ENTRIES_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define KEY_SIZE 16
#define VALUE_SIZE 100
#define VALUES 256

/* The small table of the benchmark as MessagePack. */
#define SMALL_TABLE "\x84\xa4name\xa3" "Ada\xa4plan\xa3pro\xa1n*\xa4tags" \
                    "\x93\xa1" "a\xa1" "b\xa1" "c"

/* splitmix64's finalizer: one to one, so no two keys are equal. */
static inline uint64_t entry_mix (uint64_t x) {
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

/* Key `i`; a key of another `family` is never the same. */
static inline void entry_key (char *key, unsigned family, uint64_t i) {
  static const char digits[] = "0123456789abcdef";
  uint64_t bits = entry_mix(((uint64_t)family << 40) + i);
  for (int at = KEY_SIZE - 1; at >= 0; at--, bits >>= 4)
    key[at] = digits[bits & 15];
}

/* Key `i` of those that ascend. */
static inline void entry_ascending (char *key, uint64_t i) {
  for (int at = KEY_SIZE - 1; at >= 0; at--, i /= 10)
    key[at] = (char)('0' + i % 10);
}

/* Value `i`: 100 bytes of any kind. */
static inline void entry_value (char *value, uint64_t i) {
  for (int at = 0; at < VALUE_SIZE; at++)
    value[at] = (char)entry_mix((i % VALUES) * VALUE_SIZE + (uint64_t)at);
}

/* The entry to visit `at`: all of `n`, not in the order of loading. */
static inline uint64_t entry_visit (uint64_t at, uint64_t n) {
  return (at * 7919 + 17) % n; /* 7919 divides no power of ten */
}

/*
** Processor time of this process in seconds, system calls included: what
** else the machine does at the moment counts less than in wall time, and
** on tmpfs nothing waits for a disk.
*/
static inline double entry_clock (void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#endif
