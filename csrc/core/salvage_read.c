/*
** salvage_read.c - which state of a damaged file is read, and where its
** entries are found. See salvage.h.
*/
#define VERIFY_ROOM
#include "salvage.h"
#include "verify.h"

#include <stdio.h>

#define GUESSES 1024 /* numbers that are tried where the catalogue is lost */

typedef enum round { LOOK, KEEP } round; /* what a walk is for */

typedef struct salvage {
  verify *v;
  const salvage_ear *ear;
  salvage_out out;
  salvage_part *parts, *last; /* `last`: of the entry before */
  catalog_eras eras;
  bool has_eras;
  bool sweep;            /* take what nothing leads to, too */
  bool whole_catalog;    /* every collection is known */
  round round;
  salvage_part *part;    /* whose tree is walked */
  uint64_t plain;        /* entries of the main tree: another program's */
  unsigned phase;        /* of SALVAGE_PHASES, for the progress */
  lode_error *error;
} salvage;

#define SALVAGE_PHASES 2

/* {==================================================================
** Telling
** =================================================================== */

static bool pass_progress (void *data, uint64_t done, uint64_t total) {
  salvage *x = data;
  return x->ear->progress == NULL ||
         x->ear->progress(x->ear->data, x->phase * total + done,
                          SALVAGE_PHASES * total);
}

static void pass_problem (void *data, const char *text) {
  salvage *x = data;
  if (x->ear->problem != NULL)
    x->ear->problem(x->ear->data, text);
}

static void tell (salvage *x, const char *text) {
  x->v->f.problems++;
  pass_problem(x, text);
}

static lode_status no_memory (salvage *x) {
  return fail(x->error, LODE_NO_MEMORY, "no memory to salvage the store");
}

/* }================================================================== */

/* {==================================================================
** Parts
** =================================================================== */

static salvage_part *find_part (salvage *x, uint32_t number) {
  salvage_part *p = x->parts;
  while (p != NULL && (p->raw || p->number != number))
    p = p->next;
  return p;
}

/* Adds one. Its texts are copied: the body of a record, or a name. */
static salvage_part *add_part (salvage *x, uint32_t number,
                               lode_slice texts) {
  salvage_part *p = lode_malloc(sizeof *p);
  if (p == NULL)
    return NULL;
  memset(p, 0, sizeof *p);
  p->texts = lode_malloc(texts.size + 1);
  if (p->texts == NULL) {
    lode_free(p);
    return NULL;
  }
  if (texts.size > 0)
    memcpy(p->texts, texts.data, texts.size);
  p->number = number;
  p->check = record_check_of(number, true);
  p->entry.kind = LODE_RAW; /* not known until an entry is seen */
  p->entry.name = slice_of(p->texts, texts.size);
  p->next = x->parts;
  x->parts = p;
  return p;
}

static void free_parts (salvage *x) {
  while (x->parts != NULL) {
    salvage_part *p = x->parts;
    x->parts = p->next;
    lode_coll_close(p->coll);
    lode_free(p->texts);
    lode_free(p);
  }
}

/* The part of the tree that the main one names `name`; null: no memory. */
static salvage_part *part_of_tree (salvage *x, lode_slice name,
                                   bool *indexes) {
  bool due = verify_without(&name, ".due");
  bool order = !due && verify_without(&name, ".order");
  uint32_t number;
  size_t made;
  salvage_part *p;
  *indexes = false;
  if (x->v->own && verify_number_of(name, &made, &number)) {
    p = find_part(x, number);
    *indexes = due || order || verify_find(&x->v->dropped, number) != NULL;
    if (p != NULL || *indexes)
      return p;
    return add_part(x, number, slice_of(name.data, made));
  }
  for (p = x->parts; p != NULL; p = p->next)
    if (p->raw && slice_equal(p->entry.name, name))
      return p;
  p = add_part(x, 0, name);
  if (p != NULL)
    p->raw = p->known = true;
  return p;
}

/* }================================================================== */

/* {==================================================================
** The catalogue
** =================================================================== */

static lode_status take_collection (salvage *x, uint32_t number,
                                    lode_slice body) {
  catalog_entry e;
  salvage_part *p;
  if (find_part(x, number) != NULL ||
      catalog_read_entry(body, number, &e) != LODE_OK)
    return LODE_OK;
  p = add_part(x, number, body);
  if (p == NULL)
    return no_memory(x);
  catalog_read_entry(slice_of(p->texts, body.size), number, &p->entry);
  p->known = true;
  return LODE_OK;
}

/* A record of the catalogue, wherever it was found. */
static lode_status visit_catalog (void *data, const pages_entry *e) {
  salvage *x = data;
  lode_slice body;
  salvage_part *p;
  bool numbered = e->key.size == 5;
  if (!catalog_body(e->key, e->value, &body))
    return LODE_OK;
  if (numbered && e->key.data[0] == 'c')
    return take_collection(x, get_u32(e->key.data + 1), body);
  if (numbered && e->key.data[0] == 'x' && body.size == 8 &&
      (p = find_part(x, get_u32(e->key.data + 1))) != NULL)
    p->extra = (int64_t)get_u64(body.data);
  if (e->key.size == 1 && e->key.data[0] == 'e' && !x->has_eras)
    x->has_eras = catalog_read_eras(body, &x->eras) == LODE_OK;
  return LODE_OK;
}

