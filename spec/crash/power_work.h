/*
** power_work.h - what crash_power.c records: small stores, built up in steps
** that each come to disk as a whole or not at all. The steps follow from a
** seed. They are done twice: first in another place, to know what the store
** holds after each, and then recorded, without reading anything.
**
** Also how to tell what a store holds, which the verifier asks as well.
*/
#ifndef LODE_POWER_WORK_H
#define LODE_POWER_WORK_H

#include "disk.h"

typedef enum work_kind {
  PUT, DELETE, MEMBER, BATCH, TRANSACTION, UPDATE, RANGE, CLEAR, EXTRA,
  CAPPED, TIMED, CLOCK, MAINTAIN, FLUSH, REOPEN, BACKUP,
  KINDS
} work_kind;

#define BIT(kind) (1u << (kind))
#define ANY (BIT(KINDS) - 1)
#define PLAIN (BIT(PUT) | BIT(DELETE) | BIT(MEMBER) | BIT(UPDATE))
#define MANY (BIT(BATCH) | BIT(TRANSACTION) | BIT(RANGE) | BIT(CLEAR))
#define TIMES (BIT(CAPPED) | BIT(TIMED) | BIT(CLOCK) | BIT(MAINTAIN))

typedef struct work_profile {
  const char *name;
  lode_durability durability;
  bool single_file;
  uint64_t map_size;
  unsigned steps, kinds;
  unsigned big;      /* of ten values, how many need pages of their own */
} work_profile;

/* With another durability than "commit" the clock stands: what a store holds
   after some step must not depend on when it is looked at. */
static const work_profile profiles[] = {
  { "creation", LODE_COMMIT, false, 0, 3, PLAIN, 0 },
  { "creation of a single file", LODE_COMMIT, true, 0, 3, PLAIN, 0 },
  { "single writes", LODE_COMMIT, false, 0, 24, PLAIN, 1 },
  { "transactions and batches", LODE_COMMIT, true, 0, 16, PLAIN | MANY, 1 },
  { "growth", LODE_COMMIT, false, 1 << 16, 16, PLAIN | MANY, 6 },
  { "collections", LODE_COMMIT, false, 0, 24, PLAIN | BIT(EXTRA), 0 },
  { "lifetimes and caps", LODE_COMMIT, false, 0, 30, PLAIN | TIMES, 0 },
  { "backups", LODE_COMMIT, false, 0, 10, PLAIN | BIT(BACKUP), 1 },
  { "closing and opening", LODE_COMMIT, false, 0, 14, PLAIN | BIT(REOPEN),
    0 },
  { "everything", LODE_COMMIT, false, 1 << 17, 40, ANY, 2 },
  { "write-behind", LODE_BEHIND, false, 0, 60,
    (ANY & ~(BIT(CLOCK) | BIT(BACKUP))) | BIT(FLUSH), 1 },
  { "left to the system", LODE_OS, false, 0, 30,
    (ANY & ~(BIT(CLOCK) | BIT(BACKUP))) | BIT(FLUSH), 1 }
};

#define STEPS_MAX 100 /* of a profile, with those that make collections */
#define KEYS 24
#define COLLS 5

typedef enum note_kind { NOTE_BEGIN, NOTE_DONE, NOTE_BACKUP } note_kind;

typedef struct work_note { /* what goes to the log */
  uint32_t kind, step;
  uint32_t promised; /* of NOTE_DONE: it, and all before it, is to stay;
                        of NOTE_BACKUP: its number */
  uint32_t zero;
  uint64_t now;      /* the store's clock from here on */
  uint64_t digest;   /* what the store holds after the step */
} work_note;

/* {==================================================================
** What a store holds
** =================================================================== */

static uint64_t power_now; /* the clock of every store here */

static inline uint64_t power_clock (void *data) {
  (void)data;
  return power_now;
}

static inline lode_options power_options (const work_profile *p) {
  lode_options o;
  lode_options_init(&o);
  o.single_file = p->single_file;
  o.map_size = p->map_size;
  o.durability = p->durability;
  o.clock = power_clock;
  o.readers = 64;
  o.collections = 16;
  o.flush_ops = 4;
  o.flush_ms = 2;
  return o;
}

