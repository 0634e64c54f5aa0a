/*
** raw.c - the benchmark's other side: LMDB used from C, as a C programmer
** would who knows it: one named database, one environment, no checksum, no
** envelope, transactions renewed and not begun anew.
**
**   raw JOB DIRECTORY N [OPS]
**
** runs one job over N entries and prints nanoseconds per operation. Without
** OPS it warms up and goes on for 0.3 s at least; with OPS it does just so
** many operations, for counting instructions; a load is done once.
*/
#define _POSIX_C_SOURCE 200809L
#include <lmdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entries.h"

#define MAP_SIZE ((size_t)8 << 30)
#define STEP 1000       /* operations between two looks at the clock */
#define LONG_ENOUGH 0.3 /* seconds */

typedef struct bench {
  const char *path;
  size_t n;
  char *keys;   /* n of them, in the order of their visit */
  char *values; /* VALUES of them */
  MDB_env *env;
  MDB_dbi db, other; /* `other`: the second set of a merge */
  MDB_txn *reader;   /* reset between operations */
} bench;

typedef struct job {
  const char *name;
  void (*prepare) (bench *b); /* before each step, not timed; or null */
  size_t (*step) (bench *b, size_t at); /* gives operations done */
  void (*make_key) (bench *b, char *key, size_t at);
  bool once;
} job;

/* {==================================================================
** LMDB, every failure the end
** =================================================================== */

static _Noreturn void die (const char *what, const char *why) {
  fprintf(stderr, "raw: %s: %s\n", what, why);
  exit(1);
}

static void check (int rc, const char *what) {
  if (rc != 0) die(what, mdb_strerror(rc));
}

static void *allocate (size_t size) {
  void *p = malloc(size);
  if (p == NULL) die("malloc", "out of memory");
  return p;
}

static void open_database (bench *b) {
  MDB_txn *txn;
  mkdir(b->path, 0700); /* it may be there; mdb_env_open says if it isn't */
  check(mdb_env_create(&b->env), "create");
  check(mdb_env_set_mapsize(b->env, MAP_SIZE), "mapsize");
  check(mdb_env_set_maxdbs(b->env, 4), "maxdbs");
  check(mdb_env_open(b->env, b->path, MDB_NOTLS | MDB_NOSYNC, 0600), "open");
  check(mdb_txn_begin(b->env, NULL, 0, &txn), "begin");
  check(mdb_dbi_open(txn, "d", MDB_CREATE, &b->db), "dbi_open");
  check(mdb_dbi_open(txn, "e", MDB_CREATE, &b->other), "dbi_open");
  check(mdb_txn_commit(txn), "commit");
  check(mdb_txn_begin(b->env, NULL, MDB_RDONLY, &b->reader), "begin");
  mdb_txn_reset(b->reader);
}

static void close_database (bench *b) {
  mdb_txn_abort(b->reader);
  mdb_env_close(b->env);
}

static MDB_txn *begin (bench *b) {
  MDB_txn *txn;
  check(mdb_txn_begin(b->env, NULL, 0, &txn), "begin");
  return txn;
}

static MDB_val key_at (bench *b, size_t at) {
  return (MDB_val){KEY_SIZE, b->keys + at * KEY_SIZE};
}

static MDB_val value_at (bench *b, size_t at) {
  return (MDB_val){VALUE_SIZE, b->values + at % VALUES * VALUE_SIZE};
}

/* }================================================================== */

/* {==================================================================
** Jobs
** =================================================================== */

/* Gets STEP keys, each in a renewed transaction; `expected` of them all. */
static size_t get_step (bench *b, size_t at, int expected) {
  for (size_t end = at + STEP; at < end; at++) {
    MDB_val key = key_at(b, at), value;
    check(mdb_txn_renew(b->reader), "renew");
    if (mdb_get(b->reader, b->db, &key, &value) != expected)
      die("get", "a key was not as expected");
    mdb_txn_reset(b->reader);
  }
  return STEP;
}

