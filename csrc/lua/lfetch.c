/*
** lfetch.c - dict.fetch: the value, or what a function computes for it;
** of all callers, in any thread and process, one computes.
**
** Who finds no value claims the key, looks once more, computes and stores;
** the others wait for the claim, and their second look finds the value. No
** transaction and no lock of the writer's is open while the function runs,
** and the claim ends with this call, however it ends.
**
** In a transaction nobody is waited for: what another one computes can't be
** stored before the transaction ends. So there the claim is tried once, and
** without it the value is computed all the same.
*/
#include <math.h>
#include <time.h>

#include "ldict.h"
#include "lentry.h"
#include "lkey.h"
#include "ltime.h"

enum { SELF = 1, KEY, FN, OPTIONS }; /* the arguments */

/* {==================================================================
** Options
** =================================================================== */

typedef struct plan { /* what the caller wants; spans are in ms */
  uint64_t ttl;      /* as lode_put takes it */
  uint64_t negative; /* of nothing; 0: it isn't kept */
  uint64_t stale;
  double early;
  unsigned wait;
} plan;

/* [-0, +0, v] The option on the top in ms: a number of seconds. */
static uint64_t span (lua_State *L, const char *name, bool above_zero) {
  uint64_t ms;
  if (!ltime_span(L, -1, &ms) || (above_zero && ms == 0)) {
    lerror_argument(L, OPTIONS, "option '%s': a number of seconds %s "
                    "expected, got %s", name,
                    above_zero ? "above 0" : "from 0 on", lerror_got(L, -1));
  }
  return ms;
}

/* The same, but math.huge is only very long. */
static uint64_t bounded (uint64_t ms) {
  return ms < LTIME_LONGEST ? ms : LTIME_LONGEST;
}

static double read_early (lua_State *L) {
  lua_Number beta = lua_tonumber(L, -1);
  if (lua_type(L, -1) != LUA_TNUMBER || !(beta >= 0 && isfinite(beta))) {
    lerror_argument(L, OPTIONS, "option 'early': a number from 0 on "
                    "expected, got %s", lerror_got(L, -1));
  }
  return lode_fetch_draw(beta);
}

/* [-0, +0, v] Reads the option on the top; its name is below it. */
static void read_option (lua_State *L, plan *p) {
  static const char *const names[] = {
    "ttl", "negative", "stale", "early", "wait", NULL
  };
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) :
                     "";
  if (strcmp(name, "ttl") == 0) p->ttl = span(L, name, true);
  else if (strcmp(name, "negative") == 0)
    p->negative = bounded(span(L, name, true));
  else if (strcmp(name, "stale") == 0)
    p->stale = bounded(span(L, name, false));
  else if (strcmp(name, "early") == 0) p->early = read_early(L);
  else if (strcmp(name, "wait") == 0) {
    uint64_t ms = span(L, name, false);
    p->wait = ms < INT_MAX ? (unsigned)ms : INT_MAX;
  }
  else {
    lerror_argument(L, OPTIONS, "unknown option %s",
                    lerror_unknown(L, -2, names, sizeof(*names)));
  }
}

/* [-0, +0, v] */
static void read_plan (lua_State *L, const lcoll *c, plan *p) {
  const plan none = { LODE_TTL_OWN, 0, 0, 0, LODE_FETCH_WAIT };
  *p = none;
  if (lua_isnil(L, OPTIONS)) return;
  if (lua_istable(L, OPTIONS)) {
    for (lua_pushnil(L); lua_next(L, OPTIONS) != 0; lua_pop(L, 1))
      read_option(L, p);
  }
  else if (lua_type(L, OPTIONS) == LUA_TNUMBER)
    p->ttl = ltime_ttl(L, OPTIONS, LODE_TTL_OWN);
  else lerror_argument(L, OPTIONS, "a time to live or a table of options "
                       "expected, got %s", lerror_got(L, OPTIONS));
  if (c->raw && (p->ttl != LODE_TTL_OWN || p->negative != 0))
    lerror_argument(L, OPTIONS, "entries of a raw dict have no time to "
                    "live: leave ttl and negative out");
}

/* }================================================================== */

/* {==================================================================
** Looking
** =================================================================== */

/* A second look for the bytes alone. */
static lode_status look_again (lode_coll *coll, const lode_key *key,
                               lode_value *value) {
  lode_fetched found;
  lode_status status = lode_fetch_look(coll, key, 0, value, &found);
  if (status != LODE_OK) return status;
  return found == LODE_FETCH_FRESH || found == LODE_FETCH_STALE ?
         LODE_OK : LODE_ABSENT;
}

/* [-0, +1, v] Pushes the value that there is, fresh or stale, or nil. */
static lode_fetched look (lua_State *L, lcoll *c, const lode_key *key,
                          double early) {
  lode_value value;
  lode_fetched found;
  lode_status status = lode_fetch_look(c->coll, key, early, &value, &found);
  if (status != LODE_OK) lhandle_fail(L, SELF, KEY, status, NULL);
  if (found == LODE_FETCH_NONE || found == LODE_FETCH_NOTHING) {
    lua_pushnil(L);
    return found;
  }
  lentry_push_found(L, SELF, c, KEY, look_again, &value);
  return lua_isnil(L, -1) ? LODE_FETCH_NONE : found; /* gone meanwhile */
}

