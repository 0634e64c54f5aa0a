/*
** lwalk.c - see lwalk.h.
**
** An iterator is a C function with three upvalues: the walk, the collection
** whose options say how to read what it gives (of an expression its first
** leaf), and what the walk runs over, which must stay alive. What a step
** gives lies in memory of the walk's; `stepping` is set until it is on the
** Lua stack, so that a finalizer that runs meanwhile can't move the walk on.
*/
#include "lentry.h"
#include "lexpr.h"
#include "lkey.h"
#include "lwalk.h"

#define PAGE 100 /* entries of a page that says no limit */

/* {==================================================================
** Walks
** =================================================================== */

lwalk *lwalk_new (lua_State *L, int self, lcoll *c, const lrange *r) {
  lwalk *w = lhandle_new(L, LKIND_WALK, sizeof(lwalk), 0);
  lode_status status =
    lode_walk_open(c->coll, &r->range, r->snapshot, &w->walk);
  if (status != LODE_OK) lhandle_fail(L, self, 0, status, NULL);
  return w;
}

lwalk *lwalk_merge (lua_State *L, int self, const lrange *r) {
  lode_term terms[LODE_TERMS_MAX];
  lode_status status;
  lwalk *w = lhandle_new(L, LKIND_WALK, sizeof(lwalk), 0);
  size_t n = lexpr_terms(L, self, terms);
  status = lode_merge_open(terms, n, &r->range, r->snapshot, &w->walk);
  if (status != LODE_OK) lhandle_fail(L, self, 0, status, NULL);
  return w;
}

void lwalk_close (lwalk *w) {
  lode_walk *walk = w->walk;
  w->walk = NULL;
  w->stepping = false;
  lode_buffer_free(&w->text);
  lode_walk_close(walk);
}

/* [-1, +0, -] */
int lwalk__gc (lua_State *L) {
  lwalk *w = lhandle_test(L, 1, LKIND_WALK, sizeof(lwalk));
  if (w != NULL) lwalk_close(w);
  return 0;
}

/* [-0, +0, v] After a step that gave nothing: the end, or a failure. */
static void end_step (lua_State *L, lwalk *w, int self,
                      lode_status status) {
  if (status != LODE_ABSENT) {
    lode_store *store = lode_walk_store(w->walk);
    lhandle_fail(L, self, 0, status,
                 store == NULL ? NULL : lode_store_error(store)->text);
  }
  lwalk_close(w);
}

static inline bool step (lua_State *L, lwalk *w, int self, lode_slice *key,
                         lode_value *value) {
  lode_status status;
  if (w->walk == NULL) return false;
  if (w->stepping) {
    lhandle_fail(L, self, 0, LODE_REENTRY, "this walk is in the middle of a "
                 "step, or one of its steps failed");
  }
  w->stepping = true; /* a policy may be asked, and may step it, too */
  status = lode_walk_next(w->walk, key, value);
  w->stepping = status == LODE_OK;
  if (status != LODE_OK) end_step(L, w, self, status);
  return status == LODE_OK;
}

bool lwalk_step (lua_State *L, lwalk *w, int self, lode_slice *key,
                 lode_value *value) {
  return step(L, w, self, key, value);
}

/* [-0, +1, v] Pushes a key: strings, the common ones, right here. */
static inline void push_key (lua_State *L, lwalk *w, const lcoll *c,
                             int self, lode_slice key) {
  lode_slice s;
  if (!c->raw && lode_key_as_string(key, &s))
    lua_pushlstring(L, (const char *)s.data, s.size);
  else lkey_push(L, self, c, key, &w->text);
}

/* [-0, +1, v] Pushes a value: strings right here, as keys. */
static inline void push_value (lua_State *L, int self,
                               const lode_value *value) {
  if (value->codec == LODE_BYTES) {
    lua_pushlstring(L, (const char *)value->data.data, value->data.size);
  }
  else lentry_push_plain(L, self, value);
}

