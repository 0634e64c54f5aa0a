/*
** salvage.c - lode_salvage: a child process that may die of what it reads,
** and a pipe through which it tells. See salvage.h.
**
**   message := kind (1) size (4, this machine's) bytes
**
**   p  done (8) total (8)               r  lode_salvage_report: the end
**   t  a problem's text                 e  lode_error: the end
**   c  kept (8) lost (8) kind (4) name
**
** The new store is built beside `to` and moved there when it is whole.
*/
#include "salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"

#define COLLECTIONS 4096 /* that the new store may have */
#define MESSAGE_MAX 4096

typedef struct target { /* where it is built */
  files to, part;
  bool single;
} target;

/* {==================================================================
** In the child
** =================================================================== */

static bool send_all (int fd, const void *data, size_t size) {
  const char *p = data;
  while (size > 0) {
    ssize_t n = write(fd, p, size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    p += n;
    size -= (size_t)n;
  }
  return true;
}

static bool send_message (int fd, char kind, const void *data,
                          size_t size) {
  unsigned char bytes[5 + MESSAGE_MAX];
  uint32_t n = (uint32_t)(size < MESSAGE_MAX ? size : MESSAGE_MAX);
  bytes[0] = (unsigned char)kind;
  memcpy(bytes + 1, &n, sizeof n);
  memcpy(bytes + 5, data, n);
  return send_all(fd, bytes, 5 + n);
}

static bool send_progress (void *data, uint64_t done, uint64_t total) {
  uint64_t both[2] = { done, total };
  return send_message(*(int *)data, 'p', both, sizeof both);
}

static void send_problem (void *data, const char *text) {
  send_message(*(int *)data, 't', text, strlen(text) + 1);
}

static void send_part (void *data, const lode_salvaged *what) {
  unsigned char bytes[20 + LODE_NAME_MAX];
  size_t size = what->name.size < LODE_NAME_MAX ? what->name.size
                                                : LODE_NAME_MAX;
  uint32_t kind = what->kind;
  memcpy(bytes, &what->kept, 8);
  memcpy(bytes + 8, &what->lost, 8);
  memcpy(bytes + 16, &kind, 4);
  memcpy(bytes + 20, what->name.data, size);
  send_message(*(int *)data, 'c', bytes, 20 + size);
}

static lode_status write_new (int fd, const char *path, const target *x,
                              int out, lode_salvage_report *report,
                              lode_error *error) {
  const salvage_ear ear = { send_progress, send_problem, send_part, &out };
  lode_error ignored;
  lode_options o;
  lode_store *s = NULL;
  lode_status st;
  lode_options_init(&o);
  o.single_file = x->single;
  o.durability = LODE_OS;
  o.maintenance = LODE_OFF;
  o.collections = COLLECTIONS;
  st = lode_open(x->part.base, &o, &s, error);
  if (st != LODE_OK)
    return st;
  st = salvage_run(fd, path, s, &ear, report, error);
  if (lode_close(s, &ignored) != LODE_OK && st == LODE_OK) {
    *error = ignored;
    st = ignored.status;
  }
  return st;
}

/* All that the child does. What kills it, kills it: nobody handles that. */
static void child (int fd, const char *path, const target *x, int out) {
  static const int deadly[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
  lode_salvage_report report;
  lode_error error;
  for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
    signal(deadly[i], SIG_DFL);
  signal(SIGPIPE, SIG_IGN);
  if (write_new(fd, path, x, out, &report, &error) == LODE_OK)
    send_message(out, 'r', &report, sizeof report);
  else
    send_message(out, 'e', &error, sizeof error);
}

/* }================================================================== */

/* {==================================================================
** In the parent
** =================================================================== */

static bool receive (int fd, void *data, size_t size) {
  char *p = data;
  while (size > 0) {
    ssize_t n = read(fd, p, size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    p += n;
    size -= (size_t)n;
  }
  return true;
}

static void hear_part (const lode_salvage_options *o,
                       const unsigned char *p, size_t size) {
  lode_salvaged what;
  uint32_t kind;
  if (size < 20 || o->collection == NULL)
    return;
  memcpy(&what.kept, p, 8);
  memcpy(&what.lost, p + 8, 8);
  memcpy(&kind, p + 16, 4);
  what.kind = (lode_kind)kind;
  what.name = slice_of(p + 20, size - 20);
  o->collection(o->data, &what);
}

/* Hears until the end; false: there was none, the child is gone. */
static bool hear (int fd, const lode_salvage_options *o,
                  lode_salvage_report *report, lode_error *error) {
  unsigned char head[5], body[MESSAGE_MAX + 1];
  uint64_t both[2];
  uint32_t size;
  while (receive(fd, head, sizeof head)) {
    memcpy(&size, head + 1, sizeof size);
    if (size > MESSAGE_MAX || !receive(fd, body, size))
      return false;
    body[size] = '\0';
    switch (head[0]) {
      case 'p':
        memcpy(both, body, sizeof both);
        if (o->progress != NULL && !o->progress(o->data, both[0], both[1])) {
          fail(error, LODE_CALLBACK, "the salvage was stopped");
          return true;
        }
        break;
      case 't':
        if (o->problem != NULL)
          o->problem(o->data, (const char *)body);
        break;
      case 'c': hear_part(o, body, size); break;
      case 'r':
        error->status = LODE_OK;
        memcpy(report, body, sizeof *report);
        return true;
      case 'e': memcpy(error, body, sizeof *error); return true;
      default: return false;
    }
  }
  return false;
}

/* Ends the child, and says how it went when it has not itself. */
static lode_status part_with (pid_t pid, bool heard, const char *path,
                              lode_error *error) {
  int how = 0;
  pid_t got;
  if (heard && error->status == LODE_CALLBACK)
    kill(pid, SIGKILL);
  do
    got = waitpid(pid, &how, 0);
  while (got < 0 && errno == EINTR);
  if (heard)
    return error->status;
  if (got == pid && WIFSIGNALED(how))
    return fail(error, LODE_CORRUPT, "%s: the salvage died of signal %d; the "
                "original is as it was", path, WTERMSIG(how));
  return fail(error, LODE_IO, "%s: the salvage ended before it was done; the "
              "original is as it was", path);
}

static lode_status in_child (int fd, const char *path, const target *x,
                             const lode_salvage_options *o,
                             lode_salvage_report *report,
                             lode_error *error) {
  int ends[2];
  bool heard;
  pid_t pid;
  if (pipe(ends) != 0)
    return fail(error, LODE_IO, "%s: no pipe: %s", path, strerror(errno));
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  pid = fork();
  if (pid == 0) {
    close(ends[0]);
    child(fd, path, x, ends[1]);
    _exit(0);
  }
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return fail(error, LODE_IO, "%s: no process for the salvage: %s", path,
                strerror(errno));
  }
  heard = hear(ends[0], o, report, error);
  close(ends[0]);
  return part_with(pid, heard, path, error);
}

/* }================================================================== */

/* {==================================================================
** Files
** =================================================================== */

static void target_free (target *x) {
  files_free(&x->to);
  files_free(&x->part);
}

static lode_status target_name (target *x, const char *path, const char *to,
                                lode_error *error) {
  char part[4096];
  struct stat st;
  x->single = stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
  if (to[0] == '\0' || snprintf(part, sizeof part, "%s.part-%ld", to,
                                (long)getpid()) >= (int)sizeof part)
    return fail(error, LODE_BAD_ARGUMENT, "%.80s is no path to write to",
                to);
  if (lstat(to, &st) == 0)
    return fail(error, LODE_BAD_ARGUMENT, "%s is there already; a salvage "
                "goes to a new place", to);
  if (files_name(&x->to, to, x->single) != LODE_OK ||
      files_name(&x->part, part, x->single) != LODE_OK)
    return fail(error, LODE_NO_MEMORY, "%s: no memory", path);
  return LODE_OK;
}

/* Removes what was built. */
static void sweep_up (const target *x) {
  unlink(x->part.data);
  unlink(x->part.side);
  unlink(x->part.lock);
  if (!x->single)
    rmdir(x->part.dir);
}

/* Gives what was built its name. */
static lode_status put_in_place (const target *x, lode_error *error) {
  files parent;
  lode_status st = LODE_OK;
  if (x->single ? link(x->part.data, x->to.data) != 0
                : rename(x->part.dir, x->to.dir) != 0)
    return fail(error, LODE_IO, "%s: %s", x->to.base, strerror(errno));
  if (x->single)
    sweep_up(x);
  if (files_name(&parent, x->to.base, true) != LODE_OK)
    return fail(error, LODE_NO_MEMORY, "%s: no memory", x->to.base);
  if (!files_sync_dir(parent.dir))
    st = fail(error, LODE_IO, "%s: %s", parent.dir, strerror(errno));
  files_free(&parent);
  return st;
}

lode_status lode_salvage (const char *path, const char *to,
                          const lode_salvage_options *o,
                          lode_salvage_report *report, lode_error *error) {
  const lode_salvage_options silent = { .data = NULL };
  target x = { .single = false };
  lode_salvage_report r = { .ok = false };
  int fd = -1;
  lode_status st = salvage_open(path, &fd, error);
  if (st != LODE_OK)
    return st;
  st = target_name(&x, path, to, error);
  if (st == LODE_OK) {
    st = in_child(fd, path, &x, o != NULL ? o : &silent, &r, error);
    if (st == LODE_OK)
      st = put_in_place(&x, error);
    if (st != LODE_OK)
      sweep_up(&x);
  }
  target_free(&x);
  close(fd);
  if (st == LODE_OK)
    *report = r;
  return st;
}

/* }================================================================== */
