/*
** fault_damage.c - damaged files through all that a user can do with them:
** checked, opened with a check, read, walked, written, swept, mended,
** salvaged. Each ends in the same data or in a clear error: no signal, no
** hang, no wrong value.
**
** Every value says which entry it is of, in which version, and is made of
** nothing else; so a wrong one shows. Only of pages that were replaced by
** whole older ones (a write that was lost) an older version may come back,
** which LMDB's pages don't tell; and a meta page whose number is changed to
** just the one that it had two commits ago is as good as that older one.
**
** LODE_IMAGES says how many images there are: 480, or 60000 with
** LODE_FULL=1. Children work on them, one after the other; a child that dies
** or hangs is a failure, and the next goes on behind its image.
*/
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "images.h"

#include "core/hash.h"

#define ENTRIES 260       /* of each size */
#define HANG 20           /* seconds for one image */
#define MOST_FAILURES 20

typedef struct shared { /* with the children */
  volatile long image;   /* that is worked on */
  long passed, failed;   /* checks */
  long unharmed, refused, mended, salvaged, older, nothing;
  long kinds[KINDS];     /* of each, those that did harm */
} shared;

static shared *all;
static uint64_t whole_sum; /* of what a store that is whole holds */
static uint64_t before_sum; /* the same before the last commit */

static void hold (bool holds, long n, int kind, const char *what) {
  if (holds)
    all->passed++;
  else if (all->failed++ < MOST_FAILURES)
    printf("image %ld (%s): %s\n", n, kinds[kind], what);
}

/* {==================================================================
** What is stored
** =================================================================== */

/* The value of an entry: its number, its version, and bytes of both. */
static lode_slice value_of (uint64_t key, uint64_t version) {
  static unsigned char bytes[10000];
  size_t size = 16 + (size_t)((key * 2654435761u + version * 40503u) % 120);
  if (key % 37 == 5)
    size += 5000;
  memcpy(bytes, &key, 8);
  memcpy(bytes + 8, &version, 8);
  for (size_t i = 16; i < size; i++)
    bytes[i] = (unsigned char)(key * 31 + version * 17 + i);
  return slice_of(bytes, size);
}

static bool value_right (uint64_t key, lode_slice v) {
  uint64_t version;
  if (v.size < 16 || get64(v.data) != key)
    return false;
  memcpy(&version, v.data + 8, 8);
  return version < 1000 && slice_equal(v, value_of(key, version));
}

/* The key of a number: every fifth is a long one. */
static void key_of (lode_coll *c, uint64_t i, lode_buffer *b,
                    lode_key *key) {
  unsigned char text[600];
  b->size = 0;
  memset(text, 'k', sizeof text);
  memcpy(text + 580, &i, sizeof i);
  if (i % 5 == 0)
    lode_key_string(b, text, sizeof text);
  else
    lode_key_integer(b, (int64_t)i);
  lode_key_of(c, slice_of_buffer(b), slice_of(NULL, 0), key);
}

static lode_status put (lode_coll *c, uint64_t i, uint64_t version) {
  lode_buffer b = { NULL, 0, 0 };
  lode_value v = { value_of(i, version), LODE_BYTES };
  lode_key key;
  lode_status st;
  key_of(c, i, &b, &key);
  st = lode_put(c, &key, v, LODE_PUT,
                i % 7 == 0 ? 1000000000 + i : LODE_TTL_OWN);
  lode_buffer_free(&b);
  return st;
}

static lode_store *open_at (const char *path, lode_checking check,
                            lode_error *e) {
  lode_store *s = NULL;
  lode_options o;
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.single_file = true;
  o.map_size = (uint64_t)1 << 26;
  o.check = check;
  return lode_open(path, &o, &s, e) == LODE_OK ? s : NULL;
}

/* The number of a key that was given; UINT64_MAX: nobody made it. */
static uint64_t number_of (lode_slice whole) {
  lode_slice text;
  lode_buffer scratch = { NULL, 0, 0 };
  bool in_tuple = false;
  lode_atom a;
  lode_status st;
  if (lode_key_as_string(whole, &text))
    return text.size == 600 ? get64(text.data + 580) : UINT64_MAX;
  st = lode_key_read(&whole, &in_tuple, &scratch, &a);
  lode_buffer_free(&scratch);
  return st == LODE_OK && a.type == LODE_KEY_INTEGER ? (uint64_t)a.integer
                                                     : UINT64_MAX;
}

