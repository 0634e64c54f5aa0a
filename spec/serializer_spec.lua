-- lode.serializer by itself; serializer_store_spec.lua has it at work.

local core = require "lode.core"
local exact = require "support.exact"
local helper = require "support.helper"
local serializer = require "lode.serializer"

local fails, says = helper.fails, helper.says

local function found (name)
  return (pcall(require, name))
end

local has = {
  json = found "dkjson",
  zlib = found "zlib",
  openssl = found "openssl.cipher",
  utf8proc = core.normalize "\195\169" ~= nil,
}

-- An `it` that is pending where one of these libraries is absent.
local function it_with (libraries, text, fn)
  for library in libraries:gmatch "%S+" do
    if not has[library] then
      pending(text .. " (needs " .. library .. ")")
      return
    end
  end
  it(text, fn)
end

-- Runs fn while `names` can't be required.
local function without (names, fn)
  local searchers = package.searchers or package.loaders
  local kept, loaded = {}, {}
  for i = #searchers, 2, -1 do
    kept[i] = table.remove(searchers, i)
  end
  for _, name in ipairs(names) do
    loaded[name], package.loaded[name] = package.loaded[name], nil
  end
  local ok, e = pcall(fn)
  for i, searcher in pairs(kept) do searchers[i] = searcher end
  for name, module in pairs(loaded) do package.loaded[name] = module end
  if not ok then error(e, 0) end
end

local function round_trip (s, value)
  local bytes = s.encode(value)
  assert.are.equal("string", type(bytes))
  exact.check(value, s.decode(bytes), s.name)
end

-- Values that every format carries: text is UTF-8, keys are strings.
local alphabet = { "a", "Z", "0", " ", "\"", "\\", "/", "\n", "\0", "\127",
  "\195\169", "\226\130\172", "\240\159\152\128", "\226\128\168" }

