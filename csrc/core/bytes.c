/*
** bytes.c - the growable buffer.
**
** `size <= room` always, and `data` is null just when `room` is 0. In the
** test build a buffer grows little at a time and moves whenever it grows,
** so that a pointer kept across a growth is found out.
*/
#include "bytes.h"

#include "check.h"

#ifdef LODE_TEST

static size_t room_for (size_t size) {
  return size + size / 16;
}

/* As lode_realloc to more bytes, always to another place. */
static void *move (const lode_buffer *b, size_t room) {
  unsigned char *data = lode_malloc(room);
  if (data == NULL || b->data == NULL) return data;
  memcpy(data, b->data, b->size);
  memset(b->data, 0xDB, b->room);
  lode_free(b->data);
  return data;
}

#else

#define ROOM_LEAST 64

static size_t room_for (size_t size) {
  return size < ROOM_LEAST ? ROOM_LEAST : size + size / 2;
}

static void *move (const lode_buffer *b, size_t room) {
  return lode_realloc(b->data, room);
}

#endif

/* Makes room for `size` bytes in all. */
static lode_status grow (lode_buffer *b, size_t size) {
  size_t room = room_for(size);
  unsigned char *data = move(b, room);
  if (data == NULL) return LODE_NO_MEMORY;
  b->data = data;
  b->room = room;
  return LODE_OK;
}

/*
** Makes room for `extra` bytes past the end; `data` may move. NO_MEMORY
** leaves the buffer as it was.
*/
lode_status lode_buffer_reserve (lode_buffer *b, size_t extra) {
  lode_assert(b->size <= b->room);
  if (extra <= b->room - b->size) return LODE_OK;
  if (extra > SIZE_MAX / 2 - b->size) return LODE_NO_MEMORY;
  return grow(b, b->size + extra);
}

/*
** Adds `size` bytes, which must not be the buffer's own. NO_MEMORY leaves
** the buffer as it was.
*/
lode_status lode_buffer_add (lode_buffer *b, const void *data, size_t size) {
  lode_status status = lode_buffer_reserve(b, size);
  if (status != LODE_OK) return status;
  if (size != 0) memcpy(b->data + b->size, data, size);
  b->size += size;
  return LODE_OK;
}

/* Gives the memory back; the buffer is empty and can be used again. */
void lode_buffer_free (lode_buffer *b) {
  lode_free(b->data);
  *b = (lode_buffer){ NULL, 0, 0 };
}

lode_status buffer_set (lode_buffer *b, const void *data, size_t size) {
  size_t old = b->size;
  lode_status status;
  b->size = 0;
  status = lode_buffer_reserve(b, size);
  b->size = old;
  if (status != LODE_OK) return status;
  if (size != 0) memcpy(b->data, data, size);
  b->size = size;
  return LODE_OK;
}
