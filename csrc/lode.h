/*
** lode.h - Lua tables that live on disk: the engine, without any Lua.
**
** A store is one LMDB environment: a directory (or one file) that holds
** named dicts and sets. Every process opens a file once, however many
** handles it has; a `lode_store` is one such handle and belongs to one
** thread at a time (in the binding: to one lua_State).
**
** Every call that can fail gives a `lode_status`; results come through
** out-parameters, which a failure leaves untouched. What went wrong, in
** words, is in `lode_store_error` until the next failure of that handle.
*/
#ifndef LODE_H
#define LODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Only these names are seen from outside of the shared library. */
#ifdef LODE_SHARED
#pragma GCC visibility push(default)
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define LODE_VERSION "0.2.0"
#define LODE_FORMAT 1 /* of the files; a store of a newer one is refused */

/* {==================================================================
** Status
** =================================================================== */

typedef enum lode_status {
  LODE_OK = 0,
  LODE_ABSENT, /* not a failure: there is no such entry, name or next */
  LODE_EXISTS, /* not a failure: there is one already */
  LODE_BAD_ARGUMENT, /* the first failure */
  LODE_BAD_KEY,
  LODE_BAD_VALUE,
  LODE_CLOSED,
  LODE_READONLY,
  LODE_NOT_FOUND,
  LODE_NOT_A_STORE,
  LODE_INCOMPATIBLE,
  LODE_UNSAFE_FS,
  LODE_FULL,
  LODE_DISK_FULL,
  LODE_READERS_FULL,
  LODE_BUSY,
  LODE_REENTRY,
  LODE_CORRUPT,
  LODE_IO,
  LODE_NO_MEMORY,
  LODE_CALLBACK /* a function of the caller's failed: it knows why */
} lode_status;

typedef struct lode_error {
  lode_status status;
  char text[400]; /* what happened, where, and what to do; ends in 0 */
} lode_error;

/* The name of a status as users see it: "BAD_KEY". */
const char *lode_status_name (lode_status status);

/* }================================================================== */

/* {==================================================================
** Bytes
** =================================================================== */

typedef struct lode_slice { /* bytes that somebody else owns */
  const unsigned char *data;
  size_t size;
} lode_slice;

typedef struct lode_buffer { /* bytes that grow; all zero is empty */
  unsigned char *data;
  size_t size;
  size_t room;
} lode_buffer;

/* Makes room for `extra` bytes past the end. NO_MEMORY. */
lode_status lode_buffer_reserve (lode_buffer *b, size_t extra);
/* Adds `size` bytes. NO_MEMORY. */
lode_status lode_buffer_add (lode_buffer *b, const void *data, size_t size);
/* Gives the memory back; the buffer is empty and can be used again. */
void lode_buffer_free (lode_buffer *b);

/* }================================================================== */

/* {==================================================================
** Keys: false < true < numbers by value < strings by byte < tuples
** =================================================================== */

#define LODE_KEY_MAX ((size_t)1 << 20) /* bytes of an encoded key */
#define LODE_KEY_TEXT 0x07 /* the first byte of a string that is a key */
#define LODE_KEY_ROOM 480 /* bytes of a key that stand in the tree */

typedef enum lode_key_type {
  LODE_KEY_BOOLEAN,
  LODE_KEY_INTEGER,
  LODE_KEY_NUMBER,
  LODE_KEY_STRING,
  LODE_KEY_TUPLE
} lode_key_type;

/*
** Each appends one scalar to `b`: to an empty buffer as a whole key, to a
** buffer that `lode_key_tuple` began as its next element.
** BAD_KEY for NaN and for a key past LODE_KEY_MAX; NO_MEMORY; BAD_ARGUMENT
** where `b` holds something else. A number that is a whole 64-bit integer
** becomes the same key as that integer; -0.0 is 0.
*/
lode_status lode_key_boolean (lode_buffer *b, bool v);
lode_status lode_key_integer (lode_buffer *b, int64_t v);
lode_status lode_key_number (lode_buffer *b, double v);
lode_status lode_key_string (lode_buffer *b, const void *s, size_t size);
/* Begins a tuple in the empty buffer `b`; its elements follow. */
lode_status lode_key_tuple (lode_buffer *b);

