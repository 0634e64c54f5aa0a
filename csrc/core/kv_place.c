/*
** kv_place.c - what LMDB has open, and the lock file that it goes by.
**
** Two processes exclude each other, and see each other's readers, through
** one lock file. If that is deleted, or replaced, or if the data file has
** links in two directories, each with a lock file of its own, then they
** don't, and lose each other's data without an error.
**
** So each process holds a shared lock on one byte of the data file, far past
** its end, which the lock file's number chooses, and does not open a file
** of which another byte is locked; nor one of which a byte is locked, but
** the lock file is not: who has that open has lost its locks, as a process
** does that closes any descriptor of the file. And a writer looks now and
** then whether its lock file still stands where it was, as other LMDB
** programs know nothing of that byte.
*/
#define KV_ROOM
#include "kv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"


#define LOOK 100                        /* ms between two looks */
#define BYTES_FIRST ((off_t)1 << 41)    /* which say the lock file */
#define BYTES ((off_t)1 << 20)
#define OPEN_MOST 1048576               /* descriptors looked at */

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

/* {==================================================================
** Descriptors
** =================================================================== */

/*
** Looks at a descriptor that may be anybody's. Another thread may be closing
** it, which does no harm: but ThreadSanitizer says so of fstat.
*/
static bool look_at (int fd, struct stat *st) {
#ifdef AT_EMPTY_PATH
  return fstatat(fd, "", st, AT_EMPTY_PATH) == 0;
#else
  return fstat(fd, st) == 0;
#endif
}

/* Whether `fd` is open on the file, and to write where LMDB has it so. */
static bool is_file (const kv_env *env, int fd, const struct stat *file) {
  struct stat st;
  return look_at(fd, &st) && st.st_dev == file->st_dev &&
         st.st_ino == file->st_ino &&
         (env->readonly || (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY);
}

static int most_descriptors (void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > OPEN_MOST)
    return OPEN_MOST;
  return (int)limit.rlim_cur;
}

/*
** Finds the `n` descriptors of these files that LMDB has just opened, which
** nobody else may open to write: closing any of the lock file gives back its
** locks. They are made to close on exec, which LMDB forgets for the data
** file.
*/
static void find_descriptors (kv_env *env, int n, const struct stat *data,
                              const struct stat *lock) {
  int found = 0, most = most_descriptors();
  for (int fd = 0; fd < most && found < n; fd++)
    if (is_file(env, fd, data) || is_file(env, fd, lock)) {
      fcntl(fd, F_SETFD, FD_CLOEXEC);
      env->fds[found++] = fd;
    }
}

/* }================================================================== */

/* {==================================================================
** Opening, one at a time
** =================================================================== */

static const struct timespec nap = { 0, 2000000 }; /* between two tries */

static int open_to_read (const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? fd : files_above_stdio(fd);
}

/*
** Who opens a file that nobody has open makes the lock file anew, and only
** then enters the number of the last commit. LMDB lets others wait until
** that is done. But if the first one is killed before, those who wait go on
** with the number 0, and the first commit of theirs takes the place of the
** last one that was made. So nobody waits there, but here: then the next
** one finds the file free, and makes the lock file anew. The system gives
** this lock back after LMDB's when a process ends.
*/
lode_status kv_place_enter (const files *f, unsigned timeout, int *fd,
                            lode_error *error) {
  struct timespec until = gate_deadline(timeout);
  *fd = open_to_read(f->data);
  if (*fd < 0)
    return kv_failure(error, errno, f->data);
  while (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return LODE_OK; /* a file system without such locks */
    if (gate_past(&until)) {
      close(*fd);
      *fd = -1;
      return fail(error, LODE_BUSY, "%s: another process has been opening it "
                  "for %u ms; if it is stopped, resume or end it", f->base,
                  timeout);
    }
    nanosleep(&nap, NULL);
  }
  return LODE_OK;
}

/* }================================================================== */

/* {==================================================================
** The byte that says the lock file
** =================================================================== */

#ifdef F_OFD_SETLK

static off_t byte_of (dev_t device, ino_t inode) {
  uint64_t n = (uint64_t)device * UINT64_C(0x9E3779B97F4A7C15) ^
               (uint64_t)inode * UINT64_C(0xC2B2AE3D27D4EB4F);
  return BYTES_FIRST + (off_t)(n >> 44);
}

/*
** Whether anybody else has locked one of `n` bytes (0: any byte), by `kind`
** of locks. Where the file system has none, nobody has.
*/
static bool others_locked (int fd, int kind, off_t first, off_t n) {
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
                        .l_start = first, .l_len = n };
  return fcntl(fd, kind, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Whether the byte of another lock file is locked. */
static bool others_differ (const kv_place *p) {
  off_t mine = byte_of(p->device, p->lock_inode), end = BYTES_FIRST + BYTES;
  return (mine > BYTES_FIRST && others_locked(p->byte, F_OFD_GETLK,
            BYTES_FIRST, mine - BYTES_FIRST)) ||
         (mine + 1 < end && others_locked(p->byte, F_OFD_GETLK, mine + 1,
                                          end - mine - 1));
}

static bool lock_byte (const kv_place *p) {
  struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET,
                        .l_start = byte_of(p->device, p->lock_inode),
                        .l_len = 1 };
  return fcntl(p->byte, F_OFD_SETLK, &lock) == 0;
}

