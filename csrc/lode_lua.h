/*
** lode_lua.h - for a C program that has Lua inside: it opens a store as
** lode.h says, and hands it, or one dict of it, to its scripts. It comes
** with `make amalgamation`, as the last part of that lode.h.
**
** A handle that was handed over stays the host's, and so does the duty to
** close it. Both work with it: what scripts write while the host has a
** transaction open (lode_begin) belongs to that. Once the host has closed
** it, whatever scripts still have of it raises CLOSED; a script's
** store:close() gives it back and closes nothing. Host and lua_State use
** it in one thread, as any handle.
**
** Each call may raise, as Lua's own do, so make it in a protected call.
** Needs no lua.h.
*/
#ifndef LODE_LUA_H
#define LODE_LUA_H

#include "lode.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lua_State;

/*
** [-0, +1, e] The module, as require "lode" gives it: its Lua files are in
** the program. From then on `require "lode"` finds it in this state. Needs
** Lua's library package (luaopen_package).
*/
int luaopen_lode (struct lua_State *L);

/* [-0, +1, e] Pushes a handle of the host's; each time the same. */
void lode_pushstore (struct lua_State *L, lode_store *store);

/*
** [-0, +1, e] Pushes the dict or the set `name`, made when absent, with the
** options that are kept with it; lode_coll_open takes others. Whoever has
** no more than this can read and write it, and do nothing else. Needs no
** library of Lua's.
*/
void lode_pushdict (struct lua_State *L, lode_store *store,
                    const char *name);
void lode_pushset (struct lua_State *L, lode_store *store, const char *name);

#ifdef __cplusplus
}
#endif

#endif
