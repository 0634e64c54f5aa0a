/*
** kept.c - see kept.h.
*/
#include "kept.h"

#include <stdio.h>

const char *kept_kind (lode_kind kind) {
  return kind == LODE_DICT ? "dict" : "set";
}

static const char *type_name (lode_type type) {
  static const char *const names[] = { "any", "string", "integer", "number",
                                       "boolean", "table", "tuple" };
  return names[type];
}

static lode_status differs (lode_store *s, lode_slice name,
                            const char *option, lode_slice kept,
                            lode_slice given) {
  return fail(&s->error, LODE_INCOMPATIBLE, "%.*s was made with %s = "
              "%.*s%s, not %.*s; open it with that, or without",
              (int)name.size, (const char *)name.data, option,
              (int)kept.size, (const char *)kept.data,
              kept.size == 0 ? "none" : "", (int)given.size,
              (const char *)given.data);
}

static lode_status same_type (lode_store *s, lode_slice name,
                              const char *option, lode_type kept,
                              lode_type given) {
  const char *a = type_name(kept), *b = type_name(given);
  if (given == LODE_ANY || given == kept)
    return LODE_OK;
  return differs(s, name, option, slice_of(a, strlen(a)),
                 slice_of(b, strlen(b)));
}

static lode_status same_text (lode_store *s, lode_slice name,
                              const char *option, lode_slice kept,
                              lode_slice given) {
  if (given.size == 0 || slice_equal(kept, given))
    return LODE_OK;
  return differs(s, name, option, kept, given);
}

/* Numbers as they are kept; `unit` divides what is shown. */
static lode_status same_number (lode_store *s, lode_slice name,
                                const char *option, uint64_t kept,
                                uint64_t given, double unit) {
  char a[32], b[32];
  if (given == 0 || given == kept)
    return LODE_OK;
  snprintf(a, sizeof a, "%.15g", (double)kept / unit);
  snprintf(b, sizeof b, "%.15g", (double)given / unit);
  return differs(s, name, option, slice_of(a, kept == 0 ? 0 : strlen(a)),
                 slice_of(b, strlen(b)));
}

static lode_slice evict_name (lode_evict evict) {
  static const char *const names[] = { "", "sieve", "lru", "lfu", "fifo",
                                       "ttl", "a function" };
  return slice_of(names[evict], strlen(names[evict]));
}

/* Whether what is given of lifetimes and caps agrees with what is kept. */
static lode_status check_life (lode_store *s, const catalog_entry *e,
                               const lode_coll_options *o) {
  const lode_coll_options *kept = &e->options;
  lode_status st = LODE_OK;
  if (o->rearm)
    return LODE_OK;
  st = same_number(s, e->name, "ttl", kept->ttl, o->ttl, 1000);
  if (st == LODE_OK)
    st = same_text(s, e->name, "expire", kept->policy, o->policy);
  if (st == LODE_OK)
    st = same_number(s, e->name, "max_entries", kept->max_entries,
                     o->max_entries, 1);
  if (st == LODE_OK)
    st = same_number(s, e->name, "max_bytes", kept->max_bytes, o->max_bytes,
                     1);
  if (st == LODE_OK && o->evict != LODE_EVICT_NONE)
    st = same_text(s, e->name, "evict", evict_name(kept->evict),
                   evict_name(o->evict));
  if (st == LODE_OK && o->times && !kept->times)
    st = differs(s, e->name, "times", slice_of("false", 5),
                 slice_of("true", 4));
  if (st == LODE_INCOMPATIBLE) {
    size_t size = strlen(s->error.text);
    snprintf(s->error.text + size, sizeof s->error.text - size,
             "; `rearm = true` changes it, for every entry");
  }
  return st;
}

lode_status kept_check (lode_store *s, const catalog_entry *e,
                        lode_kind kind, const lode_coll_options *o) {
  lode_status st;
  if (e->kind != kind)
    return fail(&s->error, LODE_INCOMPATIBLE, "%.*s is a %s, not a %s: open "
                "it as one, or take another name", (int)e->name.size,
                (const char *)e->name.data, kept_kind(e->kind),
                kept_kind(kind));
  st = same_type(s, e->name, "key", e->options.key, o->key);
  if (st == LODE_OK)
    st = same_type(s, e->name, "value", e->options.value, o->value);
  if (st == LODE_OK)
    st = same_text(s, e->name, "serializer", e->options.serializer,
                   o->serializer);
  if (st == LODE_OK)
    st = same_text(s, e->name, "key_serializer", e->options.key_serializer,
                   o->key_serializer);
  if (st == LODE_OK && e->options.custom_hash != o->custom_hash)
    st = fail(&s->error, LODE_INCOMPATIBLE, e->options.custom_hash
              ? "%.*s was made with a hash of its own; give it as `hash`"
              : "%.*s was made without `hash`; leave it out",
              (int)e->name.size, (const char *)e->name.data);
  return st == LODE_OK ? check_life(s, e, o) : st;
}

void kept_default (lode_coll_options *o) {
  if (o->max_entries == 0 && o->max_bytes == 0)
    o->evict = LODE_EVICT_NONE;
  else if (o->evict == LODE_EVICT_NONE)
    o->evict = LODE_EVICT_SIEVE;
}

void kept_replace (lode_coll_options *kept, const lode_coll_options *o) {
  kept->ttl = o->ttl;
  kept->policy = o->policy;
  kept->policy_reads = o->policy_reads;
  kept->on_expire = o->on_expire;
  kept->times = o->times;
  kept->max_entries = o->max_entries;
  kept->max_bytes = o->max_bytes;
  kept->evict = o->evict;
  kept_default(kept);
}
