/*
** crash_create.c - a process that makes a store and is killed (kill -9) at
** each of its system calls in turn: whatever it leaves, the next one finds a
** whole store there, or none and makes one; and both can be used.
**
** The short form takes every fourth call, LODE_FULL=1 each one. (A call is
** seen twice, as it begins and as it ends.)
**
** The process is traced, where the system allows that (Linux); else nothing
** is tested, and that is counted.
*/
#ifdef __linux__
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#endif

#include "scratch.h"

#define CALLS_MOST 5000

static long rounds, skipped;

#ifdef __linux__

static lode_status make (const char *path, bool single, lode_store **s,
                         lode_error *e) {
  lode_options o;
  lode_options_init(&o);
  o.single_file = single;
  o.map_size = (uint64_t)1 << 26;
  *s = NULL;
  return lode_open(path, &o, s, e);
}

/* The child: waits until it is traced, makes a store, puts an entry. */
static void child (const char *path, bool single) {
  lode_store *s;
  lode_error e;
  lode_coll *c;
  if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
    _exit(3);
  raise(SIGSTOP);
  if (make(path, single, &s, &e) != LODE_OK)
    _exit(1);
  c = scratch_coll(s, "d", LODE_DICT);
  if (c == NULL || put_integer(c, 1, test_text("first")) != LODE_OK)
    _exit(1);
  lode_coll_close(c);
  _exit(lode_close(s, &e) != LODE_OK);
}

typedef enum ending { KILLED, DONE, UNTRACED } ending;

/* Runs the child up to its `n`-th stop at a system call. */
static ending run (const char *path, bool single, long n) {
  int how = 0;
  pid_t pid;
  fflush(stdout);
  pid = fork();
  if (pid == 0)
    child(path, single);
  expect(waitpid(pid, &how, 0) == pid);
  if (!WIFSTOPPED(how)) /* it may not be traced */
    return UNTRACED;
  while (n-- > 0) {
    if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) != 0 ||
        waitpid(pid, &how, 0) != pid) {
      kill(pid, SIGKILL);
      waitpid(pid, &how, 0);
      return UNTRACED;
    }
    if (WIFEXITED(how)) {
      expect(WEXITSTATUS(how) == 0);
      return DONE;
    }
  }
  kill(pid, SIGKILL);
  waitpid(pid, &how, 0);
  return KILLED;
}

/* What was left is a store that works, or makes way for one. */
static void look (const char *path, bool single, long n) {
  lode_check_report r = { .ok = false };
  lode_error e;
  lode_store *s;
  lode_coll *c;
  lode_status st = make(path, single, &s, &e);
  if (!expect(st == LODE_OK)) {
    printf("killed at call %ld: %s\n", n, e.text);
    return;
  }
  c = scratch_coll(s, "d", LODE_DICT);
  st = has_integer(c, 1);
  expect(st == LODE_OK || st == LODE_ABSENT);
  expect(put_integer(c, 2, test_text("second")) == LODE_OK);
  expect(has_integer(c, 2) == LODE_OK);
  expect(lode_check(s, NULL, &r) == LODE_OK && r.ok && r.collections == 1);
  lode_coll_close(c);
  scratch_close(s);
}

static void kill_at_each (bool single) {
  char path[128], command[200];
  ending how = KILLED;
  long step = getenv("LODE_FULL") != NULL ? 1 : 4;
  snprintf(path, sizeof path, "%s", scratch_path("made"));
  snprintf(command, sizeof command, "rm -rf '%s'*", path);
  for (long n = 0; how == KILLED && n < CALLS_MOST; n += step) {
    how = run(path, single, n);
    if (how == UNTRACED)
      break;
    look(path, single, n);
    rounds++;
    if (system(command) != 0) exit(2);
  }
  skipped += how == UNTRACED;
  if (how == UNTRACED)
    printf("        skipped: no process can be traced here\n");
  else
    expect(how == DONE);
}

static void directory (void) { kill_at_each(false); }
static void single_file (void) { kill_at_each(true); }

#else

static void directory (void) { skipped++; }
static void single_file (void) { skipped++; }

#endif

int main (void) {
  scratch_begin();
  test_group("a store is made at once, or not at all", directory);
  test_group("a single file, too", single_file);
  printf("%ld kills at the system calls of a creation, %ld kinds skipped\n",
         rounds, skipped);
  scratch_end();
  return test_end();
}
