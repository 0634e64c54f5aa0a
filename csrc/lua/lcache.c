/*
** lcache.c - see lcache.h.
**
** The values stand in two tables, by their Lua keys, which are upvalues of
** the dict's __index in C, kept in COLL_INDEX. When the newer one is full it
** becomes the older one, and what that had is let go: so a hit never changes
** what they have, and as many keys as the dict may keep are all hits, however they
** are read.
**
** Whatever allocates may run a finalizer, and that may read this very dict
** or write to the store. So `lcoll` says what the tables are good for, it
** changes together with them, and a value is kept only if it is still true
** at the moment when it is put in.
*/
#include "lcache.h"
#include "lentry.h"
#include "lkey.h"

/* The upvalues of __index: the two, and where lode.jit reads them a table
   that has the two by the same numbers. */
enum { NEWER = 1, OLDER, SHOWN };

/* Their addresses stand for "no such entry", and in the registry for the
   metatable of dicts that lode.jit knows, and what makes one known to it. */
static const char absent = 0, metatable = 0, enroll = 0;

/* {==================================================================
** Finding
** =================================================================== */

/*
** [-0, +(0 or 1), -] Pushes what the tables at `newer` and `older` have for
** the key at `i`: a value, or for an absent key nil, then `*found` is
** false. Gives whether they have anything that is still true. A key is in
** one of them at most; the one that had the last is asked first.
*/
static inline bool hit (lua_State *L, lcoll *c, int i, int newer,
                        int older, bool *found) {
  int type;
  if (!lode_is_valid(c->owner->store, &c->valid)) return false;
  lua_pushvalue(L, i);
  type = lua_rawget(L, c->older_first ? older : newer);
  if (type == LUA_TNIL && c->older) {
    lua_pop(L, 1);
    lua_pushvalue(L, i);
    type = lua_rawget(L, c->older_first ? newer : older);
    if (type != LUA_TNIL) c->older_first = !c->older_first;
  }
  *found = type != LUA_TLIGHTUSERDATA;
  if (*found && type != LUA_TNIL) return true;
  lua_pop(L, 1);
  if (!*found) lua_pushnil(L);
  return !*found;
}

/* }================================================================== */

/* {==================================================================
** Keeping
** =================================================================== */

/*
** Whether the value at the top can be kept under the key at `i`. Numbers
** that are one key of a table may be two to a key serializer.
*/
static bool can_keep (lua_State *L, const lcoll *c, int i) {
  int value = lua_type(L, -1);
  if (value == LUA_TNIL) return false;
  if (value == LUA_TLIGHTUSERDATA && lua_touserdata(L, -1) != &absent)
    return false; /* some serializer's */
  switch (lua_type(L, i)) {
    case LUA_TSTRING: case LUA_TBOOLEAN: return true;
    case LUA_TNUMBER: return !c->key_callbacks;
    default: return false;
  }
}

/* Entries that the newer table may have. */
static unsigned most_newer (const lcoll *c) {
  return c->cache > 1 ? c->cache / 2 : 1;
}

/* [-1, +0, -] Makes the table on the top, new, the newer one of `index`. */
static void turn (lua_State *L, lcoll *c, int index, bool keep) {
  c->older = keep && c->cache > 1;
  c->older_first = false;
  c->newer = 0;
  lua_getupvalue(L, index, NEWER);
  if (!c->older) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  lua_getupvalue(L, index, SHOWN);
  if (lua_istable(L, -1)) {
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, OLDER);
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, NEWER);
  }
  lua_pop(L, 1);
  lua_setupvalue(L, index, OLDER);
  lua_setupvalue(L, index, NEWER);
}

/*
** [-0, +0, -] Sees that the newer table of `index` has room for one that is
** good for `v`. `fresh`: a new table is on the top, and taken where there
** must be one. False: it can't be kept, or needs a table.
*/
static bool make_room (lua_State *L, lcoll *c, int index, bool fresh,
                       const lode_validity *v) {
  lode_store *store = c->owner->store;
  bool valid;
  if (!lhandle_is_open(c) || !lode_is_valid(store, v)) return false;
  valid = lode_is_valid(store, &c->valid);
  if (valid && c->newer < most_newer(c)) return true;
  if (!fresh) return false;
  lua_pushvalue(L, -1);
  turn(L, c, index, valid);
  if (!valid) c->valid = *v;
  return true;
}

/* [-0, +0, m] Keeps the value on the top under the key at `i`. */
static void keep (lua_State *L, int self, lcoll *c, int i,
                  const lode_validity *v) {
  int value = lua_gettop(L), index = value + 1;
  bool room;
  if (v->commit == 0 || v->expires == 0 || !can_keep(L, c, i)) return;
  luaL_checkstack(L, 8, NULL);
  lhandle_slot(L, self, COLL_INDEX);
  room = make_room(L, c, index, false, v);
  if (!room) {
    lua_newtable(L);
    room = make_room(L, c, index, true, v);
  }
  if (room) {
    lua_getupvalue(L, index, NEWER);
    lua_pushvalue(L, i);
    lua_pushvalue(L, value);
    lua_rawset(L, -3);
    c->newer++;
    if (v->expires < c->valid.expires) c->valid.expires = v->expires;
  }
  lua_settop(L, value);
}

