-- For wrk: writes keys that are new each time, and keeps each answer as a
-- line of a file: "200 the key". Arguments: a path, a directory.

-- luacheck: globals wrk setup init request response

local threads = 0

function setup (thread)
  threads = threads + 1
  thread:set("number", threads)
end

local path, file
local i = 0

function init (arguments)
  path = arguments[1]
  file = assert(io.open(arguments[2] .. "/acks." .. _G.number, "w"))
  file:setvbuf "line"
end

function request ()
  i = i + 1
  return wrk.format("GET", ("%s?key=%d-%d"):format(path, _G.number, i))
end

function response (status, _, body)
  file:write(status, " ", status == 200 and body or "", "\n")
end
