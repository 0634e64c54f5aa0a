-- Entries and members past their time: absent for all, at once.

local clocks = require "support.clock"
local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local START, timed = clocks.START, clocks.open
local reopen, undone = clocks.reopen, clocks.undone

local function same () return "same" end

-- Ways to make keys of 1 to n, in the order of the store, and the options
-- that they need.
local shapes = {
  { name = "short keys", key = function (i) return ("k%03d"):format(i) end,
    prefix = "k" },
  { name = "numbers", key = function (i) return i end },
  { name = "tuples", key = function (i) return { "t", i } end,
    prefix = { "t" } },
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

  it("is as the target has it, whose options save leaves alone", function ()
    local store = timed()
    local brief = store:set("brief", { ttl = 60 })
    local plain = store:set "plain"
    local idle = store:set("idle", { expire = lode.policy.idle(10) })
    brief.x, plain.y, idle.z = true, true, true
    assert.is_nil(set.ttl(set.save(brief + idle, store, "plain"), "x"))
    assert.is_nil(set.ttl(plain, "z"))
    assert.are.equal(60, set.ttl(set.save(idle, store, "brief"), "z"))
    assert.is_nil(set.ttl(set.save(brief, store, "new"), "z"))
    assert.is_nil(set.ttl(set.save(idle, store, "newer"), "z"))
    store:set "newer"
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
    local go = helper.path "go"
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
  end)
end)
