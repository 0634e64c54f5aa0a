/*
** behind.c - see behind.h.
*/
#include "behind.h"

/* {==================================================================
** Reading
** =================================================================== */

/* Whether a pending write leaves an entry that is alive. */
static lode_status judge (lode_store *s, const queue_found *f, bool *alive) {
  uint64_t now;
  lode_status st;
  *alive = !f->removes && (f->deadline == LODE_NEVER ||
                           clock_before(&s->clock, f->deadline));
  if (*alive || f->removes)
    return LODE_OK;
  st = clock_now(&s->clock, &now);
  if (st == LODE_OK && f->deadline <= now)
    clock_passed(&s->clock, f->deadline);
  return st;
}

static bool reads_file (const lode_coll *c) {
  const lode_store *s = c->store;
  return s->write.depth > 0 || s->snapshots > 0 || c->kept.raw;
}

lode_status behind_get (lode_coll *c, const lode_key *key, lode_value *value,
                        bool *found) {
  lode_store *s = c->store;
  queue_found f;
  bool alive;
  lode_status st;
  *found = false;
  if (reads_file(c))
    return LODE_OK;
  handle_done(s);
  st = queue_find(s->shared->queue, c->number, key->whole, &s->pended, &f);
  if (st != LODE_OK)
    return st == LODE_ABSENT ? LODE_OK : handle_no_memory(s);
  *found = true;
  c->until = 0; /* it isn't kept: the next write changes it */
  st = judge(s, &f, &alive);
  if (st != LODE_OK)
    return st;
  if (!alive)
    return LODE_ABSENT;
  value->data = slice_of_buffer(&s->pended);
  value->codec = f.codec;
  return LODE_OK;
}

lode_status behind_settle (lode_coll *c, const lode_key *key) {
  lode_store *s = c->store;
  queue_found f;
  if (!queue_any(s->shared->queue) || reads_file(c) || s->asking > 0 ||
      queue_find(s->shared->queue, c->number, key->whole, NULL, &f) !=
      LODE_OK)
    return LODE_OK;
  return handle_settle(s);
}

/* }================================================================== */

/* {==================================================================
** Writing
** =================================================================== */

/* Where a write could not be refused or need anybody's answer. */
static bool may_wait (const lode_coll *c) {
  const lode_coll_options *o = &c->kept;
  const lode_store *s = c->store;
  return s->pends && s->write.depth == 0 && s->snapshots == 0 &&
         s->guards == 0 && s->asking == 0 && !o->raw && !o->on_expire &&
         o->policy.size == 0 && !coll_is_capped(c);
}

/*
** What writers are to be told before they write: what was lost, and once
** that a batch has failed; from then on they try it again themselves.
*/
static lode_status untroubled (lode_store *s) {
  queue *q = s->shared->queue;
  lode_status st;
  if (lode_likely(!queue_troubled(q)))
    return LODE_OK;
  st = queue_losses(q, &s->error);
  if (st == LODE_OK)
    st = queue_failure(q, &s->error);
  if (st == LODE_OK || queue_tell(q))
    return st;
  return handle_settle(s);
}

/* Whether the collection still stands, by the last commit. */
static lode_status stands (lode_coll *c) {
  lode_store *s = c->store;
  kv_txn *t;
  lode_status st;
  if (c->gone || c->drop_depth > 0)
    return coll_gone(c);
  if (kv_last_commit(&s->commits) == c->stood)
    return LODE_OK;
  st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = coll_stands(c, t);
  if (st == LODE_OK)
    c->stood = kv_read_number(&s->read);
  handle_done(s);
  return st;
}

/* Sets when the write was made, and when its entry dies. `*fits`: unless the
   era of its deadline must be found in the file (clock.h). */
static lode_status set_time (lode_coll *c, queue_write *w, uint64_t ttl,
                             bool *fits) {
  clock_state *clock = &c->store->clock;
  lode_status st = clock_now(clock, &w->now);
  *fits = st == LODE_OK;
  if (ttl == LODE_TTL_OWN && c->kept.ttl != 0)
    ttl = c->kept.ttl;
  w->ttl = ttl;
  if (st != LODE_OK || ttl == LODE_TTL_OWN || ttl == LODE_NEVER)
    return st;
  *fits = !clock_is_back(clock, w->now);
  w->deadline = ttl < RECORD_TIME_MAX - w->now ? w->now + ttl
                                               : RECORD_TIME_MAX;
  return LODE_OK;
}

/* Where a write that was looked at ends: what a `decide` says. */
typedef enum verdict { WAITS, GOES, IS_DONE } verdict;

