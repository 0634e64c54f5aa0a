/*
** pages.c - the file as pages: its meta pages, reading, and which page is
** used for what. See pages.h.
**
** Pages are read by pread, never through a map, so a file that is cut
** short or a bad sector is a short read or an error and no signal. Where
** pages follow one another in the file they are read in blocks; else one
** by one, while the system, told what comes, fetches the file in order.
*/
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "files.h"

#define MAGIC 0xBEEFC0DEu
#define META_SIZE 152
#define PAGE_SMALLEST 512u
#define PAGE_LARGEST 32768u
#define WINDOW_SIZE ((size_t)1 << 18) /* bytes read in one go */
#define WARM_STEP ((uint64_t)1 << 17) /* the system takes no more at once */
#define WARM_AHEAD ((uint64_t)1 << 26)
#define META_TRIES 3
#define MISSING_MAX 4096 /* pages past the end; more: a file that was cut */

/* {==================================================================
** Telling
** =================================================================== */

/* Whether the next problem is to be put in words. */
static bool heard (const pages *f) {
  return f->problem != NULL && f->problems <= PAGES_TOLD;
}

void pages_tell (pages *f, uint64_t page, const char *format, ...) {
  char text[600];
  int n = 0;
  va_list args;
  if (f->quiet)
    return;
  f->problems++;
  if (!heard(f))
    return;
  if (page != 0 && f->where != NULL)
    n = snprintf(text, sizeof text, "page %llu, %.250s: ",
                 (unsigned long long)page, f->where);
  else if (page != 0)
    n = snprintf(text, sizeof text, "page %llu: ", (unsigned long long)page);
  else if (f->where != NULL)
    n = snprintf(text, sizeof text, "%.250s: ", f->where);
  va_start(args, format);
  vsnprintf(text + n, sizeof text - (size_t)n, format, args);
  va_end(args);
  f->problem(f->data, text);
}

/* Tells how far it is, at every 1024 pages or so. */
static void tell_progress (pages *f, uint64_t before) {
  uint64_t now = f->used_pages + f->free_pages;
  if (f->progress != NULL && !f->quiet && now >> 10 != before >> 10 &&
      !f->progress(f->data, now * f->page_size,
                   (f->state.last_page + 1) * f->page_size))
    f->failed = LODE_CALLBACK;
}

/* }================================================================== */

/* {==================================================================
** Opening
** =================================================================== */

typedef struct meta {
  bool magic;        /* LMDB's, of 0.9 */
  bool later;        /* that of 1.0 */
  unsigned version;
  size_t page_size;
  const char *wrong; /* what is; null: it is sound */
  pages_state state;
} meta;

void pages_init (pages *f, int fd) {
  memset(f, 0, sizeof *f);
  f->fd = fd;
}

void pages_done (pages *f) {
  for (unsigned i = 0; i < PAGES_LEVELS; i++)
    lode_free(f->levels[i]);
  lode_free(f->used);
  lode_free(f->free);
  lode_free(f->refused);
  lode_free(f->taken);
  lode_free(f->tree.data);
  lode_free(f->run.data);
  lode_buffer_free(&f->big);
  pages_init(f, -1);
}

/* How many bytes there are of the `size` at `at`; errno when they fail. */
static size_t read_at (const pages *f, void *out, size_t size, uint64_t at) {
  size_t got = 0;
  errno = 0;
  while (got < size && at + got <= INT64_MAX) {
    ssize_t n = pread(f->fd, (char *)out + got, size - got,
                      (off_t)(at + got));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    got += (size_t)n;
  }
  return got;
}

static bool page_size_ok (size_t size) {
  return size >= PAGE_SMALLEST && size <= PAGE_LARGEST &&
         (size & (size - 1)) == 0;
}

pages_tree pages_tree_read (const unsigned char *p) {
  pages_tree t;
  t.pad = page_u32(p);
  t.flags = page_u16(p + 4);
  t.depth = page_u16(p + 6);
  t.branch_pages = page_u64(p + 8);
  t.leaf_pages = page_u64(p + 16);
  t.big_pages = page_u64(p + 24);
  t.entries = page_u64(p + 32);
  t.root = page_u64(p + 40);
  return t;
}

