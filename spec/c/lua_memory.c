/*
** lua_memory.c - every public function, while Lua's own memory fails at the
** n-th request, for every n: an error, never a lock or a transaction left
** behind, nothing half done, no leak.
**
** What Lua's allocator refuses may jump out of any call of the binding, at
** places that a fault in lode's own memory (alloc_spec.lua) doesn't reach.
*/
#include "scratch.h"

#include <lualib.h>

#include "lua/compat.h"

int luaopen_lode_core (lua_State *L);

/* {==================================================================
** A Lua whose n-th request for memory fails, with those the collector's
** second try makes
** =================================================================== */

static struct { lua_Alloc f; void *ud; long left; long window; } memory;

static void *failing (void *ud, void *block, size_t old, size_t size) {
  (void)ud;
  if (block == NULL)
    old = 0; /* then it tells what kind of object is wanted */
  if (size > old && memory.left > 0 && --memory.left < memory.window) {
    if (memory.left == 0) /* the last of them */
      memory.window = 0;
    return NULL;
  }
  return memory.f(memory.ud, block, old, size);
}

/* Lets the n-th request and the one after it fail. */
static void fail_at (long n) {
  memory.left = n + 1;
  memory.window = 2;
}

/* Whether they have come; and no more fail. */
static bool failed (void) {
  bool all = memory.left < 2;
  memory.left = memory.window = 0;
  return all;
}

static lua_State *open_lua (void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) exit(2);
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_pushliteral(L, "lua/?.lua;lua/?/init.lua");
  lua_setfield(L, -2, "path");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_lode_core);
  lua_setfield(L, -2, "lode.core");
  lua_pop(L, 2);
  memory.f = lua_getallocf(L, &memory.ud);
  memory.left = memory.window = 0;
  lua_setallocf(L, failing, NULL);
  return L;
}

/* }================================================================== */

/* What is there before, and what the calls are made with. */
static const char before[] =
  "path = ...\n"
  "lode = require 'lode'\n"
  "dict, set = lode.dict, lode.set\n"
  "store = lode.open(path, { durability = 'os' })\n"
  "d = store:dict 'd'\n"
  "s, t = store:set 's', store:set 't'\n"
  "long = ('k'):rep(1000)\n"
  "store:transaction(function ()\n"
  "  for i = 1, 40 do d[i] = { n = i, text = ('x'):rep(i) } end\n"
  "  d.a, d.n, d[long], d[{ 1, 'x' }] = 'a', 1, 'long', { 1, 2 }\n"
  "  for i = 1, 40 do s[i] = true; t[i * 2] = true end\n"
  "  s[long] = true\n"
  "end)\n"
  "function sum (dd)\n"
  "  local n = 0\n"
  "  for _ in dict.pairs(dd) do n = n + 1 end\n"
  "  assert(n == #dd)\n"
  "  return n\n"
  "end\n";

