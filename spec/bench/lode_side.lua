-- lode_side.lua - the benchmark's Lua side, the mirror of raw.c:
--
--   lua5.4 spec/bench/lode_side.lua JOB DIRECTORY N [OPS]
--
-- runs one job over N entries, from the top of the checkout, and prints
-- nanoseconds per operation (the job "memory" prints KiB). Without OPS it
-- warms up and goes on for 0.3 s at least; with OPS it does just so many
-- operations, for counting instructions; a load is done once. The jobs
-- named floor_* don't use lode: see floor_lua.c. The jobs put_commit and
-- put_behind wait for a disk: theirs is the time of the clock on the wall.
-- An operation of a sweep is an entry that is removed.

local vm = jit and "luajit" or "lua" .. _VERSION:match "%d%.%d"
package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
package.cpath = "build/" .. vm .. "/?.so;build/bench/?.so;" .. package.cpath

local floor = require "floor_lua"

local STEP = 1000       -- operations between two looks at the clock
local LONG_ENOUGH = 0.3 -- seconds
local VALUES = 256
local DUE = 1000        -- entries that a sweep removes
local TTL = 1e8         -- seconds that entries with an end have
local CACHED = 1000     -- entries that are read again and again

local name, path, n, ops = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])

-- How Lua's and malloc's memory happen to lie makes up to an eighth of a
-- loop that makes strings. So each round begins with another heap.
local function ballast(count)
  local strings = {}
  for i = 1, count do strings[i] = string.rep("x", 40 + i * 13 % 200) end
  return function () return strings end
end
local keep = ballast(7 * (tonumber(os.getenv "LODE_BENCH_ROUND") or 0))

-- Values are made once: what is measured is lode's work, not theirs.
local values = {}
for i = 0, VALUES - 1 do values[i] = floor.value(i) end

local function value(i) return values[i % VALUES] end

local function small_table()
  return { name = "Ada", plan = "pro", n = 42, tags = { "a", "b", "c" } }
end

-- What a job works on: { keys =, d =, ... }, d being what is indexed.

local function visited(at) return floor.key(0, floor.visit(at, n)) end
local function absent(at) return floor.key(1, at) end
local function loaded(at) return floor.key(0, at) end

-- Where instructions are counted, a tenth of the entries is visited again
-- and again: many short cycles of the collector fall evenly on both counts.
local distinct = ops and n / 10 or n

local function make_keys(make)
  local keys = {}
  for at = 0, distinct - 1 do keys[at] = make(at) end
  return keys
end

local function open(make)
  return function ()
    local lode = require "lode"
    local store = lode.open(path, { durability = "os" })
    return {
      lode = lode, store = store, d = store:dict "d",
      keys = make and make_keys(make),
    }
  end
end

local function open_floor(make)
  return function ()
    return { d = floor.open(path), keys = make and make_keys(make) }
  end
end

-- Entries with an end, and a clock that is set: `now`. Due are those of
-- the keys that `make` gives.
local function open_timed(make)
  return function ()
    local lode = require "lode"
    local on = { lode = lode, now = os.time(), due = {} }
    on.store = lode.open(path, {
      durability = "os", maintenance = "off",
      clock = function () return on.now end,
    })
    on.d = on.store:dict("d", { ttl = TTL })
    for i = 0, DUE - 1 do on.due[i] = make(i) end
    return on
  end
end

local function spread(i) return floor.key(0, i * (n / DUE)) end
local function beside(i) return "~" .. floor.ascending(i) end

-- Entries with an end, by the system's clock.
local function open_mortal(make)
  return function ()
    local lode = require "lode"
    local store = lode.open(path, { durability = "os" })
    return {
      lode = lode, store = store, d = store:dict("d", { ttl = TTL }),
      keys = make and make_keys(make),
    }
  end
end

-- CACHED entries that are strings or tables, in `d`: a dict with a cache,
-- one without, or a plain table.
local function open_hot(dict_of, value_of)
  return function ()
    local lode = require "lode"
    local store = lode.open(path, { durability = "os" })
    local on = { store = store, keys = {} }
    on.d = dict_of == "table" and {}
      or store:dict(dict_of, { cache = dict_of == "cached" and CACHED or nil })
    for i = 0, CACHED - 1 do
      on.keys[i] = floor.key(0, i)
      on.d[on.keys[i]] = value_of(i)
    end
    return on
  end
