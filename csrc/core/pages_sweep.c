/*
** pages_sweep.c - leaves to which nothing leads any more. See pages.h.
*/
#include "pages.h"

#include "check.h"

/*
** A big value of a node, which lies in f->big afterwards. `*budget` bytes
** may still be read: damaged nodes might all name the same long one.
*/
static bool read_big (pages *f, pages_node *n, uint64_t *budget) {
  size_t size = n->size + PAGE_HEAD;
  if (size > *budget)
    return false;
  *budget -= size;
  if (n->page < 2 || n->page > f->state.last_page ||
      size > (f->state.last_page - n->page + 1) * f->page_size ||
      !pages_read_run(f, n->page, size) ||
      page_u64(f->big.data) != n->page ||
      !(page_u16(f->big.data + 10) & PAGE_BIG))
    return false;
  n->data = slice_of(f->big.data + PAGE_HEAD, n->size);
  return true;
}

/* Whether a page may be a leaf, however damaged. */
static bool may_be_leaf (const pages *f, const unsigned char *p) {
  unsigned flags = page_u16(p + 10);
  size_t lower = page_u16(p + 12);
  return (flags & PAGE_LEAF) && !(flags & PAGE_LEAF2) &&
         lower > PAGE_HEAD && lower <= f->page_size;
}

static lode_status sweep_leaf (pages *f, uint64_t page,
                               const unsigned char *p, uint64_t *budget,
                               pages_visit visit, void *data) {
  lode_status st = LODE_OK;
  for (size_t i = 0; i < pages_node_count(p) && st == LODE_OK; i++) {
    pages_entry e = { .page = page };
    pages_node n;
    if (pages_node_read(p, f->page_size, i, &n) != NULL ||
        n.key.size == 0 || (n.flags & ~(unsigned)NODE_IS_BIG) != 0)
      continue;
    if ((n.flags & NODE_IS_BIG) && !read_big(f, &n, budget))
      continue;
    e.key = n.key;
    e.value = n.data;
    st = visit(data, &e);
    if (st == LODE_OK)
      st = f->failed;
  }
  return st;
}

lode_status pages_sweep (pages *f, pages_visit visit, void *data) {
  uint64_t budget = 4 * f->size;
  bool quiet = f->quiet;
  lode_status st = LODE_OK;
  unsigned char *p = pages_level(f);
  if (p == NULL)
    return LODE_NO_MEMORY;
  f->quiet = true; /* what it tries may be anything */
  f->depth++;
  for (uint64_t i = 2; i <= f->state.last_page && st == LODE_OK; i++) {
    bool looked_at = pages_marked(f->used, i) &&
                     !pages_marked(f->refused, i);
    if (!looked_at && !pages_marked(f->free, i) && pages_read(f, i, p) &&
        may_be_leaf(f, p))
      st = sweep_leaf(f, i, p, &budget, visit, data);
  }
  f->depth--;
  f->quiet = quiet;
  return st == LODE_OK ? f->failed : st;
}
