/*
** fault_space.c - no room: a small disk that fills up (tmpfs, ext4 on a loop
** device; these need root), a limit on the size of files, a quota; and
** growth by several processes at once.
**
** In each: a clear error, all that was written can be read, every delete
** works, and where something was deleted, or others made room, writes go on.
** Each place is tried in a child: a signal is a failure.
**
** LODE_CYCLES: how often each is filled and emptied: 2, or 25 with
** LODE_FULL=1.
*/
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "scratch.h"

#include "core/hash.h"

#define KEYS 20000
#define MIB ((uint64_t)1 << 20)

static long skipped, cycles_done, refusals, deletes;
static bool full;

static long setting (const char *name, long standard) {
  const char *value = getenv(name);
  return value != NULL ? atol(value) : standard;
}

static long cycles (void) {
  return setting("LODE_CYCLES", full ? 25 : 2);
}

static lode_slice value_of (int64_t i) {
  static unsigned char bytes[6000];
  size_t size = 100 + (size_t)(i * 37 % 900);
  if (i % 29 == 3)
    size += 5000;
  memset(bytes, (int)(i % 251), size);
  memcpy(bytes, &i, sizeof i);
  return slice_of(bytes, size);
}

static bool there_and_right (lode_coll *c, int64_t i) {
  lode_buffer b = { NULL, 0, 0 };
  lode_key key;
  lode_value v;
  bool right;
  key_of_integer(c, i, &b, &key);
  right = lode_get(c, &key, &v) == LODE_OK &&
          slice_equal(v.data, value_of(i));
  lode_done(c);
  lode_buffer_free(&b);
  return right;
}

/* {==================================================================
** One place
** =================================================================== */

typedef struct place {
  const char *path;      /* of the store */
  lode_durability durability;
  uint64_t max_size;
  lode_status full;      /* what it says when there is no room */
} place;

/* Puts `n` entries in one transaction: all or none. */
static lode_status put_some (lode_store *s, lode_coll *c, int64_t from,
                             int64_t n) {
  lode_status st = lode_begin(s);
  if (st != LODE_OK)
    return st;
  for (int64_t i = from; i < from + n && st == LODE_OK; i++)
    st = put_integer(c, i, value_of(i));
  if (st == LODE_OK)
    return lode_commit(s);
  lode_abort(s);
  return st;
}

/*
** Puts new entries until there is no room for one; the first that wasn't
** put. In large transactions, which leave no free pages behind.
*/
static int64_t fill (const place *p, lode_store *s, lode_coll *c,
                     int64_t from) {
  int64_t i = from, n = 200;
  lode_status st = LODE_OK;
  while (i < from + KEYS) {
    st = put_some(s, c, i, n);
    if (st == LODE_OK)
      i += n;
    else if (st != p->full || n == 1)
      break;
    else
      n = (n + 1) / 2;
  }
  if (!expect(st == p->full))
    printf("%s: %s: %s\n", p->path, lode_status_name(st),
           lode_store_error(s)->text);
  expect(st == LODE_OK || lode_store_error(s)->text[0] != '\0');
  refusals++;
  return i;
}

/* All of `from` to `to` are there, one in `step` of them is looked at. */
static void expect_there (lode_coll *c, int64_t from, int64_t to,
                          int64_t step) {
  long wrong = 0;
  for (int64_t i = from; i < to; i += step)
    wrong += !there_and_right(c, i);
  expect(wrong == 0);
}

static void delete_all (lode_store *s, lode_coll *c, int64_t from,
                        int64_t to) {
  for (int64_t i = from; i < to; i++) {
    lode_status st = delete_integer(c, i);
    deletes++;
    if (!expect(st == LODE_OK)) {
      printf("delete %lld: %s: %s\n", (long long)(i - from),
             lode_status_name(st), lode_store_error(s)->text);
      return;
    }
  }
}

