/*
** test_repair.c - what a check mends where it stands, and what a salvage
** makes of files that are past that.
*/
#include <fcntl.h>
#include <lmdb.h>

#include "scratch.h"

#include "core/hash.h"
#include "core/record.h"

#define PAGE 4096
#define MANY 3000

static char last_problem[700], last_mended[700];
static long problems, mended;

static void hear (void *data, const char *text) {
  (void)data;
  problems++;
  snprintf(last_problem, sizeof last_problem, "%s", text);
}

static void hear_mended (void *data, const char *text) {
  (void)data;
  mended++;
  snprintf(last_mended, sizeof last_mended, "%s", text);
}

static const lode_check_options plainly = { .problem = hear };
static const lode_check_options mending = {
  .problem = hear, .mended = hear_mended, .repair = true
};

static lode_store *open_os (const char *name) {
  lode_options o;
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.maintenance = LODE_OFF;
  o.map_size = (uint64_t)1 << 27;
  return scratch_open(name, &o);
}

/* A value that tells which key it belongs to. */
static lode_slice value_of (int64_t i) {
  static unsigned char bytes[300];
  memset(bytes, 'a' + (int)(i % 26), sizeof bytes);
  memcpy(bytes, &i, sizeof i);
  return slice_of(bytes, 20 + (size_t)(i * 7 % 200));
}

static void put_long (lode_coll *c, int n) {
  unsigned char text[600];
  lode_buffer b = { NULL, 0, 0 };
  for (int i = 0; i < n; i++) {
    lode_value v = { slice_of(&i, sizeof i), LODE_BYTES };
    lode_key key;
    memset(text, 'k', sizeof text);
    memcpy(text + 580, &i, sizeof i);
    b.size = 0;
    lode_key_string(&b, text, sizeof text);
    lode_key_of(c, slice_of_buffer(&b), slice_of(NULL, 0), &key);
    expect(lode_put(c, &key, v, LODE_PUT, LODE_TTL_OWN) == LODE_OK);
  }
  lode_buffer_free(&b);
}

static void put_mortal (lode_coll *c, int64_t from, int n) {
  lode_buffer b = { NULL, 0, 0 };
  for (int64_t i = from; i < from + n; i++) {
    lode_value v = { value_of(i), LODE_BYTES };
    lode_key key;
    key_of_integer(c, i, &b, &key);
    expect(lode_put(c, &key, v, LODE_PUT, 1000000000) == LODE_OK);
  }
  lode_buffer_free(&b);
}

/* A store with some of everything. */
static void make (const char *name) {
  lode_store *s = open_os(name);
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_coll_options capped = { .max_entries = 100, .max_bytes = 100000 };
  expect(lode_begin(s) == LODE_OK);
  for (int64_t i = 0; i < MANY; i++)
    expect(put_integer(c, i * 7919 % MANY, value_of(i * 7919 % MANY)) ==
           LODE_OK);
  put_long(c, 20);
  put_mortal(c, 100000, 50);
  expect(lode_commit(s) == LODE_OK);
  lode_coll_close(c);
  c = scratch_coll(s, "s", LODE_SET);
  for (int64_t i = 0; i < 100; i++) {
    lode_value none = { { NULL, 0 }, LODE_NOTHING };
    lode_buffer b = { NULL, 0, 0 };
    lode_key key;
    key_of_integer(c, i, &b, &key);
    expect(lode_put(c, &key, none, LODE_PUT, LODE_TTL_OWN) == LODE_OK);
    lode_buffer_free(&b);
  }
  lode_coll_close(c);
  expect(lode_coll_open(s, test_text("capped"), LODE_DICT, &capped, &c) ==
         LODE_OK);
  for (int64_t i = 0; i < 300; i++)
    put_integer(c, i, value_of(i));
  lode_coll_close(c);
  scratch_close(s);
}

/* {==================================================================
** Mending
** =================================================================== */

typedef void damage_fn (MDB_txn *txn);

static MDB_dbi named (MDB_txn *txn, const char *name) {
  MDB_dbi dbi = 0;
  expect(mdb_dbi_open(txn, name, 0, &dbi) == 0);
  return dbi;
}

/* Changes a store behind lode's back. */
static void harm (const char *name, damage_fn *damage) {
  MDB_env *env = NULL;
  MDB_txn *txn = NULL;
  expect(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 20) == 0 &&
         mdb_env_set_mapsize(env, (size_t)1 << 27) == 0 &&
         mdb_env_open(env, scratch_path(name), MDB_NOSYNC, 0600) == 0 &&
         mdb_txn_begin(env, NULL, 0, &txn) == 0);
  damage(txn);
  expect(mdb_txn_commit(txn) == 0);
  mdb_env_close(env);
}

