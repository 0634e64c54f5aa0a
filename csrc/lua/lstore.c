/*
** lstore.c - see lstore.h.
*/
#include "lcache.h"
#include "lcheck.h"
#include "lguard.h"
#include "lhooks.h"
#include "lkept.h"
#include "loptions.h"
#include "lstore.h"
#include "ltime.h"

/* {==================================================================
** Opening and closing
** =================================================================== */

/* [-0, +0, m] Logs an event of the store at `self` itself. */
static void log_event (lua_State *L, int self, const char *message) {
  lua_createtable(L, 0, 2);
  lhandle_slot(L, self, STORE_PATH);
  lua_setfield(L, -2, "path");
  lhandle_slot(L, self, STORE_NAME);
  lua_setfield(L, -2, "name");
  lhandle_log(L, self, "info", message);
}

int lstore_open (lua_State *L) {
  enum { PATH = 1, OPTIONS, SELF };
  lode_options options;
  lode_error error;
  lode_status status;
  lstore *s;
  size_t size;
  const char *path;
  lua_settop(L, OPTIONS);
  if (lua_type(L, PATH) != LUA_TSTRING)
    lerror_argument(L, PATH, "a path expected, got %s, as in "
                    "lode.open(\"data\")", lerror_got(L, PATH));
  path = lua_tolstring(L, PATH, &size);
  if (size == 0 || strlen(path) != size)
    lerror_argument(L, PATH, "a path expected, of bytes that aren't zero, "
                    "got %s", lerror_got(L, PATH));
  s = lhandle_new(L, LKIND_STORE, sizeof(lstore), STORE_SLOTS);
  lua_pushvalue(L, PATH);
  lhandle_set_slot(L, SELF, STORE_PATH);
  lua_pushvalue(L, PATH);
  lhandle_set_slot(L, SELF, STORE_NAME);
  loptions_open(L, OPTIONS, SELF, &options);
  status = lode_open(path, &options, &s->store, &error);
  if (status != LODE_OK) lhandle_fail(L, SELF, 0, status, error.text);
  s->checking = options.check == LODE_CHECK_BACKGROUND;
  log_event(L, SELF, "opened");
  lua_settop(L, SELF);
  return 1;
}

/* Leaves the handle closed, and its core's to the caller. */
static void forget (void *data) {
  lstore *s = data;
  s->store = NULL;
  lode_buffer_free(&s->key);
  lode_buffer_free(&s->value);
}

/*
** Closes the handle; OK when it is closed already. One that was lent is only
** given back.
*/
static lode_status shut (lstore *s, lode_error *error) {
  lode_store *store = s->watch.link == NULL ? s->store : NULL;
  lode_watch_end(&s->watch);
  forget(s);
  return lode_close(store, error);
}

/*
** The stores of this state that were lent, by the address of the core's;
** they are kept by whoever uses them. Its address is the registry's key.
*/
static const char lent_key = 'l';

/* [-0, +1, m] Pushes the table of them. */
static void push_lent (lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &lent_key) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &lent_key);
}

void lstore_lend (lua_State *L, lode_store *store) {
  int lent = lua_gettop(L) + 1, self = lent + 1;
  lstore *s;
  luaL_checkstack(L, 8, NULL);
  push_lent(L);
  lua_rawgetp(L, lent, store);
  s = lhandle_test(L, self, LKIND_STORE, sizeof(lstore));
  if (s == NULL || s->store != store) { /* none, or of one that has gone */
    lua_settop(L, lent);
    s = lhandle_new(L, LKIND_STORE, sizeof(lstore), STORE_SLOTS);
    lua_pushstring(L, lode_store_path(store));
    lhandle_set_slot(L, self, STORE_PATH);
    lua_pushstring(L, lode_store_path(store));
    lhandle_set_slot(L, self, STORE_NAME);
    lua_pushinteger(L, loptions_level("warn"));
    lhandle_set_slot(L, self, STORE_LEVEL);
    lua_pushvalue(L, self);
    lua_rawsetp(L, lent, store);
    s->store = store;
    s->watch.closed = forget;
    s->watch.data = s;
    lode_watch_begin(store, &s->watch);
  }
  lua_remove(L, lent);
}

