/*
** lunicode.c - Unicode normalisation, for the key serializers nfc and nfkc.
**
** The work is utf8proc's. That library is looked up when it is first asked
** for, not linked: few stores normalise their keys, so neither the build
** nor the rock may need it. The two functions named here have had these
** types in every version since 1.2.
*/
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "compat.h"
#include "lunicode.h"

/* Options of utf8proc, as its header numbers them. */
#define STABLE (1 << 1)
#define COMPAT (1 << 2)
#define COMPOSE (1 << 3)

typedef ptrdiff_t (*decompose_function) (const uint8_t *text, ptrdiff_t size,
                                         int32_t *room, ptrdiff_t room_size,
                                         int options);
typedef ptrdiff_t (*reencode_function) (int32_t *points, ptrdiff_t count,
                                        int options);

static decompose_function decompose; /* null: there is no library */
static reencode_function reencode;

static const char *const library_names[] = {
  "libutf8proc.so.3", "libutf8proc.so.2", "libutf8proc.so",
  "libutf8proc.3.dylib", "libutf8proc.dylib"
};

/* Finds the library, once for the process, which keeps it. */
static void load_library (void) {
  size_t n = sizeof library_names / sizeof library_names[0];
  void *library = NULL;
  for (size_t i = 0; i < n && library == NULL; i++)
    library = dlopen(library_names[i], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return;
  void *first = dlsym(library, "utf8proc_decompose");
  void *second = dlsym(library, "utf8proc_reencode");
  if (first == NULL || second == NULL) return;
  memcpy(&reencode, &second, sizeof second); /* as POSIX has it: ISO C */
  memcpy(&decompose, &first, sizeof first);  /* has no cast for this */
}

static bool is_ascii (const char *text, size_t size) {
  for (size_t i = 0; i < size; i++)
    if ((unsigned char)text[i] >= 0x80) return false;
  return true;
}

/*
** core.normalize(text, compatible): the text in Unicode's form NFC, or NFKC
** where `compatible` is true. Nil and "absent" without utf8proc; nil and
** "invalid UTF-8" for what is no text; nil and "too long" past 2^31 bytes.
*/
/* [-0, +1|2, m] */
int lunicode_normalize (lua_State *L) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  int options = STABLE | COMPOSE | (lua_toboolean(L, 2) ? COMPAT : 0);
  const char *problem = "absent";
  pthread_once(&once, load_library);
  if (decompose == NULL) goto fail;
  lua_settop(L, 1);
  if (is_ascii(text, size)) return 1;
  problem = "too long";
  if (size > INT32_MAX) goto fail;
  problem = "invalid UTF-8";
  ptrdiff_t count = decompose((const uint8_t *)text, (ptrdiff_t)size, NULL, 0,
                              options);
  if (count < 0) goto fail;
  /* The points become bytes in place, with a zero after them. */
  size_t room = ((size_t)count + 1) * sizeof(int32_t);
  int32_t *points = lua_newuserdatauv(L, room, 0);
  count = decompose((const uint8_t *)text, (ptrdiff_t)size, points, count,
                    options);
  if (count >= 0) count = reencode(points, count, options);
  if (count < 0) goto fail;
  lua_pushlstring(L, (const char *)points, (size_t)count);
  return 1;
fail:
  lua_pushnil(L);
  lua_pushstring(L, problem);
  return 2;
}
