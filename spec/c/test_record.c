/*
** test_record.c - envelopes and buckets: round trips, damage, a model.
*/
#include "test.h"

#include "core/record.h"

static const lode_buffer no_buffer = { NULL, 0, 0 };
static record_check seven, eight, trusting; /* made in main */

static lode_value value (lode_slice data, lode_codec codec) {
  lode_value v = { data, codec };
  return v;
}

static bool value_is (lode_value v, lode_value other) {
  return v.codec == other.codec && slice_equal(v.data, other.data);
}

/* {==================================================================
** Plain records: without parts
** =================================================================== */

static size_t plain_size (lode_value v) { return record_size(v, NULL); }

static void plain_write (unsigned char *out, const record_check *c,
                         lode_slice whole, lode_value v) {
  record_write(out, c, whole, v, NULL);
}

static lode_status plain_read (const record_check *c, lode_slice whole,
                               lode_slice bytes, lode_value *v) {
  record r;
  lode_status status = record_read(c, whole, bytes, &r);
  if (status == LODE_OK) *v = r.value;
  return status;
}

static lode_status find_plain (const record_check *c, lode_slice bucket,
                               lode_slice whole, lode_value *v) {
  record r;
  lode_status status = bucket_find(c, bucket, whole, &r);
  if (status == LODE_OK) *v = r.value;
  return status;
}

/* As bucket_change; a `whole` or value too long to be read stays unread. */
static lode_status change_plain (lode_buffer *out, lode_slice bucket,
                                 const record_check *c, lode_slice whole,
                                 const lode_value *v, int *change) {
  static unsigned char bytes[1 << 17];
  lode_slice record = { NULL, 0 };
  if (v != NULL) {
    record = slice_of(bytes, plain_size(*v));
    if (record.size <= sizeof bytes && whole.size <= LODE_KEY_MAX &&
        whole.size > 0)
      plain_write(bytes, c, whole, *v);
  }
  return bucket_change(out, bucket, c, whole, record, change);
}

/* }================================================================== */

/* {==================================================================
** Records
** =================================================================== */

static void drawn (void) {
  unsigned char out[32];
  record_check other = record_check_of(0x01020304, true);
  lode_value v = value(test_text("Lovelace"), LODE_BYTES);
  plain_write(out, &seven, test_text("\x07" "ada"), v);
  expect(test_is_hex(slice_of(out, plain_size(v)),
                     "01 6c812d64 4c6f76656c616365"));
  v = value(test_text("\x81\xa1n*"), LODE_MSGPACK);
  plain_write(out, &seven, test_text("\x07" "ada"), v);
  expect(test_is_hex(slice_of(out, plain_size(v)), "02 ad35fb97 81a16e2a"));
  v = value(slice_of(NULL, 0), LODE_NOTHING);
  plain_write(out, &other, test_text("\x03"), v);
  expect(test_is_hex(slice_of(out, plain_size(v)), "00 2794161c"));
}

static void round_trips (void) {
  static const size_t sizes[] = { 0, 1, 7, 8, 100, 4096, 100000 };
  static unsigned char data[100000], out[100000 + RECORD_OVERHEAD];
  size_t i;
  int codec;
  for (i = 0; i < sizeof data; i++) data[i] = (unsigned char)test_random();
  for (i = 0; i < LENGTH(sizes); i++) {
    for (codec = LODE_NOTHING; codec <= LODE_SERIALIZED; codec++) {
      lode_value v = value(slice_of(data, sizes[i]), (lode_codec)codec), got;
      lode_slice whole = slice_of(data, 20 + sizes[i] % 50);
      plain_write(out, &seven, whole, v);
      expect(plain_size(v) == sizes[i] + 5);
      expect(plain_read(&seven, whole, slice_of(out, plain_size(v)), &got)
             == LODE_OK && value_is(v, got));
      expect(plain_read(&trusting, whole, slice_of(out, plain_size(v)),
                         &got) == LODE_OK && value_is(v, got));
    }
  }
}