/* }================================================================== */

/* {==================================================================
** Reading
** =================================================================== */

/*
** [-0, +1, v] Reads the entry from the store and keeps it. Gives whether it
** is there.
*/
static bool read (lua_State *L, int self, lcoll *c, int i) {
  lode_key key;
  lode_value value;
  lode_status status;
  lode_validity v;
  int base = lua_gettop(L);
  lkey_take(L, self, c, i, &key);
  status = lode_get(c->coll, &key, &value);
  if (status != LODE_OK && status != LODE_ABSENT)
    lhandle_fail(L, self, i, status, NULL);
  lode_validity_of(c->coll, &v);
  if (status == LODE_OK) lentry_push(L, self, c, i, &value);
  else lua_pushlightuserdata(L, (void *)&absent);
  if (lua_gettop(L) > base + 1) {
    lua_replace(L, base + 1);
    lua_settop(L, base + 1);
  }
  keep(L, self, c, i, &v);
  if (status == LODE_OK) return true;
  lua_pop(L, 1);
  lua_pushnil(L);
  return false;
}

bool lcache_get (lua_State *L, int self, lcoll *c, int i) {
  int index = lua_gettop(L) + 1;
  bool found;
  lhandle_slot(L, self, COLL_INDEX);
  lua_getupvalue(L, index, NEWER);
  lua_getupvalue(L, index, OLDER);
  if (hit(L, c, i, index + 1, index + 2, &found)) lua_replace(L, index);
  else {
    lua_settop(L, index - 1);
    return read(L, self, c, i);
  }
  lua_settop(L, index);
  return found;
}

/* [-2, +1, v] d[key] of a dict with a cache */
static int cache__index (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  bool found;
  if (hit(L, c, 2, lua_upvalueindex(NEWER), lua_upvalueindex(OLDER), &found)
      || lua_isnil(L, 2))
    return 1;
  lua_settop(L, 2);
  read(L, 1, c, 2);
  return 1;
}

/* [-2, +1, v] The same without upvalues, for any dict with a cache. */
static int shared__index (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  if (!lua_isnil(L, 2)) lcache_get(L, 1, c, 2);
  return 1;
}

/* }================================================================== */

/* {==================================================================
** The metatable
** =================================================================== */

/*
** Whether what the dict has kept is true; lode.jit calls it where nothing
** may call Lua, such as the clock of a store.
*/
static bool is_true (const void *dict) {
  const lcoll *c = dict;
  return lhandle_is_open(c) && c->valid.expires == LODE_NEVER &&
         lode_is_valid(c->owner->store, &c->valid);
}

/*
** [-1, +1, m] Makes of the __index on the top a metatable: that of the dict
** at `self`, with this __index.
*/
static void wrap_index (lua_State *L, int self) {
  int index = lua_gettop(L), copy = index + 1;
  lua_newtable(L);
  lua_getmetatable(L, self);
  for (lua_pushnil(L); lua_next(L, copy + 1) != 0;) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, copy);
  }
  lua_settop(L, copy);
  lua_pushvalue(L, index);
  lua_setfield(L, copy, "__index");
  lua_replace(L, index);
}

/*
** [-0, +0, m] Puts into the registry lode.jit's `enroll`, and the metatable
** with its __index; where there is no compiler, false.
*/
static void find_jit (lua_State *L, int self) {
  bool (*ready) (const void *) = is_true;
  int base = lua_gettop(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lode.jit");
  if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_istable(L, -1) &&
      lua_getfield(L, -1, "index") == LUA_TFUNCTION) {
    lua_pushcfunction(L, shared__index);
    lua_pushlstring(L, (const char *)&ready, sizeof(ready));
    lua_pushlightuserdata(L, (void *)&absent);
    lua_call(L, 3, 2);
    lua_insert(L, -2);
    wrap_index(L, self);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable);
  }
  else lua_pushboolean(L, false);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &enroll);
  lua_settop(L, base);
}

/*
** [-0, +(0..1), m] Pushes lode.jit's `enroll`, where there is a compiler;
** gives whether there is.
*/
static bool push_enroll (lua_State *L, int self) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &enroll) == LUA_TNIL) {
    lua_pop(L, 1);
    find_jit(L, self);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &enroll);
  }
  if (lua_isfunction(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

void lcache_begin (lua_State *L, int self) {
  int index = lua_gettop(L) + 1;
  const lcoll *c = lua_touserdata(L, self);
  if (c->cache == 0) return;
  luaL_checkstack(L, 12, NULL);
  lua_settop(L, index + 2);
  lua_pushcclosure(L, cache__index, SHOWN);
  lua_pushvalue(L, index);
  lhandle_set_slot(L, self, COLL_INDEX);
  if (push_enroll(L, self)) {
    lua_pushvalue(L, self);
    lua_createtable(L, OLDER, 0);
    lua_pushvalue(L, -1);
    lua_setupvalue(L, index, SHOWN);
    lua_call(L, 2, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable);
  }
  else wrap_index(L, self);
  lua_setmetatable(L, self);
  lua_settop(L, index - 1);
}

/* }================================================================== */
