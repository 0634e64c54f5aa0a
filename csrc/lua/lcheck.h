/*
** lcheck.h - what takes long and tells of its progress, in Lua: whether a
** store is whole, repair, salvage and backup.
*/
#ifndef LODE_LCHECK_H
#define LODE_LCHECK_H

#include "lhandle.h"

/* [-2, +1, e] store:check([options]) -> report */
int lcheck_store (lua_State *L);
/* [-2, +1, e] lode.check(path [, options]) -> report */
int lcheck_path (lua_State *L);
/* [-3, +1, e] lode.repair(path, to [, options]) -> report */
int lcheck_salvage (lua_State *L);
/* [-3, +0, e] store:backup(path [, options]) */
int lcheck_backup (lua_State *L);

/*
** [-0, +0, m] Logs what came of the check that was begun in the background
** when the store at `self` was opened, once it has ended.
*/
void lcheck_news (lua_State *L, int self);

#endif
