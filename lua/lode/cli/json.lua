--- JSON that keeps what Lua values are: what the command `lode` prints and
-- reads, one value a line.
--
-- What JSON can say is said plainly: true, strings in UTF-8, lists, tables
-- with string keys, and numbers, where a float is told from an integer by
-- its point or exponent (3 and 3.0). Anything else is an object with one
-- key that begins with "$":
--
--   {"$b":"AP8="}            a string that isn't UTF-8: its bytes, in base64
--   {"$f":"inf"}             a float: "inf", "-inf" or "nan"
--   {"$m":[[1,"a"],[3,"b"]]} any other table, as pairs of key and value:
--                            one with gaps, or with both names and numbers,
--                            or with a name that begins with "$"
--
-- An empty table is {}; [] is read as the same. A tuple, as a key, is a list.
-- `null` is read as absent inside of an object, and refused elsewhere.

local form = require "lode.text"

local json = {}

local max_depth = 200

-- ==================================================================
-- base64
-- ==================================================================

local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
  .. "0123456789+/"
local digit_of, value_of = {}, {}
for i = 1, 64 do
  digit_of[i - 1] = digits:sub(i, i)
  value_of[digits:byte(i)] = i - 1
end

local function to_base64 (bytes)
  local out, floor = {}, math.floor
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    out[#out + 1] = digit_of[floor(n / 262144)]
      .. digit_of[floor(n / 4096) % 64]
      .. (b and digit_of[floor(n / 64) % 64] or "=")
      .. (c and digit_of[n % 64] or "=")
  end
  return table.concat(out)
end

-- The bytes, or nil where it isn't base64.
local function from_base64 (text)
  local body = text:match "^([%w+/]*)=?=?$"
  if not body or #text % 4 ~= 0 or #text - #body > 2 then return nil end
  local out, floor, char = {}, math.floor, string.char
  for i = 1, #body, 4 do
    local a, b, c, d = body:byte(i, i + 3)
    if not b then return nil end
    local n = value_of[a] * 262144 + value_of[b] * 4096
      + (c and value_of[c] or 0) * 64 + (d and value_of[d] or 0)
    local three = char(floor(n / 65536), floor(n / 256) % 256, n % 256)
    out[#out + 1] = d and three or three:sub(1, c and 2 or 1)
  end
  return table.concat(out)
end

-- ==================================================================
-- Writing
-- ==================================================================

local short = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f",
  ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
}

local function escape (c)
  return short[c] or ("\\u%04x"):format(c:byte())
end

local function string_text (text)
  if not form.is_utf8(text) then
    return '{"$b":"' .. to_base64(text) .. '"}'
  end
  if text:find '[%c"\\]' then text = text:gsub('[%c"\\]', escape) end
  return '"' .. text .. '"'
end

local function number_text (number)
  if number ~= number then
    return '{"$f":"nan"}'
  elseif number == math.huge or number == -math.huge then
    return number > 0 and '{"$f":"inf"}' or '{"$f":"-inf"}'
  end
  return form.of_number(number)
end

-- Of the keys of a table: whether they are 1 to n, and n; else the sorted
-- names when all of them are names; else nothing.
local function shape_of (value)
  local count, names, other = 0, {}, false
  for key in next, value do
    count = count + 1
    if type(key) == "string" then
      names[#names + 1] = key
      if key:sub(1, 1) == "$" or not form.is_utf8(key) then other = true end
    elseif type(key) ~= "number" or key < 1 or key % 1 ~= 0 then
      other = true
    end
  end
  if #names == count then
    table.sort(names)
    return nil, not other and names or nil
  elseif #names > 0 or other then
    return nil, nil
  end
  for i = 1, count do
    if rawget(value, i) == nil then return nil, nil end
  end
  return count, nil
end

-- The order in which keys of several types are written.
local rank = { boolean = 1, number = 2, string = 3 }

local function before (a, b)
  if type(a) ~= type(b) then return rank[type(a)] < rank[type(b)] end
  if type(a) == "boolean" then return b and not a end
  return a < b
end

local put_value

local function put_pairs (out, value, depth)
  local keys = {}
  for key in next, value do
    if not rank[type(key)] then
      error(("a %s as a key has no form in JSON"):format(type(key)), 0)
    end
    keys[#keys + 1] = key
  end
  table.sort(keys, before)
  out[#out + 1] = '{"$m":['
  for i, key in ipairs(keys) do
    out[#out + 1] = i > 1 and ",[" or "["
    put_value(out, key, depth)
    out[#out + 1] = ","
    put_value(out, rawget(value, key), depth)
    out[#out + 1] = "]"
  end
  out[#out + 1] = "]}"
end

local list_mark = {} -- the metatable of what is a list also when empty

---Marks a table as a list, so that an empty one is written as [].
---@param list table
---@return table list
function json.list (list)
  return setmetatable(list, list_mark)
end

local function put_table (out, value, depth)
  if depth > max_depth then
    error("nested too deeply, or a table that contains itself", 0)
  elseif next(value) == nil and getmetatable(value) == list_mark then
    out[#out + 1] = "[]"
    return
  end
  local count, names = shape_of(value)
  if count then
    out[#out + 1] = "["
    for i = 1, count do
      if i > 1 then out[#out + 1] = "," end
      put_value(out, rawget(value, i), depth)
    end
    out[#out + 1] = "]"
  elseif names then
    out[#out + 1] = "{"
    for i, name in ipairs(names) do
      out[#out + 1] = (i > 1 and "," or "") .. string_text(name) .. ":"
      put_value(out, rawget(value, name), depth)
    end
    out[#out + 1] = "}"
  else
    put_pairs(out, value, depth)
  end
end

put_value = function (out, value, depth)
  local kind = type(value)
  if kind == "string" then
    out[#out + 1] = string_text(value)
  elseif kind == "number" then
    out[#out + 1] = number_text(value)
  elseif kind == "boolean" then
    out[#out + 1] = tostring(value)
  elseif kind == "table" then
    put_table(out, value, depth + 1)
  else
    error(("a %s has no form in JSON"):format(kind), 0)
  end
end

---A value as one line. Raises a string for what has no form.
---@param value any
---@return string
function json.encode (value)
  local kind = type(value)
  if kind == "string" then return string_text(value) end
  if kind == "number" then return number_text(value) end
  local out = {}
  put_value(out, value, 0)
  return table.concat(out)
end

-- ==================================================================
-- Reading
-- ==================================================================

local function wrong (at, what)
  error(("not JSON at byte %d: %s"):format(at, what), 0)
end

local function utf8_char (code)
  local floor, char = math.floor, string.char
  if code < 0x80 then return char(code) end
  if code < 0x800 then
    return char(0xC0 + floor(code / 64), 0x80 + code % 64)
  elseif code < 0x10000 then
    return char(0xE0 + floor(code / 4096), 0x80 + floor(code / 64) % 64,
      0x80 + code % 64)
  end
  return char(0xF0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64,
    0x80 + floor(code / 64) % 64, 0x80 + code % 64)
end

local long = {
  ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n",
  r = "\r", t = "\t",
}

-- The character of \u and four digits at `at` (of the "u"), and where it ends.
local function read_unicode (text, at)
  local code = tonumber(text:match("^%x%x%x%x", at + 1) or "", 16)
  if not code then wrong(at, "four hexadecimal digits expected") end
  at = at + 5
  if code < 0xD800 or code > 0xDFFF then return utf8_char(code), at end
  local low = tonumber(text:match("^\\u(%x%x%x%x)", at) or "", 16)
  if code > 0xDBFF or not low or low < 0xDC00 or low > 0xDFFF then
    wrong(at, "half of a surrogate pair")
  end
  return utf8_char(0x10000 + (code - 0xD800) * 1024 + low - 0xDC00), at + 6
end

-- The string whose quote is at `at`, and the place after it.
local function read_string (text, at)
  local from = at + 1
  local stop = text:find('["\\%c]', from)
  if stop and text:sub(stop, stop) == '"' then
    return text:sub(from, stop - 1), stop + 1
  end
  local out = {}
  while true do
    if not stop then wrong(at, "a string without an end") end
    local c = text:sub(stop, stop)
    out[#out + 1] = text:sub(from, stop - 1)
    from = stop + 1
    if c == '"' then return table.concat(out), from end
    if c ~= "\\" then -- a control character, which others may write
      out[#out + 1] = c
    elseif text:sub(from, from) == "u" then
      out[#out + 1], from = read_unicode(text, from)
    else
      local meant = long[text:sub(from, from)]
      if not meant then wrong(stop, "an unknown escape") end
      out[#out + 1] = meant
      from = from + 1
    end
    stop = text:find('["\\%c]', from)
  end
end

local read_value
local null = {}

local function skip (text, at)
  return text:find("[^ \t\r\n]", at) or #text + 1
end

-- After an element: whether another follows, and the place of what does.
local function more (text, at, closing)
  at = skip(text, at)
  local c = text:sub(at, at)
  if c == "," then return true, skip(text, at + 1) end
  if c == closing then return false, at + 1 end
  wrong(at, ("',' or '%s' expected"):format(closing))
end

local function read_list (text, at, depth)
  local list, count, goes_on = {}, 0, true
  at = skip(text, at + 1)
  if text:sub(at, at) == "]" then return list, at + 1 end
  while goes_on do
    local start = at
    count = count + 1
    list[count], at = read_value(text, at, depth)
    if list[count] == null then
      wrong(start, "null in a list has no value in Lua")
    end
    goes_on, at = more(text, at, "]")
  end
  return list, at
end

local floats = { inf = math.huge, ["-inf"] = -math.huge, nan = 0 / 0 }

local tags = {
  ["$b"] = function (v) return type(v) == "string" and from_base64(v) end,
  ["$f"] = function (v) return floats[v] end,
  ["$m"] = function (v)
    if type(v) ~= "table" then return nil end
    local out = {}
    for _, pair in ipairs(v) do
      local key = type(pair) == "table" and pair[1]
      if key == nil or key ~= key or pair[2] == nil then return nil end
      out[key] = pair[2]
    end
    return out
  end,
}

-- What an object with one tag means.
local function tagged (at, tag, value, count)
  local read = tags[tag]
  if not read then
    wrong(at, ("%s is no tag: a table with such a name is written as "
      .. '{"$m":[["%s",...]]}'):format(tag, tag))
  end
  local meant = count == 1 and read(value)
  if not meant then wrong(at, "this is no value of " .. tag) end
  return meant
end

local function read_object (text, at, depth)
  local object, count, tag, goes_on = {}, 0, nil, true
  local start = at
  at = skip(text, at + 1)
  if text:sub(at, at) == "}" then return object, at + 1 end
  while goes_on do
    if text:sub(at, at) ~= '"' then wrong(at, "a name in quotes expected") end
    local name, value
    name, at = read_string(text, at)
    at = skip(text, at)
    if text:sub(at, at) ~= ":" then wrong(at, "':' expected") end
    value, at = read_value(text, skip(text, at + 1), depth)
    count = count + 1
    if name:sub(1, 1) == "$" then tag = name end
    if value ~= null then object[name] = value end
    goes_on, at = more(text, at, "}")
  end
  if tag then return tagged(start, tag, object[tag], count), at end
  return object, at
end

local function read_number (text, at)
  local stop = select(2, text:find("^-?%d+%.?%d*[eE]?[+-]?%d*", at))
  local found = stop and text:sub(at, stop)
  local number = found and tonumber(found)
  if not number or found:find "^-?0%d" or found:find "%.$" then
    wrong(at, "a value expected")
  end
  return number, stop + 1
end

local words = { ["true"] = true, ["false"] = false, ["null"] = null }

read_value = function (text, at, depth)
  local c = text:sub(at, at)
  if c == '"' then return read_string(text, at) end
  if c == "{" or c == "[" then
    if depth >= 2 * max_depth then wrong(at, "nested too deeply") end
    return (c == "{" and read_object or read_list)(text, at, depth + 1)
  end
  local word = text:match("^%a+", at)
  if word and words[word] ~= nil then return words[word], at + #word end
  return read_number(text, at)
end

---The value of a text. Raises a string that says where it is no JSON.
---@param text string
---@return any
function json.decode (text)
  local start = skip(text, 1)
  local value, at = read_value(text, start, 0)
  if value == null then wrong(start, "null is no value; leave it out") end
  at = skip(text, at)
  if at <= #text then wrong(at, "more after its end") end
  return value
end

return json
