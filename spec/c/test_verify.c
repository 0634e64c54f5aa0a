/*
** test_verify.c - the check of a store: sound ones of every shape are found
** sound, with the right counts, at rest and while others write.
*/
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "scratch.h"

#include "core/key.h"
#include "core/verify.h"

static char first_problem[700];
static uint64_t last_done, last_total;

static void hear (void *data, const char *text) {
  (void)data;
  if (first_problem[0] == '\0')
    snprintf(first_problem, sizeof first_problem, "%s", text);
}

static bool progress (void *data, uint64_t done, uint64_t total) {
  (void)data;
  expect(done >= last_done && done <= total);
  last_done = done;
  last_total = total;
  return true;
}

static const lode_check_options listening = {
  .progress = progress, .problem = hear
};

static lode_check_report check_path (const char *path) {
  lode_check_report r = { .ok = false };
  lode_error e;
  first_problem[0] = '\0';
  last_done = last_total = 0;
  expect(lode_check_file(path, &listening, &r, &e) == LODE_OK);
  return r;
}

/* Whether a report is that of a sound store with so much in it. */
static bool sound (lode_check_report r, uint64_t entries,
                   uint64_t collections) {
  if (first_problem[0] != '\0')
    printf("%s\n", first_problem);
  return expect(r.ok && r.problems == 0) && expect(r.entries == entries) &&
         expect(r.collections == collections) &&
         expect(last_done == last_total && last_done >= r.bytes);
}

/* Checks an open store, closes it, and checks its file. */
static void expect_sound (lode_store *s, const char *name, uint64_t entries,
                          uint64_t collections) {
  lode_check_report r = { .ok = false };
  first_problem[0] = '\0';
  last_done = last_total = 0;
  expect(lode_check(s, &listening, &r) == LODE_OK);
  sound(r, entries, collections);
  scratch_close(s);
  sound(check_path(scratch_path(name)), entries, collections);
}

static lode_slice bytes_of (size_t size) {
  static unsigned char bytes[1 << 20];
  for (size_t i = 0; i < 64; i++)
    bytes[test_below(size + 1) % sizeof bytes]++;
  return slice_of(bytes, size);
}

/* Puts entries of `size` bytes, shuffled, in one transaction. */
static void fill (lode_store *s, lode_coll *c, int64_t n, size_t size) {
  expect(lode_begin(s) == LODE_OK);
  for (int64_t i = 0; i < n; i++)
    expect(put_integer(c, (i * 7919) % n, bytes_of(size)) == LODE_OK);
  expect(lode_commit(s) == LODE_OK);
}

static lode_store *open_os (const char *name) {
  lode_options o;
  lode_options_init(&o);
  o.durability = LODE_OS;
  return scratch_open(name, &o);
}

/* {==================================================================
** Shapes
** =================================================================== */

static void empty (void) {
  expect_sound(open_os("empty"), "empty", 0, 0);
}

static void one (void) {
  lode_store *s = open_os("one");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  put_integer(c, 1, test_text("one"));
  lode_coll_close(c);
  c = scratch_coll(s, "nothing yet", LODE_SET);
  lode_coll_close(c);
  expect_sound(s, "one", 1, 2);
}

static void many (void) {
  lode_store *s = open_os("many");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  fill(s, c, 100003, 40);
  lode_coll_close(c);
  expect_sound(s, "many", 100003, 1);
}

/* Values on pages of their own: from just over the bound to many pages. */
static void big (void) {
  static const size_t sizes[] = { 2000, 2010, 2016, 2017, 2018, 2019, 2020,
                                  2021, 2030, 4000, 4076, 4080, 4081, 70000,
                                  130000, 300000, 1 << 20 };
  lode_store *s = open_os("big");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  for (size_t i = 0; i < 10 * LENGTH(sizes); i++)
    expect(put_integer(c, (int64_t)i, bytes_of(sizes[i % LENGTH(sizes)])) ==
           LODE_OK);
  for (size_t i = 0; i < 40; i += 2) /* others, on the same pages or not */
    put_integer(c, (int64_t)i, bytes_of(sizes[test_below(LENGTH(sizes))]));
  lode_coll_close(c);
  expect_sound(s, "big", 10 * LENGTH(sizes), 1);
}

