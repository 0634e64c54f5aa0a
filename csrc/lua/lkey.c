/*
** lkey.c - see lkey.h.
*/
#include "lkey.h"

/* {==================================================================
** Encoding
** =================================================================== */

static lode_slice slice_of (const void *data, size_t size) {
  lode_slice s = { (const unsigned char *)data, size };
  return s;
}

static lode_slice string_at (lua_State *L, int i) {
  size_t size;
  const char *s = lua_tolstring(L, i, &size);
  return slice_of(s, size);
}

/* Appends the scalar at `i`. BAD_KEY: it isn't one that can be a key. */
static lode_status add_scalar (lua_State *L, int i, lode_buffer *b) {
  int64_t n;
  size_t size;
  const char *s;
  switch (lua_type(L, i)) {
    case LUA_TSTRING:
      s = lua_tolstring(L, i, &size);
      return lode_key_string(b, s, size);
    case LUA_TNUMBER:
      if (compat_toint64(L, i, &n)) return lode_key_integer(b, n);
      return lode_key_number(b, lua_tonumber(L, i));
    case LUA_TBOOLEAN:
      return lode_key_boolean(b, lua_toboolean(L, i) != 0);
    default: return LODE_BAD_KEY;
  }
}

/*
** [-0, +1, m] Pushes why the value at `i`, element `at` of a tuple or (0)
** a key by itself, can't be a key.
*/
static void push_reason (lua_State *L, int i, lua_Integer at) {
  bool number = lua_type(L, i) == LUA_TNUMBER; /* so it is NaN */
  const char *got = number ? "NaN" : lerror_got(L, i);
  if (lua_type(L, i) == LUA_TSTRING)
    lua_pushfstring(L, "a key has at most %d bytes; keep this string in a "
                    "value", (int)LODE_KEY_MAX);
  else if (at == 0) {
    lua_pushfstring(L, "%s can't be a key: strings, numbers, booleans and "
                    "tuples (arrays) of these can", got);
  }
  else {
    lua_pushfstring(L, "key[%d]: %s can't be part of a tuple: strings, "
                    "numbers and booleans can", (int)at, got);
  }
}

/* [-0, +0, v] */
static void fail_key (lua_State *L, int self, int i, lode_status status) {
  if (status == LODE_NO_MEMORY)
    lhandle_fail(L, self, 0, status, "no memory for a key");
  lhandle_fail(L, self, i, status, lua_tostring(L, -1));
}

/* [-0, +0, v] Encodes the tuple at `i`. */
static void add_tuple (lua_State *L, int self, int i, lode_buffer *b) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, i), fields = 0;
  lode_status status = lode_key_tuple(b);
  if (!lua_checkstack(L, 16)) status = LODE_NO_MEMORY;
  for (lua_Integer at = 1; status == LODE_OK && at <= n; at++) {
    lua_rawgeti(L, i, at);
    status = add_scalar(L, lua_gettop(L), b);
    if (status == LODE_BAD_KEY) push_reason(L, lua_gettop(L), at);
    else lua_pop(L, 1);
  }
  if (status != LODE_OK) fail_key(L, self, i, status);
  for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) fields++;
  if (fields != n) {
    lua_pushliteral(L, "a table that is a key is a tuple, an array without "
                    "holes or other fields, as {\"2026\", 11}");
    fail_key(L, self, i, LODE_BAD_KEY);
  }
}

/* [-0, +0, v] Encodes the value at `i` into the emptied `b`. */
static void encode (lua_State *L, int self, int i, lode_buffer *b) {
  lode_status status;
  b->size = 0;
  if (lua_type(L, i) == LUA_TTABLE) {
    add_tuple(L, self, i, b);
    return;
  }
  status = add_scalar(L, i, b);
  if (status == LODE_OK) return;
  if (status == LODE_BAD_KEY) push_reason(L, i, 0);
  fail_key(L, self, i, status);
}

/* [-0, +0, v] The last step of all ways to a key; `i` 0: not of Lua's. */
static void make (lua_State *L, int self, lcoll *c, int i, lode_slice whole,
                  lode_slice hash, lode_key *key) {
  lode_status status = lode_key_of(c->coll, whole, hash, key);
  if (status != LODE_OK) lhandle_fail(L, self, i, status, NULL);
}

