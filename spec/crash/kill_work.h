/*
** kill_work.h - what a thread does until it is killed: every operation of
** lode.h that writes, on the cells of its lane (lane.h), and some reads.
*/
#ifndef LODE_KILL_WORK_H
#define LODE_KILL_WORK_H

#include <pthread.h>
#include <stdarg.h>
#include <unistd.h>

#include "lane.h"

typedef struct work { /* of one thread */
  const char *path;
  lode_options options;
  lode_store *s;
  lode_coll *colls[TABLES];
  lane *l;
  uint32_t id;
  bool late;        /* writes are acknowledged by lode_flush only */
  bool own_at_risk; /* OWN was made or dropped by the open transaction */
  unsigned depth;   /* transactions that are open */
  uint64_t random;
  lode_buffer bytes;
  unsigned char value[VALUE_MAX];
} work;

/* Says what went wrong, the first time that anything does, and ends. */
static inline _Noreturn void
__attribute__((format(printf, 1, 2))) broken (const char *format, ...) {
  va_list args;
  if (!atomic_exchange(&shared->failed, true)) {
    va_start(args, format);
    vsnprintf(shared->failure, sizeof shared->failure, format, args);
    va_end(args);
  }
  _exit(3);
}

static void must (work *w, lode_status st, const char *what) {
  if (st != LODE_OK)
    broken("lane %u: %s gives %s: %s", (unsigned)w->id, what,
           lode_status_name(st),
           w->s != NULL ? lode_store_error(w->s)->text : "");
}

static unsigned below (work *w, unsigned n) {
  return random_below(&w->random, n);
}

/* {==================================================================
** Handles
** =================================================================== */

static void open_table (work *w, lane_table table, lode_slice name) {
  lode_coll_options o = table_options(table);
  lode_kind kind = table == MEMBER ? LODE_SET : LODE_DICT;
  must(w, lode_coll_open(w->s, name, kind, &o, &w->colls[table]),
       "lode_coll_open");
}

static void work_open (work *w) {
  char room[16];
  lode_error e;
  lode_status st = lode_open(w->path, &w->options, &w->s, &e);
  lane_cell name = lane_current(w->l, cell_of(NAME, 0));
  if (st != LODE_OK)
    broken("lane %u: lode_open gives %s: %s", (unsigned)w->id,
           lode_status_name(st), e.text);
  for (int t = 0; t < OWN; t++)
    open_table(w, (lane_table)t, test_text(table_names[t]));
  if (name.version != 0)
    open_table(w, OWN, own_name(w->id, name.version, room));
}

static void close_own (work *w) {
  lode_coll_close(w->colls[OWN]);
  w->colls[OWN] = NULL;
}

static void work_close (work *w) {
  lode_error e;
  close_own(w);
  for (int t = 0; t < OWN; t++)
    lode_coll_close(w->colls[t]);
  if (lode_close(w->s, &e) != LODE_OK)
    broken("lane %u: lode_close: %s", (unsigned)w->id, e.text);
  lane_ack(w->l);
}

/* }================================================================== */

/* {==================================================================
** Operations of one call: what they change is noted and, outside of
** transactions, issued before the call and acknowledged after it.
** =================================================================== */

static void flush (work *w) {
  must(w, lode_flush(w->s), "lode_flush");
  lane_ack(w->l);
}

static void before (work *w) {
  if (w->depth == 0)
    lane_issue(w->l);
}

static void after (work *w) {
  if (w->depth > 0)
    return;
  if (!w->late)
    lane_ack(w->l);
  else if (lane_room(w->l) < 8)
    flush(w);
}

static const lode_key *key_of (work *w, uint32_t cell, lode_key *key) {
  must(w, cell_key_of(w->colls[table_of(cell)], &w->bytes, w->id, cell, key),
       "the key");
  return key;
}

/* The value of a new version of a cell, which is noted. */
static lode_value new_value (work *w, uint32_t cell, uint64_t until) {
  lane_cell to = { ++w->l->version, until };
  lode_value v = { { w->value, 0 }, LODE_BYTES };
  lane_note(w->l, cell, to);
  v.data.size = value_make(w->value, w->id, cell, to.version);
  if (table_of(cell) == MEMBER) {
    v.data.size = 0;
    v.codec = LODE_NOTHING;
  }
  return v;
}

static void put (work *w, uint32_t cell) {
  bool there = lane_current(w->l, cell).version != 0;
  lode_put_mode mode = LODE_PUT;
  lode_value v = new_value(w, cell, table_of(cell) == CAPPED ? 0
                                                             : LODE_NEVER);
  lode_key key;
  if (table_of(cell) < TIMED && below(w, 3) == 0)
    mode = there ? LODE_REPLACE : LODE_ADD;
  before(w);
  must(w, lode_put(w->colls[table_of(cell)], key_of(w, cell, &key), v, mode,
                   LODE_TTL_OWN), "lode_put");
  after(w);
}

