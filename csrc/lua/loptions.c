/*
** loptions.c - see loptions.h.
*/
#include <limits.h>
#include <math.h>
#include <stdarg.h>

#include "lhooks.h"
#include "loptions.h"
#include "ltime.h"

/* {==================================================================
** A table of options
** =================================================================== */

typedef struct reading {
  lua_State *L;
  const char *call; /* that the options are for, as "store:dict" */
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

/* [-0, +0, v] BAD_ARGUMENT for the option that is being read. */
static void refuse (const reading *r, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  lua_pushvfstring(r->L, format, arguments);
  va_end(arguments);
  lerror_raise(r->L, LODE_BAD_ARGUMENT, "%s: option '%s': %s", r->call,
               r->name, lua_tostring(r->L, -1));
}

/* [-0, +0, v] */
static void wrong (reading *r, const char *expected) {
  refuse(r, "%s expected, got %s", expected, lerror_got(r->L, r->value));
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
    refuse(r, "a whole number from 1 to %d%s expected, got %s",
           most < 1e9 ? (int)most : 2, most < 1e9 ? "" : "^62",
           lerror_got(r->L, r->value));
  }
  return (uint64_t)n;
}

static void read_bytes (reading *r) {
  *(uint64_t *)r->out = whole_number(r, 4611686018427387904.0);
}

static void read_count (reading *r) {
  *(unsigned *)r->out = (unsigned)whole_number(r, 1000000);
}

/*
** [-0, +0, v] The place in `names` (of which the last is null) of the string
** that is the option's value.
*/
static int read_one_of (reading *r, const char *const *names,
                        const char *expected) {
  if (lua_type(r->L, r->value) == LUA_TSTRING) {
    const char *s = lua_tostring(r->L, r->value);
    for (int i = 0; names[i] != NULL; i++) {
      if (strcmp(s, names[i]) == 0) return i;
    }
  }
  wrong(r, expected);
  return 0;
}

/* [-0, +0, v] Keeps a function in a slot of the handle. */
static void keep_function (reading *r, int slot) {
  if (lua_type(r->L, r->value) != LUA_TFUNCTION) wrong(r, "a function");
  lua_pushvalue(r->L, r->value);
  lhandle_set_slot(r->L, r->self, slot);
}

/* }================================================================== */

/* {==================================================================
** lode.open
** =================================================================== */

/* Seconds, as milliseconds. */
static void read_timeout (reading *r) {
  uint64_t ms;
  if (!ltime_span(r->L, r->value, &ms)) wrong(r, "a number of seconds");
  *(unsigned *)r->out = ms < INT_MAX ? (unsigned)ms : INT_MAX;
}

static void read_mode (reading *r) {
  size_t size = 0;
  unsigned mode = 0;
  const char *s = lua_type(r->L, r->value) == LUA_TSTRING ?
                  lua_tolstring(r->L, r->value, &size) : "";
  bool good = size >= 3 && size <= 4 && (size == 3 || s[0] == '0');
  for (size_t i = 0; good && i < size; i++) {
    good = s[i] >= '0' && s[i] <= '7';
    mode = mode * 8 + (unsigned)(s[i] - '0');
  }
  if (!good) wrong(r, "octal digits in a string, such as \"0600\",");
  *(unsigned *)r->out = mode;
}

static void read_durability (reading *r) {
  static const char *const names[] = { /* by lode_durability */
    "commit", "os", "behind", NULL
  };
  int i = read_one_of(r, names, "\"commit\", \"behind\" or \"os\"");
  *(lode_durability *)r->out = (lode_durability)i;
}

static void read_maintenance (reading *r) {
  static const char *const names[] = { /* by lode_maintenance */
    "inline", "background", "off", NULL
  };
  int i = read_one_of(r, names, "\"inline\", \"background\" or \"off\"");
  *(lode_maintenance *)r->out = (lode_maintenance)i;
}

