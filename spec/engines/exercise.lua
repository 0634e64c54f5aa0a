-- Most of what lode does, in a store at `path`, for whatever Lua and program
-- runs it: plain calls with plain asserts. Gives the number of those that
-- held. What it leaves is what exercise.left says, for the next Lua.

local lode = require "lode"
local dict, set = lode.dict, lode.set

local exercise = {}

local held

local function holds (condition, what)
  if not condition then error("does not hold: " .. what, 2) end
  held = held + 1
end

local function fails (code, fn, ...)
  local ok, e = pcall(fn, ...)
  holds(not ok and type(e) == "table" and e.code == code,
    code .. ", but " .. tostring(e))
end

local function dicts (store)
  local users = store:dict "users"
  users.ada = { plan = "pro", logins = 1, tags = { "a", "b" } }
  users[7], users[{ "x", 1 }] = "seven", true
  users["a\0b\255"] = "bytes\0\255"
  holds(users.ada.tags[2] == "b" and dict.len(users) == 4, "tables")
  holds(users["a\0b\255"] == "bytes\0\255" and users[7.0] == "seven", "keys")
  local order = {}
  for key in dict.pairs(users) do order[#order + 1] = type(key) end
  holds(table.concat(order, " ") == "number string string table", "order")
  dict.update(users, "ada", function (u) u.logins = u.logins + 1 return u end)
  holds(users.ada.logins == 2 and dict.incr(users, "n", 5) == 5, "update")
  holds(dict.fetch(users, "made", function () return 1 end) == 1, "fetch")
  fails("BAD_VALUE", function () users.f = print end)
  local ok, words = pcall(dict.update, users, "ada", error)
  holds(not ok and type(words) == "table" and words.logins == 2,
    "an error of the caller's passes through")
end

local function sets (store)
  local staff, admins = store:set "staff", store:set "admins"
  set.add_many(staff, { "ada", "bob", "cid" })
  admins.ada, admins.eve = true, true
  local names = {}
  for name in set.each(staff + admins) do names[#names + 1] = name end
  holds(table.concat(names, " ") == "ada bob cid eve", "a union")
  holds(set.len(staff * admins) == 1 and (staff - admins).bob, "an algebra")
end

local function transactions (store)
  local users = store:dict "users"
  local ok, e = pcall(store.transaction, store, function ()
    users.ada, users.bob = nil, 1
    error "undone"
  end)
  holds(not ok and tostring(e):find "undone", "an error")
  holds(users.ada and not users.bob, "rolled back")
  holds(store:transaction(function (n) users.bob = n return n end, 3) == 3
    and users.bob == 3, "committed")
  holds(store:snapshot(function () return dict.len(users) end) == 7,
    "a snapshot")
  holds(not pcall(coroutine.wrap(function ()
    store:transaction(coroutine.yield)
  end)), "no transaction outlives its function")
  users.bob = 3
end

local function times (store)
  local soon = store:dict("soon", {
    expire = function (e) return e.ctime + (e.key == "old" and -1 or 100) end,
  })
  soon.old, soon.new = 1, 2
  holds(soon.old == nil and soon.new == 2, "a policy")
  dict.set(soon, "short", 1, 0.001)
  holds(dict.ttl(soon, "new") > 90, "a ttl")
  store:maintain()
end

local function many (store)
  local log = store:dict "log"
  store:transaction(function ()
    for i = 1, 2000 do log[i] = ("line %d"):format(i) end
  end)
  local n = 0
  for i, line in dict.pairs(log, { after = 10, limit = 1000 }) do
    if line ~= "line " .. i then error("line " .. i) end
    n = n + 1
    log[-i] = i -- writing while walking
  end
  holds(n == 1000 and dict.len(log) == 3000, "a walk")
  dict.delete_range(log, { before = 0 })
  collectgarbage()
end

-- All of it in one store of this durability; with the threads of lode's that
-- "behind" and maintenance in the background start.
local function all (path, options)
  local store = lode.open(path, options)
  for _, part in ipairs { dicts, sets, transactions, times, many } do
    part(store)
  end
  store:flush()
  holds(store:check().ok, "the check")
  store:close()
  store:close()
  fails("CLOSED", store.dict, store, "users")
  local again = lode.open(path, { readonly = true })
  holds(again:dict "users".bob == 3, "opened again")
  fails("READONLY", function () again:dict "users".bob = 4 end)
  again:close()
end

function exercise.run (path)
  held = 0
  all(path .. ".commit", {})
  all(path .. ".behind", { durability = "behind",
    maintenance = "background" })
  all(path .. ".os", { durability = "os", maintenance = "off" })
  return held
end

-- Asserts in another Lua what a run has left; how much that held.
function exercise.left (path)
  held = 0
  for _, suffix in ipairs { ".commit", ".behind", ".os" } do
    local store = lode.open(path .. suffix, { readonly = true })
    local users = store:dict "users"
    holds(users.ada.logins == 2 and users["a\0b\255"] == "bytes\0\255"
      and users[{ "x", 1 }] == true, suffix)
    holds(store:dict "log"[2000] == "line 2000"
      and dict.len(store:dict "log") == 2000, suffix)
    holds(set.len(store:set "staff") == 3 and store:check().ok, suffix)
    store:close()
  end
  return held
end

return exercise
