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
-- What the methods take, give and say is what lua-nginx-module documents.
-- An entry stands in the dict of its name, under its key, as any program
-- that opens the store can read it. What a plain value can't say is a table
-- with the field "resty.lode", which names its kind:
--
--   flags   { flags = 7, value = v }      a value with flags
--   table   { value = t }                 a table with such a field itself
--   list    { id = 3, first = 1, last = 5 }
--
-- The elements of lists are in the dict NAME.lists: under { id, n }, n being
-- `first` to `last`, the element; under { id } the key of its list; under
-- "last" the last id given. So a list is one entry that expires and is
-- overwritten as any other. Elements whose list has gone are removed later.
--
-- What fails is returned as nil (or false) and words; misuse raises.

local lode = require "lode"

local dict = lode.dict
local error, pcall, tonumber, tostring, type =
  error, pcall, tonumber, tostring, type
local floor, huge = math.floor, math.huge

local ngx = rawget(_G, "ngx")

local KIND = "resty.lode"
local LISTS = ".lists"
local ORPHANS = 100 -- lists that one slice of upkeep looks at

-- {==================================================================
-- Failures
-- ===================================================================

local full = { FULL = true, DISK_FULL = true, NO_MEMORY = true }

-- What an error of lode's is called; any other passes through.
local function words (e)
  if type(e) ~= "table" or type(e.code) ~= "string" then error(e, 0) end
  if full[e.code] or
     (e.code == "BAD_VALUE" and e.message:find("max_bytes", 1, true)) then
    return "no memory"
  end
  return e.code .. ": " .. e.message
end

-- Raised in a transaction to undo it.
local no_room = setmetatable({}, { __tostring = function ()
  return "no memory"
end })

-- }==================================================================

-- {==================================================================
-- Keys, times, values
-- ===================================================================

---@param key any
---@return string? key
---@return string? err
local function checked (key)
  if type(key) ~= "string" then
    if key == nil then return nil, "nil key" end
    key = tostring(key)
  end
  if key == "" then return nil, "empty key" end
  if #key > 65535 then return nil, "key too long" end
  return key
end

-- The same for lists, where only what is a string or a number is a key.
local function checked_text (key, name)
  local kind = type(key)
  if kind ~= "string" and kind ~= "number" and key ~= nil then
    error(("bad argument #1 to '%s' (string expected, got %s)")
      :format(name, kind), 3)
  end
  return checked(key)
end

-- Seconds in whole milliseconds; nil where that is none: for ever.
local function lifetime (exptime)
  local ms = floor(exptime * 1000 + 1e-6)
  return ms > 0 and ms / 1000 or nil
end

local storable = {
  string = true, number = true, boolean = true, table = true,
}

-- A value as it is stored.
local function wrapped (value, flags)
  if flags ~= 0 then
    return { [KIND] = "flags", flags = flags, value = value }
  end
  if type(value) == "table" and value[KIND] ~= nil then
    return { [KIND] = "table", value = value }
  end
  return value
end

local function is_special (stored)
  return type(stored) == "table" and stored[KIND] ~= nil
end

-- What a stored value means: value, flags (nil: 0); nil, words for a list.
local function unwrapped (stored)
  if not is_special(stored) then return stored end
  if stored[KIND] == "list" then return nil, "value is a list" end
  return stored.value, stored.flags
end

-- The same for a new value in place of `old`, with the flags of that.
local function like (old, value)
  return wrapped(value, is_special(old) and old.flags or 0)
end

local function is_list (stored)
  return is_special(stored) and stored[KIND] == "list"
end

-- }==================================================================

