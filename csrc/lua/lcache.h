/*
** lcache.h - decoded values of a dict, kept in this lua_State: the option
** `cache = n`.
**
** What was read is kept as the Lua value that it became, together with the
** number of the commit that it was read at. While that is the last commit
** of any process, a read gives the kept value, and asks LMDB for nothing
** else. A commit, also to another collection of the store, ends all of it.
**
** Not kept: what is read in a transaction or snapshot, keys that are
** tuples, and all of a dict where reads are noted (times, a policy of
** accesses, caps by them), since a kept value would be read unnoted.
*/
#ifndef LODE_LCACHE_H
#define LODE_LCACHE_H

#include "lhandle.h"

/*
** [-0, +0, m] Gives the dict at `self`, which has just been opened, its
** cache where it is to have one: a metatable of its own, whose __index
** knows the values.
*/
void lcache_begin (lua_State *L, int self);

/* [-0, +1, v] As lentry_get, for a dict with a cache. */
bool lcache_get (lua_State *L, int self, lcoll *c, int i);

#endif
