/*
** pages_walk.c - trees of pages, walked from the root. See pages.h.
**
** A page is checked as a whole before anything in it is used; one that is
** not sound is told and left out with what hangs on it. Each page knows
** between which keys it stands: those of its branch, which lies in memory
** above it. So keys are in order along the whole tree when they are so on
** each page and between its bounds.
*/
#include "pages.h"

#include "check.h"

#if defined __BYTE_ORDER__ && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define NODE_LOW 2
#define NODE_HIGH 0
#else
#define NODE_LOW 0
#define NODE_HIGH 2
#endif

typedef enum key_order { BYTES, REVERSE, INTEGER } key_order;

typedef struct walk {
  pages *f;
  pages_tree tree;     /* as its record says */
  pages_tree found;    /* what there is of it */
  pages_kind kind;
  key_order order;
  pages_visit visit;
  void *data;
  lode_status st;      /* not OK: it is ended */
} walk;

typedef struct bounds { /* of a page's keys; data null: none */
  lode_slice low;       /* included */
  lode_slice high;      /* not included */
} bounds;

static bool stopped (const walk *w) {
  return w->st != LODE_OK || w->f->failed != LODE_OK;
}

/* {==================================================================
** Nodes
** =================================================================== */

const char *pages_node_read (const unsigned char *p, size_t size, size_t i,
                             pages_node *n) {
  size_t at = page_u16(p + PAGE_HEAD + 2 * i), left, key;
  bool leaf = (page_u16(p + 10) & PAGE_LEAF) != 0;
  if (at < page_u16(p + 14) || at % 2 != 0 || at + NODE_HEAD > size)
    return "it is not where nodes can be";
  left = size - at - NODE_HEAD;
  p += at;
  key = page_u16(p + 6);
  n->flags = leaf ? page_u16(p + 4) : 0;
  n->key = slice_of(p + NODE_HEAD, key);
  n->data = slice_of(p + NODE_HEAD, 0);
  n->page = 0;
  n->size = (size_t)page_u16(p + NODE_LOW) |
            (size_t)page_u16(p + NODE_HIGH) << 16;
  if (key > PAGES_KEY_MAX || key > left)
    return "its key is too long";
  left -= key;
  if (!leaf) {
    n->page = n->size | (uint64_t)page_u16(p + 4) << 32;
    n->size = 0;
    return NULL;
  }
  if (n->flags & NODE_IS_BIG) {
    if (n->flags != NODE_IS_BIG || left < 8)
      return "it is no big value as it says";
    n->page = page_u64(p + NODE_HEAD + key);
    return NULL;
  }
  if (n->flags & ~(unsigned)(NODE_IS_TREE | NODE_HAS_DUPS))
    return "it has flags that nodes don't have";
  if (n->size > left)
    return "its data goes past the end of the page";
  if (n->flags & NODE_IS_TREE && n->size != TREE_SIZE)
    return "it is no tree as it says";
  n->data = slice_of(p + NODE_HEAD + key, n->size);
  return NULL;
}

/* The bytes that a node takes on its page. */
static size_t node_room (const pages_node *n) {
  size_t data = n->flags & NODE_IS_BIG ? 8 : n->size;
  return (NODE_HEAD + n->key.size + data + 1) & ~(size_t)1;
}

/* Marks a node's place; false: another one has some of it. */
static bool take_room (pages *f, size_t at, size_t room) {
  size_t from = at / 2, to = (at + room) / 2; /* two bytes a bit */
  uint64_t clash = 0;
  while (from < to) {
    size_t in = from % 64, n = to - from < 64 - in ? to - from : 64 - in;
    uint64_t bits = (n == 64 ? UINT64_MAX : ((uint64_t)1 << n) - 1) << in;
    clash |= f->taken[from / 64] & bits;
    f->taken[from / 64] |= bits;
    from += n;
  }
  return clash == 0;
}

/* The largest node that LMDB puts on a page of a leaf. */
static size_t node_largest (const pages *f) {
  return ((f->page_size - PAGE_HEAD) / 2 & ~(size_t)1) - 2;
}

/* What is wrong with a node's use in this tree, or null. */
static const char *node_misused (const walk *w, const pages_node *n,
                                 bool leaf) {
  bool dups = (n->flags & NODE_HAS_DUPS) != 0;
  if (!leaf)
    return NULL;
  if (n->key.size == 0 && w->kind != PAGES_DUPS)
    return "it has an empty key";
  if (!(n->flags & NODE_IS_BIG) &&
      NODE_HEAD + n->key.size + n->size > node_largest(w->f))
    return "it is larger than nodes are";
  if (dups && !(w->tree.flags & TREE_DUPS))
    return "it has duplicates, and its database has none";
  if (n->flags & NODE_IS_TREE && !dups && w->kind != PAGES_MAIN)
    return "it is a tree, which only the main tree may name";
  if (n->flags != 0 && w->kind == PAGES_DUPS)
    return "a duplicate is just a key";
  return NULL;
}

