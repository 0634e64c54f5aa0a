-- Expressions over sets: API.md, "Sets".

local helper = require "support.helper"
local lode = require "lode"

local set = lode.set
local fails, open = helper.fails, helper.open
local members = helper.members

-- Two sets, of one store or of two.
local function pair (two_stores)
  local store = open()
  local a = store:set "a"
  local b = (two_stores and open() or store):set "b"
  set.add_many(a, { 1, 2, 3, 4, "x", { 1 } })
  set.add_many(b, { 3, 4, 5, "y", { 1 } })
  return a, b, store
end

for _, where in ipairs { "one store", "two stores" } do
  describe("an expression over sets of " .. where, function ()
    local a, b, store
    after_each(function ()
      a, b, store = nil, nil, nil
    end)
    helper.watch()
    before_each(function ()
      a, b, store = pair(where == "two stores")
    end)

    it("is a union, intersection, difference or symmetric difference",
      function ()
        assert.are.same({ 1, 2, 3, 4, 5, "x", "y", { 1 } },
          members(a + b))
        assert.are.same({ 3, 4, { 1 } }, members(a * b))
        assert.are.same({ 1, 2, "x" }, members(a - b))
        assert.are.same({ 5, "y" }, members(b - a))
        assert.are.same({ 1, 2, 5, "x", "y" }, members(a ^ b))
      end)

    if helper.integers then
      it("has the operators | & - ~ too", function ()
        local function both (operator)
          return members(helper.eval("(...) " .. operator
            .. " (select(2, ...))", a, b))
        end
        assert.are.same(members(a + b), both "|")
        assert.are.same(members(a * b), both "&")
        assert.are.same(members(a - b), both "-")
        assert.are.same(members(a ^ b), both "~")
      end)
    end

    it("is built by functions of two or more", function ()
      local c = store:set "c"
      set.add_many(c, { 4, 5, 6 })
      assert.are.same(members(a + b + c), members(set.union(a, b, c)))
      assert.are.same({ 4 }, members(set.intersection(a, b, c)))
      assert.are.same({ 1, 2, "x" }, members(set.difference(a, b, c)))
      assert.are.same(members(a ^ b ^ c),
        members(set.symmetric_difference(a, b, c)))
      assert.are.same(members(a), members(set.union(a)))
      fails("BAD_ARGUMENT", set.union)
    end)

    it("may hold others", function ()
      local c = store:set "c"
      set.add_many(c, { 2, 4, 5, 9 })
      assert.are.same({ 2, 4, 5 }, members((a + b) * c))
      assert.are.same({ 1, 3, "x", "y", { 1 } }, members((a + b) - c))
      assert.are.same({ 1, 2, 3, "x", { 1 } }, members(a - (b - (a - c))))
      assert.are.same({}, members((a * b) - (b * a)))
      assert.are.same({ 2, 9 }, members((c - b)))
      assert.are.same({}, members((a ^ b) ^ (a ^ b)))
    end)

    it("may hold one set many times", function ()
      assert.are.same(members(a), members(a + a))
      assert.are.same(members(a), members(a * a))
      assert.are.same({}, members(a - a))
      assert.are.same({}, members(a ^ a))
    end)

    it("is counted by # and by count", function ()
      assert.are.equal(8, #(a + b))
      assert.are.equal(3, #(a * b))
      assert.are.equal(3, #(a - b))
      assert.are.equal(5, #(a ^ b))
      assert.are.equal(0, #(a - a))
      assert.are.equal(8, set.len(a + b))
      assert.are.equal(8, set.count(a + b))
      assert.are.equal(5, set.count(a + b, { to = 5 }))
    end)

    it("is asked for a member: true or nil", function ()
      assert.is_true((a + b)[1])
      assert.is_true((a + b).y)
      assert.is_nil((a + b).z)
      assert.is_true((a * b)[{ 1 }])
      assert.is_nil((a * b).x)
      assert.is_true((a - b).x)
      assert.is_nil((a - b)[3])
      assert.is_true((a ^ b)[5])
      assert.is_nil((a ^ b)[4])
      assert.is_nil((a + b)[nil])
      assert.is_true(set.has(a + b, 1))
      assert.is_false(set.has(a * b, 1))
      assert.is_nil((a + b).each)
    end)

    it("is walked in ranges, either way", function ()
      assert.are.same({ "y", "x", 5, 4, 3 },
        members(a + b, { from = 3, to = "y", reverse = true }))
      assert.are.same({ 2, 3 }, members(a + b, { after = 1, limit = 2 }))
      assert.are.same({ { 1 } }, members(a * b, { prefix = { 1 } }))
      assert.are.same({ "x" }, members(a - b, { prefix = "x" }))
      assert.are.equal(1, set.first(a + b))
      assert.are.same({ 1 }, set.last(a + b))
      assert.are.equal("x", set.last(a - b))
      assert.is_nil(set.first(a - a))
    end)

    if helper.has_pairs then
      it("is walked by pairs", function ()
        assert.are.same({ { 3, true }, { 4, true }, { { 1 }, true } },
          helper.collect(true, pairs(a * b)))
      end)
    end

    it("is lazy: it sees what its sets hold when it is used", function ()
      local both = a * b
      assert.are.equal(3, #both)
      set.add(a, "y")
      assert.are.equal(4, #both)
      assert.is_true(both.y)
      set.clear(b)
      assert.are.same({}, members(both))
    end)

    it("compares: subset, proper subset, same members", function ()
      local c = store:set "c"
      set.add_many(c, { 3, 4 })
      assert.is_true(c <= a)
      assert.is_true(c < a)
      assert.is_true(a >= c)
      assert.is_true(a > c)
      assert.is_false(a <= c)
      assert.is_false(a <= b)
      assert.is_false(a < b)
      assert.is_true(a <= a)
      assert.is_false(a < a)
      assert.is_true(a * b <= a)
      assert.is_true(c <= a * b)
      assert.is_true(a <= a + b)
      assert.is_false(a + b <= a)
      local d = store:set "d"
      assert.is_true(d <= c)
      assert.is_true(d < c)
      assert.is_false(c == d)
      set.add_many(d, { 4, 3 })
      assert.is_true(c == d)
      assert.is_false(c ~= d)
      assert.is_true(c <= d)
      assert.is_false(c < d)
      assert.is_false(a == b)
      assert.is_true(a * b == b * a)
      assert.is_true(a + b == (a - b) + (b - a) + (a * b))
    end)

    it("is disjoint or not", function ()
      assert.is_false(set.disjoint(a, b))
      assert.is_true(set.disjoint(a - b, b))
      assert.is_true(set.disjoint(a - a, a - a))
    end)

    it("is kept by save, which gives the set", function ()
      local c = set.save(a * b, store, "c")
      assert.are.equal("c", set.name(c))
      assert.are.same({ 3, 4, { 1 } }, members(c))
      assert.are.same({ 3, 4, { 1 } }, members(store:set "c"))
      set.add(a, 5)
      assert.are.equal(3, #c)
      c = set.save(a - b, store, "c")
      assert.are.same({ 1, 2, "x" }, members(c))
      set.save(a - a, store, "c")
      assert.are.equal(0, #c)
    end)

    it("is kept in the place of an operand", function ()
      local held = set.save(a - b, store, "a")
      assert.are.same({ 1, 2, "x" }, members(a))
      assert.are.same({ 1, 2, "x" }, members(held))
      set.save(a + a + b, store, "a")
      assert.are.same({ 1, 2, 3, 4, 5, "x", "y", { 1 } }, members(a))
      set.save(a ^ b, store, "a")
      assert.are.same({ 1, 2, "x" }, members(a))
      set.save(a ^ a, store, "a")
      assert.are.same({}, members(a))
    end)

    it("is added by update", function ()
      set.update(a, b - a)
      assert.are.same({ 1, 2, 3, 4, 5, "x", "y", { 1 } }, members(a))
      set.update(b, a ^ b)
      assert.is_true(a == b)
      set.update(a, a * b)
      assert.are.equal(8, #a)
    end)

    it("of thousands of members, long ones too, is right", function ()
      local left, right = store:set "left", store:set "right"
      local function numbers (step, long)
        local i = 0
        return function ()
          i = i + step
          if i > 12000 then return nil end
          return long and i % 5 == 0 and ("k"):rep(600) .. i or i
        end
      end
      set.add_many(left, numbers(2, true))
      set.add_many(right, numbers(3, true))
      assert.are.equal(6000, #left)
      assert.are.equal(4000, #right)
      assert.are.equal(2000, #(left * right))
      assert.are.equal(8000, #(left + right))
      assert.are.equal(4000, #(left - right))
      assert.are.equal(6000, #(left ^ right))
      local n = 0
      for x in set.each(left * right) do
        n = n + 1
        assert.is_true(left[x] and right[x])
      end
      assert.are.equal(2000, n)
      local seen = {}
      for x in set.each(left ^ right) do
        assert.is_nil(seen[x])
        seen[x] = true
        assert.is_true((left[x] or false) ~= (right[x] or false))
      end
      set.save(left ^ right, store, "left")
      assert.are.equal(6000, #left)
      assert.is_true(left.nothing == nil and left[6] == nil)
    end)
  end)
end

describe("an expression", function ()
  helper.watch()

  it("belongs to sets: anything else beside one raises", function ()
    local store = open()
    local s, d = store:set "s", store:dict "d"
    for _, other in ipairs { 1, "s", {}, d, true } do
      fails("BAD_ARGUMENT", function () return s + other end)
      fails("BAD_ARGUMENT", function () return other * s end)
      fails("BAD_ARGUMENT", set.union, s, other)
      fails("BAD_ARGUMENT", set.disjoint, s, other)
      if _VERSION ~= "Lua 5.1" then -- which asks no metamethod here
        fails("BAD_ARGUMENT", function () return s <= other end)
      end
    end
    fails("BAD_ARGUMENT", set.add_many, s, d)
  end)

  it("can't be written", function ()
    local store = open()
    local s = store:set "s"
    local both = s + s
    fails("BAD_ARGUMENT", function () both.x = true end)
    fails("BAD_ARGUMENT", set.add, both, "x")
    fails("BAD_ARGUMENT", set.clear, both)
    assert.are.equal(0, #s)
    assert.are.equal("string", type(tostring(both)))
  end)

  it("keeps its sets alive", function ()
    local store = open()
    local function build ()
      local s = store:set "s"
      set.add_many(s, { 1, 2 })
      return s + store:set "t"
    end
    local both = build()
    for _ = 1, 4 do collectgarbage() end
    assert.are.same({ 1, 2 }, members(both))
    local walk = set.each(both)
    both = nil -- luacheck: ignore
    for _ = 1, 4 do collectgarbage() end
    assert.are.equal(1, walk())
    assert.are.equal(2, walk())
    assert.is_nil(walk())
  end)

  it("of a dropped set raises NOT_FOUND", function ()
    local store = open()
    local both = store:set "s" + store:set "t"
    store:drop "t"
    fails("NOT_FOUND", function () return #both end)
    fails("NOT_FOUND", members, both)
  end)

  it("may be as large as hundreds of sets", function ()
    local store = open()
    local all
    store:transaction(function ()
      for i = 1, 120 do
        local s = store:set("s" .. i)
        set.add_many(s, { i, i + 1, "all" })
        all = all and all + s or s
      end
    end)
    assert.are.equal(122, #all)
    local one = store:set "s1"
    fails("BAD_ARGUMENT", function ()
      local more = one
      for _ = 1, 400 do more = more + one end
      return #more
    end)
  end)

  it("sees the writes of its transaction", function ()
    local a, b, store = pair()
    store:transaction(function ()
      set.add(a, 5)
      assert.are.same({ 3, 4, 5, { 1 } }, members(a * b))
      set.save(a * b, store, "c")
      assert.are.equal(4, #store:set "c")
    end)
    assert.are.equal(4, #store:set "c")
    pcall(store.transaction, store, function ()
      set.save(a - a, store, "a")
      assert.are.equal(0, #a)
      error "back"
    end)
    assert.are.equal(7, #a)
  end)

  it("walked while its sets change gives each member at most once",
    function ()
      local store = open()
      local a, b = store:set "a", store:set "b"
      local i = 0
      set.add_many(a, function ()
        i = i + 1
        if i <= 4000 then return i end
      end)
      set.update(b, a)
      local last, n = 0, 0
      for x in set.each(a * b) do
        assert.is_true(x > last)
        last = x
        if x == math.floor(x) then
          n = n + 1
          a[x + 0.5], b[x + 0.5] = true, true
          a[x], b[x - 1] = nil, nil
        end
      end
      assert.are.equal(4000, n)
    end)

  it("is one pass in constant memory, however large its sets", function ()
    local store = open()
    local a, b = store:set "a", store:set "b"
    for s, step in pairs { [a] = 2, [b] = 3 } do
      local i = 0
      set.add_many(s, function ()
        i = i + step
        if i <= 300000 then return i end
      end)
    end
    collectgarbage()
    collectgarbage()
    local before, most, n = collectgarbage "count", 0, 0
    for _ in set.each((a + b) - a * b) do
      n = n + 1
      if n % 20000 == 0 then
        collectgarbage()
        most = math.max(most, collectgarbage "count")
      end
    end
    assert.are.equal(150000, n)
    assert.is_true(most - before < 1024, most - before .. " KiB")
    assert.are.equal(150000, #set.save(a ^ b, store, "c"))
  end)

  it("save on a name that isn't a set's raises", function ()
    local a, b, store = pair()
    store:dict("d").x = 1
    fails("INCOMPATIBLE", set.save, a + b, store, "d")
    fails("BAD_ARGUMENT", set.save, a + b, store)
    fails("BAD_ARGUMENT", set.save, a + b, store, "")
    fails("BAD_ARGUMENT", set.save, a + b, {}, "c")
    fails("BAD_ARGUMENT", set.save, store, "c")
    assert.are.equal(1, store:dict("d").x)
  end)

  it("is refused over sets whose orders differ", function ()
    local store = open()
    local plain = store:set "plain"
    local coded = store:set("coded", { key_serializer = {
      name = "backwards",
      encode = function (s) return s:reverse() end,
      decode = function (s) return s:reverse() end,
    } })
    set.add_many(plain, { "ab", "ba" })
    set.add_many(coded, { "ab", "c" })
    fails("INCOMPATIBLE", function () return #(plain + coded) end)
    fails("INCOMPATIBLE", function () return members(coded - plain) end)
  end)
end)
