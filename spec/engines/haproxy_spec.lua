-- lode in HAProxy, which has Lua 5.3 (or that which it was built with), and
-- several threads, and processes that take over from each other: everything
-- lode does, what was acknowledged is there however HAProxy ends, and the
-- example.

local engine = require "engines.engine"
local exercise = require "engines.exercise"
local helper = require "support.helper"
local lode = require "lode"
local program = require "support.program"
local uv = require "luv"
local wrk = require "support.wrk"

local dict = lode.dict
local it_in_haproxy = engine.it_with "haproxy"
local it_under_load = engine.it_with("haproxy", "wrk")
local vm = program.run("haproxy", { "-vv" })
  :match "Lua version : (Lua 5%.%d)"
vm = vm and vm:lower():gsub(" ", "") or "lua5.3"
local full = os.getenv "LODE_FULL" == "1"

describe("lode in HAProxy", function ()
  helper.watch()

  local started, home, port, timer
  before_each(function ()
    started, home, port = {}, helper.path "home", program.free_port()
    assert(select(2, helper.shell("mkdir " .. home)))
  end)
  after_each(function ()
    if timer then timer:close() end
    for i = #started, 1, -1 do program.stop(started[i], "sigterm", 5) end
    timer = nil
  end)

  local function request (method, path, headers)
    return program.request(port, method, path, nil, headers)
  end

  local function get (path) return (request("GET", path)) end

  -- Starts one with this configuration, and more arguments.
  local function start (text, ...)
    local file = engine.write(home .. "/haproxy.cfg", text)
    local child = assert(program.start("haproxy", { "-db", "-f", file, ... },
      { cwd = home, env = engine.environment(vm,
        { STORE = home .. "/store" }) }))
    started[#started + 1] = child
    local up = program.wait(function ()
      return child.code or request("GET", "/ping") ~= nil
    end, 20)
    assert(up and not child.code, child.output)
    return child
  end

  -- Starts one that takes over from another, which goes when it has answered
  -- all that it was asked.
  local function take_over (text, old)
    local child = start(text, "-sf", tostring(old.pid))
    assert.is_true(program.wait(function () return old.code end, 20))
    return child
  end

  -- The option lets processes that aren't root's start threads.
  local frame = [[
global
  insecure-fork-wanted
  nbthread ${threads}
  ${load} ${root}/spec/engines/haproxy/app.lua
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 1s
frontend app
  bind 127.0.0.1:${port}
  http-request use-service lua.app
]]

  local function configuration (load, threads)
    return (frame:gsub("%${(%w+)}", { load = load, threads = threads,
      port = port, root = engine.root }))
  end

  it_in_haproxy("brings no Lua of its own", function ()
    engine.brings_no_lua(vm)
  end)

  it_in_haproxy("does all it does", function ()
    local path = helper.path()
    start(configuration("lua-load", 1))
    local said = get("/exercise?key=" .. path)
    local n = tonumber(said)
    assert.is_true(n and n > 50, said)
    exercise.left(path)
  end)

  -- A master loads the file and forks its worker; at each reload it begins
  -- anew, in the same process.
  it_in_haproxy("is opened by a master, used by its workers", function ()
    local master = start(configuration("lua-load", 2), "-W")
    assert.are.equal("1", get "/incr")
    for i = 2, 4 do
      local before, asked = program.children(master.pid)[1], 0
      assert.is_true(program.wait(function ()
        if uv.hrtime() > asked + 2e9 then -- one that starts heeds no signal
          uv.kill(master.pid, "sigusr2")
          asked = uv.hrtime()
        end
        local now = program.children(master.pid)
        return #now == 1 and now[1] ~= before and get "/ping"
      end, 30), master.output)
      assert.are.equal(tostring(i), get "/incr")
    end
    program.stop(master)
    local dogs = helper.open({ readonly = true }, home .. "/store")
      :dict "dogs"
    assert.are.equal(4, dogs.n)
    assert.is_true(dogs.loaded >= 4)
  end)

  it_in_haproxy("is not interrupted in a transaction", function ()
    start(configuration("lua-load-per-thread", 2))
    assert.are.equal("100000", get "/long")
    assert.are.equal("200000", get "/long")
    assert.are.equal("1", get "/incr")
  end)

  for load, states in pairs { ["lua-load"] = "one state",
      ["lua-load-per-thread"] = "a state of each thread" } do
    it_under_load("loses nothing acknowledged by " .. states, function ()
      local text = configuration(load, 2)
      local now, kills, reloads = start(text), 0, 0
      local seconds = full and 60 or 4
      local client = wrk.start(port, "wrk_acks.lua", seconds, "/set", home)
      while not client.code do
        program.sleep(0.4)
        if kills <= reloads then
          program.stop(now, "sigkill")
          now, kills = start(text), kills + 1
        else
          now, reloads = take_over(text, now), reloads + 1
        end
      end
      wrk.finish(client, 0)
      program.stop(now)
      local statuses, keys = wrk.answers(home)
      local store = helper.open(nil, home .. "/store")
      local lost = wrk.lost(keys, store:dict "dogs")
      print(("\n%d acknowledged writes, %d lost, over %d kills and "
        .. "%d reloads"):format(#keys, lost, kills, reloads))
      assert.are.equal(0, lost)
      assert.are.same({ ["200"] = #keys }, statuses)
      assert.is_true(#keys > 100 and kills > 0 and reloads > 0)
      assert.is_true(store:check().ok)
    end)
  end

  describe("by the example", function ()
    local function example ()
      return (engine.read(engine.root .. "/examples/haproxy/haproxy.cfg")
        :gsub("127.0.0.1:8090", "127.0.0.1:" .. port)
        :gsub("gate.lua", engine.root .. "/examples/haproxy/gate.lua")
        :gsub("/tmp/gate.lode", home .. "/gate.lode"))
    end

    -- The command lode, on this store.
    local function command (verb, ...)
      local output, code = program.run(helper.interpreter,
        { "bin/lode", verb, home .. "/gate.lode", ... },
        { env = engine.environment "lua5.4" })
      assert.are.equal(0, code, output)
      return output
    end

    -- Asks with a key: the answer's status, and its text.
    local function ask (key)
      local text, status = request("GET", "/",
        ("X-Key: %s\r\n"):format(key))
      return status, text
    end

    -- A spec that counts ends in the minute in which it begins.
    local function await_minute ()
      local second = os.time() % 60
      if second > 45 then program.sleep(60 - second) end
    end

    it_in_haproxy("admits who has a key, so many times a minute", function ()
      command("set", "keys", "s3cret", '{"name":"ada","most":5}')
      start(example())
      await_minute()
      assert.are.equal(401, (ask "wrong"))
      assert.are.equal(401, (select(2, request("GET", "/"))))
      for left = 4, 0, -1 do
        local status, text = ask "s3cret"
        assert.are.equal(200, status)
        assert.are.equal(("hello ada, %d left\n"):format(left), text)
      end
      assert.are.equal(429, (ask "s3cret"))
      command("set", "keys", "other", '{"name":"bob","most":1}')
      assert.are.equal(200, (ask "other"))
      assert.are.equal(429, (ask "other"))
      local used = get "/usage"
      assert.is_truthy(used:find "^ada %d%d:%d%d 6\nbob %d%d:%d%d 2\n$", used)
      command("del", "keys", "s3cret")
      assert.are.equal(401, (ask "s3cret"))
    end)

    it_in_haproxy("goes on counting after a reload and a kill", function ()
      command("set", "keys", "s3cret", '{"name":"ada","most":1000}')
      local now = start(example())
      await_minute()
      for i = 1, 60 do
        if i % 20 == 0 then now = take_over(example(), now) end
        if i % 20 == 10 then
          program.stop(now, "sigkill")
          now = start(example())
        end
        local status, text = ask "s3cret"
        assert.are.equal(200, status)
        assert.are.equal(1000 - i, tonumber(text:match "(%d+) left"))
      end
      program.stop(now)
      assert.is_truthy(command("ls", "used", "--values"):find "\t60\n$")
    end)

    -- Where it may, it changes its root directory and its user; it lets no
    -- user but root start threads.
    it_in_haproxy("serves as another user, and sweeps and syncs", function ()
      local text = example()
      if uv.getuid() == 0 then
        assert(select(2, helper.shell("chmod 777 " .. home)))
        text = text:gsub("global", function (line)
          return line .. "\n  chroot " .. home .. "\n  user nobody"
        end, 1):gsub("GATE %S+", "GATE /gate.lode")
      end
      local now = start(text)
      assert.are.equal(401, (ask "s3cret"), now.output)
      command("set", "keys", "s3cret", '{"name":"ada","most":5}')
      await_minute()
      assert.are.equal(200, (ask "s3cret"))
      local store = helper.open({ maintenance = "off" },
        home .. "/gate.lode")
      dict.set(store:dict("used", { ttl = 60 }), { "old", 1 }, 1, 0.01)
      assert.is_true(program.wait(function ()
        local stats = dict.stats(store:dict("used", { ttl = 60 }))
        return stats.entries == 1 and stats.expired == 0
      end, 20))
      assert.is_nil(now.output:find("gate: ", 1, true), now.output)
    end)

    it_in_haproxy("keeps nobody out when another holds the lock", function ()
      command("set", "keys", "s3cret", '{"name":"ada","most":5}')
      start(example())
      assert.are.equal(200, (ask "s3cret"))
      local _, release = helper.holder(home .. "/gate.lode")
      local began = uv.hrtime()
      local status, text = ask "s3cret"
      local took = (uv.hrtime() - began) / 1e9
      local stranger = ask "wrong"
      release()
      assert.are.equal(200, status)
      assert.are.equal("hello ,  left\n", (text:gsub("ada", "")))
      assert.are.equal(401, stranger) -- reading waits for no lock
      assert.is_true(took < 3, took)
    end)
  end)
end)
