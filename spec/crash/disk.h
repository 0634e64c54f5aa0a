/*
** disk.h - what is left of files when the power goes: a log of calls
** (record.h) is replayed up to some point, and images are made of what the
** disk may hold then.
**
** Sure to be there is what was synced: of a file its content, by fsync or by
** writing through O_DSYNC; of a name, by fsync of its directory. All else
** since, the call under way included, is there or not: of content each
** sector by itself, so that writes come out of order, torn and in part; the
** growth of a file or not; names in order, as a journal keeps them, or
** each by itself. A sector is never torn, and later writes of it are not
** overtaken by earlier ones, unless they are lost.
*/
#ifndef LODE_DISK_H
#define LODE_DISK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record.h"
#include "scratch.h"


#define SECTOR 512
#define DISK_NODES 256
#define DISK_NAMES 32
#define DISK_NAME_MAX 100
#define DISK_FILE_MOST ((size_t)4 << 20)

typedef struct disk_record {
  record_head head;
  const unsigned char *bytes;
} disk_record;

typedef struct disk_content {
  unsigned char *bytes;   /* zeros past `size`, up to `room` */
  size_t size, room;
} disk_content;

typedef struct disk_name {
  char text[DISK_NAME_MAX];
  uint32_t node;
} disk_name;

typedef struct disk_names {
  disk_name all[DISK_NAMES];
  unsigned count;
} disk_names;

typedef struct disk_list { /* of records, by their place in the log */
  uint32_t *at;
  unsigned count, room;
} disk_list;

typedef struct disk {
  unsigned char *log;
  disk_record *records;
  uint32_t count;
  uint32_t point;               /* records before it are done */
  disk_content sure[DISK_NODES];
  disk_list pending[DISK_NODES]; /* of content */
  disk_names names;             /* the sure ones */
  disk_list renaming;           /* pending changes of names */
  uint32_t root;                /* the node of the name "", once seen */
} disk;

typedef struct disk_image {
  disk_names names;
  disk_content content[DISK_NODES];
} disk_image;

/* {==================================================================
** Parts
** =================================================================== */

static inline void *disk_memory (void *block, size_t size) {
  void *p = realloc(block, size);
  if (p == NULL) {
    perror("crash_power");
    exit(2);
  }
  return p;
}

static inline void list_add (disk_list *l, uint32_t record) {
  if (l->count == l->room) {
    l->room = l->room * 2 + 16;
    l->at = disk_memory(l->at, l->room * sizeof *l->at);
  }
  l->at[l->count++] = record;
}

static inline void content_room (disk_content *c, size_t room) {
  if (room <= c->room)
    return;
  if (room > DISK_FILE_MOST) {
    fprintf(stderr, "crash_power: a file of %zu bytes\n", room);
    exit(2);
  }
  room *= 2;
  c->bytes = disk_memory(c->bytes, room);
  memset(c->bytes + c->room, 0, room - c->room);
  c->room = room;
}

static inline void content_resize (disk_content *c, size_t size) {
  content_room(c, size);
  if (size < c->size)
    memset(c->bytes + size, 0, c->size - size);
  c->size = size;
}

static inline void content_write (disk_content *c, size_t offset,
                                  const unsigned char *bytes, size_t size) {
  content_room(c, offset + size);
  memcpy(c->bytes + offset, bytes, size);
  if (offset + size > c->size)
    c->size = offset + size;
}

static inline void content_copy (disk_content *to, const disk_content *from) {
  content_room(to, from->size);
  if (from->size > 0)
    memcpy(to->bytes, from->bytes, from->size);
  if (to->size > from->size)
    memset(to->bytes + from->size, 0, to->size - from->size);
  to->size = from->size;
}

static inline disk_name *name_find (disk_names *names, const char *text) {
  for (unsigned i = 0; i < names->count; i++)
    if (strcmp(names->all[i].text, text) == 0)
      return &names->all[i];
  return NULL;
}

static inline void name_remove (disk_names *names, const char *text) {
  disk_name *n = name_find(names, text);
  if (n != NULL)
    *n = names->all[--names->count];
}

static inline void name_set (disk_names *names, const char *text,
                             uint32_t node) {
  disk_name *n = name_find(names, text);
  if (n == NULL) {
    if (names->count == DISK_NAMES) {
      fprintf(stderr, "crash_power: too many names\n");
      exit(2);
    }
    n = &names->all[names->count++];
    snprintf(n->text, sizeof n->text, "%s", text);
  }
  n->node = node;
}

/* The directory of a name, "" for the one that is watched. */
static inline void name_parent (const char *text, char out[DISK_NAME_MAX]) {
  const char *slash = strrchr(text, '/');
  snprintf(out, DISK_NAME_MAX, "%.*s",
           slash != NULL ? (int)(slash - text) : 0, text);
}

