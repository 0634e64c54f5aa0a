/*
** smoke.c - a program with its own Lua and lode's one file: runs the script
** that it is given, in a state whose require finds no file.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

#include "lode.h"

static int find_nothing (lua_State *L) {
  lua_getglobal(L, "package");
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "path");
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "cpath");
  lua_pop(L, 1);
  return 0;
}

int main (int argc, char **argv) {
  lua_State *L = luaL_newstate();
  lode_options options;
  lode_store *store = NULL;
  lode_error error;
  int status = 1;
  if (argc < 3 || L == NULL) return 2;
  luaL_openlibs(L);
  find_nothing(L);
  lode_options_init(&options);
  if (lode_open(argv[2], &options, &store, &error) != LODE_OK) {
    printf("%s\n", error.text);
    return 1;
  }
  lua_pushcfunction(L, luaopen_lode);
  if (lua_pcall(L, 0, 0, 0) == 0 && luaL_loadfile(L, argv[1]) == 0) {
    lode_pushstore(L, store);
    lode_pushdict(L, store, "given");
    if (lua_pcall(L, 2, 0, 0) == 0) status = 0;
  }
  if (status != 0) printf("%s\n", lua_tostring(L, -1));
  lua_close(L);
  if (lode_close(store, &error) != LODE_OK) status = 1;
  return status;
}
