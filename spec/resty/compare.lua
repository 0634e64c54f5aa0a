-- Runs in nginx: random calls on a dict of nginx's and on one of lode's,
-- each of which has to give the same.

local compare = {}

local BATCH = 200    -- calls between two looks at all
local SHORT = 0.15   -- seconds of the lifetimes that end between
local LIMIT = 0.1    -- seconds that a batch may take, for none to end in it

local keys = { "a", "b", "c", "long " .. ("x"):rep(600), 12 }

local values = {
  "text", "", "\0\1\255", 0, 1, -7, 1.25, 2^40, true, false,
  ("y"):rep(5000),
}

local random = math.random

local function pick (list) return list[random(#list)] end

-- An argument of a call: nothing that has to do with the moment of the call.
local function lifetime ()
  return pick { 0, 0, 1000, 0.0004, SHORT }
end

local calls = {
  get = function () return pick(keys) end,
  set = function ()
    if random(8) == 1 then return pick(keys), nil, nil, "nothing" end
    return pick(keys), pick(values), lifetime(), random(0, 3)
  end,
  safe_set = function () return pick(keys), pick(values) end,
  add = function ()
    return pick(keys), pick(values), lifetime(), random(0, 1) * 4294967
  end,
  safe_add = function () return pick(keys), pick(values) end,
  replace = function () return pick(keys), pick(values), lifetime() end,
  delete = function () return pick(keys) end,
  incr = function ()
    local by = pick { 1, -2, 0.5, "3" }
    if random(2) == 1 then return pick(keys), by end
    return pick(keys), by, pick { 0, 10, "5" }, pick { 0, 1000, nil }
  end,
  lpush = function () return pick(keys), pick(values) end,
  rpush = function () return pick(keys), pick(values) end,
  lpop = function () return pick(keys) end,
  rpop = function () return pick(keys) end,
  llen = function () return pick(keys) end,
}

local odd_keys = { "", ("k"):rep(65536), ("k"):rep(65535), true }

local names = {}
for name in pairs(calls) do names[#names + 1] = name end
table.sort(names)

-- Methods that count their arguments, and how many they take.
local arity = { lpush = 2, rpush = 2, lpop = 1, rpop = 1, llen = 1 }

-- What a call gives, or raises, as text. Flags are an int in nginx.
local function outcome (dict, name, ...)
  local results = { pcall(dict[name], dict, ...) }
  if not results[1] then return "raises" end
  local out = {}
  for i = 2, 4 do out[#out + 1] = ("%q"):format(tostring(results[i])) end
  return table.concat(out, ", ")
end

-- Lifetimes are compared roughly, as the two are asked one after the other.
local function left (dict, key)
  local ttl, err = dict:ttl(key)
  return ttl and math.ceil(ttl / 100) or err
end

local function expect (same, other, ...)
  if same == other then return end
  local said = { ... }
  for i = 1, #said do said[i] = tostring(said[i]):sub(1, 40) end
  error(("%s: ngx.shared.DICT gives %s, lode %s")
    :format(table.concat(said, " "), same, other), 0)
end

local function step (shm, lode)
  local name = pick(names)
  local a, b, c, d = calls[name]()
  if random(50) == 1 then a = pick(odd_keys) end
  if name == "set" and d == "nothing" then b, c, d = nil, nil, nil end
  local n = arity[name] or 4
  local list = { a, b, c, d }
  expect(outcome(shm, name, unpack(list, 1, n)),
    outcome(lode, name, unpack(list, 1, n)), name, a, b, c, d)
end

-- All that the two hold.
local function compare_all (shm, lode)
  local mine, other = shm:get_keys(0), lode:get_keys(0)
  table.sort(mine)
  expect(table.concat(mine, "|"), table.concat(other, "|"), "get_keys")
  for _, key in ipairs(keys) do
    expect(outcome(shm, "get", key), outcome(lode, "get", key), "get", key)
    expect(left(shm, key), left(lode, key), "ttl", key)
  end
end

-- Short lifetimes end in both before all is compared: the documented answer
-- to ttl is that of a key that isn't there, but nginx's own is that of one
-- that it hasn't removed yet.
local function settle (shm)
  ngx.sleep(SHORT + 0.01)
  shm:flush_expired()
end

-- One batch; true when it was too slow to say anything.
local function batch (shm, lode)
  ngx.update_time()
  local began = ngx.now()
  for i = 1, BATCH do
    local ok, err = pcall(step, shm, lode)
    ngx.update_time()
    if ngx.now() - began > LIMIT then return true end
    if not ok then error(("call %d: %s"):format(i, err), 0) end
  end
  settle(shm)
  compare_all(shm, lode)
end

local function clear (shm, lode)
  shm:flush_all()
  shm:flush_expired()
  lode:flush_all()
end

---@param batches integer
---@param seed integer
---@return string report
function compare.run (batches, seed)
  local shm, lode = ngx.shared.dogs, _G.shared.dogs
  local slow = 0
  math.randomseed(seed)
  for i = 1, batches do
    if i % 10 == 1 then clear(shm, lode) end
    local ok, late = pcall(batch, shm, lode)
    if not ok then
      return ("batch %d of seed %d, %s"):format(i, seed, late)
    end
    if late then
      slow = slow + 1
      clear(shm, lode)
    end
  end
  return ("%d random calls"):format((batches - slow) * BATCH)
end

return compare
