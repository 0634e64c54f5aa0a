/*
** gate.h - many may be inside, or one alone.
**
** Every transaction of a process on an environment is inside its gate, so
** the map is moved, and database handles are closed, only when nobody is.
** Entering costs one atomic addition; there is no fairness to speak of,
** but who wants to be alone is not overtaken by those who come later.
*/
#ifndef LODE_GATE_H
#define LODE_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "../lode.h"
#include "check.h"

#define GATE_ALONE 0x40000000 /* somebody is alone, or waits to be */

typedef struct gate {
  atomic_int inside;     /* how many, plus GATE_ALONE */
  pthread_mutex_t mutex; /* of what follows, and of who is alone */
  pthread_cond_t changed;
} gate;

bool gate_init (gate *g);
void gate_destroy (gate *g);

/* Waits while somebody is alone, or waits to be. */
void gate_wait (gate *g);
/* Tells who waits to be alone. */
void gate_left (gate *g);

static inline void gate_enter (gate *g) {
  while (lode_unlikely(atomic_fetch_add(&g->inside, 1) >= GATE_ALONE))
    gate_wait(g);
}

static inline void gate_leave (gate *g) {
  if (lode_unlikely(atomic_fetch_sub(&g->inside, 1) > GATE_ALONE))
    gate_left(g);
}

/* Alone within `timeout` ms, or false. */
bool gate_close (gate *g, unsigned timeout);
void gate_open (gate *g);

/*
** The time `ms` from now, for timed waits on conditions made by
** gate_condition, whose clock never goes back.
*/
struct timespec gate_deadline (unsigned ms);
bool gate_past (const struct timespec *until);
bool gate_condition (pthread_cond_t *c);

/* Starts a thread with all signals blocked: they are the host's. Gives 0 or
   errno. */
int gate_thread (pthread_t *thread, void *(*run) (void *), void *data);

#endif
