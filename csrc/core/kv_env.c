/*
** kv_env.c - environments: opened once per file and process, made whole;
** and what LMDB's codes mean. See kv.h.
*/
#define KV_ROOM
#include "kv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "fork.h"
#include "hash.h"

_Static_assert(sizeof(size_t) == 8, "lode's maps need a 64-bit machine");
_Static_assert(KV_MAIN == 1, "LMDB's handle of the main database");

#define MAP_LARGE ((uint64_t)1 << 40)   /* reserved by default */
#define MAP_SMALLEST ((uint64_t)1 << 20)
#define OPEN_TRIES 5

static kv_env *registry;
static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;

/* {==================================================================
** Failures
** =================================================================== */

static bool disk_is_full (const char *path) {
  struct statvfs fs;
  return statvfs(path, &fs) == 0 && fs.f_bavail == 0;
}

/* Whether the store's file is as long as this process may make one. */
static bool file_is_full (const char *path) {
  char data[4096];
  struct rlimit most;
  struct stat st;
  if (getrlimit(RLIMIT_FSIZE, &most) != 0 ||
      most.rlim_cur == RLIM_INFINITY || stat(path, &st) != 0)
    return false;
  if (S_ISDIR(st.st_mode) &&
      (snprintf(data, sizeof data, "%s/data.mdb", path) >=
       (int)sizeof data || stat(data, &st) != 0))
    return false;
  return (uint64_t)st.st_size >= most.rlim_cur;
}

/* Tells what LMDB's or the system's code `rc` means for `path`. */
lode_status kv_failure (lode_error *e, int rc, const char *path) {
  if (rc == EIO && (disk_is_full(path) || file_is_full(path)))
    rc = ENOSPC; /* LMDB says so of a write that was cut short */
  switch (rc) {
    case MDB_NOTFOUND:
      return LODE_ABSENT;
    case MDB_KEYEXIST:
      return LODE_EXISTS;
    case MDB_MAP_FULL:
      return fail(e, LODE_FULL, "%s is full: its map has no room left; "
                  "reopen it with a larger map_size or max_size", path);
    case MDB_DBS_FULL:
      return fail(e, LODE_FULL, "%s has too many collections open; reopen "
                  "it with a larger `collections`", path);
    case MDB_READERS_FULL:
      return fail(e, LODE_READERS_FULL, "%s has no reader slot left; close "
                  "handles and snapshots, or raise `readers` once every "
                  "process has closed the store", path);
    case MDB_TXN_FULL:
      return fail(e, LODE_FULL, "%s: the transaction is too big; write in "
                  "smaller ones", path);
    case MDB_BAD_VALSIZE:
      return fail(e, LODE_BAD_KEY, "%s: the key's size is not allowed "
                  "here", path);
    case MDB_VERSION_MISMATCH:
      return fail(e, LODE_INCOMPATIBLE, "%s was written by another version "
                  "of LMDB (this is %s)", path, mdb_version(NULL, NULL,
                                                           NULL));
    case MDB_INVALID:
      return fail(e, LODE_NOT_A_STORE, "%s is not an LMDB file", path);
    case MDB_CORRUPTED: case MDB_PAGE_NOTFOUND:
      return fail(e, LODE_CORRUPT, "%s is damaged (%s); restore it from a "
                  "backup", path, mdb_strerror(rc));
    case MDB_PANIC:
      return fail(e, LODE_IO, "%s: an earlier write failed half way; close "
                  "every handle of this process and open it again", path);
    case MDB_BAD_RSLOT: case EAGAIN:
      return fail(e, LODE_BUSY, "%s: its reader slot belongs to another "
                  "process of the same number; processes in different pid "
                  "namespaces can't share a store", path);
    case ENOSPC: case EDQUOT: case EFBIG:
      return fail(e, LODE_DISK_FULL, "%s: no room on the disk; free some "
                  "and write again", path);
    case ENOMEM:
      return fail(e, LODE_NO_MEMORY, "%s: no memory", path);
    case ENOENT:
      return fail(e, LODE_IO, "%s: %s; make the directories above it first",
                  path, strerror(rc));
    case EACCES: case EPERM: case EROFS:
      return fail(e, LODE_IO, "%s: %s; check its permissions, or open it "
                  "with readonly = true", path, strerror(rc));
    default:
      return fail(e, LODE_IO, "%s: %s", path, mdb_strerror(rc));
  }
}

