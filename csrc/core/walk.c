/*
** walk.c - see walk.h; and counts and deletes of ranges, which need no page.
*/
#include "entry.h"
#include "walk.h"

#define PAGE_FIRST 16      /* entries of a first page */
#define PAGE_ENTRIES 256   /* most entries of a page */
#define PAGE_BYTES 65536   /* a page takes no entry more once it has these */
#define ENTRY_HEAD 9       /* key size (4), value size (4), codec (1) */
#define CODEC_BITS 0x3F
#define CODEC_DIES 0x80    /* a deadline (8) follows the value, */
#define CODEC_ASKS 0x40    /* which a policy may still move */

/* {==================================================================
** The walk itself
** =================================================================== */

static lode_status no_memory (lode_store *s) {
  return fail(&s->error, LODE_NO_MEMORY, "%s: no memory", s->files.base);
}

/* Keeps both forms of a key in `b`, and points `key` at them. */
static lode_status keep_key (lode_buffer *b, scan_key *key) {
  lode_slice stored = key->stored, whole = key->whole;
  bool same = stored.data == whole.data;
  lode_status st = buffer_set(b, stored.data, stored.size);
  if (st == LODE_OK && !same)
    st = lode_buffer_add(b, whole.data, whole.size);
  if (st != LODE_OK)
    return st;
  key->stored = slice_of(b->data, stored.size);
  key->whole = same ? key->stored
                    : slice_of(b->data + stored.size, whole.size);
  return LODE_OK;
}

static lode_status keep_span (lode_walk *w, const lode_range *range) {
  lode_status st = LODE_OK;
  w->span = span_of(range);
  if (w->span.low.stored.data != NULL)
    st = keep_key(&w->low, &w->span.low);
  if (st == LODE_OK && w->span.high.stored.data != NULL)
    st = keep_key(&w->high, &w->span.high);
  if (st == LODE_OK && w->span.prefix.size > 0) {
    st = buffer_set(&w->prefix, w->span.prefix.data, w->span.prefix.size);
    w->span.prefix = slice_of_buffer(&w->prefix);
  }
  return st;
}

lode_status walk_make (lode_store *s, const walk_source *source, void *data,
                       const lode_range *range, lode_walk **walk) {
  lode_walk *w = lode_malloc(sizeof *w);
  if (w == NULL)
    return no_memory(s);
  memset(w, 0, sizeof *w);
  w->left = range->limit;
  w->page_entries = PAGE_FIRST;
  if (keep_span(w, range) != LODE_OK) {
    lode_walk_close(w);
    return no_memory(s);
  }
  w->source = source;
  w->data = data;
  w->store = s;
  w->next = s->walks;
  w->link = &s->walks;
  if (s->walks != NULL)
    s->walks->link = &w->next;
  s->walks = w;
  check_handle(1);
  *walk = w;
  return LODE_OK;
}

static void pin_end (lode_walk *w) {
  if (w->pin == NULL)
    return;
  kv_txn_free(w->pin);
  lode_free(w->pin);
  w->pin = NULL;
}

void walk_detach (lode_walk *w) {
  if (w->store == NULL)
    return;
  pin_end(w);
  *w->link = w->next;
  if (w->next != NULL)
    w->next->link = w->link;
  w->store = NULL;
  check_handle(-1);
}

void lode_walk_close (lode_walk *w) {
  if (w == NULL)
    return;
  walk_detach(w);
  if (w->source != NULL && w->source->free != NULL)
    w->source->free(w);
  lode_buffer_free(&w->low);
  lode_buffer_free(&w->high);
  lode_buffer_free(&w->prefix);
  lode_buffer_free(&w->page);
  lode_free(w);
}

lode_store *lode_walk_store (const lode_walk *w) { return w->store; }