static void lose_calls (MDB_txn *txn) {
  MDB_dbi due = named(txn, "d#1.due");
  MDB_cursor *c;
  MDB_val k, v;
  expect(mdb_cursor_open(txn, due, &c) == 0 &&
         mdb_cursor_get(c, &k, &v, MDB_FIRST) == 0 &&
         mdb_cursor_del(c, 0) == 0 &&
         mdb_cursor_get(c, &k, &v, MDB_LAST) == 0 &&
         mdb_cursor_del(c, 0) == 0);
  mdb_cursor_close(c);
}

static void add_calls (MDB_txn *txn) {
  MDB_val k = { 20, "\0\0\0\0\0\0\0\1\5\xC0\0\0\0\0\0\0\0\0\0\0" };
  MDB_val v = { 0, "" };
  expect(mdb_put(txn, named(txn, "d#1.due"), &k, &v, 0) == 0);
}

static void lose_generation (MDB_txn *txn) {
  MDB_val k = { 2, "\0g" };
  expect(mdb_del(txn, named(txn, NULL), &k, NULL) == 0);
}

static void lose_name (MDB_txn *txn) {
  MDB_val k = { 2, "nd" };
  expect(mdb_del(txn, named(txn, "lode"), &k, NULL) == 0);
}

static void damage_name (MDB_txn *txn) {
  MDB_val k = { 2, "nd" }, v = { 8, "\0\0\0\1abcd" };
  expect(mdb_put(txn, named(txn, "lode"), &k, &v, 0) == 0);
}

static void wrong_count (MDB_txn *txn) {
  MDB_val k = { 5, "x\0\0\0\1" }, v = { 8, "\0\0\0\1abcd" };
  expect(mdb_put(txn, named(txn, "lode"), &k, &v, 0) == 0);
}

static void lose_tree (MDB_txn *txn) {
  expect(mdb_drop(txn, named(txn, "s#2"), 1) == 0);
}

/* Bytes of a record of an entry of "d" that is no long one. */
static void damage_record (MDB_txn *txn) {
  MDB_dbi d = named(txn, "d#1");
  unsigned char bytes[512];
  MDB_cursor *c;
  MDB_val k, v;
  expect(mdb_cursor_open(txn, d, &c) == 0 &&
         mdb_cursor_get(c, &k, &v, MDB_FIRST) == 0);
  memcpy(bytes, v.mv_data, v.mv_size);
  bytes[v.mv_size - 1] ^= 4;
  v.mv_data = bytes;
  expect(mdb_cursor_put(c, &k, &v, MDB_CURRENT) == 0);
  mdb_cursor_close(c);
}

static void damage_bucket (MDB_txn *txn) {
  MDB_dbi d = named(txn, "d#1");
  unsigned char bytes[2000];
  MDB_cursor *c;
  MDB_val k, v;
  expect(mdb_cursor_open(txn, d, &c) == 0 &&
         mdb_cursor_get(c, &k, &v, MDB_LAST) == 0);
  expect(k.mv_size == LODE_KEY_ROOM);
  memcpy(bytes, v.mv_data, v.mv_size);
  bytes[v.mv_size - 1] ^= 4;
  v.mv_data = bytes;
  expect(mdb_cursor_put(c, &k, &v, MDB_CURRENT) == 0);
  mdb_cursor_close(c);
}

/* Damage is found, mended, and mended for good. */
static void mend_one (const char *name, damage_fn *damage,
                      uint64_t dropped, uint64_t left) {
  lode_check_report r = { .ok = true };
  lode_error e;
  lode_store *s;
  lode_coll *c;
  make(name);
  harm(name, damage);
  problems = mended = 0;
  expect(lode_check_file(scratch_path(name), &plainly, &r, &e) == LODE_OK &&
         !r.ok && problems > 0);
  s = open_os(name);
  problems = 0;
  expect(lode_check(s, &mending, &r) == LODE_OK);
  if (!expect(r.ok && problems == 0))
    printf("%s: %s\n", name, last_problem);
  expect(mended > 0 && r.mended == (uint64_t)mended);
  expect(r.dropped == dropped);
  expect(lode_check(s, &mending, &r) == LODE_OK && r.ok && r.mended == 0);
  c = scratch_coll(s, "d", LODE_DICT);
  if (expect(c != NULL)) {
    expect(len_of(c) == left);
    expect(put_integer(c, 5000, value_of(1)) == LODE_OK);
    expect(put_integer(c, -1, value_of(1)) == LODE_OK);
  }
  lode_coll_close(c);
  expect(lode_check(s, NULL, &r) == LODE_OK && r.ok);
  scratch_close(s);
}

