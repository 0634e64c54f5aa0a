/*
** check.h - what the core checks, and the one door to memory.
**
** `lode_assert` states what must hold; it has no effect on what the code
** does. All memory of the core and of the binding's buffers goes through
** `lode_realloc`, so that the test build can count it and let the n-th
** request fail.
*/
#ifndef LODE_CHECK_H
#define LODE_CHECK_H

#include <assert.h>
#include <stddef.h>

#define lode_assert(x) assert(x)

/* Marks a path as rarely taken. */
#define lode_likely(x) __builtin_expect(!!(x), 1)
#define lode_unlikely(x) __builtin_expect(!!(x), 0)

/* Asks the processor for the line of memory at `p`, which needn't exist. */
#define lode_prefetch(p) __builtin_prefetch(p)

/*
** As realloc; size 0 frees and gives NULL. NULL when there is no memory:
** then the block is as it was.
*/
void *lode_realloc (void *block, size_t size);
#define lode_malloc(size) lode_realloc(NULL, (size))
#define lode_free(block) ((void)lode_realloc((block), 0))

/* Counts handles for lode_test_live_handles; nothing outside of it. */
#ifdef LODE_TEST
void check_handle (int change);
#else
#define check_handle(change) ((void)0)
#endif

#endif
