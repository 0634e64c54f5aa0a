/*
** lhandle.c - see lhandle.h.
*/
#include <stdarg.h>
#include <stdio.h>

#include "lcheck.h"
#include "lhooks.h"
#include "loptions.h"

const char lhandle_tags[LKINDS] = "";

/* {==================================================================
** Making
** =================================================================== */

void *lhandle_new (lua_State *L, lkind kind, size_t size, int slots) {
  void *p = lua_newuserdatauv(L, size, slots > 0 ? 1 : 0);
  memset(p, 0, size);
  *(const void **)p = &lhandle_tags[kind];
  lua_rawgetp(L, LUA_REGISTRYINDEX, &lhandle_tags[kind]);
  lua_setmetatable(L, -2);
  if (slots > 0) {
    lua_createtable(L, slots, 0);
    lua_setiuservalue(L, -2, 1);
  }
  return p;
}

void lhandle_metatable (lua_State *L, lkind kind, const char *name,
                        const luaL_Reg *functions) {
  lua_createtable(L, 0, 24);
  luaL_setfuncs(L, functions, 0);
  lua_pushstring(L, name);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__name");
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &lhandle_tags[kind]);
}

int lhandle_slot (lua_State *L, int self, int slot) {
  int type;
  lua_getiuservalue(L, self, 1);
  type = lua_rawgeti(L, -1, slot);
  lua_remove(L, -2);
  return type;
}

void lhandle_set_slot (lua_State *L, int self, int slot) {
  lua_getiuservalue(L, self, 1);
  lua_insert(L, -2);
  lua_rawseti(L, -2, slot);
  lua_pop(L, 1);
}