-- {==================================================================
-- Upkeep, from a timer of each worker
-- ===================================================================

local function log (message)
  if ngx and ngx.log then ngx.log(ngx.ERR, "resty.lode: ", message) end
end

-- Removes some elements of lists that have gone. Each worker looks at some
-- lists at a time, and goes on where it stopped.
local function drop_orphan (d, lists, id, key)
  local head = d[key]
  if is_list(head) and head.id == id then return 0 end
  local page, rest = dict.page(lists, { prefix = { id }, limit = 200 })
  local keys = {}
  for i, entry in ipairs(page) do keys[i] = entry[1] end
  if rest and keys[1] and #keys[1] == 1 then
    table.remove(keys, 1) -- the owner goes last
  end
  return dict.delete_many(lists, keys)
end

local function drop_orphans (self)
  local d, lists = self[1], self.lists
  local at = { self.orphan or -huge, huge }
  for _ = 1, ORPHANS do
    local key, value = dict.next(lists, at)
    if type(key) ~= "table" then
      self.orphan = nil
      return
    end
    local id = key[1]
    if #key > 1 then value = "" end -- it lost its owner
    if not is_list(d[value]) or d[value].id ~= id then
      self.shared.store:transaction(drop_orphan, d, lists, id, value)
    end
    at = { id, huge }
    self.orphan = id
  end
end

-- One slice: what is written begins to be synced, some of what has died is
-- removed. Gives the entries removed, and whether there is more to do.
local function upkeep (shared)
  local store = shared.store
  local version = store:version()
  if shared.os and version ~= shared.synced then
    store:flush { wait = false }
    shared.synced = version
  end
  local removed, more = store:maintain(shared.budget)
  for _, d in pairs(shared.dicts) do
    if d.lists then drop_orphans(d) end
  end
  return removed, more
end

-- A slice, and the next one as soon as others have had their turn.
local function slice (premature, shared)
  if premature or shared.closed then return end
  local ok, removed, more = pcall(upkeep, shared)
  if not ok then
    local e = removed
    if type(e) ~= "table" or e.code ~= "BUSY" then log(tostring(e)) end
  elseif more then
    ngx.timer.at(0, slice, shared)
  end
end

-- Starts the timer of this worker, where timers can be started. A timer that
-- the master would start is none of the workers'.
local function wake (shared)
  if not ngx or shared.awake or ngx.get_phase() == "init" then return end
  shared.awake = true
  local ok, err = ngx.timer.every(shared.every, slice, shared)
  if not ok and err ~= "process exiting" then
    shared.awake = false
    log("no timer: " .. tostring(err))
  end
end

-- }==================================================================

