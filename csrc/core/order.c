/*
** order.c - see order.h.
*/
#include "order.h"

#define STATE_KEY slice_of("\0", 1)
#define RANK_SIZE 8
#define HITS_SHIFT 40

/* {==================================================================
** The state
** =================================================================== */

lode_status order_get_state (lode_coll *c, order_state *state) {
  lode_slice bytes;
  lode_status st = kv_get(&c->store->write, c->order, STATE_KEY, &bytes);
  memset(state, 0, sizeof *state);
  if (st == LODE_OK && bytes.size != 16)
    return item_damaged(c);
  if (st == LODE_OK) {
    state->hand = get_u64(bytes.data);
    state->bytes = get_u64(bytes.data + 8);
  }
  return st == LODE_ABSENT ? LODE_OK : st;
}

lode_status order_set_state (lode_coll *c, const order_state *state) {
  unsigned char bytes[16];
  put_u64(bytes, state->hand);
  put_u64(bytes + 8, state->bytes);
  return kv_put(&c->store->write, c->order, STATE_KEY,
                slice_of(bytes, sizeof bytes), false);
}

static lode_status add_bytes (lode_coll *c, int64_t change) {
  order_state state;
  lode_status st = order_get_state(c, &state);
  if (st != LODE_OK)
    return st;
  if (change < 0 && state.bytes < (uint64_t)-change)
    state.bytes = 0;
  else
    state.bytes += (uint64_t)change;
  return order_set_state(c, &state);
}

/* }================================================================== */

/* {==================================================================
** Ranks
** =================================================================== */

uint64_t order_of_number (double x) {
  uint64_t bits;
  if (x != x)
    return 0;
  memcpy(&bits, &x, sizeof bits);
  return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

uint64_t order_of_hits (uint64_t hits, uint64_t now) {
  uint64_t most = hits < ORDER_HITS_MAX ? hits : ORDER_HITS_MAX;
  return most << HITS_SHIFT | (now & (((uint64_t)1 << HITS_SHIFT) - 1));
}

/* The last rank that there is; 0: none. */
static lode_status last_rank (lode_coll *c, uint64_t *rank) {
  kv_txn *t = &c->store->write;
  lode_slice key, value;
  kv_cursor *cursor;
  lode_status st = kv_cursor_open(t, c->order, &cursor);
  *rank = 0;
  if (st != LODE_OK)
    return st == LODE_ABSENT ? LODE_OK : st;
  st = kv_cursor_move(t, cursor, KV_LAST, &key, &value);
  if (st == LODE_OK && key.size > RANK_SIZE)
    *rank = get_u64(key.data);
  kv_cursor_close(cursor);
  return st == LODE_ABSENT ? LODE_OK : st;
}

lode_status order_stamp (lode_coll *c, uint64_t now, uint64_t *rank) {
  uint64_t last;
  lode_status st = last_rank(c, &last);
  if (st != LODE_OK)
    return st;
  *rank = access_stamp(c->store->shared->accesses, now);
  if (*rank <= last)
    *rank = last + 1;
  return LODE_OK;
}

lode_status order_rank (lode_coll *c, const lode_entry *e,
                        const record_parts *old, uint64_t *rank) {
  bool had = old != NULL && (old->flags & RECORD_RANK);
  uint64_t hits;
  switch (c->kept.evict) {
    case LODE_EVICT_LRU:
      return order_stamp(c, e->now, rank);
    case LODE_EVICT_LFU:
      hits = e->hits; /* all, or those noted since the place was given */
      if (had && !(old->flags & RECORD_TIMES))
        hits += old->rank >> HITS_SHIFT;
      *rank = order_of_hits(hits, e->now);
      return LODE_OK;
    case LODE_EVICT_TTL:
      *rank = e->expires;
      return LODE_OK;
    default:
      if (!had)
        return order_stamp(c, e->now, rank);
      *rank = old->rank;
      return LODE_OK;
  }
}

/* }================================================================== */

/* {==================================================================
** The index
** =================================================================== */

typedef struct place_key {
  unsigned char bytes[RANK_SIZE + LODE_KEY_ROOM];
} place_key;

static lode_slice place_of (place_key *k, uint64_t rank, lode_slice stored) {
  lode_assert(stored.size <= LODE_KEY_ROOM);
  put_u64(k->bytes, rank);
  if (stored.size > 0)
    memcpy(k->bytes + RANK_SIZE, stored.data, stored.size);
  return slice_of(k->bytes, RANK_SIZE + stored.size);
}

lode_status order_mark (lode_coll *c, lode_slice stored, uint64_t rank,
                        bool visited) {
  place_key k;
  return kv_put(&c->store->write, c->order, place_of(&k, rank, stored),
                slice_of("\1", visited), false);
}

/* Records of one bucket may share a place. */
static lode_status leave (lode_coll *c, lode_slice stored, uint64_t rank) {
  place_key k;
  bool shared;
  lode_status st = item_shares(c, stored, RECORD_RANK, rank, &shared);
  if (st == LODE_OK && !shared)
    st = kv_delete(&c->store->write, c->order, place_of(&k, rank, stored));
  return st == LODE_ABSENT ? LODE_OK : st;
}

lode_status order_changed (lode_coll *c, lode_slice stored,
                           const record_parts *old, const record_parts *new,
                           int64_t bytes) {
  bool had = old != NULL && (old->flags & RECORD_RANK);
  bool has = new != NULL && (new->flags & RECORD_RANK);
  lode_status st = LODE_OK;
  if (had && !(has && old->rank == new->rank))
    st = leave(c, stored, old->rank);
  if (st == LODE_OK && has && !(had && old->rank == new->rank))
    st = order_mark(c, stored, new->rank, false);
  if (st == LODE_OK && bytes != 0 && c->kept.max_bytes != 0)
    st = add_bytes(c, bytes);
  return st;
}

/* Whether `key` is that of a place, and small enough to be one. */
static bool is_place (lode_slice key) {
  return key.size > RANK_SIZE && key.size <= RANK_SIZE + LODE_KEY_ROOM;
}

lode_status order_next (lode_coll *c, order_place *place) {
  kv_txn *t = &c->store->write;
  place_key k = { { 0 } };
  lode_slice at = place_of(&k, place->rank, place->stored), key, value;
  kv_cursor *cursor;
  lode_status st = kv_cursor_open(t, c->order, &cursor);
  if (st != LODE_OK)
    return st;
  if (at.size == RANK_SIZE)
    at.size++; /* past the state's key */
  st = kv_cursor_seek(t, cursor, at, &key, &value);
  if (st == LODE_OK && slice_equal(key, at))
    st = kv_cursor_move(t, cursor, KV_NEXT, &key, &value);
  if (st == LODE_OK && !is_place(key))
    st = item_damaged(c);
  if (st == LODE_OK) {
    place->rank = get_u64(key.data);
    place->visited = value.size > 0;
    place->stored = slice_of(place->room, key.size - RANK_SIZE);
    memcpy(place->room, key.data + RANK_SIZE, key.size - RANK_SIZE);
  }
  kv_cursor_close(cursor);
  return st;
}

/* }================================================================== */
