/*
** kv_write.c - the writer's side of kv.h: the map and its growth, the chain
** of nested transactions, and the log from which a chain is built again.
*/
#define KV_ROOM
#include "kv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "fork.h"

#define MAP_STEP ((uint64_t)64 << 20)  /* least growth */
#define MAP_NEAR ((uint64_t)1 << 30)   /* log when no more than this is left */
#define GROW_TRIES 40
#define BUMP_TIMEOUT 100               /* ms; see pass_time */

/* {==================================================================
** The map
** =================================================================== */

/* Whether the system would give a map of this size. */
static bool map_granted (uint64_t size) {
  void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANON |
#ifdef MAP_NORESERVE
                 MAP_NORESERVE |
#endif
                 0, -1, 0);
  if (p == MAP_FAILED)
    return false;
  munmap(p, size);
  return true;
}

/*
** Gives the map another size (0: that of the file's newest state). Nobody
** may be inside the gate. LMDB loses its map when the system refuses one,
** so that is asked first.
*/
static lode_status map_resize (kv_env *env, uint64_t size, lode_error *e) {
  MDB_envinfo info;
  int rc;
  if (size != 0 && !map_granted(size))
    return fail(e, LODE_FULL, "%s is full: the system grants no map of "
                "%llu bytes (see ulimit -v)", env->name,
                (unsigned long long)size);
  rc = mdb_env_set_mapsize(env->mdb, size);
  if (rc != 0) {
    env->dead = true;
    return kv_failure(e, rc, env->name);
  }
  mdb_env_info(env->mdb, &info);
  env->map_size = info.me_mapsize;
  return LODE_OK;
}

/* Runs map_resize alone in the gate, when that is to be had in time. */
static lode_status map_change_within (kv_env *env, uint64_t size,
                                      unsigned timeout, lode_error *e) {
  lode_status st;
  if (!gate_close(&env->gate, timeout))
    return fail(e, LODE_BUSY, "%s: its map must change, but snapshots or "
                "walks over one moment are open in this process; close "
                "them and try again", env->name);
  st = map_resize(env, size, e);
  gate_open(&env->gate);
  return st;
}

lode_status kv_map_change (kv_env *env, uint64_t size, lode_error *e) {
  return map_change_within(env, size, env->timeout, e);
}

/* The size to grow to, or 0 when the quota allows none. */
static uint64_t map_next (const kv_env *env, bool allowance) {
  uint64_t next = env->map_size * 2;
  if (next < env->map_size + MAP_STEP)
    next = env->map_size + MAP_STEP;
  if (env->max_size != 0) {
    uint64_t most = env->max_size;
    if (allowance)
      most += KV_ALLOWANCE + most / 32;
    if (most <= env->map_size)
      return 0;
    if (next > most)
      next = most;
  }
  return next;
}

static lode_status map_grow (kv_env *env, bool allowance, lode_error *e) {
  uint64_t next = map_next(env, allowance);
  lode_status st;
  if (next == 0)
    return kv_space_full(env, e);
  st = kv_map_change(env, next, e);
  if (st == LODE_OK && env->max_size != 0 && env->map_size > env->max_size)
    env->widened = true;
  return st;
}

/* }================================================================== */

/* {==================================================================
** Writing: the chain of transactions, and the log that can rebuild it
** =================================================================== */

/*
**   log   := entry*
**   entry := op (1) db (4) key size (4) value size (4) key value
*/
typedef enum log_op {
  LOG_PUT, LOG_LENIENT, LOG_APPEND, LOG_DELETE, LOG_CLEAR, LOG_REMOVE,
  LOG_MAKE, LOG_BEGIN, LOG_END
} log_op;

#define LOG_HEAD 13

