/*
** writer.c - see writer.h.
*/
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

#define WATCH 50 /* ms between two looks whether the owner has ended */

/*
** Maps it through an opening of its own: a map keeps what it was made from
** open, and with it the locks of that, in a child made by fork as well.
*/
static void *side_map (const char *path) {
  void *map;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0)
    return MAP_FAILED;
  map = mmap(NULL, SIDE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return map;
}

/* Makes the name of a new side file stay. */
static bool sync_name (const char *path) {
  char dir[4096];
  const char *slash = strrchr(path, '/');
  if (slash == NULL)
    return files_sync_dir(".");
  if (snprintf(dir, sizeof dir, "%.*s", (int)(slash - path + 1), path) >=
      (int)sizeof dir) {
    errno = ENAMETOOLONG;
    return false;
  }
  return files_sync_dir(dir);
}

static bool side_open (writer *w, const char *path, unsigned mode) {
  lode_status st;
  void *map;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, (mode_t)mode);
  if (fd < 0)
    return false;
  fd = files_above_stdio(fd);
  if (fd < 0)
    return false;
  if (side_is_new(fd) && !sync_name(path)) {
    close(fd);
    return false;
  }
  st = side_begin(fd, &w->doubt);
  w->stranger = st == LODE_INCOMPATIBLE;
  if (st != LODE_OK)
    goto failed;
  map = side_map(path);
  if (map == MAP_FAILED)
    goto failed;
  w->fd = fd;
  w->side = map;
  return true;
failed:
  close(fd);
  return false;
}

#ifdef __APPLE__ /* which has no robust mutexes */
#define init_alive(mutex) pthread_mutex_init((mutex), NULL)
#define consistent(mutex) 0
#else
#define consistent pthread_mutex_consistent

static int init_alive (pthread_mutex_t *mutex) {
  pthread_mutexattr_t attr;
  int rc = pthread_mutexattr_init(&attr);
  if (rc != 0)
    return rc;
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  rc = pthread_mutex_init(mutex, &attr);
  pthread_mutexattr_destroy(&attr);
  return rc;
}
#endif

bool writer_init (writer *w, const char *path, unsigned mode) {
  w->held = w->watched = false;
  w->process = (int32_t)getpid();
  w->fd = -1;
  w->side = NULL;
  w->own_mark = w->own_counts[0] = w->own_counts[1] = 0;
  w->doubt = SIDE_TRUSTED;
  w->stranger = false;
  if (path != NULL && !side_open(w, path, mode))
    return false;
  pthread_mutex_init(&w->mutex, NULL);
  init_alive(&w->alive);
  gate_condition(&w->freed);
  return true;
}

void writer_leave (writer *w) {
  if (w->fd >= 0)
    close(w->fd);
  w->fd = -1;
}

void writer_destroy (writer *w) {
  if (w->side != NULL)
    munmap((void *)w->side, SIDE_SIZE);
  if (w->fd >= 0)
    close(w->fd);
  pthread_cond_destroy(&w->freed);
  pthread_mutex_destroy(&w->alive);
  pthread_mutex_destroy(&w->mutex);
}

_Atomic uint64_t *writer_mark (writer *w) {
  if (w->side == NULL)
    return &w->own_mark;
  return (_Atomic uint64_t *)(uintptr_t)(w->side + SIDE_MARK);
}

_Atomic uint64_t *writer_counts (writer *w) {
  if (w->side == NULL)
    return w->own_counts;
  return (_Atomic uint64_t *)(uintptr_t)(w->side + SIDE_COUNTS);
}

bool writer_is_unsynced (const writer *w) {
  uint32_t state;
  if (w->side == NULL)
    return false;
  memcpy(&state, (const void *)(w->side + SIDE_STATE), sizeof state);
  return (state & SIDE_UNSYNCED) != 0;
}

bool writer_unsynced (writer *w) {
  return w->fd < 0 || writer_is_unsynced(w) || side_unsynced(w->fd);
}

/* Locks out the other processes: tries at once, then ever more rarely. */
static lode_status lock_file (writer *w, const struct timespec *until) {
  struct timespec nap = { 0, 20000 };
  while (flock(w->fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return LODE_IO;
    if (gate_past(until))
      return LODE_BUSY;
    nanosleep(&nap, NULL);
    if (nap.tv_nsec < 1000000)
      nap.tv_nsec += nap.tv_nsec / 2;
  }
  return LODE_OK;
}

/* Takes `alive`, which nobody holds, or a thread that has ended. */
static bool watch (writer *w) {
  int rc = pthread_mutex_trylock(&w->alive);
  if (rc == EOWNERDEAD)
    rc = consistent(&w->alive);
  return rc == 0;
}

/* Whether the owner's thread has ended; then `alive` is this one's. */
static bool owner_ended (writer *w) {
  return w->held && w->watched && watch(w);
}

/* Waits for the lock, but not for long: its owner may end meanwhile. */
static bool wait_a_while (writer *w, const struct timespec *until) {
  struct timespec soon = gate_deadline(WATCH);
  bool last = until->tv_sec < soon.tv_sec ||
              (until->tv_sec == soon.tv_sec &&
               until->tv_nsec <= soon.tv_nsec);
  int rc = pthread_cond_timedwait(&w->freed, &w->mutex, last ? until : &soon);
  return rc == 0 || !last;
}

static lode_status claim (writer *w, const struct timespec *until,
                          bool *ended) {
  lode_status st = LODE_OK;
  pthread_mutex_lock(&w->mutex);
  while (st == LODE_OK && w->held && !(*ended = owner_ended(w))) {
    if (pthread_equal(w->owner, pthread_self()))
      st = LODE_REENTRY;
    else if (!wait_a_while(w, until) && w->held)
      st = LODE_BUSY;
  }
  if (st == LODE_OK) {
    w->watched = *ended || watch(w);
    w->held = true;
    w->owner = pthread_self();
  }
  pthread_mutex_unlock(&w->mutex);
  return st;
}

bool writer_inherit (writer *w) {
  bool ended;
  pthread_mutex_lock(&w->mutex);
  ended = owner_ended(w);
  if (ended)
    w->owner = pthread_self();
  pthread_mutex_unlock(&w->mutex);
  return ended;
}

static void unclaim (writer *w) {
  pthread_mutex_lock(&w->mutex);
  lode_assert(w->held);
  if (w->watched && pthread_equal(w->owner, pthread_self()))
    pthread_mutex_unlock(&w->alive);
  w->held = false;
  pthread_cond_signal(&w->freed);
  pthread_mutex_unlock(&w->mutex);
}

lode_status writer_acquire (writer *w, unsigned timeout, int *pid,
                            bool *ended) {
  struct timespec until = gate_deadline(timeout);
  int32_t other = 0;
  lode_status st;
  *pid = 0;
  *ended = false;
  st = claim(w, &until, ended);
  if (st != LODE_OK || w->fd < 0)
    return st;
  st = lock_file(w, &until);
  if (st == LODE_OK)
    memcpy((void *)(w->side + SIDE_PID), &w->process, sizeof w->process);
  else {
    memcpy(&other, (const void *)(w->side + SIDE_PID), sizeof other);
    *pid = (int)other;
    unclaim(w);
  }
  return st;
}

void writer_release (writer *w) {
  if (w->fd >= 0)
    flock(w->fd, LOCK_UN);
  unclaim(w);
}

bool writer_is_mine (writer *w) {
  bool mine;
  pthread_mutex_lock(&w->mutex);
  mine = w->held && pthread_equal(w->owner, pthread_self());
  pthread_mutex_unlock(&w->mutex);
  return mine;
}