/* Whether somebody has the lock file's byte, but nobody the file itself. */
static bool locks_are_lost (const files *f) {
  int data = open_to_read(f->data), lock = open_to_read(f->lock);
  struct stat st;
  bool lost = data >= 0 && lock >= 0 && fstat(lock, &st) == 0 &&
              others_locked(data, F_OFD_GETLK,
                            byte_of(st.st_dev, st.st_ino), 1) &&
              !others_locked(lock, F_GETLK, 0, 0);
  if (data >= 0)
    close(data);
  if (lock >= 0) /* this process has no locks of it: it isn't open here */
    close(lock);
  return lost;
}

/*
** Lets some time pass, while others are opening or closing the file, or a
** child that was just forked has yet to close it. False: there is no more.
*/
static bool may_wait (uint64_t until) {
  nanosleep(&nap, NULL);
  return kv_now() < until;
}

lode_status kv_place_ask (const files *f, unsigned timeout,
                          lode_error *error) {
  uint64_t until = kv_now() + timeout;
  do
    if (!locks_are_lost(f))
      return LODE_OK;
  while (may_wait(until));
  return fail(error, LODE_BUSY, "%s: a process that has it open has lost its "
              "locks, as it has also opened and closed %s by itself; end "
              "that process first", f->base, f->lock);
}

lode_status kv_place_tell (kv_env *env, const files *f, lode_error *error) {
  kv_place *p = &env->place;
  uint64_t until = kv_now() + env->timeout;
  if (p->lock == NULL)
    return LODE_OK;
  p->byte = open_to_read(f->data);
  if (p->byte < 0)
    return kv_failure(error, errno, f->data);
  if (!lock_byte(p))
    return LODE_OK;
  do
    if (!others_differ(p))
      return LODE_OK;
  while (may_wait(until));
  return fail(error, LODE_BUSY, "%s: another process has this data file open "
              "with another lock file, so neither would see the other: %s "
              "was deleted or replaced, or the data file has a link in "
              "another directory; close it there first", f->base, f->lock);
}

#else

lode_status kv_place_ask (const files *f, unsigned timeout,
                          lode_error *error) {
  (void)f;
  (void)timeout;
  (void)error;
  return LODE_OK;
}

lode_status kv_place_tell (kv_env *env, const files *f, lode_error *error) {
  return kv_place_ask(f, env->timeout, error);
}

#endif

/* }================================================================== */

/* {==================================================================
** The place
** =================================================================== */

/* A copy of a path's last part. Null: no memory. */
static char *last_part (const char *path) {
  const char *slash = strrchr(path, '/');
  const char *name = slash != NULL ? slash + 1 : path;
  size_t size = strlen(name) + 1;
  char *copy = lode_malloc(size);
  if (copy != NULL)
    memcpy(copy, name, size);
  return copy;
}

void kv_place_free (kv_env *env) {
  if (env->place.dir >= 0)
    close(env->place.dir);
  if (env->place.byte >= 0)
    close(env->place.byte);
  env->place.dir = env->place.byte = -1;
  lode_free(env->place.lock);
  lode_free(env->place.side);
  env->place.lock = env->place.side = NULL;
}

int kv_place_find (kv_env *env, const files *f) {
  kv_place *p = &env->place;
  struct stat data, lock;
  unsigned flags = 0;
  if (stat(f->data, &data) != 0)
    return errno;
  mdb_env_get_flags(env->mdb, &flags);
  if (flags & MDB_NOLOCK) { /* it is read without one */
    find_descriptors(env, 1, &data, &data);
    return 0;
  }
  if (stat(f->lock, &lock) != 0)
    return errno;
  find_descriptors(env, flags & MDB_RDONLY ? 2 : KV_FDS, &data, &lock);
  p->device = lock.st_dev;
  p->lock_inode = lock.st_ino;
  p->lock = last_part(f->lock);
  p->side = last_part(f->side);
  p->dir = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (p->lock == NULL || p->side == NULL)
    return ENOMEM;
  return p->dir < 0 ? errno : 0;
}

/* Whether the file of this name in the directory is still the same. */
static bool stands (const kv_place *p, const char *name, ino_t inode) {
  struct stat st;
  return fstatat(p->dir, name, &st, 0) == 0 && st.st_dev == p->device &&
         st.st_ino == inode;
}

lode_status kv_place_check (kv_env *env, uint64_t now, lode_error *error) {
  kv_place *p = &env->place;
  struct stat side;
  if (p->dir < 0 || now - atomic_load(&p->looked) < LOOK)
    return LODE_OK;
  if (p->side_inode == 0 && env->writer.fd >= 0 &&
      fstat(env->writer.fd, &side) == 0)
    p->side_inode = side.st_ino;
  if (stands(p, p->lock, p->lock_inode) &&
      (p->side_inode == 0 || stands(p, p->side, p->side_inode))) {
    atomic_store(&p->looked, now);
    return LODE_OK;
  }
  return fail(error, LODE_IO, "%s: its lock file (%s) or side file (%s) was "
              "deleted or replaced while it was open, so this process can't "
              "keep others from writing at the same time; close the store "
              "in every process and open it again", env->name, p->lock,
              p->side);
}

/* }================================================================== */
