/*
** coll.c - collections: their handles, and the changes of the catalogue.
*/
#include "behind.h"
#include "entry.h"
#include "kept.h"
#include "sweep.h"

#define OPEN_TRIES 100 /* each fails only when it is dropped just then */

/* {==================================================================
** Handles
** =================================================================== */

static lode_coll *coll_new (lode_store *s) {
  lode_coll *c = lode_malloc(sizeof *c);
  if (c == NULL) {
    handle_no_memory(s);
    return NULL;
  }
  memset(c, 0, sizeof *c);
  return c;
}

static void coll_free (lode_coll *c) {
  lode_buffer_free(&c->sweep);
  lode_free(c->policy);
  lode_free(c->texts);
  lode_free(c);
}

static void close_dbs (lode_coll *c, lode_store *s) {
  kv_db_close(s->env, c->db);
  if (c->due != 0)
    kv_db_close(s->env, c->due);
  if (c->order != 0)
    kv_db_close(s->env, c->order);
}

static void coll_attach (lode_coll *c, lode_store *s) {
  c->store = s;
  c->next = s->colls;
  c->link = &s->colls;
  if (s->colls != NULL)
    s->colls->link = &c->next;
  s->colls = c;
  check_handle(1);
}

void coll_detach (lode_coll *c) {
  if (c->store == NULL)
    return;
  walks_leave(c);
  if (!c->gone)
    close_dbs(c, c->store);
  *c->link = c->next;
  if (c->next != NULL)
    c->next->link = c->link;
  c->store = NULL;
  check_handle(-1);
}

void colls_settle (lode_store *s, unsigned depth, bool committed) {
  handle_notes_settle(s, depth, committed);
  for (lode_coll *c = s->colls; c != NULL; c = c->next) {
    if (!committed) {
      c->generation = 0; /* it may be another one's next time */
      if (c->made_depth >= depth)
        c->gone = true; /* and its database closed, by LMDB */
      if (c->drop_depth >= depth)
        c->drop_depth = 0;
      continue;
    }
    if (c->drop_depth == depth && --c->drop_depth == 0) {
      close_dbs(c, s);
      c->gone = true;
    }
    if (c->made_depth == depth)
      c->made_depth--;
  }
}

/* }================================================================== */

/* {==================================================================
** Collections
** =================================================================== */

static lode_status check_name (lode_store *s, lode_slice name) {
  if (name.size > 0 && name.size <= LODE_NAME_MAX &&
      memchr(name.data, '\0', name.size) == NULL)
    return LODE_OK;
  return fail(&s->error, LODE_BAD_ARGUMENT, "a collection's name has 1 to "
              "%d bytes, none of them 0; this one has %llu", LODE_NAME_MAX,
              (unsigned long long)name.size);
}

/* Copies what an entry of the catalogue says to a handle. */
static lode_status coll_keep (lode_coll *c, lode_store *s,
                              const catalog_entry *e) {
  lode_slice a = e->options.serializer, b = e->options.key_serializer;
  c->texts = lode_malloc(a.size + b.size + 1);
  if (c->texts == NULL)
    return handle_no_memory(s);
  if (a.size > 0)
    memcpy(c->texts, a.data, a.size);
  if (b.size > 0)
    memcpy(c->texts + a.size, b.data, b.size);
  c->kept = e->options;
  c->kept.serializer = slice_of(c->texts, a.size);
  c->kept.key_serializer = slice_of(c->texts + a.size, b.size);
  c->kept.policy = slice_of(NULL, 0);
  c->number = e->number;
  c->check = record_check_of(e->number, s->checksum);
  return coll_take_life(c, s, e);
}

