/*
** test_store.c - the public header's promises on stores, collections,
** transactions and walks, from C.
*/
#include "scratch.h"

#define MANY 2000

static lode_range everything (void) {
  lode_range r = { .limit = UINT64_MAX };
  return r;
}

/* {==================================================================
** Stores and collections
** =================================================================== */

static void opened_twice (void) {
  lode_store *a = scratch_open("twice", NULL), *b;
  lode_coll *x = scratch_coll(a, "d", LODE_DICT), *y;
  lode_stats stats;
  expect(put_integer(x, 1, test_text("one")) == LODE_OK);
  b = scratch_open("twice", NULL);
  y = scratch_coll(b, "d", LODE_DICT);
  expect(has_integer(y, 1) == LODE_OK);
  expect(lode_store_stats(a, &stats) == LODE_OK);
  expect(stats.handles == 2 && stats.entries == 1);
  scratch_close(a);
  expect(lode_coll_store(x) == NULL);
  expect(has_integer(x, 1) == LODE_CLOSED);
  expect(has_integer(y, 1) == LODE_OK);
  lode_coll_close(x);
  lode_coll_close(y);
  scratch_close(b);
}

static void dropped (void) {
  lode_store *s = scratch_open("dropped", NULL);
  lode_store *other = scratch_open("dropped", NULL);
  lode_coll *c = scratch_coll(s, "d", LODE_DICT), *again;
  lode_coll *seen = scratch_coll(other, "d", LODE_DICT);
  expect(put_integer(c, 1, test_text("one")) == LODE_OK);
  expect(lode_begin(s) == LODE_OK);
  expect(lode_drop(s, test_text("d")) == LODE_OK);
  expect(has_integer(c, 1) == LODE_NOT_FOUND);
  expect(has_integer(seen, 1) == LODE_OK); /* not committed */
  lode_abort(s);
  expect(has_integer(c, 1) == LODE_OK);
  expect(lode_drop(s, test_text("d")) == LODE_OK);
  expect(lode_drop(s, test_text("d")) == LODE_ABSENT);
  expect(has_integer(c, 1) == LODE_NOT_FOUND);
  expect(has_integer(seen, 1) == LODE_NOT_FOUND);
  expect(put_integer(seen, 1, test_text("x")) == LODE_NOT_FOUND);
  again = scratch_coll(s, "d", LODE_DICT);
  expect(len_of(again) == 0);
  expect(put_integer(again, 2, test_text("two")) == LODE_OK);
  expect(has_integer(c, 2) == LODE_NOT_FOUND);
  lode_coll_close(c);
  lode_coll_close(again);
  lode_coll_close(seen);
  scratch_close(s);
  scratch_close(other);
}

/* More are made and dropped, over time, than may be open at once. */
static void many_over_time (void) {
  lode_options o;
  lode_store *s;
  char name[16];
  lode_options_init(&o);
  o.collections = 8;
  o.durability = LODE_OS;
  s = scratch_open("over-time", &o);
  for (int i = 0; i < 300; i++) {
    lode_coll *c;
    snprintf(name, sizeof name, "c%d", i);
    c = scratch_coll(s, name, LODE_DICT);
    if (!expect(c != NULL))
      break;
    expect(put_integer(c, i, test_text("x")) == LODE_OK);
    lode_coll_close(c);
    expect(lode_drop(s, test_text(name)) == LODE_OK);
  }
  scratch_close(s);
}

