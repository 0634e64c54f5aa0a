-- One of several workers, in threads and processes, on one store: random
-- steps on keys of its own in collections that all of them share, and an
-- oracle of these keys. What is everybody's are counters, and the number of
-- each worker's dead.
--
-- Time stands still while the workers are at work. Between two rounds they
-- wait for each other, and then all clocks jump, forward or back.

local dict_steps = require "model.dict_steps"
local exact = require "support.exact"
local lode = require "lode"
local oracle = require "model.oracle"
local policy = require "lode.policy"
local random = require "model.random"
local set_steps = require "model.set_steps"

local dict, set = lode.dict, lode.set
local check = exact.check

local worker = {}
worker.__index = worker

-- The steps that look at no key of another worker.
local by_key = {
  "write", "dict.set", "read", "dict.get", "delete by index", "dict.delete",
  "dict.has", "dict.add", "dict.replace", "dict.pop", "dict.setdefault",
  "dict.update", "dict.incr", "dict.cas", "dict.put_many", "dict.get_many",
  "dict.delete_many", "dict.fetch", "dict.ttl", "dict.expire", "dict.touch",
  "dict.info", "set.add", "member by index", "set.remove", "set.has",
  "set.add_many", "set.remove_many", "set.ttl and info", "set.expire",
  "set.touch",
}

