/*
** kv.c - databases, reading, entries, cursors. See kv.h.
*/
#define KV_ROOM
#include "kv.h"

#include <errno.h>
#include <string.h>

#include "check.h"

#define REAP_TIMEOUT 20 /* ms; see kv_db_reap */

static lode_slice slice_of_val (const MDB_val *v) {
  return slice_of(v->mv_data, v->mv_size);
}

/* {==================================================================
** Databases: the handles of this process
** =================================================================== */

/* Forgets those that `t` made at `depth` or deeper and did not commit. */
void kv_dbs_forget (kv_txn *t, unsigned depth) {
  kv_env *env = t->env;
  if (env->maker != t || env->left)
    return;
  pthread_mutex_lock(&env->dbs_mutex);
  for (unsigned i = 0; i < env->max_dbs; i++)
    if (env->dbs[i].maker == t && env->dbs[i].depth >= depth) {
      lode_free((void *)env->dbs[i].name.data);
      memset(&env->dbs[i], 0, sizeof env->dbs[i]);
      env->used_dbs--;
    }
  if (depth <= 1)
    env->maker = NULL;
  pthread_mutex_unlock(&env->dbs_mutex);
}

/* The level of `t` at `depth` was committed: what it made is its parent's. */
void kv_dbs_keep (kv_txn *t, unsigned depth) {
  kv_env *env = t->env;
  if (env->maker != t)
    return;
  pthread_mutex_lock(&env->dbs_mutex);
  for (unsigned i = 0; i < env->max_dbs; i++)
    if (env->dbs[i].maker == t && env->dbs[i].depth == depth) {
      env->dbs[i].depth--;
      if (depth == 1)
        env->dbs[i].maker = NULL;
    }
  if (depth == 1)
    env->maker = NULL;
  pthread_mutex_unlock(&env->dbs_mutex);
}

void kv_dbs_claim (kv_env *env) {
  pthread_mutex_lock(&env->dbs_mutex);
  env->begun = true;
  pthread_mutex_unlock(&env->dbs_mutex);
}

void kv_dbs_release (kv_env *env) {
  pthread_mutex_lock(&env->dbs_mutex);
  env->begun = false;
  pthread_cond_broadcast(&env->dbs_changed);
  pthread_mutex_unlock(&env->dbs_mutex);
}

/* The open database of this name; null: none. The mutex is held. */
static kv_open_db *dbs_find (kv_env *env, lode_slice name, kv_db *db) {
  for (unsigned i = 0; i < env->max_dbs; i++)
    if (env->dbs[i].name.data != NULL &&
        slice_equal(env->dbs[i].name, name)) {
      *db = i;
      return &env->dbs[i];
    }
  return NULL;
}

/* Asks LMDB, in the transaction that writes or in a short one of its own. */
static int dbs_ask (kv_txn *t, const char *name, bool create, kv_db *db,
                    unsigned *flags) {
  MDB_txn *own = NULL, *txn = t->txn;
  int rc = 0;
  if (txn == NULL) {
    gate_enter(&t->env->gate);
    rc = mdb_txn_begin(t->env->mdb, NULL, MDB_RDONLY, &own);
    txn = own;
  }
  if (rc == 0)
    rc = mdb_dbi_open(txn, name, create ? MDB_CREATE : 0, db);
  if (rc == 0)
    rc = mdb_dbi_flags(txn, *db, flags);
  if (own != NULL) {
    if (rc == 0)
      rc = mdb_txn_commit(own); /* keeps the handle open */
    else
      mdb_txn_abort(own);
  }
  if (t->txn == NULL)
    gate_leave(&t->env->gate);
  return rc;
}

/* Waits until no other one writes (kv_dbs_claim). The mutex is held. */
static lode_status dbs_settled (kv_txn *t) {
  kv_env *env = t->env;
  struct timespec until = gate_deadline(env->timeout);
  while (env->begun && t->depth == 0) {
    if (writer_is_mine(&env->writer))
      return fail(t->error, LODE_REENTRY, "%s: a transaction of this thread "
                  "is open; open this collection through its handle, or "
                  "before or after it", env->name);
    if (pthread_cond_timedwait(&env->dbs_changed, &env->dbs_mutex,
                               &until) != 0)
      return fail(t->error, LODE_BUSY, "%s: a collection can't be opened "
                  "while another thread's transaction goes on", env->name);
  }
  return LODE_OK;
}

