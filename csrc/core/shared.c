/*
** shared.c - see shared.h.
*/
#include "shared.h"

#include <pthread.h>

#include "check.h"

static shared *registry;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void shared_free (shared *s) {
  access_free(s->accesses);
  claims_free(s->claims);
  lode_free(s);
}

static shared *shared_new (kv_env *env) {
  shared *s = lode_malloc(sizeof *s);
  if (s == NULL)
    return NULL;
  memset(s, 0, sizeof *s);
  s->env = env;
  s->accesses = access_new();
  s->claims = claims_new(kv_side(env));
  if (s->accesses != NULL && s->claims != NULL)
    return s;
  shared_free(s);
  return NULL;
}

shared *shared_get (kv_env *env) {
  shared *s;
  pthread_mutex_lock(&mutex);
  for (s = registry; s != NULL && s->env != env;)
    s = s->next;
  if (s == NULL && (s = shared_new(env)) != NULL) {
    s->next = registry;
    registry = s;
  }
  if (s != NULL)
    s->handles++;
  pthread_mutex_unlock(&mutex);
  return s;
}

void shared_release (shared *s) {
  shared **at = &registry;
  bool last;
  if (s == NULL)
    return;
  pthread_mutex_lock(&mutex);
  last = --s->handles == 0;
  while (last && *at != s)
    at = &(*at)->next;
  if (last)
    *at = s->next;
  pthread_mutex_unlock(&mutex);
  if (last)
    shared_free(s);
}

bool shared_is_last (shared *s) {
  bool last;
  pthread_mutex_lock(&mutex);
  last = s->handles == 1;
  pthread_mutex_unlock(&mutex);
  return last;
}
