/*
** scan.h - the entries of a collection between two bounds, in order, one
** after another, inside of one view. Walks, counts, range deletes and the
** leaves of set algebra are all made of it.
*/
#ifndef LODE_SCAN_H
#define LODE_SCAN_H

#include "handle.h"

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
  lode_slice record;      /* and its record */
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

/* The next entry in key, record; ABSENT at the end. CORRUPT. */
lode_status scan_next (scan *s);
/* Moves to the first entry not before `key` (behind it, in reverse). */
lode_status scan_seek (scan *s, const scan_key *key);
/* Opens the present entry's record, which compares its checksum. */
static inline lode_status scan_value (scan *s, lode_value *value) {
  lode_status st;
  if (s->coll->kept.raw) {
    value->data = s->record;
    value->codec = LODE_BYTES;
    return LODE_OK;
  }
  st = record_read(&s->coll->check, s->key.whole, s->record, value);
  return st == LODE_CORRUPT ? entry_damaged(s->coll) : st;
}

#endif