static lode_status log_add (kv_txn *t, log_op op, kv_db db, lode_slice key,
                            lode_slice value) {
  unsigned char *p;
  if (lode_buffer_reserve(&t->log, LOG_HEAD + key.size + value.size) !=
      LODE_OK)
    return txn_failure(t, ENOMEM);
  p = t->log.data + t->log.size;
  p[0] = (unsigned char)op;
  put_u32(p + 1, db);
  put_u32(p + 5, (uint32_t)key.size);
  put_u32(p + 9, (uint32_t)value.size);
  if (key.size > 0)
    memcpy(p + LOG_HEAD, key.data, key.size);
  if (value.size > 0)
    memcpy(p + LOG_HEAD + key.size, value.data, value.size);
  t->log.size += LOG_HEAD + key.size + value.size;
  return LODE_OK;
}

/* Makes the failure `st` the end of the level at `depth`, and of deeper. */
static lode_status fail_at (kv_txn *t, unsigned depth, lode_status st) {
  if (t->failed_depth == 0 || depth < t->failed_depth) {
    t->failed = st;
    t->failed_depth = depth;
  }
  return st;
}

/* A level that has failed takes nothing more. */
lode_status kv_usable (kv_txn *t) {
  if (lode_unlikely(t->env->left))
    return kv_left_behind(t->env, t->error);
  if (lode_unlikely(t->buried))
    return fail(t->error, LODE_REENTRY, "%s: the thread that began this "
                "transaction has ended without ending it, so it was rolled "
                "back", t->env->name);
  if (lode_unlikely(t->failed_depth != 0))
    return fail(t->error, t->failed, "%s: this transaction has failed (%s) "
                "and can only be rolled back", t->env->name,
                lode_status_name(t->failed));
  return LODE_OK;
}

/* Begins LMDB's own transaction for the level at `depth`. */
static int begin_one (kv_txn *t, unsigned depth) {
  MDB_txn *parent = depth > 1 ? t->levels[depth - 1].txn : NULL;
  MDB_txn *txn;
  int rc = mdb_txn_begin(t->env->mdb, parent, 0, &txn);
  if (rc == 0)
    t->txn = t->levels[depth].txn = txn;
  return rc;
}

static int apply (kv_txn *t, log_op op, kv_db db, lode_slice key,
                  lode_slice value) {
  MDB_val k = val_of(key), v = val_of(value);
  kv_db made;
  int rc;
  switch (op) {
    case LOG_PUT: case LOG_LENIENT: return mdb_put(t->txn, db, &k, &v, 0);
    case LOG_APPEND: return mdb_put(t->txn, db, &k, &v, MDB_APPEND);
    case LOG_DELETE: return mdb_del(t->txn, db, &k, NULL);
    case LOG_CLEAR: return mdb_drop(t->txn, db, 0);
    case LOG_MAKE:
      rc = mdb_dbi_open(t->txn, (const char *)key.data, MDB_CREATE, &made);
      return rc == 0 && made != db ? MDB_BAD_DBI : rc;
    case LOG_REMOVE:
      rc = mdb_dbi_open(t->txn, (const char *)key.data, 0, &made);
      return rc == 0 ? mdb_drop(t->txn, made, 1) : rc;
    default: return 0;
  }
}

/*
** The quota is reached. What the last commit freed can't be used by the
** next transaction yet, only by the one after it: an empty commit, in a map
** widened for it, lets the time pass. False: it could not be done.
*/
static bool pass_time (kv_txn *t) {
  static unsigned char name[] = { 0, 'b' };
  kv_env *env = t->env;
  MDB_val k = { sizeof name, name };
  MDB_txn *txn;
  bool passed = false;
  if (map_change_within(env, map_next(env, true), BUMP_TIMEOUT, t->error) !=
      LODE_OK)
    return false;
  gate_enter(&env->gate);
  if (mdb_txn_begin(env->mdb, NULL, 0, &txn) == 0) {
    passed = mdb_put(txn, KV_MAIN, &k, &k, 0) == 0 &&
             mdb_del(txn, KV_MAIN, &k, NULL) == 0;
    if (passed)
      passed = mdb_txn_commit(txn) == 0;
    else
      mdb_txn_abort(txn);
  }
  gate_leave(&env->gate);
  env->widened = map_change_within(env, env->max_size, BUMP_TIMEOUT,
                                   t->error) != LODE_OK;
  return passed && !env->widened;
}

