/*
** test_damage.c - the check of damaged files: whatever the bytes are, it
** ends, says what is wrong, and what it finds sound can be used.
**
** LODE_IMAGES says how many random images are tried (4000), LODE_SEED
** which.
*/
#include <fcntl.h>

#include "images.h"

#include "core/hash.h"
#include "core/verify.h"

static char last_problem[700];
static long told;

static void hear (void *data, const char *text) {
  (void)data;
  told++;
  snprintf(last_problem, sizeof last_problem, "%s", text);
}

static const lode_check_options listening = { .problem = hear };

static lode_store *open_os (const char *name) {
  lode_options o;
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.map_size = (uint64_t)1 << 26;
  return scratch_open(name, &o);
}

static lode_slice random_value (size_t most) {
  static unsigned char bytes[20000];
  size_t size = test_below(most + 1);
  for (size_t i = 0; i < size; i += 16)
    bytes[i] = (unsigned char)test_random();
  return slice_of(bytes, size);
}

static void put_long (lode_coll *c, int n) {
  unsigned char text[600];
  lode_buffer b = { NULL, 0, 0 };
  for (int i = 0; i < n; i++) {
    lode_value v = { slice_of(&i, sizeof i), LODE_BYTES };
    lode_key key;
    memset(text, 'k' + i % 3, sizeof text);
    memcpy(text + 580, &i, sizeof i);
    b.size = 0;
    lode_key_string(&b, text, sizeof text);
    lode_key_of(c, slice_of_buffer(&b), slice_of(NULL, 0), &key);
    expect(lode_put(c, &key, v, LODE_PUT, LODE_TTL_OWN) == LODE_OK);
  }
  lode_buffer_free(&b);
}

/* Puts entries with a deadline. */
static void put_mortal (lode_coll *c, int n) {
  lode_buffer b = { NULL, 0, 0 };
  for (int i = 0; i < n; i++) {
    lode_value v = { random_value(100), LODE_BYTES };
    lode_key key;
    key_of_integer(c, 50000 + i * i, &b, &key);
    expect(lode_put(c, &key, v, LODE_PUT, 1000000000 + (uint64_t)i) ==
           LODE_OK);
  }
  lode_buffer_free(&b);
}

/* {==================================================================
** Each byte of what is stored
** =================================================================== */

static struct {
  int fd;
  const char *path;
  image i;
  long flips, missed;
} flipped;

/* Flips a bit of the byte at `at`: the check must tell. */
static void flip (size_t at) {
  unsigned char now = flipped.i.bytes[at];
  unsigned char other = (unsigned char)(now ^ 1 << test_below(8));
  lode_check_report r = { .ok = true };
  lode_error e;
  lode_status st;
  if (pwrite(flipped.fd, &other, 1, (off_t)at) != 1) exit(2);
  st = lode_check_file(flipped.path, NULL, &r, &e);
  flipped.flips++;
  if (st == LODE_OK && r.ok && flipped.missed++ < 10)
    printf("page %zu, byte %zu: %02x for %02x was not told\n", at / PAGE,
           at % PAGE, other, now);
  if (pwrite(flipped.fd, &now, 1, (off_t)at) != 1) exit(2);
}

static void flip_all (size_t from, size_t size) {
  for (size_t at = from; at < from + size; at++)
    flip(at);
}

/* A big value's head, and some of its bytes. */
static void flip_big (size_t page, size_t size) {
  flip_all(page * PAGE, 8);
  flip_all(page * PAGE + 10, 6);
  for (size_t i = 0; i < size; i += 1 + test_below(40))
    flip(page * PAGE + 16 + i);
}

