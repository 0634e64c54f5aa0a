/*
** lhooks.h - functions of the user's that the core calls: policies,
** on_expire, evict functions, and the clock.
**
** Whatever they raise must not jump through the core, nor may they disturb
** what the call below them has on its Lua stack or in the scratch of the
** store. So each runs protected, on a Lua thread of the store's own, with
** scratch of its own. What it raises is kept aside while the core unwinds;
** lhandle_fail raises it again, unchanged.
**
** The core knows a dict or set by its lcoll. A weak table finds the userdata
** of that, and only its user value holds the functions: one whose upvalues
** hold the dict, or the store, keeps neither alive.
*/
#ifndef LODE_LHOOKS_H
#define LODE_LHOOKS_H

#include "lhandle.h"

/* [-0, +0, m] Makes what the hooks have in common; once in a state. */
void lhooks_open (lua_State *L);

/* [-0, +0, m] Makes `o` ask the function in STORE_CLOCK of the store. */
void lhooks_clock (lua_State *L, int self, lode_options *o);

/*
** [-0, +0, m] Fills `hooks` with those that the functions in the slots of
** the dict or set at `self` ask for. False: there are none.
*/
bool lhooks_coll (lua_State *L, int self, lode_hooks *hooks);

/* [-0, +0, m] Whether the policy in the slots has this name. */
bool lhooks_is_policy (lua_State *L, int self, lode_slice name);

/*
** [-0, +(0..1), -] Pushes what the last callback that failed has raised.
** False: there is no such, and nothing is pushed.
*/
bool lhooks_take_error (lua_State *L);

#endif
