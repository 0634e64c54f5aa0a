--- What dicts of resty.lode have beyond ngx.shared.DICT.

local entry = require "resty.lode.entry"
local lode = require "lode"

local dict = lode.dict
local error, pcall, select, type = error, pcall, select, type
local huge = math.huge
local dict_of = entry.dict_of

---@class resty.lode.dict
local methods = {}

local function counted (...)
  return select("#", ...), ...
end

-- {==================================================================
-- Beyond ngx.shared.DICT
-- ===================================================================

---Compares and sets: writes `value` where the stored one equals `expected`,
---tables by content, nil as absent. Flags stay.
---```lua
---dogs:set("Jim", 8)
---print(dogs:cas("Jim", 8, 9), dogs:get "Jim")              --> true 9
---print(dogs:cas("Jim", 8, 7))                              --> false not equal
---```
---@param key any
---@param expected any
---@param value any nil deletes
---@param exptime number? default: to the end that it has
---@return boolean? written
---@return string? err "not equal", or of a failure its words
function methods:cas (key, expected, value, exptime)
  local d = dict_of(self)
  local err
  key, err = entry.checked(key)
  if not key then return nil, err end
  if value ~= nil and not entry.storable[type(value)] then
    return nil, "bad value type"
  end
  self.home:wake()
  local ttl = exptime and (entry.lifetime(exptime) or huge)
  local ok, done = pcall(dict.cas, d, key, entry.wrapped(expected, 0),
    entry.wrapped(value, 0), ttl)
  if ok and not done and expected ~= nil then
    local found, old = pcall(entry.index, d, key)
    local _, flags = entry.unwrapped(old)
    if found and type(flags) == "number" then
      ok, done = pcall(dict.cas, d, key, entry.like(old, expected),
        value ~= nil and entry.like(old, value) or nil, ttl)
    end
  end
  if not ok then return nil, entry.words(done) end
  if not done then return false, "not equal" end
  return true
end

---Reads, calls fn(old, flags) once, and writes its result (nil deletes),
---with no other writer in between. What fn raises passes through, and
---nothing has changed; nor has it when fn forgets to return, which gives nil
---and words. fn can't yield, nor write to the store.
---```lua
---dogs:set("Jim", { age = 8 })
---dogs:update("Jim", function (dog)
---  dog.age = dog.age + 1
---  return dog
---end)
---print(dogs:get("Jim").age)                                --> 9
---```
---@param key any
---@param fn fun(old: any, flags: integer?): any, integer?
---@param exptime number? default: to the end that it has
---@return any value fn's result
---@return string? err
function methods:update (key, fn, exptime)
  local d = dict_of(self)
  local err
  key, err = entry.checked(key)
  if not key then return nil, err end
  if type(fn) ~= "function" then
    error(('bad "fn" argument: a function expected, got %s')
      :format(type(fn)), 2)
  end
  self.home:wake()
  local result, raised, refused
  local ok, e = pcall(dict.update, d, key, function (stored)
    local old, flags = entry.unwrapped(stored)
    refused = entry.is_list(stored) and flags
    if refused then error(refused, 0) end
    local count, fine, value, new = counted(pcall(fn, old, flags))
    raised = not fine
    if raised then error(value, 0) end
    if count == 1 then return end -- dict.update says that it gave nothing
    result = value
    if value == nil then return nil end
    return entry.wrapped(value, new or flags or 0)
  end, exptime and (entry.lifetime(exptime) or huge))
  if refused then return nil, refused end
  if raised then error(e, 0) end
  if not ok then return nil, entry.words(e) end
  return result
end

---Walks the entries of a range in order: key, value, flags of each. Lists
---have no value there: it is false. A failure on the way raises.
---```lua
---dogs:set("Jim", 8); dogs:set("Jon", 9); dogs:set("Kit", 1)
---for name, age in dogs:scan "J" do print(name, age) end
-----> Jim 8
-----> Jon 9
---```
---@param range lode.range|string|nil a string: the prefix of the keys
---@return (fun(): string?, any, integer?)? next
---@return string? err
function methods:scan (range)
  local d = dict_of(self)
  if range == nil then range = "" end
  if type(range) == "string" then range = { prefix = range } end
  local ok, next_entry = pcall(dict.pairs, d, range)
  if not ok then return nil, entry.words(next_entry) end
  return function ()
    local key, stored = next_entry()
    if key == nil then return nil end
    if entry.is_list(stored) then return key, false end
    return key, entry.unwrapped(stored)
  end
end

-- }==================================================================

return methods
