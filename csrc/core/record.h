/*
** record.h - the envelope of a value. Format version 1; drawn only here.
**
**   record := head crc32c [life] [times] [rank] [fetched] payload
**   head   := 1 byte: bits 0-1 the codec (lode_codec), bits 2-7 say which
**             of the parts in brackets there are (RECORD_LIFE...)
**   crc32c := 4 bytes over: the collection's number (4 bytes), the head,
**             the whole key, all that follows
**   life   := era (2) deadline (6) call (8)
**   times  := ctime (8) mtime (8) atime (8) hits (4)
**   rank   := 8
**   fetched := stale (4) cost (4)
**
** Times are in ms since the epoch, `stale` and `cost` in ms. The entry is
** dead from `deadline` on, by the clock's `era` (clock.h); `call` is the
** time under which the deadline index has it, never later. `rank` is its
** place in the eviction index. RECORD_ASKS: a policy gave the deadline.
** RECORD_HIDDEN: absent for all but lode_fetch_look, and left out of what
** is counted: an entry past its end that may still be shown as stale, or
** (codec NOTHING in a dict) the memory that there is no value.
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

#define RECORD_CODEC 0x03   /* the bits of the codec */
#define RECORD_FETCHED 0x04
#define RECORD_LIFE 0x08
#define RECORD_TIMES 0x10
#define RECORD_ASKS 0x20    /* only with RECORD_LIFE */
#define RECORD_RANK 0x40
#define RECORD_HIDDEN 0x80  /* only with RECORD_LIFE */

#define RECORD_PARTS_MAX (16 + 28 + 8 + 8)
#define RECORD_TIME_MAX (((uint64_t)1 << 48) - 1) /* of a deadline */

typedef struct record_parts { /* what may stand before the payload */
  unsigned flags;       /* the head without its codec; 0: plain */
  uint16_t era;
  uint64_t deadline, call;
  uint64_t ctime, mtime, atime;
  uint32_t hits;
  uint64_t rank;
  uint32_t stale, cost;
  bool noted;           /* not kept: what was noted of hits is among these */
} record_parts;

typedef struct record { /* an opened one: its bytes are somebody else's */
  lode_value value;
  unsigned flags;
  const unsigned char *parts; /* what record_read_parts reads */
} record;

typedef struct record_check { /* how the records of a collection are bound */
  uint32_t start;                   /* CRC of its number */
  uint32_t starts[RECORD_CODEC + 1]; /* and each head of a plain record */
  bool checksum;                    /* compare it at reads */
} record_check;

/* For the collection of this number. */
record_check record_check_of (uint32_t number, bool checksum);

/* Bytes of a record; `parts` null or without flags: of a plain one. */
size_t record_size (lode_value v, const record_parts *parts);

/* Writes record_size(v, parts) bytes to `out`. */
void record_write (unsigned char *out, const record_check *c,
                   lode_slice whole, lode_value v,
                   const record_parts *parts);

/* Opens a record that stands under `whole`. CORRUPT. */
lode_status record_read (const record_check *c, lode_slice whole,
                         lode_slice bytes, record *r);

/* Reads the parts of an opened record; those that it lacks are zero. */
void record_read_parts (const record *r, record_parts *parts);

/* Deadline and era of a record with RECORD_LIFE. */
static inline uint64_t record_deadline (const record *r) {
  return get_u64(r->parts) & RECORD_TIME_MAX;
}

static inline uint16_t record_era (const record *r) {
  return get_u16(r->parts);
}

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
                         lode_slice whole, record *r);

/*
** Builds in `out` (emptied first) the bucket with the record `bytes` put in
** its place under `whole`, or taken out when it is empty; `bucket` may be
** empty, and so may the result. Its entries are checked on the way.
** `change` tells how many entries more or less it has: -1, 0, 1.
** CORRUPT, NO_MEMORY; BAD_KEY, BAD_VALUE: a size past 32 bits.
*/
lode_status bucket_change (lode_buffer *out, lode_slice bucket,
                           const record_check *c, lode_slice whole,
                           lode_slice bytes, int *change);

#endif
