/*
** store.c - stores: opening, closing, copies, figures, transactions.
*/
#include <errno.h>
#include <unistd.h>

#include "checker.h"
#include "entry.h"
#include "maintain.h"
#include "pending.h"
#include "verify.h"
#include "walk.h"

/* {==================================================================
** Opening and closing
** =================================================================== */

void lode_options_init (lode_options *options) {
  memset(options, 0, sizeof *options);
  options->create = true;
  options->checksum = true;
  options->mode = 0600;
  options->collections = 256;
  options->readers = 1024;
  options->lock_timeout = 10000;
  options->flush_ops = 1000;
  options->flush_bytes = (uint64_t)8 << 20;
  options->flush_ms = 50;
  options->autoflush_on_read = true;
}

/* Reads what the catalogue says of the store. */
static lode_status read_store (lode_store *s) {
  catalog_store about;
  kv_txn *t;
  lode_status st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = catalog_open(t, &about);
  if (st == LODE_OK)
    memcpy(s->secret, about.secret, sizeof s->secret);
  s->foreign = s->clock.foreign = st == LODE_ABSENT;
  handle_done(s);
  return s->foreign ? LODE_OK : st;
}

/* Asks the caller's clock. What it reads keeps the view that is open. */
static uint64_t call_clock (void *data) {
  lode_store *s = data;
  bool reading = s->reading;
  uint64_t now;
  s->calling++;
  s->asking++;
  s->reading = false;
  s->snapshots += reading;
  now = s->user_clock(s->clock_data);
  s->snapshots -= reading;
  s->reading = reading;
  s->asking--;
  s->calling--;
  if (kv_is_left(s->env)) /* a child made by fork in it */
    (void)handle_back(s, LODE_OK);
  return now;
}

/* In a child made by fork: the threads that the handle had. */
static lode_status reopened (lode_store *s) {
  lode_error ignored;
  bool keeps = s->keeps, pends = s->pends;
  s->keeps = s->pends = false;
  if (pends) /* without it each write is committed at once */
    (void)pending_start(s, &s->options, &ignored);
  if (keeps && maintain_start(s, &s->options, &ignored) != LODE_OK)
    s->maintenance = LODE_INLINE; /* better than nothing */
  return LODE_OK;
}

static void store_free (lode_store *s) {
  if (s->env != NULL) {
    kv_txn_free(&s->write);
    kv_txn_free(&s->read);
    shared_release(s->shared);
    kv_release(s->env);
  }
  lode_buffer_free(&s->next);
  lode_buffer_free(&s->record);
  lode_buffer_free(&s->pended);
  lode_buffer_free(&s->claimed);
  files_free(&s->files);
  lode_free(s);
}

/* What works for the store in the background. */
static lode_status start_threads (lode_store *s, const lode_options *options,
                                  lode_error *error) {
  lode_error ignored;
  lode_status st = LODE_OK;
  if (options->maintenance == LODE_BACKGROUND && !s->readonly)
    st = maintain_start(s, options, error);
  if (st == LODE_OK && s->behind)
    st = pending_start(s, options, error);
  if (st == LODE_OK && options->check == LODE_CHECK_BACKGROUND)
    st = checker_start(s, options, error);
  if (st != LODE_OK) {
    (void)pending_stop(s, &ignored);
    maintain_stop(s);
  }
  return st;
}

lode_status lode_open (const char *path, const lode_options *options,
                       lode_store **store, lode_error *error) {
  kv_hooks hooks = catalog_hooks;
  lode_status st;
  lode_store *s;
  if (path[0] == '\0')
    return fail(error, LODE_BAD_ARGUMENT, "the path of a store is empty");
  s = lode_malloc(sizeof *s);
  if (s == NULL)
    return fail(error, LODE_NO_MEMORY, "%s: no memory", path);
  memset(s, 0, sizeof *s);
  s->options = *options;
  s->reopened = reopened;
  s->readonly = options->readonly;
  s->checksum = options->checksum;
  s->behind = options->durability == LODE_BEHIND && !s->readonly;
  s->autoflush = options->autoflush_on_read;
  s->timeout = options->lock_timeout;
  s->maintenance = options->maintenance;
  s->user_clock = options->clock;
  s->clock_data = options->clock_data;
  if (options->clock != NULL)
    s->clock.source = call_clock;
  s->clock.data = s;
  st = files_name(&s->files, path, options->single_file);
  if (st != LODE_OK) {
    lode_free(s);
    return fail(error, st, "%s: no memory", path);
  }
  hooks.verify = verify_open;
  st = kv_open(&s->files, options, &hooks, &s->env, error);
  if (st == LODE_OK) {
    s->commits = kv_commits_of(s->env);
    kv_txn_init(&s->read, s->env, &s->error);
    kv_txn_init(&s->write, s->env, &s->error);
    s->write.sync = options->durability != LODE_OS;
    s->clock.mark = kv_mark(s->env);
    s->counts = kv_counts(s->env);
    s->shared = shared_get(s->env);
    st = s->shared != NULL ? read_store(s) : handle_no_memory(s);
    if (st != LODE_OK)
      *error = s->error;
    else
      st = start_threads(s, options, error);
  }
  else
    s->env = NULL;
  if (st != LODE_OK) {
    store_free(s);
    return st;
  }
  check_handle(1);
  *store = s;
  return LODE_OK;
}

