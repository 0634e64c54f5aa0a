-- What a policy, an evict function or the clock raises, or answers that is
-- no answer: unchanged to whoever called lode, and in a sweep to the log.

local helper = require "support.helper"
local hooked = require "support.hooked"
local lode = require "lode"

local dict, set, policy = lode.dict, lode.set, lode.policy
local fails, says = helper.fails, helper.says
local START, open, try_write = hooked.START, hooked.open, hooked.try_write

describe("what a policy raises", function ()
  helper.watch()

  local values = {
    ["a string"] = "oops", ["a table"] = { "oops" }, ["false"] = false,
    ["a function"] = print, ["a number"] = 12,
  }

  for name, value in pairs(values) do
    it(("passes unchanged, being %s, and undoes the write"):format(name),
      function ()
        local store, clock, log = open()
        local armed = false
        local d = store:dict("d", { expire = function (e)
          if armed then error(value, 0) end
          return e.mtime + 10
        end })
        d.old = 1
        armed = true
        local function check (ok, e)
          assert.is_false(ok)
          assert.is_true(rawequal(value, e))
        end
        check(try_write(d, "new", 1))
        check(pcall(dict.set, d, "new", 1))
        check(pcall(dict.add, d, "new", 1))
        check(pcall(dict.incr, d, "new"))
        check(pcall(dict.setdefault, d, "new", 1))
        check(pcall(dict.cas, d, "old", 1, 2))
        check(pcall(dict.touch, d, "old"))
        check(pcall(dict.fetch, d, "new", function () return 1 end))
        check(pcall(dict.update, d, "old", function () return 2 end))
        check(pcall(dict.put_many, d, { new = 1, newer = 2 }))
        check(pcall(store.transaction, store, function ()
          store:dict("other").x = 1
          d.new = 1
        end))
        assert.are.same({ "old" }, helper.keys(d))
        assert.are.equal(0, #store:dict "other")
        clock.now = START + 10 -- and it is asked by readers
        check(pcall(dict.get, d, "old"))
        check(pcall(dict.has, d, "old"))
        check(pcall(dict.len, d))
        check(pcall(helper.keys, d))
        check(pcall(dict.totable, d))
        assert.are.equal(0, #log)
        armed = false
        assert.is_nil(d.old)
        d.new = 1
        assert.are.equal(1, d.new)
        hooked.sound(d, 2)
      end)
  end

  it("passes as nil, where error(nil) raises that", function ()
    local store = open()
    local d = store:dict("d", { expire = function () error(nil) end })
    local plain = { pcall(error, nil) }
    local ok, e = try_write(d, "k", 1)
    assert.is_false(ok)
    assert.are.equal(plain[2], e)
  end)

  it("comes from the set of an expression that raised it", function ()
    local armed = false
    local here, clock = open()
    local there = open()
    local a = here:set("s", { expire = function (e)
      if armed then error("from s", 0) end
      return e.mtime + 1
    end })
    local b = there:set "plain"
    a.x, b.x, b.y = true, true, true
    clock.now = START + 2
    armed = true
    for _, walk in ipairs {
      function () return helper.members(b + a) end,
      function () return #(b * a) end,
      function () return (b * a).x end,
      function () return set.save(b + a, there, "saved") end,
    } do
      local ok, e = pcall(walk)
      assert.is_false(ok)
      assert.are.equal("from s", e)
    end
    armed = false
    assert.are.equal(0, #(b * a))
    assert.are.equal(2, #(b + a))
  end)

  it("is logged by a sweep, which keeps the entry and goes on", function ()
    local store, clock, log = open()
    local bad = { mark = "the very one" }
    local d = store:dict("d", { expire = function (e)
      if e.now > START and e.key == "bad" then error(bad) end
      return e.mtime + 10
    end })
    d.a, d.bad, d.c = 1, 2, 3
    clock.now = START + 10
    local removed, more = store:maintain()
    assert.are.equal(2, removed)
    assert.is_false(more)
    assert.are.equal(1, #log)
    assert.are.equal("error", log[1].level)
    says(log[1].message, "d: 'expire' failed", '"bad"', "stays")
    assert.are.equal("d", log[1].fields.collection)
    assert.are.equal("bad", log[1].fields.key)
    assert.is_true(rawequal(bad, log[1].fields.error))
    assert.are.equal(0, (store:maintain())) -- the next sweep asks again
    assert.are.equal(2, #log)
    hooked.sound(d, 1)
  end)

  it("doesn't fail a write that sweeps on the side", function ()
    local store, clock, log = open { maintenance = "inline" }
    local d = store:dict("d", { expire = function (e)
      if e.now > START and e.key == "bad" then error("a bad one", 0) end
      if e.key ~= "keep" then return e.mtime + 10 end
    end })
    d.bad, d.good = 1, 1
    clock.now = START + 10
    for i = 1, 20 do d.keep = i end
    assert.is_true(#log > 0)
    says(log[1].message, "a bad one")
    assert.are.equal(20, d.keep)
    assert.is_nil(d.good)
    hooked.sound(d, 1)
  end)

  it("leaves a batch of writes undone, all of them", function ()
    local store = open()
    local d = store:dict("d", { expire = function (e)
      if e.key == 700 then error("at 700", 0) end
      return e.mtime + 10
    end })
    d.old = 1
    local n = 0
    local ok, e = pcall(dict.put_many, d, function ()
      n = n + 1
      if n <= 1000 then return n, n end
    end)
    assert.is_false(ok)
    assert.are.equal("at 700", e)
    assert.are.same({ "old" }, helper.keys(d))
    hooked.sound(d, 1)
  end)
end)

describe("a policy's answer", function ()
  helper.watch()

  it("that is no time raises BAD_VALUE", function ()
    local store = open()
    for answer, text in pairs {
      ["12"] = '"12"', [true] = "true", [print] = "a function",
    } do
      local d = store:dict("d", { expire = function () return answer end })
      local e = fails("BAD_VALUE", function () d.k = 1 end)
      says(e, "the policy 'function' gave " .. text, "collection d")
      assert.are.equal("d", e.collection)
      assert.are.equal("k", e.key)
      assert.is_nil(d.k)
    end
    local d = store:dict("n", {
      expire = policy.at(function () return 0 / 0 end, "broken"),
    })
    says(fails("BAD_VALUE", function () d.k = 1 end), "NaN", "'broken'")
    assert.are.equal(0, #d)
  end)

  it("that is no time is logged by a sweep", function ()
    local store, clock, log = open()
    local answer = START + 10
    local d = store:dict("d", { expire = function () return answer end })
    d.k = 1
    clock.now, answer = START + 10, "never"
    assert.are.equal(0, (store:maintain()))
    assert.are.equal("BAD_VALUE", log[1].fields.error.code)
    says(log[1].message, 'gave "never"', '"k"')
    answer = nil
    assert.are.equal(1, d.k)
  end)
end)

describe("an evict function", function ()
  helper.watch()

  it("names the lowest, who goes first", function ()
    local store = open()
    local d = store:dict("d", {
      max_entries = 20,
      evict = function (e) return e.value.worth end,
    })
    for i = 1, 200 do d[i] = { worth = i * 37 % 199 } end
    assert.is_true(#d <= 36)
    local least = 200
    for k, v in dict.pairs(d) do
      if k < 200 then least = math.min(least, v.worth) end
    end
    assert.is_true(least >= 150, "kept one of " .. least)
    hooked.sound(d)
  end)

  it("sees times and hits", function ()
    local store, clock = open()
    local seen = {}
    local d = store:dict("d", {
      max_entries = 1000,
      evict = function (e)
        seen[e.key] = e
        return e.atime
      end,
    })
    d.a = 1
    assert.are.equal(START, seen.a.ctime)
    assert.are.equal(0, seen.a.hits)
    assert.are.equal(1, d.a)
    clock.now = START + 5
    d.a = 2
    assert.are.equal(1, seen.a.hits)
    assert.are.equal(START + 5, seen.a.atime)
    assert.are.equal(START, seen.a.ctime)
  end)

  it("that gives no number, or raises, undoes the write", function ()
    local store = open()
    local answer = 1
    local d = store:dict("d", { max_entries = 5, evict = function ()
      if answer == "raise" then error("raised", 0) end
      return answer
    end })
    d.a = 1
    for _, bad in ipairs { "1", 0 / 0, false, {} } do
      answer = bad
      says(fails("BAD_VALUE", function () d.b = 2 end), "'evict'",
        "collection d")
    end
    answer = "raise"
    assert.are.same({ false, "raised" }, { try_write(d, "b", 2) })
    answer = 1
    assert.are.same({ "a" }, helper.keys(d))
    hooked.sound(d)
  end)

  it("that raises for another entry doesn't stop writes", function ()
    local store, _, log = open()
    local armed
    local d = store:dict("d", { max_entries = 5, evict = function (e)
      if armed and e.key <= 3 then error("not these", 0) end
      return e.key
    end })
    for i = 1, 5 do d[i] = i end
    armed = true
    for i = 6, 60 do d[i] = i end
    assert.is_true(#d <= 21)
    assert.are.equal(60, d[60])
    assert.is_true(#log > 0)
    says(log[1].message, "'evict'", "not these")
    hooked.sound(d)
  end)
end)

describe("the clock", function ()
  helper.watch()

  it("raises BAD_VALUE when it gives no time", function ()
    local store, clock = open()
    local d = store:dict("d", { ttl = 10 })
    d.k = 1
    for _, bad in ipairs { "now", -1, 0 / 0, math.huge, {}, false } do
      clock.now = bad
      says(fails("BAD_VALUE", function () return d.k end), "the clock gave")
      fails("BAD_VALUE", function () d.k = 2 end)
      fails("BAD_VALUE", store.maintain, store)
    end
    clock.now = START
    assert.are.equal(1, d.k)
    hooked.sound(d, 1)
  end)

  it("passes on what it raises", function ()
    local oops, armed = {}, false
    local store = open { clock = function ()
      if armed then error(oops) end
      return START
    end }
    local d = store:dict("d", { times = true })
    d.k = 1
    armed = true
    local ok, e = pcall(function () return d.k end)
    assert.is_false(ok)
    assert.is_true(rawequal(oops, e))
    ok, e = try_write(d, "k", 2)
    assert.is_false(ok)
    assert.is_true(rawequal(oops, e))
    armed = false
    assert.are.equal(1, d.k)
    armed = true
    store:close() -- which has accesses to keep, and does without
  end)

  it("may read the store that asks it, not write to it", function ()
    local plain, asked
    local store = open { clock = function ()
      if plain and not asked then
        asked = true
        assert.are.equal("tick", plain.tock)
        fails("REENTRY", function () plain.tock = 2 end)
        asked = false
      end
      return START
    end }
    local other = store:dict "other"
    other.tock = "tick"
    local d = store:dict("d", { times = true, ttl = 10 })
    local long = ("x"):rep(3000)
    d.k = long
    plain = other
    assert.are.equal(long, d.k)
    d.k = "short"
    assert.are.equal("short", d.k)
    assert.are.equal("tick", other.tock)
  end)
end)
