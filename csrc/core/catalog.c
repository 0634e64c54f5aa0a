/*
** catalog.c - see catalog.h.
*/
#include "catalog.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "check.h"

#define OWN "lode" /* the catalogue's database */
#define RECORD_MAX (5 * LODE_NAME_MAX + 64)

typedef struct record { /* a record being built */
  unsigned char bytes[RECORD_MAX];
  size_t size;
} record;

/* {==================================================================
** Records
** =================================================================== */

typedef struct record_key {
  unsigned char bytes[1 + LODE_NAME_MAX];
  size_t size;
} record_key;

static record_key key_of (char kind) {
  record_key k;
  k.bytes[0] = (unsigned char)kind;
  k.size = 1;
  return k;
}

static record_key key_of_number (char kind, uint32_t number) {
  record_key k = key_of(kind);
  put_u32(k.bytes + 1, number);
  k.size = 5;
  return k;
}

static record_key key_of_name (lode_slice name) {
  record_key k = key_of('n');
  lode_assert(name.size <= LODE_NAME_MAX);
  if (name.size > 0)
    memcpy(k.bytes + 1, name.data, name.size);
  k.size = 1 + name.size;
  return k;
}

static lode_slice key_slice (const record_key *k) {
  return slice_of(k->bytes, k->size);
}

static void add (record *r, const void *data, size_t size) {
  lode_assert(r->size + size <= sizeof r->bytes - 4);
  if (size > 0)
    memcpy(r->bytes + r->size, data, size);
  r->size += size;
}

static void add_u16 (record *r, uint16_t v) {
  unsigned char p[2];
  put_u16(p, v);
  add(r, p, sizeof p);
}

static void add_u32 (record *r, uint32_t v) {
  unsigned char p[4];
  put_u32(p, v);
  add(r, p, sizeof p);
}

static void add_u64 (record *r, uint64_t v) {
  unsigned char p[8];
  put_u64(p, v);
  add(r, p, sizeof p);
}

static void add_text (record *r, lode_slice s) {
  add_u16(r, (uint16_t)s.size);
  add(r, s.data, s.size);
}

static lode_status put_in (kv_txn *t, kv_db db, lode_slice key, record *r) {
  put_u32(r->bytes + r->size, catalog_crc(key, slice_of(r->bytes, r->size)));
  return kv_put(t, db, key, slice_of(r->bytes, r->size + 4), false);
}

static lode_status put (kv_txn *t, const record_key *k, record *r) {
  return put_in(t, kv_catalog(t->env), key_slice(k), r);
}

static lode_status damaged (kv_txn *t) {
  return fail(t->error, LODE_CORRUPT, "the catalogue of the store is "
              "damaged; restore it from a backup");
}

/* Checks a record's CRC and takes it off. */
static lode_status body_of (kv_txn *t, lode_slice key, lode_slice value,
                            lode_slice *body) {
  return catalog_body(key, value, body) ? LODE_OK : damaged(t);
}

static lode_status get_in (kv_txn *t, kv_db db, lode_slice key,
                           lode_slice *body) {
  lode_slice value;
  lode_status st = kv_get(t, db, key, &value);
  return st == LODE_OK ? body_of(t, key, value, body) : st;
}

static lode_status get (kv_txn *t, const record_key *k, lode_slice *body) {
  return get_in(t, kv_catalog(t->env), key_slice(k), body);
}

/* }================================================================== */

/* {==================================================================
** The store's own entry
** =================================================================== */

static lode_status get_store (kv_txn *t, catalog_store *store,
                              uint32_t *next, lode_slice *version) {
  record_key k = key_of('s');
  unsigned format;
  lode_slice body;
  lode_status st = get(t, &k, &body);
  if (st != LODE_OK)
    return st;
  st = catalog_read_store(body, store, next, version, &format);
  if (st == LODE_INCOMPATIBLE)
    return fail(t->error, st, "the store has format %u; this lode ("
                LODE_VERSION ") reads %d: use a newer lode", format,
                LODE_FORMAT);
  return st == LODE_OK ? LODE_OK : damaged(t);
}

static lode_status put_store (kv_txn *t, const catalog_store *store,
                              uint32_t next, lode_slice version) {
  record_key k = key_of('s');
  record r = { .size = 0 };
  add_u16(&r, LODE_FORMAT);
  add(&r, store->secret, HASH_SIZE);
  add(&r, store->id, sizeof store->id);
  add_u64(&r, store->created);
  add_u32(&r, next);
  add(&r, version.data, version.size < 64 ? version.size : 64);
  return put(t, &k, &r);
}

