/*
** lua_states.c - Lua states that end with everything open, again and again,
** also when their module is loaded for each and unloaded with it: nothing
** crashes, no thread, lock, descriptor or block of memory is left.
**
** The module that is loaded is lode/core.so beside this program, where it
** has been built; else that part is left out.
*/
#include "scratch.h"

#include <dirent.h>
#include <dlfcn.h>
#include <lualib.h>
#include <pthread.h>
#include <setjmp.h>

#include "lua/compat.h"

#define STATES 1000 /* in all, in the short form as well */

int luaopen_lode_core (lua_State *L);

static char module[512]; /* the module that can be loaded; or empty */

static lua_State *new_state (lua_CFunction open) {
  lua_State *L = luaL_newstate();
  if (L == NULL) exit(2);
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_pushliteral(L, "lua/?.lua;lua/?/init.lua");
  lua_setfield(L, -2, "path");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, "lode.core");
  lua_pop(L, 2);
  return L;
}

/* What is open when a state ends, by the number of it. */
static const char opens[] =
  "local path, n = ...\n"
  "local lode = require 'lode'\n"
  "local dict, set = lode.dict, lode.set\n"
  "store = lode.open(path, { durability = n % 5 == 1 and 'behind' or 'os',\n"
  "  maintenance = n % 3 == 0 and 'background' or nil })\n"
  "local d, s = store:dict 'd', store:set 's'\n"
  "d[n] = { n }; s[n] = true\n"
  "walk = dict.pairs(d); walk()\n"
  "pinned = dict.pairs(d, { snapshot = true }); pinned()\n"
  "members = set.each(s + s); members()\n"
  "copy = dict.keys(store:dict('capped', { max_entries = 3,\n"
  "  expire = function (e) return e.ctime + 60 end }))\n"
  "copy(); store:dict('capped')[n] = n\n"
  "second = lode.open(path, { durability = 'os' }):dict 'd'\n"
  "if n % 4 == 1 then\n"
  "  co = coroutine.create(function ()\n"
  "    store:transaction(function () d.x = n; error 'out' end)\n"
  "  end)\n"
  "  coroutine.resume(co)\n"
  "end\n"
  "if n % 4 == 2 then\n" /* it ends in the middle of these */
  "  store:snapshot(function () leave() end)\n"
  "elseif n % 8 == 3 then\n"
  "  store:transaction(function ()\n"
  "    d.lost = n\n"
  "    store:transaction(function () d.lost = n + 1; leave() end)\n"
  "  end)\n"
  "elseif n % 8 == 7 then\n"
  "  dict.update(d, 'lost', function () leave() end)\n"
  "end\n"
  "if n % 3 == 0 then store:close() end\n";

static _Thread_local jmp_buf home;

/* Ends the state in which it is called, as os.exit(0, true) does. */
static int leave (lua_State *L) {
  lua_close(L);
  longjmp(home, 1);
}

/* Runs a state to its end. */
static void run (lua_State *L, const char *path, int n) {
  int rc;
  lua_pushcfunction(L, leave);
  lua_setglobal(L, "leave");
  rc = luaL_loadstring(L, opens);
  lua_pushstring(L, path);
  lua_pushinteger(L, n);
  if (setjmp(home) != 0)
    return;
  if (rc == 0)
    rc = lua_pcall(L, 2, 0, 0);
  if (!expect(rc == 0))
    printf("%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
}

static int count (const char *directory) {
  DIR *d = opendir(directory);
  int n = 0;
  if (d == NULL)
    return -1;
  while (readdir(d) != NULL)
    n++;
  closedir(d);
  return n;
}

/* Whether others can write afterwards, and find nothing of what was lost. */
static void see_free (const char *name) {
  lode_buffer bytes = { NULL, 0, 0 };
  lode_key lost;
  lode_options o;
  lode_store *s;
  lode_coll *c;
  lode_options_init(&o);
  o.lock_timeout = 1000;
  o.durability = LODE_OS;
  s = scratch_open(name, &o);
  c = scratch_coll(s, "d", LODE_DICT);
  expect(put_integer(c, -1, test_text("free")) == LODE_OK);
  expect(lode_key_of_string(c, test_text("lost"), &bytes, &lost) == LODE_OK);
  expect(lode_has(c, &lost) == LODE_ABSENT);
  lode_buffer_free(&bytes);
  lode_coll_close(c);
  scratch_close(s);
}

static void states_end (void) {
  char path[160];
  int files, threads;
  snprintf(path, sizeof path, "%s", scratch_path("states"));
  see_free("states");
  files = count("/proc/self/fd");
  threads = count("/proc/self/task");
  for (int n = 1; n <= STATES / 2; n++) {
    lua_State *L = new_state(luaopen_lode_core);
    run(L, path, n);
    if (n % 50 == 0)
      see_free("states");
  }
  expect(lode_test_live_handles() == 0);
  expect(count("/proc/self/fd") == files);
  expect(count("/proc/self/task") == threads);
}

/* Loads the module, uses it, ends the state and unloads the module. */
static bool load_once (const char *path, int n) {
  void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
  lua_CFunction open;
  lua_State *L;
  if (library == NULL) {
    printf("%s\n", dlerror());
    return false;
  }
  *(void **)&open = dlsym(library, "luaopen_lode_core");
  if (open == NULL)
    return false;
  L = new_state(open);
  run(L, path, n);
  return dlclose(library) == 0;
}

static void loads_and_unloads (void) {
  char path[160];
  int files, threads;
  snprintf(path, sizeof path, "%s", scratch_path("loaded"));
  files = count("/proc/self/fd");
  threads = count("/proc/self/task");
  for (int n = 1; n <= STATES / 2; n++)
    if (!expect(load_once(path, n)))
      return;
  expect(count("/proc/self/fd") == files);
  expect(count("/proc/self/task") == threads);
  see_free("loaded");
}

static void *states_of_thread (void *data) {
  for (int n = 1; n <= STATES / 40; n++) {
    lua_State *L = new_state(luaopen_lode_core);
    run(L, data, n);
  }
  return NULL;
}

static void states_in_threads (void) {
  char path[160];
  pthread_t threads[4];
  snprintf(path, sizeof path, "%s", scratch_path("threads"));
  see_free("threads");
  for (size_t i = 0; i < LENGTH(threads); i++)
    pthread_create(&threads[i], NULL, states_of_thread, path);
  for (size_t i = 0; i < LENGTH(threads); i++)
    pthread_join(threads[i], NULL);
  expect(lode_test_live_handles() == 0);
  see_free("threads");
}

int main (int argc, char **argv) {
  const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
  int size = slash != NULL ? (int)(slash - argv[0]) : 1;
  snprintf(module, sizeof module, "%.*s/lode/core.so", size,
           slash != NULL ? argv[0] : ".");
  scratch_begin();
  test_group("states that end with everything open", states_end);
  test_group("states in threads", states_in_threads);
  if (access(module, R_OK) == 0)
    test_group("modules that are loaded and unloaded", loads_and_unloads);
  scratch_end();
  printf("%d states that end with everything open\n",
         STATES / 2 + STATES / 10);
  return test_end();
}