bool lwalk_push_key (lua_State *L, lwalk *w, const lcoll *c, int self) {
  lode_slice key;
  lode_value value;
  if (!step(L, w, self, &key, &value)) return false;
  push_key(L, w, c, self, key);
  lwalk_done(w);
  lkey_decode(L, self, c);
  return true;
}

static inline bool push_pair (lua_State *L, lwalk *w, const lcoll *c,
                              int self) {
  lode_slice key;
  lode_value value;
  if (!step(L, w, self, &key, &value)) return false;
  push_key(L, w, c, self, key);
  push_value(L, self, &value);
  lwalk_done(w);
  if (value.codec == LODE_SERIALIZED) lentry_decode(L, self, value.codec);
  if (c->key_callbacks) {
    lua_insert(L, -2);
    lkey_decode(L, self, c);
    lua_insert(L, -2);
  }
  return true;
}

bool lwalk_push_pair (lua_State *L, lwalk *w, const lcoll *c, int self) {
  return push_pair(L, w, c, self);
}

/* }================================================================== */

/* {==================================================================
** Iterators
** =================================================================== */

enum { UP_WALK = 1, UP_COLL, UP_OVER }; /* upvalues of an iterator */

/* [-n, +(1..2), v] */
static int next_pair (lua_State *L) {
  lwalk *w = lua_touserdata(L, lua_upvalueindex(UP_WALK));
  if (push_pair(L, w, w->coll, lua_upvalueindex(UP_COLL))) return 2;
  lua_pushnil(L);
  return 1;
}

/* [-n, +1, v] */
static int next_key (lua_State *L) {
  lwalk *w = lua_touserdata(L, lua_upvalueindex(UP_WALK));
  lua_settop(L, 0);
  if (!lwalk_push_key(L, w, w->coll, lua_upvalueindex(UP_COLL)))
    lua_pushnil(L);
  return 1;
}

/* [-n, +1, v] */
static int next_value (lua_State *L) {
  lwalk *w = lua_touserdata(L, lua_upvalueindex(UP_WALK));
  lode_slice key;
  lode_value value;
  lua_settop(L, 0);
  if (!step(L, w, lua_upvalueindex(UP_COLL), &key, &value)) {
    lua_pushnil(L);
    return 1;
  }
  push_value(L, lua_upvalueindex(UP_COLL), &value);
  lwalk_done(w);
  lentry_decode(L, lua_upvalueindex(UP_COLL), value.codec);
  return 1;
}

/* [-n, +(1..2), v] */
static int next_member (lua_State *L) {
  next_key(L);
  if (lua_isnil(L, -1)) return 1;
  lua_pushboolean(L, true);
  return 2;
}

int lwalk_iterate (lua_State *L, lwalk_gives gives) {
  static const lua_CFunction steps[] = {
    next_pair, next_key, next_value, next_member
  };
  enum { OVER = 1, RANGE, LEAF };
  lrange range;
  lcoll *c;
  lwalk *w;
  lua_settop(L, RANGE);
  c = lexpr_push_leaf(L, OVER);
  lrange_take(L, LEAF, c, RANGE, &range);
  if (lhandle_test_coll(L, OVER) != NULL) w = lwalk_new(L, OVER, c, &range);
  else w = lwalk_merge(L, OVER, &range);
  w->coll = c;
  lua_replace(L, RANGE);
  lua_settop(L, LEAF);
  lua_pushvalue(L, RANGE);
  lua_pushvalue(L, LEAF);
  lua_pushvalue(L, OVER);
  lua_pushcclosure(L, steps[gives], 3);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, RANGE);
  return 4;
}

/* [-2, +4, v] dict.pairs(d [, range]) -> iterator of key, value */
static int dict_pairs (lua_State *L) {
  lhandle_dict(L, 1);
  return lwalk_iterate(L, LWALK_PAIRS);
}

/* [-2, +4, v] dict.keys(d [, range]) -> iterator of key */
static int dict_keys (lua_State *L) {
  lhandle_dict(L, 1);
  return lwalk_iterate(L, LWALK_KEYS);
}

/* [-2, +4, v] dict.values(d [, range]) -> iterator of value */
static int dict_values (lua_State *L) {
  lhandle_dict(L, 1);
  return lwalk_iterate(L, LWALK_VALUES);
}