/* }================================================================== */

/* {==================================================================
** The log
** =================================================================== */

static inline void record_name (const disk_record *r, size_t from,
                                size_t size, char out[DISK_NAME_MAX]) {
  if (size >= DISK_NAME_MAX) {
    fprintf(stderr, "crash_power: a name is too long\n");
    exit(2);
  }
  memcpy(out, r->bytes + from, size);
  out[size] = '\0';
}

static inline bool is_of_names (const disk_record *r) {
  return r->head.kind <= RECORD_RENAME;
}

static inline bool is_of_content (const disk_record *r) {
  return r->head.kind >= RECORD_WRITE && r->head.kind <= RECORD_SIZE;
}

static inline unsigned char *file_read (const char *path, size_t *size) {
  struct stat st;
  unsigned char *bytes;
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &st) != 0)
    return NULL;
  *size = (size_t)st.st_size;
  bytes = disk_memory(NULL, *size + 1);
  if (read(fd, bytes, *size) != (ssize_t)*size)
    exit(2);
  close(fd);
  return bytes;
}

/* Reads the log at `path`; false: there is none, or it is cut. */
static inline bool disk_load (disk *d, const char *path) {
  size_t size = 0, at = 0;
  memset(d, 0, sizeof *d);
  d->log = file_read(path, &size);
  if (d->log == NULL)
    return false;
  while (at + sizeof(record_head) <= size) {
    disk_record r;
    memcpy(&r.head, d->log + at, sizeof r.head);
    at += sizeof r.head;
    r.bytes = d->log + at;
    at += r.head.size;
    if (at > size || r.head.node >= DISK_NODES)
      return false;
    if (d->count % 256 == 0)
      d->records = disk_memory(d->records,
                               (d->count + 256) * sizeof *d->records);
    d->records[d->count++] = r;
  }
  return at == size;
}

static inline void disk_free (disk *d) {
  for (int i = 0; i < DISK_NODES; i++) {
    free(d->sure[i].bytes);
    free(d->pending[i].at);
  }
  free(d->renaming.at);
  free(d->records);
  free(d->log);
  memset(d, 0, sizeof *d);
}

/* }================================================================== */

/* {==================================================================
** Replaying
** =================================================================== */

/* Does to names what a record says. */
static inline void names_apply (disk_names *names, const disk_record *r) {
  char a[DISK_NAME_MAX], b[DISK_NAME_MAX];
  if (r->head.kind == RECORD_RENAME) {
    record_name(r, 0, r->head.offset, a);
    record_name(r, r->head.offset, r->head.size - r->head.offset, b);
    if (name_find(names, a) == NULL)
      return;
    name_remove(names, a);
    name_set(names, b, r->head.node);
    return;
  }
  record_name(r, 0, r->head.size, a);
  if (r->head.kind == RECORD_UNLINK)
    name_remove(names, a);
  else
    name_set(names, a, r->head.node);
}

/* Whether a record is of a name in the directory `node`. */
static inline bool is_in_dir (disk *d, const disk_record *r, uint32_t node) {
  char text[DISK_NAME_MAX], parent[DISK_NAME_MAX];
  size_t from = r->head.kind == RECORD_RENAME ? r->head.offset : 0;
  record_name(r, from, r->head.size - from, text);
  name_parent(text, parent);
  if (parent[0] == '\0')
    return node == d->root;
  for (uint32_t i = 0; i < d->point; i++) { /* whichever has that name */
    const disk_record *made = &d->records[i];
    if (made->head.kind == RECORD_MKDIR && made->head.node == node) {
      record_name(made, 0, made->head.size, text);
      if (strcmp(text, parent) == 0)
        return true;
    }
  }
  return false;
}

static inline void content_apply (disk_content *c, const disk_record *r) {
  if (r->head.kind == RECORD_SIZE)
    content_resize(c, r->head.offset);
  else
    content_write(c, r->head.offset, r->bytes, r->head.size);
}

static inline void disk_sync (disk *d, uint32_t node) {
  disk_list *p = &d->pending[node];
  unsigned kept = 0;
  for (unsigned i = 0; i < p->count; i++)
    content_apply(&d->sure[node], &d->records[p->at[i]]);
  p->count = 0;
  for (unsigned i = 0; i < d->renaming.count; i++) {
    uint32_t at = d->renaming.at[i];
    if (is_in_dir(d, &d->records[at], node))
      names_apply(&d->names, &d->records[at]);
    else
      d->renaming.at[kept++] = at;
  }
  d->renaming.count = kept;
}

