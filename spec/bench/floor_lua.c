/*
** floor_lua.c - a Lua module for the benchmark (the Makefile builds every
** spec/bench/NAME_lua.c to build/bench/NAME_lua.so). It gives Lua the
** entries of entries.h, and the floors that lode is held against: what
** would be left of the cost if lode itself took no time.
**
** - floor.each: the entries of a walk pushed from plain memory.
** - floor.open: the cheapest binding of LMDB there can be, string to string:
**   no envelope, no checksum, no types, no check of its arguments.
*/
#define _POSIX_C_SOURCE 200809L
#include <lauxlib.h>
#include <lmdb.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "entries.h"

#define MAP_SIZE ((size_t)8 << 30)

/* {==================================================================
** Entries
** =================================================================== */

static int floor_clock (lua_State *L) { /* [-0, +1, -] */
  lua_pushnumber(L, entry_clock());
  return 1;
}

/* wall(): seconds by the clock on the wall, for what waits for a disk */
static int floor_wall (lua_State *L) { /* [-0, +1, -] */
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
  return 1;
}

/* key(family, i) */
static int floor_key (lua_State *L) { /* [-0, +1, v] */
  char key[KEY_SIZE];
  entry_key(key, (unsigned)luaL_checkinteger(L, 1),
            (uint64_t)luaL_checkinteger(L, 2));
  lua_pushlstring(L, key, KEY_SIZE);
  return 1;
}

/* ascending(i) */
static int floor_ascending (lua_State *L) { /* [-0, +1, v] */
  char key[KEY_SIZE];
  entry_ascending(key, (uint64_t)luaL_checkinteger(L, 1));
  lua_pushlstring(L, key, KEY_SIZE);
  return 1;
}

/* value(i) */
static int floor_value (lua_State *L) { /* [-0, +1, v] */
  char value[VALUE_SIZE];
  entry_value(value, (uint64_t)luaL_checkinteger(L, 1));
  lua_pushlstring(L, value, VALUE_SIZE);
  return 1;
}

/* visit(at, n) */
static int floor_visit (lua_State *L) { /* [-0, +1, v] */
  uint64_t at = (uint64_t)luaL_checkinteger(L, 1);
  uint64_t n = (uint64_t)luaL_checkinteger(L, 2);
  lua_pushinteger(L, (lua_Integer)entry_visit(at, n));
  return 1;
}

/* }================================================================== */

/* {==================================================================
** The floor of a walk
** =================================================================== */

typedef struct memory {
  size_t n, at;
  char *entries; /* n of them, key and value side by side; not Lua's memory,
                    whose size would change the collector's pace */
} memory;

#define ENTRY_SIZE (KEY_SIZE + VALUE_SIZE)

/* Gives the next key and value, nil at the end; then it begins again. */
static int memory_next (lua_State *L) { /* [-0, +2, m] */
  memory *m = lua_touserdata(L, 1);
  const char *entry = m->entries + m->at * ENTRY_SIZE;
  if (m->at == m->n) {
    m->at = 0;
    return 0;
  }
  m->at++;
  lua_pushlstring(L, entry, KEY_SIZE);
  lua_pushlstring(L, entry + KEY_SIZE, VALUE_SIZE);
  return 2;
}

static int compare_keys (const void *a, const void *b) {
  return memcmp(a, b, KEY_SIZE);
}

static int memory__gc (lua_State *L) { /* [-0, +0, -] */
  memory *m = lua_touserdata(L, 1);
  free(m->entries);
  m->entries = NULL;
  return 0;
}

static const luaL_Reg memory_methods[] = {
  {"__gc", memory__gc},
  {NULL, NULL}
};

