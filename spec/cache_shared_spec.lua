-- The option `cache` where others write: processes and threads.

local helper = require "support.helper"

local fails, open = helper.fails, helper.open

local has_luv, luv = pcall(require, "luv")

local ROUNDS = 50000 -- each of a write and a read by either of two processes

describe("a cache among processes", function ()
  helper.watch()

  it("gives no stale value in 10^5 writes and reads in turn", function ()
    local store, path = open()
    local fifo = helper.path "fifo"
    local d = store:dict("d", { cache = 10 })
    d.mine, d.theirs, d.table = 0, 0, { 0 }
    helper.shell("mkfifo " .. fifo)
    local child = helper.spawn([[
      local path, fifo = ...
      local lode = require "lode"
      local d = lode.open(path, { durability = "os" })
        :dict("d", { cache = 10 })
      local stale = 0
      for line in io.lines(fifo) do
        local i = tonumber(line)
        if d.mine ~= i or d.table[1] ~= i - 1 then stale = stale + 1 end
        d.theirs = i
        if d.mine ~= i or d.theirs ~= i then stale = stale + 1 end
        io.write(i, "\n")
      end
      print("stale", stale)
    ]], path, fifo)
    local signal = assert(io.open(fifo, "w"))
    signal:setvbuf "line"
    local stale = 0
    for i = 1, ROUNDS do
      if i % 2 == 0 then
        store:transaction(function () d.mine, d.table = i, { i - 1 } end)
      else
        d.mine, d.table = i, { i - 1 }
        d.mine = i
      end
      if d.theirs ~= i - 1 or d.mine ~= i then stale = stale + 1 end
      signal:write(i, "\n")
      local line = child:line()
      if line ~= tostring(i) then error("the child said " .. line) end
      if d.theirs ~= i or d.mine ~= i then stale = stale + 1 end
    end
    signal:close()
    assert.are.equal("stale\t0", child:finish())
    assert.are.equal(0, stale)
  end)

  it("isn't filled with the old by a read during a commit", function ()
    local store, path = open()
    local d = store:dict("d", { cache = 10 })
    d.n = 0
    local child = helper.spawn([[
      local path, bursts = ...
      local lode = require "lode"
      local store = lode.open(path, { durability = "os" })
      local d = store:dict "d"
      for i = 1, bursts do
        while d.go ~= i do end
        for k = 1, 5 do d.n = i * 5 + k end
        d.done = i
      end
    ]], path, 2000)
    local last, torn = 0, 0
    for i = 1, 2000 do
      d.go = i
      repeat
        local n = d.n
        if n < last then torn = torn + 1 end
        last = n
      until d.done == i
      for _ = 1, 3 do
        if d.n ~= i * 5 + 5 then torn = torn + 1 end
      end
    end
    child:finish()
    assert.are.equal(0, torn)
  end)

  it("sees what a process did that has ended", function ()
    local store, path = open()
    local d = store:dict("d", { cache = 10 })
    d.a = 1
    assert.are.equal(1, d.a)
    helper.run([[
      local path = ...
      local lode = require "lode"
      local d = lode.open(path):dict("d", { cache = 10 })
      assert(d.a == 1)
      d.a = 2
    ]], path)
    assert.are.equal(2, d.a)
    helper.run([[
      local store = require "lode".open(...)
      store:drop "d"
    ]], path)
    fails("NOT_FOUND", function () return d.a end)
  end)
end)

describe("a cache among threads", function ()
  helper.watch()

  it("sees each commit of another thread", function ()
    if not has_luv then return pending "luv can't be required" end
    local store, path = open()
    local d = store:dict("d", { cache = 10 })
    local report = helper.path "report"
    d.n = 0
    local thread = luv.new_thread(function (lua_path, lua_cpath, where, out)
      package.path, package.cpath = lua_path, lua_cpath
      local ok, e = pcall(function ()
        local other = require "lode".open(where, { durability = "os" })
        local mine = other:dict("d", { cache = 10 })
        for i = 1, 20000 do
          mine.n = i
          assert(mine.n == i and mine.n == i)
        end
        -- the map moves under the other thread's cache
        for i = 1, 50 do mine[i] = ("x"):rep(100000) end
        other:close()
      end)
      for _ = 1, 3 do collectgarbage() end
      local file = io.open(out, "w")
      file:write(ok and "done" or tostring(e))
      file:close()
    end, package.path, package.cpath, path, report)
    local last, backward = 0, 0
    while last < 20000 do
      local n = d.n
      if n < last then backward = backward + 1 end
      last = n
      local file = last < 20000 and io.open(report)
      if file then break end
    end
    luv.thread_join(thread)
    local file = assert(io.open(report))
    local text = file:read "*a"
    file:close()
    assert.are.equal("done", text)
    assert.are.equal(0, backward)
    assert.are.equal(20000, d.n)
    assert.are.equal(100000, #d[50])
  end)
end)