static lode_status page_add (lode_walk *w, const scan_key *key,
                             const walk_entry *entry) {
  const lode_value *value = &entry->value;
  bool dies = entry->expires != LODE_NEVER;
  size_t size = ENTRY_HEAD + key->whole.size + value->data.size +
                (dies ? sizeof entry->expires : 0);
  uint32_t sizes[2];
  unsigned char *p;
  if (w->page.room - w->page.size < size &&
      lode_buffer_reserve(&w->page, size) != LODE_OK)
    return no_memory(w->store);
  p = w->page.data + w->page.size;
  sizes[0] = (uint32_t)key->whole.size;
  sizes[1] = (uint32_t)value->data.size;
  memcpy(p, sizes, sizeof sizes);
  p[8] = (unsigned char)(value->codec | (dies ? CODEC_DIES : 0) |
                         (entry->asks ? CODEC_ASKS : 0));
  memcpy(p + ENTRY_HEAD, key->whole.data, key->whole.size);
  if (value->data.size > 0)
    memcpy(p + ENTRY_HEAD + key->whole.size, value->data.data,
           value->data.size);
  if (lode_unlikely(dies))
    memcpy(p + size - sizeof entry->expires, &entry->expires,
           sizeof entry->expires);
  w->page.size += size;
  return LODE_OK;
}

/* What comes next begins behind `last`. */
static lode_status move_on (lode_walk *w, scan_key last) {
  lode_buffer *b = w->span.reverse ? &w->high : &w->low;
  lode_status st = keep_key(b, &last);
  if (st != LODE_OK)
    return no_memory(w->store);
  if (w->span.reverse) {
    w->span.high = last;
    w->span.high_open = true;
  }
  else {
    w->span.low = last;
    w->span.low_open = true;
  }
  return LODE_OK;
}

static lode_status fill_open (lode_walk *w) {
  const scan_key *key = NULL;
  walk_entry entry;
  lode_status st = LODE_OK;
  size_t most = w->page_entries, n = 0;
  if (w->left < most)
    most = (size_t)w->left;
  while (n < most && w->page.size < PAGE_BYTES &&
         (st = w->source->next(w, &key, &entry)) == LODE_OK) {
    st = page_add(w, key, &entry);
    if (st != LODE_OK)
      return st;
    n++;
  }
  if (st == LODE_ABSENT)
    w->ended = true;
  else if (st != LODE_OK)
    return st;
  w->left -= n;
  return n > 0 && !w->ended ? move_on(w, *key) : LODE_OK;
}

static lode_status fill (lode_walk *w) {
  lode_status st;
  w->page.size = w->at = 0;
  if (w->left == 0)
    w->ended = true;
  if (w->ended)
    return LODE_OK;
  if (w->pin != NULL && kv_is_left(w->pin->env))
    return kv_left_behind(w->pin->env, &w->store->error);
  st = w->source->open(w, &w->span);
  if (st == LODE_OK)
    st = fill_open(w);
  w->source->close(w);
  if (st != LODE_OK)
    w->page.size = 0;
  if (w->page_entries < PAGE_ENTRIES)
    w->page_entries *= 2;
  return st;
}

/*
** Whether the entry given last has died since its page was read. What a
** policy decides stays as it was then.
*/
static lode_status died_since (lode_walk *w, bool *died) {
  clock_state *clock = &w->store->clock;
  uint64_t now;
  lode_status st = clock_now(clock, &now);
  *died = st == LODE_OK && w->expires <= now;
  if (*died)
    clock_passed(clock, w->expires);
  return st;
}

bool walk_page_done (const lode_walk *w) { return w->at >= w->page.size; }

/* Takes the next entry off the page, which has one. */
static lode_status take (lode_walk *w, lode_slice *key, lode_value *value,
                         bool *died) {
  const unsigned char *p = w->page.data + w->at;
  uint32_t sizes[2];
  memcpy(sizes, p, sizeof sizes);
  *key = slice_of(p + ENTRY_HEAD, sizes[0]);
  value->data = slice_of(key->data + sizes[0], sizes[1]);
  value->codec = (lode_codec)(p[8] & CODEC_BITS);
  w->at += ENTRY_HEAD + (size_t)sizes[0] + sizes[1];
  w->expires = LODE_NEVER;
  *died = false;
  if (lode_likely(!(p[8] & CODEC_DIES)))
    return LODE_OK;
  memcpy(&w->expires, value->data.data + sizes[1], sizeof w->expires);
  w->at += sizeof w->expires;
  return p[8] & CODEC_ASKS ? LODE_OK : died_since(w, died);
}

