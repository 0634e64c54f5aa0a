-- resty.lode in a real nginx under load: what was acknowledged is there
-- however its workers die, and how fast it is beside ngx.shared.DICT.

local helper = require "support.helper"
local nginx = require "resty.nginx"
local program = require "support.program"
local uv = require "luv"
local wrk = require "support.wrk"

local there = nginx.is_there() and program.path "wrk"
local full = os.getenv "LODE_FULL" == "1"

local function it_in_nginx (name, fn)
  if there then it(name, fn)
  else pending(name .. ": no nginx with its Lua module, or no wrk") end
end

describe("resty.lode under load", function ()
  helper.watch()

  local server, timers
  before_each(function () timers = {} end)
  after_each(function ()
    for _, timer in ipairs(timers) do timer:close() end
    if server then server:stop() end
    server, timers = nil, nil
  end)

  -- Calls fn every so many seconds, as long as the loop runs.
  local function every (seconds, fn)
    local timer = uv.new_timer()
    timers[#timers + 1] = timer
    timer:start(seconds * 1000, seconds * 1000, fn)
  end

  it_in_nginx("loses nothing acknowledged to kills and reloads", function ()
    server = nginx.start { build = "luajit" }
    local seconds = full and 60 or 4
    local kills, reloads = 0, 0
    every(0.3, function ()
      local workers = server:workers()
      local pid = workers[math.random(#workers)]
      if pid and uv.kill(pid, "sigkill") == 0 then kills = kills + 1 end
    end)
    every(1.1, function ()
      uv.kill(server.pid, "sighup")
      reloads = reloads + 1
    end)
    local output = wrk.run(server.port, "wrk_acks.lua", seconds, "/set/lode",
      server.prefix)
    for _, timer in ipairs(timers) do timer:stop() end
    assert.are.equal("pong", server:get "/ping")
    server:stop()
    local statuses, keys = wrk.answers(server.prefix)
    local store = helper.open({ readonly = true }, server.place)
    local lost = wrk.lost(keys, store:dict "dogs")
    print(("\n%d acknowledged writes, %d lost, over %d kills of workers " ..
      "and %d reloads"):format(#keys, lost, kills, reloads))
    assert.are.equal(0, lost)
    assert.are.same({ ["200"] = #keys }, statuses)
    assert.is_nil(output:find "Non%-2xx")
    assert.is_true(#keys > 500 and kills > 5 and reloads > 1)
    assert.are.equal("", server:complaints())
    assert.is_true(store:check().ok)
  end)

  -- Milliseconds, as wrk writes them.
  local units = { us = 0.001, ms = 1, s = 1000 }

  local function latency (output, percent)
    local n, unit = output:match(percent .. "%%%s+([%d.]+)(%a+)")
    return tonumber(n) * units[unit]
  end

  -- One round: each path in turn, and the best so far of each.
  local function measure (paths, best)
    for _, path in ipairs(paths) do
      local before = server:busy()
      local output = wrk.run(server.port, "wrk_keys.lua", full and 5 or 1, path)
      assert.is_nil(output:find "Non%-2xx", path)
      local used = (server:busy() - before) * 1e6
        / tonumber(output:match "(%d+) requests in")
      local rate = tonumber(output:match "Requests/sec:%s+([%d.]+)")
      local so_far = best[path]
      if not so_far or rate > so_far.rate then
        best[path] = { rate = rate, half = latency(output, 50),
          most = latency(output, 99) }
      end
      best[path].used = math.min(used, so_far and so_far.used or used)
    end
  end

  local function show (paths, best)
    print ""
    for _, path in ipairs(paths) do
      local b = best[path]
      print(("%d requests/s of %s, %.1f us of processor each, 50%% within " ..
        "%.2f ms, 99%% within %.2f ms")
        :format(b.rate, path, b.used, b.half, b.most))
    end
  end

  it_in_nginx("reads at 0.8 of ngx.shared.DICT's rate or better", function ()
    server = nginx.start { build = "luajit", zones = { dogs = "10m" },
      init = [[
        shared = require("resty.lode").open(place)
        shared:dict("cached", { cache = 2000 })
        shared:store():transaction(function ()
          for i = 1, 1000 do
            local value = ("x"):rep(100)
            ngx.shared.dogs:set(i, value)
            shared.dogs:set(i, value)
            shared.cached:set(i, value)
          end
        end)
      ]] }
    local paths = { "/empty", "/get/shm", "/get/lode", "/get/cached" }
    local best, rounds = {}, 0
    local function of_shm (path)
      return best[path].rate / best["/get/shm"].rate
    end
    local ratio
    repeat -- the machine may have other things to do
      measure(paths, best)
      rounds = rounds + 1
      ratio = of_shm "/get/lode"
    until rounds >= 3 and ratio >= 0.8 or rounds == 10
    show(paths, best)
    print(("%d percent of ngx.shared.DICT's requests/s for reads, %d with " ..
      "a cache; %d percent of its processor time"):format(ratio * 100,
      of_shm "/get/cached" * 100,
      best["/get/lode"].used / best["/get/shm"].used * 100))
    assert.is_true(ratio >= 0.8)
    assert.are.equal("", server:complaints())
  end)

  it_in_nginx("writes and counts", function ()
    server = nginx.start { build = "luajit", zones = { dogs = "10m" } }
    local paths, best = { "/set/shm", "/set/lode", "/incr/shm",
                          "/incr/lode" }, {}
    for _ = 1, 2 do measure(paths, best) end
    show(paths, best)
    assert.are.equal("", server:complaints())
  end)
end)