static void mending_all (void) {
  const uint64_t all = MANY + 20 + 50;
  mend_one("calls", lose_calls, 0, all);
  mend_one("more calls", add_calls, 0, all);
  mend_one("generation", lose_generation, 0, all);
  mend_one("name", lose_name, 0, all);
  mend_one("damaged name", damage_name, 0, all);
  mend_one("count", wrong_count, 0, all);
  mend_one("tree", lose_tree, 0, all);
  mend_one("record", damage_record, 1, all - 1);
  expect(strstr(last_mended, "counted") == NULL);
  mend_one("bucket", damage_bucket, 1, all - 1);
}

static void no_mending (void) {
  lode_check_report r = { .ok = false };
  lode_options o;
  lode_store *s;
  make("whole");
  lode_options_init(&o);
  o.readonly = true;
  s = scratch_open("whole", &o);
  expect(lode_check(s, &mending, &r) == LODE_READONLY);
  scratch_close(s);
  s = open_os("whole");
  expect(lode_begin(s) == LODE_OK);
  expect(lode_check(s, &mending, &r) == LODE_REENTRY);
  lode_abort(s);
  expect(lode_check(s, &mending, &r) == LODE_OK && r.ok && r.mended == 0);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** Salvage
** =================================================================== */

static struct { uint64_t kept, lost; int parts; } salvaged;

static void hear_part (void *data, const lode_salvaged *what) {
  (void)data;
  salvaged.kept += what->kept;
  salvaged.lost += what->lost;
  salvaged.parts++;
}

static const lode_salvage_options listening = {
  .problem = hear, .collection = hear_part
};

typedef struct image {
  unsigned char *bytes;
  size_t size;
} image;

static image image_read (const char *store) {
  char path[160];
  struct stat st;
  image i = { NULL, 0 };
  int fd;
  snprintf(path, sizeof path, "%s/data.mdb", scratch_path(store));
  fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &st) != 0) exit(2);
  i.size = (size_t)st.st_size;
  i.bytes = malloc(i.size);
  if (i.bytes == NULL || read(fd, i.bytes, i.size) != (ssize_t)i.size)
    exit(2);
  close(fd);
  return i;
}

static void image_write (const image *i, const char *store) {
  char path[160];
  int fd;
  mkdir(scratch_path(store), 0700);
  snprintf(path, sizeof path, "%s/data.mdb", scratch_path(store));
  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || write(fd, i->bytes, i->size) != (ssize_t)i->size) exit(2);
  close(fd);
}

/* Salvages the store "from" to "to", which must not touch it. */
static lode_status salvage (const char *from, lode_salvage_report *r) {
  char path[160], command[200];
  image before = image_read(from), after;
  lode_error e = { LODE_OK, "" };
  lode_status st;
  snprintf(path, sizeof path, "%s", scratch_path(from));
  snprintf(command, sizeof command, "rm -rf '%s'", scratch_path("to"));
  if (system(command) != 0) exit(2);
  memset(&salvaged, 0, sizeof salvaged);
  problems = 0;
  st = lode_salvage(path, scratch_path("to"), &listening, r, &e);
  if (st != LODE_OK)
    printf("        %s: %s\n", lode_status_name(st), e.text);
  after = image_read(from);
  expect(before.size == after.size &&
         memcmp(before.bytes, after.bytes, after.size) == 0);
  free(before.bytes);
  free(after.bytes);
  return st;
}

/* Every entry of the dict "d" that is there is what was written. */
static uint64_t right_entries (lode_store *s) {
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_range all = { .limit = UINT64_MAX };
  lode_walk *w = NULL;
  lode_slice key;
  lode_value v;
  uint64_t n = 0;
  expect(lode_walk_open(c, &all, false, &w) == LODE_OK);
  while (lode_walk_next(w, &key, &v) == LODE_OK) {
    int64_t i = -1;
    memcpy(&i, v.data.data, v.data.size < 8 ? v.data.size : 8);
    n++;
    if (v.data.size >= 20)
      expect(slice_equal(v.data, value_of(i)));
  }
  lode_walk_close(w);
  lode_coll_close(c);
  return n;
}

