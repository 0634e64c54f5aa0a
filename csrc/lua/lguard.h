/*
** lguard.h - nothing stays open when Lua code between begin and end fails.
**
** An error that is not caught runs past every C function below it, so what
** was begun would stay begun: one leaked write transaction stops every
** writer of every process. So whatever runs between is called protected
** from here, and what it left open is undone before its error goes on,
** unchanged. A yield can't cross a protected call: Lua raises, we undo.
*/
#ifndef LODE_LGUARD_H
#define LODE_LGUARD_H

#include "lhandle.h"

typedef enum lguard_kind {
  LGUARD_TRANSACTION, LGUARD_SNAPSHOT, LGUARD_LOCK
} lguard_kind;

/*
** [-n, +results, e] Calls the function at slot `f` with all above it as its
** arguments: in a transaction, in a snapshot, or holding the writer's lock.
** Gives the number of results, which stand from `f` on. `self` is a slot
** below `f` with the handle that failures speak of.
*/
int lguard_call (lua_State *L, int self, lstore *s, lguard_kind kind, int f);

/*
** [-0, +results, e] Calls `body` with all that is on the stack, the handle
** at slot 1 first, in the same way.
*/
int lguard_body (lua_State *L, lstore *s, lguard_kind kind,
                 lua_CFunction body);

/*
** Inside LGUARD_LOCK: turns the lock into a transaction, and commits it.
** A body that writes nothing calls neither.
*/
lode_status lguard_begin (lstore *s);
lode_status lguard_commit (lstore *s);

#endif
