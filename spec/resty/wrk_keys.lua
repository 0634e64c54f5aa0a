-- For wrk: asks for one of 1000 keys at random. Argument: a path.

-- luacheck: globals wrk setup init request response

local requests = {}

function init (arguments)
  for i = 1, 1000 do
    requests[i] = wrk.format("GET", arguments[1] .. "?key=" .. i)
  end
end

function request ()
  return requests[math.random(1000)]
end
