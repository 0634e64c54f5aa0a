/*
** access.h - accesses of entries, gathered in memory.
**
** A read never writes: that an entry was read is noted here, once for all
** handles of a process on a store, until a writer takes the notes and keeps
** them with the entries. A process that is killed loses the notes that it
** has not yet kept.
**
** Any thread may call any of this. Notes are found by collection and whole
** key, and taken oldest first.
*/
#ifndef LODE_ACCESS_H
#define LODE_ACCESS_H

#include "bytes.h"

typedef struct access_table access_table;

typedef struct access_note {
  uint32_t number;  /* of the collection */
  uint32_t hits;    /* accesses since they were last taken */
  uint64_t atime;   /* the latest of them, in ms since the epoch */
  uint64_t stamp;   /* the latest, in an order of its own: see access_add */
  lode_slice stored, whole; /* the key; set by access_take_aside only */
} access_note;

/* NULL: no memory. */
access_table *access_new (void);
void access_free (access_table *a);

/*
** Notes one access at `now` (ms since the epoch). `stamp` orders accesses
** where times tie; it grows from call to call (in the process) and is at
** least now * 1000. NO_MEMORY: the access is not noted.
*/
lode_status access_add (access_table *a, uint32_t number, lode_slice stored,
                        lode_slice whole, uint64_t now);

/* The next stamp: past every one given, and at least now * 1000. */
uint64_t access_stamp (access_table *a, uint64_t now);

/*
** Copies what is noted of a key, but for the slices. False: nothing. For
** one who has read the state of commit `seen` that is also what a later
** commit is to keep, which is put aside until then; UINT64_MAX: what is put
** aside is the caller's own, and kept.
*/
bool access_find (access_table *a, uint32_t number, lode_slice whole,
                  uint64_t seen, access_note *note);

/*
** A transaction that may yet be rolled back: what it takes out is put aside
** for `owner`, until access_settle tells whether that level of it (1: the
** outermost), or one around it, was committed. When it wasn't the notes are
** back, with what was noted meanwhile; those that there is no memory for
** are lost. Where it is null they are gone at once.
*/
typedef struct access_txn {
  const void *owner;
  unsigned depth;
  uint64_t commit; /* the number of what it will be */
} access_txn;

/* Drops the note of a key, if there is one. */
void access_put_aside (access_table *a, const access_txn *t, uint32_t number,
                       lode_slice whole);
/*
** Takes the oldest note of a collection out (the oldest of all when
** `number` is 0); its key is put into `room` (emptied first), where the
** note's slices lie. ABSENT: there is none; NO_MEMORY: it stays.
*/
lode_status access_take_aside (access_table *a, const access_txn *t,
                               uint32_t number, lode_buffer *room,
                               access_note *note);
/* Drops all notes of a collection. */
void access_drop_aside (access_table *a, const access_txn *t,
                        uint32_t number);
/*
** Of an entry that was found dead: a note of its key that is made in the
** transaction is of another entry, and goes with it when it is rolled back.
*/
void access_end (access_table *a, const access_txn *t, uint32_t number,
                 lode_slice stored, lode_slice whole);

void access_settle (access_table *a, const access_txn *t, bool committed);

/* How many notes there are; of one collection. */
size_t access_count (access_table *a);
size_t access_count_of (access_table *a, uint32_t number);

#endif
