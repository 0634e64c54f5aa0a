/*
** verify.c - the check of a store's content, over pages. See verify.h.
**
** First, quietly, the catalogue is looked for, since the trees of the
** collections may stand before it; then everything is walked once: free
** pages, the catalogue, and the main tree with each tree that it names.
*/
#define VERIFY_ROOM
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIN_TRIES 100 /* each fails only when two commits come at once */

/* {==================================================================
** Collections
** =================================================================== */

static void tell_entry (verify *v, const pages_entry *e, lode_slice whole,
                        const char *wrong) {
  verify_text t;
  if (v->f.problems > PAGES_TOLD || v->f.problem == NULL)
    t.bytes[0] = '\0'; /* nobody reads it */
  else
    t = verify_text_of_key(&v->scratch, whole);
  verify_tell(v, e->page, "the entry %s: %s", t.bytes, wrong);
}

/* Whether a key has a type that the collection allows. */
static bool type_ok (lode_type allowed, lode_key_type type) {
  switch (allowed) {
    case LODE_STRING: return type == LODE_KEY_STRING;
    case LODE_INTEGER: return type == LODE_KEY_INTEGER;
    case LODE_NUMBER:
      return type == LODE_KEY_INTEGER || type == LODE_KEY_NUMBER;
    case LODE_BOOLEAN: return type == LODE_KEY_BOOLEAN;
    case LODE_TABLE: case LODE_TUPLE: return type == LODE_KEY_TUPLE;
    default: return true;
  }
}

lode_status verify_read_key (lode_buffer *scratch, lode_type type,
                             lode_slice whole) {
  lode_slice string;
  bool in_tuple = false;
  lode_key_type found;
  lode_atom a;
  lode_status st = LODE_OK;
  if (lode_key_as_string(whole, &string) && type_ok(type, LODE_KEY_STRING))
    return LODE_OK;
  if (key_type(whole, &found) != LODE_OK || !type_ok(type, found))
    return LODE_CORRUPT;
  while (st == LODE_OK)
    st = lode_key_read(&whole, &in_tuple, scratch, &a);
  return st == LODE_ABSENT ? LODE_OK : st;
}

void verify_add_call (verify_calls *to, lode_slice call, lode_slice stored) {
  uint64_t crc = hash_crc32c_both(0, call, stored);
  to->count++;
  to->sum += crc * 0x9E3779B97F4A7C15u; /* of a sum of them the order is
                                           nothing, each bit something */
}

/* Notes the call of a record with a deadline. */
static lode_status note_call (verify *v, const pages_entry *e,
                              const record *r) {
  unsigned char bytes[8];
  record_parts parts;
  record_read_parts(r, &parts);
  if (key_stored_is_long(e->key)) /* they share calls */
    return lode_buffer_add(&v->calls, &parts.call, sizeof parts.call);
  put_u64(bytes, parts.call);
  verify_add_call(&v->coll->calls, slice_of(bytes, sizeof bytes), e->key);
  return LODE_OK;
}

static int compare_calls (const void *a, const void *b) {
  uint64_t x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return (x > y) - (x < y);
}

/* Adds the calls of a bucket, each once. */
static void add_calls (verify *v, lode_slice stored) {
  size_t n = v->calls.size / 8;
  if (n > 1)
    qsort(v->calls.data, n, 8, compare_calls);
  for (size_t i = 0; i < n; i++) {
    const unsigned char *p = v->calls.data + 8 * i;
    unsigned char bytes[8];
    uint64_t call;
    if (i > 0 && memcmp(p, p - 8, 8) == 0)
      continue;
    memcpy(&call, p, sizeof call);
    put_u64(bytes, call);
    verify_add_call(&v->coll->calls, slice_of(bytes, sizeof bytes), stored);
  }
  v->calls.size = 0;
}

/* A key and its record; counts the entry, unless it is hidden. */
static lode_status check_record (verify *v, const pages_entry *e,
                                 lode_slice whole, lode_slice bytes) {
  record r;
  lode_status st = verify_read_key(&v->scratch, v->coll->key, whole);
  if (st == LODE_CORRUPT)
    tell_entry(v, e, whole, "its key is none");
  else if (st != LODE_OK)
    return verify_no_memory(v);
  v->entries++;
  if (record_read(&v->check, whole, bytes, &r) != LODE_OK) {
    tell_entry(v, e, whole, "it is damaged: its checksum is another");
    v->coll->broken = true;
    return LODE_OK;
  }
  if (r.flags & RECORD_HIDDEN)
    v->entries--;
  if (r.flags & RECORD_LIFE && note_call(v, e, &r) != LODE_OK)
    return verify_no_memory(v);
  return LODE_OK;
}

