/*
** test_pending.c - writes behind: seen at once by every handle of the
** process, in the file batch by batch and in order, never more of them
** waiting than the bounds allow, and none lost without a word.
*/
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "scratch.h"

static lode_options behind_options (void) {
  lode_options o;
  lode_options_init(&o);
  o.durability = LODE_BEHIND;
  o.flush_ms = 60000; /* nothing is committed unless it is asked for */
  return o;
}

static lode_store *open_behind (const char *name) {
  lode_options o = behind_options();
  return scratch_open(name, &o);
}

/* A handle that sees what is committed, and no more, but for single keys. */
static lode_store *open_calm (const char *name) {
  lode_options o = behind_options();
  o.autoflush_on_read = false;
  return scratch_open(name, &o);
}

static lode_stats stats_of (lode_store *s) {
  lode_stats stats;
  expect(lode_store_stats(s, &stats) == LODE_OK);
  return stats;
}

static void nap (long ms) {
  struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
  nanosleep(&t, NULL);
}

/* Whether the number under the key of an integer is `n`; -1: none. */
static bool holds (lode_coll *c, int64_t key, int64_t n) {
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

static lode_status put_number (lode_coll *c, int64_t key, int64_t n) {
  unsigned char bytes[8];
  put_u64(bytes, (uint64_t)n);
  return put_integer(c, key, slice_of(bytes, 8));
}

static lode_status put_to_live (lode_coll *c, int64_t key, uint64_t ttl) {
  lode_buffer bytes = { NULL, 0, 0 };
  unsigned char n[8] = { 0 };
  lode_value v = { slice_of(n, 8), LODE_BYTES };
  lode_key k;
  lode_status st;
  key_of_integer(c, key, &bytes, &k);
  st = lode_put(c, &k, v, LODE_PUT, ttl);
  lode_buffer_free(&bytes);
  return st;
}

/* {==================================================================
** Other processes
** =================================================================== */

typedef struct other { /* a process that works on the same store */
  pid_t pid;
  int to, from;
} other;

/* Starts one that opens the store anew and calls `work` with its end. */
static other other_begin (const char *name,
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

static void hear (int from) {
  char c;
  if (read(from, &c, 1) != 1)
    printf("the other process said nothing\n");
}

static void say (int to) {
  if (write(to, "x", 1) != 1)
    printf("the other process hears nothing\n");
}

static int other_end (const other *o) {
  int status = -1;
  close(o->to);
  close(o->from);
  waitpid(o->pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* }================================================================== */

/* {==================================================================
** Seeing
** =================================================================== */

static void seen_at_once (void) {
  lode_store *s = open_behind("seen"), *t = open_calm("seen");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_coll *d = scratch_coll(t, "d", LODE_DICT);
  expect(put_number(c, 1, 10) == LODE_OK);
  expect(put_number(c, 2, 20) == LODE_OK);
  expect(put_number(c, 1, 11) == LODE_OK);
  expect(stats_of(s).pending == 3 && stats_of(s).last_flush == 0);
  expect(stats_of(s).pending_bytes > 3 * 8);
  expect(holds(c, 1, 11) && holds(d, 1, 11) && holds(d, 2, 20));
  expect(has_integer(d, 2) == LODE_OK && has_integer(d, 3) == LODE_ABSENT);
  expect(len_of(d) == 0); /* what is committed */
  expect(delete_integer(d, 2) == LODE_OK);
  expect(delete_integer(c, 2) == LODE_ABSENT);
  expect(delete_integer(c, 3) == LODE_ABSENT);
  expect(holds(c, 2, -1) && holds(c, 1, 11));
  expect(stats_of(s).pending == 4);
  expect(len_of(c) == 1); /* which commits first */
  expect(stats_of(s).pending == 0 && stats_of(s).last_flush != 0);
  expect(len_of(d) == 1 && holds(d, 1, 11) && holds(d, 2, -1));
  expect(delete_integer(c, 1) == LODE_OK && holds(d, 1, -1));
  expect(lode_flush(t) == LODE_OK && stats_of(s).pending == 0);
  expect(len_of(d) == 0);
  lode_coll_close(c);
  lode_coll_close(d);
  scratch_close(t);
  scratch_close(s);
}

/* Long keys, of which only a hash stands in the tree. */
static void long_keys (void) {
  lode_store *s = open_behind("long");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_slice none = { NULL, 0 };
  char text[3000];
  memset(text, 'k', sizeof text);
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < 20; i++) {
      lode_buffer b = { NULL, 0, 0 };
      lode_value v = { slice_of(text, (size_t)i), LODE_BYTES };
      lode_key key;
      text[2999] = (char)i;
      expect(lode_key_string(&b, text, sizeof text) == LODE_OK);
      expect(lode_key_of(c, slice_of(b.data, b.size), none, &key) ==
             LODE_OK);
      if (round == 0)
        expect(lode_put(c, &key, v, LODE_PUT, LODE_TTL_OWN) == LODE_OK);
      expect(lode_get(c, &key, &v) == LODE_OK && v.data.size == (size_t)i);
      lode_done(c);
      lode_buffer_free(&b);
    }
    expect(stats_of(s).pending == (round == 0 ? 20 : 0));
    expect(lode_flush(s) == LODE_OK);
  }
  expect(len_of(c) == 20);
  lode_coll_close(c);
  scratch_close(s);
}

/* What must read to decide finds all that was written before. */
static void decisions (void) {
  lode_store *s = open_behind("decide");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_range all = { .limit = UINT64_MAX };
  lode_buffer bytes = { NULL, 0, 0 };
  lode_value v = { test_text("new"), LODE_BYTES };
  lode_entry e;
  lode_key key;
  uint64_t n = 0;
  expect(put_number(c, 1, 1) == LODE_OK);
  key_of_integer(c, 1, &bytes, &key);
  expect(lode_put(c, &key, v, LODE_ADD, LODE_TTL_OWN) == LODE_EXISTS);
  expect(stats_of(s).pending == 0);
  expect(delete_integer(c, 1) == LODE_OK && stats_of(s).pending == 1);
  expect(lode_put(c, &key, v, LODE_REPLACE, LODE_TTL_OWN) == LODE_ABSENT);
  expect(lode_put(c, &key, v, LODE_ADD, LODE_TTL_OWN) == LODE_OK);
  expect(stats_of(s).pending == 0);
  expect(put_number(c, 1, 2) == LODE_OK);
  expect(lode_begin(s) == LODE_OK && holds(c, 1, 2));
  expect(put_number(c, 1, 3) == LODE_OK && stats_of(s).pending == 0);
  lode_abort(s);
  expect(holds(c, 1, 2));
  expect(put_number(c, 2, 4) == LODE_OK && stats_of(s).pending == 1);
  expect(lode_info(c, &key, &e) == LODE_OK && stats_of(s).pending == 1);
  expect(put_number(c, 1, 5) == LODE_OK);
  expect(lode_info(c, &key, &e) == LODE_OK && stats_of(s).pending == 0);
  expect(put_number(c, 3, 6) == LODE_OK);
  expect(lode_count(c, &all, &n) == LODE_OK && n == 3);
  expect(put_number(c, 4, 7) == LODE_OK);
  expect(lode_clear(c, &n) == LODE_OK && n == 4 && holds(c, 4, -1));
  expect(put_number(c, 5, 8) == LODE_OK);
  expect(lode_snapshot(s) == LODE_OK && holds(c, 5, 8));
  lode_snapshot_end(s);
  lode_buffer_free(&bytes);
  lode_coll_close(c);
  scratch_close(s);
}

/* A handle that commits writes what waits before its own, too. */
static void beside_others (void) {
  lode_store *s = open_behind("beside"), *t = scratch_open("beside", NULL);
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_coll *d = scratch_coll(t, "d", LODE_DICT);
  expect(put_number(c, 1, 1) == LODE_OK && holds(d, 1, 1));
  expect(put_number(d, 1, 2) == LODE_OK && stats_of(t).pending == 0);
  expect(holds(c, 1, 2));
  expect(put_number(c, 1, 3) == LODE_OK && holds(d, 1, 3));
  expect(lode_begin(t) == LODE_OK);
  expect(put_number(c, 1, 4) == LODE_REENTRY); /* it would never end */
  expect(lode_commit(t) == LODE_OK);
  lode_coll_close(c);
  expect(put_number(d, 2, 2) == LODE_OK);
  scratch_close(s);
  expect(holds(d, 1, 3) && stats_of(t).pending == 0);
  lode_coll_close(d);
  scratch_close(t);
}

/* Answers that are kept must not outlive a write that waits. */
static void validity (void) {
  lode_store *s = open_behind("valid"), *t = open_behind("valid");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_coll *d = scratch_coll(t, "d", LODE_DICT);
  lode_validity v;
  expect(put_number(c, 1, 1) == LODE_OK && lode_flush(s) == LODE_OK);
  expect(holds(c, 1, 1));
  lode_validity_of(c, &v);
  expect(v.commit != 0 && v.expires == LODE_NEVER && lode_is_valid(s, &v));
  expect(put_number(d, 1, 2) == LODE_OK);
  expect(!lode_is_valid(s, &v) && holds(c, 1, 2));
  lode_validity_of(c, &v);
  expect(v.expires == 0); /* not to be kept */
  expect(lode_flush(s) == LODE_OK && holds(c, 1, 2));
  lode_validity_of(c, &v);
  expect(lode_is_valid(s, &v));
  lode_coll_close(c);
  lode_coll_close(d);
  scratch_close(t);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** Order and bounds
** =================================================================== */

#define ORDERED 20000

/* Reads until all is there: what there is must be 1, 2, 3... without gap. */
static int see_prefixes (lode_store *s, lode_coll *c, int to, int from) {
  lode_range all = { .limit = UINT64_MAX };
  uint64_t n = 0, batches = 0, last = 0;
  int wrong = 0;
  say(to);
  while (n < ORDERED && wrong == 0) {
    lode_snapshot(s);
    if (lode_count(c, &all, &n) != LODE_OK)
      wrong = 1;
    for (uint64_t i = n > 3 ? n - 3 : 1; i <= n; i++)
      wrong |= has_integer(c, (int64_t)i) != LODE_OK;
    wrong |= has_integer(c, (int64_t)n + 1) != LODE_ABSENT;
    lode_snapshot_end(s);
    batches += n != last;
    last = n;
  }
  (void)from;
  printf("  seen by another process: %llu batches or more\n",
         (unsigned long long)batches);
  fflush(stdout);
  return wrong;
}

static void in_order (void) {
  lode_options o = behind_options();
  lode_store *s;
  lode_coll *c;
  other x;
  o.flush_ops = 100;
  o.flush_ms = 5;
  s = scratch_open("order", &o);
  c = scratch_coll(s, "d", LODE_DICT);
  x = other_begin("order", see_prefixes);
  hear(x.from);
  for (int i = 1; i <= ORDERED; i++)
    if (!expect(put_number(c, i, i) == LODE_OK))
      printf("%s\n", lode_store_error(s)->text);
  expect(lode_flush(s) == LODE_OK);
  expect(other_end(&x) == 0);
  expect(stats_of(s).entries == ORDERED);
  lode_coll_close(c);
  scratch_close(s);
}

static void bounds (void) {
  static const unsigned ops[] = { 1, 2, 7, 50 };
  char big[1000] = { 0 };
  for (size_t i = 0; i < LENGTH(ops); i++) {
    lode_options o = behind_options();
    lode_store *s;
    lode_coll *c;
    uint64_t most = 0;
    o.flush_ops = ops[i];
    s = scratch_open("bounds", &o);
    c = scratch_coll(s, "d", LODE_DICT);
    for (int j = 0; j < 300; j++) {
      expect(put_number(c, j, j) == LODE_OK);
      if (stats_of(s).pending > most)
        most = stats_of(s).pending;
    }
    expect(most <= ops[i]);
    lode_coll_close(c);
    scratch_close(s);
  }
  lode_options o = behind_options();
  lode_store *s;
  lode_coll *c;
  o.flush_bytes = 10000;
  s = scratch_open("bounds", &o);
  c = scratch_coll(s, "d", LODE_DICT);
  for (int j = 0; j < 300; j++) {
    expect(put_integer(c, j, slice_of(big, sizeof big)) == LODE_OK);
    expect(stats_of(s).pending_bytes <= 10000);
  }
  lode_coll_close(c);
  scratch_close(s);
}

/* A value that is past the bound by itself is on disk at once. */
static void large_values (void) {
  lode_options o = behind_options();
  static char big[20001];
  lode_store *s;
  lode_coll *c;
  o.flush_bytes = 20000;
  s = scratch_open("large", &o);
  c = scratch_coll(s, "d", LODE_DICT);
  expect(put_number(c, 1, 1) == LODE_OK && stats_of(s).pending == 1);
  expect(put_integer(c, 2, slice_of(big, sizeof big)) == LODE_OK);
  expect(stats_of(s).pending == 0 && len_of(c) == 2);
  lode_coll_close(c);
  scratch_close(s);
}

static void age (void) {
  lode_options o = behind_options();
  lode_store *s;
  lode_coll *c;
  int waited = 0;
  o.flush_ms = 30;
  s = scratch_open("age", &o);
  c = scratch_coll(s, "d", LODE_DICT);
  for (int round = 0; round < 3; round++) {
    expect(put_number(c, round, 1) == LODE_OK);
    for (waited = 0; stats_of(s).pending > 0 && waited < 5000; waited += 5)
      nap(5);
    expect(waited < 5000);
    expect((int)stats_of(s).entries == round + 1);
  }
  lode_coll_close(c);
  scratch_close(s);
}

static int hold_the_lock (lode_store *s, lode_coll *c, int to, int from) {
  (void)c;
  if (lode_begin(s) != LODE_OK)
    return 1;
  say(to);
  hear(from);
  lode_abort(s);
  return 0;
}

/* Another process writes: there is room for some, then a wait with an end. */
static void another_writer (void) {
  lode_options o = behind_options();
  lode_store *s;
  lode_coll *c;
  other x;
  o.flush_ops = 10;
  o.lock_timeout = 300;
  s = scratch_open("writer", &o);
  c = scratch_coll(s, "d", LODE_DICT);
  x = other_begin("writer", hold_the_lock);
  hear(x.from);
  for (int i = 0; i < 10; i++)
    expect(put_number(c, i, i) == LODE_OK);
  expect(put_number(c, 10, 10) == LODE_BUSY);
  expect(lode_flush(s) == LODE_BUSY);
  expect(strstr(lode_store_error(s)->text, "process") != NULL);
  expect(holds(c, 9, 9) && holds(c, 10, -1) && stats_of(s).pending == 10);
  say(x.to);
  expect(other_end(&x) == 0);
  expect(put_number(c, 10, 10) == LODE_OK && lode_flush(s) == LODE_OK);
  expect(len_of(c) == 11);
  lode_coll_close(c);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** Failures
** =================================================================== */

static lode_store *open_small (const char *name) {
  lode_options o = behind_options();
  o.max_size = 1 << 20;
  return scratch_open(name, &o);
}

static bool says (lode_store *s, const char *words) {
  return strstr(lode_store_error(s)->text, words) != NULL;
}

static lode_status info (lode_coll *c, const lode_key *key) {
  lode_entry e;
  return lode_info(c, key, &e);
}

/* Fills the store; what is pending then has failed for want of room. */
static int fill (lode_store *s, lode_coll *c) {
  static char big[8000];
  int n = 0;
  while (n < 500 && put_integer(c, n, slice_of(big, sizeof big)) == LODE_OK)
    if (++n % 20 == 0 && lode_flush(s) != LODE_OK)
      break;
  expect(n < 500);
  return n;
}

static void full (void) {
  lode_store *s = open_small("full");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_walk *w;
  lode_range all = { .limit = UINT64_MAX };
  int n = fill(s, c), before = (int)stats_of(s).entries;
  expect(stats_of(s).failed == LODE_FULL);
  expect((int)stats_of(s).pending == n - before);
  expect(says(s, "not on disk"));
  for (int i = 0; i < n; i++)
    expect(has_integer(c, i) == LODE_OK); /* all of it is seen */
  expect(put_number(c, 1000, 1) == LODE_FULL && says(s, "not on disk"));
  expect(put_number(c, 1000, 1) == LODE_FULL && holds(c, 1000, -1));
  expect(lode_begin(s) == LODE_FULL);
  expect(lode_flush(s) == LODE_FULL);
  expect((int)len_of(c) == before); /* reads go on */
  expect(lode_walk_open(c, &all, false, &w) == LODE_OK);
  lode_walk_close(w);
  for (int i = 0; i < 40; i++) /* deletes make room, ahead of the rest */
    expect(delete_integer(c, i) == LODE_OK);
  expect(delete_integer(c, 0) == LODE_ABSENT);
  expect(delete_integer(c, n - 1) == LODE_OK); /* which is pending alone */
  expect(has_integer(c, n - 1) == LODE_ABSENT);
  expect(lode_flush(s) == LODE_OK && stats_of(s).failed == LODE_OK);
  expect((int)len_of(c) == n - 41);
  expect(put_number(c, 1000, 1) == LODE_OK && lode_flush(s) == LODE_OK);
  for (int i = 40; i < n - 1; i++)
    expect(has_integer(c, i) == LODE_OK);
  lode_coll_close(c);
  scratch_close(s);
}

/* The thread fails, and the next write is told; then it goes on by itself. */
static void told_once (void) {
  lode_options o = behind_options();
  static char big[8000];
  lode_store *s;
  lode_coll *c;
  uint64_t n;
  int waited = 0;
  o.max_size = 1 << 20;
  o.flush_ms = 1;
  s = scratch_open("told", &o);
  c = scratch_coll(s, "d", LODE_DICT);
  for (int i = 0; i < 200; i++)
    if (put_integer(c, i, slice_of(big, sizeof big)) != LODE_OK)
      break;
  for (; stats_of(s).failed == LODE_OK && waited < 5000; waited += 5)
    nap(5);
  expect(waited < 5000);
  expect(put_number(c, 1000, 1) == LODE_FULL);
  expect(lode_clear(c, &n) == LODE_OK); /* pending ones with it */
  expect(stats_of(s).pending == 0 && len_of(c) == 0);
  expect(put_number(c, 1000, 1) == LODE_OK && lode_flush(s) == LODE_OK);
  lode_coll_close(c);
  scratch_close(s);
}

static void dropped_to_make_room (void) {
  lode_store *s = open_small("dropfull");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_coll *d = scratch_coll(s, "e", LODE_DICT);
  expect(put_number(d, 1, 1) == LODE_OK);
  (void)fill(s, c);
  expect(put_number(d, 2, 2) == LODE_FULL);
  lode_coll_close(c);
  expect(lode_drop(s, test_text("d")) == LODE_OK);
  expect(put_number(d, 2, 2) == LODE_OK && lode_flush(s) == LODE_OK);
  expect(holds(d, 1, 1) && holds(d, 2, 2) && len_of(d) == 2);
  lode_coll_close(d);
  scratch_close(s);
}

/* A disk without room: here, files may not grow past where they are. */
static void disk_full (void) {
  lode_store *s = open_behind("disk");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  static char big[200000];
  struct rlimit before, limit;
  void (*handler) (int) = signal(SIGXFSZ, SIG_IGN);
  expect(put_number(c, 1, 1) == LODE_OK && lode_flush(s) == LODE_OK);
  getrlimit(RLIMIT_FSIZE, &before);
  limit = before;
  limit.rlim_cur = stats_of(s).file_size + 50000;
  expect(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  expect(put_integer(c, 2, slice_of(big, sizeof big)) == LODE_OK);
  expect(put_number(c, 3, 3) == LODE_OK);
  expect(lode_flush(s) == LODE_DISK_FULL && says(s, "2 writes behind"));
  expect(put_number(c, 4, 4) == LODE_DISK_FULL);
  expect(holds(c, 3, 3) && has_integer(c, 2) == LODE_OK && len_of(c) == 1);
  expect(with_integer(c, 2, info) == LODE_DISK_FULL); /* asks the file */
  expect(delete_integer(c, 1) == LODE_OK && holds(c, 1, -1));
  expect(stats_of(s).pending == 2 && stats_of(s).failed == LODE_DISK_FULL);
  expect(setrlimit(RLIMIT_FSIZE, &before) == 0);
  signal(SIGXFSZ, handler);
  expect(put_number(c, 4, 4) == LODE_OK); /* which tries again first */
  expect(lode_flush(s) == LODE_OK && len_of(c) == 3);
  lode_coll_close(c);
  scratch_close(s);
}

static void closed_when_full (void) {
  lode_store *s = open_small("lost"), *t = open_small("lost");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  uint64_t before;
  lode_error e;
  (void)fill(s, c);
  before = stats_of(s).entries;
  lode_coll_close(c);
  expect(lode_close(s, &e) == LODE_FULL); /* the other handle has them yet */
  expect(strstr(e.text, "not on disk") != NULL);
  expect(stats_of(t).pending > 0);
  expect(lode_close(t, &e) == LODE_FULL);
  expect(strstr(e.text, "are lost") != NULL);
  s = open_small("lost");
  expect(stats_of(s).entries == before && stats_of(s).pending == 0);
  scratch_close(s);
}

static int drop_it (lode_store *s, lode_coll *c, int to, int from) {
  hear(from);
  lode_coll_close(c);
  if (lode_drop(s, test_text("d")) != LODE_OK)
    return 1;
  say(to);
  return 0;
}

static void dropped_elsewhere (void) {
  lode_store *s = open_behind("dropped");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_coll *d = scratch_coll(s, "e", LODE_DICT);
  other x = other_begin("dropped", drop_it);
  expect(put_number(c, 1, 1) == LODE_OK && put_number(d, 1, 1) == LODE_OK);
  expect(put_number(c, 2, 2) == LODE_OK && put_number(d, 2, 2) == LODE_OK);
  say(x.to);
  hear(x.from);
  expect(other_end(&x) == 0);
  expect(put_number(c, 3, 3) == LODE_NOT_FOUND); /* seen by the commit */
  expect(put_number(d, 3, 3) == LODE_OK);
  expect(lode_flush(s) == LODE_NOT_FOUND);
  expect(says(s, "2 writes behind are lost"));
  expect(lode_flush(s) == LODE_OK && stats_of(s).pending == 0);
  expect(len_of(d) == 3 && holds(c, 1, -1) == false);
  lode_coll_close(c);
  lode_coll_close(d);
  scratch_close(s);
}

/* In this process a drop comes after all that was written before it. */
static void dropped_here (void) {
  lode_store *s = open_behind("here"), *t = open_behind("here");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  expect(put_number(c, 1, 1) == LODE_OK);
  expect(lode_drop(t, test_text("d")) == LODE_OK);
  expect(put_number(c, 2, 2) == LODE_NOT_FOUND);
  expect(delete_integer(c, 1) == LODE_NOT_FOUND);
  expect(lode_flush(s) == LODE_OK && stats_of(s).collections == 0);
  lode_coll_close(c);
  scratch_close(s);
  scratch_close(t);
}

/* Each allocation fails in turn: what was accepted is never lost. */
static void no_memory (void) {
  bool failed = true;
  long runs = 0;
  for (unsigned long n = 1; failed && n < 2000; n++, runs++) {
    lode_store *s = open_behind("memory");
    lode_coll *c = scratch_coll(s, "d", LODE_DICT);
    bool there[8] = { false };
    lode_status st = LODE_OK;
    lode_test_fail_allocation(n);
    for (int i = 0; i < 8; i++) {
      lode_status put = put_number(c, i, (int64_t)n);
      there[i] = put == LODE_OK;
      if (put != LODE_OK)
        st = put;
      if (i == 3 && lode_flush(s) != LODE_OK)
        st = LODE_NO_MEMORY;
    }
    if (lode_flush(s) != LODE_OK)
      st = LODE_NO_MEMORY;
    lode_test_fail_allocation(0);
    failed = st != LODE_OK;
    expect(st == LODE_OK || st == LODE_NO_MEMORY);
    expect(lode_flush(s) == LODE_OK);
    for (int i = 0; i < 8; i++)
      if (there[i])
        expect(holds(c, i, (int64_t)n));
    lode_coll_close(c);
    scratch_close(s);
  }
  expect(!failed && runs > 8);
}

/* }================================================================== */

/* {==================================================================
** Time
** =================================================================== */

static uint64_t fake_now = 1700000000000u;

static uint64_t fake_clock (void *data) {
  (void)data;
  return fake_now;
}

static void deadlines (void) {
  lode_options o = behind_options();
  lode_coll_options two_seconds = { .ttl = 2000 };
  lode_store *s;
  lode_coll *c, *d;
  o.clock = fake_clock;
  s = scratch_open("time", &o);
  c = scratch_coll(s, "d", LODE_DICT);
  expect(lode_coll_open(s, test_text("t"), LODE_DICT, &two_seconds, &d) ==
         LODE_OK);
  expect(put_to_live(c, 1, 1000) == LODE_OK);
  expect(put_to_live(c, 2, LODE_NEVER) == LODE_OK);
  expect(put_number(d, 1, 0) == LODE_OK);
  expect(put_to_live(d, 2, LODE_NEVER) == LODE_OK);
  expect(stats_of(s).pending == 4);
  fake_now += 999;
  expect(holds(c, 1, 0));
  fake_now += 1;
  expect(holds(c, 1, -1) && delete_integer(c, 1) == LODE_ABSENT);
  expect(holds(d, 1, 0) && stats_of(s).pending == 4);
  expect(lode_flush(s) == LODE_OK && stats_of(s).pending == 0);
  expect(holds(c, 1, -1) && holds(c, 2, 0) && holds(d, 1, 0));
  fake_now += 1000; /* two seconds from the write, not from the commit */
  expect(holds(d, 1, -1) && holds(d, 2, 0));
  expect(len_of(c) == 1 && len_of(d) == 1);
  fake_now -= 60000; /* the clock is set back: its era is in the file */
  expect(put_to_live(c, 3, 1000) == LODE_OK && stats_of(s).pending == 0);
  expect(holds(c, 3, 0) && holds(d, 1, -1));
  lode_coll_close(c);
  lode_coll_close(d);
  scratch_close(s);
}

/* Collections that decide at each write don't wait. */
static void capped (void) {
  lode_coll_options three = { .max_entries = 3 };
  lode_store *s = open_behind("capped");
  lode_coll *c;
  expect(lode_coll_open(s, test_text("c"), LODE_DICT, &three, &c) ==
         LODE_OK);
  for (int i = 0; i < 100; i++)
    expect(put_number(c, i, i) == LODE_OK && stats_of(s).pending == 0);
  expect(len_of(c) <= 3 + LODE_CAP_SLACK);
  lode_coll_close(c);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** Threads and forks
** =================================================================== */

#define THREADS 4
#define ROUNDS 500

typedef struct job {
  const char *path;
  int number;
  long wrong, deleted;
} job;

/* Adds one to the number under key -1, with nobody in between. */
static long count_up (lode_store *s, lode_coll *c) {
  lode_buffer bytes = { NULL, 0, 0 };
  unsigned char now[8] = { 0 };
  lode_value v;
  lode_key key;
  lode_status st = lode_lock(s);
  if (st != LODE_OK)
    return 1;
  key_of_integer(c, -1, &bytes, &key);
  if (lode_get(c, &key, &v) == LODE_OK && v.data.size == 8)
    memcpy(now, v.data.data, 8);
  lode_done(c);
  put_u64(now, get_u64(now) + 1);
  st = lode_lock_begin(s);
  v.data = slice_of(now, 8);
  v.codec = LODE_BYTES;
  if (st == LODE_OK)
    st = lode_put(c, &key, v, LODE_PUT, LODE_TTL_OWN);
  if (st == LODE_OK)
    st = lode_commit(s);
  else
    lode_abort(s);
  lode_buffer_free(&bytes);
  return st != LODE_OK;
}

static void *work (void *data) {
  job *j = data;
  lode_options o = behind_options();
  lode_coll_options none = { .raw = false };
  lode_store *s = NULL;
  lode_coll *c;
  lode_error e;
  o.flush_ops = 64;
  o.flush_ms = 2;
  o.lock_timeout = 60000;
  if (lode_open(j->path, &o, &s, &e) != LODE_OK ||
      lode_coll_open(s, test_text("d"), LODE_DICT, &none, &c) != LODE_OK) {
    j->wrong = 1;
    return NULL;
  }
  for (int i = 0; i < ROUNDS; i++) {
    int64_t own = (int64_t)(j->number + 1) * ROUNDS + i;
    j->wrong += put_number(c, own, i) != LODE_OK || !holds(c, own, i);
    if (i % 3 == 0)
      j->wrong += delete_integer(c, own) != LODE_OK || !holds(c, own, -1);
    j->deleted += delete_integer(c, i) == LODE_OK; /* one of all */
    if (i % 25 == 0)
      j->wrong += count_up(s, c);
    if (i % 100 == 0)
      j->wrong += len_of(c) == UINT64_MAX;
  }
  lode_coll_close(c);
  j->wrong += lode_close(s, &e) != LODE_OK;
  return NULL;
}

static void threads (void) {
  pthread_t ids[THREADS];
  job jobs[THREADS];
  char path[128];
  long deleted = 0;
  lode_store *s = open_behind("threads");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  for (int i = 0; i < ROUNDS; i++)
    expect(put_number(c, i, i) == LODE_OK);
  snprintf(path, sizeof path, "%s", scratch_path("threads"));
  for (int i = 0; i < THREADS; i++) {
    jobs[i] = (job){ path, i, 0, 0 };
    expect(pthread_create(&ids[i], NULL, work, &jobs[i]) == 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(ids[i], NULL);
    expect(jobs[i].wrong == 0);
    deleted += jobs[i].deleted;
  }
  expect(deleted == ROUNDS); /* each was deleted by one of them */
  expect(holds(c, -1, THREADS * ROUNDS / 25));
  expect(lode_flush(s) == LODE_OK);
  expect(len_of(c) == 1 + THREADS * (ROUNDS - (ROUNDS + 2) / 3));
  lode_coll_close(c);
  scratch_close(s);
}

/* A child has none of its parent's writes, and its own thread. */
static void forked (void) {
  lode_store *s = open_calm("forked");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  int status = -1;
  pid_t pid;
  expect(put_number(c, 1, 1) == LODE_OK);
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    bool good = put_number(c, 2, 2) == LODE_OK && holds(c, 2, 2) &&
                holds(c, 1, -1) && stats_of(s).pending == 1 &&
                len_of(c) == 0 && lode_flush(s) == LODE_OK &&
                len_of(c) == 1;
    lode_error e;
    good = put_number(c, 3, 3) == LODE_OK && good;
    lode_coll_close(c);
    _exit(lode_close(s, &e) == LODE_OK && good ? 0 : 1);
  }
  waitpid(pid, &status, 0);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  expect(stats_of(s).pending == 1 && holds(c, 1, 1));
  expect(len_of(c) == 2 && holds(c, 2, 2) && holds(c, 3, 3));
  expect(lode_flush(s) == LODE_OK && len_of(c) == 3);
  lode_coll_close(c);
  scratch_close(s);
}

/* Killed: what is found is what was written first, up to a place. */
static void killed (void) {
  uint64_t most_lost = 0, rounds = getenv("LODE_FULL") != NULL ? 300 : 15;
  for (uint64_t round = 0; round < rounds; round++) {
    lode_options o = behind_options();
    lode_store *s = scratch_open("killed", NULL);
    lode_coll *c = scratch_coll(s, "d", LODE_DICT);
    uint64_t n, said = 0, last = 0;
    int out[2];
    pid_t pid;
    expect(lode_clear(c, &n) == LODE_OK);
    lode_coll_close(c);
    scratch_close(s);
    o.flush_ops = 50;
    o.flush_ms = 3;
    if (pipe(out) != 0)
      exit(2);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
      s = scratch_open("killed", &o);
      c = scratch_coll(s, "d", LODE_DICT);
      for (uint64_t i = 1;; i++)
        if (put_number(c, (int64_t)i, 1) != LODE_OK ||
            write(out[1], &i, sizeof i) != sizeof i)
          _exit(1);
    }
    close(out[1]);
    if (read(out[0], &said, sizeof said) != sizeof said)
      printf("the child has written nothing\n");
    nap((long)test_below(20));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    while (read(out[0], &last, sizeof last) == sizeof last)
      said = last;
    close(out[0]);
    s = scratch_open("killed", NULL);
    c = scratch_coll(s, "d", LODE_DICT);
    n = len_of(c);
    for (uint64_t i = 1; i <= n; i++)
      expect(has_integer(c, (int64_t)i) == LODE_OK);
    expect(n + 50 >= said);
    if (said > n && said - n > most_lost)
      most_lost = said - n;
    lode_coll_close(c);
    scratch_close(s);
  }
  printf("%llu rounds of kill -9 with writes behind, at most %llu of 50 "
         "lost, always the last\n", (unsigned long long)rounds,
         (unsigned long long)most_lost);
}

/* }================================================================== */

int main (void) {
  signal(SIGPIPE, SIG_IGN);
  scratch_begin();
  test_group("seen at once by every handle", seen_at_once);
  test_group("long keys", long_keys);
  test_group("decisions come after what was written", decisions);
  test_group("handles of other durabilities", beside_others);
  test_group("answers that are kept", validity);
  test_group("in order, batch by batch", in_order);
  test_group("bounds by number and bytes", bounds);
  test_group("values past the bound", large_values);
  test_group("bound by age", age);
  test_group("another process that writes", another_writer);
  test_group("a full store", full);
  test_group("a failure is told", told_once);
  test_group("a drop that makes room", dropped_to_make_room);
  test_group("a full disk", disk_full);
  test_group("closed while it is full", closed_when_full);
  test_group("dropped by another process", dropped_elsewhere);
  test_group("dropped by this process", dropped_here);
  test_group("without memory", no_memory);
  test_group("deadlines", deadlines);
  test_group("caps", capped);
  test_group("threads", threads);
#ifndef __SANITIZE_THREAD__ /* which knows no threads of a forked child */
  test_group("forks", forked);
#endif
  test_group("kill -9", killed);
  scratch_end();
  return test_end();
}
