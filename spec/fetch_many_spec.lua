-- Get or compute among many: who computes, who waits, and who is given a
-- value that is stale or will be soon.

local exact = require "support.exact"
local helper = require "support.helper"
local lode = require "lode"

local dict = lode.dict
local fails, open = helper.fails, helper.open

local has_luv, luv = pcall(require, "luv")

local LONG = 1000 -- seconds, which no test takes
local BRIEF = 0.02

-- Returns when an entry written with the ttl BRIEF has died.
local function let_die ()
  os.execute "sleep 0.06"
end

local function never ()
  error "computed, where a value should have been found"
end

-- For sources: the store at the first argument, and a fetch that tells when
-- it computes and goes on when the file at the second one is there.
local head = helper.wait_for .. [[
  local path, go = ...
  local lode = require "lode"
  local store = lode.open(path, { durability = "os", lock_timeout = 60 })
  local d = store:dict "d"
  local function slowly (value)
    return function ()
      print "computing"
      wait_for(go)
      if value == "raise" then error "on purpose" end
      return value
    end
  end
]]

-- A process that has begun to compute d.k; it ends once `go` is there.
local function computing (path, go, rest)
  local child = helper.spawn(head .. rest, path, go)
  assert.are.equal("computing", child:line())
  return child
end

-- How many lines a file has.
local function lines (path)
  local n = 0
  for _ in io.lines(path) do n = n + 1 end
  return n
end

describe("of many callers of fetch", function ()
  helper.watch()

  -- Runs in a thread: no upvalues.
  local function body (lua_path, lua_cpath, source, ...)
    package.path, package.cpath = lua_path, lua_cpath
    local ok, e = pcall(function (...)
      return assert((loadstring or load)(source))(...)
    end, ...)
    local report = io.open((select(3, ...)), "w")
    report:write(ok and tostring(e) or "failed: " .. tostring(e))
    report:close()
  end

  local caller = helper.wait_for .. [[
    local path, go, report, tally = ...
    local lode = require "lode"
    local store = lode.open(path, { durability = "os", lock_timeout = 60 })
    local d = store:dict "d"
    wait_for(go)
    local value = lode.dict.fetch(d, "k", function ()
      local file = assert(io.open(tally, "a"))
      file:write "computed\n"
      file:close()
      os.execute "sleep 0.3"
      return report
    end, { wait = 60 })
    store:close()
    return value
  ]]

  local function text_of (path)
    local file = assert(io.open(path), "no " .. path)
    local text = file:read "*a"
    file:close()
    return text
  end

  it("one computes, in 4 processes of 2 threads", function ()
    if not has_luv then pending "luv can't be required" end
    local store, path = open()
    local d = store:dict "d"
    local go, tally = helper.path "go", helper.path "tally"
    local children, reports = {}, {}
    for i = 1, 4 do
      local first, second = helper.path "report", helper.path "report"
      reports[2 * i - 1], reports[2 * i] = first, second
      children[i] = helper.spawn([[
        local first, second, source, body, path, go, tally = ...
        local luv = require "luv"
        local run = assert((loadstring or load)(body))
        local threads = {}
        for i, report in ipairs { first, second } do
          threads[i] = luv.new_thread(run, package.path, package.cpath,
            source, path, go, report, tally)
        end
        for _, thread in ipairs(threads) do luv.thread_join(thread) end
      ]], first, second, caller, string.dump(body), path, go, tally)
    end
    helper.signal(go)
    for _, child in ipairs(children) do child:finish() end
    assert.are.equal(1, lines(tally))
    for _, report in ipairs(reports) do
      assert.are.equal(d.k, text_of(report))
    end
  end)

  it("one computes, in threads of one process", function ()
    if not has_luv then pending "luv can't be required" end
    local store, path = open()
    local d = store:dict "d"
    local go, tally = helper.path "go", helper.path "tally"
    local threads, reports = {}, {}
    for i = 1, 4 do
      reports[i] = helper.path "report"
      threads[i] = luv.new_thread(body, package.path, package.cpath, caller,
        path, go, reports[i], tally)
    end
    helper.signal(go)
    for _, thread in ipairs(threads) do luv.thread_join(thread) end
    assert.are.equal(1, lines(tally))
    for i = 1, 4 do assert.are.equal(d.k, text_of(reports[i])) end
  end)

  it("the next computes when one raises, in its process too", function ()
    if not has_luv then pending "luv can't be required" end
    local store, path = open()
    local d = store:dict "d"
    local tally, report = helper.path "tally", helper.path "report"
    local go = helper.path "go"
    helper.signal(go)
    local thread
    local ok, e = pcall(dict.fetch, d, "k", function ()
      thread = luv.new_thread(body, package.path, package.cpath, caller,
        path, go, report, tally)
      os.execute "sleep 0.2"
      error("on purpose", 0)
    end)
    assert.is_false(ok)
    assert.are.equal("on purpose", e)
    luv.thread_join(thread)
    assert.are.equal(report, text_of(report))
    assert.are.equal(report, d.k)
  end)

  it("the next computes when one raises", function ()
    local store, path = open()
    local d = store:dict "d"
    local go = helper.path "go"
    local child = computing(path, go, [[
      print((pcall(lode.dict.fetch, d, "k", slowly "raise")))
    ]])
    local waiting = helper.spawn(head .. [[
      print "waiting"
      print(lode.dict.fetch(d, "k", function () return "next" end,
        { wait = 60 }))
    ]], path, go)
    assert.are.equal("waiting", waiting:line())
    helper.signal(go)
    assert.are.equal("false", child:finish())
    assert.are.equal("next", waiting:finish())
    assert.are.equal("next", d.k)
  end)

  it("the next computes at once when one is killed", function ()
    local store, path = open()
    local d = store:dict "d"
    local go = helper.path "go"
    local child = computing(path, go, [[
      lode.dict.fetch(d, "k", slowly "never")
    ]])
    local waiting = helper.spawn(head .. [[
      print "waiting"
      print(lode.dict.fetch(d, "k", function () return "next" end,
        { wait = 600 }))
    ]], path, go)
    assert.are.equal("waiting", waiting:line())
    fails("BUSY", dict.fetch, d, "k", never, { wait = 0.05 })
    child:kill()
    local began = os.time()
    assert.are.equal("next", waiting:finish())
    assert.is_true(os.time() - began < 30)
    assert.are.equal("next", dict.fetch(d, "k", never))
  end)

  it("those who wait get what is computed, or BUSY in the end", function ()
    local store, path = open { lock_timeout = 0.1 }
    local d = store:dict "d"
    local go = helper.path "go"
    local child = computing(path, go, [[
      lode.dict.fetch(d, "k", slowly "theirs")
    ]])
    for _, options in ipairs { { wait = 0 }, { wait = 0.05 }, {} } do
      local e = fails("BUSY", dict.fetch, d, "k", never, options)
      assert.are.equal("k", e.key)
      assert.are.equal("d", e.collection)
    end
    local waiting = helper.spawn(head .. [[
      print "waiting"
      print(lode.dict.fetch(d, "k", error, { wait = 60 }))
    ]], path, go)
    assert.are.equal("waiting", waiting:line())
    assert.are.equal(1, dict.fetch(d, "other", function () return 1 end))
    helper.signal(go)
    child:finish()
    assert.are.equal("theirs", waiting:finish())
    assert.are.equal("theirs", dict.fetch(d, "k", never))
  end)
end)

