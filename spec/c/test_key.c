/*
** test_key.c - keys as bytes: order, round trips, hostile bytes.
**
** What order ought to be is worked out here from the values, never from
** the bytes. Random keys are made of few different bytes and numbers, so
** that prefixes, equals and near misses are common.
*/
#include "test.h"

#include <float.h>

#include "core/key.h"

static const lode_buffer no_buffer = { NULL, 0, 0 };

/* {==================================================================
** Atoms and their order
** =================================================================== */

static lode_atom integer (int64_t v) {
  lode_atom a = { .type = LODE_KEY_INTEGER, .integer = v };
  return a;
}

static lode_atom number (double v) {
  lode_atom a = { .type = LODE_KEY_NUMBER, .number = v };
  return a;
}

static lode_atom boolean (bool v) {
  lode_atom a = { .type = LODE_KEY_BOOLEAN, .boolean = v };
  return a;
}

static lode_atom string (lode_slice v) {
  lode_atom a = { .type = LODE_KEY_STRING, .string = v };
  return a;
}

static lode_status add_atom (lode_buffer *b, const lode_atom *a) {
  switch (a->type) {
    case LODE_KEY_BOOLEAN: return lode_key_boolean(b, a->boolean);
    case LODE_KEY_INTEGER: return lode_key_integer(b, a->integer);
    case LODE_KEY_NUMBER: return lode_key_number(b, a->number);
    case LODE_KEY_STRING:
      return lode_key_string(b, a->string.data, a->string.size);
    default: return lode_key_tuple(b);
  }
}

/* An integer against a double, exactly: whole parts first. */
static int compare_mixed (int64_t i, double d) {
  int64_t whole;
  double rest;
  if (d >= 9223372036854775808.0) return -1;
  if (d < -9223372036854775808.0) return 1;
  whole = (int64_t)d; /* toward zero */
  if (i != whole) return i < whole ? -1 : 1;
  rest = d - (double)whole;
  return rest > 0 ? -1 : rest < 0;
}

static int compare_numbers (const lode_atom *a, const lode_atom *b) {
  if (a->type == LODE_KEY_INTEGER && b->type == LODE_KEY_INTEGER)
    return (a->integer > b->integer) - (a->integer < b->integer);
  if (a->type == LODE_KEY_INTEGER)
    return compare_mixed(a->integer, b->number);
  if (b->type == LODE_KEY_INTEGER)
    return -compare_mixed(b->integer, a->number);
  return (a->number > b->number) - (a->number < b->number);
}

static int rank (const lode_atom *a) {
  return a->type == LODE_KEY_BOOLEAN ? 0 : a->type == LODE_KEY_STRING ? 2
                                                                      : 1;
}

/* The order of scalars as it is promised. */
static int compare_atoms (const lode_atom *a, const lode_atom *b) {
  if (rank(a) != rank(b)) return rank(a) < rank(b) ? -1 : 1;
  if (rank(a) == 0) return a->boolean - b->boolean;
  if (rank(a) == 2) return test_sign(slice_compare(a->string, b->string));
  return compare_numbers(a, b);
}

/* }================================================================== */

/* {==================================================================
** Numbers
** =================================================================== */

static lode_atom numbers[4000];
static size_t n_numbers;

static void collect (lode_atom a) {
  if (n_numbers == LENGTH(numbers)) exit(2);
  if (a.type == LODE_KEY_INTEGER || a.number == a.number)
    numbers[n_numbers++] = a;
}

/* `v`, negative and positive, and the doubles next to it. */
static void collect_near_double (double v) {
  int sign, step;
  for (sign = -1; sign <= 1; sign += 2) {
    for (step = -2; step <= 2; step++) {
      double d = v * sign;
      uint64_t bits;
      memcpy(&bits, &d, sizeof bits);
      bits += (uint64_t)(int64_t)step;
      memcpy(&d, &bits, sizeof d);
      collect(number(d));
    }
  }
}

static void collect_near_integer (uint64_t v, int distance) {
  int step;
  for (step = -distance; step <= distance; step++) {
    uint64_t near = v + (uint64_t)(int64_t)step;
    int64_t i;
    memcpy(&i, &near, sizeof i); /* two's complement, as int64_t is */
    collect(integer(i));
  }
}

