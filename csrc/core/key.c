/*
** key.c - scalars and tuples as the bytes that key.h draws.
**
** Order is won by encoding, so that the tree compares plain bytes. An
** integer and a float of the same value are one key, as in a Lua table, and
** order is exact over all 64-bit integers. What is read may come from a
** damaged file: every size is checked, and bytes that the encoders below
** can't have made are CORRUPT, so each key has just one encoding.
*/
#include "key.h"

#include <float.h>

#include "check.h"

_Static_assert(sizeof(double) == 8 && FLT_RADIX == 2 && DBL_MANT_DIG == 53,
               "keys hold IEEE 754 doubles");
_Static_assert(KEY_PREFIX > 1 && LODE_KEY_ROOM < LODE_KEY_MAX,
               "long keys are to fit");

enum { /* the first byte of a key and of an element */
  TYPE_FALSE = 0x02,
  TYPE_TRUE = 0x03,
  TYPE_NUMBER = 0x05,
  TYPE_STRING = KEY_STRING,
  TYPE_TUPLE = 0x09
};

#define END 0x00      /* of a string or an exact number in a tuple */
#define ESCAPE 0x01   /* in a string of a tuple, before a byte + 1 */
#define DISTANCE 0x80 /* set in the first byte of a distance */

#define TWO_63 9223372036854775808.0 /* the least double past integers */
#define SIGN ((uint64_t)1 << 63)

/* {==================================================================
** Doubles as bits
** =================================================================== */

static inline uint64_t double_bits (double v) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}