/* Makes room: a larger map or, at the quota, the pages freed last. */
static lode_status make_room (kv_txn *t, bool deleting) {
  kv_env *env = t->env;
  lode_status st;
  if (!deleting && env->max_size != 0 && map_next(env, false) == 0 &&
      !t->bumped) {
    t->bumped = true;
    if (pass_time(t))
      return LODE_OK;
  }
  if (deleting && env->tight)
    kv_space_ballast(env, false);
  st = map_grow(env, deleting, t->error);
  t->allowance = env->widened;
  return st;
}

/* Does again, on a fresh outermost transaction, all that the log holds. */
static int replay (kv_txn *t) {
  size_t at = 0;
  unsigned depth = 1;
  int rc = begin_one(t, 1);
  while (rc == 0 && at < t->log.size) {
    unsigned char *p = t->log.data + at;
    lode_slice key = slice_of(p + LOG_HEAD, get_u32(p + 5));
    lode_slice value = slice_of(key.data + key.size, get_u32(p + 9));
    if (p[0] == LOG_BEGIN)
      rc = begin_one(t, ++depth);
    else
      rc = apply(t, (log_op)p[0], get_u32(p + 1), key, value);
    at += LOG_HEAD + key.size + value.size;
  }
  return rc;
}

/* Drops the whole chain. */
static void chain_abort (kv_txn *t) {
  if (t->levels[1].txn != NULL)
    mdb_txn_abort(t->levels[1].txn); /* its children with it */
  t->txn = t->levels[1].txn = NULL;
}

/*
** The innermost level needs more room than there is: it is lost, and the
** levels around it are built again as they were before it.
*/
static lode_status lose_level (kv_txn *t, lode_status st) {
  lode_error why = *t->error;
  int rc = 0;
  if (t->depth == 1)
    return fail_at(t, 1, st);
  t->log.size = t->levels[t->depth].mark;
  rc = replay(t);
  if (rc != 0) {
    chain_abort(t);
    return fail_at(t, 1, txn_failure(t, rc));
  }
  t->txn = t->levels[t->depth].txn = NULL;
  *t->error = why;
  return fail_at(t, t->depth, st);
}

/*
** LMDB has no room left: rolls everything back, makes room, and does it
** again, the last logged write included. For deletes the map may grow past
** the quota.
*/
static lode_status grow_and_replay (kv_txn *t, bool deleting) {
  lode_status st;
  int rc = MDB_MAP_FULL;
  for (int i = 0; rc == MDB_MAP_FULL && i < GROW_TRIES; i++) {
    chain_abort(t);
    gate_leave(&t->env->gate);
    st = make_room(t, deleting);
    gate_enter(&t->env->gate);
    if (st != LODE_OK)
      return lose_level(t, st);
    rc = replay(t);
  }
  if (rc == 0)
    return LODE_OK;
  chain_abort(t);
  return fail_at(t, 1, txn_failure(t, rc));
}

/*
** Whether a write may go past the quota: deletes, and the records that the
** room above keeps of them.
*/
static bool is_allowed (const kv_env *env, log_op op, kv_db db) {
  bool adds = op == LOG_PUT || op == LOG_APPEND || op == LOG_MAKE;
  return !adds || db == KV_MAIN || (db == env->catalog && db != 0);
}

/* One write: logged where the map is near its end, done, mended. */
static lode_status write (kv_txn *t, log_op op, kv_db db, lode_slice key,
                          lode_slice value) {
  bool deleting = is_allowed(t->env, op, db);
  lode_status st = LODE_OK;
  size_t before = t->log.size;
  int rc;
  if (lode_unlikely(kv_is_lost(t)))
    return kv_usable(t);
  lode_assert(t->depth > 0);
  if (t->logging) {
    if (t->allowance && !deleting)
      return fail_at(t, t->depth, kv_space_full(t->env, t->error));
    st = log_add(t, op, db, key, value);
    if (st != LODE_OK)
      return fail_at(t, t->depth, st);
  }
  rc = apply(t, op, db, key, value);
  if (lode_unlikely(rc != 0)) {
    if (rc == MDB_MAP_FULL && t->logging)
      return grow_and_replay(t, deleting);
    t->log.size = before;
    st = txn_failure(t, rc);
    kv_space_note(t->env, st);
    if (st > LODE_EXISTS && st != LODE_BAD_KEY)
      fail_at(t, t->depth, st);
  }
  return st;
}