/*
** Walks all entries of all collections: whether each is right, and a sum of
** them. False: a walk has failed, which `*st` says.
*/
static bool all_right (lode_store *s, uint64_t *sum, lode_status *st) {
  lode_range range = { .limit = UINT64_MAX };
  lode_buffer name = { NULL, 0, 0 };
  lode_kind kind;
  bool right = true;
  *sum = 0;
  *st = LODE_OK;
  while (*st == LODE_OK && lode_coll_next(s, slice_of_buffer(&name), &name,
                                          &kind) == LODE_OK) {
    lode_coll_options none = { .raw = false };
    lode_coll *c = NULL;
    lode_walk *w = NULL;
    lode_slice key;
    lode_value v;
    if (kind == LODE_RAW)
      continue;
    *st = lode_coll_open(s, slice_of_buffer(&name), kind, &none, &c);
    if (*st == LODE_OK)
      *st = lode_walk_open(c, &range, false, &w);
    while (*st == LODE_OK && (*st = lode_walk_next(w, &key, &v)) == LODE_OK) {
      uint64_t i = number_of(key);
      right = right && (kind == LODE_SET ? v.data.size == 0
                                         : value_right(i, v.data));
      *sum += hash_crc32c_both(0, key, v.data) * 0x9E3779B97F4A7C15u;
    }
    *st = *st == LODE_ABSENT ? LODE_OK : *st;
    lode_walk_close(w);
    lode_coll_close(c);
  }
  lode_buffer_free(&name);
  return right;
}

/* Changes some of the entries; of each, only its own version is ever new. */
static lode_status churn (lode_store *s, uint64_t version, int n) {
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  lode_status st = LODE_OK;
  if (c == NULL)
    return LODE_NOT_FOUND;
  for (int i = 0; i < n && st == LODE_OK; i++) {
    lode_buffer b = { NULL, 0, 0 };
    lode_key key;
    st = put(c, test_below(ENTRIES), version);
    key_of(c, test_below(ENTRIES), &b, &key);
    if (st == LODE_OK && i % 3 == 0)
      st = lode_delete(c, &key);
    st = st == LODE_ABSENT ? LODE_OK : st;
    lode_buffer_free(&b);
  }
  lode_coll_close(c);
  return st;
}

/* What the state before the last commit holds. */
static uint64_t sum_before (const image *now) {
  image i = image_copy(now);
  size_t newest = get64(i.bytes + PAGE + 144) > get64(i.bytes + 144);
  uint64_t number = get64(i.bytes + newest * PAGE + 144) - 2, sum = 0;
  char path[128];
  lode_status st = LODE_OK;
  lode_error e;
  lode_store *s;
  memcpy(i.bytes + newest * PAGE + 144, &number, 8);
  snprintf(path, sizeof path, "%s", scratch_path("before"));
  image_write(&i, path);
  s = open_at(path, LODE_CHECK_FIRST, &e);
  expect(s != NULL && all_right(s, &sum, &st) && st == LODE_OK);
  lode_close(s, &e);
  free(i.bytes);
  return sum;
}

static void make_images (image *old, image *now) {
  lode_error e;
  const char *path = scratch_path("origin");
  char own[128];
  lode_store *s;
  lode_coll *c;
  lode_status st;
  snprintf(own, sizeof own, "%s", path);
  s = open_at(own, LODE_CHECK_NONE, &e);
  if (s == NULL) exit(2);
  c = scratch_coll(s, "d", LODE_DICT);
  expect(lode_begin(s) == LODE_OK);
  for (uint64_t i = 0; i < ENTRIES; i++)
    expect(put(c, i, 0) == LODE_OK);
  expect(lode_commit(s) == LODE_OK);
  lode_coll_close(c);
  c = scratch_coll(s, "set", LODE_SET);
  for (int64_t i = 0; i < 60; i++) {
    lode_value none = { { NULL, 0 }, LODE_NOTHING };
    lode_buffer b = { NULL, 0, 0 };
    lode_key key;
    key_of_integer(c, i * i, &b, &key);
    expect(lode_put(c, &key, none, LODE_PUT, LODE_TTL_OWN) == LODE_OK);
    lode_buffer_free(&b);
  }
  lode_coll_close(c);
  for (uint64_t v = 1; v <= 12; v++) {
    expect(churn(s, v, 12) == LODE_OK);
    if (v == 8) {
      *old = image_read(own);
    }
  }
  expect(all_right(s, &whole_sum, &st) && st == LODE_OK);
  expect(lode_close(s, &e) == LODE_OK);
  *now = image_read(own);
  before_sum = sum_before(now);
}

