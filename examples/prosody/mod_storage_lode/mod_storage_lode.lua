-- A storage driver for Prosody: accounts, rosters, archives and all else that
-- its modules keep, in one store. In prosody.cfg.lua:
--
--   plugin_paths = { "/path/to/examples/prosody" }
--   storage = "lode"
--
-- prosodyctl may write while the server runs: each sees at once what the
-- other does. Keys are tuples, and their order does the work: what belongs to
-- a user lies side by side, and the next user is one step away.
--
--   keyval   { host, store, user, key } -> value
--
-- What belongs to no user but to the host has the user false.

local lode = require "lode"
local dict = lode.dict

-- "commit": what a user was told is done is on disk. With "os" the server
-- waits for no disk: what it wrote survives its end, not the machine's.
local home = lode.open(prosody.paths.data .. "/lode", {
  durability = module:get_option_string("lode_durability", "commit"),
  lock_timeout = 2, -- seconds in which the server would serve nobody
})
local values, host = home:dict "keyval", module.host

function module.unload() home:close() end

-- The names that come next in the keys of d that begin with what follows,
-- each once: one step for each, however many entries it has.
local function names(d, ...)
  local n, at = select("#", ...), { ... }
  at[n + 1] = ""
  return function ()
    local key = dict.next(d, at)
    for i = 1, n do
      if not key or key[i] ~= at[i] then return nil end
    end
    at[n + 1] = key[n + 1] .. "\0" -- behind all that begin with that name
    return key[n + 1]
  end
end

-- keyval gives and takes all of a user's entries in a store, map one of them.
-- Both are views of the same.
local keyval, map = {}, { remove = {} }

function keyval:get(user)
  local data
  for at, value in dict.pairs(values, { snapshot = true,
      prefix = { host, self.store, user or false } }) do
    data = data or {}
    data[at[4]] = value
  end
  return data
end

function keyval:set(user, data)
  user = user or false
  dict.delete_range(values, { prefix = { host, self.store, user } })
  return map.set_keys(self, user, data or {})
end

function keyval:users() return names(values, host, self.store) end

function map:get(user, key)
  return values[{ host, self.store, user or false, key }]
end

function map:set(user, key, value)
  return map.set_keys(self, user, { [key] = value == nil and map.remove
    or value })
end

function map:set_keys(user, data)
  for key, value in pairs(data) do
    if value == map.remove then value = nil end
    values[{ host, self.store, user or false, key }] = value
  end
  return true
end

function map:get_all(key)
  local all = {}
  for user in names(values, host, self.store) do
    all[user] = map.get(self, user, key)
  end
  return next(all) and all
end

function map:delete_all(key)
  for user in names(values, host, self.store) do
    values[{ host, self.store, user, key }] = nil
  end
  return true
end

-- Prosody's way to fail is nil and words, lode's is to raise.
local function answer(ok, ...)
  if ok then return ... end
  module:log("error", "%s", tostring((...)))
  return nil, tostring((...))
end

-- Methods as Prosody calls them. Each that writes is one transaction: what
-- fails half way has done nothing.
local function guarded(methods, ...)
  local index = {}
  for name, method in pairs(methods) do
    index[name] = type(method) ~= "function" and method or function (...)
      return answer(pcall(method, ...))
    end
  end
  for _, name in ipairs { ... } do
    index[name] = function (...)
      return answer(pcall(home.transaction, home, methods[name], ...))
    end
  end
  return { __index = index }
end

local archive = module:require "archive" (home, names)
local types = {
  keyval = guarded(keyval, "set"),
  map = guarded(map, "set", "set_keys", "delete_all"),
  archive = guarded(archive, "append", "set", "delete"),
}

local driver = {}

function driver:open(store, kind) -- luacheck: ignore 212/self
  local methods = types[kind or "keyval"]
  if not methods then return nil, "unsupported-store" end
  return setmetatable({ store = store }, methods)
end

-- The names of the stores where a user has something; true: anybody.
function driver:stores(user) -- luacheck: ignore 212/self
  local each = names(values, host)
  return function ()
    for name in each do
      local range = { prefix = { host, name, user or false } }
      if user == true or dict.keys(values, range)() then return name end
    end
  end
end

local function purge(user)
  for _, d in ipairs { values, home:dict "archive", home:dict "ids" } do
    for name in names(d, host) do
      dict.delete_range(d, { prefix = { host, name, user } })
    end
  end
  return true
end

function driver:purge(user) -- luacheck: ignore 212/self
  return answer(pcall(home.transaction, home, purge, user))
end

module:provides("storage", driver)
