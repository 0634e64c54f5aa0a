/*
** lcoll.c - see lcoll.h.
*/
#include "lcoll.h"
#include "lkey.h"
#include "lrange.h"

/* [-0, +1, v] */
static int push_number (lua_State *L, lode_status status, uint64_t n) {
  if (status != LODE_OK) return lhandle_fail(L, 1, 0, status, NULL);
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

int lcoll_len (lua_State *L, lcoll *c) {
  uint64_t n = 0;
  lode_status status = lode_len(c->coll, &n);
  return push_number(L, status, n);
}

int lcoll_count (lua_State *L, lcoll *c) {
  uint64_t n = 0;
  lode_status status;
  lrange r;
  lua_settop(L, 2);
  lrange_take_plain(L, 1, c, 2, &r);
  status = lode_count(c->coll, &r.range, &n);
  return push_number(L, status, n);
}

int lcoll_has (lua_State *L, lcoll *c) {
  lode_key key;
  lode_status status = LODE_ABSENT;
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) {
    lkey_take(L, 1, c, 2, &key);
    status = lode_has(c->coll, &key);
  }
  if (status != LODE_OK && status != LODE_ABSENT)
    return lhandle_fail(L, 1, 2, status, NULL);
  lua_pushboolean(L, status == LODE_OK);
  return 1;
}

int lcoll_delete (lua_State *L, lcoll *c) {
  lode_key key;
  lode_status status;
  lua_settop(L, 2);
  lkey_take(L, 1, c, 2, &key);
  status = lode_delete(c->coll, &key);
  if (status != LODE_OK && status != LODE_ABSENT)
    return lhandle_fail(L, 1, 2, status, NULL);
  lua_pushboolean(L, status == LODE_OK);
  return 1;
}

int lcoll_clear (lua_State *L, lcoll *c) {
  uint64_t n = 0;
  lode_status status = lode_clear(c->coll, &n);
  return push_number(L, status, n);
}

/* Its present name in `room`, of LODE_NAME_MAX bytes; gives the size. */
static lode_status get_name (lcoll *c, char *room, size_t *size) {
  lode_buffer *b = &c->owner->value; /* the scratch */
  lode_status status;
  b->size = 0;
  status = lode_coll_name(c->coll, b);
  if (status != LODE_OK) return status;
  *size = b->size < LODE_NAME_MAX ? b->size : LODE_NAME_MAX;
  memcpy(room, b->data, *size);
  return LODE_OK;
}

int lcoll_name (lua_State *L, lcoll *c) {
  char name[LODE_NAME_MAX];
  size_t size = 0;
  lode_status status = get_name(c, name, &size);
  if (status != LODE_OK) return lhandle_fail(L, 1, 0, status, NULL);
  lua_pushlstring(L, name, size);
  return 1;
}

int lcoll_stats (lua_State *L, lcoll *c) {
  lode_coll_stats stats;
  lode_status status = lode_coll_statistics(c->coll, &stats);
  if (status != LODE_OK) return lhandle_fail(L, 1, 0, status, NULL);
  lua_createtable(L, 0, 8);
  lhandle_set_number(L, "entries", stats.entries);
  lhandle_set_number(L, "expired", stats.expired);
  lhandle_set_number(L, "waiting", stats.waiting);
  lhandle_set_number(L, "size", stats.size);
  lhandle_set_number(L, "depth", stats.depth);
  lhandle_set_number(L, "branch_pages", stats.branch_pages);
  lhandle_set_number(L, "leaf_pages", stats.leaf_pages);
  lhandle_set_number(L, "overflow_pages", stats.overflow_pages);
  return 1;
}

int lcoll__call (lua_State *L) {
  return lhandle_raise(L, 1, 0, LODE_BAD_ARGUMENT, "%s can't be called: read "
                       "it as a table, d[key], and walk it with %s, or with "
                       "pairs where this Lua knows __pairs", lerror_got(L, 1),
                       lhandle_test(L, 1, LKIND_SET, sizeof(lcoll)) != NULL ?
                       "set.each(s)" : "dict.pairs(d)");
}

int lcoll__tostring (lua_State *L) {
  lcoll *c = lhandle_test_coll(L, 1);
  char name[LODE_NAME_MAX];
  size_t size = 0;
  const char *state = "";
  if (c == NULL) return lhandle_wrong(L, 1, "a dict or a set");
  lua_pushstring(L, lhandle_of_kind(c, LKIND_DICT) ? "lode.dict: " :
                                                     "lode.set: ");
  if (!lhandle_is_open(c)) state = " (closed)";
  else if (get_name(c, name, &size) != LODE_OK) {
    state = " (dropped)";
    size = 0;
  }
  if (size > 0) lua_pushlstring(L, name, size);
  else lhandle_slot(L, 1, COLL_NAME);
  lua_pushstring(L, state);
  lua_concat(L, 3);
  return 1;
}
