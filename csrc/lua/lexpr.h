/*
** lexpr.h - sets and expressions over them, as operands.
*/
#ifndef LODE_LEXPR_H
#define LODE_LEXPR_H

#include "lhandle.h"

/* Whether a set or an expression is at `i`. */
bool lexpr_is (lua_State *L, int i);

/*
** [-0, +0, v] Flattens the set or expression at `i` into `terms` (of
** LODE_TERMS_MAX) and gives their number. BAD_ARGUMENT, CLOSED, and
** INCOMPATIBLE for sets that don't encode their members in one way.
*/
size_t lexpr_terms (lua_State *L, int i, lode_term *terms);

/* [-0, +1, v] Pushes the first leaf of the set or expression at `i`. */
lcoll *lexpr_push_leaf (lua_State *L, int i);

/* Whether all leaves of the set or expression at `i` are of one handle. */
bool lexpr_one_store (lua_State *L, int i);

/* [-0, +1, v] Pushes true when the key at `x` is a member, else nil. */
int lexpr_has (lua_State *L, int i, int x);

/* [-0, +1, v] Pushes the number of members. */
int lexpr_len (lua_State *L, int i);

/*
** [-0, +0, m] Adds the operators to the metatables of sets and expressions
** at `set` and `expr`: the very same functions to both, since Lua 5.1
** compares two operands only if theirs are equal.
*/
void lexpr_operators (lua_State *L, int set, int expr);

/* Metamethods of expressions. */
int lexpr__index (lua_State *L);
int lexpr__newindex (lua_State *L);
int lexpr__tostring (lua_State *L);

/* What lode.set has for whole sets: union, ..., disjoint, save, update. */
extern const luaL_Reg lexpr_functions[];

#endif
