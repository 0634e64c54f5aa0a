/*
** fault_writer.c - who has the writer lock, and goes: threads that end with
** it, handles that are closed in another thread, processes that are stopped
** or killed. Others get it, or words, within their lock_timeout.
*/
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "scratch.h"

#define ROUNDS 50

static long rounds = 3;

typedef struct host {
  lode_store *s;
  lode_coll *c;
} host;

static char path[128];

static host host_open (unsigned timeout) {
  lode_options o;
  host h = { NULL, NULL };
  lode_options_init(&o);
  o.durability = LODE_OS;
  o.lock_timeout = timeout;
  h.s = scratch_open_at(path, &o);
  h.c = scratch_coll(h.s, "d", LODE_DICT);
  return h;
}

static void host_close (host *h) {
  lode_coll_close(h->c);
  scratch_close(h->s);
}

static uint64_t now_ms (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void nap (long ms) {
  const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
  nanosleep(&t, NULL);
}

static bool says (host *h, const char *words) {
  return strstr(lode_store_error(h->s)->text, words) != NULL;
}

/* {==================================================================
** Threads
** =================================================================== */

static void *begins (void *data) {
  host *h = data;
  expect(lode_begin(h->s) == LODE_OK);
  expect(put_integer(h->c, 1, test_text("lost")) == LODE_OK);
  return NULL;
}

static void *begins_deep (void *data) {
  host *h = data;
  begins(h);
  expect(lode_begin(h->s) == LODE_OK);
  return begins(h);
}

static void *locks (void *data) {
  host *h = data;
  expect(lode_lock(h->s) == LODE_OK);
  return NULL;
}

/* Runs it in a thread, which ends with what it has open. */
static void in_thread (void *(*body) (void *data), host *h) {
  pthread_t t;
  expect(pthread_create(&t, NULL, body, h) == 0);
  pthread_join(t, NULL);
}

/* Whether another handle can write now, and finds nothing that was lost. */
static void see_free (void) {
  host h = host_open(200);
  expect(has_integer(h.c, 1) == LODE_ABSENT);
  expect(put_integer(h.c, 2, test_text("x")) == LODE_OK);
  host_close(&h);
}

/* Another process can, too: LMDB's own lock is free. */
static void see_free_outside (void) {
  int status;
  pid_t pid;
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    alarm(20);
    see_free();
    fflush(stdout);
    _exit(test_now.failed != 0);
  }
  expect(waitpid(pid, &status, 0) == pid && status == 0);
}

static void ended_and_closed (void) {
  for (long i = 0; i < rounds; i++) {
    host a = host_open(200);
    in_thread(i % 2 ? begins_deep : begins, &a);
    host_close(&a); /* by another thread, as a collector may */
    see_free_outside();
    see_free();
  }
}

static void ended_and_left (void) {
  for (long i = 0; i < rounds; i++) {
    host a = host_open(200), b = host_open(200);
    in_thread(i % 2 ? begins_deep : begins, &a);
    see_free(); /* takes it from the dead */
    expect(put_integer(b.c, 3, test_text("x")) == LODE_OK);
    expect(put_integer(a.c, 1, test_text("never")) == LODE_REENTRY);
    expect(says(&a, "thread"));
    expect(lode_commit(a.s) == LODE_REENTRY);
    while (lode_depth(a.s) > 0)
      lode_abort(a.s);
    expect(put_integer(a.c, 4, test_text("x")) == LODE_OK);
    expect(has_integer(b.c, 4) == LODE_OK);
    host_close(&a);
    host_close(&b);
    see_free_outside();
  }
}

static void ended_in_lock (void) {
  for (long i = 0; i < rounds; i++) {
    host a = host_open(200);
    in_thread(locks, &a);
    if (i % 2)
      see_free();
    lode_unlock(a.s);
    see_free();
    expect(put_integer(a.c, 5, test_text("x")) == LODE_OK);
    host_close(&a);
    see_free_outside();
  }
}

/* A thread that makes a dict, and ends: its database is nobody's. */
static void *makes (void *data) {
  host *h = data;
  expect(lode_begin(h->s) == LODE_OK);
  lode_coll_close(scratch_coll(h->s, "made", LODE_DICT));
  return NULL;
}