static bool root_ok (const pages_tree *t, uint64_t last_page) {
  return t->root == UINT64_MAX || (t->root > 1 && t->root <= last_page);
}

/* What is wrong with meta page `i`, or null. */
static const char *meta_wrong (const meta *m, const unsigned char *p,
                               unsigned i) {
  const pages_state *s = &m->state;
  if (!m->magic)
    return "it is no meta page of LMDB";
  if (page_u64(p) != i || !(page_u16(p + 10) & PAGE_META))
    return "its head is not that of a meta page";
  if (m->version != 1)
    return "it is of another version of the format";
  if (!page_size_ok(m->page_size))
    return "it gives no size that pages can have";
  if (s->last_page < 1 || s->last_page > INT64_MAX / PAGE_LARGEST)
    return "its last page can't be";
  if (s->number != 0 && (s->number & 1) != i)
    return "its transaction writes the other meta page";
  return NULL;
}

/*
** Of a sound meta page. Only of the newest: when a write of a meta page
** fails, LMDB puts the number and the last page of the state before under
** the new roots, so that nobody takes it.
*/
static bool roots_ok (const meta *m) {
  return root_ok(&m->state.free, m->state.last_page) &&
         root_ok(&m->state.main, m->state.last_page);
}

static void meta_parse (const unsigned char *p, unsigned i, meta *m) {
  m->magic = page_u32(p + 16) == MAGIC;
  m->later = page_u32(p + 24) == MAGIC && !m->magic;
  m->version = page_u32(p + 20);
  m->page_size = page_u32(p + 40);
  m->state.free = pages_tree_read(p + 40);
  m->state.main = pages_tree_read(p + 88);
  m->state.last_page = page_u64(p + 136);
  m->state.number = page_u64(p + PAGES_META_TRANSACTION);
  m->wrong = meta_wrong(m, p, i);
}

static void meta_read (const pages *f, unsigned i, size_t page_size,
                       meta *m) {
  unsigned char p[META_SIZE] = { 0 };
  read_at(f, p, sizeof p, i * (uint64_t)page_size);
  meta_parse(p, i, m);
}

/*
** Reads both meta pages. The second is found by the page size that the
** first gives, or where that is damaged, by its own.
*/
static void metas_read (const pages *f, meta m[2]) {
  meta_read(f, 0, 0, &m[0]);
  if (m[0].magic && page_size_ok(m[0].page_size)) {
    meta_read(f, 1, m[0].page_size, &m[1]);
    if (m[1].wrong == NULL && m[1].page_size == m[0].page_size)
      return;
  }
  for (size_t size = PAGE_SMALLEST; size <= PAGE_LARGEST; size *= 2) {
    meta other;
    meta_read(f, 1, size, &other);
    if (other.wrong == NULL && other.page_size == size) {
      m[1] = other;
      return;
    }
  }
  if (!m[0].magic || !page_size_ok(m[0].page_size))
    m[1] = (meta){ .wrong = "it can't be found" };
}

uint64_t pages_newest (const pages *f) {
  meta m[2];
  const meta *newest;
  metas_read(f, m);
  newest = &m[m[1].state.number > m[0].state.number];
  if (m[0].wrong != NULL || m[1].wrong != NULL || !roots_ok(newest))
    return 0;
  return newest->state.number;
}

static bool same_tree (const pages_tree *a, const pages_tree *b) {
  return a->root == b->root && a->entries == b->entries &&
         a->flags == b->flags && a->depth == b->depth;
}

lode_status pages_meta (const pages *f, unsigned char *page,
                        lode_error *error) {
  const pages_state *s = &f->state;
  unsigned i = (unsigned)(s->number & 1);
  meta m;
  if (read_at(f, page, f->page_size, i * (uint64_t)f->page_size) !=
      f->page_size)
    return fail(error, LODE_IO, "a meta page can't be read");
  meta_parse(page, i, &m);
  if (m.wrong != NULL || m.state.number != s->number ||
      m.state.last_page != s->last_page ||
      !same_tree(&m.state.main, &s->main) ||
      !same_tree(&m.state.free, &s->free))
    return fail(error, LODE_BUSY, "others write too fast to copy what was "
                "read; try again");
  return LODE_OK;
}

