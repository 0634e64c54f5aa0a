/*
** crash_kill.c - kill -9 at random moments: what was acknowledged stays.
**
** A round: three processes of four threads each work on one store until
** they are killed, all at once or one before the others; now and then they
** are let end by themselves. Then a process of its own looks: the file by
** itself, the store, that its writer lock is free, and every lane against
** what lane.h has of it. After an epoch of rounds a new store begins, in
** memory and on a disk by turns, with other options.
**
** LODE_SEED repeats the choices of a run, as far as the moments of the
** kills let it; LODE_FULL=1 is the long form; LODE_ROUNDS another number.
*/
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kill_work.h"
#include "scratch.h"

#include "core/verify.h"

#define EPOCH 48        /* rounds that a store lives */
#define FREE_WITHIN 1000 /* ms: the writer lock, after a kill */
#define VERIFY_TIME 60  /* s: past this a verifier hangs */

typedef struct plan { /* of an epoch */
  char path[140];
  bool on_disk;
  lode_options options[LANE_PROCESSES];
} plan;

static uint64_t seed, rounds_done, kills, ended, on_disk;
static char disk_dir[120];

/* {==================================================================
** Processes
** =================================================================== */

static unsigned lane_delay (uint64_t *random) { /* µs; mostly short */
  unsigned most = random_below(random, 10) == 0 ? 40000 : 8000;
  return 300 + random_below(random, most);
}

static void nap (unsigned us) {
  struct timespec t = { us / 1000000, (long)(us % 1000000) * 1000 };
  nanosleep(&t, NULL);
}

/* The threads of process `p` in a round; ends it. */
static void writer_process (const plan *pl, unsigned p, uint64_t round) {
  static work works[LANE_THREADS];
  pthread_t threads[LANE_THREADS];
  for (unsigned i = 0; i < LANE_THREADS; i++) {
    work *w = &works[i];
    w->path = pl->path;
    w->options = pl->options[p];
    w->id = p * LANE_THREADS + i;
    w->l = &shared->lane[w->id];
    w->random = seed ^ round << 8 ^ w->id;
    w->options.durability = (lode_durability)((i + round) % 3);
    w->late = w->options.durability == LODE_BEHIND;
    if (pthread_create(&threads[i], NULL, work_run, w) != 0)
      broken("no thread to be had");
  }
  for (unsigned i = 0; i < LANE_THREADS; i++)
    pthread_join(threads[i], NULL);
  if (lode_test_live_blocks() != 0)
    broken("process %u leaves memory behind", p);
  _exit(0);
}

