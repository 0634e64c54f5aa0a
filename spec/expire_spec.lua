-- Policies: what they see, when they are asked, and what their answers do.

local core = require "lode.core"
local helper = require "support.helper"
local hooked = require "support.hooked"
local lode = require "lode"

local dict, set, policy = lode.dict, lode.set, lode.policy
local START, open, after = hooked.START, hooked.open, hooked.after

-- A policy that counts how often it is asked, and answers what `tell` does.
local function counting (tell)
  local count = { n = 0 }
  return function (e)
    count.n = count.n + 1
    return tell(e)
  end, count
end

describe("a policy", function ()
  helper.watch()

  it("ends an entry for every reader at its time, unswept", function ()
    local store, clock = open()
    local d = store:dict("d", { expire = after(10) })
    d.a, d.b = 1, 2
    clock.now = START + 9.999
    assert.are.equal(1, d.a)
    assert.are.equal(2, #d)
    d.b = 3
    clock.now = START + 10
    assert.is_nil(d.a)
    assert.is_false(dict.has(d, "a"))
    assert.is_nil(dict.info(d, "a"))
    assert.are.equal(1, #d)
    assert.are.equal(1, dict.count(d, { to = "b" }))
    assert.are.same({ "b" }, helper.keys(d))
    assert.are.equal(1, store:stats().expired)
    assert.are.equal(1, (store:maintain()))
    assert.are.equal(0, store:stats().expired)
    assert.are.same({ "b" }, helper.keys(d))
    hooked.sound(d, 1)
  end)

  it("sees all that is known of the entry", function ()
    local store, clock = open()
    local seen
    local d = store:dict("d", { expire = function (e)
      seen = e
      return e.now + 100
    end })
    d.k = { plan = "free" }
    assert.are.same({ plan = "free" }, seen.value)
    assert.are.equal(0, seen.hits)
    assert.is_nil(seen.expires)
    clock.now = START + 5
    assert.are.same({ plan = "free" }, d.k)
    clock.now = START + 7.5
    d.k = ("x"):rep(900)
    assert.are.equal("k", seen.key)
    assert.are.equal(("x"):rep(900), seen.value)
    assert.are.equal(START + 7.5, seen.now)
    assert.are.equal(START, seen.ctime)
    assert.are.equal(START + 7.5, seen.mtime)
    assert.are.equal(START + 7.5, seen.atime)
    assert.are.equal(1, seen.hits)
    assert.is_true(seen.size >= 901 and seen.size < 910)
    clock.now = START + 30
    assert.are.equal(("x"):rep(900), d.k)
    clock.now = START + 107.5 -- its time: it is asked again
    assert.are.equal(("x"):rep(900), d.k)
    assert.are.equal(START + 107.5, seen.expires)
    assert.are.equal(START + 107.5, seen.now)
    assert.are.equal(START + 30, seen.atime)
    assert.are.equal(2, seen.hits)
  end)

  it("sees keys of every kind, and what serializers made", function ()
    local store = open()
    local seen = {}
    local hex = {
      name = "hex",
      encode = function (v) return ("<%s>"):format(v) end,
      decode = function (s) return s:sub(2, -2) end,
    }
    local function note (e) seen[#seen + 1] = { e.key, e.value } end
    local d = store:dict("d", { expire = note })
    local h = store:dict("h", {
      expire = note, serializer = hex, key_serializer = hex,
    })
    local long = { ("k"):rep(600), 7 }
    d[{ "a\0b", 7 }] = 1
    d[1.5] = "two"
    d[true] = { 3 }
    d[long] = false
    h.key = "value"
    assert.are.same({
      { { "a\0b", 7 }, 1 }, { 1.5, "two" }, { true, { 3 } }, { long, false },
      { "key", "value" },
    }, seen)
  end)

  it("of a set is asked about its members", function ()
    local store, clock = open()
    local seen
    local s = store:set("s", { expire = function (e)
      seen = e
      return e.ctime + (e.key == "ada" and 20 or 10)
    end })
    s.ada, s.bob = true, true
    assert.are.equal("ada", seen.key)
    assert.is_true(seen.value)
    clock.now = START + 10
    assert.is_nil(s.bob)
    assert.are.same({ "ada" }, helper.members(s))
    assert.are.same({}, helper.members(s - s * s))
    assert.are.equal(1, #s)
    assert.are.equal(1, (store:maintain()))
    assert.is_true(set.add(s, "bob"))
    assert.is_false(set.add(s, "bob"))
    clock.now = START + 20
    assert.are.equal(0, #s)
    assert.are.equal(2, (store:maintain()))
    hooked.sound(s, 0)
  end)

  it("is a closure: what its upvalues hold counts at each asking", function ()
    local store, clock = open()
    local plans = store:dict "plans"
    plans.free, plans.pro = 14, 30
    local extra = 0
    local d = store:dict("trials", { expire = function (e)
      return e.ctime + plans[e.value.plan] + extra
    end })
    d.ada, d.bob = { plan = "free" }, { plan = "pro" }
    assert.are.equal(14, dict.ttl(d, "ada"))
    assert.are.equal(30, dict.ttl(d, "bob"))
    extra = 6
    clock.now = START + 14
    assert.are.equal(6, dict.ttl(d, "ada"))
    plans.free = 40
    clock.now = START + 20
    assert.are.same({ "ada", "bob" }, helper.keys(d))
    extra = 0
    clock.now = START + 40
    assert.are.same({}, helper.keys(d))
    assert.are.equal(2, (store:maintain()))
  end)

  it("takes nil, infinity and the far future for never", function ()
    local store, clock = open()
    local answers = { a = nil, b = math.huge, c = 1e300, d = -math.huge,
                      e = -5, f = START + 1, g = 1e11 }
    local d = store:dict("d", { expire = function (e)
      return answers[e.key]
    end })
    for k in ("abcdefg"):gmatch "." do d[k] = k end
    assert.are.same({ "a", "b", "c", "f", "g" }, helper.keys(d))
    assert.is_nil(dict.ttl(d, "a"))
    assert.is_nil(dict.ttl(d, "b"))
    clock.now = START + 1e9
    assert.are.same({ "a", "b", "c", "g" }, helper.keys(d))
    assert.are.equal(3, (store:maintain()))
    assert.are.equal(4, #d)
  end)

  it("can be one of lode.policy", function ()
    local store, clock = open()
    local d = store:dict("d", {
      expire = policy.any(policy.idle(10), policy.age(25)),
    })
    d.k, d.idle = 1, 2
    for _ = 1, 3 do
      clock.now = clock.now + 8
      assert.are.equal(1, d.k)
    end
    assert.is_nil(d.idle)
    clock.now = START + 25
    assert.is_nil(d.k)
    assert.are.equal(2, (store:maintain()))
  end)

  it("counts from 0 where the clock does", function ()
    local store, clock = open()
    clock.now = 0
    local d = store:dict("d", { expire = function (e)
      return e.ctime + 5
    end })
    d.k = 1
    clock.now = 4.9
    assert.are.equal(1, d.k)
    clock.now = 5
    assert.is_nil(d.k)
  end)

  it("with the dict and store as upvalues keeps neither alive", function ()
    local path = helper.path()
    local _, before = helper.live()
    for _ = 1, 3 do
      local store, d, s
      store = lode.open(path, { durability = "os", clock = function ()
        return store and START or START
      end })
      d = store:dict("d", {
        expire = function (e) return d and store and e.now + 1 end,
        on_expire = function () d.x = s end,
        max_entries = 5, evict = function () return d and s and 1 end,
      })
      s = store:set("s", { expire = function () return d and s and nil end })
      d.k, s.k = 1, true
    end
    local _, now = helper.live()
    assert.are.equal(before, now)
  end)

  it("reads the store without disturbing the call below it", function ()
    local store, clock = open()
    local other = store:dict "other"
    for i = 1, 300 do other[i] = ("o"):rep(i) end
    local d
    local function read_around (e)
      assert.are.equal(("o"):rep(200), other[200])
      assert.are.equal(300, #other)
      assert.are.equal(300, #helper.keys(other))
      assert.is_nil(d["absent" .. tostring(e.key)])
      store:snapshot(function () assert.are.equal("o", other[1]) end)
      return e.mtime + 10 + (e.value.more or 0)
    end
    d = store:dict("d", { expire = read_around })
    local long = { text = ("t"):rep(3000), more = 100 }
    local tuple = { "a long enough tuple of strings", ("k"):rep(100), 1 }
    for i = 1, 20 do d[i] = i % 2 == 0 and { n = i } or long end
    d[tuple] = long
    dict.update(d, 1, function (v) return v end)
    assert.are.equal(2, dict.put_many(d, { x = long, y = { n = 1 } }))
    clock.now = START + 50 -- all are asked for again, by readers
    assert.are.same(long, d[1])
    assert.are.same(long, d[tuple])
    assert.is_nil(d[2])
    assert.are.equal(12, #d)
    local n = 0
    for _, v in dict.pairs(d) do
      assert.are.same(long, v)
      n = n + 1
    end
    assert.are.equal(12, n)
    store:transaction(function () assert.are.same(long, d[3]) end)
    store:snapshot(function () assert.are.same(long, d[3]) end)
    assert.are.equal(11, (store:maintain()))
    assert.are.equal(12, #d)
    hooked.sound(d, 12)
  end)
end)

describe("a policy is asked", function ()
  helper.watch()

  it("once by each way to write, and by none that has a ttl", function ()
    local store = open()
    local expire, asked = counting(function (e)
      if type(e.value) == "number" then return e.mtime + e.value end
    end)
    local d = store:dict("d", { expire = expire })
    local function one (key, value, fn, ...)
      asked.n = 0
      fn(d, ...)
      assert.are.equal(1, asked.n)
      assert.are.equal(value, dict.ttl(d, key))
    end
    one("a", 5, dict.set, "a", 5)
    one("a", 6, dict.replace, "a", 6)
    one("b", 7, dict.add, "b", 7)
    one("c", 8, dict.setdefault, "c", 8)
    one("n", 9, dict.incr, "n", 4, 5)
    one("n", 11, dict.cas, "n", 9, 11)
    one("n", 12, dict.update, "n", function (n) return n + 1 end)
    one("p", 13, dict.put_many, { p = 13 })
    one("f", 14, dict.fetch, "f", function () return 14 end)
    one("f", 14, dict.touch, "f")
    asked.n = 0
    assert.is_false(dict.add(d, "a", 1))
    assert.are.equal(6, dict.setdefault(d, "a", 1))
    assert.is_false(dict.cas(d, "a", 1, 2))
    assert.is_false(dict.replace(d, "absent", 1))
    d.a = nil
    assert.are.equal(0, asked.n)
    dict.set(d, "a", 5, 50)
    assert.is_true(dict.expire(d, "b", 60))
    assert.are.equal(0, asked.n)
    assert.are.equal(50, dict.ttl(d, "a"))
    assert.are.equal(60, dict.ttl(d, "b"))
  end)

  it("by no read and no sweep before its time", function ()
    local store, clock = open()
    local expire, asked = counting(after(10))
    local d = store:dict("d", { expire = expire })
    for i = 1, 20 do d[i] = i end
    assert.are.equal(20, asked.n)
    clock.now = START + 9
    for i = 1, 20 do assert.are.equal(i, d[i]) end
    assert.are.equal(20, #d)
    assert.are.equal(20, #helper.keys(d))
    store:maintain()
    assert.are.equal(20, asked.n)
  end)

  it("once by each read past its time, until a sweep keeps it", function ()
    local store, clock = open()
    local expire, asked = counting(function (e)
      return e.now < START + 50 and START + 10 or START + 100
    end)
    local d = store:dict("d", { expire = expire })
    d.a, d.b = 1, 2
    local version = store:version()
    clock.now = START + 60
    asked.n = 0
    assert.are.equal(1, d.a)
    assert.are.equal(1, asked.n)
    assert.are.equal(2, #helper.keys(d))
    assert.are.equal(3, asked.n)
    assert.are.equal(2, #d)
    assert.are.equal(5, asked.n)
    assert.are.equal(version, store:version()) -- nothing was written
    hooked.sound(d, 2)
    assert.are.equal(0, (store:maintain()))
    assert.are.equal(7, asked.n)
    assert.are.equal(1, d.a)
    assert.are.equal(2, #d)
    store:maintain()
    assert.are.equal(7, asked.n)
    hooked.sound(d, 2) -- a call each, where the first one was
  end)

  it("once by a sweep, however soon its next time is", function ()
    local time = START
    local store = open { clock = function ()
      time = time + 0.001 -- it goes on while the sweep is at work
      return time
    end }
    local armed, asked = true, 0
    local function expire (e)
      asked = asked + 1
      if asked > 5000 then error "again and again" end
      return armed and e.now + 0.001 or nil
    end
    local d = store:dict("d", { expire = expire })
    store:transaction(function ()
      for i = 1, 600 do d[i] = i end
    end)
    time = time + 10
    asked = 0
    local removed, more = store:maintain()
    assert.are.equal(0, removed)
    assert.is_false(more)
    assert.is_true(asked <= 600, "asked " .. asked .. " times")
    armed, asked = false, 0
    store:maintain()
    hooked.sound(d, 0)
    assert.are.equal(600, #d)
  end)

  it("once by a sweep where it fails, however long others take", function ()
    local store, clock, log = open()
    local armed
    local expire, asked = counting(function (e)
      if armed then error "no answer" end
      return e.mtime + 1
    end)
    local a = store:dict("a", { expire = expire })
    local b = store:dict("b", { ttl = 1 })
    for i = 1, 10 do a[i] = i end
    store:transaction(function ()
      for i = 1, 2000 do b[i] = i end
    end)
    clock.now = START + 1
    armed, asked.n = true, 0
    assert.are.equal(2000, (store:maintain()))
    assert.are.equal(10, asked.n)
    assert.are.equal(10, #log)
    armed = false
    assert.are.equal(10, (store:maintain()))
  end)

  it("a few times by a write that sweeps on the side", function ()
    local store, clock = open { maintenance = "inline" }
    local expire, asked = counting(after(10))
    local d = store:dict("d", { expire = expire })
    local plain = store:dict "plain"
    store:transaction(function ()
      for i = 1, 100 do d[i] = i end
    end)
    clock.now = START + 10
    for i = 1, 100 do
      asked.n = 0
      d.x = i
      assert.is_true(asked.n <= 5, "asked " .. asked.n .. " times")
      asked.n = 0
      plain.x = i
      assert.is_true(asked.n <= 8, "asked " .. asked.n .. " times")
    end
    assert.are.same({ "x" }, helper.keys(d))
    hooked.sound(d, 1)
  end)
end)

describe("an access that isn't kept in the file yet", function ()
  helper.watch()

  -- An entry that dies 10 seconds after its last access, which was read 5
  -- seconds ago, when it should have died but for that.
  local function accessed (options)
    local store, clock, _, path = open(options)
    local idle = { expire = policy.idle(10) }
    local d = store:dict("d", idle)
    store:transaction(function ()
      for i = 1, 50 do d[i] = i end
    end)
    clock.now = START + 5
    for i = 1, 50 do assert.are.equal(i, d[i]) end
    clock.now = START + 10
    return store, clock, d, path
  end

  local function check (d, clock)
    clock.now = START + 14.999
    assert.are.equal(50, #d)
    clock.now = START + 15
    assert.are.equal(0, #d)
  end

  it("counts for readers", function ()
    local _, clock, d = accessed()
    check(d, clock)
  end)

  it("counts for a sweep", function ()
    local store, clock, d = accessed()
    assert.are.equal(0, (store:maintain()))
    check(d, clock)
    assert.are.equal(50, (store:maintain()))
  end)

  it("counts for writes that sweep on the side", function ()
    local store, clock, d = accessed { maintenance = "inline" }
    for i = 1, 20 do
      clock.now = clock.now + 0.2 -- so that some keep accesses, too
      store:dict "other"[i] = 1
    end
    check(d, clock)
  end)

  it("counts for whoever opens the store after its close", function ()
    local store, clock, _, path = accessed()
    store:close()
    store = open(nil, path, clock)
    check(store:dict("d", { expire = policy.idle(10) }), clock)
  end)

  it("counts for what on_expire is shown", function ()
    local store, clock = open()
    local hits
    local d = store:dict("d", {
      ttl = 10, times = true, on_expire = function (_, _, e)
        hits = e.hits
        assert.are.equal(START + 5, e.atime)
      end,
    })
    d.k = 1
    clock.now = START + 5
    assert.are.equal(1, d.k)
    clock.now = START + 10
    assert.are.equal(1, (store:maintain()))
    assert.are.equal(1, hits)
  end)
end)

describe("what a policy answers at its time", function ()
  helper.watch()

  it("keeps the entry where it is later, in a read and a sweep", function ()
    local store, clock = open()
    local ends = { a = START + 10, b = START + 10 }
    local d = store:dict("d", { expire = function (e)
      return ends[e.key]
    end })
    d.a, d.b = 1, 2
    ends.a = START + 30
    clock.now = START + 20
    assert.are.equal(1, d.a)
    assert.is_nil(d.b)
    assert.are.equal(1, (store:maintain()))
    hooked.sound(d, 1)
    ends.a = nil
    clock.now = START + 31
    assert.are.equal(1, d.a)
    store:maintain()
    hooked.sound(d, 0)
    clock.now = START + 1e6
    assert.are.same({ "a" }, helper.keys(d))
  end)

  it("ends it where it is no later, though it was asked late", function ()
    local store, clock = open()
    local ends = START + 10
    local d = store:dict("d", { expire = function () return ends end })
    d.k = 1
    ends = START + 15
    clock.now = START + 16
    assert.is_nil(d.k)
    clock.now = START + 12 -- the clock is set back: it stays dead
    assert.is_nil(d.k)
    assert.are.equal(0, #d)
    assert.are.equal(1, (store:maintain()))
    hooked.sound(d, 0)
  end)

  it("leaves one call, however often it moves", function ()
    local store, clock = open()
    local ends = START + 100
    local d = store:dict("d", { expire = function () return ends end })
    d.k = 0
    for i = 1, 20 do
      ends = ends + 10 -- a call that comes too early may stay
      d.k = i
      hooked.sound(d, 1)
    end
    for i = 1, 20 do
      ends = ends - 15 -- but none may come too late
      d.k = i
      hooked.sound(d, 1)
    end
    for _ = 1, 5 do
      clock.now = ends
      ends = ends + 20
      assert.are.equal(0, (store:maintain()))
      hooked.sound(d, 1)
    end
    clock.now = ends
    assert.are.equal(1, (store:maintain()))
    hooked.sound(d, 0)
  end)

  it("counts inside a transaction, and goes with its rollback", function ()
    local store, clock = open()
    local ends = START + 10
    local d = store:dict("d", { expire = function () return ends end })
    d.k = 1
    assert.is_false(pcall(store.transaction, store, function ()
      ends = START + 20
      d.k, d.other = 2, 2
      assert.are.equal(20, dict.ttl(d, "other"))
      error "undone"
    end))
    ends = START + 5
    hooked.sound(d, 1)
    assert.are.equal(1, d.k)
    clock.now = START + 10
    assert.is_nil(d.k)
    assert.are.equal(1, (store:maintain()))
  end)

  it("holds for copies, which have its function", function ()
    local store, clock = open()
    local told = {}
    local d = store:dict("d", {
      expire = function (e) return e.ctime + 10 end,
      on_expire = function (key) told[#told + 1] = key end,
    })
    d.a = 1
    local copy = dict.copy(d, "copy")
    copy.b = 2
    clock.now = START + 10
    assert.are.equal(0, #copy)
    assert.are.equal(3, (store:maintain()))
    table.sort(told)
    assert.are.same({ "a", "a", "b" }, told)
  end)
end)

describe("a sweep", function ()
  helper.watch()

  -- The index has calls that look due, up to the time that was seen before
  -- the clock was set back, of entries that have time yet.
  it("ends where the clock was set back, though nobody has it open",
    function ()
      local store, clock, _, path = open()
      local far = store:dict "far"
      dict.set(far, "x", 1, 1000)
      clock.now = START + 2000
      assert.is_nil(far.x)
      clock.now = START
      local d = store:dict("d", { ttl = 10 })
      store:transaction(function ()
        for i = 1, 600 do d[i] = i end
      end)
      store:close()
      local output = helper.run([[
        local lode = require "lode"
        local path, now = ...
        local store = lode.open(path, { durability = "os",
          maintenance = "off", clock = function () return now end })
        print(store:maintain())
        print(#store:dict "d")
        now = now + 10
        print(store:maintain { entries = 100 })
        print(#store:dict "d", store:stats().expired)
      ]], path, START)
      assert.are.equal("1\tfalse\n600\n100\ttrue\n0\t500", output)
    end)

  it("asks no function that a collection has lost meanwhile", function ()
    -- the dict is collected at each look at the clock in turn, so also
    -- between the question whether it has a hook and the call of that
    local looks, at, time
    local store = open { clock = function ()
      if looks then
        looks = looks + 1
        if looks == at then
          collectgarbage()
          collectgarbage()
        end
      end
      return time
    end }
    local function fill (told)
      local d = store:dict("d", {
        ttl = 1,
        on_expire = function (key) told[#told + 1] = key end,
      })
      for i = 1, 5 do d[i] = i end
    end
    time = START
    local waited
    for n = 1, 12 do
      local told = {}
      fill(told)
      time = time + 1
      looks, at = 0, n
      local removed = store:maintain()
      looks = nil
      assert.are.equal(removed, #told)
      assert.are.equal(5 - removed, store:stats().waiting)
      waited = waited or removed < 5
      local again = store:dict("d", {
        on_expire = function (key) told[#told + 1] = key end,
      })
      assert.are.equal(5 - removed, (store:maintain()))
      assert.are.equal(5, #told)
      assert.are.equal(0, #again)
    end
    assert.is_true(waited)
  end)
end)

describe("memory that fails while lode asks a function", function ()
  helper.watch()

  it("leaves the store whole, and all is told", function ()
    if not core.test_fail then return end
    local store, clock = open()
    local told = {}
    local other = store:dict "other"
    other[{ "a\0b", 1 }] = "xx"
    local d = store:dict("d", {
      expire = function (e)
        return e.mtime + 10 + #(store:dict "other"[{ "a\0b", 1 }] or "")
      end,
      on_expire = function (key, value)
        store:dict "told"[key] = value.n
        told[value.n] = (told[value.n] or 0) + 1
      end,
    })
    store:dict "told"["k\0x"] = 0
    for n = 1, 60 do
      core.test_fail(0)
      d["k\0x"] = { n = n }
      clock.now = clock.now + 20
      core.test_fail(n)
      pcall(function () return d["k\0x"] end)
      pcall(store.maintain, store)
      hooked.try_write(d, "k\0x", { n = 1000 + n })
      core.test_fail(0)
      clock.now = clock.now + 20
      store:maintain()
      assert.are.equal(0, #d)
      hooked.sound(d, 0)
      assert.is_true((told[n] or 0) >= 1, "not told of " .. n)
    end
  end)
end)