/* Tells what is wrong with the meta pages, and takes the newest sound. */
static const meta *newest_sound (pages *f, const meta m[2]) {
  const meta *best = NULL;
  uint64_t a = m[0].state.number, b = m[1].state.number;
  f->where = "meta page";
  for (unsigned i = 0; i < 2; i++)
    if (m[i].wrong != NULL)
      pages_tell(f, 0, "%u: %s", i, m[i].wrong);
    else if (best == NULL || m[i].state.number > best->state.number)
      best = &m[i];
  if (best != NULL && !roots_ok(best)) {
    const meta *other = &m[best == m];
    pages_tell(f, 0, "%u: the root of a tree can't be",
               (unsigned)(best != m));
    best = other->wrong == NULL && roots_ok(other) ? other : NULL;
  }
  if (m[0].wrong != NULL || m[1].wrong != NULL)
    return best;
  if (m[0].page_size != m[1].page_size)
    pages_tell(f, 0, "0 and 1 differ in the size of a page");
  else if (a + 1 != b && b + 1 != a && (a | b) != 0)
    pages_tell(f, 0, "0 and 1 are of transactions %llu and %llu, which "
               "don't follow one another", (unsigned long long)a,
               (unsigned long long)b);
  return best;
}

/* The memory that depends on the sizes. */
static lode_status pages_prepare (pages *f, lode_error *error) {
  size_t bits = (size_t)((f->state.last_page / 64 + 1) * 8);
  long memory = sysconf(_SC_PHYS_PAGES), unit = sysconf(_SC_PAGESIZE);
  f->used = lode_malloc(bits);
  f->free = lode_malloc(bits);
  f->refused = lode_malloc(bits);
  f->taken = lode_malloc(PAGE_LARGEST / 16);
  f->tree.data = lode_malloc(WINDOW_SIZE);
  f->run.data = lode_malloc(WINDOW_SIZE);
  if (f->used == NULL || f->free == NULL || f->refused == NULL ||
      f->taken == NULL || f->tree.data == NULL || f->run.data == NULL)
    return fail(error, LODE_NO_MEMORY, "no memory to check the file");
  memset(f->used, 0, bits);
  memset(f->free, 0, bits);
  memset(f->refused, 0, bits);
  f->used_pages = 2; /* the meta pages */
  f->fits = memory > 0 && unit > 0 &&
            f->size / (uint64_t)unit < (uint64_t)memory / 2;
  return LODE_OK;
}

/* What is wrong with the meta page beside that of `number`, or null. */
static const char *neighbour_wrong (const meta m[2], uint64_t number) {
  const meta *other = &m[(number & 1) ^ 1];
  uint64_t n = other->state.number;
  if (other->wrong != NULL)
    return other->wrong;
  if (n + 1 != number && n != number + 1)
    return "its transaction doesn't stand beside the other's";
  return other->page_size != m[number & 1].page_size
         ? "it gives another size of a page" : NULL;
}

/* Reads both, again where one is just being written. */
static void metas_read_beside (const pages *f, meta m[2], uint64_t number) {
  const struct timespec nap = { 0, 1000000 };
  metas_read(f, m);
  for (int i = 0; i < META_TRIES && neighbour_wrong(m, number) != NULL; i++) {
    nanosleep(&nap, NULL);
    metas_read(f, m);
  }
}

/* Takes the meta page of a transaction, which the caller has pinned. */
static lode_status take_pinned (pages *f, const meta m[2], uint64_t number,
                                const meta **best, lode_error *error) {
  const meta *pinned = &m[number & 1];
  f->where = "meta page";
  if (pinned->wrong == NULL && pinned->state.number > number)
    return fail(error, LODE_BUSY, "others write too fast to find the state "
                "that is to be checked");
  *best = pinned;
  if (pinned->wrong != NULL)
    pages_tell(f, 0, "%u: %s", (unsigned)(number & 1), pinned->wrong);
  else if (pinned->state.number != number)
    pages_tell(f, 0, "%u: it is of transaction %llu, not of %llu",
               (unsigned)(number & 1),
               (unsigned long long)pinned->state.number,
               (unsigned long long)number);
  else if (!roots_ok(pinned))
    pages_tell(f, 0, "%u: the root of a tree can't be",
               (unsigned)(number & 1));
  else {
    const char *wrong = neighbour_wrong(m, number);
    if (wrong != NULL)
      pages_tell(f, 0, "%u: %s", (unsigned)(number & 1) ^ 1, wrong);
    return LODE_OK;
  }
  return LODE_ABSENT;
}

