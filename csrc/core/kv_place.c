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
** of which another byte is locked. And a writer looks now and then whether
** its lock file still stands where it was, as other LMDB programs know
** nothing of that byte.
*/
#define KV_ROOM
#include "kv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
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

/* Whether `fd` is open on the file, and to write where LMDB has it so. */
static bool is_file (const kv_env *env, int fd, const struct stat *file) {
  struct stat st;
  return fstat(fd, &st) == 0 && st.st_dev == file->st_dev &&
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
** The byte that says the lock file
** =================================================================== */

#ifdef F_OFD_SETLK

static off_t byte_of (const kv_place *p) {
  uint64_t n = (uint64_t)p->device * UINT64_C(0x9E3779B97F4A7C15) ^
               (uint64_t)p->lock_inode * UINT64_C(0xC2B2AE3D27D4EB4F);
  return BYTES_FIRST + (off_t)(n >> 44);
}

/* Whether anybody else has locked one of `n` bytes. */
static bool others_locked (int fd, off_t first, off_t n) {
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
                        .l_start = first, .l_len = n };
  return n > 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 &&
         lock.l_type != F_UNLCK;
}

/* Where the file system has no such locks, nobody is found. */
bool kv_place_is_shared (const kv_env *env) {
  off_t mine = byte_of(&env->place);
  struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET,
                        .l_start = mine, .l_len = 1 };
  mdb_filehandle_t fd;
  if (env->place.lock == NULL || mdb_env_get_fd(env->mdb, &fd) != 0 ||
      fcntl(fd, F_OFD_SETLK, &lock) != 0)
    return false;
  return others_locked(fd, BYTES_FIRST, mine - BYTES_FIRST) ||
         others_locked(fd, mine + 1, BYTES_FIRST + BYTES - mine - 1);
}

#else

bool kv_place_is_shared (const kv_env *env) {
  (void)env;
  return false;
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
  if (env->place.dir >= 0 && !env->left)
    close(env->place.dir);
  env->place.dir = -1;
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

static uint64_t about_now (void) {
  struct timespec t;
#ifdef CLOCK_MONOTONIC_COARSE
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
#else
  clock_gettime(CLOCK_MONOTONIC, &t);
#endif
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Whether the file of this name in the directory is still the same. */
static bool stands (const kv_place *p, const char *name, ino_t inode) {
  struct stat st;
  return fstatat(p->dir, name, &st, 0) == 0 && st.st_dev == p->device &&
         st.st_ino == inode;
}

lode_status kv_place_check (kv_env *env, lode_error *error) {
  kv_place *p = &env->place;
  uint64_t now = about_now();
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
