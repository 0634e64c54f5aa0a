/*
** ltime.h - times in Lua: seconds, as numbers; in the core: whole ms.
*/
#ifndef LODE_LTIME_H
#define LODE_LTIME_H

#include "lhandle.h"

#define LTIME_LONGEST ((uint64_t)1 << 62) /* ms; the core's own is less */

/*
** Gives the span at `i` in ms: a number of seconds from 0 on, rounded up;
** math.huge is LODE_NEVER. False: it is something else.
*/
bool ltime_span (lua_State *L, int i, uint64_t *ms);

/*
** [-0, +0, v] The time to live at `i` in ms: a span above 0; nothing or nil
** is `otherwise`. BAD_ARGUMENT for anything else.
*/
uint64_t ltime_ttl (lua_State *L, int i, uint64_t otherwise);

/* [-0, +1, -] Pushes a time or a span in ms as seconds; nil: LODE_NEVER. */
void ltime_push (lua_State *L, uint64_t ms);
/* [-0, +0, m] Sets a field of the table on the top to such a time. */
void ltime_set (lua_State *L, const char *name, uint64_t ms);

/* [-2, +2, v] store:maintain([budget]) -> removed, whether more is due */
int ltime_maintain (lua_State *L);

extern const luaL_Reg ltime_dict_functions[];
extern const luaL_Reg ltime_set_functions[];

#endif