static void collect_numbers (void) {
  double power = 1.0 / 16;
  int i;
  n_numbers = 0;
  collect_near_integer(0, 20);
  for (i = 2; i < 64; i++) {
    collect_near_integer((uint64_t)1 << i, i >= 52 ? 5 : 1);
    collect_near_integer(0 - ((uint64_t)1 << i), i >= 52 ? 5 : 1);
  }
  for (i = 0; i < 3; i++) { /* about the doubles next to 2^63, 2^62 */
    uint64_t steps[] = { 512, 1024, 2048 }, far = steps[i];
    collect_near_integer(((uint64_t)1 << 63) - far, 3);
    collect_near_integer(((uint64_t)1 << 63) + far, 3);
    collect_near_integer(((uint64_t)1 << 62) - far, 3);
    collect_near_integer(((uint64_t)1 << 62) + far, 3);
    collect_near_integer(0 - ((uint64_t)1 << 62) - far, 3);
    collect_near_integer(0 - ((uint64_t)1 << 62) + far, 3);
  }
  for (i = -4; i < 68; i++, power *= 2) collect_near_double(power);
  collect(number(0.0));
  collect(number(-0.0));
  collect_near_double(0.3);
  collect_near_double(2.5);
  collect_near_double(DBL_MIN);
  collect_near_double(DBL_MIN / 4503599627370496.0 * 3); /* denormal */
  collect_near_double(DBL_MAX); /* infinity is next to it */
  collect_near_double(1e300);
  for (i = 0; i < 200; i++) {
    uint64_t bits = test_random();
    double d;
    memcpy(&d, &bits, sizeof d);
    collect(number(d));
    collect(number((double)(int64_t)bits / 3));
    bits >>= test_below(64);
    collect_near_integer(bits, 0);
    collect_near_integer(0 - bits, 0);
  }
}

typedef struct encoded { unsigned char bytes[16]; size_t size; } encoded;

static lode_slice slice_of_encoded (const encoded *e) {
  return slice_of(e->bytes, e->size);
}

static encoded whole_codes[LENGTH(numbers)], tuple_codes[LENGTH(numbers)];

static encoded encode (const lode_atom *a, bool in_tuple) {
  lode_buffer b = no_buffer;
  encoded e = { { 0 }, 0 };
  if (in_tuple) expect(lode_key_tuple(&b) == LODE_OK);
  expect(add_atom(&b, a) == LODE_OK);
  if (expect(b.size <= sizeof e.bytes)) {
    memcpy(e.bytes, b.data, b.size);
    e.size = b.size;
  }
  lode_buffer_free(&b);
  return e;
}

static void encode_numbers (void) {
  size_t i;
  collect_numbers();
  for (i = 0; i < n_numbers; i++) {
    whole_codes[i] = encode(&numbers[i], false);
    tuple_codes[i] = encode(&numbers[i], true);
  }
}

/* The order of bytes is that of values, and no element begins another. */
static void numbers_order (void) {
  size_t i, j;
  encode_numbers();
  for (i = 0; i < n_numbers; i++) {
    lode_slice whole = slice_of_encoded(&whole_codes[i]);
    lode_slice tuple = slice_of_encoded(&tuple_codes[i]);
    bool right = true;
    for (j = 0; j < n_numbers; j++) {
      lode_slice whole_j = slice_of_encoded(&whole_codes[j]);
      lode_slice tuple_j = slice_of_encoded(&tuple_codes[j]);
      int order = compare_numbers(&numbers[i], &numbers[j]);
      right = right && test_sign(slice_compare(whole, whole_j)) == order &&
              test_sign(slice_compare(tuple, tuple_j)) == order &&
              slice_begins(tuple, tuple_j) == (order == 0);
    }
    if (!expect(right) && numbers[i].type == LODE_KEY_INTEGER)
      printf("  integer %lld\n", (long long)numbers[i].integer);
    else if (!right)
      printf("  number %.17g\n", numbers[i].number);
  }
}

/* What is read back: the same value; an integer where it is one. */
static bool reads_back (lode_slice code, const lode_atom *a) {
  lode_slice rest = test_exact_copy(code), copy = rest;
  lode_buffer scratch = no_buffer;
  bool in_tuple = false, right;
  lode_atom got = { .type = LODE_KEY_TUPLE };
  lode_status status = lode_key_read(&rest, &in_tuple, &scratch, &got);
  if (status == LODE_OK && got.type == LODE_KEY_TUPLE)
    status = lode_key_read(&rest, &in_tuple, &scratch, &got);
  right = status == LODE_OK && got.type != LODE_KEY_TUPLE &&
          compare_atoms(&got, a) == 0 &&
          (a->type == LODE_KEY_NUMBER || got.type == a->type) &&
          lode_key_read(&rest, &in_tuple, &scratch, &got) == LODE_ABSENT;
  if (got.type == LODE_KEY_NUMBER) /* then no integer equals it */
    right = right && (got.number >= 9223372036854775808.0 ||
                      got.number < -9223372036854775808.0 ||
                      got.number != (double)(int64_t)got.number);
  test_free_copy(copy);
  lode_buffer_free(&scratch);
  return right;
}

