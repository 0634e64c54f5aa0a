/*
** key.h - keys as bytes that sort as the keys do. Format version 1.
**
**   whole key := false  -> 02
**                true   -> 03
**                number -> 05 double [distance]
**                string -> 07 its bytes
**                tuple  -> 09 element*
**   element   := 02 | 03 | 05 double (00 | distance) | 07 escaped 00
**   escaped   := the bytes, each 00 as 01 01 and each 01 as 01 02
**
** `double` is the greatest one that is not above the number: 8 bytes, IEEE
** 754 big-endian, all bits flipped when it is negative and the sign bit
** alone when not, so that they sort by value. A 64-bit integer that no
** double equals (beyond 2^53) adds its distance to that double, 1 to 1023,
** in two bytes: 80 | high, low. -0.0 and NaN don't occur, and no number
** has two encodings.
**
** No element's bytes begin another element's, so a tuple begins with the
** elements of another just when its bytes begin with the other's bytes:
** prefixes of tuples and of strings are compared as bytes.
**
** In the tree a key has at most LODE_KEY_ROOM (480) bytes. One whose
** encoding is 480 bytes or more stands as its first 464 bytes and a hash
** of 16; so a key of just 480 bytes in the tree is a long one, and its
** record is a bucket (record.h). The order of all keys is that of the
** bytes in the tree, then that of the whole keys: exact by the first 464
** bytes, and by hash among long keys that share them.
*/
#ifndef LODE_KEY_H
#define LODE_KEY_H

#include "bytes.h"
#include "hash.h"

#define KEY_STRING LODE_KEY_TEXT /* the first byte of a string */
#define KEY_PREFIX ((size_t)(LODE_KEY_ROOM - HASH_SIZE)) /* 464 */

static inline bool key_stored_is_long (lode_slice stored) {
  return stored.size == LODE_KEY_ROOM;
}

/*
** Fills `key->stored` from `key->whole` (at least one byte): itself when
** it is short, else prefix and hash in `key->room`. `hash` is taken when
** not empty (padded with zeros, cut at 16), else SipHash under `secret`.
*/
void key_store (lode_key *key, lode_slice hash,
                const unsigned char secret[HASH_SIZE]);

/*
** The documented total order of keys. Inline: set algebra and loads do
** little else, and of short keys both forms are the same bytes.
*/
static inline int key_compare (lode_slice stored_a, lode_slice whole_a,
                               lode_slice stored_b, lode_slice whole_b) {
  int c = slice_compare(stored_a, stored_b);
  if (c != 0) return c;
  if (stored_a.data == whole_a.data && stored_b.data == whole_b.data)
    return 0;
  return slice_compare(whole_a, whole_b);
}

/*
** The first bytes past every key that begins with `prefix` (which is cut
** to KEY_PREFIX first): written to `out`, which has KEY_PREFIX bytes; its
** size, or 0 when there is none. Of a longer prefix the tree can't tell:
** the keys between still need slice_begins(whole, prefix).
*/
size_t key_successor (lode_slice prefix, unsigned char *out);

/*
** The type of an encoded key, for the check of a dict's `key` option. A
** tuple's elements are not looked at. CORRUPT.
*/
lode_status key_type (lode_slice whole, lode_key_type *type);

#endif
