-- Entries whose policy a program doesn't know: absent when their time has
-- come, removed by nobody, until one comes who knows; and giving a dict or
-- set another policy, on purpose and by accident.

local helper = require "support.helper"
local hooked = require "support.hooked"
local lode = require "lode"

local dict, policy = lode.dict, lode.policy
local fails, says = helper.fails, helper.says
local START, open, after = hooked.START, hooked.open, hooked.after

-- Closes the store and opens it anew, by the same clock.
local function reopen (store, clock, options)
  local path = store:path()
  store:close()
  return (open(options, path, clock))
end

-- What dict and set have in common.
local kinds = {
  dict = {
    put = function (d, k) d[k] = "v" .. k end,
    keys = helper.keys,
    stats = dict.stats,
  },
  set = {
    put = function (s, k) s[k] = true end,
    keys = helper.members,
    stats = lode.set.stats,
  },
}

for kind, of in pairs(kinds) do
  describe(("a %s whose policy this program lacks"):format(kind), function ()
    helper.watch()

    it("keeps its entries, absent past their time, waiting", function ()
      local store, clock = open()
      local options = { expire = policy.at(after(10), "mine") }
      local c = store[kind](store, "c", options)
      of.put(c, "a")
      of.put(c, "b")
      store = reopen(store, clock)
      c = store[kind](store, "c")
      clock.now = START + 9
      assert.are.same({ "a", "b" }, of.keys(c)) -- before the last answer
      assert.are.equal(0, store:stats().waiting)
      clock.now = START + 10
      assert.is_nil(c.a)
      assert.are.equal(0, #c)
      of.put(c, "c")
      assert.are.same({ "c" }, of.keys(c))
      assert.is_nil(lode[kind].ttl(c, "c"))
      assert.is_nil(lode[kind].info(c, "c").expires)
      local removed, more = store:maintain()
      assert.are.equal(0, removed)
      assert.is_false(more)
      removed, more = store:maintain { entries = 1 }
      assert.are.equal(0, removed)
      assert.is_false(more)
      assert.are.equal(2, store:stats().waiting)
      assert.are.equal(2, of.stats(c).waiting)
      hooked.sound(c, 3)
      store = reopen(store, clock)
      c = store[kind](store, "c", options) -- and here it is again
      assert.are.equal(2, store:stats().expired)
      assert.are.equal(0, store:stats().waiting)
      assert.are.equal(2, (store:maintain()))
      assert.are.same({ "c" }, of.keys(c))
      hooked.sound(c, 1)
      clock.now = START + 20 -- "c" was asked about by that sweep
      assert.are.equal(0, #c)
      assert.are.equal(1, (store:maintain()))
    end)

    it("loses nothing that the policy would keep", function ()
      local store, clock = open { maintenance = "inline" }
      local ends = START + 10
      local options = { expire = policy.at(function () return ends end) }
      local c = store[kind](store, "c", options)
      for i = 1, 50 do of.put(c, i) end
      store = reopen(store, clock, { maintenance = "inline" })
      clock.now = START + 15
      c = store[kind](store, "c")
      for i = 51, 90 do of.put(c, i) end -- which sweep on the side
      store:maintain()
      assert.are.equal(40, #c)
      ends = START + 20
      store = reopen(store, clock, { maintenance = "inline" })
      c = store[kind](store, "c", options)
      assert.are.equal(90, #c)
      assert.are.equal(0, (store:maintain()))
      assert.are.equal(90, #c)
      hooked.sound(c, 90)
    end)

    it("is rearmed: the new one is asked about every entry", function ()
      local store, clock = open()
      local c = store[kind](store, "c", {
        expire = policy.at(after(10), "one"),
      })
      for _, k in ipairs { "a", "b", "c" } do of.put(c, k) end
      store = reopen(store, clock)
      local seen = {}
      local two = policy.at(function (e)
        seen[#seen + 1] = e.key
        if e.key == "a" then return e.mtime + 50 end
      end, "two")
      clock.now = START + 5
      c = store[kind](store, "c", { expire = two, rearm = true })
      assert.are.same({ "a", "b", "c" }, seen)
      hooked.sound(c, 1)
      store = reopen(store, clock)
      c = store[kind](store, "c", { expire = two })
      clock.now = START + 49
      assert.are.equal(3, #c)
      clock.now = START + 50
      assert.are.same({ "b", "c" }, of.keys(c))
      assert.are.equal(1, (store:maintain()))
    end)
  end)
end

describe("another policy", function ()
  helper.watch()

  it("by accident is INCOMPATIBLE, and changes nothing", function ()
    local store, clock = open()
    local d = store:dict("d", { expire = policy.at(after(10), "one") })
    d.a = 1
    store = reopen(store, clock)
    local two = policy.at(after(50), "two")
    local e = fails("INCOMPATIBLE", store.dict, store, "d", { expire = two })
    says(e, "one", "two", "rearm")
    assert.are.equal("d", e.collection)
    for _, options in ipairs {
      { expire = after(10) }, { ttl = 5 }, { expire = policy.ttl(10) },
      { max_entries = 5 }, { times = true },
    } do
      fails("INCOMPATIBLE", store.dict, store, "d", options)
    end
    d = store:dict("d", { expire = policy.at(after(10), "one") })
    clock.now = START + 10
    assert.is_nil(d.a)
    local plain = store:dict "plain"
    plain.a = 1
    fails("INCOMPATIBLE", store.dict, store, "plain", { expire = two })
    fails("INCOMPATIBLE", store.dict, store, "plain", { ttl = 5 })
    clock.now = START + 1000
    assert.are.equal(1, plain.a)
  end)

  it("in another process is INCOMPATIBLE, too", function ()
    local store, _, _, path = open()
    store:dict("d", { expire = policy.idle(600) }).a = 1
    local output = helper.run([[
      local lode = require "lode"
      local policy = lode.policy
      local store = lode.open((...), { durability = "os" })
      for _, p in ipairs {
        policy.idle(601), policy.age(600), function () end,
        policy.any(policy.idle(600)), policy.named("x", policy.idle(600)),
      } do
        local ok, e = pcall(store.dict, store, "d", { expire = p })
        print(ok, e.code)
      end
      print(pcall(store.dict, store, "d", { expire = policy.idle(600) }))
    ]], path)
    assert.are.equal(("false\tINCOMPATIBLE\n"):rep(5)
      .. "true\tlode.dict: d", output)
  end)

  it("that was given by another process is unknown to the first", function ()
    local store, clock, _, path = open()
    local d = store:dict("d", { expire = policy.at(after(10), "one") })
    d.a, d.b = 1, 2
    assert.are.equal("", helper.run([[
      local lode = require "lode"
      local path, now = ...
      local store = lode.open(path, { durability = "os",
        maintenance = "off", clock = function () return now end })
      store:dict("d", { rearm = true,
        expire = lode.policy.at(function (e) return e.mtime + 20 end, "two"),
      })
    ]], path, START))
    clock.now = START + 10 -- the old answer doesn't hold any more
    assert.are.equal(1, d.a)
    assert.are.equal(2, #d)
    assert.are.equal(0, (store:maintain()))
    clock.now = START + 20
    assert.is_nil(d.a)
    local removed, more = store:maintain()
    assert.are.equal(0, removed) -- as "one" isn't the one to say
    assert.is_false(more)
    assert.are.equal(2, store:stats().waiting)
    d.c = 3 -- nobody here can say when that dies
    clock.now = START + 1000
    assert.are.equal(3, d.c)
    local known = store:dict("d", { expire = policy.at(after(20), "two") })
    assert.are.equal(3, (store:maintain()))
    assert.are.equal(0, #known)
    hooked.sound(known, 0)
  end)
end)

describe("rearm", function ()
  helper.watch()

  it("asks about every entry, serialized ones too", function ()
    local store, clock = open()
    local hex = {
      name = "hex",
      encode = function (v) return "<" .. v .. ">" end,
      decode = function (s) return s:sub(2, -2) end,
    }
    local d = store:dict("d", { serializer = hex, key_serializer = hex })
    for i = 1, 5 do d["k" .. i] = "v" .. i end
    store = reopen(store, clock)
    local seen = {}
    d = store:dict("d", {
      serializer = hex, key_serializer = hex, rearm = true,
      expire = function (e)
        seen[e.key] = e.value
        return START + 5
      end,
    })
    assert.are.same({ k1 = "v1", k2 = "v2", k3 = "v3", k4 = "v4",
                      k5 = "v5" }, seen)
    assert.are.equal(5, #d)
    hooked.sound(d, 5)
    clock.now = START + 5
    assert.are.equal(0, #d)
  end)

  it("asks once of each, with keys of all kinds and sizes", function ()
    local store = open()
    local d = store:dict("d", { hash = function () return "same" end })
    local keys = { false, 1, 2.5, "s", ("x"):rep(600) .. "1",
                   ("x"):rep(600) .. "2", ("x"):rep(600) .. "3",
                   { "t", 1 } }
    for i, k in ipairs(keys) do d[k] = i end
    store:transaction(function ()
      for i = 1000, 2999 do d[i] = i end
    end)
    local seen, n = {}, 0
    d = store:dict("d", {
      hash = function () return "same" end, rearm = true,
      expire = function (e)
        n = n + 1
        assert.is_nil(seen[e.value])
        seen[e.value] = true
        return START + 5
      end,
    })
    assert.are.equal(2008, n)
    assert.are.equal(2008, #d)
    -- keys of one bucket share a call
    hooked.sound(d, 2006)
  end)

  it("leaves those dead that were, unasked of the new one", function ()
    local store, clock = open()
    local d = store:dict("d", { ttl = 10 })
    d.dead = 1
    clock.now = START + 5
    d.live = 2
    clock.now = START + 10
    local seen = {}
    d = store:dict("d", { rearm = true, expire = function (e)
      seen[#seen + 1] = e.key
    end })
    assert.are.same({ "live" }, seen)
    assert.are.same({ "live" }, helper.keys(d))
    assert.are.equal(1, (store:maintain()))
    clock.now = START + 1000
    assert.are.same({ "live" }, helper.keys(d))
    hooked.sound(d, 0)
  end)

  it("to none lets entries stay that a policy gave a time", function ()
    local store, clock = open()
    local d = store:dict("d", { expire = policy.at(after(10), "one") })
    d.a = 1
    dict.set(d, "own", 2, 30) -- which has a time of its own
    d = store:dict("d", { rearm = true })
    d.b = 3
    clock.now = START + 20
    assert.are.same({ "a", "b", "own" }, helper.keys(d))
    clock.now = START + 30
    assert.are.same({ "a", "b" }, helper.keys(d))
    assert.are.equal(1, (store:maintain()))
    hooked.sound(d, 0)
    store = reopen(store, clock)
    assert.are.equal(2, #store:dict "d") -- it needs no policy any more
    assert.are.equal(0, store:stats().waiting)
    fails("INCOMPATIBLE", store.dict, store, "d", {
      expire = policy.at(after(10), "one"),
    })
  end)

  it("from a policy to a ttl counts from the last write", function ()
    local store, clock = open()
    local d = store:dict("d", { expire = policy.at(after(1000), "one") })
    d.a = 1
    clock.now = START + 5
    d.b = 2
    d = store:dict("d", { ttl = 10, rearm = true })
    assert.are.equal(5, dict.ttl(d, "a"))
    assert.are.equal(10, dict.ttl(d, "b"))
    clock.now = START + 10
    assert.are.same({ "b" }, helper.keys(d))
    fails("INCOMPATIBLE", store.dict, store, "d", { ttl = 11 })
    store:dict("d", { ttl = 10 })
    hooked.sound(d, 2)
  end)

  it("with one that raises changes nothing", function ()
    local store, clock = open()
    local d = store:dict("d", { ttl = 10 })
    d.a, d.b = 1, 2
    local ok, e = pcall(store.dict, store, "d", {
      expire = function (entry)
        if entry.key == "b" then error("not b", 0) end
      end,
      rearm = true,
    })
    assert.is_false(ok)
    assert.are.equal("not b", e)
    assert.are.equal(2, #d)
    hooked.sound(d, 2)
    clock.now = START + 10
    assert.are.equal(0, #d)
    store:dict("d", { ttl = 10 })
    assert.are.equal(2, (store:maintain()))
  end)

  it("goes with the transaction that it is in", function ()
    local store, clock = open()
    local d = store:dict("d", { expire = policy.at(after(10), "one") })
    d.a = 1
    local two = policy.at(after(50), "two")
    local late
    local ok = pcall(store.transaction, store, function ()
      late = store:dict("d", { expire = two, rearm = true })
      late.b = 2
      assert.are.equal(50, dict.ttl(late, "a"))
      error "undone"
    end)
    assert.is_false(ok)
    hooked.sound(d, 1)
    fails("INCOMPATIBLE", store.dict, store, "d", { expire = two })
    clock.now = START + 9
    assert.are.same({ "a" }, helper.keys(late))
    clock.now = START + 10
    assert.is_nil(late.a) -- and its policy isn't the one that is kept
    assert.is_nil(d.a)
    assert.are.equal(1, (store:maintain()))
  end)

  it("is refused where nothing may be written", function ()
    local store, clock, _, path = open()
    store:dict("d", { expire = policy.at(after(10), "one") }).a = 1
    store:dict "plain".a = 1
    local two = { expire = policy.at(after(50), "two"), rearm = true }
    local reader = open({ readonly = true }, path, clock)
    fails("READONLY", reader.dict, reader, "d", two)
    fails("READONLY", reader.dict, reader, "plain", two)
    store:snapshot(function ()
      fails("READONLY", store.dict, store, "d", two)
    end)
    -- but who only reads may know the policy, or not know it
    clock.now = START + 9
    assert.are.equal(1, reader:dict "d".a)
    local known = reader:dict("d", {
      expire = policy.at(after(20), "one"), -- whose rules have changed
    })
    clock.now = START + 10
    assert.are.equal(1, known.a)
    assert.is_nil(reader:dict "d".a)
    fails("READONLY", reader.maintain, reader)
    assert.are.equal(1, reader:stats().entries + reader:stats().expired - 1)
  end)
end)