/* Waits for a child; whether it ended as it was to. */
static bool reap (pid_t pid, bool killed) {
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return false;
  if (killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
    return true;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return true;
  if (!atomic_exchange(&shared->failed, true))
    snprintf(shared->failure, sizeof shared->failure,
             WIFSIGNALED(status) ? "a process died of signal %d"
                                 : "a process ended with status %d",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return false;
}

static pid_t start (void (*run) (const plan *, unsigned, uint64_t),
                    const plan *pl, unsigned p, uint64_t round) {
  pid_t pid;
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    run(pl, p, round);
    _exit(0);
  }
  if (pid < 0) {
    perror("fork");
    exit(2);
  }
  return pid;
}

/* }================================================================== */

/* {==================================================================
** Looking at what the killed have left
** =================================================================== */

static void hear (void *data, const char *text) {
  broken("%s: %s", (const char *)data, text);
}

/* False: there is no such store. */
static bool check_file (const char *path) {
  lode_check_options o = { .problem = hear, .data = (void *)(uintptr_t)path };
  lode_check_report r = { .ok = false };
  lode_error e;
  lode_status st = lode_check_file(path, &o, &r, &e);
  if (st == LODE_NOT_FOUND)
    return false;
  if (st != LODE_OK || !r.ok)
    broken("checking %s: %s", path, st != LODE_OK ? e.text : "not sound");
  return true;
}

/* The lane and key that a member of the set has in its text. */
static bool member_read (lode_slice key, uint32_t *id, uint32_t *cell) {
  lode_slice s;
  char text[8] = "";
  unsigned lane, k;
  if (!lode_key_as_string(key, &s) || s.size >= sizeof text)
    return false;
  memcpy(text, s.data, s.size);
  if (sscanf(text, "%u/%u", &lane, &k) != 2 || lane >= LANES || k >= KEYS)
    return false;
  *id = lane;
  *cell = cell_of(MEMBER, k);
  return true;
}

/* Whose entry it is; it must be whole, and stand under its own key. */
static void find_entry (lane_table table, lode_slice key, lode_value v,
                        uint64_t expires, lane_found *found) {
  lode_buffer b = { NULL, 0, 0 };
  uint32_t id, cell, version = 1;
  if (table == MEMBER ? !member_read(key, &id, &cell)
                      : !value_read(v.data, &id, &cell, &version))
    broken("%s: an entry is not whole", table_names[table]);
  if (table_of(cell) != table || cell_key(&b, id, cell) != LODE_OK ||
      !slice_equal(key, slice_of_buffer(&b)))
    broken("%s: an entry stands under the key of another",
           table_names[table]);
  if (found[id].version[cell] != 0)
    broken("%s: an entry comes twice", table_names[table]);
  found[id].version[cell] = version;
  found[id].expires[cell] = expires;
  lode_buffer_free(&b);
}

/* All entries of one collection; their number must be its length. */
static void find_all (lode_store *s, lode_coll *c, lane_table table,
                      lane_found *found) {
  lode_range all = { .limit = UINT64_MAX };
  lode_walk *walk;
  lode_slice key;
  lode_value v;
  lode_status st = lode_walk_open(c, &all, false, &walk);
  uint64_t n = 0, len = 0;
  if (st != LODE_OK)
    broken("lode_walk_open: %s", lode_store_error(s)->text);
  while ((st = lode_walk_next(walk, &key, &v)) == LODE_OK) {
    find_entry(table, key, v, lode_walk_expires(walk), found);
    n++;
  }
  if (st != LODE_ABSENT)
    broken("lode_walk_next: %s", lode_store_error(s)->text);
  lode_walk_close(walk);
  if (lode_len(c, &len) != LODE_OK || (len != n && table != TIMED))
    broken("%s has %d entries, and says %d", table_names[table], (int)n,
           (int)len);
  if (table == CAPPED && n > CAP + LODE_CAP_SLACK)
    broken("%s has %d entries", table_names[table], (int)n);
}

/* A collection by its name; false: it is none of ours. */
static bool name_read (lode_slice name, lane_table *table, uint32_t *id,
                       uint32_t *version) {
  char text[32] = "", which;
  unsigned lane;
  if (name.size >= sizeof text)
    return false;
  memcpy(text, name.data, name.size);
  for (int t = 0; t < OWN; t++)
    if (strcmp(text, table_names[t]) == 0) {
      *table = (lane_table)t;
      return true;
    }
  if (sscanf(text, "own %u %c", &lane, &which) != 2 || lane >= LANES)
    return false;
  *table = OWN;
  *id = lane;
  *version = which == 'a' ? 1 : 2;
  return true;
}

static void find_in_coll (lode_store *s, lode_slice name, lode_kind kind,
                          lane_found *found) {
  lane_table table;
  uint32_t id = 0, version = 0;
  lode_coll_options o;
  lode_coll *c;
  if (!name_read(name, &table, &id, &version) ||
      kind != (table == MEMBER ? LODE_SET : LODE_DICT))
    broken("a collection that nobody made: %.*s", (int)name.size,
           (const char *)name.data);
  o = table_options(table);
  if (lode_coll_open(s, name, kind, &o, &c) != LODE_OK)
    broken("lode_coll_open: %s", lode_store_error(s)->text);
  if (table == OWN) {
    if (found[id].version[cell_of(NAME, 0)] != 0)
      broken("lane %u has two collections of its own", (unsigned)id);
    found[id].version[cell_of(NAME, 0)] = version;
  }
  find_all(s, c, table, found);
  lode_coll_close(c);
}

static void find_everything (lode_store *s, lane_found *found) {
  lode_buffer name = { NULL, 0, 0 }, last = { NULL, 0, 0 };
  lode_kind kind;
  lode_status st;
  while ((st = lode_coll_next(s, slice_of_buffer(&last), &name, &kind)) ==
         LODE_OK) {
    find_in_coll(s, slice_of_buffer(&name), kind, found);
    if (buffer_set(&last, name.data, name.size) != LODE_OK)
      broken("no memory");
  }
  if (st != LODE_ABSENT)
    broken("lode_coll_next: %s", lode_store_error(s)->text);
  lode_buffer_free(&name);
  lode_buffer_free(&last);
}

static void settle_lanes (const lane_found *found, uint64_t now) {
  for (uint32_t id = 0; id < LANES; id++) {
    lane *l = &shared->lane[id];
    uint32_t issued = l->issued, acked = l->acked;
    uint32_t cell = lane_settle(l, &found[id], now);
    if (cell != CELLS)
      broken("lane %u (%u issued, %u acknowledged): %s/%u: acknowledged is "
             "version %u (until %+lld ms), found is %u",
             (unsigned)id, (unsigned)issued, (unsigned)acked,
             cell == cell_of(NAME, 0) ? "name" : table_names[table_of(cell)],
             (unsigned)(cell % KEYS), (unsigned)l->cells[cell].version,
             (long long)(l->cells[cell].until - now),
             (unsigned)found[id].version[cell]);
  }
}

/* The writer lock is free, no reader is left, and a write is kept. */
static void write_something (lode_store *s) {
  lode_stats stats;
  lode_coll *c = scratch_coll(s, "plain", LODE_DICT);
  if (c == NULL || put_integer(c, -1, test_text("probe")) != LODE_OK ||
      delete_integer(c, -1) != LODE_OK)
    broken("the first write afterwards: %s", lode_store_error(s)->text);
  lode_coll_close(c);
  if (lode_store_stats(s, &stats) != LODE_OK || stats.readers > 1)
    broken("%u readers of the dead are left", stats.readers);
}

/* Removes what has this name, or one that goes on after it. */
static void remove_all (const char *path) {
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%.200s'*", path);
  if (system(command) != 0)
    exit(2);
}

/* Acknowledged backups are there, and whatever is there is sound. */
static void check_backups (const plan *pl) {
  uint32_t there = 0;
  for (uint32_t n = 0; n < shared->backups; n++) {
    char path[200];
    snprintf(path, sizeof path, "%s-backup-%u", pl->path, (unsigned)n);
    there += check_file(path);
    remove_all(path);
  }
  if (there < shared->backed_up)
    broken("%u backups of %u are there", (unsigned)there,
           (unsigned)shared->backed_up);
  shared->backups = shared->backed_up = 0;
}

static void verifier (const plan *pl, unsigned p, uint64_t round) {
  static lane_found found[LANES];
  lode_options o = pl->options[0];
  lode_store *s = NULL;
  lode_error e;
  lode_status st;
  (void)p, (void)round;
  alarm(VERIFY_TIME);
  check_file(pl->path); /* before anything that opens it could mend it */
  o.durability = LODE_OS;
  o.maintenance = LODE_OFF;
  o.lock_timeout = FREE_WITHIN;
  o.create = false;
  st = lode_open(pl->path, &o, &s, &e);
  if (st == LODE_NOT_FOUND) { /* killed before there was one */
    settle_lanes(found, now_ms());
    return;
  }
  if (st != LODE_OK)
    broken("lode_open gives %s: %s", lode_status_name(st), e.text);
  find_everything(s, found);
  settle_lanes(found, now_ms());
  write_something(s);
  if (lode_close(s, &e) != LODE_OK)
    broken("lode_close: %s", e.text);
  check_file(pl->path);
  check_backups(pl);
}

/* }================================================================== */

/* {==================================================================
** Rounds
** =================================================================== */

/* A store of its own for an epoch, with options that vary. */
static plan plan_of (uint64_t epoch) {
  static const uint64_t maps[] = { 0, 1 << 18, 1 << 20, 3 << 20 };
  uint64_t random = seed + epoch;
  plan pl = { .on_disk = epoch % 2 == 1 };
  bool single = random_below(&random, 4) == 0;
  snprintf(pl.path, sizeof pl.path, "%s/store%u",
           pl.on_disk ? disk_dir : scratch_dir, (unsigned)epoch);
  for (unsigned p = 0; p < LANE_PROCESSES; p++) {
    lode_options *o = &pl.options[p];
    lode_options_init(o);
    o->single_file = single;
    o->map_size = maps[random_below(&random, LENGTH(maps))];
    o->flush_ops = 1 + random_below(&random, FLIGHT);
    o->flush_ms = 1 + random_below(&random, 50);
    o->maintenance = (lode_maintenance)random_below(&random, 3);
  }
  return pl;
}

/* Whether everything was as promised. */
static bool run_round (const plan *pl, uint64_t round) {
  uint64_t random = seed * 31 + round;
  bool gently = random_below(&random, 16) == 0;
  bool one_first = random_below(&random, 2) == 0;
  unsigned first = random_below(&random, LANE_PROCESSES);
  pid_t pids[LANE_PROCESSES];
  bool ok = true;
  shared->stop = false;
  for (unsigned p = 0; p < LANE_PROCESSES; p++)
    pids[p] = start(writer_process, pl, p, round);
  nap(lane_delay(&random));
  if (one_first) { /* the others go on */
    kill(pids[first], SIGKILL);
    nap(1000 + random_below(&random, 3000));
  }
  shared->stop = gently;
  for (unsigned p = 0; p < LANE_PROCESSES && !gently; p++)
    kill(pids[p], SIGKILL);
  for (unsigned p = 0; p < LANE_PROCESSES; p++)
    ok &= reap(pids[p], true);
  kills += gently ? one_first : LANE_PROCESSES;
  ended += gently;
  on_disk += pl->on_disk;
  rounds_done++;
  return ok && reap(start(verifier, pl, 0, round), false);
}

static uint64_t number_of (const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text != NULL && *text != '\0' ? strtoull(text, NULL, 10)
                                       : otherwise;
}

static void kills_at_random (void) {
  const char *full = getenv("LODE_FULL");
  bool is_long = full != NULL && strcmp(full, "1") == 0;
  uint64_t rounds = number_of("LODE_ROUNDS", is_long ? 20000 : 144);
  plan pl = plan_of(0);
  for (uint64_t round = 0; round < rounds; round++) {
    if (round % EPOCH == 0 && round > 0) {
      remove_all(pl.path);
      lanes_reset();
      pl = plan_of(round / EPOCH);
    }
    if (expect(run_round(&pl, round)))
      continue;
    printf("round %llu of seed %llu, %s: %s\n", (unsigned long long)round,
           (unsigned long long)seed, pl.path, shared->failure);
    return; /* the store stays, to be looked at */
  }
  remove_all(pl.path);
}

/* }================================================================== */

static void disk_begin (void) {
  const char *tmp = getenv("TMPDIR");
  snprintf(disk_dir, sizeof disk_dir, "%.100s/lode-kill-XXXXXX",
           tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
  if (mkdtemp(disk_dir) == NULL)
    exit(2);
}

int main (void) {
  seed = number_of("LODE_SEED", (uint64_t)time(NULL));
  if (!lanes_begin())
    return 2;
  scratch_begin();
  disk_begin();
  test_group("kill -9 at random moments", kills_at_random);
  printf("%llu rounds, %llu of them on a disk, %llu processes killed, %llu "
         "rounds ended gently, %llu operations acknowledged; seed %llu\n",
         (unsigned long long)rounds_done, (unsigned long long)on_disk,
         (unsigned long long)kills, (unsigned long long)ended,
         (unsigned long long)shared->acked, (unsigned long long)seed);
  if (!shared->failed) {
    scratch_end();
    rmdir(disk_dir);
  }
  return test_end();
}