typedef struct lode_atom { /* one scalar, or the mark of a tuple */
  lode_key_type type;
  bool boolean;
  int64_t integer;
  double number;
  lode_slice string; /* in the key, or in the scratch it was unescaped to */
} lode_atom;

/*
** Reads the next part of an encoded key from `rest` and moves it on. A
** tuple gives one LODE_KEY_TUPLE, then each element; ABSENT at the end.
** `scratch` takes strings that were escaped, and is overwritten at each
** call. CORRUPT for bytes that are no key. `in_tuple` is false at first
** and kept by this function.
*/
lode_status lode_key_read (lode_slice *rest, bool *in_tuple,
                           lode_buffer *scratch, lode_atom *atom);

/*
** Whether an encoded key is one string; then that is in `string`: its own
** bytes, as a string that is a whole key is never escaped. Inline, since
** every step of a walk asks.
*/
static inline bool lode_key_as_string (lode_slice whole,
                                       lode_slice *string) {
  if (whole.size == 0 || whole.data[0] != LODE_KEY_TEXT) return false;
  string->data = whole.data + 1;
  string->size = whole.size - 1;
  return true;
}

/* }================================================================== */

/* {==================================================================
** Stores
** =================================================================== */

typedef struct lode_store lode_store;
typedef struct lode_coll lode_coll; /* a dict or a set */
typedef struct lode_walk lode_walk; /* a walk over entries or members */

typedef enum lode_durability {
  LODE_COMMIT, /* on disk when a write returns */
  LODE_OS,     /* with the operating system; lode_flush syncs */
  LODE_BEHIND  /* in memory: a thread commits batches, in order and synced */
} lode_durability;

typedef enum lode_maintenance { /* who removes what has expired */
  LODE_INLINE,     /* each write, a few */
  LODE_BACKGROUND, /* a thread of this process */
  LODE_OFF         /* lode_maintain alone */
} lode_maintenance;

typedef enum lode_checking { /* when a store is opened */
  LODE_CHECK_NONE,
  LODE_CHECK_FIRST,      /* CORRUPT when it is not whole */
  LODE_CHECK_BACKGROUND  /* a thread does it; see lode_check_ended */
} lode_checking;

typedef struct lode_options {
  bool readonly;
  bool create;
  bool single_file;
  bool allow_unsafe_fs;
  bool checksum;
  unsigned mode;           /* permission bits of new files */
  uint64_t map_size;       /* bytes; 0: as much as the system grants */
  uint64_t max_size;       /* bytes of file; 0: no quota */
  unsigned collections;
  unsigned readers;
  unsigned lock_timeout;   /* ms to wait for another writer */
  lode_durability durability;
  /* What may be lost of LODE_BEHIND: the smallest of all handles that the
     process has on the file. */
  unsigned flush_ops;      /* writes that are not on disk yet */
  uint64_t flush_bytes;    /* bytes of their keys and values */
  unsigned flush_ms;       /* age of the oldest, but for the commit's time */
  bool autoflush_on_read;  /* walks and counts commit first what is pending;
                              else they see what is committed */
  lode_maintenance maintenance;
  lode_checking check;
  /* Gives the time, in ms since the epoch, or LODE_NEVER when it fails,
     which makes the call give LODE_CALLBACK. Null: the system's clock. */
  uint64_t (*clock)(void *data);
  void *clock_data;
} lode_options;

/* Fills `options` with the defaults. */
void lode_options_init (lode_options *options);

/*
** Opens the store at `path`, making it when absent and allowed. The
** handle is the caller's, to be closed with lode_close.
** NOT_FOUND, NOT_A_STORE, INCOMPATIBLE, CORRUPT, UNSAFE_FS, BUSY, IO,
** DISK_FULL, READONLY, NO_MEMORY, BAD_ARGUMENT; the words in `error`.
*/
lode_status lode_open (const char *path, const lode_options *options,
                       lode_store **store, lode_error *error);

