/*
** test_access.c - accesses gathered in memory: found, counted, taken in
** order, dropped; by many keys, by threads, and without memory.
*/
#include "test.h"

#include <pthread.h>

#include "core/access.h"
#include "core/check.h"

#define MANY 200000

/* Without a transaction: what is taken out is gone. */
static void forget (access_table *a, uint32_t number, lode_slice whole) {
  access_put_aside(a, NULL, number, whole);
}

static void drop (access_table *a, uint32_t number) {
  access_drop_aside(a, NULL, number);
}

static lode_status take_out (access_table *a, uint32_t number,
                             lode_buffer *room, access_note *note) {
  return access_take_aside(a, NULL, number, room, note);
}

static const lode_slice nothing = { NULL, 0 };

/* A note of a key that is stored as it is. */
static lode_status add_text (access_table *a, uint32_t number, const char *s,
                             uint64_t now) {
  return access_add(a, number, test_text(s), test_text(s), now);
}

static lode_slice key_of (unsigned char room[8], uint64_t i) {
  put_u64(room, i);
  return slice_of(room, 8);
}

static lode_status add_number (access_table *a, uint32_t number, uint64_t i) {
  unsigned char room[8];
  lode_slice key = key_of(room, i);
  return access_add(a, number, key, key, i);
}

static bool has_number (access_table *a, uint32_t number, uint64_t i) {
  unsigned char room[8];
  access_note note;
  return access_find(a, number, key_of(room, i), UINT64_MAX, &note);
}

/* Whether the next taken of `number` is this key of `own`. */
static bool takes (access_table *a, uint32_t number, lode_buffer *room,
                   uint32_t own, const char *key) {
  access_note note;
  return take_out(a, number, room, &note) == LODE_OK &&
         note.number == own && slice_equal(note.whole, test_text(key)) &&
         slice_equal(note.stored, test_text(key));
}

static bool is_empty (access_table *a, uint32_t number, lode_buffer *room) {
  access_note note;
  return take_out(a, number, room, &note) == LODE_ABSENT;
}

static void empty (void) {
  access_table *a = access_new();
  access_note note = { .hits = 77 };
  lode_buffer room = { NULL, 0, 0 };
  expect(access_count(a) == 0 && access_count_of(a, 1) == 0);
  expect(!access_find(a, 1, test_text("a"), UINT64_MAX, &note) && note.hits == 77);
  expect(lode_buffer_add(&room, "old", 3) == LODE_OK);
  expect(take_out(a, 0, &room, &note) == LODE_ABSENT && room.size == 0);
  expect(take_out(a, 1, &room, &note) == LODE_ABSENT && note.hits == 77);
  forget(a, 1, test_text("a"));
  drop(a, 1);
  expect(access_count(a) == 0);
  lode_buffer_free(&room);
  access_free(a);
  access_free(NULL);
}

/* The latest time stays; the stamp is of the latest call. */
static void counts (void) {
  access_table *a = access_new();
  access_note note;
  expect(add_text(a, 3, "k", 50) == LODE_OK);
  expect(access_find(a, 3, test_text("k"), UINT64_MAX, &note));
  expect(note.number == 3 && note.hits == 1 && note.atime == 50);
  expect(note.stamp == 50000);
  expect(note.whole.data == NULL && note.stored.data == NULL);
  expect(note.whole.size == 0 && note.stored.size == 0);
  expect(add_text(a, 3, "k", 40) == LODE_OK);
  expect(add_text(a, 3, "k", 50) == LODE_OK);
  expect(access_find(a, 3, test_text("k"), UINT64_MAX, &note));
  expect(note.hits == 3 && note.atime == 50 && note.stamp == 50002);
  expect(add_text(a, 3, "k", 60) == LODE_OK);
  expect(access_find(a, 3, test_text("k"), UINT64_MAX, &note));
  expect(note.hits == 4 && note.atime == 60 && note.stamp == 60000);
  expect(access_count(a) == 1);
  expect(!access_find(a, 4, test_text("k"), UINT64_MAX, &note));
  expect(!access_find(a, 3, test_text("kk"), UINT64_MAX, &note));
  expect(!access_find(a, 3, nothing, UINT64_MAX, &note));
  access_free(a);
}

