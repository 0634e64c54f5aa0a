/*
** merge.c - set algebra: one ordered pass over the members of all leaves.
**
** An expression is a tree of nodes, each of which stands on a member or has
** ended. A node moves on by moving what is below it; where an operand is
** behind another it is moved to that member at once, so that a big set met
** with a small one is not read through. Memory: the nodes.
**
** Members stand in the order of the tree: by their first 464 bytes, then by
** hash. Where leaves don't hash alike (they belong to two stores, or have
** hash functions of their own), members are compared by all their bytes
** instead, and each leaf sorts those of its long members that share their
** first 464 bytes, which takes memory for as many as there are.
*/
#include <stdlib.h>

#include "entry.h"
#include "walk.h"

#define NEAR 8 /* moves one by one that are tried before a search */

typedef struct node {
  lode_operator op;
  lode_coll *leaf;
  unsigned left, right;  /* operands, by index */
  bool ended;
  bool last_both;        /* union and symmetric: both stand on `key` */
  bool from_right;       /* and which one does, when only one */
  const scan_key *key;   /* the member it stands on: a leaf's own */
  scan scan;             /* of a leaf */
  lode_buffer group;     /* of a leaf that sorts: scan_key of the group */
  lode_buffer bytes;     /* and their bytes */
  size_t at;             /* in `group` */
  bool pending;          /* the scan stands on a member not yet taken */
  kv_txn *view;          /* of a leaf */
} node;

typedef struct merge {
  lode_store *store;     /* whose handle the failure's words are in */
  unsigned size;
  bool by_whole;         /* leaves don't hash alike */
  bool reverse;
  bool moved;            /* the root stands on a member already given */
  bool turns;            /* for turn_over: say of which side a member is */
  scan_span span;
  unsigned char room[KEY_PREFIX]; /* for a bound that was loosened */
  kv_txn *pin;           /* the moment that a walk has pinned; or null */
  node nodes[];
} merge;

/* {==================================================================
** Building
** =================================================================== */

static bool hash_alike (const lode_coll *a, const lode_coll *b) {
  return !a->kept.custom_hash && !b->kept.custom_hash &&
         memcmp(a->store->secret, b->store->secret, HASH_SIZE) == 0;
}

/* Links the operands of a postfix expression; false: it is none. */
static bool link_nodes (merge *m) {
  unsigned stack[LODE_TERMS_MAX], depth = 0;
  for (unsigned i = 0; i < m->size; i++) {
    node *n = &m->nodes[i];
    if (n->op != LODE_LEAF) {
      if (depth < 2)
        return false;
      n->right = stack[--depth];
      n->left = stack[--depth];
    }
    stack[depth++] = i;
  }
  return depth == 1;
}

static lode_status merge_make (const lode_term *terms, size_t n,
                               merge **made) {
  lode_store *s = NULL;
  lode_coll *first = NULL;
  merge *m;
  lode_status st = walk_catch_up(terms, n);
  if (st != LODE_OK)
    return st;
  for (size_t i = 0; i < n; i++)
    if (terms[i].op == LODE_LEAF && first == NULL) {
      first = terms[i].leaf;
      s = first->store;
    }
  if (s == NULL)
    return LODE_BAD_ARGUMENT;
  if (n > LODE_TERMS_MAX)
    return fail(&s->error, LODE_BAD_ARGUMENT, "the expression has %llu "
                "terms; at most %d are allowed; save a part of it as a set",
                (unsigned long long)n, LODE_TERMS_MAX);
  m = lode_malloc(sizeof *m + n * sizeof m->nodes[0]);
  if (m == NULL)
    return fail(&s->error, LODE_NO_MEMORY, "%s: no memory", s->files.base);
  memset(m, 0, sizeof *m + n * sizeof m->nodes[0]);
  m->store = s;
  m->size = (unsigned)n;
  for (size_t i = 0; i < n; i++) {
    m->nodes[i].op = terms[i].op;
    m->nodes[i].leaf = terms[i].leaf;
    if (terms[i].op == LODE_LEAF && terms[i].leaf != first &&
        !hash_alike(first, terms[i].leaf))
      m->by_whole = true;
  }
  if (!link_nodes(m)) {
    lode_free(m);
    return fail(&s->error, LODE_BAD_ARGUMENT, "that is no expression");
  }
  *made = m;
  return LODE_OK;
}

