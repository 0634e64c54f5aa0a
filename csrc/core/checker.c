/*
** checker.c - see checker.h.
*/
#include "checker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct checker {
  lode_store *store;     /* its own handle */
  pid_t process;         /* a child made by fork has no such thread */
  pthread_t thread;
  atomic_bool stop, ended;
  bool told;
  lode_check_report report;
  lode_error outcome;    /* CORRUPT: the first problem */
};

static bool go_on (void *data, uint64_t done, uint64_t total) {
  checker *k = data;
  (void)done;
  (void)total;
  return !atomic_load(&k->stop);
}

static void note_problem (void *data, const char *text) {
  checker *k = data;
  if (k->outcome.status == LODE_OK)
    fail(&k->outcome, LODE_CORRUPT, "%s is damaged: %.300s",
         lode_store_path(k->store), text);
}

static void *run (void *data) {
  checker *k = data;
  const lode_check_options o = { .progress = go_on, .problem = note_problem,
                                 .data = k };
  lode_status st = lode_check(k->store, &o, &k->report);
  if (st != LODE_OK)
    k->outcome = *lode_store_error(k->store);
  atomic_store(&k->ended, true);
  return NULL;
}

static void checker_free (checker *k) {
  lode_error ignored;
  (void)lode_close(k->store, &ignored);
  lode_free(k);
}

lode_status checker_start (lode_store *s, const lode_options *options,
                           lode_error *error) {
  lode_options own = *options;
  checker *k = lode_malloc(sizeof *k);
  lode_status st;
  int rc;
  if (k == NULL)
    return fail(error, LODE_NO_MEMORY, "%s: no memory", s->files.base);
  memset(k, 0, sizeof *k);
  own.check = LODE_CHECK_NONE;
  own.maintenance = LODE_OFF;
  own.clock = NULL;
  own.create = false;
  st = lode_open(s->files.root, &own, &k->store, error);
  if (st != LODE_OK) {
    lode_free(k);
    return st;
  }
  k->process = getpid();
  rc = gate_thread(&k->thread, run, k);
  if (rc != 0) {
    checker_free(k);
    return fail(error, LODE_IO, "%s: no thread to check it: %s",
                s->files.base, strerror(rc));
  }
  s->checker = k;
  return LODE_OK;
}

void checker_stop (lode_store *s) {
  checker *k = s->checker;
  if (k == NULL)
    return;
  s->checker = NULL;
  if (k->process != getpid())
    return; /* the parent's thread may have been in the middle of it */
  atomic_store(&k->stop, true);
  pthread_join(k->thread, NULL);
  checker_free(k);
}

bool lode_check_ended (lode_store *s, lode_check_report *report,
                       lode_error *outcome) {
  checker *k = s->checker;
  if (k == NULL || k->told || k->process != getpid() ||
      !atomic_load(&k->ended))
    return false;
  k->told = true;
  *report = k->report;
  *outcome = k->outcome;
  return true;
}
