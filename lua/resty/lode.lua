--- resty.lode: dictionaries with the methods of ngx.shared.DICT, on disk.
--
--     init_by_lua_block {
--       shared = require("resty.lode").open "/var/lib/app/data"
--     }
--     content_by_lua_block {
--       local dogs = shared.dogs
--       dogs:set("Jim", 8, 60)
--       ngx.say(dogs:get "Jim")
--     }
--
-- What the methods take, give and say is what lua-nginx-module documents:
-- what fails is returned as nil or false and words, misuse raises. An entry
-- stands in the dict of its name, under its key, as any program that opens
-- the store reads it; see resty.lode.entry for what has flags.

local entry = require "resty.lode.entry"
local list = require "resty.lode.list"
local lode = require "lode"

local error, pcall, rawset, tostring, type =
  error, pcall, rawset, tostring, type

local ngx = rawget(_G, "ngx")

-- What is known of a store. It isn't in what the caller has, where each name
-- is a dict's.
---@class resty.lode.home
---@field store lode.store
---@field dicts table<string, resty.lode.dict>
---@field every number seconds between slices
---@field budget lode.budget of a slice
---@field os boolean whether somebody has to sync
---@field synced integer|false the version that was, last
---@field awake boolean whether this worker has a timer
---@field closed boolean
local home_methods = {}

local home_metatable = { __index = home_methods }

local HOME = {} -- where `shared` has it

-- {==================================================================
-- Upkeep, from a timer of each worker
-- ===================================================================

-- One slice: what was written begins to be synced, some of what has died is
-- removed.
---@return integer removed
---@return boolean more whether there is more to remove
function home_methods:upkeep ()
  local store = self.store
  local version = store:version()
  if self.os and version ~= self.synced then
    store:flush { wait = false }
    self.synced = version
  end
  local removed, more = store:maintain(self.budget)
  for _, d in pairs(self.dicts) do
    if d.lists then list.drop_orphans(d) end
  end
  return removed, more
end

-- A slice, and the next one as soon as others have had their turn.
local function slice (premature, home)
  if premature or home.closed then return end
  local ok, removed, more = pcall(home.upkeep, home)
  if not ok then
    local e = removed
    if type(e) ~= "table" or e.code ~= "BUSY" then
      ngx.log(ngx.ERR, "resty.lode: ", tostring(e))
    end
  elseif more then
    ngx.timer.at(0, slice, home)
  end
end

-- Starts the timer of this worker, where timers can be started. A timer that
-- the master would start is none of the workers'.
function home_methods:wake ()
  if self.awake or not ngx or ngx.get_phase() == "init" then return end
  self.awake = true
  local called, ok, err = pcall(ngx.timer.every, self.every, slice, self)
  if called and ok then return end
  if err ~= "process exiting" then
    self.awake = false
    ngx.log(ngx.ERR, "resty.lode: no timer: ", called and err or ok)
  end
end

-- }==================================================================

