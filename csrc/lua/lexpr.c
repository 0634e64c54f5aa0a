/*
** lexpr.c - the algebra of sets: expressions that cost nothing until they
** are walked, counted or asked.
**
** An expression holds its two operands; the pointers in it stay good since
** its user value keeps the operands' userdata alive, and userdata don't
** move. The core compares the bytes of members, so sets that encode theirs
** in different ways are refused when such an expression is used.
*/
#include "lexpr.h"
#include "lkey.h"
#include "lguard.h"
#include "lstore.h"
#include "lwalk.h"

/* {==================================================================
** Operands
** =================================================================== */

/* The handle of the set or expression at `i`, or null. */
static const void *test_operand (lua_State *L, int i) {
  const void *p = lhandle_test(L, i, LKIND_SET, sizeof(lcoll));
  return p != NULL ? p : lhandle_test(L, i, LKIND_EXPR, sizeof(lexpr));
}

/* [-0, +0, v] */
static const void *check_operand (lua_State *L, int i) {
  const void *p = test_operand(L, i);
  if (p == NULL) lhandle_wrong(L, i, "a set or an expression");
  return p;
}

bool lexpr_is (lua_State *L, int i) {
  return test_operand(L, i) != NULL;
}

static unsigned terms_of (const void *operand) {
  return lhandle_of_kind(operand, LKIND_SET) ? 1 :
         ((const lexpr *)operand)->terms;
}

static const lcoll *first_leaf (const void *operand) {
  while (!lhandle_of_kind(operand, LKIND_SET))
    operand = ((const lexpr *)operand)->operands[0];
  return operand;
}

/* Appends the terms of an operand; gives the next place, null: closed. */
static lode_term *flatten (const void *operand, lode_term *at) {
  if (lhandle_of_kind(operand, LKIND_SET)) {
    const lcoll *c = operand;
    if (!lhandle_is_open(c)) return NULL;
    at->op = LODE_LEAF;
    at->leaf = c->coll;
  }
  else {
    const lexpr *e = operand;
    at = flatten(e->operands[0], at);
    if (at != NULL) at = flatten(e->operands[1], at);
    if (at == NULL) return NULL;
    at->op = e->op;
    at->leaf = NULL;
  }
  return at + 1;
}