lode_status kv_log_made (kv_txn *t, lode_slice name, kv_db db) {
  if (!t->logging)
    return LODE_OK;
  return log_add(t, LOG_MAKE, db, name, slice_of(NULL, 0));
}

lode_status kv_make_room (kv_txn *t) {
  return t->depth > 0 && t->logging ? grow_and_replay(t, false) : LODE_FULL;
}

lode_status kv_put (kv_txn *t, kv_db db, lode_slice key, lode_slice value,
                    bool append) {
  log_op op = t->lenient ? LOG_LENIENT : append ? LOG_APPEND : LOG_PUT;
  return write(t, op, db, key, value);
}

lode_status kv_delete (kv_txn *t, kv_db db, lode_slice key) {
  return write(t, LOG_DELETE, db, key, slice_of(NULL, 0));
}

lode_status kv_db_clear (kv_txn *t, kv_db db) {
  return write(t, LOG_CLEAR, db, slice_of(NULL, 0), slice_of(NULL, 0));
}

lode_status kv_write_remove (kv_txn *t, lode_slice name) {
  char text[KV_KEY_MAX + 1]; /* LMDB wants a 0 at the end */
  lode_assert(name.size <= KV_KEY_MAX);
  memcpy(text, name.data, name.size);
  text[name.size] = '\0';
  return write(t, LOG_REMOVE, 0, slice_of(text, name.size + 1),
               slice_of(NULL, 0));
}

/* The words for a writer lock that was not to be had. */
static void tell_lock (kv_txn *t, lode_status st, int pid,
                       unsigned timeout) {
  kv_env *env = t->env;
  if (st == LODE_REENTRY)
    fail(t->error, st, "%s: this thread is writing through another handle "
         "of the same store; finish that first, or write through it",
         env->name);
  else if (st == LODE_BUSY && pid != 0)
    fail(t->error, st, "%s: process %d has held the writer lock for %u ms; "
         "if it is stopped, resume or end it", env->name, pid, timeout);
  else if (st == LODE_BUSY)
    fail(t->error, st, "%s: another thread has held the writer lock for "
         "%u ms", env->name, timeout);
  else
    fail(t->error, st, "%s: the side file can't be locked (%s)", env->name,
         strerror(errno));
}

lode_status kv_lock (kv_txn *t, unsigned timeout) {
  kv_env *env = t->env;
  bool ended;
  int pid;
  lode_status st;
  lode_assert(!t->locked && t->depth == 0);
  fork_notice();
  if (env->left)
    return kv_left_behind(env, t->error);
  if (env->readonly)
    return fail(t->error, LODE_READONLY, "%s is open for reading only; to "
                "write, open it without readonly",
                env->name);
  st = writer_acquire(&env->writer, timeout, &pid, &ended);
  if (st == LODE_REENTRY && kv_adopt(env))
    st = LODE_OK;
  if (st != LODE_OK) {
    tell_lock(t, st, pid, timeout);
    return st;
  }
  if (ended)
    kv_bury(env);
  env->writing = t;
  t->locked = true;
  t->owner = pthread_self();
  return LODE_OK;
}

/* In whatever thread: LMDB knows nothing of it. */
void kv_unlock (kv_txn *t) {
  lode_assert(t->locked);
  if (t->env->left || t->buried) {
    kv_forget(t);
    return;
  }
  if (t->unlocking != NULL)
    t->unlocking(t->unlocking_data);
  t->locked = false;
  t->env->writing = NULL;
  writer_release(&t->env->writer);
}