/* Opens the database of an entry; `db_name` was made of it. */
static lode_status coll_open_db (lode_coll *c, lode_store *s,
                                 lode_slice db_name, bool create) {
  kv_txn *t = s->write.depth > 0 ? &s->write : &s->read;
  kv_shape shape;
  lode_status st = kv_db_open(t, db_name, create, &c->db, &shape);
  if (st == LODE_OK && shape.strange) {
    kv_db_close(s->env, c->db);
    c->db = 0;
    st = fail(&s->error, LODE_INCOMPATIBLE, "%.*s has duplicates or an "
              "order of its own (DUPSORT, INTEGERKEY, REVERSEKEY), which "
              "lode can't keep", (int)db_name.size,
              (const char *)db_name.data);
  }
  return st;
}

/* The catalogue's entry of `name`, checked, and the name of its database. */
static lode_status look_up (lode_store *s, lode_slice name, lode_kind kind,
                            const lode_coll_options *o, lode_coll *c,
                            char *db_name, size_t *size) {
  catalog_entry e;
  kv_txn *t;
  lode_status st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = catalog_find(t, name, &e);
  if (st == LODE_OK)
    st = kept_check(s, &e, kind, o);
  if (st == LODE_OK)
    st = coll_keep(c, s, &e);
  if (st == LODE_OK) {
    *size = catalog_db_name(&e, CATALOG_ENTRIES, db_name);
    st = catalog_generation(t, &c->generation);
  }
  handle_done(s);
  return st;
}

