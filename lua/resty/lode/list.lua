--- Lists of resty.lode.
--
-- A list is an entry of its dict, { id, first, last }, which expires and is
-- overwritten as any other. Its elements are in the dict NAME.lists: under
-- { id, n }, n being `first` to `last`, the element; under { id } the key of
-- the list; under "last" the last id that was given. Elements whose list has
-- gone are removed later, a few at a time.

local entry = require "resty.lode.entry"
local lode = require "lode"

local dict = lode.dict
local pcall, type = pcall, type
local huge = math.huge
local dict_of = entry.dict_of

local LISTS = ".lists"
local ORPHANS = 100 -- lists that one call looks at

local list = { SUFFIX = LISTS }

---@class resty.lode.dict
local methods = {}

list.methods = methods

-- {==================================================================
-- Lists, pushed and popped in a transaction
-- ===================================================================

-- The dict of the elements, made by the first push.
local function lists_of (self)
  local lists = self.lists
  if not lists then
    lists = self.home.store:dict(self.name .. LISTS)
    self.lists = lists
  end
  return lists
end

-- Tables that are read in a transaction are the reader's own: no cache has
-- them, so they can be changed.
local function push (self, d, key, value, left)
  local head = d[key]
  local lists = lists_of(self)
  local new = head == nil
  if new then
    head = { [entry.KIND] = "list", id = dict.incr(lists, "last"),
             first = 1, last = 0 }
    lists[{ head.id }] = key
  elseif not entry.is_list(head) then
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
  if not entry.is_list(head) then return nil, "value not a list" end
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

-- Runs `push` or `pop` in a transaction. What the dict of elements was
-- dropped by, or its making undone by, only shows when it is used.
local function attempt (self, run, d, key, ...)
  local store = self.home.store
  local ok, result, err = pcall(store.transaction, store, run, self, d, key,
    ...)
  if ok or not self.lists or result.code ~= "NOT_FOUND" then
    return ok, result, err
  end
  self.lists = nil
  return pcall(store.transaction, store, run, self, d, key, ...)
end

-- `value`: for `push`, the one that is pushed.
local function in_list (self, run, name, key, value, ...)
  local d = dict_of(self)
  local err
  key, err = entry.checked_text(key, name)
  if not key then return nil, err end
  local kind = type(value)
  if run == push and kind ~= "string" and kind ~= "number" then
    return nil, "bad value type"
  end
  self.home:wake()
  local ok, result
  ok, result, err = attempt(self, run, d, key, value, ...)
  if not ok then return nil, entry.words(result) end
  if err then return nil, err end
  return result
end

---Puts a string or number before the first element of a list, which is made
---when absent; where another value stands nil, "value not a list".
---```lua
---print(dogs:lpush("pack", "Jim"))                         --> 1
---print(dogs:lpush("pack", "Kit"))                         --> 2
---print(dogs:lpop "pack")                                   --> Kit
---```
---@param key any
---@param value string|number
---@return integer? length afterwards
---@return string? err
function methods:lpush (key, value)
  return in_list(self, push, "lpush", key, value, true)
end

---As `dogs:lpush`, after the last element.
---```lua
---dogs:rpush("pack", "Jim"); dogs:rpush("pack", "Kit")
---print(dogs:lpop "pack")                                   --> Jim
---```
---@param key any
---@param value string|number
---@return integer? length afterwards
---@return string? err
function methods:rpush (key, value)
  return in_list(self, push, "rpush", key, value, false)
end

---Takes out the first element.
---```lua
---dogs:rpush("pack", "Jim")
---print(dogs:lpop "pack")                                   --> Jim
---print(dogs:lpop "pack")                                   --> nil
---```
---@param key any
---@return string|number|nil value nil where there is no list
---@return string? err
function methods:lpop (key)
  return in_list(self, pop, "lpop", key, true)
end

---As `dogs:lpop`, with the last element.
---```lua
---dogs:rpush("pack", "Jim"); dogs:rpush("pack", "Kit")
---print(dogs:rpop "pack")                                   --> Kit
---```
---@param key any
---@return string|number|nil value nil where there is no list
---@return string? err
function methods:rpop (key)
  return in_list(self, pop, "rpop", key, false)
end

---The number of elements.
---```lua
---dogs:rpush("pack", "Jim")
---print(dogs:llen "pack")                                   --> 1
---```
---@param key any
---@return integer? length 0 where there is no list
---@return string? err
function methods:llen (key)
  local d = dict_of(self)
  local k, err = entry.checked_text(key, "llen")
  if not k then return nil, err end
  local ok, head = pcall(entry.index, d, k)
  if not ok then return nil, entry.words(head) end
  if head == nil then return 0 end
  if not entry.is_list(head) then return nil, "value not a list" end
  return head.last - head.first + 1
end

-- }==================================================================

-- {==================================================================
-- Elements that nothing refers to
-- ===================================================================

-- Removes some of the elements of the list `id`, unless `key` still has it.
local function drop_orphan (d, lists, id, key)
  local head = d[key]
  if entry.is_list(head) and head.id == id then return 0 end
  local page, rest = dict.page(lists, { prefix = { id }, limit = 200 })
  local keys = {}
  for i, pair in ipairs(page) do keys[i] = pair[1] end
  if rest and keys[1] and #keys[1] == 1 then
    table.remove(keys, 1) -- the owner goes last
  end
  return dict.delete_many(lists, keys)
end

-- Looks at some lists, and goes on there the next time.
---@param self resty.lode.dict which has lists
function list.drop_orphans (self)
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
    local head = d[value]
    if not entry.is_list(head) or head.id ~= id then
      self.home.store:transaction(drop_orphan, d, lists, id, value)
    end
    at = { id, huge }
    self.orphan = id
  end
end

-- }==================================================================

return list
