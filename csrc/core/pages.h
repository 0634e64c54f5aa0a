/*
** pages.h - the pages of a data file, as LMDB 0.9 writes them, read
** without LMDB and without trust.
**
** Everything is in the machine's byte order, on a 64-bit machine. A page:
**
**   0 number (8)   8 key size (2; of a LEAF2 page)   10 flags (2)
**  12 lower (2)   14 upper (2)    or, of a big value: 12 pages (4)
**
** A branch or leaf goes on with the offsets (2 each) of its nodes, which
** end at `lower`; the nodes fill it from `upper` to its end:
**
**   node   := size (4; its low half first on a little-endian machine)
**             flags (2)  key size (2)  key  data
**   branch := no data: size and flags are the number (6) of a child
**   leaf   := data of `size` bytes; or, BIG, the number (8) of the first
**             of as many pages in a row as its header says, which hold it
**             after that header; or, TREE, a tree:
**
**   tree   := pad (4)  flags (2)  depth (2)  branch pages (8)
**             leaf pages (8)  big pages (8)  entries (8)  root (8)
**
** Of a database with duplicates (DUPS) an entry's data is a little page
** of their own, or with TREE a tree whose keys they are; a LEAF2 page has
** keys of one size, one after another, instead of nodes.
**
** Pages 0 and 1 are the meta pages; the transaction of number n writes
** page n & 1:
**
**  16 magic (4)        20 version (4)   24 address (8)  32 map size (8)
**  40 free tree (48; its pad is the size of a page)     88 main tree (48)
** 136 last page (8)   144 transaction (8)
**
** An entry of the free tree: the number (8) of the transaction that freed
** them -> how many (8), and their numbers (8 each), the greatest first.
**
** A walk visits each page at most once, so that it ends whatever the file
** holds, and takes memory for a few pages and two bits for each one. What
** is wrong is told, and the walk goes on beside it.
*/
#ifndef LODE_PAGES_H
#define LODE_PAGES_H

#include "bytes.h"

#define PAGES_KEY_MAX 511  /* bytes of a key */
#define PAGES_DEPTH_MAX 32 /* levels of a tree */
#define PAGES_LEVELS (3 * PAGES_DEPTH_MAX) /* main, named, duplicates */
#define PAGES_TOLD 1000    /* problems that are put in words */

/* Flags of a tree. */
#define TREE_REVERSE_KEYS 0x02
#define TREE_DUPS 0x04
#define TREE_INTEGER_KEYS 0x08
#define TREE_FIXED_DUPS 0x10
#define TREE_INTEGER_DUPS 0x20
#define TREE_REVERSE_DUPS 0x40

typedef struct pages_tree {
  uint32_t pad;
  unsigned flags, depth;
  uint64_t branch_pages, leaf_pages, big_pages, entries;
  uint64_t root; /* UINT64_MAX: it has no page */
} pages_tree;

typedef struct pages_state { /* what a meta page says */
  uint64_t number;           /* of its transaction */
  uint64_t last_page;
  pages_tree free, main;
} pages_state;

typedef struct pages_window { /* pages in a row, read in one go */
  unsigned char *data;
  uint64_t first, count;
  uint64_t ahead;             /* how many it takes the next time */
} pages_window;

typedef struct pages {
  int fd;
  uint64_t size;          /* of the file, in bytes */
  size_t page_size;
  pages_state state;
  /* Who is told; null: nobody. Set between pages_init and pages_open. */
  void (*problem)(void *data, const char *text);
  bool (*progress)(void *data, uint64_t done, uint64_t total);
  void *data;
  const char *where;      /* what is walked, for messages */
  uint64_t problems;
  bool quiet;             /* tell and count no problem */
  bool broken;            /* some pages could not be followed */
  lode_status failed;     /* NO_MEMORY: the walk can't go on; CALLBACK: it
                             was told to stop */
  uint64_t leaked;        /* problems that are just pages out of use */
  uint64_t used_pages, free_pages;
  uint64_t *used, *free;  /* a bit for each page; */
  uint64_t *refused;      /* of those in use, what can't be walked */
  uint64_t warmed;        /* bytes that the system was asked to read */
  bool fits;              /* the whole file has room in memory */
  pages_window tree, run; /* of trees and of big values */
  lode_buffer big;        /* a big value */
  uint64_t *taken;        /* a bit for each two bytes of a page */
  unsigned depth;
  unsigned char *levels[PAGES_LEVELS];
} pages;

/* `fd` stays the caller's, and open until pages_done. */
void pages_init (pages *f, int fd);
void pages_done (pages *f);

/*
** Finds the state of transaction `number`, or with 0 the newest that a
** sound meta page describes. ABSENT: there is none, which was told. BUSY:
** a later one has taken its place. NOT_A_STORE, INCOMPATIBLE (LMDB 1.0 or
** another data format), IO, NO_MEMORY.
*/
lode_status pages_open (pages *f, uint64_t number, lode_error *error);

