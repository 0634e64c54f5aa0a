-- MessagePack, the bytes of values: core.pack and core.unpack. What a dict
-- does with values is in value_spec.lua.

local core = require "lode.core"
local exact = require "support.exact"

local pack, unpack = core.pack, core.unpack
local char, huge, nan = string.char, math.huge, 0 / 0
local integers = math.type ~= nil
local jit_or_51 = not integers

local function hex (s)
  return (s:gsub(".", function (c) return ("%02x"):format(c:byte()) end))
end

-- "81 a1 61 01" as bytes; blanks are for the eye.
local function bytes (digits)
  return (digits:gsub("%s+", ""):gsub("%x%x", function (two)
    return char(tonumber(two, 16))
  end))
end

local function int (source) -- an integer where this Lua has integers
  return assert((loadstring or load)("return " .. source))()
end

local function fails (code, fn, value)
  local ok, e = pcall(fn, value)
  if ok then error("no error, but " .. exact.show(e), 2) end
  assert.are.equal("table", type(e), tostring(e))
  assert.are.equal(code, e.code)
  assert.are.equal("string", type(e.message))
  return e.message
end

local function check (expected, got, what)
  if exact.same(expected, got) then return end
  error(("%s: expected %s, got %s"):format(what or "value",
    exact.show(expected):sub(1, 300), exact.show(got):sub(1, 300)), 2)
end

local function comes_back (value, what)
  check(value, unpack(pack(value)), what)
end

