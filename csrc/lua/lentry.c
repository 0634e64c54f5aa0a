/*
** lentry.c - see lentry.h.
*/
#include "lentry.h"
#include "lkey.h"
#include "lvalue.h"

#define SMALL 1024        /* bytes of a value that is copied to the stack */
#define KEPT (1u << 20)   /* bytes of scratch that stay for the next call */

/* {==================================================================
** To the store
** =================================================================== */

/* Whether the table at `i` is an array of scalars. */
static bool is_tuple (lua_State *L, int i) {
  size_t n = lua_rawlen(L, i), fields = 0;
  bool good = true;
  for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) {
    int type = lua_type(L, -1);
    fields++;
    good = good && (type == LUA_TSTRING || type == LUA_TNUMBER ||
                    type == LUA_TBOOLEAN);
    good = good && lua_type(L, -2) == LUA_TNUMBER;
  }
  return good && fields == n;
}

static bool has_type (lua_State *L, int i, lode_type wanted) {
  switch (wanted) {
    case LODE_STRING: return lua_type(L, i) == LUA_TSTRING;
    case LODE_INTEGER: return lua_isinteger(L, i);
    case LODE_NUMBER: return lua_type(L, i) == LUA_TNUMBER;
    case LODE_BOOLEAN: return lua_type(L, i) == LUA_TBOOLEAN;
    case LODE_TABLE: return lua_istable(L, i);
    case LODE_TUPLE: return lua_istable(L, i) && is_tuple(L, i);
    default: return true;
  }
}

/* [-0, +0, v] BAD_VALUE unless it has the type that the dict wants. */
static void check_type (lua_State *L, int self, const lcoll *c, int i,
                        int key) {
  static const char *const names[] = { /* by lode_type */
    "", "a string", "an integer", "a number", "a boolean", "a table",
    "a tuple"
  };
  const char *type = "";
  if (c->value == LODE_ANY || has_type(L, i, c->value)) return;
  if (lua_type(L, i) == LUA_TSTRING) type = "the string ";
  else if (lua_type(L, i) == LUA_TNUMBER)
    type = c->value == LODE_INTEGER ? "the float " : "the number ";
  lhandle_raise(L, self, key, LODE_BAD_VALUE, "a value of this dict is %s "
                "(its option 'value'), not %s%s", names[c->value], type,
                lerror_got(L, i));
}

/* [-0, +1, v] */
static void serialize (lua_State *L, int self, lcoll *c, int i, int key,
                       lode_value *value) {
  luaL_checkstack(L, 8, NULL);
  lhandle_slot(L, self, COLL_ENCODE);
  lua_pushvalue(L, i);
  lua_call(L, 1, 1);
  if (lua_type(L, -1) != LUA_TSTRING) {
    lhandle_raise(L, self, key, LODE_BAD_VALUE, "the serializer's encode "
                  "has to give a string, and gave %s", lerror_got(L, -1));
  }
  if (!lhandle_is_open(c)) lhandle_closed(L, self);
  value->data.data = (const void *)lua_tolstring(L, -1, &value->data.size);
  value->codec = LODE_SERIALIZED;
}

/* [-0, +0, v] */
static void pack (lua_State *L, int self, lcoll *c, int i, int key,
                  lode_value *value) {
  lode_buffer *b = &c->owner->value;
  lode_error error;
  lode_status status;
  if (b->room > KEPT) lode_buffer_free(b);
  b->size = 0;
  status = lvalue_encode(L, i, b, &error);
  if (status != LODE_OK) lhandle_fail(L, self, key, status, error.text);
  value->data.data = b->data;
  value->data.size = b->size;
  value->codec = LODE_MSGPACK;
}

void lentry_take (lua_State *L, int self, lcoll *c, int i, int key,
                  lode_value *value) {
  if (c->value != LODE_ANY) check_type(L, self, c, i, key);
  if (c->value_callbacks) serialize(L, self, c, i, key, value);
  else if (lua_type(L, i) == LUA_TSTRING) {
    value->data.data = (const void *)lua_tolstring(L, i, &value->data.size);
    value->codec = LODE_BYTES;
  }
  else if (c->raw) {
    lhandle_raise(L, self, key, LODE_BAD_VALUE, "%s can't be a value of a "
                  "raw dict: only a string can", lerror_got(L, i));
  }
  else pack(L, self, c, i, key, value);
}

/* }================================================================== */

/* {==================================================================
** From the store
** =================================================================== */

void lentry_push_plain (lua_State *L, int self, const lode_value *value) {
  lode_error error;
  lode_status status;
  if (value->codec != LODE_MSGPACK) {
    lua_pushlstring(L, (const char *)value->data.data, value->data.size);
    return;
  }
  status = lvalue_decode(L, value->data, &error);
  if (status != LODE_OK) lhandle_fail(L, self, 0, status, error.text);
}

