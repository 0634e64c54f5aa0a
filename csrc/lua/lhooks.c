/*
** lhooks.c - see lhooks.h.
**
** Nothing that may raise is done outside of the protected call. So the
** threads are made when the first function is given, one for each depth of
** nesting, and each has at the bottom of its stack what a call takes.
*/
#include <math.h>

#include "lentry.h"
#include "lhooks.h"
#include "lkey.h"
#include "ltime.h"

#define TIMES_END 281474976710656.0 /* 2^48 ms: whoever lives as long stays */

enum { THREAD_RUN = 1, THREAD_STORE, THREAD_BOX }; /* its lowest slots */
enum { BOX_ERROR = 1, BOX_KEPT }; /* what was raised, and whether it was */

static const char colls_key = 'c'; /* their addresses are the registry's */
static const char box_key = 'b';

struct lcall { /* of one function */
  void (*body) (lua_State *L, lcall *c);
  lcoll *coll;         /* null: the store's own */
  const lode_entry *entry;
  lode_buffer text;    /* for decoding */
  bool gone;           /* the dict or set was collected */
  uint64_t time;       /* what a policy or the clock has answered */
  double rank;         /* what an evict function has */
};

/* The stack of a body, all but the store only where there is an entry. */
enum { STORE = 1, SELF, KEY, VALUE, ENTRY };

/* {==================================================================
** Calling
** =================================================================== */

/* [-1, +0, e] Runs the call of the store, on a thread of its own. */
static int run (lua_State *L) {
  const lstore *s = lua_touserdata(L, STORE);
  lcall *c = s->call;
  if (c->coll != NULL) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &colls_key);
    c->gone = lua_rawgetp(L, -1, c->coll) == LUA_TNIL;
    lua_replace(L, SELF);
  }
  if (!c->gone) c->body(L, c);
  else if (lhooks_take_error(L)) lua_pop(L, 1); /* an older one */
  return 0;
}

/* [-0, +0, v] */
static void refuse_depth (lua_State *L, lcall *c) {
  (void)c;
  lhandle_raise(L, STORE, 0, LODE_REENTRY, "callbacks are nested too deeply: "
                "each of %d has made a call that needs another",
                LSTORE_DEPTH);
}

/* [-1, +0, -] Keeps an error on the top of a store's thread. */
static void keep_error (lua_State *L) {
  lua_rawseti(L, THREAD_BOX, BOX_ERROR);
  lua_pushboolean(L, true);
  lua_rawseti(L, THREAD_BOX, BOX_KEPT);
}

/* Runs a call on a thread, the store's scratch put aside. */
static bool run_aside (lstore *s, lua_State *L, lcall *c) {
  static const lode_buffer none = { NULL, 0, 0 };
  lode_buffer key = s->key, value = s->value;
  lguard *guard = s->guard;
  int rc;
  s->key = s->value = none;
  s->guard = NULL;
  s->depth++;
  s->call = c;
  lua_pushvalue(L, THREAD_RUN);
  lua_pushvalue(L, THREAD_STORE);
  rc = lua_pcall(L, 1, 0, 0);
  if (rc != LUA_OK) keep_error(L);
  s->depth--;
  s->guard = guard;
  lode_buffer_free(&s->key);
  lode_buffer_free(&s->value);
  lode_buffer_free(&c->text);
  s->key = key;
  s->value = value;
  return rc == LUA_OK;
}

/* Makes a call. CALLBACK: it failed, or there is nothing to call. */
static lode_status make (lstore *s, lcall *c) {
  lua_State *L;
  if (s->depth > LSTORE_DEPTH) return LODE_CALLBACK;
  if (s->depth == LSTORE_DEPTH) c->body = refuse_depth;
  L = s->threads[s->depth];
  return run_aside(s, L, c) && !c->gone ? LODE_OK : LODE_CALLBACK;
}

/* The same for the dict or set `data`, by its option `asked`. */
static lode_status make_about (void *data, const lode_entry *e,
                               const char *asked, lcall *c) {
  c->coll = data;
  c->coll->asked = asked;
  c->entry = e;
  return make(c->coll->owner, c);
}

