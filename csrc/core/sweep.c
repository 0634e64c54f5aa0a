/*
** sweep.c - see sweep.h.
*/
#include "sweep.h"
#include "order.h"

#define CALL_SIZE 8
#define KEEP_FEW 16       /* accesses that a write keeps on the side */
#define KEEP_INTERVAL 1000 /* ms between such writes, where few wait */
#define TURN 8            /* every so many writes sweep another collection */

/* {==================================================================
** One call
** =================================================================== */

typedef struct waking { /* a call that is being answered */
  uint64_t call, now;
  bool answered;        /* a record had this call */
  bool passed_over;     /* and it stays in the index */
  uint64_t removed;
  uint64_t left;        /* records that may still be looked at */
} waking;

/* Forgets what was noted of an entry and merges it into `parts`. */
static void merge_note (lode_coll *c, const life_item *item,
                        record_parts *parts) {
  access_table *a = c->store->shared->accesses;
  access_note note;
  if (!(parts->flags & RECORD_TIMES) ||
      !access_find(a, c->number, item->whole, UINT64_MAX, &note))
    return;
  parts->hits += note.hits;
  if (note.atime > parts->atime)
    parts->atime = note.atime;
  coll_forget(c, item->stored, item->whole, false);
}

/* Gives the record a new deadline (LODE_NEVER: none), and its call. */
static lode_status prolong (lode_coll *c, const life_item *item,
                            uint64_t deadline, waking *w) {
  record_parts parts = item->parts;
  lode_store *s = c->store;
  uint64_t now = w->now;
  lode_status st = clock_era(&s->clock, &s->write, &parts.era, &now);
  if (st != LODE_OK)
    return st;
  merge_note(c, item, &parts);
  if (deadline == LODE_NEVER)
    parts.flags &= ~(unsigned)(RECORD_LIFE | RECORD_ASKS);
  if (deadline > RECORD_TIME_MAX)
    deadline = RECORD_TIME_MAX;
  parts.deadline = parts.call = deadline;
  w->passed_over |= deadline == w->call;
  return life_change(c, item, &parts);
}

/*
** Moves the call of a record that is still alive to its deadline. It may be
** there already: the index is read up to the floors of earlier eras.
*/
static lode_status postpone (lode_coll *c, const life_item *item,
                             waking *w) {
  record_parts parts = item->parts;
  if (parts.call == parts.deadline) {
    w->passed_over = true;
    return LODE_OK;
  }
  parts.call = parts.deadline;
  return life_change(c, item, &parts);
}

/* An entry past its end that may still be shown as stale is hidden. */
static lode_status hide (lode_coll *c, const life_item *item) {
  record_parts parts = item->parts;
  parts.flags |= RECORD_HIDDEN;
  parts.flags &= ~(unsigned)(RECORD_ASKS | RECORD_RANK);
  parts.deadline += parts.stale;
  if (parts.deadline > RECORD_TIME_MAX)
    parts.deadline = RECORD_TIME_MAX;
  parts.call = parts.deadline;
  return life_change(c, item, &parts);
}

static lode_status die (lode_coll *c, const life_item *item, waking *w) {
  lode_status st;
  if (life_waits(c)) /* the hooks' owner was collected by a callback */
    return LODE_CALLBACK;
  if (item->parts.stale > 0 && !(item->parts.flags & RECORD_HIDDEN)) {
    w->removed++;
    return hide(c, item);
  }
  st = life_bury(c, item, false);
  if (st == LODE_OK && !(item->parts.flags & RECORD_HIDDEN))
    w->removed++;
  return st;
}

/* Answers the call of a record. */
static lode_status answer (lode_coll *c, const life_item *item, waking *w) {
  const record_parts *parts = &item->parts;
  bool asks = (parts->flags & RECORD_ASKS) && c->hooks.deadline != NULL;
  uint64_t time = w->now, expires = parts->deadline;
  lode_entry e;
  lode_status st = clock_floor(&c->store->clock, &c->store->write, parts->era,
                               &time);
  if (st == LODE_OK && asks) {
    life_describe(c, NULL, item->whole, item->record.value, parts, w->now,
                  &e);
    st = life_ask(c, &c->store->write, &e, &expires);
  }
  if (st != LODE_OK)
    return st;
  if (expires > time)
    return asks ? prolong(c, item, expires, w) : postpone(c, item, w);
  if (expires <= w->now)
    clock_passed(&c->store->clock, expires);
  return die(c, item, w);
}

