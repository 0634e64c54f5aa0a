-- resty.lode outside of nginx: what its methods give. That ngx.shared.DICT
-- gives the same is compared in nginx, by spec/resty.

local helper = require "support.helper"
local lode = require "lode"
local resty = require "resty.lode"

local shared, path -- of the `it` that runs

local function open (options)
  path = path or helper.path()
  shared = resty.open(path, options)
  helper.owned(shared:store())
  return shared
end

-- All results of a call, nils too.
local function results (...)
  return { n = select("#", ...), ... }
end

local function gives (expected, ...)
  assert.are.same(expected, results(...))
end

local function wait (seconds) os.execute("sleep " .. seconds) end

describe("resty.lode", function ()
  local dogs
  after_each(function () dogs, shared = nil, nil end)
  helper.watch()

  before_each(function ()
    path = nil
    dogs = open { stale = 60, maintenance = "off" }.dogs
  end)

  describe("set and get", function ()
    it("keep strings, numbers and booleans, as they are", function ()
      for _, value in ipairs { "", "x", "\0\255", 0, -1, 1.5, 2^53, true,
                               false } do
        gives({ n = 3, true, nil, false }, dogs:set("k", value))
        gives({ n = 1, value }, dogs:get "k")
      end
    end)

    it("keep tables", function ()
      dogs:set("k", { name = "Rex", tags = { "big" } })
      assert.are.same({ name = "Rex", tags = { "big" } }, (dogs:get "k"))
    end)

    it("keep flags beside the value, in 32 bits", function ()
      dogs:set("k", "v", 0, 7)
      gives({ n = 2, "v", 7 }, dogs:get "k")
      dogs:set("k", false, nil, 2^32 - 1)
      gives({ n = 2, false, 2^32 - 1 }, dogs:get "k")
      dogs:set("k", { 1 }, 0, 2^32 + 3)
      gives({ n = 2, { 1 }, 3 }, dogs:get "k")
      dogs:set("k", "v", 0, 0)
      gives({ n = 1, "v" }, dogs:get "k")
    end)

    it("keep a table that looks as one of their own", function ()
      local odd = { ["resty.lode"] = "list", id = 1, first = 1, last = 9 }
      dogs:set("k", odd)
      gives({ n = 2, odd, nil }, dogs:get "k")
      dogs:set("k", odd, 0, 5)
      gives({ n = 2, odd, 5 }, dogs:get "k")
    end)

    it("store plain values as any program reads them", function ()
      dogs:set("k", "v")
      local store = helper.open(nil, path)
      assert.are.equal("v", store:dict "dogs".k)
      store:dict "dogs".other = 4
      gives({ n = 1, 4 }, dogs:get "other")
    end)

    it("delete by nil", function ()
      dogs:set("k", 1)
      gives({ n = 3, true, nil, false }, dogs:set("k", nil))
      gives({ n = 1, nil }, dogs:get "k")
      gives({ n = 3, true, nil, false }, dogs:delete "k")
    end)

    it("refuse keys and values by words", function ()
      gives({ n = 2, nil, "nil key" }, dogs:set(nil, 1))
      gives({ n = 2, nil, "empty key" }, dogs:set("", 1))
      gives({ n = 2, nil, "key too long" }, dogs:set(("x"):rep(65536), 1))
      gives({ n = 2, nil, "bad value type" }, dogs:set("k", print))
      for _, name in ipairs { "get", "get_stale", "ttl", "lpop", "rpop",
                              "llen", "delete" } do
        gives({ n = 2, nil, "nil key" }, dogs[name](dogs, nil))
        gives({ n = 2, nil, "empty key" }, dogs[name](dogs, ""))
        gives({ n = 2, nil, "key too long" },
          dogs[name](dogs, ("x"):rep(65536)))
      end
      gives({ n = 2, nil, "nil key" }, dogs:incr(nil, 1))
      gives({ n = 2, nil, "nil key" }, dogs:expire(nil, 1))
      gives({ n = 2, nil, "nil key" }, dogs:lpush(nil, 1))
    end)

    it("take what a table can't hold for a failure", function ()
      local ok, err = dogs:set("k", { { print } })
      assert.is_false(ok)
      assert.is_truthy(err:find("BAD_VALUE", 1, true))
    end)

    it("take a key of 65535 bytes, and any key as text", function ()
      local long = ("x"):rep(65535)
      assert.is_true(dogs:set(long, 1))
      assert.are.equal(1, (dogs:get(long)))
      dogs:set(12, "number")
      dogs:set(true, "boolean")
      assert.are.equal("number", (dogs:get "12"))
      assert.are.equal("boolean", (dogs:get "true"))
    end)

    it("raise for misuse", function ()
      assert.has_error(function () dogs:set("k", 1, -1) end,
        'bad "exptime" argument')
      assert.has_error(function () dogs.get("dogs", "k") end)
      assert.has_error(function () dogs:set("k", 1, 0, "flags") end)
    end)
  end)

  describe("lifetimes", function ()
    it("end an entry, to the millisecond", function ()
      dogs:set("k", 1, 0.5)
      assert.are.equal(1, (dogs:get "k"))
      wait(0.51)
      gives({ n = 1, nil }, dogs:get "k")
      gives({ n = 2, nil, "not found" }, dogs:ttl "k")
      gives({ n = 2, nil, "not found" }, dogs:expire("k", 1))
    end)

    it("of less than a millisecond are for ever", function ()
      dogs:set("k", 1, 0.0009)
      gives({ n = 1, 0 }, dogs:ttl "k")
    end)

    it("are told and changed", function ()
      dogs:set("k", 1)
      gives({ n = 1, 0 }, dogs:ttl "k")
      gives({ n = 1, true }, dogs:expire("k", 10))
      local left = dogs:ttl "k"
      assert.is_true(left > 9 and left <= 10)
      gives({ n = 1, true }, dogs:expire("k", 0))
      gives({ n = 1, 0 }, dogs:ttl "k")
      gives({ n = 2, nil, "not found" }, dogs:ttl "other")
      assert.has_error(function () dogs:expire "k" end)
    end)

    it("let get_stale see what has ended, until upkeep", function ()
      gives({ n = 1, nil }, dogs:get_stale "k")
      dogs:set("k", "v", 0.5, 3)
      gives({ n = 3, "v", 3, false }, dogs:get_stale "k")
      dogs:set("plain", "v", 0.01)
      wait(0.55)
      gives({ n = 3, "v", 3, true }, dogs:get_stale "k")
      gives({ n = 3, "v", nil, true }, dogs:get_stale "plain")
      shared:upkeep()
      gives({ n = 3, "v", 3, true }, dogs:get_stale "k")
      gives({ n = 1, 2 }, dogs:flush_expired())
      gives({ n = 1, nil }, dogs:get_stale "k")
    end)

    it("bring upkeep to remove what ended `stale` seconds ago", function ()
      shared:close()
      dogs = open { stale = 1 }.dogs
      dogs:set("k", 1, 0.01)
      wait(0.03)
      shared:upkeep()
      gives({ n = 3, 1, nil, true }, dogs:get_stale "k")
      wait(1.05)
      assert.are.equal(1, (shared:upkeep()))
      gives({ n = 1, nil }, dogs:get_stale "k")
    end)

    it("let flush_expired stop at a number", function ()
      for i = 1, 10 do dogs:set(i, i, i <= 6 and 0.01 or 0) end
      wait(0.03)
      gives({ n = 1, 4 }, dogs:flush_expired(4))
      gives({ n = 1, 2 }, dogs:flush_expired(0))
      gives({ n = 1, 0 }, dogs:flush_expired())
      assert.are.same({ "10", "7", "8", "9" }, dogs:get_keys())
    end)
  end)

  describe("add and replace", function ()
    it("write where there is none, and where there is one", function ()
      gives({ n = 3, false, "not found", false }, dogs:replace("k", 1))
      gives({ n = 3, true, nil, false }, dogs:add("k", 1))
      gives({ n = 3, false, "exists", false }, dogs:add("k", 2))
      gives({ n = 3, false, "exists", false }, dogs:safe_add("k", 2))
      gives({ n = 3, true, nil, false }, dogs:replace("k", 3))
      gives({ n = 1, 3 }, dogs:get "k")
      gives({ n = 3, false, "attempt to add or replace nil values", false },
        dogs:add("k", nil))
    end)

    it("go by what is alive", function ()
      dogs:set("k", 1, 0.01)
      wait(0.02)
      assert.is_false((dogs:replace("k", 2)))
      assert.is_true((dogs:add("k", 2)))
    end)
  end)

  describe("incr", function ()
    it("adds to a number, or says why not", function ()
      gives({ n = 2, nil, "not found" }, dogs:incr("k", 1))
      gives({ n = 3, 11, nil, false }, dogs:incr("k", 1, 10))
      gives({ n = 1, 12.5 }, dogs:incr("k", 1.5))
      gives({ n = 3, 11.5, nil, false }, dogs:incr("k", -1, 0))
      gives({ n = 1, 12.5 }, dogs:incr("k", "1"))
      dogs:set("s", "1")
      gives({ n = 2, nil, "not a number" }, dogs:incr("s", 1))
      gives({ n = 2, nil, "not a number" }, dogs:incr("s", 1, 0))
      assert.has_error(function () dogs:incr("k", "x") end)
      assert.has_error(function () dogs:incr("k", 1, {}) end)
      assert.has_error(function () dogs:incr("k", 1, nil, 1) end)
      assert.has_error(function () dogs:incr("k", 1, 0, -1) end)
    end)

    it("gives only a new entry its lifetime", function ()
      dogs:incr("k", 1, 0, 10)
      assert.is_true(dogs:ttl "k" > 9)
      dogs:incr("k", 1, 0, 100)
      assert.is_true(dogs:ttl "k" <= 10)
      dogs:incr("k", 1)
      assert.is_true(dogs:ttl "k" <= 10 and dogs:ttl "k" > 9)
    end)

    it("keeps flags", function ()
      dogs:set("k", 1, 10, 6)
      gives({ n = 1, 2 }, dogs:incr("k", 1))
      gives({ n = 3, 3, nil, false }, dogs:incr("k", 1, 0))
      gives({ n = 2, 3, 6 }, dogs:get "k")
      assert.is_true(dogs:ttl "k" > 9)
    end)
  end)

  describe("lists", function ()
    it("are pushed and popped at both ends", function ()
      gives({ n = 1, 0 }, dogs:llen "l")
      gives({ n = 1, nil }, dogs:lpop "l")
      gives({ n = 1, 1 }, dogs:rpush("l", "b"))
      gives({ n = 1, 2 }, dogs:rpush("l", 3))
      gives({ n = 1, 3 }, dogs:lpush("l", "a"))
      gives({ n = 1, 3 }, dogs:llen "l")
      assert.are.equal("a", (dogs:lpop "l"))
      assert.are.equal(3, (dogs:rpop "l"))
      assert.are.equal("b", (dogs:rpop "l"))
      gives({ n = 1, 0 }, dogs:llen "l")
      assert.are.same({}, dogs:get_keys())
    end)

    it("are no values, and values are no lists", function ()
      dogs:rpush("l", 1)
      gives({ n = 2, nil, "value is a list" }, dogs:get "l")
      gives({ n = 2, nil, "value is a list" }, dogs:get_stale "l")
      gives({ n = 2, nil, "not a number" }, dogs:incr("l", 1, 0))
      gives({ n = 2, nil, "value is a list" },
        dogs:update("l", function () error "asked" end))
      dogs:set("k", 1)
      for _, name in ipairs { "lpush", "rpush", "lpop", "rpop", "llen" } do
        gives({ n = 2, nil, "value not a list" }, dogs[name](dogs, "k", 1))
      end
      gives({ n = 2, nil, "bad value type" }, dogs:lpush("l", true))
      assert.has_error(function () dogs:lpush({}, 1) end)
    end)

    it("expire, are overwritten and deleted as a whole", function ()
      for _, go in ipairs {
        function () dogs:expire("l", 0.01) wait(0.02) end,
        function () dogs:set("l", 1) dogs:delete "l" end,
        function () dogs:delete "l" end,
        function () dogs:flush_all() end,
      } do
        for i = 1, 3 do dogs:rpush("l", i) end
        go()
        gives({ n = 1, 0 }, dogs:llen "l")
        gives({ n = 1, 1 }, dogs:rpush("l", "new"))
        assert.are.equal("new", (dogs:lpop "l"))
      end
    end)

    it("keep their lifetime when pushed to", function ()
      dogs:rpush("l", 1)
      dogs:expire("l", 10)
      dogs:rpush("l", 2)
      dogs:lpop "l"
      assert.is_true(dogs:ttl "l" > 9)
    end)

    it("leave no elements behind, once upkeep was done", function ()
      for i = 1, 3 do
        for j = 1, 250 do dogs:rpush("l" .. i, j) end
      end
      dogs:delete "l1"
      dogs:set("l2", 1)
      local elements = shared:store():dict "dogs.lists"
      for _ = 1, 4 do shared:upkeep() end
      assert.are.equal(252, #elements) -- an owner, and the last id
      gives({ n = 1, 250 }, dogs:llen "l3")
      assert.are.equal(1, (dogs:lpop "l3"))
    end)

    it("work on when a push was undone that made the first", function ()
      local store = shared:store()
      assert.is_false((pcall(store.transaction, store, function ()
        dogs:rpush("l", 1)
        error "undone"
      end)))
      gives({ n = 1, 0 }, dogs:llen "l")
      gives({ n = 1, 1 }, dogs:rpush("l", 1))
      gives({ n = 1, 2 }, dogs:rpush("l", 2))
    end)
  end)

  describe("the whole", function ()
    it("gives its keys, 1024 unless told", function ()
      shared:store():transaction(function ()
        for i = 1, 1100 do dogs:set(("%04d"):format(i), i) end
      end)
      assert.are.equal(1024, #dogs:get_keys())
      assert.are.equal(1100, #dogs:get_keys(0))
      assert.are.same({ "0001", "0002" }, dogs:get_keys(2))
    end)

    it("is emptied by flush_all", function ()
      dogs:set("k", 1)
      gives({ n = 0 }, dogs:flush_all())
      assert.are.same({}, dogs:get_keys())
    end)

    it("tells room", function ()
      local capacity, free = dogs:capacity(), dogs:free_space()
      assert.is_true(capacity > 0 and free > 0 and free <= capacity)
      local small = shared:dict("small", { max_bytes = 65536 })
      assert.are.equal(65536, small:capacity())
      assert.is_true(small:free_space() <= 65536)
    end)

    it("is there for other processes and after a restart", function ()
      dogs:set("k", { 1 }, 0, 4)
      dogs:rpush("l", "x")
      shared:close()
      dogs = open().dogs
      gives({ n = 2, { 1 }, 4 }, dogs:get "k")
      assert.are.equal("x", (dogs:lpop "l"))
    end)
  end)

  describe("caps", function ()
    it("say when others had to go", function ()
      local few = shared:dict("few", { max_entries = 50, evict = "lru" })
      local forced = 0
      for i = 1, 60 do
        local ok, err, forcible = few:set(i, i)
        assert.is_true(ok, err)
        if forcible then forced = forced + 1 end
      end
      assert.is_true(forced > 0)
      assert.are.equal(shared:store():evicted(),
        shared:store():stats().evicted)
      gives({ n = 3, false, "no memory", false }, few:safe_set("new", 1))
      gives({ n = 3, false, "no memory", false }, few:safe_add("new", 1))
      gives({ n = 1, nil }, few:get "new")
      gives({ n = 3, true, nil, false }, few:safe_set("60", 2))
      local _, _, forcible = few:incr("counter", 1, 0)
      assert.is_true(forcible)
      gives({ n = 3, 2, nil, false }, few:incr("counter", 1, 0))
    end)

    it("that are kept with a dict do as well", function ()
      shared:store():dict("kept", { max_entries = 20 })
      local forced
      for i = 1, 60 do forced = select(3, shared.kept:set(i, i)) or forced end
      assert.is_true(forced)
      gives({ n = 3, false, "no memory", false },
        shared.kept:safe_set("new", 1))
    end)

    it("refuse what is larger than all", function ()
      local small = shared:dict("small", { max_bytes = 100 })
      gives({ n = 3, false, "no memory", false },
        small:set("k", ("x"):rep(200)))
    end)

    it("of the store are no memory, too", function ()
      shared:close()
      path = nil
      dogs = open { max_size = 256 * 1024 }.dogs
      local ok, err
      for i = 1, 1000 do
        ok, err = dogs:set(i, ("x"):rep(1000))
        if not ok then break end
      end
      assert.is_false(ok)
      assert.are.equal("no memory", err)
      gives({ n = 2, nil, "no memory" }, dogs:rpush("l", ("x"):rep(9000)))
      assert.is_true(dogs:delete(1))
    end)
  end)

  describe("beyond ngx.shared.DICT", function ()
    it("cas compares content", function ()
      gives({ n = 1, true }, dogs:cas("k", nil, { a = 1 }))
      gives({ n = 2, false, "not equal" }, dogs:cas("k", nil, 1))
      gives({ n = 2, false, "not equal" }, dogs:cas("k", { a = 2 }, 1))
      gives({ n = 1, true }, dogs:cas("k", { a = 1 }, 1, 10))
      assert.is_true(dogs:ttl "k" > 9)
      dogs:set("f", 1, 0, 8)
      gives({ n = 2, false, "not equal" }, dogs:cas("f", 2, 3))
      gives({ n = 1, true }, dogs:cas("f", 1, 2))
      gives({ n = 2, 2, 8 }, dogs:get "f")
      gives({ n = 1, true }, dogs:cas("f", 2, nil))
      gives({ n = 1, nil }, dogs:get "f")
    end)

    it("update reads and writes with nobody in between", function ()
      gives({ n = 1, 1 }, dogs:update("k", function (old, flags)
        assert.is_nil(old)
        assert.is_nil(flags)
        return 1, 5
      end))
      gives({ n = 2, 1, 5 }, dogs:get "k")
      dogs:update("k", function (old, flags) return old + flags end, 10)
      gives({ n = 2, 6, 5 }, dogs:get "k")
      assert.is_true(dogs:ttl "k" > 9)
      gives({ n = 1, nil }, dogs:update("k", function () return nil end))
      gives({ n = 1, nil }, dogs:get "k")
    end)

    it("update passes on what its function raises", function ()
      dogs:set("k", 1)
      local mine = { "mine" }
      local ok, e = pcall(dogs.update, dogs, "k", function ()
        error(mine)
      end)
      assert.is_false(ok)
      assert.are.equal(mine, e)
      gives({ n = 1, 1 }, dogs:get "k")
    end)

    it("scan walks a prefix or a range in order", function ()
      for _, key in ipairs { "b2", "a", "b1", "c" } do
        dogs:set(key, key .. "!", 0, key == "b2" and 9 or 0)
      end
      dogs:rpush("b3", 1)
      local seen = {}
      for key, value, flags in dogs:scan "b" do
        seen[#seen + 1] = { key, value, flags }
      end
      assert.are.same({ { "b1", "b1!" }, { "b2", "b2!", 9 },
                        { "b3", false } }, seen)
      seen = {}
      for key in dogs:scan { from = "b2", reverse = true } do
        seen[#seen + 1] = key
      end
      assert.are.same({ "c", "b3", "b2" }, seen)
      local iterator, err = dogs:scan { nonsense = 1 }
      assert.is_nil(iterator)
      assert.is_truthy(err:find "BAD_ARGUMENT")
    end)
  end)

  describe("failures", function ()
    it("are returned, with their code", function ()
      shared:close()
      for _, call in ipairs {
        { "get", "k" }, { "get_stale", "k" }, { "incr", "k", 1 },
        { "incr", "k", 1, 0 }, { "ttl", "k" }, { "expire", "k", 1 },
        { "lpush", "k", 1 }, { "lpop", "k" }, { "llen", "k" },
        { "get_keys" }, { "flush_all" }, { "flush_expired" },
        { "capacity" }, { "free_space" }, { "cas", "k", 1, 2 },
        { "update", "k", print }, { "scan" },
      } do
        local name = table.remove(call, 1)
        local result, err = dogs[name](dogs, call[1], call[2], call[3])
        assert.is_nil(result, name)
        assert.is_truthy(tostring(err):find("CLOSED: ", 1, true), name)
      end
      local ok, err = dogs:set("k", 1)
      assert.is_false(ok)
      assert.is_truthy(err:find("CLOSED: ", 1, true))
      assert.is_false((dogs:delete "k"))
    end)

    it("of a writer that is waited for come within lock_timeout", function ()
      shared:close()
      dogs = open { lock_timeout = 0.1 }.dogs
      local _, release = helper.holder(path)
      local began = os.time()
      local ok, err = dogs:set("k", 1)
      local took = os.time() - began
      release()
      assert.is_false(ok)
      assert.is_truthy(err:find("BUSY: ", 1, true), err)
      assert.is_true(took < 5)
      assert.is_true((dogs:set("k", 1)))
    end)
  end)

  describe("open", function ()
    it("refuses options that it can't take", function ()
      assert.has_error(function () resty.open(helper.path(), { every = 0 })
      end)
      assert.has_error(function ()
        resty.open(helper.path(), { stale = "long" })
      end)
      local _, e = pcall(resty.open, helper.path(), { nope = 1 })
      assert.is_truthy(e:find("BAD_ARGUMENT", 1, true)) -- text, for a log
      _, e = pcall(shared.dict, shared, "dogs", { value = "string" })
      assert.is_truthy(e:find("INCOMPATIBLE", 1, true))
    end)

    it("gives each name its dict, once", function ()
      assert.are.equal(shared.dogs, shared:dict "dogs")
      assert.are.equal(shared.dogs, shared.dogs)
      local few = shared:dict("few", { max_entries = 9 })
      assert.are.equal(few, shared:dict("few", { max_entries = 9 }))
      assert.are.equal(few, shared.few)
      assert.are_not.equal(few, shared:dict("few", { cache = 9 }))
      assert.are.equal(2, #lode.dict.name(shared:dict "me"[1]))
      assert.is_nil(shared[1])
      shared:dict "store":set("k", 1) -- a name that a function has
      assert.are.equal("function", type(shared.store))
      assert.are.equal(1, (shared:dict "store":get "k"))
    end)
  end)
end)

-- Enough of nginx for the timer: loads the modules anew, with it.
describe("resty.lode in nginx", function ()
  local phase, timers
  after_each(function () timers = nil end)
  helper.watch()

  local parts = { "", ".entry", ".list", ".dict", ".more" }

  local function forget ()
    for _, part in ipairs(parts) do
      package.loaded["resty.lode" .. part] = nil
    end
  end

  before_each(function ()
    phase, timers, path = "init", {}, helper.path()
    local function start (delay, fn, ...)
      timers[#timers + 1] = { delay = delay, fn = fn, ... }
      return true
    end
    rawset(_G, "ngx", {
      get_phase = function () return phase end,
      timer = { every = start, at = start },
      log = function () end,
    })
    forget()
  end)

  after_each(function ()
    rawset(_G, "ngx", nil)
    forget()
  end)

  it("starts one timer, and none in the master", function ()
    local here = require "resty.lode".open(path)
    helper.owned(here:store())
    here.dogs:set("k", 1)
    assert.are.equal(0, #timers)
    phase = "content"
    here.dogs:set("k", 2)
    here.dogs:incr("k", 2)
    here.cats:set("k", 2)
    assert.are.equal(1, #timers)
    assert.are.equal(1, timers[1].delay)
  end)

  it("sweeps from it in slices", function ()
    phase = "content"
    local here = require "resty.lode".open(path,
      { sweep_entries = 10, stale = 0 })
    helper.owned(here:store())
    for i = 1, 25 do here.dogs:set(i, i, 0.01) end
    wait(0.02)
    local at = 1
    while timers[at] do
      timers[at].fn(false, timers[at][1])
      at = at + 1
      assert.is_true(at < 10)
    end
    assert.are.equal(4, at) -- 10, 10, and the last 5
    assert.are.equal(0, here:store():stats().expired)
    timers[1].fn(true, timers[1][1]) -- the worker ends
    wait(0.1) -- for the thread that syncs
  end)
end)
