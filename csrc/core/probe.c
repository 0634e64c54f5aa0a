/*
** probe.c - a look at a data file before LMDB sees it, which trusts what it
** reads (files_probe of files.h).
**
** A page of LMDB 0.9, in the machine's byte order, on 64-bit:
**
**   0 number (8)   8 unused (2)   10 flags (2)   12 lower, upper (2, 2)
**
** `lower` ends the offsets (2 each) of its nodes. A node: size or child (6),
** key size (2), key, data. A meta page goes on:
**
**  16 magic (4)        20 version (4) 24 address (8) 32 map size (8)
**  40 free tree (48): its first 4 bytes are the page size, its last the root
**  88 main tree (48)  136 last page (8)            144 transaction (8)
**
** LMDB 1.0 has its magic at offset 24.
*/
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "check.h"
#include "files.h"

#define META_SIZE 152
#define PAGE_HEAD 16
#define LMDB_MAGIC 0xBEEFC0DEu
#define PAGE_IS_LEAF 0x02
#define PAGE_IS_META 0x08

typedef struct meta { /* what is read of one meta page */
  bool magic_09, magic_10;
  uint16_t flags;
  uint32_t version, page_size;
  uint64_t map_size, free_root, main_root, last_page, transaction;
} meta;

static uint64_t native (const unsigned char *p, size_t size) {
  uint64_t v64;
  uint32_t v32;
  uint16_t v16;
  switch (size) {
    case 2: memcpy(&v16, p, 2); return v16;
    case 4: memcpy(&v32, p, 4); return v32;
    default: memcpy(&v64, p, 8); return v64;
  }
}

static void meta_read (const unsigned char *p, meta *m) {
  m->magic_09 = native(p + 16, 4) == LMDB_MAGIC;
  m->magic_10 = native(p + 24, 4) == LMDB_MAGIC;
  m->flags = (uint16_t)native(p + 10, 2);
  m->version = (uint32_t)native(p + 20, 4);
  m->map_size = native(p + 32, 8);
  m->page_size = (uint32_t)native(p + 40, 4);
  m->free_root = native(p + 40 + 40, 8);
  m->main_root = native(p + 88 + 40, 8);
  m->last_page = native(p + 136, 8);
  m->transaction = native(p + FILES_META_TRANSACTION, 8);
}

static bool root_ok (uint64_t root, uint64_t last_page) {
  return root == UINT64_MAX || (root > 1 && root <= last_page);
}

static bool meta_ok (const meta *m) {
  return m->magic_09 && m->version == 1 && (m->flags & PAGE_IS_META) &&
         m->page_size >= 512 && m->page_size <= 65536 &&
         (m->page_size & (m->page_size - 1)) == 0 && m->last_page >= 1;
}

/*
** Only of the newest: when a write of a meta page fails, LMDB puts the
** number and the last page of the state before under the new roots, so that
** nobody takes it.
*/
static bool roots_ok (const meta *m) {
  return root_ok(m->free_root, m->last_page) &&
         root_ok(m->main_root, m->last_page);
}

/* {==================================================================
** Pages past the end
**
** LMDB writes no page that a transaction took and gave back, so a whole
** file may end before its last page. Those that are missing then stand in
** the tree of free pages, whose records are lists: their size (8), and as
** many page numbers (8).
** =================================================================== */

#define NODE_HEAD 8
#define NODE_IS_BIG 1    /* its data is on pages of its own */
#define TREE_DEPTH_MAX 32
#define MISSING_MAX 4096 /* more than these: a file that was cut */

typedef struct missing { /* what must be found free */
  int fd;
  uint32_t page_size;
  uint64_t first, last;     /* the pages that aren't there */
  uint64_t visits;          /* pages that may still be read */
  unsigned char found[MISSING_MAX / 8];
} missing;

