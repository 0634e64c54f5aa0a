/*
** entry.c - single entries, and loads of many. See lode.h and handle.h.
*/
#include <stdlib.h>

#include "behind.h"
#include "entry.h"
#include "sweep.h"

/* {==================================================================
** Keys
** =================================================================== */

bool lode_key_is_long (const lode_coll *coll, size_t size) {
  return size >= LODE_KEY_ROOM && !coll->kept.raw;
}

lode_status lode_key_of (lode_coll *coll, lode_slice whole, lode_slice hash,
                         lode_key *key) {
  lode_store *s;
  lode_status st = coll_store(coll, &s);
  size_t most = coll->kept.raw ? KV_KEY_MAX : LODE_KEY_MAX;
  if (st != LODE_OK)
    return st;
  if (whole.size == 0)
    return fail(&s->error, LODE_BAD_KEY, "an empty key can't be stored; a "
                "key has 1 byte or more");
  if (whole.size > most)
    return fail(&s->error, LODE_BAD_KEY, "the key has %llu bytes; a key has "
                "at most %llu: keep what is longer in the value",
                (unsigned long long)whole.size, (unsigned long long)most);
  key->whole = whole;
  if (lode_key_is_long(coll, whole.size))
    key_store(key, hash, s->secret);
  else
    key->stored = whole;
  return LODE_OK;
}

/* As lode_key_of_string, for strings that are long, or come first. */
static lode_status key_of_any_string (lode_coll *coll, lode_slice s,
                                      lode_buffer *b, lode_key *key) {
  static const lode_slice no_hash = { NULL, 0 };
  lode_store *store;
  lode_status st = coll_store(coll, &store);
  if (st != LODE_OK)
    return st;
  st = lode_buffer_reserve(b, LODE_KEY_ROOM); /* for the next time, too */
  if (st == LODE_OK)
    st = lode_key_string(b, s.data, s.size);
  if (st == LODE_OK)
    return lode_key_of(coll, slice_of_buffer(b), no_hash, key);
  if (st == LODE_NO_MEMORY)
    return handle_no_memory(store);
  return fail(&store->error, st, "a key has at most %llu bytes; keep "
              "what is longer in the value",
              (unsigned long long)LODE_KEY_MAX);
}

lode_status lode_key_of_string (lode_coll *coll, lode_slice s,
                                lode_buffer *b, lode_key *key) {
  b->size = 0;
  if (s.size >= KEY_PREFIX || b->room < LODE_KEY_ROOM)
    return key_of_any_string(coll, s, b, key);
  b->data[0] = KEY_STRING;
  if (s.size > 0)
    memcpy(b->data + 1, s.data, s.size);
  b->size = s.size + 1;
  key->whole = key->stored = slice_of_buffer(b);
  return LODE_OK;
}

/* }================================================================== */

/* {==================================================================
** Reading
** =================================================================== */

/* Notes that an entry was read. What there is no memory for goes unnoted. */
static lode_status note_access (lode_coll *c, const lode_key *key) {
  uint64_t now;
  lode_status st = clock_now(&c->store->clock, &now);
  if (st == LODE_OK)
    (void)access_add(c->store->shared->accesses, c->number, key->stored,
                     key->whole, now);
  return st;
}

lode_status lode_peek (lode_coll *c, const lode_key *key,
                       lode_value *value) {
  record r;
  bool alive, found;
  lode_store *s;
  kv_txn *t;
  lode_status st = coll_store(c, &s);
  if (st != LODE_OK)
    return st;
  s->seen = atomic_load_explicit(&s->shared->queue->last,
                                 memory_order_acquire);
  if (lode_unlikely(queue_any(s->shared->queue))) {
    st = behind_get(c, key, value, &found);
    if (found || st != LODE_OK)
      return st;
  }
  st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = item_get(c, t, key->stored, key->whole, &r);
  c->until = LODE_NEVER;
  if (lode_unlikely(st == LODE_OK && r.flags != 0)) {
    st = life_judge(c, t, key->whole, &r, &alive);
    if (r.flags & RECORD_LIFE)
      c->until = st == LODE_OK && alive ? record_deadline(&r) : 0;
    if (st == LODE_OK && !alive)
      st = LODE_ABSENT;
  }
  if (lode_unlikely(st != LODE_OK)) {
    if (st == LODE_ABSENT) {
      lode_status stands = coll_stands(c, t);
      st = stands == LODE_OK ? LODE_ABSENT : stands;
    }
    handle_done(s);
  }
  else if (lode_unlikely(c->drop_depth > 0 || c->gone)) {
    handle_done(s);
    st = coll_gone(c);
  }
  else
    *value = r.value;
  return st;
}