/* [-0, +0, v] */
static void check_operand (lua_State *L) {
  if (!lexpr_is(L, 1)) lhandle_wrong(L, 1, "a set or an expression");
}

/* [-2, +4, v] set.each(s [, range]) -> iterator of member */
static int set_each (lua_State *L) {
  check_operand(L);
  return lwalk_iterate(L, LWALK_KEYS);
}

/* [-1, +3, v] pairs(d) */
int lwalk_dict__pairs (lua_State *L) {
  lua_settop(L, 1);
  return dict_pairs(L);
}

/* [-1, +3, v] pairs(s): x, true */
int lwalk_set__pairs (lua_State *L) {
  lua_settop(L, 1);
  check_operand(L);
  return lwalk_iterate(L, LWALK_MEMBERS);
}

/* }================================================================== */

/* {==================================================================
** Neighbours
** =================================================================== */

int lwalk_nearest (lua_State *L, int self, lcoll *c, const lrange *r) {
  lwalk *w = lwalk_new(L, self, c, r);
  int walk = lua_gettop(L);
  bool found = lwalk_push_pair(L, w, c, self);
  lwalk_close(w);
  lua_remove(L, walk);
  if (found) return 2;
  lua_pushnil(L);
  return 1;
}

/* [-0, +2, v] The first or the last entry. */
static int end_of (lua_State *L, lcoll *c, bool reverse) {
  lrange r;
  lrange_all(&r);
  r.range.reverse = reverse;
  r.range.limit = 1;
  return lwalk_nearest(L, 1, c, &r);
}

/* [-0, +2, v] The nearest entry past the key at slot 2. */
static int past_key (lua_State *L, lcoll *c, bool reverse) {
  lrange r;
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) return end_of(L, c, reverse);
  lrange_all(&r);
  lkey_keep(L, 1, c, 2, &r.from);
  r.range.reverse = reverse;
  r.range.limit = 1;
  if (reverse) r.range.to = &r.from;
  else r.range.from = &r.from;
  r.range.before = reverse;
  r.range.after = !reverse;
  return lwalk_nearest(L, 1, c, &r);
}

/* [-1, +2, v] dict.first(d) -> key, value | nil */
static int dict_first (lua_State *L) {
  return end_of(L, lhandle_dict(L, 1), false);
}

/* [-1, +2, v] dict.last(d) -> key, value | nil */
static int dict_last (lua_State *L) {
  return end_of(L, lhandle_dict(L, 1), true);
}

/* [-2, +2, v] dict.next(d [, key]) -> key, value | nil */
static int dict_next (lua_State *L) {
  return past_key(L, lhandle_dict(L, 1), false);
}

/* [-2, +2, v] dict.prev(d [, key]) -> key, value | nil */
static int dict_prev (lua_State *L) {
  return past_key(L, lhandle_dict(L, 1), true);
}

/* [-0, +1, v] The first or last member of a set or expression. */
static int member_at_end (lua_State *L, bool reverse) {
  enum { OVER = 1, LEAF };
  lrange r;
  lwalk *w;
  const lcoll *c;
  lua_settop(L, OVER);
  check_operand(L);
  c = lexpr_push_leaf(L, OVER);
  lrange_all(&r);
  r.range.reverse = reverse;
  r.range.limit = 1;
  w = lwalk_merge(L, OVER, &r);
  if (!lwalk_push_key(L, w, c, LEAF)) lua_pushnil(L);
  lwalk_close(w);
  return 1;
}

/* [-1, +1, v] set.first(s) -> member | nil */
static int set_first (lua_State *L) {
  return member_at_end(L, false);
}

/* [-1, +1, v] set.last(s) -> member | nil */
static int set_last (lua_State *L) {
  return member_at_end(L, true);
}

/* }================================================================== */

/* {==================================================================
** Pages and tables
** =================================================================== */

