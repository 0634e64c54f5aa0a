/*
** gate.c - see gate.h.
*/
#include "gate.h"

#include <signal.h>

#ifdef __APPLE__ /* which has no other clock for condition variables */
#define GATE_CLOCK CLOCK_REALTIME
#else
#define GATE_CLOCK CLOCK_MONOTONIC
#endif

bool gate_condition (pthread_cond_t *c) {
  pthread_condattr_t attr;
  bool ok;
  if (pthread_condattr_init(&attr) != 0)
    return false;
#ifndef __APPLE__
  pthread_condattr_setclock(&attr, GATE_CLOCK);
#endif
  ok = pthread_cond_init(c, &attr) == 0;
  pthread_condattr_destroy(&attr);
  return ok;
}

bool gate_init (gate *g) {
  atomic_init(&g->inside, 0);
  if (pthread_mutex_init(&g->mutex, NULL) != 0)
    return false;
  if (gate_condition(&g->changed))
    return true;
  pthread_mutex_destroy(&g->mutex);
  return false;
}

void gate_destroy (gate *g) {
  pthread_cond_destroy(&g->changed);
  pthread_mutex_destroy(&g->mutex);
}

struct timespec gate_deadline (unsigned ms) {
  struct timespec t;
  clock_gettime(GATE_CLOCK, &t);
  t.tv_sec += ms / 1000;
  t.tv_nsec += (long)(ms % 1000) * 1000000;
  if (t.tv_nsec >= 1000000000) {
    t.tv_nsec -= 1000000000;
    t.tv_sec++;
  }
  return t;
}

bool gate_past (const struct timespec *until) {
  struct timespec now = gate_deadline(0);
  return now.tv_sec > until->tv_sec ||
         (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec);
}

/* The caller has counted itself in, in vain: it counts itself out again. */
void gate_wait (gate *g) {
  gate_leave(g);
  pthread_mutex_lock(&g->mutex);
  while (atomic_load(&g->inside) >= GATE_ALONE)
    pthread_cond_wait(&g->changed, &g->mutex);
  pthread_mutex_unlock(&g->mutex);
}

void gate_left (gate *g) {
  pthread_mutex_lock(&g->mutex);
  pthread_cond_broadcast(&g->changed);
  pthread_mutex_unlock(&g->mutex);
}

bool gate_close (gate *g, unsigned timeout) {
  struct timespec until = gate_deadline(timeout);
  int late = 0;
  pthread_mutex_lock(&g->mutex);
  while (late == 0 && atomic_load(&g->inside) >= GATE_ALONE)
    late = pthread_cond_timedwait(&g->changed, &g->mutex, &until);
  if (late == 0) {
    atomic_fetch_add(&g->inside, GATE_ALONE);
    while (late == 0 && atomic_load(&g->inside) != GATE_ALONE)
      late = pthread_cond_timedwait(&g->changed, &g->mutex, &until);
    if (late != 0 && atomic_load(&g->inside) != GATE_ALONE) {
      atomic_fetch_sub(&g->inside, GATE_ALONE);
      pthread_cond_broadcast(&g->changed);
    }
    else
      late = 0;
  }
  pthread_mutex_unlock(&g->mutex);
  return late == 0;
}

void gate_open (gate *g) {
  pthread_mutex_lock(&g->mutex);
  atomic_fetch_sub(&g->inside, GATE_ALONE);
  pthread_cond_broadcast(&g->changed);
  pthread_mutex_unlock(&g->mutex);
}

int gate_thread (pthread_t *thread, void *(*run) (void *), void *data) {
  sigset_t all, before;
  int rc;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  rc = pthread_create(thread, NULL, run, data);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return rc;
}