/* Checks every node of a page, and that they fill it. */
static bool nodes_ok (walk *w, const unsigned char *p, uint64_t page,
                      bool leaf) {
  pages *f = w->f;
  size_t total = 0;
  memset(f->taken, 0, f->page_size / 16);
  for (size_t i = 0; i < pages_node_count(p); i++) {
    size_t room;
    pages_node n;
    const char *wrong = pages_node_read(p, f->page_size, i, &n);
    if (wrong == NULL)
      wrong = node_misused(w, &n, leaf);
    if (wrong == NULL) {
      size_t at = page_u16(p + PAGE_HEAD + 2 * i);
      room = node_room(&n);
      total += room;
      if (at + room > f->page_size || !take_room(f, at, room))
        wrong = "it lies over another one";
    }
    if (wrong != NULL) {
      pages_tell(f, page, "node %zu: %s", i, wrong);
      return false;
    }
  }
  if (total == f->page_size - page_u16(p + 14))
    return true;
  pages_tell(f, page, "its nodes don't fill it as its head says");
  return false;
}

/* }================================================================== */

/* {==================================================================
** The order of keys
** =================================================================== */

static int compare_reverse (lode_slice a, lode_slice b) {
  for (size_t i = 1; i <= a.size && i <= b.size; i++)
    if (a.data[a.size - i] != b.data[b.size - i])
      return a.data[a.size - i] < b.data[b.size - i] ? -1 : 1;
  return (a.size > b.size) - (a.size < b.size);
}

static uint64_t integer_of (lode_slice s) {
  return s.size == 4 ? page_u32(s.data) : s.size == 8 ? page_u64(s.data) : 0;
}

static int compare (key_order order, lode_slice a, lode_slice b) {
  uint64_t x, y;
  switch (order) {
    case BYTES: return slice_compare(a, b);
    case REVERSE: return compare_reverse(a, b);
    default:
      x = integer_of(a);
      y = integer_of(b);
      return (x > y) - (x < y);
  }
}

/*
** Whether `key` may stand behind `last` (data null: it is the first) and
** between the bounds; tells when not.
*/
static bool key_ok (walk *w, uint64_t page, size_t i, lode_slice key,
                    lode_slice last, const bounds *b) {
  const char *wrong = NULL;
  if (w->order == INTEGER && key.size != 4 && key.size != 8)
    wrong = "is no integer";
  else if (last.data != NULL && compare(w->order, last, key) >= 0)
    wrong = "does not come after the one before it";
  else if (last.data == NULL && b->low.data != NULL &&
           compare(w->order, key, b->low) < 0)
    wrong = "comes before all that its branch allows";
  else if (b->high.data != NULL && compare(w->order, key, b->high) >= 0)
    wrong = "comes after all that its branch allows";
  if (wrong != NULL)
    pages_tell(w->f, page, "the key of node %zu %s", i, wrong);
  return wrong == NULL;
}

/* The same for keys of one size, in a row. */
static void fixed_ok (walk *w, uint64_t page, const unsigned char *keys,
                      size_t size, size_t n, const bounds *b) {
  lode_slice last = { NULL, 0 };
  for (size_t i = 0; i < n; i++) {
    lode_slice key = slice_of(keys + i * size, size);
    if (!key_ok(w, page, i, key, last, b))
      return;
    last = key;
  }
}

/* }================================================================== */

/* {==================================================================
** Duplicates
** =================================================================== */

static key_order dups_order (const pages_tree *t) {
  return t->flags & TREE_INTEGER_DUPS ? INTEGER
         : t->flags & TREE_REVERSE_DUPS ? REVERSE : BYTES;
}

/* What is wrong with the little page `p`, or null. */
static const char *little_wrong (lode_slice p) {
  unsigned flags, lower;
  size_t size, n;
  if (p.size < PAGE_HEAD)
    return "is cut short";
  flags = page_u16(p.data + 10);
  lower = page_u16(p.data + 12);
  if (!(flags & PAGE_LITTLE) || !(flags & PAGE_LEAF))
    return "is none";
  if (lower < PAGE_HEAD + 2 || lower % 2 != 0 || lower > p.size)
    return "has a wrong head";
  n = pages_node_count(p.data);
  size = page_u16(p.data + 8);
  if (flags & PAGE_LEAF2 && (size == 0 || size > (p.size - PAGE_HEAD) / n))
    return "has keys past its end";
  return NULL;
}