/*
** Does the next record. One that is durable by itself stays pending as well,
** so that what was pending before it can't come out on top of it.
*/
static inline void disk_step (disk *d) {
  const disk_record *r = &d->records[d->point];
  if (is_of_names(r) && r->head.size == 0)
    d->root = r->head.node;
  else if (is_of_names(r))
    list_add(&d->renaming, d->point);
  else if (is_of_content(r))
    list_add(&d->pending[r->head.node], d->point);
  if (r->head.kind == RECORD_DURABLE)
    content_apply(&d->sure[r->head.node], r);
  if (r->head.kind == RECORD_SYNC)
    disk_sync(d, r->head.node);
  d->point++;
}

/* }================================================================== */

/* {==================================================================
** Images
** =================================================================== */

typedef struct disk_chance { /* what survives */
  unsigned percent;  /* of sectors, and of names */
  bool by_order;     /* names: the first ones */
  unsigned size;     /* 0: no growth; 1: what survivors need; 2: all of it */
  uint64_t random;
} disk_chance;

static inline uint64_t disk_random (uint64_t *state) { /* splitmix64 */
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

static inline bool survives (disk_chance *c) {
  return c->percent == 100 || (c->percent > 0 &&
                               disk_random(&c->random) % 100 < c->percent);
}

/* Writes those sectors of a record that survive. */
static inline void image_write (disk_content *c, const disk_record *r,
                                disk_chance *chance) {
  size_t at = r->head.offset, end = at + r->head.size;
  while (at < end) {
    size_t next = (at / SECTOR + 1) * SECTOR;
    if (next > end)
      next = end;
    if (survives(chance))
      content_write(c, at, r->bytes + (at - r->head.offset), next - at);
    at = next;
  }
}

static inline void image_content (const disk *d, uint32_t node,
                                  const disk_record *now, disk_chance *c,
                                  disk_content *out) {
  const disk_list *p = &d->pending[node];
  size_t sure = d->sure[node].size, most = sure;
  content_copy(out, &d->sure[node]);
  for (unsigned i = 0; i <= p->count; i++) {
    const disk_record *r = i < p->count ? &d->records[p->at[i]] : now;
    if (r == NULL || r->head.node != node)
      continue;
    if (r->head.kind != RECORD_SIZE) {
      image_write(out, r, c);
      most = r->head.offset + r->head.size > most
             ? r->head.offset + r->head.size : most;
    }
    else if (r->head.offset >= most)
      most = r->head.offset;
    else if (survives(c)) {
      content_resize(out, r->head.offset);
      most = r->head.offset;
      sure = sure < most ? sure : most;
    }
  }
  if (c->size == 0)
    content_resize(out, sure);
  else if (c->size == 2)
    content_resize(out, most);
}

/* LMDB's lock files: who opens a store first makes them anew. */
static inline bool is_lock (const char *name) {
  size_t size = strlen(name);
  return (size >= 8 && strcmp(name + size - 8, "lock.mdb") == 0) ||
         (size >= 5 && strcmp(name + size - 5, "-lock") == 0);
}

/* Shorter ones first, so that a directory comes before what is in it. */
static inline int compare_names (const void *a, const void *b) {
  const disk_name *x = a, *y = b;
  size_t m = strlen(x->text), n = strlen(y->text);
  return m != n ? (m > n) - (m < n) : strcmp(x->text, y->text);
}

/* Names that survive; a directory that doesn't takes its files with it. */
static inline void image_names (const disk *d, const disk_record *now,
                                disk_chance *c, disk_names *out) {
  unsigned n = d->renaming.count + (now != NULL), first = n;
  char parent[DISK_NAME_MAX];
  bool gone = true;
  *out = d->names;
  if (c->by_order && c->percent < 100)
    first = c->percent == 0 ? 0
            : (unsigned)(disk_random(&c->random) % (n + 1));
  for (unsigned i = 0; i < n; i++) {
    const disk_record *r = i < d->renaming.count
                           ? &d->records[d->renaming.at[i]] : now;
    if (c->by_order ? i < first : survives(c))
      names_apply(out, r);
  }
  while (gone) {
    gone = false;
    for (unsigned i = 0; i < out->count && !gone; i++) {
      name_parent(out->all[i].text, parent);
      gone = is_lock(out->all[i].text) ||
             (parent[0] != '\0' && name_find(out, parent) == NULL);
      if (gone)
        out->all[i] = out->all[--out->count];
    }
  }
  qsort(out->all, out->count, sizeof *out->all, compare_names);
}

/* What the disk may hold at the point that was reached. */
static inline void disk_imagine (const disk *d, disk_chance *c,
                                 disk_image *out) {
  const disk_record *now = d->point < d->count ? &d->records[d->point]
                                               : NULL;
  bool naming = now != NULL && is_of_names(now) && now->head.size > 0;
  image_names(d, naming ? now : NULL, c, &out->names);
  if (now != NULL && !is_of_content(now))
    now = NULL;
  for (unsigned i = 0; i < out->names.count; i++)
    image_content(d, out->names.all[i].node, now, c,
                  &out->content[out->names.all[i].node]);
}

/* Whether anything is uncertain at this point. */
static inline bool disk_is_uncertain (const disk *d) {
  const disk_record *now = d->point < d->count ? &d->records[d->point]
                                               : NULL;
  if (d->renaming.count > 0 ||
      (now != NULL && (is_of_names(now) || is_of_content(now))))
    return true;
  for (int i = 0; i < DISK_NODES; i++)
    if (d->pending[i].count > 0)
      return true;
  return false;
}

/* A number for what an image has: equal ones need no second test. */
static inline uint64_t image_digest (const disk_image *image) {
  uint64_t all = image->names.count;
  for (unsigned i = 0; i < image->names.count; i++) {
    const disk_name *n = &image->names.all[i];
    const disk_content *c = &image->content[n->node];
    uint64_t h = 14695981039346656037u ^ c->size, word;
    for (const char *p = n->text; *p != '\0'; p++)
      h = (h ^ (unsigned char)*p) * 1099511628211u;
    for (size_t at = 0; at + 8 <= c->size; at += 8) {
      memcpy(&word, c->bytes + at, 8);
      h = (h ^ word) * 1099511628211u;
      h ^= h >> 29;
    }
    all += h * 0x9E3779B97F4A7C15u;
  }
  return all;
}

/* }================================================================== */

/* {==================================================================
** On a disk
** =================================================================== */

static inline bool node_is_dir (const disk *d, uint32_t node) {
  for (uint32_t i = 0; i < d->count; i++)
    if (d->records[i].head.kind == RECORD_MKDIR &&
        d->records[i].head.node == node)
      return true;
  return false;
}

static inline void file_write (const char *path, const disk_content *c) {
  int fd = open(path, O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, (off_t)c->size) != 0 ||
      pwrite(fd, c->bytes, c->size, 0) != (ssize_t)c->size) {
    perror(path);
    exit(2);
  }
  close(fd);
}

