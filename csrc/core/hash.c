/*
** hash.c - SipHash-2-4-128, CRC32C, and random bytes.
**
** SipHash because the bytes that it hashes may be chosen by somebody who
** wants them to collide: without the store's own random key he can't tell
** which do. CRC32C because processors have an instruction for it. Which
** way it goes is settled at the first call and kept in one pointer.
*/
#if defined(__APPLE__)
#define _DARWIN_C_SOURCE
#elif !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "hash.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <sys/random.h>
#endif

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32) && \
      __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CRC_ARM
#include <arm_acle.h>
#endif

/* {==================================================================
** SipHash, which reads and writes little-endian
** =================================================================== */

static uint64_t get_little (const unsigned char *p, size_t size) {
  uint64_t v = 0;
  while (size-- > 0) v = v << 8 | p[size];
  return v;
}

static void put_little (unsigned char *p, uint64_t v) {
  int i;
  for (i = 0; i < 8; i++, v >>= 8) p[i] = (unsigned char)v;
}

static inline uint64_t rotate (uint64_t v, int bits) {
  return v << bits | v >> (64 - bits);
}

static void sip_rounds (uint64_t v[4], int n) {
  while (n-- > 0) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
  }
}

static void sip_word (uint64_t v[4], uint64_t word) {
  v[3] ^= word;
  sip_rounds(v, 2);
  v[0] ^= word;
}

