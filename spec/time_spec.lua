-- Entries and members with a time to live, under a clock of the spec's own.

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local open, fails, says = helper.open, helper.fails, helper.says

local START = 1000000 -- seconds: when each spec begins

-- A clock that stands still until it is set, as an option of lode.open.
local function new_clock ()
  local clock = { now = START }
  function clock.tell () return clock.now end
  return clock
end

-- A store whose time is clock.now.
local function timed (options, path)
  local clock = new_clock()
  local given = { clock = clock.tell }
  for k, v in pairs(options or {}) do given[k] = v end
  local store, at = open(given, path)
  return store, clock, at
end

-- Opens the store once more, as this process or another would later on.
local function reopen (store, clock, options)
  local path = store:path()
  store:close()
  local given = { clock = clock.tell }
  for k, v in pairs(options or {}) do given[k] = v end
  return (open(given, path))
end

local function same () return "same" end

-- Ways to make keys of 1 to n, in the order of the store, and the options
-- that they need.
local shapes = {
  { name = "short keys", key = function (i) return ("k%03d"):format(i) end,
    prefix = "k" },
  { name = "numbers", key = function (i) return i end },
  { name = "tuples", key = function (i) return { "t", i } end,
    prefix = { "t" }, tuple = true },
  { name = "long keys", prefix = "k",
    key = function (i) return ("k%03d"):format(i) .. ("x"):rep(600) end },
  { name = "long keys that share a bucket", prefix = "x",
    options = { hash = same },
    key = function (i) return ("x"):rep(600) .. ("%03d"):format(i) end },
}

-- Keys as one string: tuples are new tables at each read.
local function shown (k)
  return type(k) == "table" and table.concat(k, "/") or tostring(k)
end

local function list (keys)
  local out = {}
  for i, k in ipairs(keys) do out[i] = shown(k) end
  return table.concat(out, " ")
end

local function reversed (keys)
  local out = {}
  for i = #keys, 1, -1 do out[#out + 1] = keys[i] end
  return out
end