/* Notes the pages of a list of `size` bytes; false: it is none. */
static bool note_list (missing *m, const unsigned char *list, size_t size) {
  uint64_t n;
  if (size < 8)
    return false;
  n = native(list, 8);
  if (n > size / 8 - 1)
    return false;
  for (uint64_t i = 1; i <= n; i++) {
    uint64_t page = native(list + i * 8, 8);
    if (page >= m->first && page <= m->last) {
      uint64_t at = page - m->first;
      m->found[at / 8] |= (unsigned char)(1 << at % 8);
    }
  }
  return true;
}

/* A list that is on pages of its own, from the one numbered `page`. */
static bool note_big (missing *m, uint64_t page, size_t size) {
  unsigned char *list;
  bool ok = false;
  if (size > (size_t)1 << 32 || page >= m->first)
    return false;
  list = lode_malloc(size + 1);
  if (list == NULL)
    return false;
  if (pread(m->fd, list, size, (off_t)(page * m->page_size + PAGE_HEAD)) ==
      (ssize_t)size)
    ok = note_list(m, list, size);
  lode_free(list);
  return ok;
}

static bool note_tree (missing *m, uint64_t page, unsigned depth);

/* The node at `p`, which has `room` bytes before the page's end. */
static bool note_node (missing *m, const unsigned char *p, size_t room,
                       bool leaf, unsigned depth) {
  uint64_t lo = native(p, 2), hi = native(p + 2, 2);
  uint64_t flags = native(p + 4, 2), key = native(p + 6, 2);
  size_t size = (size_t)(lo | hi << 16);
  if (!leaf)
    return note_tree(m, lo | hi << 16 | flags << 32, depth + 1);
  if (flags & NODE_IS_BIG)
    return key + NODE_HEAD + 8 <= room &&
           note_big(m, native(p + NODE_HEAD + key, 8), size);
  return key + NODE_HEAD + size <= room &&
         note_list(m, p + NODE_HEAD + key, size);
}

/* All lists of the tree whose root is `page`; false: it can't be read. */
static bool note_tree (missing *m, uint64_t page, unsigned depth) {
  unsigned char *p;
  bool ok = false, leaf;
  size_t n;
  if (depth > TREE_DEPTH_MAX || page >= m->first || m->visits-- == 0)
    return false;
  p = lode_malloc(m->page_size);
  if (p == NULL)
    return false;
  if (pread(m->fd, p, m->page_size, (off_t)(page * m->page_size)) ==
      (ssize_t)m->page_size && native(p, 8) == page) {
    leaf = (native(p + 10, 2) & PAGE_IS_LEAF) != 0;
    n = native(p + 12, 2) >= PAGE_HEAD
        ? (size_t)(native(p + 12, 2) - PAGE_HEAD) / 2 : 0;
    ok = n > 0 && PAGE_HEAD + 2 * n <= m->page_size;
    for (size_t i = 0; ok && i < n; i++) {
      size_t at = (size_t)native(p + PAGE_HEAD + 2 * i, 2);
      ok = at + NODE_HEAD <= m->page_size &&
           note_node(m, p + at, m->page_size - at, leaf, depth);
    }
  }
  lode_free(p);
  return ok;
}

/* Whether every page from `pages` on to the last is free. */
static bool free_past (int fd, const meta *m, uint64_t pages) {
  missing miss;
  if (m->last_page - pages >= MISSING_MAX || m->free_root == UINT64_MAX)
    return false;
  memset(&miss, 0, sizeof miss);
  miss.fd = fd;
  miss.page_size = m->page_size;
  miss.first = miss.visits = pages;
  miss.last = m->last_page;
  if (!note_tree(&miss, m->free_root, 0))
    return false;
  for (uint64_t at = 0; at <= miss.last - miss.first; at++)
    if (!(miss.found[at / 8] >> at % 8 & 1))
      return false;
  return true;
}

/* }================================================================== */