static lode_status wake (lode_coll *c, life_item *item, void *data) {
  waking *w = data;
  lode_status st;
  if (!(item->parts.flags & RECORD_LIFE) || item->parts.call != w->call)
    return LODE_OK;
  w->answered = true;
  if (w->left == 0) /* the rest of a bucket keeps the call */
    return LODE_OK;
  w->left--;
  st = answer(c, item, w);
  if (st == LODE_CALLBACK) {
    life_failed(c, item);
    w->passed_over = true;
    st = LODE_OK;
  }
  return st;
}

/* }================================================================== */

/* {==================================================================
** The calls that are due
** =================================================================== */

typedef struct due_call { /* copied out of the index */
  unsigned char room[KV_KEY_MAX];
  lode_slice key;
} due_call;

/* The first call after `after` (empty: of all), copied. ABSENT. */
static lode_status next_call (lode_coll *c, kv_txn *t, lode_slice after,
                              due_call *call) {
  lode_slice key, value;
  kv_cursor *cursor;
  lode_status st = kv_cursor_open(t, c->due, &cursor);
  if (st != LODE_OK)
    return st;
  st = after.size > 0 ? kv_cursor_seek(t, cursor, after, &key, &value)
                      : kv_cursor_move(t, cursor, KV_FIRST, &key, &value);
  if (st == LODE_OK && after.size > 0 && slice_equal(key, after))
    st = kv_cursor_move(t, cursor, KV_NEXT, &key, &value);
  if (st == LODE_OK && (key.size <= CALL_SIZE ||
                        key.size > CALL_SIZE + LODE_KEY_ROOM))
    st = item_damaged(c);
  if (st == LODE_OK) {
    memcpy(call->room, key.data, key.size);
    call->key = slice_of(call->room, key.size);
  }
  kv_cursor_close(cursor);
  return st;
}

/*
** Answers the call; one that no record has is taken out. A damaged record is
** passed over: its readers are told, not who happens to write beside it.
*/
static lode_status answer_call (lode_coll *c, const due_call *call,
                                waking *w) {
  lode_slice stored = slice_of(call->key.data + CALL_SIZE,
                               call->key.size - CALL_SIZE);
  lode_status st;
  w->call = get_u64(call->key.data);
  w->answered = w->passed_over = false;
  st = life_each(c, &c->store->write, stored, wake, w);
  if (st == LODE_CORRUPT) {
    w->passed_over = true;
    st = LODE_OK;
  }
  else if (st == LODE_OK && !w->answered)
    st = kv_delete(&c->store->write, c->due, call->key);
  if (st == LODE_OK && w->passed_over &&
      buffer_set(&c->sweep, call->key.data, call->key.size) != LODE_OK)
    st = handle_no_memory(c->store);
  return st == LODE_ABSENT ? LODE_OK : st;
}

static lode_status answer_calls (lode_coll *c, uint64_t most, uint64_t until,
                                 waking *w, bool *more) {
  due_call call;
  lode_status st = LODE_OK;
  *more = false;
  for (w->left = most; st == LODE_OK && !life_waits(c);) {
    st = next_call(c, &c->store->write, slice_of_buffer(&c->sweep), &call);
    if (st == LODE_ABSENT ||
        (st == LODE_OK && get_u64(call.key.data) > until)) {
      c->sweep.size = 0; /* the next one begins at the front */
      return LODE_OK;
    }
    *more = st == LODE_OK && w->left == 0;
    if (*more)
      return LODE_OK;
    if (st == LODE_OK)
      st = answer_call(c, &call, w);
  }
  return st;
}

lode_status sweep_coll (lode_coll *c, uint64_t most, uint64_t *until,
                        uint64_t *removed, bool *more) {
  lode_store *s = c->store;
  bool lenient = s->write.lenient;
  waking w = { 0, 0, false, false, 0, 0 };
  uint64_t latest;
  lode_status st;
  *more = false;
  if (c->due == 0 || life_waits(c) || s->sweeping)
    return LODE_OK;
  st = clock_now(&s->clock, &w.now);
  latest = w.now;
  if (st == LODE_OK)
    st = clock_latest(&s->clock, &s->write, &latest);
  if (st != LODE_OK)
    return st;
  if (*until == 0 || *until > latest)
    *until = latest;
  s->sweeping = s->write.lenient = true;
  st = answer_calls(c, most, *until, &w, more);
  s->sweeping = false;
  s->write.lenient = lenient;
  if (w.removed > 0) {
    s->last_sweep = w.now;
    s->swept += w.removed;
    *removed += w.removed;
  }
  return st;
}