static void flip_page (size_t page) {
  const unsigned char *p = flipped.i.bytes + page * PAGE;
  size_t nodes = (get16(p + 12) - 16) / 2;
  bool leaf = get16(p + 10) == 2;
  if (get16(p + 10) != 1 && !leaf) /* a big value: with its node */
    return;
  flip_all(page * PAGE, 8);
  flip_all(page * PAGE + 10, 6 + 2 * nodes);
  for (size_t n = 0; n < nodes; n++) {
    size_t at = get16(p + 16 + 2 * n), key = get16(p + at + 6);
    size_t size = get16(p + at) | get16(p + at + 2) << 16;
    flip_all(page * PAGE + at, 8);
    if (!leaf) /* its keys only lead: another that leads well is no harm */
      continue;
    if (get16(p + at + 4) & 1) {
      flip_big(get64(p + at + 8 + key), size);
      size = 8;
    }
    flip_all(page * PAGE + at + 8, key + size);
  }
}

/* Writes the page `p` over one: the check must tell. */
static void with_page (size_t page, const unsigned char *p,
                       const char *what) {
  lode_check_report r = { .ok = true };
  lode_error e;
  off_t at = (off_t)(page * PAGE);
  if (pwrite(flipped.fd, p, PAGE, at) != PAGE) exit(2);
  if (!expect(lode_check_file(flipped.path, NULL, &r, &e) == LODE_OK &&
              !r.ok))
    printf("page %zu: %s was not told\n", page, what);
  if (pwrite(flipped.fd, flipped.i.bytes + at, PAGE, at) != PAGE) exit(2);
}

/* Two nodes in each other's place, two children in each other's. */
static int exchange (size_t page) {
  const unsigned char *p = flipped.i.bytes + page * PAGE;
  unsigned char copy[PAGE];
  if (get16(p + 10) > 2 || get16(p + 12) < 20) /* one node or no nodes */
    return 0;
  memcpy(copy, p, PAGE);
  if (get16(p + 10) == 2) {
    memcpy(copy + 16, p + 18, 2);
    memcpy(copy + 18, p + 16, 2);
    with_page(page, copy, "a wrong order");
    return 1;
  }
  memcpy(copy + get16(p + 16), p + get16(p + 18), 6);
  memcpy(copy + get16(p + 18), p + get16(p + 16), 6);
  with_page(page, copy, "a wrong branch");
  return 1 << 16;
}

/* A store without free pages, so that all that is there is in use. */
static void every_byte (void) {
  const lode_backup_options compact = { .compact = true };
  char path[160];
  int exchanged = 0;
  lode_store *s = open_os("whole");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT), *other;
  for (int64_t i = 0; i < 150; i++)
    expect(put_integer(c, i, random_value(60)) == LODE_OK);
  put_integer(c, 1000, random_value(20000));
  put_integer(c, 1001, slice_of("", 0));
  put_long(c, 3);
  put_mortal(c, 5); /* so that its index of deadlines isn't empty */
  other = scratch_coll(s, "other", LODE_DICT);
  put_mortal(other, 1);
  expect(lode_backup(s, scratch_path("copy"), &compact) == LODE_OK);
  lode_coll_close(c);
  lode_coll_close(other);
  scratch_close(s);
  snprintf(path, sizeof path, "%s/data.mdb", scratch_path("copy"));
  flipped.path = path;
  flipped.i = image_read(path);
  flipped.fd = open(path, O_RDWR);
  flip_all(PAGE, 8);
  flip_all(PAGE + 16, 8);
  flip_all(PAGE + 40, 112); /* from the page size to the transaction */
  for (size_t page = 2; page < flipped.i.size / PAGE; page++)
    flip_page(page);
  expect(flipped.missed == 0 && flipped.flips > 10000);
  for (size_t page = 2; page < flipped.i.size / PAGE; page++)
    exchanged += exchange(page);
  expect(exchanged >> 16 > 0 && (exchanged & 0xFFFF) > 3);
  printf("        %ld bytes, %ld not told\n", flipped.flips, flipped.missed);
  close(flipped.fd);
  free(flipped.i.bytes);
}

/* }================================================================== */

/* {==================================================================
** Words
** =================================================================== */

/* Where `text` stands in an image. */
static size_t find (const image *i, const char *text) {
  unsigned char *p = memmem(i->bytes, i->size, text, strlen(text));
  return p == NULL ? 0 : (size_t)(p - i->bytes);
}

