-- Dropping and renaming collections, and the handles that stay behind:
-- API.md, "store". Opening one again with other options: "Dicts".

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local fails, says, open = helper.fails, helper.says, helper.open

local function names (store)
  return helper.collect(true, store:collections())
end

-- Every way to use the dict of a collection that is gone.
local function assert_gone (d)
  fails("NOT_FOUND", function () return d.a end)
  fails("NOT_FOUND", function () d.a = 1 end)
  fails("NOT_FOUND", function () d.a = nil end)
  fails("NOT_FOUND", function () return #d end)
  fails("NOT_FOUND", helper.keys, d)
  fails("NOT_FOUND", dict.get, d, "a")
  fails("NOT_FOUND", dict.has, d, "a")
  fails("NOT_FOUND", dict.first, d)
  fails("NOT_FOUND", dict.count, d, { from = "a" })
  fails("NOT_FOUND", dict.clear, d)
  fails("NOT_FOUND", dict.update, d, "a", function (v) return v end)
  fails("NOT_FOUND", dict.put_many, d, { a = 1 })
  fails("NOT_FOUND", dict.delete_range, d, {})
end

describe("a collection", function ()
  helper.watch()

  it("may have the names that lode itself uses", function ()
    local store, path = open()
    local d = store:dict "lode"
    d.a = 1
    store:dict("d#1").b = 2
    store:dict("d").c = 3
    store:close()
    store = open(nil, path)
    assert.are.same({ a = 1 }, lode.dict.totable(store:dict "lode"))
    assert.are.same({ b = 2 }, lode.dict.totable(store:dict "d#1"))
    assert.are.equal(3, #names(store))
    assert.is_true(store:check().ok)
  end)
end)

describe("store:drop", function ()
  helper.watch()

  it("gives true, or false when there is no such collection", function ()
    local store = open()
    store:dict "d"
    assert.is_true(store:drop "d")
    assert.is_false(store:drop "d")
    assert.is_false(store:drop "never")
    assert.are.same({}, names(store))
    fails("BAD_ARGUMENT", store.drop, store)
  end)

  it("removes the entries with the collection", function ()
    local store = open()
    local d = store:dict "d"
    for i = 1, 300 do d[i] = ("x"):rep(200) end
    store:drop "d"
    assert.are.equal(0, store:stats().entries)
    d = store:dict "d"
    assert.are.equal(0, #d)
    assert.is_nil(d[1])
  end)

  it("leaves the others alone", function ()
    local store = open()
    local a, b, s = store:dict "a", store:dict "b", store:set "s"
    a.x, b.x, s.x = 1, 2, true
    store:drop "a"
    assert.are.equal(2, b.x)
    assert.is_true(s.x)
    assert.are.same({ { "b", "dict" }, { "s", "set" } }, names(store))
  end)

  it("makes each handle of it raise NOT_FOUND", function ()
    local store, path = open()
    local other = open({}, path)
    local d, e = store:dict "d", other:dict "d"
    d.a = 1
    assert.are.equal(1, e.a)
    store:drop "d"
    assert_gone(d)
    assert_gone(e)
    says(fails("NOT_FOUND", function () return d.a end), "d")
    local s = store:set "s"
    s.x = true
    other:drop "s"
    fails("NOT_FOUND", function () return s.x end)
    fails("NOT_FOUND", function () s.y = true end)
    fails("NOT_FOUND", function () return #s end)
    fails("NOT_FOUND", function () return #(s + s) end)
    fails("NOT_FOUND", set.pop, s)
  end)

  it("makes old handles raise though the name is taken again", function ()
    local store, path = open()
    local d = store:dict "d"
    local other = open({}, path):dict "d"
    d.a = 1
    store:drop "d"
    local new = store:dict "d"
    new.a = 2
    assert_gone(d)
    assert_gone(other)
    assert.are.equal(2, new.a)
  end)

  it("allows the other kind under the name", function ()
    local store = open()
    local d = store:dict "x"
    d.a = 1
    store:drop "x"
    local s = store:set "x"
    s.a = true
    assert_gone(d)
    assert.are.same({ { "x", "set" } }, names(store))
  end)

  it("reaches the handles of another process", function ()
    local store, path = open()
    store:dict("d").a = 1
    local go = helper.path "go"
    local child = helper.spawn(helper.wait_for .. [[
      local path, go = ...
      local store = require("lode").open(path)
      local d = store:dict "d"
      print(d.a)
      wait_for(go)
      print(select(2, pcall(function () return d.a end)).code)
      print(select(2, pcall(function () d.a = 2 end)).code)
      print(store:dict("d").a)
    ]], path, go)
    assert.are.equal("1", child:line())
    store:drop "d"
    store:dict("d").a = "new"
    helper.signal(go)
    assert.are.equal("NOT_FOUND\nNOT_FOUND\nnew", child:finish())
  end)

  it("ends a walk with NOT_FOUND", function ()
    local store = open()
    local d = store:dict "d"
    for i = 1, 5000 do d[i] = i end
    local e = fails("NOT_FOUND", function ()
      for k in dict.pairs(d) do
        if k == 1 then store:drop "d" end
      end
    end)
    says(e, "d")
  end)
end)

describe("store:rename", function ()
  helper.watch()

  it("gives the collection another name, entries and all", function ()
    local store = open()
    local d = store:dict "old"
    d.a = 1
    assert.is_true(store:rename("old", "new"))
    assert.are.same({ { "new", "dict" } }, names(store))
    assert.are.equal(1, store:dict("new").a)
    assert.is_false(store:rename("old", "newer"))
  end)

  it("keeps handles good, which know the new name", function ()
    local store, path = open()
    local d, other = store:dict "old", open({}, path):dict "old"
    d.a = 1
    store:rename("old", "new")
    for _, handle in ipairs { d, other } do
      assert.are.equal(1, handle.a)
      assert.are.equal("new", dict.name(handle))
    end
    local empty = store:dict "old"
    assert.are.equal(0, #empty)
    empty.b = 1
    assert.is_nil(d.b)
  end)

  it("raises INCOMPATIBLE when the new name is taken", function ()
    local store = open()
    store:dict("a").x = 1
    store:dict("b").x = 2
    says(fails("INCOMPATIBLE", store.rename, store, "a", "b"), "b")
    assert.are.equal(1, store:dict("a").x)
    assert.are.equal(2, store:dict("b").x)
  end)

  it("raises BAD_ARGUMENT for what is no name", function ()
    local store = open()
    store:dict "a"
    fails("BAD_ARGUMENT", store.rename, store, "a", "")
    fails("BAD_ARGUMENT", store.rename, store, "a")
    fails("BAD_ARGUMENT", store.rename, store, "a", ("n"):rep(1000))
    assert.are.same({ { "a", "dict" } }, names(store))
  end)

  it("takes the options along", function ()
    local store = open()
    store:dict("a", { key = "integer", value = "string" })
    store:rename("a", "b")
    fails("BAD_KEY", function () store:dict("b").x = "v" end)
    fails("BAD_VALUE", function () store:dict("b")[1] = 1 end)
  end)
end)

describe("the options of a collection", function ()
  helper.watch()

  local function json_like (name)
    return {
      name = name,
      encode = function (v) return "<" .. tostring(v) .. ">" end,
      decode = function (s) return s:sub(2, -2) end,
    }
  end

  it("are kept with it: those left out are as they were", function ()
    local store, path = open()
    store:dict("d", { key = "integer", value = "boolean" })
    store:set("s", { key = "string" })
    store:close()
    store = open({}, path)
    fails("BAD_KEY", function () store:dict("d").x = true end)
    fails("BAD_VALUE", function () store:dict("d")[1] = "x" end)
    store:dict("d")[1] = true
    fails("BAD_KEY", function () store:set("s")[1] = true end)
    assert.is_true(store:dict("d", { key = "integer" })[1])
  end)

  it("raise INCOMPATIBLE naming the one that differs", function ()
    local store, path = open()
    store:dict("typed", { key = "integer", value = "string" })
    store:dict("plain")
    store:dict("coded", { serializer = json_like "mine",
      key_serializer = json_like "keys" })
    store:dict("hashed", { hash = function () return "x" end })
    for _ = 1, 2 do
      for _, case in ipairs {
        { "typed", { key = "string" }, "key" },
        { "typed", { value = "integer" }, "value" },
        { "plain", { key = "string" }, "key" },
        { "plain", { value = "string" }, "value" },
        { "plain", { serializer = json_like "mine" }, "serializer" },
        { "plain", { key_serializer = json_like "mine" },
          "key_serializer" },
        { "plain", { hash = function () return "x" end }, "hash" },
        { "plain", { raw = true }, "raw" },
        { "coded", { serializer = json_like "other",
            key_serializer = json_like "keys" }, "serializer" },
        { "coded", { serializer = json_like "mine",
            key_serializer = json_like "other" }, "key_serializer" },
        { "hashed", {}, "hash" },
      } do
        local e = fails("INCOMPATIBLE", store.dict, store, case[1], case[2])
        says(e, case[3], case[1])
      end
      store:close()
      store = open({}, path)
    end
  end)

  it("want a serializer that isn't given again", function ()
    local store, path = open()
    local d = store:dict("d", { serializer = json_like "mine" })
    d.a = "x"
    assert.are.equal("x", d.a)
    store:close()
    store = open({}, path)
    local ok, e = pcall(store.dict, store, "d")
    assert.is_false(ok)
    says(e, "mine")
    assert.are.equal("x", store:dict("d",
      { serializer = json_like "mine" }).a)
  end)

  it("that nobody knows raise BAD_ARGUMENT", function ()
    local store = open()
    local e = fails("BAD_ARGUMENT", store.dict, store, "d", { keys = 1 })
    says(e, "keys")
    fails("BAD_ARGUMENT", store.set, store, "s", { member = "string" })
    fails("BAD_ARGUMENT", store.set, store, "s", { value = "string" })
    fails("BAD_ARGUMENT", store.dict, store, "d", "string")
    assert.are.same({}, names(store))
  end)

  it("of the wrong type or sense raise BAD_ARGUMENT", function ()
    local store = open()
    for name, value in pairs {
      key = "float", value = 1, serializer = true, key_serializer = 1,
      raw = "yes", hash = "sip",
    } do
      says(fails("BAD_ARGUMENT", store.dict, store, "d",
        { [name] = value }), name)
    end
    local encode = function () return "" end
    for _, serializer in ipairs {
      {}, { name = "x" }, { name = "x", encode = encode },
      { encode = encode, decode = encode },
      { name = 1, encode = encode, decode = encode },
    } do
      fails("BAD_ARGUMENT", store.dict, store, "d",
        { serializer = serializer })
    end
    fails("BAD_ARGUMENT", store.dict, store, "d",
      { serializer = "no such thing" })
    assert.are.same({}, names(store))
  end)
end)