lode_status catalog_open (kv_txn *t, catalog_store *store) {
  uint32_t next;
  lode_slice version;
  if (kv_catalog(t->env) == 0)
    return LODE_ABSENT;
  return get_store(t, store, &next, &version);
}

static const struct { const char *text; size_t size; } suffixes[] = {
  { "", 0 }, { ".due", 4 }, { ".order", 6 }
};

_Static_assert(sizeof suffixes / sizeof *suffixes == CATALOG_DBS, "one each");

static const unsigned char generation_key[] = { 0, 'g' };

lode_status catalog_generation (kv_txn *t, uint64_t *generation) {
  lode_slice body;
  lode_status st = get_in(t, KV_MAIN, slice_of(generation_key, 2), &body);
  if (st == LODE_OK && body.size != 8)
    return damaged(t);
  if (st == LODE_OK)
    *generation = get_u64(body.data);
  return st;
}

static lode_status put_generation (kv_txn *t, uint64_t generation) {
  record r = { .size = 0 };
  add_u64(&r, generation);
  return put_in(t, KV_MAIN, slice_of(generation_key, 2), &r);
}

static lode_status changed (kv_txn *t) {
  uint64_t generation;
  lode_status st = catalog_generation(t, &generation);
  return st == LODE_OK ? put_generation(t, generation + 1)
                       : st == LODE_ABSENT ? damaged(t) : st;
}

/* Opens the catalogue's database. ABSENT: another program's file. */
static lode_status open_own (kv_txn *t, bool create) {
  kv_shape shape;
  kv_db db;
  lode_status st = kv_db_open(t, slice_of(OWN, sizeof OWN - 1), create, &db,
                              &shape);
  if (st == LODE_OK && shape.strange)
    return LODE_ABSENT;
  if (st == LODE_OK)
    kv_set_catalog(t->env, db);
  return st;
}

static lode_status fill_records (kv_txn *t) {
  catalog_store store;
  struct timespec now;
  lode_status st = open_own(t, true);
  if (st != LODE_OK)
    return st;
  clock_gettime(CLOCK_REALTIME, &now);
  store.created = (uint64_t)now.tv_sec * 1000 +
                  (uint64_t)(now.tv_nsec / 1000000);
  if (!hash_random(store.secret, HASH_SIZE) || !hash_random(store.id, 16))
    return fail(t->error, LODE_IO, "no random bytes to be had");
  st = put_store(t, &store, 1, slice_of(LODE_VERSION,
                                        sizeof LODE_VERSION - 1));
  return st == LODE_OK ? put_generation(t, 1) : st;
}

static lode_status fill (kv_txn *t) {
  lode_status st = kv_write_begin(t, 0);
  if (st == LODE_OK)
    st = fill_records(t);
  return st == LODE_OK ? kv_write_commit(t) : st; /* kv_open rolls back */
}

/* The first record of kind `kind` at or past `at`; ABSENT. */
static lode_status first_of (kv_txn *t, const record_key *at, bool after,
                             lode_slice *key, lode_slice *body) {
  kv_cursor *c;
  lode_slice value;
  lode_status st = kv_cursor_open(t, kv_catalog(t->env), &c);
  if (st != LODE_OK)
    return st;
  st = kv_cursor_seek(t, c, key_slice(at), key, &value);
  if (st == LODE_OK && after && slice_equal(*key, key_slice(at)))
    st = kv_cursor_move(t, c, KV_NEXT, key, &value);
  kv_cursor_close(c);
  if (st == LODE_OK && !slice_begins(*key, slice_of(at->bytes, 1)))
    return LODE_ABSENT;
  return st == LODE_OK ? body_of(t, *key, value, body) : st;
}

/* Removes the database `name` of a collection, and its indexes. */
static lode_status remove_dbs (kv_txn *t, lode_slice name) {
  char text[CATALOG_DB_NAME_MAX];
  lode_status st = LODE_OK;
  if (name.size > LODE_NAME_MAX + 12)
    return damaged(t);
  memcpy(text, name.data, name.size); /* it lies in the map */
  for (size_t i = CATALOG_DBS; i-- > 0 && st == LODE_OK;) {
    memcpy(text + name.size, suffixes[i].text, suffixes[i].size);
    st = kv_db_remove(t, slice_of(text, name.size + suffixes[i].size));
    if (st == LODE_ABSENT)
      st = LODE_OK;
  }
  return st;
}

