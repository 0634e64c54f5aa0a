-- Durability "behind": writes that return at once, and are committed in
-- order by a thread.

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set

local LATE = 1000000 -- ms: nothing is committed unless something asks for it

-- A store whose writes wait; options as given.
local function open (options, path)
  local given = { durability = "behind", flush_ms = LATE }
  for k, v in pairs(options or {}) do given[k] = v end
  return helper.open(given, path)
end

-- The same, and a dict of it, and a second handle that shows in its counts
-- what is committed and no more.
local function open_both (options)
  local store, path = open(options)
  local calm = open({ autoflush_on_read = false }, path)
  return store, store:dict "d", calm:dict "d", path
end

local function pending (store)
  return store:stats().pending
end

-- What another process finds, as it prints it.
local function elsewhere (path, source)
  return helper.run([[
    local lode = require "lode"
    local dict, set = lode.dict, lode.set
    local store = lode.open(...)
    local d = store:dict "d"
  ]] .. source .. " store:close()", path)
end

describe("durability behind", function ()
  helper.watch()

  it("takes its options, and refuses wrong ones", function ()
    open { flush_ops = 1, flush_bytes = 1, flush_ms = 1,
           autoflush_on_read = false }
    for option, value in pairs { flush_ops = 0, flush_bytes = "8M",
                                 flush_ms = -1, autoflush_on_read = 1 } do
      local e = helper.fails("BAD_ARGUMENT", open, { [option] = value })
      helper.says(e, option)
    end
    helper.says(helper.fails("BAD_ARGUMENT", open, { durability = "later" }),
      "behind")
  end)

  it("returns at once, and every handle sees the write", function ()
    local store, d, other = open_both()
    d.ada = { plan = "pro", logins = { 1, 2.5, "x" } }
    d.bob = "plain"
    d[{ "2026", 11 }] = true
    dict.set(d, 7, 1.5)
    assert.are.equal(4, pending(store))
    assert.are.same({ plan = "pro", logins = { 1, 2.5, "x" } }, other.ada)
    assert.are.equal("plain", other.bob)
    assert.is_true(other[{ "2026", 11 }])
    assert.are.equal(1.5, dict.get(other, 7))
    assert.is_true(dict.has(other, "bob"))
    d.bob = nil
    assert.is_nil(other.bob)
    assert.are.equal("none", dict.get(other, "bob", "none"))
    d.bob = "again"
    assert.are.equal("again", other.bob)
    assert.are.equal(0, #other)
    assert.are.equal(6, pending(store))
  end)

  it("shows other processes a batch when it is committed", function ()
    local store, d, _, path = open_both()
    d.a, d.b = 1, 2
    assert.are.equal("0\tnil", elsewhere(path, "print(#d, d.a)"))
    store:flush()
    assert.are.equal(0, pending(store))
    assert.are.equal("2\t1", elsewhere(path, "print(#d, d.a)"))
  end)

  it("commits by itself after flush_ms", function ()
    local store = open { flush_ms = 20 }
    store:dict "d".a = 1
    for _ = 1, 500 do
      if pending(store) == 0 then break end
      os.execute "sleep 0.01"
    end
    assert.are.equal(0, pending(store))
    assert.are.equal(1, store:stats().entries)
  end)

  it("keeps no more waiting than flush_ops and flush_bytes", function ()
    local store = open { flush_ops = 10 }
    local d = store:dict "d"
    for i = 1, 200 do
      d[i] = i
      assert.is_true(pending(store) <= 10)
    end
    store:close()
    store = open { flush_bytes = 2000 }
    d = store:dict "d"
    for i = 1, 100 do
      d[i] = ("x"):rep(100)
      assert.is_true(store:stats().pending_bytes <= 2000)
    end
    d.large = ("x"):rep(3000) -- no room for it at all: at once
    assert.are.equal(0, pending(store))
    assert.are.equal(101, #d)
  end)

  it("tells in stats what waits", function ()
    local store, d = open_both()
    local stats = store:stats()
    assert.are.equal(0, stats.pending)
    assert.are.equal(0, stats.pending_bytes)
    assert.is_nil(stats.last_flush)
    assert.is_nil(stats.failed)
    d.key = ("v"):rep(100)
    stats = store:stats()
    assert.are.equal(1, stats.pending)
    assert.is_true(stats.pending_bytes > 100)
    store:flush()
    stats = store:stats()
    assert.are.equal(0, stats.pending_bytes)
    assert.is_true(math.abs(stats.last_flush - os.time()) < 60)
    assert.are.equal(2, stats.handles)
  end)

  it("writes long keys and what a serializer makes", function ()
    local store, path = open()
    local upper = { name = "upper", encode = string.upper,
                    decode = string.lower }
    local d = store:dict("d", { serializer = upper })
    local long = ("k"):rep(2000)
    for i = 1, 5 do d[long .. i] = "value" .. i end
    for i = 1, 5 do assert.are.equal("value" .. i, d[long .. i]) end
    d[long .. 3] = nil
    assert.is_nil(d[long .. 3])
    store:close()
    d = open({}, path):dict("d", { serializer = upper })
    assert.are.equal(4, #d)
    assert.are.equal("value5", d[long .. 5])
  end)

  it("raises for what can't be stored, before it is taken", function ()
    local store, d = open_both()
    helper.fails("BAD_VALUE", function () d.x = print end)
    helper.fails("BAD_KEY", function () d[0 / 0] = 1 end)
    assert.are.equal(0, pending(store))
  end)
end)

describe("a write behind and what decides", function ()
  helper.watch()

  -- Each is called with a dict in which a = 1 waits to be written.
  local deciding = {
    add = function (d) return dict.add(d, "a", 2) == false end,
    replace = function (d) return dict.replace(d, "a", 2) end,
    incr = function (d) return dict.incr(d, "a") == 2 end,
    cas = function (d) return dict.cas(d, "a", 1, 2) end,
    update = function (d)
      return dict.update(d, "a", function (v) return v + 1 end) == 2
    end,
    pop = function (d) return dict.pop(d, "a") == 1 end,
    popitem = function (d) return dict.popitem(d) == "a" end,
    setdefault = function (d) return dict.setdefault(d, "a", 5) == 1 end,
    fetch = function (d)
      return dict.fetch(d, "a", function () return 5 end) == 1 and
             dict.fetch(d, "b", function () return 5 end) == 5
    end,
    put_many = function (d) return dict.put_many(d, { b = 1 }) == 1 end,
    delete_many = function (d) return dict.delete_many(d, { "a" }) == 1 end,
    delete_range = function (d)
      return dict.delete_range(d, { from = "a" }) == 1
    end,
    clear = function (d) return dict.clear(d) == 1 end,
    expire = function (d) return dict.expire(d, "a", 100) end,
    touch = function (d) return dict.touch(d, "a") end,
    info = function (d) return dict.info(d, "a").size > 0 end,
  }

  for name, call in pairs(deciding) do
    it("is committed by dict." .. name, function ()
      local store, d = open_both()
      d.a = 1
      assert.are.equal(1, pending(store))
      assert.is_true(call(d))
      assert.are.equal(0, pending(store))
    end)
  end

  it("is committed by a transaction, which has its own", function ()
    local store, d, other = open_both()
    d.a = 1
    store:transaction(function ()
      assert.are.equal(1, d.a)
      d.a = 2
      assert.are.equal(1, other.a)
    end)
    assert.are.equal(0, pending(store))
    assert.are.equal(2, other.a)
    d.a = 3
    pcall(store.transaction, store, function () d.a = 4 error "no" end)
    assert.are.equal(3, d.a)
  end)

  it("lets delete answer without a commit", function ()
    local store, d = open_both()
    d.a, d.b = 1, 2
    store:flush()
    d.c = 3
    assert.is_true(dict.delete(d, "a"))
    assert.is_false(dict.delete(d, "a"))
    assert.is_true(dict.delete(d, "c"))
    assert.is_false(dict.delete(d, "c"))
    assert.is_false(dict.delete(d, "nothing"))
    assert.are.equal(3, pending(store))
    assert.are.same({ "b" }, helper.keys(d))
  end)

  it("waits in a set as well, but for set.add", function ()
    local store = open()
    local s = store:set "s"
    s.x, s.y = true, true
    s.y = nil
    assert.is_true(s.x)
    assert.is_nil(s.y)
    assert.is_true(set.has(s, "x"))
    assert.is_true(set.remove(s, "x"))
    assert.is_false(set.remove(s, "x"))
    assert.are.equal(4, pending(store))
    s.z = true
    assert.is_false(set.add(s, "z"))
    assert.are.equal(0, pending(store))
    assert.are.same({ "z" }, helper.members(s))
  end)

  it("does not wait where Lua or a cap has a say, or in raw dicts",
    function ()
      local store = open()
      local dicts = {
        store:dict("capped", { max_entries = 10 }),
        store:dict("policy", { expire = lode.policy.age(100) }),
        store:dict("hook", { ttl = 100, on_expire = function () end }),
        store:dict("raw", { raw = true }),
      }
      for _, d in ipairs(dicts) do
        d.a = "b"
        assert.are.equal(0, pending(store))
        assert.are.equal("b", d.a)
      end
      store:dict("plain").a = "b"
      assert.are.equal(1, pending(store))
    end)

  it("keeps incr, cas, update and add atomic between processes", function ()
    local rounds = 60
    local _, path = open()
    local source = [[
      local lode = require "lode"
      local dict = lode.dict
      local path, me, rounds = ...
      local store = lode.open(path, { durability = "behind", flush_ms = 2,
                                      lock_timeout = 60 })
      local d = store:dict "d"
      local added = 0
      for i = 1, rounds do
        d[{ me, i }] = i
        dict.incr(d, "incr")
        dict.update(d, "update", function (v) return (v or 0) + 1 end)
        repeat
          local old = d.cas
        until dict.cas(d, "cas", old, (old or 0) + 1)
        if dict.add(d, { "add", i }, me) then added = added + 1 end
      end
      store:close()
      print(added)
    ]]
    local children, added = {}, 0
    for i = 1, 3 do
      children[i] = helper.spawn(source, path, i, rounds)
    end
    for _, child in ipairs(children) do added = added + child:finish() end
    local d = open({}, path):dict "d"
    for _, name in ipairs { "incr", "update", "cas" } do
      assert.are.equal(3 * rounds, d[name], name)
    end
    assert.are.equal(rounds, added)
    for i = 1, 3 do
      assert.are.equal(rounds, dict.count(d, { prefix = { i } }))
    end
  end)
end)

describe("reads of many and what is pending", function ()
  helper.watch()

  local reads = {
    ["#d"] = function (d) return #d end,
    ["dict.count"] = function (d) return dict.count(d, { from = "a" }) end,
    ["dict.pairs"] = function (d)
      return #helper.collect(false, dict.pairs(d))
    end,
    ["dict.keys"] = function (d) return #helper.keys(d) end,
    ["dict.values"] = function (d)
      return #helper.collect(false, dict.values(d))
    end,
    ["dict.page"] = function (d) return #dict.page(d, { limit = 10 }) end,
    ["dict.first"] = function (d) return dict.first(d) and 2 or 0 end,
    ["dict.last"] = function (d) return dict.last(d) and 2 or 0 end,
    ["dict.next"] = function (d) return dict.next(d, "") and 2 or 0 end,
    ["dict.totable"] = function (d)
      local t = dict.totable(d)
      return (t.a and 1 or 0) + (t.b and 1 or 0)
    end,
    ["dict.stats"] = function (d) return dict.stats(d).entries end,
    ["a snapshot"] = function (d, store)
      return store:snapshot(function () return #d end)
    end,
    ["a walk over one moment"] = function (d)
      return #helper.keys(d, { snapshot = true })
    end,
  }

  for name, read in pairs(reads) do
    it("is committed and seen by " .. name, function ()
      local store, path = open()
      local calm = open({ autoflush_on_read = false }, path)
      local d, other = store:dict "d", calm:dict "d"
      d.a, d.b = 1, 2
      assert.are.equal(0, read(other, calm))
      assert.are.equal(2, pending(store))
      assert.are.equal(2, read(d, store))
      assert.are.equal(0, pending(store))
      assert.are.equal(2, read(other, calm))
    end)
  end

  it("is committed and seen by the algebra of sets", function ()
    local store = open()
    local a, b = store:set "a", store:set "b"
    a.x, a.y, b.y, b.z = true, true, true, true
    assert.are.equal(4, pending(store))
    assert.are.same({ "x", "y", "z" }, helper.members(a + b))
    a.x, b.x = nil, true
    assert.are.equal(1, #(a * b))
    assert.are.equal(0, pending(store))
  end)

  it("is in a backup", function ()
    local store, d = open_both()
    local copy = helper.path()
    d.a = 1
    store:backup(copy)
    assert.are.equal("1", elsewhere(copy, "print(d.a)"))
  end)
end)

describe("a write behind with a deadline", function ()
  helper.watch()

  it("is dead in time, on its way or in the file", function ()
    local now = 1800000000
    local store = open { clock = function () return now end }
    local d = store:dict "d"
    local t = store:dict("t", { ttl = 10, times = true })
    dict.set(d, "a", 1, 5)
    dict.set(d, "b", 1)
    t.a = 1
    assert.are.equal(3, pending(store))
    now = now + 4.9
    assert.are.equal(1, d.a)
    now = now + 0.1
    assert.is_nil(d.a)
    assert.is_false(dict.has(d, "a"))
    assert.is_false(dict.delete(d, "a"))
    assert.are.equal(3, pending(store))
    store:flush()
    assert.is_nil(d.a)
    assert.are.equal(1, #d)
    now = now + 4.9 -- counted from the write
    assert.are.equal(1, t.a)
    assert.are.equal(1800000000, dict.info(t, "a").mtime)
    now = now + 0.1
    assert.is_nil(t.a)
  end)
end)

describe("a cache and writes behind", function ()
  helper.watch()

  it("never shows what was before a pending write", function ()
    local store, path = open()
    local d = store:dict("d", { cache = 100 })
    local other = open({}, path):dict("d", { cache = 100 })
    for i = 1, 300 do
      local key = i % 3
      d[key] = i
      assert.are.equal(i, d[key])
      assert.are.equal(i, other[key])
      if i % 10 == 0 then store:flush() end
      for _ = 1, 3 do
        assert.are.equal(i, d[key])
        assert.are.equal(i, other[key])
      end
      if i % 7 == 0 then
        other[key] = nil
        assert.is_nil(d[key])
        assert.is_nil(other[key])
      end
    end
  end)
end)

describe("a failing batch", function ()
  helper.watch()

  local BIG = ("x"):rep(8000)

  -- A store too small for what waits, and how many writes it took.
  local function filled (path)
    local store
    store, path = open({ max_size = 2 ^ 20 }, path)
    store:dict "other"
    local d, n = store:dict "d", 0
    while n < 500 and pcall(function () d[n + 1] = BIG end) do
      n = n + 1
      if n % 20 == 0 and not pcall(store.flush, store) then break end
    end
    assert.is_true(n < 500)
    return store, d, n, path
  end

  it("is told to flush and to writes, and stays visible", function ()
    local store, d, n = filled()
    assert.are.equal("FULL", store:stats().failed)
    local e = helper.fails("FULL", function () d.more = 1 end)
    helper.says(e, tostring(pending(store)), "not on disk")
    assert.is_nil(d.more)
    helper.says(helper.fails("FULL", store.flush, store), "not on disk")
    helper.fails("FULL", dict.incr, d, "n")
    for i = 1, n do assert.are.equal(BIG, d[i]) end
    assert.is_true(#d < n) -- what is on disk: reads go on
    assert.is_true(pending(store) > 0)
  end)

  it("goes to disk when there is room again", function ()
    local store, d, n, path = filled()
    for i = 1, 30 do assert.is_true(dict.delete(d, i)) end
    assert.is_true(dict.delete(d, n))
    assert.is_nil(d[n])
    d.more = 1
    store:flush()
    assert.is_nil(store:stats().failed)
    assert.are.equal(n - 30, #d)
    store:close()
    d = open({ max_size = 2 ^ 20 }, path):dict "d"
    assert.are.equal(n - 30, #d)
    assert.are.equal(BIG, d[n - 1])
    assert.are.equal(1, d.more)
  end)

  it("goes to disk after clear and drop", function ()
    local store, d, _, path = filled()
    local other = store:dict "other"
    helper.fails("FULL", function () other.a = 1 end)
    dict.clear(d)
    other.a = 1
    assert.are.equal(1, #other)
    store:close()
    store = filled(path)
    other = store:dict "other"
    assert.is_true(store:drop "d")
    other.b = 2
    store:flush()
    assert.are.equal(2, #other)
  end)

  it("is told to close, which says what is lost", function ()
    local store, _, _, path = filled()
    local lost, entries = pending(store), store:stats().entries
    local e = helper.fails("FULL", store.close, store)
    helper.says(e, tostring(lost), "lost")
    store:close() -- it is closed
    helper.fails("CLOSED", store.flush, store)
    store = open({ max_size = 2 ^ 20 }, path)
    assert.are.equal(entries, store:stats().entries)
  end)

  it("doesn't keep the others from disk when a collection is gone",
    function ()
      local store, d, _, path = open_both()
      local other = store:dict "other"
      d.a, other.a, d.b, other.b = 1, 2, 3, 4
      elsewhere(path, [[store:drop "d"]])
      local e = helper.fails("NOT_FOUND", store.flush, store)
      helper.says(e, "2 writes", "dropped")
      store:flush()
      assert.are.equal(2, #other)
      helper.fails("NOT_FOUND", function () d.c = 1 end)
    end)
end)

describe("the end of a store with writes behind", function ()
  helper.watch()

  it("brings them to disk by close", function ()
    local store, d, _, path = open_both()
    for i = 1, 100 do d[i] = i end
    store:close()
    assert.are.equal("100", elsewhere(path, "print(#d)"))
  end)

  it("brings them to disk by the collector, and by the end of a script",
    function ()
      local path = helper.path()
      do
        local store = lode.open(path, { durability = "behind",
                                        flush_ms = LATE })
        store:dict "d".a = 1
      end
      for _ = 1, 3 do collectgarbage() end
      helper.run([[
        local store = require "lode".open(..., { durability = "behind",
                                                 flush_ms = 1000000 })
        store:dict "d".b = 2
      ]], path)
      assert.are.equal("1\t2", elsewhere(path, "print(d.a, d.b)"))
    end)

  it("loses at most the last flush_ops to kill -9, and no order",
    function ()
      local flush_ops = 40
      for round = 1, 5 do
        local path = helper.path()
        local child = helper.spawn([[
          local lode = require "lode"
          local path, flush_ops = ...
          local store = lode.open(path, { durability = "behind",
                                          flush_ops = flush_ops })
          local d = store:dict "d"
          for i = 1, math.huge do
            d[i] = i
            io.stdout:write(i, "\n")
          end
        ]], path, flush_ops)
        local last
        for _ = 1, round * 300 do last = tonumber(child:line()) end
        os.execute("kill -9 " .. child.pid)
        for line in child.pipe:lines() do last = tonumber(line) or last end
        local d = open({}, path):dict "d"
        local n = #d
        assert.is_true(n >= last - flush_ops, ("%d of %d"):format(n, last))
        for i = 1, n do assert.are.equal(i, d[i]) end
      end
    end)
end)

describe("store:flush", function ()
  helper.watch()

  it("works with every durability", function ()
    for _, durability in ipairs { "commit", "os", "behind" } do
      local store, path = helper.open { durability = durability }
      store:dict "d".a = durability
      store:flush()
      store:flush()
      assert.are.equal(durability, elsewhere(path, "print(d.a)"))
    end
  end)
end)
