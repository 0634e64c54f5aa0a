-- lode.policy by itself: its policies asked about entries made up here.

local helper = require "support.helper"
local policy = require "lode.policy"

local fails, says = helper.fails, helper.says

local entry = {
  key = "ada", value = { plan = "free", ends = 5000 }, size = 40, hits = 7,
  ctime = 1000.25, mtime = 2000.5, atime = 3000.75, now = 4000,
}

local function never () return nil end
local function answers (time) return function () return time end end

-- Asserts the three things that a policy is.
local function is (p, name, time, reads)
  assert.are.equal(name, p.name)
  assert.are.equal(time, p.expire(entry))
  assert.are.equal(reads, p.reads)
end

describe("a policy of one time", function ()
  it("ttl counts from the last write", function ()
    is(policy.ttl(60), "ttl(60)", 2060.5, false)
  end)

  it("age counts from the first write", function ()
    is(policy.age(60), "age(60)", 1060.25, false)
  end)

  it("idle counts from the last access, and needs reads noted", function ()
    is(policy.idle(60), "idle(60)", 3060.75, true)
  end)

  it("is named alike on every Lua, by an integer and by a float", function ()
    assert.are.equal("idle(600)", policy.idle(600.0).name)
    assert.are.equal("ttl(0.25)", policy.ttl(1 / 4).name)
    assert.are.equal("age(0.1)", policy.age(0.1).name)
    assert.are.equal("age(3153600000)", policy.age(100 * 365 * 86400).name)
  end)

  it("has a name without a comma in any locale", function ()
    local format = string.format
    -- luacheck: push ignore 122
    string.format = function (text, ...)
      local made = format(text, ...)
      return text == "%.14g" and made:gsub("%.", ",") or made
    end
    local ok, p = pcall(policy.ttl, 1.5)
    string.format = format
    -- luacheck: pop
    assert.is_true(ok, p)
    assert.are.equal("ttl(1.5)", p.name)
  end)

  it("refuses what is no number of seconds", function ()
    for _, name in ipairs { "ttl", "age", "idle" } do
      for _, seconds in ipairs { 0, -1, 0 / 0, math.huge, "60", {} } do
        local e = fails("BAD_ARGUMENT", policy[name], seconds)
        says(e, "lode.policy." .. name, "policy." .. name .. "(600)",
          tostring(seconds))
      end
      says(fails("BAD_ARGUMENT", policy[name]), "not nil")
    end
  end)

  it("tells where it was called with something else", function ()
    local e = fails("BAD_ARGUMENT", function () policy.idle(0) end)
    assert.is_truthy(e.where:find "policy_spec.lua:%d+$")
  end)
end)

describe("a policy of a function", function ()
  local function ends (e) return e.value.ends end

  it("at answers what the function does", function ()
    is(policy.at(ends), "function", 5000, true)
    is(policy.at(ends, "ends"), "ends", 5000, true)
    is(policy.at(never), "function", nil, true)
  end)

  it("named gives a function a name", function ()
    is(policy.named("ends", ends), "ends", 5000, true)
  end)

  it("named gives a policy another name, and changes neither", function ()
    local ttl, idle = policy.ttl(60), policy.idle(60)
    is(policy.named("short", ttl), "short", 2060.5, false)
    is(policy.named("short", idle), "short", 3060.75, true)
    is(ttl, "ttl(60)", 2060.5, false)
  end)

  it("refuses what is no function", function ()
    says(fails("BAD_ARGUMENT", policy.at, 60), "lode.policy.at",
      "function (entry)", "not a number")
    says(fails("BAD_ARGUMENT", policy.at), "not a nil")
    says(fails("BAD_ARGUMENT", policy.named, "x", 60), "lode.policy.named",
      "function (entry)", "not a number")
    fails("BAD_ARGUMENT", policy.named, "x")
  end)

  it("refuses what is no name", function ()
    says(fails("BAD_ARGUMENT", policy.at, ends, 60), "lode.policy.at",
      "name", "not a number")
    says(fails("BAD_ARGUMENT", policy.at, ends, ""), "not an empty one")
    says(fails("BAD_ARGUMENT", policy.named, ends, "x"), "lode.policy.named",
      "name", "not a function")
    fails("BAD_ARGUMENT", policy.named, "", ends)
  end)
end)