/* }================================================================== */

/* {==================================================================
** Leaves
** =================================================================== */

static int compare (const merge *m, const scan_key *a, const scan_key *b) {
  int c = m->by_whole ? slice_compare(a->whole, b->whole)
                      : key_compare(a->stored, a->whole, b->stored,
                                    b->whole);
  return m->reverse ? -c : c;
}

/* Moves the scan on and checks the member's record. */
static lode_status scan_member (node *n) { return scan_live(&n->scan); }

static bool in_group (const scan_key *k) {
  return k->whole.size >= KEY_PREFIX;
}

static int whole_compare (const void *a, const void *b) {
  return slice_compare(((const scan_key *)a)->whole,
                       ((const scan_key *)b)->whole);
}

/* Points the keys of a gathered group at their bytes. */
static void group_point (node *n) {
  scan_key *keys = (scan_key *)(void *)n->group.data;
  size_t count = n->group.size / sizeof *keys;
  const unsigned char *p = n->bytes.data;
  for (size_t i = 0; i < count; i++) {
    keys[i].stored.data = p;
    p += keys[i].stored.size;
    keys[i].whole.data = p;
    p += keys[i].whole.size;
  }
}

/* Gathers and sorts the members that share the first bytes of this one. */
static lode_status group_gather (const merge *m, node *n) {
  unsigned char prefix[KEY_PREFIX];
  lode_status st = LODE_OK;
  memcpy(prefix, n->scan.key.whole.data, KEY_PREFIX);
  n->group.size = n->bytes.size = n->at = 0;
  do {
    const scan_key *k = &n->scan.key;
    if (lode_buffer_add(&n->group, k, sizeof *k) != LODE_OK ||
        lode_buffer_add(&n->bytes, k->stored.data, k->stored.size) !=
        LODE_OK ||
        lode_buffer_add(&n->bytes, k->whole.data, k->whole.size) != LODE_OK)
      return fail(&m->store->error, LODE_NO_MEMORY, "no memory to sort the "
                  "long members");
    st = scan_member(n);
  } while (st == LODE_OK && in_group(&n->scan.key) &&
           memcmp(prefix, n->scan.key.whole.data, KEY_PREFIX) == 0);
  if (st != LODE_OK && st != LODE_ABSENT)
    return st;
  n->pending = st == LODE_OK;
  group_point(n);
  qsort(n->group.data, n->group.size / sizeof(scan_key), sizeof(scan_key),
        whole_compare);
  return LODE_OK;
}

/* The next of the group, or false. */
static bool group_take (const merge *m, node *n) {
  const scan_key *keys = (const scan_key *)(const void *)n->group.data;
  size_t count = n->group.size / sizeof *keys;
  if (n->at == count)
    return false;
  n->key = &keys[m->reverse ? count - 1 - n->at : n->at];
  n->at++;
  return true;
}

/* Whether a bound given by whole key takes a member of a group. */
static bool within (const merge *m, const scan_key *k) {
  const scan_span *s = &m->span;
  int c;
  if (s->low.whole.data != NULL) {
    c = slice_compare(k->whole, s->low.whole);
    if (c < 0 || (c == 0 && s->low_open))
      return false;
  }
  if (s->high.whole.data != NULL) {
    c = slice_compare(k->whole, s->high.whole);
    if (c > 0 || (c == 0 && s->high_open))
      return false;
  }
  return true;
}

static lode_status leaf_next_sorted (const merge *m, node *n) {
  for (;;) {
    lode_status st = LODE_OK;
    while (group_take(m, n))
      if (within(m, n->key))
        return LODE_OK;
    if (!n->pending)
      st = scan_member(n);
    n->pending = false;
    if (st != LODE_OK)
      return st;
    if (!in_group(&n->scan.key)) {
      n->key = &n->scan.key;
      if (within(m, n->key))
        return LODE_OK;
      continue;
    }
    st = group_gather(m, n);
    if (st != LODE_OK)
      return st;
  }
}

