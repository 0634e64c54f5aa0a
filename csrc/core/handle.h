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

#include "check.h"
#include "clock.h"
#include "key.h"
#include "kv.h"
#include "record.h"
#include "shared.h"

typedef struct checker checker; /* checker.h */

struct lode_store {
  kv_env *env;
  kv_commits commits;
  files files;
  lode_error error;
  bool readonly;
  bool foreign;        /* another program's file: raw collections only */
  bool checksum;
  bool reading;        /* `read` is open for a call */
  unsigned snapshots;  /* nested ones */
  unsigned guards;     /* lode_lock without its lode_lock_begin or end */
  unsigned flat;       /* lode_lock_begin inside a transaction */
  unsigned asking;     /* policies that are being asked, nested */
  unsigned calling;    /* callbacks that are running, of any kind */
  bool sweeping;       /* a sweep is under way */
  bool behind;         /* its writes may wait in the queue, */
  bool pends;          /* which is at work for it (pending.h) */
  bool flushes;        /* it is pending.c's own */
  bool aside;          /* it has put notes of accesses aside */
  bool ahead;          /* it writes before what is pending (behind.h) */
  bool autoflush;      /* walks and counts commit what is pending first */
  uint64_t seen;       /* the last pending write when it last read */
  unsigned timeout;
  uint64_t serial;     /* of the outermost transaction */
  unsigned char secret[HASH_SIZE];
  kv_txn read, write;
  shared *shared;
  lode_maintenance maintenance;
  lode_options options; /* as it was opened */
  /* Starts what ran for it in the process that forked this one. */
  lode_status (*reopened)(lode_store *s);
  uint64_t (*user_clock)(void *data);
  void *clock_data;
  bool keeps;          /* the thread of maintain.h works for it, too */
  checker *checker;    /* null: none was asked for */
  clock_state clock;
  uint64_t swept, last_sweep, evicted; /* as lode_stats tells them */
  _Atomic uint64_t *counts; /* reads and found, of all processes; */
  uint32_t reads, found;    /* those not added to them yet */
  unsigned turn;       /* of inline sweeps, over the collections */
  lode_buffer next;    /* name of the collection that lode_maintain is at */
  lode_coll *colls;
  lode_walk *walks;
  lode_watch *watches; /* who is told when it is closed */
  lode_buffer record;  /* for building one */
  lode_buffer old;     /* for keeping one */
  lode_buffer pended;  /* the value of a pending write that was read */
  lode_buffer claimed; /* what its claims are made under (claims.h) */
};

struct lode_coll {
  lode_store *store;      /* null: closed */
  lode_coll *next, **link;
  lode_coll_options kept; /* its texts are in `texts` */
  unsigned char *texts, *policy;
  uint32_t number;
  record_check check;
  kv_db db, due, order;   /* entries; their indexes, 0: none */
  lode_hooks hooks;
  bool timed;             /* it has options of time, or its deadline index
                             is not empty; known in transactions */
  uint64_t untimed;       /* the last transaction that saw it empty */
  bool track;             /* reads are noted */
  uint64_t until;         /* when what it gave last may be another thing;
                             LODE_NEVER: only a commit changes it */
  bool hooked;            /* its `removed` hook is running, or `failed` */
  bool orphan;            /* closed while a callback ran: to be freed */
  lode_buffer sweep;      /* the call after which the next sweep begins */
  uint64_t generation;    /* of the catalogue when it last stood there */
  uint64_t stood;         /* the commit by which it was seen to stand, for
                             writes behind */
  uint64_t serial;        /* of the transaction that looked for it */
  unsigned made_depth;    /* level of the transaction that made it; 0: done */
  unsigned drop_depth;    /* level of the transaction that dropped it */
  bool gone;              /* dropped, or its making was rolled back */
};

/* {==================================================================
** Views for reading
** =================================================================== */

/*
** Opens the file anew in a child made by fork, which has inherited the
** handle. REENTRY while something is open that the parent began; NOT_FOUND,
** and what lode_open gives.
*/
lode_status handle_reopen (lode_store *s);
/* After kv_read_begin has failed with `st`. */
lode_status handle_read_again (lode_store *s, lode_status st);

/* Before what needs more of the environment than a view. */
static inline lode_status handle_here (lode_store *s) {
  return lode_unlikely(kv_is_left(s->env)) ? handle_reopen(s) : LODE_OK;
}

