/*
** lupdate.c - functions of lode.dict that read, decide and write, with no
** other writer in between.
**
** Each runs its body under the writer's lock (lguard.h), with no transaction
** open while Lua code of the user's decides; the transaction begins when
** what is to be written stands ready as bytes.
*/
#include "ldict.h"
#include "lentry.h"
#include "lguard.h"
#include "lkey.h"
#include "ltime.h"
#include "lwalk.h"

/* {==================================================================
** Writing at the end of a body
** =================================================================== */

/*
** Whether an entry that was there keeps the deadline it has. It may have
** passed since it was read: then what is written would be dead as well.
*/
static bool keeps_deadline (const lcoll *c, uint64_t ttl) {
  const lode_coll_options *kept = lode_coll_kept(c->coll);
  return ttl == LODE_TTL_KEEP && kept->ttl == 0 && kept->policy.size == 0;
}

/*
** [-0, +0, v] Makes slot `v` the value of the key at slot 2, to live as the
** slot `ttl` says (0: as it does); nil deletes. `there`: it was there.
*/
static void store_value (lua_State *L, int v, int ttl, bool there) {
  lcoll *c = lhandle_dict(L, 1); /* Lua code may have closed it */
  lode_key key;
  lode_value value = { { NULL, 0 }, LODE_NOTHING };
  lode_status status;
  uint64_t ms = ttl == 0 ? LODE_TTL_KEEP : ltime_ttl(L, ttl, LODE_TTL_KEEP);
  lode_put_mode mode = there && keeps_deadline(c, ms) ? LODE_REPLACE :
                                                        LODE_PUT;
  bool delete = lua_isnil(L, v);
  int top = lua_gettop(L);
  if (delete) lkey_take(L, 1, c, 2, &key);
  else ldict_take_entry(L, c, 2, v, &key, &value);
  status = lguard_begin(c->owner);
  if (status == LODE_OK) {
    status = delete ? lode_delete(c->coll, &key) :
                      lode_put(c->coll, &key, value, mode, ms);
    if (status == LODE_OK || status == LODE_ABSENT)
      status = lguard_commit(c->owner);
  }
  if (status != LODE_OK) lhandle_fail(L, 1, 2, status, NULL);
  lua_settop(L, top);
}

/* [-0, +results, v] Calls `body` with the lock held. */
static int locked (lua_State *L, int arguments, lua_CFunction body) {
  lcoll *c = lhandle_dict(L, 1);
  lua_settop(L, arguments);
  return lguard_body(L, c->owner, LGUARD_LOCK, body);
}

/* }================================================================== */

/* {==================================================================
** Taking out
** =================================================================== */

/* [-3, +1, v] */
static int pop_body (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  if (lentry_get(L, 1, c, 2)) {
    lua_pushnil(L);
    store_value(L, 5, 0, true);
    lua_settop(L, 4);
  }
  else lua_settop(L, 3);
  return 1;
}

/* [-3, +1, v] dict.pop(d, key [, default]) -> value | default */
static int dict_pop (lua_State *L) {
  return locked(L, 3, pop_body);
}

/*
** [-2, +2, v] Slot 2: whether to take the last. An item that dies between
** the look and the delete is passed.
*/
static int popitem_body (lua_State *L) {
  enum { SELF = 1, LAST, KEY, VALUE };
  bool begun = false;
  lcoll *c;
  lode_status status;
  do {
    lode_key key;
    lrange r;
    lua_settop(L, LAST);
    lrange_all(&r);
    r.range.reverse = lua_toboolean(L, LAST) != 0;
    r.range.limit = 1;
    if (lwalk_nearest(L, SELF, lhandle_dict(L, SELF), &r) == 1) return 1;
    c = lhandle_dict(L, SELF);
    lkey_take(L, SELF, c, KEY, &key);
    status = begun ? LODE_OK : lguard_begin(c->owner);
    begun = true;
    if (status == LODE_OK) status = lode_delete(c->coll, &key);
  } while (status == LODE_ABSENT);
  if (status == LODE_OK) status = lguard_commit(c->owner);
  if (status != LODE_OK) return lhandle_fail(L, SELF, KEY, status, NULL);
  lua_settop(L, VALUE);
  return 2;
}

/* [-2, +2, v] dict.popitem(d [, "first" | "last"]) -> key, value | nil */
static int dict_popitem (lua_State *L) {
  bool last = false;
  lua_settop(L, 2);
  lhandle_dict(L, 1);
  if (!lua_isnil(L, 2)) {
    const char *end = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    last = strcmp(end, "last") == 0;
    if (!last && strcmp(end, "first") != 0)
      lerror_argument(L, 2, "\"first\" or \"last\" expected, got %s",
                      lerror_got(L, 2));
  }
  lua_pushboolean(L, last);
  lua_replace(L, 2);
  return locked(L, 2, popitem_body);
}