static void stamps (void) {
  access_table *a = access_new();
  uint64_t last = 0, now;
  bool grows = true;
  expect(access_stamp(a, 7) == 7000 && access_stamp(a, 7) == 7001);
  expect(access_stamp(a, 6) == 7002 && access_stamp(a, 8) == 8000);
  last = 8000;
  for (int i = 0; i < 5000; i++) {
    uint64_t stamp = access_stamp(a, now = 8 + test_below(4));
    grows = grows && stamp > last && stamp >= now * 1000;
    last = stamp;
  }
  expect(grows);
  access_free(a);
}

static const access_note *noted (access_table *a, const char *key) {
  static access_note note;
  return access_find(a, 1, test_text(key), UINT64_MAX, &note) ? &note : NULL;
}

/* What a rolled back level has put aside is back, with what came since. */
static void aside (void) {
  static const int owner = 0, other = 0;
  const access_txn outer = { &owner, 1, 8 }, inner = { &owner, 2, 8 };
  const access_txn stranger = { &other, 1, 9 };
  access_table *a = access_new();
  lode_buffer room = { NULL, 0, 0 };
  access_note note;
  add_text(a, 1, "a", 10);
  add_text(a, 1, "b", 20);
  add_text(a, 1, "c", 30);
  add_text(a, 1, "d", 40);
  access_put_aside(a, &stranger, 1, test_text("d"));
  access_put_aside(a, &outer, 1, test_text("a"));
  access_put_aside(a, &inner, 1, test_text("b"));
  access_put_aside(a, &inner, 1, test_text("no such"));
  expect(access_count(a) == 1 && access_count_of(a, 1) == 1);
  expect(noted(a, "a") == NULL && noted(a, "b") == NULL);
  expect(add_text(a, 1, "b", 15) == LODE_OK);
  access_settle(a, &inner, false);
  expect(noted(a, "b")->hits == 2 && noted(a, "b")->atime == 20);
  expect(noted(a, "a") == NULL && access_count(a) == 2);
  expect(access_take_aside(a, &inner, 1, &room, &note) == LODE_OK &&
         slice_equal(note.whole, test_text("c")));
  access_settle(a, &inner, true); /* and is of the outer level now */
  expect(noted(a, "c") == NULL);
  access_drop_aside(a, &outer, 1);
  expect(access_count(a) == 0);
  access_settle(a, &outer, false);
  expect(access_count(a) == 3 && noted(a, "a")->hits == 1);
  expect(noted(a, "c")->atime == 30 && noted(a, "c")->stamp == 30000);
  expect(noted(a, "b")->hits == 2 && noted(a, "d") == NULL);
  access_drop_aside(a, &outer, 1);
  access_settle(a, &outer, true);
  access_settle(a, &outer, false); /* nothing is left */
  expect(access_count(a) == 0);
  access_settle(a, &stranger, false);
  expect(access_count(a) == 1 && noted(a, "d")->atime == 40);
  access_put_aside(a, &stranger, 1, test_text("d"));
  lode_buffer_free(&room);
  access_free(a); /* with one aside */
}

static uint32_t hits_of (access_table *a, const char *key, uint64_t seen) {
  access_note note;
  return access_find(a, 1, test_text(key), seen, &note) ? note.hits : 0;
}

/* Who can't see a commit yet finds what it is to keep among the notes. */
static void aside_for_readers (void) {
  static const int owner = 0;
  const access_txn eighth = { &owner, 1, 8 };
  access_table *a = access_new();
  add_text(a, 1, "a", 10);
  add_text(a, 1, "a", 20);
  add_text(a, 2, "a", 20);
  add_text(a, 1, "b", 20);
  access_put_aside(a, &eighth, 1, test_text("a"));
  expect(hits_of(a, "a", UINT64_MAX) == 0 && hits_of(a, "a", 8) == 0);
  expect(hits_of(a, "a", 7) == 2 && hits_of(a, "b", 7) == 1);
  add_text(a, 1, "a", 30);
  expect(hits_of(a, "a", UINT64_MAX) == 1 && hits_of(a, "a", 8) == 1);
  expect(hits_of(a, "a", 7) == 3);
  access_settle(a, &eighth, true);
  expect(hits_of(a, "a", 7) == 1);
  access_free(a);
}

