-- What a policy, on_expire, an evict function or the clock may do to the
-- store that called it: write to it, close it, yield, overflow. A clear
-- outcome for the function and for the call below it, and never a lock, a
-- view or a handle left.

local helper = require "support.helper"
local hooked = require "support.hooked"
local lode = require "lode"
local neighbour = require "support.neighbour"

local dict, set = lode.dict, lode.set
local says = helper.says

neighbour.attend()

-- A policy that meddles from when `armed.now` is true.
local function meddling (armed, meddle)
  return function (e)
    if armed.now then meddle() end
    return e.mtime + 1
  end
end

-- Takes one step of a walk, and leaves it.
local function step (walk, state, key)
  return walk(state, key)
end

-- Each: call(store, clock, meddle) has lode call a function that meddles,
-- be it asked (a policy, evict, the clock) or told (on_expire). What that
-- raises is raised by the call too, unless it is logged.
local callers = {
  ["a policy at a write"] = { call = function (store, _, meddle)
    store:dict("p", { expire = meddle }).k = 1
  end },
  ["a policy at a read"] = { call = function (store, clock, meddle)
    local armed = {}
    local d = store:dict("p", { expire = meddling(armed, meddle) })
    for i = 1, 20 do d[i] = ("x"):rep(i * 100) end
    clock.now = clock.now + 1
    armed.now = true
    return d[7]
  end },
  ["a policy in a walk"] = { call = function (store, clock, meddle)
    local armed = {}
    local d = store:dict("p", { expire = meddling(armed, meddle) })
    for i = 1, 20 do d[i] = ("x"):rep(i) end
    clock.now = clock.now + 1
    armed.now = true
    step(dict.pairs(d))
    step(dict.pairs(d, { snapshot = true }))
    return #d
  end },
  ["a policy in a snapshot"] = { call = function (store, clock, meddle)
    local armed = {}
    local d = store:dict("p", { expire = meddling(armed, meddle) })
    d[1], d[2] = 1, ("x"):rep(3000)
    clock.now = clock.now + 1
    armed.now = true
    return store:snapshot(function () return d[1], d[2] end)
  end },
  ["a policy in an expression"] = { call = function (store, clock, meddle)
    local armed = {}
    local s = store:set("p", { expire = meddling(armed, meddle) })
    local t = store:set "q"
    for i = 1, 20 do
      s[i] = true
      t[i] = true
    end
    clock.now = clock.now + 1
    armed.now = true
    step(set.each(t * s))
    return #(t - s)
  end },
  ["a policy in a sweep"] = { logs = true,
    call = function (store, clock, meddle)
      local armed = {}
      local d = store:dict("p", { expire = meddling(armed, meddle) })
      for i = 1, 5 do d[i] = i end
      clock.now = clock.now + 1
      armed.now = true
      store:maintain()
    end },
  ["a policy that rearms"] = { call = function (store, _, meddle)
    local d = store:dict "p"
    for i = 1, 5 do d[i] = i end
    store:dict("p", { rearm = true, expire = meddle })
  end },
  ["a policy in update"] = { call = function (store, _, meddle)
    local d = store:dict("p", { expire = meddle })
    dict.update(d, "k", function () return 1 end)
  end },
  ["a policy in put_many"] = { call = function (store, _, meddle)
    local d = store:dict("p", { expire = meddle })
    dict.put_many(d, { a = 1, b = 2, c = 3 })
  end },
  ["a policy in fetch"] = { call = function (store, _, meddle)
    local d = store:dict("p", { expire = meddle })
    dict.fetch(d, "k", function () return 1 end)
  end },
  ["an evict function"] = { call = function (store, _, meddle)
    local d = store:dict("p", { max_entries = 3, evict = function (e)
      meddle()
      return e.key
    end })
    for i = 1, 6 do d[i] = i end
  end },
  ["the clock at a read"] = { call = function (store, clock, meddle)
    local d = store:dict("p", { ttl = 100 })
    d.k = 1
    clock.meddle = meddle
    return d.k
  end },
  ["the clock at a write"] = { call = function (store, clock, meddle)
    local d = store:dict("p", { ttl = 100 })
    clock.meddle = meddle
    d.k = 1
  end },
  ["on_expire in a sweep"] = { told = true, logs = true,
    call = function (store, clock, meddle)
      local d = store:dict("p", { ttl = 1, on_expire = meddle })
      for i = 1, 5 do d[i] = i end
      clock.now = clock.now + 1
      store:maintain()
    end },
  ["on_expire at a write"] = { told = true,
    call = function (store, clock, meddle)
      local d = store:dict("p", { ttl = 1, on_expire = meddle })
      d.k = 1
      clock.now = clock.now + 1
      d.k = 2
    end },
  ["on_expire in a transaction"] = { told = true,
    call = function (store, clock, meddle)
      local d = store:dict("p", { ttl = 1, on_expire = meddle })
      d.k = 1
      clock.now = clock.now + 1
      store:transaction(function ()
        d.j = 1
        store:transaction(function () d.k = 2 end)
      end)
    end },
  ["on_expire of an evicted one"] = { told = true, logs = true,
    call = function (store, _, meddle)
      local d = store:dict("p", {
        max_entries = 3, evict = "fifo", on_expire = meddle,
      })
      for i = 1, 6 do d[i] = i end
    end },
}

