-- Caps: how many entries there may be, and who goes first.

local clocks = require "support.clock"
local helper = require "support.helper"
local lode = require "lode"
local random = require "model.random"

local dict, set = lode.dict, lode.set
local fails, says = helper.fails, helper.says
local timed, undone = clocks.open, clocks.undone

local SLACK = 16 -- entries that a capped collection may have above its cap
local WAYS = { "sieve", "lru", "lfu", "fifo", "ttl" }

local full = os.getenv "LODE_FULL" == "1"
local RUNS, STEPS = full and 200 or 8, full and 2000 or 400

-- ==================================================================
-- Who goes first, once more and by itself
-- ==================================================================

-- Each way gives the rank of what the oracle knows of an entry: the lowest
-- goes first, of equals the lowest key. Times are steps, no two alike.
local ranks = {
  fifo = function (e) return e.came end,
  lru = function (e) return e.used end,
  lfu = function (e) return e.hits, e.used end,
  ttl = function (e) return e.dies end,
  value = function (e) return e.value end,
  hits = function (e) return e.hits end,
}

-- What stands for "evict", where the name isn't it.
local functions = {
  value = function (e) return #e.value end,
  hits = function (e) return e.hits end,
}

local function before (rank, a, b)
  local a1, a2 = rank(a)
  local b1, b2 = rank(b)
  if a1 ~= b1 then return a1 < b1 end
  if a2 ~= b2 then return a2 < b2 end
  return a.key < b.key
end

local function lowest (entries, rank, spare)
  local first
  for _, e in pairs(entries) do
    if e ~= spare and (not first or before(rank, e, first)) then
      first = e
    end
  end
  return first
end

-- Sieve's hand: from the oldest to the newest and round again, past those
-- that were used since it came by, and past what was just written.
local function new_sieve ()
  local hand = 0
  return function (entries, spare)
    while true do
      local at, oldest
      for _, e in pairs(entries) do
        if e.came > hand and (not at or e.came < at.came) then at = e end
        if not oldest or e.came < oldest.came then oldest = e end
      end
      at = at or oldest
      hand = at.came
      if at ~= spare then
        if not at.visited then return at end
        at.visited = false
      end
    end
  end
end

-- A cap on plain tables. `sizes` of its entries are those of the store.
local function new_oracle (way, max_entries, max_bytes)
  local oracle = { entries = {}, count = 0, bytes = 0 }
  local sieve = way == "sieve" and new_sieve()

  function oracle.remove (key)
    local e = oracle.entries[key]
    if not e then return end
    oracle.entries[key] = nil
    oracle.count, oracle.bytes = oracle.count - 1, oracle.bytes - e.size
  end

  function oracle.read (key, now)
    local e = oracle.entries[key]
    if e then e.hits, e.used, e.visited = e.hits + 1, now, true end
  end

  function oracle.write (key, value, size, dies, now)
    local old = oracle.entries[key]
    oracle.remove(key)
    local e = {
      key = key, value = #value, size = size, dies = dies, used = now,
      came = old and old.came or now, hits = old and old.hits or 0,
      visited = old ~= nil,
    }
    oracle.entries[key] = e
    oracle.count, oracle.bytes = oracle.count + 1, oracle.bytes + size
    while oracle.count > max_entries or oracle.bytes > max_bytes do
      local victim = sieve and sieve(oracle.entries, e)
        or lowest(oracle.entries, ranks[way], e)
      oracle.remove(victim.key)
    end
  end

  return oracle
end

