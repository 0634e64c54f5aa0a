/*
** lcheck.c - see lcheck.h.
**
** While the core is at it nothing may be raised. So what it tells is kept
** in buffers, which a userdata owns, and becomes tables afterwards; and
** `progress` runs protected: its error stops the check, and is raised when
** that has returned.
*/
#include "lcheck.h"

typedef struct job {
  lua_State *L;
  lstore *store;          /* null: a path is checked */
  bool failed;            /* what `progress` raised is at JOB_ERROR */
  lode_buffer problems, mended; /* texts, each ended by a 0 */
  lode_buffer parts;      /* salvaged: kind, kept, lost, name with its 0 */
} job;

/* The stack of each function. */
enum { SELF = 1, OPTIONS, PROGRESS = 4, ERROR, JOB };

/* {==================================================================
** What the core tells
** =================================================================== */

static bool tell_progress (void *data, uint64_t done, uint64_t total) {
  job *j = data;
  lua_State *L = j->L;
  int status;
  if (lua_isnil(L, PROGRESS)) return true;
  lua_pushvalue(L, PROGRESS);
  lua_pushinteger(L, (lua_Integer)done);
  lua_pushinteger(L, (lua_Integer)total);
  if (j->store != NULL) j->store->depth++; /* so that it isn't closed */
  status = lua_pcall(L, 2, 0, 0);
  if (j->store != NULL) j->store->depth--;
  if (status == LUA_OK) return true;
  lua_replace(L, ERROR);
  j->failed = true;
  return false;
}

/* A text for which there is no memory is lost: it is counted all the same. */
static void tell_problem (void *data, const char *text) {
  job *j = data;
  (void)lode_buffer_add(&j->problems, text, strlen(text) + 1);
}

static void tell_mended (void *data, const char *text) {
  job *j = data;
  (void)lode_buffer_add(&j->mended, text, strlen(text) + 1);
}

static void tell_part (void *data, const lode_salvaged *what) {
  job *j = data;
  lode_buffer *b = &j->parts;
  size_t size = sizeof(lode_salvaged) + what->name.size + 1;
  if (lode_buffer_reserve(b, size) != LODE_OK) return;
  (void)lode_buffer_add(b, what, sizeof(*what));
  (void)lode_buffer_add(b, what->name.data, what->name.size);
  (void)lode_buffer_add(b, "", 1);
}

/* }================================================================== */

/* {==================================================================
** Jobs
** =================================================================== */

/* [-1, +0, -] */
static int job__gc (lua_State *L) {
  job *j = lua_touserdata(L, 1);
  lode_buffer_free(&j->problems);
  lode_buffer_free(&j->mended);
  lode_buffer_free(&j->parts);
  return 0;
}

/* [-0, +1, m] Makes the job, at JOB; the stack is set up below it. */
static job *job_new (lua_State *L, lstore *s) {
  job *j;
  luaL_checkstack(L, 20, NULL); /* tell_progress can't ask */
  j = lua_newuserdatauv(L, sizeof(job), 0);
  memset(j, 0, sizeof(*j));
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, job__gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  j->L = L;
  j->store = s;
  return j;
}

/*
** [-0, +0, v] Reads the options at `i`: `progress` to its slot, and another
** one, a flag; null: none.
*/
static void read_options (lua_State *L, int i, const char *name_of_flag,
                          bool *flag) {
  const char *const names[] = { "progress", name_of_flag, NULL };
  if (lua_isnil(L, i)) return;
  if (!lua_istable(L, i))
    lerror_argument(L, i, "a table of options expected, got %s",
                    lerror_got(L, i));
  for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ?
                       lua_tostring(L, -2) : "";
    if (strcmp(name, "progress") == 0) {
      if (lua_type(L, -1) != LUA_TFUNCTION)
        lerror_argument(L, i, "option 'progress': a function expected, got "
                        "%s", lerror_got(L, -1));
      lua_pushvalue(L, -1);
      lua_replace(L, PROGRESS);
    }
    else if (name_of_flag != NULL && strcmp(name, name_of_flag) == 0) {
      if (!lua_isboolean(L, -1))
        lerror_argument(L, i, "option '%s': a boolean expected, got %s",
                        name, lerror_got(L, -1));
      *flag = lua_toboolean(L, -1) != 0;
    }
    else {
      lerror_argument(L, i, "unknown option %s",
                      lerror_unknown(L, -2, names, sizeof(*names)));
    }
  }
}

