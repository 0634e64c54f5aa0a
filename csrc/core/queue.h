/*
** queue.h - writes that were accepted and are not in the file yet.
**
** One for each environment of a process, shared by all its handles: a log
** in the order of acceptance, and an index to the latest write of each key,
** under which every handle of the process sees it at once. A write stays
** until the batch that has it is committed, so who doesn't find one here
** and begins to read the file afterwards has missed nothing.
**
** Who may do what is told by the writer lock (writer.h). Its holder alone
** takes writes out, and while it is at work on something that must not be
** overtaken it holds the queue, which then accepts nothing.
**
** Any thread may call any of this. Here is no more than memory: pending.c
** moves the writes to the file, behind.c decides which may wait.
*/
#ifndef LODE_QUEUE_H
#define LODE_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>

#include "bytes.h"
#include "hash.h"
#include "kv.h"

typedef struct queue_write { /* a write of one key; fixed once accepted */
  struct queue_write *next;  /* in order */
  struct queue_write *chain; /* in the index */
  uint64_t id;               /* its place in the order, from 1 */
  uint64_t hash;
  uint64_t now;              /* when it was made, by the store's clock, */
  uint64_t since;            /* and by one that is never set */
  uint64_t ttl;              /* as lode_put takes it */
  uint64_t deadline;         /* ms since the epoch; LODE_NEVER: none */
  uint32_t number;           /* of the collection */
  bool removes;
  lode_codec codec;
  lode_slice whole, stored;  /* the key; these lie in `bytes` */
  lode_slice value;
  unsigned char bytes[];
} queue_write;

typedef struct queue_slot { queue_write *chain; } queue_slot;

/* Commits all that is pending, for who holds the writer lock by `lock`. */
typedef lode_status queue_commit_fn (void *committer, kv_txn *lock);

typedef struct queue {
  _Atomic uint64_t last;   /* id of the write accepted last; 0: none yet */
  _Atomic size_t count;    /* writes that there are */
  _Atomic uint64_t holds;  /* times that it was held, or let go */
  _Atomic uint64_t batches; /* that are in the file */
  const void *_Atomic holder;   /* null: nobody holds it */
  _Atomic pthread_t thread;     /* the holder's */
  _Atomic bool adding;     /* a write is being taken: see queue_hold */
  _Atomic unsigned waiting; /* threads that wait for `moved` */
  _Atomic bool troubled;   /* the last batch failed, or there are losses
                              to be told */
  pthread_mutex_t mutex;   /* of all that follows */
  pthread_cond_t moved;    /* there is room, or nobody holds it any more */
  pthread_cond_t due;      /* for the thread that waits in queue_wait */
  queue_write *first, *newest;
  queue_slot *slots;       /* the index, by hash */
  size_t size;             /* of `slots`, a power of two */
  size_t bytes;            /* of keys and values */
  unsigned char secret[HASH_SIZE];
  bool stopped;            /* the thread is to end */
  unsigned most_writes, age; /* the bounds; age in ms */
  _Atomic size_t most_bytes;
  lode_error failure;      /* of the last batch; status OK: none */
  bool told;               /* a write was refused for it */
  uint64_t lost;           /* writes that can never be done, not told yet */
  lode_error loss;         /* and why not */
  uint64_t flushed;        /* when a batch was committed last, in ms */
  pthread_mutex_t commits; /* of the next two */
  queue_commit_fn *_Atomic commit; /* pending.c's; null: there is none */
  void *committer;
} queue;

/* NULL: no memory. */
queue *queue_new (void);
void queue_free (queue *q);

/* In a child made by fork: nothing of its parent's is pending there. */
void queue_leave (queue *q);

/* Makes the bounds these, where they are tighter than what there is. */
void queue_bound (queue *q, unsigned writes, size_t bytes, unsigned age);

/* Whether anything is pending: one load. */
static inline bool queue_any (const queue *q) {
  return atomic_load_explicit(&q->count, memory_order_acquire) != 0;
}

/* Whether somebody commits what is pending, by a handle of its own. */
static inline bool queue_served (const queue *q) {
  return atomic_load(&q->commit) != NULL;
}

/* Whether writers have anything to be told of: one load. */
static inline bool queue_troubled (const queue *q) {
  return atomic_load_explicit(&q->troubled, memory_order_relaxed);
}