static inline uint64_t digest_of (uint64_t h, lode_slice s) {
  h = (h ^ s.size) * 1099511628211u;
  for (size_t i = 0; i < s.size; i++)
    h = (h ^ s.data[i]) * 1099511628211u;
  return h ^ h >> 31;
}

static inline lode_status coll_digest (lode_coll *c, uint64_t *digest) {
  lode_range all = { .limit = UINT64_MAX };
  lode_walk *walk;
  lode_slice key;
  lode_value v;
  lode_status st = lode_walk_open(c, &all, false, &walk);
  if (st != LODE_OK)
    return st;
  while ((st = lode_walk_next(walk, &key, &v)) == LODE_OK) {
    *digest = digest_of(digest_of(*digest, key), v.data);
    *digest = (*digest ^ lode_walk_expires(walk)) * 1099511628211u;
  }
  lode_walk_close(walk);
  return st == LODE_ABSENT ? LODE_OK : st;
}

static inline lode_status digest_in (lode_store *s, lode_slice name,
                                     lode_kind kind, uint64_t *digest) {
  lode_coll_options o = { .raw = kind == LODE_RAW };
  lode_coll *c;
  lode_status st = lode_coll_open(s, name, kind, &o, &c);
  if (st != LODE_OK)
    return st;
  st = coll_digest(c, digest);
  lode_coll_close(c);
  return st;
}

/* All collections with their names, kinds, entries and deadlines. */
static inline lode_status store_digest (lode_store *s, uint64_t *digest) {
  lode_buffer name = { NULL, 0, 0 }, last = { NULL, 0, 0 };
  lode_kind kind;
  lode_status st;
  *digest = 14695981039346656037u;
  while ((st = lode_coll_next(s, slice_of_buffer(&last), &name, &kind)) ==
         LODE_OK) {
    *digest = digest_of(*digest + (uint64_t)kind, slice_of_buffer(&name));
    st = digest_in(s, slice_of_buffer(&name), kind, digest);
    if (st == LODE_OK)
      st = buffer_set(&last, name.data, name.size);
    if (st != LODE_OK)
      break;
  }
  lode_buffer_free(&name);
  lode_buffer_free(&last);
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* }================================================================== */

/* {==================================================================
** Steps
** =================================================================== */

typedef struct power {
  const work_profile *profile;
  char path[200];
  lode_store *s;
  lode_coll *colls[COLLS];
  unsigned backups;
  uint64_t random;
  uint32_t steps;
  uint64_t digests[STEPS_MAX];
  record_note_function *note; /* null: this is the first time */
} power;

enum { FIRST, SECOND, SET, DYING, BOUNDED };

static const char *const coll_names[COLLS] = {
  "first", "second", "set", "dying", "bounded"
};

static void power_must (power *w, lode_status st, const char *what) {
  if (st == LODE_OK)
    return;
  printf("recording: %s gives %s: %s\n", what, lode_status_name(st),
         w->s != NULL ? lode_store_error(w->s)->text : "");
  exit(2);
}

static unsigned power_below (power *w, unsigned n) {
  return (unsigned)(disk_random(&w->random) >> 32) % n;
}

static void open_coll (power *w, unsigned i) {
  lode_coll_options o;
  memset(&o, 0, sizeof o);
  if (i == BOUNDED) {
    o.max_entries = 6;
    o.evict = LODE_EVICT_FIFO;
  }
  power_must(w, lode_coll_open(w->s, test_text(coll_names[i]),
                               i == SET ? LODE_SET : LODE_DICT, &o,
                               &w->colls[i]), "lode_coll_open");
}

static void power_open (power *w) {
  lode_options o = power_options(w->profile);
  lode_error e;
  if (w->note == NULL && o.durability == LODE_BEHIND)
    o.durability = LODE_OS;
  if (lode_open(w->path, &o, &w->s, &e) != LODE_OK) {
    printf("recording: %s\n", e.text);
    exit(2);
  }
}

static void power_close (power *w) {
  lode_error e;
  for (int i = 0; i < COLLS; i++) {
    lode_coll_close(w->colls[i]);
    w->colls[i] = NULL;
  }
  power_must(w, lode_close(w->s, &e), "lode_close");
  w->s = NULL;
}