/* [-1, +0, v] store:close(), and __close */
static int store_close (lua_State *L) {
  lstore *s = lhandle_test(L, 1, LKIND_STORE, sizeof(lstore));
  lode_error error;
  lode_status status;
  if (s == NULL) return lhandle_wrong(L, 1, "a store");
  lua_settop(L, 1);
  if (s->store == NULL) return 0;
  if (s->depth > 0) {
    return lhandle_raise(L, 1, 0, LODE_REENTRY, "store:close() was called by "
                         "a function that this store is waiting for (a "
                         "policy, on_expire, evict, progress or the clock): "
                         "close it when that has returned");
  }
  if (s->checking) lhandle_news(L, 1);
  status = shut(s, &error);
  if (status != LODE_OK) return lhandle_fail(L, 1, 0, status, error.text);
  log_event(L, 1, "closed");
  return 0;
}

/* [-1, +0, -] What a failing sync says is lost here: close() tells it. */
static int store__gc (lua_State *L) {
  lstore *s = lhandle_test(L, 1, LKIND_STORE, sizeof(lstore));
  lode_error error;
  if (s != NULL) (void)shut(s, &error);
  return 0;
}

/* [-1, +1, v] "lode.store: data", with " (closed)" when it is */
static int store__tostring (lua_State *L) {
  lstore *s = lhandle_test(L, 1, LKIND_STORE, sizeof(lstore));
  if (s == NULL) return lhandle_wrong(L, 1, "a store");
  lua_pushliteral(L, "lode.store: ");
  lhandle_slot(L, 1, STORE_NAME);
  lua_pushstring(L, s->store == NULL ? " (closed)" : "");
  lua_concat(L, 3);
  return 1;
}

/* }================================================================== */

/* {==================================================================
** Collections
** =================================================================== */

lode_slice lstore_check_name (lua_State *L, int i) {
  lode_slice name;
  if (lua_type(L, i) != LUA_TSTRING)
    lerror_argument(L, i, "a name (a string) expected, got %s",
                    lerror_got(L, i));
  name.data = (const void *)lua_tolstring(L, i, &name.size);
  return name;
}

/* [-0, +1, m] Pushes a handle that isn't open yet. */
static lcoll *push_coll (lua_State *L, int store, int name, lode_kind kind) {
  lcoll *c = lhandle_new(L, kind == LODE_DICT ? LKIND_DICT : LKIND_SET,
                         sizeof(lcoll), COLL_SLOTS);
  c->owner = lua_touserdata(L, store);
  lua_pushvalue(L, store);
  lhandle_set_slot(L, -2, COLL_STORE);
  lua_pushvalue(L, name);
  lhandle_set_slot(L, -2, COLL_NAME);
  return c;
}

/* [-0, +0, v] Opens the handle at `self`; once more, to replace it. */
static void open_as (lua_State *L, int self, lode_kind kind,
                     lode_slice name, const lode_coll_options *options) {
  lcoll *c = lua_touserdata(L, self);
  lode_coll *before = c->coll;
  lode_status status;
  if (c->owner->store == NULL) lhandle_closed(L, self);
  status = lode_coll_open(c->owner->store, name, kind, options, &c->coll);
  if (status != LODE_OK) lhandle_fail(L, self, 0, status, NULL);
  lode_coll_close(before);
  loptions_resolve(L, self);
}

/* Leaves out what says how long entries live, and how many may. */
static void forget_time (lode_coll_options *options) {
  lode_coll_options plain;
  memset(&plain, 0, sizeof(plain));
  plain.key = options->key;
  plain.value = options->value;
  plain.serializer = options->serializer;
  plain.key_serializer = options->key_serializer;
  plain.custom_hash = options->custom_hash;
  plain.raw = options->raw;
  *options = plain;
}

/*
** [-0, +0, v] Opens the handle at `self`. `rearm` asks a policy about every
** entry, which takes the serializers that the collection was made with: so
** it is opened without any of that first.
*/
static void open_coll (lua_State *L, int self, lode_kind kind,
                       lode_slice name, lode_coll_options *options) {
  lode_hooks hooks;
  if (options->rearm) {
    lode_coll_options plain = *options;
    forget_time(&plain);
    open_as(L, self, kind, name, &plain);
  }
  options->hooks = lhooks_coll(L, self, &hooks) ? &hooks : NULL;
  open_as(L, self, kind, name, options);
  options->hooks = NULL; /* the core has copied them */
  lcache_begin(L, self);
}

