/*
** lset.h - sets in Lua: the table face, and lode.set but for algebra and
** walks.
*/
#ifndef LODE_LSET_H
#define LODE_LSET_H

#include "lhandle.h"

extern const luaL_Reg lset_metamethods[];
extern const luaL_Reg lset_expr_metamethods[];
extern const luaL_Reg lset_functions[];

#endif