/* }================================================================== */

/* {==================================================================
** Opening and closing
** =================================================================== */

static uint64_t whole_pages (uint64_t size) {
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  return size < page ? page : size / page * page;
}

static unsigned most_dbs (const lode_options *o) {
  return o->collections * KV_DBS_EACH + KV_SPARE_DBS;
}

/* One try to open; a failed MDB_env is of no use and closed. */
static int open_once (const files *f, const lode_options *o, uint64_t map,
                      unsigned flags, MDB_env **mdb) {
  MDB_env *env;
  struct stat st;
  bool is_dir = stat(f->root, &st) == 0 && S_ISDIR(st.st_mode);
  int rc = mdb_env_create(&env);
  if (rc != 0)
    return rc;
  if ((rc = mdb_env_set_mapsize(env, map)) == 0 &&
      (rc = mdb_env_set_maxreaders(env, o->readers)) == 0 &&
      (rc = mdb_env_set_maxdbs(env, most_dbs(o))) == 0 &&
      (rc = mdb_env_open(env, f->root, flags | MDB_NOTLS |
                         (is_dir ? 0u : (unsigned)MDB_NOSUBDIR),
                         (mdb_mode_t)o->mode)) == 0) {
    *mdb = env;
    return 0;
  }
  mdb_env_close(env);
  return rc;
}

/* Opens with as large a map as the system grants, down to a small one. */
static int open_mapped (const files *f, const lode_options *o,
                        unsigned flags, MDB_env **mdb, uint64_t *map) {
  int tries = OPEN_TRIES, rc;
  *map = o->map_size != 0 ? o->map_size : MAP_LARGE;
  if (o->max_size != 0 && *map > o->max_size)
    *map = o->max_size;
  *map = whole_pages(*map);
  for (;;) {
    rc = open_once(f, o, *map, flags, mdb);
    if ((rc == EINTR || rc == EAGAIN || rc == EINVAL) && --tries > 0) {
      /* other processes that open or close at this moment; see ITS#10095 */
      const struct timespec nap = { 0, 2000000 };
      nanosleep(&nap, NULL);
    }
    else if ((rc == ENOMEM || rc == EINVAL) && o->map_size == 0 &&
             *map / 2 >= MAP_SMALLEST) /* valgrind refuses with EINVAL */
      *map = whole_pages(*map / 2);
    else
      return rc;
  }
}

/*
** LMDB knows the order of the main database once that has been opened. The
** map is widened where another process has grown the file since it was
** mapped: nobody here looks at it yet.
*/
static int open_main (MDB_env *mdb) {
  MDB_txn *txn;
  MDB_dbi db;
  int tries = OPEN_TRIES, rc;
  while ((rc = mdb_txn_begin(mdb, NULL, MDB_RDONLY, &txn)) ==
           MDB_MAP_RESIZED && --tries > 0) {
    if ((rc = mdb_env_set_mapsize(mdb, 0)) != 0)
      return rc;
  }
  if (rc != 0)
    return rc;
  rc = mdb_dbi_open(txn, NULL, 0, &db);
  if (rc == 0)
    return mdb_txn_commit(txn);
  mdb_txn_abort(txn);
  return rc;
}

/*
** Maps the meta pages a second time, for kv_commits_of: LMDB's own map
** may be moved by another thread at any moment.
*/
static int map_metas (kv_env *env) {
  mdb_filehandle_t fd;
  void *p;
  int rc = mdb_env_get_fd(env->mdb, &fd);
  if (rc != 0)
    return rc;
  p = mmap(NULL, 2 * env->page_size, PROT_READ, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED)
    return errno;
  env->metas = p;
  return 0;
}

static void env_free (kv_env *env) {
  if (env->metas != NULL)
    munmap((void *)env->metas, 2 * env->page_size);
  kv_place_free(env); /* before its locks are given back */
  if (env->mdb != NULL)
    mdb_env_close(env->mdb);
  writer_destroy(&env->writer);
  gate_destroy(&env->gate);
  pthread_mutex_destroy(&env->burial);
  pthread_mutex_destroy(&env->pins_mutex);
  pthread_cond_destroy(&env->dbs_changed);
  pthread_mutex_destroy(&env->dbs_mutex);
  for (unsigned i = 0; env->dbs != NULL && i < env->max_dbs; i++)
    lode_free((void *)env->dbs[i].name.data);
  lode_free(env->dbs);
  lode_free(env->name);
  lode_free(env);
}