static void numbers_read (void) {
  size_t i;
  encode_numbers();
  for (i = 0; i < n_numbers; i++) {
    expect(reads_back(slice_of_encoded(&whole_codes[i]), &numbers[i]));
    expect(reads_back(slice_of_encoded(&tuple_codes[i]), &numbers[i]));
  }
}

/* Every integer about the places where the spacing of doubles changes. */
static void numbers_dense (void) {
  static const int powers[] = { 52, 53, 54, 55, 61, 62, 63 };
  size_t i;
  int sign;
  for (i = 0; i < LENGTH(powers); i++) {
    for (sign = 0; sign < 2; sign++) {
      uint64_t middle = (uint64_t)1 << powers[i];
      encoded last = { { 0 }, 0 };
      int step;
      bool right = true;
      if (sign) middle = 0 - middle;
      for (step = -2100; step <= 2100; step++) {
        uint64_t near = middle + (uint64_t)(int64_t)step;
        lode_atom a = integer(0);
        encoded code;
        memcpy(&a.integer, &near, sizeof near);
        code = encode(&a, false);
        if (powers[i] == 63 && step == 0) last.size = 0; /* it wraps here */
        right = right && reads_back(slice_of_encoded(&code), &a) &&
                slice_compare(slice_of_encoded(&last),
                              slice_of_encoded(&code)) < 0;
        last = code;
      }
      expect(right);
    }
  }
}

/* A double followed by every possible pair of bytes: most are refused. */
static void numbers_distances (void) {
  static const double floors[] = {
    0, 1, 1.5, -1, -1.5, 9007199254740991.0, 9007199254740992.0,
    9007199254740994.0, 18014398509481982.0, -9007199254740991.0,
    -9007199254740992.0, -9007199254740994.0, -18014398509481984.0,
    4611686018427387904.0, -4611686018427387904.0, 9223372036854774784.0,
    9223372036854775808.0, -9223372036854775808.0,
    -9223372036854777856.0, 1e300, -1e300
  };
  size_t i;
  for (i = 0; i < LENGTH(floors); i++) {
    lode_atom floor = number(floors[i]);
    encoded code = encode(&floor, false);
    unsigned after;
    bool right = true;
    code.size = 11;
    for (after = 0; after <= 0xFFFF; after++) {
      lode_slice rest = slice_of_encoded(&code);
      bool in_tuple = false;
      lode_atom got;
      lode_status status;
      put_u16(code.bytes + 9, (uint16_t)after);
      status = lode_key_read(&rest, &in_tuple, NULL, &got);
      if (status == LODE_OK) {
        encoded again = encode(&got, false);
        right = right && slice_equal(slice_of_encoded(&again),
                                     slice_of_encoded(&code));
      }
      else
        right = right && status == LODE_CORRUPT;
    }
    expect(right);
  }
}

/* The format itself, byte by byte: what is on disk must stay readable. */
static void numbers_drawn (void) {
  static const struct { int64_t v; const char *whole, *tuple; } drawn[] = {
    { 0, "05 8000000000000000", "09 05 8000000000000000 00" },
    { 1, "05 bff0000000000000", "09 05 bff0000000000000 00" },
    { -1, "05 400fffffffffffff", "09 05 400fffffffffffff 00" },
    { 9007199254740993, "05 c340000000000000 8001",
      "09 05 c340000000000000 8001" },
    { -9007199254740993, "05 3cbffffffffffffe 8001",
      "09 05 3cbffffffffffffe 8001" },
    { INT64_MAX, "05 c3dfffffffffffff 83ff",
      "09 05 c3dfffffffffffff 83ff" },
    { INT64_MIN, "05 3c1fffffffffffff", "09 05 3c1fffffffffffff 00" },
    { INT64_MIN + 1, "05 3c1fffffffffffff 8001",
      "09 05 3c1fffffffffffff 8001" }
  };
  size_t i;
  for (i = 0; i < LENGTH(drawn); i++) {
    lode_atom a = integer(drawn[i].v);
    encoded whole = encode(&a, false), tuple = encode(&a, true);
    expect(test_is_hex(slice_of_encoded(&whole), drawn[i].whole));
    expect(test_is_hex(slice_of_encoded(&tuple), drawn[i].tuple));
  }
}