/*
** The number of the newest state, as the file is now; 0: it can't be told.
*/
uint64_t pages_newest (const pages *f);

#define PAGES_NUMBER 0             /* of the page, in its first bytes */
#define PAGES_META_TRANSACTION 144 /* in a meta page */

/*
** Reads the whole meta page of the state into `page`, which has room for
** the greatest. BUSY: a later state has taken its place.
*/
lode_status pages_meta (const pages *f, unsigned char *page,
                        lode_error *error);

typedef struct pages_entry { /* its slices are good during the visit */
  uint64_t page;
  lode_slice key, value;
  const pages_tree *tree; /* it names a tree; else null */
} pages_entry;

/* What is not OK ends the walk, which gives it. */
typedef lode_status (*pages_visit) (void *data, const pages_entry *entry);

typedef enum pages_kind { /* of a tree */
  PAGES_FREE,  /* the one of free pages */
  PAGES_MAIN,  /* its entries may name trees */
  PAGES_NAMED,
  PAGES_DUPS   /* the duplicates of one entry: not visited */
} pages_kind;

/*
** Walks a tree in order, checks its pages and marks them as used, and
** visits (when not null) each entry that is no set of duplicates.
** NO_MEMORY, CALLBACK, or what `visit` gave.
*/
lode_status pages_walk (pages *f, const pages_tree *tree, pages_kind kind,
                        pages_visit visit, void *data);

/* Walks the free tree, and marks the pages that it lists. */
lode_status pages_walk_free (pages *f);

/*
** Visits the entries that can be made out on leaves to which no walk has
** led, or that one has refused: what hung on branches that are lost. No
** page that is known to be free is looked at. Nothing is told, and an entry
** may well be none: only its own checksum can say. The same statuses.
*/
lode_status pages_sweep (pages *f, pages_visit visit, void *data);

/* Forgets which pages were used. */
void pages_forget (pages *f);

/* After all trees: tells of pages that are missing, or nowhere. */
void pages_account (pages *f);

/* Tells a problem of `page` (0: of none) in `where`. */
void pages_tell (pages *f, uint64_t page, const char *format, ...)
  __attribute__((format(printf, 3, 4)));

/* {==================================================================
** Inside the room: pages.c, pages_walk.c and pages_sweep.c
** =================================================================== */

#define PAGE_HEAD 16
#define PAGE_BRANCH 0x01
#define PAGE_LEAF 0x02
#define PAGE_BIG 0x04
#define PAGE_META 0x08
#define PAGE_LEAF2 0x20
#define PAGE_LITTLE 0x40 /* inside of an entry */
#define TREE_SIZE 48

static inline uint16_t page_u16 (const unsigned char *p) {
  uint16_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

static inline uint32_t page_u32 (const unsigned char *p) {
  uint32_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

static inline uint64_t page_u64 (const unsigned char *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

#define NODE_HEAD 8
#define NODE_IS_BIG 1
#define NODE_IS_TREE 2
#define NODE_HAS_DUPS 4

typedef struct pages_node {
  unsigned flags;
  lode_slice key;
  lode_slice data;     /* empty: it is big */
  uint64_t page;       /* a child, or where a big value begins */
  size_t size;         /* of the data */
} pages_node;

/* How many nodes a page has whose `lower` is sound. */
static inline size_t pages_node_count (const unsigned char *p) {
  return (size_t)(page_u16(p + 12) - PAGE_HEAD) / 2;
}

/*
** Reads node `i` of the page `p`, which has `size` bytes. Gives what is
** wrong with it, or null.
*/
const char *pages_node_read (const unsigned char *p, size_t size, size_t i,
                             pages_node *n);

/* Of TREE_SIZE bytes. */
pages_tree pages_tree_read (const unsigned char *p);

static inline bool pages_marked (const uint64_t *bits, uint64_t i) {
  return bits[i / 64] >> i % 64 & 1;
}

static inline void pages_mark (uint64_t *bits, uint64_t i) {
  bits[i / 64] |= (uint64_t)1 << i % 64;
}

/* Memory for one page more of those that are walked; null: f->failed. */
unsigned char *pages_level (pages *f);

/* Reads a page to `out`; false: it can't be, which was told. */
bool pages_read (pages *f, uint64_t page, unsigned char *out);

/*
** Reads the start of a row of pages: `size` bytes of them, to f->big.
** The same.
*/
bool pages_read_run (pages *f, uint64_t page, size_t size);

/* Lets the system read pages that will be asked for soon. */
void pages_expect (pages *f, uint64_t page, uint64_t count);

/*
** Marks `count` pages, named by the page `by`, as used (or as free); tells
** of those that don't exist or were marked before. False: they should not
** be read.
*/
bool pages_mark_used (pages *f, uint64_t page, uint64_t count, uint64_t by);
void pages_mark_free (pages *f, uint64_t page, uint64_t by);

/* }================================================================== */

#endif
