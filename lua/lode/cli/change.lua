--- The commands that change entries: set, del, sweep.

local cli = require "lode.cli"
local json = require "lode.cli.json"
local look = require "lode.cli.look"
local stores = require "lode.cli.stores"
local terminal = require "lode.cli.terminal"

local change = {}

local key_option = { "json-key", nil,
  'the key is JSON: 1, true, ["2026",11]' }

-- ==================================================================
-- set
-- ==================================================================

local function value_of (call)
  local text = call.args[4]
  if call.options.text then return text end
  local ok, value = pcall(json.decode, text)
  if ok then return value end
  cli.misuse("%s\na string is written with its quotes, '\"%s\"', or with "
    .. "--text", value, text:sub(1, 40):gsub('[\\"]', "\\%0"))
end

-- The collection to write to, made as a dict, or for a member as a set,
-- when there is none.
local function to_write (store, name, has_value)
  if store:options(name) then return look.collection(store, name) end
  return stores.make(store, name, has_value and "dict" or "set", {}, {})
end

change.set = {
  usage = "PATH COLLECTION KEY [JSON]",
  least = 3, most = 4,
  text = [[
Writes an entry. The value is JSON, where 3 is an integer and 3.0 a float, or
with --text a string as it stands. Without one, KEY becomes a member of a set.
The store and the collection are made when they are absent.
]],
  options = {
    key_option,
    { "text", nil, "the value is a string" },
    { "ttl", "SECONDS", "how long it lives" },
    { "add", nil, "write only where there is none; else the status is 1" },
  },
  run = function (call)
    local key = look.key(call, call.args[3])
    local has_value = call.args[4] ~= nil
    local value = not has_value or value_of(call)
    local ttl = cli.number(call, "ttl", 0)
    local store = stores.writing(call.args[1], { create = true })
    return stores.with(store, function ()
      local c = to_write(store, call.args[2], has_value)
      if c.kind == "set" and value ~= true then
        cli.misuse("%s is a set: a member has no value", c.name)
      elseif c.kind ~= "set" and not has_value then
        cli.misuse("%s is a dict: a value is missing", c.name)
      end
      return store:transaction(function ()
        if call.options.add and c:call("has", key) then
          return cli.status.no
        end
        c:put(key, value, ttl)
      end)
    end)
  end,
}

-- ==================================================================
-- del
-- ==================================================================

change.del = {
  usage = "PATH COLLECTION KEY...",
  least = 3,
  text = [[
Removes entries or members, all of them at once. The status is 1 when one of
them was not there.
]],
  options = { key_option },
  run = function (call)
    local keys = {}
    for i = 3, #call.args do keys[i - 2] = look.key(call, call.args[i]) end
    return stores.with(stores.writing(call.args[1]), function (store)
      local c = look.collection(store, call.args[2])
      local missing = 0
      store:transaction(function ()
        for _, key in ipairs(keys) do
          if not c:remove(key) then missing = missing + 1 end
        end
      end)
      return missing > 0 and cli.status.no or nil
    end)
  end,
}

-- ==================================================================
-- sweep
-- ==================================================================

-- Removes what is due in steps, so that no step takes long.
local function sweep_all (store, most)
  local due = store:stats().expired
  local bar = terminal.progress("sweep", math.min(due, most))
  local removed, more = 0, true
  while more and removed < most do
    local n
    n, more = store:maintain { entries = math.min(1000, most - removed),
      ms = 200 }
    removed = removed + n
    bar:to(removed)
    if n == 0 then break end
  end
  bar:finish()
  return removed
end

-- Every collection, open with the policy that it has.
local function open_all (store)
  local open = {}
  for i, entry in ipairs(stores.list(store)) do
    open[i] = stores.collection(store, entry.name)
  end
  return open
end

-- The names of those where entries wait.
local function waiting_in (collections)
  local names = {}
  for _, c in ipairs(collections) do
    if c.kind ~= "raw" and c.fn.stats(c.handle).waiting > 0 then
      names[#names + 1] = terminal.harmless(c.name)
    end
  end
  return table.concat(names, ", ")
end

local function sweep (store, call)
  local most = cli.number(call, "entries", 1, true) or math.huge
  local open = open_all(store)
  local removed = sweep_all(store, most)
  local stats = store:stats()
  if call.options.json then
    return cli.put(json.encode { removed = removed, expired = stats.expired,
      waiting = stats.waiting }, "\n")
  end
  cli.put(terminal.grouped(removed), " removed")
  if stats.waiting > 0 then
    cli.put((", %s wait for a program with their policy or on_expire (%s)")
      :format(terminal.grouped(stats.waiting), waiting_in(open)))
  end
  cli.put "\n"
end

change.sweep = {
  usage = "PATH",
  least = 1, most = 1,
  text = [[
Removes what has expired. Entries of a policy that no program but their own
knows, and of collections with a function on_expire, wait for that program.
]],
  options = {
    { "entries", "N", "remove at most N" },
    { "json", nil, "print JSON, for programs" },
  },
  run = function (call)
    stores.with(stores.writing(call.args[1]), sweep, call)
  end,
}

return change
