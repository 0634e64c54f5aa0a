/*
** test_side.c - the side file: when a store is checked before it is used,
** who may use it together, and that nothing in the file can do harm.
**
** LODE_SIDES says how many damaged side files are tried (300).
*/
#include <fcntl.h>
#include <sys/wait.h>

#include "scratch.h"

#include "core/side.h"

#define PAGE 4096

static const char *inside (const char *store, const char *name) {
  static char path[160];
  snprintf(path, sizeof path, "%s/%s", scratch_path(store), name);
  return path;
}

static lode_status open_with (const char *name, lode_durability durability,
                              lode_store **s, lode_error *e) {
  lode_options o;
  lode_options_init(&o);
  o.durability = durability;
  o.map_size = (uint64_t)1 << 26;
  *s = NULL;
  return lode_open(scratch_path(name), &o, s, e);
}

static void fill (lode_store *s) {
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  expect(lode_begin(s) == LODE_OK);
  for (int64_t i = 0; i < 300; i++)
    put_integer(c, i, test_text("a value"));
  expect(lode_commit(s) == LODE_OK);
  lode_coll_close(c);
}

/* Writes in a process that is killed before it could close the store. */
static void write_and_die (const char *name, lode_durability durability) {
  int how;
  pid_t pid = fork();
  if (pid == 0) {
    lode_store *s;
    lode_error e;
    if (open_with(name, durability, &s, &e) != LODE_OK) _exit(1);
    fill(s);
    _exit(0);
  }
  expect(waitpid(pid, &how, 0) == pid && how == 0);
}

/* Flips a bit of each leaf's keys, which only a check finds out. */
static void harm (const char *name) {
  unsigned char byte;
  int fd = open(inside(name, "data.mdb"), O_RDWR);
  for (off_t at = 2 * PAGE + 4000; pread(fd, &byte, 1, at) == 1; at += PAGE) {
    byte ^= 1;
    if (pwrite(fd, &byte, 1, at) != 1) exit(2);
  }
  close(fd);
}

static lode_status try_open (const char *name, lode_error *e) {
  lode_store *s;
  lode_error ignored;
  lode_status st = open_with(name, LODE_COMMIT, &s, e);
  lode_close(s, &ignored);
  return st;
}

/* {==================================================================
** After a reboot
** =================================================================== */

static unsigned boot;

static void reboot (void) {
  lode_test_boot(++boot);
}

static void after_a_reboot (void) {
  lode_error e;
  write_and_die("os", LODE_OS);
  harm("os");
  expect(try_open("os", &e) == LODE_OK); /* the same boot: nothing is lost */
  harm("os"); /* back as it was */
  write_and_die("os", LODE_OS);
  harm("os");
  reboot();
  expect(try_open("os", &e) == LODE_CORRUPT);
  expect(strstr(e.text, "synced") != NULL);
  expect(strstr(e.text, "lode.repair") != NULL);
  expect(try_open("os", &e) == LODE_CORRUPT); /* and so it stays */
  harm("os"); /* back as it was */
  expect(try_open("os", &e) == LODE_OK);
  harm("os");
  expect(try_open("os", &e) == LODE_OK); /* it was checked in this boot */
}

static void after_a_clean_close (void) {
  lode_store *s;
  lode_error e;
  expect(open_with("clean", LODE_OS, &s, &e) == LODE_OK);
  fill(s);
  scratch_close(s);
  harm("clean");
  reboot();
  expect(try_open("clean", &e) == LODE_OK); /* nobody looks */
}

static void after_synced_writes (void) {
  lode_error e;
  write_and_die("synced", LODE_COMMIT);
  harm("synced");
  reboot();
  expect(try_open("synced", &e) == LODE_OK);
}

/* One closes cleanly while another goes on. */
static void beside_another (void) {
  int ready[2], go[2], how;
  char byte = 0;
  lode_error e;
  pid_t pid;
  if (pipe(ready) != 0 || pipe(go) != 0) exit(2);
  pid = fork();
  if (pid == 0) {
    lode_store *s;
    if (open_with("two", LODE_OS, &s, &e) != LODE_OK) _exit(1);
    fill(s);
    if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1)
      _exit(1);
    fill(s);
    _exit(0);
  }
  expect(read(ready[0], &byte, 1) == 1);
  expect(try_open("two", &e) == LODE_OK); /* which syncs */
  expect(write(go[1], &byte, 1) == 1);
  expect(waitpid(pid, &how, 0) == pid && how == 0);
  harm("two");
  reboot();
  expect(try_open("two", &e) == LODE_CORRUPT);
  close(ready[0]); close(ready[1]); close(go[0]); close(go[1]);
}

