/*
** shared.h - what all handles of a process on a store have in common,
** beside the environment: the accesses that were noted, the claims of who
** computes what, and the writes that are not in the file yet. Made by the
** first handle, freed by the last.
*/
#ifndef LODE_SHARED_H
#define LODE_SHARED_H

#include "access.h"
#include "claims.h"
#include "kv.h"
#include "queue.h"

typedef struct shared {
  struct shared *next; /* in the registry */
  kv_env *env;
  unsigned handles;
  access_table *accesses;
  claims *claims;
  queue *queue;
  _Atomic uint64_t kept; /* when accesses were last kept, in ms */
  _Atomic int syncing;   /* what syncer.c is doing */
} shared;

/* NULL: no memory. */
shared *shared_get (kv_env *env);
void shared_release (shared *s);
/* Whether it is the last handle's. */
bool shared_is_last (shared *s);

#endif
