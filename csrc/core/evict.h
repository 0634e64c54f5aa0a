/*
** evict.h - caps: which entries go when there are too many.
**
** A write that takes a collection past its cap looks at candidates in the
** order of the index (order.h), EVICT_LOOKS of them at most: one that was
** read since it got its place is given a new one, or a second chance; the
** first other one goes. When none was found and the cap is exceeded by
** less than LODE_CAP_SLACK entries, that is left to the next write; else
** the next candidate goes whatever was noted of it.
*/
#ifndef LODE_EVICT_H
#define LODE_EVICT_H

#include "life.h"

#define EVICT_LOOKS 64

/*
** After a write to `c`, in its transaction. What was just written makes the
** others go: `spare` is its whole key, or empty.
*/
lode_status evict_excess (lode_coll *c, lode_slice spare);

/*
** Keeps what was noted of the accesses of an entry with it: its times,
** hits and place; `note` was taken from the table.
*/
lode_status evict_keep (lode_coll *c, const life_item *item,
                        const access_note *note);

#endif
