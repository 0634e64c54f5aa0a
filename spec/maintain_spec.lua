-- Upkeep: who sweeps, for how long, and how the reads of several processes
-- come together. Where a thread or another process has something to do, a
-- spec waits for it as long as it takes, and fails after PATIENCE.

local clocks = require "support.clock"
local helper = require "support.helper"
local lode = require "lode"

local dict, set, policy = lode.dict, lode.set, lode.policy
local START, timed = clocks.START, clocks.open

local PATIENCE = 30 -- seconds
local FEW = 4       -- entries that a write sweeps of its own collection
local TURN = 8      -- and of another one, at every so many writes

-- Waits until done() holds, or fails.
local function await (what, done)
  local limit = os.time() + PATIENCE
  while not done() do
    assert(os.time() < limit, "in vain: " .. what)
    os.execute "sleep 0.02"
  end
end

local function fill (c, n, ttl)
  local write = lode.type and lode.type(c) == "set" and set.add
  for i = 1, n do
    if write then write(c, i, ttl) else dict.set(c, i, i, ttl) end
  end
end

describe("maintenance in the background", function ()
  helper.watch()

  it("removes what needs no Lua, of all collections", function ()
    local store = helper.open { maintenance = "background" }
    local d, s = store:dict "d", store:set "s"
    local told = 0
    local asked = store:dict("asked", { expire = policy.ttl(1) })
    local shown = store:dict("shown", {
      ttl = 1, on_expire = function () told = told + 1 end,
    })
    store:transaction(function ()
      for i = 1, 1000 do
        dict.set(d, i, i, 1)
        set.add(s, i, 1)
        asked[i], shown[i] = i, i
      end
      d.stays, s.stays = true, true
      for i = 1, 50 do dict.set(d, -i, i, 3600) end
    end)
    await("the thread sweeps", function ()
      return #d == 51 and dict.stats(d).expired == 0 and #s == 1 and
        set.stats(s).expired == 0
    end)
    assert.are.equal(0, told) -- nobody has written here since
    assert.are.equal(1000, dict.stats(asked).expired)
    assert.are.equal(1000, dict.stats(shown).expired)
    assert.are.equal(2000, (store:maintain()))
    assert.are.equal(1000, told)
    store:close()
  end)

  it("goes on for every other handle until the last is closed", function ()
    local one, path = helper.open { maintenance = "background" }
    local two = helper.open({ maintenance = "background" }, path)
    local other = helper.open({ maintenance = "off" }, path)
    one:close()
    local d = other:dict "d"
    fill(d, 100, 0.01)
    await("the thread of two sweeps", function ()
      return dict.stats(d).expired == 0 and #d == 0
    end)
    two:close()
    fill(d, 100, 0.01)
    os.execute "sleep 1.3" -- as long as the thread rests, and more
    assert.are.equal(100, dict.stats(d).expired)
  end)

  it("ends with close, in the midst of its work too", function ()
    local path = helper.path()
    for round = 1, 40 do
      local store = helper.open({ maintenance = "background" }, path)
      local d = store:dict "d"
      if round == 20 then
        store:transaction(fill, d, 20000, 0.001)
        os.execute "sleep 1.02" -- it has just begun
      end
      local began = os.time()
      store:close()
      assert.is_true(os.time() - began < PATIENCE / 3)
    end
  end)

  -- Ways for a process to end; none of them closes the store.
  local ends = {
    ["the end of its script"] = "",
    ["os.exit"] = "io.stdout:flush() os.exit(7)",
    ["os.exit that closes the state"] = "io.stdout:flush() os.exit(7, true)",
    ["an error"] = "error 'the end'",
    ["kill"] = [[
      local file = io.open "/proc/self/stat"
      local pid = file:read "*n"
      file:close()
      os.execute("kill -TERM " .. pid)
    ]],
  }
  for name, source in pairs(ends) do
    it("doesn't hold up a process that ends by " .. name, function ()
      for _, busy in ipairs(source:find "exit" and { false }
                            or { false, true }) do
        local path, script = helper.path(), helper.path "script"
        local file = assert(io.open(script, "w"))
        file:write(([[
          package.path, package.cpath = %q, %q
          local lode = require "lode"
          store = lode.open(%q, { maintenance = "background",
                                  durability = "os" })
          d = store:dict "d"
          store:transaction(function ()
            for i = 1, %d do lode.dict.set(d, i, i, 0.001) end
          end)
          if %s then os.execute "sleep 1.02" end
          %s
        ]]):format(package.path, package.cpath, path, busy and 20000 or 10,
          tostring(busy), source))
        file:close()
        local began = os.time()
        local output = helper.shell(("timeout -k 1 %d '%s' '%s'"):format(
          PATIENCE, helper.interpreter, script))
        assert.is_true(os.time() - began < PATIENCE, output)
        local store = helper.open({ maintenance = "off" }, path)
        local d = store:dict "d" -- and the store is whole
        await("they die", function () return #d == 0 end)
        store:maintain()
        assert.are.equal(0, store:stats().expired)
        store:close()
      end
    end)
  end
end)

describe("inline maintenance", function ()
  helper.watch()

  it("costs a write so many removals, and no more", function ()
    local store, clock = timed()
    local d, s, other = store:dict "d", store:set "s", store:dict "other"
    store:transaction(function ()
      fill(d, 500, 10)
      for i = 1, 500 do set.add(s, i, 10) end
      fill(other, 500, 10)
    end)
    clock.now = START + 10
    local function due ()
      return dict.stats(d).expired, set.stats(s).expired,
        dict.stats(other).expired
    end
    local writes = {
      function () d.x = 1 end,
      function () set.add(s, "x") end,
      function () set.remove(s, "x") end,
      function () d.x = nil end,
      function () dict.incr(d, "n") end,
      function () dict.update(d, "n", function (n) return n + 1 end) end,
      function () dict.put_many(d, { a = 1, b = 2, c = 3 }) end,
      function () store:transaction(function ()
        for i = 1, 100 do d.x = i end
      end) end,
      function () dict.expire(d, "n", 100) end,
      function () dict.touch(d, "n") end,
      function () dict.fetch(d, "y", function () return 1 end) end,
    }
    local total, all = 0, 0
    for round = 1, 20 do
      for _, write in ipairs(writes) do
        local a, b, c = due()
        write()
        local a2, b2, c2 = due()
        local gone = a - a2 + b - b2 + c - c2
        assert.is_true(gone <= 2 * FEW,
          ("%d went in round %d"):format(gone, round))
        total, all = total + gone, all + 1
      end
    end
    -- each eighth write takes from a second one
    assert.is_true(total <= all * FEW + all / TURN * FEW + 2 * FEW,
      ("%d went in %d writes"):format(total, all))
    assert.is_true(total >= all * FEW / 2)
    assert.are.equal(total, store:stats().swept)
  end)

  it("is none of a write that is rolled back", function ()
    local store, clock = timed()
    local d = store:dict "d"
    fill(d, 50, 10)
    clock.now = START + 10
    for _ = 1, 5 do clocks.undone(store, function () d.x = 1 end) end
    assert.are.equal(50, dict.stats(d).expired)
    assert.is_nil(d.x)
  end)
end)

describe("store:maintain with a bound", function ()
  helper.watch()

  it("of time stops in time, and is done in the end", function ()
    local store, clock = timed { maintenance = "off" }
    local d = store:dict "d"
    local n = 30000
    store:transaction(fill, d, n, 10)
    clock.now = START + 10
    local began, calls, total = os.clock(), 0, 0
    local removed, more
    repeat
      removed, more = store:maintain { ms = 1 }
      total, calls = total + removed, calls + 1
    until not more
    assert.are.equal(n, total)
    local each = (os.clock() - began) / calls
    assert.is_true(calls > 3, "it went on for " .. each .. " s")
    assert.is_true(each < 0.2, "a call took " .. each .. " s")
    assert.are.equal(0, dict.stats(d).expired)
  end)

  it("serves all collections before the first one twice", function ()
    local store, clock = timed { maintenance = "off" }
    local names, colls = { "a", "b", "c", "e" }, {}
    for i, name in ipairs(names) do
      colls[i] = i % 2 == 0 and store:set(name) or store:dict(name)
    end
    local told = 0
    colls[5] = store:dict("told", {
      on_expire = function () told = told + 1 end,
    })
    store:transaction(function ()
      for i = 1, 5 do
        for k = 1, i == 1 and 3000 or 20 do
          if i % 2 == 0 then set.add(colls[i], k, 10)
          else dict.set(colls[i], k, k, 10) end
        end
      end
    end)
    clock.now = START + 10
    local removed, calls, more = 0, 0
    repeat
      local n
      n, more = store:maintain { entries = 100 }
      assert.is_true(n <= 100)
      removed, calls = removed + n, calls + 1
    until calls == 5
    for i = 2, 5 do
      local stats = i % 2 == 0 and set.stats or dict.stats
      assert.are.equal(0, stats(colls[i]).expired, names[i])
    end
    assert.are.equal(20, told)
    assert.is_true(more and dict.stats(colls[1]).expired > 2000)
    removed = removed + store:maintain()
    assert.are.equal(3080, removed)
  end)

  it("gives what was removed, and whether more can be", function ()
    local store, clock = timed { maintenance = "off" }
    local d = store:dict("d", { expire = policy.idle(10) })
    for i = 1, 20 do d[i] = i end
    clock.now = START + 6
    for i = 1, 10 do local _ = d[i] end
    clock.now = START + 10
    local removed, more = store:maintain { entries = 5 }
    assert.is_true(removed <= 5)
    while more do
      local n
      n, more = store:maintain { entries = 5 }
      removed = removed + n
    end
    assert.are.equal(10, removed) -- the others were read, and have stayed
    assert.are.equal(10, #d)
    local path = store:path()
    clock.now = START + 16
    local tool = helper.open({ clock = clock.tell, maintenance = "off" },
      path)
    store:close()
    tool:dict "d"
    removed, more = tool:maintain()
    assert.are.equal(0, removed)
    assert.is_false(more) -- nothing that could be removed here
    assert.are.equal(10, tool:stats().waiting)
  end)
end)

describe("noted reads", function ()
  helper.watch()

  -- Opens "d" with times at a moment, reads as told, and ends as told.
  local reader = helper.wait_for .. [[
    local path, now, reads, go, how = ...
    local lode = require "lode"
    local store = lode.open(path, { durability = "os",
      maintenance = "off", clock = function () return now end })
    local d = store:dict("d", { times = true })
    for i = 1, reads do local _ = d.a end
    if how == "maintain" then store:maintain() end
    print(store:stats().accesses)
    wait_for(go)
    if how == "close" then store:close() end
    if how == "write" then d.b = 1 end
  ]]

  local function fresh ()
    local store, clock, path = timed { maintenance = "off" }
    local d = store:dict("d", { times = true })
    d.a = 1
    return d, store, clock, path
  end

  local function note (d, key, now, hits)
    local info = dict.info(d, key)
    assert.are.equal(now, info.atime)
    assert.are.equal(hits, info.hits)
  end

  it("of several processes: the latest counts, hits add up", function ()
    local d, store, clock, path = fresh()
    local children = {}
    local go = helper.path "go"
    for i, how in ipairs { "close", "maintain", "close" } do
      children[i] = helper.spawn(reader, path, START + 100 * i % 250,
        10 ^ i, go, how)
    end
    for i = 1, 3 do
      assert.are.equal(i == 2 and "0" or "1", children[i]:line())
    end
    clock.now = START + 7
    for _ = 1, 5 do local _ = d.a end
    note(d, "a", START + 200, 105) -- of the second child, and our own
    helper.signal(go)
    for i = 1, 3 do children[i]:finish() end
    note(d, "a", START + 200, 1115)
    store:close() -- ours are earlier, and count as hits
    store = helper.open({ clock = clock.tell }, path)
    note(store:dict "d", "a", START + 200, 1115)
  end)

  it("that weren't kept go with a process that is killed", function ()
    local d, _, _, path = fresh()
    local go = helper.path "go"
    local keeps = helper.spawn(reader, path, START + 50, 30, go, "maintain")
    assert.are.equal("0", keeps:line())
    local loses = helper.spawn(reader, path, START + 60, 7, go, "none")
    assert.are.equal("1", loses:line())
    keeps:kill()
    loses:kill()
    note(d, "a", START + 50, 30)
  end)

  it("are kept with later writes, 16 at a time, the more the sooner",
    function ()
      local store, clock = timed()
      local d = store:dict("d", { times = true })
      for i = 1, 40 do d[i] = i end
      clock.now = START + 5
      for i = 1, 40 do local _ = d[i] end
      assert.are.equal(40, store:stats().accesses)
      local waiting = {}
      for step = 1, 60 do
        d.x = step
        waiting[step] = store:stats().accesses
        clock.now = clock.now + 0.1
      end
      assert.are.equal(24, waiting[1])
      assert.are.equal(24, waiting[2]) -- after a ninth of a second
      assert.are.equal(8, waiting[4])
      assert.are.equal(8, waiting[12]) -- after a whole one
      assert.are.equal(0, waiting[15])
      for i = 1, 40 do note(d, i, START + 5, 1) end
    end)

  it("are kept within a second where there are writes enough", function ()
    local store, clock = timed()
    local d = store:dict("d", { times = true })
    for i = 1, 2000 do d[i] = i end
    store:maintain()
    for i = 1, 2000 do local _ = d[i] end
    for step = 1, 1000 do
      d.x = step
      clock.now = clock.now + 0.001
    end
    assert.is_true(store:stats().accesses < 32)
  end)

  it("are kept by a sweep, and by a close", function ()
    for _, keep in ipairs { "maintain", "close" } do
      local store, clock, path = timed { maintenance = "off" }
      local d = store:dict("d", { times = true })
      for i = 1, 1000 do d[i] = i end
      clock.now = START + 3
      for i = 1, 1000 do local _ = d[i] end
      local version = store:version()
      assert.are.equal(1000, store:stats().accesses)
      store[keep](store)
      store = helper.open({ clock = clock.tell }, path)
      assert.are.equal(0, store:stats().accesses)
      assert.is_true(store:version() > version)
      d = store:dict "d"
      for i = 1, 1000 do note(d, i, START + 3, 1) end
      store:close()
    end
  end)

  it("outlive a transaction that is rolled back", function ()
    local store, clock = timed { maintenance = "off" }
    local d = store:dict("d", { expire = policy.idle(10) })
    local d2 = store:dict("d2", { times = true, max_entries = 3 })
    for _, k in ipairs { "a", "b", "c" } do d[k], d2[k] = 1, 1 end
    clock.now = START + 8
    for _, k in ipairs { "a", "b", "c" } do
      assert.are.equal(1, d[k])
      assert.are.equal(1, d2[k])
    end
    clocks.undone(store, function ()
      d.a = nil
      d.b = 2
      d.c = nil
      d.c = 3
      for i = 1, 10 do d2[i] = i end
    end)
    clock.now = START + 12
    for _, k in ipairs { "a", "b", "c" } do
      note(d, k, START + 8, 1)
      note(d2, k, START + 8, 1)
    end
    store:transaction(function ()
      clocks.undone(store, function () d.a = nil; dict.clear(d) end)
      note(d, "a", START + 8, 1)
      d.b = 2
    end)
    assert.are.equal(3, #d)
    note(d, "b", START + 12, 1)
    clock.now = START + 18
    assert.are.equal(1, #d)
    assert.are.equal(2, (store:maintain()))
  end)
end)
