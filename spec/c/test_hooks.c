/*
** test_hooks.c - policies and removal hooks in C: when they are asked, what
** their failures undo, what they may do; policies that nobody here knows.
*/
#include "timed.h"

typedef struct steering { /* what the hooks do, and have seen */
  uint64_t life;         /* the policy: so long after the last write; */
  uint64_t longer;       /* and at its end, so much more */
  int fails;             /* calls to come that fail, of any hook */
  bool fails_rank;
  int64_t only;          /* key whose hooks fail alone; -1: any */
  int asked, removed, told;
  uint64_t hits;         /* as they were shown last */
  bool evicted;
  char last[32];         /* value that was removed last */
  lode_coll *archive;    /* where `removed` writes */
  bool then_fails;       /* after it has written */
  lode_status wrote;     /* and what became of it */
} steering;

static lode_coll_options options_of (const lode_hooks *hooks) {
  lode_coll_options o = { .hooks = hooks };
  return o;
}

static bool fails (steering *s, const lode_entry *e) {
  if (s->fails == 0 ||
      (s->only >= 0 && e->key.data[e->key.size - 1] != s->only))
    return false;
  s->fails -= s->fails > 0;
  return true;
}

static lode_status deadline (void *data, const lode_entry *e,
                             uint64_t *expires) {
  steering *s = data;
  s->asked++;
  s->hits = e->hits;
  if (fails(s, e))
    return LODE_CALLBACK;
  *expires = s->life == LODE_NEVER ? LODE_NEVER
                                   : e->mtime + s->life + s->longer;
  return LODE_OK;
}

static lode_status removed (void *data, const lode_entry *e) {
  steering *s = data;
  lode_status st = LODE_OK;
  if (fails(s, e))
    return LODE_CALLBACK;
  if (s->archive != NULL) {
    st = timed_put(s->archive, 5000 + s->removed, LODE_NEVER);
    s->wrote = st;
    if (s->then_fails)
      return LODE_CALLBACK;
  }
  s->removed++;
  s->evicted = e->evicted;
  snprintf(s->last, sizeof s->last, "%.*s", (int)e->value.data.size,
           (const char *)e->value.data.data);
  return st;
}

static void failed (void *data, const lode_entry *e) {
  steering *s = data;
  expect(e->key.size > 0);
  s->told++;
}

static lode_hooks hooks_of (steering *s, bool policy) {
  lode_hooks h = { .deadline = policy ? deadline : NULL, .removed = removed,
                   .failed = failed, .data = s };
  s->only = -1;
  return h;
}

/* {==================================================================
** Policies
** =================================================================== */

static void asked (void) {
  steering x = { .life = 100 };
  lode_hooks h = hooks_of(&x, true);
  lode_coll_options o = options_of(&h);
  lode_store *s = timed_open("asked", LODE_OFF);
  lode_coll *c;
  o.policy = test_text("hundred");
  c = timed_coll(s, "d", LODE_DICT, &o);
  expect(timed_put(c, 1, LODE_TTL_OWN) == LODE_OK && x.asked == 1);
  expect(timed_get(c, 1) == LODE_OK && x.asked == 1);
  timed_now += 99;
  expect(timed_get(c, 1) == LODE_OK && x.asked == 1);
  timed_now += 1;
  x.longer = 50; /* it says later now */
  expect(timed_get(c, 1) == LODE_OK && x.asked == 2);
  expect(timed_are(c, 1));
  x.asked = 0;
  expect(timed_sweep(s, 0, NULL) == 0 && x.asked == 1);
  expect(timed_get(c, 1) == LODE_OK && x.asked == 1); /* it is kept */
  expect(timed_info(c, 1).expires == timed_now + 50);
  timed_now += 50;
{int st=timed_get(c,1); printf("st %d asked %d\n", st, x.asked);}
  expect(timed_sweep(s, 0, NULL) == 1 && x.removed == 1);
  expect(timed_calls(c) == 0);
  x.life = LODE_NEVER;
  x.asked = 0;
  expect(timed_put(c, 2, LODE_TTL_OWN) == LODE_OK && timed_calls(c) == 0);
  expect(timed_put(c, 3, 70) == LODE_OK && x.asked == 1); /* not for this */
  timed_now += 70;
  expect(timed_has(c, 3) == LODE_ABSENT && timed_are(c, 1));
  lode_coll_close(c);
  scratch_close(s);
}

