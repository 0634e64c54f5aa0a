/*
** claims.c - see claims.h.
**
** A lock on a byte of the side file belongs to the whole process: a second
** thread would be given it again, and whoever unlocks it unlocks it for all.
** So the list stands in front of it, an entry for each byte that this process
** has locked or tries to lock, and it goes by the byte: two hashes that meet
** in one byte are one claim here. With no side file the list is all.
**
** The process must have the side file open once only, as closing any
** descriptor of a file gives back all its locks.
*/
#include "claims.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "bytes.h"

#define PLACES ((off_t)1 << 40) /* far past what is written to the file */

#define NAP_FIRST 50000   /* between two tries at the file, in ns */
#define NAP_LONGEST 5000000

typedef struct claim {
  struct claim *next;
  off_t place;
  pthread_t owner;
} claim;

struct claims {
  int fd;                /* the side file; -1: none */
  pid_t process;         /* whose claims they are */
  pthread_mutex_t mutex; /* of the list */
  pthread_cond_t freed;
  claim *list;
};

claims *claims_new (int fd) {
  claims *c = lode_malloc(sizeof *c);
  if (c == NULL)
    return NULL;
  c->fd = fd;
  c->process = getpid();
  c->list = NULL;
  if (pthread_mutex_init(&c->mutex, NULL) != 0)
    goto failed;
  if (gate_condition(&c->freed))
    return c;
  pthread_mutex_destroy(&c->mutex);
failed:
  lode_free(c);
  return NULL;
}

/* {==================================================================
** Between processes
** =================================================================== */

/* The first 40 bits of the hash say which byte. */
static off_t place_of (const unsigned char id[HASH_SIZE]) {
  return PLACES + (off_t)((uint64_t)get_u32(id) << 8 | id[4]);
}

/* Locks (F_WRLCK) or unlocks (F_UNLCK) a byte at once: 0, or errno. */
static int set_lock (const claims *c, off_t place, short type) {
  struct flock lock = { .l_type = type, .l_whence = SEEK_SET,
                        .l_start = place, .l_len = 1 };
  while (fcntl(c->fd, F_SETLK, &lock) != 0)
    if (errno != EINTR)
      return errno;
  return 0;
}

/* In ns; none is left at 0 and below. */
static int64_t time_left (const struct timespec *until) {
  struct timespec now = gate_deadline(0);
  return (int64_t)(until->tv_sec - now.tv_sec) * 1000000000 +
         (until->tv_nsec - now.tv_nsec);
}

/*
** Tries at once, then ever more rarely, and last at the deadline. It polls
** because a wait in the kernel (F_SETLKW) has no deadline.
*/
static lode_status lock_file (const claims *c, off_t place,
                              const struct timespec *until) {
  int64_t left, nap = NAP_FIRST;
  int rc;
  while ((rc = set_lock(c, place, F_WRLCK)) != 0) {
    struct timespec t = { 0, 0 };
    if (rc != EAGAIN && rc != EACCES)
      return LODE_IO;
    left = time_left(until);
    if (left <= 0)
      return LODE_BUSY;
    t.tv_nsec = (long)(nap < left ? nap : left);
    nanosleep(&t, NULL); /* a signal only makes the next try earlier */
    nap = nap < NAP_LONGEST / 2 ? nap * 2 : NAP_LONGEST;
  }
  return LODE_OK;
}

static void unlock_file (const claims *c, off_t place) {
  if (c->fd >= 0)
    set_lock(c, place, F_UNLCK);
}

/* }================================================================== */

/* {==================================================================
** Within the process
** =================================================================== */

/* What leads to the claim on a place, or to the list's end. */
static claim **find (claims *c, off_t place) {
  claim **link = &c->list;
  while (*link != NULL && (*link)->place != place)
    link = &(*link)->next;
  return link;
}

/* Puts `mine` on the list, once no other has its place. REENTRY, BUSY. */
static lode_status enter (claims *c, claim *mine,
                          const struct timespec *until) {
  lode_status st = LODE_OK;
  const claim *other;
  bool late = false;
  pthread_mutex_lock(&c->mutex);
  while (st == LODE_OK && (other = *find(c, mine->place)) != NULL) {
    if (pthread_equal(other->owner, mine->owner))
      st = LODE_REENTRY;
    else if (late)
      st = LODE_BUSY;
    else
      late = pthread_cond_timedwait(&c->freed, &c->mutex, until) != 0;
  }
  if (st == LODE_OK) {
    mine->next = c->list;
    c->list = mine;
  }
  pthread_mutex_unlock(&c->mutex);
  return st;
}

/* }================================================================== */

lode_status claims_take (claims *c, const unsigned char id[HASH_SIZE],
                         unsigned timeout) {
  struct timespec until = gate_deadline(timeout);
  claim *mine = lode_malloc(sizeof *mine);
  lode_status st;
  if (mine == NULL)
    return LODE_NO_MEMORY;
  mine->place = place_of(id);
  mine->owner = pthread_self();
  st = enter(c, mine, &until);
  if (st != LODE_OK) {
    lode_free(mine);
    return st;
  }
  if (c->fd >= 0)
    st = lock_file(c, mine->place, &until);
  if (st != LODE_OK)
    claims_drop(c, id);
  return st;
}

void claims_drop (claims *c, const unsigned char id[HASH_SIZE]) {
  claim **link, *gone = NULL;
  pthread_mutex_lock(&c->mutex);
  link = find(c, place_of(id));
  if (*link != NULL && pthread_equal((*link)->owner, pthread_self())) {
    gone = *link;
    /* the file first: off the list, the byte may be another thread's */
    unlock_file(c, gone->place);
    *link = gone->next;
    pthread_cond_broadcast(&c->freed);
  }
  pthread_mutex_unlock(&c->mutex);
  lode_assert(gone != NULL);
  lode_free(gone);
}

/*
** Claims that are left end. A child of fork frees what it has inherited
** and ends nothing of its parent's; there the mutex and the condition are
** left alone, as threads that the child doesn't have may be at them, and
** destroying a condition would wait for those.
*/
void claims_free (claims *c) {
  if (c == NULL)
    return;
  while (c->list != NULL) {
    claim *gone = c->list;
    c->list = gone->next;
    unlock_file(c, gone->place);
    lode_free(gone);
  }
  if (c->process == getpid()) {
    pthread_cond_destroy(&c->freed);
    pthread_mutex_destroy(&c->mutex);
  }
  lode_free(c);
}