local function random_text ()
  local out = {}
  for i = 1, math.random(0, 12) do
    out[i] = alphabet[math.random(#alphabet)]
  end
  return table.concat(out)
end

local scalars = {
  random_text,
  function () return math.random() < 0.5 end,
  function () return math.random(-1000, 1000) end,
  function () return (math.random() - 0.5) * 10 ^ math.random(-300, 300) end,
  function () return math.random(0, 2^30) end,
}

local function random_value (depth)
  local choice = math.random(depth > 0 and 8 or 5)
  if choice <= 5 then return scalars[choice]() end
  local out = {}
  for i = 1, math.random(0, 6) do
    local key = choice == 6 and i or random_text()
    out[key] = random_value(depth - 1)
  end
  return out
end

local function survives_random_values (s)
  for seed = 1, 200 do
    math.randomseed(seed)
    round_trip(s, random_value(4))
  end
end

-- Values in which integers, floats and strings show every byte.
local sample = { plan = "pro", n = 42, x = 0.1, tags = { "a", "b", "c" } }

local function flip (bytes, at, bit)
  local byte = bytes:byte(at)
  local high = math.floor(byte / 2^bit) % 2 == 1
  byte = byte + (high and -1 or 1) * 2^bit
  return bytes:sub(1, at - 1) .. string.char(byte) .. bytes:sub(at + 1)
end

-- A serializer of strings to themselves.
local plain = {
  name = "plain",
  encode = function (v) return v end,
  decode = function (v) return v end,
}

describe("serializer.msgpack", function ()
  it("packs and unpacks what a plain dict stores", function ()
    local s = serializer.msgpack
    assert.are.equal("msgpack", s.name)
    survives_random_values(s)
    round_trip(s, { 1, 2.5, "\255", { [true] = false, [1.5] = "x" } })
  end)

  it("refuses what can't be stored", function ()
    local e = fails("BAD_VALUE", serializer.msgpack.encode, { f = print })
    says(e, "function")
  end)

  it("raises CORRUPT for bytes that are none", function ()
    fails("CORRUPT", serializer.msgpack.decode, "\147\1\2")
  end)
end)

describe("serializer.json", function ()
  local s = serializer.json

  it_with("json", "writes JSON with its names sorted", function ()
    assert.are.equal("json", s.name)
    assert.are.equal('{"a":[1,2,{"x":true}],"b":"\\"\\\\","c":-7}',
      s.encode { c = -7, b = "\"\\", a = { 1, 2, { x = true } } })
  end)

  it_with("json", "gives back what it carries", function ()
    for _, value in ipairs { true, false, "", "text", 0, -1, {},
      { {}, { {} } }, { a = { b = { c = { 1 } } } }, ("x"):rep(10000),
      "\0\1\31\127\"\\/", "\195\169\226\130\172\240\159\152\128" } do
      round_trip(s, value)
    end
    survives_random_values(s)
  end)

  it_with("json", "keeps every digit of a number", function ()
    for _, number in ipairs { 0.1, 0.1 + 0.2, 1 / 3, 2^53, 2^53 - 1, -2^53,
      2^63, 1e15, 1e16, 123456789012345, 5e-324, 2.2250738585072014e-308,
      1.7976931348623157e308, -1e-7, -1 / math.huge } do
      round_trip(s, { number })
    end
  end)

  if helper.integers then
    it_with("json", "keeps integers and floats apart", function ()
      round_trip(s, { 1, 1.0, 0, 0.0, -0.0, math.maxinteger, math.mininteger,
        2^53, math.tointeger(2^53), 1e100 })
      assert.are.equal("[1,1.0]", s.encode { 1, 1.0 })
    end)
  end

  it_with("json", "reads null as nil", function ()
    assert.is_nil(s.decode "null")
    exact.check({ a = 1 }, s.decode '{"a":1,"b":null}')
  end)

  it_with("json", "raises for what JSON can't carry, and says where",
    function ()
      local cycle = {}
      cycle.down = { cycle }
      for _, case in ipairs {
        { nil, "value: a nil" },
        { print, "value: a function" },
        { { spells = { 1, 2, { cast = print } } },
          "value.spells[3].cast: a function" },
        { { coroutine.create(function () end) }, "value[1]: a thread" },
        { { ["two words"] = io.stdout }, 'value["two words"]: a userdata' },
        { { [true] = 1 }, "value: the key true" },
        { { a = { [1.5] = 1 } }, "value.a: the key 1.5" },
        { { [0] = 1 }, "value: the key 0" },
        { { [-1] = 1 }, "value: the key -1" },
        { { 1, nil, 3 }, "value: a list with gaps" },
        { { [1000000] = 1 }, "value: a list with gaps" },
        { { 1, a = 2 }, "value: a table that is list and map" },
        { { n = 0 / 0 }, "value.n: the number" },
        { { math.huge }, "value[1]: the number" },
        { { -math.huge }, "value[1]: the number" },
        { { "ok", "\255" }, "value[2]: a string that isn't UTF-8" },
        { "\237\160\128", "value: a string that isn't UTF-8" },
        { "\192\128", "value: a string that isn't UTF-8" },
        { "\244\144\128\128", "value: a string that isn't UTF-8" },
        { "\195\169\169", "value: a string that isn't UTF-8" },
        { { ["\128"] = 1 }, "a string that isn't UTF-8" },
        { cycle, "value.down[1]: a table that contains itself" },
      } do
        says(fails("BAD_VALUE", s.encode, case[1]), case[2])
      end
    end)

  it_with("json", "writes a table twice where it stands twice", function ()
    local shared = { 1 }
    exact.check({ { 1 }, { 1 } }, s.decode(s.encode { shared, shared }))
  end)

  it_with("json", "has a bound of depth, in which it reads what it wrote",
    function ()
      local value = {}
      for _ = 2, 128 do value = { value } end
      round_trip(s, value)
      says(fails("BAD_VALUE", s.encode, { value }), "nested deeper")
    end)

  it_with("json", "asks no metamethod", function ()
    local value = setmetatable({ a = 1 }, {
      __index = error, __pairs = error, __len = error, __tojson = error,
    })
    assert.are.equal('{"a":1}', s.encode(value))
  end)

  it_with("json", "raises CORRUPT for what is no JSON", function ()
    for _, text in ipairs { "", " ", "{", "[1,2", '"abc', "tru", "nul", "-",
      "[1]x", "1 2", "{}{}", "\0", "\255", ("["):rep(200000) } do
      fails("CORRUPT", s.decode, text)
    end
    fails("BAD_ARGUMENT", s.decode, nil)
  end)

  it_with("json", "raises for every text that was cut off", function ()
    local text = s.encode(sample)
    for size = 0, #text - 1 do
      fails("CORRUPT", s.decode, text:sub(1, size))
    end
  end)

  it("says what to install where dkjson is absent", function ()
    without({ "dkjson" }, function ()
      local e = fails("BAD_ARGUMENT", s.encode, {})
      says(e, "lode.serializer.json", '"dkjson"', "luarocks install dkjson",
        "apt-get install lua-dkjson")
      fails("BAD_ARGUMENT", s.decode, "{}")
    end)
  end)

  it("says why a library that is there can't be loaded", function ()
    without({ "dkjson" }, function ()
      package.preload.dkjson = function () error("broken by hand", 0) end
      local e = fails("BAD_ARGUMENT", s.encode, {})
      package.preload.dkjson = nil
      says(e, "broken by hand")
    end)
  end)
end)

describe("serializer.zlib", function ()
  it("is named after what it wraps", function ()
    assert.are.equal("zlib(msgpack)", serializer.zlib().name)
    assert.are.equal("zlib(json)", serializer.zlib("json").name)
    assert.are.equal("zlib(json)", serializer.zlib(serializer.json).name)
  end)

  it_with("zlib", "gives back what it compressed", function ()
    local s = serializer.zlib()
    survives_random_values(s)
    for _, size in ipairs { 0, 1, 4095, 4096, 4097, 100000, 3000000 } do
      round_trip(s, ("x"):rep(size))
    end
    math.randomseed(1)
    local noise = {}
    for i = 1, 50000 do noise[i] = string.char(math.random(0, 255)) end
    round_trip(s, table.concat(noise))
  end)

  it_with("zlib json", "compresses the text of another serializer",
    function ()
      local s = serializer.zlib("json", { level = 9 })
      round_trip(s, sample)
      local value = { text = ("abc "):rep(1000) }
      assert.is_true(#s.encode(value) < 100)
      local text = require("zlib").inflate()(s.encode(value))
      assert.are.equal(serializer.json.encode(value), text)
    end)

  it_with("zlib", "raises CORRUPT for every stream that was cut off",
    function ()
      local s = serializer.zlib()
      local bytes = s.encode(sample)
      for size = 0, #bytes - 1 do
        fails("CORRUPT", s.decode, bytes:sub(1, size))
      end
      fails("CORRUPT", s.decode, bytes .. "\0")
      fails("CORRUPT", s.decode, bytes .. ("\0"):rep(10000))
      fails("CORRUPT", s.decode, "garbage")
      fails("BAD_ARGUMENT", s.decode, {})
    end)

  it_with("zlib", "gives no other value when a bit is flipped", function ()
    local s = serializer.zlib()
    local bytes = s.encode(sample)
    local raised = 0
    for at = 1, #bytes do
      for bit = 0, 7 do
        local ok, got = pcall(s.decode, flip(bytes, at, bit))
        if ok then
          exact.check(sample, got)
        else
          assert.are.equal("CORRUPT", got.code)
          raised = raised + 1
        end
      end
    end
    assert.is_true(raised > #bytes * 7)
  end)

  it_with("zlib", "reads and writes nothing past max_size", function ()
    local small = serializer.zlib(plain, { max_size = 100000 })
    local bomb = serializer.zlib(plain).encode(("\0"):rep(2^25))
    assert.is_true(#bomb < 40000)
    says(fails("CORRUPT", small.decode, bomb), "max_size", "100000")
    says(fails("BAD_VALUE", small.encode, ("\0"):rep(100001)), "max_size")
    round_trip(small, ("\0"):rep(100000))
  end)

  it("checks its options and what it is to wrap", function ()
    local zlib = serializer.zlib
    fails("BAD_ARGUMENT", zlib, "msgpack", { levle = 1 })
    fails("BAD_ARGUMENT", zlib, "msgpack", { level = 10 })
    fails("BAD_ARGUMENT", zlib, "msgpack", { level = "9" })
    fails("BAD_ARGUMENT", zlib, "msgpack", { max_size = 0 })
    fails("BAD_ARGUMENT", zlib, "msgpack", { max_size = 1.5 })
    fails("BAD_ARGUMENT", zlib, "msgpack", 9)
    fails("BAD_ARGUMENT", zlib, "nosuch")
    fails("BAD_ARGUMENT", zlib, {})
    fails("BAD_ARGUMENT", zlib, print)
  end)

  it_with("zlib", "raises where what it wraps gives no string", function ()
    local s = serializer.zlib {
      name = "mine", encode = function () return 42 end, decode = tostring,
    }
    assert.are.equal("zlib(mine)", s.name)
    says(fails("BAD_VALUE", s.encode, 1), "mine", "number")
  end)

  it("says what to install where lua-zlib is absent", function ()
    local s = serializer.zlib()
    without({ "zlib" }, function ()
      local e = fails("BAD_ARGUMENT", s.encode, {})
      says(e, "lode.serializer.zlib", '"zlib"', "luarocks install lua-zlib",
        "apt-get install lua-zlib")
      fails("BAD_ARGUMENT", s.decode, "x")
    end)
  end)
end)

describe("serializer.encrypted", function ()
  local key = ("k"):rep(32)

  it("is named after what it wraps", function ()
    assert.are.equal("encrypted(msgpack)", serializer.encrypted(key).name)
    assert.are.equal("encrypted(zlib(json))",
      serializer.encrypted(key, "zlib(json)").name)
  end)

  it("keeps its key out of the table", function ()
    for _, v in pairs(serializer.encrypted(key)) do
      assert.are_not.equal(key, v)
    end
  end)

  it("needs a key of 32 bytes, and says how to make one", function ()
    for _, wrong in ipairs { "", "short", ("k"):rep(31), ("k"):rep(33), 32,
      {} } do
      says(fails("BAD_ARGUMENT", serializer.encrypted, wrong), "32 bytes",
        'require("openssl.rand").bytes(32)', "key_from_password")
    end
    fails("BAD_ARGUMENT", serializer.encrypted)
    fails("BAD_ARGUMENT", serializer.encrypted, key, "nosuch")
  end)

  it_with("openssl", "gives back what it hid", function ()
    local s = serializer.encrypted(key)
    survives_random_values(s)
    round_trip(s, "")
    round_trip(s, ("\0"):rep(1000000))
  end)

  it_with("openssl zlib json", "wraps a serializer that wraps another",
    function ()
      round_trip(serializer.encrypted(key, serializer.zlib "json"), sample)
    end)

  it_with("openssl", "lays its bytes out as it says, new each time",
    function ()
      local s = serializer.encrypted(key)
      local inner = serializer.msgpack.encode "a secret word"
      local one, two = s.encode "a secret word", s.encode "a secret word"
      assert.are.equal(1 + 12 + #inner + 16, #one)
      assert.are.equal(1, one:byte())
      assert.are_not.equal(one:sub(2, 13), two:sub(2, 13))
      assert.are_not.equal(one:sub(14), two:sub(14))
      assert.is_nil(one:find("secret", 1, true))
    end)

  it_with("openssl", "reads the test vectors of GCM's authors", function ()
    local function bytes (hex)
      return (hex:gsub("%x%x", function (pair)
        return string.char(tonumber(pair, 16))
      end))
    end
    local zeros = serializer.encrypted(("\0"):rep(32), plain)
    local head = "\1" .. ("\0"):rep(12)
    assert.are.equal("",
      zeros.decode(head .. bytes "530f8afbc74536b9a963b4f1c4cb738b"))
    assert.are.equal(("\0"):rep(16),
      zeros.decode(head .. bytes("cea7403d4d606b6e074ec5d3baf39d18"
      .. "d0d1c8a799996bf0265b98b5d48ab919")))
  end)

  it_with("openssl", "gives nothing when a bit is flipped", function ()
    local s = serializer.encrypted(key)
    local bytes = s.encode(sample)
    for at = 1, #bytes do
      for bit = 0, 7 do
        fails("CORRUPT", s.decode, flip(bytes, at, bit))
      end
    end
  end)

  it_with("openssl", "gives nothing of what was cut off or added to",
    function ()
      local s = serializer.encrypted(key)
      local bytes = s.encode(sample)
      for size = 0, #bytes - 1 do
        fails("CORRUPT", s.decode, bytes:sub(1, size))
      end
      fails("CORRUPT", s.decode, bytes .. "\0")
      fails("BAD_ARGUMENT", s.decode, 1)
    end)

  it_with("openssl", "gives nothing under another key", function ()
    local bytes = serializer.encrypted(key).encode(sample)
    local other = serializer.encrypted(("K"):rep(32))
    says(fails("CORRUPT", other.decode, bytes),
      "wrong key or damaged value")
  end)

  it_with("openssl", "makes a key from a password and a salt", function ()
    local make = serializer.key_from_password
    local salt = ("s"):rep(16)
    local made = make("correct horse", salt)
    assert.are.equal(32, #made)
    assert.are.equal(made, make("correct horse", salt))
    assert.are_not.equal(made, make("correct horse", ("S"):rep(16)))
    assert.are_not.equal(made, make("correct house", salt))
    round_trip(serializer.encrypted(made), sample)
  end)

  it("makes no key without a password or from a short salt", function ()
    local make = serializer.key_from_password
    fails("BAD_ARGUMENT", make, "", ("s"):rep(16))
    fails("BAD_ARGUMENT", make, nil, ("s"):rep(16))
    says(fails("BAD_ARGUMENT", make, "correct horse", "short"), "16 bytes",
      'require("openssl.rand").bytes(16)')
    fails("BAD_ARGUMENT", make, "correct horse")
  end)

  it("says what to install where luaossl is absent", function ()
    local s = serializer.encrypted(key)
    without({ "openssl.rand", "openssl.cipher", "openssl.kdf" }, function ()
      local e = fails("BAD_ARGUMENT", s.encode, {})
      says(e, "lode.serializer.encrypted", '"openssl.rand"',
        "luarocks install luaossl", "apt-get install lua-luaossl")
      fails("BAD_ARGUMENT", s.decode, "\1" .. ("x"):rep(40))
      fails("BAD_ARGUMENT", serializer.key_from_password, "correct horse",
        ("s"):rep(16))
    end)
  end)
end)

local composed, decomposed = "\195\169", "e\204\129" -- é, in both forms

describe("serializer.nfc and nfkc", function ()
  local nfc, nfkc = serializer.nfc, serializer.nfkc

  it_with("utf8proc", "give one form to equal strings", function ()
    for _, s in ipairs { nfc, nfkc } do
      assert.are.equal(composed, s.encode(decomposed))
      assert.are.equal(composed, s.encode(composed))
      assert.are.equal("plain", s.encode "plain")
      assert.are.equal("", s.encode "")
      assert.are.equal(composed, s.decode(s.encode(decomposed)))
    end
  end)

  it_with("utf8proc", "differ in what only looks different", function ()
    local ligature = "\239\172\129"
    assert.are.equal(ligature, nfc.encode(ligature))
    assert.are.equal("fi", nfkc.encode(ligature))
  end)

  it_with("utf8proc", "put combining characters in order, Hangul together",
    function ()
      assert.are.equal("q\204\163\204\135",
        nfc.encode "q\204\135\204\163")
      assert.are.equal("\234\176\129",
        nfc.encode "\225\132\128\225\133\161\225\134\168")
    end)

  it_with("utf8proc", "keep zero bytes and long strings whole", function ()
    assert.are.equal("a\0" .. composed .. "\0b",
      nfc.encode("a\0" .. decomposed .. "\0b"))
    assert.are.equal(composed:rep(30000), nfc.encode(decomposed:rep(30000)))
  end)

  it_with("utf8proc", "raise BAD_KEY for what is no UTF-8", function ()
    for _, key in ipairs { "\255", "a\128", "\195", "\237\160\128",
      "\192\128", decomposed .. "\240\159" } do
      says(fails("BAD_KEY", nfc.encode, key), "nfc", "UTF-8")
      says(fails("BAD_KEY", nfkc.encode, key), "nfkc", "UTF-8")
    end
  end)

  it("raise BAD_KEY for what is no string", function ()
    for _, key in ipairs { 1, true, {} } do
      says(fails("BAD_KEY", nfc.encode, key), "nfc", type(key))
    end
  end)

  it("say what to install where utf8proc is absent", function ()
    local real = core.normalize
    core.normalize = function () return nil, "absent" end
    local e = fails("BAD_ARGUMENT", nfc.encode, "a")
    core.normalize = real
    says(e, "lode.serializer.nfc", "utf8proc",
      "apt-get install libutf8proc-dev")
  end)
end)

describe("serializer.named", function ()
  it("finds each by its name", function ()
    for _, name in ipairs { "msgpack", "json", "nfc", "nfkc" } do
      assert.are.equal(serializer[name], serializer.named(name))
    end
    for _, name in ipairs { "zlib(msgpack)", "zlib(json)",
      "zlib(zlib(json))" } do
      assert.are.equal(name, serializer.named(name).name)
    end
    assert.are.equal("zlib(msgpack)", serializer.named("zlib").name)
  end)

  it("gives nil and the reason for any other", function ()
    for _, name in ipairs { "", "nosuch", "named", "zlib(", "zlib()",
      "zlib(nosuch)", "JSON" } do
      local s, why = serializer.named(name)
      assert.is_nil(s)
      assert.is_truthy(why:find "no serializer named")
    end
    assert.is_nil((serializer.named(42)))
    assert.is_nil((serializer.named()))
  end)

  it("says that an encrypted one needs its key", function ()
    for _, name in ipairs { "encrypted", "encrypted(msgpack)",
      "zlib(encrypted(msgpack))" } do
      local s, why = serializer.named(name)
      assert.is_nil(s)
      assert.is_truthy(why:find("needs its key", 1, true))
    end
  end)
end)
