/*
** test.h - the harness of the C tests: each file is a program.
**
** Built with -DLODE_TEST -Icsrc, and linked with csrc/core/{check,status,
** bytes,hash,key,record}.c and -lpthread. A program runs its groups with
** `test_group`, prints a line for each, and ends with `test_end`.
*/
#ifndef LODE_TEST_H
#define LODE_TEST_H

#include <stdio.h>
#include <stdlib.h>

#include "core/bytes.h"

#ifndef LODE_TEST
#error "the C tests need the test build: -DLODE_TEST"
#endif

#define LENGTH(a) (sizeof (a) / sizeof *(a))

static struct { long passed, failed; } test_total, test_now;

/* Counts a statement, in any thread, and prints it when it is false. */
#define expect(x) test_expect((x), #x, __FILE__, __LINE__)

static inline bool test_expect (bool holds, const char *text,
                                const char *file, int line) {
  long *count = holds ? &test_now.passed : &test_now.failed;
  long before = __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
  if (!holds && before < 10) /* the first ten tell enough */
    printf("%s:%d: failed: %s\n", file, line, text);
  return holds;
}

/* Runs a group of checks; it must leave no memory behind. */
static inline void test_group (const char *name, void (*run) (void)) {
  test_now.passed = test_now.failed = 0;
  run();
  expect(lode_test_live_blocks() == 0);
  printf("%-7s %-44s %8ld checks\n", test_now.failed ? "FAILED" : "ok",
         name, test_now.passed + test_now.failed);
  test_total.passed += test_now.passed;
  test_total.failed += test_now.failed;
}

/* The exit status of the program. */
static inline int test_end (void) {
  printf("%ld passed, %ld failed\n", test_total.passed, test_total.failed);
  return test_total.failed != 0;
}

/* A random number (xorshift64*), the same ones at every run. */
static inline uint64_t test_random (void) {
  static uint64_t state = 0x9E3779B97F4A7C15u;
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545F4914F6CDD1Du;
}

/* A random number below `n`. */
static inline size_t test_below (size_t n) {
  return (size_t)(test_random() >> 11) % n;
}

/* A string of at most `most` bytes, of those that might be special. */
static inline lode_slice test_random_string (unsigned char *room,
                                             size_t most) {
  static const unsigned char alphabet[] = {
    0x00, 0x01, 0x02, 0x03, 0x09, 0x7F, 0x80, 0xFE, 0xFF
  };
  size_t size = test_below(most + 1), i;
  for (i = 0; i < size; i++)
    room[i] = alphabet[test_below(sizeof alphabet)];
  return slice_of(room, size);
}

static inline int test_sign (int c) {
  return (c > 0) - (c < 0);
}

static inline lode_slice test_text (const char *s) {
  return slice_of(s, strlen(s));
}

/* Reads hexadecimal digits (blanks between them are fine) to `out`. */
static inline size_t test_bytes_of_hex (const char *hex,
                                        unsigned char *out) {
  static const char digits[] = "0123456789abcdef";
  size_t n = 0;
  for (; *hex != '\0'; hex++) {
    const char *digit = strchr(digits, *hex);
    if (digit == NULL) continue;
    if (n++ % 2 == 0)
      out[n / 2] = (unsigned char)((digit - digits) << 4);
    else
      out[n / 2 - 1] |= (unsigned char)(digit - digits);
  }
  return n / 2;
}

/* Whether `s` is what the hexadecimal digits say (at most 256 bytes). */
static inline bool test_is_hex (lode_slice s, const char *hex) {
  unsigned char bytes[256];
  size_t size = test_bytes_of_hex(hex, bytes);
  return slice_equal(s, slice_of(bytes, size));
}

/*
** A copy of `s` in a block of just its size, so that a sanitizer sees a
** read past its end. Free it with free.
*/
static inline lode_slice test_exact_copy (lode_slice s) {
  unsigned char *copy = malloc(s.size != 0 ? s.size : 1);
  if (copy == NULL) exit(2);
  if (s.size != 0) memcpy(copy, s.data, s.size);
  return slice_of(copy, s.size);
}

static inline void test_free_copy (lode_slice s) {
  free((void *)(uintptr_t)s.data);
}

#endif