void lode_watch_begin (lode_store *s, lode_watch *w) {
  lode_assert(w->link == NULL);
  w->next = s->watches;
  w->link = &s->watches;
  if (w->next != NULL)
    w->next->link = &w->next;
  s->watches = w;
}

void lode_watch_end (lode_watch *w) {
  if (w->link == NULL)
    return;
  *w->link = w->next;
  if (w->next != NULL)
    w->next->link = w->link;
  w->link = NULL;
}

lode_status lode_close (lode_store *s, lode_error *error) {
  lode_status st = LODE_OK;
  if (s == NULL)
    return LODE_OK;
  for (lode_watch *w; (w = s->watches) != NULL;) {
    lode_watch_end(w);
    w->closed(w->data);
  }
  while (s->write.depth > 0)
    lode_abort(s);
  handle_unclaim_all(s);
  checker_stop(s);
  while (s->walks != NULL)
    walk_detach(s->walks);
  while (s->snapshots > 0) /* they hold up a map that must grow */
    lode_snapshot_end(s);
  st = pending_stop(s, error);
  maintain_stop(s);
  maintain_keep_all(s);
  s->calling = 0;
  colls_reap(s);
  while (s->colls != NULL)
    coll_detach(s->colls);
  if (!s->readonly && !s->write.sync) {
    lode_status synced = kv_flush(s->env, &s->error);
    if (st == LODE_OK && synced != LODE_OK) {
      st = synced;
      *error = s->error;
    }
  }
  if (!kv_is_left(s->env))
    handle_count_out(s);
  store_free(s);
  check_handle(-1);
  return st;
}

/* }================================================================== */

/* {==================================================================
** The store as a whole
** =================================================================== */

const lode_error *lode_store_error (const lode_store *s) {
  return &s->error;
}

const char *lode_store_path (const lode_store *s) { return s->files.base; }

bool lode_store_readonly (const lode_store *s) { return s->readonly; }

bool lode_store_behind (const lode_store *s) { return s->behind; }

lode_status lode_version (lode_store *s, uint64_t *version) {
  *version = kv_last_commit(&s->commits);
  return LODE_OK;
}

uint64_t lode_evicted (const lode_store *s) { return s->evicted; }

lode_status lode_flush (lode_store *s) {
  lode_status st = handle_here(s);
  if (st == LODE_OK)
    st = handle_settle(s);
  if (st == LODE_OK)
    st = queue_losses(s->shared->queue, &s->error);
  if (st != LODE_OK || s->readonly)
    return st;
  return kv_flush(s->env, &s->error);
}

/* Adds what a collection has. */
static lode_status sum_one (lode_coll *c, void *data) {
  lode_stats *stats = data;
  uint64_t entries, dead;
  lode_status st = entry_count(c, &entries, &dead);
  if (st != LODE_OK)
    return st;
  stats->collections++;
  stats->entries += entries;
  stats->expired += dead;
  if (life_waits(c))
    stats->waiting += dead;
  return LODE_OK;
}

