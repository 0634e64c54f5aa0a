/*
** lerror.h - failures as Lua errors.
**
** An error is a table {code, message, path, collection, key, where} with
** one metatable for the state, whose __tostring reads as a sentence.
** `where` is the file and line of the Lua code that made the call.
*/
#ifndef LODE_LERROR_H
#define LODE_LERROR_H

#include "../lode.h"
#include "compat.h"

/* [-0, +0, m] Makes the metatable of errors; once in a state. */
void lerror_open (lua_State *L);

/* [-1, +1, m] Makes the message on the top an error object. */
void lerror_new (lua_State *L, lode_status status);

/* [-0, +0, v] Raises an error with this text. Never returns. */
int lode_raise (lua_State *L, lode_status status, const char *text);

/* [-0, +0, v] The same with a format of lua_pushfstring's. */
int lerror_raise (lua_State *L, lode_status status, const char *format, ...);

/*
** [-0, +0, m] Enters into the error of lode's on the top, made where no Lua
** code was running, where it comes out of a call. Others stay as they are.
*/
void lerror_locate (lua_State *L);

/*
** [-0, +0, v] Raises BAD_ARGUMENT "bad argument #2 to 'get': ...", with
** the name that the running function was called by, where that is known.
*/
int lerror_argument (lua_State *L, int arg, const char *format, ...);

/* [-0, +0, v] BAD_ARGUMENT when anything was given from `arg` on. */
void lerror_excess (lua_State *L, int arg);

/* [-0, +0, v] raise(code, message [, fields]): for lode's own Lua files. */
int lerror_lua_raise (lua_State *L);

/*
** [-0, +1, m] Pushes a key as people write it: "ada" in quotes and cut
** when long, {"2026", 11} for a tuple, what tostring says of the rest.
*/
void lerror_push_key (lua_State *L, int i);

/*
** [-0, +(0..1), m] What is at `i`, for "got ...": a string in quotes and cut,
** a number, nil, "a table", "a dict". Valid while it stays on the stack.
*/
const char *lerror_got (lua_State *L, int i);

/*
** The name that may be meant by what is at `i`; null: none is near. `names`
** is an array of structs of `stride` bytes, which begin with a name; the last
** one's is null.
*/
const char *lerror_nearest (lua_State *L, int i, const void *names,
                            size_t stride);

/*
** [-0, +2, m] The name at `i`, which is none of `names`, and what to write:
** "tll": is 'ttl' meant? or all that there are.
*/
const char *lerror_unknown (lua_State *L, int i, const void *names,
                            size_t stride);

#endif
