/*
** lua_value.c - values to MessagePack and back, against lvalue.h: what a
** spec in Lua can't see. The stack and the buffer after a failure, reads
** past the end of the bytes (each test value lies in a block of its own
** size, for a sanitizer), and memory that runs out at the n-th request.
**
** Unlike its neighbours it needs a Lua, and the binding.
*/
#include "test.h"

#include <lualib.h>

#include "lua/lvalue.h"

int luaopen_lode_core (lua_State *L);

/* {==================================================================
** A Lua whose n-th request for memory fails
** =================================================================== */

static struct { lua_Alloc f; void *ud; long left; } memory;

static void *counting (void *ud, void *block, size_t old, size_t size) {
  (void)ud;
  if (size > old && memory.left > 0 && --memory.left == 0) {
    memory.left = 1; /* and all after it, as the collector tries again */
    return NULL;
  }
  return memory.f(memory.ud, block, old, size);
}

static lua_State *open_lua (void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) exit(2);
  luaL_openlibs(L);
  lua_pushcfunction(L, luaopen_lode_core);
  if (lua_pcall(L, 0, 0, 0) != 0) exit(2);
  memory.left = 0;
  memory.f = lua_getallocf(L, &memory.ud);
  lua_setallocf(L, counting, NULL);
  return L;
}

static void close_lua (lua_State *L) {
  memory.left = 0;
  lua_close(L);
}

/* }================================================================== */

/* Pushes what a Lua expression gives. */
static void push (lua_State *L, const char *expression) {
  lua_pushfstring(L, "return %s", expression);
  if (luaL_loadstring(L, lua_tostring(L, -1)) != 0) exit(2);
  lua_remove(L, -2);
  lua_call(L, 0, 1);
}