/* false, true (it waits) or "background". */
static void read_check (reading *r) {
  lode_options *o = r->out;
  bool background = lua_type(r->L, r->value) == LUA_TSTRING &&
                    strcmp(lua_tostring(r->L, r->value), "background") == 0;
  if (!background && !lua_isboolean(r->L, r->value))
    wrong(r, "true, false or \"background\"");
  o->check = background ? LODE_CHECK_BACKGROUND :
             lua_toboolean(r->L, r->value) ? LODE_CHECK_FIRST :
             LODE_CHECK_NONE;
}

static void read_clock (reading *r) {
  keep_function(r, STORE_CLOCK);
  lhooks_clock(r->L, r->self, r->out);
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
      refuse(r, "%s", lua_tostring(L, -1));
    }
  }
  else if (lua_istable(L, r->value)) lua_pushvalue(L, r->value);
  else wrong(r, "a serializer or the name of one");
  if (!keep_serializer(L, r->self, slot)) {
    refuse(r, "a table with a name and the functions encode and decode "
           "expected");
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
  static const char *const names[] = { /* by lode_type, from the second */
    "string", "integer", "number", "boolean", "table", "tuple", NULL
  };
  int i = read_one_of(r, names, "\"string\", \"integer\", \"number\", "
                      "\"boolean\", \"table\" or \"tuple\"");
  *(lode_type *)r->out = (lode_type)(LODE_STRING + i);
}

static void read_hash (reading *r) {
  keep_function(r, COLL_HASH);
  *(bool *)r->out = true;
}

/* A number of entries of the handle's own, not kept with the collection. */
static void read_cache (reading *r) {
  lcoll *c = lua_touserdata(r->L, r->self);
  c->cache = (unsigned)whole_number(r, 100000000);
}

/* Seconds above 0, as milliseconds. */
static void read_ttl (reading *r) {
  lua_Number n = lua_tonumber(r->L, r->value);
  if (lua_type(r->L, r->value) != LUA_TNUMBER || !(n > 0) || isinf(n)) {
    refuse(r, "a number of seconds above 0 expected, got %s; without it "
           "entries stay", lerror_got(r->L, r->value));
  }
  *(uint64_t *)r->out = ltime_ttl(r->L, r->value, 0);
}

/* [-2, +0, v] Keeps a policy: its name, and its function on the top. */
static void keep_policy (reading *r) {
  lode_coll_options *o = r->out;
  lhandle_set_slot(r->L, r->self, COLL_EXPIRE);
  lhandle_set_slot(r->L, r->self, COLL_POLICY);
  o->policy = kept_name(r->L, r->self, COLL_POLICY);
}

/* A policy (policy.lua): a function, or a table with one. */
static void read_expire (reading *r) {
  lua_State *L = r->L;
  lode_coll_options *o = r->out;
  o->policy_reads = true;
  if (lua_type(L, r->value) == LUA_TFUNCTION) {
    lua_pushliteral(L, "function");
    lua_pushvalue(L, r->value);
  }
  else if (lua_istable(L, r->value)) {
    o->policy_reads = lua_getfield(L, r->value, "reads") != LUA_TBOOLEAN ||
                      lua_toboolean(L, -1);
    if (lua_getfield(L, r->value, "name") != LUA_TSTRING ||
        lua_rawlen(L, -1) == 0 ||
        lua_getfield(L, r->value, "expire") != LUA_TFUNCTION) {
      refuse(r, "a policy that is a table has a name, a string, and a "
             "function 'expire'");
    }
  }
  else wrong(r, "a policy, such as lode.policy.idle(600) or a function,");
  keep_policy(r);
}

static void read_on_expire (reading *r) {
  keep_function(r, COLL_ON_EXPIRE);
  *(bool *)r->out = true;
}