static void put (power *w, unsigned coll, uint64_t ttl) {
  static unsigned char bytes[9000];
  lode_buffer b = { NULL, 0, 0 };
  lode_value v = { { bytes, 1 + power_below(w, 200) }, LODE_BYTES };
  lode_key key;
  memset(bytes, (int)power_below(w, 256), sizeof bytes);
  if (power_below(w, 10) < w->profile->big)
    v.data.size = 2000 + power_below(w, 7000);
  if (coll == SET) {
    v.data.size = 0;
    v.codec = LODE_NOTHING;
  }
  power_must(w, key_of_integer(w->colls[coll], power_below(w, KEYS), &b,
                               &key), "the key");
  power_must(w, lode_put(w->colls[coll], &key, v, LODE_PUT, ttl), "lode_put");
  lode_buffer_free(&b);
}

static void erase (power *w, unsigned coll) {
  lode_status st = delete_integer(w->colls[coll], power_below(w, KEYS));
  power_must(w, st == LODE_ABSENT ? LODE_OK : st, "lode_delete");
}

static void change (power *w) {
  unsigned coll = power_below(w, 3);
  if (power_below(w, 4) == 0)
    erase(w, coll);
  else
    put(w, coll, LODE_TTL_OWN);
}

static void transaction (power *w) {
  power_must(w, lode_begin(w->s), "lode_begin");
  for (unsigned n = 2 + power_below(w, 4); n > 0; n--)
    change(w);
  power_must(w, lode_begin(w->s), "lode_begin");
  change(w);
  if (power_below(w, 2) == 0)
    lode_abort(w->s);
  else
    power_must(w, lode_commit(w->s), "lode_commit");
  change(w);
  power_must(w, lode_commit(w->s), "lode_commit");
}

static void batch (power *w) {
  static unsigned char bytes[300];
  lode_buffer b = { NULL, 0, 0 };
  lode_batch *load;
  lode_key key;
  power_must(w, lode_begin(w->s), "lode_begin");
  power_must(w, lode_batch_begin(w->colls[FIRST], LODE_TTL_OWN, &load),
             "lode_batch_begin");
  for (unsigned n = 2 + power_below(w, 10); n > 0; n--) {
    lode_value v = { { bytes, power_below(w, sizeof bytes) }, LODE_BYTES };
    memset(bytes, (int)n, sizeof bytes);
    power_must(w, key_of_integer(w->colls[FIRST], power_below(w, KEYS), &b,
                                 &key), "the key");
    power_must(w, lode_batch_add(load, &key, v), "lode_batch_add");
  }
  power_must(w, lode_batch_write(load), "lode_batch_write");
  lode_batch_end(load);
  power_must(w, lode_commit(w->s), "lode_commit");
  lode_buffer_free(&b);
}

static void update (power *w) {
  power_must(w, lode_lock(w->s), "lode_lock");
  (void)has_integer(w->colls[FIRST], 1);
  power_must(w, lode_lock_begin(w->s), "lode_lock_begin");
  put(w, FIRST, LODE_TTL_OWN);
  power_must(w, lode_commit(w->s), "lode_commit");
}

static void delete_range (power *w) {
  lode_buffer a = { NULL, 0, 0 }, b = { NULL, 0, 0 };
  lode_key from, to;
  lode_range r = { .from = &from, .to = &to, .limit = UINT64_MAX };
  unsigned first = power_below(w, KEYS);
  uint64_t n;
  power_must(w, key_of_integer(w->colls[FIRST], first, &a, &from), "the key");
  power_must(w, key_of_integer(w->colls[FIRST], first + 5, &b, &to),
             "the key");
  power_must(w, lode_delete_range(w->colls[FIRST], &r, &n),
             "lode_delete_range");
  lode_buffer_free(&a);
  lode_buffer_free(&b);
}

/* Makes, renames or drops a collection that isn't always there. */
static void change_extra (power *w) {
  lode_coll_options none = { .raw = false };
  lode_coll *c;
  lode_status st;
  switch (power_below(w, 4)) {
    case 0: case 1:
      st = lode_coll_open(w->s, test_text("extra"), LODE_DICT, &none, &c);
      if (st == LODE_OK)
        lode_coll_close(c);
      break;
    case 2:
      st = lode_rename(w->s, test_text("extra"), test_text("other"));
      break;
    default:
      st = lode_drop(w->s, test_text(power_below(w, 2) ? "extra" : "other"));
  }
  if (st != LODE_ABSENT && st != LODE_INCOMPATIBLE) /* `other` is taken */
    power_must(w, st, "a change of the catalogue");
}