static const char *const good[] = {
  "true", "-5", "1.5", "'text'", "'\\255'", "{}", "{1, 2, {3}}",
  "{a = {b = {c = 1}}, [true] = 'x'}", "('x'):rep(70000)",
  "{('x'):rep(40), {{{{{{{{{{{{'deep'}}}}}}}}}}}}}",
  "(function (t) for i = 1, 99 do t[i], t[-i] = i, {i} end return t end){}"
};
static const char *const bad[] = {
  "nil", "print", "{1, 2, print}", "{a = {b = {io.stdout}}}",
  "{[{}] = 1}", "{'x', {y = {[print] = 1}}}",
  "(function () local t = {} t[1] = {t} return t end)()",
  "(function () local t = {} for i = 1, 500 do t = {t} end return t end)()"
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Encodes to the end of "head": the bytes after that. */
static lode_status encode (lua_State *L, int i, lode_buffer *b,
                           lode_error *e) {
  lode_status st;
  int top = lua_gettop(L);
  b->size = 0;
  expect(lode_buffer_add(b, "head", 4) == LODE_OK);
  st = lvalue_encode(L, i, b, e);
  expect(lua_gettop(L) == top);
  expect(memcmp(b->data, "head", 4) == 0);
  expect(st == LODE_OK ? b->size > 4 : b->size == 4);
  expect(st == LODE_OK || e->status == st);
  return st;
}

/* Decodes a copy of `s` that ends where its block ends. */
static lode_status decode (lua_State *L, lode_slice s, lode_error *e) {
  lode_slice copy = test_exact_copy(s);
  int top = lua_gettop(L);
  lode_status st = lvalue_decode(L, copy, e);
  expect(lua_gettop(L) == top + (st == LODE_OK));
  expect(st == LODE_OK || (e->status == st && st == LODE_CORRUPT));
  test_free_copy(copy);
  return st;
}

static void round_trips (void) {
  lua_State *L = open_lua();
  lode_buffer b = { NULL, 0, 0 }, again = { NULL, 0, 0 };
  lode_error e;
  for (size_t i = 0; i < COUNT(good); i++) {
    push(L, good[i]);
    expect(encode(L, -1, &b, &e) == LODE_OK);
    expect(decode(L, slice_of(b.data + 4, b.size - 4), &e) == LODE_OK);
    expect(encode(L, lua_gettop(L), &again, &e) == LODE_OK);
    expect(b.size == again.size); /* the order of a map may differ */
    lua_settop(L, 0);
  }
  lode_buffer_free(&b);
  lode_buffer_free(&again);
  close_lua(L);
}

static void refusals (void) {
  lua_State *L = open_lua();
  lode_buffer b = { NULL, 0, 0 };
  lode_error e;
  for (size_t i = 0; i < COUNT(bad); i++) {
    push(L, bad[i]);
    expect(encode(L, -1, &b, &e) == LODE_BAD_VALUE);
    expect(strncmp(e.text, "value", 5) == 0);
    lua_settop(L, 0);
  }
  lode_buffer_free(&b);
  close_lua(L);
}

/* Every cut of good bytes, and 40 changes of each of them. */
static void hostile_bytes (void) {
  lua_State *L = open_lua();
  lode_buffer b = { NULL, 0, 0 };
  lode_error e;
  for (size_t i = 0; i < COUNT(good); i++) {
    push(L, good[i]);
    expect(encode(L, -1, &b, &e) == LODE_OK);
    for (size_t n = 0; n + 4 < b.size; n += n > 2000 ? 977 : 1) {
      expect(decode(L, slice_of(b.data + 4, n), &e) == LODE_CORRUPT);
    }
    for (int n = 0; n < 40; n++) {
      unsigned char *p = b.data + 4 + test_below(b.size - 4), old = *p;
      *p = (unsigned char)test_random();
      decode(L, slice_of(b.data + 4, b.size - 4), &e);
      *p = old;
      lua_settop(L, 1);
    }
    lua_settop(L, 0);
  }
  for (int n = 0; n < 20000; n++) {
    unsigned char bytes[64];
    size_t size = test_below(sizeof(bytes));
    for (size_t i = 0; i < size; i++)
      bytes[i] = (unsigned char)test_random();
    decode(L, slice_of(bytes, size), &e);
    lua_settop(L, 0);
  }
  lode_buffer_free(&b);
  close_lua(L);
}

/* The n-th request for the buffer's memory fails, for every n. */
static void buffer_fails (void) {
  lua_State *L = open_lua();
  lode_error e;
  for (size_t i = 0; i < COUNT(good); i++) {
    lode_status st = LODE_NO_MEMORY;
    push(L, good[i]);
    for (unsigned long n = 1; st != LODE_OK; n++) {
      lode_buffer b = { NULL, 0, 0 };
      lode_test_fail_allocation(n + 1); /* the first is for "head" */
      st = encode(L, -1, &b, &e);
      lode_test_fail_allocation(0);
      expect(st == LODE_OK || st == LODE_NO_MEMORY);
      lode_buffer_free(&b);
      expect(lode_test_live_blocks() == 0);
    }
    lua_settop(L, 0);
  }
  close_lua(L);
}

/*
** Calls pack, then unpack with what it gave; the n-th request of Lua's
** fails in one of them. Whether both went well.
*/
static bool pack_and_unpack (lua_State *L, long n) {
  int status;
  lua_pushcfunction(L, lvalue_unpack);
  lua_pushcfunction(L, lvalue_pack);
  lua_pushvalue(L, 1);
  memory.left = n;
  status = lua_pcall(L, 1, 1, 0);
  if (status == LUA_OK) status = lua_pcall(L, 1, 1, 0);
  memory.left = 0;
  expect(status == LUA_OK || status == LUA_ERRMEM);
  lua_settop(L, 1);
  return status == LUA_OK;
}

static void lua_fails (void) {
  for (size_t i = 0; i < COUNT(good); i++) {
    for (long n = 1, done = 0; !done && n < 2000; n++) {
      lua_State *L = open_lua();
      push(L, good[i]);
      lua_gc(L, LUA_GCCOLLECT, 0);
      done = pack_and_unpack(L, n);
      lua_gc(L, LUA_GCCOLLECT, 0);
      lua_gc(L, LUA_GCCOLLECT, 0);
      expect(lode_test_live_blocks() == 0);
      expect(pack_and_unpack(L, 0));
      close_lua(L);
    }
  }
}

int main (void) {
  test_group("values go in and come back", round_trips);
  test_group("refused values leave all as it was", refusals);
  test_group("hostile bytes are read within bounds", hostile_bytes);
  test_group("the buffer's memory fails", buffer_fails);
  test_group("Lua's memory fails", lua_fails);
  return test_end();
}
