/*
** fork.h - what a child made by fork does with what it has inherited.
**
** A fork copies every lock in whatever state it is, and only the thread that
** forked. So each room with a list of the process's (its environments, what
** handles share, its threads) says here which mutex guards the list, and
** what to do with it in a child. Before a fork all these are locked, so that
** no list is copied half changed; afterwards they are free on both sides.
**
** A child made otherwise (by clone) tells nobody: `fork_notice` finds it out
** by the process's number.
*/
#ifndef LODE_FORK_H
#define LODE_FORK_H

#include <pthread.h>
#include <stdbool.h>

typedef struct fork_room {
  pthread_mutex_t *mutex;
  void (*child) (void); /* in the child, the mutex being held */
  struct fork_room *below;
  _Atomic bool known;
} fork_room;

/*
** Adds a room, once, and for good. Those that hold their mutex while they
** call into others come after them. False: no memory.
*/
bool fork_watch (fork_room *room);

/* Whether this is a child that has not been seen to be one until now. */
bool fork_notice (void);

#endif
