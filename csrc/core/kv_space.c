/*
** kv_space.c - a disk that is full, and a limit on the size of files. See
** kv.h.
**
** LMDB copies what it changes, so on a full disk even a delete fails, and
** nothing could ever make room. So the side file has some ballast. When a
** commit finds no room on the disk, or hardly any is left, the size that the
** data file has becomes its quota, for a time: then what is added must fit
** where something was deleted, and deletes may go past it, for which the
** ballast is given up. Once the disk has room again all is as before.
**
** A process may also be forbidden larger files (RLIMIT_FSIZE); then the
** quota is set below that, and the signal by which the system tells of the
** limit, SIGXFSZ, which would end the process, is held back in commits.
*/
#define KV_ROOM
#include "kv.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TIGHT ((uint64_t)256 << 10) /* bytes free on a disk that is full; */
#define ROOMY ((uint64_t)512 << 10) /* of one that isn't any more */
#define LOOK 100 /* ms between two looks */

/* The largest file that is allowed; UINT64_MAX: any. */
static uint64_t file_limit (void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 ||
      limit.rlim_cur == RLIM_INFINITY)
    return UINT64_MAX;
  return limit.rlim_cur;
}

uint64_t kv_space_quota (uint64_t max_size) {
  uint64_t limit = file_limit(), most;
  if (limit == UINT64_MAX)
    return max_size;
  most = limit > 2 * KV_ALLOWANCE ? (limit - KV_ALLOWANCE) / 33 * 32
                                  : limit / 2;
  return max_size != 0 && max_size < most ? max_size : most;
}

void kv_space_ballast (kv_env *env, bool keep) {
  if (env->writer.fd >= 0 && file_limit() == UINT64_MAX)
    side_ballast(env->writer.fd, keep);
}

typedef struct held_signal { /* what `release` undoes */
  bool any;
  sigset_t before, pending;
} held_signal;

/* No signal comes of a file that gets too large until the release. */
static void hold (held_signal *h) {
  sigset_t too_large;
  h->any = file_limit() != UINT64_MAX;
  if (!h->any)
    return;
  sigemptyset(&too_large);
  sigaddset(&too_large, SIGXFSZ);
  sigpending(&h->pending);
  pthread_sigmask(SIG_BLOCK, &too_large, &h->before);
}

/* What has come since the hold is not to be seen. */
static void release (const held_signal *h) {
  sigset_t too_large, now;
  int sig;
  if (!h->any)
    return;
  sigemptyset(&too_large);
  sigaddset(&too_large, SIGXFSZ);
  sigpending(&now);
  if (sigismember(&now, SIGXFSZ) && !sigismember(&h->pending, SIGXFSZ))
    sigwait(&too_large, &sig);
  pthread_sigmask(SIG_SETMASK, &h->before, NULL);
}

int kv_space_commit (MDB_txn *txn) {
  held_signal h;
  int rc;
  hold(&h);
  rc = mdb_txn_commit(txn);
  release(&h);
  return rc;
}

int kv_write_file (int fd, lode_slice bytes) {
  held_signal h;
  int rc = 0;
  hold(&h);
  while (rc == 0 && bytes.size > 0) {
    ssize_t n = write(fd, bytes.data, bytes.size);
    if (n < 0 && errno != EINTR)
      rc = errno;
    if (n > 0)
      bytes = slice_of(bytes.data + n, bytes.size - (size_t)n);
  }
  release(&h);
  return rc;
}

/* Bytes free on the disk, as far as that can be told. */
static uint64_t room (kv_env *env) {
  struct statvfs fs;
  mdb_filehandle_t fd;
  if (mdb_env_get_fd(env->mdb, &fd) != 0 || fstatvfs(fd, &fs) != 0)
    return UINT64_MAX;
  return (uint64_t)fs.f_bavail * fs.f_frsize;
}

void kv_space_note (kv_env *env, lode_status st) {
  mdb_filehandle_t fd;
  struct stat file;
  if (st != LODE_DISK_FULL || env->tight ||
      mdb_env_get_fd(env->mdb, &fd) != 0 || fstat(fd, &file) != 0)
    return;
  env->tight = true;
  env->roomy_quota = env->max_size;
  env->roomy_map = env->map_size;
  env->max_size = (uint64_t)file.st_size / env->page_size * env->page_size;
  env->widened = true; /* so that the next transaction narrows the map */
}

lode_status kv_space_look (kv_env *env, uint64_t now, lode_error *error) {
  lode_status st;
  if (!env->tight && now - env->space_looked < LOOK)
    return LODE_OK;
  env->space_looked = now;
  if (!env->tight) {
    if (room(env) < TIGHT)
      kv_space_note(env, LODE_DISK_FULL);
    return LODE_OK;
  }
  if (room(env) < ROOMY || file_limit() != UINT64_MAX)
    return LODE_OK;
  st = kv_map_change(env, env->roomy_map, error);
  if (st != LODE_OK)
    return st;
  env->max_size = env->roomy_quota;
  env->tight = env->widened = false;
  kv_space_ballast(env, true);
  return LODE_OK;
}

lode_status kv_space_full (const kv_env *env, lode_error *error) {
  if (env->tight)
    return fail(error, LODE_DISK_FULL, "%s: no room on the disk; free some, "
                "or delete entries, and write again", env->name);
  return fail(error, LODE_FULL, "%s is full: its quota (max_size) is %llu "
              "bytes; delete entries, or reopen it with a larger one",
              env->name, (unsigned long long)env->max_size);
}
