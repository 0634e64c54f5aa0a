/*
** fault_child.c - children made by fork, and who else there is: threads that
** go on in the parent, upkeep and writes behind, parents that end first or
** are killed, programs that a child becomes; see fault_fork.c.
*/
#include <dirent.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/syscall.h>

#include "fork.h"

extern char **environ;

static char other_path[128]; /* of a second store */

/* {==================================================================
** Threads
** =================================================================== */

#define WRITERS 2

static atomic_bool stop;

static void *writing (void *data) {
  host h = host_open();
  (void)data;
  for (int i = 0; !atomic_load(&stop); i++) {
    if (count_up(&h) != LODE_OK)
      atomic_fetch_add(&common->wrong, 1);
    if (i % 7 == 0 && fill(&h, 1) != LODE_OK)
      atomic_fetch_add(&common->wrong, 1);
  }
  host_close(&h);
  return NULL;
}

static void *reading (void *data) {
  host h = host_open();
  (void)data;
  while (!atomic_load(&stop)) {
    lode_snapshot(h.s);
    if (!all_are(&h, 1))
      atomic_fetch_add(&common->wrong, 1);
    lode_snapshot_end(h.s);
  }
  host_close(&h);
  return NULL;
}

static void *opening (void *data) {
  (void)data;
  while (!atomic_load(&stop)) {
    lode_options o = options();
    lode_error e;
    lode_store *s;
    if (lode_open(other_path, &o, &s, &e) != LODE_OK ||
        lode_close(s, &e) != LODE_OK)
      atomic_fetch_add(&common->wrong, 1);
  }
  return NULL;
}

static void child_of_threads (void *data) {
  host *h = data;
  int way = getpid() % 4;
  use(h);
  expect(all_are(h, 1));
  if (way == 0)
    host_close(h);
  if (way == 1)
    exit(test_now.failed != 0);
  if (way == 2 && test_now.failed == 0)
    raise(SIGKILL);
}

