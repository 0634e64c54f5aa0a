-- The documented order of keys, written down once more and by itself:
-- booleans, numbers by value, strings by byte, tuples element by element.
--
-- A key whose encoding has 480 bytes or more is long: it is ordered by its
-- first 464 encoded bytes, then by a hash. So order.class gives long keys
-- that share those bytes one class, whose inner order only a fixed hash
-- decides. Encodings are drawn in csrc/core/key.h.

local order = {}

local LONG, PREFIX = 480, 464

local rank = { boolean = 1, number = 2, string = 3, table = 4 }

-- -1, 0 or 1: the order of two keys by meaning, however long.
function order.compare (a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then return rank[ta] < rank[tb] and -1 or 1 end
  if ta == "boolean" then
    if a == b then return 0 end
    return b and -1 or 1
  elseif ta == "table" then
    for i = 1, math.min(#a, #b) do
      local c = order.compare(a[i], b[i])
      if c ~= 0 then return c end
    end
    if #a == #b then return 0 end
    return #a < #b and -1 or 1
  elseif ta == "string" then
    -- not a < b, which asks the locale
    for i = 1, math.min(#a, #b) do
      local x, y = a:byte(i), b:byte(i)
      if x ~= y then return x < y and -1 or 1 end
    end
    if #a == #b then return 0 end
    return #a < #b and -1 or 1
  end
  if a == b then return 0 end
  return a < b and -1 or 1
end

local function number_bytes (v)
  -- enough for lengths: ten where no double equals the integer
  if math.type and math.type(v) == "integer" then
    local f = v + 0.0
    if f ~= v then return 11 end
  end
  return 9
end

-- How many bytes a key takes when encoded.
function order.size (key)
  local function scalar (v, escaped)
    if type(v) == "boolean" then return 1 end
    if type(v) == "number" then return number_bytes(v) end
    if not escaped then return 1 + #v end
    local _, zeros = v:gsub("%z", "")
    return 2 + #v + zeros
  end
  if type(key) ~= "table" then return scalar(key, false) end
  local n = 1
  for _, v in ipairs(key) do n = n + scalar(v, true) end
  return n
end

-- Whether a key stands in the tree as prefix and hash.
function order.is_long (key)
  return order.size(key) >= LONG
end

-- The first PREFIX bytes of an encoding of strings and tuples of strings,
-- which is all that the specs make long keys of; shorter encodings whole.
local function head (key)
  if type(key) == "string" then
    return ("\7" .. key):sub(1, PREFIX)
  end
  local parts = { "\9" }
  for _, v in ipairs(key) do
    assert(type(v) == "string", "long tuples are of strings here")
    parts[#parts + 1] = "\7" .. v:gsub("%z", "\0\255") .. "\0"
  end
  return table.concat(parts):sub(1, PREFIX)
end

-- What keys have in common whose order among each other is their hashes';
-- nil for a key whose order is exact.
function order.class (key)
  if order.size(key) < PREFIX then return nil end
  return head(key)
end

-- Sorts an array of keys by meaning.
function order.sort (keys)
  table.sort(keys, function (a, b) return order.compare(a, b) < 0 end)
  return keys
end

return order
