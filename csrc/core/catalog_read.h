/*
** catalog_read.h - what the records of the catalogue say (catalog.h draws
** them), without LMDB: for the catalogue itself, and for who reads a
** damaged file page by page. Nothing is trusted.
*/
#ifndef LODE_CATALOG_READ_H
#define LODE_CATALOG_READ_H

#include "catalog.h"

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

#endif
