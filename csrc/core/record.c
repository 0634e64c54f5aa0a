/*
** record.c - the envelope of a value, and buckets of keys that hash alike.
*/
#include "record.h"

#include "check.h"
#include "hash.h"

#define CRC_SIZE 4

_Static_assert(RECORD_OVERHEAD == 1 + CRC_SIZE, "a head and a checksum");
_Static_assert(LODE_KEY_MAX <= UINT32_MAX, "a bucket holds any key's size");

record_check record_check_of (uint32_t number, bool checksum) {
  record_check c;
  c.checksum = checksum;
  for (unsigned head = 0; head < RECORD_CODECS; head++) {
    unsigned char start[4 + 1];
    put_u32(start, number);
    start[4] = (unsigned char)head;
    c.starts[head] = hash_crc32c(0, start, sizeof start);
  }
  return c;
}

/* The checksum of a record. */
static inline uint32_t record_crc (const record_check *c, lode_slice whole,
                                   unsigned head, lode_slice payload) {
  return hash_crc32c_both(c->starts[head], whole, payload);
}

void record_write (unsigned char *out, const record_check *c,
                   lode_slice whole, lode_value v) {
  lode_assert(v.codec < RECORD_CODECS);
  out[0] = (unsigned char)v.codec;
  put_u32(out + 1, record_crc(c, whole, v.codec, v.data));
  if (v.data.size != 0)
    memcpy(out + RECORD_OVERHEAD, v.data.data, v.data.size);
}

lode_status record_read (const record_check *c, lode_slice whole,
                         lode_slice record, lode_value *v) {
  lode_slice payload;
  unsigned head;
  if (record.size < RECORD_OVERHEAD) return LODE_CORRUPT;
  head = record.data[0];
  if (head >= RECORD_CODECS) return LODE_CORRUPT;
  payload = slice_of(record.data + RECORD_OVERHEAD,
                     record.size - RECORD_OVERHEAD);
  if (c->checksum &&
      record_crc(c, whole, head, payload) != get_u32(record.data + 1))
    return LODE_CORRUPT;
  v->data = payload;
  v->codec = (lode_codec)head;
  return LODE_OK;
}

/* {==================================================================
** Buckets
** =================================================================== */

lode_status bucket_next (lode_slice *bucket, bucket_entry *entry) {
  const unsigned char *p = bucket->data;
  size_t left = bucket->size, key_size, size;
  if (left == 0) return LODE_ABSENT;
  if (left < BUCKET_OVERHEAD) return LODE_CORRUPT;
  key_size = get_u32(p);
  size = get_u32(p + 4);
  p += BUCKET_OVERHEAD;
  left -= BUCKET_OVERHEAD;
  if (key_size > left || size > left - key_size) return LODE_CORRUPT;
  if (key_size == 0 || size < RECORD_OVERHEAD) return LODE_CORRUPT;
  entry->whole = slice_of(p, key_size);
  entry->record = slice_of(p + key_size, size);
  *bucket = slice_of(p + key_size + size, left - key_size - size);
  return LODE_OK;
}

/*
** As bucket_next, and the entry is checked: it sorts after the last one
** (`entry` as it was; empty at first), and its record is sound.
*/
static lode_status next_sound (lode_slice *bucket, const record_check *c,
                               bucket_entry *entry, lode_value *v) {
  lode_slice last = entry->whole;
  lode_status status = bucket_next(bucket, entry);
  if (status != LODE_OK) return status;
  if (slice_compare(last, entry->whole) >= 0) return LODE_CORRUPT;
  return record_read(c, entry->whole, entry->record, v);
}

lode_status bucket_find (const record_check *c, lode_slice bucket,
                         lode_slice whole, lode_value *v) {
  bucket_entry entry = { { NULL, 0 }, { NULL, 0 } };
  lode_value found;
  lode_status status;
  int order = -1;
  while (order < 0) {
    status = next_sound(&bucket, c, &entry, &found);
    if (status != LODE_OK) return status;
    order = slice_compare(entry.whole, whole);
  }
  if (order > 0) return LODE_ABSENT;
  *v = found;
  return LODE_OK;
}

/* Adds to `out`, which has room, the sizes and the key of an entry. */
static void add_head (lode_buffer *out, lode_slice whole, size_t size) {
  unsigned char *p = out->data + out->size;
  lode_assert(out->room - out->size >= BUCKET_OVERHEAD + whole.size + size);
  put_u32(p, (uint32_t)whole.size);
  put_u32(p + 4, (uint32_t)size);
  memcpy(p + BUCKET_OVERHEAD, whole.data, whole.size);
  out->size += BUCKET_OVERHEAD + whole.size;
}

static void add_entry (lode_buffer *out, const bucket_entry *entry) {
  add_head(out, entry->whole, entry->record.size);
  memcpy(out->data + out->size, entry->record.data, entry->record.size);
  out->size += entry->record.size;
}

static void add_value (lode_buffer *out, const record_check *c,
                       lode_slice whole, lode_value v) {
  add_head(out, whole, record_size(v));
  record_write(out->data + out->size, c, whole, v);
  out->size += record_size(v);
}

/* Makes room for the bucket and one entry more. */
static lode_status bucket_room (lode_buffer *out, lode_slice bucket,
                                lode_slice whole, const lode_value *v) {
  size_t size = bucket.size;
  if (whole.size == 0 || whole.size > LODE_KEY_MAX) return LODE_BAD_KEY;
  if (v != NULL) {
    size_t extra = BUCKET_OVERHEAD + whole.size + RECORD_OVERHEAD;
    if (v->data.size > UINT32_MAX - RECORD_OVERHEAD) return LODE_BAD_VALUE;
    if (v->data.size > SIZE_MAX / 2 - extra || size > SIZE_MAX / 2)
      return LODE_NO_MEMORY;
    size += extra + v->data.size;
  }
  out->size = 0;
  return lode_buffer_reserve(out, size);
}

lode_status bucket_change (lode_buffer *out, lode_slice bucket,
                           const record_check *c, lode_slice whole,
                           const lode_value *v, int *change) {
  bucket_entry entry = { { NULL, 0 }, { NULL, 0 } };
  bool present = false, written = v == NULL;
  lode_status status = bucket_room(out, bucket, whole, v);
  if (status != LODE_OK) return status;
  for (;;) {
    lode_value old;
    int order = 1; /* the end sorts after every key */
    status = next_sound(&bucket, c, &entry, &old);
    if (status == LODE_OK) order = slice_compare(entry.whole, whole);
    else if (status != LODE_ABSENT) return status;
    if (order >= 0 && !written) {
      add_value(out, c, whole, *v);
      written = true;
    }
    if (status == LODE_ABSENT) break;
    if (order != 0) add_entry(out, &entry);
    else present = true;
  }
  *change = (v != NULL) - present;
  return LODE_OK;
}

/* }================================================================== */