lode_status lode_walk_next (lode_walk *w, lode_slice *key,
                            lode_value *value) {
  bool died;
  lode_status st;
  do {
    if (lode_unlikely(w->store == NULL))
      return LODE_CLOSED;
    if (lode_unlikely(w->at >= w->page.size)) {
      st = fill(w);
      if (st != LODE_OK)
        return st;
      if (w->page.size == 0) {
        pin_end(w);
        return LODE_ABSENT;
      }
    }
    st = take(w, key, value, &died);
    w->left += died;
  } while (lode_unlikely(died) && st == LODE_OK);
  return st;
}

uint64_t lode_walk_expires (const lode_walk *w) { return w->expires; }

/* }================================================================== */

/* {==================================================================
** Walks over a collection
** =================================================================== */

typedef struct over_coll {
  lode_coll *coll;
  scan scan;
} over_coll;

static lode_status coll_open (lode_walk *w, const scan_span *span) {
  over_coll *o = w->data;
  kv_txn *t = w->pin;
  lode_status st = LODE_OK;
  o->scan.cursor = NULL;
  if (t == NULL)
    st = handle_read(w->store, &t);
  return st == LODE_OK ? scan_open(&o->scan, o->coll, t, span) : st;
}

static lode_status coll_next (lode_walk *w, const scan_key **key,
                              walk_entry *entry) {
  scan *s = &((over_coll *)w->data)->scan;
  lode_status st = scan_live(s);
  if (st != LODE_OK)
    return st;
  *key = &s->key;
  entry->value = s->opened.value;
  entry->expires = s->opened.flags & RECORD_LIFE
                   ? record_deadline(&s->opened) : LODE_NEVER;
  entry->asks = (s->opened.flags & RECORD_ASKS) != 0;
  return LODE_OK;
}

static void coll_close (lode_walk *w) {
  scan_close(&((over_coll *)w->data)->scan);
  if (w->pin == NULL)
    handle_done(w->store);
}

static void coll_free (lode_walk *w) { lode_free(w->data); }

static const walk_source coll_source = { coll_open, coll_next, coll_close,
                                         coll_free };

lode_status walk_catch_up (const lode_term *terms, size_t n) {
  lode_store *first = NULL;
  for (size_t i = 0; i < n; i++) {
    lode_store *s;
    lode_status st;
    if (terms[i].op != LODE_LEAF)
      continue;
    st = coll_store(terms[i].leaf, &s);
    if (st == LODE_OK)
      st = handle_catch_up(s);
    if (st != LODE_OK && first != NULL && s != NULL)
      first->error = s->error;
    if (st != LODE_OK)
      return st;
    if (first == NULL)
      first = s;
  }
  return LODE_OK;
}

lode_status walk_pin (lode_walk *w) {
  lode_store *s = w->store;
  lode_status st;
  if (s->write.depth > 0 || s->snapshots > 0)
    return handle_view(s); /* what is open already is one moment */
  handle_done(s);
  st = handle_prepare(s);
  if (st != LODE_OK)
    return st;
  w->pin = lode_malloc(sizeof *w->pin);
  if (w->pin == NULL)
    return no_memory(s);
  kv_txn_init(w->pin, s->env, &s->error);
  st = kv_pin(w->pin);
  if (st != LODE_OK)
    pin_end(w);
  return st;
}

lode_status lode_walk_open (lode_coll *coll, const lode_range *range,
                            bool snapshot, lode_walk **walk) {
  over_coll *o;
  lode_store *s;
  lode_status st = coll_store(coll, &s);
  if (st == LODE_OK)
    st = handle_catch_up(s);
  if (st != LODE_OK)
    return st;
  o = lode_malloc(sizeof *o);
  if (o == NULL)
    return no_memory(s);
  memset(o, 0, sizeof *o);
  o->coll = coll;
  st = walk_make(s, &coll_source, o, range, walk);
  if (st != LODE_OK) {
    lode_free(o);
    return st;
  }
  if (snapshot && (st = walk_pin(*walk)) != LODE_OK) {
    lode_walk_close(*walk);
    *walk = NULL;
  }
  return st;
}

