/*
** behind.h - short forms for the tests of writes behind: stores that commit
** only when they are asked to, and other processes that work on them.
*/
#ifndef LODE_TEST_BEHIND_H
#define LODE_TEST_BEHIND_H

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "scratch.h"

static inline lode_options behind_options (void) {
  lode_options o;
  lode_options_init(&o);
  o.durability = LODE_BEHIND;
  o.flush_ms = 60000; /* nothing is committed unless it is asked for */
  return o;
}

static inline lode_store *open_behind (const char *name) {
  lode_options o = behind_options();
  return scratch_open(name, &o);
}

/* A handle that sees what is committed, and no more, but for single keys. */
static inline lode_store *open_calm (const char *name) {
  lode_options o = behind_options();
  o.autoflush_on_read = false;
  return scratch_open(name, &o);
}

static inline lode_stats stats_of (lode_store *s) {
  lode_stats stats;
  expect(lode_store_stats(s, &stats) == LODE_OK);
  return stats;
}

static inline void nap (long ms) {
  struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
  nanosleep(&t, NULL);
}

/* Whether the number under the key of an integer is `n`; -1: none. */
static inline bool holds (lode_coll *c, int64_t key, int64_t n) {
  lode_buffer bytes = { NULL, 0, 0 };
  lode_value v = { { NULL, 0 }, LODE_NOTHING };
  lode_key k;
  bool right;
  lode_status st;
  key_of_integer(c, key, &bytes, &k);
  st = lode_get(c, &k, &v);
  right = n < 0 ? st == LODE_ABSENT
                : st == LODE_OK && v.data.size == 8 &&
                  get_u64(v.data.data) == (uint64_t)n;
  lode_done(c);
  lode_buffer_free(&bytes);
  return right;
}

static inline lode_status put_number (lode_coll *c, int64_t key, int64_t n) {
  unsigned char bytes[8];
  put_u64(bytes, (uint64_t)n);
  return put_integer(c, key, slice_of(bytes, 8));
}

/* {==================================================================
** Other processes
** =================================================================== */

typedef struct other { /* a process that works on the same store */
  pid_t pid;
  int to, from;
} other;

/* Starts one that opens the store anew and calls `work` with its end. */
static inline other other_begin (const char *name,
                          int (*work) (lode_store *s, lode_coll *c,
                                       int to, int from)) {
  int down[2], up[2];
  other o = { 0, -1, -1 };
  if (pipe(down) != 0 || pipe(up) != 0)
    exit(2);
  fflush(stdout);
  o.pid = fork();
  if (o.pid == 0) {
    lode_store *s = scratch_open(name, NULL);
    lode_coll *c = scratch_coll(s, "d", LODE_DICT);
    int status = c == NULL ? 3 : work(s, c, up[1], down[0]);
    _exit(status);
  }
  close(down[0]);
  close(up[1]);
  o.to = down[1];
  o.from = up[0];
  return o;
}

static inline void hear (int from) {
  char c;
  if (read(from, &c, 1) != 1)
    printf("the other process said nothing\n");
}

static inline void say (int to) {
  if (write(to, "x", 1) != 1)
    printf("the other process hears nothing\n");
}

static inline int other_end (const other *o) {
  int status = -1;
  close(o->to);
  close(o->from);
  waitpid(o->pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* }================================================================== */

#endif
