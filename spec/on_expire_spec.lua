-- on_expire: who is told of an entry that goes, when, and in which
-- transaction.

local helper = require "support.helper"
local hooked = require "support.hooked"
local lode = require "lode"

local dict, set, policy = lode.dict, lode.set, lode.policy
local fails, says = helper.fails, helper.says
local START, open, try_write = hooked.START, hooked.open, hooked.try_write

-- Calls fn in a transaction that is rolled back.
local function undone (store, fn)
  local ok, e = pcall(store.transaction, store, function ()
    fn()
    error("undone", 0)
  end)
  assert.is_false(ok)
  assert.are.equal("undone", e)
end

describe("on_expire", function ()
  helper.watch()

  it("is told once of each entry, with its last value", function ()
    local store, clock = open()
    local told = {}
    local d = store:dict("d", {
      ttl = 10,
      on_expire = function (key, value, e)
        told[#told + 1] = { key, value, e }
      end,
    })
    d.a = 1
    d.a = { last = true }
    d.b = "two"
    d.c = "deleted"
    d.c = nil
    clock.now = START + 11
    assert.are.equal(0, #d)
    assert.are.equal(0, #told)
    store:maintain()
    store:maintain()
    assert.are.equal(2, #told)
    table.sort(told, function (x, y) return x[1] < y[1] end)
    assert.are.equal("a", told[1][1])
    assert.are.same({ last = true }, told[1][2])
    assert.are.equal("expired", told[1][3].reason)
    assert.are.equal("a", told[1][3].key)
    assert.are.same({ last = true }, told[1][3].value)
    assert.are.equal(START + 10, told[1][3].expires)
    assert.are.equal(START + 11, told[1][3].now)
    assert.is_true(told[1][3].size > 1)
    assert.is_nil(told[1][3].ctime) -- the dict keeps no times
    assert.are.equal("b", told[2][1])
    assert.are.equal("two", told[2][2])
    hooked.sound(d, 0)
  end)

  it("is told of members", function ()
    local store, clock = open()
    local told = {}
    local s = store:set("s", {
      times = true, on_expire = function (x, value, e)
        told[#told + 1] = { x, value, e.key, e.ctime, e.hits }
      end,
    })
    set.add(s, { 1, "x" }, 10)
    s.stays = true
    assert.is_true(s[{ 1, "x" }])
    clock.now = START + 10
    assert.are.equal(1, (store:maintain()))
    assert.are.same({ { { 1, "x" }, true, { 1, "x" }, START, 1 } }, told)
    assert.are.same({ "stays" }, helper.members(s))
  end)

  it("is told of an entry that a write replaces after its end", function ()
    local store, clock = open()
    local told = {}
    local d = store:dict("d", {
      ttl = 10, times = true,
      on_expire = function (key, value, e)
        told[#told + 1] = { key, value, e.reason, e.ctime }
      end,
    })
    local ways = {
      function () d.k = "new" end,
      function () assert.is_true(dict.add(d, "k", "new")) end,
      function () assert.are.equal("new", dict.setdefault(d, "k", "new")) end,
      function () assert.is_true(dict.cas(d, "k", nil, "new")) end,
      function () dict.update(d, "k", function () return "new" end) end,
      function () dict.put_many(d, { k = "new" }) end,
      function () dict.fetch(d, "k", function () return "new" end) end,
    }
    for i, write in ipairs(ways) do
      told = {}
      d.k = "old"
      local made = clock.now
      clock.now = clock.now + 10
      write()
      assert.are.same({ { "k", "old", "expired", made } }, told, i)
      assert.are.equal("new", d.k)
      assert.are.equal(clock.now, dict.info(d, "k").ctime)
      assert.are.equal(0, (store:maintain()))
      hooked.sound(d, 1)
      d.k = nil
    end
  end)

  it("is not told of what is deleted, dropped, moved or taken", function ()
    local store, clock = open()
    local told = 0
    local d = store:dict("d", {
      ttl = 10, on_expire = function () told = told + 1 end,
    })
    for i = 1, 8 do d[i] = i end
    d[1] = nil
    d[2] = 3
    assert.are.equal(3, dict.pop(d, 2))
    assert.are.equal(2, dict.delete_range(d, { to = 4 }))
    dict.clear(d)
    d.x = 1
    store:rename("d", "e")
    store:drop "e"
    clock.now = START + 10
    store:maintain()
    assert.are.equal(0, told)
  end)

  it("is told of what a cap evicts", function ()
    local store = open()
    local told = {}
    local d = store:dict("d", {
      max_entries = 10, evict = "fifo",
      on_expire = function (key, value, e)
        assert.are.equal(key, value)
        told[key] = e.reason
      end,
    })
    for i = 1, 200 do d[i] = i end
    assert.is_true(#d <= 26)
    local n = 0
    for _, reason in pairs(told) do
      assert.are.equal("evicted", reason)
      n = n + 1
    end
    assert.are.equal(200 - #d, n)
    hooked.sound(d)
  end)

  it("is not told of what a policy keeps", function ()
    local store, clock = open()
    local ends, told = START + 10, 0
    local d = store:dict("d", {
      expire = function () return ends end,
      on_expire = function () told = told + 1 end,
    })
    d.k = 1
    ends, clock.now = START + 20, START + 10
    assert.are.equal(0, (store:maintain()))
    d.k = 2 -- which replaces a living one
    assert.are.equal(0, told)
    clock.now = START + 20
    assert.are.equal(1, (store:maintain()))
    assert.are.equal(1, told)
  end)

  it("may write the entry again", function ()
    local store, clock = open()
    local d
    d = store:dict("d", {
      ttl = 10,
      on_expire = function (key, value)
        assert.is_nil(d[key])
        if value < 3 then d[key] = value + 1 end
      end,
    })
    d.k = 1
    for n = 2, 3 do
      clock.now = clock.now + 10
      assert.is_nil(d.k)
      assert.are.equal(1, (store:maintain()))
      assert.are.equal(n, d.k)
      assert.are.equal(1, #d)
      hooked.sound(d, 1)
    end
    clock.now = clock.now + 10
    store:maintain()
    assert.is_nil(d.k)
    assert.are.equal(0, #d)
  end)

  it("is waited for by entries where it is lacking", function ()
    local store, clock, _, path = open()
    local told
    local options = {
      ttl = 10, on_expire = function (key) told = key end,
    }
    store:dict("d", options).k = 1
    store:close()
    store = open(nil, path, clock)
    clock.now = START + 10
    assert.are.equal(0, #store:dict "d")
    local removed, more = store:maintain()
    assert.are.equal(0, removed)
    assert.is_false(more)
    assert.are.equal(1, store:stats().waiting)
    store:dict("d", options)
    assert.are.equal(0, store:stats().waiting)
    assert.are.equal(1, (store:maintain()))
    assert.are.equal("k", told)
  end)

  it("can be given later, and be taken away by rearm alone", function ()
    local store, clock = open()
    local told = 0
    local function tell () told = told + 1 end
    store:dict("d", { ttl = 10 }).k = 1
    store:dict("d", { on_expire = tell })
    clock.now = START + 10
    assert.are.equal(1, (store:maintain()))
    assert.are.equal(1, told)
    local d = store:dict("d", { ttl = 10, rearm = true })
    d.k = 2
    clock.now = START + 20
    assert.are.equal(1, (store:maintain()))
    assert.are.equal(1, told)
    assert.are.equal(0, store:stats().waiting)
  end)
end)

describe("what on_expire writes", function ()
  helper.watch()

  it("commits with the removal, in any collection", function ()
    local store, clock, _, path = open()
    local archive, log = store:dict "archive", store:set "log"
    local d = store:dict("d", {
      ttl = 10,
      on_expire = function (key, value)
        store:transaction(function () archive[key] = value end)
        store:snapshot(function ()
          assert.are.equal(value, archive[key])
        end)
        set.add(log, key)
        store:dict "made there"[key] = value
      end,
    })
    for i = 1, 50 do d[i] = "v" .. i end
    clock.now = START + 10
    assert.are.equal(50, (store:maintain()))
    assert.are.equal(50, #archive)
    assert.are.equal("v7", archive[7])
    assert.are.equal(50, #log)
    local again = helper.open({}, path)
    assert.are.equal(50, #again:dict "made there")
  end)

  it("is rolled back with the transaction that has removed it", function ()
    local store, clock = open()
    local archive = store:dict "archive"
    local told = 0
    local d = store:dict("d", {
      ttl = 10,
      on_expire = function (key, value)
        told = told + 1
        archive[key] = value
        store:dict "made there"[key] = value
      end,
    })
    d.k = "old"
    clock.now = START + 10
    undone(store, function ()
      d.k = "new"
      assert.are.equal("old", archive.k)
      assert.are.equal("old", store:dict "made there".k)
    end)
    store:transaction(function () -- a savepoint alone
      pcall(store.transaction, store, function ()
        d.k = "new"
        error "undone"
      end)
      assert.is_nil(archive.k)
    end)
    assert.are.equal(2, told)
    assert.are.equal(0, #archive)
    for name in store:collections() do
      assert.are_not.equal("made there", name)
    end
    assert.is_nil(d.k)
    assert.are.equal(1, store:stats().expired)
    hooked.sound(d, 1)
    assert.are.equal(1, (store:maintain())) -- and told again
    assert.are.equal(3, told)
    assert.are.equal("old", archive.k)
  end)

  it("is taken back alone where it raises; the entry stays", function ()
    local store, clock, log = open()
    local archive = store:dict "archive"
    local oops, armed = { "oops" }, true
    local d = store:dict("d", {
      ttl = 10,
      on_expire = function (key, value)
        archive[key] = value
        if armed and key == "b" then error(oops) end
      end,
    })
    d.a, d.b, d.c = 1, 2, 3
    clock.now = START + 10
    local removed, more = store:maintain()
    assert.are.equal(2, removed)
    assert.is_false(more)
    assert.are.same({ "a", "c" }, helper.keys(archive))
    assert.is_nil(d.b)
    assert.are.equal(1, store:stats().expired)
    assert.are.equal(1, #log)
    assert.are.equal("error", log[1].level)
    says(log[1].message, "d: 'on_expire' failed", '"b"', "stays")
    assert.are.equal("d", log[1].fields.collection)
    assert.are.equal("b", log[1].fields.key)
    assert.is_true(rawequal(oops, log[1].fields.error))
    hooked.sound(d, 1)
    armed = false
    assert.are.equal(1, (store:maintain()))
    assert.are.equal(2, archive.b)
  end)

  it("is taken back with the write that it raises in", function ()
    local store, clock, log = open()
    local oops, armed = {}, true
    local told = 0
    local d = store:dict("d", {
      ttl = 10,
      on_expire = function (key)
        told = told + 1
        store:dict "archive"[key] = told
        if armed then error(oops) end
      end,
    })
    d.k = 1
    clock.now = START + 10
    local ok, e = try_write(d, "k", 2)
    assert.is_false(ok)
    assert.is_true(rawequal(oops, e))
    assert.are.equal(0, #log) -- the caller has it
    assert.is_nil(d.k)
    assert.are.equal(1, store:stats().expired)
    assert.are.equal(0, #store:dict "archive")
    armed = false
    d.k = 2
    assert.are.equal(2, d.k)
    assert.are.equal(2, told)
    assert.are.equal(2, store:dict "archive".k)
  end)

  it("keeps what a cap would evict, where it raises", function ()
    local store, _, log = open()
    local asked = {}
    local d = store:dict("d", {
      max_entries = 5, evict = "fifo",
      on_expire = function (key)
        asked[key] = (asked[key] or 0) + 1
        if key <= 3 then error("not this one", 0) end
      end,
    })
    for i = 1, 25 do d[i] = i end
    asked = {}
    local before = #log
    d[26] = 26
    for key, n in pairs(asked) do -- one write doesn't try it again and again
      assert.are.equal(1, n, "asked of " .. key)
    end
    assert.is_true(#log - before <= 3)
    for i = 27, 60 do d[i] = i end
    assert.is_true(#d <= 21)
    for i = 1, 3 do assert.are.equal(i, d[i]) end
    assert.are.equal(60, d[60])
    says(log[1].message, "not this one", "'on_expire'")
    hooked.sound(d)
  end)

  it("ends where nothing may go, after one round of all", function ()
    local store = open()
    local told = 0
    local d = store:dict("d", {
      max_entries = 2, on_expire = function ()
        told = told + 1
        error("none", 0)
      end,
    })
    for i = 1, 30 do
      told = 0
      d[i] = i
      assert.is_true(told <= i, told .. " times")
    end
    assert.are.equal(30, #d)
  end)

  it("sets off those of other collections, to a depth", function ()
    local store, clock = open()
    local chain, told = {}, 0
    for i = 1, 12 do
      chain[i] = store:dict("c" .. i, {
        ttl = 10,
        on_expire = function ()
          told = told + 1
          if chain[i + 1] then chain[i + 1].k = "new" end
        end,
      })
      chain[i].k = "old"
    end
    clock.now = START + 10
    says(fails("REENTRY", function () chain[1].k = "new" end), "nested")
    assert.are.equal(0, #chain[1])
    assert.are.equal(0, #chain[2])
    told = 0
    chain[8].k = "new" -- five callbacks deep
    assert.are.equal(5, told)
    for i = 8, 12 do assert.are.equal("new", chain[i].k) end
  end)

  it("may be told of in the log that writes to the same dict", function ()
    local d, store, clock
    local lines = 0
    store, clock = open { log = function (_, message)
      lines = lines + 1
      if lines < 1000 then d["line " .. lines] = message end
    end }
    d = store:dict("d", {
      max_entries = 5, evict = "fifo", ttl = 10,
      on_expire = function () error("never", 0) end,
    })
    for i = 1, 12 do d[i] = i end
    assert.is_true(lines > 0 and lines < 1000, lines .. " lines")
    clock.now = START + 10
    store:maintain()
    assert.are.equal("x", dict.setdefault(d, "new", "x"))
  end)
end)

describe("two processes that sweep at once", function ()
  helper.watch()

  it("tell on_expire once of each entry, between them", function ()
    local store, clock, _, path = open()
    local n = 2000
    local options = {
      ttl = 10,
      on_expire = function (key)
        local log = store:dict "told here"
        log[key] = (log[key] or 0) + 1
      end,
    }
    local d = store:dict("d", options)
    store:transaction(function ()
      for i = 1, n do d[i] = i end
    end)
    local go = helper.path "go"
    local children = {}
    for i = 1, 2 do
      children[i] = helper.spawn(helper.wait_for .. [[
        local path, now, go, name = ...
        local lode = require "lode"
        local store = lode.open(path, { durability = "os",
          maintenance = "off", clock = function () return now end })
        local told = 0
        local d = store:dict("d", { on_expire = function (key)
          told = told + 1
          local log = store:dict("told " .. name)
          log[key] = (log[key] or 0) + 1
        end })
        print "ready"
        wait_for(go)
        local removed = 0
        repeat
          local here = store:maintain { entries = 7 }
          removed = removed + here
        until here == 0
        print(removed == told and removed or "told " .. told)
      ]], path, START + 10, go, "child " .. i)
      assert.are.equal("ready", children[i]:line())
    end
    clock.now = START + 10
    helper.signal(go)
    local removed = { 0, 0, 0 }
    repeat
      local here = store:maintain { entries = 7 }
      removed[3] = removed[3] + here
    until here == 0
    for i = 1, 2 do removed[i] = tonumber(children[i]:finish()) end
    assert.are.equal(n, removed[1] + removed[2] + removed[3])
    local told = {}
    for _, name in ipairs { "told child 1", "told child 2", "told here" } do
      for key, times in dict.pairs(store:dict(name)) do
        told[key] = (told[key] or 0) + times
      end
    end
    for i = 1, n do assert.are.equal(1, told[i], i) end
    assert.are.equal(0, store:stats().expired)
    hooked.sound(d, 0)
  end)

  it("both ask a policy that keeps, and neither loses an entry", function ()
    local store, clock, _, path = open()
    local function expire (e)
      return e.now < START + 10 and START + 10 or START + 20
    end
    local d = store:dict("d", { expire = policy.at(expire, "later") })
    store:transaction(function ()
      for i = 1, 500 do d[i] = i end
    end)
    clock.now = START + 10
    local child = helper.spawn([[
      local path, now = ...
      local lode = require "lode"
      local store = lode.open(path, { durability = "os",
        maintenance = "off", clock = function () return now end })
      store:dict("d", { expire = lode.policy.at(function (e)
        return now + 10
      end, "later") })
      print(store:maintain())
    ]], path, START + 10)
    assert.are.equal(0, (store:maintain()))
    assert.are.equal("0\tfalse", child:finish())
    assert.are.equal(500, #d)
    hooked.sound(d, 500)
    clock.now = START + 20
    assert.are.equal(0, #d)
    assert.are.equal(500, (store:maintain()))
  end)
end)
