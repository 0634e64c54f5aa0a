-- The option raw, and other programs of LMDB: API.md, "Dicts", "On disk".

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local fails, says, open = helper.fails, helper.says, helper.open
local shell = helper.shell

local _, has_tools = shell "command -v mdb_load mdb_dump mdb_stat"

-- A plain LMDB directory, loaded by mdb_load: entries are lines of text,
-- key and value by turns.
local function loaded (name, entries)
  local path = helper.path "plain"
  local input = helper.path "input"
  local file = assert(io.open(input, "w"))
  file:write(table.concat(entries, "\n"), "\n")
  file:close()
  local output, ok = shell(("mkdir '%s' && mdb_load -T -f '%s' -s %s '%s'")
    :format(path, input, name, path))
  assert.is_true(ok, output)
  return path
end

-- What mdb_dump prints of a named database, as key = value.
local function dumped (path, name)
  local output, ok = shell(("mdb_dump -p -s '%s' '%s'"):format(name, path))
  assert.is_true(ok, output)
  local entries, key = {}, nil
  for line in output:match("HEADER=END\n(.*)DATA=END"):gmatch " ([^\n]*)" do
    if key then
      entries[key], key = line, nil
    else
      key = line
    end
  end
  return entries
end

local function describe_with_tools (name, body)
  if has_tools then
    describe(name, body)
  else
    pending(name .. " (needs lmdb-utils)")
  end
end

