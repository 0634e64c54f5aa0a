-- resty.lode in an nginx whose program is exchanged under load, and whose
-- workers stand still for a while.

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

describe("resty.lode", function ()
  helper.watch()

  local server, former -- of a master that is to go, the pid
  after_each(function ()
    if former then uv.kill(former, "sigterm") end
    if server then server:stop() end
    server, former = nil, nil
  end)

  -- Asserts that all was answered well, and all of that is in the store.
  local function expect_kept (what)
    assert.are.equal("pong", server:get "/ping")
    server:stop()
    local statuses, keys = wrk.answers(server.prefix)
    local store = helper.open({ readonly = true }, server.place)
    local lost = wrk.lost(keys, store:dict "dogs")
    print(("\n%d acknowledged writes, %d lost, over %s"):format(#keys, lost,
      what))
    assert.are.equal(0, lost)
    assert.are.same({ ["200"] = #keys }, statuses)
    assert.is_true(#keys > 100)
    assert.are.equal("", server:complaints())
    assert.is_true(store:check().ok)
  end

  it_in_nginx("loses nothing when nginx's program is exchanged", function ()
    server = nginx.start { build = "luajit", daemon = true }
    local seconds, upgrades = full and 60 or 5, 0
    local client = wrk.start(server.port, "wrk_acks.lua", seconds,
      "/set/lode", server.prefix)
    while not client.code do
      nginx.sleep(1)
      local old = server.pid
      former = old
      uv.kill(old, "sigusr2")
      assert.is_true(nginx.wait(function ()
        local new = server:master()
        return new and new ~= old and #program.children(new) == 2
      end, 20), server:log())
      server.pid = server:master()
      uv.kill(old, "sigquit")
      assert.is_true(nginx.wait(function ()
        return not program.is_alive(old)
      end, 20))
      former = nil
      upgrades = upgrades + 1
    end
    wrk.finish(client, 0)
    assert.is_true(upgrades > 1)
    expect_kept(upgrades .. " upgrades")
  end)

  -- It may stand still with the lock of the writers: the others wait for it,
  -- up to lock_timeout, and go on when it does.
  it_in_nginx("loses nothing when a worker stands still for 2 s", function ()
    server = nginx.start { build = "luajit", init =
      'shared = require("resty.lode").open(place, { lock_timeout = 8 })' }
    local seconds, stops = full and 60 or 6, 0
    local client = wrk.start(server.port, "wrk_acks.lua", seconds,
      "/set/lode", server.prefix)
    while not client.code do
      nginx.sleep(0.5)
      local workers = server:workers()
      local pid = workers[stops % #workers + 1]
      uv.kill(pid, "sigstop")
      nginx.sleep(2)
      uv.kill(pid, "sigcont")
      stops = stops + 1
    end
    local output = wrk.finish(client, 0)
    assert.is_nil(output:find "Socket errors", output)
    assert.is_true(stops > 1)
    expect_kept(stops .. " stops")
  end)

  it_in_nginx("says BUSY when one stands still for longer", function ()
    server = nginx.start { init =
      'shared = require("resty.lode").open(place, { lock_timeout = 0.3 })' }
    server:run "shared.dogs:set('there', 1)"
    local child, release = helper.holder(server.place)
    uv.kill(child.pid, "sigstop")
    local began = uv.hrtime()
    local answer = server:run "return select(2, shared.dogs:set('k', 1))"
    local took = (uv.hrtime() - began) / 1e9
    local there_yet = server:run "return (shared.dogs:get 'k')"
    uv.kill(child.pid, "sigcont")
    release()
    assert.are.equal("nil", there_yet)
    assert.is_truthy(answer:find "^BUSY", answer)
    assert.is_truthy(answer:find(tostring(child.pid), 1, true), answer)
    assert.is_true(took < 3, took)
    assert.are.equal("true", server:run "return (shared.dogs:set('k', 1))")
  end)
end)
