/*
** preload_fault.c - a library to be preloaded: the n-th call of a kind that
** touches the files of one directory, or asks for memory, fails, once or for
** good.
**
** The program finds `fault_arm` and `fault_calls` by dlsym, and sets off
** what it wants. Reading isn't touched: LMDB reads through its map.
*/
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preload_fault.h"

#define MOST_FILES 1024
#define EXPORT __attribute__((visibility("default")))

static struct {
  char dir[128];
  size_t size; /* of dir; 0: nothing is counted */
  fault f;
  bool files[MOST_FILES]; /* descriptors of files in dir */
  _Atomic long calls;     /* of the fault's kind */
} state;

/* {==================================================================
** What the program calls
** =================================================================== */

EXPORT void fault_arm (const char *dir, const fault *f) {
  state.size = strlen(dir);
  memcpy(state.dir, dir, state.size + 1);
  state.f = *f;
  state.calls = 0;
}

EXPORT long fault_calls (void) {
  return state.calls;
}

/* }================================================================== */

/* Whether this call of `kind` is to fail; then errno is set. */
static bool fails (fault_kind kind) {
  long n;
  if (state.size == 0 || kind != state.f.kind) return false;
  n = ++state.calls;
  if (state.f.nth == 0 || n < state.f.nth) return false;
  if (!state.f.for_good && n > state.f.nth) return false;
  errno = state.f.code;
  return true;
}

static bool is_inside (const char *path) {
  return state.size != 0 && strncmp(path, state.dir, state.size) == 0;
}

static bool is_ours (int fd) {
  return fd >= 0 && fd < MOST_FILES && state.files[fd];
}

/* The bytes of a write that fails: some, if it is to be a short one. */
static size_t part (size_t size) {
  return state.f.code == FAULT_SHORT ? (size + 1) / 2 : 0;
}

/* The function that this library stands before. */
#define NEXT(name) \
  ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

/* {==================================================================
** The calls
** =================================================================== */

EXPORT int open (const char *path, int flags, ...) {
  mode_t mode = 0;
  int fd;
  bool inside = is_inside(path);
  if ((flags & O_CREAT) != 0) {
    va_list args;
    va_start(args, flags);
    mode = (mode_t)va_arg(args, unsigned);
    va_end(args);
  }
  if (inside && fails(FAULT_OPEN)) return -1;
  fd = NEXT(open)(path, flags, mode);
  if (fd >= 0 && fd < MOST_FILES) state.files[fd] = inside;
  return fd;
}

EXPORT int close (int fd) {
  if (is_ours(fd)) state.files[fd] = false;
  return NEXT(close)(fd);
}

EXPORT ssize_t pwrite (int fd, const void *data, size_t size, off_t at) {
  if (is_ours(fd) && fails(FAULT_WRITE)) {
    if (part(size) == 0) return -1;
    size = part(size);
  }
  return NEXT(pwrite)(fd, data, size, at);
}

EXPORT ssize_t write (int fd, const void *data, size_t size) {
  if (is_ours(fd) && fails(FAULT_WRITE)) {
    if (part(size) == 0) return -1;
    size = part(size);
  }
  return NEXT(write)(fd, data, size);
}

EXPORT ssize_t writev (int fd, const struct iovec *parts, int n) {
  if (is_ours(fd) && fails(FAULT_WRITE)) {
    if (part(2) == 0) return -1;
    if (n == 1)
      return NEXT(write)(fd, parts->iov_base, part(parts->iov_len));
    n /= 2;
  }
  return NEXT(writev)(fd, parts, n);
}

EXPORT int fsync (int fd) {
  if (is_ours(fd) && fails(FAULT_SYNC)) return -1;
  return NEXT(fsync)(fd);
}

EXPORT int fdatasync (int fd) {
  if (is_ours(fd) && fails(FAULT_SYNC)) return -1;
  return NEXT(fdatasync)(fd);
}

EXPORT int ftruncate (int fd, off_t size) {
  if (is_ours(fd) && fails(FAULT_TRUNCATE)) return -1;
  return NEXT(ftruncate)(fd, size);
}

EXPORT void *mmap (void *at, size_t size, int protection, int flags, int fd,
                   off_t from) {
  if (is_ours(fd) && fails(FAULT_MAP)) return MAP_FAILED;
  return NEXT(mmap)(at, size, protection, flags, fd, from);
}

EXPORT int fcntl (int fd, int command, ...) {
  va_list args;
  void *what;
  bool locks;
  va_start(args, command);
  what = va_arg(args, void *);
  va_end(args);
  locks = command == F_SETLK || command == F_SETLKW ||
          command == F_OFD_SETLK || command == F_OFD_SETLKW;
  if (locks && is_ours(fd) && fails(FAULT_LOCK)) return -1;
  return NEXT(fcntl)(fd, command, what);
}

EXPORT int flock (int fd, int operation) {
  if (is_ours(fd) && fails(FAULT_LOCK)) return -1;
  return NEXT(flock)(fd, operation);
}

EXPORT int link (const char *from, const char *to) {
  if (is_inside(to) && fails(FAULT_NAME)) return -1;
  return NEXT(link)(from, to);
}

EXPORT int unlink (const char *path) {
  if (is_inside(path) && fails(FAULT_NAME)) return -1;
  return NEXT(unlink)(path);
}

EXPORT int mkdir (const char *path, mode_t mode) {
  if (is_inside(path) && fails(FAULT_NAME)) return -1;
  return NEXT(mkdir)(path, mode);
}

/* }================================================================== */

/* {==================================================================
** Memory: glibc's own names, as dlsym asks for memory itself
** =================================================================== */

extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *block, size_t size);
extern void *__libc_memalign (size_t alignment, size_t size);

EXPORT void *malloc (size_t size) {
  return fails(FAULT_MEMORY) ? NULL : __libc_malloc(size);
}

EXPORT void *calloc (size_t n, size_t size) {
  return fails(FAULT_MEMORY) ? NULL : __libc_calloc(n, size);
}

EXPORT void *realloc (void *block, size_t size) {
  if (size != 0 && fails(FAULT_MEMORY)) return NULL;
  return __libc_realloc(block, size);
}

EXPORT int posix_memalign (void **block, size_t alignment, size_t size) {
  if (fails(FAULT_MEMORY)) return errno;
  *block = __libc_memalign(alignment, size);
  return *block != NULL ? 0 : ENOMEM;
}

/* }================================================================== */
