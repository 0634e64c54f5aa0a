/*
** catalog.h - what a store knows of its collections. Format version 1.
**
** It stands in the named database "lode":
**
**   's'         store := format (2) secret (16) id (16) created (8)
**                       next number (4) version
**   'n' name    number (4)
**   'c' number  collection := kind (1) key type (1) value type (1)
**                       flags (1; 1: custom hash), then each as size (2)
**                       and bytes: name, the name it was made with,
**                       serializer, key serializer
**   'd' number  the database name of a dropped collection, to be removed
**               when nobody can have it open
**   'x' number  entries (8) past one a record, for keys that hashed alike
**
** One more record is in the main database, where it is found at less cost
** (LMDB's tools pass over a name with a 00 in it):
**
**   00 'g'      generation (8): grows with each change of the catalogue
**
** Each record ends in the CRC32C (4) of its key and of what stands before.
** `created` is in ms since the epoch. Numbers grow and are never used again.
** The entries of a collection are in the named database "made#number".
*/
#ifndef LODE_CATALOG_H
#define LODE_CATALOG_H

#include "hash.h"
#include "kv.h"

typedef struct catalog_store {
  unsigned char secret[HASH_SIZE]; /* of the hash of long keys */
  unsigned char id[16];
  uint64_t created;
} catalog_store;

typedef struct catalog_entry {
  uint32_t number;
  lode_kind kind;
  lode_slice name;
  lode_slice made; /* the name it was made with: its database has it */
  lode_coll_options options;
} catalog_entry;

/* Of kv_open: makes the catalogue; looks at it and tidies it. */
extern const kv_hooks catalog_hooks;

/* ABSENT: the file is another program's. CORRUPT, INCOMPATIBLE. */
lode_status catalog_open (kv_txn *t, catalog_store *store);
lode_status catalog_generation (kv_txn *t, uint64_t *generation);

/*
** The slices of an entry lie in the map. ABSENT, CORRUPT.
*/
lode_status catalog_find (kv_txn *t, lode_slice name, catalog_entry *entry);
lode_status catalog_by_number (kv_txn *t, uint32_t number,
                               catalog_entry *entry);
/* The first entry whose name sorts after `after`; ABSENT at the end. */
lode_status catalog_next (kv_txn *t, lode_slice after, catalog_entry *entry);

/* Gives a number to `entry` and writes it. FULL at kv_collections. */
lode_status catalog_add (kv_txn *t, catalog_entry *entry);
lode_status catalog_drop (kv_txn *t, const catalog_entry *entry);
lode_status catalog_rename (kv_txn *t, const catalog_entry *entry,
                            lode_slice to);

/* Entries past one a record. */
lode_status catalog_extra (kv_txn *t, uint32_t number, uint64_t *extra);
lode_status catalog_set_extra (kv_txn *t, uint32_t number, uint64_t extra);

/* The name of an entry's database, into `out`; its size. */
#define CATALOG_DB_NAME_MAX (LODE_NAME_MAX + 12)
size_t catalog_db_name (const catalog_entry *entry,
                        char out[CATALOG_DB_NAME_MAX]);

/* Whether a database of this name is, or was, lode's own. */
bool catalog_owns (kv_txn *t, lode_slice name);

/*
** The first database after `after` that is no collection's: another
** program's. ABSENT at the end. It may turn out to be a plain entry.
*/
lode_status catalog_next_raw (kv_txn *t, lode_slice after, lode_slice *name);

#endif
