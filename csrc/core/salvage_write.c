/*
** salvage_write.c - see salvage.h.
**
** Entries get the number of their new collection, and long keys their hash
** under the new store's secret. Their times and ranks stay as they are.
*/
#include "salvage.h"

#include <stdio.h>

#define BATCH ((uint64_t)16 << 20) /* bytes of one transaction */

/* {==================================================================
** Transactions
** =================================================================== */

static lode_status begin (salvage_out *out) {
  bool own;
  return out->store->write.depth > 0 ? LODE_OK
                                     : handle_write(out->store, &own);
}

static lode_status commit (salvage_out *out) {
  out->pending = 0;
  if (out->store->write.depth == 0)
    return LODE_OK;
  return handle_written(out->store, true, LODE_OK);
}

/* `size` more bytes were written. */
static lode_status count_bytes (salvage_out *out, size_t size) {
  out->pending += size;
  return out->pending > BATCH ? commit(out) : LODE_OK;
}

lode_status salvage_end (salvage_out *out) {
  lode_status st = commit(out);
  return st == LODE_OK ? lode_flush(out->store) : st;
}

lode_status salvage_eras (salvage_out *out, const catalog_eras *eras) {
  lode_status st = begin(out);
  if (st == LODE_OK)
    st = catalog_set_eras(&out->store->write, eras);
  return st == LODE_OK ? commit(out) : st;
}

/* }================================================================== */

/* {==================================================================
** Collections
** =================================================================== */

/* Opens it under its name or, where that is taken, with its number. */
static lode_status open_named (salvage_out *out, salvage_part *part,
                               const lode_coll_options *o) {
  char name[LODE_NAME_MAX + 16];
  lode_slice given = part->entry.name;
  lode_coll *c;
  int size;
  for (c = out->store->colls; c != NULL; c = c->next) {
    catalog_entry e;
    if (catalog_by_number(&out->store->write, c->number, &e) == LODE_OK &&
        slice_equal(e.name, given))
      break;
  }
  if (c != NULL || given.size == 0) {
    size = snprintf(name, sizeof name, "lost+found#%lu",
                    (unsigned long)part->number);
    given = slice_of(name, (size_t)size);
  }
  return lode_coll_open(out->store, given, part->entry.kind, o,
                        &part->coll);
}

lode_status salvage_make (salvage_out *out, salvage_part *part) {
  lode_coll_options o = part->entry.options;
  lode_status st = begin(out);
  if (st != LODE_OK || part->coll != NULL)
    return st;
  o.raw = part->raw;
  o.rearm = false;
  o.hooks = NULL;
  st = open_named(out, part, &o);
  if (st == LODE_BAD_ARGUMENT || st == LODE_INCOMPATIBLE) {
    part->refused = true; /* no name that one can have */
    return LODE_OK;
  }
  return st;
}

/* }================================================================== */

/* {==================================================================
** Entries
** =================================================================== */

/* Whether the key can be one of the collection; then as it stands there. */
static bool place (salvage_out *out, const salvage_part *part,
                   lode_slice whole, lode_slice stored, lode_key *key) {
  lode_key_type type;
  lode_slice hash = { NULL, 0 };
  if (key_type(whole, &type) != LODE_OK &&
      part->entry.options.key_serializer.size == 0)
    return false;
  if (whole.size > LODE_KEY_MAX)
    return false;
  if (part->entry.options.custom_hash && key_stored_is_long(stored))
    hash = slice_of(stored.data + KEY_PREFIX, HASH_SIZE);
  key->whole = whole;
  key_store(key, hash, out->store->secret);
  return true;
}

/* Writes a record that is sound. */
static lode_status write_record (salvage_out *out, salvage_part *part,
                                 lode_slice stored, lode_slice whole,
                                 const record *r, bool again) {
  life_item item = { .whole = whole, .record = *r };
  record_parts parts;
  lode_status st;
  lode_key key;
  record old;
  bool own;
  if (!place(out, part, whole, stored, &key)) {
    part->damaged += !again;
    return LODE_OK;
  }
  item.stored = key.stored;
  st = salvage_make(out, part);
  if (st != LODE_OK || part->refused)
    return st;
  st = coll_write(part->coll, &own);
  if (st != LODE_OK)
    return st;
  if (item_get(part->coll, &out->store->write, item.stored, whole, &old) ==
      LODE_OK)
    return LODE_OK;
  record_read_parts(r, &parts);
  if (part->coll->order == 0)
    parts.flags &= ~(unsigned)RECORD_RANK;
  st = life_change(part->coll, &item, &parts);
  if (st != LODE_OK)
    return st;
  part->kept += !(r->flags & RECORD_HIDDEN);
  return count_bytes(out, whole.size + r->value.data.size + 64);
}

static lode_status one (salvage_out *out, salvage_part *part,
                        lode_slice stored, lode_slice whole,
                        lode_slice bytes, bool again) {
  record r;
  if (record_read(&part->check, whole, bytes, &r) != LODE_OK) {
    part->damaged += !again;
    return LODE_OK;
  }
  if (!part->known && part->entry.kind == LODE_RAW)
    part->entry.kind = r.value.codec == LODE_NOTHING ? LODE_SET : LODE_DICT;
  return write_record(out, part, stored, whole, &r, again);
}

lode_status salvage_entry (salvage_out *out, salvage_part *part,
                           lode_slice stored, lode_slice value, bool again) {
  bucket_entry b;
  lode_status st = LODE_OK, more;
  if (!key_stored_is_long(stored))
    return one(out, part, stored, stored, value, again);
  while (st == LODE_OK && (more = bucket_next(&value, &b)) != LODE_ABSENT) {
    if (more != LODE_OK) {
      part->damaged += !again;
      break;
    }
    st = one(out, part, stored, b.whole, b.record, again);
  }
  return st;
}

lode_status salvage_raw (salvage_out *out, salvage_part *part,
                         lode_slice key, lode_slice value) {
  lode_status st = salvage_make(out, part);
  bool own;
  if (st != LODE_OK || part->refused)
    return st;
  st = coll_write(part->coll, &own);
  if (st == LODE_OK)
    st = kv_put(&out->store->write, part->coll->db, key, value, false);
  if (st != LODE_OK)
    return st;
  part->kept++;
  return count_bytes(out, key.size + value.size + 64);
}

/* }================================================================== */
