/*
** writer.h - one writer at a time, with a deadline.
**
** LMDB's own writer lock waits for ever. This one stands in front of it:
** within the process a flag under a mutex, between processes a lock on the
** open side file (flock: it belongs to the open file, so the kernel frees
** it when its process dies, and two openings of the file exclude each
** other even in one process). A child made by fork has the same open file:
** it closes its copy at once, and never unlocks it.
**
** A thread that ends while it holds the lock would keep it for ever. So it
** holds a robust mutex with it, of which others learn that it has ended.
**
** The side file is drawn in side.h.
*/
#ifndef LODE_WRITER_H
#define LODE_WRITER_H

#include <pthread.h>

#include "../lode.h"
#include "gate.h"
#include "side.h"

typedef struct writer {
  pthread_mutex_t mutex;
  pthread_cond_t freed;
  bool held;
  bool watched;               /* its owner holds `alive`, too */
  pthread_t owner;            /* who holds it */
  pthread_mutex_t alive;
  int32_t process;            /* this one */
  int fd;                     /* the side file; -1: none, readonly */
  volatile unsigned char *side; /* mapped; null: none */
  side_doubt doubt;           /* that it was opened with */
  bool stranger;              /* why it could not be: another C library */
  _Atomic uint64_t own_mark, own_counts[2]; /* where there is no side file */
} writer;

/* The mark: of the file, for all processes, or this process's own. */
_Atomic uint64_t *writer_mark (writer *w);
/* The same of two: how many reads there were, and how many found one. */
_Atomic uint64_t *writer_counts (writer *w);

/* `path` null: a writer that only excludes threads. False: errno tells. */
bool writer_init (writer *w, const char *path, unsigned mode);
void writer_destroy (writer *w);

/* Closes what a child made by fork has inherited, and frees nothing. */
void writer_leave (writer *w);

/*
** OK, REENTRY when this thread holds it already, BUSY after `timeout` ms
** with the holder's process in `pid` (0: another thread of this one), IO.
** `*ended`: it was taken from a thread that ended while it held it.
*/
lode_status writer_acquire (writer *w, unsigned timeout, int *pid,
                            bool *ended);
void writer_release (writer *w);
/* Takes it over from a thread that has ended. False: none has. */
bool writer_inherit (writer *w);

/*
** Before a commit that is not synced: notes it in the side file. The lock
** is held. False: errno tells.
*/
bool writer_unsynced (writer *w);
/* Whether such a note stands there. */
bool writer_is_unsynced (const writer *w);

/* Whether the calling thread holds it. */
bool writer_is_mine (writer *w);

#endif
