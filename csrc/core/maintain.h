/*
** maintain.h - upkeep of a whole store: sweeps over all its collections,
** and the thread that does them in the background.
*/
#ifndef LODE_MAINTAIN_H
#define LODE_MAINTAIN_H

#include "sweep.h"

/*
** Calls `each` for every collection of the catalogue: with the handle that
** the store has of it, one with hooks if there is, else with one opened for
** the call. Not for raw ones.
*/
typedef lode_status maintain_visit (lode_coll *c, void *data);
lode_status maintain_each (lode_store *s, maintain_visit *each, void *data);

/* Keeps every access that was noted, as the last handle is closing. */
void maintain_keep_all (lode_store *s);

/*
** Starts the thread of the store's file in this process, or joins those
** that use it; ends it with the last. IO, NO_MEMORY.
*/
lode_status maintain_start (lode_store *s, const lode_options *options,
                            lode_error *error);
void maintain_stop (lode_store *s);

#endif
