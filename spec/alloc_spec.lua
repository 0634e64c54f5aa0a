-- Every public function under an allocator whose n-th call fails, for
-- every n: an error NO_MEMORY or a right result, the store whole, nothing
-- leaked, no lock left.

local core = require "lode.core"
local exact = require "support.exact"
local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local open = helper.open

local LONG = ("k"):rep(700)
-- An operation that went through this often in a row met no fault: some
-- allocations may fail without harm.
local CALM = 4
local MOST = 400

-- What the store holds, in plain tables.
local function image (store)
  local held = {}
  for k, v in pairs(dict.totable(store:dict "d")) do
    held[type(k) == "table" and table.concat(k, ",") or k] = v
  end
  local names = {}
  for name in store:collections() do names[#names + 1] = name end
  return { d = held, s = set.totable(store:set "s"),
    t = set.totable(store:set "t"), names = names }
end

-- Brings the store to where each attempt begins.
local function restore (store)
  local d, s, t = store:dict "d", store:set "s", store:set "t"
  store:drop "new"
  dict.clear(d)
  dict.put_many(d, { a = 1, b = { x = { 1, 2 } }, c = "three",
    [1] = "one", [LONG .. 1] = "long" })
  d[{ "t", LONG }] = "tuple"
  set.clear(s)
  set.add_many(s, { 1, 2, "x", LONG })
  set.clear(t)
  set.add_many(t, { 2, "y" })
  return d, s, t
end

-- Runs operation(d, s, t, store, path) with the n-th allocation failing for
-- n = 1, 2, ... until there is none to fail; how many failed.
local function fault (operation)
  local path = helper.path()
  -- what it does when nothing fails
  local keeper = open({}, path)
  local d, s, t = restore(keeper)
  local before = image(keeper)
  operation(d, s, t, keeper, path)
  local after = image(keeper)
  local calm, failures = 0, 0
  for n = 1, MOST do
    restore(keeper)
    local blocks, handles = helper.live()
    core.test_fail(n)
    local ok, e = pcall(operation, d, s, t, keeper, path)
    core.test_fail(0)
    if ok then
      calm = calm + 1
    else
      calm, failures = 0, failures + 1
      local code = type(e) == "table" and e.code
      assert.are.equal("NO_MEMORY", code or tostring(e), "at " .. n)
      assert.is_true(#tostring(e) > 0)
    end
    local blocks_after, handles_after = helper.live()
    assert.are.equal(handles, handles_after, "handles, at " .. n)
    -- what a handle keeps for its next call is no leak: it stays small
    -- and goes with the handle, which helper.watch sees
    assert.is_true(blocks_after - blocks < 16,
      ("%d blocks more, at %d"):format(blocks_after - blocks, n))
    local now = image(keeper)
    if ok or not exact.same(before, now) then
      exact.check(after, now, "the store after allocation " .. n)
    end
    -- nothing is locked, for this handle and another
    local other = lode.open(path, { durability = "os", lock_timeout = 1 })
    other:dict("d").probe = n
    assert.are.equal(n, keeper:dict("d").probe)
    keeper:dict("d").probe = nil
    other:close()
    if calm == CALM then return failures end
  end
  error "allocations never end"
end

if not core.test_fail then
  describe("failing allocations", function ()
    it("need the test build", function ()
      pending "lode.core was built without LODE_TEST"
    end)
  end)
  return
end

local function drain (...)
  local n = 0
  for _ in ... do n = n + 1 end
  return n
end

local operations = {
  ["lode.open"] = function (_, _, _, _, path)
    local store = lode.open(path, { durability = "os" })
    store:close()
  end,
  ["store:dict, an old one"] = function (_, _, _, store) store:dict "d" end,
  ["store:dict, a new one"] = function (_, _, _, store) store:dict "new" end,
  ["store:set"] = function (_, _, _, store) store:set "new" end,
  ["store:collections"] = function (_, _, _, store)
    drain(store:collections())
  end,
  ["store:drop"] = function (_, _, _, store) store:drop "t" end,
  ["store:rename"] = function (_, _, _, store) store:rename("t", "new") end,
  ["store:version, stats, flush, path"] = function (_, _, _, store)
    store:version()
    store:stats()
    store:flush()
    store:path()
  end,
  ["store:transaction"] = function (d, s, _, store)
    store:transaction(function ()
      d.a, d.new = nil, { 1 }
      store:transaction(function () d[LONG .. 2] = 2 end)
      pcall(function ()
        store:transaction(function ()
          d.undone = 1
          error("back", 0)
        end)
      end)
      if d.undone then error "a savepoint was not undone" end
      set.add(s, "new")
    end)
  end,
  ["store:snapshot"] = function (d, s, _, store)
    store:snapshot(function ()
      drain(dict.pairs(d))
      return d.b, d[LONG .. 1], #s
    end)
  end,
  ["reading by index"] = function (d, s)
    return d.a, d.b, d.c, d[1], d[LONG .. 1], d[LONG .. 2],
      d[{ "t", LONG }], #d, s.x, s[LONG]
  end,
  ["writing by index"] = function (d) d.new = { 1, "x" } end,
  ["writing a long key"] = function (d)
    d[LONG .. 2] = "new"
  end,
  ["writing a large value"] = function (d)
    d.a = ("x"):rep(100000)
  end,
  ["deleting by index"] = function (d) d.a = nil end,
  ["deleting a long key"] = function (d)
    d[LONG .. 1] = nil
  end,
  ["dict.get and has"] = function (d)
    dict.get(d, "b", 1)
    dict.has(d, LONG .. 1)
  end,
  ["dict.set"] = function (d) dict.set(d, "a", "v") end,
  ["dict.add"] = function (d)
    dict.add(d, "a", "v")
    dict.add(d, "new", "v")
  end,
  ["dict.replace"] = function (d)
    dict.replace(d, "new", "v")
    dict.replace(d, "a", "v")
  end,
  ["dict.delete"] = function (d) dict.delete(d, "a") end,
  ["dict.pop"] = function (d) dict.pop(d, "b") end,
  ["dict.popitem, first"] = function (d)
    dict.popitem(d, "first")
  end,
  ["dict.popitem, last"] = function (d)
    dict.popitem(d, "last")
  end,
  ["dict.setdefault"] = function (d)
    dict.setdefault(d, "a", 2)
    dict.setdefault(d, "new", { 2 })
  end,
  ["dict.update"] = function (d)
    dict.update(d, "b", function (v) return { v } end)
  end,
  ["dict.incr"] = function (d) dict.incr(d, "a", 2) end,
  ["dict.cas"] = function (d)
    dict.cas(d, "b", { x = { 1, 2 } }, { y = 1 })
  end,
  ["dict.put_many"] = function (d)
    local n = 0
    dict.put_many(d, function ()
      n = n + 1
      if n <= 50 then return (n * 7) % 50 + 2, { n } end
      if n == 51 then return LONG .. 3, "long" end
    end)
  end,
  ["dict.put_many of a dict"] = function (d, _, _, store)
    store:transaction(function ()
      local new = store:dict "new"
      dict.put_many(new, d)
    end)
  end,
  ["dict.get_many"] = function (d)
    dict.get_many(d, { "a", "b", LONG .. 1, { "t", LONG }, "z" })
  end,
  ["dict.delete_many"] = function (d)
    dict.delete_many(d, { "a", "b", LONG .. 1 })
  end,
  ["dict.delete_range"] = function (d)
    dict.delete_range(d, { from = "a", prefix = "k" })
  end,
  ["dict.clear"] = function (d) dict.clear(d) end,
  ["dict.len and count"] = function (d)
    dict.len(d)
    dict.count(d)
    dict.count(d, { from = "b", to = { "u" } })
  end,
  ["dict.pairs, keys, values"] = function (d)
    drain(dict.pairs(d))
    drain(dict.keys(d, { reverse = true }))
    drain(dict.values(d, { snapshot = true, prefix = LONG }))
  end,
  ["dict.page"] = function (d)
    local range = { limit = 3 }
    while range do
      local _
      _, range = dict.page(d, range)
    end
  end,
  ["dict.first, last, next, prev"] = function (d)
    dict.first(d)
    dict.last(d)
    dict.next(d, LONG)
    dict.prev(d, { "t", LONG })
  end,
  ["dict.copy"] = function (d) dict.copy(d, "new") end,
  ["dict.totable, name, stats"] = function (d)
    dict.totable(d)
    dict.name(d)
    dict.stats(d)
    tostring(d)
  end,
  ["set.add and remove"] = function (_, s)
    set.add(s, "new")
  end,
  ["set.remove"] = function (_, s) set.remove(s, LONG) end,
  ["set.pop"] = function (_, s) set.pop(s) end,
  ["set.add_many"] = function (_, s)
    set.add_many(s, { "p", "q", LONG .. 5, 1 })
  end,
  ["set.add_many of an expression"] = function (_, s, t)
    set.add_many(s, t - s)
  end,
  ["set.remove_many"] = function (_, s)
    set.remove_many(s, { 1, LONG, "z" })
  end,
  ["set.clear"] = function (_, s) set.clear(s) end,
  ["set.each, count, first, last"] = function (_, s)
    drain(set.each(s, { from = 1 }))
    set.count(s, { from = 2 })
    set.first(s)
    set.last(s)
    set.totable(s)
    set.stats(s)
  end,
  ["set.copy"] = function (_, s) set.copy(s, "new") end,
  ["expressions"] = function (_, s, t)
    local e = (s + t) * s - (t ^ s)
    drain(set.each(e))
    return #e, e.x, e[LONG], set.disjoint(s, t), s <= t, s == t, s < t
  end,
  ["set.save"] = function (_, s, t, store)
    set.save(s + t, store, "new")
  end,
  ["set.save onto an operand"] = function (_, s, t, store)
    set.save(s ^ t, store, "s")
  end,
  ["set.update"] = function (_, s, t)
    set.update(s, t + s)
  end,
  ["raw dicts"] = function (_, _, _, store)
    local raw = store:dict("raw", { raw = true })
    raw.a = "1"
    drain(dict.pairs(raw))
    dict.clear(raw)
  end,
}

describe("when an allocation fails,", function ()
  helper.watch()

  it("the fault fires at all", function ()
    local failures = fault(operations["lode.open"])
    assert.is_true(failures > 0)
  end)

  local names = {}
  for name in pairs(operations) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    it(name .. " fails whole or works", function ()
      fault(operations[name])
    end)
  end

  it("store:backup fails whole or works", function ()
    fault(function (_, _, _, store)
      local copy = helper.path "copy"
      store:backup(copy, { compact = true })
      local other = lode.open(copy, { durability = "os" })
      assert.are.equal(6, #other:dict "d")
      other:close()
    end)
  end)

  it("growth of a small map fails whole or works", function ()
    for n = 1, MOST do
      local path = helper.path()
      local store = open({ map_size = 2 ^ 20 }, path)
      local d = store:dict "d"
      d.a = 1
      core.test_fail(n)
      local ok, e = pcall(store.transaction, store, function ()
        for i = 1, 30 do d[i] = ("x"):rep(50000) end
      end)
      core.test_fail(0)
      if not ok then
        assert.are.equal("NO_MEMORY", type(e) == "table" and e.code or e)
      end
      assert.are.equal(ok and 31 or 1, #d)
      d.b = 1
      assert.are.equal(ok and 32 or 2, #open({}, path):dict "d")
      store:close()
      helper.shell("rm -rf '" .. path .. "'")
      if ok and n > 20 then return end
    end
  end)
end)
