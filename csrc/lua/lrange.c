/*
** lrange.c - see lrange.h.
*/
#include <math.h>

#include "lkey.h"
#include "lrange.h"

void lrange_all (lrange *r) {
  memset(&r->range, 0, sizeof(r->range));
  r->range.limit = UINT64_MAX;
  r->snapshot = false;
}

/* [-0, +0, v] Raises for a field that no range has. */
static void check_names (lua_State *L, int i) {
  static const char *const names[] = {
    "from", "to", "after", "before", "prefix", "reverse", "limit",
    "snapshot", NULL
  };
  for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) {
    const char *const *name = names;
    if (lua_type(L, -2) == LUA_TSTRING) {
      const char *field = lua_tostring(L, -2);
      while (*name != NULL && strcmp(*name, field) != 0) name++;
      if (*name != NULL) continue;
    }
    lerror_argument(L, i, "a range has no field %s",
                    lerror_unknown(L, -2, names, sizeof(*names)));
  }
}

static bool read_flag (lua_State *L, int i, const char *name) {
  bool flag;
  lua_getfield(L, i, name);
  if (!lua_isnil(L, -1) && !lua_isboolean(L, -1))
    lerror_argument(L, i, "%s: a boolean expected, got %s", name,
                    lerror_got(L, -1));
  flag = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return flag;
}

static uint64_t read_limit (lua_State *L, int i) {
  uint64_t limit = UINT64_MAX;
  if (lua_getfield(L, i, "limit") != LUA_TNIL) {
    lua_Number n = lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(n >= 0) || n != floor(n))
      lerror_argument(L, i, "limit: a whole number from 0 on expected, "
                      "got %s", lerror_got(L, -1));
    if (n < 0x1p63) limit = (uint64_t)n;
  }
  lua_pop(L, 1);
  return limit;
}

/*
** [-0, +(0..4), v] Reads one end: `name` includes its key, `other` leaves
** it out. Gives the key, or null when the range is open there.
*/
static const lode_key *read_end (lua_State *L, int self, lcoll *c, int i,
                                 const char *name, const char *other,
                                 lode_key *key, bool *exclude) {
  bool included = lua_getfield(L, i, name) != LUA_TNIL;
  bool excluded = lua_getfield(L, i, other) != LUA_TNIL;
  if (included && excluded)
    lerror_argument(L, i, "%s and %s exclude each other", name, other);
  if (included) lua_pop(L, 1);
  else lua_remove(L, -2);
  *exclude = excluded;
  if (!included && !excluded) {
    lua_pop(L, 1);
    return NULL;
  }
  lkey_keep(L, self, c, lua_gettop(L), key);
  return key;
}

void lrange_take (lua_State *L, int self, lcoll *c, int i, lrange *r) {
  lode_range *range = &r->range;
  lrange_all(r);
  if (lua_isnoneornil(L, i)) return;
  if (!lua_istable(L, i))
    lerror_argument(L, i, "a range expected, as { prefix = \"a\" }, got %s",
                    lerror_got(L, i));
  luaL_checkstack(L, 24, NULL);
  check_names(L, i);
  range->reverse = read_flag(L, i, "reverse");
  r->snapshot = read_flag(L, i, "snapshot");
  range->limit = read_limit(L, i);
  range->from = read_end(L, self, c, i, "from", "after", &r->from,
                         &range->after);
  range->to = read_end(L, self, c, i, "to", "before", &r->to,
                       &range->before);
  if (lua_getfield(L, i, "prefix") == LUA_TNIL) lua_pop(L, 1);
  else {
    lkey_push_prefix(L, self, c, lua_gettop(L));
    range->prefix.data =
      (const void *)lua_tolstring(L, -1, &range->prefix.size);
  }
}

void lrange_take_plain (lua_State *L, int self, lcoll *c, int i, lrange *r) {
  lrange_take(L, self, c, i, r);
  if (r->snapshot) lerror_argument(L, i, "snapshot is for walks only");
}