lode_status lode_get (lode_coll *c, const lode_key *key, lode_value *value) {
  lode_status st = lode_peek(c, key, value);
  if (lode_likely(st == LODE_OK || st == LODE_ABSENT))
    handle_count(c->store, st == LODE_OK);
  if (lode_unlikely(st == LODE_OK && c->track)) {
    st = note_access(c, key);
    if (st != LODE_OK)
      handle_done(c->store);
  }
  return st;
}

void lode_validity_of (const lode_coll *c, lode_validity *v) {
  const lode_store *s = c->store;
  v->commit = 0;
  v->pending = s != NULL ? s->seen : 0;
  v->expires = c->track ? 0 : c->until;
  if (s != NULL && s->write.depth == 0 && s->snapshots == 0)
    v->commit = kv_read_number(&s->read);
}

/*
** The commit comes last: the floors of the clock change only with one, and
** its mark falls only after one, so they can't have gone unseen.
*/
bool lode_is_valid (lode_store *s, const lode_validity *v) {
  if (s->write.depth > 0 || s->snapshots > 0 || v->commit == 0)
    return false;
  if (lode_unlikely(v->expires != LODE_NEVER) &&
      !clock_before(&s->clock, v->expires))
    return false;
  return kv_last_commit(&s->commits) == v->commit &&
         atomic_load_explicit(&s->shared->queue->last,
                              memory_order_acquire) == v->pending;
}

void lode_done (lode_coll *c) {
  if (c->store != NULL)
    handle_done(c->store);
}

lode_status lode_has (lode_coll *c, const lode_key *key) {
  lode_value value;
  lode_status st = lode_peek(c, key, &value);
  if (st == LODE_OK || st == LODE_ABSENT)
    handle_count(c->store, st == LODE_OK);
  lode_done(c);
  return st;
}

/* Entries that are alive, as `t` sees them, and those that have died. */
static lode_status count_all (lode_coll *c, kv_txn *t, uint64_t *n,
                              uint64_t *dead) {
  kv_db_stats stats;
  int64_t extra = 0;
  lode_status st = kv_db_measure(t, c->db, &stats);
  *dead = 0;
  if (st == LODE_OK && !c->kept.raw)
    st = catalog_extra(t, c->number, &extra);
  if (st == LODE_OK)
    st = life_count_dead(c, t, dead);
  if (st == LODE_OK)
    *n = stats.entries + (uint64_t)extra - *dead;
  return st;
}

lode_status entry_count (lode_coll *c, uint64_t *n, uint64_t *dead) {
  lode_store *s;
  kv_txn *t;
  lode_status st = coll_store(c, &s);
  if (st == LODE_OK)
    st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = coll_stands(c, t);
  if (st == LODE_OK)
    st = count_all(c, t, n, dead);
  handle_done(s);
  return st;
}

lode_status lode_len (lode_coll *c, uint64_t *n) {
  uint64_t dead;
  lode_store *s;
  lode_status st = coll_store(c, &s);
  if (st == LODE_OK)
    st = handle_catch_up(s);
  return st == LODE_OK ? entry_count(c, n, &dead) : st;
}

/* }================================================================== */

/* {==================================================================
** Writing
** =================================================================== */

/* Ends it: what goes on the side of a write is done before its commit. */
static lode_status end (lode_coll *c, bool own, lode_status st) {
  if (own && st == LODE_OK && !c->store->ahead)
    st = sweep_inline(c->store, c);
  return handle_written(c->store, own, st);
}

/* LMDB writes no value of 2 GiB; far below that it is no good idea either. */
static lode_status check_size (lode_coll *c, const lode_key *key,
                               lode_value value) {
  lode_store *s = c->store;
  size_t size = key->whole.size + value.data.size;
  if (c->kept.max_bytes != 0 && size > c->kept.max_bytes)
    return fail(&s->error, LODE_BAD_VALUE, "key and value have %llu bytes, "
                "more than the whole collection may have (max_bytes %llu); "
                "raise that, or leave it out",
                (unsigned long long)size,
                (unsigned long long)c->kept.max_bytes);
  if (value.data.size <= ((size_t)1 << 30))
    return LODE_OK;
  return fail(&s->error, LODE_BAD_VALUE, "the value has %llu bytes; at most "
              "1 GiB is allowed", (unsigned long long)value.data.size);
}

