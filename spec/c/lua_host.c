/*
** lua_host.c - what lode_lua.h says: the module without files, and handles
** of the host's in the hands of scripts, whoever ends first.
*/
#include "scratch.h"

#include <lualib.h>

#include "lode_lua.h"
#include "lua/compat.h"

/* A state whose require finds no file. */
static lua_State *new_state (void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) exit(2);
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "path");
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "cpath");
  lua_pop(L, 1);
  return L;
}

/* Whether the chunk, called with what is on the stack, gives true. */
static bool holds (lua_State *L, const char *chunk) {
  int n = lua_gettop(L);
  bool all = luaL_loadstring(L, chunk) == LUA_OK;
  if (all) {
    for (int i = 1; i <= n; i++) lua_pushvalue(L, i);
    all = lua_pcall(L, n, 1, 0) == LUA_OK;
  }
  if (!all)
    printf("%s\n", luaL_tolstring(L, -1, NULL));
  all = all && lua_toboolean(L, -1);
  lua_settop(L, n);
  return all;
}

static lode_status put_text (lode_coll *c, const char *key,
                             const char *value) {
  lode_buffer bytes = { NULL, 0, 0 };
  lode_value v = { test_text(value), LODE_BYTES };
  lode_key k;
  lode_status st = lode_key_of_string(c, test_text(key), &bytes, &k);
  if (st == LODE_OK)
    st = lode_put(c, &k, v, LODE_PUT, LODE_TTL_OWN);
  lode_buffer_free(&bytes);
  return st;
}

static bool has_text (lode_coll *c, const char *key, const char *value) {
  lode_buffer bytes = { NULL, 0, 0 };
  lode_value v;
  lode_key k;
  bool same = lode_key_of_string(c, test_text(key), &bytes, &k) == LODE_OK &&
              lode_get(c, &k, &v) == LODE_OK;
  same = same && v.codec == LODE_BYTES && v.data.size == strlen(value) &&
         memcmp(v.data.data, value, v.data.size) == 0;
  lode_done(c);
  lode_buffer_free(&bytes);
  return same;
}

/* {==================================================================
** The module
** =================================================================== */

static void needs_no_file (void) {
  lua_State *L = new_state();
  lua_pushcfunction(L, luaopen_lode);
  lua_call(L, 0, 1);
  lua_pushstring(L, scratch_path("files"));
  expect(holds(L,
    "local lode, path = ...\n"
    "assert(require 'lode' == lode and not pcall(require, 'lode.none'))\n"
    "local store = lode.open(path)\n"
    "local d = store:dict('d', { serializer = 'msgpack',\n"
    "  expire = lode.policy.ttl(60), cache = 10 })\n"
    "d.a = { 1, 'two' }\n"
    "local two = d.a[2]\n"
    "store:close()\n"
    "return two == 'two' and require 'lode.serializer'.named 'msgpack'"));
  lua_settop(L, 1);
  lua_pushcfunction(L, luaopen_lode);
  lua_call(L, 0, 1);
  expect(lua_rawequal(L, 1, 2));
  lua_close(L);
  expect(lode_test_live_handles() == 0);
}

static void is_found_by_require (void) {
  lua_State *L = new_state();
  lua_getglobal(L, "package");
  lua_getfield(L, 1, "preload");
  lua_pushcfunction(L, luaopen_lode);
  lua_setfield(L, 2, "lode");
  expect(holds(L, "local lode = require 'lode'\n"
                  "return lode.open and require 'lode' == lode"));
  lua_close(L);
}

static void asks_for_the_package_library (void) {
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, luaopen_lode);
  expect(lua_pcall(L, 0, 1, 0) == LUA_ERRRUN);
  expect(strstr(lua_tostring(L, -1), "'package'") != NULL);
  lua_close(L);
}

/* }================================================================== */

/* {==================================================================
** Handing over
** =================================================================== */

static void share_dicts_and_sets (void) {
  lode_store *s = scratch_open("shared", NULL);
  lode_coll *d = scratch_coll(s, "d", LODE_DICT);
  lode_coll *members = scratch_coll(s, "s", LODE_SET);
  lua_State *L = luaL_newstate(); /* no library is open */
  expect(put_text(d, "from", "host") == LODE_OK);
  lode_pushdict(L, s, "d");
  lode_pushset(L, s, "s");
  expect(lua_gettop(L) == 2);
  expect(holds(L, "local d, s = ...\n"
                  "d.to, s.one, s[2] = 'host', true, true\n"
                  "return d.from == 'host' and #d == 2 and #s == 2"));
  expect(has_text(d, "to", "host") && len_of(members) == 2);
  lua_close(L);
  expect(has_text(d, "to", "host"));
  lode_coll_close(d);
  lode_coll_close(members);
  scratch_close(s);
}

