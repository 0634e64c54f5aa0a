/*
** lerror.c - see lerror.h.
*/
#include <ctype.h>
#include <stdarg.h>

#include "lerror.h"

#define SHOWN 40  /* bytes of a key that a message shows */
#define PARTS 8   /* elements of a tuple that a message shows */
#define NAMED 200 /* bytes of a path or a name that are shown as they are */
#define LETTERS 32 /* of a name that is compared with others */
#define FAR 4      /* edits from one name to another that isn't meant */

static const char metatable = 'e'; /* its address is the registry's key */

/* {==================================================================
** Reading well
** =================================================================== */

/* [-0, +1, m] A string in quotes; what can't be read as \ddd. */
static void push_quoted (lua_State *L, int i) {
  size_t size;
  const char *s = lua_tolstring(L, i, &size);
  size_t n = size < SHOWN ? size : SHOWN;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addchar(&b, '"');
  for (size_t at = 0; at < n; at++) {
    unsigned char c = (unsigned char)s[at];
    if (c < ' ' || c == 127) {
      luaL_addchar(&b, '\\');
      luaL_addchar(&b, (char)('0' + c / 100));
      luaL_addchar(&b, (char)('0' + c / 10 % 10));
      luaL_addchar(&b, (char)('0' + c % 10));
    }
    else {
      if (c == '"' || c == '\\') luaL_addchar(&b, '\\');
      luaL_addchar(&b, (char)c);
    }
  }
  luaL_addstring(&b, n < size ? "...\"" : "\"");
  luaL_pushresult(&b);
}

/* [-0, +1, m] What can be no key, or part of one: "a table", "a dict". */
static void push_kind (lua_State *L, int i) {
  int base = lua_gettop(L);
  const char *name = NULL;
  i = lua_absindex(L, i);
  if (lua_type(L, i) == LUA_TUSERDATA &&
      luaL_getmetafield(L, i, "__name") != 0)
    name = lua_tostring(L, -1);
  if (name == NULL) name = luaL_typename(L, i);
  else if (strncmp(name, "lode.", 5) == 0) name += 5;
  lua_pushfstring(L, "a %s", name);
  if (lua_gettop(L) > base + 1) lua_remove(L, base + 1);
}

/* [-0, +1, m] */
static void push_scalar (lua_State *L, int i) {
  switch (lua_type(L, i)) {
    case LUA_TSTRING: push_quoted(L, i); break;
    case LUA_TNIL: case LUA_TBOOLEAN: case LUA_TNUMBER:
      luaL_tolstring(L, i, NULL);
      break;
    default: push_kind(L, i);
  }
}

void lerror_push_key (lua_State *L, int i) {
  size_t n;
  int base = lua_gettop(L);
  if (lua_type(L, i) != LUA_TTABLE) {
    push_scalar(L, i);
    return;
  }
  i = lua_absindex(L, i);
  n = lua_rawlen(L, i);
  luaL_checkstack(L, 2 * PARTS + 4, NULL);
  lua_pushliteral(L, "{");
  for (size_t at = 1; at <= n && at <= PARTS; at++) {
    if (at > 1) lua_pushliteral(L, ", ");
    lua_rawgeti(L, i, (lua_Integer)at);
    if (lua_type(L, -1) == LUA_TTABLE) lua_pushliteral(L, "{...}");
    else push_scalar(L, -1);
    lua_remove(L, -2);
  }
  lua_pushstring(L, n > PARTS ? ", ...}" : "}");
  lua_concat(L, lua_gettop(L) - base);
}

/*
** [-0, +1, m] A path or a collection's name: as it is, but in quotes where
** that would read badly.
*/
static void push_name (lua_State *L, int i) {
  size_t size = 0;
  const char *s = lua_type(L, i) == LUA_TSTRING ? lua_tolstring(L, i, &size)
                                                : "";
  bool plain = size > 0 && size <= NAMED;
  for (size_t at = 0; plain && at < size; at++)
    plain = (unsigned char)s[at] >= ' ' && s[at] != 127;
  if (plain) lua_pushvalue(L, i);
  else push_scalar(L, i);
}

