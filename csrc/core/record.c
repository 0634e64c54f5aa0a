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
  unsigned char start[4];
  put_u32(start, number);
  c.checksum = checksum;
  c.start = hash_crc32c(0, start, sizeof start);
  for (unsigned head = 0; head <= RECORD_CODEC; head++) {
    unsigned char byte = (unsigned char)head;
    c.starts[head] = hash_crc32c(c.start, &byte, 1);
  }
  return c;
}

/* The checksum of a record; `body` is what follows it. */
static inline uint32_t record_crc (const record_check *c, lode_slice whole,
                                   unsigned char head, lode_slice body) {
  uint32_t start = head <= RECORD_CODEC ? c->starts[head]
                                        : hash_crc32c(c->start, &head, 1);
  return hash_crc32c_both(start, whole, body);
}

/* Bytes that the parts of these flags take. */
static size_t parts_size (unsigned flags) {
  return (flags & RECORD_LIFE ? 16u : 0) + (flags & RECORD_TIMES ? 28u : 0) +
         (flags & RECORD_RANK ? 8u : 0) + (flags & RECORD_FETCHED ? 8u : 0);
}

static unsigned flags_of (const record_parts *parts) {
  return parts == NULL ? 0 : parts->flags;
}

size_t record_size (lode_value v, const record_parts *parts) {
  return RECORD_OVERHEAD + parts_size(flags_of(parts)) + v.data.size;
}

static unsigned char *add_u64 (unsigned char *p, uint64_t v) {
  put_u64(p, v);
  return p + 8;
}

static unsigned char *add_u32 (unsigned char *p, uint32_t v) {
  put_u32(p, v);
  return p + 4;
}

static unsigned char *write_parts (unsigned char *p,
                                   const record_parts *x) {
  if (x->flags & RECORD_LIFE) {
    lode_assert(x->deadline <= RECORD_TIME_MAX && x->call <= x->deadline);
    p = add_u64(p, (uint64_t)x->era << 48 | x->deadline);
    p = add_u64(p, x->call);
  }
  if (x->flags & RECORD_TIMES) {
    p = add_u64(p, x->ctime);
    p = add_u64(p, x->mtime);
    p = add_u64(p, x->atime);
    p = add_u32(p, x->hits);
  }
  if (x->flags & RECORD_RANK)
    p = add_u64(p, x->rank);
  if (x->flags & RECORD_FETCHED) {
    p = add_u32(p, x->stale);
    p = add_u32(p, x->cost);
  }
  return p;
}

void record_write (unsigned char *out, const record_check *c,
                   lode_slice whole, lode_value v,
                   const record_parts *parts) {
  unsigned flags = flags_of(parts);
  unsigned char *p = out + RECORD_OVERHEAD;
  lode_assert((v.codec | flags) <= 0xFF && (v.codec & flags) == 0);
  out[0] = (unsigned char)(v.codec | flags);
  if (flags != 0)
    p = write_parts(p, parts);
  if (v.data.size != 0)
    memcpy(p, v.data.data, v.data.size);
  p += v.data.size;
  put_u32(out + 1, record_crc(c, whole, out[0],
                              slice_of(out + RECORD_OVERHEAD,
                                       (size_t)(p - out) -
                                       RECORD_OVERHEAD)));
}

/* Takes the parts of a record off its value. */
static lode_status split_parts (record *r) {
  size_t size = parts_size(r->flags);
  unsigned of_life = r->flags & (RECORD_ASKS | RECORD_HIDDEN);
  if (size > r->value.data.size ||
      (of_life != 0 && !(r->flags & RECORD_LIFE)))
    return LODE_CORRUPT;
  r->parts = r->value.data.data;
  if ((r->flags & RECORD_LIFE) && get_u64(r->parts + 8) > record_deadline(r))
    return LODE_CORRUPT; /* its call would come too late */
  r->value.data = slice_of(r->parts + size, r->value.data.size - size);
  return LODE_OK;
}

lode_status record_read (const record_check *c, lode_slice whole,
                         lode_slice bytes, record *r) {
  lode_slice body;
  unsigned char head;
  if (bytes.size < RECORD_OVERHEAD) return LODE_CORRUPT;
  head = bytes.data[0];
  body = slice_of(bytes.data + RECORD_OVERHEAD,
                  bytes.size - RECORD_OVERHEAD);
  if (c->checksum &&
      record_crc(c, whole, head, body) != get_u32(bytes.data + 1))
    return LODE_CORRUPT;
  r->value.data = body;
  r->value.codec = (lode_codec)(head & RECORD_CODEC);
  r->flags = head & ~(unsigned)RECORD_CODEC;
  return lode_unlikely(r->flags != 0) ? split_parts(r) : LODE_OK;
}

