-- resty.lode: dictionaries with the methods of ngx.shared.DICT, on disk.
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

---lode's own: what is known of a store. It isn't in what the caller has, where
---each name is a dict's.
---@class resty.lode.home
---@field store lode.store
---@field dicts table<string, resty.lode.dict>
---Seconds between slices.
---@field every number
---Of a slice.
---@field budget lode.budget
---Whether somebody has to sync.
---@field os boolean
---The version that was, last.
---@field synced integer|false
---Whether this worker has a timer.
---@field awake boolean
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
-- Dicts by their names
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

---What `resty.open` gives, in the place of `ngx.shared`: each field is a dict,
---made when absent, but for the names of the functions here.
---@class resty.lode.shared: { [string]: resty.lode.dict }
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
---options they can be left out. Raises why it can't be, as text.
---```lua
---local cats = shared:dict("cats", { max_entries = 100 })
---print(cats == shared.cats)                                --> true
---```
---@param name string
---@param options lode.dict_options?
---@return resty.lode.dict
function functions:dict (name, options)
  local home = self[HOME]
  if type(name) ~= "string" then
    error(('bad "name" argument: a string expected, got %s')
      :format(type(name)), 2)
  end
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
---```lua
---dogs:set("Jim", 8)
---print(shared:store():dict("dogs").Jim)                    --> 8
---```
---@return lode.store
function functions:store ()
  local home = self[HOME]
  home:wake() -- what is written by it has to be synced as well
  return home.store
end

---One slice of what a timer does in nginx: what was written begins to be
---synced, some of what has died is removed. Elsewhere call it every so often.
---```lua
---dogs:set("Jim", 8)
---print(shared:upkeep())                                    --> 0 false
---```
---@return integer removed
---@return boolean more whether there is more to remove
function functions:upkeep () return self[HOME]:upkeep() end

---Closes the store, and its dicts with it.
---```lua
---shared:close()
---print((select(2, dogs:get "Jim"):match "^%u+"))           --> CLOSED
---```
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

---What `resty.open` takes. Other defaults than those of `lode.open`:
---`durability` is "os", `lock_timeout` 1, and in nginx `maintenance` is "off",
---and `log` nginx's.
---@class resty.lode.options: lode.open_options
---Seconds between slices of upkeep; default 1.
---@field every number?
---Most entries that a slice removes; default 500.
---@field sweep_entries number?
---Most milliseconds that a slice takes; default 5.
---@field sweep_ms number?
---Seconds that what has expired stays for `dogs:get_stale`; default 60.
---@field stale number?

-- Upkeep's options and their defaults.
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
      error(("option '%s': a number %s expected, got %s"):format(name,
        name == "stale" and "from 0 on" or "above 0", tostring(value)), 3)
    end
  end
  return ours, theirs
end

---What `require "resty.lode"` gives.
---@class resty.lode
---The version of lode.
---@field version string
---The field by which a stored table says that it is no value of a caller's but
---one with flags, or a list; see resty/lode/entry.lua.
---@field KIND string
local resty = { version = lode.version, KIND = entry.KIND }

---Opens the store at a path. Its dicts are fields: `shared.dogs`. In
---init_by_lua as well: each worker has it open for itself after the fork.
---Raises why it can't be opened, as text.
---```lua
---local tiny = require("resty.lode").open("tiny", { stale = 0 })
---tiny.cats:set("Tom", 1)
---print(tiny.cats:get "Tom")                                --> 1
---tiny:close()
---```
---@param path string
---@param options resty.lode.options?
---@return resty.lode.shared
function resty.open (path, options)
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

return resty
