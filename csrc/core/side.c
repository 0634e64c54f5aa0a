/*
** side.c - see side.h.
*/
#include "side.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__APPLE__) || defined(__FreeBSD__)
#include <sys/sysctl.h>
#include <sys/time.h>
#endif

#include "bytes.h"
#include "hash.h"

#define FACTS 24           /* where what the crc is over begins */
#define SIDE_USERS ((off_t)1 << 42)
#define BALLAST_AT ((off_t)4096)
#define BALLAST ((off_t)128 << 10)
#define TRIES 5            /* to read it while another writes it */

static const char magic[8] = { 'l', 'o', 'd', 'e', 's', 'i', 'd', 'e' };

typedef struct facts { /* as they lie in the file */
  uint32_t tag, state;
  unsigned char id[16], boot[16];
  uint64_t mark;
} facts;

_Static_assert(sizeof(facts) == 48, "no holes");
_Static_assert(FACTS + offsetof(facts, state) == SIDE_STATE, "writer.c");

#ifdef LODE_TEST
static unsigned test_boot, test_tag;

void lode_test_boot (unsigned n) { test_boot = n; }
void lode_test_tag (unsigned n) { test_tag = n; }
#endif

/* {==================================================================
** This system
** =================================================================== */

/* Another one after each boot; all zeros where it can't be told. */
static void boot_id (unsigned char id[16]) {
  memset(id, 0, 16);
#if defined(__linux__)
  char text[37] = "";
  size_t n = 0;
  int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (read(fd, text, sizeof text - 1) < 0)
      text[0] = '\0';
    close(fd);
  }
  for (const char *p = text; *p != '\0' && n < 32; p++) {
    static const char digits[] = "0123456789abcdef";
    const char *digit = strchr(digits, *p);
    if (digit != NULL) {
      id[n / 2] = (unsigned char)(id[n / 2] << 4 | (digit - digits));
      n++;
    }
  }
#elif defined(__APPLE__) || defined(__FreeBSD__)
  struct timeval booted;
  size_t size = sizeof booted;
  int name[2] = { CTL_KERN, KERN_BOOTTIME };
  if (sysctl(name, 2, &booted, &size, NULL, 0) == 0)
    memcpy(id, &booted.tv_sec, sizeof booted.tv_sec);
#endif
#ifdef LODE_TEST
  id[0] = (unsigned char)(id[0] + test_boot);
#endif
}

/* Of the C library, its mutexes, and the machine. */
static uint32_t own_tag (void) {
#if defined(__GLIBC__)
  unsigned libc = 1;
#elif defined(__linux__)
  unsigned libc = 2;
#else
  unsigned libc = 3;
#endif
  const uint16_t one = 1;
  unsigned little = *(const unsigned char *)&one;
#ifdef LODE_TEST
  libc += test_tag;
#endif
  return 1u | libc << 8 | (unsigned)sizeof(pthread_mutex_t) << 16 |
         (unsigned)(sizeof(void *) << 1 | little) << 24;
}

/* }================================================================== */

/* {==================================================================
** The file
** =================================================================== */

static uint32_t crc_of (const facts *f) {
  return hash_crc32c(0, (const unsigned char *)f, sizeof *f);
}

static bool facts_write (int fd, const facts *f) {
  unsigned char bytes[sizeof *f + 4];
  uint32_t crc = crc_of(f);
  memcpy(bytes, f, sizeof *f);
  memcpy(bytes + sizeof *f, &crc, 4);
  return pwrite(fd, bytes, sizeof bytes, FACTS) == (ssize_t)sizeof bytes;
}

typedef enum form { NEW, SOUND, BROKEN } form;

static form read_once (int fd, facts *f) {
  unsigned char bytes[SIDE_SIZE] = { 0 };
  uint32_t crc;
  ssize_t got = pread(fd, bytes, sizeof bytes, 0);
  size_t zeros = 0;
  while (zeros < SIDE_SIZE && bytes[zeros] == 0)
    zeros++;
  memcpy(f, bytes + FACTS, sizeof *f);
  memcpy(&crc, bytes + FACTS + sizeof *f, 4);
  if (got <= 0 || zeros == SIDE_SIZE)
    return NEW;
  if (memcmp(bytes, magic, sizeof magic) == 0 && crc == crc_of(f))
    return SOUND;
  return BROKEN;
}

/* Reads it, a few times if another may be writing it at the moment. */
static form facts_read (int fd, facts *f) {
  const struct timespec nap = { 0, 1000000 };
  form how = read_once(fd, f);
  for (int i = 0; how == BROKEN && i < TRIES; i++) {
    nanosleep(&nap, NULL);
    how = read_once(fd, f);
  }
  if (how != SOUND)
    memset(f, 0, sizeof *f);
  return how;
}

static bool sync_file (int fd) {
#ifdef __linux__
  return fdatasync(fd) == 0 || errno == EINVAL;
#else
  return fsync(fd) == 0;
#endif
}

/* Locks or unlocks the byte of the users, at once. */
static bool users_lock (int fd, short type) {
#ifdef F_OFD_SETLK
  struct flock lock = { .l_type = type, .l_whence = SEEK_SET,
                        .l_start = SIDE_USERS, .l_len = 1 };
  return fcntl(fd, F_OFD_SETLK, &lock) == 0;
#else
  (void)fd;
  return type != F_WRLCK; /* never alone */
#endif
}

