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
** The side file, beside the data file, has SIDE_SIZE bytes:
**
**   side := "lodeside" (8), process (4), zeros (4), mark (8), zeros
**
** `process` is who wrote last, for messages; `mark` belongs to clock.h.
** Both in this machine's order.
*/
#ifndef LODE_WRITER_H
#define LODE_WRITER_H

#include <pthread.h>

#include "../lode.h"
#include "gate.h"

#define SIDE_SIZE 64

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
  _Atomic uint64_t own_mark;  /* where there is no side file */
} writer;

/* The mark: of the file, for all processes, or this process's own. */
_Atomic uint64_t *writer_mark (writer *w);

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

/* Whether the calling thread holds it. */
bool writer_is_mine (writer *w);

#endif