/* [-0, +1, m] Pushes ", store data" where the error has that field. */
static void push_detail (lua_State *L, const char *field, const char *what) {
  lua_pushfstring(L, ", %s ", what);
  if (lua_getfield(L, 1, field) == LUA_TNIL) {
    lua_pop(L, 2);
    lua_pushliteral(L, "");
    return;
  }
  if (strcmp(field, "key") == 0) lerror_push_key(L, -1);
  else push_name(L, -1);
  lua_remove(L, -2);
  lua_concat(L, 2);
}

/* [-0, +1, m] */
static int error__tostring (lua_State *L) {
  const char *details;
  lua_settop(L, 1);
  if (!lua_istable(L, 1)) return lerror_argument(L, 1, "an error expected");
  lua_pushliteral(L, "lode: ");
  lua_getfield(L, 1, "code");
  luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
  lua_pushliteral(L, ": ");
  lua_getfield(L, 1, "message");
  luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
  lua_concat(L, 4);
  push_detail(L, "path", "store");
  push_detail(L, "collection", "collection");
  push_detail(L, "key", "key");
  push_detail(L, "where", "at");
  lua_concat(L, 4);
  details = lua_tostring(L, -1);
  if (*details == '\0') lua_settop(L, 2);
  else { /* leaves the first comma out */
    lua_pushfstring(L, " (%s)", details + 2);
    lua_replace(L, 3);
    lua_concat(L, 2);
  }
  return 1;
}

const char *lerror_got (lua_State *L, int i) {
  if (lua_type(L, i) == LUA_TNONE) return "nothing";
  luaL_checkstack(L, 6, NULL);
  push_scalar(L, i);
  return lua_tostring(L, -1);
}

/* }================================================================== */

/* {==================================================================
** Names that nobody has
** =================================================================== */

/* Puts what counts of a name into `room`: readOnly and read_only are one. */
static size_t letters_of (const char *name, char room[LETTERS]) {
  size_t n = 0;
  for (; *name != '\0' && n < LETTERS; name++)
    if (*name != '_') room[n++] = (char)tolower((unsigned char)*name);
  return n;
}

/* How many letters must be changed, added or left out to make b of a. */
static size_t edits (const char *a, size_t m, const char *b, size_t n) {
  size_t row[LETTERS + 1];
  for (size_t j = 0; j <= n; j++) row[j] = j;
  for (size_t i = 1; i <= m; i++) {
    size_t corner = row[0];
    row[0] = i;
    for (size_t j = 1; j <= n; j++) {
      size_t least = corner + (a[i - 1] != b[j - 1]);
      if (least > row[j] + 1) least = row[j] + 1;
      if (least > row[j - 1] + 1) least = row[j - 1] + 1;
      corner = row[j];
      row[j] = least;
    }
  }
  return row[n];
}

static const char *name_at (const void *names, size_t stride, size_t at) {
  const char *name;
  memcpy(&name, (const char *)names + at * stride, sizeof(name));
  return name;
}

const char *lerror_nearest (lua_State *L, int i, const void *names,
                            size_t stride) {
  char theirs[LETTERS], ours[LETTERS];
  size_t m, least = FAR;
  const char *name, *best = NULL;
  if (lua_type(L, i) != LUA_TSTRING) return NULL;
  m = letters_of(lua_tostring(L, i), theirs);
  for (size_t at = 0; (name = name_at(names, stride, at)) != NULL; at++) {
    size_t n = letters_of(name, ours);
    size_t far = edits(theirs, m, ours, n);
    if (far < least && far * 2 <= n) {
      least = far;
      best = name;
    }
  }
  return best;
}

const char *lerror_unknown (lua_State *L, int i, const void *names,
                            size_t stride) {
  const char *name = lerror_nearest(L, i, names, stride);
  luaL_checkstack(L, 8, NULL);
  lerror_push_key(L, i);
  if (name != NULL)
    return lua_pushfstring(L, "%s: is '%s' meant?", lua_tostring(L, -1),
                           name);
  lua_pushfstring(L, "%s: there %s %s", lua_tostring(L, -1),
                  name_at(names, stride, 1) != NULL ? "are" : "is",
                  name_at(names, stride, 0));
  for (size_t at = 1; (name = name_at(names, stride, at)) != NULL; at++) {
    lua_pushfstring(L, "%s%s", name_at(names, stride, at + 1) != NULL ?
                    ", " : " and ", name);
    lua_concat(L, 2);
  }
  return lua_tostring(L, -1);
}