/* REENTRY where the view that is open is the parent process's. */
static inline lode_status handle_view (lode_store *s) {
  return lode_unlikely(kv_is_left(s->env))
         ? kv_left_behind(s->env, &s->error) : LODE_OK;
}

/*
** After a callback that gave `st`: a child made by fork in it goes no further
** in what the parent is doing.
*/
static inline lode_status handle_back (lode_store *s, lode_status st) {
  if (lode_likely(!kv_is_left(s->env)))
    return st;
  kv_txn_leave(&s->read);
  kv_txn_leave(&s->write);
  return kv_left_behind(s->env, &s->error);
}

/* Adds what was counted to what all processes have. */
void handle_count_out (lode_store *s);

#define HANDLE_COUNTS 64 /* reads between two times that it is */

/* Counts a read by key. */
static inline void handle_count (lode_store *s, bool found) {
  s->found += found;
  if (lode_unlikely(++s->reads >= HANDLE_COUNTS))
    handle_count_out(s);
}

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
    return handle_view(s);
  }
  *t = &s->read;
  if (lode_unlikely(s->snapshots > 0))
    return handle_view(s);
  handle_done(s);
  st = kv_read_begin(&s->read);
  if (lode_unlikely(st != LODE_OK))
    st = handle_read_again(s, st);
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
** Takes the writer lock, and sees that nothing is pending: it is committed,
** and no write behind is accepted until the lock is given back.
** BUSY, REENTRY, READONLY; the failure of what is pending.
*/
lode_status handle_lock (lode_store *s);

/* Commits what is pending, if anything is. */
lode_status handle_settle (lode_store *s);
/*
** The same before a read of many entries: only where the handle was opened
** so, and a full disk is no failure, since reads go on then.
*/
lode_status handle_catch_up (lode_store *s);

/*
** Begins a write of one call: joins the open transaction or begins one,
** then `*own`. READONLY, REENTRY and what kv_write_begin gives.
*/
lode_status handle_write (lode_store *s, bool *own);
/* Takes the writer lock alone, as kv_lock does. */
lode_status handle_lock (lode_store *s);
/* Ends it: commits its own on OK, rolls it back otherwise; gives `st`. */
lode_status handle_written (lode_store *s, bool own, lode_status st);
/* Whether entries are evicted when there are too many. */
static inline bool coll_is_capped (const lode_coll *c) {
  return c->kept.max_entries != 0 || c->kept.max_bytes != 0;
}

/* Takes over what the catalogue says of its lifetimes and caps. */
lode_status coll_take_life (lode_coll *c, lode_store *s,
                            const catalog_entry *e);

/* handle_write for a collection, which must stand. */
lode_status coll_write (lode_coll *c, bool *own);

/*
** The transaction in which this handle puts notes of accesses aside, and
** what becomes of them as a level of it ends: see access.h.
*/
access_txn handle_notes (lode_store *s);
void handle_notes_settle (lode_store *s, unsigned depth, bool committed);
/* Puts aside what was noted of an entry; `dead`: see access_end. */
void coll_forget (lode_coll *c, lode_slice stored, lode_slice whole,
                  bool dead);

/* Opens every database of the catalogue, so that a snapshot sees them. */
lode_status handle_prepare (lode_store *s);

/*
** Opens the indexes that the collection needs and this handle has not open;
** makes them where `create`, in the open transaction.
*/
lode_status coll_open_indexes (lode_coll *c, lode_store *s,
                               const catalog_entry *e, bool create);

/* NO_MEMORY, in words. */
lode_status handle_no_memory (lode_store *s);

/* Ends a claim that the handle made, if it still holds it. */
void handle_unclaim (lode_store *s, const unsigned char id[HASH_SIZE]);
/*
** Ends all of them. Other handles may keep the environment open, and with
** it the list that they are on.
*/
void handle_unclaim_all (lode_store *s);

/*
** As lode_coll_open without options, of a collection that is there:
** NOT_FOUND when it was dropped, which must not bring it back.
*/
lode_status coll_find (lode_store *s, lode_slice name, lode_kind kind,
                       lode_coll **coll);
/* Detaches a collection's handle from its store: it is closed. */
void coll_detach (lode_coll *c);
/* Frees those that were closed while a callback of the store was running. */
void colls_reap (lode_store *s);
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