void kv_lend (kv_txn *from, kv_txn *to) {
  lode_assert(from->locked && from->depth == 0 && !to->locked);
  from->locked = false;
  to->locked = to->keeps = true;
  to->owner = from->owner;
  from->env->writing = to;
}

void kv_return (kv_txn *from, kv_txn *to) {
  lode_assert(to->locked && to->depth == 0);
  to->locked = to->keeps = false;
  from->locked = true;
  from->env->writing = from;
}

/* Begins the outermost transaction; the writer lock is held. */
static lode_status begin_outermost (kv_txn *t) {
  kv_env *env = t->env;
  uint64_t now = kv_now();
  lode_status st = kv_place_check(env, now, t->error);
  int rc = 0;
  if (st != LODE_OK)
    return st;
  kv_readers_clear(env, now);
  st = kv_space_look(env, now, t->error);
  if (st != LODE_OK)
    return st;
  if (env->widened) { /* back to the quota before anything is added */
    st = kv_map_change(env, env->max_size, t->error);
    if (st != LODE_OK)
      return st;
    env->widened = false;
  }
  if (env->nosync == t->sync) {
    mdb_env_set_flags(env->mdb, MDB_NOSYNC, !t->sync);
    env->nosync = !t->sync;
  }
  kv_dbs_claim(env);
  if (!t->sync && !writer_unsynced(&env->writer))
    return kv_failure(t->error, errno, env->name);
  gate_enter(&env->gate);
  for (int i = 0; i < 3 && !env->dead; i++) {
    rc = begin_one(t, 1);
    if (rc != MDB_MAP_RESIZED)
      break;
    gate_leave(&env->gate);
    st = kv_map_change(env, 0, t->error);
    gate_enter(&env->gate);
    if (st != LODE_OK)
      break;
  }
  if (st == LODE_OK && env->dead)
    st = kv_dead(t);
  if (st == LODE_OK && rc != 0)
    st = txn_failure(t, rc);
  if (st != LODE_OK) {
    gate_leave(&env->gate);
    kv_dbs_release(env);
  }
  return st;
}

/* Whether the map may turn out too small for what is to come. */
static bool map_is_near (kv_txn *t) {
  MDB_envinfo info;
  mdb_env_info(t->env->mdb, &info);
  return t->env->map_size <
         (uint64_t)info.me_last_pgno * t->env->page_size + MAP_NEAR;
}

/* REENTRY where the lock is the parent process's, or another thread's. */
static lode_status is_mine (kv_txn *t) {
  if (lode_unlikely(kv_is_lost(t)))
    return kv_usable(t);
  if (lode_unlikely(!pthread_equal(t->owner, pthread_self())))
    return fail(t->error, LODE_REENTRY, "%s: a transaction ends in the "
                "thread in which it began", t->env->name);
  return LODE_OK;
}

lode_status kv_write_begin (kv_txn *t, unsigned timeout) {
  lode_status st;
  int rc;
  if (t->depth == 0) {
    if (!t->locked && (st = kv_lock(t, timeout)) != LODE_OK)
      return st;
    st = is_mine(t);
    if (st == LODE_OK)
      st = begin_outermost(t);
    if (st != LODE_OK) {
      if (!t->keeps)
        kv_unlock(t);
      return st;
    }
    t->depth = 1;
    t->failed_depth = 0;
    t->allowance = t->bumped = false;
    t->log.size = 0;
    t->logging = map_is_near(t);
    return LODE_OK;
  }
  if ((st = kv_usable(t)) != LODE_OK)
    return st;
  if (t->depth == KV_DEPTH_MAX)
    return fail(t->error, LODE_BAD_ARGUMENT, "%s: transactions are nested "
                "deeper than %d", t->env->name, KV_DEPTH_MAX);
  t->levels[t->depth + 1].mark = t->log.size;
  if (t->logging && (st = log_add(t, LOG_BEGIN, 0, slice_of(NULL, 0),
                                  slice_of(NULL, 0))) != LODE_OK)
    return st;
  rc = begin_one(t, t->depth + 1);
  if (rc != 0) {
    t->log.size = t->levels[t->depth + 1].mark;
    return txn_failure(t, rc);
  }
  t->depth++;
  return LODE_OK;
}