-- A generator of its own, so that every Lua sees the same numbers.
local function random (seed)
  local state = seed * 7919 % 2147483646 + 1
  return function (n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end
end

-- {{{ values made at random

local function random_bytes (below, n, least, most)
  local t = {}
  for i = 1, n do t[i] = char(least + below(most - least + 1) - 1) end
  return table.concat(t)
end

local function random_string (below)
  local sizes = { 0, 1, 5, 7, 8, 9, 15, 31, 32, 33, 255, 256, 300 }
  local n = sizes[below(#sizes)]
  local kind = below(4)
  if kind == 1 then return random_bytes(below, n, 0, 255) end
  if kind == 2 then return ("\195\169"):rep(n) end
  return random_bytes(below, n, 32, 126)
end

local function random_number (below)
  local kind = below(6)
  local sign = below(2) * 2 - 3
  if kind == 1 then return sign * below(300) end
  if kind == 2 then return sign * (below(2 ^ 30) * 2 ^ 22 + below(2 ^ 22)) end
  if kind == 3 then return sign * below(2 ^ 30) / below(1000) end
  if kind == 4 then return sign * 2 ^ (below(2000) - 1000) end
  if kind == 5 and integers then
    return math.tointeger(sign * 2 ^ (below(62))) + sign
  end
  local odd = { 0, -1 / huge, huge, -huge, 1.0, 2 ^ 53, 2 ^ 63, -2 ^ 63 }
  return odd[below(#odd)]
end

local function random_scalar (below)
  local kind = below(5)
  if kind == 1 then return below(2) == 1 end
  if kind <= 3 then return random_number(below) end
  return random_string(below)
end

-- Where `plain_keys`, no key is a boolean: for Python True and 1 are one.
local function random_value (below, depth, plain_keys)
  if depth == 0 or below(3) == 1 then return random_scalar(below) end
  local random_key = plain_keys and random_string or random_scalar
  local t, n = {}, below(20) - 1
  local kind = below(4)
  for i = 1, n do
    local value = random_value(below, depth - 1, plain_keys)
    if kind == 1 then t[i] = value
    elseif kind == 2 then t[random_key(below)] = value
    elseif kind == 3 then t[below(2 * n)] = value
    else t[n - i + 1] = value end
  end
  if below(5) == 1 then t[random_key(below)] = true end
  return t
end

-- }}}

describe("pack", function ()
  it("writes each kind of value in its shortest form", function ()
    local cases = {
      { true, "c3" }, { false, "c2" },
      { 0, "00" }, { 1, "01" }, { 127, "7f" }, { 128, "cc80" },
      { 255, "ccff" }, { 256, "cd0100" }, { 65535, "cdffff" },
      { 65536, "ce00010000" }, { 4294967295, "ceffffffff" },
      { 4294967296, "cf0000000100000000" },
      { -1, "ff" }, { -32, "e0" }, { -33, "d0df" }, { -128, "d080" },
      { -129, "d1ff7f" }, { -32768, "d18000" }, { -32769, "d2ffff7fff" },
      { -2147483648, "d280000000" },
      { -2147483649, "d3ffffffff7fffffff" },
      { 1.5, "cb3ff8000000000000" }, { huge, "cb7ff0000000000000" },
      { -huge, "cbfff0000000000000" }, { -1 / huge, "cb8000000000000000" },
      { 2 ^ 63, "cb43e0000000000000" },
      { "", "a0" }, { "Ada", "a3416461" },
      { {}, "90" }, { { 1, 2, 3 }, "93010203" },
      { { a = 1 }, "81a16101" }, { { [true] = false }, "81c3c2" },
      { { { {} } }, "919190" }, { { [0] = 1 }, "810001" },
    }
    for _, case in ipairs(cases) do
      assert.are.equal(case[2], hex(pack(case[1])))
    end
  end)

  if integers then
    it("keeps floats floats, and integers of 64 bits whole", function ()
      assert.are.equal("cb3ff0000000000000", hex(pack(1.0)))
      assert.are.equal("cb0000000000000000", hex(pack(0.0)))
      assert.are.equal("cf7fffffffffffffff", hex(pack(math.maxinteger)))
      assert.are.equal("d38000000000000000", hex(pack(math.mininteger)))
      assert.are.equal("cf0020000000000000", hex(pack(int "1 << 53")))
    end)
  else
    it("writes whole numbers below 2^53 as integers", function ()
      assert.are.equal("cf001fffffffffffff", hex(pack(2 ^ 53 - 1)))
      assert.are.equal("d3ffe0000000000001", hex(pack(1 - 2 ^ 53)))
      assert.are.equal("cb4340000000000000", hex(pack(2 ^ 53)))
      assert.are.equal("cbc340000000000000", hex(pack(-2 ^ 53)))
    end)
  end

  it("writes strings of every size with the right head", function ()
    local heads = { -- size, head of text, head of other bytes
      { 31, "bf", "c41f" }, { 32, "d920", "c420" },
      { 255, "d9ff", "c4ff" }, { 256, "da0100", "c50100" },
      { 65535, "daffff", "c5ffff" },
      { 65536, "db00010000", "c600010000" },
    }
    for _, case in ipairs(heads) do
      local text, other = ("x"):rep(case[1]), ("\255"):rep(case[1])
      assert.are.equal(case[2], hex(pack(text):sub(1, #case[2] / 2)))
      assert.are.equal(case[3], hex(pack(other):sub(1, #case[3] / 2)))
      comes_back(text)
      comes_back(other)
    end
  end)

  it("writes str for UTF-8 and bin for all else", function ()
    local good = { "\0", "\127", "\194\128", "\223\191", "\224\160\128",
      "\237\159\191", "\238\128\128", "\239\191\191", "\240\144\128\128",
      "\244\143\191\191" }
    local bad = { "\128", "\191", "\192\128", "\193\191", "\194", "\194\65",
      "\224\159\191", "\224\160", "\237\160\128", "\237\191\191",
      "\240\143\191\191", "\240\144\128", "\244\144\128\128",
      "\245\128\128\128", "\248\136\128\128\128", "\255" }
    for before = 0, 9 do
      for after = 0, 9 do
        for _, s in ipairs(good) do
          s = ("a"):rep(before) .. s .. ("z"):rep(after)
          assert.are.equal(char(160 + #s) .. s, pack(s))
        end
        for _, s in ipairs(bad) do
          s = ("a"):rep(before) .. s .. ("z"):rep(after)
          assert.are.equal("\196" .. char(#s) .. s, pack(s))
        end
      end
    end
  end)

  it("writes tables of every size with the right head", function ()
    local heads = {
      { 15, "9f", "8f" }, { 16, "dc0010", "de0010" },
      { 65535, "dcffff", "deffff" },
      { 65536, "dd00010000", "df00010000" },
    }
    for _, case in ipairs(heads) do
      local array, map = {}, {}
      for i = 1, case[1] do
        array[i] = i
        map["k" .. i] = i
      end
      assert.are.equal(case[2], hex(pack(array):sub(1, #case[2] / 2)))
      assert.are.equal(case[3], hex(pack(map):sub(1, #case[3] / 2)))
      comes_back({ array, map, { map } })
    end
  end)

  it("writes an array just where the keys are 1 to n", function ()
    local function is_array (t)
      local first = pack(t):byte()
      return first >= 0x90 and first <= 0x9f or first == 0xdc
    end
    local backwards, dug, mixed = {}, {}, {}
    for i = 40, 1, -1 do backwards[i] = i end
    for i = 1, 40 do
      dug[i], mixed[i] = i, i
    end
    dug[20], mixed.x = nil, 1
    local shrunk = { 1, 2, 3, 4, a = 1 }
    shrunk.a, shrunk[4] = nil, nil
    for _, t in ipairs { {}, { 1 }, { false }, backwards, shrunk } do
      assert.is_true(is_array(t))
      comes_back(t)
    end
    for _, t in ipairs { dug, mixed, { nil, 2 }, { 1, nil, 3 },
      { 1, 2, nil, 4 }, { 1, 2, a = 1 }, { 1, 2, [1.5] = 1 },
      { [0] = 0, 1 }, { 1, [-1] = 1 }, { 1, [true] = 1 }, { [2] = 1 },
      { ["1"] = 1 }, { 1, ["2"] = 2 }, { 1, 2, [4] = 4, x = 3 } } do
      assert.is_false(is_array(t))
      comes_back(t)
    end
  end)

  it("takes time in proportion where mixed tables are nested", function ()
    local t = { 1 }
    for _ = 1, 100 do t = { t, x = 1 } end
    comes_back(t) -- writing each level twice would be 2^100 times
  end)

  it("reads tables raw", function ()
    local t = setmetatable({ 1, 2 }, {
      __index = error, __len = error, __pairs = error, __metatable = 1,
    })
    assert.are.equal("920102", hex(pack(t)))
  end)

  it("takes a table that is in it twice", function ()
    local shared = { 1 }
    assert.are.equal("9291019101", hex(pack { shared, shared }))
  end)

  it("refuses what can't be stored, and names the path", function ()
    local cycle, loop, deep = { a = {} }, {}, {}
    cycle.a.b = { cycle.a }
    loop.self = loop
    local inner = deep
    for _ = 1, 127 do
      inner.d = {}
      inner = inner.d
    end
    local cases = {
      { print, "value: a function can't be stored" },
      { io.stdout, "value: a userdata can't be stored" },
      { { coroutine.create(function () end) },
        "value[1]: a thread can't be stored" },
      { { spells = { 1, 2, { cast = print } } },
        "value.spells[3].cast: a function can't be stored" },
      { { ["a b"] = { [true] = { x = print } } },
        "value[\"a b\"][true].x: a function can't be stored" },
      { { [1.5] = print }, "value[1.5]: a function can't be stored" },
      { { [-7] = print }, "value[-7]: a function can't be stored" },
      { { [""] = print }, "value[\"\"]: a function can't be stored" },
      { { ["2x"] = print }, "value[\"2x\"]: a function can't be stored" },
      { { ["\1\"\\"] = print },
        "value[\"\\001\\\"\\\\\"]: a function can't be stored" },
      { { ["\195\169"] = print },
        "value[\"\195\169\"]: a function can't be stored" },
      { { ["\255"] = print },
        "value[\"\\255\"]: a function can't be stored" },
      { { [("k"):rep(99)] = print },
        "value[\"" .. ("k"):rep(39) .. "...\"]: a function can't be stored" },
      { { x = { [{}] = 1 } }, "value.x: a table can't be a key" },
      { { [print] = 1 }, "value: a function can't be a key" },
      { loop, "value.self: a table inside itself can't be stored" },
      { cycle, "value.a.b[1]: a table inside itself can't be stored" },
    }
    for _, case in ipairs(cases) do
      local message = fails("BAD_VALUE", pack, case[1])
      assert.are.equal(case[2] .. ";", message:sub(1, #case[2] + 1))
    end
    assert.is_truthy(fails("BAD_VALUE", pack)
      :find "^value: nil can't be stored;")
    comes_back(deep)
    inner.d = {}
    assert.is_truthy(fails("BAD_VALUE", pack, deep):find("value.d.d.d ... "
      .. ".d.d.d: tables this deep in tables can't be stored", 1, true))
  end)

  it("keeps a message short whatever the path", function ()
    local t = print
    for i = 1, 120 do t = { [("\1"):rep(20 + i)] = t } end
    local message = fails("BAD_VALUE", pack, t)
    assert.is_true(#message < 400)
    assert.is_truthy(message:find("a function can't be stored", 1, true))
  end)
end)

describe("unpack", function ()
  it("reads every form of MessagePack", function ()
    local cases = {
      { "cc01", 1 }, { "cd0001", 1 }, { "ce00000001", 1 },
      { "cf0000000000000001", 1 }, { "d001", 1 }, { "d0ff", -1 },
      { "d1ffff", -1 }, { "d2ffffffff", -1 },
      { "d3ffffffffffffffff", -1 }, { "ca3fc00000", 1.5 },
      { "ca7f800000", huge }, { "cfffffffffffffffff", 2 ^ 64 },
      { "cf8000000000000000", 2 ^ 63 },
      { "d90161", "a" }, { "da000161", "a" }, { "db0000000161", "a" },
      { "c40161", "a" }, { "c5000161", "a" }, { "c60000000161", "a" },
      { "dc000101", { 1 } }, { "dd0000000101", { 1 } },
      { "de0001a16101", { a = 1 } }, { "df00000001a16101", { a = 1 } },
      { "80", {} }, { "dc0000", {} }, { "df00000000", {} },
      { "8100a0", { [0] = "" } }, { "81c40161c3", { a = true } },
      { "81cb3ff800000000000001", { [1.5] = 1 } },
      { "81cb3ff0000000000000a161", { "a" } },
    }
    for _, case in ipairs(cases) do
      check(case[2], unpack(bytes(case[1])), case[1])
    end
    assert.is_nil(unpack "\192")
    local not_a_number = unpack(bytes "ca7fc00000")
    assert.is_true(not_a_number ~= not_a_number)
  end)

  it("leaves holes for nil in arrays, and drops it in maps", function ()
    local t = unpack(bytes "93 01 c0 03")
    assert.is_true(t[1] == 1 and t[2] == nil and t[3] == 3)
    assert.are.same({ b = 1 }, unpack(bytes "82 a161 c0 a162 01"))
  end)

  it("lets the last of equal keys count", function ()
    assert.are.same({ a = 2 }, unpack(bytes "82 a161 01 a161 02"))
  end)

  if jit_or_51 then
    it("reads integers past 2^53 as the nearest float", function ()
      assert.are.equal(2 ^ 63, unpack(bytes "cf7fffffffffffffff"))
      assert.are.equal(-2 ^ 63, unpack(bytes "d38000000000000000"))
    end)
  end

  it("refuses bytes that are no value, and says why", function ()
    local cases = {
      { "", "0: the bytes end" }, { "c1", "0: 0xc1" },
      { "0101", "1: bytes are left" }, { "a2 61", "0: the bytes end" },
      { "91", "1: the bytes end" }, { "81 a161", "1: the bytes end" },
      { "81 c0 01", "1: nil as a key" },
      { "81 90 01", "1: a table as a key" },
      { "81 80 01", "1: a table as a key" },
      { "81 dc0000 01", "1: a table as a key" },
      { "81 ca7fc00000 01", "1: NaN as a key" },
      { "82 01 01 cb7ff8000000000000 01", "3: NaN as a key" },
      { "81 d40101 01", "1: extension types" },
      { "91 c1", "1: 0xc1" }, { "c7 00 01", "0: extension types" },
      { "d6 ff 00000000", "0: extension types" },
    }
    for _, case in ipairs(cases) do
      local message = fails("CORRUPT", unpack, bytes(case[1]))
      assert.are.equal("bad MessagePack at byte " .. case[2],
        message:sub(1, 24 + #case[2]))
    end
  end)

  it("refuses tables too deep in tables", function ()
    local deepest = ("\145"):rep(127) .. "\144"
    assert.are.equal(deepest, pack(unpack(deepest)))
    fails("CORRUPT", unpack, "\145" .. deepest)
    fails("CORRUPT", unpack, ("\145"):rep(1000000))
    fails("CORRUPT", unpack, ("\129\1"):rep(1000000))
  end)

  it("refuses what is no string", function ()
    for _, value in ipairs { 1, true, {} } do
      fails("BAD_ARGUMENT", unpack, value)
    end
    fails("BAD_ARGUMENT", unpack, nil)
  end)

  it("takes no more memory than the bytes could need", function ()
    local filler = ("\1"):rep(100000)
    local claims = { "\221\255\255\255\255", "\223\255\255\255\255",
      "\223\127\255\255\255", "\221\0\1\134\160", "\223\0\0\195\80",
      "\222\128\0", "\220\255\255", "\219\255\255\255\255",
      "\198\255\255\255\254" }
    for _, claim in ipairs(claims) do
      for _, times in ipairs { 1, 10, 127 } do
        local hostile = claim:rep(times) .. filler
        collectgarbage()
        collectgarbage "stop"
        local before = collectgarbage "count"
        pcall(unpack, hostile)
        local taken = (collectgarbage "count" - before) * 1024
        collectgarbage "restart"
        assert.is_true(taken < 64 * #hostile, hex(claim) .. " " .. taken)
      end
    end
  end)
end)

describe("pack and unpack", function ()
  it("bring back numbers around every border", function ()
    for power = 0, 64 do
      for _, more in ipairs { -1, -0.5, 0, 0.5, 1 } do
        local value = 2 ^ power + more
        comes_back({ value, -value, [value] = -value })
      end
    end
    if integers then
      for power = 0, 62 do
        for more = -1, 1 do
          local value = math.tointeger(2 ^ power) + more
          comes_back({ value, -value, [value] = -value, value + 0.0 })
        end
      end
      comes_back { math.maxinteger, math.mininteger, 2.0 ^ 63, -2.0 ^ 63 }
    end
    comes_back { 0, -1 / huge, nan, huge, -huge, 5e-324, 2 ^ -1022 }
  end)

  it("bring back values made at random", function ()
    for seed = 1, 500 do
      local depth = seed % 50 == 0 and 4 or 2
      comes_back(random_value(random(seed), depth), "seed " .. seed)
    end
  end)

  it("bring back a deep nest of both kinds of table", function ()
    local t = "end"
    for i = 1, 128 do t = i % 2 == 0 and { t } or { x = t } end
    comes_back(t)
  end)

  it("are the same whatever bytes come: a value or CORRUPT", function ()
    local function try (s, what)
      local ok, got = pcall(unpack, s)
      if not ok then
        assert.are.equal("CORRUPT", type(got) == "table" and got.code or got)
      elseif got ~= nil then
        comes_back(got, what)
      end
    end
    for seed = 1, 3000 do
      local below = random(seed)
      try(random_bytes(below, below(40), 0, 255), "seed " .. seed)
    end
    for seed = 1, 300 do
      local below = random(seed)
      local s = pack { random_value(below, 2) }
      for _ = 1, 20 do
        local i, c = below(#s), char(below(256) - 1)
        try(s:sub(1, i - 1) .. c .. s:sub(i + 1), "seed " .. seed)
      end
    end
  end)

  it("see every cut", function ()
    for seed = 1, 60 do
      local s = pack { random_value(random(seed), 2) }
      for n = 0, #s - 1, #s > 500 and 101 or 1 do
        fails("CORRUPT", unpack, s:sub(1, n))
      end
      fails("CORRUPT", unpack, s .. "\0")
    end
  end)

  it("leave no memory behind, whatever they refuse", function ()
    if not core.test_live then return pending "not the test build" end
    for _ = 1, 3 do collectgarbage() end
    local blocks = core.test_live()
    for _ = 1, 100 do
      pcall(pack, { ("x"):rep(1000), print })
      pcall(unpack, "\146\161x")
      pack { ("x"):rep(1000) }
    end
    for _ = 1, 3 do collectgarbage() end
    assert.are.equal(blocks, (core.test_live()))
  end)
end)

-- {{{ other implementations

local samples = { true, false, 0, -1, 127, 128, -32, -33, 255, 256, 65536,
  -65536, 4294967296, -4294967296, 2 ^ 53 - 1, 1.5, -0.25, huge, -huge,
  "", "Ada", "h\195\169", ("x"):rep(31), ("x"):rep(32), ("x"):rep(300),
  ("x"):rep(70000), "\255\0\128", {}, { 1, 2, 3 }, { { {} } },
  { name = "Ada", plan = "pro", n = 42, tags = { "a", "b", "c" } },
  { [0] = 1, [1.5] = 2, [-3] = "x", [true] = false } }

local wide = {}
for i = 1, 70000 do wide[i] = i % 300 end
samples[#samples + 1] = wide

describe("the Lua library MessagePack", function ()
  local found, other = pcall(require, "MessagePack")

  it("and lode read each other's bytes", function ()
    if not found then return pending "it isn't installed for this Lua" end
    for _, value in ipairs(samples) do
      check(value, other.unpack(pack(value)))
      -- it has one word for both kinds of string, and an option for them
      check(value, unpack(other.pack(value)))
    end
    for seed = 1, 200 do
      local value = random_value(random(seed), 2)
      check(value, other.unpack(pack(value)), "seed " .. seed)
    end
  end)
end)

describe("Python's msgpack", function ()
  local python = "python3"
  local function ran (command)
    local status = os.execute(command)
    return status == true or status == 0
  end
  for _, name in ipairs { "/usr/bin/python3", "python3" } do
    if ran(name .. " -c 'import msgpack' >/dev/null 2>&1") then
      python = name
      break
    end
    python = nil
  end

  -- Runs a program that gets bytes as `data`; what it writes with out().
  local function run (program, data)
    local source, input, output = os.tmpname(), os.tmpname(), os.tmpname()
    local function write (path, text)
      local file = assert(io.open(path, "wb"))
      file:write(text)
      file:close()
    end
    write(source, "import sys, msgpack\n"
      .. "data = open(sys.argv[1], 'rb').read()\n"
      .. "result = open(sys.argv[2], 'wb')\n"
      .. "out = result.write\n"
      .. "def load(b): return msgpack.unpackb(b, raw=False, "
      .. "strict_map_key=False)\n" .. program)
    write(input, data or "")
    local ok = ran(("%s %s %s %s"):format(python, source, input, output))
    local file = assert(io.open(output, "rb"))
    local result = file:read "*a"
    file:close()
    for _, path in ipairs { source, input, output } do os.remove(path) end
    assert.is_true(ok, "the Python program failed")
    return result
  end

  local function with_python (fn)
    return function ()
      if not python then return pending "python3-msgpack isn't there" end
      fn()
    end
  end

  it("sees in lode's bytes what was packed", with_python(function ()
    local seen = run([[
for value in load(data):
    out((type(value).__name__ + ' ' + ascii(value) + '\n').encode())
]], pack { true, 7, -7, 2 ^ 40, 1.5, huge, "Ada", "h\195\169", "\255\0",
      {}, { 1, { 2 } }, { a = 1 }, { [1.5] = 2 }, { [2] = true },
      { 1, nil, 3, nil } })
    assert.are.equal(table.concat({ "bool True", "int 7", "int -7",
      (integers and "float 1099511627776.0" or "int 1099511627776"),
      "float 1.5", "float inf", "str 'Ada'", "str 'h\\xe9'",
      "bytes b'\\xff\\x00'", "list []", "list [1, [2]]",
      "dict {'a': 1}", "dict {1.5: 2}", "dict {2: True}",
      "dict {1: 1, 3: 3}", "" }, "\n"), seen)
  end))

  it("gives back what lode packed", with_python(function ()
    local result = run("out(msgpack.packb(load(data), "
      .. "use_bin_type=True))", pack(samples))
    check(samples, unpack(result), "samples")
    local values = {}
    for seed = 1, 300 do
      values[seed] = random_value(random(seed), 2, true)
    end
    result = run("out(msgpack.packb(load(data), use_bin_type=True))",
      pack(values))
    check(values, unpack(result), "values made at random")
  end))

  it("writes the same bytes for the same values", with_python(function ()
    for _, value in ipairs(samples) do
      if type(value) ~= "table" or #value > 0 then
        local s = pack(value)
        local result = run("out(msgpack.packb(load(data), "
          .. "use_bin_type=True))", s)
        assert.is_true(s == result, exact.show(value))
      end
    end
  end))

  it("writes what lode reads", with_python(function ()
    local result = run [[
out(msgpack.packb([2**64 - 1, 2**63, -2**63, b'\xff', 'text', None, 1.5,
    {'k': None, 1: 'one', -1.5: [], b'b': True}, (1, 2), {}],
    use_bin_type=True))
]]
    local t = unpack(result)
    assert.are.equal(2 ^ 64, t[1])
    assert.are.equal(2 ^ 63, t[2])
    assert.are.equal(-2 ^ 63, t[3] + 0.0)
    assert.are.equal("\255", t[4])
    assert.are.equal("text", t[5])
    assert.is_nil(t[6])
    assert.are.equal(1.5, t[7])
    assert.are.same({ "one", [-1.5] = {}, b = true }, t[8])
    assert.are.same({ 1, 2 }, t[9])
    assert.are.same({}, t[10])
    assert.are.equal(0.5, unpack(run
      "out(msgpack.packb(0.5, use_single_float=True))"))
    assert.are.equal("\255a", unpack(run
      "out(msgpack.packb(b'\\xffa', use_bin_type=False))"))
    fails("CORRUPT", unpack, run
      "out(msgpack.packb(msgpack.Timestamp(1, 2)))")
    fails("CORRUPT", unpack, run
      "out(msgpack.packb(msgpack.ExtType(5, b'x')))")
  end))
end)

-- }}}
