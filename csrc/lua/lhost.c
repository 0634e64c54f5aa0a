/*
** lhost.c - what a C program with Lua inside calls: see lode_lua.h.
*/
#include "../lode_lua.h"
#include "lfiles.h"
#include "lmodule.h"
#include "lstore.h"

/* {==================================================================
** The module without files
** =================================================================== */

/* [-0, +1, e] Runs an embedded file, as require does. */
static void run_file (lua_State *L, const lfile *f) {
  luaL_Buffer b;
  const char *source;
  size_t size;
  luaL_buffinit(L, &b);
  for (const char *const *line = f->lines; *line != NULL; line++)
    luaL_addstring(&b, *line);
  luaL_pushresult(&b);
  source = lua_tolstring(L, -1, &size);
  if (luaL_loadbuffer(L, source, size, f->name) != LUA_OK) lua_error(L);
  lua_remove(L, -2);
  lua_pushstring(L, f->module);
  lua_call(L, 1, 1);
}

/* [-n, +1, e] The loader of the file that is its upvalue. */
static int load_file (lua_State *L) {
  run_file(L, lua_touserdata(L, lua_upvalueindex(1)));
  return 1;
}

/* [-0, +0, m] Has require find the embedded files: `preload`'s slot. */
static void offer_files (lua_State *L, int preload) {
  lua_pushcfunction(L, luaopen_lode_core);
  lua_setfield(L, preload, "lode.core");
  for (const lfile *f = lfiles; f->module != NULL; f++) {
    lua_pushlightuserdata(L, (void *)f);
    lua_pushcclosure(L, load_file, 1);
    lua_setfield(L, preload, f->module);
  }
}

/* [-0, +0, e] Runs the file of the module itself: `loaded`'s slot. */
static void load_module (lua_State *L, int loaded) {
  const lfile *f = lfiles;
  while (strcmp(f->module, "lode") != 0) f++;
  run_file(L, f);
  lua_pushvalue(L, -1);
  lua_setfield(L, loaded, "lode");
}

/* [-0, +0, v] */
static int refuse (lua_State *L) {
  return luaL_error(L, "lode needs Lua's library 'package': open it first");
}

int luaopen_lode (lua_State *L) {
  int loaded = lua_gettop(L) + 1, preload = loaded + 2;
  luaL_checkstack(L, 8, NULL);
  if (lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED") != LUA_TTABLE)
    return refuse(L);
  if (lua_getfield(L, loaded, "lode") == LUA_TTABLE) return 1;
  lua_settop(L, loaded);
  if (lua_getfield(L, loaded, "package") != LUA_TTABLE) return refuse(L);
  lua_getfield(L, -1, "preload");
  luaL_checktype(L, preload, LUA_TTABLE);
  offer_files(L, preload);
  load_module(L, loaded);
  return 1;
}

/* }================================================================== */

/* {==================================================================
** Handing over
** =================================================================== */

void lode_pushstore (lua_State *L, lode_store *store) {
  lmodule_begin(L);
  lstore_lend(L, store);
}

/* [-0, +1, v] */
static void push_coll (lua_State *L, lode_store *store, const char *name,
                       lode_kind kind) {
  int base = lua_gettop(L) + 1;
  luaL_checkstack(L, 8, NULL);
  lode_pushstore(L, store);
  lua_pushstring(L, name);
  lstore_push_coll(L, base, base + 1, kind);
  lua_replace(L, base);
  lua_settop(L, base);
}

void lode_pushdict (lua_State *L, lode_store *store, const char *name) {
  push_coll(L, store, name, LODE_DICT);
}

void lode_pushset (lua_State *L, lode_store *store, const char *name) {
  push_coll(L, store, name, LODE_SET);
}

/* }================================================================== */
