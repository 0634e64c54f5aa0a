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