/* Checks the little page of an entry's duplicates, and counts them. */
static void walk_little (walk *w, uint64_t page, lode_slice p) {
  walk dups = { .f = w->f, .order = dups_order(&w->tree) };
  const bounds none = { { NULL, 0 }, { NULL, 0 } };
  lode_slice last = { NULL, 0 };
  const char *wrong = little_wrong(p);
  size_t count;
  if (wrong != NULL) {
    pages_tell(w->f, page, "a page of duplicates %s", wrong);
    w->f->broken = true;
    return;
  }
  count = pages_node_count(p.data);
  w->found.entries += count;
  if (page_u16(p.data + 10) & PAGE_LEAF2) {
    fixed_ok(&dups, page, p.data + PAGE_HEAD, page_u16(p.data + 8), count,
             &none);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    pages_node n;
    wrong = pages_node_read(p.data, p.size, i, &n);
    if (wrong != NULL)
      pages_tell(w->f, page, "duplicate %zu: %s", i, wrong);
    if (wrong != NULL || !key_ok(&dups, page, i, n.key, last, &none))
      return;
    last = n.key;
  }
}

/* Walks the tree of an entry's duplicates. */
static void walk_dups (walk *w, lode_slice data) {
  pages_tree tree = pages_tree_read(data.data);
  if (tree.flags & TREE_FIXED_DUPS)
    tree.flags = TREE_FIXED_DUPS;
  else
    tree.flags = 0;
  if (w->tree.flags & TREE_INTEGER_DUPS)
    tree.flags |= TREE_INTEGER_KEYS;
  else if (w->tree.flags & TREE_REVERSE_DUPS)
    tree.flags |= TREE_REVERSE_KEYS;
  w->found.entries += tree.entries;
  w->st = pages_walk(w->f, &tree, PAGES_DUPS, NULL, NULL);
}

/* }================================================================== */

/* {==================================================================
** Trees
** =================================================================== */

/*
** A big value, which lies in f->big afterwards, behind a page's head. Its
** pages are marked before they are read, so none is read twice.
*/
static bool read_big (walk *w, uint64_t page, pages_node *n) {
  pages *f = w->f;
  size_t size = n->size + PAGE_HEAD;
  uint64_t need = (size - 1) / f->page_size + 1, count;
  const unsigned char *p;
  if (n->page < 2 || n->page > f->state.last_page ||
      need > f->state.last_page - n->page + 1)
    return pages_mark_used(f, n->page, need, page); /* tells, is false */
  if (!pages_read_run(f, n->page, PAGE_HEAD))
    return false;
  p = f->big.data;
  count = page_u32(p + 12);
  if (page_u64(p) != n->page || page_u16(p + 10) != PAGE_BIG ||
      count < need) {
    pages_tell(f, n->page, "it is no big value, where one belongs");
    f->broken = true;
    return false;
  }
  if (!pages_mark_used(f, n->page, count, page) ||
      !pages_read_run(f, n->page, size))
    return false;
  w->found.big_pages += count;
  n->data = slice_of(f->big.data + PAGE_HEAD, n->size);
  return true;
}

static void visit_node (walk *w, uint64_t page, pages_node *n) {
  pages_entry e = { page, n->key, n->data, NULL };
  pages_tree tree;
  if (n->flags & NODE_HAS_DUPS) {
    if (n->flags & NODE_IS_TREE)
      walk_dups(w, n->data);
    else
      walk_little(w, page, n->data);
    return;
  }
  w->found.entries++;
  if (n->flags & NODE_IS_TREE) {
    tree = pages_tree_read(n->data.data);
    e.tree = &tree;
  }
  if (n->flags & NODE_IS_BIG) {
    if (!read_big(w, page, n))
      return;
    e.value = n->data;
  }
  if (w->visit != NULL)
    w->st = w->visit(w->data, &e);
}

