-- Walks: order, changes meanwhile, what they pin: API.md, "Dicts".

local helper = require "support.helper"
local lode = require "lode"

local dict = lode.dict
local fails, open = helper.fails, helper.open

local function filled (n, options)
  local store, path = open(options)
  local d = store:dict "d"
  local i = 0
  dict.put_many(d, function ()
    i = i + 1
    if i <= n then return i, i end
  end)
  assert.are.equal(n, #d)
  return d, store, path
end

describe("a walk", function ()
  helper.watch()

  it("gives every key once and in order, over many pages", function ()
    local d = filled(20000)
    local n = 0
    for k, v in dict.pairs(d) do
      n = n + 1
      assert.are.equal(n, k)
      assert.are.equal(n, v)
    end
    assert.are.equal(20000, n)
    for k in dict.keys(d, { reverse = true }) do
      assert.are.equal(n, k)
      n = n - 1
    end
    assert.are.equal(0, n)
  end)

  it("gives entries larger than any page", function ()
    local store = open()
    local d = store:dict "d"
    for i = 1, 12 do d[i] = (("%d"):format(i % 10)):rep(500000) end
    local n = 0
    for k, v in dict.pairs(d) do
      n = n + 1
      assert.are.equal(n, k)
      assert.are.equal(500000, #v)
    end
    assert.are.equal(12, n)
  end)

  it("gives nil at its end, again and again", function ()
    local d = filled(2)
    local walk = dict.pairs(d)
    walk()
    walk()
    for _ = 1, 3 do assert.is_nil((walk())) end
    d[3] = 3
    assert.is_nil((walk()))
  end)

  it("may delete each entry as it comes", function ()
    local d = filled(5000)
    local n = 0
    for k in dict.pairs(d) do
      d[k] = nil
      n = n + 1
    end
    assert.are.equal(5000, n)
    assert.are.equal(0, #d)
  end)

  it("may write each entry as it comes", function ()
    local d = filled(5000)
    for k, v in dict.pairs(d) do d[k] = v * 2 end
    assert.are.equal(5000, #d)
    for k, v in dict.pairs(d) do assert.are.equal(2 * k, v) end
  end)

  it("gives no key twice, whatever is written behind and ahead",
    function ()
      for _, reverse in ipairs { false, true } do
        local d = filled(3000)
        local last, seen = reverse and 1e9 or -1, {}
        local writes = 0
        for k in dict.pairs(d, { reverse = reverse }) do
          assert.is_nil(seen[k])
          seen[k] = true
          assert.is_true((k > last) ~= reverse, k .. " after " .. last)
          last = k
          if writes < 9000 then
            writes = writes + 3
            d[k + 0.5], d[k - 0.5] = "beside", "beside"
            d[(k * 7919) % 3000 + 0.25] = "anywhere"
          end
        end
        for k = 1, 3000 do assert.is_true(seen[k], "lost " .. k) end
      end
    end)

  it("leaves out what was deleted far ahead of it", function ()
    local d = filled(50000)
    local n = 0
    for k in dict.keys(d) do
      n = n + 1
      if k == 1 then dict.delete_range(d, { from = 2 }) end
    end
    assert.is_true(n < 50000)
    assert.are.equal(1, #d)
  end)

  it("sees the writes of its own transaction", function ()
    local d, store = filled(10)
    store:transaction(function ()
      d[5], d[10.5] = nil, "new"
      assert.are.same({ 1, 2, 3, 4, 6, 7, 8, 9, 10, 10.5 },
        helper.keys(d))
      local n = 0
      for k in dict.pairs(d) do
        d[k] = nil
        n = n + 1
      end
      assert.are.equal(10, n)
      assert.are.equal(0, #d)
    end)
  end)

  it("begun in a transaction goes on after it, either way it ends",
    function ()
      local d, store = filled(4000)
      local walk
      store:transaction(function ()
        d[0] = 0
        walk = dict.keys(d)
        assert.are.equal(0, walk())
      end)
      assert.are.equal(1, walk())
      local n = 2
      for k in walk do assert.are.equal(n, k) n = n + 1 end
      assert.are.equal(4001, n)
      pcall(store.transaction, store, function ()
        walk = dict.keys(d)
        assert.are.equal(0, walk())
        error "back"
      end)
      assert.are.equal(1, walk())
      n = 2
      for k in walk do assert.are.equal(n, k) n = n + 1 end
      assert.are.equal(4001, n)
    end)

  it("may stand beside another on the same dict", function ()
    local d = filled(100)
    local n = 0
    for a in dict.pairs(d) do
      for b in dict.pairs(d, { from = a, limit = 3 }) do
        assert.is_true(b >= a)
        n = n + 1
      end
    end
    assert.are.equal(297, n)
  end)

  it("pins nothing: another handle and process can write meanwhile",
    function ()
      local d, store, path = filled(5000, { map_size = 2 ^ 20 })
      local before = store:stats().readers
      local walk = dict.pairs(d)
      walk()
      assert.are.equal(before, store:stats().readers)
      -- enough to make the map grow, here and elsewhere
      helper.run([[
        local d = require("lode").open(..., { durability = "os" }):dict "e"
        for i = 1, 200 do d[i] = ("x"):rep(40000) end
      ]], path)
      local other = open({}, path)
      local e = other:dict "e"
      for i = 1, 200 do e[-i] = ("y"):rep(40000) end
      local n = 1
      for k in walk do
        n = n + 1
        assert.are.equal(n, k)
      end
      assert.are.equal(5000, n)
      assert.are.equal(400, #store:dict "e")
    end)

  it("left unfinished keeps the file from growing no more than none",
    function ()
      local d, store = filled(1000)
      local walks = {}
      for i = 1, 20 do
        walks[i] = dict.pairs(d)
        walks[i]()
      end
      for round = 1, 200 do
        store:transaction(function ()
          for i = 1, 1000, 10 do d[i] = round end
        end)
      end
      assert.is_true(store:stats().file_size < 4 * 2 ^ 20)
      assert.are.equal(2, (walks[1]()))
    end)

  it("takes little memory, however large the dict", function ()
    local d = filled(200000)
    local function anonymous ()
      local file = io.open "/proc/self/status"
      local text = file and file:read "*a" or ""
      if file then file:close() end
      return tonumber(text:match "RssAnon:%s*(%d+)") or 0
    end
    for _ in dict.pairs(d, { limit = 1000 }) do collectgarbage "step" end
    collectgarbage()
    collectgarbage()
    local before, rss = collectgarbage "count", anonymous()
    local most, most_rss, n = 0, 0, 0
    for _ in dict.pairs(d) do
      n = n + 1
      if n % 20000 == 0 then
        collectgarbage()
        most = math.max(most, collectgarbage "count")
        most_rss = math.max(most_rss, anonymous())
      end
    end
    assert.are.equal(200000, n)
    assert.is_true(most - before < 1024, most - before .. " KiB of Lua's")
    assert.is_true(most_rss - rss < 4096, most_rss - rss .. " KiB in all")
  end)

  it("whose dict is closed or collected ends or goes on whole", function ()
    local d = filled(3000)
    local walk = dict.keys(d)
    d = nil -- luacheck: ignore
    for _ = 1, 4 do collectgarbage() end
    local n = 0
    for k in walk do
      n = n + 1
      assert.are.equal(n, k)
    end
    assert.are.equal(3000, n)
  end)
end)

describe("a walk with snapshot = true", function ()
  helper.watch()

  it("sees one moment to its end", function ()
    local d, store, path = filled(3000)
    local other = open({}, path):dict "d"
    local n, sum = 0, 0
    for k, v in dict.pairs(d, { snapshot = true }) do
      n = n + 1
      assert.are.equal(n, k)
      sum = sum + v
      if k == 1 then
        dict.clear(other)
        for i = 1, 100 do other[i + 0.5] = 1e9 end
      end
    end
    assert.are.equal(3000, n)
    assert.are.equal(3000 * 3001 / 2, sum)
    assert.are.equal(100, #d)
    assert.are.equal(100, #store:dict "d")
  end)

  it("lets its own handle write meanwhile", function ()
    local d = filled(3000)
    local n = 0
    for k in dict.pairs(d, { snapshot = true }) do
      d[k] = nil
      n = n + 1
    end
    assert.are.equal(3000, n)
    assert.are.equal(0, #d)
  end)

  it("pins until the end", function ()
    local d, store = filled(10)
    local before = store:stats().readers
    local walk = dict.pairs(d, { snapshot = true })
    walk()
    assert.is_true(store:stats().readers > before)
    for _ in walk do assert.is_true(true) end
    assert.is_nil((walk()))
    assert.are.equal(before, store:stats().readers)
  end)

  it("pins until the collector takes it", function ()
    local d, store = filled(10)
    local before = store:stats().readers
    local function leave ()
      dict.pairs(d, { snapshot = true })()
    end
    -- On a stack of its own: what is left in this one's unused slots would
    -- keep the last walk alive.
    coroutine.wrap(function ()
      for _ = 1, 10 do leave() end
    end)()
    for _ = 1, 4 do collectgarbage() end
    d[1] = "goes on"
    -- LuaJIT may still hold the last one in a slot that it uses no more
    local most = jit and before + 1 or before
    assert.is_true(store:stats().readers <= most)
  end)

  if helper.has_close then
    it("pins until a break, and an error", function ()
      -- luacheck: ignore 512
      local d, store = filled(10)
      local before = store:stats().readers
      for _ in dict.pairs(d, { snapshot = true }) do break end
      assert.are.equal(before, store:stats().readers)
      for _ in dict.keys(d, { snapshot = true }) do break end
      for _ in dict.values(d, { snapshot = true }) do break end
      assert.are.equal(before, store:stats().readers)
      pcall(function ()
        for _ in dict.pairs(d, { snapshot = true }) do error "x" end
      end)
      assert.are.equal(before, store:stats().readers)
    end)
  end

  it("is a boolean, and for walks only", function ()
    local d = filled(3)
    fails("BAD_ARGUMENT", dict.pairs, d, { snapshot = 1 })
    fails("BAD_ARGUMENT", dict.delete_range, d, { snapshot = true })
    assert.are.equal(3, #d)
  end)
end)