void record_read_parts (const record *r, record_parts *x) {
  const unsigned char *p = r->parts;
  memset(x, 0, sizeof *x);
  x->flags = r->flags;
  if (r->flags & RECORD_LIFE) {
    x->era = record_era(r);
    x->deadline = record_deadline(r);
    x->call = get_u64(p + 8);
    p += 16;
  }
  if (r->flags & RECORD_TIMES) {
    x->ctime = get_u64(p);
    x->mtime = get_u64(p + 8);
    x->atime = get_u64(p + 16);
    x->hits = get_u32(p + 24);
    p += 28;
  }
  if (r->flags & RECORD_RANK) {
    x->rank = get_u64(p);
    p += 8;
  }
  if (r->flags & RECORD_FETCHED) {
    x->stale = get_u32(p);
    x->cost = get_u32(p + 4);
  }
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
                               bucket_entry *entry, record *r) {
  lode_slice last = entry->whole;
  lode_status status = bucket_next(bucket, entry);
  if (status != LODE_OK) return status;
  if (slice_compare(last, entry->whole) >= 0) return LODE_CORRUPT;
  return record_read(c, entry->whole, entry->record, r);
}

lode_status bucket_find (const record_check *c, lode_slice bucket,
                         lode_slice whole, record *r) {
  bucket_entry entry = { { NULL, 0 }, { NULL, 0 } };
  record found;
  lode_status status;
  int order = -1;
  while (order < 0) {
    status = next_sound(&bucket, c, &entry, &found);
    if (status != LODE_OK) return status;
    order = slice_compare(entry.whole, whole);
  }
  if (order > 0) return LODE_ABSENT;
  *r = found;
  return LODE_OK;
}

/* Adds an entry to `out`, which has room. */
static void add_entry (lode_buffer *out, const bucket_entry *entry) {
  unsigned char *p = out->data + out->size;
  size_t key = entry->whole.size, bytes = entry->record.size;
  lode_assert(out->room - out->size >= BUCKET_OVERHEAD + key + bytes);
  put_u32(p, (uint32_t)key);
  put_u32(p + 4, (uint32_t)bytes);
  memcpy(p + BUCKET_OVERHEAD, entry->whole.data, key);
  memcpy(p + BUCKET_OVERHEAD + key, entry->record.data, bytes);
  out->size += BUCKET_OVERHEAD + key + bytes;
}

/* Makes room for the bucket and one entry more. */
static lode_status bucket_room (lode_buffer *out, lode_slice bucket,
                                lode_slice whole, lode_slice bytes) {
  size_t size = bucket.size;
  if (whole.size == 0 || whole.size > LODE_KEY_MAX) return LODE_BAD_KEY;
  if (bytes.size > UINT32_MAX) return LODE_BAD_VALUE;
  if (size > SIZE_MAX / 2) return LODE_NO_MEMORY;
  if (bytes.size > 0) size += BUCKET_OVERHEAD + whole.size + bytes.size;
  out->size = 0;
  return lode_buffer_reserve(out, size);
}

lode_status bucket_change (lode_buffer *out, lode_slice bucket,
                           const record_check *c, lode_slice whole,
                           lode_slice bytes, int *change) {
  bucket_entry entry = { { NULL, 0 }, { NULL, 0 } };
  bucket_entry given = { whole, bytes };
  bool present = false, written = bytes.size == 0;
  lode_status status = bucket_room(out, bucket, whole, bytes);
  if (status != LODE_OK) return status;
  for (;;) {
    record old;
    int order = 1; /* the end sorts after every key */
    status = next_sound(&bucket, c, &entry, &old);
    if (status == LODE_OK) order = slice_compare(entry.whole, whole);
    else if (status != LODE_ABSENT) return status;
    if (order >= 0 && !written) {
      add_entry(out, &given);
      written = true;
    }
    if (status == LODE_ABSENT) break;
    if (order != 0) add_entry(out, &entry);
    else present = true;
  }
  *change = (bytes.size > 0) - present;
  return LODE_OK;
}

/* }================================================================== */