void lhandle_set_number (lua_State *L, const char *name, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

/* What to do where something else than `expected` was given. */
static const char *advice (lua_State *L, int i, const char *expected) {
  if (strcmp(expected, "a store") == 0)
    return "; a store's methods are called with a colon, as store:path()";
  if (strcmp(expected, "a dict") == 0) {
    return lhandle_test(L, i, LKIND_SET, sizeof(lcoll)) != NULL ?
           "; the functions for sets are in lode.set" :
           "; store:dict(name) gives one, and functions are called with a "
           "dot, as dict.get(d, key)";
  }
  if (strcmp(expected, "a set") == 0) {
    return lhandle_test(L, i, LKIND_DICT, sizeof(lcoll)) != NULL ?
           "; the functions for dicts are in lode.dict" :
           "; store:set(name) gives one, and functions are called with a "
           "dot, as set.add(s, member)";
  }
  return "";
}

int lhandle_wrong (lua_State *L, int i, const char *expected) {
  return lerror_argument(L, i, "%s expected, got %s%s", expected,
                         lerror_got(L, i), advice(L, i, expected));
}

/* }================================================================== */

/* {==================================================================
** Failing
** =================================================================== */

/*
** [-0, +1, m] Pushes the store of the handle at `self`, which may be a
** store, a dict, a set or an expression (of which the first leaf speaks);
** nil where there is none.
*/
static void push_store (lua_State *L, int self) {
  lua_pushvalue(L, self);
  while (lhandle_test(L, -1, LKIND_EXPR, sizeof(lexpr)) != NULL) {
    lhandle_slot(L, -1, EXPR_LEFT);
    lua_remove(L, -2);
  }
  if (lhandle_test_coll(L, -1) != NULL) {
    lhandle_slot(L, -1, COLL_STORE);
    lua_remove(L, -2);
  }
  if (lhandle_test(L, -1, LKIND_STORE, sizeof(lstore)) == NULL) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

/* [-0, +0, m] Sets path, collection and key of the error on the top. */
static void set_details (lua_State *L, int self, int key) {
  int error = lua_gettop(L);
  if (lhandle_test_coll(L, self) != NULL) {
    lhandle_slot(L, self, COLL_NAME);
    lua_setfield(L, error, "collection");
  }
  if (key != 0) {
    lua_pushvalue(L, key);
    lua_setfield(L, error, "key");
  }
  push_store(L, self);
  if (!lua_isnil(L, -1)) {
    lhandle_slot(L, -1, STORE_PATH);
    lua_setfield(L, error, "path");
  }
  lua_settop(L, error);
}

/* How loud a failure is; null: it is the caller's own business. */
static const char *level_of (lode_status status) {
  switch (status) {
    case LODE_CORRUPT: case LODE_IO: case LODE_DISK_FULL: return "error";
    case LODE_FULL: case LODE_READERS_FULL: case LODE_BUSY: return "warn";
    default: return NULL;
  }
}

/* [-1, +0, v] Raises an error with the message that is on the top. */
static int fail (lua_State *L, int self, int key, lode_status status) {
  const char *level = level_of(status);
  lerror_new(L, status);
  set_details(L, self, key);
  if (level != NULL) {
    lua_getfield(L, -1, "message");
    lua_pushvalue(L, -2);
    lhandle_log(L, self, level, lua_tostring(L, -2));
    lua_pop(L, 1);
  }
  return lua_error(L);
}

/* The core's words for the last failure of the handle at `self`. */
static const char *words_of (lua_State *L, int self) {
  const char *text = NULL;
  lstore *s;
  push_store(L, self);
  s = lua_touserdata(L, -1);
  if (s != NULL && s->store != NULL) text = lode_store_error(s->store)->text;
  lua_pop(L, 1);
  return text;
}

int lhandle_fail (lua_State *L, int self, int key, lode_status status,
                  const char *text) {
  luaL_checkstack(L, 16, NULL);
  self = lua_absindex(L, self);
  if (status == LODE_CALLBACK) {
    if (lhooks_take_error(L)) {
      lerror_locate(L);
      return lua_error(L);
    }
    lua_pushliteral(L, "a function that this call asks is gone: the dict or "
                    "set it was given to was collected");
    return fail(L, self, key, LODE_CLOSED);
  }
  if (status == LODE_CLOSED)
    text = "the store is closed; open it again, and its dicts and sets";
  else if (text == NULL) text = words_of(L, self);
  lua_pushstring(L, text != NULL ? text : "the call failed");
  return fail(L, self, key, status);
}

int lhandle_raise (lua_State *L, int self, int key, lode_status status,
                   const char *format, ...) {
  va_list arguments;
  luaL_checkstack(L, 16, NULL);
  self = lua_absindex(L, self);
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  return fail(L, self, key, status);
}

int lhandle_closed (lua_State *L, int self) {
  return lhandle_fail(L, self, 0, LODE_CLOSED, NULL);
}

/* }================================================================== */

/* {==================================================================
** Logging
** =================================================================== */

/* One line of the log on standard error. */
static void log_line (const char *name, const char *level,
                      const char *message) {
  fprintf(stderr, "lode: %s: %s: %s\n", level, name, message);
  fflush(stderr);
}

void lhandle_log (lua_State *L, int self, const char *level,
                  const char *message) {
  int fields = lua_gettop(L), store = fields + 1, kind;
  luaL_checkstack(L, 10, NULL);
  push_store(L, self);
  if (lua_isnil(L, store)) {
    lua_settop(L, fields - 1);
    return;
  }
  lhandle_slot(L, store, STORE_LEVEL);
  kind = lhandle_slot(L, store, STORE_LOG);
  if (kind != LUA_TNIL &&
      loptions_level(level) >= (int)lua_tointeger(L, store + 1)) {
    if (kind == LUA_TFUNCTION) {
      lua_pushstring(L, level);
      lua_pushstring(L, message);
      lua_pushvalue(L, fields);
      (void)lua_pcall(L, 3, 0, 0);
    }
    else {
      lhandle_slot(L, store, STORE_NAME);
      log_line(lua_tostring(L, -1), level, message);
    }
  }
  lua_settop(L, fields - 1);
}

void lhandle_news (lua_State *L, int i) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 10, NULL);
  push_store(L, i);
  lcheck_news(L, top + 1);
  lua_settop(L, top);
}

/* }================================================================== */
