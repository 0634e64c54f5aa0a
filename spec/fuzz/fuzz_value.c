/*
** fuzz_value.c - any bytes as a stored table: read, or refused with an
** error. What is read is packed again, and read to the same bytes once more.
*/
#include <stdlib.h>

#include "lua/compat.h"
#include <lualib.h>

int luaopen_lode_core (lua_State *L);

static lua_State *L;

static void begin (void) {
  L = luaL_newstate();
  if (L == NULL) abort();
  luaL_openlibs(L);
  lua_pushcfunction(L, luaopen_lode_core);
  lua_call(L, 0, 1);
  lua_getfield(L, 1, "unpack");
  lua_getfield(L, 1, "pack");
}

/* Calls the function at `f` with the value on the top. */
static int call (int f) {
  lua_pushvalue(L, f);
  lua_insert(L, -2);
  return lua_pcall(L, 1, 1, 0) == LUA_OK;
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  enum { CORE = 1, UNPACK, PACK };
  static unsigned runs;
  if (L == NULL) begin();
  lua_settop(L, PACK);
  lua_pushlstring(L, (const char *)data, size);
  if (call(UNPACK) && call(PACK)) { /* NaN as a key is refused at packing */
    int first = lua_gettop(L);
    lua_pushvalue(L, first);
    if (!call(UNPACK)) abort();
  }
  lua_settop(L, PACK);
  if (++runs % 256 == 0) lua_gc(L, LUA_GCCOLLECT, 0);
  return 0;
}