static void threads_body (host *h) {
  lode_options o = options();
  pthread_t threads[WRITERS + 2];
  host kept = { NULL, NULL, NULL };
  o.maintenance = LODE_BACKGROUND;
  kept.s = open_store(&o);
  kept.c = scratch_coll(kept.s, "d", LODE_DICT);
  atomic_store(&stop, false);
  for (int i = 0; i < WRITERS; i++)
    pthread_create(&threads[i], NULL, writing, NULL);
  pthread_create(&threads[WRITERS], NULL, reading, NULL);
  pthread_create(&threads[WRITERS + 1], NULL, opening, NULL);
  for (int i = 0; i < 12; i++) {
    int status;
    /* ThreadSanitizer starts no thread after such a fork; upkeep would */
    pid_t pid = start(child_of_threads, i % 2 && !TSAN ? &kept : h);
    expect(waitpid(pid, &status, 0) == pid);
    expect((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    expect(count_up(h) == LODE_OK);
  }
  atomic_store(&stop, true);
  for (size_t i = 0; i < LENGTH(threads); i++)
    pthread_join(threads[i], NULL);
  host_close(&kept);
}

static void with_threads (void) { rounds_of(threads_body); }

/* The thread of upkeep is a new one in the child. */
static void child_is_kept_up (void *data) {
  host *h = data;
  lode_stats stats;
  lode_buffer bytes = { NULL, 0, 0 };
  lode_value value = { test_text("x"), LODE_BYTES };
  lode_key key;
  bool swept = false;
  key_of_integer(h->c, 900, &bytes, &key);
  expect(lode_put(h->c, &key, value, LODE_PUT, 1) == LODE_OK);
  for (int i = 0; i < 400 && !swept; i++) {
    nap(10);
    expect(lode_store_stats(h->s, &stats) == LODE_OK);
    swept = stats.expired == 0;
  }
  expect(swept);
  lode_buffer_free(&bytes);
  host_close(h);
}

static void upkeep_body (host *plain) {
  lode_options o = options();
  host h = { NULL, NULL, NULL };
  (void)plain;
  o.maintenance = LODE_BACKGROUND;
  h.s = open_store(&o);
  h.c = scratch_coll(h.s, "d", LODE_DICT);
  expect(run(child_is_kept_up, &h));
  host_close(&h);
}

static void upkeep (void) {
  long before_ = rounds;
  rounds = rounds > 3 ? 3 : rounds; /* it takes a second */
  rounds_of(upkeep_body);
  rounds = before_;
}

/* Writes behind are written by the process that made them. */
static void child_behind (void *data) {
  host *h = data;
  expect(put_integer(h->c, 701, test_text("child's")) == LODE_OK);
  expect(has_integer(h->c, 700) == LODE_ABSENT);
  expect(has_integer(h->c, 701) == LODE_OK);
  use(h);
  expect(put_integer(h->c, 702, test_text("child's")) == LODE_OK);
  expect(lode_flush(h->s) == LODE_OK);
  expect(put_integer(h->c, 703, test_text("child's")) == LODE_OK);
  host_close(h);
}

static void child_reads_behind (void *data) {
  host *h = data;
  expect(has_integer(h->c, 700) == LODE_ABSENT);
  expect(len_of(h->c) == KEYS);
}

/* It holds the lock, and with it what is pending. */
static void child_behind_lock (void *data) {
  host *h = data;
  lode_unlock(h->s);
  expect(put_integer(h->c, 704, test_text("child's")) == LODE_OK);
  expect(has_integer(h->c, 704) == LODE_OK);
  reach(1);
  expect(lode_flush(h->s) == LODE_OK);
}

static void behind_body (host *plain) {
  lode_options o = options();
  host h = { NULL, NULL, NULL };
  pid_t pid;
  (void)plain;
  o.durability = LODE_BEHIND;
  o.flush_ms = 60000;
  h.s = open_store(&o);
  h.c = scratch_coll(h.s, "d", LODE_DICT);
  expect(put_integer(h.c, 700, test_text("parent's")) == LODE_OK);
  expect(run(child_reads_behind, &h));
  expect(run(child_closes, &h));
  expect(run(child_behind, &h));
  for (int64_t i = 700; i <= 703; i++)
    expect(has_integer(h.c, i) == LODE_OK);
  reach(0);
  expect(lode_lock(h.s) == LODE_OK);
  pid = start(child_behind_lock, &h);
  await(1);
  lode_unlock(h.s);
  expect(ended(pid, 0));
  expect(has_integer(h.c, 704) == LODE_OK);
  host_close(&h);
  h = host_open();
  expect(has_integer(h.c, 700) == LODE_OK);
  host_close(&h);
}

static void behind (void) { rounds_of(behind_body); }

/* }================================================================== */

/* {==================================================================
** Ends
** =================================================================== */

static void worker (void *data) {
  host *h = data;
  use(h);
  reach(2); /* its parent may end */
  await(3); /* and has */
  for (int i = 0; i < 50; i++)
    expect(count_up(h) == LODE_OK);
  reach(5);
}

static void master (void *data) {
  host h = host_open();
  (void)data;
  start(worker, &h);
  await(2);
}

/* The master of a worker ends; the worker goes on beside others. */
static void orphan_body (host *h) {
  reach(0);
  host_close(h);
  h->s = NULL;
  expect(run(master, NULL));
  reach(3);
  *h = host_open();
  for (int i = 0; i < 50; i++)
    expect(count_up(h) == LODE_OK);
  await(5);
}

static void parent_first (void) { rounds_of(orphan_body); }

static void heir (void *data) {
  host *h = data;
  if (lode_depth(h->s) > 0)
    lode_abort(h->s);
  reach(1);
  await(3);
  use(h);
  reach(test_now.failed ? 9 : 5);
}

static void doomed (void *data) {
  host h = host_open();
  bool held = *(bool *)data;
  expect(lode_begin(h.s) == LODE_OK);
  put_integer(h.c, 6000, test_text("never"));
  if (held)
    start(heir, &h);
  else if (fork() == 0) { /* one that does nothing at all with it */
    reach(1);
    await(5);
    _exit(0);
  }
  await(1);
  reach(2);
  pause();
}

/* It is killed while it has the writer lock, of which a child had a copy. */
static void killed_body (host *h) {
  for (int held = 0; held < 2; held++) {
    bool flag = held;
    pid_t pid;
    reach(0);
    pid = start(doomed, &flag);
    await(2);
    kill(pid, SIGKILL);
    expect(ended(pid, SIGKILL));
    expect(count_up(h) == LODE_OK);
    expect(has_integer(h->c, 6000) == LODE_ABSENT);
    reach(3);
    if (held) {
      while (atomic_load(&common->stage) < 5)
        nap(1);
      expect(atomic_load(&common->stage) == 5);
    }
    reach(5);
  }
}

static void killed (void) { rounds_of(killed_body); }

/* A child that writes is stopped: the parent is told, and waits no longer. */
static void stopper (void *data) {
  host *h = data;
  expect(lode_begin(h->s) == LODE_OK);
  reach(1);
  raise(SIGSTOP);
  lode_abort(h->s);
}

static void stopped_body (host *h) {
  lode_options o = options();
  char words[32];
  lode_store *s;
  pid_t pid;
  reach(0);
  pid = start(stopper, h);
  await(1);
  o.lock_timeout = 60;
  host_close(h);
  s = open_store(&o);
  expect(lode_begin(s) == LODE_BUSY);
  snprintf(words, sizeof words, "process %d ", (int)pid);
  expect(strstr(lode_store_error(s)->text, words) != NULL);
  nap(20);
  kill(pid, SIGCONT);
  expect(ended(pid, 0));
  expect(lode_begin(s) == LODE_OK);
  lode_abort(s);
  scratch_close(s);
  *h = host_open();
}

static void stopped (void) { rounds_of(stopped_body); }

/* }================================================================== */

/* {==================================================================
** Descriptors, claims, clones
** =================================================================== */

/* How many descriptors of this process are open in the directory. */
static int count_open (const char *of) {
  char path[600], to[300];
  struct dirent *e;
  int n = 0;
  DIR *d = opendir("/proc/self/fd");
  if (d == NULL)
    return -1;
  while ((e = readdir(d)) != NULL) {
    ssize_t size;
    snprintf(path, sizeof path, "/proc/self/fd/%s", e->d_name);
    size = readlink(path, to, sizeof to - 1);
    if (size > 0) {
      to[size] = '\0';
      n += strncmp(to, of, strlen(of)) == 0;
    }
  }
  closedir(d);
  return n;
}

static void child_has_none (void *data) {
  (void)data;
  expect(count_open(scratch_dir) == 0);
}

static void descriptors_body (host *h) {
  char *shell[] = { "sh", "-c",
                    "! ls -l /proc/self/fd | grep -q \"$DIR\"", NULL };
  int own = count_open(scratch_dir), status;
  pid_t pid;
  (void)h;
  if (own < 0)
    return; /* no /proc */
  expect(own >= 4);
  expect(run(child_has_none, NULL));
  setenv("DIR", scratch_dir, 1);
  expect(posix_spawn(&pid, "/bin/sh", NULL, NULL, shell, environ) == 0);
  expect(waitpid(pid, &status, 0) == pid && status == 0);
  expect(count_open(scratch_dir) == own);
}

static void descriptors (void) { rounds_of(descriptors_body); }

static void child_claims (void *data) {
  host *h = data;
  lode_buffer bytes = { NULL, 0, 0 };
  lode_key key;
  key_of_integer(h->c, 3, &bytes, &key);
  expect(lode_fetch_claim(h->c, &key, 20) == LODE_BUSY);
  lode_fetch_drop(h->c, &key); /* is its parent's, and stays */
  expect(lode_fetch_claim(h->c, &key, 20) == LODE_BUSY);
  reach(1);
  expect(lode_fetch_claim(h->c, &key, 20000) == LODE_OK);
  lode_fetch_drop(h->c, &key);
  lode_buffer_free(&bytes);
}

static void child_drops (void *data) {
  host *h = data;
  lode_buffer bytes = { NULL, 0, 0 };
  lode_key key;
  key_of_integer(h->c, 3, &bytes, &key);
  lode_fetch_drop(h->c, &key);
  lode_buffer_free(&bytes);
}

static void claims_body (host *h) {
  lode_buffer bytes = { NULL, 0, 0 };
  lode_key key;
  pid_t pid;
  reach(0);
  key_of_integer(h->c, 3, &bytes, &key);
  expect(lode_fetch_claim(h->c, &key, 0) == LODE_OK);
  expect(run(child_drops, h));
  expect(run(child_closes, h));
  pid = start(child_claims, h);
  await(1);
  lode_fetch_drop(h->c, &key);
  expect(ended(pid, 0));
  lode_buffer_free(&bytes);
}

static void claimed (void) { rounds_of(claims_body); }

/* A fork that no handler sees. */
static void clone_body (host *h) {
#ifdef SYS_clone
  pid_t pid;
  int status;
  fflush(stdout);
  forks++;
  pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) {
    alarm(LONGEST);
    test_now.failed = 0;
    expect(count_up(h) == LODE_OK);
    use(h);
    fflush(stdout);
    _exit(test_now.failed != 0);
  }
  expect(waitpid(pid, &status, 0) == pid && status == 0);
  expect(count_up(h) == LODE_OK);
#else
  (void)h;
#endif
}

static void cloned (void) { rounds_of(clone_body); }

/* The directory was left, and the child finds its files. */
static void child_elsewhere (void *data) {
  host *h = data;
  expect(chdir("/") == 0);
  use(h);
}

static void relative_body (host *h) {
  lode_options o = options();
  lode_error e;
  char here[400];
  expect(getcwd(here, sizeof here) != NULL && chdir(scratch_dir) == 0);
  host_close(h);
  expect(lode_open("fork", &o, &h->s, &e) == LODE_OK);
  h->c = scratch_coll(h->s, "d", LODE_DICT);
  expect(run(child_elsewhere, h));
  expect(chdir(here) == 0);
  expect(run(child_uses, h));
  use(h);
}

static void relative (void) { rounds_of(relative_body); }

static void child_of_gone (void *data) {
  host *h = data;
  expect(has_integer(h->c, 1) == LODE_NOT_FOUND);
  expect(put_integer(h->c, 1, test_text("x")) == LODE_NOT_FOUND);
}

/* No store is made where the parent's has been. */
static void gone_body (host *h) {
  char command[300];
  snprintf(command, sizeof command, "mv '%s' '%s-moved'",
           store_path, store_path);
  expect(system(command) == 0);
  expect(run(child_of_gone, h));
  snprintf(command, sizeof command, "mv '%s-moved' '%s'",
           store_path, store_path);
  expect(system(command) == 0);
  expect(run(child_uses, h));
}

static void gone (void) { rounds_of(gone_body); }

/* }================================================================== */

int main (void) {
  fork_begin();
  snprintf(other_path, sizeof other_path, "%s", scratch_path("other"));
  /* ASan's allocator, unlike the C library's, isn't made ready for a fork:
     one of the parent's threads may hold its lock, and is gone. */
  if (!ASAN)
    test_group("beside threads that write, read and open", with_threads);
  if (!TSAN && !ASAN)
    test_group("with upkeep in the background", upkeep);
  if (!TSAN && !ASAN)
    test_group("with writes behind", behind);
  test_group("the parent ending first", parent_first);
  test_group("the parent killed while it writes", killed);
  test_group("the child stopped while it writes", stopped);
  test_group("no descriptor in children", descriptors);
  test_group("a claim is its maker's", claimed);
  test_group("by clone", cloned);
  test_group("of a relative path, then a change of directory", relative);
  test_group("of a store that is moved away", gone);
  return fork_end();
}
