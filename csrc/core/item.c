/*
** item.c - see item.h.
*/
#include "item.h"

lode_status item_damaged (lode_coll *c) {
  return fail(&c->store->error, LODE_CORRUPT, "the entry is damaged: its "
              "bytes don't agree with their checksum; restore it from a "
              "backup, or write it anew");
}

lode_status item_get (lode_coll *c, kv_txn *t, lode_slice stored,
                      lode_slice whole, record *r) {
  lode_slice bytes;
  lode_status st = kv_get(t, c->db, stored, &bytes);
  if (lode_unlikely(st != LODE_OK))
    return st;
  if (lode_unlikely(c->kept.raw)) {
    r->value.data = bytes;
    r->value.codec = LODE_BYTES;
    r->flags = 0;
  }
  else if (lode_unlikely(item_in_bucket(c, stored)))
    st = bucket_find(&c->check, bytes, whole, r);
  else
    st = record_read(&c->check, whole, bytes, r);
  return st == LODE_CORRUPT ? item_damaged(c) : st;
}

lode_status item_shares (lode_coll *c, lode_slice stored, unsigned flag,
                         uint64_t time, bool *shares) {
  lode_slice bucket;
  bucket_entry entry;
  record_parts parts;
  record r;
  lode_status st = LODE_ABSENT;
  *shares = false;
  if (item_in_bucket(c, stored))
    st = kv_get(&c->store->write, c->db, stored, &bucket);
  while (st == LODE_OK && !*shares &&
         (st = bucket_next(&bucket, &entry)) == LODE_OK) {
    st = record_read(&c->check, entry.whole, entry.record, &r);
    if (st == LODE_OK) {
      record_read_parts(&r, &parts);
      *shares = (r.flags & flag) &&
                (flag == RECORD_LIFE ? parts.call : parts.rank) == time;
    }
  }
  if (st == LODE_CORRUPT)
    return item_damaged(c);
  return st == LODE_ABSENT ? LODE_OK : st;
}

lode_status item_count (lode_coll *c, uint64_t *n) {
  kv_txn *t = &c->store->write;
  kv_db_stats stats;
  int64_t extra = 0;
  lode_status st = kv_db_measure(t, c->db, &stats);
  if (st == LODE_OK)
    st = catalog_extra(t, c->number, &extra);
  if (st == LODE_OK)
    *n = stats.entries + (uint64_t)extra;
  return st;
}

lode_status item_count_extra (lode_coll *c, int change) {
  kv_txn *t = &c->store->write;
  int64_t extra;
  lode_status st = catalog_extra(t, c->number, &extra);
  return st == LODE_OK ? catalog_set_extra(t, c->number, extra + change)
                       : st;
}

/* Changes the bucket under `stored`; an empty record takes the entry out. */
static lode_status change_bucket (lode_coll *c, lode_slice stored,
                                  lode_slice whole, lode_slice bytes) {
  lode_store *s = c->store;
  lode_buffer built = { NULL, 0, 0 };
  lode_slice bucket = slice_of("", 0);
  int change = 0;
  lode_status st = kv_get(&s->write, c->db, stored, &bucket);
  if (st == LODE_ABSENT)
    st = LODE_OK;
  if (st != LODE_OK)
    return st;
  st = bucket_change(&built, bucket, &c->check, whole, bytes, &change);
  if (st == LODE_CORRUPT)
    st = item_damaged(c);
  else if (st == LODE_NO_MEMORY)
    st = handle_no_memory(s);
  else if (st != LODE_OK)
    st = fail(&s->error, st, "the entry is too big");
  else if (change == 0 && bytes.size == 0)
    st = LODE_ABSENT;
  if (st == LODE_OK && change != 0 && bucket.size > 0 && built.size > 0)
    st = item_count_extra(c, change);
  if (st == LODE_OK)
    st = built.size == 0 ? kv_delete(&s->write, c->db, stored)
                         : kv_put(&s->write, c->db, stored,
                                  slice_of_buffer(&built), false);
  lode_buffer_free(&built);
  return st;
}

/* The record of a value, in the store's buffer. */
static lode_status build (lode_coll *c, lode_slice whole, lode_value value,
                          const record_parts *parts, lode_slice *bytes) {
  lode_buffer *b = &c->store->record;
  if (c->kept.raw) {
    *bytes = value.data;
    return LODE_OK;
  }
  b->size = 0;
  if (lode_buffer_reserve(b, record_size(value, parts)) != LODE_OK)
    return handle_no_memory(c->store);
  record_write(b->data, &c->check, whole, value, parts);
  *bytes = slice_of(b->data, record_size(value, parts));
  return LODE_OK;
}

lode_status item_put (lode_coll *c, lode_slice stored, lode_slice whole,
                      lode_value value, const record_parts *parts) {
  lode_slice bytes = { NULL, 0 };
  lode_status st = build(c, whole, value, parts, &bytes);
  if (st != LODE_OK)
    return st;
  if (item_in_bucket(c, stored))
    return change_bucket(c, stored, whole, bytes);
  return kv_put(&c->store->write, c->db, stored, bytes, false);
}

lode_status item_delete (lode_coll *c, lode_slice stored,
                         lode_slice whole) {
  if (item_in_bucket(c, stored))
    return change_bucket(c, stored, whole, slice_of(NULL, 0));
  return kv_delete(&c->store->write, c->db, stored);
}
