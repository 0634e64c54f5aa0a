/*
** times.c - what an entry's time is, and giving it another. See lode.h.
*/
#include "behind.h"
#include "entry.h"
#include "sweep.h"

lode_status lode_now (lode_store *s, uint64_t *now) {
  return clock_now(&s->clock, now);
}

lode_status lode_info (lode_coll *c, const lode_key *key, lode_entry *e) {
  life_item item;
  uint64_t now;
  lode_store *s;
  kv_txn *t;
  lode_status st = coll_store(c, &s);
  if (st == LODE_OK)
    st = behind_settle(c, key);
  if (st == LODE_OK)
    st = clock_now(&s->clock, &now);
  if (st == LODE_OK)
    st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = life_find(c, t, key->stored, key->whole, &item);
  if (st == LODE_OK && !item.alive) {
    st = coll_stands(c, t);
    st = st == LODE_OK ? LODE_ABSENT : st;
  }
  else if (st == LODE_OK) {
    life_describe(c, t, key->whole, item.record.value, &item.parts, now, e);
    if ((item.parts.flags & RECORD_ASKS) && c->hooks.deadline != NULL &&
        s->asking == 0) /* what is kept may have been overtaken */
      st = life_ask(c, t, e, &e->expires);
    e->value.data = slice_of(NULL, 0); /* it lies in the view */
  }
  handle_done(s);
  return st;
}

/* Finds the live entry of a key in the open transaction. ABSENT. */
static lode_status find_live (lode_coll *c, const lode_key *key,
                              life_item *item, uint64_t *now) {
  lode_status st = clock_now(&c->store->clock, now);
  if (st == LODE_OK && c->kept.raw)
    return fail(&c->store->error, LODE_BAD_ARGUMENT, "a raw collection "
                "keeps the bytes as they are, so its entries have no time "
                "to live");
  if (st == LODE_OK)
    st = life_find(c, &c->store->write, key->stored, key->whole, item);
  return st == LODE_OK && !item->alive ? LODE_ABSENT : st;
}

static lode_status end (lode_coll *c, bool own, lode_status st) {
  if (own && st == LODE_OK)
    st = sweep_inline(c->store, c);
  return handle_written(c->store, own, st);
}

/* Gives the item its lifetime anew, and its place where that follows it. */
static lode_status give_deadline (lode_coll *c, const life_item *item,
                                  uint64_t ttl, uint64_t now,
                                  record_parts *parts) {
  lode_status st = life_deadline(c, item, item->record.value, ttl, now,
                                 parts);
  if (st == LODE_OK && (parts->flags & RECORD_RANK) &&
      c->kept.evict == LODE_EVICT_TTL)
    parts->rank = parts->flags & RECORD_LIFE ? parts->deadline : LODE_NEVER;
  return st == LODE_OK ? life_change(c, item, parts) : st;
}

lode_status lode_expire (lode_coll *c, const lode_key *key, uint64_t ttl) {
  record_parts parts;
  life_item item;
  uint64_t now;
  bool own;
  lode_status st = coll_write(c, &own);
  if (st != LODE_OK)
    return st;
  st = find_live(c, key, &item, &now);
  if (st == LODE_OK) {
    parts = item.parts;
    st = give_deadline(c, &item, ttl, now, &parts);
  }
  return end(c, own, st);
}

/* An access, and the lifetime anew where the collection gives it. */
static lode_status touch (lode_coll *c, const life_item *item,
                          uint64_t now) {
  record_parts parts = item->parts;
  bool lives = c->kept.policy.size > 0 || c->kept.ttl != 0;
  if (c->track) /* as any read */
    (void)access_add(c->store->shared->accesses, c->number, item->stored,
                     item->whole, now);
  else if (parts.flags & RECORD_TIMES) {
    parts.hits++;
    if (parts.atime < now)
      parts.atime = now;
  }
  if (!lives && (c->track || !(parts.flags & RECORD_TIMES)))
    return LODE_OK;
  return lives ? give_deadline(c, item, LODE_TTL_OWN, now, &parts)
               : life_change(c, item, &parts);
}

/* Adds what was noted of an entry to its times. */
static void add_note (lode_coll *c, const lode_key *key,
                      record_parts *parts) {
  access_note note;
  if (!c->track || !(parts->flags & RECORD_TIMES) ||
      !access_find(c->store->shared->accesses, c->number, key->whole,
                   UINT64_MAX, &note))
    return;
  parts->hits += note.hits;
  if (parts->atime < note.atime)
    parts->atime = note.atime;
}

lode_status lode_copy (lode_coll *from, lode_coll *to, const lode_key *key) {
  record_parts parts;
  life_item item;
  uint64_t now;
  bool own;
  lode_status st = coll_write(to, &own);
  if (st != LODE_OK)
    return st;
  lode_assert(from->store == to->store);
  st = find_live(from, key, &item, &now);
  if (st == LODE_OK) {
    parts = item.parts;
    add_note(from, key, &parts);
    parts.call = parts.deadline;
    item.there = item.alive = false; /* in `to` */
    st = life_change(to, &item, &parts);
  }
  return end(to, own, st);
}

lode_status lode_touch (lode_coll *c, const lode_key *key) {
  life_item item;
  uint64_t now;
  bool own;
  lode_status st = coll_write(c, &own);
  if (st != LODE_OK)
    return st;
  st = find_live(c, key, &item, &now);
  if (st == LODE_OK)
    st = touch(c, &item, now);
  return end(c, own, st);
}