/*
** Ends what is open (transactions are rolled back), closes every
** collection and walk of the handle, and frees it. Collections and walks
** stay to be closed by their owners: each of their calls gives CLOSED.
** IO or DISK_FULL when the last sync fails, and what the last batch of
** LODE_BEHIND has failed with; the handle is gone all the same, and with
** the last one that writes behind what is pending. A null handle is fine.
*/
lode_status lode_close (lode_store *store, lode_error *error);

/* The words for the handle's last failure. Never null. */
const lode_error *lode_store_error (const lode_store *store);
const char *lode_store_path (const lode_store *store);
bool lode_store_readonly (const lode_store *store);
/* Whether its writes may wait: LODE_BEHIND. */
bool lode_store_behind (const lode_store *store);

/*
** Somebody who keeps a pointer to a handle that others close, as Lua does of
** one that it was handed (lode_lua.h). The memory is the watcher's own, and
** has `closed` and `data` set; it belongs to the handle's thread.
*/
typedef struct lode_watch {
  void (*closed)(void *data); /* lode_close begins; the watch is over */
  void *data;
  struct lode_watch *next, **link; /* link null: it watches nothing */
} lode_watch;

/* From now on `w` hears of the end of this handle. */
void lode_watch_begin (lode_store *store, lode_watch *w);
/* Fine also when it is over. */
void lode_watch_end (lode_watch *w);

/* A number that grows with each commit by anyone. */
lode_status lode_version (lode_store *store, uint64_t *version);
/* Of the statistics, what costs nothing: how many were evicted. */
uint64_t lode_evicted (const lode_store *store);
/*
** Returns when all that this process wrote is on disk. A batch of
** LODE_BEHIND that failed before is tried again; so it gives what that fails
** with, and NOT_FOUND once after writes were lost with their collection.
*/
lode_status lode_flush (lode_store *store);
/*
** Begins to sync what all handles of this process wrote, and returns: a
** thread does it, while others read and write. IO also for one that was
** begun before and has failed.
*/
lode_status lode_flush_later (lode_store *store);

typedef struct lode_backup_options { /* a null one: all zero */
  bool compact;          /* leave free pages out: smaller, and slower */
  /* How many bytes are written, of about how many; false stops it. */
  bool (*progress)(void *data, uint64_t done, uint64_t total);
  void *data;
} lode_backup_options;

/*
** Writes a copy of the last committed state to the directory `path` (a
** file where the store is a single file), made when absent, while others
** read and write; nothing may be there yet. It waits for no writer. REENTRY
** inside a transaction; BUSY when others commit so fast that no state holds
** still; DISK_FULL, IO, NO_MEMORY; CALLBACK when it was stopped. What it
** could not finish is removed.
*/
lode_status lode_backup (lode_store *store, const char *path,
                         const lode_backup_options *options);

typedef struct lode_stats {
  uint64_t file_size;    /* bytes of the data file */
  uint64_t used_size;    /* bytes of it in use by entries and trees */
  uint64_t free_size;    /* bytes of it that new writes fill first */
  uint64_t map_size;     /* bytes of address space reserved */
  uint64_t max_size;     /* the quota; 0: none */
  uint64_t entries;      /* of all collections */
  uint64_t collections;
  uint64_t version;
  unsigned readers;      /* reader slots in use, of all processes */
  unsigned max_readers;
  uint64_t oldest_age;   /* commits since the oldest moment that anybody, in
                            any process, still reads: its pages are kept */
  int oldest_process;    /* who does; 0: nobody reads an older one */
  uint64_t oldest_ms;    /* for how long; 0: not a snapshot of this process */
  unsigned handles;      /* open handles of this process on this file */
  uint64_t expired;      /* entries past their time, and not removed yet */
  uint64_t waiting;      /* of these, kept for a policy unknown here */
  uint64_t reads;        /* lookups by key by all processes, but for the few
                            last ones of each; what a cache answers is none */
  uint64_t found;        /* of these, that found a live entry */
  uint64_t accesses;     /* noted by this process, and not kept yet */
  uint64_t swept;        /* entries that this handle has removed */
  uint64_t last_sweep;   /* ms since the epoch; 0: none by this handle */
  uint64_t evicted;      /* entries, alive, that went for a cap by it */
  uint64_t pending;      /* writes behind, of this process, not on disk yet */
  uint64_t pending_bytes; /* of their keys and values */
  uint64_t last_flush;   /* ms since the epoch; 0: no batch yet */
  lode_status failed;    /* of the last batch; OK: it is on disk */
} lode_stats;