/* }================================================================== */

/* {==================================================================
** Strings, tuples, all of them together
** =================================================================== */

typedef struct key { /* a random key and its bytes */
  bool tuple;
  size_t n;
  lode_atom atoms[4];
  unsigned char strings[4][6];
  lode_buffer code;
} key;

static lode_atom random_atom (unsigned char *room) {
  switch (test_below(6)) {
    case 0: return boolean(test_below(2));
    case 1: return integer((int64_t)test_below(3) - 1);
    case 2: return number((double)test_below(5) / 2 - 1);
    case 3: return numbers[test_below(n_numbers)];
    default: return string(test_random_string(room, 4));
  }
}

static void random_key (key *k) {
  size_t i;
  k->tuple = test_below(3) > 0;
  k->n = k->tuple ? test_below(5) : 1;
  k->code = no_buffer;
  if (k->tuple) expect(lode_key_tuple(&k->code) == LODE_OK);
  for (i = 0; i < k->n; i++) {
    k->atoms[i] = random_atom(k->strings[i]);
    expect(add_atom(&k->code, &k->atoms[i]) == LODE_OK);
  }
}

static int compare_keys (const key *a, const key *b) {
  size_t i;
  if (a->tuple != b->tuple) return a->tuple ? 1 : -1;
  for (i = 0; i < a->n && i < b->n; i++) {
    int c = compare_atoms(&a->atoms[i], &b->atoms[i]);
    if (c != 0) return c;
  }
  return (a->n > b->n) - (a->n < b->n);
}

/* Whether the tuple `a` begins with the elements of the tuple `b`. */
static bool tuple_begins (const key *a, const key *b) {
  key start = *a;
  if (a->n < b->n) return false;
  start.n = b->n;
  return compare_keys(&start, b) == 0;
}

static bool key_reads_back (const key *k) {
  lode_slice rest = slice_of_buffer(&k->code);
  lode_buffer scratch = no_buffer;
  bool in_tuple = false, right = true;
  lode_atom a;
  size_t i;
  if (k->tuple)
    right = lode_key_read(&rest, &in_tuple, &scratch, &a) == LODE_OK &&
            a.type == LODE_KEY_TUPLE && in_tuple;
  for (i = 0; i < k->n; i++)
    right = right &&
            lode_key_read(&rest, &in_tuple, &scratch, &a) == LODE_OK &&
            compare_atoms(&a, &k->atoms[i]) == 0 && in_tuple == k->tuple;
  for (i = 0; i < 2; i++)
    right = right &&
            lode_key_read(&rest, &in_tuple, &scratch, &a) == LODE_ABSENT;
  lode_buffer_free(&scratch);
  return right;
}

static void keys (void) {
  static key k[1500];
  size_t i, j;
  collect_numbers();
  for (i = 0; i < LENGTH(k); i++) random_key(&k[i]);
  for (i = 0; i < LENGTH(k); i++) {
    lode_slice code = slice_of_buffer(&k[i].code);
    bool order = true, prefixes = true;
    for (j = 0; j < LENGTH(k); j++) {
      lode_slice other = slice_of_buffer(&k[j].code);
      order = order && test_sign(slice_compare(code, other)) ==
                       compare_keys(&k[i], &k[j]);
      if (k[i].tuple && k[j].tuple)
        prefixes = prefixes && slice_begins(code, other) ==
                               tuple_begins(&k[i], &k[j]);
    }
    expect(order);
    expect(prefixes);
    expect(key_reads_back(&k[i]));
  }
  for (i = 0; i < LENGTH(k); i++) lode_buffer_free(&k[i].code);
}

