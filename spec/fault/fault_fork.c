/*
** fault_fork.c - forks, at every point at which one can be made.
**
** A child uses what it has inherited as if it had opened it, but for what
** was open: that is refused in words. Whatever it does, and however it and
** its parent end, the parent's moments stay what they were, there is one
** writer at a time, and no lock stays behind.
**
** LODE_FULL=1 does each ROUNDS times.
*/
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

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

extern char **environ;

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
static pid_t start (void (*body) (void *data), void *data) {
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
static bool ended (pid_t pid, int by) {
  int status;
  if (waitpid(pid, &status, 0) != pid)
    return false;
  return by != 0 ? WIFSIGNALED(status) && WTERMSIG(status) == by
                 : WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run (void (*body) (void *data), void *data) {
  return ended(start(body, data), 0);
}

static void nap (long ms) {
  const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
  nanosleep(&t, NULL);
}

static void reach (int stage) { atomic_store(&common->stage, stage); }

static void await (int stage) {
  while (atomic_load(&common->stage) < stage)
    nap(1);
}

/* }================================================================== */

/* {==================================================================
** A store, and what is done to it
** =================================================================== */

static char store_path[128], other_path[128]; /* for threads, too */

typedef struct host {
  lode_store *s;
  lode_coll *c;
  lode_walk *w;
} host;

static lode_options options (void) {
  lode_options o;
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.lock_timeout = 20000;
  return o;
}

static lode_store *open_store (const lode_options *o) {
  lode_store *s = NULL;
  lode_error e;
  if (!expect(lode_open(store_path, o, &s, &e) == LODE_OK)) {
    printf("%s\n", e.text);
    exit(2);
  }
  return s;
}

static host host_open (void) {
  lode_options o = options();
  host h = { open_store(&o), NULL, NULL };
  h.c = scratch_coll(h.s, "d", LODE_DICT);
  return h;
}

static void host_close (host *h) {
  lode_walk_close(h->w);
  lode_coll_close(h->c);
  scratch_close(h->s);
}

/* Gives every key the value `v`, in one transaction. */
static lode_status fill (host *h, uint64_t v) {
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

static void churn (host *h, int times) {
  for (int i = 0; i < times; i++)
    expect(fill(h, 1000 + (uint64_t)i) == LODE_OK);
}

static lode_status get_number (lode_coll *c, int64_t i, uint64_t *v) {
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
static bool all_are (host *h, uint64_t v) {
  long same = 0;
  for (int i = 1; i <= KEYS; i++) {
    uint64_t now = 0;
    same += get_number(h->c, i, &now) == LODE_OK && now == v;
  }
  return same == KEYS;
}

/* Adds one to the number under key 0, and sees that it is alone. */
static lode_status count_up (host *h) {
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
static void use (host *h) {
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
static bool is_parents (host *h, lode_status st) {
  const char *words = lode_store_error(h->s)->text;
  return st == LODE_REENTRY && strstr(words, "forked") != NULL;
}

/* The end of every case: nothing was lost, and no lock is left. */
static void see_end (void) {
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
static void rounds_of (void (*body) (host *h)) {
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

/* }================================================================== */

/* {==================================================================
** Before and after the opening
** =================================================================== */

static void child_opens (void *data) {
  host h = host_open();
  (void)data;
  use(&h);
  host_close(&h);
}

static void before_body (host *h) {
  host_close(h);
  h->s = NULL; /* nothing is open now */
  expect(run(child_opens, NULL));
}

static void before (void) { rounds_of(before_body); }

static void child_uses (void *data) { use(data); }

static void child_uses_and_closes (void *data) {
  use(data);
  host_close(data);
}

static void child_closes (void *data) { host_close(data); }

static void child_idles (void *data) { (void)data; }

static void child_exits (void *data) {
  use(data);
  exit(test_now.failed != 0);
}

/* The handle in the parent has a moment open all the time. */
static void after_body (host *h) {
  static void (*const bodies[]) (void *data) = {
    child_uses, child_uses_and_closes, child_closes, child_idles, child_exits
  };
  for (size_t i = 0; i < LENGTH(bodies); i++) {
    expect(run(bodies[i], h));
    expect(count_up(h) == LODE_OK);
    expect(all_are(h, 1));
  }
}

static void after (void) { rounds_of(after_body); }

static void child_opens_twice (void *data) {
  host h = host_open(); /* beside what it has inherited */
  use(&h);
  use(data);
  host_close(&h);
  use(data);
}

static void twice_body (host *h) { expect(run(child_opens_twice, h)); }

static void twice (void) { rounds_of(twice_body); }

static void grandchild_alone (void *data) {
  expect(run(child_uses_and_closes, data));
}

static void grandchild_too (void *data) {
  use(data);
  expect(run(child_uses, data));
  expect(run(child_closes, data));
  use(data);
}

static void double_body (host *h) {
  expect(run(grandchild_alone, h));
  expect(run(grandchild_too, h));
  use(h);
}

static void doubly (void) { rounds_of(double_body); }

/* }================================================================== */

/* {==================================================================
** In the middle of something
** =================================================================== */

/* Goes through the rest of a walk. */
static long rest_of (lode_walk *w, lode_status *st) {
  lode_slice key;
  lode_value value;
  long n = 0;
  while ((*st = lode_walk_next(w, &key, &value)) == LODE_OK)
    n++;
  return n;
}

static void child_walks_on (void *data) {
  host *h = data;
  lode_status st;
  expect(rest_of(h->w, &st) == KEYS - 20 && st == LODE_ABSENT);
  use(h);
}

static void walk_body (host *h) {
  lode_range all = { .limit = UINT64_MAX };
  lode_slice key;
  lode_value value;
  lode_status st;
  expect(lode_walk_open(h->c, &all, false, &h->w) == LODE_OK);
  for (int i = 0; i < 20; i++)
    expect(lode_walk_next(h->w, &key, &value) == LODE_OK);
  expect(run(child_walks_on, h));
  expect(run(child_closes, h));
  expect(rest_of(h->w, &st) == KEYS - 20 && st == LODE_ABSENT);
}

static void in_walk (void) { rounds_of(walk_body); }

static void child_of_pinned (void *data) {
  host *h = data;
  lode_status st;
  rest_of(h->w, &st); /* the page that was read */
  expect(is_parents(h, st));
  use(h);
  expect(is_parents(h, lode_walk_next(h->w, &(lode_slice){ 0 },
                                      &(lode_value){ 0 })));
  lode_walk_close(h->w);
  churn(h, 20);
}

static void pinned_body (host *h) {
  lode_range all = { .limit = UINT64_MAX };
  lode_slice key;
  lode_value value;
  uint64_t v;
  lode_status st;
  long n = 0;
  expect(lode_walk_open(h->c, &all, true, &h->w) == LODE_OK);
  expect(lode_walk_next(h->w, &key, &value) == LODE_OK);
  expect(run(child_of_pinned, h));
  expect(run(child_closes, h));
  churn(h, 20);
  while ((st = lode_walk_next(h->w, &key, &value)) == LODE_OK) {
    memcpy(&v, value.data.data, sizeof v);
    n += v == 1;
  }
  expect(st == LODE_ABSENT && n == KEYS - 1);
}

static void in_pinned_walk (void) { rounds_of(pinned_body); }

/* What was open is refused until it has ended. */
static void refuse_all (host *h) {
  lode_range all = { .limit = UINT64_MAX };
  lode_walk *w;
  lode_stats stats;
  uint64_t n;
  expect(is_parents(h, has_integer(h->c, 1)));
  expect(is_parents(h, lode_len(h->c, &n)));
  expect(is_parents(h, lode_snapshot(h->s)));
  expect(is_parents(h, lode_walk_open(h->c, &all, true, &w)));
  expect(is_parents(h, lode_store_stats(h->s, &stats)));
  expect(is_parents(h, lode_flush(h->s)));
}

static void child_commits (void *data) {
  host *h = data;
  refuse_all(h);
  expect(is_parents(h, put_integer(h->c, 1, test_text("never"))));
  expect(is_parents(h, delete_integer(h->c, 1)));
  expect(is_parents(h, lode_begin(h->s)));
  expect(is_parents(h, lode_lock(h->s)));
  expect(is_parents(h, lode_commit(h->s)));
  expect(lode_depth(h->s) == 0);
  reach(1);
  use(h); /* waits for the parent's to end */
}

static void child_aborts (void *data) {
  host *h = data;
  lode_abort(h->s);
  expect(has_integer(h->c, 1) == LODE_OK);
  expect(has_integer(h->c, 5000) == LODE_ABSENT);
  reach(1);
  use(h);
}

/* Of the parent's lock, the child's copy is no holder. */
static void child_is_kept_out (void *data) {
  lode_options o = options();
  host h;
  char pid[32];
  (void)data;
  o.lock_timeout = 50;
  h.s = open_store(&o);
  expect(lode_begin(h.s) == LODE_BUSY);
  snprintf(pid, sizeof pid, "process %d ", (int)getppid());
  expect(strstr(lode_store_error(h.s)->text, pid) != NULL);
  scratch_close(h.s);
}

static void transaction_body (host *h) {
  static void (*const bodies[]) (void *data) = {
    child_commits, child_aborts
  };
  for (size_t i = 0; i < LENGTH(bodies); i++) {
    int64_t key = 5000 + (int64_t)i;
    pid_t pid;
    reach(0);
    expect(lode_begin(h->s) == LODE_OK);
    expect(put_integer(h->c, key, test_text("parent's")) == LODE_OK);
    expect(run(child_closes, h));
    expect(run(child_is_kept_out, h));
    pid = start(bodies[i], h);
    await(1);
    nap(2);
    expect(put_integer(h->c, key + 10, test_text("parent's")) == LODE_OK);
    expect(lode_commit(h->s) == LODE_OK);
    expect(ended(pid, 0));
    expect(has_integer(h->c, key) == LODE_OK);
    expect(has_integer(h->c, key + 10) == LODE_OK);
    delete_integer(h->c, key);
  }
}

static void in_transaction (void) { rounds_of(transaction_body); }

static void nested_child (void *data) {
  host *h = data;
  expect(is_parents(h, has_integer(h->c, 1)));
  lode_abort(h->s);
  expect(is_parents(h, has_integer(h->c, 1)));
  expect(is_parents(h, lode_commit(h->s)));
  expect(is_parents(h, has_integer(h->c, 1)));
  lode_abort(h->s);
  expect(lode_depth(h->s) == 0);
  expect(has_integer(h->c, 1) == LODE_OK);
}

static void nested_body (host *h) {
  lode_coll *made;
  for (int i = 0; i < 3; i++)
    expect(lode_begin(h->s) == LODE_OK);
  made = scratch_coll(h->s, "made", LODE_DICT);
  expect(put_integer(made, 1, test_text("x")) == LODE_OK);
  expect(run(nested_child, h));
  for (int i = 0; i < 3; i++)
    expect(lode_commit(h->s) == LODE_OK);
  expect(has_integer(made, 1) == LODE_OK);
  lode_coll_close(made);
}

static void in_nested (void) { rounds_of(nested_body); }

static void child_of_snapshot (void *data) {
  host *h = data;
  refuse_all(h);
  expect(put_integer(h->c, 1, test_text("never")) == LODE_READONLY);
  lode_snapshot_end(h->s);
  use(h);
  churn(h, 20);
  expect(all_are(h, 1019));
}

static void snapshot_body (host *h) {
  expect(lode_snapshot(h->s) == LODE_OK);
  expect(all_are(h, 1));
  expect(run(child_of_snapshot, h));
  expect(run(child_closes, h));
  expect(all_are(h, 1));
  lode_snapshot_end(h->s);
  expect(all_are(h, 1019));
}

static void in_snapshot (void) { rounds_of(snapshot_body); }

static void child_of_lock (void *data) {
  host *h = data;
  expect(is_parents(h, has_integer(h->c, 1)));
  expect(is_parents(h, lode_lock_begin(h->s)));
  reach(1);
  use(h);
}

static void child_unlocks (void *data) {
  host *h = data;
  lode_unlock(h->s);
  expect(has_integer(h->c, 1) == LODE_OK);
}

static void lock_body (host *h) {
  pid_t pid;
  expect(lode_lock(h->s) == LODE_OK);
  expect(run(child_unlocks, h));
  expect(run(child_is_kept_out, h));
  pid = start(child_of_lock, h);
  await(1);
  expect(lode_lock_begin(h->s) == LODE_OK);
  expect(put_integer(h->c, 1, test_text("parent's")) == LODE_OK);
  expect(lode_commit(h->s) == LODE_OK);
  expect(ended(pid, 0));
}

static void in_lock (void) { rounds_of(lock_body); }

/* A value that is being read in the parent is not the child's. */
static void value_body (host *h) {
  lode_buffer bytes = { NULL, 0, 0 };
  lode_value value;
  lode_key key;
  uint64_t v = 0;
  key_of_integer(h->c, 7, &bytes, &key);
  expect(lode_get(h->c, &key, &value) == LODE_OK);
  expect(run(child_uses, h));
  memcpy(&v, value.data.data, sizeof v);
  expect(v == 1);
  lode_done(h->c);
  lode_buffer_free(&bytes);
}

static void in_value (void) { rounds_of(value_body); }

/* }================================================================== */

/* {==================================================================
** In a callback
** =================================================================== */

typedef enum place { NOWHERE, POLICY, RANK, REMOVAL, CLOCK } place;

static struct {
  place fork;  /* which one forks, once */
  bool inside; /* this process is the child of one */
  pid_t pid;
  uint64_t now;
} callback;

static void fork_in (place here) {
  if (callback.fork != here)
    return;
  callback.fork = NOWHERE;
  fflush(stdout);
  forks++;
  callback.pid = fork();
  callback.inside = callback.pid == 0;
  if (callback.inside) {
    alarm(LONGEST);
    test_now.failed = 0;
  }
}

static lode_status on_deadline (void *data, const lode_entry *e,
                                uint64_t *expires) {
  (void)data;
  *expires = e->ctime + 1000;
  fork_in(POLICY);
  return LODE_OK;
}

static lode_status on_removed (void *data, const lode_entry *e) {
  (void)data;
  (void)e;
  fork_in(REMOVAL);
  return LODE_OK;
}

static lode_status on_rank (void *data, const lode_entry *e, double *rank) {
  (void)data;
  *rank = (double)e->ctime;
  fork_in(RANK);
  return LODE_OK;
}

static uint64_t on_clock (void *data) {
  (void)data;
  fork_in(CLOCK);
  return callback.now;
}

static host timed_open (void) {
  lode_options o = options();
  lode_coll_options co = { .policy = test_text("p"), .on_expire = true,
                           .max_entries = 20, .evict = LODE_EVICT_RANK };
  lode_hooks hooks = { .deadline = on_deadline, .removed = on_removed,
                       .rank = on_rank };
  host h = { NULL, NULL, NULL };
  callback.now = 1000000;
  o.clock = on_clock;
  o.maintenance = LODE_OFF;
  h.s = open_store(&o);
  co.hooks = &hooks;
  expect(lode_coll_open(h.s, test_text("timed"), LODE_DICT, &co, &h.c) ==
         LODE_OK);
  return h;
}

/*
** After the call in which the fork was made: `st` is what it gave. A clock
** is asked in the middle of something, or before it.
*/
static void see_callback (host *h, lode_status st, lode_status expected,
                          bool clock) {
  if (callback.inside) {
    expect(is_parents(h, st) || (clock && st == expected));
    expect(put_integer(h->c, 77, test_text("child's")) == LODE_OK);
    expect(has_integer(h->c, 77) == LODE_OK);
    fflush(stdout);
    _exit(test_now.failed != 0);
  }
  expect(callback.fork == NOWHERE); /* it was made */
  expect(st == expected);
  expect(ended(callback.pid, 0));
}

static lode_status maintain (host *h) {
  const lode_budget all = { 0, 0, 0 };
  uint64_t removed;
  bool more;
  return lode_maintain(h->s, &all, &removed, &more);
}

static void callback_body (host *plain) {
  host h = timed_open();
  lode_range all = { .limit = UINT64_MAX };
  lode_status st;
  (void)plain;
  for (int clock = 0; clock < 2; clock++) {
    place policy = clock ? CLOCK : POLICY;
    callback.fork = policy;
    see_callback(&h, put_integer(h.c, 1, test_text("x")), LODE_OK, clock);
    callback.fork = clock ? CLOCK : RANK; /* the cap is not met yet */
    for (int i = 1; i <= 40 && callback.fork != NOWHERE; i++)
      st = put_integer(h.c, i, test_text("x"));
    see_callback(&h, st, LODE_OK, clock);
    put_integer(h.c, 500, test_text("x"));
    callback.now += 10000;
    callback.fork = policy;
    see_callback(&h, has_integer(h.c, 500), LODE_ABSENT, clock);
    callback.now += 10000;
    callback.fork = policy;
    expect(lode_walk_open(h.c, &all, false, &h.w) == LODE_OK);
    rest_of(h.w, &st);
    see_callback(&h, st, LODE_ABSENT, clock);
    lode_walk_close(h.w);
    h.w = NULL;
    callback.now += 10000;
    callback.fork = clock ? CLOCK : REMOVAL;
    see_callback(&h, maintain(&h), LODE_OK, clock);
  }
  host_close(&h);
}

static void in_callback (void) { rounds_of(callback_body); }

/* }================================================================== */

/* {==================================================================
** Threads
** =================================================================== */

#define WRITERS 2

static atomic_bool stop;

static void *writing (void *data) {
  host h = host_open();
  (void)data;
  for (int i = 0; !atomic_load(&stop); i++) {
    if (count_up(&h) != LODE_OK)
      atomic_fetch_add(&common->wrong, 1);
    if (i % 7 == 0 && fill(&h, 1) != LODE_OK)
      atomic_fetch_add(&common->wrong, 1);
  }
  host_close(&h);
  return NULL;
}

static void *reading (void *data) {
  host h = host_open();
  (void)data;
  while (!atomic_load(&stop)) {
    lode_snapshot(h.s);
    if (!all_are(&h, 1))
      atomic_fetch_add(&common->wrong, 1);
    lode_snapshot_end(h.s);
  }
  host_close(&h);
  return NULL;
}

static void *opening (void *data) {
  (void)data;
  while (!atomic_load(&stop)) {
    lode_options o = options();
    lode_error e;
    lode_store *s;
    if (lode_open(other_path, &o, &s, &e) != LODE_OK ||
        lode_close(s, &e) != LODE_OK)
      atomic_fetch_add(&common->wrong, 1);
  }
  return NULL;
}

static void child_of_threads (void *data) {
  host *h = data;
  int way = getpid() % 4;
  use(h);
  expect(all_are(h, 1));
  if (way == 0)
    host_close(h);
  if (way == 1 && !ASAN) /* to which all that threads had is a leak */
    exit(test_now.failed != 0);
  if (way == 2 && test_now.failed == 0)
    raise(SIGKILL);
}

static void threads_body (host *h) {
  lode_options o = options();
  pthread_t threads[WRITERS + 2];
  host kept = { NULL, NULL, NULL };
  o.maintenance = LODE_BACKGROUND;
  kept.s = open_store(&o);
  kept.c = scratch_coll(kept.s, "d", LODE_DICT);
  atomic_store(&stop, false);
  for (int i = 0; i < WRITERS; i++)
    pthread_create(&threads[i], NULL, writing, NULL);
  pthread_create(&threads[WRITERS], NULL, reading, NULL);
  pthread_create(&threads[WRITERS + 1], NULL, opening, NULL);
  for (int i = 0; i < 12; i++) {
    int status;
    /* ThreadSanitizer can't start threads after such a fork, as upkeep does */
    pid_t pid = start(child_of_threads, i % 2 && !TSAN ? &kept : h);
    expect(waitpid(pid, &status, 0) == pid);
    expect((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    expect(count_up(h) == LODE_OK);
  }
  atomic_store(&stop, true);
  for (size_t i = 0; i < LENGTH(threads); i++)
    pthread_join(threads[i], NULL);
  host_close(&kept);
}

static void with_threads (void) { rounds_of(threads_body); }

/* The thread of upkeep is a new one in the child. */
static void child_is_kept_up (void *data) {
  host *h = data;
  lode_stats stats;
  lode_buffer bytes = { NULL, 0, 0 };
  lode_value value = { test_text("x"), LODE_BYTES };
  lode_key key;
  bool swept = false;
  key_of_integer(h->c, 900, &bytes, &key);
  expect(lode_put(h->c, &key, value, LODE_PUT, 1) == LODE_OK);
  for (int i = 0; i < 400 && !swept; i++) {
    nap(10);
    expect(lode_store_stats(h->s, &stats) == LODE_OK);
    swept = stats.expired == 0;
  }
  expect(swept);
  lode_buffer_free(&bytes);
  host_close(h);
}

static void upkeep_body (host *plain) {
  lode_options o = options();
  host h = { NULL, NULL, NULL };
  (void)plain;
  o.maintenance = LODE_BACKGROUND;
  h.s = open_store(&o);
  h.c = scratch_coll(h.s, "d", LODE_DICT);
  expect(run(child_is_kept_up, &h));
  host_close(&h);
}

static void upkeep (void) {
  long before_ = rounds;
  rounds = rounds > 3 ? 3 : rounds; /* it takes a second */
  rounds_of(upkeep_body);
  rounds = before_;
}

/* Writes behind are written by the process that made them. */
static void child_behind (void *data) {
  host *h = data;
  expect(put_integer(h->c, 701, test_text("child's")) == LODE_OK);
  expect(has_integer(h->c, 700) == LODE_ABSENT);
  expect(has_integer(h->c, 701) == LODE_OK);
  use(h);
  expect(put_integer(h->c, 702, test_text("child's")) == LODE_OK);
  expect(lode_flush(h->s) == LODE_OK);
  expect(put_integer(h->c, 703, test_text("child's")) == LODE_OK);
  host_close(h);
}

static void child_reads_behind (void *data) {
  host *h = data;
  expect(has_integer(h->c, 700) == LODE_ABSENT);
  expect(len_of(h->c) == KEYS);
}

/* It holds the lock, and with it what is pending. */
static void child_behind_lock (void *data) {
  host *h = data;
  lode_unlock(h->s);
  expect(put_integer(h->c, 704, test_text("child's")) == LODE_OK);
  expect(has_integer(h->c, 704) == LODE_OK);
  reach(1);
  expect(lode_flush(h->s) == LODE_OK);
}

static void behind_body (host *plain) {
  lode_options o = options();
  host h = { NULL, NULL, NULL };
  pid_t pid;
  (void)plain;
  o.durability = LODE_BEHIND;
  o.flush_ms = 60000;
  h.s = open_store(&o);
  h.c = scratch_coll(h.s, "d", LODE_DICT);
  expect(put_integer(h.c, 700, test_text("parent's")) == LODE_OK);
  expect(run(child_reads_behind, &h));
  expect(run(child_closes, &h));
  expect(run(child_behind, &h));
  for (int64_t i = 700; i <= 703; i++)
    expect(has_integer(h.c, i) == LODE_OK);
  reach(0);
  expect(lode_lock(h.s) == LODE_OK);
  pid = start(child_behind_lock, &h);
  await(1);
  lode_unlock(h.s);
  expect(ended(pid, 0));
  expect(has_integer(h.c, 704) == LODE_OK);
  host_close(&h);
  h = host_open();
  expect(has_integer(h.c, 700) == LODE_OK);
  host_close(&h);
}

static void behind (void) { rounds_of(behind_body); }

/* }================================================================== */

/* {==================================================================
** Ends
** =================================================================== */

static void worker (void *data) {
  host *h = data;
  use(h);
  reach(2); /* its parent may end */
  await(3); /* and has */
  for (int i = 0; i < 50; i++)
    expect(count_up(h) == LODE_OK);
  reach(5);
}

static void master (void *data) {
  host h = host_open();
  (void)data;
  start(worker, &h);
  await(2);
}

/* The master of a worker ends; the worker goes on beside others. */
static void orphan_body (host *h) {
  reach(0);
  host_close(h);
  h->s = NULL;
  expect(run(master, NULL));
  reach(3);
  *h = host_open();
  for (int i = 0; i < 50; i++)
    expect(count_up(h) == LODE_OK);
  await(5);
}

static void parent_first (void) { rounds_of(orphan_body); }

static void heir (void *data) {
  host *h = data;
  if (lode_depth(h->s) > 0)
    lode_abort(h->s);
  reach(1);
  await(3);
  use(h);
  reach(test_now.failed ? 9 : 5);
}

static void doomed (void *data) {
  host h = host_open();
  bool held = *(bool *)data;
  expect(lode_begin(h.s) == LODE_OK);
  put_integer(h.c, 6000, test_text("never"));
  if (held)
    start(heir, &h);
  else if (fork() == 0) { /* one that does nothing at all with it */
    reach(1);
    await(5);
    _exit(0);
  }
  await(1);
  reach(2);
  pause();
}

/* It is killed while it has the writer lock, of which a child had a copy. */
static void killed_body (host *h) {
  for (int held = 0; held < 2; held++) {
    bool flag = held;
    pid_t pid;
    reach(0);
    pid = start(doomed, &flag);
    await(2);
    kill(pid, SIGKILL);
    expect(ended(pid, SIGKILL));
    expect(count_up(h) == LODE_OK);
    expect(has_integer(h->c, 6000) == LODE_ABSENT);
    reach(3);
    if (held) {
      while (atomic_load(&common->stage) < 5)
        nap(1);
      expect(atomic_load(&common->stage) == 5);
    }
    reach(5);
  }
}

static void killed (void) { rounds_of(killed_body); }

/* A child that writes is stopped: the parent is told, and waits no longer. */
static void stopper (void *data) {
  host *h = data;
  expect(lode_begin(h->s) == LODE_OK);
  reach(1);
  raise(SIGSTOP);
  lode_abort(h->s);
}

static void stopped_body (host *h) {
  lode_options o = options();
  char words[32];
  lode_store *s;
  pid_t pid;
  reach(0);
  pid = start(stopper, h);
  await(1);
  o.lock_timeout = 60;
  host_close(h);
  s = open_store(&o);
  expect(lode_begin(s) == LODE_BUSY);
  snprintf(words, sizeof words, "process %d ", (int)pid);
  expect(strstr(lode_store_error(s)->text, words) != NULL);
  nap(20);
  kill(pid, SIGCONT);
  expect(ended(pid, 0));
  expect(lode_begin(s) == LODE_OK);
  lode_abort(s);
  scratch_close(s);
  *h = host_open();
}

static void stopped (void) { rounds_of(stopped_body); }

/* }================================================================== */

/* {==================================================================
** Descriptors, claims, clones
** =================================================================== */

/* How many descriptors of this process are open in the directory. */
static int count_open (const char *of) {
  char path[600], to[300];
  struct dirent *e;
  int n = 0;
  DIR *d = opendir("/proc/self/fd");
  if (d == NULL)
    return -1;
  while ((e = readdir(d)) != NULL) {
    ssize_t size;
    snprintf(path, sizeof path, "/proc/self/fd/%s", e->d_name);
    size = readlink(path, to, sizeof to - 1);
    if (size > 0) {
      to[size] = '\0';
      n += strncmp(to, of, strlen(of)) == 0;
    }
  }
  closedir(d);
  return n;
}

static void child_has_none (void *data) {
  (void)data;
  expect(count_open(scratch_dir) == 0);
}

static void descriptors_body (host *h) {
  char *shell[] = { "sh", "-c",
                    "! ls -l /proc/self/fd | grep -q \"$DIR\"", NULL };
  int own = count_open(scratch_dir), status;
  pid_t pid;
  (void)h;
  if (own < 0)
    return; /* no /proc */
  expect(own >= 4);
  expect(run(child_has_none, NULL));
  setenv("DIR", scratch_dir, 1);
  expect(posix_spawn(&pid, "/bin/sh", NULL, NULL, shell, environ) == 0);
  expect(waitpid(pid, &status, 0) == pid && status == 0);
  expect(count_open(scratch_dir) == own);
}

static void descriptors (void) { rounds_of(descriptors_body); }

static void child_claims (void *data) {
  host *h = data;
  lode_buffer bytes = { NULL, 0, 0 };
  lode_key key;
  key_of_integer(h->c, 3, &bytes, &key);
  expect(lode_fetch_claim(h->c, &key, 20) == LODE_BUSY);
  lode_fetch_drop(h->c, &key); /* is its parent's, and stays */
  expect(lode_fetch_claim(h->c, &key, 20) == LODE_BUSY);
  reach(1);
  expect(lode_fetch_claim(h->c, &key, 20000) == LODE_OK);
  lode_fetch_drop(h->c, &key);
  lode_buffer_free(&bytes);
}

static void child_drops (void *data) {
  host *h = data;
  lode_buffer bytes = { NULL, 0, 0 };
  lode_key key;
  key_of_integer(h->c, 3, &bytes, &key);
  lode_fetch_drop(h->c, &key);
  lode_buffer_free(&bytes);
}

static void claims_body (host *h) {
  lode_buffer bytes = { NULL, 0, 0 };
  lode_key key;
  pid_t pid;
  reach(0);
  key_of_integer(h->c, 3, &bytes, &key);
  expect(lode_fetch_claim(h->c, &key, 0) == LODE_OK);
  expect(run(child_drops, h));
  expect(run(child_closes, h));
  pid = start(child_claims, h);
  await(1);
  lode_fetch_drop(h->c, &key);
  expect(ended(pid, 0));
  lode_buffer_free(&bytes);
}

static void claimed (void) { rounds_of(claims_body); }

/* A fork that no handler sees. */
static void clone_body (host *h) {
#ifdef SYS_clone
  pid_t pid;
  int status;
  fflush(stdout);
  forks++;
  pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) {
    alarm(LONGEST);
    test_now.failed = 0;
    expect(count_up(h) == LODE_OK);
    use(h);
    fflush(stdout);
    _exit(test_now.failed != 0);
  }
  expect(waitpid(pid, &status, 0) == pid && status == 0);
  expect(count_up(h) == LODE_OK);
#else
  (void)h;
#endif
}

static void cloned (void) { rounds_of(clone_body); }

/* The directory was left, and the child finds its files. */
static void child_elsewhere (void *data) {
  host *h = data;
  expect(chdir("/") == 0);
  use(h);
}

static void relative_body (host *h) {
  lode_options o = options();
  lode_error e;
  char here[400];
  expect(getcwd(here, sizeof here) != NULL && chdir(scratch_dir) == 0);
  host_close(h);
  expect(lode_open("fork", &o, &h->s, &e) == LODE_OK);
  h->c = scratch_coll(h->s, "d", LODE_DICT);
  expect(run(child_elsewhere, h));
  expect(chdir(here) == 0);
  expect(run(child_uses, h));
  use(h);
}

static void relative (void) { rounds_of(relative_body); }

static void child_of_gone (void *data) {
  host *h = data;
  expect(has_integer(h->c, 1) == LODE_NOT_FOUND);
  expect(put_integer(h->c, 1, test_text("x")) == LODE_NOT_FOUND);
}

/* No store is made where the parent's has been. */
static void gone_body (host *h) {
  char command[300];
  snprintf(command, sizeof command, "mv '%s' '%s-moved'",
           store_path, store_path);
  expect(system(command) == 0);
  expect(run(child_of_gone, h));
  snprintf(command, sizeof command, "mv '%s-moved' '%s'",
           store_path, store_path);
  expect(system(command) == 0);
  expect(run(child_uses, h));
}

static void gone (void) { rounds_of(gone_body); }

/* }================================================================== */

int main (void) {
  const char *full = getenv("LODE_FULL");
  if (full != NULL && strcmp(full, "1") == 0)
    rounds = ROUNDS;
  common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (common == MAP_FAILED)
    return 2;
  scratch_begin();
  snprintf(store_path, sizeof store_path, "%s", scratch_path("fork"));
  snprintf(other_path, sizeof other_path, "%s", scratch_path("other"));
  test_group("fork before the opening", before);
  test_group("after it, the child ending in every way", after);
  test_group("after it, the child opening it beside", twice);
  test_group("twice", doubly);
  test_group("in a walk", in_walk);
  test_group("in a walk over one moment", in_pinned_walk);
  test_group("in a transaction", in_transaction);
  test_group("in a nested one that has made a dict", in_nested);
  test_group("in a snapshot", in_snapshot);
  test_group("in a lock", in_lock);
  test_group("while a value is read", in_value);
  test_group("in policies, ranks, clocks and sweeps", in_callback);
  test_group("beside threads that write, read and open", with_threads);
  if (!TSAN)
    test_group("with upkeep in the background", upkeep);
  if (!TSAN)
    test_group("with writes behind", behind);
  test_group("the parent ending first", parent_first);
  test_group("the parent killed while it writes", killed);
  test_group("the child stopped while it writes", stopped);
  test_group("no descriptor in children", descriptors);
  test_group("a claim is its maker's", claimed);
  test_group("by clone", cloned);
  test_group("of a relative path, then a change of directory", relative);
  test_group("of a store that is moved away", gone);
  scratch_end();
  printf("%ld forks\n", forks);
  return test_end();
}
