/*
** syncer.c - lode_flush_later: a sync that nobody waits for.
**
** A thread does it, on a handle of its own, and ends with it. A sync is one
** of the whole file, so all handles of the process need only one at a time;
** who asks while it runs has it done once more. How far it is stands in what
** they share, which the thread's handle keeps alive.
*/
#include <pthread.h>

#include "handle.h"

enum { /* the states of shared.syncing */
  SYNC_IDLE, SYNC_RUNS, SYNC_AGAIN, SYNC_FAILED
};

static void *run (void *data) {
  lode_store *own = data;
  lode_error ignored;
  lode_status st;
  int now, then;
  do {
    atomic_store(&own->shared->syncing, SYNC_RUNS);
    st = kv_flush(own->env, &own->error);
    now = SYNC_RUNS;
    then = st == LODE_OK ? SYNC_IDLE : SYNC_FAILED;
  } while (!atomic_compare_exchange_strong(&own->shared->syncing, &now,
                                           then));
  (void)lode_close(own, &ignored);
  return NULL;
}

/* The state is SYNC_RUNS, and it is this call that has made it so. */
static lode_status start (lode_store *s) {
  lode_options o = s->options;
  lode_error error, ignored;
  lode_store *own;
  lode_status st;
  pthread_t thread;
  int rc;
  o.durability = LODE_COMMIT; /* its close need not sync again */
  o.maintenance = LODE_OFF;
  o.check = LODE_CHECK_NONE;
  o.clock = NULL;
  o.create = false;
  st = lode_open(s->files.root, &o, &own, &error);
  if (st != LODE_OK) {
    atomic_store(&s->shared->syncing, SYNC_IDLE);
    s->error = error;
    return st;
  }
  rc = gate_thread(&thread, run, own);
  if (rc == 0) {
    pthread_detach(thread);
    return LODE_OK;
  }
  atomic_store(&s->shared->syncing, SYNC_IDLE);
  (void)lode_close(own, &ignored);
  return fail(&s->error, LODE_IO, "%s: no thread to sync it: %s",
              s->files.base, strerror(rc));
}

lode_status lode_flush_later (lode_store *s) {
  _Atomic int *state;
  int now;
  lode_status st = handle_here(s);
  if (st == LODE_OK)
    st = handle_settle(s);
  if (st != LODE_OK || s->readonly)
    return st;
  state = &s->shared->syncing;
  now = SYNC_RUNS;
  if (atomic_compare_exchange_strong(state, &now, SYNC_AGAIN) ||
      now == SYNC_AGAIN)
    return LODE_OK;
  now = SYNC_FAILED;
  if (atomic_compare_exchange_strong(state, &now, SYNC_IDLE))
    return fail(&s->error, LODE_IO, "%s could not be synced: what was "
                "written last may not be on the disk", s->files.base);
  now = SYNC_IDLE;
  return atomic_compare_exchange_strong(state, &now, SYNC_RUNS) ? start(s)
                                                           : LODE_OK;
}