void lentry_decode (lua_State *L, int self, lode_codec codec) {
  if (codec != LODE_SERIALIZED) return;
  luaL_checkstack(L, 8, NULL);
  lhandle_slot(L, self, COLL_DECODE);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}

/*
** [-0, +1, v] Pushes the bytes that stand under the key at slot `key` as a
** string, on Luas whose lua_pushlstring collects before it copies: so the
** room is made first, and filled by another look; nil when the entry has
** gone meanwhile.
*/
static void push_in_steps (lua_State *L, int self, lcoll *c, int key,
                           lentry_look *look, lode_value *value) {
  size_t size, room = value->data.size;
  int base = lua_gettop(L);
  for (;;) {
    void *copy = lua_newuserdatauv(L, room, 0);
    lode_key k;
    lode_status status;
    if (!lhandle_is_open(c)) lhandle_closed(L, self);
    lkey_take(L, self, c, key, &k);
    status = look(c->coll, &k, value);
    if (status == LODE_ABSENT) {
      lua_pushnil(L);
      break;
    }
    if (status != LODE_OK) lhandle_fail(L, self, key, status, NULL);
    size = value->data.size;
    if (size <= room) memcpy(copy, value->data.data, size);
    lode_done(c->coll);
    if (size <= room) {
      lua_pushlstring(L, copy, size);
      break;
    }
    room = size;
    lua_settop(L, base);
  }
  lua_replace(L, base + 1);
  lua_settop(L, base + 1);
}

/*
** A value is out of the map before anything of Lua's can run: a finalizer,
** which may run in any allocation, could write to this very store. False:
** the entry has gone meanwhile, and nil was pushed.
*/
static bool push_large (lua_State *L, int self, lcoll *c, int key,
                        lentry_look *look, const lode_value *held) {
  lode_value value = *held;
  if (COMPAT_COLLECTS_FIRST) {
    lode_done(c->coll);
    push_in_steps(L, self, c, key, look, &value);
    if (lua_isnil(L, -1)) return false;
  }
  else {
    lua_pushlstring(L, (const char *)value.data.data, value.data.size);
    lode_done(c->coll);
  }
  if (value.codec != LODE_MSGPACK) return true;
  value.data.data = (const void *)lua_tolstring(L, -1, &value.data.size);
  lentry_push_plain(L, self, &value);
  lua_remove(L, -2);
  return true;
}

void lentry_push_found (lua_State *L, int self, lcoll *c, int key,
                        lentry_look *look, const lode_value *value) {
  lode_codec codec = value->codec;
  if (codec != LODE_MSGPACK && !COMPAT_COLLECTS_FIRST) {
    lua_pushlstring(L, (const char *)value->data.data, value->data.size);
    lode_done(c->coll); /* copied before anything was collected */
  }
  else if (value->data.size <= SMALL) {
    unsigned char copy[SMALL];
    lode_value mine = { { copy, value->data.size }, codec };
    memcpy(copy, value->data.data, value->data.size);
    lode_done(c->coll);
    lentry_push_plain(L, self, &mine);
  }
  else if (!push_large(L, self, c, key, look, value)) return;
  lentry_decode(L, self, codec);
}

void lentry_push (lua_State *L, int self, lcoll *c, int key,
                  const lode_value *value) {
  lentry_push_found(L, self, c, key, lode_peek, value); /* it is noted */
}

bool lentry_get (lua_State *L, int self, lcoll *c, int i) {
  lode_key key;
  lode_value value;
  lode_status status;
  int base = lua_gettop(L);
  lkey_take(L, self, c, i, &key);
  status = lode_get(c->coll, &key, &value);
  if (status == LODE_OK) lentry_push(L, self, c, i, &value);
  else if (status == LODE_ABSENT) lua_pushnil(L);
  else lhandle_fail(L, self, i, status, NULL);
  if (lua_gettop(L) > base + 1) {
    lua_replace(L, base + 1);
    lua_settop(L, base + 1);
  }
  return status == LODE_OK;
}

/* }================================================================== */

/* {==================================================================
** Comparing
** =================================================================== */

/* How many fields the table at `i` has. */
static size_t count_fields (lua_State *L, int i) {
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) n++;
  return n;
}

bool lentry_equal (lua_State *L, int a, int b) {
  bool equal = true;
  int base = lua_gettop(L);
  if (!lua_istable(L, a) || !lua_istable(L, b)) return lua_rawequal(L, a, b);
  a = lua_absindex(L, a);
  b = lua_absindex(L, b);
  luaL_checkstack(L, 8, "values nested too deeply");
  if (count_fields(L, a) != count_fields(L, b)) return false;
  for (lua_pushnil(L); equal && lua_next(L, a) != 0; lua_pop(L, 2)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, b); /* key, value, theirs */
    equal = lentry_equal(L, -2, -1);
  }
  lua_settop(L, base);
  return equal;
}

/* }================================================================== */
