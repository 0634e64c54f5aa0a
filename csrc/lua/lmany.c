/*
** lmany.c - functions over many entries: all or nothing.
**
** A load takes its entries into a batch, which is written whenever it has
** grown to some MiB, so that memory stays bounded; the transaction begins
** with the first of these writes, so a load that fits holds no lock while
** the user's code makes its entries. Bodies run protected: whatever they
** raise, the batch is freed and the transaction rolled back.
*/
#include "lcoll.h"
#include "ldict.h"
#include "lentry.h"
#include "lexpr.h"
#include "lguard.h"
#include "lkey.h"
#include "lstore.h"
#include "ltime.h"
#include "lwalk.h"

#define PENDING ((size_t)8 << 20) /* bytes taken before they are written */

typedef struct load { /* on the C stack below the body's protected call */
  lode_batch *batch;
  bool begun;         /* the transaction is open */
  uint64_t ttl;       /* of every entry */
} load;

/* {==================================================================
** Loads
** =================================================================== */

/*
** [-0, +results, v] Calls `body` with what is on the stack, the dict or set
** at slot 1 first, and a pointer to its load behind. `ttl`: of the entries.
*/
static int run_load (lua_State *L, lcoll *c, uint64_t ttl,
                     lua_CFunction body) {
  load l = { NULL, false, ttl };
  lstore *s = c->owner;
  lode_status status = LODE_OK;
  int rc, n = lua_gettop(L);
  luaL_checkstack(L, n + LUA_MINSTACK, NULL);
  lua_pushcfunction(L, body);
  for (int i = 1; i <= n; i++) lua_pushvalue(L, i);
  lua_pushlightuserdata(L, &l);
  rc = lua_pcall(L, n + 1, LUA_MULTRET, 0);
  lode_batch_end(l.batch);
  if (s->store == NULL) status = LODE_CLOSED;
  else if (l.begun && rc == LUA_OK) status = lode_commit(s->store);
  else if (l.begun) lode_abort(s->store);
  if (rc != LUA_OK) return lua_error(L);
  if (status != LODE_OK) return lhandle_fail(L, 1, 0, status, NULL);
  return lua_gettop(L) - n;
}

/* [-0, +0, v] Begins the transaction of a load, once. */
static void begin_load (lua_State *L, load *l, lcoll *c) {
  lode_status status;
  if (l->begun) return;
  status = lode_begin(c->owner->store);
  if (status != LODE_OK) lhandle_fail(L, 1, 0, status, NULL);
  l->begun = true;
}

/* [-0, +0, v] Writes what the batch has taken. */
static void write_load (lua_State *L, load *l, lcoll *c) {
  lode_status status;
  if (!lhandle_is_open(c)) lhandle_closed(L, 1);
  begin_load(L, l, c);
  status = lode_batch_write(l->batch);
  if (status != LODE_OK) lhandle_fail(L, 1, 0, status, NULL);
}

/* [-0, +0, v] */
static void start_batch (lua_State *L, load *l, lcoll *c) {
  lode_status status = lode_batch_begin(c->coll, l->ttl, &l->batch);
  if (status != LODE_OK) lhandle_fail(L, 1, 0, status, NULL);
}

/* [-0, +0, v] Adds an entry, writing when enough has come together. */
static void add_to_load (lua_State *L, load *l, lcoll *c,
                         const lode_key *key, lode_value value) {
  lode_status status = lode_batch_add(l->batch, key, value);
  if (status != LODE_OK) lhandle_fail(L, 1, 0, status, NULL);
  if (lode_batch_pending(l->batch) >= PENDING) write_load(L, l, c);
}

/* }================================================================== */

/* {==================================================================
** put_many
** =================================================================== */

/* [-0, +0, v] Takes the pair at slots `k` and k + 1. */
static void put_pair (lua_State *L, load *l, int k) {
  lcoll *c = lhandle_dict(L, 1);
  lode_key key;
  lode_value value;
  ldict_take_entry(L, c, k, k + 1, &key, &value);
  add_to_load(L, l, c, &key, value);
}

