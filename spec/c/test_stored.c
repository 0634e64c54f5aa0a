/*
** test_stored.c - keys in the tree: long ones, their order, prefixes, types.
*/
#include "test.h"

#include "core/key.h"

static const unsigned char secret[HASH_SIZE] = "0123456789abcde";

static void stored (void) {
  static unsigned char whole[65536];
  static const size_t sizes[] = { 1, 100, 464, 479, 480, 481, 511, 65536 };
  size_t i;
  for (i = 0; i < sizeof whole; i++) whole[i] = (unsigned char)test_random();
  for (i = 0; i < LENGTH(sizes); i++) {
    lode_key k;
    unsigned char hash[HASH_SIZE];
    bool is_long = sizes[i] >= LODE_KEY_ROOM;
    k.whole = slice_of(whole, sizes[i]);
    key_store(&k, slice_of(NULL, 0), secret);
    expect(key_stored_is_long(k.stored) == is_long);
    hash_sip(secret, k.whole, hash);
    if (is_long) {
      lode_slice tail = slice_of(k.stored.data + KEY_PREFIX, HASH_SIZE);
      expect(slice_begins(k.stored, slice_of(whole, KEY_PREFIX)));
      expect(slice_equal(tail, slice_of(hash, HASH_SIZE)));
    }
    else
      expect(slice_equal(k.stored, k.whole));
  }
}

static void stored_own_hash (void) {
  unsigned char whole[600];
  lode_key k;
  lode_slice tail;
  memset(whole, 'k', sizeof whole);
  k.whole = slice_of(whole, sizeof whole);
  memset(k.room, 0xAA, sizeof k.room);
  key_store(&k, test_text("7"), secret);
  tail = slice_of(k.stored.data + KEY_PREFIX, HASH_SIZE);
  expect(test_is_hex(tail, "37000000000000000000000000000000"));
  key_store(&k, test_text("0123456789abcdefgh"), secret);
  expect(slice_equal(tail, test_text("0123456789abcdef")));
  k.whole.size = 479; /* a short key has no use for a hash */
  key_store(&k, test_text("7"), secret);
  expect(slice_equal(k.stored, k.whole));
}

static void compared (void) {
  lode_slice a = test_text("a"), b = test_text("b"), x = test_text("x");
  expect(key_compare(a, x, b, a) < 0 && key_compare(b, a, a, x) > 0);
  expect(key_compare(a, a, a, b) < 0 && key_compare(a, b, a, a) > 0);
  expect(key_compare(a, b, a, b) == 0);
}

/* From a prefix up to its successor lie the keys that begin with it. */
static void successors (void) {
  unsigned char out[KEY_PREFIX], room[8], prefix_room[8];
  int i;
  for (i = 0; i < 100000; i++) {
    lode_slice prefix = test_random_string(prefix_room, 4);
    lode_slice k = test_random_string(room, 6);
    size_t size = key_successor(prefix, out);
    bool below = size == 0 || slice_compare(k, slice_of(out, size)) < 0;
    expect(slice_begins(k, prefix) ==
           (slice_compare(k, prefix) >= 0 && below));
  }
}

static void successors_of_long (void) {
  unsigned char prefix[600], out[KEY_PREFIX];
  memset(prefix, 'p', sizeof prefix);
  expect(key_successor(slice_of(prefix, 600), out) == KEY_PREFIX);
  expect(memcmp(out, prefix, KEY_PREFIX - 1) == 0);
  expect(out[KEY_PREFIX - 1] == 'p' + 1);
  memset(prefix + 1, 0xFF, sizeof prefix - 1);
  expect(key_successor(slice_of(prefix, 600), out) == 1 && out[0] == 'q');
  expect(key_successor(slice_of(prefix + 1, 500), out) == 0);
  expect(key_successor(slice_of(NULL, 0), out) == 0);
}

static void types (void) {
  static const struct { const char *hex; lode_key_type type; } known[] = {
    { "02", LODE_KEY_BOOLEAN }, { "03", LODE_KEY_BOOLEAN },
    { "05 bff0000000000000", LODE_KEY_INTEGER },
    { "05 c3dfffffffffffff 83ff", LODE_KEY_INTEGER },
    { "05 bff8000000000000", LODE_KEY_NUMBER },
    { "05 fff0000000000000", LODE_KEY_NUMBER },
    { "05 c3e0000000000000", LODE_KEY_NUMBER }, /* 2^63 */
    { "07", LODE_KEY_STRING }, { "07 0009", LODE_KEY_STRING },
    { "09", LODE_KEY_TUPLE }, { "09 07 61 00", LODE_KEY_TUPLE }
  };
  unsigned char bytes[16];
  lode_key_type type = LODE_KEY_TUPLE;
  size_t i;
  for (i = 0; i < LENGTH(known); i++) {
    size_t size = test_bytes_of_hex(known[i].hex, bytes);
    expect(key_type(slice_of(bytes, size), &type) == LODE_OK);
    expect(type == known[i].type);
  }
  expect(key_type(slice_of(NULL, 0), &type) == LODE_CORRUPT);
  expect(key_type(test_text("\x04"), &type) == LODE_CORRUPT);
  expect(key_type(test_text("\x02\x02"), &type) == LODE_CORRUPT);
}

int main (void) {
  test_group("long keys stand as prefix and hash", stored);
  test_group("a hash of the caller's is used", stored_own_hash);
  test_group("stored keys compare, then whole ones", compared);
  test_group("a prefix ends at its successor", successors);
  test_group("a long prefix is cut", successors_of_long);
  test_group("keys know their type", types);
  return test_end();
}
