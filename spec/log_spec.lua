-- The options log, log_level and name of lode.open: what is told, to whom.

local helper = require "support.helper"
local hooked = require "support.hooked"
local lode = require "lode"

local fails, says = helper.fails, helper.says

-- A log that keeps what it is told.
local function listener ()
  local lines = {}
  return function (level, message, fields)
    lines[#lines + 1] = { level = level, message = message, fields = fields }
  end, lines
end

-- Has a sweep fail for the entry "bad".
local function fail_a_sweep (store, clock)
  local d = store:dict("d", {
    ttl = 1, on_expire = function () error("no good", 0) end,
  })
  d.bad = 1
  clock.now = clock.now + 1
  store:maintain()
end

describe("the log of a store", function ()
  helper.watch()

  it("is told of failures that nobody else is told of", function ()
    local store, clock, log = hooked.open()
    fail_a_sweep(store, clock)
    assert.are.equal(1, #log)
    assert.are.equal("error", log[1].level)
    says(log[1].message, "'on_expire'", '"bad"', "no good")
    assert.are.same({ collection = "d", key = "bad", error = "no good" },
      log[1].fields)
  end)

  it("is told of what is amiss with the store, by its error", function ()
    local tell, log = listener()
    local store = helper.open { log = tell, max_size = 2 ^ 18 }
    local d = store:dict "d"
    local e = fails("FULL", function ()
      for i = 1, 1000 do d[i] = ("x"):rep(4000) end
    end)
    assert.are.equal(1, #log)
    assert.are.equal("warn", log[1].level)
    assert.are.equal(e.message, log[1].message)
    assert.is_true(rawequal(e, log[1].fields))
    fails("BAD_VALUE", function () d.x = print end) -- the caller's business
    fails("BAD_ARGUMENT", store.drop, store)
    assert.are.equal(1, #log)
  end)

  it("is told what log_level lets through", function ()
    local levels = { "debug", "info", "warn", "error" }
    for i, level in ipairs(levels) do
      local tell, log = listener()
      local store, clock, _, path = hooked.open {
        log = tell, log_level = level, max_size = 2 ^ 18, name = "the store",
      }
      pcall(function ()
        for n = 1, 1000 do store:dict("f")[n] = ("x"):rep(4000) end
      end)
      store:drop "f"
      fail_a_sweep(store, clock)
      store:close()
      local told = {}
      for _, line in ipairs(log) do told[#told + 1] = line.level end
      local expected = i <= 2 and "info warn error info"
        or i == 3 and "warn error" or "error"
      assert.are.equal(expected, table.concat(told, " "))
      if i <= 2 then
        assert.are.equal("opened", log[1].message)
        assert.are.equal("closed", log[#log].message)
        assert.are.equal("the store", log[1].fields.name)
        assert.are.equal(path, log[1].fields.path)
      end
    end
  end)

  it("goes to standard error, a line each, with the store's name", function ()
    local source = [[
      local lode = require "lode"
      local path, name = ...
      local now = 1000
      local store = lode.open(path, {
        durability = "os", log = "stderr", name = name,
        clock = function () return now end,
      })
      local d = store:dict("d", {
        ttl = 1, on_expire = function () error("no good", 0) end,
      })
      d.bad = 1
      now = 1001
      store:maintain()
    ]]
    local line = "lode: error: %s: d: 'on_expire' failed for \"bad\", "
      .. "which stays: no good"
    assert.are.equal(line:format "users", helper.run(source, helper.path(),
      "users"))
    local path = helper.path()
    assert.are.equal(line:format(path), helper.run(source, path))
  end)

  it("isn't told where there is none", function ()
    local output = helper.run([[
      local lode = require "lode"
      local now = 1000
      local store = lode.open((...), { durability = "os",
        log_level = "debug", clock = function () return now end })
      store:dict("d", {
        ttl = 1, on_expire = function () error "no good" end,
      }).bad = 1
      now = 1001
      print(store:maintain())
      store:close()
    ]], helper.path())
    assert.are.equal("0\tfalse", output)
  end)

  it("may fail, which changes nothing", function ()
    for _, tell in ipairs {
      function () error "the log" end, coroutine.yield,
      function () collectgarbage() collectgarbage() end,
    } do
      local store, clock = hooked.open { log = tell, log_level = "debug" }
      fail_a_sweep(store, clock)
      assert.are.equal(1, store:stats().expired)
      store:dict("other").x = 1
      store:close()
    end
  end)

  it("may write to the store, in the transaction of the sweep", function ()
    local store, clock
    store, clock = hooked.open { log = function (_, message, fields)
      store:dict("log")[fields.key] = message
      fails("REENTRY", store.close, store)
      fails("REENTRY", store.maintain, store)
    end }
    fail_a_sweep(store, clock)
    says(store:dict("log").bad, "no good")
  end)
end)

describe("the options of the log", function ()
  helper.watch()

  it("are checked", function ()
    for _, options in ipairs {
      { log = true }, { log = "stdout" }, { log = {} }, { log = 2 },
      { log_level = "loud" }, { log_level = 2 }, { log_level = true },
      { name = 12 }, { name = print },
    } do
      fails("BAD_ARGUMENT", lode.open, helper.path(), options)
    end
  end)

  it("give the store a name, which is its path otherwise", function ()
    local store, path = helper.open { name = "users" }
    assert.are.equal("lode.store: users", tostring(store))
    assert.are.equal(path, store:path())
    local other, where = helper.open()
    assert.are.equal("lode.store: " .. where, tostring(other))
  end)
end)