/* [-0, +0, v] Takes every pair of the table at slot 2. */
static lua_Integer put_table (lua_State *L, load *l) {
  lua_Integer n = 0;
  int k;
  lua_pushnil(L);
  for (k = lua_gettop(L); lua_next(L, 2) != 0; lua_settop(L, k), n++)
    put_pair(L, l, k);
  return n;
}

/* [-0, +0, v] Takes every pair that the function at slot 2 gives. */
static lua_Integer put_iterator (lua_State *L, load *l) {
  lua_Integer n = 0;
  int k = lua_gettop(L) + 1;
  for (;; lua_settop(L, k - 1), n++) {
    lua_pushvalue(L, 2);
    lua_call(L, 0, 2);
    if (lua_isnil(L, k)) return n;
    put_pair(L, l, k);
  }
}

/* [-3, +1, v] d, entries, load */
static int put_many_body (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  load *l = lua_touserdata(L, 3);
  lua_Integer n;
  start_batch(L, l, c);
  n = lua_istable(L, 2) ? put_table(L, l) : put_iterator(L, l);
  write_load(L, l, c);
  lua_pushinteger(L, n);
  return 1;
}

/* [-3, +1, v] dict.put_many(d, entries [, ttl]) -> the number written */
static int dict_put_many (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  uint64_t ttl = ltime_ttl(L, 3, LODE_TTL_OWN);
  lua_settop(L, 2);
  if (lhandle_test(L, 2, LKIND_DICT, sizeof(lcoll)) != NULL) {
    lua_pushcfunction(L, lwalk_dict__pairs);
    lua_insert(L, 2);
    lua_call(L, 1, 1);
  }
  else if (!lua_istable(L, 2) && lua_type(L, 2) != LUA_TFUNCTION)
    lhandle_wrong(L, 2, "a table, a dict or an iterator function");
  return run_load(L, c, ttl, put_many_body);
}

/* }================================================================== */

/* {==================================================================
** get_many, delete_many
** =================================================================== */

/*
** [-0, +0, v] BAD_ARGUMENT for a table at slot 2 that has fields but no
** elements: whoever gives one means its keys.
*/
static void refuse_map (lua_State *L) {
  if (lua_rawlen(L, 2) > 0) return;
  lua_pushnil(L);
  if (lua_next(L, 2) == 0) return;
  lua_pop(L, 1);
  lerror_push_key(L, -1);
  lerror_argument(L, 2, "an array expected, as {\"a\", \"b\"}, got a table "
                  "with the field %s and no elements", lua_tostring(L, -1));
}

/* [-0, +0, v] BAD_ARGUMENT unless an array is at slot 2. */
static void check_array (lua_State *L) {
  if (!lua_istable(L, 2)) lhandle_wrong(L, 2, "an array of keys");
  refuse_map(L);
}

/* [-2, +2, v] */
static int get_many_body (lua_State *L) {
  enum { SELF = 1, KEYS, FOUND, MISSING, KEY, VALUE };
  lua_Integer n = (lua_Integer)lua_rawlen(L, KEYS), missing = 0;
  lua_newtable(L);
  lua_newtable(L);
  for (lua_Integer at = 1; at <= n; at++, lua_settop(L, MISSING)) {
    lcoll *c = lhandle_dict(L, SELF);
    lua_rawgeti(L, KEYS, at);
    if (lentry_get(L, SELF, c, KEY)) {
      lua_pushvalue(L, KEY);
      lua_insert(L, VALUE);
      lua_rawset(L, FOUND);
    }
    else {
      lua_settop(L, KEY);
      lua_rawseti(L, MISSING, ++missing);
    }
  }
  return 2;
}

/* [-2, +2, v] dict.get_many(d, keys) -> found by key, missing (array) */
static int dict_get_many (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  lua_settop(L, 2);
  check_array(L);
  return lguard_body(L, c->owner, LGUARD_SNAPSHOT, get_many_body);
}