/* [-3, +1, v] */
static int open_kind (lua_State *L, lode_kind kind) {
  enum { STORE = 1, NAME, OPTIONS, SELF };
  lode_coll_options options;
  lode_slice name;
  lua_settop(L, OPTIONS);
  lhandle_store(L, STORE);
  name = lstore_check_name(L, NAME);
  push_coll(L, STORE, NAME, kind);
  loptions_coll(L, OPTIONS, SELF, kind, &options);
  open_coll(L, SELF, kind, name, &options);
  lua_settop(L, SELF);
  return 1;
}

void lstore_push_coll (lua_State *L, int store, int name, lode_kind kind) {
  lode_coll_options options;
  store = lua_absindex(L, store);
  name = lua_absindex(L, name);
  memset(&options, 0, sizeof(options));
  push_coll(L, store, name, kind);
  open_coll(L, lua_gettop(L), kind, lstore_check_name(L, name), &options);
}

/* [-3, +1, v] store:dict(name [, options]) -> dict */
static int store_dict (lua_State *L) {
  return open_kind(L, LODE_DICT);
}

/* [-3, +1, v] store:set(name [, options]) -> set */
static int store_set (lua_State *L) {
  return open_kind(L, LODE_SET);
}

lcoll *lstore_open_like (lua_State *L, int store, int name, int model,
                         const lcoll *like, bool timed) {
  lode_kind kind = lhandle_of_kind(like, LKIND_DICT) ? LODE_DICT : LODE_SET;
  lcoll *c = push_coll(L, store, name, kind);
  lode_coll_options options = *lode_coll_kept(like->coll);
  int self = lua_gettop(L);
  int last = timed ? COLL_EVICT : COLL_KEY_DECODE;
  if (!timed) forget_time(&options);
  for (int slot = COLL_HASH; slot <= last; slot++) {
    lhandle_slot(L, model, slot);
    lhandle_set_slot(L, self, slot);
  }
  c->cache = like->cache;
  if (timed && !lhooks_is_policy(L, self, options.policy)) {
    lua_pushnil(L); /* another process has given the model another one */
    lhandle_set_slot(L, self, COLL_EXPIRE);
  }
  open_coll(L, self, kind, lstore_check_name(L, name), &options);
  return c;
}

/* [-1, +0, -] */
int lstore_coll__gc (lua_State *L) {
  lcoll *c = lhandle_test_coll(L, 1);
  if (c != NULL) {
    lode_coll *coll = c->coll;
    c->coll = NULL;
    lode_coll_close(coll);
  }
  return 0;
}

/*
** [-0, +2, v] Pushes the name after the one at `after` and its kind; one
** nil at the end. `self` is the store's slot.
*/
static int push_next_coll (lua_State *L, int self, int after) {
  lstore *s = lua_touserdata(L, self);
  lode_slice last = lstore_check_name(L, after);
  char name[LODE_NAME_MAX];
  size_t size;
  lode_kind kind;
  lode_status status;
  if (s->store == NULL) lhandle_closed(L, self);
  s->value.size = 0; /* the scratch, which a finalizer may use as well */
  status = lode_coll_next(s->store, last, &s->value, &kind);
  if (status == LODE_ABSENT) {
    lua_pushnil(L);
    return 1;
  }
  if (status != LODE_OK) lhandle_fail(L, self, 0, status, NULL);
  size = s->value.size < sizeof(name) ? s->value.size : sizeof(name);
  memcpy(name, s->value.data, size);
  lua_pushlstring(L, name, size);
  lua_pushstring(L, kind == LODE_DICT ? "dict" :
                    kind == LODE_SET ? "set" : "raw");
  return 2;
}

/* [-n, +(1..2), v] */
static int next_coll (lua_State *L) {
  enum { UP_STORE = 1, UP_LAST };
  int n;
  lua_settop(L, 0);
  n = push_next_coll(L, lua_upvalueindex(UP_STORE),
                     lua_upvalueindex(UP_LAST));
  if (n == 2) {
    lua_pushvalue(L, 1);
    lua_replace(L, lua_upvalueindex(UP_LAST));
  }
  return n;
}