/* Removes the databases of collections dropped in earlier times. */
static lode_status tidy (kv_txn *t) {
  record_key dropped = key_of('d'), k;
  lode_slice key, name;
  lode_status st;
  while ((st = first_of(t, &dropped, false, &key, &name)) == LODE_OK) {
    if (key.size != 5)
      return damaged(t);
    k = key_of_number('d', get_u32(key.data + 1));
    st = remove_dbs(t, name);
    if (st == LODE_OK)
      st = kv_delete(t, kv_catalog(t->env), key_slice(&k));
    if (st != LODE_OK)
      return st;
  }
  return st == LODE_ABSENT ? LODE_OK : st;
}

static lode_status check (kv_txn *t) {
  record_key dropped = key_of('d');
  catalog_store store;
  lode_slice key, body;
  lode_status st = open_own(t, false), any = LODE_ABSENT;
  if (st == LODE_OK)
    st = kv_read_begin(t);
  if (st == LODE_ABSENT) /* another program's file: for raw collections */
    return LODE_OK;
  if (st != LODE_OK)
    return st;
  st = catalog_open(t, &store);
  if (st == LODE_OK) {
    kv_set_id(t->env, store.id);
    any = first_of(t, &dropped, false, &key, &body);
  }
  kv_read_end(t);
  if (st == LODE_ABSENT) { /* only its name is like lode's */
    kv_set_catalog(t->env, 0);
    return LODE_OK;
  }
  if (st != LODE_OK || any != LODE_OK || kv_readonly(t->env))
    return st;
  if (kv_write_begin(t, 0) != LODE_OK)
    return LODE_OK; /* somebody writes: another time */
  st = tidy(t);
  if (st == LODE_OK)
    kv_write_commit(t);
  else
    kv_write_abort(t);
  return LODE_OK; /* it is only house-keeping */
}

const kv_hooks catalog_hooks = { fill, check, NULL };

/* }================================================================== */

/* {==================================================================
** Collections
** =================================================================== */

size_t catalog_db_name (const catalog_entry *entry, catalog_db which,
                        char out[CATALOG_DB_NAME_MAX]) {
  return (size_t)snprintf(out, CATALOG_DB_NAME_MAX, "%.*s#%lu%s",
                          (int)entry->made.size,
                          (const char *)entry->made.data,
                          (unsigned long)entry->number,
                          suffixes[which].text);
}

/* Whether anything of life was given. */
static bool has_life (const lode_coll_options *o) {
  return o->ttl != 0 || o->policy.size > 0 || o->on_expire || o->times ||
         o->max_entries != 0 || o->max_bytes != 0;
}

static void add_life (record *r, const lode_coll_options *o) {
  unsigned char p[2];
  add_u64(r, o->ttl);
  add_u64(r, o->max_entries);
  add_u64(r, o->max_bytes);
  p[0] = (unsigned char)o->evict;
  p[1] = (unsigned char)((o->policy_reads ? CATALOG_READS : 0) |
                         (o->on_expire ? CATALOG_ON_EXPIRE : 0) |
                         (o->times ? CATALOG_TIMES : 0));
  add(r, p, sizeof p);
  add_text(r, o->policy);
}

static lode_status put_entry (kv_txn *t, const catalog_entry *entry,
                              lode_slice name) {
  record_key k = key_of_number('c', entry->number);
  record r = { .size = 0 };
  unsigned char head[4];
  head[0] = (unsigned char)entry->kind;
  head[1] = (unsigned char)entry->options.key;
  head[2] = (unsigned char)entry->options.value;
  head[3] = has_life(&entry->options) ? CATALOG_LIFE : 0;
  if (entry->options.custom_hash)
    head[3] |= CATALOG_CUSTOM_HASH;
  add(&r, head, sizeof head);
  add_text(&r, name);
  add_text(&r, entry->made);
  add_text(&r, entry->options.serializer);
  add_text(&r, entry->options.key_serializer);
  if (head[3] & CATALOG_LIFE)
    add_life(&r, &entry->options);
  return put(t, &k, &r);
}

static lode_status put_name (kv_txn *t, lode_slice name, uint32_t number) {
  record_key k = key_of_name(name);
  record r = { .size = 0 };
  add_u32(&r, number);
  return put(t, &k, &r);
}

lode_status catalog_by_number (kv_txn *t, uint32_t number,
                               catalog_entry *entry) {
  record_key k = key_of_number('c', number);
  lode_slice body;
  lode_status st = get(t, &k, &body);
  if (st != LODE_OK)
    return st;
  st = catalog_read_entry(body, number, entry);
  if (st == LODE_INCOMPATIBLE)
    return fail(t->error, st, "the collection %.*s was made by a newer "
                "lode; use that one", (int)entry->name.size,
                (const char *)entry->name.data);
  return st == LODE_OK ? LODE_OK : damaged(t);
}

