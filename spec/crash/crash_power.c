/*
** crash_power.c - the power goes at any moment: what was acknowledged stays,
** and the store is whole.
**
** A program that works on a small store (power_work.h) is recorded by
** preload_record.c. For each point of the log images are made of what the
** disk may hold if the power goes there (disk.h): nothing of what was not
** synced, all of it, and random parts. Each must open, be sound, hold what
** it held after the last acknowledged step or the one under way, and take
** another write. What was left to the system ("os") may be refused.
**
** LODE_SEED chooses the workloads and what survives; LODE_IMAGES how many
** images there are to be, LODE_FULL=1 the long form; LODE_PROFILE takes one
** of the workloads alone, by its number from 0.
*/
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "power_work.h"

#include "core/side.h"

#define WORKERS 2
#define RANDOM_IMAGES 6     /* of each point, beside none and all; */
#define RANDOM_SHORT 2      /* in the short form */
#define HANG 20             /* s that one image may take */
#define REBOOTED 1          /* for lode_test_boot: the recorded system */

typedef struct counts { /* shared by all processes */
  _Atomic uint64_t images, points, absent, refused, never;
  _Atomic uint64_t by_profile[LENGTH(profiles)];
  _Atomic bool failed;
  char failure[900];
  char doing[WORKERS][200]; /* what each is at, in case that it dies */
} counts;

static counts *shared;
static const char *program;
static uint64_t seed;
static bool is_long;

/* {==================================================================
** Recording
** =================================================================== */

/* What the recorded process does: `root` is watched, `other` is not. */
static int record (unsigned profile, uint64_t of, const char *root,
                   const char *other) {
  static power w;
  char path[200];
  w.profile = &profiles[profile];
  lode_test_boot(REBOOTED);
  snprintf(path, sizeof path, "%s/first", other);
  power_run(&w, path, of);
  w.note = (record_note_function *)(uintptr_t)dlsym(RTLD_DEFAULT,
                                                    RECORD_NOTE_NAME);
  if (w.note == NULL) {
    printf("the recorder is not there\n");
    return 2;
  }
  snprintf(path, sizeof path, "%s/store", root);
  power_run(&w, path, of);
  return 0;
}

/* Beside the program. */
static void recorder_path (char out[400]) {
  const char *slash = strrchr(program, '/');
  snprintf(out, 400, "%.*spreload_record.so",
           slash != NULL ? (int)(slash - program) + 1 : 0, program);
}

static void be_recorded (unsigned profile, uint64_t of, const char *root,
                         const char *log) {
  char preload[400], number[32], seeded[32], asan[400];
  const char *options = getenv("ASAN_OPTIONS");
  recorder_path(preload);
  snprintf(number, sizeof number, "%u", profile);
  snprintf(seeded, sizeof seeded, "%llu", (unsigned long long)of);
  snprintf(asan, sizeof asan, "%.300s:verify_asan_link_order=0:"
           "detect_leaks=0", options != NULL ? options : "");
  setenv("ASAN_OPTIONS", asan, 1);
  setenv("LD_PRELOAD", preload, 1);
  setenv(RECORD_ROOT, root, 1);
  setenv(RECORD_LOG, log, 1);
  execl(program, program, "record", number, seeded, root, scratch_dir,
        (char *)NULL);
  _exit(98);
}

/* Removes what has this name, or one that goes on after it. */
static void remove_all (const char *path) {
  char command[400];
  snprintf(command, sizeof command, "rm -rf '%.300s'*", path);
  if (system(command) != 0)
    exit(2);
}

/* Runs a workload and loads its log. */
static bool make_log (unsigned profile, uint64_t of, const char *root,
                      disk *d) {
  char log[100];
  int status = -1;
  pid_t pid;
  snprintf(log, sizeof log, "%s/log", scratch_dir);
  if (mkdir(root, 0700) != 0)
    exit(2);
  fflush(stdout);
  pid = fork();
  if (pid == 0)
    be_recorded(profile, of, root, log);
  waitpid(pid, &status, 0);
  remove_all(scratch_path("first"));
  return status == 0 && disk_load(d, log);
}

