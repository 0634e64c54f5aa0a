/*
** test_time.c - deadlines: exact for everybody, whoever sweeps, and however
** the clock is set.
*/
#include "timed.h"

static const lode_coll_options plain;

/* {==================================================================
** Deadlines
** =================================================================== */

/* Sees one short and one long key on the two sides of their deadline. */
static void exact_in (lode_kind kind) {
  const char *text = kind == LODE_DICT ? "value" : NULL;
  lode_store *s = timed_open("exact", LODE_OFF);
  lode_coll *c = timed_coll(s, kind == LODE_DICT ? "d" : "s", kind, &plain);
  lode_coll *other = timed_coll(s, "other", LODE_SET, &plain);
  lode_term terms[3] = { { LODE_LEAF, c }, { LODE_LEAF, other },
                         { LODE_UNION, NULL } };
  uint64_t n;
  expect(timed_write(c, 1, text, 1000, LODE_PUT) == LODE_OK);
  expect(timed_write(c, 2, text, LODE_NEVER, LODE_PUT) == LODE_OK);
  expect(timed_write(c, TIMED_LONG, text, 1000, LODE_PUT) == LODE_OK);
  expect(timed_info(c, 1).expires == timed_now + 1000);
  expect(timed_info(c, 2).expires == LODE_NEVER);
  timed_now += 999;
  expect(timed_has(c, 1) == LODE_OK && timed_get(c, 1) == LODE_OK);
  expect(timed_has(c, TIMED_LONG) == LODE_OK && timed_are(c, 3));
  expect(kind == LODE_DICT ||
         (lode_merge_count(terms, 3, &n) == LODE_OK && n == 3));
  timed_now++;
  expect(timed_has(c, 1) == LODE_ABSENT && timed_get(c, 1) == LODE_ABSENT);
  expect(timed_has(c, TIMED_LONG) == LODE_ABSENT && timed_are(c, 1));
  expect(kind == LODE_DICT ||
         (lode_merge_count(terms, 3, &n) == LODE_OK && n == 1));
  expect(timed_delete(c, 1) == LODE_ABSENT);
  expect(timed_write(c, 1, text, 500, LODE_REPLACE) == LODE_ABSENT);
  expect(timed_write(c, 1, text, 500, LODE_ADD) == LODE_OK);
  expect(timed_are(c, 2) && timed_calls(c) == 2);
  expect(timed_sweep(s, 0, NULL) == 1 && timed_calls(c) == 1);
  timed_now += 500;
  expect(timed_are(c, 1) && timed_sweep(s, 0, NULL) == 1);
  expect(timed_calls(c) == 0);
  lode_coll_close(c);
  lode_coll_close(other);
  scratch_close(s);
}

static void exact (void) {
  exact_in(LODE_DICT);
  exact_in(LODE_SET);
}

/* Ranges are deleted, and all is cleared, of the living alone. */
static void removed_alive (void) {
  lode_store *s = timed_open("alive", LODE_OFF);
  lode_coll *c = timed_coll(s, "d", LODE_DICT, &plain);
  timed_key k;
  lode_range r = { .limit = UINT64_MAX };
  uint64_t n = 0;
  for (int i = 0; i < 100; i++)
    timed_put(c, i, i % 2 == 0 ? 1000 : 5000);
  timed_now += 1000;
  r.to = timed_key_of(c, 49, &k);
  expect(lode_delete_range(c, &r, &n) == LODE_OK && n == 25);
  lode_buffer_free(&k.bytes);
  expect(timed_are(c, 25));
  expect(lode_clear(c, &n) == LODE_OK && n == 25);
  expect(timed_are(c, 0) && timed_calls(c) == 0);
  lode_coll_close(c);
  scratch_close(s);
}

