-- Keys: types, order, long ones: API.md, "Dicts".

local exact = require "support.exact"
local helper = require "support.helper"
local lode = require "lode"
local order = require "support.order"

local dict = lode.dict
local fails, says, open = helper.fails, helper.says, helper.open
local huge = math.huge

local function fresh (options)
  local store = open()
  return store:dict("d", options), store
end

describe("keys", function ()
  helper.watch()

  it("are strings, numbers, booleans and tuples, kept apart", function ()
    local d = fresh()
    local keys = { "1", 1, true, { 1 }, { "1" }, { true }, "true", {},
      { 1, 1 }, "", { "" }, 0, "\0", { "\0" }, { "a", "b" }, "ab",
      { "ab" }, { "a\0", "b" }, { "a", "\0b" }, false, { false } }
    for i, key in ipairs(keys) do d[key] = i end
    assert.are.equal(#keys, #d)
    for i, key in ipairs(keys) do
      assert.are.equal(i, d[key], exact.show(key))
    end
    for i, key in ipairs(keys) do
      assert.are.equal(i, dict.pop(d, key))
    end
    assert.are.equal(0, #d)
  end)

  it("of a walk are what was written", function ()
    local d = fresh()
    local keys = { false, true, -huge, -1.5, 0, 0.1, 1, 2 ^ 53, huge,
      "", "\0\0", "a", "a\0b", ("k"):rep(5000), "\255", {}, { false, 1 },
      { 1, "a", true }, { "\0", "\0\255" }, { "\255" } }
    for _, key in ipairs(keys) do d[key] = key end
    local got = {}
    for k, v in dict.pairs(d) do
      exact.check(exact.key(v), k)
      got[#got + 1] = k
    end
    exact.check(exact.keys(keys), got, "the keys in order")
  end)

  it("1 and 1.0 are one, as in Lua", function ()
    local d = fresh()
    d[1] = "integer"
    d[helper.integers and 1.0 or 1] = "float"
    assert.are.equal(1, #d)
    assert.are.equal("float", d[1])
    d[2 ^ 53] = "big"
    assert.are.equal("big", d[9007199254740992])
    d[{ 1, 2 ^ 31 }] = "tuple"
    assert.are.equal("tuple", d[{ 1.0, 2147483648 }])
    if helper.integers then
      assert.are.equal("integer", math.type((dict.first(d))))
    end
  end)

  it("-0.0 and 0 are one, as in Lua", function ()
    local d = fresh()
    d[0] = "zero"
    local negative = -1 / huge
    assert.are.equal("zero", d[negative])
    d[negative] = "negative"
    assert.are.equal(1, #d)
    assert.are.equal("negative", d[0])
    local key = dict.first(d)
    assert.are.equal(huge, 1 / key)
  end)

  it("nil reads nil, and can't be written", function ()
    local d = fresh()
    assert.is_nil(d[nil])
    assert.is_false(dict.has(d, nil))
    for _, write in ipairs {
      function () d[nil] = 1 end,
      function () dict.set(d, nil, 1) end,
      function () dict.add(d, nil, 1) end,
      function () dict.replace(d, nil, 1) end,
      function () dict.setdefault(d, nil, 1) end,
      function () dict.incr(d, nil) end,
      function () dict.cas(d, nil, nil, 1) end,
    } do
      fails("BAD_KEY", write)
    end
    assert.are.equal(0, #d)
  end)

  it("are no NaN, functions, userdata, threads or tables by name",
    function ()
      local d = fresh()
      local nested = { "a", { "b" } }
      local thread = coroutine.create(function () end)
      for _, key in ipairs { 0 / 0, print, io.stdout, thread, { x = 1 },
        nested, { print }, { 0 / 0 }, { 1, nil, 3 }, { [2] = 1 },
        { 1, x = 2 }, { io.stdout } } do
        local e = fails("BAD_KEY", function () d[key] = 1 end)
        says(e, "key")
        fails("BAD_KEY", dict.set, d, key, 1)
        fails("BAD_KEY", function () d[{ key }] = 1 end)
      end
      says(fails("BAD_KEY", function () d[0 / 0] = 1 end), "NaN")
      says(fails("BAD_KEY", function () d[print] = 1 end), "function")
      assert.are.equal(0, #d)
    end)

  it("that can't be are refused in reads too", function ()
    local d = fresh()
    fails("BAD_KEY", function () return d[print] end)
    fails("BAD_KEY", dict.get, d, { x = 1 })
    fails("BAD_KEY", dict.has, d, { {} })
  end)

  it("carry the error's collection", function ()
    local d = fresh()
    local e = fails("BAD_KEY", function () d[print] = 1 end)
    assert.are.equal("d", e.collection)
  end)
end)

describe("the order of keys", function ()
  helper.watch()

  it("is booleans, numbers by value, strings by byte, tuples", function ()
    local d = fresh()
    local keys = { false, true, -huge, -1e300, -(2 ^ 53), -2, -1.5, -1,
      -1e-300, 0, 5e-324, 0.5, 1, 1.5, 2, 255, 256, 65536, 2 ^ 31,
      2 ^ 53, 2 ^ 63, 1e300, huge, "", "\0", "\0\0", "\0\1", "\1", "0",
      "10", "2", "A", "B", "a", "a\0", "a\0\0", "a\1", "aa", "b",
      "\127", "\128", "\255", "\255\255", {}, { false }, { false, false },
      { true }, { -1 }, { 0 }, { 0, 0 }, { 0, "" }, { 1 }, { "" },
      { "", false }, { "", "" }, { "\0" }, { "\0", "a" }, { "\0\0" },
      { "\1" }, { "a" }, { "a", 1 }, { "a", "\0" }, { "a", "b" },
      { "a\0" }, { "a\0", "b" }, { "a\0\255" }, { "a\1" }, { "b" },
      { "\255" } }
    for i = 1, #keys do
      d[keys[(i * 37) % #keys + 1]] = true
    end
    assert.are.equal(#keys, #d)
    exact.check(exact.keys(keys), helper.keys(d), "order")
    for i = 2, #keys do
      assert.are.equal(-1, order.compare(keys[i - 1], keys[i]),
        "the specs' own order, at " .. i)
      exact.check(exact.key(keys[i]), (dict.next(d, keys[i - 1])), "next")
      exact.check(exact.key(keys[i - 1]), (dict.prev(d, keys[i])),
        "prev")
    end
  end)

  if helper.integers then
    it("is exact over all integers and floats", function ()
      local d = fresh()
      local two53 = helper.eval "1 << 53"
      local two63 = -(math.mininteger + 0.0)
      local keys = { -huge, -two63 * 2, math.mininteger,
        math.mininteger + 1, math.mininteger + 1023,
        math.mininteger + 1024, -two53 - 2, -two53 - 1, -two53,
        -two53 + 1, two53 - 1, two53, two53 + 1, two53 + 2, two53 + 3,
        math.maxinteger - 1024, math.maxinteger - 1023,
        math.maxinteger - 1, math.maxinteger, two63, two63 * 2, huge }
      for i = 1, #keys do d[keys[(i * 5) % #keys + 1]] = true end
      assert.are.equal(#keys, #d)
      exact.check(exact.keys(keys), helper.keys(d), "order")
      dict.clear(d)
      for _, key in ipairs(keys) do
        d[{ key, "after" }] = key
        d[{ key }] = key
        d[{ key, key }] = key
      end
      local last
      for k, v in dict.pairs(d) do
        exact.check(exact.key(v), k[1])
        if last then assert.are.equal(-1, order.compare(last, k)) end
        last = k
      end
      assert.are.equal(3 * #keys, #d)
    end)
  end

  it("is that of tuples whose elements are of all types", function ()
    local d = fresh()
    local scalars = { false, true, -1.5, 0, 7, 2 ^ 60, "", "\0", "\0\255",
      "a", "\255" }
    local keys = {}
    for _, a in ipairs(scalars) do
      keys[#keys + 1] = { a }
      for _, b in ipairs(scalars) do keys[#keys + 1] = { a, b } end
    end
    for i = 1, #keys do d[keys[(i * 53) % #keys + 1]] = i end
    order.sort(keys)
    exact.check(exact.keys(keys), helper.keys(d), "order")
  end)

  it("doesn't hang on the locale", function ()
    local d = fresh()
    for _, key in ipairs { "b", "A", "\195\164", "a", "B" } do
      d[key] = 1
    end
    assert.are.same({ "A", "B", "a", "b", "\195\164" }, helper.keys(d))
  end)
end)

-- Long keys by LODE_KEY_ROOM: encoded in 480 bytes or more.
for _, hashing in ipairs { "own", "colliding" } do
  describe("long keys under the " .. hashing .. " hash", function ()
    helper.watch()

    local function long_dict ()
      local options
      if hashing == "colliding" then
        options = { hash = function () return "\7" end }
      end
      return fresh(options)
    end

    it("of every length round the limit are themselves", function ()
      local d = long_dict()
      for n = 440, 530 do d[("k"):rep(n)] = n end
      for n = 440, 530 do d[{ ("k"):rep(n), 1 }] = -n end
      assert.are.equal(182, #d)
      for n = 440, 530 do
        assert.are.equal(n, d[("k"):rep(n)])
        assert.are.equal(-n, d[{ ("k"):rep(n), 1 }])
      end
      for k, v in dict.pairs(d) do
        if type(k) == "string" then
          assert.are.equal(v, #k)
        else
          assert.are.equal(-v, #k[1])
        end
      end
      for n = 440, 530 do
        assert.is_true(dict.delete(d, ("k"):rep(n)))
        assert.is_false(dict.delete(d, ("k"):rep(n)))
      end
      assert.are.equal(91, #d)
    end)

    it("up to 64 KiB and a megabyte work, zeros too", function ()
      local d = long_dict()
      for _, n in ipairs { 65535, 65536, 65537, 1000000 } do
        for _, byte in ipairs { "a", "\0", "\255" } do
          local key = byte:rep(n)
          d[key] = { n, byte }
          assert.are.same({ n, byte }, d[key])
          assert.is_nil(d[byte:rep(n - 1) .. "b"])
        end
      end
      d[{ ("\0"):rep(65536) }] = "tuple"
      assert.are.equal("tuple", d[{ ("\0"):rep(65536) }])
      assert.are.equal(13, #d)
      for k, v in dict.pairs(d) do
        if type(k) == "string" then
          assert.are.same({ #k, k:sub(-1) }, v)
        end
      end
    end)

    it("past the limit raise BAD_KEY", function ()
      local d = long_dict()
      says(fails("BAD_KEY", function ()
        d[("k"):rep(2 ^ 20 + 1)] = 1
      end), "key")
      assert.are.equal(0, #d)
    end)

    it("that share a prefix stay two keys through all that is done",
      function ()
        local d = long_dict()
        local prefix = ("p"):rep(600)
        for i = 1, 40 do d[prefix .. i] = i end
        assert.are.equal(40, #d)
        for i = 1, 40 do assert.are.equal(i, d[prefix .. i]) end
        assert.is_nil(d[prefix])
        assert.is_nil(d[prefix .. 41])
        d[prefix .. 20] = { "changed", ("x"):rep(2000) }
        assert.are.equal(40, #d)
        for i = 1, 40, 3 do assert.is_true(dict.delete(d, prefix .. i)) end
        assert.are.equal(26, #d)
        for i = 1, 40 do
          if i % 3 == 1 then
            assert.is_nil(d[prefix .. i])
          elseif i == 20 then
            assert.are.equal("changed", d[prefix .. i][1])
          else
            assert.are.equal(i, d[prefix .. i])
          end
        end
        local seen = {}
        for k in dict.keys(d, { prefix = prefix }) do
          assert.is_nil(seen[k])
          seen[k] = true
        end
        local n = 0
        for _ in pairs(seen) do n = n + 1 end
        assert.are.equal(26, n)
      end)

    it("come in the order of their first 464 encoded bytes", function ()
      local d = long_dict()
      local keys = {}
      for i = 1, 60 do
        local at = i * 7 % 460 + 1
        keys[i] = ("m"):rep(at) .. (i % 2 == 0 and "a" or "z")
          .. ("m"):rep(700 - at + i)
      end
      for i, key in ipairs(keys) do d[key] = i end
      order.sort(keys)
      exact.check(exact.keys(keys), helper.keys(d), "order")
      local back = helper.keys(d, { reverse = true })
      for i = 1, #keys do
        assert.are.equal(keys[i], back[#keys + 1 - i])
      end
    end)

    it("are found by walks from, to and past one of them", function ()
      local d = long_dict()
      local function key (i)
        return ("%03d"):format(i) .. ("x"):rep(900)
      end
      for i = 1, 30 do d[key(i)] = i end
      local function values (range)
        return helper.collect(false, dict.values(d, range))
      end
      assert.are.same({ 10, 11, 12 },
        values { from = key(10), to = key(12) })
      assert.are.same({ 11 }, values { after = key(10), before = key(12) })
      assert.are.same({ 12, 11, 10 },
        values { from = key(10), to = key(12), reverse = true })
      assert.are.same({ 20, 21 }, values { prefix = "02", limit = 2 })
      assert.are.same({ 5 }, values { prefix = key(5) })
      assert.are.same({}, values { prefix = key(5) .. "x" })
      assert.are.same({ 5 }, values { prefix = key(5):sub(1, 700) })
      assert.are.equal(key(8), (dict.next(d, key(7))))
      assert.are.equal(key(6), (dict.prev(d, key(7))))
      assert.are.equal(key(1), (dict.next(d, "001")))
      assert.are.equal(3, dict.count(d, { from = key(28) }))
      assert.are.equal(3, dict.delete_range(d, { from = key(28) }))
      assert.are.equal(27, #d)
    end)

    it("that share a prefix are told apart by a prefix beyond it",
      function ()
        local d = long_dict()
        local shared = ("s"):rep(500)
        for i = 1, 9 do d[shared .. i .. "/" .. i] = i end
        for i = 1, 9 do
          assert.are.same({ shared .. i .. "/" .. i },
            helper.keys(d, { prefix = shared .. i }))
          assert.are.equal(1, dict.count(d, { prefix = shared .. i }))
        end
        assert.are.equal(9, dict.count(d, { prefix = shared }))
        assert.are.equal(1, dict.delete_range(d,
          { prefix = shared .. 4 }))
        assert.is_nil(d[shared .. "4/4"])
        assert.are.equal(8, #d)
      end)

    it("are walked one by one with next and prev", function ()
      local d = long_dict()
      for i = 1, 25 do d[("q"):rep(800) .. i] = i end
      local forth, back = {}, {}
      local k = dict.first(d)
      while k do
        forth[#forth + 1] = k
        k = dict.next(d, k)
      end
      k = dict.last(d)
      while k do
        table.insert(back, 1, k)
        k = dict.prev(d, k)
      end
      assert.are.same(forth, back)
      assert.are.equal(25, #forth)
      assert.are.same(helper.keys(d), forth)
      assert.are.equal(forth[1], (dict.popitem(d)))
      assert.are.equal(forth[25], (dict.popitem(d, "last")))
      assert.are.equal(23, #d)
    end)
  end)
end

describe("the option hash", function ()
  helper.watch()

  it("is handed bytes of long keys only, and gives bytes", function ()
    local asked = 0
    local d = fresh { hash = function (bytes)
      asked = asked + 1
      assert(type(bytes) == "string" and #bytes >= 480)
      return bytes:sub(-16)
    end }
    d.short = 1
    assert.are.equal(1, d.short)
    assert.are.equal(0, asked)
    d[("k"):rep(1000)] = 2
    assert.are.equal(2, d[("k"):rep(1000)])
    assert.is_true(asked >= 1)
  end)

  it("that raises passes its error on and changes nothing", function ()
    local mine
    local d = fresh { hash = function ()
      if mine then error(mine) end
      return "x"
    end }
    d[("k"):rep(1000)] = 1
    mine = {}
    local ok, e = pcall(function () d[("k"):rep(1000)] = 2 end)
    assert.is_false(ok)
    assert.are.equal(mine, e)
    mine = nil
    assert.are.equal(1, d[("k"):rep(1000)])
  end)

  it("that gives no string raises BAD_KEY", function ()
    local d = fresh { hash = function () return nil end }
    fails("BAD_KEY", function () d[("k"):rep(1000)] = 1 end)
    assert.are.equal(0, #d)
  end)
end)

describe("the option key", function ()
  helper.watch()

  local examples = {
    string = { "a", "", ("k"):rep(1000) },
    integer = { 0, -7, 2 ^ 31 },
    number = { 0, 1.5, -huge },
    boolean = { true, false },
    tuple = { {}, { 1, "a" } },
  }

  for wanted, good in pairs(examples) do
    it("lets " .. wanted .. " through and nothing else", function ()
      local d = fresh { key = wanted }
      for _, key in ipairs(good) do
        d[key] = 1
        assert.are.equal(1, d[key])
      end
      local n = #d
      for other, keys in pairs(examples) do
        local fits = other == wanted
          or (other == "integer" and wanted == "number")
        if not fits then
          local bad = keys[2] == -7 and keys[2] or keys[1]
          if not (wanted == "integer" and other == "number") then
            local e = fails("BAD_KEY", function () d[bad] = 1 end)
            says(e, wanted)
          end
        end
      end
      if wanted == "integer" then
        fails("BAD_KEY", function () d[1.5] = 1 end)
      end
      assert.are.equal(n, #d)
    end)
  end

  it("checks each of many", function ()
    local d = fresh { key = "integer" }
    fails("BAD_KEY", dict.put_many, d, { [1] = 1, a = 1 })
    assert.are.equal(0, #d)
  end)
end)