static bool same_file (const char *path, const disk_content *c) {
  size_t size = 0;
  unsigned char *bytes = file_read(path, &size);
  bool same = bytes != NULL && size == c->size &&
              memcmp(bytes, c->bytes, size) == 0;
  free(bytes);
  return same;
}

/*
** Whether the log, with all that is in it, gives the files that are there:
** else the recorder has missed a call.
*/
static bool log_is_whole (const char *root, const char *log) {
  static disk d;
  static disk_image image;
  disk_chance all = { 100, true, 2, 0 };
  char path[400];
  bool whole;
  if (!disk_load(&d, log))
    return false;
  while (d.point < d.count)
    disk_step(&d);
  disk_imagine(&d, &all, &image);
  whole = image.names.count > 0;
  for (unsigned i = 0; i < image.names.count; i++) {
    disk_name *n = &image.names.all[i];
    snprintf(path, sizeof path, "%.200s/%s", root, n->text);
    if (!node_is_dir(&d, n->node) &&
        !same_file(path, &image.content[n->node])) {
      printf("%s is not what the log says\n", n->text);
      whole = false;
    }
  }
  disk_free(&d);
  return whole;
}

/* }================================================================== */

/* {==================================================================
** What must hold at a point
** =================================================================== */

typedef struct promise {
  bool made;               /* the store is there to stay */
  uint32_t low, high;      /* the steps after which it may stand */
  uint64_t now;
  unsigned backups;        /* that were acknowledged */
  work_note backup[STEPS_MAX]; /* of each: when, and what it holds */
} promise;

typedef struct known { /* from the whole log */
  bool is[STEPS_MAX];
  uint64_t digest[STEPS_MAX]; /* after each step */
} known;

static bool note_of (const disk_record *r, work_note *n) {
  if (r->head.kind != RECORD_NOTE || r->head.size != sizeof *n)
    return false;
  memcpy(n, r->bytes, sizeof *n);
  return true;
}

static void know (const disk *d, known *k) {
  work_note n;
  memset(k, 0, sizeof *k);
  for (uint32_t i = 0; i < d->count; i++)
    if (note_of(&d->records[i], &n) && n.kind == NOTE_DONE) {
      k->is[n.step] = true;
      k->digest[n.step] = n.digest;
    }
}

/* Takes a record that is done into account. */
static void promise_step (promise *p, const disk_record *r) {
  work_note n;
  if (!note_of(r, &n))
    return;
  p->now = n.now;
  p->high = n.step;
  if (n.kind == NOTE_BACKUP)
    p->backup[p->backups++] = n;
  else if (n.kind == NOTE_DONE && n.promised) {
    p->low = n.step;
    p->made = true;
  }
}

static bool is_promised (const promise *p, const known *k, uint64_t digest) {
  for (uint32_t step = p->low; step <= p->high; step++)
    if (k->is[step] && k->digest[step] == digest)
      return true;
  return false;
}

/* }================================================================== */

/* {==================================================================
** Looking at an image
** =================================================================== */

typedef struct image_test { /* of one image, at `top` */
  const work_profile *profile;
  const promise *promise;
  const known *known;
  const char *top;
  uint64_t random;
  char where[200];
} image_test;

static bool bad (const image_test *t, const char *format, ...)
  __attribute__((format(printf, 2, 3)));

/* Says what is wrong, the first time that anything is. False. */
static bool bad (const image_test *t, const char *format, ...) {
  va_list args;
  size_t size;
  if (atomic_exchange(&shared->failed, true))
    return false;
  va_start(args, format);
  snprintf(shared->failure, sizeof shared->failure, "%s: ", t->where);
  size = strlen(shared->failure);
  vsnprintf(shared->failure + size, sizeof shared->failure - size, format,
            args);
  va_end(args);
  return false;
}