static size_t present_step (bench *b, size_t at) {
  return get_step(b, at, 0);
}

static size_t absent_step (bench *b, size_t at) {
  return get_step(b, at, MDB_NOTFOUND);
}

static size_t walk_step (bench *b, size_t at) {
  MDB_cursor *cursor;
  MDB_val key, value;
  size_t seen = 0;
  (void)at;
  check(mdb_txn_renew(b->reader), "renew");
  check(mdb_cursor_open(b->reader, b->db, &cursor), "cursor");
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
    seen++;
  mdb_cursor_close(cursor);
  mdb_txn_reset(b->reader);
  if (seen != b->n) die("walk", "it missed entries");
  return seen;
}

static size_t put_step (bench *b, size_t at) {
  for (size_t end = at + STEP; at < end; at++) {
    MDB_val key = key_at(b, at), value = value_at(b, at);
    MDB_txn *txn = begin(b);
    check(mdb_put(txn, b->db, &key, &value, 0), "put");
    check(mdb_txn_commit(txn), "commit");
  }
  return STEP;
}

/* Puts `count` entries in one transaction; `small`: the small table. */
static size_t put_many (bench *b, size_t at, size_t count, bool small) {
  MDB_val table = {sizeof(SMALL_TABLE) - 1, SMALL_TABLE};
  MDB_txn *txn = begin(b);
  for (size_t end = at + count; at < end; at++) {
    MDB_val key = key_at(b, at), value = small ? table : value_at(b, at);
    check(mdb_put(txn, b->db, &key, &value, 0), "put");
  }
  check(mdb_txn_commit(txn), "commit");
  return count;
}

static size_t batch_step (bench *b, size_t at) {
  return put_many(b, at, STEP, false);
}

/* The loads take one transaction: what follows finds no free pages. */
static size_t load_step (bench *b, size_t at) {
  return put_many(b, at, b->n, false);
}

static size_t load_tables_step (bench *b, size_t at) {
  return put_many(b, at, b->n, true);
}

/* Two sets of n members, half of each in both. */
static size_t load_sets_step (bench *b, size_t at) {
  MDB_txn *txn = begin(b);
  MDB_val none = {0, NULL};
  for (at = 0; at < b->n; at++) {
    char name[KEY_SIZE];
    MDB_val key = {KEY_SIZE, name};
    entry_key(name, 0, at);
    check(mdb_put(txn, b->db, &key, &none, 0), "put");
    entry_key(name, 0, at + b->n / 2);
    check(mdb_put(txn, b->other, &key, &none, 0), "put");
  }
  check(mdb_txn_commit(txn), "commit");
  return b->n;
}

/* A new file, so that no load finds free pages. */
static void remove_database (bench *b) {
  char name[4096];
  close_database(b);
  snprintf(name, sizeof name, "%s/data.mdb", b->path);
  unlink(name);
  snprintf(name, sizeof name, "%s/lock.mdb", b->path);
  unlink(name);
  open_database(b);
}

static size_t append_step (bench *b, size_t at) {
  MDB_txn *txn = begin(b);
  MDB_cursor *cursor;
  check(mdb_cursor_open(txn, b->db, &cursor), "cursor");
  for (at = 0; at < b->n; at++) {
    MDB_val key = key_at(b, at), value = value_at(b, at);
    check(mdb_cursor_put(cursor, &key, &value, MDB_APPEND), "append");
  }
  mdb_cursor_close(cursor);
  check(mdb_txn_commit(txn), "commit");
  return b->n;
}

