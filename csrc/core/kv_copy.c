/*
** kv_copy.c - LMDB's compacting copy. See kv.h.
**
** LMDB copies to a descriptor, in a call that tells nothing on its way. So
** a thread has it write to one end of a pair of sockets, and this one reads
** at the other. Whoever is done shuts the pair down: closing wouldn't do
** where a child made by fork in the middle of it has both ends as well.
*/
#define KV_ROOM
#include "kv.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define CHUNK ((size_t)1 << 20)
#define TRIES 5

typedef struct copier { /* of one try */
  kv_env *env;
  pthread_t thread;
  int in, out;           /* the two sockets */
  int rc;                /* what LMDB gave */
  bool begun;            /* some bytes have come */
} copier;

static void *copy_run (void *data) {
  copier *c = data;
  gate_enter(&c->env->gate);
  c->rc = mdb_env_copyfd2(c->env->mdb, c->in, MDB_CP_COMPACT);
  gate_leave(&c->env->gate);
  shutdown(c->in, SHUT_WR);
  return NULL;
}

static void copy_end (copier *c) {
  close(c->out);
  close(c->in);
}

static int copy_begin (copier *c) {
  int fds[2], rc;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
    return errno;
  c->out = files_above_stdio(fds[0]);
  c->in = files_above_stdio(fds[1]);
  rc = c->out < 0 || c->in < 0 ? errno
                               : gate_thread(&c->thread, copy_run, c);
  if (rc != 0)
    copy_end(c);
  return rc;
}

/* Hands on what comes, until the end or until `put` is no longer OK. */
static lode_status copy_pump (copier *c, unsigned char *chunk,
                              kv_put_bytes put, void *data) {
  lode_status st = LODE_OK;
  while (st == LODE_OK) {
    ssize_t n = read(c->out, chunk, CHUNK);
    if (n == 0 || (n < 0 && errno != EINTR))
      break;
    if (n < 0)
      continue;
    c->begun = true;
    st = put(data, slice_of(chunk, (size_t)n));
  }
  shutdown(c->out, SHUT_RDWR); /* the thread's next write fails */
  pthread_join(c->thread, NULL);
  copy_end(c);
  return st;
}

lode_status kv_compact (kv_env *env, kv_put_bytes put, void *data,
                        lode_error *error) {
  unsigned char *chunk = lode_malloc(CHUNK);
  lode_status st = LODE_OK;
  copier c = { .env = env };
  int rc = 0;
  if (chunk == NULL)
    return kv_failure(error, ENOMEM, env->name);
  for (int i = 0; i < TRIES && st == LODE_OK && !c.begun; i++) {
    rc = copy_begin(&c);
    if (rc != 0)
      break;
    st = copy_pump(&c, chunk, put, data);
    rc = c.rc;
    if (rc == MDB_MAP_RESIZED) /* another process has grown the map */
      st = kv_map_change(env, 0, error);
    else if (rc != MDB_READERS_FULL ||
             mdb_reader_check(env->mdb, NULL) != 0)
      break;
  }
  lode_free(chunk);
  if (st != LODE_OK)
    return st;
  return rc == 0 ? LODE_OK : kv_failure(error, rc, env->name);
}
