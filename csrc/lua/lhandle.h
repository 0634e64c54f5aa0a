/*
** lhandle.h - what stands behind the userdata that Lua sees.
**
** A userdata begins with a tag, the address of a byte of its kind, so one
** load and one comparison tell what it is, without its metatable. It is
** made closed and gets what it owns afterwards, so that an error in between
** finds it either empty or whole. Close, __gc and __close are one function.
**
** A handle keeps the one below it alive through its user value, a table.
** The collector may still finalize the lower one first (at lua_close it
** does so in any order), so no finalizer looks at another handle: the core
** lets a collection be closed after its store.
*/
#ifndef LODE_LHANDLE_H
#define LODE_LHANDLE_H

#include "../lode.h"
#include "compat.h"
#include "lerror.h"

typedef enum lkind {
  LKIND_STORE, LKIND_DICT, LKIND_SET, LKIND_EXPR, LKIND_WALK, LKINDS
} lkind;

typedef struct lguard lguard; /* lguard.h */
typedef struct lcall lcall;   /* lhooks.c */

#define LSTORE_DEPTH 8 /* callbacks of a store that may run, nested */

typedef struct lstore {
  const void *tag;
  lode_store *store;       /* null: closed */
  lode_watch watch;        /* of the host's handle, when it is lent */
  bool checking;           /* in the background; see lcheck_news */
  lode_buffer key, value;  /* scratch, so that a call allocates nothing */
  lguard *guard;           /* the innermost call that holds the lock */
  unsigned depth;          /* callbacks of lhooks.h that are running */
  lcall *call;             /* the one that begins */
  lua_State *threads[LSTORE_DEPTH + 1]; /* they run on these; null: none
                              made yet; kept by the user value */
} lstore;

/* The user value of a store: */
enum {
  STORE_NAME = 1, STORE_PATH, STORE_LOG, STORE_LEVEL, STORE_CLOCK,
  STORE_THREADS, STORE_SLOTS = STORE_THREADS
};

typedef struct lcoll { /* a dict or a set */
  const void *tag;
  lode_coll *coll;         /* null: not opened, or finalized */
  lstore *owner;           /* kept alive by the user value */
  bool raw;
  bool key_callbacks;      /* keys pass a serializer or a hash function */
  bool value_callbacks;    /* values pass a serializer */
  lode_type key, value;    /* the types that are checked */
  const char *asked;       /* the option whose function was called last */
  /* Its cache (lcache.h): */
  unsigned cache;          /* decoded values to keep; 0: there is none */
  unsigned newer;          /* those that were put in the newer table */
  bool older;              /* there is an older table, too */
  bool older_first;        /* it is asked first: the last hit was there */
  lode_validity valid;     /* of all that stands in them */
} lcoll;

/* The user value of a dict or set: */
enum {
  COLL_STORE = 1, COLL_NAME, COLL_HASH,
  COLL_SERIALIZER, COLL_ENCODE, COLL_DECODE,
  COLL_KEY_SERIALIZER, COLL_KEY_ENCODE, COLL_KEY_DECODE,
  COLL_POLICY, COLL_EXPIRE, COLL_ON_EXPIRE, COLL_EVICT,
  COLL_INDEX, COLL_SLOTS = COLL_INDEX
};

typedef struct lexpr { /* an expression over sets */
  const void *tag;
  lode_operator op;
  const void *operands[2]; /* lcoll or lexpr, kept by the user value */
  unsigned terms;          /* of the whole expression */
} lexpr;

/* The user value of an expression: */
enum { EXPR_LEFT = 1, EXPR_RIGHT };

extern const char lhandle_tags[LKINDS];

/* The address of the handle at `i` when it is of this kind, else null. */
static inline void *lhandle_test (lua_State *L, int i, lkind kind,
                                  size_t size) {
  void *p = lua_touserdata(L, i);
  if (p == NULL || lua_rawlen(L, i) < size) return NULL;
  return *(const void *const *)p == &lhandle_tags[kind] ? p : NULL;
}

