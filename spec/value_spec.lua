-- Values, their types and serializers: API.md, "Dicts".

local exact = require "support.exact"
local helper = require "support.helper"
local lode = require "lode"

local dict = lode.dict
local fails, says, open = helper.fails, helper.says, helper.open
local huge = math.huge

local function fresh (options)
  local store = open()
  return store:dict("d", options), store
end

describe("values", function ()
  helper.watch()

  local every_byte = {}
  for i = 0, 255 do every_byte[i + 1] = string.char(i) end
  every_byte = table.concat(every_byte)

  local good = {
    scalars = { true, false, 0, 1, -1, 127, 128, 255, 256, -32, -33, -128,
      -129, 65535, 65536, -32768, -32769, 2 ^ 31, -2 ^ 31, 2 ^ 32,
      2 ^ 53, -2 ^ 53, 2 ^ 63, 0.1, -1.5, 1e300, 5e-324, huge, -huge,
      0 / 0, -1 / huge, "", "a", "\0", every_byte },
    strings = { ("s"):rep(31), ("s"):rep(32), ("s"):rep(255),
      ("s"):rep(256), ("s"):rep(65535), ("s"):rep(65536),
      ("s"):rep(3000000), { ("s"):rep(31), ("s"):rep(32),
        ("s"):rep(256), ("s"):rep(70000) } },
    tables = { {}, { 1, 2, 3 }, { a = 1 }, { { {} } }, { 1, a = 1 },
      { [0] = 0 }, { [1] = 1, [3] = 3 }, { [1000000] = 1 }, { [-1] = 1 },
      { [1.5] = 1 }, { [true] = 1, [false] = 2 }, { false, true },
      { [2] = "two" }, { a = { b = { c = { d = {} } } } },
      { ["1"] = 1, [1] = "1" }, { [huge] = 1 }, { [""] = "" },
      { [every_byte] = every_byte }, { [2 ^ 53] = 1 } },
  }

  for name, values in pairs(good) do
    it("come back exactly: " .. name, function ()
      local d = fresh()
      for _, value in ipairs(values) do
        d.v, d.t = value, { v = value, value }
        exact.check(value, d.v, "alone")
        exact.check({ v = value, value }, d.t, "in a table")
      end
    end)
  end

  it("come back exactly: tables of many sizes", function ()
    local d = fresh()
    for _, n in ipairs { 15, 16, 17, 255, 256, 65535, 65536, 100000 } do
      local array, map = {}, {}
      for i = 1, n do
        array[i] = i
        map["k" .. i] = i
      end
      d.a = array
      exact.check(array, d.a, "array of " .. n)
      d.m = map
      exact.check(map, d.m, "map of " .. n)
    end
  end)

  it("come back exactly from another process", function ()
    local d, store = fresh()
    d.v = { 1, "two", { three = 3.5 }, [10] = false }
    assert.are.equal("1 two 3.5 false", helper.run([[
      local v = require("lode").open(...):dict("d").v
      print(v[1] .. " " .. v[2] .. " " .. v[3].three .. " "
        .. tostring(v[10]))
    ]], store:path()))
  end)

  if helper.integers then
    it("keep integers and floats apart", function ()
      local d = fresh()
      local two63 = 2.0 ^ 63
      for _, value in ipairs { 1, 1.0, 0, 0.0, -0.0, math.maxinteger,
        math.mininteger, math.maxinteger - 1, two63, -two63, 2.0 ^ 53,
        helper.eval "1 << 53", helper.eval "(1 << 32) - 1",
        helper.eval "1 << 32", -2147483649, 4294967295.0 } do
        d.v, d.t = value, { value, x = { value } }
        exact.check(value, d.v)
        exact.check({ value, x = { value } }, d.t)
      end
    end)
  end

  it("may be nested to any sane depth", function ()
    local d = fresh()
    local deep = "end"
    for _ = 1, 100 do deep = { deep } end
    d.deep = deep
    local got = d.deep
    for _ = 1, 100 do got = got[1] end
    assert.are.equal("end", got)
    for _ = 1, 100000 do deep = { deep } end
    fails("BAD_VALUE", function () d.deeper = deep end)
    assert.are.equal(1, #d)
  end)

  it("are new plain tables at each read", function ()
    local d = fresh()
    local mine = setmetatable({ a = { 1 } }, { __index = { b = 2 } })
    d.t = mine
    mine.a[1] = 2
    local got = d.t
    assert.are.same({ a = { 1 } }, got)
    assert.is_nil(getmetatable(got))
    got.a[1] = 3
    got.x = 1
    assert.are.same({ a = { 1 } }, d.t)
    assert.are_not.equal(d.t, d.t)
  end)

  it("may hold one table twice, which comes back as two", function ()
    local d = fresh()
    local shared = { 1 }
    d.t = { shared, shared }
    local got = d.t
    assert.are.same({ { 1 }, { 1 } }, got)
    assert.are_not.equal(got[1], got[2])
  end)

  it("are read without asking metamethods", function ()
    local d = fresh()
    local asked = setmetatable({ 1 }, {
      __index = function () error "asked __index" end,
      __len = function () error "asked __len" end,
      __pairs = function () error "asked __pairs" end,
    })
    d.t = asked
    assert.are.same({ 1 }, d.t)
  end)
end)

describe("values that can't be stored", function ()
  helper.watch()

  local cycle = { a = {} }
  cycle.a.back = cycle
  local loop = {}
  loop[1] = loop

  local bad = {
    { print, "value: a function can't be stored" },
    { coroutine.create(function () end), "value: a thread can't be stored" },
    { io.stdout, "value: a userdata can't be stored" },
    { { print }, "value[1]: a function can't be stored" },
    { { cast = print }, "value.cast: a function can't be stored" },
    { { spells = { 1, 2, { cast = print } } },
      "value.spells[3].cast: a function can't be stored" },
    { { ["a b"] = { print } },
      "value[\"a b\"][1]: a function can't be stored" },
    { { [true] = print }, "value[true]: a function can't be stored" },
    { { [1.5] = print }, "value[1.5]: a function can't be stored" },
    { { [-1] = io.stdout }, "value[-1]: a userdata can't be stored" },
    { { a = { [print] = 1 } }, "value.a: " },
    { { a = { [{}] = 1 } }, "value.a: " },
    { cycle, "value.a.back: " },
    { loop, "value[1]: " },
  }

  it("raise BAD_VALUE with the path, and change nothing", function ()
    local d, store = fresh()
    d.a = "old"
    for _, case in ipairs(bad) do
      local before = store:version()
      says(fails("BAD_VALUE", function () d.a = case[1] end), case[2])
      says(fails("BAD_VALUE", dict.set, d, "a", case[1]), case[2])
      fails("BAD_VALUE", dict.add, d, "b", case[1])
      fails("BAD_VALUE", dict.replace, d, "a", case[1])
      fails("BAD_VALUE", dict.setdefault, d, "b", case[1])
      fails("BAD_VALUE", dict.cas, d, "a", "old", case[1])
      assert.are.equal("old", d.a)
      assert.are.equal(1, #d)
      assert.are.equal(before, store:version())
    end
  end)

  it("carry collection and key", function ()
    local d = fresh()
    local e = fails("BAD_VALUE", function () d.hero = { print } end)
    assert.are.equal("d", e.collection)
    assert.are.equal("hero", e.key)
    says(e, "d", "hero")
  end)

  it("are a dict or a set or a store too", function ()
    local d, store = fresh()
    fails("BAD_VALUE", function () d.a = d end)
    fails("BAD_VALUE", function () d.a = { store:set "s" } end)
    fails("BAD_VALUE", function () d.a = store end)
    assert.are.equal(0, #d)
  end)
end)

describe("the option value", function ()
  helper.watch()

  local examples = {
    string = { "a", "" }, integer = { 0, -7, 2 ^ 40 },
    number = { 1.5, 0, huge }, boolean = { true, false },
    table = { {}, { 1 }, { a = 1 } },
  }
  if helper.integers then
    examples.integer[3] = helper.eval "1 << 40"
  end

  for wanted, good in pairs(examples) do
    it("lets " .. wanted .. " through and nothing else", function ()
      local d = fresh { value = wanted }
      for _, value in ipairs(good) do
        d.a = value
        exact.check(value, d.a)
      end
      d.a = nil
      for other, values in pairs(examples) do
        local fits = other == wanted
          or (other == "integer" and wanted == "number")
        if not fits then
          says(fails("BAD_VALUE", function () d.a = values[1] end), wanted)
        end
      end
      fails("BAD_VALUE", function () d.a = print end)
      assert.are.equal(0, #d)
    end)
  end

  it("tuple lets arrays of scalars through", function ()
    local d = fresh { value = "tuple" }
    d.a = { 1, "a", true }
    assert.are.same({ 1, "a", true }, d.a)
    d.a = {}
    fails("BAD_VALUE", function () d.a = { x = 1 } end)
    fails("BAD_VALUE", function () d.a = "a" end)
    assert.are.same({}, d.a)
  end)

  it("checks what update and incr write", function ()
    local d = fresh { value = "integer" }
    d.n = 1
    fails("BAD_VALUE", dict.update, d, "n", function () return "x" end)
    fails("BAD_VALUE", dict.incr, d, "n", 0.5)
    assert.are.equal(1, d.n)
    assert.are.equal(2, dict.incr(d, "n"))
  end)
end)

describe("the option serializer", function ()
  helper.watch()

  local function reversing ()
    return {
      name = "reversing",
      encode = function (v) return tostring(v):reverse() end,
      decode = function (s) return s:reverse() end,
    }
  end

  it("writes and reads values its way, everywhere", function ()
    local d = fresh { serializer = reversing() }
    d.a, d.b = "abc", 12
    assert.are.equal("abc", d.a)
    assert.are.equal("12", d.b)
    assert.are.same({ a = "abc", b = "12" }, dict.totable(d))
    assert.are.equal("abc", (select(2, dict.first(d))))
    assert.are.equal("12!", dict.update(d, "b", function (v)
      return v .. "!"
    end))
    assert.are.equal("12!", d.b)
    dict.put_many(d, { c = "xyz" })
    assert.are.same({ "a", "abc" }, dict.page(d, {})[1])
    assert.are.equal("xyz", dict.pop(d, "c"))
    assert.is_true(dict.cas(d, "a", "abc", "new"))
    assert.are.equal("new", d.a)
  end)

  it("that raises undoes the write and passes its error on", function ()
    local mine = { "mine" }
    local serializer = reversing()
    local plain = serializer.encode
    local d = fresh { serializer = serializer }
    serializer.encode = error -- what was given counts
    d.a = "kept"
    assert.are.equal("kept", d.a)
    local picky = reversing()
    picky.encode = function (v)
      if v == "bad" then error(mine) end
      return plain(v)
    end
    d = fresh { serializer = picky }
    d.a = "old"
    for _, write in ipairs {
      function () d.a = "bad" end,
      function () dict.put_many(d, { b = "x", a = "bad" }) end,
      function () dict.update(d, "a", function () return "bad" end) end,
    } do
      local ok, e = pcall(write)
      assert.is_false(ok)
      assert.are.equal(mine, e)
      assert.are.same({ a = "old" }, dict.totable(d))
    end
    d.b = "good"
    assert.are.equal("good", d.b)
  end)

  it("that returns no string raises BAD_VALUE", function ()
    local broken = reversing()
    for _, result in ipairs { false, {}, 12 } do
      broken.encode = function () return result or nil end
      local d = fresh { serializer = broken }
      says(fails("BAD_VALUE", function () d.a = 1 end), "serializer")
      assert.are.equal(0, #d)
    end
  end)

  it("that raises when it decodes passes its error on", function ()
    local mine = {}
    local broken = reversing()
    broken.decode = function () error(mine) end
    local d, store = fresh { serializer = broken }
    d.a = "x"
    local ok, e = pcall(function () return d.a end)
    assert.is_false(ok)
    assert.are.equal(mine, e)
    d.a = "y"
    assert.is_true(dict.has(d, "a"))
    assert.is_true(store:stats().readers <= 2)
  end)

  it("may not write to the store while it encodes", function ()
    local d, store
    local meddling = reversing()
    meddling.encode = function (v)
      store:dict("other").touched = true
      return v
    end
    d, store = fresh { serializer = meddling }
    local ok, e = pcall(function () d.a = "x" end)
    -- encoding comes before the lock is taken, so this may go through; but
    -- it never hangs and never leaves half a write
    if not ok then assert.are.equal("REENTRY", e.code) end
    assert.are.equal(ok, dict.has(d, "a"))
    store:dict("other").x = 1
  end)
end)

describe("the option key_serializer", function ()
  helper.watch()

  -- length first, so that shorter keys sort before longer ones
  local by_length = {
    name = "by length",
    encode = function (k)
      assert(type(k) == "string", "no string")
      return string.char(#k) .. k
    end,
    decode = function (s) return s:sub(2) end,
  }

  it("orders keys by their encoded bytes", function ()
    local d = fresh { key_serializer = by_length }
    for _, key in ipairs { "ccc", "a", "bb", "z", "aaaa" } do
      d[key] = key
    end
    assert.are.same({ "a", "z", "bb", "ccc", "aaaa" }, helper.keys(d))
    assert.are.equal("bb", d.bb)
    assert.are.equal("ccc", (dict.next(d, "bb")))
    assert.are.same({ "z", "bb" },
      helper.keys(d, { from = "b", to = "bc" }))
    assert.are.equal("aaaa", (dict.last(d)))
    assert.are.equal(2, dict.delete_range(d, { to = "z" }))
    assert.are.equal(3, #d)
  end)

  it("passes its errors on", function ()
    local d = fresh { key_serializer = by_length }
    local ok, e = pcall(function () d[1] = 1 end)
    assert.is_false(ok)
    says(e, "no string")
    local mute = fresh { key_serializer = { name = "mute",
      encode = function () end, decode = function (s) return s end } }
    says(fails("BAD_KEY", function () mute.a = 1 end), "serializer")
    assert.are.equal(0, #mute)
  end)

  it("makes keys of what is no key otherwise", function ()
    local d = fresh { key_serializer = {
      name = "points",
      encode = function (p) return ("%05d,%05d"):format(p.x, p.y) end,
      decode = function (s)
        local x, y = s:match "(%d+),(%d+)"
        return { x = tonumber(x), y = tonumber(y) }
      end,
    } }
    d[{ x = 3, y = 4 }] = "far"
    d[{ x = 1, y = 2 }] = "near"
    assert.are.equal("near", d[{ y = 2, x = 1 }])
    assert.are.same({ { x = 1, y = 2 }, { x = 3, y = 4 } },
      helper.keys(d))
  end)

  it("works for members of sets", function ()
    local store = open()
    local s = store:set("s", { key_serializer = by_length })
    lode.set.add_many(s, { "ccc", "a", "bb" })
    assert.are.same({ "a", "bb", "ccc" }, helper.members(s))
    assert.is_true(s.bb)
  end)
end)
