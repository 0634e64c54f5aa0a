-- What a dict or set must hold, kept in plain Lua: a pool of keys in the
-- documented order, and the values that are there now.
--
-- Keys whose order among each other only a hash decides share a class (see
-- support/order.lua): their contents are checked, their inner order isn't.

local exact = require "support.exact"
local order = require "support.order"

local oracle = {}
oracle.__index = oracle

-- A string that two keys share when they are one key, as 1 and 1.0 are.
local function identity (key)
  local kind = type(key)
  if kind == "string" then return "s" .. key end
  if kind == "number" then
    local whole = math.tointeger and math.tointeger(key)
    if whole then return ("n%d"):format(whole) end
    return ("n%.17g"):format(key + 0)
  elseif kind == "table" then
    local parts = {}
    for i, v in ipairs(key) do
      local id = identity(v)
      parts[i] = #id .. ":" .. id
    end
    return "t" .. table.concat(parts)
  end
  return tostring(key)
end

-- A pool of these keys. `determined`: the hash is known to be a constant,
-- so that long keys are in the order of their bytes.
function oracle.pool (keys, determined)
  order.sort(keys)
  local pool = { keys = {}, class = {}, index = {}, alone = {} }
  local heads = {}
  for _, key in ipairs(keys) do
    local n = #pool.keys
    if n == 0 or order.compare(pool.keys[n], key) ~= 0 then
      n = n + 1
      pool.keys[n] = key
      pool.index[identity(key)] = n
      heads[n] = not determined and order.class(key) or n
      local same = n > 1 and heads[n] == heads[n - 1]
      pool.class[n] = same and pool.class[n - 1] or n
      pool.alone[n] = not same
      if same then pool.alone[n - 1] = false end
    end
  end
  pool.n = #pool.keys
  return pool
end

-- An empty dict over the pool.
function oracle.new (pool)
  return setmetatable({ pool = pool, values = {}, n = 0 }, oracle)
end

function oracle:copy ()
  local values = {}
  for i, v in pairs(self.values) do values[i] = v end
  return setmetatable({ pool = self.pool, values = values, n = self.n },
    oracle)
end

-- Gives key number i this value; nil takes it away.
function oracle:put (i, value)
  local old = self.values[i]
  if old == nil and value ~= nil then self.n = self.n + 1 end
  if old ~= nil and value == nil then self.n = self.n - 1 end
  self.values[i] = value
end

function oracle:clear ()
  self.values, self.n = {}, 0
end

local function starts (key, prefix)
  if type(prefix) == "string" then
    return type(key) == "string" and key:sub(1, #prefix) == prefix
  end
  if type(key) ~= "table" or #key < #prefix then return false end
  for i, v in ipairs(prefix) do
    if identity(v) ~= identity(key[i]) then return false end
  end
  return true
end

-- The numbers of the present keys in a range, in its direction; its bounds
-- are numbers of keys, its limit is left to the caller.
function oracle:select (range)
  local first, last = 1, self.pool.n
  if range.from then first = range.from end
  if range.after then first = range.after + 1 end
  if range.to then last = range.to end
  if range.before then last = range.before - 1 end
  local out, values, keys = {}, self.values, self.pool.keys
  local prefix = range.prefix
  local a, b, step = first, last, 1
  if range.reverse then a, b, step = last, first, -1 end
  for i = a, b, step do
    if values[i] ~= nil and (prefix == nil or starts(keys[i], prefix)) then
      out[#out + 1] = i
    end
  end
  return out
end

-- The range as lode wants it: bounds as keys.
function oracle:range (range)
  local keys = self.pool.keys
  local out = { prefix = range.prefix, reverse = range.reverse,
    limit = range.limit }
  for _, bound in ipairs { "from", "after", "to", "before" } do
    if range[bound] then out[bound] = keys[range[bound]] end
  end
  return out
end

-- The number of a key that lode gave; an error when it is none of ours.
function oracle:number (key)
  local i = self.pool.index[identity(key)]
  if not i then error("a key nobody wrote: " .. exact.show(key), 2) end
  return i
end

-- Checks a walk: `keys` and `values` (or nil) that lode gave against the
-- numbers that `select` gave, cut at `limit`.
function oracle:check (keys, values, expected, limit, what)
  local n = #expected
  if limit and limit < n then n = limit end
  if #keys ~= n then
    error(("%s: %d entries, expected %d"):format(what, #keys, n), 2)
  end
  local class, left = self.pool.class, {}
  for _, i in ipairs(expected) do left[i] = true end
  for at = 1, n do
    local i = self:number(keys[at])
    if not left[i] then
      error(("%s: %s is too much or came twice"):format(what,
        exact.show(keys[at])), 2)
    end
    left[i] = nil
    if class[i] ~= class[expected[at]] then
      error(("%s: %s at %d, where %s was expected"):format(what,
        exact.show(keys[at]), at,
        exact.show(self.pool.keys[expected[at]])), 2)
    end
    if values then
      exact.check(self.values[i], values[at],
        what .. " at " .. exact.show(keys[at]))
    end
  end
end

return oracle