/* Either it dies while the round lasts, or not for an hour. */
static void put_timed (work *w, uint32_t cell) {
  uint64_t ttl = below(w, 4) == 0 ? 3600000 : 1 + below(w, 20);
  lode_value v = new_value(w, cell, now_ms() + ttl);
  lode_key key;
  before(w);
  must(w, lode_put(w->colls[TIMED], key_of(w, cell, &key), v, LODE_PUT, ttl),
       "lode_put with a ttl");
  after(w);
}

/* Gives an entry that can't have died another hour, or all time. */
static void expire (work *w, uint32_t cell) {
  lane_cell c = lane_current(w->l, cell);
  uint64_t ttl = below(w, 2) == 0 ? LODE_NEVER : 7200000;
  lode_key key;
  if (c.version == 0 || c.until < now_ms() + 600000)
    return;
  c.until = ttl == LODE_NEVER ? ttl : now_ms() + ttl;
  lane_note(w->l, cell, c);
  before(w);
  must(w, lode_expire(w->colls[TIMED], key_of(w, cell, &key), ttl),
       "lode_expire");
  after(w);
}

static void erase (work *w, uint32_t cell) {
  lane_cell c = lane_current(w->l, cell), none = { 0, 0 };
  lode_key key;
  lode_status st;
  lane_note(w->l, cell, none);
  before(w);
  st = lode_delete(w->colls[table_of(cell)], key_of(w, cell, &key));
  if (c.version == 0 || c.until != LODE_NEVER)
    must(w, st == LODE_ABSENT ? LODE_OK : st, "lode_delete");
  else
    must(w, st, "lode_delete");
  after(w);
}

static void note_absent (work *w, lane_table table, unsigned from,
                         unsigned to) {
  lane_cell none = { 0, 0 };
  for (unsigned key = from; key <= to; key++)
    lane_note(w->l, cell_of(table, key), none);
}

static uint64_t count_present (work *w, lane_table table, unsigned from,
                               unsigned to) {
  uint64_t n = 0;
  for (unsigned key = from; key <= to; key++)
    n += lane_current(w->l, cell_of(table, key)).version != 0;
  return n;
}

static void delete_range (work *w) {
  unsigned from = below(w, KEYS - 4), to = from + below(w, 4);
  uint64_t there = count_present(w, PLAIN, from, to), n = UINT64_MAX;
  lode_buffer bytes = { NULL, 0, 0 };
  lode_key a, b;
  lode_range r = { .from = &a, .to = &b, .limit = UINT64_MAX };
  key_of(w, cell_of(PLAIN, from), &a);
  must(w, cell_key_of(w->colls[PLAIN], &bytes, w->id, cell_of(PLAIN, to),
                      &b), "the key");
  note_absent(w, PLAIN, from, to);
  before(w);
  must(w, lode_delete_range(w->colls[PLAIN], &r, &n), "lode_delete_range");
  if (n != there)
    broken("lane %u: a range had %d entries, not %d", (unsigned)w->id,
           (int)n, (int)there);
  after(w);
  lode_buffer_free(&bytes);
}

static void clear_own (work *w) {
  uint64_t there = count_present(w, OWN, 0, KEYS - 1), n = UINT64_MAX;
  note_absent(w, OWN, 0, KEYS - 1);
  before(w);
  must(w, lode_clear(w->colls[OWN], &n), "lode_clear");
  if (n != there)
    broken("lane %u: clear removed %d entries, not %d", (unsigned)w->id,
           (int)n, (int)there);
  after(w);
}

/* }================================================================== */

/* {==================================================================
** The collection that each lane has for itself
** =================================================================== */

static void note_name (work *w, uint32_t version) {
  lane_cell c = { version, LODE_NEVER };
  lane_note(w->l, cell_of(NAME, 0), c);
}

static void make_own (work *w) {
  char room[16];
  uint32_t version = 1 + below(w, 2);
  note_name(w, version);
  before(w);
  open_table(w, OWN, own_name(w->id, version, room));
  after(w);
}

static void drop_own (work *w, uint32_t version) {
  char room[16];
  note_name(w, 0);
  note_absent(w, OWN, 0, KEYS - 1);
  before(w);
  must(w, lode_drop(w->s, own_name(w->id, version, room)), "lode_drop");
  after(w);
  close_own(w);
}

static void rename_own (work *w, uint32_t version) {
  char from[16], to[16];
  note_name(w, 3 - version);
  before(w);
  must(w, lode_rename(w->s, own_name(w->id, version, from),
                      own_name(w->id, 3 - version, to)), "lode_rename");
  after(w);
}

