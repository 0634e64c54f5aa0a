/*
** lunpack.c - from MessagePack bytes to a Lua value on the stack.
**
** One pass, each part made where it belongs: tables are created at their
** size, strings are read from where the bytes lie. The bytes are not
** trusted. Each value takes a byte at least, so an array or map that
** declares more than the bytes can hold is refused before it is made; and
** while it is read, the bytes its other elements need are set aside (`end`
** comes nearer), so that tables in tables can't each claim the whole rest.
*/
#include <stdio.h>

#include "lvalue.h"
#include "lerror.h"

typedef struct decoder {
  lua_State *L;
  const unsigned char *p;     /* the next byte */
  const unsigned char *end;   /* of what the present value may take */
  const unsigned char *start;
  lode_error *error;
} decoder;

/* Stack is asked for so many levels at once: a table, a key, a value each. */
#define LEVELS 4
#define SLOTS (3 * LEVELS)

static lode_status decode_value (decoder *d, int depth);

/* {==================================================================
** Failures
** =================================================================== */

static lode_status corrupt (decoder *d, const char *words) {
  snprintf(d->error->text, sizeof(d->error->text),
           "bad MessagePack at byte %zu: %s",
           (size_t)(d->p - d->start), words);
  return d->error->status = LODE_CORRUPT;
}

static lode_status truncated (decoder *d) {
  return corrupt(d, "the bytes end within a value");
}

static lode_status no_memory (decoder *d) {
  snprintf(d->error->text, sizeof(d->error->text),
           "no memory to read a value");
  return d->error->status = LODE_NO_MEMORY;
}

/* }================================================================== */

/* {==================================================================
** Scalars
** =================================================================== */

/* `width` bytes, which must be there, as a number: big-endian. */
static inline uint64_t get (const unsigned char *p, int width) {
  uint64_t v = 0;
  for (int i = 0; i < width; i++) v = v << 8 | p[i];
  return v;
}

static inline bool has (const decoder *d, size_t n) {
  return (size_t)(d->end - d->p) >= n;
}

/* The number of `width` bytes after the mark at `p`, and past it. */
static inline bool read_number (decoder *d, int width, uint64_t *v) {
  if (!has(d, (size_t)width + 1)) return false;
  *v = get(d->p + 1, width);
  d->p += width + 1;
  return true;
}

static lode_status decode_unsigned (decoder *d, int width) {
  uint64_t v;
  if (!read_number(d, width, &v)) return truncated(d);
  if (v > INT64_MAX) lua_pushnumber(d->L, (lua_Number)v);
  else compat_pushint64(d->L, (int64_t)v);
  return LODE_OK;
}

static lode_status decode_signed (decoder *d, int width) {
  uint64_t v, sign = UINT64_C(1) << (8 * width - 1);
  if (!read_number(d, width, &v)) return truncated(d);
  compat_pushint64(d->L, (int64_t)((v ^ sign) - sign));
  return LODE_OK;
}

static lode_status decode_float32 (decoder *d) {
  uint64_t v;
  uint32_t bits;
  float number;
  if (!read_number(d, 4, &v)) return truncated(d);
  bits = (uint32_t)v;
  memcpy(&number, &bits, sizeof(number));
  lua_pushnumber(d->L, (lua_Number)number);
  return LODE_OK;
}

static lode_status decode_float64 (decoder *d) {
  uint64_t bits;
  lua_Number number;
  if (!read_number(d, 8, &bits)) return truncated(d);
  memcpy(&number, &bits, sizeof(number));
  lua_pushnumber(d->L, number);
  return LODE_OK;
}

/*
** Pushes a string of less than 32 bytes: most of what a table holds, so
** it is tried first. False for all else, and then nothing was done.
*/
static inline bool decode_short (decoder *d) {
  const unsigned char *p = d->p;
  size_t left = (size_t)(d->end - p);
  size_t n = left == 0 ? left : (size_t)(*p ^ MARK_FIXSTR);
  if (n >= 32 || n >= left) return false;
  d->p = p + 1 + n;
  lua_pushlstring(d->L, (const char *)p + 1, n);
  return true;
}

/* A string of `n` bytes whose head takes `head`. */
static inline lode_status decode_bytes (decoder *d, size_t head, size_t n) {
  const char *s = (const char *)d->p + head;
  if (!has(d, head) || n > (size_t)(d->end - d->p) - head)
    return truncated(d);
  d->p += head + n;
  lua_pushlstring(d->L, s, n);
  return LODE_OK;
}

static lode_status decode_string (decoder *d, int width) {
  if (!has(d, (size_t)width + 1)) return truncated(d);
  return decode_bytes(d, (size_t)width + 1, get(d->p + 1, width));
}

/* }================================================================== */

/* {==================================================================
** Tables
** =================================================================== */

/*
** What any table needs first: a depth within bounds, stack, and a byte set
** aside for each of its `n` parts.
*/
static inline lode_status begin_table (decoder *d, uint64_t n, int depth) {
  if (n > (size_t)(d->end - d->p)) return truncated(d);
  if (depth > LVALUE_DEPTH) return corrupt(d, "tables too deep in tables");
  if (depth % LEVELS == 0 && !lua_checkstack(d->L, SLOTS))
    return no_memory(d);
  d->end -= n;
  return LODE_OK;
}

static lode_status decode_array (decoder *d, uint64_t n, int depth) {
  lode_status st = begin_table(d, n, depth);
  if (st != LODE_OK) return st;
  if (n > INT_MAX) return no_memory(d);
  lua_createtable(d->L, (int)n, 0);
  for (lua_Integer i = 1; i <= (lua_Integer)n; i++) {
    d->end++;
    if (!decode_short(d)) {
      st = decode_value(d, depth);
      if (st != LODE_OK) return st;
    }
    lua_rawseti(d->L, -2, i);
  }
  return LODE_OK;
}

