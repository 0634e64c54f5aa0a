/*
** handle.c - see handle.h.
*/
#include "handle.h"

lode_status handle_no_memory (lode_store *s) {
  return fail(&s->error, LODE_NO_MEMORY, "%s: no memory", s->files.base);
}

void handle_unclaim (lode_store *s, const unsigned char id[HASH_SIZE]) {
  lode_buffer *b = &s->claimed;
  for (size_t at = 0; at < b->size; at += HASH_SIZE) {
    unsigned char *mine = b->data + at;
    if (memcmp(mine, id, HASH_SIZE) != 0)
      continue;
    b->size -= HASH_SIZE;
    memmove(mine, b->data + b->size, HASH_SIZE);
    if (!kv_is_left(s->env))
      claims_drop(s->shared->claims, id);
    return;
  }
}

void handle_unclaim_all (lode_store *s) {
  if (kv_is_left(s->env))
    s->claimed.size = 0;
  while (s->claimed.size > 0) {
    s->claimed.size -= HASH_SIZE;
    claims_drop(s->shared->claims, s->claimed.data + s->claimed.size);
  }
}

lode_status coll_gone (const lode_coll *c) {
  return fail(&c->store->error, LODE_NOT_FOUND, "this collection was "
              "dropped; open it again to make a new one");
}

lode_status coll_stands (lode_coll *c, kv_txn *t) {
  uint64_t generation;
  catalog_entry entry;
  lode_status st;
  if (c->gone || c->drop_depth > 0)
    return coll_gone(c);
  if (c->kept.raw)
    return LODE_OK;
  st = catalog_generation(t, &generation);
  if (st == LODE_OK && generation == c->generation)
    return LODE_OK;
  if (st == LODE_OK)
    st = catalog_by_number(t, c->number, &entry);
  if (st == LODE_ABSENT) /* for good: numbers are not used again */
    return coll_gone(c);
  if (st == LODE_OK) /* another process may have given it other options */
    st = coll_take_life(c, c->store, &entry);
  if (st == LODE_OK)
    c->generation = generation;
  return st;
}

lode_status coll_take_life (lode_coll *c, lode_store *s,
                            const catalog_entry *e) {
  const lode_coll_options *o = &e->options;
  bool same = c->policy != NULL && slice_equal(c->kept.policy, o->policy);
  if (!same) {
    unsigned char *text = lode_realloc(c->policy, o->policy.size + 1);
    if (text == NULL)
      return handle_no_memory(s);
    if (c->policy != NULL && c->kept.policy.size > 0)
      c->hooks.deadline = NULL; /* what this process has is not it */
    c->policy = text;
    if (o->policy.size > 0)
      memcpy(text, o->policy.data, o->policy.size);
    c->kept.policy = slice_of(text, o->policy.size);
  }
  c->kept.ttl = o->ttl;
  c->kept.policy_reads = o->policy_reads;
  c->kept.on_expire = o->on_expire;
  c->kept.times = o->times;
  c->kept.max_entries = o->max_entries;
  c->kept.max_bytes = o->max_bytes;
  c->kept.evict = o->evict;
  c->track = o->times || o->policy_reads || o->evict == LODE_EVICT_SIEVE ||
             o->evict == LODE_EVICT_LRU || o->evict == LODE_EVICT_LFU ||
             o->evict == LODE_EVICT_RANK;
  return LODE_OK;
}

lode_status coll_open_indexes (lode_coll *c, lode_store *s,
                               const catalog_entry *e, bool create) {
  char name[CATALOG_DB_NAME_MAX];
  kv_txn *t = s->write.depth > 0 ? &s->write : &s->read;
  kv_shape shape;
  size_t size;
  lode_status st = LODE_OK;
  if (c->due == 0) {
    size = catalog_db_name(e, CATALOG_DUE, name);
    st = kv_db_open(t, slice_of(name, size), create, &c->due, &shape);
  }
  if (st == LODE_OK && c->order == 0 && coll_is_capped(c)) {
    size = catalog_db_name(e, CATALOG_ORDER, name);
    st = kv_db_open(t, slice_of(name, size), create, &c->order, &shape);
  }
  return st;
}

