/*
** lwalk.h - walks over dicts, sets and expressions.
*/
#ifndef LODE_LWALK_H
#define LODE_LWALK_H

#include "lhandle.h"
#include "lrange.h"

typedef struct lwalk {
  const void *tag;
  lode_walk *walk;  /* null: at its end, or closed */
  lode_buffer text; /* scratch for strings in tuples */
  bool stepping;    /* between a step and the end of pushing what it gave */
  const lcoll *coll; /* an iterator's, which keeps it alive */
} lwalk;

typedef enum lwalk_gives { /* by one step of an iterator */
  LWALK_PAIRS, LWALK_KEYS, LWALK_VALUES, LWALK_MEMBERS
} lwalk_gives;

/* [-0, +1, v] Pushes a walk over the dict or set at `self`. */
lwalk *lwalk_new (lua_State *L, int self, lcoll *c, const lrange *r);

/* [-0, +1, v] Pushes a walk over the set or expression at `self`. */
lwalk *lwalk_merge (lua_State *L, int self, const lrange *r);

/* Ends a walk. Once more is fine. */
void lwalk_close (lwalk *w);

/*
** [-0, +0, v] The next entry of the collection at `self`; its bytes are
** good until lwalk_done. False at the end, which closes the walk.
*/
bool lwalk_step (lua_State *L, lwalk *w, int self, lode_slice *key,
                 lode_value *value);

/* Says that the bytes of the last step aren't needed any more. */
static inline void lwalk_done (lwalk *w) {
  w->stepping = false;
}

/*
** [-0, +1, v] Steps and pushes the key, read as one of `c`, which stands at
** `self`. False at the end: nothing pushed.
*/
bool lwalk_push_key (lua_State *L, lwalk *w, const lcoll *c, int self);

/* [-0, +2, v] Steps and pushes key and value. */
bool lwalk_push_pair (lua_State *L, lwalk *w, const lcoll *c, int self);

/*
** [-0, +4, v] Pushes what a generic `for` takes to walk the dict, set or
** expression at slot 1 over the range at slot 2: an iterator function, two
** nils, and the walk, which `for` closes in Lua 5.4.
*/
int lwalk_iterate (lua_State *L, lwalk_gives gives);

/*
** [-0, +2, v] Pushes the first key and value of the range, or one nil when
** it is empty; gives how many it pushed.
*/
int lwalk_nearest (lua_State *L, int self, lcoll *c, const lrange *r);

/* __gc, __close of walks */
int lwalk__gc (lua_State *L);

/* What lode.dict has to walk with, and what lode.set has. */
extern const luaL_Reg lwalk_dict_functions[];
extern const luaL_Reg lwalk_set_functions[];

/* __pairs of dicts, and of sets and expressions */
int lwalk_dict__pairs (lua_State *L);
int lwalk_set__pairs (lua_State *L);

#endif
