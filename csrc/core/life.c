/*
** life.c - how records change, and their indexes with them. See life.h.
*/
#include "life.h"
#include "order.h"

#define CALL_SIZE 8

/* {==================================================================
** The deadline index
** =================================================================== */

/* All handles of the collection know that it is timed now. */
static void now_timed (lode_coll *c) {
  for (lode_coll *other = c->store->colls; other != NULL;
       other = other->next)
    if (other->number == c->number) {
      other->timed = true;
      other->untimed = 0;
    }
}

typedef struct call_key {
  unsigned char bytes[CALL_SIZE + LODE_KEY_ROOM];
} call_key;

static lode_slice call_of (call_key *k, uint64_t call, lode_slice stored) {
  lode_assert(stored.size <= LODE_KEY_ROOM);
  put_u64(k->bytes, call);
  memcpy(k->bytes + CALL_SIZE, stored.data, stored.size);
  return slice_of(k->bytes, CALL_SIZE + stored.size);
}

static lode_status call_leave (lode_coll *c, lode_slice stored,
                               uint64_t call) {
  call_key k;
  bool shared;
  lode_status st = item_shares(c, stored, RECORD_LIFE, call, &shared);
  if (st == LODE_OK && !shared)
    st = kv_delete(&c->store->write, c->due, call_of(&k, call, stored));
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* Does for the index what a record's change from `old` to `new` asks. */
static lode_status call_changed (lode_coll *c, lode_slice stored,
                                 const record_parts *old,
                                 const record_parts *new) {
  bool had = old != NULL && (old->flags & RECORD_LIFE);
  bool has = new != NULL && (new->flags & RECORD_LIFE);
  call_key k;
  lode_status st = LODE_OK;
  if (had && has && old->call == new->call)
    return LODE_OK;
  if (had)
    st = call_leave(c, stored, old->call);
  if (st == LODE_OK && has) {
    st = kv_put(&c->store->write, c->due, call_of(&k, new->call, stored),
                slice_of("", 0), false);
    if (!c->timed)
      now_timed(c);
  }
  return st;
}

/* A hidden record is left out of what the tree counts. */
static lode_status hidden_changed (lode_coll *c, const record_parts *old,
                                   const record_parts *new) {
  int was = old != NULL && (old->flags & RECORD_HIDDEN) != 0;
  int is = new != NULL && (new->flags & RECORD_HIDDEN) != 0;
  return was == is ? LODE_OK : item_count_extra(c, was - is);
}

/* All that a change of a record does besides it. */
static lode_status indexes_changed (lode_coll *c, lode_slice stored,
                                    const record_parts *old,
                                    const record_parts *new,
                                    int64_t bytes) {
  lode_status st;
  if (stored.size > LODE_KEY_ROOM) /* nobody made such a key */
    return item_damaged(c);
  st = call_changed(c, stored, old, new);
  if (st == LODE_OK)
    st = hidden_changed(c, old, new);
  if (st == LODE_OK && c->order != 0)
    st = order_changed(c, stored, old, new, bytes);
  return st;
}

/* }================================================================== */

/* {==================================================================
** Changing and removing
** =================================================================== */

static int64_t counted_size (const life_item *item) {
  if (!item->there || (item->parts.flags & RECORD_HIDDEN))
    return 0;
  return (int64_t)(item->whole.size + item->record.value.data.size);
}

/* Writes `value` under the key of `item`, which may not be there. */
static lode_status replace (lode_coll *c, const life_item *item,
                            lode_value value, const record_parts *parts) {
  int64_t bytes = -counted_size(item);
  lode_status st;
  if (!(parts->flags & RECORD_HIDDEN))
    bytes += (int64_t)(item->whole.size + value.data.size);
  st = item_put(c, item->stored, item->whole, value, parts);
  if (st == LODE_OK)
    st = indexes_changed(c, item->stored, item->there ? &item->parts : NULL,
                         parts, bytes);
  return st;
}

lode_status life_change (lode_coll *c, const life_item *item,
                         const record_parts *parts) {
  record r = item->record;
  lode_status st = LODE_OK;
  if (item->there && c->store->clock.dirty) /* a write may have moved it */
    st = item_get(c, &c->store->write, item->stored, item->whole, &r);
  return st == LODE_OK ? replace(c, item, r.value, parts) : st;
}

lode_status life_remove (lode_coll *c, const life_item *item) {
  int64_t bytes = counted_size(item);
  lode_status st = item_delete(c, item->stored, item->whole);
  if (st == LODE_OK)
    st = indexes_changed(c, item->stored, &item->parts, NULL, -bytes);
  if (st == LODE_OK && c->track)
    coll_forget(c, item->stored, item->whole, !item->alive);
  return st;
}

/* Copies key and value of `e`, which lie in the map, to `copy`. */
static lode_status keep_entry (lode_store *s, lode_buffer *copy,
                               lode_entry *e) {
  size_t key = e->key.size;
  if (buffer_set(copy, e->key.data, key) != LODE_OK ||
      lode_buffer_add(copy, e->value.data.data, e->value.data.size) !=
      LODE_OK)
    return handle_no_memory(s);
  e->key.data = copy->data;
  e->value.data.data = copy->data + key;
  return LODE_OK;
}

/* Removes it and tells the hook, in a savepoint of its own. */
static lode_status bury_told (lode_coll *c, const life_item *item,
                              const lode_entry *e) {
  lode_store *s = c->store;
  unsigned depth;
  lode_status st = kv_write_begin(&s->write, 0);
  if (st != LODE_OK)
    return st;
  depth = s->write.depth;
  st = life_remove(c, item);
  if (st == LODE_OK) {
    c->hooked = true;
    s->calling++;
    st = handle_back(s, c->hooks.removed(c->hooks.data, e));
    s->calling--;
    c->hooked = false;
  }
  if (st == LODE_OK) {
    st = kv_write_commit(&s->write);
    colls_settle(s, depth, st == LODE_OK);
  }
  else {
    kv_write_abort(&s->write);
    colls_settle(s, depth, false);
    clock_settle(&s->clock, false, false);
  }
  return st;
}

/* Whether it only remembers that there is no value. */
static bool is_nothing (const life_item *item) {
  return (item->parts.flags & RECORD_HIDDEN) &&
         item->record.value.codec == LODE_NOTHING;
}

lode_status life_bury (lode_coll *c, const life_item *item, bool evicted) {
  lode_buffer copy = { NULL, 0, 0 };
  life_item kept = *item;
  lode_entry e;
  uint64_t now;
  lode_status st;
  if (c->hooks.removed == NULL || is_nothing(item))
    return life_remove(c, item);
  st = clock_now(&c->store->clock, &now);
  if (st == LODE_OK && c->hooks.removed == NULL)
    st = LODE_CALLBACK; /* its owner was collected while the clock ran */
  if (st != LODE_OK)
    return st;
  life_describe(c, NULL, item->whole, item->record.value, &item->parts, now,
                &e);
  e.evicted = evicted;
  st = keep_entry(c->store, &copy, &e);
  if (st == LODE_OK) {
    kept.whole = e.key;
    st = bury_told(c, &kept, &e);
  }
  lode_buffer_free(&copy);
  return st;
}

/* }================================================================== */

/* {==================================================================
** Writing
** =================================================================== */

/* Sets deadline and call of `parts`; `old` is the record that goes. */
static void set_deadline (record_parts *parts, const life_item *old,
                          uint16_t era, uint64_t deadline, unsigned flags) {
  if (deadline > RECORD_TIME_MAX)
    deadline = RECORD_TIME_MAX;
  parts->flags |= RECORD_LIFE | flags;
  parts->era = era;
  parts->deadline = parts->call = deadline;
  if (old->there && (old->parts.flags & RECORD_LIFE) &&
      old->parts.call < deadline)
    parts->call = old->parts.call;
}

/* The policy's deadline; one that isn't here is to be asked by a sweep. */
static lode_status policy_deadline (lode_coll *c, const life_item *item,
                                    lode_value value, uint64_t now,
                                    record_parts *parts) {
  uint64_t expires = RECORD_TIME_MAX, from = now;
  uint16_t era;
  lode_entry e;
  lode_status st;
  if (c->hooks.deadline != NULL) {
    life_describe(c, NULL, item->whole, value, parts, now, &e);
    st = life_ask(c, &c->store->write, &e, &expires);
    if (st != LODE_OK || expires == LODE_NEVER)
      return st;
  }
  st = clock_era(&c->store->clock, &c->store->write, &era, &from);
  if (st != LODE_OK)
    return st;
  set_deadline(parts, item, era, expires, RECORD_ASKS);
  if (c->hooks.deadline == NULL && parts->call > now)
    parts->call = now;
  return LODE_OK;
}

/* A deadline `ttl` ms past `from`, which is not after `now`. */
static lode_status ttl_deadline (lode_coll *c, const life_item *item,
                                 uint64_t ttl, uint64_t from, uint64_t now,
                                 record_parts *parts) {
  uint64_t counted = now; /* from there, where the clock was set back */
  uint16_t era;
  lode_status st = clock_era(&c->store->clock, &c->store->write, &era,
                             &counted);
  from += counted - now;
  if (st == LODE_OK)
    set_deadline(parts, item, era,
                 ttl < RECORD_TIME_MAX ? from + ttl : RECORD_TIME_MAX, 0);
  return st;
}

lode_status life_deadline (lode_coll *c, const life_item *item,
                           lode_value value, uint64_t ttl, uint64_t now,
                           record_parts *parts) {
  const record_parts *old = &item->parts;
  bool own = ttl == LODE_TTL_OWN || ttl == LODE_TTL_KEEP;
  parts->flags &= ~(unsigned)(RECORD_LIFE | RECORD_ASKS);
  if (own && c->kept.policy.size > 0)
    return policy_deadline(c, item, value, now, parts);
  if (own && c->kept.ttl != 0)
    ttl = c->kept.ttl;
  else if (ttl == LODE_TTL_KEEP && item->alive &&
           (old->flags & RECORD_LIFE)) {
    set_deadline(parts, item, old->era, old->deadline,
                 old->flags & RECORD_ASKS);
    return LODE_OK;
  }
  else if (own || ttl == LODE_NEVER)
    return LODE_OK;
  return ttl_deadline(c, item, ttl, now, now, parts);
}

static bool keeps_times (const lode_coll *c) {
  return c->kept.times || c->kept.policy.size > 0 ||
         c->kept.evict == LODE_EVICT_RANK;
}

/* The times of an entry that is being written; `item` is what it replaces. */
static void set_times (lode_coll *c, const life_item *item, uint64_t now,
                       record_parts *parts) {
  if (!keeps_times(c))
    return;
  parts->flags |= RECORD_TIMES;
  parts->ctime = parts->mtime = parts->atime = now;
  if (!item->alive)
    return;
  if (item->parts.flags & RECORD_TIMES)
    parts->ctime = item->parts.ctime;
  parts->hits = item->parts.hits;
}

/* Its noted reads become its own, not their times: the write is later. */
static void count_note (lode_coll *c, const life_item *item,
                        record_parts *parts) {
  access_note note;
  if (!c->track || (c->kept.evict == LODE_EVICT_SIEVE &&
                    !(parts->flags & RECORD_TIMES)))
    return;
  parts->noted = true;
  if (access_find(c->store->shared->accesses, c->number, item->whole,
                  UINT64_MAX, &note))
    parts->hits += note.hits;
}

/* The rank of an entry that is being written. */
static lode_status set_rank (lode_coll *c, const life_item *item,
                             lode_value value, uint64_t now,
                             record_parts *parts) {
  lode_entry e;
  lode_status st;
  life_describe(c, NULL, item->whole, value, parts, now, &e);
  parts->flags |= RECORD_RANK;
  if (c->kept.evict == LODE_EVICT_RANK && c->hooks.rank != NULL)
    return life_ask_rank(c, &e, &parts->rank);
  st = order_rank(c, &e, item->alive ? &item->parts : NULL, &parts->rank);
  if (st == LODE_OK && c->kept.evict == LODE_EVICT_SIEVE && item->alive &&
      !(parts->flags & RECORD_TIMES)) /* a write is an access as well */
    (void)access_add(c->store->shared->accesses, c->number, item->stored,
                     item->whole, now);
  return st;
}

lode_status life_renew (lode_coll *c, const life_item *item, uint64_t now,
                        record_parts *parts) {
  lode_value value = item->record.value;
  bool had = (item->parts.flags & RECORD_TIMES) != 0;
  lode_status st = LODE_OK;
  *parts = item->parts;
  if (!keeps_times(c))
    parts->flags &= ~(unsigned)RECORD_TIMES;
  else if (!had) {
    parts->flags |= RECORD_TIMES;
    parts->ctime = parts->mtime = parts->atime = now;
  }
  if (c->kept.policy.size == 0 && c->kept.ttl != 0) { /* from its last */
    uint64_t written = had ? item->parts.mtime : now; /* write, if known */
    parts->flags &= ~(unsigned)(RECORD_LIFE | RECORD_ASKS);
    st = ttl_deadline(c, item, c->kept.ttl, written < now ? written : now,
                      now, parts);
  }
  else if (c->kept.policy.size > 0 || (parts->flags & RECORD_ASKS))
    st = life_deadline(c, item, value, LODE_TTL_OWN, now, parts);
  if (st == LODE_OK && coll_is_capped(c))
    st = set_rank(c, item, value, now, parts);
  return st;
}

static void set_fetched (const lode_fetch_life *f, record_parts *parts) {
  parts->flags |= RECORD_FETCHED;
  parts->stale = f->stale < UINT32_MAX ? (uint32_t)f->stale : UINT32_MAX;
  parts->cost = f->cost < UINT32_MAX ? (uint32_t)f->cost : UINT32_MAX;
}

/* Writes over `item`, which is alive or not there. */
static lode_status put_over (lode_coll *c, const life_item *item,
                             lode_value value, uint64_t ttl, uint64_t now,
                             const lode_fetch_life *fetched) {
  record_parts parts;
  bool hides = fetched != NULL && fetched->nothing;
  lode_status st = LODE_OK;
  memset(&parts, 0, sizeof parts);
  set_times(c, item, now, &parts);
  count_note(c, item, &parts);
  st = life_deadline(c, item, value, ttl, now, &parts);
  if (st == LODE_OK && coll_is_capped(c) && !hides)
    st = set_rank(c, item, value, now, &parts);
  if (st != LODE_OK)
    return st;
  if (hides && !(parts.flags & RECORD_LIFE)) /* it would stay for ever */
    return item->there ? life_remove(c, item) : LODE_OK;
  if (fetched != NULL && (parts.flags & RECORD_LIFE))
    set_fetched(fetched, &parts);
  if (hides) {
    parts.flags |= RECORD_HIDDEN;
    parts.flags &= ~(unsigned)RECORD_ASKS;
  }
  if (parts.noted)
    coll_forget(c, item->stored, item->whole, false);
  st = replace(c, item, value, &parts);
  if (st == LODE_OK && c->kept.evict == LODE_EVICT_SIEVE && item->alive &&
      (parts.flags & RECORD_TIMES) && (parts.flags & RECORD_RANK))
    st = order_mark(c, item->stored, parts.rank, true);
  return st;
}

static lode_status allows (lode_put_mode mode, bool alive) {
  if (mode == LODE_ADD && alive)
    return LODE_EXISTS;
  return mode == LODE_REPLACE && !alive ? LODE_ABSENT : LODE_OK;
}

lode_status life_put (lode_coll *c, lode_slice stored, lode_slice whole,
                      lode_value value, lode_put_mode mode, uint64_t ttl,
                      const lode_fetch_life *fetched) {
  life_item item;
  uint64_t now;
  lode_status st = life_find(c, &c->store->write, stored, whole, &item);
  if (st == LODE_OK)
    st = allows(mode, item.alive);
  if (st == LODE_OK && item.there && !item.alive &&
      c->hooks.removed != NULL) {
    st = life_bury(c, &item, false);
    if (st == LODE_OK) /* the hook may have written it again */
      st = life_find(c, &c->store->write, stored, whole, &item);
    if (st == LODE_OK)
      st = allows(mode, item.alive);
  }
  if (st == LODE_OK)
    st = clock_now(&c->store->clock, &now);
  if (st == LODE_OK && !item.alive && c->track) /* of an earlier life */
    coll_forget(c, stored, whole, item.there);
  return st == LODE_OK ? put_over(c, &item, value, ttl, now, fetched) : st;
}

lode_status life_delete (lode_coll *c, lode_slice stored, lode_slice whole) {
  life_item item;
  lode_status st = life_find(c, &c->store->write, stored, whole, &item);
  if (st != LODE_OK)
    return st;
  if (item.alive)
    return life_remove(c, &item);
  if (item.there && ((item.parts.flags & RECORD_HIDDEN) ||
                     (item.parts.stale > 0 && !life_waits(c))))
    st = life_bury(c, &item, false); /* so that it is computed anew */
  return st == LODE_OK ? LODE_ABSENT : st;
}

/* }================================================================== */

/* {==================================================================
** Every record of a key, and every call that is due
** =================================================================== */

/* Of a bucket, those before may have changed or removed it. */
static lode_status visit (lode_coll *c, kv_txn *t, lode_slice stored,
                          lode_slice whole, life_visit *each, void *data) {
  life_item item;
  lode_status st;
  memset(&item, 0, sizeof item);
  item.stored = stored;
  item.whole = whole;
  item.there = true;
  st = item_get(c, t, stored, whole, &item.record);
  if (st != LODE_OK)
    return st == LODE_ABSENT ? LODE_OK : st;
  record_read_parts(&item.record, &item.parts);
  return each(c, &item, data);
}

lode_status life_each (lode_coll *c, kv_txn *t, lode_slice stored,
                       life_visit *each, void *data) {
  lode_buffer copy = { NULL, 0, 0 };
  lode_slice bytes;
  bucket_entry entry;
  lode_status st;
  if (!item_in_bucket(c, stored))
    return visit(c, t, stored, stored, each, data);
  st = kv_get(t, c->db, stored, &bytes);
  if (st != LODE_OK)
    return st == LODE_ABSENT ? LODE_OK : st;
  if (buffer_set(&copy, bytes.data, bytes.size) != LODE_OK)
    return handle_no_memory(c->store);
  bytes = slice_of_buffer(&copy);
  while (st == LODE_OK && (st = bucket_next(&bytes, &entry)) == LODE_OK)
    st = visit(c, t, stored, entry.whole, each, data);
  lode_buffer_free(&copy);
  if (st == LODE_CORRUPT)
    return item_damaged(c);
  return st == LODE_ABSENT ? LODE_OK : st;
}

typedef struct dead_count {
  kv_txn *t;
  uint64_t call, n;
} dead_count;

static lode_status count_one (lode_coll *c, life_item *item, void *data) {
  dead_count *d = data;
  bool alive = true;
  lode_status st = LODE_OK;
  if (!(item->parts.flags & RECORD_LIFE) || item->parts.call != d->call ||
      (item->parts.flags & RECORD_HIDDEN))
    return LODE_OK;
  st = life_judge(c, d->t, item->whole, &item->record, &alive);
  d->n += !alive;
  return st;
}

lode_status life_count_dead (lode_coll *c, kv_txn *t, uint64_t *n) {
  dead_count d = { t, 0, 0 };
  kv_db_stats stats;
  lode_slice key, value;
  kv_cursor *cursor;
  uint64_t now;
  lode_status st;
  *n = 0;
  if (c->due == 0)
    return LODE_OK;
  st = kv_db_measure(t, c->due, &stats);
  if (st != LODE_OK || stats.entries == 0)
    return st;
  st = clock_now(&c->store->clock, &now);
  if (st == LODE_OK)
    st = clock_latest(&c->store->clock, t, &now);
  if (st == LODE_OK)
    st = kv_cursor_open(t, c->due, &cursor);
  if (st != LODE_OK)
    return st == LODE_ABSENT ? LODE_OK : st;
  st = kv_cursor_move(t, cursor, KV_FIRST, &key, &value);
  while (st == LODE_OK && key.size > CALL_SIZE &&
         (d.call = get_u64(key.data)) <= now) {
    st = life_each(c, t, slice_of(key.data + CALL_SIZE,
                                  key.size - CALL_SIZE), count_one, &d);
    if (st == LODE_OK)
      st = kv_cursor_move(t, cursor, KV_NEXT, &key, &value);
  }
  kv_cursor_close(cursor);
  *n = d.n;
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* }================================================================== */
