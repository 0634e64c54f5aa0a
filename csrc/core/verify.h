/*
** verify.h - whether a store is whole: every page, every entry.
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

typedef struct lode_check_options { /* a null one or all null: say nothing */
  /* How many of the file's bytes are done. */
  void (*progress)(void *data, uint64_t done, uint64_t total);
  /* A problem in words: the page, the collection, the key where known. Of
     more than 1000 only the first are told. Both must return. */
  void (*problem)(void *data, const char *text);
  void *data;
} lode_check_options;

typedef struct lode_check_report {
  bool ok;               /* no problems */
  uint64_t entries;      /* of all collections, sound or not, and with those
                            that are past their time */
  uint64_t collections;  /* with other programs' databases */
  uint64_t pages;        /* that are in use */
  uint64_t bytes;        /* of them */
  uint64_t problems;
} lode_check_report;

/*
** Checks the whole store as it was last committed, at one moment, while
** others read and write. Damage is no failure: OK, with what there is of
** it in `report`. BUSY, NO_MEMORY, IO, READERS_FULL, INCOMPATIBLE.
*/
lode_status lode_check (lode_store *store, const lode_check_options *options,
                        lode_check_report *report);
/*
** The same for a store that can't be opened: `path` is its directory or
** data file. Nobody may write to it meanwhile: BUSY when somebody did and
** it looked damaged. NOT_FOUND, NOT_A_STORE, INCOMPATIBLE, NO_MEMORY, IO.
*/
lode_status lode_check_file (const char *path,
                             const lode_check_options *options,
                             lode_check_report *report, lode_error *error);

/* {==================================================================
** Inside the room (files that define VERIFY_ROOM)
** =================================================================== */

#ifdef VERIFY_ROOM

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
} verify;

typedef struct verify_text {
  char bytes[VERIFY_TEXT];
  size_t size;
} verify_text;

/* A name, quoted. */
verify_text verify_text_of (lode_slice name);
/* An encoded key as a user would write it; its bytes, when it is none. */
verify_text verify_text_of_key (verify *v, lode_slice whole);
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

#endif

/* }================================================================== */

#endif
