/*
** claims.h - who computes what: one at a time over all threads and all
** processes.
**
** A claim is on a hash of 16 bytes. Within the process it is an entry of a
** list under a mutex; between processes a byte-range lock on the side file,
** at a place that the hash gives. The kernel gives that lock back when its
** process dies, however it dies, so no claim outlives who made it. Two
** hashes that meet in one place only wait for each other.
**
** The locks are POSIX record locks and not those of an open file: a child
** made by fork does not inherit them, so none stays held by a child that
** knows nothing of it.
*/
#ifndef LODE_CLAIMS_H
#define LODE_CLAIMS_H

#include "gate.h"
#include "hash.h"

typedef struct claims claims;

/* `fd` is the side file (-1: threads of this process alone). NULL: memory. */
claims *claims_new (int fd);
void claims_free (claims *c);

/*
** Makes the claim, waiting at most `timeout` ms for another's to end.
** BUSY when it didn't; REENTRY when this thread has it already; NO_MEMORY,
** IO. With `timeout` 0 it is tried once.
*/
lode_status claims_take (claims *c, const unsigned char id[HASH_SIZE],
                         unsigned timeout);
/* Ends a claim of this thread. */
void claims_drop (claims *c, const unsigned char id[HASH_SIZE]);

#endif
