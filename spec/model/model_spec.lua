-- Random steps on the dicts and sets of two stores against plain Lua
-- tables, from a seed: transactions nested, with errors; reopening; several
-- handles; long keys that collide; algebra.
--
--   LODE_SEEDS=1000 LODE_OPS=5000   more, and longer
--   LODE_SEED=17 LODE_SEEDS=1       one seed again

local helper = require "support.helper"
local lode = require "lode"
local dict_steps = require "model.dict_steps"
local oracle = require "model.oracle"
local random = require "model.random"
local set_steps = require "model.set_steps"

local FIRST = tonumber(os.getenv "LODE_SEED") or 1
local SEEDS = tonumber(os.getenv "LODE_SEEDS") or 200
local STEPS = tonumber(os.getenv "LODE_OPS") or 1000
local PORTION = 20 -- seeds in one `it`

-- Each step as often as its weight says.
local function weighted (steps)
  local out = {}
  for _, step in ipairs(steps) do
    for _ = 1, step.weight do out[#out + 1] = step end
  end
  return out
end

local on_dict = weighted(dict_steps.steps)
local on_set = weighted(set_steps.steps)
local on_expression = weighted(set_steps.expressions)

-- One seed's world: two stores; dicts and sets as
-- { name =, kind =, options =, m = oracle, d = handle, d2 = another
-- store's handle of the same }.
local world = {}
world.__index = world

function world:open_store (suffix)
  return lode.open(self.path .. suffix,
    { durability = "os", map_size = self.map_size })
end

function world.new (seed, path)
  local r = random.new(seed)
  local constant = { hash = function () return "\7" end }
  local plain = oracle.pool(r:keys(true), false)
  local colliding = oracle.pool(r:keys(false), true)
  local self = setmetatable({ r = r, depth = 0, steps = 0, log = {},
    path = path }, world)
  self.map_size = seed % 3 == 0 and 2 ^ 20 or nil -- must grow
  local function collection (kind, name, pool, options)
    return { kind = kind, name = name, options = options,
      m = oracle.new(pool), elsewhere = name == "third" }
  end
  self.all = {
    collection("dict", "plain", plain),
    collection("dict", "colliding", colliding, constant),
    collection("set", "first", plain),
    collection("set", "second", plain),
    collection("set", "third", plain),
  }
  self.dicts = { self.all[1], self.all[2] }
  self.sets = { self.all[3], self.all[4], self.all[5] }
  self:open()
  return self
end

-- Opens the stores, and every collection in them.
function world:open ()
  self.store = self:open_store ""
  self.second = self:open_store ""
  self.other = self:open_store "-other"
  for _, c in ipairs(self.all) do self:handle(c) end
end

function world:handle (c)
  local store = c.elsewhere and self.other or self.store
  c.d = store[c.kind](store, c.name, c.options)
  c.d2 = nil
end

function world:close ()
  for _, c in ipairs(self.all) do c.d, c.d2 = nil, nil end
  self.store:close()
  self.second:close()
  self.other:close()
end

-- What a rollback must bring back.
function world:save ()
  local kept = {}
  for i, c in ipairs(self.all) do
    kept[i] = { m = c.m:copy(), d = c.d, d2 = c.d2, name = c.name }
  end
  return kept
end

function world:restore (kept)
  for i, c in ipairs(self.all) do
    -- the other store has no part in this one's transactions
    if not c.elsewhere then
      c.m, c.d, c.d2, c.name = kept[i].m, kept[i].d, kept[i].d2,
        kept[i].name
    end
  end
end

function world:compare (what)
  for _, c in ipairs(self.dicts) do
    dict_steps.compare(c.d, c.m, what .. ", " .. c.name)
  end
  for _, c in ipairs(self.sets) do
    set_steps.compare(c.d, c.m, what .. ", " .. c.name)
  end
end

function world:note (name)
  self.log[self.steps % 12] = ("%d: %s%s"):format(self.steps,
    ("  "):rep(self.depth), name)
end

-- The collection by the store's second handle. Not within a transaction,
-- which hides its writes from it.
function world:by_second (c)
  c.d2 = c.d2 or self.second[c.kind](self.second, c.name, c.options)
  return c.d2
end

-- The handle to use for a step.
function world:either (c)
  if self.depth == 0 and not c.elsewhere and self.r:one_in(4) then
    return self:by_second(c)
  end
  return c.d
end

function world:transaction ()
  local r, kept, mine = self.r, self:save(), {}
  local fails = r:one_in(3)
  self:note(fails and "transaction that fails" or "transaction")
  local result = {}
  local ok, e = pcall(self.store.transaction, self.store, function (...)
    assert(select("#", ...) == 2 and (...) == 1)
    self.depth = self.depth + 1
    for _ = 1, r:int(25) do self:step() end
    if r:one_in(5) then self:compare "in a transaction" end
    self.depth = self.depth - 1
    if fails then error(mine) end
    return result, nil, 3
  end, 1, nil)
  if fails then
    if e ~= mine then error(e, 0) end
    self:restore(kept)
    self:note "rolled back"
  else
    if not ok then error(e, 0) end
    if e ~= result then error "a transaction's result is lost" end
  end
end

-- Writes so much that a small map must grow, with savepoints before, around
-- and after: what was done so far is done over by lode.
function world:swell ()
  if self.depth > 0 then return end
  self:reopen() -- the map is as small again as it can be
  local r, mine, written = self.r, {}, {}
  local c = self.dicts[r:int(2)]
  local function write_large (size)
    local i = r:int(c.m.pool.n)
    local value = ("large"):rep(size)
    c.d[c.m.pool.keys[i]] = value
    c.m:put(i, value)
    written[i] = true
  end
  local keeps = { r:one_in(2), r:one_in(2), not r:one_in(4) }
  self:note "swell"
  local function level (at)
    local before = self:save()
    local ok, e = pcall(self.store.transaction, self.store, function ()
      self.depth = at
      for _ = 1, r:int(8) do self:step() end
      write_large(200)
      if at < 3 then level(at + 1) end
      self.depth = at
      write_large(at == 2 and 60000 * r:int(8) or 20)
      for _ = 1, r:int(4) do self:step() end
      self.depth = at - 1
      if not keeps[4 - at] then error(mine) end
    end)
    if ok then return end
    if e ~= mine then error(e, 0) end
    self:restore(before)
    self:note("swell undone, level " .. at)
  end
  level(1)
  self:compare "swollen"
  -- and away with what is large, which only takes time
  for i in pairs(written) do
    c.d[c.m.pool.keys[i]] = nil
    c.m:put(i, nil)
  end
end

function world:snapshot ()
  self:note "snapshot"
  self.store:snapshot(function ()
    local c = self.r:pick(self.dicts)
    if self.depth == 0 then
      -- what another handle writes must not be seen
      dict_steps.compare(c.d, c.m, "snapshot before")
      local key = c.m.pool.keys[self.r:int(c.m.pool.n)]
      local i = c.m:number(key)
      self:by_second(c)[key] = "elsewhere"
      dict_steps.compare(c.d, c.m, "snapshot after")
      c.m:put(i, "elsewhere")
    else
      local ok, e = pcall(function () c.d[1] = 1 end)
      assert(not ok and e.code == "READONLY", tostring(e))
    end
  end)
end

-- Drops a dict and makes it again: old handles must know.
function world:recreate ()
  local c = self.r:pick(self.dicts)
  self:note("drop " .. c.name)
  assert(self.store:drop(c.name))
  local ok, e = pcall(function () return c.d[1] end)
  assert(not ok and e.code == "NOT_FOUND", tostring(e))
  c.m = oracle.new(c.m.pool)
  c.d = self.store:dict(c.name, c.options)
  c.d2 = nil
end

function world:rename ()
  local c = self.r:pick(self.dicts)
  local new = c.name:gsub("%d*$", "") .. self.r:int(1000)
  if new == c.name then return end
  self:note("rename " .. c.name .. " " .. new)
  assert(self.store:rename(c.name, new))
  c.name = new
  assert(lode.dict.name(c.d) == new)
end

function world:clear ()
  local c = self.r:pick(self.all)
  if c.elsewhere and self.depth > 0 then return end
  self:note("clear " .. c.name)
  local n = lode[c.kind].clear(c.d)
  if n ~= c.m.n then error("clear: " .. n .. ", not " .. c.m.n) end
  c.m:clear()
end

function world:copy ()
  local c = self.r:pick(self.dicts)
  self:note("copy " .. c.name)
  local twin = lode.dict.copy(c.d, "copy")
  dict_steps.compare(twin, c.m, "copy")
  assert(self.store:drop "copy")
end

function world:reopen ()
  if self.depth > 0 then return end
  self:note "reopen"
  self:close()
  self:open()
end

function world:step ()
  local r = self.r
  self.steps = self.steps + 1
  local kind = r:int(1000)
  if kind <= 15 and self.depth < 3 then return self:transaction() end
  if kind <= 20 then return self:snapshot() end
  if kind <= 23 then return self:recreate() end
  if kind <= 27 then return self:rename() end
  if kind <= 30 then return self:clear() end
  if kind <= 32 then return self:copy() end
  if kind <= 35 then return self:reopen() end
  if kind <= 40 and self.map_size then return self:swell() end
  if kind <= 75 then
    local step = r:pick(on_expression)
    local target = self.sets[r:int(self.depth == 0 and 3 or 2)]
    self:note(step.name .. " " .. target.name)
    local store = target.elsewhere and self.other or self.store
    return step.fn(r, self.sets, target, store)
  end
  if kind <= 300 then
    local step = r:pick(on_set)
    local c = self.sets[r:int(self.depth == 0 and 3 or 2)]
    self:note(step.name .. " " .. c.name)
    return step.fn(r, self:either(c), c.m)
  end
  local step, c = r:pick(on_dict), r:pick(self.dicts)
  self:note(step.name .. " " .. c.name)
  return step.fn(r, self:either(c), c.m)
end

-- Runs one seed; an error tells how to repeat it.
local function run (seed)
  local self = world.new(seed, helper.path "model")
  local ok, e = xpcall(function ()
    local due = 50
    while self.steps < STEPS do
      self:step()
      if self.steps >= due then
        self:compare "all"
        due = self.steps + 50
      end
    end
    self:compare "at the end"
    self:close()
    self:open()
    self:compare "reopened"
  end, function (e)
    return debug.traceback(tostring(e), 2)
  end)
  pcall(self.close, self)
  if ok then return end
  local log = {}
  for i = self.steps - 11, self.steps do
    log[#log + 1] = self.log[i % 12]
  end
  error(("seed %d, operation %d: %s\nthe last: %s\nrepeat with "
    .. "LODE_SEED=%d LODE_SEEDS=1 LODE_OPS=%d"):format(seed, self.steps, e,
      table.concat(log, "\n  "), seed, STEPS), 0)
end

describe("the model: dicts and sets as plain tables", function ()
  helper.watch()

  for first = FIRST, FIRST + SEEDS - 1, PORTION do
    local last = math.min(first + PORTION, FIRST + SEEDS) - 1
    it(("agrees with lode, seeds %d to %d"):format(first, last),
      function ()
        for seed = first, last do run(seed) end
      end)
  end
end)