/* Removes what a directory holds that is not in the image. */
static inline void dir_tidy (const char *top, const char *below,
                             disk_names *names, bool keep_locks) {
  char path[500], name[400];
  struct dirent *e;
  DIR *dir;
  snprintf(path, sizeof path, "%.200s/%.200s", top, below);
  dir = opendir(path);
  if (dir == NULL)
    return;
  while ((e = readdir(dir)) != NULL) {
    if (e->d_name[0] == '.' && strchr("./", e->d_name[1]) != NULL)
      continue; /* itself and its parent; nothing here begins so */
    snprintf(name, sizeof name, "%.120s%s%.250s", below,
             *below != '\0' ? "/" : "", e->d_name);
    snprintf(path, sizeof path, "%.200s/%.290s", top, name);
    if (e->d_type == DT_DIR)
      dir_tidy(top, name, names, keep_locks &&
                                 name_find(names, name) != NULL);
    if (keep_locks && is_lock(name))
      continue;
    if (strlen(name) >= DISK_NAME_MAX || name_find(names, name) == NULL) {
      if (e->d_type == DT_DIR)
        rmdir(path);
      else
        unlink(path);
    }
  }
  closedir(dir);
}

/* The first name of the i-th one's file. */
static inline unsigned first_link (const disk_names *names, unsigned i) {
  unsigned first = 0;
  while (names->all[first].node != names->all[i].node)
    first++;
  return first;
}

/* Makes the i-th name; what stood there before is written over. */
static inline void name_put (const disk *d, const disk_image *image,
                             unsigned i, const char *top) {
  const disk_name *n = &image->names.all[i];
  unsigned first = first_link(&image->names, i);
  char path[400], other[400];
  struct stat st;
  snprintf(path, sizeof path, "%.200s/%s", top, n->text);
  if (node_is_dir(d, n->node)) {
    mkdir(path, 0700);
    return;
  }
  if (lstat(path, &st) == 0 && (st.st_nlink > 1 || first != i))
    unlink(path); /* it has, or gets, a second name */
  if (first == i) {
    file_write(path, &image->content[n->node]);
    return;
  }
  snprintf(other, sizeof other, "%.200s/%s", top,
           image->names.all[first].text);
  if (link(other, path) != 0) {
    perror(path);
    exit(2);
  }
}

/*
** Makes the directory `top` hold the image. Lock files are those of the last
** one, or none.
*/
static inline void image_put (const disk *d, disk_image *image,
                              const char *top, bool keep_locks) {
  dir_tidy(top, "", &image->names, keep_locks);
  for (unsigned i = 0; i < image->names.count; i++)
    name_put(d, image, i, top);
}

/* }================================================================== */

#endif
