--- The commands that look: stat, ls, get. They open the store for reading,
-- and make nothing.

local cli = require "lode.cli"
local json = require "lode.cli.json"
local form = require "lode.text"
local stores = require "lode.cli.stores"
local terminal = require "lode.cli.terminal"

local look = {}

local json_option = { "json", nil, "print JSON, for programs" }
local key_option = { "json-key", nil,
  'the key is JSON: 1, true, ["2026",11]' }

---A key of the command line.
---@param call lode.cli.call
---@param text string
---@param flag string? the option it came by
---@return lode.key
function look.key (call, text, flag)
  if not call.options["json-key"] then return text end
  local ok, key = pcall(json.decode, text)
  if not ok then
    cli.misuse("%s %q: %s", flag or "key", text, key)
  end
  return key
end

---The collection of this name, or an error that says there is none. What of
---it is shown as bytes is told on standard error.
---@param store lode.store
---@param name string
---@return lode.cli.collection
function look.collection (store, name)
  local c = stores.collection(store, name)
  if not c then
    error(("there is no collection %q in %s"):format(name, store:path()), 0)
  end
  local unknown = c:unknown()
  if unknown then cli.tell("%s: %s", name, unknown) end
  return c
end

-- ==================================================================
-- stat
-- ==================================================================

local store_lines = {
  { "collections" },
  { "raw", "plain LMDB databases beside them" },
  { "entries" },
  { "expired", "expired, not removed yet" },
  { "waiting", "of these, waiting for a program with their policy" },
  { "file_size", "file", terminal.bytes },
  { "used_size", "used", terminal.bytes },
  { "free_size", "free, to be filled first", terminal.bytes },
  { "max_size", "quota", terminal.bytes },
  { "version", "commits" },
  { "readers", "reader slots in use" },
}

local collection_lines = {
  { "entries" },
  { "expired", "expired, not removed yet" },
  { "waiting", "of these, waiting for a program with their policy" },
  { "size", nil, terminal.bytes },
  { "depth", "depth of its tree" },
  { "leaf_pages", "leaf pages" },
  { "branch_pages", "branch pages" },
  { "overflow_pages", "overflow pages" },
}

local function print_lines (lines, stats)
  for _, line in ipairs(lines) do
    local value = stats[line[1]]
    if value then
      cli.put(("%-22s %s\n"):format((line[3] or terminal.grouped)(value),
        line[2] or line[1]))
    end
  end
end

