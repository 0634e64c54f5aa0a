-- map_size, which grows by replay, and max_size, the quota: API.md,
-- "lode.open".

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local fails, says, open = helper.fails, helper.says, helper.open

local MIB = 2 ^ 20

local function text (i, size)
  local part = ("%d,"):format(i)
  return part:rep(math.ceil(size / #part)):sub(1, size)
end

describe("the option map_size", function ()
  helper.watch()

  it("unless given is so large that growth never comes", function ()
    local store = open()
    local before = store:stats().map_size
    assert.is_true(before >= 2 ^ 30)
    local d = store:dict "d"
    for i = 1, 40 do d[i] = text(i, MIB) end
    assert.are.equal(before, store:stats().map_size)
  end)

  it("is halved until the system grants it", function ()
    if os.getenv "ASAN_OPTIONS" then
      pending "AddressSanitizer takes more address space than the limit"
    end
    local path = helper.path()
    local limited = "ulimit -v 2000000; '" .. helper.interpreter .. "' "
    local _, runs = helper.shell(limited .. "-e ''")
    -- a sanitizer's own maps are larger than that
    if not runs then return pending "nothing runs under ulimit -v" end
    local script = helper.path "script"
    local file = assert(io.open(script, "w"))
    file:write(("package.path, package.cpath = %q, %q\n"):format(
      package.path, package.cpath), [[
      local store = require("lode").open((...), { durability = "os" })
      local d = store:dict "d"
      for i = 1, 100 do d[i] = ("x"):rep(1000) end
      print(#d, store:stats().map_size < 2 ^ 32)
    ]])
    file:close()
    local output, ok = helper.shell(("%s '%s' '%s'"):format(limited,
      script, path))
    assert.is_true(ok, output)
    assert.are.equal("100\ttrue\n", output)
    assert.are.equal(100, #open({}, path):dict "d")
  end)

  it("when small grows by itself, single writes", function ()
    local store = open { map_size = MIB }
    local d = store:dict "d"
    assert.is_true(store:stats().map_size < 2 * MIB)
    for i = 1, 300 do d[i] = text(i, 30000) end
    assert.are.equal(300, #d)
    for i = 1, 300 do assert.are.equal(text(i, 30000), d[i]) end
    assert.is_true(store:stats().map_size >= 64 * MIB)
  end)

  it("when small grows by itself, one large value and put_many",
    function ()
      local store = open { map_size = MIB }
      local d = store:dict "d"
      d.large = text(1, 20 * MIB)
      assert.are.equal(20 * MIB, #d.large)
      local i = 0
      assert.are.equal(3000, dict.put_many(d, function ()
        i = i + 1
        if i <= 3000 then return i, text(i, 30000) end
      end))
      assert.are.equal(text(2999, 30000), d[2999])
      local s = store:set "s"
      i = 0
      assert.are.equal(20000, set.add_many(s, function ()
        i = i + 1
        if i <= 20000 then return text(i, 400) .. i end
      end))
      assert.are.equal(20000, #s)
    end)

  it("grows inside a transaction, whose function runs once", function ()
    local store = open { map_size = MIB }
    local d, s = store:dict "d", store:set "s"
    d.old, d.gone, d.n = "old", "gone", 0
    store:dict("dropped").x = 1
    store:dict("renamed").x = 1
    local runs, inner = 0, 0
    store:transaction(function ()
      runs = runs + 1
      d.first, d.gone = 1, nil
      store:drop "dropped"
      store:rename("renamed", "other")
      local made = store:dict "made"
      for i = 1, 60 do
        d[i] = text(i, 20000)
        made[i] = i
        dict.incr(d, "n")
        set.add(s, i)
      end
      -- a savepoint that is kept, with one in it that is undone
      store:transaction(function ()
        inner = inner + 1
        for i = 61, 120 do d[i] = text(i, 20000) end
        pcall(store.transaction, store, function ()
          for i = 121, 2000 do d[i] = text(i, 50000) end
          d.first, d.undone = "wrong", true
          store:drop "made"
          store:dict "never"
          set.clear(s)
          error "back"
        end)
        assert.are.equal(1, d.first)
        set.remove(s, 1)
        d.inner = true
      end)
      -- and one that is undone with what grew in it
      pcall(store.transaction, store, function ()
        for i = 1, 1500 do d[-i] = text(i, 50000) end
        store:transaction(function () d.deep = true end)
        error "back"
      end)
      for i = 121, 400 do d[i] = text(i, 300000) end
      d.last = true
    end)
    assert.are.equal(1, runs)
    assert.are.equal(1, inner)
    assert.are.equal("old", d.old)
    assert.are.equal(1, d.first)
    assert.are.equal(60, d.n)
    assert.is_true(d.inner)
    assert.is_true(d.last)
    assert.is_nil(d.gone)
    assert.is_nil(d.undone)
    assert.is_nil(d.deep)
    assert.is_nil(d[-1])
    assert.are.equal(400 + 5, #d)
    for i = 1, 400 do
      local size = i > 120 and 300000 or 20000
      assert.are.equal(text(i, size), d[i])
    end
    assert.are.equal(59, #s)
    assert.are.equal(60, #store:dict "made")
    local names = {}
    for name in store:collections() do names[#names + 1] = name end
    assert.are.same({ "d", "made", "other", "s" }, names)
  end)

  it("grows for a delete, and takes writes after it", function ()
    -- some number of entries leaves the map so full that a delete, which
    -- copies pages, is what finds no room
    for n = 230, 250 do
      local store, path = open { map_size = MIB }
      local d = store:dict "d"
      store:transaction(function ()
        for i = 1, n do d[i] = text(i, 3900) end
      end)
      store:close()
      store = open({ map_size = MIB }, path)
      d = store:dict "d"
      store:transaction(function ()
        for i = 1, n do d[i] = nil end
        for i = 1, n do d[-i] = i end
      end)
      assert.are.equal(n, #d)
      d.more = 1
      store:close()
    end
  end)

  it("grows inside a transaction that then rolls back", function ()
    local store = open { map_size = MIB }
    local d = store:dict "d"
    d.a = 1
    pcall(store.transaction, store, function ()
      for i = 1, 400 do d[i] = text(i, 50000) end
      d.a = 2
      error "back"
    end)
    assert.are.same({ a = 1 }, dict.totable(d))
    d.b = 2
    assert.are.equal(2, #d)
  end)

  it("grows under the open walks of other handles", function ()
    local store, path = open { map_size = MIB }
    local other = open({ map_size = MIB }, path)
    local d, e = store:dict "d", other:dict "d"
    for i = 1, 2000 do d[i] = i end
    local walk = dict.keys(e)
    assert.are.equal(1, walk())
    for i = 1, 100 do d[-i] = text(i, 300000) end
    local n = 1
    for k in walk do
      n = n + 1
      assert.are.equal(n, k)
    end
    assert.are.equal(2000, n)
    assert.are.equal(2100, #e)
  end)

  it("never grows under a reader's feet: BUSY while one moment is pinned",
    function ()
      local store, path = open { map_size = MIB, lock_timeout = 0.1 }
      local d = store:dict "d"
      for i = 1, 2000 do d[i] = i end
      local other = open({ map_size = MIB, lock_timeout = 0.1 }, path)
      local e = other:dict "d"
      local function fill ()
        for i = 1, 100 do e[-i] = text(i, 300000) end
      end
      local pinned = dict.pairs(d, { snapshot = true })
      assert.are.equal(1, (pinned()))
      says(fails("BUSY", fill), "snapshot")
      store:snapshot(function ()
        assert.are.equal(1, d[1])
        local written = dict.count(d, { to = 0 })
        fails("BUSY", fill)
        assert.are.equal(written, dict.count(d, { to = 0 }))
      end)
      local n = 1
      for k, v in pinned do
        n = n + 1
        assert.are.equal(n, k)
        assert.are.equal(n, v)
      end
      assert.are.equal(2000, n)
      fill()
      assert.are.equal(2100, #d)
    end)
end)

describe("the option max_size", function ()
  helper.watch()

  -- Fills a dict until FULL; how many entries went in.
  local function fill (d, size)
    local n = 0
    while true do
      local ok, e = pcall(function () d[n + 1] = text(n + 1, size) end)
      if not ok then
        assert.are.equal("FULL", e.code, tostring(e))
        return n, e
      end
      n = n + 1
      assert(n < 100000, "never full")
    end
  end

  it("makes a write past it raise FULL, and keeps nothing of it",
    function ()
      local quota = 4 * MIB
      local store = open { max_size = quota }
      local d = store:dict "d"
      local n, e = fill(d, 1000)
      says(e, "max_size")
      assert.is_true(n > 1000, n .. " entries")
      assert.are.equal(n, #d)
      assert.is_nil(d[n + 1])
      local stats = store:stats()
      assert.are.equal(quota, stats.max_size)
      assert.is_true(stats.file_size <= quota + 65536, stats.file_size)
      for i = 1, n do assert.are.equal(text(i, 1000), d[i]) end
      fails("FULL", dict.put_many, d, { a = text(1, 9000) })
      fails("FULL", function () d.large = text(1, MIB) end)
      assert.is_nil(d.a)
      assert.is_nil(d.large)
      assert.are.equal(n, #d)
    end)

  it("lets deletes work at the limit, and writes after them", function ()
    local store = open { max_size = 4 * MIB }
    local d = store:dict "d"
    local n = fill(d, 2000)
    for i = 1, 200 do d[i] = nil end
    assert.are.equal(n - 200, #d)
    for i = 1, 50 do d[-i] = text(i, 2000) end
    assert.are.equal(n - 150, #d)
    fill(d, 2000)
    assert.are.equal(300, dict.delete_range(d, { from = n - 299, to = n }))
    d.again = text(1, 2000)
    assert.are.equal(text(1, 2000), d.again)
    local left = #d
    fill(d, 100)
    assert.is_true(dict.clear(d) >= left)
    assert.are.equal(0, #d)
    assert.is_true(fill(d, 2000) >= n * 0.8)
  end)

  it("lets drop work at the limit, and pop and set.remove", function ()
    local store = open { max_size = 4 * MIB }
    local d, s = store:dict "d", store:set "s"
    for i = 1, 1000 do s[i] = true end
    local n = fill(d, 2000)
    for i = 1, 500 do assert.is_true(set.remove(s, i)) end
    assert.are.equal(text(n, 2000), dict.pop(d, n))
    assert.is_true(store:drop "d")
    assert.are.equal(500, #s)
    assert.is_true(fill(store:dict "e", 2000) >= n * 0.8)
  end)

  it("rolls back a whole transaction that runs into it", function ()
    local store = open { max_size = 4 * MIB }
    local d = store:dict "d"
    d.a = 1
    local e = fails("FULL", store.transaction, store, function ()
      for i = 1, 1e6 do d[i] = text(i, 5000) end
    end)
    says(e, "max_size")
    assert.are.same({ a = 1 }, dict.totable(d))
    local i = 0
    fails("FULL", dict.put_many, d, function ()
      i = i + 1
      if i < 5000 then return i, text(i, 5000) end
    end)
    assert.are.same({ a = 1 }, dict.totable(d))
    assert.is_true(fill(d, 2000) > 100)
  end)

  it("lets a transaction that met it only be rolled back", function ()
    local store = open { max_size = 4 * MIB }
    local d = store:dict "d"
    d.a = 1
    fails("FULL", store.transaction, store, function ()
      d.a = 2
      fails("FULL", function () d.large = text(1, 8 * MIB) end)
      -- caught, and all the same nothing of it may be kept by half
      fails("FULL", function () d.b = 2 end)
    end)
    assert.are.same({ a = 1 }, dict.totable(d))
    d.b = 2
    assert.are.equal(2, #d)
  end)

  it("rolls back a savepoint that ran into it; the rest is kept",
    function ()
      local store = open { max_size = 8 * MIB }
      local d = store:dict "d"
      store:transaction(function ()
        d.a = 1
        fails("FULL", store.transaction, store, function ()
          for i = 1, 1e6 do d[i] = text(i, 5000) end
        end)
        assert.are.same({ a = 1 }, dict.totable(d))
        d.b = 2
      end)
      assert.are.same({ a = 1, b = 2 }, dict.totable(d))
    end)

  it("holds for every process and is given at each open", function ()
    local path = helper.path()
    local store = open({ max_size = 4 * MIB }, path)
    local n = fill(store:dict "d", 2000)
    assert.are.equal("FULL", helper.run([[
      local store = require("lode").open(..., { max_size = 4 * 2 ^ 20 })
      local ok, e = pcall(function ()
        for i = 1, 100 do store:dict("d")[-i] = ("x"):rep(9000) end
      end)
      print(e.code)
    ]], path))
    store:close()
    local larger = open({ max_size = 8 * MIB }, path):dict "d"
    for i = 1, 200 do larger[n + i] = text(i, 2000) end
    assert.is_true(#larger >= n + 200)
  end)
end)