static void change_own (work *w) {
  uint32_t version = lane_current(w->l, cell_of(NAME, 0)).version;
  unsigned what = below(w, 16);
  uint32_t cell = cell_of(OWN, below(w, KEYS));
  if (w->depth > 0 && (version == 0 || what < 4))
    w->own_at_risk = true;
  if (version == 0)
    make_own(w);
  else if (what < 2)
    drop_own(w, version);
  else if (what < 4)
    rename_own(w, version);
  else if (what < 5)
    clear_own(w);
  else if (what < 7)
    erase(w, cell);
  else
    put(w, cell);
}

/* A transaction was rolled back, and its changes of OWN with it. */
static void restore_own (work *w) {
  char room[16];
  uint32_t version = lane_current(w->l, cell_of(NAME, 0)).version;
  close_own(w);
  if (version != 0)
    open_table(w, OWN, own_name(w->id, version, room));
}

/* }================================================================== */

/* {==================================================================
** Transactions
** =================================================================== */

static void begin (work *w) {
  must(w, lode_begin(w->s), "lode_begin");
  w->depth++;
}

/* Ends the innermost; `mark`: changes that were noted when it began. */
static void end (work *w, bool keep, uint32_t mark) {
  bool outermost = w->depth == 1;
  w->depth--;
  if (keep && outermost)
    before(w);
  if (keep)
    must(w, lode_commit(w->s), "lode_commit");
  else {
    lode_abort(w->s);
    lane_next(w->l)->count = mark;
    if (w->own_at_risk)
      restore_own(w);
  }
  if (outermost)
    w->own_at_risk = false;
  if (keep && outermost)
    after(w);
}

static void change (work *w);

static void transaction (work *w) {
  unsigned steps = 1 + below(w, 6);
  uint32_t mark;
  begin(w);
  for (unsigned i = 0; i < steps; i++)
    change(w);
  if (below(w, 3) == 0) { /* a savepoint */
    mark = lane_next(w->l)->count;
    begin(w);
    change(w);
    change(w);
    end(w, below(w, 2) == 0, mark);
  }
  if (below(w, 3) == 0)
    change(w);
  end(w, below(w, 4) != 0, 0);
}

/* Reads, computes without a transaction, writes. */
static void update (work *w) {
  uint32_t cell = cell_of(PLAIN, below(w, KEYS)), id, at, version = 0;
  lode_value v;
  lode_key key;
  lode_status st;
  must(w, lode_lock(w->s), "lode_lock");
  st = lode_get(w->colls[PLAIN], key_of(w, cell, &key), &v);
  if (st == LODE_OK && !value_read(v.data, &id, &at, &version))
    broken("lane %u: update reads a torn value", (unsigned)w->id);
  lode_done(w->colls[PLAIN]);
  if (st != LODE_OK && st != LODE_ABSENT)
    must(w, st, "lode_get");
  if (version != lane_current(w->l, cell).version)
    broken("lane %u: update reads version %u, not %u", (unsigned)w->id,
           (unsigned)version, (unsigned)lane_current(w->l, cell).version);
  if (below(w, 8) == 0) {
    lode_unlock(w->s);
    return;
  }
  must(w, lode_lock_begin(w->s), "lode_lock_begin");
  w->depth++;
  put(w, cell);
  end(w, true, 0);
}

static void batch (work *w) {
  lane_table table = below(w, 2) == 0 ? PLAIN : LONG;
  unsigned first = below(w, KEYS), n = 1 + below(w, KEYS);
  lode_batch *b = NULL;
  lode_key key;
  begin(w);
  must(w, lode_batch_begin(w->colls[table], LODE_TTL_OWN, &b),
       "lode_batch_begin");
  for (unsigned i = 0; i < n; i++) {
    uint32_t cell = cell_of(table, (first + 5 * i) % KEYS);
    lode_value v = new_value(w, cell, LODE_NEVER);
    must(w, lode_batch_add(b, key_of(w, cell, &key), v), "lode_batch_add");
  }
  must(w, lode_batch_write(b), "lode_batch_write");
  lode_batch_end(b);
  end(w, true, 0);
}

/* Computes a value as one of all who might; who dies holds up nobody. */
static void fetch (work *w) {
  uint32_t cell = cell_of(PLAIN, below(w, KEYS));
  lode_fetch_life life = { .ttl = LODE_TTL_OWN };
  lode_value v;
  lode_key key;
  key_of(w, cell, &key);
  must(w, lode_fetch_claim(w->colls[PLAIN], &key, LODE_FETCH_WAIT),
       "lode_fetch_claim");
  v = new_value(w, cell, LODE_NEVER);
  before(w);
  must(w, lode_fetch_put(w->colls[PLAIN], &key, v, &life),
       "lode_fetch_put");
  after(w);
  lode_fetch_drop(w->colls[PLAIN], &key);
}

