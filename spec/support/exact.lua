-- Values compared as a store must keep them: integers apart from floats
-- where Lua has both, -0.0 apart from 0.0, NaN equal to itself.

local exact = {}

local kind_of = math.type or type

local function same_scalar (a, b)
  if kind_of(a) ~= kind_of(b) then return false end
  if a ~= a then return b ~= b end
  if a == 0 and b == 0 and type(a) == "number" then
    return 1 / a == 1 / b
  end
  return a == b
end

-- Whether two plain values are the same to the last bit.
function exact.same (a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return same_scalar(a, b)
  end
  for k, v in pairs(a) do
    local other = b[k]
    if other == nil or not exact.same(v, other) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

-- A key as a table would give it back: 1.0 as 1, -0.0 as 0.
function exact.key (key)
  if type(key) == "table" then
    local tuple = {}
    for i, v in ipairs(key) do tuple[i] = exact.key(v) end
    return tuple
  elseif type(key) == "number" then
    return math.tointeger and math.tointeger(key) or key + 0
  end
  return key
end

-- An array of keys as a table would give them back.
function exact.keys (array)
  local out = {}
  for i, key in ipairs(array) do out[i] = exact.key(key) end
  return out
end

local function show (v, depth)
  if type(v) == "string" then
    if #v > 60 then v = v:sub(1, 40) .. "...(" .. #v .. " bytes)" end
    return ("%q"):format(v)
  elseif type(v) ~= "table" then
    return tostring(v)
  elseif depth > 3 then
    return "{...}"
  end
  local parts = {}
  for k, x in pairs(v) do
    parts[#parts + 1] = "[" .. show(k, depth + 1) .. "]="
      .. show(x, depth + 1)
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

-- A value as text, for messages.
function exact.show (v)
  return show(v, 0)
end

-- Raises unless both are the same; `what` says what was compared.
function exact.check (expected, got, what)
  if not exact.same(expected, got) then
    error(("%s: expected %s, got %s"):format(what or "value",
      exact.show(expected), exact.show(got)), 2)
  end
end

return exact