static void ended_while_making (void) {
  for (long i = 0; i < rounds; i++) {
    host a = host_open(200), b = host_open(200);
    lode_coll *c;
    in_thread(makes, &a);
    c = scratch_coll(b.s, "other", LODE_DICT);
    expect(c != NULL && put_integer(c, 1, test_text("x")) == LODE_OK);
    lode_coll_close(c);
    host_close(&a);
    host_close(&b);
    see_free();
  }
}

static struct { /* a thread that waits with its transaction open */
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int step;
  host h;
} waiter = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0,
             { NULL, NULL } };

static void step_to (int step) {
  pthread_mutex_lock(&waiter.mutex);
  waiter.step = step;
  pthread_cond_broadcast(&waiter.changed);
  pthread_mutex_unlock(&waiter.mutex);
}

static void wait_for (int step) {
  pthread_mutex_lock(&waiter.mutex);
  while (waiter.step < step)
    pthread_cond_wait(&waiter.changed, &waiter.mutex);
  pthread_mutex_unlock(&waiter.mutex);
}

/* Its handle is closed by another thread: it gets the lock back itself. */
static void *waits (void *data) {
  bool writes_on = *(bool *)data;
  begins(&waiter.h);
  step_to(1);
  wait_for(2);
  if (writes_on)
    see_free();
  return NULL;
}

static void closed_elsewhere (void) {
  for (long i = 0; i < rounds; i++) {
    bool writes_on = i % 2;
    host b;
    pthread_t t;
    uint64_t began;
    step_to(0);
    waiter.h = host_open(200);
    expect(pthread_create(&t, NULL, waits, &writes_on) == 0);
    wait_for(1);
    if (i % 3 == 0) {
      expect(lode_commit(waiter.h.s) == LODE_REENTRY);
      expect(says(&waiter.h, "thread"));
    }
    host_close(&waiter.h);
    b = host_open(60);
    began = now_ms();
    expect(put_integer(b.c, 2, test_text("x")) == LODE_BUSY);
    expect(says(&b, "another thread"));
    expect(now_ms() - began < 5000);
    step_to(2);
    pthread_join(t, NULL);
    expect(put_integer(b.c, 2, test_text("x")) == LODE_OK);
    host_close(&b);
    see_free_outside();
  }
}

static void through_two_handles (void) {
  host a = host_open(5000), b = host_open(5000);
  uint64_t began = now_ms();
  expect(lode_begin(a.s) == LODE_OK);
  expect(put_integer(b.c, 1, test_text("x")) == LODE_REENTRY);
  expect(lode_begin(b.s) == LODE_REENTRY);
  expect(lode_lock(b.s) == LODE_REENTRY);
  expect(now_ms() - began < 2500); /* at once */
  lode_abort(a.s);
  expect(put_integer(b.c, 2, test_text("x")) == LODE_OK);
  host_close(&a);
  host_close(&b);
}

static void *contends (void *data) {
  host h = host_open(10000);
  (void)data;
  for (int i = 0; i < 200; i++)
    expect(put_integer(h.c, 10 + i, test_text("x")) == LODE_OK);
  host_close(&h);
  return NULL;
}

/* Threads write while others end with the lock, one after another. */
static void many_end (void) {
  pthread_t writer;
  expect(pthread_create(&writer, NULL, contends, NULL) == 0);
  for (long i = 0; i < 4 * rounds; i++) {
    lode_error e;
    host a = host_open(10000);
    in_thread(i % 2 ? begins : locks, &a);
    if (i % 4 < 2)
      nap(1); /* the other finds it, or the closing does */
    lode_coll_close(a.c);
    expect(lode_close(a.s, &e) == LODE_OK);
  }
  pthread_join(writer, NULL);
  see_free();
}

/* }================================================================== */

/* {==================================================================
** Processes
** =================================================================== */

static volatile int *stage; /* shared with the child */

static pid_t writer_process (void) {
  pid_t pid;
  *stage = 0;
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    host h = host_open(1000);
    alarm(30);
    begins(&h);
    *stage = 1;
    pause();
    _exit(0);
  }
  while (*stage == 0)
    nap(1);
  return pid;
}

/* LMDB's own plain copy would wait for as long as the writer likes. */
static void backups_wait_for_nobody (lode_store *s) {
  static int n;
  for (int i = 0; i < 2; i++) {
    const lode_backup_options how = { .compact = i == 1 };
    uint64_t began = now_ms();
    char name[20];
    snprintf(name, sizeof name, "copy%d", n++);
    expect(lode_backup(s, scratch_path(name), &how) == LODE_OK);
    expect(now_ms() - began < 5000);
  }
}