/* [-2, +1, v] */
static int delete_many_body (lua_State *L) {
  enum { SELF = 1, KEYS, KEY };
  lua_Integer n = (lua_Integer)lua_rawlen(L, KEYS), deleted = 0;
  for (lua_Integer at = 1; at <= n; at++, lua_settop(L, KEYS)) {
    lcoll *c = lhandle_dict(L, SELF);
    lode_key key;
    lode_status status;
    lua_rawgeti(L, KEYS, at);
    lkey_take(L, SELF, c, KEY, &key);
    status = lode_delete(c->coll, &key);
    if (status == LODE_OK) deleted++;
    else if (status != LODE_ABSENT)
      return lhandle_fail(L, SELF, KEY, status, NULL);
  }
  lua_pushinteger(L, deleted);
  return 1;
}

/* [-2, +1, v] dict.delete_many(d, keys) -> the number removed */
static int dict_delete_many (lua_State *L) {
  lcoll *c = lhandle_dict(L, 1);
  lua_settop(L, 2);
  check_array(L);
  return lguard_body(L, c->owner, LGUARD_TRANSACTION, delete_many_body);
}

/* }================================================================== */

/* {==================================================================
** Members: from an array, a set or expression, or an iterator function
** =================================================================== */

/* [-0, +0, v] Makes slot 2 an array or a function that gives members. */
static void check_members (lua_State *L) {
  if (lexpr_is(L, 2)) {
    lua_pushcfunction(L, lwalk_set__pairs);
    lua_insert(L, 2);
    lua_call(L, 1, 1);
  }
  else if (lua_istable(L, 2)) refuse_map(L);
  else if (lua_type(L, 2) != LUA_TFUNCTION)
    lhandle_wrong(L, 2, "an array, a set or an iterator function");
}

/* [-0, +(0..1), e] Pushes the `at`-th member. False: there is none. */
static bool push_member (lua_State *L, lua_Integer at) {
  if (!lua_istable(L, 2)) {
    lua_pushvalue(L, 2);
    lua_call(L, 0, 1);
    if (!lua_isnil(L, -1)) return true;
  }
  else if ((size_t)at <= lua_rawlen(L, 2)) {
    lua_rawgeti(L, 2, at);
    return true;
  }
  else lua_pushnil(L);
  lua_pop(L, 1);
  return false;
}

/* [-3, +1, v] s, members, load */
static int add_many_body (lua_State *L) {
  enum { SELF = 1, MEMBERS, LOAD, MEMBER };
  static const lode_value nothing = { { NULL, 0 }, LODE_NOTHING };
  lcoll *c = lhandle_set(L, SELF);
  load *l = lua_touserdata(L, LOAD);
  start_batch(L, l, c);
  for (lua_Integer at = 1; push_member(L, at); at++) {
    lode_key key;
    c = lhandle_set(L, SELF);
    lkey_check(L, SELF, c, MEMBER);
    lkey_take(L, SELF, c, MEMBER, &key);
    add_to_load(L, l, c, &key, nothing);
    lua_settop(L, LOAD);
  }
  write_load(L, l, c);
  lua_pushinteger(L, (lua_Integer)lode_batch_added(l->batch));
  return 1;
}

/* [-3, +1, v] set.add_many(s, members [, ttl]) -> the number added */
static int set_add_many (lua_State *L) {
  lcoll *c = lhandle_set(L, 1);
  uint64_t ttl = ltime_ttl(L, 3, LODE_TTL_OWN);
  lua_settop(L, 2);
  check_members(L);
  return run_load(L, c, ttl, add_many_body);
}

/* [-2, +1, v] */
static int remove_many_body (lua_State *L) {
  enum { SELF = 1, MEMBERS, MEMBER };
  lua_Integer removed = 0;
  for (lua_Integer at = 1; push_member(L, at); at++) {
    lcoll *c = lhandle_set(L, SELF);
    lode_key key;
    lode_status status;
    lkey_take(L, SELF, c, MEMBER, &key);
    status = lode_delete(c->coll, &key);
    if (status == LODE_OK) removed++;
    else if (status != LODE_ABSENT)
      return lhandle_fail(L, SELF, MEMBER, status, NULL);
    lua_settop(L, MEMBERS);
  }
  lua_pushinteger(L, removed);
  return 1;
}

/* [-2, +1, v] set.remove_many(s, members) -> the number removed */
static int set_remove_many (lua_State *L) {
  lcoll *c = lhandle_set(L, 1);
  lua_settop(L, 2);
  check_members(L);
  return lguard_body(L, c->owner, LGUARD_TRANSACTION, remove_many_body);
}

