-- store:transaction and store:snapshot: API.md, "store".

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local fails, says, open = helper.fails, helper.says, helper.open

local function fresh ()
  local store, path = open()
  return store, store:dict "d", path
end

-- That nothing is locked: another handle writes, and this one.
local function assert_free (store)
  local other = open({ lock_timeout = 1 }, store:path())
  dict.incr(other:dict "free", "n")
  local version = store:version()
  dict.incr(store:dict "free", "n")
  assert.is_true(store:version() > version)
end

describe("store:transaction", function ()
  helper.watch()

  it("commits all that fn did when it returns", function ()
    local store, d, path = fresh()
    local other = open({}, path)
    local s, version = store:set "s", store:version()
    store:transaction(function ()
      d.a, d.b = 1, 2
      s.x = true
      assert.are.equal(1, d.a)
      assert.are.equal(2, #d)
      assert.is_nil(other:dict("d").a)
      assert.are.equal(0, #other:set "s")
    end)
    assert.are.equal(1, other:dict("d").a)
    assert.is_true(other:set("s").x)
    assert.are.equal(version + 1, store:version())
  end)

  it("passes arguments in and results out", function ()
    local store = fresh()
    local function count (...) return select("#", ...), ... end
    assert.are.same({ 3, 1, nil, 3 },
      { store:transaction(count, 1, nil, 3) })
    assert.are.equal(4, select("#", store:transaction(function ()
      return nil, 1, nil, nil
    end)))
    assert.are.equal(0, select("#", store:transaction(function () end)))
  end)

  it("rolls all back at an error, which passes unchanged", function ()
    local store, d = fresh()
    d.a = 1
    for _, mine in ipairs { {}, "text", false, 12,
      setmetatable({}, { __tostring = error }) } do
      local ok, e = pcall(store.transaction, store, function ()
        d.a, d.b = 2, 2
        store:dict("new").x = 1
        error(mine, 0)
      end)
      assert.is_false(ok)
      assert.are.equal(mine, e)
      assert.are.same({ a = 1 }, dict.totable(d))
    end
    local ok, e = pcall(store.transaction, store, function ()
      d.a = 2
      error(nil)
    end)
    assert.is_false(ok)
    assert.is_nil(e)
    assert.are.equal(1, d.a)
    assert_free(store)
  end)

  it("rolls lode's own errors back as well, unless caught", function ()
    local store, d = fresh()
    fails("BAD_VALUE", store.transaction, store, function ()
      d.a = 1
      d.b = print
    end)
    assert.are.equal(0, #d)
    store:transaction(function ()
      d.a = 1
      fails("BAD_VALUE", function () d.b = print end)
      fails("BAD_VALUE", dict.put_many, d, { c = 1, e = print })
      d.c = 3
    end)
    assert.are.same({ a = 1, c = 3 }, dict.totable(d))
  end)

  it("rolls everything back: writes of every kind, drop, rename, new"
    .. " collections and clear", function ()
    local store, d = fresh()
    local long = ("k"):rep(1000)
    local e, s = store:dict "e", store:set "s"
    for i = 1, 500 do d[i], e[i] = i, i end
    d[long .. 1], d[long .. 2] = 1, 2
    set.add_many(s, { 1, 2, 3 })
    local before = { dict.totable(d), dict.totable(e), set.totable(s) }
    local names = helper.collect(true, store:collections())
    local version = store:version()
    pcall(store.transaction, store, function ()
      d[1], d.new, d[long .. 1] = nil, 1, nil
      d[long .. 3] = 3
      dict.delete_range(d, { from = 100, to = 200 })
      dict.put_many(d, { x = 1, y = 2 })
      store:drop "e"
      store:rename("s", "t")
      set.add(store:set "t", 4)
      store:dict("fresh").a = 1
      store:dict("e").a = "another e"
      set.save(store:set "t" + store:set "t", store, "u")
      dict.copy(d, "copy")
      dict.clear(d)
      error "back"
    end)
    assert.are.same(names, helper.collect(true, store:collections()))
    assert.are.same(before,
      { dict.totable(d), dict.totable(e), set.totable(s) })
    assert.are.equal("s", set.name(s))
    assert.are.equal(version, store:version())
    e.x = 1
    assert.are.equal(501, #e)
    assert_free(store)
  end)

  it("makes a collection that was rolled back raise NOT_FOUND",
    function ()
      local store = fresh()
      local made
      pcall(store.transaction, store, function ()
        made = store:dict "made"
        made.a = 1
        assert.are.equal(1, made.a)
        error "back"
      end)
      fails("NOT_FOUND", function () return made.a end)
      fails("NOT_FOUND", function () made.a = 1 end)
      assert.are.equal(0, #store:dict "made")
    end)

  it("commits drop, rename and new collections too", function ()
    local store, d = fresh()
    d.a = 1
    local made
    store:transaction(function ()
      store:rename("d", "e")
      made = store:dict "made"
      made.x = 1
      store:dict "gone"
      store:drop "gone"
    end)
    assert.are.same({ { "e", "dict" }, { "made", "dict" } },
      helper.collect(true, store:collections()))
    assert.are.equal(1, made.x)
    assert.are.equal("e", dict.name(d))
  end)

  it("joins all handles of one store's collections, and no other's",
    function ()
      local store, d, path = fresh()
      local same = store:dict "d"
      local other = open({ lock_timeout = 1 }, path):dict "d"
      store:transaction(function ()
        d.a = 1
        assert.are.equal(1, same.a)
        same.a = 2
        assert.are.equal(2, d.a)
        assert.is_nil(other.a)
        fails("REENTRY", function () other.a = 3 end)
      end)
      assert.are.equal(2, other.a)
    end)

  it("may write another store, which commits by itself", function ()
    local store, d = fresh()
    local _, e = fresh()
    pcall(store.transaction, store, function ()
      d.a, e.a = 1, 1
      error "back"
    end)
    assert.is_nil(d.a)
    assert.are.equal(1, e.a)
  end)

  it("of two stores may nest", function ()
    local one, d = fresh()
    local two, e = fresh()
    one:transaction(function ()
      d.a = 1
      pcall(two.transaction, two, function ()
        e.a, d.b = 1, 2
        error "back"
      end)
      two:transaction(function () e.c = 3 end)
    end)
    assert.are.same({ a = 1, b = 2 }, dict.totable(d))
    assert.are.same({ c = 3 }, dict.totable(e))
  end)

  it("works for the functions that read and decide", function ()
    local store, d = fresh()
    d.n = 1
    store:transaction(function ()
      assert.are.equal(2, dict.incr(d, "n"))
      assert.are.equal(3, dict.update(d, "n", function (n)
        return n + 1
      end))
      assert.is_true(dict.cas(d, "n", 3, 4))
      assert.is_false(dict.add(d, "n", 9))
      assert.is_true(dict.replace(d, "n", 5))
      assert.are.equal(5, dict.setdefault(d, "n", 9))
      assert.are.equal(5, dict.pop(d, "n"))
      assert.is_nil((dict.popitem(d)))
      assert.are.equal(1, dict.setdefault(d, "n", 1))
      fails("BAD_VALUE", dict.update, d, "n", function ()
        return print
      end)
      pcall(dict.update, d, "n", error)
      d.after = true
    end)
    assert.are.same({ n = 1, after = true }, dict.totable(d))
  end)

  it("raises at a yield, rolls back and leaves no lock", function ()
    local store, d = fresh()
    d.a = 1
    local after
    local co = coroutine.wrap(function ()
      local ok = pcall(store.transaction, store, function ()
        d.a = 2
        coroutine.yield "out"
        after = true
      end)
      return ok
    end)
    assert.is_false(co())
    assert.is_nil(after)
    assert.are.equal(1, d.a)
    assert_free(store)
  end)

  it("may run coroutines of its own", function ()
    local store, d = fresh()
    store:transaction(function ()
      local co = coroutine.wrap(function ()
        for i = 1, 3 do
          d[i] = i
          coroutine.yield(i)
        end
      end)
      co()
      co()
    end)
    assert.are.same({ 1, 2 }, dict.totable(d))
  end)

  it("runs in a coroutine as anywhere", function ()
    local store, d = fresh()
    local co = coroutine.wrap(function ()
      store:transaction(function () d.a = 1 end)
      coroutine.yield(d.a)
      pcall(store.transaction, store, function () d.a = 2 error "x" end)
      return d.a
    end)
    assert.are.equal(1, co())
    assert.are.equal(1, co())
  end)

  it("wants a function", function ()
    local store = fresh()
    fails("BAD_ARGUMENT", store.transaction, store)
    fails("BAD_ARGUMENT", store.transaction, store, "x")
    assert_free(store)
  end)

  it("holds thousands of writes", function ()
    local store, d = fresh()
    store:transaction(function ()
      for i = 1, 20000 do d[i * 7919 % 20011] = i end
      assert.are.equal(20000, #d)
    end)
    assert.are.equal(20000, #d)
  end)

  it("that wrote nothing commits nothing", function ()
    local store, d = fresh()
    d.a = 1
    local version = store:version()
    store:transaction(function () return d.a end)
    assert.are.equal(version, store:version())
  end)
end)

describe("a nested transaction", function ()
  helper.watch()

  it("is a savepoint: its error rolls back only it", function ()
    local store, d = fresh()
    local mine = {}
    store:transaction(function ()
      d.a = 1
      local ok, e = pcall(store.transaction, store, function ()
        d.a, d.b = 2, 2
        error(mine)
      end)
      assert.is_false(ok)
      assert.are.equal(mine, e)
      assert.are.same({ a = 1 }, dict.totable(d))
      assert.are.equal("in", store:transaction(function ()
        d.c = 3
        return "in"
      end))
    end)
    assert.are.same({ a = 1, c = 3 }, dict.totable(d))
  end)

  it("is undone with the one around it", function ()
    local store, d = fresh()
    pcall(store.transaction, store, function ()
      store:transaction(function () d.a = 1 end)
      assert.are.equal(1, d.a)
      error "back"
    end)
    assert.are.equal(0, #d)
  end)

  it("goes to any depth", function ()
    local store, d = fresh()
    -- a level that raises undoes itself and all inside
    local function keep (depth)
      store:transaction(function ()
        d[depth] = "in"
        if depth < 20 then
          pcall(keep, depth + 1)
          if depth % 5 == 0 and depth > 5 then error "back" end
        end
      end)
    end
    keep(1)
    assert.are.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9 }, helper.keys(d))
    assert_free(store)
  end)

  it("rolls back drop, rename and new collections", function ()
    local store, d = fresh()
    d.a = 1
    store:transaction(function ()
      pcall(store.transaction, store, function ()
        store:drop "d"
        store:dict("x").y = 1
        error "back"
      end)
      assert.are.equal(1, d.a)
      pcall(store.transaction, store, function ()
        store:rename("d", "e")
        error "back"
      end)
      assert.are.equal("d", dict.name(d))
      d.b = 2
    end)
    assert.are.same({ { "d", "dict" } },
      helper.collect(true, store:collections()))
    assert.are.same({ a = 1, b = 2 }, dict.totable(d))
  end)

  it("that a yield leaves is rolled back; the outer goes on", function ()
    local store, d = fresh()
    local co = coroutine.wrap(function ()
      return store:transaction(function ()
        d.a = 1
        local ok = pcall(store.transaction, store, function ()
          d.b = 2
          coroutine.yield()
        end)
        d.c = 3
        return ok
      end)
    end)
    assert.is_false(co())
    assert.are.same({ a = 1, c = 3 }, dict.totable(d))
    assert_free(store)
  end)
end)

describe("store:snapshot", function ()
  helper.watch()

  it("gives fn's results; all its reads see one moment", function ()
    local store, d, path = fresh()
    local s = store:set "s"
    local other = open({}, path)
    d.a, s.x = 1, true
    local function look (...)
      local function check ()
        assert.are.equal(1, d.a)
        assert.is_nil(d.b)
        assert.are.same({ a = 1 }, dict.totable(d))
        assert.is_true(s.x)
        assert.are.equal(1, #s)
        assert.are.equal(1, #(s + s))
        assert.are.equal(1, dict.count(d))
        assert.are.equal("a", (dict.last(d)))
      end
      check()
      other:dict("d").a, other:dict("d").b = 2, 3
      other:set("s").x, other:set("s").y = nil, true
      check()
      return select("#", ...), ...
    end
    assert.are.same({ 3, "p", nil, "q" },
      { store:snapshot(look, "p", nil, "q") })
    assert.are.same({ a = 2, b = 3 }, dict.totable(d))
    assert.are.same({ "y" }, helper.members(s))
  end)

  it("raises READONLY for writes inside", function ()
    local store, d = fresh()
    local s = store:set "s"
    d.a = 1
    for _, write in ipairs {
      function () d.a = 2 end,
      function () d.a = nil end,
      function () dict.incr(d, "a") end,
      function () dict.update(d, "a", function () return 2 end) end,
      function () dict.put_many(d, { b = 1 }) end,
      function () dict.clear(d) end,
      function () dict.pop(d, "a") end,
      function () s.x = true end,
      function () set.add(s, "x") end,
      function () set.save(s, store, "t") end,
      function () store:drop "d" end,
      function () store:rename("d", "e") end,
      function () store:dict "new" end,
      function () store:transaction(function () d.a = 2 end) end,
    } do
      local e = fails("READONLY", store.snapshot, store, write)
      says(e, "snapshot")
    end
    assert.are.same({ a = 1 }, dict.totable(d))
    d.a = 2
    assert.are.equal(2, d.a)
  end)

  it("passes an error unchanged and pins nothing after", function ()
    local store, d = fresh()
    d.a = 1
    assert.are.equal(1, d.a)
    local before = store:stats().readers
    local mine = {}
    local ok, e = pcall(store.snapshot, store, function ()
      error(mine)
    end)
    assert.is_false(ok)
    assert.are.equal(mine, e)
    assert.are.equal(before, store:stats().readers)
    d.a = 2
    assert.are.equal(2, d.a)
  end)

  it("nests: the inner sees the outer's moment", function ()
    local store, d, path = fresh()
    local other = open({}, path):dict "d"
    d.a = 1
    store:snapshot(function ()
      assert.are.equal(1, d.a)
      other.a = 2
      store:snapshot(function () assert.are.equal(1, d.a) end)
      assert.are.equal(1, d.a)
    end)
    assert.are.equal(2, d.a)
  end)

  it("walks at one moment while others write", function ()
    local store, d, path = fresh()
    local other = open({}, path):dict "d"
    for i = 1, 3000 do d[i] = 0 end
    store:snapshot(function ()
      local n = 0
      for k, v in dict.pairs(d) do
        n = n + 1
        assert.are.equal(n, k)
        assert.are.equal(0, v)
        if k == 1 then dict.clear(other) end
      end
      assert.are.equal(3000, n)
    end)
    assert.are.equal(0, #d)
  end)

  it("inside a transaction sees the transaction's own writes",
    function ()
      local store, d = fresh()
      store:transaction(function ()
        d.a = 1
        store:snapshot(function ()
          assert.are.equal(1, d.a)
          fails("READONLY", function () d.a = 2 end)
        end)
        d.b = 2
      end)
      assert.are.same({ a = 1, b = 2 }, dict.totable(d))
    end)

  it("raises at a yield and pins nothing after", function ()
    local store, d = fresh()
    d.a = 1
    local co = coroutine.wrap(function ()
      return pcall(store.snapshot, store, function ()
        coroutine.yield()
      end)
    end)
    assert.is_false((co()))
    d.a = 2
    assert.are.equal(2, d.a)
  end)

  it("lets no moment be left behind by a walk", function ()
    local store, d = fresh()
    for i = 1, 3000 do d[i] = i end
    local walk
    store:snapshot(function ()
      walk = dict.keys(d)
      assert.are.equal(1, walk())
    end)
    d[1] = nil
    local n = 1
    for k in walk do
      n = n + 1
      assert.are.equal(n, k)
    end
    assert.are.equal(3000, n)
  end)

  it("wants a function", function ()
    local store = fresh()
    fails("BAD_ARGUMENT", store.snapshot, store)
    fails("BAD_ARGUMENT", store.snapshot, store, 1)
  end)
end)

describe("store:flush", function ()
  helper.watch()

  it("returns when all is on disk", function ()
    local store, d = fresh()
    d.a = 1
    store:flush()
    store:transaction(function () d.b = 2 end)
    store:flush()
    assert.are.equal(2, #d)
  end)
end)
