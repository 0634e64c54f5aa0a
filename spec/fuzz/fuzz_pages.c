/*
** fuzz_pages.c - any changes to a data file: the check ends, and what it
** finds whole LMDB can read and write, and salvage makes a whole store of.
**
** The input is no file, but what happens to one that this program makes: so
** the corpus is small, and most of each file stays sound.
**
**   input := change*
**   change := kind (1) page (1) place (2) and
**     0, 1  size (1, of which 15 count) bytes    written at place
**     2     value (2)                            written at place
**     3     page (1)                             copied to the page
**     4     page (1)                             the two change places
**     5     node (1) value (2)                   a field of a node
**     6     value (8)                            a field of a meta page
**     7                                          the file ends there
*/
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bytes.h"

#define PAGE 4096
#define PAGES_MOST 64

static unsigned char base[PAGES_MOST * PAGE], now[PAGES_MOST * PAGE];
static size_t base_size, now_size;
static char dir[64], path[96];

static void must (bool holds, const char *what) {
  if (holds)
    return;
  fprintf(stderr, "fuzz_pages: %s\n", what);
  abort();
}

/* {==================================================================
** The file
** =================================================================== */

static void end (void) {
  char command[100];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  if (system(command) != 0)
    _exit(1);
}

/* Databases of each shape, with few and with many entries. */
static void fill_shapes (void) {
  static const unsigned shapes[] = { 0, MDB_INTEGERKEY, MDB_DUPSORT,
                                     MDB_DUPSORT | MDB_DUPFIXED };
  MDB_env *env;
  MDB_txn *txn;
  must(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 20) == 0 &&
       mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOSYNC, 0600) == 0 &&
       mdb_txn_begin(env, NULL, 0, &txn) == 0, "no environment");
  for (size_t d = 0; d < sizeof shapes / sizeof *shapes; d++) {
    char name[8];
    MDB_dbi dbi;
    snprintf(name, sizeof name, "db%zu", d);
    must(mdb_dbi_open(txn, name, shapes[d] | MDB_CREATE, &dbi) == 0, "dbi");
    for (uint64_t i = 0; i < 120; i++) {
      uint64_t key = d < 2 ? i : i % 3, value[8] = { i };
      MDB_val k = { 8, &key }, v = { 8, value };
      if (d < 2)
        v.mv_size = 64;
      must(mdb_put(txn, dbi, &k, &v, 0) == 0, "put");
    }
  }
  must(mdb_txn_commit(txn) == 0, "commit");
  mdb_env_close(env);
}

static void fill_dict (void) {
  lode_options o;
  lode_store *s;
  lode_coll *c;
  lode_coll_options none = { .raw = false };
  lode_buffer b = { NULL, 0, 0 };
  lode_error e;
  lode_key key;
  lode_options_init(&o);
  o.single_file = true;
  o.durability = LODE_OS;
  must(lode_open(path, &o, &s, &e) == LODE_OK &&
       lode_coll_open(s, slice_of("d", 1), LODE_DICT, &none, &c) == LODE_OK,
       "no store");
  for (int64_t i = 0; i < 60; i++) {
    lode_value v = { slice_of(base, (size_t)(i * i)), LODE_BYTES };
    b.size = 0;
    lode_key_integer(&b, i % 40);
    lode_key_of(c, slice_of_buffer(&b), slice_of(NULL, 0), &key);
    must(lode_put(c, &key, v, LODE_PUT, i % 3 ? LODE_TTL_OWN : 1000000000) ==
         LODE_OK, "no entry");
  }
  lode_buffer_free(&b);
  lode_coll_close(c);
  must(lode_close(s, &e) == LODE_OK, "not closed");
}

static void begin (void) {
  int fd;
  ssize_t n;
  struct stat st;
  snprintf(dir, sizeof dir, "%s/lode-fuzz-XXXXXX",
           stat("/dev/shm", &st) == 0 ? "/dev/shm" : "/tmp");
  must(mkdtemp(dir) != NULL, "no directory");
  atexit(end);
  snprintf(path, sizeof path, "%s/data", dir);
  fill_dict();
  fill_shapes();
  fd = open(path, O_RDONLY);
  n = read(fd, base, sizeof base);
  must(n > 0 && n % PAGE == 0, "a wrong size");
  base_size = (size_t)n;
  close(fd);
}

/* }================================================================== */

/* {==================================================================
** Changes
** =================================================================== */

static bool take (lode_slice *in, void *out, size_t size) {
  memset(out, 0, size);
  if (in->size < size)
    return false;
  memcpy(out, in->data, size);
  *in = slice_of(in->data + size, in->size - size);
  return true;
}

static void set (size_t page, size_t at, const void *bytes, size_t size) {
  at %= PAGE;
  if (size > PAGE - at)
    size = PAGE - at;
  memcpy(now + page * PAGE + at, bytes, size);
}

