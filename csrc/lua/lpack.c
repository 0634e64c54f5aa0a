/*
** lpack.c - from a Lua value on the stack to MessagePack bytes.
**
** One walk over the value, straight into the caller's buffer. A table that
** is being written has a frame in C; the chain of frames is how a table
** inside itself is noticed, and where the path to a value that can't be
** stored is read from, so that neither costs anything until it is needed.
**
** No Lua code runs meanwhile (access is raw, nothing is allocated in Lua
** but stack), so a table can't change under the walk.
*/
#include <stdio.h>

#include "lvalue.h"
#include "lerror.h"

typedef struct encoder {
  lua_State *L;
  lode_buffer *out;
  lode_error *error;
} encoder;

/* Stack is asked for so many levels at once: two slots a level, and two
   more to look into the last table. */
#define LEVELS 8
#define SLOTS (2 * LEVELS + 2)

typedef struct frame { /* a table that is being written */
  const struct frame *up; /* the table it is in; null: it is the value */
  const void *table;      /* its identity */
  int key;                /* stack slot of the key being written; 0: `at` */
  int64_t at;             /* the index being written */
  int depth;              /* 1 for the value itself */
} frame;

/* {==================================================================
** Strings: text or bytes
** =================================================================== */

/* Bytes of the UTF-8 sequence that `s` begins with; 0: it is none. */
static size_t utf8_sequence (const unsigned char *s, size_t n) {
  static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
  size_t size = s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 :
                s[0] < 0xf8 ? 4 : 0;
  uint32_t code;
  if (size == 0 || size > n) return 0;
  code = s[0] & (0x7fu >> size);
  for (size_t i = 1; i < size; i++) {
    if ((s[i] & 0xc0) != 0x80) return 0;
    code = code << 6 | (s[i] & 0x3f);
  }
  if (code < least[size] || code > 0x10ffff) return 0;
  return code >= 0xd800 && code <= 0xdfff ? 0 : size; /* no surrogates */
}

/* Bytes of ASCII that `s` begins with, looked at eight at a time. */
static inline size_t ascii_run (const unsigned char *s, size_t n) {
  size_t i = 0;
  for (; n - i >= 8; i += 8) {
    uint64_t eight;
    memcpy(&eight, s + i, 8);
    if ((eight & UINT64_C(0x8080808080808080)) != 0) break;
  }
  while (i < n && s[i] < 0x80) i++;
  return i;
}

static bool is_utf8 (const unsigned char *s, size_t n) {
  for (;;) {
    size_t size = ascii_run(s, n);
    s += size;
    n -= size;
    if (n == 0) return true;
    if ((size = utf8_sequence(s, n)) == 0) return false;
    s += size;
    n -= size;
  }
}

/* }================================================================== */

/* {==================================================================
** The path to what can't be stored
** =================================================================== */

#define PATH_ENDS 3  /* steps shown at either end of a long path */
#define PATH_NAME 40 /* bytes shown of one string, about */

typedef struct text { /* words that are cut where the room ends */
  char *at, *end;
} text;

static void text_add (text *t, const char *s, size_t n) {
  size_t room = (size_t)(t->end - t->at);
  if (n > room) n = room;
  memcpy(t->at, s, n);
  t->at += n;
}

static void text_string (text *t, const char *s) {
  text_add(t, s, strlen(s));
}

