/*
** check.c - the one door to memory, and what the test build counts.
**
** The counters are atomic because states of several threads share them. A
** fault hits whichever thread makes the n-th request.
*/
#include "check.h"

#include <stdlib.h>

#ifdef LODE_TEST

#include <stdatomic.h>

#include "../lode.h"

static atomic_long live_blocks;
static atomic_long live_handles;
static atomic_ulong requests_left; /* until one fails; 0: none will */

void lode_test_fail_allocation (unsigned long n) {
  atomic_store(&requests_left, n);
}

long lode_test_live_blocks (void) {
  return atomic_load(&live_blocks);
}

long lode_test_live_handles (void) {
  return atomic_load(&live_handles);
}

void check_handle (int change) {
  atomic_fetch_add(&live_handles, change);
}

static void count_block (int change) {
  atomic_fetch_add(&live_blocks, change);
}

/* Whether this request is the one that fails. */
static bool must_fail (void) {
  unsigned long left = atomic_load(&requests_left);
  while (left != 0 &&
         !atomic_compare_exchange_weak(&requests_left, &left, left - 1)) {
    /* another thread counted: `left` is what it left */
  }
  return left == 1;
}

#else

#define count_block(change) ((void)0)
#define must_fail() 0

#endif

void *lode_realloc (void *block, size_t size) {
  if (size == 0) {
    if (block != NULL) count_block(-1);
    free(block);
    return NULL;
  }
  if (must_fail()) return NULL;
  if (block != NULL) return realloc(block, size);
  block = malloc(size);
  if (block != NULL) count_block(1);
  return block;
}
