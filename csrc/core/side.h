/*
** side.h - lode's own file beside the data file: who has the store open,
** and whether what was written to it can be trusted.
**
**   side := "lodeside" (8), process (4), zeros (4), mark (8),
**           tag (4), state (4), store id (16), boot id (16),
**           mark at the last close (8), crc (4) of the five before it,
**           zeros (4), reads (8), found (8),
**           zeros up to SIDE_SIZE, and the ballast: more zeros
**
** `process` is who wrote last, for messages; `mark` belongs to clock.h.
** All in this machine's order.
**
** `state` has SIDE_UNSYNCED from before the first commit that doesn't reach
** the disk until all has been synced, and `boot` is that of the system when
** it was set: if that has changed, the power may have gone in between. It
** has SIDE_OPEN while some process has the file open; once it is closed the
** mark must be what it was then.
**
** `tag` tells of the C library and the machine: LMDB's lock file holds
** mutexes, which look differently in each. Those who have the store open at
** the same time must have the same one; who is alone sets it. (Each holds a
** shared lock on the byte SIDE_USERS; who gets it alone is alone.)
**
** `reads` and `found` are figures for lode_stats that all processes add to.
**
** Nothing of it is needed to read the store. So whatever is wrong with it,
** the store is checked, and the file made anew.
*/
#ifndef LODE_SIDE_H
#define LODE_SIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "../lode.h"

#define SIDE_SIZE 128
#define SIDE_PID 8         /* offsets, for who maps it */
#define SIDE_MARK 16
#define SIDE_STATE 28
#define SIDE_COUNTS 80 /* reads, found */

#define SIDE_UNSYNCED 1u
#define SIDE_OPEN 2u

typedef enum side_doubt { /* why the store should be checked first */
  SIDE_TRUSTED,
  SIDE_REBOOTED,         /* since it was last written to, without a sync */
  SIDE_DAMAGED           /* the side file itself is */
} side_doubt;

/*
** Brings the file `fd`, just opened, to its form. INCOMPATIBLE: a process
** with another C library has the store open; IO (errno tells).
*/
lode_status side_begin (int fd, side_doubt *doubt);
/* Of a file that can only be read. */
side_doubt side_look (int fd);
/*
** Whether nothing stands in the file yet. Then its name may not be on the
** disk either, and has to be before side_begin writes to it: a mark in a
** file that is gone after a power cut is none.
*/
bool side_is_new (int fd);

/* The store was found whole after such a doubt. False: errno tells. */
bool side_trust (int fd);

/*
** Whether the file belongs to the store with this id; if it belongs to none
** yet, it does now.
*/
bool side_belongs (int fd, const unsigned char id[16]);

/* Sets SIDE_UNSYNCED, on the disk, too. The writer lock is held. */
bool side_unsynced (int fd);
/* All was synced. The writer lock is held. */
bool side_synced (int fd);
/*
** Keeps some room on the disk with the file, or gives it up. That is for
** when there is none (kv_space.c); it may fail.
*/
void side_ballast (int fd, bool keep);
/* This process ends its use. The writer lock is held. */
void side_end (int fd);

#ifdef LODE_TEST
/* As if the system had been booted anew; 0: it has not. */
void lode_test_boot (unsigned n);
/* As if it were another C library's; 0: it is this one's. */
void lode_test_tag (unsigned n);
#endif

#endif
