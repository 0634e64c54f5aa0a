/*
** record.h - the log of what a program asks of the files below a directory,
** as preload_record.c writes it and disk.h reads it.
**
** Files are numbered as they are made or first opened; a directory has a
** number, too. Names are paths relative to the directory that is watched,
** which itself is the name "".
*/
#ifndef LODE_RECORD_H
#define LODE_RECORD_H

#include <stdint.h>

#define RECORD_ROOT "LODE_RECORD_ROOT" /* the directory to watch */
#define RECORD_LOG "LODE_RECORD_LOG"   /* where the log goes */

typedef enum record_kind {
  RECORD_CREATE,   /* node, name: a new empty file */
  RECORD_MKDIR,    /* node, name */
  RECORD_LINK,     /* node, name: one more */
  RECORD_UNLINK,   /* name */
  RECORD_RENAME,   /* node, name: the new one; `offset`: size of the old one,
                      which comes first */
  RECORD_WRITE,    /* node, offset, bytes */
  RECORD_DURABLE,  /* the same, on the disk when it returns (O_DSYNC) */
  RECORD_STORE,    /* the same, by memory that maps the file */
  RECORD_SIZE,     /* node, offset: the new size */
  RECORD_SYNC,     /* node: of a file, or of the names in a directory */
  RECORD_NOTE      /* bytes: what the program itself has to say */
} record_kind;

typedef struct record_head {
  uint32_t kind, node;
  uint64_t offset, size; /* `size` bytes follow: a name, or content */
} record_head;

/* What a program finds by dlsym when it is recorded. */
typedef void record_note_function (const void *bytes, uint32_t size);
#define RECORD_NOTE_NAME "record_note"

#endif