/* Counts them now. READERS_FULL, BUSY, CORRUPT, IO, CALLBACK. */
lode_status lode_store_stats (lode_store *store, lode_stats *stats);

/* }================================================================== */

/* {==================================================================
** Transactions
** =================================================================== */

/*
** Begins a write transaction of this handle, or a savepoint in the one
** that is open. All that the handle does until the matching lode_commit
** or lode_abort belongs to it.
** BUSY after lock_timeout; REENTRY where this thread writes through
** another handle of the file or inside lode_lock; READONLY, FULL, IO.
*/
lode_status lode_begin (lode_store *store);
/* Ends the innermost one; on failure nothing of it is kept. */
lode_status lode_commit (lode_store *store);
void lode_abort (lode_store *store);
/* How many are open: 0, 1, or more with savepoints. */
unsigned lode_depth (const lode_store *store);

/*
** Pins one moment: reads of this handle see it until the matching
** lode_snapshot_end; they nest. Writes give READONLY meanwhile. Inside a
** transaction the moment is the transaction's own.
*/
lode_status lode_snapshot (lode_store *store);
void lode_snapshot_end (lode_store *store);

/*
** Read, compute, write, with no lost update and no transaction open while
** the computing goes on: lode_lock keeps other writers out, lode_lock_begin
** turns the lock into a transaction (ended by lode_commit or lode_abort) or,
** when it fails, gives it back; lode_unlock gives up. In between, reads work
** and writes give REENTRY.
*/
lode_status lode_lock (lode_store *store);
lode_status lode_lock_begin (lode_store *store);
void lode_unlock (lode_store *store);

/* }================================================================== */

/* {==================================================================
** Collections
** =================================================================== */

typedef enum lode_kind {
  LODE_DICT = 1,
  LODE_SET = 2,
  LODE_RAW = 3 /* another program's database; only lode_coll_next says so */
} lode_kind;

#define LODE_NAME_MAX 200 /* bytes of a collection's name */

typedef enum lode_type { /* of keys and values; LODE_ANY: no check */
  LODE_ANY, LODE_STRING, LODE_INTEGER, LODE_NUMBER, LODE_BOOLEAN,
  LODE_TABLE, LODE_TUPLE
} lode_type;

typedef enum lode_evict { /* who goes first when a cap is reached */
  LODE_EVICT_NONE,  /* none given */
  LODE_EVICT_SIEVE, /* the oldest one that wasn't read since it was asked */
  LODE_EVICT_LRU,   /* the one whose last access is the longest ago */
  LODE_EVICT_LFU,   /* the one with the fewest accesses */
  LODE_EVICT_FIFO,  /* the oldest */
  LODE_EVICT_TTL,   /* the one that dies next; those that never do, last */
  LODE_EVICT_RANK   /* the one with the lowest rank (lode_hooks) */
} lode_evict;

#define LODE_CAP_SLACK 16 /* entries that a cap may be exceeded by */

typedef struct lode_hooks lode_hooks; /* below */

