/*
** verify_catalog.c - the check of the catalogue, and words for problems.
** See verify.h.
*/
#define VERIFY_ROOM
#include "verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* {==================================================================
** Words
** =================================================================== */

static void text_add (verify_text *t, const char *format, ...)
  __attribute__((format(printf, 2, 3)));

static void text_add (verify_text *t, const char *format, ...) {
  va_list args;
  int n;
  va_start(args, format);
  n = vsnprintf(t->bytes + t->size, sizeof t->bytes - t->size, format, args);
  va_end(args);
  if (n > 0)
    t->size += (size_t)n;
  if (t->size >= sizeof t->bytes) { /* cut: say so */
    memcpy(t->bytes + sizeof t->bytes - 4, "...", 4);
    t->size = sizeof t->bytes - 1;
  }
}

static bool text_full (const verify_text *t) {
  return t->size >= sizeof t->bytes - 1;
}

static void text_add_bytes (verify_text *t, lode_slice s) {
  text_add(t, "\"");
  for (size_t i = 0; i < s.size && !text_full(t); i++)
    if (s.data[i] < ' ' || s.data[i] > '~' || s.data[i] == '"')
      text_add(t, "\\x%02X", s.data[i]);
    else
      text_add(t, "%c", s.data[i]);
  text_add(t, "\"");
}

verify_text verify_text_of (lode_slice name) {
  verify_text t = { .size = 0 };
  text_add_bytes(&t, name);
  return t;
}

static void text_add_atom (verify_text *t, const lode_atom *a) {
  switch (a->type) {
    case LODE_KEY_BOOLEAN:
      text_add(t, "%s", a->boolean ? "true" : "false");
      break;
    case LODE_KEY_INTEGER:
      text_add(t, "%lld", (long long)a->integer);
      break;
    case LODE_KEY_NUMBER:
      text_add(t, "%.17g", a->number);
      break;
    case LODE_KEY_STRING:
      text_add_bytes(t, a->string);
      break;
    case LODE_KEY_TUPLE:
      break;
  }
}

/* An encoded key as a user would write it; or its bytes, when it is none. */
verify_text verify_text_of_key (lode_buffer *scratch, lode_slice whole) {
  lode_slice rest = whole;
  bool in_tuple = false, first = true;
  verify_text t = { .size = 0 };
  lode_atom a;
  lode_status st;
  while ((st = lode_key_read(&rest, &in_tuple, scratch, &a)) == LODE_OK &&
         !text_full(&t)) {
    if (a.type == LODE_KEY_TUPLE) {
      text_add(&t, "{ ");
      continue;
    }
    if (!first)
      text_add(&t, ", ");
    first = false;
    text_add_atom(&t, &a);
  }
  if (st == LODE_OK || st == LODE_ABSENT) {
    text_add(&t, "%s", in_tuple ? " }" : "");
    return t;
  }
  t.size = 0;
  text_add_bytes(&t, whole);
  return t;
}

/* What the walk is at, from here on: `what` and a name. */
void verify_at (verify *v, const char *what, lode_slice name) {
  verify_text t = verify_text_of(name);
  snprintf(v->where, sizeof v->where, "%s %s", what, t.bytes);
  v->f.where = v->where;
}

lode_status verify_no_memory (verify *v) {
  return fail(v->error, LODE_NO_MEMORY, "no memory to check the store");
}

/* }================================================================== */

/* {==================================================================
** The catalogue
** =================================================================== */

static int compare_numbers (const void *a, const void *b) {
  uint32_t x, y;
  memcpy(&x, a, sizeof x); /* it begins with its number */
  memcpy(&y, b, sizeof y);
  return (x > y) - (x < y);
}

_Static_assert(offsetof(verify_known, number) == 0, "compare_numbers reads");

verify_known *verify_find (const lode_buffer *list, uint32_t number) {
  if (list->size == 0)
    return NULL;
  return bsearch(&number, list->data, verify_count(list),
                 sizeof(verify_known), compare_numbers);
}

