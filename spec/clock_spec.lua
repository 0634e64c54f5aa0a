-- The clock, set forward and back; and what sweeps when it has gone on.

local clocks = require "support.clock"
local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local open, fails, says = helper.open, helper.fails, helper.says
local START, timed = clocks.START, clocks.open
local reopen, undone = clocks.reopen, clocks.undone

describe("the clock", function ()
  helper.watch()

  it("resurrects nothing when it is set back", function ()
    local store, clock = timed { maintenance = "off" }
    local d = store:dict "d"
    dict.set(d, "a", 1, 10)
    dict.set(d, "b", 1, 20)
    clock.now = START + 10
    assert.is_nil(d.a)
    clock.now = START
    assert.is_nil(d.a)
    assert.are.same({ "b" }, helper.keys(d))
    assert.are.equal(1, #d)
    store = reopen(store, clock, { maintenance = "off" })
    d = store:dict "d"
    assert.is_nil(d.a)
    assert.are.same({ "b" }, helper.keys(d))
    assert.are.equal(20, dict.ttl(d, "b"))
    clock.now = START - 1000
    assert.is_nil(d.a)
    assert.are.equal(1, d.b)
    assert.are.equal(1, dict.stats(d).expired)
    assert.are.equal(1, (store:maintain()))
    assert.are.equal(1, #d)
  end)

  it("kills nothing early that is written after it was set back", function ()
    local store, clock = timed { maintenance = "off" }
    local d = store:dict "d"
    dict.set(d, "a", 1, 10)
    dict.set(d, "late", 1, 5000)
    clock.now = START + 4000
    assert.is_nil(d.a)
    clock.now = START
    dict.set(d, "new", 1, 5)
    dict.set(d, "newer", 1, 3000)
    assert.are.equal(5, dict.ttl(d, "new"))
    clock.now = START + 4.9
    assert.are.equal(1, d.new)
    assert.is_nil(d.a)
    assert.are.same({ "late", "new", "newer" }, helper.keys(d))
    clock.now = START + 5
    assert.is_nil(d.new)
    assert.are.equal(1, d.newer)
    store = reopen(store, clock)
    d = store:dict "d"
    assert.are.same({ "late", "newer" }, helper.keys(d))
    clock.now = START + 3000
    assert.are.same({ "late" }, helper.keys(d))
    assert.are.equal(1, #d)
    clock.now = START + 5000
    assert.are.equal(0, #d)
    store:maintain()
    assert.are.equal(0, dict.stats(d).expired)
  end)

  it("may run far ahead and back again", function ()
    local store, clock = timed { maintenance = "off" }
    local d = store:dict "d"
    for i = 1, 20 do dict.set(d, i, i, 10 * i) end
    clock.now = START + 100
    assert.are.equal(10, #d)
    clock.now = START + 1e8
    dict.set(d, "ahead", 1, 10)
    clock.now = START
    assert.are.equal(11, #d) -- 11 to 20, which nobody saw die, and `ahead`
    for i = 1, 10 do assert.is_nil(d[i]) end
    for i = 11, 20 do assert.are.equal(i, d[i]) end
    clock.now = START + 1e8 + 10
    assert.are.equal(0, #d)
    clock.now = START
    assert.are.equal(0, #d)
    assert.are.equal(21, (store:maintain()))
    for i = 1, 20 do dict.set(d, i, i, 10 * i) end
    assert.are.equal(20, #d)
    clock.now = START + 100
    assert.are.equal(10, #d)
    assert.are.equal(10, (store:maintain()))
    store = reopen(store, clock)
    assert.are.equal(10, #store:dict "d")
    for i = 11, 20 do
      assert.are.equal(10 * i - 100, dict.ttl(store:dict "d", i))
    end
  end)

  it("may be set back again and again", function ()
    local store, clock = timed()
    local d = store:dict "d"
    for i = 1, 30 do
      clock.now = START - i * 1000
      dict.set(d, "now", i, 10)
      dict.set(d, { "old", i }, i, 10)
      assert.are.equal(i, d.now)
      assert.are.equal(10, dict.ttl(d, "now"))
      clock.now = clock.now + 9
      assert.are.equal(i, d.now)
      clock.now = clock.now + 1
      assert.is_nil(d.now)
      assert.are.equal(0, #d)
    end
    clock.now = START - 1e6
    assert.are.equal(0, #d)
    assert.are.same({}, helper.keys(d))
    store = reopen(store, clock)
    assert.are.equal(0, #store:dict "d")
  end)

  it("may be a little behind that of another handle", function ()
    local store, clock, path = timed()
    local behind = clocks.new()
    local other = open({ clock = behind.tell }, path)
    local d, e = store:dict "d", other:dict "d"
    dict.set(d, "a", 1, 10)
    clock.now, behind.now = START + 10, START + 9.5
    assert.are.equal(1, e.a)
    assert.is_nil(d.a)
    assert.is_nil(e.a)
    dict.set(e, "b", 1, 0.25)
    assert.are.equal(1, e.b)
    assert.are.equal(1, d.b) -- not dead early for the one ahead
    behind.now = START + 10.25
    assert.is_nil(e.b)
    clock.now = behind.now
    assert.is_nil(d.b)
  end)

  it("makes the era of a write that is rolled back as if it hadn't been",
    function ()
      local store, clock = timed { maintenance = "off" }
      local d = store:dict "d"
      dict.set(d, "a", 1, 100)
      clock.now = START + 100
      assert.is_nil(d.a)
      clock.now = START
      undone(store, function ()
        dict.set(d, "b", 1, 10)
        assert.are.equal(1, d.b)
        assert.is_nil(d.a)
      end)
      assert.is_nil(d.a)
      store:transaction(function ()
        undone(store, function () dict.set(d, "b", 1, 10) end)
        assert.is_nil(d.a)
        dict.set(d, "c", 1, 10)
      end)
      assert.are.equal(1, d.c)
      assert.are.equal(10, dict.ttl(d, "c"))
      assert.is_nil(d.a)
      assert.are.equal(1, #d)
    end)
end)

describe("a clock that is set back inside of a transaction", function ()
  helper.watch()

  -- One in which the clock goes back, on past an end, and back before it.
  local function to_and_fro (store, clock, d)
    dict.set(d, "old", 1, 10)
    clock.now = START + 10
    assert.is_nil(d.old)
    store:transaction(function ()
      clock.now = START - 50
      dict.set(d, "a", 1, 10)
      dict.set(d, "b", 1, 60)
      clock.now = START - 40
      assert.is_nil(d.a)
      clock.now = START - 45
      assert.is_nil(d.a)
      assert.are.equal(1, #d)
    end)
  end

  it("resurrects nothing there, nor afterwards", function ()
    local store, clock = timed { maintenance = "off" }
    local d = store:dict "d"
    to_and_fro(store, clock, d)
    assert.is_nil(d.a)
    assert.are.same({ "b" }, helper.keys(d))
    clock.now = START - 49
    assert.are.same({ "b" }, helper.keys(d))
    assert.is_nil(d.old)
    assert.are.equal(2, (store:maintain()))
  end)

  it("kills nothing early that is written then", function ()
    local store, clock = timed { maintenance = "off" }
    local d = store:dict "d"
    to_and_fro(store, clock, d)
    clock.now = START - 48
    dict.set(d, "c", 1, 5)
    clock.now = START - 43.5
    assert.are.equal(1, d.c)
    assert.is_nil(d.a)
    clock.now = START - 43
    assert.is_nil(d.c)
    assert.are.equal(1, d.b)
  end)
end)

-- Calls fn(store, clock, arm) again and again with a fresh dict "d" and set
-- "s"; after arm() the clock jumps 10 seconds at the n-th look at it, for
-- every n up to those that the rest of fn takes.
local function jumping (fn)
  for n = 1, 1000 do
    local looks
    local clock = clocks.new()
    local store = open { clock = function ()
      if looks then
        looks = looks + 1
        if looks == n then clock.now = clock.now + 10 end
      end
      return clock.now
    end }
    fn(store, clock, function () looks = 0 end)
    local all = looks
    store:close()
    if all < n then return end
  end
  error "it never ends"
end

describe("a clock that jumps in the middle of a call", function ()
  helper.watch()

  it("makes pop and popitem pass what dies", function ()
    jumping(function (store, _, arm)
      local d, s = store:dict "d", store:set "s"
      for i = 1, 3 do
        dict.set(d, i, i, i < 3 and 10 or nil)
        set.add(s, i, i < 3 and 10 or nil)
      end
      arm()
      local last
      repeat
        local k, v = dict.popitem(d)
        assert.are.equal(k, v)
        last = k or last
      until not k
      assert.are.equal(3, last)
      repeat
        local x = set.pop(s)
        last = x or last
      until not x
      assert.are.equal(3, last)
      assert.are.equal(0, #d)
      assert.are.equal(0, #s)
    end)
  end)

  it("brings no dead back by save, copy, add_many or incr", function ()
    jumping(function (store, clock, arm)
      local d, s = store:dict "d", store:set "s"
      local empty = store:set "empty"
      dict.set(d, "n", 1, 10)
      for i = 1, 3 do set.add(s, i, 10) end
      arm()
      dict.copy(d, "copy")
      set.copy(s, "copied")
      local n = dict.incr(d, "n", 1, 0, 10)
      assert.is_true(n == 1 or n == 2)
      set.save(empty + empty, store, "s")
      assert.are.equal(0, #s)
      assert.are.equal(3, set.add_many(s, { 1, 2, 3 }))
      clock.now = clock.now + 20
      assert.is_nil(d.n)
      assert.are.equal(3, #s)
      assert.are.equal(0, #store:dict "copy")
      assert.are.equal(0, #store:set "copied")
    end)
  end)

  it("tells true counts, and no member that has died", function ()
    jumping(function (store, _, arm)
      local d, s, t = store:dict "d", store:set "s", store:set "t"
      for i = 1, 4 do
        dict.set(d, i, i, i % 2 == 1 and 10 or nil)
        set.add(s, i, i % 2 == 1 and 10 or nil)
        t[i] = true
      end
      arm()
      assert.is_true(#d == 4 or #d == 2)
      local seen = #helper.keys(d)
      assert.is_true(seen >= 2 and seen <= 4)
      assert.are.equal(0, #(s - t))
      assert.is_true(#(s + t) == 4)
      assert.is_true(s <= t)
      local removed = dict.clear(d)
      assert.is_true(removed == 4 or removed == 2)
      assert.are.equal(0, #d)
      removed = set.remove_many(s, { 1, 2, 3, 4 })
      assert.is_true(removed >= 2 and removed <= 4)
      assert.are.equal(0, #s)
    end)
  end)
end)

describe("store:maintain", function ()
  helper.watch()

  it("keeps to its budget, and goes on where it stopped", function ()
    local store, clock = timed { maintenance = "off" }
    local d, s, other = store:dict "d", store:set "s", store:dict "other"
    for i = 1, 1000 do
      dict.set(d, i, i, 10)
      set.add(s, i, 10)
    end
    other.x = 1
    local removed, more = store:maintain { entries = 5 }
    assert.are.equal(0, removed)
    assert.is_false(more)
    clock.now = START + 10
    assert.are.equal(2000, store:stats().expired)
    local total, rounds, least = 0, 0, math.huge
    repeat
      removed, more = store:maintain { entries = 300 }
      assert.is_true(removed <= 300)
      total, rounds = total + removed, rounds + 1
      least = math.min(least, removed)
    until not more
    assert.are.equal(2000, total)
    assert.are.equal(7, rounds)
    assert.are.equal(0, store:stats().expired)
    assert.are.equal(1, #other)
    assert.are.equal(0, (store:maintain { ms = 1000, entries = 1 }))
  end)

  it("without a bound leaves nothing that writes have passed over",
    function ()
      local store, clock = timed()
      local d = store:dict "d"
      for i = 1, 9 do dict.set(d, i, i, 10) end
      clock.now = START + 10
      assert.are.equal(0, #d)
      clock.now = START - 50 -- the index is read up to START + 10 now
      for i = 1, 13 do dict.set(d, i, i, 20 + i) end
      clock.now = START
      assert.are.equal(0, #d)
      store:maintain()
      assert.are.equal(0, dict.stats(d).expired)
    end)

  it("is fair among collections", function ()
    local store, clock = timed { maintenance = "off" }
    local big, small = store:dict "a", store:dict "b"
    for i = 1, 3000 do dict.set(big, i, i, 10) end
    for i = 1, 10 do dict.set(small, i, i, 10) end
    clock.now = START + 10
    store:maintain { entries = 600 }
    assert.are.equal(0, dict.stats(small).expired)
    assert.is_true(dict.stats(big).expired > 0)
  end)

  it("refuses what is no budget", function ()
    local store = timed()
    for _, budget in ipairs { 5, "x", true, { entries = 0 },
                              { entries = -1 }, { entries = 1.5 },
                              { ms = "5" }, { ms = 0 / 0 }, { ms = {} },
                              { entry = 5 }, { 5 },
                              { [{}] = 1 } } do
      fails("BAD_ARGUMENT", store.maintain, store, budget)
    end
    says(fails("BAD_ARGUMENT", store.maintain, store, { entry = 5 }),
      '"entry"')
    assert.are.equal(0, (store:maintain {}))
    assert.are.equal(0, (store:maintain(nil)))
    store:close()
    fails("CLOSED", store.maintain, store)
  end)

  it("shows in the figures of the store", function ()
    local store, clock = timed { maintenance = "off" }
    local d = store:dict "d"
    for i = 1, 5 do dict.set(d, i, i, 10) end
    d.stays = 1
    local stats = store:stats()
    assert.are.equal(6, stats.entries)
    assert.are.equal(0, stats.expired)
    assert.are.equal(0, stats.swept)
    assert.are.equal(0, stats.waiting)
    assert.are.equal(0, stats.accesses)
    assert.is_nil(stats.last_sweep)
    clock.now = START + 12.5
    stats = store:stats()
    assert.are.equal(1, stats.entries)
    assert.are.equal(5, stats.expired)
    assert.are.equal(5, dict.stats(d).expired)
    assert.are.equal(0, dict.stats(d).waiting)
    store:maintain()
    stats = store:stats()
    assert.are.equal(0, stats.expired)
    assert.are.equal(5, stats.swept)
    assert.are.equal(START + 12.5, stats.last_sweep)
    assert.are.equal(0, set.stats(store:set "s").expired)
  end)
end)

describe("inline sweeps", function ()
  helper.watch()

  it("remove a few with each write, also of another dict", function ()
    local store, clock = timed()
    local d, other = store:dict "d", store:dict "other"
    for i = 1, 100 do dict.set(d, i, i, 10) end
    clock.now = START + 10
    local before = dict.stats(d).expired
    assert.are.equal(100, before)
    for i = 1, 10 do d.x = i end
    local after = dict.stats(d).expired
    assert.is_true(after < before and after >= before - 60, after)
    for i = 1, 1000 do other[i] = i end
    assert.are.equal(0, dict.stats(d).expired)
    assert.are.equal(1, #d)
  end)

  it("leave all to maintain where maintenance is off", function ()
    local store, clock = timed { maintenance = "off" }
    local d = store:dict "d"
    for i = 1, 10 do dict.set(d, i, i, 10) end
    clock.now = START + 10
    for i = 1, 100 do d.x = i end
    assert.are.equal(10, dict.stats(d).expired)
    assert.are.equal(10, (store:maintain()))
  end)
end)

describe("the system's clock", function ()
  helper.watch()

  it("is what counts where no other is given", function ()
    local store = open()
    local d = store:dict("d", { times = true })
    local before = os.time()
    dict.set(d, "b", 1, 3600)
    local info = dict.info(d, "b")
    assert.is_true(info.ctime >= before and info.ctime <= os.time() + 1)
    local ttl = dict.ttl(d, "b")
    assert.is_true(ttl > 3500 and ttl <= 3600)
    dict.set(d, "a", 1, 0.05)
    os.execute "sleep 0.06"
    assert.is_nil(d.a)
    assert.are.equal(1, #d)
    assert.are.equal(1, (store:maintain()))
  end)
end)
