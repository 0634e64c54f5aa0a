/*
** lkept.h - what a store keeps with a collection, as a table of options.
*/
#ifndef LODE_LKEPT_H
#define LODE_LKEPT_H

#include "lhandle.h"

/* [-2, +2, v] store:options(name) -> kind, options; nil when absent */
int lkept_options (lua_State *L);

#endif
