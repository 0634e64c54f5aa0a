/*
** verify.h - whether a store is whole: every page, every entry. What users
** call is in lode_check.h.
**
** The file is read page by page without LMDB (pages.h). Checked are the
** trees and their counts, which page has which use, the catalogue, and of
** each collection every key, every record with its checksum, and that its
** index of deadlines has just the calls of its records. Another program's
** databases and the eviction index have no checksums; of them the pages are
** checked. (LMDB's pages bear no date: an older page of the same tree that
** fits in, a write that was lost, can't be told.)
*/
#ifndef LODE_VERIFY_H
#define LODE_VERIFY_H

#include "../lode.h"

/*
** Checks the state that is read now: CORRUPT, with the first problem and
** what to do, when it is not whole. `t` is not begun. Of kv_open's hooks.
*/
struct kv_txn;
lode_status verify_open (struct kv_txn *t);

/* {==================================================================
** Inside the room (files that define VERIFY_ROOM)
** =================================================================== */

#ifdef VERIFY_ROOM

#include "catalog.h"
#include "handle.h"
#include "pages.h"

#define VERIFY_TEXT 100 /* bytes of a key or name in a message */

/* The name of the catalogue's tree. */
static inline lode_slice verify_own (void) {
  return slice_of("lode", 4);
}

typedef struct verify_calls { /* calls of records (life.h), in any order */
  uint64_t count, sum;
} verify_calls;

typedef struct verify_known { /* a collection of the catalogue */
  uint32_t number;
  lode_kind kind;
  lode_type key;       /* LODE_ANY: not to be checked */
  bool custom_hash;
  bool named;          /* its name leads to it */
  bool seen;           /* its tree is there */
  bool broken;         /* some of its pages could not be followed */
  int64_t extra;       /* entries to be counted past one a record */
  verify_calls calls, index; /* that its records, its index have */
  size_t name, name_size, made, made_size; /* in `texts` */
} verify_known;

typedef struct verify {
  pages f;
  lode_error *error;
  lode_check_report report;
  pages_tree catalog;
  bool has_catalog;      /* there is such a tree */
  bool own;              /* and it is lode's: this is a store */
  bool generation;       /* the main tree has its record, sound */
  bool store;            /* the catalogue has the store's own */
  unsigned char secret[HASH_SIZE];
  lode_buffer known;     /* verify_known, by number */
  lode_buffer dropped;   /* the same of dropped ones; made: the database */
  lode_buffer texts, scratch;
  char where[VERIFY_TEXT + 80];
  /* The collection that is walked: */
  verify_known *coll;
  record_check check;
  uint64_t records, entries;
  lode_buffer calls;     /* uint64_t: of one bucket */
  uint64_t mild;         /* problems that a write transaction can mend */
} verify;

/* Tells a problem of that kind. */
#define verify_tell(v, page, ...) \
  ((v)->mild += !(v)->f.quiet, pages_tell(&(v)->f, (page), __VA_ARGS__))

/* To check the file `fd`. Null: no memory. */
verify *verify_new (int fd, const lode_check_options *o, lode_error *error);
void verify_free (verify *v);
/*
** Opens the state that `t` reads, which it begins to do here. The
** statuses are those of pages_open.
*/
lode_status verify_pin (verify *v, kv_txn *t);
/* Checks the state that was opened (`st`), and fills the report. */
lode_status verify_run (verify *v, lode_status st,
                        lode_check_report *report);
/* Opens the data file of the store at `path`. */
lode_status verify_open_data (const char *path, int *fd, lode_error *error);

typedef struct verify_text {
  char bytes[VERIFY_TEXT];
  size_t size;
} verify_text;

/* A name, quoted. */
verify_text verify_text_of (lode_slice name);
/* An encoded key as a user would write it; its bytes, when it is none. */
verify_text verify_text_of_key (lode_buffer *scratch, lode_slice whole);
/*
** Reads a key to its end. CORRUPT: it is none, or none of this type;
** NO_MEMORY.
*/
lode_status verify_read_key (lode_buffer *scratch, lode_type type,
                             lode_slice whole);
/* Adds a call of the record, or records, under `stored`. */
void verify_add_call (verify_calls *to, lode_slice call, lode_slice stored);
/* What the walk is at, from here on: `what` and a name. */
void verify_at (verify *v, const char *what, lode_slice name);
/* NO_MEMORY, in words. */
lode_status verify_no_memory (verify *v);

/* Of `v->known` or `v->dropped`. */
static inline size_t verify_count (const lode_buffer *list) {
  return list->size / sizeof(verify_known);
}

static inline verify_known *verify_nth (const lode_buffer *list, size_t i) {
  return (verify_known *)(void *)list->data + i;
}

/* Null: there is none. */
verify_known *verify_find (const lode_buffer *list, uint32_t number);

static inline lode_slice verify_name (const verify *v,
                                      const verify_known *k) {
  return slice_of(v->texts.data + k->name, k->name_size);
}

static inline lode_slice verify_made (const verify *v,
                                      const verify_known *k) {
  return slice_of(v->texts.data + k->made, k->made_size);
}

/*
** Finds the catalogue in the main tree, and whether it is lode's. Tells
** nothing, and marks no page.
*/
lode_status verify_find_catalog (verify *v);
/* Walks and checks it; fills `known` and `dropped`. */
lode_status verify_catalog (verify *v);
/* Whether an entry of the main tree is the catalogue's generation. */
bool verify_is_generation (const pages_entry *e);
bool verify_generation_ok (const pages_entry *e);
/*
** After all trees: counts the collections, and tells of those that don't
** stand where the catalogue says.
*/
void verify_compare (verify *v);

/* The number at the end of "made#number". False: there is none. */
bool verify_number_of (lode_slice name, size_t *made, uint32_t *number);
/* Takes `suffix` off the end of a name; false: it isn't there. */
bool verify_without (lode_slice *name, const char *suffix);
/*
** Whether `whole` is a long key that stands under `stored`. `secret` null:
** not known, or the hash is the user's.
*/
bool verify_stands_under (lode_slice whole, lode_slice stored,
                          const unsigned char *secret);

#endif

/* }================================================================== */

#endif
