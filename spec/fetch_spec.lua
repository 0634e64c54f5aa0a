-- Get or compute: one caller computes, over all threads and processes.

local core = require "lode.core"
local helper = require "support.helper"
local lode = require "lode"

local dict = lode.dict
local fails, open = helper.fails, helper.open

local LONG = 1000 -- seconds, which no test takes
local BRIEF = 0.02

-- Returns when an entry written with the ttl BRIEF has died.
local function let_die ()
  os.execute "sleep 0.06"
end

-- A function for fetch that counts its calls and gives what it is told.
local function counting (...)
  local n, results = 0, { ... }
  local function compute ()
    n = n + 1
    return results[n]
  end
  return compute, function () return n end
end

local function never ()
  error "computed, where a value should have been found"
end

-- What a fetch of d.k in another process gives or raises at once.
local function elsewhere (path)
  return helper.run([[
    local lode = require "lode"
    local store = lode.open(..., { durability = "os" })
    local ok, e = pcall(lode.dict.fetch, store:dict "d", "k", function ()
      return "theirs"
    end, { wait = 0 })
    print(ok and e or e.code)
  ]], path)
end

describe("fetch", function ()
  helper.watch()

  it("gives what is there, else what the function computes", function ()
    local d = open():dict "d"
    d.there = "old"
    assert.are.equal("old", dict.fetch(d, "there", never))
    local compute, count = counting { plan = "pro" }
    assert.are.same({ plan = "pro" }, dict.fetch(d, "k", compute))
    assert.are.same({ plan = "pro" }, d.k)
    assert.are.same({ plan = "pro" }, dict.fetch(d, "k", compute))
    assert.are.equal(1, count())
  end)

  it("gives the function the key, and takes its first result", function ()
    local d = open():dict "d"
    local given
    local results = { dict.fetch(d, { "a", 1 }, function (...)
      given = { n = select("#", ...), ... }
      return "one", "two"
    end) }
    assert.are.same({ n = 1, { "a", 1 } }, given)
    assert.are.same({ "one" }, results)
    assert.are.equal("one", d[{ "a", 1 }])
  end)

  it("keeps false, which is a value", function ()
    local d = open():dict "d"
    assert.is_false(dict.fetch(d, "k", function () return false end))
    assert.is_false(dict.fetch(d, "k", never))
  end)

  it("stores under the key as it was, whatever the function does to it",
    function ()
      local d = open():dict "d"
      dict.fetch(d, { 1, 2 }, function (k)
        k[2], k[3] = ("x"):rep(100), true
        local other = d.other
        return other or "v"
      end)
      assert.are.same({ { 1, 2 } }, helper.keys(d))
    end)

  it("passes serializers, hash functions and types", function ()
    local store = open()
    local calls = 0
    local d = store:dict("d", {
      serializer = {
        name = "doubled",
        encode = function (v) return v .. v end,
        decode = function (s) return s:sub(1, #s / 2) end,
      },
      key_serializer = {
        name = "reversed",
        encode = string.reverse, decode = string.reverse,
      },
      hash = function (bytes)
        calls = calls + 1
        return bytes:sub(-16)
      end,
      key = "string",
    })
    for _, k in ipairs { "abc", ("k"):rep(2000) } do
      assert.are.equal("v" .. k, dict.fetch(d, k, function (key)
        d[key .. "x"] = "other"
        return "v" .. key
      end))
      assert.are.equal("v" .. k, dict.fetch(d, k, never))
      assert.are.equal("v" .. k, d[k])
    end
    assert.is_true(calls > 0)
    fails("BAD_KEY", dict.fetch, d, 1, never)
    local numbers = store:dict("numbers", { value = "number" })
    fails("BAD_VALUE", dict.fetch, numbers, 1, function () return "x" end)
    assert.are.equal(2, dict.fetch(numbers, 1, function () return 2 end))
  end)

  it("works in raw dicts, without a time to live", function ()
    local d = open():dict("d", { raw = true })
    assert.are.equal("v", dict.fetch(d, "k", function () return "v" end))
    assert.are.equal("v", dict.fetch(d, "k", never))
    fails("BAD_ARGUMENT", dict.fetch, d, "other", never, 5)
    fails("BAD_ARGUMENT", dict.fetch, d, "other", never, { negative = 5 })
  end)

  it("checks its arguments", function ()
    local store = open()
    local d = store:dict "d"
    fails("BAD_ARGUMENT", dict.fetch, store:set "s", "k", never)
    fails("BAD_ARGUMENT", dict.fetch, d, "k")
    fails("BAD_ARGUMENT", dict.fetch, d, "k", "v")
    fails("BAD_KEY", dict.fetch, d, nil, never)
    fails("BAD_KEY", dict.fetch, d, 0 / 0, never)
    for _, ttl in ipairs { 0, -1, 0 / 0, "5", true, never } do
      fails("BAD_ARGUMENT", dict.fetch, d, "k", never, ttl)
      fails("BAD_ARGUMENT", dict.fetch, d, "k", never, { ttl = ttl })
      fails("BAD_ARGUMENT", dict.fetch, d, "k", never, { negative = ttl })
    end
    for _, name in ipairs { "stale", "early", "wait" } do
      for _, v in ipairs { -1, 0 / 0, "5", true, {} } do
        helper.says(fails("BAD_ARGUMENT", dict.fetch, d, "k", never,
          { [name] = v }), name)
      end
    end
    fails("BAD_ARGUMENT", dict.fetch, d, "k", never, { early = 1 / 0 })
    helper.says(fails("BAD_ARGUMENT", dict.fetch, d, "k", never,
      { tll = 5 }), "tll")
    fails("BAD_ARGUMENT", dict.fetch, d, "k", never, { 5 })
    d.k = "v"
    assert.are.equal("v", dict.fetch(d, "k", never, { ttl = 1 / 0,
      negative = 1 / 0, stale = 0, early = 0, wait = 0 }))
  end)
end)

describe("the time to live of fetch", function ()
  helper.watch()

  it("is the argument's, the option's, or the dict's", function ()
    local d = open():dict "d"
    dict.fetch(d, 1, function () return 1 end, 100)
    dict.fetch(d, 2, function () return 2 end, { ttl = 200 })
    dict.fetch(d, 3, function () return 3 end)
    dict.fetch(d, 4, function () return 4 end, { ttl = 1 / 0 })
    local function near (ttl, k)
      local left = dict.ttl(d, k)
      assert.is_true(left <= ttl and left > ttl - 50, tostring(left))
    end
    near(100, 1)
    near(200, 2)
    assert.is_nil(dict.ttl(d, 3))
    assert.is_nil(dict.ttl(d, 4))
  end)

  it("ends, and the next caller computes", function ()
    local d = open():dict "d"
    local compute, count = counting("first", "second")
    assert.are.equal("first", dict.fetch(d, "k", compute, BRIEF))
    let_die()
    assert.is_nil(d.k)
    assert.are.equal("second", dict.fetch(d, "k", compute, LONG))
    assert.are.equal(2, count())
  end)
end)

describe("a function given to fetch", function ()
  helper.watch()

  it("passes its error on unchanged, and the key is free", function ()
    local store, path = open()
    local d = store:dict "d"
    for _, raised in ipairs { "text", 42, { code = "MINE" }, false } do
      local ok, e = pcall(dict.fetch, d, "k", function ()
        error(raised, 0)
      end)
      assert.is_false(ok)
      assert.are.equal(raised, e)
      assert.is_nil(d.k)
    end
    assert.are.equal("theirs", elsewhere(path))
    assert.are.equal("theirs", dict.fetch(d, "k", never))
  end)

  it("can't yield, and the key is free", function ()
    local d = open():dict "d"
    local thread = coroutine.create(function ()
      dict.fetch(d, "k", coroutine.yield)
    end)
    assert.is_false(coroutine.resume(thread))
    assert.are.equal(1, dict.fetch(d, "k", function () return 1 end))
  end)

  it("raises BAD_VALUE for what can't be stored, and the key is free",
    function ()
      local d = open():dict "d"
      local e = fails("BAD_VALUE", dict.fetch, d, "k", function ()
        return { a = { print } }
      end)
      assert.are.equal("k", e.key)
      assert.are.equal(1, dict.fetch(d, "k", function () return 1 end))
    end)

  it("may use the store", function ()
    local store = open()
    local d, other = store:dict "d", store:dict "other"
    local value = dict.fetch(d, "k", function (k)
      assert.is_nil(d[k])
      d[("long"):rep(300)] = ("value"):rep(300)
      store:transaction(function () other.x, d.y = 1, 2 end)
      dict.update(d, "y", function (y) return y + 1 end)
      assert.are.equal("deep", dict.fetch(d, "deep", function ()
        return "deep"
      end))
      assert.are.equal("same", dict.fetch(other, "k", function ()
        return "same"
      end))
      collectgarbage()
      return { d.y, other.x, #d }
    end)
    assert.are.same({ 3, 1, 3 }, value)
    assert.are.same(value, d.k)
    assert.are.equal("same", other.k)
  end)

  it("can write its own key: its result comes last", function ()
    local d = open():dict "d"
    assert.are.equal("b", dict.fetch(d, "k", function (k)
      d[k] = "a"
      return "b"
    end))
    assert.are.equal("b", d.k)
  end)

  it("can't fetch its own key", function ()
    local store, path = open()
    local d = store:dict "d"
    local second = open({}, path):dict "d"
    for _, same in ipairs { d, second } do
      local e
      assert.are.equal(1, dict.fetch(d, "k", function ()
        e = fails("REENTRY", dict.fetch, same, "k", never, { wait = LONG })
        return 1
      end))
      assert.are.equal("k", e.key)
      dict.delete(d, "k")
    end
    -- nor where that has a stale value
    dict.fetch(d, "k", function () return 1 end, { ttl = BRIEF,
      stale = LONG })
    let_die()
    fails("REENTRY", dict.fetch, d, "k", function (k)
      return dict.fetch(d, k, never)
    end)
  end)

  it("keeps no other writer out", function ()
    local store, path = open()
    local d = store:dict "d"
    assert.are.equal("other", dict.fetch(d, "k", function ()
      helper.run([[
        local lode = require "lode"
        local d = lode.open(..., { lock_timeout = 1 }):dict "d"
        d.other = "other"
        assert(lode.dict.fetch(d, "another", function () return 1 end))
      ]], path)
      return d.other
    end))
  end)

  it("may close the store: CLOSED, and the key is free", function ()
    for _, others in ipairs { false, true } do
      local store, path = open()
      local d = store:dict "d"
      local keeper = others and open({}, path)
      fails("CLOSED", dict.fetch, d, "k", function ()
        store:close()
        return 1
      end)
      assert.are.equal("theirs", elsewhere(path))
      if keeper then
        assert.are.equal("theirs", dict.fetch(keeper:dict "d", "k", never))
        dict.delete(keeper:dict "d", "k")
        assert.are.equal(1, dict.fetch(keeper:dict "d", "k", function ()
          return 1
        end))
      end
    end
  end)

  it("may drop the dict: NOT_FOUND", function ()
    local store = open()
    fails("NOT_FOUND", dict.fetch, store:dict "d", "k", function ()
      store:drop "d"
      return 1
    end)
    assert.are.equal(1, dict.fetch(store:dict "d", "k", function ()
      return 1
    end))
  end)

  it("may open and close the store's file again", function ()
    local store, path = open()
    dict.fetch(store:dict "d", "k", function ()
      lode.open(path):close()
      assert.are.equal("BUSY", elsewhere(path))
      return 1
    end)
  end)
end)

describe("fetch where nothing can be written", function ()
  helper.watch()

  it("gives what is there, and computes nothing", function ()
    local path = helper.path()
    local d = open({}, path):dict "d"
    d.there = 1
    dict.fetch(d, "stale", function () return "old" end,
      { ttl = BRIEF, stale = LONG })
    let_die()
    local reading = open({ readonly = true }, path):dict "d"
    local function try (code, over)
      assert.are.equal(1, dict.fetch(over, "there", never))
      fails(code, dict.fetch, over, "absent", never)
    end
    try("READONLY", reading)
    assert.are.equal("old", dict.fetch(reading, "stale", never))
    local store = open({}, path)
    d = store:dict "d"
    store:snapshot(function ()
      try("READONLY", d)
      assert.are.equal("old", dict.fetch(d, "stale", never))
    end)
    dict.update(d, "there", function (v)
      try("REENTRY", d)
      return v
    end)
    assert.are.equal("new", dict.fetch(d, "stale", function ()
      return "new"
    end))
  end)
end)

describe("fetch in a transaction", function ()
  helper.watch()

  it("joins it", function ()
    local store = open()
    local d = store:dict "d"
    store:transaction(function ()
      assert.are.equal(1, dict.fetch(d, "k", function () return 1 end))
      assert.are.equal(1, d.k)
      assert.are.equal(1, dict.fetch(d, "k", never))
    end)
    assert.are.equal(1, d.k)
    pcall(store.transaction, store, function ()
      dict.fetch(d, "gone", function () return 1 end)
      error "undo"
    end)
    assert.is_nil(d.gone)
    assert.are.equal(2, dict.fetch(d, "gone", function () return 2 end))
  end)
end)

describe("a negative result of fetch", function ()
  helper.watch()

  it("isn't kept unless that is asked for", function ()
    local d = open():dict "d"
    local compute, count = counting(nil, nil, "third")
    assert.is_nil(dict.fetch(d, "k", compute, LONG))
    assert.is_nil(dict.fetch(d, "k", compute, LONG))
    assert.are.equal("third", dict.fetch(d, "k", compute, LONG))
    assert.are.equal(3, count())
    assert.are.equal(1, #d)
  end)

  it("is kept for its time, and is absent for all else", function ()
    local store, path = open()
    local d = store:dict "d"
    local compute, count = counting(nil, nil, "third")
    assert.is_nil(dict.fetch(d, "k", compute, { negative = LONG }))
    assert.is_nil(dict.fetch(d, "k", never, { negative = LONG }))
    assert.is_nil(dict.fetch(d, "k", never))
    assert.are.equal("nil", helper.run([[
      local lode = require "lode"
      print(lode.dict.fetch(lode.open(...):dict "d", "k", error))
    ]], path))
    assert.are.equal(1, count())
    assert.is_nil(d.k)
    assert.is_false(dict.has(d, "k"))
    assert.are.equal(0, #d)
    assert.are.same({}, helper.keys(d))
    assert.is_nil(dict.info(d, "k"))
    assert.is_true(dict.add(d, "k", "added"))
    assert.are.equal("added", dict.fetch(d, "k", never))
    assert.are.equal(1, #d)
  end)

  it("ends", function ()
    local d = open():dict "d"
    local compute, count = counting(nil, "second")
    assert.is_nil(dict.fetch(d, "k", compute, { negative = BRIEF }))
    let_die()
    assert.are.equal("second", dict.fetch(d, "k", compute))
    assert.are.equal(2, count())
  end)

  it("is cleared by a write, by delete and by clear", function ()
    local d = open():dict "d"
    local keep = { negative = LONG }
    dict.fetch(d, "k", function () end, keep)
    d.k = "written"
    assert.are.equal("written", dict.fetch(d, "k", never))
    assert.is_true(dict.delete(d, "k"))
    for _, clear in ipairs { dict.delete, function () dict.clear(d) end } do
      assert.is_nil(dict.fetch(d, "k", function () end, keep))
      assert.is_nil(dict.fetch(d, "k", never))
      clear(d, "k")
      assert.are.equal(1, dict.fetch(d, "k", function () return 1 end))
      assert.is_true(dict.delete(d, "k"))
    end
    assert.are.equal(0, #d)
  end)

  it("is kept where the dict has a ttl of its own", function ()
    local now = 1000
    local store = open { clock = function () return now end }
    local d = store:dict("d", { ttl = 100 })
    assert.is_nil(dict.fetch(d, "k", function () end, { negative = 10 }))
    now = 1009.9
    assert.is_nil(dict.fetch(d, "k", never))
    now = 1010
    assert.are.equal(1, dict.fetch(d, "k", function () return 1 end))
    assert.are.equal(100, dict.ttl(d, "k"))
  end)

  it("takes the place of a stale value", function ()
    local d = open():dict "d"
    local options = { ttl = BRIEF, stale = LONG, negative = LONG }
    assert.are.equal(1, dict.fetch(d, "k", function () return 1 end,
      options))
    let_die()
    assert.is_nil(dict.fetch(d, "k", function () end, options))
    assert.is_nil(dict.fetch(d, "k", never, options))
  end)
end)

describe("fetch from a dict with a policy", function ()
  helper.watch()

  it("has the policy say when the value ends", function ()
    local now = 1000
    local store = open { clock = function () return now end }
    local d = store:dict("d", { expire = function (e)
      return e.value.ends
    end })
    local compute, count = counting({ ends = 1010 }, { ends = 2000 })
    local options = { stale = 20 }
    dict.fetch(d, "k", compute, options)
    now = 1009
    dict.fetch(d, "k", never)
    now = 1011
    assert.is_nil(d.k)
    assert.are.same({ ends = 2000 }, dict.fetch(d, "k", compute, options))
    assert.are.equal(2, count())
    now = 2010
    store:maintain()
    store:snapshot(function ()
      assert.are.same({ ends = 2000 }, dict.fetch(d, "k", never))
    end)
    now = 2021
    assert.are.equal("none", dict.fetch(d, "k", function () return "none" end,
      { ttl = 5 }))
  end)

  it("passes the error of the policy, and the key is free", function ()
    local raised = { "mine" }
    local d = open():dict("d", { expire = function (e)
      if e.value == "bad" then error(raised) end
    end })
    local ok, e = pcall(dict.fetch, d, "k", function () return "bad" end)
    assert.is_false(ok)
    assert.are.equal(raised, e)
    assert.is_nil(d.k)
    assert.are.equal("good", dict.fetch(d, "k", function ()
      return "good"
    end))
  end)

  it("can't be computed by a policy", function ()
    local store = open()
    local other = store:dict "other"
    other.there = 1
    local failed
    local d = store:dict("d", { expire = function (e)
      assert.are.equal(1, dict.fetch(other, "there", never))
      failed = fails("REENTRY", dict.fetch, other, e.key, never)
    end })
    assert.are.equal(("x"):rep(50), dict.fetch(d, "k", function ()
      return ("x"):rep(50)
    end))
    assert.are.equal("k", failed.key)
    assert.are.equal(("x"):rep(50), d.k)
    assert.are.equal(1, dict.fetch(other, "k", function () return 1 end))
  end)
end)

describe("fetch without memory", function ()
  helper.watch()

  it("raises NO_MEMORY, and the key is free", function ()
    if not core.test_fail then pending "only in the test build" end
    local store, path = open()
    local other = open({}, path):dict "d"
    local function attempt (n, options, computes)
      local d = store:dict "d"
      dict.clear(d)
      core.test_fail(n)
      local ok, e = pcall(dict.fetch, d, "k", computes, options)
      core.test_fail(0)
      if not ok then
        assert.are.equal("NO_MEMORY", type(e) == "table" and e.code
          or tostring(e))
        assert.is_nil(dict.fetch(other, "k", function () end))
      end
      return ok
    end
    for _, options in ipairs { {}, { ttl = 5 }, { negative = 5 } } do
      local failures, calm, n = 0, 0, 0
      while calm < 4 do
        n = n + 1
        local ok = attempt(n, options, function ()
          return not options.negative and { ("x"):rep(5000) } or nil
        end)
        calm = ok and calm + 1 or 0
        failures = failures + (ok and 0 or 1)
        assert.is_true(n < 300)
      end
      assert.is_true(failures > 0)
    end
  end)
end)