/* }================================================================== */

/* {==================================================================
** One image
** =================================================================== */

static bool is_clear (lode_status st, const lode_error *e) {
  return (st == LODE_CORRUPT || st == LODE_NOT_A_STORE ||
          st == LODE_INCOMPATIBLE) && e->text[0] != '\0';
}

/* A store that was found whole: reads, writes, sweeps. */
static void use_whole (lode_store *s, long n, int kind, bool older) {
  lode_budget all_of_it = { 0, 0, 0 };
  lode_check_report r = { .ok = false };
  uint64_t sum, removed;
  lode_status st;
  bool more, right = all_right(s, &sum, &st);
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  hold(right && st == LODE_OK, n, kind, "a wrong value, or none");
  hold(older || sum == whole_sum || (kind == META && sum == before_sum), n,
       kind, "other entries");
  if (c != NULL)
    for (uint64_t i = 0; i < ENTRIES; i += 13) {
      lode_buffer b = { NULL, 0, 0 };
      lode_value v;
      lode_key key;
      key_of(c, i, &b, &key);
      st = lode_get(c, &key, &v);
      hold(st == LODE_ABSENT || (st == LODE_OK && value_right(i, v.data)), n,
           kind, "a wrong value was read");
      lode_done(c);
      lode_buffer_free(&b);
    }
  lode_coll_close(c);
  hold(churn(s, 900, 6) == LODE_OK, n, kind, "it can't be written");
  hold(lode_maintain(s, &all_of_it, &removed, &more) == LODE_OK, n, kind,
       "it can't be swept");
  hold(lode_check(s, NULL, &r) == LODE_OK && r.ok, n, kind,
       "it is damaged after writes");
}

/* Damage that a check says can be mended is. */
static void mend_it (const char *path, long n, int kind) {
  const lode_check_options mending = { .repair = true };
  lode_check_report r = { .ok = false };
  lode_error e = { LODE_OK, "" };
  lode_store *s = open_at(path, LODE_CHECK_NONE, &e);
  uint64_t sum;
  lode_status st;
  if (s == NULL) {
    hold(is_clear(e.status, &e), n, kind, "no clear error");
    return;
  }
  st = lode_check(s, &mending, &r);
  hold(st == LODE_OK && r.ok, n, kind, "it was not mended");
  if (st == LODE_OK && r.ok) {
    all->mended++;
    hold(all_right(s, &sum, &st) && st == LODE_OK, n, kind,
         "a wrong value after it was mended");
  }
  lode_close(s, &e);
}

static void salvage_it (const char *path, const image *i, long n, int kind) {
  lode_salvage_report r;
  lode_error e = { LODE_OK, "" };
  char to[128];
  image after;
  uint64_t sum;
  lode_store *s;
  lode_status st;
  snprintf(to, sizeof to, "%s", scratch_path("saved"));
  st = lode_salvage(path, to, NULL, &r, &e);
  after = image_read(path);
  hold(after.size == i->size && memcmp(after.bytes, i->bytes, i->size) == 0,
       n, kind, "the salvage wrote to the original");
  free(after.bytes);
  if (st != LODE_OK) {
    hold(is_clear(st, &e), n, kind, e.text);
    all->nothing++;
    return;
  }
  all->salvaged++;
  all->older += r.older;
  s = open_at(to, LODE_CHECK_FIRST, &e);
  hold(s != NULL, n, kind, "the salvaged store is not whole");
  if (s != NULL) {
    hold(all_right(s, &sum, &st) && st == LODE_OK, n, kind,
         "a wrong value was salvaged");
    hold(!r.ok || sum == whole_sum, n, kind, "entries are missing, unsaid");
    lode_close(s, &e);
  }
}