static void drawn (void) {
  lode_buffer b = no_buffer;
  expect(lode_key_boolean(&b, false) == LODE_OK);
  expect(test_is_hex(slice_of_buffer(&b), "02"));
  b.size = 0;
  expect(lode_key_boolean(&b, true) == LODE_OK);
  expect(test_is_hex(slice_of_buffer(&b), "03"));
  b.size = 0;
  expect(lode_key_string(&b, "a\0\1b", 4) == LODE_OK);
  expect(test_is_hex(slice_of_buffer(&b), "07 61000162"));
  b.size = 0;
  expect(lode_key_string(&b, NULL, 0) == LODE_OK);
  expect(test_is_hex(slice_of_buffer(&b), "07"));
  b.size = 0;
  expect(lode_key_tuple(&b) == LODE_OK);
  expect(lode_key_string(&b, "a\0\1b", 4) == LODE_OK);
  expect(lode_key_boolean(&b, true) == LODE_OK);
  expect(lode_key_string(&b, NULL, 0) == LODE_OK);
  expect(lode_key_number(&b, 0.5) == LODE_OK);
  expect(test_is_hex(slice_of_buffer(&b), "09 07 61 0101 0102 62 00 03 "
                     "07 00 05 bfe0000000000000 00"));
  lode_buffer_free(&b);
}

/* The encoders refuse what is no key, and leave the buffer as it was. */
static void refusals (void) {
  static char big[1 << 20];
  double zero = 0, infinity = DBL_MAX * 10;
  lode_buffer b = no_buffer;
  expect(lode_key_number(&b, zero / zero) == LODE_BAD_KEY && b.size == 0);
  expect(lode_key_number(&b, infinity) == LODE_OK);
  expect(lode_key_boolean(&b, true) == LODE_BAD_ARGUMENT);
  expect(lode_key_integer(&b, 1) == LODE_BAD_ARGUMENT);
  expect(lode_key_number(&b, 1) == LODE_BAD_ARGUMENT);
  expect(lode_key_string(&b, "", 0) == LODE_BAD_ARGUMENT);
  expect(lode_key_tuple(&b) == LODE_BAD_ARGUMENT && b.size == 9);
  b.size = 0;
  memset(big, 'x', sizeof big);
  expect(lode_key_string(&b, big, LODE_KEY_MAX) == LODE_BAD_KEY);
  expect(lode_key_string(&b, big, SIZE_MAX) == LODE_BAD_KEY);
  expect(lode_key_string(&b, big, LODE_KEY_MAX - 1) == LODE_OK);
  expect(b.size == LODE_KEY_MAX);
  b.size = 0;
  big[5] = '\0'; /* in a tuple: one byte more, and the end */
  expect(lode_key_tuple(&b) == LODE_OK);
  expect(lode_key_string(&b, big, LODE_KEY_MAX - 3) == LODE_BAD_KEY);
  expect(b.size == 1);
  expect(lode_key_string(&b, big, LODE_KEY_MAX - 4) == LODE_OK);
  expect(b.size == LODE_KEY_MAX);
  expect(lode_key_boolean(&b, true) == LODE_BAD_KEY);
  expect(lode_key_integer(&b, 1) == LODE_BAD_KEY);
  expect(b.size == LODE_KEY_MAX);
  lode_buffer_free(&b);
}

static void want_of_memory (void) {
  lode_buffer b = no_buffer, scratch = no_buffer;
  lode_slice rest;
  bool in_tuple = false;
  lode_atom a;
  lode_test_fail_allocation(1);
  expect(lode_key_integer(&b, 1) == LODE_NO_MEMORY && b.size == 0);
  lode_test_fail_allocation(1);
  expect(lode_key_tuple(&b) == LODE_NO_MEMORY && b.size == 0);
  expect(lode_key_tuple(&b) == LODE_OK);
  lode_test_fail_allocation(1);
  expect(lode_key_string(&b, "\0", 1) == LODE_NO_MEMORY && b.size == 1);
  expect(lode_key_string(&b, "\0", 1) == LODE_OK);
  rest = slice_of_buffer(&b);
  expect(lode_key_read(&rest, &in_tuple, &scratch, &a) == LODE_OK);
  lode_test_fail_allocation(1);
  expect(lode_key_read(&rest, &in_tuple, &scratch, &a) == LODE_NO_MEMORY);
  expect(rest.size == b.size - 1 && a.type == LODE_KEY_TUPLE);
  expect(lode_key_read(&rest, &in_tuple, &scratch, &a) == LODE_OK);
  expect(a.string.size == 1 && a.string.data[0] == 0 && rest.size == 0);
  lode_buffer_free(&b);
  lode_buffer_free(&scratch);
}

/* }================================================================== */

/* {==================================================================
** Hostile bytes
** =================================================================== */