/* A bound for the scan of a leaf that sorts: the start of a key's group. */
static scan_key loose (const scan_key *k) {
  scan_key bound;
  size_t size = k->whole.size < KEY_PREFIX ? k->whole.size : KEY_PREFIX;
  bound.stored = bound.whole = slice_of(k->whole.data, size);
  return bound;
}

/*
** The span in which a leaf that sorts must look: all of the groups that the
** bounds lie in, which `within` then cuts to measure.
*/
static scan_span loose_span (const scan_span *exact, unsigned char *room) {
  scan_span s = *exact;
  if (s.low.whole.data != NULL) {
    s.low = loose(&s.low);
    s.low_open = false;
  }
  if (s.high.whole.data != NULL) {
    size_t n = key_successor(s.high.whole, room);
    s.high.stored = s.high.whole = slice_of(room, n);
    if (n == 0)
      memset(&s.high, 0, sizeof s.high);
    s.high_open = true;
  }
  return s;
}

static lode_status leaf_next (const merge *m, node *n) {
  lode_status st;
  if (m->by_whole)
    st = leaf_next_sorted(m, n);
  else {
    st = scan_member(n);
    n->key = &n->scan.key;
  }
  n->ended = st == LODE_ABSENT;
  return n->ended ? LODE_OK : st;
}

/* The search of a leaf that sorts: to the group of `to`, then on in it. */
static lode_status leaf_seek_sorted (const merge *m, node *n,
                                     const scan_key *to) {
  lode_status st = LODE_OK;
  if (!m->reverse) {
    scan_key group = loose(to);
    n->group.size = n->at = 0;
    st = scan_open_live(&n->scan, scan_seek(&n->scan, &group));
    n->ended = st == LODE_ABSENT;
    if (st != LODE_OK)
      return n->ended ? LODE_OK : st;
    n->pending = true;
    st = leaf_next(m, n);
  }
  while (st == LODE_OK && !n->ended && compare(m, n->key, to) < 0)
    st = leaf_next(m, n);
  return st;
}

/* Searches the first member not before `to` in a leaf that is behind it. */
static lode_status leaf_search (const merge *m, node *n,
                                const scan_key *to) {
  lode_status st;
  if (m->by_whole)
    return leaf_seek_sorted(m, n, to);
  st = scan_open_live(&n->scan, scan_seek(&n->scan, to));
  n->key = &n->scan.key;
  n->ended = st == LODE_ABSENT;
  return n->ended ? LODE_OK : st;
}

/* Moves a leaf to the first member not before `to`. */
static lode_status leaf_seek (const merge *m, node *n, const scan_key *to) {
  lode_status st = LODE_OK;
  for (int i = 0; i < NEAR && st == LODE_OK; i++) {
    if (n->ended || compare(m, n->key, to) >= 0)
      return LODE_OK;
    st = leaf_next(m, n);
  }
  if (st != LODE_OK || n->ended || compare(m, n->key, to) >= 0)
    return st;
  return leaf_search(m, n, to);
}

/* }================================================================== */

/* {==================================================================
** Operators
** =================================================================== */

static lode_status node_next (merge *m, unsigned i);

/* Moves node `i` to its first member not before `to`. */
static lode_status node_seek (merge *m, unsigned i, const scan_key *to);

/*
** Moves node `i`, which is before `to`, nearer to it: a leaf by one member,
** not compared here, or by a search once `moves` of them were in vain.
*/
static lode_status node_approach (merge *m, unsigned i, const scan_key *to,
                                  unsigned *moves) {
  node *n = &m->nodes[i];
  if (n->op != LODE_LEAF)
    return node_seek(m, i, to);
  if ((*moves)++ < NEAR)
    return leaf_next(m, n);
  *moves = 0;
  return leaf_search(m, n, to);
}