lode_status sweep_needed (lode_coll *c, kv_txn *t, uint64_t until, bool *due,
                          bool *noted) {
  due_call call;
  uint64_t now;
  lode_status st = LODE_ABSENT;
  *due = *noted = false;
  *noted = c->track && access_count_of(c->store->shared->accesses,
                                       c->number) > 0;
  if (c->due != 0 && !life_waits(c))
    st = next_call(c, t, slice_of(NULL, 0), &call);
  if (st != LODE_OK)
    return st == LODE_ABSENT ? LODE_OK : st;
  st = clock_now(&c->store->clock, &now);
  if (st == LODE_OK)
    st = clock_latest(&c->store->clock, t, &now);
  if (until == 0 || until > now)
    until = now;
  *due = st == LODE_OK && get_u64(call.key.data) <= until;
  return st;
}

/* }================================================================== */

/* {==================================================================
** Noted accesses
** =================================================================== */

/*
** Finds the record of an access, and whether it is to be kept there. A
** policy is not asked: this access, which may be what keeps the entry, was
** taken out of the notes, and who asks later is to see it in the record.
*/
static lode_status find_noted (lode_coll *c, const access_note *note,
                               life_item *item, bool *keep) {
  kv_txn *t = &c->store->write;
  lode_status st;
  memset(item, 0, sizeof *item);
  item->stored = note->stored;
  item->whole = note->whole;
  *keep = false;
  st = item_get(c, t, note->stored, note->whole, &item->record);
  if (st != LODE_OK)
    return st == LODE_ABSENT ? LODE_OK : st;
  record_read_parts(&item->record, &item->parts);
  item->there = *keep = true;
  if (!(item->parts.flags & RECORD_ASKS))
    st = life_alive(c, t, note->whole, &item->record, keep);
  return st;
}

lode_status sweep_keep (lode_coll *c, uint64_t most) {
  access_table *a = c->store->shared->accesses;
  const access_txn notes = handle_notes(c->store);
  lode_buffer room = { NULL, 0, 0 };
  access_note note;
  life_item item;
  bool keep;
  lode_status st = LODE_OK;
  if (!c->track)
    return LODE_OK;
  for (uint64_t n = 0; st == LODE_OK && n < most; n++) {
    st = access_take_aside(a, &notes, c->number, &room, &note);
    if (st != LODE_OK)
      break;
    st = find_noted(c, &note, &item, &keep);
    if (st == LODE_OK && keep)
      st = evict_keep(c, &item, &note);
    else if (st == LODE_CALLBACK || st == LODE_CORRUPT)
      st = LODE_OK; /* the clock has failed, or a reader will be told */
  }
  lode_buffer_free(&room);
  if (st == LODE_NO_MEMORY)
    return handle_no_memory(c->store);
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* }================================================================== */

/* {==================================================================
** On the side of a write
** =================================================================== */

/* The collection whose turn it is, of those that have deadlines. */
static lode_coll *next_turn (lode_store *s) {
  lode_coll *c;
  unsigned n = 0, i = 0;
  for (c = s->colls; c != NULL; c = c->next)
    n += c->timed;
  if (n == 0)
    return NULL;
  for (c = s->colls; c != NULL; c = c->next)
    if (c->timed && i++ == s->turn / TURN % n)
      break;
  return c;
}

/*
** Whether accesses noted of `c` are to be kept along with this write: the
** sooner after the last time the more there are, so that after an interval
** few are left, if there are writes enough.
*/
static bool may_keep (lode_store *s, const lode_coll *c) {
  uint64_t now, kept = s->shared->kept;
  uint64_t n = access_count_of(s->shared->accesses, c->number);
  if (n == 0 || clock_now(&s->clock, &now) != LODE_OK ||
      (now >= kept && now - kept < KEEP_INTERVAL / (1 + 8 * (n / KEEP_FEW))))
    return false;
  s->shared->kept = now;
  return true;
}

/* The thread of maintain.h has no hooks: it leaves what needs them. */
static bool sweeps_inline (const lode_store *s, const lode_coll *c) {
  return s->maintenance == LODE_INLINE || c->kept.policy.size > 0 ||
         c->kept.on_expire;
}