/* Each call, and what must hold of it: before it, or after all of it. */
static const struct { const char *call, *holds; } cases[] = {
  { "return d.a, d[3], d[long], d[{1, 'x'}]", NULL },
  { "d.new = { 1, 2, { x = 'y' } }", "d.new == nil or d.new[3].x == 'y'" },
  { "d[long .. 'er'] = ('v'):rep(3000)",
    "d[long .. 'er'] == nil or #d[long .. 'er'] == 3000" },
  { "d.a = nil", "d.a == nil or d.a == 'a'" },
  { "return dict.get(d, 'none', {})", NULL },
  { "dict.add(d, 'added', 1)", "d.added == nil or d.added == 1" },
  { "dict.replace(d, 'a', 'b')", "d.a == 'a' or d.a == 'b'" },
  { "return dict.pop(d, 5)", "d[5] == nil or d[5].n == 5" },
  { "return dict.popitem(d, 'last')", "#d == 44 or #d == 43" },
  { "return dict.setdefault(d, 'sd', { 1 })",
    "d.sd == nil or d.sd[1] == 1" },
  { "return dict.update(d, 1, function (v) v.n = 'new' return v end)",
    "d[1].n == 1 or d[1].n == 'new'" },
  { "return dict.incr(d, 'n', 5)", "d.n == 1 or d.n == 6" },
  { "return dict.cas(d, 2, { n = 2, text = 'xx' }, { n = 0 })",
    "d[2].n == 2 or d[2].n == 0" },
  { "return dict.put_many(d, { p = 1, q = { 2 }, r = 'three' })",
    "(d.p == nil and d.q == nil and d.r == nil) or "
    "(d.p == 1 and d.q[1] == 2 and d.r == 'three')" },
  { "local i = 100 return dict.put_many(d, function ()\n"
    "  i = i + 1 if i < 130 then return i, 'v' .. i end end)",
    "#d == 44 or #d == 73" },
  { "return dict.get_many(d, { 1, 'a', 'none', long })", NULL },
  { "return dict.delete_many(d, { 1, 2, long })", "#d == 44 or #d == 41" },
  { "return dict.delete_range(d, { from = 1, before = 20 })",
    "#d == 44 or #d == 25" },
  { "return dict.clear(d)", "#d == 44 or #d == 0" },
  { "return #d, dict.count(d, { prefix = 'a' })", NULL },
  { "local n = 0 for k, v in dict.pairs(d) do n = n + 1 end return n",
    NULL },
  { "for k in dict.keys(d, { reverse = true, snapshot = true }) do\n"
    "  if k == 30 then break end end", NULL },
  { "return dict.page(d, { limit = 7, after = 3 })", NULL },
  { "return dict.first(d), dict.last(d), dict.next(d, 7), "
    "dict.prev(d, long)", NULL },
  { "return dict.totable(d)", NULL },
  { "return dict.copy(d, 'copied')", NULL },
  { "return dict.name(d), dict.stats(d), tostring(d)", NULL },
  { "return s[1], s[long], #s, set.pop(s)", "#s == 41 or #s == 40" },
  { "return set.add_many(s, { 100, 101, 102 })", "#s == 41 or #s == 44" },
  { "return set.remove_many(s, { 1, 2, long })", "#s == 41 or #s == 38" },
  { "local n = 0 for x in set.each((s + t) * s - t) do n = n + 1 end\n"
    "return n, #(s ^ t), s <= t, s == t, (s * t)[4]", NULL },
  { "return set.save(s * t, store, 's')", "#s == 41 or #s == 20" },
  { "return set.save(s + t, store, 'u')", NULL },
  { "return set.update(t, s - t)", "#t == 40 or #t == 61" },
  { "return store:transaction(function (x)\n"
    "  d.a = 'b'\n"
    "  pcall(store.transaction, store, function () d.b = 1 error {} end)\n"
    "  d.c = { x }\n"
    "  return d.a end, 'x')",
    "(d.a == 'a' and d.c == nil) or (d.a == 'b' and d.c[1] == 'x')" },
  { "return store:snapshot(function () return d.a, #d end)", NULL },
  { "return store:dict('made', { value = 'table' })", NULL },
  { "local x = store:dict('coded', { serializer = {name = 'up',\n"
    "  encode = string.upper, decode = string.lower } })\n"
    "x.a = 'text' return x.a", NULL },
  { "for name, kind in store:collections() do assert(name ~= kind) end",
    NULL },
  { "return store:drop 't'", NULL },
  { "return store:rename('t', 'tt')", NULL },
  { "return store:stats(), store:version(), store:path()", NULL },
  { "store:flush() collectgarbage()", NULL },
  { "local other = lode.open(path) local n = #other:dict 'd'\n"
    "other:close() return n", NULL },
  { "error(select(2, pcall(function () d[print] = 1 end)).message)", NULL },
  { "store:close()", NULL },
};

static bool run (lua_State *L, const char *code, const char *path) {
  bool ok = luaL_loadstring(L, code) == 0;
  if (ok) {
    lua_pushstring(L, path);
    ok = lua_pcall(L, 1, 1, 0) == 0;
  }
  return ok;
}

/* Whether somebody else of this thread finds the store whole and free. */
static bool others_can_write (const char *name) {
  lode_store *other = scratch_open(name, NULL);
  lode_coll *c = scratch_coll(other, "other", LODE_DICT);
  bool ok = c != NULL && put_integer(c, 1, test_text("x")) == LODE_OK;
  if (!ok)
    printf("%s\n", lode_store_error(other)->text);
  lode_coll_close(c);
  scratch_close(other);
  return ok;
}

/* One case with the n-th request failing; false when it needs fewer. */
static bool one (size_t i, long n) {
  static char name[64], text[1024];
  const char *path;
  lua_State *L = open_lua();
  bool fired, ok;
  snprintf(name, sizeof name, "m%d-%ld", (int)i, n);
  path = scratch_path(name);
  if (!run(L, before, path)) {
    printf("%s\n", lua_tostring(L, -1));
    exit(2);
  }
  lua_settop(L, 0);
  if (luaL_loadstring(L, cases[i].call) != 0) exit(2);
  lua_gc(L, LUA_GCCOLLECT, 0);
  fail_at(n);
  ok = lua_pcall(L, 0, 0, 0) == 0;
  fired = failed();
  if (!fired && !ok && strncmp(cases[i].call, "error", 5) != 0)
    printf("%s: %s\n", cases[i].call, luaL_tolstring(L, -1, NULL));
  expect(fired || ok || strncmp(cases[i].call, "error", 5) == 0);
  lua_settop(L, 0);
  if (cases[i].holds != NULL) {
    snprintf(text, sizeof text, "assert(sum(d) >= 0) assert(%s)",
             cases[i].holds);
    if (!expect(run(L, text, path)))
      printf("at %ld of %s: %s\n", n, cases[i].call,
             luaL_tolstring(L, -1, NULL));
    lua_settop(L, 0);
  }
  expect(others_can_write(name));
  lua_close(L);
  expect(lode_test_live_handles() == 0);
  snprintf(text, sizeof text, "rm -rf '%s'", path);
  if (system(text) != 0) exit(2);
  return fired;
}

static void every_request (void) {
  long all = 0;
  for (size_t i = 0; i < LENGTH(cases); i++) {
    long n = 1;
    while (n < 5000 && one(i, n))
      n++;
    expect(n < 5000);
    all += n;
  }
  printf("%ld requests failed in %d calls\n", all, (int)LENGTH(cases));
}

int main (void) {
  scratch_begin();
  test_group("Lua's memory fails at each request", every_request);
  scratch_end();
  return test_end();
}
