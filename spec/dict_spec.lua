-- The face of a dict and the functions of lode.dict on one key:
-- API.md, "Dicts".

local exact = require "support.exact"
local helper = require "support.helper"
local lode = require "lode"

local dict = lode.dict
local fails, says, open = helper.fails, helper.says, helper.open

local function fresh (options)
  local store = open()
  return store:dict("d", options), store
end

describe("a dict as a table", function ()
  helper.watch()

  it("reads, writes and deletes by index", function ()
    local d = fresh()
    assert.is_nil(d.a)
    d.a = 1
    assert.are.equal(1, d.a)
    d.a = 2
    assert.are.equal(2, d.a)
    d.a = nil
    assert.is_nil(d.a)
    d.a = nil
    assert.are.equal(0, #d)
  end)

  it("counts its entries with #", function ()
    local d = fresh()
    assert.are.equal(0, #d)
    d.a, d.b, d[1], d[{ 1, 2 }] = 1, 2, 3, 4
    assert.are.equal(4, #d)
    d.a = 5
    assert.are.equal(4, #d)
    d.a = nil
    assert.are.equal(3, #d)
  end)

  it("keeps false, which is a value", function ()
    local d = fresh()
    d.no = false
    assert.is_false(d.no)
    assert.is_true(dict.has(d, "no"))
    assert.is_false(dict.get(d, "no", "default"))
    assert.are.equal(1, #d)
    assert.is_false(dict.setdefault(d, "no", 1))
    assert.is_false(dict.pop(d, "no", 1))
  end)

  it("tells its name in tostring", function ()
    local d, store = fresh()
    helper.says(d, "dict", "d")
    store:drop "d"
    assert.are.equal("string", type(tostring(d)))
  end)

  it("has one content however many handles it has", function ()
    local d, store = fresh()
    local e = store:dict "d"
    d.a = 1
    assert.are.equal(1, e.a)
    e.a = 2
    assert.are.equal(2, d.a)
  end)

  if helper.has_pairs then
    it("is walked by pairs in order", function ()
      local d = fresh()
      d.b, d.a, d[2], d[true] = 1, 2, 3, 4
      local got = {}
      for k, v in pairs(d) do got[#got + 1] = { k, v } end
      assert.are.same({ { true, 4 }, { 2, 3 }, { "a", 2 }, { "b", 1 } }, got)
    end)
  end

  if _VERSION >= "Lua 5.3" then
    it("works with ipairs and the functions of table", function ()
      local d = fresh { key = "integer" }
      for _, v in ipairs { "a", "b", "c" } do table.insert(d, v) end
      assert.are.equal(3, #d)
      assert.are.equal("b", d[2])
      assert.are.same({ "a", "b", "c" }, { table.unpack(d) })
      assert.are.equal("a,b,c", table.concat(d, ","))
      table.insert(d, 1, "z")
      assert.are.same({ "z", "a", "b", "c" }, dict.totable(d))
      assert.are.equal("a", table.remove(d, 2))
      assert.are.equal("c", table.remove(d))
      local got = {}
      for i, v in ipairs(d) do got[i] = v end
      assert.are.same({ "z", "b" }, got)
      table.sort(d)
      assert.are.same({ "b", "z" }, dict.totable(d))
      table.move({ 7, 8 }, 1, 2, 3, d)
      assert.are.same({ "b", "z", 7, 8 }, dict.totable(d))
    end)
  end
end)

describe("every key of a dict", function ()
  helper.watch()

  local names = { "get", "set", "clear", "__index", "__newindex", "__len",
    "len", "pairs", "__gc", "__close", "__name", "__pairs", "__tostring",
    "__metatable", "__eq", "__mode", "close", "name", "delete", "add", "n" }

  it("belongs to the user: indexing never answers with a method",
    function ()
      local d, store = fresh()
      for _, name in ipairs(names) do assert.is_nil(d[name], name) end
      for name in pairs(dict) do assert.is_nil(d[name], name) end
      for name in pairs(lode.set) do assert.is_nil(d[name], name) end
      for name in pairs(getmetatable("").__index) do
        assert.is_nil(d[name], name)
      end
      assert.is_nil(store:set("s").add)
      assert.is_nil(store:set("s").__index)
    end)

  it("works as any other, whatever its name", function ()
    local d = fresh()
    for i, name in ipairs(names) do d[name] = { i, name } end
    assert.are.equal(#names, #d)
    for i, name in ipairs(names) do
      assert.are.same({ i, name }, d[name])
      assert.are.same({ i, name }, dict.get(d, name))
      assert.is_true(dict.has(d, name))
    end
    local sorted = { (unpack or table.unpack)(names) }
    table.sort(sorted)
    assert.are.same(sorted, helper.keys(d))
    helper.says(d, "dict")
    for _, name in ipairs(names) do d[name] = nil end
    assert.are.equal(0, #d)
    collectgarbage()
    d.a = 1
    assert.are.equal(1, d.a)
  end)

  it("is all a script gets that is handed the dict alone", function ()
    local d, store = fresh()
    local other = store:dict "other"
    other.secret = 1
    local script = [[
      local d = ...
      d.seen = (d.seen or 0) + 1
      local found = {}
      for _, name in next, { "clear", "close", "drop", "store", "dict",
          "transaction", "__index", "__gc", "__close", "__metatable" } do
        if d[name] ~= nil then found[#found + 1] = name end
      end
      return d.seen, #found
    ]]
    local run
    if setfenv then
      run = setfenv(loadstring(script), { next = next })
    else
      run = load(script, "script", "t", { next = next })
    end
    assert.are.equal(1, (run(d)))
    local seen, found = run(d)
    assert.are.equal(2, seen)
    assert.are.equal(0, found)
    assert.are.equal(2, d.seen)
    -- nor does the metatable show what a script should not have
    assert.are_not.equal("table", type(getmetatable(d)))
    assert.are_not.equal("table", type(getmetatable(store:set "s")))
    assert.are_not.equal("table", type(getmetatable(store)))
  end)

  it("is refused to a function of dict that is handed something else",
    function ()
      local d, store = fresh()
      local s = store:set "s"
      for _, fn in pairs(dict) do
        fails("BAD_ARGUMENT", fn)
        fails("BAD_ARGUMENT", fn, {}, "a", 1)
        fails("BAD_ARGUMENT", fn, "d", "a", 1)
        fails("BAD_ARGUMENT", fn, s, "a", 1)
        says(fails("BAD_ARGUMENT", fn, io.stdout, "a", 1), "dict", "#1")
      end
      for _, fn in pairs(lode.set) do
        says(fails("BAD_ARGUMENT", fn, d, "a"), "set", "#1")
      end
      assert.are.equal(0, #d)
    end)
end)

describe("dict.get and dict.set", function ()
  helper.watch()

  it("get gives the value or the default", function ()
    local d = fresh()
    assert.is_nil(dict.get(d, "a"))
    assert.are.equal(7, dict.get(d, "a", 7))
    local default = {}
    assert.are.equal(default, dict.get(d, "a", default))
    d.a = 1
    assert.are.equal(1, dict.get(d, "a", 7))
    assert.is_nil(dict.get(d, nil))
    assert.are.equal(7, dict.get(d, nil, 7))
  end)

  it("set gives nothing, and deletes with nil", function ()
    local d = fresh()
    assert.are.equal(0, select("#", dict.set(d, "a", 1)))
    assert.are.equal(1, d.a)
    assert.are.equal(0, select("#", dict.set(d, "a", nil)))
    assert.is_false(dict.has(d, "a"))
  end)
end)

describe("dict.add and dict.replace", function ()
  helper.watch()

  it("add gives true, or false when the key exists", function ()
    local d = fresh()
    assert.is_true(dict.add(d, "a", 1))
    assert.is_false(dict.add(d, "a", 2))
    assert.are.equal(1, d.a)
    d.a = nil
    assert.is_true(dict.add(d, "a", 3))
    assert.are.equal(3, d.a)
  end)

  it("replace gives true, or false when the key is absent", function ()
    local d = fresh()
    assert.is_false(dict.replace(d, "a", 1))
    assert.is_nil(d.a)
    d.a = 1
    assert.is_true(dict.replace(d, "a", 2))
    assert.are.equal(2, d.a)
  end)

  it("do it for long keys too", function ()
    local d = fresh()
    local key = ("k"):rep(3000)
    assert.is_false(dict.replace(d, key .. "1", 1))
    assert.is_true(dict.add(d, key .. "1", 1))
    assert.is_true(dict.add(d, key .. "2", 2))
    assert.is_false(dict.add(d, key .. "1", 3))
    assert.is_true(dict.replace(d, key .. "2", 4))
    assert.are.equal(1, d[key .. "1"])
    assert.are.equal(4, d[key .. "2"])
  end)
end)

describe("dict.delete, dict.has and dict.pop", function ()
  helper.watch()

  it("delete gives true when there was one", function ()
    local d = fresh()
    assert.is_false(dict.delete(d, "a"))
    d.a = 1
    assert.is_true(dict.delete(d, "a"))
    assert.is_false(dict.delete(d, "a"))
    assert.is_nil(d.a)
  end)

  it("has gives a boolean and decodes nothing", function ()
    local decoded = 0
    local d = fresh { serializer = { name = "counting",
      encode = function (v) return tostring(v) end,
      decode = function (s) decoded = decoded + 1 return s end } }
    assert.is_false(dict.has(d, "a"))
    d.a = "x"
    assert.is_true(dict.has(d, "a"))
    assert.is_false(dict.has(d, nil))
    assert.are.equal(0, decoded)
    assert.are.equal("x", d.a)
    assert.are.equal(1, decoded)
  end)

  it("pop takes the value out, or gives the default", function ()
    local d = fresh()
    assert.is_nil(dict.pop(d, "a"))
    assert.are.equal(7, dict.pop(d, "a", 7))
    d.a = { 1 }
    assert.are.same({ 1 }, dict.pop(d, "a", 7))
    assert.are.equal(0, #d)
  end)

  it("popitem takes the first or last entry out", function ()
    local d = fresh()
    assert.is_nil((dict.popitem(d)))
    for i = 1, 4 do d[i] = i * 10 end
    assert.are.same({ 1, 10 }, { dict.popitem(d) })
    assert.are.same({ 4, 40 }, { dict.popitem(d, "last") })
    assert.are.same({ 2, 20 }, { dict.popitem(d, "first") })
    assert.are.same({ 3, 30 }, { dict.popitem(d, "last") })
    assert.is_nil((dict.popitem(d, "last")))
    fails("BAD_ARGUMENT", dict.popitem, d, "middle")
    fails("BAD_ARGUMENT", dict.popitem, d, 1)
  end)
end)

describe("dict.setdefault and dict.incr", function ()
  helper.watch()

  it("setdefault gives what is there afterwards", function ()
    local d = fresh()
    assert.are.equal(1, dict.setdefault(d, "a", 1))
    assert.are.equal(1, dict.setdefault(d, "a", 2))
    assert.are.equal(1, d.a)
    assert.are.same({ 1 }, dict.setdefault(d, "t", { 1 }))
  end)

  it("incr gives the new number", function ()
    local d = fresh()
    assert.are.equal(1, dict.incr(d, "n"))
    assert.are.equal(2, dict.incr(d, "n"))
    assert.are.equal(12, dict.incr(d, "n", 10))
    assert.are.equal(7, dict.incr(d, "n", -5))
    assert.are.equal(7, d.n)
    assert.are.equal(101, dict.incr(d, "m", 1, 100))
    assert.are.equal(102, dict.incr(d, "m", 1, 100))
    assert.are.equal(102.5, dict.incr(d, "m", 0.5))
  end)

  if helper.integers then
    it("incr keeps integers integers, as + does", function ()
      local d = fresh()
      dict.incr(d, "n")
      assert.are.equal("integer", math.type(d.n))
      dict.incr(d, "n", 1.0)
      assert.are.equal("float", math.type(d.n))
      d.big = math.maxinteger - 1
      assert.are.equal(math.maxinteger, dict.incr(d, "big"))
      d.f = 1.5
      assert.are.equal("float", math.type(dict.incr(d, "f", 2)))
    end)
  end

  it("incr raises BAD_VALUE when there is no number there", function ()
    local d = fresh()
    d.s, d.t, d.b = "12", {}, false
    for key, value in pairs { s = "12", t = {}, b = false } do
      says(fails("BAD_VALUE", dict.incr, d, key), key)
      assert.are.same(value, d[key])
    end
    fails("BAD_ARGUMENT", dict.incr, d, "n", "1")
    fails("BAD_ARGUMENT", dict.incr, d, "n", 1, {})
    assert.is_nil(d.n)
    d.n = 1
    assert.are.equal(2, dict.incr(d, "n"))
  end)
end)

describe("dict.cas", function ()
  helper.watch()

  it("writes when the stored value equals the expected", function ()
    local d = fresh()
    d.a = 1
    assert.is_false(dict.cas(d, "a", 2, 3))
    assert.are.equal(1, d.a)
    assert.is_true(dict.cas(d, "a", 1, 3))
    assert.are.equal(3, d.a)
  end)

  it("compares by content", function ()
    local d = fresh()
    d.a = { plan = "pro", tags = { "x", "y" } }
    assert.is_false(dict.cas(d, "a", { plan = "pro" }, 1))
    assert.is_false(dict.cas(d, "a",
      { plan = "pro", tags = { "x", "z" } }, 1))
    assert.is_true(dict.cas(d, "a",
      { tags = { "x", "y" }, plan = "pro" }, 1))
    assert.are.equal(1, d.a)
    d.s = "1"
    assert.is_false(dict.cas(d, "s", 1, 2))
    assert.are.equal("1", d.s)
  end)

  it("compares tables whatever the order they were built in", function ()
    local d = fresh()
    local one, two = {}, {}
    for i = 1, 100 do one["k" .. i] = i end
    for i = 100, 1, -1 do two["k" .. i] = i end
    d.a = one
    assert.is_true(dict.cas(d, "a", two, "done"))
  end)

  it("takes nil for absent, on both sides", function ()
    local d = fresh()
    assert.is_true(dict.cas(d, "a", nil, 1))
    assert.is_false(dict.cas(d, "a", nil, 2))
    assert.are.equal(1, d.a)
    assert.is_true(dict.cas(d, "a", 1, nil))
    assert.is_false(dict.has(d, "a"))
    assert.is_true(dict.cas(d, "a", nil, nil))
    d.f = false
    assert.is_false(dict.cas(d, "f", nil, 1))
    assert.is_true(dict.cas(d, "f", false, 1))
  end)
end)

describe("dict.update", function ()
  helper.watch()

  it("reads, calls, writes the result and returns it", function ()
    local d = fresh()
    local olds = {}
    local function next_one (old)
      olds[#olds + 1] = old or "none"
      return (old or 0) + 1
    end
    assert.are.equal(1, dict.update(d, "a", next_one))
    assert.are.equal(2, dict.update(d, "a", next_one))
    assert.are.equal(2, d.a)
    assert.are.same({ "none", 1 }, olds)
    local given = dict.update(d, "t", function () return { 1 } end)
    assert.are.same({ 1 }, given)
  end)

  it("deletes with nil", function ()
    local d = fresh()
    d.a = 1
    assert.is_nil(dict.update(d, "a", function () return nil end))
    assert.is_false(dict.has(d, "a"))
    assert.is_nil(dict.update(d, "a", function () end))
  end)

  it("runs the function once", function ()
    local d = fresh()
    local runs = 0
    dict.update(d, "a", function () runs = runs + 1 return runs end)
    assert.are.equal(1, runs)
  end)

  it("changes nothing when the function raises, and passes it on",
    function ()
      local d, store = fresh()
      d.a = 1
      local mine = setmetatable({}, { __tostring = function ()
        return "mine"
      end })
      local ok, e = pcall(dict.update, d, "a", function (v)
        v = v + 1
        error(mine)
        return v
      end)
      assert.is_false(ok)
      assert.are.equal(mine, e)
      assert.are.equal(1, d.a)
      d.a = 2
      local other = open({ lock_timeout = 1 }, store:path())
      other:dict("d").a = 3
      assert.are.equal(3, d.a)
    end)

  it("changes nothing when the result can't be stored", function ()
    local d = fresh()
    d.a = 1
    fails("BAD_VALUE", dict.update, d, "a", function () return print end)
    assert.are.equal(1, d.a)
    d.a = 2
    assert.are.equal(2, d.a)
  end)

  it("lets the function read the store", function ()
    local d, store = fresh()
    d.a, d.b = 1, 10
    local e = store:dict "e"
    e.c = 100
    dict.update(d, "a", function (v)
      assert.are.equal(1, d.a)
      for _, x in dict.pairs(d) do v = v + x end
      return v + e.c
    end)
    assert.are.equal(112, d.a)
  end)

  it("raises REENTRY for a write within the function", function ()
    local d, store = fresh()
    local other = open({ lock_timeout = 1 }, store:path()):dict "d"
    local s = store:set "s"
    d.a = 1
    for _, write in ipairs {
      function () d.b = 1 end,
      function () d.a = nil end,
      function () other.b = 1 end,
      function () s.x = true end,
      function () store:drop "s" end,
      function () store:dict "new" end,
      function () store:transaction(function () d.b = 1 end) end,
      function () dict.update(d, "b", function () return 1 end) end,
      function () dict.clear(d) end,
    } do
      fails("REENTRY", dict.update, d, "a", function () write() end)
      assert.are.same({ a = 1 }, dict.totable(d))
      d.a = 1 -- no lock is left
    end
    assert.are.equal(2, dict.update(d, "a", function (v)
      pcall(function () d.b = 1 end)
      return v + 1
    end))
    assert.are.same({ a = 2 }, dict.totable(d))
  end)

  it("lets the function write to another store", function ()
    local d = fresh()
    local e = fresh()
    dict.update(d, "a", function ()
      e.x = 1
      return dict.incr(e, "y")
    end)
    assert.are.equal(1, d.a)
    assert.are.equal(1, e.x)
  end)

  it("raises at a yield and leaves no lock", function ()
    local d, store = fresh()
    d.a = 1
    local co = coroutine.create(function ()
      dict.update(d, "a", function ()
        coroutine.yield()
        return 2
      end)
    end)
    assert.is_false((coroutine.resume(co)))
    assert.are.equal(1, d.a)
    open({ lock_timeout = 1 }, store:path()):dict("d").a = 3
    assert.are.equal(3, d.a)
  end)

  it("wants a function", function ()
    local d = fresh()
    fails("BAD_ARGUMENT", dict.update, d, "a")
    fails("BAD_ARGUMENT", dict.update, d, "a", {})
    fails("BAD_KEY", dict.update, d, nil, function () return 1 end)
  end)
end)

describe("dict.copy, totable, name and stats", function ()
  helper.watch()

  it("copy makes a new dict in the same store", function ()
    local d, store = fresh { value = "table" }
    local long = ("k"):rep(2000)
    d.a, d.b, d[long] = { 1 }, { 2 }, { 3 }
    local e = dict.copy(d, "e")
    assert.are.equal("e", dict.name(e))
    assert.are.equal(3, #e)
    e.a = { 9 }
    e.b = nil
    assert.are.same({ 1 }, d.a)
    assert.are.same({ 2 }, d.b)
    assert.are.same({ 3 }, store:dict("e")[long])
    fails("BAD_VALUE", function () e.x = 1 end)
  end)

  it("copy raises INCOMPATIBLE when the name is taken", function ()
    local d, store = fresh()
    d.a = 1
    store:dict("taken").b = 2
    fails("INCOMPATIBLE", dict.copy, d, "taken")
    fails("INCOMPATIBLE", dict.copy, d, "d")
    assert.are.same({ b = 2 }, dict.totable(store:dict "taken"))
    assert.are.same({ a = 1 }, dict.totable(d))
    fails("BAD_ARGUMENT", dict.copy, d)
    fails("BAD_ARGUMENT", dict.copy, d, "")
  end)

  it("totable gives a plain Lua table", function ()
    local d = fresh()
    assert.are.same({}, dict.totable(d))
    d.a, d[1], d[false] = { x = 1 }, "one", 0.5
    local t = dict.totable(d)
    assert.is_nil(getmetatable(t))
    exact.check({ a = { x = 1 }, [1] = "one", [false] = 0.5 }, t)
  end)

  it("name gives the collection's name", function ()
    local d, store = fresh()
    assert.are.equal("d", dict.name(d))
    assert.are.equal("x y", dict.name(store:dict "x y"))
  end)

  it("stats tells entries and size", function ()
    local d = fresh()
    for i = 1, 200 do d[i] = ("x"):rep(100) end
    local stats = dict.stats(d)
    assert.are.equal(200, stats.entries)
    assert.is_true(stats.size >= 20000)
    assert.is_true(stats.size < 200000)
  end)
end)
