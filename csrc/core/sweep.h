/*
** sweep.h - what time asks of one collection, done in the open
** transaction: what has died is removed, calls that came too early are
** moved, noted accesses are kept.
**
** A hook that fails leaves its entry as it is: readers don't see it, its
** call stays, and the sweep passes on; it is tried again when the sweep
** comes round.
*/
#ifndef LODE_SWEEP_H
#define LODE_SWEEP_H

#include "evict.h"
#include "life.h"

#define SWEEP_FEW 4 /* calls that a write answers on the side */

/*
** Answers at most `most` calls that are due by now, and by `*until` unless
** that is 0, which becomes the time that it went by: so that who comes back
** for more meets no call which was moved meanwhile. `removed` grows by the
** entries that went; `more`: there are more calls due. A collection that
** waits for hooks (life_waits) is left alone. An error of the user's stays
** out.
*/
lode_status sweep_coll (lode_coll *c, uint64_t most, uint64_t *until,
                        uint64_t *removed, bool *more);

/*
** Whether calls are due, by now and by `until` (0: by now), or accesses
** noted, that a sweep could do with.
*/
lode_status sweep_needed (lode_coll *c, kv_txn *t, uint64_t until, bool *due,
                          bool *noted);

/* Keeps at most `most` noted accesses of the collection. */
lode_status sweep_keep (lode_coll *c, uint64_t most);

/* A few of all this at the end of a write to `c` (null: to several). */
lode_status sweep_inline (lode_store *s, lode_coll *c);

/* Gives every entry its deadline, times and place anew. */
lode_status sweep_rearm (lode_coll *c);

#endif
