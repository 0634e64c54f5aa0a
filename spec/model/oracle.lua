-- What a dict or set must hold, kept in plain Lua: a pool of keys in the
-- documented order, the values that are there now, and when they die.
--
-- `clock` is a table whose field `now` is the time. `life` says what the
-- collection has of time:
--
--   ttl      seconds that an entry lives from its last write
--   policy   function(entry) -> when it dies, or nil, of its times
--   times    ctime, mtime, atime and hits are kept
--   unread   but nothing is known of reads
--   told     whoever dies is told of: it waits in `pending` until it was
--
-- Entries die in oracle:pass, which is called whenever the time has changed.
--
-- Keys whose order among each other only a hash decides share a class (see
-- support/order.lua): their contents are checked, their inner order isn't.

local exact = require "support.exact"
local order = require "support.order"

local oracle = {}
oracle.__index = oracle

-- A string that two keys share when they are one key, as 1 and 1.0 are.
local function identity (key)
  local kind = type(key)
  if kind == "string" then return "s" .. key end
  if kind == "number" then
    local whole = math.tointeger and math.tointeger(key)
    if whole then return ("n%d"):format(whole) end
    return ("n%.17g"):format(key + 0)
  elseif kind == "table" then
    local parts = {}
    for i, v in ipairs(key) do
      local id = identity(v)
      parts[i] = #id .. ":" .. id
    end
    return "t" .. table.concat(parts)
  end
  return tostring(key)
end

-- A pool of these keys. `determined`: the hash is known to be a constant,
-- so that long keys are in the order of their bytes.
function oracle.pool (keys, determined)
  order.sort(keys)
  local pool = { keys = {}, class = {}, index = {}, alone = {} }
  local heads = {}
  for _, key in ipairs(keys) do
    local n = #pool.keys
    if n == 0 or order.compare(pool.keys[n], key) ~= 0 then
      n = n + 1
      pool.keys[n] = key
      pool.index[identity(key)] = n
      heads[n] = not determined and order.class(key) or n
      local same = n > 1 and heads[n] == heads[n - 1]
      pool.class[n] = same and pool.class[n - 1] or n
      pool.alone[n] = not same
      if same then pool.alone[n - 1] = false end
    end
  end
  pool.n = #pool.keys
  return pool
end

-- An empty dict over the pool. `owner` is the caller's.
function oracle.new (pool, clock, life, owner)
  return setmetatable({ pool = pool, clock = clock, life = life or {},
    owner = owner, n = 0, came = 0, values = {}, times = {}, dies = {},
    fixed = {}, pending = {}, nothing = {}, order = {} }, oracle)
end

function oracle:copy ()
  local twin = oracle.new(self.pool, self.clock, self.life, self.owner)
  for _, field in ipairs { "values", "dies", "fixed", "pending", "order" } do
    local from, to = self[field], twin[field]
    for i, v in pairs(from) do to[i] = v end
  end
  for i, one in pairs(self.nothing) do
    twin.nothing[i] = { ends = one.ends, sure = one.sure }
  end
  for i, t in pairs(self.times) do
    twin.times[i] = { ctime = t.ctime, mtime = t.mtime, atime = t.atime,
      hits = t.hits }
  end
  twin.n, twin.came = self.n, self.came
  return twin
end

-- Takes an entry out.
function oracle:remove (i)
  if self.values[i] ~= nil then self.n = self.n - 1 end
  self.values[i], self.times[i], self.dies[i], self.fixed[i], self.order[i],
    self.nothing[i] = nil, nil, nil, nil, nil, nil
end

local function die (self, i)
  if self.life.told then self.pending[i] = { self.values[i] } end
  self:remove(i)
end

-- The lifetime that the collection gives the entry now.
local function live (self, i)
  local life, now = self.life, self.clock.now
  self.fixed[i] = nil
  if life.policy then
    self.dies[i] = life.policy(self.times[i])
  else
    self.dies[i] = life.ttl and now + life.ttl
  end
end

-- The lifetime of `ttl` seconds (math.huge: for ever; nil: as above).
local function live_for (self, i, ttl)
  if ttl == nil then
    live(self, i)
  else
    self.fixed[i] = true
    self.dies[i] = ttl < math.huge and self.clock.now + ttl or nil
  end
  if self.dies[i] and self.dies[i] <= self.clock.now then die(self, i) end
end

-- Key number i was written.
local function write (self, i, value)
  local now, t = self.clock.now, self.times[i]
  if self.values[i] == nil then
    self.n, self.came = self.n + 1, self.came + 1
    self.order[i] = self.came
    t = { ctime = now, hits = 0 }
    self.times[i] = t
  end
  t.mtime, t.atime = now, now
  self.values[i], self.nothing[i] = value, nil
end

-- Gives key number i this value; nil takes it away. It lives `ttl` seconds,
-- or as long as the collection lets it.
function oracle:put (i, value, ttl)
  if value == nil then return self:remove(i) end
  write(self, i, value)
  live_for(self, i, ttl)
end

-- The same, but a deadline of its own stays where the collection gives none.
function oracle:change (i, value, ttl)
  local life = self.life
  if value == nil then return self:remove(i) end
  if ttl or life.policy or life.ttl or self.values[i] == nil then
    return self:put(i, value, ttl)
  end
  write(self, i, value)
end