/*
** Opens a database that is not open yet. The mutex is held. `resized`: it
** failed because another process has grown the map.
*/
static lode_status dbs_add (kv_txn *t, lode_slice name, bool create,
                            kv_db *db, kv_shape *shape, bool *resized) {
  kv_env *env = t->env;
  kv_open_db *entry;
  unsigned flags = 0;
  lode_status st = LODE_OK;
  char *copy = lode_malloc(name.size + 1);
  int rc;
  if (copy == NULL)
    return txn_failure(t, ENOMEM);
  memcpy(copy, name.data, name.size);
  copy[name.size] = '\0';
  rc = dbs_ask(t, copy, create, db, &flags);
  if (rc == MDB_MAP_FULL && kv_make_room(t) == LODE_OK)
    rc = dbs_ask(t, copy, create, db, &flags);
  *resized = rc == MDB_MAP_RESIZED;
  if (rc == 0 && t->depth > 0)
    st = kv_log_made(t, slice_of(copy, name.size + 1), *db);
  if (st != LODE_OK) {
    lode_free(copy);
    return st;
  }
  if (rc != 0) {
    lode_free(copy);
    if (rc == MDB_INCOMPATIBLE)
      return fail(t->error, LODE_INCOMPATIBLE, "%s: %.200s is an entry, no "
                  "database", env->name, (const char *)name.data);
    return txn_failure(t, rc);
  }
  lode_assert(*db < env->max_dbs && env->dbs[*db].name.data == NULL);
  entry = &env->dbs[*db];
  entry->name = slice_of(copy, name.size);
  entry->uses = 0;
  entry->shape.strange = (flags & (MDB_DUPSORT | MDB_INTEGERKEY |
                                   MDB_REVERSEKEY)) != 0;
  if (t->depth > 0) { /* LMDB takes it back with the transaction */
    entry->maker = env->maker = t;
    entry->depth = t->depth;
  }
  env->used_dbs++;
  *shape = entry->shape;
  return LODE_OK;
}

/* kv_db_open in one try; `resized` as for dbs_add. */
static lode_status dbs_open (kv_txn *t, lode_slice name, bool create,
                             kv_db *db, kv_shape *shape, bool *resized) {
  kv_env *env = t->env;
  kv_open_db *entry;
  lode_status st = LODE_OK;
  bool snapshot = t->txn != NULL && t->depth == 0;
  *resized = false;
  pthread_mutex_lock(&env->dbs_mutex);
  entry = dbs_find(env, name, db);
  if (entry == NULL && !snapshot) {
    st = dbs_settled(t);
    entry = dbs_find(env, name, db); /* while it waited others went on */
  }
  if (entry != NULL) {
    *shape = entry->shape;
    st = LODE_OK;
  }
  else if (snapshot)
    st = LODE_ABSENT; /* it sees those that were open before */
  else if (st == LODE_OK)
    st = dbs_add(t, name, create, db, shape, resized);
  if (st == LODE_OK)
    env->dbs[*db].uses++;
  pthread_mutex_unlock(&env->dbs_mutex);
  return st;
}

lode_status kv_db_open (kv_txn *t, lode_slice name, bool create, kv_db *db,
                        kv_shape *shape) {
  bool resized = true;
  lode_status st = LODE_OK;
  if (t->env->left)
    return kv_left_behind(t->env, t->error);
  if (memchr(name.data, '\0', name.size) != NULL)
    return LODE_ABSENT; /* LMDB's names end in 0 */
  for (int tries = 8; resized && tries > 0; tries--) {
    st = dbs_open(t, name, create, db, shape, &resized);
    if (resized) { /* a read takes the new map over, without the mutex */
      lode_status read = kv_read_begin(t);
      if (read != LODE_OK)
        return read;
      kv_read_end(t);
    }
  }
  return st;
}

lode_slice kv_db_name (const kv_env *env, kv_db db) {
  return env->dbs[db].name;
}