/* Each bit, each cut, another key, another collection: all found out. */
static void damage (void) {
  unsigned char out[64];
  lode_slice whole = test_text("\x07" "ada");
  lode_value v = value(test_text("Lovelace, 1815"), LODE_BYTES), got = v;
  lode_slice record = slice_of(out, plain_size(v));
  size_t i;
  plain_write(out, &seven, whole, v);
  for (i = 0; i < record.size * 8; i++) {
    out[i / 8] ^= (unsigned char)(1u << i % 8);
    expect(plain_read(&seven, whole, record, &got) == LODE_CORRUPT);
    out[i / 8] ^= (unsigned char)(1u << i % 8);
  }
  for (i = 0; i < record.size; i++) {
    lode_slice cut = test_exact_copy(slice_of(out, i));
    expect(plain_read(&seven, whole, cut, &got) == LODE_CORRUPT);
    if (i < RECORD_OVERHEAD)
      expect(plain_read(&trusting, whole, cut, &got) == LODE_CORRUPT);
    test_free_copy(cut);
  }
  expect(plain_read(&eight, whole, record, &got) == LODE_CORRUPT);
  expect(plain_read(&seven, test_text("\x07" "adb"), record, &got) ==
         LODE_CORRUPT);
  expect(plain_read(&seven, test_text("\x07" "ad"), record, &got) ==
         LODE_CORRUPT);
  expect(value_is(got, v)); /* as it was */
  expect(plain_read(&seven, whole, record, &got) == LODE_OK);
}

/* Parts of every combination come back, and no byte of them is unchecked. */
static void parts (void) {
  static const unsigned flags[] = { RECORD_FETCHED, RECORD_LIFE,
    RECORD_TIMES, RECORD_ASKS, RECORD_RANK, RECORD_HIDDEN };
  unsigned char out[RECORD_OVERHEAD + RECORD_PARTS_MAX + 8];
  lode_value v = value(test_text("value"), LODE_BYTES);
  lode_slice whole = test_text("\x07" "ada");
  for (unsigned set = 0; set < 64; set++) {
    record_parts x = { 0, 3, 2000, 1000, 4, 5, 6, 7, 8, 9, 10, false }, y;
    lode_slice bytes;
    bool bad;
    record r;
    for (unsigned i = 0; i < LENGTH(flags); i++)
      if (set >> i & 1) x.flags |= flags[i];
    bad = (x.flags & (RECORD_ASKS | RECORD_HIDDEN)) &&
          !(x.flags & RECORD_LIFE);
    bytes = slice_of(out, record_size(v, &x));
    record_write(out, &seven, whole, v, &x);
    expect(record_read(&seven, whole, bytes, &r) ==
           (bad ? LODE_CORRUPT : LODE_OK));
    if (bad) continue;
    expect(value_is(r.value, v) && r.flags == x.flags);
    record_read_parts(&r, &y);
    if (x.flags & RECORD_LIFE)
      expect(y.era == 3 && y.deadline == 2000 && y.call == 1000 &&
             record_deadline(&r) == 2000 && record_era(&r) == 3);
    if (x.flags & RECORD_TIMES)
      expect(y.ctime == 4 && y.mtime == 5 && y.atime == 6 && y.hits == 7);
    if (x.flags & RECORD_RANK) expect(y.rank == 8);
    if (x.flags & RECORD_FETCHED) expect(y.stale == 9 && y.cost == 10);
    for (size_t i = 0; i < bytes.size; i++) {
      out[i] ^= 0x10;
      expect(record_read(&seven, whole, bytes, &r) == LODE_CORRUPT);
      out[i] ^= 0x10;
    }
  }
}

#define PARTS (0xFF & ~RECORD_CODEC)

/* Flags that a record may have. */
static bool sound_flags (unsigned flags) {
  return (flags & RECORD_LIFE) ||
         !(flags & (RECORD_ASKS | RECORD_HIDDEN));
}

/* Bytes of the parts, as the drawing in record.h has them. */
static size_t drawn_size (unsigned flags) {
  return (flags & RECORD_LIFE ? 2 + 6 + 8 : 0) +
         (flags & RECORD_TIMES ? 8 + 8 + 8 + 4 : 0) +
         (flags & RECORD_RANK ? 8 : 0) + (flags & RECORD_FETCHED ? 4 + 4 : 0);
}

