/*
** test_claims.c - claims exclude threads and processes, end with their
** process, and give up in time.
**
** Each process opens the side file itself, and closes no other descriptor
** of it meanwhile. A child tells by its exit status or through a pipe, and
** never returns from the group that made it.
*/
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "core/claims.h"
#include "scratch.h"

#define THREADS 4
#define PROCESSES 2
#define ROUNDS 1000
#define LONG_TIME 60000 /* ms, which no test takes */

static unsigned char id_a[HASH_SIZE] = { 1, 2, 3, 4, 5, 6 };
static unsigned char id_b[HASH_SIZE] = { 1, 2, 3, 4, 6, 6 }; /* beside */
static unsigned char id_c[HASH_SIZE] = { 1, 2, 3, 4, 7, 6 }; /* and next */
static unsigned char id_like_a[HASH_SIZE] = { 1, 2, 3, 4, 5, 7 };

/* {==================================================================
** What the tests are made of
** =================================================================== */

static int side_open (void) {
  int fd = open(scratch_path("side"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) exit(2);
  return fd;
}

static claims *new_or_exit (int fd) {
  claims *c = claims_new(fd);
  if (c == NULL) exit(2);
  return c;
}

static int64_t now_ms (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Takes and drops. */
static lode_status try_once (claims *c, const unsigned char *id,
                             unsigned timeout) {
  lode_status st = claims_take(c, id, timeout);
  if (st == LODE_OK)
    claims_drop(c, id);
  return st;
}

typedef struct question {
  claims *c;
  const unsigned char *id;
  unsigned timeout;
  lode_status answer;
} question;

static void *answer (void *arg) {
  question *q = arg;
  q->answer = try_once(q->c, q->id, q->timeout);
  return NULL;
}

/* What another thread is told. */
static lode_status ask_thread (claims *c, const unsigned char *id,
                               unsigned timeout) {
  question q = { c, id, timeout, LODE_OK };
  pthread_t thread;
  if (pthread_create(&thread, NULL, answer, &q) != 0) exit(2);
  pthread_join(thread, NULL);
  return q.answer;
}

/* A child, and a pipe to it. */
static pid_t fork_child (int pipes[2]) {
  pid_t child;
  if (pipe(pipes) != 0 || (child = fork()) < 0) exit(2);
  return child;
}

static int status_of (pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) exit(2);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void kill_child (pid_t child) {
  kill(child, SIGKILL);
  status_of(child);
}

/* What another process is told. */
static lode_status ask_process (const unsigned char *id, unsigned timeout) {
  pid_t child = fork();
  if (child < 0) exit(2);
  if (child == 0)
    _exit((int)try_once(new_or_exit(side_open()), id, timeout));
  return (lode_status)status_of(child);
}

/* A child that says that it holds the claim, and does until it is killed. */
static pid_t holding_child (const unsigned char *id) {
  int pipes[2];
  char held = 0;
  pid_t child = fork_child(pipes);
  if (child == 0) {
    claims *c = new_or_exit(side_open());
    alarm(60); /* should nobody be left to kill it */
    held = claims_take(c, id, LONG_TIME) == LODE_OK;
    if (write(pipes[1], &held, 1) == 1)
      for (;;) pause();
    _exit(1);
  }
  expect(read(pipes[0], &held, 1) == 1 && held == 1);
  close(pipes[0]);
  close(pipes[1]);
  return child;
}

/* }================================================================== */

/* {==================================================================
** Exclusion
** =================================================================== */

/* Seen by all processes. What is counted in two steps is lost by two. */
typedef struct shared {
  atomic_int ready, inside;
  atomic_long count, wrong;
} shared;

typedef struct job {
  claims *c;
  shared *s;
  int everybody;
} job;

static void *count_up (void *arg) {
  job *j = arg;
  shared *s = j->s;
  atomic_fetch_add(&s->ready, 1);
  while (atomic_load(&s->ready) < j->everybody)
    sched_yield();
  for (int i = 0; i < ROUNDS; i++) {
    long now;
    if (claims_take(j->c, id_a, LONG_TIME) != LODE_OK) {
      atomic_fetch_add(&s->wrong, 1);
      continue;
    }
    if (atomic_fetch_add(&s->inside, 1) != 0)
      atomic_fetch_add(&s->wrong, 1);
    now = atomic_load(&s->count);
    if (i % 4 == 0)
      sched_yield();
    atomic_store(&s->count, now + 1);
    atomic_fetch_sub(&s->inside, 1);
    claims_drop(j->c, id_a);
  }
  return NULL;
}

static shared *new_shared (void) {
  shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (s == MAP_FAILED) exit(2);
  return s;
}

/* In this process; `everybody` begins when the last of all is there. */
static void run_threads (int fd, shared *s, int threads, int everybody) {
  job j = { new_or_exit(fd), s, everybody };
  pthread_t thread[THREADS];
  for (int i = 0; i < threads; i++)
    if (pthread_create(&thread[i], NULL, count_up, &j) != 0) exit(2);
  for (int i = 0; i < threads; i++)
    pthread_join(thread[i], NULL);
  claims_free(j.c);
}

static void threads_exclude (int fd) {
  shared *s = new_shared();
  run_threads(fd, s, THREADS, THREADS);
  expect(s->wrong == 0);
  expect(s->count == THREADS * ROUNDS);
  munmap(s, sizeof *s);
}

static void threads_alone (void) {
  threads_exclude(-1);
}

static void threads_with_file (void) {
  int fd = side_open();
  threads_exclude(fd);
  close(fd);
}

static void processes (void) {
  int threads = THREADS / PROCESSES;
  shared *s = new_shared();
  pid_t child[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) {
    child[i] = fork();
    if (child[i] < 0) exit(2);
    if (child[i] == 0) {
      run_threads(side_open(), s, threads, THREADS);
      _exit(0);
    }
  }
  for (int i = 0; i < PROCESSES; i++)
    expect(status_of(child[i]) == 0);
  expect(s->wrong == 0);
  expect(s->count == THREADS * ROUNDS);
  munmap(s, sizeof *s);
}

/* }================================================================== */

/* {==================================================================
** Who is told what
** =================================================================== */

/* That a question took its time, and no second more. */
static void expect_busy (lode_status (*ask) (claims *c,
                           const unsigned char *id, unsigned timeout),
                         claims *c, unsigned timeout) {
  int64_t began = now_ms(), took;
  expect(ask(c, id_a, timeout) == LODE_BUSY);
  took = now_ms() - began;
  expect(took + 1 >= timeout && took < timeout + 1000);
}

static void busy (void) {
  int fd = side_open();
  claims *c = new_or_exit(fd);
  pid_t child;
  expect(claims_take(c, id_a, 0) == LODE_OK);
  expect_busy(ask_thread, c, 0);
  expect_busy(ask_thread, c, 60);
  claims_drop(c, id_a);
  expect(ask_thread(c, id_a, 0) == LODE_OK);
  child = holding_child(id_a);
  expect_busy(try_once, c, 0);
  expect_busy(try_once, c, 60);
  expect_busy(try_once, c, 61); /* the first left nothing behind */
  expect(ask_thread(c, id_a, 0) == LODE_BUSY);
  kill_child(child);
  expect(try_once(c, id_a, 1000) == LODE_OK);
  claims_free(c);
  close(fd);
}

static void waits_for_a_thread (void) {
  const struct timespec nap = { 0, 30000000 };
  claims *c = new_or_exit(-1);
  question q = { c, id_a, LONG_TIME, LODE_BUSY };
  int64_t began = now_ms();
  pthread_t thread;
  expect(claims_take(c, id_a, 0) == LODE_OK);
  if (pthread_create(&thread, NULL, answer, &q) != 0) exit(2);
  nanosleep(&nap, NULL);
  claims_drop(c, id_a);
  pthread_join(thread, NULL);
  expect(q.answer == LODE_OK);
  expect(now_ms() - began < 2000);
  claims_free(c);
}

static void reentry (int fd) {
  claims *c = new_or_exit(fd);
  expect(claims_take(c, id_a, 0) == LODE_OK);
  expect(claims_take(c, id_a, 0) == LODE_REENTRY);
  expect(claims_take(c, id_a, LONG_TIME) == LODE_REENTRY);
  expect(ask_thread(c, id_a, 0) == LODE_BUSY); /* it is held still */
  claims_drop(c, id_a);
  expect(ask_thread(c, id_a, 0) == LODE_OK);
  expect(try_once(c, id_a, 0) == LODE_OK);
  claims_free(c);
}

static void reentry_both (void) {
  int fd = side_open();
  reentry(-1);
  reentry(fd);
  close(fd);
}

static void one_byte (void) {
  int fd = side_open();
  claims *c = new_or_exit(fd);
  expect(claims_take(c, id_a, 0) == LODE_OK);
  expect(claims_take(c, id_like_a, LONG_TIME) == LODE_REENTRY);
  expect(ask_thread(c, id_like_a, 10) == LODE_BUSY);
  expect(ask_process(id_like_a, 10) == LODE_BUSY);
  expect(ask_process(id_a, 0) == LODE_BUSY); /* nobody has unlocked it */
  claims_drop(c, id_a);
  expect(ask_thread(c, id_like_a, 0) == LODE_OK);
  expect(ask_process(id_like_a, 0) == LODE_OK);
  claims_free(c);
  close(fd);
}

/* Hashes whose bytes are neighbours, and one that differs in its first. */
static void others_dont_wait (void) {
  static unsigned char far[HASH_SIZE] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
  int fd = side_open();
  claims *c = new_or_exit(fd);
  pid_t child = holding_child(far);
  expect(claims_take(c, id_a, 0) == LODE_OK);
  expect(claims_take(c, id_b, 0) == LODE_OK);
  expect(claims_take(c, id_c, 0) == LODE_OK);
  expect(claims_take(c, far, 0) == LODE_BUSY);
  claims_drop(c, id_b);
  expect(ask_thread(c, id_b, 0) == LODE_OK);
  expect(ask_process(id_b, 0) == LODE_OK);
  expect(ask_thread(c, id_a, 0) == LODE_BUSY);
  expect(ask_process(id_a, 0) == LODE_BUSY);
  expect(ask_process(id_c, 0) == LODE_BUSY);
  claims_free(c);
  expect(ask_process(id_a, 0) == LODE_OK); /* what was left has ended */
  expect(ask_process(id_c, 0) == LODE_OK);
  kill_child(child);
  close(fd);
}

/* }================================================================== */

/* {==================================================================
** Death and fork
** =================================================================== */

static void killed (void) {
  int fd = side_open();
  claims *c = new_or_exit(fd);
  pid_t child = holding_child(id_a);
  expect(try_once(c, id_a, 20) == LODE_BUSY);
  kill(child, SIGKILL);
  expect(try_once(c, id_a, 1000) == LODE_OK);
  status_of(child);
  claims_free(c);
  close(fd);
}

/* What is inherited in the middle of a claim, and of a thread's wait. */
static void fork_while_held (void) {
  const struct timespec nap = { 0, 20000000 };
  int fd = side_open(), pipes[2];
  claims *c = new_or_exit(fd);
  question q = { c, id_a, LONG_TIME, LODE_BUSY };
  pthread_t thread;
  pid_t child;
  char byte = 0;
  expect(claims_take(c, id_a, 0) == LODE_OK);
  if (pthread_create(&thread, NULL, answer, &q) != 0) exit(2);
  nanosleep(&nap, NULL); /* the thread waits now */
  child = fork_child(pipes);
  if (child == 0) {
    alarm(10); /* should it hang, or nobody be left to kill it */
    claims_free(c);
    if (write(pipes[1], &byte, 1) == 1)
      for (;;) pause();
    _exit(1);
  }
  close(pipes[1]);
  expect(read(pipes[0], &byte, 1) == 1);
  close(pipes[0]);
  expect(ask_process(id_a, 0) == LODE_BUSY); /* the child ended nothing */
  claims_drop(c, id_a);
  pthread_join(thread, NULL);
  expect(q.answer == LODE_OK);
  expect(ask_process(id_a, 0) == LODE_OK); /* nor does it hold it */
  kill_child(child);
  claims_free(c);
  close(fd);
}

/* Who held it dies; the child that it had made meanwhile lives on. */
static void orphan (void) {
  int fd, pipes[2];
  claims *c;
  pid_t orphans = 0, child = fork_child(pipes);
  if (child == 0) {
    c = new_or_exit(side_open());
    if (claims_take(c, id_a, 0) != LODE_OK) _exit(1);
    orphans = fork();
    if (orphans != 0 && write(pipes[1], &orphans, sizeof orphans) < 0)
      _exit(1);
    alarm(60); /* as above */
    for (;;) pause();
  }
  expect(read(pipes[0], &orphans, sizeof orphans) == sizeof orphans);
  close(pipes[0]);
  close(pipes[1]);
  fd = side_open();
  c = new_or_exit(fd);
  expect(try_once(c, id_a, 20) == LODE_BUSY);
  kill_child(child);
  expect(orphans > 0 && kill(orphans, 0) == 0);
  expect(try_once(c, id_a, 1000) == LODE_OK);
  if (orphans > 0) kill(orphans, SIGKILL);
  claims_free(c);
  close(fd);
}

/* }================================================================== */

/* {==================================================================
** Failures
** =================================================================== */

static atomic_int signals;

static void count_signal (int number) {
  (void)number;
  atomic_fetch_add(&signals, 1);
}

/* A signal each 2 ms, which interrupts what it meets. */
static void interrupted (void) {
  struct sigaction act = { .sa_handler = count_signal }, old;
  struct itimerval every = { { 0, 2000 }, { 0, 2000 } };
  struct itimerval never = { { 0, 0 }, { 0, 0 } };
  int fd = side_open();
  claims *c = new_or_exit(fd);
  pid_t child = holding_child(id_a);
  sigaction(SIGALRM, &act, &old);
  setitimer(ITIMER_REAL, &every, NULL);
  expect_busy(try_once, c, 100);
  setitimer(ITIMER_REAL, &never, NULL);
  sigaction(SIGALRM, &old, NULL);
  expect(atomic_load(&signals) > 5);
  kill_child(child);
  claims_free(c);
  close(fd);
}

/* A file that is open for reading can't be locked for writing. */
static void bad_file (void) {
  int fd;
  claims *c;
  close(side_open());
  fd = open(scratch_path("side"), O_RDONLY | O_CLOEXEC);
  c = new_or_exit(fd);
  expect(claims_take(c, id_a, LONG_TIME) == LODE_IO);
  expect(claims_take(c, id_a, LONG_TIME) == LODE_IO);
  claims_free(c);
  close(fd);
}

/* The first request makes the list, the second a claim; then all is well. */
static void no_memory (void) {
  claims_free(NULL);
  for (unsigned long n = 1; n <= 3; n++) {
    claims *c;
    lode_test_fail_allocation(n);
    c = claims_new(-1);
    expect((c == NULL) == (n == 1));
    if (c != NULL) {
      expect(claims_take(c, id_a, LONG_TIME) ==
             (n == 2 ? LODE_NO_MEMORY : LODE_OK));
      lode_test_fail_allocation(0);
      expect(ask_thread(c, id_a, 0) == (n == 2 ? LODE_OK : LODE_BUSY));
    }
    lode_test_fail_allocation(0);
    claims_free(c);
    expect(lode_test_live_blocks() == 0);
  }
}

/* }================================================================== */

int main (void) {
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* no child has lines to print */
  scratch_begin();
  test_group("threads, without a file", threads_alone);
  test_group("threads, with a file", threads_with_file);
  test_group("processes of threads", processes);
  test_group("BUSY in time", busy);
  test_group("a thread is woken", waits_for_a_thread);
  test_group("REENTRY", reentry_both);
  test_group("hashes that meet in a byte", one_byte);
  test_group("other hashes don't wait", others_dont_wait);
  test_group("a killed process holds nothing", killed);
  test_group("a child of fork holds nothing", fork_while_held);
  test_group("an orphan holds nothing", orphan);
  test_group("signals", interrupted);
  test_group("a file that can't be locked", bad_file);
  test_group("no memory", no_memory);
  scratch_end();
  return test_end();
}