/* Fills it, empties a part, fills that; again and again. */
static void use (const place *p) {
  lode_check_report r = { .ok = false };
  lode_options o;
  lode_store *s = NULL;
  lode_coll *c;
  lode_error e;
  int64_t low = 0, high = 0, before;
  lode_status st;
  lode_options_init(&o);
  o.durability = p->durability;
  o.max_size = p->max_size;
  if (!expect(lode_open(p->path, &o, &s, &e) == LODE_OK)) {
    printf("%s: %s\n", p->path, e.text);
    return;
  }
  c = scratch_coll(s, "d", LODE_DICT);
  for (long n = 0; n < cycles(); n++) {
    before = high;
    high = fill(p, s, c, high);
    expect(high > before);
    expect_there(c, low, high, 1 + (high - low) / 500);
    st = put_integer(c, high, value_of(high)); /* a smaller one may fit */
    expect(st == p->full || st == LODE_OK);
    high += st == LODE_OK;
    delete_all(s, c, low, low + (high - low) / 2);
    low += (high - low) / 2;
    for (int i = 0; i < 20; i++, high++)
      if (!expect(put_integer(c, high, value_of(high)) == LODE_OK)) {
        printf("%s: %s\n", p->path, lode_store_error(s)->text);
        break;
      }
    expect(lode_check(s, NULL, &r) == LODE_OK && r.ok);
    cycles_done++;
  }
  expect_there(c, low, high, 1);
  expect(len_of(c) == (uint64_t)(high - low));
  lode_coll_close(c);
  scratch_close(s);
}