/* Adds to a list that is in order; one out of order was told. */
static lode_status known_add (verify *v, lode_buffer *list, verify_known k,
                              lode_slice name, lode_slice made) {
  size_t n = verify_count(list);
  if (n > 0 && verify_nth(list, n - 1)->number >= k.number)
    return LODE_OK;
  k.name = v->texts.size;
  k.name_size = name.size;
  k.made = k.name + name.size;
  k.made_size = made.size;
  if (lode_buffer_add(&v->texts, name.data, name.size) != LODE_OK ||
      lode_buffer_add(&v->texts, made.data, made.size) != LODE_OK ||
      lode_buffer_add(list, &k, sizeof k) != LODE_OK)
    return verify_no_memory(v);
  return LODE_OK;
}

/* The store's own record. */
static lode_status read_store (verify *v, const pages_entry *e,
                               lode_slice body) {
  size_t n = verify_count(&v->known);
  verify_known *last = n > 0 ? verify_nth(&v->known, n - 1) : NULL;
  catalog_store store;
  lode_slice version;
  unsigned format = 0;
  uint32_t next;
  lode_status st = catalog_read_store(body, &store, &next, &version,
                                      &format);
  if (st == LODE_INCOMPATIBLE)
    return fail(v->error, LODE_INCOMPATIBLE, "the store has format %u; this "
                "lode (" LODE_VERSION ") reads %d: use a newer lode",
                format, LODE_FORMAT);
  v->store = st == LODE_OK;
  if (!v->store)
    pages_tell(&v->f, e->page, "the store's own record is too short");
  else if (last != NULL && last->number >= next)
    pages_tell(&v->f, e->page, "collection number %lu is not below the next",
               (unsigned long)last->number);
  if (v->store)
    memcpy(v->secret, store.secret, sizeof v->secret);
  return LODE_OK;
}

static lode_status read_known (verify *v, const pages_entry *e,
                               lode_slice body) {
  verify_known k = { .kind = LODE_RAW };
  catalog_entry x;
  if (catalog_read_entry(body, get_u32(e->key.data + 1), &x) ==
      LODE_CORRUPT) {
    pages_tell(&v->f, e->page, "a collection's record is too short");
    return LODE_OK;
  }
  k.number = x.number;
  k.kind = x.kind;
  k.key = x.options.key_serializer.size == 0 ? x.options.key : LODE_ANY;
  k.custom_hash = x.options.custom_hash;
  return known_add(v, &v->known, k, x.name, x.made);
}

static void read_name (verify *v, const pages_entry *e, lode_slice body) {
  lode_slice name = slice_of(e->key.data + 1, e->key.size - 1);
  verify_known *k = body.size != 4 ? NULL
                    : verify_find(&v->known, get_u32(body.data));
  if (k != NULL && !k->named && slice_equal(verify_name(v, k), name))
    k->named = true;
  else {
    verify_text t = verify_text_of(name);
    verify_tell(v, e->page, "the name %s leads to no collection", t.bytes);
  }
}

static void read_extra (verify *v, const pages_entry *e, lode_slice body) {
  verify_known *k = verify_find(&v->known, get_u32(e->key.data + 1));
  if (k != NULL && body.size == 8)
    k->extra = (int64_t)get_u64(body.data);
  else
    verify_tell(v, e->page, "a count of entries belongs to nothing");
}

static lode_status read_dropped (verify *v, const pages_entry *e,
                                 lode_slice body) {
  verify_known k = { .number = get_u32(e->key.data + 1) };
  return known_add(v, &v->dropped, k, body, body);
}

/* A record of the catalogue; they come by kind: c d e n s x. */
static lode_status visit_catalog (void *data, const pages_entry *e) {
  verify *v = data;
  bool numbered = e->key.size == 5;
  lode_slice body;
  if (!catalog_body(e->key, e->value, &body)) {
    verify_text t = verify_text_of(e->key);
    v->mild += e->key.data[0] != 'c' && e->key.data[0] != 's';
    pages_tell(&v->f, e->page, "the record %s is damaged: its checksum is "
               "another", t.bytes);
    return LODE_OK;
  }
  switch (e->key.data[0]) {
    case 'c': return numbered ? read_known(v, e, body) : LODE_OK;
    case 'd': return numbered ? read_dropped(v, e, body) : LODE_OK;
    case 's': return e->key.size == 1 ? read_store(v, e, body) : LODE_OK;
    case 'n': read_name(v, e, body); break;
    case 'x': if (numbered) read_extra(v, e, body); break;
    default: break; /* sound, and of no matter here */
  }
  return LODE_OK;
}

