/*
** ldict.c - see ldict.h.
**
** Indexing is the hot path: one test of the handle, the key into the
** scratch, one get, and the value pushed. It asks no metatable and no
** registry, and what is rare (a callback, a long value) leaves early.
*/
#include "lcache.h"
#include "lcoll.h"
#include "ldict.h"
#include "lentry.h"
#include "lkey.h"
#include "lrange.h"
#include "lstore.h"
#include "ltime.h"
#include "lwalk.h"

/* {==================================================================
** Reading
** =================================================================== */

/* [-2, +1, v] d[key] */
static int dict__index (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  lode_key key;
  lode_value value;
  lode_status status;
  if (lua_isnil(L, 2)) return 1;
  lkey_take(L, 1, c, 2, &key);
  status = lode_get(c->coll, &key, &value);
  if (status == LODE_OK) lentry_push(L, 1, c, 2, &value);
  else if (status == LODE_ABSENT) lua_pushnil(L);
  else lhandle_fail(L, 1, 2, status, NULL);
  return 1;
}

/* [-3, +1, v] dict.get(d, key [, default]) -> value | default */
static int dict_get (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  lua_settop(L, 3);
  if (lua_isnil(L, 2)) return 1;
  if (!(c->cache == 0 ? lentry_get : lcache_get)(L, 1, c, 2))
    lua_settop(L, 3);
  return 1;
}

/* [-2, +1, v] dict.has(d, key) -> boolean */
static int dict_has (lua_State *L) {
  return lcoll_has(L, lhandle_dict(L, 1));
}

/* [-1, +1, v] #d, dict.len(d) -> integer */
static int dict_len (lua_State *L) {
  return lcoll_len(L, lhandle_dict(L, 1));
}

/* [-2, +1, v] dict.count(d [, range]) -> integer */
static int dict_count (lua_State *L) {
  return lcoll_count(L, lhandle_dict(L, 1));
}

/* [-1, +1, v] dict.name(d) -> string */
static int dict_name (lua_State *L) {
  return lcoll_name(L, lhandle_dict(L, 1));
}

/* [-1, +1, v] dict.stats(d) -> table */
static int dict_stats (lua_State *L) {
  return lcoll_stats(L, lhandle_dict(L, 1));
}

/* }================================================================== */

/* {==================================================================
** Writing
** =================================================================== */

void ldict_take_entry (lua_State *L, lcoll *c, int k, int v, lode_key *key,
                       lode_value *value) {
  lkey_check(L, 1, c, k);
  if (c->value_callbacks) {
    lentry_take(L, 1, c, v, k, value);
    lkey_take(L, 1, c, k, key);
  }
  else {
    lkey_take(L, 1, c, k, key);
    lentry_take(L, 1, c, v, k, value);
  }
}

/* [-0, +0, v] Writes slot 3 under slot 2, to live `ttl`; nil deletes. */
static void assign (lua_State *L, lcoll *c, uint64_t ttl) {
  lode_key key;
  lode_value value;
  lode_status status;
  if (lua_isnil(L, 3)) {
    lkey_take(L, 1, c, 2, &key);
    status = lode_delete(c->coll, &key);
    if (status == LODE_ABSENT) status = LODE_OK;
  }
  else {
    ldict_take_entry(L, c, 2, 3, &key, &value);
    status = lode_put(c->coll, &key, value, LODE_PUT, ttl);
  }
  if (status != LODE_OK) lhandle_fail(L, 1, 2, status, NULL);
}

/* [-3, +0, v] d[key] = value */
static int dict__newindex (lua_State *L) {
  assign(L, lhandle_dict(L, 1), LODE_TTL_OWN);
  return 0;
}

/* [-4, +0, v] dict.set(d, key, value [, ttl]) */
static int dict_set (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  uint64_t ttl = ltime_ttl(L, 4, LODE_TTL_OWN);
  lua_settop(L, 3);
  assign(L, c, ttl);
  return 0;
}

/* [-4, +1, v] Writes slot 3 under slot 2 unless `no` comes of it. */
static int put_if (lua_State *L, lode_put_mode mode, lode_status no) {
  lcoll *c = lhandle_dict(L, 1);
  lode_key key;
  lode_value value;
  lode_status status;
  uint64_t ttl = ltime_ttl(L, 4, LODE_TTL_OWN);
  lua_settop(L, 3);
  if (lua_isnil(L, 3)) {
    lhandle_fail(L, 1, 2, LODE_BAD_VALUE, "nil can't be stored: "
                 "dict.delete takes an entry out");
  }
  ldict_take_entry(L, c, 2, 3, &key, &value);
  status = lode_put(c->coll, &key, value, mode, ttl);
  if (status != LODE_OK && status != no)
    return lhandle_fail(L, 1, 2, status, NULL);
  lua_pushboolean(L, status == LODE_OK);
  return 1;
}

/* [-4, +1, v] dict.add(d, key, value [, ttl]) -> false when it exists */
static int dict_add (lua_State *L) {
  return put_if(L, LODE_ADD, LODE_EXISTS);
}

/* [-4, +1, v] dict.replace(d, key, value [, ttl]) -> false when absent */
static int dict_replace (lua_State *L) {
  return put_if(L, LODE_REPLACE, LODE_ABSENT);
}

/* [-2, +1, v] dict.delete(d, key) -> whether there was one */
static int dict_delete (lua_State *L) {
  return lcoll_delete(L, lhandle_dict(L, 1));
}

/* [-1, +1, v] dict.clear(d) -> the number removed */
static int dict_clear (lua_State *L) {
  return lcoll_clear(L, lhandle_dict(L, 1));
}

/* [-2, +1, v] dict.delete_range(d, range) -> the number removed */
static int dict_delete_range (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  uint64_t n = 0;
  lode_status status;
  lrange r;
  lua_settop(L, 2);
  if (!lua_istable(L, 2))
    lerror_argument(L, 2, "a range expected, as { prefix = \"a\" }, got %s",
                    lerror_got(L, 2));
  lrange_take_plain(L, 1, c, 2, &r);
  status = lode_delete_range(c->coll, &r.range, &n);
  if (status != LODE_OK) return lhandle_fail(L, 1, 0, status, NULL);
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

/* }================================================================== */

const luaL_Reg ldict_metamethods[] = {
  { "__index", dict__index },
  { "__newindex", dict__newindex },
  { "__len", dict_len },
  { "__pairs", lwalk_dict__pairs },
  { "__call", lcoll__call },
  { "__tostring", lcoll__tostring },
  { "__gc", lstore_coll__gc },
  { NULL, NULL }
};

const luaL_Reg ldict_functions[] = {
  { "get", dict_get },
  { "has", dict_has },
  { "len", dict_len },
  { "count", dict_count },
  { "name", dict_name },
  { "stats", dict_stats },
  { "set", dict_set },
  { "add", dict_add },
  { "replace", dict_replace },
  { "delete", dict_delete },
  { "clear", dict_clear },
  { "delete_range", dict_delete_range },
  { NULL, NULL }
};