/* Long keys, all with one start; `hash` of them are equal when not null. */
static void put_long (lode_store *s, lode_coll *c, int n, const char *hash) {
  unsigned char text[700];
  lode_buffer b = { NULL, 0, 0 };
  expect(lode_begin(s) == LODE_OK);
  for (int i = 0; i < n; i++) {
    lode_value v = { slice_of(&i, sizeof i), LODE_BYTES };
    lode_key key;
    memset(text, 'k', sizeof text);
    memcpy(text + 600, &i, sizeof i);
    b.size = 0;
    lode_key_string(&b, text, sizeof text);
    expect(lode_key_of(c, slice_of_buffer(&b), test_text(hash), &key) ==
           LODE_OK);
    expect(lode_put(c, &key, v, LODE_PUT, LODE_TTL_OWN) == LODE_OK);
  }
  expect(lode_commit(s) == LODE_OK);
  lode_buffer_free(&b);
}

static void long_keys (void) {
  lode_store *s = open_os("long");
  lode_coll_options own = { .custom_hash = true };
  lode_coll *c = scratch_coll(s, "d", LODE_DICT), *alike = NULL;
  put_long(s, c, 300, "");
  lode_coll_close(c);
  expect(lode_coll_open(s, test_text("alike"), LODE_DICT, &own, &alike) ==
         LODE_OK);
  put_long(s, alike, 300, "same");
  put_long(s, alike, 50, "other");
  lode_coll_close(alike);
  expect_sound(s, "long", 300 + 350, 2);
}

static void keys_of_all_types (void) {
  lode_store *s = open_os("types");
  lode_coll *c = scratch_coll(s, "s", LODE_SET);
  lode_value member = { { NULL, 0 }, LODE_NOTHING };
  lode_buffer b = { NULL, 0, 0 };
  lode_key key;
  for (int i = 0; i < 200; i++) {
    b.size = 0;
    switch (i % 4) {
      case 0: lode_key_number(&b, i + 0.5); break;
      case 1: lode_key_boolean(&b, i % 8 == 1); break;
      case 2: lode_key_string(&b, "\0\1\2key", (size_t)i % 6); break;
      default:
        lode_key_tuple(&b);
        lode_key_string(&b, "\0\1", 2);
        lode_key_integer(&b, ((int64_t)1 << 60) + i);
    }
    lode_key_of(c, slice_of_buffer(&b), slice_of(NULL, 0), &key);
    expect(lode_put(c, &key, member, LODE_PUT, LODE_TTL_OWN) == LODE_OK);
  }
  lode_buffer_free(&b);
  uint64_t n = len_of(c);
  lode_coll_close(c);
  expect_sound(s, "types", n, 1);
}

static void dropped (void) {
  lode_store *s = open_os("dropped");
  lode_coll *a = scratch_coll(s, "a", LODE_DICT);
  lode_coll *b = scratch_coll(s, "b", LODE_DICT);
  fill(s, a, 5000, 100);
  fill(s, b, 500, 100);
  expect(lode_drop(s, test_text("a")) == LODE_OK);
  expect(lode_rename(s, test_text("b"), test_text("a")) == LODE_OK);
  put_integer(b, 1000, test_text("more"));
  lode_coll_close(a);
  lode_coll_close(b);
  expect_sound(s, "dropped", 501, 1);
}

static void after_deletes (void) {
  lode_store *s = open_os("deletes");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  int64_t left = 20000;
  fill(s, c, left, 100);
  for (int round = 0; round < 40; round++) {
    expect(lode_begin(s) == LODE_OK);
    for (int i = 0; i < 450; i++)
      left -= delete_integer(c, (int64_t)test_below(20000)) == LODE_OK;
    expect(lode_begin(s) == LODE_OK); /* what is rolled back inside */
    for (int64_t i = 0; i < 300; i++)
      put_integer(c, 30000 + i, bytes_of(3000));
    lode_abort(s);
    expect(lode_commit(s) == LODE_OK);
  }
  lode_coll_close(c);
  expect_sound(s, "deletes", (uint64_t)left, 1);
  s = open_os("deletes");
  c = scratch_coll(s, "d", LODE_DICT);
  uint64_t n = 0;
  expect(lode_clear(c, &n) == LODE_OK && n == (uint64_t)left);
  lode_coll_close(c);
  expect_sound(s, "deletes", 0, 1);
}

/* Keys that hash alike share a place in the index of deadlines. */
static void mortal_long_keys (void) {
  lode_store *s = open_os("alike");
  lode_coll_options own = { .custom_hash = true, .ttl = 100000000 };
  lode_coll *c = NULL;
  uint64_t n;
  expect(lode_coll_open(s, test_text("alike"), LODE_DICT, &own, &c) ==
         LODE_OK);
  put_long(s, c, 300, "same");
  put_long(s, c, 20, "other");
  lode_range half = { .limit = 150 };
  expect(lode_delete_range(c, &half, &n) == LODE_OK && n > 0);
  n = len_of(c);
  lode_coll_close(c);
  expect_sound(s, "alike", n, 1);
}