bool verify_stands_under (lode_slice whole, lode_slice stored,
                          const unsigned char *secret) {
  lode_key key;
  if (whole.size < LODE_KEY_ROOM || whole.size > LODE_KEY_MAX)
    return false;
  if (secret == NULL)
    return memcmp(whole.data, stored.data, KEY_PREFIX) == 0;
  key.whole = whole;
  key_store(&key, slice_of(NULL, 0), secret);
  return slice_equal(key.stored, stored);
}

/* The keys that stand under a long one. */
static lode_status check_bucket (verify *v, const pages_entry *e) {
  lode_slice bucket = e->value, last = { NULL, 0 };
  bool hashed = !v->coll->custom_hash && v->store;
  bucket_entry b;
  lode_status st = LODE_OK;
  uint64_t n = 0;
  while ((st = bucket_next(&bucket, &b)) == LODE_OK) {
    if (slice_compare(last, b.whole) >= 0)
      tell_entry(v, e, b.whole, "it is out of order among long keys");
    else if (!verify_stands_under(b.whole, e->key,
                                  hashed ? v->secret : NULL))
      tell_entry(v, e, b.whole, "its long key stands in a wrong place");
    st = check_record(v, e, b.whole, b.record);
    if (st != LODE_OK)
      return st;
    last = b.whole;
    n++;
  }
  add_calls(v, e->key);
  if (st != LODE_ABSENT || n == 0)
    tell_entry(v, e, e->key, "what stands under a long key is damaged");
  return LODE_OK;
}

static lode_status visit_entry (void *data, const pages_entry *e) {
  verify *v = data;
  v->records++;
  if (key_stored_is_long(e->key))
    return check_bucket(v, e);
  if (e->key.size > LODE_KEY_ROOM)
    tell_entry(v, e, e->key, "its key is too long for the tree");
  return check_record(v, e, e->key, e->value);
}

static lode_status check_collection (verify *v, verify_known *k,
                                     const pages_tree *tree) {
  bool broken = v->f.broken;
  lode_status st;
  verify_at(v, k->kind == LODE_SET ? "set" : "dict", verify_name(v, k));
  k->seen = true;
  v->coll = k;
  v->check = record_check_of(k->number, true);
  v->records = v->entries = 0;
  v->f.broken = false;
  st = pages_walk(&v->f, tree, PAGES_NAMED, visit_entry, v);
  v->report.entries += v->entries;
  if (st == LODE_OK && !v->f.broken &&
      (int64_t)(v->entries - v->records) != k->extra)
    verify_tell(v, 0, "it has %llu entries, the catalogue says %lld",
                (unsigned long long)v->entries,
                (long long)(v->records + (uint64_t)k->extra));
  k->broken = k->broken || v->f.broken;
  v->f.broken = v->f.broken || broken;
  return st;
}

static lode_status visit_call (void *data, const pages_entry *e) {
  verify *v = data;
  if (e->key.size <= 8 || e->value.size != 0) {
    verify_tell(v, e->page, "what stands there is no call");
    return LODE_OK;
  }
  verify_add_call(&v->coll->index, slice_of(e->key.data, 8),
           slice_of(e->key.data + 8, e->key.size - 8));
  return LODE_OK;
}

/* The index of a collection's deadlines. */
static lode_status check_calls (verify *v, verify_known *k,
                                const pages_tree *tree) {
  bool broken = v->f.broken;
  lode_status st;
  verify_at(v, "the deadlines of", verify_name(v, k));
  v->coll = k;
  v->f.broken = false;
  st = pages_walk(&v->f, tree, PAGES_NAMED, visit_call, v);
  k->broken = k->broken || v->f.broken;
  v->f.broken = v->f.broken || broken;
  return st;
}

/* }================================================================== */

/* {==================================================================
** All trees
** =================================================================== */

bool verify_without (lode_slice *name, const char *suffix) {
  size_t size = strlen(suffix);
  if (name->size <= size ||
      memcmp(name->data + name->size - size, suffix, size) != 0)
    return false;
  name->size -= size;
  return true;
}