/* A key that is no short string: what Lua and lode take as one. */
static lode_status decode_key (decoder *d, int depth) {
  int mark;
  if (!has(d, 1)) return truncated(d);
  mark = *d->p;
  if (mark == MARK_NIL) return corrupt(d, "nil as a key");
  if ((mark >= MARK_FIXMAP && mark < MARK_FIXSTR) ||
      (mark >= MARK_ARRAY16 && mark <= MARK_MAP32))
    return corrupt(d, "a table as a key");
  if (mark == MARK_FLOAT32 || mark == MARK_FLOAT64) {
    const unsigned char *p = d->p;
    lode_status st = decode_value(d, depth);
    if (st != LODE_OK || lua_tonumber(d->L, -1) == lua_tonumber(d->L, -1))
      return st;
    d->p = p;
    return corrupt(d, "NaN as a key");
  }
  return decode_value(d, depth);
}

static lode_status decode_map (decoder *d, uint64_t n, int depth) {
  lode_status st = begin_table(d, 2 * n, depth);
  if (st != LODE_OK) return st;
  if (n > INT_MAX) return no_memory(d);
  lua_createtable(d->L, 0, (int)n);
  for (; n > 0; n--) {
    d->end++;
    if (!decode_short(d)) {
      st = decode_key(d, depth);
      if (st != LODE_OK) return st;
    }
    d->end++;
    if (!decode_short(d)) {
      st = decode_value(d, depth);
      if (st != LODE_OK) return st;
    }
    lua_rawset(d->L, -3);
  }
  return LODE_OK;
}

static lode_status decode_table (decoder *d, int width, bool map,
                                 int depth) {
  uint64_t n;
  if (!read_number(d, width, &n)) return truncated(d);
  return map ? decode_map(d, n, depth) : decode_array(d, n, depth);
}

/* }================================================================== */

/* What begins with a mark that says nothing but its kind. */
static lode_status decode_marked (decoder *d, int mark, int depth) {
  lua_State *L = d->L;
  switch (mark) {
    case MARK_NIL: lua_pushnil(L); break;
    case MARK_FALSE: lua_pushboolean(L, 0); break;
    case MARK_TRUE: lua_pushboolean(L, 1); break;
    case MARK_BIN8: case MARK_STR8: return decode_string(d, 1);
    case MARK_BIN16: case MARK_STR16: return decode_string(d, 2);
    case MARK_BIN32: case MARK_STR32: return decode_string(d, 4);
    case MARK_FLOAT32: return decode_float32(d);
    case MARK_FLOAT64: return decode_float64(d);
    case MARK_UINT8: return decode_unsigned(d, 1);
    case MARK_UINT16: return decode_unsigned(d, 2);
    case MARK_UINT32: return decode_unsigned(d, 4);
    case MARK_UINT64: return decode_unsigned(d, 8);
    case MARK_INT8: return decode_signed(d, 1);
    case MARK_INT16: return decode_signed(d, 2);
    case MARK_INT32: return decode_signed(d, 4);
    case MARK_INT64: return decode_signed(d, 8);
    case MARK_ARRAY16: return decode_table(d, 2, false, depth + 1);
    case MARK_ARRAY32: return decode_table(d, 4, false, depth + 1);
    case MARK_MAP16: return decode_table(d, 2, true, depth + 1);
    case MARK_MAP32: return decode_table(d, 4, true, depth + 1);
    case MARK_UNUSED: return corrupt(d, "0xc1 begins no value");
    default: return corrupt(d, "extension types are not read");
  }
  d->p++;
  return LODE_OK;
}

/* Pushes the value at `p`, which is in `depth` tables, and moves past it. */
static lode_status decode_value (decoder *d, int depth) {
  int mark;
  if (!has(d, 1)) return truncated(d);
  mark = *d->p;
  if (mark >= MARK_FIXSTR && mark < MARK_NIL)
    return decode_bytes(d, 1, mark & 0x1f);
  if (mark >= MARK_NIL && mark < MARK_NEGATIVE)
    return decode_marked(d, mark, depth);
  d->p++;
  if (mark < MARK_FIXMAP) compat_pushint64(d->L, mark);
  else if (mark >= MARK_NEGATIVE) compat_pushint64(d->L, mark - 256);
  else if (mark < MARK_FIXARRAY) return decode_map(d, mark & 15, depth + 1);
  else return decode_array(d, mark & 15, depth + 1);
  return LODE_OK;
}

lode_status lvalue_decode (lua_State *L, lode_slice bytes,
                           lode_error *error) {
  decoder d = { L, bytes.data, bytes.data + bytes.size, bytes.data, error };
  int top = lua_gettop(L);
  lode_status st = lua_checkstack(L, SLOTS) ? decode_value(&d, 0)
                                        : no_memory(&d);
  if (st == LODE_OK && d.p != d.end)
    st = corrupt(&d, "bytes are left after the value");
  if (st != LODE_OK) lua_settop(L, top);
  return st;
}

int lvalue_unpack (lua_State *L) {
  enum { BYTES = 1 };
  lode_slice bytes;
  lode_error error;
  lode_status st;
  lua_settop(L, BYTES);
  if (lua_type(L, BYTES) != LUA_TSTRING) {
    return lode_raise(L, LODE_BAD_ARGUMENT, lua_pushfstring(L,
           "unpack reads a string, not a %s", luaL_typename(L, BYTES)));
  }
  bytes.data = (const unsigned char *)lua_tolstring(L, BYTES, &bytes.size);
  st = lvalue_decode(L, bytes, &error);
  return st == LODE_OK ? 1 : lode_raise(L, st, error.text);
}
