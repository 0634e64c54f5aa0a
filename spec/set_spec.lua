-- Sets and the functions of lode.set: API.md, "Sets".

local exact = require "support.exact"
local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local fails, says, open = helper.fails, helper.says, helper.open
local members = helper.members

local function fresh (options)
  local store = open()
  return store:set("s", options), store
end

-- An iterator function over an array.
local function each (array)
  local i = 0
  return function ()
    i = i + 1
    return array[i]
  end
end

describe("a set as a table", function ()
  helper.watch()

  it("says true or nil for a member", function ()
    local s = fresh()
    assert.is_nil(s.x)
    s.x = true
    assert.is_true(s.x)
    s.x = true
    assert.are.equal(1, #s)
    s.x = nil
    assert.is_nil(s.x)
    s.x = nil
    assert.are.equal(0, #s)
    assert.is_nil(s[nil])
  end)

  it("takes true and nil only", function ()
    local s = fresh()
    s.x = true
    for _, value in ipairs { false, 1, "yes", {}, 0 } do
      fails("BAD_VALUE", function () s.x = value end)
      fails("BAD_VALUE", function () s.y = value end)
    end
    assert.are.same({ "x" }, members(s))
  end)

  it("has members of every type of key, in their order", function ()
    local s = fresh()
    local all = { false, true, -1.5, 0, 1, 2 ^ 60, "", "\0", "a",
      ("k"):rep(1000), "set", {}, { 1, "a" }, { ("k"):rep(1000), 1 } }
    for i = #all, 1, -1 do s[all[i]] = true end
    assert.are.equal(#all, #s)
    exact.check(exact.keys(all), members(s), "order")
    for _, x in ipairs(all) do assert.is_true(s[x]) end
    assert.is_nil(s["b"])
    assert.is_nil(s[("k"):rep(999)])
    fails("BAD_KEY", function () s[0 / 0] = true end)
    fails("BAD_KEY", function () s[print] = true end)
    fails("BAD_KEY", function () s[nil] = true end)
    fails("BAD_KEY", function () return s[{ {} }] end)
  end)

  it("never answers with a method", function ()
    local s = fresh()
    for name in pairs(set) do
      assert.is_nil(s[name])
      s[name] = true
      assert.is_true(s[name])
    end
    s.__index, s.__len, s.__gc, s.__close = true, true, true, true
    assert.is_true(s.__index)
    for name in pairs(set) do s[name] = nil end
    assert.are.equal(4, #s)
    says(s, "set", "s")
  end)

  if helper.has_pairs then
    it("is walked by pairs as member, true", function ()
      local s = fresh()
      s.b, s.a = true, true
      assert.are.same({ { "a", true }, { "b", true } },
        helper.collect(true, pairs(s)))
    end)
  end
end)

describe("set.add, remove and has", function ()
  helper.watch()

  it("say whether they changed anything", function ()
    local s = fresh()
    assert.is_true(set.add(s, "x"))
    assert.is_false(set.add(s, "x"))
    assert.is_true(set.has(s, "x"))
    assert.is_true(set.remove(s, "x"))
    assert.is_false(set.remove(s, "x"))
    assert.is_false(set.has(s, "x"))
    assert.is_false(set.has(s, nil))
    fails("BAD_KEY", set.add, s)
  end)

  it("do it for long members that hash alike", function ()
    local s = fresh { hash = function () return "\7" end }
    local long = ("m"):rep(700)
    for i = 1, 20 do assert.is_true(set.add(s, long .. i)) end
    for i = 1, 20 do assert.is_false(set.add(s, long .. i)) end
    assert.are.equal(20, #s)
    assert.is_false(set.remove(s, long))
    assert.is_true(set.remove(s, long .. 7))
    assert.is_nil(s[long .. 7])
    assert.is_true(s[long .. 8])
    assert.are.equal(19, #members(s))
  end)
end)

describe("set.pop", function ()
  helper.watch()

  it("takes a member out, nil when empty", function ()
    local s = fresh()
    assert.is_nil(set.pop(s))
    set.add_many(s, { 1, 2, "a", { 1 } })
    local got = {}
    for i = 1, 4 do
      local x = set.pop(s)
      assert.is_not_nil(x)
      assert.is_nil(s[x])
      assert.are.equal(4 - i, #s)
      got[type(x) == "table" and "tuple" or x] = true
    end
    assert.are.same({ true, true, a = true, tuple = true }, got)
    assert.is_nil(set.pop(s))
  end)

  it("takes false as a member too", function ()
    local s = fresh()
    s[false] = true
    assert.is_false(set.pop(s))
    assert.is_nil(set.pop(s))
  end)
end)

describe("set.add_many and remove_many", function ()
  helper.watch()

  it("take an array and give the number that changed", function ()
    local s = fresh()
    assert.are.equal(3, set.add_many(s, { "a", "b", 1 }))
    assert.are.equal(1, set.add_many(s, { "b", "c", "b" }))
    assert.are.same({ 1, "a", "b", "c" }, members(s))
    assert.are.equal(2, set.remove_many(s, { "a", "z", 1, "a" }))
    assert.are.same({ "b", "c" }, members(s))
    assert.are.equal(0, set.add_many(s, {}))
    assert.are.equal(0, set.remove_many(s, {}))
  end)

  it("take a set, also an expression, of this store or another",
    function ()
      local s, store = fresh()
      local t, other = store:set "t", fresh()
      set.add_many(t, { 1, 2, 3, ("k"):rep(700) })
      set.add_many(other, { 3, 4 })
      assert.are.equal(4, set.add_many(s, t))
      assert.are.equal(1, set.add_many(s, other))
      assert.are.same({ 1, 2, 3, 4, ("k"):rep(700) }, members(s))
      assert.are.equal(2, set.remove_many(s, other))
      assert.are.equal(3, set.remove_many(s, s))
      assert.are.equal(0, #s)
      assert.are.equal(5, set.add_many(s, t + other))
    end)

  it("take an iterator function", function ()
    local s = fresh()
    assert.are.equal(3, set.add_many(s, each { "c", { 1 }, "a" }))
    assert.are.same({ "a", "c", { 1 } }, members(s))
    assert.are.equal(2, set.remove_many(s, each { { 1 }, "c", "x" }))
    assert.are.same({ "a" }, members(s))
  end)

  it("change all or nothing", function ()
    local s = fresh()
    s.a = true
    fails("BAD_KEY", set.add_many, s, { "b", print })
    fails("BAD_KEY", set.remove_many, s, { "a", 0 / 0 })
    local mine = {}
    local n = 0
    local ok, e = pcall(set.add_many, s, function ()
      n = n + 1
      if n == 3000 then error(mine) end
      return n
    end)
    assert.is_false(ok)
    assert.are.equal(mine, e)
    assert.are.same({ "a" }, members(s))
    fails("BAD_ARGUMENT", set.add_many, s)
    fails("BAD_ARGUMENT", set.add_many, s, "abc")
    fails("BAD_ARGUMENT", set.remove_many, s, 1)
    s.b = true
    assert.are.equal(2, #s)
  end)
end)

describe("set.each, count, first, last and the rest", function ()
  helper.watch()

  it("each walks members in order, and ranges of them", function ()
    local s = fresh()
    set.add_many(s, { "a", "b", "c", "d", "e" })
    assert.are.same({ "a", "b", "c", "d", "e" }, members(s))
    assert.are.same({ "d", "c" },
      members(s, { from = "c", before = "e", reverse = true }))
    assert.are.same({ "b" }, members(s, { prefix = "b" }))
    assert.are.same({ "a", "b" }, members(s, { limit = 2 }))
    fails("BAD_ARGUMENT", set.each, s, { form = "a" })
    assert.are.equal(2, set.count(s, { from = "d" }))
    assert.are.equal(5, set.count(s))
    assert.are.equal(5, set.len(s))
    assert.are.equal("a", set.first(s))
    assert.are.equal("e", set.last(s))
  end)

  it("first and last of an empty set are nil", function ()
    local s = fresh()
    assert.is_nil(set.first(s))
    assert.is_nil(set.last(s))
    s[false] = true
    assert.is_false(set.first(s))
    assert.is_false(set.last(s))
  end)

  it("each lets the set change meanwhile", function ()
    local s = fresh()
    local i = 0
    set.add_many(s, function ()
      i = i + 1
      if i <= 5000 then return i end
    end)
    local n = 0
    for x in set.each(s) do
      n = n + 1
      assert.are.equal(n, x)
      s[x] = nil
      s[x - 0.5] = true
    end
    assert.are.equal(5000, n)
    assert.are.equal(5000, #s)
    assert.are.equal(5000, set.clear(s))
    assert.are.equal(0, #s)
    assert.are.equal(0, set.clear(s))
  end)

  it("each with snapshot = true sees one moment", function ()
    local s = fresh()
    set.add_many(s, { 1, 2, 3 })
    local got = {}
    for x in set.each(s, { snapshot = true }) do
      set.clear(s)
      got[#got + 1] = x
    end
    assert.are.same({ 1, 2, 3 }, got)
  end)

  it("copy makes a new set in the same store", function ()
    local s, store = fresh { key = "string" }
    set.add_many(s, { "a", ("k"):rep(700) })
    local t = set.copy(s, "t")
    assert.are.same(members(s), members(t))
    t.b = true
    assert.is_nil(s.b)
    assert.are.equal("t", set.name(t))
    fails("BAD_KEY", function () t[1] = true end)
    assert.is_true(store:set("t").b)
    fails("INCOMPATIBLE", set.copy, s, "t")
    fails("INCOMPATIBLE", set.copy, s, "s")
    assert.are.equal(3, #t)
  end)

  it("totable gives a table of member = true", function ()
    local s = fresh()
    set.add_many(s, { "a", 1, false })
    assert.are.same({ a = true, [1] = true, [false] = true },
      set.totable(s))
    assert.are.same({}, set.totable(s - s))
  end)

  it("name and stats tell what it is", function ()
    local s = fresh()
    s.a = true
    assert.are.equal("s", set.name(s))
    assert.are.equal(1, set.stats(s).entries)
    assert.is_true(set.stats(s).size > 0)
  end)

  it("is kept for the next open, and for other processes", function ()
    local s, store = fresh()
    set.add_many(s, { "a", 2, { "t" } })
    assert.are.equal("3 true", helper.run([[
      local lode = require "lode"
      local s = lode.open(...):set "s"
      print(#s .. " " .. tostring(s[{ "t" }]))
    ]], store:path()))
  end)
end)

describe("a member and a dict of one store", function ()
  helper.watch()

  it("keep out of each other's way", function ()
    local s, store = fresh()
    local d = store:dict "d"
    s.a, d.a = true, 1
    s.a = nil
    assert.are.equal(1, d.a)
    dict.clear(d)
    s.b = true
    assert.are.equal(1, #s)
    assert.are.equal(0, #d)
  end)
end)

describe("the option key of a set", function ()
  helper.watch()

  it("is the type each member must have", function ()
    local s = fresh { key = "integer" }
    s[1] = true
    says(fails("BAD_KEY", function () s.a = true end), "integer")
    fails("BAD_KEY", set.add, s, 1.5)
    fails("BAD_KEY", set.add_many, s, { 2, "a" })
    assert.are.same({ 1 }, members(s))
  end)
end)
