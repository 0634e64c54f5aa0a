/*
** test_threads.c - threads, each with its own handle of one store whose map
** is small, so that it grows under all of them: no update is lost.
*/
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "scratch.h"

#define THREADS 4
#define ROUNDS 400

typedef struct job {
  const char *path;
  int number;
  long wrong; /* calls that failed, reads that were wrong */
} job;

static lode_store *open_small (const char *path) {
  lode_options o;
  lode_store *s = NULL;
  lode_error e;
  lode_options_init(&o);
  o.map_size = 1 << 17;
  o.durability = LODE_OS;
  return lode_open(path, &o, &s, &e) == LODE_OK ? s : NULL;
}

/* Adds one to the number under key -1, reading it under the lock. */
static long count_up (lode_store *s, lode_coll *c) {
  lode_buffer bytes = { NULL, 0, 0 };
  unsigned char now[8] = { 0 };
  lode_key key;
  lode_value v;
  lode_status st;
  key_of_integer(c, -1, &bytes, &key);
  if (lode_lock(s) != LODE_OK)
    return 1;
  st = lode_get(c, &key, &v);
  if (st == LODE_OK && v.data.size == 8)
    memcpy(now, v.data.data, 8);
  lode_done(c);
  put_u64(now, get_u64(now) + 1);
  st = lode_lock_begin(s);
  if (st == LODE_OK) {
    v.data = slice_of(now, 8);
    v.codec = LODE_BYTES;
    st = lode_put(c, &key, v, LODE_PUT, LODE_TTL_OWN);
    if (st == LODE_OK)
      st = lode_commit(s);
    else
      lode_abort(s);
  }
  lode_buffer_free(&bytes);
  return st != LODE_OK;
}

static void *work (void *arg) {
  job *j = arg;
  lode_store *s = open_small(j->path);
  lode_coll_options none = { .raw = false };
  lode_range all = { .limit = UINT64_MAX };
  lode_coll *c;
  lode_error e;
  char name[40];
  unsigned char big[2000];
  memset(big, j->number, sizeof big);
  if (s == NULL || lode_coll_open(s, test_text("d"), LODE_DICT, &none, &c) !=
      LODE_OK) {
    j->wrong = 1;
    return NULL;
  }
  for (int i = 0; i < ROUNDS; i++) {
    int64_t key = (int64_t)j->number * ROUNDS + i;
    j->wrong += put_integer(c, key, slice_of(big, sizeof big)) != LODE_OK;
    j->wrong += has_integer(c, key) != LODE_OK;
    j->wrong += count_up(s, c);
    if (i % 50 == 0) { /* a walk, and a collection of one's own */
      lode_walk *w;
      lode_slice k;
      lode_value v;
      lode_coll *own;
      j->wrong += lode_walk_open(c, &all, false, &w) != LODE_OK;
      while (lode_walk_next(w, &k, &v) == LODE_OK)
        if (v.data.size == sizeof big)
          j->wrong += v.data.data[0] != v.data.data[sizeof big - 1];
      lode_walk_close(w);
      snprintf(name, sizeof name, "own-%d-%d", j->number, i);
      j->wrong += lode_coll_open(s, test_text(name), LODE_DICT, &none,
                                 &own) != LODE_OK;
      j->wrong += put_integer(own, i, test_text("x")) != LODE_OK;
      lode_coll_close(own);
    }
  }
  lode_coll_close(c);
  lode_close(s, &e);
  return NULL;
}