-- {==================================================================
-- Stores
-- ===================================================================

local methods = {}
for _, part in ipairs { "dict", "more" } do
  for name, method in pairs(require("resty.lode." .. part)) do
    methods[name] = method
  end
end
for name, method in pairs(list.methods) do methods[name] = method end

-- Out of reach: resty.core.shdict puts methods of its own into what the
-- metatable of the first dict in ngx.shared has.
local metatable = { __index = methods, __metatable = "resty.lode" }

---@class resty.lode.shared
---@field [string] resty.lode.dict but for the names of the functions below
local functions = {}

-- nginx's log shows an error only as text.
local function in_words (ok, ...)
  if ok then return ... end
  error(tostring((...)), 0)
end

-- The dict of lode with its options, and that of its lists if there is one.
local function open_dict (store, name, options)
  local lists
  for there in store:collections() do
    if there == name .. list.SUFFIX then lists = store:dict(there) end
  end
  return store:dict(name, options), lists
end

-- Whether two tables have the same fields.
local function same (a, b)
  for name, value in pairs(a) do
    if b[name] ~= value then return false end
  end
  for name in pairs(b) do
    if a[name] == nil then return false end
  end
  return true
end

---The dict of this name, made when absent; once it was opened with some
---options they can be left out. Raises why it can't be.
---@param name string
---@param options lode.dict_options?
---@return resty.lode.dict
function functions:dict (name, options)
  local home = self[HOME]
  local known = home.dicts[name]
  if known and (options == nil or same(options, known.options)) then
    return known
  end
  local given = {}
  for option, value in pairs(options or {}) do given[option] = value end
  local d, lists = in_words(pcall(open_dict, home.store, name, given))
  local new = setmetatable({
    d,
    home = home,
    name = name,
    lists = lists,
    options = given,
  }, metatable)
  home.dicts[name] = new
  if not functions[name] then rawset(self, name, new) end
  home:wake()
  return new
end

---The store below, for all else that lode can.
---@return lode.store
function functions:store () return self[HOME].store end

---One slice of what a timer does in nginx: what was written begins to be
---synced, some of what has died is removed.
---@return integer removed
---@return boolean more whether there is more to remove
function functions:upkeep () return self[HOME]:upkeep() end

---Closes the store, and its dicts with it.
function functions:close ()
  local home = self[HOME]
  home.closed = true
  home.store:close()
end

local shared_metatable = {}

function shared_metatable.__index (shared, name)
  local found = functions[name]
  if found or type(name) ~= "string" then return found end
  return shared:dict(name)
end

-- }==================================================================

-- {==================================================================
-- Opening
-- ===================================================================

---@class resty.lode.options: lode.open_options what differs from lode.open:
--- durability is "os", lock_timeout 1, and in nginx maintenance is "off"
---@field every number? seconds between slices of upkeep; default 1
---@field sweep_entries integer? most entries that a slice removes; 500
---@field sweep_ms integer? most milliseconds that it takes; default 5
---@field stale number? seconds that what has expired stays for get_stale;
--- default 60

local own = { every = 1, sweep_entries = 500, sweep_ms = 5, stale = 60 }

-- The log of a store goes to nginx's.
local function to_nginx (level, message)
  local levels = { debug = ngx.DEBUG, info = ngx.INFO, warn = ngx.WARN }
  ngx.log(levels[level] or ngx.ERR, "resty.lode: ", message)
end

-- The options that are upkeep's, and those that are lode's.
local function separate (options)
  local ours, theirs = {}, { durability = "os", lock_timeout = 1 }
  if ngx then theirs.maintenance, theirs.log = "off", to_nginx end
  for name, default in pairs(own) do ours[name] = default end
  for name, value in pairs(options or {}) do
    if not own[name] then
      theirs[name] = value
    elseif type(value) == "number" and value >= 0 and
           (value > 0 or name == "stale") then
      ours[name] = value
    else
      error(("option '%s': a number of at least 0 expected"):format(name), 3)
    end
  end
  return ours, theirs
end

---Opens the store at a path. Its dicts are fields: shared.dogs. In
---init_by_lua as well: each worker has it open for itself after the fork.
---Raises why it can't be opened, as text.
---@param path string
---@param options resty.lode.options?
---@return resty.lode.shared
local function open (path, options)
  local ours, theirs = separate(options)
  local home = setmetatable({
    store = in_words(pcall(lode.open, path, theirs)),
    dicts = {},
    every = ours.every,
    budget = { entries = ours.sweep_entries, ms = ours.sweep_ms,
               age = ours.stale },
    os = theirs.durability == "os",
    synced = false,
    awake = false,
    closed = false,
  }, home_metatable)
  return setmetatable({ [HOME] = home }, shared_metatable)
end

-- }==================================================================

return { open = open, version = lode.version, KIND = entry.KIND }
