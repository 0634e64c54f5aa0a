/*
** ldict.h - dicts in Lua: the table face, and lode.dict but for walks.
*/
#ifndef LODE_LDICT_H
#define LODE_LDICT_H

#include "lhandle.h"

extern const luaL_Reg ldict_metamethods[];
extern const luaL_Reg ldict_functions[];

/*
** [-0, +(0..3), v] Makes key and value of slots `k` and `v` for a write to
** the dict at slot 1, checking their types; whichever passes a callback
** comes first, since callbacks may use the scratch.
*/
void ldict_take_entry (lua_State *L, lcoll *c, int k, int v, lode_key *key,
                       lode_value *value);

/* What lode.dict has of functions that read and then write (lupdate.c). */
extern const luaL_Reg lupdate_functions[];

/* Get or compute (lfetch.c). */
extern const luaL_Reg lfetch_functions[];

/* What it has of functions over many entries (lmany.c). */
extern const luaL_Reg lmany_dict_functions[];
extern const luaL_Reg lmany_set_functions[];

#endif
