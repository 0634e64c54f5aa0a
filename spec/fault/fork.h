/*
** fork.h - for tests of forks: children that end with what they were told to
** do, a store for all of them, and all that a handle can do.
**
** LODE_FULL=1 does each case ROUNDS times.
*/
#ifndef FORK_H
#define FORK_H

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "scratch.h"

#ifdef __SANITIZE_THREAD__
#define TSAN true
#else
#define TSAN false
#endif

#ifdef __SANITIZE_ADDRESS__
#define ASAN true
#else
#define ASAN false
#endif

#define ROUNDS 50
#define KEYS 400
#define LONGEST 30 /* seconds that a child may take */

static long rounds = 1, forks;

static struct common { /* what all processes see */
  atomic_int writers;   /* inside a transaction now */
  atomic_long wrong;    /* two of them at once, or a lost update */
  atomic_long counted;  /* that were committed */
  atomic_int stage;
} *common;

/* {==================================================================
** Processes
** =================================================================== */

/* Runs `body` in a child, which ends with it. */
static inline pid_t start (void (*body) (void *data), void *data) {
  pid_t pid;
  fflush(stdout);
  forks++;
  pid = fork();
  if (pid != 0)
    return pid;
  alarm(LONGEST);
  test_now.failed = 0;
  body(data);
  fflush(stdout);
  _exit(test_now.failed != 0);
}