/* After an entry was found dead, notes of its key are another entry's. */
static void ended (void) {
  static const int owner = 0;
  const access_txn outer = { &owner, 1, 8 }, inner = { &owner, 2, 8 };
  access_table *a = access_new();
  add_text(a, 1, "a", 10);
  access_end(a, &outer, 1, test_text("a"), test_text("a"));
  access_end(a, &outer, 1, test_text("b"), test_text("b"));
  expect(access_count(a) == 0);
  add_text(a, 1, "a", 20);
  add_text(a, 1, "b", 20);
  access_put_aside(a, &inner, 1, test_text("a"));
  access_settle(a, &inner, false); /* within, they are what they were */
  expect(noted(a, "a")->atime == 20 && noted(a, "b")->atime == 20);
  access_put_aside(a, &inner, 1, test_text("b"));
  access_settle(a, &inner, true);
  access_settle(a, &outer, false);
  expect(noted(a, "a")->atime == 10 && noted(a, "a")->hits == 1);
  expect(noted(a, "b") == NULL && access_count(a) == 1);
  access_end(a, &outer, 1, test_text("a"), test_text("a"));
  add_text(a, 1, "a", 30);
  access_settle(a, &outer, true);
  expect(noted(a, "a")->atime == 30 && noted(a, "a")->hits == 1);
  access_free(a);
}

/* Oldest is who has stood longest, however late it was read again. */
static void order (void) {
  access_table *a = access_new();
  lode_buffer room = { NULL, 0, 0 };
  add_text(a, 1, "a", 10);
  add_text(a, 2, "b", 5);
  add_text(a, 1, "c", 7);
  add_text(a, 2, "a", 9);
  add_text(a, 1, "a", 99);
  expect(access_count(a) == 4);
  expect(takes(a, 0, &room, 1, "a"));
  add_text(a, 1, "a", 100); /* stands last now */
  expect(takes(a, 0, &room, 2, "b"));
  expect(takes(a, 0, &room, 1, "c"));
  expect(takes(a, 0, &room, 2, "a"));
  expect(takes(a, 0, &room, 1, "a"));
  expect(is_empty(a, 0, &room) && access_count(a) == 0);
  lode_buffer_free(&room);
  access_free(a);
}

static void order_of_one (void) {
  access_table *a = access_new();
  lode_buffer room = { NULL, 0, 0 };
  add_text(a, 9, "a", 1);
  add_text(a, 5, "b", 1);
  add_text(a, 7, "c", 1);
  add_text(a, 5, "d", 1);
  add_text(a, 9, "e", 1);
  expect(is_empty(a, 6, &room) && is_empty(a, 10, &room));
  expect(takes(a, 5, &room, 5, "b"));
  expect(takes(a, 9, &room, 9, "a"));
  expect(takes(a, 0, &room, 7, "c"));
  expect(is_empty(a, 7, &room));
  expect(takes(a, 5, &room, 5, "d") && is_empty(a, 5, &room));
  add_text(a, 5, "f", 1);
  expect(takes(a, 0, &room, 9, "e"));
  expect(takes(a, 5, &room, 5, "f"));
  expect(access_count(a) == 0);
  lode_buffer_free(&room);
  access_free(a);
}

/* Adds a note and takes it; whether both slices came back. */
static bool keeps (access_table *a, lode_slice stored, lode_slice whole) {
  lode_slice s = test_exact_copy(stored), w = test_exact_copy(whole);
  lode_buffer room = { NULL, 0, 0 };
  access_note note;
  bool ok = access_add(a, 1, s, w, 1) == LODE_OK;
  test_free_copy(s);
  test_free_copy(w);
  ok = ok && access_find(a, 1, whole, UINT64_MAX, &note) &&
       take_out(a, 1, &room, &note) == LODE_OK &&
       slice_equal(note.stored, stored) && slice_equal(note.whole, whole);
  lode_buffer_free(&room);
  return ok;
}

static void keys (void) {
  access_table *a = access_new();
  unsigned char one[64], two[64], long_key[5000];
  lode_slice s = slice_of(long_key, sizeof long_key);
  memset(long_key, 'x', sizeof long_key);
  expect(keeps(a, test_text("same"), test_text("same")));
  expect(keeps(a, test_text("short"), s) && keeps(a, s, s));
  expect(keeps(a, nothing, nothing));
  expect(keeps(a, test_text("stored"), nothing));
  expect(keeps(a, nothing, test_text("whole")));
  expect(keeps(a, test_text("wh"), test_text("whole")));
  for (int i = 0; i < 2000; i++) {
    lode_slice stored = test_random_string(one, 3 + i % 60);
    expect(keeps(a, stored, test_random_string(two, 3 + i % 60)));
  }
  expect(access_count(a) == 0);
  access_free(a);
}