static lode_status sweep_one (lode_store *s, lode_coll *c) {
  uint64_t until = 0, removed = 0;
  bool more;
  bool own;
  lode_status st;
  if (c == NULL || c->gone || c->drop_depth > 0)
    return LODE_OK;
  st = coll_write(c, &own); /* in the open transaction */
  if (st != LODE_OK || !c->timed)
    return st == LODE_NOT_FOUND ? LODE_OK : st;
  if (sweeps_inline(s, c))
    st = sweep_coll(c, SWEEP_FEW, &until, &removed, &more);
  if (st == LODE_OK && c->track && may_keep(s, c))
    st = sweep_keep(c, KEEP_FEW);
  return st;
}

lode_status sweep_inline (lode_store *s, lode_coll *c) {
  lode_coll *turn;
  lode_status st;
  if (s->sweeping || s->maintenance == LODE_OFF)
    return LODE_OK;
  st = sweep_one(s, c);
  if (st != LODE_OK || (c != NULL && ++s->turn % TURN != 0))
    return st;
  if (c == NULL)
    s->turn += TURN;
  turn = next_turn(s);
  return turn == c ? LODE_OK : sweep_one(s, turn);
}

/* }================================================================== */

/* {==================================================================
** Beginning anew
** =================================================================== */

typedef struct rearming {
  uint64_t now, bytes;
} rearming;

/* Gives one record what the options of its collection now ask for. */
static lode_status rearm_one (lode_coll *c, life_item *item, void *data) {
  rearming *all = data;
  record_parts parts;
  lode_status st;
  item->parts.flags &= ~(unsigned)RECORD_RANK; /* that index is empty now */
  if (item->parts.flags & RECORD_HIDDEN)
    return LODE_OK;
  st = life_alive(c, &c->store->write, item->whole, &item->record,
                  &item->alive);
  if (st != LODE_OK)
    return st;
  if (!item->alive) { /* it has time to be swept, or goes first */
    parts = item->parts;
    if (coll_is_capped(c))
      parts.flags |= RECORD_RANK;
    parts.rank = 0;
  }
  else if ((st = life_renew(c, item, all->now, &parts)) != LODE_OK)
    return st;
  all->bytes += item->whole.size + item->record.value.data.size;
  return life_change(c, item, &parts);
}

/* The first key of the tree after `last`, copied there. */
static lode_status next_key (lode_coll *c, lode_buffer *last) {
  kv_txn *t = &c->store->write;
  lode_slice key, value, after = slice_of_buffer(last);
  kv_cursor *cursor;
  lode_status st = kv_cursor_open(t, c->db, &cursor);
  if (st != LODE_OK)
    return st;
  st = after.size > 0 ? kv_cursor_seek(t, cursor, after, &key, &value)
                      : kv_cursor_move(t, cursor, KV_FIRST, &key, &value);
  if (st == LODE_OK && after.size > 0 && slice_equal(key, after))
    st = kv_cursor_move(t, cursor, KV_NEXT, &key, &value);
  if (st == LODE_OK && key.size > LODE_KEY_ROOM)
    st = item_damaged(c);
  if (st == LODE_OK && buffer_set(last, key.data, key.size) != LODE_OK)
    st = handle_no_memory(c->store);
  kv_cursor_close(cursor);
  return st;
}

lode_status sweep_rearm (lode_coll *c) {
  lode_buffer at = { NULL, 0, 0 };
  rearming all = { 0, 0 };
  order_state state = { 0, 0 };
  uint16_t era;
  uint64_t now;
  lode_status st = clock_now(&c->store->clock, &all.now);
  now = all.now;
  if (st == LODE_OK) /* before anything is read that a write would move */
    st = clock_era(&c->store->clock, &c->store->write, &era, &now);
  if (st == LODE_OK && c->order != 0)
    st = kv_db_clear(&c->store->write, c->order);
  while (st == LODE_OK && (st = next_key(c, &at)) == LODE_OK)
    st = life_each(c, &c->store->write, slice_of_buffer(&at), rearm_one,
                   &all);
  lode_buffer_free(&at);
  state.bytes = all.bytes;
  if (st == LODE_ABSENT)
    st = c->order != 0 ? order_set_state(c, &state) : LODE_OK;
  return st == LODE_OK ? evict_excess(c, slice_of(NULL, 0)) : st;
}

/* }================================================================== */

#ifdef LODE_TEST

/* {==================================================================
** What the tests ask: whether records and indexes agree
** =================================================================== */

typedef struct census {
  kv_txn *t;
  uint64_t time;      /* of the place that is looked at */
  unsigned flag;      /* whose: RECORD_LIFE or RECORD_RANK */
  bool found;
  uint64_t lost, bytes;
} census;

