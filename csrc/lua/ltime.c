/*
** ltime.c - see ltime.h.
*/
#include "lentry.h"
#include "lkey.h"
#include "ltime.h"

#define HAIR 1e-6 /* ms that a product may be off: 1.1 s are 1100 ms */

bool ltime_span (lua_State *L, int i, uint64_t *ms) {
  double n = lua_tonumber(L, i);
  if (lua_type(L, i) != LUA_TNUMBER || !(n >= 0)) return false;
  if (isinf(n)) *ms = LODE_NEVER;
  else if (n * 1000 >= (double)LTIME_LONGEST) *ms = LTIME_LONGEST;
  else {
    double rounded = ceil(n * 1000 - HAIR);
    *ms = rounded >= 1 ? (uint64_t)rounded : n > 0;
  }
  return true;
}

uint64_t ltime_ttl (lua_State *L, int i, uint64_t otherwise) {
  uint64_t ms = 0;
  if (lua_isnoneornil(L, i)) return otherwise;
  if (!ltime_span(L, i, &ms) || ms == 0) {
    lerror_argument(L, i, "a time to live is a number of seconds above 0, "
                    "or math.huge for an entry without an end, not %s",
                    lerror_got(L, i));
  }
  return ms;
}

void ltime_push (lua_State *L, uint64_t ms) {
  if (ms == LODE_NEVER) lua_pushnil(L);
  else lua_pushnumber(L, (lua_Number)ms / 1000);
}

void ltime_set (lua_State *L, const char *name, uint64_t ms) {
  ltime_push(L, ms);
  lua_setfield(L, -2, name);
}

/* {==================================================================
** One entry
** =================================================================== */

/*
** [-0, +(0..2), v] What is known of the key at slot 2 in the dict or set at
** slot 1. False: it is absent.
*/
static bool look (lua_State *L, lcoll *c, lode_entry *e) {
  lode_key key;
  lode_status status;
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) return false;
  lkey_take(L, 1, c, 2, &key);
  status = lode_info(c->coll, &key, e);
  if (status != LODE_OK && status != LODE_ABSENT)
    lhandle_fail(L, 1, 2, status, NULL);
  return status == LODE_OK;
}

/* [-2, +1, v] */
static int ttl (lua_State *L, lcoll *c) {
  lode_entry e;
  if (!look(L, c, &e) || e.expires == LODE_NEVER) lua_pushnil(L);
  else ltime_push(L, e.expires > e.now ? e.expires - e.now : 0);
  return 1;
}

/* [-2, +1, v] */
static int info (lua_State *L, lcoll *c) {
  lode_entry e;
  if (!look(L, c, &e)) {
    lua_pushnil(L);
    return 1;
  }
  lua_createtable(L, 0, 7);
  if (e.timed) {
    ltime_set(L, "ctime", e.ctime);
    ltime_set(L, "mtime", e.mtime);
    ltime_set(L, "atime", e.atime);
    lhandle_set_number(L, "hits", e.hits);
  }
  ltime_set(L, "expires", e.expires);
  lhandle_set_number(L, "size", e.size);
  lhandle_set_number(L, "value_size", e.size - e.key.size);
  return 1;
}

/* [-0, +1, v] Pushes true, or false for ABSENT. */
static int push_there (lua_State *L, lode_status status) {
  if (status != LODE_OK && status != LODE_ABSENT)
    return lhandle_fail(L, 1, 2, status, NULL);
  lua_pushboolean(L, status == LODE_OK);
  return 1;
}

/* [-3, +1, v] */
static int expire (lua_State *L, lcoll *c) {
  lode_key key;
  uint64_t ms = 0;
  lua_settop(L, 3);
  ms = ltime_ttl(L, 3, LODE_NEVER);
  lkey_take(L, 1, c, 2, &key);
  return push_there(L, lode_expire(c->coll, &key, ms));
}

/* [-2, +1, v] */
static int touch (lua_State *L, lcoll *c) {
  lode_key key;
  lua_settop(L, 2);
  lkey_take(L, 1, c, 2, &key);
  return push_there(L, lode_touch(c->coll, &key));
}

/* As lode_get_stale. */
static lode_status look_behind (lode_coll *coll, const lode_key *key,
                                lode_value *value) {
  bool stale;
  return lode_get_stale(coll, key, value, &stale);
}

/* [-2, +(1..2), v] dict.get_stale(d, key) -> value, stale | nil */
static int dict_get_stale (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  lode_key key;
  lode_value value;
  bool stale = false;
  lode_status status;
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) return 1;
  lkey_take(L, 1, c, 2, &key);
  status = lode_get_stale(c->coll, &key, &value, &stale);
  if (status != LODE_OK && status != LODE_ABSENT)
    return lhandle_fail(L, 1, 2, status, NULL);
  if (status == LODE_OK)
    lentry_push_found(L, 1, c, 2, look_behind, &value);
  else lua_pushnil(L);
  if (lua_isnil(L, -1)) return 1;
  lua_pushboolean(L, stale);
  return 2;
}

