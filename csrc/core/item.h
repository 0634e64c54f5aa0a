/*
** item.h - single records in the tree of a collection, as they lie: put,
** taken out, found, whatever their time says. `stored` is the key as it
** stands in the tree, `whole` all of it. A bucket is no matter here.
*/
#ifndef LODE_ITEM_H
#define LODE_ITEM_H

#include "handle.h"

/* Whether the record of `stored` is a bucket. */
static inline bool item_in_bucket (const lode_coll *c, lode_slice stored) {
  return key_stored_is_long(stored) && !c->kept.raw;
}

/* CORRUPT, in words, for an entry of `c`. */
lode_status item_damaged (lode_coll *c);

/* Opens what stands under a key in `t`. ABSENT, CORRUPT. */
lode_status item_get (lode_coll *c, kv_txn *t, lode_slice stored,
                      lode_slice whole, record *r);

/* Writes a record; `parts` null: a plain one. In the open transaction. */
lode_status item_put (lode_coll *c, lode_slice stored, lode_slice whole,
                      lode_value value, const record_parts *parts);
/* ABSENT. */
lode_status item_delete (lode_coll *c, lode_slice stored, lode_slice whole);

/*
** Whether a record of the bucket under `stored` has this call (`flag`
** RECORD_LIFE) or rank (RECORD_RANK); false where there is no bucket.
*/
lode_status item_shares (lode_coll *c, lode_slice stored, unsigned flag,
                         uint64_t time, bool *shares);

/* How many records there are, but for hidden ones. In the transaction. */
lode_status item_count (lode_coll *c, uint64_t *n);

/* Counts `change` entries more than there are records. */
lode_status item_count_extra (lode_coll *c, int change);

#endif