/* The outermost has ended, one way or the other. */
static void ended (kv_txn *t) {
  t->txn = t->levels[1].txn = NULL;
  t->depth = 0;
  t->failed_depth = 0;
  lode_buffer_free(&t->log);
  gate_leave(&t->env->gate);
  kv_dbs_release(t->env);
  if (!t->keeps)
    kv_unlock(t);
}

/* Whether the calling thread can end the outermost transaction. */
static bool can_end (kv_txn *t) {
  return pthread_equal(t->owner, pthread_self()) ? !t->buried
                                                 : kv_disown(t);
}

void kv_write_abort (kv_txn *t) {
  lode_assert(t->depth > 0);
  if (t->env->left) {
    if (--t->depth == 0)
      kv_forget(t);
    return;
  }
  if (t->depth == 1 && !can_end(t)) {
    kv_forget(t);
    return;
  }
  kv_dbs_forget(t, t->depth);
  if (t->txn != NULL)
    mdb_txn_abort(t->txn);
  if (t->depth == 1) {
    ended(t);
    return;
  }
  t->txn = t->levels[1].txn != NULL ? t->levels[t->depth - 1].txn : NULL;
  if (t->failed_depth >= t->depth)
    t->failed_depth = 0;
  t->log.size = t->levels[t->depth].mark;
  t->depth--;
}

/* The inner level becomes a part of the one around it. */
static lode_status commit_inner (kv_txn *t) {
  int rc = mdb_txn_commit(t->txn);
  t->txn = t->levels[t->depth - 1].txn;
  if (rc != 0) {
    kv_dbs_forget(t, t->depth);
    t->log.size = t->levels[t->depth].mark;
    t->depth--;
    return fail_at(t, t->depth, txn_failure(t, rc));
  }
  kv_dbs_keep(t, t->depth);
  if (t->logging) /* its writes stay, the mark of a level goes */
    t->log.data[t->levels[t->depth].mark] = LOG_END;
  t->depth--;
  return LODE_OK;
}

/* Whether the log holds anything but deletes. */
static bool log_adds (const kv_txn *t) {
  size_t at = 0;
  while (at < t->log.size) {
    const unsigned char *p = t->log.data + at;
    if (!is_allowed(t->env, (log_op)p[0], get_u32(p + 1)))
      return true;
    at += LOG_HEAD + (size_t)get_u32(p + 5) + get_u32(p + 9);
  }
  return false;
}

/* After a commit, before others can write: was anything written? */
static void note_commit (kv_txn *t, uint64_t number) {
  MDB_envinfo info;
  mdb_env_info(t->env->mdb, &info);
  if (info.me_last_txnid >= number)
    t->committed = info.me_last_txnid;
}

lode_status kv_write_commit (kv_txn *t) {
  lode_status st = is_mine(t);
  uint64_t number;
  int rc = 0;
  lode_assert(t->depth > 0);
  if (st != LODE_OK) {
    kv_write_abort(t);
    return st;
  }
  if (t->depth > 1)
    return commit_inner(t);
  number = mdb_txn_id(t->txn);
  rc = kv_space_commit(t->txn);
  t->txn = t->levels[1].txn = NULL;
  while (rc == MDB_MAP_FULL && t->logging && st == LODE_OK) {
    bool deleting = t->allowance || !log_adds(t);
    if ((st = grow_and_replay(t, deleting)) == LODE_OK) {
      rc = kv_space_commit(t->txn);
      t->txn = t->levels[1].txn = NULL;
    }
  }
  if (st == LODE_OK && rc != 0)
    st = txn_failure(t, rc);
  kv_space_note(t->env, st);
  if (st == LODE_OK) {
    kv_dbs_keep(t, 1);
    note_commit(t, number);
  }
  else
    kv_dbs_forget(t, 1);
  ended(t);
  return st;
}

/* }================================================================== */