bool lhooks_take_error (lua_State *L) {
  bool kept;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &box_key);
  lua_rawgeti(L, -1, BOX_KEPT);
  kept = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  if (!kept) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushboolean(L, false);
  lua_rawseti(L, -2, BOX_KEPT);
  lua_rawgeti(L, -1, BOX_ERROR);
  lua_pushnil(L);
  lua_rawseti(L, -3, BOX_ERROR);
  lua_remove(L, -2);
  return true;
}

/* }================================================================== */

/* {==================================================================
** The entry, as a function sees it
** =================================================================== */

/* [-0, +1, v] Pushes the key, decoded. */
static void push_key (lua_State *L, lcall *c) {
  lkey_push(L, SELF, c->coll, c->entry->key, &c->text);
  lkey_decode(L, SELF, c->coll);
}

/* [-0, +1, v] Pushes the value, decoded; of a set's member: true. */
static void push_value (lua_State *L, lcall *c) {
  if (lhandle_of_kind(c->coll, LKIND_SET)) lua_pushboolean(L, true);
  else {
    lentry_push_plain(L, SELF, &c->entry->value);
    lentry_decode(L, SELF, c->entry->value.codec);
  }
}

/* [-0, +3, v] Pushes key, value, and the table of the entry. */
static void push_entry (lua_State *L, lcall *c) {
  const lode_entry *e = c->entry;
  push_key(L, c);
  push_value(L, c);
  lua_createtable(L, 0, 10);
  lua_pushvalue(L, KEY);
  lua_setfield(L, ENTRY, "key");
  lua_pushvalue(L, VALUE);
  lua_setfield(L, ENTRY, "value");
  ltime_set(L, "now", e->now);
  if (e->timed) {
    ltime_set(L, "ctime", e->ctime);
    ltime_set(L, "mtime", e->mtime);
    ltime_set(L, "atime", e->atime);
    lhandle_set_number(L, "hits", e->hits);
  }
  lhandle_set_number(L, "size", e->size);
  ltime_set(L, "expires", e->expires);
}

/* [-0, +1, m] Pushes what an answer is that isn't what was asked for. */
static const char *push_answer (lua_State *L, int i) {
  bool nan = lua_type(L, i) == LUA_TNUMBER && isnan(lua_tonumber(L, i));
  return nan ? "NaN" : lerror_got(L, i);
}

/* }================================================================== */

/* {==================================================================
** Policies, ranks, the clock
** =================================================================== */

static uint64_t ms_of (lua_Number seconds) {
  lua_Number ms = floor(seconds * 1000 + 0.5);
  if (!(ms > 0)) return 0;
  return ms < TIMES_END ? (uint64_t)ms : LODE_NEVER;
}

#define SPAN_MOST 1e8    /* seconds: no date, where the clock is past */
#define CLOCK_LEAST 1e9  /* this */

/*
** [-0, +1, v] Raises for an answer, at a write, of so many seconds instead
** of a date.
*/
static void refuse_span (lua_State *L, int i, const lode_entry *e) {
  lua_Number answer = lua_tonumber(L, i);
  if (!(answer > 0 && answer < SPAN_MOST) || e->mtime != e->now ||
      (lua_Number)e->now < CLOCK_LEAST * 1000)
    return;
  lhandle_slot(L, SELF, COLL_POLICY);
  lhandle_raise(L, SELF, KEY, LODE_BAD_VALUE, "the policy '%s' gave %f, a "
                "date in the 1970s: it has to give the time at which an "
                "entry dies, not how long it lives; entry.now + %f is that",
                lua_tostring(L, -1), answer, answer);
}

/* [-0, +4, e] */
static void ask_expire (lua_State *L, lcall *c) {
  enum { ANSWER = ENTRY + 1 };
  push_entry(L, c);
  lhandle_slot(L, SELF, COLL_EXPIRE);
  lua_pushvalue(L, ENTRY);
  lua_call(L, 1, 1);
  if (lua_isnil(L, ANSWER)) c->time = LODE_NEVER;
  else if (lua_type(L, ANSWER) == LUA_TNUMBER &&
           !isnan(lua_tonumber(L, ANSWER))) {
    refuse_span(L, ANSWER, c->entry);
    c->time = ms_of(lua_tonumber(L, ANSWER));
  }
  else {
    const char *got = push_answer(L, ANSWER);
    lhandle_slot(L, SELF, COLL_POLICY);
    lhandle_raise(L, SELF, KEY, LODE_BAD_VALUE, "the policy '%s' gave %s: it "
                  "has to give the time at which an entry dies, in seconds "
                  "since the epoch, or nil for never", lua_tostring(L, -1),
                  got);
  }
}