/*
** Sees whether the deadline index is empty. It still is when it was so for
** the last transaction, and nobody has committed since but this handle.
*/
static lode_status see_deadlines (lode_coll *c, lode_store *s) {
  uint64_t number = kv_txn_number(&s->write);
  kv_db_stats stats;
  lode_status st;
  if (number == c->untimed || (number == c->untimed + 1 &&
                               s->write.committed == c->untimed)) {
    c->untimed = number;
    return LODE_OK;
  }
  st = kv_db_measure(&s->write, c->due, &stats);
  c->timed = st == LODE_OK && stats.entries > 0;
  if (st == LODE_OK && !c->timed)
    c->untimed = number;
  return st;
}

/* Sees whether the collection is timed, and opens what it needs. */
static lode_status see_time (lode_coll *c, lode_store *s) {
  const lode_coll_options *o = &c->kept;
  catalog_entry e;
  lode_status st = LODE_OK;
  if (o->raw)
    return LODE_OK;
  if (lode_unlikely(c->due == 0 || (c->order == 0 && coll_is_capped(c)))) {
    st = catalog_by_number(&s->write, c->number, &e);
    if (st == LODE_OK)
      st = coll_open_indexes(c, s, &e, true);
    if (st != LODE_OK)
      return st;
  }
  c->timed = o->ttl != 0 || o->policy.size > 0 || o->times ||
             o->on_expire || coll_is_capped(c);
  return c->timed ? LODE_OK : see_deadlines(c, s);
}

/* The lock is given back: writes behind are accepted again. */
static void let_go (void *data) {
  lode_store *s = data;
  queue_release(s->shared->queue, s);
}

/* Commits what is pending; the writer lock is held. */
static lode_status commit_pending (lode_store *s) {
  queue *q = s->shared->queue;
  lode_status st = LODE_OK, told;
  if (queue_any(q) && !s->ahead)
    st = queue_commit(q, &s->write);
  if (st != LODE_OK) {
    told = queue_failure(q, &s->error);
    (void)queue_tell(q);
    return told != LODE_OK ? told : st;
  }
  return s->behind && queue_troubled(q) && !s->ahead
         ? queue_losses(q, &s->error) : LODE_OK;
}

lode_status handle_lock (lode_store *s) {
  lode_status st = kv_lock(&s->write, s->timeout);
  if (lode_unlikely(st == LODE_REENTRY && kv_is_left(s->env))) {
    st = handle_reopen(s);
    if (st == LODE_OK)
      st = kv_lock(&s->write, s->timeout);
  }
  if (st != LODE_OK || s->flushes)
    return st;
  s->write.unlocking = let_go;
  s->write.unlocking_data = s;
  queue_hold(s->shared->queue, s);
  st = commit_pending(s);
  if (st != LODE_OK && !s->write.keeps)
    kv_unlock(&s->write);
  return st;
}

lode_status handle_settle (lode_store *s) {
  lode_status st;
  if (!queue_any(s->shared->queue) || s->write.locked)
    return LODE_OK;
  handle_done(s);
  st = handle_lock(s);
  if (st == LODE_OK)
    kv_unlock(&s->write);
  return st;
}

lode_status handle_catch_up (lode_store *s) {
  lode_status st;
  if (lode_likely(!queue_any(s->shared->queue)) || !s->autoflush ||
      s->write.depth > 0 || s->snapshots > 0 || s->asking > 0)
    return LODE_OK;
  st = handle_settle(s);
  return st == LODE_FULL || st == LODE_DISK_FULL ? LODE_OK : st;
}

lode_status handle_write (lode_store *s, bool *own) {
  lode_status st = LODE_OK;
  *own = false;
  if (s->readonly)
    return fail(&s->error, LODE_READONLY, "%s is open for reading only; to "
                "write, open it without readonly", s->files.base);
  if (s->asking > 0)
    return fail(&s->error, LODE_REENTRY, "%s: this function (a policy, evict "
                "or the clock) was called to answer a question; it can read "
                "the store, but not write to it", s->files.base);
  if (s->snapshots > 0)
    return fail(&s->error, LODE_READONLY, "%s: a snapshot is for reading; "
                "write before or after it, or use a transaction",
                s->files.base);
  if (s->guards > 0)
    return fail(&s->error, LODE_REENTRY, "%s: this function was called "
                "while its entry is being changed, and can't write to the "
                "same store; return the new value, or use store:transaction",
                s->files.base);
  if (s->write.depth > 0)
    return handle_view(s);
  handle_done(s);
  if (!s->write.locked)
    st = handle_lock(s);
  if (st != LODE_OK)
    return st;
  *own = true;
  s->serial++;
  return kv_write_begin(&s->write, s->timeout);
}