end

local function open_sets()
  local lode = require "lode"
  local store = lode.open(path, { durability = "os" })
  return { lode = lode, store = store, a = store:set "a", b = store:set "b" }
end

-- Steps: each does some operations from `at` on and gives their number.

local function get_step(on, at)
  local d, keys = on.d, on.keys
  for i = at, at + STEP - 1 do
    local _ = d[keys[i]]
  end
  return STEP
end

-- Maps the file's pages as a walk does, which the floor hasn't.
local function get_all(on)
  for at = 0, n - 1, STEP do get_step(on, at) end
end

local function has_step(on, at)
  local d, keys, has = on.d, on.keys, on.lode.dict.has
  for i = at, at + STEP - 1 do
    local _ = has(d, keys[i])
  end
  return STEP
end

local function put_step(on, at)
  local d, keys = on.d, on.keys
  for i = at, at + STEP - 1 do
    d[keys[i]] = values[i % VALUES]
  end
  return STEP
end

-- All of them once; STEP is as many.
local function hot_step(on)
  local d, keys = on.d, on.keys
  for i = 0, CACHED - 1 do
    local _ = d[keys[i]]
  end
  return CACHED
end

-- Writes entries whose end comes at once.
local function make_due(on)
  on.store:transaction(function ()
    for i = 0, DUE - 1 do
      on.lode.dict.set(on.d, on.due[i], values[i % VALUES], 1)
    end
  end)
  on.now = on.now + 2
end

local function sweep_step(on)
  local removed, more = on.store:maintain()
  assert(removed == DUE and not more, "the sweep removed another number")
  return removed
end

local function batch_step(on, at)
  on.store:transaction(put_step, on, at)
  return STEP
end

-- The loads take one transaction: what follows finds no free pages.

local function load_step(on)
  on.store:transaction(function ()
    local d, keys = on.d, on.keys
    for i = 0, n - 1 do d[keys[i]] = values[i % VALUES] end
  end)
  return n
end

local function load_tables_step(on)
  on.store:transaction(function ()
    local d, keys = on.d, on.keys
    for i = 0, n - 1 do d[keys[i]] = small_table() end
  end)
  return n
end

-- Two sets of n members, half of each in both.
local function load_sets_step(on)
  on.store:transaction(function ()
    for i = 0, n - 1 do
      on.a[floor.key(0, i)] = true
      on.b[floor.key(0, i + n / 2)] = true
    end
  end)
  return n
end

local function walk_step(on)
  local seen = 0
  for _, _ in on.lode.dict.pairs(on.d) do seen = seen + 1 end
  assert(seen == n, "the walk missed entries")
  return seen
end

-- A generic for over plain memory; its last call begins it anew.
local function floor_walk_step(on)
  local seen = 0
  for _, _ in on.next, on.memory do seen = seen + 1 end
  assert(seen == n, "the floor's walk missed entries")
  return seen
end