/* INCOMPATIBLE where another program's database has that name. */
static lode_status no_raw (lode_store *s, lode_slice name) {
  kv_shape shape;
  kv_db db;
  lode_status st;
  if (catalog_owns(&s->write, name)) /* no collection is named as its own
                                        databases are */
    return LODE_OK;
  st = kv_db_open(&s->write, name, false, &db, &shape);
  if (st == LODE_OK) {
    kv_db_close(s->env, db);
    st = fail(&s->error, LODE_INCOMPATIBLE, "%.*s is another program's "
              "database: open it with raw = true, or take another name",
              (int)name.size, (const char *)name.data);
  }
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* Adds a collection to the catalogue, and its databases. */
static lode_status make (lode_store *s, lode_slice name, lode_kind kind,
                         const lode_coll_options *o, lode_coll *c) {
  char db_name[CATALOG_DB_NAME_MAX];
  catalog_entry e;
  size_t size;
  lode_status st = no_raw(s, name);
  if (st != LODE_OK)
    return st;
  memset(&e, 0, sizeof e);
  e.kind = kind;
  e.name = name;
  e.options = *o;
  kept_default(&e.options);
  st = catalog_add(&s->write, &e);
  if (st == LODE_OK)
    st = coll_keep(c, s, &e);
  size = catalog_db_name(&e, CATALOG_ENTRIES, db_name);
  if (st == LODE_OK)
    st = coll_open_db(c, s, slice_of(db_name, size), true);
  return st == LODE_OK ? coll_open_indexes(c, s, &e, true) : st;
}

/* Opens the indexes of a collection that was there, as far as they are. */
static lode_status open_indexes (lode_coll *c, lode_store *s) {
  catalog_entry e;
  lode_buffer name = { NULL, 0, 0 };
  kv_txn *t;
  lode_status st = handle_read(s, &t);
  if (st == LODE_OK)
    st = catalog_by_number(t, c->number, &e);
  if (st == LODE_OK && buffer_set(&name, e.made.data, e.made.size) !=
      LODE_OK)
    st = handle_no_memory(s);
  handle_done(s);
  e.made = slice_of_buffer(&name);
  if (st == LODE_OK)
    st = coll_open_indexes(c, s, &e, false);
  lode_buffer_free(&name);
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* Brings catalogue, indexes and entries to what the options ask for. */
static lode_status renew (lode_coll *c, lode_store *s,
                          const lode_coll_options *o) {
  catalog_entry e;
  lode_status st = catalog_by_number(&s->write, c->number, &e);
  if (st == LODE_OK && (o->rearm || o->on_expire)) {
    if (o->rearm)
      kept_replace(&e.options, o);
    e.options.on_expire = o->on_expire;
    st = catalog_change(&s->write, &e);
    if (st == LODE_OK)
      st = catalog_by_number(&s->write, c->number, &e);
    if (st == LODE_OK)
      st = coll_take_life(c, s, &e);
    if (o->hooks != NULL)
      c->hooks = *o->hooks;
  }
  if (st == LODE_OK)
    st = coll_open_indexes(c, s, &e, true);
  return st == LODE_OK && o->rearm ? sweep_rearm(c) : st;
}

/* After the opening of a collection that was there. */
static lode_status settle_options (lode_coll *c, lode_store *s,
                                   const lode_coll_options *o) {
  bool own;
  bool wanted = o->rearm || (o->on_expire && !c->kept.on_expire) ||
                c->due == 0 || (coll_is_capped(c) && c->order == 0);
  lode_status st;
  if (!wanted || (!o->rearm && (s->readonly || s->snapshots > 0 ||
                                s->asking > 0 || s->guards > 0)))
    return LODE_OK;
  st = handle_write(s, &own);
  return st == LODE_OK ? handle_written(s, own, renew(c, s, o)) : st;
}

/* ABSENT: it was dropped just then, or is not there nor to be made. */
static lode_status open_or_make (lode_store *s, lode_slice name,
                                 lode_kind kind, const lode_coll_options *o,
                                 bool may_make, lode_coll *c) {
  char db_name[CATALOG_DB_NAME_MAX];
  size_t size;
  bool own;
  lode_status st = look_up(s, name, kind, o, c, db_name, &size);
  if (st == LODE_OK)
    st = coll_open_db(c, s, slice_of(db_name, size), false);
  if (st == LODE_OK)
    st = open_indexes(c, s);
  if (st != LODE_ABSENT)
    goto found;
  if (!may_make)
    return st;
  if (s->readonly)
    return fail(&s->error, LODE_NOT_FOUND, "there is no %s %.*s, and none "
                "is made, as the store is open for reading only",
                kept_kind(kind), (int)name.size, (const char *)name.data);
  st = handle_write(s, &own);
  if (st != LODE_OK)
    return st;
  lode_free(c->texts);
  c->texts = NULL;
  st = look_up(s, name, kind, o, c, db_name, &size); /* made meanwhile? */
  if (st == LODE_OK)
    st = coll_open_db(c, s, slice_of(db_name, size), false);
  if (st == LODE_OK)
    st = renew(c, s, o);
  else if (st == LODE_ABSENT) {
    st = make(s, name, kind, o, c);
    if (st == LODE_OK && !own)
      c->made_depth = s->write.depth;
  }
  return handle_written(s, own, st);
found:
  if (st == LODE_OK)
    st = settle_options(c, s, o);
  if (st != LODE_OK && c->db != 0)
    close_dbs(c, s);
  return st;
}

/* INCOMPATIBLE where the name is that of a collection, or lode's own. */
static lode_status no_coll (lode_store *s, lode_slice name) {
  catalog_entry e;
  bool ours;
  kv_txn *t;
  lode_status st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  ours = catalog_owns(t, name);
  st = s->foreign ? LODE_ABSENT : catalog_find(t, name, &e);
  handle_done(s);
  if (ours)
    return fail(&s->error, LODE_INCOMPATIBLE, "the database %.*s is lode's "
                "own; open its collection by name, without raw",
                (int)name.size, (const char *)name.data);
  if (st == LODE_OK)
    return fail(&s->error, LODE_INCOMPATIBLE, "%.*s was made without raw; "
                "leave it out", (int)name.size, (const char *)name.data);
  return st == LODE_ABSENT ? LODE_OK : st;
}

/* A named database as it lies; made when absent and allowed. */
static lode_status open_raw (lode_store *s, lode_slice name,
                             const lode_coll_options *o, lode_coll *c) {
  bool own;
  lode_status st = no_coll(s, name);
  if (st != LODE_OK)
    return st;
  c->kept = *o;
  st = coll_open_db(c, s, name, false);
  if (st != LODE_ABSENT)
    return st;
  if (s->snapshots > 0)
    return fail(&s->error, LODE_NOT_FOUND, "a snapshot sees only raw "
                "collections that were open before; open %.*s before it",
                (int)name.size, (const char *)name.data);
  if (s->readonly)
    return fail(&s->error, LODE_NOT_FOUND, "there is no database %.*s",
                (int)name.size, (const char *)name.data);
  st = handle_write(s, &own);
  if (st != LODE_OK)
    return st;
  st = coll_open_db(c, s, name, true);
  if (st == LODE_OK && !own)
    c->made_depth = s->write.depth;
  return handle_written(s, own, st);
}

static lode_status coll_dropped (lode_store *s, lode_slice name) {
  return fail(&s->error, LODE_NOT_FOUND, "%.*s was dropped while it was "
              "opened", (int)name.size, (const char *)name.data);
}

/* A handle of it, which then is one of the store's. As open_or_make. */
static lode_status coll_open (lode_store *s, lode_slice name, lode_kind kind,
                              const lode_coll_options *options,
                              bool may_make, lode_coll **coll) {
  lode_coll *c = coll_new(s);
  lode_status st;
  if (c == NULL)
    return LODE_NO_MEMORY;
  c->store = s; /* rearming uses it before it is one of the store's */
  if (options->hooks != NULL)
    c->hooks = *options->hooks;
  st = options->raw ? open_raw(s, name, options, c)
                    : open_or_make(s, name, kind, options, may_make, c);
  if (st != LODE_OK) {
    coll_free(c);
    return st;
  }
  coll_attach(c, s);
  *coll = c;
  return LODE_OK;
}

lode_status lode_coll_open (lode_store *s, lode_slice name, lode_kind kind,
                            const lode_coll_options *options,
                            lode_coll **coll) {
  int tries = OPEN_TRIES;
  lode_status st = check_name(s, name);
  if (st != LODE_OK)
    return st;
  if (options->serializer.size > LODE_NAME_MAX ||
      options->key_serializer.size > LODE_NAME_MAX ||
      options->policy.size > LODE_NAME_MAX)
    return fail(&s->error, LODE_BAD_ARGUMENT, "the name of a serializer or "
                "a policy has at most %d bytes", LODE_NAME_MAX);
  if (s->foreign && !options->raw)
    return fail(&s->error, LODE_INCOMPATIBLE, "%s was written by another "
                "LMDB program: open its databases with raw = true, or make "
                "a store of your own elsewhere", s->files.base);
  colls_reap(s);
  if (s->write.depth == 0 && s->snapshots == 0) {
    handle_done(s);
    kv_db_reap(s->env);
  }
  do
    st = coll_open(s, name, kind, options, true, coll);
  while (st == LODE_ABSENT && --tries > 0);
  return st == LODE_ABSENT ? coll_dropped(s, name) : st;
}

lode_status coll_find (lode_store *s, lode_slice name, lode_kind kind,
                       lode_coll **coll) {
  static const lode_coll_options none = { .raw = false };
  static const lode_coll_options hashed = { .custom_hash = true };
  lode_status st = coll_open(s, name, kind, &none, false, coll);
  if (st == LODE_INCOMPATIBLE) /* who makes no keys needs no hash */
    st = coll_open(s, name, kind, &hashed, false, coll);
  return st == LODE_ABSENT ? coll_dropped(s, name) : st;
}

void colls_reap (lode_store *s) {
  lode_coll *next;
  if (s->calling > 0)
    return;
  for (lode_coll *c = s->colls; c != NULL; c = next) {
    next = c->next;
    if (c->orphan) {
      coll_detach(c);
      coll_free(c);
    }
  }
}

/*
** A collector may close a handle while a callback runs, and what called
** the callback may be at work on it: then it is freed later.
*/
void lode_coll_close (lode_coll *c) {
  if (c == NULL)
    return;
  if (c->store != NULL && c->store->calling > 0) {
    memset(&c->hooks, 0, sizeof c->hooks);
    c->orphan = true;
    return;
  }
  coll_detach(c);
  coll_free(c);
}

const lode_coll_options *lode_coll_kept (const lode_coll *c) {
  return &c->kept;
}

lode_store *lode_coll_store (const lode_coll *c) { return c->store; }

lode_status lode_coll_name (lode_coll *c, lode_buffer *name) {
  catalog_entry e;
  lode_store *s;
  kv_txn *t;
  lode_status st = coll_store(c, &s);
  if (st == LODE_OK)
    st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = c->gone || c->drop_depth > 0 ? LODE_ABSENT
                                    : catalog_by_number(t, c->number, &e);
  if (st == LODE_OK && buffer_set(name, e.name.data, e.name.size) != LODE_OK)
    st = fail(&s->error, LODE_NO_MEMORY, "no memory");
  handle_done(s);
  return st == LODE_ABSENT ? coll_gone(c) : st;
}

/* The handles of a collection that is being dropped know of it. */
static void colls_dropped (lode_store *s, uint32_t number, bool own) {
  for (lode_coll *c = s->colls; c != NULL; c = c->next)
    if (c->number == number && !c->kept.raw && !c->gone) {
      if (own) {
        close_dbs(c, s);
        c->gone = true;
      }
      else if (c->drop_depth == 0)
        c->drop_depth = s->write.depth;
    }
}

/* Empties the database of this name, if there is one. */
static lode_status empty_db (lode_store *s, lode_slice name) {
  kv_txn *t = &s->write;
  kv_shape shape;
  kv_db db;
  lode_status st = kv_db_open(t, name, false, &db, &shape);
  if (st == LODE_OK) {
    st = kv_db_clear(t, db);
    kv_db_close(s->env, db);
  }
  return st == LODE_ABSENT ? LODE_OK : st;
}

static lode_status drop_entry (lode_store *s, const catalog_entry *e) {
  char names[CATALOG_DBS][CATALOG_DB_NAME_MAX];
  size_t sizes[CATALOG_DBS];
  lode_status st = LODE_OK;
  for (int i = 0; i < CATALOG_DBS; i++) /* `e` lies in the map */
    sizes[i] = catalog_db_name(e, (catalog_db)i, names[i]);
  st = catalog_drop(&s->write, e);
  for (int i = 0; st == LODE_OK && i < CATALOG_DBS; i++)
    st = empty_db(s, slice_of(names[i], sizes[i]));
  return st;
}

static lode_status drop_raw (lode_store *s, lode_slice name) {
  if (catalog_owns(&s->write, name))
    return LODE_ABSENT;
  return kv_db_remove(&s->write, name);
}

/* As lode_drop; `number` is that of the collection, 0 for a raw one. */
static lode_status drop_now (lode_store *s, lode_slice name,
                             uint32_t *number) {
  catalog_entry e;
  bool own;
  lode_status st = check_name(s, name);
  if (st == LODE_OK)
    st = handle_write(s, &own);
  if (st != LODE_OK)
    return st;
  st = s->foreign ? LODE_ABSENT : catalog_find(&s->write, name, &e);
  if (st == LODE_OK) {
    *number = e.number;
    st = drop_entry(s, &e);
  }
  else if (st == LODE_ABSENT)
    st = drop_raw(s, name);
  st = handle_written(s, own, st);
  if (st == LODE_OK && *number != 0)
    colls_dropped(s, *number, own);
  return st;
}

lode_status lode_drop (lode_store *s, lode_slice name) {
  bool ahead = behind_ahead(s);
  queue_found ignored;
  uint32_t number = 0;
  lode_status st = drop_now(s, name, &number);
  if (ahead) {
    if (st == LODE_OK)
      queue_forget(s->shared->queue, number, NULL, &ignored);
    behind_ahead_end(s);
  }
  return st;
}

lode_status lode_rename (lode_store *s, lode_slice from, lode_slice to) {
  catalog_entry e, other;
  bool own;
  lode_status st = check_name(s, to);
  if (st == LODE_OK)
    st = check_name(s, from);
  if (st == LODE_OK)
    st = handle_write(s, &own);
  if (st != LODE_OK)
    return st;
  st = s->foreign ? LODE_ABSENT : catalog_find(&s->write, to, &other);
  if (st == LODE_OK && !slice_equal(from, to))
    st = fail(&s->error, LODE_INCOMPATIBLE, "there is a collection %.*s "
              "already; drop it first", (int)to.size,
              (const char *)to.data);
  else if (st == LODE_OK || st == LODE_ABSENT) {
    st = s->foreign ? LODE_ABSENT : catalog_find(&s->write, from, &e);
    if (st == LODE_OK)
      st = catalog_rename(&s->write, &e, to);
  }
  return handle_written(s, own, st);
}

/* The next database of another program, as `name`. */
static lode_status next_raw (lode_store *s, lode_slice after,
                             lode_buffer *name) {
  lode_slice raw;
  kv_shape shape;
  kv_txn *t;
  kv_db db;
  lode_status st = handle_read(s, &t);
  if (st == LODE_OK)
    st = catalog_next_raw(t, after, &raw);
  if (st == LODE_OK && buffer_set(name, raw.data, raw.size) != LODE_OK)
    st = fail(&s->error, LODE_NO_MEMORY, "no memory");
  handle_done(s);
  if (st != LODE_OK || s->write.depth > 0 || s->snapshots > 0)
    return st;
  st = kv_db_open(&s->read, slice_of_buffer(name), false, &db, &shape);
  if (st == LODE_OK)
    kv_db_close(s->env, db);
  return st;
}

lode_status lode_coll_next (lode_store *s, lode_slice after,
                            lode_buffer *name, lode_kind *kind) {
  lode_buffer raw = { NULL, 0, 0 };
  catalog_entry e;
  kv_txn *t;
  lode_status st, st_raw;
  st_raw = lode_buffer_add(&raw, after.data, after.size);
  do
    st_raw = st_raw == LODE_OK || st_raw == LODE_INCOMPATIBLE
             ? next_raw(s, slice_of_buffer(&raw), &raw) : st_raw;
  while (st_raw == LODE_INCOMPATIBLE); /* a plain entry: no database */
  st = handle_read(s, &t);
  if (st == LODE_OK)
    st = s->foreign ? LODE_ABSENT : catalog_next(t, after, &e);
  if (st == LODE_OK && (st_raw != LODE_OK ||
                        slice_compare(e.name, slice_of_buffer(&raw)) < 0)) {
    *kind = e.kind;
    if (buffer_set(name, e.name.data, e.name.size) != LODE_OK)
      st = fail(&s->error, LODE_NO_MEMORY, "no memory");
  }
  else if (st == LODE_OK || st == LODE_ABSENT) {
    st = st_raw;
    if (st == LODE_OK) {
      *kind = LODE_RAW;
      if (buffer_set(name, raw.data, raw.size) != LODE_OK)
        st = fail(&s->error, LODE_NO_MEMORY, "no memory");
    }
  }
  handle_done(s);
  lode_buffer_free(&raw);
  return st;
}

lode_status lode_coll_statistics (lode_coll *c, lode_coll_stats *stats) {
  kv_db_stats db;
  lode_store *s;
  kv_txn *t;
  lode_status st = coll_store(c, &s);
  if (st == LODE_OK)
    st = handle_catch_up(s);
  if (st == LODE_OK)
    st = entry_count(c, &stats->entries, &stats->expired);
  stats->waiting = life_waits(c) ? stats->expired : 0;
  if (st == LODE_OK)
    st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = kv_db_measure(t, c->db, &db);
  if (st == LODE_OK) {
    stats->depth = db.depth;
    stats->branch_pages = db.branch_pages;
    stats->leaf_pages = db.leaf_pages;
    stats->overflow_pages = db.overflow_pages;
    stats->size = (db.branch_pages + db.leaf_pages + db.overflow_pages) *
                  db.page_size;
  }
  handle_done(s);
  return st;
}

/* }================================================================== */
