/*
** kv_side.c - what the side file (side.h) says of an environment, when it
** is opened and when it is closed. See kv.h.
*/
#define KV_ROOM
#include "kv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

void kv_set_id (kv_env *env, const unsigned char id[16]) {
  memcpy(env->id, id, sizeof env->id);
}

lode_status kv_side_open (kv_env *env, const files *f, const lode_options *o,
                          lode_error *error) {
  lode_status st = LODE_OK;
  int fd;
  if (env->readonly) {
    fd = open(f->side, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      env->writer.doubt = side_look(fd);
      close(fd);
    }
    return LODE_OK;
  }
  writer_destroy(&env->writer);
  if (!writer_init(&env->writer, f->side, o->mode)) {
    if (env->writer.stranger)
      st = fail(error, LODE_INCOMPATIBLE, "%s is open in a process with "
                "another C library, and the two can't share its lock file; "
                "close it there first", f->base);
    else
      st = kv_failure(error, errno, f->side);
    writer_init(&env->writer, NULL, 0);
    return st;
  }
  kv_space_ballast(env, true);
  mdb_reader_check(env->mdb, NULL);
  return LODE_OK;
}

lode_status kv_side_doubt (kv_env *env, const files *f,
                           const lode_options *o, const kv_hooks *hooks,
                           lode_error *error) {
  side_doubt why = env->writer.doubt;
  lode_error first;
  lode_status st;
  if (hooks->verify == NULL ||
      (why == SIDE_TRUSTED && o->check != LODE_CHECK_FIRST))
    return LODE_OK;
  st = kv_with_txn(env, hooks->verify, error);
  if (st == LODE_CORRUPT && why == SIDE_REBOOTED) {
    first = *error;
    return fail(error, st, "the system stopped before the last writes to "
                "this store (durability \"os\") were synced, and damaged it: "
                "%.300s", first.text);
  }
  if (st == LODE_OK && why != SIDE_TRUSTED && env->writer.fd >= 0 &&
      !side_trust(env->writer.fd))
    st = kv_failure(error, errno, f->side);
  return st;
}

void kv_side_settle (kv_env *env) {
  bool ended = false;
  int pid;
  if (env->writer.fd < 0 || env->dead ||
      writer_acquire(&env->writer, 0, &pid, &ended) != LODE_OK)
    return;
  if (!ended && writer_is_unsynced(&env->writer) &&
      mdb_env_sync(env->mdb, 1) == 0)
    (void)side_synced(env->writer.fd);
  side_end(env->writer.fd);
  writer_release(&env->writer);
}