/* lode_hooks.deadline */
static lode_status deadline (void *data, const lode_entry *e,
                             uint64_t *expires) {
  lcall c = { .body = ask_expire };
  lode_status status = make_about(data, e, "expire", &c);
  if (status == LODE_OK) *expires = c.time;
  return status;
}

/* [-0, +4, e] */
static void ask_evict (lua_State *L, lcall *c) {
  enum { ANSWER = ENTRY + 1 };
  push_entry(L, c);
  lhandle_slot(L, SELF, COLL_EVICT);
  lua_pushvalue(L, ENTRY);
  lua_call(L, 1, 1);
  c->rank = lua_tonumber(L, ANSWER);
  if (lua_type(L, ANSWER) != LUA_TNUMBER || isnan(c->rank)) {
    lhandle_raise(L, SELF, KEY, LODE_BAD_VALUE, "the function 'evict' gave "
                  "%s: it has to give a number, and the entry with the "
                  "lowest goes first", push_answer(L, ANSWER));
  }
}

/* lode_hooks.rank */
static lode_status rank (void *data, const lode_entry *e, double *rank) {
  lcall c = { .body = ask_evict };
  lode_status status = make_about(data, e, "evict", &c);
  if (status == LODE_OK) *rank = c.rank;
  return status;
}

/* [-0, +1, e] */
static void ask_clock (lua_State *L, lcall *c) {
  enum { ANSWER = STORE + 1 };
  lua_Number now;
  lhandle_slot(L, STORE, STORE_CLOCK);
  lua_call(L, 0, 1);
  now = lua_tonumber(L, ANSWER);
  if (lua_type(L, ANSWER) != LUA_TNUMBER || !(now >= 0) || isinf(now)) {
    lhandle_raise(L, STORE, 0, LODE_BAD_VALUE, "the clock gave %s: it has to "
                  "give the time in seconds since the epoch",
                  push_answer(L, ANSWER));
  }
  c->time = ms_of(now);
  if (c->time == LODE_NEVER) c->time--; /* the core cuts it to its own end */
}

/* lode_options.clock */
static uint64_t ask_time (void *data) {
  lcall c = { .body = ask_clock };
  return make(data, &c) == LODE_OK ? c.time : LODE_NEVER;
}

/* }================================================================== */

/* {==================================================================
** on_expire, and what is said of failures
** =================================================================== */

/* [-0, +3, e] */
static void tell_removed (lua_State *L, lcall *c) {
  push_entry(L, c);
  lua_pushstring(L, c->entry->evicted ? "evicted" : "expired");
  lua_setfield(L, ENTRY, "reason");
  lhandle_slot(L, SELF, COLL_ON_EXPIRE);
  for (int i = KEY; i <= ENTRY; i++) lua_pushvalue(L, i);
  lua_call(L, 3, 0);
}

/* lode_hooks.removed */
static lode_status removed (void *data, const lode_entry *e) {
  lcall c = { .body = tell_removed };
  return make_about(data, e, "on_expire", &c);
}

/* [-1, +1, e] */
static int to_string (lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* [-0, +1, m] Pushes what tostring says of it, whatever that may do. */
static void push_text (lua_State *L, int i) {
  lua_pushcfunction(L, to_string);
  lua_pushvalue(L, i);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) return;
  lua_pop(L, 1);
  lua_pushfstring(L, "an error object (a %s)", luaL_typename(L, i));
}

/* [-3, +1, v] */
static int decode_key (lua_State *L) {
  push_key(L, lua_touserdata(L, KEY));
  return 1;
}

