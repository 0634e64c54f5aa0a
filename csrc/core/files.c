/*
** files.c - see files.h.
**
** A meta page of LMDB 0.9, in the machine's byte order, on 64-bit:
**
**   0 page number (8)   8 unused (2)  10 flags (2)   12 bounds (4)
**  16 magic (4)        20 version (4) 24 address (8) 32 map size (8)
**  40 free tree (48): its first 4 bytes are the page size
**  88 main tree (48)  136 last page (8)            144 transaction (8)
**
** LMDB 1.0 has its magic at offset 24.
*/
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/vfs.h>
#elif defined(__APPLE__) || defined(__FreeBSD__)
#include <sys/mount.h>
#include <sys/param.h>
#endif

#include "bytes.h"
#include "check.h"

#define META_SIZE 152
#define LMDB_MAGIC 0xBEEFC0DEu
#define PAGE_IS_META 0x08

#undef fail
lode_status fail (lode_error *error, lode_status status, const char *format,
                  ...) {
  va_list args;
  va_start(args, format);
  error->status = status;
  vsnprintf(error->text, sizeof error->text, format, args);
  va_end(args);
  return status;
}

/* {==================================================================
** Names
** =================================================================== */

static char *joined (const char *a, size_t size, const char *b) {
  size_t n = strlen(b);
  char *s = lode_malloc(size + n + 1);
  if (s != NULL) {
    memcpy(s, a, size);
    memcpy(s + size, b, n + 1);
  }
  return s;
}

lode_status files_name (files *f, const char *path, bool single_file) {
  size_t size = strlen(path);
  const char *slash;
  while (size > 1 && path[size - 1] == '/')
    size--;
  f->base = joined(path, size, "");
  f->data = joined(path, size, single_file ? "" : "/data.mdb");
  f->side = joined(path, size, single_file ? "-lode" : "/lode.side");
  f->dir = NULL;
  if (f->base != NULL) {
    slash = strrchr(f->base, '/');
    if (!single_file)
      f->dir = joined(f->base, size, "");
    else if (slash == NULL)
      f->dir = joined(".", 1, "");
    else
      f->dir = joined(f->base, (size_t)(slash - f->base) + 1, "");
  }
  if (f->base && f->data && f->side && f->dir)
    return LODE_OK;
  files_free(f);
  return LODE_NO_MEMORY;
}

void files_free (files *f) {
  lode_free(f->base);
  lode_free(f->data);
  lode_free(f->side);
  lode_free(f->dir);
  f->base = f->data = f->side = f->dir = NULL;
}

bool files_make_dir (const files *f, unsigned mode) {
  unsigned search = (mode & 0444) >> 2; /* who may read may also enter */
  struct stat st;
  if (mkdir(f->dir, (mode_t)(mode | search)) == 0)
    return true;
  if (errno != EEXIST)
    return false;
  if (stat(f->dir, &st) == 0 && !S_ISDIR(st.st_mode)) {
    errno = ENOTDIR;
    return false;
  }
  return true;
}

bool files_sync_dir (const char *dir) {
  int fd = open(dir, O_RDONLY | O_CLOEXEC);
  bool ok;
  if (fd < 0)
    return false;
  ok = fsync(fd) == 0 || errno == EINVAL; /* not every system can */
  close(fd);
  return ok;
}

/* }================================================================== */

/* {==================================================================
** Descriptors
** =================================================================== */

int files_above_stdio (int fd) {
  int moved;
  if (fd > 2)
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
  moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  close(fd);
  return moved;
}

bool files_fill_stdio (void) {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
        open("/dev/null", O_RDWR) < 0)
      return false;
  return true;
}

/* }================================================================== */

/* {==================================================================
** The data file
** =================================================================== */

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
  m->transaction = native(p + 144, 8);
}

static bool root_ok (uint64_t root, uint64_t last_page) {
  return root == UINT64_MAX || (root > 1 && root <= last_page);
}

