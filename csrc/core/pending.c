/*
** pending.c - see pending.h.
*/
#include "pending.h"

#include "entry.h"
#include "fork.h"
#include "sweep.h"

/* ms that the thread waits for another writer; and that it rests then, so
   that other threads of the process come to wait, and are told who writes */
#define THREAD_TIMEOUT 20
#define THREAD_REST 5

typedef struct pending {
  struct pending *next;
  kv_env *env;
  queue *queue;
  unsigned users;
  pthread_t thread;
  kv_txn lock;          /* by which the thread holds the writer lock, */
  lode_error error;     /* and why it could not */
  lode_store *store;    /* what batches are written by */
  uint64_t now;         /* when the write was made that is being done */
  uint64_t lost;        /* of the batch, what can never be done */
  lode_error loss;      /* and why */
} pending;

static pending *list;
static pending *left; /* of the process that forked this one */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* {==================================================================
** A batch
** =================================================================== */

/* Opens the collection of this number. NOT_FOUND when it was dropped. */
static lode_status open_coll (lode_store *s, uint32_t number,
                              lode_coll **c) {
  lode_buffer name = { NULL, 0, 0 };
  lode_kind kind = LODE_DICT;
  catalog_entry e;
  kv_txn *t;
  lode_status st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = catalog_by_number(t, number, &e);
  if (st == LODE_OK) {
    kind = e.kind;
    if (buffer_set(&name, e.name.data, e.name.size) != LODE_OK)
      st = handle_no_memory(s);
  }
  handle_done(s);
  if (st == LODE_OK)
    st = coll_find(s, slice_of_buffer(&name), kind, c);
  lode_buffer_free(&name);
  if (st == LODE_ABSENT)
    return fail(&s->error, LODE_NOT_FOUND, "their collection was dropped");
  return st;
}

static lode_coll *find_coll (const lode_store *s, uint32_t number) {
  lode_coll *c = s->colls;
  while (c != NULL && c->number != number)
    c = c->next;
  return c;
}

/* The next write of a batch of `n`, of which `w` is the i-th. */
static const queue_write *next_of (const queue_write *w, size_t i,
                                   size_t n) {
  return i + 1 < n ? w->next : NULL; /* others append behind the last */
}

/*
** Opens what the batch writes to, before its transaction: what is opened
** inside of one is closed when that fails.
*/
static lode_status open_colls (lode_store *s, const queue_write *w,
                               size_t n) {
  uint32_t gone = 0; /* the last that was found to be dropped */
  lode_coll *c;
  lode_status st = LODE_OK;
  for (size_t i = 0; st == LODE_OK && i < n; w = next_of(w, i++, n)) {
    if (w->number == gone || find_coll(s, w->number) != NULL)
      continue;
    st = open_coll(s, w->number, &c);
    if (st == LODE_NOT_FOUND) {
      gone = w->number;
      st = LODE_OK;
    }
  }
  return st;
}

/* Whether a write fails for ever, whatever becomes of disk and file. */
static bool is_final (lode_status st) {
  return st == LODE_NOT_FOUND || st == LODE_BAD_KEY ||
         st == LODE_BAD_VALUE || st == LODE_BAD_ARGUMENT ||
         st == LODE_CALLBACK;
}

static lode_status write_one (lode_coll *c, const queue_write *w) {
  lode_value value = { w->value, w->codec };
  lode_key key;
  bool own;
  lode_status st = coll_write(c, &own); /* in the open transaction */
  if (st != LODE_OK)
    return st;
  key.whole = w->whole;
  key.stored = w->stored;
  if (!w->removes)
    return entry_put(c, &key, value, LODE_PUT, w->ttl, NULL);
  st = entry_delete(c, key.stored, key.whole);
  return st == LODE_ABSENT ? LODE_OK : st;
}

static lode_status write_all (pending *p, const queue_write *w, size_t n) {
  lode_store *s = p->store;
  lode_status st = LODE_OK;
  for (size_t i = 0; st == LODE_OK && i < n; w = next_of(w, i++, n)) {
    lode_coll *c = find_coll(s, w->number);
    p->now = w->now;
    st = c != NULL ? write_one(c, w)
                   : fail(&s->error, LODE_NOT_FOUND, "their collection was "
                          "dropped before they were on disk");
    if (is_final(st)) {
      p->loss = s->error;
      p->loss.status = st;
      p->lost++;
      st = LODE_OK;
    }
    else if (st == LODE_OK)
      st = sweep_inline(s, c);
  }
  return st;
}

static uint64_t wall_clock (void) {
  clock_state system;
  uint64_t now = 0;
  memset(&system, 0, sizeof system);
  (void)clock_now(&system, &now);
  return now;
}

/* A queue_commit_fn. */
static lode_status commit (void *committer, kv_txn *lock) {
  pending *p = committer;
  lode_store *s = p->store;
  const queue_write *first;
  size_t n = queue_batch(p->queue, &first);
  bool own;
  lode_status st;
  if (n == 0)
    return LODE_OK;
  p->lost = 0;
  kv_lend(lock, &s->write);
  st = open_colls(s, first, n);
  if (st == LODE_OK)
    st = handle_write(s, &own);
  if (st == LODE_OK)
    st = handle_written(s, own, write_all(p, first, n));
  while (s->colls != NULL)
    lode_coll_close(s->colls);
  kv_return(lock, &s->write);
  if (st == LODE_OK)
    queue_done(p->queue, n, p->lost, &p->loss, wall_clock());
  else {
    s->error.status = st;
    queue_fail(p->queue, &s->error);
  }
  return st;
}

/* The clock of the handle: it stands where it stood for the write. */
static uint64_t time_of_write (void *data) {
  return ((pending *)data)->now;
}

/* }================================================================== */

/* {==================================================================
** The thread
** =================================================================== */

static void *run (void *data) {
  pending *p = data;
  while (queue_wait(p->queue)) {
    lode_status st = kv_lock(&p->lock, THREAD_TIMEOUT);
    if (st == LODE_OK) {
      queue_unheld(p->queue);
      (void)queue_commit(p->queue, &p->lock);
      kv_unlock(&p->lock);
    }
    else if (st == LODE_BUSY)
      queue_rest(p->queue, THREAD_REST);
    else
      queue_fail(p->queue, &p->error);
  }
  return NULL;
}

/* Opens the handle that batches are written by. */
static lode_status open_store (pending *p, lode_store *s,
                               const lode_options *options,
                               lode_error *error) {
  lode_options own = *options;
  lode_status st;
  own.durability = LODE_COMMIT;
  own.maintenance = LODE_OFF;
  own.clock = NULL;
  own.check = LODE_CHECK_NONE;
  own.create = false;
  st = lode_open(s->files.root, &own, &p->store, error);
  if (st != LODE_OK)
    return st;
  p->store->flushes = true;
  p->store->maintenance = options->maintenance; /* sweeps beside writes */
  p->store->clock.source = time_of_write;
  p->store->clock.data = p;
  p->store->clock.late = true;
  return LODE_OK;
}

static void pending_free (pending *p) {
  lode_error ignored;
  (void)lode_close(p->store, &ignored);
  kv_txn_free(&p->lock);
  lode_free(p);
}

/* Null: `error` says why. */
static pending *pending_new (lode_store *s, const lode_options *options,
                             lode_error *error) {
  pending *p = lode_malloc(sizeof *p);
  int rc;
  if (p == NULL) {
    fail(error, LODE_NO_MEMORY, "%s: no memory", s->files.base);
    return NULL;
  }
  memset(p, 0, sizeof *p);
  p->env = s->env;
  p->queue = s->shared->queue;
  kv_txn_init(&p->lock, s->env, &p->error);
  if (open_store(p, s, options, error) != LODE_OK) {
    lode_free(p);
    return NULL;
  }
  queue_start(p->queue);
  queue_set_commit(p->queue, commit, p);
  rc = gate_thread(&p->thread, run, p);
  if (rc == 0)
    return p;
  fail(error, LODE_IO, "%s: no thread for writes behind: %s", s->files.base,
       strerror(rc));
  queue_set_commit(p->queue, NULL, NULL);
  pending_free(p);
  return NULL;
}

static pending **find (const kv_env *env) {
  pending **at = &list;
  while (*at != NULL && (*at)->env != env)
    at = &(*at)->next;
  return at;
}

/* In a child: the parent's pending writes are the parent's. */
static void leave_all (void) {
  while (list != NULL) {
    pending *p = list;
    list = p->next;
    p->next = left;
    left = p;
  }
}

lode_status pending_start (lode_store *s, const lode_options *options,
                           lode_error *error) {
  static fork_room room = { .mutex = &mutex, .child = leave_all };
  pending *p;
  if (!fork_watch(&room))
    return fail(error, LODE_NO_MEMORY, "%s: no memory", s->files.base);
  pthread_mutex_lock(&mutex);
  p = *find(s->env);
  if (p == NULL && (p = pending_new(s, options, error)) != NULL) {
    p->next = list;
    list = p;
  }
  if (p != NULL) {
    p->users++;
    s->pends = true;
    queue_bound(p->queue, options->flush_ops, options->flush_bytes,
                options->flush_ms);
  }
  pthread_mutex_unlock(&mutex);
  return p != NULL ? LODE_OK : error->status;
}

/* Ends the thread; the queue takes nothing more from anybody. */
static void end (pending *p) {
  queue_stop(p->queue);
  pthread_join(p->thread, NULL);
  queue_set_commit(p->queue, NULL, NULL);
}

/* Commits what is pending, and tells what was lost before. */
static lode_status settle (lode_store *s, lode_error *error) {
  lode_status st = handle_settle(s);
  if (st == LODE_OK)
    st = queue_losses(s->shared->queue, &s->error);
  if (st != LODE_OK)
    *error = s->error;
  return st;
}

lode_status pending_stop (lode_store *s, lode_error *error) {
  queue *q = s->shared->queue;
  lode_error why;
  pending **at, *p;
  size_t lost = 0;
  lode_status st;
  if (!s->pends || kv_is_left(s->env))
    return LODE_OK;
  st = settle(s, error);
  s->pends = false;
  pthread_mutex_lock(&mutex);
  at = find(s->env);
  p = *at;
  lode_assert(p != NULL);
  if (--p->users == 0) {
    *at = p->next;
    end(p);
    lost = queue_drop(q); /* before the next one begins to fill it */
  }
  else
    p = NULL;
  pthread_mutex_unlock(&mutex);
  if (p == NULL)
    return st;
  lode_assert(lost == 0 || st != LODE_OK);
  if (lost > 0) {
    why = *error;
    st = fail(error, why.status, "%s: closed with %llu writes behind that "
              "never came to disk and are lost: %s", s->files.base,
              (unsigned long long)lost, why.text);
  }
  pending_free(p);
  return st;
}

/* }================================================================== */
