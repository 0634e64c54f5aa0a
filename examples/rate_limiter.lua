-- A rate limiter: at most five requests a minute from one address, over all
-- processes that share the store. Counters go by themselves.
--
-- The store is the directory limits.lode. Its clock is a variable, so that a
-- minute passes here at once; leave the option out for the real time.

local lode = require "lode"
local dict = lode.dict

local MOST, WINDOW = 5, 60
local now = os.time { year = 2026, month = 11, day = 20, hour = 9 }
local store = lode.open("limits.lode", { clock = function () return now end })
local counters = store:dict("counters", { value = "integer" })
dict.clear(counters)

-- A counter belongs to one address and one minute, and lives no longer.
local function allowed(address)
  local window = math.floor(now / WINDOW)
  local n = dict.incr(counters, { address, window }, 1, 0, WINDOW)
  return n <= MOST, n
end

local function requests(address, n)
  local passed = 0
  for _ = 1, n do
    if allowed(address) then passed = passed + 1 end
  end
  print(("%s  %-9s %2d requests, %d passed"):format(
    os.date("%H:%M:%S", now), address, n, passed))
end

requests("10.0.0.1", 8)
requests("10.0.0.2", 3)
now = now + 30
requests("10.0.0.1", 2)             -- the same minute
now = now + 30
requests("10.0.0.1", 2)             -- the next one
print("counters: " .. #counters)
now = now + 60
print("counters a minute later: " .. #counters)
print("swept: " .. store:maintain())
store:close()