static uint64_t right_salvage (lode_salvage_report *r) {
  lode_check_report c = { .ok = false };
  lode_store *s = open_os("to");
  uint64_t n = right_entries(s);
  problems = 0;
  expect(lode_check(s, &plainly, &c) == LODE_OK);
  if (!expect(c.ok))
    printf("%s\n", last_problem);
  expect(c.entries == r->entries);
  scratch_close(s);
  return n;
}

static void whole_store (void) {
  lode_salvage_report r;
  lode_store *s;
  lode_coll *c;
  lode_coll_options none = { .raw = false };
  make("sound");
  expect(salvage("sound", &r) == LODE_OK && r.ok && !r.older);
  expect(r.lost == 0 && problems == 0 && salvaged.parts == 3);
  expect(right_salvage(&r) == MANY + 70);
  s = open_os("to"); /* options and long keys are as they were */
  expect(lode_coll_open(s, test_text("capped"), LODE_DICT, &none, &c) ==
         LODE_OK);
  expect(lode_coll_kept(c)->max_entries == 100 && len_of(c) <= 116);
  lode_coll_close(c);
  c = scratch_coll(s, "d", LODE_DICT);
  put_long(c, 20);
  expect(len_of(c) == MANY + 70);
  lode_coll_close(c);
  scratch_close(s);
  expect(lode_salvage(scratch_path("sound"), scratch_dir, NULL, &r,
                      &(lode_error){ LODE_OK, "" }) == LODE_BAD_ARGUMENT);
}

/* The pages of an image by what they are. */
static size_t find_page (const image *i, unsigned flags, size_t nodes) {
  for (size_t p = 2; p < i->size / PAGE; p++) {
    uint16_t has, lower;
    memcpy(&has, i->bytes + p * PAGE + 10, 2);
    memcpy(&lower, i->bytes + p * PAGE + 12, 2);
    if (has == flags && (size_t)(lower - 16) / 2 >= nodes)
      return p;
  }
  return 0;
}

/* The branch above the leaves is lost: what is on them is not. */
static void lost_branch (void) {
  lode_salvage_report r;
  image i;
  size_t page;
  make("branch");
  i = image_read("branch");
  page = find_page(&i, 1, 20);
  expect(page != 0);
  memset(i.bytes + page * PAGE, 0, PAGE);
  image_write(&i, "branch");
  expect(salvage("branch", &r) == LODE_OK && !r.ok && problems > 0);
  expect(right_salvage(&r) == MANY + 70 && r.lost == 0);
  free(i.bytes);
}

/* One byte of a leaf: one entry is lost. */
static void lost_entry (void) {
  lode_salvage_report r;
  image i;
  unsigned char *at;
  make("byte");
  i = image_read("byte");
  at = i.bytes;
  while ((at = memmem(at, (size_t)(i.bytes + i.size - at), value_of(77).data,
                      20)) != NULL)
    *(at += 12) ^= 1;
  image_write(&i, "byte");
  expect(salvage("byte", &r) == LODE_OK && !r.ok);
  expect(right_salvage(&r) == MANY + 69 && r.lost == 1);
  free(i.bytes);
}

/* All that says which collections there are is lost. */
static void lost_catalogue (void) {
  lode_salvage_report r;
  image i;
  char path[160];
  lode_error e;
  lode_store *s = NULL;
  lode_buffer name = { NULL, 0, 0 };
  lode_kind kind;
  int n = 0;
  make("catalogue");
  i = image_read("catalogue");
  for (size_t p = 2; p < i.size / PAGE; p++)
    if (memmem(i.bytes + p * PAGE, PAGE, "capped", 6) != NULL)
      memset(i.bytes + p * PAGE, 0xFF, PAGE);
  image_write(&i, "catalogue");
  snprintf(path, sizeof path, "%s", scratch_path("catalogue"));
  expect(salvage("catalogue", &r) == LODE_OK && !r.ok);
  expect(r.entries >= MANY + 170);
  expect(lode_open(scratch_path("to"), &(lode_options){ .create = false,
         .collections = 10, .readers = 10, .mode = 0600 }, &s, &e) ==
         LODE_OK);
  while (lode_coll_next(s, slice_of_buffer(&name), &name, &kind) == LODE_OK)
    n += kind != LODE_RAW && memcmp(name.data, "lost+found#", 11) == 0;
  expect(n == 3);
  lode_buffer_free(&name);
  scratch_close(s);
  free(i.bytes);
}

