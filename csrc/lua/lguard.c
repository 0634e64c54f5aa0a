/*
** lguard.c - see lguard.h.
*/
#include "lguard.h"

typedef enum state { ENDED, LOCKED, BEGUN, PINNED } state;

struct lguard { /* lives on the C stack of the call that holds */
  lguard *up;
  state state;
};

static lode_status enter (lode_store *store, lguard_kind kind, lguard *g) {
  lode_status status;
  switch (kind) {
    case LGUARD_TRANSACTION:
      status = lode_begin(store);
      g->state = BEGUN;
      break;
    case LGUARD_SNAPSHOT:
      status = lode_snapshot(store);
      g->state = PINNED;
      break;
    default:
      status = lode_lock(store);
      g->state = LOCKED;
  }
  return status;
}

/* Ends it well, or undoes what is left; OK when there is nothing left. */
static lode_status leave (lode_store *store, lguard *g, bool well) {
  state left = g->state;
  g->state = ENDED;
  switch (left) {
    case BEGUN:
      if (well) return lode_commit(store);
      lode_abort(store);
      break;
    case PINNED: lode_snapshot_end(store); break;
    case LOCKED: lode_unlock(store); break;
    case ENDED: break;
  }
  return LODE_OK;
}

int lguard_call (lua_State *L, int self, lstore *s, lguard_kind kind,
                 int f) {
  lguard g = { s->guard, ENDED };
  lode_status status = enter(s->store, kind, &g);
  int rc;
  if (status != LODE_OK) return lhandle_fail(L, self, 0, status, NULL);
  s->guard = &g;
  rc = lua_pcall(L, lua_gettop(L) - f, LUA_MULTRET, 0);
  s->guard = g.up;
  status = s->store == NULL ? LODE_CLOSED : leave(s->store, &g, rc == LUA_OK);
  if (rc != LUA_OK) return lua_error(L);
  if (status != LODE_OK) return lhandle_fail(L, self, 0, status, NULL);
  return lua_gettop(L) - f + 1;
}

int lguard_body (lua_State *L, lstore *s, lguard_kind kind,
                 lua_CFunction body) {
  int n = lua_gettop(L);
  luaL_checkstack(L, n + LUA_MINSTACK, NULL);
  lua_pushcfunction(L, body);
  for (int i = 1; i <= n; i++) lua_pushvalue(L, i);
  return lguard_call(L, 1, s, kind, n + 1);
}

lode_status lguard_begin (lstore *s) {
  lode_status status;
  if (s->store == NULL) return LODE_CLOSED; /* by the Lua code called */
  status = lode_lock_begin(s->store);
  s->guard->state = status == LODE_OK ? BEGUN : ENDED;
  return status;
}

lode_status lguard_commit (lstore *s) {
  s->guard->state = ENDED;
  return lode_commit(s->store);
}