/* Whether nobody else uses it; others are then kept out until `share`. */
static bool is_alone (int fd) {
  return users_lock(fd, F_WRLCK);
}

/* Uses it beside others, as soon as nobody is just beginning to. */
static bool share (int fd) {
  const struct timespec nap = { 0, 1000000 };
  for (int i = 0; i < 1000; i++) {
    if (users_lock(fd, F_RDLCK))
      return true;
    if (errno != EAGAIN && errno != EACCES && errno != EINTR)
      return true; /* a file system without such locks */
    nanosleep(&nap, NULL);
  }
  return false;
}

/* }================================================================== */

/* {==================================================================
** Beginning and ending
** =================================================================== */

static side_doubt doubt_of (form how, const facts *f) {
  unsigned char boot[16];
  if (how == BROKEN)
    return SIDE_DAMAGED;
  boot_id(boot);
  return f->state & SIDE_UNSYNCED && memcmp(boot, f->boot, 16) != 0
         ? SIDE_REBOOTED : SIDE_TRUSTED;
}

side_doubt side_look (int fd) {
  facts f;
  form how = facts_read(fd, &f);
  return doubt_of(how, &f);
}

bool side_is_new (int fd) {
  facts f;
  return read_once(fd, &f) == NEW;
}

/* The one that is alone makes the file what it should be. */
static bool begin_alone (int fd, form how, facts *f) {
  uint64_t mark = f->mark;
  bool ok = true;
  if (how != SOUND)
    ok = pwrite(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic;
  if (how != SOUND || !(f->state & SIDE_OPEN)) /* as it was left */
    ok = ok && pwrite(fd, &mark, sizeof mark, SIDE_MARK) ==
               (ssize_t)sizeof mark;
  if (how == BROKEN) /* until it was checked; no boot has this id */
    f->state |= SIDE_UNSYNCED;
  f->tag = own_tag();
  f->state |= SIDE_OPEN;
  return ok && facts_write(fd, f);
}

lode_status side_begin (int fd, side_doubt *doubt) {
  struct stat st;
  facts f;
  form how;
  bool alone = is_alone(fd), ok;
  if (!alone && !share(fd))
    return LODE_IO;
  if (fstat(fd, &st) != 0 ||
      (st.st_size < SIDE_SIZE && ftruncate(fd, SIDE_SIZE) != 0))
    return LODE_IO;
  how = facts_read(fd, &f);
  *doubt = doubt_of(how, &f);
  if (!alone)
    return how == SOUND && f.tag != own_tag() ? LODE_INCOMPATIBLE : LODE_OK;
  ok = begin_alone(fd, how, &f);
  return share(fd) && ok ? LODE_OK : LODE_IO;
}

/* Clears SIDE_UNSYNCED; an old one only unless it was just `synced`. */
static bool clear_unsynced (int fd, bool synced) {
  unsigned char boot[16];
  facts f;
  boot_id(boot);
  if (facts_read(fd, &f) != SOUND ||
      (!synced && memcmp(boot, f.boot, 16) == 0))
    return true;
  f.state &= ~SIDE_UNSYNCED;
  return facts_write(fd, &f) && sync_file(fd);
}

bool side_trust (int fd) {
  bool ok;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0)
    return true; /* another one writes: it has checked the store itself */
  ok = clear_unsynced(fd, false);
  flock(fd, LOCK_UN);
  return ok;
}

bool side_belongs (int fd, const unsigned char id[16]) {
  static const unsigned char none[16];
  facts f;
  if (facts_read(fd, &f) != SOUND || memcmp(f.id, id, 16) == 0)
    return true;
  if (memcmp(f.id, none, 16) != 0)
    return false;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) { /* else another time */
    if (facts_read(fd, &f) == SOUND) {
      memcpy(f.id, id, 16);
      (void)facts_write(fd, &f);
    }
    flock(fd, LOCK_UN);
  }
  return true;
}

bool side_unsynced (int fd) {
  facts f;
  (void)facts_read(fd, &f);
  f.state |= SIDE_UNSYNCED;
  boot_id(f.boot);
  return facts_write(fd, &f) && sync_file(fd);
}

bool side_synced (int fd) {
  return clear_unsynced(fd, true);
}

void side_ballast (int fd, bool keep) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    return;
  if (!keep && st.st_size > SIDE_SIZE)
    (void)!ftruncate(fd, SIDE_SIZE);
#ifdef __linux__
  if (keep && st.st_size < BALLAST_AT + BALLAST)
    (void)fallocate(fd, 0, BALLAST_AT, BALLAST);
#endif
}

void side_end (int fd) {
  uint64_t mark;
  facts f;
  if (!is_alone(fd) || facts_read(fd, &f) != SOUND ||
      pread(fd, &mark, sizeof mark, SIDE_MARK) != (ssize_t)sizeof mark)
    return;
  f.mark = mark;
  f.state &= ~SIDE_OPEN;
  (void)facts_write(fd, &f);
}

/* }================================================================== */
