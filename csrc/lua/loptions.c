/*
** loptions.c - see loptions.h.
*/
#include <limits.h>
#include <math.h>

#include "loptions.h"

/* {==================================================================
** A table of options
** =================================================================== */

typedef struct reading {
  lua_State *L;
  const char *name; /* of the option that is being read */
  int value;        /* its stack slot */
  int self;         /* the handle's */
  void *out;        /* what is filled */
} reading;

typedef struct option {
  const char *name;
  void (*read) (reading *r);
  size_t offset;    /* where in `out` it goes, for readers that ask */
} option;

/* [-0, +0, v] */
static void wrong (reading *r, const char *expected) {
  lerror_raise(r->L, LODE_BAD_ARGUMENT, "option '%s': %s expected, got %s",
               r->name, expected, luaL_typename(r->L, r->value));
}

/* [-0, +0, v] Reads each field of the table at `i` by its option. */
static void read_all (lua_State *L, int i, int self, const option *options,
                      void *out) {
  reading r = { L, NULL, 0, self, out };
  if (lua_isnoneornil(L, i)) return;
  if (!lua_istable(L, i))
    lerror_argument(L, i, "a table of options expected");
  luaL_checkstack(L, 16, NULL);
  for (lua_pushnil(L); lua_next(L, i) != 0; lua_settop(L, r.value - 1)) {
    const option *o = options;
    r.value = lua_gettop(L);
    if (lua_type(L, -2) == LUA_TSTRING) {
      r.name = lua_tostring(L, -2);
      while (o->name != NULL && strcmp(o->name, r.name) != 0) o++;
    }
    else while (o->name != NULL) o++;
    if (o->name == NULL) {
      lerror_push_key(L, r.value - 1);
      lerror_raise(L, LODE_BAD_ARGUMENT, "unknown option %s",
                   lua_tostring(L, -1));
    }
    r.out = (char *)out + o->offset;
    o->read(&r);
  }
}

static void read_flag (reading *r) {
  if (!lua_isboolean(r->L, r->value)) wrong(r, "a boolean");
  *(bool *)r->out = lua_toboolean(r->L, r->value) != 0;
}

/* [-0, +0, v] A whole number of 1 to `most`. */
static uint64_t whole_number (reading *r, double most) {
  lua_Number n = lua_tonumber(r->L, r->value);
  if (lua_type(r->L, r->value) != LUA_TNUMBER) wrong(r, "a number");
  if (!(n >= 1 && n <= most) || n != floor(n)) {
    lerror_raise(r->L, LODE_BAD_ARGUMENT,
                 "option '%s': a whole number from 1 to %d%s expected",
                 r->name, most < 1e9 ? (int)most : 2,
                 most < 1e9 ? "" : "^62");
  }
  return (uint64_t)n;
}

static void read_bytes (reading *r) {
  *(uint64_t *)r->out = whole_number(r, 4611686018427387904.0);
}

static void read_count (reading *r) {
  *(unsigned *)r->out = (unsigned)whole_number(r, 1000000);
}

/* }================================================================== */

/* {==================================================================
** lode.open
** =================================================================== */

/* Seconds, as milliseconds. */
static void read_timeout (reading *r) {
  lua_Number n = lua_tonumber(r->L, r->value);
  if (lua_type(r->L, r->value) != LUA_TNUMBER || !(n >= 0))
    wrong(r, "a number of seconds");
  n = ceil(n * 1000);
  *(unsigned *)r->out = n < (lua_Number)INT_MAX ? (unsigned)n : INT_MAX;
}

static void read_mode (reading *r) {
  size_t size;
  unsigned mode = 0;
  const char *s = lua_tolstring(r->L, r->value, &size);
  bool good = lua_type(r->L, r->value) == LUA_TSTRING && size >= 3 &&
              size <= 4 && (size == 3 || s[0] == '0');
  for (size_t i = 0; good && i < size; i++) {
    good = s[i] >= '0' && s[i] <= '7';
    mode = mode * 8 + (unsigned)(s[i] - '0');
  }
  if (!good) wrong(r, "octal digits in a string, such as \"0600\",");
  *(unsigned *)r->out = mode;
}

static void read_durability (reading *r) {
  static const char *const names[] = { "commit", "os" };
  const char *s = lua_type(r->L, r->value) == LUA_TSTRING ?
                  lua_tostring(r->L, r->value) : "";
  for (int i = 0; i < 2; i++) {
    if (strcmp(s, names[i]) == 0) {
      *(lode_durability *)r->out = i == 0 ? LODE_COMMIT : LODE_OS;
      return;
    }
  }
  wrong(r, "\"commit\" or \"os\"");
}

static void read_name (reading *r) {
  if (lua_type(r->L, r->value) != LUA_TSTRING) wrong(r, "a string");
  lua_pushvalue(r->L, r->value);
  lhandle_set_slot(r->L, r->self, STORE_NAME);
}

