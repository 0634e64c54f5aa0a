/*
** kv_left.c - what nobody is going to end: transactions of the process that
** forked this one, and of threads that have ended. See kv.h.
**
** LMDB can't be used across a fork: a child that ended a transaction of its
** parent would take the parent's reader slot or writer lock away, and whoever
** closes a lock file gives back all its locks. So a child closes the
** descriptors that it has inherited, at once, before it opens anything; and
** all the rest it leaves where it is, for good. It isn't even freed: another
** thread of the parent may have been in the middle of it, and the memory is
** shared with the parent until one of them writes to it. The map stays, too,
** so that a callback in which the fork was made can still read what it was
** shown.
*/
#define KV_ROOM
#include "kv.h"

#include <string.h>
#include <unistd.h>

#include "check.h"

/* {==================================================================
** Another process
** =================================================================== */

static kv_env *left; /* for tools that look for memory nobody knows of */

/* The mutexes that others of the process had are nobody's any more. */
static void renew_locks (kv_env *env) {
  static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
  memcpy(&env->gate.mutex, &fresh, sizeof fresh);
  memcpy(&env->dbs_mutex, &fresh, sizeof fresh);
  memcpy(&env->burial, &fresh, sizeof fresh);
  atomic_store(&env->gate.inside, 0);
}

void kv_leave (kv_env *env) {
  for (int i = 0; i < KV_FDS; i++)
    if (env->fds[i] >= 0)
      close(env->fds[i]);
  writer_leave(&env->writer);
  if (env->place.dir >= 0)
    close(env->place.dir);
  if (env->place.byte >= 0)
    close(env->place.byte);
  renew_locks(env);
  env->left = env->dead = true;
  env->next = left;
  left = env;
}

bool kv_is_left (const kv_env *env) { return env->left; }

lode_status kv_left_behind (const kv_env *env, lode_error *error) {
  return fail(error, LODE_REENTRY, "%s: what is open here (a transaction, a "
              "snapshot, a walk over one moment, an update) was begun by the "
              "process that forked this one (%d), and is its alone; leave "
              "it, then the store can be used here", env->name,
              (int)env->writer.process);
}

void kv_txn_leave (kv_txn *t) {
  if (t->txn != NULL) {
    t->failed = LODE_REENTRY;
    t->failed_depth = 1;
  }
}

void kv_forget (kv_txn *t) {
  if (t->env->left && t->idle != NULL) /* without memory it is known less */
    (void)lode_buffer_add(&t->env->lost, &t->idle, sizeof(void *));
  t->txn = t->idle = t->levels[1].txn = NULL;
  t->locked = t->buried = false;
  t->depth = t->failed_depth = 0;
  lode_buffer_free(&t->log);
}

/* }================================================================== */

/* {==================================================================
** Another thread
**
** LMDB's writer lock belongs to a thread. One that ends gives it up, and
** then any other can roll its transaction back. While it lives no other
** can: rolled back by another, the transaction would keep the lock, and the
** next writer of any process would wait for ever. So it stays as it is, and
** with it lode's own writer lock, for which nobody waits for ever.
** =================================================================== */

/* Rolls back LMDB's part; the calling thread has the writer lock. */
static void roll_back (kv_env *env, MDB_txn *txn, bool inside) {
  if (txn != NULL)
    mdb_txn_abort(txn);
  if (inside) {
    gate_leave(&env->gate);
    kv_dbs_release(env);
  }
}

/* Rolls back the orphan; the mutex is held. */
static void bury_orphan (kv_env *env) {
  roll_back(env, env->orphan, env->orphan_inside);
  env->orphan = NULL;
  env->orphan_inside = false;
}

void kv_bury (kv_env *env) {
  kv_txn *t;
  pthread_mutex_lock(&env->burial);
  t = env->writing;
  if (t != NULL) {
    kv_dbs_forget(t, 1);
    roll_back(env, t->levels[1].txn, t->depth > 0);
    t->txn = t->levels[1].txn = NULL;
    t->failed = LODE_REENTRY;
    t->failed_depth = 1;
    t->buried = true;
    env->writing = NULL;
  }
  bury_orphan(env);
  pthread_mutex_unlock(&env->burial);
}

bool kv_disown (kv_txn *t) {
  kv_env *env = t->env;
  bool mine;
  pthread_mutex_lock(&env->burial);
  mine = !t->buried && writer_inherit(&env->writer);
  if (mine)
    t->owner = pthread_self();
  else {
    if (!t->buried) {
      kv_dbs_forget(t, 1);
      env->orphan = t->levels[1].txn;
      env->orphan_inside = t->depth > 0;
      env->writing = NULL;
    }
  }
  pthread_mutex_unlock(&env->burial);
  return mine;
}

bool kv_is_held (kv_env *env) {
  bool held;
  pthread_mutex_lock(&env->burial);
  if (env->orphan != NULL && (writer_is_mine(&env->writer) ||
                              writer_inherit(&env->writer))) {
    bury_orphan(env);
    writer_release(&env->writer);
  }
  held = env->orphan != NULL;
  pthread_mutex_unlock(&env->burial);
  return held;
}

bool kv_adopt (kv_env *env) {
  bool any;
  pthread_mutex_lock(&env->burial);
  any = env->writing == NULL && writer_is_mine(&env->writer);
  if (any)
    bury_orphan(env);
  pthread_mutex_unlock(&env->burial);
  return any;
}

/* }================================================================== */
