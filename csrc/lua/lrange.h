/*
** lrange.h - tables {from, to, after, before, prefix, reverse, limit,
** snapshot} as ranges of the core.
*/
#ifndef LODE_LRANGE_H
#define LODE_LRANGE_H

#include "lhandle.h"

typedef struct lrange {
  lode_range range;
  lode_key from, to; /* what range.from and range.to point to */
  bool snapshot;
} lrange;

/* All entries, from the first to the last. */
void lrange_all (lrange *r);

/*
** [-0, +(0..9), v] Reads the table at `i` (nil: all) for the dict or set
** at `self`. What it pushes must stay on the stack as long as the range is
** used. BAD_ARGUMENT for an unknown field or one of the wrong type,
** BAD_KEY for a bound that can't be a key.
*/
void lrange_take (lua_State *L, int self, lcoll *c, int i, lrange *r);

/* [-0, +(0..9), v] The same for what is no walk: `snapshot` is refused. */
void lrange_take_plain (lua_State *L, int self, lcoll *c, int i, lrange *r);

#endif
