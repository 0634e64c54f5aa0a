/*
** status.c - the names of statuses.
*/
#include "../lode.h"

static const char *const names[] = {
  [LODE_OK] = "OK",
  [LODE_ABSENT] = "ABSENT",
  [LODE_EXISTS] = "EXISTS",
  [LODE_BAD_ARGUMENT] = "BAD_ARGUMENT",
  [LODE_BAD_KEY] = "BAD_KEY",
  [LODE_BAD_VALUE] = "BAD_VALUE",
  [LODE_CLOSED] = "CLOSED",
  [LODE_READONLY] = "READONLY",
  [LODE_NOT_FOUND] = "NOT_FOUND",
  [LODE_NOT_A_STORE] = "NOT_A_STORE",
  [LODE_INCOMPATIBLE] = "INCOMPATIBLE",
  [LODE_UNSAFE_FS] = "UNSAFE_FS",
  [LODE_FULL] = "FULL",
  [LODE_DISK_FULL] = "DISK_FULL",
  [LODE_READERS_FULL] = "READERS_FULL",
  [LODE_BUSY] = "BUSY",
  [LODE_REENTRY] = "REENTRY",
  [LODE_CORRUPT] = "CORRUPT",
  [LODE_IO] = "IO",
  [LODE_NO_MEMORY] = "NO_MEMORY",
  [LODE_CALLBACK] = "CALLBACK",
};

#define NAMES (sizeof names / sizeof *names)

_Static_assert(NAMES == LODE_CALLBACK + 1, "a status has no name");

/* The name of a status; "UNKNOWN" for a number that is none. */
const char *lode_status_name (lode_status status) {
  return (size_t)status < NAMES ? names[status] : "UNKNOWN";
}
