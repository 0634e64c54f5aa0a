/*
** Syncs that nobody waits for (syncer.c), and entries that have died and
** are not removed yet.
*/
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "timed.h"

static atomic_int syncs;      /* that another thread than main's has made */
static atomic_bool sync_fails;
static pthread_t main_thread;

/* Stands before libc's for LMDB, too. */
__attribute__((visibility("default")))
int fdatasync (int fd) {
  bool other = !pthread_equal(pthread_self(), main_thread);
  atomic_fetch_add(&syncs, other);
  if (other && atomic_load(&sync_fails)) {
    errno = EIO;
    return -1;
  }
  return (int)syscall(SYS_fdatasync, fd);
}

/* Waits until no thread of lode's is left, and no handle. */
static void settle (void) {
  for (int i = 0; i < 1000 && lode_test_live_handles() > 0; i++)
    usleep(10000);
  expect(lode_test_live_handles() == 0);
}

static lode_store *open_os (const char *name) {
  lode_options o;
  lode_options_init(&o);
  o.durability = LODE_OS;
  return scratch_open(name, &o);
}

static lode_status put (lode_coll *c, int i) {
  unsigned char room[16];
  lode_key key;
  lode_value v = { test_text("value"), LODE_BYTES };
  lode_buffer b = { NULL, 0, 0 };
  lode_status st;
  snprintf((char *)room, sizeof room, "%d", i);
  st = lode_key_of_string(c, test_text((char *)room), &b, &key);
  if (st == LODE_OK)
    st = lode_put(c, &key, v, LODE_PUT, LODE_NEVER);
  lode_buffer_free(&b);
  return st;
}

/* Waits until `n` syncs were made, and their threads have ended. */
static void wait_for (int n, long handles) {
  for (int i = 0; i < 1000 && atomic_load(&syncs) < n; i++)
    usleep(10000);
  for (int i = 0; i < 1000 && lode_test_live_handles() > handles; i++)
    usleep(10000);
  expect(atomic_load(&syncs) == n);
}

static void by_another (void) {
  lode_store *s = open_os("another");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  long handles = lode_test_live_handles();
  atomic_store(&syncs, 0);
  for (int i = 1; i <= 5; i++) {
    expect(put(c, i) == LODE_OK && lode_flush_later(s) == LODE_OK);
    wait_for(i, handles);
  }
  lode_coll_close(c);
  scratch_close(s);
}

/* One that fails is told by the next call, and the one after tries again. */
static void failing (void) {
  lode_store *s = open_os("failing");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  long handles = lode_test_live_handles();
  expect(put(c, 1) == LODE_OK);
  atomic_store(&syncs, 0);
  atomic_store(&sync_fails, true);
  expect(lode_flush_later(s) == LODE_OK);
  wait_for(1, handles);
  atomic_store(&sync_fails, false);
  expect(lode_flush_later(s) == LODE_IO);
  expect(strstr(lode_store_error(s)->text, "synced") != NULL);
  expect(lode_flush_later(s) == LODE_OK);
  wait_for(2, handles);
  lode_coll_close(c);
  scratch_close(s);
}

static void begun_often (void) {
  lode_store *s = open_os("often"), *other = open_os("often");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  for (int i = 0; i < 300; i++) {
    expect(put(c, i) == LODE_OK);
    expect(lode_flush_later(i % 3 == 0 ? other : s) == LODE_OK);
  }
  expect(lode_flush(s) == LODE_OK);
  lode_coll_close(c);
  scratch_close(other);
  scratch_close(s);
  settle();
}

/* The handle may go while the thread is at it. */
static void closed_at_once (void) {
  for (int i = 0; i < 30; i++) {
    lode_store *s = open_os("closed");
    lode_coll *c = scratch_coll(s, "d", LODE_DICT);
    expect(put(c, i) == LODE_OK);
    expect(lode_flush_later(s) == LODE_OK);
    lode_coll_close(c);
    scratch_close(s);
  }
  settle();
}