/* }================================================================== */

/* {==================================================================
** Deciding
** =================================================================== */

/* [-4, +1, v] */
static int setdefault_body (lua_State *L) {
  enum { SELF = 1, KEY, VALUE, TTL };
  if (lentry_get(L, SELF, lhandle_dict(L, SELF), KEY)) return 1;
  lua_settop(L, TTL);
  if (!lua_isnil(L, VALUE)) store_value(L, VALUE, TTL, false);
  lua_settop(L, VALUE);
  return 1;
}

/* [-4, +1, v] dict.setdefault(d, key, value [, ttl]) -> what is there then */
static int dict_setdefault (lua_State *L) {
  ltime_ttl(L, 4, 0);
  return locked(L, 4, setdefault_body);
}

/*
** [-4, +1, e] A nil deletes, but only one that was given: a function that
** ends without a return has most likely forgotten it.
*/
static int update_body (lua_State *L) {
  enum { SELF = 1, KEY, FN, TTL, OLD, NEW };
  lcoll *c = lhandle_dict(L, SELF);
  bool there = lentry_get(L, SELF, c, KEY);
  lua_pushvalue(L, FN);
  lua_pushvalue(L, OLD);
  lua_call(L, 1, LUA_MULTRET);
  if (there && lua_gettop(L) < NEW) {
    lhandle_raise(L, SELF, KEY, LODE_BAD_VALUE, "the function given to "
                  "update returned nothing: it has to return the new value, "
                  "or nil to delete the entry");
  }
  lua_settop(L, NEW);
  if (there || !lua_isnil(L, NEW)) store_value(L, NEW, TTL, there);
  return 1;
}

/* [-4, +1, e] dict.update(d, key, fn [, ttl]) -> fn's result */
static int dict_update (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  lua_settop(L, 4);
  if (lua_type(L, 3) != LUA_TFUNCTION)
    lerror_argument(L, 3, "a function expected, got %s", lerror_got(L, 3));
  ltime_ttl(L, 4, 0);
  lkey_check(L, 1, c, 2);
  return locked(L, 4, update_body);
}

/* [-5, +1, v] The time to live is that of a new entry. */
static int incr_body (lua_State *L) {
  enum { SELF = 1, KEY, BY, INIT, TTL, NEW };
  bool there = lentry_get(L, SELF, lhandle_dict(L, SELF), KEY);
  if (!there) {
    lua_pop(L, 1);
    lua_pushvalue(L, INIT);
  }
  else if (lua_type(L, NEW) != LUA_TNUMBER) {
    lhandle_raise(L, SELF, KEY, LODE_BAD_VALUE, "only a number can be "
                  "incremented, and %s is there", lerror_got(L, NEW));
  }
  lua_pushvalue(L, BY);
  lua_arith(L, LUA_OPADD);
  store_value(L, NEW, there ? 0 : TTL, there);
  return 1;
}

/* [-5, +1, v] dict.incr(d, key [, by = 1 [, init = 0 [, ttl]]]) -> number */
static int dict_incr (lua_State *L) {
  lhandle_dict(L, 1);
  lua_settop(L, 5);
  for (int i = 3; i <= 4; i++) {
    if (lua_isnil(L, i)) {
      lua_pushinteger(L, i == 3 ? 1 : 0);
      lua_replace(L, i);
    }
    if (lua_type(L, i) != LUA_TNUMBER)
      lerror_argument(L, i, "a number expected, got %s", lerror_got(L, i));
  }
  ltime_ttl(L, 5, 0);
  return locked(L, 5, incr_body);
}

/* [-5, +1, v] */
static int cas_body (lua_State *L) {
  enum { SELF = 1, KEY, EXPECTED, NEW, TTL, OLD };
  lcoll *c = lhandle_dict(L, SELF);
  bool there = lentry_get(L, SELF, c, KEY);
  bool equal = lentry_equal(L, OLD, EXPECTED);
  if (equal && (there || !lua_isnil(L, NEW)))
    store_value(L, NEW, TTL, there);
  lua_pushboolean(L, equal);
  return 1;
}

/* [-5, +1, v] dict.cas(d, key, expected, value [, ttl]) -> if it was equal */
static int dict_cas (lua_State *L) {
  ltime_ttl(L, 5, 0);
  return locked(L, 5, cas_body);
}

/* }================================================================== */

const luaL_Reg lupdate_functions[] = {
  { "pop", dict_pop },
  { "popitem", dict_popitem },
  { "setdefault", dict_setdefault },
  { "update", dict_update },
  { "incr", dict_incr },
  { "cas", dict_cas },
  { NULL, NULL }
};