typedef struct lode_coll_options { /* what is kept with a collection */
  lode_type key, value;      /* LODE_ANY: none given */
  lode_slice serializer;     /* its name; empty: none given */
  lode_slice key_serializer; /* its name; empty: none given */
  bool custom_hash;          /* keys come with a hash of the caller's */
  bool raw;                  /* a plain LMDB database, as it lies */
  /* Lifetimes and caps; see the section on time. */
  uint64_t ttl;              /* ms from the last write; 0: none given */
  lode_slice policy;         /* its name; empty: none given */
  bool policy_reads;         /* and it depends on accesses */
  bool on_expire;            /* what dies is to be shown to a hook */
  bool times;                /* keep times and hits of each entry */
  uint64_t max_entries;      /* 0: none given */
  uint64_t max_bytes;        /* of keys and values; 0: none given */
  lode_evict evict;
  /* Not kept: */
  bool rearm;                /* replace what was kept of time by this, and
                                give every entry its deadline anew */
  const lode_hooks *hooks;   /* null: none; copied */
} lode_coll_options;

/*
** Opens the collection `name` of this kind, making it when absent.
** Options not given are taken from what is kept; given ones must agree:
** INCOMPATIBLE names the one that differs, or the kind. BAD_ARGUMENT for
** an empty or too long name; NOT_FOUND when absent and readonly.
*/
lode_status lode_coll_open (lode_store *store, lode_slice name,
                            lode_kind kind, const lode_coll_options *options,
                            lode_coll **coll);
/* Frees the handle; the collection stays. A null handle is fine. */
void lode_coll_close (lode_coll *coll);

/* What is kept with it; slices live as long as the handle. */
const lode_coll_options *lode_coll_kept (const lode_coll *coll);
/* Its present name (it may have been renamed), in `name`. NOT_FOUND. */
lode_status lode_coll_name (lode_coll *coll, lode_buffer *name);
/* The store it belongs to; null once that is closed. */
lode_store *lode_coll_store (const lode_coll *coll);

/* Removes the collection with all it holds. ABSENT when there is none. */
lode_status lode_drop (lode_store *store, lode_slice name);
/* ABSENT when there is no `from`; INCOMPATIBLE when `to` is taken. */
lode_status lode_rename (lode_store *store, lode_slice from, lode_slice to);
/*
** The first collection whose name sorts after `after` (empty: the first of
** all): its name in `name`, its kind in `kind`. ABSENT at the end.
*/
lode_status lode_coll_next (lode_store *store, lode_slice after,
                            lode_buffer *name, lode_kind *kind);

typedef struct lode_coll_stats {
  uint64_t entries;      /* alive */
  uint64_t expired;      /* past their time, and not removed yet */
  uint64_t waiting;      /* of these, kept for hooks that aren't here */
  uint64_t size;         /* bytes of its pages */
  unsigned depth;        /* of its tree */
  uint64_t branch_pages, leaf_pages, overflow_pages;
} lode_coll_stats;

/* Counts them now. NOT_FOUND when the collection was dropped. */
lode_status lode_coll_statistics (lode_coll *coll, lode_coll_stats *stats);

/* }================================================================== */

/* {==================================================================
** Entries
** =================================================================== */

typedef struct lode_key { /* made by lode_key_of; lives as `whole` does */
  lode_slice whole;                  /* as it was encoded */
  lode_slice stored;                 /* what stands in the tree */
  unsigned char room[LODE_KEY_ROOM]; /* holds `stored` of a long key */
} lode_key;

/* Whether a key of this many encoded bytes needs a hash. */
bool lode_key_is_long (const lode_coll *coll, size_t size);

/*
** Prepares an encoded key for `coll`. `hash` is what the collection's own
** hash function gave for a long key (its first 16 bytes count), empty
** otherwise. In a raw collection the bytes are the key.
** BAD_KEY: empty or longer than LODE_KEY_MAX (raw: 511).
*/
lode_status lode_key_of (lode_coll *coll, lode_slice whole, lode_slice hash,
                         lode_key *key);

/*
** Encodes a string to the emptied buffer `b` and prepares it: what
** lode_key_string and lode_key_of do, at less cost; without a hash.
*/
lode_status lode_key_of_string (lode_coll *coll, lode_slice s,
                                lode_buffer *b, lode_key *key);