void kv_db_close (kv_env *env, kv_db db) {
  if (env->left)
    return;
  pthread_mutex_lock(&env->dbs_mutex);
  if (env->dbs[db].uses > 0)
    env->dbs[db].uses--;
  pthread_mutex_unlock(&env->dbs_mutex);
}

/* Alone in the gate; the mutex is held. */
static void dbs_reap (kv_env *env) {
  for (unsigned i = 0; i < env->max_dbs; i++)
    if (env->dbs[i].name.data != NULL && env->dbs[i].uses == 0) {
      mdb_dbi_close(env->mdb, i);
      lode_free((void *)env->dbs[i].name.data);
      memset(&env->dbs[i], 0, sizeof env->dbs[i]);
      env->used_dbs--;
    }
  env->generation = 0; /* not every database is open any more */
}

/*
** The mutex comes before the gate, as it does for who opens a database. One
** that is inside may wait for the mutex: so the gate is not waited for long.
*/
void kv_db_reap (kv_env *env) {
  if (env->left)
    return;
  pthread_mutex_lock(&env->dbs_mutex);
  if (env->used_dbs >= env->max_dbs - KV_SPARE_DBS / 2 &&
      gate_close(&env->gate, REAP_TIMEOUT)) {
    dbs_reap(env);
    gate_open(&env->gate);
  }
  pthread_mutex_unlock(&env->dbs_mutex);
}

/* }================================================================== */

/* {==================================================================
** Reading
** =================================================================== */

void kv_txn_init (kv_txn *t, kv_env *env, lode_error *error) {
  memset(t, 0, sizeof *t);
  t->env = env;
  t->error = error;
  t->sync = true;
}

uint64_t kv_txn_number (const kv_txn *t) { return mdb_txn_id(t->txn); }

void kv_txn_free (kv_txn *t) {
  if (t->env->left) {
    kv_forget(t);
    return;
  }
  while (t->depth > 0)
    kv_write_abort(t);
  if (t->locked)
    kv_unlock(t);
  if (t->txn != NULL)
    kv_unpin(t);
  if (t->idle != NULL)
    mdb_txn_abort(t->idle);
  t->idle = NULL;
  lode_buffer_free(&t->log);
}

lode_status kv_dead (kv_txn *t) {
  if (t->env->left)
    return kv_left_behind(t->env, t->error);
  return fail(t->error, LODE_IO, "%s has lost its memory map; close every "
              "handle of this process and open it again", t->env->name);
}

/* The ways in which a read transaction may begin other than at once. */
static lode_status read_begin_slowly (kv_txn *t) {
  kv_env *env = t->env;
  lode_status st;
  int rc = MDB_MAP_RESIZED;
  for (int i = 0; i < 8 && !env->dead; i++) {
    rc = t->idle != NULL
         ? mdb_txn_renew(t->idle)
         : mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &t->idle);
    if (rc == 0) {
      t->txn = t->idle;
      return LODE_OK;
    }
    if (rc == MDB_MAP_RESIZED) { /* another process has grown the map */
      gate_leave(&env->gate);
      st = kv_map_change(env, 0, t->error);
      if (st != LODE_OK)
        return st;
      gate_enter(&env->gate);
    }
    else if (rc != MDB_READERS_FULL || i > 0 ||
             mdb_reader_check(env->mdb, NULL) != 0)
      break;
  }
  gate_leave(&env->gate);
  return env->dead ? kv_dead(t) : txn_failure(t, rc);
}

lode_status kv_read_begin (kv_txn *t) {
  lode_assert(t->txn == NULL);
  gate_enter(&t->env->gate);
  if (t->idle != NULL && !t->env->dead && mdb_txn_renew(t->idle) == 0) {
    t->txn = t->idle;
    return LODE_OK;
  }
  return read_begin_slowly(t);
}

void kv_read_end (kv_txn *t) {
  if (lode_unlikely(t->env->left)) {
    kv_forget(t);
    return;
  }
  mdb_txn_reset(t->txn);
  t->txn = NULL;
  gate_leave(&t->env->gate);
}

uint64_t kv_read_number (const kv_txn *t) {
  return t->idle != NULL ? mdb_txn_id(t->idle) : 0;
}

/* }================================================================== */

