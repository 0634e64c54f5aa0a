/*
** fault_identity.c - one file under several names, and several files under
** one name: links, directories that move, lock files that are deleted or
** replaced or closed by somebody else, processes of equal numbers, standard
** descriptors that are closed. It works, or says why not: there are never
** two writers, and no wrong reads.
*/
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "scratch.h"

#define ROUNDS 20

static long rounds = 1, skipped;

static struct common {
  volatile int stage;
} *common;

static char words[400]; /* of the last failure */
static unsigned patience = 100; /* lock_timeout, in ms */

static void reach (int stage) { common->stage = stage; }

static void nap (long ms) {
  const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
  nanosleep(&t, NULL);
}

static void await (int stage) {
  for (int i = 0; i < 20000 && common->stage < stage; i++)
    nap(1);
}

static pid_t start (void (*body) (void *data), void *data) {
  pid_t pid;
  fflush(stdout);
  pid = fork();
  if (pid != 0)
    return pid;
  alarm(30);
  test_now.failed = 0;
  body(data);
  fflush(stdout);
  _exit(test_now.failed != 0);
}

static bool ended (pid_t pid) {
  int status;
  return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool run (void (*body) (void *data), void *data) {
  return ended(start(body, data));
}

/* {==================================================================
** Stores by path
** =================================================================== */

typedef struct host {
  lode_store *s;
  lode_coll *c;
} host;

static lode_status try_open (const char *path, host *h) {
  lode_options o;
  lode_error e = { LODE_OK, "" };
  lode_status st;
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.lock_timeout = patience;
  h->s = NULL;
  h->c = NULL;
  st = lode_open(path, &o, &h->s, &e);
  snprintf(words, sizeof words, "%s", e.text);
  if (st == LODE_OK)
    h->c = scratch_coll(h->s, "d", LODE_DICT);
  return st;
}

static host host_open (const char *path) {
  host h;
  if (!expect(try_open(path, &h) == LODE_OK)) {
    printf("%s: %s\n", path, words);
    exit(2);
  }
  return h;
}

static void host_close (host *h) {
  lode_coll_close(h->c);
  scratch_close(h->s);
  h->s = NULL;
}

static lode_status put (host *h, int64_t i) {
  return put_integer(h->c, i, test_text("x"));
}

static bool says (host *h, const char *text) {
  return strstr(lode_store_error(h->s)->text, text) != NULL;
}

/* A path in the temporary directory; the last eight stay. */
static const char *in_scratch (const char *name) {
  static char paths[8][200];
  static int at;
  at = (at + 1) % 8;
  snprintf(paths[at], sizeof paths[at], "%s/%s", scratch_dir, name);
  return paths[at];
}

static void shell (const char *command) {
  char line[600];
  snprintf(line, sizeof line, "cd '%s' && %s", scratch_dir, command);
  expect(system(line) == 0);
}

static void clean (void) { shell("rm -rf -- * && mkdir -p empty"); }

/* }================================================================== */

/* {==================================================================
** Other names
** =================================================================== */

static void child_writes (void *data) {
  host h = host_open(data);
  expect(put(&h, getpid()) == LODE_OK);
  host_close(&h);
}

/* Two handles by two names are one environment, and one writer. */
static void see_same (const char *one, const char *other) {
  host a = host_open(one), b = host_open(other);
  lode_stats stats;
  expect(put(&a, 1) == LODE_OK && has_integer(b.c, 1) == LODE_OK);
  expect(lode_store_stats(b.s, &stats) == LODE_OK && stats.handles >= 2);
  expect(lode_begin(a.s) == LODE_OK);
  expect(put(&b, 2) == LODE_REENTRY); /* it is known to be the same */
  lode_abort(a.s);
  host_close(&a);
  expect(put(&b, 3) == LODE_OK);
  expect(run(child_writes, (void *)one));
  host_close(&b);
}

static void by_links (void) {
  char here[400];
  clean();
  expect(getcwd(here, sizeof here) != NULL);
  shell("ln -s store link && mkdir sub && ln -s ../store sub/link");
  see_same(in_scratch("store"), in_scratch("link"));
  see_same(in_scratch("sub/link"), in_scratch("sub/../store/"));
  expect(chdir(scratch_dir) == 0);
  see_same("store", in_scratch("store"));
  see_same("./sub/link", "link");
  expect(chdir(here) == 0);
}

/* The data file linked into another directory, with a lock file there. */
static void child_is_refused (void *data) {
  host h;
  expect(try_open(data, &h) == LODE_BUSY);
  expect(strstr(words, "lock file") != NULL);
}

static void by_hard_link (void) {
  host a;
  clean();
  a = host_open(in_scratch("store"));
  shell("mkdir twin && ln store/data.mdb twin/data.mdb");
  see_same(in_scratch("store"), in_scratch("twin")); /* in one process */
  expect(run(child_is_refused, (void *)in_scratch("twin")));
  expect(put(&a, 4) == LODE_OK);
  host_close(&a);
  expect(run(child_writes, (void *)in_scratch("twin")));
  a = host_open(in_scratch("twin"));
  expect(run(child_is_refused, (void *)in_scratch("store")));
  host_close(&a);
}

static void mounts (void *data) {
  host h;
  (void)data;
  if (unshare(CLONE_NEWNS) != 0 ||
      mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount(in_scratch("store"), in_scratch("mounted"), NULL, MS_BIND,
            NULL) != 0) {
    reach(9);
    return;
  }
  see_same(in_scratch("store"), in_scratch("mounted"));
  h = host_open(in_scratch("mounted"));
  reach(1); /* the other one has begun a transaction */
  await(2);
  expect(put(&h, 5) == LODE_BUSY);
  reach(3);
  await(4);
  expect(put(&h, 5) == LODE_OK);
  host_close(&h);
}

static void by_bind_mount (void) {
  host a;
  pid_t pid;
  clean();
  reach(0);
  shell("mkdir mounted");
  a = host_open(in_scratch("store"));
  pid = start(mounts, NULL);
  while (common->stage < 1)
    nap(1);
  if (common->stage == 9)
    skipped++; /* not root */
  else {
    expect(lode_begin(a.s) == LODE_OK);
    reach(2);
    await(3);
    lode_abort(a.s);
    reach(4);
  }
  expect(ended(pid));
  host_close(&a);
}

/* Neither another directory nor another name of this one does any harm. */
static void after_moving (void) {
  char here[400];
  host a;
  clean();
  expect(getcwd(here, sizeof here) != NULL && chdir(scratch_dir) == 0);
  a = host_open("store");
  expect(chdir("empty") == 0);
  nap(120);
  expect(put(&a, 1) == LODE_OK);
  shell("mv store moved");
  nap(120);
  expect(put(&a, 2) == LODE_OK);
  expect(run(child_writes, (void *)in_scratch("moved")));
  see_same(in_scratch("moved"), in_scratch("moved"));
  host_close(&a);
  expect(chdir(here) == 0);
}

/* }================================================================== */

/* {==================================================================
** Lock files
** =================================================================== */

/* What is deleted is refused, on both sides, until all have closed it. */
static void see_refused (const char *command) {
  host a, b;
  clean();
  a = host_open(in_scratch("store"));
  expect(put(&a, 1) == LODE_OK);
  b = host_open(in_scratch("store"));
  expect(lode_snapshot(b.s) == LODE_OK);
  shell(command);
  expect(run(child_is_refused, (void *)in_scratch("store")));
  nap(120);
  expect(put(&a, 2) == LODE_IO && says(&a, "deleted or replaced"));
  expect(has_integer(a.c, 1) == LODE_OK);
  expect(has_integer(b.c, 1) == LODE_OK);
  lode_snapshot_end(b.s);
  host_close(&a);
  host_close(&b);
  a = host_open(in_scratch("store"));
  nap(120);
  expect(put(&a, 2) == LODE_OK);
  expect(run(child_writes, (void *)in_scratch("store")));
  host_close(&a);
}

static void lock_file_gone (void) {
  see_refused("rm store/lock.mdb");
  see_refused("cp store/lock.mdb l && mv l store/lock.mdb");
  see_refused("mv store/lock.mdb l");
}

/* A side file alone: LMDB's own lock is still there. */
static void side_file_gone (void) {
  host a;
  clean();
  a = host_open(in_scratch("store"));
  expect(put(&a, 1) == LODE_OK);
  shell("rm store/lode.side");
  nap(120);
  expect(put(&a, 2) == LODE_IO && says(&a, "deleted or replaced"));
  host_close(&a);
  a = host_open(in_scratch("store"));
  nap(120);
  expect(put(&a, 2) == LODE_OK);
  host_close(&a);
}

/* Somebody in this process closes the lock file: its locks are gone. */
static void child_meets_lost (void *data) {
  host h;
  expect(try_open(data, &h) == LODE_BUSY);
  expect(strstr(words, "lost its locks") != NULL);
}

static void lock_file_closed (void) {
  host a;
  int fd;
  clean();
  a = host_open(in_scratch("store"));
  expect(put(&a, 1) == LODE_OK);
  expect(lode_snapshot(a.s) == LODE_OK);
  fd = open(in_scratch("store/lock.mdb"), O_RDONLY);
  expect(fd >= 0 && close(fd) == 0);
  expect(run(child_meets_lost, (void *)in_scratch("store")));
  expect(has_integer(a.c, 1) == LODE_OK);
  lode_snapshot_end(a.s);
  expect(put(&a, 2) == LODE_OK);
  host_close(&a);
  expect(run(child_writes, (void *)in_scratch("store")));
}

/* }================================================================== */

/* {==================================================================
** Processes of equal numbers
** =================================================================== */

static void first_of_number (void *data) {
  host h = host_open(in_scratch("store"));
  (void)data;
  expect(put(&h, 1) == LODE_OK);
  expect(lode_snapshot(h.s) == LODE_OK);
  reach(1);
  await(2);
  expect(has_integer(h.c, 1) == LODE_OK);
  expect(has_integer(h.c, 2) == LODE_ABSENT);
  lode_snapshot_end(h.s);
  host_close(&h);
  reach(3);
}

static void second_of_number (void *data) {
  host h;
  (void)data;
  await(1);
  expect(try_open(in_scratch("store"), &h) == LODE_BUSY);
  expect(strstr(words, "pid namespace") != NULL);
  reach(2);
  await(3);
  expect(try_open(in_scratch("store"), &h) == LODE_OK);
  expect(put(&h, 2) == LODE_OK);
  host_close(&h);
}

/* The first process of a namespace of its own. */
static void in_namespace (void *data) {
  void (*body)(void *) = *(void (**)(void *))data;
  int status;
  pid_t pid;
  if (unshare(CLONE_NEWPID) != 0) {
    reach(9);
    return;
  }
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    alarm(30);
    expect(getpid() == 1);
    body(NULL);
    fflush(stdout);
    _exit(test_now.failed != 0);
  }
  expect(waitpid(pid, &status, 0) == pid && status == 0);
}

