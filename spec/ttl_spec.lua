-- Times to live: where they come from, and what tells and changes them.

local clocks = require "support.clock"
local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local fails, says = helper.fails, helper.says
local START, timed = clocks.START, clocks.open
local reopen, undone = clocks.reopen, clocks.undone

describe("a time to live", function ()
  helper.watch()

  local function fresh (options)
    local store, clock = timed()
    return store:dict("d", options), store, clock
  end

  it("is taken by each function that writes", function ()
    local d, store, clock = fresh()
    local s = store:set "s"
    dict.set(d, "set", 1, 10)
    assert.is_true(dict.add(d, "add", 1, 10))
    d.replace = 1
    assert.is_true(dict.replace(d, "replace", 2, 10))
    dict.update(d, "update", function () return 1 end, 10)
    assert.is_true(dict.cas(d, "cas", nil, 1, 10))
    assert.are.equal(1, dict.setdefault(d, "setdefault", 1, 10))
    assert.are.equal(1, dict.incr(d, "incr", 1, 0, 10))
    assert.are.equal(2, dict.put_many(d, { many = 1, more = 2 }, 10))
    assert.is_true(set.add(s, "add", 10))
    assert.are.equal(2, set.add_many(s, { "many", "more" }, 10))
    for k in dict.pairs(d) do assert.are.equal(10, dict.ttl(d, k), k) end
    for x in set.each(s) do assert.are.equal(10, set.ttl(s, x), x) end
    assert.are.equal(9, #d)
    assert.are.equal(3, #s)
    clock.now = START + 10
    assert.are.equal(0, #d)
    assert.are.equal(0, #s)
  end)

  it("is any number of seconds above 0", function ()
    local d, store, clock = fresh()
    local s = store:set "s"
    for _, ttl in ipairs { 0, -1, -0.5, 0 / 0, -math.huge, "5", true, {} } do
      local refused = function (...)
        says(fails("BAD_ARGUMENT", ...),
          "a time to live is a number of seconds above 0")
      end
      refused(dict.set, d, "a", 1, ttl)
      refused(dict.add, d, "a", 1, ttl)
      refused(dict.replace, d, "a", 1, ttl)
      refused(dict.update, d, "a", function () error "called" end, ttl)
      refused(dict.cas, d, "a", nil, 1, ttl)
      refused(dict.setdefault, d, "a", 1, ttl)
      refused(dict.incr, d, "a", 1, 0, ttl)
      refused(dict.put_many, d, { a = 1 }, ttl)
      refused(dict.expire, d, "a", ttl)
      refused(set.add, s, "a", ttl)
      refused(set.add_many, s, { "a" }, ttl)
      refused(set.expire, s, "a", ttl)
    end
    assert.are.equal(0, #d)
    for _, ttl in ipairs { 0.001, 0.28, 1.1, 64.1, 8.2, 1e9 } do
      dict.set(d, "a", 1, ttl)
      assert.are.equal(ttl, dict.ttl(d, "a"))
    end
    dict.set(d, "a", 1, 1e-9)
    assert.are.equal(0.001, dict.ttl(d, "a"))
    dict.set(d, "a", 1, 1.0001)
    assert.are.equal(1.001, dict.ttl(d, "a"))
    clock.now = START + 1e7
    dict.set(d, "b", 1, 1e300)
    assert.is_true(dict.ttl(d, "b") > 1e9)
  end)

  it("is for ever where it is math.huge", function ()
    local d, _, clock = fresh { ttl = 5 }
    dict.set(d, "a", 1, math.huge)
    dict.set(d, "b", 1)
    assert.is_nil(dict.ttl(d, "a"))
    assert.are.equal(5, dict.ttl(d, "b"))
    clock.now = START + 1e9
    assert.are.equal(1, d.a)
    assert.are.equal(1, #d)
  end)

  it("ends with a plain write, unless the dict has one itself", function ()
    local d, store = fresh()
    dict.set(d, "a", 1, 10)
    d.a = 2
    assert.is_nil(dict.ttl(d, "a"))
    dict.set(d, "a", 1, 10)
    dict.put_many(d, { a = 3 })
    assert.is_nil(dict.ttl(d, "a"))
    local own = store:dict("own", { ttl = 60 })
    dict.set(own, "a", 1, 10)
    assert.are.equal(10, dict.ttl(own, "a"))
    own.a = 2
    assert.are.equal(60, dict.ttl(own, "a"))
  end)

  it("goes on through update, cas and incr without one", function ()
    local d, _, clock = fresh()
    local function inc (v) return v + 1 end
    dict.set(d, "a", 1, 10)
    clock.now = START + 4
    dict.update(d, "a", inc)
    assert.are.equal(6, dict.ttl(d, "a"))
    assert.is_true(dict.cas(d, "a", 2, 3))
    assert.are.equal(6, dict.ttl(d, "a"))
    assert.are.equal(4, dict.incr(d, "a"))
    assert.are.equal(6, dict.ttl(d, "a"))
    assert.are.equal(5, dict.incr(d, "a", 1, 0, 100)) -- it isn't new
    assert.are.equal(6, dict.ttl(d, "a"))
    assert.are.equal(5, dict.setdefault(d, "a", 9, 100))
    assert.are.equal(6, dict.ttl(d, "a"))
    dict.update(d, "a", inc, 20)
    assert.are.equal(20, dict.ttl(d, "a"))
    assert.is_true(dict.cas(d, "a", 6, 7, 30))
    assert.are.equal(30, dict.ttl(d, "a"))
    assert.is_false(dict.cas(d, "a", 6, 8, 40))
    assert.are.equal(30, dict.ttl(d, "a"))
  end)

  it("that ends while update computes ends what it writes", function ()
    local d, _, clock = fresh()
    dict.set(d, "a", 1, 10)
    local seen
    assert.are.equal(2, dict.update(d, "a", function (old)
      seen = old
      clock.now = START + 11
      return old + 1
    end))
    assert.are.equal(1, seen)
    assert.is_nil(d.a)
    assert.are.equal(0, #d)
    dict.set(d, "a", 1, 10)
    dict.update(d, "a", function (old)
      clock.now = clock.now + 11
      return old + 1
    end, 10)
    assert.are.equal(2, d.a)
    assert.are.equal(10, dict.ttl(d, "a"))
  end)

  it("counts anew with each write where the dict has one", function ()
    local store, clock = timed()
    local d = store:dict("d", { ttl = 10 })
    local s = store:set("s", { ttl = 10 })
    d.a, s.a = 1, true
    clock.now = START + 6
    d.a = 2
    dict.incr(d, "n")
    assert.is_false(set.add(s, "a"))
    clock.now = START + 12
    dict.incr(d, "n")
    assert.are.equal(2, d.a)
    assert.is_true(s.a)
    assert.are.equal(10, dict.ttl(d, "n"))
    clock.now = START + 16
    assert.is_nil(d.a)
    assert.is_nil(s.a)
    assert.are.equal(2, d.n)
    assert.is_true(set.add(s, "a"))
    s.a = true
    assert.are.equal(0, set.add_many(s, { "a", "a" }))
    assert.are.equal(10, set.ttl(s, "a"))
  end)

  it("is none of a raw dict's", function ()
    local store = timed()
    local d = store:dict("raw", { raw = true })
    d.a = "1"
    fails("BAD_ARGUMENT", dict.set, d, "a", "2", 10)
    fails("BAD_ARGUMENT", dict.expire, d, "a", 10)
    dict.set(d, "a", "3", math.huge)
    assert.are.equal("3", d.a)
    assert.is_nil(dict.ttl(d, "a"))
    assert.are.equal(2, dict.info(d, "a").size)
  end)
end)

describe("ttl, expire, touch and info", function ()
  helper.watch()

  -- The four of dicts, and the four of sets, over one entry "a".
  local kinds = {
    { "dict", dict, function (store, options)
      local d = store:dict("d", options)
      return d, function (k, ttl) dict.set(d, k, "value", ttl) end
    end },
    { "set", set, function (store, options)
      local s = store:set("s", options)
      return s, function (k, ttl) set.add(s, k, ttl) end
    end },
  }

  for _, kind in ipairs(kinds) do
    local name, lib, make = kind[1], kind[2], kind[3]

    it(("change and tell the deadline in a %s"):format(name), function ()
      local store, clock = timed()
      local c, put = make(store)
      assert.is_nil(lib.ttl(c, "a"))
      assert.is_nil(lib.info(c, "a"))
      assert.is_false(lib.expire(c, "a", 5))
      assert.is_false(lib.touch(c, "a"))
      put "a"
      assert.is_nil(lib.ttl(c, "a"))
      assert.is_nil(lib.info(c, "a").expires)
      assert.is_true(lib.expire(c, "a", 5))
      assert.are.equal(5, lib.ttl(c, "a"))
      assert.are.equal(START + 5, lib.info(c, "a").expires)
      clock.now = START + 3
      assert.are.equal(2, lib.ttl(c, "a"))
      assert.is_true(lib.touch(c, "a")) -- the deadline isn't the set's own
      assert.are.equal(2, lib.ttl(c, "a"))
      assert.is_true(lib.expire(c, "a", 100)) -- later
      clock.now = START + 50
      store:maintain()
      assert.are.equal(53, lib.ttl(c, "a"))
      assert.is_true(lib.expire(c, "a", 1)) -- and earlier
      clock.now = START + 51
      assert.is_nil(lib.ttl(c, "a"))
      assert.is_false(lib.expire(c, "a", 5))
      assert.are.equal(1, (store:maintain()))
      put("a", 5)
      assert.is_true(lib.expire(c, "a", nil))
      clock.now = START + 1000
      assert.is_true(lib.has(c, "a"))
      assert.is_nil(lib.ttl(c, "a"))
      assert.is_true(lib.expire(c, "a", math.huge))
      assert.are.equal(0, (store:maintain()))
    end)

    it(("count anew in a %s with a ttl of its own"):format(name), function ()
      local store, clock = timed()
      local c, put = make(store, { ttl = 10 })
      put "a"
      clock.now = START + 9
      assert.is_true(lib.touch(c, "a"))
      assert.are.equal(10, lib.ttl(c, "a"))
      clock.now = START + 19
      assert.is_false(lib.touch(c, "a"))
    end)

    it(("keep the times where a %s has them"):format(name), function ()
      local store, clock = timed()
      local c, put = make(store, { times = true })
      put "a"
      local info = lib.info(c, "a")
      assert.are.equal(START, info.ctime)
      assert.are.equal(START, info.mtime)
      assert.are.equal(START, info.atime)
      assert.are.equal(0, info.hits)
      assert.is_nil(info.expires)
      clock.now = START + 1.5
      assert.is_true(lib.touch(c, "a"))
      clock.now = START + 2
      put "a"
      info = lib.info(c, "a")
      assert.are.equal(START, info.ctime)
      assert.are.equal(START + 2, info.mtime)
      assert.are.equal(START + 2, info.atime)
      assert.are.equal(1, info.hits)
      lib.expire(c, "a", 1)
      assert.are.equal(START + 2, lib.info(c, "a").mtime)
      clock.now = START + 3
      put "a" -- a new life
      info = lib.info(c, "a")
      assert.are.equal(START + 3, info.ctime)
      assert.are.equal(0, info.hits)
    end)

    it(("take the wrong kind for no %s"):format(name), function ()
      local store = timed()
      local c = make(store)
      local other = name == "dict" and store:set "x" or store:dict "x"
      for _, f in ipairs { "ttl", "expire", "touch", "info" } do
        fails("BAD_ARGUMENT", lib[f], other, "a")
        fails("BAD_ARGUMENT", lib[f], nil, "a")
        fails("BAD_KEY", lib[f], c, 0 / 0)
        fails("BAD_KEY", lib[f], c, { {} })
      end
      for _, f in ipairs { "ttl", "info" } do
        assert.is_nil(lib[f](c, nil))
      end
      for _, f in ipairs { "expire", "touch" } do
        fails("BAD_KEY", lib[f], c, nil)
      end
      store:close()
      for _, f in ipairs { "ttl", "expire", "touch", "info" } do
        fails("CLOSED", lib[f], c, "a")
      end
    end)
  end

  it("tell the size of key and value, and no times unasked", function ()
    local store = timed()
    local d = store:dict "d"
    d.abc = "12345"
    local info = dict.info(d, "abc")
    assert.are.equal(9, info.size) -- the byte of the key's type too
    assert.are.equal(5, info.value_size)
    assert.is_nil(info.ctime)
    assert.is_nil(info.mtime)
    assert.is_nil(info.atime)
    assert.is_nil(info.hits)
    local s = store:set "s"
    s.abc = true
    assert.are.equal(4, set.info(s, "abc").size)
    assert.are.equal(0, set.info(s, "abc").value_size)
    local long = ("k"):rep(5000)
    d[long] = "12345"
    assert.are.equal(5, dict.info(d, long).value_size)
  end)

  it("tell no times where only a cap knows of reads", function ()
    local store = timed()
    for _, evict in ipairs { "sieve", "lru", "lfu" } do
      local d = store:dict(evict, { max_entries = 10, evict = evict })
      d.a = 1
      for _ = 1, 2 do
        assert.are.equal(1, d.a)
        assert.are.same({ size = 3, value_size = 1 }, dict.info(d, "a"))
        store:maintain()
      end
    end
  end)

  it("tell times by a clock that begins at 0", function ()
    local store, clock = timed()
    clock.now = 0
    local d = store:dict("d", { times = true })
    d.a = 1
    assert.are.same({ ctime = 0, mtime = 0, atime = 0, hits = 0, size = 3,
      value_size = 1 }, dict.info(d, "a"))
  end)

  it("write nothing where the store is read only", function ()
    local store, clock = timed()
    dict.set(store:dict "d", "a", 1, 10)
    store = reopen(store, clock, { readonly = true })
    local d = store:dict "d"
    assert.are.equal(10, dict.ttl(d, "a"))
    fails("READONLY", dict.expire, d, "a", 5)
    fails("READONLY", dict.touch, d, "a")
    fails("READONLY", store.maintain, store)
    clock.now = START + 10
    assert.is_nil(d.a)
    assert.are.equal(0, #d)
  end)
end)

describe("transactions", function ()
  helper.watch()

  local function fresh ()
    local store, clock = timed { maintenance = "off" }
    return store:dict "d", store, clock
  end

  it("take deadlines back when they are rolled back", function ()
    local d, store, clock = fresh()
    d.a = 1
    dict.set(d, "b", 1, 100)
    undone(store, function ()
      dict.set(d, "a", 2, 10)
      dict.expire(d, "b", 5)
      dict.set(d, "c", 3, 10)
      assert.are.equal(10, dict.ttl(d, "a"))
      clock.now = START + 10
      assert.is_nil(d.a)
      assert.are.equal(0, #d)
    end)
    assert.are.equal(1, d.a)
    assert.is_nil(dict.ttl(d, "a"))
    assert.are.equal(90, dict.ttl(d, "b"))
    assert.is_nil(d.c)
    assert.are.equal(2, #d)
    assert.are.equal(0, dict.stats(d).expired)
    assert.are.equal(0, (store:maintain()))
    clock.now = START + 100
    assert.are.equal(1, #d)
    assert.are.equal(1, (store:maintain()))
  end)

  it("take back those of a savepoint alone", function ()
    local d, store, clock = fresh()
    store:transaction(function ()
      dict.set(d, "a", 1, 10)
      undone(store, function ()
        dict.set(d, "a", 2, 20)
        dict.set(d, "b", 2, 20)
        assert.are.equal(20, dict.ttl(d, "a"))
      end)
      assert.are.equal(10, dict.ttl(d, "a"))
      store:transaction(function () dict.set(d, "c", 1, 30) end)
    end)
    assert.are.equal(2, #d)
    clock.now = START + 10
    assert.are.same({ "c" }, helper.keys(d))
    clock.now = START + 30
    assert.are.equal(0, #d)
    assert.are.equal(2, (store:maintain()))
  end)

  it("may clear, drop and make anew what has deadlines", function ()
    local d, store, clock = fresh()
    for i = 1, 10 do dict.set(d, i, i, 10) end
    assert.are.equal(10, dict.clear(d))
    dict.set(d, 3, "new", 50)
    clock.now = START + 10
    assert.are.equal(0, dict.stats(d).expired)
    assert.are.equal(0, (store:maintain()))
    assert.are.equal("new", d[3])
    undone(store, function () store:drop "d" end)
    assert.are.equal(40, dict.ttl(d, 3))
    assert.is_true(store:drop "d")
    local again = store:dict "d"
    again[3] = "kept"
    clock.now = START + 1000
    assert.are.equal(0, (store:maintain()))
    assert.are.equal("kept", again[3])
    fails("NOT_FOUND", dict.ttl, d, 3)
    fails("NOT_FOUND", dict.info, d, 3)
    fails("NOT_FOUND", dict.expire, d, 3)
    fails("NOT_FOUND", dict.touch, d, 3)
  end)

  it("keep deadlines through a rename", function ()
    local d, store, clock = fresh()
    dict.set(d, "a", 1, 10)
    d.b = 2
    assert.is_true(store:rename("d", "e"))
    assert.are.equal(10, dict.ttl(d, "a"))
    store = reopen(store, clock)
    d = store:dict "e"
    assert.are.equal(10, dict.ttl(d, "a"))
    clock.now = START + 10
    assert.are.same({ "b" }, helper.keys(d))
    assert.are.equal(1, (store:maintain()))
  end)

  it("can't have a sweep of their own", function ()
    local d, store = fresh()
    dict.set(d, "a", 1, 10)
    store:transaction(function () fails("REENTRY", store.maintain, store) end)
    store:snapshot(function ()
      assert.is_false((pcall(store.maintain, store)))
    end)
    dict.update(d, "a", function ()
      fails("REENTRY", store.maintain, store)
      return 1
    end)
  end)

  it("see what was committed at their snapshot, as time goes on", function ()
    local d, store, clock = fresh()
    dict.set(d, "a", 1, 10)
    store:snapshot(function ()
      assert.are.equal(1, d.a)
      clock.now = START + 10
      assert.is_nil(d.a)
      assert.are.equal(0, #d)
    end)
  end)
end)
