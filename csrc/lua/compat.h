/*
** compat.h - the names of Lua 5.4's C API on Lua 5.1, LuaJIT, 5.2 and 5.3.
**
** The one place that asks which Lua this is: all else is written for 5.4.
** Only what lode uses is here, and where an older Lua can't do what 5.4
** does, the comment says what is left. A name that an older Lua has with
** another meaning is replaced by a macro, so that no header can clash.
*/
#ifndef LODE_COMPAT_H
#define LODE_COMPAT_H

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <lua.h>
#include <lauxlib.h>

_Static_assert(sizeof(lua_Number) == sizeof(double), "numbers are doubles");

/* {==================================================================
** Lua 5.1 and LuaJIT
** =================================================================== */

#if LUA_VERSION_NUM < 502

#undef LUA_OK
#define LUA_OK 0

/*
** LuaJIT takes the lua_State that a function was called in last for the one
** that runs, also when that was another one, as for the calls of lhooks.c.
** A return sets that right, but an error doesn't: compiled code that goes
** on after a pcall would work on the wrong stack. Any call sets it right as well.
*/
static inline int compat_nothing (lua_State *L) {
  (void)L;
  return 0;
}
static inline int compat_error (lua_State *L) {
  lua_pushcfunction(L, compat_nothing);
  lua_call(L, 0, 0);
  return (lua_error)(L);
}
#undef lua_error
#define lua_error compat_error

#undef lua_rawlen
#define lua_rawlen(L, i) lua_objlen((L), (i))

static inline int compat_absindex (lua_State *L, int i) {
  return (i > 0 || i <= LUA_REGISTRYINDEX) ? i : lua_gettop(L) + i + 1;
}
#undef lua_absindex
#define lua_absindex compat_absindex

static inline void compat_rawsetp (lua_State *L, int i, const void *p) {
  i = compat_absindex(L, i);
  lua_pushlightuserdata(L, (void *)p);
  lua_insert(L, -2);
  lua_rawset(L, i);
}
#undef lua_rawsetp
#define lua_rawsetp compat_rawsetp

static inline void compat_setfuncs (lua_State *L, const luaL_Reg *l,
                                    int nup) {
  luaL_checkstack(L, nup + 1, "too many upvalues");
  for (; l->name != NULL; l++) {
    for (int i = 0; i < nup; i++) lua_pushvalue(L, -nup);
    lua_pushcclosure(L, l->func, nup);
    lua_setfield(L, -(nup + 2), l->name);
  }
  lua_pop(L, nup);
}
#undef luaL_setfuncs
#define luaL_setfuncs compat_setfuncs

#undef luaL_newlibtable
#define luaL_newlibtable(L, l) \
  lua_createtable((L), 0, (int)(sizeof(l) / sizeof((l)[0]) - 1))
#undef luaL_newlib
#define luaL_newlib(L, l) (luaL_newlibtable(L, l), luaL_setfuncs(L, l, 0))

#undef luaL_checkversion
#define luaL_checkversion(L) ((void)(L))

static inline const char *compat_tolstring (lua_State *L, int i,
                                            size_t *size) {
  i = compat_absindex(L, i);
  if (luaL_callmeta(L, i, "__tostring")) {
    if (!lua_isstring(L, -1))
      luaL_error(L, "'__tostring' must return a string");
  }
  else if (lua_type(L, i) == LUA_TNUMBER || lua_type(L, i) == LUA_TSTRING) {
    lua_pushvalue(L, i); /* so that the value itself stays a number */
  }
  else if (lua_isboolean(L, i)) {
    lua_pushstring(L, lua_toboolean(L, i) ? "true" : "false");
  }
  else if (lua_isnil(L, i)) lua_pushliteral(L, "nil");
  else {
    lua_pushfstring(L, "%s: %p", luaL_typename(L, i), lua_topointer(L, i));
  }
  return lua_tolstring(L, -1, size);
}
#undef luaL_tolstring
#define luaL_tolstring compat_tolstring

#undef LUA_OPADD
#undef LUA_OPSUB
#undef LUA_OPMUL
#undef LUA_OPDIV
#undef LUA_OPUNM
#define LUA_OPADD 0
#define LUA_OPSUB 1
#define LUA_OPMUL 2
#define LUA_OPDIV 5
#define LUA_OPUNM 12

/* Numbers only: no metamethods, none of the operators not named above. */
static inline void compat_arith (lua_State *L, int op) {
  lua_Number b = luaL_checknumber(L, -1);
  lua_Number a = op == LUA_OPUNM ? 0 : luaL_checknumber(L, -2);
  lua_pop(L, op == LUA_OPUNM ? 1 : 2);
  switch (op) {
    case LUA_OPADD: lua_pushnumber(L, a + b); break;
    case LUA_OPSUB: lua_pushnumber(L, a - b); break;
    case LUA_OPMUL: lua_pushnumber(L, a * b); break;
    case LUA_OPDIV: lua_pushnumber(L, a / b); break;
    case LUA_OPUNM: lua_pushnumber(L, -b); break;
    default: luaL_error(L, "no such operator");
  }
}
#undef lua_arith
#define lua_arith compat_arith

/*
** Where the user value goes: a userdata's environment, which must be a
** table and is at first the one of the running function. So each userdata
** with a user value gets a table of its own, and the value stands at 1.
*/
static inline void *compat_newuserdata (lua_State *L, size_t size, int n) {
  void *p = lua_newuserdata(L, size);
  if (n > 0) {
    lua_createtable(L, n, 0);
    lua_setfenv(L, -2);
  }
  return p;
}
#define compat_pushuservalues(L, i) lua_getfenv((L), (i))

#endif

/* }================================================================== */

