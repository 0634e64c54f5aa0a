/*
** maintain.c - see maintain.h.
*/
#include "maintain.h"

#include <errno.h>

#include "fork.h"

#define SLICE 256         /* calls and notes of one transaction */
#define REST 1000         /* ms that the thread sleeps */
#define THREAD_TIMEOUT 200 /* ms that it waits for another writer */
#define THREAD_MS 20      /* of work between two looks whether to stop */

/* {==================================================================
** Every collection
** =================================================================== */

/* The store's handle of a collection, the one that can do most. */
static lode_coll *open_handle (lode_store *s, uint32_t number) {
  lode_coll *found = NULL;
  for (lode_coll *c = s->colls; c != NULL; c = c->next)
    if (c->number == number && !c->kept.raw && !c->gone &&
        c->drop_depth == 0 && (found == NULL || life_waits(found)))
      found = c;
  return found;
}

/* The collection after `name`, which becomes its name. ABSENT at the end. */
static lode_status next_collection (lode_store *s, lode_buffer *name,
                                    uint32_t *number, lode_kind *kind) {
  catalog_entry e;
  kv_txn *t;
  lode_status st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = s->foreign ? LODE_ABSENT : catalog_next(t, slice_of_buffer(name), &e);
  if (st == LODE_OK) {
    *number = e.number;
    *kind = e.kind;
    if (buffer_set(name, e.name.data, e.name.size) != LODE_OK)
      st = handle_no_memory(s);
  }
  handle_done(s);
  return st;
}

/*
** Calls `each` for one collection; one that has gone meanwhile is none. A
** handle that had to be opened for it goes to `opened`, an array of them.
*/
static lode_status visit (lode_store *s, lode_slice name, uint32_t number,
                          lode_kind kind, lode_buffer *opened,
                          maintain_visit *each, void *data) {
  lode_coll *c = open_handle(s, number);
  lode_status st = LODE_OK;
  if (c == NULL) {
    st = coll_find(s, name, kind, &c);
    if (st == LODE_OK && lode_buffer_add(opened, &c, sizeof c) != LODE_OK) {
      lode_coll_close(c);
      st = handle_no_memory(s);
    }
  }
  if (st == LODE_OK)
    st = each(c, data);
  return st == LODE_NOT_FOUND || st == LODE_INCOMPATIBLE ? LODE_OK : st;
}

/* Closes the handles that were opened by visits. */
static void close_opened (lode_buffer *opened) {
  while (opened->size > 0) {
    lode_coll *c;
    opened->size -= sizeof c;
    memcpy(&c, opened->data + opened->size, sizeof c);
    lode_coll_close(c);
  }
}

lode_status maintain_each (lode_store *s, maintain_visit *each, void *data) {
  lode_buffer name = { NULL, 0, 0 }, opened = { NULL, 0, 0 };
  uint32_t number;
  lode_kind kind;
  lode_status st;
  while ((st = next_collection(s, &name, &number, &kind)) == LODE_OK) {
    st = visit(s, slice_of_buffer(&name), number, kind, &opened, each, data);
    close_opened(&opened);
    if (st != LODE_OK)
      break;
  }
  lode_buffer_free(&name);
  lode_buffer_free(&opened);
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* }================================================================== */

/* {==================================================================
** lode_maintain
** =================================================================== */

typedef struct upkeep {
  const lode_budget *budget;
  uint64_t until;     /* by the monotonic clock, in ms; 0: no bound */
  uint64_t latest;    /* of the calls to be answered; 0: not known yet */
  uint64_t removed;
  bool worked, more;  /* in this round; `more`: than the budget allows */
  bool served;        /* this collection had its turn */
  lode_buffer opened; /* handles, for all rounds: they know where a sweep
                         has come to */
  lode_buffer done;   /* numbers of the collections that were swept to the
                         end: what they kept is not looked at again */
} upkeep;