/* A page that was read before its entries died gives none of them. */
static void died_while_walking (void) {
  lode_store *s = timed_open("walking", LODE_OFF);
  lode_coll *c = timed_coll(s, "d", LODE_DICT, &plain);
  lode_range r = { .limit = 4 };
  lode_slice key;
  lode_value value;
  lode_walk *w;
  int n = 0;
  for (int i = 0; i < 10; i++)
    timed_put(c, i, i == 1 || i == 2 ? 10 : LODE_NEVER);
  expect(lode_walk_open(c, &r, false, &w) == LODE_OK);
  expect(lode_walk_next(w, &key, &value) == LODE_OK);
  timed_now += 10;
  while (lode_walk_next(w, &key, &value) == LODE_OK)
    n++;
  expect(n == 3); /* others come in their place */
  lode_walk_close(w);
  lode_coll_close(c);
  scratch_close(s);
}

/* Later costs nothing until then; earlier moves the call at once. */
static void moved (void) {
  lode_store *s = timed_open("moved", LODE_OFF);
  lode_coll *c = timed_coll(s, "d", LODE_DICT, &plain);
  expect(timed_put(c, 1, 1000) == LODE_OK && timed_calls(c) == 1);
  expect(timed_expire(c, 1, 3000) == LODE_OK);
  expect(timed_put(c, 1, 4000) == LODE_OK && timed_calls(c) == 1);
  timed_now += 1000;
  expect(timed_has(c, 1) == LODE_OK && timed_sweep(s, 0, NULL) == 0);
  expect(timed_calls(c) == 1); /* now at the deadline */
  expect(timed_expire(c, 1, 500) == LODE_OK && timed_calls(c) == 1);
  timed_now += 500;
  expect(timed_are(c, 0) && timed_sweep(s, 0, NULL) == 1);
  expect(timed_put(c, 2, 100) == LODE_OK);
  expect(timed_expire(c, 2, LODE_NEVER) == LODE_OK && timed_calls(c) == 0);
  expect(timed_put(c, 2, 100) == LODE_OK);
  expect(timed_put(c, 2, LODE_TTL_KEEP) == LODE_OK && timed_calls(c) == 1);
  expect(timed_info(c, 2).expires == timed_now + 100);
  expect(timed_put(c, 2, LODE_TTL_OWN) == LODE_OK && timed_calls(c) == 0);
  expect(timed_put(c, 3, 100) == LODE_OK && timed_calls(c) == 1);
  expect(timed_delete(c, 3) == LODE_OK && timed_calls(c) == 0);
  expect(timed_expire(c, 3, 10) == LODE_ABSENT);
  expect(timed_put(c, 4, UINT64_MAX / 2) == LODE_OK); /* far, not wrapped */
  expect(timed_has(c, 4) == LODE_OK && timed_calls(c) == 1);
  lode_coll_close(c);
  scratch_close(s);
}

/* Keys that hash alike share a bucket, and calls of the same time. */
static void buckets (void) {
  enum { A = TIMED_LONG, B = A + TIMED_HASHES, C = B + TIMED_HASHES,
         X = A + 1 };
  lode_store *s = timed_open("buckets", LODE_OFF);
  lode_coll_options hashed = { .custom_hash = true };
  lode_coll *c = timed_coll(s, "d", LODE_DICT, &hashed);
  timed_put(c, A, 100);
  timed_put(c, B, 100);
  timed_put(c, C, 200);
  timed_put(c, X, 100);
  expect(timed_calls(c) == 3 && timed_are(c, 4));
  expect(timed_delete(c, A) == LODE_OK && timed_calls(c) == 3);
  timed_put(c, A, 100);
  timed_now += 100;
  expect(timed_has(c, A) == LODE_ABSENT && timed_has(c, C) == LODE_OK);
  expect(timed_are(c, 1) && timed_sweep(s, 0, NULL) == 3);
  expect(timed_are(c, 1) && timed_calls(c) == 1);
  expect(timed_expire(c, C, 50) == LODE_OK && timed_calls(c) == 1);
  timed_put(c, A, LODE_NEVER);
  timed_now += 50;
  expect(timed_are(c, 1) && timed_sweep(s, 0, NULL) == 1);
  expect(timed_calls(c) == 0 && timed_has(c, A) == LODE_OK);
  lode_coll_close(c);
  scratch_close(s);
}