static lode_status by_name_body (kv_txn *t, lode_slice body,
                                 catalog_entry *entry) {
  lode_status st;
  if (body.size != 4)
    return damaged(t);
  st = catalog_by_number(t, get_u32(body.data), entry);
  return st == LODE_ABSENT ? damaged(t) : st;
}

lode_status catalog_find (kv_txn *t, lode_slice name, catalog_entry *entry) {
  record_key k = key_of_name(name);
  lode_slice body;
  lode_status st = get(t, &k, &body);
  return st == LODE_OK ? by_name_body(t, body, entry) : st;
}

lode_status catalog_next (kv_txn *t, lode_slice after, catalog_entry *entry) {
  record_key k = key_of_name(after);
  lode_slice key, body;
  lode_status st = first_of(t, &k, true, &key, &body);
  return st == LODE_OK ? by_name_body(t, body, entry) : st;
}

static lode_status count (kv_txn *t, unsigned *n) {
  catalog_entry entry;
  lode_slice after = slice_of("", 0);
  lode_status st;
  *n = 0;
  while ((st = catalog_next(t, after, &entry)) == LODE_OK) {
    after = entry.name;
    ++*n;
  }
  return st == LODE_ABSENT ? LODE_OK : st;
}

lode_status catalog_add (kv_txn *t, catalog_entry *entry) {
  unsigned char version_copy[64];
  catalog_store store;
  lode_slice version;
  unsigned n;
  lode_status st = count(t, &n);
  if (st == LODE_OK && n >= kv_collections(t->env))
    return fail(t->error, LODE_FULL, "the store has as many collections as "
                "`collections` allows, %u; reopen it with more", n);
  if (st == LODE_OK)
    st = get_store(t, &store, &entry->number, &version);
  if (st != LODE_OK)
    return st == LODE_ABSENT ? damaged(t) : st;
  if (version.size > sizeof version_copy)
    return damaged(t);
  memcpy(version_copy, version.data, version.size); /* it is overwritten */
  st = put_store(t, &store, entry->number + 1,
                 slice_of(version_copy, version.size));
  entry->made = entry->name;
  if (st == LODE_OK)
    st = put_entry(t, entry, entry->name);
  if (st == LODE_OK)
    st = put_name(t, entry->name, entry->number);
  return st == LODE_OK ? changed(t) : st;
}

typedef struct text_copy { /* for what must outlive the next write */
  unsigned char bytes[LODE_NAME_MAX];
} text_copy;

static lode_slice copied (text_copy *copy, lode_slice s) {
  size_t size = s.size < sizeof copy->bytes ? s.size : sizeof copy->bytes;
  if (size > 0)
    memcpy(copy->bytes, s.data, size);
  return slice_of(copy->bytes, size);
}

typedef struct entry_texts { text_copy name, made, serializer,
  key_serializer, policy; } entry_texts;

static catalog_entry copied_entry (entry_texts *x, const catalog_entry *e) {
  catalog_entry copy = *e;
  copy.name = copied(&x->name, e->name);
  copy.made = copied(&x->made, e->made);
  copy.options.serializer = copied(&x->serializer, e->options.serializer);
  copy.options.key_serializer = copied(&x->key_serializer,
                                       e->options.key_serializer);
  copy.options.policy = copied(&x->policy, e->options.policy);
  return copy;
}

lode_status catalog_change (kv_txn *t, const catalog_entry *entry) {
  entry_texts texts;
  catalog_entry copy = copied_entry(&texts, entry);
  lode_status st = put_entry(t, &copy, copy.name);
  return st == LODE_OK ? changed(t) : st;
}

lode_status catalog_drop (kv_txn *t, const catalog_entry *entry) {
  record_key of_name = key_of_name(entry->name);
  record_key of_number = key_of_number('c', entry->number);
  record_key dropped = key_of_number('d', entry->number);
  uint32_t number = entry->number;
  char db_name[CATALOG_DB_NAME_MAX];
  record r = { .size = 0 };
  lode_status st;
  add(&r, db_name, catalog_db_name(entry, CATALOG_ENTRIES, db_name));
  st = put(t, &dropped, &r);
  if (st == LODE_OK)
    st = kv_delete(t, kv_catalog(t->env), key_slice(&of_name));
  if (st == LODE_OK)
    st = kv_delete(t, kv_catalog(t->env), key_slice(&of_number));
  if (st == LODE_OK)
    st = catalog_set_extra(t, number, 0);
  return st == LODE_OK ? changed(t) : st;
}

