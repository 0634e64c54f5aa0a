/*
** lkey.h - Lua values as keys, and back.
**
** The common key is encoded into the scratch of its store and costs no
** allocation. One that passes a callback (key serializer, hash function)
** is anchored on the Lua stack instead, since the callback may use the
** store, and its scratch, itself.
*/
#ifndef LODE_LKEY_H
#define LODE_LKEY_H

#include "lhandle.h"

/*
** [-0, +(0..2), v] Makes `key` of the value at `i` (a positive slot) for
** the dict or set at `self`. What it pushes must stay on the stack as long
** as the key is used; and no other key of the store may be made meanwhile.
** BAD_KEY, NO_MEMORY, and what the callbacks raise.
*/
void lkey_take (lua_State *L, int self, lcoll *c, int i, lode_key *key);

/* [-0, +(1..3), v] The same, anchored: other keys may be made meanwhile. */
void lkey_keep (lua_State *L, int self, lcoll *c, int i, lode_key *key);

/*
** [-0, +0, v] BAD_KEY unless the value at `i` is of the type that keys of
** this dict or set must have. For writes; a read finds nothing.
*/
void lkey_check (lua_State *L, int self, const lcoll *c, int i);

/*
** [-0, +(0..2), v] Makes `key` of encoded bytes, as a walk over a
** collection with the same key serializer gives them. The bytes must stay.
*/
void lkey_whole (lua_State *L, int self, lcoll *c, lode_slice whole,
                 lode_key *key);

/*
** [-0, +1, v] Pushes the encoded bytes that every key with the prefix at
** `i` begins with, as a string. BAD_ARGUMENT for what is no prefix.
*/
void lkey_push_prefix (lua_State *L, int self, lcoll *c, int i);

/*
** [-0, +1, v] Pushes the key that these bytes are, without a serializer.
** `text` is the caller's and is overwritten. CORRUPT.
*/
void lkey_push (lua_State *L, int self, const lcoll *c, lode_slice whole,
                lode_buffer *text);

/* [-1, +1, e] Calls the key serializer's decode where there is one. */
void lkey_decode (lua_State *L, int self, const lcoll *c);

#endif