static void read_log (reading *r) {
  bool good = lua_type(r->L, r->value) == LUA_TFUNCTION ||
              (lua_type(r->L, r->value) == LUA_TSTRING &&
               strcmp(lua_tostring(r->L, r->value), "stderr") == 0);
  if (!good) wrong(r, "a function or \"stderr\"");
  lua_pushvalue(r->L, r->value);
  lhandle_set_slot(r->L, r->self, STORE_LOG);
}

int loptions_level (const char *name) {
  static const char *const levels[] = { "debug", "info", "warn", "error" };
  for (int i = 0; i < 4; i++) {
    if (strcmp(name, levels[i]) == 0) return i;
  }
  return -1;
}

static void read_level (reading *r) {
  int level = lua_type(r->L, r->value) != LUA_TSTRING ? -1 :
              loptions_level(lua_tostring(r->L, r->value));
  if (level < 0) wrong(r, "\"debug\", \"info\", \"warn\" or \"error\"");
  lua_pushinteger(r->L, level);
  lhandle_set_slot(r->L, r->self, STORE_LEVEL);
}

void loptions_open (lua_State *L, int i, int self, lode_options *o) {
  static const option options[] = {
    { "readonly", read_flag, offsetof(lode_options, readonly) },
    { "create", read_flag, offsetof(lode_options, create) },
    { "single_file", read_flag, offsetof(lode_options, single_file) },
    { "allow_unsafe_fs", read_flag,
      offsetof(lode_options, allow_unsafe_fs) },
    { "checksum", read_flag, offsetof(lode_options, checksum) },
    { "mode", read_mode, offsetof(lode_options, mode) },
    { "map_size", read_bytes, offsetof(lode_options, map_size) },
    { "max_size", read_bytes, offsetof(lode_options, max_size) },
    { "collections", read_count, offsetof(lode_options, collections) },
    { "readers", read_count, offsetof(lode_options, readers) },
    { "lock_timeout", read_timeout, offsetof(lode_options, lock_timeout) },
    { "durability", read_durability, offsetof(lode_options, durability) },
    { "name", read_name, 0 },
    { "log", read_log, 0 },
    { "log_level", read_level, 0 },
    { NULL, NULL, 0 }
  };
  lode_options_init(o);
  lua_pushinteger(L, loptions_level("warn"));
  lhandle_set_slot(L, self, STORE_LEVEL);
  read_all(L, i, self, options, o);
}

/* }================================================================== */

/* {==================================================================
** Serializers
** =================================================================== */

/*
** [-0, +1, m] Pushes what lode.serializer has by this name. False: it has
** none, and why not is pushed instead.
*/
static bool find_serializer (lua_State *L, const char *name) {
  enum { FOUND = 1, WHY };
  int base = lua_gettop(L);
  bool found = false, called;
  luaL_checkstack(L, 8, NULL);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lode.serializer");
  called = lua_pcall(L, 1, 1, 0) == LUA_OK;
  if (called) {
    lua_getfield(L, -1, "named");
    lua_remove(L, -2);
    lua_pushstring(L, name);
    called = lua_pcall(L, 1, 2, 0) == LUA_OK;
    found = called && lua_istable(L, base + FOUND);
  }
  if (found) lua_settop(L, base + FOUND);
  else if (called) { /* nil and the reason */
    lua_settop(L, base + WHY);
    lua_remove(L, base + FOUND);
  }
  return found;
}

/*
** [-1, +0, v] Keeps the serializer table on the top: itself, encode and
** decode in three slots from `slot` on. False: it isn't one, and is kept
** not at all.
*/
static bool keep_serializer (lua_State *L, int self, int slot) {
  int t = lua_gettop(L);
  bool good = lua_getfield(L, t, "name") == LUA_TSTRING &&
              lua_rawlen(L, -1) > 0;
  good = (lua_getfield(L, t, "encode") == LUA_TFUNCTION) && good;
  good = (lua_getfield(L, t, "decode") == LUA_TFUNCTION) && good;
  if (good) {
    lhandle_set_slot(L, self, slot + 2);
    lhandle_set_slot(L, self, slot + 1);
    lhandle_set_slot(L, self, slot); /* its name */
  }
  lua_settop(L, t - 1);
  return good;
}

static lode_slice kept_name (lua_State *L, int self, int slot) {
  lode_slice name;
  lhandle_slot(L, self, slot);
  name.data = (const unsigned char *)lua_tolstring(L, -1, &name.size);
  lua_pop(L, 1);
  return name;
}

/* [-0, +0, v] Reads a serializer, given as a table or by its name. */
static void read_serializer_to (reading *r, int slot) {
  lua_State *L = r->L;
  if (lua_type(L, r->value) == LUA_TSTRING) {
    if (!find_serializer(L, lua_tostring(L, r->value))) {
      luaL_tolstring(L, -1, NULL);
      lerror_raise(L, LODE_BAD_ARGUMENT, "option '%s': %s", r->name,
                   lua_tostring(L, -1));
    }
  }
  else if (lua_istable(L, r->value)) lua_pushvalue(L, r->value);
  else wrong(r, "a serializer or the name of one");
  if (!keep_serializer(L, r->self, slot)) {
    lerror_raise(L, LODE_BAD_ARGUMENT, "option '%s': a table with a name "
                 "and the functions encode and decode expected", r->name);
  }
  *(lode_slice *)r->out = kept_name(L, r->self, slot);
}