/* [-0, +1, m] Pushes the key; nil when it can't be decoded. */
static void push_key_if (lua_State *L, lcall *c) {
  lua_pushcfunction(L, decode_key);
  lua_pushvalue(L, STORE);
  lua_pushvalue(L, SELF);
  lua_pushlightuserdata(L, c);
  if (lua_pcall(L, 3, 1, 0) == LUA_OK) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

/* [-0, +n, v] Logs the error of a sweep, with its entry. */
static void log_failure (lua_State *L, lcall *c) {
  enum { ERROR = SELF + 1, FOR, NAME, MESSAGE };
  if (!lhooks_take_error(L)) return;
  push_key_if(L, c);
  lhandle_slot(L, SELF, COLL_NAME);
  lerror_push_key(L, FOR);
  push_text(L, ERROR);
  lua_pushfstring(L, "%s: '%s' failed for %s, which stays: %s",
                  lua_tostring(L, NAME), c->coll->asked,
                  lua_tostring(L, -2), lua_tostring(L, -1));
  lua_replace(L, MESSAGE);
  lua_settop(L, MESSAGE);
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, NAME);
  lua_setfield(L, -2, "collection");
  lua_pushvalue(L, FOR);
  lua_setfield(L, -2, "key");
  lua_pushvalue(L, ERROR);
  lua_setfield(L, -2, "error");
  lhandle_log(L, SELF, "error", lua_tostring(L, MESSAGE));
}

/*
** lode_hooks.failed. The log may write to the store, so the key is copied
** out of it first; without memory for that nothing is told.
*/
static void failed (void *data, const lode_entry *e) {
  lcoll *coll = data;
  lode_buffer key = { NULL, 0, 0 };
  lode_entry copy = *e;
  lcall c = { .body = log_failure };
  if (lode_buffer_add(&key, e->key.data, e->key.size) == LODE_OK) {
    copy.key.data = key.data;
    (void)make_about(coll, &copy, coll->asked, &c);
  }
  lode_buffer_free(&key);
}

/* }================================================================== */

/* {==================================================================
** Making
** =================================================================== */

void lhooks_open (lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &colls_key);
  lua_createtable(L, BOX_KEPT, 0); /* so that keeping allocates nothing */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &box_key);
}

/* [-0, +0, m] Makes the threads of the store at `self`, once. */
static void make_threads (lua_State *L, int self) {
  lstore *s = lua_touserdata(L, self);
  if (s->threads[0] != NULL) return;
  lua_createtable(L, LSTORE_DEPTH + 1, 0);
  for (int i = 0; i <= LSTORE_DEPTH; i++) {
    lua_State *thread = lua_newthread(L);
    lua_rawseti(L, -2, i + 1);
    lua_pushcfunction(L, run);
    lua_pushvalue(L, self);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &box_key);
    lua_xmove(L, thread, THREAD_BOX);
  }
  lua_pushvalue(L, -1);
  lhandle_set_slot(L, self, STORE_THREADS);
  for (int i = LSTORE_DEPTH; i >= 0; i--) {
    lua_rawgeti(L, -1, i + 1);
    s->threads[i] = lua_tothread(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

void lhooks_clock (lua_State *L, int self, lode_options *o) {
  make_threads(L, self);
  o->clock = ask_time;
  o->clock_data = lua_touserdata(L, self);
}

/* [-0, +0, m] Whether there is something in a slot of the handle. */
static bool is_given (lua_State *L, int self, int slot) {
  bool given = lhandle_slot(L, self, slot) != LUA_TNIL;
  lua_pop(L, 1);
  return given;
}

bool lhooks_coll (lua_State *L, int self, lode_hooks *hooks) {
  lcoll *c = lua_touserdata(L, self);
  memset(hooks, 0, sizeof(*hooks));
  if (is_given(L, self, COLL_EXPIRE)) hooks->deadline = deadline;
  if (is_given(L, self, COLL_ON_EXPIRE)) hooks->removed = removed;
  if (is_given(L, self, COLL_EVICT)) hooks->rank = rank;
  if (hooks->deadline == NULL && hooks->removed == NULL &&
      hooks->rank == NULL)
    return false;
  hooks->failed = failed;
  hooks->data = c;
  lhandle_slot(L, self, COLL_STORE);
  make_threads(L, lua_gettop(L));
  lua_rawgetp(L, LUA_REGISTRYINDEX, &colls_key);
  lua_pushvalue(L, self);
  lua_rawsetp(L, -2, c);
  lua_pop(L, 2);
  return true;
}

bool lhooks_is_policy (lua_State *L, int self, lode_slice name) {
  size_t size;
  const char *given;
  bool same;
  lhandle_slot(L, self, COLL_POLICY);
  given = lua_tolstring(L, -1, &size);
  same = given != NULL && size == name.size &&
         memcmp(given, name.data, size) == 0;
  lua_pop(L, 1);
  return same;
}

/* }================================================================== */
