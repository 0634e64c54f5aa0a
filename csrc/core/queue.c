/*
** queue.c - see queue.h.
*/
#include "queue.h"

#include <limits.h>
#include <time.h>

#include "check.h"

#define SLOTS_LEAST 256
#define FAILED_REST 250 /* ms from a failure to the next try */

static void lock (queue *q) { pthread_mutex_lock(&q->mutex); }

static void unlock (queue *q) { pthread_mutex_unlock(&q->mutex); }

static uint64_t monotonic_ms (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* {==================================================================
** The index: the latest write of each key
** =================================================================== */

static uint64_t hash_of (const queue *q, uint32_t number, lode_slice whole) {
  unsigned char hash[HASH_SIZE];
  hash_sip(q->secret, whole, hash);
  return get_u64(hash) ^ number * UINT64_C(0x9E3779B97F4A7C15);
}

/* Where the chain holds the write of this key, or ends. */
static queue_write **place_of (const queue *q, uint64_t hash,
                               uint32_t number, lode_slice whole) {
  queue_write **at = &q->slots[hash & (q->size - 1)].chain;
  while (*at != NULL && !((*at)->hash == hash && (*at)->number == number &&
                          slice_equal((*at)->whole, whole)))
    at = &(*at)->chain;
  return at;
}

static void index_add (queue *q, queue_write *w) {
  queue_write **at = place_of(q, w->hash, w->number, w->whole);
  w->chain = *at != NULL ? (*at)->chain : NULL;
  *at = w;
}

/* Takes it out, unless a later one of its key stands there. */
static void index_remove (queue *q, const queue_write *w) {
  queue_write **at = place_of(q, w->hash, w->number, w->whole);
  if (*at == w)
    *at = w->chain;
}

/* Makes room for as many chains as writes; without memory they grow. */
static void index_grow (queue *q) {
  size_t old = q->size;
  queue_slot *slots = lode_malloc(old * 2 * sizeof *slots);
  if (slots == NULL)
    return;
  memset(slots, 0, old * 2 * sizeof *slots);
  for (size_t i = 0; i < old; i++)
    for (queue_write *w = q->slots[i].chain, *next; w != NULL; w = next) {
      queue_write **home = &slots[w->hash & (old * 2 - 1)].chain;
      next = w->chain;
      w->chain = *home;
      *home = w;
    }
  lode_free(q->slots);
  q->slots = slots;
  q->size = old * 2;
}

/* }================================================================== */

/* {==================================================================
** The queue
** =================================================================== */

queue *queue_new (void) {
  queue *q = lode_malloc(sizeof *q);
  if (q == NULL)
    return NULL;
  memset(q, 0, sizeof *q);
  q->most_writes = q->age = UINT_MAX;
  q->most_bytes = SIZE_MAX;
  q->size = SLOTS_LEAST;
  q->slots = lode_malloc(q->size * sizeof *q->slots);
  if (q->slots != NULL)
    memset(q->slots, 0, q->size * sizeof *q->slots);
  if (q->slots != NULL && hash_random(q->secret, sizeof q->secret) &&
      pthread_mutex_init(&q->mutex, NULL) == 0 &&
      pthread_mutex_init(&q->commits, NULL) == 0 &&
      gate_condition(&q->moved) && gate_condition(&q->due))
    return q;
  lode_free(q->slots);
  lode_free(q);
  return NULL;
}

void queue_free (queue *q) {
  if (q == NULL)
    return;
  for (queue_write *w = q->first, *next; w != NULL; w = next) {
    next = w->next;
    lode_free(w);
  }
  pthread_cond_destroy(&q->due);
  pthread_cond_destroy(&q->moved);
  pthread_mutex_destroy(&q->commits);
  pthread_mutex_destroy(&q->mutex);
  lode_free(q->slots);
  lode_free(q);
}

void queue_leave (queue *q) {
  atomic_store(&q->count, 0);
  atomic_store(&q->troubled, false);
}

void queue_bound (queue *q, unsigned writes, size_t bytes, unsigned age) {
  lock(q);
  if (writes < q->most_writes)
    q->most_writes = writes;
  if (bytes < q->most_bytes)
    q->most_bytes = bytes;
  if (age < q->age)
    q->age = age;
  unlock(q);
}

static size_t weight (const queue_write *w) {
  return w->whole.size + w->value.size;
}

static size_t count_of (const queue *q) {
  return atomic_load_explicit(&q->count, memory_order_relaxed);
}

/* To be called when failure or losses have changed; the mutex is held. */
static void note_trouble (queue *q) {
  atomic_store(&q->troubled, q->failure.status != LODE_OK || q->lost > 0);
}

/* Puts it at the end; the mutex is held. */
static void append (queue *q, queue_write *w) {
  size_t count = count_of(q) + 1;
  if (count > q->size)
    index_grow(q);
  w->id = q->last + 1;
  w->since = monotonic_ms();
  index_add(q, w);
  *(q->first != NULL ? &q->newest->next : &q->first) = w;
  q->newest = w;
  q->bytes += weight(w);
  atomic_store(&q->count, count);
  atomic_store(&q->last, w->id);
}

/* Takes the write at `at` out and frees it; `before` stands before it. */
static void take_out (queue *q, queue_write **at, queue_write *before) {
  queue_write *w = *at;
  index_remove(q, w);
  *at = w->next;
  if (q->newest == w)
    q->newest = before;
  q->bytes -= weight(w);
  atomic_store(&q->count, count_of(q) - 1);
  lode_free(w);
}

/* }================================================================== */

/* {==================================================================
** Accepting and finding
** =================================================================== */

static lode_slice copy_to (unsigned char **room, lode_slice s) {
  lode_slice copy = slice_of(*room, s.size);
  if (s.size > 0)
    memcpy(*room, s.data, s.size);
  *room += s.size;
  return copy;
}

queue_write *queue_write_new (const queue *q, uint32_t number,
                              const lode_key *key, lode_value value) {
  bool same = slice_equal(key->stored, key->whole);
  size_t size = key->whole.size + (same ? 0 : key->stored.size) +
                value.data.size;
  queue_write *w = lode_malloc(sizeof *w + size);
  unsigned char *room;
  if (w == NULL)
    return NULL;
  memset(w, 0, sizeof *w);
  room = w->bytes;
  w->number = number;
  w->deadline = LODE_NEVER;
  w->codec = value.codec;
  w->whole = copy_to(&room, key->whole);
  w->stored = same ? w->whole : copy_to(&room, key->stored);
  w->value = copy_to(&room, value.data);
  w->hash = hash_of(q, number, w->whole);
  return w;
}

/* The words for a failure that stays; the mutex is held. */
static lode_status tell_failure (queue *q, lode_error *error) {
  return fail(error, q->failure.status, "%llu writes behind are not on disk "
              "yet, as their batch failed: %s",
              (unsigned long long)count_of(q), q->failure.text);
}

static lode_status too_late (queue *q, unsigned timeout, lode_error *error) {
  if (atomic_load(&q->holder) != NULL)
    return fail(error, LODE_BUSY, "another thread of this process has been "
                "writing to this store for %u ms", timeout);
  return fail(error, LODE_BUSY, "%llu writes behind have not come to disk in "
              "%u ms: another process or thread keeps the writer lock, or "
              "the disk is slow", (unsigned long long)count_of(q), timeout);
}

static bool has_room (const queue *q, const queue_write *w) {
  size_t count = count_of(q);
  return count < q->most_writes &&
         (count == 0 || q->bytes + weight(w) <= q->most_bytes);
}

static bool is_held (const queue *q) {
  return atomic_load(&q->holder) != NULL;
}

/* One round of the wait for room; the mutex is held. */
static lode_status wait_round (queue *q, unsigned timeout,
                               const struct timespec *until, bool *late,
                               lode_error *error) {
  if (is_held(q) && pthread_equal(q->thread, pthread_self()))
    return fail(error, LODE_REENTRY, "this thread is writing through "
                "another handle of the same store; finish that first, or "
                "write through it");
  if (!is_held(q) && q->failure.status != LODE_OK) {
    q->told = true;
    return tell_failure(q, error);
  }
  if (*late)
    return too_late(q, timeout, error);
  pthread_cond_signal(&q->due);
  *late = pthread_cond_timedwait(&q->moved, &q->mutex, until) != 0;
  return LODE_OK;
}

/*
** Waits until a write can be accepted; on OK `adding` is set. The mutex is
** held.
*/
static lode_status wait_for_room (queue *q, const queue_write *w,
                                  unsigned timeout, lode_error *error) {
  struct timespec until;
  bool late = false;
  lode_status st = LODE_OK;
  atomic_store(&q->adding, true);
  if (!is_held(q) && has_room(q, w))
    return LODE_OK;
  atomic_store(&q->adding, false);
  until = gate_deadline(timeout);
  atomic_fetch_add(&q->waiting, 1);
  while (st == LODE_OK) {
    atomic_store(&q->adding, true);
    if (!is_held(q) && has_room(q, w))
      break;
    atomic_store(&q->adding, false);
    st = wait_round(q, timeout, &until, &late, error);
  }
  atomic_fetch_sub(&q->waiting, 1);
  return st;
}

/* Whether what a write was decided on has changed; the mutex is held. */
static bool has_changed (const queue *q, const queue_write *w,
                         const queue_seen *seen) {
  const queue_write *now;
  if (seen->holds != q->holds)
    return true;
  if (seen->id == QUEUE_ANY)
    return false;
  if (seen->batches != q->batches) /* another's may have come and gone */
    return true;
  now = *place_of(q, w->hash, w->number, w->whole);
  return seen->id != (now != NULL ? now->id : 0);
}

/* A batch begins when half of what may wait does, so that the others of it
   are accepted meanwhile. */
static bool is_many (const queue *q) {
  return count_of(q) >= (q->most_writes + 1) / 2 ||
         q->bytes >= q->most_bytes / 2;
}

lode_status queue_add (queue *q, queue_write *w, const queue_seen *seen,
                       unsigned timeout, bool *moved, lode_error *error) {
  lode_status st;
  lock(q);
  st = wait_for_room(q, w, timeout, error);
  *moved = st == LODE_OK && has_changed(q, w, seen);
  if (st == LODE_OK && !*moved) {
    append(q, w);
    if (count_of(q) == 1 || is_many(q))
      pthread_cond_signal(&q->due);
  }
  atomic_store(&q->adding, false);
  unlock(q);
  return st;
}

lode_status queue_find (queue *q, uint32_t number, lode_slice whole,
                        lode_buffer *value, queue_found *found) {
  uint64_t hash = hash_of(q, number, whole);
  const queue_write *w;
  lode_status st = LODE_ABSENT;
  lock(q);
  w = *place_of(q, hash, number, whole);
  if (w != NULL) {
    *found = (queue_found){ w->id, w->deadline, w->removes, w->codec };
    st = value == NULL || w->removes
         ? LODE_OK : buffer_set(value, w->value.data, w->value.size);
  }
  unlock(q);
  return st;
}

/* }================================================================== */

/* {==================================================================
** For who holds the writer lock
** =================================================================== */

void queue_hold (queue *q, const void *holder) {
  atomic_store_explicit(&q->thread, pthread_self(), memory_order_relaxed);
  atomic_store(&q->holder, holder);
  atomic_fetch_add(&q->holds, 1);
  if (lode_unlikely(atomic_load(&q->adding))) {
    lock(q); /* until it is added */
    unlock(q);
  }
}

/* Wakes those that wait for room, or for the holder. */
static void wake (queue *q) {
  if (lode_likely(atomic_load(&q->waiting) == 0))
    return;
  lock(q);
  pthread_cond_broadcast(&q->moved);
  unlock(q);
}

/* Who has looked at the file meanwhile looks again: so it counts. */
void queue_release (queue *q, const void *holder) {
  if (atomic_load(&q->holder) != holder)
    return;
  atomic_fetch_add(&q->holds, 1);
  if (atomic_compare_exchange_strong(&q->holder, &holder, NULL))
    wake(q);
}

void queue_unheld (queue *q) {
  const void *holder = atomic_load(&q->holder);
  if (holder != NULL)
    queue_release(q, holder);
}

lode_status queue_commit (queue *q, kv_txn *lock) {
  lode_status st = LODE_OK;
  queue_commit_fn *commit;
  pthread_mutex_lock(&q->commits);
  commit = q->commit;
  if (commit != NULL)
    st = commit(q->committer, lock);
  pthread_mutex_unlock(&q->commits);
  return st;
}

void queue_set_commit (queue *q, queue_commit_fn *commit, void *committer) {
  pthread_mutex_lock(&q->commits);
  q->commit = commit;
  q->committer = committer;
  pthread_mutex_unlock(&q->commits);
}

size_t queue_batch (queue *q, const queue_write **first) {
  size_t n;
  lock(q);
  *first = q->first;
  n = count_of(q);
  unlock(q);
  return n;
}

void queue_done (queue *q, size_t n, uint64_t lost, const lode_error *why,
                 uint64_t now) {
  lock(q);
  for (size_t i = 0; i < n; i++)
    take_out(q, &q->first, NULL);
  atomic_fetch_add(&q->batches, 1);
  q->flushed = now;
  q->failure.status = LODE_OK;
  q->told = false;
  if (lost > 0) {
    q->lost += lost;
    q->loss = *why;
  }
  note_trouble(q);
  pthread_cond_broadcast(&q->moved);
  unlock(q);
}

void queue_fail (queue *q, const lode_error *why) {
  lock(q);
  q->failure = *why;
  note_trouble(q);
  pthread_cond_broadcast(&q->moved); /* who waits for room is told */
  unlock(q);
}

bool queue_forget (queue *q, uint32_t number, const lode_slice *whole,
                   queue_found *found) {
  queue_write *before = NULL;
  bool any = false;
  lock(q);
  for (queue_write **at = &q->first; *at != NULL;) {
    queue_write *w = *at;
    if (w->number == number &&
        (whole == NULL || slice_equal(w->whole, *whole))) {
      *found = (queue_found){ w->id, w->deadline, w->removes, w->codec };
      any = true;
      take_out(q, at, before);
    }
    else {
      before = w;
      at = &w->next;
    }
  }
  if (any)
    pthread_cond_broadcast(&q->moved);
  unlock(q);
  return any;
}

/* }================================================================== */

/* {==================================================================
** For the thread that commits, and for those who are told
** =================================================================== */

/* When the next batch is to begin, by the monotonic clock in ms. */
static uint64_t due_at (const queue *q, uint64_t failed_at) {
  if (q->failure.status != LODE_OK)
    return failed_at + FAILED_REST;
  return is_many(q) ? 0 : q->first->since + q->age;
}

bool queue_wait (queue *q) {
  uint64_t began = monotonic_ms(), now = began, at;
  bool go;
  lock(q);
  while (!q->stopped) {
    if (count_of(q) == 0)
      pthread_cond_wait(&q->due, &q->mutex);
    else if ((at = due_at(q, began)) > now) {
      struct timespec until = gate_deadline((unsigned)(at - now));
      pthread_cond_timedwait(&q->due, &q->mutex, &until);
    }
    else
      break;
    now = monotonic_ms();
  }
  go = !q->stopped;
  unlock(q);
  return go;
}

void queue_rest (queue *q, unsigned ms) {
  struct timespec until = gate_deadline(ms);
  int late = 0;
  lock(q);
  while (!q->stopped && late == 0)
    late = pthread_cond_timedwait(&q->due, &q->mutex, &until);
  unlock(q);
}

void queue_stop (queue *q) {
  lock(q);
  q->stopped = true;
  pthread_cond_signal(&q->due);
  unlock(q);
}

void queue_start (queue *q) {
  lock(q);
  q->stopped = false;
  unlock(q);
}

lode_status queue_failure (queue *q, lode_error *error) {
  lode_status st = LODE_OK;
  lock(q);
  if (count_of(q) > 0 && q->failure.status != LODE_OK)
    st = tell_failure(q, error);
  unlock(q);
  return st;
}

bool queue_tell (queue *q) {
  bool news;
  lock(q);
  news = !q->told;
  q->told = true;
  unlock(q);
  return news;
}

bool queue_lacks_room (queue *q) {
  bool lacks;
  lock(q);
  lacks = count_of(q) > 0 && (q->failure.status == LODE_FULL ||
                              q->failure.status == LODE_DISK_FULL);
  unlock(q);
  return lacks;
}

lode_status queue_losses (queue *q, lode_error *error) {
  lode_status st = LODE_OK;
  lock(q);
  if (q->lost > 0)
    st = fail(error, q->loss.status, "%llu writes behind are lost: %s",
              (unsigned long long)q->lost, q->loss.text);
  q->lost = 0;
  note_trouble(q);
  unlock(q);
  return st;
}

size_t queue_drop (queue *q) {
  size_t n;
  lock(q);
  n = count_of(q);
  while (q->first != NULL)
    take_out(q, &q->first, NULL);
  q->failure.status = LODE_OK;
  q->told = false;
  note_trouble(q);
  unlock(q);
  return n;
}

void queue_measure (queue *q, queue_figures *figures) {
  lock(q);
  figures->writes = count_of(q);
  figures->bytes = q->bytes;
  figures->flushed = q->flushed;
  figures->failed = q->failure.status;
  unlock(q);
}

/* }================================================================== */
