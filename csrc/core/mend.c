/*
** mend.c - lode_check, and collections made to agree with their records.
** See mend.h.
**
** A cursor does not outlive a write (the map may grow, and all be done
** again), so what is to be written is gathered first, a few at a time.
*/
#define VERIFY_ROOM
#include "mend.h"
#include "verify.h"

#include <stdarg.h>
#include <stdio.h>

#define GATHER 512 /* calls written at a time */

void mend_tell (mend *m, const char *format, ...) {
  char text[600];
  va_list args;
  m->report->mended++;
  if (m->options->mended == NULL)
    return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  m->options->mended(m->options->data, text);
}

/* {==================================================================
** What a collection holds
** =================================================================== */

typedef struct census {
  mend *m;
  lode_coll *c;
  record_check check;
  uint64_t records, entries;
  uint64_t bytes;        /* of keys and values, as order.h counts them */
  verify_calls calls;    /* of the records */
  lode_buffer bad;       /* stored keys: size (2), bytes */
} census;

static bool hashes_itself (const census *x) {
  return !x->c->kept.custom_hash;
}

/* Whether a record and its key are sound; then `r`. NO_MEMORY. */
static lode_status entry_sound (census *x, lode_slice whole,
                                lode_slice bytes, record *r, bool *sound) {
  lode_type type = x->c->kept.key_serializer.size == 0 ? x->c->kept.key
                                                       : LODE_ANY;
  lode_status st = verify_read_key(&x->m->scratch, type, whole);
  *sound = st == LODE_OK &&
           record_read(&x->check, whole, bytes, r) == LODE_OK;
  return st == LODE_NO_MEMORY ? handle_no_memory(x->m->s) : LODE_OK;
}

static void count_entry (census *x, lode_slice whole, const record *r) {
  if (r->flags & RECORD_HIDDEN)
    return;
  x->entries++;
  x->bytes += whole.size + r->value.data.size;
}

static lode_status add_pair (lode_buffer *out, lode_slice s) {
  unsigned char size[2];
  put_u16(size, (uint16_t)s.size);
  if (lode_buffer_add(out, size, 2) != LODE_OK ||
      lode_buffer_add(out, s.data, s.size) != LODE_OK)
    return LODE_NO_MEMORY;
  return LODE_OK;
}

/* Whether the call of `r` is one of those before it in the bucket. */
static bool called_before (census *x, lode_slice bucket, lode_slice whole,
                           uint64_t call) {
  record_parts parts;
  bucket_entry b;
  record r;
  while (bucket_next(&bucket, &b) == LODE_OK &&
         !slice_equal(b.whole, whole)) {
    if (record_read(&x->check, b.whole, b.record, &r) != LODE_OK)
      continue;
    record_read_parts(&r, &parts);
    if ((r.flags & RECORD_LIFE) && parts.call == call)
      return true;
  }
  return false;
}

/*
** The call of a record that stands under `stored`, where it has one of its
** own: what else is in the bucket may share it.
*/
static bool own_call (census *x, lode_slice stored, lode_slice bucket,
                      lode_slice whole, const record *r,
                      unsigned char bytes[8]) {
  record_parts parts;
  if (!(r->flags & RECORD_LIFE))
    return false;
  record_read_parts(r, &parts);
  put_u64(bytes, parts.call);
  return !key_stored_is_long(stored) ||
         !called_before(x, bucket, whole, parts.call);
}

static void count_call (census *x, lode_slice stored, lode_slice bucket,
                        lode_slice whole, const record *r) {
  unsigned char call[8];
  if (own_call(x, stored, bucket, whole, r, call))
    verify_add_call(&x->calls, slice_of(call, 8), stored);
}

/* Whether the next entry of a bucket may stand where it does. */
static bool in_place (const census *x, lode_slice last, lode_slice whole,
                      lode_slice stored) {
  return slice_compare(last, whole) < 0 &&
         verify_stands_under(whole, stored, hashes_itself(x)
                             ? x->c->store->secret : NULL);
}

static lode_status see_bucket (census *x, lode_slice stored,
                               lode_slice bucket, bool *sound) {
  lode_slice rest = bucket, last = { NULL, 0 };
  bucket_entry b;
  record r;
  lode_status st = LODE_OK, more;
  *sound = bucket.size > 0;
  while (st == LODE_OK && *sound &&
         (more = bucket_next(&rest, &b)) != LODE_ABSENT) {
    *sound = more == LODE_OK && in_place(x, last, b.whole, stored);
    if (*sound)
      st = entry_sound(x, b.whole, b.record, &r, sound);
    if (st != LODE_OK || !*sound)
      break;
    count_entry(x, b.whole, &r);
    count_call(x, stored, bucket, b.whole, &r);
    last = b.whole;
  }
  return st;
}