static void policy_fails (void) {
  steering x = { .life = 100, .fails = 1 };
  lode_hooks h = hooks_of(&x, true);
  lode_coll_options o = options_of(&h);
  lode_store *s = timed_open("policy-fails", LODE_OFF);
  lode_coll *c;
  uint64_t n;
  bool more;
  o.policy = test_text("hundred");
  c = timed_coll(s, "d", LODE_DICT, &o);
  expect(timed_put(c, 1, LODE_TTL_OWN) == LODE_CALLBACK);
  expect(timed_has(c, 1) == LODE_ABSENT && timed_are(c, 0));
  for (int i = 0; i < 20; i++)
    expect(timed_write(c, i, "v", LODE_TTL_OWN, LODE_PUT) == LODE_OK);
  timed_now += 100;
  x.fails = 1;
  expect(timed_get(c, 7) == LODE_CALLBACK);
  expect(timed_get(c, 7) == LODE_ABSENT);
  x.fails = 3; /* in the sweep: these stay, and it goes on */
  expect(timed_sweep(s, 0, &more) == 17 && x.told == 3 && !more);
  expect(timed_calls(c) == 3 && timed_are(c, 0));
  expect(timed_sweep(s, 0, NULL) == 3 && timed_calls(c) == 0);
  x.fails = -1;
  expect(lode_len(c, &n) == LODE_OK && n == 0);
  lode_coll_close(c);
  scratch_close(s);
}

/* Accesses are shown to the policy, and counted once. */
static void hits_shown (void) {
  steering x = { .life = 100 };
  lode_hooks h = hooks_of(&x, true);
  lode_coll_options o = options_of(&h);
  lode_store *s = timed_open("hits", LODE_OFF);
  lode_coll *c;
  o.policy = test_text("hundred");
  o.policy_reads = o.times = true;
  c = timed_coll(s, "d", LODE_DICT, &o);
  timed_put(c, 1, LODE_TTL_OWN);
  for (int i = 0; i < 5; i++)
    expect(timed_get(c, 1) == LODE_OK);
  expect(timed_info(c, 1).hits == 5);
  expect(timed_put(c, 1, LODE_TTL_OWN) == LODE_OK && x.hits == 5);
  expect(timed_info(c, 1).hits == 5);
  expect(timed_get(c, 1) == LODE_OK && timed_info(c, 1).hits == 6);
  timed_sweep(s, 0, NULL); /* keeps them */
  expect(timed_info(c, 1).hits == 6);
  timed_now += 60;
  expect(timed_with(c, 1, lode_touch) == LODE_OK && x.hits == 7);
  expect(timed_info(c, 1).hits == 7 && timed_info(c, 1).atime == timed_now);
  expect(timed_info(c, 1).mtime == timed_now - 60);
  lode_coll_close(c);
  scratch_close(s);
}