/* {==================================================================
** Accepting and finding
** =================================================================== */

/*
** A write that is the caller's until it is accepted; all is copied.
** `removes`, times and deadline are to be set by the caller. NULL: memory.
*/
queue_write *queue_write_new (const queue *q, uint32_t number,
                              const lode_key *key, lode_value value);

#define QUEUE_ANY UINT64_MAX

typedef struct queue_seen { /* what a write was decided on */
  uint64_t holds, batches; /* of the queue, before anything was looked at */
  uint64_t id;     /* of the pending write of its key (0: none); or
                      QUEUE_ANY: it doesn't matter */
} queue_seen;

/*
** Accepts a write, waiting at most `timeout` ms for room and for who holds
** the queue. `*moved`: what it was decided on has changed, and it was not
** accepted: decide again.
** REENTRY where this thread holds the queue; BUSY; the failure of the last
** batch. On failure the write is still the caller's.
*/
lode_status queue_add (queue *q, queue_write *w, const queue_seen *seen,
                       unsigned timeout, bool *moved, lode_error *error);

typedef struct queue_found {
  uint64_t id, deadline;
  bool removes;
  lode_codec codec;
} queue_found;

/*
** Finds the latest pending write of a key and copies its value to `value`
** (null: not wanted). ABSENT: there is none; NO_MEMORY.
*/
lode_status queue_find (queue *q, uint32_t number, lode_slice whole,
                        lode_buffer *value, queue_found *found);

/* }================================================================== */

/* {==================================================================
** For who holds the writer lock
** =================================================================== */

/*
** Nothing is accepted from now on until queue_release, which comes before
** the lock is given back: so who held it before has ended with its thread.
** Every write transaction does both, also where nothing ever waits. So they
** take no mutex: who adds says so before it looks whether the queue is held,
** and who holds it looks afterwards whether anybody is adding.
*/
void queue_hold (queue *q, const void *holder);
/* Nothing, where another holds it. */
void queue_release (queue *q, const void *holder);
/* For who holds the lock and not the queue: then nobody does. */
void queue_unheld (queue *q);

/*
** Moves all that is pending to the file. OK, or the failure of the batch;
** its words are to be had by queue_failure.
*/
lode_status queue_commit (queue *q, kv_txn *lock);
/* Sets who does that (null: nobody), when nobody is at it. */
void queue_set_commit (queue *q, queue_commit_fn *commit, void *committer);

/* The pending writes: how many there are now, beginning with `*first`. */
size_t queue_batch (queue *q, const queue_write **first);

/* The first `n` are in the file, or `lost` of these for `why` never. */
void queue_done (queue *q, size_t n, uint64_t lost, const lode_error *why,
                 uint64_t now);
/* They are not, and stay. */
void queue_fail (queue *q, const lode_error *why);

/*
** Takes the writes of one key out (`whole` null: of all keys of the
** collection). Gives what the latest one of the key was: false, there was
** none.
*/
bool queue_forget (queue *q, uint32_t number, const lode_slice *whole,
                   queue_found *found);

/* }================================================================== */

/* {==================================================================
** For the thread that commits, and for those who are told
** =================================================================== */

/*
** Waits until a batch is due: writes that are old enough, or many; after a
** failure not at once. False: it is to end.
*/
bool queue_wait (queue *q);
/* Waits `ms`, unless it is to end. */
void queue_rest (queue *q, unsigned ms);
void queue_stop (queue *q);
/* Allows it to be waited for again. */
void queue_start (queue *q);

/* The failure of the last batch: OK, or a status and the words for it. */
lode_status queue_failure (queue *q, lode_error *error);
/* Notes that a write was refused for it; false: one was before. */
bool queue_tell (queue *q);
/* Whether that is for want of room, which deletes could make. */
bool queue_lacks_room (queue *q);
/*
** Whether writes have been lost since this was asked last: OK, or a status
** and the words for it.
*/
lode_status queue_losses (queue *q, lode_error *error);
/* Drops all that is pending; gives how much that was. */
size_t queue_drop (queue *q);

typedef struct queue_figures {
  size_t writes, bytes;
  uint64_t flushed;
  lode_status failed;
} queue_figures;

void queue_measure (queue *q, queue_figures *figures);

/* }================================================================== */

#endif