-- An operation is a member of either set read.
local function merge_step(on)
  assert(#(on.a * on.b) == n / 2, "the merge miscounted")
  return 2 * n
end

-- A new store, so that no load finds free pages.
local function remove_store(on)
  on.store:close()
  os.execute("rm -rf '" .. path .. "'")
  on.store = on.lode.open(path, { durability = "os" })
  on.d = on.store:dict "d"
end

local function append_step(on)
  local keys, i = on.keys, -1
  local written = on.lode.dict.put_many(on.d, function ()
    i = i + 1
    return keys[i], values[i % VALUES]
  end)
  assert(written == n, "put_many wrote another number")
  return n
end

local function append_table_step(on)
  assert(on.lode.dict.put_many(on.d, on.entries) == n)
  return n
end

-- KiB of memory that are the process's own: pages of the mapped file count
-- into its resident size too, but they are the kernel's cache.
local function own_memory()
  local file = assert(io.open "/proc/self/status")
  local status = file:read "*a"
  file:close()
  return tonumber(status:match "RssAnon:%s*(%d+)")
end

-- The most memory that a walk needs above the idle process with its store
-- open, looked at every 1,000 entries.
local function print_memory(on)
  collectgarbage()
  local idle, peak, seen = own_memory(), 0, 0
  for _, _ in on.lode.dict.pairs(on.d) do
    seen = seen + 1
    if seen % STEP == 0 then peak = math.max(peak, own_memory()) end
  end
  assert(seen == n, "the walk missed entries")
  print(math.max(peak - idle, 0))
end

local function open_append_table()
  local on = open()()
  on.entries = {}
  for i = 0, n - 1 do on.entries[floor.ascending(i)] = values[i % VALUES] end
  return on
end

local function open_memory()
  local next_entry, memory = floor.each(n)
  return { next = next_entry, memory = memory }
end

local function open_durable(durability)
  return function ()
    local lode = require "lode"
    local store = lode.open(path, { durability = durability })
    return { store = store, d = store:dict "d", keys = make_keys(visited) }
  end
end

-- All that was put must be on disk before the clock is stopped.
local function flush(on) on.store:flush() end

local jobs = {
  load = { open = open(loaded), step = load_step, once = true },
  load_ascending = {
    open = open(floor.ascending), step = append_step, once = true,
  },
  load_tables = {
    open = open(loaded), step = load_tables_step, once = true,
  },
  load_mortal = { open = open_mortal(loaded), step = load_step, once = true },
  load_sets = { open = open_sets, step = load_sets_step, once = true },
  get = { open = open(visited), step = get_step, warm = walk_step },
  absent = { open = open(absent), step = get_step, warm = walk_step },
  has = { open = open(absent), step = has_step, warm = walk_step },
  has_present = { open = open(visited), step = has_step, warm = walk_step },
  walk = { open = open(), step = walk_step, warm = walk_step },
  put = { open = open(visited), step = put_step, warm = walk_step },
  put_commit = {
    open = open_durable "commit", step = put_step, clock = floor.wall,
    finish = flush,
  },
  put_behind = {
    open = open_durable "behind", step = put_step, clock = floor.wall,
    finish = flush,
  },
  batch = { open = open(visited), step = batch_step, warm = walk_step },
  append = {
    open = open(floor.ascending), prepare = remove_store, step = append_step,
  },
  append_table = {
    open = open_append_table, prepare = remove_store,
    step = append_table_step,
  },
  merge = { open = open_sets, step = merge_step },
  memory = { open = open(), print = print_memory },
  get_mortal = {
    open = open_mortal(visited), step = get_step, warm = walk_step,
  },
  put_mortal = {
    open = open_mortal(visited), step = put_step, warm = walk_step,
  },
  sweep = { open = open_timed(spread), prepare = make_due,
            step = sweep_step },
  sweep_beside = { open = open_timed(beside), prepare = make_due,
                   step = sweep_step },
  hit_string = { open = open_hot("cached", value), step = hot_step },
  hit_table = { open = open_hot("cached", small_table), step = hot_step },
  miss_string = { open = open_hot("plain", value), step = hot_step },
  miss_table = { open = open_hot("plain", small_table), step = hot_step },
  floor_hit_string = { open = open_hot("table", value), step = hot_step },
  floor_hit_table = { open = open_hot("table", small_table),
                      step = hot_step },
  floor_get = {
    open = open_floor(visited), step = get_step, warm = get_all,
  },
  floor_put = {
    open = open_floor(visited), step = put_step, warm = get_all,
  },
  floor_walk = { open = open_memory, step = floor_walk_step },
}

local job = assert(jobs[name], "no such job")
assert(n % STEP == 0, "N is in thousands")
local on = job.open()
if job.print then
  job.print(on)
else
  if not ops and job.warm then job.warm(on) end
  collectgarbage()
  local done, spent, clock = 0, 0, job.clock or floor.clock
  repeat
    if job.prepare then job.prepare(on) end
    local start = clock()
    done = done + job.step(on, done % distinct)
    spent = spent + (clock() - start)
  until job.once or ops and done >= ops or not ops and spent >= LONG_ENOUGH
  if job.finish then
    local start = clock()
    job.finish(on)
    spent = spent + (clock() - start)
  end
  print(string.format("%.3f", spent * 1e9 / done))
end
if on.store then on.store:close() end
keep() -- the ballast, until here