lode_status pages_open (pages *f, uint64_t number, lode_error *error) {
  const meta *best = NULL;
  struct stat st;
  meta m[2];
  lode_status status = LODE_OK;
  uint64_t there;
  if (fstat(f->fd, &st) != 0)
    return fail(error, LODE_IO, "%s", strerror(errno));
  if (number != 0)
    metas_read_beside(f, m, number);
  else
    metas_read(f, m);
  if (!m[0].magic && m[0].later)
    return fail(error, LODE_INCOMPATIBLE, "the file was written by LMDB "
                "1.0, whose pages this lode doesn't know");
  if (!m[0].magic && !m[1].magic)
    return fail(error, LODE_NOT_A_STORE, "this is not an LMDB file; check "
                "the path");
  if (number != 0)
    status = take_pinned(f, m, number, &best, error);
  else
    best = newest_sound(f, m);
  if (status != LODE_OK || best == NULL)
    return status != LODE_OK ? status : LODE_ABSENT;
  f->size = (uint64_t)st.st_size;
  f->page_size = best->page_size;
  f->state = best->state;
  there = f->size / f->page_size;
  if (f->state.last_page >= there + MISSING_MAX) {
    pages_tell(f, 0, "%u: the file is cut short, it has %llu pages of %llu",
               (unsigned)(best != m), (unsigned long long)there,
               (unsigned long long)f->state.last_page + 1);
    return LODE_ABSENT;
  }
  f->where = NULL;
  return pages_prepare(f, error);
}

/* }================================================================== */

/* {==================================================================
** Reading
** =================================================================== */

/*
** Lets the system read on in the order of the file, the faster the further
** the walk is: trees lie scattered, and most of what they need is there
** before they come to it.
*/
static void warm (pages *f) {
  uint64_t target = 64 * f->used_pages * f->page_size + WARM_AHEAD;
  while (f->fits && f->warmed < target && f->warmed < f->size) {
    posix_fadvise(f->fd, (off_t)f->warmed, (off_t)WARM_STEP,
                  POSIX_FADV_WILLNEED);
    f->warmed += WARM_STEP;
  }
}

void pages_expect (pages *f, uint64_t page, uint64_t count) {
  if (!f->fits && page <= f->state.last_page)
    posix_fadvise(f->fd, (off_t)(page * f->page_size),
                  (off_t)(count * f->page_size), POSIX_FADV_WILLNEED);
}

/* Tells why the bytes of a page are not there. */
static bool unreadable (pages *f, uint64_t page) {
  f->broken = true;
  if (errno != 0)
    pages_tell(f, page, "it can't be read: %s", strerror(errno));
  else
    pages_tell(f, page, "it is past the end of the file");
  return false;
}

/*
** The page in a window, which moves to it: the further at a time, the
** longer pages were asked for in a row. Null: it can't be read.
*/
static const unsigned char *look (pages *f, pages_window *w,
                                  uint64_t page) {
  uint64_t most = WINDOW_SIZE / f->page_size, past = w->first + w->count;
  size_t got;
  if (page >= w->first && page < past)
    return w->data + (page - w->first) * f->page_size;
  if (page >= past && page - past < w->ahead)
    w->ahead = w->ahead * 2 < most ? w->ahead * 2 : most;
  else
    w->ahead = 1;
  warm(f);
  got = read_at(f, w->data, (size_t)w->ahead * f->page_size,
                page * f->page_size);
  w->first = page;
  w->count = got / f->page_size;
  return w->count > 0 ? w->data : NULL;
}

bool pages_read (pages *f, uint64_t page, unsigned char *out) {
  const unsigned char *p = look(f, &f->tree, page);
  if (p == NULL)
    return unreadable(f, page);
  memcpy(out, p, f->page_size);
  return true;
}

/* As pages_read_run, page by page through the window. */
static bool run_in_window (pages *f, uint64_t page, size_t size) {
  for (f->big.size = 0; f->big.size < size; page++) {
    const unsigned char *p = look(f, &f->run, page);
    size_t n = size - f->big.size;
    if (p == NULL)
      return unreadable(f, page);
    n = n < f->page_size ? n : f->page_size;
    memcpy(f->big.data + f->big.size, p, n);
    f->big.size += n;
  }
  return true;
}