static uint64_t test_clock (void *now) { return *(uint64_t *)now; }

/* Deadlines, an order of eviction, and records that are hidden. */
static void lifetimes (void) {
  uint64_t now = 1000000, removed;
  const lode_fetch_life nothing = { .ttl = 5000, .nothing = true };
  lode_coll_options capped = { .ttl = 10000, .times = true,
    .max_entries = 500, .evict = LODE_EVICT_LRU };
  lode_budget all = { 0, 0, 0 };
  lode_buffer b = { NULL, 0, 0 };
  lode_coll *c = NULL;
  lode_check_report r;
  lode_options o;
  lode_store *s;
  lode_key key;
  bool more;
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.maintenance = LODE_OFF;
  o.clock = test_clock;
  o.clock_data = &now;
  s = scratch_open("life", &o);
  expect(lode_coll_open(s, test_text("d"), LODE_DICT, &capped, &c) ==
         LODE_OK);
  fill(s, c, 3000, 100);
  for (int64_t i = 0; i < 20; i++) {
    lode_value none = { { NULL, 0 }, LODE_NOTHING };
    key_of_integer(c, 10000 + i, &b, &key);
    expect(lode_fetch_put(c, &key, none, &nothing) == LODE_OK);
  }
  expect(lode_check(s, NULL, &r) == LODE_OK && r.ok);
  expect(r.entries == len_of(c) && r.entries > 400);
  now += 7000;
  expect(lode_maintain(s, &all, &removed, &more) == LODE_OK);
  expect(lode_check(s, NULL, &r) == LODE_OK && r.ok);
  now += 7000; /* past their time, and still there */
  expect(len_of(c) == 0);
  expect(lode_check(s, NULL, &r) == LODE_OK && r.ok && r.entries > 400);
  expect(lode_maintain(s, &all, &removed, &more) == LODE_OK && !more);
  lode_buffer_free(&b);
  lode_coll_close(c);
  expect_sound(s, "life", 0, 1);
}

static void many_collections (void) {
  lode_store *s = open_os("collections");
  char name[20];
  for (int i = 0; i < 200; i++) {
    snprintf(name, sizeof name, "%s%d", i % 2 ? "a" : "z", i);
    lode_coll *c = scratch_coll(s, name, i % 3 ? LODE_DICT : LODE_SET);
    for (int64_t j = 0; j < i; j++)
      put_integer(c, j, bytes_of((size_t)i));
    lode_coll_close(c);
  }
  expect_sound(s, "collections", 199 * 100, 200);
}

static void single_file (void) {
  lode_options o;
  lode_options_init(&o);
  o.single_file = true;
  lode_store *s = scratch_open("single", &o);
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  fill(s, c, 1000, 100);
  lode_coll_close(c);
  expect_sound(s, "single", 1000, 1);
}

/* Checked are the states that were committed, whatever goes on here. */
static void in_transactions (void) {
  lode_store *s = open_os("transaction");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_check_report r;
  fill(s, c, 1000, 100);
  expect(lode_begin(s) == LODE_OK);
  for (int64_t i = 0; i < 1000; i++)
    put_integer(c, 5000 + i, bytes_of(200));
  expect(lode_check(s, NULL, &r) == LODE_OK && r.ok && r.entries == 1000);
  expect(lode_commit(s) == LODE_OK);
  expect(lode_snapshot(s) == LODE_OK);
  expect(lode_check(s, NULL, &r) == LODE_OK && r.ok && r.entries == 2000);
  lode_snapshot_end(s);
  lode_coll_close(c);
  expect_sound(s, "transaction", 2000, 1);
}

/* }================================================================== */

/* {==================================================================
** Other programs' databases
** =================================================================== */

static const unsigned shapes[] = {
  0, MDB_REVERSEKEY, MDB_INTEGERKEY, MDB_DUPSORT,
  MDB_DUPSORT | MDB_DUPFIXED, MDB_DUPSORT | MDB_REVERSEDUP,
  MDB_DUPSORT | MDB_DUPFIXED | MDB_INTEGERDUP,
  MDB_DUPSORT | MDB_INTEGERKEY
};