-- Each: act(store, left) is what the function does, `left` a table that
-- lives on; what becomes of that where it is asked, and where it is told:
-- "done", the code of an error, or what its text says.
local meddlers = {
  ["does nothing"] = {
    act = function () end, asked = "done", told = "done",
  },
  ["closes the store"] = {
    act = function (store) store:close() end,
    asked = "REENTRY", told = "REENTRY",
  },
  ["yields"] = {
    act = function () coroutine.yield() end,
    asked = "yield", told = "yield",
  },
  ["raises in a coroutine of its own"] = {
    act = function ()
      local co = coroutine.wrap(function ()
        coroutine.yield(1)
        error("from within", 0)
      end)
      co()
      co()
    end,
    asked = "from within", told = "from within",
  },
  ["overflows its stack"] = {
    act = function (_, left)
      local function down () return 1 + down() end
      if left.once then error("stack overflow, as it were", 0) end
      left.once = true -- as it takes long
      down()
    end,
    asked = "stack overflow", told = "stack overflow",
  },
  ["writes elsewhere in the store"] = {
    act = function (store)
      store:dict("other").x = 1
      set.add(store:set "more", "x")
    end,
    asked = "REENTRY", told = "done",
  },
  ["writes to the entries at hand"] = {
    act = function (store)
      for name, kind in store:collections() do
        if name == "p" and kind == "dict" then
          local d = store:dict "p"
          d.k = "meddled"
          d[1] = "meddled"
          d[2] = nil
        elseif name == "p" then
          set.remove(store:set "p", 1)
        end
      end
      store:dict "plain"[1] = 1
    end,
    asked = "REENTRY", told = "done",
  },
  ["drops every collection"] = {
    act = function (store)
      for name in store:collections() do store:drop(name) end
    end,
    asked = "REENTRY", told = "done",
  },
  ["sweeps"] = {
    act = function (store) store:maintain() end,
    asked = "REENTRY", told = "REENTRY",
  },
  ["walks, counts and asks for figures"] = {
    act = function (store)
      for _, kind in store:collections() do assert.is_string(kind) end
      assert.are.equal(1, step(dict.pairs(store:dict "plain")))
      assert.are.equal(300, #store:dict "plain")
      assert.is_true(store:stats().entries >= 300)
      assert.is_true(dict.stats(store:dict "plain").size > 0)
      assert.is_true(store:version() > 0)
    end,
    asked = "done", told = "done",
  },
  ["leaves walks open"] = {
    act = function (store, left)
      for _, range in ipairs { {}, { snapshot = true } } do
        local walk = { dict.pairs(store:dict "plain", range) }
        walk[3] = walk[1](walk[2], walk[3])
        assert.are.equal(1, walk[3])
        left[#left + 1] = walk
      end
    end,
    asked = "done", told = "done",
  },
  ["forgets a transaction open"] = {
    act = function (store)
      coroutine.wrap(function ()
        store:transaction(function () coroutine.yield() end)
      end)()
    end,
    asked = "REENTRY", told = "yield",
  },
  ["forgets a snapshot open"] = {
    act = function (store, left)
      left.snapshot = coroutine.wrap(function ()
        store:snapshot(function () coroutine.yield() end)
      end)
      left.snapshot()
    end,
    asked = "yield", told = "yield",
  },
  ["undoes a transaction of its own"] = {
    act = function (store)
      pcall(store.transaction, store, function ()
        store:dict "undone".x = 1
        error "undone"
      end)
      for name in store:collections() do
        assert.are_not.equal("undone", name)
      end
    end,
    asked = "done", told = "done",
  },
  ["collects garbage"] = {
    act = function () collectgarbage() collectgarbage() end,
    asked = "done", told = "done",
  },
  ["finalizes what writes"] = {
    act = function (store)
      local d = store:dict "plain"
      local function finalize () pcall(dict.set, d, "late", 1) end
      local function leave ()
        local proxy = rawget(_G, "newproxy") and newproxy(true)
        if proxy then
          getmetatable(proxy).__gc = finalize
        else
          setmetatable({}, { __gc = finalize })
        end
      end
      leave()
      collectgarbage()
      collectgarbage()
    end,
    asked = "done", told = "done",
  },
  ["opens the store once more"] = {
    act = function (store)
      local again = lode.open(store:path(), { durability = "os" })
      assert.are.equal(300, #again:dict "plain")
      again:close()
    end,
    asked = "done", told = "done",
  },
}

-- Whether the outcome of act() is what is said of it.
local function check_outcome (expected, ok, e)
  if expected == "done" then
    assert.is_true(ok, tostring(e))
  elseif expected:find "^%u+$" then
    assert.are.equal("table", type(e), tostring(e))
    assert.are.equal(expected, e.code, tostring(e))
  else
    assert.is_false(ok)
    says(e, expected)
  end
end

-- Runs the caller in a coroutine, with a function that meddles; gives the
-- store's clock, its path, and what act() came to.
local function run (caller, meddler)
  local clock, left = { now = hooked.START }, {}
  local inside, calls, inner = false, 0, nil
  local store, _, log, path = hooked.open {
    lock_timeout = 1,
    clock = function ()
      if clock.meddle and not inside then clock.meddle() end
      return clock.now
    end,
  }
  local plain = store:dict "plain"
  store:transaction(function ()
    for i = 1, 300 do plain[i] = i end
  end)
  local function meddle ()
    if inside then return end -- by what it does itself
    inside = true
    local ok, e = pcall(meddler.act, store, left)
    inside = false
    calls, inner = calls + 1, inner or { ok, e }
    if not ok then error(e, 0) end
  end
  local co = coroutine.create(caller.call)
  local ok, e = coroutine.resume(co, store, clock, meddle)
  clock.meddle = nil
  assert.are.equal("dead", coroutine.status(co))
  assert.is_true(calls > 0, "was not called")
  return store, path, left, log, inner, ok, e
end

-- In the short form every so many pairs are tried, which meet each caller
-- and each meddler; LODE_FULL=1 tries all.
local SHORT = 3

local function names_of (t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- Iterates over a number, the name of a caller and that of a meddler.
local function each_pair ()
  return coroutine.wrap(function ()
    for i, called in ipairs(names_of(callers)) do
      for j, what in ipairs(names_of(meddlers)) do
        coroutine.yield(i + j, called, what)
      end
    end
  end)
end

describe("a function that lode calls", function ()
  helper.watch()

  for at, called, what in each_pair() do
    local caller, meddler = callers[called], meddlers[what]
    if os.getenv "LODE_FULL" or at % SHORT == 0 then
      it(("and that %s, being %s, leaves the store whole"):format(what,
        called), function ()
        local expected = caller.told and meddler.told or meddler.asked
        local store, path, left, log, inner, ok, e = run(caller, meddler)
        check_outcome(expected, inner[1], inner[2])
        if inner[1] then -- it has dropped what the call is about, at worst
          assert.is_true(ok or e.code == "NOT_FOUND", tostring(e))
        elseif caller.logs then
          assert.is_true(ok, tostring(e))
          assert.is_true(#log > 0)
          assert.is_true(rawequal(inner[2], log[1].fields.error))
        else
          assert.is_false(ok)
          assert.is_true(rawequal(inner[2], e), tostring(e))
        end
        neighbour.writes(path)
        store:dict("free").n = 1
        store:transaction(function () store:dict("free").n = 2 end)
        for name, kind in store:collections() do
          if name == "p" then hooked.sound(store[kind](store, "p")) end
        end
        if expected ~= "done" or not what:find "drops" then
          assert.are.equal(300, dict.count(store:dict "plain", { to = 300 }))
        end
        for _, walk in ipairs(left) do -- and they go on
          assert.are.equal(2, (walk[1](walk[2], walk[3])))
        end
        store:close()
      end)
    end
  end
end)

describe("a function that lode calls in a coroutine", function ()
  helper.watch()

  it("runs as in any other call; the coroutine yields around it", function ()
    local store, clock = hooked.open()
    local told = 0
    local d = store:dict("d", {
      expire = hooked.after(10),
      on_expire = function () told = told + 1 end,
    })
    local co = coroutine.wrap(function ()
      for i = 1, 10 do
        d[i] = i
        coroutine.yield(#d)
      end
      clock.now = clock.now + 10
      store:maintain()
      return "swept"
    end)
    for i = 1, 10 do
      assert.are.equal(i, co())
      d.k = i
      d.k = nil
    end
    assert.are.equal("swept", co())
    assert.are.equal(10, told)
  end)
end)

describe("a lua_State that ends", function ()
  helper.watch()

  local source = [[
    local lode = require "lode"
    local now = 1000
    local path, ending, from = ...
    local function finish (where)
      if where ~= from then return end
      print "ended"
      io.stdout:flush()
      if ending == "exit" then
        os.exit(0)
      elseif ending == "close" then
        os.exit(0, true)
      end
    end
    store = lode.open(path, {
      durability = "os", maintenance = "off",
      clock = function () return now end })
    d = store:dict("d", {
      expire = function (e)
        if now > 1010 then finish "policy" end
        return e.atime + 10
      end,
      on_expire = function (k, v)
        store:dict "other"[k] = v
        finish "on_expire"
      end,
    })
    for i = 1, 10 do d[i] = i end
    now = 1005
    for i = 1, 10 do assert(d[i] == i) end
    now = 1020
    if from ~= "chunk" then store:maintain() end
    finish "chunk"
  ]]

  for _, from in ipairs { "chunk", "policy", "on_expire" } do
    for _, ending in ipairs { "exit", "close" } do
      it(("in %s, by os.exit (%s), leaves nothing held"):format(from,
        ending), function ()
        local path = helper.path()
        local child = helper.spawn(source, path, ending, from)
        assert.are.equal("ended", child:line())
        child.pipe:read "*a"
        neighbour.writes(path)
        local store = helper.open({ clock = function () return 1012 end },
          path)
        assert.are.equal(10, dict.stats(store:dict "d").expired)
        for name in store:collections() do -- of a transaction that had ended
          assert.are_not.equal("other", name)
        end
      end)
    end
  end

  it("closes stores with functions, whatever these do", function ()
    local output = helper.run([[
      local lode = require "lode"
      local path = ...
      local now, ended = 1000, false
      store = lode.open(path, { durability = "os",
        clock = function ()
          if ended then error "the clock" end
          return now
        end })
      d = store:dict("d", {
        expire = function (e)
          if ended then error "the policy" end
          return e.atime + 10
        end,
        on_expire = function () error "on_expire" end,
      })
      for i = 1, 10 do d[i] = i end
      now = 1005
      for i = 1, 10 do assert(d[i] == i) end
      now, ended = 1020, true
      print "ended"
    ]], helper.path())
    assert.are.equal("ended", output)
  end)
end)
