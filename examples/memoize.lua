-- Get or compute: results of slow work, kept on disk for all processes. One
-- caller computes; the others wait for it, or take the old value meanwhile.
-- That there is no result is remembered as well.
--
-- The store is the directory weather.lode. Its clock is a variable, so that
-- time passes here at once; leave the option out for the real time.

local lode = require "lode"
local dict = lode.dict

local now = tonumber(arg[1]) or
  os.time { year = 2026, month = 11, day = 20, hour = 9 }
local store = lode.open("weather.lode", {
  clock = function () return now end,
})
local reports = store:dict "reports"

local asked, down, crowd = 0, false, false

-- What is slow: a service that knows some towns, and may be down.
local function ask(town)
  asked = asked + 1
  if crowd then             -- another process wants the same, at this moment
    os.execute(('"%s" "%s" %d'):format(arg[-1], arg[0], now))
  end
  if down then error "no answer" end
  if town ~= "Oz" then return asked == 1 and "fog" or "sun" end
end

local function report(who, town)
  local before = asked
  local ok, sky = pcall(dict.fetch, reports, town, ask, {
    ttl = 600,              -- a report is good for ten minutes,
    stale = 3600,           -- and an hour longer while a new one is made
    negative = 60,          -- that there is none is remembered for one
  })
  print(("%s  %-5s  %-4s  %-8s  %s"):format(os.date("%H:%M", now), who, town,
    ok and tostring(sky) or "an error",
    asked > before and "asked" or "from the store"))
  io.stdout:flush()
end

if arg[1] then              -- this is the other process
  report("other", "Bern")
  store:close()
  return
end

dict.clear(reports)
report("first", "Bern")
report("first", "Bern")
report("first", "Oz")
report("first", "Oz")
now, crowd = now + 900, true
report("first", "Bern")     -- its time is over; the other one doesn't wait
now, crowd, down = now + 900, false, true
report("first", "Bern")     -- an error passes through, and is not kept
print("asked " .. asked .. " times")
store:close()