static void are_one_store_in_a_state (void) {
  lode_store *s = scratch_open("one", NULL);
  lua_State *L = new_state();
  lode_pushstore(L, s);
  lode_pushdict(L, s, "d");
  lode_pushstore(L, s);
  expect(lua_rawequal(L, 1, 3));
  expect(holds(L, "local s, d = ...\n"
                  "s:transaction(function () d.a = 1; s:dict('d').b = 2 end)\n"
                  "return d.a + d.b == 3 and s:path() ~= ''"));
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT, 0);
  lua_gc(L, LUA_GCCOLLECT, 0);
  lode_pushstore(L, s);
  expect(holds(L, "return (...):dict('d').b == 2"));
  lua_close(L);
  scratch_close(s);
}

static void join_the_hosts_transaction (void) {
  lode_store *s = scratch_open("turns", NULL);
  lua_State *L = new_state();
  lode_pushdict(L, s, "d");
  lode_pushstore(L, s);
  expect(lode_begin(s) == LODE_OK);
  expect(holds(L, "local d, s = ...\n"
                  "d.a = 1\n"
                  "s:transaction(function () d.b = 2 end)\n"
                  "pcall(s.transaction, s, function () d.c = 3; error() end)\n"
                  "return #d == 2"));
  lode_abort(s);
  expect(holds(L, "return #(...) == 0"));
  expect(lode_begin(s) == LODE_OK);
  expect(holds(L, "local d = ...; d.a = 1; return true"));
  expect(lode_commit(s) == LODE_OK);
  expect(holds(L, "return #(...) == 1"));
  lua_close(L);
  expect(lode_depth(s) == 0);
  scratch_close(s);
}

static const char all_are_closed[] =
  "local s, d, m, each = ...\n"
  "local function code (fn, ...)\n"
  "  local ok, e = pcall(fn, ...)\n"
  "  return not ok and e.code\n"
  "end\n"
  "return code(s.dict, s, 'd') == 'CLOSED' and\n"
  "  code(function () return d.a end) == 'CLOSED' and\n"
  "  code(function () m.a = true end) == 'CLOSED' and\n"
  "  code(each) == 'CLOSED' and tostring(d):find 'closed' and\n"
  "  s:close() == nil";

static void are_closed_when_the_host_closes (void) {
  lode_store *s = scratch_open("first", NULL);
  lua_State *L = new_state(), *other = new_state();
  lode_pushstore(L, s);
  lode_pushdict(L, s, "d");
  lode_pushset(L, s, "m");
  lua_pushcfunction(L, luaopen_lode);
  lua_call(L, 0, 1);
  lua_getfield(L, 4, "dict");
  lua_getfield(L, 5, "keys");
  lua_pushvalue(L, 2);
  lua_call(L, 1, 1);
  lua_replace(L, 4);
  lua_settop(L, 4);
  lode_pushdict(other, s, "d");
  scratch_close(s);
  expect(holds(L, all_are_closed));
  expect(holds(other, "local d = ...\n"
                       "return not pcall(function () return #d end)"));
  s = scratch_open("first", NULL); /* the allocator may give the same place */
  lode_pushdict(L, s, "d");
  expect(holds(L, "local d = select(5, ...); d.x = 1; return d.x == 1"));
  lua_settop(L, 4);
  expect(holds(L, all_are_closed));
  lua_close(L);
  lua_close(other);
  scratch_close(s);
  expect(lode_test_live_handles() == 0);
}

static void stay_open_when_a_script_closes (void) {
  lode_store *s = scratch_open("second", NULL);
  lode_coll *d = scratch_coll(s, "d", LODE_DICT);
  lua_State *L = new_state();
  lode_pushstore(L, s);
  lode_pushdict(L, s, "d");
  expect(holds(L, "local s, d = ...\n"
                  "s:close()\n"
                  "return not pcall(function () return d.a end) and\n"
                  "  tostring(s):find 'closed'"));
  expect(put_text(d, "a", "b") == LODE_OK);
  lua_settop(L, 0);
  lode_pushdict(L, s, "d");
  expect(holds(L, "return (...).a == 'b'"));
  lua_close(L);
  lode_coll_close(d);
  scratch_close(s);
}

static uint64_t time_now;

static uint64_t read_time (void *data) {
  (void)data;
  return time_now;
}

