--- How the command `lode` opens stores, and reads and writes collections of
-- which it knows neither the serializer nor the policy.
--
-- A serializer with a name that lode.serializer knows is used. Any other one
-- is stood in for by bytes: what it made is shown as a string, and can be
-- written again as it was. A policy with a name that lode.policy could have
-- made is made again; any other is left out, so entries wait for a program
-- that has it once their time has come.

local guard = require "lode.cli.guard"
local lode = require "lode"
local policy = require "lode.policy"
local serializer = require "lode.serializer"

local stores = {}

-- ==================================================================
-- Stores
-- ==================================================================

-- Whether there is a file at a path that is no directory.
local function is_file (path)
  local file = io.open(path, "rb")
  if not file then return false end
  file:close()
  local inside = io.open(path .. "/.", "rb")
  if inside then inside:close() end
  return inside == nil
end

---The options to open a path with: a file is a store in a single file.
---@param path string
---@param options table?
---@return table
function stores.options (path, options)
  local all = { single_file = is_file(path) or nil }
  for name, value in pairs(options or {}) do all[name] = value end
  return all
end

---Opens a store for reading; none is made.
---@param path string
---@return lode.store
function stores.reading (path)
  return lode.open(path, stores.options(path, { readonly = true }))
end

---Opens a store for writing.
---@param path string
---@param options table? `create` is false unless given
---@return lode.store
function stores.writing (path, options)
  local all = { create = false, maintenance = "off", collections = 4096 }
  for name, value in pairs(options or {}) do all[name] = value end
  return lode.open(path, stores.options(path, all))
end

---Calls fn(store, ...) and closes the store, also after an error.
---@param store lode.store
---@param fn fun(store: lode.store, ...): any
---@return any result the first of fn
function stores.with (store, fn, ...)
  local ok, result = guard(fn, store, ...)
  local closed, problem = pcall(store.close, store)
  if not ok then error(result, 0) end
  if not closed then error(problem, 0) end
  return result
end

-- ==================================================================
-- Policies by name
-- ==================================================================

local timed = { ttl = true, age = true, idle = true }
local combined = { any = true, all = true }

