-- lode.open and the store: API.md, "lode.open" and "store".

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local fails, says, open = helper.fails, helper.says, helper.open

local function exists (path)
  local _, ok = helper.shell("test -e '" .. path .. "'")
  return ok
end

local function mode_of (path)
  return (helper.shell("stat -c %a '" .. path .. "'"):gsub("%s", ""))
end

describe("lode.open", function ()
  helper.watch()

  it("makes the directory when it is absent", function ()
    local path = helper.path()
    assert.is_false(exists(path))
    open({}, path)
    assert.is_true(exists(path .. "/data.mdb"))
    assert.is_true(exists(path .. "/lock.mdb"))
  end)

  it("takes a directory that is there and empty", function ()
    local path = helper.path()
    helper.shell("mkdir '" .. path .. "'")
    local store = open({}, path)
    store:dict("d").a = 1
    assert.are.equal(1, store:dict("d").a)
  end)

  it("raises IO where the directory's parent is absent", function ()
    local path = helper.path() .. "/a/b"
    local e = fails("IO", lode.open, path)
    assert.are.equal(path, e.path)
  end)

  it("keeps what was written for the next open", function ()
    local store, path = open()
    store:dict("d").a = { 1, 2, 3 }
    store:close()
    assert.are.same({ 1, 2, 3 }, open({}, path):dict("d").a)
  end)

  it("gives each opening of one path its own handle", function ()
    local one, path = open()
    local two = open({}, path)
    one:dict("d").a = 1
    assert.are.equal(1, two:dict("d").a)
    one:close()
    two:dict("d").b = 2
    assert.are.equal(2, two:dict("d").b)
    fails("CLOSED", function () return one:dict "d" end)
  end)

  it("knows one file under two names", function ()
    local one, path = open()
    local link = helper.path "link"
    helper.shell("ln -s '" .. path .. "' '" .. link .. "'")
    local two = open({}, link)
    local a, b = one:dict "d", two:dict "d"
    for i = 1, 50 do
      dict.incr(a, "n")
      dict.incr(b, "n")
      assert.are.equal(2 * i, a.n)
    end
    assert.are.equal(2, one:stats().handles)
  end)

  it("takes a path with spaces and bytes that aren't ASCII", function ()
    local path = helper.path "a b \195\169 "
    open({}, path):dict("d").a = 1
    assert.are.equal(path, open({}, path):path())
  end)

  it("raises BAD_ARGUMENT without a path", function ()
    fails("BAD_ARGUMENT", lode.open)
    fails("BAD_ARGUMENT", lode.open, {})
    fails("BAD_ARGUMENT", lode.open, "")
    fails("BAD_ARGUMENT", lode.open, "a\0b")
  end)

  it("raises BAD_ARGUMENT for an option that it doesn't know", function ()
    local path = helper.path()
    local e = fails("BAD_ARGUMENT", lode.open, path, { redonly = true })
    says(e, "redonly")
    assert.is_false(exists(path))
    fails("BAD_ARGUMENT", lode.open, path, { [1] = true })
    fails("BAD_ARGUMENT", lode.open, path, "readonly")
  end)

  local wrong = {
    readonly = "yes", create = 1, single_file = "x", mode = true,
    map_size = "1", max_size = {}, collections = "many", readers = false,
    lock_timeout = "soon", durability = 1, checksum = "no",
    allow_unsafe_fs = 1,
  }
  for name, value in pairs(wrong) do
    it("raises BAD_ARGUMENT for " .. name .. " of the wrong type",
      function ()
        local path = helper.path()
        local e = fails("BAD_ARGUMENT", lode.open, path,
          { [name] = value })
        says(e, name)
        assert.is_false(exists(path))
      end)
  end

  local senseless = {
    mode = "0999", durability = "never", map_size = -1, max_size = -5,
    collections = -1, readers = 0, lock_timeout = -1,
  }
  for name, value in pairs(senseless) do
    it("raises BAD_ARGUMENT for " .. name .. " = " .. tostring(value),
      function ()
        local path = helper.path()
        says(fails("BAD_ARGUMENT", lode.open, path, { [name] = value }),
          name)
        assert.is_false(exists(path))
      end)
  end
end)

