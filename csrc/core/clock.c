/*
** clock.c - see clock.h.
*/
#include "clock.h"

#include <time.h>

#define TIME_BITS 48

static uint16_t mark_era (uint64_t mark) {
  return (uint16_t)(mark >> TIME_BITS);
}

static uint64_t mark_time (uint64_t mark) { return mark & RECORD_TIME_MAX; }

static uint64_t mark_of (uint16_t era, uint64_t time) {
  return (uint64_t)era << TIME_BITS | time;
}

/* The system's clock, of one of its kinds. */
static uint64_t system_now (clockid_t kind) {
  struct timespec t;
  clock_gettime(kind, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

lode_status clock_now (clock_state *c, uint64_t *now) {
  if (c->source == NULL) {
    *now = system_now(CLOCK_REALTIME);
    return LODE_OK;
  }
  *now = c->source(c->data);
  if (*now == LODE_NEVER)
    return LODE_CALLBACK;
  if (*now > RECORD_TIME_MAX)
    *now = RECORD_TIME_MAX;
  return LODE_OK;
}

/* Makes the mark of an earlier era one of this one. */
static void mark_lift (clock_state *c, uint16_t era) {
  uint64_t mark = atomic_load(c->mark);
  while (mark_era(mark) < era &&
         !atomic_compare_exchange_weak(c->mark, &mark, mark_of(era, 0)))
    ;
}

/*
** The mark of the last era, or 0. That of an era which the open transaction
** has begun is nobody else's business yet.
*/
static uint64_t last_mark (const clock_state *c, uint64_t mark) {
  if (mark_era(mark) == c->eras.era)
    return mark_time(mark);
  return c->dirty && mark_era(mark) < c->eras.era ? c->own : 0;
}

/* Reads the eras as `t` sees them. */
static lode_status load_eras (clock_state *c, kv_txn *t) {
  lode_status st;
  if (c->foreign)
    return LODE_OK;
  st = catalog_get_eras(t, &c->eras);
  c->known = st == LODE_OK;
  if (c->known && !c->dirty) /* else the commit does it */
    mark_lift(c, c->eras.era);
  return st;
}

/* Makes sure that the eras known are no older than `era` and the mark. */
static lode_status know_eras (clock_state *c, kv_txn *t, uint16_t era) {
  if (lode_unlikely(!c->known || c->eras.era < era ||
                    c->eras.era < mark_era(atomic_load(c->mark))))
    return load_eras(c, t);
  return LODE_OK;
}

lode_status clock_floor (clock_state *c, kv_txn *t, uint16_t era,
                         uint64_t *now) {
  uint64_t mark, floor = 0;
  lode_status st = know_eras(c, t, era);
  if (st != LODE_OK)
    return st;
  mark = atomic_load(c->mark);
  if (mark_era(mark) >= era)
    floor = mark_time(mark);
  if (floor < last_mark(c, mark))
    floor = last_mark(c, mark);
  for (unsigned i = 0; i < c->eras.count; i++)
    if (c->eras.floors[i].era >= era && c->eras.floors[i].time > floor)
      floor = c->eras.floors[i].time;
  if (floor > *now)
    *now = floor;
  return LODE_OK;
}

/* Whether a quick look suffices to say that `deadline` is far ahead. */
static bool is_far (const clock_state *c, uint64_t deadline) {
#ifdef CLOCK_REALTIME_COARSE /* late by one tick, 10 ms at most */
  return c->source == NULL &&
         deadline > system_now(CLOCK_REALTIME_COARSE) + CLOCK_STEP;
#else
  (void)c, (void)deadline;
  return false;
#endif
}

bool clock_before (clock_state *c, uint64_t deadline) {
  uint64_t now, mark = mark_time(atomic_load(c->mark));
  if (mark >= deadline)
    return false;
  return is_far(c, deadline) ||
         (clock_now(c, &now) == LODE_OK && now < deadline);
}

bool clock_is_back (const clock_state *c, uint64_t now) {
  return mark_time(atomic_load(c->mark)) > now;
}

lode_status clock_latest (clock_state *c, kv_txn *t, uint64_t *now) {
  return clock_floor(c, t, 0, now);
}

void clock_passed (clock_state *c, uint64_t deadline) {
  uint64_t mark = atomic_load(c->mark);
  while (mark_time(mark) < deadline &&
         !atomic_compare_exchange_weak(c->mark, &mark,
                                       mark_of(mark_era(mark), deadline)))
    ;
  if (c->dirty && c->own < deadline)
    c->own = deadline;
}

/* Ends the era: its mark, a time, becomes a floor. */
static lode_status next_era (clock_state *c, kv_txn *t, uint64_t mark,
                             uint64_t now) {
  catalog_eras *e = &c->eras;
  lode_status st;
  unsigned n = 0;
  for (unsigned i = 0; i < e->count; i++)
    if (e->floors[i].time > now && e->floors[i].time > mark)
      e->floors[n++] = e->floors[i];
  e->count = n;
  e->floors[n].era = e->era;
  e->floors[n].time = mark;
  e->count++;
  e->era++;
  c->dirty = true;
  c->own = 0;
  st = catalog_set_eras(t, e);
  c->known = st == LODE_OK;
  return st;
}

lode_status clock_era (clock_state *c, kv_txn *t, uint16_t *era,
                       uint64_t *now) {
  uint64_t mark;
  lode_status st = know_eras(c, t, 0);
  if (st != LODE_OK)
    return st;
  mark = last_mark(c, atomic_load(c->mark));
  if (mark > *now && !c->late) {
    if (mark - *now < CLOCK_STEP || c->eras.count == CATALOG_FLOORS ||
        c->eras.era == UINT16_MAX)
      *now = mark; /* counting from there kills nothing early */
    else
      st = next_era(c, t, mark, *now);
  }
  *era = c->eras.era;
  return st;
}

void clock_settle (clock_state *c, bool outermost, bool committed) {
  if (!c->dirty)
    return;
  if (outermost)
    c->dirty = false;
  if (outermost && committed && c->known) {
    mark_lift(c, c->eras.era);
    clock_passed(c, c->own);
  }
  if (outermost || !committed)
    c->known = false; /* what is read next is the truth */
}
