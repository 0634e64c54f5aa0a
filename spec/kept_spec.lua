-- store:options: what is kept with a collection.

local helper = require "support.helper"
local lode = require "lode"

local policy = lode.policy
local fails, open = helper.fails, helper.open

local function same () end

describe("store:options", function ()
  helper.watch()

  it("gives the kind, and an empty table for a plain one", function ()
    local store = open()
    store:dict "d"
    store:set "s"
    assert.are.same({ "dict", {} }, { store:options "d" })
    assert.are.same({ "set", {} }, { store:options "s" })
  end)

  it("gives nil for one that isn't there, and makes none", function ()
    local store = open()
    assert.is_nil(store:options "d")
    assert.is_nil(store:options "")
    assert.is_nil(store:collections()())
  end)

  it("gives each option by the name that it was given by", function ()
    local store, path = open()
    store:dict("d", { key = "string", value = "table", serializer = "json",
      ttl = 1.5, times = true, max_entries = 10, max_bytes = 2000,
      evict = "lfu", on_expire = same })
    store:dict("p", { expire = policy.idle(60), key_serializer = {
      name = "mine", encode = string.reverse, decode = string.reverse } })
    store:set("s", { expire = policy.age(60), hash = string.reverse,
      max_entries = 5, evict = function () return 1 end })
    store:close()
    store = open({ readonly = true }, path)
    assert.are.same({ key = "string", value = "table", serializer = "json",
      ttl = 1.5, times = true, max_entries = 10, max_bytes = 2000,
      evict = "lfu", on_expire = true }, select(2, store:options "d"))
    assert.are.same({ expire = "idle(60)", reads = true,
      key_serializer = "mine" }, select(2, store:options "p"))
    assert.are.same({ expire = "age(60)", hash = true, max_entries = 5,
      evict = "function" }, select(2, store:options "s"))
  end)

  it("tells of databases that another program made", function ()
    local store = open()
    store:dict("plain", { raw = true }).k = "v"
    assert.are.same({ "raw", { raw = true } }, { store:options "plain" })
  end)

  it("finds a name among those that are nearly the same", function ()
    local store = open()
    local names = { "a", "a\1", "a\1\1", "a\255", "b", "\1", "\255",
      ("a"):rep(200), ("a"):rep(199), ("\255"):rep(200) }
    for i, name in ipairs(names) do store:dict(name, { ttl = i }) end
    store:dict("raw", { raw = true }).k = "v"
    for i, name in ipairs(names) do
      assert.are.equal(i, select(2, store:options(name)).ttl)
    end
    for _, name in ipairs { "a\2", "\254", "c", "a\0", "\0", "a\0b",
      ("a"):rep(198), ("a"):rep(201), "ra", "raw\0" } do
      assert.is_nil(store:options(name))
    end
    assert.are.equal("raw", (store:options "raw"))
  end)

  it("works in a transaction, among many", function ()
    local store = open()
    for i = 1, 20 do store:dict("d" .. i, { ttl = i }) end
    store:transaction(function ()
      store:dict("new", { ttl = 99 })
      assert.are.equal(99, select(2, store:options "new").ttl)
      assert.are.equal(7, select(2, store:options "d7").ttl)
    end)
  end)

  it("asks for an open store and a name", function ()
    local store = open()
    fails("BAD_ARGUMENT", store.options, store)
    fails("BAD_ARGUMENT", store.options, store, 5)
    store:close()
    fails("CLOSED", store.options, store, "d")
  end)
end)
