/*
** analyzer.h - what clang-tidy can't see, as it looks at one file at a time:
** these functions raise, and don't return.
*/
#include <lauxlib.h>

#include "lode.h"

#define RAISES __attribute__((analyzer_noreturn))

int lua_error (lua_State *L) RAISES;
int luaL_error (lua_State *L, const char *format, ...) RAISES;
int luaL_argerror (lua_State *L, int arg, const char *message) RAISES;
int lerror_raise (lua_State *L, lode_status status, const char *format,
                  ...) RAISES;
int lhandle_wrong (lua_State *L, int i, const char *expected) RAISES;
int lhandle_closed (lua_State *L, int self) RAISES;