/* Random parts; those that the flags leave out are zero. */
static record_parts some_parts (unsigned flags) {
  record_parts p;
  memset(&p, 0, sizeof p);
  p.flags = flags;
  if (flags & RECORD_LIFE) {
    p.era = (uint16_t)test_random();
    p.deadline = test_below(4) ? test_random() >> 16 : RECORD_TIME_MAX;
    p.call = test_below(2) ? p.deadline : p.deadline / 2;
  }
  if (flags & RECORD_TIMES) {
    p.ctime = test_random();
    p.mtime = test_random();
    p.atime = test_random();
    p.hits = (uint32_t)test_random();
  }
  if (flags & RECORD_RANK)
    p.rank = test_random();
  if (flags & RECORD_FETCHED) {
    p.stale = (uint32_t)test_random();
    p.cost = (uint32_t)test_random();
  }
  return p;
}

static void parts_drawn (void) {
  unsigned char out[128];
  lode_value v = value(test_text("!"), LODE_BYTES);
  record_parts p = { .flags = RECORD_LIFE | RECORD_TIMES | RECORD_RANK |
                              RECORD_FETCHED | RECORD_ASKS,
                     .era = 0x0102, .deadline = 0x030405060708,
                     .call = 0x11, .ctime = 0x12, .mtime = 0x13,
                     .atime = 0x14, .hits = 0x15, .rank = 0x16,
                     .stale = 0x17, .cost = 0x18 };
  size_t size = record_size(v, &p);
  record_write(out, &seven, test_text("k"), v, &p);
  expect(size == RECORD_OVERHEAD + RECORD_PARTS_MAX + 1);
  expect(out[0] == 0x7D);
  expect(test_is_hex(slice_of(out + RECORD_OVERHEAD, size - RECORD_OVERHEAD),
                     "0102 030405060708 0000000000000011"
                     "0000000000000012 0000000000000013 0000000000000014"
                     "00000015 0000000000000016 00000017 00000018 21"));
}