bool verify_number_of (lode_slice name, size_t *made, uint32_t *number) {
  size_t at = name.size;
  uint64_t n = 0;
  while (at > 0 && name.data[at - 1] >= '0' && name.data[at - 1] <= '9')
    at--;
  if (at == 0 || at == name.size || name.data[at - 1] != '#' ||
      name.size - at > 10)
    return false;
  *made = at - 1;
  for (; at < name.size; at++)
    n = n * 10 + (uint64_t)(name.data[at] - '0');
  *number = (uint32_t)n;
  return n <= UINT32_MAX;
}

/* A database of lode's: a collection, an index. False: it is another's. */
static bool check_own (verify *v, lode_slice name, const pages_tree *tree,
                       lode_status *st) {
  bool due = verify_without(&name, ".due");
  bool order = !due && verify_without(&name, ".order");
  bool entries = !due && !order;
  uint32_t number;
  size_t made;
  verify_known *k;
  if (!v->own || !verify_number_of(name, &made, &number))
    return false;
  v->f.where = "the main tree";
  k = verify_find(&v->known, number);
  if (k != NULL && tree->flags != 0)
    pages_tell(&v->f, 0, "collection %lu has flags that are not lode's",
               (unsigned long)number);
  if (k != NULL &&
      slice_equal(slice_of(name.data, made), verify_made(v, k))) {
    if (!order) {
      *st = due ? check_calls(v, k, tree) : check_collection(v, k, tree);
      return true;
    }
    verify_at(v, "the order of", verify_name(v, k));
  }
  else {
    k = verify_find(&v->dropped, number);
    if (k == NULL || !slice_equal(name, verify_made(v, k)))
      return false;
    verify_at(v, "the dropped", name);
    k->seen = k->seen || entries;
  }
  *st = pages_walk(&v->f, tree, PAGES_NAMED, NULL, NULL);
  return true;
}

/* A tree that the main one names. */
static lode_status check_tree (verify *v, lode_slice name,
                               const pages_tree *tree) {
  lode_status st = LODE_OK;
  if (v->own && slice_equal(name, verify_own()))
    return LODE_OK; /* it came first */
  if (check_own(v, name, tree, &st))
    return st;
  verify_at(v, "database", name);
  v->report.collections++;
  v->report.entries += tree->entries;
  return pages_walk(&v->f, tree, PAGES_NAMED, NULL, NULL);
}

static lode_status visit_main (void *data, const pages_entry *e) {
  verify *v = data;
  lode_status st = LODE_OK;
  if (e->tree != NULL)
    st = check_tree(v, e->key, e->tree);
  v->f.where = "the main tree";
  if (v->own && verify_is_generation(e)) {
    v->generation = true;
    if (!verify_generation_ok(e))
      verify_tell(v, e->page, "the record of the catalogue's generation "
                  "is damaged");
  }
  return st;
}

static lode_status check_all (verify *v) {
  lode_status st = verify_find_catalog(v);
  if (st == LODE_OK)
    st = pages_walk_free(&v->f);
  if (st == LODE_OK && v->own) {
    v->generation = false; /* to be found once more */
    st = verify_catalog(v);
  }
  v->f.where = "the main tree";
  if (v->own && v->f.state.main.flags != 0)
    pages_tell(&v->f, 0, "its flags are not those of a store");
  if (st == LODE_OK)
    st = pages_walk(&v->f, &v->f.state.main, PAGES_MAIN, visit_main, v);
  if (st == LODE_OK && v->own)
    verify_compare(v);
  if (st == LODE_OK)
    pages_account(&v->f);
  return st;
}

/* }================================================================== */

/* {==================================================================
** Files and stores
** =================================================================== */

verify *verify_new (int fd, const lode_check_options *o,
                    lode_error *error) {
  verify *v = lode_malloc(sizeof *v);
  if (v == NULL)
    return NULL;
  memset(v, 0, sizeof *v);
  pages_init(&v->f, fd);
  v->error = error;
  if (o != NULL) {
    v->f.problem = o->problem;
    v->f.progress = o->progress;
    v->f.data = o->data;
  }
  return v;
}

void verify_free (verify *v) {
  pages_done(&v->f);
  lode_buffer_free(&v->known);
  lode_buffer_free(&v->dropped);
  lode_buffer_free(&v->texts);
  lode_buffer_free(&v->scratch);
  lode_buffer_free(&v->calls);
  lode_free(v);
}

