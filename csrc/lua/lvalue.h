/*
** lvalue.h - Lua values as MessagePack bytes, and back.
**
** The standard format with no extension types, so any language reads it.
** What goes in comes back: integers and floats stay apart where Lua keeps
** them apart, -0.0, infinities and NaN are exact, strings have any bytes.
**
**   Lua                                  MessagePack
**   boolean                              bool
**   integer                              the shortest int that holds it
**   float                                float 64
**   string of UTF-8                      str
**   any other string                     bin, for readers that insist on
**                                        UTF-8 in str
**   table with the keys 1..n and no      array; the empty table too
**   other
**   any other table                      map of strings, numbers, booleans
**
** Lua 5.1 and LuaJIT have one kind of number: whole ones below 2^53 are
** written as ints, all others (and -0.0) as floats; an int past 2^53 reads
** as the nearest double. Tables are read raw: metatables play no part.
*/
#ifndef LODE_LVALUE_H
#define LODE_LVALUE_H

#include "../lode.h"
#include "compat.h"

#define LVALUE_DEPTH 128 /* tables in tables; deeper ones are refused */

enum { /* the bytes that begin a value; the "fix" ones carry its size */
  MARK_FIXMAP = 0x80, MARK_FIXARRAY = 0x90, MARK_FIXSTR = 0xa0,
  MARK_NIL = 0xc0, MARK_UNUSED, MARK_FALSE, MARK_TRUE,
  MARK_BIN8, MARK_BIN16, MARK_BIN32, MARK_EXT8, MARK_EXT16, MARK_EXT32,
  MARK_FLOAT32, MARK_FLOAT64,
  MARK_UINT8, MARK_UINT16, MARK_UINT32, MARK_UINT64,
  MARK_INT8, MARK_INT16, MARK_INT32, MARK_INT64,
  MARK_FIXEXT1, MARK_FIXEXT2, MARK_FIXEXT4, MARK_FIXEXT8, MARK_FIXEXT16,
  MARK_STR8, MARK_STR16, MARK_STR32,
  MARK_ARRAY16, MARK_ARRAY32, MARK_MAP16, MARK_MAP32,
  MARK_NEGATIVE = 0xe0 /* up to 0xff: -32 to -1 */
};

/*
** Adds the bytes of the value at `i` to `out`. A failure leaves `out` as
** it was and its words in `error`: BAD_VALUE for what can't be stored (nil
** too), naming the path to it: "value.spells[3].cast: a function can't be
** stored; ..."; NO_MEMORY. Runs no Lua code. May raise Lua's memory error, so
** `out` belongs to somebody who outlives that.
*/
lode_status lvalue_encode (lua_State *L, int i, lode_buffer *out,
                           lode_error *error);

/*
** Pushes the value that all of `bytes` make. A failure pushes nothing and
** leaves its words in `error`: CORRUPT for bytes that are no such value,
** NO_MEMORY. It may raise Lua's memory error, and the collector may run
** finalizers meanwhile. Nothing is trusted: memory taken stays within a
** fixed multiple of the size of `bytes`, whatever they declare.
** All of MessagePack is read but extension types. Nil in an array leaves a
** hole, in a map nothing; as a key it is refused, as are NaN and tables.
*/
lode_status lvalue_decode (lua_State *L, lode_slice bytes,
                           lode_error *error);

/* [-0, +1, v] pack(value) -> string. BAD_VALUE. */
int lvalue_pack (lua_State *L);

/* [-0, +1, v] unpack(string) -> value. BAD_ARGUMENT, CORRUPT. */
int lvalue_unpack (lua_State *L);

#endif