describe("fetch in a transaction while another computes", function ()
  helper.watch()

  it("waits for nobody, as nobody could store before its end", function ()
    local store, path = open()
    local d = store:dict "d"
    local go = helper.path "go"
    local child = computing(path, go, [[
      print(lode.dict.fetch(d, "k", slowly "theirs"))
    ]])
    store:transaction(function ()
      assert.are.equal("mine", dict.fetch(d, "k", function ()
        return "mine"
      end, { wait = LONG }))
    end)
    assert.are.equal("mine", d.k)
    helper.signal(go)
    assert.are.equal("theirs", child:finish())
  end)
end)

describe("a stale value", function ()
  helper.watch()

  local options = { ttl = BRIEF, stale = LONG }

  local function made_stale (d, value)
    dict.fetch(d, "k", function () return value end, options)
    let_die()
    assert.is_nil(d.k)
  end

  it("is served while one refreshes", function ()
    local store, path = open()
    local d = store:dict "d"
    local go = helper.path "go"
    made_stale(d, { "old" })
    local child = computing(path, go, [[
      print(lode.dict.fetch(d, "k", slowly "new"))
    ]])
    for _ = 1, 3 do
      assert.are.same({ "old" }, dict.fetch(d, "k", never, { wait = LONG }))
    end
    helper.signal(go)
    assert.are.equal("new", child:finish())
    assert.are.equal("new", dict.fetch(d, "k", never))
  end)

  it("is refreshed by the first who gets to it", function ()
    local d = open():dict "d"
    made_stale(d, "old")
    assert.are.equal("new", dict.fetch(d, "k", function () return "new" end))
    assert.are.equal("new", d.k)
  end)

  it("stays when its refreshing fails, and the error passes", function ()
    local store, path = open()
    local d = store:dict "d"
    local go = helper.path "go"
    made_stale(d, "old")
    local ok, e = pcall(dict.fetch, d, "k", function () error("no", 0) end)
    assert.is_false(ok)
    assert.are.equal("no", e)
    local child = computing(path, go, [[
      print(lode.dict.fetch(d, "k", slowly "new"))
    ]])
    assert.are.equal("old", dict.fetch(d, "k", never))
    child:kill()
    assert.are.equal("mine", dict.fetch(d, "k", function ()
      return "mine"
    end))
  end)

  it("is absent for all else, and ends", function ()
    local d = open():dict "d"
    dict.fetch(d, "k", function () return "old" end,
      { ttl = BRIEF, stale = BRIEF })
    let_die()
    let_die()
    local missed
    assert.are.equal("new", dict.fetch(d, "k", function (k)
      missed = d[k] == nil and not dict.has(d, k) and #d == 0
      return "new"
    end))
    assert.is_true(missed)
  end)

  it("is forgotten by delete and by a write, swept or not", function ()
    for _, sweep in ipairs { false, true } do
      local store = open()
      local d, other = store:dict "d", store:dict "other"
      local function forget (how)
        made_stale(d, "old")
        for i = 1, sweep and 20 or 0 do
          d.probe, other[i] = i, i
        end
        how()
        local n = 0
        dict.fetch(d, "k", function ()
          n = n + 1
          return "new"
        end, LONG)
        return n
      end
      -- a value that still stood there would be shown to one of two
      local function deleted ()
        assert.is_false(dict.delete(d, "k"))
        store:snapshot(function ()
          fails("READONLY", dict.fetch, d, "k", never)
        end)
      end
      assert.are.equal(1, forget(deleted))
      dict.delete(d, "k")
      assert.are.equal(0, forget(function () d.k = "written" end))
      assert.are.equal("written", dict.fetch(d, "k", never))
    end
  end)

  it("may be large", function ()
    local store, path = open()
    local d = store:dict "d"
    local list = {}
    for i = 1, 3000 do list[i] = { i, tostring(i) } end
    for _, value in ipairs { ("x"):rep(100000), list } do
      dict.delete(d, "k")
      made_stale(d, value)
      local reading = open({ readonly = true }, path):dict "d"
      exact.check(value, dict.fetch(reading, "k", never))
    end
  end)
end)

