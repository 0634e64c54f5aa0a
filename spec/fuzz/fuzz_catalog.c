/*
** fuzz_catalog.c - any bytes as a record of the catalogue. The checksum is
** put right first: it is no secret, and hides nothing.
*/
#include <stdlib.h>
#include <string.h>

#include "core/catalog.h"

static void touch (lode_slice s) {
  volatile unsigned char sum = 0;
  for (size_t i = 0; i < s.size; i++)
    sum = (unsigned char)(sum + s.data[i]);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  unsigned char *value = malloc(size + 4);
  lode_slice key = slice_of("c\0\0\0\1", 5), body, version;
  catalog_entry e;
  catalog_store store;
  catalog_eras eras;
  unsigned format;
  uint32_t next;
  if (value == NULL)
    return 0;
  if (size > 0)
    memcpy(value, data, size);
  (void)catalog_body(key, slice_of(value, size), &body);
  put_u32(value + size, catalog_crc(key, slice_of(value, size)));
  if (!catalog_body(key, slice_of(value, size + 4), &body) ||
      body.size != size)
    abort();
  if (catalog_read_entry(body, 1, &e) == LODE_OK) {
    touch(e.name);
    touch(e.made);
    touch(e.options.serializer);
    touch(e.options.key_serializer);
    touch(e.options.policy);
    if (e.kind != LODE_DICT && e.kind != LODE_SET)
      abort();
  }
  if (catalog_read_store(body, &store, &next, &version, &format) == LODE_OK)
    touch(version);
  if (catalog_read_eras(body, &eras) == LODE_OK &&
      eras.count > CATALOG_FLOORS)
    abort();
  free(value);
  return 0;
}