/* each(n) -> iterator, state: n entries in the order of their keys */
static int floor_each (lua_State *L) { /* [-0, +2, v] */
  size_t n = (size_t)luaL_checkinteger(L, 1);
  lua_settop(L, 1);
  lua_pushcfunction(L, memory_next);
  memory *m = lua_newuserdatauv(L, sizeof *m, 0);
  memset(m, 0, sizeof *m);
  luaL_newlib(L, memory_methods);
  lua_setmetatable(L, -2);
  m->entries = malloc(n * ENTRY_SIZE);
  if (m->entries == NULL) return luaL_error(L, "floor: out of memory");
  m->n = n;
  for (size_t i = 0; i < n; i++) {
    entry_key(m->entries + i * ENTRY_SIZE, 0, i);
    entry_value(m->entries + i * ENTRY_SIZE + KEY_SIZE, i);
  }
  qsort(m->entries, n, ENTRY_SIZE, compare_keys);
  return 2;
}

/* }================================================================== */

/* {==================================================================
** The floor of a binding
** =================================================================== */

typedef struct binding {
  MDB_env *env;
  MDB_dbi db;
  MDB_txn *reader;
} binding;

static void check (lua_State *L, int rc) {
  if (rc != 0) luaL_error(L, "floor: %s", mdb_strerror(rc));
}

static int binding__index (lua_State *L) { /* [-0, +1, e] */
  binding *b = lua_touserdata(L, 1);
  MDB_val key, value;
  key.mv_data = (void *)lua_tolstring(L, 2, &key.mv_size);
  check(L, mdb_txn_renew(b->reader));
  if (mdb_get(b->reader, b->db, &key, &value) == 0)
    lua_pushlstring(L, value.mv_data, value.mv_size);
  else
    lua_pushnil(L);
  mdb_txn_reset(b->reader);
  return 1;
}

static int binding__newindex (lua_State *L) { /* [-0, +0, e] */
  binding *b = lua_touserdata(L, 1);
  MDB_val key, value;
  MDB_txn *txn;
  key.mv_data = (void *)lua_tolstring(L, 2, &key.mv_size);
  value.mv_data = (void *)lua_tolstring(L, 3, &value.mv_size);
  check(L, mdb_txn_begin(b->env, NULL, 0, &txn));
  check(L, mdb_put(txn, b->db, &key, &value, 0));
  check(L, mdb_txn_commit(txn));
  return 0;
}

static int binding__gc (lua_State *L) { /* [-0, +0, -] */
  binding *b = lua_touserdata(L, 1);
  if (b->reader != NULL) mdb_txn_abort(b->reader);
  if (b->env != NULL) mdb_env_close(b->env);
  return 0;
}

static const luaL_Reg binding_methods[] = {
  {"__index", binding__index},
  {"__newindex", binding__newindex},
  {"__gc", binding__gc},
  {NULL, NULL}
};

/* open(directory) -> what reads and writes the database that raw.c made */
static int floor_open (lua_State *L) { /* [-0, +1, v] */
  const char *path = luaL_checkstring(L, 1);
  binding *b = lua_newuserdatauv(L, sizeof *b, 0);
  MDB_txn *txn;
  memset(b, 0, sizeof *b);
  luaL_newlib(L, binding_methods);
  lua_setmetatable(L, -2);
  check(L, mdb_env_create(&b->env));
  check(L, mdb_env_set_mapsize(b->env, MAP_SIZE));
  check(L, mdb_env_set_maxdbs(b->env, 4));
  check(L, mdb_env_open(b->env, path, MDB_NOTLS | MDB_NOSYNC, 0600));
  check(L, mdb_txn_begin(b->env, NULL, 0, &txn));
  check(L, mdb_dbi_open(txn, "d", 0, &b->db));
  check(L, mdb_txn_commit(txn));
  check(L, mdb_txn_begin(b->env, NULL, MDB_RDONLY, &b->reader));
  mdb_txn_reset(b->reader);
  return 1;
}

/* }================================================================== */

static const luaL_Reg functions[] = {
  {"clock", floor_clock},
  {"wall", floor_wall},
  {"key", floor_key},
  {"ascending", floor_ascending},
  {"value", floor_value},
  {"visit", floor_visit},
  {"each", floor_each},
  {"open", floor_open},
  {NULL, NULL}
};

__attribute__((visibility("default")))
int luaopen_floor_lua (lua_State *L);

int luaopen_floor_lua (lua_State *L) { /* [-0, +1, m] */
  luaL_newlib(L, functions);
  return 1;
}