static void read_evict (reading *r) {
  static const char *const names[] = { /* by lode_evict, from the second */
    "sieve", "lru", "lfu", "fifo", "ttl", NULL
  };
  lode_evict *evict = r->out;
  if (lua_type(r->L, r->value) == LUA_TFUNCTION) {
    keep_function(r, COLL_EVICT);
    *evict = LODE_EVICT_RANK;
  }
  else {
    int i = read_one_of(r, names, "\"sieve\", \"lru\", \"lfu\", \"fifo\", "
                        "\"ttl\" or a function");
    *evict = (lode_evict)(LODE_EVICT_SIEVE + i);
  }
}

static bool is_capped (const lode_coll_options *o) {
  return o->max_entries != 0 || o->max_bytes != 0;
}

static bool is_plain (const lode_coll_options *o) {
  return o->serializer.size == 0 && o->key_serializer.size == 0 &&
         !o->custom_hash && o->key == LODE_ANY && o->value == LODE_ANY &&
         o->ttl == 0 && o->policy.size == 0 && !o->on_expire && !o->times &&
         !is_capped(o) && o->evict == LODE_EVICT_NONE && !o->rearm;
}

/* [-0, +0, v] BAD_ARGUMENT for options that contradict each other. */
static void check_together (lua_State *L, const char *call, const lcoll *c,
                            const lode_coll_options *o) {
  if (o->raw && (!is_plain(o) || c->cache != 0)) {
    lerror_raise(L, LODE_BAD_ARGUMENT, "%s: option 'raw': keys and values "
                 "are bytes as they lie, so no other option goes with it",
                 call);
  }
  if (o->ttl != 0 && o->policy.size != 0) {
    lerror_raise(L, LODE_BAD_ARGUMENT, "%s: options 'ttl' and 'expire': "
                 "either says when entries die; "
                 "policy.any(policy.ttl(seconds), another) makes one of two",
                 call);
  }
  if (o->evict != LODE_EVICT_NONE && !is_capped(o)) {
    lerror_raise(L, LODE_BAD_ARGUMENT, "%s: option 'evict': nothing is "
                 "evicted without a cap; give max_entries or max_bytes as "
                 "well", call);
  }
}

/* }================================================================== */

/* {==================================================================
** All of them
** =================================================================== */

static const option open_options[] = {
  { "readonly", read_flag, offsetof(lode_options, readonly) },
  { "create", read_flag, offsetof(lode_options, create) },
  { "single_file", read_flag, offsetof(lode_options, single_file) },
  { "allow_unsafe_fs", read_flag, offsetof(lode_options, allow_unsafe_fs) },
  { "checksum", read_flag, offsetof(lode_options, checksum) },
  { "mode", read_mode, offsetof(lode_options, mode) },
  { "map_size", read_bytes, offsetof(lode_options, map_size) },
  { "max_size", read_bytes, offsetof(lode_options, max_size) },
  { "collections", read_count, offsetof(lode_options, collections) },
  { "readers", read_count, offsetof(lode_options, readers) },
  { "lock_timeout", read_timeout, offsetof(lode_options, lock_timeout) },
  { "durability", read_durability, offsetof(lode_options, durability) },
  { "flush_ops", read_count, offsetof(lode_options, flush_ops) },
  { "flush_bytes", read_bytes, offsetof(lode_options, flush_bytes) },
  { "flush_ms", read_count, offsetof(lode_options, flush_ms) },
  { "autoflush_on_read", read_flag,
    offsetof(lode_options, autoflush_on_read) },
  { "maintenance", read_maintenance, offsetof(lode_options, maintenance) },
  { "check", read_check, 0 },
  { "clock", read_clock, 0 },
  { "name", read_name, 0 },
  { "log", read_log, 0 },
  { "log_level", read_level, 0 },
  { NULL, NULL, 0 }
};