describe("any", function ()
  it("gives the earliest answer, wherever it stands", function ()
    local age, ttl, idle = policy.age(60), policy.ttl(60), policy.idle(60)
    is(policy.any(age, ttl, idle), "any(age(60),ttl(60),idle(60))", 1060.25,
      true)
    is(policy.any(idle, age, ttl), "any(idle(60),age(60),ttl(60))", 1060.25,
      true)
    is(policy.any(idle, ttl, age), "any(idle(60),ttl(60),age(60))", 1060.25,
      true)
  end)

  it("passes over those that say never", function ()
    is(policy.any(never, answers(50)), "any(function,function)", 50, true)
    is(policy.any(answers(50), never), "any(function,function)", 50, true)
    is(policy.any(never, never), "any(function,function)", nil, true)
  end)
end)

describe("all", function ()
  it("gives the latest answer, wherever it stands", function ()
    local age, ttl = policy.age(60), policy.ttl(60)
    is(policy.all(age, ttl), "all(age(60),ttl(60))", 2060.5, false)
    is(policy.all(ttl, age), "all(ttl(60),age(60))", 2060.5, false)
  end)

  it("gives never where one of them does", function ()
    is(policy.all(never, answers(50)), "all(function,function)", nil, true)
    is(policy.all(answers(50), never), "all(function,function)", nil, true)
  end)
end)

for _, name in ipairs { "any", "all" } do
  local combine = policy[name]

  describe(name, function ()
    it("is what its one policy is", function ()
      is(combine(policy.ttl(60)), name .. "(ttl(60))", 2060.5, false)
    end)

    it("needs reads noted where one of its policies does", function ()
      local ttl, age = policy.ttl(60), policy.age(60)
      local unsaid = { name = "unsaid", expire = never }
      assert.is_false(combine(ttl, age).reads)
      assert.is_true(combine(policy.idle(60), ttl).reads)
      assert.is_true(combine(ttl, policy.idle(60)).reads)
      assert.is_true(combine(ttl, never).reads)
      assert.is_true(combine(ttl, unsaid).reads)
    end)

    it("stands inside another", function ()
      local inner = combine(policy.ttl(1), policy.ttl(1))
      is(policy.any(inner, policy.age(1)),
        "any(" .. name .. "(ttl(1),ttl(1)),age(1))", 1001.25, false)
    end)

    it("takes a policy of the user's own", function ()
      local own = { name = "own", expire = answers(9), reads = false }
      is(combine(own), name .. "(own)", 9, false)
    end)

    it("asks each policy about the entry itself", function ()
      local seen = {}
      local function look (e) seen[#seen + 1] = e; return 1 end
      combine(look, look).expire(entry)
      assert.are.same(2, #seen)
      assert.is_true(rawequal(seen[1], entry) and rawequal(seen[2], entry))
    end)

    it("refuses what is no policy, nil among others too", function ()
      local ttl = policy.ttl(60)
      says(fails("BAD_ARGUMENT", combine), "lode.policy." .. name,
        "it got none")
      says(fails("BAD_ARGUMENT", combine, 60), "lode.policy." .. name,
        "function (entry)", "not a number")
      fails("BAD_ARGUMENT", combine, ttl, nil)
      fails("BAD_ARGUMENT", combine, nil, ttl)
      says(fails("BAD_ARGUMENT", combine, { ttl }), "without these")
      fails("BAD_ARGUMENT", combine, { name = "x" })
      fails("BAD_ARGUMENT", combine, { expire = never })
    end)

    it("says which policy gave no time", function ()
      local odd = policy.at(answers("soon"), "odd")
      says(fails("BAD_VALUE", combine(policy.ttl(60), odd).expire, entry),
        "the policy odd", "gave a string", "seconds since the epoch")
      odd = policy.at(answers(0 / 0), "odd")
      says(fails("BAD_VALUE", combine(odd, policy.ttl(60)).expire, entry),
        "the policy odd", "gave NaN")
    end)

    it("passes on what a policy raises", function ()
      local mark = {}
      local ok, e = pcall(combine(function () error(mark) end).expire, entry)
      assert.is_false(ok)
      assert.are.equal(mark, e)
    end)
  end)
end
