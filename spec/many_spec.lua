-- The functions of lode.dict on many entries: API.md, "Dicts".

local helper = require "support.helper"
local lode = require "lode"

local dict = lode.dict
local fails, open = helper.fails, helper.open

local function fresh (options)
  local store = open()
  return store:dict("d", options), store
end

-- An iterator function over an array of { key, value }.
local function each (entries)
  local i = 0
  return function ()
    i = i + 1
    if entries[i] then return entries[i][1], entries[i][2] end
  end
end

describe("dict.put_many", function ()
  helper.watch()

  it("takes a table by key and gives the number written", function ()
    local d = fresh()
    d.a = 0
    assert.are.equal(3, dict.put_many(d, { a = 1, b = { 2 }, [3] = "c" }))
    assert.are.same({ a = 1, b = { 2 }, [3] = "c" }, dict.totable(d))
    assert.are.equal(0, dict.put_many(d, {}))
  end)

  it("takes a dict, of this store or another", function ()
    local d, store = fresh()
    local e, other = store:dict "e", fresh()
    local long = ("k"):rep(5000)
    for i = 1, 500 do e[i] = { i } end
    e[{ "t", 1 }], e[long] = "tuple", "long"
    assert.are.equal(502, dict.put_many(d, e))
    assert.are.equal(502, dict.put_many(other, e))
    for _, got in ipairs { d, other } do
      assert.are.same({ 500 }, got[500])
      assert.are.equal("tuple", got[{ "t", 1 }])
      assert.are.equal("long", got[long])
      assert.are.equal(502, #got)
    end
    assert.are.equal(502, dict.put_many(d, d))
    assert.are.equal(502, #d)
  end)

  it("takes an iterator function giving key, value", function ()
    local d = fresh()
    assert.are.equal(3, dict.put_many(d, each {
      { { "t", 2 }, "x" }, { "b", 2 }, { 1, false } }))
    assert.are.equal("x", d[{ "t", 2 }])
    assert.are.equal(2, d.b)
    assert.is_false(d[1])
    assert.are.equal(3, #d)
  end)

  it("keeps the last of equal keys", function ()
    local d = fresh()
    dict.put_many(d, each { { "a", 1 }, { "b", 1 }, { "a", 2 },
      { "a", 3 } })
    assert.are.same({ a = 3, b = 1 }, dict.totable(d))
  end)

  it("takes keys in any order, and many of them", function ()
    local d = fresh()
    local n = 0
    assert.are.equal(20000, dict.put_many(d, function ()
      n = n + 1
      if n <= 20000 then return n * 7919 % 20011, n end
    end))
    assert.are.equal(20000, #d)
    local last = -1
    for k in dict.keys(d) do
      assert.is_true(k > last)
      last = k
    end
    local i = 0
    assert.are.equal(1000, dict.put_many(d, function ()
      i = i + 1
      if i <= 1000 then return 30000 + i, i end
    end))
    assert.are.equal(21000, #d)
    assert.are.equal(1000, d[31000])
  end)

  it("writes all or nothing", function ()
    local d, store = fresh()
    d.a = 1
    local before = store:version()
    fails("BAD_VALUE", dict.put_many, d, each {
      { "a", 2 }, { "b", 2 }, { "c", print } })
    fails("BAD_KEY", dict.put_many, d, each {
      { "a", 2 }, { 0 / 0, 2 } })
    fails("BAD_VALUE", dict.put_many, d, { a = 2, f = print })
    local mine = {}
    local n = 0
    local ok, e = pcall(dict.put_many, d, function ()
      n = n + 1
      if n == 5000 then error(mine) end
      return n, ("x"):rep(100)
    end)
    assert.is_false(ok)
    assert.are.equal(mine, e)
    assert.are.same({ a = 1 }, dict.totable(d))
    assert.are.equal(before, store:version())
    d.a = 2
    assert.are.equal(2, d.a)
  end)

  it("lets the iterator read the dict that is written", function ()
    local d = fresh()
    for i = 1, 3000 do d[i] = i end
    local walk = dict.pairs(d)
    assert.are.equal(3000, dict.put_many(d, function ()
      local k, v = walk()
      if k then return k, v + d[k] end
    end))
    for i = 1, 3000, 100 do assert.are.equal(2 * i, d[i]) end
  end)

  it("raises BAD_ARGUMENT for anything else", function ()
    local d = fresh()
    fails("BAD_ARGUMENT", dict.put_many, d)
    fails("BAD_ARGUMENT", dict.put_many, d, "a")
    fails("BAD_ARGUMENT", dict.put_many, d, 1)
  end)
end)

describe("dict.get_many", function ()
  helper.watch()

  it("gives found by key, and missing in order", function ()
    local d = fresh()
    d.a, d.b, d[1], d.no = 1, { 2 }, "one", false
    local found, missing = dict.get_many(d,
      { "z", "a", "b", 1, "y", "no", 2 })
    assert.are.same({ a = 1, b = { 2 }, [1] = "one", no = false }, found)
    assert.are.same({ "z", "y", 2 }, missing)
    found, missing = dict.get_many(d, {})
    assert.are.same({}, found)
    assert.are.same({}, missing)
  end)

  it("gives found by the very tuple that was asked for", function ()
    local d = fresh()
    d[{ "x", 1 }] = "found"
    local here, absent = { "x", 1 }, { "x", 2 }
    local found, missing = dict.get_many(d, { here, absent })
    assert.are.equal("found", found[here])
    assert.are.equal(absent, missing[1])
    assert.are.equal(1, #missing)
  end)

  it("raises for what is no array of keys", function ()
    local d = fresh()
    fails("BAD_ARGUMENT", dict.get_many, d)
    fails("BAD_ARGUMENT", dict.get_many, d, "a")
    fails("BAD_KEY", dict.get_many, d, { "a", print })
  end)
end)

describe("dict.delete_many", function ()
  helper.watch()

  it("gives the number removed", function ()
    local d = fresh()
    d.a, d.b, d.c, d[{ 1 }] = 1, 2, 3, 4
    assert.are.equal(3, dict.delete_many(d, { "a", "z", "c", { 1 }, "a" }))
    assert.are.same({ b = 2 }, dict.totable(d))
    assert.are.equal(0, dict.delete_many(d, {}))
    assert.are.equal(0, dict.delete_many(d, { "a", "c" }))
  end)

  it("removes all or nothing", function ()
    local d = fresh()
    d.a, d.b = 1, 2
    fails("BAD_KEY", dict.delete_many, d, { "a", print })
    assert.are.equal(2, #d)
    fails("BAD_ARGUMENT", dict.delete_many, d, "a")
    fails("BAD_ARGUMENT", dict.delete_many, d)
  end)
end)

describe("dict.clear", function ()
  helper.watch()

  it("removes every entry and gives their number", function ()
    local d, store = fresh()
    assert.are.equal(0, dict.clear(d))
    for i = 1, 1000 do d[i] = i end
    d[("k"):rep(5000)] = 1
    local e = store:dict "e"
    e.a = 1
    assert.are.equal(1001, dict.clear(d))
    assert.are.equal(0, #d)
    assert.is_nil(dict.first(d))
    assert.is_nil(d[1])
    assert.are.equal(1, e.a)
    d.a = 1
    assert.are.same({ a = 1 }, dict.totable(d))
  end)
end)

describe("dict.len", function ()
  helper.watch()

  it("counts the entries, long keys too", function ()
    local d = fresh()
    for i = 1, 50 do
      d[("k"):rep(600) .. i] = i
      d[i] = i
      assert.are.equal(2 * i, dict.len(d))
      assert.are.equal(2 * i, #d)
    end
    for i = 1, 50 do d[("k"):rep(600) .. i] = nil end
    assert.are.equal(50, dict.len(d))
    assert.are.equal(50, dict.count(d))
  end)

  it("counts as its own transaction sees it", function ()
    local d, store = fresh()
    d.a = 1
    pcall(store.transaction, store, function ()
      d.b = 1
      assert.are.equal(2, #d)
      d.a, d.b = nil, nil
      assert.are.equal(0, #d)
      error "back"
    end)
    assert.are.equal(1, #d)
  end)
end)
