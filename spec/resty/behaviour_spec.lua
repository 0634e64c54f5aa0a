-- resty.lode in a real nginx: its methods beside ngx.shared.DICT's, and what
-- workers see of each other.

local helper = require "support.helper"
local nginx = require "resty.nginx"

local there = nginx.is_there()

-- An `it` that is skipped where there is no nginx.
local function it_in_nginx (name, fn)
  if there then it(name, fn)
  else pending(name .. ": no nginx with its Lua module") end
end

describe("resty.lode in nginx", function ()
  helper.watch()

  local server
  after_each(function ()
    if server then server:stop() end
    server = nil
  end)

  local function start (options)
    server = nginx.start(options)
    return server
  end

  it_in_nginx("gives just what ngx.shared.DICT gives", function ()
    start { zones = { dogs = "10m" } }
    local full = os.getenv "LODE_FULL" == "1"
    local report = server:run(
      ('return require("compare").run(%d, %d)'):format(full and 1000 or 50,
        full and os.time() or 7))
    local calls = tonumber(report:match "^(%d+) random calls$")
    assert.is_true(calls and calls > 0, report)
    print(("\n%s gave what they give on ngx.shared.DICT"):format(report))
    assert.are.equal("", server:complaints())
  end)

  it_in_nginx("shows each worker what the other writes, at once",
    function ()
      start()
      for i = 1, 20 do
        local writer = i % 2
        server:run_in(writer, ("shared.dogs:set('k', %d)"):format(i))
        assert.are.equal(tostring(i),
          server:run_in(1 - writer, "return (shared.dogs:get 'k')"))
      end
      server:run_in(0, "return shared.dogs:rpush('l', 'from 0')")
      server:run_in(1, "return shared.dogs:rpush('l', 'from 1')")
      assert.are.equal("from 0",
        server:run_in(1, "return (shared.dogs:lpop 'l')"))
      assert.are.equal("", server:complaints())
    end)

  it_in_nginx("opens in the master, which writes; survives a reload",
    function ()
      start { init = [[
        shared = require("resty.lode").open(place)
        shared.dogs:incr("opened", 1, 0)
        shared.dogs:set("k", { "v" }, 0, 9)
      ]] }
      assert.is_true(server:reload())
      local ask = "local v, f = shared.dogs:get 'k' " ..
        "return v[1], f, shared.dogs:get 'opened'"
      assert.are.equal("v 9 2", server:run_in(0, ask))
      assert.are.equal("v 9 2", server:run_in(1, ask))
      server:stop()
      assert.are.equal("", server:complaints())
      local again = helper.open({ readonly = true }, server.place)
      assert.are.equal(2, again:dict "dogs".opened)
    end)

  it_in_nginx("has all that was written when everybody was killed",
    function ()
      start()
      for i = 1, 50 do
        server:request("GET", "/set/lode?key=" .. i)
      end
      server:run "shared.dogs:rpush('l', 'element')"
      local place = server.place
      server:kill()
      start { place = place }
      for i = 1, 50 do
        assert.are.equal("value of " .. i, server:get("/get/lode?key=" .. i))
      end
      assert.are.equal("element", server:run "return shared.dogs:lpop 'l'")
      assert.are.equal("", server:complaints())
    end)

  it_in_nginx("keeps its methods in ngx.shared, whatever is loaded",
    function ()
      start()
      assert.are.equal("true true", server:run [[
        local before = shared.dogs.get
        ngx.shared.dogs = shared.dogs
        package.loaded["resty.core.shdict"] = nil
        require "resty.core.shdict"
        return shared.dogs.get == before, (ngx.shared.dogs:set("k", {}))
      ]])
    end)

  it_in_nginx("opens in a worker as well", function ()
    start { init = "" }
    local source = [[
      package.loaded.mine = package.loaded.mine or
        require("resty.lode").open(place)
      return require "mine".dogs:incr("k", 1, 0)
    ]]
    assert.are.equal("1 nil false", server:run_in(0, source))
    assert.are.equal("2 nil false", server:run_in(1, source))
    assert.are.equal("", server:complaints())
  end)

  it_in_nginx("sweeps from timers", function ()
    start { init =
      'shared = require("resty.lode").open(place, { every = 0.05, ' ..
      "stale = 0.1, sweep_entries = 50 })" }
    server:run [[
      for i = 1, 500 do shared.dogs:set(i, i, 0.01) end
      for i = 1, 10 do shared.dogs:rpush("l", i) end
      shared.dogs:delete "l"
    ]]
    local left
    nginx.wait(function ()
      left = server:run [[
        local store, dict = shared:store(), require "lode".dict
        return dict.stats(shared.dogs[1]).expired,
          dict.len(store:dict "dogs.lists"), shared.dogs:get_stale(7)
      ]]
      return left == "0 1 nil"
    end, 10)
    assert.are.equal("0 1 nil", left)
    assert.are.equal("", server:complaints())
  end)

  it_in_nginx("sweeps also where only its store is asked for", function ()
    start { init =
      'shared = require("resty.lode").open(place, { every = 0.05, ' ..
      "stale = 0 })" }
    server:run [[
      local dict = require "lode".dict
      dict.set(shared:store():dict "dogs", "Jim", 1, 0.01)
    ]]
    local dogs = helper.open({}, server.place):dict "dogs"
    assert.is_true(nginx.wait(function ()
      local stats = require "lode".dict.stats(dogs)
      return stats.entries + stats.expired == 0
    end, 5))
  end)

  it_in_nginx("raises what yields in a function of its, and goes on",
    function ()
      start()
      assert.are.equal("false true", server:run [[
        local ok = pcall(shared.dogs.update, shared.dogs, "k", function ()
          ngx.sleep(0.001)
          return 1
        end)
        return ok, (shared.dogs:set("k", 2))
      ]])
      assert.are.equal("2", server:run_in(0, "return shared.dogs:get 'k'"))
      assert.are.equal("2", server:run_in(1, "return shared.dogs:get 'k'"))
      assert.are.equal("", server:complaints())
    end)

  it_in_nginx("waits no longer than lock_timeout for another writer",
    function ()
      start { init =
        'shared = require("resty.lode").open(place, { lock_timeout = 0.2 })' }
      server:run "shared.dogs:set('k', 1)"
      local _, release = helper.holder(server.place)
      local answer = server:run [[
        ngx.update_time()
        local began = ngx.now()
        local ok, err = shared.dogs:set("k", 2)
        ngx.update_time()
        local value = shared.dogs:get "k"
        return ok, err:match "^%u+", ngx.now() - began < 3, value
      ]]
      release()
      assert.are.equal("false BUSY true 1", answer)
    end)

  it_in_nginx("counts right over both workers, and their deaths", function ()
    start()
    local uv = require "luv"
    local done = 0
    for i = 1, 60 do
      if i % 20 == 0 then
        uv.kill(server:workers()[1], "sigkill")
        nginx.sleep(0.05)
      end
      local body, status = server:request("GET", "/incr/lode?key=")
      if status == 200 then
        done = done + 1
        assert.is_true(tonumber(body) >= done)
      end
    end
    local n = tonumber(server:run "return (shared.dogs:get 'n')")
    assert.is_true(n >= done and n <= 60, n)
    assert.is_true(done > 40)
    assert.are.equal("", server:complaints())
  end)

  it_in_nginx("serves the example", function ()
    server = nginx.example()
    assert.are.equal("vote 1 for cats\n", server:get "/vote?for=cats")
    local text, status = server:request("GET", "/vote?for=dogs")
    assert.are.equal(403, status)
    assert.is_truthy(text:find("you have voted: ", 1, true))
    server:get "/"
    server:stop()
    server = nginx.example(server.prefix)
    text = server:get "/"
    assert.is_truthy(text:find "^2 views since ", text)
    assert.is_truthy(text:find("\ncats: 1\n", 1, true), text)
    assert.are.equal("", server:complaints())
  end)
end)
