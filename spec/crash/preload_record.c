/*
** preload_record.c - records what a program does to files: preloaded, it
** stands between the program and the system, and logs every call that
** changes, or syncs, what is below one directory (record.h).
**
** One mutex holds call and log together, so the log has the order in which
** things happened. Of a file that is mapped to be written, as lode's side
** file and LMDB's lock file are, a copy is kept, and what memory has changed
** is logged before the next thing that is. Calls that neither lode nor LMDB
** makes are not watched; crash_power.c sees when one is missed.
*/
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "record.h"

#define FDS 500
#define NODES 1024
#define MAPS 16
#define MAP_MOST 4096 /* larger ones are LMDB's lock file, which is of no use
                         after a power cut: who comes first makes it anew */
#define PIECES 64 /* of one writev */

typedef struct node {
  dev_t device;
  ino_t inode;
} node;

typedef struct map { /* of a file, to be written */
  unsigned char *at, *copy; /* null: none */
  size_t size;
  uint32_t node;
} map;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_size;
static int log_fd = -1;
static uint32_t nodes_used = 1; /* 0: none */
static node nodes[NODES];
static uint32_t node_of_fd[FDS]; /* 0: not watched */
static bool durable[FDS];
static map maps[MAPS];

/* {==================================================================
** The log
** =================================================================== */

static _Noreturn void give_up (const char *why) {
  fprintf(stderr, "the recorder: %s\n", why);
  _exit(99);
}

static void log_bytes (const void *bytes, size_t size) {
  const char *p = bytes;
  while (size > 0) {
    ssize_t n = syscall(SYS_write, log_fd, p, size);
    if (n <= 0)
      give_up("the log can't be written");
    p += n;
    size -= (size_t)n;
  }
}

static void log_head (record_kind kind, uint32_t of, uint64_t offset,
                      uint64_t size) {
  record_head h = { (uint32_t)kind, of, offset, size };
  log_bytes(&h, sizeof h);
}

static void log_one (record_kind kind, uint32_t of, uint64_t offset,
                     const void *bytes, size_t size) {
  log_head(kind, of, offset, size);
  log_bytes(bytes, size);
}

/* Logs what memory has changed of a map, from the first byte to the last. */
static void log_map (map *m) {
  size_t from = 0, to = m->size;
  if (memcmp(m->at, m->copy, m->size) == 0)
    return;
  while (from < to && m->at[from] == m->copy[from])
    from++;
  while (to > from && m->at[to - 1] == m->copy[to - 1])
    to--;
  memcpy(m->copy + from, m->at + from, to - from);
  log_one(RECORD_STORE, m->node, from, m->copy + from, to - from);
}

static void log_maps (void) {
  for (int i = 0; i < MAPS; i++)
    if (maps[i].copy != NULL)
      log_map(&maps[i]);
}

/* Begins a call that is to be recorded. */
static void begin (void) {
  pthread_mutex_lock(&mutex);
  if (log_fd >= 0)
    log_maps();
}

static void end (void) {
  int saved = errno;
  pthread_mutex_unlock(&mutex);
  errno = saved;
}

/* As record.h has it. */
record_note_function record_note;
void record_note (const void *bytes, uint32_t size) {
  begin();
  log_one(RECORD_NOTE, 0, 0, bytes, size);
  end();
}

/* }================================================================== */

/* {==================================================================
** Files
** =================================================================== */

/* The path below the root; null: it is elsewhere. */
static const char *below_root (const char *path) {
  if (log_fd < 0 || strncmp(path, root, root_size) != 0)
    return NULL;
  path += root_size;
  if (*path == '\0')
    return path;
  return *path == '/' ? path + 1 : NULL;
}

/* The number of a file or directory; 0: there is none. */
static uint32_t node_at (const char *path) {
  struct stat st;
  uint32_t n = 1;
  if (fstatat(AT_FDCWD, path, &st, 0) != 0)
    return 0;
  while (n < nodes_used && (nodes[n].device != st.st_dev ||
                            nodes[n].inode != st.st_ino))
    n++;
  if (n == NODES)
    give_up("too many files");
  if (n == nodes_used) {
    nodes[n].device = st.st_dev;
    nodes[n].inode = st.st_ino;
    nodes_used++;
  }
  return n;
}

/* A number may be used again by the system, but not here. */
static void forget_node (uint32_t n) {
  nodes[n].inode = 0;
}

static uint32_t node_of (int fd) {
  return fd >= 0 && fd < FDS ? node_of_fd[fd] : 0;
}

static void log_name (record_kind kind, uint32_t of, const char *name) {
  log_one(kind, of, 0, name, strlen(name));
}

