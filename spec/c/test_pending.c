/*
** test_pending.c - writes behind: seen at once by every handle of the
** process, in the file batch by batch and in order, and never more of them
** waiting than the bounds allow.
*/
#include "behind.h"

#include "core/queue.h"

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
  printf("%llu batches or more seen by another process\n",
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
** Time
** =================================================================== */

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

/* A delete in a transaction, which doesn't wait. */
static lode_status delete_within (lode_store *s, lode_coll *c, int64_t key) {
  lode_status st = lode_begin(s), deleted;
  if (st != LODE_OK)
    return st;
  deleted = delete_integer(c, key);
  st = lode_commit(s);
  return st == LODE_OK ? deleted : st;
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
    j->deleted += (j->number == 0 ? delete_within(s, c, i)
                                  : delete_integer(c, i)) == LODE_OK;
    if (i % 25 == 0)
      j->wrong += count_up(s, c);
    if (i % 100 == 0)
      j->wrong += len_of(c) == UINT64_MAX;
  }
  lode_coll_close(c);
  j->wrong += lode_close(s, &e) != LODE_OK;
  return NULL;
}

/* Who found nothing pending, and an entry in the file, looks again when a
   whole batch with a write of that key came and went in between. */
static void decided_before_a_batch (void) {
  queue *q = queue_new();
  const lode_value none = { { NULL, 0 }, LODE_NOTHING };
  const queue_seen seen = { 0, 0, 0 };
  const queue_write *first;
  lode_key key = { .whole = test_text("k"), .stored = test_text("k") };
  queue_write *others = queue_write_new(q, 1, &key, none);
  queue_write *mine = queue_write_new(q, 1, &key, none);
  lode_error e;
  bool moved = true;
  expect(queue_add(q, others, &seen, 0, &moved, &e) == LODE_OK && !moved);
  expect(queue_batch(q, &first) == 1);
  queue_done(q, 1, 0, NULL, 1);
  expect(queue_add(q, mine, &seen, 0, &moved, &e) == LODE_OK && moved);
  if (moved) /* else the queue has it */
    lode_free(mine);
  queue_free(q);
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
  expect(deleted == ROUNDS); /* each by one of them, and by no other */
  expect(holds(c, -1, THREADS * ROUNDS / 25));
  expect(lode_flush(s) == LODE_OK);
  expect(len_of(c) == 1 + THREADS * (ROUNDS - (ROUNDS + 2) / 3));
  lode_coll_close(c);
  scratch_close(s);
}

/* Deletes key 1 in a transaction that takes its time. */
static void *delete_slowly (void *data) {
  job *j = data;
  lode_coll_options none = { .raw = false };
  lode_options o = behind_options();
  lode_store *s = NULL;
  lode_coll *c = NULL;
  lode_error e;
  bool good = lode_open(j->path, &o, &s, &e) == LODE_OK &&
              lode_coll_open(s, test_text("d"), LODE_DICT, &none, &c) ==
              LODE_OK && lode_begin(s) == LODE_OK;
  say(j->number);
  nap(50);
  good = good && delete_integer(c, 1) == LODE_OK &&
         put_number(c, 2, 2) == LODE_OK && lode_commit(s) == LODE_OK;
  j->wrong = !good;
  if (s != NULL)
    lode_close(s, &e);
  lode_coll_close(c);
  return NULL;
}

/* What waits for a transaction is decided on what that leaves. */
static void after_transactions (void) {
  lode_store *s = open_behind("after");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  char path[128];
  int ends[2];
  pthread_t id;
  job j = { path, 0, 0, 0 };
  snprintf(path, sizeof path, "%s", scratch_path("after"));
  for (int i = 0; i < 2; i++) { /* the key is in the file, or waits */
    expect(put_number(c, 1, 1) == LODE_OK);
    if (i == 0)
      expect(lode_flush(s) == LODE_OK);
    if (pipe(ends) != 0)
      exit(2);
    j.number = ends[1];
    expect(pthread_create(&id, NULL, delete_slowly, &j) == 0);
    hear(ends[0]);
    expect(delete_integer(c, 1) == LODE_ABSENT);
    expect(put_number(c, 2, 3) == LODE_OK && holds(c, 2, 3));
    pthread_join(id, NULL);
    expect(j.wrong == 0 && holds(c, 2, 3));
    close(ends[0]);
    close(ends[1]);
  }
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
  test_group("deadlines", deadlines);
  test_group("caps", capped);
  test_group("a delete that was decided before a batch",
             decided_before_a_batch);
  test_group("threads", threads);
  test_group("after the transaction of a thread", after_transactions);
#ifndef __SANITIZE_THREAD__ /* which knows no threads of a forked child */
  test_group("forks", forked);
#endif
  scratch_end();
  return test_end();
}