/* Counts what both sets hold; an operation is a member of either read. */
static size_t merge_step (bench *b, size_t at) {
  MDB_cursor *left, *right;
  MDB_val l, r, value;
  size_t both = 0;
  (void)at;
  check(mdb_txn_renew(b->reader), "renew");
  check(mdb_cursor_open(b->reader, b->db, &left), "cursor");
  check(mdb_cursor_open(b->reader, b->other, &right), "cursor");
  int lrc = mdb_cursor_get(left, &l, &value, MDB_FIRST);
  int rrc = mdb_cursor_get(right, &r, &value, MDB_FIRST);
  while (lrc == 0 && rrc == 0) {
    int order = memcmp(l.mv_data, r.mv_data, KEY_SIZE);
    both += order == 0;
    if (order <= 0) lrc = mdb_cursor_get(left, &l, &value, MDB_NEXT);
    if (order >= 0) rrc = mdb_cursor_get(right, &r, &value, MDB_NEXT);
  }
  mdb_cursor_close(left);
  mdb_cursor_close(right);
  mdb_txn_reset(b->reader);
  if (both != b->n / 2) die("merge", "it miscounted");
  return 2 * b->n;
}

static void key_visited (bench *b, char *key, size_t at) {
  entry_key(key, 0, entry_visit(at, b->n));
}

static void key_absent (bench *b, char *key, size_t at) {
  (void)b;
  entry_key(key, 1, at);
}

static void key_loaded (bench *b, char *key, size_t at) {
  (void)b;
  entry_key(key, 0, at);
}

static void key_ascending (bench *b, char *key, size_t at) {
  (void)b;
  entry_ascending(key, at);
}

static const job jobs[] = {
  {"load", NULL, load_step, key_loaded, true},
  {"load_ascending", NULL, append_step, key_ascending, true},
  {"load_tables", NULL, load_tables_step, key_loaded, true},
  {"load_sets", NULL, load_sets_step, key_loaded, true},
  {"get", NULL, present_step, key_visited, false},
  {"absent", NULL, absent_step, key_absent, false},
  {"walk", NULL, walk_step, key_loaded, false},
  {"put", NULL, put_step, key_visited, false},
  {"batch", NULL, batch_step, key_visited, false},
  {"append", remove_database, append_step, key_ascending, false},
  {"merge", NULL, merge_step, key_loaded, false},
};

/* }================================================================== */

static void make_entries (bench *b, const job *j) {
  b->keys = allocate(b->n * KEY_SIZE);
  for (size_t at = 0; at < b->n; at++)
    j->make_key(b, b->keys + at * KEY_SIZE, at);
  b->values = allocate(VALUES * VALUE_SIZE);
  for (size_t i = 0; i < VALUES; i++)
    entry_value(b->values + i * VALUE_SIZE, i);
}

/* Touches the pages of the file, so that no step pays for mapping them. */
static void warm_up (bench *b) {
  MDB_cursor *cursor;
  MDB_val key, value;
  check(mdb_txn_renew(b->reader), "renew");
  check(mdb_cursor_open(b->reader, b->db, &cursor), "cursor");
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
    continue;
  mdb_cursor_close(cursor);
  mdb_txn_reset(b->reader);
}

/* Runs `ops` operations, or if 0 as many as make the time long enough. */
static void run (bench *b, const job *j, size_t ops) {
  size_t done = 0;
  double spent = 0;
  if (ops == 0) warm_up(b);
  do {
    if (j->prepare != NULL) j->prepare(b);
    double start = entry_clock();
    done += j->step(b, done % b->n);
    spent += entry_clock() - start;
  } while (!j->once && (ops != 0 ? done < ops : spent < LONG_ENOUGH));
  printf("%.3f\n", spent * 1e9 / (double)done);
}

int main (int argc, char **argv) {
  bench b = {0};
  if (argc < 4 || (b.n = strtoul(argv[3], NULL, 10)) % STEP != 0 || b.n == 0)
    die("usage", "raw JOB DIRECTORY N [OPS], N in thousands");
  b.path = argv[2];
  for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
    if (strcmp(jobs[i].name, argv[1]) == 0) {
      make_entries(&b, &jobs[i]);
      open_database(&b);
      run(&b, &jobs[i], argc > 4 ? strtoul(argv[4], NULL, 10) : 0);
      close_database(&b);
      free(b.keys);
      free(b.values);
      return 0;
    }
  die(argv[1], "no such job");
}
