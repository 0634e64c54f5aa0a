-- The steps of the model test on sets and expressions over them.

local exact = require "support.exact"
local dict_steps = require "model.dict_steps"
local lode = require "lode"
local oracle = require "model.oracle"

local set = lode.set
local check = exact.check

local steps, expressions = {}, {}

-- A step on one set: fn(r, s, m), as often as its weight says.
local function step (name, weight, fn)
  steps[#steps + 1] = { name = name, weight = weight, fn = fn }
end

-- A step on several: fn(r, sets, target, store).
local function expression_step (name, weight, fn)
  expressions[#expressions + 1] = { name = name, weight = weight, fn = fn }
end

local function collect (...)
  local out = {}
  for x in ... do out[#out + 1] = x end
  return out
end

local function some (r, m)
  local i = r:key(m.pool)
  return i, m.pool.keys[i]
end

-- Some members, whether they are in the set or not, each once; and how
-- many of them it has.
local function several (r, m)
  local array, numbers, seen, present = {}, {}, {}, 0
  for _ = 1, r:int(15) do
    local i, x = some(r, m)
    if not seen[i] then
      seen[i] = true
      array[#array + 1], numbers[#numbers + 1] = x, i
      if m.values[i] then present = present + 1 end
    end
  end
  return array, numbers, present
end

local function iterator (array)
  local i = 0
  return function ()
    i = i + 1
    return array[i]
  end
end

step("set.add", 6, function (r, s, m)
  local i, x = some(r, m)
  local ttl = r:ttl()
  check(m.values[i] == nil, set.add(s, x, ttl), "add")
  m:put(i, true, ttl)
end)

step("member by index", 6, function (r, s, m)
  local i, x = some(r, m)
  check(m.values[i], s[x], "member")
  m:read(i)
  local value = r:one_in(2) or nil
  s[x] = value
  m:put(i, value)
end)

step("set.remove", 4, function (r, s, m)
  local i, x = some(r, m)
  check(m.values[i] ~= nil, set.remove(s, x), "remove")
  m:put(i, nil)
end)

step("set.has", 2, function (r, s, m)
  local i, x = some(r, m)
  check(m.values[i] ~= nil, set.has(s, x), "has")
end)

step("set.pop", 2, function (_, s, m)
  local x = set.pop(s)
  check(m.n == 0, x == nil, "pop")
  if x ~= nil then
    local i = m:number(x)
    check(true, m.values[i], "pop gave no member")
    m:put(i, nil)
  end
end)

step("set.add_many", 4, function (r, s, m)
  local array, numbers, present = several(r, m)
  local given = r:one_in(2) and array or iterator(array)
  local ttl = r:ttl()
  check(#array - present, set.add_many(s, given, ttl), "add_many")
  for _, i in ipairs(numbers) do m:put(i, true, ttl) end
end)

step("set.remove_many", 2, function (r, s, m)
  local array, numbers, present = several(r, m)
  local given = r:one_in(2) and array or iterator(array)
  check(present, set.remove_many(s, given), "remove_many")
  for _, i in ipairs(numbers) do m:put(i, nil) end
end)

step("set.each", 3, function (r, s, m)
  local range = r:range(m.pool)
  local got = collect(set.each(s, m:range(range)))
  m:check(got, nil, m:select(range), range.limit, "each")
end)

step("set.len and count", 3, function (r, s, m)
  check(m.n, #s, "#")
  local range = r:range(m.pool)
  range.limit = nil
  check(#m:select(range), set.count(s, m:range(range)), "count")
end)

step("set.first and last", 2, function (_, s, m)
  local first, last = set.first(s), set.last(s)
  if m.n == 0 then
    check(nil, first, "first")
    check(nil, last, "last")
  else
    m:check({ first }, nil, m:select {}, 1, "first")
    m:check({ last }, nil, m:select { reverse = true }, 1, "last")
  end
end)

step("set.ttl and info", 3, function (r, s, m)
  local i, x = some(r, m)
  dict_steps.check_left(m, i, set.ttl(s, x), "ttl")
  dict_steps.check_info(set.info(s, x), i, m)
end)

step("set.expire", 3, function (r, s, m)
  local i, x = some(r, m)
  local there, ttl = m.values[i] ~= nil, r:ttl()
  check(there, set.expire(s, x, ttl), "expire")
  if there then m:expire(i, ttl) end
end)

step("set.touch", 2, function (r, s, m)
  local i, x = some(r, m)
  local there = m.values[i] ~= nil
  check(there, set.touch(s, x), "touch")
  if there then m:touch(i) end
end)

local function compare (s, m, what)
  m:check(collect(set.each(s)), nil, m:select {}, nil, what)
  check(m.n, #s, what .. ": #")
end

-- A random expression over `sets` ({ d =, m = } each): lode's and the
-- oracle of its members.
local function expression (r, sets, depth)
  if depth == 0 or r:one_in(4) then
    local one = r:pick(sets)
    return one.d, one.m
  end
  local a, ma = expression(r, sets, depth - 1)
  local b, mb = expression(r, sets, depth - 1)
  local operator = r:int(4)
  local out = oracle.new(ma.pool, ma.clock)
  for i = 1, ma.pool.n do
    local x, y = ma.values[i], mb.values[i]
    local member
    if operator == 1 then
      member = x or y
    elseif operator == 2 then
      member = x and y
    elseif operator == 3 then
      member = x and not y
    else
      member = (x or false) ~= (y or false)
    end
    if member then out:put(i, true) end
  end
  if operator == 1 then return a + b, out end
  if operator == 2 then return a * b, out end
  if operator == 3 then return a - b, out end
  return a ^ b, out
end

expression_step("an expression", 8, function (r, sets)
  local e, m = expression(r, sets, 3)
  check(m.n, #e, "expression: #")
  local range = r:range(m.pool)
  m:check(collect(set.each(e, m:range(range))), nil, m:select(range),
    range.limit, "expression")
  for _ = 1, 5 do
    local i, x = some(r, m)
    check(m.values[i], e[x], "expression asked")
    if m.owner then m:read(i) end -- it is a set
  end
end)

expression_step("comparisons", 3, function (r, sets)
  local a, ma = expression(r, sets, 1)
  local b, mb = expression(r, sets, 1)
  local subset, disjoint = true, true
  for i in pairs(ma.values) do
    if mb.values[i] then disjoint = false else subset = false end
  end
  local same = subset and ma.n == mb.n
  check(subset, a <= b, "<=")
  check(subset and not same, a < b, "<")
  check(same, a == b, "==")
  check(disjoint, set.disjoint(a, b), "disjoint")
end)

-- `target` is one of the sets, of the store `store`.
expression_step("set.save onto a set", 2, function (r, sets, target, store)
  if target.life.policy or target.life.told then
    return -- save's own handle of it has no functions
  end
  local e, m = expression(r, sets, 2)
  local kept = set.save(e, store, target.name)
  local members = m:copy()
  for i = 1, m.pool.n do
    local old, new = target.m.values[i], members.values[i]
    if old ~= new then target.m:put(i, new) end
  end
  compare(target.d, target.m, "save")
  compare(kept, target.m, "save's result")
end)

expression_step("set.update", 2, function (r, sets, target)
  local e, m = expression(r, sets, 2)
  set.update(target.d, e)
  for i in pairs(m:copy().values) do
    if not target.m.values[i] then target.m:put(i, true) end
  end
end)

return { steps = steps, expressions = expressions, compare = compare }