/* What a note costs: a block, with its bytes once. */
static void blocks (void) {
  access_table *a = access_new();
  lode_buffer room = { NULL, 0, 0 };
  access_note note;
  long before;
  add_text(a, 1, "a", 1);
  before = lode_test_live_blocks();
  add_text(a, 1, "b", 1);
  expect(access_add(a, 1, test_text("c"), test_text("C"), 1) == LODE_OK);
  expect(lode_test_live_blocks() == before + 2);
  forget(a, 1, test_text("b"));
  expect(take_out(a, 1, &room, &note) == LODE_OK && room.size == 1);
  expect(note.stored.data == note.whole.data);
  expect(take_out(a, 1, &room, &note) == LODE_OK && room.size == 2);
  lode_buffer_free(&room);
  expect(lode_test_live_blocks() == before - 1);
  access_free(a);
}

static void forgets (void) {
  access_table *a = access_new();
  lode_buffer room = { NULL, 0, 0 };
  add_text(a, 1, "a", 1);
  add_text(a, 1, "b", 1);
  add_text(a, 2, "b", 1);
  add_text(a, 1, "c", 1);
  forget(a, 3, test_text("b"));
  forget(a, 1, test_text("x"));
  expect(access_count(a) == 4);
  forget(a, 1, test_text("b")); /* amid its line */
  forget(a, 1, test_text("b"));
  expect(access_count(a) == 3);
  expect(takes(a, 1, &room, 1, "a") && takes(a, 1, &room, 1, "c"));
  forget(a, 2, test_text("b")); /* alone in its line */
  expect(is_empty(a, 2, &room) && is_empty(a, 0, &room));
  lode_buffer_free(&room);
  access_free(a);
}

static void drops (void) {
  access_table *a = access_new();
  lode_buffer room = { NULL, 0, 0 };
  long before = lode_test_live_blocks();
  for (uint64_t i = 0; i < 3000; i++)
    expect(add_number(a, 1 + i % 3, i) == LODE_OK);
  drop(a, 4);
  expect(access_count(a) == 3000);
  drop(a, 2);
  expect(access_count(a) == 2000 && is_empty(a, 2, &room));
  expect(access_count_of(a, 1) == 1000 && access_count_of(a, 2) == 0);
  for (uint64_t i = 0; i < 3000; i++)
    expect(has_number(a, 1 + i % 3, i) == (i % 3 != 1));
  drop(a, 1);
  drop(a, 3);
  expect(access_count(a) == 0 && is_empty(a, 0, &room));
  expect(lode_test_live_blocks() == before + 1); /* the list of lines */
  access_free(a);
}

/* 200,000 notes of three collections, found, then taken one by one. */
static void many (void) {
  access_table *a = access_new();
  lode_buffer room = { NULL, 0, 0 };
  access_note note;
  uint64_t i, wrong = 0, next = 2;
  for (i = 0; i < MANY; i++)
    wrong += add_number(a, 1 + i % 3, i) != LODE_OK;
  for (i = 0; i < MANY; i++)
    wrong += !has_number(a, 1 + i % 3, i) || has_number(a, 1, i * 3 + 1);
  expect(wrong == 0 && access_count(a) == MANY);
  for (; take_out(a, 3, &room, &note) == LODE_OK; next += 3)
    wrong += get_u64(note.whole.data) != next || note.atime != next;
  expect(next == MANY || next == MANY + 1);
  for (i = 0; take_out(a, 0, &room, &note) == LODE_OK; i++)
    wrong += get_u64(note.whole.data) != i / 2 * 3 + i % 2;
  expect(wrong == 0 && access_count(a) == 0);
  expect(add_number(a, 1, 1) == LODE_OK && has_number(a, 1, 1));
  lode_buffer_free(&room);
  access_free(a);
}

