-- Serializers and key serializers at work: API.md, "Dicts" and "Sets".

local core = require "lode.core"
local exact = require "support.exact"
local helper = require "support.helper"
local lode = require "lode"
local serializer = require "lode.serializer"

local dict, set = lode.dict, lode.set
local fails, says, open = helper.fails, helper.says, helper.open

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

local sample = { plan = "pro", n = 42, x = 0.1, tags = { "a", "b", "c" } }
local composed, decomposed = "\195\169", "e\204\129" -- é, in both forms

-- A serializer of strings whose order is that of the reversed bytes.
local reversed = {
  name = "reversed",
  encode = string.reverse,
  decode = string.reverse,
}

local function file_has (path, text)
  local file = assert(io.open(path .. "/data.mdb", "rb"))
  local bytes = file:read "*a"
  file:close()
  return bytes:find(text, 1, true) ~= nil
end

describe("a dict with a serializer", function ()
  helper.watch()

  it_with("json zlib", "is read by the remembered name", function ()
    for _, name in ipairs { "json", "zlib", "zlib(json)", "msgpack" } do
      local store, path = open()
      local d = store:dict("d", { serializer = name })
      d.ada = sample
      d.text = "text"
      exact.check(sample, d.ada)
      store:close()
      local again = open({}, path):dict "d"
      exact.check(sample, again.ada, name)
      assert.are.equal("text", again.text)
      again.eve = { 1, 2 }
      assert.are.same({ 1, 2 }, again.eve)
    end
  end)

  it_with("json", "stores what the serializer made", function ()
    local store, path = open()
    store:dict("d", { serializer = serializer.json }).ada = { plan = "pro" }
    store:flush()
    assert.is_true(file_has(path, '{"plan":"pro"}'))
  end)

  it_with("json zlib", "refuses to open with another serializer", function ()
    local store, path = open()
    store:dict("d", { serializer = "json" }).a = 1
    store:dict("plain").a = 1
    store:close()
    store = open({}, path)
    local e = fails("INCOMPATIBLE", store.dict, store, "d",
      { serializer = "zlib(json)" })
    says(e, "serializer", "json")
    fails("INCOMPATIBLE", store.dict, store, "plain",
      { serializer = "json" })
    assert.are.equal(1, store:dict("d", { serializer = "json" }).a)
  end)

  it_with("json", "works in every call that reads or writes", function ()
    local store = open()
    local d = store:dict("d", { serializer = "json" })
    assert.is_true(dict.add(d, "a", { 1 }))
    assert.is_false(dict.add(d, "a", { 2 }))
    assert.is_true(dict.replace(d, "a", { 3 }))
    dict.update(d, "a", function (v) v[2] = 4 return v end)
    assert.are.same({ 3, 4 }, dict.get(d, "a"))
    assert.is_true(dict.cas(d, "a", { 3, 4 }, { 5 }))
    assert.are.equal(7, dict.incr(d, "n", 7))
    assert.are.equal(8, dict.incr(d, "n"))
    assert.are.equal(2, dict.put_many(d, { x = { "x" }, y = false }))
    assert.are.same({ a = { 5 }, n = 8, x = { "x" }, y = false },
      dict.totable(d))
    assert.are.same({ 5 }, dict.pop(d, "a"))
  end)

  it("passes an error of encode on and undoes the write", function ()
    local store = open()
    local mark = {}
    local d = store:dict("d", { serializer = {
      name = "moody",
      encode = function (v)
        if v == "bad" then error(mark) end
        return v
      end,
      decode = function (v) return v end,
    } })
    d.a = "good"
    local _, e = pcall(dict.set, d, "a", "bad")
    assert.are.equal(mark, e)
    assert.are.equal("good", d.a)
    _, e = pcall(dict.put_many, d, { b = "good", c = "bad" })
    assert.are.equal(mark, e)
    assert.are.same({ a = "good" }, dict.totable(d))
    _, e = pcall(store.transaction, store, function ()
      d.b = "good"
      d.c = "bad"
    end)
    assert.are.equal(mark, e)
    assert.are.same({ a = "good" }, dict.totable(d))
    d.a = "still writable"
    assert.are.equal("still writable", d.a)
  end)

  it("passes an error of decode on", function ()
    local store = open()
    local mark = {}
    local d = store:dict("d", { serializer = {
      name = "one-way",
      encode = tostring,
      decode = function () error(mark) end,
    } })
    d.a = 1
    local _, e = pcall(dict.get, d, "a")
    assert.are.equal(mark, e)
    _, e = pcall(function () for _ in dict.pairs(d) do end end)
    assert.are.equal(mark, e)
    assert.is_true(dict.has(d, "a"))
    assert.is_true(dict.delete(d, "a"))
  end)

  it("raises BAD_VALUE where encode gives no string", function ()
    local store = open()
    for _, result in ipairs { false, 42, {} } do
      local d = store:dict("d" .. type(result), { serializer = {
        name = "wrong",
        encode = function () return result end,
        decode = function (v) return v end,
      } })
      fails("BAD_VALUE", dict.set, d, "a", 1)
      assert.are.equal(0, dict.len(d))
    end
  end)

  it("refuses a serializer that is none", function ()
    local store = open()
    for _, wrong in ipairs { "nosuch", "encrypted(msgpack)", 42, {},
      { name = "x" }, { name = "x", encode = tostring },
      { encode = tostring, decode = tostring } } do
      fails("BAD_ARGUMENT", store.dict, store, "d", { serializer = wrong })
      fails("BAD_ARGUMENT", store.dict, store, "d",
        { key_serializer = wrong })
    end
    assert.are.same({}, helper.collect(false, store:collections()))
  end)

  it("needs a serializer of the user's own at each opening", function ()
    local store, path = open()
    store:dict("d", { serializer = reversed }).a = "abc"
    store:close()
    store = open({}, path)
    local ok, e = pcall(function () return store:dict("d").a end)
    assert.is_false(ok)
    says(e, "reversed")
    assert.are.equal("abc", store:dict("d", { serializer = reversed }).a)
  end)

  it_with("openssl", "keeps its values secret from who has no key",
    function ()
      local store, path = open()
      local key = ("k"):rep(32)
      local d = store:dict("d", { serializer = serializer.encrypted(key) })
      d.ada = "a secret word"
      d.table = sample
      assert.are.equal("a secret word", d.ada)
      store:close()
      assert.is_false(file_has(path, "secret"))
      store = open({}, path)
      local ok, e = pcall(function () return store:dict("d").ada end)
      assert.is_false(ok)
      says(e, "needs its key")
      local other = serializer.encrypted(("K"):rep(32))
      d = store:dict("d", { serializer = other })
      says(fails("CORRUPT", dict.get, d, "ada"), "wrong key")
      d = store:dict("d", { serializer = serializer.encrypted(key) })
      assert.are.equal("a secret word", d.ada)
      exact.check(sample, d.table)
    end)
end)

