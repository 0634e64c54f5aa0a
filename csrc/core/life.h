/*
** life.h - entries with a lifetime: whether one is alive, and the writes
** that keep its times, its deadline and the indexes.
**
** The deadline index of a collection is a plain tree:
**
**   call (8, ms since the epoch) stored key -> nothing
**
** A call is not the truth but a time to look at the record, never later
** than its deadline; the record knows its call, so there is one for each
** record with a deadline. A deadline that moves later leaves the call where
** it is; at that time the sweep moves it. (Records of one bucket share a
** call of the same time.)
**
** A collection whose records may have parts is `timed` (handle.h). In any
** other, writes go straight to the tree.
*/
#ifndef LODE_LIFE_H
#define LODE_LIFE_H

#include "item.h"

/* A record that was found, and what is known of it. */
typedef struct life_item {
  lode_slice stored, whole;
  record record;      /* its bytes lie in the map until the next write */
  record_parts parts;
  bool there;         /* a record stands under the key */
  bool alive;
} life_item;

/* Of life_alive, for records with parts. */
lode_status life_judge (lode_coll *c, kv_txn *t, lode_slice whole,
                        const record *r, bool *alive);

/*
** Whether an opened record is alive. A policy that gave its deadline is
** asked again once that has passed. CALLBACK, CORRUPT.
*/
static inline lode_status life_alive (lode_coll *c, kv_txn *t,
                                      lode_slice whole, const record *r,
                                      bool *alive) {
  *alive = true;
  if (lode_unlikely(r->flags != 0))
    return life_judge(c, t, whole, r, alive);
  return LODE_OK;
}

/* Finds a record and judges it. OK also when there is none. */
lode_status life_find (lode_coll *c, kv_txn *t, lode_slice stored,
                       lode_slice whole, life_item *item);

/* As lode_put and lode_fetch_put (`fetched` may be null). */
lode_status life_put (lode_coll *c, lode_slice stored, lode_slice whole,
                      lode_value value, lode_put_mode mode, uint64_t ttl,
                      const lode_fetch_life *fetched);
/* ABSENT also for one that is dead, which is left to the sweep. */
lode_status life_delete (lode_coll *c, lode_slice stored, lode_slice whole);

/* Writes a record that was found with other parts, and its value. */
lode_status life_change (lode_coll *c, const life_item *item,
                         const record_parts *parts);
/* Takes a record and what the indexes have of it out. */
lode_status life_remove (lode_coll *c, const life_item *item);
/*
** Removes a record that has died (or is evicted) and tells the hook. On
** CALLBACK nothing has changed.
*/
lode_status life_bury (lode_coll *c, const life_item *item, bool evicted);

/*
** Gives `parts` the deadline that comes of `ttl` (as lode_put takes it):
** from the value of `item`, which is alive, or is being written.
*/
lode_status life_deadline (lode_coll *c, const life_item *item,
                           lode_value value, uint64_t ttl, uint64_t now,
                           record_parts *parts);

/*
** What the options of the collection now make of a record that was written
** before they held: its times, deadline and rank. `item` has no rank.
*/
lode_status life_renew (lode_coll *c, const life_item *item, uint64_t now,
                        record_parts *parts);

/*
** What hooks are told of an entry that `t` has read (null: the store's own
** writer), its noted accesses included.
*/
void life_describe (lode_coll *c, const kv_txn *t, lode_slice whole,
                    lode_value value, const record_parts *parts,
                    uint64_t now, lode_entry *e);

/* Asks the policy, reading meanwhile as `t` reads. CALLBACK. */
lode_status life_ask (lode_coll *c, kv_txn *t, const lode_entry *e,
                      uint64_t *expires);

/* Asks the hook for the rank of one that is described. CALLBACK. */
lode_status life_ask_rank (lode_coll *c, const lode_entry *e,
                           uint64_t *rank);
/* Asks the hook for an entry's rank; it stays where there is none. */
lode_status life_rank (lode_coll *c, const life_item *item, uint64_t *rank);

/*
** Tells that a hook has failed for this entry, which is passed over; its
** value is left out.
*/
void life_failed (lode_coll *c, const life_item *item);

/* Whether a hook that the collection needs for removals isn't here. */
bool life_waits (const lode_coll *c);

/* How many records are dead and still counted by the tree. */
lode_status life_count_dead (lode_coll *c, kv_txn *t, uint64_t *n);

/*
** Calls `each` for every record under a stored key, which is the caller's.
** What the record holds lies in the map, and is good until the next write.
*/
typedef lode_status life_visit (lode_coll *c, life_item *item, void *data);
lode_status life_each (lode_coll *c, kv_txn *t, lode_slice stored,
                       life_visit *each, void *data);

#endif