static void equal_numbers (void) {
  void (*first)(void *) = first_of_number;
  void (*second)(void *) = second_of_number;
  pid_t a, b;
  clean();
  reach(0);
  a = start(in_namespace, (void *)&first);
  while (common->stage < 1)
    nap(1);
  if (common->stage == 9) {
    skipped++; /* not root */
    expect(ended(a));
    return;
  }
  b = start(in_namespace, (void *)&second);
  expect(ended(b));
  expect(ended(a));
}

/* }================================================================== */

/* {==================================================================
** Descriptors and signals
** =================================================================== */

static void without_standard (void *data) {
  host h;
  char link[64], to[300];
  int out = fcntl(1, F_DUPFD, 10);
  (void)data;
  for (int fd = 0; fd <= 2; fd++)
    close(fd);
  h = host_open(in_scratch("store"));
  expect(put(&h, 1) == LODE_OK);
  for (int fd = 0; fd <= 2; fd++) {
    ssize_t size;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink(link, to, sizeof to - 1);
    to[size > 0 ? size : 0] = '\0';
    expect(strstr(to, scratch_dir) == NULL);
  }
  for (int fd = 0; fd <= 2; fd++) /* what libraries do */
    expect(write(fd, "a warning of some library\n", 26) == 26);
  expect(has_integer(h.c, 1) == LODE_OK);
  host_close(&h);
  dup2(out, 1);
}