describe("a collection with a key serializer", function ()
  helper.watch()

  it_with("utf8proc", "has one key for both forms of a string", function ()
    local store, path = open()
    local d = store:dict("d", { key_serializer = "nfc" })
    d[decomposed] = 1
    assert.are.equal(1, d[composed])
    d[composed] = 2
    assert.are.equal(2, d[decomposed])
    assert.are.same({ composed }, helper.keys(d))
    store:close()
    d = open({}, path):dict "d"
    assert.are.equal(2, d[decomposed])
    assert.is_true(dict.delete(d, decomposed))
    assert.are.equal(0, dict.len(d))
  end)

  it_with("utf8proc", "has one member for both forms of a string",
    function ()
      local store, path = open()
      local s = store:set("s", { key_serializer = serializer.nfkc })
      assert.is_true(set.add(s, decomposed))
      assert.is_false(set.add(s, composed))
      assert.is_true(set.add(s, "\239\172\129"))
      assert.is_true(s.fi)
      store:close()
      s = open({}, path):set "s"
      assert.is_false(set.add(s, decomposed))
      assert.are.same({ "fi", composed }, helper.members(s))
    end)

  it_with("utf8proc", "raises BAD_KEY for a key it can't take", function ()
    local store = open()
    local d = store:dict("d", { key_serializer = "nfc" })
    fails("BAD_KEY", dict.set, d, 1, "x")
    fails("BAD_KEY", dict.set, d, "\255", "x")
    assert.are.equal(0, dict.len(d))
  end)

  it("is ordered by the encoded bytes", function ()
    local store = open()
    local d = store:dict("d", { key_serializer = reversed })
    for _, key in ipairs { "ab", "ba", "ca", "ac" } do d[key] = key end
    assert.are.same({ "ba", "ca", "ab", "ac" }, helper.keys(d))
    assert.are.same({ "ca", "ab" },
      helper.keys(d, { from = "ca", to = "ab" }))
    assert.are.same({ "ac", "ab", "ca", "ba" },
      helper.keys(d, { reverse = true }))
    assert.are.equal("ba", (dict.first(d)))
    assert.are.equal("ab", (dict.next(d, "ca")))
    for key, value in dict.pairs(d) do assert.are.equal(key, value) end
  end)

  it("takes long keys", function ()
    local store = open()
    local d = store:dict("d", { key_serializer = reversed })
    local long = ("x"):rep(5000)
    d[long .. "a"], d[long .. "b"] = 1, 2
    assert.are.equal(1, d[long .. "a"])
    assert.are.same({ long .. "a", long .. "b" }, helper.keys(d))
  end)

  it("refuses to open with another key serializer", function ()
    local store, path = open()
    store:dict("d", { key_serializer = reversed }).a = 1
    store:close()
    store = open({}, path)
    local e = fails("INCOMPATIBLE", store.dict, store, "d",
      { key_serializer = "nfc" })
    says(e, "key_serializer")
  end)

  it("passes an error on and undoes the write", function ()
    local store = open()
    local mark = {}
    local d = store:dict("d", { key_serializer = {
      name = "moody",
      encode = function (k)
        if k == "bad" then error(mark) end
        return k
      end,
      decode = function (k) return k end,
    } })
    d.good = 1
    local _, e = pcall(dict.set, d, "bad", 2)
    assert.are.equal(mark, e)
    _, e = pcall(dict.get, d, "bad")
    assert.are.equal(mark, e)
    assert.are.same({ "good" }, helper.keys(d))
  end)

  it("raises BAD_KEY where encode gives no string", function ()
    local store = open()
    local d = store:dict("d", { key_serializer = {
      name = "wrong", encode = function () return 42 end, decode = tostring,
    } })
    fails("BAD_KEY", dict.set, d, "a", 1)
    assert.are.equal(0, dict.len(d))
  end)
end)
