--- The forms in which `lode dump` writes and `lode load` reads: JSON lines,
-- the text of mdb_dump and mdb_load, and flat files.
--
-- JSON lines, one object each (values: lode/cli/json.lua):
--
--   {"lode":1,"version":"0.2.0"}               first: the form's number
--   {"dict":"users","options":{"ttl":60}}      a collection begins; or "set",
--                                              "raw"
--   {"k":"ada","v":{"plan":"pro"}}             an entry of it
--   {"k":["2026",11],"v":1,"t":1795279832.659} with its end, in seconds
--                                              since the epoch
--   {"k":"red"}                                a member of a set
--   {"end":{"entries":3}}                      last, so that a file that was
--                                              cut off is noticed
--
-- "options" is what store:options gives. "bytes" beside it lists what of the
-- entries, "k" or "v", isn't the thing itself but the bytes that a
-- serializer unknown to the program that dumped has made of it.
--
-- A writer has the functions head(), begin(collection), entry(key, value,
-- expires) and finish(count), each giving text. A reader is a function that
-- gives the next event: "collection", name, kind, options, bytes; or "entry",
-- key, value, expires; or "end", count; or nil at the end of the file.

local json = require "lode.cli.json"
local lode = require "lode"

local forms = {}

-- ==================================================================
-- JSON lines
-- ==================================================================

forms.json = { number = 1 }

