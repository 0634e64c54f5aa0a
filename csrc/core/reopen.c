/*
** reopen.c - a handle that a child made by fork has inherited, at its first
** use there: the file is opened anew, by its name, and the collections with
** it. What was noted, claimed or pending is the parent's, and stays behind.
*/
#include "handle.h"

/* Whether something is open that only the parent can end. */
static bool is_inside (const lode_store *s) {
  return s->write.depth > 0 || s->write.locked || s->guards > 0 ||
         s->snapshots > 0;
}

/* Opens the database that `db` was, and adds its new number to `moved`. */
static lode_status move_db (lode_store *s, kv_txn *t, kv_db db,
                            lode_buffer *moved) {
  kv_shape shape;
  kv_db now = 0;
  lode_status st = LODE_ABSENT;
  if (db != 0)
    st = kv_db_open(t, kv_db_name(s->env, db), false, &now, &shape);
  if (st != LODE_OK && st != LODE_ABSENT)
    return st;
  if (lode_buffer_add(moved, &now, sizeof now) == LODE_OK)
    return LODE_OK;
  if (now != 0)
    kv_db_close(t->env, now);
  return handle_no_memory(s);
}

static lode_status move_colls (lode_store *s, kv_txn *t,
                               lode_buffer *moved) {
  lode_status st = LODE_OK;
  for (lode_coll *c = s->colls; st == LODE_OK && c != NULL; c = c->next) {
    if (c->gone)
      continue;
    st = move_db(s, t, c->db, moved);
    if (st == LODE_OK)
      st = move_db(s, t, c->due, moved);
    if (st == LODE_OK)
      st = move_db(s, t, c->order, moved);
  }
  return st;
}

/* Gives the collections the numbers that move_colls has found. */
static void take_numbers (lode_store *s, const lode_buffer *moved) {
  const unsigned char *p = moved->data;
  for (lode_coll *c = s->colls; c != NULL; c = c->next) {
    kv_db now[3];
    if (c->gone)
      continue;
    lode_assert(p != NULL);
    memcpy(now, p, sizeof now);
    p += sizeof now;
    c->gone = now[0] == 0; /* it was dropped meanwhile */
    c->db = now[0];
    c->due = now[1];
    c->order = now[2];
    c->generation = c->untimed = c->serial = 0;
  }
}

/* NOT_FOUND when another store has taken the place of this one. */
static lode_status is_same (lode_store *s, kv_txn *t) {
  catalog_store about;
  lode_status st = kv_read_begin(t);
  bool same;
  if (st != LODE_OK)
    return st;
  st = catalog_open(t, &about);
  same = st == LODE_ABSENT ? s->foreign
         : memcmp(about.secret, s->secret, sizeof about.secret) == 0;
  kv_read_end(t);
  if (st != LODE_OK && st != LODE_ABSENT)
    return st;
  return same ? LODE_OK
              : fail(&s->error, LODE_NOT_FOUND, "%s: after the fork another "
                     "store stands here than the one that was open",
                     s->files.base);
}

/* The handle goes over to `env`. */
static void take_over (lode_store *s, kv_env *env, shared *common,
                       const lode_buffer *moved) {
  bool sync = s->write.sync;
  kv_txn_free(&s->read);
  kv_txn_free(&s->write);
  s->reading = false;
  s->env = env;
  s->shared = common;
  s->commits = kv_commits_of(env);
  kv_txn_init(&s->read, env, &s->error);
  kv_txn_init(&s->write, env, &s->error);
  s->write.sync = sync;
  s->clock.mark = kv_mark(env);
  s->clock.known = s->clock.dirty = false;
  s->counts = kv_counts(env);
  s->reads = s->found = 0; /* they are the parent's */
  s->claimed.size = 0;
  take_numbers(s, moved);
}

lode_status handle_reopen (lode_store *s) {
  lode_options options = s->options;
  lode_buffer moved = { NULL, 0, 0 };
  shared *common;
  kv_env *env;
  kv_txn t;
  lode_status st;
  if (is_inside(s))
    return kv_left_behind(s->env, &s->error);
  options.create = false;
  options.check = LODE_CHECK_NONE; /* the parent's opening did it */
  st = kv_open(&s->files, &options, &catalog_hooks, &env, &s->error);
  if (st != LODE_OK)
    return st;
  kv_txn_init(&t, env, &s->error);
  common = shared_get(env);
  st = common != NULL ? is_same(s, &t) : handle_no_memory(s);
  if (st == LODE_OK)
    st = move_colls(s, &t, &moved);
  kv_txn_free(&t);
  if (st == LODE_OK)
    take_over(s, env, common, &moved);
  else {
    shared_release(common);
    kv_release(env);
  }
  lode_buffer_free(&moved);
  return st == LODE_OK && s->reopened != NULL ? s->reopened(s) : st;
}

lode_status handle_read_again (lode_store *s, lode_status st) {
  if (!kv_is_left(s->env))
    return st;
  st = handle_reopen(s);
  return st == LODE_OK ? kv_read_begin(&s->read) : st;
}