/* A plain write looks at what is there only when it must. */
static lode_status put_plain (lode_coll *c, const lode_key *key,
                              lode_value value, lode_put_mode mode) {
  record old;
  lode_status st;
  if (mode != LODE_PUT) {
    st = item_get(c, &c->store->write, key->stored, key->whole, &old);
    if (st == LODE_OK && mode == LODE_ADD)
      return LODE_EXISTS;
    if (st != LODE_OK && !(st == LODE_ABSENT && mode == LODE_ADD))
      return st;
  }
  return item_put(c, key->stored, key->whole, value, NULL);
}

lode_status entry_put (lode_coll *c, const lode_key *key, lode_value value,
                       lode_put_mode mode, uint64_t ttl,
                       const lode_fetch_life *fetched) {
  lode_status st = check_size(c, key, value);
  if (st != LODE_OK)
    return st;
  if (lode_likely(!c->timed && fetched == NULL &&
                  (ttl == LODE_TTL_OWN || ttl >= LODE_TTL_KEEP)))
    return put_plain(c, key, value, mode);
  if (c->kept.raw)
    return fail(&c->store->error, LODE_BAD_ARGUMENT, "a raw collection "
                "keeps the bytes as they are, so its entries have no time "
                "to live");
  st = life_put(c, key->stored, key->whole, value, mode, ttl, fetched);
  return st == LODE_OK ? evict_excess(c, key->whole) : st;
}

lode_status entry_delete (lode_coll *c, lode_slice stored,
                          lode_slice whole) {
  return lode_unlikely(c->timed) ? life_delete(c, stored, whole)
                                 : item_delete(c, stored, whole);
}

lode_status lode_put (lode_coll *c, const lode_key *key, lode_value value,
                      lode_put_mode mode, uint64_t ttl) {
  bool own, taken = false;
  lode_store *s;
  lode_status st = coll_store(c, &s);
  if (st == LODE_OK && s->behind && mode == LODE_PUT) {
    st = check_size(c, key, value);
    if (st == LODE_OK)
      st = behind_put(c, key, value, ttl, &taken);
  }
  if (st != LODE_OK || taken)
    return st;
  st = coll_write(c, &own);
  if (st != LODE_OK)
    return st;
  st = entry_put(c, key, value, mode, ttl, NULL);
  return end(c, own, st);
}

/* Deletes it from the file. */
static lode_status delete_now (lode_coll *c, const lode_key *key) {
  bool own;
  lode_status st = coll_write(c, &own);
  if (st != LODE_OK)
    return st;
  st = entry_delete(c, key->stored, key->whole);
  if (st != LODE_ABSENT)
    return end(c, own, st);
  st = handle_written(c->store, own, LODE_OK); /* what was hidden is gone */
  return st == LODE_OK ? LODE_ABSENT : st;
}

lode_status lode_delete (lode_coll *c, const lode_key *key) {
  bool taken = false;
  lode_store *s;
  lode_status st = coll_store(c, &s);
  if (st == LODE_OK && s->behind)
    st = behind_delete(c, key, &taken);
  if (st != LODE_OK || taken)
    return st;
  if (lode_unlikely(c->hooks.removed == NULL && behind_ahead(s))) {
    st = behind_forget(c, key, delete_now(c, key));
    behind_ahead_end(s);
    return st;
  }
  return delete_now(c, key);
}

/* Empties the tree and what goes with it. */
static lode_status clear_all (lode_coll *c, kv_txn *t) {
  lode_status st = kv_db_clear(t, c->db);
  if (st == LODE_OK && !c->kept.raw)
    st = catalog_set_extra(t, c->number, 0);
  if (st == LODE_OK && c->due != 0)
    st = kv_db_clear(t, c->due);
  if (st == LODE_OK && c->order != 0)
    st = kv_db_clear(t, c->order);
  if (c->track) {
    const access_txn notes = handle_notes(c->store);
    access_drop_aside(c->store->shared->accesses, &notes, c->number);
  }
  return st;
}

/* As lode_clear, in the file. */
static lode_status clear_now (lode_coll *c, uint64_t *n) {
  uint64_t before = 0;
  bool own;
  lode_status st = coll_write(c, &own);
  if (st != LODE_OK)
    return st;
  st = lode_len(c, &before);
  if (st == LODE_OK)
    st = clear_all(c, &c->store->write);
  st = handle_written(c->store, own, st);
  if (st == LODE_OK)
    *n = before;
  return st;
}

