-- Several processes on one store at once.

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local open = helper.open

local PROCESSES, ROUNDS = 4, 250

-- Runs the source in several processes that begin together; each gets
-- path, its number and ROUNDS as `path`, `me`, `rounds`.
local function together (path, source)
  local go = helper.path "go"
  local children = {}
  for i = 1, PROCESSES do
    children[i] = helper.spawn(helper.wait_for .. [[
      local path, me, rounds, go = ...
      local lode = require "lode"
      local dict, set = lode.dict, lode.set
      local store = lode.open(path, { durability = "os",
        lock_timeout = 60 })
      local d, s = store:dict "d", store:set "s"
      print "ready"
      io.stdout:flush()
      wait_for(go)
    ]] .. source, path, i, ROUNDS, go)
  end
  for _, child in ipairs(children) do
    assert.are.equal("ready", child:line())
  end
  helper.signal(go)
  local outputs = {}
  for i, child in ipairs(children) do outputs[i] = child:finish() end
  return outputs
end

describe("several processes on one store", function ()
  helper.watch()

  it("lose no update by incr, update, cas or transaction", function ()
    local store, path = open()
    local d = store:dict "d"
    together(path, [[
      for i = 1, rounds do
        dict.incr(d, "incr")
        dict.update(d, "update", function (v) return (v or 0) + 1 end)
        store:transaction(function ()
          local v = d.transaction or 0
          d.transaction = v + 1
          d[{ me, i }] = v
        end)
        repeat
          local v = d.cas
        until dict.cas(d, "cas", v, (v or 0) + 1)
      end
    ]])
    local all = PROCESSES * ROUNDS
    assert.are.equal(all, d.incr)
    assert.are.equal(all, d.update)
    assert.are.equal(all, d.transaction)
    assert.are.equal(all, d.cas)
    local seen = {}
    for _, v in dict.pairs(d, { prefix = {} }) do
      assert.is_nil(seen[v])
      seen[v] = true
    end
    assert.are.equal(all - 1, #seen)
  end)

  it("give each add, pop and popitem to one alone", function ()
    local store, path = open()
    local d = store:dict "queue"
    dict.put_many(d, (function ()
      local i = 0
      return function ()
        i = i + 1
        if i <= 1000 then return i, "job" end
      end
    end)())
    local outputs = together(path, [[
      local queue, done = store:dict "queue", store:dict "done"
      local won, taken = 0, 0
      for i = 1, rounds do
        if dict.add(d, i, me) then won = won + 1 end
      end
      while true do
        local job = dict.popitem(queue)
        if not job then break end
        assert(dict.add(done, job, me))
        taken = taken + 1
      end
      print(won, taken)
    ]])
    local won, taken = 0, 0
    for _, output in ipairs(outputs) do
      local w, t = output:match "(%d+)%s+(%d+)"
      won, taken = won + w, taken + t
    end
    assert.are.equal(ROUNDS, won)
    assert.are.equal(1000, taken)
    assert.are.equal(0, #d)
    assert.are.equal(1000, #store:dict "done")
  end)

  it("see whole transactions only", function ()
    local store, path = open()
    store:dict("d").a = 0
    store:dict("d").b = 0
    together(path, [[
      for i = 1, rounds do
        if me % 2 == 0 then
          store:transaction(function ()
            d.a = d.a + 1
            d[{ me, i }] = ("x"):rep(i * 7 % 3000)
            set.add(s, i)
            d.b = d.b + 1
          end)
        else
          store:snapshot(function ()
            assert(d.a == d.b, d.a .. " and " .. d.b)
            local n = 0
            for _ in dict.pairs(d) do n = n + 1 end
            assert(n == #d)
            assert(n == d.a + 2)
          end)
          store:transaction(function () assert(d.a == d.b) end)
        end
      end
    ]])
    assert.are.equal(PROCESSES / 2 * ROUNDS, store:dict("d").a)
    assert.are.equal(ROUNDS, #store:set "s")
  end)

  it("may open, drop and make collections at once", function ()
    local store, path = open()
    together(path, [[
      for i = 1, rounds / 5 do
        local mine = store:dict("own " .. me)
        mine.n = i
        assert(mine.n == i)
        local ok, e = pcall(function ()
          local shared = store:dict "shared"
          dict.incr(shared, "n")
          if i % 5 == me then store:drop "shared" end
        end)
        assert(ok or e.code == "NOT_FOUND", tostring(e))
        if i % 10 == 0 then
          assert(store:drop("own " .. me))
          assert(not pcall(function () return mine.n end))
        end
      end
    ]])
    local names = {}
    for name in store:collections() do names[name] = true end
    assert.is_nil(names["own 1"])
    assert.is_true(names.d)
  end)

  it("walk on while the others write", function ()
    local store, path = open()
    local d = store:dict "d"
    for i = 1, 2000 do d[i] = 0 end
    together(path, [[
      local n = 0
      for round = 1, 10 do
        if me % 2 == 0 then
          for i = 1, 2000, 13 do
            d[i] = round
            d[i + 0.5] = round % 2 == 0 and round or nil
          end
        else
          local last, seen = 0, 0
          for k in dict.pairs(d) do
            assert(k > last, "out of order")
            if k == math.floor(k) then seen = seen + 1 end
            last = k
          end
          assert(seen == 2000, "lost: " .. seen)
        end
      end
    ]])
    assert.are.equal(2000 + 154, dict.count(d))
  end)

  it("grow a small map under each other", function ()
    local path = helper.path()
    open({ map_size = 2 ^ 20 }, path):close()
    together(path, [[
      store:close()
      store = lode.open(path, { durability = "os", map_size = 2 ^ 20,
        lock_timeout = 60 })
      d = store:dict "d"
      for i = 1, rounds do
        d[{ me, i }] = (tostring(me)):rep(20000)
        assert(#d[{ me, i }] == 20000)
      end
      local n = 0
      for k, v in dict.pairs(d, { prefix = { me } }) do
        assert(v == (tostring(me)):rep(20000))
        n = n + 1
      end
      assert(n == rounds)
    ]])
    local d = open({}, path):dict "d"
    assert.are.equal(PROCESSES * ROUNDS, #d)
  end)
end)

describe("a process that ends", function ()
  helper.watch()

  it("leaves its reader slot to others, killed or not", function ()
    local path = helper.path()
    local store = open({ readers = 4 }, path)
    store:dict("d").a = 1
    for _ = 1, 8 do
      local child = helper.spawn([[
        local lode = require "lode"
        local store = lode.open(...)
        store:snapshot(function ()
          print(store:dict("d").a)
          io.stdout:flush()
          os.execute "sleep 60"
        end)
      ]], path)
      assert.are.equal("1", child:line())
      child:kill()
    end
    assert.are.equal(1, store:dict("d").a)
    assert.are.equal("1", helper.run([[
      print(require("lode").open(...):dict("d").a)
    ]], path))
  end)

  it("leaves what it wrote last", function ()
    local path = helper.path()
    local child = helper.spawn([[
      local lode = require "lode"
      local store = lode.open(..., { durability = "os" })
      local d, s = store:dict "d", store:set "s"
      for i = 1, 1e9 do
        store:transaction(function ()
          d[i] = i
          s[i] = true
        end)
        if i == 50 then print "going" io.stdout:flush() end
      end
    ]], path)
    assert.are.equal("going", child:line())
    child:kill()
    local store = open({ lock_timeout = 5 }, path)
    local d, s = store:dict "d", store:set "s"
    assert.is_true(#d >= 50)
    assert.are.equal(#d, #s)
    assert.are.equal(#d, (dict.last(d)))
    assert.are.equal(#d, set.last(s))
    d.more = 1
  end)
end)