/* Counts what stands under a key, or notes that it is not sound. */
static lode_status see (census *x, lode_slice stored, lode_slice bytes) {
  lode_slice none = { NULL, 0 };
  bool sound = stored.size <= LODE_KEY_ROOM;
  lode_status st = LODE_OK;
  record r;
  x->records++;
  if (sound && key_stored_is_long(stored))
    st = see_bucket(x, stored, bytes, &sound);
  else if (sound) {
    st = entry_sound(x, stored, bytes, &r, &sound);
    if (st == LODE_OK && sound) {
      count_entry(x, stored, &r);
      count_call(x, stored, none, stored, &r);
    }
  }
  if (st == LODE_OK && !sound && add_pair(&x->bad, stored) != LODE_OK)
    st = handle_no_memory(x->m->s);
  return st;
}

static lode_status take_census (census *x) {
  kv_txn *t = &x->m->s->write;
  lode_slice key, value;
  kv_cursor *cursor;
  lode_status st = kv_cursor_open(t, x->c->db, &cursor);
  x->records = x->entries = x->bytes = 0;
  x->calls = (verify_calls){ 0, 0 };
  x->bad.size = 0;
  if (st != LODE_OK)
    return st == LODE_ABSENT ? LODE_OK : st;
  st = kv_cursor_move(t, cursor, KV_FIRST, &key, &value);
  while (st == LODE_OK) {
    st = see(x, key, value);
    if (st == LODE_OK)
      st = kv_cursor_move(t, cursor, KV_NEXT, &key, &value);
  }
  kv_cursor_close(cursor);
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* }================================================================== */

/* {==================================================================
** Entries that are damaged
** =================================================================== */

static const char *kind_of (const lode_coll *c, verify_text *name) {
  catalog_entry e;
  *name = (verify_text){ .size = 0 };
  if (catalog_by_number(&c->store->write, c->number, &e) != LODE_OK)
    return "collection";
  *name = verify_text_of(e.name);
  return e.kind == LODE_SET ? "set" : "dict";
}

static void tell_dropped (census *x, lode_slice whole) {
  verify_text name, key = verify_text_of_key(&x->m->scratch, whole);
  const char *kind = kind_of(x->c, &name);
  x->m->report->dropped++;
  mend_tell(x->m, "%s %s: dropped the entry %s, which was damaged", kind,
            name.bytes, key.bytes);
}

/* Builds in `out` a bucket of what is sound in `bucket`. */
static lode_status sift (census *x, lode_slice stored, lode_slice bucket,
                         lode_buffer *out) {
  lode_slice last = { NULL, 0 };
  bucket_entry b;
  record r;
  lode_status st, kept = LODE_OK;
  while ((st = bucket_next(&bucket, &b)) == LODE_OK && kept == LODE_OK) {
    unsigned char head[BUCKET_OVERHEAD];
    bool sound = in_place(x, last, b.whole, stored);
    if (sound)
      kept = entry_sound(x, b.whole, b.record, &r, &sound);
    if (kept != LODE_OK)
      break;
    if (!sound) {
      tell_dropped(x, b.whole);
      continue;
    }
    put_u32(head, (uint32_t)b.whole.size);
    put_u32(head + 4, (uint32_t)b.record.size);
    if (lode_buffer_add(out, head, sizeof head) != LODE_OK ||
        lode_buffer_add(out, b.whole.data, b.whole.size) != LODE_OK ||
        lode_buffer_add(out, b.record.data, b.record.size) != LODE_OK)
      kept = handle_no_memory(x->m->s);
    last = b.whole;
  }
  if (kept == LODE_OK && st == LODE_CORRUPT)
    tell_dropped(x, stored); /* the rest can't be told apart */
  return kept;
}

static lode_status drop_bad (census *x, lode_slice stored) {
  kv_txn *t = &x->m->s->write;
  lode_buffer left = { NULL, 0, 0 };
  lode_slice bytes;
  lode_status st = kv_get(t, x->c->db, stored, &bytes);
  if (st == LODE_OK && key_stored_is_long(stored))
    st = sift(x, stored, bytes, &left);
  else if (st == LODE_OK)
    tell_dropped(x, stored);
  if (st == LODE_OK)
    st = left.size > 0 ? kv_put(t, x->c->db, stored, slice_of_buffer(&left),
                                false)
                       : kv_delete(t, x->c->db, stored);
  lode_buffer_free(&left);
  return st;
}

static lode_status drop_all_bad (census *x) {
  lode_status st = LODE_OK;
  for (size_t at = 0; st == LODE_OK && at < x->bad.size;) {
    lode_slice stored = slice_of(x->bad.data + at + 2,
                                 get_u16(x->bad.data + at));
    st = drop_bad(x, stored);
    at += 2 + stored.size;
  }
  return st;
}