lode_status catalog_rename (kv_txn *t, const catalog_entry *entry,
                            lode_slice to) {
  record_key old = key_of_name(entry->name);
  entry_texts texts;
  catalog_entry copy = copied_entry(&texts, entry);
  lode_status st = kv_delete(t, kv_catalog(t->env), key_slice(&old));
  if (st == LODE_OK)
    st = put_entry(t, &copy, to);
  if (st == LODE_OK)
    st = put_name(t, to, copy.number);
  return st == LODE_OK ? changed(t) : st;
}

lode_status catalog_extra (kv_txn *t, uint32_t number, int64_t *extra) {
  record_key k = key_of_number('x', number);
  lode_slice body;
  lode_status st = get(t, &k, &body);
  *extra = 0;
  if (st == LODE_ABSENT)
    return LODE_OK;
  if (st == LODE_OK && body.size != 8)
    return damaged(t);
  if (st == LODE_OK)
    *extra = (int64_t)get_u64(body.data);
  return st;
}

lode_status catalog_set_extra (kv_txn *t, uint32_t number, int64_t extra) {
  record_key k = key_of_number('x', number);
  record r = { .size = 0 };
  lode_status st;
  if (extra != 0) {
    add_u64(&r, (uint64_t)extra);
    return put(t, &k, &r);
  }
  st = kv_delete(t, kv_catalog(t->env), key_slice(&k));
  return st == LODE_ABSENT ? LODE_OK : st;
}

lode_status catalog_get_eras (kv_txn *t, catalog_eras *eras) {
  record_key k = key_of('e');
  lode_slice body;
  lode_status st = get(t, &k, &body);
  memset(eras, 0, sizeof *eras);
  if (st != LODE_OK)
    return st == LODE_ABSENT ? LODE_OK : st;
  return catalog_read_eras(body, eras) == LODE_OK ? LODE_OK : damaged(t);
}

lode_status catalog_set_eras (kv_txn *t, const catalog_eras *eras) {
  record_key k = key_of('e');
  record r = { .size = 0 };
  add_u16(&r, eras->era);
  for (unsigned i = 0; i < eras->count; i++) {
    add_u16(&r, eras->floors[i].era);
    add_u64(&r, eras->floors[i].time);
  }
  return put(t, &k, &r);
}

/* The name of a database without the suffix that an index has. */
static lode_slice without_suffix (lode_slice name) {
  for (size_t i = 1; i < CATALOG_DBS; i++) {
    size_t size = suffixes[i].size;
    if (name.size > size && memcmp(name.data + name.size - size,
                                   suffixes[i].text, size) == 0)
      return slice_of(name.data, name.size - size);
  }
  return name;
}

bool catalog_owns (kv_txn *t, lode_slice name) {
  char db_name[CATALOG_DB_NAME_MAX];
  catalog_entry entry;
  uint64_t number = 0;
  size_t at;
  record_key dropped;
  lode_slice body;
  if (kv_catalog(t->env) == 0)
    return false;
  if (slice_equal(name, slice_of(OWN, sizeof OWN - 1)))
    return true;
  name = without_suffix(name);
  at = name.size;
  while (at > 0 && name.data[at - 1] >= '0' && name.data[at - 1] <= '9')
    at--;
  if (at == 0 || at == name.size || name.data[at - 1] != '#' ||
      name.size - at > 10)
    return false;
  for (size_t i = at; i < name.size; i++)
    number = number * 10 + (uint64_t)(name.data[i] - '0');
  if (number > UINT32_MAX)
    return false;
  if (catalog_by_number(t, (uint32_t)number, &entry) == LODE_OK)
    return slice_equal(name, slice_of(db_name, catalog_db_name(&entry,
                       CATALOG_ENTRIES, db_name)));
  dropped = key_of_number('d', (uint32_t)number);
  return get(t, &dropped, &body) == LODE_OK && slice_equal(name, body);
}

lode_status catalog_next_raw (kv_txn *t, lode_slice after,
                              lode_slice *name) {
  lode_slice at = after.size > 0 ? after : slice_of("\1", 1), value;
  kv_cursor *c;
  lode_status st = kv_cursor_open(t, KV_MAIN, &c);
  if (st != LODE_OK)
    return st;
  st = kv_cursor_seek(t, c, at, name, &value);
  while (st == LODE_OK &&
         (slice_equal(*name, after) || catalog_owns(t, *name) ||
          memchr(name->data, '\0', name->size) != NULL))
    st = kv_cursor_move(t, c, KV_NEXT, name, &value);
  kv_cursor_close(c);
  return st;
}

/* }================================================================== */