/* Problems name the page, the collection and the key. */
static void words (void) {
  char path[160], page[40];
  lode_check_report r;
  lode_error e;
  image i;
  size_t at;
  lode_store *s = open_os("words");
  lode_coll *c = scratch_coll(s, "numbers", LODE_DICT);
  put_integer(c, 77, test_text("a value to be found"));
  put_integer(c, 78, test_text("another value"));
  lode_coll_close(c);
  scratch_close(s);
  snprintf(path, sizeof path, "%s/data.mdb", scratch_path("words"));
  i = image_read(path);
  while ((at = find(&i, "a value to be found")) != 0) /* old copies too */
    i.bytes[at] ^= 1;
  image_write(&i, path);
  told = 0;
  expect(lode_check_file(scratch_path("words"), &listening, &r, &e) ==
         LODE_OK);
  expect(!r.ok && r.problems == 1 && told == 1 && r.entries == 2);
  expect(strstr(last_problem, "dict \"numbers\"") != NULL);
  expect(strstr(last_problem, "the entry 77: ") != NULL);
  expect(sscanf(last_problem, "%30s %zu,", page, &at) == 2 &&
         strcmp(page, "page") == 0 && at >= 2 && at < i.size / PAGE);
  free(i.bytes);
}

/* }================================================================== */

/* {==================================================================
** Random images
** =================================================================== */

/*
** Adds up what a store holds. False: it can't be read. Other programs'
** databases are left out: an index whose name is damaged becomes one.
*/
static bool digest (lode_store *s, uint64_t *sum) {
  lode_range all = { .limit = UINT64_MAX };
  lode_buffer name = { NULL, 0, 0 };
  lode_kind kind;
  bool ok = lode_buffer_reserve(&name, 1) == LODE_OK;
  *sum = 0;
  while (ok && lode_coll_next(s, slice_of_buffer(&name), &name, &kind) ==
         LODE_OK) {
    lode_coll_options none = { .raw = false };
    lode_coll *c = NULL;
    lode_walk *w = NULL;
    lode_slice key;
    lode_value v;
    lode_status st;
    if (kind == LODE_RAW)
      continue;
    st = lode_coll_open(s, slice_of_buffer(&name), kind, &none, &c);
    if (st == LODE_OK)
      st = lode_walk_open(c, &all, false, &w);
    while (st == LODE_OK && (st = lode_walk_next(w, &key, &v)) == LODE_OK)
      *sum = *sum * 31 + hash_crc32c_both(v.codec, key, v.data);
    ok = st == LODE_ABSENT;
    *sum = *sum * 31 + hash_crc32c(kind, name.data, name.size);
    lode_walk_close(w);
    lode_coll_close(c);
  }
  lode_buffer_free(&name);
  return ok;
}

/* Changes what is there; its pages come from the list of free ones. */
static void churn (lode_store *s, int rounds) {
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  for (int i = 0; c != NULL && i < rounds; i++) {
    expect(put_integer(c, (int64_t)test_below(400), random_value(300)) ==
           LODE_OK);
    lode_status st = delete_integer(c, (int64_t)test_below(400));
    expect(st == LODE_OK || st == LODE_ABSENT);
    if (i % 8 == 0)
      put_integer(c, (int64_t)test_below(20), random_value(9000));
  }
  lode_coll_close(c);
}