static void walk_leaf (walk *w, const unsigned char *p, uint64_t page,
                       const bounds *b) {
  lode_slice last = { NULL, 0 };
  size_t count = pages_node_count(p);
  pages_node n;
  w->found.leaf_pages++;
  if (page_u16(p + 10) & PAGE_LEAF2) {
    w->found.entries += count;
    fixed_ok(w, page, p + PAGE_HEAD, page_u16(p + 8), count, b);
    return;
  }
  for (size_t i = 0; i < count; i++)
    if (pages_node_read(p, w->f->page_size, i, &n) == NULL &&
        n.flags & NODE_IS_BIG)
      pages_expect(w->f, n.page, n.size / w->f->page_size + 1);
  for (size_t i = 0; i < count && !stopped(w); i++) {
    if (pages_node_read(p, w->f->page_size, i, &n) != NULL)
      return;
    key_ok(w, page, i, n.key, last, b);
    last = n.key;
    visit_node(w, page, &n);
  }
}

/* Lets the system fetch what a branch leads to, pages in a row at once. */
static void expect_children (walk *w, const unsigned char *p) {
  uint64_t first = 0, count = 0;
  pages_node n;
  for (size_t i = 0; i < pages_node_count(p); i++) {
    if (pages_node_read(p, w->f->page_size, i, &n) != NULL)
      return;
    if (count > 0 && n.page != first + count) {
      pages_expect(w->f, first, count);
      count = 0;
    }
    if (count++ == 0)
      first = n.page;
  }
  pages_expect(w->f, first, count);
}

static void walk_page (walk *w, uint64_t page, unsigned depth, uint64_t by,
                       const bounds *b);

static void walk_branch (walk *w, const unsigned char *p, uint64_t page,
                         unsigned depth, const bounds *b) {
  lode_slice last = { NULL, 0 };
  size_t count = pages_node_count(p);
  w->found.branch_pages++;
  expect_children(w, p);
  for (size_t i = 0; i < count && !stopped(w); i++) {
    bounds below = *b;
    pages_node n, next;
    if (pages_node_read(p, w->f->page_size, i, &n) != NULL)
      return;
    if (i > 0) { /* the first one's key is not used */
      key_ok(w, page, i, n.key, last, b);
      last = below.low = n.key;
    }
    if (i + 1 < count &&
        pages_node_read(p, w->f->page_size, i + 1, &next) == NULL)
      below.high = next.key;
    walk_page(w, n.page, depth + 1, page, &below);
  }
}

/* What is wrong with the head of a page at this depth, or null. */
static const char *head_wrong (const walk *w, const unsigned char *p,
                               uint64_t page, bool leaf) {
  unsigned flags = page_u16(p + 10);
  size_t lower = page_u16(p + 12), upper = page_u16(p + 14), count;
  bool fixed = leaf && w->kind == PAGES_DUPS &&
               (w->tree.flags & TREE_FIXED_DUPS) && flags & PAGE_LEAF2;
  if (page_u64(p) != page)
    return "it bears the number of another page";
  if (flags != (leaf ? PAGE_LEAF : PAGE_BRANCH) &&
      !(fixed && flags == (PAGE_LEAF | PAGE_LEAF2)))
    return leaf ? "it is no leaf, where one belongs"
                : "it is no branch, where one belongs";
  if (lower < PAGE_HEAD || lower % 2 != 0 || lower > upper ||
      upper > w->f->page_size || upper % 2 != 0)
    return "its head gives bounds that can't be";
  count = pages_node_count(p);
  if (count == 0 || (!leaf && count == 1 && w->kind != PAGES_FREE))
    return "it has too few nodes";
  if (fixed && (page_u16(p + 8) == 0 || page_u16(p + 8) >
                (w->f->page_size - PAGE_HEAD) / count))
    return "its keys don't fit";
  return NULL;
}

unsigned char *pages_level (pages *f) {
  unsigned char **level = &f->levels[f->depth];
  lode_assert(f->depth < PAGES_LEVELS);
  if (*level == NULL)
    *level = lode_malloc(f->page_size);
  if (*level == NULL)
    f->failed = LODE_NO_MEMORY;
  return *level;
}

/* A page that `by` leads to, at `depth` (1: the root), and all below it. */
static void walk_page (walk *w, uint64_t page, unsigned depth, uint64_t by,
                       const bounds *b) {
  pages *f = w->f;
  bool leaf = depth == w->tree.depth;
  unsigned char *p = pages_level(f);
  const char *wrong;
  if (p == NULL || !pages_mark_used(f, page, 1, by) ||
      !pages_read(f, page, p))
    return;
  wrong = head_wrong(w, p, page, leaf);
  if (wrong != NULL)
    pages_tell(f, page, "%s", wrong);
  if (wrong != NULL || (!(page_u16(p + 10) & PAGE_LEAF2) &&
                        !nodes_ok(w, p, page, leaf))) {
    f->broken = true;
    pages_mark(f->refused, page);
    return;
  }
  f->depth++;
  if (leaf)
    walk_leaf(w, p, page, b);
  else
    walk_branch(w, p, page, depth, b);
  f->depth--;
}

