-- Libraries that were written for ngx.shared.DICT, unchanged, on resty.lode:
-- each does on a dict of lode's what it does on one of nginx's.
--
-- They are looked for where packages bring them, and in the directories that
-- LODE_RESTY_LIBS names ("dir/?.lua;..."); what isn't there is skipped.

local helper = require "support.helper"
local nginx = require "resty.nginx"

local there = nginx.is_there()

local places = (os.getenv "LODE_RESTY_LIBS" or "")
  .. ";/usr/share/lua/5.1/?.lua;/usr/local/share/lua/5.1/?.lua"
  .. ";/usr/local/openresty/lualib/?.lua"

-- The file of a module, if it is somewhere.
local function found (module)
  for place in places:gmatch "[^;]+" do
    local name = place:gsub("%?", (module:gsub("%.", "/")))
    local file = io.open(name)
    if file then
      file:close()
      return name
    end
  end
end

local init = [[
  shared = require("resty.lode").open(place)
  for _, name in ipairs { "disk", "disk_locks" } do
    ngx.shared[name] = shared[name]
  end
]]

-- A case: where each step runs (worker 0 or 1), what, and what that gives.
-- DICT is the name of the dict; KEEP a table of the worker's.
local head = [[
  local DICT = %q
  package.loaded.kept = package.loaded.kept or {}
  local KEEP = package.loaded.kept
  local function shown (...)
    local out = { ... }
    for i = 1, select("#", ...) do out[i] = tostring((select(i, ...))) end
    return table.concat(out, " ")
  end
]]

local libraries = {}

libraries["resty.lock"] = {
  { 0, [[
    KEEP.lock = require "resty.lock":new(DICT, { exptime = 20 })
    return KEEP.lock:lock "key"
  ]], "0" },
  { 1, [[
    local lock = require "resty.lock":new(DICT,
      { timeout = 0.02, step = 0.005 })
    return select(2, lock:lock "key"), ngx.shared[DICT]:get "key"
  ]], "timeout true" },
  { 0, "return shown(KEEP.lock:expire(30)), shown(KEEP.lock:unlock())",
    "true 1" },
  { 0, "return shown(KEEP.lock:unlock())", "nil unlocked" },
  { 1, [[
    local lock = require "resty.lock":new(DICT, { exptime = 0.02 })
    local first = lock:lock "key"
    local other = require "resty.lock":new(DICT, { timeout = 2 })
    local elapsed = other:lock "key" -- it expires
    return first, elapsed > 0, elapsed < 2, shown(other:unlock())
  ]], "0 true true 1" },
  -- 2 workers and 5 threads in each, for one lock
  { 0, [[
    function KEEP.work ()
      local dict, threads = ngx.shared[DICT], {}
      local function add ()
        local lock = require "resty.lock":new(DICT,
          { step = 0.001, max_step = 0.01, timeout = 20 })
        assert(lock:lock "adding")
        local n = dict:get "n" or 0
        ngx.sleep(0.001)
        dict:set("n", n + 1)
        assert(lock:unlock())
      end
      for i = 1, 5 do threads[i] = ngx.thread.spawn(add) end
      for i = 1, 5 do assert(ngx.thread.wait(threads[i])) end
    end
    ngx.timer.at(0, function () KEEP.work() end)
    ngx.sleep(0.001)
    return true
  ]], "true" },
  { 1, [[
    local dict, threads = ngx.shared[DICT], {}
    local function add ()
      local lock = require "resty.lock":new(DICT,
        { step = 0.001, max_step = 0.01, timeout = 20 })
      assert(lock:lock "adding")
      local n = dict:get "n" or 0
      ngx.sleep(0.001)
      dict:set("n", n + 1)
      assert(lock:unlock())
    end
    for i = 1, 5 do threads[i] = ngx.thread.spawn(add) end
    for i = 1, 5 do assert(ngx.thread.wait(threads[i])) end
    for _ = 1, 1000 do
      if dict:get "n" == 10 then break end
      ngx.sleep(0.01)
    end
    return dict:get "n"
  ]], "10" },
}

local open_cache = [[
  local mlcache = require "resty.mlcache"
  local cache = assert(mlcache.new(DICT, DICT, {
    ttl = 10, neg_ttl = 10, resurrect_ttl = 10, lru_size = 10,
    shm_locks = DICT .. "_locks", ipc = {
      register_listeners = function () end,
      broadcast = function () return true end,
      poll = function () return true end,
    } }))
]]