/* {==================================================================
** Entries
** =================================================================== */

lode_status kv_get (kv_txn *t, kv_db db, lode_slice key, lode_slice *value) {
  MDB_val k = val_of(key), v;
  int rc;
  if (lode_unlikely(t->failed_depth != 0))
    return kv_usable(t);
  rc = mdb_get(t->txn, db, &k, &v);
  if (rc == 0)
    *value = slice_of_val(&v);
  else if (rc == MDB_NOTFOUND || rc == EINVAL || rc == MDB_BAD_DBI)
    return LODE_ABSENT; /* a database made after this snapshot is empty */
  else
    return txn_failure(t, rc);
  return LODE_OK;
}

lode_status kv_db_remove (kv_txn *t, lode_slice name) {
  kv_env *env = t->env;
  kv_open_db *entry;
  lode_status st = LODE_OK;
  kv_db db;
  if (env->left)
    return kv_left_behind(env, t->error);
  pthread_mutex_lock(&env->dbs_mutex);
  entry = dbs_find(env, name, &db);
  if (entry != NULL && entry->uses > 0)
    st = fail(t->error, LODE_BUSY, "%s: %.*s is still open in this process; "
              "close its handles first", env->name, (int)name.size,
              (const char *)name.data);
  else {
    st = kv_write_remove(t, name);
    if (st == LODE_OK && entry != NULL) { /* LMDB has closed it, too */
      lode_free((void *)entry->name.data);
      memset(entry, 0, sizeof *entry);
      env->used_dbs--;
    }
  }
  pthread_mutex_unlock(&env->dbs_mutex);
  return st;
}

lode_status kv_db_measure (kv_txn *t, kv_db db, kv_db_stats *stats) {
  MDB_stat s;
  int rc;
  if (lode_unlikely(t->failed_depth != 0))
    return kv_usable(t);
  rc = mdb_stat(t->txn, db, &s);
  if (rc == EINVAL)
    memset(&s, 0, sizeof s);
  else if (rc != 0)
    return txn_failure(t, rc);
  stats->entries = s.ms_entries;
  stats->branch_pages = s.ms_branch_pages;
  stats->leaf_pages = s.ms_leaf_pages;
  stats->overflow_pages = s.ms_overflow_pages;
  stats->page_size = s.ms_psize;
  stats->depth = s.ms_depth;
  return LODE_OK;
}

lode_status kv_cursor_open (kv_txn *t, kv_db db, kv_cursor **c) {
  int rc;
  if (lode_unlikely(t->failed_depth != 0))
    return kv_usable(t);
  rc = mdb_cursor_open(t->txn, db, c);
  if (rc == EINVAL)
    return LODE_ABSENT;
  return rc == 0 ? LODE_OK : txn_failure(t, rc);
}

void kv_cursor_close (kv_cursor *c) { mdb_cursor_close(c); }

static lode_status cursor_result (kv_txn *t, int rc, MDB_val *k, MDB_val *v,
                                  lode_slice *key, lode_slice *value) {
  if (rc == MDB_NOTFOUND)
    return LODE_ABSENT;
  if (rc != 0)
    return txn_failure(t, rc);
  *key = slice_of_val(k);
  *value = slice_of_val(v);
  return LODE_OK;
}

lode_status kv_cursor_seek (kv_txn *t, kv_cursor *c, lode_slice at,
                            lode_slice *key, lode_slice *value) {
  MDB_val k = val_of(at), v;
  int rc;
  if (lode_unlikely(t->failed_depth != 0))
    return kv_usable(t);
  rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
  return cursor_result(t, rc, &k, &v, key, value);
}

lode_status kv_cursor_move (kv_txn *t, kv_cursor *c, kv_move move,
                            lode_slice *key, lode_slice *value) {
  static const MDB_cursor_op ops[] = { MDB_FIRST, MDB_LAST, MDB_NEXT,
                                       MDB_PREV };
  MDB_val k, v;
  int rc;
  if (lode_unlikely(t->failed_depth != 0))
    return kv_usable(t);
  rc = mdb_cursor_get(c, &k, &v, ops[move]);
  return cursor_result(t, rc, &k, &v, key, value);
}

/* }================================================================== */