static void keep_problem (void *data, const char *text) {
  char *first = data;
  if (first[0] == '\0')
    snprintf(first, 300, "%s", text);
}

static bool is_sound (const image_test *t, lode_store *s) {
  char first[300] = "";
  lode_check_options o = { .problem = keep_problem, .data = first };
  lode_check_report r;
  lode_status st = lode_check(s, &o, &r);
  if (st != LODE_OK)
    return bad(t, "the check gives %s: %s", lode_status_name(st),
               lode_store_error(s)->text);
  return r.ok || bad(t, "it is not sound: %s", first);
}

static bool takes_a_write (const image_test *t, lode_store *s) {
  lode_coll *c = scratch_coll(s, "probe", LODE_DICT);
  bool ok = c != NULL && put_integer(c, 1, test_text("probe")) == LODE_OK &&
            has_integer(c, 1) == LODE_OK;
  lode_coll_close(c);
  return ok || bad(t, "it takes no write: %s", lode_store_error(s)->text);
}

/* What it holds must have been promised; of "os" others are counted. */
static bool holds_promise (const image_test *t, lode_store *s) {
  uint64_t digest = 0;
  lode_status st = store_digest(s, &digest);
  if (st == LODE_CORRUPT && t->profile->durability == LODE_OS) {
    shared->refused++;
    return true;
  }
  if (st != LODE_OK)
    return bad(t, "reading it gives %s: %s", lode_status_name(st),
               lode_store_error(s)->text);
  if (is_promised(t->promise, t->known, digest))
    return true;
  if (t->profile->durability == LODE_OS) {
    shared->never++;
    return true;
  }
  return bad(t, "it holds what it never held, or did before step %u (of "
             "%u to %u)", (unsigned)t->promise->low,
             (unsigned)t->promise->low, (unsigned)t->promise->high);
}

static bool close_store (const image_test *t, lode_store *s) {
  lode_error e;
  return lode_close(s, &e) == LODE_OK || bad(t, "closing it: %s", e.text);
}

/* There is no store: then none was promised, and one can be made. */
static bool can_be_made (const image_test *t, const char *path,
                         lode_options *o) {
  lode_store *s = NULL;
  lode_error e;
  bool ok;
  if (t->promise->made)
    return bad(t, "the store is gone");
  shared->absent++;
  o->create = true;
  if (lode_open(path, o, &s, &e) != LODE_OK)
    return bad(t, "no store can be made: %s", e.text);
  ok = takes_a_write(t, s);
  return close_store(t, s) && ok;
}

static lode_options options_of (const image_test *t) {
  lode_options o = power_options(t->profile);
  o.durability = LODE_OS;
  o.create = false;
  o.maintenance = LODE_OFF;
  return o;
}

static bool test_store (image_test *t) {
  char path[300];
  lode_options o = options_of(t);
  lode_store *s = NULL;
  lode_error e;
  lode_status st;
  bool ok;
  snprintf(path, sizeof path, "%s/store", t->top);
  st = lode_open(path, &o, &s, &e);
  if (st == LODE_NOT_FOUND)
    return can_be_made(t, path, &o);
  if (st == LODE_CORRUPT && t->profile->durability == LODE_OS) {
    shared->refused++;
    return true;
  }
  if (st != LODE_OK)
    return bad(t, "lode_open gives %s: %s", lode_status_name(st), e.text);
  ok = is_sound(t, s) && holds_promise(t, s) && takes_a_write(t, s);
  if (ok && t->random % 4 == 0)
    ok = is_sound(t, s);
  return close_store(t, s) && ok;
}

