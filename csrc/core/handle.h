/*
** handle.h - the insides of stores, collections and walks.
**
** A store handle reads through one read transaction, which it renews for
** each call, and writes through one chain of write transactions. A call
** takes the view it is to read by `handle_read`: the open transaction if
** there is one, else the pinned snapshot, else its own. A view left open by
** an error that jumped over `handle_done` is closed by the next call.
**
** Closed first: a store that is closed detaches its collections and walks,
** which then hold no more than their own memory.
*/
#ifndef LODE_HANDLE_H
#define LODE_HANDLE_H

#include "catalog.h"
#include "check.h"
#include "key.h"
#include "kv.h"
#include "record.h"

struct lode_store {
  kv_env *env;
  files files;
  lode_error error;
  bool readonly;
  bool foreign;        /* another program's file: raw collections only */
  bool checksum;
  bool reading;        /* `read` is open for a call */
  unsigned snapshots;  /* nested ones */
  unsigned guards;     /* lode_lock without its lode_lock_begin or end */
  unsigned flat;       /* lode_lock_begin inside a transaction */
  unsigned timeout;
  uint64_t serial;     /* of the outermost transaction */
  unsigned char secret[HASH_SIZE];
  kv_txn read, write;
  lode_coll *colls;
  lode_walk *walks;
  lode_buffer record;  /* for building one */
};

struct lode_coll {
  lode_store *store;      /* null: closed */
  lode_coll *next, **link;
  lode_coll_options kept; /* its texts are in `texts` */
  unsigned char *texts;
  uint32_t number;
  record_check check;
  kv_db db;
  uint64_t generation;    /* of the catalogue when it last stood there */
  uint64_t serial;        /* of the transaction that looked for it */
  unsigned made_depth;    /* level of the transaction that made it; 0: done */
  unsigned drop_depth;    /* level of the transaction that dropped it */
  bool gone;              /* dropped, or its making was rolled back */
};

/* {==================================================================
** Views for reading
** =================================================================== */

static inline void handle_done (lode_store *s) {
  if (s->reading) {
    s->reading = false;
    kv_read_end(&s->read);
  }
}

static inline lode_status handle_read (lode_store *s, kv_txn **t) {
  lode_status st;
  if (lode_unlikely(s->write.depth > 0)) {
    *t = &s->write;
    return LODE_OK;
  }
  *t = &s->read;
  if (lode_unlikely(s->snapshots > 0))
    return LODE_OK;
  handle_done(s);
  st = kv_read_begin(&s->read);
  s->reading = st == LODE_OK;
  return st;
}

/* }================================================================== */

/* CLOSED, NOT_FOUND, or OK with its store. */
static inline lode_status coll_store (const lode_coll *c, lode_store **s) {
  *s = c->store;
  if (lode_unlikely(c->store == NULL))
    return LODE_CLOSED;
  return LODE_OK;
}

/*
** After nothing was found in `c`: whether the collection still stands.
** NOT_FOUND when it was dropped.
*/
lode_status coll_stands (lode_coll *c, kv_txn *t);

/* The failure of a collection that is gone. */
lode_status coll_gone (const lode_coll *c);

/*
** Begins a write of one call: joins the open transaction or begins one,
** then `*own`. READONLY, REENTRY and what kv_write_begin gives.
*/
lode_status handle_write (lode_store *s, bool *own);
/* Ends it: commits its own on OK, rolls it back otherwise; gives `st`. */
lode_status handle_written (lode_store *s, bool own, lode_status st);
/* handle_write for a collection, which must stand. */
lode_status coll_write (lode_coll *c, bool *own);

/* Opens every database of the catalogue, so that a snapshot sees them. */
lode_status handle_prepare (lode_store *s);

/* Takes an entry out or puts it in; `key` is as it stands in the tree. */
lode_status entry_put (lode_coll *c, lode_slice stored, lode_slice whole,
                       lode_value value, lode_put_mode mode);
lode_status entry_delete (lode_coll *c, lode_slice stored, lode_slice whole);
/* Opens what stands under `stored` in `t`. */
lode_status entry_get (lode_coll *c, kv_txn *t, lode_slice stored,
                       lode_slice whole, lode_value *value);

/* CORRUPT, in words, for an entry of `c`. */
lode_status entry_damaged (lode_coll *c);

/* Detaches a collection's handle from its store: it is closed. */
void coll_detach (lode_coll *c);
/*
** A level of the transaction has ended: what it made or dropped becomes its
** parent's, or the truth, or was nothing.
*/
void colls_settle (lode_store *s, unsigned depth, bool committed);

/* Detaches a walk from its store: it is closed. */
void walk_detach (lode_walk *w);
/* Detaches those that walk over `c`. */
void walks_leave (lode_coll *c);

#endif