static bool is_letter (char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_identifier (const char *s, size_t n) {
  if (n == 0 || n > PATH_NAME || !is_letter(s[0])) return false;
  for (size_t i = 1; i < n; i++) {
    if (!is_letter(s[i]) && !(s[i] >= '0' && s[i] <= '9')) return false;
  }
  return true;
}

/* A string in quotes: cut when long, what can't be read as \ddd. */
static void text_quoted (text *t, const char *s, size_t n) {
  bool utf8 = is_utf8((const unsigned char *)s, n);
  const char *stop = t->at + PATH_NAME;
  size_t i, size;
  text_add(t, "\"", 1);
  for (i = 0; i < n && t->at < stop; i += size) {
    unsigned char c = (unsigned char)s[i];
    char code[5];
    size = 1;
    if (c >= 0x80 && utf8) {
      size = utf8_sequence((const unsigned char *)s + i, n - i);
      text_add(t, s + i, size);
    }
    else if (c == '"' || c == '\\') {
      text_add(t, "\\", 1);
      text_add(t, s + i, 1);
    }
    else if (c >= 0x20 && c < 0x7f) text_add(t, s + i, 1);
    else {
      snprintf(code, sizeof(code), "\\%03d", c);
      text_string(t, code);
    }
  }
  text_string(t, i < n ? "...\"" : "\"");
}

/* One step of the path: .name, ["a b"], [3], [1.5], [true] */
static void text_step (text *t, lua_State *L, const frame *f) {
  char number[40];
  int64_t n = f->at;
  if (f->key != 0 && lua_type(L, f->key) == LUA_TSTRING) {
    size_t size;
    const char *s = lua_tolstring(L, f->key, &size);
    if (is_identifier(s, size)) {
      text_add(t, ".", 1);
      text_add(t, s, size);
    }
    else {
      text_add(t, "[", 1);
      text_quoted(t, s, size);
      text_add(t, "]", 1);
    }
    return;
  }
  if (f->key != 0 && lua_type(L, f->key) == LUA_TBOOLEAN)
    snprintf(number, sizeof(number), "[%s]",
             lua_toboolean(L, f->key) ? "true" : "false");
  else if (f->key == 0 || compat_toint64(L, f->key, &n))
    snprintf(number, sizeof(number), "[%lld]", (long long)n);
  else
    snprintf(number, sizeof(number), "[%.14g]", lua_tonumber(L, f->key));
  text_string(t, number);
}

/* The steps from the value down to `f`; of many, the first and the last. */
static void text_path (text *t, lua_State *L, const frame *f) {
  const frame *steps[LVALUE_DEPTH];
  int n = f == NULL ? 0 : f->depth;
  for (int i = n; i-- > 0; f = f->up) steps[i] = f;
  text_string(t, "value");
  for (int i = 0; i < n; i++) {
    if (n > 2 * PATH_ENDS && i == PATH_ENDS) {
      text_string(t, " ... ");
      i = n - PATH_ENDS;
    }
    text_step(t, L, steps[i]);
  }
}

/* BAD_VALUE, "<path>: <words>": for what stands under the key of `f`. */
static lode_status refuse (encoder *e, const frame *f, const char *words) {
  char *room = e->error->text;
  text t = { room, room + sizeof(e->error->text) - 1 };
  text_path(&t, e->L, f);
  text_string(&t, ": ");
  text_string(&t, words);
  *t.at = '\0';
  return e->error->status = LODE_BAD_VALUE;
}

/* The same for what is at `i`: its type can't be `why`, as others can. */
static lode_status refuse_type (encoder *e, const frame *f, int i,
                                const char *why, const char *others) {
  int type = lua_type(e->L, i);
  char words[120];
  snprintf(words, sizeof(words), "%s%s can't be %s; %s can",
           type == LUA_TNIL ? "" :
           type == LUA_TLIGHTUSERDATA ? "a light " : "a ",
           lua_typename(e->L, type), why, others);
  return refuse(e, f, words);
}

static lode_status no_memory (encoder *e) {
  snprintf(e->error->text, sizeof(e->error->text),
           "no memory for the bytes of a value");
  return e->error->status = LODE_NO_MEMORY;
}

/* }================================================================== */

/* {==================================================================
** Bytes
** =================================================================== */

#define HEAD 9 /* bytes of a number, or before a string's or a table's */

/* Where the next `n` bytes go; null when there is no memory for them. */
static inline unsigned char *room_for (encoder *e, size_t n) {
  lode_buffer *b = e->out;
  if (b->room - b->size < n && lode_buffer_reserve(b, n) != LODE_OK)
    return NULL;
  return b->data + b->size;
}

/* Writes the low `width` bytes of `v`, big-endian. Gives the end. */
static inline unsigned char *put (unsigned char *p, uint64_t v, int width) {
  for (int i = width; i-- > 0; v >>= 8) p[i] = (unsigned char)v;
  return p + width;
}

static inline unsigned char *put_marked (unsigned char *p, int mark,
                                         uint64_t v, int width) {
  *p = (unsigned char)mark;
  return put(p + 1, v, width);
}

static inline void advance (encoder *e, const unsigned char *end) {
  e->out->size = (size_t)(end - e->out->data);
}

static unsigned char *put_integer (unsigned char *p, int64_t v) {
  uint64_t u = (uint64_t)v;
  if (v >= -32 && v < 128) return put(p, u, 1);
  if (v >= 0) {
    if (v <= UINT8_MAX) return put_marked(p, MARK_UINT8, u, 1);
    if (v <= UINT16_MAX) return put_marked(p, MARK_UINT16, u, 2);
    if (v <= UINT32_MAX) return put_marked(p, MARK_UINT32, u, 4);
    return put_marked(p, MARK_UINT64, u, 8);
  }
  if (v >= INT8_MIN) return put_marked(p, MARK_INT8, u, 1);
  if (v >= INT16_MIN) return put_marked(p, MARK_INT16, u, 2);
  if (v >= INT32_MIN) return put_marked(p, MARK_INT32, u, 4);
  return put_marked(p, MARK_INT64, u, 8);
}

static lode_status encode_number (encoder *e, int i) {
  unsigned char *p = room_for(e, HEAD);
  int64_t n;
  if (p == NULL) return no_memory(e);
  if (compat_toint64(e->L, i, &n)) p = put_integer(p, n);
  else {
    lua_Number v = lua_tonumber(e->L, i);
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    p = put_marked(p, MARK_FLOAT64, bits, 8);
  }
  advance(e, p);
  return LODE_OK;
}

static lode_status encode_boolean (encoder *e, int i) {
  unsigned char *p = room_for(e, HEAD);
  if (p == NULL) return no_memory(e);
  *p = lua_toboolean(e->L, i) ? MARK_TRUE : MARK_FALSE;
  e->out->size++;
  return LODE_OK;
}

static lode_status encode_string (encoder *e, int i, const frame *f) {
  size_t size;
  const char *s = lua_tolstring(e->L, i, &size); /* it is one: no change */
  bool utf8 = is_utf8((const unsigned char *)s, size);
  unsigned char *p;
  if (size > UINT32_MAX)
    return refuse(e, f, "a string of 4 GiB or more can't be stored");
  if ((p = room_for(e, HEAD + size)) == NULL) return no_memory(e);
  if (utf8 && size < 32) *p++ = (unsigned char)(MARK_FIXSTR | size);
  else if (size <= UINT8_MAX)
    p = put_marked(p, utf8 ? MARK_STR8 : MARK_BIN8, size, 1);
  else if (size <= UINT16_MAX)
    p = put_marked(p, utf8 ? MARK_STR16 : MARK_BIN16, size, 2);
  else p = put_marked(p, utf8 ? MARK_STR32 : MARK_BIN32, size, 4);
  memcpy(p, s, size);
  advance(e, p + size);
  return LODE_OK;
}

/* }================================================================== */

/* {==================================================================
** Tables
** =================================================================== */

static lode_status encode_value (encoder *e, int i, const frame *f);

/*
** Whether the keys of the table at `t` are just 1..n. Lua's length is any
** border where there are holes, and says nothing of other keys; but n
** different keys that are all in 1..n are all of them.
*/
static bool is_sequence (lua_State *L, int t, uint64_t n) {
  uint64_t count = 0;
  int key = lua_gettop(L) + 1;
  lua_pushnil(L);
  while (lua_next(L, t)) {
    int64_t k;
    if (!compat_toint64(L, key, &k) || k < 1 || (uint64_t)k > n) {
      lua_settop(L, key - 1);
      return false;
    }
    count++;
    lua_settop(L, key);
  }
  return count == n;
}

static lode_status encode_array (encoder *e, int t, frame *f, uint64_t n) {
  unsigned char *p = room_for(e, HEAD);
  int value = lua_gettop(e->L) + 1;
  if (p == NULL) return no_memory(e);
  if (n < 16) *p++ = (unsigned char)(MARK_FIXARRAY | n);
  else if (n <= UINT16_MAX) p = put_marked(p, MARK_ARRAY16, n, 2);
  else p = put_marked(p, MARK_ARRAY32, n, 4);
  advance(e, p);
  f->key = 0;
  for (uint64_t i = 1; i <= n; i++) {
    lode_status st;
    f->at = (int64_t)i;
    lua_rawgeti(e->L, t, (lua_Integer)i);
    st = encode_value(e, value, f);
    if (st != LODE_OK) return st;
    lua_settop(e->L, value - 1);
  }
  return LODE_OK;
}

static lode_status encode_key (encoder *e, int i, const frame *f) {
  switch (lua_type(e->L, i)) {
    case LUA_TSTRING: return encode_string(e, i, f);
    case LUA_TNUMBER: return encode_number(e, i);
    case LUA_TBOOLEAN: return encode_boolean(e, i);
    default: return refuse_type(e, f->up, i, "a key",
                                "strings, numbers and booleans");
  }
}

/*
** Writes the head of a map of `n` entries at `head`, where one byte was
** left for it: most maps are small, and their entries are not counted
** before. Those of a large one move up. Without any it is an array.
*/
static lode_status end_map (encoder *e, size_t head, uint64_t n) {
  lode_buffer *b = e->out;
  size_t more = n < 16 ? 0 : n <= UINT16_MAX ? 2 : 4;
  unsigned char *p;
  if (more != 0) {
    if (room_for(e, more) == NULL) return no_memory(e);
    memmove(b->data + head + 1 + more, b->data + head + 1,
            b->size - head - 1);
    b->size += more;
  }
  p = b->data + head;
  if (n == 0) *p = MARK_FIXARRAY;
  else if (more == 0) *p = (unsigned char)(MARK_FIXMAP | n);
  else if (more == 2) put_marked(p, MARK_MAP16, n, 2);
  else put_marked(p, MARK_MAP32, n, 4);
  return LODE_OK;
}

static lode_status encode_map (encoder *e, int t, frame *f) {
  lua_State *L = e->L;
  size_t head = e->out->size;
  uint64_t n = 0;
  int key = lua_gettop(L) + 1;
  if (room_for(e, HEAD) == NULL) return no_memory(e);
  e->out->size++;
  f->key = key;
  lua_pushnil(L);
  while (lua_next(L, t)) {
    lode_status st = encode_key(e, key, f);
    if (st == LODE_OK) st = encode_value(e, key + 1, f);
    if (st != LODE_OK) return st;
    n++;
    lua_settop(L, key);
  }
  if (n > UINT32_MAX)
    return refuse(e, f->up, "a table of 2^32 entries can't be stored");
  return end_map(e, head, n);
}

static lode_status encode_table (encoder *e, int t, const frame *up) {
  frame f = { up, lua_topointer(e->L, t), 0, 0, up ? up->depth + 1 : 1 };
  uint64_t n;
  for (; up != NULL; up = up->up) {
    if (up->table == f.table)
      return refuse(e, f.up, "a table inside itself can't be stored; put "
                    "a key in its place");
  }
  if (f.depth > LVALUE_DEPTH)
    return refuse(e, f.up, "tables this deep in tables can't be stored; "
                  "128 levels can");
  if (f.depth % LEVELS == 0 && !lua_checkstack(e->L, SLOTS))
    return no_memory(e);
  n = lua_rawlen(e->L, t);
  if (n > 0 && n <= UINT32_MAX && is_sequence(e->L, t, n))
    return encode_array(e, t, &f, n);
  return encode_map(e, t, &f);
}

/* The value at `i`, which stands under the present key of `f`. */
static lode_status encode_value (encoder *e, int i, const frame *f) {
  switch (lua_type(e->L, i)) {
    case LUA_TSTRING: return encode_string(e, i, f);
    case LUA_TNUMBER: return encode_number(e, i);
    case LUA_TBOOLEAN: return encode_boolean(e, i);
    case LUA_TTABLE: return encode_table(e, i, f);
    default: return refuse_type(e, f, i, "stored", "booleans, numbers, "
                                "strings and tables of these");
  }
}

/* }================================================================== */

lode_status lvalue_encode (lua_State *L, int i, lode_buffer *out,
                           lode_error *error) {
  encoder e = { L, out, error };
  int top = lua_gettop(L);
  size_t size = out->size;
  lode_status st;
  if (!lua_checkstack(L, SLOTS)) return no_memory(&e);
  st = encode_value(&e, lua_absindex(L, i), NULL);
  if (st != LODE_OK) {
    out->size = size;
    lua_settop(L, top);
  }
  return st;
}

/* {==================================================================
** pack
** =================================================================== */

/* The metatable's name: a buffer that the collector can free. */
#define SCRATCH "lode.scratch"

/* [-0, +0, -] */
static int scratch__gc (lua_State *L) {
  lode_buffer_free((lode_buffer *)lua_touserdata(L, 1));
  return 0;
}

/* Pushes an empty buffer. */
static lode_buffer *scratch_push (lua_State *L) {
  lode_buffer *b = (lode_buffer *)lua_newuserdatauv(L, sizeof(*b), 0);
  memset(b, 0, sizeof(*b));
  if (luaL_newmetatable(L, SCRATCH)) {
    lua_pushcfunction(L, scratch__gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return b;
}

int lvalue_pack (lua_State *L) {
  enum { VALUE = 1 };
  lode_error error;
  lode_buffer *b;
  lode_status st;
  lua_settop(L, VALUE);
  b = scratch_push(L);
  st = lvalue_encode(L, VALUE, b, &error);
  if (st == LODE_OK) lua_pushlstring(L, (const char *)b->data, b->size);
  lode_buffer_free(b);
  return st == LODE_OK ? 1 : lode_raise(L, st, error.text);
}

/* }================================================================== */
