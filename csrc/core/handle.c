/*
** handle.c - see handle.h.
*/
#include "handle.h"

lode_status coll_gone (const lode_coll *c) {
  return fail(&c->store->error, LODE_NOT_FOUND, "this collection was "
              "dropped; open it anew to make it again");
}

lode_status coll_stands (lode_coll *c, kv_txn *t) {
  uint64_t generation;
  catalog_entry entry;
  lode_status st;
  if (c->gone || c->drop_depth > 0)
    return coll_gone(c);
  if (c->kept.raw)
    return LODE_OK;
  st = catalog_generation(t, &generation);
  if (st == LODE_OK && generation == c->generation)
    return LODE_OK;
  if (st == LODE_OK)
    st = catalog_by_number(t, c->number, &entry);
  if (st == LODE_ABSENT) /* for good: numbers are not used again */
    return coll_gone(c);
  if (st == LODE_OK)
    c->generation = generation;
  return st;
}

lode_status handle_write (lode_store *s, bool *own) {
  *own = false;
  if (s->readonly)
    return fail(&s->error, LODE_READONLY, "%s is open for reading only",
                s->files.base);
  if (s->snapshots > 0)
    return fail(&s->error, LODE_READONLY, "%s: a snapshot is for reading; "
                "write before or after it, or use a transaction",
                s->files.base);
  if (s->guards > 0)
    return fail(&s->error, LODE_REENTRY, "%s: this function was called "
                "while its entry is being changed, and can't write to the "
                "same store; use store:transaction", s->files.base);
  if (s->write.depth > 0)
    return LODE_OK;
  handle_done(s);
  *own = true;
  s->serial++;
  return kv_write_begin(&s->write, s->timeout);
}

lode_status handle_written (lode_store *s, bool own, lode_status st) {
  if (!own)
    return st;
  if (st == LODE_OK)
    return kv_write_commit(&s->write);
  kv_write_abort(&s->write);
  return st;
}

lode_status coll_write (lode_coll *c, bool *own) {
  lode_store *s;
  lode_status st = coll_store(c, &s);
  if (st == LODE_OK)
    st = handle_write(s, own);
  if (st != LODE_OK)
    return st;
  if (c->serial != s->serial || c->drop_depth > 0 || c->gone) {
    st = coll_stands(c, &s->write);
    if (st != LODE_OK)
      return handle_written(s, *own, st);
    c->serial = s->serial;
  }
  return LODE_OK;
}

/* The names of all databases of the catalogue, each ended by a 0. */
static lode_status db_names (lode_store *s, lode_buffer *names,
                             uint64_t *generation) {
  char db_name[CATALOG_DB_NAME_MAX];
  catalog_entry entry;
  lode_slice after = slice_of("", 0);
  kv_txn *t;
  lode_status st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = catalog_generation(t, generation);
  if (st == LODE_OK && *generation != kv_generation(s->env))
    while ((st = catalog_next(t, after, &entry)) == LODE_OK) {
      size_t size = catalog_db_name(&entry, db_name);
      st = lode_buffer_add(names, db_name, size + 1);
      if (st != LODE_OK)
        break;
      after = entry.name;
    }
  handle_done(s);
  return st == LODE_ABSENT ? LODE_OK : st;
}

lode_status handle_prepare (lode_store *s) {
  lode_buffer names = { NULL, 0, 0 };
  uint64_t generation = 0;
  kv_shape shape;
  kv_db db;
  lode_status st;
  lode_assert(s->write.depth == 0 && s->snapshots == 0);
  if (s->foreign)
    return LODE_OK;
  st = db_names(s, &names, &generation);
  for (size_t at = 0; st == LODE_OK && at < names.size;) {
    lode_slice name = slice_of(names.data + at,
                               strlen((const char *)names.data + at));
    st = kv_db_open(&s->read, name, false, &db, &shape);
    if (st == LODE_OK)
      kv_db_close(s->env, db);
    else if (st == LODE_ABSENT) /* dropped meanwhile */
      st = LODE_OK;
    at += name.size + 1;
  }
  lode_buffer_free(&names);
  if (st == LODE_OK)
    kv_set_generation(s->env, generation);
  else if (st == LODE_NO_MEMORY)
    fail(&s->error, st, "%s: no memory", s->files.base);
  return st;
}