/* Where the two operands stand: <0, 0, >0; one that has ended is last. */
static int sides (const merge *m, const node *a, const node *b) {
  if (a->ended || b->ended)
    return a->ended - b->ended;
  return compare(m, a->key, b->key);
}

/* Union: the lesser one; symmetric: where just one stands. */
static lode_status settle_either (merge *m, node *n) {
  node *a = &m->nodes[n->left], *b = &m->nodes[n->right];
  lode_status st = LODE_OK;
  int c = sides(m, a, b);
  if (n->op == LODE_SYMMETRIC)
    while (st == LODE_OK && c == 0 && !a->ended) {
      st = node_next(m, n->left);
      if (st == LODE_OK)
        st = node_next(m, n->right);
      c = sides(m, a, b);
    }
  n->ended = a->ended && b->ended;
  n->last_both = c == 0;
  n->from_right = c > 0;
  n->key = n->from_right ? b->key : a->key;
  return st;
}

static lode_status settle_both (merge *m, node *n) {
  node *a = &m->nodes[n->left], *b = &m->nodes[n->right];
  unsigned moves = 0;
  bool left = false;
  lode_status st = LODE_OK;
  while (st == LODE_OK && !a->ended && !b->ended) {
    int c = compare(m, a->key, b->key);
    if (c == 0)
      break;
    if (left != (c < 0))
      moves = 0;
    left = c < 0;
    st = left ? node_approach(m, n->left, b->key, &moves)
              : node_approach(m, n->right, a->key, &moves);
  }
  n->ended = a->ended || b->ended;
  n->key = a->key;
  return st;
}

static lode_status settle_difference (merge *m, node *n) {
  node *a = &m->nodes[n->left], *b = &m->nodes[n->right];
  unsigned moves = 0;
  lode_status st = LODE_OK;
  while (st == LODE_OK && !a->ended && !b->ended) {
    int c = compare(m, a->key, b->key);
    if (c < 0)
      break;
    if (c == 0) {
      moves = 0;
      st = node_next(m, n->left);
    }
    else
      st = node_approach(m, n->right, a->key, &moves);
  }
  n->ended = a->ended;
  n->key = a->key;
  return st;
}

static lode_status settle (merge *m, node *n) {
  switch (n->op) {
    case LODE_INTERSECTION: return settle_both(m, n);
    case LODE_DIFFERENCE: return settle_difference(m, n);
    default: return settle_either(m, n);
  }
}

static lode_status node_next (merge *m, unsigned i) {
  node *n = &m->nodes[i];
  lode_status st = LODE_OK;
  bool left = true, right = n->op == LODE_INTERSECTION;
  if (n->op == LODE_LEAF)
    return leaf_next(m, n);
  if (n->op == LODE_UNION || n->op == LODE_SYMMETRIC) {
    left = !n->from_right;
    right = n->from_right || n->last_both;
  }
  if (left)
    st = node_next(m, n->left);
  if (st == LODE_OK && right)
    st = node_next(m, n->right);
  return st == LODE_OK ? settle(m, n) : st;
}

static lode_status node_seek (merge *m, unsigned i, const scan_key *to) {
  node *n = &m->nodes[i];
  lode_status st;
  if (n->ended || compare(m, n->key, to) >= 0)
    return LODE_OK;
  if (n->op == LODE_LEAF)
    return leaf_seek(m, n, to);
  st = node_seek(m, n->left, to);
  if (st == LODE_OK)
    st = node_seek(m, n->right, to);
  return st == LODE_OK ? settle(m, n) : st;
}

/* }================================================================== */

/* {==================================================================
** One pass: from opening the views to closing them
** =================================================================== */

static lode_status leaf_open (merge *m, unsigned i, const scan_span *span) {
  node *n = &m->nodes[i];
  kv_txn *t = m->pin;
  lode_status st = LODE_OK;
  if (n->leaf->store == NULL)
    return LODE_CLOSED;
  for (unsigned j = 0; j < i; j++) /* a store is viewed once */
    if (m->nodes[j].op == LODE_LEAF &&
        m->nodes[j].leaf->store == n->leaf->store)
      t = m->nodes[j].view;
  if (t == NULL)
    st = handle_read(n->leaf->store, &t);
  n->view = t;
  if (st == LODE_OK)
    st = scan_open(&n->scan, n->leaf, t, span);
  if (st == LODE_OK)
    st = leaf_next(m, n);
  if (st != LODE_OK && n->leaf->store != m->store)
    m->store->error = n->leaf->store->error;
  return st;
}

