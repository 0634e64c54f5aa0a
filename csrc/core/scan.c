/*
** scan.c - see scan.h.
*/
#include "scan.h"

#define BUCKET_SLICES sizeof(bucket_entry)

scan_span span_of (const lode_range *range) {
  scan_span s;
  memset(&s, 0, sizeof s);
  if (range->from != NULL) {
    s.low.stored = range->from->stored;
    s.low.whole = range->from->whole;
    s.low_open = range->after;
  }
  if (range->to != NULL) {
    s.high.stored = range->to->stored;
    s.high.whole = range->to->whole;
    s.high_open = range->before;
  }
  s.prefix = range->prefix;
  s.reverse = range->reverse;
  return s;
}

lode_status scan_open (scan *s, lode_coll *coll, kv_txn *t,
                       const scan_span *span) {
  lode_store *store;
  lode_status st = coll_store(coll, &store);
  memset(s, 0, sizeof *s);
  s->coll = coll;
  s->t = t;
  s->span = *span;
  if (st == LODE_OK)
    st = coll_stands(coll, t);
  if (st != LODE_OK)
    return st;
  st = kv_cursor_open(t, coll->db, &s->cursor);
  return st == LODE_ABSENT ? LODE_OK : st;
}

void scan_close (scan *s) {
  if (s->cursor != NULL)
    kv_cursor_close(s->cursor);
  s->cursor = NULL;
  lode_buffer_free(&s->entries);
}

static int compare (const scan_key *a, const scan_key *b) {
  return key_compare(a->stored, a->whole, b->stored, b->whole);
}

/* As much of a prefix as stands in the tree. */
static lode_slice tree_prefix (lode_slice prefix) {
  return slice_of(prefix.data, prefix.size < KEY_PREFIX ? prefix.size
                                                        : KEY_PREFIX);
}

/* {==================================================================
** From record to record in the tree
** =================================================================== */

/* To the first record not before `at`, or the first of all. */
static lode_status start_forward (scan *s, lode_slice at, lode_slice *key,
                                  lode_slice *record) {
  if (at.size == 0)
    return kv_cursor_move(s->t, s->cursor, KV_FIRST, key, record);
  return kv_cursor_seek(s->t, s->cursor, at, key, record);
}

/* To the first record not before `at` (the filter passes on), or the last. */
static lode_status start_backward (scan *s, lode_slice at, lode_slice *key,
                                   lode_slice *record) {
  lode_status st = LODE_ABSENT;
  if (at.size > 0)
    st = kv_cursor_seek(s->t, s->cursor, at, key, record);
  if (st == LODE_ABSENT)
    st = kv_cursor_move(s->t, s->cursor, KV_LAST, key, record);
  return st;
}

static lode_status start (scan *s, lode_slice *key, lode_slice *record) {
  unsigned char room[KEY_PREFIX];
  lode_slice prefix = tree_prefix(s->span.prefix);
  lode_slice at = s->span.reverse ? s->span.high.stored : s->span.low.stored;
  if (!s->span.reverse) {
    if (slice_compare(prefix, at) > 0)
      at = prefix;
    return start_forward(s, at, key, record);
  }
  if (prefix.size > 0) {
    lode_slice next = slice_of(room, key_successor(prefix, room));
    if (next.size > 0 && (at.size == 0 || slice_compare(next, at) < 0))
      at = next;
  }
  return start_backward(s, at, key, record);
}

static inline lode_status move (scan *s, lode_slice *key,
                                lode_slice *record) {
  if (lode_unlikely(!s->started)) {
    s->started = true;
    return start(s, key, record);
  }
  return kv_cursor_move(s->t, s->cursor, s->span.reverse ? KV_PREV : KV_NEXT,
                        key, record);
}

/* }================================================================== */

/* {==================================================================
** Buckets
** =================================================================== */

/* Lists a bucket's entries, to take them from the end. */
static lode_status bucket_list (scan *s, lode_slice bucket) {
  bucket_entry e;
  lode_status st;
  s->entries.size = 0;
  while ((st = bucket_next(&bucket, &e)) == LODE_OK)
    if (lode_buffer_add(&s->entries, &e, sizeof e) != LODE_OK)
      return fail(&s->coll->store->error, LODE_NO_MEMORY, "no memory");
  s->left = s->entries.size / BUCKET_SLICES;
  return st == LODE_ABSENT ? LODE_OK : item_damaged(s->coll);
}

/* The next entry of the bucket that was begun; ABSENT when it is done. */
static lode_status bucket_take (scan *s) {
  bucket_entry e;
  if (s->span.reverse) {
    if (s->left == 0)
      return LODE_ABSENT;
    memcpy(&e, s->entries.data + --s->left * BUCKET_SLICES, sizeof e);
  }
  else {
    lode_status st = bucket_next(&s->bucket, &e);
    if (st != LODE_OK)
      return st == LODE_CORRUPT ? item_damaged(s->coll) : st;
  }
  s->key.whole = e.whole;
  s->record = e.record;
  return LODE_OK;
}

static lode_status bucket_begin (scan *s) {
  lode_status st = LODE_OK;
  if (s->span.reverse)
    st = bucket_list(s, s->record);
  else
    s->bucket = s->record;
  s->record = slice_of(NULL, 0);
  return st;
}