/* [-0, +0, v] */
static const char *check_path (lua_State *L, int i) {
  if (lua_type(L, i) != LUA_TSTRING || lua_rawlen(L, i) == 0 ||
      strlen(lua_tostring(L, i)) != lua_rawlen(L, i))
    lerror_argument(L, i, "a path expected, got %s", lerror_got(L, i));
  return lua_tostring(L, i);
}

/* [-0, +0, m] Sets a field: whether all is well. */
static void set_flag (lua_State *L, const char *name, bool flag) {
  lua_pushboolean(L, flag);
  lua_setfield(L, -2, name);
}

/* [-0, +0, m] Sets a field of the table on the top: an array of texts. */
static void set_texts (lua_State *L, const char *name,
                       const lode_buffer *texts) {
  lua_newtable(L);
  for (size_t at = 0, n = 1; at < texts->size; n++) {
    const char *text = (const char *)texts->data + at;
    lua_pushstring(L, text);
    lua_rawseti(L, -2, (lua_Integer)n);
    at += strlen(text) + 1;
  }
  lua_setfield(L, -2, name);
}

/* [-0, +0, v] Raises what a job failed with; not when it did not. */
static void raise (lua_State *L, const job *j, lode_status status,
                   const lode_error *error) {
  if (status == LODE_OK) return;
  if (j->failed) {
    lua_pushvalue(L, ERROR);
    lua_error(L);
  }
  if (j->store != NULL) lhandle_fail(L, SELF, 0, status, NULL);
  lua_pushstring(L, error->text);
  lerror_new(L, status);
  lua_pushvalue(L, SELF); /* which is the path */
  lua_setfield(L, -2, "path");
  lua_error(L);
}

/* }================================================================== */

/* {==================================================================
** Checking
** =================================================================== */

/* [-0, +1, m] Pushes the table of a report. */
static void push_report (lua_State *L, const job *j,
                         const lode_check_report *r, bool repair) {
  lua_createtable(L, 0, 8);
  set_flag(L, "ok", r->ok);
  if (!r->ok) set_flag(L, "mendable", r->mendable);
  lhandle_set_number(L, "entries", r->entries);
  lhandle_set_number(L, "collections", r->collections);
  lhandle_set_number(L, "bytes", r->bytes);
  set_texts(L, "problems", &j->problems);
  if (repair) {
    set_texts(L, "mended", &j->mended);
    lhandle_set_number(L, "dropped", r->dropped);
  }
}

/* [-0, +1, e] What both have in common; `s` null: `path` is checked. */
static int check (lua_State *L, lstore *s, const char *path) {
  lode_check_options o = { tell_progress, tell_problem, tell_mended, NULL,
                           false };
  lode_check_report report;
  lode_error error;
  lode_status status;
  job *j;
  lua_settop(L, JOB - 1);
  read_options(L, OPTIONS, s != NULL ? "repair" : NULL, &o.repair);
  o.data = j = job_new(L, s);
  status = s != NULL ? lode_check(s->store, &o, &report)
                     : lode_check_file(path, &o, &report, &error);
  raise(L, j, status, &error);
  push_report(L, j, &report, o.repair);
  return 1;
}

/* [-0, +0, v] The store at SELF, which `progress` may be called for. */
static lstore *check_store (lua_State *L) {
  lstore *s = lhandle_store(L, SELF);
  if (s->depth >= LSTORE_DEPTH)
    lhandle_raise(L, SELF, 0, LODE_REENTRY, "callbacks are nested too "
                  "deeply");
  return s;
}