static void maintain (power *w) {
  lode_budget all = { .entries = 0 };
  uint64_t removed;
  bool more;
  power_must(w, lode_maintain(w->s, &all, &removed, &more), "lode_maintain");
}

static void reopen (power *w) {
  power_close(w);
  power_open(w);
  for (unsigned i = 0; i < COLLS; i++)
    open_coll(w, i);
}

static void backup_name (const char *path, unsigned n, char out[240]) {
  snprintf(out, 240, "%.200s-backup-%u", path, n);
}

static void backup (power *w) {
  const lode_backup_options how = { .compact = power_below(w, 2) == 0 };
  char to[240];
  backup_name(w->path, w->backups, to);
  power_must(w, lode_backup(w->s, to, &how), "lode_backup");
}

static void power_step (power *w, work_kind kind) {
  uint64_t n;
  switch (kind) {
    case PUT: put(w, power_below(w, 2), LODE_TTL_OWN); break;
    case DELETE: erase(w, power_below(w, 2)); break;
    case MEMBER: put(w, SET, LODE_TTL_OWN); break;
    case BATCH: batch(w); break;
    case TRANSACTION: transaction(w); break;
    case UPDATE: update(w); break;
    case RANGE: delete_range(w); break;
    case CLEAR:
      power_must(w, lode_clear(w->colls[SECOND], &n), "lode_clear");
      break;
    case EXTRA: change_extra(w); break;
    case CAPPED: put(w, BOUNDED, LODE_TTL_OWN); break;
    case TIMED: put(w, DYING, 1 + power_below(w, 3000)); break;
    case MAINTAIN: maintain(w); break;
    case FLUSH: power_must(w, lode_flush(w->s), "lode_flush"); break;
    case REOPEN: reopen(w); break;
    case BACKUP: backup(w); break;
    default: break; /* CLOCK: the time has come */
  }
}

/* }================================================================== */

/* {==================================================================
** Runs
** =================================================================== */

static void note (power *w, note_kind kind, uint32_t step,
                  uint32_t promised) {
  work_note n = { (uint32_t)kind, step, promised, 0, power_now,
                  w->digests[step] };
  if (w->note != NULL)
    w->note(&n, sizeof n);
}

static void step_begins (power *w) {
  note(w, NOTE_BEGIN, w->steps, 0);
}

/* Notes that a step is done, and what holds from now on. */
static void step_ends (power *w, bool syncs) {
  if (w->note == NULL)
    power_must(w, store_digest(w->s, &w->digests[w->steps]), "the digest");
  note(w, NOTE_DONE, w->steps,
       syncs || w->profile->durability == LODE_COMMIT);
  w->steps++;
}

static work_kind choose (power *w) {
  unsigned kind = power_below(w, KINDS);
  while (!(w->profile->kinds & BIT(kind)))
    kind = power_below(w, KINDS);
  return (work_kind)kind;
}

static void one_step (power *w) {
  work_kind kind = choose(w);
  if (kind == CLOCK)
    power_now += 1 + power_below(w, 2000);
  step_begins(w);
  power_step(w, kind);
  if (kind == BACKUP) {
    w->digests[w->steps] = w->digests[w->steps - 1];
    note(w, NOTE_BACKUP, w->steps, w->backups++);
  }
  step_ends(w, kind == FLUSH || kind == REOPEN);
}

/* Does all steps at `path`; the first makes the store. */
static void power_run (power *w, const char *path, uint64_t seed) {
  snprintf(w->path, sizeof w->path, "%s", path);
  w->random = seed;
  w->steps = w->backups = 0;
  power_now = UINT64_C(1700000000000);
  step_begins(w);
  power_open(w);
  step_ends(w, true);
  for (unsigned i = 0; i < COLLS; i++) {
    step_begins(w);
    open_coll(w, i);
    step_ends(w, false);
  }
  for (unsigned i = 0; i < w->profile->steps; i++)
    one_step(w);
  step_begins(w);
  power_close(w);
  w->steps++; /* it closes without a promise: the log ends here */
}

/* }================================================================== */

#endif