/* The backup of this number: whole, or not there if it wasn't promised. */
static bool test_backup (image_test *t, unsigned n) {
  char store[220], path[240];
  bool promised = n < t->promise->backups, ok;
  lode_options o = options_of(t);
  uint64_t digest = 0;
  lode_store *s = NULL;
  lode_error e;
  lode_status st;
  snprintf(store, sizeof store, "%.200s/store", t->top);
  backup_name(store, n, path);
  st = lode_open(path, &o, &s, &e);
  if (st == LODE_NOT_FOUND)
    return !promised || bad(t, "backup %u is gone", n);
  if (st != LODE_OK)
    return bad(t, "backup %u: lode_open gives %s: %s", n,
               lode_status_name(st), e.text);
  ok = is_sound(t, s);
  if (ok && promised) {
    power_now = t->promise->backup[n].now;
    ok = (store_digest(s, &digest) == LODE_OK &&
          digest == t->promise->backup[n].digest) ||
         bad(t, "backup %u holds something else", n);
  }
  return close_store(t, s) && ok;
}

static bool test_image (image_test *t) {
  bool ok;
  alarm(HANG);
  power_now = t->promise->now;
  ok = test_store(t);
  if (ok && t->profile->kinds & BIT(BACKUP) && t->profile->durability ==
      LODE_COMMIT)
    for (unsigned n = 0; ok && n <= t->promise->backups; n++)
      ok = test_backup(t, n);
  shared->images++;
  return ok;
}

/* }================================================================== */

/* {==================================================================
** All images of a log
** =================================================================== */

typedef struct replay {
  unsigned profile;
  uint64_t of;             /* the seed of the workload */
  unsigned worker;
  disk *d;
  promise promise;
  known known;
  disk_image image;
  uint64_t seen[RANDOM_IMAGES + 2];
  char top[100];
} replay;

/* The i-th way in which the power may go at a point. */
static disk_chance chance_of (unsigned i, uint64_t random) {
  static const unsigned percents[] = { 10, 50, 90 };
  disk_chance c = { 0, true, 0, random };
  if (i == 1) {
    c.percent = 100;
    c.size = 2;
  }
  else if (i > 1) {
    c.percent = percents[disk_random(&c.random) % 3];
    c.by_order = disk_random(&c.random) % 2 == 0;
    c.size = disk_random(&c.random) % 3;
  }
  return c;
}

/* Whether the image is like an earlier one of this point. */
static bool was_seen (replay *r, unsigned i) {
  r->seen[i] = image_digest(&r->image);
  for (unsigned j = 0; j < i; j++)
    if (r->seen[j] == r->seen[i])
      return true;
  return false;
}

static bool test_point (replay *r) {
  unsigned most = 2 + (is_long ? RANDOM_IMAGES : RANDOM_SHORT);
  unsigned n = disk_is_uncertain(r->d) ? most : 1;
  image_test t = { &profiles[r->profile], &r->promise, &r->known, r->top, 0,
                   "" };
  for (unsigned i = 0; i < n; i++) {
    uint64_t random = r->of ^ (uint64_t)r->d->point << 8 ^ i;
    disk_chance c = chance_of(i, disk_random(&random));
    disk_imagine(r->d, &c, &r->image);
    if (was_seen(r, i))
      continue;
    t.random = disk_random(&random);
    snprintf(t.where, sizeof t.where, "%s, seed %llu, point %u of %u, image "
             "%u (%u %%), in %s", t.profile->name, (unsigned long long)r->of,
             (unsigned)r->d->point, (unsigned)r->d->count, i, c.percent,
             r->top);
    image_put(r->d, &r->image, r->top, t.random % 2 == 0);
    memcpy(shared->doing[r->worker], t.where, sizeof t.where);
    if (!test_image(&t))
      return false;
    shared->by_profile[r->profile]++;
  }
  shared->points++;
  return true;
}

