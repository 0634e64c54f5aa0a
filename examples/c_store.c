/*
** A store from C, without any Lua: a dict, a set, a transaction that is
** rolled back, and a walk in order. What Lua programs write is there, too.
**
**   make install
**   cc -std=c11 examples/c_store.c $(pkg-config --cflags --libs lode)
*/
#include <lode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lode_store *store;
static lode_buffer encoded; /* a key's bytes, while it is in use */

/* Ends the program with the store's own words where a call has failed. */
static lode_status check (lode_status status) {
  if (status >= LODE_BAD_ARGUMENT) { /* what comes before is no failure */
    fprintf(stderr, "%s\n", lode_store_error(store)->text);
    exit(1);
  }
  return status;
}

static lode_slice text (const char *s) {
  lode_slice slice = { (const unsigned char *)s, strlen(s) };
  return slice;
}

static lode_coll *open_coll (const char *name, lode_kind kind) {
  lode_coll_options options = { .ttl = 0 }; /* all zero: none given */
  lode_coll *coll;
  check(lode_coll_open(store, text(name), kind, &options, &coll));
  return coll;
}

static lode_key key_of (lode_coll *coll, const char *s) {
  lode_key key;
  encoded.size = 0;
  check(lode_key_of_string(coll, text(s), &encoded, &key));
  return key;
}

/* d[key] = value; of a set, the member: value is null. */
static void put (lode_coll *coll, const char *s, const char *value) {
  lode_key key = key_of(coll, s);
  lode_value v = { { NULL, 0 }, LODE_NOTHING };
  if (value != NULL) v = (lode_value){ text(value), LODE_BYTES };
  check(lode_put(coll, &key, v, LODE_PUT, LODE_TTL_OWN));
}

static void print_value (lode_coll *coll, const char *s) {
  lode_key key = key_of(coll, s);
  lode_value v;
  if (check(lode_get(coll, &key, &v)) == LODE_ABSENT) printf("%s: none\n", s);
  else printf("%s: %.*s\n", s, (int)v.data.size, (const char *)v.data.data);
  lode_done(coll); /* the bytes were the map's own until here */
}

static void print_all (lode_coll *coll) {
  lode_range all = { .limit = UINT64_MAX };
  lode_walk *walk;
  lode_slice key, name;
  lode_value v;
  check(lode_walk_open(coll, &all, false, &walk));
  while (check(lode_walk_next(walk, &key, &v)) == LODE_OK) {
    if (lode_key_as_string(key, &name))
      printf(" %.*s", (int)name.size, (const char *)name.data);
  }
  printf("\n");
  lode_walk_close(walk);
}

int main (int argc, char **argv) {
  lode_options options;
  lode_error error;
  lode_coll *towns, *ports;
  lode_options_init(&options);
  if (lode_open(argc > 1 ? argv[1] : "towns", &options, &store, &error) !=
      LODE_OK) {
    fprintf(stderr, "%s\n", error.text);
    return 1;
  }
  towns = open_coll("towns", LODE_DICT);
  ports = open_coll("ports", LODE_SET);

  check(lode_begin(store)); /* one commit for all that follows */
  put(towns, "oslo", "Norway");
  put(towns, "bergen", "Norway");
  put(towns, "aarhus", "Denmark");
  put(ports, "bergen", NULL);
  check(lode_commit(store));

  check(lode_begin(store));
  put(towns, "bergen", "Atlantis");
  print_value(towns, "bergen");
  lode_abort(store); /* and nothing of it has happened */
  print_value(towns, "bergen");
  print_value(towns, "atlantis");

  printf("towns:");
  print_all(towns); /* sorted, as in every walk */
  printf("ports:");
  print_all(ports);

  lode_buffer_free(&encoded);
  lode_coll_close(towns);
  lode_coll_close(ports);
  if (lode_close(store, &error) != LODE_OK) {
    fprintf(stderr, "%s\n", error.text);
    return 1;
  }
  return 0;
}