typedef enum lode_codec { /* how a value's bytes are to be read */
  LODE_NOTHING = 0,    /* a member of a set */
  LODE_BYTES = 1,      /* a string: its bytes */
  LODE_MSGPACK = 2,    /* MessagePack */
  LODE_SERIALIZED = 3  /* the collection's serializer made them */
} lode_codec;

typedef struct lode_value {
  lode_slice data;
  lode_codec codec;
} lode_value;

/*
** The value under `key`, straight from the map: it may be read until
** lode_done (or any other call on the handle). ABSENT: nothing is held.
** CORRUPT, NOT_FOUND (the collection was dropped), CLOSED, IO, BUSY.
*/
lode_status lode_get (lode_coll *coll, const lode_key *key,
                      lode_value *value);
/* Ends what lode_get began. */
void lode_done (lode_coll *coll);

/*
** How long an answer can be kept: while no process commits anything and
** this one writes nothing behind, and before a time of the store's clock.
** It is asked for before lode_done.
*/
typedef struct lode_validity {
  uint64_t commit;  /* the last one; 0: it can't be kept at all */
  uint64_t pending; /* the last write behind of this process */
  uint64_t expires; /* ms since the epoch; LODE_NEVER: no such time */
} lode_validity;

/*
** Of what the last lode_get gave, OK or ABSENT. Not to be kept is what was
** read inside a transaction or snapshot, what has died, and whatever comes
** from a collection where reads are noted.
*/
void lode_validity_of (const lode_coll *coll, lode_validity *v);
/*
** Whether such an answer is still what lode_get would give. False also
** inside a transaction or snapshot. Costs some loads; with a time, a look
** at the clock.
*/
bool lode_is_valid (lode_store *store, const lode_validity *v);

/* OK or ABSENT; holds nothing. */
lode_status lode_has (lode_coll *coll, const lode_key *key);

typedef enum lode_put_mode { LODE_PUT, LODE_ADD, LODE_REPLACE } lode_put_mode;

#define LODE_NEVER UINT64_MAX /* of a ttl or a time: the entry stays */
#define LODE_TTL_OWN 0 /* what the collection's options or policy say */
#define LODE_TTL_KEEP (UINT64_MAX - 1) /* the same; where they say nothing,
                                          the deadline that it has stays */

/*
** Writes an entry, in the handle's transaction or in one of its own, to
** live `ttl` ms, or one of the values above.
** LODE_ADD gives EXISTS, LODE_REPLACE gives ABSENT, and nothing is
** changed. With LODE_BEHIND and outside of transactions LODE_PUT only takes
** the write, unless the collection has a policy, hooks or caps, or is raw;
** all else commits at once, after what was taken before.
** FULL, DISK_FULL, BUSY, READONLY, REENTRY, CORRUPT, IO, CALLBACK.
*/
lode_status lode_put (lode_coll *coll, const lode_key *key, lode_value value,
                      lode_put_mode mode, uint64_t ttl);
/* Removes an entry. ABSENT when there was none. */
lode_status lode_delete (lode_coll *coll, const lode_key *key);

/*
** A load of many entries, in the transaction that is open: keys that come
** in ascending order past the last one stored are appended.
*/
typedef struct lode_batch lode_batch;
/* `ttl`: of every entry, as lode_put takes it. */
lode_status lode_batch_begin (lode_coll *coll, uint64_t ttl,
                              lode_batch **batch);
/* Takes a copy of one entry. `key` must have been made for the same coll. */
lode_status lode_batch_add (lode_batch *batch, const lode_key *key,
                            lode_value value);
/* Bytes taken and not yet written. */
size_t lode_batch_pending (const lode_batch *batch);
/* Of the members written to a set, how many were not there before. */
uint64_t lode_batch_added (const lode_batch *batch);
/* Writes what was taken, sorted; of equal keys the last one stays. */
lode_status lode_batch_write (lode_batch *batch);
/* Frees it; what was not written is forgotten. A null batch is fine. */
void lode_batch_end (lode_batch *batch);

