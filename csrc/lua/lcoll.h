/*
** lcoll.h - what dicts and sets have in common.
*/
#ifndef LODE_LCOLL_H
#define LODE_LCOLL_H

#include "lhandle.h"

/* Each takes the dict or set at slot 1, which its caller has checked. */

/* [-0, +1, v] The number of entries. */
int lcoll_len (lua_State *L, lcoll *c);
/* [-0, +1, v] The number of those in the range at slot 2. */
int lcoll_count (lua_State *L, lcoll *c);
/* [-0, +1, v] Whether the key at slot 2 is there. */
int lcoll_has (lua_State *L, lcoll *c);
/* [-0, +1, v] Removes the key at slot 2; whether it was there. */
int lcoll_delete (lua_State *L, lcoll *c);
/* [-0, +1, v] Removes every entry; how many. */
int lcoll_clear (lua_State *L, lcoll *c);
/* [-0, +1, v] Its present name. */
int lcoll_name (lua_State *L, lcoll *c);
/* [-0, +1, v] A table of sizes. */
int lcoll_stats (lua_State *L, lcoll *c);
/* [-n, +0, v] d(...), and for k in d do: neither is a function. */
int lcoll__call (lua_State *L);
/* [-0, +1, m] "lode.dict: users", whatever state it is in. */
int lcoll__tostring (lua_State *L);

#endif