/* A store with a history, and an image of it some commits ago. */
static void make_store (image *old, image *now, uint64_t *sum) {
  char path[160];
  lode_store *s = open_os("store");
  lode_coll *c = scratch_coll(s, "d", LODE_DICT), *set;
  snprintf(path, sizeof path, "%s/data.mdb", scratch_path("store"));
  expect(lode_begin(s) == LODE_OK);
  for (int64_t i = 0; i < 400; i++)
    put_integer(c, i, random_value(150));
  expect(lode_commit(s) == LODE_OK);
  set = scratch_coll(s, "gone", LODE_DICT);
  put_integer(set, 1, random_value(9000));
  lode_coll_close(set);
  expect(lode_drop(s, test_text("gone")) == LODE_OK);
  set = scratch_coll(s, "set", LODE_SET);
  for (int64_t i = 0; i < 100; i++) {
    lode_value none = { { NULL, 0 }, LODE_NOTHING };
    lode_buffer b = { NULL, 0, 0 };
    lode_key key;
    key_of_integer(set, i * i, &b, &key);
    lode_put(set, &key, none, LODE_PUT, LODE_TTL_OWN);
    lode_buffer_free(&b);
  }
  put_long(c, 12);
  put_mortal(c, 40);
  put_mortal(set, 10);
  churn(s, 60);
  *old = image_read(path);
  churn(s, 30);
  lode_coll_close(set);
  lode_coll_close(c);
  scratch_close(s);
  *now = image_read(path);
  s = open_os("store");
  expect(digest(s, sum));
  scratch_close(s);
}

/* What the check found sound must be so: it is read, changed, checked. */
static void use (const char *path, int kind, uint64_t sum, long n) {
  lode_options o;
  lode_store *s = NULL;
  lode_error e = { LODE_OK, "" };
  lode_check_report r = { .ok = false };
  uint64_t now = 0;
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.single_file = true;
  o.map_size = (uint64_t)1 << 26;
  if (!expect(lode_open(path, &o, &s, &e) == LODE_OK)) {
    printf("image %ld, %s: %s\n", n, kinds[kind], e.text);
    return;
  }
  expect(digest(s, &now));
  /* An older page may fit in: LMDB's pages bear no date. */
  if (kind != OLD && kind != COPIED && !expect(now == sum))
    printf("image %ld, %s: other entries\n", n, kinds[kind]);
  churn(s, 4);
  told = 0;
  expect(lode_check(s, &listening, &r) == LODE_OK);
  if (!expect(r.ok))
    printf("image %ld, %s, after writes: %s\n", n, kinds[kind],
           last_problem);
  scratch_close(s);
}

static long setting (const char *name, long standard) {
  const char *value = getenv(name);
  return value != NULL ? atol(value) : standard;
}

static void random_images (void) {
  long images = setting("LODE_IMAGES", 4000), seed = setting("LODE_SEED", 1);
  long found[KINDS] = { 0 }, sound[KINDS] = { 0 };
  const char *name = "image.mdb";
  image old, now;
  uint64_t sum;
  make_store(&old, &now, &sum);
  while (seed-- > 1) test_random();
  for (long n = 0; n < images; n++) {
    image i = image_copy(&now);
    int kind = (int)(n % KINDS);
    lode_check_report r = { .ok = false };
    lode_error e = { LODE_OK, "" };
    lode_status st;
    damage(&i, &old, kind);
    if (n % 7 == 3) damage(&i, &old, (int)test_below(KINDS));
    image_write(&i, scratch_path(name));
    told = 0;
    st = lode_check_file(scratch_path(name), &listening, &r, &e);
    expect(st == LODE_OK || st == LODE_NOT_A_STORE ||
           st == LODE_INCOMPATIBLE);
    if (st == LODE_OK && r.ok) {
      sound[kind]++;
      use(scratch_path(name), n % 7 == 3 ? OLD : kind, sum, n);
    }
    else {
      found[kind]++;
      expect(st != LODE_OK || (r.problems > 0 && told > 0));
    }
    unlink(scratch_path(name));
    free(i.bytes);
  }
  for (int k = 0; k < KINDS; k++) {
    printf("        %-32s %5ld found, %5ld no harm\n", kinds[k], found[k],
           sound[k]);
    expect(images < KINDS * 20 || found[k] > 0);
  }
  free(old.bytes);
  free(now.bytes);
}

/* }================================================================== */

int main (void) {
  scratch_begin();
  test_group("each byte of what is stored matters", every_byte);
  test_group("a problem names page, collection and key", words);
  test_group("damaged files are found out", random_images);
  scratch_end();
  return test_end();
}