static lode_status merge_start (merge *m, const scan_span *span) {
  scan_span bounds = *span;
  lode_status st = LODE_OK;
  m->span = *span;
  m->reverse = span->reverse;
  m->moved = false;
  if (m->by_whole)
    bounds = loose_span(span, m->room);
  for (unsigned i = 0; i < m->size; i++) {
    node *n = &m->nodes[i];
    memset(&n->scan, 0, sizeof n->scan);
    n->ended = n->pending = false;
    n->group.size = n->at = 0;
  }
  for (unsigned i = 0; st == LODE_OK && i < m->size; i++)
    st = m->nodes[i].op == LODE_LEAF ? leaf_open(m, i, &bounds)
                                     : settle(m, &m->nodes[i]);
  return st;
}

static void merge_stop (merge *m) {
  for (unsigned i = 0; i < m->size; i++)
    if (m->nodes[i].op == LODE_LEAF) {
      scan_close(&m->nodes[i].scan);
      if (m->pin == NULL && m->nodes[i].leaf->store != NULL)
        handle_done(m->nodes[i].leaf->store);
    }
}

static void merge_free (merge *m) {
  for (unsigned i = 0; i < m->size; i++) {
    lode_buffer_free(&m->nodes[i].group);
    lode_buffer_free(&m->nodes[i].bytes);
  }
  lode_free(m);
}

/* The next member; ABSENT at the end. */
static lode_status merge_next (merge *m, const scan_key **key) {
  node *root = &m->nodes[m->size - 1];
  lode_status st = LODE_OK;
  if (m->moved && !root->ended)
    st = node_next(m, m->size - 1);
  m->moved = true;
  if (st != LODE_OK)
    return st;
  if (root->ended)
    return LODE_ABSENT;
  *key = root->key;
  return LODE_OK;
}

/* }================================================================== */

/* {==================================================================
** Walks
** =================================================================== */

#define TURNED_OUT LODE_BYTES /* the codec of members of the left side */
static const lode_value member = { { NULL, 0 }, LODE_NOTHING };

static lode_status source_open (lode_walk *w, const scan_span *span) {
  merge *m = w->data;
  m->pin = w->pin;
  return merge_start(m, span);
}

static lode_status source_next (lode_walk *w, const scan_key **key,
                                walk_entry *entry) {
  merge *m = w->data;
  node *root = &m->nodes[m->size - 1];
  lode_status st = merge_next(m, key);
  entry->value = member;
  entry->expires = LODE_NEVER;
  entry->asks = false;
  if (m->turns && root->op == LODE_SYMMETRIC && !root->from_right)
    entry->value.codec = TURNED_OUT;
  return st;
}

static void source_close (lode_walk *w) { merge_stop(w->data); }

static void source_free (lode_walk *w) { merge_free(w->data); }

static const walk_source merge_source = { source_open, source_next,
                                          source_close, source_free };

static bool one_store (const merge *m) {
  for (unsigned i = 0; i < m->size; i++)
    if (m->nodes[i].op == LODE_LEAF && m->nodes[i].leaf->store != m->store)
      return false;
  return true;
}

lode_status lode_merge_open (const lode_term *terms, size_t n,
                             const lode_range *range, bool snapshot,
                             lode_walk **walk) {
  merge *m;
  lode_status st = merge_make(terms, n, &m);
  if (st != LODE_OK)
    return st;
  if (snapshot && !one_store(m)) {
    st = fail(&m->store->error, LODE_BAD_ARGUMENT, "two stores have no "
              "common moment to walk at; leave `snapshot` out");
    merge_free(m);
    return st;
  }
  st = walk_make(m->store, &merge_source, m, range, walk);
  if (st != LODE_OK) {
    merge_free(m);
    return st;
  }
  if (snapshot && (st = walk_pin(*walk)) != LODE_OK) {
    lode_walk_close(*walk);
    *walk = NULL;
  }
  return st;
}

