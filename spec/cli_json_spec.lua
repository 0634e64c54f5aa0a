-- lode.cli.json: JSON that keeps what Lua values are.

local exact = require "support.exact"
local helper = require "support.helper"
local form = require "lode.text"
local json = require "lode.cli.json"

local encode, decode = json.encode, json.decode

-- Random plain values, the odd ones often.
local function random_value (random, depth)
  local choices = {
    function () return random(-5, 5) end,
    function () return random() * 10 ^ random(-300, 300) end,
    function () return ({ 1 / 0, -1 / 0, 0 / 0, -0.0, 2^53 })[random(5)] end,
    function () return random(2) == 1 end,
    function () return ({ "", "é", "\n\"\\\0\127", "$b", "a" })[random(5)] end,
    function ()
      local bytes = {}
      for i = 1, random(0, 9) do bytes[i] = string.char(random(0, 255)) end
      return table.concat(bytes)
    end,
    function ()
      local list = {}
      for i = 1, random(0, 4) do list[i] = random_value(random, depth + 1) end
      return list
    end,
    function ()
      local map = {}
      for _ = 1, random(0, 4) do
        local key = random_value(random, 9)
        if key == key then map[key] = random_value(random, depth + 1) end
      end
      return map
    end,
  }
  return choices[random(depth > 4 and 6 or #choices)]()
end

describe("JSON of values", function ()
  it("gives back what went in", function ()
    math.randomseed(20261121)
    for _ = 1, 3000 do
      local value = random_value(math.random, 0)
      local text = encode(value)
      exact.check(value, decode(text), text)
      assert.is_true(form.is_utf8(text))
      assert.is_nil(text:find "%c")
    end
  end)

  it("is plain where JSON has a word for it", function ()
    assert.are.equal('{"a":[1,2.5,"x"],"b":{},"c":true}',
      encode { c = true, a = { 1, 2.5, "x" }, b = {} })
    assert.are.equal('{"$b":"AP8="}', encode "\0\255")
    assert.are.equal('{"$f":"-inf"}', encode(-1 / 0))
    assert.are.equal('{"$f":"nan"}', encode(0 / 0))
    assert.are.equal('{"$m":[[1,"a"],[3,"b"],["x",1]]}',
      encode { "a", [3] = "b", x = 1 })
    assert.are.equal('{"$m":[["$b",1]]}', encode { ["$b"] = 1 })
    assert.are.equal("[]", encode(json.list {}))
    assert.are.equal("-0.0", encode(tonumber "-0.0"))
    if helper.integers then
      assert.are.equal("3.0", encode(3.0))
      assert.are.equal("9223372036854775807", encode(math.maxinteger))
      assert.are.equal("integer", math.type(decode "3"))
      assert.are.equal("float", math.type(decode "3e0"))
    end
  end)

  it("reads what others write", function ()
    assert.are.same({ a = { 1, "x" }, b = "😀é/" },
      decode ' { "a" : [ 1 , "x" ] , "b":"\\ud83d\\ude00\\u00e9\\/" } ')
    assert.are.same({ b = 1 }, decode '{"a":null,"b":1}')
    assert.are.equal(1e21, decode "1E+21")
  end)

  it("refuses what is none, and says where", function ()
    for _, text in ipairs {
      "", "{", "[1,]", '{"a":1,}', "01", "1.", ".5", "+1", '"\\x"', "nul",
      "null", "[null]", '{"$x":1}', '{"$b":"a"}', '{"$b":"A==="}',
      '{"$f":"1"}', '{"$b":"","c":1}', '{"$m":[[1]]}', "[1] 2", "-", "1e",
      '"\\ud83d"', '"a', "tru", "{1:2}", ("["):rep(100000), "'a'",
      '{"$m":[[{"$f":"nan"},1]]}',
    } do
      local ok, problem = pcall(decode, text)
      assert.is_false(ok, text)
      assert.is_truthy(tostring(problem):find "^not JSON at byte %d+: ",
        tostring(problem))
    end
  end)

  it("refuses to write what has no form", function ()
    local ring = {}
    ring[1] = ring
    for _, value in ipairs { print, ring, { [{}] = 1 }, { x = print } } do
      assert.is_false(pcall(encode, value))
    end
  end)

  it("knows UTF-8", function ()
    for _, text in ipairs { "", "a\0", "é", "\239\191\189", "😀",
      "\244\143\191\191" } do assert.is_true(form.is_utf8(text)) end
    for _, text in ipairs { "\128", "\192\128", "\237\160\128", "\195",
      "\244\144\128\128", "a\255" } do
      assert.is_false(form.is_utf8(text))
    end
  end)
end)