-- Key number i was read, at the time `at` if not now. What a transaction
-- read was read, also when it is rolled back: so it is in the journal.
function oracle:read (i, at)
  local t = self.times[i]
  if not t or self.life.unread then return end
  if not at then
    at = self.clock.now
    local journal = self.clock.journal
    journal[#journal + 1] = { owner = self.owner, i = i, at = at }
  end
  t.hits = t.hits + 1
  if t.atime < at then t.atime = at end
  if self.life.policy and not self.fixed[i] then
    local dies = self.life.policy(t)
    if not (dies and self.dies[i] and dies < self.dies[i]) then
      self.dies[i] = dies
    end
  end
end

-- expire(i, ttl), of one that is there.
function oracle:expire (i, ttl) live_for(self, i, ttl or math.huge) end

-- touch(i), of one that is there.
function oracle:touch (i)
  if self.life.unread then
    local t = self.times[i]
    t.hits, t.atime = t.hits + 1, math.max(t.atime, self.clock.now)
  else
    self:read(i)
  end
  if self.life.policy or self.life.ttl then live_for(self, i, nil) end
end

-- Key number i has died.
function oracle:kill (i) die(self, i) end

-- What has to be dead by now, is.
function oracle:pass ()
  local now = self.clock.now
  for i, t in pairs(self.dies) do
    if t <= now then die(self, i) end
  end
  for _, one in pairs(self.nothing) do
    if one.ends <= now then one.sure = false end
  end
end

-- fetch was told that there is nothing, for `seconds`.
function oracle:remember_nothing (i, seconds)
  self.nothing[i] = { ends = self.clock.now + seconds, sure = true }
end

-- Whether that is still so: nil, "surely", or "maybe", when its time had
-- come before the clock was set back, as nobody has seen that.
function oracle:knows_nothing (i)
  local one = self.nothing[i]
  if not one or one.ends <= self.clock.now then return nil end
  return one.sure and "surely" or "maybe"
end

function oracle:clear ()
  self.values, self.times, self.dies, self.fixed, self.n = {}, {}, {}, {}, 0
  self.pending, self.nothing, self.order = {}, {}, {}
end

-- How many of a table's fields there are.
function oracle.count (t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

local function starts (key, prefix)
  if type(prefix) == "string" then
    return type(key) == "string" and key:sub(1, #prefix) == prefix
  end
  if type(key) ~= "table" or #key < #prefix then return false end
  for i, v in ipairs(prefix) do
    if identity(v) ~= identity(key[i]) then return false end
  end
  return true
end

-- The numbers of the present keys in a range, in its direction; its bounds
-- are numbers of keys, its limit is left to the caller.
function oracle:select (range)
  local first, last = 1, self.pool.n
  if range.from then first = range.from end
  if range.after then first = range.after + 1 end
  if range.to then last = range.to end
  if range.before then last = range.before - 1 end
  local out, values, keys = {}, self.values, self.pool.keys
  local prefix = range.prefix
  local a, b, step = first, last, 1
  if range.reverse then a, b, step = last, first, -1 end
  for i = a, b, step do
    if values[i] ~= nil and (prefix == nil or starts(keys[i], prefix)) then
      out[#out + 1] = i
    end
  end
  return out
end

-- The range as lode wants it: bounds as keys.
function oracle:range (range)
  local keys = self.pool.keys
  local out = { prefix = range.prefix, reverse = range.reverse,
    limit = range.limit }
  for _, bound in ipairs { "from", "after", "to", "before" } do
    if range[bound] then out[bound] = keys[range[bound]] end
  end
  return out
end

-- The number of a key that lode gave; an error when it is none of ours.
function oracle:number (key)
  local i = self.pool.index[identity(key)]
  if not i then error("a key nobody wrote: " .. exact.show(key), 2) end
  return i
end

-- Numbers of keys that are too much, and too little.
local function differ (self, keys, expected)
  local left, more, less = {}, {}, {}
  for _, i in ipairs(expected) do left[i] = true end
  for _, key in ipairs(keys) do
    local i = self:number(key)
    if not left[i] then more[#more + 1] = i end
    left[i] = nil
  end
  for i in pairs(left) do less[#less + 1] = i end
  return table.concat(more, ","), table.concat(less, ",")
end

-- Checks a walk: `keys` and `values` (or nil) that lode gave against the
-- numbers that `select` gave, cut at `limit`.
function oracle:check (keys, values, expected, limit, what)
  local n = #expected
  if limit and limit < n then n = limit end
  if #keys ~= n then
    error(("%s: %d entries, expected %d; too much %s, too little %s"):format(
      what, #keys, n, differ(self, keys, expected)), 2)
  end
  local class, left = self.pool.class, {}
  for _, i in ipairs(expected) do left[i] = true end
  for at = 1, n do
    local i = self:number(keys[at])
    if not left[i] then
      error(("%s: %s is too much or came twice"):format(what,
        exact.show(keys[at])), 2)
    end
    left[i] = nil
    if class[i] ~= class[expected[at]] then
      error(("%s: %s at %d, where %s was expected"):format(what,
        exact.show(keys[at]), at,
        exact.show(self.pool.keys[expected[at]])), 2)
    end
    if values then
      exact.check(self.values[i], values[at],
        what .. " at " .. exact.show(keys[at]))
    end
  end
end

return oracle
