-- Reads that are noted, and who may write them down.

local clock = require "support.clock"
local helper = require "support.helper"
local lode = require "lode"

local dict, set, policy = lode.dict, lode.set, lode.policy

describe("reads that are noted", function ()
  helper.watch()

  it("are kept by a handle that doesn't know the policy", function ()
    local store, time, path = clock.open { maintenance = "off" }
    local tool = helper.open({ clock = time.tell, maintenance = "off" }, path)
    local idle = store:dict("idle", { expire = policy.idle(600) })
    tool:dict "idle"
    idle.a = 1
    for _, at in ipairs { 300, 650, 1240, 1830 } do
      time.now = clock.START + at
      assert.equal(1, idle.a, "after " .. at .. " s")
      tool:maintain()
      assert.equal(0, store:stats().accesses)
    end
    time.now = clock.START + 1830 + 600
    assert.is_nil(idle.a)
    assert.equal(0, (tool:maintain()))
    assert.equal(1, (store:maintain()))
    tool:close()
    store:close()
  end)

  it("count once, whatever the size of what was read", function ()
    local store = clock.open()
    local d = store:dict("d", { times = true })
    for _, size in ipairs { 0, 10, 1000, 3000, 10000, 100000 } do
      local text = ("x"):rep(size)
      for _, value in ipairs { text, { text } } do
        d.x = nil
        d.x = value
        assert.are.same(value, d.x)
        assert.equal(1, dict.info(d, "x").hits, size)
        assert.are.same(value, dict.get(d, "x"))
        assert.are.same({ x = value }, (dict.get_many(d, { "x" })))
        assert.equal(3, dict.info(d, "x").hits, size)
      end
    end
    store:close()
  end)

  it("are those of members as well", function ()
    local store, time = clock.open()
    local s = store:set("s", { expire = policy.idle(10) })
    s.x, s.y = true, true
    for i = 1, 3 do
      time.now = clock.START + 6 * i
      assert.is_true(s.x)
      set.has(s, "y")
    end
    assert.equal(3, set.info(s, "x").hits)
    assert.is_nil(s.y)
    store:close()
  end)

  it("are kept for a dict with a hash of its own, whoever closes last",
    function ()
      local store, time, path = clock.open { maintenance = "off" }
      local options = { expire = policy.idle(10),
        hash = function () return "\7" end }
      local tool = helper.open({ clock = time.tell }, path)
      store:dict("d", options).a = 1
      time.now = clock.START + 6
      assert.equal(1, store:dict("d", options).a)
      store:close()
      tool:close()
      store = helper.open({ clock = time.tell }, path)
      local d = store:dict("d", options)
      time.now = clock.START + 15
      assert.equal(6 + 10 - 15, dict.ttl(d, "a"))
      store:close()
    end)

  it("go with an entry that is copied", function ()
    local store, time = clock.open()
    local d = store:dict("d", { expire = policy.idle(10) })
    d.a = 1
    time.now = clock.START + 6
    assert.equal(1, d.a)
    local copy = dict.copy(d, "copy")
    assert.equal(10, dict.ttl(copy, "a"))
    assert.equal(1, dict.info(copy, "a").hits)
    store:close()
  end)

  it("are not those of an entry that comes later under their key",
    function ()
      local store = clock.open()
      local d = store:dict("d", { times = true })
      clock.undone(store, function ()
        d.a = 1
        assert.equal(1, d.a)
      end)
      d.a = 2
      assert.equal(0, dict.info(d, "a").hits)
      store:close()
    end)

  it("of a key whose entry has died are the next one's, and go with it",
    function ()
      local store, time = clock.open { maintenance = "off" }
      local d = store:dict("d", { expire = policy.idle(10) })
      local s = store:set("s", { expire = policy.idle(10),
        on_expire = function () end })
      d.a, s.x = 1, true
      time.now = clock.START + 10
      assert.equal(0, #d + #s)
      clock.undone(store, function ()
        d.a, s.x = 2, true
        assert.equal(2, d.a)
        assert.is_true(s.x)
        d.a = 3
        assert.equal(3, d.a)
      end)
      assert.is_nil(d.a)
      assert.is_nil(s.x)
      assert.equal(0, #d + #s)
      assert.equal(2, (store:maintain()))
      store:close()
    end)

  it("before the clock was set back don't count for a later write",
    function ()
      local store, time = clock.open()
      local d = store:dict("d", { expire = policy.idle(25) })
      d.a = 1
      assert.equal(1, d.a)
      time.now = clock.START - 13
      d.a = 2
      assert.equal(1, dict.info(d, "a").hits)
      time.now = clock.START + 11
      assert.equal(1, dict.ttl(d, "a"))
      time.now = clock.START + 12
      assert.is_false(dict.has(d, "a"))
      store:close()
    end)

  it("don't go back in time with the clock", function ()
    local store, time = clock.open()
    local d = store:dict("d", { expire = policy.age(100) })
    d.a = 1
    time.now = clock.START - 13
    assert.is_true(dict.touch(d, "a"))
    assert.equal(clock.START, dict.info(d, "a").atime)
    store:close()
  end)
end)

describe("a store that is swept in the background", function ()
  helper.watch()

  it("leaves to the writes what needs a function", function ()
    local store = helper.open { maintenance = "background" }
    local told = 0
    local asked = store:dict("asked", { expire = policy.ttl(0.01) })
    local shown = store:dict("shown", {
      ttl = 0.01, on_expire = function () told = told + 1 end,
    })
    for i = 1, 4 do asked[i], shown[i] = i, i end
    helper.shell "sleep 0.1"
    asked.x, shown.x = 1, 1
    assert.equal(4, told)
    assert.is_true(dict.stats(asked).expired <= 1)
    store:close()
  end)
end)

describe("reads", function ()
  helper.watch()

  it("are counted, for all handles and processes", function ()
    local store, path = helper.open()
    local d = store:dict "d"
    d.a = 1
    local before = store:stats()
    for _ = 1, 30 do
      assert.equal(1, d.a)
      assert.is_nil(d.b)
      dict.has(d, "a")
    end
    local child = helper.spawn([[
      local lode = require "lode"
      local store = lode.open((...), { readonly = true })
      local d = store:dict "d"
      for i = 1, 100 do local _ = d.a end
      local twin = lode.dict.get(d, "b")
      store:close()
      print(twin)
    ]], path)
    assert.equal("nil", child:line())
    child:finish()
    local stats = store:stats()
    assert.equal(90 + 101, stats.reads - before.reads)
    assert.equal(60 + 100, stats.found - before.found)
  end)

  it("by fetch may close the store in a serializer", function ()
    local store, path = helper.open()
    local closes = { name = "closes", encode = function () return "x" end,
      decode = function ()
        store:close()
        return 1
      end }
    store:dict("d", { serializer = closes }).a = 1
    store = helper.open({}, path)
    local d = store:dict("d", { serializer = closes })
    pcall(dict.fetch, d, "a", function () return 2 end)
    helper.fails("CLOSED", dict.get, d, "a")
  end)

  it("by fetch are one each, found where nothing was computed", function ()
    local store = helper.open()
    local d = store:dict "d"
    for _, value in ipairs { "small", ("large"):rep(20000) } do
      local before = store:stats()
      for _ = 1, 3 do
        assert.equal(value, dict.fetch(d, value:sub(1, 5),
          function () return value end))
      end
      local stats = store:stats()
      assert.equal(3, stats.reads - before.reads)
      assert.equal(2, stats.found - before.found)
    end
  end)
end)