local function slice (keys, from, to)
  local out = {}
  for i = from, to do out[#out + 1] = keys[i] end
  return out
end

local function with (range, fields)
  for k, v in pairs(fields) do range[k] = v end
  return range
end

-- Asserts that every read of the dict finds just these keys.
local function check_reads (d, live, dead, shape)
  local n = #live
  assert.are.equal(n, #d)
  assert.are.equal(n, dict.len(d))
  assert.are.equal(n, dict.count(d))
  assert.are.equal(n, dict.stats(d).entries)
  assert.are.equal(list(live), list(helper.keys(d)))
  assert.are.equal(list(reversed(live)),
    list(helper.keys(d, { reverse = true })))
  assert.are.equal(list(live), list(helper.keys(d, { snapshot = true })))
  local pairwise = helper.collect(true, dict.pairs(d))
  assert.are.equal(n, #pairwise)
  assert.are.equal(n, #helper.collect(false, dict.values(d)))
  if shape.prefix then
    assert.are.equal(list(live),
      list(helper.keys(d, { prefix = shape.prefix })))
    assert.are.equal(n, dict.count(d, { prefix = shape.prefix }))
  end
  for _, k in ipairs(live) do
    assert.is_not_nil(d[k])
    assert.is_true(dict.has(d, k))
  end
  for _, k in ipairs(dead) do
    assert.is_nil(d[k])
    assert.are.equal("none", dict.get(d, k, "none"))
    assert.is_false(dict.has(d, k))
    assert.is_nil(dict.info(d, k))
    assert.is_nil(dict.ttl(d, k))
  end
end

-- Asserts that what looks for neighbours and ranges passes the dead.
local function check_ranges (d, live, dead)
  local n = #live
  local all = {}
  for _, k in ipairs(live) do all[#all + 1] = k end
  for _, k in ipairs(dead) do all[#all + 1] = k end
  assert.are.equal(shown(live[1]), shown((dict.first(d))))
  assert.are.equal(shown(live[n]), shown((dict.last(d))))
  local k, up, down = nil, {}, {}
  for i = 1, n + 1 do k = dict.next(d, k); up[i] = k end
  assert.are.equal(list(live), list(up))
  k = nil
  for i = 1, n + 1 do k = dict.prev(d, k); down[i] = k end
  assert.are.equal(list(reversed(live)), list(down))
  for _, range in ipairs { { "from", "to", 2, n - 1 },
                           { "after", "before", 3, n - 2 } } do
    local low, high, from, to = range[1], range[2], range[3], range[4]
    local inner = low == "from" and slice(live, from, to)
      or slice(live, from + 1, to - 1)
    local given = { [low] = live[from], [high] = live[to] }
    assert.are.equal(#inner, dict.count(d, given))
    assert.are.equal(list(inner), list(helper.keys(d, given)))
    assert.are.equal(list(reversed(inner)),
      list(helper.keys(d, with(given, { reverse = true }))))
    assert.are.equal(1, dict.count(d, with(given, { limit = 1 })))
  end
  local pages, range = {}, { limit = 3 }
  while range do
    local page
    page, range = dict.page(d, range)
    for _, pair in ipairs(page) do pages[#pages + 1] = pair[1] end
  end
  assert.are.equal(list(live), list(pages))
  local found, missing = dict.get_many(d, all)
  local count = 0
  for _ in pairs(found) do count = count + 1 end
  assert.are.equal(n, count)
  assert.are.equal(list(dead), list(missing))
end

-- Calls fn in a transaction that is rolled back.
local function undone (store, fn)
  local marker = {}
  local ok, e = pcall(store.transaction, store, function ()
    fn()
    error(marker)
  end)
  assert.is_false(ok)
  if e ~= marker then error(e, 0) end
end

-- Asserts that writes take the dead for absent; leaves all as it was.
local function check_writes (store, d, live, dead)
  undone(store, function ()
    for _, k in ipairs(dead) do
      assert.is_false(dict.expire(d, k, 5))
      assert.is_false(dict.touch(d, k))
      assert.is_false(dict.replace(d, k, "new"))
      assert.is_false(dict.delete(d, k))
      assert.are.equal("none", dict.pop(d, k, "none"))
      assert.is_false(dict.cas(d, k, "old", "new"))
    end
    assert.are.equal(0, dict.delete_many(d, dead))
    assert.are.equal(#live, #d)
  end)
  undone(store, function ()
    assert.are.equal(7, dict.incr(d, dead[1], 2, 5))
    assert.is_true(dict.add(d, dead[2], "new"))
    assert.is_true(dict.cas(d, dead[3], nil, "new"))
    assert.are.equal("new", dict.setdefault(d, dead[4], "new"))
    dict.update(d, dead[5], function (old)
      assert.is_nil(old)
      return "new"
    end)
    assert.are.equal(#live + 5, #d)
    for i = 1, 5 do assert.is_nil(dict.ttl(d, dead[i])) end
  end)
  undone(store, function ()
    assert.are.equal(shown(live[1]), shown((dict.popitem(d))))
    assert.are.equal(shown(live[#live]), shown((dict.popitem(d, "last"))))
    assert.are.equal(#live - 2, #d)
  end)
  undone(store, function ()
    assert.are.equal(#live - 2,
      dict.delete_range(d, { after = live[1], before = live[#live] }))
    assert.are.equal(2, #d)
    assert.are.equal(2, dict.clear(d))
    assert.are.equal(0, #d)
  end)
end

-- Twenty entries, of which the odd ones die after 10 seconds.
local function mortal (d, shape)
  local live, dead = {}, {}
  for i = 1, 20 do
    local k = shape.key(i)
    if i % 2 == 1 then
      dict.set(d, k, i, 10)
      dead[#dead + 1] = k
    else
      d[k] = i
      live[#live + 1] = k
    end
  end
  return live, dead
end

for _, maintenance in ipairs { "off", "inline" } do
  for _, shape in ipairs(shapes) do
    describe(("an entry past its time, %s, maintenance %q"):format(
      shape.name, maintenance), function ()
      helper.watch()

      local function fresh ()
        local store, clock = timed { maintenance = maintenance }
        local d = store:dict("d", shape.options)
        return d, store, clock, mortal(d, shape)
      end

      it("is there to the last moment, then absent for all", function ()
        local d, store, clock, live, dead = fresh()
        clock.now = START + 9.999
        assert.are.equal(20, #d)
        assert.are.equal(20, #helper.keys(d))
        for _, k in ipairs(dead) do
          assert.is_true(dict.has(d, k))
          assert.are.equal(0.001, dict.ttl(d, k))
        end
        clock.now = START + 10
        check_reads(d, live, dead, shape)
        check_ranges(d, live, dead)
        assert.are.equal(10, dict.stats(d).expired)
        check_writes(store, d, live, dead)
        check_reads(d, live, dead, shape)
        store:transaction(function ()
          check_reads(d, live, dead, shape)
          check_ranges(d, live, dead)
        end)
        store:snapshot(function () check_reads(d, live, dead, shape) end)
      end)

      it("is absent after a sweep as before it", function ()
        local d, store, clock, live, dead = fresh()
        clock.now = START + 11
        local removed, more = store:maintain()
        assert.are.equal(10, removed)
        assert.is_false(more)
        assert.are.equal(0, dict.stats(d).expired)
        check_reads(d, live, dead, shape)
        check_ranges(d, live, dead)
        check_writes(store, d, live, dead)
        store = reopen(store, clock)
        check_reads(store:dict("d", shape.options), live, dead, shape)
      end)

      it("is absent when half of them are swept", function ()
        local d, store, clock, live, dead = fresh()
        clock.now = START + 11
        assert.are.equal(4, (store:maintain { entries = 4 }))
        assert.are.equal(6, dict.stats(d).expired)
        check_reads(d, live, dead, shape)
        check_ranges(d, live, dead)
        check_writes(store, d, live, dead)
      end)

      it("begins a new life with the next write", function ()
        local d, store, clock, live, dead = fresh()
        clock.now = START + 10
        for _, k in ipairs(dead) do d[k] = "new" end
        assert.are.equal(20, #d)
        for _, k in ipairs(dead) do assert.is_nil(dict.ttl(d, k)) end
        store:maintain()
        clock.now = START + 1000
        store:maintain()
        assert.are.equal(20, #d)
        assert.are.equal(#live + #dead, #helper.keys(d))
      end)

      it("leaves no trace when it is deleted before", function ()
        local d, store, clock, live, dead = fresh()
        for _, k in ipairs(dead) do assert.is_true(dict.delete(d, k)) end
        clock.now = START + 10
        check_reads(d, live, dead, shape)
        assert.are.equal(0, dict.stats(d).expired)
        assert.are.equal(0, (store:maintain()))
      end)
    end)
  end
end

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
    local own = d
    assert.are.equal(10, dict.ttl(own, "a"))
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
    assert.is_nil(info.ctime)
    assert.is_nil(info.mtime)
    assert.is_nil(info.atime)
    assert.is_nil(info.hits)
    local s = store:set "s"
    s.abc = true
    assert.are.equal(4, set.info(s, "abc").size)
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

describe("a member past its time", function ()
  helper.watch()

  for _, shape in ipairs(shapes) do
    it("is absent for sets and their algebra, " .. shape.name, function ()
      local store, clock = timed { maintenance = "off" }
      local a = store:set("a", shape.options)
      local b = store:set("b", shape.options)
      local live, dead = {}, {}
      for i = 1, 20 do
        local x = shape.key(i)
        local dies = i % 2 == 1
        assert.is_true(set.add(a, x, dies and 10 or nil))
        b[x] = true
        local of = dies and dead or live
        of[#of + 1] = x
      end
      local function members (e) return list(helper.members(e)) end
      assert.is_true(a == b)
      clock.now = START + 10
      assert.are.equal(10, #a)
      assert.are.equal(10, set.count(a))
      assert.are.equal(list(live), members(a))
      assert.are.equal(list(reversed(live)),
        list(helper.members(a, { reverse = true })))
      assert.are.equal(list(live), members(a * b))
      assert.are.equal(list(dead), members(b - a))
      assert.are.equal("", members(a - b))
      assert.are.equal(list(dead), members(a ^ b))
      assert.are.equal(20, #(a + b))
      assert.are.equal(10, #(b - a))
      assert.is_false(a == b)
      assert.is_true(a < b)
      assert.is_false(b <= a)
      assert.is_nil((a * b)[dead[1]])
      assert.is_true((b - a)[dead[1]])
      assert.are.equal(shown(live[1]), shown(set.first(a)))
      assert.are.equal(shown(live[10]), shown(set.last(a)))
      for _, x in ipairs(dead) do
        assert.is_nil(a[x])
        assert.is_false(set.has(a, x))
        assert.is_false(set.remove(a, x))
        assert.is_nil(set.info(a, x))
      end
      assert.are.equal(0, set.remove_many(a, dead))
      undone(store, function ()
        for i = 1, 10 do
          assert.are.equal(shown(live[i]), shown(set.pop(a)))
        end
        assert.is_nil(set.pop(a))
        assert.are.equal(0, #a)
      end)
      undone(store, function ()
        assert.are.equal(10, set.add_many(a, b))
        assert.are.equal(20, #a)
        assert.is_nil(set.ttl(a, dead[1]))
      end)
      if not shape.options then
        local kept = set.save(b - a, store, "kept")
        assert.are.equal(list(dead), members(kept))
        undone(store, function ()
          set.update(a, b)
          assert.are.equal(20, #a)
        end)
        set.save(a * b, store, "a") -- the dead are not among what changes
        assert.are.equal(list(live), members(a))
      end
      assert.are.equal(10, (store:maintain()))
      assert.are.equal(list(live), members(a))
      assert.are.equal(10, set.clear(a))
    end)
  end

  it("gets the target's time to live from save and update", function ()
    local store, clock = timed()
    local a = store:set "a"
    local b = store:set("b", { ttl = 60 })
    set.add(a, "x", 10)
    a.y = true
    set.update(b, a)
    assert.are.equal(60, set.ttl(b, "x"))
    assert.are.equal(60, set.ttl(b, "y"))
    local kept = set.save(a + b, store, "kept")
    assert.is_nil(set.ttl(kept, "x"))
    clock.now = START + 60
    assert.are.equal(1, #a)
    assert.are.equal(0, #b)
    assert.are.equal(2, #kept)
  end)

  it("is renewed by an add, which says that it was there", function ()
    local store, clock = timed()
    local s = store:set "s"
    assert.is_true(set.add(s, "x", 10))
    clock.now = START + 6
    assert.is_false(set.add(s, "x", 10))
    assert.are.equal(10, set.ttl(s, "x"))
    assert.are.equal(1, set.add_many(s, { "x", "y", "y" }, 20))
    assert.are.equal(20, set.ttl(s, "x"))
    s.x = true
    assert.is_nil(set.ttl(s, "x"))
    local version = store:version()
    s.x = true -- nothing to change, nothing written
    assert.are.equal(version, store:version())
  end)

  it("is counted by add_many when it is added again", function ()
    local store, clock = timed()
    local s = store:set "s"
    assert.are.equal(3, set.add_many(s, { 1, 2, 3 }, 10))
    s[4] = true
    clock.now = START + 10
    assert.are.equal(4, set.add_many(s, { 1, 2, 3, 4, 5, 5 }))
    assert.are.equal(5, #s)
  end)
end)

describe("a copy", function ()
  helper.watch()

  for _, shape in ipairs(shapes) do
    it("dies with what it was copied from, " .. shape.name, function ()
      local store, clock = timed()
      local d = store:dict("d", shape.options)
      local live, dead = mortal(d, shape)
      local gone = shape.key(30)
      dict.set(d, gone, "gone", 2)
      clock.now = START + 4
      local copy = dict.copy(d, "copy")
      assert.are.equal(20, #copy)
      assert.is_nil(copy[gone])
      for _, k in ipairs(dead) do
        assert.are.equal(6, dict.ttl(copy, k))
        assert.are.equal(d[k], copy[k])
      end
      for _, k in ipairs(live) do assert.is_nil(dict.ttl(copy, k)) end
      clock.now = START + 10
      check_reads(copy, live, dead, shape)
      check_ranges(copy, live, dead)
      store:drop "d"
      assert.are.equal(10, (store:maintain()))
      check_reads(copy, live, dead, shape)
    end)
  end

  it("of a set keeps the deadlines of its members", function ()
    local store, clock = timed()
    local s = store:set("s", { ttl = 60, times = true })
    s.a = true
    set.add(s, "b", 10)
    set.add(s, "c", math.huge)
    clock.now = START + 4
    local copy = set.copy(s, "copy")
    assert.are.equal(56, set.ttl(copy, "a"))
    assert.are.equal(6, set.ttl(copy, "b"))
    assert.is_nil(set.ttl(copy, "c"))
    assert.are.equal(START, set.info(copy, "a").ctime)
    copy.d = true
    assert.are.equal(60, set.ttl(copy, "d"))
    clock.now = START + 60
    assert.are.same({ "c", "d" }, helper.members(copy))
  end)

  it("of a capped dict has its cap, and its order", function ()
    local store = timed()
    local d = store:dict("d", { max_entries = 8, evict = "fifo" })
    for i = 8, 1, -1 do d[i] = i end
    local copy = dict.copy(d, "copy")
    assert.are.equal(8, #copy)
    for i = 9, 40 do copy[i] = i end
    assert.is_true(#copy <= 8 + 16)
    assert.is_nil(copy[8]) -- the oldest
    assert.are.equal(8, #d)
  end)

  it("keeps a policy's answer, and is asked anew in its time", function ()
    local store, clock = timed()
    local limit = 10
    local d = store:dict("d", { expire = lode.policy.at(function (e)
      return e.ctime + limit
    end) })
    d.a = 1
    clock.now = START + 5
    local copy = dict.copy(d, "copy")
    assert.are.equal(5, dict.ttl(copy, "a"))
    limit = 20
    clock.now = START + 12
    assert.are.equal(1, copy.a)
    assert.are.equal(8, dict.ttl(copy, "a"))
    assert.are.equal(START + 20, dict.info(copy, "a").expires)
    clock.now = START + 20
    assert.is_nil(copy.a)
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
    local behind = new_clock()
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

describe("another process", function ()
  helper.watch()

  -- What a child that opens the store at this time sees of "d".
  local look = [[
    local path, now = ...
    local lode = require "lode"
    local dict = lode.dict
    local store = lode.open(path, { durability = "os",
      maintenance = "off", clock = function () return now end })
    local d = store:dict "d"
    local keys = {}
    for k in dict.keys(d) do keys[#keys + 1] = tostring(k) end
    print(#d, dict.count(d), table.concat(keys, ","))
  ]]

  local function sees (path, now)
    return (helper.run(look, path, now):gsub("%s+", " "))
  end

  it("sees an entry die at the same time, swept or not", function ()
    local store, clock, path = timed { maintenance = "off" }
    local d = store:dict "d"
    dict.set(d, "a", 1, 10)
    dict.set(d, "b", 1, 20)
    d.c = 1
    assert.are.equal("3 3 a,b,c", sees(path, START + 9))
    assert.are.equal("2 2 b,c", sees(path, START + 10))
    clock.now = START + 10
    assert.are.equal(1, (store:maintain()))
    assert.are.equal("2 2 b,c", sees(path, START + 10))
    assert.are.equal("1 1 c", sees(path, START + 20))
  end)

  it("is believed when it has seen one die", function ()
    local store, clock, path = timed { maintenance = "off" }
    local d = store:dict "d"
    dict.set(d, "a", 1, 10)
    dict.set(d, "b", 1, 20)
    assert.are.equal("1 1 b", sees(path, START + 10))
    assert.are.equal(START, clock.now) -- behind
    assert.is_nil(d.a)
    assert.are.equal(1, #d)
    dict.set(d, "a", 2, 10) -- and this is a new life
    assert.are.equal(2, d.a)
    assert.are.equal(10, dict.ttl(d, "a"))
    assert.are.equal("2 2 a,b", sees(path, START + 9))
    assert.are.equal("1 1 b", sees(path, START + 10))
  end)

  it("learns of the first deadline of a dict that it has open", function ()
    local store, clock, path = timed { maintenance = "off" }
    local d = store:dict "d"
    d.a, d.b, d.c = 0, 0, 0
    local go, done = helper.path "go", helper.path "done"
    local child = helper.spawn(helper.wait_for .. [[
      local path, now, go = ...
      local lode = require "lode"
      local dict, set = lode.dict, lode.set
      local store = lode.open(path, { durability = "os",
        maintenance = "off", clock = function () return now end })
      local d, s = store:dict "d", store:set "s"
      d.mine, s.mine = 1, true -- plain writes, as nothing has a deadline
      print "ready"
      io.stdout:flush()
      wait_for(go)
      print(dict.add(d, "a", "new"))
      print(dict.replace(d, "b", "new"))
      print(dict.delete(d, "c"))
      print(set.add(s, "x"))
      print(#d, #s)
    ]], path, START + 10, go)
    assert.are.equal("ready", child:line())
    local s = store:set "s"
    for _, k in ipairs { "a", "b", "c" } do dict.set(d, k, "old", 10) end
    set.add(s, "x", 10)
    helper.signal(go)
    assert.are.equal("true\nfalse\nfalse\ntrue\n2\t2", child:finish())
    assert.are.equal("new", d.a)
    clock.now = START + 1000
    assert.are.equal("new", d.a)
    assert.are.same({ "a", "mine" }, helper.keys(d))
    assert.is_true(s.x)
    assert.are.equal(2, (store:maintain()))
    assert.are.equal(2, #d)
    assert.is_nil(io.open(done))
  end)
end)

describe("the system's clock", function ()
  helper.watch()

  it("is what counts where no other is given", function ()
    local store = open()
    local d = store:dict("d", { times = true })
    local before = os.time()
    dict.set(d, "a", 1, 0.05)
    dict.set(d, "b", 1, 3600)
    local info = dict.info(d, "a")
    assert.is_true(info.ctime >= before and info.ctime <= os.time() + 1)
    local ttl = dict.ttl(d, "b")
    assert.is_true(ttl > 3590 and ttl <= 3600)
    os.execute "sleep 0.06"
    assert.is_nil(d.a)
    assert.are.equal(1, #d)
    assert.are.equal(1, (store:maintain()))
  end)
end)