/* Whether it has the place that is looked at. */
static lode_status owns_place (lode_coll *c, life_item *item, void *data) {
  census *x = data;
  (void)c;
  x->found |= (item->parts.flags & x->flag) &&
              (x->flag == RECORD_LIFE ? item->parts.call
                                      : item->parts.rank) == x->time;
  return LODE_OK;
}

/* Counts the places of an index, and those that no record has. */
static lode_status count_places (lode_coll *c, census *x, kv_db db,
                                 uint64_t *n) {
  lode_slice key, value;
  kv_cursor *cursor;
  lode_status st = kv_cursor_open(x->t, db, &cursor);
  *n = 0;
  if (st != LODE_OK)
    return st == LODE_ABSENT ? LODE_OK : st;
  st = kv_cursor_move(x->t, cursor, KV_FIRST, &key, &value);
  while (st == LODE_OK) {
    if (key.size > CALL_SIZE) { /* else it is the state of order.h */
      x->time = get_u64(key.data);
      x->found = false;
      st = life_each(c, x->t, slice_of(key.data + CALL_SIZE,
                                       key.size - CALL_SIZE), owns_place, x);
      x->lost += !x->found;
      ++*n;
    }
    if (st == LODE_OK)
      st = kv_cursor_move(x->t, cursor, KV_NEXT, &key, &value);
  }
  kv_cursor_close(cursor);
  return st == LODE_ABSENT ? LODE_OK : st;
}

static lode_status has_place (census *x, kv_db db, uint64_t time,
                              lode_slice stored) {
  unsigned char room[CALL_SIZE + LODE_KEY_ROOM];
  lode_slice value;
  lode_status st = LODE_ABSENT;
  put_u64(room, time);
  memcpy(room + CALL_SIZE, stored.data, stored.size);
  if (db != 0)
    st = kv_get(x->t, db, slice_of(room, CALL_SIZE + stored.size), &value);
  x->lost += st == LODE_ABSENT;
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* Counts the places that a record lacks. */
static lode_status find_places (lode_coll *c, life_item *item, void *data) {
  census *x = data;
  lode_status st = LODE_OK;
  if (item->parts.flags & RECORD_LIFE) {
    x->lost += item->parts.call > item->parts.deadline;
    st = has_place(x, c->due, item->parts.call, item->stored);
  }
  if (st == LODE_OK && (item->parts.flags & RECORD_RANK))
    st = has_place(x, c->order, item->parts.rank, item->stored);
  x->lost += coll_is_capped(c) && !(item->parts.flags & (RECORD_RANK |
                                                         RECORD_HIDDEN));
  if (!(item->parts.flags & RECORD_HIDDEN))
    x->bytes += item->whole.size + item->record.value.data.size;
  return st;
}

static lode_status find_all (lode_coll *c, census *x) {
  lode_slice key, value;
  kv_cursor *cursor;
  lode_status st = kv_cursor_open(x->t, c->db, &cursor);
  if (st != LODE_OK)
    return st == LODE_ABSENT ? LODE_OK : st;
  st = kv_cursor_move(x->t, cursor, KV_FIRST, &key, &value);
  while (st == LODE_OK) {
    st = life_each(c, x->t, key, find_places, x);
    if (st == LODE_OK)
      st = kv_cursor_move(x->t, cursor, KV_NEXT, &key, &value);
  }
  kv_cursor_close(cursor);
  return st == LODE_ABSENT ? LODE_OK : st;
}

lode_status lode_test_indexes (lode_coll *c, uint64_t *calls,
                               uint64_t *lost) {
  census x = { NULL, 0, RECORD_LIFE, false, 0, 0 };
  order_state state = { 0, 0 };
  uint64_t places;
  bool own;
  lode_status st = coll_write(c, &own);
  if (st != LODE_OK)
    return st;
  x.t = &c->store->write;
  st = count_places(c, &x, c->due, calls);
  x.flag = RECORD_RANK;
  if (st == LODE_OK && c->order != 0)
    st = count_places(c, &x, c->order, &places);
  if (st == LODE_OK)
    st = find_all(c, &x);
  if (st == LODE_OK && c->order != 0)
    st = order_get_state(c, &state);
  *lost = x.lost + (c->kept.max_bytes != 0 && state.bytes != x.bytes);
  return handle_written(c->store, own, st);
}

/* }================================================================== */

#endif