__attribute__((constructor)) static void start (void) {
  const char *dir = getenv(RECORD_ROOT), *path = getenv(RECORD_LOG);
  int fd;
  if (dir == NULL || path == NULL)
    return;
  snprintf(root, sizeof root, "%s", dir);
  root_size = strlen(root);
  fd = (int)syscall(SYS_openat, AT_FDCWD, path,
                    O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  log_fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, FDS);
  syscall(SYS_close, fd);
  if (log_fd < 0)
    give_up("there is no log");
  log_name(RECORD_MKDIR, node_at(root), "");
}

static int recorded_open (const char *path, int flags, mode_t mode) {
  const char *name = below_root(path);
  bool there;
  int fd;
  if (name == NULL)
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  begin();
  there = faccessat(AT_FDCWD, path, F_OK, 0) == 0;
  fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  if (fd >= FDS)
    give_up("too many descriptors");
  if (fd >= 0) {
    node_of_fd[fd] = node_at(path);
    durable[fd] = (flags & O_DSYNC) != 0;
    if (!there)
      log_name(RECORD_CREATE, node_of_fd[fd], name);
    else if (flags & O_TRUNC)
      log_head(RECORD_SIZE, node_of_fd[fd], 0, 0);
  }
  end();
  return fd;
}

#define DEFINE_OPEN(name) \
  int name (const char *path, int flags, ...) { \
    mode_t mode = 0; \
    if (flags & O_CREAT) { \
      va_list args; \
      va_start(args, flags); \
      mode = va_arg(args, mode_t); \
      va_end(args); \
    } \
    return recorded_open(path, flags, mode); \
  }

DEFINE_OPEN(open)
DEFINE_OPEN(open64)

int close (int fd) {
  if (fd >= 0 && fd < FDS)
    node_of_fd[fd] = 0;
  return (int)syscall(SYS_close, fd);
}

/* Only those that move a descriptor are of interest. */
int fcntl (int fd, int command, ...) {
  va_list args;
  void *arg;
  int rc;
  va_start(args, command);
  arg = va_arg(args, void *);
  va_end(args);
  rc = (int)syscall(SYS_fcntl, fd, command, arg);
  if (rc >= 0 && rc < FDS &&
      (command == F_DUPFD || command == F_DUPFD_CLOEXEC)) {
    node_of_fd[rc] = node_of(fd);
    durable[rc] = fd >= 0 && fd < FDS && durable[fd];
  }
  return rc;
}

int mkdir (const char *path, mode_t mode) {
  const char *name = below_root(path);
  int rc;
  begin();
  rc = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  if (rc == 0 && name != NULL)
    log_name(RECORD_MKDIR, node_at(path), name);
  end();
  return rc;
}