static uint64_t sip_end (uint64_t v[4]) {
  sip_rounds(v, 4);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void hash_sip (const unsigned char key[HASH_SIZE], lode_slice data,
               unsigned char out[HASH_SIZE]) {
  uint64_t k0 = get_little(key, 8), k1 = get_little(key + 8, 8);
  uint64_t v[4] = { /* "somepseudorandomlygeneratedbytes" */
    k0 ^ 0x736F6D6570736575u, k1 ^ 0x646F72616E646F6Du ^ 0xEE,
    k0 ^ 0x6C7967656E657261u, k1 ^ 0x7465646279746573u
  };
  const unsigned char *p = data.data;
  size_t left;
  for (left = data.size; left >= 8; left -= 8, p += 8)
    sip_word(v, get_little(p, 8));
  sip_word(v, (uint64_t)data.size << 56 | get_little(p, left));
  v[2] ^= 0xEE;
  put_little(out, sip_end(v));
  v[1] ^= 0xDD;
  put_little(out + 8, sip_end(v));
}

/* }================================================================== */

/* {==================================================================
** CRC32C
** =================================================================== */

typedef uint32_t (*crc_function) (uint32_t crc, lode_slice a, lode_slice b);

#define CRC_POLYNOMIAL 0x82F63B78u /* Castagnoli's, lowest bit first */

/* What byte b does to the state when i more bytes follow it. */
static uint32_t crc_effect[8][256];
static pthread_once_t crc_effect_once = PTHREAD_ONCE_INIT;

static void crc_fill (void) {
  unsigned b, i;
  for (b = 0; b < 256; b++) {
    uint32_t crc = b;
    for (i = 0; i < 8; i++)
      crc = crc >> 1 ^ (crc & 1 ? CRC_POLYNOMIAL : 0);
    crc_effect[0][b] = crc;
  }
  for (i = 1; i < 8; i++) {
    for (b = 0; b < 256; b++) {
      uint32_t crc = crc_effect[i - 1][b];
      crc_effect[i][b] = crc >> 8 ^ crc_effect[0][crc & 0xFF];
    }
  }
}

uint32_t hash_crc32c_table (uint32_t crc, const void *data, size_t size) {
  const unsigned char *p = data;
  pthread_once(&crc_effect_once, crc_fill);
  crc = ~crc;
  for (; size >= 8; size -= 8, p += 8) {
    crc = crc_effect[7][p[0] ^ (crc & 0xFF)] ^
          crc_effect[6][p[1] ^ (crc >> 8 & 0xFF)] ^
          crc_effect[5][p[2] ^ (crc >> 16 & 0xFF)] ^
          crc_effect[4][p[3] ^ crc >> 24] ^
          crc_effect[3][p[4]] ^ crc_effect[2][p[5]] ^
          crc_effect[1][p[6]] ^ crc_effect[0][p[7]];
  }
  for (; size > 0; size--, p++)
    crc = crc >> 8 ^ crc_effect[0][*p ^ (crc & 0xFF)];
  return ~crc;
}

static uint32_t crc_table (uint32_t crc, lode_slice a, lode_slice b) {
  crc = hash_crc32c_table(crc, a.data, a.size);
  return hash_crc32c_table(crc, b.data, b.size);
}

/*
** The processor's own: crc_hardware. Where it exists at all is known when
** this is compiled; whether this processor has it, crc_hardware_here says.
*/
#if defined(__x86_64__)

#define CRC_HARDWARE __attribute__((target("sse4.2")))
#define crc_step8(crc, v) _mm_crc32_u64((crc), (v))
#define crc_step4(crc, v) _mm_crc32_u32((uint32_t)(crc), (v))
#define crc_step2(crc, v) _mm_crc32_u16((uint32_t)(crc), (v))
#define crc_step1(crc, v) _mm_crc32_u8((uint32_t)(crc), (v))
#define crc_hardware_here() __builtin_cpu_supports("sse4.2")

#elif defined(CRC_ARM)

#define CRC_HARDWARE
#define crc_step8(crc, v) __crc32cd((uint32_t)(crc), (v))
#define crc_step4(crc, v) __crc32cw((uint32_t)(crc), (v))
#define crc_step2(crc, v) __crc32ch((uint32_t)(crc), (v))
#define crc_step1(crc, v) __crc32cb((uint32_t)(crc), (v))
#define crc_hardware_here() 1

#endif

#ifdef CRC_HARDWARE

static inline uint64_t load8 (const unsigned char *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

static inline uint32_t load4 (const unsigned char *p) {
  uint32_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

static inline uint16_t load2 (const unsigned char *p) {
  uint16_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

/*
** Takes `s` into the state, which stays in 64 bits (the upper ones zero):
** cutting it to 32 at each step would cost as much time as the step.
*/
CRC_HARDWARE
static inline uint64_t crc_state (uint64_t crc, lode_slice s) {
  const unsigned char *p = s.data;
  size_t size = s.size;
  for (; size >= 32; size -= 32, p += 32) {
    crc = crc_step8(crc, load8(p));
    crc = crc_step8(crc, load8(p + 8));
    crc = crc_step8(crc, load8(p + 16));
    crc = crc_step8(crc, load8(p + 24));
  }
  for (; size >= 8; size -= 8, p += 8) crc = crc_step8(crc, load8(p));
  if (size & 4) {
    crc = crc_step4(crc, load4(p));
    p += 4;
  }
  if (size & 2) {
    crc = crc_step2(crc, load2(p));
    p += 2;
  }
  if (size & 1) crc = crc_step1(crc, *p);
  return crc;
}

CRC_HARDWARE
static uint32_t crc_hardware (uint32_t crc, lode_slice a, lode_slice b) {
  crc = ~crc;
  return ~(uint32_t)crc_state(crc_state(crc, a), b);
}

static crc_function crc_best (void) {
  return crc_hardware_here() ? crc_hardware : crc_table;
}

#else

static crc_function crc_best (void) {
  return crc_table;
}

#endif

static uint32_t crc_first (uint32_t crc, lode_slice a, lode_slice b);

static _Atomic(crc_function) crc_chosen = crc_first;

/* Stands in until the first call, and chooses. Threads choose alike. */
static uint32_t crc_first (uint32_t crc, lode_slice a, lode_slice b) {
  crc_function best = crc_best();
  atomic_store_explicit(&crc_chosen, best, memory_order_relaxed);
  return best(crc, a, b);
}

uint32_t hash_crc32c_both (uint32_t crc, lode_slice a, lode_slice b) {
  crc_function f = atomic_load_explicit(&crc_chosen, memory_order_relaxed);
  return f(crc, a, b);
}

uint32_t hash_crc32c (uint32_t crc, const void *data, size_t size) {
  lode_slice all = { data, size }, none = { NULL, 0 };
  return hash_crc32c_both(crc, all, none);
}

/* }================================================================== */

/* {==================================================================
** Random bytes
** =================================================================== */

/* From the device: where the system call is missing or forbidden. */
static bool random_from_device (unsigned char *out, size_t size) {
  int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  while (size > 0) {
    ssize_t n = read(fd, out, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    out += n;
    size -= (size_t)n;
  }
  close(fd);
  return size == 0;
}

bool hash_random (void *out, size_t size) {
  unsigned char *p = out;
  while (size > 0) {
    size_t part = size < 256 ? size : 256; /* the most that it gives */
    if (getentropy(p, part) != 0) return random_from_device(p, size);
    p += part;
    size -= part;
  }
  return true;
}

/* }================================================================== */
