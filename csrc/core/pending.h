/*
** pending.h - the way from the queue to the file: a thread that commits
** batches, each of them in one transaction, in order, and synced.
**
** One for each environment of a process that has handles with LODE_BEHIND.
** It writes by a handle of its own, which belongs to whoever holds the
** writer lock: the thread, or a writer that has to see all that is pending
** in the file before it begins (handle_lock).
*/
#ifndef LODE_PENDING_H
#define LODE_PENDING_H

#include "handle.h"

/* Joins those that write behind, or begins. IO, NO_MEMORY. */
lode_status pending_start (lode_store *s, const lode_options *options,
                           lode_error *error);
/*
** Commits what is pending and leaves; with the last the thread ends, and
** what could not be committed is lost. The failure of that, in words.
*/
lode_status pending_stop (lode_store *s, lode_error *error);

#endif
