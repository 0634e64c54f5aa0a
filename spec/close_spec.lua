-- The end of a store: API.md, "store": close, <close>, __gc.

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local fails, open = helper.fails, helper.open

local function first_of (step, state, control)
  return step(state, control)
end

describe("store:close", function ()
  helper.watch()

  it("is idempotent", function ()
    local store = open()
    store:close()
    store:close()
    assert.is_truthy(tostring(store):find "closed")
  end)

  it("makes every later use of anything of the store raise CLOSED",
    function ()
      local store, path = open()
      local d, s = store:dict "d", store:set "s"
      d.a, s.x = 1, true
      local both = s + s
      local walk = dict.pairs(d)
      store:close()
      local fresh = open({}, path):dict "fresh"
      local uses = {
        function () return d.a end,
        function () d.a = 2 end,
        function () d.a = nil end,
        function () return #d end,
        function () dict.get(d, "a") end,
        function () dict.set(d, "a", 1) end,
        function () dict.add(d, "b", 1) end,
        function () dict.replace(d, "a", 1) end,
        function () dict.delete(d, "a") end,
        function () dict.has(d, "a") end,
        function () dict.pop(d, "a") end,
        function () dict.popitem(d) end,
        function () dict.setdefault(d, "a", 1) end,
        function () dict.update(d, "a", function () return 1 end) end,
        function () dict.incr(d, "a") end,
        function () dict.cas(d, "a", 1, 2) end,
        function () dict.put_many(d, { a = 1 }) end,
        function () dict.put_many(fresh, d) end,
        function () dict.get_many(d, { "a" }) end,
        function () dict.delete_many(d, { "a" }) end,
        function () dict.delete_range(d, {}) end,
        function () dict.clear(d) end,
        function () dict.len(d) end,
        function () dict.count(d) end,
        function () first_of(dict.pairs(d)) end,
        function () first_of(dict.keys(d)) end,
        function () first_of(dict.values(d)) end,
        function () dict.page(d, {}) end,
        function () dict.first(d) end,
        function () dict.last(d) end,
        function () dict.next(d) end,
        function () dict.prev(d) end,
        function () dict.copy(d, "e") end,
        function () dict.totable(d) end,
        function () dict.stats(d) end,
        function () walk() end,
        function () return s.x end,
        function () s.x = true end,
        function () return #s end,
        function () set.add(s, "y") end,
        function () set.remove(s, "x") end,
        function () set.has(s, "x") end,
        function () set.pop(s) end,
        function () set.add_many(s, { "y" }) end,
        function () set.remove_many(s, { "x" }) end,
        function () first_of(set.each(s)) end,
        function () set.len(s) end,
        function () set.count(s) end,
        function () set.first(s) end,
        function () set.last(s) end,
        function () set.clear(s) end,
        function () set.copy(s, "t") end,
        function () set.totable(s) end,
        function () set.stats(s) end,
        function () return #both end,
        function () return both.x end,
        function () first_of(set.each(both)) end,
        function () set.save(both, store, "t") end,
        function () set.update(s, both) end,
        function () set.disjoint(s, s) end,
        function () return s <= s end,
        function () store:dict "d" end,
        function () store:set "s" end,
        function () first_of(store:collections()) end,
        function () store:drop "d" end,
        function () store:rename("d", "e") end,
        function () store:transaction(function () end) end,
        function () store:snapshot(function () end) end,
        function () store:flush() end,
        function () store:backup(path .. "-copy") end,
        function () store:stats() end,
        function () store:version() end,
      }
      for i, use in ipairs(uses) do
        local ok, e = pcall(use)
        assert.is_false(ok, "use " .. i .. " went through")
        assert.are.equal("CLOSED", type(e) == "table" and e.code,
          "use " .. i .. ": " .. tostring(e))
      end
      assert.are.equal("string", type(tostring(d)))
      assert.are.equal("string", type(tostring(s)))
    end)

  it("leaves other handles of the path open", function ()
    local one, path = open()
    local two = open({}, path)
    local d = two:dict "d"
    one:close()
    d.a = 1
    assert.are.equal(1, d.a)
    assert.are.equal(1, two:stats().handles)
  end)

  it("within a transaction rolls it back and leaves no lock", function ()
    local store, path = open()
    local d = store:dict "d"
    d.a = 1
    local ok = pcall(store.transaction, store, function ()
      d.a = 2
      store:close()
    end)
    assert.is_false(ok)
    local again = open({ lock_timeout = 1 }, path):dict "d"
    assert.are.equal(1, again.a)
    again.a = 3
    assert.are.equal(3, again.a)
  end)

  it("within a snapshot, a walk or an update is no harm", function ()
    local store, path = open { lock_timeout = 1 }
    local d = store:dict "d"
    for i = 1, 2000 do d[i] = i end
    pcall(store.snapshot, store, function () store:close() end)
    store = open({}, path)
    d = store:dict "d"
    fails("CLOSED", function ()
      for _ in dict.pairs(d) do store:close() end
    end)
    store = open({}, path)
    d = store:dict "d"
    fails("CLOSED", function ()
      for _ in dict.pairs(d, { snapshot = true }) do store:close() end
    end)
    store = open({}, path)
    d = store:dict "d"
    assert.is_false(pcall(dict.update, d, 1, function ()
      store:close()
      return 0
    end))
    d = open({ lock_timeout = 1 }, path):dict "d"
    assert.are.equal(1, d[1])
    d[1] = 2
    assert.are.equal(2000, #d)
  end)

  if helper.has_close then
    it("comes with <close>", function ()
      local path = helper.path()
      local d = helper.eval([[(function (lode, path)
        local store <close> = lode.open(path)
        local d = store:dict "d"
        d.a = 1
        return d
      end)(...)]], lode, path)
      fails("CLOSED", function () return d.a end)
      assert.are.equal(1, open({}, path):dict("d").a)
    end)

    it("comes with <close> when an error passes", function ()
      local path = helper.path()
      local e = { "mine" }
      local kept
      local ok, got = pcall(helper.compile [[
        local lode, path, keep, e = ...
        local store <close> = lode.open(path)
        keep(store)
        error(e)
      ]], lode, path, function (store) kept = store end, e)
      assert.is_false(ok)
      assert.are.equal(e, got)
      fails("CLOSED", kept.dict, kept, "d")
    end)
  end
end)

describe("the collector", function ()
  helper.watch()

  local function collect ()
    for _ = 1, 4 do collectgarbage() end
  end

  it("closes a store that nothing reaches", function ()
    local keeper, path = open()
    local function use ()
      local store = lode.open(path, { durability = "os" })
      store:dict("d").a = 1
      assert.are.equal(2, keeper:stats().handles)
    end
    use()
    collect()
    assert.are.equal(1, keeper:stats().handles)
    assert.are.equal(1, keeper:dict("d").a)
  end)

  it("keeps a store that one of its dicts reaches", function ()
    local path = helper.path()
    local d = lode.open(path, { durability = "os" }):dict "d"
    local s = lode.open(path, { durability = "os" }):set "s"
    collect()
    d.a = 1
    s.x = true
    assert.are.equal(1, d.a)
    local both = s + s
    s = nil -- luacheck: ignore
    collect()
    assert.are.equal(1, #both)
    local next_key = dict.keys(d)
    d = nil -- luacheck: ignore
    collect()
    assert.are.equal("a", next_key())
  end)

  it("takes a store in the middle of a walk", function ()
    local path = helper.path()
    do
      local d = helper.open({}, path):dict "d"
      for i = 1, 2000 do d[i] = i end
    end
    local function abandon ()
      local d = lode.open(path, { durability = "os" }):dict "d"
      local next_pair = dict.pairs(d, { snapshot = true })
      assert.are.equal(1, (next_pair()))
    end
    for _ = 1, 20 do abandon() end
    collect()
    local store = open({}, path)
    assert.is_true(store:stats().readers <= 2)
    assert.are.equal(2000, #store:dict "d")
  end)
end)

describe("a state that ends", function ()
  helper.watch()

  it("leaves all written and no lock, closed or not", function ()
    local path = helper.path()
    for _, ending in ipairs { "", "os.exit(0, true)", "os.exit(0)" } do
      local child = helper.spawn([[
        local lode = require "lode"
        store = lode.open(...)
        d = store:dict "d"
        walk = lode.dict.pairs(d, { snapshot = true })
        lode.dict.incr(d, "n")
        walk()
        print "-- done"
        io.stdout:flush()
      ]] .. ending, path)
      child:finish()
    end
    local d = open({ lock_timeout = 1 }, path):dict "d"
    assert.are.equal(3, d.n)
    d.n = 4
  end)
end)

describe("set.pop of a closed store", function ()
  helper.watch()

  it("raises CLOSED, and not nil as of an empty one", function ()
    local store = open()
    local s = store:set "s"
    assert.is_nil(set.pop(s))
    store:close()
    fails("CLOSED", set.pop, s)
  end)
end)