/*
** Reads bytes that may be anything: they are corrupt, or a key, and then
** the key encodes to just them. Tells which.
*/
static bool read_hostile (lode_slice bytes) {
  lode_slice copy = test_exact_copy(bytes), rest = copy;
  lode_buffer again = no_buffer, scratch = no_buffer;
  bool in_tuple = false;
  lode_atom a;
  lode_status status;
  do {
    size_t left = rest.size;
    status = lode_key_read(&rest, &in_tuple, &scratch, &a);
    if (status == LODE_OK) {
      expect(rest.size < left);
      expect(add_atom(&again, &a) == LODE_OK);
    }
  } while (status == LODE_OK);
  expect(status == LODE_ABSENT || status == LODE_CORRUPT);
  if (status == LODE_ABSENT)
    expect(slice_equal(slice_of_buffer(&again), copy));
  test_free_copy(copy);
  lode_buffer_free(&again);
  lode_buffer_free(&scratch);
  return status == LODE_ABSENT;
}

static void hostile_random (void) {
  static const unsigned char likely[] = {
    0x00, 0x01, 0x02, 0x03, 0x05, 0x07, 0x09, 0x80, 0x83, 0xC3, 0xFF
  };
  int i, valid = 0;
  for (i = 0; i < 200000; i++) {
    unsigned char bytes[24];
    size_t size = test_below(sizeof bytes + 1), j;
    for (j = 0; j < size; j++)
      bytes[j] = test_below(4) ? likely[test_below(sizeof likely)]
                               : (unsigned char)test_random();
    valid += read_hostile(slice_of(bytes, size));
  }
  expect(valid > 1000); /* else the bytes were not likely enough */
}

/* Good keys, cut at each length, and with one byte changed. */
static void hostile_damage (void) {
  int i;
  collect_numbers();
  for (i = 0; i < 3000; i++) {
    key k;
    size_t j;
    random_key(&k);
    expect(read_hostile(slice_of_buffer(&k.code)));
    for (j = 0; j < k.code.size; j++) {
      unsigned char byte = k.code.data[j];
      read_hostile(slice_of(k.code.data, j));
      k.code.data[j] = (unsigned char)test_random();
      read_hostile(slice_of_buffer(&k.code));
      k.code.data[j] = byte;
    }
    lode_buffer_free(&k.code);
  }
}

static void hostile_drawn (void) {
  static const char *const corrupt[] = {
    "00", "01", "04", "06", "08", "0a", "ff", "02 00", "03 02", "05",
    "05 80000000000000", "05 8000000000000000 00",
    "05 8000000000000000 80", "05 7fffffffffffffff", /* -0.0 */
    "05 fff8000000000000", "05 fff0000000000001", /* NaN */
    "05 0007ffffffffffff", "05 000ffffffffffffe", /* NaN, negative */
    "05 c340000000000000 8000", "05 c340000000000000 8002",
    "05 c340000000000000 8001 00",
    "05 c3e0000000000000 8001", "05 c3dfffffffffffff 8400",
    "09 09", "09 07", "09 07 61", "09 07 01 00", "09 07 01 03 00",
    "09 07 01", "09 05 8000000000000000", "09 05 8000000000000000 02",
    "09 05 c340000000000000 80", "09 02 08", "09 00"
  };
  static const char *const valid[] = {
    "02", "05 fff0000000000000", "05 000fffffffffffff", /* infinities */
    "07", "09", "09 07 00 02", "09 05 c340000000000000 8001 03"
  };
  unsigned char bytes[32];
  size_t i;
  for (i = 0; i < LENGTH(corrupt); i++)
    expect(!read_hostile(slice_of(bytes, test_bytes_of_hex(corrupt[i],
                                                           bytes))));
  for (i = 0; i < LENGTH(valid); i++)
    expect(read_hostile(slice_of(bytes, test_bytes_of_hex(valid[i],
                                                          bytes))));
}

/* }================================================================== */

int main (void) {
  test_group("numbers sort by value", numbers_order);
  test_group("numbers read back exactly", numbers_read);
  test_group("integers where doubles thin out", numbers_dense);
  test_group("distances are right or refused", numbers_distances);
  test_group("numbers as they are drawn", numbers_drawn);
  test_group("random keys: order, prefixes, round trip", keys);
  test_group("booleans, strings, tuples as drawn", drawn);
  test_group("what is no key is refused", refusals);
  test_group("want of memory changes nothing", want_of_memory);
  test_group("random bytes are read safely", hostile_random);
  test_group("damaged keys are read safely", hostile_damage);
  test_group("corrupt keys as drawn", hostile_drawn);
  return test_end();
}