/* [-0, +(0 or 1), v] The same through the collection's hash function. */
static void make_hashed (lua_State *L, int self, lcoll *c, int i,
                         lode_slice whole, lode_key *key) {
  lode_slice hash = { NULL, 0 };
  if (lode_key_is_long(c->coll, whole.size) &&
      lhandle_slot(L, self, COLL_HASH) != LUA_TNIL) {
    lua_pushlstring(L, (const char *)whole.data, whole.size);
    lua_call(L, 1, 1);
    if (lua_type(L, -1) != LUA_TSTRING || lua_rawlen(L, -1) == 0) {
      lhandle_fail(L, self, i, LODE_BAD_KEY,
                   "the function 'hash' has to give a string of at least "
                   "one byte, and did not");
    }
    if (!lhandle_is_open(c)) lhandle_closed(L, self);
    hash = string_at(L, -1);
  }
  make(L, self, c, i, whole, hash, key);
}

/* [-0, +1, v] Pushes the bytes that the key serializer makes. */
static void push_serialized (lua_State *L, int self, lcoll *c, int i) {
  lhandle_slot(L, self, COLL_KEY_ENCODE);
  lua_pushvalue(L, i);
  lua_call(L, 1, 1);
  if (lua_type(L, -1) != LUA_TSTRING) {
    lhandle_raise(L, self, i, LODE_BAD_KEY, "the key_serializer's encode "
                  "has to give a string, and gave %s", lerror_got(L, -1));
  }
  if (!lhandle_is_open(c)) lhandle_closed(L, self);
}

/*
** [-0, +1, v] Pushes the encoding of the value at `i` as a string. Where
** that may run finalizers before it copies, which may use the scratch too,
** the bytes go through a userdata.
*/
static void push_encoded (lua_State *L, int self, lcoll *c, int i) {
  lode_buffer *b = &c->owner->key;
  encode(L, self, i, b);
  if (COMPAT_COLLECTS_FIRST) {
    size_t size;
    void *copy;
    do {
      size = b->size;
      copy = lua_newuserdatauv(L, size, 0);
      if (!lhandle_is_open(c)) lhandle_closed(L, self);
      encode(L, self, i, b);
    } while (b->size != size); /* the finalizer changed the tuple */
    memcpy(copy, b->data, size);
    lua_pushlstring(L, copy, size);
  }
  else lua_pushlstring(L, (const char *)b->data, b->size);
}

/* [-0, +1, v] Pushes the whole key as a string, its serializer asked. */
static void push_whole (lua_State *L, int self, lcoll *c, int i) {
  int source = i, base = lua_gettop(L);
  luaL_checkstack(L, 16, NULL);
  if (lhandle_slot(L, self, COLL_KEY_ENCODE) != LUA_TNIL &&
      lua_type(L, i) != LUA_TNIL) {
    push_serialized(L, self, c, i);
    source = lua_gettop(L);
  }
  push_encoded(L, self, c, source);
  lua_replace(L, base + 1);
  lua_settop(L, base + 1);
}

/* [-0, +0, v] A raw key is the string itself. */
static void take_raw (lua_State *L, int self, lcoll *c, int i,
                      lode_key *key) {
  lode_slice hash = { NULL, 0 };
  if (lua_type(L, i) != LUA_TSTRING) {
    lhandle_raise(L, self, i, LODE_BAD_KEY, "%s can't be a key of a raw "
                  "dict: only a string can", lerror_got(L, i));
  }
  make(L, self, c, i, string_at(L, i), hash, key);
}

void lkey_take (lua_State *L, int self, lcoll *c, int i, lode_key *key) {
  lode_buffer *b = &c->owner->key;
  lode_slice hash = { NULL, 0 };
  if (c->raw) take_raw(L, self, c, i, key);
  else if (c->key_callbacks) {
    push_whole(L, self, c, i);
    make_hashed(L, self, c, i, string_at(L, -1), key);
  }
  else if (lua_type(L, i) == LUA_TSTRING) { /* the common one, in one step */
    lode_slice s = string_at(L, i);
    lode_status status = lode_key_of_string(c->coll, s, b, key);
    if (status != LODE_OK) lhandle_fail(L, self, i, status, NULL);
  }
  else {
    encode(L, self, i, b);
    make(L, self, c, i, slice_of(b->data, b->size), hash, key);
  }
}

void lkey_keep (lua_State *L, int self, lcoll *c, int i, lode_key *key) {
  if (c->raw) take_raw(L, self, c, i, key);
  else {
    push_whole(L, self, c, i);
    make_hashed(L, self, c, i, string_at(L, -1), key);
  }
}

