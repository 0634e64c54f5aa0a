/*
** fuzz_key.c - any bytes as a key, a record, a bucket of records: read to
** the end or refused. A key that is read is encoded again to the same bytes:
** none has two encodings.
*/
#include <stdlib.h>

#include "core/key.h"
#include "core/record.h"

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

static void read_key (lode_slice whole) {
  lode_buffer scratch = { NULL, 0, 0 }, again = { NULL, 0, 0 };
  lode_slice rest = whole;
  lode_key_type type;
  bool in_tuple = false;
  lode_atom a;
  lode_status st;
  while ((st = lode_key_read(&rest, &in_tuple, &scratch, &a)) == LODE_OK)
    if (add_atom(&again, &a) != LODE_OK)
      abort();
  if (st == LODE_ABSENT && whole.size > 0 &&
      (!slice_equal(slice_of_buffer(&again), whole) ||
       key_type(whole, &type) != LODE_OK))
    abort();
  lode_buffer_free(&scratch);
  lode_buffer_free(&again);
}

/* Reads what an opened record gives. */
static void read_record (const record_check *c, lode_slice whole,
                         lode_slice bytes) {
  volatile unsigned char sum = 0;
  record_parts parts;
  record r;
  if (record_read(c, whole, bytes, &r) != LODE_OK)
    return;
  record_read_parts(&r, &parts);
  for (size_t i = 0; i < r.value.data.size; i++)
    sum = (unsigned char)(sum + r.value.data.data[i]);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  record_check unchecked = record_check_of(1, false);
  lode_buffer out = { NULL, 0, 0 };
  lode_slice bytes = slice_of(data, size), rest = bytes;
  bucket_entry b;
  record r;
  int change;
  read_key(bytes);
  read_record(&unchecked, slice_of("k", 1), bytes);
  while (bucket_next(&rest, &b) == LODE_OK)
    read_record(&unchecked, b.whole, b.record);
  (void)bucket_find(&unchecked, bytes, slice_of("key", 3), &r);
  (void)bucket_change(&out, bytes, &unchecked, slice_of("key", 3),
                      slice_of("\1record", 7), &change);
  lode_buffer_free(&out);
  return 0;
}
