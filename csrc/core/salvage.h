/*
** salvage.h - what is sound of a damaged store, written into a new one.
** lode_check.h says what comes of it.
**
** salvage.c runs it in a child process and hears of it through a pipe;
** salvage_read.c decides which state is read, and finds the entries;
** salvage_write.c writes them.
**
** Of which collection an entry is, its checksum tells: that is over the
** collection's number, too (record.h). So an entry is known even when all
** that led to its page is lost.
*/
#ifndef LODE_SALVAGE_H
#define LODE_SALVAGE_H

#include "catalog.h"
#include "life.h"
#include "pages.h"

typedef struct salvage_part { /* a collection, or another's database */
  struct salvage_part *next;
  uint32_t number;
  bool known;            /* the catalogue has it */
  bool raw;
  bool counted;          /* its tree was found: `records` are in it */
  bool refused;          /* it could not be made in the new store */
  catalog_entry entry;   /* its slices lie in `texts` */
  unsigned char *texts;
  record_check check;    /* of the old store */
  uint64_t records, kept, damaged;
  int64_t extra;
  lode_coll *coll;       /* in the new store; null: not made yet */
} salvage_part;

typedef struct salvage_out { /* the new store */
  lode_store *store;
  uint64_t pending;      /* bytes written since the last commit */
} salvage_out;

/* What is told on the way; each returns at once. */
typedef struct salvage_ear {
  bool (*progress)(void *data, uint64_t done, uint64_t total);
  void (*problem)(void *data, const char *text);
  void (*part)(void *data, const lode_salvaged *what);
  void *data;
} salvage_ear;

/*
** Reads the file `fd` (whose path is `path`, for messages) and writes to
** `to`, which is open and empty. The statuses are those of lode_salvage.
*/
lode_status salvage_run (int fd, const char *path, lode_store *to,
                         const salvage_ear *ear, lode_salvage_report *report,
                         lode_error *error);

/* The data file of the store at `path`, for reading. */
lode_status salvage_open (const char *path, int *fd, lode_error *error);

/* Eras of the old store's clock, before anything else is written. */
lode_status salvage_eras (salvage_out *out, const catalog_eras *eras);

/*
** Writes an entry of `part` that was found under `stored`, and counts it.
** `again`: not where one stands already. An entry that isn't sound is
** counted as damaged (not when `again`). What it gives ends the salvage.
*/
lode_status salvage_entry (salvage_out *out, salvage_part *part,
                           lode_slice stored, lode_slice value, bool again);
/* The same for the entry of another program's database. */
lode_status salvage_raw (salvage_out *out, salvage_part *part,
                         lode_slice key, lode_slice value);
/* Makes the collection, if it has no entry either. */
lode_status salvage_make (salvage_out *out, salvage_part *part);
/* Commits what is left, and syncs. */
lode_status salvage_end (salvage_out *out);

#endif
