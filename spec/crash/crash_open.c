/*
** crash_open.c - a process that is killed while it opens the store.
**
** Who opens a store that nobody has open makes LMDB's lock file anew, with
** the number of the last commit in it, at first 0. If it is killed just
** then, while another waits to open, that one would take the 0 for true:
** it would write its first commit over the last one.
*/
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "scratch.h"

static bool armed; /* stop at the next map of a data file */

/* The system's, but for the stop. LMDB calls it in place of libc's. */
__attribute__((visibility("default")))
void *mmap (void *at, size_t size, int protection, int flags, int fd,
            off_t offset) {
  if (armed && fd >= 0 && protection == PROT_READ && flags == MAP_SHARED) {
    armed = false;
    raise(SIGSTOP);
  }
  return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

static lode_options patient (void) {
  lode_options o;
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.lock_timeout = 20000;
  return o;
}

/* Makes a store with `n` entries, each a commit. */
static uint64_t fill (const char *name, int n) {
  lode_options o = patient();
  lode_store *s = scratch_open(name, &o);
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  uint64_t version = 0;
  for (int i = 0; i < n; i++)
    expect(put_integer(c, i, test_text("value")) == LODE_OK);
  expect(lode_version(s, &version) == LODE_OK);
  lode_coll_close(c);
  scratch_close(s);
  return version;
}

/* Whether all entries are there, and the numbers of commits go on. */
static bool is_as_it_was (const char *name, int n, uint64_t version) {
  lode_options o = patient();
  lode_store *s = scratch_open(name, &o);
  lode_coll *c = scratch_coll(s, "d", LODE_DICT);
  uint64_t now = 0;
  bool ok = lode_version(s, &now) == LODE_OK && now >= version;
  ok = ok && put_integer(c, n, test_text("value")) == LODE_OK;
  for (int i = 0; i <= n; i++)
    ok = ok && has_integer(c, i) == LODE_OK;
  ok = ok && lode_version(s, &now) == LODE_OK && now > version;
  lode_coll_close(c);
  scratch_close(s);
  return ok;
}

static pid_t start (void) {
  fflush(stdout);
  return fork();
}

static void killed_while_opening (int n) {
  const struct timespec nap = { 0, 200000000 };
  lode_check_report r = { .ok = false };
  lode_error e;
  uint64_t version = fill("open", n);
  pid_t first, second;
  int status = 0;
  if ((first = start()) == 0) {
    armed = true;
    scratch_open("open", NULL);
    _exit(1);
  }
  expect(waitpid(first, &status, WUNTRACED) == first && WIFSTOPPED(status));
  if ((second = start()) == 0)
    _exit(is_as_it_was("open", n, version) ? 0 : 1);
  nanosleep(&nap, NULL); /* it waits for the first one */
  kill(first, SIGKILL);
  waitpid(first, &status, 0);
  expect(waitpid(second, &status, 0) == second && status == 0);
  expect(lode_check_file(scratch_path("open"), NULL, &r, &e) == LODE_OK);
  expect(r.ok && r.entries == (uint64_t)n + 1);
  scratch_end();
  scratch_begin();
}

static void odd (void) { killed_while_opening(11); }
static void even (void) { killed_while_opening(12); }

/* It may be stopped, too: then others give up in time. */
static void stopped_while_opening (void) {
  lode_options o = patient();
  lode_store *s;
  lode_error e;
  pid_t first;
  int status;
  fill("stopped", 3);
  if ((first = start()) == 0) {
    armed = true;
    scratch_open("stopped", NULL);
    _exit(1);
  }
  expect(waitpid(first, &status, WUNTRACED) == first && WIFSTOPPED(status));
  o.lock_timeout = 100;
  alarm(60);
  expect(lode_open(scratch_path("stopped"), &o, &s, &e) == LODE_BUSY);
  alarm(0);
  kill(first, SIGKILL);
  waitpid(first, &status, 0);
  s = scratch_open("stopped", NULL);
  scratch_close(s);
}

int main (void) {
  scratch_begin();
  test_group("killed while opening, after an odd commit", odd);
  test_group("killed while opening, after an even one", even);
  test_group("stopped while opening", stopped_while_opening);
  scratch_end();
  return test_end();
}