/* Entries there are, alive. */
lode_status lode_len (lode_coll *coll, uint64_t *n);

typedef struct lode_range {
  const lode_key *from, *to;   /* null: open */
  bool after, before;          /* leave `from` or `to` itself out */
  lode_slice prefix;           /* encoded: of a string, or a tuple's start */
  bool reverse;
  uint64_t limit;              /* UINT64_MAX: none */
} lode_range;

/* Entries in the range. */
lode_status lode_count (lode_coll *coll, const lode_range *range,
                        uint64_t *n);
/* Removes the entries in the range, all or none. `n`: how many. */
lode_status lode_delete_range (lode_coll *coll, const lode_range *range,
                               uint64_t *n);
/* Removes every entry. */
lode_status lode_clear (lode_coll *coll, uint64_t *n);

/* }================================================================== */

#include "lode_time.h" /* deadlines, policies, caps, upkeep, fetch */
#include "lode_check.h" /* is it whole? repair, salvage */

/* {==================================================================
** Walks
** =================================================================== */

/*
** A walk over a range (copied) in order. It reads ahead in pages and pins
** nothing between them, so others may write meanwhile: every key comes at
** most once. With `snapshot` it pins one moment until it ends or is closed.
*/
lode_status lode_walk_open (lode_coll *coll, const lode_range *range,
                            bool snapshot, lode_walk **walk);
/*
** The next entry: its whole encoded key and its value, good until the next
** call on this walk. ABSENT at the end, again and again.
*/
lode_status lode_walk_next (lode_walk *walk, lode_slice *key,
                            lode_value *value);
/* When the entry that it gave last dies, in ms since the epoch. */
uint64_t lode_walk_expires (const lode_walk *walk);
/* The words for the walk's last failure come from this store. */
lode_store *lode_walk_store (const lode_walk *walk);
/* Frees it. A null walk is fine. */
void lode_walk_close (lode_walk *walk);

/* }================================================================== */

/* {==================================================================
** Algebra of sets: an expression in postfix order
** =================================================================== */

typedef enum lode_operator {
  LODE_LEAF,      /* pushes `leaf` */
  LODE_UNION,     /* the others take two and push one */
  LODE_INTERSECTION,
  LODE_DIFFERENCE,
  LODE_SYMMETRIC
} lode_operator;

typedef struct lode_term {
  lode_operator op;
  lode_coll *leaf;
} lode_term;

#define LODE_TERMS_MAX 255 /* terms of one expression */

/*
** A walk over the members of an expression, ordered, in constant memory.
** Leaves may belong to several stores of this thread and must live as long
** as the walk. `snapshot` only with leaves of one store.
*/
lode_status lode_merge_open (const lode_term *terms, size_t n,
                             const lode_range *range, bool snapshot,
                             lode_walk **walk);
/* How many members it has, counted at one moment of each store. */
lode_status lode_merge_count (const lode_term *terms, size_t n,
                              uint64_t *count);
/*
** Makes `target` hold just the members of the expression (`replace`), or
** adds them; in one transaction; `target` may be one of the leaves.
*/
lode_status lode_merge_save (const lode_term *terms, size_t n,
                             lode_coll *target, bool replace);

/* }================================================================== */

/* {==================================================================
** The test build only (-DLODE_TEST)
** =================================================================== */

#ifdef LODE_TEST
/* The n-th allocation from now on fails, once; 0: none does. */
void lode_test_fail_allocation (unsigned long n);
/* Blocks of memory that lode holds now. */
long lode_test_live_blocks (void);
/* Handles, collections and walks that are open now. */
long lode_test_live_handles (void);
/*
** How many calls the deadline index of a collection has, and in how many
** places its records and its indexes don't agree.
*/
lode_status lode_test_indexes (lode_coll *coll, uint64_t *calls,
                               uint64_t *lost);
#endif

/* }================================================================== */

#ifdef __cplusplus
}
#endif

#ifdef LODE_SHARED
#pragma GCC visibility pop
#endif

#endif