/* What is wrong with a tree's record, or null. */
static const char *tree_wrong (const walk *w) {
  const pages_tree *t = &w->tree;
  unsigned known = TREE_REVERSE_KEYS | TREE_INTEGER_KEYS | TREE_DUPS;
  if (t->flags & TREE_DUPS || w->kind == PAGES_DUPS)
    known |= TREE_FIXED_DUPS | TREE_INTEGER_DUPS | TREE_REVERSE_DUPS;
  if (w->kind == PAGES_FREE)
    known = TREE_INTEGER_KEYS | 0x4001; /* and how the file was opened */
  if ((t->flags & ~known) != 0 ||
      (w->kind == PAGES_FREE && !(t->flags & TREE_INTEGER_KEYS)))
    return "its flags can't be";
  if (t->pad != 0 && w->kind != PAGES_FREE && !(t->flags & TREE_FIXED_DUPS))
    return "it has keys of one size, which it can't have";
  if (t->root == UINT64_MAX)
    return t->depth == 0 && t->entries == 0 && t->branch_pages == 0 &&
           t->leaf_pages == 0 && t->big_pages == 0
           ? NULL : "it has no root, and yet entries";
  if (t->depth == 0 || t->depth > PAGES_DEPTH_MAX)
    return "its depth can't be";
  return NULL;
}

/* Compares what there is of a tree with what its record says. */
static void compare_counts (walk *w) {
  const pages_tree *a = &w->tree, *b = &w->found;
  const struct { const char *what; uint64_t says, is; } counts[] = {
    { "entries", a->entries, b->entries },
    { "branch pages", a->branch_pages, b->branch_pages },
    { "leaf pages", a->leaf_pages, b->leaf_pages },
    { "pages of big values", a->big_pages, b->big_pages }
  };
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
    if (counts[i].says != counts[i].is)
      pages_tell(w->f, 0, "it has %llu %s, its record says %llu",
                 (unsigned long long)counts[i].is, counts[i].what,
                 (unsigned long long)counts[i].says);
}

lode_status pages_walk (pages *f, const pages_tree *tree, pages_kind kind,
                        pages_visit visit, void *data) {
  walk w = { .f = f, .tree = *tree, .kind = kind, .visit = visit,
             .data = data };
  const bounds none = { { NULL, 0 }, { NULL, 0 } };
  const char *wrong = tree_wrong(&w);
  bool broken = f->broken;
  if (wrong != NULL) {
    pages_tell(f, 0, "%s", wrong);
    f->broken = true;
    return LODE_OK;
  }
  w.order = tree->flags & TREE_INTEGER_KEYS ? INTEGER
            : tree->flags & TREE_REVERSE_KEYS ? REVERSE : BYTES;
  f->broken = false;
  if (tree->root != UINT64_MAX)
    walk_page(&w, tree->root, 1, 0, &none);
  if (!f->broken && !stopped(&w))
    compare_counts(&w);
  f->broken = f->broken || broken;
  return w.st != LODE_OK ? w.st : f->failed;
}

/* One entry of the free tree. */
static lode_status visit_free (void *data, const pages_entry *e) {
  pages *f = data;
  uint64_t last = UINT64_MAX, number, count;
  if (e->key.size != 8 || e->value.size < 8 || e->value.size % 8 != 0) {
    pages_tell(f, e->page, "an entry of free pages has a wrong size");
    return LODE_OK;
  }
  number = page_u64(e->key.data);
  count = page_u64(e->value.data);
  if (number == 0 || number > f->state.number)
    pages_tell(f, e->page, "pages are free since transaction %llu, which "
               "has not been", (unsigned long long)number);
  if (count > e->value.size / 8 - 1) {
    pages_tell(f, e->page, "a list of free pages goes past its end");
    count = e->value.size / 8 - 1;
  }
  for (uint64_t i = 1; i <= count; i++) {
    uint64_t page = page_u64(e->value.data + 8 * i);
    if (page >= last)
      pages_tell(f, e->page, "a list of free pages is not in order");
    last = page;
    pages_mark_free(f, page, e->page);
  }
  return LODE_OK;
}

lode_status pages_walk_free (pages *f) {
  f->where = "the tree of free pages";
  return pages_walk(f, &f->state.free, PAGES_FREE, visit_free, f);
}

/* }================================================================== */