/* A database of each kind, with few and with many duplicates. */
static uint64_t fill_foreign (MDB_env *env) {
  uint64_t entries = 0;
  MDB_txn *txn;
  expect(mdb_txn_begin(env, NULL, 0, &txn) == 0);
  for (size_t d = 0; d < LENGTH(shapes); d++) {
    MDB_stat st;
    MDB_dbi dbi;
    char name[20];
    snprintf(name, sizeof name, "%sdb%zu", d % 2 ? "a" : "x", d);
    expect(mdb_dbi_open(txn, name, shapes[d] | MDB_CREATE, &dbi) == 0);
    for (size_t i = 0; i < 6000; i++) {
      uint64_t key = i < 3000 ? i % 7 : i * 2654435761u % 4001, value = i;
      MDB_val k = { 8, &key }, v = { 8, &value };
      char text[600];
      memset(text, 'v', sizeof text);
      memcpy(text, &value, 8);
      if (!(shapes[d] & (MDB_DUPFIXED)) && i % 5 == 0) {
        v.mv_data = text;
        v.mv_size = 8 + i % 400;
      }
      if (!(shapes[d] & MDB_DUPSORT) && i % 50 == 0)
        v.mv_size = 600, v.mv_data = text;
      expect(mdb_put(txn, dbi, &k, &v, 0) == 0);
    }
    mdb_stat(txn, dbi, &st);
    entries += st.ms_entries;
  }
  expect(mdb_txn_commit(txn) == 0);
  return entries;
}

static void foreign (void) {
  MDB_env *env;
  uint64_t entries;
  MDB_dbi dbi;
  MDB_txn *txn;
  MDB_val k = { 5, "plain" }, v = { 5, "entry" };
  mkdir(scratch_path("foreign"), 0700);
  expect(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 20) == 0 &&
         mdb_env_set_mapsize(env, (size_t)1 << 26) == 0 &&
         mdb_env_open(env, scratch_path("foreign"), MDB_NOSYNC, 0600) == 0);
  sound(check_path(scratch_path("foreign")), 0, 0);
  entries = fill_foreign(env);
  expect(mdb_txn_begin(env, NULL, 0, &txn) == 0 &&
         mdb_dbi_open(txn, NULL, 0, &dbi) == 0 &&
         mdb_put(txn, dbi, &k, &v, 0) == 0 && mdb_txn_commit(txn) == 0);
  mdb_env_close(env);
  sound(check_path(scratch_path("foreign")), entries, LENGTH(shapes));
}

/* A raw collection beside lode's own. */
static void raw (void) {
  lode_store *s = open_os("raw");
  lode_coll_options o = { .raw = true };
  lode_coll *c = NULL, *own = scratch_coll(s, "d", LODE_DICT);
  expect(lode_coll_open(s, test_text("bytes"), LODE_DICT, &o, &c) ==
         LODE_OK);
  fill(s, own, 1000, 10);
  for (int i = 0; i < 500; i++) {
    lode_value v = { bytes_of((size_t)i * 20), LODE_BYTES };
    lode_key key;
    lode_key_of(c, slice_of(&i, sizeof i), slice_of(NULL, 0), &key);
    expect(lode_put(c, &key, v, LODE_PUT, LODE_TTL_OWN) == LODE_OK);
  }
  lode_coll_close(c);
  lode_coll_close(own);
  expect_sound(s, "raw", 1500, 2);
}

/* }================================================================== */

/* {==================================================================
** While others write
** =================================================================== */

typedef struct churn {
  atomic_bool stop;
  atomic_long commits;
  long wrong;
} churn;

#define CHURNED 3000

/* Moves entries about; there are always as many. */
static void *churn_run (void *arg) {
  churn *j = arg;
  static unsigned char big[9000];
  lode_store *s = open_os("live");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  for (int64_t i = 0; !atomic_load(&j->stop); i++) {
    bool ok = lode_begin(s) == LODE_OK;
    for (int64_t n = 0; n < 5; n++) {
      ok = ok && delete_integer(c, 5 * i + n) == LODE_OK;
      ok = ok && put_integer(c, 5 * i + n + CHURNED,
                             slice_of(big, (size_t)(i * 331 + n * 2003) %
                                           sizeof big)) == LODE_OK;
    }
    ok = ok && lode_commit(s) == LODE_OK;
    j->wrong += !ok;
    atomic_fetch_add(&j->commits, 1);
  }
  lode_coll_close(c);
  scratch_close(s);
  return NULL;
}

static void live (void) {
  churn j = { .wrong = 0 };
  lode_store *s = open_os("live");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_check_report r;
  pthread_t thread;
  fill(s, c, CHURNED, 1500);
  expect(pthread_create(&thread, NULL, churn_run, &j) == 0);
  while (atomic_load(&j.commits) == 0)
    usleep(100);
  for (int i = 0; i < 60; i++) {
    first_problem[0] = '\0';
    last_done = last_total = 0;
    expect(lode_check(s, &listening, &r) == LODE_OK);
    if (!sound(r, CHURNED, 1))
      break;
  }
  atomic_store(&j.stop, true);
  pthread_join(thread, NULL);
  expect(j.wrong == 0 && atomic_load(&j.commits) > 60);
  lode_coll_close(c);
  expect_sound(s, "live", CHURNED, 1);
}

