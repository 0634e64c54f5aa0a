/*
** lmodule.c - luaopen_lode_core: the metatables, and the tables lode.dict,
** lode.set and what else the module has.
*/
#include "lcheck.h"
#include "ldict.h"
#include "lexpr.h"
#include "lhooks.h"
#include "lmodule.h"
#include "lset.h"
#include "lunicode.h"
#include "lstore.h"
#include "ltime.h"
#include "lvalue.h"
#include "lwalk.h"

#ifdef LODE_TEST

/* [-1, +0, v] test_fail(n): the n-th allocation from now on fails; 0: none */
static int test_fail (lua_State *L) {
  lode_test_fail_allocation((unsigned long)luaL_checkinteger(L, 1));
  return 0;
}

/* [-0, +2, -] test_live() -> blocks of memory, handles */
static int test_live (lua_State *L) {
  lua_pushinteger(L, lode_test_live_blocks());
  lua_pushinteger(L, lode_test_live_handles());
  return 2;
}

/*
** [-1, +2, v] test_indexes(dict or set) -> calls in its deadline index,
** places where records and indexes don't agree
*/
static int test_indexes (lua_State *L) {
  lcoll *c = lhandle_test_coll(L, 1);
  uint64_t calls = 0, lost = 0;
  lode_status status;
  if (c == NULL) return lhandle_wrong(L, 1, "a dict or a set");
  if (!lhandle_is_open(c)) return lhandle_closed(L, 1);
  status = lode_test_indexes(c->coll, &calls, &lost);
  if (status != LODE_OK) return lhandle_fail(L, 1, 0, status, NULL);
  lua_pushinteger(L, (lua_Integer)calls);
  lua_pushinteger(L, (lua_Integer)lost);
  return 2;
}

#endif

static const luaL_Reg walk_metamethods[] = {
  { "__gc", lwalk__gc },
  { "__close", lwalk__gc },
  { NULL, NULL }
};

static const luaL_Reg module_functions[] = {
  { "open", lstore_open },
  { "check", lcheck_path },
  { "repair", lcheck_salvage },
  { "pack", lvalue_pack },
  { "unpack", lvalue_unpack },
  { "raise", lerror_lua_raise },
  { "normalize", lunicode_normalize },
#ifdef LODE_TEST
  { "test_fail", test_fail },
  { "test_live", test_live },
  { "test_indexes", test_indexes },
#endif
  { NULL, NULL }
};

static const luaL_Reg *const dict_functions[] = {
  ldict_functions, lupdate_functions, lmany_dict_functions,
  lwalk_dict_functions, ltime_dict_functions, lfetch_functions, NULL
};

static const luaL_Reg *const set_functions[] = {
  lset_functions, lmany_set_functions, lwalk_set_functions,
  lexpr_functions, ltime_set_functions, NULL
};

/* [-1, +0, v] What isn't there is a mistake: a store is no dict. */
static int store__index (lua_State *L) {
  lerror_push_key(L, 2);
  return lerror_raise(L, LODE_BAD_ARGUMENT, "a store has no method %s: "
                      "store:dict(name) opens a dict of it, store:set(name) "
                      "a set, and these have the entries",
                      lua_tostring(L, -1));
}

/* [-3, +0, v] */
static int store__newindex (lua_State *L) {
  lerror_push_key(L, 2);
  return lerror_raise(L, LODE_BAD_ARGUMENT, "the field %s of a store can't "
                      "be set: entries are in its dicts and sets, which "
                      "store:dict(name) and store:set(name) open",
                      lua_tostring(L, -1));
}

/* [-n, +0, v] lode.dict(store, name), lode.set(store, name) */
static int library__call (lua_State *L) {
  const char *name = lua_tostring(L, lua_upvalueindex(1));
  return lerror_raise(L, LODE_BAD_ARGUMENT, "lode.%s is a table of "
                      "functions, as lode.%s.len: store:%s(name) opens a %s",
                      name, name, name, name);
}

/* [-0, +0, m] Makes every metatable. */
static void make_metatables (lua_State *L) {
  int set, expr;
  luaL_checkstack(L, 16, NULL);
  lerror_open(L);
  lhooks_open(L);
  lhandle_metatable(L, LKIND_STORE, "lode.store", lstore_metamethods);
  lua_newtable(L);
  luaL_setfuncs(L, lstore_methods, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, store__index);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, store__newindex);
  lua_setfield(L, -2, "__newindex");
  lhandle_metatable(L, LKIND_DICT, "lode.dict", ldict_metamethods);
  lhandle_metatable(L, LKIND_SET, "lode.set", lset_metamethods);
  set = lua_gettop(L);
  lhandle_metatable(L, LKIND_EXPR, "lode.expression", lset_expr_metamethods);
  expr = lua_gettop(L);
  lexpr_operators(L, set, expr);
  lhandle_metatable(L, LKIND_WALK, "lode.walk", walk_metamethods);
  lua_pop(L, 5);
}

/* [-0, +0, m] Sets a field of the table on the top: one of all functions. */
static void set_library (lua_State *L, const char *name,
                         const luaL_Reg *const *parts) {
  lua_newtable(L);
  for (; *parts != NULL; parts++) luaL_setfuncs(L, *parts, 0);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, name);
  lua_pushcclosure(L, library__call, 1);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, name);
}

void lmodule_begin (lua_State *L) {
  luaL_checkversion(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &lhandle_tags[LKIND_WALK]); /* the last */
  if (lua_isnil(L, -1)) make_metatables(L);
  lua_pop(L, 1);
}

/* [-0, +1, v] require "lode.core" */
__attribute__((visibility("default")))
int luaopen_lode_core (lua_State *L) {
  lmodule_begin(L);
  luaL_newlib(L, module_functions);
  set_library(L, "dict", dict_functions);
  set_library(L, "set", set_functions);
  lua_pushliteral(L, LODE_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}