static lode_fetched looked (lode_coll *c, int64_t i) {
  timed_key k;
  lode_value v;
  lode_fetched found = LODE_FETCH_NONE;
  expect(lode_fetch_look(c, timed_key_of(c, i, &k), 0, &v, &found) ==
         LODE_OK);
  lode_done(c);
  lode_buffer_free(&k.bytes);
  return found;
}

static void fetched (lode_coll *c, int64_t i, lode_fetch_life life) {
  timed_key k;
  lode_value v = { test_text("computed"), LODE_BYTES };
  expect(lode_fetch_put(c, timed_key_of(c, i, &k), v, &life) == LODE_OK);
  lode_buffer_free(&k.bytes);
}

/* What is hidden, as stale or as nothing, is counted by nobody. */
static void hidden_at (lode_store *s, lode_coll *c, int64_t i) {
  uint64_t before = len_of(c);
  fetched(c, i, (lode_fetch_life){ .ttl = 100, .nothing = true });
  expect(looked(c, i) == LODE_FETCH_NOTHING && timed_are(c, before));
  expect(timed_has(c, i) == LODE_ABSENT);
  expect(timed_delete(c, i) == LODE_ABSENT); /* it is forgotten */
  expect(looked(c, i) == LODE_FETCH_NONE);
  fetched(c, i, (lode_fetch_life){ .ttl = 100, .nothing = true });
  expect(timed_write(c, i, "x", 50, LODE_ADD) == LODE_OK);
  expect(timed_are(c, before + 1));
  fetched(c, i, (lode_fetch_life){ .ttl = 100, .stale = 200 });
  expect(looked(c, i) == LODE_FETCH_FRESH && timed_are(c, before + 1));
  timed_now += 100;
  expect(looked(c, i) == LODE_FETCH_STALE && timed_are(c, before));
  expect(timed_sweep(s, 0, NULL) == 1); /* hides it */
  expect(looked(c, i) == LODE_FETCH_STALE && timed_are(c, before));
  timed_calls(c);
  timed_now += 200;
  expect(looked(c, i) == LODE_FETCH_NONE && timed_are(c, before));
  expect(timed_sweep(s, 0, NULL) == 0 && timed_are(c, before));
  fetched(c, i, (lode_fetch_life){ .ttl = 0, .nothing = true });
  expect(looked(c, i) == LODE_FETCH_NONE); /* it would stay for ever */
}