-- {==================================================================
-- Writing
-- ===================================================================

---@class resty.lode.dict
---@field [1] lode.dict
---@field shared resty.lode.shared
---@field lists lode.dict?
---@field capped boolean
local methods = {}

local metatable = { __index = methods }

-- The dict of lode, and the object that it stands in.
local function dict_of (self)
  local d = type(self) == "table" and self[1]
  if type(d) ~= "userdata" then error('bad "zone" argument', 3) end
  return d
end

local function put (d, key, value, ttl)
  dict.set(d, key, value, ttl)
  return true
end

local declined = { [dict.add] = "exists", [dict.replace] = "not found" }

-- In a transaction, as what goes to keep a cap is found by counting.
local function write_capped (d, write, key, value, ttl, safe)
  local before = dict.len(d) + (dict.has(d, key) and 0 or 1)
  if not write(d, key, value, ttl) then return false, false end
  local forcible = dict.len(d) < before
  if forcible and safe then error(no_room, 0) end
  return true, forcible
end

-- Writes with `put`, dict.add or dict.replace.
local function store (self, write, key, value, exptime, flags, safe)
  local d = dict_of(self)
  if exptime and exptime < 0 then error('bad "exptime" argument', 3) end
  if flags and type(flags) ~= "number" then
    error('bad "flags" argument', 3)
  end
  local err
  key, err = checked(key)
  if not key then return nil, err end
  local shared = self.shared
  if not shared.awake then wake(shared) end
  if value == nil then
    if write ~= put then
      return false, "attempt to add or replace nil values", false
    end
    local ok, e = pcall(dict.delete, d, key)
    if not ok then return false, words(e), false end
    return true, nil, false
  end
  if not storable[type(value)] then return nil, "bad value type" end
  flags = flags and flags % 4294967296
  value = wrapped(value, flags and flags - flags % 1 or 0)
  local ttl = exptime and lifetime(exptime)
  local ok, done, forcible
  if self.capped then
    ok, done, forcible = pcall(shared.store.transaction, shared.store,
      write_capped, d, write, key, value, ttl, safe)
    if not ok and done == no_room then return false, "no memory", false end
  else
    ok, done = pcall(write, d, key, value, ttl)
  end
  if not ok then return false, words(done), false end
  if not done then return false, declined[write], false end
  return true, nil, forcible or false
end

---Writes a value; nil deletes.
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

---The same, but "no memory" where others would be removed to keep a cap.
---@param key any
---@param value any
---@param exptime number?
---@param flags integer?
---@return boolean? ok
---@return string? err
function methods:safe_set (key, value, exptime, flags)
  return store(self, put, key, value, exptime, flags, true)
end

---Writes a value unless there is one: then false, "exists".
---@param key any
---@param value any
---@param exptime number?
---@param flags integer?
---@return boolean? success
---@return string? err
---@return boolean? forcible
function methods:add (key, value, exptime, flags)
  return store(self, dict.add, key, value, exptime, flags)
end

---@param key any
---@param value any
---@param exptime number?
---@param flags integer?
---@return boolean? ok
---@return string? err
function methods:safe_add (key, value, exptime, flags)
  return store(self, dict.add, key, value, exptime, flags, true)
end

---Writes a value where there is one: else false, "not found".
---@param key any
---@param value any
---@param exptime number?
---@param flags integer?
---@return boolean? success
---@return string? err
---@return boolean? forcible
function methods:replace (key, value, exptime, flags)
  return store(self, dict.replace, key, value, exptime, flags)
end

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
  local value = unwrapped(old)
  if type(value) ~= "number" then return nil, "not a number" end
  dict.update(d, key, function () return like(old, value + by) end)
  return value + by
end

local function incr_capped (d, key, by, init, ttl)
  local before = dict.len(d) + (dict.has(d, key) and 0 or 1)
  local value, err = add_to(d, key, by, init, ttl)
  return value, err, dict.len(d) < before
end

local function number_of (value, name)
  local n = tonumber(value)
  if n then return n end
  error(("bad %s arg: number expected, got %s"):format(name, type(value)), 3)
end

---Adds to a number. An absent one counts as `init`, else: nil, "not found".
---@param key any
---@param value number
---@param init number?
---@param init_ttl number? seconds that a new entry lives; 0: for ever
---@return number? newval
---@return string? err
---@return boolean? forcible nil without `init`
function methods:incr (key, value, init, init_ttl)
  local d = dict_of(self)
  local err
  key, err = checked(key)
  if not key then return nil, err end
  value = number_of(value, "value")
  if init then init = number_of(init, "init") end
  if init_ttl ~= nil then
    init_ttl = number_of(init_ttl, "init_ttl")
    if init_ttl < 0 then error('bad "init_ttl" argument', 2) end
    if not init then
      error('must provide "init" when providing "init_ttl"', 2)
    end
    init_ttl = lifetime(init_ttl)
  end
  local shared = self.shared
  if not shared.awake then wake(shared) end
  local ok, new, forcible
  if init and not self.capped then
    ok, new = pcall(dict.incr, d, key, value, init, init_ttl)
    if ok then return new, nil, false end
    if new.code ~= "BAD_VALUE" then return nil, words(new) end
  end
  ok, new, err, forcible = pcall(shared.store.transaction, shared.store,
    self.capped and incr_capped or add_to, d, key, value, init, init_ttl)
  if not ok then return nil, words(new) end
  if not new then return nil, err end
  if not init then return new end
  return new, nil, forcible or false
end

---Gives an entry another lifetime; nil, "not found" where there is none.
---@param key any
---@param exptime number seconds from now; 0: for ever
---@return boolean? success
---@return string? err
function methods:expire (key, exptime)
  local d = dict_of(self)
  if not exptime then error('bad "exptime" argument', 2) end
  local err
  key, err = checked(key)
  if not key then return nil, err end
  wake(self.shared)
  local ok, there = pcall(dict.expire, d, key, lifetime(exptime))
  if not ok then return nil, words(there) end
  if not there then return nil, "not found" end
  return true
end

-- }==================================================================