static void checked_when_asked (void) {
  lode_options o;
  lode_store *s, *more = NULL;
  lode_error e;
  write_and_die("asked", LODE_COMMIT);
  harm("asked");
  lode_options_init(&o);
  o.check = LODE_CHECK_FIRST;
  expect(lode_open(scratch_path("asked"), &o, &s, &e) == LODE_CORRUPT);
  expect(open_with("asked", LODE_COMMIT, &s, &e) == LODE_OK);
  expect(lode_open(scratch_path("asked"), &o, &more, &e) == LODE_CORRUPT);
  scratch_close(s);
  harm("asked");
  expect(lode_open(scratch_path("asked"), &o, &s, &e) == LODE_OK);
  expect(lode_open(scratch_path("asked"), &o, &more, &e) == LODE_OK);
  scratch_close(more);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** Files that don't belong together
** =================================================================== */

static void another_library (void) {
  int ready[2], how;
  char byte = 0;
  lode_store *s;
  lode_error e;
  pid_t pid;
  if (pipe(ready) != 0) exit(2);
  expect(open_with("libc", LODE_COMMIT, &s, &e) == LODE_OK);
  pid = fork();
  if (pid == 0) {
    lode_test_tag(1);
    _exit(try_open("libc", &e) == LODE_INCOMPATIBLE &&
          strstr(e.text, "C library") != NULL ? 0 : 1);
  }
  expect(waitpid(pid, &how, 0) == pid && how == 0);
  fill(s);
  scratch_close(s);
  lode_test_tag(1); /* one after the other is fine */
  expect(try_open("libc", &e) == LODE_OK);
  lode_test_tag(0);
  expect(try_open("libc", &e) == LODE_OK);
  close(ready[0]); close(ready[1]);
  (void)byte;
}

static void another_data_file (void) {
  char from[160];
  lode_store *s;
  lode_error e;
  write_and_die("one", LODE_COMMIT);
  write_and_die("other", LODE_COMMIT);
  snprintf(from, sizeof from, "%s", inside("one", "data.mdb"));
  expect(rename(from, inside("other", "data.mdb")) == 0);
  expect(try_open("other", &e) == LODE_INCOMPATIBLE);
  expect(strstr(e.text, "replaced") != NULL);
  expect(unlink(inside("other", "lode.side")) == 0);
  expect(try_open("other", &e) == LODE_OK);
  /* The data file is gone from "one", or empty. */
  expect(open_with("one", LODE_COMMIT, &s, &e) == LODE_CORRUPT);
  expect(strstr(e.text, "is gone") != NULL);
  close(open(inside("one", "data.mdb"), O_WRONLY | O_CREAT, 0600));
  expect(try_open("one", &e) == LODE_NOT_A_STORE);
}

/* A backup that is put back is the same store. */
static void a_backup (void) {
  char from[160];
  lode_store *s;
  lode_error e;
  expect(open_with("kept", LODE_COMMIT, &s, &e) == LODE_OK);
  fill(s);
  expect(lode_backup(s, scratch_path("backup"), NULL) == LODE_OK);
  fill(s);
  scratch_close(s);
  snprintf(from, sizeof from, "%s", inside("backup", "data.mdb"));
  expect(rename(from, inside("kept", "data.mdb")) == 0);
  expect(try_open("kept", &e) == LODE_OK);
}

/* }================================================================== */

/* {==================================================================
** Hostile bytes
** =================================================================== */

/*
** Whether the store can be read: all its entries, also those that live for
** a long time; and written to.
*/
static bool usable (const char *name) {
  lode_store *s;
  lode_error e;
  lode_coll *c;
  bool ok;
  if (open_with(name, LODE_COMMIT, &s, &e) != LODE_OK) {
    printf("%s\n", e.text);
    return false;
  }
  c = scratch_coll(s, "d", LODE_DICT);
  ok = len_of(c) == 301 && has_integer(c, 1000) == LODE_OK;
  ok = ok && put_integer(c, 5, test_text("anew")) == LODE_OK;
  lode_coll_close(c);
  ok = lode_close(s, &e) == LODE_OK && ok;
  return ok;
}

static void side_bytes (void) {
  const char *value = getenv("LODE_SIDES");
  long n = value != NULL ? atol(value) : 300;
  unsigned char good[SIDE_SIZE], bytes[4 * SIDE_SIZE];
  lode_buffer b = { NULL, 0, 0 };
  lode_value v = { test_text("mortal"), LODE_BYTES };
  lode_store *s;
  lode_error e;
  lode_coll *c;
  lode_key key;
  int fd;
  expect(open_with("bytes", LODE_OS, &s, &e) == LODE_OK);
  fill(s);
  c = scratch_coll(s, "d", LODE_DICT);
  key_of_integer(c, 1000, &b, &key);
  expect(lode_put(c, &key, v, LODE_PUT, 1000000000) == LODE_OK);
  lode_buffer_free(&b);
  lode_coll_close(c);
  scratch_close(s);
  fd = open(inside("bytes", "lode.side"), O_RDWR);
  expect(pread(fd, good, sizeof good, 0) == (ssize_t)sizeof good);
  for (long i = 0; i < n; i++) {
    size_t size = sizeof good;
    memcpy(bytes, good, sizeof good);
    if (i % 3 == 0)
      for (size_t k = 1 + test_below(8); k > 0; k--)
        bytes[test_below(SIDE_SIZE)] ^= (unsigned char)(1 << test_below(8));
    else if (i % 3 == 1)
      for (size = sizeof bytes; size > 0; size--)
        bytes[size - 1] = (unsigned char)test_random();
    else {
      uint64_t wild = test_below(2) ? UINT64_MAX : test_random();
      memcpy(bytes + 8 * test_below(SIDE_SIZE / 8), &wild, 8);
    }
    if (i % 3 == 1)
      size = test_below(sizeof bytes);
    if (pwrite(fd, bytes, size, 0) != (ssize_t)size ||
        ftruncate(fd, (off_t)size) != 0) exit(2);
    if (!expect(usable("bytes"))) {
      printf("side file %ld\n", i);
      break;
    }
  }
  close(fd);
  printf("        %ld damaged side files\n", n);
}

/* }================================================================== */

int main (void) {
  scratch_begin();
  test_group("what was not synced is checked after a reboot",
             after_a_reboot);
  test_group("a clean close needs no check", after_a_clean_close);
  test_group("synced writes need no check", after_synced_writes);
  test_group("another's clean close is only its own", beside_another);
  test_group("a check can be asked for", checked_when_asked);
  test_group("two C libraries don't share a store", another_library);
  test_group("the data file must be the one it was", another_data_file);
  test_group("a backup that is put back is the same store", a_backup);
  test_group("no bytes in the side file do harm", side_bytes);
  scratch_end();
  return test_end();
}