describe("early refreshing", function ()
  helper.watch()

  local TTL, TRIES = 1000, 4000

  -- A dict with d.k, which took 30 ms at least; and at most `cost` s.
  local function costly ()
    local d = open():dict "d"
    local began = has_luv and luv.hrtime()
    dict.fetch(d, "k", function ()
      os.execute "sleep 0.03"
      return "v"
    end, TTL)
    return d, began and (luv.hrtime() - began) / 1e9 or 1
  end

  -- How often of TRIES a fetch computes; nothing is stored by it.
  local function count (d, early)
    local n = 0
    for _ = 1, TRIES do
      dict.fetch(d, "k", function () n = n + 1 end, { early = early })
    end
    return n
  end

  it("never happens without `early`", function ()
    local d = costly()
    assert.are.equal(0, count(d, 0))
    assert.are.equal(0, count(d, nil))
  end)

  it("never happens far from the end", function ()
    assert.are.equal(0, count(costly(), 1))
  end)

  it("happens with the chance that the cost gives", function ()
    local d, cost = costly()
    local beta = TTL / 0.03
    local share = count(d, beta) / TRIES
    -- 4000 tries are off by 0.08 once in 10^22 runs
    assert.is_true(share > math.exp(-1) - 0.08, tostring(share))
    assert.is_true(share < math.exp(-0.03 * 0.9 / cost) + 0.08,
      tostring(share))
  end)

  it("serves the value to the others meanwhile", function ()
    local store, path = open()
    local d = store:dict "d"
    local go = helper.path "go"
    dict.fetch(d, "k", function ()
      os.execute "sleep 0.01"
      return "old"
    end, TTL)
    local child = computing(path, go, [[
      print(lode.dict.fetch(d, "k", slowly "new", { ttl = 1000,
        early = 1e9 }))
    ]])
    assert.are.equal("old", d.k)
    for _ = 1, 10 do
      assert.are.equal("old", dict.fetch(d, "k", never, { early = 1e9 }))
    end
    helper.signal(go)
    assert.are.equal("new", child:finish())
    assert.are.equal("new", dict.fetch(d, "k", never))
    assert.is_true(dict.ttl(d, "k") > TTL - 100)
  end)
end)
