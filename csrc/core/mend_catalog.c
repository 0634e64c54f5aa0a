/*
** mend_catalog.c - the catalogue made to agree with itself. See mend.h.
**
** Its truth are the records of the store and of the collections ('s' and
** 'c' of catalog.h): where one of these is damaged nothing is mended here.
** All others can be told from them, or are no great loss.
*/
#include "mend.h"

#include <time.h>

#include "catalog.h"

/* Of kv_cursor_seek: the first of all. */
#define ANY slice_of("\0", 1)

/* Writes a record with its checksum. */
static lode_status seal (mend *m, kv_db db, lode_slice key,
                         lode_slice body) {
  unsigned char bytes[16];
  lode_assert(body.size + 4 <= sizeof bytes);
  memcpy(bytes, body.data, body.size);
  put_u32(bytes + body.size, catalog_crc(key, body));
  return kv_put(&m->s->write, db, key, slice_of(bytes, body.size + 4),
                false);
}

/*
** The generation says only that something has changed: a number that it
** never had before is as good as the next.
*/
static lode_status new_generation (mend *m) {
  unsigned char bytes[8];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  put_u64(bytes, (uint64_t)now.tv_sec * 1000000000 +
                 (uint64_t)now.tv_nsec);
  return seal(m, KV_MAIN, slice_of("\0g", 2), slice_of(bytes, 8));
}

static bool generation_is_sound (mend *m) {
  uint64_t generation;
  return catalog_generation(&m->s->write, &generation) == LODE_OK;
}

/* The store's own record, or a collection's. */
static bool is_truth (lode_slice key) {
  return key.data[0] == 'c' || key.data[0] == 's';
}

/* Whether the database of a dropped collection is still there. */
static bool dropped_stands (mend *m, lode_slice name) {
  kv_shape shape;
  kv_db db;
  lode_status st = kv_db_open(&m->s->write, name, false, &db, &shape);
  if (st == LODE_OK)
    kv_db_close(m->s->env, db);
  return st != LODE_ABSENT;
}

/* What is wrong with a record, so that it should go; null: nothing. */
static const char *record_wrong (mend *m, lode_slice key, lode_slice body) {
  bool numbered = key.size == 5;
  catalog_entry e;
  switch (key.data[0]) {
    case 'n':
      return body.size == 4 &&
             catalog_by_number(&m->s->write, get_u32(body.data), &e) ==
             LODE_OK && slice_equal(e.name, slice_of(key.data + 1,
                                                     key.size - 1))
             ? NULL : "a name that led to no collection";
    case 'x':
      return numbered && body.size == 8 &&
             catalog_by_number(&m->s->write, get_u32(key.data + 1), &e) ==
             LODE_OK ? NULL : "a count that belonged to nothing";
    case 'd':
      return numbered && dropped_stands(m, body)
             ? NULL : "what was left of a dropped collection";
    default:
      return NULL;
  }
}

/*
** Finds the first record past `at` that should go: its key becomes `at`.
** ABSENT at the end.
*/
static lode_status next_wrong (mend *m, lode_buffer *at,
                               const char **wrong) {
  kv_txn *t = &m->s->write;
  lode_slice key, value, body, from = slice_of_buffer(at);
  kv_cursor *c;
  lode_status st = kv_cursor_open(t, kv_catalog(m->s->env), &c);
  if (st != LODE_OK)
    return st;
  st = kv_cursor_seek(t, c, from.size > 0 ? from : ANY, &key, &value);
  if (st == LODE_OK && slice_equal(key, from))
    st = kv_cursor_move(t, c, KV_NEXT, &key, &value);
  for (*wrong = NULL; st == LODE_OK; st = kv_cursor_move(t, c, KV_NEXT, &key,
                                                         &value)) {
    if (catalog_body(key, value, &body))
      *wrong = record_wrong(m, key, body);
    else
      *wrong = is_truth(key) ? NULL : "a damaged record";
    if (*wrong != NULL)
      break;
  }
  if (st == LODE_OK && buffer_set(at, key.data, key.size) != LODE_OK)
    st = handle_no_memory(m->s);
  kv_cursor_close(c);
  return st;
}