lode_status kv_with_txn (kv_env *env, lode_status (*work)(kv_txn *t),
                         lode_error *error) {
  kv_txn *t = lode_malloc(sizeof *t);
  lode_status st;
  if (t == NULL)
    return fail(error, LODE_NO_MEMORY, "%s: no memory", env->name);
  kv_txn_init(t, env, error);
  st = work(t);
  kv_txn_free(t);
  lode_free(t);
  return st;
}

static bool env_init (kv_env *env, const char *name,
                      const lode_options *o) {
  size_t size = strlen(name) + 1;
  memset(env, 0, sizeof *env);
  env->place.dir = env->place.byte = -1;
  for (int i = 0; i < KV_FDS; i++)
    env->fds[i] = -1;
  env->max_size = o->max_size != 0 ? whole_pages(o->max_size) : 0;
  env->collections = o->collections;
  env->timeout = o->lock_timeout;
  env->max_dbs = most_dbs(o) + KV_MAIN + 1;
  env->name = lode_malloc(size);
  env->dbs = lode_malloc(env->max_dbs * sizeof *env->dbs);
  if (env->name != NULL)
    memcpy(env->name, name, size);
  if (env->dbs != NULL)
    memset(env->dbs, 0, env->max_dbs * sizeof *env->dbs);
  return writer_init(&env->writer, NULL, 0) && gate_init(&env->gate) &&
         pthread_mutex_init(&env->dbs_mutex, NULL) == 0 &&
         pthread_mutex_init(&env->burial, NULL) == 0 &&
         pthread_mutex_init(&env->pins_mutex, NULL) == 0 &&
         gate_condition(&env->dbs_changed) && env->name != NULL &&
         env->dbs != NULL;
}

/* An environment that has not opened its file. Null: no memory. */
static kv_env *env_alloc (const char *name, const lode_options *o) {
  kv_env *env = lode_malloc(sizeof *env);
  if (env == NULL)
    return NULL;
  if (env_init(env, name, o))
    return env;
  env_free(env);
  return NULL;
}

/* Opens the file; for reading only where it is asked for and must be. */
static int env_open (kv_env *env, const files *f, const lode_options *o) {
  MDB_stat main_stat;
  MDB_envinfo info;
  int rc = open_mapped(f, o, 0, &env->mdb, &env->map_size);
  if (o->readonly && (rc == EACCES || rc == EROFS || rc == EPERM)) {
    env->readonly = true;
    rc = open_mapped(f, o, MDB_RDONLY, &env->mdb, &env->map_size);
    if (rc == EACCES || rc == EPERM) /* not even the lock file */
      rc = open_mapped(f, o, MDB_RDONLY | MDB_NOLOCK, &env->mdb,
                       &env->map_size);
  }
  if (rc == 0)
    rc = kv_place_find(env, f);
  if (rc == 0)
    rc = open_main(env->mdb);
  if (rc != 0)
    return rc;
  mdb_env_stat(env->mdb, &main_stat);
  mdb_env_info(env->mdb, &info);
  env->page_size = main_stat.ms_psize;
  env->map_size = info.me_mapsize; /* never below what the file needs */
  return map_metas(env);
}

/* Writes a new store into the file `path` and syncs it. */
static lode_status write_new (const files *f, const char *path,
                              const char *lock, const lode_options *o,
                              const kv_hooks *hooks, lode_error *error) {
  lode_options small = *o;
  files there = *f;
  kv_env *env;
  lode_status st;
  int rc;
  small.map_size = MAP_SMALLEST;
  small.max_size = 0;
  there.root = there.data = (char *)path;
  there.lock = (char *)lock;
  env = env_alloc(f->base, &small);
  if (env == NULL)
    return fail(error, LODE_NO_MEMORY, "%s: no memory", f->base);
  rc = env_open(env, &there, &small);
  st = rc == 0 ? kv_with_txn(env, hooks->fill, error)
               : kv_failure(error, rc, path);
  if (st == LODE_OK)
    st = kv_flush(env, error);
  env_free(env);
  return st;
}

