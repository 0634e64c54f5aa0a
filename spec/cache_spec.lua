-- The option `cache`: decoded values that are kept, and never stale.

local caches = require "support.cached"
local helper = require "support.helper"
local lode = require "lode"

local dict = lode.dict
local cached, counting, decoded = caches.open, caches.counting, caches.decoded
local fails, open = helper.fails, helper.open

-- Calls fn when something has been collected.
local function finalized (fn)
  if newproxy then -- before 5.2 tables have no finalizers
    getmetatable(newproxy(true)).__gc = fn
  else
    setmetatable({}, { __gc = fn })
  end
end

describe("a dict with a cache", function ()
  helper.watch()

  it("decodes a value once while nothing is written", function ()
    local d, counted = cached(10)
    d.a, d.b = "1", "2"
    assert.are.equal(2, decoded(counted, function ()
      for _ = 1, 5 do
        assert.are.equal("1", d.a)
        assert.are.equal("2", d.b)
        assert.are.equal("1", dict.get(d, "a"))
        assert.are.equal("2", dict.get(d, "b", "default"))
      end
    end))
  end)

  it("gives the same table again", function ()
    local d = open():dict("d", { cache = 10 })
    d.ada = { plan = "pro", tags = { "a" } }
    local ada = d.ada
    assert.are.same({ plan = "pro", tags = { "a" } }, ada)
    assert.is_true(rawequal(ada, d.ada))
    assert.is_true(rawequal(ada, dict.get(d, "ada")))
    d.bob = 1
    assert.is_false(rawequal(ada, d.ada))
    assert.are.same(ada, d.ada)
  end)

  it("keeps a value of every kind under a key of every kind", function ()
    local d = open():dict("d", { cache = 100 })
    local values = { "", "s", 0, -1, 2 ^ 53, 0.5, 1 / 0, true, false, {},
                     { 1, { x = "y" } }, ("x"):rep(5000) }
    local keys = { "", "s", "\0", true, false, 1, -1, 0, 2 ^ 53, 0.5, 1 / 0,
                   -1 / 0, ("k"):rep(2000) }
    for i, key in ipairs(keys) do
      for _, value in ipairs(values) do
        d[key] = value
        for _ = 1, 3 do
          assert.are.same(value, d[key], i)
          assert.are.same(value, dict.get(d, key, "default"), i)
        end
      end
    end
    for _ = 1, 2 do
      for _, key in ipairs(keys) do
        assert.are.equal(values[#values], d[key])
      end
    end
  end)

  it("knows 1 and 1.0 as one key, and \"1\" as another", function ()
    local d, counted = cached(10)
    d[1], d["1"], d[0] = "number", "string", "zero"
    local one, zero = helper.eval "1.0", helper.eval "-0.0"
    assert.are.equal(3, decoded(counted, function ()
      for _ = 1, 3 do
        assert.are.equal("number", d[1])
        assert.are.equal("number", d[one])
        assert.are.equal("string", d["1"])
        assert.are.equal("zero", d[0])
        assert.are.equal("zero", d[zero])
      end
    end))
  end)

  it("leaves keys apart that only a key serializer knows apart", function ()
    if not helper.integers then return end
    local d = open():dict("d", { cache = 10, key_serializer = {
      name = "text", encode = tostring, decode = tostring } })
    d[1], d[helper.eval "1.0"], d.s = "integer", "float", "string"
    for _ = 1, 3 do
      assert.are.equal("integer", d[1])
      assert.are.equal("float", d[helper.eval "1.0"])
      assert.are.equal("string", d.s)
    end
  end)

  it("refuses NaN and other keys that are none, again and again", function ()
    local d = open():dict("d", { cache = 10 })
    d.a = 1
    for _ = 1, 3 do
      assert.is_nil(d[nil])
      assert.are.equal("x", dict.get(d, nil, "x"))
      for _, key in ipairs { 0 / 0, print, io.stdout, { {} } } do
        fails("BAD_KEY", function () return d[key] end)
        fails("BAD_KEY", dict.get, d, key)
      end
      assert.are.equal(1, d.a)
    end
  end)

  it("reads tuples past the cache", function ()
    local d, counted = cached(10)
    local key = { "a", 1 }
    d[key] = "v"
    assert.are.equal(3, decoded(counted, function ()
      for _ = 1, 3 do assert.are.equal("v", d[key]) end
    end))
    key[2] = 2
    assert.is_nil(d[key])
  end)

  it("remembers that a key is absent", function ()
    local d = open():dict("d", { cache = 10 })
    for _ = 1, 3 do
      assert.is_nil(d.a)
      assert.are.equal("default", dict.get(d, "a", "default"))
      assert.is_nil(dict.get(d, "a"))
      assert.is_false(dict.has(d, "a"))
    end
    d.a = 1
    assert.are.equal(1, d.a)
    assert.are.equal(1, dict.get(d, "a", "default"))
  end)

  it("keeps what a serializer makes, whatever it is", function ()
    local made = { a = print, b = io.stdout, n = false }
    local d = open():dict("d", { cache = 10, serializer = {
      name = "odd", encode = function (v) return v end,
      decode = function (s) return made[s] end } })
    d.x, d.y, d.z, d.none = "a", "b", "n", "nothing"
    for _ = 1, 3 do
      assert.are.equal(print, d.x)
      assert.are.equal(io.stdout, d.y)
      assert.is_false(d.z)
      assert.is_false(dict.get(d, "z", "default"))
      assert.is_nil(d.none)
      assert.is_nil(dict.get(d, "none", "default"))
    end
  end)

  it("passes on what decoding raises, and keeps nothing of it", function ()
    local bad = true
    local d = open():dict("d", { cache = 10, serializer = {
      name = "odd", encode = function (v) return v end,
      decode = function (s)
        if bad then error "undecodable" end
        return s
      end } })
    d.a = "v"
    for _ = 1, 2 do
      assert.has_error(function () return d.a end)
      assert.has_error(function () return dict.get(d, "a") end)
    end
    bad = false
    assert.are.equal("v", d.a)
    bad = true
    assert.are.equal("v", d.a)
  end)

  it("keeps values under its hash function's keys", function ()
    local long = ("k"):rep(1000)
    local d = open():dict("d", { cache = 10, hash = function (bytes)
      return bytes:sub(-16)
    end })
    d[long .. 1], d[long .. 2] = "one", "two"
    for _ = 1, 3 do
      assert.are.equal("one", d[long .. 1])
      assert.are.equal("two", d[long .. 2])
    end
  end)

  it("is a dict like any other", function ()
    local store = open()
    local d = store:dict("d", { cache = 10 })
    d.a, d.b = 1, 2
    assert.are.equal(store:dict "e" == nil, d == nil)
    assert.are.equal("lode.dict", getmetatable(d))
    assert.are.equal(2, dict.len(d))
    if helper.has_pairs then
      local seen = {}
      for k, v in pairs(d) do seen[k] = v end
      assert.are.same({ a = 1, b = 2 }, seen)
    end
    assert.are.same({ a = 1, b = 2 }, dict.totable(d))
    assert.is_truthy(tostring(d):find "d")
    assert.are.same({ a = 1 }, (dict.get_many(d, { "a", "c" })))
    fails("BAD_ARGUMENT", dict.get, store, "a")
  end)

  it("takes a whole number of values", function ()
    local store = open()
    for _, bad in ipairs { 0, -1, 1.5, "x", true, 1 / 0, 0 / 0 } do
      fails("BAD_ARGUMENT", store.dict, store, "d", { cache = bad })
    end
    fails("BAD_ARGUMENT", store.set, store, "s", { cache = 1 })
  end)
end)

describe("the cache of a dict", function ()
  helper.watch()

  local writes = {
    ["an assignment"] = { function (d) d.a = "new" end, "new" },
    ["a delete"] = { function (d) d.a = nil end },
    ["dict.delete"] = { function (d) dict.delete(d, "a") end },
    ["pop"] = { function (d) dict.pop(d, "a") end },
    ["replace"] = { function (d) dict.replace(d, "a", "new") end, "new" },
    ["update"] = {
      function (d) dict.update(d, "a", function (v) return v .. "r" end) end,
      "oldr",
    },
    ["cas"] = { function (d) dict.cas(d, "a", "old", "new") end, "new" },
    ["put_many"] = {
      function (d) dict.put_many(d, { a = "many" }) end, "many",
    },
    ["delete_many"] = { function (d) dict.delete_many(d, { "a" }) end },
    ["delete_range"] = {
      function (d) dict.delete_range(d, { prefix = "a" }) end,
    },
    ["clear"] = { function (d) dict.clear(d) end },
    ["a transaction"] = {
      function (d, store)
        store:transaction(function () d.a = "1"; d.a = "2" end)
      end, "2",
    },
  }

  for name, write in pairs(writes) do
    it("ends with " .. name .. " by its own handle", function ()
      local d, _, store = cached(10)
      d.a = "old"
      for _ = 1, 2 do assert.are.equal("old", d.a) end
      write[1](d, store)
      for _ = 1, 2 do assert.are.equal(write[2], d.a) end
      assert.are.equal(write[2] or "none", dict.get(d, "a", "none"))
    end)

    it("ends with " .. name .. " by another handle", function ()
      local d, _, _, path = cached(10)
      local store = open(nil, path)
      local _, serializer = counting()
      local other = store:dict("d", { serializer = serializer })
      d.a = "old"
      for _ = 1, 2 do assert.are.equal("old", d.a) end
      write[1](other, store)
      for _ = 1, 2 do assert.are.equal(write[2], d.a) end
      assert.are.equal(write[2] or "none", dict.get(d, "a", "none"))
    end)
  end

  it("ends with a write to another collection, and fills anew", function ()
    local d, counted, store = cached(10)
    local other = store:dict "other"
    d.a = "v"
    assert.are.equal(3, decoded(counted, function ()
      for i = 1, 3 do
        for _ = 1, 3 do assert.are.equal("v", d.a) end
        other.n = i
      end
    end))
  end)

  it("sees a drop, and what is made under the name again", function ()
    local d, _, store = cached(10)
    d.a = "v"
    assert.are.equal("v", d.a)
    assert.is_nil(d.absent)
    store:drop "d"
    for _ = 1, 2 do
      fails("NOT_FOUND", function () return d.a end)
      fails("NOT_FOUND", function () return d.absent end)
      fails("NOT_FOUND", dict.get, d, "a", "default")
    end
    local again = store:dict("d", { cache = 10 })
    assert.is_nil(again.a)
    again.a = "w"
    assert.are.equal("w", again.a)
    fails("NOT_FOUND", function () return d.a end)
  end)

  it("goes on under another name", function ()
    local d, _, store = cached(10)
    d.a = "v"
    assert.are.equal("v", d.a)
    store:rename("d", "e")
    for _ = 1, 2 do assert.are.equal("v", d.a) end
    assert.are.equal("e", dict.name(d))
  end)

  it("is nothing once the store is closed", function ()
    local d, _, store = cached(10)
    d.a = "v"
    assert.are.equal("v", d.a)
    store:close()
    for _ = 1, 2 do
      fails("CLOSED", function () return d.a end)
      fails("CLOSED", dict.get, d, "a")
    end
  end)

  it("doesn't serve what a transaction has changed", function ()
    local d, _, store = cached(10)
    d.a = "old"
    assert.are.equal("old", d.a)
    assert.is_nil(d.b)
    store:transaction(function ()
      for i = 1, 3 do
        d.a, d.b = "new" .. i, "b" .. i
        for _ = 1, 2 do
          assert.are.equal("new" .. i, d.a)
          assert.are.equal("b" .. i, d.b)
          assert.are.equal("new" .. i, dict.get(d, "a"))
        end
      end
      d.a = nil
      assert.is_nil(d.a)
    end)
    assert.is_nil(d.a)
    assert.are.equal("b3", d.b)
  end)

  it("forgets nothing and learns nothing by a rollback", function ()
    local d, _, store = cached(10)
    d.a = "old"
    assert.are.equal("old", d.a)
    assert.has_error(function ()
      store:transaction(function ()
        d.a, d.b = "new", "made"
        assert.are.equal("new", d.a)
        pcall(store.transaction, store, function ()
          d.a = "inner"
          assert.are.equal("inner", d.a)
          error "savepoint"
        end)
        assert.are.equal("new", d.a)
        error "rolled back"
      end)
    end)
    for _ = 1, 2 do
      assert.are.equal("old", d.a)
      assert.is_nil(d.b)
    end
  end)

  it("shows in a snapshot what it pinned, and after it what is", function ()
    local d, _, store, path = cached(10)
    d.a = "old"
    assert.are.equal("old", d.a)
    local _, serializer = counting()
    local other = open(nil, path):dict("d", { serializer = serializer })
    store:snapshot(function ()
      assert.are.equal("old", d.a)
      other.a, other.b = "new", "b"
      for _ = 1, 2 do
        assert.are.equal("old", d.a)
        assert.is_nil(d.b)
      end
    end)
    for _ = 1, 2 do
      assert.are.equal("new", d.a)
      assert.are.equal("b", d.b)
    end
  end)

  it("gives update and its kind what is theirs to change", function ()
    local d = open():dict("d", { cache = 10 })
    d.t = { n = 1 }
    local seen = d.t
    dict.update(d, "t", function (t)
      assert.is_false(rawequal(t, seen))
      t.n = 2
      assert.are.equal(1, d.t.n)
      return t
    end)
    assert.are.equal(1, seen.n)
    assert.are.equal(2, d.t.n)
    assert.has_error(function ()
      dict.update(d, "t", function (t) t.n = 3; error "no" end)
    end)
    assert.are.equal(2, d.t.n)
  end)

  it("is each handle's own", function ()
    local d, counted, store = cached(10)
    local other_counted, serializer = counting()
    local other = store:dict("d", { cache = 5, serializer = serializer })
    local _, plain_serializer = counting()
    local plain = store:dict("d", { serializer = plain_serializer })
    for i = 1, 5 do
      local d_before, other_before = counted.n, other_counted.n
      plain.a = "v" .. i
      for _ = 1, 3 do
        assert.are.equal("v" .. i, d.a)
        assert.are.equal("v" .. i, other.a)
        assert.are.equal("v" .. i, plain.a)
      end
      assert.are.equal(1, counted.n - d_before)
      assert.are.equal(1, other_counted.n - other_before)
    end
  end)

  it("works on a store that is open for reading", function ()
    local d, _, _, path = cached(10)
    d.a = "v"
    local counted, serializer = counting()
    local other = open({ readonly = true }, path)
      :dict("d", { cache = 10, serializer = serializer })
    assert.are.equal(2, decoded(counted, function ()
      for _ = 1, 3 do assert.are.equal("v", other.a) end
      d.a = "w"
      for _ = 1, 3 do assert.are.equal("w", other.a) end
    end))
  end)

  it("works with every durability", function ()
    for _, durability in ipairs { "commit", "os" } do
      local d, counted = cached(10, nil, { durability = durability })
      for i = 1, 5 do
        d.a = "v" .. i
        assert.are.equal(1, decoded(counted, function ()
          for _ = 1, 3 do assert.are.equal("v" .. i, d.a) end
        end))
      end
    end
  end)

  it("works while the map grows", function ()
    local d = cached(10, nil, { map_size = 2 ^ 20 })
    for i = 1, 100 do
      d[i] = ("x"):rep(50000) .. i
      for _ = 1, 2 do
        assert.are.equal(50000 + #tostring(i), #d[i])
        assert.are.equal("x1", d[1]:sub(-2))
      end
    end
  end)

  it("stays true when a finalizer writes to the dict", function ()
    local d = open():dict("d", { cache = 4 })
    for i = 1, 20 do d["k" .. i] = { i, { i } } end
    local n, armed = 0, true
    d.n = n
    local function arm ()
      finalized(function ()
        if not armed then return end
        n = n + 1
        d.n = n
        assert(d.n == n and d.k1[1] == 1)
        arm()
      end)
    end
    arm()
    local before = collectgarbage("setpause", 100)
    repeat
      for i = 1, 20 do
        assert.are.equal(i, d["k" .. i][2][1])
        assert.are.equal(n, d.n)
      end
    until n > 100
    armed = false
    collectgarbage("setpause", before)
    assert.are.equal(n, d.n)
  end)
end)

describe("the memory of a cache", function ()
  helper.watch()

  -- A serializer whose values are counted while they are alive, and the
  -- count of them.
  local function weighing ()
    local alive = setmetatable({}, { __mode = "k" })
    return {
      name = "weighed", encode = function (v) return v end,
      decode = function ()
        local value = {}
        alive[value] = true
        return value
      end,
    }, function ()
      for _ = 1, 3 do collectgarbage() end
      local count = 0
      for _ in pairs(alive) do count = count + 1 end
      return count
    end
  end

  local function weighed (n)
    local serializer, alive = weighing()
    return open():dict("d", { cache = n, serializer = serializer }), alive
  end

  for _, n in ipairs { 1, 2, 3, 10, 99 } do
    it("holds at most the " .. n .. " values it may", function ()
      local d, alive = weighed(n)
      dict.put_many(d, (function ()
        local i = 0
        return function ()
          i = i + 1
          if i <= 500 then return i, "v" end
        end
      end)())
      for i = 1, 500 do
        local _ = d[i]
        if i % 50 == 0 then assert.is_true(alive() <= n) end
      end
      assert.is_true(alive() >= 1)
      for i = 1, 500 do local _ = dict.get(d, i * 7 % 500 + 1) end
      assert.is_true(alive() <= n)
    end)
  end

  it("has room for as many as it says, read in any order", function ()
    local d, counted = cached(100)
    for i = 1, 100 do d[i] = "v" .. i end
    assert.are.equal(100, decoded(counted, function ()
      for i = 1, 1000 do
        local k = i * 37 % 100 + 1
        assert.are.equal("v" .. k, d[k])
      end
    end))
    assert.are.equal(0, decoded(counted, function ()
      for i = 100, 1, -1 do assert.are.equal("v" .. i, dict.get(d, i)) end
    end))
  end)

  it("ends with the dict", function ()
    local d, alive = weighed(100)
    for i = 1, 50 do d[i] = "v" end
    for i = 1, 50 do local _ = d[i] end
    assert.are.equal(50, alive())
    d = nil -- luacheck: ignore
    assert.are.equal(0, alive())
  end)

  it("ends with each of many dicts that one compiled loop reads", function ()
    local serializer, alive = weighing()
    local store, path = open()
    local filled = store:dict("d", { serializer = serializer })
    for i = 1, 100 do filled[i] = "v" end
    local function serve ()
      local mine = lode.open(path)
      local d = mine:dict("d", { cache = 100, serializer = serializer })
      for _ = 1, 10 do
        for i = 1, 100 do assert(d[i]) end
      end
      mine:close()
    end
    for _ = 1, 50 do serve() end
    assert.are.equal(0, alive())
  end)
end)
