/*
** entry.h - what the rooms above share of entry.c: writes inside of a
** transaction, whatever their collection keeps of time.
*/
#ifndef LODE_ENTRY_H
#define LODE_ENTRY_H

#include "life.h"

/* As lode_put and lode_fetch_put (`fetched` may be null). */
lode_status entry_put (lode_coll *c, const lode_key *key, lode_value value,
                       lode_put_mode mode, uint64_t ttl,
                       const lode_fetch_life *fetched);
/* As lode_delete. */
lode_status entry_delete (lode_coll *c, lode_slice stored, lode_slice whole);

/* Entries that are alive, and those that have died and are still there. */
lode_status entry_count (lode_coll *c, uint64_t *n, uint64_t *dead);

#endif