/* Where nobody knows the policy, nothing goes that it might have kept. */
static void unknown (void) {
  steering x = { .life = 100 };
  lode_hooks h = hooks_of(&x, true), none = { .data = NULL };
  lode_coll_options o = options_of(&h), blind = options_of(&none);
  lode_store *s = timed_open("unknown", LODE_OFF);
  lode_coll *c;
  lode_stats stats;
  lode_coll_stats coll;
  bool more = true;
  o.policy = test_text("hundred");
  c = timed_coll(s, "d", LODE_DICT, &o);
  for (int i = 0; i < 10; i++)
    timed_put(c, i, LODE_TTL_OWN);
  lode_coll_close(c);
  timed_now += 100;
  c = timed_coll(s, "d", LODE_DICT, &blind);
  expect(timed_are(c, 0));
  expect(timed_sweep(s, 0, &more) == 0 && !more);
  expect(lode_store_stats(s, &stats) == LODE_OK);
  expect(stats.expired == 10 && stats.waiting == 10 && stats.entries == 0);
  expect(lode_coll_statistics(c, &coll) == LODE_OK);
  expect(coll.expired == 10 && coll.waiting == 10);
  expect(timed_put(c, 100, LODE_TTL_OWN) == LODE_OK); /* not asked: kept */
  expect(timed_are(c, 1) && timed_calls(c) == 11);
  lode_coll_close(c);
  x.longer = 20;
  c = timed_coll(s, "d", LODE_DICT, &o); /* who knows is asked about all */
  expect(timed_are(c, 11) && timed_sweep(s, 0, NULL) == 0);
  expect(timed_info(c, 100).expires == timed_now + 120);
  timed_now += 20;
  expect(timed_are(c, 1) && timed_sweep(s, 0, NULL) == 10);
  expect(lode_store_stats(s, &stats) == LODE_OK && stats.waiting == 0);
  lode_coll_close(c);
  o.policy = test_text("other");
  expect(lode_coll_open(s, test_text("d"), LODE_DICT, &o, &c) ==
         LODE_INCOMPATIBLE);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** Removals
** =================================================================== */

static void told_once (void) {
  steering x = { .removed = 0 };
  lode_hooks h = hooks_of(&x, false);
  lode_coll_options o = options_of(&h);
  lode_store *s = timed_open("told", LODE_OFF);
  lode_coll *c;
  o.on_expire = true;
  c = timed_coll(s, "d", LODE_DICT, &o);
  timed_write(c, 1, "last", 10, LODE_PUT);
  timed_write(c, 2, "over", 10, LODE_PUT);
  timed_write(c, TIMED_LONG, "long", 10, LODE_PUT);
  timed_now += 10;
  expect(timed_get(c, 1) == LODE_ABSENT && x.removed == 0);
  expect(timed_write(c, 2, "new", 50, LODE_PUT) == LODE_OK);
  expect(x.removed == 1 && strcmp(x.last, "over") == 0 && !x.evicted);
  expect(timed_sweep(s, 0, NULL) == 2 && x.removed == 3);
  expect(timed_delete(c, 2) == LODE_OK && x.removed == 3);
  timed_now += 50;
  expect(timed_sweep(s, 0, NULL) == 0 && x.removed == 3);
  lode_coll_close(c);
  scratch_close(s);
}

static void removal_fails (void) {
  steering x = { .fails = 1 };
  lode_hooks h = hooks_of(&x, false);
  lode_coll_options o = options_of(&h);
  lode_store *s = timed_open("removal", LODE_OFF);
  lode_coll *c, *other;
  o.on_expire = true;
  c = timed_coll(s, "d", LODE_DICT, &o);
  other = scratch_coll(s, "other", LODE_DICT);
  for (int i = 0; i < 20; i++)
    timed_put(c, i, 10);
  timed_now += 10;
  expect(timed_write(c, 3, "new", 50, LODE_PUT) == LODE_CALLBACK);
  expect(timed_get(c, 3) == LODE_ABSENT);
  expect(lode_begin(s) == LODE_OK); /* undoes itself alone */
  expect(timed_put(other, 1, LODE_NEVER) == LODE_OK);
  x.fails = 1;
  expect(timed_write(c, 3, "new", 50, LODE_PUT) == LODE_CALLBACK);
  expect(lode_commit(s) == LODE_OK && timed_has(other, 1) == LODE_OK);
  x.fails = 5;
  x.told = 0;
  expect(timed_sweep(s, 0, NULL) == 15 && x.told == 5 && x.removed == 15);
  expect(timed_calls(c) == 5 && timed_are(c, 0));
  expect(timed_sweep(s, 0, NULL) == 5 && x.removed == 20);
  lode_coll_close(c);
  lode_coll_close(other);
  scratch_close(s);
}

/* What a removal writes commits with it, or is rolled back with it. */
static void removal_writes (bool same) {
  steering x = { .then_fails = true };
  lode_hooks h = hooks_of(&x, false);
  lode_coll_options o = options_of(&h);
  lode_store *s = timed_open("writes", LODE_OFF);
  lode_coll *c, *archive;
  o.on_expire = true;
  c = timed_coll(s, same ? "same" : "d", LODE_DICT, &o);
  archive = same ? c : timed_coll(s, "archive", LODE_DICT,
                                  &(lode_coll_options){ .times = true });
  for (int i = 0; i < 50; i++)
    timed_put(c, i, 10);
  timed_now += 10;
  x.archive = archive;
  expect(timed_sweep(s, 0, NULL) == 0 && x.told == 50);
  expect(x.wrote == LODE_OK && timed_are(archive, 0));
  x.then_fails = false;
  expect(timed_sweep(s, 10, NULL) == 10 && timed_are(archive, 10));
  expect(timed_sweep(s, 0, NULL) == 40 && timed_are(archive, 50));
  expect(timed_calls(c) == 0 && x.removed == 50);
  if (!same)
    lode_coll_close(archive);
  lode_coll_close(c);
  scratch_close(s);
}

static void removals_write (void) {
  removal_writes(false);
  removal_writes(true);
}

/* A policy only reads: what it writes is refused, as are sweeps. */
static lode_coll *meddled;

static lode_status meddle (void *data, const lode_entry *e,
                           uint64_t *expires) {
  lode_store *s = lode_coll_store(meddled);
  lode_budget b = { 0, 0, 0 };
  uint64_t n;
  bool more;
  (void)data;
  expect(timed_put(meddled, 1, LODE_NEVER) == LODE_REENTRY);
  expect(lode_maintain(s, &b, &n, &more) == LODE_REENTRY);
  expect(timed_get(meddled, 99) == LODE_ABSENT && len_of(meddled) < 3);
  expect(timed_walked(meddled, false) < 3);
  *expires = e->mtime + 10;
  return LODE_OK;
}

static void meddling (void) {
  lode_hooks h = { .deadline = meddle };
  lode_coll_options o = options_of(&h);
  lode_store *s = timed_open("meddling", LODE_OFF);
  o.policy = test_text("meddle");
  meddled = timed_coll(s, "d", LODE_DICT, &o);
  expect(timed_put(meddled, 5, LODE_TTL_OWN) == LODE_OK);
  timed_now += 10;
  expect(timed_get(meddled, 5) == LODE_ABSENT);
  expect(timed_walked(meddled, true) == 0 && len_of(meddled) == 0);
  expect(timed_sweep(s, 0, NULL) == 1);
  lode_coll_close(meddled);
  scratch_close(s);
}

/* }================================================================== */

/* {==================================================================
** Rearming
** =================================================================== */

static void rearmed (void) {
  steering x = { .life = 100 };
  lode_hooks h = hooks_of(&x, true);
  lode_coll_options o = options_of(&h), p = { .ttl = 1000, .times = true };
  lode_store *s = timed_open("rearm", LODE_OFF);
  lode_coll *c = timed_coll(s, "d", LODE_DICT, &p), *old = c;
  for (int i = 0; i < 300; i++)
    timed_put(c, i, LODE_TTL_OWN);
  expect(timed_calls(c) == 300);
  timed_now += 400;
  p.ttl = 500;
  expect(lode_coll_open(s, test_text("d"), LODE_DICT, &p, &c) ==
         LODE_INCOMPATIBLE);
  p.rearm = true;
  c = timed_coll(s, "d", LODE_DICT, &p); /* from its last write on */
  expect(timed_info(c, 7).expires == timed_now + 100);
  expect(timed_put(old, 400, LODE_TTL_OWN) == LODE_OK);
  expect(timed_info(old, 400).expires == timed_now + 500);
  timed_now += 100;
  expect(timed_are(c, 1) && timed_are(old, 1));
  timed_put(c, 500, LODE_TTL_OWN);
  o.policy = test_text("hundred"); /* those that are dead stay so */
  o.rearm = true;
  lode_coll_close(c);
  c = timed_coll(s, "d", LODE_DICT, &o);
  expect(x.asked >= 2 && timed_are(c, 1)); /* 400 was written too early */
  expect(timed_info(c, 500).expires == timed_now + 100);
  expect(timed_sweep(s, 0, NULL) == 301);
  timed_now += 100;
  expect(timed_are(c, 0));
  lode_coll_close(c);
  c = timed_coll(s, "d", LODE_DICT, &(lode_coll_options){ .rearm = true });
  expect(timed_are(c, 0) && timed_sweep(s, 0, NULL) == 1); /* was asked of */
  expect(timed_calls(c) == 0);
  expect(timed_put(c, 1, LODE_TTL_OWN) == LODE_OK && timed_calls(c) == 0);
  lode_coll_close(c);
  lode_coll_close(old);
  scratch_close(s);
}

/* A policy that fails while it is asked about all leaves all as it was. */
static void rearm_fails (void) {
  steering x = { .life = 100 };
  lode_hooks h = hooks_of(&x, true);
  lode_coll_options o = options_of(&h);
  lode_store *s = timed_open("rearm-fails", LODE_OFF);
  lode_coll *c = timed_coll(s, "d", LODE_DICT,
                            &(lode_coll_options){ .ttl = 1000 }), *d;
  for (int i = 0; i < 30; i++)
    timed_put(c, i, LODE_TTL_OWN);
  o.policy = test_text("hundred");
  o.rearm = true;
  x.fails = 1;
  expect(lode_coll_open(s, test_text("d"), LODE_DICT, &o, &d) ==
         LODE_CALLBACK);
  expect(timed_are(c, 30) && timed_info(c, 3).expires == timed_now + 1000);
  expect(timed_put(c, 1, LODE_TTL_OWN) == LODE_OK);
  expect(timed_info(c, 1).expires == timed_now + 1000);
  lode_coll_close(c);
  expect(lode_drop(s, test_text("d")) == LODE_OK);
  scratch_close(s);
}

/* }================================================================== */

int main (void) {
  scratch_begin();
  test_group("a policy is asked", asked);
  test_group("a policy fails", policy_fails);
  test_group("accesses shown to a policy", hits_shown);
  test_group("a policy that nobody knows", unknown);
  test_group("a removal is told once", told_once);
  test_group("a removal hook fails", removal_fails);
  test_group("a removal hook writes", removals_write);
  test_group("a policy that meddles", meddling);
  test_group("rearmed", rearmed);
  test_group("rearming fails", rearm_fails);
  scratch_end();
  return test_end();
}