local function chosen (steps)
  local wanted, out = {}, {}
  for _, name in ipairs(by_key) do wanted[name] = true end
  for _, step in ipairs(steps) do
    for _ = 1, wanted[step.name] and step.weight or 0 do
      out[#out + 1] = step
    end
  end
  return out
end

local on_dict, on_set = chosen(dict_steps.steps), chosen(set_steps.steps)

-- The clock in each round: the same for all workers of a seed.
function worker.times (seed, rounds)
  local r, now, times = random.new(seed), 1e6, {}
  for i = 1, rounds do
    times[i] = now
    now = now + (r:one_in(4) and -r:int(60) or r:int(40))
  end
  return times
end

local function keys_of (r, name)
  local keys = {}
  for i, key in ipairs(r:keys(true)) do
    keys[i] = { name, key }
    if type(key) == "table" then
      keys[i] = { name }
      for at, v in ipairs(key) do keys[i][at + 1] = v end
    end
  end
  return oracle.pool(keys, false)
end

-- options: path; name; seed and number, of the worker among those of the
-- seed; rounds, steps (of a round); idle: all workers are in one process,
-- so that each sweep knows of all reads.
function worker.new (options)
  local r = random.new(options.seed * 100 + options.number)
  local clock = { now = 1e6, journal = {} }
  local self = setmetatable({ r = r, name = options.name, clock = clock,
    path = options.path, rounds = options.rounds, steps = options.steps,
    times = worker.times(options.seed, options.rounds), depth = 0,
    counted = 0, died = 0, log = {}, all = {} }, worker)
  local pool = keys_of(r, self.name)
  local function collection (kind, name, given, life)
    local c = { kind = kind, name = name, options = given }
    c.m = oracle.new(pool, clock, life, c)
    self.all[#self.all + 1] = c
  end
  collection("dict", "plain", {}, {})
  collection("dict", "brief", { ttl = 25, times = true },
    { ttl = 25, times = true })
  collection("dict", "mourned", { ttl = 20, on_expire = function (key)
    dict.incr(self.deaths, key[1])
  end }, { ttl = 20, told = true })
  collection("dict", "age", { expire = policy.age(30) }, { times = true,
    policy = function (t) return t.ctime + 30 end, unread = true })
  if options.idle then
    collection("dict", "idle", { expire = policy.idle(25) },
      { times = true, policy = function (t) return t.atime + 25 end })
  end
  collection("set", "first", {}, {})
  collection("set", "second", { ttl = 25 }, { ttl = 25 })
  self:open()
  return self
end

function worker:open ()
  self.store = lode.open(self.path, { durability = "os", lock_timeout = 120,
    map_size = self.r:one_in(3) and 2 ^ 20 or nil,
    clock = function () return self.clock.now end })
  self.counters = self.store:dict "counters"
  self.deaths = self.store:dict "deaths"
  for _, c in ipairs(self.all) do
    c.d = self.store[c.kind](self.store, c.name, c.options)
  end
end

function worker:note (text)
  self.log[#self.log % 12 + 1] = text
end

-- All that is its own, and how many.
function worker:compare (what)
  for _, c in ipairs(self.all) do
    local mine, keys, values = { prefix = { self.name } }, {}, nil
    if c.kind == "dict" then
      values = {}
      for key, value in dict.pairs(c.d, mine) do
        keys[#keys + 1], values[#values + 1] = key, value
      end
    else
      for x in set.each(c.d, mine) do keys[#keys + 1] = x end
    end
    what = what .. ", " .. c.name
    c.m:check(keys, values, c.m:select {}, nil, what)
    check(c.m.n, lode[c.kind].count(c.d, mine), what .. ": count")
  end
end

function worker:save ()
  local kept = { counted = self.counted, journal = #self.clock.journal }
  for i, c in ipairs(self.all) do kept[i] = c.m:copy() end
  return kept
end

function worker:restore (kept)
  self.counted = kept.counted
  for i, c in ipairs(self.all) do c.m = kept[i] end
  local journal = self.clock.journal
  for at = kept.journal + 1, #journal do
    journal[at].owner.m:read(journal[at].i, journal[at].at)
  end
end

function worker:transaction ()
  local kept, mine = self:save(), {}
  local fails = self.r:one_in(3)
  local ok, e = pcall(self.store.transaction, self.store, function ()
    self.depth = self.depth + 1
    for _ = 1, self.r:int(12) do self:step() end
    if self.r:one_in(8) then self:compare "in a transaction" end
    self.depth = self.depth - 1
    if fails then error(mine) end
  end)
  if fails then
    if e ~= mine then error(e, 0) end
    self:restore(kept)
  elseif not ok then
    error(e, 0)
  end
end

function worker:step ()
  local r = self.r
  local kind = r:int(100)
  if kind <= 3 and self.depth < 3 then
    self:note "transaction"
    return self:transaction()
  elseif kind <= 5 and self.depth == 0 then
    self:note "reopen"
    self.store:close()
    return self:open()
  elseif kind <= 7 and self.depth == 0 then
    self:note "maintain"
    return self.store:maintain { entries = r:int(20) }
  elseif kind <= 15 then
    self:note "count"
    local by = r:int(9)
    dict.incr(self.counters, r:int(3), by)
    self.counted = self.counted + by
    return
  end
  local c = r:pick(self.all)
  local step = r:pick(c.kind == "dict" and on_dict or on_set)
  self:note(step.name .. " " .. c.name)
  step.fn(r, c.d, c.m)
end

-- Goes to a round: who has died since is dead, and stays dead.
function worker:enter (round)
  self.clock.now = self.times[round]
  for _, c in ipairs(self.all) do
    local before = oracle.count(c.m.values)
    c.m:pass()
    if c.m.life.told then
      self.died = self.died + before - oracle.count(c.m.values)
    end
  end
  self:compare("round " .. round)
end

-- Runs all rounds. `meet(round)` returns when all workers have come there.
-- Gives what it has counted, and how many of the mourned have died.
function worker:run (meet)
  for round = 1, self.rounds do
    meet(round)
    self:enter(round)
    meet(round + 0.5) -- before anything is written, all have seen the time
    for _ = 1, self.steps do self:step() end
    self:compare("the end of round " .. round)
  end
  self.store:close()
  return self.counted, self.died
end

local function there (path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- Waits until a file is there, made by a worker, if none has failed.
local function await (path, failed)
  for _ = 1, 12000 do
    if there(path) then return end
    if there(failed) then error "another worker has failed" end
    os.execute "sleep 0.005"
  end
  error("nobody made " .. path)
end

-- Runs a worker that meets the others by files beside its store; what it
-- gave, or what was wrong, is written to the file `report`.
function worker.work (options, report)
  local self
  local function meet (round)
    local base = ("%s.%s.%s"):format(options.path, options.number, round)
    assert(io.open(base, "w")):close()
    for number = 1, options.workers do
      await(("%s.%s.%s"):format(options.path, number, round),
        options.path .. ".failed")
    end
  end
  local ok, counted, died = xpcall(function ()
    self = worker.new(options)
    return self:run(meet)
  end, function (e) return debug.traceback(tostring(e), 2) end)
  local file = assert(io.open(report, "w"))
  if ok then
    file:write(("done %d %d"):format(counted, died))
  else
    assert(io.open(options.path .. ".failed", "w")):close()
    file:write(("worker %s, after %s: %s"):format(options.name,
      self and table.concat(self.log, ", ") or "nothing", counted))
  end
  file:close()
end

return worker