/* }================================================================== */

/* {==================================================================
** The index of deadlines
** =================================================================== */

static lode_status sum_index (census *x, verify_calls *sum, bool *sound) {
  kv_txn *t = &x->m->s->write;
  lode_slice key, value;
  kv_cursor *cursor;
  lode_status st = kv_cursor_open(t, x->c->due, &cursor);
  *sum = (verify_calls){ 0, 0 };
  *sound = true;
  if (st != LODE_OK)
    return st == LODE_ABSENT ? LODE_OK : st;
  st = kv_cursor_move(t, cursor, KV_FIRST, &key, &value);
  while (st == LODE_OK && *sound) {
    *sound = key.size > 8 && value.size == 0;
    if (*sound)
      verify_add_call(sum, slice_of(key.data, 8),
                      slice_of(key.data + 8, key.size - 8));
    st = kv_cursor_move(t, cursor, KV_NEXT, &key, &value);
  }
  kv_cursor_close(cursor);
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* Adds the calls of what stands under a key: call and key, as one. */
static lode_status gather (census *x, lode_slice stored, lode_slice bytes,
                           lode_buffer *out) {
  lode_slice rest = bytes;
  bucket_entry b = { stored, bytes };
  bool is_bucket = key_stored_is_long(stored);
  unsigned char key[8 + LODE_KEY_ROOM];
  record r;
  while (!is_bucket || bucket_next(&rest, &b) == LODE_OK) {
    if (record_read(&x->check, b.whole, b.record, &r) == LODE_OK &&
        own_call(x, stored, bytes, b.whole, &r, key)) {
      memcpy(key + 8, stored.data, stored.size);
      if (add_pair(out, slice_of(key, 8 + stored.size)) != LODE_OK)
        return handle_no_memory(x->m->s);
    }
    if (!is_bucket)
      break;
  }
  return LODE_OK;
}

/* The calls of the next GATHER records past `at`. ABSENT at the end. */
static lode_status gather_some (census *x, lode_buffer *at,
                                lode_buffer *out) {
  kv_txn *t = &x->m->s->write;
  lode_slice key, value, from = slice_of_buffer(at);
  kv_cursor *cursor;
  lode_status st = kv_cursor_open(t, x->c->db, &cursor);
  if (st != LODE_OK)
    return st;
  out->size = 0;
  st = from.size == 0 ? kv_cursor_move(t, cursor, KV_FIRST, &key, &value)
                      : kv_cursor_seek(t, cursor, from, &key, &value);
  if (st == LODE_OK && slice_equal(key, from))
    st = kv_cursor_move(t, cursor, KV_NEXT, &key, &value);
  for (int n = 0; st == LODE_OK; n++) {
    st = gather(x, key, value, out);
    if (st == LODE_OK && n == GATHER) {
      if (buffer_set(at, key.data, key.size) != LODE_OK)
        st = handle_no_memory(x->m->s);
      break;
    }
    if (st == LODE_OK)
      st = kv_cursor_move(t, cursor, KV_NEXT, &key, &value);
  }
  kv_cursor_close(cursor);
  return st;
}

static lode_status rebuild_index (census *x) {
  lode_buffer at = { NULL, 0, 0 }, calls = { NULL, 0, 0 };
  kv_txn *t = &x->m->s->write;
  lode_status st = kv_db_clear(t, x->c->due), more = LODE_OK;
  while (st == LODE_OK && more == LODE_OK) {
    more = gather_some(x, &at, &calls);
    st = more == LODE_ABSENT ? LODE_OK : more;
    for (size_t i = 0; st == LODE_OK && i < calls.size;) {
      lode_slice call = slice_of(calls.data + i + 2, get_u16(calls.data + i));
      st = kv_put(t, x->c->due, call, slice_of("", 0), false);
      i += 2 + call.size;
    }
  }
  lode_buffer_free(&at);
  lode_buffer_free(&calls);
  return st;
}

/* }================================================================== */

/* {==================================================================
** A collection, a store
** =================================================================== */

static lode_status mend_index (census *x) {
  verify_calls sum;
  verify_text name;
  const char *kind;
  bool sound;
  lode_status st;
  if (x->c->due == 0)
    return LODE_OK;
  st = sum_index(x, &sum, &sound);
  if (st != LODE_OK || (sound && sum.count == x->calls.count &&
                        sum.sum == x->calls.sum))
    return st;
  st = rebuild_index(x);
  kind = kind_of(x->c, &name);
  if (st == LODE_OK)
    mend_tell(x->m, "%s %s: its index of deadlines was made anew, with %llu "
              "calls", kind, name.bytes, (unsigned long long)x->calls.count);
  return st;
}

static lode_status mend_counts (census *x) {
  int64_t extra = 0, is = (int64_t)(x->entries - x->records);
  order_state order;
  verify_text name;
  const char *kind = kind_of(x->c, &name);
  lode_status st = catalog_extra(&x->m->s->write, x->c->number, &extra);
  if (st == LODE_OK && extra != is) {
    st = catalog_set_extra(&x->m->s->write, x->c->number, is);
    mend_tell(x->m, "%s %s: counted anew, %llu entries", kind, name.bytes,
              (unsigned long long)x->entries);
  }
  if (st != LODE_OK || x->c->order == 0 || x->c->kept.max_bytes == 0)
    return st;
  st = order_get_state(x->c, &order);
  if (st != LODE_OK || order.bytes == x->bytes)
    return st;
  order.bytes = x->bytes;
  return order_set_state(x->c, &order);
}

static lode_status mend_collection (mend *m, lode_coll *c) {
  census x = { .m = m, .c = c };
  bool own;
  lode_status st = coll_write(c, &own);
  if (st != LODE_OK)
    return st;
  lode_assert(!own);
  x.check = record_check_of(c->number, true);
  st = take_census(&x);
  if (st == LODE_OK && x.bad.size > 0) {
    st = drop_all_bad(&x);
    if (st == LODE_OK)
      st = take_census(&x);
  }
  if (st == LODE_OK)
    st = mend_counts(&x);
  if (st == LODE_OK)
    st = mend_index(&x);
  lode_buffer_free(&x.bad);
  return st;
}

static lode_status mend_collections (mend *m) {
  lode_buffer texts = { NULL, 0, 0 };
  catalog_entry e = { .number = 0 };
  lode_status st;
  while ((st = mend_next(m, e.number, &e, &texts)) == LODE_OK) {
    lode_coll_options o = { .custom_hash = e.options.custom_hash };
    lode_coll *c = NULL;
    st = lode_coll_open(m->s, e.name, e.kind, &o, &c);
    if (st == LODE_OK)
      st = mend_collection(m, c);
    lode_coll_close(c);
    if (st != LODE_OK || e.number++ == UINT32_MAX)
      break;
  }
  lode_buffer_free(&texts);
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* Checks what is committed now. */
static lode_status check_now (lode_store *s, const lode_check_options *o,
                              lode_check_report *report) {
  verify *v;
  kv_txn *t;
  lode_status st = handle_here(s);
  if (st != LODE_OK)
    return st;
  st = LODE_NO_MEMORY;
  v = verify_new(kv_data(s->env), o, &s->error);
  t = lode_malloc(sizeof *t);
  if (v != NULL && t != NULL) {
    kv_txn_init(t, s->env, &s->error);
    st = verify_run(v, verify_pin(v, t), report);
    kv_txn_free(t);
  }
  else
    handle_no_memory(s);
  if (v != NULL)
    verify_free(v);
  lode_free(t);
  return st;
}

static lode_status mend_all (lode_store *s, const lode_check_options *o,
                             lode_check_report *report) {
  mend m = { s, o, report, { NULL, 0, 0 } };
  bool own;
  lode_status st;
  s->ahead = queue_troubled(s->shared->queue); /* it may wait for just this */
  st = handle_write(s, &own);
  s->ahead = false;
  if (st != LODE_OK)
    return st;
  st = mend_catalog(&m);
  if (st == LODE_OK)
    st = mend_collections(&m);
  lode_buffer_free(&m.scratch);
  return handle_written(s, own, st);
}

lode_status lode_check (lode_store *s, const lode_check_options *o,
                        lode_check_report *report) {
  lode_check_options quiet = { .repair = o != NULL && o->repair };
  lode_check_report r = { .ok = false };
  bool own;
  lode_status st;
  if (!quiet.repair)
    return check_now(s, o, report);
  if (s->write.depth > 0)
    return fail(&s->error, LODE_REENTRY, "%s: a repair has a transaction of "
                "its own; call it outside of yours", s->files.base);
  if (s->readonly || s->snapshots > 0 || s->guards > 0 || s->asking > 0)
    return handle_write(s, &own); /* which refuses */
  quiet.progress = o->progress;
  quiet.data = o->data;
  st = check_now(s, &quiet, &r);
  if (st == LODE_OK && !r.ok) {
    lode_check_report done = { .ok = false };
    if (r.mendable)
      st = mend_all(s, o, &done);
    if (st == LODE_OK)
      st = check_now(s, o, &r);
    r.mended = done.mended;
    r.dropped = done.dropped;
  }
  if (st == LODE_OK)
    *report = r;
  return st;
}

/* }================================================================== */
