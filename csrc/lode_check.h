/*
** lode_check.h - whether a store is whole, and what to do when it is not:
** a part of lode.h, which includes it.
**
** Pages are read by code of our own, without LMDB, which trusts what it
** reads: whatever the bytes are, a check ends and says what is wrong.
*/
#ifndef LODE_CHECK_PART_H
#define LODE_CHECK_PART_H

#ifndef LODE_H
#error "include lode.h"
#endif

/* {==================================================================
** Checking
** =================================================================== */

typedef struct lode_check_options { /* a null one or all zero: say nothing */
  /* How many of the file's bytes are done; false stops the check. */
  bool (*progress)(void *data, uint64_t done, uint64_t total);
  /* A problem in words: the page, the collection, the key where known. Of
     more than 1000 only the first are told. */
  void (*problem)(void *data, const char *text);
  /* What was done about them, of lode_check with `repair`. */
  void (*mended)(void *data, const char *text);
  void *data;
  bool repair;           /* mend what can be mended where it stands */
} lode_check_options;

typedef struct lode_check_report {
  bool ok;               /* no problems (any more) */
  uint64_t entries;      /* of all collections, sound or not, and with those
                            that are past their time */
  uint64_t collections;  /* with other programs' databases */
  uint64_t pages;        /* that are in use */
  uint64_t bytes;        /* of them */
  uint64_t problems;
  bool mendable;         /* `repair` can do something about all of them */
  uint64_t mended;       /* with `repair`: what was, */
  uint64_t dropped;      /* and entries that were lost in it */
} lode_check_report;

/*
** Checks the whole store as it was last committed, at one moment, while
** others read and write. Damage is no failure: OK, with what there is of
** it in `report`. BUSY, NO_MEMORY, IO, READERS_FULL, INCOMPATIBLE;
** CALLBACK when it was stopped.
**
** With `repair`, if the pages themselves are sound: indexes and counts are
** made to agree with the entries, and entries that are damaged removed, in
** one transaction; then all is checked again, and told are the problems
** that are left. What lies deeper takes lode_salvage. READONLY, REENTRY
** inside a transaction, and what a write gives.
*/
lode_status lode_check (lode_store *store, const lode_check_options *options,
                        lode_check_report *report);
/*
** The same (without `repair`) for a store that can't be opened: `path` is
** its directory or data file. Nobody may write to it meanwhile: BUSY when
** somebody did and it looked damaged. NOT_FOUND, NOT_A_STORE,
** INCOMPATIBLE, NO_MEMORY, IO, CALLBACK.
*/
lode_status lode_check_file (const char *path,
                             const lode_check_options *options,
                             lode_check_report *report, lode_error *error);

/*
** Of a store opened with LODE_CHECK_BACKGROUND: true once its check has
** ended, and only once. `outcome` then is OK for a sound store, CORRUPT
** with the first problem in words, or what the check failed with.
*/
bool lode_check_ended (lode_store *store, lode_check_report *report,
                       lode_error *outcome);

/* }================================================================== */

/* {==================================================================
** Salvage
** =================================================================== */

typedef struct lode_salvaged { /* what there is of a collection */
  lode_slice name;
  lode_kind kind;
  uint64_t kept, lost;   /* entries; `lost` as far as it can be known */
} lode_salvaged;

typedef struct lode_salvage_options { /* as for a check */
  bool (*progress)(void *data, uint64_t done, uint64_t total);
  void (*problem)(void *data, const char *text);
  void (*collection)(void *data, const lode_salvaged *what);
  void *data;
} lode_salvage_options;

typedef struct lode_salvage_report {
  bool ok;               /* nothing was lost */
  bool older;            /* it is the state before the last commit, which is
                            damaged where this one is whole */
  uint64_t entries;      /* kept */
  uint64_t lost;         /* at least */
  uint64_t collections;
  uint64_t problems;     /* of the original */
} lode_salvage_report;

/*
** Writes all entries of the store at `path` that are sound into a new store
** at `to`, where nothing may be yet: a directory, or a file when `path` is
** one. The original is only read. All is done in a child process, so that
** whatever damage does, it does there.
**
** From the newest state, if that is whole; else from the one before it, if
** that is; else every entry that the newest leads to, and those on pages
** that nothing leads to any more: an entry's checksum tells of which
** collection it is. One whose catalogue entry is lost is named
** "lost+found#" and its number. BUSY when somebody wrote to the store
** meanwhile; BAD_ARGUMENT, NOT_FOUND, NOT_A_STORE, INCOMPATIBLE, CALLBACK;
** CORRUPT when nothing can be made of it; IO, DISK_FULL, NO_MEMORY.
*/
lode_status lode_salvage (const char *path, const char *to,
                          const lode_salvage_options *options,
                          lode_salvage_report *report, lode_error *error);

/* }================================================================== */

#endif