/* }================================================================== */

/* {==================================================================
** What can't be checked
** =================================================================== */

static lode_status check_status (const char *name) {
  lode_check_report r;
  lode_error e = { LODE_OK, "" };
  lode_status st = lode_check_file(scratch_path(name), NULL, &r, &e);
  expect(st == LODE_OK || (e.status == st && e.text[0] != '\0'));
  return st;
}

static void write_file (const char *name, const void *data, size_t size) {
  FILE *f = fopen(scratch_path(name), "wb");
  if (f == NULL) exit(2);
  fwrite(data, 1, size, f);
  fclose(f);
}

/* A file of LMDB 1.0 is named, whatever is tried with it. */
static void opens_later (void) {
  lode_salvage_report r;
  lode_options o;
  lode_store *s = NULL;
  lode_error e;
  char path[128];
  lode_options_init(&o);
  o.single_file = true;
  snprintf(path, sizeof path, "%s", scratch_path("later"));
  expect(lode_open(path, &o, &s, &e) == LODE_INCOMPATIBLE);
  expect(strstr(e.text, "LMDB 1.0") != NULL);
  expect(lode_salvage(path, scratch_path("saved"), NULL, &r, &e) ==
         LODE_INCOMPATIBLE);
  expect(strstr(e.text, "LMDB 1.0") != NULL);
}

static void no_stores (void) {
  unsigned char page[4096] = { 0 };
  const uint32_t magic = 0xBEEFC0DE;
  expect(check_status("absent") == LODE_NOT_FOUND);
  write_file("hollow", "", 0);
  expect(check_status("hollow") == LODE_NOT_A_STORE);
  write_file("words", "nothing of the kind", 19);
  expect(check_status("words") == LODE_NOT_A_STORE);
  mkdir(scratch_path("dir"), 0700);
  expect(check_status("dir") == LODE_NOT_FOUND);
  mkdir(scratch_path("dir/data.mdb"), 0700);
  expect(check_status("dir") == LODE_NOT_A_STORE);
  memcpy(page + 24, &magic, 4);
  write_file("later", page, sizeof page);
  expect(check_status("later") == LODE_INCOMPATIBLE);
  opens_later();
}

/* Each request for memory fails once: it says so, and leaks none. */
static void no_memory (void) {
  lode_store *s = open_os("memory");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_status st = LODE_NO_MEMORY;
  lode_check_report r;
  lode_error e;
  unsigned long n;
  fill(s, c, 100, 3000);
  put_long(s, c, 10, "");
  for (n = 1; st == LODE_NO_MEMORY; n++) {
    lode_test_fail_allocation(n);
    st = lode_check(s, NULL, &r);
    expect(st == LODE_OK || lode_store_error(s)->status == LODE_NO_MEMORY);
  }
  lode_test_fail_allocation(0);
  expect(st == LODE_OK && r.ok && n > 8);
  lode_coll_close(c);
  scratch_close(s);
  for (n = 1, st = LODE_NO_MEMORY; st == LODE_NO_MEMORY; n++) {
    lode_test_fail_allocation(n);
    st = lode_check_file(scratch_path("memory"), NULL, &r, &e);
  }
  lode_test_fail_allocation(0);
  expect(st == LODE_OK && r.ok && n > 8);
}

/* }================================================================== */

int main (void) {
  scratch_begin();
  test_group("an empty store is sound", empty);
  test_group("a store with one entry is sound", one);
  test_group("a store with 100,000 entries is sound", many);
  test_group("values on pages of their own are sound", big);
  test_group("long keys are sound, alike or not", long_keys);
  test_group("keys of all types are sound", keys_of_all_types);
  test_group("dropped and renamed collections are sound", dropped);
  test_group("a store is sound after deletes", after_deletes);
  test_group("long keys with lifetimes are sound", mortal_long_keys);
  test_group("entries with lifetimes are sound", lifetimes);
  test_group("many collections are sound", many_collections);
  test_group("a single file is sound", single_file);
  test_group("a check in a transaction sees what is committed",
             in_transactions);
  test_group("other programs' databases are sound", foreign);
  test_group("a raw collection is sound", raw);
  test_group("a store is sound while others write", live);
  test_group("what is no store is not checked", no_stores);
  test_group("no memory is told, and none is lost", no_memory);
  scratch_end();
  return test_end();
}
