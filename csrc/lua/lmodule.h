/*
** lmodule.h - the module as a whole.
*/
#ifndef LODE_LMODULE_H
#define LODE_LMODULE_H

#include "compat.h"

/* [-0, +0, v] Makes all that handles need, unless this state has it. */
void lmodule_begin (lua_State *L);

/* [-0, +1, v] require "lode.core" */
int luaopen_lode_core (lua_State *L);

#endif
