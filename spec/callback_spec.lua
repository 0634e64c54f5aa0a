-- What a callback may do to the store that called it: close it, drop the
-- collection, write, collect. An error at worst, never a lock left.

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local open = helper.open

-- A serializer whose functions run `meddle` once `armed.now` is true.
local function meddling (armed, meddle)
  local function pass (s)
    if armed.now then meddle() end
    return s
  end
  return { name = "meddling", encode = pass, decode = pass }
end

-- Each: meddle(store) is what the callback does; call(store, d, s, meddle)
-- calls lode with a callback that does it.
local callers = {
  ["update's function"] = function (_, d, _, meddle)
    return dict.update(d, "a", function () meddle() return 2 end)
  end,
  ["put_many's iterator"] = function (_, d, _, meddle)
    local i = 0
    return dict.put_many(d, function ()
      i = i + 1
      if i == 5 then meddle() end
      if i < 10 then return i, i end
    end)
  end,
  ["add_many's iterator"] = function (_, _, s, meddle)
    local i = 0
    return set.add_many(s, function ()
      i = i + 1
      if i == 5 then meddle() end
      if i < 10 then return i end
    end)
  end,
  ["a transaction"] = function (store, d, _, meddle)
    return store:transaction(function ()
      d.a = 2
      store:transaction(meddle)
      d.b = 2
    end)
  end,
  ["a snapshot"] = function (store, d, _, meddle)
    return store:snapshot(function ()
      meddle()
      return d.a
    end)
  end,
  ["a walk's body"] = function (_, d, _, meddle)
    for i = 1, 1000 do d[i] = i end
    for k in dict.pairs(d) do
      if k == 10 then meddle() end
    end
  end,
  ["the body of a walk over an expression"] = function (_, _, s, meddle)
    for i = 1, 1000 do s[i] = true end
    for x in set.each(s + s * s) do
      if x == 10 then meddle() end
    end
  end,
  ["a serializer"] = function (store, _, _, meddle)
    local armed = {}
    local d = store:dict("m", { serializer = meddling(armed, meddle) })
    for i = 1, 300 do d[i] = ("x"):rep(100) end
    armed.now = true
    pcall(dict.totable, d)
    pcall(dict.page, d, {})
    pcall(dict.get_many, d, { 1, 2 })
    pcall(dict.update, d, 1, function (v) return v end)
    pcall(dict.popitem, d)
    pcall(function () return d[1] end)
    d[1] = "y"
  end,
  ["a key serializer"] = function (store, _, _, meddle)
    local armed = {}
    local d = store:dict("k", { key_serializer = meddling(armed, meddle) })
    d.a, d.b = 1, 2
    armed.now = true
    pcall(dict.count, d, { from = "a", to = "b" })
    pcall(dict.first, d)
    pcall(helper.keys, d)
    dict.delete_many(d, { "a", "b" })
  end,
  ["a hash"] = function (store, _, _, meddle)
    local armed = {}
    local d = store:dict("h", { hash = function ()
      if armed.now then
        armed.now = nil
        meddle()
      end
      return "x"
    end })
    local long = ("k"):rep(1000)
    d[long] = 1
    armed.now = true
    pcall(function () return d[long] end)
    armed.now = true
    d[long] = 2
  end,
}

local meddlers = {
  ["closes the store"] = {
    act = function (store) store:close() end,
    codes = { CLOSED = true },
  },
  ["drops every collection"] = {
    act = function (store)
      for name in store:collections() do store:drop(name) end
    end,
    codes = { NOT_FOUND = true, REENTRY = true, READONLY = true },
  },
  ["writes elsewhere in the store"] = {
    act = function (store) store:dict("other").x = 1 end,
    codes = { REENTRY = true, READONLY = true },
  },
  ["collects garbage"] = {
    act = function () collectgarbage() collectgarbage() end,
    codes = {},
  },
  ["finalizes what writes"] = {
    act = function (store)
      local d = store:dict "d"
      local function leave ()
        local proxy = newproxy and newproxy(true)
        local finalizer = { __gc = function () pcall(dict.len, d) end }
        if proxy then
          getmetatable(proxy).__gc = finalizer.__gc
        else
          setmetatable({}, finalizer)
        end
      end
      leave()
      collectgarbage()
      collectgarbage()
    end,
    codes = { READONLY = true, REENTRY = true },
  },
}

describe("a callback", function ()
  helper.watch()

  for called, call in pairs(callers) do
    for what, meddler in pairs(meddlers) do
      it(("that %s, called by %s, leaves the store whole"):format(what,
        called), function ()
        local store, path = open { lock_timeout = 1 }
        local d, s = store:dict "d", store:set "s"
        d.a = 1
        local ok, e = pcall(call, store, d, s, function ()
          meddler.act(store)
        end)
        if not ok then
          assert.are.equal("table", type(e), tostring(e))
          assert.is_true(meddler.codes[e.code], tostring(e))
        end
        -- nothing is locked, and all is there that should be
        local again = open({ lock_timeout = 1 }, path)
        local free = again:dict "free"
        free.n = 1
        assert.are.equal(1, free.n)
        for name in again:collections() do
          if name == "d" then
            assert.is_true(dict.len(again:dict "d") <= 1001)
          end
        end
      end)
    end
  end

  it("that yields raises, and nothing is kept or locked", function ()
    for called, call in pairs(callers) do
      if not called:find "body" and not called:find "serializer" then
        local store, path = open { lock_timeout = 1 }
        local d, s = store:dict "d", store:set "s"
        d.a = 1
        local co = coroutine.create(function ()
          call(store, d, s, coroutine.yield)
        end)
        assert.is_false((coroutine.resume(co)), called)
        assert.are.equal("dead", coroutine.status(co))
        assert.are.equal(1, d.a)
        assert.are.equal(1, #d, called)
        assert.are.equal(0, #s, called)
        open({ lock_timeout = 1 }, path):dict("free").n = 1
      end
    end
  end)
end)

-- LuaJIT took the stack of the callback for the one that runs.
describe("what a callback raises", function ()
  helper.watch()

  it("leaves code whole that is compiled afterwards", function ()
    assert.are.equal("849", helper.run([[
      local path = ...
      local lode = require "lode"
      local store = lode.open(path, { durability = "os" })
      local bad = false
      local d = store:dict("d", { expire = function (e)
        if bad then error("no", 0) end
        return e.now + 100
      end })
      local function sum (t, n)
        local s = 0
        for i = 1, n do
          local x = t[i]
          if type(x) == "string" then s = s + #x else s = s + x end
        end
        return s
      end
      local last
      for round = 1, 200 do
        bad = round % 2 == 0
        assert(pcall(function () d.k = round end) ~= bad)
        local t = {}
        for i = 1, 44 do t[i] = i * round % 7 == 0 and "x" or i end
        last = sum(t, 44)
      end
      print(last)
    ]], helper.path()))
  end)
end)