void walks_leave (lode_coll *c) {
  lode_walk *next;
  for (lode_walk *w = c->store->walks; w != NULL; w = next) {
    next = w->next;
    if (w->source == &coll_source && ((over_coll *)w->data)->coll == c)
      walk_detach(w);
  }
}

/* }================================================================== */

/* {==================================================================
** Counts and deletes
** =================================================================== */

static bool whole_range (const lode_range *r) {
  return r->from == NULL && r->to == NULL && r->prefix.size == 0;
}

lode_status lode_count (lode_coll *coll, const lode_range *range,
                        uint64_t *n) {
  scan_span span = span_of(range);
  uint64_t found = 0;
  lode_store *s;
  kv_txn *t;
  scan sc;
  lode_status st = coll_store(coll, &s);
  if (st != LODE_OK)
    return st;
  if (whole_range(range)) {
    st = lode_len(coll, &found);
    if (st == LODE_OK)
      *n = found < range->limit ? found : range->limit;
    return st;
  }
  st = handle_catch_up(s);
  if (st == LODE_OK)
    st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = scan_open(&sc, coll, t, &span);
  while (st == LODE_OK && found < range->limit &&
         (st = scan_live(&sc)) == LODE_OK)
    found++;
  scan_close(&sc);
  handle_done(s);
  if (st == LODE_ABSENT || st == LODE_OK) {
    *n = found;
    st = LODE_OK;
  }
  return st;
}

/* Deletes a page of keys that was read before; gives how many. */
static lode_status delete_page (lode_walk *w, lode_coll *c, uint64_t *n) {
  lode_key key;
  lode_slice whole;
  lode_value value;
  lode_status st;
  while (w->at < w->page.size) {
    /* what stands in the tree was put in front of the value */
    st = lode_walk_next(w, &whole, &value);
    if (st != LODE_OK)
      return st;
    key.whole = whole;
    key.stored = value.data.size > 0 ? value.data : whole;
    st = entry_delete(c, key.stored, key.whole);
    if (st != LODE_OK && st != LODE_ABSENT)
      return st;
    *n += st == LODE_OK;
  }
  return LODE_OK;
}

/* As coll_next, but the value is the key as it stands in the tree. */
static lode_status keys_next (lode_walk *w, const scan_key **key,
                              walk_entry *entry) {
  over_coll *o = w->data;
  scan *s = &o->scan;
  lode_status st = o->coll->timed ? scan_live(s) : scan_next(s);
  *key = &s->key;
  entry->expires = LODE_NEVER;
  entry->asks = false;
  entry->value.codec = LODE_NOTHING;
  entry->value.data = s->key.stored.data == s->key.whole.data
                      ? slice_of(NULL, 0) : s->key.stored;
  return st;
}

static const walk_source keys_source = { coll_open, keys_next, coll_close,
                                         NULL };

static lode_status delete_range (lode_coll *c, const lode_range *range,
                                 uint64_t *n) {
  over_coll o;
  lode_walk *w;
  lode_status st;
  memset(&o, 0, sizeof o);
  o.coll = c;
  st = walk_make(c->store, &keys_source, &o, range, &w);
  if (st != LODE_OK)
    return st;
  w->page_entries = PAGE_ENTRIES;
  while (st == LODE_OK && !(w->ended && w->at >= w->page.size)) {
    st = fill(w);
    if (st == LODE_OK)
      st = delete_page(w, c, n);
  }
  lode_walk_close(w);
  return st;
}

lode_status lode_delete_range (lode_coll *c, const lode_range *range,
                               uint64_t *n) {
  uint64_t removed = 0;
  bool own;
  lode_status st;
  if (whole_range(range) && range->limit == UINT64_MAX)
    return lode_clear(c, n);
  st = coll_write(c, &own);
  if (st != LODE_OK)
    return st;
  st = delete_range(c, range, &removed);
  st = handle_written(c->store, own, st);
  if (st == LODE_OK)
    *n = removed;
  return st;
}

/* }================================================================== */