static void made_and_rolled_back (void) {
  lode_store *s = scratch_open("made", NULL);
  lode_coll *c, *d;
  expect(lode_begin(s) == LODE_OK);
  expect(lode_begin(s) == LODE_OK);
  c = scratch_coll(s, "c", LODE_DICT);
  expect(put_integer(c, 1, test_text("x")) == LODE_OK);
  lode_abort(s);
  expect(put_integer(c, 1, test_text("x")) == LODE_NOT_FOUND);
  d = scratch_coll(s, "other", LODE_DICT);
  expect(put_integer(d, 2, test_text("y")) == LODE_OK);
  expect(lode_commit(s) == LODE_OK);
  expect(has_integer(c, 2) == LODE_NOT_FOUND);
  expect(has_integer(d, 2) == LODE_OK);
  lode_coll_close(c);
  lode_coll_close(d);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** Transactions
** =================================================================== */

static void savepoints (void) {
  lode_store *s = scratch_open("savepoints", NULL);
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  expect(lode_begin(s) == LODE_OK);
  expect(put_integer(c, 1, test_text("1")) == LODE_OK);
  expect(lode_begin(s) == LODE_OK);
  expect(put_integer(c, 2, test_text("2")) == LODE_OK);
  expect(delete_integer(c, 1) == LODE_OK);
  lode_abort(s);
  expect(has_integer(c, 1) == LODE_OK && has_integer(c, 2) == LODE_ABSENT);
  expect(lode_begin(s) == LODE_OK);
  expect(put_integer(c, 3, test_text("3")) == LODE_OK);
  expect(lode_commit(s) == LODE_OK);
  expect(lode_depth(s) == 1);
  expect(lode_commit(s) == LODE_OK);
  expect(len_of(c) == 2);
  lode_coll_close(c);
  scratch_close(s);
}

/* The map grows in the middle of nested levels, again and again. */
static void growth (void) {
  lode_options o;
  lode_store *s;
  lode_coll *c;
  unsigned char big[5000];
  uint64_t kept = 0;
  lode_stats stats;
  memset(big, 'x', sizeof big);
  lode_options_init(&o);
  o.map_size = 1 << 17;
  s = scratch_open("growth", &o);
  expect(lode_begin(s) == LODE_OK);
  c = scratch_coll(s, "d", LODE_DICT);
  for (int i = 0; i < 40; i++) {
    bool keep = i % 3 != 0;
    expect(lode_begin(s) == LODE_OK);
    for (int j = 0; j < 500; j++)
      expect(put_integer(c, i * 500 + j, slice_of(big, sizeof big)) ==
             LODE_OK);
    if (keep)
      expect(lode_commit(s) == LODE_OK);
    else
      lode_abort(s);
    kept += keep ? 500 : 0;
  }
  expect(lode_commit(s) == LODE_OK);
  expect(len_of(c) == kept);
  for (int i = 0; i < 40; i++)
    expect((has_integer(c, i * 500 + 7) == LODE_OK) == (i % 3 != 0));
  expect(lode_store_stats(s, &stats) == LODE_OK);
  expect(stats.map_size > o.map_size);
  lode_coll_close(c);
  scratch_close(s);
}

static void quota (void) {
  lode_options o;
  lode_store *s;
  lode_coll *c, *other;
  unsigned char big[3000];
  lode_stats stats;
  lode_status st = LODE_OK;
  uint64_t n = 0, removed;
  int i;
  lode_range half = { .limit = 100 };
  memset(big, 'x', sizeof big);
  lode_options_init(&o);
  o.max_size = 8 << 20;
  o.durability = LODE_OS;
  s = scratch_open("quota", &o);
  c = scratch_coll(s, "d", LODE_DICT);
  for (i = 0; st == LODE_OK && i < 10000; i++)
    st = put_integer(c, i, slice_of(big, sizeof big));
  expect(st == LODE_FULL);
  n = len_of(c);
  expect(n == (uint64_t)i - 1 && n > 100);
  expect(lode_store_stats(s, &stats) == LODE_OK);
  expect(stats.file_size <= o.max_size);
  expect(lode_delete_range(c, &half, &removed) == LODE_OK);
  expect(removed == 100 && len_of(c) == n - 100);
  for (i = 0; i < 50; i++)
    expect(put_integer(c, i, slice_of(big, sizeof big)) == LODE_OK);
  expect(lode_begin(s) == LODE_OK); /* all or nothing */
  for (i = 100000, st = LODE_OK; st == LODE_OK; i++)
    st = put_integer(c, i, slice_of(big, sizeof big));
  expect(st == LODE_FULL);
  expect(lode_commit(s) == LODE_FULL);
  expect(len_of(c) == n - 50);
  other = scratch_coll(s, "other", LODE_DICT); /* it takes little */
  for (size_t size = sizeof big, at = 0; size > 0; size /= 8) {
    for (st = LODE_OK; st == LODE_OK; at++) /* to the last page */
      st = put_integer(c, -(int64_t)at, slice_of(big, size));
    expect(st == LODE_FULL);
  }
  lode_coll_close(other);
  expect(lode_drop(s, test_text("other")) == LODE_OK);
  n = len_of(c);
  expect(lode_clear(c, &removed) == LODE_OK && removed == n);
  for (i = 0, st = LODE_OK; st == LODE_OK; i++)
    st = put_integer(c, i, slice_of(big, sizeof big));
  expect(st == LODE_FULL && i > 100);
  lode_coll_close(c);
  expect(lode_drop(s, test_text("d")) == LODE_OK);
  c = scratch_coll(s, "d", LODE_DICT);
  for (i = 0; i < 100; i++)
    expect(put_integer(c, i, slice_of(big, sizeof big)) == LODE_OK);
  lode_coll_close(c);
  scratch_close(s);
}

static void locks (void) {
  lode_store *s = scratch_open("locks", NULL);
  lode_store *other = scratch_open("locks", NULL);
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_coll *d = scratch_coll(other, "d", LODE_DICT);
  expect(lode_lock(s) == LODE_OK);
  expect(put_integer(c, 1, test_text("x")) == LODE_REENTRY);
  expect(put_integer(d, 1, test_text("x")) == LODE_REENTRY);
  expect(lode_begin(s) == LODE_REENTRY);
  expect(lode_lock(s) == LODE_REENTRY);
  expect(has_integer(c, 1) == LODE_ABSENT);
  expect(lode_lock_begin(s) == LODE_OK);
  expect(put_integer(c, 1, test_text("x")) == LODE_OK);
  expect(lode_commit(s) == LODE_OK);
  expect(put_integer(d, 2, test_text("x")) == LODE_OK);
  expect(lode_lock(s) == LODE_OK);
  lode_unlock(s);
  expect(lode_snapshot(s) == LODE_OK);
  expect(put_integer(d, 3, test_text("x")) == LODE_OK);
  expect(has_integer(c, 3) == LODE_ABSENT);
  expect(put_integer(c, 4, test_text("x")) == LODE_READONLY);
  lode_snapshot_end(s);
  expect(has_integer(c, 3) == LODE_OK);
  lode_coll_close(c);
  lode_coll_close(d);
  scratch_close(s);
  scratch_close(other);
}

/* }================================================================== */

/* {==================================================================
** Walks
** =================================================================== */

static int64_t integer_of (lode_slice key) {
  lode_buffer scratch = { NULL, 0, 0 };
  bool in_tuple = false;
  lode_atom atom = { .integer = INT64_MIN };
  expect(lode_key_read(&key, &in_tuple, &scratch, &atom) == LODE_OK);
  return atom.integer;
}

/* Each key comes once and in order, while entries come and go. */
static void changed_while_walking (void) {
  lode_options o;
  lode_store *s;
  lode_coll *c;
  lode_walk *w;
  lode_slice key;
  lode_value value;
  lode_range r = everything();
  int64_t last = -1, seen = 0;
  lode_options_init(&o);
  o.durability = LODE_OS;
  s = scratch_open("changed", &o);
  c = scratch_coll(s, "d", LODE_DICT);
  for (int i = 0; i < MANY; i++)
    put_integer(c, i * 2, test_text("x"));
  expect(lode_walk_open(c, &r, false, &w) == LODE_OK);
  while (lode_walk_next(w, &key, &value) == LODE_OK) {
    int64_t i = integer_of(key);
    expect(i > last);
    last = i;
    seen += i % 2 == 0;
    delete_integer(c, i);
    put_integer(c, i - 1, test_text("y"));
    put_integer(c, i + 1, test_text("z"));
  }
  expect(seen == MANY);
  expect(lode_walk_next(w, &key, &value) == LODE_ABSENT);
  lode_walk_close(w);
  lode_coll_close(c);
  scratch_close(s);
}

static uint64_t walked (lode_walk *w) {
  lode_slice key;
  lode_value value;
  uint64_t n = 0;
  while (lode_walk_next(w, &key, &value) == LODE_OK)
    n++;
  return n;
}

static void pinned (void) {
  lode_store *s = scratch_open("pinned", NULL);
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_range r = everything();
  lode_walk *then, *now, *left;
  uint64_t n;
  for (int i = 0; i < 100; i++)
    put_integer(c, i, test_text("x"));
  expect(lode_walk_open(c, &r, true, &then) == LODE_OK);
  expect(lode_walk_open(c, &r, true, &left) == LODE_OK);
  expect(lode_clear(c, &n) == LODE_OK && n == 100);
  expect(lode_walk_open(c, &r, false, &now) == LODE_OK);
  expect(walked(then) == 100);
  expect(walked(now) == 0);
  lode_walk_close(then);
  lode_walk_close(now);
  lode_coll_close(c); /* the walk that is left knows */
  {
    lode_slice key;
    lode_value value;
    expect(lode_walk_next(left, &key, &value) == LODE_CLOSED);
  }
  lode_walk_close(left);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** Algebra
** =================================================================== */

static void add_members (lode_coll *c, int step, int to) {
  lode_value nothing = { { NULL, 0 }, LODE_NOTHING };
  lode_buffer bytes = { NULL, 0, 0 };
  lode_key key;
  for (int i = 0; i < to; i += step) {
    expect(key_of_integer(c, i, &bytes, &key) == LODE_OK);
    expect(lode_put(c, &key, nothing, LODE_PUT,
                     LODE_TTL_OWN) == LODE_OK);
  }
  lode_buffer_free(&bytes);
}

static uint64_t counted (lode_operator op, lode_coll *a, lode_coll *b) {
  lode_term terms[3] = { { LODE_LEAF, a }, { LODE_LEAF, b }, { op, NULL } };
  uint64_t n = UINT64_MAX;
  expect(lode_merge_count(terms, 3, &n) == LODE_OK);
  return n;
}

static void algebra_of (lode_store *s, lode_store *t) {
  lode_coll *a = scratch_coll(s, "a", LODE_SET);
  lode_coll *b = scratch_coll(t, "b", LODE_SET);
  lode_term terms[3] = { { LODE_LEAF, a }, { LODE_LEAF, b },
                         { LODE_DIFFERENCE, NULL } };
  lode_range r = everything();
  lode_walk *w;
  add_members(a, 2, 3000);
  add_members(b, 3, 3000);
  expect(counted(LODE_INTERSECTION, a, b) == 500);
  expect(counted(LODE_UNION, a, b) == 2000);
  expect(counted(LODE_DIFFERENCE, a, b) == 1000);
  expect(counted(LODE_SYMMETRIC, a, b) == 1500);
  r.reverse = true;
  expect(lode_merge_open(terms, 3, &r, false, &w) == LODE_OK);
  expect(walked(w) == 1000);
  lode_walk_close(w);
  expect(lode_merge_save(terms, 3, a, true) == LODE_OK); /* a leaf */
  expect(len_of(a) == 1000);
  expect(counted(LODE_INTERSECTION, a, b) == 0);
  terms[2].op = LODE_UNION;
  expect(lode_merge_save(terms, 3, b, false) == LODE_OK);
  expect(len_of(b) == 2000);
  lode_coll_close(a);
  lode_coll_close(b);
}

static void algebra (void) {
  lode_options o;
  lode_store *s, *t;
  lode_options_init(&o);
  o.durability = LODE_OS;
  s = scratch_open("algebra", &o);
  t = scratch_open("algebra-2", &o);
  algebra_of(s, s);
  expect(lode_drop(s, test_text("a")) == LODE_OK);
  algebra_of(s, t);
  scratch_close(s);
  scratch_close(t);
}

/* }================================================================== */

int main (void) {
  scratch_begin();
  test_group("a store opened twice", opened_twice);
  test_group("a collection dropped", dropped);
  test_group("many collections over time", many_over_time);
  test_group("a collection made and rolled back", made_and_rolled_back);
  test_group("savepoints", savepoints);
  test_group("growth inside of transactions", growth);
  test_group("a quota", quota);
  test_group("locks and snapshots", locks);
  test_group("changes during a walk", changed_while_walking);
  test_group("walks over one moment", pinned);
  test_group("set algebra", algebra);
  scratch_end();
  return test_end();
}
