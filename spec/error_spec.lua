-- Errors as objects: API.md, "Errors".

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local fails, says, open = helper.fails, helper.says, helper.open

local codes = {}
for code in ([[BAD_ARGUMENT BAD_KEY BAD_VALUE CLOSED READONLY NOT_FOUND
  NOT_A_STORE INCOMPATIBLE UNSAFE_FS FULL DISK_FULL READERS_FULL BUSY
  REENTRY CORRUPT IO NO_MEMORY]]):gmatch "%S+" do
  codes[code] = true
end

describe("an error", function ()
  helper.watch()

  it("is a table with code and message, whose tostring reads well",
    function ()
      local store = open()
      local d, s = store:dict "d", store:set "s"
      d.text = "x"
      local failures = {
        BAD_ARGUMENT = function () store:dict("d", { keys = 1 }) end,
        BAD_KEY = function () d[0 / 0] = 1 end,
        BAD_VALUE = function () d.a = print end,
        READONLY = function ()
          store:snapshot(function () d.a = 1 end)
        end,
        NOT_FOUND = function ()
          lode.open(helper.path(), { create = false })
        end,
        INCOMPATIBLE = function () store:set "d" end,
        REENTRY = function ()
          dict.update(d, "a", function () s.x = true end)
        end,
        CLOSED = function ()
          local other = open()
          other:close()
          other:dict "d"
        end,
      }
      for code, failure in pairs(failures) do
        local e = fails(code, failure)
        assert.is_true(codes[e.code])
        local text = tostring(e)
        assert.is_true(#text > 15 and #text < 500, text)
        assert.is_nil(text:find("table: ", 1, true), text)
        assert.is_nil(text:find("%c"), text)
        assert.is_not_nil(getmetatable(e))
      end
    end)

  it("can be given on with error and caught again", function ()
    local store = open()
    local d = store:dict "d"
    local first
    local ok, second = pcall(function ()
      local _, e = pcall(function () d.a = print end)
      first = e
      error(e)
    end)
    assert.is_false(ok)
    assert.are.equal(first, second)
    assert.are.equal("BAD_VALUE", second.code)
  end)

  it("carries collection and key where they are known", function ()
    local store, path = open()
    local d = store:dict "users"
    local e = fails("BAD_VALUE", function () d.ada = print end)
    assert.are.equal("users", e.collection)
    assert.are.equal("ada", e.key)
    assert.are.equal(path, e.path)
    e = fails("INCOMPATIBLE", store.set, store, "users")
    assert.are.equal("users", e.collection)
    store:drop "users"
    e = fails("NOT_FOUND", function () return d.ada end)
    assert.are.equal("users", e.collection)
  end)

  it("carries the path where there is one", function ()
    local path = helper.path()
    local e = fails("NOT_FOUND", lode.open, path, { create = false })
    assert.are.equal(path, e.path)
    says(e, path)
    e = fails("BAD_ARGUMENT", lode.open, path, { create = 1 })
    assert.are.equal("string", type(tostring(e)))
  end)

  it("of a callback passes through unchanged", function ()
    local store = open()
    local d, s = store:dict "d", store:set "s"
    local mine = setmetatable({}, { __tostring = function ()
      return "mine"
    end })
    local function raise () error(mine) end
    for i, call in ipairs {
      function () dict.update(d, "a", raise) end,
      function () dict.put_many(d, raise) end,
      function () set.add_many(s, raise) end,
      function () set.remove_many(s, raise) end,
      function () store:transaction(raise) end,
      function () store:snapshot(raise) end,
      function () store:dict("h", { hash = raise })[("k"):rep(999)] = 1 end,
      function ()
        store:dict("c", { serializer = { name = "c", encode = raise,
          decode = raise } }).a = 1
      end,
      function ()
        store:dict("k", { key_serializer = { name = "k", encode = raise,
          decode = raise } }).a = 1
      end,
    } do
      local ok, e = pcall(call)
      assert.is_false(ok)
      assert.are.equal(mine, e, "call " .. i)
    end
    d.a = 1
    assert.are.equal(1, d.a)
  end)

  it("leaves no lock, wherever it was raised", function ()
    local store, path = open()
    local d = store:dict "d"
    local other = open({ lock_timeout = 1 }, path):dict "d"
    for i, call in ipairs {
      function () d.a = print end,
      function () d[print] = 1 end,
      function () dict.incr(d, "text") end,
      function () dict.update(d, "a", error) end,
      function () dict.put_many(d, { a = print }) end,
      function () dict.put_many(d, error) end,
      function () dict.delete_many(d, { print }) end,
      function () dict.delete_range(d, { from = print }) end,
      function () store:transaction(error) end,
      function () store:transaction(function () d.a = print end) end,
      function () store:snapshot(function () d.a = 1 end) end,
      function () store:rename("d", "") end,
      function () dict.copy(d, "d") end,
    } do
      d.text = "x"
      assert.is_false(pcall(call), "call " .. i)
      other.n = i
      assert.are.equal(i, d.n)
    end
  end)
end)

describe("absent", function ()
  helper.watch()

  it("is not an error: nil or false", function ()
    local store = open()
    local d, s = store:dict "d", store:set "s"
    assert.is_nil(d.a)
    assert.is_nil(dict.get(d, "a"))
    assert.is_nil(dict.pop(d, "a"))
    assert.is_false(dict.delete(d, "a"))
    assert.is_false(dict.replace(d, "a", 1))
    assert.is_false(dict.cas(d, "a", 1, 2))
    assert.is_nil((dict.first(d)))
    assert.is_nil(s.a)
    assert.is_false(set.remove(s, "a"))
    assert.is_nil(set.pop(s))
    assert.is_false(store:drop "x")
    assert.is_false(store:rename("x", "y"))
  end)
end)

describe("another writer", function ()
  helper.watch()

  local holder = helper.wait_for .. [[
    local path, stop = ...
    local lode = require "lode"
    local store = lode.open(path, { durability = "os" })
    local d = store:dict "d"
    store:transaction(function ()
      d.held = true
      print "holding"
      io.stdout:flush()
      wait_for(stop)
    end)
  ]]

  it("that holds on raises BUSY naming its pid, and does no harm",
    function ()
      local store, path = open { lock_timeout = 0.2 }
      local d = store:dict "d"
      d.a = 1
      local stop = helper.path "stop"
      local child = helper.spawn(holder, path, stop)
      assert.are.equal("holding", child:line())
      for _, write in ipairs {
        function () d.a = 2 end,
        function () dict.update(d, "a", function () return 2 end) end,
        function () dict.put_many(d, { a = 2 }) end,
        function () store:transaction(function () d.a = 2 end) end,
        function () store:drop "d" end,
        function () store:dict "new" end,
      } do
        local e = fails("BUSY", write)
        says(e, tostring(child.pid))
      end
      assert.are.equal(1, d.a)
      assert.is_nil(d.held)
      assert.are.equal(1, #d)
      assert.are.same({ { "d", "dict" } },
        helper.collect(true, store:collections()))
      helper.signal(stop)
      child:finish()
      assert.is_true(d.held)
      d.a = 2
      assert.are.equal(2, d.a)
    end)

  it("that holds on for less than lock_timeout is waited for", function ()
    local store, path = open { lock_timeout = 30 }
    local d = store:dict "d"
    d.a = 1
    local child = helper.spawn([[
      local lode = require "lode"
      local store = lode.open(..., { durability = "os" })
      local d = store:dict "d"
      store:transaction(function ()
        d.a = 10
        print "holding"
        io.stdout:flush()
        os.execute "sleep 0.3"
      end)
    ]], path)
    assert.are.equal("holding", child:line())
    assert.are.equal(11, dict.incr(d, "a"))
    child:finish()
  end)

  it("that is killed is no hindrance", function ()
    local store, path = open { lock_timeout = 5 }
    local d = store:dict "d"
    d.a = 1
    local child = helper.spawn(holder, path, helper.path "stop")
    assert.are.equal("holding", child:line())
    child:kill()
    d.a = 2
    assert.are.equal(2, d.a)
    assert.is_nil(d.held)
  end)
end)