int lcheck_store (lua_State *L) {
  lstore *s = check_store(L);
  lua_settop(L, OPTIONS);
  return check(L, s, NULL);
}

int lcheck_path (lua_State *L) {
  lua_settop(L, OPTIONS);
  return check(L, NULL, check_path(L, SELF));
}

static const char *level_of (const lode_error *outcome) {
  return outcome->status == LODE_OK ? "info" :
         outcome->status == LODE_CORRUPT ? "error" : "warn";
}

void lcheck_news (lua_State *L, int self) {
  lstore *s = lua_touserdata(L, self);
  lode_check_report report;
  lode_error outcome;
  if (!lode_check_ended(s->store, &report, &outcome)) return;
  s->checking = false;
  self = lua_absindex(L, self);
  luaL_checkstack(L, 8, NULL);
  lua_createtable(L, 0, 3);
  set_flag(L, "ok", outcome.status == LODE_OK);
  lhandle_set_number(L, "entries", report.entries);
  lhandle_set_number(L, "problems", report.problems);
  lhandle_log(L, self, level_of(&outcome), outcome.status == LODE_OK ?
              "checked: the store is sound" : outcome.text);
}

/* }================================================================== */

/* {==================================================================
** Backup
** =================================================================== */

int lcheck_backup (lua_State *L) {
  enum { PATH = 2, HOW };
  lode_backup_options o = { false, tell_progress, NULL };
  lstore *s = check_store(L);
  const char *path;
  job *j;
  lua_settop(L, HOW);
  path = check_path(L, PATH);
  lua_settop(L, JOB - 1);
  read_options(L, HOW, "compact", &o.compact);
  o.data = j = job_new(L, s);
  raise(L, j, lode_backup(s->store, path, &o), NULL);
  return 0;
}

/* }================================================================== */

/* {==================================================================
** Salvage
** =================================================================== */

/* [-0, +0, m] Sets a field: what there is of each collection. */
static void set_parts (lua_State *L, const lode_buffer *parts) {
  lua_newtable(L);
  for (size_t at = 0, n = 1; at < parts->size; n++) {
    lode_salvaged what;
    memcpy(&what, parts->data + at, sizeof(what));
    at += sizeof(what);
    lua_createtable(L, 0, 4);
    lua_pushlstring(L, (const char *)parts->data + at, what.name.size);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, what.kind == LODE_DICT ? "dict" :
                      what.kind == LODE_SET ? "set" : "raw");
    lua_setfield(L, -2, "kind");
    lhandle_set_number(L, "kept", what.kept);
    lhandle_set_number(L, "lost", what.lost);
    lua_rawseti(L, -2, (lua_Integer)n);
    at += what.name.size + 1;
  }
  lua_setfield(L, -2, "collections");
}

int lcheck_salvage (lua_State *L) {
  enum { PATH = 1, TO_PATH };
  lode_salvage_options o = { tell_progress, tell_problem, tell_part, NULL };
  lode_salvage_report report;
  lode_error error;
  lode_status status;
  const char *path, *to;
  job *j;
  lua_settop(L, JOB - 1);
  path = check_path(L, PATH);
  to = check_path(L, TO_PATH);
  read_options(L, TO_PATH + 1, NULL, NULL);
  o.data = j = job_new(L, NULL);
  status = lode_salvage(path, to, &o, &report, &error);
  raise(L, j, status, &error);
  lua_createtable(L, 0, 6);
  set_flag(L, "ok", report.ok);
  set_flag(L, "older", report.older);
  lhandle_set_number(L, "entries", report.entries);
  lhandle_set_number(L, "lost", report.lost);
  set_texts(L, "problems", &j->problems);
  set_parts(L, &j->parts);
  return 1;
}

/* }================================================================== */
