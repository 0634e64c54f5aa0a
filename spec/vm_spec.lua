-- What each Lua can do, as the table in README.md has it.

local helper = require "support.helper"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local jit = rawget(_G, "jit")
local unpack = table.unpack or rawget(_G, "unpack")
local version = tonumber(_VERSION:match "[%d.]+")

local function compile (source)
  return (rawget(_G, "loadstring") or load)(source)
end

local function works (fn, ...)
  return (pcall(fn, ...))
end

describe("this Lua", function ()
  helper.watch()

  it("has what the table says of tables", function ()
    local d = helper.open():dict "d"
    d[1], d[2] = "a", "b"
    local tables = version >= 5.3
    assert.are.equal(2, #d)
    assert.are.equal(tables, works(ipairs, d))
    assert.are.equal(tables, works(unpack, d))
    assert.are.equal(tables, works(table.concat, d))
    assert.are.equal(tables, works(table.insert, d, "c"))
    assert.are.equal(tables and 3 or 2, #d)
    if not jit then -- it depends on how that was built
      assert.are.equal(version >= 5.2, works(pairs, d))
    end
    local n = 0
    for _ in dict.pairs(d) do n = n + 1 end
    assert.are.equal(#d, n)
  end)

  it("has what the table says of operators", function ()
    local store = helper.open()
    local a, b = store:set "a", store:set "b"
    set.add_many(a, { 1, 2, 3 })
    set.add_many(b, { 2, 3, 4, 5 })
    for source, n in pairs { ["a | b"] = 5, ["a & b"] = 2, ["a ~ b"] = 3 } do
      local fn = compile("local a, b = ... return " .. source)
      assert.are.equal(version >= 5.3, fn ~= nil)
      if fn then assert.are.equal(n, #fn(a, b)) end
    end
    assert.are.equal(5, #(a + b))
    assert.are.equal(2, #(a * b))
    assert.are.equal(3, #(a ^ b))
    assert.are.equal(1, #(a - b))
  end)

  it("has what the table says of numbers", function ()
    local d = helper.open():dict "d"
    local apart = version >= 5.3
    d.i, d.f = 1, 1.0
    assert.are.equal(apart, tostring(d.i) ~= tostring(d.f))
    if apart then
      local big = compile "return 2^53 | 1"()
      d.big = big
      assert.are.equal(big, d.big)
    end
    if jit then
      local ok, e = pcall(function () d.c = compile "return 1LL"() end)
      assert.is_false(ok)
      assert.are.equal("BAD_VALUE", e.code)
      ok, e = pcall(function () d[compile "return 1LL"()] = 1 end)
      assert.is_false(ok)
      assert.are.equal("BAD_KEY", e.code)
    end
  end)

  it("has what the table says of <close> and break", function ()
    assert.are.equal(version >= 5.4,
      compile "local x <close> = nil; return 1" ~= nil)
    local store = helper.open()
    local d = store:dict "d"
    d.a, d.b = 1, 2
    collectgarbage "stop" -- or it may end the walk
    for k in dict.pairs(d, { snapshot = true }) do
      if k == "a" then break end
    end
    d.c = 3
    local pinned = store:stats().oldest_reader ~= nil
    collectgarbage "restart"
    assert.are.equal(version < 5.4, pinned)
    assert.are.equal(3, #d)
  end)

  it("lets no yield out of a transaction", function ()
    local store = helper.open()
    local co = coroutine.create(function ()
      store:transaction(function () coroutine.yield(1) end)
    end)
    local ok, e = coroutine.resume(co)
    assert.is_false(ok)
    assert.is_truthy(tostring(e):find "yield")
    store:dict("d").a = 1 -- nothing is held
  end)
end)