---The kept options as words: "ttl=60 times".
---@param options lode.kept_options
---@return string
function look.options_text (options)
  local parts = {}
  for name, value in pairs(options) do
    if type(value) == "number" then value = ("%.14g"):format(value) end
    parts[#parts + 1] = value == true and name
      or ("%s=%s"):format(name, tostring(value))
  end
  table.sort(parts)
  return table.concat(parts, " ")
end

local function stat_collection (store, name, as_json)
  local c = look.collection(store, name)
  local stats = c.fn.stats(c.handle)
  if as_json then
    stats.name, stats.kind, stats.options = name, c.kind, c.options
    return cli.put(json.encode(stats), "\n")
  end
  cli.put(c.kind, " ", terminal.harmless(name), "\n")
  print_lines(collection_lines, stats)
  local text = look.options_text(c.options)
  if text ~= "" then cli.put(("%-22s %s\n"):format("options", text)) end
end

local function stat_store (store, as_json)
  local stats = store:stats()
  local raw = #stores.list(store) - stats.collections
  stats.raw = raw > 0 and raw or nil
  if as_json then
    stats.path = store:path()
    return cli.put(json.encode(stats), "\n")
  end
  cli.put("store ", store:path(), "\n")
  print_lines(store_lines, stats)
  local oldest = stats.oldest_reader
  if oldest then
    cli.put(("process %d reads a moment %d commits ago: the file grows "
      .. "meanwhile\n"):format(oldest.pid, oldest.commits))
  end
end

look.stat = {
  usage = "PATH [COLLECTION]",
  least = 1, most = 2,
  text = [[
Figures of a store: what it holds, its space, who reads it. Of a collection:
its entries, its pages, and the options that it was made with.
]],
  options = { json_option },
  run = function (call)
    stores.with(stores.reading(call.args[1]), function (store)
      if call.args[2] then
        stat_collection(store, call.args[2], call.options.json)
      else
        stat_store(store, call.options.json)
      end
    end)
  end,
}

-- ==================================================================
-- ls
-- ==================================================================

-- A key for people: a plain string as it is, all else as JSON.
local function key_text (key)
  if type(key) == "string" and key ~= "" and form.is_utf8(key)
      and not key:find '%c' and not key:find '^[%[{"%d-]'
      and key ~= "true" and key ~= "false" then
    return key
  end
  return json.encode(key)
end

local function list_collections (store, as_json)
  for _, entry in ipairs(stores.list(store)) do
    local c = stores.collection(store, entry.name)
    local stats = c.fn.stats(c.handle)
    if as_json then
      cli.put(json.encode { name = c.name, kind = c.kind,
        entries = stats.entries, size = stats.size }, "\n")
    else
      cli.put(("%-4s %14s %10s  %s\n"):format(c.kind,
        terminal.grouped(stats.entries), terminal.bytes(stats.size),
        key_text(c.name)))
    end
  end
end

local function range_of (call)
  local range = { reverse = call.options.reverse,
    limit = cli.number(call, "limit", 0, true) }
  for _, name in ipairs { "from", "to", "prefix" } do
    local text = call.options[name]
    if text then range[name] = look.key(call, text, "--" .. name) end
  end
  return range
end

local function list_keys (store, call)
  local c = look.collection(store, call.args[2])
  local values = call.options.values and c.kind ~= "set"
  for key, value in c:each(range_of(call)) do
    local text = call.options.json and json.encode(key) or key_text(key)
    cli.put(text, values and "\t" .. json.encode(value) or "", "\n")
  end
end

look.ls = {
  usage = "PATH [COLLECTION]",
  least = 1, most = 2,
  text = [[
The collections of a store: kind, entries, size, name. With a collection, its
keys in order, one a line: a plain string as it is, any other key as JSON.
]],
  options = {
    json_option,
    { "values", nil, "after each key a tab and the value, as JSON" },
    { "prefix", "KEY", "only keys that begin with this" },
    { "from", "KEY", "only keys from here" },
    { "to", "KEY", "only keys up to here" },
    { "limit", "N", "at most N keys" },
    { "reverse", nil, "from the last to the first" },
    { "json-key", nil, "these keys are JSON" },
  },
  run = function (call)
    stores.with(stores.reading(call.args[1]), function (store)
      if call.args[2] then
        list_keys(store, call)
      else
        list_collections(store, call.options.json)
      end
    end)
  end,
}

-- ==================================================================
-- get
-- ==================================================================

local function put_value (c, key, value, call)
  if call.options.json then
    local entry = c.kind ~= "raw" and c:call("info", key) or {}
    entry.key, entry.value = key, value
    cli.put(json.encode(entry), "\n")
  elseif call.options.text and type(value) == "string" then
    cli.put(value)
  else
    cli.put(json.encode(value), "\n")
  end
end

look.get = {
  usage = "PATH COLLECTION KEY",
  least = 3, most = 3,
  text = [[
The value under a key, as JSON; true for a member of a set. The status is 1
when there is none. What JSON can't say is an object with one name: {"$b":...}
bytes in base64, {"$f":"inf"}, {"$m":...} a table as pairs of key and value.
]],
  options = {
    key_option,
    { "text", nil, "a string is printed as its bytes, nothing added" },
    { "json", nil, "print an object: key, value, and what is known of it" },
  },
  run = function (call)
    return stores.with(stores.reading(call.args[1]), function (store)
      local c = look.collection(store, call.args[2])
      local key = look.key(call, call.args[3])
      local value = c:get(key)
      if value == nil then return cli.status.no end
      put_value(c, key, value, call)
    end)
  end,
}

return look
