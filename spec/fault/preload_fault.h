/*
** preload_fault.h - what a program tells preload_fault.c.
*/
#ifndef PRELOAD_FAULT_H
#define PRELOAD_FAULT_H

#include <stdbool.h>

typedef enum fault_kind {
  FAULT_WRITE,    /* write, writev, pwrite */
  FAULT_SYNC,     /* fsync, fdatasync */
  FAULT_OPEN,     /* open */
  FAULT_MAP,      /* mmap of a file */
  FAULT_TRUNCATE, /* ftruncate */
  FAULT_LOCK,     /* fcntl's locks, flock */
  FAULT_NAME,     /* link, unlink, mkdir */
  FAULT_MEMORY    /* malloc, calloc, realloc, posix_memalign, of anybody */
} fault_kind;

#define FAULT_SHORT 0 /* as a code: a write that does half of it */

typedef struct fault {
  fault_kind kind;
  long nth;      /* which call of the kind fails; 0: none, they are counted */
  bool for_good; /* and all that follow */
  int code;      /* errno, or FAULT_SHORT */
} fault;

/*
** Begins to count anew, the calls that concern what is below `dir`. To be
** called by one thread.
*/
void fault_arm (const char *dir, const fault *f);
/* The calls of the kind since then. */
long fault_calls (void);

#endif
