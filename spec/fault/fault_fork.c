/*
** fault_fork.c - forks, at every point of a handle's use at which one can be
** made; those that have to do with other threads and processes are in
** fault_child.c.
**
** A child uses what it has inherited as if it had opened it, but for what
** was open: that is refused in words. Whatever it does, and however it ends,
** the parent's moments stay what they were, there is one writer at a time,
** and no lock stays behind.
*/
#include "fork.h"

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

static void child_uses_and_closes (void *data) {
  use(data);
  host_close(data);
}

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

int main (void) {
  fork_begin();
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
  return fork_end();
}
