/*
** checker.h - the check of a store in the background, which its opening
** began: a thread with a handle of its own.
*/
#ifndef LODE_CHECKER_H
#define LODE_CHECKER_H

#include "handle.h"

/* Starts it for a store that is open. IO, NO_MEMORY and of lode_open. */
lode_status checker_start (lode_store *s, const lode_options *options,
                           lode_error *error);
/* Ends it before the store is closed, done or not. */
void checker_stop (lode_store *s);

#endif
