/*
** lentry.h - Lua values as the values of entries, and back.
*/
#ifndef LODE_LENTRY_H
#define LODE_LENTRY_H

#include "lhandle.h"

/*
** [-0, +(0..1), v] Makes `value` of the one at `i` (a positive slot) for
** the dict at `self`. What it pushes must stay on the stack as long as the
** value is used; and no other value of the store may be made meanwhile.
** `key` is the slot of its key, for errors. BAD_VALUE, NO_MEMORY.
*/
void lentry_take (lua_State *L, int self, lcoll *c, int i, int key,
                  lode_value *value);

/*
** [-0, +1, v] Pushes the value that lode_get gave for the key at slot
** `key`, and ends that get.
*/
void lentry_push (lua_State *L, int self, lcoll *c, int key,
                  const lode_value *value);

/* As lode_get. */
typedef lode_status lentry_look (lode_coll *coll, const lode_key *key,
                                 lode_value *value);

/*
** [-0, +1, v] The same for a value that `look` gave. It may be asked once
** more, and then say ABSENT, which pushes nil.
*/
void lentry_push_found (lua_State *L, int self, lcoll *c, int key,
                        lentry_look *look, const lode_value *value);

/*
** [-0, +1, v] Pushes a value whose bytes stay where they are meanwhile,
** before a serializer: its string stands there as it is.
*/
void lentry_push_plain (lua_State *L, int self, const lode_value *value);

/* [-1, +1, e] Calls the serializer's decode where the codec says so. */
void lentry_decode (lua_State *L, int self, lode_codec codec);

/*
** [-0, +1, v] Looks the key at `i` up and pushes its value, nil when it is
** absent; gives whether it is there.
*/
bool lentry_get (lua_State *L, int self, lcoll *c, int i);

/*
** [-0, +0, m] Whether two values are equal by content: tables by what they
** hold, all else as Lua's ==.
*/
bool lentry_equal (lua_State *L, int a, int b);

#endif