/* }================================================================== */

#define PAGE 4096 /* bytes; larger pages are asked for in parts */
#define LINE 64   /* bytes that the processor fetches at once */

/*
** Asks for the whole page that `key` is the first of to be read, and for
** the one beside it where pages follow each other, as after a load in
** order. Entries lie in a page in the order of their writing, which no
** processor foresees: asking spares a walk a fifth of its time. (Not in a
** function of its own: it would have no effect that compilers know of.)
*/
static inline void expect_page (scan *s, lode_slice key) {
  uintptr_t page = (uintptr_t)key.data / PAGE;
  if (lode_unlikely(page != s->page)) {
    for (uintptr_t at = 0; at < PAGE; at += LINE)
      lode_prefetch((const void *)(page * PAGE + at));
    if (page == s->page + 1 || page == s->page - 1)
      for (uintptr_t at = 0; at < PAGE; at += LINE)
        lode_prefetch((const void *)((2 * page - s->page) * PAGE + at));
    s->page = page;
  }
}

/* The next entry, whatever the bounds. */
static inline lode_status advance (scan *s) {
  lode_slice stored;
  lode_status st;
  if (s->bucket.size > 0 || s->left > 0)
    return bucket_take(s);
  st = move(s, &s->key.stored, &s->record);
  if (lode_unlikely(st != LODE_OK))
    return st;
  /* As a whole it can't be loaded at once: its parts were just stored. */
  stored = slice_of(s->key.stored.data, s->key.stored.size);
  expect_page(s, stored);
  if (lode_unlikely(key_stored_is_long(stored) && !s->coll->kept.raw)) {
    st = bucket_begin(s);
    return st == LODE_OK ? bucket_take(s) : st;
  }
  s->key.whole = stored;
  return LODE_OK;
}

typedef enum verdict { TAKE, SKIP, STOP } verdict;

/* Against the bound that the scan meets at its end. */
static verdict against_end (const scan *s) {
  const scan_key *end = s->span.reverse ? &s->span.low : &s->span.high;
  bool open = s->span.reverse ? s->span.low_open : s->span.high_open;
  int c;
  if (end->stored.data == NULL)
    return TAKE;
  c = compare(&s->key, end);
  if (s->span.reverse)
    c = -c;
  return c > 0 || (c == 0 && open) ? STOP : TAKE;
}

/* Against the bound at which it began. */
static verdict against_start (scan *s) {
  const scan_key *begin = s->span.reverse ? &s->span.high : &s->span.low;
  bool open = s->span.reverse ? s->span.high_open : s->span.low_open;
  int c;
  if (s->past || begin->stored.data == NULL)
    return TAKE;
  c = compare(&s->key, begin);
  if (s->span.reverse)
    c = -c;
  if (c < 0 || (c == 0 && open))
    return SKIP;
  s->past = true;
  return TAKE;
}

static verdict against_prefix (const scan *s) {
  lode_slice cut = tree_prefix(s->span.prefix);
  if (cut.size == 0)
    return TAKE;
  if (!slice_begins(s->key.stored, cut)) {
    bool above = slice_compare(s->key.stored, cut) > 0;
    return s->span.reverse && above ? SKIP : STOP;
  }
  return slice_begins(s->key.whole, s->span.prefix) ? TAKE : SKIP;
}

static verdict judge (scan *s) {
  verdict v = against_start(s);
  if (v == TAKE)
    v = against_prefix(s);
  return v == TAKE ? against_end(s) : v;
}

/* From the entry that the scan stands on to the first within the bounds. */
static lode_status within_bounds (scan *s) {
  const scan_key *end = s->span.reverse ? &s->span.low : &s->span.high;
  lode_status st = LODE_OK;
  verdict v = judge(s);
  while (v == SKIP && (st = advance(s)) == LODE_OK)
    v = judge(s);
  s->unbounded = v == TAKE && s->span.prefix.size == 0 &&
                 end->stored.data == NULL;
  return v == STOP ? LODE_ABSENT : st;
}

lode_status scan_next (scan *s) {
  lode_status st = s->cursor == NULL ? LODE_ABSENT : advance(s);
  if (st != LODE_OK || s->unbounded)
    return st;
  return within_bounds(s);
}

lode_status scan_seek (scan *s, const scan_key *key) {
  if (s->span.reverse) {
    s->span.high = *key;
    s->span.high_open = false;
  }
  else {
    s->span.low = *key;
    s->span.low_open = false;
  }
  s->bucket.size = s->left = 0;
  s->started = s->past = s->unbounded = false;
  return scan_next(s);
}

lode_status scan_pass_dead (scan *s) {
  lode_coll *c = s->coll;
  bool alive = false;
  lode_status st = life_judge(c, s->t, s->key.whole, &s->opened, &alive);
  while (st == LODE_OK && !alive) {
    st = scan_next(s);
    if (st == LODE_OK)
      st = record_read(&c->check, s->key.whole, s->record, &s->opened);
    if (st == LODE_CORRUPT)
      return item_damaged(c);
    if (st == LODE_OK)
      st = life_alive(c, s->t, s->key.whole, &s->opened, &alive);
  }
  return st;
}