/* As many collections as notes, in no order. */
static void many_collections (void) {
  access_table *a = access_new();
  lode_buffer room = { NULL, 0, 0 };
  access_note note;
  uint32_t i, wrong = 0;
  for (i = 0; i < 4096; i++)
    wrong += add_number(a, 1 + i * 1789 % 4096, 5) != LODE_OK;
  expect(access_count(a) == 4096);
  for (i = 1; i <= 4096; i += 2)
    wrong += take_out(a, i, &room, &note) != LODE_OK || note.number != i;
  for (i = 1; i <= 4096; i++)
    wrong += has_number(a, i, 5) != (i % 2 == 0);
  for (i = 0; i < 4096; i++) {
    uint32_t number = 1 + i * 1789 % 4096;
    if (number % 2 != 0) continue;
    wrong += take_out(a, 0, &room, &note) != LODE_OK ||
             note.number != number;
  }
  expect(wrong == 0 && is_empty(a, 0, &room));
  lode_buffer_free(&room);
  access_free(a);
}

/* {==================================================================
** Against a model: notes of 4 collections by 64 keys
** =================================================================== */

typedef struct model_note { uint64_t made, hits, atime; } model_note;

static model_note model[5][64]; /* made 0: there is none */
static uint64_t model_made;

static void model_access (access_table *a, uint32_t c, size_t k) {
  model_note *m = &model[c][k];
  uint64_t now = 1 + test_below(1000);
  unsigned char room[8];
  lode_slice key = key_of(room, k);
  expect(access_add(a, c, slice_of(room + 7, 1), key, now) == LODE_OK);
  if (m->made == 0) *m = (model_note){ ++model_made, 0, 0 };
  m->hits++;
  if (m->atime < now) m->atime = now;
}

/* The oldest of a collection, or of all; NULL: none. */
static model_note *model_oldest (uint32_t c) {
  model_note *oldest = NULL;
  for (size_t i = 0; i < 5 * 64; i++) {
    model_note *m = &model[i / 64][i % 64];
    if (m->made != 0 && (c == 0 || c == i / 64) &&
        (oldest == NULL || m->made < oldest->made))
      oldest = m;
  }
  return oldest;
}

static void model_take (access_table *a, uint32_t c, lode_buffer *room) {
  model_note *m = model_oldest(c);
  access_note note;
  lode_status status = take_out(a, c, room, &note);
  if (m == NULL) {
    expect(status == LODE_ABSENT);
    return;
  }
  if (!expect(status == LODE_OK)) return;
  expect(&model[note.number][get_u64(note.whole.data)] == m);
  expect(note.stored.size == 1 && note.stored.data[0] == note.whole.data[7]);
  expect(note.hits == m->hits && note.atime == m->atime);
  m->made = 0;
}

static void model_forget (access_table *a, uint32_t c, size_t k) {
  unsigned char room[8];
  forget(a, c, key_of(room, k));
  model[c][k].made = 0;
}

static void modelled (void) {
  access_table *a = access_new();
  lode_buffer room = { NULL, 0, 0 };
  memset(model, 0, sizeof model);
  for (int i = 0; i < 60000; i++) {
    uint32_t c = 1 + (uint32_t)test_below(4);
    size_t k = test_below(64), what = test_below(100), live = 0;
    bool filling = i / 1000 % 2 == 0;
    if (what < (filling ? 80 : 20))
      model_access(a, c, k);
    else if (what < 90)
      model_take(a, test_below(2) != 0 ? c : 0, &room);
    else if (what < 99)
      model_forget(a, c, k);
    else if (test_below(10) == 0) {
      drop(a, c);
      memset(model[c], 0, sizeof model[c]);
    }
    expect(has_number(a, c, k) == (model[c][k].made != 0));
    if (i % 100 != 0) continue;
    for (size_t j = 0; j < 64; j++) live += model[c][j].made != 0;
    expect(access_count_of(a, c) == live);
    for (size_t j = 0; j < 5 * 64; j++)
      live += j / 64 != c && model[j / 64][j % 64].made != 0;
    expect(access_count(a) == live);
  }
  while (model_oldest(0) != NULL) model_take(a, 0, &room);
  model_take(a, 0, &room);
  lode_buffer_free(&room);
  access_free(a);
}

/* }================================================================== */

/* {==================================================================
** Want of memory
** =================================================================== */

static void new_fails (void) {
  access_table *a = NULL;
  unsigned long n;
  for (n = 1; a == NULL && n < 10; n++) {
    lode_test_fail_allocation(n);
    a = access_new();
    lode_test_fail_allocation(0);
    if (a == NULL) expect(lode_test_live_blocks() == 0);
  }
  expect(a != NULL && n == 4); /* the table, its buckets, then none */
  access_free(a);
}