-- The policies that stand at `at` of a name, up to the one ")" too many or
-- the end; nil where something else does. And the place after them.
local function parse (name, at)
  local found = {}
  while true do
    local word, next_at = name:match("^(%a+)%(()", at)
    if timed[word] then
      local number, stop = name:match("^([%d.e+-]+)%)()", next_at)
      local seconds = number and tonumber(number)
      if not seconds or seconds <= 0 then return nil end
      found[#found + 1], at = policy[word](seconds), stop
    elseif combined[word] then
      local inner, stop = parse(name, next_at)
      if not inner or name:sub(stop, stop) ~= ")" then return nil end
      local unpack = table.unpack or unpack
      found[#found + 1], at = policy[word](unpack(inner)), stop + 1
    else
      return nil
    end
    if name:sub(at, at) ~= "," then return found, at end
    at = at + 1
  end
end

---The policy that lode.policy makes with this name, or nil.
---@param name string
---@return lode.policy?
function stores.policy (name)
  local found, at = parse(name, 1)
  if not found or #found ~= 1 or at <= #name then return nil end
  return found[1].name == name and found[1] or nil
end

-- ==================================================================
-- Collections
-- ==================================================================

---@class lode.cli.collection
---@field name string
---@field kind "dict"|"set"|"raw"
---@field options lode.kept_options
---@field handle lode.dict|lode.set
---@field fn table lode.dict or lode.set
---@field opaque table what is shown as bytes: { key = name, value = name }
---@field policy boolean? false: it has one that is unknown here
---@field answers boolean? its policy answers `deadline`
---@field deadline number?
local collection = {}
collection.__index = collection

-- The serializer of this name, if it works here.
local function known (name, sample)
  local found = serializer.named(name)
  return found and pcall(found.encode, sample) and found or nil
end

-- What stands for an unknown serializer. `self.pending`: the bytes that are
-- to be written whatever value comes, as a type may be asked of that.
local function stand_in (self, which, name)
  return {
    name = name,
    encode = function (value)
      local bytes = self.pending and self.pending[which]
      if bytes then return bytes end
      if type(value) == "string" then return value end
      error(("%s has the %s %s, unknown here: only its bytes can be written")
        :format(self.name, which == "key" and "key_serializer"
        or "serializer", name), 0)
    end,
    decode = function (bytes) return bytes end,
  }
end

-- What stands for a hash function.
local function no_hash (name)
  return function ()
    error(("%s has a hash function of its own, unknown here, so nothing can "
      .. "be found or written under a key as long as this one"):format(name),
      0)
  end
end

-- What a collection of these kept options is opened with, where its keys
-- (`bytes.key`) and values (`bytes.value`) are the bytes of a serializer.
local function opening (self, kept, bytes)
  local options = {}
  if kept.serializer and bytes.value then
    self.opaque.value = kept.serializer
    options.serializer = stand_in(self, "value", kept.serializer)
  end
  if kept.key_serializer and bytes.key then
    self.opaque.key = kept.key_serializer
    options.key_serializer = stand_in(self, "key", kept.key_serializer)
  end
  if kept.hash then options.hash = no_hash(self.name) end
  return options
end

-- A value that passes a check of types.
local samples = {
  string = "", integer = 0, number = 0, boolean = false, table = {},
  tuple = { 0 },
}

local function new (name, kind, kept)
  return setmetatable({ name = name, kind = kind, options = kept,
    opaque = {}, fn = kind == "set" and lode.set or lode.dict }, collection)
end

---The collection of this name; nil when there is none. None is made.
---@param store lode.store
---@param name string
---@return lode.cli.collection?
function stores.collection (store, name)
  local kind, kept = store:options(name)
  if not kind then return nil end
  local self = new(name, kind, kept)
  local options = opening(self, kept, {
    key = kept.key_serializer and not known(kept.key_serializer, "a"),
    value = kept.serializer and not known(kept.serializer, ""),
  })
  if kind == "raw" then options.raw = true end
  if kept.expire then
    options.expire = stores.policy(kept.expire)
    self.policy = options.expire ~= nil
  end
  self.handle = store[kind == "set" and "set" or "dict"](store, name, options)
  return self
end

---Makes a collection with these options, as store:options gave them of
---another, or opens it. Its policy answers what `self.deadline` says.
---@param store lode.store
---@param name string
---@param kind "dict"|"set"|"raw"
---@param kept lode.kept_options
---@param bytes { key: boolean?, value: boolean? } what will be written as the
--- bytes that its serializers have made
---@return lode.cli.collection
function stores.make (store, name, kind, kept, bytes)
  local self = new(name, kind, kept)
  local options = opening(self, kept, bytes)
  self.answers = kept.expire ~= nil
  for _, option in ipairs { "key", "value", "ttl", "times", "max_entries",
    "max_bytes", "evict" } do options[option] = kept[option] end
  options.serializer = options.serializer or kept.serializer
  options.key_serializer = options.key_serializer or kept.key_serializer
  if kind == "raw" then options = { raw = true } end
  if kept.evict == "function" then options.evict = function () return 0 end end
  if kept.on_expire then
    options.on_expire = function ()
      error(name .. " has a function on_expire that is unknown here", 0)
    end
  end
  if kept.expire then
    options.expire = { name = kept.expire, reads = kept.reads or false,
      expire = function () return self.deadline end }
  end
  self.handle = store[kind == "set" and "set" or "dict"](store, name, options)
  return self
end

---All collections of a store, in order of their names.
---@param store lode.store
---@return { name: string, kind: string }[]
function stores.list (store)
  local list = {}
  for name, kind in store:collections() do
    list[#list + 1] = { name = name, kind = kind }
  end
  return list
end

-- A key to call with: of a stood-in serializer, a sample and its bytes.
function collection:key (key)
  if not self.opaque.key then return key end
  self.pending = { key = key }
  return samples[self.options.key or "string"]
end

-- Calls one of the functions of lode.dict or lode.set with a key.
function collection:call (name, key, ...)
  local ok, a, b = pcall(self.fn[name], self.handle, self:key(key), ...)
  self.pending = nil
  if not ok then error(a, 0) end
  return a, b
end

---An iterator of key and value; a member of a set has the value true.
---@param range lode.range?
function collection:each (range)
  if self.kind ~= "set" then return lode.dict.pairs(self.handle, range) end
  local step = lode.set.each(self.handle, range)
  return function ()
    local member = step()
    if member ~= nil then return member, true end
  end
end

---The value under a key, true for a member, or nil.
function collection:get (key)
  if self.kind ~= "set" then return (self:call("get", key)) end
  return self:call("has", key) or nil
end

---Writes an entry; `ttl` as dict.set takes it.
function collection:put (key, value, ttl)
  if self.kind == "set" then return self:call("add", key, ttl) end
  if not self.opaque.value then return self:call("set", key, value, ttl) end
  local sample = samples[self.options.value or "string"]
  local shown = self:key(key)
  self.pending = { key = self.opaque.key and key or nil, value = value }
  local ok, problem = pcall(lode.dict.set, self.handle, shown, sample, ttl)
  self.pending = nil
  if not ok then error(problem, 0) end
end

---Removes an entry; whether there was one.
---@return boolean
function collection:remove (key)
  return (self:call(self.kind == "set" and "remove" or "delete", key))
end

---What is shown as bytes, in words; nil when all is known.
---@return string?
function collection:unknown ()
  local parts = {}
  if self.opaque.key then
    parts[#parts + 1] = ("its keys are the bytes of the key_serializer %q")
      :format(self.opaque.key)
  end
  if self.opaque.value then
    parts[#parts + 1] = ("its values are the bytes of the serializer %q")
      :format(self.opaque.value)
  end
  if self.policy == false then
    parts[#parts + 1] = ("its policy %q is unknown, so entries whose time "
      .. "has come are left out"):format(self.options.expire)
  end
  return #parts > 0 and table.concat(parts, "; ") or nil
end

return stores
