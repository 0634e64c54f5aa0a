/*
** lkept.c - see lkept.h.
**
** For programs that read any store, as the command `lode` does: a
** collection can be opened with what is missing here (a serializer, a hash
** function) once its name is known. So this asks the core alone, which
** needs none of them.
*/
#include "lkept.h"
#include "lstore.h"

/* [-0, +0, m] Sets a field of the table on the top, when there is a name. */
static void set_name (lua_State *L, const char *field, lode_slice name) {
  if (name.size == 0) return;
  lua_pushlstring(L, (const char *)name.data, name.size);
  lua_setfield(L, -2, field);
}

/* [-0, +0, m] The same for a string; null: there is none. */
static void set_text (lua_State *L, const char *field, const char *text) {
  if (text == NULL) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, field);
}

/* [-0, +0, m] The same for what is true or left out. */
static void set_true (lua_State *L, const char *field, bool flag) {
  if (!flag) return;
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, field);
}

static const char *type_name (lode_type type) {
  static const char *const names[] = {
    NULL, "string", "integer", "number", "boolean", "table", "tuple"
  };
  return names[type];
}

static const char *evict_name (lode_evict evict) {
  static const char *const names[] = {
    NULL, "sieve", "lru", "lfu", "fifo", "ttl", "function"
  };
  return names[evict];
}

/* [-0, +0, m] Fills the table on the top. */
static void set_options (lua_State *L, const lode_coll_options *o) {
  set_text(L, "key", type_name(o->key));
  set_text(L, "value", type_name(o->value));
  set_name(L, "serializer", o->serializer);
  set_name(L, "key_serializer", o->key_serializer);
  set_true(L, "hash", o->custom_hash);
  if (o->ttl != 0) {
    lua_pushnumber(L, (lua_Number)o->ttl / 1000);
    lua_setfield(L, -2, "ttl");
  }
  set_name(L, "expire", o->policy);
  set_true(L, "reads", o->policy.size != 0 && o->policy_reads);
  set_true(L, "on_expire", o->on_expire);
  set_true(L, "times", o->times);
  if (o->max_entries != 0)
    lhandle_set_number(L, "max_entries", o->max_entries);
  if (o->max_bytes != 0) lhandle_set_number(L, "max_bytes", o->max_bytes);
  set_text(L, "evict", evict_name(o->evict));
}

/*
** Writes the last name before `name`, of those no longer than names are, to
** `out`; its size. So what comes after that is `name`, if there is one.
*/
static size_t name_before (lode_slice name, unsigned char *out) {
  size_t size = name.size - 1;
  memcpy(out, name.data, name.size);
  if (out[size] == 0) return size;
  out[size]--;
  memset(out + name.size, 0xff, LODE_NAME_MAX - name.size);
  return LODE_NAME_MAX;
}

/* [-0, +0, v] The kind of the collection named at `name`; 0: none is. */
static int kind_of (lua_State *L, lstore *s, int name) {
  unsigned char before[LODE_NAME_MAX];
  lode_slice wanted = lstore_check_name(L, name), last;
  lode_kind kind;
  lode_status status;
  if (wanted.size == 0 || wanted.size > LODE_NAME_MAX) return 0;
  last.data = before;
  last.size = name_before(wanted, before);
  s->value.size = 0; /* the scratch */
  status = lode_coll_next(s->store, last, &s->value, &kind);
  if (status == LODE_ABSENT) return 0;
  if (status != LODE_OK) lhandle_fail(L, 1, 0, status, NULL);
  if (s->value.size != wanted.size ||
      memcmp(s->value.data, wanted.data, wanted.size) != 0)
    return 0;
  return (int)kind;
}

/*
** [-0, +1, v] Pushes a handle of the collection named at `name`, in the
** store at `store`, opened by the core alone.
*/
static lcoll *push_handle (lua_State *L, int store, int name,
                           lode_kind kind) {
  lcoll *c = lhandle_new(L, kind == LODE_DICT ? LKIND_DICT : LKIND_SET,
                         sizeof(lcoll), COLL_SLOTS);
  int self = lua_gettop(L);
  lode_slice text = lstore_check_name(L, name);
  lode_coll_options given;
  lode_status status;
  memset(&given, 0, sizeof(given));
  c->owner = lua_touserdata(L, store);
  lua_pushvalue(L, store);
  lhandle_set_slot(L, self, COLL_STORE);
  lua_pushvalue(L, name);
  lhandle_set_slot(L, self, COLL_NAME);
  status = lode_coll_open(c->owner->store, text, kind, &given, &c->coll);
  if (status == LODE_INCOMPATIBLE) { /* this alone can't be left out */
    given.custom_hash = true;
    status = lode_coll_open(c->owner->store, text, kind, &given, &c->coll);
  }
  if (status != LODE_OK) lhandle_fail(L, self, 0, status, NULL);
  return c;
}

int lkept_options (lua_State *L) {
  enum { STORE = 1, NAME, KIND, OPTIONS };
  static const char *const kinds[] = { NULL, "dict", "set", "raw" };
  lstore *s = lhandle_store(L, STORE);
  int kind;
  lua_settop(L, NAME);
  kind = kind_of(L, s, NAME);
  lua_pushstring(L, kinds[kind]); /* nil for null */
  if (kind == 0) return 1;
  lua_createtable(L, 0, 4);
  if (kind == LODE_RAW) set_true(L, "raw", true);
  else {
    lcoll *c = push_handle(L, STORE, NAME, (lode_kind)kind);
    lua_pushvalue(L, OPTIONS);
    set_options(L, lode_coll_kept(c->coll));
    lode_coll_close(c->coll);
    c->coll = NULL;
  }
  lua_settop(L, OPTIONS);
  return 2;
}
