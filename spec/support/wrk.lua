-- wrk, which puts a server of a spec under load by a script that keeps what
-- was acknowledged: spec/resty/wrk_acks.lua.

local lfs = require "lfs"
local program = require "support.program"

local wrk = {}

-- Starts it for so many seconds on a port of loopback; more arguments are
-- the script's.
function wrk.start (port, script, seconds, ...)
  return assert(program.start("wrk", { "-t2", "-c16", "--latency",
    "--timeout", "20s", ("-d%ds"):format(seconds), "-s",
    "spec/resty/" .. script, ("http://127.0.0.1:%d/"):format(port), "--",
    ... }))
end

-- Waits for its end; what it printed.
function wrk.finish (child, seconds)
  program.wait(function () return child.code end, seconds + 30)
  if child.code ~= 0 then error("wrk failed: " .. child.output) end
  return child.output
end

function wrk.run (port, script, seconds, ...)
  return wrk.finish(wrk.start(port, script, seconds, ...), seconds)
end

-- Lines of the files that wrk_acks.lua has written, by status; the keys of
-- those that succeeded.
function wrk.answers (directory)
  local statuses, keys = {}, {}
  for name in lfs.dir(directory) do
    if name:find "^acks" then
      for line in io.lines(directory .. "/" .. name) do
        local status, key = line:match "^(%d+) (.*)$"
        statuses[status or line] = (statuses[status or line] or 0) + 1
        if status == "200" then keys[#keys + 1] = key end
      end
    end
  end
  return statuses, keys
end

-- How many of these keys have not in `dict` what the servers write.
function wrk.lost (keys, dict)
  local lost = 0
  for _, key in ipairs(keys) do
    if dict[key] ~= "value of " .. key then lost = lost + 1 end
  end
  return lost
end

return wrk
