--- The methods of ngx.shared.DICT, but for those of lists; see resty.lode.

local entry = require "resty.lode.entry"
local list = require "resty.lode.list"
local lode = require "lode"

local dict = lode.dict
local error, pcall, type = error, pcall, type
local floor = math.floor
local dict_of = entry.dict_of

-- {==================================================================
-- Dicts
-- ===================================================================

---A dict of `resty.lode`: the methods of ngx.shared.DICT and some more. Keys
---are strings, or become ones by `tostring`: of 1 to 65535 bytes, else nil and
---"nil key", "empty key" or "key too long". What fails gives nil or false and
---words: "no memory" where the store is full, else "CODE: message". Misuse, as
---a negative `exptime`, raises text.
---@class resty.lode.dict
---The dict below, for the functions of `lode.dict`.
---@field [1] lode.dict
---Its name.
---@field name string
---lode's own: its store.
---@field home resty.lode.home
---lode's own: the elements of its lists, once there is one.
---@field lists lode.dict?
---lode's own: what it was opened with.
---@field options lode.dict_options
---lode's own: where the next look for elements without a list begins.
---@field orphan integer?
local methods = {}

-- }==================================================================

-- {==================================================================
-- Writing
-- ===================================================================

local function put (d, key, value, ttl)
  dict.set(d, key, value, ttl)
  return true
end

-- Raised in a transaction to undo it.
local no_room = {}

local declined = { [dict.add] = "exists", [dict.replace] = "not found" }

-- Gives also whether others had to go, to keep a cap.
local function write_counted (home, write, d, ...)
  local before = home.store:evicted()
  local done = write(d, ...)
  return done, home.store:evicted() > before
end

-- In a transaction.
local function write_safely (...)
  local done, forcible = write_counted(...)
  if forcible then error(no_room, 0) end
  return done, false
end

-- Writes with `put`, dict.add or dict.replace.
local function store (self, write, key, value, exptime, flags, safe)
  local d = dict_of(self)
  if exptime and (type(exptime) ~= "number" or exptime < 0) then
    error('bad "exptime" argument', 2)
  end
  if flags and type(flags) ~= "number" then
    error('bad "flags" argument', 2)
  end
  local err
  key, err = entry.checked(key)
  if not key then return nil, err end
  local home = self.home
  if not home.awake then home:wake() end
  if value == nil then
    if write ~= put then
      return false, "attempt to add or replace nil values", false
    end
    local ok, e = pcall(dict.delete, d, key)
    if not ok then return false, entry.words(e), false end
    return true, nil, false
  end
  if not entry.storable[type(value)] then return nil, "bad value type" end
  flags = flags and flags % 4294967296
  value = entry.wrapped(value, flags and flags - flags % 1 or 0)
  local ttl = exptime and entry.lifetime(exptime)
  local ok, done, forcible
  if safe then
    ok, done, forcible = pcall(home.store.transaction, home.store,
      write_safely, home, write, d, key, value, ttl)
    if not ok and done == no_room then return false, "no memory", false end
  else
    ok, done, forcible = pcall(write_counted, home, write, d, key, value, ttl)
  end
  if not ok then return false, entry.words(done), false end
  if not done then return false, declined[write], false end
  return true, nil, forcible
end

---Writes a value; nil deletes. Of another type: nil, "bad value type".
---```lua
---dogs:set("Jim", { age = 8 }, 3600, 7)
---local value, flags = dogs:get "Jim"
---print(value.age, flags)                                   --> 8 7
---```
---@param key any
---@param value any a string, number, boolean, table or nil
---@param exptime number? seconds to live; 0, the default: for ever
---@param flags integer? 32 bits that come with the value
---@return boolean? success
---@return string? err
---@return boolean? forcible whether others were removed to keep a cap
function methods:set (key, value, exptime, flags)
  return store(self, put, key, value, exptime, flags)
end

---As `dogs:set`, but false, "no memory" where others would be removed to
---keep a cap.
---```lua
---local cats = shared:dict("cats", { max_entries = 1 })
---cats:set("Tom", 1)
---print(cats:safe_set("Kit", 2))               --> false no memory false
---```
---@param key any
---@param value any
---@param exptime number? seconds to live; 0, the default: for ever
---@param flags integer? 32 bits that come with the value
---@return boolean? ok
---@return string? err
---@return boolean? forcible false
function methods:safe_set (key, value, exptime, flags)
  return store(self, put, key, value, exptime, flags, true)
end

---Writes a value unless there is one: then false, "exists".
---```lua
---print(dogs:add("Jim", 8))                                 --> true nil false
---print(dogs:add("Jim", 9))                              --> false exists false
---```
---@param key any
---@param value any
---@param exptime number? seconds to live; 0, the default: for ever
---@param flags integer? 32 bits that come with the value
---@return boolean? success
---@return string? err
---@return boolean? forcible whether others were removed to keep a cap
function methods:add (key, value, exptime, flags)
  return store(self, dict.add, key, value, exptime, flags)
end

---As `dogs:add`, but false, "no memory" where others would be removed to
---keep a cap.
---```lua
---print(dogs:safe_add("Jim", 8))                      --> true nil false
---```
---@param key any
---@param value any
---@param exptime number? seconds to live; 0, the default: for ever
---@param flags integer? 32 bits that come with the value
---@return boolean? ok
---@return string? err
---@return boolean? forcible false
function methods:safe_add (key, value, exptime, flags)
  return store(self, dict.add, key, value, exptime, flags, true)
end

---Writes a value where there is one: else false, "not found".
---```lua
---print(dogs:replace("Jim", 8))                       --> false not found false
---```
---@param key any
---@param value any
---@param exptime number? seconds to live; 0, the default: for ever
---@param flags integer? 32 bits that come with the value
---@return boolean? success
---@return string? err
---@return boolean? forcible whether others were removed to keep a cap
function methods:replace (key, value, exptime, flags)
  return store(self, dict.replace, key, value, exptime, flags)
end

---Removes an entry, also a list.
---```lua
---dogs:set("Jim", 8)
---print(dogs:delete "Jim", dogs:get "Jim")                  --> true nil
---```
---@param key any
---@return boolean? success also where there was none
---@return string? err
function methods:delete (key)
  return store(self, put, key, nil)
end

-- In a transaction: what dict.incr doesn't do.
local function add_to (d, key, by, init, ttl)
  local old = d[key]
  if old == nil then
    if not init then return nil, "not found" end
    dict.set(d, key, init + by, ttl)
    return init + by
  end
  local value = entry.unwrapped(old)
  if type(value) ~= "number" then return nil, "not a number" end
  dict.update(d, key, function () return entry.like(old, value + by) end)
  return value + by
end

---Adds to a number. Without `init` an absent one is nil, "not found"; what is
---no number nil, "not a number".
---```lua
---print(dogs:incr("visits", 1))                             --> nil not found
---print(dogs:incr("visits", 1, 0), dogs:get "visits")       --> 1 1
---```
---@param key any
---@param value number what to add
---@param init number? what an absent one counts as
---@param init_ttl number? seconds that a new entry lives; 0: for ever
---@return number? newval
---@return string? err
---@return boolean? forcible nil without `init`
function methods:incr (key, value, init, init_ttl)
  local d = dict_of(self)
  local err
  key, err = entry.checked(key)
  if not key then return nil, err end
  value = entry.number(value, "value")
  if init then init = entry.number(init, "init") end
  if init_ttl ~= nil then
    init_ttl = entry.number(init_ttl, "init_ttl")
    if init_ttl < 0 then error('bad "init_ttl" argument', 2) end
    if not init then
      error('must provide "init" when providing "init_ttl"', 2)
    end
    init_ttl = entry.lifetime(init_ttl)
  end
  local home = self.home
  if not home.awake then home:wake() end
  local ok, new, forcible
  if init then
    ok, new, forcible = pcall(write_counted, home, dict.incr, d, key, value,
      init, init_ttl)
    if ok then return new, nil, forcible end
    if new.code ~= "BAD_VALUE" then return nil, entry.words(new) end
  end
  ok, new, err = pcall(home.store.transaction, home.store, add_to, d, key,
    value, init, init_ttl)
  if not ok then return nil, entry.words(new) end
  if not new then return nil, err end
  if not init then return new end
  return new, nil, false
end

---Gives an entry another lifetime; nil, "not found" where there is none.
---```lua
---dogs:set("Jim", 8)
---print(dogs:expire("Jim", 60), dogs:expire("Kit", 60))
-----> true nil not found
---```
---@param key any
---@param exptime number seconds from now; 0: for ever
---@return boolean? success
---@return string? err
function methods:expire (key, exptime)
  local d = dict_of(self)
  if not exptime then error('bad "exptime" argument', 2) end
  local err
  key, err = entry.checked(key)
  if not key then return nil, err end
  self.home:wake()
  local ok, there = pcall(dict.expire, d, key, entry.lifetime(exptime))
  if not ok then return nil, entry.words(there) end
  if not there then return nil, "not found" end
  return true
end

-- }==================================================================

