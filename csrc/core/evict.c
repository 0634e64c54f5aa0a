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

typedef enum outcome { GONE, MOVED, MISSING } outcome;

typedef struct look {
  order_place place;
  bool forced;      /* whatever was noted of it */
  outcome outcome;
} look;

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
  merge_times(&parts, note);
  if (c->order != 0 && (parts.flags & RECORD_RANK)) {
    if (c->kept.evict == LODE_EVICT_SIEVE)
      st = order_mark(c, item->stored, parts.rank, true);
    else
      st = place_now(c, item, note, &parts.rank);
  }
  if (st == LODE_OK && ((parts.flags & RECORD_TIMES) ||
                        parts.rank != item->parts.rank))
    st = life_change(c, item, &parts);
  return st;
}

/* }================================================================== */

/* {==================================================================
** Candidates
** =================================================================== */

static lode_status bury (lode_coll *c, const life_item *item, look *l) {
  lode_status st = life_bury(c, item, item->alive);
  l->outcome = GONE;
  if (st == LODE_CALLBACK) { /* its hook keeps it */
    life_failed(c, item);
    l->outcome = MOVED;
    st = LODE_OK;
  }
  return st;
}

/* One that was read since it got its place gets another chance. */
static lode_status second_chance (lode_coll *c, const life_item *item,
                                  look *l) {
  access_table *a = c->store->shared->accesses;
  access_note note, *noted = NULL;
  record_parts parts = item->parts;
  lode_status st;
  if (access_find(a, c->number, item->whole, &note))
    noted = &note;
  if (c->kept.evict == LODE_EVICT_SIEVE) {
    if (noted == NULL && !l->place.visited)
      return bury(c, item, l);
    l->outcome = MOVED;
    access_forget(a, c->number, item->whole);
    return l->place.visited ? order_mark(c, item->stored, parts.rank, false)
                            : LODE_OK;
  }
  st = place_now(c, item, noted, &parts.rank);
  if (st != LODE_OK)
    return st;
  if (parts.rank == item->parts.rank)
    return bury(c, item, l);
  l->outcome = MOVED;
  if (noted != NULL)
    merge_times(&parts, noted);
  st = life_change(c, item, &parts);
  access_forget(a, c->number, item->whole);
  return st;
}

/* Looks at one record under the candidate's key. */
static lode_status consider (lode_coll *c, life_item *item, void *data) {
  look *l = data;
  lode_status st;
  if (l->outcome != MISSING || !(item->parts.flags & RECORD_RANK) ||
      item->parts.rank != l->place.rank)
    return LODE_OK;
  st = life_alive(c, &c->store->write, item->whole, &item->record,
                  &item->alive);
  if (st != LODE_OK)
    return st;
  return l->forced || !item->alive ? bury(c, item, l)
                                   : second_chance(c, item, l);
}

/* The candidate at or past `hand`; from the start again at the end. */
static lode_status candidate (lode_coll *c, uint64_t hand, look *l) {
  lode_status st = order_seek(c, hand, &l->place);
  if (st == LODE_ABSENT && hand > 0)
    st = order_seek(c, 0, &l->place);
  return st;
}

/* Looks at one candidate. ABSENT: there is none. */
static lode_status look_at_one (lode_coll *c, bool forced, uint64_t *hand,
                                look *l) {
  record_parts lost;
  lode_status st = candidate(c, *hand, l);
  if (st != LODE_OK)
    return st;
  l->forced = forced;
  l->outcome = MISSING;
  st = life_each(c, &c->store->write, l->place.stored, consider, l);
  if (st == LODE_OK && l->outcome == MISSING) { /* nobody's place */
    memset(&lost, 0, sizeof lost);
    lost.flags = RECORD_RANK;
    lost.rank = l->place.rank;
    st = order_changed(c, l->place.stored, &lost, NULL, 0);
  }
  *hand = l->place.rank + 1;
  return st;
}

/* }================================================================== */

/* By how much the cap is exceeded; 0: it isn't. */
static lode_status excess (lode_coll *c, const order_state *state,
                           uint64_t *n) {
  uint64_t count = 0, most = c->kept.max_entries;
  lode_status st = order_count(c, &count);
  *n = most != 0 && count > most ? count - most : 0;
  if (*n == 0 && c->kept.max_bytes != 0 && count > 0 &&
      state->bytes > c->kept.max_bytes)
    *n = LODE_CAP_SLACK; /* bytes are not let be */
  return st;
}

static bool sieves (const lode_coll *c) {
  return c->kept.evict == LODE_EVICT_SIEVE;
}

/* Keeps where sieve's hand has come to. */
static lode_status keep_hand (lode_coll *c, uint64_t hand) {
  order_state state;
  lode_status st = order_get_state(c, &state);
  if (st != LODE_OK || state.hand == hand)
    return st;
  state.hand = hand;
  return order_set_state(c, &state);
}

lode_status evict_excess (lode_coll *c) {
  order_state state;
  uint64_t n = 0, hand = 0;
  look l;
  lode_status st;
  if (c->order == 0 || c->hooked)
    return LODE_OK;
  st = order_get_state(c, &state);
  if (sieves(c))
    hand = state.hand;
  for (unsigned looks = 0; st == LODE_OK && looks < LOOKS_MAX; looks++) {
    bool forced = looks >= EVICT_LOOKS;
    st = excess(c, &state, &n);
    if (st != LODE_OK || n == 0 || (forced && n < LODE_CAP_SLACK))
      break;
    st = look_at_one(c, forced, &hand, &l);
    if (!sieves(c) && !(forced && l.outcome == MOVED))
      hand = 0; /* the least is first again */
    if (st == LODE_OK)
      st = order_get_state(c, &state);
  }
  if (st == LODE_OK && sieves(c))
    st = keep_hand(c, hand);
  return st == LODE_ABSENT ? LODE_OK : st;
}