---@return table
function forms.json.writer ()
  local writer, kind = {}, nil
  function writer.head ()
    return ('{"lode":%d,"version":%s}\n'):format(forms.json.number,
      json.encode(lode.version))
  end
  function writer.begin (c)
    kind = c.kind
    local bytes = {}
    if c.opaque.key then bytes[#bytes + 1] = "k" end
    if c.opaque.value then bytes[#bytes + 1] = "v" end
    return ('{%s:%s%s%s}\n'):format(json.encode(c.kind), json.encode(c.name),
      kind ~= "raw" and next(c.options)
        and ',"options":' .. json.encode(c.options) or "",
      bytes[1] and ',"bytes":' .. json.encode(bytes) or "")
  end
  function writer.entry (key, value, expires)
    return '{"k":' .. json.encode(key)
      .. (kind == "set" and "" or ',"v":' .. json.encode(value))
      .. (expires and ('%s%.3f'):format(',"t":', expires) or "") .. "}\n"
  end
  function writer.finish (count)
    return ('{"end":{"entries":%.0f}}\n'):format(count)
  end
  return writer
end

local kinds = { "dict", "set", "raw" }

-- The event that an object is.
local function event_of (object)
  if type(object) ~= "table" then error("an object expected", 0) end
  if object.k ~= nil then return "entry", object.k, object.v, object.t end
  for _, kind in ipairs(kinds) do
    if type(object[kind]) == "string" then
      return "collection", object[kind], kind, object.options or {},
        object.bytes or {}
    end
  end
  if type(object["end"]) == "table" then
    return "end", object["end"].entries
  end
  error('this has no "k", "dict", "set" or "raw"', 0)
end

-- Checks the first line.
local function check_head (object)
  local number = type(object) == "table" and object.lode
  if number == nil then
    error('this is no dump of lode: its first line has no "lode"', 0)
  elseif number ~= forms.json.number then
    error(("a dump of form %s; this lode reads form %d"):format(
      tostring(number), forms.json.number), 0)
  end
end

---@param next_line fun(): string?
---@return function
function forms.json.reader (next_line)
  local begun = false
  return function ()
    local line
    repeat
      line = next_line()
      if not line then return nil end
    until line:find "%S"
    if not begun then
      check_head(json.decode(line))
      begun = true
      return "head"
    end
    return event_of(json.decode(line))
  end
end

-- ==================================================================
-- The text of mdb_dump: plain LMDB
-- ==================================================================

forms.raw = {}

local hex_of = {}
for byte = 0, 255 do hex_of[string.char(byte)] = ("%02x"):format(byte) end

local function to_hex (bytes)
  return " " .. bytes:gsub(".", hex_of) .. "\n"
end

-- What a plain database can hold.
local function need_bytes (what, v)
  if type(v) == "string" then return v end
  error(("%s %s isn't a string, and plain LMDB holds nothing else")
    :format(what, json.encode(v)), 0)
end

---@return table
function forms.raw.writer ()
  local writer, open = {}, false
  local function ending () return open and "DATA=END\n" or "" end
  function writer.head () return "" end
  function writer.begin (c)
    if c.name:find "\n" then
      error(("the name %q has no form in this text"):format(c.name), 0)
    end
    local text = ending() .. "VERSION=3\nformat=bytevalue\ndatabase="
      .. c.name .. "\ntype=btree\nHEADER=END\n"
    open = true
    return text
  end
  function writer.entry (key, value)
    return to_hex(need_bytes("the key", key))
      .. to_hex(need_bytes("the value", value == true and "" or value))
  end
  function writer.finish () return ending() end
  return writer
end

-- A line of data: in hex, or as text with \XX for what isn't.
local function data_of (line, printed)
  local body = line:match "^ (.*)$"
  if not body then error("a line of data begins with a space", 0) end
  if printed then
    return (body:gsub("\\(.)(%x?)", function (c, last)
      if c == "\\" then return "\\" .. last end
      local byte = tonumber(c .. last, 16)
      return byte and string.char(byte)
    end))
  end
  if #body % 2 ~= 0 or body:find "%X" then error("not hexadecimal", 0) end
  return (body:gsub("%x%x", function (hex)
    return string.char(tonumber(hex, 16))
  end))
end

-- Reads a header up to its end; nil at the end of the file.
local function read_header (next_line)
  local header = {}
  repeat
    local line = next_line()
    if not line then
      if next(header) then error("a header without HEADER=END", 0) end
      return nil
    end
    local name, value = line:match "^([%w_]+)=(.*)$"
    if name then
      header[name] = value
    elseif line:find "%S" then
      error("this is no text of mdb_dump", 0)
    end
  until header.HEADER == "END"
  if header.duplicates == "1" or header.dupsort == "1" then
    error("a database with several values to a key, which lode has not", 0)
  end
  return header
end

---@param next_line fun(): string?
---@param name string? of a main database, which the text doesn't name
---@return function
function forms.raw.reader (next_line, name)
  local header
  return function ()
    if not header then
      header = read_header(next_line)
      if not header then return nil end
      local found = header.database or name
      if not found then
        error("the text names no database: give a COLLECTION", 0)
      end
      return "collection", found, "raw", {}, {}
    end
    local key = next_line()
    if key == "DATA=END" then
      header = nil
      return "head"
    end
    local value = key and next_line()
    if not value then error("the text ends before DATA=END", 0) end
    local printed = header.format == "print"
    return "entry", data_of(key, printed), data_of(value, printed)
  end
end

-- ==================================================================
-- Flat files: KEY <tab> VALUE [<tab> SECONDS TO LIVE]
-- ==================================================================

forms.flat = {}

local flat_escapes = { ["\t"] = "\\t", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\\"] = "\\\\" }
local flat_meanings = { t = "\t", n = "\n", r = "\r", ["\\"] = "\\" }

local function flat_text (what, v)
  if type(v) == "table" then
    error(("%s %s is a table, which has no form in a flat file"):format(what,
      json.encode(v)), 0)
  elseif type(v) ~= "string" then
    return json.encode(v)
  end
  return (v:gsub('[%c\\]', function (c)
    return flat_escapes[c] or ("\\x%02x"):format(c:byte())
  end))
end

local function flat_value (text)
  if not text:find("\\", 1, true) then return text end
  text = text:gsub("\\(.)(%x?%x?)", function (c, hex)
    if c == "x" and #hex == 2 then return string.char(tonumber(hex, 16)) end
    return flat_meanings[c] and flat_meanings[c] .. hex or nil
  end)
  return text
end

---@return table
function forms.flat.writer ()
  local now = os.time()
  return {
    head = function () return "" end,
    begin = function () return "" end,
    entry = function (key, value, expires)
      return flat_text("the key", key) .. "\t" .. flat_text("the value",
        value) .. (expires and ("\t%.3f"):format(expires - now) or "") .. "\n"
    end,
    finish = function () return "" end,
  }
end

-- "3" as 3, and so on, where that is wanted.
local words = { ["true"] = true, ["false"] = false }

local function typed (text)
  if words[text] ~= nil then return words[text] end
  return text:find "^-?[%d.]" and tonumber(text) or text
end

---@param next_line fun(): string?
---@param name string
---@param types boolean? whether values that read as numbers become such
---@return function
function forms.flat.reader (next_line, name, types)
  local begun = false
  return function ()
    if not begun then
      begun = true
      return "collection", name, "dict", {}, {}
    end
    local line = next_line()
    if not line then return nil end
    if not line:find "%S" then return "head" end
    local key, rest = line:match "^([^\t]*)\t(.*)$"
    if not key then error("a tab between key and value expected", 0) end
    local value, seconds = rest:match "^([^\t]*)\t(.*)$"
    local left = seconds and tonumber(seconds)
    if seconds and not left then
      error(("%q is no number of seconds"):format(seconds), 0)
    end
    value = flat_value(value or rest)
    return "entry", flat_value(key), types and typed(value) or value,
      left and os.time() + left
  end
end

return forms
