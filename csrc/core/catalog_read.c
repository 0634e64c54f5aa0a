/*
** catalog_read.c - what the records of the catalogue say. See catalog.h.
*/
#include "catalog.h"

#include <string.h>

#define LIFE_FIXED (8 + 8 + 8 + 1 + 1)

uint32_t catalog_crc (lode_slice key, lode_slice body) {
  return hash_crc32c(hash_crc32c(0, key.data, key.size), body.data,
                     body.size);
}

bool catalog_body (lode_slice key, lode_slice value, lode_slice *body) {
  if (value.size < 4)
    return false;
  *body = slice_of(value.data, value.size - 4);
  return catalog_crc(key, *body) == get_u32(value.data + body->size);
}

static bool take (lode_slice *s, void *out, size_t size) {
  if (s->size < size)
    return false;
  memcpy(out, s->data, size);
  *s = slice_of(s->data + size, s->size - size);
  return true;
}

static bool take_text (lode_slice *s, lode_slice *text) {
  unsigned char p[2];
  size_t size;
  if (!take(s, p, sizeof p))
    return false;
  size = get_u16(p);
  if (s->size < size || size > LODE_NAME_MAX)
    return false;
  *text = slice_of(s->data, size);
  *s = slice_of(s->data + size, s->size - size);
  return true;
}

lode_status catalog_read_store (lode_slice body, catalog_store *store,
                                uint32_t *next, lode_slice *version,
                                unsigned *format) {
  unsigned char p[8];
  if (!take(&body, p, 2))
    return LODE_CORRUPT;
  *format = get_u16(p);
  if (*format != LODE_FORMAT)
    return LODE_INCOMPATIBLE;
  if (!take(&body, store->secret, HASH_SIZE) ||
      !take(&body, store->id, sizeof store->id) || !take(&body, p, 8))
    return LODE_CORRUPT;
  store->created = get_u64(p);
  if (!take(&body, p, 4))
    return LODE_CORRUPT;
  *next = get_u32(p);
  *version = body;
  return LODE_OK;
}

/* False: the bytes are none, or a newer lode's. */
static bool take_life (lode_slice *body, lode_coll_options *o) {
  unsigned char p[LIFE_FIXED];
  if (!take(body, p, sizeof p) || !take_text(body, &o->policy))
    return false;
  o->ttl = get_u64(p);
  o->max_entries = get_u64(p + 8);
  o->max_bytes = get_u64(p + 16);
  o->evict = (lode_evict)p[24];
  o->policy_reads = (p[25] & CATALOG_READS) != 0;
  o->on_expire = (p[25] & CATALOG_ON_EXPIRE) != 0;
  o->times = (p[25] & CATALOG_TIMES) != 0;
  return p[24] <= LODE_EVICT_RANK && p[25] < 8;
}

lode_status catalog_read_entry (lode_slice body, uint32_t number,
                                catalog_entry *entry) {
  unsigned char head[4];
  memset(entry, 0, sizeof *entry);
  if (!take(&body, head, sizeof head) || !take_text(&body, &entry->name) ||
      !take_text(&body, &entry->made) ||
      !take_text(&body, &entry->options.serializer) ||
      !take_text(&body, &entry->options.key_serializer))
    return LODE_CORRUPT;
  entry->number = number;
  entry->kind = (lode_kind)head[0];
  entry->options.key = (lode_type)head[1];
  entry->options.value = (lode_type)head[2];
  entry->options.custom_hash = (head[3] & CATALOG_CUSTOM_HASH) != 0;
  if ((head[0] != LODE_DICT && head[0] != LODE_SET) ||
      head[1] > LODE_TUPLE || head[2] > LODE_TUPLE ||
      (head[3] & ~(CATALOG_CUSTOM_HASH | CATALOG_LIFE)) != 0 ||
      ((head[3] & CATALOG_LIFE) && !take_life(&body, &entry->options)))
    return LODE_INCOMPATIBLE;
  return LODE_OK;
}

lode_status catalog_read_eras (lode_slice body, catalog_eras *eras) {
  unsigned char p[10];
  memset(eras, 0, sizeof *eras);
  if (!take(&body, p, 2))
    return LODE_CORRUPT;
  eras->era = get_u16(p);
  while (eras->count < CATALOG_FLOORS && take(&body, p, sizeof p)) {
    eras->floors[eras->count].era = get_u16(p);
    eras->floors[eras->count++].time = get_u64(p + 2);
  }
  return body.size == 0 ? LODE_OK : LODE_CORRUPT;
}