/* }================================================================== */

/* {==================================================================
** Trees
** =================================================================== */

static lode_status visit_entry (void *data, const pages_entry *e) {
  salvage *x = data;
  if (x->round == LOOK)
    return LODE_OK;
  return x->part->raw ? salvage_raw(&x->out, x->part, e->key, e->value)
                      : salvage_entry(&x->out, x->part, e->key, e->value,
                                      false);
}

static lode_status walk_tree (salvage *x, lode_slice name,
                              const pages_tree *tree) {
  bool indexes;
  salvage_part *p;
  if (x->v->own && slice_equal(name, verify_own()))
    return LODE_OK; /* it came first */
  p = part_of_tree(x, name, &indexes);
  if (indexes)
    return pages_walk(&x->v->f, tree, PAGES_NAMED, NULL, NULL);
  if (p == NULL)
    return no_memory(x);
  p->counted = true;
  p->records = tree->entries;
  if (p->raw && tree->flags != 0) { /* an order, or duplicates */
    p->refused = true;
    return pages_walk(&x->v->f, tree, PAGES_NAMED, NULL, NULL);
  }
  x->part = p;
  return pages_walk(&x->v->f, tree, PAGES_NAMED, visit_entry, x);
}

static lode_status visit_main (void *data, const pages_entry *e) {
  salvage *x = data;
  if (e->tree != NULL)
    return walk_tree(x, e->key, e->tree);
  x->plain += x->round == KEEP && !verify_is_generation(e);
  return LODE_OK;
}

/* Walks all that the state leads to, quietly: the check has told of it. */
static lode_status walk_all (salvage *x, round round) {
  pages *f = &x->v->f;
  lode_status st;
  pages_forget(f);
  x->round = round;
  st = pages_walk_free(f);
  f->broken = false;
  if (st == LODE_OK && x->v->has_catalog && x->v->own) {
    st = pages_walk(f, &x->v->catalog, PAGES_NAMED, visit_catalog, x);
    x->whole_catalog = x->whole_catalog || !f->broken;
  }
  if (st == LODE_OK)
    st = pages_walk(f, &f->state.main, PAGES_MAIN, visit_main, x);
  return st;
}

/* }================================================================== */

/* {==================================================================
** What nothing leads to
** =================================================================== */

/* Whether an entry is one of this part. */
static bool is_of (const salvage_part *p, lode_slice stored,
                   lode_slice value) {
  bucket_entry b = { stored, value };
  record r;
  if (p->raw || (key_stored_is_long(stored) &&
                 bucket_next(&value, &b) != LODE_OK))
    return false;
  return record_read(&p->check, b.whole, b.record, &r) == LODE_OK;
}

/* A part that the catalogue doesn't know, found by trying numbers. */
static salvage_part *guess (salvage *x, lode_slice stored,
                            lode_slice value) {
  for (uint32_t number = 1; number <= GUESSES; number++) {
    salvage_part p = { .check = record_check_of(number, true) };
    if (find_part(x, number) == NULL &&
        verify_find(&x->v->dropped, number) == NULL &&
        is_of(&p, stored, value))
      return add_part(x, number, slice_of("", 0));
  }
  return NULL;
}

static lode_status visit_lost (void *data, const pages_entry *e) {
  salvage *x = data;
  salvage_part *p = x->last;
  if (e->value.size < RECORD_OVERHEAD)
    return LODE_OK;
  if (p == NULL || !is_of(p, e->key, e->value))
    for (p = x->parts; p != NULL && !is_of(p, e->key, e->value);)
      p = p->next;
  if (p == NULL && !x->whole_catalog)
    p = guess(x, e->key, e->value);
  if (p == NULL)
    return LODE_OK;
  x->last = p;
  return salvage_entry(&x->out, p, e->key, e->value, true);
}

/* }================================================================== */

/* {==================================================================
** All of it
** =================================================================== */

/* Checks the state of `number` (0: the newest): whether it is whole. */
static lode_status look_at (salvage *x, int fd, uint64_t number,
                            bool loud, bool *whole) {
  const lode_check_options o = {
    .progress = loud ? pass_progress : NULL,
    .problem = loud ? pass_problem : NULL, .data = x
  };
  lode_check_report r;
  uint64_t of_metas;
  lode_status st;
  x->v = verify_new(fd, &o, x->error);
  if (x->v == NULL)
    return no_memory(x);
  st = pages_open(&x->v->f, number, x->error);
  of_metas = x->v->f.problems;
  *whole = false;
  if (st == LODE_BUSY && number != 0)
    st = LODE_ABSENT;
  if (st != LODE_OK)
    return st;
  st = verify_run(x->v, LODE_OK, &r);
  *whole = st == LODE_OK && r.problems == of_metas;
  return st;
}

