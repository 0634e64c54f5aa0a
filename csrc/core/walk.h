/*
** walk.h - walks in pages: over a collection, or over what a source gives.
**
** A page is filled inside of one view and copied, so nothing is pinned
** between pages; the next one begins behind the last key given. Pages start
** small, for walks that are left early, and double.
*/
#ifndef LODE_WALK_H
#define LODE_WALK_H

#include "scan.h"

typedef struct walk_entry { /* what a source gives beside the key */
  lode_value value;
  uint64_t expires;        /* LODE_NEVER: it has no deadline */
  bool asks;               /* which a policy may still move */
} walk_entry;

typedef struct walk_source { /* where the entries of a walk come from */
  /* Opens the views and moves to the first entry of the span. */
  lode_status (*open)(lode_walk *w, const scan_span *span);
  /* The next entry, its key good until the next call. ABSENT at the end. */
  lode_status (*next)(lode_walk *w, const scan_key **key,
                      walk_entry *entry);
  /* Closes what `open` opened, whether or not it was done. */
  void (*close)(lode_walk *w);
  /* Frees what the source has allocated with the walk. */
  void (*free)(lode_walk *w);
} walk_source;

/*
** A walk over `range`, which is copied, of the store `s`. `data` is the
** source's own and given to its functions as w->data.
*/
lode_status walk_make (lode_store *s, const walk_source *source, void *data,
                       const lode_range *range, lode_walk **walk);

/*
** Before a look at the leaves of an expression: commits what is pending in
** their stores (handle_catch_up). CLOSED; the words of any other failure are
** in the first leaf's store.
*/
lode_status walk_catch_up (const lode_term *terms, size_t n);

/* Pins one moment for the walk, until its end. */
lode_status walk_pin (lode_walk *w);

/* Whether the next entry needs a new page. */
bool walk_page_done (const lode_walk *w);

struct lode_walk {
  lode_store *store;      /* null: closed */
  lode_walk *next, **link;
  const walk_source *source;
  void *data;
  bool ended;
  uint64_t left;          /* entries that may still be given */
  scan_span span;         /* what is still to come; its bytes: */
  lode_buffer low, high, prefix;
  lode_buffer page;       /* entries: sizes, codec, key, value, [expires] */
  size_t at;              /* in the page */
  uint64_t expires;       /* of the entry given last */
  size_t page_entries;    /* how many the next page may have */
  kv_txn *pin;            /* a moment of its own; null: none */
};

#endif