static void together (void) {
  pthread_t threads[THREADS];
  job jobs[THREADS];
  char path[128];
  lode_store *s;
  lode_coll *c;
  lode_buffer bytes = { NULL, 0, 0 };
  lode_key key;
  lode_value v = { { NULL, 0 }, LODE_BYTES };
  lode_stats stats;
  snprintf(path, sizeof path, "%s", scratch_path("threads"));
  for (int i = 0; i < THREADS; i++) {
    jobs[i].path = path;
    jobs[i].number = i;
    jobs[i].wrong = 0;
    expect(pthread_create(&threads[i], NULL, work, &jobs[i]) == 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    expect(jobs[i].wrong == 0);
  }
  s = scratch_open("threads", NULL);
  c = scratch_coll(s, "d", LODE_DICT);
  expect(len_of(c) == THREADS * ROUNDS + 1);
  key_of_integer(c, -1, &bytes, &key);
  expect(lode_get(c, &key, &v) == LODE_OK && v.data.size == 8 &&
         get_u64(v.data.data) == THREADS * ROUNDS);
  lode_done(c);
  lode_buffer_free(&bytes);
  expect(lode_store_stats(s, &stats) == LODE_OK);
  expect(stats.file_size > 1 << 17);
  lode_coll_close(c);
  scratch_close(s);
}

/* {==================================================================
** One opens a collection while another writes
** =================================================================== */

typedef struct opener {
  lode_store *s;
  lode_status opened;
  lode_coll *c;
} opener;

/* Opens "old", which this process has not open. */
static void *open_old (void *arg) {
  opener *o = arg;
  lode_coll_options none = { .raw = false };
  o->opened = lode_coll_open(o->s, test_text("old"), LODE_DICT, &none, &o->c);
  return NULL;
}

static void store_with_old (const char *name) {
  lode_store *s = scratch_open(name, NULL);
  lode_coll *c = scratch_coll(s, "old", LODE_DICT);
  expect(put_integer(c, 1, test_text("old")) == LODE_OK);
  lode_coll_close(c);
  scratch_close(s);
}

/* Databases that are opened at one time must not get one place. */
static void opening (void) {
  const struct timespec nap = { 0, 100000000 };
  opener o = { NULL, LODE_ABSENT, NULL };
  lode_store *s;
  lode_coll *c;
  pthread_t thread;
  store_with_old("opening");
  s = scratch_open("opening", NULL);
  o.s = scratch_open("opening", NULL);
  expect(lode_lock(s) == LODE_OK && lode_lock_begin(s) == LODE_OK);
  expect(pthread_create(&thread, NULL, open_old, &o) == 0);
  nanosleep(&nap, NULL); /* it is done, or waits */
  c = scratch_coll(s, "new", LODE_DICT);
  expect(put_integer(c, 2, test_text("new")) == LODE_OK);
  expect(lode_commit(s) == LODE_OK);
  pthread_join(thread, NULL);
  expect(o.opened == LODE_OK);
  expect(has_integer(o.c, 1) == LODE_OK &&
         has_integer(o.c, 2) == LODE_ABSENT);
  expect(has_integer(c, 1) == LODE_ABSENT && has_integer(c, 2) == LODE_OK);
  lode_coll_close(o.c);
  lode_coll_close(c);
  scratch_close(o.s);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** Looking at every collection while one is dropped
** =================================================================== */

static atomic_bool looking;

/* Sums over all collections, again and again, opening each for it. */
static void *look (void *arg) {
  lode_stats stats;
  long failed = 0;
  while (looking)
    failed += lode_store_stats(arg, &stats) != LODE_OK;
  return (void *)failed;
}

static void dropping (void) {
  lode_options o;
  lode_store *s, *other;
  lode_buffer name = { NULL, 0, 0 };
  lode_kind kind;
  pthread_t thread;
  void *failed;
  lode_options_init(&o);
  o.durability = LODE_OS;
  s = scratch_open("dropping", &o);
  other = scratch_open("dropping", &o);
  looking = true;
  expect(pthread_create(&thread, NULL, look, other) == 0);
  for (int i = 0; i < 600; i++) {
    expect(lode_coll_next(s, test_text(""), &name, &kind) == LODE_ABSENT);
    lode_coll_close(scratch_coll(s, "brief", LODE_DICT));
    expect(lode_drop(s, test_text("brief")) == LODE_OK);
  }
  looking = false;
  pthread_join(thread, &failed);
  expect(failed == NULL);
  expect(lode_coll_next(s, test_text(""), &name, &kind) == LODE_ABSENT);
  lode_buffer_free(&name);
  scratch_close(other);
  scratch_close(s);
}

/* }================================================================== */

/* Writes until something fails, or the map has certainly grown. */
static void *fill (void *arg) {
  job *j = arg;
  lode_coll_options none = { .raw = false };
  lode_options o;
  lode_store *s = NULL;
  lode_coll *c = NULL;
  lode_error e;
  lode_status st;
  unsigned char big[2000];
  memset(big, 'x', sizeof big);
  lode_options_init(&o);
  o.lock_timeout = 200;
  o.durability = LODE_OS;
  st = lode_open(j->path, &o, &s, &e);
  if (st == LODE_OK)
    st = lode_coll_open(s, test_text("d"), LODE_DICT, &none, &c);
  for (int64_t i = 1; st == LODE_OK && i < 500; i++)
    st = put_integer(c, i, slice_of(big, sizeof big));
  j->wrong = st;
  lode_coll_close(c);
  lode_close(s, &e);
  return NULL;
}

/* What a reader holds stays where it is: the map grows after that. */
static void growing (void) {
  lode_store *s = open_small(scratch_path("growing"));
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_buffer bytes = { NULL, 0, 0 };
  job j = { .path = scratch_path("growing") };
  lode_value held = { { NULL, 0 }, LODE_BYTES };
  lode_key key;
  pthread_t thread;
  expect(put_integer(c, 0, test_text("held")) == LODE_OK);
  expect(key_of_integer(c, 0, &bytes, &key) == LODE_OK);
  expect(lode_get(c, &key, &held) == LODE_OK);
  expect(pthread_create(&thread, NULL, fill, &j) == 0);
  pthread_join(thread, NULL);
  expect(j.wrong == LODE_BUSY);
  expect(slice_equal(held.data, test_text("held")));
  lode_done(c);
  expect(pthread_create(&thread, NULL, fill, &j) == 0);
  pthread_join(thread, NULL);
  expect(j.wrong == LODE_OK);
  expect(lode_get(c, &key, &held) == LODE_OK);
  expect(slice_equal(held.data, test_text("held")));
  lode_buffer_free(&bytes);
  lode_coll_close(c);
  scratch_close(s);
}

int main (void) {
  scratch_begin();
  test_group("threads with a handle each", together);
  test_group("growing while another reads", growing);
  test_group("opening while another writes", opening);
  test_group("looking while collections are dropped", dropping);
  scratch_end();
  return test_end();
}
