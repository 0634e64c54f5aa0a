-- What the page at /browse asks of a store, and changes in it.
--
-- Names, keys and values travel as text, in the JSON that the command `lode`
-- has: it keeps every type, and says bytes that are no UTF-8 in base64. Each
-- call is short, as other requests of the worker wait meanwhile: a page has
-- 50 entries, and a large value isn't read at all.

local json = require "lode.cli.json"
local stores = require "lode.cli.stores"

local entries = {}

local page_size = 50
local row_size = 2^12    -- bytes; a larger value isn't read for a list
local entry_size = 2^16  -- and one above this isn't shown, nor edited
local row_text = 240     -- bytes of text that a list shows of a value

-- {==================================================================
-- Text
-- ===================================================================

-- LuaJIT has no integers: one from 2^53 on is read as a number nearby. It is
-- shown, but nothing is written back, nor looked for under such a key.
local function is_rounded (v)
  if type(v) == "table" then
    for key, value in pairs(v) do
      if is_rounded(key) or is_rounded(value) then return true end
    end
  end
  return type(v) == "number" and math.abs(v) >= 2^53
    and math.abs(v) <= 2^64
end

local function exact (v)
  if not is_rounded(v) then return v end
  error("whole numbers from 2^53 on are not exact in nginx's Lua: "
    .. "look at this entry with the command `lode`", 0)
end

-- A key that was typed: JSON, or a text that can't be taken for JSON.
local function key_of (typed)
  local text = (typed or ""):match "^%s*(.-)%s*$"
  if text == "" then return nil end
  if text:find '^[%["{%d-]' or text == "true" or text == "false" then
    return json.decode(text)
  end
  return text
end

local function need_key (typed)
  local key = exact(key_of(typed))
  if key == nil then error("a key is missing", 0) end
  return key
end

local function value_of (text)
  if (text or "") == "" then error("a value is missing", 0) end
  return exact(json.decode(text))
end

-- The begin of a text, with no part of a character at its end.
local function short (text)
  if #text <= row_text then return text end
  return text:sub(1, row_text):match "^(.-)[\192-\255]?[\128-\191]*$" .. "…"
end

-- }==================================================================

-- {==================================================================
-- Looking
-- ===================================================================

local function open (store, ask)
  local name = json.decode(ask.collection or "")
  local c = stores.collection(store, name)
  return c or error("there is no such collection any more", 0)
end

-- The value under a key, true for a member. A walk, unlike a get, is no read
-- that would keep an idle session alive.
local function peek (c, key)
  local _, value = c:each { from = key, to = key, limit = 1 } ()
  return value
end

-- The bytes of an entry; nil when it isn't there.
local function size_of (c, key)
  if c.kind == "raw" then
    local value = peek(c, key)
    return value and #key + #value
  end
  local info = c:call("info", key)
  return info and info.size
end

-- Tells one state of an entry from another, a large one by its size alone;
-- nil when it isn't there.
local function version_of (c, key)
  local size = size_of(c, key)
  if not size or size > entry_size then return size and "size " .. size end
  return ngx.md5(json.encode(peek(c, key)))
end

-- What a list shows of an entry.
local function row_of (c, key)
  exact(key)
  local size = size_of(c, key)
  local row = { key = json.encode(key), size = size }
  if c.kind ~= "raw" then row.ttl = c:call("ttl", key) end
  if c.kind ~= "set" and size <= row_size then
    row.value = short(json.encode(peek(c, key)))
  end
  return row
end

-- What is damaged or can't be decoded spoils its own row, no other.
local function row (c, key)
  local ok, found = pcall(row_of, c, key)
  if ok then return found end
  return { key = json.encode(key), problem = tostring(found) }
end

-- The range that is asked for. From a cursor on it goes away from it: `after`
-- is the last key of the page before, `before` the first of the one behind.
local function range_of (ask)
  local range = {
    prefix = key_of(ask.prefix), from = key_of(ask.from), to = key_of(ask.to),
    reverse = (ask.reverse or false) ~= (ask.before ~= nil),
    limit = page_size + 1,
  }
  local cursor = key_of(ask.after or ask.before)
  if cursor == nil then return range end
  if range.reverse then
    range.before, range.to = cursor, nil
  else
    range.after, range.from = cursor, nil
  end
  return range
end

function entries.collections (store)
  local list = json.list {}
  for i, entry in ipairs(stores.list(store)) do
    local ok, count = pcall(function ()
      local c = stores.collection(store, entry.name)
      return c.fn.len(c.handle)
    end)
    list[i] = { name = json.encode(entry.name), kind = entry.kind,
      entries = ok and count or nil, problem = not ok and tostring(count)
      or nil }
  end
  return { path = store:path(), collections = list }
end

function entries.page (store, ask)
  local c, rows, more = open(store, ask), json.list {}, false
  local walk = c.fn.each or c.fn.keys -- of a set, of a dict
  store:snapshot(function ()
    for key in walk(c.handle, range_of(ask)) do
      more = #rows == page_size
      if more then break end
      table.insert(rows, ask.before and 1 or #rows + 1, row(c, key))
    end
  end)
  return { kind = c.kind, note = c:unknown(), rows = rows,
    next = ask.before ~= nil or more,
    previous = ask.after ~= nil or ask.before ~= nil and more }
end

function entries.entry (store, ask)
  local c, key = open(store, ask), need_key(ask.key)
  return store:snapshot(function ()
    local version = version_of(c, key)
    if not version then error("there is no such entry any more", 0) end
    local shown = row_of(c, key)
    shown.version, shown.value = version, nil
    if c.kind ~= "set" and shown.size <= entry_size then
      local value = peek(c, key)
      shown.value, shown.rounded = json.encode(value), is_rounded(value)
    end
    return shown
  end)
end

-- }==================================================================

-- {==================================================================
-- Changing
-- ===================================================================

-- Calls fn(c, key) if the entry is what the page has shown, with nobody in
-- between: lode.dict.cas, for sets and for all that can be done to an entry.
local function change (store, ask, fn)
  local c, key = open(store, ask), need_key(ask.key)
  store:transaction(function ()
    local version = version_of(c, key)
    if not version then
      error("nothing was done: this entry is gone meanwhile", 0)
    elseif version ~= ask.version then
      error("nothing was done: somebody has changed this entry meanwhile", 0)
    end
    fn(c, key)
  end)
  return { done = true }
end

-- It keeps its end.
function entries.edit (store, ask)
  local value = value_of(ask.value)
  return change(store, ask, function (c, key)
    c:call("update", key, function (old)
      exact(old)
      return value
    end)
  end)
end

function entries.delete (store, ask)
  return change(store, ask, function (c, key) c:remove(key) end)
end

-- Without `ttl` it has no end.
function entries.expire (store, ask)
  return change(store, ask, function (c, key)
    c:call("expire", key, ask.ttl)
  end)
end

function entries.add (store, ask)
  local c, key = open(store, ask), need_key(ask.key)
  local added
  if c.kind == "set" then
    added = c:call("add", key, ask.ttl)
  else
    added = c:call("add", key, value_of(ask.value), ask.ttl)
  end
  if not added then error("nothing was done: there is one already", 0) end
  return { done = true }
end

-- }==================================================================

return entries