/*
** Decides on a delete: it waits when there is an entry, and is done when
** there is none. One that lies hidden goes to the file.
*/
static lode_status decide (lode_coll *c, const lode_key *key,
                           queue_seen *seen, verdict *v) {
  lode_store *s = c->store;
  queue_found f;
  life_item item;
  bool alive;
  kv_txn *t;
  lode_status st = queue_find(s->shared->queue, c->number, key->whole, NULL,
                              &f);
  if (st == LODE_OK) {
    seen->id = f.id;
    st = judge(s, &f, &alive);
    *v = alive ? WAITS : IS_DONE;
    return st;
  }
  seen->id = 0;
  st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = life_find(c, t, key->stored, key->whole, &item);
  handle_done(s);
  *v = item.alive ? WAITS : item.there ? GOES : IS_DONE;
  return st;
}

/* Submits the write; on OK with WAITS the queue has it. */
static lode_status submit (lode_coll *c, const lode_key *key,
                           queue_write *w, verdict *v) {
  lode_store *s = c->store;
  queue *q = s->shared->queue;
  queue_seen seen = { 0, 0, QUEUE_ANY };
  bool moved;
  lode_status st;
  do {
    moved = false;
    seen.holds = atomic_load(&q->holds);
    seen.batches = atomic_load(&q->batches);
    st = untroubled(s);
    if (st == LODE_OK)
      st = stands(c);
    *v = may_wait(c) ? WAITS : GOES; /* its options may have changed */
    if (st == LODE_OK && *v == WAITS && w->removes)
      st = decide(c, key, &seen, v);
    if (st == LODE_OK && *v == WAITS)
      st = queue_add(q, w, &seen, s->timeout, &moved, &s->error);
  } while (st == LODE_OK && moved);
  return st;
}

lode_status behind_put (lode_coll *c, const lode_key *key, lode_value value,
                        uint64_t ttl, bool *taken) {
  lode_store *s = c->store;
  queue_write *w;
  verdict v = GOES;
  bool fits;
  lode_status st = handle_here(s);
  *taken = false;
  if (st != LODE_OK)
    return st;
  if (!may_wait(c) || ttl == LODE_TTL_KEEP ||
      key->whole.size + value.data.size > s->shared->queue->most_bytes)
    return LODE_OK;
  w = queue_write_new(s->shared->queue, c->number, key, value);
  if (w == NULL)
    return handle_no_memory(s);
  st = set_time(c, w, ttl, &fits);
  if (st == LODE_OK && fits)
    st = submit(c, key, w, &v);
  *taken = st == LODE_OK && v == WAITS;
  if (!*taken)
    lode_free(w);
  return st;
}

lode_status behind_delete (lode_coll *c, const lode_key *key, bool *taken) {
  static const lode_value none = { { NULL, 0 }, LODE_NOTHING };
  lode_store *s = c->store;
  queue_write *w;
  verdict v = GOES;
  lode_status st = handle_here(s);
  *taken = false;
  if (st != LODE_OK)
    return st;
  if (!may_wait(c) || queue_lacks_room(s->shared->queue))
    return LODE_OK;
  w = queue_write_new(s->shared->queue, c->number, key, none);
  if (w == NULL)
    return handle_no_memory(s);
  w->removes = true;
  st = clock_now(&s->clock, &w->now);
  if (st == LODE_OK)
    st = submit(c, key, w, &v);
  if (st != LODE_OK || v != WAITS)
    lode_free(w);
  if (st != LODE_OK)
    return st;
  *taken = v != GOES;
  return v == IS_DONE ? LODE_ABSENT : LODE_OK;
}

/* }================================================================== */

/* {==================================================================
** Ahead of a queue that has failed for want of room
** =================================================================== */

/* The lock stays until the end, so that nobody commits what is forgotten. */
bool behind_ahead (lode_store *s) {
  if (lode_likely(!queue_troubled(s->shared->queue)) || s->write.locked ||
      s->write.depth > 0 || !queue_lacks_room(s->shared->queue))
    return false;
  s->ahead = s->write.keeps = true;
  return true;
}

void behind_ahead_end (lode_store *s) {
  s->ahead = s->write.keeps = false;
  if (s->write.locked)
    kv_unlock(&s->write);
}

lode_status behind_forget (lode_coll *c, const lode_key *key,
                           lode_status st) {
  queue_found f;
  bool alive = false;
  if ((st != LODE_OK && st != LODE_ABSENT) ||
      !queue_forget(c->store->shared->queue, c->number, &key->whole, &f))
    return st;
  st = judge(c->store, &f, &alive);
  return st != LODE_OK || alive ? st : LODE_ABSENT;
}

/* }================================================================== */
