--- What `lode report` shows: the figures of a store, as of one moment.
--
-- Each collection is walked once, by its keys: no value is decoded, so a
-- serializer that is unknown here is none that is missed.

local cli = require "lode.cli"
local lode = require "lode"
local shell = require "lode.cli.shell"
local stores = require "lode.cli.stores"
local terminal = require "lode.cli.terminal"

local figures = {}

-- ==================================================================
-- Scales: how many entries are up to this much, up to that
-- ==================================================================

-- The upper ends of the steps; after the last of them comes the rest.
local minute, hour, day = 60, 3600, 86400
local spans = { minute, hour, day, 7 * day, 30 * day, 365 * day }
local sizes = { 16, 64, 256, 1024, 4096, 16384, 65536, 1048576 }

---@class lode.cli.scale
---@field limits number[] a step holds what is below its limit (a span) or up
--- to it (a size); the step after the last limit holds the rest
---@field counts integer[] one for each limit, and one for the rest
---@field none integer entries that have no such figure
---@field unknown integer entries whose figure nobody can tell here

local function scale (limits)
  local counts = {}
  for i = 1, #limits + 1 do counts[i] = 0 end
  return { limits = limits, counts = counts, none = 0, unknown = 0 }
end

local function add_span (s, seconds)
  local step, limits = 1, s.limits
  while limits[step] and seconds >= limits[step] do step = step + 1 end
  s.counts[step] = s.counts[step] + 1
end

local function add_size (s, bytes)
  local step, limits = 1, s.limits
  while limits[step] and bytes > limits[step] do step = step + 1 end
  s.counts[step] = s.counts[step] + 1
end

-- ==================================================================
-- The walk
-- ==================================================================

-- What is known of an entry; nil where it can't be asked for: its key is
-- long, and the hash function isn't here.
local function info_of (c, key)
  if not c.opaque.key and not c.options.hash then
    return c.fn.info(c.handle, key)
  end
  local ok, info = pcall(c.call, c, "info", key)
  if ok then return info end
  if not c.options.hash or cli.is_interrupt(info) then error(info, 0) end
end

local function count_times (found, info, now)
  if info.expires then add_span(found.lives, info.expires - now)
  else found.lives.none = found.lives.none + 1 end
  if info.ctime then add_span(found.ages, now - info.ctime)
  else found.ages.none = found.ages.none + 1 end
end

-- One entry, in the collection's figures `one` and the store's.
local function count_entry (c, info, one, found)
  one.entries = one.entries + 1
  if not info then
    for _, name in ipairs { "lives", "ages", "values" } do
      found[name].unknown = found[name].unknown + 1
    end
    return
  end
  count_times(found, info, found.time)
  if c.kind == "set" then return end -- members have no value
  local size = info.value_size
  add_size(found.values, size)
  one.value_bytes = one.value_bytes + size
  one.largest_value = math.max(one.largest_value, size)
end

local function each_key (c)
  if c.kind == "set" then return lode.set.each(c.handle) end
  return lode.dict.keys(c.handle)
end

local function count_collection (c, found, bar)
  local stats = c.fn.stats(c.handle)
  local one = { name = c.name, kind = c.kind, options = c.options,
    entries = 0, expired = stats.expired, waiting = stats.waiting,
    size = stats.size, depth = stats.depth, overflow_size = 0,
    value_bytes = 0, largest_value = 0 }
  local pages = stats.branch_pages + stats.leaf_pages + stats.overflow_pages
  if pages > 0 then
    one.overflow_size = math.floor(stats.size / pages) * stats.overflow_pages
  end
  for key in each_key(c) do
    count_entry(c, info_of(c, key), one, found)
    found.entries = found.entries + 1
    if found.entries % 256 == 0 then bar:to(found.entries) end
  end
  found.expired = found.expired + one.expired
  found.waiting = found.waiting + one.waiting
  found.collections[#found.collections + 1] = one
end

-- ==================================================================
-- Space
-- ==================================================================

-- The parts of the file; together they are all of it.
local function space_of (stats, collections)
  local trees, overflow = 0, 0
  for _, one in ipairs(collections) do
    trees = trees + one.size - one.overflow_size
    overflow = overflow + one.overflow_size
  end
  return {
    live = trees,
    overflow = overflow,
    other = math.max(0, stats.used_size - trees - overflow),
    free = stats.free_size,
    unused = math.max(0, stats.file_size - stats.used_size
      - stats.free_size),
  }
end

local function by_size (a, b)
  if a.size ~= b.size then return a.size > b.size end
  return a.name < b.name
end

---The figures of a store.
---@param store lode.store
---@return table figures time: epoch seconds; stats: the store's; entries,
--- expired, waiting: of all collections; collections: by size, the largest
--- first; lives, ages, values: scales; space: bytes of the parts of the file
function figures.of (store)
  local open = {}
  for _, entry in ipairs(stores.list(store)) do
    open[#open + 1] = stores.collection(store, entry.name)
  end
  return store:snapshot(function ()
    local found = { path = shell.absolute(store:path()), time = os.time(),
      stats = store:stats(), entries = 0, expired = 0, waiting = 0,
      collections = {}, lives = scale(spans), ages = scale(spans),
      values = scale(sizes) }
    local bar = terminal.progress("report", found.stats.entries)
    for _, c in ipairs(open) do count_collection(c, found, bar) end
    bar:to(found.entries)
    bar:finish()
    table.sort(found.collections, by_size)
    found.space = space_of(found.stats, found.collections)
    return found
  end)
end

return figures