lode_status verify_run (verify *v, lode_status st,
                        lode_check_report *report) {
  uint64_t total = (v->f.state.last_page + 1) * v->f.page_size;
  if (st == LODE_OK)
    st = check_all(v);
  else if (st == LODE_ABSENT) /* nothing to walk; it was told why */
    st = LODE_OK;
  if (st == LODE_NO_MEMORY)
    return verify_no_memory(v);
  if (st == LODE_OK && v->f.progress != NULL &&
      !v->f.progress(v->f.data, total, total))
    st = LODE_CALLBACK;
  if (st == LODE_CALLBACK)
    return fail(v->error, st, "the check was stopped");
  if (st != LODE_OK)
    return st;
  v->report.pages = v->f.used_pages;
  v->report.bytes = v->f.used_pages * v->f.page_size;
  v->report.problems = v->f.problems;
  v->report.ok = v->f.problems == 0;
  v->report.mendable = v->own && v->store && v->mild > 0 &&
                       v->f.problems == v->mild + v->f.leaked;
  *report = v->report;
  return LODE_OK;
}

/*
** A later commit but one writes over the meta page of the state that was
** pinned: then the next state is tried.
*/
lode_status verify_pin (verify *v, kv_txn *t) {
  const struct timespec nap = { 0, 1000000 };
  lode_status st = LODE_BUSY;
  for (int i = 0; i < PIN_TRIES && st == LODE_BUSY; i++) {
    if (i > 0) {
      kv_read_end(t);
      nanosleep(&nap, NULL);
    }
    st = kv_read_begin(t);
    if (st != LODE_OK)
      return st;
    st = pages_open(&v->f, kv_txn_number(t), v->error);
  }
  return st;
}

lode_status verify_open_data (const char *path, int *fd,
                              lode_error *error) {
  struct stat st;
  files f;
  bool is_dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
  lode_status status = files_name(&f, path, !is_dir);
  if (status != LODE_OK)
    return fail(error, status, "%s: no memory", path);
  *fd = open(f.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (*fd < 0)
    status = fail(error, errno == ENOENT || errno == ENOTDIR
                  ? LODE_NOT_FOUND : LODE_IO, "there is no store to read at "
                  "%s: %s", path, strerror(errno));
  else if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    status = fail(error, LODE_NOT_A_STORE, "%s is no regular file", f.data);
    close(*fd);
  }
  files_free(&f);
  return status;
}

lode_status lode_check_file (const char *path, const lode_check_options *o,
                             lode_check_report *report, lode_error *error) {
  uint64_t number;
  verify *v;
  int fd = -1;
  lode_status st = verify_open_data(path, &fd, error);
  if (st != LODE_OK)
    return st;
  v = verify_new(fd, o, error);
  if (v == NULL) {
    close(fd);
    return fail(error, LODE_NO_MEMORY, "%s: no memory", path);
  }
  number = pages_newest(&v->f);
  st = verify_run(v, pages_open(&v->f, 0, error), report);
  if (st == LODE_OK && v->f.problems > 0 && number != pages_newest(&v->f))
    st = fail(error, LODE_BUSY, "%s was written to while it was checked; "
              "check it through an open store", path);
  verify_free(v);
  close(fd);
  return st;
}

typedef struct first_problem {
  bool heard;
  char text[250];
} first_problem;

static void note_problem (void *data, const char *text) {
  first_problem *p = data;
  size_t size = strlen(text);
  if (p->heard)
    return;
  p->heard = true;
  size = size < sizeof p->text - 1 ? size : sizeof p->text - 1;
  memcpy(p->text, text, size);
  p->text[size] = '\0';
}

lode_status verify_open (kv_txn *t) {
  first_problem first = { .heard = false };
  const lode_check_options o = { .problem = note_problem, .data = &first };
  lode_check_report r = { .ok = false };
  verify *v = verify_new(kv_data(t->env), &o, t->error);
  lode_status st;
  if (v == NULL)
    return fail(t->error, LODE_NO_MEMORY, "no memory to check the store");
  st = verify_run(v, verify_pin(v, t), &r);
  kv_read_end(t);
  verify_free(v);
  if (st == LODE_OK && !r.ok)
    st = fail(t->error, LODE_CORRUPT, "the store is damaged: %s (problems: "
              "%llu); lode.check(path) tells all, lode.repair(path, to) "
              "saves what is sound", first.text,
              (unsigned long long)r.problems);
  return st;
}

/* }================================================================== */