static const option coll_options[] = { /* a set's begin at the fourth */
  { "value", read_type, offsetof(lode_coll_options, value) },
  { "serializer", read_serializer, offsetof(lode_coll_options, serializer) },
  { "cache", read_cache, 0 },
  { "key", read_type, offsetof(lode_coll_options, key) },
  { "key_serializer", read_key_serializer,
    offsetof(lode_coll_options, key_serializer) },
  { "hash", read_hash, offsetof(lode_coll_options, custom_hash) },
  { "raw", read_flag, offsetof(lode_coll_options, raw) },
  { "ttl", read_ttl, offsetof(lode_coll_options, ttl) },
  { "expire", read_expire, 0 },
  { "on_expire", read_on_expire, offsetof(lode_coll_options, on_expire) },
  { "max_entries", read_bytes, offsetof(lode_coll_options, max_entries) },
  { "max_bytes", read_bytes, offsetof(lode_coll_options, max_bytes) },
  { "evict", read_evict, offsetof(lode_coll_options, evict) },
  { "times", read_flag, offsetof(lode_coll_options, times) },
  { "rearm", read_flag, offsetof(lode_coll_options, rearm) },
  { NULL, NULL, 0 }
};

/*
** [-0, +0, v] BAD_ARGUMENT for the option whose name is at `i`, which may be
** one of the other call's.
*/
static void unknown (lua_State *L, int i, const char *call,
                     const option *options) {
  const option *others = options == open_options ? coll_options :
                                                   open_options;
  const char *name = lerror_nearest(L, i, options, sizeof(option)) == NULL ?
                     lerror_nearest(L, i, others, sizeof(option)) : NULL;
  if (name == NULL) {
    lerror_raise(L, LODE_BAD_ARGUMENT, "%s: unknown option %s", call,
                 lerror_unknown(L, i, options, sizeof(option)));
  }
  lerror_raise(L, LODE_BAD_ARGUMENT, "%s: unknown option %s: '%s' is an "
               "option of %s", call, lerror_got(L, i), name, others == open_options ?
               "lode.open" : "store:dict");
}

/* [-0, +0, v] Reads each field of the table at `i` by its option. */
static void read_all (lua_State *L, int i, int self, const char *call,
                      const option *options, void *out) {
  reading r = { L, call, NULL, 0, self, out };
  if (lua_isnoneornil(L, i)) return;
  if (!lua_istable(L, i))
    lerror_argument(L, i, "a table of options expected, got %s",
                    lerror_got(L, i));
  luaL_checkstack(L, 16, NULL);
  for (lua_pushnil(L); lua_next(L, i) != 0; lua_settop(L, r.value - 1)) {
    const option *o = options;
    r.value = lua_gettop(L);
    if (lua_type(L, -2) == LUA_TSTRING) {
      r.name = lua_tostring(L, -2);
      while (o->name != NULL && strcmp(o->name, r.name) != 0) o++;
    }
    else while (o->name != NULL) o++;
    if (o->name == NULL) unknown(L, r.value - 1, call, options);
    r.out = (char *)out + o->offset;
    o->read(&r);
  }
}

void loptions_open (lua_State *L, int i, int self, lode_options *o) {
  lode_options_init(o);
  lua_pushinteger(L, loptions_level("warn"));
  lhandle_set_slot(L, self, STORE_LEVEL);
  read_all(L, i, self, "lode.open", open_options, o);
  if (o->clock != NULL && o->maintenance == LODE_BACKGROUND) {
    lerror_raise(L, LODE_BAD_ARGUMENT, "lode.open: option 'clock': not with "
                 "maintenance = \"background\", whose thread can't call "
                 "Lua; leave the sweeps to the writes (\"inline\") or to "
                 "store:maintain() (\"off\")");
  }
}

void loptions_coll (lua_State *L, int i, int self, lode_kind kind,
                    lode_coll_options *o) {
  const char *call = kind == LODE_SET ? "store:set" : "store:dict";
  memset(o, 0, sizeof(*o));
  read_all(L, i, self, call,
           kind == LODE_SET ? coll_options + 3 : coll_options, o);
  check_together(L, call, lua_touserdata(L, self), o);
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