/* }================================================================== */

/* {==================================================================
** Counting and keeping
** =================================================================== */

lode_status lode_merge_count (const lode_term *terms, size_t n,
                              uint64_t *count) {
  scan_span all;
  uint64_t found = 0;
  const scan_key *key;
  merge *m;
  lode_status st = merge_make(terms, n, &m);
  if (st != LODE_OK)
    return st;
  memset(&all, 0, sizeof all);
  st = merge_start(m, &all);
  while (st == LODE_OK && (st = merge_next(m, &key)) == LODE_OK)
    found++;
  merge_stop(m);
  merge_free(m);
  if (st != LODE_ABSENT)
    return st;
  *count = found;
  return LODE_OK;
}

/*
** Adds each member of a page that is missing, and removes each of the
** others; these may have died since the page was read.
*/
static lode_status apply_page (lode_walk *w, lode_coll *target,
                               lode_batch *batch, bool *more) {
  lode_slice whole;
  lode_value value;
  lode_key key;
  lode_status st;
  while ((st = lode_walk_next(w, &whole, &value)) == LODE_OK) {
    if (lode_key_is_long(target, whole.size) && target->kept.custom_hash)
      return fail(&target->store->error, LODE_INCOMPATIBLE, "a long member "
                  "can't be saved to a set with a hash of its own");
    st = lode_key_of(target, whole, member.data, &key);
    if (st == LODE_OK)
      st = value.codec == TURNED_OUT
           ? entry_delete(target, key.stored, key.whole)
           : lode_batch_add(batch, &key, member);
    if (st != LODE_OK && st != LODE_ABSENT)
      return st;
    if (walk_page_done(w))
      break;
  }
  *more = !w->ended;
  return st == LODE_ABSENT ? LODE_OK : st;
}

/*
** The members in which target and expression differ are turned over, page
** by page: a page is read whole before it is applied, and what is changed
** lies before what is read next. So `target` may be a leaf.
*/
static lode_status turn_over (const lode_term *terms, size_t n,
                              lode_coll *target) {
  lode_range all;
  lode_walk *w;
  lode_batch *batch = NULL;
  bool more = true;
  lode_status st;
  memset(&all, 0, sizeof all);
  all.limit = UINT64_MAX;
  st = lode_merge_open(terms, n, &all, false, &w);
  if (st != LODE_OK)
    return st;
  ((merge *)w->data)->turns = true;
  st = lode_batch_begin(target, LODE_TTL_OWN, &batch);
  while (st == LODE_OK && more) {
    st = apply_page(w, target, batch, &more);
    if (st == LODE_OK)
      st = lode_batch_write(batch);
  }
  if (st != LODE_OK && w->store != NULL && w->store != target->store)
    target->store->error = w->store->error;
  lode_batch_end(batch);
  lode_walk_close(w);
  return st;
}

lode_status lode_merge_save (const lode_term *terms, size_t n,
                             lode_coll *target, bool replace) {
  lode_term *more;
  bool own;
  lode_status st = coll_write(target, &own);
  if (st != LODE_OK)
    return st;
  more = lode_malloc((n + 2) * sizeof *more);
  if (more == NULL)
    return handle_written(target->store, own,
                          handle_no_memory(target->store));
  /* what differs: target ^ expression; what is missing: expression - it */
  more[replace ? 0 : n].op = LODE_LEAF;
  more[replace ? 0 : n].leaf = target;
  memcpy(more + replace, terms, n * sizeof *terms);
  more[n + 1].op = replace ? LODE_SYMMETRIC : LODE_DIFFERENCE;
  more[n + 1].leaf = NULL;
  st = turn_over(more, n + 2, target);
  lode_free(more);
  return handle_written(target->store, own, st);
}

/* }================================================================== */