lode_status lode_store_stats (lode_store *s, lode_stats *stats) {
  kv_figures figures = { .oldest_process = 0 };
  queue_figures pending;
  kv_txn *t;
  lode_status st;
  memset(stats, 0, sizeof *stats);
  handle_done(s);
  st = maintain_each(s, sum_one, stats);
  if (st == LODE_OK)
    st = handle_read(s, &t);
  if (st != LODE_OK)
    return st;
  st = kv_measure(t, &figures);
  handle_done(s);
  if (st != LODE_OK)
    return st;
  stats->file_size = figures.file_size;
  stats->free_size = figures.free_pages * figures.page_size;
  stats->used_size = (figures.pages - figures.free_pages) *
                     figures.page_size;
  stats->map_size = figures.map_size;
  stats->max_size = figures.max_size;
  stats->version = kv_last_commit(&s->commits);
  stats->readers = figures.readers;
  stats->max_readers = figures.max_readers;
  stats->oldest_age = figures.oldest_age;
  stats->oldest_process = figures.oldest_process;
  stats->oldest_ms = figures.oldest_ms;
  stats->handles = figures.handles - queue_served(s->shared->queue);
  handle_count_out(s);
  stats->reads = atomic_load_explicit(s->counts, memory_order_relaxed);
  stats->found = atomic_load_explicit(s->counts + 1, memory_order_relaxed);
  stats->accesses = access_count(s->shared->accesses);
  stats->swept = s->swept;
  stats->evicted = s->evicted;
  stats->last_sweep = s->last_sweep;
  queue_measure(s->shared->queue, &pending);
  stats->pending = pending.writes;
  stats->pending_bytes = pending.bytes;
  stats->last_flush = pending.flushed;
  stats->failed = pending.failed;
  return LODE_OK;
}

/* }================================================================== */

/* {==================================================================
** Transactions
** =================================================================== */

lode_status lode_begin (lode_store *s) {
  bool own;
  lode_status st;
  if (s->write.depth == 0 && s->guards == 0 && s->snapshots == 0 &&
      s->asking == 0 && !s->readonly) {
    handle_done(s);
    st = handle_lock(s); /* so that nobody adds any more */
    if (st != LODE_OK)
      return st;
    st = handle_prepare(s);
    if (st != LODE_OK) {
      kv_unlock(&s->write);
      return st;
    }
  }
  st = handle_write(s, &own);
  if (st == LODE_OK && !own)
    st = kv_write_begin(&s->write, s->timeout);
  return st;
}

lode_status lode_commit (lode_store *s) {
  unsigned depth = s->write.depth;
  lode_status st;
  lode_assert(depth > 0);
  if (s->flat > 0) {
    s->flat--;
    return LODE_OK;
  }
  if (depth == 1 && (st = sweep_inline(s, NULL)) != LODE_OK) {
    lode_abort(s);
    return st;
  }
  st = kv_write_commit(&s->write);
  colls_settle(s, depth, st == LODE_OK);
  clock_settle(&s->clock, depth == 1, st == LODE_OK);
  return st;
}

void lode_abort (lode_store *s) {
  unsigned depth = s->write.depth;
  lode_assert(depth > 0);
  if (s->flat > 0) {
    s->flat--;
    return;
  }
  kv_write_abort(&s->write);
  colls_settle(s, depth, false);
  clock_settle(&s->clock, depth == 1, false);
}

unsigned lode_depth (const lode_store *s) { return s->write.depth; }

lode_status lode_snapshot (lode_store *s) {
  lode_status st = LODE_OK;
  if (s->snapshots > 0 || s->write.depth > 0)
    st = handle_view(s);
  else {
    handle_done(s);
    st = handle_catch_up(s);
    if (st == LODE_OK)
      st = handle_prepare(s);
    if (st == LODE_OK)
      st = kv_pin(&s->read);
  }
  if (st == LODE_OK)
    s->snapshots++;
  return st;
}

void lode_snapshot_end (lode_store *s) {
  lode_assert(s->snapshots > 0);
  if (--s->snapshots == 0 && s->write.depth == 0)
    kv_unpin(&s->read);
}

lode_status lode_lock (lode_store *s) {
  bool own = false;
  lode_status st = LODE_OK;
  if (s->readonly || s->snapshots > 0 || s->guards > 0 || s->asking > 0)
    return handle_write(s, &own); /* which refuses */
  handle_done(s);
  st = s->write.depth == 0 ? handle_lock(s) : handle_view(s);
  if (st == LODE_OK)
    s->guards++;
  return st;
}

lode_status lode_lock_begin (lode_store *s) {
  lode_status st;
  lode_assert(s->guards > 0);
  s->guards--;
  if (s->write.depth > 0) { /* joins the transaction that is open */
    s->flat++;
    return LODE_OK;
  }
  handle_done(s);
  s->serial++;
  st = kv_write_begin(&s->write, s->timeout);
  return st;
}

void lode_unlock (lode_store *s) {
  lode_assert(s->guards > 0);
  s->guards--;
  if (s->write.depth == 0)
    kv_unlock(&s->write);
}

/* }================================================================== */