static bool is_answer (lode_fetched found) {
  return found == LODE_FETCH_FRESH || found == LODE_FETCH_NOTHING;
}

/* }================================================================== */

/* {==================================================================
** Computing
** =================================================================== */

typedef struct job { /* lives on the C stack of the call */
  lcoll *coll;
  lode_key key;        /* anchored: fn may use the store's scratch */
  const plan *plan;
} job;

static uint64_t monotonic_ns (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* [-0, +(0..1), v] Stores what was computed, at slot `v`. */
static void store (lua_State *L, const job *j, int v, uint64_t cost) {
  lcoll *c = lhandle_dict(L, SELF); /* fn may have closed it */
  const plan *p = j->plan;
  lode_fetch_life life = { p->ttl, p->stale, cost, false };
  lode_value value = { { NULL, 0 }, LODE_NOTHING };
  lode_status status;
  if (lua_isnil(L, v)) {
    if (p->negative == 0) return;
    life.ttl = p->negative;
    life.stale = 0;
    life.nothing = true;
  }
  else lentry_take(L, SELF, c, v, KEY, &value);
  status = lode_fetch_put(c->coll, &j->key, value, &life);
  if (status != LODE_OK) lhandle_fail(L, SELF, KEY, status, NULL);
}

/* [-4, +1, e] Runs with the claim held: looks again, else computes. */
static int compute (lua_State *L) {
  enum { JOB = OPTIONS, VALUE };
  const job *j = lua_touserdata(L, JOB);
  uint64_t began;
  if (is_answer(look(L, j->coll, &j->key, j->plan->early))) {
    lode_fetch_count(j->coll->coll, true);
    return 1;
  }
  lode_fetch_count(j->coll->coll, false);
  lua_settop(L, JOB);
  began = monotonic_ns();
  lua_pushvalue(L, FN);
  lua_pushvalue(L, KEY);
  lua_call(L, 1, 1);
  store(L, j, VALUE, (monotonic_ns() - began + 999999) / 1000000);
  lua_settop(L, VALUE);
  return 1;
}

/* [-0, +5, m] Pushes `compute` and its arguments. */
static void push_compute (lua_State *L, job *j) {
  lua_pushcfunction(L, compute);
  for (int i = SELF; i <= FN; i++) lua_pushvalue(L, i);
  lua_pushlightuserdata(L, j);
}

/*
** [-0, +1, e] Gives what there is after all, or is computed. With a stale
** value at slot `stale` (0: none) nobody is waited for.
*/
static int claim (lua_State *L, lcoll *c, const plan *p, int stale) {
  job j;
  lode_status status;
  bool claimed, inside;
  int rc;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  j.coll = c;
  j.plan = p;
  lkey_keep(L, SELF, c, KEY, &j.key);
  push_compute(L, &j); /* now, as nothing may raise once it is claimed */
  inside = c->owner->store != NULL && lode_depth(c->owner->store) > 0;
  status = lode_fetch_claim(c->coll, &j.key,
                            stale != 0 || inside ? 0 : p->wait);
  claimed = status == LODE_OK;
  if (stale != 0 && (status == LODE_BUSY || status == LODE_READONLY)) {
    lode_fetch_count(c->coll, true);
    lua_pushvalue(L, stale);
    return 1;
  }
  if (!claimed && !(inside && status == LODE_BUSY))
    return lhandle_fail(L, SELF, KEY, status, NULL);
  rc = lua_pcall(L, OPTIONS, 1, 0);
  if (claimed && c->coll != NULL) lode_fetch_drop(c->coll, &j.key);
  return rc == LUA_OK ? 1 : lua_error(L);
}

/* }================================================================== */

/* [-4, +1, e] dict.fetch(d, key, fn [, ttl | options]) -> value */
static int dict_fetch (lua_State *L) {
  enum { VALUE = OPTIONS };
  lcoll *c = lhandle_dict(L, SELF);
  lode_key key;
  lode_fetched found;
  plan p;
  lua_settop(L, OPTIONS);
  if (lua_type(L, FN) != LUA_TFUNCTION)
    lerror_argument(L, FN, "a function expected, got %s",
                    lerror_got(L, FN));
  read_plan(L, c, &p);
  lkey_check(L, SELF, c, KEY);
  lkey_take(L, SELF, c, KEY, &key);
  found = look(L, c, &key, p.early);
  if (is_answer(found)) {
    lode_fetch_count(c->coll, true);
    return 1;
  }
  lua_replace(L, VALUE);
  lua_settop(L, VALUE);
  return claim(L, c, &p, found == LODE_FETCH_STALE ? VALUE : 0);
}

const luaL_Reg lfetch_functions[] = {
  { "fetch", dict_fetch },
  { NULL, NULL }
};
