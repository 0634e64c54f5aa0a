/*
** access.c - see access.h.
**
** A note is one block: what is known, and the bytes of its key. It never
** moves; slots point to it, by which it is found, and it stands in two
** lines: that of all notes, and that of its collection's. A line is in the
** order in which notes were made. A later access leaves a note where it
** stands: what is read all the time would else never be taken, and a read
** would touch its neighbours in both lines.
**
** The slots are a table that is searched from a key's home on to the first
** empty one, of which there is always one. A slot has the whole hash, so
** that a search touches no note but its own: among many notes, what a read
** costs here is waiting for memory. For the same reason they may be nearly
** full: few bytes are more in the cache, and neighbours are read at once.
**
** Keys may be chosen by somebody who wants them to collide, so they are
** hashed under a random key of the table; outside of the mutex, as this is
** a good part of the work.
*/
#include "access.h"

#include <pthread.h>

#include "check.h"
#include "hash.h"

#define SLOTS_LEAST 16 /* a power of two, as all their numbers are */

typedef struct node node;

typedef struct neighbours { node *before, *after; } neighbours;

enum { OF_ALL, OF_OWN, LINES }; /* the lines that a note stands in */
enum { ASIDE = OF_ALL }; /* or this one alone, when it was put aside */

/* What an access touches is together: `note` and the key. */
struct node {
  neighbours in[LINES];
  uint64_t hash;
  access_txn txn; /* of a note put aside: who did it */
  bool ended;     /* and its entry was dead: what comes is another one's */
  access_note note;
  unsigned char key[]; /* whole, then stored where that is another */
};

typedef struct line { node *first, *last; } line;

typedef struct collection { /* one that has notes */
  uint32_t number;
  size_t count;
  line line;
} collection;

typedef struct slot { /* note NULL: empty */
  uint64_t hash;
  node *note;
} slot;

struct access_table {
  pthread_mutex_t mutex; /* of all but the secret */
  unsigned char secret[HASH_SIZE];
  slot *slots;
  size_t size, count;    /* of the slots; of the notes, always fewer */
  uint64_t stamp;        /* the last that was given */
  line all;
  line aside;            /* those put aside: in none of the above */
  collection *own;       /* ordered by number; none has an empty line */
  size_t own_count, own_room;
};

/* {==================================================================
** Lines
** =================================================================== */

static void line_add (line *l, node *n, int which) {
  n->in[which] = (neighbours){ l->last, NULL };
  if (l->last != NULL)
    l->last->in[which].after = n;
  else
    l->first = n;
  l->last = n;
}

static void line_remove (line *l, node *n, int which) {
  neighbours at = n->in[which];
  if (at.before != NULL)
    at.before->in[which].after = at.after;
  else
    l->first = at.after;
  if (at.after != NULL)
    at.after->in[which].before = at.before;
  else
    l->last = at.before;
}

