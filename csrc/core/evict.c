/*
** evict.c - see evict.h. SIEVE is the algorithm of Zhang, Yang, Yue,
** Vigfusson and Rashmi, "SIEVE is Simpler than LRU" (NSDI 2024): entries
** stay in the order in which they came, and a hand goes from the oldest to
** the newest, passes over those that were read since it last came by, and
** takes the first other one.
*/
#include "evict.h"
#include "order.h"

#define LOOKS_MAX (4 * EVICT_LOOKS) /* where hooks keep what was to go */

typedef enum outcome { MISSING, SPARED, MOVED, KEPT, GONE } outcome;

typedef struct look {
  order_place place; /* the last that was looked at */
  lode_slice spare;  /* the key of what was just written */
  bool forced;       /* whatever was noted of it */
  outcome outcome;
} look;

static bool sieves (const lode_coll *c) {
  return c->kept.evict == LODE_EVICT_SIEVE;
}

/* {==================================================================
** Places
** =================================================================== */

/* Times and hits of a note become the record's. */
static void merge_times (record_parts *parts, const access_note *note) {
  if (!(parts->flags & RECORD_TIMES))
    return;
  parts->hits += note->hits;
  if (note->atime > parts->atime)
    parts->atime = note->atime;
}

/* What place the entry deserves by now; no less than it has. */
static lode_status place_now (lode_coll *c, const life_item *item,
                              const access_note *note, uint64_t *rank) {
  uint64_t old = item->parts.rank;
  *rank = old;
  switch (c->kept.evict) {
    case LODE_EVICT_LRU:
      if (note != NULL && note->stamp > old)
        *rank = note->stamp;
      break;
    case LODE_EVICT_LFU:
      if (note != NULL)
        *rank = order_of_hits((old >> 40) + note->hits, note->atime);
      break;
    case LODE_EVICT_TTL:
      *rank = item->parts.flags & RECORD_LIFE ? item->parts.deadline
                                              : LODE_NEVER;
      break;
    case LODE_EVICT_RANK:
      return life_rank(c, item, rank);
    default:
      break;
  }
  if (*rank < old)
    *rank = old;
  return LODE_OK;
}

lode_status evict_keep (lode_coll *c, const life_item *item,
                        const access_note *note) {
  record_parts parts = item->parts;
  lode_status st = LODE_OK;
  bool ranked = c->order != 0 && (parts.flags & RECORD_RANK);
  merge_times(&parts, note);
  if (ranked && !sieves(c))
    st = place_now(c, item, note, &parts.rank);
  if (st == LODE_CALLBACK)
    st = LODE_OK; /* it keeps its place, and is asked for when it must go */
  if (st == LODE_OK && ((parts.flags & RECORD_TIMES) ||
                        parts.rank != item->parts.rank))
    st = life_change(c, item, &parts);
  if (st == LODE_OK && ranked && sieves(c))
    st = order_mark(c, item->stored, parts.rank, true);
  return st;
}

/* }================================================================== */

/* {==================================================================
** Candidates
** =================================================================== */

/* A hook keeps the entry: it is passed over, and the hook's owner told. */
static lode_status kept_by_hook (lode_coll *c, const life_item *item,
                                 look *l) {
  l->outcome = KEPT;
  life_failed(c, item);
  return LODE_OK;
}

static lode_status bury (lode_coll *c, const life_item *item, look *l) {
  lode_status st = life_bury(c, item, item->alive);
  if (st == LODE_CALLBACK)
    return kept_by_hook(c, item, l);
  l->outcome = GONE;
  c->store->evicted += st == LODE_OK && item->alive;
  return st;
}

/* One that was read since it got its place gets another chance. */
static lode_status second_chance (lode_coll *c, const life_item *item,
                                  look *l) {
  access_table *a = c->store->shared->accesses;
  access_note note, *noted = NULL;
  record_parts parts = item->parts;
  bool chance = sieves(c) && l->place.visited;
  lode_status st = LODE_OK;
  if (access_find(a, c->number, item->whole, UINT64_MAX, &note))
    noted = &note;
  if (sieves(c))
    chance |= noted != NULL;
  else {
    st = place_now(c, item, noted, &parts.rank);
    chance = parts.rank != item->parts.rank;
  }
  if (st == LODE_CALLBACK)
    return kept_by_hook(c, item, l);
  if (st != LODE_OK || !chance)
    return st == LODE_OK ? bury(c, item, l) : st;
  l->outcome = MOVED;
  if (noted != NULL)
    merge_times(&parts, noted);
  if (!sieves(c) || (noted != NULL && (parts.flags & RECORD_TIMES)))
    st = life_change(c, item, &parts);
  if (st == LODE_OK && l->place.visited)
    st = order_mark(c, item->stored, parts.rank, false);
  coll_forget(c, item->stored, item->whole, false);
  return st;
}