-- {==================================================================
-- Reading
-- ===================================================================

local function index (d, key) return d[key] end

---@param key any
---@return any value nil where there is none, or it has expired
---@return integer|string|nil flags nil for 0; of a failure its words
function methods:get (key)
  local d = dict_of(self)
  local k, err = checked(key)
  if not k then return nil, err end
  local ok, value = pcall(index, d, k)
  if not ok then return nil, words(value) end
  if type(value) == "table" then return unwrapped(value) end
  return value
end

---The same, also of an entry that has expired, for as long as upkeep leaves
---it there: `stale` seconds, as `open` was told.
---@param key any
---@return any value
---@return integer|string|nil flags
---@return boolean? stale whether it has expired
function methods:get_stale (key)
  local d = dict_of(self)
  local k, err = checked(key)
  if not k then return nil, err end
  local ok, stored, stale = pcall(dict.get_stale, d, k)
  if not ok then return nil, words(stored) end
  if stored == nil then return nil end
  local value, flags = unwrapped(stored)
  if value == nil then return nil, flags end
  return value, flags, stale
end

---The seconds that an entry has left; 0: it never expires.
---@param key any
---@return number? ttl
---@return string? err "not found" where there is none
function methods:ttl (key)
  local d = dict_of(self)
  local k, err = checked(key)
  if not k then return nil, err end
  local ok, info = pcall(dict.info, d, k)
  if not ok then return nil, words(info) end
  if not info then return nil, "not found" end
  if not info.expires then return 0 end
  local seconds
  ok, seconds = pcall(dict.ttl, d, k)
  if not ok then return nil, words(seconds) end
  if not seconds then return nil, "not found" end
  return seconds
end

---The keys, in order, up to `max_count`; default 1024, 0: all.
---@param max_count integer?
---@return string[]? keys
---@return string? err
function methods:get_keys (max_count)
  local d = dict_of(self)
  max_count = number_of(max_count or 1024, "max_count")
  local keys = {}
  local ok, e = pcall(function ()
    local range = max_count > 0 and { limit = floor(max_count) } or nil
    for key in dict.keys(d, range) do keys[#keys + 1] = key end
  end)
  if not ok then return nil, words(e) end
  return keys
end

-- }==================================================================

-- {==================================================================
-- Lists
-- ===================================================================

-- The dict of the elements, made by the first push.
local function lists_of (self)
  local lists = self.lists
  if not lists then
    lists = self.shared.store:dict(self.name .. LISTS)
    self.lists = lists
  end
  return lists
end

local function push (self, d, key, value, left)
  local head = d[key]
  local lists = lists_of(self)
  local new = head == nil
  if new then
    head = { [KIND] = "list", id = dict.incr(lists, "last"),
             first = 1, last = 0 }
    lists[{ head.id }] = key
  elseif not is_list(head) then
    return nil, "value not a list"
  end
  local n
  if left then
    n = head.first - 1
    head.first = n
  else
    n = head.last + 1
    head.last = n
  end
  lists[{ head.id, n }] = value
  if new then d[key] = head
  else dict.update(d, key, function () return head end) end
  return head.last - head.first + 1
end

local function pop (self, d, key, left)
  local head = d[key]
  if head == nil then return nil end
  if not is_list(head) then return nil, "value not a list" end
  local lists = lists_of(self)
  local value
  repeat -- just once, unless an element was lost
    local n = left and head.first or head.last
    value = dict.pop(lists, { head.id, n })
    if left then head.first = n + 1 else head.last = n - 1 end
  until value ~= nil or head.first > head.last
  if head.first > head.last then
    d[key] = nil
    lists[{ head.id }] = nil
  else
    dict.update(d, key, function () return head end)
  end
  return value
end

-- Runs `push` or `pop` for a key, in a transaction.
local function in_list (self, run, name, key, ...)
  local d = dict_of(self)
  local err
  key, err = checked_text(key, name)
  if not key then return nil, err end
  local shared = self.shared
  wake(shared)
  local ok, result
  ok, result, err = pcall(shared.store.transaction, shared.store, run, self,
    d, key, ...)
  if not ok then
    if self.lists and not pcall(dict.len, self.lists) then
      self.lists = nil -- its making was undone as well
    end
    return nil, words(result)
  end
  return result, err
end

local function pushed (self, name, key, value, left)
  local kind = type(value)
  if key ~= nil and key ~= "" and kind ~= "string" and kind ~= "number" then
    return nil, "bad value type"
  end
  return in_list(self, push, name, key, value, left)
end

---Puts a string or number before the first element of a list, which is made
---when absent.
---@param key any
---@param value string|number
---@return integer? length afterwards
---@return string? err
function methods:lpush (key, value)
  return pushed(self, "lpush", key, value, true)
end

---The same after the last element.
---@param key any
---@param value string|number
---@return integer? length
---@return string? err
function methods:rpush (key, value)
  return pushed(self, "rpush", key, value, false)
end

---Takes out the first element.
---@param key any
---@return string|number|nil value nil where there is no list
---@return string? err
function methods:lpop (key)
  return in_list(self, pop, "lpop", key, true)
end

---The same with the last element.
---@param key any
---@return string|number|nil value
---@return string? err
function methods:rpop (key)
  return in_list(self, pop, "rpop", key, false)
end

---The number of elements.
---@param key any
---@return integer? length 0 where there is no list
---@return string? err
function methods:llen (key)
  local d = dict_of(self)
  local k, err = checked_text(key, "llen")
  if not k then return nil, err end
  local ok, head = pcall(index, d, k)
  if not ok then return nil, words(head) end
  if head == nil then return 0 end
  if not is_list(head) then return nil, "value not a list" end
  return head.last - head.first + 1
end

-- }==================================================================

-- {==================================================================
-- The dict as a whole
-- ===================================================================

local function clear (self, d)
  dict.clear(d)
  if self.lists then dict.clear(self.lists) end
end

---Removes every entry.
---@return nil
---@return string? err
function methods:flush_all ()
  local d = dict_of(self)
  local store_ = self.shared.store
  local ok, e = pcall(store_.transaction, store_, clear, self, d)
  if not ok then return nil, words(e) end
end

local function flush_expired (self, d, most)
  local store_ = self.shared.store
  local before, flushed, more = dict.stats(d).expired, 0, true
  while more and before > flushed and (most == 0 or flushed < most) do
    local _
    _, more = store_:maintain { entries = most > 0 and most - flushed or nil }
    flushed = before - dict.stats(d).expired
  end
  if self.lists then drop_orphans(self) end
  return flushed > 0 and flushed or 0
end

---Removes what has expired, `max_count` entries at most; 0, the default: all.
---@param max_count integer?
---@return integer? flushed
---@return string? err
function methods:flush_expired (max_count)
  local d = dict_of(self)
  local most = floor(number_of(max_count or 0, "max_count"))
  local ok, flushed = pcall(flush_expired, self, d, most > 0 and most or 0)
  if not ok then return nil, words(flushed) end
  return flushed
end

-- Bytes that the dict may have, and has.
local function sizes (self, d)
  local stats = self.shared.store:stats()
  if self.max_bytes then return self.max_bytes, dict.stats(d).size end
  return stats.max_size or stats.map_size, stats.used_size
end

---The cap of the dict in bytes, else the quota of the store, else what
---address space it has.
---@return integer? bytes
---@return string? err
function methods:capacity ()
  local ok, capacity = pcall(sizes, self, dict_of(self))
  if not ok then return nil, words(capacity) end
  return capacity
end

---Bytes of that which are free.
---@return integer? bytes
---@return string? err
function methods:free_space ()
  local ok, capacity, used = pcall(sizes, self, dict_of(self))
  if not ok then return nil, words(capacity) end
  return capacity > used and capacity - used or 0
end

-- }==================================================================

-- {==================================================================
-- More than ngx.shared.DICT has
-- ===================================================================

---Writes `value` where the stored one equals `expected`: tables by content,
---nil as absent. Flags stay.
---@param key any
---@param expected any
---@param value any nil deletes
---@param exptime number? default: to the end that it has
---@return boolean? written
---@return string? err "not equal", or of a failure its words
function methods:cas (key, expected, value, exptime)
  local d = dict_of(self)
  local err
  key, err = checked(key)
  if not key then return nil, err end
  if value ~= nil and not storable[type(value)] then
    return nil, "bad value type"
  end
  wake(self.shared)
  local ttl = exptime and (lifetime(exptime) or huge)
  local old = nil
  local ok, done = pcall(dict.cas, d, key, wrapped(expected, 0),
    wrapped(value, 0), ttl)
  if ok and not done and expected ~= nil then
    ok, old = pcall(index, d, key)
    if not ok then return nil, words(old) end
    if is_special(old) and old.flags then
      ok, done = pcall(dict.cas, d, key, like(old, expected),
        value ~= nil and like(old, value) or nil, ttl)
    end
  end
  if not ok then return nil, words(done) end
  if not done then return false, "not equal" end
  return true
end

---Reads, calls fn(old, flags) once, and writes its result (nil deletes),
---with no other writer in between. What fn raises passes through, and
---nothing has changed. fn can't yield, nor write to the store.
---@param key any
---@param fn fun(old: any, flags: integer?): any, integer?
---@param exptime number? default: to the end that it has
---@return any value fn's result
---@return string? err
function methods:update (key, fn, exptime)
  local d = dict_of(self)
  local err
  key, err = checked(key)
  if not key then return nil, err end
  wake(self.shared)
  local result, raised, refused
  local ok, e = pcall(dict.update, d, key, function (stored)
    local old, flags = unwrapped(stored)
    if is_list(stored) then refused = flags end
    local fine, value, new = pcall(fn, old, flags)
    raised = not fine
    if raised or refused then error(value, 0) end
    result = value
    if value == nil then return nil end
    return wrapped(value, new or flags or 0)
  end, exptime and (lifetime(exptime) or huge))
  if refused then return nil, refused end
  if raised then error(e, 0) end
  if not ok then return nil, words(e) end
  return result
end

---Walks the entries of a range in order: key, value, flags of each. Lists
---have no value there: it is false. A failure on the way raises.
---@param range lode.range|string|nil a string: the prefix of the keys
---@return (fun(): string?, any, integer?)? next
---@return string? err
function methods:scan (range)
  local d = dict_of(self)
  if type(range) == "string" then range = { prefix = range } end
  local ok, next_entry = pcall(dict.pairs, d, range)
  if not ok then return nil, words(next_entry) end
  return function ()
    local key, stored = next_entry()
    if key == nil then return nil end
    if is_list(stored) then return key, false end
    return key, unwrapped(stored)
  end
end

-- }==================================================================

-- {==================================================================
-- Stores
-- ===================================================================

---@class resty.lode.shared
---@field store lode.store what is below, for all else that lode can
---@field [string] resty.lode.dict
local functions = {}

---The dict of this name, made when absent.
---@param name string
---@param options lode.dict_options?
---@return resty.lode.dict
function functions:dict (name, options)
  local known = self.dicts[name]
  if known and options == nil then return known end
  options = options or {}
  local lists
  for there in self.store:collections() do
    if there == name .. LISTS then lists = self.store:dict(there) end
  end
  local new = setmetatable({
    self.store:dict(name, options),
    name = name,
    shared = self,
    lists = lists,
    capped = (options.max_entries or options.max_bytes) ~= nil,
    max_bytes = options.max_bytes,
  }, metatable)
  self.dicts[name] = new
  wake(self)
  return new
end

---One slice of what a timer does in nginx: syncs, and removes what expired.
---@return integer removed
---@return boolean more whether there is more to remove
function functions:upkeep ()
  return upkeep(self)
end

---Closes the store and all its dicts.
function functions:close ()
  self.closed = true
  self.store:close()
end

local shared_metatable = {}

function shared_metatable.__index (shared, name)
  local found = functions[name]
  if found then return found end
  if type(name) ~= "string" then return nil end
  return shared:dict(name)
end

---@class resty.lode.open_options: lode.open_options what differs from
--- lode.open: durability is "os", lock_timeout 1, maintenance in nginx "off"
---@field every number? seconds between slices of upkeep; default 1
---@field sweep_entries integer? most entries that a slice removes; 500
---@field sweep_ms integer? most milliseconds that it takes; default 5
---@field stale number? seconds that what has expired stays for get_stale;
--- default 60

-- Takes the options that are upkeep's out of `options`.
local function take (options, name, default)
  local value = options[name]
  options[name] = nil
  if value == nil then return default end
  if type(value) ~= "number" or not (value > 0 or name == "stale") or
     value < 0 then
    error(("bad option '%s': a number above 0 expected"):format(name), 3)
  end
  return value
end

-- The log of a store goes to nginx's.
local function to_nginx (level, message)
  local levels = { debug = ngx.DEBUG, info = ngx.INFO, warn = ngx.WARN }
  ngx.log(levels[level] or ngx.ERR, "resty.lode: ", message)
end

---Opens the store at a path. Its dicts are fields: shared.dogs. In
---init_by_lua as well: each worker has it open for itself after the fork.
---@param path string
---@param options resty.lode.open_options?
---@return resty.lode.shared
local function open (path, options)
  local given = { durability = "os", lock_timeout = 1 }
  if ngx then
    given.maintenance, given.log = "off", to_nginx
  end
  for name, value in pairs(options or {}) do given[name] = value end
  local every = take(given, "every", 1)
  local entries = take(given, "sweep_entries", 500)
  local ms = take(given, "sweep_ms", 5)
  local stale = take(given, "stale", 60)
  return setmetatable({
    store = lode.open(path, given),
    dicts = {},
    every = every,
    budget = { entries = entries, ms = ms, age = stale },
    os = given.durability == "os",
    closed = false,
    awake = false,
    synced = false,
  }, shared_metatable)
end

-- }==================================================================

return { open = open, version = lode.version }