static lode_status remove_wrong (mend *m) {
  lode_buffer at = { NULL, 0, 0 };
  const char *wrong;
  lode_status st;
  while ((st = next_wrong(m, &at, &wrong)) == LODE_OK) {
    st = kv_delete(&m->s->write, kv_catalog(m->s->env),
                   slice_of_buffer(&at));
    if (st != LODE_OK)
      break;
    mend_tell(m, "the catalogue: removed %s", wrong);
  }
  lode_buffer_free(&at);
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* Leads the name of a collection to it again. */
static lode_status lead_name (mend *m, const catalog_entry *e) {
  unsigned char key[1 + LODE_NAME_MAX] = { 'n' }, number[4];
  lode_slice k = slice_of(key, 1 + e->name.size), value;
  lode_status st;
  memcpy(key + 1, e->name.data, e->name.size);
  st = kv_get(&m->s->write, kv_catalog(m->s->env), k, &value);
  if (st != LODE_ABSENT)
    return st;
  put_u32(number, e->number);
  mend_tell(m, "collection %.*s: its name leads to it again",
            (int)e->name.size, (const char *)e->name.data);
  return seal(m, kv_catalog(m->s->env), k, slice_of(number, 4));
}

/* Makes the tree of a collection that has none. */
static lode_status make_tree (mend *m, const catalog_entry *e) {
  char name[CATALOG_DB_NAME_MAX];
  size_t size = catalog_db_name(e, CATALOG_ENTRIES, name);
  kv_shape shape;
  kv_db db;
  lode_status st = kv_db_open(&m->s->write, slice_of(name, size), false, &db,
                              &shape);
  if (st == LODE_ABSENT) {
    st = kv_db_open(&m->s->write, slice_of(name, size), true, &db, &shape);
    if (st == LODE_OK)
      mend_tell(m, "collection %.*s: its entries are lost, it begins anew",
                (int)e->name.size, (const char *)e->name.data);
  }
  if (st == LODE_OK)
    kv_db_close(m->s->env, db);
  return st;
}

lode_status mend_next (mend *m, uint32_t number, catalog_entry *e,
                       lode_buffer *texts) {
  kv_txn *t = &m->s->write;
  unsigned char at[5] = { 'c' };
  lode_slice key, value, body;
  kv_cursor *c;
  lode_status st = kv_cursor_open(t, kv_catalog(m->s->env), &c);
  if (st != LODE_OK)
    return st;
  put_u32(at + 1, number);
  st = kv_cursor_seek(t, c, slice_of(at, sizeof at), &key, &value);
  if (st == LODE_OK && (key.size != 5 || key.data[0] != 'c'))
    st = LODE_ABSENT;
  if (st == LODE_OK && !catalog_body(key, value, &body))
    st = LODE_CORRUPT;
  if (st == LODE_OK) { /* a copy, which writes leave alone */
    number = get_u32(key.data + 1);
    st = buffer_set(texts, body.data, body.size);
  }
  kv_cursor_close(c);
  return st == LODE_OK ? catalog_read_entry(slice_of_buffer(texts), number,
                                            e) : st;
}

static lode_status mend_entries (mend *m) {
  lode_buffer texts = { NULL, 0, 0 };
  uint32_t number = 0;
  catalog_entry e;
  lode_status st;
  while ((st = mend_next(m, number, &e, &texts)) == LODE_OK) {
    st = lead_name(m, &e);
    if (st == LODE_OK)
      st = make_tree(m, &e);
    if (st != LODE_OK || e.number == UINT32_MAX)
      break;
    number = e.number + 1;
  }
  lode_buffer_free(&texts);
  if (st == LODE_CORRUPT || st == LODE_NO_MEMORY)
    return fail(&m->s->error, st, "%s: the catalogue can't be mended",
                m->s->files.base);
  return st == LODE_ABSENT ? LODE_OK : st;
}

lode_status mend_catalog (mend *m) {
  lode_status st = LODE_OK;
  if (!generation_is_sound(m)) {
    mend_tell(m, "the catalogue: its generation was made anew");
    st = new_generation(m);
  }
  if (st == LODE_OK)
    st = remove_wrong(m);
  if (st == LODE_OK)
    st = mend_entries(m);
  return st == LODE_OK ? new_generation(m) : st;
}