/* What is wrong with the two newest states of a file of `size` bytes. */
static lode_status metas_check (int fd, const meta m[2], uint64_t size,
                                const char *path, lode_error *error) {
  const meta *last = &m[m[1].transaction > m[0].transaction];
  uint64_t pages;
  if (!meta_ok(&m[0]) || !meta_ok(&m[1]) || !roots_ok(last) ||
      m[0].page_size != m[1].page_size ||
      last->last_page >= UINT64_MAX / last->page_size)
    return fail(error, LODE_CORRUPT, "%s: its meta pages are damaged; "
                "restore it from a backup", path);
  pages = size / last->page_size;
  if (pages > last->last_page || free_past(fd, last, pages))
    return LODE_OK;
  return fail(error, LODE_CORRUPT, "%s is cut short: %llu bytes of %llu; "
              "restore it from a backup", path, (unsigned long long)size,
              (unsigned long long)((last->last_page + 1) * last->page_size));
}

static lode_status not_lmdb (const char *path, lode_error *error) {
  return fail(error, LODE_NOT_A_STORE, "%s is not an LMDB file, and so no "
              "store; check the path", path);
}

static lode_status probe_open_file (int fd, const char *path,
                                    lode_error *error) {
  unsigned char page[META_SIZE];
  meta m[2];
  struct stat st;
  ssize_t got;
  if (fstat(fd, &st) != 0)
    return fail(error, LODE_IO, "%s: %s", path, strerror(errno));
  if (!S_ISREG(st.st_mode))
    return fail(error, LODE_NOT_A_STORE, "%s is no regular file; the store "
                "of single_file = true is one", path);
  if (st.st_size == 0)
    return fail(error, LODE_NOT_A_STORE, "%s is empty: a store never is; "
                "remove it to begin a new one, or restore a backup", path);
  got = pread(fd, page, sizeof page, 0);
  if (got < 0)
    return fail(error, LODE_IO, "%s: %s", path, strerror(errno));
  if (got < 28)
    return not_lmdb(path, error);
  memset(page + got, 0, sizeof page - (size_t)got);
  meta_read(page, &m[0]);
  if (m[0].magic_10 && !m[0].magic_09)
    return fail(error, LODE_INCOMPATIBLE, "%s was written by LMDB 1.0, "
                "whose files 0.9 can't read; move it with mdb_dump of 1.0 "
                "and mdb_load of 0.9", path);
  if (!m[0].magic_09)
    return not_lmdb(path, error);
  if (m[0].version != 1)
    return fail(error, LODE_INCOMPATIBLE, "%s has LMDB's data format %u; "
                "this build reads 1", path, (unsigned)m[0].version);
  if (!meta_ok(&m[0]) ||
      pread(fd, page, sizeof page, (off_t)m[0].page_size) !=
      (ssize_t)sizeof page)
    return fail(error, LODE_CORRUPT, "%s: its first page is damaged; "
                "restore it from a backup", path);
  meta_read(page, &m[1]);
  if (fstat(fd, &st) != 0) /* again: it may have grown meanwhile */
    return fail(error, LODE_IO, "%s: %s", path, strerror(errno));
  return metas_check(fd, m, (uint64_t)st.st_size, path, error);
}

/* The path, or one of the directories in it, is a file. */
static lode_status is_file (const files *f, lode_error *error) {
  struct stat st;
  if (stat(f->base, &st) != 0)
    return fail(error, LODE_NOT_A_STORE, "%s: a part of this path is a file, "
                "no directory; check it", f->base);
  return fail(error, LODE_NOT_A_STORE, "%s is a file: a store is a "
              "directory, and its path that of the directory (single_file = "
              "true opens one file)", f->base);
}

lode_status files_probe (const files *f, lode_error *error) {
  const struct timespec nap = { 0, 1000000 };
  lode_status st = LODE_OK;
  int fd = open(f->data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT)
    return LODE_ABSENT;
  if (fd < 0 && errno == ENOTDIR)
    return is_file(f, error);
  if (fd < 0)
    return fail(error, LODE_IO, "%s: %s%s", f->data, strerror(errno),
                errno == EACCES ? "; check its permissions, and those of the "
                "directories above it" : "");
  for (int i = 0; i < 3; i++) { /* a writer may be at its meta page */
    st = probe_open_file(fd, f->data, error);
    if (st != LODE_CORRUPT)
      break;
    nanosleep(&nap, NULL);
  }
  close(fd);
  return st;
}