/* }================================================================== */

/* {==================================================================
** Making and raising
** =================================================================== */

void lerror_open (lua_State *L) {
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, error__tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "lode.error");
  lua_setfield(L, -2, "__name");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable);
}

/*
** [-0, +1, m] "file:line" of the Lua code that is running, or nil. `own`:
** that is a file of lode's, and meant is the code that has called it.
*/
static void push_where (lua_State *L, bool own) {
  lua_Debug ar;
  char file[LUA_IDSIZE] = "";
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    if (own && file[0] == '\0') memcpy(file, ar.short_src, sizeof(file));
    if (strcmp(file, ar.short_src) != 0) {
      lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
      return;
    }
  }
  lua_pushnil(L);
}

void lerror_new (lua_State *L, lode_status status) {
  luaL_checkstack(L, 6, NULL);
  lua_createtable(L, 0, 6);
  lua_insert(L, -2);
  lua_setfield(L, -2, "message");
  lua_pushstring(L, lode_status_name(status));
  lua_setfield(L, -2, "code");
  push_where(L, false);
  lua_setfield(L, -2, "where");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable);
  lua_setmetatable(L, -2);
}

void lerror_locate (lua_State *L) {
  int error = lua_gettop(L);
  if (!lua_istable(L, error)) return;
  luaL_checkstack(L, 4, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable);
  if (lua_getmetatable(L, error) && lua_rawequal(L, -1, -2)) {
    push_where(L, false);
    lua_setfield(L, error, "where");
  }
  lua_settop(L, error);
}

int lode_raise (lua_State *L, lode_status status, const char *text) {
  lua_pushstring(L, text);
  lerror_new(L, status);
  return lua_error(L);
}

int lerror_raise (lua_State *L, lode_status status, const char *format,
                  ...) {
  va_list arguments;
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lerror_new(L, status);
  return lua_error(L);
}

/* }================================================================== */

/* {==================================================================
** Arguments
** =================================================================== */

/* [-0, +1, m] "bad argument #2 to 'get': ", not counting a method's object */
static void push_argument (lua_State *L, int arg) {
  lua_Debug ar;
  ar.name = NULL;
  if (lua_getstack(L, 0, &ar)) lua_getinfo(L, "n", &ar);
  if (ar.name == NULL) {
    lua_pushfstring(L, "bad argument #%d: ", arg);
    return;
  }
  if (strcmp(ar.namewhat, "method") == 0) arg--;
  if (arg > 0) lua_pushfstring(L, "bad argument #%d to '%s': ", arg, ar.name);
  else lua_pushfstring(L, "'%s' called with a colon: ", ar.name);
}

int lerror_argument (lua_State *L, int arg, const char *format, ...) {
  va_list arguments;
  luaL_checkstack(L, 6, NULL);
  push_argument(L, arg);
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 2);
  lerror_new(L, LODE_BAD_ARGUMENT);
  return lua_error(L);
}

void lerror_excess (lua_State *L, int arg) {
  for (int i = lua_gettop(L); i >= arg; i--) {
    if (!lua_isnil(L, i)) lerror_argument(L, i, "no more arguments expected");
  }
}

/* The status of this name; LODE_OK: there is none. */
static lode_status status_named (const char *name) {
  for (int s = LODE_BAD_ARGUMENT; s <= LODE_NO_MEMORY; s++) {
    if (strcmp(lode_status_name((lode_status)s), name) == 0)
      return (lode_status)s;
  }
  return LODE_OK;
}

int lerror_lua_raise (lua_State *L) {
  const char *code = lua_tostring(L, 1);
  lode_status status = code == NULL ? LODE_OK : status_named(code);
  lua_settop(L, 3);
  if (status == LODE_OK) return lerror_argument(L, 1, "no such code");
  if (lua_type(L, 2) != LUA_TSTRING)
    return lerror_argument(L, 2, "a message expected");
  lua_pushvalue(L, 2);
  lerror_new(L, status);
  push_where(L, true);
  lua_setfield(L, 4, "where");
  if (lua_istable(L, 3)) {
    for (lua_pushnil(L); lua_next(L, 3) != 0;) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, 4);
    }
  }
  return lua_error(L);
}

/* }================================================================== */
