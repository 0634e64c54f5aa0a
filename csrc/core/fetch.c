/*
** fetch.c - get or compute: how good the value is that there is, who
** computes another, and keeping it. See lode.h.
*/
#include <math.h>

#include "behind.h"
#include "entry.h"
#include "sweep.h"

/* {==================================================================
** Looking
** =================================================================== */

/* A random number above 0 and at most 1. */
static double random_share (void) {
  uint64_t bits = 0;
  (void)hash_random(&bits, sizeof bits);
  return ((double)(bits >> 11) + 1) / 9007199254740992.0;
}

double lode_fetch_draw (double beta) {
  return beta > 0 ? -beta * log(random_share()) : 0;
}

/* Whether an entry is to be computed before its end. See lode.h. */
static bool is_early (const record_parts *p, uint64_t now, double early) {
  if (!(early > 0) || !(p->flags & RECORD_LIFE))
    return false;
  return (double)now + (double)p->cost * early >= (double)p->deadline;
}

/* How good the record is; `time` is the one that it is judged by. */
static lode_fetched rate (const life_item *item, uint64_t now,
                          uint64_t time, double early) {
  const record_parts *p = &item->parts;
  if (item->alive)
    return is_early(p, now, early) ? LODE_FETCH_STALE : LODE_FETCH_FRESH;
  if (!item->there)
    return LODE_FETCH_NONE;
  if (p->flags & RECORD_HIDDEN) {
    if (p->deadline <= time)
      return LODE_FETCH_NONE;
    return item->record.value.codec == LODE_NOTHING ? LODE_FETCH_NOTHING
                                                    : LODE_FETCH_STALE;
  }
  return p->deadline + p->stale > time ? LODE_FETCH_STALE : LODE_FETCH_NONE;
}

static lode_status look (lode_coll *c, kv_txn *t, const lode_key *key,
                         double early, lode_value *value,
                         lode_fetched *found) {
  life_item item;
  uint64_t now, time;
  lode_status st = clock_now(&c->store->clock, &now);
  if (st == LODE_OK)
    st = life_find(c, t, key->stored, key->whole, &item);
  time = now;
  if (st == LODE_OK)
    st = clock_floor(&c->store->clock, t, item.parts.era, &time);
  if (st != LODE_OK)
    return st;
  *found = rate(&item, now, time, early);
  *value = item.record.value;
  if (item.alive && c->track)
    (void)access_add(c->store->shared->accesses, c->number, key->stored,
                     key->whole, now);
  return *found == LODE_FETCH_NONE ? coll_stands(c, t) : LODE_OK;
}

lode_status lode_fetch_look (lode_coll *c, const lode_key *key, double early,
                             lode_value *value, lode_fetched *found) {
  lode_store *s;
  kv_txn *t;
  lode_status st = coll_store(c, &s);
  if (st == LODE_OK)
    st = behind_settle(c, key);
  if (st == LODE_OK)
    st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = look(c, t, key, early, value, found);
  if (st != LODE_OK || *found == LODE_FETCH_NONE ||
      *found == LODE_FETCH_NOTHING)
    handle_done(s);
  return st;
}

void lode_fetch_count (lode_coll *c, bool found) {
  if (c->store != NULL) /* a callback may have closed it */
    handle_count(c->store, found);
}

lode_status lode_get_stale (lode_coll *c, const lode_key *key,
                            lode_value *value, bool *stale) {
  life_item item;
  lode_store *s;
  kv_txn *t;
  lode_status st = coll_store(c, &s);
  if (st == LODE_OK)
    st = behind_settle(c, key);
  if (st == LODE_OK)
    st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = life_find(c, t, key->stored, key->whole, &item);
  if (st == LODE_OK &&
      (!item.there || item.record.value.codec == LODE_NOTHING)) {
    st = coll_stands(c, t);
    if (st == LODE_OK)
      st = LODE_ABSENT;
  }
  if (st != LODE_OK) {
    handle_done(s);
    return st;
  }
  *value = item.record.value;
  *stale = !item.alive;
  return LODE_OK;
}

/* }================================================================== */

/* {==================================================================
** Computing
** =================================================================== */

/* What a claim on a key is made under. */
static void claim_id (lode_coll *c, const lode_key *key,
                      unsigned char id[HASH_SIZE]) {
  hash_sip(c->store->secret, key->whole, id);
  put_u32(id + HASH_SIZE - 4, get_u32(id + HASH_SIZE - 4) ^ c->number);
  put_u32(id, get_u32(id) ^ c->number * 2654435761u);
}

/* What a claim's failure is called. */
static lode_status claim_failed (lode_store *s, lode_status st,
                                 unsigned timeout) {
  switch (st) {
    case LODE_REENTRY:
      return fail(&s->error, st, "this thread is computing the same key "
                  "already: a function given to fetch can't fetch its own "
                  "key");
    case LODE_BUSY:
      return fail(&s->error, st, "another caller has been computing this "
                  "key for %u ms", timeout);
    case LODE_NO_MEMORY:
      return handle_no_memory(s);
    default:
      return fail(&s->error, st, "%s can't be locked", s->files.side);
  }
}

lode_status lode_fetch_claim (lode_coll *c, const lode_key *key,
                              unsigned timeout) {
  unsigned char id[HASH_SIZE];
  lode_store *s;
  bool own;
  lode_status st = coll_store(c, &s);
  if (st != LODE_OK)
    return st;
  if (s->readonly || s->snapshots > 0 || s->guards > 0 || s->asking > 0)
    return handle_write(s, &own); /* which refuses */
  st = handle_here(s);
  if (st != LODE_OK)
    return st;
  if (timeout == LODE_FETCH_WAIT)
    timeout = s->timeout;
  if (lode_buffer_reserve(&s->claimed, HASH_SIZE) != LODE_OK)
    return handle_no_memory(s);
  claim_id(c, key, id);
  st = claims_take(s->shared->claims, id, timeout);
  if (st != LODE_OK)
    return claim_failed(s, st, timeout);
  return lode_buffer_add(&s->claimed, id, HASH_SIZE);
}

void lode_fetch_drop (lode_coll *c, const lode_key *key) {
  unsigned char id[HASH_SIZE];
  if (c->store == NULL) /* its claims went with it */
    return;
  claim_id(c, key, id);
  handle_unclaim(c->store, id);
}

lode_status lode_fetch_put (lode_coll *c, const lode_key *key,
                            lode_value value, const lode_fetch_life *life) {
  bool own;
  lode_status st = coll_write(c, &own);
  if (st != LODE_OK)
    return st;
  if (life->nothing) {
    value.data = slice_of(NULL, 0);
    value.codec = LODE_NOTHING;
  }
  st = entry_put(c, key, value, LODE_PUT, life->ttl,
                 c->kept.raw && !life->nothing ? NULL : life);
  if (own && st == LODE_OK)
    st = sweep_inline(c->store, c);
  return handle_written(c->store, own, st);
}

/* }================================================================== */