static void hidden (void) {
  lode_store *s = timed_open("hidden", LODE_OFF);
  lode_coll_options hashed = { .custom_hash = true };
  lode_coll *c = timed_coll(s, "d", LODE_DICT, &hashed);
  hidden_at(s, c, 1);
  timed_put(c, TIMED_LONG, LODE_NEVER);
  hidden_at(s, c, TIMED_LONG + TIMED_HASHES); /* in one bucket with it */
  expect(timed_are(c, 1) && timed_calls(c) == 0);
  lode_coll_close(c);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** Eras
** =================================================================== */

static void set_back (void) {
  lode_store *s = timed_open("back", LODE_OFF), *t;
  lode_coll *c = timed_coll(s, "d", LODE_DICT, &plain), *d;
  timed_put(c, 1, 1000);
  timed_now += 1000;
  expect(timed_has(c, 1) == LODE_ABSENT);
  timed_now -= 3600000; /* by an hour */
  expect(timed_has(c, 1) == LODE_ABSENT && timed_are(c, 0));
  t = timed_open("back", LODE_OFF);
  d = timed_coll(t, "d", LODE_DICT, &plain);
  expect(timed_has(d, 1) == LODE_ABSENT);
  timed_put(d, 2, 1000); /* of a new era, and lives its second */
  expect(timed_are(c, 1) && timed_are(d, 1));
  expect(timed_has(c, 1) == LODE_ABSENT); /* seen dead: no new mark */
  timed_now += 999;
  expect(timed_has(c, 2) == LODE_OK && timed_has(d, 2) == LODE_OK);
  expect(timed_has(c, 1) == LODE_ABSENT);
  expect(timed_sweep(s, 0, NULL) == 1 && timed_has(d, 2) == LODE_OK);
  timed_now += 1;
  expect(timed_are(c, 0) && timed_are(d, 0));
  timed_now -= 500;
  expect(timed_are(c, 0) && timed_are(d, 0));
  timed_now += 7200000;
  expect(timed_are(c, 0) && timed_sweep(t, 0, NULL) == 1);
  expect(timed_calls(c) == 0);
  lode_coll_close(c);
  lode_coll_close(d);
  scratch_close(s);
  scratch_close(t);
}

/*
** Entries written at any time, by any of three handles, with the clock set
** anyhow: none comes back once it was seen dead, and none dies before it
** has lived by its own era's clock.
*/
static void set_anyhow (void) {
  enum { HANDLES = 3, ENTRIES = 40 };
  static const int64_t steps[] = { 1, 700, 5000, 60000, 3600000, -5000,
                                   -60000, -3600000, -1 };
  lode_store *s[HANDLES];
  lode_coll *c[HANDLES];
  bool dead[ENTRIES], there[ENTRIES];
  uint64_t lived[ENTRIES]; /* least time that it still has */
  memset(there, 0, sizeof there);
  for (int h = 0; h < HANDLES; h++) {
    s[h] = timed_open("anyhow", (lode_maintenance)(h % 2 ? LODE_INLINE
                                                         : LODE_OFF));
    c[h] = timed_coll(s[h], "d", LODE_DICT, &plain);
  }
  for (int step = 0; step < 4000; step++) {
    int64_t by = steps[test_below(LENGTH(steps))];
    size_t i = test_below(ENTRIES), h = test_below(HANDLES);
    if (by < 0 && timed_now < START - UINT64_C(100000000))
      by = -by; /* not back for ever */
    if (test_below(4) == 0) {
      timed_now += (uint64_t)by;
      for (int j = 0; j < ENTRIES; j++) {
        uint64_t past = by > 0 ? (uint64_t)by : 0;
        lived[j] = there[j] && lived[j] > past ? lived[j] - past : 0;
      }
    }
    else if (test_below(10) == 0)
      timed_sweep(s[h], test_below(3), NULL);
    else if (test_below(30) == 0) {
      lode_coll_close(c[h]);
      scratch_close(s[h]);
      s[h] = timed_open("anyhow", LODE_OFF);
      c[h] = timed_coll(s[h], "d", LODE_DICT, &plain);
    }
    else if (test_below(3) == 0) {
      uint64_t ttl = 1 + test_below(100000);
      bool keep = test_below(4) != 0;
      if (test_below(3) == 0) { /* perhaps all is rolled back */
        expect(lode_begin(s[h]) == LODE_OK);
        if (test_below(2)) {
          expect(lode_begin(s[h]) == LODE_OK);
          timed_put(c[h], (int64_t)test_below(ENTRIES), 77);
          lode_abort(s[h]);
        }
        expect(timed_put(c[h], (int64_t)i, ttl) == LODE_OK);
        if (keep)
          expect(lode_commit(s[h]) == LODE_OK);
        else
          lode_abort(s[h]);
      }
      else {
        expect(timed_put(c[h], (int64_t)i, ttl) == LODE_OK);
        keep = true;
      }
      if (keep) {
        there[i] = true;
        dead[i] = false;
        lived[i] = ttl;
      }
    }
    if (there[i]) {
      bool absent = timed_has(c[h], (int64_t)i) == LODE_ABSENT;
      if (!expect(!dead[i] || absent) || !expect(!absent || lived[i] == 0)) {
        printf("step %d: entry %d, handle %d\n", step, (int)i, (int)h);
        break;
      }
      dead[i] |= absent;
    }
  }
  timed_calls(c[0]);
  for (int h = 0; h < HANDLES; h++) {
    lode_coll_close(c[h]);
    scratch_close(s[h]);
  }
}

/* An era that was begun in a transaction is rolled back with it. */
static void era_rolled_back (void) {
  lode_store *s = timed_open("rolled", LODE_OFF);
  lode_coll *c = timed_coll(s, "d", LODE_DICT, &plain);
  for (int inner = 0; inner < 2; inner++) {
    timed_put(c, 1, 1000);
    timed_now += 1000;
    expect(timed_has(c, 1) == LODE_ABSENT);
    timed_now -= 100000;
    expect(lode_begin(s) == LODE_OK);
    if (inner) {
      expect(timed_put(c, 3, 5000) == LODE_OK); /* begins the era */
      expect(lode_begin(s) == LODE_OK);
    }
    expect(timed_put(c, 2, 5000) == LODE_OK && timed_has(c, 2) == LODE_OK);
    expect(timed_has(c, 1) == LODE_ABSENT);
    lode_abort(s);
    expect(timed_has(c, 2) == LODE_ABSENT && timed_has(c, 1) == LODE_ABSENT);
    if (inner) {
      expect(timed_has(c, 3) == LODE_OK);
      expect(lode_commit(s) == LODE_OK);
      expect(timed_has(c, 3) == LODE_OK && timed_has(c, 1) == LODE_ABSENT);
      timed_now += 5000;
      expect(timed_has(c, 3) == LODE_ABSENT);
      timed_now -= 4000; /* what has passed in this era is remembered */
      expect(timed_has(c, 3) == LODE_ABSENT);
    }
    expect(timed_put(c, 2, 5000) == LODE_OK && timed_has(c, 2) == LODE_OK);
    timed_now += 4999;
    expect(timed_has(c, 2) == LODE_OK);
    timed_now += 1;
    expect(timed_has(c, 2) == LODE_ABSENT);
    timed_now += 1000000;
    timed_sweep(s, 0, NULL);
    expect(timed_calls(c) == 0);
  }
  lode_coll_close(c);
  scratch_close(s);
}

/*
** What isn't due, but lies below the floor of an earlier era, is met by
** every sweep: it must neither die, nor stop or hold up the sweep.
*/
static void below_a_floor (void) {
  lode_store *s = timed_open("floor", LODE_OFF);
  lode_coll *c = timed_coll(s, "d", LODE_DICT, &plain);
  bool more = true;
  timed_put(c, 0, 1000000);
  timed_now += 1000000;
  expect(timed_has(c, 0) == LODE_ABSENT);
  timed_now -= 1000000;
  for (int i = 1; i <= 600; i++) /* more than a slice of them */
    timed_put(c, i, 500000);
  expect(timed_sweep(s, 0, &more) == 1 && !more);
  expect(timed_are(c, 600) && timed_calls(c) == 600);
  timed_put(c, 700, 600000);
  timed_now += 500000;
  expect(timed_are(c, 1) && timed_sweep(s, 0, &more) == 600 && !more);
  expect(timed_calls(c) == 1);
  lode_coll_close(c);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** lode_maintain
** =================================================================== */

static void budgets (void) {
  lode_store *s = timed_open("budgets", LODE_OFF);
  lode_coll *c = timed_coll(s, "d", LODE_DICT, &plain);
  lode_budget one_ms = { 0, 1, 0 };
  uint64_t removed, all = 0;
  bool more = true;
  expect(lode_begin(s) == LODE_OK);
  for (int i = 0; i < 5000; i++)
    timed_put(c, i, 10);
  expect(lode_maintain(s, &one_ms, &removed, &more) == LODE_REENTRY);
  expect(lode_commit(s) == LODE_OK);
  expect(timed_sweep(s, 0, &more) == 0 && !more);
  timed_now += 10;
  for (int i = 0; i < 10; i++) {
    expect(timed_sweep(s, 100, &more) == 100 && more);
    expect(timed_are(c, 0));
  }
  expect(timed_calls(c) == 4000);
  while (more) {
    expect(lode_maintain(s, &one_ms, &removed, &more) == LODE_OK);
    expect(removed > 0 || !more);
    all += removed;
  }
  expect(all == 4000 && timed_calls(c) == 0);
  lode_coll_close(c);
  scratch_close(s);
}

/* None waits for another that has more; also where no handle is open. */
static void fair (void) {
  static const char *const names[] = { "few", "many", "rest" };
  static const int counts[] = { 5, 3000, 5 };
  lode_store *s = timed_open("fair", LODE_OFF);
  lode_coll *c[3];
  bool more = true;
  uint64_t n = 0;
  for (int k = 0; k < 3; k++) {
    c[k] = timed_coll(s, names[k], LODE_DICT, &plain);
    for (int i = 0; i < counts[k]; i++)
      timed_put(c[k], i, 10);
  }
  timed_now += 10;
  lode_coll_close(c[2]);
  for (int i = 0; i < 3; i++) /* three calls: each has its turn */
    n += timed_sweep(s, 100, &more);
  expect(n == 110 || n == 205 || n == 300);
  c[2] = timed_coll(s, names[2], LODE_DICT, &plain);
  expect(more && timed_calls(c[0]) == 0 && timed_calls(c[2]) == 0);
  expect(timed_calls(c[1]) > 0);
  for (int i = 0; i < 5; i++)
    timed_put(c[0], i, 10);
  timed_now += 10;
  n = 10;
  while (n > 0 && timed_calls(c[0]) > 0) {
    timed_sweep(s, 50, &more);
    n--;
  }
  expect(n >= 7); /* within three calls again */
  timed_sweep(s, 0, &more);
  expect(!more && timed_calls(c[1]) == 0);
  for (int k = 0; k < 3; k++)
    lode_coll_close(c[k]);
  scratch_close(s);
}

/* Each write sweeps a few, of its own collection and of others in turn. */
static void inlined (void) {
  lode_store *s = timed_open("inline", LODE_INLINE);
  lode_coll *c = timed_coll(s, "d", LODE_DICT, &plain);
  lode_coll *other = timed_coll(s, "other", LODE_DICT, &plain);
  lode_stats stats;
  uint64_t before;
  for (int i = 0; i < 100; i++) {
    timed_put(c, i, 10);
    timed_put(other, i, 10);
  }
  timed_now += 10;
  timed_put(c, 1000, LODE_NEVER);
  before = timed_calls(c);
  expect(before < 100 && before >= 92);
  expect(lode_store_stats(s, &stats) == LODE_OK);
  expect(stats.entries == 1 && stats.expired == before + timed_calls(other));
  for (int i = 0; i < 400; i++)
    timed_put(c, 1000, LODE_NEVER);
  expect(timed_calls(c) == 0 && timed_calls(other) == 0);
  expect(lode_store_stats(s, &stats) == LODE_OK);
  expect(stats.swept == 200 && stats.last_sweep == timed_now);
  lode_coll_close(c);
  lode_coll_close(other);
  scratch_close(s);
}

/* }================================================================== */

int main (void) {
  scratch_begin();
  test_group("deadlines are exact", exact);
  test_group("ranges deleted, all cleared", removed_alive);
  test_group("entries die while walked over", died_while_walking);
  test_group("deadlines moved", moved);
  test_group("keys that hash alike", buckets);
  test_group("hidden records", hidden);
  test_group("the clock set back", set_back);
  test_group("the clock set anyhow", set_anyhow);
  test_group("an era rolled back", era_rolled_back);
  test_group("alive below a floor", below_a_floor);
  test_group("budgets of lode_maintain", budgets);
  test_group("fairness of lode_maintain", fair);
  test_group("sweeps beside writes", inlined);
  scratch_end();
  return test_end();
}