/* The n-th request from here fails: what was, is; what failed, isn't. */
static void add_fails (void) {
  for (unsigned long n = 1; n <= 60; n++) {
    access_table *a = access_new();
    lode_buffer room = { NULL, 0, 0 };
    access_note note;
    uint64_t failed = 0, taken = 0, last = 0;
    lode_test_fail_allocation(n);
    for (uint64_t i = 1; i <= 50; i++) {
      lode_status status = add_number(a, 1 + i % 7, i);
      expect(status == LODE_OK || status == LODE_NO_MEMORY);
      expect(has_number(a, 1 + i % 7, i) == (status == LODE_OK));
      failed += status != LODE_OK;
    }
    lode_test_fail_allocation(0);
    expect(failed <= 1 && access_count(a) == 50 - failed);
    expect(n != 1 || failed == 1);
    for (; take_out(a, 0, &room, &note) == LODE_OK; taken++) {
      expect(get_u64(note.whole.data) > last);
      last = get_u64(note.whole.data);
    }
    expect(taken == 50 - failed);
    lode_buffer_free(&room);
    access_free(a);
  }
}

static void first_fails (void) {
  access_table *a = access_new();
  lode_test_fail_allocation(1); /* the note */
  expect(add_text(a, 1, "k", 5) == LODE_NO_MEMORY);
  lode_test_fail_allocation(2); /* the list of lines */
  expect(add_text(a, 1, "k", 5) == LODE_NO_MEMORY);
  expect(access_count(a) == 0 && access_count_of(a, 1) == 0);
  expect(add_text(a, 1, "k", 5) == LODE_OK);
  lode_test_fail_allocation(1);
  expect(add_text(a, 1, "k", 5) == LODE_OK); /* needs none */
  lode_test_fail_allocation(0);
  access_free(a);
}

static void take_fails (void) {
  access_table *a = access_new();
  lode_buffer room = { NULL, 0, 0 };
  access_note note = { .hits = 77 };
  add_text(a, 1, "key", 1);
  lode_test_fail_allocation(1);
  expect(take_out(a, 1, &room, &note) == LODE_NO_MEMORY);
  expect(access_count(a) == 1 && note.hits == 77 && room.size == 0);
  expect(takes(a, 1, &room, 1, "key"));
  lode_buffer_free(&room);
  access_free(a);
}

/*
** How many more notes the map has room for without another allocation but
** their own; what doesn't fit isn't there, and hurts nothing that is.
*/
static uint64_t fill (access_table *a) {
  uint64_t n = 0, i;
  lode_status status = LODE_OK;
  while (n < 10000 && status == LODE_OK) {
    lode_test_fail_allocation(2);
    status = add_number(a, 1, n);
    n += status == LODE_OK;
  }
  lode_test_fail_allocation(0);
  expect(status == LODE_NO_MEMORY && access_count(a) == n);
  for (i = 0; i <= n; i++) expect(has_number(a, 1, i) == (i < n));
  return n;
}

/* A map that can't grow is filled, and shrinks when it is emptied. */
static void grow_fails (void) {
  access_table *a = access_new();
  uint64_t least, i;
  unsigned char room[8];
  expect(add_number(a, 1, 0) == LODE_OK); /* for the list of lines */
  forget(a, 1, key_of(room, 0));
  least = fill(a); /* all slots but one, of a power of two */
  expect(least < 100 && (least & (least + 1)) == 0);
  for (i = 0; i < 5000; i++) expect(add_number(a, 1, i) == LODE_OK);
  for (i = 0; i < 5000; i++) forget(a, 1, key_of(room, i));
  expect(fill(a) == least);
  drop(a, 1);
  access_free(a);
}

/* Collections without notes take no room, however many there were. */
static void lines_go (void) {
  access_table *a = access_new();
  lode_buffer room = { NULL, 0, 0 };
  expect(add_text(a, 1, "a", 1) == LODE_OK && takes(a, 1, &room, 1, "a"));
  for (uint32_t i = 2; i < 1000; i++) {
    lode_test_fail_allocation(2); /* the first is the note's */
    expect(add_text(a, i, "a", 1) == LODE_OK);
    lode_test_fail_allocation(0);
    expect(takes(a, i % 2 != 0 ? i : 0, &room, i, "a"));
  }
  lode_buffer_free(&room);
  access_free(a);
}