/* Each bit of a record with parts, each cut of it. */
static void parts_damage (void) {
  unsigned char out[256];
  lode_slice whole = test_text("\x07" "ada");
  lode_value v = value(test_text("1815"), LODE_MSGPACK);
  for (unsigned flags = 0; flags < 256; flags += RECORD_CODEC + 1) {
    record_parts p = some_parts(flags);
    size_t size = record_size(v, &p);
    record got;
    if (!sound_flags(flags))
      continue;
    record_write(out, &seven, whole, v, &p);
    for (size_t i = 0; i < size * 8; i++) {
      out[i / 8] ^= (unsigned char)(1u << i % 8);
      expect(record_read(&seven, whole, slice_of(out, size), &got) ==
             LODE_CORRUPT);
      out[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    for (size_t i = 0; i < size; i++) {
      lode_slice cut = test_exact_copy(slice_of(out, i));
      bool parts = i >= RECORD_OVERHEAD + drawn_size(flags);
      expect(record_read(&seven, whole, cut, &got) == LODE_CORRUPT);
      expect((record_read(&trusting, whole, cut, &got) == LODE_OK) == parts);
      test_free_copy(cut);
    }
  }
}

/* Bytes of anybody's, unchecked: read within their bounds, or refused. */
static void parts_hostile (void) {
  for (unsigned i = 0; i < 100000; i++) {
    unsigned char bytes[96];
    size_t size = test_below(sizeof bytes + 1);
    unsigned flags;
    lode_slice copy;
    record_parts p;
    record got;
    for (size_t j = 0; j < size; j++)
      bytes[j] = (unsigned char)(test_below(3) ? test_random() : 0);
    bytes[0] = (unsigned char)i;
    flags = bytes[0] & PARTS;
    copy = test_exact_copy(slice_of(bytes, size));
    if (record_read(&trusting, test_text("k"), copy, &got) == LODE_OK) {
      expect(sound_flags(flags) && size >= RECORD_OVERHEAD +
                                           drawn_size(flags));
      expect(got.value.data.data + got.value.data.size == copy.data + size);
      record_read_parts(&got, &p);
      expect(p.call <= p.deadline && p.deadline <= RECORD_TIME_MAX);
    }
    test_free_copy(copy);
  }
}

/* Flags that mean nothing without a deadline, and a call that is late. */
static void parts_refused (void) {
  unsigned char out[RECORD_OVERHEAD + RECORD_PARTS_MAX] = { 0 };
  record got;
  for (unsigned head = 0; head < 256; head++) {
    out[0] = (unsigned char)head;
    expect(record_read(&trusting, test_text("k"), slice_of(out, sizeof out),
                       &got) == (sound_flags(head & PARTS) ? LODE_OK
                                                           : LODE_CORRUPT));
  }
  out[0] = RECORD_LIFE | LODE_BYTES;
  put_u64(out + RECORD_OVERHEAD, 1000);
  put_u64(out + RECORD_OVERHEAD + 8, 1000);
  expect(record_read(&trusting, test_text("k"), slice_of(out, sizeof out),
                     &got) == LODE_OK);
  put_u64(out + RECORD_OVERHEAD + 8, 1001);
  expect(record_read(&trusting, test_text("k"), slice_of(out, sizeof out),
                     &got) == LODE_CORRUPT);
}

/* A head alone, whose parts aren't there, is refused. */
static void heads_alone (void) {
  unsigned char out[RECORD_OVERHEAD] = { 0 };
  lode_value got;
  unsigned head;
  for (head = LODE_SERIALIZED + 1; head < 256; head++) {
    out[0] = (unsigned char)head;
    expect(plain_read(&trusting, test_text("k"), slice_of(out, sizeof out),
                       &got) == LODE_CORRUPT);
  }
}

/* }================================================================== */

/* {==================================================================
** Buckets
** =================================================================== */

/* Puts (or with a null `text` takes out) and gives how many were added. */
static int change (lode_buffer *bucket, const char *whole,
                   const char *text) {
  lode_buffer out = no_buffer;
  lode_value v = value(test_text(text ? text : ""), LODE_BYTES);
  int n = 99;
  expect(change_plain(&out, slice_of_buffer(bucket), &seven,
                       test_text(whole), text ? &v : NULL, &n) == LODE_OK);
  lode_buffer_free(bucket);
  *bucket = out;
  return n;
}

static bool holds (const lode_buffer *bucket, const char *whole,
                   const char *text) {
  lode_value got;
  lode_status status = find_plain(&seven, slice_of_buffer(bucket),
                                   test_text(whole), &got);
  if (text == NULL) return status == LODE_ABSENT;
  return status == LODE_OK && slice_equal(got.data, test_text(text));
}

static void bucket_steps (void) {
  lode_buffer b = no_buffer;
  expect(holds(&b, "k", NULL));
  expect(change(&b, "k", NULL) == 0 && b.size == 0);
  expect(change(&b, "k", "1") == 1);
  expect(test_is_hex(slice_of(b.data, 9), "00000001 00000006 6b"));
  expect(b.size == BUCKET_OVERHEAD + 1 + RECORD_OVERHEAD + 1);
  expect(change(&b, "z", "26") == 1 && change(&b, "a", "") == 1);
  expect(b.data[BUCKET_OVERHEAD] == 'a'); /* sorted */
  expect(holds(&b, "k", "1") && holds(&b, "a", "") && holds(&b, "z", "26"));
  expect(holds(&b, "b", NULL) && holds(&b, "zz", NULL));
  expect(change(&b, "k", "eleven") == 0 && holds(&b, "k", "eleven"));
  expect(holds(&b, "a", "") && holds(&b, "z", "26"));
  expect(change(&b, "b", NULL) == 0 && change(&b, "a", NULL) == -1);
  expect(holds(&b, "a", NULL) && holds(&b, "z", "26"));
  expect(change(&b, "z", NULL) == -1 && change(&b, "k", NULL) == -1);
  expect(b.size == 0);
  lode_buffer_free(&b);
}

/* Random changes against an array: what is where, in order, how many. */
static void bucket_model (void) {
  char model[26]; /* the text under each letter; 0: none */
  lode_buffer b = no_buffer;
  int i, c, count = 0;
  memset(model, 0, sizeof model);
  for (i = 0; i < 20000; i++) {
    char whole[2] = { (char)('a' + test_below(26)), '\0' };
    char text[2] = { (char)('A' + test_below(26)), '\0' };
    char *place = &model[whole[0] - 'a'];
    lode_slice rest;
    bucket_entry entry;
    if (test_below(2)) {
      expect(change(&b, whole, text) == (*place == 0));
      *place = text[0];
    }
    else {
      expect(change(&b, whole, NULL) == -(*place != 0));
      *place = 0;
    }
    rest = slice_of_buffer(&b);
    for (c = 0; c < 26; c++) {
      if (model[c] == 0) continue;
      expect(bucket_next(&rest, &entry) == LODE_OK);
      expect(entry.whole.size == 1 && entry.whole.data[0] == 'a' + c);
      expect(entry.record.data[RECORD_OVERHEAD] == (unsigned)model[c]);
      count++;
    }
    expect(bucket_next(&rest, &entry) == LODE_ABSENT);
  }
  expect(count > 100000);
  lode_buffer_free(&b);
}

/* Three entries, as they lie, for the tests of damage. */
static lode_buffer three (void) {
  lode_buffer b = no_buffer;
  change(&b, "key one", "first");
  change(&b, "key three", "third");
  change(&b, "key two", "second");
  return b;
}

/*
** One changed bit: found out, or in an entry behind the one asked for; a
** wrong value or a false absence never.
*/
static void bucket_damage (void) {
  lode_buffer b = three(), out = no_buffer;
  lode_slice one = test_text("key one"), two = test_text("key two");
  size_t first = BUCKET_OVERHEAD + one.size + RECORD_OVERHEAD + 5;
  size_t i;
  for (i = 0; i < b.size * 8; i++) {
    unsigned char bit = (unsigned char)(1u << i % 8);
    lode_value v = value(two, LODE_BYTES), got;
    lode_status status;
    lode_slice copy;
    int n;
    b.data[i / 8] ^= bit;
    copy = test_exact_copy(slice_of_buffer(&b));
    status = find_plain(&seven, copy, one, &got);
    expect(status == (i / 8 < first ? LODE_CORRUPT : LODE_OK));
    if (status == LODE_OK) expect(slice_equal(got.data, test_text("first")));
    expect(find_plain(&seven, copy, two, &got) == LODE_CORRUPT);
    expect(change_plain(&out, copy, &seven, one, &v, &n) == LODE_CORRUPT);
    expect(change_plain(&out, copy, &seven, two, NULL, &n) ==
           LODE_CORRUPT);
    find_plain(&trusting, copy, two, &got); /* must only stay in bounds */
    test_free_copy(copy);
    b.data[i / 8] ^= bit;
  }
  lode_buffer_free(&b);
  lode_buffer_free(&out);
}

/* Cut anywhere but between two entries: corrupt. */
static void bucket_cut (void) {
  lode_buffer b = three(), out = no_buffer;
  lode_slice last = test_text("key two");
  size_t i, absent = 0;
  for (i = 0; i < b.size; i++) {
    lode_slice copy = test_exact_copy(slice_of(b.data, i));
    lode_value got;
    lode_status status = find_plain(&seven, copy, last, &got);
    int n;
    expect(status == LODE_ABSENT || status == LODE_CORRUPT);
    absent += status == LODE_ABSENT;
    expect(change_plain(&out, copy, &seven, last, NULL, &n) ==
           (status == LODE_ABSENT ? LODE_OK : LODE_CORRUPT));
    test_free_copy(copy);
  }
  expect(absent == 3); /* before, and after each of the first two */
  lode_buffer_free(&b);
  lode_buffer_free(&out);
}

static void bucket_hostile (void) {
  int i;
  for (i = 0; i < 100000; i++) {
    unsigned char bytes[48];
    lode_buffer out = no_buffer;
    lode_slice copy, rest;
    bucket_entry entry;
    lode_value v = value(test_text("v"), LODE_BYTES), got;
    size_t size = test_below(sizeof bytes + 1), j;
    int n;
    for (j = 0; j < size; j++) /* small sizes are likely */
      bytes[j] = (unsigned char)(test_below(3) ? 0 : test_below(12));
    copy = rest = test_exact_copy(slice_of(bytes, size));
    while (bucket_next(&rest, &entry) == LODE_OK) {
      expect(entry.whole.data >= copy.data && entry.whole.size <= size);
      expect(entry.record.data + entry.record.size <= copy.data + size);
      expect(rest.size < size);
    }
    find_plain(&seven, copy, test_text("k"), &got);
    find_plain(&trusting, copy, test_text("\x02"), &got);
    change_plain(&out, copy, &seven, test_text("k"), &v, &n);
    change_plain(&out, copy, &trusting, test_text("\x02"), &v, &n);
    change_plain(&out, copy, &trusting, test_text("\x02"), NULL, &n);
    test_free_copy(copy);
    lode_buffer_free(&out);
  }
}

/* Sizes that no entry has, or that add up to more than there is. */
static void bucket_sizes (void) {
  static const char *const corrupt[] = {
    "00000000 00000005 0000000000", "00000001 00000004 6b 00000000",
    "00000001 00000005 6b 00000000", "00000007 00000005 6b 0000000000",
    "ffffffff 00000005 6b 0000000000", "00000001 ffffffff 6b 0000000000",
    "ffffffff ffffffff 6b 0000000000", "00000001 000000"
  };
  unsigned char bytes[32];
  bucket_entry entry;
  lode_slice rest;
  size_t i;
  for (i = 0; i < LENGTH(corrupt); i++) {
    size_t size = test_bytes_of_hex(corrupt[i], bytes);
    rest = slice_of(bytes, size);
    expect(bucket_next(&rest, &entry) == LODE_CORRUPT && rest.size == size);
  }
  rest = slice_of(bytes, test_bytes_of_hex("00000001 00000005 6b 0000000000",
                                           bytes));
  expect(bucket_next(&rest, &entry) == LODE_OK && rest.size == 0);
}

/* The same key twice, or the wrong order, is damage even unchecked. */
static void bucket_unsorted (void) {
  lode_buffer a = no_buffer, b = no_buffer, both = no_buffer;
  lode_value got;
  change(&a, "a", "1");
  change(&b, "b", "2");
  lode_buffer_add(&both, b.data, b.size);
  lode_buffer_add(&both, a.data, a.size);
  expect(find_plain(&trusting, slice_of_buffer(&both), test_text("c"),
                     &got) == LODE_CORRUPT);
  both.size = 0;
  lode_buffer_add(&both, a.data, a.size);
  lode_buffer_add(&both, a.data, a.size);
  expect(find_plain(&trusting, slice_of_buffer(&both), test_text("c"),
                     &got) == LODE_CORRUPT);
  lode_buffer_free(&a);
  lode_buffer_free(&b);
  lode_buffer_free(&both);
}

static void bucket_refusals (void) {
  lode_buffer out = no_buffer;
  lode_slice none = slice_of(NULL, 0), k = test_text("k");
  lode_value v = value(test_text("v"), LODE_BYTES);
  int n = 99;
  expect(change_plain(&out, none, &seven, none, &v, &n) == LODE_BAD_KEY);
  expect(change_plain(&out, none, &seven,
                       slice_of(k.data, LODE_KEY_MAX + 1), &v, &n) ==
         LODE_BAD_KEY); /* never read: refused by its size */
#if SIZE_MAX > UINT32_MAX
  v.data.size = (size_t)UINT32_MAX - RECORD_OVERHEAD + 1;
  expect(change_plain(&out, none, &seven, k, &v, &n) == LODE_BAD_VALUE);
  v.data.size = SIZE_MAX - RECORD_OVERHEAD;
  expect(change_plain(&out, none, &seven, k, &v, &n) == LODE_BAD_VALUE);
  v.data.size = 1;
#endif
  lode_test_fail_allocation(1);
  expect(change_plain(&out, none, &seven, k, &v, &n) == LODE_NO_MEMORY);
  expect(n == 99);
  lode_buffer_free(&out);
}

/* }================================================================== */

int main (void) {
  seven = record_check_of(7, true);
  eight = record_check_of(8, true);
  trusting = record_check_of(7, false);
  test_group("records as they are drawn", drawn);
  test_group("records read back", round_trips);
  test_group("a damaged record is found out", damage);
  test_group("parts of all kinds", parts);
  test_group("parts as they are drawn", parts_drawn);
  test_group("damaged parts are found out", parts_damage);
  test_group("random parts are read safely", parts_hostile);
  test_group("parts that can't be are refused", parts_refused);
  test_group("heads without their parts are refused", heads_alone);
  test_group("a bucket, step by step", bucket_steps);
  test_group("a bucket against a model", bucket_model);
  test_group("a damaged bucket is found out", bucket_damage);
  test_group("a cut bucket is found out", bucket_cut);
  test_group("random buckets are read safely", bucket_hostile);
  test_group("sizes of a bucket are checked", bucket_sizes);
  test_group("an unsorted bucket is found out", bucket_unsorted);
  test_group("sizes and want of memory", bucket_refusals);
  return test_end();
}
