/*
** life_ask.c - what policies and hooks are asked of an entry, and whether
** it is alive. See life.h.
*/
#include "life.h"
#include "order.h"

/* {==================================================================
** Asking
** =================================================================== */

void life_describe (lode_coll *c, const kv_txn *t, lode_slice whole,
                    lode_value value, const record_parts *parts,
                    uint64_t now, lode_entry *e) {
  uint64_t seen = t != NULL && t != &c->store->write ? kv_txn_number(t)
                                                     : UINT64_MAX;
  access_note note;
  memset(e, 0, sizeof *e);
  e->key = whole;
  e->value = value;
  e->now = now;
  e->timed = (parts->flags & RECORD_TIMES) != 0;
  e->ctime = parts->ctime;
  e->mtime = parts->mtime;
  e->atime = parts->atime;
  e->hits = parts->hits;
  e->expires = parts->flags & RECORD_LIFE ? parts->deadline : LODE_NEVER;
  if ((parts->flags & RECORD_ASKS) && parts->deadline == RECORD_TIME_MAX)
    e->expires = LODE_NEVER; /* its policy was never asked */
  e->size = whole.size + value.data.size;
  if (c->track && !parts->noted &&
      access_find(c->store->shared->accesses, c->number, whole, seen,
                  &note)) {
    e->hits += note.hits;
    if (note.atime > e->atime)
      e->atime = note.atime;
  }
}

/*
** While Lua, or whoever it is, answers, the view that the caller reads by
** stays open: reads of the same handle share it.
*/
typedef struct pinned {
  bool pinned, reading;
} pinned;

static pinned pin (lode_store *s, const kv_txn *t) {
  pinned p = { t == &s->read, s->reading };
  s->asking++;
  s->calling++;
  if (p.pinned) {
    s->reading = false;
    s->snapshots++;
  }
  return p;
}

static void unpin (lode_store *s, pinned p) {
  s->asking--;
  s->calling--;
  if (p.pinned) {
    s->snapshots--;
    s->reading = p.reading;
  }
}

lode_status life_ask (lode_coll *c, kv_txn *t, const lode_entry *e,
                      uint64_t *expires) {
  lode_store *s = c->store;
  pinned p = pin(s, t);
  lode_status st = c->hooks.deadline(c->hooks.data, e, expires);
  unpin(s, p);
  return handle_back(s, st);
}

lode_status life_ask_rank (lode_coll *c, const lode_entry *e,
                           uint64_t *rank) {
  lode_store *s = c->store;
  double x = 0;
  pinned p = pin(s, &s->write);
  lode_status st = c->hooks.rank(c->hooks.data, e, &x);
  unpin(s, p);
  st = handle_back(s, st);
  if (st == LODE_OK)
    *rank = order_of_number(x);
  return st;
}

lode_status life_rank (lode_coll *c, const life_item *item,
                       uint64_t *rank) {
  lode_entry e;
  uint64_t now;
  lode_status st = clock_now(&c->store->clock, &now);
  if (st != LODE_OK || c->hooks.rank == NULL)
    return st;
  life_describe(c, NULL, item->whole, item->record.value, &item->parts, now,
                &e);
  return life_ask_rank(c, &e, rank);
}

void life_failed (lode_coll *c, const life_item *item) {
  lode_entry e;
  bool hooked;
  if (c->hooks.failed == NULL)
    return;
  life_describe(c, NULL, item->whole, item->record.value, &item->parts, 0,
                &e);
  e.value.data = slice_of(NULL, 0); /* a write may have moved it */
  hooked = c->hooked;
  c->hooked = true; /* what it writes here evicts nothing, or it would fail
                       for the same entry again */
  c->store->calling++;
  c->hooks.failed(c->hooks.data, &e);
  c->store->calling--;
  c->hooked = hooked;
}

bool life_waits (const lode_coll *c) {
  return (c->kept.on_expire && c->hooks.removed == NULL) ||
         (c->kept.policy.size > 0 && c->hooks.deadline == NULL);
}

/* }================================================================== */

/* {==================================================================
** Alive or dead
** =================================================================== */

lode_status life_judge (lode_coll *c, kv_txn *t, lode_slice whole,
                        const record *r, bool *alive) {
  lode_store *s = c->store;
  uint64_t now, time, expires, deadline;
  record_parts parts;
  lode_entry e;
  lode_status st;
  *alive = (r->flags & RECORD_HIDDEN) == 0;
  if (!*alive || !(r->flags & RECORD_LIFE))
    return LODE_OK;
  st = clock_now(&s->clock, &now);
  time = now;
  if (st == LODE_OK)
    st = clock_floor(&s->clock, t, record_era(r), &time);
  deadline = record_deadline(r);
  if (st != LODE_OK || deadline > time)
    return st;
  *alive = false;
  if ((r->flags & RECORD_ASKS) && c->hooks.deadline != NULL &&
      s->asking == 0) {
    record_read_parts(r, &parts);
    life_describe(c, t, whole, r->value, &parts, now, &e);
    st = life_ask(c, t, &e, &expires);
    *alive = st == LODE_OK && expires > time;
    if (st == LODE_OK && expires > deadline)
      deadline = expires; /* the time at which it died, if it has */
  }
  if (st == LODE_OK && !*alive && deadline <= now)
    clock_passed(&s->clock, deadline);
  return st;
}

lode_status life_find (lode_coll *c, kv_txn *t, lode_slice stored,
                       lode_slice whole, life_item *item) {
  lode_status st;
  memset(item, 0, sizeof *item);
  item->stored = stored;
  item->whole = whole;
  st = item_get(c, t, stored, whole, &item->record);
  if (st == LODE_ABSENT)
    return LODE_OK;
  if (st != LODE_OK)
    return st;
  item->there = true;
  record_read_parts(&item->record, &item->parts);
  return life_alive(c, t, whole, &item->record, &item->alive);
}

/* }================================================================== */