/* Without a smaller map the greater one serves on. */
static void shrink_fails (void) {
  access_table *a = access_new();
  uint64_t i;
  unsigned char room[8];
  for (i = 0; i < 1000; i++) expect(add_number(a, 1, i) == LODE_OK);
  for (i = 0; i < 999; i++) {
    lode_test_fail_allocation(1);
    forget(a, 1, key_of(room, i));
  }
  lode_test_fail_allocation(0);
  expect(access_count(a) == 1 && has_number(a, 1, 999));
  access_free(a);
}

/* }================================================================== */

/* {==================================================================
** Threads
** =================================================================== */

#define THREADS 4
#define ROUNDS 20000
#define SHARED 300 /* keys that all of them access */

typedef struct job {
  access_table *table;
  uint32_t number; /* of a collection of its own */
  uint64_t taken;  /* hits of the shared notes that it took */
  long wrong;
} job;

static void take_shared (job *j, lode_buffer *room) {
  access_note note;
  lode_status status = take_out(j->table, 1, room, &note);
  if (status == LODE_OK) {
    j->taken += note.hits;
    j->wrong += note.number != 1 || note.whole.size != 8 ||
                get_u64(note.whole.data) >= SHARED;
  }
  else
    j->wrong += status != LODE_ABSENT;
}

/* Shared keys in 1, and one's own, which nobody else may touch. */
static void *work (void *arg) {
  job *j = arg;
  lode_buffer room = { NULL, 0, 0 };
  uint64_t last = 0, stamp, now;
  for (uint64_t i = 0; i < ROUNDS; i++) {
    now = i / 64;
    j->wrong += add_number(j->table, 1, i * 7 % SHARED) != LODE_OK;
    j->wrong += add_number(j->table, j->number, i) != LODE_OK;
    if (i % 2 != 0) take_shared(j, &room);
    stamp = access_stamp(j->table, now);
    j->wrong += stamp <= last || stamp < now * 1000;
    last = stamp;
    j->wrong += !has_number(j->table, j->number, i);
    if (i % 5000 == 4999) drop(j->table, j->number);
    has_number(j->table, 1, i % SHARED);
    j->wrong += access_count(j->table) > SHARED + THREADS * 5000;
  }
  lode_buffer_free(&room);
  return NULL;
}

static void threads (void) {
  access_table *a = access_new();
  pthread_t ids[THREADS];
  job jobs[THREADS], rest = { a, 0, 0, 0 };
  lode_buffer room = { NULL, 0, 0 };
  for (uint32_t i = 0; i < THREADS; i++) {
    jobs[i] = (job){ a, 2 + i, 0, 0 };
    expect(pthread_create(&ids[i], NULL, work, &jobs[i]) == 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(ids[i], NULL);
    expect(jobs[i].wrong == 0);
    rest.taken += jobs[i].taken;
  }
  while (access_count(a) != 0 && rest.wrong == 0) {
    size_t before = access_count(a);
    take_shared(&rest, &room);
    rest.wrong += access_count(a) != before - 1;
  }
  expect(rest.wrong == 0 && rest.taken == (uint64_t)THREADS * ROUNDS);
  lode_buffer_free(&room);
  access_free(a);
}

/* }================================================================== */

int main (void) {
  test_group("a table without notes", empty);
  test_group("accesses of a key are one note", counts);
  test_group("stamps grow and follow the time", stamps);
  test_group("notes are taken oldest first", order);
  test_group("the oldest of one collection is taken", order_of_one);
  test_group("keys come back, both of them", keys);
  test_group("a note is one block", blocks);
  test_group("a key is forgotten", forgets);
  test_group("a collection is dropped", drops);
  test_group("200,000 notes", many);
  test_group("4,096 collections", many_collections);
  test_group("as a model has it", modelled);
  test_group("no memory for a table", new_fails);
  test_group("no memory for a note", add_fails);
  test_group("no memory for the first note", first_fails);
  test_group("no memory to take a note", take_fails);
  test_group("no memory to grow", grow_fails);
  test_group("no memory to shrink", shrink_fails);
  test_group("collections without notes are gone", lines_go);
  test_group("threads on one table", threads);
  test_group("put aside, and back", aside);
  test_group("notes aside, for readers", aside_for_readers);
  test_group("notes of an entry that has ended", ended);
  return test_end();
}
