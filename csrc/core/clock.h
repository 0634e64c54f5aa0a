/*
** clock.h - the time by which entries die.
**
** It is the system's clock, or the caller's own, and either may be set
** back. What was seen dead must stay dead then, and what is written
** afterwards must not die early. So the greatest deadline that anybody has
** seen pass, the mark, is kept in the side file, for all processes at once;
** and a writer that finds the clock set back before the mark begins a new
** era: the mark becomes the floor of the era that ends. An entry is dead
** when its deadline is not after now, nor after a floor or mark that was
** set in its era or later. Entries of the new era know nothing of those.
**
**   mark := era (16 bits), time (48 bits, ms since the epoch)
**
** Eras and floors are in the catalogue (catalog.h). A floor that the clock
** has passed again, or that is below a later one, is of no use and dropped,
** so there is hardly ever one.
** A step back of less than CLOCK_STEP makes no era: processes read the
** clock at slightly different times.
**
** Only deadlines that the clock itself has passed move the mark. An entry
** that is dead by the floor of an earlier era may have one still to come,
** and that says nothing of entries of this era.
*/
#ifndef LODE_CLOCK_H
#define LODE_CLOCK_H

#include "catalog.h"
#include "record.h"

#define CLOCK_STEP 1000 /* ms */

typedef struct clock_state { /* of one handle on a store; zeroed at first */
  uint64_t (*source)(void *data); /* null: the system's clock */
  void *data;
  _Atomic uint64_t *mark;
  bool foreign;            /* the file has no catalogue */
  bool late;               /* it tells when writes were made that are done
                              later: one before the mark is no step back */
  catalog_eras eras;
  bool known;              /* `eras` was read, */
  bool dirty;              /* and changed by the open transaction, whose */
  uint64_t own;            /* era has a mark of its own until it commits */
} clock_state;

/* The time, in ms since the epoch. CALLBACK: the caller's clock failed. */
lode_status clock_now (clock_state *c, uint64_t *now);

/*
** Makes `*now` the time by which an entry of `era` is judged: not before
** what was set as its floor. CORRUPT.
*/
lode_status clock_floor (clock_state *c, kv_txn *t, uint16_t era,
                         uint64_t *now);

/*
** Whether this deadline is ahead of the clock, and of every one that was
** seen to pass. Never true for one that clock_floor puts in the past; false
** also when the clock fails.
*/
bool clock_before (clock_state *c, uint64_t deadline);

/* Whether the clock stands at `now` before a deadline seen to pass. */
bool clock_is_back (const clock_state *c, uint64_t now);

/* The latest time by which any entry might be judged. */
lode_status clock_latest (clock_state *c, kv_txn *t, uint64_t *now);

/* Remembers that this deadline, not after now, was seen to pass. */
void clock_passed (clock_state *c, uint64_t deadline);

/*
** For a write of a deadline, in the transaction `t`: the era it belongs to,
** a new one if need be, and the time to count from.
*/
lode_status clock_era (clock_state *c, kv_txn *t, uint16_t *era,
                       uint64_t *now);

/* A level of the transaction has ended, perhaps the outermost. */
void clock_settle (clock_state *c, bool outermost, bool committed);

#endif
