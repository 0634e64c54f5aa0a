--- The command dump: everything that a store holds, as text.

local cli = require "lode.cli"
local forms = require "lode.cli.forms"
local look = require "lode.cli.look"
local stores = require "lode.cli.stores"
local terminal = require "lode.cli.terminal"

-- When an entry ends; nil when it doesn't, or nobody can tell: then that is
-- counted in `state.unsure`.
local function expires_of (c, key, state)
  if c.kind == "raw" then return nil end
  local ok, info = pcall(c.call, c, "info", key)
  if ok then return info and info.expires end
  if not c.options.hash or cli.is_interrupt(info) then error(info, 0) end
  state.unsure = state.unsure + 1
end

-- Tells what of a collection the dump lacks.
local function tell_missing (c, unsure)
  local waiting = c.kind ~= "raw" and c.fn.stats(c.handle).waiting or 0
  if waiting > 0 and c.policy == false then
    cli.tell("%s: %s entries are not in the dump: their time has come, and "
      .. "only a program with the policy %q can tell whether they stay",
      c.name, terminal.grouped(waiting), c.options.expire)
  end
  if unsure > 0 then
    cli.tell("%s: whether %s entries have an end is unknown: their keys are "
      .. "long, and its hash function isn't here", c.name,
      terminal.grouped(unsure))
  end
end

-- One collection; `state` counts.
local function dump_one (c, writer, state)
  cli.put(writer.begin(c))
  state.unsure = 0
  for key, value in c:each() do
    local ok, text = pcall(writer.entry, key, value,
      expires_of(c, key, state))
    if not ok then error(("%s: %s"):format(c.name, cli.reason(text)), 0) end
    cli.put(text)
    state.count = state.count + 1
    if state.count % 64 == 0 then state.bar:to(state.count) end
  end
  tell_missing(c, state.unsure)
end

-- The names to dump: those given, else all.
local function names_of (store, call)
  if #call.args > 1 then
    local names = {}
    for i = 2, #call.args do names[i - 1] = call.args[i] end
    return names
  end
  local names = {}
  for i, entry in ipairs(stores.list(store)) do names[i] = entry.name end
  return names
end

-- All of these, at one moment.
local function dump (collections, writer)
  local total = 0
  for _, c in ipairs(collections) do
    total = total + c.fn.stats(c.handle).entries
  end
  local state = { count = 0, bar = terminal.progress("dump", total) }
  cli.put(writer.head())
  for _, c in ipairs(collections) do dump_one(c, writer, state) end
  cli.put(writer.finish(state.count))
  state.bar:to(state.count)
  state.bar:finish()
end

local command = {
  usage = "PATH [COLLECTION...]",
  least = 1,
  text = [=[
Writes a store, or some of its collections, to standard output, as of one
moment, while others may write. `lode load` makes the same of it again: every
type of keys and values, the options of collections, and when entries end. Not
kept are times and hits (option `times`), and functions.

Each line is a JSON object: {"dict":"users","options":{...}} begins a dict,
{"set":...} a set, {"raw":...} a plain LMDB database. The entries follow:
{"k":KEY,"v":VALUE,"t":END}, where the end is in seconds since the epoch. What
JSON can't say is an object with one name: {"$b":...} bytes in base64,
{"$f":"inf"} a float, {"$m":[[KEY,VALUE],...]} any table. The last line,
{"end":...}, tells that nothing is missing.

Where a serializer is unknown here (or needs its key, as encryption does), the
bytes that it made are dumped, which load can put back.
]=],
  options = {
    { "raw", nil, "write what mdb_dump writes, for mdb_load: strings only" },
    { "flat", nil, "write lines of key, tab, value, and where it ends a tab "
      .. "and the seconds it has left; of one dict, no tables" },
  },
  run = function (call)
    local options = call.options
    if options.raw and options.flat then
      cli.misuse "either --raw or --flat"
    elseif options.flat and #call.args ~= 2 then
      cli.misuse "--flat takes one COLLECTION"
    end
    local form = options.raw and "raw" or options.flat and "flat" or "json"
    io.stdout:setvbuf("full", 65536)
    stores.with(stores.reading(call.args[1]), function (store)
      local collections = {}
      for i, name in ipairs(names_of(store, call)) do
        collections[i] = look.collection(store, name)
      end
      store:snapshot(dump, collections, forms[form].writer())
    end)
  end,
}

return { dump = command }
