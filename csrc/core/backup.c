/*
** backup.c - a copy of a store, while others read and write (lode_backup
** of lode.h).
**
** A plain copy takes the pages as they stand. LMDB would do it too, but
** waits for the writer of the moment, without an end, to read both meta
** pages at once. It takes one: what a read transaction sees stays where it
** is while that is open, so its meta page and the pages after that are a
** whole. In the place of the other meta page stands the same state, as the
** transaction before.
**
** A compact copy leaves free pages out and so numbers all others anew,
** which is LMDB's work (kv_compact); it waits for nobody.
*/
#define VERIFY_ROOM
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)1 << 20)

typedef struct backup {
  lode_store *store;
  const lode_backup_options *options;
  const char *path;      /* of the new data file */
  int fd;                /* it, under another name */
  uint64_t done, total;  /* bytes */
} backup;

static lode_status tell (backup *b) {
  const lode_backup_options *o = b->options;
  if (b->total < b->done)
    b->total = b->done;
  return o->progress == NULL || o->progress(o->data, b->done, b->total)
         ? LODE_OK
         : fail(&b->store->error, LODE_CALLBACK, "the backup was stopped");
}

static lode_status put (void *data, lode_slice bytes) {
  backup *b = data;
  int rc = kv_write_file(b->fd, bytes);
  if (rc == EFBIG)
    return fail(&b->store->error, LODE_FULL, "%s: no file may be as large "
                "here; raise the limit (ulimit -f), or make the copy compact",
                b->path);
  if (rc != 0)
    return kv_failure(&b->store->error, rc, b->path);
  b->done += bytes.size;
  return tell(b);
}

/* {==================================================================
** Plain
** =================================================================== */

/* Puts the state `f` twice, where its meta page is `page`. */
static lode_status put_metas (backup *b, const pages *f,
                              unsigned char *page) {
  lode_status st = LODE_OK;
  for (uint64_t i = 0; i < 2 && st == LODE_OK; i++) {
    uint64_t number = f->state.number;
    if ((number & 1) != i && number > 0)
      number--;
    memcpy(page + PAGES_NUMBER, &i, sizeof i);
    memcpy(page + PAGES_META_TRANSACTION, &number, sizeof number);
    st = put(b, slice_of(page, f->page_size));
  }
  return st;
}

/* All others. LMDB's file may end before its last page (probe.c). */
static lode_status put_pages (backup *b, const pages *f,
                              unsigned char *chunk) {
  lode_status st = LODE_OK;
  while (st == LODE_OK && b->done < b->total) {
    uint64_t left = b->total - b->done;
    ssize_t n = pread(f->fd, chunk, left < CHUNK ? (size_t)left : CHUNK,
                      (off_t)b->done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return kv_failure(&b->store->error, errno, b->store->files.base);
    if (n == 0)
      break;
    st = put(b, slice_of(chunk, (size_t)n));
  }
  return st;
}

/* With `v->f` and `t` at one state. */
static lode_status put_state (backup *b, verify *v, unsigned char *chunk) {
  lode_status st = pages_meta(&v->f, chunk, &b->store->error);
  b->total = (v->f.state.last_page + 1) * v->f.page_size;
  if (st == LODE_OK)
    st = put_metas(b, &v->f, chunk);
  if (st == LODE_OK)
    st = put_pages(b, &v->f, chunk);
  return st;
}

static lode_status pin_and_put (backup *b, verify *v,
                                unsigned char *chunk) {
  lode_store *s = b->store;
  lode_status st;
  kv_txn t;
  kv_txn_init(&t, s->env, &s->error);
  st = verify_pin(v, &t);
  if (st == LODE_OK)
    st = put_state(b, v, chunk);
  else if (st == LODE_ABSENT)
    st = fail(&s->error, LODE_CORRUPT, "%s: its meta pages are damaged; "
              "see what can be saved by lode_salvage (lode.repair)",
              s->files.base);
  kv_txn_free(&t);
  return st;
}

static lode_status copy_plain (backup *b) {
  lode_store *s = b->store;
  verify *v = verify_new(kv_data(s->env), NULL, &s->error);
  unsigned char *chunk = lode_malloc(CHUNK);
  lode_status st = v != NULL && chunk != NULL ? pin_and_put(b, v, chunk)
                                              : handle_no_memory(s);
  lode_free(chunk);
  if (v != NULL)
    verify_free(v);
  return st;
}

/* }================================================================== */

/* {==================================================================
** Compact
** =================================================================== */

/* About as many bytes as there will be. */
static lode_status measure (backup *b) {
  lode_store *s = b->store;
  kv_figures figures;
  kv_txn t;
  lode_status st;
  kv_txn_init(&t, s->env, &s->error);
  st = kv_read_begin(&t);
  if (st == LODE_OK)
    st = kv_measure(&t, &figures);
  if (st == LODE_OK)
    b->total = (figures.pages - figures.free_pages) * figures.page_size;
  kv_txn_free(&t);
  return st;
}

static lode_status copy_compact (backup *b) {
  lode_status st = measure(b);
  if (st == LODE_OK)
    st = kv_compact(b->store->env, put, b, &b->store->error);
  if (st == LODE_OK)
    b->total = b->done;
  return st;
}

/* }================================================================== */

/* Copies to the open file, syncs it, and gives it its name. */
static lode_status copy_to (backup *b, const char *part, const files *to) {
  lode_error *e = &b->store->error;
  lode_status st = b->options->compact ? copy_compact(b) : copy_plain(b);
  if (st != LODE_OK)
    return st;
  if (fsync(b->fd) != 0 || link(part, to->data) != 0 ||
      !files_sync_dir(to->dir))
    return kv_failure(e, errno, to->data);
  return LODE_OK;
}

static lode_status copy_as (backup *b, const files *to) {
  lode_error *e = &b->store->error;
  char part[4096];
  lode_status st;
  if (snprintf(part, sizeof part, "%s.part", to->data) >= (int)sizeof part)
    return fail(e, LODE_BAD_ARGUMENT, "the path is too long: %.80s...",
                to->data);
  b->fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (b->fd < 0)
    return kv_failure(e, errno, to->data);
  st = copy_to(b, part, to);
  close(b->fd);
  unlink(part);
  return st;
}

lode_status lode_backup (lode_store *s, const char *path,
                         const lode_backup_options *options) {
  static const lode_backup_options plain;
  bool single = strcmp(s->files.root, s->files.data) == 0;
  files to;
  backup b = { .store = s, .options = options != NULL ? options : &plain };
  lode_status st = handle_here(s);
  if (st == LODE_OK)
    st = handle_settle(s); /* so that the copy has it */
  if (st != LODE_OK)
    return st;
  if (kv_is_writer(s->env))
    return fail(&s->error, LODE_REENTRY, "%s: no backup inside of a "
                "transaction; take it before or after", s->files.base);
  st = files_name(&to, path, single);
  if (st != LODE_OK)
    return fail(&s->error, st, "%s: no memory", path);
  b.path = to.data;
  if (!single && !files_make_dir(&to, 0700))
    st = fail(&s->error, LODE_IO, "%s: no directory for the backup: %s; "
              "check the one above it", to.dir, strerror(errno));
  else if (access(to.data, F_OK) == 0)
    st = fail(&s->error, LODE_BAD_ARGUMENT, "%s is there already; a backup "
              "goes to a new place", to.data);
  else
    st = copy_as(&b, &to);
  files_free(&to);
  return st;
}
