/*
** images.h - data files as bytes, and what may happen to them: for the
** tests of damaged files.
*/
#ifndef LODE_IMAGES_H
#define LODE_IMAGES_H

#include <fcntl.h>

#include "scratch.h"

#define PAGE 4096

typedef struct image { /* the bytes of a data file */
  unsigned char *bytes;
  size_t size;
} image;

static inline image image_read (const char *path) {
  image i = { NULL, 0 };
  struct stat st;
  FILE *f = fopen(path, "rb");
  if (f == NULL || fstat(fileno(f), &st) != 0) exit(2);
  i.size = (size_t)st.st_size;
  i.bytes = malloc(i.size);
  if (i.bytes == NULL || fread(i.bytes, 1, i.size, f) != i.size) exit(2);
  fclose(f);
  return i;
}

static inline void image_write (const image *i, const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || write(fd, i->bytes, i->size) != (ssize_t)i->size) exit(2);
  close(fd);
}

static inline image image_copy (const image *from) {
  image i = { malloc(from->size), from->size };
  if (i.bytes == NULL) exit(2);
  memcpy(i.bytes, from->bytes, i.size);
  return i;
}

static inline size_t get16 (const unsigned char *p) {
  uint16_t v;
  memcpy(&v, p, 2);
  return v;
}

static inline size_t get64 (const unsigned char *p) {
  uint64_t v;
  memcpy(&v, p, 8);
  return v;
}

static inline uint64_t wild_number (void) {
  static const uint64_t wild[] = {
    0, 1, 2, 3, 15, 16, 0x7F, 0xFF, 0x100, 0xFFF, 0x1000, 0x7FFF, 0x8000,
    0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, INT64_MAX,
    UINT64_MAX, (uint64_t)1 << 47, (uint64_t)1 << 63
  };
  return test_below(4) == 0 ? test_random() >> test_below(64)
                            : wild[test_below(LENGTH(wild))];
}

/* Writes a wild number of 2, 4 or 8 bytes. */
static inline void wild_field (unsigned char *at) {
  uint64_t v = wild_number();
  memcpy(at, &v, (size_t)2 << test_below(3));
}

enum { FLIPS, ZEROED, SWAPPED, RANDOM, OLD, CUT, META, HEAD, NODE, COPIED,
       SHIFTED, TREE, KINDS };

static const char *const kinds[] = {
  "flipped bits", "a zeroed page", "two pages swapped", "a random page",
  "an old page", "cut short", "wild meta fields", "a wild head",
  "a wild node", "a page under another's number", "a page moved by bytes",
  "a wild tree"
};

/* Where a node of a page of the image is; 0: it has none. */
static inline size_t some_node (const image *i, size_t page) {
  const unsigned char *p = i->bytes + page * PAGE;
  size_t nodes = get16(p + 12) >= 16 ? (get16(p + 12) - 16) / 2 : 0, at;
  if (nodes == 0 || nodes > 1000)
    return 0;
  at = get16(p + 16 + 2 * test_below(nodes));
  return at > PAGE - 64 ? 0 : page * PAGE + at;
}

static inline void damage (image *i, const image *old, int kind) {
  unsigned char room[PAGE], *p, *q;
  size_t pages = i->size / PAGE, a, b, node;
  if (pages < 2) /* cut already */
    return;
  a = test_below(pages);
  b = test_below(pages);
  node = some_node(i, a);
  p = i->bytes + a * PAGE;
  q = i->bytes + b * PAGE;
  switch (kind) {
    case FLIPS:
      for (size_t n = 1 + test_below(8); n > 0; n--)
        i->bytes[test_below(i->size)] ^= (unsigned char)(1 << test_below(8));
      break;
    case ZEROED: memset(p, 0, PAGE); break;
    case SWAPPED:
      memcpy(room, p, PAGE);
      memcpy(p, q, PAGE);
      memcpy(q, room, PAGE);
      break;
    case RANDOM:
      for (size_t n = 0; n < PAGE; n++) p[n] = (unsigned char)test_random();
      if (test_below(2)) memcpy(p, &a, 8);
      break;
    case OLD:
      if (a < old->size / PAGE) memcpy(p, old->bytes + a * PAGE, PAGE);
      break;
    case CUT: i->size = test_below(3) ? a * PAGE : test_below(i->size); break;
    case META:
      p = i->bytes + test_below(2) * PAGE;
      wild_field(p + (test_below(2) ? 16 + 8 * test_below(17)
                                    : test_below(150)));
      break;
    case HEAD: wild_field(p + 2 * test_below(20)); break;
    case NODE: if (node) wild_field(i->bytes + node + 2 * test_below(8));
      break;
    case COPIED: memcpy(p, q, PAGE); memcpy(p, &a, 8); break;
    case SHIFTED: node = test_below(64); memmove(p + node, p, PAGE - node);
      break;
    case TREE: /* 48 bytes that look like one's record */
      for (node = i->size - 64; node > 0; node--)
        if (memcmp(i->bytes + node, "#1", 2) == 0 && test_below(2)) {
          wild_field(i->bytes + node + 2 + test_below(6) * 8);
          break;
        }
      break;
  }
}

#endif
