/*
** fault_readers.c - readers that stay, and readers that die: stats name the
** oldest, its slot is freed when its process is gone, and walks that go on
** all the time don't make the file grow.
*/
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "scratch.h"

#define KEYS 500

static long writes = 4000;
static volatile int *stage; /* shared with children */

typedef struct host {
  lode_store *s;
  lode_coll *c;
} host;

static char path[128];

static host host_open (unsigned readers, lode_maintenance who) {
  lode_options o;
  host h = { NULL, NULL };
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.readers = readers;
  o.maintenance = who;
  h.s = scratch_open_at(path, &o);
  h.c = scratch_coll(h.s, "d", LODE_DICT);
  return h;
}

static void host_close (host *h) {
  lode_coll_close(h->c);
  scratch_close(h->s);
}

static void nap (long ms) {
  const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
  nanosleep(&t, NULL);
}

static void begin_anew (const char *name) {
  snprintf(path, sizeof path, "%s", scratch_path(name));
}

static lode_stats stats_of (host *h) {
  lode_stats stats;
  expect(lode_store_stats(h->s, &stats) == LODE_OK);
  return stats;
}

static void put_all (host *h, long n) {
  unsigned char room[400];
  memset(room, 'x', sizeof room);
  for (long i = 0; i < n; i++)
    expect(put_integer(h->c, i % KEYS, slice_of(room, sizeof room)) ==
           LODE_OK);
}

/* A process that reads one moment, until it is killed. */
static pid_t reader_process (unsigned readers) {
  pid_t pid;
  *stage = 0;
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    host h = host_open(readers, LODE_OFF);
    alarm(60);
    if (lode_snapshot(h.s) != LODE_OK)
      _exit(1);
    *stage = 1;
    pause();
    _exit(0);
  }
  for (int i = 0; i < 20000 && *stage == 0; i++)
    nap(1);
  return pid;
}

static void end_process (pid_t pid) {
  int status;
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
}

static void oldest (void) {
  host a, b;
  lode_stats stats;
  pid_t pid;
  begin_anew("oldest");
  a = host_open(16, LODE_OFF);
  b = host_open(16, LODE_OFF);
  put_all(&a, 10);
  stats = stats_of(&a);
  expect(stats.oldest_process == 0 && stats.oldest_age == 0);
  expect(lode_snapshot(b.s) == LODE_OK);
  expect(stats_of(&a).oldest_process == 0); /* it sees the last commit */
  put_all(&a, 7);
  nap(30);
  stats = stats_of(&a);
  expect(stats.oldest_process == (int)getpid());
  expect(stats.oldest_age == 7);
  expect(stats.oldest_ms >= 10 && stats.oldest_ms < 60000);
  lode_snapshot_end(b.s);
  expect(stats_of(&a).oldest_process == 0);
  pid = reader_process(16);
  put_all(&a, 5);
  expect(lode_snapshot(b.s) == LODE_OK);
  put_all(&a, 5);
  stats = stats_of(&a);
  expect(stats.oldest_process == (int)pid);
  expect(stats.oldest_age == 10 && stats.oldest_ms == 0);
  end_process(pid);
  host_close(&b); /* with its snapshot */
  host_close(&a);
}

/* A walk over one moment is a reader that stays, and is told, too. */
static void oldest_walk (void) {
  lode_range all = { .limit = UINT64_MAX };
  lode_walk *w;
  host a;
  begin_anew("walk");
  a = host_open(16, LODE_OFF);
  put_all(&a, 10);
  expect(lode_walk_open(a.c, &all, true, &w) == LODE_OK);
  put_all(&a, 3);
  nap(20);
  expect(stats_of(&a).oldest_age == 3 && stats_of(&a).oldest_ms >= 5);
  lode_walk_close(w);
  expect(stats_of(&a).oldest_age == 0);
  host_close(&a);
}

/* Those of killed processes go while the store stays open. */
static void dead_go (lode_maintenance who) {
  host a = host_open(16, who);
  unsigned readers;
  put_all(&a, 10);
  readers = stats_of(&a).readers;
  for (int i = 0; i < 4; i++)
    end_process(reader_process(16));
  for (int i = 0; i < 600 && stats_of(&a).readers > readers; i++) {
    nap(10);
    if (who != LODE_BACKGROUND)
      put_all(&a, 1);
  }
  expect(stats_of(&a).readers == readers);
  put_all(&a, 10);
  expect(stats_of(&a).oldest_process == 0);
  host_close(&a);
}

static void dead_with_writes (void) {
  begin_anew("dead");
  dead_go(LODE_OFF);
}

static void dead_in_background (void) {
  begin_anew("dead2");
  dead_go(LODE_BACKGROUND);
}

static void dead_when_full (void) {
  host a;
  begin_anew("full");
  a = host_open(4, LODE_OFF);
  put_all(&a, 10);
  for (int i = 0; i < 12; i++) {
    end_process(reader_process(4));
    expect(has_integer(a.c, 1) == LODE_OK);
  }
  host_close(&a);
}

static atomic_bool stop;

static void *walking (void *data) {
  lode_range all = { .limit = UINT64_MAX };
  host h = host_open(16, LODE_OFF);
  long *wrong = data;
  while (!atomic_load(&stop)) {
    lode_walk *w;
    lode_slice key;
    lode_value value;
    long n = 0;
    if (lode_walk_open(h.c, &all, false, &w) != LODE_OK)
      ++*wrong;
    while (lode_walk_next(w, &key, &value) == LODE_OK)
      if (n++ % 50 == 0)
        nap(1); /* the user's work */
    lode_walk_close(w);
    *wrong += n != KEYS;
  }
  host_close(&h);
  return NULL;
}

/* Bytes that the file grows by under so many writes. */
static uint64_t growth (host *h) {
  uint64_t before = stats_of(h).file_size;
  put_all(h, writes);
  return stats_of(h).file_size - before;
}

static void bounded (void) {
  pthread_t threads[2];
  long wrong[2] = { 0, 0 };
  uint64_t alone, walked, pinned;
  host a;
  begin_anew("churn");
  a = host_open(16, LODE_OFF);
  put_all(&a, KEYS);
  alone = growth(&a);
  atomic_store(&stop, false);
  for (int i = 0; i < 2; i++)
    pthread_create(&threads[i], NULL, walking, &wrong[i]);
  walked = growth(&a);
  atomic_store(&stop, true);
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
    expect(wrong[i] == 0);
  }
  expect(lode_snapshot(a.s) == LODE_OK);
  {
    host b = host_open(16, LODE_OFF);
    pinned = growth(&b);
    host_close(&b);
  }
  lode_snapshot_end(a.s);
  expect(pinned > ((uint64_t)16 << 20)); /* it can be told apart */
  expect(walked < pinned / 8);
  printf("%ld writes, growth %llu kB alone, %llu under walks, %llu under a "
         "snapshot\n", writes, (unsigned long long)alone / 1024,
         (unsigned long long)walked / 1024,
         (unsigned long long)pinned / 1024);
  host_close(&a);
}

int main (void) {
  const char *full = getenv("LODE_FULL");
  if (full != NULL && strcmp(full, "1") == 0)
    writes = 200000;
  stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (stage == MAP_FAILED)
    return 2;
  scratch_begin();
  test_group("stats tell the oldest reader", oldest);
  test_group("also a walk over one moment", oldest_walk);
  test_group("those that died go, with writes", dead_with_writes);
  test_group("or by the thread of upkeep", dead_in_background);
  test_group("or when the table is full", dead_when_full);
  test_group("walks don't make the file grow", bounded);
  scratch_end();
  return test_end();
}
