--- What the entries of resty.lode are: keys, lifetimes and values as they
-- come from a caller, and as they are stored; and what failures are called.
--
-- A value stands in the store as it is. What a plain one can't say is a table
-- with the field "resty.lode", which names its kind:
--
--   flags   { flags = 7, value = v }      a value with flags
--   table   { value = t }                 a table with such a field itself
--   list    { id = 3, first = 1, last = 5 }; see resty.lode.list

local KIND = "resty.lode"

local error, tonumber, tostring, type = error, tonumber, tostring, type
local floor = math.floor

local entry = { KIND = KIND }

-- {==================================================================
-- Failures
-- ===================================================================

local full = { FULL = true, DISK_FULL = true, NO_MEMORY = true }

-- What an error of lode's is called; any other passes through.
function entry.words (e)
  if type(e) ~= "table" or type(e.code) ~= "string" then error(e, 0) end
  if full[e.code] or
     (e.code == "BAD_VALUE" and e.message:find("max_bytes", 1, true)) then
    return "no memory"
  end
  return e.code .. ": " .. e.message
end

-- }==================================================================

-- {==================================================================
-- Keys, times, values
-- ===================================================================

---@param key any
---@return string? key
---@return string? err
function entry.checked (key)
  if type(key) ~= "string" then
    if key == nil then return nil, "nil key" end
    key = tostring(key)
  end
  if key == "" then return nil, "empty key" end
  if #key > 65535 then return nil, "key too long" end
  return key
end

-- The same for lists, where only what is a string or a number is a key.
function entry.checked_text (key, name)
  local kind = type(key)
  if kind ~= "string" and kind ~= "number" and key ~= nil then
    error(("bad argument #1 to '%s' (string expected, got %s)")
      :format(name, kind), 3)
  end
  return entry.checked(key)
end

-- Seconds in whole milliseconds; nil where that is none: for ever.
function entry.lifetime (exptime)
  local ms = floor(exptime * 1000 + 1e-6)
  return ms > 0 and ms / 1000 or nil
end

-- The types of values.
entry.storable = {
  string = true, number = true, boolean = true, table = true,
}

-- A value as it is stored.
function entry.wrapped (value, flags)
  if flags ~= 0 then
    return { [KIND] = "flags", flags = flags, value = value }
  end
  if type(value) == "table" and value[KIND] ~= nil then
    return { [KIND] = "table", value = value }
  end
  return value
end

-- Whether it is one of the tables above.
local function is_special (stored)
  return type(stored) == "table" and stored[KIND] ~= nil
end

-- What a stored value means: value, flags (nil: 0); nil, words for a list.
function entry.unwrapped (stored)
  if not is_special(stored) then return stored end
  if stored[KIND] == "list" then return nil, "value is a list" end
  return stored.value, stored.flags
end

-- The same for a new value in place of `old`, with the flags of that.
function entry.like (old, value)
  return entry.wrapped(value, is_special(old) and old.flags or 0)
end

function entry.is_list (stored)
  return is_special(stored) and stored[KIND] == "list"
end

-- A number that an argument is or reads as.
---@param value any
---@param name string
---@return number
function entry.number (value, name)
  local n = tonumber(value)
  if n then return n end
  error(("bad %s arg: number expected, got %s"):format(name, type(value)), 3)
end

-- For pcall.
function entry.index (d, key) return d[key] end

-- The dict of lode that stands in what a method was called on.
---@param self any
---@return lode.dict
function entry.dict_of (self)
  local d = type(self) == "table" and self[1]
  if type(d) ~= "userdata" then error('bad "zone" argument', 3) end
  return d --[[@as lode.dict]]
end

-- }==================================================================

return entry
