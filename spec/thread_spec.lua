-- Several OS threads, each with its own Lua state, on one store.

local helper = require "support.helper"
local lode = require "lode"

local dict = lode.dict
local open = helper.open

local has_luv, luv = pcall(require, "luv")

local full = os.getenv "LODE_FULL" == "1"
local THREADS, ROUNDS = 4, 300

-- Runs in a thread: no upvalues. What goes wrong is written to `report`.
local function body (path, lua_path, lua_cpath, source, me, rounds, report)
  package.path, package.cpath = lua_path, lua_cpath
  local ok, e = pcall(function ()
    local run = assert((loadstring or load)(source))
    run(path, me, rounds)
  end)
  for _ = 1, 3 do collectgarbage() end
  local file = io.open(report, "w")
  file:write(ok and "done" or "failed: " .. tostring(e))
  file:close()
end

local head = [[
  local path, me, rounds = ...
  local lode = require "lode"
  local dict, set = lode.dict, lode.set
  local store = lode.open(path, { durability = "os", lock_timeout = 60 })
  local d, s = store:dict "d", store:set "s"
]]

-- Runs the source in several threads at once and beside them `beside`.
local function together (path, source, beside, n, rounds)
  local threads, reports = {}, {}
  for i = 1, n or THREADS do
    reports[i] = helper.path "report"
    threads[i] = luv.new_thread(body, path, package.path, package.cpath,
      head .. source, i, rounds or ROUNDS, reports[i])
  end
  local ok, e = pcall(beside or function () end)
  for _, thread in ipairs(threads) do luv.thread_join(thread) end
  for i, report in ipairs(reports) do
    local file = assert(io.open(report), "thread " .. i .. " is lost")
    local text = file:read "*a"
    file:close()
    assert.are.equal("done", text)
  end
  assert(ok, e)
end

local function describe_with_luv (name, function_)
  if has_luv then
    describe(name, function_)
  else
    describe(name, function ()
      it("needs luv", function () pending "luv can't be required" end)
    end)
  end
end

