/*
** lset.c - see lset.h.
*/
#include "lcoll.h"
#include "lexpr.h"
#include "lguard.h"
#include "lkey.h"
#include "lset.h"
#include "lstore.h"
#include "ltime.h"
#include "lwalk.h"

static const lode_value nothing = { { NULL, 0 }, LODE_NOTHING };

/* {==================================================================
** Members
** =================================================================== */

/* [-2, +1, v] s[x] -> true or nil; counts as a read, as d[k] does */
static int set__index (lua_State *L) {
  lcoll *c = lhandle_set(L, 1);
  lode_key key;
  lode_value value;
  lode_status status;
  if (lua_isnil(L, 2)) return 1;
  lkey_take(L, 1, c, 2, &key);
  status = lode_get(c->coll, &key, &value);
  lode_done(c->coll);
  if (status == LODE_OK) lua_pushboolean(L, true);
  else if (status == LODE_ABSENT) lua_pushnil(L);
  else lhandle_fail(L, 1, 2, status, NULL);
  return 1;
}

/*
** Whether adding a member once more changes what is kept of it: it is the
** last write, from which its times and its deadline count.
*/
static lode_status renews (lcoll *c, const lode_key *key, uint64_t ttl,
                           bool *yes) {
  const lode_coll_options *kept = lode_coll_kept(c->coll);
  lode_entry e;
  lode_status status;
  *yes = ttl != LODE_TTL_OWN || kept->ttl != 0 || kept->policy.size > 0 ||
         kept->times || kept->evict != LODE_EVICT_NONE;
  if (*yes) return LODE_OK;
  status = lode_info(c->coll, key, &e);
  *yes = status == LODE_OK && e.expires != LODE_NEVER;
  return status;
}

/*
** Adds a member; EXISTS when it is one. What a set without times has of a
** member isn't written again.
*/
static lode_status add_member (lcoll *c, const lode_key *key, uint64_t ttl) {
  lode_status status;
  do {
    bool again = false;
    status = lode_put(c->coll, key, nothing, LODE_ADD, ttl);
    if (status != LODE_EXISTS) return status;
    status = renews(c, key, ttl, &again);
    if (status == LODE_OK && again)
      status = lode_put(c->coll, key, nothing, LODE_REPLACE, ttl);
  } while (status == LODE_ABSENT); /* it has gone in between */
  return status == LODE_OK ? LODE_EXISTS : status;
}

/* [-0, +0, v] Adds slot 2, to live `ttl`; false when it was a member. */
static bool add (lua_State *L, lcoll *c, uint64_t ttl) {
  lode_key key;
  lode_status status;
  lkey_check(L, 1, c, 2);
  lkey_take(L, 1, c, 2, &key);
  status = add_member(c, &key, ttl);
  if (status != LODE_OK && status != LODE_EXISTS)
    lhandle_fail(L, 1, 2, status, NULL);
  return status == LODE_OK;
}

/*
** [-0, +0, v] Makes slot 2 a member. Whether it was one needn't be known: so
** where writes may wait, this one does.
*/
static void include (lua_State *L, lcoll *c) {
  lode_key key;
  lode_status status;
  if (!lode_store_behind(c->owner->store)) {
    add(L, c, LODE_TTL_OWN);
    return;
  }
  lkey_check(L, 1, c, 2);
  lkey_take(L, 1, c, 2, &key);
  status = lode_put(c->coll, &key, nothing, LODE_PUT, LODE_TTL_OWN);
  if (status != LODE_OK) lhandle_fail(L, 1, 2, status, NULL);
}

/* [-3, +0, v] s[x] = true, s[x] = nil */
static int set__newindex (lua_State *L) {
  lcoll *c = lhandle_set(L, 1);
  if (lua_isnil(L, 3)) lcoll_delete(L, c);
  else if (lua_isboolean(L, 3) && lua_toboolean(L, 3))
    include(L, c);
  else {
    lhandle_raise(L, 1, 2, LODE_BAD_VALUE, "a member of a set is set to "
                  "true or nil, not to %s; a dict keeps values",
                  lerror_got(L, 3));
  }
  return 0;
}

/* [-3, +1, v] set.add(s, x [, ttl]) -> whether it is new */
static int set_add (lua_State *L) {
  lcoll *c = lhandle_set(L, 1);
  uint64_t ttl = ltime_ttl(L, 3, LODE_TTL_OWN);
  lua_settop(L, 2);
  lua_pushboolean(L, add(L, c, ttl));
  return 1;
}

/* [-2, +1, v] set.remove(s, x) -> whether it was there */
static int set_remove (lua_State *L) {
  return lcoll_delete(L, lhandle_set(L, 1));
}