bool pages_read_run (pages *f, uint64_t page, size_t size) {
  uint64_t at = page * f->page_size;
  if (at >= f->size || size > f->size - at) {
    errno = 0;
    return unreadable(f, page);
  }
  f->big.size = 0;
  if (lode_buffer_reserve(&f->big, size) != LODE_OK) {
    f->failed = LODE_NO_MEMORY;
    return false;
  }
  if (size < WINDOW_SIZE / 2)
    return run_in_window(f, page, size);
  warm(f);
  f->big.size = read_at(f, f->big.data, size, at);
  return f->big.size == size || unreadable(f, page);
}

/* }================================================================== */

/* {==================================================================
** Which page is used for what
** =================================================================== */

bool pages_mark_used (pages *f, uint64_t page, uint64_t count, uint64_t by) {
  uint64_t before = f->used_pages + f->free_pages;
  bool ok = true;
  if (page < 2 || page > f->state.last_page ||
      count > f->state.last_page - page + 1) {
    pages_tell(f, by, "it leads to page %llu, which can't be",
               (unsigned long long)page);
    ok = false;
    count = 0;
  }
  for (uint64_t i = page; ok && i < page + count; i++) {
    ok = !pages_marked(f->used, i);
    if (!ok) {
      pages_tell(f, by, "it leads to page %llu, which has another use too",
                 (unsigned long long)i);
      break; /* so that no page is looked at more than twice */
    }
    if (pages_marked(f->free, i))
      pages_tell(f, i, "it is in use, and in the list of free pages too");
    else
      f->used_pages++;
    pages_mark(f->used, i);
  }
  f->broken = f->broken || !ok;
  tell_progress(f, before);
  return ok;
}

void pages_mark_free (pages *f, uint64_t page, uint64_t by) {
  uint64_t before = f->used_pages + f->free_pages;
  if (page < 2 || page > f->state.last_page)
    pages_tell(f, by, "it lists page %llu as free, which can't be",
               (unsigned long long)page);
  else if (pages_marked(f->free, page))
    pages_tell(f, by, "it lists page %llu as free, and so does another",
               (unsigned long long)page);
  else if (pages_marked(f->used, page))
    pages_tell(f, by, "it lists page %llu as free, which is in use",
               (unsigned long long)page);
  else {
    pages_mark(f->free, page);
    f->free_pages++;
  }
  tell_progress(f, before);
}

void pages_forget (pages *f) {
  size_t bits = (size_t)((f->state.last_page / 64 + 1) * 8);
  memset(f->used, 0, bits);
  memset(f->free, 0, bits);
  memset(f->refused, 0, bits);
  f->used_pages = 2;
  f->free_pages = 0;
  f->broken = false;
}

/* How many from `from` on to the last are neither; and the first of them. */
static uint64_t count_lost (const pages *f, uint64_t from, bool used,
                            uint64_t *first) {
  uint64_t n = 0;
  for (uint64_t i = from; i <= f->state.last_page; i++) {
    if (i % 64 == 0 && (f->used[i / 64] | f->free[i / 64]) == UINT64_MAX) {
      i += 63;
      continue;
    }
    if (!pages_marked(f->free, i) &&
        !(used && pages_marked(f->used, i)) && n++ == 0)
      *first = i;
  }
  return n;
}

void pages_account (pages *f) {
  uint64_t there = f->size / f->page_size, first = 0, n = 0;
  f->where = NULL;
  if (there < 2)
    there = 2;
  if (there <= f->state.last_page) /* those past the end must be free */
    n = count_lost(f, there, false, &first);
  if (n > 0)
    pages_tell(f, 0, "the file is cut short: %llu pages are missing from "
               "page %llu on", (unsigned long long)n,
               (unsigned long long)first);
  if (f->broken) /* what hangs on pages that can't be read is no loss yet */
    return;
  n = count_lost(f, 2, true, &first);
  f->leaked += n > 0;
  if (n > 0)
    pages_tell(f, 0, "%llu pages are neither in use nor free, the first is "
               "page %llu", (unsigned long long)n,
               (unsigned long long)first);
}

/* }================================================================== */