/* }================================================================== */

/* {==================================================================
** copy
** =================================================================== */

/* Whether only entries with a deadline have anything that is kept of time. */
static bool keeps_no_times (const lcoll *c) {
  const lode_coll_options *kept = lode_coll_kept(c->coll);
  return !kept->times && kept->policy.size == 0 && kept->ttl == 0 &&
         kept->evict == LODE_EVICT_NONE;
}

/* [-0, +0, v] Copies one with what is kept of its time. */
static void copy_entry (lua_State *L, lcoll *from, lcoll *to, int self,
                        const lode_key *key) {
  lode_status status = lode_copy(from->coll, to->coll, key);
  if (status != LODE_OK && status != LODE_ABSENT) /* it may have died */
    lhandle_fail(L, self, 0, status, NULL);
}

/*
** [-0, +0, v] Copies every entry of slot `from` to slot `to`, as bytes, with
** its times and its deadline.
*/
static void copy_entries (lua_State *L, load *l, int from, int to) {
  lcoll *source = lua_touserdata(L, from), *target = lua_touserdata(L, to);
  bool plain = keeps_no_times(source);
  int top = lua_gettop(L) + 1;
  lode_slice whole;
  lode_value value;
  lrange all;
  lwalk *w;
  lrange_all(&all);
  w = lwalk_new(L, from, source, &all);
  while (lwalk_step(L, w, from, &whole, &value)) {
    lode_key key;
    lkey_whole(L, to, target, whole, &key);
    if (plain && lode_walk_expires(w->walk) == LODE_NEVER)
      add_to_load(L, l, target, &key, value);
    else copy_entry(L, source, target, to, &key);
    lwalk_done(w);
    lua_settop(L, top);
  }
}

/* [-4, +1, v] source, name, store, load */
static int copy_body (lua_State *L) {
  enum { SOURCE = 1, NAME, STORE, LOAD, TARGET };
  lcoll *source = lua_touserdata(L, SOURCE), *target;
  load *l = lua_touserdata(L, LOAD);
  uint64_t n = 0;
  lode_status status;
  begin_load(L, l, source);
  if (!lstore_has(L, STORE, NAME)) {
    target = lstore_open_like(L, STORE, NAME, SOURCE, source,
                              true);
    status = lode_len(target->coll, &n);
    if (status != LODE_OK) return lhandle_fail(L, TARGET, 0, status, NULL);
  }
  else n = 1;
  if (n > 0) {
    return lhandle_raise(L, STORE, 0, LODE_INCOMPATIBLE, "'%s' is there "
                         "already: a copy is a new collection; drop that "
                         "one, or take another name",
                         lua_tostring(L, NAME));
  }
  target = lua_touserdata(L, TARGET);
  start_batch(L, l, target);
  copy_entries(L, l, SOURCE, TARGET);
  write_load(L, l, target);
  lua_settop(L, TARGET);
  return 1;
}

/* [-2, +1, v] */
static int copy (lua_State *L, lcoll *c) {
  lua_settop(L, 2);
  lstore_check_name(L, 2);
  lhandle_slot(L, 1, COLL_STORE);
  return run_load(L, c, LODE_TTL_OWN, copy_body);
}

/* [-2, +1, v] dict.copy(d, name) -> a new dict of the same store */
static int dict_copy (lua_State *L) {
  return copy(L, lhandle_dict(L, 1));
}

/* [-2, +1, v] set.copy(s, name) -> a new set of the same store */
static int set_copy (lua_State *L) {
  return copy(L, lhandle_set(L, 1));
}

/* }================================================================== */

const luaL_Reg lmany_dict_functions[] = {
  { "put_many", dict_put_many },
  { "get_many", dict_get_many },
  { "delete_many", dict_delete_many },
  { "copy", dict_copy },
  { NULL, NULL }
};

const luaL_Reg lmany_set_functions[] = {
  { "add_many", set_add_many },
  { "remove_many", set_remove_many },
  { "copy", set_copy },
  { NULL, NULL }
};