int link (const char *from, const char *to) {
  const char *name = below_root(to);
  int rc;
  begin();
  rc = (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
  if (rc == 0 && name != NULL)
    log_name(RECORD_LINK, node_at(to), name);
  end();
  return rc;
}

int unlink (const char *path) {
  const char *name = below_root(path);
  struct stat st;
  uint32_t n = 0;
  int rc;
  begin();
  if (name != NULL && fstatat(AT_FDCWD, path, &st, 0) == 0 &&
      st.st_nlink == 1)
    n = node_at(path);
  rc = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  if (rc == 0 && name != NULL) {
    log_name(RECORD_UNLINK, 0, name);
    if (n != 0)
      forget_node(n);
  }
  end();
  return rc;
}

int rename (const char *from, const char *to) {
  const char *a = below_root(from), *b = below_root(to);
  int rc;
  begin();
  rc = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  if (rc == 0 && a != NULL && b != NULL) {
    log_head(RECORD_RENAME, node_at(to), strlen(a), strlen(a) + strlen(b));
    log_bytes(a, strlen(a));
    log_bytes(b, strlen(b));
  }
  end();
  return rc;
}

/* }================================================================== */

/* {==================================================================
** Content
** =================================================================== */

static record_kind write_kind (int fd) {
  return durable[fd] ? RECORD_DURABLE : RECORD_WRITE;
}

static ssize_t recorded_pwrite (int fd, const void *bytes, size_t size,
                                off_t offset) {
  uint32_t n = node_of(fd);
  ssize_t got;
  if (n == 0)
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
  begin();
  got = syscall(SYS_pwrite64, fd, bytes, size, offset);
  if (got > 0)
    log_one(write_kind(fd), n, (uint64_t)offset, bytes, (size_t)got);
  end();
  return got;
}

ssize_t pwrite (int fd, const void *bytes, size_t size, off_t offset) {
  return recorded_pwrite(fd, bytes, size, offset);
}

ssize_t pwrite64 (int fd, const void *bytes, size_t size, off64_t offset) {
  return recorded_pwrite(fd, bytes, size, offset);
}

ssize_t write (int fd, const void *bytes, size_t size) {
  uint32_t n = node_of(fd);
  off_t offset;
  ssize_t got;
  if (n == 0)
    return syscall(SYS_write, fd, bytes, size);
  begin();
  offset = lseek(fd, 0, SEEK_CUR);
  got = syscall(SYS_write, fd, bytes, size);
  if (got > 0)
    log_one(write_kind(fd), n, (uint64_t)offset, bytes, (size_t)got);
  end();
  return got;
}

static void log_pieces (int fd, uint32_t n, uint64_t offset, size_t left,
                        const struct iovec *v) {
  log_head(write_kind(fd), n, offset, left);
  for (; left > 0; v++) {
    size_t size = v->iov_len < left ? v->iov_len : left;
    log_bytes(v->iov_base, size);
    left -= size;
  }
}

ssize_t writev (int fd, const struct iovec *v, int count) {
  uint32_t n = node_of(fd);
  off_t offset;
  ssize_t got;
  if (n == 0)
    return syscall(SYS_writev, fd, v, count);
  begin();
  offset = lseek(fd, 0, SEEK_CUR);
  got = syscall(SYS_writev, fd, v, count);
  if (got > 0)
    log_pieces(fd, n, (uint64_t)offset, (size_t)got, v);
  end();
  return got;
}

static int recorded_size (int fd, off_t size) {
  uint32_t n = node_of(fd);
  int rc;
  begin();
  rc = (int)syscall(SYS_ftruncate, fd, size);
  if (rc == 0 && n != 0)
    log_head(RECORD_SIZE, n, (uint64_t)size, 0);
  end();
  return rc;
}

static int recorded_allocate (int fd, int mode, off_t offset, off_t size) {
  uint32_t n = node_of(fd);
  struct stat st;
  int rc;
  begin();
  rc = (int)syscall(SYS_fallocate, fd, mode, offset, size);
  if (rc == 0 && n != 0 && fstat(fd, &st) == 0)
    log_head(RECORD_SIZE, n, (uint64_t)st.st_size, 0);
  end();
  return rc;
}

int fallocate (int fd, int mode, off_t offset, off_t size) {
  return recorded_allocate(fd, mode, offset, size);
}

int fallocate64 (int fd, int mode, off64_t offset, off64_t size) {
  return recorded_allocate(fd, mode, offset, size);
}

int ftruncate (int fd, off_t size) { return recorded_size(fd, size); }
int ftruncate64 (int fd, off64_t size) { return recorded_size(fd, size); }

static int recorded_sync (long call, int fd) {
  uint32_t n = node_of(fd);
  int rc;
  begin();
  rc = (int)syscall(call, fd);
  if (rc == 0 && n != 0)
    log_head(RECORD_SYNC, n, 0, 0);
  end();
  return rc;
}

int fsync (int fd) { return recorded_sync(SYS_fsync, fd); }
int fdatasync (int fd) { return recorded_sync(SYS_fdatasync, fd); }

/* }================================================================== */

/* {==================================================================
** Maps
** =================================================================== */

static void watch_map (unsigned char *at, size_t size, uint32_t n) {
  int i = 0;
  while (i < MAPS && maps[i].copy != NULL)
    i++;
  if (i == MAPS)
    give_up("too many maps");
  maps[i].copy = malloc(size);
  if (maps[i].copy == NULL)
    give_up("no memory");
  memcpy(maps[i].copy, at, size);
  maps[i].at = at;
  maps[i].size = size;
  maps[i].node = n;
}

void *mmap (void *at, size_t size, int protection, int flags, int fd,
            off_t offset) {
  void *p = (void *)syscall(SYS_mmap, at, size, protection, flags, fd,
                            offset);
  if (p == MAP_FAILED || node_of(fd) == 0 || !(protection & PROT_WRITE) ||
      !(flags & MAP_SHARED) || size > MAP_MOST)
    return p;
  begin();
  watch_map(p, size, node_of(fd));
  end();
  return p;
}

int munmap (void *at, size_t size) {
  begin();
  for (int i = 0; i < MAPS; i++)
    if (maps[i].copy != NULL && maps[i].at == at) {
      free(maps[i].copy);
      maps[i].copy = NULL;
    }
  end();
  return (int)syscall(SYS_munmap, at, size);
}

/* }================================================================== */