/* Looks at one record under the candidate's key. */
static lode_status consider (lode_coll *c, life_item *item, void *data) {
  look *l = data;
  lode_status st;
  if (l->outcome > SPARED || !(item->parts.flags & RECORD_RANK) ||
      item->parts.rank != l->place.rank)
    return LODE_OK;
  if (slice_equal(item->whole, l->spare)) {
    l->outcome = SPARED;
    return LODE_OK;
  }
  st = life_alive(c, &c->store->write, item->whole, &item->record,
                  &item->alive);
  if (st == LODE_CALLBACK)
    return kept_by_hook(c, item, l);
  if (st != LODE_OK)
    return st;
  return l->forced || !item->alive ? bury(c, item, l)
                                   : second_chance(c, item, l);
}

/* The place after the last one; the first again at the end. ABSENT. */
static lode_status next_place (lode_coll *c, look *l) {
  lode_status st = order_next(c, &l->place);
  if (st != LODE_ABSENT)
    return st;
  l->place.rank = 0;
  l->place.stored.size = 0;
  return order_next(c, &l->place);
}

/* Looks at the next candidate. ABSENT: there is none. */
static lode_status look_at_one (lode_coll *c, look *l) {
  record_parts lost;
  lode_status st = next_place(c, l);
  if (st != LODE_OK)
    return st;
  l->outcome = MISSING;
  st = life_each(c, &c->store->write, l->place.stored, consider, l);
  if (st == LODE_CORRUPT) { /* its readers are told; this is a writer */
    l->outcome = MOVED;
    st = LODE_OK;
  }
  if (st == LODE_OK && l->outcome == MISSING) { /* nobody's place */
    memset(&lost, 0, sizeof lost);
    lost.flags = RECORD_RANK;
    lost.rank = l->place.rank;
    st = order_changed(c, l->place.stored, &lost, NULL, 0);
  }
  return st;
}

/* }================================================================== */

/* By how much the cap is exceeded; 0: it isn't. */
static lode_status excess (lode_coll *c, uint64_t *n) {
  uint64_t count, most = c->kept.max_entries;
  order_state state = { 0, 0 };
  lode_status st = item_count(c, &count);
  *n = most != 0 && count > most ? count - most : 0;
  if (st == LODE_OK && c->kept.max_bytes != 0)
    st = order_get_state(c, &state);
  if (state.bytes > c->kept.max_bytes && *n < LODE_CAP_SLACK)
    *n = LODE_CAP_SLACK; /* bytes are not let be */
  return st;
}

/* Begins at sieve's hand, or at the first place. */
static lode_status begin (lode_coll *c, look *l) {
  order_state state;
  lode_status st = LODE_OK;
  memset(l, 0, sizeof *l);
  if (sieves(c)) {
    st = order_get_state(c, &state);
    l->place.rank = state.hand;
  }
  return st;
}

/* Keeps where sieve's hand has come to. */
static lode_status keep_hand (lode_coll *c, const look *l) {
  order_state state;
  lode_status st = LODE_OK;
  if (!sieves(c) || l->place.stored.size == 0) /* it has not moved */
    return LODE_OK;
  st = order_get_state(c, &state);
  state.hand = l->place.rank + 1;
  return st == LODE_OK ? order_set_state(c, &state) : st;
}

lode_status evict_excess (lode_coll *c, lode_slice spare) {
  uint64_t n = 0, left; /* `left`: a hook may add as many as go, and is not
                           asked twice about one that it keeps */
  unsigned looks = 0;
  look l;
  lode_status st;
  if (c->order == 0 || c->hooked || !coll_is_capped(c))
    return LODE_OK;
  st = excess(c, &n);
  if (st != LODE_OK || n == 0)
    return st;
  st = begin(c, &l);
  l.spare = spare;
  if (st == LODE_OK)
    st = item_count(c, &left);
  while (st == LODE_OK && n > 0 && looks < LOOKS_MAX && left > 0) {
    l.forced = looks >= EVICT_LOOKS;
    if (l.forced && n < LODE_CAP_SLACK)
      break;
    st = look_at_one(c, &l);
    looks += l.outcome != GONE;
    left -= l.outcome == GONE || l.outcome == KEPT;
    if (st == LODE_OK)
      st = excess(c, &n);
  }
  if (st == LODE_OK || st == LODE_ABSENT)
    st = keep_hand(c, &l);
  return st;
}