/* In a child; what it counted comes back. */
static void in_child (const place *p, void (*work)(const place *p)) {
  long counts[6];
  int ends[2], how = 0;
  pid_t pid;
  fflush(stdout);
  if (pipe(ends) != 0) exit(2);
  pid = fork();
  if (pid == 0) {
    long before[2] = { test_now.passed, test_now.failed };
    cycles_done = refusals = deletes = 0;
    work(p);
    counts[0] = test_now.passed - before[0];
    counts[1] = test_now.failed - before[1];
    counts[2] = cycles_done;
    counts[3] = refusals;
    counts[4] = deletes;
    counts[5] = lode_test_live_blocks();
    fflush(stdout);
    _exit(write(ends[1], counts, sizeof counts) != sizeof counts);
  }
  close(ends[1]);
  if (expect(read(ends[0], counts, sizeof counts) == sizeof counts)) {
    test_now.passed += counts[0];
    test_now.failed += counts[1];
    cycles_done += counts[2];
    refusals += counts[3];
    deletes += counts[4];
    expect(counts[5] == 0);
  }
  close(ends[0]);
  expect(waitpid(pid, &how, 0) == pid);
  if (!expect(how == 0))
    printf("%s: %s %d\n", p->path, WIFSIGNALED(how) ? "signal" : "status",
           WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
}

static void quota (void) {
  place p = { scratch_path("quota"), LODE_OS, 4 * MIB, LODE_FULL };
  in_child(&p, use);
}

static void use_limited (const place *p) {
  struct rlimit limit = { 5 * MIB, 5 * MIB };
  expect(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  use(p);
}

static void file_limit (void) {
  place p = { scratch_path("limited"), LODE_OS, 0, LODE_FULL };
  in_child(&p, use_limited);
}

/* One transaction that is larger than any file may be. */
static void use_at_once (const place *p) {
  struct rlimit limit = { 5 * MIB, 5 * MIB };
  lode_options o;
  lode_store *s = NULL;
  lode_coll *c;
  lode_error e;
  lode_status st = LODE_OK;
  expect(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  lode_options_init(&o);
  o.durability = p->durability;
  expect(lode_open(p->path, &o, &s, &e) == LODE_OK);
  c = scratch_coll(s, "d", LODE_DICT);
  expect(put_integer(c, 1, value_of(1)) == LODE_OK);
  expect(lode_begin(s) == LODE_OK);
  for (int64_t i = 10; i < KEYS && st == LODE_OK; i++)
    st = put_integer(c, i, value_of(i));
  expect(st == p->full);
  lode_abort(s);
  refusals++;
  expect(len_of(c) == 1 && there_and_right(c, 1));
  expect(put_integer(c, 2, value_of(2)) == LODE_OK);
  lode_coll_close(c);
  scratch_close(s);
}

/* Copies of a store that is larger than any file may be. */
static void back_up_limited (const place *p) {
  struct rlimit limit = { 2 * MIB, 2 * MIB };
  lode_options o;
  lode_store *s = NULL;
  lode_coll *c;
  lode_error e;
  lode_options_init(&o);
  o.durability = p->durability;
  expect(lode_open(p->path, &o, &s, &e) == LODE_OK);
  c = scratch_coll(s, "d", LODE_DICT);
  expect(lode_begin(s) == LODE_OK);
  for (int64_t i = 10; i < KEYS; i++)
    expect(put_integer(c, i, value_of(i)) == LODE_OK);
  expect(lode_commit(s) == LODE_OK);
  expect(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  for (int i = 0; i < 2; i++) {
    const lode_backup_options how = { .compact = i == 1 };
    expect(lode_backup(s, scratch_path("too large"), &how) == p->full);
    expect(access(scratch_path("too large/data.mdb"), F_OK) != 0);
    expect(access(scratch_path("too large/data.mdb.part"), F_OK) != 0);
    refusals++;
  }
  expect(there_and_right(c, 10));
  lode_coll_close(c);
  scratch_close(s);
}

static void file_limit_of_backups (void) {
  place p = { scratch_path("copied"), LODE_OS, 0, LODE_FULL };
  in_child(&p, back_up_limited);
}

static void file_limit_at_once (void) {
  place p = { scratch_path("at once"), LODE_OS, 0, LODE_FULL };
  in_child(&p, use_at_once);
}

/* }================================================================== */

/* {==================================================================
** Small disks
** =================================================================== */

static bool shell (const char *format, const char *a, const char *b) {
  char command[400];
  snprintf(command, sizeof command, format, a, b);
  return system(command) == 0;
}

/* Another program's file takes the room, and gives it back. */
static void use_beside (const place *p) {
  char path[160];
  char block[4096] = { 1 };
  lode_options o;
  lode_store *s = NULL;
  lode_coll *c;
  lode_error e;
  int64_t high = 0;
  int fd;
  lode_options_init(&o);
  o.durability = p->durability;
  snprintf(path, sizeof path, "%s-other", p->path);
  expect(lode_open(p->path, &o, &s, &e) == LODE_OK);
  c = scratch_coll(s, "d", LODE_DICT);
  for (long n = 0; n < cycles(); n++) {
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    while (write(fd, block, sizeof block) == (ssize_t)sizeof block)
      continue;
    close(fd);
    high = fill(p, s, c, high);
    expect_there(c, 0, high, 1);
    expect(unlink(path) == 0);
    for (int i = 0; i < 50; i++, high++)
      expect(put_integer(c, high, value_of(high)) == LODE_OK);
    expect_there(c, 0, high, 1);
    delete_all(s, c, 10, high);
    for (int64_t i = 10; i < high; i++)
      expect(put_integer(c, i, value_of(i)) == LODE_OK);
    if (high > 1000) { /* lest it fill the disk alone */
      delete_all(s, c, 10, high);
      high = 10;
    }
    cycles_done++;
  }
  lode_coll_close(c);
  scratch_close(s);
}

/* A disk without a page left; then the first thing is a delete. */
static void use_deletes (const place *p) {
  char path[200], block[4096] = { 1 };
  lode_options o;
  lode_store *s = NULL;
  lode_coll *c;
  lode_error e;
  int fd;
  lode_options_init(&o);
  o.durability = p->durability;
  snprintf(path, sizeof path, "%s-other", p->path);
  expect(lode_open(p->path, &o, &s, &e) == LODE_OK);
  c = scratch_coll(s, "d", LODE_DICT);
  expect(put_some(s, c, 0, 1500) == LODE_OK);
  fd = open(path, O_CREAT | O_WRONLY, 0600);
  while (write(fd, block, sizeof block) == (ssize_t)sizeof block)
    continue;
  close(fd);
  usleep(150000); /* a writer looks at the disk now and then */
  delete_all(s, c, 0, 1000);
  expect_there(c, 1000, 1500, 1);
  for (int64_t i = 0; i < 50; i++) /* in what was deleted there is room */
    expect(put_integer(c, i, value_of(i)) == LODE_OK);
  expect(put_some(s, c, 3000, 3000) == p->full);
  refusals++;
  expect(unlink(path) == 0);
  expect(put_some(s, c, 3000, 500) == LODE_OK);
  expect(len_of(c) == 1050);
  lode_coll_close(c);
  scratch_close(s);
}

/* A mounted disk: filled by us, then by another. */
static void use_mounted (const char *at, lode_durability durability) {
  char path[160];
  place p = { path, durability, 0, LODE_DISK_FULL };
  snprintf(path, sizeof path, "%s/own", at);
  in_child(&p, use);
  expect(shell("rm -rf '%s'%s", path, ""));
  snprintf(path, sizeof path, "%s/beside", at);
  in_child(&p, use_beside);
  expect(shell("rm -rf '%s'%s", path, ""));
  snprintf(path, sizeof path, "%s/deletes", at);
  in_child(&p, use_deletes);
  expect(shell("rm -rf '%s'%s", path, ""));
}

static void on_tmpfs (void) {
  char at[128];
  snprintf(at, sizeof at, "%s", scratch_path("tmpfs"));
  mkdir(at, 0700);
  if (geteuid() != 0 ||
      !shell("mount -t tmpfs -o size=4m lode '%s' 2>/dev/null%s", at, "")) {
    printf("        skipped: no tmpfs can be mounted here\n");
    skipped++;
    return;
  }
  use_mounted(at, LODE_OS);
  expect(shell("umount '%s'%s", at, ""));
}

static void on_ext4 (void) {
  char at[128], disk[128];
  snprintf(at, sizeof at, "%s", scratch_path("ext4"));
  snprintf(disk, sizeof disk, "%s", scratch_path("disk"));
  mkdir(at, 0700);
  if (geteuid() != 0 ||
      !shell("truncate -s 16M '%s' && mkfs.ext4 -q -F '%s' 2>/dev/null",
             disk, disk) ||
      !shell("mount -o loop '%s' '%s' 2>/dev/null", disk, at)) {
    printf("        skipped: no ext4 on a loop device can be mounted here\n");
    skipped++;
    return;
  }
  use_mounted(at, LODE_OS);
  expect(shell("umount '%s'%s", at, ""));
}

/* }================================================================== */

/* {==================================================================
** Growth
** =================================================================== */

#define WRITERS 3

/* Each process begins with a map of 1 MiB, which all outgrow. */
static void grow (const char *path, int64_t self, int64_t n) {
  lode_options o;
  lode_store *s = NULL;
  lode_coll *c;
  lode_error e;
  bool ok;
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.map_size = MIB;
  ok = lode_open(path, &o, &s, &e) == LODE_OK;
  c = ok ? scratch_coll(s, "d", LODE_DICT) : NULL;
  for (int64_t i = 0; ok && i < n; i++) {
    int64_t key = i * WRITERS + self;
    ok = put_integer(c, key, value_of(key)) == LODE_OK;
    if (i % 50 == 0)
      ok = ok && there_and_right(c, (i / 2) * WRITERS + self);
  }
  if (!ok)
    printf("process %d: %s\n", (int)self, s == NULL ? e.text
           : lode_store_error(s)->text);
  lode_coll_close(c);
  ok = lode_close(s, &e) == LODE_OK && ok;
  fflush(stdout);
  _exit(!ok);
}

static void growth (void) {
  int64_t n = full ? 60000 : 3000;
  char path[128];
  pid_t pids[WRITERS];
  lode_check_report r = { .ok = false };
  lode_error e;
  lode_store *s;
  lode_coll *c;
  snprintf(path, sizeof path, "%s", scratch_path("growth"));
  fflush(stdout);
  for (int64_t i = 0; i < WRITERS; i++) {
    pids[i] = fork();
    if (pids[i] == 0)
      grow(path, i, n);
  }
  for (int i = 0; i < WRITERS; i++) {
    int how = 0;
    expect(waitpid(pids[i], &how, 0) == pids[i] && how == 0);
  }
  expect(lode_check_file(path, NULL, &r, &e) == LODE_OK && r.ok);
  s = scratch_open("growth", NULL);
  c = scratch_coll(s, "d", LODE_DICT);
  expect(len_of(c) == (uint64_t)(WRITERS * n));
  expect_there(c, 0, WRITERS * n, 7);
  lode_coll_close(c);
  scratch_close(s);
}

/* }================================================================== */

int main (void) {
  full = setting("LODE_FULL", 0) != 0;
  scratch_begin();
  test_group("a quota", quota);
  test_group("a limit on the size of files", file_limit);
  test_group("a transaction past that limit", file_limit_at_once);
  test_group("backups past that limit", file_limit_of_backups);
  test_group("a full disk: tmpfs", on_tmpfs);
  test_group("a full disk: ext4", on_ext4);
  test_group("several processes make it grow", growth);
  printf("%ld cycles of filling and making room, %ld refusals, %ld deletes "
         "without room, %ld places skipped\n", cycles_done, refusals,
         deletes, skipped);
  scratch_end();
  return test_end();
}