/* The place of a collection, or where it would go. */
static size_t own_search (const access_table *a, uint32_t number) {
  size_t low = 0, high = a->own_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (a->own[middle].number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool own_is (const access_table *a, size_t i, uint32_t number) {
  return i < a->own_count && a->own[i].number == number;
}

static bool own_reserve (access_table *a) {
  size_t room = a->own_room * 2 + 4;
  collection *own;
  if (a->own_count < a->own_room)
    return true;
  own = lode_realloc(a->own, room * sizeof *own);
  if (own == NULL)
    return false;
  a->own = own;
  a->own_room = room;
  return true;
}

/* Adds to the collection's line, which is made where there is none. */
static lode_status own_add (access_table *a, node *n) {
  size_t i = own_search(a, n->note.number);
  if (!own_is(a, i, n->note.number)) {
    if (!own_reserve(a))
      return LODE_NO_MEMORY;
    memmove(a->own + i + 1, a->own + i, (a->own_count - i) * sizeof *a->own);
    a->own[i] = (collection){ .number = n->note.number };
    a->own_count++;
  }
  line_add(&a->own[i].line, n, OF_OWN);
  a->own[i].count++;
  return LODE_OK;
}

static void own_remove (access_table *a, node *n) {
  size_t i = own_search(a, n->note.number);
  lode_assert(own_is(a, i, n->note.number));
  line_remove(&a->own[i].line, n, OF_OWN);
  if (--a->own[i].count != 0)
    return;
  a->own_count--;
  memmove(a->own + i, a->own + i + 1, (a->own_count - i) * sizeof *a->own);
}

/* The oldest note of a collection, of all for 0. NULL: none. */
static node *oldest (const access_table *a, uint32_t number) {
  size_t i;
  if (number == 0)
    return a->all.first;
  i = own_search(a, number);
  return own_is(a, i, number) ? a->own[i].line.first : NULL;
}

/* }================================================================== */

/* {==================================================================
** The map
** =================================================================== */

/* What is searched for: a note's place in the map. */
typedef struct place {
  uint32_t number;
  uint64_t hash;
  lode_slice whole;
} place;

/* To be called without the mutex. */
static place place_of (const access_table *a, uint32_t number,
                       lode_slice whole) {
  unsigned char hash[HASH_SIZE];
  hash_sip(a->secret, whole, hash);
  return (place){
    number, get_u64(hash) ^ number * UINT64_C(0x9E3779B97F4A7C15), whole
  };
}

static slot *home_of (const access_table *a, uint64_t hash) {
  return a->slots + (hash & (a->size - 1));
}

static slot *after (const access_table *a, slot *s) {
  return ++s < a->slots + a->size ? s : a->slots;
}

static bool is_at (const slot *s, const place *p) {
  return s->hash == p->hash && s->note->note.number == p->number &&
         slice_equal(s->note->note.whole, p->whole);
}

/* NULL: there is no such note. */
static node *find (const access_table *a, const place *p) {
  slot *s = home_of(a, p->hash);
  while (s->note != NULL && !is_at(s, p))
    s = after(a, s);
  return s->note;
}

static void slot_add (access_table *a, node *n) {
  slot *s = home_of(a, n->hash);
  while (s->note != NULL)
    s = after(a, s);
  *s = (slot){ n->hash, n };
}

/* How far a slot is from the home of what it has. */
static size_t distance (const access_table *a, const slot *s) {
  return ((size_t)(s - a->slots) - (size_t)s->hash) & (a->size - 1);
}

/*
** Those that follow move into the gap, or a search would end there: each
** that is as far from its home, at least, as from the gap.
*/
static void slot_remove (access_table *a, const node *n) {
  slot *gap = home_of(a, n->hash), *s;
  size_t far = 1; /* from the gap to s */
  while (gap->note != n)
    gap = after(a, gap);
  for (s = after(a, gap); s->note != NULL; s = after(a, s), far++) {
    if (distance(a, s) >= far) {
      *gap = *s;
      gap = s;
      far = 0;
    }
  }
  gap->note = NULL;
}

/* To another number of slots. False: no memory, and all is as it was. */
static bool resize (access_table *a, size_t size) {
  slot *slots = lode_malloc(size * sizeof *slots);
  if (slots == NULL)
    return false;
  for (size_t i = 0; i < size; i++)
    slots[i] = (slot){ 0, NULL };
  lode_free(a->slots);
  a->slots = slots;
  a->size = size;
  for (node *n = a->all.first; n != NULL; n = n->in[OF_ALL].after)
    slot_add(a, n);
  return true;
}

/* For one more: an eighth stays empty; for want of memory, one slot. */
static bool slots_reserve (access_table *a) {
  return a->count < a->size / 8 * 7 || resize(a, a->size * 2) ||
         a->count + 1 < a->size;
}

/* Of more than the least, at least an eighth is full. */
static void slots_trim (access_table *a) {
  if (a->size > SLOTS_LEAST && a->count < a->size / 8)
    (void)resize(a, a->size / 2);
}

static node *node_new (const place *p, lode_slice stored) {
  bool same = slice_equal(stored, p->whole);
  size_t whole = p->whole.size, rest = same ? 0 : stored.size;
  node *n = lode_malloc(sizeof *n + whole + rest);
  if (n == NULL)
    return NULL;
  if (whole != 0)
    memcpy(n->key, p->whole.data, whole);
  if (rest != 0)
    memcpy(n->key + whole, stored.data, rest);
  n->hash = p->hash;
  n->ended = false;
  n->note = (access_note){
    .number = p->number, .whole = slice_of(n->key, whole),
    .stored = slice_of(same ? n->key : n->key + whole, stored.size)
  };
  return n;
}

/* Adds a note of no access yet. NULL: no memory. */
static node *add (access_table *a, const place *p, lode_slice stored) {
  node *n = node_new(p, stored);
  if (n == NULL)
    return NULL;
  if (!slots_reserve(a) || own_add(a, n) != LODE_OK) {
    lode_free(n);
    return NULL;
  }
  line_add(&a->all, n, OF_ALL);
  slot_add(a, n);
  a->count++;
  return n;
}

/* The note of a key, which is made where there is none. NULL: no memory. */
static node *obtain (access_table *a, const place *p, lode_slice stored) {
  node *n = find(a, p);
  return n != NULL ? n : add(a, p, stored);
}

/*
** Takes a note out of the slots and lines, and frees it, or puts it aside
** for the transaction.
*/
static void discard (access_table *a, node *n, const access_txn *t) {
  slot_remove(a, n);
  line_remove(&a->all, n, OF_ALL);
  own_remove(a, n);
  if (t == NULL)
    lode_free(n);
  else {
    n->txn = *t;
    line_add(&a->aside, n, ASIDE);
  }
  a->count--;
  slots_trim(a);
}

/* Adds the accesses of `from` to those of `n`. */
static void merge (node *n, const access_note *from) {
  access_note *to = &n->note;
  to->hits = to->hits > UINT32_MAX - from->hits ? UINT32_MAX
                                                : to->hits + from->hits;
  if (to->atime < from->atime)
    to->atime = from->atime;
  if (to->stamp < from->stamp)
    to->stamp = from->stamp;
}

/* Puts a note back that was put aside. */
static void restore (access_table *a, const node *n) {
  place p = { n->note.number, n->hash, n->note.whole };
  node *back = find(a, &p);
  if (n->ended && back != NULL)
    discard(a, back, NULL);
  if (n->note.hits == 0)
    return;
  back = obtain(a, &p, n->note.stored);
  if (back != NULL)
    merge(back, &n->note);
}

/* }================================================================== */

/* {==================================================================
** The table
** =================================================================== */

static void lock (access_table *a) {
  pthread_mutex_lock(&a->mutex);
}

static void unlock (access_table *a) {
  pthread_mutex_unlock(&a->mutex);
}

access_table *access_new (void) {
  access_table *a = lode_malloc(sizeof *a);
  if (a == NULL)
    return NULL;
  *a = (access_table){ .count = 0 };
  if (resize(a, SLOTS_LEAST) && hash_random(a->secret, sizeof a->secret) &&
      pthread_mutex_init(&a->mutex, NULL) == 0)
    return a;
  lode_free(a->slots);
  lode_free(a);
  return NULL;
}

static void line_free (line *l, int which) {
  for (node *n = l->first, *next; n != NULL; n = next) {
    next = n->in[which].after;
    lode_free(n);
  }
}

void access_free (access_table *a) {
  if (a == NULL)
    return;
  line_free(&a->all, OF_ALL);
  line_free(&a->aside, ASIDE);
  pthread_mutex_destroy(&a->mutex);
  lode_free(a->own);
  lode_free(a->slots);
  lode_free(a);
}

/* The next stamp, under the mutex. */
static uint64_t next_stamp (access_table *a, uint64_t now) {
  uint64_t least = now * 1000;
  a->stamp = a->stamp < least ? least : a->stamp + 1;
  return a->stamp;
}

uint64_t access_stamp (access_table *a, uint64_t now) {
  uint64_t stamp;
  lock(a);
  stamp = next_stamp(a, now);
  unlock(a);
  return stamp;
}

lode_status access_add (access_table *a, uint32_t number, lode_slice stored,
                        lode_slice whole, uint64_t now) {
  place p = place_of(a, number, whole);
  node *n;
  lode_assert(number != 0);
  lock(a);
  n = obtain(a, &p, stored);
  if (n != NULL) {
    if (n->note.atime < now)
      n->note.atime = now;
    if (n->note.hits < UINT32_MAX)
      n->note.hits++;
    n->note.stamp = next_stamp(a, now);
  }
  unlock(a);
  return n != NULL ? LODE_OK : LODE_NO_MEMORY;
}

bool access_find (access_table *a, uint32_t number, lode_slice whole,
                  uint64_t seen, access_note *note) {
  place p = place_of(a, number, whole);
  node all = { .note.hits = 0 };
  const node *n;
  lock(a);
  n = find(a, &p);
  if (n != NULL)
    merge(&all, &n->note);
  for (n = seen != UINT64_MAX ? a->aside.first : NULL; n != NULL;
       n = n->in[ASIDE].after)
    if (n->txn.commit > seen && n->hash == p.hash &&
        n->note.number == number && slice_equal(n->note.whole, whole))
      merge(&all, &n->note);
  unlock(a);
  if (all.note.hits == 0)
    return false;
  *note = all.note;
  note->number = number;
  return true;
}

void access_put_aside (access_table *a, const access_txn *t, uint32_t number,
                       lode_slice whole) {
  place p = place_of(a, number, whole);
  node *n;
  lock(a);
  n = find(a, &p);
  if (n != NULL)
    discard(a, n, t);
  unlock(a);
}

void access_end (access_table *a, const access_txn *t, uint32_t number,
                 lode_slice stored, lode_slice whole) {
  place p = place_of(a, number, whole);
  node *n;
  lock(a);
  n = obtain(a, &p, stored);
  if (n != NULL) {
    n->ended = true;
    discard(a, n, t);
  }
  unlock(a);
}

/* Copies a note; its key into `room`. NO_MEMORY leaves the copy. */
static lode_status copy_out (const access_note *from, lode_buffer *room,
                             access_note *note) {
  lode_slice whole = from->whole, stored = from->stored;
  bool same = stored.data == whole.data && stored.size == whole.size;
  lode_status status = lode_buffer_reserve(room, whole.size + stored.size);
  if (status == LODE_OK)
    status = lode_buffer_add(room, whole.data, whole.size);
  if (status == LODE_OK && !same)
    status = lode_buffer_add(room, stored.data, stored.size);
  if (status != LODE_OK)
    return status;
  *note = *from;
  note->whole = slice_of(room->data, whole.size);
  note->stored = same ? slice_of(room->data, stored.size) :
                        slice_of(room->data + whole.size, stored.size);
  return LODE_OK;
}

lode_status access_take_aside (access_table *a, const access_txn *t,
                               uint32_t number, lode_buffer *room,
                               access_note *note) {
  lode_status status = LODE_ABSENT;
  node *n;
  room->size = 0;
  lock(a);
  n = oldest(a, number);
  if (n != NULL) {
    status = copy_out(&n->note, room, note);
    if (status == LODE_OK)
      discard(a, n, t);
  }
  unlock(a);
  return status;
}

void access_drop_aside (access_table *a, const access_txn *t,
                        uint32_t number) {
  node *n;
  lode_assert(number != 0);
  lock(a);
  while ((n = oldest(a, number)) != NULL)
    discard(a, n, t);
  unlock(a);
}

/* From the last put aside to the first: who has ended undoes what follows. */
void access_settle (access_table *a, const access_txn *t, bool committed) {
  node *n, *before;
  lock(a);
  for (n = a->aside.last; n != NULL; n = before) {
    before = n->in[ASIDE].before;
    if (n->txn.owner != t->owner)
      continue;
    if (n->txn.depth < t->depth)
      break; /* it, and those before it, are of levels around this one */
    if (committed && t->depth > 1) {
      n->txn.depth = t->depth - 1;
      continue;
    }
    if (!committed)
      restore(a, n);
    line_remove(&a->aside, n, ASIDE);
    lode_free(n);
  }
  unlock(a);
}

size_t access_count (access_table *a) {
  size_t count;
  lock(a);
  count = a->count;
  unlock(a);
  return count;
}

size_t access_count_of (access_table *a, uint32_t number) {
  size_t count, i;
  lock(a);
  i = own_search(a, number);
  count = own_is(a, i, number) ? a->own[i].count : 0;
  unlock(a);
  return count;
}

/* }================================================================== */