describe("a store that was closed", function ()
  helper.watch()

  -- LMDB writes no page that was taken and freed in one transaction, so its
  -- file may end before the last page that it counts.
  it("opens again, whatever was deleted in it", function ()
    local store, path = open()
    local d = store:dict "d"
    for round = 1, 6 do
      for i = 1, 300 * round do d[i] = ("x"):rep(500) end
      if round % 2 == 0 then
        dict.delete_range(d, { from = 11 })
      else
        store:transaction(function ()
          for i = 1, 400 do d[-i] = ("x"):rep(3000) end
          dict.clear(d)
          d[1] = "left"
        end)
      end
      local n = #d
      store:close()
      store = open({}, path)
      d = store:dict "d"
      assert.are.equal(n, #d)
    end
  end)
end)

describe("the option readonly", function ()
  helper.watch()

  it("raises NOT_FOUND for a missing store and makes none", function ()
    local path = helper.path()
    fails("NOT_FOUND", lode.open, path, { readonly = true })
    assert.is_false(exists(path))
  end)

  it("reads all, and raises READONLY at every write", function ()
    local store, path = open()
    local d, s = store:dict "d", store:set "s"
    d.a, s.x = 1, true
    store:close()
    store = open({ readonly = true }, path)
    d, s = store:dict "d", store:set "s"
    assert.are.equal(1, d.a)
    assert.is_true(s.x)
    assert.are.same({ "a" }, helper.keys(d))
    local writes = {
      function () d.b = 2 end,
      function () d.a = nil end,
      function () dict.set(d, "b", 1) end,
      function () dict.add(d, "b", 1) end,
      function () dict.replace(d, "a", 1) end,
      function () dict.delete(d, "a") end,
      function () dict.pop(d, "a") end,
      function () dict.popitem(d) end,
      function () dict.setdefault(d, "b", 1) end,
      function () dict.update(d, "a", function (v) return v end) end,
      function () dict.incr(d, "a") end,
      function () dict.cas(d, "a", 1, 2) end,
      function () dict.put_many(d, { b = 1 }) end,
      function () dict.delete_many(d, { "a" }) end,
      function () dict.delete_range(d, {}) end,
      function () dict.clear(d) end,
      function () dict.copy(d, "e") end,
      function () set.add(s, "y") end,
      function () set.remove(s, "x") end,
      function () set.pop(s) end,
      function () set.add_many(s, { "y" }) end,
      function () set.remove_many(s, { "x" }) end,
      function () set.clear(s) end,
      function () set.save(s + s, store, "t") end,
      function () set.update(s, s + s) end,
      function () store:drop "d" end,
      function () store:rename("d", "e") end,
      function () store:transaction(function () d.b = 1 end) end,
    }
    for i, write in ipairs(writes) do
      local ok, e = pcall(write)
      assert.is_false(ok, "write " .. i)
      assert.are.equal("READONLY", e.code, "write " .. i)
    end
    assert.are.same({ a = 1 }, dict.totable(d))
  end)

  it("raises NOT_FOUND for a collection that isn't there", function ()
    local store, path = open()
    store:close()
    store = open({ readonly = true }, path)
    says(fails("NOT_FOUND", store.dict, store, "absent"), "absent")
  end)

  it("opens a store whose files may not be written", function ()
    local store, path = open()
    store:dict("d").a = 1
    store:close()
    helper.shell("chmod a-w '" .. path .. "'/* '" .. path .. "'")
    store = open({ readonly = true }, path)
    assert.are.equal(1, store:dict("d").a)
  end)

  it("opens a store of another user", function ()
    local _, is_root = helper.shell "test $(id -u) = 0 && setpriv true"
    if not is_root then return pending "only root can become another" end
    local store, path = open { mode = "0644" }
    local d = store:dict "d"
    d.a = 1
    local script = helper.path "script"
    local file = assert(io.open(script, "w"))
    file:write(("package.path, package.cpath = %q, %q\n"):format(
      package.path, package.cpath), [[
      local lode = require "lode"
      local path = ...
      local _, e = pcall(lode.open, path)
      print(e.code, (tostring(e):find(path, 1, true)) ~= nil)
      local store = lode.open(path, { readonly = true })
      print(store:dict("d").a, #lode.dict.totable(store:dict "d"))
      print(select(2, pcall(function () store:dict("d").b = 2 end)).code)
    ]])
    file:close()
    helper.shell(("chmod 755 '%s' '%s'; chmod 644 '%s' '%s'/*"):format(
      path:match "^(.*)/", path, script, path))
    for _ = 1, 2 do
      local output = helper.shell(("setpriv --reuid=65534 --clear-groups"
        .. " '%s' '%s' '%s'"):format(helper.interpreter, script, path))
      assert.are.equal("IO\ttrue\n1\t0\nREADONLY\n", output)
      store:close()
    end
  end)

  it("stands beside a handle that writes", function ()
    local store, path = open()
    local d = store:dict "d"
    local reader = open({ readonly = true }, path):dict "d"
    d.a = 1
    assert.are.equal(1, reader.a)
    fails("READONLY", function () reader.a = 2 end)
    d.a = 2
    assert.are.equal(2, reader.a)
    store:close()
    local again = open({}, path):dict "d"
    again.a = 3
    assert.are.equal(3, reader.a)
  end)

  it("sees what others write meanwhile", function ()
    local store, path = open()
    local d = store:dict "d"
    local child = helper.spawn([[
      local lode = require "lode"
      local d = lode.open(..., { readonly = true }):dict "d"
      print(d.a)
      io.stdout:flush()
      for _ = 1, 500 do
        if d.a == 2 then print "seen" return end
        os.execute "sleep 0.01"
      end
    ]], path)
    assert.are.equal("nil", child:line())
    d.a = 2
    assert.are.equal("seen", child:line())
    child:finish()
  end)
end)

describe("the option create", function ()
  helper.watch()

  it("false raises NOT_FOUND where there is no store", function ()
    local path = helper.path()
    local e = fails("NOT_FOUND", lode.open, path, { create = false })
    says(e, path)
    assert.are.equal(path, e.path)
    assert.is_false(exists(path))
    helper.shell("mkdir '" .. path .. "'")
    fails("NOT_FOUND", lode.open, path, { create = false })
  end)

  it("false opens a store that is there, for writing", function ()
    local store, path = open()
    store:close()
    store = open({ create = false }, path)
    store:dict("d").a = 1
    assert.are.equal(1, store:dict("d").a)
  end)
end)

describe("the option single_file", function ()
  helper.watch()

  it("makes a file and a lock beside it", function ()
    local path = helper.path() .. ".db"
    local store = open({ single_file = true }, path)
    store:dict("d").a = 1
    store:close()
    local _, is_file = helper.shell("test -f '" .. path .. "'")
    assert.is_true(is_file)
    assert.is_true(exists(path .. "-lock"))
    assert.are.equal(1, open({ single_file = true }, path):dict("d").a)
  end)
end)

describe("the option mode", function ()
  helper.watch()

  it("is 0600 unless said", function ()
    local _, path = open()
    assert.are.equal("600", mode_of(path .. "/data.mdb"))
    assert.are.equal("600", mode_of(path .. "/lock.mdb"))
  end)

  it("gives the permission bits of new files", function ()
    local _, path = open { mode = "0640" }
    assert.are.equal("640", mode_of(path .. "/data.mdb"))
    assert.are.equal("640", mode_of(path .. "/lock.mdb"))
    local others = helper.shell("find '" .. path
      .. "' -type f ! -perm 640")
    assert.are.equal("", others)
  end)
end)

describe("the option collections", function ()
  helper.watch()

  it("is the most named collections there can be", function ()
    local store = open { collections = 5 }
    for i = 1, 5 do store:dict("d" .. i).n = i end
    local e = fails("FULL", store.dict, store, "one more")
    says(e, "collections")
    assert.are.equal(5, store:dict("d5").n)
    store:drop "d1"
    store:dict("again").n = 1
    assert.are.equal(1, store:dict("again").n)
  end)

  it("is 256 unless said", function ()
    local store = open()
    store:transaction(function ()
      for i = 1, 256 do store:dict("d" .. i) end
    end)
    fails("FULL", store.dict, store, "one more")
    assert.are.equal(256, #helper.collect(false, store:collections()))
  end)
end)

describe("the option readers", function ()
  helper.watch()

  it("is how many can pin a moment at once; then READERS_FULL", function ()
    local store = open { readers = 6 }
    local d = store:dict "d"
    d.a = 1
    assert.are.equal(6, store:stats().max_readers)
    local walks = {}
    local e = fails("READERS_FULL", function ()
      for i = 1, 10 do
        walks[i] = dict.pairs(d, { snapshot = true })
        walks[i]()
      end
    end)
    says(e, "readers")
    assert.is_true(#walks >= 4)
    for _, walk in ipairs(walks) do
      for _ in walk do d.a = 2 end
    end
    assert.are.equal(1, d.a)
    d.b = 1
    for k in dict.pairs(d, { snapshot = true }) do
      assert.is_not_nil(d[k])
    end
  end)
end)

describe("a file that is no store", function ()
  helper.watch()

  local function file_at (path, bytes)
    local file = assert(io.open(path, "wb"))
    file:write(bytes)
    file:close()
  end

  local function bytes_of (path)
    local file = assert(io.open(path, "rb"))
    local bytes = file:read "*a"
    file:close()
    return bytes
  end

  it("raises NOT_A_STORE and stays as it was", function ()
    local path = helper.path()
    local text = ("this is a letter to my aunt\n"):rep(1000)
    file_at(path, text)
    says(fails("NOT_A_STORE", lode.open, path, { single_file = true }), path)
    assert.are.equal(text, bytes_of(path))
  end)

  it("raises NOT_A_STORE as a directory's data.mdb", function ()
    local path = helper.path()
    helper.shell("mkdir '" .. path .. "'")
    local text = ("not data "):rep(2000)
    file_at(path .. "/data.mdb", text)
    fails("NOT_A_STORE", lode.open, path)
    assert.are.equal(text, bytes_of(path .. "/data.mdb"))
    assert.is_false(exists(path .. "/lock.mdb"))
  end)

  it("raises INCOMPATIBLE for the files of LMDB 1.0", function ()
    local path = helper.path()
    helper.shell("mkdir '" .. path .. "'")
    -- its magic at offset 24, then version 3
    local page = ("\0"):rep(24) .. "\222\192\239\190" .. "\3\0\0\0"
    local bytes = (page .. ("\0"):rep(4096 - #page)):rep(4)
    file_at(path .. "/data.mdb", bytes)
    says(fails("INCOMPATIBLE", lode.open, path), "1.0")
    assert.are.equal(bytes, bytes_of(path .. "/data.mdb"))
  end)

  it("raises CORRUPT for a file that was cut", function ()
    local store, path = open()
    local d = store:dict "d"
    for i = 1, 200 do d[i] = ("x"):rep(1000) end
    store:close()
    helper.shell("truncate -s 20480 '" .. path .. "/data.mdb'")
    fails("CORRUPT", lode.open, path)
  end)
end)

describe("store:collections", function ()
  helper.watch()

  it("walks name and kind in order of name", function ()
    local store = open()
    assert.are.same({}, helper.collect(true, store:collections()))
    store:set "staff"
    store:dict "users"
    store:dict "archive"
    assert.are.same({ { "archive", "dict" }, { "staff", "set" },
      { "users", "dict" } }, helper.collect(true, store:collections()))
  end)

  it("lets collections go and come while it walks", function ()
    local store = open()
    for i = 1, 20 do store:dict("d" .. i) end
    for name in store:collections() do assert.is_true(store:drop(name)) end
    assert.are.same({}, helper.collect(true, store:collections()))
  end)

  it("takes any bytes as a name, and says what is no name", function ()
    local store = open()
    local names = { "a", "a b", "\1", "get", "\195\164", "x/y", "__index" }
    for i, name in ipairs(names) do store:dict(name).n = i end
    for i, name in ipairs(names) do
      assert.are.equal(i, store:dict(name).n)
    end
    assert.are.equal(#names, #helper.collect(false, store:collections()))
    fails("BAD_ARGUMENT", store.dict, store, "")
    fails("BAD_ARGUMENT", store.dict, store, ("n"):rep(1000))
    fails("BAD_ARGUMENT", store.dict, store)
    fails("BAD_ARGUMENT", store.dict, store, {})
    fails("BAD_ARGUMENT", store.set, store, "")
  end)

  it("lists raw databases as raw", function ()
    local store = open()
    store:dict("plain", { raw = true }).a = "1"
    store:dict("own").a = 1
    store:set("set").a = true
    assert.are.same({ { "own", "dict" }, { "plain", "raw" },
      { "set", "set" } }, helper.collect(true, store:collections()))
  end)

  it("keeps one kind to a name", function ()
    local store = open()
    store:dict "d"
    store:set "s"
    says(fails("INCOMPATIBLE", store.set, store, "d"), "dict")
    says(fails("INCOMPATIBLE", store.dict, store, "s"), "set")
  end)
end)

describe("store:version", function ()
  helper.watch()

  it("grows with each commit by anyone", function ()
    local store, path = open()
    local d = store:dict "d"
    local before = store:version()
    d.a = 1
    local after = store:version()
    assert.is_true(after > before)
    assert.are.equal(after, store:version())
    local two = open({}, path)
    two:dict("d").b = 1
    assert.is_true(store:version() > after)
    after = store:version()
    helper.run([[
      local store = require("lode").open(...)
      store:dict("d").c = 1
    ]], path)
    assert.is_true(store:version() > after)
  end)

  it("stays where a write changed nothing or was rolled back", function ()
    local store = open()
    local d = store:dict "d"
    d.a = 1
    local before = store:version()
    dict.add(d, "a", 2)
    dict.delete(d, "absent")
    pcall(store.transaction, store, function () d.b = 1 error "no" end)
    assert.are.equal(before, store:version())
  end)
end)

describe("store:stats and store:path", function ()
  helper.watch()

  it("tell the path, sizes, readers and map", function ()
    local store, path = open()
    assert.are.equal(path, store:path())
    store:dict("d").a = 1
    store:set("s").x = true
    local stats = store:stats()
    assert.are.equal(2, stats.entries)
    assert.are.equal(2, stats.collections)
    assert.are.equal(1, stats.handles)
    assert.are.equal(1024, stats.max_readers)
    assert.are.equal(store:version(), stats.version)
    assert.is_true(stats.map_size >= 64 * 1024 * 1024)
    local size = helper.shell("stat -c %s '" .. path .. "/data.mdb'")
    assert.are.equal(tonumber(size), stats.file_size)
    assert.is_true(stats.readers <= 2)
  end)

  it("count what this file holds now", function ()
    local store = open()
    local d = store:dict "d"
    for i = 1, 500 do d[i] = ("x"):rep(100) end
    local full = store:stats()
    assert.are.equal(500, full.entries)
    assert.is_true(full.used_size > 50000)
    assert.is_true(full.used_size <= full.file_size)
    dict.clear(d)
    local empty = store:stats()
    assert.are.equal(0, empty.entries)
    assert.is_true(empty.used_size < full.used_size)
  end)

  it("keep the path that was given", function ()
    local path = helper.path()
    local store = open({}, path .. "/")
    assert.is_truthy(store:path():find(path, 1, true))
    assert.is_truthy(tostring(store):find(path, 1, true))
  end)
end)