static inline bool lhandle_of_kind (const void *p, lkind kind) {
  return *(const void *const *)p == &lhandle_tags[kind];
}

/* [-0, +0, v] Raises BAD_ARGUMENT: a handle of another kind expected. */
int lhandle_wrong (lua_State *L, int i, const char *expected);

/* [-0, +0, v] Raises CLOSED for the handle at `self`. */
int lhandle_closed (lua_State *L, int self);

static inline bool lhandle_is_open (const lcoll *c) {
  return c->coll != NULL && c->owner->store != NULL;
}

/*
** [-0, +0, m] The store at `i`, or of the collection there, is checked in
** the background: logs what came of it, once it is known.
*/
void lhandle_news (lua_State *L, int i);

/* [-0, +0, v] The open store, dict or set at `i`, or BAD_ARGUMENT, CLOSED. */
static inline lstore *lhandle_store (lua_State *L, int i) {
  lstore *s = lhandle_test(L, i, LKIND_STORE, sizeof(lstore));
  if (s == NULL) lhandle_wrong(L, i, "a store");
  if (s->store == NULL) lhandle_closed(L, i);
  if (s->checking) lhandle_news(L, i);
  return s;
}

static inline lcoll *lhandle_dict (lua_State *L, int i) {
  lcoll *c = lhandle_test(L, i, LKIND_DICT, sizeof(lcoll));
  if (c == NULL) lhandle_wrong(L, i, "a dict");
  if (!lhandle_is_open(c)) lhandle_closed(L, i);
  if (c->owner->checking) lhandle_news(L, i);
  return c;
}

static inline lcoll *lhandle_set (lua_State *L, int i) {
  lcoll *c = lhandle_test(L, i, LKIND_SET, sizeof(lcoll));
  if (c == NULL) lhandle_wrong(L, i, "a set");
  if (!lhandle_is_open(c)) lhandle_closed(L, i);
  if (c->owner->checking) lhandle_news(L, i);
  return c;
}

/* The dict or set at `i`, open or not; null: it is neither. */
static inline lcoll *lhandle_test_coll (lua_State *L, int i) {
  lcoll *c = lhandle_test(L, i, LKIND_DICT, sizeof(lcoll));
  return c != NULL ? c : lhandle_test(L, i, LKIND_SET, sizeof(lcoll));
}

/*
** [-0, +1, m] Pushes a new handle of this kind: zeroed, with its tag, its
** metatable, and an empty table of `slots` as its user value (0: none).
*/
void *lhandle_new (lua_State *L, lkind kind, size_t size, int slots);

/*
** [-0, +1, m] Makes the metatable of a kind and leaves it on the stack:
** `name` is its __name and hides it from getmetatable.
*/
void lhandle_metatable (lua_State *L, lkind kind, const char *name,
                        const luaL_Reg *functions);

/* [-0, +1, m] Pushes one slot of a handle's user value; gives its type. */
int lhandle_slot (lua_State *L, int self, int slot);
/* [-1, +0, m] Keeps the value on the top in a slot of the user value. */
void lhandle_set_slot (lua_State *L, int self, int slot);

/* [-0, +0, m] Sets a field of the table on the top, such as one of stats. */
void lhandle_set_number (lua_State *L, const char *name, uint64_t n);

/*
** [-0, +0, v] Raises what a call on the store, dict, set or expression at
** `self` failed with. `key` is the stack slot of the key it was about, or
** 0. `text` null: the core's own words for its last failure. For CALLBACK
** it is what the callback raised, unchanged.
*/
int lhandle_fail (lua_State *L, int self, int key, lode_status status,
                  const char *text);

/* [-0, +0, v] The same with a text of the binding's. */
int lhandle_raise (lua_State *L, int self, int key, lode_status status,
                   const char *format, ...);

/*
** [-0, +0, m] Tells the store at `self` (or of the collection there) of an
** event: calls its log with level, message and the table on the top, which
** is popped. An error of the log function is lost: it has nowhere to go.
*/
void lhandle_log (lua_State *L, int self, const char *level,
                  const char *message);

#endif
