-- The option `cache` where entries die, or reads are noted.

local caches = require "support.cached"
local helper = require "support.helper"
local lode = require "lode"

local dict = lode.dict
local cached, counting, decoded = caches.open, caches.counting, caches.decoded
local open = helper.open

describe("the cache of a dict with lifetimes", function ()
  helper.watch()

  -- A dict on a store with a clock that the spec controls.
  local function timed (options)
    local time = { now = 1000000 }
    local d, counted, store, path = cached(10, options, {
      clock = function () return time.now end, maintenance = "off" })
    return d, time, counted, store, path
  end

  it("serves an entry until its end, and not after it", function ()
    local d, time, counted = timed { ttl = 10 }
    d.a = "v"
    assert.are.equal(1, decoded(counted, function ()
      for _ = 1, 9 do
        time.now = time.now + 1
        assert.are.equal("v", d.a)
      end
    end))
    time.now = time.now + 1
    for _ = 1, 2 do
      assert.is_nil(d.a)
      assert.are.equal("default", dict.get(d, "a", "default"))
    end
  end)

  it("serves the others on when one has died", function ()
    local d, time = timed()
    d.stays = "s"
    dict.set(d, "brief", "b", 5)
    dict.set(d, "long", "l", 50)
    for _ = 1, 4 do
      assert.are.equal("s", d.stays)
      assert.are.equal("b", d.brief)
      assert.are.equal("l", d.long)
      time.now = time.now + 1
    end
    time.now = time.now + 1
    for _ = 1, 3 do
      assert.are.equal("s", d.stays)
      assert.is_nil(d.brief)
      assert.are.equal("l", d.long)
    end
    time.now = time.now + 45
    assert.is_nil(d.long)
    assert.are.equal("s", d.stays)
  end)

  it("resurrects nothing when the clock goes back", function ()
    local d, time, _, _, path = timed { ttl = 10 }
    d.a = "v"
    assert.are.equal("v", d.a)
    time.now = time.now + 10
    assert.is_nil(d.a)
    time.now = time.now - 9
    for _ = 1, 2 do assert.is_nil(d.a) end
    d.b = "w"
    assert.are.equal("w", d.b)
    -- another handle, whose clock is ahead, sees it die
    local ahead = time.now + 100
    local _, serializer = counting()
    local other = open({
      clock = function () return ahead end, maintenance = "off",
    }, path):dict("d", { serializer = serializer })
    assert.is_nil(other.b)
    for _ = 1, 2 do assert.is_nil(d.b) end
  end)

  it("follows a deadline that moves", function ()
    local d, time = timed { ttl = 10 }
    d.a = "v"
    assert.are.equal("v", d.a)
    dict.expire(d, "a", 2)
    assert.are.equal("v", d.a)
    time.now = time.now + 2
    assert.is_nil(d.a)
    d.a = "w"
    assert.are.equal("w", d.a)
    dict.expire(d, "a", nil)
    time.now = time.now + 1000
    assert.are.equal("w", d.a)
  end)

  it("asks a policy again when its time has come", function ()
    local asked = 0
    local d, time = timed { expire = function (e)
      asked = asked + 1
      return e.now + 10
    end }
    d.a = "v"
    local first = asked
    for _ = 1, 3 do assert.are.equal("v", d.a) end
    assert.are.equal(first, asked)
    time.now = time.now + 10
    assert.are.equal("v", d.a)
    assert.is_true(asked > first)
  end)

  it("lets a sweep be seen", function ()
    local d, time, _, store = timed { ttl = 10 }
    d.a = "v"
    assert.are.equal("v", d.a)
    time.now = time.now + 20
    store:maintain()
    assert.is_nil(d.a)
    assert.are.equal(0, #d)
  end)

  it("dies by the system's clock as well", function ()
    local d = cached(10)
    dict.set(d, "a", "v", 0.2)
    dict.set(d, "b", "w", 1000)
    assert.are.equal("v", d.a)
    assert.are.equal("w", d.b)
    os.execute "sleep 0.25"
    for _ = 1, 2 do
      assert.is_nil(d.a)
      assert.are.equal("w", d.b)
    end
  end)

  it("keeps nothing where reads are noted", function ()
    for _, options in ipairs {
      { times = true }, { max_entries = 5 },
      { max_entries = 5, evict = "lru" }, { expire = lode.policy.idle(10) },
    } do
      local d, time, counted = timed(options)
      d.a = "v"
      assert.is_true(decoded(counted, function ()
        for _ = 1, 8 do
          time.now = time.now + 5
          assert.are.equal("v", d.a)
        end
      end) >= 8) -- a policy is shown the value, too
      local info = dict.info(d, "a")
      if options.times then assert.are.equal(8, info.hits) end
      if options.expire then assert.are.equal(time.now, info.atime) end
    end
  end)

  it("keeps values of capped dicts whose reads nobody notes", function ()
    local d, counted = cached(10, { max_entries = 5, evict = "fifo" })
    for i = 1, 50 do d[i] = "v" .. i end
    assert.are.equal(1, decoded(counted, function ()
      for _ = 1, 3 do assert.are.equal("v50", d[50]) end
    end))
    assert.is_nil(d[1])
  end)

  it("sees what fetch stores, and what it lets go stale", function ()
    local d, time = timed()
    local n = 0
    local function compute ()
      n = n + 1
      return "v" .. n
    end
    assert.is_nil(d.k)
    assert.are.equal("v1", dict.fetch(d, "k", compute, 10))
    for _ = 1, 2 do assert.are.equal("v1", d.k) end
    time.now = time.now + 10
    assert.is_nil(d.k)
    assert.are.equal("v2", dict.fetch(d, "k", compute, 10))
    assert.are.equal("v2", d.k)
  end)
end)
