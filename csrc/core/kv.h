/*
** kv.h - the room of LMDB: only kv.c includes its header.
**
** One environment per file and process (a registry by device and inode),
** counted by its handles. A `kv_txn` belongs to one handle: it reads with
** a transaction that is renewed and reset, or writes in a chain of nested
** ones. Each open transaction is inside the environment's gate, so that
** the map moves only when there is none.
**
** A map that is nearly full is no end: the writes of a transaction are then
** logged, and when LMDB has no room left the transaction is rolled back,
** the map grown, and the log replayed.
*/
#ifndef LODE_KV_H
#define LODE_KV_H

#include "bytes.h"
#include "files.h"
#include "writer.h"

#define KV_DEPTH_MAX 64    /* nested write transactions */
#define KV_KEY_MAX 511     /* LMDB 0.9's limit */

struct MDB_txn;
struct MDB_cursor;

typedef struct kv_env kv_env;
typedef unsigned kv_db; /* a database; KV_MAIN is the unnamed one */
#define KV_MAIN 1

typedef struct kv_level { /* a write transaction in the chain */
  struct MDB_txn *txn;
  size_t mark; /* size of the log when it began */
} kv_level;

typedef struct kv_txn {
  kv_env *env;
  lode_error *error;      /* takes the words of failures */
  struct MDB_txn *txn;    /* the open one, innermost; null: none */
  struct MDB_txn *idle;   /* a reader's, reset, to be renewed */
  /* of writers only */
  bool locked;            /* holds the writer lock, */
  pthread_t owner;        /* for this thread */
  bool buried;            /* which has ended: another has rolled it back */
  bool keeps;             /* also when its outermost transaction ends */
  void (*unlocking)(void *data); /* called before it gives the lock back; */
  void *unlocking_data;          /* null: nobody is */
  bool sync;              /* commits reach the disk */
  bool logging;
  bool allowance;         /* the map was widened for deletes */
  bool bumped;            /* pages freed last were made available */
  bool lenient;           /* puts may go past the quota, as deletes do */
  uint64_t committed;     /* the number of its last commit; 0: none yet */
  /* of those that kv_pin has begun */
  struct kv_txn *next_pin, **pin_link;
  uint64_t since;
  unsigned depth;
  unsigned failed_depth;  /* which level can only be rolled back; 0: none */
  lode_status failed;     /* and why */
  lode_buffer log;
  kv_level levels[KV_DEPTH_MAX + 1]; /* by depth, from 1 */
} kv_txn;

typedef struct kv_hooks { /* what the room above knows of a file's content */
  /* Both get a transaction that is not begun. */
  lode_status (*fill)(kv_txn *t);  /* of a new file, once */
  lode_status (*check)(kv_txn *t); /* at the first open of a process */
  lode_status (*verify)(kv_txn *t); /* all of it: is it whole? CORRUPT */
} kv_hooks;

/*
** Opens (or finds, or makes) the environment for `f`; the statuses are those
** of lode_open. To be given back by kv_release.
*/
lode_status kv_open (const files *f, const lode_options *options,
                     const kv_hooks *hooks, kv_env **env, lode_error *error);
/* Closes it with the last handle. */
void kv_release (kv_env *env);

/*
** Whether another process opened it, of which this one is a child made by
** fork. Then it is good for nothing but to be released, after its
** transactions were freed: what they do besides gives REENTRY, and where
** nothing is open it is to be opened anew.
*/
bool kv_is_left (const kv_env *env);
/* That REENTRY, with words. */
lode_status kv_left_behind (const kv_env *env, lode_error *error);
/* Marks a transaction that such a child has inherited open. */
void kv_txn_leave (kv_txn *t);

/* The data file's descriptor, which stays LMDB's. */
int kv_data (const kv_env *env);
bool kv_readonly (const kv_env *env); /* the file can't be written at all */

typedef struct kv_commits { /* LMDB's two meta pages, which take turns */
  const _Atomic uint64_t *number[2];
} kv_commits;

/* Where the numbers of commits stand; good as long as the environment. */
kv_commits kv_commits_of (const kv_env *env);

/*
** The number of the last commit, by any process: two loads, no more. A
** reader that begins at the same time may still see the one before.
*/
static inline uint64_t kv_last_commit (const kv_commits *c) {
  uint64_t a = atomic_load_explicit(c->number[0], memory_order_acquire);
  uint64_t b = atomic_load_explicit(c->number[1], memory_order_acquire);
  return a > b ? a : b;
}

/* A time in ms that never goes back; coarse, and cheap. */
uint64_t kv_now (void);
/* Frees the slots of readers that have died; looks now and then. */
void kv_readers_clear (kv_env *env, uint64_t now);