/* A meta page is damaged: the state of the other is taken. */
static void lost_meta (void) {
  for (int page = 0; page < 2; page++) {
    lode_salvage_report r;
    image i;
    make(page == 0 ? "meta 0" : "meta 1");
    i = image_read(page == 0 ? "meta 0" : "meta 1");
    memset(i.bytes + (size_t)page * PAGE + 40, 0x55, 96);
    image_write(&i, page == 0 ? "meta 0" : "meta 1");
    expect(salvage(page == 0 ? "meta 0" : "meta 1", &r) == LODE_OK);
    expect(!r.ok && r.older && r.lost == 0);
    expect(right_salvage(&r) == MANY + 70);
    free(i.bytes);
  }
}

static bool stop (void *data, uint64_t done, uint64_t total) {
  (void)data;
  expect(done <= total);
  return false;
}

static void given_up (void) {
  const lode_salvage_options o = { .progress = stop };
  lode_salvage_report r;
  lode_error e;
  char path[160];
  struct stat st;
  lode_store *s = open_os("stopped");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  expect(lode_begin(s) == LODE_OK);
  for (int64_t i = 0; i < 60000; i++)
    put_integer(c, i, value_of(i));
  expect(lode_commit(s) == LODE_OK);
  lode_coll_close(c);
  scratch_close(s);
  snprintf(path, sizeof path, "%s", scratch_path("stopped"));
  expect(lode_salvage(path, scratch_path("nowhere"), &o, &r, &e) ==
         LODE_CALLBACK);
  expect(stat(scratch_path("nowhere"), &st) != 0);
  expect(lode_salvage(scratch_path("absent"), scratch_path("x"), NULL, &r,
                      &e) == LODE_NOT_FOUND);
}

/* }================================================================== */

/* {==================================================================
** No memory
** =================================================================== */

/* Each request for memory fails once: it says so, leaks none, mends later. */
static void mend_without_memory (void) {
  lode_check_report r;
  lode_status st = LODE_NO_MEMORY;
  image i;
  unsigned long n;
  make("memory");
  harm("memory", damage_record);
  harm("memory", lose_calls);
  i = image_read("memory");
  for (n = 1; st != LODE_OK && n < 2000; n++) {
    lode_store *s;
    image_write(&i, "memory");
    s = open_os("memory");
    lode_test_fail_allocation(n);
    st = lode_check(s, &mending, &r);
    lode_test_fail_allocation(0);
    expect(st == LODE_OK || st == LODE_NO_MEMORY);
    expect(st != LODE_OK || (r.ok && r.dropped == 1));
    scratch_close(s);
  }
  expect(st == LODE_OK && n > 10);
  free(i.bytes);
}

static void salvage_without_memory (void) {
  lode_salvage_report r;
  lode_status st = LODE_NO_MEMORY;
  lode_error e;
  struct stat there;
  char path[160];
  unsigned long n;
  lode_store *s = open_os("little");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  put_integer(c, 1, value_of(1));
  put_long(c, 1);
  lode_coll_close(c);
  scratch_close(s);
  snprintf(path, sizeof path, "%s", scratch_path("little"));
  for (n = 1; st != LODE_OK && n < 2000; n++) {
    lode_test_fail_allocation(n);
    st = lode_salvage(path, scratch_path("from little"), NULL, &r, &e);
    lode_test_fail_allocation(0);
    expect(st == LODE_OK || st == LODE_NO_MEMORY);
    expect(st == LODE_OK || stat(scratch_path("from little"), &there) != 0);
  }
  expect(st == LODE_OK && r.ok && r.entries == 2 && n > 20);
}

/* }================================================================== */

int main (void) {
  scratch_begin();
  test_group("what is indexed and counted is mended", mending_all);
  test_group("where nothing may be written nothing is mended", no_mending);
  test_group("a salvage of a sound store is all of it", whole_store);
  test_group("entries are found without their branch", lost_branch);
  test_group("one damaged entry is one lost", lost_entry);
  test_group("collections are told apart without a catalogue",
             lost_catalogue);
  test_group("the other meta page will do", lost_meta);
  test_group("a salvage can be stopped", given_up);
  test_group("a repair without memory", mend_without_memory);
  test_group("a salvage without memory", salvage_without_memory);
  scratch_end();
  return test_end();
}