/*
** Makes the data file: under a name of its own, whole and synced, and then
** linked into place, so that no crash leaves half a store. Who comes
** second finds the first one's.
*/
static lode_status create (const files *f, const lode_options *o,
                           const kv_hooks *hooks, lode_error *error) {
  char path[4096], lock[4096 + 8];
  uint64_t nonce;
  lode_status st;
  if (!hash_random(&nonce, sizeof nonce))
    return fail(error, LODE_IO, "%s: no random bytes to be had", f->base);
  if (snprintf(path, sizeof path, "%s.new-%ld-%08x", f->data,
               (long)getpid(), (unsigned)nonce) >= (int)sizeof path)
    return fail(error, LODE_BAD_ARGUMENT, "the path is too long: %.80s...",
                f->base);
  snprintf(lock, sizeof lock, "%s-lock", path);
  st = write_new(f, path, lock, o, hooks, error);
  if (st == LODE_OK && link(path, f->data) != 0 && errno != EEXIST)
    st = kv_failure(error, errno, f->data);
  unlink(path);
  unlink(lock);
  if (st == LODE_OK && !files_sync_dir(f->dir))
    st = kv_failure(error, errno, f->dir);
  return st;
}

/* env_open, alone. */
static lode_status env_enter (kv_env *env, const files *f,
                              const lode_options *o, lode_error *error) {
  int fd, rc;
  lode_status st = kv_place_enter(f, o->lock_timeout, &fd, error);
  if (st != LODE_OK)
    return st;
  rc = env_open(env, f, o);
  if (fd >= 0)
    close(fd);
  return rc == 0 ? LODE_OK : kv_failure(error, rc, f->base);
}

/* A new environment for a file that is there. */
static lode_status env_new (const files *f, const lode_options *o,
                            const kv_hooks *hooks, kv_env **out,
                            lode_error *error) {
  lode_status st = kv_place_ask(f, o->lock_timeout, error);
  kv_env *env;
  if (st != LODE_OK)
    return st;
  env = env_alloc(f->base, o);
  if (env == NULL)
    return fail(error, LODE_NO_MEMORY, "%s: no memory", f->base);
  st = env_enter(env, f, o, error);
  if (st == LODE_OK)
    st = kv_place_tell(env, f, error);
  if (st == LODE_OK)
    st = kv_side_open(env, f, o, error);
  if (st == LODE_OK)
    st = kv_side_doubt(env, f, o, hooks, error);
  if (st == LODE_OK)
    st = kv_with_txn(env, hooks->check, error);
  if (st == LODE_OK && env->writer.fd >= 0 &&
      !side_belongs(env->writer.fd, env->id))
    st = fail(error, LODE_INCOMPATIBLE, "%s is another store than the one "
              "that %s belongs to: it was replaced; put the right one back, "
              "or remove %s to go on with this one", f->data, f->side,
              f->side);
  if (st == LODE_OK) {
    *out = env;
    return LODE_OK;
  }
  env_free(env);
  return st;
}

/* Options that belong to the file as this process has it open must agree. */
static lode_status same_options (const kv_env *env, const lode_options *o,
                                 lode_error *error) {
  const char *other = NULL;
  if (o->max_size != 0 && whole_pages(o->max_size) !=
      (env->tight ? env->roomy_quota : env->max_size))
    other = "max_size";
  else if (env->readonly && !o->readonly)
    other = "readonly";
  if (other == NULL)
    return LODE_OK;
  return fail(error, LODE_INCOMPATIBLE, "%s is open in this process with "
              "another %s; close it first, or give the same", env->name,
              other);
}

/* In a child: every environment is the parent's. */
static void leave_all (void) {
  while (registry != NULL) {
    kv_env *env = registry;
    registry = env->next;
    kv_leave(env);
  }
}

static kv_env *registered (const struct stat *st) {
  for (kv_env *e = registry; e != NULL; e = e->next)
    if (e->device == st->st_dev && e->inode == st->st_ino)
      return e;
  return NULL;
}

static lode_status open_registered (const files *f, const lode_options *o,
                                    const kv_hooks *hooks, kv_env **env,
                                    lode_error *error) {
  struct stat st;
  lode_status status;
  if (stat(f->data, &st) != 0)
    return kv_failure(error, errno, f->data);
  *env = registered(&st);
  if (*env != NULL) {
    status = same_options(*env, o, error);
    if (status == LODE_OK && o->check == LODE_CHECK_FIRST)
      status = kv_with_txn(*env, hooks->verify, error);
    if (status == LODE_OK)
      (*env)->handles++;
    return status;
  }
  if (!files_fill_stdio())
    return kv_failure(error, errno, f->base);
  status = env_new(f, o, hooks, env, error);
  if (status != LODE_OK)
    return status;
  lode_assert(*env != NULL);
  (*env)->device = st.st_dev;
  (*env)->inode = st.st_ino;
  (*env)->handles = 1;
  (*env)->next = registry;
  registry = *env;
  return LODE_OK;
}