/* Writes the members of everybody anew, as they are. */
static void save_members (work *w) {
  lode_coll *members = w->colls[MEMBER];
  lode_term terms[] = { { LODE_LEAF, members }, { LODE_LEAF, members },
                        { LODE_UNION, NULL } };
  must(w, lode_merge_save(terms, 3, members, true), "lode_merge_save");
}

/* Both or none. */
static void put_twins (work *w) {
  unsigned key = below(w, KEYS);
  begin(w);
  put(w, cell_of(TWIN_A, key));
  w->l->version--; /* the same version for both */
  put(w, cell_of(TWIN_B, key));
  end(w, true, 0);
}

static void twin_of (work *w, lane_table table, uint32_t id, unsigned key,
                     uint32_t *version) {
  uint32_t of, at, cell = cell_of(table, key);
  lode_key k;
  lode_value v;
  lode_status st;
  *version = 0;
  must(w, cell_key_of(w->colls[table], &w->bytes, id, cell, &k), "the key");
  st = lode_get(w->colls[table], &k, &v);
  if (st == LODE_OK && (!value_read(v.data, &of, &at, version) ||
                        of != id || at != cell))
    broken("lane %u: a torn value of lane %u", (unsigned)w->id,
           (unsigned)id);
  lode_done(w->colls[table]);
  must(w, st == LODE_ABSENT ? LODE_OK : st, "lode_get");
}

/* Of anybody, at one moment. */
static void read_twins (work *w) {
  uint32_t id = below(w, LANES), a, b;
  unsigned key = below(w, KEYS);
  must(w, lode_snapshot(w->s), "lode_snapshot");
  twin_of(w, TWIN_A, id, key, &a);
  twin_of(w, TWIN_B, id, key, &b);
  lode_snapshot_end(w->s);
  if (a != b)
    broken("lane %u: a snapshot has half a transaction: version %u of one "
           "twin, %u of the other", (unsigned)w->id, (unsigned)a,
           (unsigned)b);
}

/* }================================================================== */

/* {==================================================================
** All of it
** =================================================================== */

/* A change that may stand alone or in a transaction. */
static void change (work *w) {
  unsigned key = below(w, KEYS);
  switch (below(w, 14)) {
    case 0: case 1: put(w, cell_of(PLAIN, key)); break;
    case 2: erase(w, cell_of(PLAIN, key)); break;
    case 3: put(w, cell_of(LONG, key)); break;
    case 4: erase(w, cell_of(LONG, key)); break;
    case 5: put(w, cell_of(BIG, key % 3)); break;
    case 6: erase(w, cell_of(BIG, key % 3)); break;
    case 7: put_timed(w, cell_of(TIMED, key)); break;
    case 8: expire(w, cell_of(TIMED, key)); break;
    case 9: put(w, cell_of(CAPPED, key)); break;
    case 10: put(w, cell_of(MEMBER, key)); break;
    case 11: erase(w, cell_of(MEMBER, key)); break;
    case 12: delete_range(w); break;
    default: change_own(w);
  }
}

static void maintain (work *w) {
  lode_budget budget = { .entries = 1 + below(w, 40) };
  uint64_t removed;
  bool more;
  must(w, lode_maintain(w->s, &budget, &removed, &more), "lode_maintain");
}

/* A copy beside the store, named by its number. */
static void backup (work *w) {
  const lode_backup_options how = { .compact = below(w, 2) == 0 };
  char to[200];
  uint32_t n = atomic_fetch_add(&shared->backups, 1);
  snprintf(to, sizeof to, "%s-backup-%u", w->path, (unsigned)n);
  must(w, lode_backup(w->s, to, &how), "lode_backup");
  atomic_fetch_add(&shared->backed_up, 1);
}

static void step (work *w) {
  unsigned what = below(w, 100);
  if (what < 50)
    change(w);
  else if (what < 65)
    transaction(w);
  else if (what < 72)
    update(w);
  else if (what < 80)
    batch(w);
  else if (what < 86)
    put_twins(w);
  else if (what < 90)
    read_twins(w);
  else if (what < 93)
    maintain(w);
  else if (what < 95)
    fetch(w);
  else if (what < 96)
    save_members(w);
  else if (what < 97)
    flush(w);
  else if (what == 97 && below(w, 4) == 0)
    backup(w);
  else if (what == 98) {
    work_close(w);
    work_open(w);
  }
}

static void *work_run (void *arg) {
  work *w = arg;
  work_open(w);
  while (!shared->stop)
    step(w);
  work_close(w);
  lode_buffer_free(&w->bytes);
  return NULL;
}

/* }================================================================== */

#endif
