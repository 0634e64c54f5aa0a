/*
** lane.h - what the writers of crash_kill.c have promised, in memory that
** outlives them.
**
** Each thread has a lane: cells that only it writes, each an entry or a
** member of some collection, or the name of a collection. Before it calls
** lode it issues an operation, the list of what the call will change; when
** the call has returned, the operation is acknowledged and folded into the
** cells. So, whenever the thread is killed, the store must hold
**
**   what was acknowledged + the first k of the operations in flight, whole
**
** for some k. Only "behind" has more than one in flight.
*/
#ifndef LODE_LANE_H
#define LODE_LANE_H

#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "test.h"

#define LANE_PROCESSES 3
#define LANE_THREADS 4
#define LANES (LANE_PROCESSES * LANE_THREADS)

typedef enum lane_table { /* a collection each; OWN: one for each lane */
  PLAIN,  /* integers, also removed by range */
  LONG,   /* keys that are hashed, and alike ones */
  BIG,    /* values on pages of their own */
  TIMED,  /* entries that may have a deadline */
  TWIN_A, TWIN_B, /* always written together */
  CAPPED, /* the oldest entry gives way */
  MEMBER, /* a set */
  OWN,    /* made, renamed, cleared, dropped all the time */
  TABLES,
  NAME = TABLES /* not a table: which name OWN has; version 0: none */
} lane_table;

#define KEYS 12 /* of each table */
#define CELLS (TABLES * KEYS + 1)
#define CHANGES 160 /* of one operation, at most */
#define FLIGHT 64  /* operations in flight, at most */
#define TIME_SLACK 5000 /* ms by which a deadline may be later than thought */

typedef struct lane_cell {
  uint32_t version;  /* 0: absent */
  uint64_t until;    /* ms: it may be gone from then on; LODE_NEVER */
} lane_cell;

typedef struct lane_change {
  uint32_t cell;
  lane_cell to;
} lane_change;

typedef struct lane_operation {
  uint32_t count;
  lane_change changes[CHANGES];
} lane_operation;

typedef struct lane {
  lane_cell cells[CELLS];
  lane_operation flight[FLIGHT]; /* by their number, modulo */
  _Atomic uint32_t issued, acked, folded; /* numbers; folded is the least */
  uint32_t version; /* the last one given; none is used twice */
} lane;

typedef struct lanes { /* what parent, writers and verifiers share */
  lane lane[LANES];
  _Atomic uint64_t acked; /* operations, in all rounds */
  _Atomic bool stop;      /* end by yourselves */
  _Atomic bool failed;    /* `failure` is being written */
  char failure[600];
  _Atomic uint32_t backups, backed_up; /* begun and acknowledged */
} lanes;

static lanes *shared;

static inline bool lanes_begin (void) {
  void *p = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  shared = p != MAP_FAILED ? p : NULL;
  return shared != NULL;
}

/* Of a store that is not there yet. */
static inline void lanes_reset (void) {
  memset(shared->lane, 0, sizeof shared->lane);
  shared->backups = shared->backed_up = 0;
}