static bool meta_ok (const meta *m) {
  return m->magic_09 && m->version == 1 && (m->flags & PAGE_IS_META) &&
         m->page_size >= 512 && m->page_size <= 65536 &&
         (m->page_size & (m->page_size - 1)) == 0 && m->last_page >= 1 &&
         root_ok(m->free_root, m->last_page) &&
         root_ok(m->main_root, m->last_page);
}

/* What is wrong with the two newest states of a file of `size` bytes. */
static lode_status metas_check (const meta m[2], uint64_t size,
                                const char *path, lode_error *error) {
  const meta *last = &m[m[1].transaction > m[0].transaction];
  if (!meta_ok(&m[0]) || !meta_ok(&m[1]) ||
      m[0].page_size != m[1].page_size)
    return fail(error, LODE_CORRUPT, "%s: its meta pages are damaged; "
                "restore it from a backup", path);
  if (last->last_page >= UINT64_MAX / last->page_size ||
      (last->last_page + 1) * last->page_size > size)
    return fail(error, LODE_CORRUPT, "%s is cut short: %llu bytes of %llu; "
                "restore it from a backup", path, (unsigned long long)size,
                (unsigned long long)((last->last_page + 1) *
                                     last->page_size));
  return LODE_OK;
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
    return fail(error, LODE_NOT_A_STORE, "%s is no regular file", path);
  if (st.st_size == 0)
    return fail(error, LODE_NOT_A_STORE, "%s is empty: a store never is; "
                "remove it to begin a new one, or restore a backup", path);
  got = pread(fd, page, sizeof page, 0);
  if (got < 0)
    return fail(error, LODE_IO, "%s: %s", path, strerror(errno));
  if (got < 28)
    return fail(error, LODE_NOT_A_STORE, "%s is not an LMDB file", path);
  memset(page + got, 0, sizeof page - (size_t)got);
  meta_read(page, &m[0]);
  if (m[0].magic_10 && !m[0].magic_09)
    return fail(error, LODE_INCOMPATIBLE, "%s was written by LMDB 1.0, "
                "whose files 0.9 can't read; move it with mdb_dump of 1.0 "
                "and mdb_load of 0.9", path);
  if (!m[0].magic_09)
    return fail(error, LODE_NOT_A_STORE, "%s is not an LMDB file", path);
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
  return metas_check(m, (uint64_t)st.st_size, path, error);
}

lode_status files_probe (const files *f, lode_error *error) {
  const struct timespec nap = { 0, 1000000 };
  lode_status st = LODE_OK;
  int fd = open(f->data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT)
    return LODE_ABSENT;
  if (fd < 0 && errno == ENOTDIR)
    return fail(error, LODE_NOT_A_STORE, "%s is a file: a store is a "
                "directory (single_file = true opens one file)", f->base);
  if (fd < 0)
    return fail(error, LODE_IO, "%s: %s", f->data, strerror(errno));
  for (int i = 0; i < 3; i++) { /* a writer may be at its meta page */
    st = probe_open_file(fd, f->data, error);
    if (st != LODE_CORRUPT)
      break;
    nanosleep(&nap, NULL);
  }
  close(fd);
  return st;
}

bool files_unsafe (const files *f) {
#if defined(__linux__)
  static const unsigned long kinds[] = {
    0x6969,      /* NFS */
    0x517B,      /* SMB */
    0xFE534D42,  /* SMB2 */
    0xFF534D42,  /* CIFS */
    0x01021997,  /* 9P */
    0x65735546,  /* FUSE */
    0x786F4256,  /* VirtualBox shared folders */
    0x00C36400,  /* Ceph */
    0x73757245,  /* Coda */
    0x5346414F,  /* AFS */
    0x47504653   /* GPFS */
  };
  struct statfs fs;
  if (statfs(f->dir, &fs) != 0)
    return false;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (((unsigned long)fs.f_type & 0xFFFFFFFFu) == kinds[i])
      return true;
  return false;
#elif defined(__APPLE__) || defined(__FreeBSD__)
  struct statfs fs;
  return statfs(f->dir, &fs) == 0 && !(fs.f_flags & MNT_LOCAL);
#else
  (void)f;
  return false;
#endif
}

/* }================================================================== */