/*
** [-0, +1, m] Pushes the range at `range` (or nil) moved on: past the key
** at `last`, in its direction.
*/
static void push_next_range (lua_State *L, int range, int last,
                             bool reverse) {
  lua_newtable(L);
  if (!lua_isnil(L, range)) {
    for (lua_pushnil(L); lua_next(L, range) != 0;) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -4);
    }
  }
  lua_pushnil(L);
  lua_setfield(L, -2, reverse ? "to" : "from");
  lua_pushvalue(L, last);
  lua_setfield(L, -2, reverse ? "before" : "after");
}

/* [-2, +2, v] dict.page(d [, range]) -> array of {key, value}, range | nil */
static int dict_page (lua_State *L) {
  enum { SELF = 1, RANGE, RESULT, LAST, WALK };
  lcoll *c = lhandle_dict(L, SELF);
  lrange r;
  lwalk *w;
  lua_Integer n = 0;
  uint64_t limit;
  lode_slice key;
  lode_value value;
  bool more = false;
  lua_settop(L, RANGE);
  lua_newtable(L);
  lua_pushnil(L);
  lua_pushnil(L);
  lrange_take_plain(L, SELF, c, RANGE, &r);
  limit = r.range.limit == UINT64_MAX ? PAGE : r.range.limit;
  if (limit == 0)
    lerror_argument(L, RANGE, "limit: a page has at least one entry");
  r.range.limit = limit + 1; /* the one past it is only looked at */
  w = lwalk_new(L, SELF, c, &r);
  lua_replace(L, WALK);
  lua_settop(L, WALK);
  while ((uint64_t)n < limit && lwalk_push_pair(L, w, c, SELF)) {
    lua_pushvalue(L, -2);
    lua_replace(L, LAST);
    lua_createtable(L, 2, 0);
    lua_insert(L, -3);
    lua_rawseti(L, -3, 2);
    lua_rawseti(L, -2, 1);
    lua_rawseti(L, RESULT, ++n);
  }
  if ((uint64_t)n == limit) more = lwalk_step(L, w, SELF, &key, &value);
  lwalk_close(w);
  lua_settop(L, LAST);
  if (more) push_next_range(L, RANGE, LAST, r.range.reverse);
  else lua_pushnil(L);
  lua_replace(L, LAST);
  return 2;
}

/* [-1, +1, v] dict.totable(d) -> table of all, as of one moment */
static int dict_totable (lua_State *L) {
  enum { SELF = 1, RESULT };
  lcoll *c = lhandle_dict(L, SELF);
  lrange r;
  lwalk *w;
  lua_settop(L, SELF);
  lua_newtable(L);
  lrange_all(&r);
  r.snapshot = true;
  w = lwalk_new(L, SELF, c, &r);
  while (lwalk_push_pair(L, w, c, SELF)) lua_rawset(L, RESULT);
  lua_settop(L, RESULT);
  return 1;
}

/*
** [-1, +1, v] set.totable(s) -> table {[member] = true}, as of one moment
** where there is one: two stores have none in common.
*/
static int set_totable (lua_State *L) {
  enum { OVER = 1, LEAF, RESULT };
  lrange r;
  lwalk *w;
  const lcoll *c;
  lua_settop(L, OVER);
  check_operand(L);
  c = lexpr_push_leaf(L, OVER);
  lua_newtable(L);
  lrange_all(&r);
  r.snapshot = lexpr_one_store(L, OVER);
  w = lwalk_merge(L, OVER, &r);
  while (lwalk_push_key(L, w, c, LEAF)) {
    lua_pushboolean(L, true);
    lua_rawset(L, RESULT);
  }
  lua_settop(L, RESULT);
  return 1;
}

/* }================================================================== */

const luaL_Reg lwalk_dict_functions[] = {
  { "pairs", dict_pairs },
  { "keys", dict_keys },
  { "values", dict_values },
  { "first", dict_first },
  { "last", dict_last },
  { "next", dict_next },
  { "prev", dict_prev },
  { "page", dict_page },
  { "totable", dict_totable },
  { NULL, NULL }
};

const luaL_Reg lwalk_set_functions[] = {
  { "each", set_each },
  { "first", set_first },
  { "last", set_last },
  { "totable", set_totable },
  { NULL, NULL }
};