static void stopped_and_killed (void) {
  for (long i = 0; i < rounds; i++) {
    pid_t pid = writer_process();
    host a = host_open(80);
    uint64_t began = now_ms();
    char words[40];
    int status;
    kill(pid, SIGSTOP);
    expect(put_integer(a.c, 2, test_text("x")) == LODE_BUSY);
    expect(now_ms() - began >= 70 && now_ms() - began < 5000);
    snprintf(words, sizeof words, "process %d ", (int)pid);
    expect(says(&a, words));
    expect(has_integer(a.c, 1) == LODE_ABSENT);
    backups_wait_for_nobody(a.s);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    began = now_ms();
    expect(put_integer(a.c, 2, test_text("x")) == LODE_OK);
    expect(now_ms() - began < 2000);
    expect(has_integer(a.c, 1) == LODE_ABSENT);
    host_close(&a);
  }
}

/* Who waits gets it as soon as the holder is killed. */
static void *kills (void *data) {
  nap(30);
  kill(*(pid_t *)data, SIGKILL);
  return NULL;
}

static void killed_while_waiting (void) {
  for (long i = 0; i < rounds; i++) {
    pid_t pid = writer_process();
    host a = host_open(20000);
    pthread_t t;
    uint64_t began = now_ms();
    int status;
    pthread_create(&t, NULL, kills, &pid);
    expect(put_integer(a.c, 2, test_text("x")) == LODE_OK);
    expect(now_ms() - began < 10000);
    pthread_join(t, NULL);
    waitpid(pid, &status, 0);
    host_close(&a);
  }
}

/* A child that is made in the middle of a copy, and outlives it. */
static pid_t bystander;

static bool forks_once (void *stops, uint64_t done, uint64_t total) {
  (void)done;
  (void)total;
  if (bystander != 0)
    return true;
  fflush(stdout);
  bystander = fork();
  if (bystander == 0) {
    alarm(12);
    pause();
    _exit(0);
  }
  return stops == NULL;
}

/* What such a child has of the copy's descriptors holds up nobody. */
static void copied_beside_a_child (void) {
  for (int i = 0; i < 4; i++) {
    host a = host_open(80);
    lode_backup_options how = { .compact = i % 2 == 1,
                                .progress = forks_once };
    lode_status st = i < 2 ? LODE_OK : LODE_CALLBACK;
    static unsigned char value[400000];
    char name[20];
    uint64_t began;
    int status;
    for (int64_t n = 100; n < 120; n++)
      expect(put_integer(a.c, n, slice_of(value, sizeof value)) == LODE_OK);
    how.data = i < 2 ? NULL : &how;
    bystander = 0;
    began = now_ms();
    snprintf(name, sizeof name, "beside%d", i);
    expect(lode_backup(a.s, scratch_path(name), &how) == st);
    expect(now_ms() - began < 6000);
    expect(bystander > 0);
    kill(bystander, SIGKILL);
    waitpid(bystander, &status, 0);
    host_close(&a);
  }
}

/* }================================================================== */

int main (void) {
  const char *full = getenv("LODE_FULL");
  if (full != NULL && strcmp(full, "1") == 0)
    rounds = ROUNDS;
  stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (stage == MAP_FAILED)
    return 2;
  scratch_begin();
  snprintf(path, sizeof path, "%s", scratch_path("writer"));
#ifndef __SANITIZE_THREAD__ /* which has no idea of robust mutexes */
  test_group("a thread ends in a transaction, closed later",
             ended_and_closed);
  test_group("a thread ends in one that nobody closes", ended_and_left);
  test_group("a thread ends with the lock alone", ended_in_lock);
  test_group("a thread ends that has made a dict", ended_while_making);
  test_group("a handle closed by another thread", closed_elsewhere);
  test_group("threads that end, and others that write", many_end);
#endif
  test_group("two handles of one thread", through_two_handles);
  test_group("a process that is stopped, then killed", stopped_and_killed);
  test_group("one that is killed while others wait", killed_while_waiting);
  test_group("a copy, and a child made in its middle",
             copied_beside_a_child);
  scratch_end();
  printf("%ld rounds of writers that go\n", rounds);
  return test_end();
}