lode_status lode_clear (lode_coll *c, uint64_t *n) {
  queue_found ignored;
  lode_store *s;
  lode_status st = coll_store(c, &s);
  if (st != LODE_OK || lode_likely(!behind_ahead(s)))
    return st != LODE_OK ? st : clear_now(c, n);
  st = clear_now(c, n);
  if (st == LODE_OK)
    queue_forget(s->shared->queue, c->number, NULL, &ignored);
  behind_ahead_end(s);
  return st;
}

/* }================================================================== */

/* {==================================================================
** Batches
** =================================================================== */

/*
**   pair := key size (4) record size (4) whole size (4)
**           stored key, record, whole key (of a long key only)
*/
#define PAIR_HEAD 12

struct lode_batch {
  lode_coll *coll;
  lode_buffer pairs;
  lode_buffer order;  /* size_t offsets of pairs, as they came */
  size_t last;        /* offset of the latest */
  bool ascending;     /* they came sorted, none twice */
  uint64_t ttl;
  uint64_t added;     /* of those written */
};

typedef struct pair {
  lode_slice stored, record, whole;
} pair;

static pair pair_at (const unsigned char *p) {
  pair x;
  x.stored = slice_of(p + PAIR_HEAD, get_u32(p));
  x.record = slice_of(x.stored.data + x.stored.size, get_u32(p + 4));
  x.whole = slice_of(x.record.data + x.record.size, get_u32(p + 8));
  if (x.whole.size == 0)
    x.whole = x.stored;
  return x;
}

static int pair_compare (const void *a, const void *b) {
  const unsigned char *p = *(unsigned char *const *)a;
  const unsigned char *q = *(unsigned char *const *)b;
  pair x = pair_at(p), y = pair_at(q);
  int c = key_compare(x.stored, x.whole, y.stored, y.whole);
  return c != 0 ? c : (p > q) - (p < q); /* equal keys stay in turn */
}

lode_status lode_batch_begin (lode_coll *c, uint64_t ttl,
                              lode_batch **batch) {
  lode_store *s;
  lode_status st = coll_store(c, &s);
  lode_batch *b;
  if (st != LODE_OK)
    return st;
  b = lode_malloc(sizeof *b);
  if (b == NULL)
    return handle_no_memory(s);
  memset(b, 0, sizeof *b);
  b->coll = c;
  b->ascending = true;
  b->ttl = ttl;
  *batch = b;
  return LODE_OK;
}

size_t lode_batch_pending (const lode_batch *b) { return b->pairs.size; }

uint64_t lode_batch_added (const lode_batch *b) { return b->added; }

lode_status lode_batch_add (lode_batch *b, const lode_key *key,
                            lode_value value) {
  lode_coll *c = b->coll;
  bool is_long = item_in_bucket(c, key->stored);
  size_t record = c->kept.raw ? value.data.size : record_size(value, NULL);
  size_t whole = is_long ? key->whole.size : 0;
  size_t size = PAIR_HEAD + key->stored.size + record + whole;
  size_t at = b->pairs.size;
  unsigned char *p;
  lode_store *s;
  lode_status st = coll_store(c, &s);
  if (st == LODE_OK)
    st = check_size(c, key, value);
  if (st != LODE_OK)
    return st;
  if (lode_buffer_reserve(&b->pairs, size) != LODE_OK ||
      lode_buffer_add(&b->order, &at, sizeof at) != LODE_OK)
    return handle_no_memory(s);
  p = b->pairs.data + at;
  put_u32(p, (uint32_t)key->stored.size);
  put_u32(p + 4, (uint32_t)record);
  put_u32(p + 8, (uint32_t)whole);
  p += PAIR_HEAD;
  memcpy(p, key->stored.data, key->stored.size);
  p += key->stored.size;
  if (!c->kept.raw)
    record_write(p, &c->check, key->whole, value, NULL);
  else if (record > 0)
    memcpy(p, value.data.data, record);
  if (whole > 0)
    memcpy(p + record, key->whole.data, whole);
  b->pairs.size += size;
  if (at > 0 && b->ascending) {
    pair before = pair_at(b->pairs.data + b->last);
    b->ascending = key_compare(before.stored, before.whole, key->stored,
                               key->whole) < 0;
  }
  b->last = at;
  return LODE_OK;
}

