/*
** files.h - what stands on the disk before LMDB sees it: names, the kind
** of file, the kind of file system.
*/
#ifndef LODE_FILES_H
#define LODE_FILES_H

#include <sys/types.h>

#include "../lode.h"

typedef struct files {  /* names, to be freed by files_free */
  char *base;  /* what the user named, without a slash at the end */
  /* These stay good when the process goes to another directory: */
  char *root;  /* the same from the root on */
  char *data;  /* the data file */
  char *lock;  /* LMDB's */
  char *side;  /* lode's own */
  char *dir;   /* the directory of the data file */
} files;

lode_status files_name (files *f, const char *path, bool single_file);
void files_free (files *f);

/* Where a meta page of LMDB's (probe.c) has the number of its commit. */
#define FILES_META_TRANSACTION 144

/*
** Looks at the data file without LMDB. OK when it may be opened; ABSENT;
** NOT_A_STORE, INCOMPATIBLE, CORRUPT, IO with the words in `error`.
*/
lode_status files_probe (const files *f, lode_error *error);

/* True for network and other file systems on which a map is not safe. */
bool files_unsafe (const files *f);

/* Makes the directory of a store. False: errno tells. */
bool files_make_dir (const files *f, unsigned mode);

/*
** Syncs a directory, so that a new name in it stays, and the one that it
** stands in, as it may be new itself. False: errno tells.
*/
bool files_sync_dir (const char *dir);

/*
** Moves a descriptor above 2, where no stray message to standard error
** can reach it, and closes it on exec. -1: errno tells.
*/
int files_above_stdio (int fd);
/*
** Opens /dev/null on each of 0 to 2 that is closed, so that what is opened
** next lies above. False: errno tells.
*/
bool files_fill_stdio (void);

/* Writes words into `error` as printf does; gives `status`. */
lode_status fail (lode_error *error, lode_status status, const char *format,
                  ...) __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__ /* it sees one file at a time: tell what fails */
#define fail(error, status, ...) \
  ((void)fail((error), (status), __VA_ARGS__), (status))
#endif

#endif
