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

  for _, compact in ipairs { false, true } do
    local how = compact and "compact" or "plain"

    it("tells how far it is, " .. how, function ()
      local store = open()
      local d = store:dict "d"
      store:transaction(function ()
        for i = 1, 4000 do d[i] = ("x"):rep(1000) end
      end)
      local last, whole, calls = 0, 0, 0
      local copy = helper.path "copy"
      store:backup(copy, { compact = compact, progress = function (n, total)
        assert.is_true(n > last and n <= total)
        last, whole, calls = n, total, calls + 1
        d.more = calls -- writes go on
      end })
      assert.is_true(calls > 4, calls)
      local size = open({}, copy):stats().file_size
      assert.are.equal(size, last)
      assert.is_true(whole < size * 1.1, whole .. " of " .. size)
      assert.are.equal(4000, #open({}, copy):dict "d")
    end)

    it("is stopped by an error, and leaves nothing, " .. how, function ()
      local store = open()
      local d = store:dict "d"
      store:transaction(function ()
        for i = 1, 4000 do d[i] = ("x"):rep(1000) end
      end)
      local copy, calls = helper.path "copy", 0
      local ok, e = pcall(store.backup, store, copy, { compact = compact,
        progress = function ()
          calls = calls + 1
          if calls == 2 then error { mine = true } end
        end })
      assert.is_false(ok)
      assert.is_true(e.mine)
      assert.are.equal(2, calls)
      assert.are.equal("", (helper.shell("ls '" .. copy .. "'")))
      store:backup(copy, { compact = compact })
      assert.are.equal(4000, #open({}, copy):dict "d")
      fails("BAD_ARGUMENT", store.backup, store, helper.path(),
        { progress = true })
    end)
  end

  it("is whole, and goes on being one, commit by commit", function ()
    local store = open()
    local d = store:dict "d"
    for n = 1, 9 do
      d[n] = ("x"):rep(n * 700)
      if n % 4 == 0 then dict.delete(d, n - 1) end
      local copy = helper.path "copy"
      store:backup(copy)
      local other = open({ check = true }, copy)
      local e = other:dict "d"
      assert.are.same(dict.totable(d), dict.totable(e))
      for i = 1, 5 do
        e[i] = "later"
        assert.is_true(other:check().ok)
      end
      assert.is_true(other:version() > store:version())
      other:close()
    end
  end)

  it("copies what another program has made", function ()
    local path = helper.path()
    local text = helper.path "dump"
    local file = assert(io.open(text, "w"))
    file:write("VERSION=3\nformat=print\ndatabase=words\ntype=btree\n",
      "HEADER=END\n one\n 1\n two\n 2\nDATA=END\n")
    file:close()
    helper.shell(("mkdir '%s' && mdb_load -f '%s' '%s'"):format(path, text,
      path))
    local copy = helper.path "copy"
    open({}, path):backup(copy)
    local words = open({}, copy):dict("words", { raw = true })
    assert.are.same({ one = "1", two = "2" }, dict.totable(words))
  end)
end)