lode_status kv_flush (kv_env *env, lode_error *error);
/* Tells what the system's code (or LMDB's) `rc` means for `path`. */
lode_status kv_failure (lode_error *e, int rc, const char *path);

/* Whether this thread holds the writer lock, by any handle. */
bool kv_is_writer (kv_env *env);

/* Takes the next bytes of a file. What is not OK ends the call that gives
   them, which gives it too. */
typedef lode_status (*kv_put_bytes) (void *data, lode_slice bytes);

/* Gives a copy of the last committed state without its free pages. */
lode_status kv_compact (kv_env *env, kv_put_bytes put, void *data,
                        lode_error *error);
/*
** Writes all of it to a file of our own: 0 or errno. EFBIG, and no signal,
** past a limit on the size of files.
*/
int kv_write_file (int fd, lode_slice bytes);

typedef struct kv_figures {
  uint64_t file_size, map_size, max_size, page_size, pages, free_pages;
  unsigned readers, max_readers, handles;
  uint64_t oldest_age; /* commits since the oldest moment that is read */
  int oldest_process;  /* who reads it; 0: nobody reads an older one */
  uint64_t oldest_ms;  /* since when; 0: not known */
} kv_figures;

/* With `t` open: of the last commit. */
lode_status kv_measure (kv_txn *t, kv_figures *figures);
unsigned kv_collections (const kv_env *env); /* most that are allowed */

/*
** What the room above keeps with the environment: the database of the
** catalogue (0: none), and the generation of it up to which every database
** was opened.
*/
kv_db kv_catalog (const kv_env *env);
void kv_set_catalog (kv_env *env, kv_db db);
uint64_t kv_generation (kv_env *env);
/* The mark of the clock (clock.h), shared with all processes on the file. */
_Atomic uint64_t *kv_mark (kv_env *env);
/* Two counts that are shared likewise: reads, and those that found one. */
_Atomic uint64_t *kv_counts (kv_env *env);
/* The side file's descriptor; -1: none. */
int kv_side (const kv_env *env);
void kv_set_generation (kv_env *env, uint64_t generation);
/* The id of the store in it: all zeros where there is none. */
void kv_set_id (kv_env *env, const unsigned char id[16]);

/* {==================================================================
** Transactions
** =================================================================== */

void kv_txn_init (kv_txn *t, kv_env *env, lode_error *error);
/* Ends and frees whatever `t` holds. */
void kv_txn_free (kv_txn *t);

lode_status kv_read_begin (kv_txn *t);
void kv_read_end (kv_txn *t);
/* The same for a moment that is kept for long, which kv_measure tells. */
lode_status kv_pin (kv_txn *t);
void kv_unpin (kv_txn *t);
/* The commit that the last read saw, also when it has ended; 0: no read. */
uint64_t kv_read_number (const kv_txn *t);

/* The writer lock alone; kv_write_begin goes on from it. */
lode_status kv_lock (kv_txn *t, unsigned timeout);
void kv_unlock (kv_txn *t);
/* Lets another transaction write under the lock, until it is returned. */
void kv_lend (kv_txn *from, kv_txn *to);
void kv_return (kv_txn *from, kv_txn *to);

/* BUSY, REENTRY, READONLY, FULL, IO, NO_MEMORY, BAD_ARGUMENT (depth). */
lode_status kv_write_begin (kv_txn *t, unsigned timeout);
/* Ends the innermost; the outermost gives the lock back, whatever comes. */
lode_status kv_write_commit (kv_txn *t);
void kv_write_abort (kv_txn *t);

/* The number of the open transaction: of a writer, the commit it will be. */
uint64_t kv_txn_number (const kv_txn *t);

/* }================================================================== */

/* {==================================================================
** Databases
** =================================================================== */

typedef struct kv_shape { /* how another program made a database */
  bool strange; /* duplicates, or keys not in the order of their bytes */
} kv_shape;

/*
** Opens a named database for `t` and counts the use. Inside a write
** transaction it may be made (`create`); ABSENT when there is none.
** FULL when there are too many; REENTRY, BUSY.
*/
lode_status kv_db_open (kv_txn *t, lode_slice name, bool create, kv_db *db,
                        kv_shape *shape);
void kv_db_close (kv_env *env, kv_db db);
/* The name of an open one, which lives as long as that. */
lode_slice kv_db_name (const kv_env *env, kv_db db);
/* Closes those that nobody uses, when many are open. */
void kv_db_reap (kv_env *env);
/* Empties it. */
lode_status kv_db_clear (kv_txn *t, kv_db db);
/*
** Removes one for good, with what it holds. BUSY while a handle of this
** process uses it; ABSENT.
*/
lode_status kv_db_remove (kv_txn *t, lode_slice name);

