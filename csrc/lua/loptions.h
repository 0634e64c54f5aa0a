/*
** loptions.h - the option tables of lode.open, store:dict and store:set.
**
** A table is read strictly: an unknown name, or a value of the wrong type
** or sense, raises BAD_ARGUMENT naming it, before anything is opened.
*/
#ifndef LODE_LOPTIONS_H
#define LODE_LOPTIONS_H

#include "lhandle.h"

/*
** [-0, +0, v] Reads the options of lode.open at `i` (a table or nil) into
** `o`; name, log, log_level and clock go to the user value of the store at
** `self`, which calls the clock from then on.
*/
void loptions_open (lua_State *L, int i, int self, lode_options *o);

/*
** [-0, +0, v] Reads the options of a dict or a set at `i` (a table or nil)
** into `o`; functions and serializers go to the user value of the handle at
** `self`, where the slices of `o` stay alive.
*/
void loptions_coll (lua_State *L, int i, int self, lode_kind kind,
                    lode_coll_options *o);

/*
** [-0, +0, v] After the opening: finds by name each serializer that is kept
** with the collection and was not given, and sets what the handle at `self`
** checks. INCOMPATIBLE, naming what can't be found.
*/
void loptions_resolve (lua_State *L, int self);

/* The rank of a level of the log, from 0 "debug" to 3 "error"; -1: none. */
int loptions_level (const char *name);

#endif
