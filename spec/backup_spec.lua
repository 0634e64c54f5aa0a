-- store:backup: API.md, "store".

local helper = require "support.helper"
local lode = require "lode"

local dict = lode.dict
local fails, open = helper.fails, helper.open

describe("store:backup", function ()
  helper.watch()

  for _, how in ipairs { "plain", "compact" } do
    local options = how == "compact" and { compact = true } or nil

    it("makes a store of its own, " .. how, function ()
      local store = open()
      local d, s = store:dict "d", store:set "s"
      for i = 1, 300 do d[i] = { i, ("x"):rep(i) } end
      d[("long"):rep(500)] = "kept"
      s.x = true
      local copy = helper.path "copy"
      store:backup(copy, options)
      d[1] = "later"
      store:close()
      local other = open({}, copy)
      assert.are.same({ { "d", "dict" }, { "s", "set" } },
        helper.collect(true, other:collections()))
      d = other:dict "d"
      assert.are.equal(301, #d)
      assert.are.same({ 1, "x" }, d[1])
      assert.are.same({ 300, ("x"):rep(300) }, d[300])
      assert.are.equal("kept", d[("long"):rep(500)])
      assert.is_true(other:set("s").x)
      d.more = 1
      assert.are.equal(1, d.more)
    end)

    it("is one moment while another process writes, " .. how, function ()
      local store, path = open()
      local d = store:dict "d"
      store:transaction(function ()
        for i = 1, 2000 do d[i] = 0 end
      end)
      local stop = helper.path "stop"
      local child = helper.spawn([[
        local path, stop = ...
        local store = require("lode").open(path, { durability = "os" })
        local d = store:dict "d"
        for round = 1, 1e9 do
          store:transaction(function ()
            for i = 1, 2000, 100 do d[i] = round end
          end)
          if round == 1 then print "writing" io.stdout:flush() end
          local file = io.open(stop)
          if file then file:close() print(round) return end
        end
      ]], path, stop)
      assert.are.equal("writing", child:line())
      for i = 1, 5 do
        local copy = helper.path "copy"
        local before = store:version()
        while store:version() == before do end -- the child is at it
        store:backup(copy, options)
        local other = open({}, copy)
        local e = other:dict "d"
        assert.are.equal(2000, #e)
        for k = 1, 2000, 100 do
          assert.are.equal(e[1], e[k], "copy " .. i)
        end
        other:close()
      end
      helper.signal(stop)
      assert.is_true(tonumber(child:finish()) > 1)
    end)
  end

  it("leaves free pages out when compact", function ()
    local store = open()
    local d = store:dict "d"
    for i = 1, 2000 do d[i] = ("x"):rep(500) end
    dict.delete_range(d, { from = 11 })
    local plain, small = helper.path "plain", helper.path "small"
    store:backup(plain)
    store:backup(small, { compact = true })
    local big = open({}, plain):stats().file_size
    local little = open({}, small):stats().file_size
    assert.is_true(little < big / 4, little .. " of " .. big)
    assert.are.equal(10, #open({}, small):dict "d")
  end)

  it("raises where something is already, which stays whole", function ()
    local store = open()
    store:dict("d").a = 1
    local other, path = open()
    other:dict("d").a = 2
    local ok, e = pcall(store.backup, store, path)
    assert.is_false(ok)
    assert.is_truthy(e.code)
    helper.says(e, path)
    assert.are.equal(2, other:dict("d").a)
  end)

  it("raises NOT_FOUND or IO where it can't write", function ()
    local store = open()
    local ok, e = pcall(store.backup, store, helper.path() .. "/a/b")
    assert.is_false(ok)
    assert.is_true(e.code == "NOT_FOUND" or e.code == "IO", tostring(e))
  end)

  it("raises BAD_ARGUMENT for what it doesn't know", function ()
    local store = open()
    fails("BAD_ARGUMENT", store.backup, store)
    fails("BAD_ARGUMENT", store.backup, store, helper.path(),
      { compacted = true })
    fails("BAD_ARGUMENT", store.backup, store, helper.path(),
      { compact = 1 })
  end)

  it("copies a single file to a single file", function ()
    local store = open({ single_file = true }, helper.path())
    store:dict("d").a = 1
    local copy = helper.path "copy"
    store:backup(copy)
    local _, is_file = helper.shell("test -f '" .. copy .. "'")
    assert.is_true(is_file)
    assert.are.equal(1, open({ single_file = true }, copy):dict("d").a)
  end)

  it("works from a store opened readonly", function ()
    local store, path = open()
    store:dict("d").a = 1
    store:close()
    local copy = helper.path "copy"
    open({ readonly = true }, path):backup(copy)
    assert.are.equal(1, open({}, copy):dict("d").a)
  end)
end)
