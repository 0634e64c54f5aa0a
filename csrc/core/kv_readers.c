/*
** kv_readers.c - who reads, and what there is. See kv.h.
**
** A reader keeps the pages of its moment from being used again, so a file
** grows under one that stays. LMDB's table has every reader of every
** process: it tells the oldest. Those of processes that have died stay in it
** until somebody looks; that is done at the opening, when the table is full,
** and now and then.
*/
#define KV_ROOM
#include "kv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "check.h"

#define CLEAR 2000 /* ms between two looks for readers that have died */

uint64_t kv_now (void) {
  struct timespec t;
#ifdef CLOCK_MONOTONIC_COARSE
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
#else
  clock_gettime(CLOCK_MONOTONIC, &t);
#endif
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void kv_readers_clear (kv_env *env, uint64_t now) {
  if (env->left || now - atomic_load(&env->cleared) < CLEAR)
    return;
  atomic_store(&env->cleared, now);
  mdb_reader_check(env->mdb, NULL);
}

/* {==================================================================
** Moments that this process has pinned
** =================================================================== */

lode_status kv_pin (kv_txn *t) {
  kv_env *env = t->env;
  lode_status st = kv_read_begin(t);
  if (st != LODE_OK)
    return st;
  t->since = kv_now();
  pthread_mutex_lock(&env->pins_mutex);
  t->next_pin = env->pins;
  t->pin_link = &env->pins;
  if (t->next_pin != NULL)
    t->next_pin->pin_link = &t->next_pin;
  env->pins = t;
  pthread_mutex_unlock(&env->pins_mutex);
  return LODE_OK;
}

void kv_unpin (kv_txn *t) {
  kv_env *env = t->env;
  if (t->pin_link != NULL && !env->left) {
    pthread_mutex_lock(&env->pins_mutex);
    *t->pin_link = t->next_pin;
    if (t->next_pin != NULL)
      t->next_pin->pin_link = t->pin_link;
    pthread_mutex_unlock(&env->pins_mutex);
  }
  t->pin_link = NULL;
  if (t->txn != NULL)
    kv_read_end(t);
}

/* When this moment was pinned here; 0: it was not. */
static uint64_t pinned_since (kv_env *env, uint64_t number) {
  uint64_t since = 0;
  pthread_mutex_lock(&env->pins_mutex);
  for (const kv_txn *t = env->pins; t != NULL; t = t->next_pin)
    if (mdb_txn_id(t->txn) == number && (since == 0 || t->since < since))
      since = t->since;
  pthread_mutex_unlock(&env->pins_mutex);
  return since;
}

/* }================================================================== */

/* {==================================================================
** Figures
** =================================================================== */

typedef struct table { /* what mdb_reader_list shows */
  unsigned readers;
  uint64_t oldest; /* UINT64_MAX: nobody reads */
  int process;     /* who reads that */
} table;

/* One line of it: process, thread, commit or "-"; or another text. */
static int read_line (const char *line, void *data) {
  table *t = data;
  char *rest;
  long process = strtol(line, &rest, 10);
  uint64_t number;
  if (rest == line || process <= 0)
    return 0;
  t->readers++;
  strtoull(rest, &rest, 16);
  rest += strspn(rest, " ");
  if (*rest == '-')
    return 0;
  number = strtoull(rest, NULL, 10);
  if (number < t->oldest) {
    t->oldest = number;
    t->process = (int)process;
  }
  return 0;
}

/*
** The tree of free pages, which LMDB shows to readers alone: so a writer
** gets what was free at the last commit.
*/
static int count_free (const kv_txn *t, uint64_t *n) {
  MDB_txn *txn = t->txn, *own = NULL;
  MDB_cursor *c;
  MDB_val k, v;
  int rc = 0;
  *n = 0;
  if (t->depth > 0) {
    rc = mdb_txn_begin(t->env->mdb, NULL, MDB_RDONLY, &own);
    txn = own;
  }
  if (rc == 0)
    rc = mdb_cursor_open(txn, 0, &c);
  if (rc == 0) {
    while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
      size_t pages;
      if (v.mv_size >= sizeof pages) {
        memcpy(&pages, v.mv_data, sizeof pages);
        *n += pages;
      }
    }
    mdb_cursor_close(c);
  }
  if (own != NULL)
    mdb_txn_abort(own);
  return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The readers, as far as they read an older commit than the last. */
static void measure_readers (kv_env *env, uint64_t last,
                             kv_figures *figures) {
  table t = { 0, UINT64_MAX, 0 };
  uint64_t since = 0;
  mdb_reader_list(env->mdb, read_line, &t);
  figures->readers = t.readers; /* not me_numreaders: it never goes down */
  figures->oldest_age = figures->oldest_ms = 0;
  figures->oldest_process = 0;
  if (t.oldest >= last)
    return;
  figures->oldest_age = last - t.oldest;
  figures->oldest_process = t.process;
  if (t.process == (int)env->writer.process)
    since = pinned_since(env, t.oldest);
  if (since != 0)
    figures->oldest_ms = kv_now() - since;
}

lode_status kv_measure (kv_txn *t, kv_figures *figures) {
  kv_env *env = t->env;
  mdb_filehandle_t fd;
  MDB_envinfo info;
  MDB_stat stat_main;
  struct stat st;
  int rc = mdb_env_get_fd(env->mdb, &fd);
  if (rc == 0 && fstat(fd, &st) != 0)
    rc = errno;
  if (rc == 0)
    rc = mdb_env_info(env->mdb, &info);
  if (rc == 0)
    rc = mdb_env_stat(env->mdb, &stat_main);
  if (rc == 0)
    rc = count_free(t, &figures->free_pages);
  if (rc != 0)
    return kv_failure(t->error, rc, env->name);
  figures->file_size = (uint64_t)st.st_size;
  figures->map_size = info.me_mapsize;
  figures->max_size = env->max_size;
  figures->page_size = stat_main.ms_psize;
  figures->pages = info.me_last_pgno + 1;
  measure_readers(env, info.me_last_txnid, figures);
  figures->max_readers = info.me_maxreaders;
  figures->handles = env->handles;
  return LODE_OK;
}

/* }================================================================== */
