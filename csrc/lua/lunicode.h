/* lunicode.h - Unicode normalisation, over utf8proc where it is installed. */
#ifndef LODE_LUNICODE_H
#define LODE_LUNICODE_H

#include <lua.h>

/* core.normalize(text, compatible) -> text, or nil and what is wrong. */
int lunicode_normalize (lua_State *L);

#endif