/*
** The newest state if it is whole, or the one before it if that is; else
** the newest again, for what there is of it.
*/
static lode_status choose (salvage *x, int fd, lode_salvage_report *report) {
  bool whole = false;
  uint64_t number;
  verify *newest;
  lode_status st = look_at(x, fd, 0, true, &whole);
  if (st == LODE_ABSENT)
    return fail(x->error, LODE_CORRUPT, "nothing can be made of it: no meta "
                "page says where anything is");
  if (st != LODE_OK)
    return st;
  number = x->v->f.state.number;
  report->problems = x->v->f.problems;
  report->older = whole && report->problems > 0; /* a meta page is damaged */
  if (whole || number < 2)
    return LODE_OK;
  newest = x->v;
  st = look_at(x, fd, number - 1, false, &whole);
  if (st == LODE_OK && whole && x->v->own == newest->own) {
    report->older = true;
    verify_free(newest);
    return LODE_OK;
  }
  if (x->v != NULL)
    verify_free(x->v);
  x->v = newest;
  x->sweep = true;
  return st == LODE_NO_MEMORY || st == LODE_IO ? st : LODE_OK;
}

static lode_status extract (salvage *x) {
  pages *f = &x->v->f;
  lode_status st = LODE_OK;
  f->problem = NULL;
  f->progress = pass_progress;
  f->data = x;
  x->phase = 1;
  if (x->sweep) { /* collections first: entries on lost pages need them */
    f->progress = NULL;
    st = walk_all(x, LOOK);
    if (st == LODE_OK && !x->whole_catalog)
      st = pages_sweep(f, visit_catalog, x);
    f->progress = pass_progress;
  }
  if (st == LODE_OK && x->has_eras)
    st = salvage_eras(&x->out, &x->eras);
  if (st == LODE_OK)
    st = walk_all(x, KEEP);
  if (st == LODE_OK && x->sweep)
    st = pages_sweep(f, visit_lost, x);
  return st;
}

/* Tells what became of a part, which is made even when it is empty. */
static lode_status report_part (salvage *x, salvage_part *p,
                                lode_salvage_report *report) {
  lode_salvaged what = { .kind = p->entry.kind, .kept = p->kept };
  uint64_t there = p->records + (uint64_t)p->extra;
  lode_status st = LODE_OK;
  if (p->known && !p->refused && p->coll == NULL)
    st = salvage_make(&x->out, p);
  if (st != LODE_OK)
    return st;
  what.lost = p->counted && !p->refused && (int64_t)there >= 0 ? there
                                                               : p->kept;
  what.lost = p->refused ? p->records : what.lost > p->kept
              ? what.lost - p->kept : 0;
  if (what.lost < p->damaged)
    what.lost = p->damaged;
  what.name = p->entry.name;
  if (p->refused)
    tell(x, "another program's database has an order of its own, or "
            "duplicates: it was left out");
  report->collections += p->coll != NULL;
  report->entries += what.kept;
  report->lost += what.lost;
  if (x->ear->part != NULL && (p->known || p->coll != NULL ||
                               what.lost > 0))
    x->ear->part(x->ear->data, &what);
  return LODE_OK;
}

static lode_status report_all (salvage *x, lode_salvage_report *report) {
  bool whole = !x->sweep && x->plain == 0;
  lode_status st = LODE_OK;
  report->lost = x->plain;
  if (x->plain > 0)
    tell(x, "entries of another program stand in the main database: they "
            "were left out");
  for (salvage_part *p = x->parts; p != NULL && st == LODE_OK; p = p->next) {
    st = report_part(x, p, report);
    whole = whole && !p->refused;
  }
  report->ok = whole && report->lost == 0 && !report->older;
  return st;
}

lode_status salvage_open (const char *path, int *fd, lode_error *error) {
  return verify_open_data(path, fd, error);
}

static uint64_t newest_of (int fd) {
  pages f;
  pages_init(&f, fd);
  return pages_newest(&f);
}

lode_status salvage_run (int fd, const char *path, lode_store *to,
                         const salvage_ear *ear, lode_salvage_report *report,
                         lode_error *error) {
  salvage x = { .ear = ear, .out = { .store = to }, .error = error };
  lode_salvage_report r = { .ok = false };
  uint64_t began = newest_of(fd);
  lode_status st;
  error->status = to->error.status = LODE_OK;
  st = choose(&x, fd, &r);
  if (st == LODE_OK)
    st = extract(&x);
  if (st == LODE_OK)
    st = report_all(&x, &r);
  if (st == LODE_OK)
    st = salvage_end(&x.out);
  if (st != LODE_OK && error->status == LODE_OK)
    *error = to->error;
  if (st != LODE_OK && error->status != st)
    fail(error, st, "%s: the salvage was given up (%s)", path,
         lode_status_name(st));
  if (newest_of(fd) != began)
    st = fail(error, LODE_BUSY, "%s was written to meanwhile; close it "
              "everywhere first", path);
  free_parts(&x);
  if (x.v != NULL)
    verify_free(x.v);
  if (st == LODE_OK)
    *report = r;
  return st;
}

/* }================================================================== */
