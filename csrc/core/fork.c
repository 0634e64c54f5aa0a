/*
** fork.c - see fork.h.
*/
#include "fork.h"

#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static fork_room *rooms;  /* from the top down */
static bool watching;
static pid_t process;     /* whose rooms they are */

static void before (void) {
  pthread_mutex_lock(&mutex);
  for (fork_room *r = rooms; r != NULL; r = r->below)
    pthread_mutex_lock(r->mutex);
}

static void unlock (void) {
  for (fork_room *r = rooms; r != NULL; r = r->below)
    pthread_mutex_unlock(r->mutex);
  pthread_mutex_unlock(&mutex);
}

static void leave (void) {
  process = getpid();
  for (fork_room *r = rooms; r != NULL; r = r->below)
    r->child();
}

static void child (void) {
  leave();
  unlock();
}

bool fork_watch (fork_room *room) {
  bool ok;
  if (room->known) /* its mutex may be held; a fork locks in this order */
    return true;
  pthread_mutex_lock(&mutex);
  if (!watching) {
    watching = pthread_atfork(before, unlock, child) == 0;
    process = getpid();
  }
  ok = watching;
  if (ok && !room->known) {
    room->known = true;
    room->below = rooms;
    rooms = room;
  }
  pthread_mutex_unlock(&mutex);
  return ok;
}

/*
** Nobody has locked the mutexes for this child, and who held them may not
** be in it: they are made anew.
*/
bool fork_notice (void) {
  static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
  if (process == getpid())
    return false;
  memcpy(&mutex, &fresh, sizeof fresh);
  for (fork_room *r = rooms; r != NULL; r = r->below)
    memcpy(r->mutex, &fresh, sizeof fresh);
  before();
  child();
  return true;
}
