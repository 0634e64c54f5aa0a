/*
** A game that keeps its world in a store. It has Lua inside, hands a mod one
** dict and nothing else, makes each frame a transaction, saves by a backup,
** and sweeps what has died for a millisecond a frame.
**
**   make example-host
**
** or by hand, with the two files of `make amalgamation`:
**
**   cc -std=c11 -I build/amalgamation examples/host/game.c \
**     build/amalgamation/lode.c -llua5.4 -llmdb -lm -pthread
*/
#define _POSIX_C_SOURCE 200809L

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lode.h"

#define FRAMES 60
#define FRAME_MS 16      /* of game time; no real frame waits */
#define EMBERS 60000     /* which have died before the first frame */
#define SPARK_MS 160     /* how long a spark lives */
#define STEPS 1000000    /* of the Lua machine that a mod has in a frame */

typedef struct game {
  lode_store *store;
  lua_State *L;          /* the mod's own, without any library */
  uint64_t now;          /* game time: it stops when the game does */
  uint64_t swept;
  uint64_t saved;        /* when it was saved */
  double frames[FRAMES], sweeps[FRAMES]; /* what each has taken, in ms, */
  double sweeps_cpu[FRAMES]; /* and how much of it the processor worked */
} game;

static double ms_of (clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double real_ms (void) { return ms_of(CLOCK_MONOTONIC); }

static double cpu_ms (void) { return ms_of(CLOCK_THREAD_CPUTIME_ID); }

static void check (game *g, lode_status status) {
  if (status < LODE_BAD_ARGUMENT) return; /* no failure */
  fprintf(stderr, "%s\n", lode_store_error(g->store)->text);
  exit(1);
}

/* {==================================================================
** The store
** =================================================================== */

/* The store's clock is the game's: nothing dies while that is paused. */
static uint64_t game_time (void *data) {
  return ((game *)data)->now;
}

static void open_store (game *g, const char *path) {
  lode_options options;
  lode_error error;
  lode_options_init(&options);
  options.durability = LODE_OS;   /* no frame waits for a disk */
  options.maintenance = LODE_OFF; /* nor sweeps unasked */
  options.clock = game_time;
  options.clock_data = g;
  if (lode_open(path, &options, &g->store, &error) == LODE_OK) return;
  fprintf(stderr, "%s\n", error.text);
  exit(1);
}

static void close_store (game *g) {
  lode_error error;
  if (lode_close(g->store, &error) == LODE_OK) return;
  fprintf(stderr, "%s\n", error.text);
  exit(1);
}

static lode_coll *open_world (game *g) {
  lode_coll_options options = { .ttl = SPARK_MS };
  lode_slice name = { (const unsigned char *)"world", 5 };
  lode_coll *world;
  check(g, lode_coll_open(g->store, name, LODE_DICT, &options, &world));
  return world;
}

/* Many entries that die at once: a sweep of them all takes a while. */
static void light_embers (game *g) {
  lode_coll *world = open_world(g);
  lode_value ember = { { (const unsigned char *)"ember", 5 }, LODE_BYTES };
  lode_slice no_hash = { NULL, 0 };
  lode_buffer bytes = { NULL, 0, 0 };
  check(g, lode_begin(g->store));
  for (int i = 0; i < EMBERS; i++) {
    lode_slice whole;
    lode_key key;
    bytes.size = 0;
    check(g, lode_key_integer(&bytes, i));
    whole.data = bytes.data;
    whole.size = bytes.size;
    check(g, lode_key_of(world, whole, no_hash, &key));
    check(g, lode_put(world, &key, ember, LODE_PUT, LODE_TTL_OWN));
  }
  check(g, lode_commit(g->store));
  lode_buffer_free(&bytes);
  lode_coll_close(world);
}

/* }================================================================== */

/* {==================================================================
** The mod
** =================================================================== */

static void stop_mod (lua_State *L, lua_Debug *ar) {
  (void)ar;
  luaL_error(L, "the mod takes too long");
}

/* Compiles the mod, with an environment that holds the dict alone. */
static int load_mod (lua_State *L) {
  game *g = lua_touserdata(L, 1);
  if (luaL_loadfile(L, lua_tostring(L, 2)) != 0) return lua_error(L);
  lua_newtable(L);
  lode_pushdict(L, g->store, "world");
  lua_setfield(L, -2, "world");
#if LUA_VERSION_NUM >= 502
  lua_setupvalue(L, -2, 1); /* _ENV */
#else
  lua_setfenv(L, -2);
#endif
  return 1;
}

static void start_mod (game *g, const char *path) {
  g->L = luaL_newstate();
  lua_pushcfunction(g->L, load_mod);
  lua_pushlightuserdata(g->L, g);
  lua_pushstring(g->L, path);
  if (lua_pcall(g->L, 2, 1, 0) == 0) return; /* it stays on the stack */
  fprintf(stderr, "%s\n", lua_tostring(g->L, -1));
  exit(1);
}

/* Runs it in a transaction: if it fails, it has done nothing. */
static void run_mod (game *g, int frame) {
  check(g, lode_begin(g->store));
  lua_pushvalue(g->L, 1);
  lua_sethook(g->L, stop_mod, LUA_MASKCOUNT, STEPS);
  if (lua_pcall(g->L, 0, 0, 0) == 0) {
    check(g, lode_commit(g->store));
    return;
  }
  lode_abort(g->store);
  printf("frame %d is undone: %s\n", frame, lua_tostring(g->L, -1));
  lua_pop(g->L, 1);
}

/* }================================================================== */

/* {==================================================================
** The loop
** =================================================================== */

/* A copy of the last commit, by itself a store: that is the save game. */
static void save_game (game *g, const char *path) {
  const lode_backup_options small = { .compact = true };
  double began = real_ms();
  check(g, lode_flush(g->store));
  check(g, lode_backup(g->store, path, &small));
  g->saved = g->now;
  printf("saved as %s in %.1f ms\n", path, real_ms() - began);
}

static void sweep (game *g, int frame) {
  lode_budget budget = { .ms = 1 };
  uint64_t removed;
  bool more;
  double began = real_ms(), began_cpu = cpu_ms();
  check(g, lode_maintain(g->store, &budget, &removed, &more));
  g->sweeps[frame] = real_ms() - began;
  g->sweeps_cpu[frame] = cpu_ms() - began_cpu;
  g->swept += removed;
}

static void play (game *g) {
  for (int i = 0; i < FRAMES; i++) {
    double began = real_ms();
    g->now += FRAME_MS;
    run_mod(g, i + 1);
    sweep(g, i);
    g->frames[i] = real_ms() - began;
    if (i + 1 == FRAMES / 2) save_game(g, "save-1"); /* between two frames */
  }
}

static int compare (const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_times (const char *what, double ms[FRAMES]) {
  qsort(ms, FRAMES, sizeof *ms, compare);
  printf("%-14s median %.2f, 95%% %.2f, longest %.2f ms\n", what,
         ms[FRAMES / 2], ms[FRAMES * 95 / 100], ms[FRAMES - 1]);
}

/* What a game that goes on from the save finds. */
static void print_save (game *g, const char *path) {
  lode_store *running = g->store;
  lode_coll *world;
  uint64_t n;
  g->now = g->saved;
  open_store(g, path);
  world = open_world(g);
  check(g, lode_len(world, &n));
  printf("%s has %llu entries\n", path, (unsigned long long)n);
  lode_coll_close(world);
  close_store(g);
  g->store = running;
}

/* How much is left of what died. */
static void print_swept (game *g) {
  lode_stats stats;
  check(g, lode_store_stats(g->store, &stats));
  printf("%llu entries swept, %llu due, %llu in all\n",
         (unsigned long long)g->swept, (unsigned long long)stats.expired,
         (unsigned long long)stats.entries);
}

/* }================================================================== */

int main (int argc, char **argv) {
  static game g;
  g.now = 1000000; /* ms */
  open_store(&g, "game");
  light_embers(&g);
  g.now += SPARK_MS;
  start_mod(&g, argc > 1 ? argv[1] : "examples/host/mod.lua");
  play(&g);
  print_times("frames", g.frames);
  print_times("their sweeps", g.sweeps);
  print_times("without waits", g.sweeps_cpu);
  print_swept(&g);
  print_save(&g, "save-1");
  lua_close(g.L);
  close_store(&g);
  return 0;
}