/* }================================================================== */

/* {==================================================================
** Upkeep
** =================================================================== */

/* [-0, +0, v] A field of a budget, on the top. */
static uint64_t bound (lua_State *L, int i, const char *name) {
  int whole = 0;
  lua_Integer n = 0;
  if (lua_type(L, -1) == LUA_TNUMBER) n = lua_tointegerx(L, -1, &whole);
  if (!whole || n < 1)
    lerror_argument(L, i, "field '%s': a whole number above 0 expected, got "
                    "%s", name, lerror_got(L, -1));
  return (uint64_t)n;
}

/* [-0, +0, v] The field `age` of a budget, on the top: seconds, in ms. */
static uint64_t age (lua_State *L, int i) {
  uint64_t ms = 0;
  if (!ltime_span(L, -1, &ms))
    lerror_argument(L, i, "field 'age': a number of seconds from 0 on "
                    "expected, got %s", lerror_got(L, -1));
  return ms;
}

/* [-0, +0, v] Reads the budget at `i`, nil or a table. */
static void take_budget (lua_State *L, int i, lode_budget *b) {
  static const char *const names[] = { "entries", "ms", "age", NULL };
  b->entries = b->ms = b->age = 0;
  if (lua_isnil(L, i)) return;
  if (!lua_istable(L, i))
    lerror_argument(L, i, "a budget expected, as { ms = 1 }, got %s",
                    lerror_got(L, i));
  for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ?
                       lua_tostring(L, -2) : "";
    if (strcmp(name, "entries") == 0) b->entries = bound(L, i, name);
    else if (strcmp(name, "ms") == 0) b->ms = bound(L, i, name);
    else if (strcmp(name, "age") == 0) b->age = age(L, i);
    else {
      lerror_argument(L, i, "unknown field %s",
                      lerror_unknown(L, -2, names, sizeof(*names)));
    }
  }
}

int ltime_maintain (lua_State *L) {
  lstore *s = lhandle_store(L, 1);
  uint64_t removed = 0;
  bool more = false;
  lode_budget budget;
  lode_status status;
  lua_settop(L, 2);
  take_budget(L, 2, &budget);
  status = lode_maintain(s->store, &budget, &removed, &more);
  if (status != LODE_OK) return lhandle_fail(L, 1, 0, status, NULL);
  lua_pushinteger(L, (lua_Integer)removed);
  lua_pushboolean(L, more);
  return 2;
}

/* }================================================================== */

/* {==================================================================
** What Lua calls
** =================================================================== */

/* [-2, +1, v] dict.ttl(d, key) -> seconds left | nil */
static int dict_ttl (lua_State *L) {
  return ttl(L, lhandle_dict(L, 1));
}

/* [-3, +1, v] dict.expire(d, key, ttl | nil) -> whether it is there */
static int dict_expire (lua_State *L) {
  return expire(L, lhandle_dict(L, 1));
}

/* [-2, +1, v] dict.touch(d, key) -> whether it is there */
static int dict_touch (lua_State *L) {
  return touch(L, lhandle_dict(L, 1));
}

/* [-2, +1, v] dict.info(d, key) -> table | nil */
static int dict_info (lua_State *L) {
  return info(L, lhandle_dict(L, 1));
}

/* [-2, +1, v] set.ttl(s, x) -> seconds left | nil */
static int set_ttl (lua_State *L) {
  return ttl(L, lhandle_set(L, 1));
}

/* [-3, +1, v] set.expire(s, x, ttl | nil) -> whether it is there */
static int set_expire (lua_State *L) {
  return expire(L, lhandle_set(L, 1));
}

/* [-2, +1, v] set.touch(s, x) -> whether it is there */
static int set_touch (lua_State *L) {
  return touch(L, lhandle_set(L, 1));
}

/* [-2, +1, v] set.info(s, x) -> table | nil */
static int set_info (lua_State *L) {
  return info(L, lhandle_set(L, 1));
}

const luaL_Reg ltime_dict_functions[] = {
  { "ttl", dict_ttl },
  { "expire", dict_expire },
  { "touch", dict_touch },
  { "info", dict_info },
  { "get_stale", dict_get_stale },
  { NULL, NULL }
};

const luaL_Reg ltime_set_functions[] = {
  { "ttl", set_ttl },
  { "expire", set_expire },
  { "touch", set_touch },
  { "info", set_info },
  { NULL, NULL }
};

/* }================================================================== */
