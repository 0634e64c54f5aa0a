-- Mistakes of which lode says nothing, as it can't know, or which Lua itself
-- answers: what happens then, so that it stays as README.md says ("Common
-- mistakes"). See mistakes_open_spec.lua.

local helper = require "support.helper"
local lode = require "lode"
local mistakes = require "support.mistakes"

local dict, set = lode.dict, lode.set

-- What Lua itself raises, as text.
local function raised (fn, ...)
  local ok, e = pcall(fn, ...)
  assert.is_false(ok)
  assert.are.equal("string", type(e))
  return e
end

describe("a table that came from a dict", function ()
  helper.watch()

  it("is a copy: a change to it is lost", function ()
    local _, users = mistakes.store()
    users.ada.logins = 2
    assert.are.equal(1, users.ada.logins)
    local ada = users.ada
    ada.logins = 2
    users.ada = ada
    assert.are.equal(2, users.ada.logins)
  end)

  it("is a new one each time", function ()
    local _, users = mistakes.store()
    assert.are_not.equal(users.ada, users.ada)
  end)

  it("is the same one with `cache`, and a change is seen until a write",
    function ()
      local store = mistakes.store()
      local cached = store:dict("users", { cache = 10 })
      cached.ada.logins = 2
      assert.are.equal(2, cached.ada.logins)
      store:dict("other").a = 1
      assert.are.equal(1, cached.ada.logins)
    end)

  it("has lost its metatable, and so its methods", function ()
    local _, users = mistakes.store()
    local User = { greet = function () return "hi" end }
    User.__index = User
    users.bob = setmetatable({ name = "Bob" }, User)
    assert.is_nil(getmetatable(users.bob))
    assert.are.equal("Bob", users.bob.name)
    assert.is_nil(users.bob.greet)
    assert.are.equal("hi", setmetatable(users.bob, User).greet())
  end)

  it("is nil where there is none, and Lua says so", function ()
    local _, users = mistakes.store()
    local e = raised(function () users.bob.logins = 1 end)
    assert.is_truthy(e:find("index", 1, true), e)
    assert.is_truthy(e:find("nil", 1, true), e)
  end)
end)

describe("a key", function ()
  helper.watch()

  it("is the user's, so users:get is only one that is absent", function ()
    local _, users = mistakes.store()
    assert.is_nil(users.get)
    local e = raised(function () return users:get "ada" end)
    assert.is_truthy(e:find("'get'", 1, true), e)
    users.get = "a user"
    assert.are.equal("a user", users.get)
  end)

  it("is a number or its text, which are two", function ()
    local _, users = mistakes.store()
    users[1] = "one"
    assert.is_nil(users["1"])
    assert.are.equal("one", users[1.0])
  end)

  it("that can't be there is absent when it is read", function ()
    local store, users = mistakes.store()
    assert.is_nil(users[nil])
    assert.is_nil(store:dict("names", { key = "string" })[1])
  end)

  it("of a set is the member: there is no first one at 1", function ()
    local _, _, staff = mistakes.store()
    assert.is_nil(staff[1])
    assert.is_true(staff.ada)
    assert.are.equal("ada", set.first(staff))
  end)
end)

describe("Lua's functions for tables", function ()
  helper.watch()

  it("don't take a dict for one", function ()
    local _, users = mistakes.store()
    for _, call in ipairs {
      function () return next(users) end,
      function () return rawget(users, "ada") end,
      function () return rawset(users, "ada", 1) end,
    } do
      local e = raised(call)
      assert.is_truthy(e:find("table expected", 1, true), e)
    end
    assert.are.equal("ada", (dict.next(users)))
    assert.are.equal("userdata", type(users))
  end)

  it("insert after as many as there are, where they do", function ()
    local _, users = mistakes.store()
    local ok, e = pcall(table.insert, users, "x")
    if ok then assert.are.equal("x", users[2]) -- and no users[1]
    else assert.is_truthy(tostring(e):find("table expected", 1, true), e) end
    assert.is_nil(users[1])
  end)

  it("walk from 1 on, if at all, and find no names", function ()
    local _, users = mistakes.store()
    local seen = 0
    local ok, e = pcall(function ()
      for _ in ipairs(users) do seen = seen + 1 end
    end)
    if not ok then
      assert.is_truthy(tostring(e):find("table expected", 1, true), e)
    end
    assert.are.equal(0, seen)
  end)

  it("are not asked by #: it counts entries, holes or not", function ()
    local store = mistakes.store()
    local d = store:dict "d"
    d[1], d[10], d.name = true, true, true
    assert.are.equal(3, #d)
  end)

  it("are not asked by ==, which compares handles of dicts", function ()
    local store, users = mistakes.store()
    local empty = {}
    assert.is_false(users == empty)
    assert.is_false(users == store:dict "users")
    assert.are.equal(0, #store:dict "none")
  end)
end)

describe("a write without a value", function ()
  helper.watch()

  it("deletes, as it does in a table", function ()
    local _, users = mistakes.store()
    dict.set(users, "ada")
    assert.is_nil(users.ada)
  end)

  it("deletes by cas, when what is there was given", function ()
    local _, users = mistakes.store()
    users.n = 5
    assert.is_true(dict.cas(users, "n", 5))
    assert.is_false(dict.has(users, "n"))
  end)

  it("deletes by update, when it returns nil", function ()
    local _, users = mistakes.store()
    dict.update(users, "ada", function () return nil end)
    assert.is_nil(users.ada)
  end)

  it("is none by update, where nothing was there", function ()
    local _, users = mistakes.store()
    assert.is_nil(dict.update(users, "bob", function (u)
      if u then return u end
    end))
    assert.is_nil(users.bob)
  end)
end)

describe("a transaction", function ()
  helper.watch()

  it("is undone by an error, not by a false", function ()
    local store, users = mistakes.store()
    assert.is_false(store:transaction(function ()
      users.bob = 1
      return false
    end))
    assert.are.equal(1, users.bob)
  end)

  it("is of its store alone: what another has is kept", function ()
    local store, users = mistakes.store()
    local other = helper.open():dict "log"
    assert.is_false((pcall(store.transaction, store, function ()
      users.bob, other.bob = 1, 1
      error "no"
    end)))
    assert.is_nil(users.bob)
    assert.are.equal(1, other.bob)
  end)

  it("can't be left by a yield: Lua raises, and all is undone", function ()
    local store, users = mistakes.store()
    local e = raised(coroutine.wrap(function ()
      store:transaction(function ()
        users.bob = 1
        coroutine.yield()
      end)
    end))
    assert.is_truthy(e:find("yield across", 1, true), e)
    assert.is_nil(users.bob)
  end)

  it("nor can an update be, which changes nothing", function ()
    local _, users = mistakes.store()
    local e = raised(coroutine.wrap(function ()
      dict.update(users, "ada", function (u)
        u.logins = 2
        coroutine.yield()
        return u
      end)
    end))
    assert.is_truthy(e:find("yield across", 1, true), e)
    assert.are.equal(1, users.ada.logins)
  end)
end)

describe("a time", function ()
  helper.watch()

  local function opened ()
    return helper.open({ clock = function () return 1800000000 end })
      :dict "d"
  end

  it("to live is in seconds: ms are a long one", function ()
    local d = opened()
    dict.set(d, "a", 1, 60000)
    assert.are.equal(60000, dict.ttl(d, "a"))
  end)

  it("to live is not a date, which is a very long one", function ()
    local d = opened()
    dict.set(d, "a", 1, 1800000060)
    assert.are.equal(1800000060, dict.ttl(d, "a"))
  end)

  it("to live goes with a plain write that gives none", function ()
    local d = opened()
    dict.set(d, "a", 1, 60)
    d.a = 2
    assert.is_nil(dict.ttl(d, "a"))
  end)
end)

describe("a range", function ()
  helper.watch()

  it("whose ends are the wrong way round is empty", function ()
    local _, users = mistakes.store()
    assert.are.equal(0, dict.count(users, { from = "z", to = "a" }))
    assert.are.equal(1, dict.count(users,
      { from = "a", to = "z", reverse = true }))
  end)

  it("without a field is everything, to delete_range as well", function ()
    local _, users = mistakes.store()
    assert.are.equal(1, dict.delete_range(users, {}))
    assert.are.equal(0, #users)
  end)
end)

describe("an error", function ()
  helper.watch()

  it("of a serializer or policy comes as it was raised", function ()
    local store = mistakes.store()
    local function fail () error("mine", 0) end
    local d = store:dict("a", { serializer = { name = "a", encode = fail,
      decode = fail } })
    assert.are.equal("mine", raised(function () d.a = {} end))
    d = store:dict("b", { expire = fail })
    assert.are.equal("mine", raised(function () d.a = 1 end))
    assert.are.equal(0, #d)
  end)
end)
