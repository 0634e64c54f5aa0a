-- The steps of the model test on one dict: each does one thing to the dict
-- `d` and to the oracle `m`, and raises where they differ.

local exact = require "support.exact"
local lode = require "lode"

local dict = lode.dict
local check = exact.check

local steps = {}

-- A step: fn(r, d, m), as often as its weight says. `batch`: it writes
-- several entries before the oracle knows of them.
local function step (name, weight, fn, batch)
  steps[#steps + 1] = { name = name, weight = weight, fn = fn,
    batch = batch }
end

local function copy (v)
  if type(v) ~= "table" then return v end
  local t = {}
  for k, x in pairs(v) do t[k] = copy(x) end
  return t
end

local function some (r, m)
  local i = r:key(m.pool)
  return i, m.pool.keys[i]
end

-- A value to write: where entries are evicted, one that is like no other.
local function fresh (r, m)
  return m.life.capped and r:unique() or r:value()
end

-- Some distinct numbers of keys.
local function several (r, m)
  local numbers, seen = {}, {}
  for _ = 1, r:int(12) do
    local i = r:key(m.pool)
    if not seen[i] then
      seen[i] = true
      numbers[#numbers + 1] = i
    end
  end
  return numbers
end

local function collect (pairwise, ...)
  local keys, values = {}, pairwise and {} or nil
  for k, v in ... do
    keys[#keys + 1] = k
    if pairwise then values[#values + 1] = v end
  end
  return keys, values
end

-- Whether lode's neighbour or end is the one of these numbers.
local function check_nearest (m, key, value, expected, what)
  if #expected == 0 then
    check(nil, key, what)
  else
    m:check({ key }, { value }, expected, 1, what)
  end
end

step("write", 20, function (r, d, m)
  local i, key = some(r, m)
  local value = fresh(r, m)
  d[key] = value
  m:put(i, value)
end)

step("dict.set", 4, function (r, d, m)
  local i, key = some(r, m)
  local value, ttl = nil, r:ttl()
  if not r:one_in(4) then value = fresh(r, m) end
  dict.set(d, key, value, ttl)
  m:put(i, value, ttl)
end)

step("read", 12, function (r, d, m)
  local i, key = some(r, m)
  check(m.values[i], d[key], "read")
  m:read(i)
end)

step("dict.get", 3, function (r, d, m)
  local i, key = some(r, m)
  local expected = m.values[i]
  if expected == nil then expected = "default" end
  check(expected, dict.get(d, key, "default"), "get")
  m:read(i)
end)

step("delete by index", 4, function (r, d, m)
  local i, key = some(r, m)
  d[key] = nil
  m:put(i, nil)
end)

step("dict.delete", 6, function (r, d, m)
  local i, key = some(r, m)
  check(m.values[i] ~= nil, dict.delete(d, key), "delete")
  m:put(i, nil)
end)

step("dict.has", 3, function (r, d, m)
  local i, key = some(r, m)
  check(m.values[i] ~= nil, dict.has(d, key), "has")
end)

step("dict.add", 4, function (r, d, m)
  local i, key = some(r, m)
  local value, ttl = fresh(r, m), r:ttl()
  local absent = m.values[i] == nil
  check(absent, dict.add(d, key, value, ttl), "add")
  if absent then m:put(i, value, ttl) end
end)

step("dict.replace", 4, function (r, d, m)
  local i, key = some(r, m)
  local value, ttl = fresh(r, m), r:ttl()
  local present = m.values[i] ~= nil
  check(present, dict.replace(d, key, value, ttl), "replace")
  if present then m:put(i, value, ttl) end
end)

step("dict.pop", 3, function (r, d, m)
  local i, key = some(r, m)
  local expected = m.values[i]
  if expected == nil then expected = "default" end
  check(expected, dict.pop(d, key, "default"), "pop")
  m:read(i) -- which counts when it is rolled back
  m:put(i, nil)
end)

step("dict.popitem", 2, function (r, d, m)
  local last = r:one_in(2)
  local expected = m:select { reverse = last }
  local key, value = dict.popitem(d, last and "last" or "first")
  check_nearest(m, key, value, expected, "popitem")
  if key ~= nil then m:put(m:number(key), nil) end
end)

step("dict.setdefault", 3, function (r, d, m)
  local i, key = some(r, m)
  local value, ttl = fresh(r, m), r:ttl()
  local there = m.values[i]
  local expected = there
  if there == nil then expected = value end
  check(expected, dict.setdefault(d, key, value, ttl), "setdefault")
  if there == nil then m:put(i, value, ttl) else m:read(i) end
end)

step("dict.update", 4, function (r, d, m)
  local i, key = some(r, m)
  local value, ttl = nil, r:ttl()
  if not r:one_in(4) then value = fresh(r, m) end
  local runs, mine = 0, {}
  local raises = r:one_in(5)
  local ok, result = pcall(dict.update, d, key, function (old)
    runs = runs + 1
    check(m.values[i], old, "update's old value")
    if raises then error(mine) end
    return value
  end, ttl)
  check(1, runs, "update's runs")
  m:read(i)
  if raises then
    if result ~= mine then error(result, 0) end
  else
    if not ok then error(result, 0) end
    check(value, result, "update")
    m:change(i, value, ttl)
  end
end)

step("dict.incr", 4, function (r, d, m)
  local i, key = some(r, m)
  local old = m.values[i]
  if type(old) == "number" then
    local small = old > -2 ^ 40 and old < 2 ^ 40
    if not small then return end
  end
  local by, init = r:int(9) - 5, r:int(100)
  if r:one_in(4) then by = by + 0.5 end
  if old ~= nil and type(old) ~= "number" then
    local ok, e = pcall(dict.incr, d, key, by, init)
    check(false, ok, "incr of no number")
    check("BAD_VALUE", e.code, "incr of no number")
    m:read(i)
    return
  end
  local value = (old or init) + by
  local ttl = r:ttl()
  check(value, dict.incr(d, key, by, init, ttl), "incr")
  m:read(i)
  m:change(i, value, old == nil and ttl or nil)
end)

step("dict.cas", 4, function (r, d, m)
  local i, key = some(r, m)
  local old, value, ttl = m.values[i], nil, r:ttl()
  if not r:one_in(4) then value = fresh(r, m) end
  if type(old) == "table" and exact.show(old):find "nan" then return end
  if old ~= old then return end
  local equal = r:one_in(2)
  local expected = { "no such thing" }
  if equal then expected = copy(old) end
  check(equal, dict.cas(d, key, expected, value, ttl), "cas")
  m:read(i)
  if equal then m:change(i, value, ttl) end
end)

step("dict.put_many", 3, function (r, d, m)
  local numbers = several(r, m)
  local values, mine = {}, {}
  for at = 1, #numbers do values[at] = fresh(r, m) end
  local how, ttl = r:int(4), r:ttl()
  if how == 1 then
    local entries, n = {}, 0
    for at, i in ipairs(numbers) do
      local key = m.pool.keys[i]
      entries[key], n = values[at], n + 1
    end
    check(n, dict.put_many(d, entries, ttl), "put_many")
  else
    local at, raises = 0, how == 2
    local ok, result = pcall(dict.put_many, d, function ()
      at = at + 1
      if raises and at == #numbers then error(mine) end
      if numbers[at] then return m.pool.keys[numbers[at]], values[at] end
    end, ttl)
    if raises then
      if result ~= mine then error(result, 0) end
      return
    end
    if not ok then error(result, 0) end
    check(#numbers, result, "put_many")
  end
  local came = m.came + 1 -- all at once
  for at, i in ipairs(numbers) do
    m:put(i, values[at], ttl)
    if m.order[i] and m.order[i] > came then m.order[i] = came end
  end
end, true)

step("dict.get_many", 2, function (r, d, m)
  local asked, absent, n = {}, {}, 0
  local numbers = several(r, m)
  for at, i in ipairs(numbers) do
    asked[at] = m.pool.keys[i]
    if m.values[i] == nil then absent[#absent + 1] = asked[at] end
  end
  local found, missing = dict.get_many(d, asked)
  for key, value in pairs(found) do
    check(m.values[m:number(key)], value, "get_many")
    m:read(m:number(key))
    n = n + 1
  end
  check(#numbers - #absent, n, "get_many: found")
  check(absent, missing, "get_many: missing")
end)

step("dict.delete_many", 2, function (r, d, m)
  local asked, n = {}, 0
  for _, i in ipairs(several(r, m)) do
    asked[#asked + 1] = m.pool.keys[i]
    if m.values[i] ~= nil then n = n + 1 end
    m:put(i, nil)
  end
  check(n, dict.delete_many(d, asked), "delete_many")
end)

step("dict.delete_range", 1, function (r, d, m)
  local range = r:range(m.pool)
  range.limit = r:int(15)
  local expected = m:select(range)
  -- a limit that cuts keys whose order is their hashes' takes any of them
  local cut = expected[range.limit]
  local after = expected[range.limit + 1]
  if cut and after and m.pool.class[cut] == m.pool.class[after] then
    return
  end
  local n = math.min(#expected, range.limit)
  check(n, dict.delete_range(d, m:range(range)), "delete_range")
  for at = 1, n do m:put(expected[at], nil) end
end)

step("dict.len", 3, function (_, d, m)
  check(m.n, #d, "#")
  check(m.n, dict.len(d), "len")
end)

step("dict.count", 3, function (r, d, m)
  local range = r:range(m.pool)
  local n = #m:select(range)
  if range.limit and range.limit < n then n = range.limit end
  check(n, dict.count(d, m:range(range)), "count")
end)

step("dict.pairs", 3, function (r, d, m)
  local range = r:range(m.pool)
  local asked = m:range(range)
  asked.snapshot = r:one_in(3) or nil
  local keys, values = collect(true, dict.pairs(d, asked))
  m:check(keys, values, m:select(range), range.limit, "pairs")
end)

step("dict.keys", 1, function (r, d, m)
  local range = r:range(m.pool)
  local keys = collect(false, dict.keys(d, m:range(range)))
  m:check(keys, nil, m:select(range), range.limit, "keys")
end)

step("dict.page", 1, function (r, d, m)
  local range = r:range(m.pool)
  local expected = m:select(range)
  range.limit = r:int(40)
  local keys, values = {}, {}
  local rest = m:range(range)
  while rest do
    local page
    page, rest = dict.page(d, rest)
    check(true, #page <= range.limit, "page's size")
    check(true, rest == nil or #page == range.limit, "page's fill")
    for _, pair in ipairs(page) do
      keys[#keys + 1], values[#values + 1] = pair[1], pair[2]
    end
  end
  m:check(keys, values, expected, nil, "page")
end)

step("dict.first and last", 2, function (_, d, m)
  local key, value = dict.first(d)
  check_nearest(m, key, value, m:select {}, "first")
  key, value = dict.last(d)
  check_nearest(m, key, value, m:select { reverse = true }, "last")
end)

step("dict.next and prev", 4, function (r, d, m)
  local i = r:bound(m.pool)
  local key, value = dict.next(d, m.pool.keys[i])
  check_nearest(m, key, value, m:select { after = i }, "next")
  key, value = dict.prev(d, m.pool.keys[i])
  check_nearest(m, key, value, m:select { before = i, reverse = true },
    "prev")
end)

step("a walk by next", 1, function (_, d, m)
  local keys, values = {}, {}
  local key, value = dict.next(d)
  while key ~= nil do
    keys[#keys + 1], values[#values + 1] = key, value
    if #keys > m.n then error "next goes round" end
    key, value = dict.next(d, key)
  end
  m:check(keys, values, m:select {}, nil, "next after next")
end)

step("a walk with changes", 1, function (r, d, m)
  local reverse = r:one_in(2)
  local touched, seen, class = {}, {}, m.pool.class
  local before = m:copy()
  local last
  for key in dict.pairs(d, { reverse = reverse }) do
    local i = m:number(key)
    if seen[i] then error("came twice: " .. exact.show(key)) end
    seen[i] = true
    if last and last ~= class[i] and (class[i] > last) == reverse then
      error("out of order: " .. exact.show(key))
    end
    last = class[i]
    if before.values[i] == nil and not touched[i] then
      error("nobody wrote it: " .. exact.show(key))
    end
    if r:one_in(3) then
      local j, other = some(r, m)
      local value = nil
      if r:one_in(2) then value = fresh(r, m) end
      touched[j] = true
      d[other] = value
      m:put(j, value)
    end
  end
  for i in pairs(before.values) do
    local evicted = m.values[i] == nil
    if not seen[i] and not touched[i] and not evicted then
      error("lost: " .. exact.show(m.pool.keys[i]))
    end
  end
end)

step("dict.totable", 1, function (_, d, m)
  local n = 0
  for key, value in pairs(dict.totable(d)) do
    check(m.values[m:number(key)], value, "totable")
    n = n + 1
  end
  check(m.n, n, "totable's entries")
end)

step("dict.fetch", 4, function (r, d, m)
  local i, key = some(r, m)
  local value, ttl, runs = nil, r:ttl(), 0
  if not r:one_in(4) then value = fresh(r, m) end
  local options = { ttl = ttl, negative = r:one_in(2) and r:int(30) or nil,
    stale = not m.life.told and r:one_in(2) and r:int(30) or nil }
  local there, nothing = m.values[i], m:knows_nothing(i)
  local got = dict.fetch(d, key, function ()
    runs = runs + 1
    return value
  end, options)
  if there ~= nil then
    check(there, got, "fetch")
    check(0, runs, "fetch's runs for a value")
    m:read(i)
  elseif nothing and (nothing == "surely" or runs == 0) then
    check(nil, got, "fetch of what is known not to be")
    check(0, runs, "fetch's runs for nothing")
  else
    check(value, got, "fetch, computed")
    check(1, runs, "fetch's runs")
    if value ~= nil then m:put(i, value, ttl) end
    if value == nil and options.negative then
      m:remember_nothing(i, options.negative)
    end
  end
end)

local function check_left (m, i, left, what)
  local expected = m.dies[i] and m.dies[i] - m.clock.now
  check(expected and ("%.3f"):format(expected),
    left and ("%.3f"):format(left), what)
end

step("dict.ttl", 4, function (r, d, m)
  local i, key = some(r, m)
  check_left(m, i, dict.ttl(d, key), "ttl")
end)

step("dict.expire", 4, function (r, d, m)
  local i, key = some(r, m)
  local ttl = r:ttl()
  local there = m.values[i] ~= nil
  check(there, dict.expire(d, key, ttl), "expire")
  if there then m:expire(i, ttl) end
end)

step("dict.touch", 3, function (r, d, m)
  local i, key = some(r, m)
  local there = m.values[i] ~= nil
  check(there, dict.touch(d, key), "touch")
  if there then m:touch(i) end
end)

local function check_info (info, i, m)
  if m.values[i] == nil then return check(nil, info, "info") end
  check(m.dies[i] and m.dies[i] + 0.0, info.expires, "info's expires")
  local t = m.life.times and m.times[i] or {}
  for _, field in ipairs { "ctime", "mtime", "atime" } do
    check(t[field] and t[field] + 0.0, info[field], "info's " .. field)
  end
  check(t.hits, info.hits, "info's hits")
end

step("dict.info", 4, function (r, d, m)
  local i, key = some(r, m)
  check_info(dict.info(d, key), i, m)
end)

-- All of the contents at once; not a random step.
local function compare (d, m, what)
  local keys, values = collect(true, dict.pairs(d))
  m:check(keys, values, m:select {}, nil, what)
  check(m.n, #d, what .. ": #")
end

return { steps = steps, compare = compare, check_info = check_info,
  check_left = check_left }