/* [-2, +1, v] set.has(s, x) -> boolean; of an expression too */
static int set_has (lua_State *L) {
  lua_settop(L, 2);
  if (!lexpr_is(L, 1)) return lhandle_wrong(L, 1, "a set or an expression");
  lexpr_has(L, 1, 2);
  lua_pushboolean(L, lua_toboolean(L, -1));
  return 1;
}

/* [-1, +1, v] One that dies between the look and the delete is passed. */
static int pop_body (lua_State *L) {
  enum { SELF = 1, MEMBER };
  bool begun = false;
  lcoll *c;
  lode_status status;
  do {
    lode_key key;
    lrange r;
    lua_settop(L, SELF);
    lrange_all(&r);
    r.range.limit = 1;
    if (lwalk_nearest(L, SELF, lhandle_set(L, SELF), &r) == 1) return 1;
    lua_settop(L, MEMBER);
    c = lhandle_set(L, SELF);
    lkey_take(L, SELF, c, MEMBER, &key);
    status = begun ? LODE_OK : lguard_begin(c->owner);
    begun = true;
    if (status == LODE_OK) status = lode_delete(c->coll, &key);
  } while (status == LODE_ABSENT);
  if (status == LODE_OK) status = lguard_commit(c->owner);
  if (status != LODE_OK) return lhandle_fail(L, SELF, MEMBER, status, NULL);
  lua_settop(L, MEMBER);
  return 1;
}

/* [-1, +1, v] set.pop(s) -> a member that it takes out, or nil */
static int set_pop (lua_State *L) {
  lcoll *c = lhandle_set(L, 1);
  lua_settop(L, 1);
  return lguard_body(L, c->owner, LGUARD_LOCK, pop_body);
}

/* }================================================================== */

/* {==================================================================
** The whole set
** =================================================================== */

/* [-1, +1, v] #s, #expr, set.len(s) -> integer */
static int set_len (lua_State *L) {
  if (lhandle_test(L, 1, LKIND_EXPR, sizeof(lexpr)) != NULL)
    return lexpr_len(L, 1);
  return lcoll_len(L, lhandle_set(L, 1));
}

/* [-2, +1, v] The members of the expression in the range, walked. */
static int count_expr (lua_State *L) {
  enum { OVER = 1, RANGE, LEAF };
  lua_Integer n = 0;
  lode_slice key;
  lode_value value;
  lrange r;
  lwalk *w;
  lcoll *leaf = lexpr_push_leaf(L, OVER);
  lrange_take_plain(L, LEAF, leaf, RANGE, &r);
  w = lwalk_merge(L, OVER, &r);
  for (; lwalk_step(L, w, LEAF, &key, &value); lwalk_done(w)) n++;
  lua_pushinteger(L, n);
  return 1;
}

/* [-2, +1, v] set.count(s [, range]) -> integer; of an expression too */
static int set_count (lua_State *L) {
  lua_settop(L, 2);
  if (lhandle_test(L, 1, LKIND_EXPR, sizeof(lexpr)) == NULL)
    return lcoll_count(L, lhandle_set(L, 1));
  return lua_isnil(L, 2) ? lexpr_len(L, 1) : count_expr(L);
}

/* [-1, +1, v] set.clear(s) -> the number removed */
static int set_clear (lua_State *L) {
  return lcoll_clear(L, lhandle_set(L, 1));
}

/* [-1, +1, v] set.name(s) -> string */
static int set_name (lua_State *L) {
  return lcoll_name(L, lhandle_set(L, 1));
}

/* [-1, +1, v] set.stats(s) -> table */
static int set_stats (lua_State *L) {
  return lcoll_stats(L, lhandle_set(L, 1));
}

/* }================================================================== */

const luaL_Reg lset_metamethods[] = {
  { "__index", set__index },
  { "__newindex", set__newindex },
  { "__len", set_len },
  { "__pairs", lwalk_set__pairs },
  { "__call", lcoll__call },
  { "__tostring", lcoll__tostring },
  { "__gc", lstore_coll__gc },
  { NULL, NULL }
};

const luaL_Reg lset_expr_metamethods[] = {
  { "__index", lexpr__index },
  { "__newindex", lexpr__newindex },
  { "__len", set_len },
  { "__pairs", lwalk_set__pairs },
  { "__tostring", lexpr__tostring },
  { NULL, NULL }
};

const luaL_Reg lset_functions[] = {
  { "add", set_add },
  { "remove", set_remove },
  { "has", set_has },
  { "pop", set_pop },
  { "len", set_len },
  { "count", set_count },
  { "clear", set_clear },
  { "name", set_name },
  { "stats", set_stats },
  { NULL, NULL }
};