/* Whether it ended well, or as it was killed to. */
static inline bool ended (pid_t pid, int by) {
  int status;
  if (waitpid(pid, &status, 0) != pid)
    return false;
  return by != 0 ? WIFSIGNALED(status) && WTERMSIG(status) == by
                 : WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static inline bool run (void (*body) (void *data), void *data) {
  return ended(start(body, data), 0);
}

static inline void nap (long ms) {
  const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
  nanosleep(&t, NULL);
}

static inline void reach (int stage) { atomic_store(&common->stage, stage); }

static inline void await (int stage) {
  while (atomic_load(&common->stage) < stage)
    nap(1);
}

/* }================================================================== */

/* {==================================================================
** A store, and what is done to it
** =================================================================== */

static char store_path[128]; /* for threads, too */

typedef struct host {
  lode_store *s;
  lode_coll *c;
  lode_walk *w;
} host;

static inline lode_options options (void) {
  lode_options o;
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.lock_timeout = 20000;
  return o;
}

static inline lode_store *open_store (const lode_options *o) {
  lode_store *s = NULL;
  lode_error e;
  if (!expect(lode_open(store_path, o, &s, &e) == LODE_OK)) {
    printf("%s\n", e.text);
    exit(2);
  }
  return s;
}

static inline host host_open (void) {
  lode_options o = options();
  host h = { open_store(&o), NULL, NULL };
  h.c = scratch_coll(h.s, "d", LODE_DICT);
  return h;
}

static inline void host_close (host *h) {
  lode_walk_close(h->w);
  lode_coll_close(h->c);
  scratch_close(h->s);
}

/* Gives every key the value `v`, in one transaction. */
static inline lode_status fill (host *h, uint64_t v) {
  unsigned char room[600];
  lode_status st = lode_begin(h->s);
  if (st != LODE_OK)
    return st;
  memset(room, 'x', sizeof room);
  memcpy(room, &v, sizeof v);
  for (int i = 1; i <= KEYS; i++)
    if (put_integer(h->c, i, slice_of(room, sizeof room)) != LODE_OK)
      atomic_fetch_add(&common->wrong, 1);
  return lode_commit(h->s);
}

static inline void churn (host *h, int times) {
  for (int i = 0; i < times; i++)
    expect(fill(h, 1000 + (uint64_t)i) == LODE_OK);
}

static inline lode_status get_number (lode_coll *c, int64_t i, uint64_t *v) {
  lode_buffer bytes = { NULL, 0, 0 };
  lode_value value;
  lode_key key;
  lode_status st = key_of_integer(c, i, &bytes, &key);
  if (st == LODE_OK)
    st = lode_get(c, &key, &value);
  if (st == LODE_OK && value.data.size >= sizeof *v)
    memcpy(v, value.data.data, sizeof *v);
  lode_done(c);
  lode_buffer_free(&bytes);
  return st;
}

/* Whether every key has the value `v`. */
static inline bool all_are (host *h, uint64_t v) {
  long same = 0;
  for (int i = 1; i <= KEYS; i++) {
    uint64_t now = 0;
    same += get_number(h->c, i, &now) == LODE_OK && now == v;
  }
  return same == KEYS;
}

/* Adds one to the number under key 0, and sees that it is alone. */
static inline lode_status count_up (host *h) {
  uint64_t n = 0;
  lode_status st = lode_begin(h->s);
  if (st != LODE_OK)
    return st;
  if (atomic_fetch_add(&common->writers, 1) != 0)
    atomic_fetch_add(&common->wrong, 1);
  get_number(h->c, 0, &n);
  n++;
  st = put_integer(h->c, 0, slice_of(&n, sizeof n));
  atomic_fetch_sub(&common->writers, 1);
  if (st == LODE_OK)
    st = lode_commit(h->s);
  else
    lode_abort(h->s);
  if (st == LODE_OK)
    atomic_fetch_add(&common->counted, 1);
  return st;
}

/* All that a handle can do, which a child does with an inherited one. */
static inline void use (host *h) {
  lode_range all = { .limit = UINT64_MAX };
  lode_stats stats;
  lode_slice key;
  lode_value value;
  lode_walk *w;
  long n = 0;
  expect(has_integer(h->c, 1) == LODE_OK);
  expect(count_up(h) == LODE_OK);
  expect(put_integer(h->c, KEYS + getpid(), test_text("child's")) ==
         LODE_OK);
  expect(has_integer(h->c, KEYS + getpid()) == LODE_OK);
  expect(delete_integer(h->c, KEYS + getpid()) == LODE_OK);
  expect(lode_walk_open(h->c, &all, true, &w) == LODE_OK);
  while (lode_walk_next(w, &key, &value) == LODE_OK)
    n++;
  lode_walk_close(w);
  expect(n >= KEYS);
  expect(lode_lock(h->s) == LODE_OK);
  lode_unlock(h->s);
  expect(lode_flush(h->s) == LODE_OK);
  expect(lode_store_stats(h->s, &stats) == LODE_OK);
  expect(stats.accesses == 0);
}

/* Whether the store's last failure is that of a child in its parent's. */
static inline bool is_parents (host *h, lode_status st) {
  const char *words = lode_store_error(h->s)->text;
  return st == LODE_REENTRY && strstr(words, "forked") != NULL;
}

/* The end of every case: nothing was lost, and no lock is left. */
static inline void see_end (void) {
  lode_options o = options();
  lode_check_report report;
  uint64_t n = 0;
  host h;
  o.lock_timeout = 0;
  h.s = open_store(&o);
  h.c = scratch_coll(h.s, "d", LODE_DICT);
  get_number(h.c, 0, &n);
  expect(n == (uint64_t)atomic_load(&common->counted));
  expect(count_up(&h) == LODE_OK);
  expect(atomic_load(&common->wrong) == 0);
  expect(lode_check(h.s, NULL, &report) == LODE_OK && report.ok);
  h.w = NULL;
  host_close(&h);
}

/* Does a case several times, each with a store of its own. */
static inline void rounds_of (void (*body) (host *h)) {
  for (long i = 0; i < rounds; i++) {
    char command[160];
    host h;
    memset(common, 0, sizeof *common);
    h = host_open();
    expect(fill(&h, 1) == LODE_OK);
    body(&h);
    if (h.s != NULL)
      host_close(&h);
    see_end();
    snprintf(command, sizeof command, "rm -rf '%s'", store_path);
    expect(system(command) == 0);
  }
}

static inline void child_uses (void *data) { use(data); }

static inline void child_closes (void *data) { host_close(data); }

/* }================================================================== */

/* {==================================================================
** The program
** =================================================================== */

static inline void fork_begin (void) {
  const char *full = getenv("LODE_FULL");
  if (full != NULL && strcmp(full, "1") == 0)
    rounds = ROUNDS;
  common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (common == MAP_FAILED)
    exit(2);
  scratch_begin();
  snprintf(store_path, sizeof store_path, "%s", scratch_path("fork"));
}

static inline int fork_end (void) {
  scratch_end();
  printf("%ld forks\n", forks);
  return test_end();
}

/* }================================================================== */

#endif