static void have_policies_that_the_host_sweeps_by (void) {
  lode_options o;
  lode_budget all = { .entries = 0 };
  uint64_t removed = 0;
  bool more = true;
  lode_store *s;
  lua_State *L = new_state();
  lode_options_init(&o);
  o.clock = read_time;
  o.maintenance = LODE_OFF;
  time_now = 1000000;
  s = scratch_open("swept", &o);
  lode_pushstore(L, s);
  expect(holds(L, "died = {}\n"
                  "d = (...):dict('d', {\n"
                  "  expire = function (e) return e.ctime + 1 end,\n"
                  "  on_expire = function (k) died[#died + 1] = k end })\n"
                  "d.a, d.b = 1, 2\n"
                  "return true"));
  time_now += 5000;
  expect(lode_maintain(s, &all, &removed, &more) == LODE_OK);
  expect(removed == 2 && !more);
  expect(holds(L, "return #died == 2 and died[1] == 'a'"));
  lua_close(L);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** Failing
** =================================================================== */

static int push_named (lua_State *L) {
  lode_pushdict(L, lua_touserdata(L, 1), lua_tostring(L, 2));
  return 1;
}

/* The code of what pushing a dict of this name raises. */
static bool refuses (lua_State *L, lode_store *s, const char *name,
                     const char *code) {
  bool same = false;
  lua_pushcfunction(L, push_named);
  lua_pushlightuserdata(L, s);
  lua_pushstring(L, name);
  if (lua_pcall(L, 2, 1, 0) == LUA_ERRRUN && lua_istable(L, -1)) {
    lua_getfield(L, -1, "code");
    same = strcmp(lua_tostring(L, -1), code) == 0;
  }
  lua_settop(L, 0);
  return same;
}

static void raise_what_is_wrong (void) {
  lode_store *s = scratch_open("wrong", NULL);
  lua_State *L = luaL_newstate();
  lode_coll_close(scratch_coll(s, "set", LODE_SET));
  expect(refuses(L, s, "", "BAD_ARGUMENT"));
  expect(refuses(L, s, "set", "INCOMPATIBLE"));
  lua_close(L);
  scratch_close(s);
}

static struct { lua_Alloc f; void *ud; long left; } memory;

static void *failing (void *ud, void *block, size_t old, size_t size) {
  (void)ud;
  if (size > (block == NULL ? 0 : old) && memory.left > 0 &&
      --memory.left < 2) /* and the second try, after a collection */
    return NULL;
  return memory.f(memory.ud, block, old, size);
}

static int push_all (lua_State *L) {
  lode_store *s = lua_touserdata(L, 1);
  luaopen_lode(L);
  lode_pushstore(L, s);
  lode_pushdict(L, s, "d");
  lode_pushset(L, s, "s");
  return 2;
}

static void leave_nothing_without_memory (void) {
  lode_store *s = scratch_open("memory", NULL);
  long n = 0, failures = 0;
  for (bool done = false; !done && n < 5000; n++) {
    lua_State *L = new_state();
    int rc;
    memory.f = lua_getallocf(L, &memory.ud);
    lua_pushcfunction(L, push_all);
    lua_pushlightuserdata(L, s);
    memory.left = n + 2;
    lua_setallocf(L, failing, NULL);
    rc = lua_pcall(L, 1, 2, 0);
    done = memory.left >= 2;
    memory.left = 0;
    failures += rc != LUA_OK;
    if (done)
      expect(rc == LUA_OK);
    lua_settop(L, 0);
    lode_pushdict(L, s, "d"); /* it works all the same */
    expect(holds(L, "local d = ...; d.a = 1; return d.a == 1"));
    lua_close(L);
    expect(lode_test_live_handles() == 1);
  }
  expect(failures > 100 && n < 5000);
  printf("%ld requests for memory refused while a host hands over\n", n);
  scratch_close(s);
}

/* }================================================================== */

int main (void) {
  scratch_begin();
  test_group("the module needs no file", needs_no_file);
  test_group("require finds it", is_found_by_require);
  test_group("it asks for the package library",
             asks_for_the_package_library);
  test_group("host and scripts share", share_dicts_and_sets);
  test_group("handles of one store", are_one_store_in_a_state);
  test_group("the host's transactions", join_the_hosts_transaction);
  test_group("the host closes first", are_closed_when_the_host_closes);
  test_group("a script closes first", stay_open_when_a_script_closes);
  test_group("the host sweeps", have_policies_that_the_host_sweeps_by);
  test_group("what is wrong is raised", raise_what_is_wrong);
  test_group("no memory", leave_nothing_without_memory);
  scratch_end();
  return test_end();
}