libraries["resty.mlcache"] = {
  { 0, open_cache .. [[
    local v, err, level = cache:get("k", nil, function ()
      return { 1, "x" }
    end)
    return v[1], v[2], err, level
  ]], "1 x nil 3" },
  { 1, open_cache .. [[
    local v, err, level = cache:get("k", nil, error)
    local _, _, again = cache:get("k", nil, error)
    return v[1], v[2], err, level, again
  ]], "1 x nil 2 1" },
  { 0, open_cache .. [[
    return shown(cache:get("none", nil, function () return nil end))
  ]], "nil nil 3" },
  { 1, open_cache .. [[
    local ttl, err, value = cache:peek "none"
    return shown(cache:get("none", nil, error)), ttl > 9, err, value
  ]], "nil nil 2 true nil nil" },
  { 0, open_cache .. [[
    assert(cache:set("s", nil, 12))
    return cache:get("s")
  ]], "12 nil 1" },
  { 1, open_cache .. "return cache:get('s')", "12 nil 2" },
  { 1, open_cache .. [[
    assert(cache:delete "s")
    return cache:get("s", nil, function () return 13 end)
  ]], "13 nil 3" },
  -- A value that has expired, when there is no other to be had.
  { 0, open_cache .. [[
    cache:get("old", { ttl = 0.05 }, function () return "old" end)
    ngx.sleep(0.1)
    local v, err, level = cache:get("old", { ttl = 0.05 }, function ()
      return nil, "down"
    end)
    return v, err, level
  ]], "old nil 4" },
  { 1, open_cache .. "return cache:get('old', nil, error)", "old nil 4" },
  { 0, open_cache .. [[
    local bulk = mlcache.new_bulk(3)
    bulk:add("k", nil, error)
    bulk:add("b1", nil, function () return "one" end)
    bulk:add("b2", nil, function () return "two" end)
    local results = assert(cache:get_bulk(bulk))
    local out = {}
    for _, v, err, level in mlcache.each_bulk_res(results) do
      out[#out + 1] = shown(type(v) == "table" and v[2] or v, err, level)
    end
    return table.concat(out, ", ")
  ]], "x nil 1, one nil 3, two nil 3" },
  { 0, open_cache .. [[
    assert(cache:purge(true))
    return cache:get("k", nil, function () return "new" end)
  ]], "new nil 3" },
}

libraries["resty.limit.count"] = {
  { 0, [[
    local limit = require "resty.limit.count".new(DICT, 3, 10)
    return limit:incoming("count", true)
  ]], "0 2" },
  { 1, [[
    local limit = require "resty.limit.count".new(DICT, 3, 10)
    return shown(limit:incoming("count", true)),
      shown(limit:incoming("count", true)),
      shown(limit:incoming("count", true))
  ]], "0 1 0 0 nil rejected" },
  { 0, [[
    local limit = require "resty.limit.count".new(DICT, 3, 10)
    return shown(limit:uncommit "count"),
      shown(limit:incoming("count", false))
  ]], "0 nil rejected" },
  { 1, [[
    local limit = require "resty.limit.count".new(DICT, 1, 0.05)
    local first = shown(limit:incoming("window", true))
    local second = shown(limit:incoming("window", true))
    ngx.sleep(0.08)
    return first, second, limit:incoming("window", true)
  ]], "0 0 nil rejected 0 0" },
}

libraries["resty.limit.req"] = {
  { 0, [[
    local limit = require "resty.limit.req".new(DICT, 0.1, 1)
    return limit:incoming("req", true)
  ]], "0 0" },
  { 1, [[
    local limit = require "resty.limit.req".new(DICT, 0.1, 1)
    local delay, excess = limit:incoming("req", true)
    return delay > 9 and delay <= 10, excess > 0.9 and excess <= 1
  ]], "true true" },
  { 0, [[
    local limit = require "resty.limit.req".new(DICT, 0.1, 1)
    local rejected = shown(limit:incoming("req", true))
    local undone = limit:uncommit "req"
    return rejected, undone, limit:incoming("req", true) ~= nil
  ]], "nil rejected true true" },
}

libraries["resty.limit.conn"] = {
  { 0, [[
    local limit = require "resty.limit.conn".new(DICT, 1, 1, 0.5)
    return limit:incoming("conn", true)
  ]], "0 1" },
  { 1, [[
    local limit = require "resty.limit.conn".new(DICT, 1, 1, 0.5)
    return shown(limit:incoming("conn", true)),
      shown(limit:incoming("conn", true)), limit:leaving("conn")
  ]], "0.5 2 nil rejected 1" },
  { 0, [[
    local limit = require "resty.limit.conn".new(DICT, 1, 1, 0.5)
    return limit:leaving("conn", 0.1), limit:incoming("conn", true)
  ]], "0 0 1" },
}

libraries["resty.limit.traffic"] = {
  { 0, [[
    local count = require "resty.limit.count".new(DICT, 2, 10)
    local conn = require "resty.limit.conn".new(DICT, 1, 1, 0.5)
    local states = {}
    local combine = require "resty.limit.traffic".combine
    local function come ()
      return shown(combine({ count, conn }, { "a", "b" }, states))
    end
    return come(), come(), come(), #states
  ]], "0 0.5 nil rejected 2" },
}

describe("a library for ngx.shared.DICT", function ()
  helper.watch()

  local server
  after_each(function ()
    if server then server:stop() end
    server = nil
  end)

  for name, steps in pairs(libraries) do
    local title = name .. " does the same on resty.lode"
    if not there then
      pending(title .. ": no nginx with its Lua module")
    elseif not found(name) then
      pending(title .. ": it isn't here")
    else
      it(title, function ()
        server = nginx.start { init = init, libraries = places,
          zones = { shm = "10m", shm_locks = "1m" } }
        for _, dict in ipairs { "shm", "disk" } do
          for i, step in ipairs(steps) do
            assert.are.equal(step[3], server:run_in(step[1],
              head:format(dict) .. step[2]),
              ("step %d on %s"):format(i, dict))
          end
        end
        assert.are.equal("", server:complaints())
      end)
    end
  end
end)