static void closed_standard (void) {
  host h;
  clean();
  expect(run(without_standard, NULL));
  h = host_open(in_scratch("store"));
  expect(has_integer(h.c, 1) == LODE_OK);
  host_close(&h);
}

static void on_signal (int signal) { (void)signal; }

/* Opens and closes all the time, interrupted by a timer. */
static void opens_and_closes (void *data) {
  const struct itimerval often = { { 0, 700 }, { 0, 700 } };
  long times = *(long *)data;
  setitimer(ITIMER_PROF, &often, NULL);
  for (long i = 0; i < times; i++) {
    host h = host_open(in_scratch("store"));
    expect(has_integer(h.c, 1) == LODE_OK);
    host_close(&h);
  }
}

static void interrupted (void) {
  enum { PROCESSES = 4 };
  struct sigaction action;
  long times = 60 * rounds;
  pid_t pids[PROCESSES];
  int left = PROCESSES;
  host h;
  clean();
  patience = 20000;
  h = host_open(in_scratch("store"));
  expect(put(&h, 1) == LODE_OK);
  host_close(&h);
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  sigaction(SIGPROF, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
  for (int i = 0; i < PROCESSES; i++)
    pids[i] = start(opens_and_closes, &times);
  while (left > 0) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid > 0) {
      if (!expect(status == 0))
        printf("it ended with status %x\n", (unsigned)status);
      left--;
      for (int i = 0; i < PROCESSES; i++)
        if (pids[i] == pid)
          pids[i] = 0;
    }
    for (int i = 0; i < PROCESSES; i++)
      if (pids[i] > 0)
        kill(pids[i], SIGUSR1);
    nap(1);
  }
  patience = 100;
}

/* }================================================================== */

static void rounds_of (const char *name, void (*body) (void)) {
  static void (*now) (void);
  now = body;
  for (long i = 0; i < rounds; i++) {
    test_group(name, now);
    if (test_now.failed > 0)
      break;
  }
}

int main (void) {
  const char *full = getenv("LODE_FULL");
  if (full != NULL && strcmp(full, "1") == 0)
    rounds = ROUNDS;
  common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (common == MAP_FAILED)
    return 2;
  scratch_begin();
  rounds_of("symbolic links and relative paths", by_links);
  rounds_of("a hard link in another directory", by_hard_link);
  rounds_of("a bind mount", by_bind_mount);
  rounds_of("another directory, another name of it", after_moving);
  rounds_of("a lock file deleted or replaced", lock_file_gone);
  rounds_of("a side file deleted", side_file_gone);
  rounds_of("a lock file closed by somebody else", lock_file_closed);
  rounds_of("equal numbers in two namespaces", equal_numbers);
  rounds_of("no standard descriptors", closed_standard);
  rounds_of("openings that signals interrupt", interrupted);
  scratch_end();
  printf("%ld rounds of names and lock files, %ld skipped\n", rounds,
         skipped);
  return test_end();
}
