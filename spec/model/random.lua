-- Random numbers, keys, values and ranges from a seed: the same at each run
-- of one Lua version.

local random = {}
random.__index = random

-- Gives whole numbers from 1 to n; n up to some thousands.
function random.new (seed)
  local self = setmetatable({ serial = 0 }, random)
  self:seed(seed)
  return self
end

-- Begins anew with this seed: what comes depends on nothing before.
function random:seed (seed)
  self.state = seed * 7919 % 2147483646 + 1
  for _ = 1, 5 do self:int(2) end
end

function random:int (n)
  self.state = self.state * 16807 % 2147483647
  return math.floor(self.state / 64) % n + 1
end

-- True once in n.
function random:one_in (n)
  return self:int(n) == 1
end

function random:pick (array)
  return array[self:int(#array)]
end

local bytes = { "a", "b", "c", "\0", "\255", "0" }

function random:string (most)
  local parts = {}
  for i = 1, self:int(most + 1) - 1 do parts[i] = self:pick(bytes) end
  return table.concat(parts)
end

local numbers = { 0, 1, -1, 0.5, -0.5, 255, 256, 1e15, -1e15, 1e300,
  -1e300, 1 / 0, -1 / 0, 2 ^ 53, 2 ^ 63, 5e-324 }
if math.type then
  numbers[#numbers + 1] = math.maxinteger
  numbers[#numbers + 1] = math.mininteger
  numbers[#numbers + 1] = math.maxinteger - 1
  numbers[#numbers + 1] = 9007199254740993
end

function random:number ()
  local kind = self:int(4)
  if kind == 1 then return self:pick(numbers) end
  if kind == 2 then return (self:int(2001) - 1001) / 4 end
  return self:int(41) - 21
end

local function scalar_key (self)
  local kind = self:int(7)
  if kind == 1 then return self:one_in(2) end
  if kind <= 3 then return self:number() end
  return self:string(4)
end

-- Keys of all types: short ones, long ones that share prefixes, and, where
-- `mixed`, ones about the limit between the two with the same prefix.
function random:keys (mixed)
  local keys = { false, true, "", {} }
  for _ = 1, 12 do keys[#keys + 1] = self:number() end
  for _ = 1, 25 do keys[#keys + 1] = self:string(5) end
  for _ = 1, 20 do
    local tuple = {}
    for i = 1, self:int(3) do tuple[i] = scalar_key(self) end
    keys[#keys + 1] = tuple
  end
  local shared = self:pick(bytes):rep(500 + self:int(200))
  for i = 1, 8 do keys[#keys + 1] = shared .. i % 3 .. self:string(3) .. i end
  for i = 1, 6 do keys[#keys + 1] = { shared, i % 3, i } end
  for i = 1, 4 do keys[#keys + 1] = ("z" .. i):rep(3000 + i) end
  for i = 1, 8 do
    local head = mixed and "m" or "m" .. i
    keys[#keys + 1] = head .. ("m"):rep(455 + self:int(35)) .. i
  end
  for _, key in ipairs(keys) do
    -- tuples of strings only when they are long: order.lua wants it so
    if type(key) == "table" and key[1] == shared then
      for i = 2, #key do key[i] = tostring(key[i]) end
    end
  end
  return keys
end

local function plain (self, depth)
  local kind = self:int(depth > 2 and 5 or 8)
  if kind == 1 then return self:one_in(2) end
  if kind == 2 then return self:number() end
  if kind == 3 then
    if self:one_in(20) then
      return self:one_in(2) and -1 / (1 / 0) or 0 / 0
    end
    return self:int(100)
  end
  if kind <= 5 then
    return self:one_in(40) and self:string(5):rep(1500) or self:string(12)
  end
  local t = {}
  for i = 1, self:int(4) - 1 do
    t[kind == 6 and i or self:string(4)] = plain(self, depth + 1)
  end
  if kind == 8 then t[self:int(9)] = plain(self, depth + 1) end
  return t
end

-- A value to store: any but nil.
function random:value ()
  return plain(self, 1)
end

-- A value that was never given before.
function random:unique ()
  self.serial = self.serial + 1
  return { self.serial, self:string(12) }
end

-- The number of one of the pool's keys; `at` keeps it for the log.
function random:key (pool)
  self.at = self:int(pool.n)
  return self.at
end

-- A time to live in seconds, or nil, mostly.
function random:ttl ()
  if not self:one_in(3) then return nil end
  return self:one_in(6) and math.huge or self:int(40)
end

-- The number of one of the pool's keys whose place in the order is
-- determined.
function random:bound (pool)
  for _ = 1, 20 do
    local i = self:int(pool.n)
    if pool.alone[i] then return i end
  end
  return 1
end

-- A range over the pool, its bounds as numbers (oracle:range).
function random:range (pool)
  local range = {}
  local ends = self:int(8)
  if ends <= 2 then range.from = self:bound(pool) end
  if ends == 3 then range.after = self:bound(pool) end
  ends = self:int(8)
  if ends <= 2 then range.to = self:bound(pool) end
  if ends == 3 then range.before = self:bound(pool) end
  if self:one_in(4) then
    local key = pool.keys[self:int(pool.n)]
    if type(key) == "string" then
      range.prefix = key:sub(1, self:int(#key + 1) - 1)
    elseif type(key) == "table" then
      local tuple = {}
      for i = 1, self:int(#key + 1) - 1 do tuple[i] = key[i] end
      range.prefix = tuple
    end
  end
  if self:one_in(3) then range.reverse = true end
  if self:one_in(4) then range.limit = self:int(12) - 1 end
  return range
end

return random