static uint64_t monotonic_ms (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool is_spent (const upkeep *u) {
  return (u->budget->entries != 0 && u->removed >= u->budget->entries) ||
         (u->until != 0 && monotonic_ms() >= u->until);
}

/* How many calls the next transaction may answer. */
static uint64_t slice_of_budget (const upkeep *u) {
  uint64_t left = u->budget->entries - u->removed;
  return u->budget->entries != 0 && left < SLICE ? left : SLICE;
}

static bool is_done (const upkeep *u, uint32_t number) {
  for (size_t at = 0; at < u->done.size; at += sizeof number)
    if (memcmp(u->done.data + at, &number, sizeof number) == 0)
      return true;
  return false;
}

static lode_status sweep (lode_coll *c, upkeep *u) {
  bool more;
  lode_status st = sweep_coll(c, slice_of_budget(u), &u->latest,
                              &u->removed, &more);
  if (st == LODE_OK && !more &&
      lode_buffer_add(&u->done, &c->number, sizeof c->number) != LODE_OK)
    st = handle_no_memory(c->store);
  u->worked |= more;
  u->more |= more;
  return st;
}

/* One transaction of upkeep for one collection, if it needs any. */
static lode_status keep_up (lode_coll *c, void *data) {
  upkeep *u = data;
  lode_store *s = c->store;
  bool due, noted, own;
  kv_txn *t;
  lode_status st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = coll_stands(c, t);
  if (st == LODE_OK)
    st = sweep_needed(c, t, u->latest, &due, &noted);
  handle_done(s);
  if (st != LODE_OK)
    return st;
  due = due && !is_done(u, c->number);
  if (!due && !noted)
    return LODE_OK;
  if (is_spent(u)) {
    u->more |= due;
    return LODE_OK;
  }
  /* A sweep makes room, for writes that wait for it; a hook may not write
     before they are done. */
  s->ahead = c->hooks.removed == NULL && queue_lacks_room(s->shared->queue);
  st = coll_write(c, &own);
  s->ahead = false;
  if (st != LODE_OK)
    return st;
  if (due) /* before accesses are kept: those of the dead are told */
    st = sweep(c, u);
  noted = access_count_of(s->shared->accesses, c->number) > SLICE;
  if (st == LODE_OK)
    st = sweep_keep(c, SLICE);
  u->served = true;
  u->worked |= noted;
  return handle_written(s, own, st);
}

/* Whether a round that began after `s->next` has come to its end. */
static bool round_ends (lode_slice began, bool wrapped, lode_slice name) {
  return wrapped && slice_compare(name, began) > 0;
}

/*
** Each collection once, those first whose turn it is: that of who had none
** since the last call that spent its budget.
*/
static lode_status each_once (lode_store *s, upkeep *u, lode_slice began,
                              lode_buffer *name) {
  uint32_t number;
  lode_kind kind;
  bool wrapped = false;
  lode_status st = buffer_set(name, began.data, began.size);
  while (st == LODE_OK) {
    st = next_collection(s, name, &number, &kind);
    if (st == LODE_ABSENT && !wrapped && began.size > 0) {
      wrapped = true; /* the end of the names */
      name->size = 0;
      st = LODE_OK;
      continue;
    }
    if (st != LODE_OK || round_ends(began, wrapped, slice_of_buffer(name)))
      break;
    u->served = false;
    st = visit(s, slice_of_buffer(name), number, kind, &u->opened, keep_up,
               u);
    if (st == LODE_OK && u->served)
      st = buffer_set(&s->next, name->data, name->size);
  }
  return st == LODE_ABSENT ? LODE_OK : st;
}

static lode_status round_of (lode_store *s, upkeep *u) {
  lode_buffer began = { NULL, 0, 0 }, name = { NULL, 0, 0 };
  lode_status st = buffer_set(&began, s->next.data, s->next.size);
  u->worked = u->more = false;
  if (st == LODE_OK)
    st = each_once(s, u, slice_of_buffer(&began), &name);
  lode_buffer_free(&began);
  lode_buffer_free(&name);
  return st == LODE_NO_MEMORY ? handle_no_memory(s) : st;
}

/* Without a bound all is looked at, also what was passed over before. */
static void begin_anew (lode_store *s) {
  for (lode_coll *c = s->colls; c != NULL; c = c->next)
    c->sweep.size = 0;
}

lode_status lode_maintain (lode_store *s, const lode_budget *budget,
                           uint64_t *removed, bool *more) {
  upkeep u;
  lode_status st;
  if (s->write.depth > 0)
    return fail(&s->error, LODE_REENTRY, "%s: sweeps have transactions of "
                "their own; call maintain outside of yours", s->files.base);
  if (s->readonly || s->snapshots > 0 || s->guards > 0 || s->asking > 0) {
    bool own;
    return handle_write(s, &own); /* which refuses */
  }
  memset(&u, 0, sizeof u);
  u.budget = budget;
  if (budget->age != 0) {
    st = clock_now(&s->clock, &u.latest);
    if (st != LODE_OK)
      return st;
    u.latest = u.latest > budget->age ? u.latest - budget->age : 1;
  }
  if (budget->ms != 0)
    u.until = monotonic_ms() + budget->ms;
  if (budget->ms == 0 && budget->entries == 0)
    begin_anew(s);
  do
    st = round_of(s, &u);
  while (st == LODE_OK && u.worked && !is_spent(&u));
  close_opened(&u.opened);
  lode_buffer_free(&u.opened);
  lode_buffer_free(&u.done);
  if (st != LODE_OK)
    return st;
  *removed = u.removed;
  *more = u.more;
  return LODE_OK;
}

static lode_status keep_all_of (lode_coll *c, void *data) {
  bool own;
  lode_status st;
  (void)data;
  if (!c->track || access_count_of(c->store->shared->accesses,
                                   c->number) == 0)
    return LODE_OK;
  st = coll_write(c, &own);
  return st == LODE_OK ? handle_written(c->store, own,
                                        sweep_keep(c, UINT64_MAX)) : st;
}

void maintain_keep_all (lode_store *s) {
  if (s->readonly || s->foreign || s->guards > 0 || s->snapshots > 0 ||
      !shared_is_last(s->shared) || access_count(s->shared->accesses) == 0)
    return;
  if (s->timeout > REST)
    s->timeout = REST; /* closing is not held up for long */
  (void)maintain_each(s, keep_all_of, NULL);
}

/* }================================================================== */

/* {==================================================================
** The thread
** =================================================================== */

typedef struct keeper { /* one for each environment that wants it */
  struct keeper *next;
  kv_env *env;
  unsigned users;
  lode_store *store;    /* its own handle */
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t woken;
  bool stop;
} keeper;

static keeper *keepers;
static keeper *left; /* of the process that forked this one */
static pthread_mutex_t keepers_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Sleeps, or until it is told to stop. */
static bool rest (keeper *k) {
  struct timespec until = gate_deadline(REST);
  bool stop;
  pthread_mutex_lock(&k->mutex);
  if (!k->stop)
    pthread_cond_timedwait(&k->woken, &k->mutex, &until);
  stop = k->stop;
  pthread_mutex_unlock(&k->mutex);
  return !stop;
}

static bool told_to_stop (keeper *k) {
  bool stop;
  pthread_mutex_lock(&k->mutex);
  stop = k->stop;
  pthread_mutex_unlock(&k->mutex);
  return stop;
}

static void *run (void *data) {
  keeper *k = data;
  const lode_budget budget = { 0, THREAD_MS, 0 };
  while (rest(k)) {
    uint64_t removed;
    bool more = true;
    kv_readers_clear(k->env, kv_now());
    while (more && !told_to_stop(k))
      if (lode_maintain(k->store, &budget, &removed, &more) != LODE_OK)
        more = false; /* another writer is at it: later */
  }
  return NULL;
}

static keeper *keeper_new (lode_store *s, const lode_options *options,
                           lode_error *error) {
  lode_options own = *options;
  keeper *k = lode_malloc(sizeof *k);
  if (k == NULL) {
    fail(error, LODE_NO_MEMORY, "%s: no memory", s->files.base);
    return NULL;
  }
  memset(k, 0, sizeof *k);
  own.maintenance = LODE_OFF;
  if (own.durability == LODE_BEHIND) /* nothing of it waits */
    own.durability = LODE_COMMIT;
  own.clock = NULL;
  own.lock_timeout = THREAD_TIMEOUT;
  if (lode_open(s->files.root, &own, &k->store, error) != LODE_OK) {
    lode_free(k);
    return NULL;
  }
  k->env = s->env;
  pthread_mutex_init(&k->mutex, NULL);
  gate_condition(&k->woken);
  return k;
}

static void keeper_free (keeper *k) {
  lode_error ignored;
  (void)lode_close(k->store, &ignored);
  pthread_cond_destroy(&k->woken);
  pthread_mutex_destroy(&k->mutex);
  lode_free(k);
}

static keeper **find_keeper (kv_env *env) {
  keeper **at = &keepers;
  while (*at != NULL && (*at)->env != env)
    at = &(*at)->next;
  return at;
}

/* In a child: it has no such threads, and their handles are nobody's. */
static void leave_all (void) {
  while (keepers != NULL) {
    keeper *k = keepers;
    keepers = k->next;
    k->next = left;
    left = k;
  }
}

lode_status maintain_start (lode_store *s, const lode_options *options,
                            lode_error *error) {
  static fork_room room = { .mutex = &keepers_mutex, .child = leave_all };
  keeper **at, *k;
  lode_status st = LODE_OK;
  int rc;
  if (!fork_watch(&room))
    return fail(error, LODE_NO_MEMORY, "%s: no memory", s->files.base);
  pthread_mutex_lock(&keepers_mutex);
  at = find_keeper(s->env);
  k = *at;
  if (k == NULL && (k = keeper_new(s, options, error)) == NULL)
    st = error->status;
  else if (*at == NULL) {
    rc = gate_thread(&k->thread, run, k);
    if (rc == 0)
      *at = k;
    else {
      st = fail(error, LODE_IO, "%s: no thread for its upkeep: %s",
                s->files.base, strerror(rc));
      keeper_free(k);
    }
  }
  if (st == LODE_OK) {
    k->users++;
    s->keeps = true;
  }
  pthread_mutex_unlock(&keepers_mutex);
  return st;
}

void maintain_stop (lode_store *s) {
  keeper **at, *k;
  if (!s->keeps)
    return;
  s->keeps = false;
  if (kv_is_left(s->env))
    return;
  pthread_mutex_lock(&keepers_mutex);
  at = find_keeper(s->env);
  k = *at;
  lode_assert(k != NULL);
  if (--k->users == 0)
    *at = k->next;
  else
    k = NULL;
  pthread_mutex_unlock(&keepers_mutex);
  if (k == NULL)
    return;
  pthread_mutex_lock(&k->mutex);
  k->stop = true;
  pthread_cond_signal(&k->woken);
  pthread_mutex_unlock(&k->mutex);
  pthread_join(k->thread, NULL);
  keeper_free(k);
}

/* }================================================================== */