static void one_image (const image *old, const image *now, long n) {
  char path[128];
  image i = image_copy(now);
  int kind = (int)(n % KINDS);
  bool twice = n % 7 == 3, older;
  lode_check_report r = { .ok = false };
  lode_error e = { LODE_OK, "" };
  lode_status st;
  lode_store *s;
  if (kind == CUT && n / KINDS < (long)(now->size / PAGE)) /* at each page */
    i.size = (size_t)(n / KINDS) * PAGE;
  else
    damage(&i, old, kind);
  if (twice)
    damage(&i, old, (int)test_below(KINDS));
  older = twice || kind == OLD || kind == COPIED;
  snprintf(path, sizeof path, "%s", scratch_path("image"));
  image_write(&i, path);
  st = lode_check_file(path, NULL, &r, &e);
  hold(st == LODE_OK || is_clear(st, &e), n, kind, "the check fails");
  s = open_at(path, LODE_CHECK_FIRST, &e);
  if (s == NULL)
    hold(is_clear(e.status, &e), n, kind, "no clear error");
  hold(s == NULL || (st == LODE_OK && r.ok), n, kind,
       "damage was passed at the opening");
  if (st == LODE_OK && r.ok && s != NULL)
    all->unharmed++;
  else {
    all->refused++;
    all->kinds[kind]++;
    salvage_it(path, &i, n, kind);
    if (st == LODE_OK && r.mendable)
      mend_it(path, n, kind);
  }
  if (s != NULL) {
    use_whole(s, n, kind, older);
    hold(lode_close(s, &e) == LODE_OK, n, kind, "it can't be closed");
  }
  free(i.bytes);
}

/* }================================================================== */

/* {==================================================================
** Many
** =================================================================== */

static long setting (const char *name, long standard) {
  const char *value = getenv(name);
  return value != NULL ? atol(value) : standard;
}

/* Removes all files of the image before. */
static void sweep_up (void) {
  static const char *const names[] = { "image", "saved" };
  static const char *const ends[] = { "", "-lock", "-lode" };
  char name[40];
  for (size_t i = 0; i < 2; i++)
    for (size_t k = 0; k < 3; k++) {
      snprintf(name, sizeof name, "%s%s", names[i], ends[k]);
      unlink(scratch_path(name));
    }
}

/* Works on images from `from` on until the end. */
static void work (const image *old, const image *now, long from, long to) {
  for (long n = from; n < to; n++) {
    all->image = n;
    alarm(HANG);
    for (long k = 0; k < 50 + n % 100; k++)
      test_random(); /* each image has its own */
    one_image(old, now, n);
    sweep_up();
  }
  alarm(0);
  fflush(stdout);
}

static void run (void) {
  long full = setting("LODE_FULL", 0);
  long n = setting("LODE_IMAGES", full ? 60000 : 480), deaths = 0;
  struct timespec a, b;
  image old, now;
  double seconds;
  all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) exit(2);
  make_images(&old, &now);
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (long from = 0; from < n && deaths < MOST_FAILURES;
       from = all->image + 1) {
    int how = 0;
    pid_t pid;
    fflush(stdout);
    for (long k = 0; k < 10; k++)
      test_random();
    pid = fork();
    if (pid == 0) {
      work(&old, &now, from, n < from + 500 ? n : from + 500);
      _exit(0);
    }
    expect(waitpid(pid, &how, 0) == pid);
    if (WIFSIGNALED(how) || WEXITSTATUS(how) != 0) {
      deaths++;
      printf("image %ld (%s): %s %d\n", all->image,
             kinds[all->image % KINDS], WIFSIGNALED(how) ? "signal"
             : "exit status", WIFSIGNALED(how) ? WTERMSIG(how)
             : WEXITSTATUS(how));
      sweep_up();
    }
  }
  clock_gettime(CLOCK_MONOTONIC, &b);
  seconds = (double)(b.tv_sec - a.tv_sec) +
            (double)(b.tv_nsec - a.tv_nsec) / 1e9;
  expect(deaths == 0 && all->failed == 0);
  test_now.passed += all->passed;
  printf("%ld images of damaged files, %.0f a second, %ld deaths or hangs, "
         "%ld failures\n", n, (double)n / seconds, deaths, all->failed);
  printf("%ld found whole, %ld found damaged; of these %ld salvaged "
         "(%ld from the state before), %ld not, %ld mended\n",
         all->unharmed, all->refused, all->salvaged, all->older,
         all->nothing, all->mended);
  for (int k = 0; k < KINDS; k++)
    expect(n < KINDS * 20 || all->kinds[k] > 0);
  free(old.bytes);
  free(now.bytes);
}

/* }================================================================== */

int main (void) {
  scratch_begin();
  test_group("damaged files do no harm", run);
  scratch_end();
  return test_end();
}
