/*
** lstore.h - stores in Lua.
*/
#ifndef LODE_LSTORE_H
#define LODE_LSTORE_H

#include "lhandle.h"

/* [-2, +1, v] lode.open(path [, options]) -> store */
int lstore_open (lua_State *L);

extern const luaL_Reg lstore_methods[];
extern const luaL_Reg lstore_metamethods[];

/*
** [-0, +1, m] Pushes the handle of a store that is the host's, and stays so:
** the same one each time, as long as it is in use.
*/
void lstore_lend (lua_State *L, lode_store *store);

/*
** [-0, +1, v] Opens, or makes when absent, the collection named at `name`
** in the store at `store`, with the options that are kept with it.
*/
void lstore_push_coll (lua_State *L, int store, int name, lode_kind kind);

/* __gc of dicts and sets */
int lstore_coll__gc (lua_State *L);

/* [-0, +0, v] BAD_ARGUMENT unless a string is at `i`. */
lode_slice lstore_check_name (lua_State *L, int i);

/*
** [-0, +1, v] Opens, or makes when absent, the collection named at `name`
** in the store at `store`, with the options of the one at `model`; those of
** time only where `timed`, else one that is there keeps its own.
*/
lcoll *lstore_open_like (lua_State *L, int store, int name, int model,
                         const lcoll *like, bool timed);

/* [-0, +0, v] Whether the store has a collection of the name at `name`. */
bool lstore_has (lua_State *L, int store, int name);

#endif