describe_with_tools("a database that mdb_load wrote", function ()
  helper.watch()

  local fruits = { "apple", "red", "banana", "yellow", "cherry", "dark" }

  it("is read raw: keys and values are the bytes as they lie", function ()
    local d = open({}, loaded("fruits", fruits)):dict("fruits",
      { raw = true })
    assert.are.equal("red", d.apple)
    assert.is_nil(d.zebra)
    assert.are.equal(3, #d)
    assert.are.same({ { "apple", "red" }, { "banana", "yellow" },
      { "cherry", "dark" } }, helper.collect(true, dict.pairs(d)))
    assert.are.same({ "banana" }, helper.keys(d, { prefix = "b" }))
    assert.are.same({ "cherry", "banana" },
      helper.keys(d, { after = "apple", reverse = true }))
    assert.are.equal("cherry", (dict.next(d, "banana")))
    assert.are.equal(2, dict.count(d, { from = "b" }))
  end)

  it("is written raw, so that mdb_dump reads it", function ()
    local path = loaded("fruits", fruits)
    local store = open({}, path)
    local d = store:dict("fruits", { raw = true })
    d.apple = "green"
    d.banana = nil
    dict.put_many(d, { fig = "violet", date = "brown" })
    assert.is_true(dict.add(d, "elder", "black"))
    assert.is_false(dict.add(d, "apple", "blue"))
    assert.are.equal("dark!", dict.update(d, "cherry", function (v)
      return v .. "!"
    end))
    store:close()
    assert.are.same({ apple = "green", cherry = "dark!", fig = "violet",
      date = "brown", elder = "black" }, dumped(path, "fruits"))
  end)

  it("rolls back as any other", function ()
    local store = open({}, loaded("fruits", fruits))
    local d = store:dict("fruits", { raw = true })
    pcall(store.transaction, store, function ()
      d.apple = nil
      dict.clear(d)
      error "back"
    end)
    assert.are.equal(3, #d)
    assert.are.equal("red", d.apple)
  end)

  it("opens nothing that isn't raw: INCOMPATIBLE, nothing written",
    function ()
      local path = loaded("fruits", fruits)
      local store = open({}, path)
      says(fails("INCOMPATIBLE", store.dict, store, "fruits"), "raw")
      fails("INCOMPATIBLE", store.dict, store, "new")
      fails("INCOMPATIBLE", store.set, store, "new")
      assert.are.same({ { "fruits", "raw" } },
        helper.collect(true, store:collections()))
      store:close()
      local output = shell("mdb_stat -a '" .. path .. "'")
      assert.is_truthy(output:find "Status of fruits")
      assert.is_nil(output:find "Status of new")
    end)

  it("opens readonly", function ()
    local store = open({ readonly = true }, loaded("fruits", fruits))
    local d = store:dict("fruits", { raw = true })
    assert.are.equal("yellow", d.banana)
    fails("READONLY", function () d.banana = "x" end)
    fails("NOT_FOUND", store.dict, store, "absent", { raw = true })
  end)

  it("takes a new raw database", function ()
    local path = loaded("fruits", fruits)
    local store = open({}, path)
    store:dict("nuts", { raw = true }).hazel = "brown"
    store:close()
    assert.are.same({ hazel = "brown" }, dumped(path, "nuts"))
    assert.are.equal("yellow", dumped(path, "fruits").banana)
  end)

  it("is read again after mdb_load wrote more", function ()
    local path = loaded("fruits", fruits)
    local d = open({}, path):dict("fruits", { raw = true })
    assert.are.equal(3, #d)
    shell("printf 'kiwi\\ngreen\\n' | mdb_load -T -s fruits '" .. path
      .. "'")
    assert.are.equal("green", d.kiwi)
    assert.are.equal(4, #d)
  end)
end)

describe("a raw dict of a store", function ()
  helper.watch()

  it("takes strings as keys and values, and nothing else", function ()
    local store = open()
    local d = store:dict("plain", { raw = true })
    d["\0a\255"] = "\0b\254"
    d.empty = ""
    assert.are.equal("\0b\254", d["\0a\255"])
    assert.are.equal("", d.empty)
    for _, key in ipairs { 1, true, { "a" } } do
      fails("BAD_KEY", function () d[key] = "x" end)
    end
    fails("BAD_KEY", function () d[""] = "x" end)
    fails("BAD_KEY", function () d[("k"):rep(512)] = "x" end)
    d[("k"):rep(511)] = "x"
    for _, value in ipairs { 1, true, {}, print } do
      fails("BAD_VALUE", function () d.a = value end)
    end
    assert.are.equal(3, #d)
  end)

  it("stands beside the others and is kept", function ()
    local store, path = open()
    store:dict("plain", { raw = true }).a = "raw"
    store:dict("own").a = { "own" }
    store:close()
    store = open({}, path)
    assert.are.equal("raw", store:dict("plain", { raw = true }).a)
    assert.are.same({ "own" }, store:dict("own").a)
    fails("INCOMPATIBLE", store.dict, store, "own", { raw = true })
    fails("INCOMPATIBLE", store.dict, store, "plain")
    fails("INCOMPATIBLE", store.set, store, "plain")
  end)

  it("may be a set", function ()
    local store = open()
    local s = store:set("plain", { raw = true })
    s.b, s.a = true, true
    assert.are.same({ "a", "b" }, helper.members(s))
    assert.is_true(s.a)
    assert.is_nil(s.c)
    assert.is_true(set.remove(s, "a"))
    assert.are.equal(1, #s)
    fails("BAD_KEY", function () s[1] = true end)
  end)
end)

describe_with_tools("a store", function ()
  helper.watch()

  it("is read by mdb_stat and mdb_dump", function ()
    local store, path = open()
    local d = store:dict "d"
    d["the key"] = "the string that was stored"
    for i = 1, 100 do d[i] = { i } end
    store:set("s").member = true
    for _, when in ipairs { "open", "closed" } do
      if when == "closed" then store:close() end
      local output, ok = shell("mdb_stat -e -a '" .. path .. "'")
      assert.is_true(ok, output)
      assert.is_truthy(output:find "Entries: 101")
      output, ok = shell("mdb_dump -a -p '" .. path .. "'")
      assert.is_true(ok, output)
      assert.is_truthy(output:find("the key", 1, true))
      assert.is_truthy(output:find("the string that was stored", 1, true))
      assert.is_truthy(output:find("member", 1, true))
    end
  end)

  it("says that it is to be opened before a snapshot", function ()
    local store, path = helper.open()
    store:dict("plain", { raw = true }).a = "1"
    store:close()
    for _, readonly in ipairs { false, true } do
      store = helper.open({ readonly = readonly }, path)
      store:snapshot(function ()
        helper.says(helper.fails("NOT_FOUND", store.dict, store, "plain",
          { raw = true }), "before it")
      end)
      local plain = store:dict("plain", { raw = true })
      store:snapshot(function () assert.are.equal("1", plain.a) end)
      store:close()
    end
  end)
end)
