/*
** scan.h - the entries of a collection between two bounds, in order, one
** after another, inside of one view. Walks, counts, range deletes and the
** leaves of set algebra are all made of it.
*/
#ifndef LODE_SCAN_H
#define LODE_SCAN_H

#include "life.h"

typedef struct scan_key { /* a key in both forms; data null: none */
  lode_slice stored, whole;
} scan_key;

typedef struct scan_span { /* the bounds; the memory is somebody else's */
  scan_key low, high;
  bool low_open, high_open; /* leave the bound itself out */
  lode_slice prefix;
  bool reverse;
} scan_span;

typedef struct scan {
  lode_coll *coll;
  kv_txn *t;
  kv_cursor *cursor;      /* null: the tree has none */
  scan_span span;
  bool started, past;     /* `past`: beyond the bound that comes first */
  bool unbounded;         /* and there is no other, nor a prefix */
  scan_key key;           /* the present entry */
  lode_slice record;      /* its bytes, */
  struct record opened;   /* and what scan_live found them to be */
  uintptr_t page;         /* number of the page that it stands on */
  lode_slice bucket;      /* what is left of a bucket, forwards */
  lode_buffer entries;    /* a bucket's entries, for going backwards */
  size_t left;            /* how many of them */
} scan;

/* The span of a range; its slices live as the range's keys do. */
scan_span span_of (const lode_range *range);

/* `span` is copied, its slices are not. CLOSED, NOT_FOUND. */
lode_status scan_open (scan *s, lode_coll *coll, kv_txn *t,
                       const scan_span *span);
void scan_close (scan *s);

/* The next entry, dead or alive. ABSENT at the end; CORRUPT. */
lode_status scan_next (scan *s);
/* From an opened entry with parts to the next live one, itself if it is. */
lode_status scan_pass_dead (scan *s);

/*
** The first live entry from the present one on, opened, which compares its
** checksum: `st` is what scan_next or scan_seek gave. ABSENT at the end.
*/
static inline lode_status scan_open_live (scan *s, lode_status st) {
  if (lode_unlikely(st != LODE_OK))
    return st;
  if (lode_unlikely(s->coll->kept.raw)) {
    s->opened.value.data = s->record;
    s->opened.value.codec = LODE_BYTES;
    s->opened.flags = 0;
    return LODE_OK;
  }
  st = record_read(&s->coll->check, s->key.whole, s->record, &s->opened);
  if (lode_unlikely(st != LODE_OK))
    return st == LODE_CORRUPT ? item_damaged(s->coll) : st;
  return lode_unlikely(s->opened.flags != 0) ? scan_pass_dead(s) : LODE_OK;
}

/* The next live entry. */
static inline lode_status scan_live (scan *s) {
  return scan_open_live(s, scan_next(s));
}

/* Moves to the first entry not before `key` (behind it, in reverse). */
lode_status scan_seek (scan *s, const scan_key *key);

#endif