static void *flush_many (void *data) {
  lode_store *s = data;
  for (int i = 0; i < 100; i++)
    expect(lode_flush_later(s) == LODE_OK);
  scratch_close(s);
  return NULL;
}

static void by_threads (void) {
  pthread_t threads[4];
  lode_store *stores[LENGTH(threads)];
  for (size_t i = 0; i < LENGTH(threads); i++)
    stores[i] = open_os("threads");
  for (size_t i = 0; i < LENGTH(threads); i++)
    expect(pthread_create(&threads[i], NULL, flush_many, stores[i]) == 0);
  for (size_t i = 0; i < LENGTH(threads); i++)
    pthread_join(threads[i], NULL);
  settle();
}

/* A child has no such thread, and starts its own. */
static void in_a_child (void) {
  lode_store *s = open_os("child");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  for (int i = 0; i < 10; i++) {
    int status;
    pid_t child;
    expect(put(c, i) == LODE_OK && lode_flush_later(s) == LODE_OK);
    fflush(stdout);
    child = fork();
    if (child == 0)
      _exit(put(c, 100 + i) != LODE_OK || lode_flush_later(s) != LODE_OK ||
            lode_flush(s) != LODE_OK);
    expect(waitpid(child, &status, 0) == child && status == 0);
  }
  lode_coll_close(c);
  scratch_close(s);
  settle();
}

static void read_only (void) {
  lode_options o;
  lode_store *s = open_os("readonly");
  scratch_close(s);
  lode_options_init(&o);
  o.readonly = true;
  s = scratch_open("readonly", &o);
  expect(lode_flush_later(s) == LODE_OK);
  scratch_close(s);
}

/* What lode_get_stale says of a key of timed.h. */
static lode_status look (lode_coll *c, int i, bool *stale) {
  timed_key k;
  lode_value v;
  lode_status st = lode_get_stale(c, timed_key_of(c, i, &k), &v, stale);
  if (st == LODE_OK)
    lode_done(c);
  lode_buffer_free(&k.bytes);
  return st;
}

static void stale (void) {
  static const lode_coll_options plain = { .raw = false };
  lode_store *s = timed_open("stale", LODE_OFF);
  lode_coll *c = timed_coll(s, "d", LODE_DICT, &plain);
  lode_budget b = { 0, 0, 6 };
  uint64_t removed;
  bool more, is_stale = true;
  expect(look(c, 1, &is_stale) == LODE_ABSENT && is_stale);
  timed_put(c, 1, 10);
  timed_put(c, 2, 14);
  expect(look(c, 1, &is_stale) == LODE_OK && !is_stale);
  timed_now += 15;
  expect(look(c, 1, &is_stale) == LODE_OK && is_stale);
  expect(lode_maintain(s, &b, &removed, &more) == LODE_OK && removed == 0);
  expect(!more && look(c, 1, &is_stale) == LODE_OK);
  b.age = 5;
  expect(lode_maintain(s, &b, &removed, &more) == LODE_OK && removed == 1);
  expect(look(c, 1, &is_stale) == LODE_ABSENT);
  expect(look(c, 2, &is_stale) == LODE_OK && is_stale);
  expect(timed_calls(c) == 1);
  b.age = 1 + timed_now; /* before all time */
  expect(lode_maintain(s, &b, &removed, &more) == LODE_OK && removed == 0);
  b.age = 0;
  expect(lode_maintain(s, &b, &removed, &more) == LODE_OK && removed == 1);
  expect(look(c, 2, &is_stale) == LODE_ABSENT);
  lode_coll_close(c);
  scratch_close(s);
}

int main (void) {
  scratch_begin();
  main_thread = pthread_self();
  test_group("a sync by another thread", by_another);
  test_group("a sync that fails", failing);
  test_group("a sync begun often", begun_often);
  test_group("a handle closed while it is synced", closed_at_once);
  test_group("syncs begun by four threads", by_threads);
  test_group("a sync begun before a fork, and after", in_a_child);
  test_group("nothing to sync", read_only);
  test_group("what has died and is still there", stale);
  scratch_end();
  return test_end();
}
