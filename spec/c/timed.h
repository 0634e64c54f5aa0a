/*
** timed.h - for the C tests of time: a clock that the test sets, stores and
** collections with hooks that it steers, and short forms of calls.
*/
#ifndef LODE_TIMED_H
#define LODE_TIMED_H

#include "scratch.h"

#define START UINT64_C(1700000000000) /* ms, where the clock begins */

static uint64_t timed_now = START;

static inline uint64_t timed_clock (void *data) {
  (void)data;
  return timed_now;
}

/* A store on that clock, which nobody sweeps unasked. */
static inline lode_store *timed_open (const char *name,
                                      lode_maintenance who) {
  lode_options o;
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.maintenance = who;
  o.clock = timed_clock;
  return scratch_open(name, &o);
}

static inline lode_coll *timed_coll (lode_store *s, const char *name,
                                     lode_kind kind,
                                     const lode_coll_options *o) {
  lode_coll *c = NULL;
  if (lode_coll_open(s, test_text(name), kind, o, &c) != LODE_OK)
    printf("%s: %s\n", name, lode_store_error(s)->text);
  return c;
}

/* {==================================================================
** Keys and calls
** =================================================================== */

/*
** The key of `i`: an integer or, where `i` is past this, a string so long
** that it is hashed; then keys of the same i % TIMED_HASHES hash alike.
*/
#define TIMED_LONG 1000000
#define TIMED_HASHES 3

typedef struct timed_key { lode_buffer bytes; lode_key key; } timed_key;

static inline const lode_key *timed_key_of (lode_coll *c, int64_t i,
                                            timed_key *k) {
  static const char *const hashes[TIMED_HASHES] = {
    "0123456789abcdef", "1123456789abcdef", "2123456789abcdef"
  };
  char text[600];
  memset(k, 0, sizeof *k);
  if (i < TIMED_LONG) {
    expect(key_of_integer(c, i, &k->bytes, &k->key) == LODE_OK);
    return &k->key;
  }
  memset(text, 'k', sizeof text);
  snprintf(text + 580, 20, "%d", (int)i);
  lode_key_string(&k->bytes, text, sizeof text);
  expect(lode_key_of(c, slice_of_buffer(&k->bytes),
                     test_text(hashes[i % TIMED_HASHES]),
                     &k->key) == LODE_OK);
  return &k->key;
}

static inline lode_status timed_write (lode_coll *c, int64_t i,
                                       const char *text, uint64_t ttl,
                                       lode_put_mode mode) {
  timed_key k;
  bool dict = text != NULL;
  lode_value v = { test_text(dict ? text : ""),
                   dict ? LODE_BYTES : LODE_NOTHING };
  lode_status st = lode_put(c, timed_key_of(c, i, &k), v, mode, ttl);
  lode_buffer_free(&k.bytes);
  return st;
}

static inline lode_status timed_put (lode_coll *c, int64_t i, uint64_t ttl) {
  return timed_write(c, i, "value", ttl, LODE_PUT);
}

/* What `call` gives for the key of `i`. */
static inline lode_status timed_with (lode_coll *c, int64_t i,
    lode_status (*call) (lode_coll *c, const lode_key *key)) {
  timed_key k;
  lode_status st = call(c, timed_key_of(c, i, &k));
  lode_buffer_free(&k.bytes);
  return st;
}

static inline lode_status timed_has (lode_coll *c, int64_t i) {
  return timed_with(c, i, lode_has);
}

static inline lode_status timed_delete (lode_coll *c, int64_t i) {
  return timed_with(c, i, lode_delete);
}

static inline lode_status timed_read (lode_coll *c, const lode_key *key) {
  lode_value v;
  lode_status st = lode_get(c, key, &v);
  lode_done(c);
  return st;
}

static inline lode_status timed_get (lode_coll *c, int64_t i) {
  return timed_with(c, i, timed_read);
}

static inline lode_status timed_expire (lode_coll *c, int64_t i,
                                        uint64_t ttl) {
  timed_key k;
  lode_status st = lode_expire(c, timed_key_of(c, i, &k), ttl);
  lode_buffer_free(&k.bytes);
  return st;
}

static inline lode_entry timed_info (lode_coll *c, int64_t i) {
  timed_key k;
  lode_entry e;
  memset(&e, 0, sizeof e);
  expect(lode_info(c, timed_key_of(c, i, &k), &e) == LODE_OK);
  lode_buffer_free(&k.bytes);
  return e;
}

/* Entries that a walk gives. */
static inline uint64_t timed_walked (lode_coll *c, bool reverse) {
  lode_range r = { .limit = UINT64_MAX, .reverse = reverse };
  lode_slice key;
  lode_value value;
  lode_walk *w;
  uint64_t n = 0;
  expect(lode_walk_open(c, &r, false, &w) == LODE_OK);
  while (lode_walk_next(w, &key, &value) == LODE_OK)
    n++;
  lode_walk_close(w);
  return n;
}

/* Entries from the least key on, counted one by one. */
static inline uint64_t timed_counted (lode_coll *c) {
  timed_key k;
  lode_range r = { .limit = UINT64_MAX };
  uint64_t n = UINT64_MAX;
  r.from = timed_key_of(c, INT64_MIN, &k);
  expect(lode_count(c, &r, &n) == LODE_OK);
  lode_buffer_free(&k.bytes);
  return n;
}

/* Whether every way of counting gives `n`. */
static inline bool timed_are (lode_coll *c, uint64_t n) {
  uint64_t len = len_of(c), counted = timed_counted(c);
  uint64_t there = timed_walked(c, false), back = timed_walked(c, true);
  bool same = len == n && counted == n && there == n && back == n;
  if (!same)
    printf("not %d: len %d, count %d, walks %d %d\n", (int)n, (int)len,
           (int)counted, (int)there, (int)back);
  return same;
}

/* Calls in the index; its records and it must agree. */
static inline uint64_t timed_calls (lode_coll *c) {
  uint64_t calls = UINT64_MAX, lost = UINT64_MAX;
  expect(lode_test_indexes(c, &calls, &lost) == LODE_OK);
  expect(lost == 0);
  return calls;
}

/* One lode_maintain; gives how many it removed. */
static inline uint64_t timed_sweep (lode_store *s, uint64_t entries,
                                    bool *more) {
  lode_budget b = { .entries = entries };
  uint64_t removed = UINT64_MAX;
  bool ignored;
  expect(lode_maintain(s, &b, &removed, more != NULL ? more : &ignored) ==
         LODE_OK);
  return removed;
}

/* }================================================================== */

#endif