static void read_serializer (reading *r) {
  read_serializer_to(r, COLL_SERIALIZER);
}

static void read_key_serializer (reading *r) {
  read_serializer_to(r, COLL_KEY_SERIALIZER);
}

/* }================================================================== */

/* {==================================================================
** Dicts and sets
** =================================================================== */

static void read_type (reading *r) {
  static const char *const names[] = { /* by lode_type */
    "", "string", "integer", "number", "boolean", "table", "tuple"
  };
  if (lua_type(r->L, r->value) == LUA_TSTRING) {
    const char *s = lua_tostring(r->L, r->value);
    for (int t = LODE_STRING; t <= LODE_TUPLE; t++) {
      if (strcmp(s, names[t]) == 0) {
        *(lode_type *)r->out = (lode_type)t;
        return;
      }
    }
  }
  wrong(r, "\"string\", \"integer\", \"number\", \"boolean\", \"table\" or "
           "\"tuple\"");
}

static void read_hash (reading *r) {
  if (lua_type(r->L, r->value) != LUA_TFUNCTION) wrong(r, "a function");
  lua_pushvalue(r->L, r->value);
  lhandle_set_slot(r->L, r->self, COLL_HASH);
  *(bool *)r->out = true;
}

void loptions_coll (lua_State *L, int i, int self, lode_kind kind,
                    lode_coll_options *o) {
  static const option options[] = { /* a set's begin at the third */
    { "value", read_type, offsetof(lode_coll_options, value) },
    { "serializer", read_serializer,
      offsetof(lode_coll_options, serializer) },
    { "key", read_type, offsetof(lode_coll_options, key) },
    { "key_serializer", read_key_serializer,
      offsetof(lode_coll_options, key_serializer) },
    { "hash", read_hash, offsetof(lode_coll_options, custom_hash) },
    { "raw", read_flag, offsetof(lode_coll_options, raw) },
    { NULL, NULL, 0 }
  };
  memset(o, 0, sizeof(*o));
  read_all(L, i, self, kind == LODE_SET ? options + 2 : options, o);
  if (o->raw && (o->serializer.size != 0 || o->key_serializer.size != 0 ||
                 o->custom_hash || o->key != LODE_ANY ||
                 o->value != LODE_ANY)) {
    lerror_raise(L, LODE_BAD_ARGUMENT, "option 'raw': keys and values are "
                 "bytes as they lie, so no other option goes with it");
  }
}

/* [-0, +0, v] Makes sure that a kept serializer is at hand. */
static void resolve (lua_State *L, int self, lode_slice name, int slot,
                     const char *what) {
  bool found;
  int wanted = lua_gettop(L) + 1;
  if (name.size == 0) return;
  found = lhandle_slot(L, self, slot + 1) != LUA_TNIL;
  lua_settop(L, wanted - 1);
  if (found) return;
  lua_pushlstring(L, (const char *)name.data, name.size);
  found = find_serializer(L, lua_tostring(L, wanted));
  if (found && keep_serializer(L, self, slot)) {
    lua_settop(L, wanted - 1);
    return;
  }
  if (found) lua_pushliteral(L, "what has this name is no serializer");
  else luaL_tolstring(L, -1, NULL);
  lhandle_slot(L, self, COLL_NAME);
  lhandle_raise(L, self, 0, LODE_INCOMPATIBLE,
                "'%s' was made with %s '%s': give it in the options (%s)",
                lua_tostring(L, -1), what, lua_tostring(L, wanted),
                lua_tostring(L, -2));
}

void loptions_resolve (lua_State *L, int self) {
  lcoll *c = lua_touserdata(L, self);
  const lode_coll_options *kept = lode_coll_kept(c->coll);
  bool hash;
  luaL_checkstack(L, 16, NULL);
  resolve(L, self, kept->serializer, COLL_SERIALIZER, "serializer");
  resolve(L, self, kept->key_serializer, COLL_KEY_SERIALIZER,
          "key_serializer");
  hash = lhandle_slot(L, self, COLL_HASH) != LUA_TNIL;
  lua_pop(L, 1);
  if (kept->custom_hash && !hash) {
    lhandle_slot(L, self, COLL_NAME);
    lhandle_raise(L, self, 0, LODE_INCOMPATIBLE, "'%s' was made with a hash "
                  "function of its own: give it as the option 'hash'",
                  lua_tostring(L, -1));
  }
  c->raw = kept->raw;
  c->key = kept->key;
  c->value = kept->value;
  c->value_callbacks = kept->serializer.size != 0;
  c->key_callbacks = kept->key_serializer.size != 0 || kept->custom_hash;
}

/* }================================================================== */
