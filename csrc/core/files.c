/*
** files.c - see files.h.
*/
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/vfs.h>
#elif defined(__APPLE__) || defined(__FreeBSD__)
#include <sys/mount.h>
#include <sys/param.h>
#endif

#include "check.h"

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

/*
** `base` from the root on; where the present directory has no name (it was
** removed, or is too deep) as it is.
*/
static char *from_root (const char *base) {
  char here[PATH_MAX + 1];
  if (base[0] == '/' || getcwd(here, PATH_MAX) == NULL)
    return joined(base, strlen(base), "");
  here[strlen(here) + 1] = '\0';
  here[strlen(here)] = '/';
  return joined(here, strlen(here), base);
}

lode_status files_name (files *f, const char *path, bool single_file) {
  size_t size = strlen(path);
  memset(f, 0, sizeof *f);
  while (size > 1 && path[size - 1] == '/')
    size--;
  f->base = joined(path, size, "");
  f->root = f->base != NULL ? from_root(f->base) : NULL;
  if (f->root != NULL) {
    const char *slash = strrchr(f->root, '/');
    size = strlen(f->root);
    f->data = joined(f->root, size, single_file ? "" : "/data.mdb");
    f->lock = joined(f->root, size, single_file ? "-lock" : "/lock.mdb");
    f->side = joined(f->root, size, single_file ? "-lode" : "/lode.side");
    if (!single_file)
      f->dir = joined(f->root, size, "");
    else if (slash == NULL)
      f->dir = joined(".", 1, "");
    else
      f->dir = joined(f->root, (size_t)(slash - f->root) + 1, "");
  }
  if (f->data && f->lock && f->side && f->dir)
    return LODE_OK;
  files_free(f);
  return LODE_NO_MEMORY;
}

void files_free (files *f) {
  lode_free(f->base);
  lode_free(f->root);
  lode_free(f->data);
  lode_free(f->lock);
  lode_free(f->side);
  lode_free(f->dir);
  memset(f, 0, sizeof *f);
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

static bool sync_one (const char *dir) {
  int fd = open(dir, O_RDONLY | O_CLOEXEC);
  bool ok;
  if (fd < 0)
    return false;
  ok = fsync(fd) == 0 || errno == EINVAL; /* not every system can */
  close(fd);
  return ok;
}

bool files_sync_dir (const char *dir) {
  char above[4096];
  if (!sync_one(dir))
    return false;
  if (snprintf(above, sizeof above, "%s/..", dir) >= (int)sizeof above) {
    errno = ENAMETOOLONG;
    return false;
  }
  return sync_one(above) || errno == EACCES; /* it may not be for reading */
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
** The file system
** =================================================================== */

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
