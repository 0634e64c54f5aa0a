/*
** catalog.h - what a store knows of its collections. Format version 1.
**
** It stands in the named database "lode":
**
**   's'         store := format (2) secret (16) id (16) created (8)
**                       next number (4) version
**   'n' name    number (4)
**   'c' number  collection := kind (1) key type (1) value type (1)
**                       flags (1; 1: custom hash, 2: life), then each as
**                       size (2) and bytes: name, the name it was made
**                       with, serializer, key serializer; then [life]
**               life := ttl (8) most entries (8) most bytes (8) evict (1)
**                       flags (1; 1: the policy reads, 2: on_expire,
**                       4: times) policy (size (2) and bytes)
**   'd' number  the database name of a dropped collection, to be removed
**               when nobody can have it open
**   'e'         era (2), then the floors of earlier ones: era (2) time (8);
**               see clock.h
**   'x' number  entries (8, signed) that are to be counted past one for
**               each record: keys that hashed alike, less hidden records
**
** One more record is in the main database, where it is found at less cost
** (LMDB's tools pass over a name with a 00 in it):
**
**   00 'g'      generation (8): grows with each change of the catalogue
**
** Each record ends in the CRC32C (4) of its key and of what stands before.
** `created` is in ms since the epoch. Numbers grow and are never used again.
** The entries of a collection are in the named database "made#number", its
** indexes in "made#number.due" (deadlines) and "made#number.order" (who is
** to be evicted).
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

/* Writes what is kept of its options anew; slices may lie in the map. */
lode_status catalog_change (kv_txn *t, const catalog_entry *entry);

/* Entries to be counted past one for each record. */
lode_status catalog_extra (kv_txn *t, uint32_t number, int64_t *extra);
lode_status catalog_set_extra (kv_txn *t, uint32_t number, int64_t extra);

#define CATALOG_FLOORS 64

typedef struct catalog_eras {
  uint16_t era;
  unsigned count;
  struct { uint16_t era; uint64_t time; } floors[CATALOG_FLOORS];
} catalog_eras;

lode_status catalog_get_eras (kv_txn *t, catalog_eras *eras);
lode_status catalog_set_eras (kv_txn *t, const catalog_eras *eras);

/* The name of a database of an entry, into `out`; its size. */
#define CATALOG_DB_NAME_MAX (LODE_NAME_MAX + 12 + 6)
typedef enum catalog_db { CATALOG_ENTRIES, CATALOG_DUE, CATALOG_ORDER }
  catalog_db;
#define CATALOG_DBS 3
size_t catalog_db_name (const catalog_entry *entry, catalog_db which,
                        char out[CATALOG_DB_NAME_MAX]);

/* Whether a database of this name is, or was, lode's own. */
bool catalog_owns (kv_txn *t, lode_slice name);

/*
** The first database after `after` that is no collection's: another
** program's. ABSENT at the end. It may turn out to be a plain entry.
*/
lode_status catalog_next_raw (kv_txn *t, lode_slice after, lode_slice *name);

/* {==================================================================
** What records say, without LMDB: catalog_read.c. For the catalogue itself,
** and for who reads a damaged file page by page. Nothing is trusted.
** =================================================================== */

/* Bits of a collection's flags, and of those of its life. */
#define CATALOG_CUSTOM_HASH 1
#define CATALOG_LIFE 2
#define CATALOG_READS 1
#define CATALOG_ON_EXPIRE 2
#define CATALOG_TIMES 4

/* The checksum of a record. */
uint32_t catalog_crc (lode_slice key, lode_slice body);
/* Whether a record is sound; then what stands before its checksum. */
bool catalog_body (lode_slice key, lode_slice value, lode_slice *body);

/*
** The store's own record: `version` is the rest of it. CORRUPT;
** INCOMPATIBLE: of another format, which is in `format` in any case.
*/
lode_status catalog_read_store (lode_slice body, catalog_store *store,
                                uint32_t *next, lode_slice *version,
                                unsigned *format);

/*
** A collection's record; `number` comes from its key. CORRUPT: it is cut
** short. INCOMPATIBLE: it says what only a newer lode knows.
*/
lode_status catalog_read_entry (lode_slice body, uint32_t number,
                                catalog_entry *entry);

/* CORRUPT. */
lode_status catalog_read_eras (lode_slice body, catalog_eras *eras);

/* }================================================================== */

#endif
