/*
** scratch.h - stores in a temporary directory, for the C tests; and short
** forms of the calls that they make most.
*/
#ifndef LODE_SCRATCH_H
#define LODE_SCRATCH_H

#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

static char scratch_dir[64];

/* The path of a store in the temporary directory. */
static inline const char *scratch_path (const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", scratch_dir, name);
  return path;
}

static inline void scratch_begin (void) {
  struct stat st;
  bool shm = stat("/dev/shm", &st) == 0 && access("/dev/shm", W_OK) == 0;
  snprintf(scratch_dir, sizeof scratch_dir, "%s/lode-test-XXXXXX",
           shm ? "/dev/shm" : "/tmp");
  if (mkdtemp(scratch_dir) == NULL) exit(2);
}

static inline void scratch_end (void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", scratch_dir);
  if (system(command) != 0) exit(2);
}

static inline lode_store *scratch_open_at (const char *path,
                                           const lode_options *options) {
  lode_options defaults;
  lode_store *s = NULL;
  lode_error e;
  lode_options_init(&defaults);
  if (options == NULL)
    options = &defaults;
  if (lode_open(path, options, &s, &e) != LODE_OK) {
    printf("%s\n", e.text);
    exit(2);
  }
  return s;
}

static inline lode_store *scratch_open (const char *name,
                                        const lode_options *options) {
  return scratch_open_at(scratch_path(name), options);
}

static inline void scratch_close (lode_store *s) {
  lode_error e;
  expect(lode_close(s, &e) == LODE_OK);
}

static inline lode_coll *scratch_coll (lode_store *s, const char *name,
                                       lode_kind kind) {
  lode_coll_options none = { .raw = false };
  lode_coll *c = NULL;
  lode_status st = lode_coll_open(s, test_text(name), kind, &none, &c);
  if (st != LODE_OK)
    printf("%s: %s\n", name, lode_store_error(s)->text);
  return st == LODE_OK ? c : NULL;
}

/* A key of an integer; `bytes` holds it. */
static inline lode_status key_of_integer (lode_coll *c, int64_t i,
                                          lode_buffer *bytes,
                                          lode_key *key) {
  lode_slice none = { NULL, 0 };
  lode_status st;
  bytes->size = 0;
  st = lode_key_integer(bytes, i);
  if (st != LODE_OK) return st;
  return lode_key_of(c, slice_of(bytes->data, bytes->size), none, key);
}

static inline lode_status put_integer (lode_coll *c, int64_t i,
                                       lode_slice data) {
  lode_buffer bytes = { NULL, 0, 0 };
  lode_value value = { data, LODE_BYTES };
  lode_key key;
  lode_status st = key_of_integer(c, i, &bytes, &key);
  if (st == LODE_OK)
    st = lode_put(c, &key, value, LODE_PUT, LODE_TTL_OWN);
  lode_buffer_free(&bytes);
  return st;
}

/* What `call` gives for the key of an integer. */
static inline lode_status with_integer (lode_coll *c, int64_t i,
    lode_status (*call) (lode_coll *c, const lode_key *key)) {
  lode_buffer bytes = { NULL, 0, 0 };
  lode_key key;
  lode_status st = key_of_integer(c, i, &bytes, &key);
  if (st == LODE_OK)
    st = call(c, &key);
  lode_buffer_free(&bytes);
  return st;
}

static inline lode_status has_integer (lode_coll *c, int64_t i) {
  return with_integer(c, i, lode_has);
}

static inline lode_status delete_integer (lode_coll *c, int64_t i) {
  return with_integer(c, i, lode_delete);
}

static inline uint64_t len_of (lode_coll *c) {
  uint64_t n = UINT64_MAX;
  lode_len(c, &n);
  return n;
}

#endif