typedef struct kv_db_stats {
  uint64_t entries, branch_pages, leaf_pages, overflow_pages, page_size;
  unsigned depth;
} kv_db_stats;

lode_status kv_db_measure (kv_txn *t, kv_db db, kv_db_stats *stats);

/* }================================================================== */

/* {==================================================================
** Entries and cursors
** =================================================================== */

/* ABSENT; the value lies in the map until the transaction moves on. */
lode_status kv_get (kv_txn *t, kv_db db, lode_slice key, lode_slice *value);

/* With `append` the caller knows that the key is past the last one. */
lode_status kv_put (kv_txn *t, kv_db db, lode_slice key, lode_slice value,
                    bool append);
lode_status kv_delete (kv_txn *t, kv_db db, lode_slice key);

typedef struct MDB_cursor kv_cursor;
typedef enum kv_move { KV_FIRST, KV_LAST, KV_NEXT, KV_PREV } kv_move;

lode_status kv_cursor_open (kv_txn *t, kv_db db, kv_cursor **c);
void kv_cursor_close (kv_cursor *c);
/* To the first entry not before `at`. ABSENT when there is none. */
lode_status kv_cursor_seek (kv_txn *t, kv_cursor *c, lode_slice at,
                            lode_slice *key, lode_slice *value);
lode_status kv_cursor_move (kv_txn *t, kv_cursor *c, kv_move move,
                            lode_slice *key, lode_slice *value);

/* }================================================================== */

/* {==================================================================
** Inside the room (files that define KV_ROOM)
** =================================================================== */

#ifdef KV_ROOM

#include <lmdb.h>

#define KV_DBS_EACH 3   /* databases of a collection: with its indexes */
#define KV_SPARE_DBS 64 /* and past these */

typedef struct kv_open_db { /* a database that is open in this process */
  lode_slice name;       /* null: none at this place */
  unsigned uses;
  kv_shape shape;
  kv_txn *maker;         /* the uncommitted transaction that made it */
  unsigned depth;        /* and the level of it */
} kv_open_db;

#define KV_FDS 3 /* descriptors of LMDB: lock file, data file, data file */

typedef struct kv_place { /* where the lock file stands; see kv_place.c */
  int dir;               /* its directory; -1: none is watched */
  int byte;              /* the data file, for the lock that tells; or -1 */
  char *lock, *side;     /* names in there */
  dev_t device;
  ino_t lock_inode, side_inode;
  _Atomic uint64_t looked; /* when it was looked at last: kv_now */
} kv_place;

struct kv_env {
  kv_env *next;          /* in the registry */
  dev_t device;
  ino_t inode;
  _Atomic unsigned handles;
  MDB_env *mdb;
  const unsigned char *metas; /* LMDB's two meta pages, mapped once more */
  gate gate;
  writer writer;
  bool readonly;
  bool dead;             /* lost its map, or left: only to be closed */
  bool left;             /* another process opened it (kv_left.c) */
  lode_buffer lost;      /* its readers' MDB_txn, which nobody can free */
  int fds[KV_FDS];       /* what LMDB has open; -1: nothing */
  kv_place place;
  pthread_mutex_t burial; /* of the next three */
  kv_txn *writing;       /* who has the writer lock */
  MDB_txn *orphan;       /* what a handle began that is gone; null: none */
  bool orphan_inside;    /* the gate */
  pthread_mutex_t pins_mutex;
  kv_txn *pins;          /* what kv_pin has begun */
  _Atomic uint64_t cleared; /* when the readers were looked at: kv_now */
  bool nosync;           /* as the flag stands now */
  bool widened;          /* the map is past the quota, for deletes */
  bool tight;            /* the disk is full (kv_space.c) */
  bool begun;            /* a write transaction is open: see kv_dbs_claim */
  uint64_t map_size, max_size, page_size;
  uint64_t space_looked; /* when, in ms */
  uint64_t roomy_quota, roomy_map; /* what holds when it isn't `tight` */
  unsigned collections, timeout;
  char *name;            /* for messages */
  kv_db catalog;
  unsigned char id[16];
  _Atomic uint64_t generation;
  pthread_mutex_t dbs_mutex;
  pthread_cond_t dbs_changed;
  kv_txn *maker;         /* the transaction that has made databases */
  kv_open_db *dbs;          /* by handle */
  unsigned max_dbs, used_dbs;
};

/* The same for a transaction of this environment. */
static inline lode_status txn_failure (kv_txn *t, int rc) {
  return kv_failure(t->error, rc, t->env->name);
}

static inline MDB_val val_of (lode_slice s) {
  MDB_val v = { s.size, (void *)s.data };
  return v;
}