/* Every WORKERS-th point is this worker's. */
static bool replay_log (replay *r) {
  disk *d = r->d;
  bool ok = true;
  know(d, &r->known);
  while (ok && d->point <= d->count && !shared->failed) {
    if (d->point % WORKERS == r->worker)
      ok = test_point(r);
    if (d->point == d->count)
      break;
    promise_step(&r->promise, &d->records[d->point]);
    disk_step(d);
  }
  if (ok && lode_test_live_blocks() != 0)
    printf("%ld blocks of memory are left\n", lode_test_live_blocks());
  return ok && lode_test_live_blocks() == 0;
}

static bool replay_all (unsigned profile, uint64_t of, disk *d) {
  static replay r;
  pid_t pids[WORKERS];
  bool ok = true;
  fflush(stdout);
  for (unsigned w = 0; w < WORKERS; w++) {
    pids[w] = fork();
    if (pids[w] != 0)
      continue;
    r.profile = profile;
    r.of = of;
    r.worker = w;
    r.d = d;
    snprintf(r.top, sizeof r.top, "%s/image%u", scratch_dir, w);
    remove_all(r.top);
    mkdir(r.top, 0700);
    exit(replay_log(&r) ? 0 : 1);
  }
  for (unsigned w = 0; w < WORKERS; w++) {
    int status = -1;
    waitpid(pids[w], &status, 0);
    if (WIFSIGNALED(status))
      printf("signal %d at %s\n", WTERMSIG(status), shared->doing[w]);
    ok = ok && status == 0;
  }
  return ok;
}

/* }================================================================== */

/* {==================================================================
** All logs
** =================================================================== */

static bool test_profile (unsigned profile, uint64_t of) {
  static disk d;
  char root[100], log[100];
  bool ok;
  snprintf(root, sizeof root, "%s/root", scratch_dir);
  snprintf(log, sizeof log, "%s/log", scratch_dir);
  ok = expect(make_log(profile, of, root, &d)) &&
       expect(log_is_whole(root, log)) && expect(replay_all(profile, of, &d));
  if (!ok)
    printf("%s\n", shared->failure);
  disk_free(&d);
  if (ok)
    remove_all(root);
  return ok;
}

static uint64_t number_of (const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text != NULL && *text != '\0' ? strtoull(text, NULL, 10)
                                       : otherwise;
}

static void power_cuts (void) {
  uint64_t images = number_of("LODE_IMAGES", is_long ? 400000 : 4000);
  uint64_t only = number_of("LODE_PROFILE", LENGTH(profiles));
  for (uint64_t i = 0; shared->images < images; i++)
    for (unsigned p = 0; p < LENGTH(profiles); p++)
      if ((only == LENGTH(profiles) || only == p) &&
          !test_profile(p, seed + i))
        return;
}

static void print_counts (void) {
  printf("%llu images of %llu points, seed %llu\n",
         (unsigned long long)shared->images,
         (unsigned long long)shared->points, (unsigned long long)seed);
  for (unsigned p = 0; p < LENGTH(profiles); p++)
    printf("  %llu of %s\n", (unsigned long long)shared->by_profile[p],
           profiles[p].name);
  printf("  %llu before there was a store\n",
         (unsigned long long)shared->absent);
  printf("  %llu of \"os\" refused as damaged\n",
         (unsigned long long)shared->refused);
  printf("  %llu of \"os\" sound, and a mixture of states\n",
         (unsigned long long)shared->never);
}

int main (int argc, char **argv) {
  program = argv[0];
  if (argc == 6 && strcmp(argv[1], "record") == 0)
    return record((unsigned)atoi(argv[2]), strtoull(argv[3], NULL, 10),
                  argv[4], argv[5]);
  is_long = number_of("LODE_FULL", 0) == 1;
  seed = number_of("LODE_SEED", (uint64_t)time(NULL));
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    return 2;
  scratch_begin();
  test_group("the power goes", power_cuts);
  print_counts();
  if (test_total.failed == 0)
    scratch_end();
  return test_end();
}

/* }================================================================== */
