/*
** record.h - the envelope of a value. Format version 1; drawn only here.
**
**   record := head crc32c payload
**   head   := 1 byte: bits 0-2 the codec (lode_codec), bits 3-7 zero;
**             later versions set them and refuse what they don't know
**   crc32c := 4 bytes over: the collection's number (4 bytes), the head,
**             the whole key, the payload
**
** So a plain entry costs five bytes, and a record that a damaged page
** shows under another key or in another collection is found out.
**
** Under a long key (key.h) stands a bucket, one record for each key that
** hashed alike, sorted by whole key:
**
**   bucket := ( key size: 4 bytes, record size: 4 bytes, key, record )+
**
** Everything is big-endian. Nothing read is trusted: sizes are checked
** against what is there before they are used.
*/
#ifndef LODE_RECORD_H
#define LODE_RECORD_H

#include "bytes.h"

#define RECORD_OVERHEAD 5
#define BUCKET_OVERHEAD 8

#define RECORD_CODECS (LODE_SERIALIZED + 1)

typedef struct record_check { /* how the records of a collection are bound */
  uint32_t starts[RECORD_CODECS]; /* CRC of its number and each head */
  bool checksum;                  /* compare it at reads */
} record_check;

/* For the collection of this number. */
record_check record_check_of (uint32_t number, bool checksum);

static inline size_t record_size (lode_value v) {
  return RECORD_OVERHEAD + v.data.size;
}

/* Writes record_size(v) bytes to `out`. */
void record_write (unsigned char *out, const record_check *c,
                   lode_slice whole, lode_value v);

/* Opens a record that stands under `whole`. CORRUPT. */
lode_status record_read (const record_check *c, lode_slice whole,
                         lode_slice record, lode_value *v);

typedef struct bucket_entry {
  lode_slice whole;
  lode_slice record;
} bucket_entry;

/*
** Takes the first entry off `bucket` and moves it on; ABSENT when it is
** empty; CORRUPT.
*/
lode_status bucket_next (lode_slice *bucket, bucket_entry *entry);

/*
** Finds the record of `whole` and opens it. The entries before it are
** checked too, so that one whose key is damaged is not just passed by.
** ABSENT, CORRUPT.
*/
lode_status bucket_find (const record_check *c, lode_slice bucket,
                         lode_slice whole, lode_value *v);

/*
** Builds in `out` (emptied first) the bucket with the entry of `whole` put
** in its place, or taken out when `v` is null; `bucket` may be empty, and
** so may the result. Its entries are checked on the way. `change` tells how
** many entries more or less it has: -1, 0, 1.
** CORRUPT, NO_MEMORY; BAD_KEY, BAD_VALUE: a size past 32 bits.
*/
lode_status bucket_change (lode_buffer *out, lode_slice bucket,
                           const record_check *c, lode_slice whole,
                           const lode_value *v, int *change);

#endif
