-- In Prosody: the same random calls on stores of mod_storage_lode and of
-- Prosody's own storage of files, which should give the same; the option
-- `storage` has it for `plain` and `items`. What came of it is a line of the
-- file that the option compare_report names.

local st = require "util.stanza"
local storagemanager = require "core.storagemanager"

local random, calls = math.random, 0
math.randomseed(module:get_option_number("compare_seed", 1))

local users = { "ada", "bob", "b", "b\1b", "cid", nil }
local keys = { "a", "b", "item one", false, 7, "c" }

local function pick (list, n) return list[random(n or #list)] end

-- A value as text, alike for alike values.
local function dump (v)
  if st.is_stanza(v) then v = st.preserialize(v) end
  if type(v) ~= "table" then return type(v) .. ":" .. tostring(v) end
  local out = {}
  for key, value in pairs(v) do
    out[#out + 1] = dump(key) .. "=" .. dump(value)
  end
  table.sort(out)
  return "{" .. table.concat(out, ",") .. "}"
end

local function value ()
  return pick { 1, 2.5, "text", "\0\255", true,
    { version = 1, pending = { ["x@y"] = false }, "a", { "b" } } }
end

local function stanza ()
  return st.message({ to = "x@y", ["xml\1lang"] = "en" },
    "message " .. random(1000)):tag("x", { xmlns = "urn:x" }):text("<&>"):up()
end

-- Both are asked; what an iterator gives is taken out of it.
local stores = {}

local function ask (kind, method, ...)
  local said = {}
  for i, store in ipairs(stores[kind]) do
    local result = { pcall(store[method], store, ...) }
    if type(result[2]) == "function" then
      local list = {}
      for a, b, c, d in table.unpack(result, 2) do
        list[#list + 1] = dump { a, b, c, d }
      end
      -- users come in any order, items in theirs
      if method ~= "find" then table.sort(list) end
      result = { list, method == "find" and result[3] or nil }
    elseif method == "purge" then
      result[3] = nil -- words that say nothing
    end
    said[i] = dump(result)
  end
  calls = calls + 1
  if said[1] ~= said[2] then
    error(("%s:%s(%s)\nlode:  %s\nfiles: %s"):format(kind, method,
      dump { ... }, said[1], said[2]))
  end
end

local function user () return pick(users, 6) end

local keyval = {
  function () ask("keyval", "get", user()) end,
  function () ask("keyval", "users") end,
  function ()
    local data = {}
    for _ = 1, random(0, 4) do data[pick(keys)] = value() end
    ask("keyval", "set", user(), random(5) > 1 and data or nil)
  end,
  function () ask("map", "get", user(), pick(keys)) end,
  function ()
    ask("map", "set", user(), pick(keys), random(4) > 1 and value() or nil)
  end,
  function () ask("map", "get_all", pick { "a", "b", "c" }) end,
  function () ask("map", "delete_all", pick { "a", "b", "c" }) end,
}

-- Queries that both know: the files look for the item at which a page begins
-- only among those that the filters let through.
local function item () return pick { "i1", "i2", "i3", "i4", "i5", "i6" } end

local function query ()
  local q = { total = random(2) == 1, reverse = random(2) == 1 }
  local kind = random(4)
  if kind == 1 then q.with = pick { "x@y", "z@y" } end
  if kind == 2 then q.start, q["end"] = random(50), random(50, 100) end
  if kind == 3 then q.ids = { item(), item() } end
  if kind == 4 then q[q.reverse and "before" or "after"] = item() end
  if random(2) == 1 then q.limit = random(3) end
  return q
end

local driver = {
  function () ask("driver", "stores", pick(users, 5)) end,
  function () ask("driver", "purge", pick(users, 5)) end,
}

local archive = {
  function ()
    ask("archive", "append", user() or "host", item(), stanza(), random(100),
      pick { "x@y", "z@y" })
  end,
  function () ask("archive", "find", user() or "host", query()) end,
  function () ask("archive", "find", user() or "host") end,
  function () ask("archive", "get", user() or "host", item()) end,
  function () ask("archive", "summary", user() or "host", query()) end,
  function () ask("archive", "users") end,
  function ()
    ask("archive", "set", user() or "host", item(), stanza(), random(100))
  end,
  function ()
    ask("archive", "delete", user() or "host", pick {
      { with = "x@y" }, { ["end"] = random(50) }, { key = item() },
      { truncate = random(3) }, { truncate = random(3), reverse = true },
    })
  end,
}

local function run ()
  local lode = storagemanager.load_driver(module.host, "lode")
  local files = storagemanager.load_driver(module.host, "internal")
  stores.driver = { lode, files }
  for kind, store in pairs { keyval = "plain", map = "plain",
      archive = "items" } do
    stores[kind] = { lode:open(store, kind), module:open_store(store, kind) }
  end
  for _ = 1, module:get_option_number("compare_calls", 1000) do
    pick(keyval)()
    archive[random(3) == 1 and 1 or random(#archive)]()
    if random(20) == 1 then pick(driver)() end
  end
  return calls .. " random calls"
end

module:add_timer(0.1, function () -- when Prosody has started
  local file = assert(io.open(module:get_option_string "compare_report", "w"))
  local ok, said = pcall(run)
  file:write(tostring(said), ok and "\n" or " FAILED\n")
  file:close()
end)