/* A copy of the last key that the tree holds; empty when it holds none. */
static lode_status last_key (lode_coll *c, unsigned char room[KV_KEY_MAX],
                             lode_slice *last) {
  kv_txn *t = &c->store->write;
  lode_slice key, value;
  kv_cursor *cursor;
  lode_status st = kv_cursor_open(t, c->db, &cursor);
  *last = slice_of(room, 0);
  if (st != LODE_OK)
    return st;
  st = kv_cursor_move(t, cursor, KV_LAST, &key, &value);
  if (st == LODE_OK && key.size <= KV_KEY_MAX) {
    memcpy(room, key.data, key.size);
    last->size = key.size;
  }
  kv_cursor_close(cursor);
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* Writes a member, and counts it if it is new. */
static lode_status put_member (lode_batch *b, const lode_key *key,
                               lode_value value) {
  lode_status st = entry_put(b->coll, key, value, LODE_ADD, b->ttl, NULL);
  if (st == LODE_EXISTS)
    return entry_put(b->coll, key, value, LODE_PUT, b->ttl, NULL);
  b->added += st == LODE_OK;
  return st;
}

/* One pair whose record is not just to be put. */
static lode_status write_opened (lode_batch *b, const pair *x) {
  lode_coll *c = b->coll;
  lode_key key;
  record r;
  if (c->kept.raw) {
    r.value.data = x->record;
    r.value.codec = LODE_BYTES;
  }
  else if (record_read(&c->check, x->whole, x->record, &r) != LODE_OK)
    return item_damaged(c);
  key.whole = x->whole;
  key.stored = x->stored;
  if (r.value.codec == LODE_NOTHING)
    return put_member(b, &key, r.value);
  return entry_put(c, &key, r.value, LODE_PUT, b->ttl, NULL);
}

/* One pair: appended when it lies past the `last` key of the tree. */
static lode_status write_pair (lode_batch *b, const pair *x,
                               lode_slice *last) {
  lode_coll *c = b->coll;
  bool append = slice_compare(x->stored, *last) > 0;
  if (append)
    *last = x->stored;
  if (c->timed || b->ttl != LODE_TTL_OWN || item_in_bucket(c, x->stored))
    return write_opened(b, x);
  return kv_put(&c->store->write, c->db, x->stored, x->record, append);
}

static lode_status write_pairs (lode_batch *b) {
  const unsigned char **at = (const unsigned char **)(void *)b->order.data;
  size_t n = b->order.size / sizeof(size_t);
  unsigned char room[KV_KEY_MAX];
  lode_slice last;
  lode_status st = last_key(b->coll, room, &last);
  if (!b->ascending)
    qsort(at, n, sizeof *at, pair_compare);
  for (size_t i = 0; st == LODE_OK && i < n; i++) {
    pair x = pair_at(at[i]);
    if (!b->ascending && i + 1 < n) { /* of equal keys the last one stays */
      pair next = pair_at(at[i + 1]);
      if (key_compare(x.stored, x.whole, next.stored, next.whole) == 0)
        continue;
    }
    st = write_pair(b, &x, &last);
  }
  return st;
}

/*
** Writes them and counts what is new: by the tree where nothing can have
** died or been evicted meanwhile, which needs no look at each.
*/
static lode_status write_counted (lode_batch *b) {
  lode_coll *c = b->coll;
  bool plain = !c->timed && b->ttl == LODE_TTL_OWN;
  uint64_t before = 0, after = 0, dead, added = b->added;
  lode_status st = LODE_OK;
  if (plain)
    st = entry_count(c, &before, &dead);
  if (st == LODE_OK)
    st = write_pairs(b);
  if (st == LODE_OK && plain) {
    st = entry_count(c, &after, &dead);
    b->added = added + after - before;
  }
  return st;
}

lode_status lode_batch_write (lode_batch *b) {
  bool own;
  lode_status st = coll_write(b->coll, &own);
  size_t n = b->order.size / sizeof(size_t);
  if (st != LODE_OK)
    return st;
  _Static_assert(sizeof(size_t) == sizeof(unsigned char *), "one for one");
  for (size_t i = 0; i < n; i++) { /* from offsets to addresses */
    size_t offset;
    unsigned char *p;
    memcpy(&offset, b->order.data + i * sizeof offset, sizeof offset);
    p = b->pairs.data + offset;
    memcpy(b->order.data + i * sizeof p, &p, sizeof p);
  }
  if (n > 0)
    st = write_counted(b);
  b->pairs.size = b->order.size = b->last = 0;
  b->ascending = true;
  return end(b->coll, own, st);
}

void lode_batch_end (lode_batch *b) {
  if (b == NULL)
    return;
  lode_buffer_free(&b->pairs);
  lode_buffer_free(&b->order);
  lode_free(b);
}

/* }================================================================== */
