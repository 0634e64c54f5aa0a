-- What has died and isn't removed yet: dict.get_stale, sweeps that leave it
-- for a while; and syncs that nobody waits for.

local clock = require "support.clock"
local helper = require "support.helper"
local lode = require "lode"

local dict = lode.dict
local fails = helper.fails

describe("an entry that has died", function ()
  local store, d, time
  after_each(function () store, d, time = nil, nil, nil end)
  helper.watch()

  before_each(function ()
    time = clock.new()
    store = helper.open { clock = time.tell, maintenance = "off" }
    d = store:dict "d"
  end)

  local function gives (value, stale)
    local got, how = dict.get_stale(d, "k")
    assert.are.same(value, got)
    assert.are.equal(stale, how)
  end

  it("is given by get_stale, which tells", function ()
    gives(nil, nil)
    dict.set(d, "k", { 1 }, 10)
    gives({ 1 }, false)
    time.now = time.now + 11
    assert.is_nil(d.k)
    gives({ 1 }, true)
    store:maintain()
    gives(nil, nil)
  end)

  it("is left alone by a sweep until it has been dead for `age`",
    function ()
      dict.set(d, "k", 1, 10)
      dict.set(d, "later", 1, 14)
      time.now = time.now + 15
      assert.are.equal(0, (store:maintain { age = 6 }))
      gives(1, true)
      assert.are.equal(1, (store:maintain { age = 5 }))
      gives(nil, nil)
      assert.are.equal(1, (dict.get_stale(d, "later")))
      assert.are.equal(1, (store:maintain { age = 0 }))
      assert.is_nil((dict.get_stale(d, "later")))
    end)

  it("is none when it was deleted, or there never was a value", function ()
    dict.set(d, "k", 1, 10)
    time.now = time.now + 11
    d.k = nil
    store:maintain()
    gives(nil, nil)
    dict.fetch(d, "k", function () return nil end, { negative = 10 })
    gives(nil, nil)
    assert.is_nil((dict.get_stale(d, nil)))
  end)

  it("is seen in a transaction, and with a serializer", function ()
    d = store:dict("s", { serializer = {
      name = "reversed", encode = string.reverse, decode = string.reverse,
    } })
    store:transaction(function ()
      dict.set(d, "k", "abc", 10)
      gives("abc", false)
      time.now = time.now + 11
      gives("abc", true)
    end)
    gives("abc", true)
  end)

  it("asks for a real age", function ()
    fails("BAD_ARGUMENT", store.maintain, store, { age = -1 })
    fails("BAD_ARGUMENT", store.maintain, store, { age = "1" })
  end)
end)

describe("flush without a wait", function ()
  helper.watch()

  it("comes to an end, however often it is begun", function ()
    local store, path = helper.open()
    local d = store:dict "d"
    for i = 1, 200 do
      d[i] = i
      store:flush { wait = false }
    end
    store:flush { wait = true }
    store:close()
    os.execute "sleep 0.1"
    store = helper.open(nil, path)
    assert.are.equal(200, #store:dict "d")
    assert.is_true(store:check().ok)
    store:close()
    d, store = nil, nil -- luacheck: ignore
    os.execute "sleep 0.1" -- the thread's own handle
  end)

  it("takes one option", function ()
    local store = helper.open()
    fails("BAD_ARGUMENT", store.flush, store, { later = true })
    fails("BAD_ARGUMENT", store.flush, store, { wait = 1 })
    fails("BAD_ARGUMENT", store.flush, store, true)
  end)
end)