lode_status handle_written (lode_store *s, bool own, lode_status st) {
  if (!own)
    return st;
  if (st == LODE_OK)
    st = kv_write_commit(&s->write);
  else
    kv_write_abort(&s->write);
  clock_settle(&s->clock, true, st == LODE_OK);
  handle_notes_settle(s, 1, st == LODE_OK);
  return st;
}

void handle_count_out (lode_store *s) {
  if (s->reads == 0)
    return;
  atomic_fetch_add_explicit(s->counts, s->reads, memory_order_relaxed);
  atomic_fetch_add_explicit(s->counts + 1, s->found, memory_order_relaxed);
  s->reads = s->found = 0;
}

access_txn handle_notes (lode_store *s) {
  s->aside = true;
  return (access_txn){ s, s->write.depth, kv_txn_number(&s->write) };
}

void handle_notes_settle (lode_store *s, unsigned depth, bool committed) {
  const access_txn t = { .owner = s, .depth = depth };
  if (!s->aside)
    return;
  access_settle(s->shared->accesses, &t, committed);
  s->aside = depth > 1;
}

void coll_forget (lode_coll *c, lode_slice stored, lode_slice whole,
                  bool dead) {
  const access_txn t = handle_notes(c->store);
  access_table *a = c->store->shared->accesses;
  if (dead)
    access_end(a, &t, c->number, stored, whole);
  else
    access_put_aside(a, &t, c->number, whole);
}

lode_status coll_write (lode_coll *c, bool *own) {
  lode_store *s;
  lode_status st = coll_store(c, &s);
  if (st == LODE_OK)
    st = handle_write(s, own);
  if (st != LODE_OK)
    return st;
  if (c->serial != s->serial || c->drop_depth > 0 || c->gone) {
    st = coll_stands(c, &s->write);
    if (st == LODE_OK)
      st = see_time(c, s);
    if (st != LODE_OK)
      return handle_written(s, *own, st);
    c->serial = s->serial;
  }
  return LODE_OK;
}

/* The names of all databases of the catalogue, each ended by a 0. */
static lode_status db_names (lode_store *s, lode_buffer *names,
                             uint64_t *generation) {
  char db_name[CATALOG_DB_NAME_MAX];
  catalog_entry entry;
  lode_slice after = slice_of("", 0);
  kv_txn *t;
  lode_status st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = catalog_generation(t, generation);
  if (st == LODE_OK && *generation != kv_generation(s->env))
    while ((st = catalog_next(t, after, &entry)) == LODE_OK) {
      for (int i = 0; st == LODE_OK && i < CATALOG_DBS; i++) {
        size_t size = catalog_db_name(&entry, (catalog_db)i, db_name);
        st = lode_buffer_add(names, db_name, size + 1);
      }
      if (st != LODE_OK)
        break;
      after = entry.name;
    }
  handle_done(s);
  return st == LODE_ABSENT ? LODE_OK : st;
}

lode_status handle_prepare (lode_store *s) {
  lode_buffer names = { NULL, 0, 0 };
  uint64_t generation = 0;
  kv_shape shape;
  kv_db db;
  lode_status st;
  lode_assert(s->write.depth == 0 && s->snapshots == 0);
  if (s->foreign)
    return handle_here(s);
  st = db_names(s, &names, &generation);
  for (size_t at = 0; st == LODE_OK && at < names.size;) {
    lode_slice name = slice_of(names.data + at,
                               strlen((const char *)names.data + at));
    st = kv_db_open(&s->read, name, false, &db, &shape);
    if (st == LODE_OK)
      kv_db_close(s->env, db);
    else if (st == LODE_ABSENT) /* dropped meanwhile */
      st = LODE_OK;
    at += name.size + 1;
  }
  lode_buffer_free(&names);
  if (st == LODE_OK)
    kv_set_generation(s->env, generation);
  else if (st == LODE_NO_MEMORY)
    fail(&s->error, st, "%s: no memory", s->files.base);
  return st;
}