static inline uint64_t now_ms (void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline uint32_t cell_of (lane_table table, unsigned key) {
  return (uint32_t)table * KEYS + (table == NAME ? 0 : key);
}

static inline lane_table table_of (uint32_t cell) {
  return (lane_table)(cell / KEYS);
}

/* {==================================================================
** The writer's side
** =================================================================== */

/* The operation that is composed, and not yet issued. */
static inline lane_operation *lane_next (lane *l) {
  return &l->flight[l->issued % FLIGHT];
}

static inline void lane_note (lane *l, uint32_t cell, lane_cell to) {
  lane_operation *op = lane_next(l);
  if (op->count == CHANGES)
    abort();
  op->changes[op->count].cell = cell;
  op->changes[op->count++].to = to;
}

static inline const lane_cell *change_of (const lane_operation *op,
                                          uint32_t cell) {
  for (uint32_t i = op->count; i > 0; i--)
    if (op->changes[i - 1].cell == cell)
      return &op->changes[i - 1].to;
  return NULL;
}

/* What the writer itself must find in a cell now. */
static inline lane_cell lane_current (lane *l, uint32_t cell) {
  const lane_cell *c = change_of(lane_next(l), cell);
  for (uint32_t n = l->issued; c == NULL && n > l->folded; n--)
    c = change_of(&l->flight[(n - 1) % FLIGHT], cell);
  return c != NULL ? *c : l->cells[cell];
}

static inline void lane_apply (lane_cell *cells, const lane_operation *op) {
  for (uint32_t i = 0; i < op->count; i++)
    cells[op->changes[i].cell] = op->changes[i].to;
}

/* From here on the store may have it. */
static inline void lane_issue (lane *l) {
  atomic_fetch_add(&l->issued, 1);
  lane_next(l)->count = 0;
}

/* Folding twice is the same, so a kill in the middle does no harm. */
static inline void lane_fold (lane *l) {
  while (l->folded < l->acked) {
    lane_apply(l->cells, &l->flight[l->folded % FLIGHT]);
    atomic_fetch_add(&l->folded, 1);
  }
}

/* From here on the store must have all that was issued. */
static inline void lane_ack (lane *l) {
  atomic_fetch_add(&shared->acked, l->issued - l->acked);
  atomic_store(&l->acked, l->issued);
  lane_fold(l);
}

/* How many more can be issued before one is acknowledged. */
static inline unsigned lane_room (const lane *l) {
  return FLIGHT - 1 - (l->issued - l->folded);
}

/* }================================================================== */

/* {==================================================================
** The verifier's side
** =================================================================== */

typedef struct lane_found { /* in the store, of one lane */
  uint32_t version[CELLS];  /* 0: absent */
  uint64_t expires[CELLS];
} lane_found;

static inline bool cell_fits (uint32_t cell, lane_cell c,
                              const lane_found *f, uint64_t now) {
  uint32_t version = f->version[cell];
  if (version == 0)
    return c.version == 0 || now >= c.until;
  if (table_of(cell) == MEMBER || table_of(cell) == NAME)
    return table_of(cell) == MEMBER ? c.version != 0 : version == c.version;
  return version == c.version &&
         (table_of(cell) != TIMED
          ? f->expires[cell] == LODE_NEVER
          : f->expires[cell] >= c.until &&
            (c.until == LODE_NEVER ||
             f->expires[cell] <= c.until + TIME_SLACK));
}

/* The first cell that doesn't fit, or CELLS. */
static inline uint32_t cells_fit (const lane_cell *cells,
                                  const lane_found *f, uint64_t now) {
  uint32_t cell = 0;
  while (cell < CELLS && cell_fits(cell, cells[cell], f, now))
    cell++;
  return cell;
}

/*
** Whether the lane may be found so, read at `now` or earlier; then that is
** what it has from here on. CELLS: yes; else the first cell that is wrong
** by what was acknowledged.
*/
static inline uint32_t lane_settle (lane *l, const lane_found *f,
                                    uint64_t now) {
  lane_cell cells[CELLS];
  uint32_t first, wrong;
  lane_fold(l);
  memcpy(cells, l->cells, sizeof cells);
  first = wrong = cells_fit(cells, f, now);
  for (uint32_t n = l->acked; wrong < CELLS && n < l->issued; n++) {
    lane_apply(cells, &l->flight[n % FLIGHT]);
    wrong = cells_fit(cells, f, now);
  }
  if (wrong < CELLS)
    return first;
  for (uint32_t cell = 0; cell < CELLS; cell++)
    if (f->version[cell] == 0) /* it may have expired */
      cells[cell].version = 0;
  memcpy(l->cells, cells, sizeof cells);
  l->issued = l->acked = l->folded = 0;
  l->flight[0].count = 0;
  return CELLS;
}

/* }================================================================== */

/* {==================================================================
** Keys and values
** =================================================================== */

/* A stream of random numbers (splitmix64). */
static inline uint64_t random_next (uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

static inline unsigned random_below (uint64_t *state, unsigned n) {
  return (unsigned)((random_next(state) >> 32) * n >> 32);
}

#define VALUE_HEAD 12 /* lane (4) cell (4) version (4) */
#define VALUE_MAX 40000

/*
** The value of a version: its bytes follow from who wrote what, so each of
** them can be checked. Gives its size.
*/
static inline size_t value_make (unsigned char *out, uint32_t id,
                                 uint32_t cell, uint32_t version) {
  uint64_t state = ((uint64_t)id << 48) ^ ((uint64_t)cell << 32) ^ version;
  size_t size = VALUE_HEAD, most = random_next(&state) % 8 != 0 ? 120 : 1500;
  if (table_of(cell) == BIG)
    most = VALUE_MAX - VALUE_HEAD;
  size += random_next(&state) % (most + 1);
  put_u32(out, id);
  put_u32(out + 4, cell);
  put_u32(out + 8, version);
  for (size_t i = VALUE_HEAD; i < size; i++)
    out[i] = (unsigned char)((state >> i % 56) + i);
  return size;
}

/* Whether the bytes are a value, whole; then whose. */
static inline bool value_read (lode_slice v, uint32_t *id, uint32_t *cell,
                               uint32_t *version) {
  static _Thread_local unsigned char whole[VALUE_MAX];
  if (v.size < VALUE_HEAD)
    return false;
  *id = get_u32(v.data);
  *cell = get_u32(v.data + 4);
  *version = get_u32(v.data + 8);
  if (*id >= LANES || *cell >= CELLS)
    return false;
  return slice_equal(v, slice_of(whole, value_make(whole, *id, *cell,
                                                   *version)));
}

/* Encodes the key of a cell to the emptied buffer. */
static inline lode_status cell_key (lode_buffer *b, uint32_t id,
                                    uint32_t cell) {
  char text[600];
  unsigned key = cell % KEYS;
  b->size = 0;
  switch (table_of(cell)) {
    case PLAIN:
      return lode_key_integer(b, (int64_t)id * KEYS + key);
    case LONG:
      memset(text, 'k', sizeof text);
      text[590] = (char)('a' + id);
      text[591] = (char)('a' + key);
      return lode_key_string(b, text, sizeof text);
    case TIMED:
      if (lode_key_tuple(b) != LODE_OK ||
          lode_key_integer(b, (int64_t)id) != LODE_OK)
        return LODE_NO_MEMORY;
      return lode_key_integer(b, (int64_t)key);
    default:
      snprintf(text, sizeof text, "%02u/%02u", id, key);
      return lode_key_string(b, text, strlen(text));
  }
}

/* The names that OWN goes by, from version 1 on. */
static inline lode_slice own_name (uint32_t id, uint32_t version,
                                   char room[16]) {
  snprintf(room, 16, "own %u %c", id, version == 1 ? 'a' : 'b');
  return slice_of(room, strlen(room));
}

static const char *const table_names[TABLES] = {
  "plain", "long", "big", "timed", "twin a", "twin b", "capped", "member",
  "own"
};

#define CAP 40 /* entries of CAPPED */

/*
** What a table is made with. All long keys hash to one of two, so buckets
** are shared by lanes.
*/
static inline lode_coll_options table_options (lane_table table) {
  lode_coll_options o;
  memset(&o, 0, sizeof o);
  o.custom_hash = table == LONG;
  if (table == CAPPED) {
    o.max_entries = CAP;
    o.evict = LODE_EVICT_FIFO;
  }
  return o;
}

static inline lode_status cell_key_of (lode_coll *c, lode_buffer *b,
                                       uint32_t id, uint32_t cell,
                                       lode_key *key) {
  lode_status st = cell_key(b, id, cell);
  lode_slice hash = slice_of(NULL, 0);
  if (table_of(cell) == LONG)
    hash = test_text(cell % 2 == 0 ? "0123456789abcdef"
                                   : "fedcba9876543210");
  return st != LODE_OK ? st
                       : lode_key_of(c, slice_of_buffer(b), hash, key);
}

/* }================================================================== */

#endif
