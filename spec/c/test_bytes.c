/*
** test_bytes.c - memory, names of statuses, slices, numbers, buffers.
*/
#include "test.h"

#include "core/check.h"

static void memory (void) {
  void *p, *q;
  expect(lode_realloc(NULL, 0) == NULL);
  p = lode_malloc(10);
  expect(p != NULL && lode_test_live_blocks() == 1);
  p = lode_realloc(p, 1000);
  expect(p != NULL && lode_test_live_blocks() == 1);
  lode_test_fail_allocation(2);
  q = lode_malloc(1);
  expect(q != NULL);
  expect(lode_realloc(p, 2000) == NULL); /* the second, and p stays */
  memset(p, 7, 1000);
  p = lode_realloc(p, 2000);
  expect(p != NULL && ((unsigned char *)p)[999] == 7);
  expect(lode_test_live_blocks() == 2);
  lode_free(p);
  lode_free(q);
  lode_test_fail_allocation(1);
  lode_test_fail_allocation(0);
  p = lode_malloc(1);
  expect(p != NULL);
  lode_free(p);
}

static void handles (void) {
  check_handle(1);
  check_handle(1);
  expect(lode_test_live_handles() == 2);
  check_handle(-1);
  check_handle(-1);
  expect(lode_test_live_handles() == 0);
}

static void statuses (void) {
  int i;
  for (i = 0; i <= LODE_NO_MEMORY; i++)
    expect(lode_status_name((lode_status)i) != NULL);
  expect(strcmp(lode_status_name(LODE_OK), "OK") == 0);
  expect(strcmp(lode_status_name(LODE_BAD_KEY), "BAD_KEY") == 0);
  expect(strcmp(lode_status_name(LODE_NO_MEMORY), "NO_MEMORY") == 0);
  expect(strcmp(lode_status_name((lode_status)99), "UNKNOWN") == 0);
}

static void slices (void) {
  lode_slice none = slice_of(NULL, 0), a = test_text("a"),
             ab = test_text("ab"), high = test_text("\xFF");
  expect(slice_compare(none, none) == 0);
  expect(slice_compare(none, a) < 0 && slice_compare(a, none) > 0);
  expect(slice_compare(a, ab) < 0 && slice_compare(ab, a) > 0);
  expect(slice_compare(ab, high) < 0 && slice_compare(high, ab) > 0);
  expect(slice_compare(ab, slice_of("abc", 2)) == 0);
  expect(slice_equal(none, none) && slice_equal(ab, slice_of("abc", 2)));
  expect(!slice_equal(a, ab) && !slice_equal(a, high));
  expect(slice_begins(ab, a) && slice_begins(ab, ab));
  expect(slice_begins(none, none) && slice_begins(a, none));
  expect(!slice_begins(a, ab) && !slice_begins(ab, high));
}

static void numbers (void) {
  unsigned char p[8];
  int i;
  put_u16(p, 0x8001);
  expect(test_is_hex(slice_of(p, 2), "8001") && get_u16(p) == 0x8001);
  put_u32(p, 0xFEDCBA98u);
  expect(test_is_hex(slice_of(p, 4), "fedcba98"));
  expect(get_u32(p) == 0xFEDCBA98u);
  put_u64(p, 0xFEDCBA9876543210u);
  expect(test_is_hex(slice_of(p, 8), "fedcba9876543210"));
  for (i = 0; i < 1000; i++) {
    uint64_t v = test_random() >> (i % 64);
    put_u64(p, v);
    expect(get_u64(p) == v);
  }
}

static void buffers (void) {
  lode_buffer b = { NULL, 0, 0 };
  size_t i;
  bool whole = true;
  expect(lode_buffer_reserve(&b, 0) == LODE_OK && b.size == 0);
  expect(lode_buffer_add(&b, NULL, 0) == LODE_OK && b.size == 0);
  for (i = 0; i < 100000; i++) {
    unsigned char byte = (unsigned char)(i * 7);
    whole = whole && lode_buffer_add(&b, &byte, 1) == LODE_OK;
  }
  for (i = 0; i < 100000; i++)
    whole = whole && b.data[i] == (unsigned char)(i * 7);
  expect(whole && b.size == 100000 && b.room >= b.size);
  expect(lode_buffer_reserve(&b, 5000) == LODE_OK);
  expect(b.size == 100000 && b.room >= 105000);
  lode_buffer_free(&b);
  expect(b.data == NULL && b.size == 0 && b.room == 0);
  lode_buffer_free(&b);
  expect(lode_buffer_add(&b, "again", 5) == LODE_OK);
  expect(test_is_hex(slice_of_buffer(&b), "61 67 61 69 6e"));
  lode_buffer_free(&b);
}

static void buffers_move (void) {
  lode_buffer b = { NULL, 0, 0 };
  int i;
  expect(lode_buffer_add(&b, "0", 1) == LODE_OK);
  for (i = 0; i < 100; i++) {
    const unsigned char *data = b.data;
    size_t room = b.room;
    expect(lode_buffer_reserve(&b, room - b.size + 1) == LODE_OK);
    expect(b.room > room && b.data != data && b.data[0] == '0');
  }
  lode_buffer_free(&b);
}

static void buffers_set (void) {
  lode_buffer b = { NULL, 0, 0 };
  expect(buffer_set(&b, "long enough", 11) == LODE_OK && b.size == 11);
  expect(buffer_set(&b, "ab", 2) == LODE_OK);
  expect(slice_equal(slice_of_buffer(&b), test_text("ab")));
  expect(buffer_set(&b, "longer than before", 18) == LODE_OK);
  expect(slice_equal(slice_of_buffer(&b), test_text("longer than before")));
  expect(buffer_set(&b, NULL, 0) == LODE_OK && b.size == 0);
  lode_buffer_free(&b);
}

/* No memory: a status, and the buffer as it was. */
static void buffers_fail (void) {
  lode_buffer b = { NULL, 0, 0 };
  char big[2000] = { 0 };
  lode_test_fail_allocation(1);
  expect(lode_buffer_add(&b, "x", 1) == LODE_NO_MEMORY && b.data == NULL);
  expect(lode_buffer_add(&b, "xyz", 3) == LODE_OK);
  lode_test_fail_allocation(1);
  expect(lode_buffer_add(&b, big, sizeof big) == LODE_NO_MEMORY);
  expect(slice_equal(slice_of_buffer(&b), test_text("xyz")));
  lode_test_fail_allocation(1);
  expect(buffer_set(&b, big, sizeof big) == LODE_NO_MEMORY);
  expect(slice_equal(slice_of_buffer(&b), test_text("xyz")));
  expect(lode_buffer_reserve(&b, SIZE_MAX) == LODE_NO_MEMORY);
  expect(lode_buffer_reserve(&b, SIZE_MAX - 2) == LODE_NO_MEMORY);
  expect(lode_buffer_reserve(&b, SIZE_MAX / 2) == LODE_NO_MEMORY);
  expect(slice_equal(slice_of_buffer(&b), test_text("xyz")));
  lode_buffer_free(&b);
}

int main (void) {
  test_group("memory is counted and can fail", memory);
  test_group("handles are counted", handles);
  test_group("each status has a name", statuses);
  test_group("slices compare as bytes", slices);
  test_group("numbers are big-endian", numbers);
  test_group("a buffer grows and is freed", buffers);
  test_group("a buffer moves when it grows", buffers_move);
  test_group("a buffer is replaced", buffers_set);
  test_group("a buffer survives want of memory", buffers_fail);
  return test_end();
}