/* [-1, +1, v] store:collections() -> iterator of name, kind */
static int store_collections (lua_State *L) {
  lhandle_store(L, 1);
  lua_settop(L, 1);
  lua_pushliteral(L, "");
  lua_pushcclosure(L, next_coll, 2);
  return 1;
}

bool lstore_has (lua_State *L, int store, int name) {
  int top = lua_gettop(L);
  bool found = false;
  luaL_checkstack(L, 16, NULL);
  lua_pushliteral(L, "");
  while (!found && push_next_coll(L, store, top + 1) == 2) {
    found = lua_rawequal(L, name, top + 2);
    lua_pop(L, 1);
    lua_replace(L, top + 1);
  }
  lua_settop(L, top);
  return found;
}

/* [-0, +1, v] Pushes true, or false for ABSENT. */
static int push_done (lua_State *L, lode_status status) {
  if (status != LODE_OK && status != LODE_ABSENT)
    lhandle_fail(L, 1, 0, status, NULL);
  lua_pushboolean(L, status == LODE_OK);
  return 1;
}

/* [-2, +1, v] store:drop(name) -> whether there was one */
static int store_drop (lua_State *L) {
  lstore *s = lhandle_store(L, 1);
  return push_done(L, lode_drop(s->store, lstore_check_name(L, 2)));
}

/* [-3, +1, v] store:rename(old, new) -> whether there was one */
static int store_rename (lua_State *L) {
  lstore *s = lhandle_store(L, 1);
  lode_slice from = lstore_check_name(L, 2);
  return push_done(L, lode_rename(s->store, from, lstore_check_name(L, 3)));
}

/* }================================================================== */

/* {==================================================================
** Transactions
** =================================================================== */

/* [-n, +results, e] */
static int call_within (lua_State *L, lguard_kind kind) {
  lstore *s = lhandle_store(L, 1);
  if (lua_type(L, 2) != LUA_TFUNCTION)
    lerror_argument(L, 2, "a function expected, got %s", lerror_got(L, 2));
  return lguard_call(L, 1, s, kind, 2);
}

/* [-n, +results, e] store:transaction(fn, ...) -> fn's results */
static int store_transaction (lua_State *L) {
  return call_within(L, LGUARD_TRANSACTION);
}

/* [-n, +results, e] store:snapshot(fn, ...) -> fn's results */
static int store_snapshot (lua_State *L) {
  return call_within(L, LGUARD_SNAPSHOT);
}

/* }================================================================== */

/* {==================================================================
** The whole store
** =================================================================== */

/* [-0, +0, v] The one option `name`, a boolean, of the table at `i`. */
static bool read_flag (lua_State *L, int i, const char *name,
                       bool otherwise) {
  const char *const names[] = { name, NULL };
  bool flag = otherwise;
  if (lua_isnil(L, i)) return flag;
  if (!lua_istable(L, i))
    lerror_argument(L, i, "a table of options expected, got %s",
                    lerror_got(L, i));
  for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING ||
        strcmp(lua_tostring(L, -2), name) != 0) {
      lerror_argument(L, i, "unknown option %s",
                      lerror_unknown(L, -2, names, sizeof(*names)));
    }
    if (!lua_isboolean(L, -1))
      lerror_argument(L, i, "option '%s': a boolean expected, got %s", name,
                      lerror_got(L, -1));
    flag = lua_toboolean(L, -1) != 0;
  }
  return flag;
}

/* [-2, +0, v] store:flush([{ wait = false }]) */
static int store_flush (lua_State *L) {
  lstore *s = lhandle_store(L, 1);
  lode_status status;
  lua_settop(L, 2);
  status = read_flag(L, 2, "wait", true) ? lode_flush(s->store)
                                         : lode_flush_later(s->store);
  if (status != LODE_OK) return lhandle_fail(L, 1, 0, status, NULL);
  return 0;
}