static lode_status make_if_absent (const files *f, const lode_options *o,
                                   const kv_hooks *hooks,
                                   lode_error *error) {
  lode_status st = files_probe(f, error);
  bool gone = st == LODE_ABSENT && access(f->side, F_OK) == 0;
  if (gone) /* or somebody has just made both */
    st = files_probe(f, error);
  if (st != LODE_ABSENT)
    return st;
  if (gone)
    return fail(error, LODE_CORRUPT, "%s is gone, while %s beside it is "
                "there: put it back, from a backup if need be; to begin a "
                "new store, remove what is left of this one", f->data,
                f->side);
  if (o->readonly || !o->create)
    return fail(error, LODE_NOT_FOUND, "there is no store at %s, and none is "
                "made here; check the path", f->base);
  if (!files_make_dir(f, o->mode))
    return kv_failure(error, errno, f->dir);
  if (files_unsafe(f) && !o->allow_unsafe_fs)
    return LODE_OK; /* kv_open says so */
  return create(f, o, hooks, error);
}

lode_status kv_open (const files *f, const lode_options *options,
                     const kv_hooks *hooks, kv_env **env,
                     lode_error *error) {
  static fork_room room = { .mutex = &registry_mutex, .child = leave_all };
  lode_options own = *options;
  lode_status st = make_if_absent(f, options, hooks, error);
  if (st != LODE_OK)
    return st;
  if (!options->allow_unsafe_fs && files_unsafe(f))
    return fail(error, LODE_UNSAFE_FS, "%s is on a network or shared file "
                "system, where memory maps lose data; use a local disk, or "
                "allow_unsafe_fs = true if you know better", f->base);
  if (!fork_watch(&room))
    return fail(error, LODE_NO_MEMORY, "%s: no memory", f->base);
  fork_notice();
  pthread_mutex_lock(&registry_mutex);
  own.max_size = kv_space_quota(own.max_size);
  st = open_registered(f, &own, hooks, env, error);
  pthread_mutex_unlock(&registry_mutex);
  return st;
}

void kv_release (kv_env *env) {
  if (env->left)
    return;
  pthread_mutex_lock(&registry_mutex);
  lode_assert(env->handles > 0);
  if (--env->handles == 0 && !kv_is_held(env)) {
    kv_env **at = &registry;
    while (*at != env)
      at = &(*at)->next;
    *at = env->next;
    kv_side_settle(env);
    env_free(env);
  }
  pthread_mutex_unlock(&registry_mutex);
}

/* }================================================================== */

/* {==================================================================
** The environment as a whole
** =================================================================== */

bool kv_readonly (const kv_env *env) { return env->readonly; }

int kv_data (const kv_env *env) {
  mdb_filehandle_t fd = -1;
  if (!env->left)
    mdb_env_get_fd(env->mdb, &fd);
  return fd;
}

unsigned kv_collections (const kv_env *env) { return env->collections; }

kv_db kv_catalog (const kv_env *env) { return env->catalog; }

void kv_set_catalog (kv_env *env, kv_db db) { env->catalog = db; }

uint64_t kv_generation (kv_env *env) { return env->generation; }

void kv_set_generation (kv_env *env, uint64_t generation) {
  env->generation = generation;
}

_Atomic uint64_t *kv_mark (kv_env *env) { return writer_mark(&env->writer); }

_Atomic uint64_t *kv_counts (kv_env *env) {
  return writer_counts(&env->writer);
}

int kv_side (const kv_env *env) { return env->writer.fd; }

kv_commits kv_commits_of (const kv_env *env) {
  const unsigned char *p = env->metas + FILES_META_TRANSACTION;
  kv_commits c = { { (const void *)p, (const void *)(p + env->page_size) } };
  return c;
}

lode_status kv_flush (kv_env *env, lode_error *error) {
  int rc = env->readonly || env->left ? 0 : mdb_env_sync(env->mdb, 1);
  return rc == 0 ? LODE_OK : kv_failure(error, rc, env->name);
}

bool kv_is_writer (kv_env *env) { return writer_is_mine(&env->writer); }

/* }================================================================== */
