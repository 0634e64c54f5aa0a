-- The options of time, of stores, dicts and sets: what is refused, what is
-- kept, what must agree.

local helper = require "support.helper"
local hooked = require "support.hooked"
local lode = require "lode"

local dict, policy = lode.dict, lode.policy
local fails, says = helper.fails, helper.says
local START, open = hooked.START, hooked.open

describe("options of time", function ()
  helper.watch()

  it("of a store are checked", function ()
    for _, options in ipairs {
      { maintenance = "sometimes" }, { maintenance = true }, { clock = 12 },
      { clock = {} },
    } do
      fails("BAD_ARGUMENT", lode.open, helper.path(), options)
    end
    for _, how in ipairs { "inline", "background", "off" } do
      helper.open({ maintenance = how }):close()
    end
  end)

  it("of a store don't have a clock of Lua's in the background", function ()
    local path = helper.path()
    says(fails("BAD_ARGUMENT", lode.open, path, {
      clock = os.time, maintenance = "background",
    }), "clock", "background")
    fails("NOT_FOUND", lode.open, path, { create = false }) -- none was made
  end)

  local wrong = {
    { ttl = 0 }, { ttl = -1 }, { ttl = "10" }, { ttl = math.huge },
    { ttl = 0 / 0 }, { expire = 10 }, { expire = {} }, { expire = "ttl" },
    { expire = { name = "x" } }, { expire = { expire = print } },
    { expire = { name = "", expire = print } },
    { expire = { name = ("n"):rep(300), expire = print } },
    { on_expire = true }, { on_expire = "print" }, { max_entries = 0 },
    { max_entries = 1.5 }, { max_entries = "10" }, { max_bytes = -1 },
    { evict = "random", max_entries = 1 }, { evict = true, max_entries = 1 },
    { times = 1 }, { rearm = "yes" }, { ttl = 1, expire = print },
    { evict = "lru" }, { evict = print }, { raw = true, ttl = 1 },
    { raw = true, expire = print }, { raw = true, on_expire = print },
    { raw = true, max_entries = 1 }, { raw = true, times = true },
    { raw = true, rearm = true },
  }

  for _, kind in ipairs { "dict", "set" } do
    it(("of a %s are checked, and make nothing when wrong"):format(kind),
      function ()
        local store = open()
        for _, options in ipairs(wrong) do
          fails("BAD_ARGUMENT", store[kind], store, "c", options)
        end
        assert.is_nil((store:collections()()))
      end)
  end

  it("say what to do where two don't go together", function ()
    local store = open()
    says(fails("BAD_ARGUMENT", store.dict, store, "d", {
      ttl = 1, expire = print,
    }), "ttl", "expire", "policy.any")
    says(fails("BAD_ARGUMENT", store.dict, store, "d", { evict = "lru" }),
      "evict", "max_entries")
  end)

  it("must agree with what is kept, and are taken from it", function ()
    local store, clock = open()
    store:dict("d", {
      ttl = 1.5, max_entries = 10, evict = "lru", times = true,
    })
    local same = store:dict("d", {
      ttl = 1.5, max_entries = 10, evict = "lru", times = true,
    })
    local d = store:dict "d" -- and needs none of them again
    d.a = 1
    assert.are.equal(1.5, dict.ttl(same, "a"))
    assert.are.equal(START, dict.info(d, "a").ctime)
    says(fails("INCOMPATIBLE", store.dict, store, "d", { ttl = 2 }), "1.5",
      "ttl", "rearm")
    fails("INCOMPATIBLE", store.dict, store, "d", { max_entries = 11 })
    fails("INCOMPATIBLE", store.dict, store, "d", { max_bytes = 11 })
    fails("INCOMPATIBLE", store.dict, store, "d", {
      max_entries = 10, evict = "lfu",
    })
    fails("INCOMPATIBLE", store.dict, store, "d", { expire = print })
    store:dict("d", { ttl = 2, rearm = true })
    clock.now = START + 1.9
    assert.are.equal(1, d.a)
    clock.now = START + 2
    assert.is_nil(d.a)
    assert.is_nil(dict.info(d, "b"))
    fails("INCOMPATIBLE", store.dict, store, "d", { ttl = 1.5 })
    fails("INCOMPATIBLE", store.dict, store, "d", { times = true })
  end)

  it("may be a policy by any name that says the same", function ()
    local store = open()
    store:dict("d", { expire = policy.ttl(10) })
    store:dict("d", { expire = policy.ttl(10.0) })
    store:dict("d", { expire = policy.named("ttl(10)", print) })
    store:dict("f", { expire = print })
    store:dict("f", { expire = function () end }) -- all called "function"
    fails("INCOMPATIBLE", store.dict, store, "f", { expire = policy.ttl(10) })
    says(fails("INCOMPATIBLE", store.set, store, "d", {
      expire = policy.ttl(10),
    }), "dict")
  end)
end)