/* [-0, +0, m] Sets `oldest_reader` of the table on the top, if any. */
static void push_oldest (lua_State *L, const lode_stats *stats) {
  if (stats->oldest_process == 0) return;
  lua_createtable(L, 0, 3);
  lhandle_set_number(L, "commits", stats->oldest_age);
  lhandle_set_number(L, "pid", (uint64_t)stats->oldest_process);
  if (stats->oldest_ms != 0) {
    lua_pushnumber(L, (lua_Number)stats->oldest_ms / 1000);
    lua_setfield(L, -2, "seconds");
  }
  lua_setfield(L, -2, "oldest_reader");
}

/* [-1, +1, v] store:stats() -> table */
static int store_stats (lua_State *L) {
  lstore *s = lhandle_store(L, 1);
  lode_stats stats;
  lode_status status = lode_store_stats(s->store, &stats);
  if (status != LODE_OK) return lhandle_fail(L, 1, 0, status, NULL);
  lua_createtable(L, 0, 20);
  push_oldest(L, &stats);
  lhandle_set_number(L, "file_size", stats.file_size);
  lhandle_set_number(L, "used_size", stats.used_size);
  lhandle_set_number(L, "free_size", stats.free_size);
  lhandle_set_number(L, "map_size", stats.map_size);
  if (stats.max_size != 0) lhandle_set_number(L, "max_size", stats.max_size);
  lhandle_set_number(L, "entries", stats.entries);
  lhandle_set_number(L, "collections", stats.collections);
  lhandle_set_number(L, "version", stats.version);
  lhandle_set_number(L, "readers", stats.readers);
  lhandle_set_number(L, "max_readers", stats.max_readers);
  lhandle_set_number(L, "handles", stats.handles);
  lhandle_set_number(L, "expired", stats.expired);
  lhandle_set_number(L, "waiting", stats.waiting);
  lhandle_set_number(L, "reads", stats.reads);
  lhandle_set_number(L, "found", stats.found);
  lhandle_set_number(L, "accesses", stats.accesses);
  lhandle_set_number(L, "swept", stats.swept);
  lhandle_set_number(L, "evicted", stats.evicted);
  if (stats.last_sweep != 0) {
    ltime_push(L, stats.last_sweep);
    lua_setfield(L, -2, "last_sweep");
  }
  lhandle_set_number(L, "pending", stats.pending);
  lhandle_set_number(L, "pending_bytes", stats.pending_bytes);
  if (stats.last_flush != 0) {
    ltime_push(L, stats.last_flush);
    lua_setfield(L, -2, "last_flush");
  }
  if (stats.failed != LODE_OK) {
    lua_pushstring(L, lode_status_name(stats.failed));
    lua_setfield(L, -2, "failed");
  }
  return 1;
}

/* [-1, +1, v] store:path() -> string */
static int store_path (lua_State *L) {
  lhandle_store(L, 1);
  lhandle_slot(L, 1, STORE_PATH);
  return 1;
}

/* [-1, +1, v] store:evicted() -> integer */
static int store_evicted (lua_State *L) {
  lstore *s = lhandle_store(L, 1);
  lua_pushinteger(L, (lua_Integer)lode_evicted(s->store));
  return 1;
}

/* [-1, +1, v] store:version() -> integer */
static int store_version (lua_State *L) {
  lstore *s = lhandle_store(L, 1);
  uint64_t version;
  lode_status status = lode_version(s->store, &version);
  if (status != LODE_OK) return lhandle_fail(L, 1, 0, status, NULL);
  lua_pushinteger(L, (lua_Integer)version);
  return 1;
}

/* }================================================================== */

const luaL_Reg lstore_methods[] = {
  { "dict", store_dict },
  { "set", store_set },
  { "collections", store_collections },
  { "options", lkept_options },
  { "drop", store_drop },
  { "rename", store_rename },
  { "transaction", store_transaction },
  { "snapshot", store_snapshot },
  { "flush", store_flush },
  { "backup", lcheck_backup },
  { "check", lcheck_store },
  { "maintain", ltime_maintain },
  { "stats", store_stats },
  { "path", store_path },
  { "version", store_version },
  { "evicted", store_evicted },
  { "close", store_close },
  { NULL, NULL }
};

const luaL_Reg lstore_metamethods[] = {
  { "__gc", store__gc },
  { "__close", store_close },
  { "__tostring", store__tostring },
  { NULL, NULL }
};
