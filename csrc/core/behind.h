/*
** behind.h - writes of single keys that may wait in the queue.
**
** A write waits where nothing needs to be read for it, and nobody to be
** asked: a put without a condition, a delete, which only looks; not inside
** of a transaction, and not in a collection with a policy, a hook or a cap,
** nor in a raw one. All other writes go to the file at once, and by
** handle_lock all that waits goes before them.
**
** When a batch fails for want of room, deletes go ahead of it, to make some.
*/
#ifndef LODE_BEHIND_H
#define LODE_BEHIND_H

#include "life.h"

/*
** As lode_get, from what is pending. `*found`: there is a write of the key,
** which says all; else nothing was done.
*/
lode_status behind_get (lode_coll *c, const lode_key *key, lode_value *value,
                        bool *found);

/* Sees that the file has what is pending of this key. */
lode_status behind_settle (lode_coll *c, const lode_key *key);

/*
** As lode_put with LODE_PUT, and lode_delete, when the write may wait. On OK
** without `*taken` it may not, and nothing was done.
*/
lode_status behind_put (lode_coll *c, const lode_key *key, lode_value value,
                        uint64_t ttl, bool *taken);
lode_status behind_delete (lode_coll *c, const lode_key *key, bool *taken);

/*
** Whether the queue has failed for want of room. Then what the handle
** writes until behind_ahead_end goes ahead of the queue. It may call no
** hook, whose writes would be undone by what is pending.
*/
bool behind_ahead (lode_store *s);
void behind_ahead_end (lode_store *s);
/*
** After a delete that went ahead and gave `st`: takes what is pending of
** the key out. What the delete gives in all.
*/
lode_status behind_forget (lode_coll *c, const lode_key *key,
                           lode_status st);

#endif