static inline double double_of_bits (uint64_t bits) {
  double v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

/* Bits that sort, as unsigned numbers, in the order of the doubles. */
static inline uint64_t double_rank (double v) {
  uint64_t bits = double_bits(v);
  return bits & SIGN ? ~bits : bits ^ SIGN;
}

static inline double double_of_rank (uint64_t rank) {
  return double_of_bits(rank & SIGN ? rank ^ SIGN : ~rank);
}

/*
** The greatest double that is not above `v`. The conversion gives one of
** the two neighbours of `v`, whichever way the processor rounds.
*/
static inline double double_floor (int64_t v) {
  double d = (double)v;
  bool above = d >= TWO_63 || (int64_t)d > v;
  return above ? double_of_rank(double_rank(d) - 1) : d;
}

/* Whether a 64-bit integer equals `v`. */
static bool double_is_integer (double v) {
  return v >= -TWO_63 && v < TWO_63 && v == (double)(int64_t)v;
}

/* }================================================================== */

/* {==================================================================
** Writing
** =================================================================== */

/* Whether what comes next to `b` is an element of a tuple. */
static inline bool is_element (const lode_buffer *b) {
  return b->size != 0;
}

/*
** Makes room for `size` bytes of one more scalar. BAD_ARGUMENT where `b`
** holds a whole key, BAD_KEY where the key grows too long, NO_MEMORY.
*/
static lode_status scalar_room (lode_buffer *b, size_t size) {
  if (is_element(b) && b->data[0] != TYPE_TUPLE) return LODE_BAD_ARGUMENT;
  if (b->size > LODE_KEY_MAX || size > LODE_KEY_MAX - b->size)
    return LODE_BAD_KEY;
  return lode_buffer_reserve(b, size);
}

static void add_byte (lode_buffer *b, unsigned byte) {
  lode_assert(b->size < b->room);
  b->data[b->size++] = (unsigned char)byte;
}

/* Adds the number that is `distance` above the double `floor`. */
static lode_status add_number (lode_buffer *b, double floor,
                               unsigned distance) {
  bool marked = is_element(b) && distance == 0;
  size_t size = 1 + 8 + (distance != 0 ? 2 : marked);
  lode_status status = scalar_room(b, size);
  if (status != LODE_OK) return status;
  add_byte(b, TYPE_NUMBER);
  put_u64(b->data + b->size, double_rank(floor));
  b->size += 8;
  if (distance != 0) {
    add_byte(b, DISTANCE | distance >> 8);
    add_byte(b, distance & 0xFF);
  }
  else if (marked)
    add_byte(b, END);
  return LODE_OK;
}

lode_status lode_key_boolean (lode_buffer *b, bool v) {
  lode_status status = scalar_room(b, 1);
  if (status == LODE_OK) add_byte(b, v ? TYPE_TRUE : TYPE_FALSE);
  return status;
}

lode_status lode_key_integer (lode_buffer *b, int64_t v) {
  double floor = double_floor(v);
  int64_t distance = v - (int64_t)floor;
  lode_assert(0 <= distance && distance < 1024);
  return add_number(b, floor, (unsigned)distance);
}

lode_status lode_key_number (lode_buffer *b, double v) {
  if (v != v) return LODE_BAD_KEY;
  return add_number(b, v == 0 ? 0 : v, 0); /* -0.0 too becomes 0 */
}

/* How many of `size` bytes are escaped in a tuple. */
static size_t count_escaped (const unsigned char *s, size_t size) {
  size_t n = 0;
  while (size-- > 0) n += s[size] <= ESCAPE;
  return n;
}

/* Adds a string to a tuple that has room for it. */
static void add_escaped (lode_buffer *b, const unsigned char *s,
                         size_t size) {
  unsigned char *p = b->data + b->size;
  size_t i;
  for (i = 0; i < size; i++) {
    if (s[i] <= ESCAPE) {
      *p++ = ESCAPE;
      *p++ = (unsigned char)(s[i] + 1);
    }
    else
      *p++ = s[i];
  }
  *p++ = END;
  b->size = (size_t)(p - b->data);
}

/* BAD_KEY also for a string that makes the key longer than LODE_KEY_MAX. */
lode_status lode_key_string (lode_buffer *b, const void *s, size_t size) {
  bool element = is_element(b);
  size_t room = 1 + size;
  lode_status status;
  if (size >= LODE_KEY_MAX) return LODE_BAD_KEY;
  if (element) room += count_escaped(s, size) + 1;
  status = scalar_room(b, room);
  if (status != LODE_OK) return status;
  add_byte(b, TYPE_STRING);
  if (element)
    add_escaped(b, s, size);
  else if (size != 0) {
    memcpy(b->data + b->size, s, size);
    b->size += size;
  }
  return LODE_OK;
}

/* BAD_ARGUMENT where the buffer is not empty; NO_MEMORY. */
lode_status lode_key_tuple (lode_buffer *b) {
  lode_status status;
  if (b->size != 0) return LODE_BAD_ARGUMENT;
  status = lode_buffer_reserve(b, 1);
  if (status == LODE_OK) add_byte(b, TYPE_TUPLE);
  return status;
}

/* }================================================================== */

/* {==================================================================
** Reading
** =================================================================== */

static inline void skip (lode_slice *s, size_t n) {
  lode_assert(n <= s->size);
  s->data += n;
  s->size -= n;
}

/*
** Takes what follows a double off `rest`: a distance, or nothing (0). A
** whole key's number ends with the key, a tuple's with a mark.
*/
static lode_status read_distance (lode_slice *rest, bool in_tuple,
                                  unsigned *distance) {
  if (rest->size == 0) {
    if (in_tuple) return LODE_CORRUPT;
    *distance = 0;
  }
  else if (rest->data[0] == END && in_tuple) {
    *distance = 0;
    skip(rest, 1);
  }
  else {
    if (rest->size < 2 || rest->data[0] < DISTANCE) return LODE_CORRUPT;
    *distance = get_u16(rest->data) & ~((unsigned)DISTANCE << 8);
    if (*distance == 0) return LODE_CORRUPT;
    skip(rest, 2);
  }
  return LODE_OK;
}

static lode_status read_number (lode_slice *rest, bool in_tuple,
                                lode_atom *atom) {
  unsigned distance;
  lode_status status;
  uint64_t rank;
  double floor;
  if (rest->size < 8) return LODE_CORRUPT;
  rank = get_u64(rest->data);
  floor = double_of_rank(rank);
  if (floor != floor || rank == ~SIGN) return LODE_CORRUPT; /* NaN, -0.0 */
  skip(rest, 8);
  status = read_distance(rest, in_tuple, &distance);
  if (status != LODE_OK) return status;
  if (double_is_integer(floor)) {
    /* The next double must be above: this also keeps the sum in range. */
    if (distance >= double_of_rank(rank + 1) - floor && distance != 0)
      return LODE_CORRUPT;
    atom->type = LODE_KEY_INTEGER;
    atom->integer = (int64_t)floor + distance;
  }
  else {
    if (distance != 0) return LODE_CORRUPT;
    atom->type = LODE_KEY_NUMBER;
    atom->number = floor;
  }
  return LODE_OK;
}

/*
** Copies `s`, which has no END, to `scratch` without its escapes.
** CORRUPT, NO_MEMORY.
*/
static lode_status unescape (lode_slice s, lode_buffer *scratch) {
  lode_status status;
  scratch->size = 0;
  status = lode_buffer_reserve(scratch, s.size);
  if (status != LODE_OK) return status;
  while (s.size > 0) {
    unsigned byte = s.data[0];
    skip(&s, 1);
    if (byte == ESCAPE) {
      if (s.size == 0 || s.data[0] > ESCAPE + 1) return LODE_CORRUPT;
      byte = s.data[0] - 1u;
      skip(&s, 1);
    }
    add_byte(scratch, byte);
  }
  return LODE_OK;
}

/* Takes the string of a tuple, with its end, off `rest`. */
static lode_status read_escaped (lode_slice *rest, lode_buffer *scratch,
                                 lode_slice *string) {
  const unsigned char *end;
  lode_slice s;
  end = memchr(rest->data, END, rest->size);
  if (end == NULL) return LODE_CORRUPT;
  s = slice_of(rest->data, (size_t)(end - rest->data));
  skip(rest, s.size + 1);
  if (s.size != 0 && memchr(s.data, ESCAPE, s.size) != NULL) {
    lode_status status = unescape(s, scratch);
    if (status != LODE_OK) return status;
    s = slice_of_buffer(scratch);
  }
  *string = s;
  return LODE_OK;
}

/*
** On failure `rest`, `in_tuple` and `atom` are as they were. A string that
** is a whole key is never escaped, so `scratch` may be null where only the
** first part is read.
*/
lode_status lode_key_read (lode_slice *rest, bool *in_tuple,
                           lode_buffer *scratch, lode_atom *atom) {
  lode_slice left = *rest;
  lode_atom a = { 0 };
  bool tuple = *in_tuple;
  lode_status status = LODE_OK;
  unsigned type;
  if (left.size == 0) return LODE_ABSENT;
  type = left.data[0];
  skip(&left, 1);
  switch (type) {
    case TYPE_FALSE: case TYPE_TRUE:
      a.type = LODE_KEY_BOOLEAN;
      a.boolean = type == TYPE_TRUE;
      break;
    case TYPE_NUMBER:
      status = read_number(&left, tuple, &a);
      break;
    case TYPE_STRING:
      a.type = LODE_KEY_STRING;
      a.string = left;
      if (tuple)
        status = read_escaped(&left, scratch, &a.string);
      else
        skip(&left, left.size);
      break;
    case TYPE_TUPLE:
      if (tuple) return LODE_CORRUPT;
      a.type = LODE_KEY_TUPLE;
      tuple = true;
      break;
    default:
      return LODE_CORRUPT;
  }
  if (status != LODE_OK) return status;
  if (!tuple && left.size != 0) return LODE_CORRUPT;
  *rest = left;
  *in_tuple = tuple;
  *atom = a;
  return LODE_OK;
}

lode_status key_type (lode_slice whole, lode_key_type *type) {
  bool in_tuple = false;
  lode_atom atom;
  lode_status status = lode_key_read(&whole, &in_tuple, NULL, &atom);
  if (status == LODE_ABSENT) return LODE_CORRUPT; /* no key is empty */
  if (status == LODE_OK) *type = atom.type;
  return status;
}

/* }================================================================== */

/* {==================================================================
** In the tree
** =================================================================== */

void key_store (lode_key *key, lode_slice hash,
                const unsigned char secret[HASH_SIZE]) {
  unsigned char *tail = key->room + KEY_PREFIX;
  lode_assert(key->whole.size > 0);
  if (key->whole.size < LODE_KEY_ROOM) {
    key->stored = key->whole;
    return;
  }
  memcpy(key->room, key->whole.data, KEY_PREFIX);
  if (hash.size == 0)
    hash_sip(secret, key->whole, tail);
  else {
    size_t n = hash.size < HASH_SIZE ? hash.size : HASH_SIZE;
    memset(tail, 0, HASH_SIZE);
    memcpy(tail, hash.data, n);
  }
  key->stored = slice_of(key->room, LODE_KEY_ROOM);
}

size_t key_successor (lode_slice prefix, unsigned char *out) {
  size_t n = prefix.size < KEY_PREFIX ? prefix.size : KEY_PREFIX;
  while (n > 0 && prefix.data[n - 1] == 0xFF) n--; /* nothing is past them */
  if (n == 0) return 0;
  memcpy(out, prefix.data, n);
  out[n - 1]++;
  return n;
}

/* }================================================================== */