/* Where node `n` of a page stands; 0: it has none. */
static size_t node_at (size_t page, size_t n) {
  const unsigned char *p = now + page * PAGE;
  uint16_t lower, at;
  memcpy(&lower, p + 12, 2);
  if (lower < 18 || lower > PAGE)
    return 0;
  memcpy(&at, p + 16 + 2 * (n % ((lower - 16u) / 2)), 2);
  return at;
}

static bool change (lode_slice *in) {
  unsigned char head[4], bytes[16], room[PAGE];
  size_t pages = base_size / PAGE, page, at, other;
  if (!take(in, head, sizeof head))
    return false;
  page = head[1] % pages;
  at = (size_t)head[2] | (size_t)head[3] << 8;
  switch (head[0] % 8) {
    case 0: case 1:
      if (take(in, bytes, 1)) {
        size_t size = bytes[0] % 16;
        if (take(in, bytes, size))
          set(page, at, bytes, size);
      }
      break;
    case 2:
      if (take(in, bytes, 2))
        set(page, at % 20, bytes, 2);
      break;
    case 3: case 4:
      take(in, bytes, 1);
      other = bytes[0] % pages;
      memcpy(room, now + page * PAGE, PAGE);
      memcpy(now + page * PAGE, now + other * PAGE, PAGE);
      if (head[0] % 8 == 4)
        memcpy(now + other * PAGE, room, PAGE);
      else
        memcpy(now + page * PAGE, room, 8); /* its own number */
      break;
    case 5:
      if (take(in, bytes, 3) && node_at(page, bytes[0]) != 0)
        set(page, node_at(page, bytes[0]) + at % 64, bytes + 1, 2);
      break;
    case 6:
      if (take(in, bytes, 8))
        set(page % 2, 16 + 8 * (at % 17), bytes, 8);
      break;
    default:
      now_size = page * PAGE + (at & 1);
  }
  return true;
}

/* }================================================================== */

/* {==================================================================
** What must hold
** =================================================================== */

/* Reads all entries of a database. */
static void read_db (MDB_txn *txn, MDB_dbi dbi) {
  volatile unsigned char sum = 0;
  MDB_cursor *c;
  MDB_val k, v;
  must(mdb_cursor_open(txn, dbi, &c) == 0, "no cursor");
  while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0)
    sum = (unsigned char)(sum + *(unsigned char *)k.mv_data +
                          (v.mv_size > 0 ? *(unsigned char *)v.mv_data : 0));
  mdb_cursor_close(c);
}

static void read_all (MDB_txn *txn) {
  MDB_dbi main_dbi, dbi;
  MDB_cursor *c;
  MDB_val k, v;
  must(mdb_dbi_open(txn, NULL, 0, &main_dbi) == 0, "no main database");
  must(mdb_cursor_open(txn, main_dbi, &c) == 0, "no cursor");
  while (mdb_cursor_get(c, &k, &v, MDB_NEXT_NODUP) == 0) {
    char name[512];
    memcpy(name, k.mv_data, k.mv_size);
    name[k.mv_size] = '\0';
    if (mdb_dbi_open(txn, name, 0, &dbi) == 0)
      read_db(txn, dbi);
  }
  mdb_cursor_close(c);
}

/* LMDB reads it and writes to it. */
static void use (void) {
  MDB_env *env;
  MDB_txn *txn;
  MDB_dbi dbi;
  if (mdb_env_create(&env) != 0)
    return;
  mdb_env_set_maxdbs(env, 40);
  mdb_env_set_mapsize(env, (size_t)1 << 24);
  must(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOLOCK |
                    MDB_NOTLS, 0600) == 0, "LMDB doesn't open it");
  must(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0, "no reader");
  read_all(txn);
  mdb_txn_abort(txn);
  must(mdb_txn_begin(env, NULL, 0, &txn) == 0, "no writer");
  if (mdb_dbi_open(txn, "new", MDB_CREATE, &dbi) == 0)
    for (uint64_t i = 0; i < 40; i++) {
      MDB_val k = { 8, &i }, v = { 100 + 300 * (i % 20), base };
      if (mdb_put(txn, dbi, &k, &v, 0) != 0)
        break;
    }
  if (mdb_txn_commit(txn) != 0)
    fprintf(stderr, "fuzz_pages: not committed\n");
  mdb_env_close(env);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  lode_slice in = slice_of(data, size);
  lode_check_report r = { .ok = false };
  lode_error e;
  lode_status st;
  int fd;
  if (base_size == 0)
    begin();
  memcpy(now, base, base_size);
  now_size = base_size;
  for (int i = 0; i < 8 && change(&in); i++) { /* each change is one */ }
  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  must(fd >= 0 && write(fd, now, now_size) == (ssize_t)now_size, "no file");
  close(fd);
  st = lode_check_file(path, NULL, &r, &e);
  must(st == LODE_OK || st == LODE_NOT_A_STORE || st == LODE_INCOMPATIBLE,
       "the check fails");
  if (st == LODE_OK && r.ok)
    use();
  return 0;
}

/* }================================================================== */