static bool same_name (lode_slice a, lode_slice b) {
  return a.size == b.size &&
         (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* [-0, +1, m] Pushes how the members of a set are encoded. */
static void push_encoding (lua_State *L, const lode_coll_options *o) {
  if (o->raw) lua_pushliteral(L, "is raw");
  else if (o->key_serializer.size == 0)
    lua_pushliteral(L, "has no key_serializer");
  else {
    lua_pushliteral(L, "has the key_serializer '");
    lua_pushlstring(L, (const char *)o->key_serializer.data,
                    o->key_serializer.size);
    lua_pushliteral(L, "'");
    lua_concat(L, 3);
  }
}

/* [-0, +0, v] INCOMPATIBLE unless both sets encode members in one way. */
static void check_encoding (lua_State *L, const lode_coll *a,
                            const lode_coll *b) {
  const lode_coll_options *one = lode_coll_kept(a);
  const lode_coll_options *other = lode_coll_kept(b);
  if (one->raw == other->raw &&
      same_name(one->key_serializer, other->key_serializer))
    return;
  push_encoding(L, one);
  push_encoding(L, other);
  lerror_raise(L, LODE_INCOMPATIBLE, "the orders of these sets differ: one "
               "%s, the other %s", lua_tostring(L, -2), lua_tostring(L, -1));
}

size_t lexpr_terms (lua_State *L, int i, lode_term *terms) {
  lode_term *end = flatten(check_operand(L, i), terms);
  if (end == NULL) lhandle_closed(L, i);
  for (const lode_term *t = terms + 1; t < end; t++) {
    if (t->op == LODE_LEAF) check_encoding(L, terms[0].leaf, t->leaf);
  }
  return (size_t)(end - terms);
}

/* Whether all leaves of an operand belong to the handle `owner`. */
static bool all_of (const void *operand, const lstore *owner) {
  const lexpr *e = operand;
  if (lhandle_of_kind(operand, LKIND_SET))
    return ((const lcoll *)operand)->owner == owner;
  return all_of(e->operands[0], owner) && all_of(e->operands[1], owner);
}

bool lexpr_one_store (lua_State *L, int i) {
  const void *operand = test_operand(L, i);
  return operand != NULL && all_of(operand, first_leaf(operand)->owner);
}

lcoll *lexpr_push_leaf (lua_State *L, int i) {
  lcoll *c;
  lua_pushvalue(L, i);
  while (lhandle_test(L, -1, LKIND_EXPR, sizeof(lexpr)) != NULL) {
    lhandle_slot(L, -1, EXPR_LEFT);
    lua_remove(L, -2);
  }
  c = lua_touserdata(L, -1);
  if (!lhandle_is_open(c)) lhandle_closed(L, -1);
  return c;
}

/* }================================================================== */

/* {==================================================================
** Making
** =================================================================== */

/* [-0, +1, v] Pushes the expression of two operands. */
static int push_expr (lua_State *L, lode_operator op, int a, int b) {
  const void *left = check_operand(L, a), *right = check_operand(L, b);
  unsigned terms = terms_of(left) + terms_of(right) + 1;
  lexpr *e;
  if (terms > LODE_TERMS_MAX) {
    lerror_raise(L, LODE_BAD_ARGUMENT, "an expression has at most %d sets: "
                 "keep a part of it with set.save", LODE_TERMS_MAX / 2 + 1);
  }
  e = lhandle_new(L, LKIND_EXPR, sizeof(lexpr), 2);
  e->op = op;
  e->operands[0] = left;
  e->operands[1] = right;
  e->terms = terms;
  lua_pushvalue(L, a);
  lhandle_set_slot(L, -2, EXPR_LEFT);
  lua_pushvalue(L, b);
  lhandle_set_slot(L, -2, EXPR_RIGHT);
  return 1;
}

/* [-n, +1, v] fn(a, ...): from the left to the right. */
static int fold (lua_State *L, lode_operator op) {
  int n = lua_gettop(L);
  check_operand(L, 1);
  lua_pushvalue(L, 1);
  for (int i = 2; i <= n; i++) {
    check_operand(L, i);
    push_expr(L, op, n + 1, i);
    lua_replace(L, n + 1);
  }
  return 1;
}

/* [-n, +1, v] set.union(a, ...) -> expression */
static int set_union (lua_State *L) {
  return fold(L, LODE_UNION);
}

/* [-n, +1, v] set.intersection(a, ...) -> expression */
static int set_intersection (lua_State *L) {
  return fold(L, LODE_INTERSECTION);
}

/* [-n, +1, v] set.difference(a, ...) -> expression */
static int set_difference (lua_State *L) {
  return fold(L, LODE_DIFFERENCE);
}

/* [-n, +1, v] set.symmetric_difference(a, ...) -> expression */
static int set_symmetric (lua_State *L) {
  return fold(L, LODE_SYMMETRIC);
}

/* [-2, +1, v] a + b, a | b */
static int operator_union (lua_State *L) {
  return push_expr(L, LODE_UNION, 1, 2);
}

/* [-2, +1, v] a * b, a & b */
static int operator_intersection (lua_State *L) {
  return push_expr(L, LODE_INTERSECTION, 1, 2);
}

/* [-2, +1, v] a - b */
static int operator_difference (lua_State *L) {
  return push_expr(L, LODE_DIFFERENCE, 1, 2);
}

/* [-2, +1, v] a ^ b, a ~ b */
static int operator_symmetric (lua_State *L) {
  return push_expr(L, LODE_SYMMETRIC, 1, 2);
}

/* }================================================================== */

/* {==================================================================
** Asking
** =================================================================== */

/* [-0, +0, v] Whether one set has the member at `x`. */
static bool leaf_has (lua_State *L, int self, int x) {
  lcoll *c = lua_touserdata(L, self);
  lode_key key;
  lode_status status;
  int top = lua_gettop(L);
  if (!lhandle_is_open(c)) lhandle_closed(L, self);
  lkey_take(L, self, c, x, &key);
  status = lode_has(c->coll, &key);
  if (status != LODE_OK && status != LODE_ABSENT)
    lhandle_fail(L, self, x, status, NULL);
  lua_settop(L, top);
  return status == LODE_OK;
}

/* [-0, +0, v] Whether the operand at `i` has the member at `x`. */
static bool has (lua_State *L, int i, int x) {
  const lexpr *e = lhandle_test(L, i, LKIND_EXPR, sizeof(lexpr));
  int left = lua_gettop(L) + 1;
  bool in_left, in_right;
  if (e == NULL) return leaf_has(L, i, x);
  luaL_checkstack(L, 20, NULL);
  lhandle_slot(L, i, EXPR_LEFT);
  in_left = has(L, left, x);
  if (e->op == LODE_UNION ? in_left :
      e->op != LODE_SYMMETRIC && !in_left) {
    lua_settop(L, left - 1); /* the other operand can't change it */
    return in_left;
  }
  lhandle_slot(L, i, EXPR_RIGHT);
  in_right = has(L, left + 1, x);
  lua_settop(L, left - 1);
  switch (e->op) {
    case LODE_INTERSECTION: case LODE_UNION: return in_right;
    case LODE_DIFFERENCE: return !in_right;
    default: return in_left != in_right;
  }
}

int lexpr_has (lua_State *L, int i, int x) {
  if (!lua_isnil(L, x) && has(L, i, x)) lua_pushboolean(L, true);
  else lua_pushnil(L);
  return 1;
}

int lexpr_len (lua_State *L, int i) {
  lode_term terms[LODE_TERMS_MAX];
  size_t n = lexpr_terms(L, i, terms);
  uint64_t count;
  lode_status status = lode_merge_count(terms, n, &count);
  if (status != LODE_OK) lhandle_fail(L, i, 0, status, NULL);
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

/* [-2, +1, v] expr[x] -> true or nil */
int lexpr__index (lua_State *L) {
  lua_settop(L, 2);
  check_operand(L, 1);
  return lexpr_has(L, 1, 2);
}

/* [-3, +0, v] An expression has nothing to assign to. */
int lexpr__newindex (lua_State *L) {
  lexpr__tostring(L);
  return lerror_raise(L, LODE_BAD_ARGUMENT, "%s can't be changed: change its "
                      "sets, or keep it with set.save",
                      lua_tostring(L, -1));
}

/* [-1, +1, m] Two sets and their operator: "lode.expr: (a + b)". */
static void push_text (lua_State *L, int i) {
  static const char *const operators[] = { "", " + ", " * ", " - ", " ^ " };
  const lexpr *e = lhandle_test(L, i, LKIND_EXPR, sizeof(lexpr));
  int base = lua_gettop(L);
  luaL_checkstack(L, 16, NULL);
  if (e == NULL) {
    lhandle_slot(L, i, COLL_NAME);
    return;
  }
  lua_pushliteral(L, "(");
  for (int slot = EXPR_LEFT; slot <= EXPR_RIGHT; slot++) {
    if (slot == EXPR_RIGHT) lua_pushstring(L, operators[e->op]);
    lhandle_slot(L, i, slot);
    push_text(L, lua_gettop(L));
    lua_remove(L, -2);
  }
  lua_pushliteral(L, ")");
  lua_concat(L, lua_gettop(L) - base);
}

/* [-1, +1, v] tostring(expr) */
int lexpr__tostring (lua_State *L) {
  check_operand(L, 1);
  lua_pushliteral(L, "lode.expr: ");
  push_text(L, 1);
  lua_concat(L, 2);
  return 1;
}

/* }================================================================== */

/* {==================================================================
** Comparing: a walk of what would prove it false, up to its first member
** =================================================================== */

/* [-0, +0, v] Whether `a op b` has no member. */
static bool is_empty (lua_State *L, int a, lode_operator op, int b) {
  lwalk *w;
  lrange all;
  lode_slice key;
  lode_value value;
  bool empty;
  int top = lua_gettop(L);
  push_expr(L, op, a, b);
  lexpr_push_leaf(L, top + 1);
  lrange_all(&all);
  w = lwalk_merge(L, top + 1, &all);
  empty = !lwalk_step(L, w, top + 2, &key, &value);
  lwalk_close(w);
  lua_settop(L, top);
  return empty;
}

/* [-2, +1, v] a <= b: no member of a is missing in b */
static int operator_le (lua_State *L) {
  lua_settop(L, 2);
  lua_pushboolean(L, is_empty(L, 1, LODE_DIFFERENCE, 2));
  return 1;
}

/* [-2, +1, v] a < b: and b has one more */
static int operator_lt (lua_State *L) {
  lua_settop(L, 2);
  lua_pushboolean(L, is_empty(L, 1, LODE_DIFFERENCE, 2) &&
                     !is_empty(L, 2, LODE_DIFFERENCE, 1));
  return 1;
}

/* [-2, +1, v] a == b: the same members */
static int operator_eq (lua_State *L) {
  lua_settop(L, 2);
  lua_pushboolean(L, lexpr_is(L, 1) && lexpr_is(L, 2) &&
                     is_empty(L, 1, LODE_SYMMETRIC, 2));
  return 1;
}

/* [-2, +1, v] set.disjoint(a, b) -> boolean */
static int set_disjoint (lua_State *L) {
  lerror_excess(L, 3);
  lua_settop(L, 2);
  lua_pushboolean(L, is_empty(L, 1, LODE_INTERSECTION, 2));
  return 1;
}

void lexpr_operators (lua_State *L, int set, int expr) {
  static const struct { const char *names[3]; lua_CFunction f; } all[] = {
    { { "__add", "__bor", NULL }, operator_union },
    { { "__mul", "__band", NULL }, operator_intersection },
    { { "__sub", NULL, NULL }, operator_difference },
    { { "__pow", "__bxor", NULL }, operator_symmetric },
    { { "__le", NULL, NULL }, operator_le },
    { { "__lt", NULL, NULL }, operator_lt },
    { { "__eq", NULL, NULL }, operator_eq }
  };
  for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
    lua_pushcfunction(L, all[i].f);
    for (int n = 0; all[i].names[n] != NULL; n++) {
      lua_pushvalue(L, -1);
      lua_setfield(L, set, all[i].names[n]);
      lua_pushvalue(L, -1);
      lua_setfield(L, expr, all[i].names[n]);
    }
    lua_pop(L, 1);
  }
}

/* }================================================================== */

/* {==================================================================
** Keeping
** =================================================================== */

/* [-0, +0, v] */
static void save (lua_State *L, int from, int to, bool replace) {
  lode_term terms[LODE_TERMS_MAX];
  size_t n = lexpr_terms(L, from, terms);
  lcoll *target = lhandle_set(L, to);
  lode_status status;
  check_encoding(L, terms[0].leaf, target->coll);
  status = lode_merge_save(terms, n, target->coll, replace);
  if (status != LODE_OK) lhandle_fail(L, to, 0, status, NULL);
}

/* The body of set.save, in a transaction: expr, store, name. */
static int save_body (lua_State *L) {
  lcoll *leaf = lexpr_push_leaf(L, 1); /* slot 4 */
  lstore_open_like(L, 2, 3, 4, leaf, false); /* slot 5 */
  save(L, 1, 5, true);
  return 1;
}

/* [-3, +1, v] set.save(expr, store, name) -> set */
static int set_save (lua_State *L) {
  lstore *s;
  lerror_excess(L, 4);
  lua_settop(L, 3);
  check_operand(L, 1);
  s = lhandle_store(L, 2);
  lstore_check_name(L, 3);
  luaL_checkstack(L, 20, NULL);
  lua_pushcfunction(L, save_body);
  for (int i = 1; i <= 3; i++) lua_pushvalue(L, i);
  return lguard_call(L, 2, s, LGUARD_TRANSACTION, 4);
}

/* [-2, +0, v] set.update(s, expr) */
static int set_update (lua_State *L) {
  lhandle_set(L, 1);
  lerror_excess(L, 3);
  lua_settop(L, 2);
  save(L, 2, 1, false);
  return 0;
}

const luaL_Reg lexpr_functions[] = {
  { "union", set_union },
  { "intersection", set_intersection },
  { "difference", set_difference },
  { "symmetric_difference", set_symmetric },
  { "disjoint", set_disjoint },
  { "save", set_save },
  { "update", set_update },
  { NULL, NULL }
};

/* }================================================================== */