describe_with_luv("several threads on one store", function ()
  helper.watch()

  it("lose no update", function ()
    local store, path = open { lock_timeout = 60 }
    local d = store:dict "d"
    together(path, [[
      for i = 1, rounds do
        dict.incr(d, "incr")
        dict.update(d, "update", function (v) return (v or 0) + 1 end)
        store:transaction(function ()
          d.transaction = (d.transaction or 0) + 1
          d[{ me, i }] = i
        end)
      end
    ]], function ()
      for _ = 1, ROUNDS do dict.incr(d, "incr") end
    end)
    assert.are.equal((THREADS + 1) * ROUNDS, d.incr)
    assert.are.equal(THREADS * ROUNDS, d.update)
    assert.are.equal(THREADS * ROUNDS, d.transaction)
    assert.are.equal(THREADS * ROUNDS, dict.count(d, { prefix = {} }))
    assert.are.equal(1, store:stats().handles)
  end)

  it("see whole transactions only", function ()
    local store, path = open { lock_timeout = 60 }
    local d = store:dict "d"
    d.a, d.b = 0, 0
    together(path, [[
      for i = 1, rounds do
        if me % 2 == 0 then
          store:transaction(function ()
            d.a = d.a + 1
            set.add(s, { me, i })
            d.b = d.b + 1
          end)
        else
          store:snapshot(function ()
            assert(d.a == d.b)
            assert(#s == d.a)
          end)
        end
      end
    ]])
    assert.are.equal(THREADS / 2 * ROUNDS, d.a)
  end)

  it("open and close it all the time", function ()
    local path = helper.path()
    together(path, [[
      for i = 1, rounds / 3 do
        local other = lode.open(path, { durability = "os" })
        dict.incr(other:dict "d", "n")
        if i % 2 == 0 then other:close() end
        if i % 10 == 0 then collectgarbage() end
      end
      store:close()
    ]])
    assert.are.equal(THREADS * ROUNDS / 3, open({}, path):dict("d").n)
  end)

  it("grow a small map under each other's walks", function ()
    local path = helper.path()
    local store = open({ map_size = 2 ^ 20, lock_timeout = 60 }, path)
    local d = store:dict "d"
    for i = 1, 2000 do d[i] = i end
    together(path, [[
      for i = 1, rounds / 3 do
        if me % 2 == 0 then
          d[{ me, i }] = ("x"):rep(50000)
        else
          local n = 0
          for k, v in dict.pairs(d, { to = 2000 }) do
            n = n + 1
            assert(k == n and v == n)
          end
          assert(n == 2000)
          assert(#s == 0)
        end
      end
    ]], function ()
      for _ = 1, 20 do
        local n = 0
        for k in dict.pairs(d, { to = 2000, snapshot = true }) do
          n = n + 1
          assert.are.equal(n, k)
        end
        assert.are.equal(2000, n)
      end
    end)
    assert.are.equal(2000 + THREADS / 2 * ROUNDS / 3, #d)
  end)

  it("read, write, walk and sweep, eight at once", function ()
    local threads, rounds = 8, full and 5000 or 200
    local store, path = open { lock_timeout = 60 }
    together(path, [[
      local others = 8
      local dying = store:dict("dying", { ttl = 0.02 })
      local removed, walked = 0, 0
      for i = 1, rounds do
        d[{ me, i }] = { me, i }
        dying[{ me, i }] = i
        s[(me + i) % 50] = true
        s[(me + i + 25) % 50] = nil
        local other = (me + i) % others + 1
        local v, alive = d[{ other, i }], dying[{ other, i }]
        assert(v == nil or v[1] == other and v[2] == i)
        assert(alive == nil or alive == i)
        if i % 10 == 0 then
          local n = 0
          for k, own in dict.pairs(d, { prefix = { me } }) do
            n = n + 1
            assert(k[2] == n and own[2] == n)
          end
          assert(n == i)
          local last = -1
          for member in set.each(s) do
            assert(member > last)
            last = member
          end
          for k, n in dict.pairs(dying) do assert(k[2] == n) end
          walked = walked + 3
        end
        if i % 10 == 5 then removed = removed + store:maintain { ms = 2 } end
      end
      d[{ "removed", me }], d[{ "walked", me }] = removed, walked
    ]], nil, threads, rounds)
    local d, dying = store:dict "d", store:dict "dying"
    assert.are.equal(threads * (rounds + 2), #d)
    local removed, walked = 0, 0
    for i = 1, threads do
      removed = removed + d[{ "removed", i }]
      walked = walked + d[{ "walked", i }]
      for round = 1, rounds, 7 do
        assert.are.same({ i, round }, d[{ i, round }])
      end
    end
    assert.is_true(removed > 0)
    luv.sleep(30)
    assert.are.equal(0, #dying)
    local left, more = store:maintain()
    assert.is_false(more)
    assert.are.equal(0, store:stats().expired)
    assert.is_true(removed + left <= threads * rounds)
    local report = store:check()
    assert.is_true(report.ok, table.concat(report.problems, "\n"))
    print(("%d rounds of %d threads, %d walks, %d swept aside from writes")
      :format(threads * rounds, threads, walked, removed))
  end)

  it("do so while processes do the same", function ()
    local store, path = open { lock_timeout = 60 }
    local d = store:dict "d"
    local child = helper.spawn([[
      local path, rounds = ...
      local lode = require "lode"
      local d = lode.open(path, { durability = "os", lock_timeout = 60 })
        :dict "d"
      for i = 1, rounds do lode.dict.incr(d, "n") end
    ]], path, ROUNDS)
    together(path, [[
      for i = 1, rounds do dict.incr(d, "n") end
    ]])
    child:finish()
    assert.are.equal((THREADS + 1) * ROUNDS, d.n)
  end)
end)