/* Gives the map another size; 0: that of the file's newest state. */
lode_status kv_map_change (kv_env *env, uint64_t size, lode_error *e);

/* The databases that a level of `t` made stay, or are forgotten. */
void kv_dbs_keep (kv_txn *t, unsigned depth);
/*
** From the begin of a write transaction to its end, no other of this process
** may open databases. LMDB gives each the next place that its transaction
** knows to be free, and a writer knows nothing of those that others have
** opened since it began: it would give their place once more.
*/
void kv_dbs_claim (kv_env *env);
void kv_dbs_release (kv_env *env);
void kv_dbs_forget (kv_txn *t, unsigned depth);

/* REENTRY, IO: the environment is left, or has no map any more. */
lode_status kv_dead (kv_txn *t);

/* Leaves an environment that this process has inherited (kv_left.c). */
void kv_leave (kv_env *env);
/* Forgets what a transaction of such an environment has open. */
void kv_forget (kv_txn *t);
/* Rolls back what a thread has left open that ended with the writer lock. */
void kv_bury (kv_env *env);
/*
** A writer is to end, in a thread that is not its own. True: it may, since
** its own has ended. Else it was given up, or was by another, and `t` is
** only to be forgotten.
*/
bool kv_disown (kv_txn *t);
/*
** Whether LMDB's writer lock is that of a living thread, which kv_disown has
** left with it: then the environment can't be closed, as the thread would
** come to the lock in memory that is gone. Who opens the file finds it.
*/
bool kv_is_held (kv_env *env);
/* Takes over what kv_disown gave up in this thread. False: nothing. */
bool kv_adopt (kv_env *env);

/* Lets the room above work on the file while nobody else uses it here. */
lode_status kv_with_txn (kv_env *env, lode_status (*work)(kv_txn *t),
                         lode_error *error);

#define KV_ALLOWANCE ((uint64_t)1 << 20) /* past the quota, for deletes */

/* The quota that a limit on the size of files makes of `max_size`. */
uint64_t kv_space_quota (uint64_t max_size);
/* Keeps the ballast, or gives it up. */
void kv_space_ballast (kv_env *env, bool keep);
/* As mdb_txn_commit; a file that grows too large is an error, no signal. */
int kv_space_commit (MDB_txn *txn);
/* What a write has failed with: DISK_FULL makes the space tight. */
void kv_space_note (kv_env *env, lode_status st);
/* At the start of a transaction: is there room, still or again? BUSY. */
lode_status kv_space_look (kv_env *env, uint64_t now, lode_error *error);
/* DISK_FULL or FULL, in words. */
lode_status kv_space_full (const kv_env *env, lode_error *error);

/* Opens the side file, and with it the lock, where anything is written. */
lode_status kv_side_open (kv_env *env, const files *f, const lode_options *o,
                          lode_error *error);
/* Has the store checked where that was asked for or there is a reason to. */
lode_status kv_side_doubt (kv_env *env, const files *f,
                           const lode_options *o, const kv_hooks *hooks,
                           lode_error *error);
/*
** The last handle goes: what was noted as not synced is, now, unless others
** write at this moment, who will do the same.
*/
void kv_side_settle (kv_env *env);

/* What LMDB has opened, and where: kv_place.c. 0, or an error's number. */
int kv_place_find (kv_env *env, const files *f);
void kv_place_free (kv_env *env);
/*
** BUSY when another process has the file open with another lock file, or
** has lost its locks of this one, for `timeout` ms. The first before LMDB
** opens the file, the second when it has.
*/
lode_status kv_place_ask (const files *f, unsigned timeout,
                          lode_error *error);
lode_status kv_place_tell (kv_env *env, const files *f, lode_error *error);
/*
** Keeps all others out who would open the file, until `*fd` is closed (-1:
** nothing to close). BUSY after `timeout` ms.
*/
lode_status kv_place_enter (const files *f, unsigned timeout, int *fd,
                            lode_error *error);
/* IO when the lock file is not what it was; looks now and then. */
lode_status kv_place_check (kv_env *env, uint64_t now, lode_error *error);

/* The writing half of kv_db_remove. */
lode_status kv_write_remove (kv_txn *t, lode_slice name);

/* Logs that `t` has opened a database, or mends that there was no room. */
lode_status kv_log_made (kv_txn *t, lode_slice name, kv_db db);
lode_status kv_make_room (kv_txn *t);

/* FULL and the like when `t` has failed and can only be rolled back. */
lode_status kv_usable (kv_txn *t);
/* Whether that is so. */
static inline bool kv_is_lost (const kv_txn *t) {
  return t->failed_depth != 0 || t->env->left;
}

#endif

/* }================================================================== */

#endif