-- {==================================================================
-- Reading
-- ===================================================================

---The value under a key, and its flags. Of a list nil, "value is a list".
---```lua
---dogs:set("Jim", 8)
---print(dogs:get "Jim", dogs:get "Kit")                     --> 8 nil
---```
---@param key any
---@return any value nil where there is none, or it has expired
---@return integer|string|nil flags nil for 0; of a failure its words
function methods:get (key)
  local d = dict_of(self)
  local k, err = entry.checked(key)
  if not k then return nil, err end
  local ok, value = pcall(entry.index, d, k)
  if not ok then return nil, entry.words(value) end
  if type(value) == "table" then return entry.unwrapped(value) end
  return value
end

---As `dogs:get`, also of an entry that has expired, for as long as upkeep
---leaves it there: `stale` seconds, as `resty.open` was told.
---```lua
---dogs:set("Jim", 8)
---print(dogs:get_stale "Jim")                               --> 8 nil false
---```
---@param key any
---@return any value
---@return integer|string|nil flags nil for 0; of a failure its words
---@return boolean? stale whether it has expired
function methods:get_stale (key)
  local d = dict_of(self)
  local k, err = entry.checked(key)
  if not k then return nil, err end
  local ok, stored, stale = pcall(dict.get_stale, d, k)
  if not ok then return nil, entry.words(stored) end
  if stored == nil then return nil end
  local value, flags = entry.unwrapped(stored)
  if value == nil then return nil, flags end
  return value, flags, stale
end

---The seconds that an entry has left; 0: it never expires.
---```lua
---dogs:set("Jim", 8)
---print(dogs:ttl "Jim")                                     --> 0
---print(dogs:ttl "Kit")                                     --> nil not found
---```
---@param key any
---@return number? ttl
---@return string? err "not found" where there is none
function methods:ttl (key)
  local d = dict_of(self)
  local k, err = entry.checked(key)
  if not k then return nil, err end
  local ok, info = pcall(dict.info, d, k)
  if not ok then return nil, entry.words(info) end
  if not info then return nil, "not found" end
  if not info.expires then return 0 end
  local seconds
  ok, seconds = pcall(dict.ttl, d, k)
  if not ok then return nil, entry.words(seconds) end
  if not seconds then return nil, "not found" end
  return seconds
end

---The keys, in order; those that are no strings are left out.
---```lua
---dogs:set("Jim", 8); dogs:set("Bob", 9)
---print(table.concat(dogs:get_keys(), " "))                 --> Bob Jim
---```
---@param max_count integer? at most so many; default 1024, 0: all
---@return string[]? keys
---@return string? err
function methods:get_keys (max_count)
  local d = dict_of(self)
  max_count = entry.number(max_count or 1024, "max_count")
  local keys = {}
  local ok, e = pcall(function ()
    local range = { prefix = "" }
    if max_count > 0 then range.limit = floor(max_count) end
    for key in dict.keys(d, range) do keys[#keys + 1] = key end
  end)
  if not ok then return nil, entry.words(e) end
  return keys
end

-- }==================================================================

-- {==================================================================
-- The dict as a whole
-- ===================================================================

local function clear (self, d)
  dict.clear(d)
  if self.lists then dict.clear(self.lists) end
end

---Removes every entry, in one transaction. Nothing is left for
---`dogs:get_stale`.
---```lua
---dogs:set("Jim", 8)
---dogs:flush_all()
---print(dogs:get "Jim")                                     --> nil
---```
---@return nil
---@return string? err
function methods:flush_all ()
  local d = dict_of(self)
  local store_ = self.home.store
  local ok, e = pcall(store_.transaction, store_, clear, self, d)
  if not ok then return nil, entry.words(e) end
end

local function flush_expired (self, d, most)
  local store_ = self.home.store
  local before, flushed, more = dict.stats(d).expired, 0, true
  while more and before > flushed and (most == 0 or flushed < most) do
    local _
    _, more = store_:maintain { entries = most > 0 and most - flushed or nil }
    flushed = before - dict.stats(d).expired
  end
  if self.lists then list.drop_orphans(self) end
  return flushed > 0 and flushed or 0
end

---Removes what has expired.
---```lua
---dogs:set("Jim", 8)
---print(dogs:flush_expired())                               --> 0
---```
---@param max_count integer? at most so many; 0, the default: all
---@return integer? flushed how many
---@return string? err
function methods:flush_expired (max_count)
  local d = dict_of(self)
  local most = floor(entry.number(max_count or 0, "max_count"))
  local ok, flushed = pcall(flush_expired, self, d, most > 0 and most or 0)
  if not ok then return nil, entry.words(flushed) end
  return flushed
end

-- Bytes that the dict may have, and has.
local function sizes (self, d)
  local most = self.options.max_bytes
  if most then return most, dict.stats(d).size end
  local stats = self.home.store:stats()
  return stats.max_size or stats.map_size, stats.used_size
end

---The cap of the dict in bytes, else the quota of the store, else what
---address space it has.
---```lua
---local cats = shared:dict("cats", { max_bytes = 1000 })
---print(cats:capacity())                                    --> 1000
---```
---@return integer? bytes
---@return string? err
function methods:capacity ()
  local ok, capacity = pcall(sizes, self, dict_of(self))
  if not ok then return nil, entry.words(capacity) end
  return capacity
end

---Bytes of that which are free.
---```lua
---print(dogs:free_space() <= dogs:capacity())               --> true
---```
---@return integer? bytes
---@return string? err
function methods:free_space ()
  local ok, capacity, used = pcall(sizes, self, dict_of(self))
  if not ok then return nil, entry.words(capacity) end
  return capacity > used and capacity - used or 0
end

-- }==================================================================

return methods