local function sorted_keys (entries)
  local keys = {}
  for key in pairs(entries) do keys[#keys + 1] = key end
  table.sort(keys)
  return table.concat(keys, " ")
end

local function keys_of (d)
  return table.concat(helper.keys(d), " ")
end

-- Steps of a dict and its oracle; the two must agree after each.
local function compare (way, seed, options)
  local r = random.new(seed)
  local options_of_store = {
    maintenance = r:int(2) == 1 and "off" or "inline"
  }
  local store, clock = timed(options_of_store)
  local max_entries = options.entries and r:int(20) + 3 or nil
  local max_bytes = options.bytes and 60 + r:int(400) or nil
  local given = {
    max_entries = max_entries, max_bytes = max_bytes,
    evict = functions[way] or way,
  }
  local d = store:dict("d", given)
  local oracle = new_oracle(way, max_entries or math.huge,
                            max_bytes or math.huge)
  for step = 1, STEPS do
    clock.now = clocks.START + step
    local key, what = r:int(40), r:int(10)
    if r:one_in(50) then
      store:maintain()
    elseif r:one_in(50) then
      store = clocks.reopen(store, clock, options_of_store)
      d = store:dict("d", given)
    elseif what <= 5 then
      local value, ttl = ("v"):rep(r:int(30)), 1e6 + r:int(1e6)
      dict.set(d, key, value, way == "ttl" and ttl or nil)
      oracle.write(key, value, dict.info(d, key).size, step + ttl, step)
    elseif what <= 9 then
      local _ = d[key]
      oracle.read(key, step)
    elseif what == 10 then
      d[key] = nil
      oracle.remove(key)
    end
    local expected = sorted_keys(oracle.entries)
    local got = keys_of(d)
    if expected ~= got then
      error(("%s, seed %d, step %d, key %d:\nexpected %s\ngot      %s")
        :format(way, seed, step, key, expected, got))
    end
  end
  store:close()
end

describe("who goes first", function ()
  helper.watch()

  for _, way in ipairs { "sieve", "lru", "lfu", "fifo", "ttl", "value",
                         "hits" } do
    it(("is what %q says, to the entry"):format(way), function ()
      for seed = 1, RUNS do compare(way, seed, { entries = true }) end
    end)

    it(("is what %q says where bytes are capped"):format(way), function ()
      for seed = 1, RUNS do
        compare(way, seed, { bytes = true, entries = seed % 3 == 0 })
      end
    end)
  end
end)

-- ==================================================================
-- How many there may be
-- ==================================================================

local function read_all (d)
  local keys = helper.keys(d)
  for _, k in ipairs(keys) do assert(d[k] ~= nil) end
  return #keys
end

local function bytes_of (d)
  local sum = 0
  for k in dict.keys(d) do sum = sum + dict.info(d, k).size end
  return sum
end

describe("a cap", function ()
  helper.watch()

  local ways = { "sieve", "lru", "lfu", "fifo", "ttl",
                 function (e) return e.hits end }

  for i, way in ipairs(ways) do
    local name = i > #WAYS and "a function" or way

    it("on entries is passed by 16 at most, by " .. name, function ()
      local store, clock = timed { maintenance = "off" }
      local d = store:dict("d", { max_entries = 100, evict = way })
      local most = 0
      for k = 1, 1000 do
        clock.now = clock.now + 0.001
        d[k] = k
        assert.are.equal(k, d[k])
        most = math.max(most, #d)
        -- all of them were read since: none seems to be the one to go
        if k % 3 == 0 then assert.are.equal(#d, read_all(d)) end
      end
      assert.is_true(most <= 100 + SLACK, "there were " .. most)
      assert.is_true(#d >= 100)
      store:transaction(function ()
        for k = 1, 500 do
          d[-k] = k
          assert.is_true(#d <= 100 + SLACK)
          if k % 10 == 0 then read_all(d) end
        end
      end)
      read_all(d)
      local many = {}
      for k = 2001, 2500 do many[k] = k end
      assert.are.equal(500, dict.put_many(d, many))
      assert.is_true(#d >= 100 and #d <= 100 + SLACK)
      local k = 3000
      dict.put_many(d, function ()
        k = k + 1
        if k <= 3500 then return k, k end
      end)
      assert.is_true(#d >= 100 and #d <= 100 + SLACK)
      for at, write in ipairs {
        function (x) dict.add(d, x, 1) end,
        function (x) dict.setdefault(d, x, 1) end,
        function (x) dict.incr(d, x) end,
        function (x) dict.cas(d, x, nil, 1) end,
        function (x) dict.update(d, x, function () return 1 end) end,
        function (x) dict.fetch(d, x, function () return 1 end) end,
      } do
        for x = 1, 50 do
          local key = ("%d of %d"):format(x, at)
          write(key)
          assert.is_true(#d <= 100 + SLACK)
          assert.are.equal(1, d[key])
        end
        read_all(d)
      end
    end)

    it("on bytes is never passed, by " .. name, function ()
      local store, clock = timed { maintenance = "off" }
      local d = store:dict("d", { max_bytes = 5000, evict = way })
      for k = 1, 600 do
        clock.now = clock.now + 0.001
        local value = ("v"):rep(k * 37 % 400)
        d[k % 150] = value
        assert.are.equal(value, d[k % 150])
        local bytes = bytes_of(d)
        assert.is_true(bytes <= 5000, "there were " .. bytes)
        if k % 5 == 0 then read_all(d) end
      end
      assert.is_true(bytes_of(d) >= 4000)
      store:transaction(function ()
        for k = 1, 100 do
          d[k] = ("w"):rep(k * 10)
          assert.is_true(bytes_of(d) <= 5000)
        end
      end)
      dict.put_many(d, { a = ("v"):rep(3000), b = ("v"):rep(1900), c = 1 })
      assert.is_true(bytes_of(d) <= 5000)
      for k in dict.keys(d) do d[k] = nil end
      assert.are.equal(0, #d)
      for k = 1, 40 do d[k] = ("v"):rep(100) end -- of 109 bytes each
      assert.are.equal(40, #d)
      d.more = ("v"):rep(800)
      assert.is_true(#d < 41 and #d >= 37)
    end)
  end

  it("is one of members in a set", function ()
    local store = timed { maintenance = "off" }
    local s = store:set("s", { max_entries = 10, evict = "fifo" })
    for m = 1, 25 do assert.is_true(set.add(s, m)) end
    assert.are.equal("16 17 18 19 20 21 22 23 24 25",
      table.concat(helper.members(s), " "))
    assert.is_false(set.add(s, 16)) -- and it stays as old as it is
    s[26] = true
    assert.is_nil(s[16])
    local x = 100
    assert.are.equal(40, set.add_many(s, function ()
      x = x + 1
      return x <= 140 and x or nil
    end))
    assert.is_true(#s >= 10 and #s <= 10 + SLACK)
    assert.is_true(s[140])
    local other = store:set "other"
    set.add_many(other, { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                          "k", "l", "m", "n", "o", "p", "q", "r", "s", "t" })
    set.update(s, other)
    assert.is_true(#s >= 10 and #s <= 10 + SLACK)
    local byte = store:set("bytes", { max_bytes = 100, evict = "lru" })
    for size = 1, 30 do
      set.add(byte, ("x"):rep(size))
      local sum = 0
      for m in set.each(byte) do sum = sum + set.info(byte, m).size end
      assert.is_true(sum <= 100)
    end
    local e = fails("BAD_VALUE", set.add, byte, ("y"):rep(101))
    says(e, "max_bytes 100")
  end)

  it("refuses an entry that is larger by itself", function ()
    local store = timed()
    local d = store:dict("d", { max_bytes = 100 })
    d.a, d.b = "small", "small"
    local version = store:version()
    local big = ("v"):rep(200)
    local function refused (fn, ...)
      local e = fails("BAD_VALUE", fn, ...)
      says(e, "max_bytes 100")
      assert.are.equal("d", e.collection)
    end
    refused(function () d.big = big end)
    refused(dict.set, d, "a", big)
    refused(dict.add, d, "big", big)
    refused(dict.replace, d, "a", big)
    refused(dict.setdefault, d, "big", big)
    refused(dict.update, d, "a", function () return big end)
    refused(dict.cas, d, "a", "small", big)
    refused(dict.put_many, d, { c = "small", big = big })
    refused(dict.fetch, d, "big", function () return big end)
    refused(dict.set, d, ("k"):rep(150), 1)
    assert.are.equal("a b", keys_of(d))
    assert.are.equal("small", d.a)
    assert.are.equal(version, store:version())
    local most = ("v"):rep(100 - (dict.info(d, "a").size - #"small"))
    d.a = most -- just as large as may be
    assert.are.equal("a", keys_of(d))
    assert.are.equal(100, dict.info(d, "a").size)
  end)

  it("counts no dead, and lets them go first", function ()
    for _, way in ipairs(WAYS) do
      local store, clock = timed { maintenance = "off" }
      local d = store:dict("d", { max_entries = 10, evict = way })
      for k = 1, 5 do d[k] = k end
      for k = 6, 10 do dict.set(d, k, k, 1) end
      clock.now = clock.now + 1
      assert.are.equal(5, #d)
      store:maintain()
      for k = 11, 15 do d[k] = k end
      assert.are.equal(10, #d, way) -- none had to go
      store:close()
    end
  end)

  it("takes back what went in a transaction that is rolled back",
    function ()
      for _, way in ipairs(WAYS) do
        local store, clock = timed()
        local d = store:dict("d", { max_entries = 5, evict = way })
        for k = 1, 5 do d[k] = k; clock.now = clock.now + 1 end
        undone(store, function ()
          for k = 6, 20 do d[k] = k end
          assert.are.equal(5, #d)
          assert.is_nil(d[1])
        end)
        assert.are.equal("1 2 3 4 5", keys_of(d), way)
        store:transaction(function ()
          undone(store, function () for k = 6, 20 do d[k] = k end end)
          assert.are.equal("1 2 3 4 5", keys_of(d), way)
        end)
        d[6] = 6
        assert.are.equal(5, #d, way)
        store:close()
      end
    end)

  it("holds for long keys that share a bucket, and a rank", function ()
    local function by_type (e) return type(e.key) == "number" and 8 or 7 end
    for _, way in ipairs { "ttl", "fifo", "lru", "lfu", by_type } do
      local store, clock = timed { maintenance = "off" }
      local d = store:dict("d", { max_entries = 6, evict = way, ttl = 1000,
                                  hash = function () return "same" end })
      local function key (i) return ("x"):rep(600) .. i end
      for i = 1, 40 do
        d[key(i)] = i
        assert.is_true(dict.has(d, key(i)))
        assert.are.equal(math.min(i, 6), #d)
        if i % 7 == 0 then d[key(i)] = nil; d[key(i)] = i end
        if i % 5 == 0 then dict.expire(d, key(i), 1000) end
        clock.now = clock.now + (i % 4 == 0 and 1 or 0)
      end
      for i = 1, 40 do d[i] = i end -- each of them finds its place to go
      assert.are.equal(6, #d)
      for k in dict.keys(d) do assert.are.equal("number", type(k)) end
      store:close()
    end
  end)
end)

describe("a read of a capped dict", function ()
  helper.watch()

  it("writes nothing", function ()
    for _, way in ipairs(WAYS) do
      local store = timed { maintenance = "off" }
      local d = store:dict("d", { max_entries = 50, evict = way })
      for k = 1, 50 do d[k] = k end
      local version = store:version()
      for _ = 1, 20 do read_all(d) end
      dict.get_many(d, { 1, 2, 3, 99 })
      dict.fetch(d, 1, function () error "asked" end)
      dict.info(d, 1)
      assert.are.equal(version, store:version(), way)
      store:close()
    end
  end)

  it("may be done where the store is read only", function ()
    local store, path = helper.open()
    local d = store:dict("d", { max_entries = 5, evict = "lru" })
    for k = 1, 5 do d[k] = k end
    store:close()
    store = helper.open({ readonly = true }, path)
    assert.are.equal(5, read_all(store:dict "d"))
    store:close()
  end)
end)

-- ==================================================================
-- on_expire, options, processes
-- ==================================================================

describe("on_expire of a capped dict", function ()
  helper.watch()

  it("is told what goes for the cap, once, with its last value",
    function ()
      local store, clock = timed { maintenance = "off" }
      local told = {}
      local log = store:dict "log"
      local d = store:dict("d", {
        max_entries = 3, evict = "fifo",
        on_expire = function (key, value, entry)
          told[#told + 1] = ("%s=%s %s"):format(key, value, entry.reason)
          assert(entry.key == key and entry.value == value)
          log[key] = value
        end,
      })
      for k = 1, 4 do d[k] = "old" end
      d[2] = "new"
      d[5] = "new"
      dict.set(d, 6, "new", 1)
      assert.are.same({ "1=old evicted", "2=new evicted",
                        "3=old evicted" }, told)
      assert.are.equal("new", log[2])
      clock.now = clock.now + 1
      store:maintain()
      assert.are.equal("6=new expired", told[4])
      d[7] = 1
      d[4] = nil -- what is deleted is not shown
      assert.are.equal(4, #told)
      undone(store, function () for k = 10, 14 do d[k] = k end end)
      assert.are.equal(4, #log)
      assert.are.equal("5 7", keys_of(d))
    end)

  it("may write to the dict itself, which stays at its cap", function ()
    local store = timed()
    local d
    d = store:dict("d", {
      max_entries = 10, evict = "fifo",
      on_expire = function (key, value)
        if type(key) == "number" then d["was " .. key] = value end
      end,
    })
    for k = 1, 200 do
      d[k] = k
      assert.is_true(#d <= 10 + SLACK, ("%d at %d"):format(#d, k))
      assert.are.equal(k, d[k])
    end
  end)
end)

describe("a function that says who goes first", function ()
  helper.watch()

  it("may give any number", function ()
    local store = timed()
    local d = store:dict("d", { max_entries = 5,
                                evict = function (e) return e.value end })
    for i, x in ipairs { 0, -1 / 0, 1 / 0, -1, 1, -1e-300, 1e300 } do
      d[i] = x
    end
    assert.are.equal("1 3 5 6 7", keys_of(d))
  end)
end)

describe("the options of a cap", function ()
  helper.watch()

  it("are kept, and compared when it is opened again", function ()
    local store, clock = timed()
    store:dict("d", { max_entries = 10, evict = "lru" })
    store:dict("b", { max_bytes = 1000 })
    store:dict("f", { max_entries = 10, evict = function () return 1 end })
    store:dict "none"
    store = clocks.reopen(store, clock)
    local function differs (name, options, ...)
      local e = fails("INCOMPATIBLE", store.dict, store, name, options)
      says(e, ...)
      says(e, "rearm = true")
    end
    differs("d", { max_entries = 11 }, "max_entries", "10", "11")
    differs("d", { max_bytes = 11 }, "max_bytes")
    differs("d", { max_entries = 10, evict = "fifo" }, "evict", "lru",
      "fifo")
    differs("d", { max_entries = 10, evict = function () return 1 end },
      "evict", "lru", "a function")
    differs("b", { max_bytes = 999 }, "max_bytes", "1000", "999")
    differs("b", { max_bytes = 1000, evict = "lru" }, "evict", "sieve")
    differs("f", { max_entries = 10, evict = "sieve" }, "evict")
    differs("none", { max_entries = 10 }, "max_entries")
    for name, options in pairs {
      d = { max_entries = 10, evict = "lru" }, b = { max_bytes = 1000 },
    } do
      store:dict(name, options)
    end
    local d = store:dict "d" -- and hold where they aren't given
    for k = 1, 20 do d[k] = k end
    assert.are.equal(10, #d)
  end)

  it("are whole numbers above 0, and a way that there is", function ()
    local store = timed()
    for _, bad in ipairs { 0, -1, 1.5, 0 / 0, "10", true, {} } do
      fails("BAD_ARGUMENT", store.dict, store, "d", { max_entries = bad })
      fails("BAD_ARGUMENT", store.dict, store, "d", { max_bytes = bad })
    end
    for _, bad in ipairs { "random", "SIEVE", "", 1, true, {} } do
      fails("BAD_ARGUMENT", store.dict, store, "d",
        { max_entries = 10, evict = bad })
    end
    fails("BAD_ARGUMENT", store.dict, store, "d", { evict = "lru" })
    fails("BAD_ARGUMENT", store.dict, store, "d",
      { max_entries = 10, raw = true })
  end)

  it("change by rearm, and what is too much goes at once", function ()
    local store, clock = timed { maintenance = "off" }
    local d = store:dict "d"
    for k = 1, 200 do d[k] = ("v"):rep(20); clock.now = clock.now + 1 end
    d = store:dict("d", { max_entries = 50, evict = "fifo", rearm = true })
    assert.are.equal(50, #d)
    for k = 201, 260 do d[k] = 1 end
    assert.are.equal(50, #d)
    assert.are.equal(211, (dict.first(d)))
    d = store:dict("d", { max_entries = 80, evict = "lru", rearm = true })
    for k = 301, 400 do d[k] = ("v"):rep(20) end
    assert.are.equal(80, #d)
    d = store:dict("d", { max_bytes = 500, rearm = true })
    assert.is_true(bytes_of(d) <= 500 and #d > 10)
    d[1] = 1
    assert.is_true(bytes_of(d) <= 500)
    d = store:dict("d", { rearm = true })
    for k = 1, 1000 do d[k] = k end
    assert.is_true(#d >= 1000)
  end)
end)

describe("several processes on a capped dict", function ()
  helper.watch()

  local worker = [[
    local path, me, n, way = ...
    local lode = require "lode"
    local dict = lode.dict
    local store = lode.open(path, { durability = "os", lock_timeout = 60 })
    local d = store:dict("d", { max_entries = 100, evict = way })
    local b = store:dict("b", { max_bytes = 4000, evict = way })
    local most, bytes, lost = 0, 0, 0
    for i = 1, n do
      local key = i * 7 % 300
      store:transaction(function ()
        d[key] = me
        b[key] = ("v"):rep(i % 100)
        if d[key] ~= me then lost = lost + 1 end
        local sum = 0
        for k in dict.keys(b) do sum = sum + dict.info(b, k).size end
        bytes = math.max(bytes, sum)
      end)
      most = math.max(most, #d)
      for k in dict.keys(d, { from = i % 300, limit = 5 }) do
        local _ = d[k]
      end
    end
    store:close()
    print(most <= 116, most >= 100, bytes <= 4000, bytes > 3000, lost)
  ]]

  for _, way in ipairs(WAYS) do
    it("keep to it together, by " .. way, function ()
      local store, path = helper.open()
      local d = store:dict("d", { max_entries = 100, evict = way })
      local b = store:dict("b", { max_bytes = 4000, evict = way })
      local n, children = full and 5000 or 300, {}
      for i = 1, 2 do
        children[i] = helper.spawn(worker, path, i, n, way)
      end
      for i = 1, n do
        d["p" .. i % 50], b["p" .. i % 50] = i, i
        assert.is_true(#d <= 100 + SLACK)
      end
      for _, child in ipairs(children) do
        assert.are.equal("true\ttrue\ttrue\ttrue\t0", child:finish())
      end
      for i = 1, 400 do d[-i], b[-i] = i, i end -- each place is somebody's
      assert.is_true(#d >= 100 and #d <= 100 + SLACK)
      assert.is_true(bytes_of(b) <= 4000)
    end)
  end
end)

if full then
  print(("%d steps of caps as their oracle says"):format(14 * RUNS * STEPS))
end
