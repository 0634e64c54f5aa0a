-- One seed's world in the model test: two stores, and dicts and sets in them
-- as records of
--
--   kind, name, options, elsewhere    what it is, and whether in the second
--   m                                 the oracle of it
--   d, d2, bare                       its handles: of its store, of another
--                                     handle on the file, and of one that
--                                     knows no policy and no on_expire
--   graves                            the dict that counts its dead
--
-- Who dies or is evicted is told: on_expire is called with it, once, which
-- is checked here, and writes it to `graves`, whose contents are compared
-- as those of any other dict.

local dict_steps = require "model.dict_steps"
local exact = require "support.exact"
local lives = require "model.lives"
local lode = require "lode"
local oracle = require "model.oracle"
local random = require "model.random"
local set_steps = require "model.set_steps"

local dict = lode.dict
local check = exact.check
local SLACK = 16 -- entries that a cap may be exceeded by

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

local world = {}
world.__index = world

-- ==================================================================
-- Making, opening and closing
-- ==================================================================

function world:open_store (suffix)
  return lode.open(self.path .. suffix, { durability = "os",
    map_size = self.map_size, maintenance = self.maintenance,
    clock = function () return self.clock.now end })
end

-- A collection of this kind of lifetime.
local function collection (self, kind, name, life, pool)
  local c = { kind = kind, name = name, elsewhere = name == "third" }
  c.options, c.life = lives[life](self.r, function (...)
    return self:told(c, ...)
  end, self.upvalue)
  if pool == self.colliding then
    c.options.hash = function () return "\7" end
  end
  c.m = oracle.new(pool, self.clock, c.life, c)
  self.all[#self.all + 1] = c
  if c.life.told then
    c.graves = collection(self, "dict", name .. " graves", "plain", pool)
  end
  return c
end

-- Some of the kinds of lifetimes, none twice.
local function some_of (r, kinds, n)
  local left, out = {}, {}
  for i, kind in ipairs(kinds) do left[i] = kind end
  for i = 1, n do out[i] = table.remove(left, r:int(#left)) end
  return out
end

function world.new (seed, path)
  local r = random.new(seed)
  local self = setmetatable({ r = r, depth = 0, steps = 0, log = {},
    path = path, all = {}, clock = { now = 1e6, journal = {} },
    upvalue = { limit = 20 } }, world)
  self.plain = oracle.pool(r:keys(true), false)
  self.colliding = oracle.pool(r:keys(false), true)
  self.map_size = seed % 3 == 0 and 2 ^ 20 or nil -- must grow
  self.maintenance = seed % 4 == 0 and "off" or "inline"
  self.dicts = { collection(self, "dict", "plain", "plain", self.plain),
    collection(self, "dict", "colliding", "plain", self.colliding) }
  for _, life in ipairs(some_of(r, lives.of_dicts, 4)) do
    self.dicts[#self.dicts + 1] = collection(self, "dict", life, life,
      r:one_in(3) and self.colliding or self.plain)
  end
  self.sets = { collection(self, "set", "first", "plain", self.plain),
    collection(self, "set", "second", r:pick(lives.of_sets), self.plain),
    collection(self, "set", "third", r:one_in(2) and "brief" or "plain",
      self.plain) }
  self:open()
  return self
end

-- Opens the stores, and every collection in them.
function world:open ()
  self.store = self:open_store ""
  self.second = self:open_store ""
  self.tool = self:open_store ""
  self.other = self:open_store "-other"
  for _, c in ipairs(self.all) do self:handle(c) end
end

function world:handle (c)
  local store = c.elsewhere and self.other or self.store
  c.d = store[c.kind](store, c.name, c.options)
  c.d2, c.bare = nil, nil
end

function world:close ()
  for _, c in ipairs(self.all) do c.d, c.d2, c.bare = nil, nil, nil end
  self.store:close()
  self.second:close()
  self.tool:close()
  self.other:close()
end

-- The collection by the store's second handle. Not within a transaction,
-- which hides its writes from it.
function world:by_second (c)
  c.d2 = c.d2 or self.second[c.kind](self.second, c.name, c.options)
  if c.graves then self:by_second(c.graves) end
  return c.d2
end

-- The same by a handle that knows no policy and no on_expire.
function world:by_tool (c)
  c.bare = c.bare or self.tool[c.kind](self.tool, c.name,
    { hash = c.options.hash })
  return c.bare
end

-- The handle to use for a step.
function world:either (c)
  self.writes_by_second = self.depth == 0 and not c.elsewhere
    and self.r:one_in(4)
  if self.writes_by_second then return self:by_second(c) end
  return c.d
end

-- ==================================================================
-- Comparing
-- ==================================================================

function world:compare (what)
  for _, c in ipairs(self.all) do
    local of = c.kind == "dict" and dict_steps or set_steps
    of.compare(c.d, c.m, what .. ", " .. c.name)
  end
end

-- The dead are seen dead, in every collection.
function world:look ()
  for _, c in ipairs(self.all) do
    c.m:pass()
    local n = #c.d
    if n ~= c.m.n then self:compare(("%d, not %d"):format(n, c.m.n)) end
  end
end

-- By the handle that knows no policy: nobody is there who has died.
function world:look_by_tool ()
  if self.depth > 0 then return end
  local c = self.r:pick(self.all)
  if c.elsewhere then return end
  self:note("the tool looks at " .. c.name)
  local bare = self:by_tool(c)
  if not c.life.policy then
    local of = c.kind == "dict" and dict_steps or set_steps
    return of.compare(bare, c.m, "by the tool")
  end
  local n, each = 0, c.kind == "dict" and dict.pairs or lode.set.each
  for key, value in each(bare) do
    local there = c.m.values[c.m:number(key)]
    check(there, c.kind == "set" or value, "by the tool")
    n = n + 1
  end
  check(n, #bare, "by the tool: #")
end

-- ==================================================================
-- Who is told
-- ==================================================================

-- That this entry may be evicted. What is just being written is not known
-- here yet, so one entry may seem to stand before it in its place.
local function check_evicted (m, i)
  local life, before = m.life, 0
  if life.most and m.n + oracle.count(m.pending) < life.most then
    error "evicted, though there is room"
  end
  local function place (j)
    if life.evict == "fifo" then return m.order[j] end
    if life.evict == "rank" then return lives.rank(m.values[j]) end
    if life.evict == "ttl" then return m.dies[j] or math.huge end
    return 0
  end
  local limit = place(i)
  for j in pairs(m.values) do
    if place(j) < limit then before = before + 1 end
  end
  if before > 1 then
    error(("evicted by %s, though %d others come first"):format(life.evict,
      before))
  end
end

local function told (self, c, key, value, e)
  local m = c.m
  local i = m:number(key)
  if e.reason == "evicted" then
    if m.life.capped and exact.same(m.values[i], value) then
      if not self.batch then check_evicted(m, i) end
      m:remove(i)
    else -- it was written by the call that evicts it
      self.late[#self.late + 1] = { c, i, value }
    end
  else
    if not m.pending[i] then error "told, but not dead" end
    check(m.pending[i][1], value, "told")
    m.pending[i] = nil
  end
  local graves = c.graves
  local count = (graves.m.values[i] or 0) + 1
  local d = self.writes_by_second and graves.d2 or graves.d
  check(graves.m.values[i], d[key], "the grave")
  d[key] = count
  graves.m:put(i, count)
end

-- The on_expire of all. What is wrong here would be logged, so it is kept.
function world:told (c, key, value, e)
  if self.refusing and self.refusing(c) then error "no, not yet" end
  local ok, err = xpcall(function ()
    return told(self, c, key, value, e)
  end, debug.traceback)
  if not ok then
    self.fault = self.fault or ("%s: %s (%s)"):format(c.name, err,
      exact.show(key))
    error(err, 0)
  end
end

-- After each step: what was told meanwhile, and the bounds of the caps.
function world:settle ()
  if self.fault then error(self.fault, 0) end
  for _, one in ipairs(self.late) do
    local c, i, value = one[1], one[2], one[3]
    check(c.m.values[i], value, c.name .. ": evicted")
    c.m:remove(i)
  end
  self.late = {}
  for _, c in ipairs(self.all) do
    local life = c.life
    if life.most and c.m.n > life.most then
      local strict = life.evict == "fifo" or life.evict == "ttl"
      if strict or c.m.n > life.most + SLACK then
        error(("%s: %d entries, at most %d"):format(c.name, c.m.n,
          life.most))
      end
    end
  end
end

-- The bytes of a dict with a cap of them.
function world:weigh ()
  for _, c in ipairs(self.all) do
    if c.life.bytes then
      local bytes = 0
      for key in pairs(c.m.values) do
        bytes = bytes + dict.info(c.d, c.m.pool.keys[key]).size
      end
      if bytes > c.life.bytes then
        error(("%s: %d bytes, at most %d"):format(c.name, bytes,
          c.life.bytes))
      end
    end
  end
end

-- ==================================================================
-- Transactions
-- ==================================================================

-- What a rollback must bring back.
function world:save ()
  local kept = { journal = #self.clock.journal }
  for i, c in ipairs(self.all) do
    kept[i] = { m = c.m:copy(), d = c.d, d2 = c.d2, name = c.name }
  end
  return kept
end

-- Notes those whose time has come at this moment of what is rolled back.
local function doubt (c, now, doubts)
  for i, dies in pairs(c.m.dies) do
    if dies <= now then doubts[i] = true end
  end
end

-- Of those whose time had come meanwhile, and who may live on by a clock that
-- was set back, or by what was read later: who was seen dead is dead. It may
-- be that nobody was, as something else stood there then.
local function settle_doubts (c, latest, doubts)
  local m = c.m
  for i in pairs(doubts) do
    if m.dies[i] and not lode[c.kind].has(c.d, m.pool.keys[i]) then
      m:kill(i)
    end
  end
  for _, one in pairs(m.nothing) do
    if one.ends <= latest then one.sure = false end
  end
end

-- Brings it back. What was read meanwhile was read, and time has passed.
function world:restore (kept)
  for i, c in ipairs(self.all) do
    -- the other store has no part in this one's transactions
    if not c.elsewhere then
      c.m, c.d, c.d2, c.name = kept[i].m, kept[i].d, kept[i].d2,
        kept[i].name
      c.bare = nil
    end
  end
  local journal, latest, doubts = self.clock.journal, self.clock.now, {}
  for _, c in ipairs(self.all) do doubts[c] = {} end
  for at = kept.journal + 1, #journal do
    local one = journal[at]
    if one.now then
      latest = math.max(latest, one.now)
      for _, c in ipairs(self.all) do doubt(c, one.now, doubts[c]) end
    elseif not one.owner.elsewhere then
      one.owner.m:read(one.i, one.at)
    end
  end
  for _, c in ipairs(self.all) do
    c.m:pass()
    if not c.elsewhere then settle_doubts(c, latest, doubts[c]) end
  end
  self:look()
end

function world:note (name)
  self.log[#self.log + 1] = ("%d: %s%s"):format(self.steps,
    ("  "):rep(self.depth), name)
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
  local c = self.dicts[r:int(2)] -- without a lifetime
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
      c = self.dicts[self.r:int(2)]
      dict_steps.compare(c.d, c.m, "snapshot before")
      local key = c.m.pool.keys[self.r:int(c.m.pool.n)]
      local i = c.m:number(key)
      self.writes_by_second = true
      self:by_second(c)[key] = "elsewhere"
      dict_steps.compare(c.d, c.m, "snapshot after")
      c.m:put(i, "elsewhere")
    else
      local ok, e = pcall(function () c.d[1] = 1 end)
      assert(not ok and e.code == "READONLY", tostring(e))
    end
  end)
end

-- ==================================================================
-- Time
-- ==================================================================

-- Time passes, or is set back: what is dead by then stays dead.
function world:tick ()
  local r, clock = self.r, self.clock
  local before = clock.now
  clock.now = before + r:int(r:one_in(10) and 200 or 12)
  if r:one_in(5) and self.depth < 2 then clock.now = before - r:int(60) end
  clock.journal[#clock.journal + 1] = { now = clock.now }
  self:note(("time passes, from %d to %d"):format(before, clock.now))
  self:look()
end

-- The policy with an upvalue answers later from now on; whom it has let die
-- is swept before, or would live again.
function world:lengthen ()
  if self.depth > 0 then return end
  self:maintain(true)
  self:note "a policy's upvalue grows"
  self.upvalue.limit = self.upvalue.limit + self.r:int(3)
  for _, c in ipairs(self.all) do
    if c.life.policy then
      for i, t in pairs(c.m.times) do
        if not c.m.fixed[i] then c.m.dies[i] = c.life.policy(t) end
      end
    end
  end
end

-- Sweeps; all that is dead where `all`, else perhaps as much as a budget
-- lets it, or as on_expire takes.
function world:maintain (all)
  if self.depth > 0 then return end
  local r, budget = self.r, nil
  if not all and r:one_in(2) then budget = { entries = r:int(10) } end
  if not all and r:one_in(4) then
    local refused = {}
    self.refusing = function (c)
      refused[c] = (refused[c] or 0) + 1
      return refused[c] % 3 == 1
    end
  end
  self:note(budget and "maintain, some" or "maintain")
  local removed, more = self.store:maintain(budget)
  if budget and removed > budget.entries then error "more than its budget" end
  if not budget and more then error "maintain left some" end
  local refusing = self.refusing
  self.refusing = nil
  if budget or refusing then return end
  for _, c in ipairs(self.all) do
    if next(c.m.pending) then error(c.name .. ": not told of all") end
    if not c.elsewhere then
      check(0, lode[c.kind].stats(c.d).expired, c.name .. ": expired")
    end
  end
end

-- Who knows no policy and no on_expire removes nothing by them.
function world:maintain_by_tool ()
  if self.depth > 0 then return end
  self:note "the tool maintains"
  for _, c in ipairs(self.all) do
    if not c.elsewhere then self:by_tool(c) end
  end
  self.tool:maintain()
end

-- ==================================================================
-- Whole collections
-- ==================================================================

-- Who is dead and was not told of yet goes with its collection.
function world:sweep_before (c)
  if c.life.told and self.depth == 0 then self:maintain(true) end
end

-- Drops a dict and makes it again: old handles must know.
function world:recreate ()
  local c = self.r:pick(self.dicts)
  self:sweep_before(c)
  self:note("drop " .. c.name)
  assert(self.store:drop(c.name))
  local ok, e = pcall(function () return c.d[1] end)
  assert(not ok and e.code == "NOT_FOUND", tostring(e))
  c.m = oracle.new(c.m.pool, c.m.clock, c.life, c)
  c.d = self.store:dict(c.name, c.options)
  c.d2, c.bare = nil, nil
end

function world:rename ()
  local c = self.r:pick(self.dicts)
  local new = c.name:gsub("%d*$", "") .. self.r:int(1000)
  if new == c.name then return end
  self:note("rename " .. c.name .. " " .. new)
  assert(self.store:rename(c.name, new))
  c.name = new
  assert(dict.name(c.d) == new)
end

function world:clear ()
  local c = self.r:pick(self.all)
  if c.elsewhere and self.depth > 0 then return end
  self:sweep_before(c)
  self:note("clear " .. c.name)
  local n = lode[c.kind].clear(c.d)
  if n ~= c.m.n then error("clear: " .. n .. ", not " .. c.m.n) end
  c.m:clear()
end

function world:copy ()
  local c = self.r:pick(self.dicts)
  self:note("copy " .. c.name)
  local twin = dict.copy(c.d, "copy")
  dict_steps.compare(twin, c.m, "copy")
  for i, key in ipairs(c.m.pool.keys) do
    if c.m.values[i] ~= nil then
      dict_steps.check_left(c.m, i, dict.ttl(twin, key), "copy's ttl")
    end
  end
  assert(self.store:drop "copy")
end

function world:reopen ()
  if self.depth > 0 then return end
  self:note "reopen"
  self:close()
  self:open()
end

-- ==================================================================
-- Steps
-- ==================================================================

-- Up to this number of 1000, this; below it, what stands before.
local rare = {
  { 15, "transaction" }, { 20, "snapshot" }, { 23, "recreate" },
  { 27, "rename" }, { 30, "clear" }, { 32, "copy" }, { 35, "reopen" },
  { 40, "swell" }, { 60, "tick" }, { 65, "maintain" }, { 67, "lengthen" },
  { 70, "look_by_tool" }, { 71, "maintain_by_tool" }, { 73, "weigh" },
}

local function may (self, name)
  if name == "transaction" then return self.depth < 3 end
  return name ~= "swell" or self.map_size
end

local function one_step (self)
  local r = self.r
  self.writes_by_second = false
  local kind = r:int(1000)
  for _, one in ipairs(rare) do
    if kind <= one[1] and may(self, one[2]) then
      return self[one[2]](self)
    end
  end
  local step, c
  if kind <= 100 then
    step = r:pick(on_expression)
    c = self.sets[r:int(self.depth == 0 and 3 or 2)]
    self:note(step.name .. " " .. c.name)
    local store = c.elsewhere and self.other or self.store
    return step.fn(r, self.sets, c, store)
  elseif kind <= 300 then
    step = r:pick(on_set)
    c = self.sets[r:int(self.depth == 0 and 3 or 2)]
  else
    step, c = r:pick(on_dict), r:pick(self.dicts)
  end
  local d = self:either(c)
  self:note(("%s %s%s"):format(step.name, c.name,
    self.writes_by_second and ", second handle" or ""))
  local at = #self.log
  r.at, self.batch = nil, step.batch
  step.fn(r, d, c.m)
  if r.at then self.log[at] = self.log[at] .. ", key " .. r.at end
end

function world:step ()
  self.steps = self.steps + 1
  self.late = self.late or {}
  one_step(self)
  self:settle()
end

-- Runs steps until there were `most`: each from a seed of its own, so that
-- one can be left out and the others stay as they are. `wanted` (nil: all)
-- says by number which.
function world:run (most, wanted)
  local state, due = self.r.state, 50
  self.at = 0
  while self.steps < most and (not wanted or self.at < wanted.last) do
    self.at = self.at + 1
    state = state * 48271 % 2147483647
    if not wanted or wanted[self.at] then
      self.r.state = state
      self:step()
    end
    if self.steps >= due then
      self:compare "all"
      due = self.steps + 50
    end
  end
  self:compare "at the end"
  self:reopen()
  self:compare "reopened"
  self:maintain(true)
  self:compare "swept"
end

return world
