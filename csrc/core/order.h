/*
** order.h - the eviction index of a capped collection: who goes first.
**
**   00                  -> hand (8) bytes (8)
**   rank (8) stored key -> nothing, or 01: visited
**
** Each record of the collection that counts has a rank (record.h), the
** least goes first:
**
**   sieve, fifo  a stamp of when it came, past all others
**   lru          a stamp of its last access that was kept
**   lfu          hits (24 bits), then a stamp of when they were kept
**   ttl          its deadline, or the greatest number
**   rank         what the hook said, as a number that sorts
**
** Reads don't move anything here: evict.c compares a candidate with what
** was noted of its accesses, and moves it only then. `hand` is sieve's: the
** rank that it looks at next. `bytes` is the sum of keys and values, kept
** where there is a cap on it.
*/
#ifndef LODE_ORDER_H
#define LODE_ORDER_H

#include "item.h"

#define ORDER_HITS_MAX ((1u << 24) - 1)

typedef struct order_state {
  uint64_t hand, bytes;
} order_state;

lode_status order_get_state (lode_coll *c, order_state *state);
lode_status order_set_state (lode_coll *c, const order_state *state);

/*
** The rank for an entry that is being written. `old` is what it had, null
** for a new one. Not for LODE_EVICT_RANK.
*/
lode_status order_rank (lode_coll *c, const lode_entry *e,
                        const record_parts *old, uint64_t *rank);

/* A rank past all that there are, and not before `now` in microseconds. */
lode_status order_stamp (lode_coll *c, uint64_t now, uint64_t *rank);

/* A number as a rank. NaN goes first. */
uint64_t order_of_number (double x);

/* The rank of so many hits, kept now. */
uint64_t order_of_hits (uint64_t hits, uint64_t now);

/*
** A record has changed: its parts before and after (null: there was, is,
** none), and how many bytes more there are now.
*/
lode_status order_changed (lode_coll *c, lode_slice stored,
                           const record_parts *old, const record_parts *new,
                           int64_t bytes);

/* Marks an entry as visited, for other processes to see, or not. */
lode_status order_mark (lode_coll *c, lode_slice stored, uint64_t rank,
                        bool visited);

typedef struct order_place { /* an entry of it, copied */
  uint64_t rank;
  bool visited;
  unsigned char room[KV_KEY_MAX];
  lode_slice stored; /* in `room` */
} order_place;

/*
** Moves on to the first place past `place`; where that has no stored key, to
** the first one not before its rank. ABSENT.
*/
lode_status order_next (lode_coll *c, order_place *place);

#endif