bool verify_is_generation (const pages_entry *e) {
  return e->tree == NULL && slice_equal(e->key, slice_of("\0g", 2));
}

bool verify_generation_ok (const pages_entry *e) {
  lode_slice body;
  return catalog_body(e->key, e->value, &body) && body.size == 8;
}

/* Of the main tree, until the catalogue was found or can't come any more. */
static lode_status look_for_catalog (void *data, const pages_entry *e) {
  verify *v = data;
  int c = slice_compare(e->key, verify_own());
  if (verify_is_generation(e))
    v->generation = verify_generation_ok(e);
  if (c == 0 && e->tree != NULL && e->tree->flags == 0) {
    v->catalog = *e->tree;
    v->has_catalog = true;
  }
  return c >= 0 ? LODE_EXISTS : LODE_OK;
}

/* Of what may be the catalogue, until there is a record of lode's in it. */
static lode_status look_for_own (void *data, const pages_entry *e) {
  verify *v = data;
  lode_slice body;
  v->own = v->own || catalog_body(e->key, e->value, &body);
  return v->own ? LODE_EXISTS : LODE_OK;
}

/* Finds the catalogue, and whether it is lode's; tells nothing. */
lode_status verify_find_catalog (verify *v) {
  pages *f = &v->f;
  lode_status st;
  f->quiet = true;
  st = pages_walk(f, &f->state.main, PAGES_MAIN, look_for_catalog, v);
  if (v->has_catalog && st == LODE_EXISTS)
    st = pages_walk(f, &v->catalog, PAGES_NAMED, look_for_own, v);
  v->own = v->own || v->generation;
  pages_forget(f);
  f->quiet = false;
  return st == LODE_EXISTS ? LODE_OK : st;
}

lode_status verify_catalog (verify *v) {
  lode_status st = LODE_OK;
  v->f.where = "the catalogue";
  if (!v->has_catalog) {
    pages_tell(&v->f, 0, "it is missing");
    return LODE_OK;
  }
  if (lode_buffer_reserve(&v->texts, 1) != LODE_OK) /* never null */
    return verify_no_memory(v);
  st = pages_walk(&v->f, &v->catalog, PAGES_NAMED, visit_catalog, v);
  if (st == LODE_OK && !v->store)
    pages_tell(&v->f, 0, "the store's own record is missing");
  return st;
}

/* Tells what of a collection doesn't stand where it should. */
static void compare_known (verify *v, const verify_known *k) {
  verify_at(v, "collection", verify_name(v, k));
  if (!k->seen)
    verify_tell(v, 0, "the main tree doesn't name its entries");
  if (!k->named)
    verify_tell(v, 0, "its name doesn't lead to it");
  if (k->seen && !k->broken && (k->calls.count != k->index.count ||
                                k->calls.sum != k->index.sum))
    verify_tell(v, 0, "its index of deadlines has %llu calls, not the %llu "
                "of its entries", (unsigned long long)k->index.count,
                (unsigned long long)k->calls.count);
}

void verify_compare (verify *v) {
  v->report.collections += verify_count(&v->known);
  for (size_t i = 0; i < verify_count(&v->known); i++)
    compare_known(v, verify_nth(&v->known, i));
  for (size_t i = 0; i < verify_count(&v->dropped); i++) {
    const verify_known *k = verify_nth(&v->dropped, i);
    if (k->seen)
      continue;
    verify_at(v, "the dropped", verify_name(v, k));
    verify_tell(v, 0, "the main tree doesn't name it");
  }
  v->f.where = NULL;
  if (!v->generation)
    verify_tell(v, 0, "the record of the catalogue's generation is "
                "missing");
}

/* }================================================================== */
