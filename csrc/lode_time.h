/*
** lode_time.h - the part of lode.h that is about time: deadlines, policies,
** caps, upkeep, and values that are computed when they are missing. It is
** included by lode.h, after what it builds on.
*/
#ifndef LODE_TIME_H
#define LODE_TIME_H

#include "lode.h"

/* {==================================================================
** Time: deadlines, policies, caps, maintenance
** =================================================================== */

/*
** An entry may have a deadline. Past it, it is absent for every reader at
** once; a sweep removes it later. Times are in ms since the epoch.
*/
typedef struct lode_entry { /* as hooks and lode_info see one */
  lode_slice key;          /* whole */
  lode_value value;
  uint64_t now;
  bool timed;              /* the times and the hits are kept */
  uint64_t ctime, mtime, atime; /* first written, last written, last read
                              (or written) */
  uint64_t hits;           /* reads */
  uint64_t expires;        /* LODE_NEVER: it doesn't */
  uint64_t size;           /* bytes of key and value */
  bool evicted;            /* a cap removes it, not its deadline */
} lode_entry;

/*
** What a collection asks of its user while lode is at work. Each is called
** in the thread of the call that needs it; it may read the store, only
** `removed` may write to it, and none may close it. LODE_CALLBACK tells
** that it failed; its words are its owner's business. Slices of the entry
** are good until it returns.
*/
struct lode_hooks {
  /* The policy: when does `e` die? Asked when it is written, and again when
     the time that it gave has come. Null: none. */
  lode_status (*deadline)(void *data, const lode_entry *e,
                          uint64_t *expires);
  /* `e` is being removed, in the transaction that is open. When this fails
     it stays. Null: nobody is told. */
  lode_status (*removed)(void *data, const lode_entry *e);
  /* Who goes first: the lowest. For LODE_EVICT_RANK. */
  lode_status (*rank)(void *data, const lode_entry *e, double *rank);
  /* One of these has failed in a sweep, which goes on; the value is left
     out. Null: not told. */
  void (*failed)(void *data, const lode_entry *e);
  void *data;
};

/* What is known of an entry; the value is left out. ABSENT. */
lode_status lode_info (lode_coll *coll, const lode_key *key,
                       lode_entry *entry);
/* Gives an entry another lifetime: ms, LODE_TTL_OWN or LODE_NEVER. ABSENT. */
lode_status lode_expire (lode_coll *coll, const lode_key *key, uint64_t ttl);
/*
** Counts an access, and gives an entry its lifetime anew where that comes
** from the collection's ttl or policy. ABSENT.
*/
lode_status lode_touch (lode_coll *coll, const lode_key *key);
/* Copies an entry with its times and deadline to another collection of the
   store, which must lack it and have the same options. ABSENT. */
lode_status lode_copy (lode_coll *from, lode_coll *to, const lode_key *key);

typedef struct lode_budget { /* of one call; 0: no bound */
  uint64_t entries;
  uint64_t ms;
  uint64_t age;            /* ms: what has died since then is left */
} lode_budget;

/*
** Removes what has expired, collection by collection in turn, in short
** transactions, and keeps the accesses that were noted; goes on where the
** last call stopped. An entry is looked at once in a call, whatever a hook
** makes of it. `removed`: how many; `more`: whether there is more due
** that could be removed here. A transaction must not be open: REENTRY.
*/
lode_status lode_maintain (lode_store *store, const lode_budget *budget,
                           uint64_t *removed, bool *more);

/* The time of the store's clock. CALLBACK when it fails. */
lode_status lode_now (lode_store *store, uint64_t *now);

/* }================================================================== */

/* {==================================================================
** Get or compute: one computes, the others wait
** =================================================================== */

typedef enum lode_fetched {
  LODE_FETCH_FRESH,    /* there is a value */
  LODE_FETCH_NOTHING,  /* it was computed that there is none */
  LODE_FETCH_STALE,    /* one that had better be computed anew */
  LODE_FETCH_NONE      /* none */
} lode_fetched;

/*
** How early a caller is to compute a value anew, so that few do when it
** ends: a random number of the mean `beta` (XFetch: Vattani, Chierichetti,
** Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", 2015).
** Drawn once for all looks of a caller, or its second look would undo what
** the first has decided.
*/
double lode_fetch_draw (double beta);

/*
** As lode_get, and tells how good the value is; only FRESH and STALE hold
** one (and need lode_done). A value is called stale already when what is
** left of its time is at most `early` times what its computing took.
*/
lode_status lode_fetch_look (lode_coll *coll, const lode_key *key,
                             double early, lode_value *value,
                             lode_fetched *found);

/*
** How it went in the end, for the counts of lode_stats, as one fetch may look
** several times: whether the value was there, or had to be computed.
*/
void lode_fetch_count (lode_coll *coll, bool found);

#define LODE_FETCH_WAIT UINT32_MAX /* of a timeout: the lock_timeout */

/* As lode_get, but no access is noted. */
lode_status lode_peek (lode_coll *coll, const lode_key *key,
                       lode_value *value);

/*
** As lode_get, but shows also an entry that has died, as long as no sweep
** has removed it; `stale` tells. No access is noted. ABSENT.
*/
lode_status lode_get_stale (lode_coll *coll, const lode_key *key,
                            lode_value *value, bool *stale);

/*
** Claims the computing of a key, over all threads and processes; a claim
** ends with its handle, and with its process. BUSY after `timeout` ms;
** REENTRY when this thread is computing it already, READONLY and REENTRY
** where nothing can be written.
*/
lode_status lode_fetch_claim (lode_coll *coll, const lode_key *key,
                              unsigned timeout);
void lode_fetch_drop (lode_coll *coll, const lode_key *key);

typedef struct lode_fetch_life {
  uint64_t ttl;    /* as lode_put takes it */
  uint64_t stale;  /* ms past its end that lode_fetch_look still shows it */
  uint64_t cost;   /* ms that the computing took; for `early` */
  bool nothing;    /* there is no value: keep that (needs a ttl) */
} lode_fetch_life;

/* Stores what was computed; otherwise as lode_put. */
lode_status lode_fetch_put (lode_coll *coll, const lode_key *key,
                            lode_value value, const lode_fetch_life *life);

/* }================================================================== */

#endif