/* {==================================================================
** Lua 5.2
** =================================================================== */

#if LUA_VERSION_NUM == 502

/* As in 5.1: what lua_setuservalue takes must be a table here too. */
static inline void *compat_newuserdata (lua_State *L, size_t size, int n) {
  void *p = lua_newuserdata(L, size);
  if (n > 0) {
    lua_createtable(L, n, 0);
    lua_setuservalue(L, -2);
  }
  return p;
}
#define compat_pushuservalues(L, i) lua_getuservalue((L), (i))

#endif

/* }================================================================== */

/* {==================================================================
** All before Lua 5.3
** =================================================================== */

#if LUA_VERSION_NUM < 503

/* Whether lua_pushlstring may run finalizers before it takes its copy. */
#define COMPAT_COLLECTS_FIRST 1

/*
** Gives in `*n` the number at `i` when it counts as an integer: it is
** whole, not -0.0, and so small that the whole numbers beside it are
** doubles too. In 5.3 and later an integer is what Lua says is one.
*/
static inline bool compat_toint64 (lua_State *L, int i, int64_t *n) {
  const lua_Number bound = 9007199254740992.0; /* 2^53 */
  lua_Number v;
  if (lua_type(L, i) != LUA_TNUMBER) return false;
  v = lua_tonumber(L, i);
  if (!(v > -bound && v < bound) || v != (lua_Number)(int64_t)v) return false;
  if (v == 0 && signbit(v)) return false;
  *n = (int64_t)v;
  return true;
}

static inline int compat_isinteger (lua_State *L, int i) {
  int64_t n;
  return compat_toint64(L, i, &n);
}
#undef lua_isinteger
#define lua_isinteger compat_isinteger

/* Whole numbers only, as in 5.3; before it fractions were cut off. */
static inline lua_Integer compat_tointegerx (lua_State *L, int i,
                                             int *isnum) {
  const lua_Number bound = 9223372036854775808.0; /* 2^63 */
  lua_Number v = lua_tonumber(L, i);
  bool whole = lua_isnumber(L, i) && v >= -bound && v < bound &&
               v == (lua_Number)(lua_Integer)v;
  if (isnum != NULL) *isnum = whole;
  return whole ? (lua_Integer)v : 0;
}
#undef lua_tointegerx
#define lua_tointegerx compat_tointegerx

/* Past 2^53 this is the nearest double. */
#define compat_pushint64(L, n) lua_pushnumber((L), (lua_Number)(n))

#undef lua_getfield
#undef lua_gettable
#undef lua_rawget
#undef lua_rawgeti
#define lua_getfield(L, i, k) (lua_getfield(L, i, k), lua_type(L, -1))
#define lua_gettable(L, i) (lua_gettable(L, i), lua_type(L, -1))
#define lua_rawget(L, i) (lua_rawget(L, i), lua_type(L, -1))
#define lua_rawgeti(L, i, n) \
  (lua_rawgeti(L, i, (int)(n)), lua_type(L, -1))

static inline int compat_rawgetp (lua_State *L, int i, const void *p) {
  i = lua_absindex(L, i);
  lua_pushlightuserdata(L, (void *)p);
  return lua_rawget(L, i);
}
#undef lua_rawgetp
#define lua_rawgetp compat_rawgetp

static inline int compat_getglobal (lua_State *L, const char *name) {
  lua_getglobal(L, name);
  return lua_type(L, -1);
}
#undef lua_getglobal
#define lua_getglobal compat_getglobal

static inline int compat_getuservalue (lua_State *L, int i, int n) {
  int type;
  compat_pushuservalues(L, i);
  if (lua_type(L, -1) != LUA_TTABLE) return LUA_TNONE;
  type = lua_rawgeti(L, -1, n);
  lua_replace(L, -2);
  return type;
}

static inline int compat_setuservalue (lua_State *L, int i, int n) {
  compat_pushuservalues(L, i);
  if (lua_type(L, -1) != LUA_TTABLE) {
    lua_pop(L, 2);
    return 0;
  }
  lua_insert(L, -2);
  lua_rawseti(L, -2, n);
  lua_pop(L, 1);
  return 1;
}

#endif

/* }================================================================== */

/* {==================================================================
** Lua 5.3, and what 5.3 began
** =================================================================== */

#if LUA_VERSION_NUM >= 503

_Static_assert(sizeof(lua_Integer) == 8, "integers have 64 bits");

#define COMPAT_COLLECTS_FIRST 0

static inline bool compat_toint64 (lua_State *L, int i, int64_t *n) {
  if (!lua_isinteger(L, i)) return false;
  *n = lua_tointegerx(L, i, NULL);
  return true;
}

#define compat_pushint64(L, n) lua_pushinteger((L), (n))

#endif

#if LUA_VERSION_NUM == 503

static inline void *compat_newuserdata (lua_State *L, size_t size, int n) {
  (void)n;
  return lua_newuserdata(L, size);
}

static inline int compat_getuservalue (lua_State *L, int i, int n) {
  (void)n;
  return lua_getuservalue(L, i);
}

static inline int compat_setuservalue (lua_State *L, int i, int n) {
  (void)n;
  lua_setuservalue(L, i);
  return 1;
}

#endif

/* }================================================================== */

/* {==================================================================
** All before Lua 5.4: one user value, number 1
** =================================================================== */

#if LUA_VERSION_NUM < 504

#undef lua_newuserdatauv
#undef lua_getiuservalue
#undef lua_setiuservalue
#define lua_newuserdatauv compat_newuserdata
#define lua_getiuservalue compat_getuservalue
#define lua_setiuservalue compat_setuservalue

#endif

/* }================================================================== */

#endif