void lkey_whole (lua_State *L, int self, lcoll *c, lode_slice whole,
                 lode_key *key) {
  lode_slice hash = { NULL, 0 };
  if (c->key_callbacks) make_hashed(L, self, c, 0, whole, key);
  else make(L, self, c, 0, whole, hash, key);
}

void lkey_push_prefix (lua_State *L, int self, lcoll *c, int i) {
  int type = lua_type(L, i);
  if (type != LUA_TSTRING && (type != LUA_TTABLE || c->raw)) {
    lerror_raise(L, LODE_BAD_ARGUMENT, "prefix: %s expected, got %s; numbers "
                 "have from and to", c->raw ? "a string" :
                 "a string or a tuple", lerror_got(L, i));
  }
  if (c->raw) lua_pushvalue(L, i);
  else push_whole(L, self, c, i);
}

/* }================================================================== */

/* {==================================================================
** Types
** =================================================================== */

static bool has_type (lua_State *L, int i, lode_type wanted) {
  switch (wanted) {
    case LODE_STRING: return lua_type(L, i) == LUA_TSTRING;
    case LODE_NUMBER: return lua_type(L, i) == LUA_TNUMBER;
    case LODE_BOOLEAN: return lua_type(L, i) == LUA_TBOOLEAN;
    case LODE_TABLE: case LODE_TUPLE: return lua_type(L, i) == LUA_TTABLE;
    case LODE_INTEGER: { /* 1.0 is the key 1 */
      lua_Number n = lua_tonumber(L, i);
      return lua_type(L, i) == LUA_TNUMBER &&
             (lua_isinteger(L, i) ||
              (n >= -0x1p63 && n < 0x1p63 && n == (lua_Number)(int64_t)n));
    }
    default: return true;
  }
}

void lkey_check (lua_State *L, int self, const lcoll *c, int i) {
  static const char *const names[] = { /* by lode_type */
    "", "a string", "an integer", "a number", "a boolean", "a tuple",
    "a tuple"
  };
  if (c->key == LODE_ANY || has_type(L, i, c->key)) return;
  lhandle_raise(L, self, i, LODE_BAD_KEY, "a key of this collection is %s "
                "(its option 'key'), not %s", names[c->key],
                lerror_got(L, i));
}

/* }================================================================== */

/* {==================================================================
** Decoding
** =================================================================== */

/* [-0, +1, m] */
static void push_atom (lua_State *L, const lode_atom *a) {
  switch (a->type) {
    case LODE_KEY_STRING:
      lua_pushlstring(L, (const char *)a->string.data, a->string.size);
      break;
    case LODE_KEY_INTEGER: compat_pushint64(L, a->integer); break;
    case LODE_KEY_NUMBER: lua_pushnumber(L, a->number); break;
    case LODE_KEY_BOOLEAN: lua_pushboolean(L, a->boolean); break;
    case LODE_KEY_TUPLE: lua_newtable(L); break;
  }
}

/* [-0, +0, v] */
static void fail_bytes (lua_State *L, int self, lode_status status) {
  lhandle_fail(L, self, 0, status, status == LODE_CORRUPT ?
               "a key's bytes are damaged" : "no memory for a key");
}

/* [-0, +1, v] Pushes a key that is more than a string. */
static void push_atoms (lua_State *L, int self, lode_slice whole,
                        lode_buffer *text) {
  lode_atom atom;
  lode_status status;
  bool in_tuple = false;
  status = lode_key_read(&whole, &in_tuple, text, &atom);
  if (status != LODE_OK) fail_bytes(L, self, status);
  push_atom(L, &atom);
  if (atom.type != LODE_KEY_TUPLE) return;
  for (int at = 1; ; at++) {
    status = lode_key_read(&whole, &in_tuple, text, &atom);
    if (status != LODE_OK) break;
    push_atom(L, &atom);
    lua_rawseti(L, -2, at);
  }
  if (status != LODE_ABSENT) fail_bytes(L, self, status);
}

void lkey_push (lua_State *L, int self, const lcoll *c, lode_slice whole,
                lode_buffer *text) {
  if (c->raw) {
    lua_pushlstring(L, (const char *)whole.data, whole.size);
  }
  else push_atoms(L, self, whole, text);
}

void lkey_decode (lua_State *L, int self, const lcoll *c) {
  if (!c->key_callbacks) return;
  if (lhandle_slot(L, self, COLL_KEY_DECODE) == LUA_TNIL) lua_pop(L, 1);
  else {
    lua_insert(L, -2);
    lua_call(L, 1, 1);
  }
}

/* }================================================================== */
